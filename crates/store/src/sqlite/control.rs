//! The control database: which tenants there are, their state, receipts of those that are gone,
//! copies made of them, where their journals stood, and the audit of what operators did.
//!
//! It is a plain SQLite file: it holds no patient data and no keys, and an operator can look into
//! it. What matters in it is under MACs of the house: [`access::Record`] vouches for name, id,
//! version and wrapped key, `row_mac` for the rest of the line, each place in the journal carries a
//! MAC, and each audit line continues a keyed chain.

mod accounts;
mod anchors;
mod audit;

use std::ffi::CStr;
use std::path::Path;

use access::{Actor, Record, RequestMeta};
use base::{Code, Micros, Seq, TenantName};
use fhir::definitions::FhirVersion;
use ring::hmac;
use rusqlite::{Connection, OpenFlags, Transaction, params};

use super::connection::ALONE;
use super::fault::{Doing, damaged};
use crate::audit::{ChangeHead, OperatorsHead};
use crate::{Result, State, StoreError, TenantInfo, TenantSettings};

pub(crate) use accounts::Digest;
pub(crate) use anchors::{Anchor, HOUSE, Of};

const DDL: &str = "
CREATE TABLE IF NOT EXISTS tenant (
  id BLOB NOT NULL PRIMARY KEY, name TEXT NOT NULL, fhir TEXT NOT NULL,
  wrapped_key_digest BLOB NOT NULL, mac BLOB NOT NULL,
  display TEXT NOT NULL, settings TEXT NOT NULL, state TEXT NOT NULL,
  created_us INTEGER NOT NULL, shred_at_us INTEGER, receipt TEXT, row_mac BLOB NOT NULL,
  administered_seq INTEGER, administered_chain BLOB
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS tenant_name ON tenant (name) WHERE state <> 'gone';
CREATE TABLE IF NOT EXISTS copy (
  tenant BLOB NOT NULL, path TEXT NOT NULL, made_us INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS copy_tenant ON copy (tenant);
CREATE TABLE IF NOT EXISTS audit (
  seq INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, request TEXT NOT NULL, actor TEXT NOT NULL,
  action TEXT NOT NULL, tenant BLOB, detail TEXT NOT NULL, chain BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS journal (
  tenant BLOB NOT NULL PRIMARY KEY, number INTEGER NOT NULL, chain BLOB NOT NULL,
  held INTEGER NOT NULL, mac BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS accounts (
  tenant BLOB NOT NULL PRIMARY KEY, digests BLOB NOT NULL
) STRICT, WITHOUT ROWID;
PRAGMA user_version = 4;
";

/// Version 3 did not vouch in a tenant's line for its places: lines are sealed anew when they are looked at.
const FROM_3: &str = "PRAGMA user_version = 4;";

/// Version 2 did not know where accounts at identity providers are known.
const FROM_2: &str = "
BEGIN;
CREATE TABLE accounts (
  tenant BLOB NOT NULL PRIMARY KEY, digests BLOB NOT NULL
) STRICT, WITHOUT ROWID;
PRAGMA user_version = 3;
COMMIT;
";

/// Version 1 knew neither where something was last administered nor where journals stood.
const FROM_1: &str = "
BEGIN;
ALTER TABLE tenant ADD COLUMN administered_seq INTEGER;
ALTER TABLE tenant ADD COLUMN administered_chain BLOB;
CREATE TABLE journal (
  tenant BLOB NOT NULL PRIMARY KEY, number INTEGER NOT NULL, chain BLOB NOT NULL,
  held INTEGER NOT NULL, mac BLOB NOT NULL
) STRICT, WITHOUT ROWID;
PRAGMA user_version = 2;
COMMIT;
";

/// What putting a legal hold on a tenant is called.
pub(crate) const HOLD: &str = "set legal hold";

/// One tenant's line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) record: Record,
    pub(crate) info: TenantInfo,
    /// Where in the tenant's chain of changes something was last administered.
    pub(crate) administered: Option<ChangeHead>,
    /// The line says that there are places of the tenant's journal and changes.
    pub(crate) has_places: bool,
}

/// Who did what to a tenant, for the audit.
pub(crate) struct Deed<'a> {
    pub(crate) by: &'a (Actor, RequestMeta),
    pub(crate) action: &'static str,
    pub(crate) tenant: Option<&'a [u8; 16]>,
    pub(crate) detail: &'a str,
}

/// The control database.
pub(crate) struct Control {
    db: Connection,
    key: hmac::Key,
    /// Told of each line of the audit once it is on the disk.
    told: Option<Tell>,
}

type Tell = Box<dyn Fn(OperatorsHead) + Send>;

const DOING: &str = "control.db";

impl Control {
    /// Opens it, making it on first use.
    pub(crate) fn open(path: &Path, key: &hmac::Key) -> Result<Self> {
        let (db, version) = match connect(path, None) {
            // What needs no room beside the file; an operator can look into it again after the next start.
            Err(e) if e.code() == Code::StorageFull => connect(path, Some(ALONE))?,
            done => done?,
        };
        match version {
            0 => db.execute_batch(DDL).doing(DOING)?,
            1 => {
                db.execute_batch(FROM_1).doing(DOING)?;
                db.execute_batch(FROM_2).doing(DOING)?;
                db.execute_batch(FROM_3).doing(DOING)?;
            }
            2 => {
                db.execute_batch(FROM_2).doing(DOING)?;
                db.execute_batch(FROM_3).doing(DOING)?;
            }
            3 => db.execute_batch(FROM_3).doing(DOING)?,
            4 => {}
            _ => {
                let text = "control.db was written by a newer version of Insula".to_owned();
                return Err(StoreError::Refused(Code::StorageFault, text));
            }
        }
        db.execute_batch(anchors::CHANGES).doing(DOING)?;
        Ok(Self {
            db,
            key: key.clone(),
            told: None,
        })
    }

    /// Bounds the memory of the engine in this process: page caches stop growing there.
    pub(crate) fn bound_memory(&self, bytes: u64) -> Result<()> {
        self.db
            .query_row(&format!("PRAGMA soft_heap_limit = {bytes}"), [], |_| Ok(()))
            .doing(DOING)
    }

    /// All tenants that are not gone. A line whose MAC is wrong is left out and its name told.
    pub(crate) fn load(&self) -> Result<(Vec<Line>, Vec<String>)> {
        let sql = format!("{SELECT} WHERE state <> 'gone'");
        let mut statement = self.db.prepare(&sql).doing(DOING)?;
        let mut rows = statement.query([]).doing(DOING)?;
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        while let Some(row) = rows.next().doing(DOING)? {
            match self.line(row) {
                Ok(line) => good.push(line),
                Err(_) => bad.push(row.get::<_, String>(1).unwrap_or_default()),
            }
        }
        Ok((good, bad))
    }

    fn line(&self, row: &rusqlite::Row<'_>) -> Result<Line> {
        let text = |i| row.get::<_, String>(i).doing(DOING);
        let wrong = || damaged("a line of the control database is damaged");
        let record = Record {
            id: row.get(0).doing(DOING)?,
            name: TenantName::new(&text(1)?).map_err(|_| wrong())?,
            fhir: FhirVersion::parse(&text(2)?).ok_or_else(wrong)?,
            wrapped_key_digest: row.get(3).doing(DOING)?,
            mac: row.get(4).doing(DOING)?,
        };
        let info = TenantInfo {
            name: record.name.clone(),
            display: text(5)?,
            fhir: record.fhir,
            settings: serde_json::from_str(&text(6)?).map_err(|_| wrong())?,
            state: state_of(&text(7)?).ok_or_else(wrong)?,
            created: Micros(row.get(8).doing(DOING)?),
            shred_at: row.get::<_, Option<i64>>(9).doing(DOING)?.map(Micros),
        };
        let receipt: Option<String> = row.get(10).doing(DOING)?;
        let mac: Vec<u8> = row.get(11).doing(DOING)?;
        let seq: Option<i64> = row.get(12).doing(DOING)?;
        let chain: Option<[u8; 32]> = row.get(13).doing(DOING)?;
        let administered = seq.zip(chain).map(|(seq, chain)| ChangeHead {
            seq: Seq(u64::try_from(seq).unwrap_or(0)),
            chain,
        });
        let mut message = message(&record.id, &info, receipt.as_deref(), administered);
        // Lines before version 4 end here.
        let plain = hmac::verify(&self.key, &message, &mac).is_ok();
        message.extend_from_slice(PLACES);
        if !plain {
            hmac::verify(&self.key, &message, &mac).map_err(|_| wrong())?;
        }
        Ok(Line {
            record,
            info,
            administered,
            has_places: !plain,
        })
    }

    /// The line of a tenant that is gone: the last one of this name.
    pub(crate) fn gone(&self, name: &TenantName) -> Result<Option<(TenantInfo, String)>> {
        let sql = format!("{SELECT} WHERE name = ?1 AND state = 'gone' ORDER BY created_us DESC");
        let mut statement = self.db.prepare(&sql).doing(DOING)?;
        let mut rows = statement.query([name.as_str()]).doing(DOING)?;
        let Some(row) = rows.next().doing(DOING)? else {
            return Ok(None);
        };
        let line = self.line(row)?;
        Ok(Some((line.info, row.get(10).doing(DOING)?)))
    }

    /// Whether a tenant that is not gone has this name.
    pub(crate) fn has(&self, name: &TenantName) -> Result<bool> {
        self.db
            .prepare_cached("SELECT 1 FROM tenant WHERE name = ?1 AND state <> 'gone'")
            .and_then(|mut s| s.exists([name.as_str()]))
            .doing(DOING)
    }

    /// Adds a tenant, with its places.
    pub(crate) fn insert(&mut self, line: &Line, deed: &Deed<'_>) -> Result<()> {
        let key = self.key.clone();
        self.in_transaction(deed, |tx| {
            anchors::begin(tx, &key, &line.record.id)?;
            let mut message = message(&line.record.id, &line.info, None, line.administered);
            message.extend_from_slice(PLACES);
            let mac = hmac::sign(&key, &message);
            let (r, i) = (&line.record, &line.info);
            tx.execute(
                "INSERT INTO tenant (id,name,fhir,wrapped_key_digest,mac,display,settings,state,
                 created_us,shred_at_us,row_mac,administered_seq,administered_chain)
                 VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)",
                params![
                    r.id,
                    r.name.as_str(),
                    r.fhir.as_str(),
                    r.wrapped_key_digest,
                    r.mac,
                    i.display,
                    settings_text(&i.settings),
                    state_text(i.state),
                    i.created.0,
                    i.shred_at.map(|t| t.0),
                    mac.as_ref(),
                    line.administered.map(|a| signed(a.seq.0)),
                    line.administered.map(|a| a.chain),
                ],
            )
            .map(drop)
        })
    }

    /// Replaces what can change about a tenant.
    pub(crate) fn update(
        &mut self,
        id: &[u8; 16],
        info: &TenantInfo,
        receipt: Option<&str>,
        administered: Option<ChangeHead>,
        deed: &Deed<'_>,
    ) -> Result<()> {
        let mut message = message(id, info, receipt, administered);
        if self.has_places(id)? {
            message.extend_from_slice(PLACES);
        }
        let mac = hmac::sign(&self.key, &message);
        self.in_transaction(deed, |tx| {
            tx.execute(
                "UPDATE tenant SET display=?2, settings=?3, state=?4, shred_at_us=?5, receipt=?6,
                 row_mac=?7, administered_seq=?8, administered_chain=?9 WHERE id=?1",
                params![
                    id,
                    info.display,
                    settings_text(&info.settings),
                    state_text(info.state),
                    info.shred_at.map(|t| t.0),
                    receipt,
                    mac.as_ref(),
                    administered.map(|a| signed(a.seq.0)),
                    administered.map(|a| a.chain),
                ],
            )
            .map(drop)
        })
    }

    fn has_places(&self, id: &[u8; 16]) -> Result<bool> {
        let sql = format!("{SELECT} WHERE id = ?1");
        let mut statement = self.db.prepare(&sql).doing(DOING)?;
        let mut rows = statement.query([id]).doing(DOING)?;
        match rows.next().doing(DOING)? {
            Some(row) => self.line(row).map(|line| line.has_places),
            None => Ok(false),
        }
    }

    /// Lines that do not say yet that there are places say so from now on, and there are places.
    pub(crate) fn begin_places(&mut self, lines: Vec<Line>) -> Result<()> {
        let older: Vec<Line> = (lines.into_iter())
            .filter(|line| !line.has_places)
            .collect();
        if older.is_empty() {
            return Ok(());
        }
        let key = self.key.clone();
        let tx = self.db.transaction().doing(DOING)?;
        for line in older {
            let id = &line.record.id;
            anchors::begin(&tx, &key, id).doing(DOING)?;
            // What is not gone has no receipt.
            let mut message = message(id, &line.info, None, line.administered);
            message.extend_from_slice(PLACES);
            let mac = hmac::sign(&key, &message);
            tx.execute(
                "UPDATE tenant SET row_mac = ?2 WHERE id = ?1 AND receipt IS NULL",
                params![id, mac.as_ref()],
            )
            .doing(DOING)?;
        }
        tx.commit().doing(DOING)
    }

    /// Replaces directory records: their keys were wrapped anew.
    pub(crate) fn rewrap(&mut self, records: &[Record], deed: &Deed<'_>) -> Result<()> {
        self.in_transaction(deed, |tx| {
            let mut s =
                tx.prepare("UPDATE tenant SET wrapped_key_digest=?2, mac=?3 WHERE id=?1")?;
            for r in records {
                s.execute(params![r.id, r.wrapped_key_digest, r.mac])?;
            }
            Ok(())
        })
    }

    /// Remembers that a copy of a tenant was made.
    pub(crate) fn copied(&mut self, path: &str, at: Micros, deed: &Deed<'_>) -> Result<()> {
        self.in_transaction(deed, |tx| {
            tx.execute(
                "INSERT INTO copy VALUES (?1,?2,?3)",
                params![deed.tenant, path, at.0],
            )
            .map(drop)
        })
    }

    /// Copies made of a tenant, oldest first.
    pub(crate) fn copies(&self, id: &[u8; 16]) -> Result<Vec<(String, Micros)>> {
        let mut s = self
            .db
            .prepare("SELECT path, made_us FROM copy WHERE tenant=?1 ORDER BY made_us, path")
            .doing(DOING)?;
        let rows = s
            .query_map([id], |r| Ok((r.get(0)?, Micros(r.get(1)?))))
            .doing(DOING)?;
        rows.collect::<rusqlite::Result<_>>().doing(DOING)
    }

    /// When a legal hold was last put on a tenant.
    pub(crate) fn held_since(&self, id: &[u8; 16]) -> Result<Option<Micros>> {
        let sql = "SELECT max(at_us) FROM audit WHERE tenant=?1 AND action=?2";
        self.db
            .query_row(sql, params![id, HOLD], |r| r.get::<_, Option<i64>>(0))
            .map(|at| at.map(Micros))
            .doing(DOING)
    }

    fn in_transaction(
        &mut self,
        deed: &Deed<'_>,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<()> {
        let key = self.key.clone();
        let tx = self.db.transaction().doing(DOING)?;
        work(&tx).doing(DOING)?;
        let head = audit::append(&tx, &key, deed).doing(DOING)?;
        tx.commit().doing(DOING)?;
        if let Some(tell) = &self.told {
            tell(head);
        }
        Ok(())
    }
}

/// A connection, and the version of what is there.
fn connect(path: &Path, by: Option<&CStr>) -> Result<(Connection, i64)> {
    let flags = OpenFlags::default();
    let db = match by {
        None => Connection::open_with_flags(path, flags),
        Some(by) => Connection::open_with_flags_and_vfs(path, flags, by),
    };
    let db = db.doing(DOING)?;
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;",
    )
    .doing(DOING)?;
    let version = db.pragma_query_value(None, "user_version", |r| r.get(0));
    Ok((db, version.doing(DOING)?))
}

/// How a line ends that says that there are places of the tenant's journal and changes.
const PLACES: &[u8] = b"places";

const SELECT: &str = "SELECT id,name,fhir,wrapped_key_digest,mac,display,settings,state,created_us,
 shred_at_us,receipt,row_mac,administered_seq,administered_chain FROM tenant";

fn message(
    id: &[u8; 16],
    info: &TenantInfo,
    receipt: Option<&str>,
    administered: Option<ChangeHead>,
) -> Vec<u8> {
    let mut m = b"tenant\0".to_vec();
    m.extend_from_slice(id);
    let settings = settings_text(&info.settings);
    let parts = [
        &info.display,
        &settings,
        state_text(info.state),
        receipt.unwrap_or_default(),
    ];
    for part in parts {
        m.extend_from_slice(&(part.len() as u64).to_be_bytes());
        m.extend_from_slice(part.as_bytes());
    }
    m.extend_from_slice(&info.created.0.to_be_bytes());
    m.extend_from_slice(&info.shred_at.map_or(i64::MIN, |t| t.0).to_be_bytes());
    // Lines of version 1 end here.
    if let Some(place) = administered {
        m.extend_from_slice(&place.seq.0.to_be_bytes());
        m.extend_from_slice(&place.chain);
    }
    m
}

/// A number as the engine keeps it.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn settings_text(settings: &TenantSettings) -> String {
    serde_json::to_string(settings).unwrap_or_default()
}

const fn state_text(state: State) -> &'static str {
    match state {
        State::Active => "active",
        State::Suspended => "suspended",
        State::Leaving => "leaving",
        State::Gone => "gone",
    }
}

fn state_of(text: &str) -> Option<State> {
    [State::Active, State::Suspended, State::Leaving, State::Gone]
        .into_iter()
        .find(|s| state_text(*s) == text)
}

#[cfg(test)]
mod tests {
    use access::{HouseKey, Reason};
    use base::RequestId;

    use super::*;

    #[test]
    fn lines_of_before_get_their_places() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]);
        let mut control = Control::open(Path::new(":memory:"), &key).unwrap();
        let name = TenantName::new("lakeside").unwrap();
        let (id, digest) = ([7; 16], [8; 32]);
        let info = TenantInfo {
            name: name.clone(),
            display: "Lakeside".to_owned(),
            fhir: FhirVersion::R4,
            settings: TenantSettings::default(),
            state: State::Active,
            created: Micros(1),
            shred_at: None,
        };
        let house = HouseKey::new(base::Secret::new([9; 32]));
        let line = Line {
            record: Record::seal(&house, name, id, FhirVersion::R4, digest),
            info: info.clone(),
            administered: None,
            has_places: true,
        };
        let request = RequestMeta::new(RequestId(1), Micros(1));
        let by = (Actor::system(Reason::Operation), request);
        let deed = Deed {
            by: &by,
            action: "x",
            tenant: Some(&id),
            detail: "",
        };
        control.insert(&line, &deed).unwrap();
        let has = |c: &Control| c.load().unwrap().0.first().map(|l| l.has_places);
        let places = |c: &Control| c.anchors(Of::Journal).unwrap().0.len();
        assert_eq!((has(&control), places(&control)), (Some(true), 2));
        // As version 3 sealed it.
        let mac = hmac::sign(&key, &message(&id, &info, None, None));
        let older = |c: &Control| {
            c.db.execute("DELETE FROM journal", []).unwrap();
            let sql = "UPDATE tenant SET row_mac = ?1";
            c.db.execute(sql, [mac.as_ref()]).unwrap();
        };
        older(&control);
        assert_eq!((has(&control), places(&control)), (Some(false), 0));
        control.update(&id, &info, None, None, &deed).unwrap();
        assert_eq!(has(&control), Some(false));
        let lines = control.load().unwrap().0;
        control.begin_places(lines).unwrap();
        assert_eq!((has(&control), places(&control)), (Some(true), 2));
        // What is changed about it says so too, and brings none back.
        control.db.execute("DELETE FROM journal", []).unwrap();
        control.update(&id, &info, None, None, &deed).unwrap();
        let lines = control.load().unwrap().0;
        control.begin_places(lines).unwrap();
        assert_eq!((has(&control), places(&control)), (Some(true), 0));
    }
}
