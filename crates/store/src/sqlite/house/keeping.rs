//! Keeping house: which tenants stay open, log checkpoints, sweeping the index, deletions that are
//! due.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base::{Limits, Micros, Seq};

use super::super::connection::PAGE_BYTES;
use super::super::fault::Doing;
use super::super::index;
use super::super::process;
use super::super::rows;
use super::super::tenant::OpenTenant;
use super::super::writer;
use super::notary::Due;
use super::{Entry, House, Item};
use crate::{Result, State};

/// How often the house is looked after.
const ROUND: Duration = Duration::from_secs(5);
/// How many times as long as a round took the next one waits where there is more to do: whoever is served
/// comes before what is watched and indexed of it.
const RESTS: u32 = 9;
/// The longest such wait.
const REST_MAX: Duration = Duration::from_secs(2);
/// After so long without use a tenant's page cache goes to others.
const QUIET_US: i64 = 20_000_000;
/// Tenants closed in one round from which on memory is given back.
const CLOSED_TRIM: usize = 32;
/// Pages in a tenant's log from which on the writer waits for a checkpoint; from half of them on
/// the housekeeping thread makes one beside it.
fn log_pages_max(limits: &Limits) -> u64 {
    (limits.log_bytes_max / u64::from(PAGE_BYTES)).max(2)
}

impl House {
    pub(super) fn tidy_until_stopped(self: &Arc<Self>) {
        let mut rest = Duration::ZERO;
        loop {
            {
                let mut tidy = self.tidy.lock();
                if !tidy.stop {
                    let wait = if tidy.hurry { rest } else { ROUND };
                    self.tidy_wake.wait_for(&mut tidy, wait);
                }
                if tidy.stop {
                    drop(tidy);
                    return self.end_watch();
                }
                tidy.hurry = false;
            }
            let begun = self.shared.clock.monotonic();
            self.tidy();
            let spent = self.shared.clock.monotonic().0 - begun.0;
            rest = Duration::from_micros(u64::try_from(spent).unwrap_or(0))
                .saturating_mul(RESTS)
                .min(REST_MAX);
        }
    }

    /// One round of housekeeping.
    pub(crate) fn tidy(self: &Arc<Self>) {
        let limits = &self.shared.config.limits;
        let idle = i64::try_from(limits.tenant_idle_seconds).unwrap_or(i64::MAX / 2_000_000);
        let opened: Vec<Arc<Entry>> = self.opened.lock().clone();
        let mut closed = 0;
        for entry in opened {
            let Some(tenant) = entry.if_open() else {
                continue;
            };
            let unused = self.shared.clock.monotonic().0 - tenant.used_us.load(Ordering::Relaxed);
            let pages = tenant.log_pages.load(Ordering::Relaxed);
            if pages >= log_pages_max(limits) / 2 || (pages > 0 && unused > 2_000_000) {
                let _ = self.checkpoint(&tenant);
            }
            self.note_sweep(&entry, &tenant);
            if unused > QUIET_US {
                tenant.shrink();
            }
            drop(tenant);
            if unused > idle * 1_000_000 && self.close_tenant(&entry) {
                closed += 1;
            }
        }
        if closed >= CLOSED_TRIM {
            process::trim_memory();
        }
        // Who reads alone does not ask for it.
        let _ = (self.shared.reserve).must_stand(self.shared.clock.monotonic());
        if let Err(e) = self.anchor_journal() {
            tracing::error!(error = %e, "where the journal stands was not kept");
        }
        match self.notarise(Due::ByTime) {
            Ok(more) => self.tidy.lock().hurry |= more,
            Err(e) => tracing::error!(error = %e, "heads of trails were not made"),
        }
        match self.watch() {
            Ok(more) => self.tidy.lock().hurry |= more,
            Err(e) => tracing::error!(error = %e, "the trails were not watched"),
        }
        match self.index_trails() {
            Ok(more) => self.tidy.lock().hurry |= more,
            Err(e) => tracing::error!(error = %e, "the indexes of trails were not kept up"),
        }
        if let Err(e) = self.drop_old_records() {
            tracing::error!(error = %e, "old records of the audit journal were not removed");
        }
        let now = self.shared.clock.now();
        for entry in self.entries() {
            let due = {
                let info = entry.info.read();
                info.state == State::Leaving
                    && !info.settings.is_held()
                    && info.shred_at.is_some_and(|at| at <= now)
            };
            if due && let Err(e) = self.shred(&entry) {
                tracing::error!(tenant = %entry.tenant.name(), error = %e, "a deletion is due and failed");
            }
        }
    }

    /// After a group: asks for a checkpoint when the log is long.
    pub(super) fn after_write(&self, tenant: &Arc<OpenTenant>) {
        if tenant.is_building() {
            self.wake_builder();
        }
        let pages = tenant.log_pages.load(Ordering::Relaxed);
        let max = log_pages_max(&self.shared.config.limits);
        if pages >= max {
            // With the writer held, nothing is added to the log meanwhile: unless a long read needs
            // it, it can be moved whole, and the next commit begins it anew.
            let _writer = tenant.writer.lock();
            let _ = self.checkpoint(tenant);
        } else if pages >= max / 2 {
            let mut tidy = self.tidy.lock();
            if !tidy.hurry {
                tidy.hurry = true;
                self.tidy_wake.notify_one();
            }
        }
    }

    /// Moves what is in the log into the database, beside readers and the writer.
    pub(crate) fn checkpoint(&self, tenant: &Arc<OpenTenant>) -> Result<()> {
        tenant.let_go_snapshots();
        let reader = tenant.reader()?;
        let (log, done): (i64, i64) = reader
            .db
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |r| {
                Ok((r.get(1)?, r.get(2)?))
            })
            .doing("moving the log into the database")?;
        tenant.give_back(reader);
        self.shared.metrics.checkpoints.add(1);
        let left = u64::try_from(log - done).unwrap_or(0);
        tenant.log_pages.store(left, Ordering::Relaxed);
        Ok(())
    }

    /// Notes where the change sequence stands, and sweeps index rows that no cursor can need: those
    /// closed before the place noted a cursor's life ago.
    fn note_sweep(self: &Arc<Self>, entry: &Arc<Entry>, tenant: &Arc<OpenTenant>) {
        let ttl = self.shared.config.limits.cursor_ttl_seconds;
        let now = self.shared.clock.monotonic();
        let due = {
            let mut marks = tenant.sweep_marks.lock();
            let last = marks.back().map(|m: &(Micros, Seq)| m.0);
            let fresh = last.is_none_or(|at| now.plus_secs(-30) >= at);
            if fresh && let Ok(reader) = tenant.reader() {
                if let Ok(seq) = rows::last_seq(&reader.db) {
                    marks.push_back((now, seq));
                }
                tenant.give_back(reader);
            }
            let old = now.plus_secs(-i64::try_from(ttl).unwrap_or(i64::MAX / 2_000_000));
            let mut due = None;
            while let Some((_, seq)) = marks.front().copied().filter(|(at, _)| *at <= old) {
                marks.pop_front();
                due = Some(seq);
            }
            due.filter(|seq| seq.0 > tenant.swept.load(Ordering::Relaxed))
        };
        let Some(seq) = due else { return };
        let tenant = tenant.clone();
        let task = Box::new(move || {
            let mut slot = tenant.writer.lock();
            let swept = writer::alone(&tenant, &mut slot, |_, state| {
                index::sweep(&state.db, seq).doing("sweeping the index")
            });
            if swept.is_ok() {
                tenant.swept.store(seq.0, Ordering::Relaxed);
            }
        });
        let _ = self.mailboxes.put(entry, Item::Task(task));
    }

    /// Closes tenants until there is room for one more: those without unsaved log first, then by
    /// age.
    pub(super) fn make_room(&self) {
        let mut candidates: Vec<(bool, i64, Arc<Entry>)> = {
            let opened = self.opened.lock();
            if opened.len() < self.open_max {
                return;
            }
            let key = |e: &Arc<Entry>| {
                e.if_open().map(|t| {
                    let dirty = t.log_pages.load(Ordering::Relaxed) > 0;
                    (dirty, t.used_us.load(Ordering::Relaxed), e.clone())
                })
            };
            opened.iter().filter_map(key).collect()
        };
        candidates.sort_by_key(|(dirty, used, _)| (*dirty, *used));
        for (_, _, entry) in candidates {
            if self.close_tenant(&entry) && self.opened.lock().len() < self.open_max {
                return;
            }
        }
    }

    /// Closes a tenant if nobody uses it. Whether it is closed.
    pub(crate) fn close_tenant(&self, entry: &Arc<Entry>) -> bool {
        let Some(_opening) = entry.opening.try_lock() else {
            return false;
        };
        let closed = {
            let mut open = entry.open.write();
            match &*open {
                // What a vendor is switched off by and was not written is known here alone.
                Some(tenant) if tenant.vendors().any_pressed() && entry.must_stay().is_ok() => {
                    return false;
                }
                Some(tenant) if Arc::strong_count(tenant) == 1 => open.take(),
                Some(_) => return false,
                None => return true,
            }
        };
        drop(closed);
        self.opened.lock().retain(|e| !Arc::ptr_eq(e, entry));
        self.shared.metrics.open_tenants.sub(1);
        self.shared.metrics.tenant_closes.add(1);
        true
    }

    /// Finishes what a crash left of making tenants: a folder and a key file named `….new` become a
    /// tenant's if the directory knows it, and are removed if not.
    pub(super) fn settle_new(&self, known: &[[u8; 16]]) -> Result<()> {
        use super::super::folder;
        const DOING: &str = "looking for half-made tenants";
        for dir in [self.folder.tenants(), self.folder.keys()] {
            for found in std::fs::read_dir(&dir).doing(DOING)? {
                let path = found.doing(DOING)?.path();
                if path.extension().is_none_or(|e| e != "new") {
                    continue;
                }
                let id = path
                    .file_stem()
                    .and_then(|s| s.to_str())
                    .and_then(folder::unhex);
                let target = path.with_extension("");
                if id.is_some_and(|id| known.contains(&id)) && !target.exists() {
                    std::fs::rename(&path, &target).doing(DOING)?;
                } else if path.is_dir() {
                    std::fs::remove_dir_all(&path).doing(DOING)?;
                } else {
                    std::fs::remove_file(&path).doing(DOING)?;
                }
            }
        }
        Ok(())
    }
}
