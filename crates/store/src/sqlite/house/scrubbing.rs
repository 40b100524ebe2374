//! The thread that looks at every tenant's rows in the background: seals of all versions, then current
//! states and index rows. What is not as it was written goes into quarantine.
//!
//! It goes on where it was: progress is kept in the tenant's file every few seconds. Rows that
//! somebody met, and that did not carry their seals, are looked into first.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use access::{ActionName, Actor, Reason, TenantId};
use base::{Code, Micros, TenantName, Version};
use rusqlite::{Connection, OptionalExtension};

use super::super::connection::in_snapshot;
use super::super::fault::Doing;
use super::super::quarantine::{self, Progress, Wrong};
use super::super::tenant::OpenTenant;
use super::super::verify::{self, Looked, Part};
use super::super::writer;
use super::{Entry, House};
use crate::audit::{Asked, Outcome, Record, Subject};
use crate::{FindingKind, Result, ScrubStatus, State};

/// How often tenants are looked through for something to do, at least.
const ROUND: Duration = Duration::from_secs(1);
/// Rows looked at in one go, at most.
const ROWS_MAX: u64 = 500;
/// Progress is kept at least so often.
const SAVE_US: i64 = 5_000_000;
/// Tenants that nobody uses are opened for a look only when the house has stood for so long.
const SETTLED_US: i64 = 60_000_000;
/// The rest where nobody asked for hurry, at most.
const REST_US_MAX: u64 = 5_000_000;

/// What is known of a tenant's check.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// The tenant's file was asked.
    loaded: bool,
    progress: Progress,
    quarantined: u64,
    /// Not bound by the rate.
    hurry: bool,
    /// When progress was last kept, by the monotonic clock.
    saved: Micros,
    /// It cannot be looked at before then.
    failed_until: Option<Micros>,
}

/// Checks by tenant.
#[derive(Debug, Default)]
pub(crate) struct Scrubs(HashMap<[u8; 16], Known>);

impl Known {
    fn status(&self) -> ScrubStatus {
        let progress = &self.progress;
        ScrubStatus {
            begun: progress.begun,
            rows: progress.rows,
            found: progress.found,
            finished: progress.finished,
            last_rows: progress.last_rows,
            last_found: progress.last_found,
            quarantined: self.quarantined,
        }
    }
}

impl House {
    pub(super) fn scrub_until_stopped(self: &Arc<Self>) {
        let since = self.shared.clock.monotonic();
        let mut rest = ROUND;
        loop {
            {
                let mut scrubber = self.scrubber.lock();
                if !scrubber.stop && !scrubber.hurry {
                    self.scrubber_wake.wait_for(&mut scrubber, rest);
                }
                if scrubber.stop {
                    drop(scrubber);
                    return self.keep_progress();
                }
                scrubber.hurry = false;
            }
            rest = self.scrub(since);
        }
    }

    /// Tells the thread that there is something to do.
    pub(crate) fn wake_scrubber(&self) {
        self.scrubber.lock().hurry = true;
        self.scrubber_wake.notify_one();
    }

    /// How far a tenant's check is, as far as it is known without touching a disk.
    pub(crate) fn scrub_known(&self, tenant: &TenantId) -> Option<ScrubStatus> {
        self.scrubs.lock().0.get(tenant.bytes()).map(Known::status)
    }

    /// The same of all tenants of which it is known.
    pub(crate) fn scrubs_known(&self) -> Vec<(TenantName, ScrubStatus)> {
        let entries = self.entries();
        let scrubs = self.scrubs.lock();
        let known = |e: &Arc<Entry>| {
            let known = scrubs.0.get(e.tenant.bytes())?;
            Some((e.tenant.name().clone(), known.status()))
        };
        entries.iter().filter_map(known).collect()
    }

    /// Begins a round, unless one is under way. Blocks: not for asynchronous threads.
    pub(crate) fn begin_scrub(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        hurry: bool,
    ) -> Result<ScrubStatus> {
        let tenant = self.open_tenant(entry)?;
        self.know(&tenant)?;
        let status = {
            let mut scrubs = self.scrubs.lock();
            let known = scrubs.0.entry(*tenant.id.bytes()).or_default();
            known.hurry |= hurry;
            known.failed_until = None;
            if known.progress.begun.is_none() {
                known.progress = begun(known.progress, self.shared.clock.now());
            }
            known.status()
        };
        self.wake_scrubber();
        Ok(status)
    }

    /// How far a tenant's check is. Blocks.
    pub(crate) fn scrub_status(self: &Arc<Self>, entry: &Arc<Entry>) -> Result<ScrubStatus> {
        let tenant = self.open_tenant(entry)?;
        self.know(&tenant)?;
        let quarantined = {
            let reader = tenant.reader()?;
            let count = quarantine::open_count(&reader.db);
            tenant.give_back(reader);
            count?
        };
        let mut scrubs = self.scrubs.lock();
        let known = scrubs.0.entry(*tenant.id.bytes()).or_default();
        known.quarantined = quarantined;
        Ok(known.status())
    }

    /// Reads from a tenant's file how far its check is, once.
    fn know(&self, tenant: &Arc<OpenTenant>) -> Result<Known> {
        let known = self.scrubs.lock().0.get(tenant.id.bytes()).copied();
        if let Some(known) = known.filter(|known| known.loaded) {
            return Ok(known);
        }
        let reader = tenant.reader()?;
        let read = Progress::load(&reader.db)
            .and_then(|progress| Ok((progress, quarantine::open_count(&reader.db)?)));
        tenant.give_back(reader);
        let (progress, quarantined) = read?;
        let known = Known {
            loaded: true,
            progress,
            quarantined,
            saved: self.shared.clock.monotonic(),
            ..Known::default()
        };
        let mut scrubs = self.scrubs.lock();
        let place = scrubs.0.entry(*tenant.id.bytes()).or_default();
        if !place.loaded {
            *place = known;
        }
        Ok(*place)
    }

    /// One go over all tenants; how long to rest after it.
    fn scrub(self: &Arc<Self>, since: Micros) -> Duration {
        let clock = &self.shared.clock;
        let started = clock.monotonic();
        let settled = started.0 - since.0 > SETTLED_US;
        let (mut rows, mut hurry, mut looked_at_one) = (0u64, false, false);
        for entry in self.entries() {
            if self.scrubber.lock().stop {
                break;
            }
            if entry.must_stay().is_err() {
                self.scrubs.lock().0.remove(entry.tenant.bytes());
                continue;
            }
            self.look_into_suspects(&entry);
            let known = self.scrubs.lock().0.get(entry.tenant.bytes()).copied();
            if known.is_some_and(|k| k.failed_until.is_some_and(|until| until > started)) {
                continue;
            }
            let Some(known) = known.filter(|known| known.loaded) else {
                // One that nobody uses is opened for it, one at a time, and closed again.
                let open = entry.if_open();
                let may = !looked_at_one && settled && self.opened.lock().len() < self.open_max;
                if open.is_some() || may {
                    looked_at_one |= open.is_none();
                    let done = self.open_tenant(&entry).and_then(|t| self.know(&t));
                    if let Err(e) = done {
                        self.scrub_failed(&entry, &e);
                    }
                    if open.is_none() {
                        self.close_tenant(&entry);
                    }
                }
                continue;
            };
            if !self.is_due(&entry, &known) {
                continue;
            }
            match self.scrub_some(&entry, known) {
                Ok(looked) if known.hurry => {
                    hurry = true;
                    rows += looked / 64;
                }
                Ok(looked) => rows += looked,
                Err(e) => self.scrub_failed(&entry, &e),
            }
        }
        if rows == 0 && !hurry {
            return ROUND;
        }
        let rate = self.shared.config.limits.scrub_rows_per_second.max(1);
        let took = u64::try_from(clock.monotonic().0 - started.0).unwrap_or(0);
        let rest = (rows.saturating_mul(1_000_000) / rate).saturating_sub(took);
        Duration::from_micros(match hurry {
            true => 0,
            false => rest.min(REST_US_MAX),
        })
    }

    fn is_due(&self, entry: &Entry, known: &Known) -> bool {
        if known.progress.begun.is_some() {
            return true;
        }
        let every = self.shared.config.limits.scrub_interval_seconds;
        if every == 0 {
            return false;
        }
        let last = known.progress.finished;
        let last = last.unwrap_or_else(|| entry.info.read().created);
        let every = i64::try_from(every).unwrap_or(i64::MAX / 2_000_000);
        last.plus_secs(every) <= self.shared.clock.now()
    }

    fn scrub_failed(&self, entry: &Entry, error: &crate::StoreError) {
        tracing::error!(tenant = %entry.tenant.name(), error = %error, "the background check failed");
        let until = self.shared.clock.monotonic().plus_secs(60);
        let mut scrubs = self.scrubs.lock();
        let known = scrubs.0.entry(*entry.tenant.bytes()).or_default();
        known.failed_until = Some(until);
    }

    /// Looks at the next rows of a tenant; how many.
    fn scrub_some(self: &Arc<Self>, entry: &Arc<Entry>, known: Known) -> Result<u64> {
        let was_open = entry.if_open().is_some();
        let tenant = self.open_tenant(entry)?;
        let mut progress = known.progress;
        if progress.begun.is_none() {
            progress = begun(progress, self.shared.clock.now());
        }
        if progress.after == 0 && progress.part == 0 {
            // What memory knows is not what is checked.
            tenant.forget_actors();
        }
        let rate = self.shared.config.limits.scrub_rows_per_second;
        let count = match known.hurry {
            true => ROWS_MAX,
            false => (rate / 4).clamp(1, ROWS_MAX),
        };
        let part = match progress.part {
            0 => Part::Versions,
            _ => Part::Resources,
        };
        let count = i64::try_from(count).unwrap_or(1);
        let looked = on_reader(&tenant, |db| {
            verify::some(&tenant, db, part, progress.after, count)
        })?;
        let rows = looked.rows;
        progress.rows += rows;
        progress.found += looked.found.len() as u64;
        self.shared.metrics.scrub_rows.add(rows);
        self.keep_apart(&tenant, &looked)?;
        let finished = advance(&mut progress, looked.last, self.shared.clock.now());
        if finished {
            self.shared.metrics.scrubs.add(1);
        }
        let now = self.shared.clock.monotonic();
        let save = finished || now.0 - known.saved.0 >= SAVE_US;
        if save {
            save_progress(&tenant, progress)?;
        }
        {
            let mut scrubs = self.scrubs.lock();
            let known = scrubs.0.entry(*tenant.id.bytes()).or_default();
            known.progress = progress;
            if save {
                known.saved = now;
            }
            if finished {
                known.hurry = false;
            }
        }
        drop(tenant);
        if finished && !was_open {
            self.close_tenant(entry);
        }
        Ok(rows)
    }

    /// Looks into rows that somebody met.
    fn look_into_suspects(self: &Arc<Self>, entry: &Arc<Entry>) {
        let Some(tenant) = entry.if_open() else {
            return;
        };
        let suspects: BTreeSet<i64> = tenant.quarantine.take_suspects();
        for rid in suspects {
            let done = on_reader(&tenant, |db| verify::one(&tenant, db, rid))
                .and_then(|looked| self.keep_apart(&tenant, &looked));
            if let Err(e) = done {
                tenant.quarantine.suspect(rid);
                tracing::error!(tenant = %entry.tenant.name(), error = %e, "a row that does not carry its seal was not put into quarantine");
                return;
            }
        }
    }

    /// Looks into resources by name, and puts what is wrong with them into quarantine.
    pub(crate) fn keep_apart_named<'n>(
        &self,
        tenant: &Arc<OpenTenant>,
        names: impl Iterator<Item = (&'n str, &'n str)>,
    ) -> Result<()> {
        for (type_name, id) in names {
            let type_id = tenant.model.type_id(type_name);
            let id = base::ResourceId::new(id).ok();
            let Some((type_id, id)) = type_id.zip(id) else {
                continue;
            };
            let looked = on_reader(tenant, |db| {
                match super::super::rows::rid_of(db, type_id, &id)? {
                    Some(rid) => verify::one(tenant, db, rid),
                    None => Ok(Looked::default()),
                }
            })?;
            self.keep_apart(tenant, &looked)?;
        }
        Ok(())
    }

    /// Puts what was found into quarantine, once it was found again with nobody writing.
    fn keep_apart(&self, tenant: &Arc<OpenTenant>, looked: &Looked) -> Result<()> {
        let rids: BTreeSet<i64> = looked.found.iter().filter_map(|(rid, _)| *rid).collect();
        if rids.is_empty() {
            return Ok(());
        }
        let now = self.shared.clock.now();
        let max = self.shared.config.limits.quarantine_entries_max;
        let mut slot = tenant.writer.lock();
        let (made, count) = writer::alone(tenant, &mut slot, |tenant, state| {
            let mut made = Vec::new();
            for rid in &rids {
                for (rid, finding) in verify::one(tenant, &state.db, *rid)?.found {
                    let Some(wrong) = rid.and_then(|rid| wrong(tenant, rid, finding)) else {
                        continue;
                    };
                    let wrong = placed(&state.db, wrong)?;
                    match quarantine::put(&state.db, &wrong, (now, max), tenant.chain()) {
                        Ok(true) => made.push(wrong),
                        Ok(false) => {}
                        Err(e) if e.code() == Code::LimitQuery => {
                            tracing::error!(tenant = %tenant.id.name(), error = %e, "the quarantine is full");
                        }
                        Err(e) => return Err(e),
                    }
                }
            }
            Ok((made, quarantine::open_count(&state.db)?))
        })?;
        if let Some(state) = &*slot {
            tenant.quarantine.learn(&state.db, tenant.chain())?;
            tenant.reaches.forget();
        }
        for wrong in &made {
            // A good body in memory must not stand for what lies there.
            let (cache, metrics) = (&self.shared.cache, &self.shared.metrics);
            cache.changed(&tenant.id, wrong.type_id, &wrong.id, metrics);
            self.tell_of(tenant, wrong);
        }
        drop(slot);
        self.shared.metrics.quarantined.add(made.len() as u64);
        let mut scrubs = self.scrubs.lock();
        if let Some(known) = scrubs.0.get_mut(tenant.id.bytes()) {
            known.quarantined = count;
        }
        Ok(())
    }

    /// A line in the trail and one in the log.
    fn tell_of(&self, tenant: &OpenTenant, wrong: &Wrong) {
        let name = tenant.model.type_name(wrong.type_id);
        let (id, version) = (wrong.id.as_str(), wrong.version);
        let kind = quarantine::word(wrong.kind);
        let (_, request) = self.system();
        let what = format!("quarantine {kind} {name}/{id}/_history/{version}");
        let record = Record {
            request,
            actor: &Actor::system(Reason::Verify),
            action: ActionName::Administer,
            subject: Subject::Other(Some(wrong.type_id), &what),
            asked: Asked::default(),
            outcome: Outcome::Given(0),
        };
        let told = self
            .shared
            .journal
            .append(&tenant.pen, &record.encode(None));
        if told.is_ok() {
            self.shared.metrics.journal_records.add(1);
        }
        tracing::error!(
            tenant = %tenant.id.name(), resource = %format_args!("{name}/{id}"), version = version.0,
            kind, code = Code::ResourceQuarantined.as_str(), "a row is not as it was written"
        );
    }

    /// What is known when the house closes.
    fn keep_progress(self: &Arc<Self>) {
        let scrubs: Vec<([u8; 16], Known)> =
            self.scrubs.lock().0.iter().map(|(k, v)| (*k, *v)).collect();
        let opened = self.opened.lock().clone();
        for (id, known) in scrubs {
            let Some(entry) = opened.iter().find(|e| *e.tenant.bytes() == id) else {
                continue;
            };
            let open = entry.if_open();
            let Some(tenant) = open.filter(|_| known.progress.begun.is_some()) else {
                continue;
            };
            let stays = entry.info.read().state != State::Gone;
            if stays && let Err(e) = save_progress(&tenant, known.progress) {
                tracing::error!(tenant = %entry.tenant.name(), error = %e, "how far the background check is was not kept");
            }
        }
    }
}

const fn begun(mut progress: Progress, now: Micros) -> Progress {
    progress.begun = Some(now);
    (progress.part, progress.after) = (0, 0);
    (progress.rows, progress.found) = (0, 0);
    progress
}

/// Moves on after some rows; whether that was the end of the round.
const fn advance(progress: &mut Progress, last: Option<i64>, now: Micros) -> bool {
    match last {
        Some(last) => progress.after = last,
        None if progress.part == 0 => (progress.part, progress.after) = (1, 0),
        None => {
            (progress.part, progress.after) = (0, 0);
            progress.begun = None;
            progress.finished = Some(now);
            (progress.last_rows, progress.last_found) = (progress.rows, progress.found);
            return true;
        }
    }
    false
}

fn on_reader<T>(
    tenant: &Arc<OpenTenant>,
    work: impl FnOnce(&Connection) -> Result<T>,
) -> Result<T> {
    let reader = tenant.reader()?;
    let done = in_snapshot(&reader.db, || work(&reader.db));
    tenant.give_back(reader);
    done
}

fn save_progress(tenant: &Arc<OpenTenant>, progress: Progress) -> Result<()> {
    let mut slot = tenant.writer.lock();
    writer::alone(tenant, &mut slot, |_, state| progress.save(&state.db))
}

/// What is to be kept apart; nothing where no resource is named.
fn wrong(tenant: &OpenTenant, rid: i64, finding: crate::Finding) -> Option<Wrong> {
    let type_id = tenant.model.type_id(finding.type_name.as_deref()?)?;
    Some(Wrong {
        rid,
        type_id,
        id: finding.id?,
        version: finding.version.unwrap_or(Version(0)),
        kind: finding.kind,
    })
}

/// Of a missing version, its number: the first that is not there. Where none is missing, the resource
/// does not point to the last one.
fn placed(db: &Connection, mut wrong: Wrong) -> Result<Wrong> {
    if wrong.kind != FindingKind::VersionMissing {
        return Ok(wrong);
    }
    const DOING: &str = "looking for a missing version";
    let last: Option<i64> = db
        .query_row(
            "SELECT max(version) FROM version WHERE rid = ?1",
            [wrong.rid],
            |r| r.get(0),
        )
        .doing(DOING)?;
    if last.is_some_and(|last| u64::try_from(last).is_ok_and(|last| last > wrong.version.0)) {
        wrong.kind = FindingKind::Current;
        return Ok(wrong);
    }
    let number: Option<i64> = db
        .query_row(
            "SELECT min(n) FROM (SELECT v.version + 1 AS n FROM version v WHERE v.rid = ?1
               UNION SELECT 1)
             WHERE NOT EXISTS (SELECT 1 FROM version x WHERE x.rid = ?1 AND x.version = n)",
            [wrong.rid],
            |r| r.get(0),
        )
        .optional()
        .doing(DOING)?
        .flatten();
    wrong.version = Version(number.and_then(|n| u64::try_from(n).ok()).unwrap_or(0));
    Ok(wrong)
}
