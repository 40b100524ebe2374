//! `insula import`: loads Bundles and NDJSON into a tenant.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use fhir::definitions::{FhirVersion, Model};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ring::digest;
use serde_json::{Value, json};

use super::print::{print, table, text};
use crate::admin_client::{Connect, Output, tenant_path};
use crate::import::{Feed, Files, Journal, Load, Plan, Summary, WayIn, load};

/// Arguments.
#[derive(Debug, Args)]
pub struct Import {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    output: Output,
    /// The tenant.
    #[arg(long)]
    tenant: String,
    /// Files and folders: FHIR Bundles or single resources (.json), one resource a line (.ndjson,
    /// .jsonl), and the same with .gz.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Why; stands in the tenant's audit log with every write.
    #[arg(long, default_value = "insula import")]
    reason: String,
    /// Requests in flight.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    parallel: u8,
    /// Most resources of one request.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    batch: u16,
    /// File of rejects (NDJSON); default: `insula-import-TENANT.rejects.ndjson` here.
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Journal of what is done, removed at the end; default: in the user's state folder.
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
}

/// Bytes of resources after which a request is closed.
const REQUEST_BYTES: usize = 8 << 20;

/// Runs the command.
///
/// # Errors
/// Also when resources were rejected.
pub fn run(args: &Import) -> anyhow::Result<()> {
    // Beside a house on the same machine, its clinics come first.
    store::stand_back();
    store::leave_room();
    let admin = args.connect.admin()?;
    let tenant = admin.get(&tenant_path(&args.tenant, "")?)?;
    let version = text(&tenant, "fhir");
    let version = FhirVersion::parse(version)
        .with_context(|| format!("this insula does not know FHIR {version}"))?;
    let identity = json!({
        "insula-import": 1,
        "server": admin.url(),
        "tenant": args.tenant,
        "created": text(&tenant, "created"),
    });
    let journal = match &args.journal {
        Some(path) => path.clone(),
        None => journal_path(admin.url(), &args.tenant)?,
    };
    let journal = Journal::open(&journal, &identity.to_string())?;
    let files = Files::find(&args.paths)?;
    let passed_over = files.passed_over().iter();
    let passed_over: Vec<String> = passed_over.map(|path| path.display().to_string()).collect();
    let progress = bytes_bar(files.bytes());
    progress.println(format!("{} files into {}", files.count(), args.tenant));
    if journal.has_earlier() {
        progress.println("an earlier import was interrupted; going on");
    }
    let rejects = args.rejects.clone();
    let rejects = rejects
        .unwrap_or_else(|| PathBuf::from(format!("insula-import-{}.rejects.ndjson", args.tenant)));
    let way = WayIn::open(admin, &args.tenant, &args.reason)?;
    let plan = Plan {
        parallel: usize::from(args.parallel),
        entries_max: usize::from(args.batch),
        bytes_max: REQUEST_BYTES,
        rejects: rejects.clone(),
        progress,
    };
    let begun = Instant::now();
    let passed = journal.clone();
    let job = Load {
        way,
        model: Model::of(version),
        plan,
        journal: Some(journal),
    };
    let summary = load(job, &mut || {
        let files = Files::find(&args.paths)?.passing_over(passed.clone());
        Ok(Box::new(files) as Box<dyn Feed>)
    })?;
    report(args, &summary, (&rejects, &passed_over), begun.elapsed())
}

/// Names of files that were passed over that people are told.
const NAMED: usize = 5;

fn report(
    args: &Import,
    summary: &Summary,
    (rejects, passed_over): (&Path, &[String]),
    took: Duration,
) -> anyhow::Result<()> {
    let now = summary.total() - summary.earlier;
    let rate = now as f64 / took.as_secs_f64().max(0.001);
    let mut value = json!({
        "tenant": args.tenant,
        "written": summary.total(),
        "earlier": summary.earlier,
        "repeated": summary.repeated,
        "rejected": summary.rejected,
        "unresolved_references": summary.unresolved,
        "types": summary.written,
        "seconds": (took.as_secs_f64() * 1000.0).round() / 1000.0,
        "per_second": rate.round(),
        "passed_over": passed_over,
    });
    if summary.rejected > 0 {
        value["rejects"] = json!(rejects.display().to_string());
    }
    print(args.output, &value, |_| {
        let rows: Vec<Vec<String>> = summary
            .written
            .iter()
            .map(|(name, n)| vec![name.clone(), n.to_string()])
            .collect();
        let mut out = table(&["TYPE", "WRITTEN"], &rows);
        out.push_str(&format!(
            "{} resources in {:.1} s, {rate:.0} a second\n",
            summary.total(),
            took.as_secs_f64()
        ));
        if !passed_over.is_empty() {
            let named: Vec<&str> = passed_over.iter().take(NAMED).map(String::as_str).collect();
            let more = match passed_over.len() {
                n if n > NAMED => ", …",
                _ => "",
            };
            out.push_str(&format!(
                "{} files were passed over, as they are no .json, .ndjson or .jsonl (or .gz of these): {}{more}\n",
                passed_over.len(),
                named.join(", ")
            ));
        }
        let mut also = |count: u64, words: &str| {
            if count > 0 {
                out.push_str(&format!("{count} {words}\n"));
            }
        };
        also(summary.earlier, "of them by an earlier, interrupted run");
        also(
            summary.repeated,
            "came again with the same content and were not written twice",
        );
        also(
            summary.unresolved,
            "references lead to nothing in the input and were left as they are",
        );
        out
    })?;
    if summary.rejected > 0 {
        bail!(
            "{} resources were rejected; see {}",
            summary.rejected,
            rejects.display()
        );
    }
    Ok(())
}

/// Where the journal of imports into one tenant of one server lies.
fn journal_path(url: &str, tenant: &str) -> anyhow::Result<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let state = std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(home);
    let state = state.context("neither XDG_STATE_HOME nor HOME is set; give --journal")?;
    let digest = digest::digest(&digest::SHA256, url.as_bytes());
    let server: String = digest
        .as_ref()
        .iter()
        .take(6)
        .map(|b| format!("{b:02x}"))
        .collect();
    Ok(state
        .join("insula/import")
        .join(format!("{server}-{tenant}.journal")))
}

/// A bar that moves by bytes; silent when nobody looks.
fn bytes_bar(bytes: u64) -> ProgressBar {
    bar(
        bytes,
        "{bar:30} {bytes}/{total_bytes}  {msg}  {elapsed} (about {eta} left)",
    )
}

/// A progress bar on standard error; silent when that is not a terminal.
pub(crate) fn bar(length: u64, template: &str) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr_with_hz(5)
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(length), target);
    let style = ProgressStyle::with_template(template);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// Totals of a summary, for others who load.
pub(crate) fn totals(summary: &Summary) -> Value {
    json!({ "written": summary.total(), "rejected": summary.rejected, "types": summary.written })
}
