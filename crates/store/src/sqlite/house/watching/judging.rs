//! One tenant's turn of the watch: its records judged one by one, as far as the turn goes.

use std::cell::Cell;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use base::{Clock, Micros, ResourceId, Seq};

use crate::audit::{ChangeHead, Told};
use crate::sqlite::alerts::judge::{Access, Judge, Progress, Raised};
use crate::sqlite::alerts::profile::{Profile, network_of};
use crate::sqlite::alerts::{self, Cursor};
use crate::sqlite::tenant::OpenTenant;
use crate::sqlite::trail::{self, Look};
use crate::sqlite::writer;
use crate::{Result, StoreError};

/// What a tenant may take at once, so that others have their turn.
pub(super) struct Turn<'c> {
    clock: &'c dyn Clock,
    until: Micros,
    /// Patients who may still be looked at.
    patients: Cell<u64>,
}

impl<'c> Turn<'c> {
    pub(super) fn begin(clock: &'c dyn Clock, most_us: i64, patients: u64) -> Self {
        Self {
            clock,
            until: Micros(clock.monotonic().0 + most_us),
            patients: Cell::new(patients),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.patients.get() == 0 || self.clock.monotonic() >= self.until
    }

    /// One more patient was looked at; whether that was the last.
    fn looked_at_one(&self) -> bool {
        self.patients.set(self.patients.get().saturating_sub(1));
        self.is_over()
    }
}

/// What is known of a tenant and not kept yet.
#[derive(Default)]
pub(super) struct Watched {
    pub(super) cursor: Cursor,
    profiles: BTreeMap<String, Profile>,
    /// Their profiles that changed.
    changed: HashSet<String>,
    /// What was raised and is not kept yet.
    pub(super) pending: Vec<Raised>,
    /// A record or a change that is judged in part.
    begun: Option<Begun>,
}

/// A record or a change that is judged in part.
struct Begun {
    event: String,
    patients: Vec<ResourceId>,
    progress: Progress,
}

impl Watched {
    pub(super) fn of(cursor: Cursor) -> Self {
        Self {
            cursor,
            ..Self::default()
        }
    }

    pub(super) fn is_kept(&self) -> bool {
        self.changed.is_empty() && self.pending.is_empty()
    }

    /// Whether something is judged in part.
    pub(super) fn has_begun(&self) -> bool {
        self.begun.is_some()
    }

    /// What was judged in part is judged from its beginning.
    pub(super) fn begin_again(&mut self) {
        self.begun = None;
    }

    /// Of how many people it is known what is usual.
    pub(super) fn people(&self) -> usize {
        self.profiles.len()
    }

    /// What is usual for whom is in the database.
    pub(super) fn forget_people(&mut self) {
        self.profiles.clear();
    }
}

/// Whether one is new.
pub(super) fn raise_all(db: &rusqlite::Connection, raised: &[Raised]) -> Result<bool> {
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
pub(super) fn keep(tenant: &Arc<OpenTenant>, watched: &mut Watched) -> Result<bool> {
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

/// Records of one tenant being judged.
pub(super) struct Judging<'a> {
    pub(super) judge: Judge<'a>,
    pub(super) look: Look<'a>,
    pub(super) db: &'a rusqlite::Connection,
    pub(super) watched: &'a mut Watched,
    pub(super) turn: &'a Turn<'a>,
}

impl Judging<'_> {
    /// Judges a record; whether it is judged to its end. One that cannot be judged is passed over, and
    /// takes away nothing of the others.
    pub(super) fn record(&mut self, number: u64, record: &[u8]) -> Result<bool> {
        if number <= self.watched.cursor.record {
            return Ok(true);
        }
        let judged = if let Some(head) = ChangeHead::decode(record) {
            self.changes(head.seq)
        } else if let Some(told) = Told::read(record) {
            self.told(number, &told)
        } else {
            Ok(true)
        };
        if matches!(judged, Ok(false)) {
            return judged;
        }
        self.watched.cursor.record = number;
        if judged.is_err() {
            self.watched.begun = None;
        }
        judged
    }

    fn told(&mut self, number: u64, told: &Told) -> Result<bool> {
        let by_client = told.actor.starts_with("client:");
        let by_person = told.actor.starts_with("person:");
        let failed = told.outcome == "refused"
            && told.code.as_deref() == Some(base::Code::CredentialsInvalid.as_str());
        if !by_client && !by_person && !failed {
            return Ok(true);
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
            return self.with(&name, |judge, profile| {
                judge.failed(access, told.about.times.unwrap_or(1), profile)?;
                Ok(true)
            });
        }
        let touches = by_person && told.tells();
        self.access(&access, |look| match touches {
            true => look.touched(number, told),
            false => Ok(Vec::new()),
        })
    }

    /// Changes by people, up to one; whether all were judged to their end.
    fn changes(&mut self, to: Seq) -> Result<bool> {
        // Of the first one that is seen nobody knows where the one before ended.
        if self.watched.cursor.change == 0 {
            self.watched.cursor.change = to.0.saturating_sub(1);
        }
        while self.watched.cursor.change < to.0 {
            let known = Seq(self.watched.cursor.change);
            let (found, reached) = self.look.changes_by_people(known, to)?;
            for (seq, patients, access) in found {
                if self.turn.is_over() {
                    return Ok(false);
                }
                let access = Access {
                    at: access.at,
                    actor: &access.actor,
                    from: access.from,
                    facilities: access.facilities.as_deref(),
                    event: trail::event_of_change(seq),
                };
                let judged = self.access(&access, |_| Ok(patients));
                if !matches!(judged, Ok(false)) {
                    self.watched.cursor.change = seq.0;
                }
                if !judged? {
                    return Ok(false);
                }
            }
            self.watched.cursor.change = reached.0;
        }
        Ok(true)
    }

    /// Judges an access to patients from where it was left; whether to its end.
    fn access(
        &mut self,
        access: &Access<'_>,
        touched: impl FnOnce(&mut Look<'_>) -> Result<Vec<ResourceId>>,
    ) -> Result<bool> {
        let begun = self.watched.begun.take();
        let (mut begun, is_new) = match begun.filter(|begun| begun.event == access.event) {
            Some(begun) => (begun, false),
            None => {
                let begun = Begun {
                    event: access.event.clone(),
                    patients: touched(&mut self.look)?,
                    progress: Progress::default(),
                };
                (begun, true)
            }
        };
        let turn = self.turn;
        let name = access.who().to_owned();
        let judged = self.with(&name, |judge, profile| {
            if is_new {
                judge.came(access, profile)?;
            }
            let over = || turn.looked_at_one();
            let (patients, progress) = (&begun.patients, &mut begun.progress);
            if !patients.is_empty() && !judge.looked(access, patients, progress, profile, &over)? {
                return Ok(false);
            }
            judge.counted(access, profile);
            Ok(true)
        });
        if matches!(judged, Ok(false)) {
            self.watched.begun = Some(begun);
        }
        judged
    }

    /// Does something with what is usual for somebody.
    fn with<T>(
        &mut self,
        name: &str,
        work: impl FnOnce(&mut Judge<'_>, &mut Profile) -> Result<T>,
    ) -> Result<T> {
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

/// What could not be judged of a turn.
#[derive(Default)]
pub(super) struct Wrong(pub(super) Option<(u64, StoreError)>);

impl Wrong {
    pub(super) fn note(&mut self, e: StoreError) {
        let count = self.0.as_ref().map_or(0, |(count, _)| *count);
        self.0 = Some((count + 1, e));
    }
}
