//! The background check of rows, and what it keeps apart.

use access::Released;
use base::{Micros, ResourceId, Version};
use fhir::definitions::TypeId;

use super::write::Stored;
use crate::FindingKind;

/// How far the background check of a tenant is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrubStatus {
    /// When the round that is under way began; none if none is.
    pub begun: Option<Micros>,
    /// Rows that it has looked at: versions, then resources.
    pub rows: u64,
    /// What it has found.
    pub found: u64,
    /// When a round was last finished.
    pub finished: Option<Micros>,
    /// Rows that it looked at.
    pub last_rows: u64,
    /// What it found.
    pub last_found: u64,
    /// Rows that wait for a decision.
    pub quarantined: u64,
}

/// Something about a resource that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Its number in the list.
    pub number: u64,
    /// The type.
    pub type_id: TypeId,
    /// Its name.
    pub type_name: &'static str,
    /// The resource's id.
    pub id: ResourceId,
    /// The version.
    pub version: Version,
    /// What is wrong.
    pub kind: FindingKind,
    /// Whether it concerns what is current, not an old version only.
    pub current: bool,
    /// When it was found.
    pub found: Micros,
    /// What was decided.
    pub decided: Option<Decided>,
}

impl Quarantined {
    /// Whether it keeps the resource from being written and found.
    pub fn holds(&self) -> bool {
        let past = self.kind == FindingKind::VersionMissing || !self.current;
        self.kind == FindingKind::Index || !past
    }

    /// Whether what lies there as the current version does not carry its seal.
    pub fn unreadable(&self) -> bool {
        self.current && matches!(self.kind, FindingKind::Seal | FindingKind::Body)
    }
}

/// What somebody decided about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// `accept`, `revert`, `delete` or `note`.
    pub decision: String,
    /// When.
    pub at: Micros,
    /// By whom.
    pub by: String,
    /// Why.
    pub remark: String,
    /// The version that was made by it.
    pub made: Option<Version>,
}

/// What can be decided about a resource in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Its changed content becomes a new version.
    Accept,
    /// Its last good content becomes a new version.
    Revert,
    /// It is deleted, where no version is good.
    Delete,
    /// It stays as it is: an old version that is wrong.
    Note,
}

impl Decision {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Revert => "revert",
            Self::Delete => "delete",
            Self::Note => "note",
        }
    }

    /// What a word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Accept, Self::Revert, Self::Delete, Self::Note]
            .into_iter()
            .find(|d| d.as_str() == word)
    }
}

/// A resource in quarantine as somebody sees it who decides about it.
#[derive(Debug)]
pub struct Damaged {
    /// What is wrong, the gravest first.
    pub lines: Vec<Quarantined>,
    /// The number of the version that is current now.
    pub current: Version,
    /// What lies there as the current version, whatever its seal says; none where it cannot be read.
    pub changed: Option<Released<Stored>>,
    /// Whether its caller reaches it, by what its newest version says that carries its seal. Who reaches all
    /// of the type reaches it; who reaches some of it does not where no version carries its seal.
    pub reached: bool,
    /// The newest version that carries its seal, if its caller reaches it; it may be a deletion.
    pub last_good: Option<Released<Stored>>,
}

/// A decision, as it is written down.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// Which.
    pub decision: Decision,
    /// The version that was current when it was made.
    pub version: Version,
    /// Why.
    pub remark: String,
}
