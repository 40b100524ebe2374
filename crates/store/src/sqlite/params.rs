//! A tenant's own search parameters: the table they are kept in, and what a written
//! `SearchParameter` changes in it.
//!
//! A parameter is *building* from the change that defines it: from then on the writer indexes what
//! is written, and [`build`] indexes what was there before. It *serves* once that is complete. One
//! that is defined no more, or differently, is *leaving*: its rows go in the background, and its
//! number is never used again.

pub(crate) mod build;

use std::sync::Arc;

use base::Code;
use fhir::definitions::{Model, ParamId, ParamKind, TypeId};
use fhir::search::Customs;
use fhir::search::custom::{Definition, Part, define};
use fhir::search::rows::CUSTOM;
use rusqlite::{Connection, params};

use super::fault::{Doing, damaged};
use super::tenant::OpenTenant;
use super::writer::WriterState;
use crate::{Result, StoreError, Stored};

/// The table; `id` and [`CUSTOM`] together are the number of the parameter in the index.
pub(crate) const DDL: &str = "
CREATE TABLE search_param (
  id INTEGER PRIMARY KEY AUTOINCREMENT, rid INTEGER NOT NULL, type INTEGER NOT NULL,
  code TEXT NOT NULL, kind TEXT NOT NULL, url TEXT NOT NULL, expression TEXT NOT NULL,
  targets TEXT NOT NULL, state INTEGER NOT NULL, upto INTEGER NOT NULL, done INTEGER NOT NULL,
  components TEXT NOT NULL DEFAULT ''
) STRICT;
";

/// Adds what a table of before version 8 of the schema lacks.
pub(crate) fn add_components(db: &Connection) -> Result<()> {
    const DOING: &str = "changing a tenant's schema from version 7 to 8";
    let there: bool = db
        .query_row(
            "SELECT EXISTS (SELECT 1 FROM pragma_table_info('search_param')
             WHERE name = 'components')",
            [],
            |r| r.get(0),
        )
        .doing(DOING)?;
    if there {
        return Ok(());
    }
    db.execute_batch("ALTER TABLE search_param ADD COLUMN components TEXT NOT NULL DEFAULT ''")
        .doing(DOING)
}

/// Between the parts of a composite, and between name, type and expression of a part: characters that
/// no text of FHIR has.
const PARTS: char = '\u{1e}';
const FIELDS: char = '\u{1f}';

/// The parts of a composite as one text.
fn written_parts(parts: &[Part]) -> String {
    let one = |p: &Part| {
        let fields = [&p.code, p.kind.as_str(), &p.expression];
        fields.join(&FIELDS.to_string())
    };
    let all: Vec<String> = parts.iter().map(one).collect();
    all.join(&PARTS.to_string())
}

fn read_parts(text: &str) -> Vec<Part> {
    let one = |part: &str| {
        let mut fields = part.splitn(3, FIELDS);
        Some(Part {
            code: fields.next()?.to_owned(),
            kind: ParamKind::parse(fields.next()?)?,
            expression: fields.next()?.to_owned(),
        })
    };
    text.split(PARTS).filter_map(one).collect()
}

/// How far a parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamState {
    /// Its index is being built.
    Building,
    /// Searches use it.
    Serving,
    /// Its rows are being dropped.
    Leaving,
}

impl ParamState {
    const fn number(self) -> i64 {
        match self {
            Self::Building => 0,
            Self::Serving => 1,
            Self::Leaving => 2,
        }
    }

    const fn of(number: i64) -> Self {
        match number {
            0 => Self::Building,
            1 => Self::Serving,
            _ => Self::Leaving,
        }
    }

    /// As it is told.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Serving => "serving",
            Self::Leaving => "leaving",
        }
    }
}

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// The number in the index.
    pub(crate) id: ParamId,
    pub(crate) rid: i64,
    pub(crate) definition: Definition,
    pub(crate) state: ParamState,
    /// Resources up to this `rid` are indexed.
    pub(crate) upto: i64,
    /// Resources that were indexed.
    pub(crate) done: i64,
}

/// All lines, in the order in which they were made.
pub(crate) fn lines(db: &Connection) -> Result<Vec<Line>> {
    const DOING: &str = "reading a tenant's search parameters";
    let mut read = db
        .prepare_cached(
            "SELECT id, rid, type, code, kind, url, expression, targets, state, upto, done,
             components FROM search_param ORDER BY id",
        )
        .doing(DOING)?;
    let mut rows = read.query([]).doing(DOING)?;
    let mut lines = Vec::new();
    while let Some(row) = rows.next().doing(DOING)? {
        let line = || {
            let kind: String = row.get(4)?;
            let targets: String = row.get(7)?;
            let components: String = row.get(11)?;
            let types = targets.split(',').filter_map(|t| t.parse().ok());
            let id: u32 = row.get(0)?;
            Ok(ParamKind::parse(&kind).map(|kind| Line {
                id: ParamId(CUSTOM.saturating_add(id)),
                rid: row.get(1).unwrap_or(0),
                definition: Definition {
                    type_id: TypeId(row.get(2).unwrap_or(0)),
                    code: row.get(3).unwrap_or_default(),
                    kind,
                    url: row.get(5).unwrap_or_default(),
                    expression: row.get(6).unwrap_or_default(),
                    targets: types.map(TypeId).collect(),
                    components: read_parts(&components),
                },
                state: ParamState::of(row.get(8).unwrap_or(0)),
                upto: row.get(9).unwrap_or(0),
                done: row.get(10).unwrap_or(0),
            }))
        };
        let line: rusqlite::Result<Option<Line>> = line();
        lines.push(
            line.doing(DOING)?
                .ok_or_else(|| damaged("a search parameter is of no known type"))?,
        );
    }
    Ok(lines)
}

/// The parameters that are indexed, compiled.
pub(crate) fn load(db: &Connection, model: &'static Model) -> Result<Arc<Customs>> {
    let lines = lines(db)?.into_iter();
    let indexed = lines.filter(|l| l.state != ParamState::Leaving);
    let defined = indexed.map(|l| (l.id, l.definition, l.state == ParamState::Serving));
    Ok(Arc::new(Customs::compile(model, defined)))
}

/// Whether there is something to build or to drop.
pub(crate) fn has_work(db: &Connection) -> Result<bool> {
    db.prepare_cached("SELECT EXISTS (SELECT 1 FROM search_param WHERE state <> 1)")
        .and_then(|mut s| s.query_row([], |r| r.get(0)))
        .doing("reading a tenant's search parameters")
}

/// The number of a parameter in the table.
fn own(id: ParamId) -> i64 {
    i64::from(id.0.saturating_sub(CUSTOM))
}

/// Takes in a `SearchParameter` that was written (or deleted) as the resource `rid`, within the
/// writer's transaction.
///
/// # Errors
/// `search-parameter-invalid`: then nothing of the write may stay.
pub(crate) fn written(
    tenant: &OpenTenant,
    state: &mut WriterState,
    rid: i64,
    stored: Option<&Stored>,
) -> Result<()> {
    const DOING: &str = "writing a search parameter";
    let lines = lines(&state.db)?;
    let live = || lines.iter().filter(|l| l.state != ParamState::Leaving);
    let defined = match stored {
        None => Vec::new(),
        Some(stored) => {
            let document = fhir::json::parse(&stored.body, 1_024)
                .map_err(|_| damaged("a resource cannot be read"))?;
            let own: Vec<&Definition> = live().map(|l| &l.definition).collect();
            define(tenant.model, document.root(), &own)
                .map_err(|issue| refused(issue.diagnostics.clone()))?
        }
    };
    let (mine, others): (Vec<&Line>, Vec<&Line>) = live().partition(|l| l.rid == rid);
    let kept = |l: &&&Line| defined.contains(&l.definition);
    for line in mine.iter().filter(|l| !kept(l)) {
        state
            .db
            .execute(
                "UPDATE search_param SET state = ?2, upto = 0, done = 0 WHERE id = ?1",
                params![own(line.id), ParamState::Leaving.number()],
            )
            .doing(DOING)?;
    }
    let fresh: Vec<&Definition> = defined
        .iter()
        .filter(|d| !mine.iter().any(|l| l.definition == **d))
        .collect();
    let same = |d: &Definition, l: &Line| {
        (d.type_id, &d.code) == (l.definition.type_id, &l.definition.code)
    };
    if let Some(twice) = fresh.iter().find(|d| others.iter().any(|l| same(d, l))) {
        return Err(refused(format!(
            "another SearchParameter already defines {} for {}",
            twice.code,
            tenant.model.type_name(twice.type_id)
        )));
    }
    let max = tenant.shared.config.limits.search_parameters_custom_max;
    if !fresh.is_empty() && (others.len() + defined.len()) as u64 > max {
        return Err(refused(format!(
            "the tenant has as many search parameters of its own as search_parameters_custom_max \
             allows ({max}; one for each type that a definition is for)"
        )));
    }
    for d in fresh {
        let targets: Vec<String> = d.targets.iter().map(|t| t.0.to_string()).collect();
        state
            .db
            .execute(
                "INSERT INTO search_param
                 (rid,type,code,kind,url,expression,targets,components,state,upto,done)
                 VALUES (?1,?2,?3,?4,?5,?6,?7,?8,0,0,0)",
                params![
                    rid,
                    d.type_id.0,
                    d.code,
                    d.kind.as_str(),
                    d.url,
                    d.expression,
                    targets.join(","),
                    written_parts(&d.components)
                ],
            )
            .doing(DOING)?;
    }
    state.customs = load(&state.db, tenant.model)?;
    state.customs_changed = true;
    Ok(())
}

fn refused(text: String) -> StoreError {
    StoreError::Refused(Code::SearchParameterInvalid, text)
}
