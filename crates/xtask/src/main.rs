//! The project's own commands: `cargo xtask <command>`.

use clap::{Parser, Subcommand};

mod again;
mod bench;
mod conformance;
mod definitions;
mod dictionary;
mod docs;
mod test;
mod workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own commands")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure how fast a house is, against floors measured in the same run
    Bench(bench::Arguments),
    /// Run the outside judges, and compare what they find with the committed table
    Conformance(conformance::Arguments),
    /// Distil the tables of crates/fhir/definitions from one of HL7's packages
    Definitions(definitions::Arguments),
    /// Train a compression dictionary from synthetic records
    Dictionary(dictionary::Arguments),
    /// Write the pages of the book that are made from code
    Docs,
    /// Install what the tests need when it is missing, then run them all
    Test(test::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Conformance(arguments) => conformance::run(&arguments),
        Command::Definitions(arguments) => definitions::run(&arguments),
        Command::Dictionary(arguments) => dictionary::run(&arguments),
        Command::Docs => docs::run(),
        Command::Test(arguments) => test::run(&arguments),
    }
}
