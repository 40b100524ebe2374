//! `insula verify`: has the server check a tenant's rows, seals, index rows and audit chain.

use anyhow::bail;
use clap::Args;
use serde_json::Value;

use super::print::{print, table, text};
use crate::admin_client::{Connect, Output, tenant_path};

/// Arguments.
#[derive(Debug, Args)]
pub struct Verify {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    output: Output,
    /// The tenant.
    #[arg(long)]
    tenant: String,
}

/// Runs the command.
///
/// # Errors
/// Also when something was found.
pub fn run(args: &Verify) -> anyhow::Result<()> {
    let admin = args.connect.admin()?;
    let report = admin.post(&tenant_path(&args.tenant, "/verify")?, &Value::Null)?;
    print(args.output, &report, describe)?;
    match report.get("ok").and_then(Value::as_bool) {
        Some(true) => Ok(()),
        _ => bail!("{} does not verify", args.tenant),
    }
}

fn describe(report: &Value) -> String {
    let count = |name: &str| report.get(name).and_then(Value::as_u64).unwrap_or(0);
    let findings = report
        .get("findings")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let (rows, events) = (count("rows"), count("events"));
    if findings.is_empty() {
        return format!("{rows} rows and {events} audit events agree");
    }
    let cell = |finding: &Value, name: &str| match finding.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let head = ["kind", "type", "id", "version"];
    let rows_found: Vec<Vec<String>> = findings
        .iter()
        .map(|f| head.iter().map(|name| cell(f, name)).collect())
        .collect();
    let more = text(report, "more");
    format!(
        "{rows} rows, {events} audit events, {} findings\n{}{more}",
        findings.len(),
        table(&["FINDING", "TYPE", "ID", "VERSION"], &rows_found)
    )
}
