//! `cargo xtask docs`: writes the pages of the book that are made from code. What they say is
//! `server`'s; a test there fails when a page is out of date.

use std::process::Command;

use anyhow::Result;

use crate::workspace::{call, cargo, root};

/// Runs the command.
pub(crate) fn run() -> Result<()> {
    let mut pages = Command::new(cargo());
    pages
        .args(["run", "--quiet", "-p", "server", "--example", "pages"])
        .current_dir(root()?);
    call(&mut pages)
}
