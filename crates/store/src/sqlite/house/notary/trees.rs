//! Where all trees stood before a segment of the journal, kept beside the heads: so that a start does
//! not read the whole journal, and trees go on after old segments are gone.
//!
//! ```text
//! "IJTREE1\0"  segment (8)  count (8)  { tenant 16  size (8)  hashes of full subtrees 32* }*  HMAC-SHA256 of all before
//! ```
//! Integers are little-endian.

use std::collections::HashMap;
use std::path::PathBuf;

use ring::hmac;

use super::{Grown, House, incomplete};
use crate::Result;
use crate::merkle::{self, Frontier};
use crate::sqlite::fault::Doing;
use crate::sqlite::folder;

const MAGIC: &[u8; 8] = b"IJTREE1\0";
const MAC: usize = 32;
/// Of the newest segments so many are kept, besides that of the oldest segment.
const KEPT: usize = 2;

type Trees = HashMap<[u8; 16], Frontier>;

fn path(house: &House, segment: u64) -> PathBuf {
    house.folder.heads().join(format!("{segment:016}.trees"))
}

/// Keeps where trees stand before a segment.
pub(super) fn keep(house: &House, trees: &HashMap<[u8; 16], Grown>, segment: u64) -> Result<()> {
    let trees = trees.iter().map(|(tenant, grown)| (tenant, &grown.tree));
    write(house, trees, segment)?;
    let known = known(house)?;
    let oldest = house.shared.journal.segments()?.first().copied();
    let needed = known.iter().rev().take(KEPT).copied();
    let needed: Vec<u64> = needed.chain(oldest).collect();
    for segment in known.iter().filter(|s| !needed.contains(s)) {
        // Kept too long does no harm.
        let _ = std::fs::remove_file(path(house, *segment));
    }
    Ok(())
}

/// Keeps where trees stand before the segment that follows the oldest one.
pub(in super::super) fn carry(house: &House, oldest: u64, next: u64) -> Result<()> {
    let mut trees = before(house, oldest)?;
    house
        .shared
        .journal
        .frames_from((oldest, 0), None, &mut |tenant, frame| {
            trees.entry(tenant).or_default().push(merkle::leaf(frame));
        })?;
    write(house, trees.iter(), next)
}

fn write<'t>(
    house: &House,
    trees: impl ExactSizeIterator<Item = (&'t [u8; 16], &'t Frontier)>,
    segment: u64,
) -> Result<()> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&segment.to_le_bytes());
    out.extend_from_slice(&(trees.len() as u64).to_le_bytes());
    for (tenant, tree) in trees {
        out.extend_from_slice(tenant);
        out.extend_from_slice(&tree.size().to_le_bytes());
        tree.nodes().iter().for_each(|n| out.extend_from_slice(n));
    }
    let mac = hmac::sign(&house.keys.control, &out);
    out.extend_from_slice(mac.as_ref());
    let dir = house.folder.heads();
    folder::make_dir(&dir)?;
    folder::replace(&path(house, segment), &out)
}

/// Segments of which it is kept, oldest first.
fn known(house: &House) -> Result<Vec<u64>> {
    const DOING: &str = "looking for the trees of trails";
    let found = match std::fs::read_dir(house.folder.heads()) {
        Ok(found) => found,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).doing(DOING),
    };
    let mut known = Vec::new();
    for file in found {
        let name = file.doing(DOING)?.file_name();
        let number = name.to_str().and_then(|n| n.strip_suffix(".trees"));
        known.extend(number.and_then(|n| n.parse::<u64>().ok()));
    }
    known.sort_unstable();
    Ok(known)
}

/// The newest segment of which it is known where the trees stood before it, and where.
pub(super) fn recall(house: &House) -> Result<(u64, Trees)> {
    let segments = house.shared.journal.segments()?;
    for segment in segments.iter().rev() {
        if let Some(trees) = read(house, *segment)? {
            return Ok((*segment, trees));
        }
    }
    let oldest = segments.first().copied().unwrap_or(1);
    before(house, oldest).map(|trees| (oldest, trees))
}

/// Where the trees stood before the oldest segment.
pub(super) fn before(house: &House, oldest: u64) -> Result<Trees> {
    match read(house, oldest)? {
        Some(trees) => Ok(trees),
        // Before the first there was nothing.
        None if house.shared.journal.begins_with(oldest)? => Ok(Trees::new()),
        None => Err(incomplete()),
    }
}

/// The first segment that the house itself left when it took older ones away.
pub(super) fn floor(house: &House) -> Result<Option<u64>> {
    let path = house.folder.heads().join("floor");
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).doing("reading which segments of the journal were taken away"),
    };
    let Some((number, mac)) = bytes.split_first_chunk::<8>() else {
        return Ok(None);
    };
    let good = hmac::verify(&house.keys.control, &floor_text(*number), mac).is_ok();
    Ok(good.then(|| u64::from_le_bytes(*number)))
}

/// Keeps which segment is the first one from now on.
pub(in super::super) fn set_floor(house: &House, segment: u64) -> Result<()> {
    let number = segment.to_le_bytes();
    let mac = hmac::sign(&house.keys.control, &floor_text(number));
    let mut out = number.to_vec();
    out.extend_from_slice(mac.as_ref());
    folder::replace(&house.folder.heads().join("floor"), &out)
}

fn floor_text(number: [u8; 8]) -> Vec<u8> {
    let mut text = b"journal floor\0".to_vec();
    text.extend_from_slice(&number);
    text
}

/// `None` if it is not there, or not as it was written.
fn read(house: &House, segment: u64) -> Result<Option<Trees>> {
    match std::fs::read(path(house, segment)) {
        Ok(bytes) => Ok(parse(&house.keys.control, &bytes, segment)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).doing("reading the trees of trails"),
    }
}

fn parse(key: &hmac::Key, bytes: &[u8], segment: u64) -> Option<Trees> {
    let (signed, mac) = bytes.split_at_checked(bytes.len().checked_sub(MAC)?)?;
    hmac::verify(key, signed, mac).ok()?;
    let mut rest = signed.strip_prefix(MAGIC)?;
    let word = |rest: &mut &[u8]| {
        let (word, more) = rest.split_first_chunk::<8>()?;
        *rest = more;
        Some(u64::from_le_bytes(*word))
    };
    (word(&mut rest)? == segment).then_some(())?;
    let count = word(&mut rest)?;
    let mut trees = Trees::new();
    for _ in 0..count {
        let (tenant, more) = rest.split_first_chunk::<16>()?;
        rest = more;
        let size = word(&mut rest)?;
        let mut nodes = Vec::with_capacity(size.count_ones() as usize);
        for _ in 0..size.count_ones() {
            let (node, more) = rest.split_first_chunk::<32>()?;
            rest = more;
            nodes.push(*node);
        }
        trees.insert(*tenant, Frontier::of(size, nodes)?);
    }
    Some(trees)
}
