//! What the planner asks of the data, answered by small statements on the connection.

use rusqlite::Connection;

use base::Code;
use fhir::definitions::{Model, ParamId, ParamKind, TypeId};
use fhir::search::query::Spot;
use fhir::search::rows::{contained, encloses, plain};
use fhir::search::{Customs, holds_canonicals};

use super::{failed, key, run};
use crate::plan::select::{is_there, key_index};
use crate::plan::text::{Bind, Statement, holds};
use crate::plan::{Bounds, Facts, View};
use crate::sqlite::index::{IdKey, Table, Vocabulary};
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
}

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

impl Facts for Data<'_> {
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
        let param = plain(param);
        let own = || self.own.numbered(param).map(|c| c.definition.type_id);
        let from = self.owner(param).or_else(own)?;
        let url = self.model.param(target, "url")?;
        let version = self.model.param(target, "version").map_or(0, |p| p.id.0);
        let named =
            url.kind == ParamKind::Uri && holds_canonicals(self.model, self.own, from, param);
        named.then_some((i64::from(url.id.0), i64::from(version)))
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
        let param = plain(param);
        let own = || self.own.numbered(param).map(|c| c.definition.type_id);
        self.model
            .param_by_id(param)
            .map(|p| p.type_id)
            .or_else(own)
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

    fn as_of(&self) -> i64 {
        self.view.as_of
    }

    fn bounds(&self) -> Bounds {
        self.view.bounds
    }
}
