//! The words that callers and engines exchange.

mod alerts;
mod break_glass;
mod data;
mod page;
mod people;
mod providers;
mod quarantine;
mod ship;
mod tenant;
mod trail;
mod vendors;
mod write;

pub use alerts::{
    Acknowledged, Alert, AlertCounts, AlertMail, AlertRule, AlertRules, AlertRulesVersion,
    AlertWay, AlertWebhook, AlertsAsked, AlertsWaiting, Explaining, RuleTerms,
};
pub use break_glass::{Opening, OpeningCounts, OpeningState, Review};
pub(crate) use data::{Apart, DataIn};
pub use data::{Data, Form};
pub use page::{
    Entry, HistoryOf, HistoryRequest, Labels, Listed, Mode, Page, PageRequest, Position,
};
pub use people::{
    Account, Approval, BrowserSession, Claimed, CodeTerms, Invitation, KeptPasskey, PasskeyUse,
    Person, Proofs, Registration, SigningKey, Through, Totp,
};
pub use providers::{IdentityProvider, SetByOperator};
pub use quarantine::{Damaged, Decided, Decision, Quarantined, ScrubStatus, Settlement};
pub use ship::{HeadLine, ShipOf, ShipPlace, ShippedEvent};
pub use tenant::{
    AuditMode, AuditShipping, KeptClients, NewTenant, PolicyVersion, ReferencePolicy,
    RegistrationBy, RestoreClients, Restored, SettingsPatch, ShippedAs, ShippingPatch, State,
    StoreConfig, Synchronous, TenantInfo, TenantSettings,
};
pub use trail::{
    Access, AccessQuery, AccessReport, AuditLine, AuditPage, OpeningLine, OperatorWay, ProofOf,
    Touched, TrailProof,
};
pub use vendors::{
    Activity, ActivityQuery, PatientActivity, ProgramLink, VendorChange, VendorEvent, Volume,
};
pub use write::{
    Change, Condition, Expectation, Expected, Method, Outcome, Prepared, Read, Stored, Versions,
    Write, Written,
};
