//! A page by one sort key, read from the index that has its order.

use super::{By, Key, Place, View, by_rid, columns};
use crate::plan::cond::Cond;
use crate::plan::drive::Choice;
use crate::plan::select::{is_there, key_index, probe};
use crate::plan::text::{Bind, Binds, Statement, holds};
use crate::sqlite::index::Table;

/// Rows in the order of an index, all conditions asked about each; then what has no value.
pub(super) fn walk(
    choices: &[Choice],
    key: &Key,
    after: Option<&Place>,
    limit: u64,
    view: View,
) -> Option<Vec<Statement>> {
    let (table, params, always) = match &key.by {
        By::Id => return Some(vec![by_id(choices, key.descending, after, limit, view)]),
        By::Param {
            table: Table::Quantity | Table::Reference,
            ..
        } => return None,
        By::Param {
            table,
            params,
            always,
        } => (*table, params, *always),
    };
    let mut statements = Vec::new();
    let in_tail = after.is_some_and(|place| place.keys.iter().all(Option::is_none));
    if !in_tail {
        statements.push(valued(
            choices,
            table,
            params,
            key.descending,
            after,
            limit,
            view,
        ));
    }
    if !always {
        let missing = |p: &i64| Cond::Missing(true, *p, one_table(table));
        let missing: Vec<Cond> = params.iter().map(missing).collect();
        let after = after.filter(|_| in_tail);
        statements.push(by_rid(
            choices,
            true,
            &missing,
            after,
            key.descending,
            limit,
            view,
        ));
    }
    Some(statements)
}

const fn one_table(table: Table) -> &'static [Table] {
    match table {
        Table::Token => &[Table::Token],
        Table::String => &[Table::String],
        Table::Date => &[Table::Date],
        Table::Number => &[Table::Number],
        _ => &[Table::Uri],
    }
}

/// Which way an index is read.
struct Way {
    /// Comes after.
    on: &'static str,
    /// Comes before.
    beyond: &'static str,
    direction: &'static str,
}

impl Way {
    const fn of(descending: bool) -> Self {
        let (on, beyond, direction) = if descending {
            ("<", ">", "DESC")
        } else {
            (">", "<", "ASC")
        };
        Self {
            on,
            beyond,
            direction,
        }
    }
}

fn of(alias: &str, columns: &[&str]) -> String {
    let each: Vec<String> = columns.iter().map(|c| format!("{alias}.{c}")).collect();
    each.join(", ")
}

/// The condition that `d` comes after a place, by these columns and its `rid`.
fn behind(place: &Place, columns: &[&str], way: &Way, b: &mut Binds) -> String {
    let Some(keys) = place.keys.iter().cloned().collect::<Option<Vec<Bind>>>() else {
        return String::new();
    };
    let mut places: Vec<String> = keys.iter().map(|k| b.place(k)).collect();
    let on = way.on;
    // Between the first column and `rid` the index may have others: the bound on the first lets
    // it be entered there.
    let first = match (columns, places.as_slice()) {
        ([column], [value]) => format!(" AND d.{column} {on}= {value}"),
        _ => String::new(),
    };
    places.push(b.place(&Bind::Int(place.rid)));
    let (columns, places) = (of("d", columns), places.join(", "));
    format!("{first} AND ({columns}, d.rid) {on} ({places})")
}

/// Every condition of a choice, about `d`.
fn conditions(choice: &Choice, b: &mut Binds) -> String {
    let each = choice.all.iter();
    each.map(|c| format!(" AND {}", probe(c, choice.type_id, "d.rid", 1, b)))
        .collect()
}

/// One select for each type, put in order together.
fn merged(each: &[String], values: usize, way: &Way, limit: u64, mut b: Binds) -> Statement {
    let limit = b.place(&Bind::Int(i64::try_from(limit).unwrap_or(i64::MAX)));
    let direction = way.direction;
    let by: String = (1..=values)
        .map(|i| format!("k{i} {direction}, "))
        .collect();
    let each = each.join(" UNION ALL ");
    b.finish(&format!(
        "{each} ORDER BY {by}rid {direction} LIMIT {limit}"
    ))
}

fn valued(
    choices: &[Choice],
    table: Table,
    params: &[i64],
    descending: bool,
    after: Option<&Place>,
    limit: u64,
    view: View,
) -> Statement {
    let mut b = Binds::as_of(view.as_of, view.bounds);
    let (values, tuple) = columns(table).unwrap_or((&["rid"], &["rid"]));
    let way = Way::of(descending);
    let named: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(i, c)| format!("d.{c} AS k{}", i + 1))
        .collect();
    let behind = after.map_or_else(String::new, |place| behind(place, values, &way, &mut b));
    let name = table.name();
    let mut each = Vec::new();
    for (choice, param) in choices.iter().zip(params) {
        let param = b.place(&Bind::Int(*param));
        // Of several values the first in this direction counts.
        each.push(format!(
            "SELECT d.rid AS rid, {} FROM {name} AS d INDEXED BY {} WHERE d.param = {param} \
             AND {}{behind} AND NOT EXISTS (SELECT 1 FROM {name} AS e INDEXED BY {name}_rid \
             WHERE e.rid = d.rid AND e.param = {param} AND ({}) {} ({}) AND {} LIMIT 1){}",
            named.join(", "),
            key_index(table),
            holds("d"),
            of("e", tuple),
            way.beyond,
            of("d", tuple),
            holds("e"),
            conditions(choice, &mut b),
        ));
    }
    merged(&each, values.len(), &way, limit, b)
}

fn by_id(
    choices: &[Choice],
    descending: bool,
    after: Option<&Place>,
    limit: u64,
    view: View,
) -> Statement {
    let mut b = Binds::as_of(view.as_of, view.bounds);
    let way = Way::of(descending);
    let behind = after.map_or_else(String::new, |place| behind(place, &["id"], &way, &mut b));
    let mut each = Vec::new();
    for choice in choices {
        each.push(format!(
            "SELECT d.rid AS rid, d.id AS k1 FROM resource AS d WHERE d.type = {}{behind} \
             AND {}{}",
            choice.type_id.0,
            is_there(choice.type_id, "d.rid", 0),
            conditions(choice, &mut b),
        ));
    }
    merged(&each, 1, &way, limit, b)
}
