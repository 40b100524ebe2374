//! The watch over the trails: records of the journal are judged as they come, by a place that is kept,
//! and what calls for attention becomes alerts in the tenant's database.
//!
//! Each tenant has its turn: so much time and so many patients. One whose turn is over before its records
//! are, or whose records cannot be judged now, is left behind at a place of its own, and goes on from there
//! in its next turn; the others go on without it.
//!
//! At least once: a place moves on when everything before it is kept. A tenant's own cursor, kept with
//! its alerts in one transaction, makes it once. What is usual for somebody is kept once a minute, or with
//! an alert; a crash between has the records judged again.

mod judging;

use std::collections::hash_map::Entry as Slot;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use base::{Code, Micros};

use super::shipping::Framed;
use super::{Entry, House};
use crate::Result;
use crate::face::ShipPlace;
use crate::journal::Place;
use crate::sqlite::alerts;
use crate::sqlite::alerts::facts::{Facts, Remembered};
use crate::sqlite::alerts::judge::Judge;
use crate::sqlite::connection::in_snapshot;
use crate::sqlite::folder::{hex, unhex};
use crate::sqlite::trail::Look;
use crate::sqlite::writer;
use judging::{Judging, Turn, Watched, Wrong, keep, raise_all};

/// Its name among those who read the trails for others.
pub(super) const NAME: &str = "alerts";
/// What is usual for somebody is kept at least so often, in microseconds.
const KEEP_US: i64 = 60_000_000;
/// Time for one round, in microseconds: as much for those who were left behind as for what came since.
const ROUND_US: i64 = 250_000;
/// A tenant's time in a round, in microseconds.
const TURN_US: i64 = 50_000;
/// A tenant whose records could not be judged is left alone for so long, in microseconds.
const PAUSE_US: i64 = 60_000_000;
/// Windows of the journal in one round.
const WINDOWS_MAX: usize = 64;
/// People of a tenant of whom it is known what is usual, before that is kept.
const PEOPLE_MAX: usize = 500;
/// Tenants of which something is remembered from one turn to the next, or judged in part.
const REMEMBERED_MAX: usize = 200;
/// How often it is looked whether openings wait for review, in microseconds.
const OPENINGS_US: i64 = 600_000_000;
/// The same of tenants that nobody uses.
const CLOSED_US: i64 = 3_600_000_000;

/// The watch, as it stands.
#[derive(Default)]
pub(crate) struct Watch {
    /// How far it is, with the places of tenants that were left behind.
    place: Option<ShipPlace>,
    kept_at: Micros,
    /// When openings were last looked for, and when in tenants too that nobody used.
    openings_at: Option<Micros>,
    closed_at: Option<Micros>,
    /// Tenants where they are still to be looked for.
    openings: Vec<Arc<Entry>>,
    tenants: HashMap<[u8; 16], Watched>,
    remembered: HashMap<[u8; 16], Remembered>,
    /// Tenants whose records could not be judged, and until when they are left alone.
    paused: HashMap<[u8; 16], Micros>,
    /// Of those left behind, who had the last turn.
    last_turn: Option<[u8; 16]>,
}

/// Tenants whose records are judged.
type Wanted = HashMap<[u8; 16], Arc<Entry>>;

impl Watch {
    fn behind(&self) -> Vec<([u8; 16], Place)> {
        let stuck = self.place.as_ref().map(|place| &place.stuck);
        let of = |(name, place): (&String, &Place)| Some((unhex(name)?, *place));
        stuck.into_iter().flatten().filter_map(of).collect()
    }

    fn leave_behind(&mut self, id: &[u8; 16], at: Place) {
        if let Some(place) = &mut self.place {
            place.stuck.insert(hex(id), at);
        }
    }

    fn caught_up(&mut self, id: &[u8; 16]) {
        self.paused.remove(id);
        if let Some(place) = &mut self.place {
            place.stuck.remove(&hex(id));
        }
    }
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
        let started = self.shared.clock.monotonic();
        let mut watch = self.watch.lock();
        let Some(place) = &watch.place else {
            return Ok(false);
        };
        let is_level = self.shared.journal.end() == (place.segment, place.offset);
        let mut more = false;
        if !is_level || !place.stuck.is_empty() {
            let fits = |e: &Arc<Entry>| e.must_stay().is_ok();
            let entries = self.entries().into_iter().filter(fits);
            let wanted: Wanted = entries.map(|e| (*e.tenant.bytes(), e)).collect();
            more |= self.watch_behind(&mut watch, &wanted)?;
            more |= self.watch_on(&mut watch, &wanted)?;
        }
        let behind = watch.behind().len();
        self.shared.metrics.unwatched.set(behind as u64);
        self.watch_openings(&mut watch, started);
        let segment = watch.place.as_ref().map_or(0, |place| place.segment);
        let known = self.shippers.lock().get(NAME).map(|p| p.segment);
        let passed = known.is_some_and(|known| segment > known);
        if passed || started.0 - watch.kept_at.0 >= KEEP_US {
            self.keep_watch(&mut watch)?;
            watch.kept_at = started;
        }
        Ok(more)
    }

    /// Gives those who were left behind a turn each, as far as the round goes; whether there is more for
    /// them.
    fn watch_behind(self: &Arc<Self>, watch: &mut Watch, wanted: &Wanted) -> Result<bool> {
        let clock = &*self.shared.clock;
        let started = clock.monotonic();
        let Some(place) = &watch.place else {
            return Ok(false);
        };
        let upto = (place.segment, place.offset);
        let mut behind = watch.behind();
        behind.sort_unstable();
        // Who comes after the one who had the last turn begins.
        let after = behind.partition_point(|(id, _)| Some(*id) <= watch.last_turn);
        behind.rotate_left(after);
        let mut more = false;
        for (id, begin) in behind {
            let now = clock.monotonic();
            if now.0 - started.0 > ROUND_US {
                return Ok(true);
            }
            if watch.paused.get(&id).is_some_and(|until| now < *until) {
                continue;
            }
            let entry = wanted.get(&id).filter(|entry| self.may_open(entry));
            let Some(entry) = entry else {
                watch.caught_up(&id);
                watch.tenants.remove(&id);
                continue;
            };
            watch.last_turn = Some(id);
            let turn = self.turn();
            match self.turn_of_one(watch, entry, (begin, upto), &turn)? {
                Some(at) => {
                    more |= !watch.paused.contains_key(&id);
                    watch.leave_behind(&id, at);
                }
                None => watch.caught_up(&id),
            }
        }
        Ok(more)
    }

    /// A tenant's turn from one place up to another; where it is left behind again.
    fn turn_of_one(
        self: &Arc<Self>,
        watch: &mut Watch,
        entry: &Arc<Entry>,
        (begin, upto): (Place, Place),
        turn: &Turn<'_>,
    ) -> Result<Option<Place>> {
        let id = *entry.tenant.bytes();
        let mut place = begin;
        while place < upto {
            if turn.is_over() {
                return Ok(Some(place));
            }
            let (frames, next) = self.frames_after(place, upto, &|of| *of == id)?;
            if let Some(at) = self.judge(watch, entry, &frames, turn) {
                return Ok(Some((next.0, at)));
            }
            if next == place {
                break;
            }
            place = next;
        }
        Ok(None)
    }

    /// Judges what came since the last round, without those who were left behind; whether there is more.
    fn watch_on(self: &Arc<Self>, watch: &mut Watch, wanted: &Wanted) -> Result<bool> {
        let clock = &*self.shared.clock;
        let started = clock.monotonic();
        let upto = self.shared.journal.settled()?;
        let mut turns: HashMap<[u8; 16], Turn<'_>> = HashMap::new();
        for window in 0.. {
            let Some(place) = &watch.place else {
                return Ok(false);
            };
            let at = (place.segment, place.offset);
            let behind: HashSet<[u8; 16]> = watch.behind().iter().map(|(id, _)| *id).collect();
            let is_wanted = |id: &[u8; 16]| wanted.contains_key(id) && !behind.contains(id);
            let (frames, next) = self.frames_after(at, upto, &is_wanted)?;
            let mut by_tenant: BTreeMap<[u8; 16], Vec<Framed>> = BTreeMap::new();
            for frame in frames {
                by_tenant.entry(frame.tenant).or_default().push(frame);
            }
            for (id, frames) in by_tenant {
                let entry = wanted.get(&id).filter(|entry| self.may_open(entry));
                let Some(entry) = entry else {
                    continue;
                };
                let turn = turns.entry(id).or_insert_with(|| self.turn());
                let first = frames.first().map(|frame| frame.at);
                let left = match turn.is_over() {
                    true => first,
                    false => self.judge(watch, entry, &frames, turn),
                };
                if let Some(left) = left {
                    watch.leave_behind(&id, (next.0, left));
                }
            }
            if let Some(place) = &mut watch.place {
                (place.segment, place.offset) = next;
            }
            if next == at {
                break;
            }
            if clock.monotonic().0 - started.0 > ROUND_US || window >= WINDOWS_MAX {
                return Ok(true);
            }
        }
        let is_waiting = |(id, _): &([u8; 16], Place)| !watch.paused.contains_key(id);
        Ok(watch.behind().iter().any(is_waiting))
    }

    fn turn(&self) -> Turn<'_> {
        let most = self.shared.config.limits.watch_patients_max.max(1);
        Turn::begin(&*self.shared.clock, TURN_US, most)
    }

    /// Keeps what the watch knows.
    pub(crate) fn end_watch(self: &Arc<Self>) {
        let mut watch = self.watch.lock();
        if let Err(e) = self.keep_watch(&mut watch) {
            tracing::error!(error = %e, "what is usual for people was not kept");
        }
    }

    fn keep_watch(self: &Arc<Self>, watch: &mut Watch) -> Result<()> {
        let mut left = HashMap::new();
        let mut lost = false;
        for (id, mut watched) in std::mem::take(&mut watch.tenants) {
            let entry = self.entries.read().get(&id).cloned();
            let Some(entry) = entry.filter(|e| e.must_stay().is_ok()) else {
                continue;
            };
            if !watched.is_kept() {
                let was_open = entry.if_open().is_some();
                let kept = self
                    .open_tenant(&entry)
                    .and_then(|tenant| keep(&tenant, &mut watched));
                match kept {
                    Ok(false) => {}
                    Ok(true) => self.still_untold(&id),
                    Err(e) => {
                        tracing::error!(tenant = %entry.tenant.name(), error = %e, "alerts, and what is usual for people, were not kept");
                        // Its own damage does not hold up the place of the others.
                        lost |= e.code() != Code::TenantDamaged;
                        left.insert(id, watched);
                        continue;
                    }
                }
                if !was_open {
                    self.close_tenant(&entry);
                }
            }
            if watched.has_begun() {
                watched.forget_people();
                left.insert(id, watched);
            }
        }
        watch.tenants = left;
        let known = self.shippers.lock().get(NAME).cloned();
        match &watch.place {
            Some(place) if !lost && known.as_ref() != Some(place) => {
                self.keep_ship_place(NAME, place)
            }
            _ => Ok(()),
        }
    }

    /// Judges frames of a tenant as far as its turn goes; the offset of the first one that is left.
    fn judge(
        self: &Arc<Self>,
        watch: &mut Watch,
        entry: &Arc<Entry>,
        frames: &[Framed],
        turn: &Turn<'_>,
    ) -> Option<u64> {
        let first = frames.first().map(|frame| frame.at)?;
        let was_open = entry.if_open().is_some();
        let id = *entry.tenant.bytes();
        let left = match self.judge_some(watch, entry, frames, turn) {
            Ok((new, left)) => {
                watch.paused.remove(&id);
                if new {
                    self.still_untold(&id);
                }
                left.and_then(|at| frames.get(at)).map(|frame| frame.at)
            }
            // What is wrong with it does not stop the watch over others.
            Err(e) => {
                tracing::error!(tenant = %entry.tenant.name(), error = %e, "records of a trail are not judged now");
                let now = self.shared.clock.monotonic();
                watch.paused.insert(id, Micros(now.0 + PAUSE_US));
                Some(first)
            }
        };
        if !was_open {
            self.close_tenant(entry);
        }
        left
    }

    /// Whether there are new alerts, and which frame is the first that is left.
    fn judge_some(
        self: &Arc<Self>,
        watch: &mut Watch,
        entry: &Arc<Entry>,
        frames: &[Framed],
        turn: &Turn<'_>,
    ) -> Result<(bool, Option<usize>)> {
        let tenant = self.open_tenant(entry)?;
        let id = *tenant.id.bytes();
        watch.make_room_for(&id);
        let reader = tenant.reader()?;
        let Watch {
            tenants,
            remembered,
            ..
        } = watch;
        let judged = in_snapshot(&reader.db, || {
            let watched = match tenants.entry(id) {
                Slot::Occupied(known) => known.into_mut(),
                Slot::Vacant(place) => place.insert(Watched::of(alerts::cursor(&reader.db, &id)?)),
            };
            let rules = alerts::in_force(&reader.db)?.rules;
            let remembered = remembered.entry(id).or_default();
            let facts = Facts::new(&tenant, &reader.db, remembered, &rules.explaining());
            let mut judging = Judging {
                judge: Judge::new(&rules, facts),
                look: Look::new(&tenant, &reader.db),
                db: &reader.db,
                watched,
                turn,
            };
            let mut wrong = Wrong::default();
            let mut left = None;
            for (place, frame) in frames.iter().enumerate() {
                let key = &tenant.keys.journal;
                let opened = self.shared.journal.open_frame(key, &frame.bytes);
                let judged = match opened {
                    Ok(Some((number, record))) => judging.record(number, &record),
                    Ok(None) => Ok(true),
                    Err(e) => Err(e),
                };
                match judged {
                    Ok(true) => {}
                    Ok(false) => left = Some(place),
                    Err(e) => wrong.note(e),
                }
                if left.is_none() && turn.is_over() && place + 1 < frames.len() {
                    left = Some(place + 1);
                }
                if left.is_some() {
                    break;
                }
            }
            if let Some((count, e)) = wrong.0 {
                let (name, of) = (entry.tenant.name(), frames.len());
                tracing::error!(tenant = %name, count, of, error = %e, "records of a trail were not judged");
            }
            Ok((judging.judge.raised, left))
        });
        tenant.give_back(reader);
        let (raised, left) = judged?;
        let Some(watched) = tenants.get_mut(&id) else {
            return Ok((false, left));
        };
        watched.pending.extend(raised);
        let is_full = watched.people() >= PEOPLE_MAX;
        if watched.pending.is_empty() && !is_full {
            return Ok((false, left));
        }
        // What cannot be kept now is kept the next time; it is not judged again for that.
        let kept = keep(&tenant, watched);
        if is_full && kept.is_ok() {
            watched.forget_people();
        }
        let new = kept.unwrap_or_else(|e| {
            tracing::error!(tenant = %entry.tenant.name(), error = %e, "alerts were not kept yet");
            false
        });
        Ok((new, left))
    }

    /// Raises alerts of openings that nobody reviewed in time, and ends identity providers that nobody kept in
    /// time. Tenants that nobody uses are opened for it now and then, a few in a round, and closed again.
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
            if let Err(e) = self.end_providers(&entry) {
                tracing::error!(tenant = %entry.tenant.name(), error = %e, "identity providers whose time is over were not ended");
            }
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

impl Watch {
    /// Of too many tenants nothing is remembered: what is asked again costs time only.
    fn make_room_for(&mut self, id: &[u8; 16]) {
        if self.remembered.len() >= REMEMBERED_MAX && !self.remembered.contains_key(id) {
            self.remembered.clear();
        }
        let begun = |watched: &&Watched| watched.has_begun();
        if self.tenants.values().filter(begun).count() >= REMEMBERED_MAX {
            let others = self.tenants.iter_mut().filter(|(of, _)| *of != id);
            others.for_each(|(_, watched)| watched.begin_again());
        }
    }
}
