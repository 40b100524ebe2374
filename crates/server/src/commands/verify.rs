//! `insula verify`: has the server check a tenant's rows, seals, index rows and audit chain.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value, json};

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
    /// Signed heads of the audit trail that were kept outside the data folder: a file, or a folder of
    /// them.
    #[arg(long)]
    heads: Vec<PathBuf>,
}

/// Heads that are looked at: further ones are passed over evenly.
const HEADS_MAX: usize = 20_000;

/// Runs the command.
///
/// # Errors
/// Also when something was found.
pub fn run(args: &Verify) -> anyhow::Result<()> {
    let admin = args.connect.admin()?;
    let mut body = Value::Null;
    if !args.heads.is_empty() {
        let heads = heads_of(&args.heads, &args.tenant)?;
        if heads.is_empty() {
            bail!("there is no head of {} in what was given", args.tenant);
        }
        body = json!({ "heads": heads });
    }
    let report = match admin.post(&tenant_path(&args.tenant, "/verify")?, &body) {
        // A tenant whose file cannot even be opened has no report; programs are told so all the same.
        Err(error) if args.output.json => {
            let said = json!({ "ok": false, "error": format!("{error:#}") });
            print(args.output, &said, Value::to_string)?;
            return Err(error);
        }
        report => report?,
    };
    print(args.output, &report, describe)?;
    match report.get("ok").and_then(Value::as_bool) {
        Some(true) => Ok(()),
        _ => bail!("{} does not verify", args.tenant),
    }
}

/// Heads of one tenant's trail, in files and folders.
fn heads_of(paths: &[PathBuf], tenant: &str) -> anyhow::Result<Vec<Value>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            for file in std::fs::read_dir(path)? {
                let file = file?.path();
                if file.extension().is_some_and(|e| e == "jsonl") {
                    files.push(file);
                }
            }
        } else {
            files.push(path.clone());
        }
    }
    let mut heads = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("reading {}", file.display()))?;
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let head: Value = serde_json::from_str(line)
                .with_context(|| format!("{}: not a head of a trail", file.display()))?;
            if head.get("tenant").and_then(Value::as_str) == Some(tenant) {
                heads.push(head);
            }
        }
    }
    let step = heads.len().div_ceil(HEADS_MAX).max(1);
    let last = heads.last().cloned();
    let mut heads: Vec<Value> = heads.into_iter().step_by(step).collect();
    if step > 1 {
        heads.extend(last);
    }
    Ok(heads)
}

fn describe(report: &Value) -> String {
    let count = |name: &str| report.get(name).and_then(Value::as_u64).unwrap_or(0);
    let findings = report
        .get("findings")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let (rows, events) = (count("rows"), count("events"));
    let decided = report.get("decided").and_then(Value::as_array);
    let decided = match decided.map_or(0, Vec::len) {
        0 => String::new(),
        n => format!("\n{n} rows are not as they were written, and somebody decided about each"),
    };
    if findings.is_empty() {
        return format!("{rows} rows and {events} audit events agree{decided}");
    }
    let cell = |finding: &Value, name: &str| match finding.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let head = [
        "kind",
        "tampering",
        "record",
        "records",
        "seq",
        "type",
        "id",
        "version",
    ];
    let rows_found: Vec<Vec<String>> = findings
        .iter()
        .map(|f| head.iter().map(|name| cell(f, name)).collect())
        .collect();
    let more = text(report, "more");
    format!(
        "{rows} rows, {events} audit events, {} findings\n{}{more}{decided}",
        findings.len(),
        table(
            &[
                "FINDING", "WHAT", "RECORD", "RECORDS", "CHANGE", "TYPE", "ID", "VERSION"
            ],
            &rows_found
        )
    )
}
