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
    let mut missing: BTreeSet<u64> = (extent.start.number + 1..=last)
        .filter(|n| !looked.good.contains(n))
        .collect();
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
            let was_missing = missing.remove(number);
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
                && missing.contains(&frame.after.number)
                && frame.open_as(key, *tenant, &mut buffer).is_some()
            {
                missing.remove(&frame.after.number);
                one(frame.after.number, Tampering::Swapped);
            }
        })?;
    }
    if !missing.is_empty() {
        // Numbers of what was cut off were given again since.
        let highest = highest_at_open(dir, (tenant, key), extent)?;
        let cut = missing.split_off(&(highest + 1));
        if !cut.is_empty() {
            done.push(Done {
                record: highest + 1,
                records: last - highest,
                what: Tampering::CutOff,
            });
        }
    }
    done.extend(runs(&missing).map(|(record, records)| Done {
        record,
        records,
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
            if number == self.before.number + 1 {
                self.before = frame.after;
            }
            return;
        }
        let what = match () {
            () if self.good.contains(&number) => Some(Tampering::Inserted),
            () if number < self.highest => Some(Tampering::Reordered),
            // It opens, and only what chains it is not its own.
            () if number == self.before.number + 1 && !frame.follows(self.before) => {
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

/// Numbers in a row: the first of each row, and how many.
fn runs(numbers: &BTreeSet<u64>) -> impl Iterator<Item = (u64, u64)> {
    let mut found: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match found.last_mut() {
            Some((first, count)) if *first + *count == *number => *count += 1,
            _ => found.push((*number, 1)),
        }
    }
    found.into_iter()
}
