//! What is known of the last use of people's passkeys: how often they were used, and whether a copy of
//! them is kept elsewhere. It changes with every sign-in, so that it is not part of what is administered;
//! each row carries a seal instead. An older row that is put back says no more than that a key was used
//! less often.

use std::collections::HashMap;

use access::PersonId;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};

use super::administration::Chain;
use super::fault::Doing;
use crate::Result;
use crate::face::{KeptPasskey, PasskeyUse, Person};

/// The table.
pub(crate) const DDL: &str = "
CREATE TABLE passkey_use (
  person TEXT NOT NULL, id TEXT NOT NULL, made_us INTEGER NOT NULL, counter INTEGER NOT NULL,
  backup INTEGER NOT NULL, seal BLOB NOT NULL, PRIMARY KEY (person, id)
) STRICT, WITHOUT ROWID;
";

const LIST: &str = "passkey_use";
const COLUMNS: usize = 5;

/// Uses that are kept: by person, the passkey's id and when it was added.
pub(crate) type Uses = HashMap<(String, String, i64), PasskeyUse>;

/// A key of which a row says something that nobody sealed was used as often as can be: it signs nobody in
/// before it is added anew.
const BROKEN: PasskeyUse = PasskeyUse {
    counter: u32::MAX,
    eligible: false,
    backed_up: false,
};

/// All that are kept.
pub(crate) fn all(db: &Connection, chain: Chain<'_>) -> Result<Uses> {
    const DOING: &str = "reading uses of passkeys";
    let mut read = db
        .prepare("SELECT person, id, made_us, counter, backup, seal FROM passkey_use")
        .doing(DOING)?;
    let mut rows = read.query([]).doing(DOING)?;
    let mut all = Uses::new();
    while let Some(row) = rows.next().doing(DOING)? {
        let key = (
            row.get(0).doing(DOING)?,
            row.get(1).doing(DOING)?,
            row.get(2).doing(DOING)?,
        );
        let (counter, backup): (i64, i64) = (row.get(3).doing(DOING)?, row.get(4).doing(DOING)?);
        let said = u32::try_from(counter).ok().map(|counter| PasskeyUse {
            counter,
            eligible: backup & 1 != 0,
            backed_up: backup & 2 != 0,
        });
        let sealed = chain.is_sealed(LIST, row, COLUMNS)?;
        all.insert(key, said.filter(|_| sealed).unwrap_or(BROKEN));
    }
    Ok(all)
}

/// Tells a person's passkeys how they were used last.
pub(crate) fn tell(uses: &Uses, person: &mut Person) {
    let id = person.record.id.as_str();
    for passkey in &mut person.proofs.passkeys {
        let key = (id.to_owned(), passkey.id.clone(), passkey.made_us);
        passkey.used = uses.get(&key).copied();
    }
}

/// Keeps how a passkey was used last.
pub(crate) fn put(
    db: &Connection,
    chain: Chain<'_>,
    (person, passkey): (&PersonId, &KeptPasskey),
    used: PasskeyUse,
) -> Result<()> {
    let backup = i64::from(used.eligible) | i64::from(used.backed_up) << 1;
    let (person, id, made) = (person.as_str(), passkey.id.as_str(), passkey.made_us);
    put_row(db, chain, (person, id, made), (used.counter.into(), backup))
}

fn put_row(
    db: &Connection,
    chain: Chain<'_>,
    (person, id, made): (&str, &str, i64),
    (counter, backup): (i64, i64),
) -> Result<()> {
    let seal = chain.seal_of(
        LIST,
        &[
            ValueRef::Text(person.as_bytes()),
            ValueRef::Text(id.as_bytes()),
            ValueRef::Integer(made),
            ValueRef::Integer(counter),
            ValueRef::Integer(backup),
        ],
    );
    db.execute(
        "INSERT OR REPLACE INTO passkey_use (person, id, made_us, counter, backup, seal)
         VALUES (?1,?2,?3,?4,?5,?6)",
        params![person, id, made, counter, backup, seal],
    )
    .doing("keeping the use of a passkey")
    .map(drop)
}

/// Drops those of passkeys that a person has no more.
pub(crate) fn sweep(db: &Connection, person: &Person) -> Result<()> {
    let kept: Vec<&str> = person.proofs.passkeys.iter().map(|p| &*p.id).collect();
    let kept = serde_json::to_string(&kept).unwrap_or_default();
    db.execute(
        "DELETE FROM passkey_use
         WHERE person = ?1 AND id NOT IN (SELECT value FROM json_each(?2))",
        params![person.record.id.as_str(), kept],
    )
    .doing("dropping uses of passkeys")
    .map(drop)
}

/// Seals all rows that carry the seal of another chain, for this one; others stay as they are, and count
/// as broken.
pub(crate) fn reseal(db: &Connection, from: Chain<'_>, to: Chain<'_>) -> Result<()> {
    for ((person, id, made), used) in all(db, from)? {
        if used != BROKEN {
            let backup = i64::from(used.eligible) | i64::from(used.backed_up) << 1;
            put_row(db, to, (&person, &id, made), (used.counter.into(), backup))?;
        }
    }
    Ok(())
}
