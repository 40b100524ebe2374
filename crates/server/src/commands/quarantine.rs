//! `insula quarantine …`: rows that are not as they were written, and what somebody of the tenant
//! decides about them. The operator sees which there are; deciding takes credentials of the tenant.

use std::path::PathBuf;

use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

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
    /// The tenant.
    #[arg(long)]
    tenant: String,
    /// An API client of the tenant that may administer it, by id.
    #[arg(long, requires = "secret_file")]
    client: Option<String>,
    /// File with the client's secret.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// File with an access token of the tenant, instead of a client's secret.
    #[arg(long, value_name = "FILE", conflicts_with = "client")]
    bearer_file: Option<PathBuf>,
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
            let told = ask(args, of, "$quarantine", &query)?;
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
    let told = ask(args, &decided.of, "$quarantine-decide", &parameters)?;
    print(args.output, &told, |_| {
        format!("{}: {word}", decided.of.resource)
    })
}

/// Asks the tenant itself, as somebody of the tenant.
fn ask(args: &Quarantine, of: &Of, operation: &str, parameters: &Value) -> anyhow::Result<Value> {
    tenant_path(&of.tenant, "")?;
    let file = |path: &PathBuf| {
        let text = std::fs::read_to_string(path);
        text.with_context(|| format!("cannot read {}", path.display()))
    };
    let authorization = match (&of.client, &of.secret_file, &of.bearer_file) {
        (Some(client), Some(secret), _) => {
            let pair = format!("{client}:{}", file(secret)?.trim());
            format!("Basic {}", STANDARD.encode(pair))
        }
        (_, _, Some(token)) => format!("Bearer {}", file(token)?.trim()),
        _ => bail!(
            "this is the tenant's: --bearer-file of a person who may administer it, or to look, \
             --client with --secret-file"
        ),
    };
    let url = args.connect.server_url()?;
    let body = json!({ "resourceType": "Parameters", "parameter": parameters });
    let response = args
        .connect
        .agent()?
        .post(format!("{url}/t/{}/fhir/{operation}", of.tenant))
        .header("authorization", authorization)
        .header("content-type", "application/fhir+json")
        .send(body.to_string().as_bytes());
    let mut response = response.with_context(|| format!("cannot reach {url}"))?;
    let status = response.status();
    let said: Value =
        serde_json::from_str(&response.body_mut().read_to_string()?).unwrap_or(Value::Null);
    if status.is_success() {
        return Ok(said);
    }
    let issue = |path: &str| {
        said.pointer(path)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let (why, code) = (
        issue("/issue/0/diagnostics"),
        issue("/issue/0/details/coding/0/code"),
    );
    bail!("{why} ({code}, HTTP {})", status.as_u16())
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
