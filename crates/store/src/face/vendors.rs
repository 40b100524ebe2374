//! Vendors' grants as callers see what was done to them, links to programs, and what a vendor did.

use std::collections::BTreeMap;

use base::{Micros, ResourceId};
use serde::{Deserialize, Serialize};

use access::{Hold, VendorTerms};

/// What is to be done to a vendor's grant.
#[derive(Debug)]
pub enum VendorChange {
    /// Terms are put forward; a vendor that is not known yet becomes known.
    Propose(Box<VendorTerms>),
    /// A party moves its own switch.
    Switch {
        /// How far it lets go.
        hold: Hold,
        /// The number of the terms that the clinic means, and takes by this where they wait.
        terms: Option<u64>,
    },
}

/// Something that was done to a vendor's grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VendorEvent {
    /// Grows with each event of the tenant.
    pub number: u64,
    /// When.
    pub at: Micros,
    /// Who did it.
    pub actor: String,
    /// In whose name: `clinic`, `vendor`, `operator`.
    pub party: String,
    /// What: `propose terms 2`, `switch to read-only`, `take terms 2 and switch to enabled`.
    pub what: String,
    /// The state before; empty for none.
    pub was: String,
    /// The state afterwards.
    pub state: String,
    /// Why.
    pub reason: String,
}

/// A program that people open from within a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramLink {
    /// Its id in the tenant.
    #[serde(skip)]
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// The URL to open, with `{iss}`, `{launch}`, `{patient}`, … where values stand.
    pub template: String,
    /// The client that is launched, where it is a SMART program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The vendor whose grant has to let it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
}

/// Whose doings are asked for, and when.
#[derive(Clone, Debug, Default)]
pub struct ActivityQuery {
    /// The clients, as the trail names them: `client:…`.
    pub actors: Vec<String>,
    /// From then on.
    pub from: Option<Micros>,
    /// Before then.
    pub to: Option<Micros>,
}

impl ActivityQuery {
    pub(crate) fn fits(&self, at: Micros, actor: &str) -> bool {
        self.from.is_none_or(|from| from <= at)
            && self.to.is_none_or(|to| at < to)
            && self.is_by(actor)
    }

    /// Whether it is about what somebody did, as the trail names them.
    pub(crate) fn is_by(&self, actor: &str) -> bool {
        let mut names = actor.split(' ');
        names.any(|name| self.actors.iter().any(|a| a == name))
    }
}

/// Resources that were read and written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Volume {
    /// Resources that were shown.
    pub reads: u64,
    /// Versions that were made.
    pub writes: u64,
}

/// What was done with one patient's resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatientActivity {
    /// How much.
    pub volume: Volume,
    /// First.
    pub first: Micros,
    /// Last.
    pub last: Micros,
}

/// What some clients did, counted from the trail.
#[derive(Clone, Debug, Default)]
pub struct Activity {
    /// By day (the number of days since 1970 in UTC), client and type.
    pub days: BTreeMap<(i64, String, String), Volume>,
    /// Accesses of a day that were refused, by code.
    pub refused: BTreeMap<(i64, String), u64>,
    /// By patient.
    pub patients: BTreeMap<ResourceId, PatientActivity>,
    /// Requests that were answered, by the purpose of use that they named; the empty one for none.
    pub purposes: BTreeMap<String, u64>,
    /// There is more than is told apart.
    pub more: bool,
}
