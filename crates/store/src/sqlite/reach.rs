//! Which rows rules of policy reach, remembered for as long as it is so.
//!
//! A rule whose ways lead over other resources ("in the chart of a patient whom my facility manages")
//! costs several looks into the index for each row that it is asked about. What was found is kept here:
//! for each type and rule a *memo*, shared by all callers whose rules say the same. A memo is true of
//! one change of the tenant, its `upto`, and follows the log of what later changes wrote:
//!
//! - a row that was written is asked about anew;
//! - a row that rules look at on their way (the patient of an Observation) makes the rows that refer to it
//!   be asked about anew, or, where the way is longer, all rows.
//!
//! The log learns of rows *before* the transaction that writes them is committed: whoever sees a change
//! in the database finds it in the log. What was asked of an older snapshot is taken in only where no row
//! that it depends on was written since. What changes the meaning of index rows otherwise (quarantine, own
//! search parameters, a commit that failed) makes everything be forgotten.
//!
//! Nothing is decided here: what is not remembered is asked of the index tables.

mod asked;
mod listed;
mod memo;
mod shape;

use std::collections::{HashMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use access::Rule;
use fhir::definitions::{ParamId, TypeId};
use parking_lot::RwLock;

use super::sha256;
pub(crate) use asked::{Asking, register};
use memo::Memo;
pub(crate) use memo::{LISTED_MAX, Listing};
pub(crate) use shape::{Shape, is_worth};

/// Rows of the log. Who looks at a memo that is further behind finds it forgotten.
const TOUCHES_MAX: usize = 8_192;

/// Rows that are learned one by one between two looks at the room that all takes.
const LEARNED: u64 = 64;

/// A row that a change wrote.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Touch {
    pub(crate) seq: u64,
    pub(crate) type_id: TypeId,
    pub(crate) rid: i64,
}

/// What later changes wrote.
#[derive(Debug, Default)]
struct Log {
    touches: VecDeque<Touch>,
    /// Every row of changes after this one is in the log.
    floor: u64,
    /// The newest change that it knows of; it may be about to be committed.
    last: u64,
    /// Rows of changes that are being committed, sorted.
    in_flight: Vec<i64>,
}

impl Log {
    /// Rows of changes after `from`, up to `to`.
    fn between(&self, from: u64, to: u64) -> impl Iterator<Item = &Touch> {
        let first = self.touches.partition_point(|t| t.seq <= from);
        let rest = self.touches.range(first..);
        rest.take_while(move |t| t.seq <= to)
    }
}

type Key = (TypeId, [u8; 32]);

#[derive(Debug)]
struct Kept {
    memo: Arc<Memo>,
    used: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    log: Log,
    memos: HashMap<Key, Kept>,
    epoch: u64,
}

impl State {
    /// Of no change it is known which rows it wrote.
    fn forget_all(&mut self) {
        self.log.in_flight.clear();
        self.log.touches.clear();
        self.log.floor = self.log.last;
        self.memos.clear();
        self.epoch += 1;
    }
}

/// What is remembered of one open tenant.
#[derive(Debug)]
pub(crate) struct Reaches {
    state: RwLock<State>,
    tick: AtomicU64,
    bytes_max: usize,
}

/// The right to take in what is found from now on; to be taken before a snapshot of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

/// A rule of a type, as it is remembered.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    key: Key,
    shape: Arc<Shape>,
}

impl Asked {
    /// None where it had better be asked of the index each time.
    pub(crate) fn of(rule: &Rule, shape: impl FnOnce() -> Option<Shape>) -> Option<Self> {
        let shape = shape()?;
        Some(Self {
            key: (shape.type_id, *rule.digest(digest)),
            shape: Arc::new(shape),
        })
    }

    /// The references over which it looks at other rows; none where it looks further than one step.
    pub(crate) fn steps(&self) -> Option<&[ParamId]> {
        self.shape.steps.as_deref()
    }
}

/// A memo as of one snapshot.
#[derive(Clone, Debug)]
pub(crate) struct View {
    memo: Arc<Memo>,
    as_of: u64,
}

impl Reaches {
    /// For a tenant whose newest change is `seq`.
    pub(crate) fn new(seq: u64, bytes_max: u64) -> Self {
        let log = Log {
            floor: seq,
            last: seq,
            ..Log::default()
        };
        Self {
            state: RwLock::new(State {
                log,
                ..State::default()
            }),
            tick: AtomicU64::new(0),
            bytes_max: usize::try_from(bytes_max).unwrap_or(usize::MAX),
        }
    }

    /// To be taken before a snapshot of the database.
    pub(crate) fn ticket(&self) -> Ticket {
        Ticket(self.state.read().epoch)
    }

    /// These rows are about to be committed, in the order of their changes.
    pub(crate) fn committing(&self, touches: &[Touch]) {
        let (Some(first), Some(newest)) = (touches.first(), touches.last()) else {
            return;
        };
        let mut state = self.state.write();
        if first.seq <= state.log.last {
            // The number was given before, to a change that was not made: what was asked since then
            // may be taken for newer than this one.
            state.forget_all();
        }
        let log = &mut state.log;
        log.last = newest.seq;
        log.in_flight = touches.iter().map(|t| t.rid).collect();
        log.in_flight.sort_unstable();
        log.touches.extend(touches);
        let over = log.touches.len().saturating_sub(TOUCHES_MAX);
        if let Some(gone) = log.touches.drain(..over).next_back() {
            log.floor = log.floor.max(gone.seq);
        }
    }

    /// They are committed, and the cache of current versions knows of it.
    pub(crate) fn committed(&self) {
        self.state.write().log.in_flight.clear();
    }

    /// A commit failed: whether its rows are written, and under which number, is not known.
    pub(crate) fn failed(&self) {
        self.state.write().forget_all();
    }

    /// Index rows came to mean something else.
    pub(crate) fn forget(&self) {
        let mut state = self.state.write();
        state.memos.clear();
        state.epoch += 1;
    }

    /// The row that `get` finds, if it is remembered that the rule reaches it as it is now, or if it says so
    /// itself: then `says` is true, and that is remembered. `get` looks where rows are changed after
    /// [`Self::committing`] and before [`Self::committed`].
    pub(crate) fn reached_now<T>(
        &self,
        rule: &Rule,
        type_id: TypeId,
        get: impl FnOnce() -> Option<(T, i64)>,
        says: impl FnOnce(&T) -> bool,
    ) -> Option<T> {
        let state = self.state.read();
        let kept = state.memos.get(&(type_id, *rule.digest(digest)))?;
        // One who follows the log with the database at hand would be waited for.
        let mut bits = kept.memo.bits.try_lock()?;
        if !bits.follow(&state.log, &kept.memo.shape) {
            return None;
        }
        let (found, rid) = get()?;
        if state.log.in_flight.binary_search(&rid).is_ok() {
            return None;
        }
        kept.used.store(self.ticked(), Ordering::Relaxed);
        let reached = match bits.get(rid) {
            Some(reached) => reached,
            None => {
                let reached = says(&found);
                if reached {
                    bits.set(rid, true);
                }
                drop(bits);
                drop(state);
                self.learned_one();
                reached
            }
        };
        reached.then_some(found)
    }

    /// Begins to remember a rule, if that is not done yet.
    pub(crate) fn begin(
        &self,
        rule: &Rule,
        type_id: TypeId,
        shape: impl FnOnce() -> Option<Shape>,
    ) {
        let (ticket, newest) = {
            let state = self.state.read();
            let key = (type_id, *rule.digest(digest));
            if state.memos.contains_key(&key) {
                return;
            }
            (Ticket(state.epoch), state.log.last)
        };
        if let Some(asked) = Asked::of(rule, shape) {
            self.memo(ticket, &asked, newest);
        }
    }

    /// The memo of a rule as of a snapshot that was taken after the ticket; none where what is remembered
    /// does not fit the snapshot. `affected` tells, of the same snapshot, which rows refer to
    /// some others: none where that are too many.
    ///
    /// # Errors
    /// Those of `affected`.
    pub(crate) fn view<E>(
        &self,
        ticket: Ticket,
        asked: &Asked,
        (as_of, newest): (u64, u64),
        affected: impl FnOnce(&[i64]) -> Result<Option<Vec<i64>>, E>,
    ) -> Result<Option<View>, E> {
        let Some(memo) = self.memo(ticket, asked, newest) else {
            return Ok(None);
        };
        let upto = memo.bits.lock().upto;
        if upto < newest {
            let (own, met) = {
                let state = self.state.read();
                if state.epoch != ticket.0 {
                    return Ok(None);
                }
                if upto < state.log.floor {
                    (None, Vec::new())
                } else {
                    let (mut own, mut met) = (Vec::new(), Vec::new());
                    for touch in state.log.between(upto, newest) {
                        if asked.shape.looks_at(touch.type_id) {
                            met.push(*touch);
                        }
                        if touch.type_id == asked.shape.type_id {
                            own.push(*touch);
                        }
                    }
                    (Some(own), met)
                }
            };
            let mut bits = memo.bits.lock();
            let behind = bits.upto;
            match own {
                // Somebody else brought it there.
                _ if behind >= newest => {}
                None => bits.clear(newest),
                Some(own) => {
                    let mut met: Vec<i64> = met
                        .iter()
                        .filter(|t| t.seq > behind)
                        .map(|t| t.rid)
                        .collect();
                    met.sort_unstable();
                    met.dedup();
                    if !met.is_empty() {
                        match affected(&met)? {
                            Some(rids) => bits.doubt(&rids, newest),
                            None => bits.clear(newest),
                        }
                    }
                    own.iter()
                        .filter(|t| t.seq > behind)
                        .for_each(|t| bits.written(t.rid, t.seq));
                    bits.upto = newest;
                }
            }
        }
        Ok(Some(View { memo, as_of }))
    }

    fn memo(&self, ticket: Ticket, asked: &Asked, newest: u64) -> Option<Arc<Memo>> {
        let used = self.ticked();
        {
            let state = self.state.read();
            if state.epoch != ticket.0 {
                return None;
            }
            if let Some(kept) = state.memos.get(&asked.key) {
                kept.used.store(used, Ordering::Relaxed);
                return Some(kept.memo.clone());
            }
        }
        let mut state = self.state.write();
        if state.epoch != ticket.0 {
            return None;
        }
        let kept = state.memos.entry(asked.key).or_insert_with(|| Kept {
            memo: Arc::new(Memo::new(asked.shape.clone(), newest)),
            used: AtomicU64::new(used),
        });
        let memo = kept.memo.clone();
        drop(state);
        self.make_room();
        Some(memo)
    }

    fn ticked(&self) -> u64 {
        self.tick.fetch_add(1, Ordering::Relaxed)
    }

    /// A row more is remembered: from time to time it is seen to that there is room.
    pub(crate) fn learned_one(&self) {
        if self.ticked().is_multiple_of(LEARNED) {
            self.make_room();
        }
    }

    /// Forgets what was not asked for longest, until the rest has room.
    pub(crate) fn make_room(&self) {
        let mut state = self.state.write();
        // Nobody is waited for: what is at work now is counted the next time.
        let size = |kept: &Kept| kept.memo.bits.try_lock().map_or(0, |bits| bits.bytes());
        let mut all: usize = state.memos.values().map(size).sum();
        while all > self.bytes_max {
            let oldest = state
                .memos
                .iter()
                .min_by_key(|(_, kept)| kept.used.load(Ordering::Relaxed))
                .map(|(key, kept)| (*key, size(kept)));
            let Some((key, bytes)) = oldest else { return };
            state.memos.remove(&key);
            all -= bytes.min(all);
        }
    }

    /// Bytes that it takes.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        let state = self.state.read();
        let each = state.memos.values();
        each.map(|kept| kept.memo.bits.lock().bytes()).sum()
    }
}

impl View {
    /// Whether the rule reaches a row, as far as it is remembered.
    pub(crate) fn known(&self, rid: i64) -> Option<bool> {
        let bits = self.memo.bits.lock();
        bits.is_true_of(self.as_of, rid).then(|| bits.get(rid))?
    }

    /// Takes in whether it does.
    pub(crate) fn learn(&self, rid: i64, reached: bool) {
        let mut bits = self.memo.bits.lock();
        if bits.is_true_of(self.as_of, rid) {
            bits.set(rid, reached);
        }
    }

    /// Every row that the rule may reach, oldest first, where those are few among all of the type.
    pub(crate) fn listing(&self) -> Listing {
        self.memo.bits.lock().listing(self.as_of)
    }

    /// Takes in every row that it reaches: none where those are many.
    pub(crate) fn list(&self, rows: Option<Vec<i64>>) {
        self.memo.bits.lock().list(self.as_of, rows);
    }

    /// The type of the rows that it is about.
    pub(crate) fn type_id(&self) -> TypeId {
        self.memo.shape.type_id
    }

    /// The change that is asked as of.
    pub(crate) fn as_of(&self) -> i64 {
        i64::try_from(self.as_of).unwrap_or(i64::MAX)
    }
}

/// The digest of a filter: of everything that makes it equal to another.
pub(crate) fn digest(filter: Option<&fhir::search::query::Clause>) -> [u8; 32] {
    #[derive(Default)]
    struct All(Vec<u8>);
    impl Hasher for All {
        fn write(&mut self, bytes: &[u8]) {
            self.0.extend_from_slice(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut all = All::default();
    filter.hash(&mut all);
    sha256(&all.0)
}

#[cfg(test)]
mod tests;
