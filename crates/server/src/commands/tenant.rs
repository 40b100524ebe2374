//! `insula tenant …`: makes, lists, changes and ends tenants through the admin API.

use anyhow::bail;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::print::{print, table, text};
use crate::admin_client::{Connect, Output, tenant_path};

/// Arguments.
#[derive(Debug, Args)]
pub struct Tenant {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a tenant.
    Create(Create),
    /// List all tenants.
    List,
    /// Show one tenant.
    Show {
        /// Its name.
        name: String,
    },
    /// Stop serving a tenant until it is resumed; nothing is lost.
    Suspend {
        /// Its name.
        name: String,
    },
    /// Serve a suspended or leaving tenant again.
    Resume {
        /// Its name.
        name: String,
    },
    /// Delete a tenant: it can be resumed until the grace period ends, then its key is destroyed.
    Delete(Delete),
    /// Show the signed receipt of a deletion.
    Receipt {
        /// Its name.
        name: String,
    },
}

#[derive(Debug, Args)]
struct Create {
    /// Its name in URLs: 3 to 63 of a-z, 0-9 and '-', beginning with a letter.
    name: String,
    /// A name for people.
    #[arg(long)]
    display: Option<String>,
    /// Its version of FHIR.
    #[arg(long, default_value = "4.0.1")]
    fhir: String,
    /// Whether references must resolve.
    #[arg(long)]
    references: Option<References>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum References {
    /// References are stored as they are.
    Literal,
    /// A reference must resolve when it is written.
    Enforced,
}

#[derive(Debug, Args)]
struct Delete {
    /// Its name.
    name: String,
    /// Its name once more.
    #[arg(long, value_name = "NAME")]
    confirm: String,
    /// Seconds until the key is destroyed; 0 destroys it now. Default: the server's setting.
    #[arg(long, value_name = "SECONDS")]
    grace: Option<u64>,
}

/// Runs the command.
pub fn run(args: &Tenant) -> anyhow::Result<()> {
    let admin = args.connect.admin()?;
    let value = match &args.what {
        What::Create(new) => {
            tenant_path(&new.name, "")?;
            let mut body = json!({ "name": new.name, "fhir": new.fhir });
            if let Some(display) = &new.display {
                body["display"] = json!(display);
            }
            if let Some(references) = new.references {
                let word = match references {
                    References::Literal => "literal",
                    References::Enforced => "enforced",
                };
                body["config"] = json!({ "references": word });
            }
            admin.post("/tenants", &body)?
        }
        What::List => return list(args),
        What::Show { name } => admin.get(&tenant_path(name, "")?)?,
        What::Suspend { name } => admin.post(&tenant_path(name, "/suspend")?, &Value::Null)?,
        What::Resume { name } => admin.post(&tenant_path(name, "/resume")?, &Value::Null)?,
        What::Receipt { name } => {
            // Signed as it is, so it is shown as it is.
            let receipt = admin.get(&tenant_path(name, "/receipt")?)?;
            return print(args.output, &receipt, Value::to_string);
        }
        What::Delete(delete) => {
            if delete.confirm != delete.name {
                bail!("--confirm must repeat the tenant's name");
            }
            let mut query = format!("?confirm={}", delete.name);
            if let Some(grace) = delete.grace {
                query.push_str(&format!("&grace={grace}"));
            }
            admin.delete(&tenant_path(&delete.name, &query)?)?
        }
    };
    print(args.output, &value, describe)
}

fn list(args: &Tenant) -> anyhow::Result<()> {
    let admin = args.connect.admin()?;
    let mut tenants = Vec::new();
    let mut after = String::new();
    loop {
        let mut page = admin.get(&format!("/tenants?limit=1000{after}"))?;
        if let Some(Value::Array(found)) = page.get_mut("tenants").map(Value::take) {
            tenants.extend(found);
        }
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    print(args.output, &Value::from(tenants), |tenants| {
        let tenants = tenants.as_array().map_or(&[][..], Vec::as_slice);
        let row = |t: &Value| {
            ["name", "state", "fhir", "display"]
                .map(|name| text(t, name).to_owned())
                .to_vec()
        };
        let rows: Vec<Vec<String>> = tenants.iter().map(row).collect();
        table(&["NAME", "STATE", "FHIR", "DISPLAY"], &rows)
    })
}

/// One fact a line.
fn describe(value: &Value) -> String {
    let mut out = String::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        out.push_str(&format!("{name:<10} {value}\n"));
    }
    out
}
