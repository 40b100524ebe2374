//! The order of an answer, where a page of it ends, and the statements that give a page.
//!
//! Resources without a value come last in either direction. What is equal in all keys is told
//! apart by `rid`, in the direction of the first key, so that one key alone is the order of an
//! index. The order does not depend on how the rows are found.

mod places;
mod walk;

pub(crate) use places::{Found as FoundPlaces, places};

use base::Code;
use fhir::definitions::ParamId;
use fhir::search::query::{Relevance, SortBy, SortKey};

use super::cond::{Cond, tables};
use super::drive::{Choice, Driver};
use super::select::{Source, by_one_row, probe, row_source_with, sources};
use super::text::{Bind, Binds, Statement, holds};
use super::{Bounds, score};
use crate::sqlite::index::Table;
use crate::{Result, StoreError};

/// What a key compares.
#[derive(Clone, Debug, PartialEq, Eq)]
enum By {
    /// The id as tables hold it.
    Id,
    /// How well it fits.
    Score(Vec<Relevance>),
    /// The least (greatest, when descending) value of a parameter, for each type searched.
    Param {
        table: Table,
        params: Vec<i64>,
        always: bool,
    },
}

/// What a statement answers as of, and how far it goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    /// The change.
    pub(crate) as_of: i64,
    /// The bounds.
    pub(crate) bounds: Bounds,
}

/// A sort key.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    by: By,
    descending: bool,
}

/// The order of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order(Vec<Key>);

/// Where a page ends: the last resource's values (`None`: it has none) and `rid`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) keys: Vec<Option<Bind>>,
    pub(crate) rid: i64,
}

/// The columns a table is sorted by, and the columns that tell its rows of one resource apart.
/// Tokens are sorted by code, then by the number of the system: that is the order of their index.
const fn columns(table: Table) -> Option<(&'static [&'static str], &'static [&'static str])> {
    match table {
        Table::Token => Some((&["code", "system"], &["code", "system"])),
        Table::String => Some((&["folded"], &["folded", "exact"])),
        Table::Date | Table::Number => Some((&["low"], &["low", "high"])),
        Table::Quantity => Some((&["low"], &["low", "high", "unit", "system"])),
        Table::Reference => Some((&["id"], &["id", "type", "version"])),
        Table::Uri => Some((&["uri"], &["uri"])),
        Table::Type | Table::Composite | Table::Compartment | Table::Text => None,
    }
}

impl Key {
    /// The columns whose values it compares, one after the other.
    fn columns(&self) -> &'static [&'static str] {
        match &self.by {
            By::Id => &["id"],
            By::Score(_) => &["score"],
            By::Param { table, .. } => columns(*table).map_or(&["rid"], |c| c.0),
        }
    }
}

impl Order {
    /// The order that sort keys ask for; none is newest first.
    ///
    /// # Errors
    /// `not-supported` for parameters that have no order.
    pub(crate) fn of(keys: &[SortKey], relevance: &[Relevance]) -> Result<Self> {
        let numbers = |p: &[ParamId]| p.iter().map(|p| i64::from(p.0)).collect();
        let key = |key: &SortKey| {
            let by = match &key.by {
                SortBy::Id => By::Id,
                SortBy::Score => By::Score(relevance.to_vec()),
                SortBy::LastUpdated(params) => By::Param {
                    table: Table::Date,
                    params: numbers(params),
                    always: true,
                },
                SortBy::Param(params, kind) => {
                    let table = tables(*kind).first().copied();
                    let table = table.filter(|t| tables(*kind).len() < 8 && columns(*t).is_some());
                    let table = table.ok_or_else(|| {
                        let text = "a parameter of this type cannot be sorted by".to_owned();
                        StoreError::Refused(Code::NotSupported, text)
                    })?;
                    By::Param {
                        table,
                        params: numbers(params),
                        always: false,
                    }
                }
            };
            // The best first, unless the other end is asked for.
            let descending = key.descending != matches!(by, By::Score(_));
            Ok(Key { by, descending })
        };
        keys.iter().map(key).collect::<Result<_>>().map(Self)
    }

    /// Whether it is newest first.
    pub(crate) const fn newest_first(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of values that place a resource in it.
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|key| key.columns().len()).sum()
    }

    /// The direction of each of these values.
    fn directions(&self) -> impl Iterator<Item = bool> {
        let each = |k: &Key| std::iter::repeat_n(k.descending, k.columns().len());
        self.0.iter().flat_map(each)
    }

    fn rid_descending(&self) -> bool {
        self.0.first().is_none_or(|k| k.descending)
    }

    /// The same order for some of the types only: `kept` are their places.
    pub(crate) fn only(mut self, kept: &[usize]) -> Self {
        for key in &mut self.0 {
            if let By::Param { params, .. } = &mut key.by {
                *params = kept
                    .iter()
                    .filter_map(|at| params.get(*at).copied())
                    .collect();
            }
        }
        self
    }
}

/// The statements that together give the resources after `after`, at most `limit`, one after the
/// other. Each answers `rid` and the values that place it. `choices` are in the order of the types
/// that [`Order::only`] kept.
pub(crate) fn page(
    choices: &[Choice],
    order: &Order,
    after: Option<&Place>,
    limit: u64,
    view: View,
) -> Vec<Statement> {
    if choices.is_empty() {
        return Vec::new();
    }
    if order.newest_first() {
        return vec![by_rid(choices, false, &[], after, true, limit, view)];
    }
    let few = choices.iter().all(|c| c.few);
    match order.0.as_slice() {
        [_, ..] if !few => match walk::walk(choices, order, after, limit, view) {
            Some(statements) => statements,
            None => vec![gathered(choices, order, after, limit, view)],
        },
        _ => vec![gathered(choices, order, after, limit, view)],
    }
}

/// The number of matches.
pub(crate) fn total(choices: &[Choice], view: View) -> Statement {
    let mut b = Binds::as_of(view.as_of, view.bounds);
    let all: Vec<(Source, String)> = choices
        .iter()
        .flat_map(|c| matches(c, &c.driver, &c.rest, &mut b))
        .collect();
    let main = match all.as_slice() {
        [] => "SELECT 0 WHERE ?1 IS NOT NULL".to_owned(),
        [(one, probes)] if one.unique => format!("SELECT count(*) {}{probes}", one.from),
        several => format!("SELECT count(*) FROM ({})", union(several, "d.rid AS rid")),
    };
    b.finish(&main)
}

fn matches(
    choice: &Choice,
    driver: &Driver,
    rest: &[Cond],
    b: &mut Binds,
) -> Vec<(Source, String)> {
    let joined = match driver {
        Driver::Rows { number, .. } => rest
            .iter()
            .enumerate()
            .find_map(|(at, cond)| Some((at, *number, by_one_row(cond)?))),
        _ => None,
    };
    let found = match joined {
        Some((_, number, test)) => vec![row_source_with(number, test, b)],
        None => sources(driver, choice.type_id, false, b),
    };
    let probes: String = rest
        .iter()
        .enumerate()
        .filter(|(at, _)| joined.is_none_or(|(joined, ..)| joined != *at))
        .map(|(_, c)| c)
        .map(|c| format!(" AND {}", probe(c, choice.type_id, "d.rid", 1, b)))
        .collect();
    found.into_iter().map(|s| (s, probes.clone())).collect()
}

fn union(sources: &[(Source, String)], what: &str) -> String {
    match sources {
        [(one, probes)] => {
            let distinct = if one.unique { "" } else { "DISTINCT " };
            ["SELECT ", distinct, what, " ", &one.from, probes].concat()
        }
        several => {
            let each: Vec<String> = several
                .iter()
                .map(|(s, probes)| format!("SELECT {what} {}{probes}", s.from))
                .collect();
            each.join(" UNION ")
        }
    }
}

/// Resources in order of `rid`. `walk_all`: by walking the types whatever the choice; `extra`
/// conditions, one for each choice.
fn by_rid(
    choices: &[Choice],
    walk_all: bool,
    extra: &[Cond],
    after: Option<&Place>,
    descending: bool,
    limit: u64,
    view: View,
) -> Statement {
    let mut b = Binds::as_of(view.as_of, view.bounds);
    let mut all = Vec::new();
    for (at, choice) in choices.iter().enumerate() {
        let mut found = if walk_all || choice.walk {
            matches(choice, &Driver::Type, &choice.all, &mut b)
        } else {
            matches(choice, &choice.driver, &choice.rest, &mut b)
        };
        let mut more = String::new();
        if let Some(cond) = extra.get(at) {
            more.push_str(" AND ");
            more.push_str(&probe(cond, choice.type_id, "d.rid", 1, &mut b));
        }
        if let Some(place) = after {
            let rid = b.place(&Bind::Int(place.rid));
            more.push_str(" AND d.rid ");
            more.push_str(if descending { "< " } else { "> " });
            more.push_str(&rid);
        }
        for (_, probes) in &mut found {
            // The cheap condition first.
            probes.insert_str(0, &more);
        }
        all.extend(found);
    }
    let limit = b.place(&Bind::Int(i64::try_from(limit).unwrap_or(i64::MAX)));
    let direction = if descending { "DESC" } else { "ASC" };
    let mut main = union(&all, "d.rid AS rid");
    for part in [" ORDER BY rid ", direction, " LIMIT ", &limit] {
        main.push_str(part);
    }
    b.finish(&main)
}

/// All matches with their keys, then sorted.
fn gathered(
    choices: &[Choice],
    order: &Order,
    after: Option<&Place>,
    limit: u64,
    view: View,
) -> Statement {
    let mut b = Binds::as_of(view.as_of, view.bounds);
    let all: Vec<(Source, String)> = choices
        .iter()
        .flat_map(|c| matches(c, &c.driver, &c.rest, &mut b))
        .collect();
    let found = union(&all, "d.rid AS rid");
    let found = b.table("rid", found);
    let keys: Vec<String> = order
        .0
        .iter()
        .flat_map(|key| values_of(key, "m.rid", &mut b))
        .collect();
    let names: Vec<String> = (1..=keys.len()).map(|i| format!("k{i}")).collect();
    let text = format!("SELECT m.rid, {} FROM {found} AS m", keys.join(", "));
    let keyed = b.table(&format!("rid, {}", names.join(", ")), text);
    let after = after.map_or_else(String::new, |place| {
        format!(" WHERE {}", behind(place, order, &names, "rid", &mut b))
    });
    let limit = b.place(&Bind::Int(i64::try_from(limit).unwrap_or(i64::MAX)));
    let main = format!(
        "SELECT rid, {} FROM {keyed}{after} ORDER BY {} LIMIT {limit}",
        names.join(", "),
        terms(order, &names, 0)
    );
    b.finish(&main)
}

/// The terms of `ORDER BY`. The first `valued` values are never missing.
fn terms(order: &Order, names: &[String], valued: usize) -> String {
    let word = |descending| if descending { "DESC" } else { "ASC" };
    let mut terms = Vec::new();
    for (at, (descending, name)) in order.directions().zip(names).enumerate() {
        if at >= valued {
            terms.push(format!("{name} IS NULL"));
        }
        terms.push(format!("{name} {}", word(descending)));
    }
    terms.push(format!("rid {}", word(order.rid_descending())));
    terms.join(", ")
}

/// The values that a key compares, of a resource (an expression).
fn values_of(key: &Key, rid: &str, b: &mut Binds) -> Vec<String> {
    let (table, params) = match &key.by {
        By::Id => {
            return vec![format!(
                "(SELECT t.id FROM resource AS t WHERE t.rid = {rid})"
            )];
        }
        By::Score(relevance) => return vec![score::expression(relevance, rid, b)],
        By::Param { table, params, .. } => (*table, params),
    };
    values(table, params, key.columns(), key.descending, rid, b)
}

/// These columns of the least (greatest, when descending) row of the parameters, of a resource.
fn values(
    table: Table,
    params: &[i64],
    columns: &[&'static str],
    descending: bool,
    rid: &str,
    b: &mut Binds,
) -> Vec<String> {
    let params: Vec<String> = params.iter().map(|p| b.place(&Bind::Int(*p))).collect();
    let direction = if descending { "DESC" } else { "ASC" };
    let by: Vec<String> = columns
        .iter()
        .map(|c| format!("s.{c} {direction}"))
        .collect();
    let by = by.join(", ");
    let value = |column: &&str| {
        format!(
            "(SELECT s.{column} FROM {name} AS s INDEXED BY {by_rid} WHERE s.rid = {rid} \
             AND s.param IN ({}) AND {} ORDER BY {by} LIMIT 1)",
            params.join(", "),
            holds("s"),
            name = table.name(),
            by_rid = table.by_rid(),
        )
    };
    columns.iter().map(value).collect()
}

/// The condition that a resource with these values (expressions) comes after a place.
fn behind(place: &Place, order: &Order, names: &[String], of: &str, b: &mut Binds) -> String {
    let mut ways = Vec::new();
    let mut same = Vec::new();
    for ((descending, name), value) in order.directions().zip(names).zip(&place.keys) {
        match value {
            None => same.push(format!("{name} IS NULL")),
            Some(value) => {
                let value = b.place(value);
                let after = if descending { "<" } else { ">" };
                let mut way = same.clone();
                way.push(format!("({name} {after} {value} OR {name} IS NULL)"));
                ways.push(format!("({})", way.join(" AND ")));
                same.push(format!("{name} = {value}"));
            }
        }
    }
    let rid = b.place(&Bind::Int(place.rid));
    same.push(format!(
        "{of} {} {rid}",
        if order.rid_descending() { "<" } else { ">" }
    ));
    ways.push(format!("({})", same.join(" AND ")));
    format!("({})", ways.join(" OR "))
}
