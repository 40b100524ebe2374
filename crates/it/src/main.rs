//! `insula` itself, once more: cargo builds a package's own programs before its integration tests,
//! and no other package's. Has nothing of its own, but that it ends with whoever started it for a
//! test: a test that is killed leaves no server behind.

use std::io::Read;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Set by `testkit`, which then holds the other end of our standard input.
const ENDS_WITH_PARENT: &str = "TESTKIT_ENDS_WITH_PARENT";

fn main() -> ExitCode {
    if std::env::var_os(ENDS_WITH_PARENT).is_some() {
        std::thread::spawn(|| {
            let mut nothing = [0; 1];
            while std::io::stdin().read(&mut nothing).is_ok_and(|n| n > 0) {}
            std::process::exit(1);
        });
    }
    server::commands::main()
}
