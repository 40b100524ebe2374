//! Answers a typed query from the index tables.
//!
//! Works inside a read transaction that the caller has open, under a deadline that the caller's
//! progress handler keeps. Knows nothing of bodies.

mod facts;
mod include;
mod position;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use access::{Search, Spent};
use base::{Code, Limits, Seq};
use bytes::Bytes;
use fhir::definitions::{Model, TypeId};
use fhir::search::Query;
use fhir::search::query::{Clause, Total};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use super::fault::of_sql;
use super::index::{Vocabulary, horizon};
use super::tenant::OpenTenant;
use crate::plan::select::probe;
use crate::plan::text::{Bind, Binds, Statement};
use crate::plan::{Bounds, Choice, Cond, For, Order, Place, View, choose, conditions, order};
use crate::{PageRequest, Position, Result, StoreError};
use facts::Data;

/// Types searched at once from which on it is asked first which of them the tenant has.
const TYPES_ASKED: usize = 4;
/// Resources whose content is looked at between two statements.
const CONTENT_ROWS: u64 = 200;
/// Nesting that no stored resource passes, whatever limit it came in under.
const CONTENT_DEPTH_MAX: usize = 1_024;
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

/// The body of a resource as of the change that a search shows, by its row.
pub(crate) type Bodies<'a> = &'a dyn Fn(i64, Seq) -> Result<Option<Bytes>>;

/// One page of a search.
///
/// # Errors
/// `cursor-invalid`, `cursor-expired` (as of a change whose rows are swept), `limit-time`,
/// `limit-query` for too many includes, `storage-fault`.
pub(crate) fn page(
    tenant: &OpenTenant,
    conn: &Connection,
    spent: &Spent<Search>,
    query: &Query,
    request: &PageRequest,
    bodies: Bodies<'_>,
) -> Result<Found> {
    let surroundings = Surroundings {
        conn,
        vocabulary: &tenant.vocabulary,
        model: tenant.model,
        limits: &tenant.shared.config.limits,
        spent,
        bodies,
    };
    surroundings.page(query, request, bounds_of(surroundings.limits))
}

fn bounds_of(limits: &Limits) -> Bounds {
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    Bounds {
        hierarchy: size(limits.search_hierarchy_max),
        positions: size(limits.search_positions_max),
        ..Bounds::MEASURED
    }
}

/// Which of these rows, all of one type, meet a clause that policy asks, as of a change.
pub(crate) fn meeting(
    tenant: &OpenTenant,
    conn: &Connection,
    clause: &Clause,
    type_id: TypeId,
    rids: &[i64],
    as_of: Seq,
) -> Result<HashSet<i64>> {
    let place = (conn, &tenant.vocabulary, tenant.model);
    met(
        place,
        &tenant.shared.config.limits,
        clause,
        type_id,
        rids,
        as_of,
    )
}

fn met(
    (conn, vocabulary, model): (&Connection, &Vocabulary, &'static Model),
    limits: &Limits,
    clause: &Clause,
    type_id: TypeId,
    rids: &[i64],
    as_of: Seq,
) -> Result<HashSet<i64>> {
    let view = View {
        as_of: seq_number(as_of),
        bounds: bounds_of(limits),
    };
    let mut data = Data {
        conn,
        vocabulary,
        model,
        view,
    };
    let conds = conditions(
        std::slice::from_ref(clause),
        (0, type_id),
        For::Policy,
        &mut data,
    )?;
    let mut binds = Binds::as_of(view.as_of, view.bounds);
    let list = binds.place(&include::json(rids.iter().copied()));
    let holds = probe(&Cond::All(conds), type_id, "j.value", 0, &mut binds);
    let statement = binds.finish(&format!(
        "SELECT j.value FROM json_each({list}) AS j WHERE {holds}"
    ));
    let mut found = HashSet::new();
    run(conn, &statement, |row| {
        found.insert(row.get(0)?);
        Ok(true)
    })?;
    Ok(found)
}

/// Where a search runs.
struct Surroundings<'a> {
    conn: &'a Connection,
    vocabulary: &'a Vocabulary,
    model: &'static Model,
    limits: &'a Limits,
    spent: &'a Spent<Search>,
    bodies: Bodies<'a>,
}

impl Surroundings<'_> {
    fn page(&self, query: &Query, request: &PageRequest, bounds: Bounds) -> Result<Found> {
        let Self {
            conn,
            vocabulary,
            model,
            limits,
            spent,
            bodies: _,
        } = *self;
        let as_of = as_of(conn, request)?;
        let after = request.after.as_ref().map(position::read).transpose()?;
        let mut data = Data {
            conn,
            vocabulary,
            model,
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
            self.rows(query, (&choices, &order), place.as_ref(), limit, view)?
        };
        let complete = place.is_none() && query.count > 0 && !more;
        let total = match (known_total, complete, query.total) {
            (Some(total), ..) => Some(total),
            (None, true, _) => Some(found.len() as u64),
            // What is asked of whole resources is counted by looking at them.
            (None, false, Total::Accurate) if !query.content.is_empty() => {
                let all = self.rows(query, (&choices, &order), None, u64::MAX - 1, view)?;
                Some(all.0.len() as u64)
            }
            (None, false, Total::Accurate | Total::Estimate) if query.content.is_empty() => {
                Some(data.count(&order::total(&choices, view))?)
            }
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
        let reach = |found: &mut Vec<_>, from| self.reached(found, from, as_of);
        let around = include::Around {
            conn,
            model,
            limits,
            spent,
            reach: &reach,
        };
        let included = include::included(&around, query, &matches, view.as_of)?;
        Ok(Found {
            matches,
            included,
            total,
            next,
            as_of,
        })
    }
}

impl Surroundings<'_> {
    /// Of included resources from a place on, keeps those that the permit reaches.
    fn reached(&self, included: &mut Vec<(i64, TypeId)>, from: usize, as_of: Seq) -> Result<()> {
        let sight = self.spent.sight();
        let new = included.split_off(from.min(included.len()));
        let mut types: Vec<TypeId> = new.iter().map(|(_, t)| *t).collect();
        types.sort_unstable();
        types.dedup();
        let mut hidden = HashSet::new();
        for type_id in types {
            let Some(clause) = sight.rule(type_id).and_then(|rule| rule.filter()) else {
                continue;
            };
            let of_type = new.iter().filter(|(_, t)| *t == type_id);
            let rids: Vec<i64> = of_type.map(|(rid, _)| *rid).collect();
            let place = (self.conn, self.vocabulary, self.model);
            let seen = met(place, self.limits, clause, type_id, &rids, as_of)?;
            hidden.extend(rids.into_iter().filter(|rid| !seen.contains(rid)));
        }
        included.extend(new.into_iter().filter(|(rid, _)| !hidden.contains(rid)));
        Ok(())
    }

    /// The resources after a place, at most `limit`, and whether there are more: those of the
    /// index, as far as their content is what is asked for.
    fn rows(
        &self,
        query: &Query,
        (choices, order): (&[Choice], &Order),
        after: Option<&Place>,
        limit: u64,
        view: View,
    ) -> Result<(Vec<Place>, bool)> {
        if query.content.is_empty() {
            return rows(self.conn, choices, order, after, limit, view);
        }
        let as_of = Seq(u64::try_from(view.as_of).unwrap_or(0));
        let mut found = Vec::new();
        let mut after = after.cloned();
        loop {
            let next = after.as_ref();
            let (some, more) = rows(self.conn, choices, order, next, CONTENT_ROWS, view)?;
            after = some.last().cloned();
            for place in some {
                if self.has_content(query, place.rid, as_of)? {
                    found.push(place);
                }
                if found.len() as u64 > limit {
                    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
                    return Ok((found, true));
                }
            }
            if !more {
                return Ok((found, false));
            }
        }
    }

    fn has_content(&self, query: &Query, rid: i64, as_of: Seq) -> Result<bool> {
        let Some(body) = (self.bodies)(rid, as_of)? else {
            return Ok(false);
        };
        let document = fhir::json::parse(&body, CONTENT_DEPTH_MAX)
            .map_err(|_| super::fault::damaged("a stored resource cannot be read"))?;
        Ok(query.content.iter().all(|w| w.hold_in(document.root())))
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
    let mut seen = HashSet::new();
    types.retain(|(_, t)| seen.insert(*t));
    if types.len() > TYPES_ASKED {
        let present = data.types()?;
        types.retain(|(_, t)| present.contains(&i64::from(t.0)));
    }
    let mut kept = Vec::new();
    let mut choices = Vec::new();
    for (at, type_id) in types {
        let whom = For::Caller(spent.sight());
        let conds = conditions(&query.filter, (at, type_id), whom, data)?;
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
