//! The house-wide journal of reads and refusals.
//!
//! One file for all tenants, so that one flush serves them all; each record is encrypted under its
//! tenant's journal key and hash-chained to that tenant's record before it. A record is handed to
//! the operating system before the answer leaves (it survives `kill -9`) and reaches the disk
//! within the window of [`AuditMode`].
//!
//! Segments are filled with zeros before they are used, and one spare is always ready: on a full
//! disk reads go on until it is spent. Knows nothing of what records say.

mod examine;
mod frame;
mod place;
mod recover;
mod segment;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::{Code, Rng, Secret};
use parking_lot::{Condvar, Mutex};
use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};

pub use examine::Tampering;
pub(crate) use examine::{Done, Keyed};
pub(crate) use frame::Head;
pub(crate) use place::{Frames, Place};
pub(crate) use recover::Scan;
use segment::Segment;

use crate::{AuditMode, StoreError};

/// The journal of one data folder.
#[derive(Debug)]
pub(crate) struct Journal {
    shared: Arc<Shared>,
    flusher: Mutex<Option<std::thread::JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    segment_bytes: u64,
    mode: AuditMode,
    /// Where it ended when it was opened.
    opened: (u64, u64),
    state: Mutex<State>,
    /// Wakes the flusher: something was written, or the journal is closing.
    dirty: Condvar,
    /// Wakes those who wait for the disk.
    flushed: tokio::sync::watch::Sender<Flushed>,
    flushes: AtomicU64,
}

/// How far the disk has it, or that it will not any more.
#[derive(Clone, Copy, Debug)]
struct Flushed {
    upto: u64,
    broken: bool,
}

#[derive(Debug)]
struct State {
    current: Segment,
    spare: Option<Segment>,
    /// Segments that are full but not yet on the disk.
    full: Vec<Segment>,
    heads: std::collections::HashMap<[u8; 16], Head>,
    /// Bytes appended since the journal was opened.
    written: u64,
    closing: bool,
    broken: bool,
}

/// One tenant's pen: its key and its place in the chain. Made when the tenant is opened.
#[derive(Debug)]
pub(crate) struct Pen {
    tenant: [u8; 16],
    key: LessSafeKey,
    chain: Mutex<Chain>,
}

#[derive(Debug)]
struct Chain {
    head: Head,
    nonce: u128,
    buffer: Vec<u8>,
}

/// A record that was appended, for [`Journal::durable`].
#[derive(Clone, Copy, Debug)]
#[must_use = "the answer may leave only after the record is durable"]
pub(crate) struct Ticket(u64);

/// Every tenant's place in its chain.
pub(crate) type Heads = std::collections::HashMap<[u8; 16], Head>;

type Result<T> = std::result::Result<T, StoreError>;

fn unavailable() -> StoreError {
    let text = "the access cannot be recorded, so it is not given";
    StoreError::Refused(Code::AuditUnavailable, text.into())
}

pub(crate) fn key_of(key: &Secret<[u8; 32]>) -> Result<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, key.expose())
        .map(LessSafeKey::new)
        .map_err(|_| unavailable())
}

impl Journal {
    /// Opens the journal in `dir`, finds every tenant's last record, and starts the flusher.
    pub(crate) fn open(dir: &Path, segment_bytes: u64, mode: AuditMode) -> Result<Self> {
        let segment_bytes = segment_bytes.max(64 << 10);
        let (current, heads) = recover::newest(dir, segment_bytes)?;
        let spare = Segment::spare(dir, segment_bytes).ok();
        let opened = (current.number(), current.end());
        let state = State {
            current,
            spare,
            full: Vec::new(),
            heads,
            written: 0,
            closing: false,
            broken: false,
        };
        let shared = Arc::new(Shared {
            dir: dir.to_owned(),
            segment_bytes,
            mode,
            opened,
            state: Mutex::new(state),
            dirty: Condvar::new(),
            flushed: tokio::sync::watch::Sender::new(Flushed {
                upto: 0,
                broken: false,
            }),
            flushes: AtomicU64::new(0),
        });
        let for_thread = Arc::clone(&shared);
        let flusher = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || for_thread.flush_until_closed())
            .map_err(|_| unavailable())?;
        Ok(Self {
            shared,
            flusher: Mutex::new(Some(flusher)),
        })
    }

    /// The pen of a tenant. There must be only one at a time for a tenant.
    pub(crate) fn pen(
        &self,
        tenant: [u8; 16],
        key: &Secret<[u8; 32]>,
        rng: &dyn Rng,
    ) -> Result<Pen> {
        let head = self
            .shared
            .state
            .lock()
            .heads
            .get(&tenant)
            .copied()
            .unwrap_or_default();
        let nonce = u128::from_be_bytes(rng.bytes());
        let chain = Mutex::new(Chain {
            head,
            nonce,
            buffer: Vec::new(),
        });
        Ok(Pen {
            tenant,
            key: key_of(key)?,
            chain,
        })
    }

    /// Appends a record. When this returns it survives the end of the process.
    pub(crate) fn append(&self, pen: &Pen, record: &[u8]) -> Result<Ticket> {
        let mut chain = pen.chain.lock();
        chain.nonce = chain.nonce.wrapping_add(1);
        let Chain {
            head,
            nonce,
            buffer,
        } = &mut *chain;
        let next = frame::write(buffer, &pen.key, pen.tenant, *head, *nonce, record)
            .ok_or_else(unavailable)?;
        let ticket = self.shared.write(buffer, pen.tenant, next)?;
        *head = next;
        Ok(ticket)
    }

    /// Waits until the record may be relied on: at once, or in strict mode until it is on the disk.
    pub(crate) async fn durable(&self, ticket: Ticket) -> Result<()> {
        if matches!(self.shared.mode, AuditMode::Window(_)) {
            return Ok(());
        }
        self.on_disk(ticket).await
    }

    async fn on_disk(&self, ticket: Ticket) -> Result<()> {
        let mut flushed = self.shared.flushed.subscribe();
        let done = flushed.wait_for(|f| f.broken || f.upto >= ticket.0).await;
        match done {
            Ok(f) if f.upto >= ticket.0 => Ok(()),
            _ => Err(unavailable()),
        }
    }

    /// The last record of a tenant: its number and the chain's hash.
    pub(crate) fn head(&self, tenant: &[u8; 16]) -> Head {
        self.shared
            .state
            .lock()
            .heads
            .get(tenant)
            .copied()
            .unwrap_or_default()
    }

    /// Every tenant's last record.
    pub(crate) fn heads(&self) -> Vec<([u8; 16], Head)> {
        let state = self.shared.state.lock();
        state.heads.iter().map(|(id, head)| (*id, *head)).collect()
    }

    /// Reads back all records of a tenant, oldest first, checking the chain, up to what was
    /// written when this was called.
    pub(crate) fn scan(
        &self,
        tenant: [u8; 16],
        key: &Secret<[u8; 32]>,
        each: &mut dyn FnMut(Head, &[u8]),
    ) -> Result<Scan> {
        let end = {
            let state = self.shared.state.lock();
            (state.current.number(), state.current.end())
        };
        recover::scan(&self.shared.dir, tenant, &key_of(key)?, end, each)
    }

    /// The segment that is written to, and the place in it up to which the disk has everything.
    pub(crate) fn settled(&self) -> Result<(u64, u64)> {
        let (file, place) = {
            let state = self.shared.state.lock();
            let current = &state.current;
            (current.file(), (current.number(), current.end()))
        };
        // Segments that are full were flushed before the next one began.
        file.sync_data().map_err(|_| unavailable())?;
        Ok(place)
    }

    /// The segment that is written to, and the place in it up to which something was written.
    pub(crate) fn end(&self) -> (u64, u64) {
        let state = self.shared.state.lock();
        (state.current.number(), state.current.end())
    }

    /// The frames of a segment from a place in it on, byte for byte, up to `end` or to the end of the
    /// segment; the place after the last one.
    pub(crate) fn frames_from(
        &self,
        (segment, from): (u64, u64),
        end: Option<u64>,
        each: &mut dyn FnMut([u8; 16], &[u8]),
    ) -> Result<u64> {
        recover::frames_from(&self.shared.dir, (segment, from), end, each)
    }

    /// What was done to a tenant's records on the disk. `last` is the last one that somebody else knows
    /// of; `others` is asked for all tenants' keys where something does not open.
    pub(crate) fn examine(
        &self,
        keyed: &Keyed,
        last: u64,
        others: &mut dyn FnMut() -> Result<Vec<Keyed>>,
    ) -> Result<Vec<Done>> {
        let segments = self.segments()?;
        let oldest = segments.first().copied().unwrap_or(1);
        let heads = recover::heads_before(&self.shared.dir, oldest)?;
        let (end, head) = {
            let state = self.shared.state.lock();
            let head = state.heads.get(&keyed.0).copied().unwrap_or_default();
            ((state.current.number(), state.current.end()), head)
        };
        let extent = examine::Extent {
            segments,
            end,
            opened: self.shared.opened,
            start: heads
                .and_then(|h| h.get(&keyed.0).copied())
                .unwrap_or_default(),
            last: last.max(head.number),
        };
        examine::examine(&self.shared.dir, keyed, &extent, others)
    }

    /// Every tenant's place before a segment.
    pub(crate) fn heads_before(&self, segment: u64) -> Result<Heads> {
        let heads = recover::heads_before(&self.shared.dir, segment)?;
        heads.ok_or_else(unavailable)
    }

    /// Where a segment is.
    pub(crate) fn path_of(&self, segment: u64) -> PathBuf {
        segment::path(&self.shared.dir, segment)
    }

    /// The record in a frame and its number, if the key is its tenant's.
    pub(crate) fn open_frame(
        &self,
        key: &Secret<[u8; 32]>,
        bytes: &[u8],
    ) -> Result<Option<(u64, Vec<u8>)>> {
        let key = key_of(key)?;
        let mut buffer = Vec::new();
        Ok(frame::read(bytes).and_then(|(frame, _)| {
            let record = frame.open(&key, &mut buffer)?.to_vec();
            Some((frame.after.number, record))
        }))
    }

    /// The segment that follows one.
    pub(crate) fn segment_after(&self, segment: u64) -> Result<Option<u64>> {
        let segments = self.segments()?;
        Ok(segments.into_iter().find(|s| *s > segment))
    }

    /// Whether nothing came before a segment.
    pub(crate) fn begins_with(&self, segment: u64) -> Result<bool> {
        let heads = recover::heads_before(&self.shared.dir, segment)?;
        Ok(heads.is_some_and(|heads| heads.values().all(|head| head.number == 0)))
    }

    /// Numbers of the segments, oldest first.
    pub(crate) fn segments(&self) -> Result<Vec<u64>> {
        let mut numbers = recover::numbers(&self.shared.dir)?;
        let current = self.shared.state.lock().current.number();
        numbers.retain(|n| *n <= current);
        Ok(numbers)
    }

    /// The segment that holds a record of a tenant, if there is one.
    pub(crate) fn segment_of(&self, tenant: [u8; 16], number: u64) -> Result<Option<u64>> {
        if number == 0 || number > self.head(&tenant).number {
            return Ok(None);
        }
        let segments = self.segments()?;
        let (mut low, mut high) = (0, segments.len());
        // The last segment that begins before the record.
        while low < high {
            let middle = low + (high - low) / 2;
            let segment = segments.get(middle).copied().unwrap_or(0);
            let heads = recover::heads_before(&self.shared.dir, segment)?;
            let before = heads.and_then(|h| h.get(&tenant).map(|head| head.number));
            if before.unwrap_or(0) < number {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low.checked_sub(1).and_then(|at| segments.get(at).copied()))
    }

    /// Reads the records of a tenant in one segment, without a look at the chain; whether the segment
    /// is full, so that no more come.
    pub(crate) fn records_of(
        &self,
        tenant: [u8; 16],
        key: &Secret<[u8; 32]>,
        segment: u64,
        each: &mut dyn FnMut(Head, &[u8]),
    ) -> Result<bool> {
        self.records_from(tenant, key, (segment, 0), each)
    }

    /// Bytes appended since the journal was opened.
    pub(crate) fn written(&self) -> u64 {
        self.shared.state.lock().written
    }

    /// The ticket of everything that was appended.
    pub(crate) fn so_far(&self) -> Ticket {
        Ticket(self.written())
    }

    /// Bytes appended since the journal was opened that are on the disk.
    pub(crate) fn flushed(&self) -> u64 {
        self.shared.flushed.borrow().upto
    }

    /// Flushes since the journal was opened.
    pub(crate) fn flushes(&self) -> u64 {
        self.shared.flushes.load(Ordering::Relaxed)
    }

    /// Flushes what was written and stops the flusher.
    pub(crate) fn close(&self) {
        self.shared.state.lock().closing = true;
        self.shared.dirty.notify_all();
        if let Some(thread) = self.flusher.lock().take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn write(&self, frame: &[u8], tenant: [u8; 16], head: Head) -> Result<Ticket> {
        let mut state = self.state.lock();
        if state.broken || state.closing {
            return Err(unavailable());
        }
        if !state.current.has_room(frame.len()) {
            self.next_segment(&mut state, frame.len())?;
        }
        state.current.append(frame).map_err(|_| unavailable())?;
        state.heads.insert(tenant, head);
        let clean = state.written == self.flushed.borrow().upto;
        state.written += frame.len() as u64;
        let ticket = Ticket(state.written);
        drop(state);
        if clean || self.mode == AuditMode::Strict {
            self.dirty.notify_all();
        }
        Ok(ticket)
    }

    /// Goes on in the spare segment, or in a new one where there is none.
    fn next_segment(&self, state: &mut State, need: usize) -> Result<()> {
        let heads_bytes = segment::header_len(state.heads.len());
        let bytes = self.segment_bytes.max(2 * (heads_bytes + need) as u64);
        let mut next = match state.spare.take() {
            Some(spare) if spare.capacity() >= bytes => spare,
            unfit => {
                unfit.into_iter().for_each(Segment::discard);
                Segment::spare(&self.dir, bytes).map_err(|_| unavailable())?
            }
        };
        // The new header vouches for heads in the full segment: that must be on the disk first.
        state
            .current
            .file()
            .sync_data()
            .map_err(|_| unavailable())?;
        let number = state.current.number() + 1;
        next.begin(&self.dir, number, &state.heads)
            .map_err(|_| unavailable())?;
        let full = std::mem::replace(&mut state.current, next);
        state.full.push(full);
        self.dirty.notify_all();
        Ok(())
    }

    fn flush_until_closed(&self) {
        loop {
            let mut state = self.state.lock();
            while state.written == self.flushed.borrow().upto && !state.closing {
                self.dirty.wait(&mut state);
            }
            if let (AuditMode::Window(ms), false) = (self.mode, state.closing) {
                // Collect what comes within the window, then flush it all at once.
                let window = std::time::Duration::from_millis(ms);
                let _ = self
                    .dirty
                    .wait_while_for(&mut state, |s| !s.closing, window);
            }
            let upto = state.written;
            let mut files: Vec<_> = state.full.drain(..).map(|s| s.file()).collect();
            files.push(state.current.file());
            let closing = state.closing;
            let needs_spare = state.spare.is_none();
            drop(state);
            let good = files.iter().all(|f| f.sync_data().is_ok());
            self.flushes.fetch_add(1, Ordering::Relaxed);
            if !good {
                self.state.lock().broken = true;
            }
            self.flushed.send_replace(Flushed {
                upto,
                broken: !good,
            });
            if closing || !good {
                return;
            }
            if needs_spare && let Ok(spare) = Segment::spare(&self.dir, self.segment_bytes) {
                let surplus = self.state.lock().spare.replace(spare);
                surplus.into_iter().for_each(Segment::discard);
            }
        }
    }
}

#[cfg(test)]
mod tests;
