//! Bulk loading of one tenant through its FHIR base: Bundles and NDJSON become `PUT` entries of
//! bounded transactions, several of them in flight.
//!
//! Every resource keeps its id, or gets one that follows from the input alone, so that loading
//! twice gives what loading once gives. The unit is the resource, not the Bundle: one that is
//! refused becomes a reject and does not hold back its neighbours. References by `fullUrl` and by
//! `Type?identifier=` are made literal over all inputs together; what refers to something further
//! on waits until everything else is loaded.
//!
//! Knows HTTP and JSON, nothing of how the server stores.

use std::collections::BTreeMap;
use std::path::PathBuf;

use indicatif::ProgressBar;

mod deliver;
mod journal;
mod ledger;
mod links;
mod load;
mod pack;
mod source;
mod split;
mod way_in;

pub use journal::Journal;
pub use load::{Load, load};
pub use source::{Document, Feed, Files, Origin};
pub use way_in::WayIn;

/// What came of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Resources written, by type.
    pub written: BTreeMap<String, u64>,
    /// Resources that came again with the same content and were not written again.
    pub repeated: u64,
    /// Resources refused.
    pub rejected: u64,
    /// References that lead to nothing in the input and were left as they are.
    pub unresolved: u64,
    /// Of the resources written, those of an earlier, interrupted run.
    pub earlier: u64,
}

impl Summary {
    /// All resources written.
    pub fn total(&self) -> u64 {
        self.written.values().sum()
    }
}

/// One refused resource or document, as it stands in the file of rejects.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Reject {
    /// The input.
    pub source: String,
    /// Line of an NDJSON file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Entry of a Bundle, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<u64>,
    /// `Type/id`, as far as they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The stable code of the refusal, where the server refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Why.
    pub reason: String,
}

/// How an import is done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Requests in flight.
    pub parallel: usize,
    /// Most entries of one request.
    pub entries_max: usize,
    /// Bytes of resources after which a request is closed.
    pub bytes_max: usize,
    /// Where rejects are written; made when there is one.
    pub rejects: PathBuf,
    /// Moves by bytes of input.
    pub progress: ProgressBar,
}

#[cfg(test)]
mod tests;
