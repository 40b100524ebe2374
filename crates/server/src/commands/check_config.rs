//! `insula check-config FILE`: reads a configuration and says what is wrong with it.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

/// Arguments.
#[derive(Debug, Args)]
pub struct CheckConfig {
    /// The file.
    pub file: PathBuf,
}

/// Checks the file, together with the environment.
pub fn run(args: &CheckConfig) -> anyhow::Result<()> {
    super::serve::load(Some(&args.file))?;
    writeln!(std::io::stdout(), "{} is good", args.file.display())?;
    Ok(())
}
