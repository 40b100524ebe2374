//! `insula` itself, once more: cargo builds a package's own programs before its integration tests,
//! and no other package's. Has nothing of its own.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    server::commands::main()
}
