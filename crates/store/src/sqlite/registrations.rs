//! Programs that asked to be registered and wait for somebody's approval (RFC 7591), in the tenant's
//! database. What is here is no client: nothing is looked up here when credentials are.

use access::ClientId;
use base::Micros;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::fault::{Doing, damaged};
use crate::Result;
use crate::face::Registration;

/// The table.
pub(crate) const DDL: &str = "
CREATE TABLE registration (
  id TEXT NOT NULL PRIMARY KEY, made_us INTEGER NOT NULL, until_us INTEGER NOT NULL,
  invited INTEGER NOT NULL, secret_hash BLOB, record TEXT NOT NULL
) STRICT, WITHOUT ROWID;
";

const COLUMNS: &str = "id, made_us, until_us, invited, secret_hash, record";

type Kept = (String, i64, i64, bool, Option<[u8; 32]>, String);

fn kept(row: &Row<'_>) -> rusqlite::Result<Kept> {
    Ok((
        row.get(0)?,
        row.get(1)?,
        row.get(2)?,
        row.get(3)?,
        row.get(4)?,
        row.get(5)?,
    ))
}

fn read((id, made, until, invited, secret_hash, record): Kept) -> Result<Registration> {
    Ok(Registration {
        id: ClientId::new(&id).ok_or_else(|| damaged("a stored client id"))?,
        made: Micros(made),
        until: Micros(until),
        invited,
        secret_hash,
        record: record.into(),
    })
}

/// All that wait, the oldest first.
pub(crate) fn all(db: &Connection, now: Micros) -> Result<Vec<Registration>> {
    const DOING: &str = "reading registrations";
    let sql =
        format!("SELECT {COLUMNS} FROM registration WHERE until_us > ?1 ORDER BY made_us, id");
    let mut found = db.prepare(&sql).doing(DOING)?;
    let rows: Vec<Kept> = found
        .query_map([now.0], kept)
        .and_then(Iterator::collect)
        .doing(DOING)?;
    rows.into_iter().map(read).collect()
}

/// One that waits.
pub(crate) fn one(db: &Connection, id: &ClientId, now: Micros) -> Result<Option<Registration>> {
    let sql = format!("SELECT {COLUMNS} FROM registration WHERE id = ?1 AND until_us > ?2");
    db.query_row(&sql, params![id.as_str(), now.0], kept)
        .optional()
        .doing("reading a registration")?
        .map(read)
        .transpose()
}

/// How many wait, that were invited or that were not.
pub(crate) fn count(db: &Connection, invited: bool) -> Result<u64> {
    let sql = "SELECT count(*) FROM registration WHERE invited = ?1";
    let count: i64 = db
        .query_row(sql, [invited], |row| row.get(0))
        .doing("counting registrations")?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Drops those that waited too long.
pub(crate) fn sweep(db: &Connection, now: Micros) -> Result<()> {
    db.execute("DELETE FROM registration WHERE until_us <= ?1", [now.0])
        .doing("dropping old registrations")
        .map(drop)
}

/// Keeps one.
pub(crate) fn put(db: &Connection, new: &Registration) -> Result<()> {
    let sql = format!("INSERT INTO registration ({COLUMNS}) VALUES (?1,?2,?3,?4,?5,?6)");
    db.execute(
        &sql,
        params![
            new.id.as_str(),
            new.made.0,
            new.until.0,
            new.invited,
            new.secret_hash,
            new.record
        ],
    )
    .doing("keeping a registration")
    .map(drop)
}

/// Drops one; whether there was one.
pub(crate) fn drop_one(db: &Connection, id: &ClientId) -> Result<bool> {
    db.execute("DELETE FROM registration WHERE id = ?1", [id.as_str()])
        .doing("dropping a registration")
        .map(|count| count > 0)
}
