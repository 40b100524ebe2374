//! `insula quarantine …`: rows that are not as they were written, and what somebody of the tenant
//! decides about them. The operator sees which there are; deciding takes credentials of the tenant.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::credentials::Credentials;
use super::print::{print, table, text};
use crate::admin_client::{Connect, Output, tenant_path};

/// Arguments.
#[derive(Debug, Args)]
pub struct Quarantine {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// What waits for a decision.
    List {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// Also what was decided about.
        #[arg(long)]
        all: bool,
    },
    /// A resource: what is wrong with it, what lies there, and its last good version.
    Show(Of),
    /// Make a new version of the changed content.
    Accept(Decide),
    /// Make a new version of the last good content.
    Revert(Decide),
    /// Delete a resource of which no version is good.
    Delete(Decide),
    /// Leave old versions that are wrong as they are.
    Note(Decide),
}

#[derive(Debug, Args)]
struct Of {
    #[command(flatten)]
    by: Credentials,
    /// `Type/id`
    resource: String,
}

#[derive(Debug, Args)]
struct Decide {
    #[command(flatten)]
    of: Of,
    /// Why.
    #[arg(long)]
    remark: String,
    /// SHA-256 of the content that was looked at, as `show` tells it (`changedDigest`, `lastGoodDigest`);
    /// nothing else is accepted.
    #[arg(long)]
    digest: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// The server is not there, or refuses.
pub fn run(args: &Quarantine) -> anyhow::Result<()> {
    match &args.what {
        What::List { tenant, all } => {
            let admin = args.connect.admin()?;
            let path = tenant_path(tenant, &format!("/quarantine?all={all}"))?;
            let found = admin.get(&path)?;
            let found = found.get("quarantine").cloned().unwrap_or_default();
            print(args.output, &found, lines)
        }
        What::Show(of) => {
            let query = json!([{ "name": "resource", "valueString": of.resource }]);
            let told = of.by.ask(&args.connect, "$quarantine", &query)?;
            print(args.output, &told, |told| {
                serde_json::to_string_pretty(told).unwrap_or_default()
            })
        }
        What::Accept(of) => decide(args, of, "accept"),
        What::Revert(of) => decide(args, of, "revert"),
        What::Delete(of) => decide(args, of, "delete"),
        What::Note(of) => decide(args, of, "note"),
    }
}

fn decide(args: &Quarantine, decided: &Decide, word: &str) -> anyhow::Result<()> {
    let mut parameters = vec![
        json!({ "name": "resource", "valueString": decided.of.resource }),
        json!({ "name": "decision", "valueCode": word }),
        json!({ "name": "remark", "valueString": decided.remark }),
    ];
    if let Some(digest) = &decided.digest {
        parameters.push(json!({ "name": "digest", "valueString": digest }));
    }
    let parameters = json!(parameters);
    let by = &decided.of.by;
    let told = by.ask(&args.connect, "$quarantine-decide", &parameters)?;
    print(args.output, &told, |_| {
        format!("{}: {word}", decided.of.resource)
    })
}

fn lines(found: &Value) -> String {
    let found = found.as_array().map_or(&[][..], Vec::as_slice);
    if found.is_empty() {
        return "nothing is in quarantine".to_owned();
    }
    let row = |line: &Value| {
        let number = |name: &str| line.get(name).map_or_else(String::new, Value::to_string);
        vec![
            text(line, "resource").to_owned(),
            number("version"),
            text(line, "kind").to_owned(),
            text(line, "found").to_owned(),
            text(line, "decision").to_owned(),
            text(line, "by").to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = found.iter().map(row).collect();
    table(
        &["RESOURCE", "VERSION", "KIND", "FOUND", "DECISION", "BY"],
        &rows,
    )
}
