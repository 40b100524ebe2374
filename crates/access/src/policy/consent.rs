//! Patients' consents (FHIR Consent) as refusals: which of them say no to a caller, about what.
//!
//! What policy gives is narrowed by what consents refuse; what they permit is asked only by grants that say so
//! (`permits.rs`). What of a consent cannot be evaluated refuses, and permits nothing. Parts about the caller are
//! decided (`caller.rs`); parts about resources become clauses (`resources.rs`). Here is what a consent is once
//! it was read; `known.rs` has those of a tenant.

mod asking;
mod caller;
mod charts;
mod formula;
mod known;
mod permits;
mod places;
mod read;
mod refused;
mod resources;
mod teams;

use base::ResourceId;

pub(super) use self::asking::Asking;
pub(super) use self::caller::cared_for;
pub(super) use self::charts::Charts;
pub use self::known::{Consents, ConsentsState};
pub(super) use self::refused::{Refusals, Refused};

/// One consent that may refuse something, or open it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Consent {
    patient: ResourceId,
    /// The server that the patient is said to be of, if one is named.
    base: Option<Box<str>>,
    rule: Rule,
    /// From when on what it permits may open charts; none if it never does.
    opens: Option<i64>,
    /// When what it says changes.
    turns: Vec<i64>,
}

impl Consent {
    /// Whether some provision is about some actions only.
    fn names_actions(&self) -> bool {
        matches!(&self.rule, Rule::Tree { root, .. } if root.names_actions())
    }
}

/// What it says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    /// It cannot be evaluated.
    Unclear,
    Tree {
        /// Whether it refuses where its root does not apply; none if it then says nothing.
        base: Option<bool>,
        root: Node,
    },
}

/// A provision and its exceptions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Node {
    denies: bool,
    conditions: Vec<Condition>,
    exceptions: Vec<Node>,
}

impl Node {
    fn names_actions(&self) -> bool {
        let of_actions = |c: &Condition| matches!(c, Condition::Actions(_));
        self.conditions.iter().any(of_actions) || self.exceptions.iter().any(Self::names_actions)
    }
}

/// What a reference names. An absolute one means something of this tenant only under a URL of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Reference {
    base: Option<Box<str>>,
    of: Box<str>,
    id: ResourceId,
}

/// A condition of a provision; its alternatives.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Condition {
    Period(Option<i64>, Option<i64>),
    /// References to actors, and whether there are some that cannot be looked at.
    Actors(Vec<Reference>, bool),
    Actions(Vec<Box<str>>),
    Purposes(Vec<Box<str>>),
    /// Names of types, and whether other classes are named.
    Types(Vec<Box<str>>, bool),
    /// System and code.
    Labels(Vec<(Box<str>, Box<str>)>),
    Codes(Vec<(Box<str>, Box<str>)>),
    /// Instances, and whether others are named.
    Data(Vec<Reference>, bool),
    /// Dates of data, as criteria.
    DataPeriod(Box<str>),
    /// It is known to be about the caller.
    Caller,
    Unclear,
}

#[cfg(test)]
mod tests;
