//! Programs that asked to be registered and wait for somebody's approval (RFC 7591), in the tenant's
//! database. What is here is no client: nothing is looked up here when credentials are.

use access::ClientId;
use base::{Code, Limits, Micros};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Params, Row, params};

use super::administration::Chain;
use super::fault::{Doing, damaged};
use crate::face::Registration;
use crate::{Result, StoreError};

/// The table.
pub(crate) const DDL: &str = "
CREATE TABLE registration (
  id TEXT NOT NULL PRIMARY KEY, made_us INTEGER NOT NULL, until_us INTEGER NOT NULL,
  network TEXT NOT NULL, invited INTEGER NOT NULL, secret_hash BLOB, record TEXT NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Their seals: what waits is not vouched for by what is administered.
pub(crate) const SEALS: &str = "ALTER TABLE registration ADD COLUMN seal BLOB";

const LIST: &str = "registration";
const COLUMNS: &str = "id, made_us, until_us, network, invited, secret_hash, record";

/// A limit, by name, and what it is.
pub(crate) type Past = Option<StoreError>;

fn read(row: &Row<'_>) -> Result<Registration> {
    const DOING: &str = "reading a registration";
    let id: String = row.get(0).doing(DOING)?;
    let record: String = row.get(6).doing(DOING)?;
    Ok(Registration {
        id: ClientId::new(&id).ok_or_else(|| damaged("a stored client id"))?,
        made: Micros(row.get(1).doing(DOING)?),
        until: Micros(row.get(2).doing(DOING)?),
        network: row.get(3).doing(DOING)?,
        invited: row.get(4).doing(DOING)?,
        secret_hash: row.get(5).doing(DOING)?,
        record: record.into(),
    })
}

/// Those rows that carry their seal, or all without a chain.
fn sealed(
    db: &Connection,
    chain: Option<Chain<'_>>,
    which: &str,
    values: impl Params,
) -> Result<Vec<Registration>> {
    const DOING: &str = "reading registrations";
    let sql = format!("SELECT {COLUMNS}, seal FROM registration {which}");
    let mut found = db.prepare(&sql).doing(DOING)?;
    let mut rows = found.query(values).doing(DOING)?;
    let mut some = Vec::new();
    while let Some(row) = rows.next().doing(DOING)? {
        if match chain {
            Some(chain) => chain.is_sealed(LIST, row, 7)?,
            None => true,
        } {
            some.push(read(row)?);
        }
    }
    Ok(some)
}

/// All that wait, the oldest first. What does not carry its seal waits for nothing.
pub(crate) fn all(db: &Connection, chain: Chain<'_>, now: Micros) -> Result<Vec<Registration>> {
    let which = "WHERE until_us > ?1 ORDER BY made_us, id";
    sealed(db, Some(chain), which, [now.0])
}

/// How many rows do not carry their seals.
pub(crate) fn unsealed(db: &Connection, chain: Chain<'_>) -> Result<u64> {
    let all = sealed(db, None, "", [])?.len();
    let good = sealed(db, Some(chain), "", [])?.len();
    Ok(all.saturating_sub(good) as u64)
}

/// One that waits.
pub(crate) fn one(
    db: &Connection,
    chain: Chain<'_>,
    id: &ClientId,
    now: Micros,
) -> Result<Option<Registration>> {
    let which = "WHERE id = ?1 AND until_us > ?2";
    let mut found = sealed(db, Some(chain), which, params![id.as_str(), now.0])?;
    Ok(found.pop())
}

/// Seals all rows that carry the seal of another chain, for this one; without another, all that are there.
pub(crate) fn reseal(db: &Connection, from: Option<Chain<'_>>, to: Chain<'_>) -> Result<()> {
    let all = sealed(db, from, "", [])?;
    all.iter().try_for_each(|one| put(db, to, one))
}

/// The limit that one more would be past; none where there is room. Those who were invited and those who
/// were not do not take each other's, and no network takes all that there is for those who were not.
pub(crate) fn past(db: &Connection, new: &Registration, limits: &Limits) -> Result<Past> {
    let sql = "SELECT count(*), count(*) FILTER (WHERE network = ?2), \
               coalesce(min(until_us) FILTER (WHERE network = ?2), 0) FROM registration \
               WHERE invited = ?1 AND until_us > ?3";
    let counts: (i64, i64, i64) = db
        .query_row(sql, params![new.invited, new.network, new.made.0], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .doing("counting registrations")?;
    let count = |n: i64| u64::try_from(n).unwrap_or(0);
    let (all, max) = (
        limits.registrations_max,
        limits.registrations_per_network_max,
    );
    Ok(match (count(counts.0), count(counts.1)) {
        (count, _) if count >= all => Some(StoreError::Limit {
            code: Code::LimitBusy,
            limit: "registrations_max",
            max: all,
        }),
        (_, count) if !new.invited && count >= max => {
            let left = (counts.2 - new.made.0).max(0) / 1_000_000 + 1;
            Some(StoreError::Until {
                limit: "registrations_per_network_max",
                max,
                seconds: u32::try_from(left).unwrap_or(u32::MAX),
            })
        }
        _ => None,
    })
}

/// Drops those that waited too long.
pub(crate) fn sweep(db: &Connection, now: Micros) -> Result<()> {
    db.execute("DELETE FROM registration WHERE until_us <= ?1", [now.0])
        .doing("dropping old registrations")
        .map(drop)
}

/// Keeps one, new or changed.
pub(crate) fn put(db: &Connection, chain: Chain<'_>, new: &Registration) -> Result<()> {
    let hash = new.secret_hash.as_ref();
    let seal = chain.seal_of(
        LIST,
        &[
            ValueRef::Text(new.id.as_str().as_bytes()),
            ValueRef::Integer(new.made.0),
            ValueRef::Integer(new.until.0),
            ValueRef::Text(new.network.as_bytes()),
            ValueRef::Integer(new.invited.into()),
            hash.map_or(ValueRef::Null, |hash| ValueRef::Blob(hash)),
            ValueRef::Text(new.record.as_bytes()),
        ],
    );
    let sql = format!(
        "INSERT OR REPLACE INTO registration ({COLUMNS}, seal) VALUES (?1,?2,?3,?4,?5,?6,?7,?8)"
    );
    db.execute(
        &sql,
        params![
            new.id.as_str(),
            new.made.0,
            new.until.0,
            new.network,
            new.invited,
            new.secret_hash,
            new.record,
            seal
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
