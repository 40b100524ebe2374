//! Where things are in a data folder, and how files are written so that a crash leaves the old
//! or the new one.
//!
//! ```text
//! DIR/insula.lock           held while a process uses the folder
//! DIR/insula.key            key-encryption keys (0600)
//! DIR/operator.token        (0600)
//! DIR/operators/NAME.token  (0600) tokens of operators with names
//! DIR/insula.reserve        room on the disk that is kept for reading
//! DIR/control.db            directory of tenants
//! DIR/keys/house            the house's secret, wrapped
//! DIR/keys/{id}             a tenant's key, wrapped
//! DIR/tenants/{id}/data.db  one tenant
//! DIR/tenants/{id}/trail.db an index of its audit trail
//! DIR/journal/              the journal of reads
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base::Code;
use parking_lot::Mutex;

use super::fault::{self, Doing};
use crate::{Result, StoreError};

/// A data folder that this process holds.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    lock: Mutex<Option<File>>,
}

impl Folder {
    /// Takes the folder for this process, making it if it is not there.
    pub(crate) fn hold(root: &Path) -> Result<Self> {
        make_dir(root)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(root.join("insula.lock"))
            .doing("opening the lock of the data folder")?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let text = format!("{} is in use by another process", root.display());
                return Err(StoreError::Refused(Code::StorageFault, text));
            }
            Err(TryLockError::Error(e)) => Err(e).doing("locking the data folder")?,
        }
        let folder = Self {
            root: root.to_owned(),
            lock: Mutex::new(Some(lock)),
        };
        for dir in [folder.keys(), folder.tenants(), folder.journal()] {
            make_dir(&dir)?;
        }
        Ok(folder)
    }

    /// Lets another process take the folder.
    pub(crate) fn release(&self) {
        *self.lock.lock() = None;
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        self.root.join("insula.key")
    }

    pub(crate) fn operator_token(&self) -> PathBuf {
        self.root.join("operator.token")
    }

    /// Where tokens of operators with names are.
    pub(crate) fn operators(&self) -> PathBuf {
        self.root.join("operators")
    }

    /// Says which files others on this machine may read that are secrets, and whether they may look into the
    /// folder: they were made so by somebody else than us.
    pub(crate) fn look_at_modes(&self) {
        let open = |path: &Path| {
            let about = fs::metadata(path).ok();
            about.map(|about| about.mode() & 0o077).filter(|m| *m != 0)
        };
        for secret in [self.key_file(), self.operator_token()] {
            if let Some(mode) = open(&secret) {
                tracing::warn!(
                    file = %secret.display(),
                    mode = format!("{mode:03o}"),
                    "others on this machine may read a secret: chmod 600"
                );
            }
        }
        if let Some(mode) = open(&self.root) {
            tracing::warn!(
                folder = %self.root.display(),
                mode = format!("{mode:03o}"),
                "others on this machine may look into the data folder: chmod 700"
            );
        }
    }

    pub(crate) fn control(&self) -> PathBuf {
        self.root.join("control.db")
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    pub(crate) fn house_secret(&self) -> PathBuf {
        self.keys().join("house")
    }

    pub(crate) fn wrapped_key(&self, id: &[u8; 16]) -> PathBuf {
        self.keys().join(hex(id))
    }

    /// Whether anything is wrapped by the key file.
    pub(crate) fn has_keys(&self) -> Result<bool> {
        let mut files = std::fs::read_dir(self.keys()).doing("reading keys/")?;
        Ok(files.next().is_some())
    }

    /// The ids of tenants whose wrapped key is there.
    pub(crate) fn tenants_with_keys(&self) -> Result<Vec<[u8; 16]>> {
        const DOING: &str = "reading keys/";
        let mut found = Vec::new();
        for file in std::fs::read_dir(self.keys()).doing(DOING)? {
            let name = file.doing(DOING)?.file_name();
            found.extend(name.to_str().and_then(unhex::<16>));
        }
        Ok(found)
    }

    pub(crate) fn tenants(&self) -> PathBuf {
        self.root.join("tenants")
    }

    pub(crate) fn tenant(&self, id: &[u8; 16]) -> PathBuf {
        self.tenants().join(hex(id))
    }

    pub(crate) fn database(&self, id: &[u8; 16]) -> PathBuf {
        self.tenant(id).join("data.db")
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    /// How far the trails were shipped.
    pub(crate) fn shipping(&self) -> PathBuf {
        self.root.join("shipping")
    }

    /// Heads of trails, and where the trees of trails stood.
    pub(crate) fn heads(&self) -> PathBuf {
        self.root.join("heads")
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut out, b| {
            let _ = write!(out, "{b:02x}");
            out
        })
}

/// The bytes that hexadecimal digits stand for.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    if text.len() != N * 2 {
        return None;
    }
    for (slot, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *slot = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

/// An error of a file, with its name: what is before it is nobody's business who is not the operator.
fn of_file(what: &str, path: &Path, error: &std::io::Error) -> StoreError {
    let name = path.file_name().unwrap_or_default();
    fault::of_file(&format!("{what} {}", name.display()), error)
}

/// Makes a folder that only its owner may enter.
pub(crate) fn make_dir(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|e| of_file("making the folder", path, &e))
}

/// Makes a folder's entries durable.
pub(crate) fn sync_dir(path: &Path) -> Result<()> {
    File::open(path)
        .and_then(|d| d.sync_all())
        .doing("flushing a folder")
}

/// Writes a new file of mode 0600 and makes its content durable; not its name.
pub(crate) fn write_new(path: &Path, content: &[u8]) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(|e| of_file("making", path, &e))?;
    file.write_all(content)
        .and_then(|()| file.sync_all())
        .map_err(|e| of_file("writing", path, &e))
}

/// Makes a file its owner's alone (0600); one that is not there is made, and empty.
pub(crate) fn private(path: &Path) -> Result<()> {
    let failed = |e| of_file("keeping to its owner", path, &e);
    let mut options = OpenOptions::new();
    let options = options.create(true).truncate(false).write(true).mode(0o600);
    let file = options.open(path).map_err(failed)?;
    match file.metadata().map_err(failed)?.mode() & 0o077 {
        0 => Ok(()),
        _ => file
            .set_permissions(fs::Permissions::from_mode(0o600))
            .map_err(failed),
    }
}

/// Replaces a file's content; after a crash the old or the new content is there.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let temporary = path.with_extension("new");
    write_new(&temporary, content).inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })?;
    fs::rename(&temporary, path).map_err(|e| of_file("putting in place", path, &e))?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Overwrites a file with zeros, removes it and makes both durable. A file that is not there is
/// fine.
pub(crate) fn shred(path: &Path) -> Result<()> {
    match OpenOptions::new().write(true).open(path) {
        Ok(mut file) => {
            let size = file.metadata().doing("reading a key file")?.len();
            let zeros = vec![0; usize::try_from(size).unwrap_or(0)];
            file.write_all(&zeros)
                .and_then(|()| file.sync_all())
                .doing("overwriting a key file")?;
            fs::remove_file(path).doing("removing a key file")?;
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => Err(e).doing("opening a key file")?,
    }
    path.parent().map_or(Ok(()), sync_dir)
}

/// Removes a folder and what is in it, durably. A folder that is not there is fine.
pub(crate) fn remove_dir(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).doing("removing a folder")?,
        _ => {}
    }
    path.parent().map_or(Ok(()), sync_dir)
}
