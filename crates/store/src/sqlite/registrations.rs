//! Programs that asked to be registered and wait for somebody's approval (RFC 7591), in the tenant's
//! database. What is here is no client: nothing is looked up here when credentials are.

use access::ClientId;
use base::{Limits, Micros};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::fault::{Doing, damaged};
use crate::Result;
use crate::face::Registration;

/// The table.
pub(crate) const DDL: &str = "
CREATE TABLE registration (
  id TEXT NOT NULL PRIMARY KEY, made_us INTEGER NOT NULL, until_us INTEGER NOT NULL,
  network TEXT NOT NULL, invited INTEGER NOT NULL, secret_hash BLOB, record TEXT NOT NULL
) STRICT, WITHOUT ROWID;
";

const COLUMNS: &str = "id, made_us, until_us, network, invited, secret_hash, record";

/// A limit, by name, and what it is.
pub(crate) type Past = Option<(&'static str, u64)>;

type Kept = (String, i64, i64, String, bool, Option<[u8; 32]>, String);

fn kept(row: &Row<'_>) -> rusqlite::Result<Kept> {
    Ok((
        row.get(0)?,
        row.get(1)?,
        row.get(2)?,
        row.get(3)?,
        row.get(4)?,
        row.get(5)?,
        row.get(6)?,
    ))
}

fn read((id, made, until, network, invited, secret_hash, record): Kept) -> Result<Registration> {
    Ok(Registration {
        id: ClientId::new(&id).ok_or_else(|| damaged("a stored client id"))?,
        made: Micros(made),
        until: Micros(until),
        network,
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

/// The limit that one more would be past; none where there is room. Those who were invited and those who
/// were not do not take each other's, and no network takes all that there is for those who were not.
pub(crate) fn past(db: &Connection, new: &Registration, limits: &Limits) -> Result<Past> {
    let sql = "SELECT count(*), count(*) FILTER (WHERE network = ?2) FROM registration \
               WHERE invited = ?1 AND until_us > ?3";
    let counts: (i64, i64) = db
        .query_row(sql, params![new.invited, new.network, new.made.0], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .doing("counting registrations")?;
    let count = |n: i64| u64::try_from(n).unwrap_or(0);
    let (all, max) = (
        limits.registrations_max,
        limits.registrations_per_network_max,
    );
    Ok(match (count(counts.0), count(counts.1)) {
        (count, _) if count >= all => Some(("registrations_max", all)),
        (_, count) if !new.invited && count >= max => Some(("registrations_per_network_max", max)),
        _ => None,
    })
}

/// Drops those that waited too long.
pub(crate) fn sweep(db: &Connection, now: Micros) -> Result<()> {
    db.execute("DELETE FROM registration WHERE until_us <= ?1", [now.0])
        .doing("dropping old registrations")
        .map(drop)
}

/// Keeps one.
pub(crate) fn put(db: &Connection, new: &Registration) -> Result<()> {
    let sql = format!("INSERT INTO registration ({COLUMNS}) VALUES (?1,?2,?3,?4,?5,?6,?7)");
    db.execute(
        &sql,
        params![
            new.id.as_str(),
            new.made.0,
            new.until.0,
            new.network,
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
