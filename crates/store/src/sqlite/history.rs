//! Pages of histories, in the order of time or against it, from the version table.
//!
//! Row numbers of versions grow with the change sequence, so the position of a page is the last
//! version row on it, and all pages show what the first one saw.

use std::collections::HashMap;
use std::sync::Arc;

use access::{History, Rule, Search, Spent};
use base::{Code, Micros, Seq};
use fhir::definitions::TypeId;
use fhir::search::Query;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use super::blob;
use super::fault::Doing;
use super::index::IdKey;
use super::rows::{self, COLUMNS, Opened};
use super::seal::method_number;
use super::search;
use super::sight::{self, Seen};
use super::tenant::OpenTenant;
use crate::plan::text::{Bind, Binds, json};
use crate::tenant::current_or_last_good;
use crate::{HistoryOf, HistoryRequest, Listed, Method, Position, Result, StoreError, Stored};

/// What a page holds, before it is released.
pub(crate) struct Found {
    pub(crate) stored: Vec<Stored>,
    /// Row numbers of these versions.
    pub(crate) rows: Vec<i64>,
    /// Whether each made the resource: there was none before, or it was deleted.
    pub(crate) made: Vec<bool>,
    pub(crate) total: Option<u64>,
    pub(crate) next: Option<Position>,
    pub(crate) as_of: Seq,
    /// Versions that are not as they were written.
    pub(crate) left_out: u32,
    /// Only the opening of a patient led to some of them.
    pub(crate) opened: bool,
}

const DOING: &str = "reading a history";

/// One page; of resources that a search finds, where there is one. `db` is inside a read transaction.
pub(crate) fn page(
    tenant: &Arc<OpenTenant>,
    db: &Connection,
    spent: &Spent<History>,
    request: &HistoryRequest,
    found_by: Option<(&Spent<Search>, &Query)>,
) -> Result<Found> {
    let as_of = match request.page.as_of {
        Some(seq) => seq,
        None => rows::last_seq(db)?,
    };
    let mut found = Found {
        stored: Vec::new(),
        rows: Vec::new(),
        made: Vec::new(),
        total: None,
        next: None,
        as_of,
        left_out: 0,
        opened: false,
    };
    let mut parts = Parts {
        sql: "v.seq <= ?1".to_owned(),
        binds: search::binds(tenant, as_of),
    };
    match &request.of {
        HistoryOf::Instance(type_id, id) => {
            let rid: Option<i64> = db
                .prepare_cached("SELECT rid FROM resource WHERE type = ?1 AND id = ?2")
                .and_then(|mut s| {
                    s.query_row(params![type_id.0, IdKey::of_id(id)], |r| r.get(0))
                        .optional()
                })
                .doing(DOING)?;
            let rule = spent.rule(*type_id);
            if rid.is_none() && rule.is_none() {
                found.total = Some(0);
                return Ok(found);
            }
            // What is not there is looked for as long as what is there and not seen.
            let rid = rid.unwrap_or(-1);
            if let Some(rule) = rule {
                let now = rows::current_of(tenant, db, rid);
                let now = current_or_last_good(tenant, db, rule, now, rid)?;
                let place = (rid, rows::last_seq(db)?);
                if now.is_none() {
                    sight::asked_in_vain(tenant, db, rule, *type_id, place.1)?;
                }
                let seen = now.map(|o| sight::seen(tenant, db, rule, place, &o.stored));
                if matches!(seen.transpose()?, None | Some(Seen::Not)) {
                    found.total = Some(0);
                    return Ok(found);
                }
            }
            parts.and_number("v.rid =", rid);
        }
        HistoryOf::Type(type_id) => parts.and_number("v.type =", i64::from(type_id.0)),
        HistoryOf::System => parts.shown(tenant, spent),
    }
    if let Some(since) = request.since {
        // Times never go back along the rows, so a row number bounds them.
        parts.and_number("v.vid >=", first_since(db, since)?);
    }
    if let Some((from, to)) = request.at {
        parts.current_at(from, to);
    }
    if let Some(listed) = &request.listed {
        parts.listed(db, listed)?;
    }
    if let Some((finder, query)) = found_by {
        let found = search::found_of("v", (tenant, db), finder, query, as_of, &mut parts.binds)?;
        parts.and(&found);
    }
    let instance = matches!(request.of, HistoryOf::Instance(..));
    let ruled = match &request.of {
        HistoryOf::Instance(type_id, _) | HistoryOf::Type(type_id) => {
            spent.rule(*type_id).is_some()
        }
        HistoryOf::System => tenant.model.types().any(|t| spent.rule(t).is_some()),
    };
    // Versions that are not seen are not counted either.
    if !ruled && (request.count == 0 || instance) {
        let sql = format!("SELECT count(*) FROM version v WHERE {}", parts.sql);
        let asked = parts.binds.clone().finish(&sql);
        let total: i64 = db
            .prepare_cached(&asked.text)
            .and_then(|mut s| s.query_row(params_from_iter(&asked.binds), |r| r.get(0)))
            .doing(DOING)?;
        found.total = u64::try_from(total).ok();
    }
    if request.count > 0 {
        if let Some(after) = &request.page.after {
            let behind = if request.ascending {
                "v.vid >"
            } else {
                "v.vid <"
            };
            parts.and_number(behind, place_of(after)?);
        }
        let spent = ruled.then_some(spent);
        fill(tenant, db, request, &parts, spent, &mut found)?;
        // What stands on one page is counted.
        if request.page.after.is_none() && found.next.is_none() {
            found.total = Some(found.stored.len() as u64);
        }
    } else if ruled {
        fill(tenant, db, request, &parts, Some(spent), &mut found)?;
    }
    Ok(found)
}

/// The condition on versions, `v`.
struct Parts {
    sql: String,
    binds: Binds,
}

impl Parts {
    fn and(&mut self, sql: &str) {
        self.sql.push_str(" AND ");
        self.sql.push_str(sql);
    }

    fn and_number(&mut self, sql: &str, number: i64) {
        let place = self.binds.place(&Bind::Int(number));
        self.and(&format!("{sql} {place}"));
    }

    /// Only versions that were current at some time from `from` to before `to`, as far as it is
    /// known at the change that is asked as of.
    fn current_at(&mut self, from: Micros, to: Micros) {
        self.and_number("v.updated_us <", to.0);
        let from = self.binds.place(&Bind::Int(from.0));
        self.and(&format!(
            "NOT EXISTS (SELECT 1 FROM version n WHERE n.rid = v.rid \
             AND n.version = v.version + 1 AND n.seq <= ?1 AND n.updated_us <= {from})"
        ));
    }

    /// Only these resources and versions.
    fn listed(&mut self, db: &Connection, listed: &[Listed]) -> Result<()> {
        let (mut whole, mut single) = (Vec::new(), Vec::new());
        let mut row = db
            .prepare_cached("SELECT rid FROM resource WHERE type = ?1 AND id = ?2")
            .doing(DOING)?;
        let mut version = db
            .prepare_cached("SELECT vid FROM version WHERE rid = ?1 AND version = ?2")
            .doing(DOING)?;
        for one in listed {
            let of = params![one.type_id.0, IdKey::of_id(&one.id)];
            let rid: Option<i64> = row.query_row(of, |r| r.get(0)).optional().doing(DOING)?;
            let Some(rid) = rid else { continue };
            let Some(number) = one.version else {
                whole.push(rid);
                continue;
            };
            let number = i64::try_from(number.0).unwrap_or(i64::MAX);
            let found = version.query_row(params![rid, number], |r| r.get::<_, i64>(0));
            single.extend(found.optional().doing(DOING)?);
        }
        let whole = self.binds.place(&json(whole.into_iter()));
        let single = self.binds.place(&json(single.into_iter()));
        self.and(&format!(
            "(v.rid IN (SELECT value FROM json_each({whole})) \
             OR v.vid IN (SELECT value FROM json_each({single})))"
        ));
        Ok(())
    }

    /// Only types that the permit shows.
    fn shown(&mut self, tenant: &OpenTenant, spent: &Spent<History>) {
        let shown = |t: &TypeId| spent.shows(*t) && spent.allows(*t);
        let types: Vec<TypeId> = tenant.model.types().filter(shown).collect();
        if types.len() == tenant.model.types().len() {
            return;
        }
        let list: Vec<String> = types.iter().map(|t| t.0.to_string()).collect();
        self.and(&format!("v.type IN ({})", list.join(",")));
    }
}

fn fill(
    tenant: &Arc<OpenTenant>,
    db: &Connection,
    request: &HistoryRequest,
    parts: &Parts,
    ruled: Option<&Spent<History>>,
    found: &mut Found,
) -> Result<()> {
    let count = request.count;
    // Of one resource, versions are in the order of their index; of many, in that of their rows.
    let order = match request.of {
        HistoryOf::Instance(..) => "v.version",
        HistoryOf::Type(_) | HistoryOf::System => "v.vid",
    };
    let direction = if request.ascending { "ASC" } else { "DESC" };
    let deletion = method_number(Method::Delete);
    let sql = format!(
        "SELECT {COLUMNS}, v.vid, v.version = 1 OR EXISTS (SELECT 1 FROM version b
           WHERE b.rid = v.rid AND b.version = v.version - 1 AND b.method = {deletion})
         FROM version v JOIN resource r ON r.rid = v.rid
         WHERE {} ORDER BY {order} {direction} LIMIT {}",
        parts.sql,
        match ruled {
            None => i64::from(count) + 1,
            Some(_) => -1,
        }
    );
    let mut eye = Eye::default();
    let asked = parts.binds.clone().finish(&sql);
    let mut statement = db.prepare_cached(&asked.text).doing(DOING)?;
    let mut rows = statement
        .query(params_from_iter(&asked.binds))
        .doing(DOING)?;
    let (mut last, mut counted) = (0i64, 0u64);
    let (mut bytes, bytes_max) = (0u64, tenant.shared.config.limits.page_bytes_max);
    while let Some(row) = rows.next().doing(DOING)? {
        // A page that is full of bytes ends early.
        if count > 0 && found.stored.len() >= count as usize || bytes > bytes_max {
            found.next = Some(Position(last.to_be_bytes().to_vec()));
            break;
        }
        let place = row.get(13).doing(DOING)?;
        let made: bool = row.get(14).doing(DOING)?;
        let opened = match rows::read(tenant, db, row) {
            Ok(opened) => opened,
            Err(e) if e.code() == Code::ResourceQuarantined => {
                // Whoever reaches a part only is told of what they see.
                let told = match (ruled, row.get(0)) {
                    (None, _) => true,
                    (Some(spent), Ok(rid)) => eye.told_of(tenant, db, spent, rid)?,
                    (Some(_), Err(_)) => false,
                };
                found.left_out += u32::from(told);
                last = place;
                continue;
            }
            Err(e) => return Err(e),
        };
        let rid = opened.rid;
        let stored = match ruled {
            None => Some(opened.stored),
            Some(spent) => eye.seen(tenant, db, spent, opened)?,
        };
        let Some(stored) = stored else { continue };
        let rule = ruled.and_then(|spent| spent.rule(stored.type_id));
        if let Some(rule) = rule.filter(|rule| rule.opens()) {
            let now = (rid, rows::last_seq(db)?);
            let of = stored.type_id;
            found.opened = found.opened || sight::by_opening(tenant, db, Some(rule), now, of)?;
        }
        last = place;
        if count == 0 {
            counted += 1;
            continue;
        }
        let stored = match blob::whole(tenant, db, stored) {
            Err(e) if e.code() == Code::ResourceQuarantined => {
                found.left_out += 1;
                continue;
            }
            other => other?,
        };
        bytes = bytes.saturating_add(stored.body.len() as u64);
        found.stored.push(stored);
        found.rows.push(last);
        found.made.push(made);
    }
    if count == 0 {
        found.total = Some(counted);
    }
    Ok(())
}

/// What is seen of resources that rules reach in part.
#[derive(Default)]
struct Eye {
    /// By row, what is seen of the current version.
    now: HashMap<i64, Seen>,
    /// What was found of resources that older versions refer to.
    far: sight::FoundFar,
}

impl Eye {
    fn seen(
        &mut self,
        tenant: &Arc<OpenTenant>,
        db: &Connection,
        spent: &Spent<History>,
        then: Opened,
    ) -> Result<Option<Stored>> {
        let Some(rule) = spent.rule(then.stored.type_id) else {
            return Ok(Some(then.stored));
        };
        let seen = self.of_row(tenant, db, rule, then.rid)?;
        let then = then.stored;
        if matches!(seen, Seen::Not) {
            return Ok(None);
        }
        let as_of = rows::last_seq(db)?;
        match sight::was_in_reach(tenant, db, rule, (&then, as_of), &mut self.far)? {
            true => seen.of(then),
            false => Ok(None),
        }
    }

    /// What is seen of the resource in a row.
    fn of_row(
        &mut self,
        tenant: &Arc<OpenTenant>,
        db: &Connection,
        rule: &Rule,
        rid: i64,
    ) -> Result<Seen> {
        if let Some(seen) = self.now.get(&rid) {
            return Ok(seen.clone());
        }
        let now = rows::current_of(tenant, db, rid);
        let seen = match current_or_last_good(tenant, db, rule, now, rid)? {
            None => Seen::Not,
            Some(o) => sight::seen(tenant, db, rule, (o.rid, rows::last_seq(db)?), &o.stored)?,
        };
        self.now.insert(rid, seen.clone());
        Ok(seen)
    }

    /// Whether somebody is told of a version in a row that is kept apart.
    fn told_of(
        &mut self,
        tenant: &Arc<OpenTenant>,
        db: &Connection,
        spent: &Spent<History>,
        rid: i64,
    ) -> Result<bool> {
        let Some((type_id, _)) = rows::name_of(db, rid)? else {
            return Ok(false);
        };
        let Some(rule) = spent.rule(type_id) else {
            return Ok(true);
        };
        Ok(!matches!(self.of_row(tenant, db, rule, rid)?, Seen::Not))
    }
}

fn place_of(position: &Position) -> Result<i64> {
    position
        .0
        .as_slice()
        .try_into()
        .map(i64::from_be_bytes)
        .map_err(|_| StoreError::Refused(Code::CursorInvalid, "not a position".to_owned()))
}

/// The first version row made at or after a time.
fn first_since(db: &Connection, since: Micros) -> Result<i64> {
    let bound = |sql: &str| {
        db.prepare_cached(sql)
            .and_then(|mut s| s.query_row([], |r| r.get::<_, i64>(0)))
            .doing(DOING)
    };
    let mut low = bound("SELECT coalesce(min(vid), 1) FROM version")?;
    let mut high = bound("SELECT coalesce(max(vid), 0) + 1 FROM version")?;
    let mut look = db
        .prepare_cached("SELECT updated_us FROM version WHERE vid >= ?1 ORDER BY vid LIMIT 1")
        .doing(DOING)?;
    while low < high {
        let middle = low + (high - low) / 2;
        let at: Option<i64> = look
            .query_row([middle], |r| r.get(0))
            .optional()
            .doing(DOING)?;
        if at.is_some_and(|at| at < since.0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}
