//! Pages of searches and histories.

use std::collections::BTreeSet;
use std::sync::Arc;

use access::Released;
use base::{Micros, ResourceId, Seq, Version};
use fhir::definitions::TypeId;

use super::write::Stored;

/// Where a page ended, for the next one. Opaque bytes that hold sort keys: patient data, so the
/// caller encrypts them before they leave.
#[derive(Clone, PartialEq, Eq)]
pub struct Position(pub Vec<u8>);

impl std::fmt::Debug for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Position(…)")
    }
}

/// Which page of a search is wanted.
#[derive(Clone, Debug, Default)]
pub struct PageRequest {
    /// Continue after this position.
    pub after: Option<Position>,
    /// Answer as of this point of the change sequence; `None` on the first page: as of now.
    pub as_of: Option<Seq>,
    /// Clock::monotonic time after which the search is given up.
    pub deadline: Option<Micros>,
    /// The query as it came (`Patient?name=x`), for the record of the access.
    pub asked: Option<Arc<str>>,
}

/// Which history is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryOf {
    /// Of one resource.
    Instance(TypeId, ResourceId),
    /// Of a type.
    Type(TypeId),
    /// Of all types that the permit shows.
    System,
}

/// What a history is narrowed to: a resource, or one version of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its type.
    pub type_id: TypeId,
    /// Its id.
    pub id: ResourceId,
    /// The version that is meant, where one is.
    pub version: Option<Version>,
}

/// A page of a history.
#[derive(Clone, Debug)]
pub struct HistoryRequest {
    /// Of what.
    pub of: HistoryOf,
    /// Only versions made at or after this time.
    pub since: Option<Micros>,
    /// Only versions that were current at some time from the first to before the second.
    pub at: Option<(Micros, Micros)>,
    /// Only versions of these; of one that names a version, that one.
    pub listed: Option<Vec<Listed>>,
    /// Oldest first.
    pub ascending: bool,
    /// Versions on the page; 0 asks for the total only.
    pub count: u32,
    /// Which page.
    pub page: PageRequest,
}

/// What labels resources carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// `meta.profile`
    pub profiles: BTreeSet<String>,
    /// System (empty for none) and code of each `meta.tag`.
    pub tags: BTreeSet<(String, String)>,
    /// System (empty for none) and code of each `meta.security`.
    pub security: BTreeSet<(String, String)>,
}

impl Labels {
    /// How many there are.
    pub fn count(&self) -> u32 {
        let count = self.profiles.len() + self.tags.len() + self.security.len();
        u32::try_from(count).unwrap_or(u32::MAX)
    }
}

/// Why an entry is on a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It matches.
    Match,
    /// `_include` or `_revinclude` brought it.
    Include,
}

/// One resource on a page.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The resource.
    pub resource: Released<Stored>,
    /// Why it is here.
    pub mode: Mode,
    /// How well it fits, from 0 to 1, where the search says something about it.
    pub score: Option<f64>,
    /// In a history: this version made the resource, anew or for the first time.
    pub made: bool,
    /// The resource that contains it, if it is answered without that.
    pub within: Option<(TypeId, ResourceId)>,
}

/// A page.
#[derive(Clone, Debug)]
pub struct Page {
    /// Matches in order, then included resources.
    pub entries: Vec<Entry>,
    /// Matches on all pages, where it was asked for or came for free.
    pub total: Option<u64>,
    /// Where the next page starts; `None` on the last one.
    pub next: Option<Position>,
    /// The point of the change sequence that all pages of this search show.
    pub as_of: Seq,
    /// Resources, of a history versions, that belong on the page and are kept apart because they are
    /// not as they were written.
    pub left_out: u32,
}
