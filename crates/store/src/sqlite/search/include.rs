//! `_include` and `_revinclude` (`search.html#include`).
//!
//! Follows literal references to and from what was found, round by round for `:iterate`, only
//! over types that the permit shows. A reference to a version brings that version if there is one.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use access::{Search, Spent};
use base::{Code, Limits};
use fhir::definitions::{Model, ParamId, ParamKind, TypeId};
use fhir::search::query::Include;
use fhir::search::rows::contained;
use fhir::search::{Customs, Query, holds_canonicals};
use rusqlite::Connection;

use super::run;
use crate::plan::select::{key_index, version_fits};
use crate::plan::text::{Bind, Statement, holds, json};
use crate::sqlite::index::{NO_TYPE, Table};
use crate::{Result, StoreError};

/// Resources that one statement starts from.
const STARTS_MAX: usize = 500;
/// Rows that are looked at for each that may be included, where policy reaches some only.
const FOUND_FOR_ONE_MAX: u64 = 100;

type Hit = (i64, TypeId);

struct Walk<'a> {
    conn: &'a Connection,
    model: &'static Model,
    own: &'a Customs,
    spent: &'a Spent<Search>,
    /// Types that may be shown, as a JSON array.
    shown: Bind,
    as_of: i64,
    /// Everything found so far, matches too.
    seen: HashSet<i64>,
    included: Vec<Hit>,
    included_max: u64,
    /// Of those that are reached.
    told_max: u64,
    /// The versions of what references point to, for those that name one; empty for none.
    asked: BTreeMap<i64, BTreeSet<Box<str>>>,
}

/// What includes bring.
#[derive(Debug, Default)]
pub(crate) struct Included {
    /// Resources, none of them a match.
    pub(crate) rows: Vec<Hit>,
    /// Older versions that references name: `rid` and version.
    pub(crate) versions: Vec<(i64, i64)>,
    /// Resources of which older versions are meant only.
    pub(crate) replaced: BTreeSet<i64>,
}

/// What following goes by.
pub(super) struct Around<'a> {
    pub(super) conn: &'a Connection,
    pub(super) model: &'static Model,
    /// The tenant's own parameters.
    pub(super) own: &'a Customs,
    pub(super) limits: &'a Limits,
    pub(super) spent: &'a Spent<Search>,
    /// Keeps, of what was found from a place on, what the permit reaches.
    pub(super) reach: &'a dyn Fn(&mut Vec<Hit>, usize) -> Result<()>,
}

/// What the query's includes bring to these matches (below zero: index rows of contained ones); none
/// of them is a match.
///
/// # Errors
/// `limit-query` if there are more than `included_entries_max`, or if there is still more to
/// follow after `include_rounds_max` rounds.
pub(super) fn included(
    around: &Around<'_>,
    query: &Query,
    matches: &[Hit],
    as_of: i64,
) -> Result<Included> {
    let Around {
        conn,
        model,
        own,
        limits,
        spent,
        reach,
    } = *around;
    if query.include.is_empty() || matches.is_empty() {
        return Ok(Included::default());
    }
    let shown = model
        .types()
        .filter(|t| spent.shows(*t))
        .map(|t| i64::from(t.0));
    let mut walk = Walk {
        conn,
        model,
        own,
        spent,
        shown: json(shown),
        as_of,
        seen: matches.iter().map(|m| m.0).collect(),
        included: Vec::new(),
        included_max: match spent.sight().is_ruled() {
            true => limits
                .included_entries_max
                .saturating_mul(FOUND_FOR_ONE_MAX),
            false => limits.included_entries_max,
        },
        told_max: limits.included_entries_max,
        asked: BTreeMap::new(),
    };
    let mut start = matches.to_vec();
    let mut round = 0;
    while !start.is_empty() {
        let before = walk.included.len();
        for include in query.include.iter().filter(|i| round == 0 || i.iterate) {
            let from = walk.included.len();
            walk.follow(include, &start)?;
            // What is not reached is not followed further either, and does not count.
            reach(&mut walk.included, from)?;
            let max = limits.included_entries_max;
            if walk.included.len() as u64 > max {
                return Err(passed("included_entries_max", max));
            }
        }
        start = walk.included.iter().skip(before).copied().collect();
        if round > limits.include_rounds_max && !start.is_empty() {
            return Err(passed("include_rounds_max", limits.include_rounds_max));
        }
        round += 1;
    }
    walk.finish(matches)
}

fn passed(limit: &'static str, max: u64) -> StoreError {
    StoreError::Limit {
        code: Code::LimitQuery,
        limit,
        max,
    }
}

impl Walk<'_> {
    fn follow(&mut self, include: &Include, start: &[Hit]) -> Result<()> {
        if !include.reverse && include.target.is_some_and(|t| !self.spent.shows(t)) {
            return Ok(());
        }
        for (on, param) in &include.params {
            let from: Vec<i64> = if include.reverse {
                if !self.spent.shows(*on) || (include.open && !self.has_any(*on)?) {
                    continue;
                }
                let wanted = |t: TypeId| include.target.is_none_or(|target| target == t);
                // Nothing refers to what is contained.
                let own = start.iter().filter(|h| h.0 > 0);
                own.filter(|h| wanted(h.1)).map(|h| h.0).collect()
            } else {
                start.iter().filter(|h| h.1 == *on).map(|h| h.0).collect()
            };
            let (inside, from): (Vec<i64>, Vec<i64>) = from.into_iter().partition(|rid| *rid < 0);
            for some in inside.chunks(STARTS_MAX) {
                self.referred(contained(*param), include.target, some)?;
                if holds_canonicals(self.model, self.own, *on, *param) {
                    self.named(contained(*param), include.target, some)?;
                }
            }
            for some in from.chunks(STARTS_MAX) {
                let by_url = holds_canonicals(self.model, self.own, *on, *param);
                if include.reverse {
                    self.referring(*on, *param, some)?;
                } else {
                    self.referred(*param, include.target, some)?;
                }
                if by_url && include.reverse {
                    self.naming(*on, *param, some)?;
                } else if by_url {
                    self.named(*param, include.target, some)?;
                }
            }
        }
        Ok(())
    }

    /// Whether there is any resource of a type, or was.
    fn has_any(&self, type_id: TypeId) -> Result<bool> {
        self.conn
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM ix_type WHERE type = ?1)")
            .and_then(|mut s| s.query_row([type_id.0], |row| row.get(0)))
            .map_err(|e| super::failed(&e))
    }

    /// Resources that `start` refer to by a parameter.
    fn referred(&mut self, param: ParamId, target: Option<TypeId>, start: &[i64]) -> Result<()> {
        let to = match target {
            Some(target) => format!("r.type = {}", target.0),
            None => "r.type IN (SELECT value FROM json_each(?4))".to_owned(),
        };
        let text = format!(
            "SELECT DISTINCT t.rid, t.type, r.version FROM json_each(?2) AS j \
             CROSS JOIN ix_reference AS r INDEXED BY ix_reference_rid CROSS JOIN resource AS t \
             WHERE r.rid = j.value AND r.param = ?3 AND {} AND {to} \
             AND t.type = r.type AND t.id = r.id \
             AND EXISTS (SELECT 1 FROM ix_type AS x WHERE x.type = t.type AND x.rid = t.rid \
             AND {} LIMIT 1)",
            holds("r"),
            holds("x")
        );
        self.take(text, param, start)
    }

    /// Resources of type `on` that refer to `start` by a parameter.
    fn referring(&mut self, on: TypeId, param: ParamId, start: &[i64]) -> Result<()> {
        let text = format!(
            "SELECT DISTINCT r.rid, {} FROM json_each(?2) AS j CROSS JOIN resource AS t \
             CROSS JOIN ix_reference AS r INDEXED BY {} \
             WHERE t.rid = j.value AND r.param = ?3 AND r.type = t.type AND r.id = t.id AND {}",
            on.0,
            key_index(Table::Reference),
            holds("r")
        );
        self.take(text, param, start)
    }

    /// For each type that may be shown and has a canonical URL: the parameters of that URL and of
    /// its version.
    fn canonicals(&self, target: Option<TypeId>) -> String {
        let types = self.model.types().filter(|t| self.spent.shows(*t));
        let pairs = types
            .filter(|t| target.is_none_or(|target| target == *t))
            .filter_map(|t| {
                let url = self.model.param(t, "url")?;
                let version = self.model.param(t, "version").map_or(0, |p| p.id.0);
                (url.kind == ParamKind::Uri).then(|| format!("({},{version})", url.id.0))
            });
        let pairs: Vec<String> = pairs.collect();
        if pairs.is_empty() {
            return "(-1,-1)".to_owned();
        }
        pairs.join(",")
    }

    /// Resources whose canonical URL `start` names by a parameter, of the version that it names.
    fn named(&mut self, param: ParamId, target: Option<TypeId>, start: &[i64]) -> Result<()> {
        let text = format!(
            "WITH p(url, version) AS MATERIALIZED (VALUES {}) \
             SELECT DISTINCT u.rid, t.type FROM json_each(?2) AS j \
             CROSS JOIN ix_reference AS r INDEXED BY ix_reference_rid CROSS JOIN p \
             CROSS JOIN ix_uri AS u INDEXED BY {} CROSS JOIN resource AS t \
             WHERE r.rid = j.value AND r.param = ?3 AND {} AND r.type = {NO_TYPE} \
             AND u.param = p.url AND u.uri = r.id AND {} AND t.rid = u.rid AND {}",
            self.canonicals(target),
            key_index(Table::Uri),
            holds("r"),
            holds("u"),
            version_fits("r", "u.rid", "p.version"),
        );
        self.take(text, param, start)
    }

    /// Resources of type `on` that name the canonical URL of `start` by a parameter.
    fn naming(&mut self, on: TypeId, param: ParamId, start: &[i64]) -> Result<()> {
        let text = format!(
            "WITH p(url, version) AS MATERIALIZED (VALUES {}) \
             SELECT DISTINCT r.rid, {} FROM json_each(?2) AS j \
             CROSS JOIN ix_uri AS u INDEXED BY ix_uri_rid CROSS JOIN p \
             CROSS JOIN ix_reference AS r INDEXED BY {} \
             WHERE u.rid = j.value AND u.param = p.url AND {} AND r.param = ?3 \
             AND r.type = {NO_TYPE} AND r.id = u.uri AND {} AND {}",
            self.canonicals(None),
            on.0,
            key_index(Table::Reference),
            holds("u"),
            holds("r"),
            version_fits("r", "u.rid", "p.version"),
        );
        self.take(text, param, start)
    }

    /// Tells the versions that are meant from those that are current.
    fn finish(self, matches: &[Hit]) -> Result<Included> {
        let mut found = Included {
            rows: self.included,
            ..Included::default()
        };
        let there: BTreeSet<i64> = found.rows.iter().chain(matches).map(|h| h.0).collect();
        for (rid, asked) in self.asked.iter().filter(|(rid, _)| there.contains(*rid)) {
            if asked.iter().all(|version| version.is_empty()) {
                continue;
            }
            let mut current = false;
            let before = found.versions.len();
            for version in asked {
                match older(self.conn, *rid, version, self.as_of)? {
                    Some(version) => found.versions.push((*rid, version)),
                    None => current = true,
                }
            }
            if !current && found.versions.len() > before {
                found.replaced.insert(*rid);
            }
        }
        Ok(found)
    }

    fn take(&mut self, text: String, param: ParamId, start: &[i64]) -> Result<()> {
        let mut binds = vec![
            Bind::Int(self.as_of),
            json(start.iter().copied()),
            Bind::Int(i64::from(param.0)),
        ];
        if text.contains("?4") {
            binds.push(self.shown.clone());
        }
        let (seen, included, max) = (&mut self.seen, &mut self.included, self.included_max);
        let asked = &mut self.asked;
        run(self.conn, &Statement { text, binds }, |row| {
            let rid = row.get(0)?;
            // Canonicals, and references to the matches, name none.
            let version: String = row.get(2).unwrap_or_default();
            asked.entry(rid).or_default().insert(version.into());
            if seen.insert(rid) {
                included.push((rid, TypeId(row.get(1)?)));
            }
            Ok(included.len() as u64 <= max)
        })?;
        if self.included.len() as u64 > max {
            return Err(passed("included_entries_max", self.told_max));
        }
        Ok(())
    }
}

/// The version, if it is one before the current one.
fn older(conn: &Connection, rid: i64, version: &str, as_of: i64) -> Result<Option<i64>> {
    let Ok(version) = version.parse::<i64>() else {
        return Ok(None);
    };
    let older: bool = conn
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM version WHERE rid = ?1 AND version = ?2)
             AND EXISTS (SELECT 1 FROM version WHERE rid = ?1 AND version > ?2 AND seq <= ?3)",
        )
        .and_then(|mut s| s.query_row((rid, version, as_of), |row| row.get(0)))
        .map_err(|e| super::failed(&e))?;
    Ok(older.then_some(version))
}
