//! Trains the compression dictionary of one version of FHIR from synthetic records.
//!
//! A dictionary that was shipped never changes: a new one gets a new number. Samples have the form
//! in which bodies are stored: compact, without `resourceType` and `id`, references resolved.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folder of transaction Bundles of synthetic people
    #[arg(long)]
    bundles: PathBuf,
    /// Folder of example resources; only their structure is used
    #[arg(long)]
    examples: PathBuf,
    /// File to write
    #[arg(long)]
    out: PathBuf,
    /// Bytes of the dictionary
    #[arg(long, default_value_t = 48 << 10)]
    size: usize,
}

/// Samples of one resource type, so that frequent types do not crowd out the others.
const SAMPLES_PER_TYPE: usize = 1_500;
const SAMPLE_BYTES_MAX: usize = 16 << 10;

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    ensure!(
        !arguments.out.exists(),
        "{} was shipped; take a new name",
        arguments.out.display()
    );
    let mut samples: HashMap<String, Vec<Vec<u8>>> = HashMap::new();
    for file in json_files(&arguments.bundles)? {
        take_bundle(&std::fs::read_to_string(&file)?, &mut samples)
            .with_context(|| file.display().to_string())?;
    }
    for file in json_files(&arguments.examples)? {
        take_example(&std::fs::read_to_string(&file)?, &mut samples);
    }
    let all: Vec<&Vec<u8>> = samples.values().flatten().collect();
    let dictionary = zstd::dict::from_samples(&all, arguments.size)?;
    let mut packer = zstd::bulk::Compressor::with_dictionary(3, &dictionary)?;
    let (mut plain, mut packed) = (0, 0);
    for sample in &all {
        plain += sample.len();
        packed += packer.compress(sample)?.len();
    }
    std::fs::write(&arguments.out, &dictionary)?;
    eprint_line(&format!(
        "{} samples of {} types, {:.1} times smaller, {} bytes",
        all.len(),
        samples.len(),
        plain as f64 / packed as f64,
        dictionary.len()
    ));
    Ok(())
}

fn eprint_line(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn json_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .with_context(|| folder.display().to_string())?
        .filter_map(|e| e.ok().map(|e| e.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "json"))
        .collect();
    files.sort();
    Ok(files)
}

#[derive(Deserialize)]
struct Bundle<'b> {
    #[serde(borrow)]
    entry: Vec<Entry<'b>>,
}

#[derive(Deserialize)]
struct Entry<'b> {
    #[serde(borrow)]
    resource: &'b RawValue,
}

#[derive(Deserialize)]
struct Head {
    #[serde(rename = "resourceType")]
    resource_type: String,
    id: String,
}

fn take_bundle(text: &str, samples: &mut HashMap<String, Vec<Vec<u8>>>) -> Result<()> {
    let bundle: Bundle<'_> = serde_json::from_str(text)?;
    let heads: Vec<Head> = bundle
        .entry
        .iter()
        .map(|e| serde_json::from_str(e.resource.get()))
        .collect::<serde_json::Result<_>>()?;
    let types: HashMap<&str, &str> = heads
        .iter()
        .map(|h| (h.id.as_str(), h.resource_type.as_str()))
        .collect();
    for (entry, head) in bundle.entry.iter().zip(&heads) {
        let of_type = samples.entry(head.resource_type.clone()).or_default();
        if of_type.len() >= SAMPLES_PER_TYPE {
            continue;
        }
        let body = resolve(&compact(entry.resource.get()), &types);
        let start = format!(
            r#"{{"resourceType":"{}","id":"{}""#,
            head.resource_type, head.id
        );
        let body = format!("}}{}", body.strip_prefix(&start).unwrap_or(&body));
        if body.len() <= SAMPLE_BYTES_MAX {
            of_type.push(body.into_bytes());
        }
    }
    Ok(())
}

/// Without white space between tokens.
fn compact(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    json.chars()
        .filter(|c| {
            if in_string {
                if !escaped && *c == '"' {
                    in_string = false;
                }
                escaped = !escaped && *c == '\\';
                return true;
            }
            in_string = *c == '"';
            !c.is_ascii_whitespace()
        })
        .collect()
}

/// `urn:uuid:…` as it is stored after a transaction.
fn resolve(body: &str, types: &HashMap<&str, &str>) -> String {
    let mut parts = body.split("urn:uuid:");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.get(..36).and_then(|id| types.get(id)) {
            Some(type_name) => out.push_str(&format!("{type_name}/")),
            None => out.push_str("urn:uuid:"),
        }
        out.push_str(part);
    }
    out
}

/// Examples teach element names and codes; their prose is left out.
fn take_example(text: &str, samples: &mut HashMap<String, Vec<Vec<u8>>>) {
    let Ok(mut value) = serde_json::from_str::<Value>(text) else {
        return;
    };
    let Some(type_name) = value.get("resourceType").and_then(Value::as_str) else {
        return;
    };
    const DEFINITIONS: &[&str] = &[
        "StructureDefinition",
        "ValueSet",
        "CodeSystem",
        "SearchParameter",
        "Bundle",
    ];
    if DEFINITIONS.contains(&type_name) {
        return;
    }
    let type_name = type_name.to_owned();
    let of_type = samples.entry(type_name).or_default();
    if of_type.len() >= SAMPLES_PER_TYPE {
        return;
    }
    for member in ["resourceType", "id", "text", "contained"] {
        value.as_object_mut().map(|o| o.remove(member));
    }
    shorten(&mut value);
    let body = format!("}},{}", value.to_string().trim_start_matches('{'));
    if body.len() <= SAMPLE_BYTES_MAX {
        of_type.push(body.into_bytes());
    }
}

/// Cuts sentences out.
fn shorten(value: &mut Value) {
    match value {
        Value::String(s) if s.contains(' ') => s.clear(),
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Object(members) => members.values_mut().for_each(shorten),
        _ => {}
    }
}
