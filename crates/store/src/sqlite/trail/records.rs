//! Records of a trail that are asked for, oldest first, some at a time: however long the trail is, few of
//! them are in memory, and the index is held no longer than one look into it takes.

use std::collections::VecDeque;
use std::sync::Arc;

use base::Seq;
use base::limits::fixed::REPORT_RECORDS_MAX;
use rusqlite::Connection;

use super::Found;
use super::index::{Between, Found as Indexed, FoundChange, Index, Reach, of_names};
use super::report::Asked;
use crate::audit::{ChangeHead, Told};
use crate::journal::{Frames, Place};
use crate::sqlite::tenant::OpenTenant;
use crate::{Result, StoreError};

/// Records that are handed over at once.
const AT_ONCE: usize = 1_024;
/// Numbers of records that one look into the index is about.
const WINDOW: u64 = 1 << 18;
/// Changes that the index is asked for at once.
const CHANGES: usize = 4_096;

/// Takes some; whether it wants more.
type Take<'t> = dyn FnMut(Vec<(u64, Found)>) -> Result<bool> + 't;

/// Hands over records that fit, and changes that may, oldest first; whether that was all, and not as much as
/// one report looks at.
pub(super) fn records(
    tenant: &Arc<OpenTenant>,
    db: &Connection,
    asked: &Asked<'_>,
    take: &mut Take<'_>,
) -> Result<bool> {
    let mut to = Handing::new(take, REPORT_RECORDS_MAX);
    let mut start = Start::default();
    if asked.patient.is_some() || asked.is_by.is_some() {
        start = indexed(tenant, db, asked, &mut to)?;
    }
    if !to.is_done() {
        read_on(tenant, asked, start, &mut to)?;
    }
    to.end()
}

/// From where on the journal itself is read.
#[derive(Clone, Copy, Default)]
struct Start {
    place: Place,
    /// The last change before that place.
    seq: Seq,
    /// Records up to this one were handed over.
    done: u64,
}

/// Hands over what was gathered when it is enough.
struct Handing<'t, 'f> {
    take: &'t mut Take<'f>,
    some: Vec<(u64, Found)>,
    left: u64,
    cut: bool,
    enough: bool,
    failed: Option<StoreError>,
}

impl<'t, 'f> Handing<'t, 'f> {
    const fn new(take: &'t mut Take<'f>, max: u64) -> Self {
        Self {
            take,
            some: Vec::new(),
            left: max,
            cut: false,
            enough: false,
            failed: None,
        }
    }

    const fn is_done(&self) -> bool {
        self.cut || self.enough || self.failed.is_some()
    }

    fn push(&mut self, number: u64, found: Found) {
        if self.is_done() {
            return;
        }
        let Some(left) = self.left.checked_sub(1) else {
            self.cut = true;
            return;
        };
        self.left = left;
        self.some.push((number, found));
        if self.some.len() >= AT_ONCE {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        let some = std::mem::take(&mut self.some);
        if some.is_empty() || self.enough || self.failed.is_some() {
            return;
        }
        match (self.take)(some) {
            Ok(more) => self.enough = !more,
            Err(e) => self.failed = Some(e),
        }
    }

    /// What a record says, if it is asked for.
    fn sort_out(&mut self, asked: &Asked<'_>, (number, record): (u64, &[u8]), start: &mut Start) {
        if let Some(head) = ChangeHead::decode(record) {
            let from = std::mem::replace(&mut start.seq, head.seq);
            if number > start.done {
                self.push(number, Found::Changes(from, head.seq));
            }
        } else if number > start.done
            && let Some(told) = Told::read(record)
            && (asked.fits)(told.request.at, &told.actor)
        {
            self.push(number, Found::Access(Box::new(told)));
        }
    }

    fn end(mut self) -> Result<bool> {
        self.hand_over();
        self.failed.map_or(Ok(!self.cut), Err)
    }
}

/// Reads the journal segment by segment.
fn read_on(
    tenant: &Arc<OpenTenant>,
    asked: &Asked<'_>,
    mut start: Start,
    to: &mut Handing<'_, '_>,
) -> Result<()> {
    let (journal, id) = (&tenant.shared.journal, *tenant.id.bytes());
    let from = start.place;
    for segment in journal.segments()?.into_iter().filter(|s| *s >= from.0) {
        let at = if segment == from.0 { from.1 } else { 0 };
        if to.is_done() || !journal.has_records(id, segment)? {
            continue;
        }
        let key = &tenant.keys.journal;
        journal.records_from(id, key, (segment, at), &mut |head, record| {
            if !to.is_done() {
                to.sort_out(asked, (head.number, record), &mut start);
            }
        })?;
    }
    Ok(())
}

/// What the index names between two records.
struct Window {
    records: Vec<Indexed>,
    upto: u64,
    /// How far the index goes, where it ends here.
    reach: Option<Reach>,
}

/// Changes that the index names, some read ahead.
#[derive(Default)]
struct Ahead {
    changes: VecDeque<FoundChange>,
    after: Seq,
}

/// The same, of those that the index names; and from where on it names none. Where it is taken away meanwhile,
/// or names records that are not there, the rest is read as a whole.
fn indexed(
    tenant: &Arc<OpenTenant>,
    db: &Connection,
    asked: &Asked<'_>,
    to: &mut Handing<'_, '_>,
) -> Result<Start> {
    let (journal, id) = (&tenant.shared.journal, *tenant.id.bytes());
    let (mut start, mut ahead) = (Start::default(), Ahead::default());
    let mut frames = Frames::new(journal);
    while !to.is_done() {
        let Some(window) = window(tenant, db, asked, start.done, &mut ahead)? else {
            break;
        };
        for at in window.records {
            hand_changes(&mut ahead, at.number, to);
            let record = frames.record(id, &tenant.keys.journal, at.place)?;
            let Some((_, record)) = record.filter(|(number, _)| *number == at.number) else {
                tracing::error!(tenant = %tenant.id.name(), "the index of a trail names records that are not there; it is not used");
                start.done = at.number - 1;
                return Ok(start);
            };
            if !is_change(&record) {
                to.sort_out(asked, (at.number, &record), &mut Start::default());
            }
        }
        hand_changes(&mut ahead, window.upto, to);
        start.done = window.upto;
        if let Some(reach) = window.reach {
            hand_changes(&mut ahead, u64::MAX, to);
            (start.place, start.seq) = (reach.place, reach.seq);
            start.done = reach.last.number;
            break;
        }
    }
    Ok(start)
}

/// The changes of a record are looked up by themselves.
fn is_change(record: &[u8]) -> bool {
    ChangeHead::decode(record).is_some()
}

/// Hands over changes of records up to one.
fn hand_changes(ahead: &mut Ahead, upto: u64, to: &mut Handing<'_, '_>) {
    while let Some(change) = ahead.changes.pop_front_if(|c| c.record <= upto) {
        let before = Seq(change.seq.0.saturating_sub(1));
        to.push(change.record, Found::Changes(before, change.seq));
    }
}

/// One look into the index, which nobody takes away meanwhile; none where it does not know.
fn window(
    tenant: &Arc<OpenTenant>,
    db: &Connection,
    asked: &Asked<'_>,
    after: u64,
    ahead: &mut Ahead,
) -> Result<Option<Window>> {
    let _reading = tenant.trail_index.read();
    let Some(index) = Index::to_read(tenant, db) else {
        return Ok(None);
    };
    let Some(narrow) = of_names(&index, asked.patient, asked.is_by)? else {
        return Ok(None);
    };
    let (from, to) = asked.times;
    let times = (
        from.map_or(i64::MIN, |at| at.to_millis_precision().0),
        to.map_or(i64::MAX, |at| at.0),
    );
    let end = index.reach.last.number;
    let upto = after.saturating_add(WINDOW);
    let mut records = index.records(
        &narrow,
        Between {
            numbers: (after + 1, upto),
            times,
        },
    )?;
    records.sort_by_key(|found| found.number);
    while ahead.changes.back().is_none_or(|c| c.record <= upto) {
        let numbers = (ahead.after.0 + 1, u64::MAX);
        let some = index.changes(&narrow, Between { numbers, times }, false, CHANGES)?;
        let Some(last) = some.last() else { break };
        ahead.after = last.seq;
        ahead.changes.extend(some);
    }
    Ok(Some(Window {
        records,
        upto,
        reach: (upto >= end).then_some(index.reach),
    }))
}

#[cfg(test)]
mod tests {
    use super::{AT_ONCE, Found, Handing};
    use base::Seq;

    fn push(to: &mut Handing<'_, '_>, numbers: std::ops::Range<u64>) {
        for number in numbers {
            to.push(number, Found::Changes(Seq(number), Seq(number + 1)));
        }
    }

    #[test]
    fn few_are_in_memory_and_one_report_looks_at_so_many() {
        let mut sizes = Vec::new();
        let mut take = |some: Vec<(u64, Found)>| {
            sizes.push(some.len());
            Ok(true)
        };
        let mut to = Handing::new(&mut take, 3_000);
        push(&mut to, 0..3_000);
        assert!(!to.is_done() && to.some.len() < AT_ONCE);
        push(&mut to, 3_000..3_001);
        assert!(to.is_done());
        assert!(!to.end().unwrap(), "there is more than it looks at");
        assert_eq!(sizes, [AT_ONCE, AT_ONCE, 3_000 - 2 * AT_ONCE]);
    }

    #[test]
    fn who_wants_no_more_gets_no_more() {
        let mut times = 0;
        let mut take = |_: Vec<(u64, Found)>| {
            times += 1;
            Ok(false)
        };
        let mut to = Handing::new(&mut take, 1_000_000);
        push(&mut to, 0..100_000);
        assert!(to.end().unwrap());
        assert_eq!(times, 1);
    }
}
