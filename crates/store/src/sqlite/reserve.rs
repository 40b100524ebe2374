//! Room on the disk that is kept for reading: a file that is given up when there is no other room, so that a
//! folder on a full disk can be opened and served. While it is given up nothing is written, and as soon as
//! there is room it is made again.
//!
//! Reading needs little: records of it go where the journal has room ready. What is left are small files of a
//! start, and those that lie beside a database while it is open.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use base::limits::fixed::DISK_RESERVE_BYTES;
use base::{Code, Micros};
use parking_lot::Mutex;

use crate::error::is_full;
use crate::{Result, StoreError};

/// Bytes for which there must be room at a start beside the reserve.
const START_BYTES: usize = 256 << 10;
/// A reserve that is given up is tried to be made so often, in microseconds.
const AGAIN_US: i64 = 1_000_000;

/// The reserve of one data folder.
#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    stands: AtomicBool,
    tried: Mutex<Option<Micros>>,
}

impl Reserve {
    /// Looks whether there is room for a start. If there is not, the reserve is given up for it.
    pub(crate) fn begin(root: &Path) -> Self {
        let reserve = Self {
            path: root.join("insula.reserve"),
            stands: AtomicBool::new(false),
            tried: Mutex::new(None),
        };
        if !reserve.stand_up() {
            reserve.give_up();
        }
        if !reserve.stands.load(Ordering::Relaxed) {
            tracing::error!(
                folder = %root.display(),
                code = Code::StorageFull.as_str(),
                "the disk is full: reads are served, and writes are refused until there is room"
            );
        }
        reserve
    }

    /// Refuses while there is no reserve. One that was given up is made again here, if there is room.
    pub(crate) fn must_stand(&self, now: Micros) -> Result<()> {
        if self.stands.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut tried = self.tried.lock();
        let is_due = tried.is_none_or(|at| now.0 - at.0 >= AGAIN_US);
        if is_due {
            *tried = Some(now);
            if self.stand_up() {
                tracing::info!("there is room on the disk again: writes are made");
            }
        }
        match self.stands.load(Ordering::Relaxed) {
            true => Ok(()),
            false => {
                let text = "the disk is full: what is left is kept for reading";
                Err(StoreError::Refused(Code::StorageFull, text.to_owned()))
            }
        }
    }

    /// Gives the room to whoever serves reads; whether there was any.
    pub(crate) fn give_up(&self) -> bool {
        self.stands.store(false, Ordering::Relaxed);
        fs::remove_file(&self.path).is_ok()
    }

    /// Makes the reserve, if there is room for it and beside it; whether it stands. The only answer about room
    /// that counts quotas too is that of writing.
    fn stand_up(&self) -> bool {
        let probe = self.path.with_extension("probe");
        let beside = write(&probe, START_BYTES);
        let stands = !lacks_room(&beside) && self.make();
        let _ = fs::remove_file(&probe);
        self.stands.store(stands, Ordering::Relaxed);
        stands
    }

    /// Makes the reserve, if it is not there; whether there was room for it.
    fn make(&self) -> bool {
        let there = fs::metadata(&self.path).map_or(0, |about| about.len());
        if there == DISK_RESERVE_BYTES as u64 {
            return true;
        }
        let made = write(&self.path, DISK_RESERVE_BYTES);
        if made.is_err() {
            let _ = fs::remove_file(&self.path);
        }
        !lacks_room(&made)
    }
}

/// Whether there was no room. What else keeps a file from being written is not about the disk being full.
fn lacks_room(written: &io::Result<()>) -> bool {
    written.as_ref().is_err_and(is_full)
}

/// A file of bytes that no file system makes smaller.
fn write(path: &Path, bytes: usize) -> io::Result<()> {
    let mut content = vec![0; bytes];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for word in content.chunks_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        for (byte, of) in word.iter_mut().zip(state.to_le_bytes()) {
            *byte = of;
        }
    }
    let mut options = OpenOptions::new();
    let options = options.create(true).truncate(true).write(true).mode(0o600);
    let mut file = options.open(path)?;
    file.write_all(&content)?;
    file.sync_data()
}
