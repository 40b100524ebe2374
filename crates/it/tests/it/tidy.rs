//! The rules of the house that neither a type nor a lint can keep.
//!
//! Reads the project's own files and `cargo metadata`; starts no server and knows nothing of FHIR.

mod arrows;
mod code_map;
mod dependencies;
mod docs;
mod files;
mod rust;
mod words;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

/// The workspace's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap()
        .to_path_buf()
}

/// What `cargo metadata` says of this platform, dependencies included.
static METADATA: LazyLock<Value> = LazyLock::new(|| {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
});

/// The elements of an array member.
fn list<'v>(value: &'v Value, member: &str) -> &'v [Value] {
    value[member]
        .as_array()
        .unwrap_or_else(|| panic!("no list {member}"))
}

/// A text member.
fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member]
        .as_str()
        .unwrap_or_else(|| panic!("no text {member} in {value}"))
}

/// The packages of this workspace.
fn rooms() -> Vec<&'static Value> {
    let members = list(&METADATA, "workspace_members");
    list(&METADATA, "packages")
        .iter()
        .filter(|p| members.contains(&p["id"]))
        .collect()
}

/// Fails with every line of what was found wrong.
#[track_caller]
fn nothing(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}\n  {}", found.join("\n  "));
}
