//! What the planner asks of the data, answered by small statements on the connection.

use std::sync::Arc;

use access::Rule;
use base::{Code, Seq};
use fhir::definitions::{Model, ParamId, ParamKind, TypeId};
use fhir::search::query::{Clause, Spot};
use fhir::search::rows::{contained, encloses, plain};
use fhir::search::{Customs, holds_canonicals};
use rusqlite::Connection;

use super::{failed, key, run};
use crate::plan::drive::Driver;
use crate::plan::select::{is_there, key_index};
use crate::plan::text::{Bind, Statement, holds, json};
use crate::plan::{Bounds, Facts, For, Order, View, choose, conditions};
use crate::sqlite::connection::in_part;
use crate::sqlite::index::{IdKey, Table, Vocabulary};
use crate::sqlite::quarantine::is_evidence;
use crate::sqlite::reach::{
    self, Asked as Remembered, Asking, Listing, Reaches, Shape, Ticket, is_worth,
};
use crate::{Result, StoreError};

/// Bytes of the boundaries that one search finds.
const AREA_BYTES_MAX: usize = 32 << 20;

/// One tenant's data as the planner sees it.
pub(super) struct Data<'c> {
    pub(super) conn: &'c Connection,
    pub(super) vocabulary: &'c Vocabulary,
    pub(super) model: &'static Model,
    /// The tenant's own parameters.
    pub(super) own: &'c Customs,
    pub(super) view: View,
    /// What is remembered of policy, where it is asked.
    pub(super) memory: Option<&'c Memory<'c>>,
    /// What is understood now is what must not be: then what is kept apart counts too.
    pub(super) denied: bool,
}

/// What is remembered of policy, for one search.
pub(super) struct Memory<'c> {
    pub(super) reaches: &'c Reaches,
    /// Taken before the snapshot.
    pub(super) ticket: Ticket,
    pub(super) asking: &'c Asking,
    /// The newest change that the snapshot shows.
    pub(super) newest: Seq,
}

/// Rows whose makers are asked for at once.
const AFFECTED_BY_MAX: usize = 64;
/// Rows that may have to be asked about anew because of those.
const AFFECTED_MAX: usize = 20_000;
/// The newest of the rows of a rule by which it is judged whether they are a small part of their type.
const JUDGED_BY: usize = 256;

impl Data<'_> {
    /// Runs a statement that answers one number.
    pub(super) fn count(&self, statement: &Statement) -> Result<u64> {
        let mut count = 0;
        run(self.conn, statement, |row| {
            count = u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0);
            Ok(false)
        })?;
        Ok(count)
    }

    /// The number by which statements ask memory about a rule, if it is remembered.
    pub(super) fn number_of(&mut self, type_id: TypeId, rule: &Rule) -> Result<Option<i64>> {
        let Some(memory) = self.memory else {
            return Ok(None);
        };
        if let Some(number) = memory.asking.number_of(type_id) {
            return Ok(Some(number));
        }
        let place = (memory.reaches, memory.ticket, memory.newest.0);
        let Some(view) = self.known(type_id, rule, place)? else {
            return Ok(None);
        };
        match (view.listing(), rule.filter()) {
            (Listing::Unknown, Some(filter)) => {
                // What costs too much to list is asked about row by row, like what is long.
                let listed = in_part(|| self.list(type_id, filter))?;
                view.list(listed.flatten());
                memory.reaches.make_room();
            }
            (Listing::Later, _) => return Ok(None),
            _ => {}
        }
        Ok(Some(memory.asking.add(view)))
    }

    /// What is remembered of a rule.
    pub(super) fn known(
        &self,
        type_id: TypeId,
        rule: &Rule,
        (reaches, ticket, newest): (&Reaches, Ticket, u64),
    ) -> Result<Option<reach::View>> {
        let Some(asked) = Remembered::of(rule, || self.shape(type_id, rule)) else {
            return Ok(None);
        };
        let as_of = u64::try_from(self.view.as_of).unwrap_or(0);
        reaches.view(ticket, &asked, (as_of, newest), |rids| {
            self.affected(&asked, rids)
        })
    }

    /// What a rule depends on; none where it had better not be remembered.
    pub(super) fn shape(&self, type_id: TypeId, rule: &Rule) -> Option<Shape> {
        let filter = rule.filter()?;
        let worth = is_worth(filter, self.model.type_id("Patient"));
        let canonical = |param, target| self.canonical(param, target).is_some();
        worth.then(|| Shape::of(filter, type_id, &canonical))?
    }

    /// The rows that a rule is to be asked about anew after these rows were written, which it looks at;
    /// none where that may be all.
    fn affected(&self, asked: &Remembered, rids: &[i64]) -> Result<Option<Vec<i64>>> {
        let Some(steps) = asked.steps().filter(|_| rids.len() <= AFFECTED_BY_MAX) else {
            return Ok(None);
        };
        let text = format!(
            "SELECT r.rid FROM json_each(?1) AS j CROSS JOIN resource AS t CROSS JOIN json_each(?2) AS p \
             CROSS JOIN ix_reference AS r INDEXED BY {} WHERE t.rid = j.value \
             AND r.param = p.value AND r.type = t.type AND r.id = t.id",
            key_index(Table::Reference)
        );
        let binds = vec![
            json(rids.iter().copied()),
            json(steps.iter().map(|p| i64::from(p.0))),
        ];
        let mut found = Vec::new();
        let all = run(self.conn, &Statement { text, binds }, |row| {
            found.push(row.get(0)?);
            Ok(found.len() <= AFFECTED_MAX)
        })?;
        Ok(all.then_some(found))
    }

    /// Every row that a rule reaches now; none where those are many.
    fn list(&mut self, type_id: TypeId, filter: &Clause) -> Result<Option<Vec<i64>>> {
        let bounds = self.view.bounds;
        let max = bounds.remembered;
        let wide = Bounds {
            compared: max,
            sorted: max,
            gathered: max,
            inner: max,
            ..bounds
        };
        let mut data = Data {
            memory: None,
            // It is remembered for whatever it is asked.
            denied: false,
            view: View {
                bounds: wide,
                ..self.view
            },
            ..*self
        };
        let filter = std::slice::from_ref(filter);
        let conds = conditions(filter, (0, type_id), For::Policy, &mut data)?;
        let shape = data.vocabulary.shape();
        let Some(choice) = choose(type_id, conds, shape, true, &mut data)? else {
            return Ok(Some(Vec::new()));
        };
        if !choice.few || choice.driver == Driver::Type {
            return Ok(None);
        }
        let order = Order::of(&[], &[])?;
        let (places, more) = super::rows(self.conn, &[choice], &order, None, max, data.view)?;
        let rows: Vec<i64> = places.iter().map(|place| place.rid).collect();
        if more || self.are_dense(type_id, &rows)? {
            return Ok(None);
        }
        Ok(Some(rows))
    }

    /// Whether rows of a type, newest first, are a large part of it, as far as the newest tell.
    fn are_dense(&self, type_id: TypeId, rows: &[i64]) -> Result<bool> {
        let newest = rows.len().min(JUDGED_BY);
        let Some(oldest) = newest.checked_sub(1).and_then(|at| rows.get(at)) else {
            return Ok(false);
        };
        let max = newest * self.view.bounds.sparse;
        let text = format!(
            "SELECT count(*) FROM (SELECT 1 FROM ix_type AS d WHERE d.type = ?2 AND d.rid >= ?3 \
             AND {} LIMIT ?4)",
            holds("d")
        );
        let binds = vec![
            Bind::Int(self.view.as_of),
            Bind::Int(i64::from(type_id.0)),
            Bind::Int(*oldest),
            Bind::Int(i64::try_from(max).unwrap_or(i64::MAX)),
        ];
        Ok(self.count(&Statement { text, binds })? < max as u64)
    }

    /// The types that there are, or were.
    pub(super) fn types(&self) -> Result<Vec<i64>> {
        let mut found = Vec::new();
        let mut last = i64::MIN;
        loop {
            let next: Option<i64> = self
                .conn
                .prepare_cached("SELECT min(type) FROM ix_type WHERE type > ?1")
                .and_then(|mut s| s.query_row([last], |r| r.get(0)))
                .map_err(|e| failed(&e))?;
            match next {
                Some(next) => found.push(next),
                None => return Ok(found),
            }
            last = next.unwrap_or(i64::MAX);
        }
    }
}

/// The parameters of the URL and of the version of a type, if a reference parameter holds canonicals that
/// may name it.
pub(super) fn canonical(
    (model, own): (&'static Model, &Customs),
    param: ParamId,
    target: TypeId,
) -> Option<(i64, i64)> {
    let param = plain(param);
    let from = owner((model, own), param)?;
    let url = model.param(target, "url")?;
    let version = model.param(target, "version").map_or(0, |p| p.id.0);
    let named = url.kind == ParamKind::Uri && holds_canonicals(model, own, from, param);
    named.then_some((i64::from(url.id.0), i64::from(version)))
}

/// The type that a parameter is of.
fn owner((model, own): (&'static Model, &Customs), param: ParamId) -> Option<TypeId> {
    let custom = || own.numbered(param).map(|c| c.definition.type_id);
    model.param_by_id(param).map(|p| p.type_id).or_else(custom)
}

impl Facts for Data<'_> {
    fn turn(&mut self) {
        self.denied = !self.denied;
    }

    fn system(&mut self, text: &str) -> Result<Option<i64>> {
        self.vocabulary
            .system(self.conn, text)
            .map_err(|e| failed(&e))
    }

    fn different(
        &mut self,
        table: Table,
        param: i64,
        fixed: &[(&'static str, Bind)],
        columns: &[&'static str],
        max: usize,
    ) -> Result<Option<Vec<Vec<Bind>>>> {
        let list = columns.join(", ");
        let mut found: Vec<Vec<Bind>> = Vec::new();
        loop {
            let mut binds = vec![Bind::Int(param)];
            let mut text = format!(
                "SELECT {list} FROM {} INDEXED BY {} WHERE param = ?1",
                table.name(),
                key_index(table)
            );
            for (column, value) in fixed {
                binds.push(value.clone());
                text.push_str(&format!(" AND {column} = ?{}", binds.len()));
            }
            if let Some(last) = found.last() {
                let places: Vec<String> = (1..=last.len())
                    .map(|i| format!("?{}", binds.len() + i))
                    .collect();
                text.push_str(&format!(" AND ({list}) > ({})", places.join(", ")));
                binds.extend(last.iter().cloned());
            }
            text.push_str(&format!(" ORDER BY {list} LIMIT 1"));
            let mut next = None;
            run(self.conn, &Statement { text, binds }, |row| {
                let values = (0..columns.len()).map(|at| key(row, at));
                next = values.collect::<rusqlite::Result<Option<Vec<Bind>>>>()?;
                Ok(false)
            })?;
            match next {
                None => return Ok(Some(found)),
                Some(_) if found.len() == max => return Ok(None),
                Some(row) => found.push(row),
            }
        }
    }

    fn related(
        &mut self,
        above: bool,
        type_id: TypeId,
        of: &[IdKey],
        part_of: ParamId,
    ) -> Result<Vec<IdKey>> {
        let seq = self.view.as_of;
        let there = is_there(type_id, "t.rid", 0);
        let text = if above {
            format!(
                "SELECT r.id FROM resource AS t CROSS JOIN ix_reference AS r \
                 INDEXED BY ix_reference_rid WHERE t.type = ?2 AND t.id = ?3 AND {there} \
                 AND r.rid = t.rid AND r.param = ?4 AND r.type = ?2 AND {}",
                holds("r")
            )
        } else {
            format!(
                "SELECT t.id FROM ix_reference AS r INDEXED BY {} CROSS JOIN resource AS t \
                 WHERE r.param = ?4 AND r.type = ?2 AND r.id = ?3 AND {} AND t.rid = r.rid",
                key_index(Table::Reference),
                holds("r")
            )
        };
        // What a row says that is kept apart leads nobody on; against somebody it counts.
        let text = match self.view.bounds.quarantine && !self.denied {
            true => [&text, " AND ", &is_evidence("t.rid")].concat(),
            false => text,
        };
        let mut found = Vec::new();
        for id in of {
            let binds = vec![
                Bind::Int(seq),
                Bind::Int(i64::from(type_id.0)),
                id.clone().into(),
                Bind::Int(i64::from(part_of.0)),
            ];
            let text = text.clone();
            let max = self.view.bounds.hierarchy;
            run(self.conn, &Statement { text, binds }, |row| {
                found.extend(match key(row, 0)? {
                    Some(Bind::Text(t)) => Some(IdKey::Text(t)),
                    Some(Bind::Uuid(u)) => Some(IdKey::Uuid(u)),
                    _ => None,
                });
                Ok(found.len() <= max)
            })?;
        }
        Ok(found)
    }

    fn canonical(&self, param: ParamId, target: TypeId) -> Option<(i64, i64)> {
        canonical((self.model, self.own), param, target)
    }

    fn canonicals(&self, param: ParamId) -> Vec<(TypeId, i64, i64)> {
        let param = plain(param);
        let targets: &[TypeId] = match (self.model.param_by_id(param), self.own.numbered(param)) {
            (Some(param), _) => &param.targets,
            (None, Some(own)) => &own.definition.targets,
            (None, None) => &[],
        };
        let named = |target: &TypeId| {
            let (url, version) = self.canonical(param, *target)?;
            Some((*target, url, version))
        };
        targets.iter().filter_map(named).collect()
    }

    fn owner(&self, param: ParamId) -> Option<TypeId> {
        owner((self.model, self.own), plain(param))
    }

    fn contains(&mut self, type_id: TypeId) -> Result<Option<ParamId>> {
        let Some(id) = self.model.param(type_id, "_id") else {
            return Ok(None);
        };
        let there: bool = self
            .conn
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM ix_token WHERE param = ?1)")
            .and_then(|mut s| s.query_row([contained(id.id).0], |r| r.get(0)))
            .map_err(|e| failed(&e))?;
        Ok(there.then_some(id.id))
    }

    fn positions(&mut self, param: i64, south: f64, north: f64) -> Result<Vec<(f64, f64)>> {
        let text = format!(
            "SELECT DISTINCT d.low, d.high FROM ix_number AS d INDEXED BY {} \
             WHERE d.param = ?2 AND d.low >= ?3 AND d.low <= ?4 AND {}",
            key_index(Table::Number),
            holds("d")
        );
        let binds = vec![
            Bind::Int(self.view.as_of),
            Bind::Int(param),
            Bind::real(south),
            Bind::real(north),
        ];
        let max = self.view.bounds.positions;
        let mut found = Vec::new();
        let all = run(self.conn, &Statement { text, binds }, |row| {
            found.push((row.get(0)?, row.get(1)?));
            Ok(found.len() <= max)
        })?;
        if all {
            return Ok(found);
        }
        Err(StoreError::Limit {
            code: Code::LimitQuery,
            limit: "search_positions_max",
            max: max as u64,
        })
    }

    fn areas(&mut self, param: i64, around: Spot) -> Result<Vec<Box<str>>> {
        let text = format!(
            "SELECT DISTINCT u.uri FROM ix_uri AS u INDEXED BY {} WHERE u.param = ?2 AND {}",
            key_index(Table::Uri),
            holds("u")
        );
        let binds = vec![Bind::Int(self.view.as_of), Bind::Int(param)];
        let max = self.view.bounds.positions;
        let at = (around.latitude, around.longitude);
        let mut found: Vec<Box<str>> = Vec::new();
        let (mut looked, mut bytes) = (0, 0);
        let all = run(self.conn, &Statement { text, binds }, |row| {
            let boundary: Box<str> = row.get(0)?;
            looked += 1;
            if encloses(&boundary, at) {
                bytes += boundary.len();
                found.push(boundary);
            }
            Ok(looked <= max && bytes <= AREA_BYTES_MAX)
        })?;
        if all {
            return Ok(found);
        }
        Err(StoreError::Limit {
            code: Code::LimitQuery,
            limit: "search_positions_max",
            max: max as u64,
        })
    }

    fn measure(&mut self, statement: &Statement) -> Result<(u64, i64)> {
        let mut measured = (0, 0);
        run(self.conn, statement, |row| {
            measured = (
                u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0),
                row.get(1)?,
            );
            Ok(false)
        })?;
        Ok(measured)
    }

    fn remembered(&mut self, type_id: TypeId, rule: &Rule) -> Result<Option<i64>> {
        self.number_of(type_id, rule)
    }

    fn listed(&mut self, number: i64) -> Option<(Arc<[i64]>, bool)> {
        self.memory?.asking.listed(number)
    }

    fn as_of(&self) -> i64 {
        self.view.as_of
    }

    fn bounds(&self) -> Bounds {
        self.view.bounds
    }
}
