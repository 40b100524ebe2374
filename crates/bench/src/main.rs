//! `cargo xtask bench`: how fast a house is, against floors measured in the same run.
//!
//! One table. Each row says in which audit mode, with how many tenants and at what concurrency it
//! was taken; ratios are to a floor that ran interleaved with what is measured, on the same
//! machine. The method is described in `docs/src/operators/speed.md`.

mod cases;
mod data;
mod floor;
mod house;
mod http;
mod load;
mod process;
mod table;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures a house, or another FHIR server.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", args_conflicts_with_subcommands = true)]
struct Bench {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    options: Options,
}

/// What this program is started as by itself.
#[derive(Debug, Subcommand)]
enum Role {
    /// Serve one answer on every URL (started by the bench itself).
    #[command(hide = true)]
    Floor {
        /// The answer.
        file: PathBuf,
    },
    /// Commit the same rows without HTTP (started by the bench itself).
    #[command(hide = true)]
    Commits {
        /// What to do, as JSON.
        order: String,
    },
}

/// How to measure.
#[derive(Clone, Debug, Args)]
struct Options {
    /// About a minute: short samples, small stores.
    #[arg(long)]
    quick: bool,
    /// Everything, with a store grown to a million resources and ten thousand tenants.
    #[arg(long, conflicts_with = "quick")]
    full: bool,
    /// Only cases whose name contains this; can be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Run the read, search and create mix against this FHIR base instead (http only).
    #[arg(long, value_name = "URL")]
    peer: Option<String>,
    /// The peer's whole `Authorization` header value.
    #[arg(long, requires = "peer", value_name = "VALUE")]
    peer_auth: Option<String>,
    /// The peer holds the data already, from a run before.
    #[arg(long, requires = "peer")]
    peer_loaded: bool,
    /// The peer's process id, when it runs on this machine: for its processor time and memory.
    #[arg(long, requires = "peer", value_name = "PID")]
    peer_pid: Option<u32>,
    /// Measure with `[audit] mode = "strict"`.
    #[arg(long)]
    strict: bool,
    /// The program to measure; default: `insula` beside this one.
    #[arg(long, value_name = "FILE")]
    insula: Option<PathBuf>,
    /// Folder for data, on the disk that is meant to be measured.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

fn main() -> ExitCode {
    let bench = Bench::parse();
    let done = match bench.role {
        Some(Role::Floor { file }) => floor::serve(&file),
        Some(Role::Commits { order }) => cases::commits(&order),
        None => measure(bench.options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: Options) -> anyhow::Result<()> {
    let json = options.json;
    // One thread: the generator shares the processors with what it measures. What it waits for one itself
    // is no wait of what it measures.
    store::answer_soon();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let rows = runtime.block_on(cases::run(options))?;
    let text = if json {
        serde_json::to_string_pretty(&rows)?
    } else {
        table::print(&rows)
    };
    writeln!(std::io::stdout(), "{text}")?;
    Ok(())
}
