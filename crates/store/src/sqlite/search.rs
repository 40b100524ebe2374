//! Answers a typed query from the index tables.
//!
//! Works inside a read transaction that the caller has open, under a deadline that the caller's
//! progress handler keeps. Knows nothing of bodies.

mod facts;
mod include;
mod position;
mod remembering;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use access::{Search, Spent};
use base::{Code, Limits, Seq};
use fhir::definitions::{Model, ParamId, TypeId};
use fhir::search::query::{Clause, Contained, SortBy, Total};
use fhir::search::rows::{CONTAINED_MAX, contained};
use fhir::search::{Customs, Query};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use super::fault::of_sql;
use super::index::{PLACE_BITS, Vocabulary, horizon, row_of};
use super::reach::{Reaches, Ticket};
use super::tenant::OpenTenant;
use crate::plan::cond::within;
use crate::plan::contained::{Inside, all};
use crate::plan::drive::Driver;
use crate::plan::select::probe;
use crate::plan::text::{Bind, Binds, Statement, json};
use crate::plan::{
    Bounds, Choice, Cond, Facts, For, Order, Place, View, choose, conditions, order, score,
};
use crate::{PageRequest, Position, Result, StoreError};
use facts::{Data, Memory};
pub(crate) use remembering::{begin_to_remember, remembered};

/// Types searched at once from which on it is asked first which of them the tenant has.
const TYPES_ASKED: usize = 4;
/// Statements longer than this are not kept prepared.
const KEPT_BYTES_MAX: usize = 8 << 10;

/// What a search found: rows of `resource`, not yet read.
#[derive(Debug)]
pub(crate) struct Found {
    /// Matches in order.
    pub(crate) matches: Vec<(i64, TypeId)>,
    /// For each match, which of its contained resources it is (from 1), 0 for the resource itself;
    /// empty where no contained resources are answered.
    pub(crate) places: Vec<u16>,
    /// How well each match fits; empty where the search says nothing about it.
    pub(crate) scores: Vec<f64>,
    /// Included resources, none of them a match of this page.
    pub(crate) included: include::Included,
    /// Matches on all pages, where it was asked for or came for free.
    pub(crate) total: Option<u64>,
    /// Where the next page starts.
    pub(crate) next: Option<Position>,
    /// The change that all pages show.
    pub(crate) as_of: Seq,
    /// Rows of the page that are kept apart; known when their bodies were read.
    pub(crate) left_out: u32,
    /// Only the opening of a patient led to some of them; known when their bodies were read.
    pub(crate) opened: bool,
    /// Rows of a later page that policy does not reach any more.
    pub(crate) withdrawn: HashSet<i64>,
}

/// One page of a search, in a snapshot whose newest change is `newest`. With a ticket that was taken before
/// the snapshot, what is remembered of policy is used and added to.
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
    (newest, ticket): (Seq, Option<Ticket>),
) -> Result<Found> {
    let own = tenant.customs();
    let surroundings = Surroundings {
        conn,
        vocabulary: &tenant.vocabulary,
        model: tenant.model,
        own: &own,
        limits: &tenant.shared.config.limits,
        spent,
        memory: ticket.map(|ticket| (&tenant.reaches, ticket)),
    };
    surroundings.answer(query, (request, newest), bounds_of(tenant))
}

fn bounds_of(tenant: &OpenTenant) -> Bounds {
    let limits = &tenant.shared.config.limits;
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    Bounds {
        hierarchy: size(limits.search_hierarchy_max),
        positions: size(limits.search_positions_max),
        quarantine: !tenant.quarantine.is_empty(),
        ..Bounds::MEASURED
    }
}

/// Which of these rows, all of one type, meet a clause that policy asks, as of a change. The rows of
/// `apart` are no evidence for others.
pub(crate) fn meeting(
    tenant: &OpenTenant,
    conn: &Connection,
    clause: &Clause,
    type_id: TypeId,
    (rids, apart): (&[i64], &[i64]),
    as_of: Seq,
) -> Result<HashSet<i64>> {
    let own = tenant.customs();
    let place = (conn, &tenant.vocabulary, tenant.model, &*own);
    let view = View {
        as_of: seq_number(as_of),
        bounds: bounds_of(tenant),
    };
    met(place, view, clause, type_id, (rids, apart))
}

/// The values of a statement that begins with the change that it answers as of.
pub(crate) fn binds(tenant: &OpenTenant, as_of: Seq) -> Binds {
    Binds::as_of(seq_number(as_of), bounds_of(tenant))
}

/// The condition that rows of a table, under this name with `rid` and `type`, are of resources that a
/// search finds as of a change, for whoever brings the permit.
///
/// # Errors
/// `cursor-expired`, `limit-query`, `storage-fault`.
pub(crate) fn found_of(
    alias: &str,
    (tenant, conn): (&OpenTenant, &Connection),
    spent: &Spent<Search>,
    query: &Query,
    seq: Seq,
    binds: &mut Binds,
) -> Result<String> {
    let request = PageRequest {
        as_of: Some(seq),
        ..PageRequest::default()
    };
    let own = tenant.customs();
    let mut data = Data {
        conn,
        vocabulary: &tenant.vocabulary,
        model: tenant.model,
        own: &own,
        view: View {
            as_of: seq_number(as_of(conn, &request, seq)?),
            bounds: bounds_of(tenant),
        },
        memory: None,
        denied: false,
    };
    let mut each = Vec::new();
    for (at, type_id) in query.types.iter().copied().enumerate() {
        if !spent.allows(type_id) {
            continue;
        }
        let whom = For::Caller(spent.sight());
        let conds = conditions(&query.filter, (at, type_id), whom, &mut data)?;
        let there = crate::plan::select::is_there(type_id, &format!("{alias}.rid"), 0);
        let holds = probe(
            &Cond::All(conds),
            type_id,
            &format!("{alias}.rid"),
            0,
            binds,
        );
        each.push(format!(
            "({alias}.type = {} AND {there} AND {holds})",
            type_id.0
        ));
    }
    Ok(crate::plan::text::joined(&each, "OR", "0"))
}

/// The parameter of the URL by which resources of a type may be named by a reference parameter, if it holds
/// canonicals.
pub(crate) fn url_of(tenant: &OpenTenant, param: ParamId, target: TypeId) -> Option<i64> {
    let own = tenant.customs();
    facts::canonical((tenant.model, &own), param, target).map(|(url, _)| url)
}

/// Whether there is a resource in a row, as of a change.
pub(crate) fn is_there(
    conn: &Connection,
    (type_id, rid): (TypeId, i64),
    as_of: Seq,
) -> Result<bool> {
    let binds = vec![Bind::Int(seq_number(as_of)), Bind::Int(rid)];
    let there = crate::plan::select::is_there(type_id, "?2", 0);
    let text = format!("SELECT 1 WHERE {there}");
    let mut found = false;
    run(conn, &Statement { text, binds }, |_| {
        found = true;
        Ok(false)
    })?;
    Ok(found)
}

fn met(
    (conn, vocabulary, model, own): (&Connection, &Vocabulary, &'static Model, &Customs),
    view: View,
    clause: &Clause,
    type_id: TypeId,
    (rids, apart): (&[i64], &[i64]),
) -> Result<HashSet<i64>> {
    let mut data = Data {
        conn,
        vocabulary,
        model,
        own,
        view,
        memory: None,
        denied: false,
    };
    let conds = conditions(
        std::slice::from_ref(clause),
        (0, type_id),
        For::Policy,
        &mut data,
    )?;
    let mut binds = Binds::as_of(view.as_of, view.bounds);
    if !apart.is_empty() {
        binds.set_apart(json(apart.iter().copied()));
    }
    let list = binds.place(&json(rids.iter().copied()));
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
    /// The tenant's own parameters.
    own: &'a Customs,
    limits: &'a Limits,
    spent: &'a Spent<Search>,
    /// What is remembered of policy.
    memory: Option<(&'a Reaches, Ticket)>,
}

impl Surroundings<'_> {
    fn page(
        &self,
        query: &Query,
        (request, newest): (&PageRequest, Seq),
        bounds: Bounds,
        memory: Option<&Memory<'_>>,
    ) -> Result<Found> {
        let as_of = as_of(self.conn, request, newest)?;
        let after = request.after.as_ref().map(position::read).transpose()?;
        let mut data = Data {
            conn: self.conn,
            vocabulary: self.vocabulary,
            model: self.model,
            own: self.own,
            view: View {
                as_of: seq_number(as_of),
                bounds,
            },
            memory,
            denied: false,
        };
        let known_total = after.as_ref().and_then(|(_, total)| *total);
        let place = after.map(|(place, _)| place);
        let mut page = match query.contained {
            None => self.own(query, place.as_ref(), known_total, &mut data)?,
            Some(how) => self.inside(query, how, place.as_ref(), known_total, &mut data)?,
        };
        let next = match page.places.last() {
            Some(last) if page.more => Some(position::write(last, page.total)),
            _ => None,
        };
        let scored =
            !query.relevance.is_empty() || query.sort.iter().any(|k| k.by == SortBy::Score);
        let scores = match query.contained {
            None if scored => self.scores(query, &page.matches, data.view)?,
            Some(_) if scored => self.inner_scores(query, &page, data.view)?,
            _ => Vec::new(),
        };
        let reach = |found: &mut Vec<_>, from| self.reached(found, from, (as_of, bounds), memory);
        let around = include::Around {
            conn: self.conn,
            model: self.model,
            own: self.own,
            limits: self.limits,
            spent: self.spent,
            reach: &reach,
        };
        let starts = self.starts(query, &page)?;
        let included = include::included(&around, query, &starts, data.view.as_of)?;
        Ok(Found {
            left_out: 0,
            opened: false,
            withdrawn: HashSet::new(),
            matches: std::mem::take(&mut page.matches),
            places: page.inside,
            scores,
            included,
            total: page.total,
            next,
            as_of,
        })
    }

    /// A page of resources of their own.
    fn own(
        &self,
        query: &Query,
        place: Option<&Place>,
        known_total: Option<u64>,
        data: &mut Data<'_>,
    ) -> Result<Matches> {
        let order = Order::of(&query.sort, &query.relevance)?;
        if place.is_some_and(|place| place.keys.len() != order.len()) {
            return Err(position::invalid());
        }
        let view = data.view;
        let (choices, order) = choices(query, order, self.spent, data)?;
        let (places, more) = match u64::from(query.count) {
            0 => (Vec::new(), false),
            limit => rows(self.conn, &choices, &order, place, limit, view)?,
        };
        let count = || data.count(&order::total(&choices, view));
        let total = total(query, place, known_total, (places.len(), more), count)?;
        let types: Vec<TypeId> = choices.iter().map(|c| c.type_id).collect();
        let hit = |p: &Place| Ok((p.rid, type_of(self.conn, &types, p.rid)?));
        Ok(Matches {
            matches: places.iter().map(hit).collect::<Result<_>>()?,
            inside: Vec::new(),
            places,
            more,
            total,
        })
    }

    /// A page of a search that finds contained resources.
    fn inside(
        &self,
        query: &Query,
        how: Contained,
        place: Option<&Place>,
        known_total: Option<u64>,
        data: &mut Data<'_>,
    ) -> Result<Matches> {
        let order = Order::of(&query.sort, &query.relevance)?;
        if place.is_some_and(|place| place.keys.len() != order.len()) {
            return Err(position::invalid());
        }
        let view = data.view;
        let id = |t: &TypeId| self.model.param(*t, "_id").map(|p| p.id);
        let ids: Vec<ParamId> = query.types.iter().filter_map(id).collect();
        let inner = self.contained_choices(query, data)?;
        let own = if how.both {
            choices(query, Order::of(&[], &[])?, self.spent, data)?.0
        } else {
            Vec::new()
        };
        let whom = For::Caller(self.spent.sight());
        let mut holders = Vec::new();
        for type_id in self.model.types() {
            if let Some(cond) = whom.holder(type_id, data)? {
                holders.push((type_id, cond));
            }
        }
        let search = Inside {
            inner: &inner,
            own: &own,
            holders: &holders,
            alone: how.alone,
            ids: &ids,
        };
        let (mut found, limit) = (Vec::new(), u64::from(query.count));
        if limit > 0 {
            let statement = search.page(&order, place, limit + 1, view);
            run(self.conn, &statement, |row| {
                let keys = (1..=order.len())
                    .map(|at| key(row, at))
                    .collect::<rusqlite::Result<_>>()?;
                found.push(Place {
                    keys,
                    rid: row.get(0)?,
                });
                Ok(true)
            })?;
        }
        let more = found.len() as u64 > limit;
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let count = || data.count(&search.total(view));
        let total = total(query, place, known_total, (found.len(), more), count)?;
        let rid = |place: &Place| place.rid >> PLACE_BITS;
        let hit = |place: &Place| Ok((rid(place), type_of(self.conn, &[], rid(place))?));
        let last = (1 << PLACE_BITS) - 1;
        Ok(Matches {
            matches: found.iter().map(hit).collect::<Result<_>>()?,
            inside: found
                .iter()
                .map(|place| u16::try_from(place.rid & last).unwrap_or(0))
                .collect(),
            places: found,
            more,
            total,
        })
    }

    /// How contained resources of each type are found.
    fn contained_choices(&self, query: &Query, data: &mut Data<'_>) -> Result<Vec<Choice>> {
        let id = |t: &TypeId| self.model.param(*t, "_id").map_or(ParamId(0), |p| p.id);
        let ids: Vec<ParamId> = query.types.iter().map(id).collect();
        let filter: Vec<Clause> = query.filter.iter().map(|c| within(c, &ids)).collect();
        let mut found = Vec::new();
        for (at, type_id) in query.types.iter().enumerate() {
            let Some(id) = data.contains(*type_id)? else {
                continue;
            };
            let whom = For::Caller(self.spent.sight());
            if !self.spent.allows(*type_id) || !whom.sees_whole(*type_id) {
                continue;
            }
            let conds = conditions(&filter, (at, *type_id), whom, data)?;
            let shape = data.vocabulary.shape();
            if let Some(mut choice) = choose(*type_id, conds, shape, true, data)? {
                if choice.driver == Driver::Type {
                    choice.driver = all(id);
                }
                found.push(choice);
            }
        }
        Ok(found)
    }

    fn data<'d>(&'d self, view: View, memory: Option<&'d Memory<'d>>) -> Data<'d> {
        Data {
            conn: self.conn,
            vocabulary: self.vocabulary,
            model: self.model,
            own: self.own,
            view,
            memory,
            denied: false,
        }
    }

    /// What includes start from: the matches, or the index rows of contained ones that are answered
    /// alone, each with its type.
    fn starts(&self, query: &Query, page: &Matches) -> Result<Vec<(i64, TypeId)>> {
        let alone = page.inside.iter().any(|place| *place > 0);
        if query.include.is_empty() || !alone {
            return Ok(page.matches.clone());
        }
        let mut starts = Vec::with_capacity(page.matches.len());
        for (hit, place) in page.matches.iter().zip(&page.inside) {
            if *place == 0 {
                starts.push(*hit);
                continue;
            }
            let row = row_of(hit.0, *place);
            for type_id in &query.types {
                let id = self
                    .model
                    .param(*type_id, "_id")
                    .map_or(ParamId(0), |p| p.id);
                if query.types.len() == 1 || self.has_row(row, contained(id))? {
                    starts.push((row, *type_id));
                    break;
                }
            }
        }
        Ok(starts)
    }

    fn has_row(&self, rid: i64, param: ParamId) -> Result<bool> {
        self.conn
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM ix_token WHERE rid = ?1 AND param = ?2)")
            .and_then(|mut s| s.query_row((rid, param.0), |row| row.get(0)))
            .map_err(|e| failed(&e))
    }

    /// How well each of the matches fits: what is contained counts, of several within one resource
    /// the best.
    fn inner_scores(&self, query: &Query, page: &Matches, view: View) -> Result<Vec<f64>> {
        let last = CONTAINED_MAX;
        let both = query.contained.is_some_and(|how| how.both);
        let mut scores = Vec::with_capacity(page.matches.len());
        for ((rid, _), place) in page.matches.iter().zip(&page.inside) {
            let (own, inside) = match *place {
                // Of themselves resources count only where they are searched.
                0 => (
                    if both { *rid } else { 0 },
                    (row_of(*rid, last), row_of(*rid, 1)),
                ),
                place => (row_of(*rid, place), (0, -1)),
            };
            let statement = score::best(&query.relevance, own, inside, view);
            let mut found = 0.0;
            run(self.conn, &statement, |row| {
                found = row.get(0)?;
                Ok(true)
            })?;
            scores.push(found);
        }
        Ok(scores)
    }

    /// How well each of these matches fits.
    fn scores(&self, query: &Query, matches: &[(i64, TypeId)], view: View) -> Result<Vec<f64>> {
        let rids: Vec<i64> = matches.iter().map(|m| m.0).collect();
        let mut found = HashMap::with_capacity(rids.len());
        let statement = score::scores(&query.relevance, &rids, view);
        run(self.conn, &statement, |row| {
            found.insert(row.get::<_, i64>(0)?, row.get::<_, f64>(1)?);
            Ok(true)
        })?;
        let score = |rid: &i64| found.get(rid).copied().unwrap_or(0.0);
        Ok(rids.iter().map(score).collect())
    }
}

/// Matches of a page.
struct Matches {
    matches: Vec<(i64, TypeId)>,
    inside: Vec<u16>,
    places: Vec<Place>,
    /// There are more behind them.
    more: bool,
    total: Option<u64>,
}

/// The number of matches on all pages, where it is wanted or known. `found`: how many are on this
/// page, and whether there are more.
fn total(
    query: &Query,
    place: Option<&Place>,
    known: Option<u64>,
    (found, more): (usize, bool),
    count: impl FnOnce() -> Result<u64>,
) -> Result<Option<u64>> {
    let complete = place.is_none() && query.count > 0 && !more;
    Ok(match (known, complete, query.total) {
        (Some(total), ..) => Some(total),
        (None, true, _) => Some(found as u64),
        (None, false, Total::Accurate | Total::Estimate) => Some(count()?),
        (None, false, _) if query.count == 0 => Some(count()?),
        _ => None,
    })
}

fn seq_number(seq: Seq) -> i64 {
    i64::try_from(seq.0).unwrap_or(i64::MAX)
}

fn as_of(conn: &Connection, request: &PageRequest, newest: Seq) -> Result<Seq> {
    match request.as_of {
        None => Ok(newest),
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
    // Pages are small; what is counted is not gathered beforehand.
    let mut found = Vec::with_capacity(usize::try_from(limit).map_or(64, |n| n.min(63) + 1));
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
        statement.raw_bind_parameter(at + 1, bind)?;
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
