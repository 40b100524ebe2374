//! `insula scrub`: has the server check all rows of a tenant in the background, and says how far it is.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::print::{print, text};
use crate::admin_client::{Connect, Output, tenant_path};

/// Arguments.
#[derive(Debug, Args)]
pub struct Scrub {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    output: Output,
    /// The tenant.
    #[arg(long)]
    tenant: String,
    /// Do it as fast as it goes, and wait until it is done.
    #[arg(long)]
    now: bool,
    /// Begin nothing, only say how far it is.
    #[arg(long, conflicts_with = "now")]
    status: bool,
}

/// How often it is asked how far it is.
const PAUSE: Duration = Duration::from_millis(250);

/// Runs the command.
///
/// # Errors
/// The server is not there, or refuses; with `--now` also when rows wait in quarantine.
pub fn run(args: &Scrub) -> anyhow::Result<()> {
    let admin = args.connect.admin()?;
    let path = tenant_path(&args.tenant, "/scrub")?;
    let mut told = match args.status {
        true => admin.get(&path)?,
        false => admin.post(&path, &json!({ "now": args.now }))?,
    };
    let running = |told: &Value| told.get("running").and_then(Value::as_bool) == Some(true);
    while args.now && running(&told) {
        std::thread::sleep(PAUSE);
        told = admin.get(&path)?;
    }
    print(args.output, &told, describe)?;
    let waiting = told.get("quarantined").and_then(Value::as_u64).unwrap_or(0);
    if args.now && waiting > 0 {
        anyhow::bail!("{waiting} rows of {} wait in quarantine", args.tenant);
    }
    Ok(())
}

fn describe(told: &Value) -> String {
    let count = |name: &str| told.get(name).and_then(Value::as_u64).unwrap_or(0);
    let now = match told.get("begun") {
        Some(_) => format!(
            "running    {} rows looked at, {} found\n",
            count("rows"),
            count("found")
        ),
        None => String::new(),
    };
    let last = match text(told, "finished") {
        "" => "never finished".to_owned(),
        at => format!(
            "{at}: {} rows, {} found",
            count("last_rows"),
            count("last_found")
        ),
    };
    format!(
        "{now}last       {last}\nwaiting    {}",
        count("quarantined")
    )
}
