//! Keeps the indexes of tenants' trails up in the background, one passage through the journal for all that
//! lack something. Stands back behind requests, and holds nothing up: what an index does not know yet is
//! looked through without it.

use std::collections::HashMap;
use std::sync::Arc;

use base::Micros;

use super::{Entry, House};
use crate::Result;
use crate::journal::Place;
use crate::sqlite::connection::in_snapshot;
use crate::sqlite::tenant::OpenTenant;
use crate::sqlite::trail::index::{self, Reach};

/// Time for one round, in microseconds.
const ROUND_US: i64 = 250_000;
/// An index to which nothing could be added is left alone for so long, in microseconds.
const PAUSE_US: i64 = 60_000_000;
/// An index that lacks anything is not left behind by more segments of the journal than these.
const SEGMENTS_BEHIND_MAX: u64 = 8;
/// Frames that are taken from the journal before they are added.
const FRAMES_MAX: usize = 2_000;

/// How far the indexes of open tenants are.
#[derive(Default)]
pub(crate) struct Indexing(HashMap<[u8; 16], Known>);

#[derive(Clone, Copy)]
struct Known {
    reach: Reach,
    /// Nothing is added before.
    not_before: Option<Micros>,
}

/// A tenant whose index lacks something.
struct Due {
    entry: Arc<Entry>,
    tenant: Arc<OpenTenant>,
    place: Place,
    frames: Vec<(Place, Vec<u8>)>,
}

impl House {
    /// Adds to indexes what they lack, for a while; whether there is more.
    pub(crate) fn index_trails(self: &Arc<Self>) -> Result<bool> {
        let most = self.shared.config.limits.trail_index_lag_max;
        if most == 0 {
            return Ok(false);
        }
        let late = Micros(self.shared.clock.monotonic().0 + ROUND_US);
        let mut indexing = self.indexing.lock();
        let mut due = self.due_indexes(&mut indexing, most);
        if due.is_empty() {
            return Ok(false);
        }
        let upto = self.shared.journal.settled()?;
        let Some(mut place) = due.iter().map(|due| due.place).min() else {
            return Ok(false);
        };
        loop {
            let wanted = |id: &[u8; 16]| due.iter().any(|due| due.entry.tenant.bytes() == id);
            let (frames, next) = self.frames_after(place, upto, &wanted)?;
            for frame in frames {
                let at = (next.0, frame.at);
                let of = |due: &&mut Due| *due.entry.tenant.bytes() == frame.tenant;
                let of = due.iter_mut().find(of);
                if let Some(due) = of.filter(|due| due.place <= at) {
                    due.frames.push((at, frame.bytes));
                }
            }
            let is_end = next == place;
            place = next;
            let frames: usize = due.iter().map(|due| due.frames.len()).sum();
            let is_late = self.shared.clock.monotonic() > late;
            if is_end || is_late || frames >= FRAMES_MAX {
                let all = self.extend_indexes(&mut indexing, &mut due, place, late);
                if is_end || is_late || !all {
                    return Ok(!is_end || !all);
                }
            }
        }
    }

    /// Adds what was taken from the journal up to a place; whether there was time for all of it.
    fn extend_indexes(
        self: &Arc<Self>,
        indexing: &mut Indexing,
        due: &mut [Due],
        upto: Place,
        late: Micros,
    ) -> bool {
        let mut all = true;
        for due in due.iter_mut().filter(|due| due.place < upto) {
            let id = *due.entry.tenant.bytes();
            let frames = std::mem::take(&mut due.frames);
            let known = match index::extend(&due.tenant, (due.place, upto), &frames, late) {
                Ok(reach) => {
                    all &= reach.place == upto;
                    due.place = reach.place;
                    Known {
                        reach,
                        not_before: None,
                    }
                }
                Err(e) => {
                    tracing::error!(tenant = %due.entry.tenant.name(), error = %e, "the index of a trail was not kept up");
                    // It is made anew when it is its turn again.
                    let _alone = due.tenant.trail_index.write();
                    let _ = index::remove(&due.tenant);
                    // Nothing more in this round.
                    due.place = (u64::MAX, u64::MAX);
                    let now = self.shared.clock.monotonic();
                    Known {
                        reach: Reach::default(),
                        not_before: Some(Micros(now.0 + PAUSE_US)),
                    }
                }
            };
            indexing.0.insert(id, known);
        }
        all
    }

    /// Open tenants whose indexes lack more than they may.
    fn due_indexes(&self, indexing: &mut Indexing, most: u64) -> Vec<Due> {
        let opened: Vec<Arc<Entry>> = self.opened.lock().clone();
        let is_open = |id: &[u8; 16]| opened.iter().any(|e| e.tenant.bytes() == id);
        indexing.0.retain(|id, _| is_open(id));
        let now = self.shared.clock.monotonic();
        let mut due = Vec::new();
        for entry in opened {
            let Some(tenant) = entry.if_open().filter(|_| entry.must_stay().is_ok()) else {
                continue;
            };
            let known = indexing.0.entry(*entry.tenant.bytes());
            let known = *known.or_insert_with(|| Known {
                reach: index::reach(&tenant).unwrap_or_default(),
                not_before: None,
            });
            if known.not_before.is_some_and(|at| now < at) || !self.lacks(&tenant, &known, most) {
                continue;
            }
            due.push(Due {
                entry,
                tenant,
                place: known.reach.place,
                frames: Vec::new(),
            });
        }
        due
    }

    fn lacks(&self, tenant: &Arc<OpenTenant>, known: &Known, most: u64) -> bool {
        let journal = &self.shared.journal;
        let reach = &known.reach;
        let records = journal.head(tenant.id.bytes()).number;
        let records = records.saturating_sub(reach.last.number);
        if records == 0 {
            return false;
        }
        let behind = journal.end().0.saturating_sub(reach.place.0);
        if records >= most || reach.last.number > 0 && behind > SEGMENTS_BEHIND_MAX {
            return true;
        }
        let Ok(reader) = tenant.reader() else {
            return false;
        };
        let versions = in_snapshot(&reader.db, || index::last_version(&reader.db));
        tenant.give_back(reader);
        let versions = versions.unwrap_or(0).saturating_sub(reach.vid);
        records.saturating_add(u64::try_from(versions).unwrap_or(0)) >= most
    }
}
