//! `insula key …`: the key-encryption key of a data folder.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::Context;
use base::Secret;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::print::print;
use crate::admin_client::{Connect, Output, tenant_path};

/// Arguments.
#[derive(Debug, Args)]
pub struct Key {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Write the key file of the data folder to a safe place. Needs no server.
    Export {
        /// The file to write (0600); must not exist. Default: standard output.
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Make a new key and wrap every tenant's key with it; tenants' data are not touched.
    Rotate,
    /// Make another key of a tenant's identity tokens; those before it stay published for a day.
    RotateSigning {
        /// The tenant.
        #[arg(long)]
        tenant: String,
    },
}

/// Runs the command.
pub fn run(args: &Key) -> anyhow::Result<()> {
    match &args.what {
        What::Rotate => {
            let done = args.connect.admin()?.post("/key/rotate", &Value::Null)?;
            print(args.output, &done, |done| {
                let count = done.get("rewrapped").and_then(Value::as_u64).unwrap_or(0);
                format!("the key is new; {count} tenants' keys are wrapped with it")
            })
        }
        What::RotateSigning { tenant } => {
            let path = tenant_path(tenant, "/signing-keys")?;
            let made = args.connect.admin()?.post(&path, &Value::Null)?;
            print(args.output, &made, |made| {
                let kid = made.get("kid").and_then(Value::as_str).unwrap_or("");
                format!("identity tokens of {tenant} are signed with key {kid} from now on")
            })
        }
        What::Export { to } => {
            let path = args.connect.data_dir().join("insula.key");
            let key = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let key = Secret::new(key);
            match to {
                None if args.output.json => {
                    print(args.output, &json!({ "key": key.expose() }), |_| {
                        String::new()
                    })
                }
                None => Ok(std::io::stdout().write_all(key.expose().as_bytes())?),
                Some(to) => {
                    let file = std::fs::OpenOptions::new()
                        .write(true)
                        .create_new(true)
                        .mode(0o600)
                        .open(to);
                    let mut file = file.with_context(|| format!("cannot make {}", to.display()))?;
                    file.write_all(key.expose().as_bytes())?;
                    file.sync_all()?;
                    let done = json!({ "path": to.display().to_string() });
                    print(args.output, &done, |_| {
                        format!(
                            "the key is in {}; keep it away from the data and its backups",
                            to.display()
                        )
                    })
                }
            }
        }
    }
}
