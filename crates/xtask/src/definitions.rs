//! `cargo xtask definitions`: one of HL7's npm packages becomes the compact tables under
//! `crates/fhir/definitions/`.
//!
//! The tables hold facts only (paths, cardinalities, types, codes, expressions), no prose. They are
//! deterministic: the same package gives the same bytes. Numbers of types and search parameters
//! live in `registry.tsv`, which is only ever appended to, because they are stored in databases.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

mod codes;
mod compartments;
mod elements;
mod package;
mod registry;
mod search;

use package::Package;

/// What to distil, and where to.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Name of the npm package that holds the definitions
    #[arg(long, default_value = "hl7.fhir.r4.examples")]
    package: String,
    /// Its version
    #[arg(long, default_value = "4.0.1")]
    package_version: String,
    /// Folder under crates/fhir/definitions/ that the tables go to
    #[arg(long, default_value = "r4")]
    folder: String,
}

/// One table on its way to a file.
struct Table {
    text: String,
}

impl Table {
    fn new(package: &Package, columns: &str) -> Self {
        let text = format!(
            "# from {} {}, sha256 {}\n# {columns}\n",
            package.name, package.version, package.sha256
        );
        Self { text }
    }

    fn row(&mut self, cells: &[&str]) {
        debug_assert!(cells.iter().all(|c| !c.contains(['\t', '\n'])));
        self.text.push_str(cells.join("\t").trim_end_matches('\t'));
        self.text.push('\n');
    }
}

/// Fetches the package (once), distils it and writes the tables.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fhir/definitions");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        PathBuf::from,
    );
    let cache = target.join("definitions");
    let package = Package::fetch(&cache, &arguments.package, &arguments.package_version)?;

    let folder = root.join(&arguments.folder);
    fs::create_dir_all(&folder)?;
    let types = elements::types(&package);
    let mut left_out = Vec::new();
    let params = search::params(&package, &types, &mut left_out);
    let tables = [
        ("types.tsv", elements::type_table(&package, &types)),
        ("elements.tsv", elements::element_table(&package, &types)?),
        ("params.tsv", search::table(&package, &params)),
        ("codes.tsv", codes::table(&package, &types)),
        ("compartments.tsv", compartments::table(&package)),
    ];
    let mut out = std::io::stdout().lock();
    for what in left_out {
        writeln!(out, "left out: {what}")?;
    }
    for (name, table) in tables {
        let path = folder.join(name);
        fs::write(&path, &table.text).with_context(|| path.display().to_string())?;
        writeln!(out, "{}: {} bytes", path.display(), table.text.len())?;
    }
    let path = root.join("registry.tsv");
    let added = registry::append(&path, &types, &params)?;
    writeln!(out, "{}: {added} numbers added", path.display())?;
    Ok(())
}
