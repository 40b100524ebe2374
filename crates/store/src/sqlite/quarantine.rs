//! Resources that are not as they were written: which there are, what was decided about each, and what
//! is kept from being read, found and written until then.
//!
//! A row is never sealed anew. A decision makes another version, by the ordinary write; the row that is
//! wrong stays in the history as it lies there. Each line of the list carries a seal of its own: one that
//! somebody put into the file counts for nothing, and one that is taken out of it changes nothing about
//! which rows carry their seals.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

use base::{Code, Micros, ResourceId, Version};
use fhir::definitions::{Model, TypeId};
use parking_lot::{Mutex, RwLock};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::administration::Chain;
use super::fault::{Doing, broken};
use super::index::IdKey;
use super::rows;
use crate::face::{Decided, Decision, Quarantined};
use crate::{FindingKind, Result, StoreError};

/// The list, and how far the background check is.
pub(crate) const DDL: &str = "
CREATE TABLE quarantine (
  number INTEGER PRIMARY KEY, rid INTEGER NOT NULL, type INTEGER NOT NULL, id ANY NOT NULL,
  version INTEGER NOT NULL, kind TEXT NOT NULL, found_us INTEGER NOT NULL,
  decision TEXT, decided_us INTEGER, decided_by TEXT, remark TEXT, made INTEGER, seal BLOB) STRICT;
CREATE UNIQUE INDEX quarantine_open ON quarantine (rid, version, kind) WHERE decision IS NULL;
CREATE TABLE scrub (
  one INTEGER PRIMARY KEY CHECK (one = 1), begun_us INTEGER, part INTEGER NOT NULL,
  after INTEGER NOT NULL, rows INTEGER NOT NULL, found INTEGER NOT NULL,
  finished_us INTEGER, last_rows INTEGER NOT NULL, last_found INTEGER NOT NULL) STRICT;
";

/// The condition that a row (an expression) is not left out of searches, as [`Quarantine::learn`] has it.
pub(crate) fn is_evidence(rid: &str) -> String {
    format!(
        "NOT EXISTS (SELECT 1 FROM quarantine AS q INDEXED BY quarantine_open WHERE q.rid = {rid} \
         AND q.decision IS NULL AND (q.kind IN ('index', 'current') OR q.kind <> 'version-missing' \
         AND q.version = (SELECT o.version FROM resource AS o WHERE o.rid = q.rid)) LIMIT 1)"
    )
}

/// Rows that were met and are not looked into yet.
const SUSPECTS_MAX: usize = 1_000;
const DOING: &str = "looking into the quarantine";
const LIST: &str = "quarantine";
/// What a line says: what its seal is over.
const SAID: &str = "q.rid, q.type, q.id, q.version, q.kind, q.found_us, q.decision, q.decided_us,
   q.decided_by, q.remark, q.made";
const SAID_COUNT: usize = 11;

/// Seals a line as it is now.
fn seal(db: &Connection, number: i64, chain: Chain<'_>) -> Result<()> {
    let sql = format!("SELECT {SAID} FROM quarantine q WHERE q.number = ?1");
    let seal = db
        .prepare_cached(&sql)
        .and_then(|mut read| {
            read.query_row([number], |row| {
                let mut values = Vec::with_capacity(SAID_COUNT);
                for column in 0..SAID_COUNT {
                    values.push(row.get_ref(column)?);
                }
                Ok(chain.seal_of(LIST, &values))
            })
        })
        .doing(DOING)?;
    db.execute(
        "UPDATE quarantine SET seal = ?2 WHERE number = ?1",
        params![number, seal],
    )
    .doing("sealing a line of the quarantine")
    .map(drop)
}

/// Numbers of the lines that carry their seals.
fn sealed(
    db: &Connection,
    chain: Chain<'_>,
    rest: &str,
    params: impl rusqlite::Params,
) -> Result<Vec<i64>> {
    let sql = format!("SELECT {SAID}, q.seal, q.number FROM quarantine q {rest}");
    let mut read = db.prepare(&sql).doing(DOING)?;
    let mut rows = read.query(params).doing(DOING)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().doing(DOING)? {
        if chain.is_sealed(LIST, row, SAID_COUNT)? {
            found.push(row.get(SAID_COUNT + 1).doing(DOING)?);
        }
    }
    Ok(found)
}

/// How many lines do not carry their seals.
pub(crate) fn unsealed(db: &Connection, chain: Chain<'_>) -> Result<u64> {
    let all: i64 = db
        .query_row("SELECT count(*) FROM quarantine", [], |r| r.get(0))
        .doing(DOING)?;
    let good = sealed(db, chain, "", [])?.len() as u64;
    Ok(u64::try_from(all).unwrap_or(0).saturating_sub(good))
}

/// Seals all lines that carry the seal of another chain, for this one; without another, all that are there.
pub(crate) fn reseal(db: &Connection, from: Option<Chain<'_>>, to: Chain<'_>) -> Result<()> {
    let numbers = match from {
        Some(from) => sealed(db, from, "", [])?,
        None => {
            let mut read = db.prepare("SELECT number FROM quarantine").doing(DOING)?;
            read.query_map([], |r| r.get(0))
                .and_then(Iterator::collect)
                .doing(DOING)?
        }
    };
    numbers
        .into_iter()
        .try_for_each(|number| seal(db, number, to))
}

/// Lines about a resource that do not carry their seals go: nobody wrote them here.
fn drop_unsealed(db: &Connection, rid: i64, chain: Chain<'_>) -> Result<()> {
    let good = sealed(db, chain, "WHERE q.rid = ?1", [rid])?;
    let mut read = db
        .prepare_cached("SELECT number FROM quarantine WHERE rid = ?1")
        .doing(DOING)?;
    let all: Vec<i64> = read
        .query_map([rid], |r| r.get(0))
        .and_then(Iterator::collect)
        .doing(DOING)?;
    for number in all.iter().filter(|number| !good.contains(number)) {
        tracing::error!("a line of the quarantine does not carry its seal, and is removed");
        db.execute("DELETE FROM quarantine WHERE number = ?1", [number])
            .doing("removing a line of the quarantine")?;
    }
    Ok(())
}

/// What is kept from whom, without touching a disk. While nothing is, asking costs one load.
#[derive(Debug, Default)]
pub(crate) struct Quarantine {
    any: AtomicBool,
    /// By row, whether its current version may be read.
    held: RwLock<HashMap<i64, bool>>,
    suspects: Mutex<BTreeSet<i64>>,
}

impl Quarantine {
    /// As the list says.
    pub(crate) fn load(db: &Connection, chain: Chain<'_>) -> Result<Self> {
        let quarantine = Self::default();
        quarantine.learn(db, chain)?;
        Ok(quarantine)
    }

    /// Learns what was committed.
    pub(crate) fn learn(&self, db: &Connection, chain: Chain<'_>) -> Result<()> {
        let sql = format!(
            "SELECT {SAID}, q.seal, q.version = r.version FROM quarantine q
             LEFT JOIN resource r ON r.rid = q.rid WHERE q.decision IS NULL"
        );
        let mut read = db.prepare_cached(&sql).doing(DOING)?;
        let mut rows = read.query([]).doing(DOING)?;
        let mut held: HashMap<i64, bool> = HashMap::new();
        while let Some(row) = rows.next().doing(DOING)? {
            // A line that somebody put into the file keeps nothing apart.
            if !chain.is_sealed(LIST, row, SAID_COUNT)? {
                tracing::error!(
                    "a line of the quarantine does not carry its seal, and counts for nothing"
                );
                continue;
            }
            let (rid, kind): (i64, String) = (row.get(0).doing(DOING)?, row.get(4).doing(DOING)?);
            let current = row.get::<_, Option<bool>>(SAID_COUNT + 1).doing(DOING)? == Some(true);
            let readable = match kind_of(&kind) {
                // What the current version says is good; what searches know of it is not.
                FindingKind::Index => true,
                FindingKind::Current => false,
                // An old version that is wrong is in nobody's way.
                _ if !current => continue,
                FindingKind::VersionMissing => continue,
                _ => false,
            };
            let known = held.entry(rid).or_insert(true);
            *known &= readable;
        }
        let any = !held.is_empty();
        *self.held.write() = held;
        self.any.store(any, Ordering::Release);
        Ok(())
    }

    fn get(&self, rid: i64) -> Option<bool> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        self.held.read().get(&rid).copied()
    }

    /// Whether something is kept apart at all.
    pub(crate) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Acquire)
    }

    /// Refuses a row whose current version is kept apart.
    pub(crate) fn must_be_readable(&self, rid: i64) -> Result<()> {
        match self.get(rid) {
            Some(false) => Err(apart()),
            _ => Ok(()),
        }
    }

    /// The same, by name: also of a resource whose rows do not lead to a version any more.
    pub(crate) fn must_be_readable_named(
        &self,
        db: &Connection,
        type_id: TypeId,
        id: &ResourceId,
    ) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        match rows::rid_of(db, type_id, id)? {
            Some(rid) => self.must_be_readable(rid),
            None => Ok(()),
        }
    }

    /// Whether searches leave a row out.
    pub(crate) fn is_left_out(&self, rid: i64) -> bool {
        self.get(rid).is_some()
    }

    /// Whether what is wrong of a row is only what searches know of it: its content may be read.
    pub(crate) fn is_misindexed(&self, rid: i64) -> bool {
        self.get(rid) == Some(true)
    }

    /// Refuses an ordinary write of a row that waits for a decision.
    pub(crate) fn must_be_free(&self, rid: i64) -> Result<()> {
        match self.get(rid) {
            Some(_) => Err(apart()),
            None => Ok(()),
        }
    }

    /// Remembers a row that was met and does not carry its seal.
    pub(crate) fn suspect(&self, rid: i64) {
        if self.get(rid).is_some() {
            return;
        }
        let mut suspects = self.suspects.lock();
        if suspects.len() < SUSPECTS_MAX {
            suspects.insert(rid);
        }
    }

    /// What was met since.
    pub(crate) fn take_suspects(&self) -> BTreeSet<i64> {
        std::mem::take(&mut *self.suspects.lock())
    }
}

fn apart() -> StoreError {
    broken("what is stored is not as it was written")
}

/// The word for a kind in the list.
pub(crate) const fn word(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Body => "body",
        FindingKind::VersionMissing => "version-missing",
        FindingKind::Current => "current",
        FindingKind::Index => "index",
        _ => "seal",
    }
}

fn kind_of(word: &str) -> FindingKind {
    match word {
        "body" => FindingKind::Body,
        "version-missing" => FindingKind::VersionMissing,
        "current" => FindingKind::Current,
        "index" => FindingKind::Index,
        _ => FindingKind::Seal,
    }
}

/// A row that was found to be wrong.
#[derive(Clone, Debug)]
pub(crate) struct Wrong {
    pub(crate) rid: i64,
    pub(crate) type_id: TypeId,
    pub(crate) id: ResourceId,
    pub(crate) version: Version,
    pub(crate) kind: FindingKind,
}

/// Puts a row into quarantine. Whether it was not there yet.
///
/// # Errors
/// `limit-query` when it is full.
pub(crate) fn put(
    db: &Connection,
    wrong: &Wrong,
    (now, max): (Micros, u64),
    chain: Chain<'_>,
) -> Result<bool> {
    drop_unsealed(db, wrong.rid, chain)?;
    let open: i64 = db
        .prepare_cached("SELECT count(*) FROM quarantine WHERE decision IS NULL")
        .and_then(|mut s| s.query_row([], |r| r.get(0)))
        .doing(DOING)?;
    if u64::try_from(open).unwrap_or(0) >= max {
        return Err(StoreError::Limit {
            code: Code::LimitQuery,
            limit: "quarantine_entries_max",
            max,
        });
    }
    // An old version that was decided stays in the history as it is, and is not told of again. What is
    // current, and what points at versions, can be bent again and again.
    let made = db
        .prepare_cached(
            "INSERT INTO quarantine (rid, type, id, version, kind, found_us)
             SELECT ?1,?2,?3,?4,?5,?6 WHERE NOT EXISTS (
               SELECT 1 FROM quarantine WHERE rid = ?1 AND version = ?4 AND kind = ?5
                 AND (decision IS NULL OR kind NOT IN ('current','index')
                   AND ?4 IS NOT (SELECT version FROM resource WHERE rid = ?1)))",
        )
        .and_then(|mut s| {
            s.execute(params![
                wrong.rid,
                wrong.type_id.0,
                IdKey::of_id(&wrong.id),
                i64::try_from(wrong.version.0).unwrap_or(i64::MAX),
                word(wrong.kind),
                now.0
            ])
        })
        .doing("putting a row into quarantine")?;
    if made > 0 {
        seal(db, db.last_insert_rowid(), chain)?;
    }
    Ok(made > 0)
}

/// How many rows wait for a decision.
pub(crate) fn open_count(db: &Connection) -> Result<u64> {
    db.query_row(
        "SELECT count(*) FROM quarantine WHERE decision IS NULL",
        [],
        |r| r.get::<_, i64>(0),
    )
    .doing(DOING)
    .map(|n| u64::try_from(n).unwrap_or(0))
}

const LINE: &str =
    "SELECT q.number, q.rid, q.type, q.id, q.version, q.kind, q.found_us, q.decision,
   q.decided_us, q.decided_by, q.remark, q.made, r.version
 FROM quarantine q LEFT JOIN resource r ON r.rid = q.rid";

/// A line of the list, and the row that it is about.
pub(crate) type Line = (i64, Quarantined);

/// The list, the newest first: `open` ones only, or of all.
pub(crate) fn list(
    db: &Connection,
    model: &'static Model,
    (open, max): (bool, usize),
    chain: Chain<'_>,
) -> Result<Vec<Quarantined>> {
    let good: BTreeSet<i64> = sealed(db, chain, "", [])?.into_iter().collect();
    let sql = format!("{LINE} WHERE ?1 = 0 OR q.decision IS NULL ORDER BY q.number DESC LIMIT ?2");
    let mut read = db.prepare(&sql).doing(DOING)?;
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    let mut rows = read.query((i64::from(open), max)).doing(DOING)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().doing(DOING)? {
        let number = row.get::<_, i64>(0).doing(DOING)?;
        let told = line(row, model).filter(|_| good.contains(&number));
        found.extend(told.map(|(_, line)| line));
    }
    Ok(found)
}

/// What was decided about old versions: resource, version, and what was wrong with it. No decision leaves what
/// is current as it lies there.
pub(crate) fn decided(
    db: &Connection,
    model: &'static Model,
    chain: Chain<'_>,
) -> Result<HashSet<(TypeId, ResourceId, Version, FindingKind)>> {
    let all = list(db, model, (false, usize::MAX), chain)?;
    let decided = (all.into_iter()).filter(|line| line.decided.is_some() && !line.current);
    Ok(decided
        .map(|line| (line.type_id, line.id, line.version, line.kind))
        .collect())
}

/// What waits for a decision about a resource, the gravest first.
pub(crate) fn of(
    db: &Connection,
    model: &'static Model,
    (type_id, id): (TypeId, &ResourceId),
    chain: Chain<'_>,
) -> Result<Vec<Line>> {
    let of = "WHERE q.type = ?1 AND q.id = ?2";
    let good = sealed(db, chain, of, (type_id.0, IdKey::of_id(id)))?;
    let sql = format!(
        "{LINE} WHERE q.type = ?1 AND q.id = ?2 AND q.decision IS NULL
         ORDER BY q.kind = 'index', q.version DESC, q.number"
    );
    let mut read = db.prepare(&sql).doing(DOING)?;
    let mut rows = read.query((type_id.0, IdKey::of_id(id))).doing(DOING)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().doing(DOING)? {
        let number = row.get::<_, i64>(0).doing(DOING)?;
        found.extend(line(row, model).filter(|_| good.contains(&number)));
    }
    Ok(found)
}

fn line(row: &Row<'_>, model: &'static Model) -> Option<Line> {
    let number = |i: usize| row.get::<_, Option<i64>>(i).ok().flatten();
    let text = |i: usize| row.get::<_, Option<String>>(i).ok().flatten();
    let version = |i: usize| number(i).and_then(|n| u64::try_from(n).ok()).map(Version);
    let type_id = TypeId(u16::try_from(number(2)?).ok()?);
    let kind = kind_of(&text(5)?);
    let decided = text(7).map(|word| Decided {
        decision: word,
        at: Micros(number(8).unwrap_or(0)),
        by: text(9).unwrap_or_default(),
        remark: text(10).unwrap_or_default(),
        made: version(11),
    });
    let current = version(4) == version(12) || kind == FindingKind::Current;
    Some((
        number(1)?,
        Quarantined {
            number: u64::try_from(number(0)?).ok()?,
            type_id,
            type_name: model.type_name(type_id),
            id: rows::id_of(row.get_ref(3).ok()?)?,
            version: version(4)?,
            kind,
            current,
            found: Micros(number(6)?),
            decided,
        },
    ))
}

/// Writes down what was decided about all that is open of a resource.
pub(crate) fn decide(
    db: &Connection,
    rid: i64,
    decision: Decision,
    (by, remark): (&str, &str),
    made: Option<Version>,
    (now, chain): (Micros, Chain<'_>),
) -> Result<()> {
    drop_unsealed(db, rid, chain)?;
    // Old versions stay open: the decision is about what is current, unless that is what it says.
    let old = "AND (version = (SELECT max(version) FROM version WHERE rid = ?1 AND version < ?6)
                OR version = (SELECT version FROM resource WHERE rid = ?1) OR kind IN ('current', 'index'))";
    let which = match decision {
        Decision::Note => "",
        Decision::Accept | Decision::Revert | Decision::Delete => old,
    };
    let sql = format!(
        "UPDATE quarantine SET decision = ?2, decided_us = ?3, decided_by = ?4, remark = ?5, made = ?6
         WHERE rid = ?1 AND decision IS NULL {which}"
    );
    let made = made.map(|v| i64::try_from(v.0).unwrap_or(i64::MAX));
    let sql = format!("{sql} RETURNING number");
    let mut write = db.prepare(&sql).doing(DOING)?;
    let decided: Vec<i64> = write
        .query_map(
            params![rid, decision.as_str(), now.0, by, remark, made],
            |r| r.get(0),
        )
        .and_then(Iterator::collect)
        .doing("writing down a decision")?;
    decided
        .into_iter()
        .try_for_each(|number| seal(db, number, chain))
}

/// How far the background check of a tenant is, as its file knows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    /// When the round that is under way began.
    pub(crate) begun: Option<Micros>,
    /// 0: versions, 1: resources.
    pub(crate) part: i64,
    /// The last row that was looked at, of the part.
    pub(crate) after: i64,
    pub(crate) rows: u64,
    pub(crate) found: u64,
    /// When a round was last finished, and what it came to.
    pub(crate) finished: Option<Micros>,
    pub(crate) last_rows: u64,
    pub(crate) last_found: u64,
}

impl Progress {
    /// What the file says.
    pub(crate) fn load(db: &Connection) -> Result<Self> {
        let unsigned = |n: i64| u64::try_from(n).unwrap_or(0);
        let found = db
            .query_row(
                "SELECT begun_us, part, after, rows, found, finished_us, last_rows, last_found
                 FROM scrub",
                [],
                |r| {
                    Ok(Self {
                        begun: r.get::<_, Option<i64>>(0)?.map(Micros),
                        part: r.get(1)?,
                        after: r.get(2)?,
                        rows: unsigned(r.get(3)?),
                        found: unsigned(r.get(4)?),
                        finished: r.get::<_, Option<i64>>(5)?.map(Micros),
                        last_rows: unsigned(r.get(6)?),
                        last_found: unsigned(r.get(7)?),
                    })
                },
            )
            .optional()
            .doing("reading how far the background check is")?;
        Ok(found.unwrap_or_default())
    }

    /// Keeps it.
    pub(crate) fn save(&self, db: &Connection) -> Result<()> {
        let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        db.execute(
            "INSERT OR REPLACE INTO scrub
             (one, begun_us, part, after, rows, found, finished_us, last_rows, last_found)
             VALUES (1,?1,?2,?3,?4,?5,?6,?7,?8)",
            params![
                self.begun.map(|t| t.0),
                self.part,
                self.after,
                signed(self.rows),
                signed(self.found),
                self.finished.map(|t| t.0),
                signed(self.last_rows),
                signed(self.last_found)
            ],
        )
        .doing("keeping how far the background check is")
        .map(drop)
    }
}
