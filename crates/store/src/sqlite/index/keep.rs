//! Index rows that are in the tables: reading a resource's, closing, sweeping, comparing.

use base::{Micros, Seq};
use fhir::definitions::TypeId;
use fhir::search::rows::Row;
use rusqlite::Connection;

use super::batch::{self, Placed, number};
use super::key::{IdKey, Key, PLACE_BITS, Table, row_of, type_number};
use super::vocabulary::Vocabulary;

/// The keys of a resource and of what it contains that hold now, sorted.
pub(super) fn open_keys(
    conn: &Connection,
    vocabulary: &Vocabulary,
    type_id: TypeId,
    rid: i64,
) -> rusqlite::Result<Vec<Placed>> {
    let mut keys = param_keys(conn, rid)?;
    keys.push((0, Key::Type(type_number(type_id))));
    compartments(vocabulary, type_id, &mut keys);
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}

/// The keys of the parameters of a resource, and of what it contains, that hold now, sorted.
pub(super) fn param_keys(conn: &Connection, rid: i64) -> rusqlite::Result<Vec<Placed>> {
    let mut keys = Vec::new();
    let last = (1 << PLACE_BITS) - 1;
    let inside = (row_of(rid, last), row_of(rid, 1));
    let contains: bool = conn
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM ix_token INDEXED BY ix_token_rid
             WHERE rid BETWEEN ?1 AND ?2 AND until_seq = 0)",
        )?
        .query_row(inside, |row| row.get(0))?;
    for table in Table::OF_PARAMS {
        let name = table.name();
        let columns = table.columns().join(", ");
        let mut read = conn.prepare_cached(&format!(
            "SELECT {columns} FROM {name} INDEXED BY {by} WHERE rid = ?1 AND until_seq = 0",
            by = table.by_rid()
        ))?;
        let mut rows = read.query([rid])?;
        while let Some(row) = rows.next()? {
            keys.extend(Key::read(table, row)?.map(|key| (0, key)));
        }
        if !contains {
            continue;
        }
        let mut read = conn.prepare_cached(&format!(
            "SELECT {columns}, -rid & {last} FROM {name} INDEXED BY {by}
             WHERE rid BETWEEN ?1 AND ?2 AND until_seq = 0",
            by = table.by_rid()
        ))?;
        let mut rows = read.query(inside)?;
        while let Some(row) = rows.next()? {
            let place = row.get(table.columns().len())?;
            keys.extend(Key::read(table, row)?.map(|key| (place, key)));
        }
    }
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}

/// Adds the compartment keys that follow from the other keys.
fn compartments(vocabulary: &Vocabulary, type_id: TypeId, keys: &mut Vec<Placed>) {
    let shape = vocabulary.shape();
    let Some(of_type) = shape.of_type(type_id) else {
        return;
    };
    let (Some(date), Some(patient)) = (of_type.date, shape.patient()) else {
        return;
    };
    let patients: Vec<IdKey> = keys
        .iter()
        .filter_map(|(_, key)| match key {
            Key::Reference {
                param,
                type_id: to,
                id,
                ..
            } if *to == type_number(patient)
                && of_type.patients.iter().any(|p| i64::from(p.0) == *param) =>
            {
                Some(id.clone())
            }
            _ => None,
        })
        .collect();
    let ranges: Vec<(i64, i64)> = keys
        .iter()
        .filter_map(|(_, key)| match key {
            Key::Date { param, low, high } if *param == i64::from(date.0) => Some((*low, *high)),
            _ => None,
        })
        .collect();
    let type_id = type_number(type_id);
    for patient in patients {
        for (low, high) in &ranges {
            let patient = patient.clone();
            let key = Key::Compartment {
                patient,
                type_id,
                low: *low,
                high: *high,
            };
            keys.push((0, key));
        }
    }
}

/// Closes one row.
pub(super) fn close_key(conn: &Connection, key: &Key, rid: i64, seq: Seq) -> rusqlite::Result<()> {
    let table = key.table();
    let same: Vec<String> = table.columns().iter().map(|c| format!("{c} = ?")).collect();
    let mut close = conn.prepare_cached(&format!(
        "UPDATE {} SET until_seq = ? WHERE {} AND rid = ? AND until_seq = 0",
        table.name(),
        same.join(" AND ")
    ))?;
    close.raw_bind_parameter(1, number(seq))?;
    let at = key.bind(&mut close, 2)?;
    close.raw_bind_parameter(at, rid)?;
    close.raw_execute()?;
    Ok(())
}

/// Up to which change closed rows are swept: a page can be answered as of this change or a later
/// one.
pub(crate) fn horizon(conn: &Connection) -> rusqlite::Result<Seq> {
    conn.prepare_cached("SELECT seq FROM ix_horizon")?
        .query_row([], |r| r.get::<_, i64>(0))
        .map(|seq| Seq(u64::try_from(seq).unwrap_or(0)))
}

/// Drops rows that were closed by change `until` or an earlier one; returns how many. Pages as of
/// an earlier change cannot be answered any more. Call it in steps of some thousand changes: it
/// takes time in proportion to the rows dropped.
pub(crate) fn sweep(conn: &Connection, until: Seq) -> rusqlite::Result<usize> {
    let mut dropped = 0;
    for table in Table::ALL {
        let name = table.name();
        let mut delete = conn.prepare_cached(&format!(
            "DELETE FROM {name} INDEXED BY {name}_closed WHERE until_seq > 0 AND until_seq <= ?1"
        ))?;
        dropped += delete.execute([number(until)])?;
    }
    conn.prepare_cached("UPDATE ix_horizon SET seq = ?1 WHERE seq < ?1")?
        .execute([number(until)])?;
    Ok(dropped)
}

/// Whether the index says anything else about a resource than `rows` and `updated` do. `None` for
/// a resource that is deleted: nothing may hold. Rows of parameters for which `incomplete` holds are
/// not looked at.
pub(crate) fn differs(
    conn: &Connection,
    vocabulary: &Vocabulary,
    type_id: TypeId,
    rid: i64,
    expected: Option<(Micros, &[Row])>,
    incomplete: &dyn Fn(i64) -> bool,
) -> rusqlite::Result<bool> {
    let listed = is_open(conn, &Key::Type(type_number(type_id)), rid)?;
    let mut found = open_keys(conn, vocabulary, type_id, rid)?;
    found.retain(|(_, k)| !k.param().is_some_and(incomplete));
    let Some((updated, rows)) = expected else {
        found.retain(|(_, k)| !matches!(k, Key::Type(_)));
        return Ok(listed || !found.is_empty());
    };
    // A system without a number is in no row: a number that is in none either makes the difference.
    let system = |text: &str| {
        vocabulary
            .system(conn, text)
            .map(|id| id.unwrap_or(i64::MIN))
    };
    let mut wanted = batch::keys(vocabulary, type_id, updated, rows, system)?;
    wanted.retain(|(_, k)| !k.param().is_some_and(incomplete));
    if !listed || found != wanted {
        return Ok(true);
    }
    for (_, key) in wanted
        .iter()
        .filter(|(_, k)| matches!(k, Key::Compartment { .. }))
    {
        if !is_open(conn, key, rid)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_open(conn: &Connection, key: &Key, rid: i64) -> rusqlite::Result<bool> {
    let table = key.table();
    let same: Vec<String> = table.columns().iter().map(|c| format!("{c} = ?")).collect();
    let mut find = conn.prepare_cached(&format!(
        "SELECT 1 FROM {} WHERE {} AND rid = ? AND until_seq = 0",
        table.name(),
        same.join(" AND ")
    ))?;
    let at = key.bind(&mut find, 1)?;
    find.raw_bind_parameter(at, rid)?;
    let mut rows = find.raw_query();
    Ok(rows.next()?.is_some())
}
