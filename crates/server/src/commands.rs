//! What the binary can be told to do, one file per command, and the command line that tells it.

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub mod check_config;
pub mod serve;

/// One process that hosts many clinics, each behind its own wall.
#[derive(Debug, Parser)]
#[command(name = "insula", version)]
struct Insula {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve all tenants of a data folder.
    Serve(serve::Serve),
    /// Check a configuration file.
    CheckConfig(check_config::CheckConfig),
}

/// Does what the command line says: the whole of `insula`.
pub fn main() -> ExitCode {
    let done = match Insula::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::CheckConfig(args) => check_config::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "insula: {error:#}");
            ExitCode::FAILURE
        }
    }
}
