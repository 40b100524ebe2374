//! The demo's data folder: made fresh, for its owner only, and removed at the end.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// A folder that is removed when it is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    removed: bool,
}

impl Folder {
    /// Makes a folder in the system's place for temporary files.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn make() -> anyhow::Result<Self> {
        let parent = std::env::temp_dir();
        for number in 0..1_000 {
            let path = parent.join(format!("insula-demo-{}-{number}", std::process::id()));
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {
                    return Ok(Self {
                        path,
                        removed: false,
                    });
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot make {}", path.display()));
                }
            }
        }
        anyhow::bail!("{} is full of insula-demo folders", parent.display())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it with everything in it.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(mut self) -> anyhow::Result<()> {
        self.removed = true;
        std::fs::remove_dir_all(&self.path)
            .with_context(|| format!("cannot remove {}", self.path.display()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.removed {
            // On the way out of a failure that is told already.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
