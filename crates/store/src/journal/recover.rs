//! Reading the journal: after a start, and to verify.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use base::Code;
use ring::aead::LessSafeKey;

use super::frame::{self, Head};
use super::segment::{self, Segment};
use crate::StoreError;
use crate::error::is_full;

/// What a reading of a tenant's records found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scan {
    /// Records that are whole and in order.
    pub(crate) records: u64,
    /// Number of the first record whose chain, key or place is wrong.
    pub(crate) broken_at: Option<u64>,
    /// Where the first segment on the disk begins: before the tenant's first record, unless
    /// segments were taken away.
    pub(crate) start: Head,
    /// The last good place in the chain.
    pub(crate) head: Head,
}

type Result<T> = std::result::Result<T, StoreError>;

fn fault(what: &str, e: &std::io::Error) -> StoreError {
    let code = match is_full(e) {
        true => Code::StorageFull,
        false => Code::StorageFault,
    };
    StoreError::Refused(code, format!("journal/: {what}: {e}"))
}

/// Numbers of the segments on disk, oldest first.
pub(super) fn numbers(dir: &Path) -> Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|e| fault("list", &e))? {
        let entry = entry.map_err(|e| fault("list", &e))?;
        let name = entry.file_name();
        let number = name
            .to_str()
            .and_then(|n| n.strip_suffix(".seg"))
            .map(str::parse);
        if let Some(Ok(number)) = number {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Every tenant's place before a segment, as its header says.
pub(super) fn heads_before(dir: &Path, number: u64) -> Result<Option<HashMap<[u8; 16], Head>>> {
    let mut file = File::open(segment::path(dir, number)).map_err(|e| fault("open", &e))?;
    segment::read_heads(&mut file, number).map_err(|e| fault("read", &e))
}

/// The frames of a segment from a place on; the place after the last one.
pub(super) fn frames_from(
    dir: &Path,
    (number, from): (u64, u64),
    end: Option<u64>,
    each: &mut dyn FnMut([u8; 16], &[u8]),
) -> Result<u64> {
    let mut file = File::open(segment::path(dir, number)).map_err(|e| fault("open", &e))?;
    let mut at = from;
    if at == 0 {
        let heads = segment::read_heads(&mut file, number).map_err(|e| fault("read", &e))?;
        // A segment without a whole header has no records.
        let Some(heads) = heads else { return Ok(from) };
        at = segment::header_len(heads.len()) as u64;
    }
    file.seek(SeekFrom::Start(at))
        .map_err(|e| fault("read", &e))?;
    let mut bytes = Vec::new();
    let most = end.map_or(u64::MAX, |end| end.saturating_sub(at));
    file.take(most)
        .read_to_end(&mut bytes)
        .map_err(|e| fault("read", &e))?;
    let mut rest = bytes.as_slice();
    while let Some((frame, length)) = frame::read(rest) {
        let (whole, more) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        each(frame.tenant, whole);
        at += length as u64;
        rest = more;
    }
    Ok(at)
}

/// The records of one tenant in one segment from a place on, or from its beginning for 0, up to `end`;
/// those that do not open are passed over.
pub(super) fn records_of(
    dir: &Path,
    (tenant, key): ([u8; 16], &LessSafeKey),
    (number, from): (u64, u64),
    end: Option<u64>,
    each: &mut dyn FnMut(Head, &[u8]),
) -> Result<()> {
    let mut file = File::open(segment::path(dir, number)).map_err(|e| fault("open", &e))?;
    let contents = segment::read(&mut file, number).map_err(|e| fault("read", &e))?;
    let Some(contents) = contents else {
        return Ok(());
    };
    let stop = end.map_or(contents.bytes.len(), |end| end as usize);
    let mut buffer = Vec::new();
    let mut at = contents.start.max(from as usize);
    while let Some((frame, len)) = contents.bytes.get(at..stop).and_then(frame::read) {
        at += len;
        if frame.tenant == tenant
            && let Some(record) = frame.open(key, &mut buffer)
        {
            each(frame.after, record);
        }
    }
    Ok(())
}

/// Bytes of a segment where there is no room for a whole one.
const SMALL_BYTES: u64 = 256 << 10;

/// The segment to go on in, and every tenant's last place. A torn tail ends its segment.
pub(super) fn newest(dir: &Path, bytes: u64) -> Result<(Segment, HashMap<[u8; 16], Head>)> {
    std::fs::create_dir_all(dir).map_err(|e| fault("folder", &e))?;
    segment::leave_one_spare(dir).map_err(|e| fault("spares", &e))?;
    let mut last = 0;
    let mut heads = HashMap::new();
    for &number in numbers(dir)?.iter().rev() {
        last = last.max(number);
        let path = segment::path(dir, number);
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let mut file = file.map_err(|e| fault("open", &e))?;
        let contents = segment::read(&mut file, number).map_err(|e| fault("read", &e))?;
        let Some(contents) = contents else { continue };
        heads = contents.heads;
        let mut at = contents.start;
        let rest = |at: usize| contents.bytes.get(at..).unwrap_or(&[]);
        while let Some((frame, len)) = frame::read(rest(at)) {
            // One that does not follow was altered, or comes after what was taken out: verification
            // says so. Numbers go on after the last one, so that none is given twice.
            let before = heads.get(&frame.tenant).copied().unwrap_or_default();
            // So many frames there are not room for: a number that somebody made up.
            let most = before
                .number
                .saturating_add(contents.bytes.len() as u64 / frame::BYTES_MIN);
            if frame.after.number > before.number && frame.after.number <= most {
                heads.insert(frame.tenant, frame.after);
            }
            at += len;
        }
        if number == last && rest(at).iter().all(|b| *b == 0) {
            let segment = Segment::resume(file, path, number, at as u64);
            return Ok((segment.map_err(|e| fault("resume", &e))?, heads));
        }
        break;
    }
    let least = 2 * segment::header_len(heads.len()) as u64;
    let fresh = match Segment::spare(dir, bytes.max(least)) {
        // Reads go on for as long as there is any room for their records.
        Err(e) if is_full(&e) => Segment::spare(dir, SMALL_BYTES.min(bytes).max(least)),
        made => made,
    };
    let mut fresh = fresh.map_err(|e| fault("make a segment", &e))?;
    fresh
        .begin(dir, last + 1, &heads)
        .map_err(|e| fault("make a segment", &e))?;
    Ok((fresh, heads))
}

/// Reads all records of one tenant. `end` is the segment and offset up to which to read.
pub(super) fn scan(
    dir: &Path,
    tenant: [u8; 16],
    key: &LessSafeKey,
    end: (u64, u64),
    each: &mut dyn FnMut(Head, &[u8]),
) -> Result<Scan> {
    let mut scan = Scan::default();
    let mut buffer = Vec::new();
    let mut first = true;
    for number in numbers(dir)?.into_iter().filter(|n| *n <= end.0) {
        let mut file = File::open(segment::path(dir, number)).map_err(|e| fault("open", &e))?;
        let contents = segment::read(&mut file, number).map_err(|e| fault("read", &e))?;
        let Some(contents) = contents else { continue };
        let start = contents.heads.get(&tenant).copied().unwrap_or_default();
        if first {
            // Older segments may have been taken away; the oldest kept one says where it goes on.
            (scan.start, scan.head) = (start, start);
            first = false;
        } else if start != scan.head && scan.broken_at.is_none() {
            scan.broken_at = Some(scan.head.number + 1);
        }
        let stop = if number == end.0 {
            end.1 as usize
        } else {
            contents.bytes.len()
        };
        let mut at = contents.start;
        while let Some((frame, len)) = contents.bytes.get(at..stop).and_then(frame::read) {
            at += len;
            if frame.tenant != tenant || scan.broken_at.is_some() {
                continue;
            }
            match frame.open(key, &mut buffer) {
                Some(record) if frame.follows(scan.head) => each(frame.after, record),
                _ => {
                    scan.broken_at = Some(scan.head.number + 1);
                    continue;
                }
            }
            scan.records += 1;
            scan.head = frame.after;
        }
    }
    Ok(scan)
}
