//! Checks a whole tenant: seals, the chain of changes against versions and against the journal, what
//! is administered, current states, index rows, dictionaries; and the operators' audit with it.
//!
//! Runs on one snapshot, streams every table once, and keeps nothing but a few counters and the
//! findings. What it finds it reports and goes on.

mod journal;

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use base::{Code, Micros, RequestId, ResourceId, Seq, Version};
use fhir::definitions::ParamId;
use fhir::definitions::TypeId;
use fhir::search::rows::{Row as FhirRow, is_custom, plain};
use rusqlite::{Connection, Row, Rows};

use super::blob;
use super::connection::in_snapshot;
use super::control::Anchor;
use super::fault::Doing;
use super::house::House;
use super::house::notary::{Origin, SignedHead};
use super::rows::{self, Broken, COLUMNS};
use super::seal::{ChangeLine, Digest, sha256};
use super::tenant::OpenTenant;
use super::{
    administration, break_glass, codec, extract, index, people, quarantine, registrations, vendors,
};
use crate::audit::ChangeHead;
use crate::journal::Head;
use crate::{Finding, FindingKind, Result, StoreError, Stored, VerifyReport};

const DOING: &str = "checking a tenant";

/// What others know about a tenant.
pub(crate) struct Against<'h> {
    pub(crate) house: &'h House,
    /// Signed heads of the trail that were kept elsewhere.
    pub(crate) heads: Vec<SignedHead>,
    /// Who signs them.
    pub(crate) origin: Origin,
    /// Where something was last administered, as the house knows.
    pub(crate) administered: Option<ChangeHead>,
    /// Where the house knows that the journal stood.
    pub(crate) anchor: Option<Anchor>,
    /// The first line of the operators' audit that is not as it was written.
    pub(crate) operators: Option<i64>,
    /// Where the house knows that the chain of changes was.
    pub(crate) changed: Option<ChangeHead>,
}

/// Checks a tenant and what the journal and the house say about it.
pub(crate) fn run(tenant: &Arc<OpenTenant>, against: &Against<'_>) -> Result<VerifyReport> {
    let mut check = Check::new(tenant);
    if let Some(line) = against.operators {
        check.at_change(
            FindingKind::Operators,
            Seq(u64::try_from(line).unwrap_or(0)),
        );
    }
    // The journal first: what it knows of then is in the snapshot taken after.
    let changes = match check.journal(against) {
        Ok(changes) => changes,
        Err(_) => {
            check.plain(FindingKind::Journal);
            None
        }
    };
    check.database(Known {
        changes,
        administered: against.administered,
        changed: against.changed,
    })?;
    Ok(check.finish())
}

/// Checks a database that the journal knows nothing of.
pub(crate) fn database(tenant: &Arc<OpenTenant>) -> Result<VerifyReport> {
    let mut check = Check::new(tenant);
    check.database(Known::default())?;
    Ok(check.finish())
}

/// What the background check goes through, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Every version, in the order they were made.
    Versions,
    /// Every resource, with its index rows.
    Resources,
}

/// Some rows, looked at.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    /// The last of them; none where there are no more.
    pub(crate) last: Option<i64>,
    /// How many.
    pub(crate) rows: u64,
    /// What is wrong, with the row of the resource where it has one.
    pub(crate) found: Vec<(Option<i64>, Finding)>,
}

/// Looks at the next `count` rows of a part after a row.
pub(crate) fn some(
    tenant: &Arc<OpenTenant>,
    db: &Connection,
    part: Part,
    after: i64,
    count: i64,
) -> Result<Looked> {
    let sql = match part {
        Part::Versions => format!(
            "{} WHERE v.vid > ?1 ORDER BY v.vid LIMIT ?2",
            versions_sql()
        ),
        Part::Resources => format!("{RESOURCES} WHERE r.rid > ?1 ORDER BY r.rid LIMIT ?2"),
    };
    look(tenant, db, (part, &sql), (after, count))
}

/// Looks at a resource and all its versions.
pub(crate) fn one(tenant: &Arc<OpenTenant>, db: &Connection, rid: i64) -> Result<Looked> {
    let sql = format!(
        "{} WHERE v.rid = ?1 AND ?2 = 0 ORDER BY v.vid",
        versions_sql()
    );
    let mut looked = look(tenant, db, (Part::Versions, &sql), (rid, 0))?;
    let sql = format!("{RESOURCES} WHERE r.rid = ?1 AND ?2 = 0");
    let resource = look(tenant, db, (Part::Resources, &sql), (rid, 0))?;
    looked.rows += resource.rows;
    looked.found.extend(resource.found);
    Ok(looked)
}

fn look(
    tenant: &Arc<OpenTenant>,
    db: &Connection,
    (part, sql): (Part, &str),
    params: (i64, i64),
) -> Result<Looked> {
    let mut check = Check::new(tenant);
    let mut looked = Looked::default();
    let mut read = db.prepare_cached(sql).doing(DOING)?;
    let mut rows = read.query(params).doing(DOING)?;
    while let Some(row) = rows.next().doing(DOING)? {
        let number = |i: usize| row.get::<_, Option<i64>>(i).ok().flatten();
        let rid = match part {
            Part::Versions => {
                looked.last = number(14).or(looked.last);
                check.version(db, row)?;
                number(15)
            }
            Part::Resources => {
                looked.last = number(0).or(looked.last);
                check.resource(db, row)?;
                number(0)
            }
        };
        looked.rows += 1;
        let found = check.report.findings.drain(..);
        looked.found.extend(found.map(|finding| (rid, finding)));
    }
    Ok(looked)
}

fn versions_sql() -> String {
    format!(
        "SELECT {COLUMNS}, v.type, v.vid, v.rid FROM version v
         LEFT JOIN resource r ON r.rid = v.rid"
    )
}

/// A resource, what its current version says, and how many versions it has.
const RESOURCES: &str = "SELECT r.rid, r.type, r.id, r.version, r.deleted,
   v.rid, v.version, v.method, v.type,
   (SELECT max(x.version) FROM version x WHERE x.rid = r.rid),
   (SELECT count(*) FROM version x WHERE x.rid = r.rid)
 FROM resource r LEFT JOIN version v ON v.vid = r.vid";

struct Check<'t> {
    tenant: &'t Arc<OpenTenant>,
    report: VerifyReport,
    /// What of the quarantine was decided.
    decided: HashSet<(TypeId, ResourceId, Version, FindingKind)>,
    /// The first change of which the journal tells otherwise than the database.
    elsewhere: Option<Seq>,
}

type Stage<'t> = fn(&mut Check<'t>, &Connection, Known) -> Result<()>;

/// What others know about the database.
#[derive(Clone, Copy, Default)]
struct Known {
    /// The end of the chain of changes, by the journal.
    changes: Option<ChangeHead>,
    /// Where something was last administered, by the house.
    administered: Option<ChangeHead>,
    /// Where the chain of changes was, by the house.
    changed: Option<ChangeHead>,
}

/// A change as its row says, and what was seen of its versions.
struct Change {
    seq: Seq,
    updated: Micros,
    request: RequestId,
    actor: i64,
    members: u64,
    digest: [u8; 32],
    chain: [u8; 32],
    journal: Option<[u8; Head::BYTES]>,
    about: Option<Vec<u8>>,
}

impl<'t> Check<'t> {
    fn new(tenant: &'t Arc<OpenTenant>) -> Self {
        Self {
            tenant,
            report: VerifyReport::default(),
            decided: HashSet::new(),
            elsewhere: None,
        }
    }

    fn finish(mut self) -> VerifyReport {
        self.report.ok = self.report.findings.is_empty();
        self.report
    }

    fn found(&mut self, finding: Finding) {
        if self.report.findings.len() < VerifyReport::FINDINGS_MAX {
            self.report.findings.push(finding);
        } else {
            self.report.findings_more += 1;
        }
    }

    fn plain(&mut self, kind: FindingKind) {
        self.found(Finding::of(kind));
    }

    fn at_change(&mut self, kind: FindingKind, seq: Seq) {
        self.found(Finding {
            seq: Some(seq),
            ..Finding::of(kind)
        });
    }

    fn at_row(&mut self, kind: FindingKind, of: &Named, version: Option<Version>) {
        let type_name = Some(Cow::Borrowed(self.tenant.model.type_name(of.type_id)));
        let finding = Finding {
            type_name,
            id: of.id.clone(),
            version,
            ..Finding::of(kind)
        };
        let line = (of.id.clone())
            .zip(version)
            .map(|(id, version)| (of.type_id, id, version, kind));
        if line.is_some_and(|line| self.decided.contains(&line)) {
            if self.report.decided.len() < VerifyReport::FINDINGS_MAX {
                self.report.decided.push(finding);
            }
            return;
        }
        self.found(finding);
    }

    /// The chain of changes goes through every place that the journal and the house know of: it does not
    /// where an older file was put in the place of this one, and other changes were made since. Where
    /// changes themselves are not as they were written, that says enough.
    fn whole(&mut self, db: &Connection, changed: Option<ChangeHead>) -> Result<()> {
        let told = |f: &Finding| matches!(f.kind, FindingKind::Truncated | FindingKind::Change);
        if self.report.findings.iter().any(told) {
            return Ok(());
        }
        let mut lacks = self.elsewhere;
        if let (None, Some(place)) = (lacks, changed)
            && !administration::passes(db, place)?
        {
            lacks = Some(place.seq);
        }
        if let Some(seq) = lacks {
            self.at_change(FindingKind::Truncated, seq);
        }
        Ok(())
    }

    /// API clients and facts are those that were last administered.
    fn administered(&mut self, db: &Connection, known: Known) -> Result<()> {
        let whole = match known.administered {
            Some(place) => administration::passes(db, place)?,
            None => true,
        };
        if !whole || !administration::holds(db)? || !vendors::events_hold(db)? {
            self.plain(FindingKind::Client);
        }
        // Lists whose rows carry seals of their own.
        let chain = self.tenant.chain();
        let sealed = break_glass::unsealed(db, chain)? == 0
            && quarantine::unsealed(db, chain)? == 0
            && registrations::unsealed(db, chain)? == 0
            && people::unsealed(db, chain)? == 0;
        if !sealed || !administration::openings_hold(db)? {
            self.plain(FindingKind::List);
        }
        Ok(())
    }

    fn database(&mut self, known: Known) -> Result<()> {
        // What memory knows is not what is checked.
        self.tenant.forget_actors();
        let reader = self.tenant.reader()?;
        let done = in_snapshot(&reader.db, || {
            self.decided = quarantine::decided(&reader.db, self.tenant.model, self.tenant.chain())?;
            let stages: [Stage<'t>; 6] = [
                |c, db, _| c.engine(db),
                |c, db, known| c.versions(db, known.changes),
                |c, db, known| c.whole(db, known.changed),
                |c, db, known| c.administered(db, known),
                |c, db, _| c.resources(db),
                |c, db, _| c.dictionaries(db),
            ];
            for stage in stages {
                match stage(self, &reader.db, known) {
                    Ok(()) => {}
                    // Pages that the engine cannot read are a finding like any other.
                    Err(e) if e.code() == Code::TenantDamaged => self.plain(FindingKind::Database),
                    Err(e) => return Err(e),
                }
            }
            Ok(())
        });
        self.tenant.give_back(reader);
        match done {
            Err(e) if e.code() == Code::TenantDamaged => {
                self.plain(FindingKind::Database);
                Ok(())
            }
            other => other,
        }
    }

    /// The engine's own check of its trees.
    fn engine(&mut self, db: &Connection) -> Result<()> {
        let word: String = db
            .query_row("PRAGMA quick_check(1)", [], |r| r.get(0))
            .doing(DOING)?;
        if word != "ok" {
            self.plain(FindingKind::Database);
        }
        Ok(())
    }

    /// Every version's seal, and changes and versions side by side.
    fn versions(&mut self, db: &Connection, head: Option<ChangeHead>) -> Result<()> {
        let mut read_changes = db
            .prepare(
                "SELECT seq, updated_us, request, actor, members, digest, chain, journal, about
                 FROM change ORDER BY seq",
            )
            .doing(DOING)?;
        let mut changes = Changes {
            rows: read_changes.query([]).doing(DOING)?,
            db,
            current: None,
            seen: 0,
            digest: Digest::default(),
            last: (Seq(0), [0; 32]),
            head,
        };
        let sql = format!("{} ORDER BY v.vid", versions_sql());
        let mut read = db.prepare(&sql).doing(DOING)?;
        let mut rows = read.query([]).doing(DOING)?;
        while let Some(row) = rows.next().doing(DOING)? {
            self.report.rows += 1;
            self.version(db, row)?;
            let seq = row.get::<_, i64>(4).unwrap_or(0);
            let seal = row
                .get_ref(10)
                .ok()
                .and_then(|v| v.as_blob().ok())
                .unwrap_or_default();
            changes.take(self, Seq(u64::try_from(seq).unwrap_or(0)), seal)?;
        }
        changes.end(self)
    }

    fn version(&mut self, db: &Connection, row: &Row<'_>) -> Result<()> {
        let named = Named {
            type_id: TypeId(row.get::<_, u16>(13).unwrap_or(u16::MAX)),
            id: row.get_ref(2).ok().and_then(rows::id_of),
        };
        let version = row
            .get::<_, i64>(3)
            .ok()
            .and_then(|v| u64::try_from(v).ok())
            .map(Version);
        if named.id.is_none() {
            self.at_row(FindingKind::Current, &named, version);
            return Ok(());
        }
        match rows::open(self.tenant, db, row)? {
            Ok(opened) if opened.stored.type_id == named.type_id => {
                if !self.data(db, &opened.stored)? {
                    self.at_row(FindingKind::Body, &named, version);
                }
            }
            Ok(_) | Err(Broken::Seal) => self.at_row(FindingKind::Seal, &named, version),
            Err(Broken::Body) => self.at_row(FindingKind::Body, &named, version),
        }
        Ok(())
    }

    /// Whether the data of a version, where it is kept apart, is whole and carries its seals.
    fn data(&self, db: &Connection, stored: &Stored) -> Result<bool> {
        let Some(data) = stored.data else {
            return Ok(true);
        };
        for place in 0..data.pieces() {
            match blob::chunk(self.tenant, db, &data, place) {
                Ok(_) => {}
                Err(e) if e.code() == Code::ResourceQuarantined => return Ok(false),
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }

    /// Every resource: its history whole, its current state the last version, its index rows.
    fn resources(&mut self, db: &Connection) -> Result<()> {
        let sql = format!("{RESOURCES} ORDER BY r.rid");
        let mut read = db.prepare(&sql).doing(DOING)?;
        let mut rows = read.query([]).doing(DOING)?;
        while let Some(row) = rows.next().doing(DOING)? {
            self.resource(db, row)?;
        }
        Ok(())
    }

    fn resource(&mut self, db: &Connection, row: &Row<'_>) -> Result<()> {
        let number = |i: usize| row.get::<_, Option<i64>>(i).ok().flatten();
        let named = Named {
            type_id: TypeId(row.get(1).unwrap_or(u16::MAX)),
            id: row.get_ref(2).ok().and_then(rows::id_of),
        };
        let (rid, version, deleted) = (number(0), number(3), number(4) == Some(1));
        let says = version.and_then(|v| u64::try_from(v).ok()).map(Version);
        if number(9) != version || number(10) != version {
            self.at_row(FindingKind::VersionMissing, &named, says);
        }
        let agree = number(5) == rid
            && number(6) == version
            && number(8) == number(1)
            && (number(7) == Some(4)) == deleted;
        if !agree {
            self.at_row(FindingKind::Current, &named, says);
        } else if let Some(rid) = rid {
            self.index_rows(db, rid, deleted, &named, says)?;
        }
        Ok(())
    }

    fn index_rows(
        &mut self,
        db: &Connection,
        rid: i64,
        deleted: bool,
        named: &Named,
        version: Option<Version>,
    ) -> Result<()> {
        const DOING: &str = "checking an index";
        let vocabulary = &self.tenant.vocabulary;
        let customs = self.tenant.customs();
        // An index that is being built, or dropped, is not complete.
        let incomplete = |param: i64| {
            let number = u32::try_from(param).ok().filter(|n| is_custom(*n));
            number.is_some_and(|number| {
                let id = plain(ParamId(number));
                !customs.iter().any(|c| c.serves && c.id == id)
            })
        };
        let differs = |expected: Option<(Micros, &[FhirRow])>| {
            index::differs(db, vocabulary, named.type_id, rid, expected, &incomplete).doing(DOING)
        };
        let good = if deleted {
            !differs(None)?
        } else {
            // A version that cannot be read was found before.
            let Ok(Some(opened)) = rows::current_of(self.tenant, db, rid) else {
                return Ok(());
            };
            let updated = opened.stored.updated;
            extract::any(self.tenant, &opened.stored, |rows| {
                Ok(!differs(Some((updated, rows)))?)
            })?
        };
        if !good {
            self.at_row(FindingKind::Index, named, version);
        }
        Ok(())
    }

    fn dictionaries(&mut self, db: &Connection) -> Result<()> {
        let mut read = db
            .prepare("SELECT id, digest, bytes FROM dictionary")
            .doing(DOING)?;
        let mut rows = read.query([]).doing(DOING)?;
        while let Some(row) = rows.next().doing(DOING)? {
            let id: u32 = row.get(0).doing(DOING)?;
            let digest: Vec<u8> = row.get(1).doing(DOING)?;
            let bytes: Vec<u8> = row.get(2).doing(DOING)?;
            if sha256(&bytes).as_slice() != digest || codec::shipped(id) != Some(&bytes) {
                self.plain(FindingKind::Dictionary);
            }
        }
        Ok(())
    }
}

/// What a finding names.
struct Named {
    type_id: TypeId,
    id: Option<ResourceId>,
}

/// Changes in order, each met by its versions.
struct Changes<'a> {
    rows: Rows<'a>,
    db: &'a Connection,
    current: Option<Change>,
    seen: u64,
    digest: Digest,
    last: (Seq, [u8; 32]),
    head: Option<ChangeHead>,
}

impl Changes<'_> {
    /// A version of change `seq` with this seal comes next.
    fn take(&mut self, check: &mut Check<'_>, seq: Seq, seal: &[u8]) -> Result<()> {
        while self.current.as_ref().is_none_or(|c| c.seq < seq) {
            self.close(check)?;
            if !self.next()? {
                break;
            }
        }
        match &self.current {
            Some(c) if c.seq == seq => {
                self.seen += 1;
                self.digest.add(seal);
            }
            _ => check.at_change(FindingKind::Change, seq),
        }
        Ok(())
    }

    fn next(&mut self) -> Result<bool> {
        let Some(row) = self.rows.next().doing(DOING)? else {
            return Ok(false);
        };
        let unsigned = |i: usize| {
            row.get::<_, i64>(i)
                .map(|n| u64::try_from(n).unwrap_or(u64::MAX))
                .doing(DOING)
        };
        self.current = Some(Change {
            seq: Seq(unsigned(0)?),
            updated: Micros(row.get(1).doing(DOING)?),
            request: RequestId(u128::from_be_bytes(row.get(2).doing(DOING)?)),
            actor: row.get(3).doing(DOING)?,
            members: unsigned(4)?,
            digest: row.get(5).doing(DOING)?,
            chain: row.get(6).doing(DOING)?,
            journal: row.get(7).doing(DOING)?,
            about: row.get(8).doing(DOING)?,
        });
        Ok(true)
    }

    /// Judges the current change: all its versions were met.
    fn close(&mut self, check: &mut Check<'_>) -> Result<()> {
        let digest = std::mem::take(&mut self.digest).value();
        let seen = std::mem::take(&mut self.seen);
        let Some(change) = self.current.take() else {
            return Ok(());
        };
        check.report.events += 1;
        let actor = check
            .tenant
            .actor(self.db, change.actor)
            .unwrap_or_else(|_: StoreError| "".into());
        let line = ChangeLine {
            tenant: check.tenant.id.bytes(),
            seq: change.seq,
            updated: change.updated,
            request: change.request,
            actor: &actor,
            members: change.members,
            digest: &change.digest,
            journal: change.journal,
            about: change.about.as_deref(),
        };
        let follows = change.seq.0 == self.last.0.0 + 1
            && line.chain(&check.tenant.keys.seal, &self.last.1) == change.chain;
        // Without versions the digest is of what was administered; only the last one can be checked.
        let same = change.members == 0 || digest == change.digest;
        let whole = seen == change.members && same;
        let as_known = self
            .head
            .is_none_or(|h| h.seq != change.seq || h.chain == change.chain);
        if !(follows && whole && as_known) {
            check.at_change(FindingKind::Change, change.seq);
        }
        self.last = (change.seq, change.chain);
        Ok(())
    }

    fn end(mut self, check: &mut Check<'_>) -> Result<()> {
        loop {
            self.close(check)?;
            if !self.next()? {
                break;
            }
        }
        if self.head.is_some_and(|h| h.seq > self.last.0) {
            check.at_change(FindingKind::Truncated, self.last.0);
        }
        Ok(())
    }
}
