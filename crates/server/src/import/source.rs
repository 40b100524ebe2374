//! Inputs: files, folders, `.gz`, one document or one document a line.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use flate2::read::MultiGzDecoder;
use ring::digest;

use super::journal::Journal;

/// Bytes of one document: the JSON reader takes no more than 4 GiB, and it must fit into memory.
const DOCUMENT_BYTES_MAX: u64 = 2 << 30;

/// Where resources come from.
#[derive(Debug, PartialEq, Eq)]
pub struct Origin {
    /// What people call it: the path.
    pub name: String,
    /// SHA-256 of the input as it lies on the disk; what the journal knows it by.
    pub digest: [u8; 32],
}

/// One JSON document of an input.
#[derive(Debug)]
pub struct Document {
    /// Where it comes from.
    pub origin: Arc<Origin>,
    /// Line, from 1, where the input has a document a line.
    pub line: Option<u64>,
    /// The text, or why there is none.
    pub text: Result<Vec<u8>, String>,
    /// Bytes by which the input has advanced.
    pub advance: u64,
}

/// Documents, one after the other; those of one origin without gaps.
pub trait Feed: Send {
    /// The next document.
    ///
    /// # Errors
    /// An input that cannot be read.
    fn next(&mut self) -> anyhow::Result<Option<Document>>;
}

/// Files as a feed, small ones first: those that others refer to (organizations, practitioners)
/// are small, and the order is the same in every run.
#[derive(Debug)]
pub struct Files {
    /// Paths with their sizes, the next one last.
    waiting: Vec<(PathBuf, u64)>,
    /// Files in folders that are none of ours, in order.
    passed_over: Vec<PathBuf>,
    journal: Option<Journal>,
    lines: Option<Lines>,
}

struct Lines {
    origin: Arc<Origin>,
    reader: Box<dyn BufRead + Send>,
    line: u64,
    /// Bytes of the file that have not been told as advance.
    left: u64,
    compressed: bool,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lines({}:{})", self.origin.name, self.line)
    }
}

impl Files {
    /// Finds the files under some paths: a file is taken whatever its name, in folders those that
    /// end in `.json`, `.ndjson` or `.jsonl`, and the same with `.gz`.
    ///
    /// # Errors
    /// A path that cannot be read, or nothing found.
    pub fn find(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let (mut waiting, mut passed_over) = (Vec::new(), Vec::new());
        for path in paths {
            find(path, true, &mut waiting, &mut passed_over)?;
        }
        passed_over.sort();
        passed_over.dedup();
        if waiting.is_empty() {
            bail!("no .json, .ndjson or .jsonl file (or .gz of these) was found");
        }
        waiting.sort_by(|a, b| (b.1, &b.0).cmp(&(a.1, &a.0)));
        waiting.dedup();
        Ok(Self {
            waiting,
            passed_over,
            journal: None,
            lines: None,
        })
    }

    /// Passes over files that a journal calls done.
    pub fn passing_over(mut self, journal: Journal) -> Self {
        self.journal = Some(journal);
        self
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.waiting.iter().map(|(_, bytes)| bytes).sum()
    }

    /// Files in folders that are not loaded: their names say that they are something else.
    pub fn passed_over(&self) -> &[PathBuf] {
        &self.passed_over
    }

    /// Number of files.
    pub const fn count(&self) -> usize {
        self.waiting.len()
    }
}

fn find(
    path: &Path,
    named: bool,
    out: &mut Vec<(PathBuf, u64)>,
    passed_over: &mut Vec<PathBuf>,
) -> anyhow::Result<()> {
    let about = || format!("cannot read {}", path.display());
    let meta = std::fs::metadata(path).with_context(about)?;
    if meta.is_dir() {
        for entry in std::fs::read_dir(path).with_context(about)? {
            let entry = entry.with_context(about)?;
            // Links inside folders are not followed: they may lead round in a circle.
            match entry.file_type().with_context(about)?.is_symlink() {
                true => passed_over.push(entry.path()),
                false => find(&entry.path(), false, out, passed_over)?,
            }
        }
    } else if named || form(path).is_some() {
        out.push((path.to_owned(), meta.len()));
    } else {
        passed_over.push(path.to_owned());
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Document,
    Lines,
}

/// What a file's name says about it, however it is written; hidden files say nothing.
fn form(path: &Path) -> Option<Form> {
    let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    match name.rsplit_once('.')? {
        ("", _) => None,
        (_, "json") => Some(Form::Document),
        (_, "ndjson" | "jsonl") => Some(Form::Lines),
        _ => None,
    }
}

fn open(path: &Path) -> anyhow::Result<(Box<dyn Read + Send>, bool)> {
    let about = || format!("cannot read {}", path.display());
    let mut file = BufReader::with_capacity(1 << 17, File::open(path).with_context(about)?);
    let compressed = file
        .fill_buf()
        .with_context(about)?
        .starts_with(&[0x1f, 0x8b]);
    Ok((
        if compressed {
            Box::new(MultiGzDecoder::new(file))
        } else {
            Box::new(file)
        },
        compressed,
    ))
}

fn digest_of(path: &Path) -> anyhow::Result<[u8; 32]> {
    let about = || format!("cannot read {}", path.display());
    let mut file = File::open(path).with_context(about)?;
    let mut context = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; 1 << 17];
    loop {
        let n = file.read(&mut buffer).with_context(about)?;
        if n == 0 {
            break;
        }
        context.update(buffer.get(..n).unwrap_or_default());
    }
    Ok(context.finish().as_ref().try_into()?)
}

impl Feed for Files {
    fn next(&mut self) -> anyhow::Result<Option<Document>> {
        loop {
            if let Some(lines) = &mut self.lines {
                if let Some(document) = lines.next()? {
                    return Ok(Some(document));
                }
                self.lines = None;
            }
            let Some((path, bytes)) = self.waiting.pop() else {
                return Ok(None);
            };
            let digest = digest_of(&path)?;
            let origin = Arc::new(Origin {
                name: path.display().to_string(),
                digest,
            });
            if self.journal.as_ref().is_some_and(|j| j.has_whole(&digest)) {
                let text = Ok(Vec::new());
                return Ok(Some(Document {
                    origin,
                    line: None,
                    text,
                    advance: bytes,
                }));
            }
            let (mut reader, compressed) = open(&path)?;
            if form(&path) == Some(Form::Lines) {
                let reader: Box<dyn BufRead + Send> =
                    Box::new(BufReader::with_capacity(1 << 17, reader));
                self.lines = Some(Lines {
                    origin,
                    reader,
                    line: 0,
                    left: bytes,
                    compressed,
                });
                continue;
            }
            let mut text = Vec::with_capacity(usize::try_from(bytes)?);
            let read = reader
                .by_ref()
                .take(DOCUMENT_BYTES_MAX)
                .read_to_end(&mut text);
            let text = match read {
                Err(error) => Err(error.to_string()),
                Ok(n) if n as u64 == DOCUMENT_BYTES_MAX => Err("larger than 2 GiB".to_owned()),
                Ok(_) if form(&path).is_none() && is_lines(&text) => {
                    let reader: Box<dyn BufRead + Send> = Box::new(std::io::Cursor::new(text));
                    self.lines = Some(Lines {
                        origin,
                        reader,
                        line: 0,
                        left: bytes,
                        compressed,
                    });
                    continue;
                }
                Ok(_) => Ok(text),
            };
            return Ok(Some(Document {
                origin,
                line: None,
                text,
                advance: bytes,
            }));
        }
    }
}

/// Whether a text of unknown kind has a document a line: two lines begin with a bracket and the
/// first one ends with its match.
fn is_lines(text: &[u8]) -> bool {
    let mut lines = text
        .split(|b| *b == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|l| !l.is_empty());
    let first = lines.next().unwrap_or_default();
    let second = lines.next().unwrap_or_default();
    first.starts_with(b"{") && first.ends_with(b"}") && second.starts_with(b"{")
}

impl Lines {
    fn next(&mut self) -> anyhow::Result<Option<Document>> {
        loop {
            let mut text = Vec::new();
            let read = self
                .reader
                .by_ref()
                .take(DOCUMENT_BYTES_MAX)
                .read_until(b'\n', &mut text);
            self.line += 1;
            let (text, n) = match read {
                // A damaged compressed file ends here; what came before it is good.
                Err(error) => {
                    self.reader = Box::new(std::io::empty());
                    (Err(error.to_string()), 0)
                }
                Ok(0) => {
                    let advance = std::mem::take(&mut self.left);
                    return Ok((advance > 0).then(|| Document {
                        origin: self.origin.clone(),
                        line: None,
                        text: Ok(Vec::new()),
                        advance,
                    }));
                }
                Ok(n) if n as u64 == DOCUMENT_BYTES_MAX => {
                    bail!("{}: a line is larger than 2 GiB", self.origin.name)
                }
                Ok(_) if text.trim_ascii().is_empty() => continue,
                Ok(n) => (Ok(text), n as u64),
            };
            // How far a compressed file has come is only known at its end.
            let advance = if self.compressed { 0 } else { n.min(self.left) };
            self.left -= advance;
            let origin = self.origin.clone();
            return Ok(Some(Document {
                origin,
                line: Some(self.line),
                text,
                advance,
            }));
        }
    }
}
