//! What was done to a tenant's records on the disk, as far as it can be told: edited, deleted, cut off,
//! inserted, put in another order, swapped with another tenant's.
//!
//! A record opens with its tenant's key at its own number only. So each that opens is one that was
//! written, whatever stands around it, and what does not open, or is not where it belongs, was put there.

use std::collections::BTreeSet;
use std::path::Path;

use ring::aead::LessSafeKey;
use serde::Serialize;

use super::frame::{self, Frame, Head};
use super::recover;
use crate::StoreError;

/// What was done to records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tampering {
    /// They are not as they were written.
    Edited,
    /// They are missing between others.
    Deleted,
    /// They are missing at the end.
    CutOff,
    /// They were never written there.
    Inserted,
    /// They stand behind later ones.
    Reordered,
    /// They stand under another tenant's name, or another tenant's under this one's.
    Swapped,
    /// They are not those of which a head was signed, though each is in order.
    Rewritten,
}

/// Something that was done to records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Done {
    /// The first record.
    pub(crate) record: u64,
    /// So many, from it on.
    pub(crate) records: u64,
    pub(crate) what: Tampering,
}

/// A tenant's key, or another's.
pub(crate) type Keyed = ([u8; 16], LessSafeKey);

/// The segments and the place in the last one up to which it is looked at.
pub(super) struct Extent {
    pub(super) segments: Vec<u64>,
    pub(super) end: (u64, u64),
    /// Where it ended when it was opened: what comes after was written by this process.
    pub(super) opened: (u64, u64),
    /// Before the tenant's first record that is kept.
    pub(super) start: Head,
    /// The last record that somebody knows of.
    pub(super) last: u64,
}

type Result<T> = std::result::Result<T, StoreError>;

/// Looks at every frame; what was done, in order of records.
pub(super) fn examine(
    dir: &Path,
    (tenant, key): &Keyed,
    extent: &Extent,
    others: &mut dyn FnMut() -> Result<Vec<Keyed>>,
) -> Result<Vec<Done>> {
    let mut looked = Looked {
        done: Vec::new(),
        good: BTreeSet::new(),
        suspects: Vec::new(),
        highest: extent.start.number,
        before: extent.start,
    };
    let mut buffer = Vec::new();
    each_frame(dir, extent, &mut |bytes| {
        let Some((frame, _)) = frame::read(bytes) else {
            return;
        };
        if frame.tenant == *tenant {
            let opens = frame.open(key, &mut buffer).is_some();
            looked.take(&frame, opens, bytes);
        }
    })?;
    let last = looked.highest.max(extent.last);
    let mut missing = Gaps::between(extent.start.number, &looked.good, last);
    let mut done = std::mem::take(&mut looked.done);
    let mut one = |record, what| {
        done.push(Done {
            record,
            records: 1,
            what,
        });
    };
    if !looked.suspects.is_empty() || !missing.is_empty() {
        let others = others()?;
        for (number, bytes) in &looked.suspects {
            let Some((frame, _)) = frame::read(bytes) else {
                continue;
            };
            let mut foreign = others.iter().filter(|(id, _)| id != tenant);
            let swapped = foreign.any(|(id, key)| frame.open_as(key, *id, &mut buffer).is_some());
            let was_missing = missing.take(*number);
            one(
                *number,
                match (swapped, was_missing) {
                    (true, _) => Tampering::Swapped,
                    (false, true) => Tampering::Edited,
                    (false, false) => Tampering::Inserted,
                },
            );
        }
    }
    if !missing.is_empty() {
        each_frame(dir, extent, &mut |bytes| {
            let Some((frame, _)) = frame::read(bytes) else {
                return;
            };
            if frame.tenant != *tenant
                && missing.has(frame.after.number)
                && frame.open_as(key, *tenant, &mut buffer).is_some()
            {
                missing.take(frame.after.number);
                one(frame.after.number, Tampering::Swapped);
            }
        })?;
    }
    if !missing.is_empty() {
        // Numbers of what was cut off were given again since.
        let highest = highest_at_open(dir, (tenant, key), extent)?;
        if missing.cut_after(highest) {
            done.push(Done {
                record: highest + 1,
                records: last - highest,
                what: Tampering::CutOff,
            });
        }
    }
    done.extend(missing.0.iter().map(|(first, after)| Done {
        record: *first,
        records: after - first,
        what: Tampering::Deleted,
    }));
    done.sort_unstable();
    Ok(done)
}

/// The last record that was there when the journal was opened.
fn highest_at_open(
    dir: &Path,
    (tenant, key): (&[u8; 16], &LessSafeKey),
    extent: &Extent,
) -> Result<u64> {
    let mut highest = extent.start.number;
    let mut buffer = Vec::new();
    for segment in extent.segments.iter().filter(|s| **s <= extent.opened.0) {
        let end = (*segment == extent.opened.0).then_some(extent.opened.1);
        recover::frames_from(dir, (*segment, 0), end, &mut |of, bytes| {
            if of == *tenant
                && let Some((frame, _)) = frame::read(bytes)
                && frame.open(key, &mut buffer).is_some()
            {
                highest = highest.max(frame.after.number);
            }
        })?;
    }
    Ok(highest)
}

struct Looked {
    done: Vec<Done>,
    /// Records that open.
    good: BTreeSet<u64>,
    /// Frames under the tenant's name that do not, with the number that they claim.
    suspects: Vec<(u64, Vec<u8>)>,
    highest: u64,
    before: Head,
}

impl Looked {
    fn take(&mut self, frame: &Frame<'_>, opens: bool, bytes: &[u8]) {
        let number = frame.after.number;
        if !opens {
            self.suspects.push((number, bytes.to_vec()));
            if Some(number) == self.before.number.checked_add(1) {
                self.before = frame.after;
            }
            return;
        }
        let what = match () {
            () if self.good.contains(&number) => Some(Tampering::Inserted),
            () if number < self.highest => Some(Tampering::Reordered),
            // It opens, and only what chains it is not its own.
            () if Some(number) == self.before.number.checked_add(1)
                && !frame.follows(self.before) =>
            {
                Some(Tampering::Edited)
            }
            () => None,
        };
        self.done.extend(what.map(|what| Done {
            record: number,
            records: 1,
            what,
        }));
        self.good.insert(number);
        self.highest = self.highest.max(number);
        if number > self.before.number {
            self.before = frame.after;
        }
    }
}

fn each_frame(dir: &Path, extent: &Extent, each: &mut dyn FnMut(&[u8])) -> Result<()> {
    for segment in &extent.segments {
        let end = (*segment == extent.end.0).then_some(extent.end.1);
        recover::frames_from(dir, (*segment, 0), end, &mut |_, bytes| each(bytes))?;
    }
    Ok(())
}

/// Numbers that are missing, in rows: the first of each, and the one after it. A row may be of any length.
struct Gaps(Vec<(u64, u64)>);

impl Gaps {
    /// Those after `start` and up to `last` that are not among the good ones.
    fn between(start: u64, good: &BTreeSet<u64>, last: u64) -> Self {
        let mut rows = Vec::new();
        let mut next = start.saturating_add(1);
        let end = last.saturating_add(1);
        for number in good.range(next..) {
            if *number > next {
                rows.push((next, *number));
            }
            next = number.saturating_add(1);
        }
        if next < end {
            rows.push((next, end));
        }
        Self(rows)
    }

    const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn place(&self, number: u64) -> Option<usize> {
        let at = self.0.partition_point(|(first, _)| *first <= number);
        let at = at.checked_sub(1)?;
        self.0.get(at).filter(|(_, after)| number < *after)?;
        Some(at)
    }

    fn has(&self, number: u64) -> bool {
        self.place(number).is_some()
    }

    /// Takes one out; whether it was missing.
    fn take(&mut self, number: u64) -> bool {
        let Some(at) = self.place(number) else {
            return false;
        };
        let (first, after) = self.0.remove(at);
        let rest = [(first, number), (number + 1, after)];
        let rest = rest.into_iter().filter(|(first, after)| first < after);
        self.0.splice(at..at, rest);
        true
    }

    /// Takes out all after a number; whether there were any.
    fn cut_after(&mut self, number: u64) -> bool {
        let from = number.saturating_add(1);
        let any = self.0.last().is_some_and(|(_, after)| *after > from);
        self.0.retain(|(first, _)| *first < from);
        if let Some((_, after)) = self.0.last_mut() {
            *after = (*after).min(from);
        }
        any
    }
}

#[cfg(test)]
mod tests {
    use super::Gaps;

    #[test]
    fn gaps_are_rows_whatever_their_length() {
        let good = [2, 3, 7].into_iter().collect();
        let mut gaps = Gaps::between(0, &good, u64::MAX - 1);
        assert_eq!(gaps.0, [(1, 2), (4, 7), (8, u64::MAX)]);
        assert!(gaps.take(5) && !gaps.take(5) && !gaps.take(3));
        assert_eq!(gaps.0, [(1, 2), (4, 5), (6, 7), (8, u64::MAX)]);
        assert!(gaps.cut_after(9));
        assert_eq!(gaps.0, [(1, 2), (4, 5), (6, 7), (8, 10)]);
        assert!(gaps.cut_after(3));
        assert_eq!(gaps.0, [(1, 2)]);
        assert!(!gaps.cut_after(3) && gaps.take(1) && gaps.is_empty());
    }
}
