//! `insula audit`: a tenant's audit trail, oldest first.

use std::io::Write;

use clap::Args;
use serde_json::Value;

use super::print::text;
use crate::admin_client::{Connect, Output, tenant_path};

/// Arguments.
#[derive(Debug, Args)]
pub struct Audit {
    #[command(flatten)]
    connect: Connect,
    /// With `--json`, one object a line.
    #[command(flatten)]
    output: Output,
    /// The tenant.
    #[arg(long)]
    tenant: String,
    /// Only what comes after the record of this number.
    #[arg(long, default_value_t = 0)]
    after: u64,
    /// The last signed head of the trail instead, made now if the trail has grown.
    #[arg(long)]
    head: bool,
    /// A proof instead, that the record of this number is in the trail.
    #[arg(long)]
    proof: Option<u64>,
    /// A proof instead, that the trail of so many records is the beginning of the later one.
    #[arg(long)]
    proof_from: Option<u64>,
    /// Proofs are in the tree of the first so many records; of all without it.
    #[arg(long)]
    size: Option<u64>,
    /// A report instead: who was shown or changed what about which patients.
    #[arg(long)]
    report: bool,
    /// Of this patient (`Patient/7`).
    #[arg(long, requires = "report")]
    patient: Option<String>,
    /// By this one: `client:…`, `person:…`.
    #[arg(long, requires = "report")]
    actor: Option<String>,
    /// From this date or instant on.
    #[arg(long, requires = "report")]
    from: Option<String>,
    /// Before this date or instant.
    #[arg(long, requires = "report")]
    to: Option<String>,
    /// One line for each access, for each patient whom they touched, or for each patient whom somebody opened
    /// in an emergency and each way in that an operator made.
    #[arg(long, requires = "report", default_value = "access", value_parser = ["access", "patient", "opening"])]
    by: String,
    /// `csv`, or `html` for printing.
    #[arg(long, requires = "report", default_value = "csv", value_parser = ["csv", "html"])]
    format: String,
}

/// Lines asked for at once.
const PAGE: u64 = 1_000;

/// Runs the command.
pub fn run(args: &Audit) -> anyhow::Result<()> {
    let admin = args.connect.admin()?;
    let path = tenant_path(&args.tenant, "/audit")?;
    let mut out = std::io::stdout().lock();
    if args.head {
        let head = admin.get(&format!("{path}/head"))?;
        return Ok(writeln!(out, "{head}")?);
    }
    if args.proof.is_some() || args.proof_from.is_some() {
        let parts = [
            ("record", args.proof),
            ("from", args.proof_from),
            ("size", args.size),
        ];
        let parts: Vec<String> = parts
            .iter()
            .filter_map(|(name, value)| value.map(|value| format!("{name}={value}")))
            .collect();
        let proof = admin.get(&format!("{path}/proof?{}", parts.join("&")))?;
        return Ok(writeln!(out, "{proof}")?);
    }
    if args.report {
        let mut query = Vec::new();
        let parts = [
            ("patient", &args.patient),
            ("actor", &args.actor),
            ("from", &args.from),
            ("to", &args.to),
        ];
        for (name, value) in parts {
            if let Some(value) = value {
                query.push(format!("{name}={}", engine::form::encode(value)));
            }
        }
        let format = if args.output.json {
            "json"
        } else {
            &args.format
        };
        query.push(format!("format={format}&by={}", args.by));
        let text = admin.text(&format!("{path}/report?{}", query.join("&")))?;
        return Ok(writeln!(out, "{}", text.trim_end())?);
    }
    let mut after = args.after;
    loop {
        let page = admin.get(&format!("{path}?after={after}&limit={PAGE}"))?;
        for line in page
            .get("lines")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            if args.output.json {
                writeln!(out, "{line}")?;
            } else {
                writeln!(out, "{}", words(line))?;
            }
        }
        match page.get("next").and_then(Value::as_u64) {
            Some(next) if next > after => after = next,
            _ => return Ok(()),
        }
    }
}

fn words(line: &Value) -> String {
    let shown = line.get("shown").and_then(Value::as_array);
    let shown: Vec<&str> = shown
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let parts = [
        text(line, "at"),
        text(line, "actor"),
        text(line, "action"),
        text(line, "about"),
        text(line, "outcome"),
        text(line, "code"),
    ];
    let parts: Vec<&str> = parts.into_iter().filter(|p| !p.is_empty()).collect();
    format!("{}  {}", parts.join("  "), shown.join(" "))
        .trim_end()
        .to_owned()
}
