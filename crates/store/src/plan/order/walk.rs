//! A page read from the index that has the order of the first sort key: all conditions are asked
//! about each row, and reading ends with the page. What has no value follows.

use super::{By, Key, Order, Place, View, behind, by_rid, columns, gathered, terms, values_of};
use crate::plan::cond::Cond;
use crate::plan::drive::{Choice, Driver};
use crate::plan::select::{is_there, key_index, probe};
use crate::plan::text::{Bind, Binds, Statement, holds};
use crate::sqlite::index::Table;

/// The statements of a page; `None` if no index has the order.
pub(super) fn walk(
    choices: &[Choice],
    order: &Order,
    after: Option<&Place>,
    limit: u64,
    view: View,
) -> Option<Vec<Statement>> {
    let (first, more) = order.0.split_first()?;
    // Values that may be missing cannot be put in order across the selects of several types.
    if !more.is_empty() && choices.len() > 1 {
        return None;
    }
    let tail = match &first.by {
        By::Id => None,
        By::Score(_) => return None,
        By::Param {
            table: Table::Quantity | Table::Reference,
            ..
        } => return None,
        By::Param {
            table,
            params,
            always,
        } => (!always).then(|| {
            let missing = |p: &i64| Cond::Missing(true, *p, one_table(*table));
            params.iter().map(missing).collect::<Vec<_>>()
        }),
    };
    let values = first.columns().len();
    let in_tail = after.is_some_and(|place| place.keys.iter().take(values).all(Option::is_none));
    let mut statements = Vec::new();
    if !in_tail {
        statements.push(valued(choices, order, first, more, after, limit, view));
    }
    if let Some(missing) = tail {
        let after = after.filter(|_| in_tail);
        statements.push(if more.is_empty() {
            by_rid(
                choices,
                true,
                &missing,
                after,
                first.descending,
                limit,
                view,
            )
        } else {
            let choices: Vec<Choice> = choices.iter().zip(missing).map(without).collect();
            gathered(&choices, order, after, limit, view)
        });
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

/// The matches of a choice that have no value.
fn without((choice, missing): (&Choice, Cond)) -> Choice {
    let mut rest = choice.all.clone();
    rest.push(missing);
    Choice {
        driver: Driver::Type,
        rest,
        ..choice.clone()
    }
}

/// The resources that have a value of the first key.
fn valued(
    choices: &[Choice],
    order: &Order,
    first: &Key,
    more: &[Key],
    after: Option<&Place>,
    limit: u64,
    view: View,
) -> Statement {
    let mut b = Binds::as_of(view.as_of, view.bounds);
    let own = first.columns();
    let mut values: Vec<String> = own.iter().map(|c| format!("d.{c}")).collect();
    for key in more {
        values.extend(values_of(key, "d.rid", &mut b));
    }
    let names: Vec<String> = (1..=values.len()).map(|i| format!("k{i}")).collect();
    let named: Vec<String> = values
        .iter()
        .zip(&names)
        .map(|(value, name)| format!("{value} AS {name}"))
        .collect();
    let place = after.map_or_else(String::new, |place| {
        if more.is_empty() {
            return behind_all(place, own, first.descending, &mut b);
        }
        let entry = entry(place, own, first.descending, &mut b);
        format!(
            "{entry} AND {}",
            behind(place, order, &values, "d.rid", &mut b)
        )
    });
    let each: Vec<String> = choices
        .iter()
        .enumerate()
        .map(|(at, choice)| {
            let from = from(choice, first, at, &mut b);
            let probes = choice.all.iter();
            let probes: String = probes
                .map(|c| format!(" AND {}", probe(c, choice.type_id, "d.rid", 1, &mut b)))
                .collect();
            format!(
                "SELECT d.rid AS rid, {} {from}{place}{probes}",
                named.join(", ")
            )
        })
        .collect();
    let limit = b.place(&Bind::Int(i64::try_from(limit).unwrap_or(i64::MAX)));
    let by = terms(order, &names, own.len());
    let each = each.join(" UNION ALL ");
    b.finish(&format!("{each} ORDER BY {by} LIMIT {limit}"))
}

/// The rows `d` of the index for the type at `at`, each resource once.
fn from(choice: &Choice, first: &Key, at: usize, b: &mut Binds) -> String {
    let (table, params) = match &first.by {
        By::Param { table, params, .. } => (*table, params),
        By::Id | By::Score(_) => {
            return format!(
                "FROM resource AS d WHERE d.type = {} AND {}",
                choice.type_id.0,
                is_there(choice.type_id, "d.rid", 0)
            );
        }
    };
    let param = b.place(&Bind::Int(params.get(at).copied().unwrap_or(-1)));
    let tuple = columns(table).map_or(&["rid"][..], |c| c.1);
    let of = |alias: &str| {
        let each: Vec<String> = tuple.iter().map(|c| format!("{alias}.{c}")).collect();
        each.join(", ")
    };
    // Of several values the first in this direction counts.
    format!(
        "FROM {name} AS d INDEXED BY {} WHERE d.param = {param} AND {} AND NOT EXISTS \
         (SELECT 1 FROM {name} AS e INDEXED BY {name}_rid WHERE e.rid = d.rid \
         AND e.param = {param} AND ({}) {} ({}) AND {} LIMIT 1)",
        key_index(table),
        holds("d"),
        of("e"),
        if first.descending { ">" } else { "<" },
        of("d"),
        holds("e"),
        name = table.name(),
    )
}

/// Where the index is entered: the bound on its first column.
fn entry(place: &Place, own: &[&str], descending: bool, b: &mut Binds) -> String {
    match (own.first(), place.keys.first()) {
        (Some(column), Some(Some(value))) => {
            let on = if descending { "<" } else { ">" };
            format!(" AND d.{column} {on}= {}", b.place(value))
        }
        _ => String::new(),
    }
}

/// The condition that `d` comes after a place, by these columns and its `rid`.
fn behind_all(place: &Place, own: &[&str], descending: bool, b: &mut Binds) -> String {
    let Some(keys) = place.keys.iter().cloned().collect::<Option<Vec<Bind>>>() else {
        return String::new();
    };
    let entry = if own.len() == 1 {
        entry(place, own, descending, b)
    } else {
        String::new()
    };
    let mut places: Vec<String> = keys.iter().map(|k| b.place(k)).collect();
    places.push(b.place(&Bind::Int(place.rid)));
    let each: Vec<String> = own.iter().map(|c| format!("d.{c}")).collect();
    let on = if descending { "<" } else { ">" };
    let (columns, places) = (each.join(", "), places.join(", "));
    format!("{entry} AND ({columns}, d.rid) {on} ({places})")
}
