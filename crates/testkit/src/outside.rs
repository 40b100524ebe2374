//! What tests take from outside the project: suites of data, and clients of other makers.
//!
//! Where something is not there, the test says so, loudly, and passes: plain `cargo test` works
//! on a machine that has none of it. `cargo xtask test` brings it.
#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// A folder of the unpacked suites that `INSULA_SUITES` names.
pub fn suite(name: &str) -> Option<PathBuf> {
    let found = env::var_os("INSULA_SUITES").map(|folder| Path::new(&folder).join(name));
    let found = found.filter(|folder| folder.is_dir());
    if found.is_none() {
        skipped(&format!("INSULA_SUITES names no folder with {name}"));
    }
    found
}

/// A path below the folder where `cargo xtask test` keeps clients of other makers.
pub fn client(path: &str) -> Option<PathBuf> {
    // The test binary lies in `<target>/<profile>/deps`.
    let own = env::current_exe().expect("the path of the test binary");
    let target = own.ancestors().nth(3).expect("a target folder");
    let found = target.join("clients").join(path);
    if found.exists() {
        return Some(found);
    }
    skipped(&format!(
        "no {}; `cargo xtask test` brings it",
        found.display()
    ));
    None
}

/// A package that `cargo xtask test` fetches from npm: its folder of files.
pub fn package(name: &str) -> Option<PathBuf> {
    client(&format!("{name}/package"))
}

/// Notes how many cases of an outside judge came out as they should: a line of
/// `<CONFORMANCE_RESULTS>/<judge>.tsv`, which `cargo xtask conformance` compares with the committed
/// table. Does nothing where that variable is not set.
pub fn record(judge: &str, measure: &str, good: usize, all: usize) {
    let Some(folder) = env::var_os("CONFORMANCE_RESULTS").filter(|f| !f.is_empty()) else {
        return;
    };
    let path = Path::new(&folder).join(format!("{judge}.tsv"));
    let mut file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .expect("a file of results");
    let line = format!("{measure}\t{good}\t{all}\n");
    file.write_all(line.as_bytes()).expect("a line of results");
}

/// Says that a test, or a part of one, did not run.
pub fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
}
