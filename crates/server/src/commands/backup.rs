//! `insula backup` and `insula restore`: one tenant, online, encrypted, verified by the server.
//!
//! The server reads and writes backups in its own folder only. A FILE with a path is moved out of
//! that folder, or copied into it, by this command, which therefore needs to run on the same
//! machine then.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};

use super::print::{print, text};
use crate::admin_client::{Connect, Output, tenant_path};

/// Arguments of `backup`.
#[derive(Debug, Args)]
pub struct Backup {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    output: Output,
    /// The tenant.
    name: String,
    /// The file to write: a plain name lies in the server's folder for backups.
    file: PathBuf,
    /// Why: the clinic reads it in its trail.
    #[arg(long)]
    reason: Option<String>,
}

/// Arguments of `restore`.
#[derive(Debug, Args)]
pub struct Restore {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    output: Output,
    /// The backup: a plain name lies in the server's folder for backups.
    file: PathBuf,
    /// Name of the tenant that is made from it.
    #[arg(long = "as", value_name = "NAME")]
    as_name: String,
    /// A name for people; that of the backup if absent.
    #[arg(long)]
    display: Option<String>,
    /// Which API clients of the backup are let in: `as-now` those that its tenant lets in now (none
    /// where that tenant is not here any more), `keep` those that it let in then, `revoke` none.
    #[arg(long, default_value = "as-now", value_parser = ["as-now", "keep", "revoke"])]
    clients: String,
    /// Why: the clinic reads it in its trail, and by an alert.
    #[arg(long)]
    reason: Option<String>,
    /// The server's folder for backups; default: `backups` in the data folder.
    #[arg(long, value_name = "DIR")]
    backups: Option<PathBuf>,
}

/// The plain name of a file, and whether there is more to its path.
fn split(file: &Path) -> anyhow::Result<(&str, bool)> {
    let name = file
        .file_name()
        .and_then(|n| n.to_str())
        .context("FILE has no name")?;
    Ok((name, file != Path::new(name)))
}

/// Backs a tenant up.
pub fn backup(args: &Backup) -> anyhow::Result<()> {
    let admin = args.connect.admin()?;
    let (name, elsewhere) = split(&args.file)?;
    // A name of our own there: what is called as FILE is another backup.
    let inside = match elsewhere {
        true => {
            must_be_writable(&args.file)?;
            format!("backup-{}-{name}", std::process::id())
        }
        false => name.to_owned(),
    };
    let mut body = json!({ "file": inside });
    if let Some(reason) = &args.reason {
        body["reason"] = json!(reason);
    }
    let made = admin.post(&tenant_path(&args.name, "/backup")?, &body)?;
    let mut path = PathBuf::from(text(&made, "path"));
    if elsewhere {
        move_file(&path, &args.file)
            .with_context(|| format!("the backup is {}, but could not be moved", path.display()))?;
        path.clone_from(&args.file);
    }
    let quarantined = made.get("quarantined").and_then(Value::as_u64).unwrap_or(0);
    let done = json!({
        "tenant": args.name, "path": path.display().to_string(), "quarantined": quarantined,
    });
    print(args.output, &done, |_| {
        let line = format!("{} is backed up in {}", args.name, path.display());
        warned(line, quarantined)
    })
}

/// Refuses a file that is there or cannot be made, before there is anything to put into it.
fn must_be_writable(file: &Path) -> anyhow::Result<()> {
    let made = OpenOptions::new().write(true).create_new(true).open(file);
    made.with_context(|| format!("cannot make {}", file.display()))?;
    std::fs::remove_file(file).with_context(|| format!("cannot remove {}", file.display()))
}

/// Makes a tenant from a backup.
pub fn restore(args: &Restore) -> anyhow::Result<()> {
    let admin = args.connect.admin()?;
    let (name, elsewhere) = split(&args.file)?;
    let path = tenant_path(&args.as_name, "/restore")?;
    let body = |file: &str| {
        let mut body = json!({ "file": file, "clients": args.clients });
        if let Some(display) = &args.display {
            body["display"] = json!(display);
        }
        if let Some(reason) = &args.reason {
            body["reason"] = json!(reason);
        }
        body
    };
    let made = if elsewhere {
        let folder = args.backups.clone();
        let folder = folder.unwrap_or_else(|| args.connect.data_dir().join("backups"));
        let copy_name = format!("restore-{}-{name}", std::process::id());
        let copy = folder.join(&copy_name);
        std::fs::copy(&args.file, &copy).with_context(|| {
            format!(
                "cannot copy {} into {}",
                args.file.display(),
                folder.display()
            )
        })?;
        let made = admin.post(&path, &body(&copy_name));
        std::fs::remove_file(&copy).with_context(|| format!("cannot remove {}", copy.display()))?;
        made?
    } else {
        admin.post(&path, &body(name))?
    };
    print(args.output, &made, |made| {
        let count = |at: &str| made.pointer(at).and_then(Value::as_u64).unwrap_or(0);
        let line = format!(
            "{} is restored from {}\n{}\n{} API clients are let in, {} are revoked",
            args.as_name,
            args.file.display(),
            text(made, "base"),
            count("/clients/kept"),
            count("/clients/revoked")
        );
        warned(line, count("/quarantined"))
    })
}

/// Says so where rows are not as they were written.
fn warned(line: String, quarantined: u64) -> String {
    match quarantined {
        0 => line,
        rows => format!(
            "{line}\nWARNING: {rows} rows in it are not as they were written; they are kept apart: see insula quarantine list"
        ),
    }
}

/// Renames, or copies when the target lies on another file system.
fn move_file(from: &Path, to: &Path) -> std::io::Result<()> {
    if std::fs::rename(from, to).is_ok() {
        return Ok(());
    }
    std::fs::copy(from, to)?;
    std::fs::File::open(to)?.sync_all()?;
    std::fs::remove_file(from)
}
