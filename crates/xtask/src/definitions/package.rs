//! Fetching one of HL7's packages and reading the definitions in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// The definitions of one package, each kind by its canonical URL.
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) sha256: String,
    pub(crate) structures: BTreeMap<String, Value>,
    pub(crate) params: BTreeMap<String, Value>,
    pub(crate) value_sets: BTreeMap<String, Value>,
    pub(crate) code_systems: BTreeMap<String, Value>,
    pub(crate) compartments: BTreeMap<String, Value>,
}

impl Package {
    /// Reads the package from the cache folder; `npm pack` and `tar` bring it there first.
    pub(crate) fn fetch(cache: &Path, name: &str, version: &str) -> Result<Self> {
        fs::create_dir_all(cache)?;
        let archive = cache.join(format!("{name}-{version}.tgz"));
        if !archive.exists() {
            let mut npm = Command::new("npm");
            npm.arg("pack")
                .arg(format!("{name}@{version}"))
                .arg("--silent")
                .current_dir(cache);
            ensure!(
                npm.status().context("npm")?.success(),
                "npm pack {name}@{version} failed"
            );
        }
        let digest = ring::digest::digest(&ring::digest::SHA256, &fs::read(&archive)?);
        let sha256 = digest.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        let folder = cache.join(format!("{name}-{version}"));
        if !folder.join("package/package.json").exists() {
            fs::create_dir_all(&folder)?;
            let mut tar = Command::new("tar");
            tar.arg("-xzf").arg(&archive).arg("-C").arg(&folder);
            ensure!(
                tar.status().context("tar")?.success(),
                "unpacking {name} failed"
            );
        }
        let (name, version) = (name.to_owned(), version.to_owned());
        let read = |kind: &str| definitions(&folder.join("package"), kind);
        Ok(Self {
            name,
            version,
            sha256,
            structures: read("StructureDefinition")?,
            params: read("SearchParameter")?,
            value_sets: read("ValueSet")?,
            code_systems: read("CodeSystem")?,
            compartments: read("CompartmentDefinition")?,
        })
    }
}

/// All definitions of one kind that are not examples of that kind, by canonical URL.
fn definitions(folder: &Path, kind: &str) -> Result<BTreeMap<String, Value>> {
    let prefix = format!("{kind}-");
    let mut found = BTreeMap::new();
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        let name = path
            .file_name()
            .and_then(|n| n.to_str())
            .unwrap_or_default();
        let Some(id) = name.strip_prefix(&prefix) else {
            continue;
        };
        let is_json = path.extension().is_some_and(|e| e == "json");
        let is_example = id.starts_with("example.") || id.starts_with("example-");
        if !is_json || is_example {
            continue;
        }
        let value: Value = serde_json::from_slice(&fs::read(&path)?)
            .with_context(|| path.display().to_string())?;
        if let Some(url) = text(&value, "url") {
            found.insert(url.to_owned(), value);
        }
    }
    Ok(found)
}

/// A string member.
pub(crate) fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Value::as_str)
}

/// The items of an array member; none if it is absent.
pub(crate) fn items<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}
