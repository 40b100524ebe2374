//! `cargo xtask definitions`: HL7's npm packages become the compact tables under
//! `crates/fhir/definitions/`.
//!
//! The tables hold facts only (paths, cardinalities, types, codes, expressions), no prose. They are
//! deterministic: the same package gives the same bytes. Numbers of types and search parameters
//! live in `registry.tsv`, which is only ever appended to, because they are stored in databases.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};

mod codes;
mod compartments;
mod corrections;
mod elements;
mod package;
mod registry;
mod search;

use package::Package;

use crate::workspace::target_folder;

/// One of HL7's packages, and the folder under crates/fhir/definitions/ that its tables go to.
struct Source {
    folder: &'static str,
    package: &'static str,
    version: &'static str,
    /// HL7's package of the value sets of this version with their codes, where `package` lacks the
    /// code systems of terminology.hl7.org.
    expansions: Option<&'static str>,
}

/// The versions of FHIR, oldest first: a new one is a line here, its tables, and its name in
/// `fhir::definitions::FhirVersion`.
const SOURCES: &[Source] = &[
    Source {
        folder: "r4",
        package: "hl7.fhir.r4.examples",
        version: "4.0.1",
        expansions: None,
    },
    Source {
        folder: "r4b",
        package: "hl7.fhir.r4b.core",
        version: "4.3.0",
        expansions: Some("hl7.fhir.r4b.expansions"),
    },
    Source {
        folder: "r5",
        package: "hl7.fhir.r5.core",
        version: "5.0.0",
        expansions: Some("hl7.fhir.r5.expansions"),
    },
];

/// What to distil.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only these folders under crates/fhir/definitions/ (r4, r4b, r5); all if none is named
    folders: Vec<String>,
}

/// One table on its way to a file.
struct Table {
    text: String,
}

impl Table {
    fn new(package: &Package, columns: &str) -> Self {
        Self::of(&[package], columns)
    }

    fn of(packages: &[&Package], columns: &str) -> Self {
        let mut text = String::new();
        for p in packages {
            text.push_str(&format!(
                "# from {} {}, sha256 {}\n",
                p.name, p.version, p.sha256
            ));
        }
        text.push_str(&format!("# {columns}\n"));
        Self { text }
    }

    fn row(&mut self, cells: &[&str]) {
        debug_assert!(cells.iter().all(|c| !c.contains(['\t', '\n'])));
        self.text.push_str(cells.join("\t").trim_end_matches('\t'));
        self.text.push('\n');
    }
}

/// Fetches the packages (once), distils them and writes the tables.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let wanted = |s: &&Source| {
        let folders = &arguments.folders;
        folders.is_empty() || folders.iter().any(|f| f == s.folder)
    };
    SOURCES.iter().filter(wanted).try_for_each(distil)
}

fn distil(source: &Source) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fhir/definitions");
    let cache = target_folder()?.join("definitions");
    let package = Package::fetch(&cache, source.package, source.version)?;
    let expansions = source
        .expansions
        .map(|name| Package::fetch(&cache, name, source.version))
        .transpose()?;

    let folder = root.join(source.folder);
    fs::create_dir_all(&folder)?;
    let types = elements::types(&package);
    let mut left_out = Vec::new();
    let params = search::params(&package, &types, &mut left_out);
    let tables = [
        ("types.tsv", elements::type_table(&package, &types)),
        ("elements.tsv", elements::element_table(&package, &types)?),
        ("params.tsv", search::table(&package, &params)),
        (
            "codes.tsv",
            codes::table(&package, expansions.as_ref(), &types),
        ),
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
