//! One file of the journal: zeros, a header with every tenant's head at its beginning, frames.
//!
//! ```text
//! "IJSEG1\0\0"  number u64 LE  heads u64 LE  { tenant 16  number u64 LE  chain 32 }*  SHA-256 of all before
//! ```

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ring::digest;

use super::frame::Head;

const MAGIC: &[u8; 8] = b"IJSEG1\0\0";
const ENTRY: usize = 56;
/// Zeros are written so many bytes at a time. The page cache keeps a file in pieces as large as it
/// was written in, and each record costs time in proportion to the piece that it falls into: half
/// as much as in pieces of a megabyte.
const FILL_BYTES: usize = 16 << 10;
/// How names of files begin that are zeros and not yet part of the journal.
const SPARE: &str = "spare-";
/// The spare that an earlier process left, for whoever makes the next one.
const LEFT: &str = "spare-left";

/// Bytes of a segment's header with this many heads.
pub(super) const fn header_len(heads: usize) -> usize {
    24 + heads * ENTRY + 32
}

#[derive(Debug)]
pub(super) struct Segment {
    file: Arc<File>,
    path: PathBuf,
    number: u64,
    end: u64,
    capacity: u64,
}

pub(super) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016}.seg"))
}

/// Keeps one spare of an earlier process for [`Segment::spare`]: room that was taken on the disk is not let go of,
/// where somebody else could fill it.
pub(super) fn leave_one_spare(dir: &Path) -> io::Result<()> {
    let left = dir.join(LEFT);
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let is_spare = |name: &str| name.starts_with(SPARE) && name != LEFT;
        if !entry.file_name().to_str().is_some_and(is_spare) {
            continue;
        }
        match left.exists() {
            true => std::fs::remove_file(entry.path())?,
            false => std::fs::rename(entry.path(), &left)?,
        }
    }
    Ok(())
}

impl Segment {
    /// A file of zeros on the disk, not yet part of the journal. One that an earlier process left is not known to
    /// be whole: zeros are written over it.
    pub(super) fn spare(dir: &Path, bytes: u64) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        std::fs::create_dir_all(dir)?;
        let path = dir.join(format!("{SPARE}{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        match std::fs::rename(dir.join(LEFT), &path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => (),
        }
        let mut options = OpenOptions::new();
        options
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600);
        let result = options.open(&path).and_then(|mut file| {
            let zeros = vec![0u8; FILL_BYTES];
            let mut left = bytes;
            while left > 0 {
                let n = left.min(zeros.len() as u64);
                file.write_all(zeros.get(..n as usize).unwrap_or(&zeros))?;
                left -= n;
            }
            file.set_len(bytes)?;
            file.sync_all()?;
            Ok(file)
        });
        if result.is_err() {
            // A half-filled spare would keep the last room from those who could use it.
            let _ = std::fs::remove_file(&path);
        }
        Ok(Self {
            file: Arc::new(result?),
            path,
            number: 0,
            end: 0,
            capacity: bytes,
        })
    }

    /// Makes a spare the journal's segment `number`.
    pub(super) fn begin(
        &mut self,
        dir: &Path,
        number: u64,
        heads: &HashMap<[u8; 16], Head>,
    ) -> io::Result<()> {
        let header = header(number, heads);
        self.file.write_all_at(&header, 0)?;
        self.file.sync_data()?;
        let path = path(dir, number);
        std::fs::rename(&self.path, &path)?;
        File::open(dir)?.sync_all()?;
        self.path = path;
        self.number = number;
        self.end = header.len() as u64;
        Ok(())
    }

    /// Goes on in a segment that an earlier process wrote up to `end`.
    pub(super) fn resume(file: File, path: PathBuf, number: u64, end: u64) -> io::Result<Self> {
        let capacity = file.metadata()?.len();
        Ok(Self {
            file: Arc::new(file),
            path,
            number,
            end,
            capacity,
        })
    }

    /// Takes an unused spare off the disk.
    pub(super) fn discard(self) {
        let _ = std::fs::remove_file(&self.path);
    }

    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    pub(super) const fn end(&self) -> u64 {
        self.end
    }

    pub(super) const fn capacity(&self) -> u64 {
        self.capacity
    }

    pub(super) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    pub(super) const fn has_room(&self, bytes: usize) -> bool {
        self.end + bytes as u64 <= self.capacity
    }

    /// Hands a frame to the operating system. After a failure nothing counts as written.
    pub(super) fn append(&mut self, frame: &[u8]) -> io::Result<()> {
        self.file.write_all_at(frame, self.end)?;
        self.end += frame.len() as u64;
        Ok(())
    }
}

fn header(number: u64, heads: &HashMap<[u8; 16], Head>) -> Vec<u8> {
    let mut out = Vec::with_capacity(header_len(heads.len()));
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(&(heads.len() as u64).to_le_bytes());
    for (tenant, head) in heads {
        out.extend_from_slice(tenant);
        out.extend_from_slice(&head.number.to_le_bytes());
        out.extend_from_slice(&head.chain);
    }
    let digest = digest::digest(&digest::SHA256, &out);
    out.extend_from_slice(digest.as_ref());
    out
}

/// A segment read whole.
pub(super) struct Contents {
    pub(super) heads: HashMap<[u8; 16], Head>,
    pub(super) bytes: Vec<u8>,
    /// Where the frames begin.
    pub(super) start: usize,
}

/// Reads a segment; `None` if its header is not whole.
pub(super) fn read(file: &mut File, number: u64) -> io::Result<Option<Contents>> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(parse(&bytes, number).map(|(heads, start)| Contents {
        heads,
        bytes,
        start,
    }))
}

/// The heads in a segment's header; `None` if it is not whole.
pub(super) fn read_heads(
    file: &mut File,
    number: u64,
) -> io::Result<Option<HashMap<[u8; 16], Head>>> {
    let mut bytes = vec![0; 24];
    if file.read_exact(&mut bytes).is_err() {
        return Ok(None);
    }
    let count = bytes.get(16..24).and_then(|b| b.try_into().ok());
    let count = count.map_or(0, u64::from_le_bytes);
    let rest = count.saturating_mul(ENTRY as u64).saturating_add(32);
    file.take(rest).read_to_end(&mut bytes)?;
    Ok(parse(&bytes, number).map(|(heads, _)| heads))
}

fn parse(bytes: &[u8], number: u64) -> Option<(HashMap<[u8; 16], Head>, usize)> {
    let word = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    if bytes.get(..8)? != MAGIC || word(8)? != number {
        return None;
    }
    let count = usize::try_from(word(16)?).ok()?;
    let end = count.checked_mul(ENTRY)?.checked_add(24)?;
    let signed = bytes.get(..end)?;
    let digest = digest::digest(&digest::SHA256, signed);
    if bytes.get(end..end + 32)? != digest.as_ref() {
        return None;
    }
    let mut heads = HashMap::with_capacity(count);
    for entry in signed.get(24..)?.chunks_exact(ENTRY) {
        let number = u64::from_le_bytes(entry.get(16..24)?.try_into().ok()?);
        let chain = entry.get(24..)?.try_into().ok()?;
        heads.insert(entry.get(..16)?.try_into().ok()?, Head { number, chain });
    }
    Some((heads, end + 32))
}
