//! The books of an import: counts, journal, rejects, progress.

use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use parking_lot::Mutex;

use super::deliver::Verdict;
use super::journal::{Journal, Line, hex};
use super::pack::Chunk;
use super::split::Item;
use super::{Reject, Summary};

/// A resource by input and place in it.
pub(super) type Which = ([u8; 32], u64);

#[derive(Debug)]
pub(super) struct Ledger {
    journal: Option<Journal>,
    books: Mutex<Books>,
}

#[derive(Debug)]
struct Books {
    summary: Summary,
    rejects: PathBuf,
    file: Option<File>,
    missing: HashSet<Which>,
    /// Whether what refers to something missing may wait for another pass.
    patient: bool,
}

impl Ledger {
    pub(super) fn new(journal: Option<Journal>, rejects: PathBuf) -> Self {
        let mut summary = Summary::default();
        if let Some(journal) = &journal {
            let (written, rejected, repeated) = journal.earlier();
            summary.written = written.clone();
            (summary.rejected, summary.repeated) = (rejected, repeated);
            summary.earlier = summary.total();
        }
        let missing = HashSet::new();
        let books = Books {
            summary,
            rejects,
            file: None,
            missing,
            patient: true,
        };
        Self {
            journal,
            books: Mutex::new(books),
        }
    }

    /// Whether an earlier run did this.
    pub(super) fn has(&self, which: &Which) -> bool {
        self.journal
            .as_ref()
            .is_some_and(|j| j.has(&which.0, which.1))
    }

    /// Enters what became of a chunk.
    pub(super) fn enter(&self, chunk: &Chunk, verdicts: &[Verdict]) -> anyhow::Result<()> {
        let mut line = Line::default();
        let mut done: Vec<Which> = Vec::with_capacity(chunk.items.len() + chunk.repeated.len());
        let mut rejects = Vec::new();
        let mut same = 0;
        let mut books = self.books.lock();
        for (item, verdict) in chunk.items.iter().zip(verdicts) {
            let which = (item.place.origin.digest, item.ordinal);
            match verdict {
                Verdict::Written(_) => {
                    *line.written.entry(item.type_name.to_owned()).or_default() += 1;
                }
                Verdict::Same(_) => same += 1,
                Verdict::Missing(_) if books.patient => {
                    books.missing.insert(which);
                    continue;
                }
                Verdict::Missing(why) => rejects.push(reject(item, None, why)),
                Verdict::Refused(code, why) => rejects.push(reject(item, code.clone(), why)),
            }
            done.push(which);
        }
        done.extend(&chunk.repeated);
        line.repeated = chunk.repeated.len() as u64 + same;
        line.rejected = rejects.len() as u64;
        line.done = ranges(done);
        books.write_rejects(&rejects)?;
        books.count(&line.written, line.rejected, line.repeated);
        match &self.journal {
            Some(journal) if !line.done.is_empty() => journal.write(&line),
            _ => Ok(()),
        }
    }

    /// Enters something that was refused before it was sent.
    pub(super) fn refuse(&self, which: Which, reject: Reject) -> anyhow::Result<()> {
        let mut books = self.books.lock();
        books.write_rejects(&[reject])?;
        books.count(&BTreeMap::new(), 1, 0);
        let line = Line {
            done: ranges(vec![which]),
            rejected: 1,
            ..Line::default()
        };
        self.journal
            .as_ref()
            .map_or(Ok(()), |journal| journal.write(&line))
    }

    /// Enters that an input was read to its end.
    pub(super) fn end(&self, digest: &[u8; 32], count: u64) -> anyhow::Result<()> {
        let line = Line {
            end: Some((hex(digest), count)),
            ..Line::default()
        };
        self.journal
            .as_ref()
            .map_or(Ok(()), |journal| journal.write(&line))
    }

    /// Enters references that were left as they are.
    pub(super) fn unresolved(&self, count: usize) {
        self.books.lock().summary.unresolved += count as u64;
    }

    /// What waits for another pass.
    pub(super) fn take_missing(&self) -> HashSet<Which> {
        std::mem::take(&mut self.books.lock().missing)
    }

    /// From now on, what refers to something missing is refused.
    pub(super) fn stop_waiting(&self) {
        self.books.lock().patient = false;
    }

    /// Resources written and refused so far.
    pub(super) fn so_far(&self) -> (u64, u64) {
        let books = self.books.lock();
        (books.summary.total(), books.summary.rejected)
    }

    /// Closes the books; the journal has served.
    pub(super) fn close(self) -> anyhow::Result<Summary> {
        self.journal.map_or(Ok(()), Journal::remove)?;
        Ok(self.books.into_inner().summary)
    }
}

impl Books {
    fn count(&mut self, written: &BTreeMap<String, u64>, rejected: u64, repeated: u64) {
        for (name, count) in written {
            *self.summary.written.entry(name.clone()).or_default() += count;
        }
        self.summary.rejected += rejected;
        self.summary.repeated += repeated;
    }

    fn write_rejects(&mut self, rejects: &[Reject]) -> anyhow::Result<()> {
        if rejects.is_empty() {
            return Ok(());
        }
        let about = || format!("cannot write the rejects to {}", self.rejects.display());
        let mut text = String::new();
        for reject in rejects {
            text.push_str(&serde_json::to_string(reject)?);
            text.push('\n');
        }
        if self.file.is_none() {
            let file = OpenOptions::new()
                .append(true)
                .create(true)
                .open(&self.rejects);
            self.file = Some(file.with_context(about)?);
        }
        match &mut self.file {
            Some(file) => file.write_all(text.as_bytes()).with_context(about),
            None => Ok(()),
        }
    }
}

fn reject(item: &Item, code: Option<String>, why: &str) -> Reject {
    let resource = format!("{}/{}", item.type_name, item.id);
    item.place.reject(Some(resource), code, why.to_owned())
}

/// Ordinals put together to ranges.
fn ranges(mut done: Vec<Which>) -> Vec<(String, u64, u64)> {
    done.sort_unstable();
    let mut ranges: Vec<([u8; 32], u64, u64)> = Vec::new();
    for (digest, ordinal) in done {
        match ranges.last_mut() {
            Some((last, _, to)) if *last == digest && *to >= ordinal => *to = ordinal + 1,
            _ => ranges.push((digest, ordinal, ordinal + 1)),
        }
    }
    ranges
        .iter()
        .map(|(digest, from, to)| (hex(digest), *from, *to))
        .collect()
}
