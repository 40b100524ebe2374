//! A signed head: the size and the root of a tenant's tree, and when.
//!
//! What is signed is the text of a checkpoint as transparency logs have them: a line that names the
//! tree, its size, its root in base64, and the time; each with a line feed after it.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base::{Micros, Secret};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::merkle::{Frontier, Hash};
use crate::sqlite::fault::{Doing, internal};
use crate::sqlite::folder::{hex, make_dir};

/// Bytes of the longest line of a file of heads.
const LINE_BYTES_MAX: u64 = 4 << 10;
const DOING: &str = "keeping a head of a trail";

/// A signed head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignedHead {
    pub(crate) size: u64,
    pub(crate) root: Hash,
    line: Line,
}

/// The same as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// The tenant's name then; empty for the house's own trail.
    tenant: String,
    /// What the tree is called.
    origin: String,
    size: u64,
    root: String,
    at: String,
    key: String,
    signature: String,
}

/// Whose tree it is.
pub(crate) struct Origin {
    name: String,
    origin: String,
    pair: Ed25519KeyPair,
}

impl Origin {
    pub(super) fn new(name: String, id: [u8; 16], seed: &Secret<[u8; 32]>) -> Result<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose())
            .map_err(|_| internal("deriving the key of heads"))?;
        Ok(Self {
            name,
            origin: origin(&id),
            pair,
        })
    }
}

fn origin(id: &[u8; 16]) -> String {
    format!("insula/{}", hex(id))
}

/// How a head was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    /// The tenant signed it.
    Good,
    /// It is of another tree.
    Other,
    /// Nobody signed that.
    Forged,
}

pub(super) fn sign(of: &Origin, tree: &Frontier, at: Micros) -> Result<SignedHead> {
    let root = tree.root();
    let mut line = Line {
        tenant: of.name.clone(),
        origin: of.origin.clone(),
        size: tree.size(),
        root: STANDARD.encode(root),
        at: at.to_millis_precision().instant().to_string(),
        key: STANDARD.encode(of.pair.public_key()),
        signature: String::new(),
    };
    line.signature = STANDARD.encode(of.pair.sign(line.checkpoint().as_bytes()));
    Ok(SignedHead {
        size: tree.size(),
        root,
        line,
    })
}

impl Line {
    fn checkpoint(&self) -> String {
        format!(
            "{}\n{}\n{}\n{}\n",
            self.origin, self.size, self.root, self.at
        )
    }

    fn is_signed(&self, by: &[u8]) -> bool {
        let Ok(signature) = STANDARD.decode(&self.signature) else {
            return false;
        };
        let text = self.checkpoint();
        UnparsedPublicKey::new(&ED25519, by)
            .verify(text.as_bytes(), &signature)
            .is_ok()
    }
}

impl SignedHead {
    /// A head as it is written; `None` if it is none.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let line: Line = serde_json::from_str(text).ok()?;
        let root = STANDARD.decode(&line.root).ok()?.try_into().ok()?;
        Some(Self {
            size: line.size,
            root,
            line,
        })
    }

    /// When it was made.
    pub(crate) fn at(&self) -> Option<Micros> {
        let (date, time) = self.line.at.strip_suffix('Z')?.split_once('T')?;
        let mut date = date.splitn(3, '-').map(str::parse::<i64>);
        let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
        let mut time = time.splitn(3, ':');
        let hours: i64 = time.next()?.parse().ok()?;
        let minutes: i64 = time.next()?.parse().ok()?;
        let (seconds, millis) = time.next()?.split_once('.')?;
        let (seconds, millis): (i64, i64) = (seconds.parse().ok()?, millis.parse().ok()?);
        let of_day = ((hours * 60 + minutes) * 60 + seconds) * 1_000 + millis;
        let (month, day) = (u8::try_from(month).ok()?, u8::try_from(day).ok()?);
        Some(Micros::from_civil(year, month, day, of_day * 1_000))
    }

    /// As it is written, without a line feed.
    pub(crate) fn to_line(&self) -> Result<String> {
        serde_json::to_string(&self.line).map_err(|_| internal("writing a head"))
    }

    /// Whether it is this tenant's.
    pub(crate) fn judge(&self, of: &Origin) -> Judged {
        match () {
            () if self.line.origin != of.origin => Judged::Other,
            () if self.line.is_signed(of.pair.public_key().as_ref()) => Judged::Good,
            () => Judged::Forged,
        }
    }
}

/// A file of heads, one a line, oldest first.
pub(crate) struct HeadFile(PathBuf);

impl HeadFile {
    /// The file of a tree in a folder.
    pub(crate) fn of(folder: &Path, tenant: &[u8; 16]) -> Self {
        Self(folder.join(format!("{}.jsonl", hex(tenant))))
    }

    pub(super) fn append(&self, head: &SignedHead) -> Result<()> {
        if let Some(folder) = self.0.parent() {
            make_dir(folder)?;
        }
        let mut line = head.to_line()?;
        line.push('\n');
        let mut options = OpenOptions::new();
        let mut file = options
            .create(true)
            .append(true)
            .read(true)
            .mode(0o600)
            .open(&self.0)
            .doing(DOING)?;
        // What a crash left of a line is not continued.
        let length = file.seek(SeekFrom::End(0)).doing(DOING)?;
        if length > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1)).doing(DOING)?;
            file.read_exact(&mut last).doing(DOING)?;
            if last != *b"\n" {
                line.insert(0, '\n');
            }
        }
        file.write_all(line.as_bytes()).doing(DOING)?;
        file.sync_data().doing(DOING)
    }

    /// The last head in it.
    pub(crate) fn last(&self) -> Result<Option<SignedHead>> {
        let mut file = match File::open(&self.0) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e).doing(DOING),
        };
        let length = file.metadata().doing(DOING)?.len();
        let from = length.saturating_sub(2 * LINE_BYTES_MAX);
        file.seek(SeekFrom::Start(from)).doing(DOING)?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail).doing(DOING)?;
        let tail = String::from_utf8_lossy(&tail);
        Ok(tail.lines().rev().find_map(SignedHead::read))
    }

    /// All heads in it; what is none is passed over.
    pub(crate) fn all(&self) -> Result<Vec<SignedHead>> {
        let file = match File::open(&self.0) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e).doing(DOING),
        };
        let mut heads = Vec::new();
        for line in BufReader::new(file).lines() {
            heads.extend(SignedHead::read(&line.doing(DOING)?));
        }
        Ok(heads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_signed_and_nobody_elses() {
        let one = Origin::new("a".into(), [1; 16], &Secret::new([1; 32])).unwrap();
        let two = Origin::new("b".into(), [2; 16], &Secret::new([2; 32])).unwrap();
        let mut tree = Frontier::default();
        tree.push(crate::merkle::leaf(b"x"));
        let head = sign(&one, &tree, Micros(7_000)).unwrap();
        let read = SignedHead::read(&head.to_line().unwrap()).unwrap();
        assert_eq!(read, head);
        assert_eq!(read.at(), Some(Micros(7_000)));
        assert_eq!(read.judge(&one), Judged::Good);
        assert_eq!(read.judge(&two), Judged::Other);
        for (from, to) in [("\"size\":1", "\"size\":2"), ("1970", "1971")] {
            let line = head.to_line().unwrap().replace(from, to);
            let forged = SignedHead::read(&line).unwrap();
            assert_eq!(forged.judge(&one), Judged::Forged);
        }
        assert!(SignedHead::read("{}").is_none());
    }
}
