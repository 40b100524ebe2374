//! `insula imports …`: ways in for bulk loading that were opened into a tenant.

use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::print::{print, table, text};
use crate::admin_client::{Connect, Output, tenant_path};

/// Arguments.
#[derive(Debug, Args)]
pub struct Imports {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the ways in of a tenant, the newest first.
    List {
        /// The tenant.
        #[arg(long)]
        tenant: String,
    },
    /// Revoke a way in, from its next request on; its import stops.
    Revoke {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// The id of the way in.
        import_id: String,
    },
}

/// Runs the command.
pub fn run(args: &Imports) -> anyhow::Result<()> {
    let admin = args.connect.admin()?;
    match &args.what {
        What::List { tenant } => {
            let found = admin.get(&tenant_path(tenant, "/imports")?)?;
            let imports = found.get("imports").cloned().unwrap_or_default();
            print(args.output, &imports, |imports| {
                let imports = imports.as_array().map_or(&[][..], Vec::as_slice);
                let rows: Vec<Vec<String>> = imports.iter().map(row).collect();
                table(&["IMPORT", "STATE", "OPENED", "UNTIL", "REASON"], &rows)
            })
        }
        What::Revoke { tenant, import_id } => {
            if !import_id.bytes().all(|b| b.is_ascii_alphanumeric()) {
                bail!("\"{import_id}\" is not the id of an import");
            }
            admin.delete(&tenant_path(tenant, &format!("/imports/{import_id}"))?)?;
            let done = json!({ "import_id": import_id, "revoked": true });
            print(args.output, &done, |_| format!("{import_id} is revoked"))
        }
    }
}

fn row(import: &Value) -> Vec<String> {
    ["import_id", "state", "opened", "until", "reason"]
        .map(|name| text(import, name).to_owned())
        .into()
}
