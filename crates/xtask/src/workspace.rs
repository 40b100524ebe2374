//! Where the workspace is, and how other programs are run. It knows nothing of what they do.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};

/// The target folder, absolute.
pub(crate) fn target_folder() -> Result<PathBuf> {
    let folder = match env::var_os("CARGO_TARGET_DIR") {
        Some(folder) if !folder.is_empty() => std::path::absolute(folder)?,
        _ => root()?.join("target"),
    };
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(folder)
}

/// The workspace's root, found from this crate's own folder.
pub(crate) fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .nth(2)
        .map(Path::to_path_buf)
        .context("crates/xtask lies below the root")
}

/// The cargo that runs this command.
pub(crate) fn cargo() -> PathBuf {
    env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

/// Runs a command whose output goes to the user; its failure is ours.
pub(crate) fn call(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_os_string();
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", OsStr::to_string_lossy(&name)))?;
    if !status.success() {
        bail!("{} failed: {status}", OsStr::to_string_lossy(&name));
    }
    Ok(())
}
