//! `insula check-config FILE`: reads a configuration and says what is wrong with it.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::print::print;
use crate::admin_client::Output;

/// Arguments.
#[derive(Debug, Args)]
pub struct CheckConfig {
    /// The file.
    pub file: PathBuf,
    #[command(flatten)]
    output: Output,
}

/// Checks the file, together with the environment.
pub fn run(args: &CheckConfig) -> anyhow::Result<()> {
    let file = args.file.display().to_string();
    let wrong = super::serve::load(Some(&args.file))
        .and_then(|config| super::serve::may_start(&config))
        .err();
    let mut said = json!({ "file": file, "ok": wrong.is_none() });
    if let (Some(wrong), Some(said)) = (&wrong, said.as_object_mut()) {
        said.insert("error".to_owned(), format!("{wrong:#}").into());
    }
    if args.output.json || wrong.is_none() {
        print(args.output, &said, |_| format!("{file} is good"))?;
    }
    wrong.map_or(Ok(()), Err)
}
