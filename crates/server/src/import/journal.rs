//! What an interrupted import has done: one line a request, appended after the server answered.
//!
//! Inputs are known by their digest, resources by their place in them, so that renamed or moved
//! files count as the same. A line that was cut off is ignored; its resources are sent again,
//! which changes nothing.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// One line.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Line {
    /// Digest in hex, first ordinal, the one after the last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) done: Vec<(String, u64, u64)>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) written: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) rejected: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) repeated: u64,
    /// Digest in hex and number of resources of an input that was read to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) end: Option<(String, u64)>,
    /// The id of the way in that the lines from here on were written through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) way: Option<String>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
const fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Ordinals that are done: the one after the last, by the first one. Ranges do not touch.
#[derive(Debug, Default)]
struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    fn add(&mut self, mut from: u64, mut to: u64) {
        while let Some((&start, &end)) = self.0.range(..=to).next_back() {
            if end < from {
                break;
            }
            self.0.remove(&start);
            from = from.min(start);
            to = to.max(end);
        }
        self.0.insert(from, to);
    }

    fn has(&self, at: u64) -> bool {
        self.0
            .range(..=at)
            .next_back()
            .is_some_and(|(_, end)| at < *end)
    }

    fn covers(&self, count: u64) -> bool {
        count == 0 || self.0.get(&0).is_some_and(|end| *end >= count)
    }
}

#[derive(Debug, Default)]
struct Done {
    ranges: HashMap<String, Ranges>,
    ends: HashMap<String, u64>,
    written: BTreeMap<String, u64>,
    rejected: u64,
    repeated: u64,
    ways: Vec<String>,
}

/// The journal of an earlier run, and the file in which it goes on.
#[derive(Clone, Debug)]
pub struct Journal {
    path: PathBuf,
    done: Arc<Done>,
    file: Arc<File>,
}

impl Journal {
    /// Opens the journal at a path. One whose first line is not `identity` is of another server or
    /// tenant and begins anew.
    ///
    /// # Errors
    /// The file cannot be made, read or written.
    pub fn open(path: &Path, identity: &str) -> anyhow::Result<Self> {
        let about = || format!("cannot open the journal {}", path.display());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(about)?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).with_context(about)?;
        // Held until the last clone of the journal is dropped, also by kill -9.
        file.try_lock().with_context(|| {
            format!(
                "another import into this tenant is running (it holds {})",
                path.display()
            )
        })?;
        let mut text = String::new();
        if file.read_to_string(&mut text).is_err() {
            text.clear();
        }
        let mut done = Done::default();
        let mut lines = text.split_inclusive('\n');
        if lines.next().map(str::trim_end) == Some(identity) {
            let whole = |line: &&str| line.ends_with('\n');
            let parsed = lines
                .filter(whole)
                .filter_map(|line| serde_json::from_str(line).ok());
            parsed.for_each(|line: Line| done.add(line));
            file.seek(SeekFrom::End(0)).with_context(about)?;
            if !text.ends_with('\n') {
                file.write_all(b"\n").with_context(about)?;
            }
        } else {
            file.set_len(0).with_context(about)?;
            file.seek(SeekFrom::Start(0)).with_context(about)?;
            file.write_all(format!("{identity}\n").as_bytes())
                .with_context(about)?;
        }
        Ok(Self {
            path: path.to_owned(),
            done: Arc::new(done),
            file: Arc::new(file),
        })
    }

    /// Whether an earlier run did anything.
    pub fn has_earlier(&self) -> bool {
        !self.done.ranges.is_empty()
    }

    /// Whether all of an input is done.
    pub fn has_whole(&self, digest: &[u8; 32]) -> bool {
        let digest = hex(digest);
        let ranges = self.done.ranges.get(&digest);
        self.done
            .ends
            .get(&digest)
            .is_some_and(|count| *count == 0 || ranges.is_some_and(|r| r.covers(*count)))
    }

    /// Whether one resource of an input is done.
    pub(super) fn has(&self, digest: &[u8; 32], ordinal: u64) -> bool {
        !self.done.ranges.is_empty()
            && self
                .done
                .ranges
                .get(&hex(digest))
                .is_some_and(|r| r.has(ordinal))
    }

    /// Written by type, rejected, repeated.
    pub(super) fn earlier(&self) -> (&BTreeMap<String, u64>, u64, u64) {
        (&self.done.written, self.done.rejected, self.done.repeated)
    }

    /// Ids of the ways in of earlier runs.
    pub(super) fn ways(&self) -> &[String] {
        &self.done.ways
    }

    /// Appends a line.
    pub(super) fn write(&self, line: &Line) -> anyhow::Result<()> {
        let mut text = serde_json::to_string(line)?;
        text.push('\n');
        let written = (&*self.file).write_all(text.as_bytes());
        written.with_context(|| format!("cannot write the journal {}", self.path.display()))
    }

    /// The import is complete: there is nothing to go on with.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn remove(self) -> anyhow::Result<()> {
        let removed = std::fs::remove_file(&self.path);
        removed.with_context(|| format!("cannot remove the journal {}", self.path.display()))
    }
}

impl Done {
    fn add(&mut self, line: Line) {
        for (digest, from, to) in line.done {
            self.ranges.entry(digest).or_default().add(from, to);
        }
        for (name, count) in line.written {
            *self.written.entry(name).or_default() += count;
        }
        self.rejected += line.rejected;
        self.repeated += line.repeated;
        self.ends.extend(line.end);
        self.ways.extend(line.way);
    }
}

/// Digest as text.
pub(super) fn hex(digest: &[u8; 32]) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(64);
    for byte in digest {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_grow_together() {
        let mut ranges = Ranges::default();
        for (from, to) in [(10, 20), (0, 5), (30, 40), (5, 10), (18, 31)] {
            ranges.add(from, to);
        }
        assert_eq!(ranges.0.into_iter().collect::<Vec<_>>(), [(0, 40)]);
        let mut ranges = Ranges::default();
        ranges.add(3, 4);
        ranges.add(1, 2);
        assert!(ranges.has(3) && ranges.has(1) && !ranges.has(2) && !ranges.has(0));
        assert!(!ranges.covers(2) && ranges.covers(0));
    }
}
