//! `insula operator …`: who operates the house, by name. Works on the data folder, and needs no server: whoever
//! may write there is the host's owner. A server that runs counts what was made or removed from the next request
//! on.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use base::Rng;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::print::{print, table, text};
use crate::admin_client::{Connect, Output};
use crate::world::SystemRng;

/// Arguments.
#[derive(Debug, Args)]
pub struct Operator {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a token for somebody who operates the house: what they do stands under their name.
    Create {
        /// Their name: 1 to 32 of a-z, 0-9 and '-'.
        name: String,
    },
    /// List operators with names.
    List,
    /// Take an operator's token away, from the next request on.
    Revoke {
        /// Their name.
        name: String,
    },
}

/// Runs the command. Run it as the user that the server runs as, so that the server can read the token.
///
/// # Errors
/// No data folder there; a name that is none, or is taken, or is nobody's.
pub fn run(args: &Operator) -> anyhow::Result<()> {
    let data = args.connect.data_dir();
    if !data.join("insula.key").exists() {
        bail!(
            "{} is no data folder of a server: name it by --data or INSULA_DATA",
            data.display()
        );
    }
    let folder = data.join("operators");
    match &args.what {
        What::Create { name } => {
            let path = file_of(&folder, name)?;
            make(&folder, &path)?;
            let done = json!({ "name": name, "token_file": path.display().to_string() });
            print(args.output, &done, |_| {
                format!(
                    "{name} operates the house with the token in {}\n\
                     Give them the file; they name it by --token-file or INSULA_TOKEN_FILE.",
                    path.display()
                )
            })
        }
        What::List => {
            let all = Value::from(listed(&folder)?);
            print(args.output, &all, |all| {
                let all = all.as_array().map_or(&[][..], Vec::as_slice);
                let row = |one: &Value| {
                    ["name", "token_file"]
                        .map(|n| text(one, n).to_owned())
                        .to_vec()
                };
                table(
                    &["NAME", "TOKEN FILE"],
                    &all.iter().map(row).collect::<Vec<_>>(),
                )
            })
        }
        What::Revoke { name } => {
            let path = file_of(&folder, name)?;
            std::fs::remove_file(&path)
                .with_context(|| format!("no operator is called {name} in {}", data.display()))?;
            let done = json!({ "name": name, "revoked": true });
            print(args.output, &done, |_| {
                format!("{name} operates nothing any more")
            })
        }
    }
}

fn file_of(folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !(1..=32).contains(&name.len()) || !name.bytes().all(plain) {
        bail!("\"{name}\": an operator's name has 1 to 32 of a-z, 0-9 and '-'");
    }
    Ok(folder.join(format!("{name}.token")))
}

fn make(folder: &Path, path: &Path) -> anyhow::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let mut bytes = [0; 32];
    SystemRng::system().fill(&mut bytes);
    let token: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    // Under another name first: what the server finds is whole.
    let half = path.with_extension("new");
    let about = || format!("cannot write {}", path.display());
    let _ = std::fs::remove_file(&half);
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&half)
        .with_context(about)?;
    writeln!(file, "{token}").with_context(about)?;
    file.sync_all().with_context(about)?;
    let made = std::fs::hard_link(&half, path);
    let _ = std::fs::remove_file(&half);
    match made {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!("{} is there already: revoke it first", path.display())
        }
        made => made.with_context(about),
    }
}

fn listed(folder: &Path) -> anyhow::Result<Vec<Value>> {
    let files = match std::fs::read_dir(folder) {
        Ok(files) => files,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).with_context(|| format!("cannot read {}", folder.display())),
    };
    let mut all = Vec::new();
    for file in files {
        let path = file?.path();
        if path.extension().is_some_and(|e| e == "token") {
            let name = path.file_stem().map(|n| n.to_string_lossy().into_owned());
            all.push((name.unwrap_or_default(), path.display().to_string()));
        }
    }
    all.sort();
    let view = |(name, path): (String, String)| json!({ "name": name, "token_file": path });
    Ok(all.into_iter().map(view).collect())
}
