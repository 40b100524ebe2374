//! What the platform does, one file per verb, in the specification's words.
//!
//! Every interaction goes the same way: decide, spend the permit on the tenant's store, answer.
//! Knows nothing of HTTP, SQL or sockets; statuses and headers are an edge's.

mod alerts;
mod answer;
mod auth;
mod benches;
mod clients;
mod cursor;
mod failure;
pub mod form;
mod held;
mod house;
mod imports;
mod interaction;
mod links;
mod metrics;
mod outbound;
mod people;
mod policies;
mod providers;
mod quarantine;
mod rates;
mod registrations;
mod session;
mod shipping;
mod telling;
mod tenants;
mod vendors;

pub use access::Assurance;
pub use access::{CertificateNames, DistinguishedName, Released, RequestMeta, ShownCertificate};
pub use alerts::{
    AcknowledgedView, AlertRulesChange, AlertRulesDiff, AlertRulesDraft, AlertRulesHistory,
    AlertRulesView, AlertSaid, AlertView, AlertsPage, AlertsWanted, alert_rules, ready_alert_rules,
};
pub use answer::{Answer, EntryAnswer, HistoryPage, SearchPage};
pub use auth::{
    AccountView, ApprovalView, Arrival, AuthorizationAsked, AuthorizeRequest, Clinic, Credentials,
    Departure, EndSession, Going, Granted, InvitedByOperator, LaunchDraft, LaunchMade, NewSession,
    Next, OauthError, PasskeyQuestion, PasskeyView, Proving, Question, SessionView, SignInFrom,
    SignedIn, TokenFailure, TokenRequest, Visitor,
};
pub use clients::{ClientDraft, ClientMade, ClientView, MadeView};
pub use failure::Failure;
pub use held::{Hold, Holder};
pub use house::{Gate, House, HouseConfig, ProxyHeaders};
pub use imports::{ImportOpened, ImportView};
pub use interaction::*;
pub use links::{Forwarded, Links, Reached};
pub use metrics::{InteractionMetrics, Metrics};
pub use outbound::{Errand, Outbound, OutboundError, Outside, Reply, Sending, Turn};
pub use people::{PersonDraft, PersonInvited, PersonPatch, PersonView};
pub use policies::{
    Changed, DryRun, Matrix, PolicyDiff, PolicyDraft, PolicyImport, PolicyImported, PolicyQuestion,
    PolicyTrial, PolicyView, PresetView, Tested, preset_matrix, presets,
};
pub use providers::{HouseProvider, ProviderDraft, ProviderOffer, ProviderView};
pub use quarantine::{QuarantineView, ScrubView};
pub use registrations::{
    InitialAccess, Registering, RegistrationDecision, RegistrationFailure, RegistrationView,
};
pub use session::Session;
pub use shipping::{Carrier, Carrying, ShipForm, Shipper, ShipperView, SyslogTarget, TargetError};
pub use store::{
    Access, AccessReport, AuditMode, AuditShipping, Data, Form, Method, Mode, OpeningLine,
    OperatorWay, ProofOf, RegistrationBy, RestoreClients, SettingsPatch, ShipOf, ShippedAs,
    StoreConfig, Stored, Synchronous, TenantSettings, Touched,
};
pub use telling::{HeadTeller, HeadTellerView, HeadWay, MailOutbox};
pub use tenants::{
    AccessAsked, LIST_MAX, Operator, RestoredView, TenantDraft, TenantPage, TenantPatch,
    TenantView, is_origin,
};
pub use vendors::{
    ActivityAsked, ActivityDay, ActivityReport, ContractDraft, EventView, LinkDraft, LinkView,
    RateDraft, SwitchDraft, SwitchView, TermsView, VendorDraft, VendorView,
};
