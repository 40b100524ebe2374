//! What is remembered of one rule.
//!
//! Knows rows by their numbers, and nothing of databases.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Log, Shape};

/// Rows of one page.
const PAGE_ROWS: i64 = 4_096;
const WORDS: usize = 64;
/// Own rows that were written last; snapshots before them are not answered from here.
const RECENT_MAX: usize = 1_024;
/// Changes after which it is looked anew whether the rows that a rule reaches are few.
const MANY_FOR: u64 = 10_000;
/// Rows that may be listed anew for each change that made a list end.
const LISTED_PER_CHANGE: u64 = 64;
/// What a memo takes without its pages.
const MEMO_BYTES: usize = 512;
const PAGE_BYTES: usize = WORDS * 2 * 8 + 64;

/// A rule's memo.
#[derive(Debug)]
pub(crate) struct Memo {
    pub(super) shape: Arc<Shape>,
    pub(super) bits: Mutex<Bits>,
}

impl Memo {
    pub(super) fn new(shape: Arc<Shape>, upto: u64) -> Self {
        Self {
            shape,
            bits: Mutex::new(Bits {
                upto,
                cleared: upto,
                ..Bits::default()
            }),
        }
    }
}

/// Rows of which it is known whether there is a resource that is reached, and which are.
#[derive(Debug)]
struct Page {
    known: [u64; WORDS],
    reached: [u64; WORDS],
}

/// Whether the rows that a rule reaches are listed.
#[derive(Clone, Debug, Default)]
pub(crate) enum Listing {
    /// Nobody looked.
    #[default]
    Unknown,
    /// They are too many, or too many of their type.
    Many,
    /// They were until a moment ago, and it would cost too much to list them for each change.
    Later,
    /// These, oldest first; where it is not `exact`, perhaps some that it does not reach.
    Few { rows: Arc<[i64]>, exact: bool },
}

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Bits {
    /// The change that it is true of.
    pub(super) upto: u64,
    /// It says nothing about what was before this change.
    cleared: u64,
    pages: BTreeMap<i64, Box<Page>>,
    /// Rows of the type that changes after `recent_floor` wrote.
    recent: VecDeque<(u64, i64)>,
    recent_floor: u64,
    /// Every row that is reached is among these, sorted.
    listed: Option<Vec<i64>>,
    shared: Option<(Arc<[i64]>, bool)>,
    /// As of which change the rows were too many to be listed.
    many: Option<u64>,
    /// They are not listed again before this change: a list that soon ends is not worth its making.
    list_from: u64,
}

/// The most rows that are listed.
pub(crate) const LISTED_MAX: usize = 16_384;

impl Bits {
    /// Whether a row is reached, if that is known.
    pub(super) fn get(&self, rid: i64) -> Option<bool> {
        let (page, word, bit) = place(rid)?;
        if let Some(page) = self.pages.get(&page)
            && page.known.get(word).is_some_and(|w| w & bit != 0)
        {
            return Some(page.reached.get(word).is_some_and(|w| w & bit != 0));
        }
        match &self.listed {
            Some(listed) if listed.binary_search(&rid).is_err() => Some(false),
            _ => None,
        }
    }

    pub(super) fn set(&mut self, rid: i64, reached: bool) {
        let Some((page, word, bit)) = place(rid) else {
            return;
        };
        let page = self.pages.entry(page).or_insert_with(|| {
            Box::new(Page {
                known: [0; WORDS],
                reached: [0; WORDS],
            })
        });
        if let (Some(known), Some(yes)) = (page.known.get_mut(word), page.reached.get_mut(word)) {
            *known |= bit;
            *yes = if reached { *yes | bit } else { *yes & !bit };
        }
        if let Some(listed) = &mut self.listed
            && let Ok(at) = listed.binary_search(&rid)
        {
            if !reached {
                listed.remove(at);
            }
            self.shared = None;
        }
    }

    /// Whether what is known of a row now is so of an earlier change too.
    pub(super) fn is_true_of(&self, as_of: u64, rid: i64) -> bool {
        if as_of == self.upto {
            return true;
        }
        let written_since = |(seq, row): &(u64, i64)| *seq > as_of && *row == rid;
        as_of < self.upto
            && as_of >= self.cleared
            && as_of >= self.recent_floor
            && !self.recent.iter().any(written_since)
    }

    /// Forgets what is known of a row; it may be reached now.
    fn unknow(&mut self, rid: i64) {
        let Some((page, word, bit)) = place(rid) else {
            return;
        };
        if let Some(page) = self.pages.get_mut(&page)
            && let Some(known) = page.known.get_mut(word)
        {
            *known &= !bit;
        }
        if let Some(listed) = &mut self.listed {
            self.shared = None;
            if let Err(at) = listed.binary_search(&rid) {
                listed.insert(at, rid);
            }
            if listed.len() > 2 * LISTED_MAX {
                self.listed = None;
            }
        }
    }

    /// A row of the type was written.
    pub(super) fn written(&mut self, rid: i64, seq: u64) {
        self.unknow(rid);
        self.recent.push_back((seq, rid));
        if self.recent.len() > RECENT_MAX
            && let Some((gone, _)) = self.recent.pop_front()
        {
            self.recent_floor = self.recent_floor.max(gone);
        }
    }

    /// What these rows depend on was written.
    pub(super) fn doubt(&mut self, rids: &[i64], seq: u64) {
        rids.iter().for_each(|rid| self.unknow(*rid));
        self.cleared = seq;
    }

    /// Everything depends on what was written.
    pub(super) fn clear(&mut self, seq: u64) {
        let listed = self.listed.as_ref().map_or(0, Vec::len) as u64;
        *self = Self {
            upto: seq,
            cleared: seq,
            many: self.many,
            list_from: self
                .list_from
                .max(seq.saturating_add(listed / LISTED_PER_CHANGE)),
            ..Self::default()
        };
    }

    /// Follows the log to its end, as far as that can be done without a database; whether it is there.
    pub(super) fn follow(&mut self, log: &Log, shape: &Shape) -> bool {
        if self.upto >= log.last {
            return true;
        }
        if self.upto < log.floor {
            return false;
        }
        if log
            .between(self.upto, log.last)
            .any(|t| shape.looks_at(t.type_id))
        {
            return false;
        }
        let own = log.between(self.upto, log.last);
        for touch in own.filter(|t| t.type_id == shape.type_id) {
            self.written(touch.rid, touch.seq);
        }
        self.upto = log.last;
        true
    }

    pub(super) fn listing(&mut self, as_of: u64) -> Listing {
        if as_of < self.cleared || as_of < self.recent_floor || as_of > self.upto {
            return Listing::Many;
        }
        let Some(listed) = &self.listed else {
            let many = |seq: u64| self.upto < seq.saturating_add(MANY_FOR);
            return match self.many.is_some_and(many) {
                true => Listing::Many,
                false if self.upto < self.list_from => Listing::Later,
                false => Listing::Unknown,
            };
        };
        let since = self.recent.iter().rev().take_while(|(seq, _)| *seq > as_of);
        let mut since: Vec<i64> = since.map(|(_, rid)| *rid).collect();
        if since.is_empty() {
            if self.shared.is_none() {
                let exact = listed.iter().all(|rid| self.get(*rid) == Some(true));
                self.shared = Some((listed.as_slice().into(), exact));
            }
            if let Some((rows, exact)) = self.shared.clone() {
                return Listing::Few { rows, exact };
            }
        }
        // What was reached then may have been found to be out of reach now.
        since.extend(listed);
        since.sort_unstable();
        since.dedup();
        Listing::Few {
            rows: since.into(),
            exact: false,
        }
    }

    pub(super) fn list(&mut self, as_of: u64, rows: Option<Vec<i64>>) {
        if as_of < self.cleared || as_of < self.recent_floor || as_of > self.upto {
            return;
        }
        let Some(mut rows) = rows else {
            self.many = Some(as_of);
            return;
        };
        for rid in &rows {
            if self.is_true_of(as_of, *rid) {
                self.set(*rid, true);
            }
        }
        // What was written since may be reached too.
        let since = self.recent.iter().filter(|(seq, _)| *seq > as_of);
        rows.extend(since.map(|(_, rid)| *rid));
        rows.sort_unstable();
        rows.dedup();
        self.listed = Some(rows);
        (self.shared, self.many) = (None, None);
    }

    pub(super) fn bytes(&self) -> usize {
        let listed = self.listed.as_ref().map_or(0, |l| l.capacity() * 8);
        let shared = self.shared.as_ref().map_or(0, |l| l.0.len() * 8);
        MEMO_BYTES + self.pages.len() * PAGE_BYTES + self.recent.len() * 16 + listed + shared
    }
}

/// The page of a row, and where in it; rows of contained resources have none.
fn place(rid: i64) -> Option<(i64, usize, u64)> {
    let at = usize::try_from(rid % PAGE_ROWS).ok().filter(|_| rid > 0)?;
    Some((rid / PAGE_ROWS, at / 64, 1 << (at % 64)))
}
