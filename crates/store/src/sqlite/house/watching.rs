//! The watch over the trails: records of the journal are judged as they come, by a place that is kept,
//! and what calls for attention becomes alerts in the tenant's database.
//!
//! At least once: the place moves on when everything before it is kept. A tenant's own cursor, kept with
//! its alerts in one transaction, makes it once. What is usual for somebody is kept once a minute, or with
//! an alert; a crash between has the records judged again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use base::{Code, Micros, Seq};

use super::shipping::Framed;
use super::{Entry, House};
use crate::audit::{ChangeHead, Told};
use crate::face::ShipPlace;
use crate::sqlite::alerts::facts::Facts;
use crate::sqlite::alerts::judge::{Access, Judge, Raised};
use crate::sqlite::alerts::profile::{Profile, network_of};
use crate::sqlite::alerts::{self, Cursor};
use crate::sqlite::connection::in_snapshot;
use crate::sqlite::tenant::OpenTenant;
use crate::sqlite::trail::{self, Look};
use crate::sqlite::writer;
use crate::{Result, StoreError};

/// Its name among those who read the trails for others.
pub(super) const NAME: &str = "alerts";
/// What is usual for somebody is kept at least so often, in microseconds.
const KEEP_US: i64 = 60_000_000;
/// Time for one round, in microseconds.
const ROUND_US: i64 = 250_000;
/// Windows of the journal in one round.
const WINDOWS_MAX: usize = 64;
/// How often it is looked whether openings wait for review, in microseconds.
const OPENINGS_US: i64 = 600_000_000;
/// The same of tenants that nobody uses.
const CLOSED_US: i64 = 3_600_000_000;

/// The watch, as it stands.
#[derive(Default)]
pub(crate) struct Watch {
    place: Option<ShipPlace>,
    kept_at: Micros,
    /// When openings were last looked for, and when in tenants too that nobody used.
    openings_at: Option<Micros>,
    closed_at: Option<Micros>,
    /// Tenants where they are still to be looked for.
    openings: Vec<Arc<Entry>>,
    tenants: HashMap<[u8; 16], Watched>,
}

/// What is known of a tenant and not kept yet.
#[derive(Default)]
struct Watched {
    cursor: Cursor,
    profiles: BTreeMap<String, Profile>,
    /// Their profiles that changed.
    changed: HashSet<String>,
    /// What was raised and is not kept yet.
    pending: Vec<Raised>,
}

impl House {
    /// Where the watch goes on; a house without a place yet begins here.
    pub(super) fn begin_watch(&self) -> Result<()> {
        let mut place = self.ship_place(NAME)?;
        if place == ShipPlace::default() {
            (place.segment, place.offset) = self.shared.journal.end();
            self.keep_ship_place(NAME, &place)?;
        }
        let mut watch = self.watch.lock();
        watch.place = Some(place);
        // Tenants that nobody uses yet are not all opened at once as the house begins.
        let now = self.shared.clock.monotonic();
        watch.closed_at = Some(Micros(now.0 - CLOSED_US + OPENINGS_US));
        Ok(())
    }

    /// Judges what came since; whether there is more.
    pub(crate) fn watch(self: &Arc<Self>) -> Result<bool> {
        let clock = &self.shared.clock;
        let started = clock.monotonic();
        let mut watch = self.watch.lock();
        let Some(mut place) = watch.place.clone() else {
            return Ok(false);
        };
        let mut more = false;
        if self.shared.journal.end() != (place.segment, place.offset) {
            let upto = self.shared.journal.settled()?;
            let entries = self.entries();
            let fits = |e: &&Arc<Entry>| e.must_stay().is_ok();
            let wanted: HashMap<[u8; 16], Arc<Entry>> = entries
                .iter()
                .filter(fits)
                .map(|e| (*e.tenant.bytes(), e.clone()))
                .collect();
            for window in 0.. {
                let at = (place.segment, place.offset);
                let is_wanted = |id: &[u8; 16]| wanted.contains_key(id);
                let (frames, next) = self.frames_after(at, upto, &is_wanted)?;
                self.judge(&mut watch, &wanted, frames);
                (place.segment, place.offset) = next;
                watch.place = Some(place.clone());
                if next == at {
                    break;
                }
                let late = clock.monotonic().0 - started.0 > ROUND_US;
                if late || window >= WINDOWS_MAX {
                    more = true;
                    break;
                }
            }
        }
        self.watch_openings(&mut watch, started);
        let known = self.shippers.lock().get(NAME).map(|p| p.segment);
        let passed = known.is_some_and(|segment| place.segment > segment);
        if passed || started.0 - watch.kept_at.0 >= KEEP_US {
            self.keep_watch(&mut watch)?;
            watch.kept_at = started;
        }
        Ok(more)
    }

    /// Keeps what the watch knows.
    pub(crate) fn end_watch(self: &Arc<Self>) {
        let mut watch = self.watch.lock();
        if let Err(e) = self.keep_watch(&mut watch) {
            tracing::error!(error = %e, "what is usual for people was not kept");
        }
    }

    fn keep_watch(self: &Arc<Self>, watch: &mut Watch) -> Result<()> {
        let mut all = true;
        let mut left = HashMap::new();
        for (id, mut watched) in std::mem::take(&mut watch.tenants) {
            let entry = self.entries.read().get(&id).cloned();
            let Some(entry) = entry.filter(|e| e.must_stay().is_ok()) else {
                continue;
            };
            if watched.is_kept() {
                continue;
            }
            let was_open = entry.if_open().is_some();
            let kept = self
                .open_tenant(&entry)
                .and_then(|tenant| keep(&tenant, &mut watched));
            match kept {
                Ok(false) => {}
                Ok(true) => self.still_untold(&id),
                Err(e) => {
                    tracing::error!(tenant = %entry.tenant.name(), error = %e, "alerts, and what is usual for people, were not kept");
                    // Its own damage does not stop the watch over others.
                    if e.code() != Code::TenantDamaged {
                        all = false;
                        left.insert(id, watched);
                    }
                }
            }
            if !was_open {
                self.close_tenant(&entry);
            }
        }
        watch.tenants = left;
        let known = self.shippers.lock().get(NAME).cloned();
        match &watch.place {
            Some(place) if all && known.as_ref() != Some(place) => {
                self.keep_ship_place(NAME, place)
            }
            _ => Ok(()),
        }
    }

    /// Judges frames, tenant by tenant.
    fn judge(
        self: &Arc<Self>,
        watch: &mut Watch,
        wanted: &HashMap<[u8; 16], Arc<Entry>>,
        frames: Vec<Framed>,
    ) {
        let mut by_tenant: BTreeMap<[u8; 16], Vec<Framed>> = BTreeMap::new();
        for frame in frames {
            by_tenant.entry(frame.tenant).or_default().push(frame);
        }
        for (id, frames) in by_tenant {
            let Some(entry) = wanted.get(&id) else {
                continue;
            };
            let was_open = entry.if_open().is_some();
            if !self.may_open(entry) {
                continue;
            }
            match self.judge_tenant(watch, entry, &frames) {
                Ok(false) => {}
                Ok(true) => {
                    self.still_untold(&id);
                }
                // Its own damage does not stop the watch over others.
                Err(e) => {
                    tracing::error!(tenant = %entry.tenant.name(), error = %e, "records of a trail were not judged");
                }
            }
            if !was_open {
                self.close_tenant(entry);
            }
        }
    }

    /// Whether there are new alerts.
    fn judge_tenant(
        self: &Arc<Self>,
        watch: &mut Watch,
        entry: &Arc<Entry>,
        frames: &[Framed],
    ) -> Result<bool> {
        let tenant = self.open_tenant(entry)?;
        let reader = tenant.reader()?;
        let id = *tenant.id.bytes();
        let judged = in_snapshot(&reader.db, || {
            let watched = match watch.tenants.entry(id) {
                std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::hash_map::Entry::Vacant(place) => place.insert(Watched {
                    cursor: alerts::cursor(&reader.db, &id)?,
                    ..Watched::default()
                }),
            };
            let rules = alerts::in_force(&reader.db)?.rules;
            let facts = Facts::new(&tenant, &reader.db);
            let mut judging = Judging {
                judge: Judge::new(&rules, facts),
                look: Look::new(&tenant, &reader.db),
                db: &reader.db,
                watched,
            };
            let mut wrong: Option<(u64, StoreError)> = None;
            for frame in frames {
                let key = &tenant.keys.journal;
                let opened = self.shared.journal.open_frame(key, &frame.bytes);
                let judged = match opened {
                    Ok(Some((number, record))) => judging.record(number, &record),
                    Ok(None) => Ok(()),
                    Err(e) => Err(e),
                };
                // One record that cannot be judged takes away nothing of the others.
                if let Err(e) = judged {
                    wrong = Some((wrong.map_or(1, |(count, _)| count + 1), e));
                }
            }
            if let Some((count, e)) = wrong {
                let (name, of) = (entry.tenant.name(), frames.len());
                tracing::error!(tenant = %name, count, of, error = %e, "records of a trail were not judged");
            }
            Ok(judging.judge.raised)
        });
        tenant.give_back(reader);
        let raised = judged?;
        let Some(watched) = watch.tenants.get_mut(&id) else {
            return Ok(false);
        };
        watched.pending.extend(raised);
        if watched.pending.is_empty() {
            return Ok(false);
        }
        keep(&tenant, watched)
    }

    /// Raises alerts of openings that nobody reviewed in time. Tenants that nobody uses are opened for it
    /// now and then, a few in a round, and closed again.
    fn watch_openings(self: &Arc<Self>, watch: &mut Watch, now: Micros) {
        let since = |at: Option<Micros>| at.map_or(i64::MAX, |at| now.0 - at.0);
        if watch.openings.is_empty() && since(watch.openings_at) >= OPENINGS_US {
            let closed_too = since(watch.closed_at) >= CLOSED_US;
            watch.openings_at = Some(now);
            if closed_too {
                watch.closed_at = Some(now);
            }
            let due = |e: &Arc<Entry>| closed_too || e.if_open().is_some();
            watch.openings = self.entries().into_iter().filter(due).collect();
        }
        let clock = &self.shared.clock;
        while clock.monotonic().0 - now.0 <= 2 * ROUND_US {
            let Some(entry) = watch.openings.pop() else {
                return;
            };
            if entry.must_stay().is_err() || !self.has_key(&entry) {
                continue;
            }
            let was_open = entry.if_open().is_some();
            match self.unreviewed(&entry) {
                Ok(false) => {}
                Ok(true) => {
                    self.still_untold(entry.tenant.bytes());
                }
                Err(e) => {
                    tracing::error!(tenant = %entry.tenant.name(), error = %e, "openings were not looked at");
                }
            }
            if !was_open {
                self.close_tenant(&entry);
            }
        }
    }

    /// Whether somebody is to be told of something.
    fn unreviewed(self: &Arc<Self>, entry: &Arc<Entry>) -> Result<bool> {
        let tenant = self.open_tenant(entry)?;
        let within = self.shared.config.limits.break_glass_review_seconds;
        let now = self.shared.clock.now();
        let reader = tenant.reader()?;
        let found = in_snapshot(&reader.db, || {
            let rules = alerts::in_force(&reader.db)?.rules;
            let untold = alerts::is_anybody_untold(&reader.db, &rules)?;
            let rule = crate::face::AlertRule::UnreviewedOpening;
            let late = match rules.terms(rule) {
                Some(_) => alerts::unreviewed(&reader.db, tenant.chain(), now, within)?,
                None => Vec::new(),
            };
            Ok((late, untold))
        });
        tenant.give_back(reader);
        let (late, untold) = found?;
        if late.is_empty() {
            return Ok(untold);
        }
        let mut slot = tenant.writer.lock();
        let raised =
            writer::alone_durably(&tenant, &mut slot, |_, state| raise_all(&state.db, &late))?;
        Ok(raised || untold)
    }

    /// Tenants with alerts that nobody may have been told of; they are taken off the list.
    pub(crate) fn take_untold(&self) -> Vec<Arc<Entry>> {
        let untold = std::mem::take(&mut *self.untold.lock());
        let entries = self.entries.read();
        untold
            .iter()
            .filter_map(|id| entries.get(id).cloned())
            .collect()
    }

    /// Somebody is to be told again.
    pub(crate) fn still_untold(&self, id: &[u8; 16]) {
        self.untold.lock().insert(*id);
    }
}

/// Whether one is new.
fn raise_all(db: &rusqlite::Connection, raised: &[Raised]) -> Result<bool> {
    if raised.is_empty() {
        return Ok(false);
    }
    // Whom nobody wants to be told by is not told of it later.
    let rules = alerts::in_force(db)?.rules;
    let mut new = false;
    for one in raised {
        new |= alerts::raise(db, one, &rules)?;
    }
    Ok(new)
}

/// Keeps alerts with what is usual and how far the watch got; whether one is new. What cannot be kept now
/// is kept with the next time.
fn keep(tenant: &Arc<OpenTenant>, watched: &mut Watched) -> Result<bool> {
    if watched.is_kept() {
        return Ok(false);
    }
    let mut slot = tenant.writer.lock();
    let new = writer::alone_durably(tenant, &mut slot, |_, state| {
        let new = raise_all(&state.db, &watched.pending)?;
        for name in &watched.changed {
            if let Some(profile) = watched.profiles.get(name) {
                alerts::keep_profile(&state.db, name, profile)?;
            }
        }
        if watched
            .changed
            .iter()
            .any(|n| n.starts_with(alerts::STRANGER))
        {
            alerts::forget_strangers(&state.db)?;
        }
        alerts::keep_cursor(&state.db, &watched.cursor)?;
        Ok(new)
    })?;
    watched.changed.clear();
    watched.pending.clear();
    Ok(new)
}

impl Watched {
    fn is_kept(&self) -> bool {
        self.changed.is_empty() && self.pending.is_empty()
    }
}

/// Records of one tenant being judged.
struct Judging<'a> {
    judge: Judge<'a>,
    look: Look<'a>,
    db: &'a rusqlite::Connection,
    watched: &'a mut Watched,
}

impl Judging<'_> {
    fn record(&mut self, number: u64, record: &[u8]) -> Result<()> {
        if number <= self.watched.cursor.record {
            return Ok(());
        }
        self.watched.cursor.record = number;
        if let Some(head) = ChangeHead::decode(record) {
            self.changes(head.seq)?;
        } else if let Some(told) = Told::read(record) {
            self.told(number, &told)?;
        }
        Ok(())
    }

    fn told(&mut self, number: u64, told: &Told) -> Result<()> {
        let by_client = told.actor.starts_with("client:");
        let by_person = told.actor.starts_with("person:");
        let failed = told.outcome == "refused"
            && told.code.as_deref() == Some(base::Code::CredentialsInvalid.as_str());
        if !by_client && !by_person && !failed {
            return Ok(());
        }
        let access = Access {
            at: told.request.at,
            actor: &told.actor,
            from: told.about.from,
            facilities: told.about.facilities.as_deref(),
            event: trail::event_of_record(number),
        };
        if failed {
            // Of nobody who is known, sign-ins are counted by where they come from.
            let name = match by_client || by_person {
                true => access.who().to_owned(),
                false => {
                    let network = access.from.map_or_else(String::new, network_of);
                    format!("{}{network}", alerts::STRANGER)
                }
            };
            let unknown;
            let access = match by_client || by_person {
                true => &access,
                false => {
                    unknown = Access {
                        actor: &name,
                        ..access.clone()
                    };
                    &unknown
                }
            };
            return self.with(&name, |judge, profile| judge.failed(access, profile));
        }
        let patients = match by_person && told.outcome == "given" {
            true => self.look.touched(number, told)?,
            false => Vec::new(),
        };
        let name = access.who().to_owned();
        self.with(&name, |judge, profile| {
            judge.came(&access, profile)?;
            if !patients.is_empty() {
                judge.looked(&access, &patients, profile)?;
            }
            judge.counted(&access, profile);
            Ok(())
        })
    }

    /// Changes by people, up to one.
    fn changes(&mut self, to: Seq) -> Result<()> {
        let known = self.watched.cursor.change;
        // Of the first one that is seen nobody knows where the one before ended.
        let from = if known == 0 {
            to.0.saturating_sub(1)
        } else {
            known
        };
        for (seq, patients, access) in self.look.changes_by_people(Seq(from), to)? {
            let access = Access {
                at: access.at,
                actor: &access.actor,
                from: access.from,
                facilities: access.facilities.as_deref(),
                event: trail::event_of_change(seq),
            };
            let name = access.who().to_owned();
            self.with(&name, |judge, profile| {
                judge.came(&access, profile)?;
                judge.looked(&access, &patients, profile)?;
                judge.counted(&access, profile);
                Ok(())
            })?;
        }
        self.watched.cursor.change = to.0.max(known);
        Ok(())
    }

    /// Does something with what is usual for somebody.
    fn with(
        &mut self,
        name: &str,
        work: impl FnOnce(&mut Judge<'_>, &mut Profile) -> Result<()>,
    ) -> Result<()> {
        let mut profile = match self.watched.profiles.remove(name) {
            Some(profile) => profile,
            None => alerts::profile(self.db, name)?,
        };
        let done = work(&mut self.judge, &mut profile);
        self.watched.profiles.insert(name.to_owned(), profile);
        self.watched.changed.insert(name.to_owned());
        done
    }
}
