//! Who operates the house: whoever shows the content of `operator.token`, and operators by name, each with
//! a file `operators/NAME.token`.
//!
//! The folder of names is looked at with each request of an operator, and read again where it changed: a
//! file that is made or removed there counts from the next request on. Knows nothing of what operators may
//! do.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use access::{OperatorToken, Principal};
use base::Rng;
use parking_lot::Mutex;
use zeroize::Zeroize;

use super::fault::Doing;
use super::folder::{self, Folder, hex};
use crate::Result;

/// Tokens of operators.
#[derive(Debug)]
pub(crate) struct Operators {
    own: OperatorToken,
    folder: PathBuf,
    named: Mutex<Named>,
}

#[derive(Debug, Default)]
struct Named {
    /// What the folder was when it was read.
    of: Option<Stamp>,
    tokens: Vec<OperatorToken>,
}

/// Which folder, and when something was last made or removed in it.
type Stamp = (u64, i64, i64);

/// Most operators with names.
const NAMED_MAX: usize = base::limits::fixed::OPERATORS_MAX;
/// Bytes of a file with a token.
const FILE_BYTES_MAX: u64 = 1_024;

impl Operators {
    /// Reads the house's own token, or makes it on first use.
    pub(crate) fn open(folder: &Folder, rng: &dyn Rng) -> Result<Self> {
        let path = folder.operator_token();
        let mut text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let text = format!("{}\n", hex(&rng.bytes::<32>()));
                folder::replace(&path, text.as_bytes())?;
                text
            }
            Err(e) => Err(e).doing("reading operator.token")?,
        };
        let own = OperatorToken::new(text.trim());
        text.zeroize();
        Ok(Self {
            own,
            folder: folder.operators(),
            named: Mutex::default(),
        })
    }

    /// The operator whose token was presented.
    pub(crate) fn authenticate(&self, presented: &str) -> Option<Principal> {
        if let Some(operator) = self.own.authenticate(presented) {
            return Some(operator);
        }
        let mut named = self.named.lock();
        let now = fs::metadata(&self.folder).ok().as_ref().map(stamp);
        if now != named.of {
            *named = Named {
                of: now,
                tokens: read(&self.folder),
            };
        }
        let mut all = named.tokens.iter();
        all.find_map(|token| token.authenticate(presented))
    }
}

fn stamp(of: &Metadata) -> Stamp {
    (of.ino(), of.mtime(), of.mtime_nsec())
}

/// The tokens of a folder. One that cannot be read, or that others can read too, is nobody's.
fn read(folder: &Path) -> Vec<OperatorToken> {
    let mut found = Vec::new();
    for file in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = file.path();
        if path.extension().is_none_or(|e| e != "token") {
            continue;
        }
        if found.len() >= NAMED_MAX {
            tracing::error!(
                max = NAMED_MAX,
                "too many operators: the others are not let in"
            );
            break;
        }
        match token(&path) {
            Some(token) => found.push(token),
            None => tracing::error!(
                file = %path.display(),
                "this is no operator's token: it has 32 characters and more, a name of a-z, 0-9 and '-', and mode 0600"
            ),
        }
    }
    found
}

fn token(path: &Path) -> Option<OperatorToken> {
    const CHARACTERS_MIN: usize = 32;
    let about = fs::metadata(path).ok()?;
    let sound = about.is_file() && about.len() <= FILE_BYTES_MAX && about.mode() & 0o077 == 0;
    let mut text = fs::read_to_string(path).ok().filter(|_| sound)?;
    let name = path.file_stem()?.to_str()?;
    let known = text.trim();
    let token = (known.len() >= CHARACTERS_MIN).then(|| OperatorToken::named(name, known));
    text.zeroize();
    token.flatten()
}
