//! A page of a search with its resources, as one snapshot has them.

use std::sync::Arc;

use access::{Rule, Search, Spent};
use base::{Code, Micros, ResourceId, Seq};
use bytes::Bytes;
use fhir::definitions::{Model, TypeId};
use fhir::json::Value;
use fhir::search::Query;
use rusqlite::Connection;

use super::cache::Ticket;
use super::fault::damaged;
use super::{OpenTenant, blob, in_snapshot, reach, rows, search, sight};
use crate::{Entry, Method, Mode, PageRequest, Result, StoreError, Stored};

/// Nesting that no stored resource passes, whatever limit it came in under.
const DEPTH_MAX: usize = 1_024;

/// The page would hold too many bytes at once; a smaller `_count` helps.
pub(crate) fn page_too_large(max: u64) -> StoreError {
    StoreError::Limit {
        code: Code::LimitQuery,
        limit: "page_bytes_max",
        max,
    }
}

/// Finds a page and reads its resources, in one snapshot; with the row numbers of those that leave.
pub(crate) fn searched(
    tenant: &Arc<OpenTenant>,
    db: &Connection,
    ticket: Ticket,
    spent: &Spent<Search>,
    query: &Query,
    page: &PageRequest,
) -> Result<(Vec<Entry>, Vec<i64>, search::Found)> {
    let known = tenant.reaches.ticket();
    in_snapshot(db, || {
        let newest = rows::last_seq(db)?;
        let tickets = (ticket, known);
        searched_at((tenant, db, tickets, newest), spent, query, page, None)
    })
}

/// The same inside a snapshot that is open, with its newest change; the tickets were taken before it. `until`: gives up with
/// `limit-time` after that moment of the monotonic clock.
pub(crate) fn searched_at(
    (tenant, db, (ticket, known), newest): (
        &Arc<OpenTenant>,
        &Connection,
        (Ticket, reach::Ticket),
        Seq,
    ),
    spent: &Spent<Search>,
    query: &Query,
    page: &PageRequest,
    until: Option<Micros>,
) -> Result<(Vec<Entry>, Vec<i64>, search::Found)> {
    let limits = &tenant.shared.config.limits;
    let mut found = search::page(tenant, db, spent, query, page, (newest, Some(known)))?;
    let (mut left_out, mut opened) = (0, false);
    let matches = found.matches.iter().enumerate();
    let matches = matches.map(|(at, m)| (m.0, Mode::Match, at, None));
    let more = &found.included;
    let current = more.rows.iter().filter(|m| !more.replaced.contains(&m.0));
    let current = current.map(|m| (m.0, Mode::Include, usize::MAX, None));
    let older = more.versions.iter();
    let older = older.map(|(rid, v)| (*rid, Mode::Include, usize::MAX, Some(*v)));
    let included = current.chain(older);
    let mut entries = Vec::with_capacity(found.matches.len() + more.rows.len());
    let mut rows = Vec::with_capacity(entries.capacity());
    let mut bytes = 0u64;
    for (rid, mode, at, version) in matches.chain(included) {
        if until.is_some_and(|until| tenant.shared.clock.monotonic() > until) {
            return Err(out_of_time());
        }
        if found.withdrawn.contains(&rid) {
            continue;
        }
        if tenant.quarantine.is_left_out(rid) {
            left_out += 1;
            continue;
        }
        let stored = match version {
            None => rows::as_of(tenant, db, rid, found.as_of, ticket),
            Some(version) => rows::older(tenant, db, rid, version),
        };
        let stored = match stored {
            Err(e) if e.code() == Code::ResourceQuarantined => {
                left_out += 1;
                continue;
            }
            other => other?,
        };
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
            // That a row is reached was asked of its current version.
            let asked = |r: &&Arc<Rule>| version.is_some() || r.hidden().is_some();
            let stored = match spent.rule(stored.type_id).filter(asked) {
                None => stored,
                Some(rule) => {
                    // By what leads to it now, whatever the page shows.
                    let place = (rid, newest);
                    let seen = sight::seen(tenant, db, rule, place, &stored)?;
                    match seen.of(stored)? {
                        Some(stored) => stored,
                        None => continue,
                    }
                }
            };
            let rule = spent.rule(stored.type_id).map(|rule| &**rule);
            let place = (rid, newest);
            opened = opened || sight::by_opening(tenant, db, rule, place, stored.type_id)?;
            let stored = match blob::whole(tenant, db, stored) {
                Err(e) if e.code() == Code::ResourceQuarantined => {
                    left_out += 1;
                    continue;
                }
                other => other?,
            };
            let (stored, within) = match found.places.get(at) {
                Some(place) if *place > 0 => contained(tenant.model, stored, *place)?,
                _ => (stored, None),
            };
            let resource = spent.release(stored.type_id, stored);
            entries.push(Entry {
                resource,
                mode,
                score: found.scores.get(at).copied(),
                made: false,
                within,
            });
            rows.push(rid);
        }
    }
    (found.left_out, found.opened) = (left_out, opened);
    Ok((entries, rows, found))
}

/// The resource at this place in another one, alone, and what that one is.
fn contained(
    model: &Model,
    container: Stored,
    place: u16,
) -> Result<(Stored, Option<(TypeId, ResourceId)>)> {
    let document = fhir::json::parse(&container.body, DEPTH_MAX)
        .map_err(|_| damaged("a stored resource cannot be read"))?;
    let inner = document.root().get("contained");
    let inner = inner.and_then(|all| all.items().nth(usize::from(place) - 1));
    let text = |name: &str| inner.and_then(|i| i.get(name)).and_then(Value::as_str);
    let type_id = text("resourceType").and_then(|name| model.type_id(&name));
    let id = text("id").and_then(|id| ResourceId::new(&id).ok());
    let (Some(inner), Some(type_id), Some(id)) = (inner, type_id, id) else {
        // Without a name of its own it cannot be told from what contains it.
        return Ok((container, None));
    };
    let body = Bytes::copy_from_slice(inner.raw().as_bytes());
    let within = (container.type_id, container.id.clone());
    let stored = Stored {
        type_id,
        id,
        body,
        data: None,
        ..container
    };
    Ok((stored, Some(within)))
}

/// The time that was given for an attempt is over.
fn out_of_time() -> StoreError {
    StoreError::Refused(
        Code::LimitTime,
        "the attempt took longer than an attempt may".to_owned(),
    )
}
