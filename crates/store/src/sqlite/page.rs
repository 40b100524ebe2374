//! A page of a search with its resources, as one snapshot has them.

use std::sync::Arc;

use access::{Search, Spent};
use base::{Code, Micros};
use fhir::search::Query;
use rusqlite::Connection;

use super::cache::Ticket;
use super::{OpenTenant, blob, in_snapshot, rows, search, sight};
use crate::{Entry, Method, Mode, PageRequest, Result, StoreError};

/// The page would hold too many bytes at once; a smaller `_count` helps.
pub(crate) fn page_too_large(max: u64) -> StoreError {
    StoreError::Limit {
        code: Code::LimitQuery,
        limit: "page_bytes_max",
        max,
    }
}

/// Finds a page and reads its resources, in one snapshot; with the row numbers of those that leave. `until`: gives up with `limit-time` after
/// that moment of the monotonic clock.
pub(crate) fn searched(
    tenant: &Arc<OpenTenant>,
    db: &Connection,
    ticket: Ticket,
    spent: &Spent<Search>,
    query: &Query,
    page: &PageRequest,
    until: Option<Micros>,
) -> Result<(Vec<Entry>, Vec<i64>, search::Found)> {
    in_snapshot(db, || {
        let limits = &tenant.shared.config.limits;
        let bodies = |rid, seq| {
            let stored = rows::as_of(tenant, db, rid, seq, ticket)?;
            Ok(stored.map(|s| s.body))
        };
        let found = search::page(tenant, db, spent, query, page, &bodies)?;
        let matches = found.matches.iter().map(|m| (m.0, Mode::Match));
        let included = found.included.iter().map(|m| (m.0, Mode::Include));
        let mut entries = Vec::with_capacity(found.matches.len() + found.included.len());
        let mut rows = Vec::with_capacity(entries.capacity());
        let mut bytes = 0u64;
        for (rid, mode) in matches.chain(included) {
            if until.is_some_and(|until| tenant.shared.clock.monotonic() > until) {
                return Err(out_of_time());
            }
            let stored = rows::as_of(tenant, db, rid, found.as_of, ticket)?;
            // Index rows of a deleted resource are closed with it; a row of a type that
            // may not be shown does not leave.
            let shown = stored.filter(|s| s.method != Method::Delete && spent.shows(s.type_id));
            if let Some(stored) = shown {
                let data = stored.data.map_or(0, |data| data.base64_len());
                if data > 0 && until.is_some() {
                    return Err(out_of_time());
                }
                bytes = bytes.saturating_add(stored.body.len() as u64 + data);
                if bytes > limits.page_bytes_max && !entries.is_empty() {
                    return Err(page_too_large(limits.page_bytes_max));
                }
                let stored = match spent.rule(stored.type_id).filter(|r| r.hidden().is_some()) {
                    None => stored,
                    Some(rule) => {
                        let place = (rid, found.as_of);
                        let seen = sight::seen(tenant, db, rule, place, &stored)?;
                        match seen.of(stored)? {
                            Some(stored) => stored,
                            None => continue,
                        }
                    }
                };
                let stored = blob::whole(tenant, db, stored)?;
                let resource = spent.release(stored.type_id, stored);
                entries.push(Entry { resource, mode });
                rows.push(rid);
            }
        }
        Ok((entries, rows, found))
    })
}

/// The time that was given for an attempt is over.
fn out_of_time() -> StoreError {
    StoreError::Refused(
        Code::LimitTime,
        "the attempt took longer than an attempt may".to_owned(),
    )
}
