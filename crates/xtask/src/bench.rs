//! `cargo xtask bench`: builds `insula` and the bench as they are shipped, and runs the bench. It
//! knows nothing of what is measured; see `crates/bench`.

use std::process::Command;

use anyhow::Result;

use crate::workspace::{call, cargo, root, target_folder};

/// What may follow `cargo xtask bench`.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// Passed on to the bench; `--help` lists what it takes
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    bench: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut build = Command::new(cargo());
    build
        .args(["build", "--release", "-p", "server", "-p", "bench"])
        .current_dir(root()?);
    call(&mut build)?;
    let program = target_folder()?.join("release/bench");
    call(Command::new(program).args(&arguments.bench))
}
