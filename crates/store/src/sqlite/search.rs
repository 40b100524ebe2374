//! Answers a typed query from the index tables.
//!
//! Works inside a read transaction that the caller has open, under a deadline that the caller's
//! progress handler keeps. Knows nothing of bodies.

use access::{Search, Spent};
use base::{Limits, Seq};
use fhir::definitions::{Model, TypeId};
use fhir::search::Query;
use rusqlite::Connection;

use super::index::Vocabulary;
use crate::{PageRequest, Position, Result};

/// What a search found: rows of `resource`, not yet read.
#[derive(Debug)]
pub(crate) struct Found {
    /// Matches in order.
    pub(crate) matches: Vec<(i64, TypeId)>,
    /// Included resources, none of them a match of this page.
    pub(crate) included: Vec<(i64, TypeId)>,
    /// Matches on all pages, where it was asked for or came for free.
    pub(crate) total: Option<u64>,
    /// Where the next page starts.
    pub(crate) next: Option<Position>,
    /// The change that all pages show.
    pub(crate) as_of: Seq,
}

/// One page of a search.
///
/// # Errors
/// `cursor-invalid`, `cursor-expired` (as of a change whose rows are swept), `limit-time`,
/// `limit-query` for too many includes, `storage-fault`.
#[expect(
    clippy::too_many_arguments,
    reason = "the store's surroundings, each of its own type"
)]
pub(crate) fn page(
    _conn: &Connection,
    _vocabulary: &Vocabulary,
    _model: &Model,
    _limits: &Limits,
    _spent: &Spent<Search>,
    _query: &Query,
    _request: &PageRequest,
) -> Result<Found> {
    crate::store::not_yet()
}
