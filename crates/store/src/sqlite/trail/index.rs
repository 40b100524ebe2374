//! An index of a tenant's trail, in a database beside the tenant's own and under a key of its own: which
//! records and changes are of whom, by whom, and of what kind.
//!
//! It only narrows. What it names is read from the journal and from the changes and looked at as if there
//! were no index, and what is newer than the index is looked through as a whole. It is kept up in the
//! background (`house/trail_index.rs`), may be taken away at any time, and is made anew where it is not of
//! the journal that is there: the last record that it knows must stand where it stood, with the same chain.

mod documents;
mod narrow;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use base::{Micros, Seq};
use rusqlite::{Connection, OptionalExtension, params};

use super::event::{ChangeRow, Events};
use crate::Result;
use crate::audit::{ChangeHead, Told};
use crate::journal::{Frames, Head, Place};
use crate::sqlite::connection::{self, in_snapshot};
use crate::sqlite::fault::{Doing, damaged};
use crate::sqlite::tenant::OpenTenant;
use fhir::audit_event::AuditEvent;

pub(super) use narrow::{Narrow, of_names};

/// What the tables look like. One that was made otherwise is made anew.
const VERSION: i64 = 5;

/// `at_us` is of whole milliseconds, as searches compare it.
const DDL: &str = "
CREATE TABLE reach (
  id INTEGER PRIMARY KEY CHECK (id = 0), version INTEGER NOT NULL, tenant BLOB NOT NULL,
  segment INTEGER NOT NULL, offset INTEGER NOT NULL, number INTEGER NOT NULL, chain BLOB NOT NULL,
  last_segment INTEGER NOT NULL, last_offset INTEGER NOT NULL,
  seq INTEGER NOT NULL, seq_chain BLOB NOT NULL, vid INTEGER NOT NULL) STRICT;
CREATE TABLE name (
  id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, text TEXT NOT NULL, UNIQUE (kind, text)) STRICT;
CREATE TABLE record (
  number INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, segment INTEGER NOT NULL,
  offset INTEGER NOT NULL, actor INTEGER NOT NULL, kind INTEGER NOT NULL,
  address INTEGER NOT NULL, purpose INTEGER NOT NULL) STRICT;
CREATE INDEX record_actor ON record (actor, number);
CREATE INDEX record_kind ON record (kind, number);
CREATE INDEX record_address ON record (address, number);
CREATE INDEX record_purpose ON record (purpose, number);
CREATE TABLE record_patient (
  patient INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (patient, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX record_patient_number ON record_patient (number);
CREATE TABLE change (
  number INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, record INTEGER NOT NULL,
  actor INTEGER NOT NULL, kind INTEGER NOT NULL,
  address INTEGER NOT NULL, purpose INTEGER NOT NULL) STRICT;
CREATE INDEX change_actor ON change (actor, number);
CREATE INDEX change_kind ON change (kind, number);
CREATE INDEX change_address ON change (address, number);
CREATE INDEX change_purpose ON change (purpose, number);
CREATE TABLE change_patient (
  patient INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (patient, number)
) STRICT, WITHOUT ROWID;
";

const DOING: &str = "reading the index of the trail";
const WRITING: &str = "writing the index of the trail";
/// Page cache while something is written, in KiB.
const CACHE_KIB: u64 = 4_096;
/// The log of the index is moved into it from so many bytes on.
const LOG_BYTES: u64 = 4 << 20;

/// Kinds of names.
const PATIENT: i64 = 1;
const ACTOR: i64 = 2;
/// What happened, as the document of an event of which nothing else is said.
const KIND: i64 = 3;
/// The addresses of those who took part, as such a document.
const ADDRESS: i64 = 4;
/// What it was for, as such a document.
const PURPOSE: i64 = 5;
/// A type of which something was touched that is about no patient: it stands among the patients.
const NOBODY: i64 = 6;

/// How far an index got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Everything before this place of the journal is in it.
    pub(crate) place: Place,
    /// The tenant's last record in it.
    pub(crate) last: Head,
    /// Where that stands.
    pub(crate) last_at: Place,
    /// The last change in it, and the chain there.
    pub(crate) seq: Seq,
    seq_chain: [u8; 32],
    /// The last version when it was written.
    pub(crate) vid: i64,
}

/// The index of one tenant's trail, as it was at one time.
pub(crate) struct Index {
    db: Connection,
    pub(crate) reach: Reach,
}

/// Where a record is, and when it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) number: u64,
    pub(super) at: Micros,
    pub(super) place: Place,
}

/// A change, and the record that tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FoundChange {
    pub(super) seq: Seq,
    pub(super) record: u64,
}

/// From where to where, both included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Between {
    pub(super) numbers: (u64, u64),
    pub(super) times: (i64, i64),
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    let broken = |_| damaged("the index of the trail cannot be read");
    bytes.try_into().map_err(broken)
}

/// Where the index of a tenant is.
fn path(tenant: &OpenTenant) -> PathBuf {
    tenant.path().with_file_name("trail.db")
}

/// Takes an index away, with what may lie beside it.
pub(crate) fn remove(tenant: &OpenTenant) -> Result<()> {
    for name in ["trail.db", "trail.db-wal", "trail.db-shm"] {
        match std::fs::remove_file(tenant.path().with_file_name(name)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).doing(WRITING)?,
            _ => {}
        }
    }
    Ok(())
}

impl Index {
    /// The index as it is, in one snapshot, for one reading of the trail; none where there is none that can
    /// be used.
    pub(crate) fn to_read(tenant: &Arc<OpenTenant>, db: &Connection) -> Option<Self> {
        let index = Self::open(tenant).inspect_err(|e| {
            // What is wrong with it is mended where it is written.
            tracing::warn!(tenant = %tenant.id.name(), error = %e, "the index of a trail is not used");
        });
        let index = index.ok()??;
        match index.is_of(tenant, db) {
            Ok(true) => Some(index),
            _ => None,
        }
    }

    /// The index, whatever it is worth.
    fn open(tenant: &OpenTenant) -> Result<Option<Self>> {
        let path = path(tenant);
        if !path.exists() {
            return Ok(None);
        }
        let db = connection::open(&path, &tenant.keys.trail)?;
        db.execute_batch("PRAGMA query_only = ON; BEGIN")
            .doing(DOING)?;
        if !is_made(&db)? {
            return Ok(None);
        }
        let reach = reach_in(&db, tenant)?;
        Ok(reach.map(|reach| Self { db, reach }))
    }

    /// Whether it is of the journal and of the changes that are there.
    fn is_of(&self, tenant: &OpenTenant, db: &Connection) -> Result<bool> {
        is_of(&self.reach, tenant, db)
    }

    /// Records that may be asked for, in no order.
    pub(super) fn records(&self, narrow: &Narrow, between: Between) -> Result<Vec<Found>> {
        let Some(rest) = narrow.statement("record") else {
            return Ok(Vec::new());
        };
        let sql = format!("SELECT DISTINCT e.number, e.at_us, e.segment, e.offset {rest}");
        let mut read = self.db.prepare(&sql).doing(DOING)?;
        let numbers = (signed(between.numbers.0), signed(between.numbers.1));
        read.query_map(
            params![numbers.0, numbers.1, between.times.0, between.times.1],
            |row| {
                Ok(Found {
                    number: unsigned(row.get(0)?),
                    at: Micros(row.get(1)?),
                    place: (unsigned(row.get(2)?), unsigned(row.get(3)?)),
                })
            },
        )
        .and_then(Iterator::collect)
        .doing(DOING)
    }

    /// Changes that may be asked for, in order, at most so many.
    pub(super) fn changes(
        &self,
        narrow: &Narrow,
        between: Between,
        descending: bool,
        limit: usize,
    ) -> Result<Vec<FoundChange>> {
        let Some(rest) = narrow.statement("change") else {
            return Ok(Vec::new());
        };
        let order = if descending { "DESC" } else { "ASC" };
        let sql =
            format!("SELECT DISTINCT e.number, e.record {rest} ORDER BY e.number {order} LIMIT ?5");
        let mut read = self.db.prepare(&sql).doing(DOING)?;
        let numbers = (signed(between.numbers.0), signed(between.numbers.1));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        read.query_map(
            params![
                numbers.0,
                numbers.1,
                between.times.0,
                between.times.1,
                limit
            ],
            |row| {
                Ok(FoundChange {
                    seq: Seq(unsigned(row.get(0)?)),
                    record: unsigned(row.get(1)?),
                })
            },
        )
        .and_then(Iterator::collect)
        .doing(DOING)
    }

    /// The first and the last of a segment's records in it.
    pub(super) fn numbers_in(&self, segment: u64) -> Result<Option<(u64, u64)>> {
        // Numbers grow with the segments.
        let first = |from: u64| -> Result<Option<i64>> {
            let (mut low, mut high) = (0, signed(self.reach.last.number) + 1);
            while low < high {
                let middle = low + (high - low) / 2;
                let at: Option<(i64, i64)> = self
                    .db
                    .prepare_cached(
                        "SELECT number, segment FROM record WHERE number >= ?1
                         ORDER BY number LIMIT 1",
                    )
                    .and_then(|mut s| {
                        s.query_row([middle], |r| Ok((r.get(0)?, r.get(1)?)))
                            .optional()
                    })
                    .doing(DOING)?;
                match at {
                    Some((number, of)) if of < signed(from) => low = number + 1,
                    _ => high = middle,
                }
            }
            Ok((low <= signed(self.reach.last.number)).then_some(low))
        };
        let Some(from) = first(segment)? else {
            return Ok(None);
        };
        let next = first(segment + 1)?;
        let last = next.map_or(self.reach.last.number, |next| unsigned(next - 1));
        Ok((unsigned(from) <= last).then_some((unsigned(from), last)))
    }

    /// Names of a kind, with their numbers; none if there are too many to look at.
    fn all(&self, kind: i64, max: usize) -> Result<Option<Vec<(i64, String)>>> {
        let mut read = self
            .db
            .prepare("SELECT id, text FROM name WHERE kind = ?1 LIMIT ?2")
            .doing(DOING)?;
        let limit = i64::try_from(max).unwrap_or(i64::MAX);
        let found: Vec<(i64, String)> = read
            .query_map((kind, limit), |r| Ok((r.get(0)?, r.get(1)?)))
            .and_then(Iterator::collect)
            .doing(DOING)?;
        Ok((found.len() < max).then_some(found))
    }

    /// The numbers of some names.
    fn some(&self, kind: i64, texts: &[&str]) -> Result<Vec<i64>> {
        let mut read = self
            .db
            .prepare("SELECT id FROM name WHERE kind = ?1 AND text = ?2")
            .doing(DOING)?;
        let mut found = Vec::with_capacity(texts.len());
        for text in texts {
            let id = read
                .query_row((kind, text), |r| r.get::<_, i64>(0))
                .optional();
            found.extend(id.doing(DOING)?);
        }
        Ok(found)
    }
}

/// Whether there is anything in it yet.
fn is_made(db: &Connection) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'reach')";
    db.query_row(sql, [], |r| r.get(0)).doing(DOING)
}

fn reach_in(db: &Connection, tenant: &OpenTenant) -> Result<Option<Reach>> {
    let mut read = db
        .prepare(
            "SELECT version, tenant, segment, offset, number, chain, last_segment, last_offset, seq,
               seq_chain, vid FROM reach",
        )
        .doing(DOING)?;
    let mut rows = read.query([]).doing(DOING)?;
    let Some(row) = rows.next().doing(DOING)? else {
        return Ok(None);
    };
    let number = |at: usize| -> Result<i64> { row.get(at).doing(DOING) };
    let bytes = |at: usize| -> Result<Vec<u8>> { row.get(at).doing(DOING) };
    if number(0)? != VERSION || bytes(1)?.as_slice() != tenant.id.bytes() {
        return Ok(None);
    }
    Ok(Some(Reach {
        place: (unsigned(number(2)?), unsigned(number(3)?)),
        last: Head {
            number: unsigned(number(4)?),
            chain: array(&bytes(5)?)?,
        },
        last_at: (unsigned(number(6)?), unsigned(number(7)?)),
        seq: Seq(unsigned(number(8)?)),
        seq_chain: array(&bytes(9)?)?,
        vid: number(10)?,
    }))
}

/// Whether what an index knows last is there as it was then.
fn is_of(reach: &Reach, tenant: &OpenTenant, db: &Connection) -> Result<bool> {
    let journal = &tenant.shared.journal;
    if reach.last.number > 0 {
        let there = Frames::new(journal).head(reach.last_at);
        if there != Some((*tenant.id.bytes(), reach.last)) {
            return Ok(false);
        }
    }
    let place = reach.place;
    if place > journal.end() {
        return Ok(false);
    }
    if reach.seq.0 == 0 {
        return Ok(true);
    }
    let chain: Option<Vec<u8>> = db
        .query_row(
            "SELECT chain FROM change WHERE seq = ?1",
            [signed(reach.seq.0)],
            |r| r.get(0),
        )
        .optional()
        .doing(DOING)?;
    Ok(chain.as_deref() == Some(&reach.seq_chain[..]))
}

/// An index that is being written, in one transaction.
pub(crate) struct Writing<'t> {
    tenant: &'t Arc<OpenTenant>,
    db: Connection,
    pub(crate) reach: Reach,
    names: HashMap<(i64, String), i64>,
}

impl<'t> Writing<'t> {
    /// Begins to write. What is not of the journal that is there is taken away first. `data`: a snapshot of
    /// the tenant's database.
    pub(crate) fn begin(tenant: &'t Arc<OpenTenant>, data: &Connection) -> Result<Self> {
        if let Ok(Some(writing)) = Self::open(tenant)
            && is_of(&writing.reach, tenant, data)?
        {
            writing.db.execute_batch("BEGIN IMMEDIATE").doing(WRITING)?;
            return Ok(writing);
        }
        // Nobody reads in it while it is taken away.
        let _alone = tenant.trail_index.write();
        remove(tenant)?;
        let path = path(tenant);
        drop(connection::create(&path, &tenant.keys.trail)?);
        let db = connected(&path, tenant)?;
        db.execute_batch("BEGIN IMMEDIATE").doing(WRITING)?;
        db.execute_batch(DDL).doing(WRITING)?;
        Ok(Self {
            tenant,
            db,
            reach: Reach::default(),
            names: HashMap::new(),
        })
    }

    fn open(tenant: &'t Arc<OpenTenant>) -> Result<Option<Self>> {
        let path = path(tenant);
        if !path.exists() {
            return Ok(None);
        }
        let db = connected(&path, tenant)?;
        let reach = reach_in(&db, tenant)?;
        Ok(reach.map(|reach| Self {
            tenant,
            db,
            reach,
            names: HashMap::new(),
        }))
    }

    /// Adds a record.
    pub(crate) fn record(
        &mut self,
        (number, place): (u64, Place),
        actor: &str,
        (event, nobody): (&AuditEvent, &[String]),
    ) -> Result<()> {
        let about = self.about(actor, event)?;
        self.db
            .prepare_cached("INSERT OR REPLACE INTO record VALUES (?1,?2,?3,?4,?5,?6,?7,?8)")
            .and_then(|mut s| {
                let at = event.recorded.0;
                let (segment, offset) = (signed(place.0), signed(place.1));
                let [actor, kind, address, purpose] = about;
                s.execute((
                    signed(number),
                    at,
                    segment,
                    offset,
                    actor,
                    kind,
                    address,
                    purpose,
                ))
            })
            .doing(WRITING)?;
        self.touched("record_patient", number, (event, nobody))
    }

    /// Adds a change of which a record tells.
    pub(crate) fn change(
        &mut self,
        (seq, record): (Seq, u64),
        actor: &str,
        (event, nobody): (&AuditEvent, &[String]),
    ) -> Result<()> {
        let about = self.about(actor, event)?;
        self.db
            .prepare_cached("INSERT OR REPLACE INTO change VALUES (?1,?2,?3,?4,?5,?6,?7)")
            .and_then(|mut s| {
                let at = event.recorded.0;
                let [actor, kind, address, purpose] = about;
                let record = signed(record);
                s.execute((signed(seq.0), at, record, actor, kind, address, purpose))
            })
            .doing(WRITING)?;
        self.touched("change_patient", seq.0, (event, nobody))
    }

    /// By whom, what, from where and what for.
    fn about(&mut self, actor: &str, event: &AuditEvent) -> Result<[i64; 4]> {
        let fhir = self.tenant.id.fhir();
        let kind = documents::kind_of(event)?.to_json(fhir);
        let address = documents::addresses_of(event)?.to_json(fhir);
        let purpose = documents::purposes_of(event)?.to_json(fhir);
        Ok([
            self.name(ACTOR, actor)?,
            self.name(KIND, &kind)?,
            self.name(ADDRESS, &address)?,
            self.name(PURPOSE, &purpose)?,
        ])
    }

    /// Whom it touched, and of which types something that is about `nobody`.
    fn touched(
        &mut self,
        table: &str,
        number: u64,
        (event, nobody): (&AuditEvent, &[String]),
    ) -> Result<()> {
        let patients = event.patients().map(|id| (PATIENT, id.as_str()));
        let types = nobody.iter().map(|of| (NOBODY, of.as_str()));
        for (kind, text) in patients.chain(types) {
            let patient = self.name(kind, text)?;
            self.db
                .prepare_cached(&format!("INSERT OR IGNORE INTO {table} VALUES (?1,?2)"))
                .and_then(|mut s| s.execute((patient, signed(number))))
                .doing(WRITING)?;
        }
        Ok(())
    }

    fn name(&mut self, kind: i64, text: &str) -> Result<i64> {
        let key = (kind, text.to_owned());
        if let Some(known) = self.names.get(&key) {
            return Ok(*known);
        }
        let found: Option<i64> = self
            .db
            .prepare_cached("SELECT id FROM name WHERE kind = ?1 AND text = ?2")
            .and_then(|mut s| s.query_row((kind, text), |r| r.get(0)).optional())
            .doing(WRITING)?;
        let id = match found {
            Some(id) => id,
            None => self
                .db
                .prepare_cached("INSERT INTO name (kind, text) VALUES (?1,?2)")
                .and_then(|mut s| s.insert((kind, text)))
                .doing(WRITING)?,
        };
        self.names.insert(key, id);
        Ok(id)
    }

    /// Forgets records that retention removed.
    fn forget_removed(&self) -> Result<()> {
        let journal = &self.tenant.shared.journal;
        let Some(oldest) = journal.segments()?.first().copied() else {
            return Ok(());
        };
        let heads = journal.heads_before(oldest)?;
        let gone = heads.get(self.tenant.id.bytes()).map_or(0, |h| h.number);
        let first: Option<i64> = self
            .db
            .query_row("SELECT min(number) FROM record", [], |r| r.get(0))
            .doing(WRITING)?;
        if first.is_none_or(|first| first > signed(gone)) {
            return Ok(());
        }
        for table in ["record", "record_patient"] {
            self.db
                .execute(
                    &format!("DELETE FROM {table} WHERE number <= ?1"),
                    [signed(gone)],
                )
                .doing(WRITING)?;
        }
        Ok(())
    }

    /// Keeps what was added, and how far it got. `data`: the snapshot that it was made on.
    pub(crate) fn end(self, data: &Connection) -> Result<Reach> {
        let mut reach = self.reach;
        let chain: Option<Vec<u8>> = data
            .query_row(
                "SELECT chain FROM change WHERE seq = ?1",
                [signed(reach.seq.0)],
                |r| r.get(0),
            )
            .optional()
            .doing(WRITING)?;
        reach.seq_chain = chain.map_or(Ok([0; 32]), |chain| array(&chain))?;
        reach.vid = last_version(data)?;
        self.db
            .execute(
                "INSERT OR REPLACE INTO reach VALUES (0,?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)",
                params![
                    VERSION,
                    self.tenant.id.bytes(),
                    signed(reach.place.0),
                    signed(reach.place.1),
                    signed(reach.last.number),
                    reach.last.chain,
                    signed(reach.last_at.0),
                    signed(reach.last_at.1),
                    signed(reach.seq.0),
                    reach.seq_chain,
                    reach.vid,
                ],
            )
            .doing(WRITING)?;
        self.db.execute_batch("COMMIT").doing(WRITING)?;
        Ok(reach)
    }
}

fn connected(path: &std::path::Path, tenant: &OpenTenant) -> Result<Connection> {
    // It can be made anew: what the last moments before a crash added may be lost.
    let lazily = crate::Synchronous::Normal;
    let db = connection::writer(path, &tenant.keys.trail, lazily, CACHE_KIB, LOG_BYTES)?;
    db.execute_batch("PRAGMA wal_autocheckpoint = 1000")
        .doing(WRITING)?;
    Ok(db)
}

/// The number of the last version.
pub(crate) fn last_version(data: &Connection) -> Result<i64> {
    data.prepare_cached("SELECT coalesce(max(vid), 0) FROM version")
        .and_then(|mut s| s.query_row([], |r| r.get(0)))
        .doing(DOING)
}

/// How far the index of a tenant got; none where there is none, or none that is of its journal.
pub(crate) fn reach(tenant: &OpenTenant) -> Option<Reach> {
    let index = Index::open(tenant).ok()??;
    let reader = tenant.reader().ok()?;
    let is_of = index.is_of(tenant, &reader.db);
    tenant.give_back(reader);
    is_of.ok().filter(|is_of| *is_of).map(|_| index.reach)
}

/// Adds to a tenant's index what frames of the journal tell from one place on, up to another or until it is
/// late; how far it is then. An index that is elsewhere is left as it is.
pub(crate) fn extend(
    tenant: &Arc<OpenTenant>,
    (from, upto): (Place, Place),
    frames: &[(Place, Vec<u8>)],
    late: Micros,
) -> Result<Reach> {
    let reader = tenant.reader()?;
    let done = in_snapshot(&reader.db, || {
        let mut writing = Writing::begin(tenant, &reader.db)?;
        if writing.reach.place == from {
            writing.forget_removed()?;
            let mut events = Events::new(tenant, &reader.db);
            writing.add(&mut events, upto, frames, late)?;
        }
        writing.end(&reader.db)
    });
    tenant.give_back(reader);
    done
}

impl Writing<'_> {
    fn add(
        &mut self,
        events: &mut Events<'_>,
        upto: Place,
        frames: &[(Place, Vec<u8>)],
        late: Micros,
    ) -> Result<()> {
        let journal = &self.tenant.shared.journal;
        let is_late = || self.tenant.shared.clock.monotonic() > late;
        for (place, bytes) in frames {
            self.reach.place = *place;
            if is_late() {
                return Ok(());
            }
            let Some(after) = journal.head_of_frame(bytes) else {
                continue;
            };
            let opened = journal.open_frame(&self.tenant.keys.journal, bytes)?;
            // One that does not open tells nothing; verification says so.
            if let Some((number, record)) = opened {
                if let Some(head) = ChangeHead::decode(&record) {
                    if !self.add_changes(events, (head.seq, number), &is_late)? {
                        return Ok(());
                    }
                } else if let Some(told) = Told::read(&record) {
                    let event = events.access(number, &told)?;
                    let nobody = events.about_nobody(&event)?;
                    self.record((number, *place), &told.actor, (&event, &nobody))?;
                }
            }
            (self.reach.last, self.reach.last_at) = (after, *place);
        }
        self.reach.place = upto;
        Ok(())
    }

    /// Whether all changes up to one were added.
    fn add_changes(
        &mut self,
        events: &mut Events<'_>,
        (to, record): (Seq, u64),
        is_late: &dyn Fn() -> bool,
    ) -> Result<bool> {
        const AT_ONCE: usize = 64;
        while self.reach.seq < to {
            let place = (Some(self.reach.seq), to);
            let rows = ChangeRow::some(events.db, place, false, AT_ONCE)?;
            for row in &rows {
                let event = events.change(row)?;
                let nobody = events.about_nobody(&event)?;
                self.change((row.seq, record), row.actor(), (&event, &nobody))?;
                self.reach.seq = row.seq;
                if is_late() {
                    return Ok(self.reach.seq >= to);
                }
            }
            if rows.len() < AT_ONCE {
                // Those without versions are no events.
                self.reach.seq = to;
            }
        }
        Ok(true)
    }
}
