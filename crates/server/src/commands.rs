//! What the binary can be told to do, one file per command, and the command line that tells it.

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub mod alerts;
pub mod audit;
pub mod backup;
pub mod check_config;
pub mod client;
mod credentials;
pub mod demo;
pub mod identity_provider;
pub mod import;
pub mod imports;
pub mod key;
pub mod login;
pub mod operator;
pub mod person;
pub mod policy;
mod print;
pub mod quarantine;
pub mod scrub;
pub mod serve;
pub mod tenant;
pub mod vendor;
pub mod verify;

/// One process that hosts many clinics, each behind its own wall.
#[derive(Debug, Parser)]
#[command(name = "insula", version)]
struct Insula {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show Insula with three sample clinics in a throw-away folder.
    Demo(demo::Demo),
    /// Serve all tenants of a data folder.
    Serve(serve::Serve),
    /// Make, list, change and end tenants.
    Tenant(tenant::Tenant),
    /// API clients of a tenant.
    Client(client::Client),
    /// What a tenant's people, and clients that policy governs, may do.
    Policy(policy::Policy),
    /// What the programs of a vendor may do in a tenant, and what they did.
    Vendor(vendor::Vendor),
    /// The first administrator of a tenant.
    Person(person::Person),
    /// Sign in to a tenant in a browser, and keep the access token in a file.
    Login(login::Login),
    /// Where a tenant's people may sign in instead of here.
    IdentityProvider(identity_provider::IdentityProvider),
    /// Load Bundles and NDJSON into a tenant.
    Import(import::Import),
    /// Ways in for bulk loading that were opened into a tenant.
    Imports(imports::Imports),
    /// Check a tenant's rows, seals, index rows and audit chain against each other.
    Verify(verify::Verify),
    /// Check all rows of a tenant in the background.
    Scrub(scrub::Scrub),
    /// Rows that are not as they were written, and decisions about them.
    Quarantine(quarantine::Quarantine),
    /// Read a tenant's audit trail: who was shown what, who was refused, what was changed.
    Audit(audit::Audit),
    /// Accesses that somebody should look at, and the rules that raise them.
    Alerts(alerts::Alerts),
    /// Back up a tenant while it is used.
    Backup(backup::Backup),
    /// Make a tenant from a backup.
    Restore(backup::Restore),
    /// The key-encryption key.
    Key(key::Key),
    /// Who operates the house, by name.
    Operator(operator::Operator),
    /// Check a configuration file.
    CheckConfig(check_config::CheckConfig),
}

/// Does what the command line says: the whole of `insula`.
pub fn main() -> ExitCode {
    let done = match Insula::parse().command {
        Command::Demo(args) => demo::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Tenant(args) => tenant::run(&args),
        Command::Client(args) => client::run(&args),
        Command::Policy(args) => policy::run(&args),
        Command::Vendor(args) => vendor::run(&args),
        Command::Person(args) => person::run(&args),
        Command::Login(args) => login::run(&args),
        Command::IdentityProvider(args) => identity_provider::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Imports(args) => imports::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Scrub(args) => scrub::run(&args),
        Command::Quarantine(args) => quarantine::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Alerts(args) => alerts::run(&args),
        Command::Backup(args) => backup::backup(&args),
        Command::Restore(args) => backup::restore(&args),
        Command::Key(args) => key::run(&args),
        Command::Operator(args) => operator::run(&args),
        Command::CheckConfig(args) => check_config::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads the output has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "insula: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |e: &std::io::Error| e.kind() == std::io::ErrorKind::BrokenPipe;
    // What goes over a network and breaks off has something in front of it.
    error.downcast_ref::<std::io::Error>().is_some_and(broken)
}
