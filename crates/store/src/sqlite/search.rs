//! Answers a typed query from the index tables.
//!
//! Works inside a read transaction that the caller has open, under a deadline that the caller's
//! progress handler keeps. Knows nothing of bodies.

mod facts;
mod include;
mod position;
#[cfg(test)]
mod tests;

use access::{Search, Spent};
use base::{Code, Limits, Seq};
use fhir::definitions::{Model, TypeId};
use fhir::search::Query;
use fhir::search::query::Total;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use super::fault::of_sql;
use super::index::{Vocabulary, horizon};
use crate::plan::text::{Bind, Statement};
use crate::plan::{Bounds, Choice, Order, Place, View, choose, conditions, order};
use crate::{PageRequest, Position, Result, StoreError};
use facts::Data;

/// Types searched at once from which on it is asked first which of them the tenant has.
const TYPES_ASKED: usize = 4;
/// Statements longer than this are not kept prepared.
const KEPT_BYTES_MAX: usize = 8 << 10;

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
pub(crate) fn page(
    conn: &Connection,
    vocabulary: &Vocabulary,
    model: &Model,
    limits: &Limits,
    spent: &Spent<Search>,
    query: &Query,
    request: &PageRequest,
) -> Result<Found> {
    let surroundings = Surroundings {
        conn,
        vocabulary,
        model,
        limits,
        spent,
    };
    surroundings.page(query, request, Bounds::MEASURED)
}

/// Where a search runs.
struct Surroundings<'a> {
    conn: &'a Connection,
    vocabulary: &'a Vocabulary,
    model: &'a Model,
    limits: &'a Limits,
    spent: &'a Spent<Search>,
}

impl Surroundings<'_> {
    fn page(&self, query: &Query, request: &PageRequest, bounds: Bounds) -> Result<Found> {
        let Self {
            conn,
            vocabulary,
            model,
            limits,
            spent,
        } = *self;
        let as_of = as_of(conn, request)?;
        let after = request.after.as_ref().map(position::read).transpose()?;
        let mut data = Data {
            conn,
            vocabulary,
            view: View {
                as_of: seq_number(as_of),
                bounds,
            },
        };
        let view = data.view;
        let order = Order::of(&query.sort)?;
        if after
            .as_ref()
            .is_some_and(|(place, _)| place.keys.len() != order.len())
        {
            return Err(position::invalid());
        }
        let (choices, order) = choices(query, order, spent, &mut data)?;

        let known_total = after.as_ref().and_then(|(_, total)| *total);
        let place = after.map(|(place, _)| place);
        let (mut found, more) = if query.count == 0 {
            (Vec::new(), false)
        } else {
            let limit = u64::from(query.count);
            rows(conn, &choices, &order, place.as_ref(), limit, view)?
        };
        let complete = place.is_none() && query.count > 0 && !more;
        let total = match (known_total, complete, query.total) {
            (Some(total), ..) => Some(total),
            (None, true, _) => Some(found.len() as u64),
            (None, false, Total::Accurate) => Some(data.count(&order::total(&choices, view))?),
            (None, false, _) if query.count == 0 => {
                Some(data.count(&order::total(&choices, view))?)
            }
            _ => None,
        };
        let next = match found.last() {
            Some(last) if more => Some(position::write(last, total)),
            _ => None,
        };
        let types: Vec<TypeId> = choices.iter().map(|c| c.type_id).collect();
        let matches = found
            .drain(..)
            .map(|p| Ok((p.rid, type_of(conn, &types, p.rid)?)));
        let matches = matches.collect::<Result<Vec<_>>>()?;
        let included = include::included(conn, model, limits, spent, query, &matches, view.as_of)?;
        Ok(Found {
            matches,
            included,
            total,
            next,
            as_of,
        })
    }
}

fn seq_number(seq: Seq) -> i64 {
    i64::try_from(seq.0).unwrap_or(i64::MAX)
}

fn as_of(conn: &Connection, request: &PageRequest) -> Result<Seq> {
    match request.as_of {
        None => {
            let newest = conn
                .prepare_cached("SELECT coalesce(max(seq), 0) FROM change")
                .and_then(|mut s| s.query_row([], |r| r.get::<_, i64>(0)))
                .map_err(|e| failed(&e))?;
            Ok(Seq(u64::try_from(newest).unwrap_or(0)))
        }
        Some(seq) if seq < horizon(conn).map_err(|e| failed(&e))? => Err(StoreError::Refused(
            Code::CursorExpired,
            "the paging link is older than what is kept for it".to_owned(),
        )),
        Some(seq) => Ok(seq),
    }
}

/// How each type that may be touched is searched, and the order narrowed to those types.
fn choices(
    query: &Query,
    order: Order,
    spent: &Spent<Search>,
    data: &mut Data<'_>,
) -> Result<(Vec<Choice>, Order)> {
    let mut types: Vec<(usize, TypeId)> = query
        .types
        .iter()
        .copied()
        .enumerate()
        .filter(|(_, t)| spent.allows(*t))
        .collect();
    types.dedup_by_key(|t| t.1);
    if types.len() > TYPES_ASKED {
        let present = data.types()?;
        types.retain(|(_, t)| present.contains(&i64::from(t.0)));
    }
    let mut kept = Vec::new();
    let mut choices = Vec::new();
    for (at, type_id) in types {
        let conds = conditions(&query.filter, at, spent, data)?;
        let shape = data.vocabulary.shape();
        if let Some(choice) = choose(type_id, conds, shape, !order.newest_first(), data)? {
            kept.push(at);
            choices.push(choice);
        }
    }
    Ok((choices, order.only(&kept)))
}

/// The resources after a place, at most `limit`, and whether there are more.
fn rows(
    conn: &Connection,
    choices: &[Choice],
    order: &Order,
    after: Option<&Place>,
    limit: u64,
    view: View,
) -> Result<(Vec<Place>, bool)> {
    let mut found = Vec::new();
    for statement in order::page(choices, order, after, limit + 1, view) {
        let more = run(conn, &statement, |row| {
            let keys = (1..=order.len())
                .map(|at| key(row, at))
                .collect::<rusqlite::Result<_>>()?;
            found.push(Place {
                keys,
                rid: row.get(0)?,
            });
            Ok(found.len() as u64 <= limit)
        })?;
        if !more {
            break;
        }
    }
    let more = found.len() as u64 > limit;
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok((found, more))
}

/// A column of an answer; one that the statement does not have is no value.
fn key(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Bind>> {
    let value = match row.get_ref(at) {
        Err(rusqlite::Error::InvalidColumnIndex(_)) => return Ok(None),
        other => other?,
    };
    Ok(match value {
        ValueRef::Null => None,
        ValueRef::Integer(i) => Some(Bind::Int(i)),
        ValueRef::Real(r) => Some(Bind::real(r)),
        ValueRef::Text(t) => Some(Bind::text(&String::from_utf8_lossy(t))),
        ValueRef::Blob(b) => b.try_into().ok().map(Bind::Uuid),
    })
}

/// Runs a statement until `each` says no; whether it never did.
fn run(
    conn: &Connection,
    statement: &Statement,
    mut each: impl FnMut(&Row<'_>) -> rusqlite::Result<bool>,
) -> Result<bool> {
    #[cfg(test)]
    tests::RAN.with_borrow_mut(|ran| ran.push(statement.clone()));
    let mut run = || {
        if statement.text.len() > KEPT_BYTES_MAX {
            let mut s = conn.prepare(&statement.text)?;
            return step(&mut s, &statement.binds, &mut each);
        }
        let mut s = conn.prepare_cached(&statement.text)?;
        step(&mut s, &statement.binds, &mut each)
    };
    run().map_err(|e| failed(&e))
}

fn step(
    statement: &mut rusqlite::Statement<'_>,
    binds: &[Bind],
    each: &mut impl FnMut(&Row<'_>) -> rusqlite::Result<bool>,
) -> rusqlite::Result<bool> {
    for (at, bind) in binds.iter().enumerate() {
        match bind {
            Bind::Int(i) => statement.raw_bind_parameter(at + 1, i)?,
            Bind::Real(bits) => statement.raw_bind_parameter(at + 1, f64::from_bits(*bits))?,
            Bind::Text(t) => statement.raw_bind_parameter(at + 1, t)?,
            Bind::Uuid(u) => statement.raw_bind_parameter(at + 1, u.as_slice())?,
        }
    }
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        if !each(row)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn type_of(conn: &Connection, types: &[TypeId], rid: i64) -> Result<TypeId> {
    if let [one] = types {
        return Ok(*one);
    }
    conn.prepare_cached("SELECT type FROM resource WHERE rid = ?1")
        .and_then(|mut s| s.query_row([rid], |r| r.get(0)))
        .map(TypeId)
        .map_err(|e| failed(&e))
}

/// The store's error for a failure of the engine.
fn failed(error: &rusqlite::Error) -> StoreError {
    of_sql("searching", error)
}
