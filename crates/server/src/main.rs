//! `insula`: many clinics under one roof.

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use server::commands;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    Serve(commands::serve::Serve),
    /// Check a configuration file.
    CheckConfig(commands::check_config::CheckConfig),
}

fn main() -> ExitCode {
    let done = match Insula::parse().command {
        Command::Serve(args) => commands::serve::run(&args),
        Command::CheckConfig(args) => commands::check_config::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "insula: {error:#}");
            ExitCode::FAILURE
        }
    }
}
