//! What a tenant's policy says, and what it gives to one caller.
//!
//! A [`Document`] is a list of grants: to whom, which actions, on which types, on which rows (a FHIR
//! search), with which elements hidden. [`Policy::rights`] compiles it for one [`Principal`] to
//! [`Rights`]: per action and type one [`Rule`] with one predicate, which the store ANDs into its
//! statements and asks about single resources. No policy means no; a deny wins; a deny that cannot be
//! understood denies.

mod break_glass;
mod built_in;
mod compile;
mod consent;
mod document;
mod errand;
mod explain;
mod facilities;
mod import;
mod labels;
mod lint;
mod outdated;
mod presets;
mod rights;
mod subject;
mod variables;
mod vendor;
mod when;

pub use break_glass::{
    Offer, Opened, decide_alerts, decide_opening, decide_openings, decide_reviewing,
};
pub use compile::{Policy, Surroundings};
pub use consent::{Consents, ConsentsState};
pub use document::{
    Actions, BreakGlass, By, ConsentRules, ConsentsText, Document, Effect, Enforced, GrantText,
    LabelRules, LabelsText, PolicyError, Problem, Require,
};
pub use errand::Errand;
pub use explain::{Decision, Step, Verdict};
pub use import::{
    ImportFrom, ImportLine, ImportOptions, ImportOutcome, Imported, import as import_policies,
};
pub use presets::{PRESETS, Preset, preset};
pub use rights::{Evidence, Obligation, Rights, RowRules, Rule, Way};
pub use subject::Subject;
pub use when::RequestFacts;
