//! Synthetic people as Synthea writes them, imported by the command line and counted again.
//!
//! A sample in every run; all 615 when `INSULA_SYNTHEA=all`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::{env, fs};

use serde_json::Value;
use testkit::outside;
use testkit::world::{Caller, word};

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

/// Resources by type, counted in the files themselves: one that several Bundles bring is one.
pub(crate) fn recount(files: &[PathBuf]) -> BTreeMap<String, u64> {
    let mut seen = BTreeSet::new();
    for file in files {
        let bundle: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        for entry in bundle["entry"].as_array().unwrap() {
            let resource = &entry["resource"];
            let kind = word(resource, "resourceType").to_owned();
            seen.insert((kind, word(resource, "id").to_owned()));
        }
    }
    let mut counts = BTreeMap::new();
    for (kind, _) in seen {
        *counts.entry(kind).or_default() += 1;
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
