//! A tenant's policies: every version that was put into force, with who did it and why. The newest is
//! in force. They are among what is administered ([`super::administration`]).

use access::{Document, Policy};
use base::{Code, Micros};
use fhir::definitions::Model;
use rusqlite::{Connection, OptionalExtension, params};

use super::fault::{Doing, damaged};
use crate::{PolicyVersion, Result, StoreError};

/// Versions of policies.
pub(crate) const DDL: &str = "
CREATE TABLE policy (
  version INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, actor TEXT NOT NULL, reason TEXT NOT NULL,
  document TEXT NOT NULL) STRICT;
";

/// The policy in force.
pub(crate) fn load(db: &Connection, model: &'static Model) -> Result<Policy> {
    let newest: Option<(i64, String)> = db
        .query_row(
            "SELECT version, document FROM policy ORDER BY version DESC LIMIT 1",
            [],
            |r| Ok((r.get(0)?, r.get(1)?)),
        )
        .optional()
        .doing("reading the policy")?;
    let Some((version, text)) = newest else {
        return Ok(Policy::none());
    };
    let broken = |_| damaged("the stored policy cannot be read");
    let document = Document::parse(&text).map_err(broken)?;
    Policy::new(u64::try_from(version).unwrap_or(0), document, model).map_err(broken)
}

/// Every version, newest first.
pub(crate) fn all(db: &Connection) -> Result<Vec<PolicyVersion>> {
    const DOING: &str = "reading policies";
    let mut read = db
        .prepare("SELECT version, at_us, actor, reason, document FROM policy ORDER BY version DESC")
        .doing(DOING)?;
    let mut rows = read.query([]).doing(DOING)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().doing(DOING)? {
        let text: String = row.get(4).doing(DOING)?;
        let document =
            Document::parse(&text).map_err(|_| damaged("a stored policy cannot be read"))?;
        found.push(PolicyVersion {
            version: u64::try_from(row.get::<_, i64>(0).doing(DOING)?).unwrap_or(0),
            at: Micros(row.get(1).doing(DOING)?),
            by: row.get(2).doing(DOING)?,
            reason: row.get(3).doing(DOING)?,
            document,
        });
    }
    Ok(found)
}

/// Adds a version; `after` is the one that its author knew, if they said so.
pub(crate) fn add(
    db: &Connection,
    document: &Document,
    (actor, reason): (&str, &str),
    after: Option<u64>,
    now: Micros,
) -> Result<u64> {
    const DOING: &str = "writing a policy";
    let newest: i64 = db
        .query_row("SELECT coalesce(max(version), 0) FROM policy", [], |r| {
            r.get(0)
        })
        .doing(DOING)?;
    let newest = u64::try_from(newest).unwrap_or(0);
    if after.is_some_and(|known| known != newest) {
        let text = format!("version {newest} is in force");
        return Err(StoreError::Refused(Code::VersionConflict, text));
    }
    let version = newest + 1;
    let number = i64::try_from(version).unwrap_or(i64::MAX);
    db.execute(
        "INSERT INTO policy (version, at_us, actor, reason, document) VALUES (?1,?2,?3,?4,?5)",
        params![number, now.0, actor, reason, document.to_text()],
    )
    .doing(DOING)?;
    Ok(version)
}

/// Adds those versions that came after the newest one here, as they were put into force.
pub(crate) fn carry(db: &Connection, all: &[PolicyVersion]) -> Result<()> {
    const DOING: &str = "writing a policy";
    let newest: i64 = db
        .query_row("SELECT coalesce(max(version), 0) FROM policy", [], |r| {
            r.get(0)
        })
        .doing(DOING)?;
    for one in all {
        let number = i64::try_from(one.version).unwrap_or(i64::MAX);
        if number <= newest {
            continue;
        }
        db.execute(
            "INSERT INTO policy (version, at_us, actor, reason, document) VALUES (?1,?2,?3,?4,?5)",
            params![number, one.at.0, one.by, one.reason, one.document.to_text()],
        )
        .doing(DOING)?;
    }
    Ok(())
}

/// Marks all versions as not vouched for and puts one without grants into force.
pub(crate) fn begin_anew(db: &Connection, by: (&str, &str), now: Micros) -> Result<()> {
    db.execute(
        "UPDATE policy SET reason = 'not vouched for: ' || reason
         WHERE reason NOT LIKE 'not vouched for: %'",
        [],
    )
    .doing("writing a policy")?;
    let nothing = Document::parse("{\"grants\":[]}")
        .map_err(|_| damaged("an empty policy cannot be read"))?;
    add(db, &nothing, by, None, now).map(drop)
}
