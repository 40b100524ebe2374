//! The row that says what a resource is now: looked up, held against a condition, pointed elsewhere.

use base::{Code, Micros, ResourceId, Version};
use fhir::definitions::TypeId;
use rusqlite::{Connection, OptionalExtension, params};

use super::{number, refused};
use crate::sqlite::fault::{Doing, internal};
use crate::sqlite::index::IdKey;
use crate::{Condition, Result, StoreError};

/// The current state of a resource.
pub(super) struct Current {
    pub(super) rid: i64,
    pub(super) version: u64,
    pub(super) deleted: bool,
    vid: i64,
}

pub(super) fn find(db: &Connection, type_id: TypeId, id: &ResourceId) -> Result<Option<Current>> {
    db.prepare_cached("SELECT rid, version, deleted, vid FROM resource WHERE type = ?1 AND id = ?2")
        .and_then(|mut s| {
            s.query_row(params![type_id.0, IdKey::of_id(id)], |r| {
                let version = u64::try_from(r.get::<_, i64>(1)?).unwrap_or(0);
                Ok(Current {
                    rid: r.get(0)?,
                    version,
                    deleted: r.get(2)?,
                    vid: r.get(3)?,
                })
            })
            .optional()
        })
        .doing("looking a resource up")
}

pub(super) fn repoint(
    db: &Connection,
    rid: i64,
    version: Version,
    deleted: bool,
    vid: i64,
) -> Result<()> {
    let done = db
        .prepare_cached("UPDATE resource SET version=?2, deleted=?3, vid=?4 WHERE rid=?1")
        .and_then(|mut s| s.execute(params![rid, number(version.0), deleted, vid]))
        .doing("writing a resource")?;
    if done == 1 {
        Ok(())
    } else {
        Err(internal("a resource vanished while it was written"))
    }
}

/// When a current version was made.
fn made_at(db: &Connection, current: &Current) -> Result<Micros> {
    db.prepare_cached("SELECT updated_us FROM version WHERE vid = ?1")
        .and_then(|mut s| s.query_row([current.vid], |r| r.get(0)))
        .map(Micros)
        .doing("looking a version up")
}

pub(super) fn holds(
    db: &Connection,
    entry: usize,
    condition: Option<Condition>,
    live: Option<&Current>,
) -> Result<()> {
    match (condition, live) {
        (None, _)
        | (Some(Condition::Absent | Condition::NoneOf(_) | Condition::Unmodified(_)), None)
        | (Some(Condition::Present | Condition::There), Some(_)) => Ok(()),
        (Some(Condition::There), None) => Err(refused(
            entry,
            Code::PreconditionFailed,
            "there is no such resource",
        )),
        (Some(condition @ (Condition::NoneOf(_) | Condition::Unmodified(_))), Some(c)) => {
            match condition.rules_out(Version(c.version), made_at(db, c)?) {
                false => Ok(()),
                true => Err(refused(
                    entry,
                    Code::PreconditionFailed,
                    "the current version is one that the request excludes",
                )),
            }
        }
        (Some(Condition::Version(v)), Some(c)) if v.0 == c.version => Ok(()),
        (Some(Condition::OneOf(all)), Some(c)) if all.have(Version(c.version)) => Ok(()),
        (Some(Condition::Version(_) | Condition::OneOf(_)), _) => Err(refused(
            entry,
            Code::VersionConflict,
            "another version is current",
        )),
        (Some(Condition::Absent), Some(_)) => Err(refused(
            entry,
            Code::PreconditionFailed,
            "the resource exists",
        )),
        (Some(Condition::Present), None) => Err(StoreError::Raced),
    }
}
