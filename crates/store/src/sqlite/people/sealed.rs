//! Sessions and approvals as rows. They are no part of what is administered, as they change with every sign-in:
//! each row carries a seal instead. An older row that is put back says what was so then.

use base::Micros;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};

use super::super::administration::Chain;
use super::super::fault::Doing;
use crate::Result;

/// A row: id, end, record.
pub(super) type Line = (String, i64, String);

/// The lists, by their tables.
const SEALED: [&str; 2] = ["session", "approval"];
const READING: &str = "reading what people approved";

/// Rows of a list that carry their seals, from those with an end after this one; and how many do not.
fn sealed_rows(
    db: &Connection,
    chain: Chain<'_>,
    list: &str,
    after: i64,
) -> Result<(Vec<Line>, u64)> {
    let sql = format!("SELECT id, until_us, record, seal FROM {list} WHERE until_us > ?1");
    let mut read = db.prepare(&sql).doing(READING)?;
    let mut rows = read.query([after]).doing(READING)?;
    let (mut good, mut broken) = (Vec::new(), 0);
    while let Some(row) = rows.next().doing(READING)? {
        match chain.is_sealed(list, row, 3)? {
            true => good.push((
                row.get(0).doing(READING)?,
                row.get(1).doing(READING)?,
                row.get(2).doing(READING)?,
            )),
            false => broken += 1,
        }
    }
    Ok((good, broken))
}

/// Rows that have not ended by themselves; those without their seals count for nothing.
pub(super) fn read_rows(
    db: &Connection,
    chain: Chain<'_>,
    list: &str,
    now: Micros,
) -> Result<Vec<Line>> {
    let (good, broken) = sealed_rows(db, chain, list, now.0)?;
    if broken > 0 {
        tracing::error!(
            list,
            rows = broken,
            "what people signed in or approved does not carry its seal, and counts for nothing"
        );
    }
    Ok(good)
}

pub(super) fn put_row(
    db: &Connection,
    chain: Chain<'_>,
    list: &str,
    (id, until, record): (&str, i64, &str),
) -> Result<()> {
    let seal = chain.seal_of(
        list,
        &[
            ValueRef::Text(id.as_bytes()),
            ValueRef::Integer(until),
            ValueRef::Text(record.as_bytes()),
        ],
    );
    let sql =
        format!("INSERT OR REPLACE INTO {list} (id, until_us, record, seal) VALUES (?1,?2,?3,?4)");
    db.prepare_cached(&sql)
        .and_then(|mut s| s.execute(params![id, until, record, seal]))
        .doing("writing a session or an approval")
        .map(drop)
}

/// How many sessions and approvals do not carry their seals.
pub(crate) fn unsealed(db: &Connection, chain: Chain<'_>) -> Result<u64> {
    let broken = |list: &&str| Ok(sealed_rows(db, chain, list, i64::MIN)?.1);
    SEALED.iter().map(broken).sum()
}

/// Drops sessions and approvals that do not carry their seals.
pub(crate) fn drop_unsealed(db: &Connection, chain: Chain<'_>) -> Result<()> {
    const DOING: &str = "dropping what nobody sealed";
    for list in SEALED {
        let sql = format!("SELECT id, until_us, record, seal FROM {list}");
        let mut read = db.prepare(&sql).doing(DOING)?;
        let mut rows = read.query([]).doing(DOING)?;
        let mut broken: Vec<String> = Vec::new();
        while let Some(row) = rows.next().doing(DOING)? {
            if !chain.is_sealed(list, row, 3)? {
                broken.push(row.get(0).doing(DOING)?);
            }
        }
        for id in broken {
            db.execute(&format!("DELETE FROM {list} WHERE id = ?1"), [id])
                .doing(DOING)?;
        }
    }
    Ok(())
}

/// Seals all sessions and approvals that are there.
pub(crate) fn reseal(db: &Connection, chain: Chain<'_>) -> Result<()> {
    for list in SEALED {
        let sql = format!("SELECT id, until_us, record FROM {list}");
        let mut read = db.prepare(&sql).doing(READING)?;
        let all: Vec<Line> = read
            .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
            .and_then(Iterator::collect)
            .doing(READING)?;
        for (id, until, record) in &all {
            put_row(db, chain, list, (id, *until, record))?;
        }
    }
    Ok(())
}
