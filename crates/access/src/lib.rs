//! Who asks, in which tenant, and what they may do.
//!
//! Every token that stands for a right is made here and only here: [`TenantId`], [`Principal`],
//! [`Permit`], [`Released`]. Their constructors are private to this crate, so no other crate can
//! forge one. Pure: no I/O, no clock, no SQL.

mod action;
mod certificate;
mod client;
mod decide;
mod directory;
mod permit;
mod person;
mod policy;
mod principal;
mod scope;
mod token;
mod vendor;

pub use action::{
    Action, ActionName, Administer, Create, Delete, Erase, Export, History, Read, Receive, Search,
    Update,
};
pub use certificate::{
    AuthorityDigest, ByCertificate, CertificateNames, CertificateTerms, DistinguishedName,
    ShownCertificate,
};
pub use client::{
    ClientAbout, ClientId, ClientKeys, ClientRecord, ImportTimes, MadeByOperator, NewClient,
    Program, SecretKey,
};
pub use decide::{
    Denied, HousePermit, Target, decide, decide_house, decide_operator, decide_policy,
    decide_system,
};
pub use directory::{Directory, HouseKey, Record, Tampered, TenantId};
pub use permit::{Actor, Permit, Released, RequestMeta, Sight, Spent, TypeSet, Why};
pub use person::{
    Administering, ApprovalRecord, Assurance, PeopleKey, PersonId, PersonRecord, PersonState,
    RoleAt, SessionRecord, TENANT_ADMINISTRATOR, decide_accounts,
};
pub use policy::{
    Actions, BreakGlass, By, ConsentRules, Consents, ConsentsState, ConsentsText, Decision,
    Document, Effect, Enforced, Errand, Evidence, GrantText, ImportFrom, ImportLine, ImportOptions,
    ImportOutcome, Imported, LabelRules, LabelsText, Obligation, Offer, Opened, PRESETS, Policy,
    PolicyError, Preset, Problem, RequestFacts, Require, Rights, RowRules, Rule, Step, Subject,
    Surroundings, Verdict, Way, decide_alerts, decide_opening, decide_openings, decide_reviewing,
    import_policies, preset,
};
pub use principal::{OperatorToken, Principal, Reason};
pub use scope::{ResourceScope, ScopeContext, ScopeError, Scopes};
pub use token::{Issuing, TokenError, TokenKey, Verified};
pub use vendor::{
    Contract, Facility, Held, Hold, Party, VendorGrant, VendorId, VendorPermit, VendorRate,
    VendorRefusal, VendorTerms, decide_vendor_own, decide_vendors, decide_vendors_operator,
    facility,
};

#[cfg(test)]
mod tests;
