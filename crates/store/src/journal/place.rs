//! Single frames of the journal, by their places: for those who know where one is.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::frame::{self, HEADER, Head};
use super::{Journal, Result, key_of, recover};
use base::Secret;

/// A segment, and a place in it.
pub(crate) type Place = (u64, u64);

/// Bytes that are read at once; most frames are shorter.
const READ_BYTES: usize = 1 << 10;

/// Reads one frame after the other. The file of the last one stays open.
#[derive(Debug)]
pub(crate) struct Frames<'j> {
    journal: &'j Journal,
    file: Option<(u64, File)>,
    bytes: Vec<u8>,
}

impl<'j> Frames<'j> {
    pub(crate) const fn new(journal: &'j Journal) -> Self {
        Self {
            journal,
            file: None,
            bytes: Vec::new(),
        }
    }

    /// Reads what is at a place; whether there is a whole frame. What cannot be read is not there.
    fn fill(&mut self, (segment, at): Place) -> bool {
        if self.file.as_ref().is_none_or(|(open, _)| *open != segment) {
            let file = File::open(self.journal.path_of(segment)).ok();
            self.file = file.map(|file| (segment, file));
        }
        let Some((_, file)) = &self.file else {
            return false;
        };
        self.bytes.resize(READ_BYTES, 0);
        let Ok(mut read) = file.read_at(&mut self.bytes, at) else {
            return false;
        };
        let sealed = self.bytes.get(4..8).and_then(|b| b.try_into().ok());
        let length = HEADER + sealed.map_or(0, u32::from_le_bytes) as usize;
        if length > read && read == READ_BYTES && length <= HEADER + frame::SEALED_BYTES_MAX {
            self.bytes.resize(length, 0);
            read = file.read_at(&mut self.bytes, at).unwrap_or(0);
        }
        self.bytes.truncate(read);
        frame::read(&self.bytes).is_some()
    }

    /// Whose frame is at a place, and the place in their chain after it.
    pub(crate) fn head(&mut self, place: Place) -> Option<([u8; 16], Head)> {
        let whole = self.fill(place);
        let (frame, _) = whole.then(|| frame::read(&self.bytes)).flatten()?;
        Some((frame.tenant, frame.after))
    }

    /// The record of a tenant at a place, and its number.
    pub(crate) fn record(
        &mut self,
        tenant: [u8; 16],
        key: &Secret<[u8; 32]>,
        place: Place,
    ) -> Result<Option<(u64, Vec<u8>)>> {
        if self.head(place).is_none_or(|(of, _)| of != tenant) {
            return Ok(None);
        }
        self.journal.open_frame(key, &self.bytes)
    }
}

impl Journal {
    /// The place in its tenant's chain after a frame.
    pub(crate) fn head_of_frame(&self, bytes: &[u8]) -> Option<Head> {
        frame::read(bytes).map(|(frame, _)| frame.after)
    }

    /// Whether a segment may hold records of a tenant, as the beginning of the next one says.
    pub(crate) fn has_records(&self, tenant: [u8; 16], segment: u64) -> Result<bool> {
        let next = segment + 1;
        if next > self.end().0 || !self.path_of(next).exists() {
            return Ok(true);
        }
        let number = |segment: u64| -> Result<Option<u64>> {
            let heads = recover::heads_before(&self.shared.dir, segment)?;
            Ok(heads.map(|heads| heads.get(&tenant).map_or(0, |head| head.number)))
        };
        let (before, after) = (number(segment)?, number(next)?);
        Ok(before.is_none() || before != after)
    }

    /// Reads the records of a tenant in one segment from a place on, without a look at the chain; whether
    /// the segment is full, so that no more come.
    pub(crate) fn records_from(
        &self,
        tenant: [u8; 16],
        key: &Secret<[u8; 32]>,
        (segment, from): Place,
        each: &mut dyn FnMut(Head, &[u8]),
    ) -> Result<bool> {
        let (current, end) = self.end();
        let end = (segment == current).then_some(end);
        let dir = &self.shared.dir;
        recover::records_of(dir, (tenant, &key_of(key)?), (segment, from), end, each)?;
        Ok(segment < current)
    }
}
