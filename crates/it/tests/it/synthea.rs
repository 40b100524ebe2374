//! Synthetic people as Synthea writes them, imported by the command line and counted again.
//!
//! A sample in every run; all 615 when `INSULA_SYNTHEA=all`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::{env, fs};

use serde_json::Value;
use testkit::http::escaped;
use testkit::outside;
use testkit::world::{Caller, word};

mod facts;

/// Every how-manieth file the sample takes.
const SAMPLE: usize = 10;

/// Files of the sample, or all.
pub(crate) fn files() -> Option<Vec<PathBuf>> {
    let folder = outside::suite("synthea-smart-615")?;
    let every = if env::var("INSULA_SYNTHEA").is_ok_and(|v| v == "all") {
        1
    } else {
        SAMPLE
    };
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    files.sort();
    Some(files.into_iter().step_by(every).collect())
}

/// Resources by type, counted in the files themselves. Those that several files have, which are
/// organizations and practitioners, count once.
pub(crate) fn recount(files: &[PathBuf]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for file in files {
        let bundle: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        for entry in bundle["entry"].as_array().unwrap() {
            let kind = word(&entry["resource"], "resourceType");
            if seen.insert((kind.to_owned(), word(&entry["resource"], "id").to_owned())) {
                *counts.entry(kind.to_owned()).or_default() += 1;
            }
        }
    }
    counts
}

/// Resources by type, counted by the server.
pub(crate) fn counts(caller: &Caller, kinds: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let count = |kind: &String| {
        let total = &caller.search(&format!("{kind}?_summary=count"))["total"];
        (kind.clone(), total.as_u64().expect("a total"))
    };
    kinds.keys().map(count).collect()
}

#[test]
fn synthea_is_imported_whole() {
    let Some(files) = files() else { return };
    let world = crate::world::own("synthea", &[]);
    let tenant = world.tenant();
    let mut words = vec!["import", "--tenant", tenant.name()];
    words.extend(files.iter().map(|file| file.to_str().expect("UTF-8")));
    world.server().run(&words);

    let expected = recount(&files);
    let caller = tenant.owner();
    assert_eq!(counts(&caller, &expected), expected);
    outside::record("synthea", "counts by type", expected.len(), expected.len());
    by_criteria(&caller, &files);

    // References of the Bundles (urn:uuid) lead to what was stored.
    let encounter = caller.search("Encounter?_count=20&_include=Encounter:subject");
    let entries = encounter["entry"].as_array().unwrap();
    let patients = entries
        .iter()
        .filter(|e| e["resource"]["resourceType"] == "Patient")
        .count();
    assert!(patients > 0, "no Encounter's subject is there");
    tenant.verify();
}

/// Counts by gender, by code and by range of dates, each made twice: by the server's search, and
/// here from the files.
fn by_criteria(caller: &Caller, files: &[PathBuf]) {
    let facts = facts::read(files);
    let mut wrong = Vec::new();
    for (measure, asked) in [
        ("counts by gender", facts.by_gender()),
        ("counts by code", facts.by_code()),
        ("counts by range of dates", facts.by_date()),
    ] {
        assert!(asked.len() > 1, "{measure}: nothing to count");
        let before = wrong.len();
        for (query, expected) in &asked {
            let found = caller.search(&format!("{query}&_summary=count"))["total"].as_u64();
            if found != Some(*expected) {
                wrong.push(format!("{query}: {found:?} instead of {expected}"));
            }
        }
        let good = asked.len() - (wrong.len() - before);
        outside::record("synthea", measure, good, asked.len());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `name=system|code`, ready for a URL.
fn token(name: &str, system: &str, code: &str) -> String {
    format!("{name}={}", escaped(&format!("{system}|{code}")))
}
