//! The text of statements: conditions about a `rid`, and the rows that a [`Driver`] gives.
//!
//! Conditions are written as `EXISTS (… LIMIT 1)`: the limit keeps the engine from turning them
//! into joins and choosing its own order. Joins are `CROSS JOIN`s for the same reason, and every
//! table is read by a named index.

mod hops;

use std::borrow::Cow;

use fhir::definitions::TypeId;

use super::compare::{Arm, Test, Ways, all};
use super::cond::{Canonical, Cond};
use super::drive::Driver;
use super::text::{Bind, Binds, holds, joined};
use crate::sqlite::index::{IdKey, NO_TYPE, Table};

/// The name of the index that is the table's own key.
pub(crate) const fn key_index(table: Table) -> &'static str {
    match table {
        Table::Type => "sqlite_autoindex_ix_type_1",
        Table::Token => "sqlite_autoindex_ix_token_1",
        Table::String => "sqlite_autoindex_ix_string_1",
        Table::Date => "sqlite_autoindex_ix_date_1",
        Table::Number => "sqlite_autoindex_ix_number_1",
        Table::Quantity => "sqlite_autoindex_ix_quantity_1",
        Table::Reference => "sqlite_autoindex_ix_reference_1",
        Table::Uri => "sqlite_autoindex_ix_uri_1",
        Table::Composite => "sqlite_autoindex_ix_composite_1",
        Table::Compartment => "sqlite_autoindex_ix_compartment_1",
        Table::Text => "sqlite_autoindex_ix_text_1",
    }
}

/// Whether the resource `rid` (an expression) of a type meets a condition. `depth` tells nested
/// names apart.
pub(crate) fn probe(
    cond: &Cond,
    type_id: TypeId,
    rid: &str,
    depth: usize,
    b: &mut Binds,
) -> String {
    match cond {
        Cond::Never => "0".to_owned(),
        Cond::Not(part) => {
            b.turn();
            let part = probe(part, type_id, rid, depth, b);
            b.turn();
            format!("NOT ({part})")
        }
        Cond::Reached(number) => {
            let number = b.place(&Bind::Int(*number));
            ["reached(", &number, ", ", rid, ")"].concat()
        }
        Cond::Any(tests) => some_row(tests, rid, depth, b),
        Cond::None(tests) => format!("NOT {}", some_row(tests, rid, depth, b)),
        Cond::Missing(missing, param, tables) => {
            let each: Vec<String> = tables
                .iter()
                .map(|table| rows(*table, *param, rid, "1", depth, b))
                .collect();
            let some = joined(&each, "OR", "0");
            if *missing {
                format!("NOT ({some})")
            } else {
                some
            }
        }
        Cond::Id(ids) => has_id(ids, rid, depth, b),
        Cond::NotId(ids) => format!("NOT {}", has_id(ids, rid, depth, b)),
        Cond::Chain { param, targets } => {
            let each: Vec<String> = targets
                .iter()
                .map(|(to, inner)| chain(*param, *to, inner, rid, depth, b))
                .collect();
            joined(&each, "OR", "0")
        }
        Cond::Named { param, targets } => {
            let each: Vec<String> = targets
                .iter()
                .map(|to| named(*param, to, rid, depth, b))
                .collect();
            joined(&each, "OR", "0")
        }
        Cond::Has {
            source,
            param,
            inner,
        } => has(*source, *param, inner, type_id, rid, depth, b),
        Cond::Inside { param, targets } => {
            let each: Vec<String> = targets
                .iter()
                .map(|(to, inner)| hops::inside(*param, *to, inner, rid, depth, b))
                .collect();
            joined(&each, "OR", "0")
        }
        Cond::NamedBy {
            source,
            param,
            targets,
            inner,
        } => match targets.iter().find(|to| to.type_id == type_id) {
            Some(to) => hops::named_by(*source, *param, to, inner, rid, depth, b),
            None => "0".to_owned(),
        },
        Cond::MemberOf {
            param,
            source,
            member,
            inner,
        } => hops::member_of(*param, (*source, *member), inner, rid, depth, b),
        Cond::All(conds) => each(conds, type_id, rid, depth, ("AND", "1"), b),
        Cond::Either(conds) => each(conds, type_id, rid, depth, ("OR", "0"), b),
    }
}

fn each(
    conds: &[Cond],
    type_id: TypeId,
    rid: &str,
    depth: usize,
    (word, none): (&str, &str),
    b: &mut Binds,
) -> String {
    let each: Vec<String> = conds
        .iter()
        .map(|cond| probe(cond, type_id, rid, depth, b))
        .collect();
    joined(&each, word, none)
}

/// A row of the parameter that meets `filter`, found by `rid`.
fn rows(table: Table, param: i64, rid: &str, filter: &str, depth: usize, b: &mut Binds) -> String {
    let name = table.name();
    let param = b.place(&Bind::Int(param));
    let holds = holds(&format!("p{depth}"));
    format!(
        "EXISTS (SELECT 1 FROM {name} AS p{depth} INDEXED BY {by_rid} WHERE p{depth}.rid = {rid} \
         AND p{depth}.param = {param} AND {filter} AND {holds} LIMIT 1)",
        by_rid = table.by_rid(),
    )
}

fn some_row(tests: &[Test], rid: &str, depth: usize, b: &mut Binds) -> String {
    let alias = format!("p{depth}");
    let mut groups: Vec<(Table, i64, Vec<&Test>)> = Vec::new();
    for test in tests {
        match groups
            .iter_mut()
            .find(|g| g.0 == test.table && g.1 == test.param)
        {
            Some(group) => group.2.push(test),
            None => groups.push((test.table, test.param, vec![test])),
        }
    }
    let each: Vec<String> = groups
        .iter()
        .map(|(table, param, tests)| {
            let filter = listed(tests, &alias, b).unwrap_or_else(|| {
                let any: Vec<String> = tests.iter().map(|t| all(&t.preds, &alias, b)).collect();
                joined(&any, "OR", "0")
            });
            rows(*table, *param, rid, &filter, depth, b)
        })
        .collect();
    joined(&each, "OR", "0")
}

/// Many equalities on the same columns, as one list.
fn listed(tests: &[&Test], alias: &str, b: &mut Binds) -> Option<String> {
    if tests.len() <= b.bounds.listed {
        return None;
    }
    let lists: Vec<&[super::compare::Pred]> = tests.iter().map(|t| t.preds.as_slice()).collect();
    let (columns, values) = equalities(&lists)?;
    let columns: Vec<String> = columns.iter().map(|c| format!("{alias}.{c}")).collect();
    Some(format!(
        "({}) IN (VALUES {})",
        columns.join(", "),
        value_rows(&values, b)
    ))
}

/// Columns and values, if all lists compare the same columns for equality.
pub(crate) fn equalities(
    lists: &[&[super::compare::Pred]],
) -> Option<(Vec<&'static str>, Vec<Vec<Bind>>)> {
    use super::compare::{Op, Pred};
    let mut columns: Option<Vec<&'static str>> = None;
    let mut values = Vec::with_capacity(lists.len());
    for preds in lists {
        let mut own = Vec::with_capacity(preds.len());
        let mut row = Vec::with_capacity(preds.len());
        for pred in *preds {
            let Pred::Column(column, Op::Is, value) = pred else {
                return None;
            };
            own.push(*column);
            row.push(value.clone());
        }
        if own.is_empty() || columns.as_ref().is_some_and(|c| *c != own) {
            return None;
        }
        columns = Some(own);
        values.push(row);
    }
    columns.map(|c| (c, values))
}

fn value_rows(values: &[Vec<Bind>], b: &mut Binds) -> String {
    let rows: Vec<String> = values
        .iter()
        .map(|row| {
            let places: Vec<String> = row.iter().map(|v| b.place(v)).collect();
            format!("({})", places.join(", "))
        })
        .collect();
    rows.join(", ")
}

fn id_list(ids: &[IdKey], b: &mut Binds) -> String {
    let places: Vec<String> = ids
        .iter()
        .map(|id| b.place(&Bind::from(id.clone())))
        .collect();
    places.join(", ")
}

fn has_id(ids: &[IdKey], rid: &str, depth: usize, b: &mut Binds) -> String {
    let ids = id_list(ids, b);
    format!(
        "EXISTS (SELECT 1 FROM resource AS t{depth} WHERE t{depth}.rid = {rid} \
         AND t{depth}.id IN ({ids}) LIMIT 1)"
    )
}

/// Whether a resource of the type is there at all.
pub(crate) fn is_there(type_id: TypeId, rid: &str, depth: usize) -> String {
    let holds = holds(&format!("x{depth}"));
    format!(
        "EXISTS (SELECT 1 FROM ix_type AS x{depth} WHERE x{depth}.type = {} AND \
         x{depth}.rid = {rid} AND {holds} LIMIT 1)",
        type_id.0
    )
}

/// The condition that the resource `rid` is of the version that the canonical `reference` names, or
/// of a version that begins with it, if it names one; `param` is the parameter of the resource's
/// version.
pub(crate) fn version_fits(reference: &str, rid: &str, param: &str) -> String {
    format!(
        "({reference}.version = '' OR EXISTS (SELECT 1 FROM ix_token AS w \
         INDEXED BY ix_token_rid WHERE w.rid = {rid} AND w.param = {param} \
         AND (w.code = {reference}.version OR substr(w.code, 1, length({reference}.version) + 1) \
         = {reference}.version || '.') AND {} LIMIT 1))",
        holds("w")
    )
}

fn named(param: i64, to: &Canonical, rid: &str, depth: usize, b: &mut Binds) -> String {
    let (r, u) = (format!("r{depth}"), format!("u{depth}"));
    let target = format!("{u}.rid");
    let param = b.place(&Bind::Int(param));
    let url = b.place(&Bind::Int(to.url));
    let inner = probe(&to.cond, to.type_id, &target, depth + 1, b);
    format!(
        "EXISTS (SELECT 1 FROM ix_reference AS {r} INDEXED BY ix_reference_rid \
         CROSS JOIN ix_uri AS {u} INDEXED BY {key} WHERE {r}.rid = {rid} AND {r}.param = {param} \
         AND {r}.type = {NO_TYPE} AND {from} AND {u}.param = {url} AND {u}.uri = {r}.id AND {there} \
         AND {version} AND {inner}{evidence} LIMIT 1)",
        key = key_index(Table::Uri),
        evidence = b.is_evidence(&target),
        from = holds(&r),
        there = holds(&u),
        version = version_fits(&r, &target, &to.version.to_string()),
    )
}

fn chain(param: i64, to: TypeId, inner: &Cond, rid: &str, depth: usize, b: &mut Binds) -> String {
    let (r, t) = (format!("r{depth}"), format!("t{depth}"));
    let target = format!("{t}.rid");
    let param = b.place(&Bind::Int(param));
    let inner = probe(inner, to, &target, depth + 1, b);
    format!(
        "EXISTS (SELECT 1 FROM ix_reference AS {r} INDEXED BY ix_reference_rid \
         CROSS JOIN resource AS {t} WHERE {r}.rid = {rid} AND {r}.param = {param} \
         AND {r}.type = {to} AND {holds} AND {t}.type = {to} AND {t}.id = {r}.id \
         AND {there} AND {inner}{evidence} LIMIT 1)",
        to = to.0,
        evidence = b.is_evidence(&target),
        holds = holds(&r),
        there = is_there(to, &target, depth + 1),
    )
}

fn has(
    source: TypeId,
    param: i64,
    inner: &Cond,
    type_id: TypeId,
    rid: &str,
    depth: usize,
    b: &mut Binds,
) -> String {
    let (r, t) = (format!("r{depth}"), format!("t{depth}"));
    let param = b.place(&Bind::Int(param));
    let inner = probe(inner, source, &format!("{r}.rid"), depth + 1, b);
    let mut apart = b.not_apart(&format!("{r}.rid"));
    apart.push_str(&b.is_evidence(&format!("{r}.rid")));
    format!(
        "EXISTS (SELECT 1 FROM resource AS {t} CROSS JOIN ix_reference AS {r} INDEXED BY {key} \
         WHERE {t}.rid = {rid} AND {r}.param = {param} AND {r}.type = {type_id} \
         AND {r}.id = {t}.id AND {holds} AND {inner}{apart} LIMIT 1)",
        key = key_index(Table::Reference),
        type_id = type_id.0,
        holds = holds(&r),
    )
}

/// `SELECT`s whose rows together are those of a driver: text behind `SELECT …`, in which `d.rid`
/// is the resource.
pub(crate) struct Source {
    /// From `FROM` on; ends within the `WHERE` part.
    pub(crate) from: String,
    /// No `rid` comes twice.
    pub(crate) unique: bool,
}

/// The rows of a driver for a type. `counting`: the index rows that are read for them.
pub(crate) fn sources(
    driver: &Driver,
    type_id: TypeId,
    counting: bool,
    b: &mut Binds,
) -> Vec<Source> {
    let one = |from, unique| vec![Source { from, unique }];
    match driver {
        Driver::Nothing => one("FROM (SELECT 0 AS rid) AS d WHERE 0".to_owned(), true),
        Driver::Type => one(
            format!(
                "FROM ix_type AS d WHERE d.type = {} AND {}",
                type_id.0,
                holds("d")
            ),
            true,
        ),
        Driver::Arms { table, param, arms } => arm_sources(*table, *param, arms, counting, b),
        Driver::Ids(ids) => {
            let ids = id_list(ids, b);
            let there = is_there(type_id, "d.rid", 0);
            let type_id = type_id.0;
            one(
                format!(
                    "FROM resource AS d WHERE d.type = {type_id} AND d.id IN ({ids}) AND {there}"
                ),
                true,
            )
        }
        Driver::Rows { number, .. } => one(row_source(*number, b), true),
        Driver::Compartment { patients, dates } => compartment_sources(patients, dates, type_id, b),
        Driver::Either(drivers) => drivers
            .iter()
            .flat_map(|driver| sources(driver, type_id, counting, b))
            .map(|source| Source {
                unique: false,
                ..source
            })
            .collect(),
        Driver::Chain { param, targets } => targets
            .iter()
            .map(|(to, inner)| {
                let inner = set(inner, *to, b);
                let param = b.place(&Bind::Int(*param));
                let from = format!(
                    "FROM {inner} AS i CROSS JOIN resource AS t CROSS JOIN ix_reference AS d \
                     INDEXED BY {key} WHERE t.rid = i.rid AND d.param = {param} \
                     AND d.type = {to} AND d.id = t.id AND {holds}{evidence}",
                    key = key_index(Table::Reference),
                    to = to.0,
                    evidence = b.is_evidence("t.rid"),
                    holds = holds("d"),
                );
                Source {
                    from,
                    unique: false,
                }
            })
            .collect(),
        Driver::Named { param, targets } => targets
            .iter()
            .map(|(to, inner)| {
                let inner = set(inner, to.type_id, b);
                let param = b.place(&Bind::Int(*param));
                let url = b.place(&Bind::Int(to.url));
                let from = format!(
                    "FROM {inner} AS i CROSS JOIN ix_uri AS u INDEXED BY ix_uri_rid \
                     CROSS JOIN ix_reference AS d INDEXED BY {key} WHERE u.rid = i.rid \
                     AND u.param = {url} AND {there} AND d.param = {param} AND d.type = {NO_TYPE} \
                     AND d.id = u.uri AND {holds} AND {version}{evidence}",
                    key = key_index(Table::Reference),
                    evidence = b.is_evidence("u.rid"),
                    there = holds("u"),
                    holds = holds("d"),
                    version = version_fits("d", "u.rid", &to.version.to_string()),
                );
                Source {
                    from,
                    unique: false,
                }
            })
            .collect(),
        Driver::Inside { param, targets } => targets
            .iter()
            .map(|(to, inner)| hops::containers(*param, *to, inner, b))
            .collect(),
        Driver::NamedBy {
            source,
            param,
            targets,
            inner,
        } => {
            let of_type = targets.iter().filter(|to| to.type_id == type_id);
            of_type
                .map(|to| hops::named(*source, *param, to, inner, b))
                .collect()
        }
        Driver::MemberOf {
            param,
            source,
            member,
            inner,
        } => vec![hops::members(*param, (*source, *member), inner, b)],
        Driver::Has {
            source,
            param,
            inner,
        } => {
            let inner = set(inner, *source, b);
            let param = b.place(&Bind::Int(*param));
            let from = format!(
                "FROM {inner} AS i CROSS JOIN ix_reference AS r INDEXED BY ix_reference_rid \
                 CROSS JOIN resource AS d WHERE r.rid = i.rid AND r.param = {param} \
                 AND r.type = {type_id} AND {holds} AND d.type = {type_id} AND d.id = r.id \
                 AND {there}{evidence}",
                evidence = b.is_evidence("r.rid"),
                type_id = type_id.0,
                holds = holds("r"),
                there = is_there(type_id, "d.rid", 0),
            );
            one(from, false)
        }
    }
}

/// Resources by their rows; what is remembered as reached is there.
fn row_source(number: i64, b: &mut Binds) -> String {
    let number = b.place(&Bind::Int(number));
    format!("FROM listed AS d WHERE d.number = {number}")
}

/// Those of them that have the one index row that a condition asks for. A join, because the engine opens
/// the index once for it, and once for each row for a condition by itself.
pub(crate) fn row_source_with(number: i64, test: &Test, b: &mut Binds) -> Source {
    let listed = row_source(number, b).replacen(
        " WHERE ",
        &format!(
            " CROSS JOIN {} AS m INDEXED BY {} WHERE ",
            test.table.name(),
            test.table.by_rid()
        ),
        1,
    );
    let param = b.place(&Bind::Int(test.param));
    let preds = all(&test.preds, "m", b);
    let holds = holds("m");
    Source {
        from: format!("{listed} AND m.rid = d.rid AND m.param = {param} AND {preds} AND {holds}"),
        unique: true,
    }
}

/// What a condition compares, if no resource meets it by more than one index row.
pub(crate) fn by_one_row(cond: &Cond) -> Option<&Test> {
    let Cond::Any(tests) = cond else { return None };
    let [test] = tests.as_slice() else {
        return None;
    };
    match &test.ways {
        Ways::Known(arms) => match arms.as_slice() {
            [arm] if arm.unique && arm.filter.is_empty() && !arm.long => Some(test),
            _ => None,
        },
        Ways::Each { .. } => None,
    }
}

fn arm_sources(
    table: Table,
    param: i64,
    arms: &[Arm],
    counting: bool,
    b: &mut Binds,
) -> Vec<Source> {
    if arms.len() > b.bounds.listed {
        let lists: Vec<_> = arms.iter().map(|a| a.preds.as_slice()).collect();
        let keyed = |a: &Arm| a.ordered && !a.long && a.filter.is_empty();
        if let (true, Some((columns, values))) = (arms.iter().all(keyed), equalities(&lists)) {
            return vec![value_source(table, param, &columns, &values, "", b)];
        }
    }
    if arms.len() > b.bounds.arms {
        return vec![any_source(table, param, arms, b)];
    }
    let each = arms.iter();
    each.map(|arm| arm_source(table, param, arm, counting, b))
        .collect()
}

fn compartment_sources(
    patients: &[IdKey],
    dates: &[Test],
    type_id: TypeId,
    b: &mut Binds,
) -> Vec<Source> {
    let any: Vec<String> = dates.iter().map(|t| all(&t.preds, "d", b)).collect();
    let date = joined(&any, "OR", "1");
    let mut source = |patient: &IdKey| {
        let patient = b.place(&Bind::from(patient.clone()));
        let from = format!(
            "FROM ix_compartment AS d INDEXED BY {} WHERE d.patient = {patient} \
             AND d.type = {} AND {date} AND {}",
            key_index(Table::Compartment),
            type_id.0,
            holds("d")
        );
        Source {
            from,
            unique: false,
        }
    };
    patients.iter().map(&mut source).collect()
}

fn arm_source(table: Table, param: i64, arm: &Arm, counting: bool, b: &mut Binds) -> Source {
    let param = b.place(&Bind::Int(param));
    let mut filter = all(&arm.preds, "d", b);
    if !counting && !arm.filter.is_empty() {
        filter.push_str(" AND ");
        filter.push_str(&all(&arm.filter, "d", b));
    }
    let name = table.name();
    let index = match arm.long {
        true => Cow::Owned(format!("{name}_long")),
        false => Cow::Borrowed(key_index(table)),
    };
    let long = match (arm.long, table) {
        (false, _) => "",
        (true, Table::Date) => " AND d.high - d.low > 86400000000",
        (true, _) => " AND d.high - d.low > 1.0",
    };
    let from = [
        "FROM ",
        name,
        " AS d INDEXED BY ",
        &index,
        " WHERE d.param = ",
        &param,
        " AND ",
        &filter,
        long,
        " AND ",
        &holds("d"),
    ];
    Source {
        from: from.concat(),
        unique: arm.unique,
    }
}

/// Very many different arms: all rows of the parameter, each compared with all of them. Of references
/// those to what the arms are about.
fn any_source(table: Table, param: i64, arms: &[Arm], b: &mut Binds) -> Source {
    let any: Vec<String> = arms
        .iter()
        .map(|arm| all(&[arm.preds.as_slice(), &arm.filter].concat(), "d", b))
        .collect();
    let targets: Vec<_> = arms.iter().map(|a| a.preds.as_slice()).collect();
    if table == Table::Reference
        && let Some((columns, mut values)) = equalities(&targets)
    {
        values.dedup();
        let any = format!(" AND {}", joined(&any, "OR", "0"));
        return value_source(table, param, &columns, &values, &any, b);
    }
    let param = b.place(&Bind::Int(param));
    let from = format!(
        "FROM {} AS d INDEXED BY {} WHERE d.param = {param} AND {} AND {}",
        table.name(),
        key_index(table),
        joined(&any, "OR", "0"),
        holds("d")
    );
    Source {
        from,
        unique: false,
    }
}

fn value_source(
    table: Table,
    param: i64,
    columns: &[&'static str],
    values: &[Vec<Bind>],
    more: &str,
    b: &mut Binds,
) -> Source {
    let names: Vec<String> = (1..=columns.len()).map(|i| format!("v{i}")).collect();
    let rows = format!("VALUES {}", value_rows(values, b));
    let list = b.table(&names.join(", "), rows);
    let same: Vec<String> = columns
        .iter()
        .zip(&names)
        .map(|(c, v)| format!("d.{c} = v.{v}"))
        .collect();
    let param = b.place(&Bind::Int(param));
    let from = format!(
        "FROM {list} AS v CROSS JOIN {} AS d INDEXED BY {} WHERE d.param = {param} AND {}{more} AND {}",
        table.name(),
        key_index(table),
        same.join(" AND "),
        holds("d")
    );
    Source {
        from,
        unique: false,
    }
}

/// The name of a table with the rows of a driver.
fn set(driver: &Driver, type_id: TypeId, b: &mut Binds) -> String {
    let text = union(&sources(driver, type_id, false, b));
    b.table("rid", text)
}

/// The resources of some sources, each once, in no order.
fn union(sources: &[Source]) -> String {
    match sources {
        [one] if one.unique => format!("SELECT d.rid {}", one.from),
        [one] => format!("SELECT DISTINCT d.rid {}", one.from),
        several => {
            let each: Vec<String> = several
                .iter()
                .map(|s| format!("SELECT d.rid {}", s.from))
                .collect();
            each.join(" UNION ")
        }
    }
}

/// The number of index rows that a driver reads, at most `max`, and the oldest `rid` among them.
/// `newest`: the newest are counted; else any, and the `rid` says nothing.
pub(crate) fn bounded_count(
    driver: &Driver,
    type_id: TypeId,
    max: u64,
    newest: bool,
    mut b: Binds,
) -> super::Statement {
    let each: Vec<String> = sources(driver, type_id, true, &mut b)
        .iter()
        .map(|s| format!("SELECT d.rid AS rid {}", s.from))
        .collect();
    let each = each.join(" UNION ALL ");
    let main = if newest {
        format!(
            "SELECT count(*), coalesce(min(rid), 0) FROM \
             (SELECT rid FROM ({each}) ORDER BY rid DESC LIMIT {max})"
        )
    } else {
        format!(
            "SELECT count(*), {} FROM (SELECT rid FROM ({each}) LIMIT {max})",
            i64::MAX
        )
    };
    b.finish(&main)
}
