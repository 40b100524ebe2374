//! `insula vendor …`: grants to vendors, as the operator works on them. Only the clinic enables one.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::print::{print, table, text};
use crate::admin_client::{Connect, Output, tenant_path};

/// Arguments.
#[derive(Debug, Args)]
pub struct Vendor {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Put terms forward: they count once the clinic takes them.
    Propose {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// The terms, as JSON.
        file: PathBuf,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// List the vendors of a tenant.
    List {
        /// The tenant.
        #[arg(long)]
        tenant: String,
    },
    /// One vendor, and what was done to its grant.
    Show {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// The vendor's id.
        vendor: String,
    },
    /// Switch a vendor off, from the next request on.
    Disable(Switch),
    /// Let a vendor read only, from the next request on.
    ReadOnly(Switch),
    /// Lift the operator's own switch; the clinic's and the vendor's stay as they are.
    Lift(Switch),
    /// What a vendor's clients and programs did, against its contract.
    Activity(Activity),
}

#[derive(Debug, Args)]
struct Switch {
    /// The tenant.
    #[arg(long)]
    tenant: String,
    /// The vendor's id.
    vendor: String,
    /// Why.
    #[arg(long)]
    reason: String,
}

#[derive(Debug, Args)]
struct Activity {
    /// The tenant.
    #[arg(long)]
    tenant: String,
    /// The vendor's id.
    vendor: String,
    /// From this date or instant on.
    #[arg(long)]
    from: Option<String>,
    /// Before this date or instant.
    #[arg(long)]
    to: Option<String>,
    /// `csv`, or `html` for printing.
    #[arg(long, default_value = "csv", value_parser = ["csv", "html"])]
    format: String,
    /// Lines of CSV for each `day`, client and type, or for each `patient`.
    #[arg(long, default_value = "day", value_parser = ["day", "patient", "purpose"])]
    by: String,
}

fn vendor_path(tenant: &str, vendor: &str, rest: &str) -> anyhow::Result<String> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if vendor.is_empty() || !vendor.bytes().all(plain) {
        bail!("\"{vendor}\" is not a vendor's id");
    }
    tenant_path(tenant, &format!("/vendors/{vendor}{rest}"))
}

/// Runs the command.
pub fn run(args: &Vendor) -> anyhow::Result<()> {
    let admin = args.connect.admin()?;
    let switched = |switch: &Switch, hold: &str| {
        let path = vendor_path(&switch.tenant, &switch.vendor, "/switch")?;
        let body = json!({ "hold": hold, "reason": switch.reason });
        let view = admin.post(&path, &body)?;
        print(args.output, &view, words)
    };
    match &args.what {
        What::Propose {
            tenant,
            file,
            reason,
        } => {
            let draft = std::fs::read_to_string(file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            let mut draft: Value = serde_json::from_str(&draft)
                .with_context(|| format!("{} is not JSON", file.display()))?;
            draft["reason"] = json!(reason);
            let view = admin.post(&tenant_path(tenant, "/vendors")?, &draft)?;
            print(args.output, &view, words)
        }
        What::List { tenant } => {
            let found = admin.get(&tenant_path(tenant, "/vendors")?)?;
            let vendors = found.get("vendors").cloned().unwrap_or_default();
            print(args.output, &vendors, |vendors| {
                let vendors = vendors.as_array().map_or(&[][..], Vec::as_slice);
                let row = |v: &Value| ["vendor", "name", "state"].map(|n| text(v, n).to_owned());
                let rows: Vec<Vec<String>> = vendors.iter().map(|v| row(v).to_vec()).collect();
                table(&["VENDOR", "NAME", "STATE"], &rows)
            })
        }
        What::Show { tenant, vendor } => {
            let view = admin.get(&vendor_path(tenant, vendor, "")?)?;
            print(args.output, &view, |view| {
                serde_json::to_string_pretty(view).unwrap_or_default()
            })
        }
        What::Disable(switch) => switched(switch, "disabled"),
        What::ReadOnly(switch) => switched(switch, "read-only"),
        What::Lift(switch) => switched(switch, "enabled"),
        What::Activity(asked) => {
            let format = match args.output.json {
                true => "json",
                false => &asked.format,
            };
            let mut query = format!("?format={format}&by={}", asked.by);
            for (name, value) in [("from", &asked.from), ("to", &asked.to)] {
                if let Some(value) = value {
                    query.push_str(&format!("&{name}={}", engine::form::encode(value)));
                }
            }
            let path = vendor_path(&asked.tenant, &asked.vendor, "/activity")?;
            let text = admin.text(&format!("{path}{query}"))?;
            let mut out = std::io::stdout().lock();
            Ok(writeln!(out, "{}", text.trim_end())?)
        }
    }
}

/// A grant in a line.
fn words(view: &Value) -> String {
    let waiting = view.pointer("/proposal/number").and_then(Value::as_u64);
    let waiting = waiting.map_or_else(String::new, |n| format!("; terms {n} wait for the clinic"));
    format!(
        "{} is {}{waiting}",
        text(view, "vendor"),
        text(view, "state")
    )
}
