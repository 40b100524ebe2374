//! Every example of the specification: written, read back as it was, and found by its own values.
//!
//! What is refused stands in `examples/refused.txt` with the reason; what is not found by a value
//! stands in `examples/not-found.txt`. Both lists may only get shorter.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, thread};

use serde_json::Value;
use testkit::http::{Connection, escaped};
use testkit::json::Exact;
use testkit::outside;
use testkit::world::{Caller, word};

const REFUSED: &str = include_str!("examples/refused.txt");
const NOT_FOUND: &str = include_str!("examples/not-found.txt");

/// Lines of a list: what it is about, and why.
fn listed(list: &str) -> BTreeMap<&str, &str> {
    let lines = list
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| line.split_once('\t').expect("a tab before the reason"))
        .collect()
}

/// The list of what was found wrong must be the committed one.
#[track_caller]
fn compare(name: &str, list: &str, found: &BTreeMap<String, String>) {
    let listed = listed(list);
    let mut wrong = Vec::new();
    for (what, why) in found {
        if !listed.contains_key(what.as_str()) {
            wrong.push(format!("new: {what}\t{why}"));
        }
    }
    for what in listed.keys() {
        if !found.contains_key(*what) {
            wrong.push(format!("no longer (take it off the list): {what}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{name}: {} differences\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Lets a few threads, each with its connection, work on the elements of a list.
fn each<T: Sync>(caller: &Caller, all: &[T], work: impl Fn(&mut Connection, &T) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut connection = caller.connect();
                while let Some(element) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(&mut connection, element);
                }
            });
        }
    });
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .filter(|path| !path.ends_with("package.json"))
        .filter(|path| !path.file_name().unwrap().to_string_lossy().starts_with('.'))
        .collect();
    files.sort();
    files
}

#[test]
fn every_example_is_kept_and_found() {
    let Some(suite) = outside::suite("r4-examples") else {
        return;
    };
    let tenant = crate::world::own("examples", &[("limits.body_bytes_max", "67108864")]).tenant();
    let caller = tenant.owner();
    let folder = suite.join("package");

    let files = files(&folder);
    assert!(files.len() > 5_000, "only {} examples", files.len());
    let refused = Mutex::new(BTreeMap::new());
    each(&caller, &files, |connection, path| {
        if let Err(why) = kept(&caller, connection, path) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            refused.lock().unwrap().insert(name, why);
        }
    });
    compare("refused", REFUSED, &refused.into_inner().unwrap());
    found_by_values(&caller, &folder);
    tenant.verify();
}

/// Writes an example and reads it back; why it was refused.
fn kept(caller: &Caller, connection: &mut Connection, path: &Path) -> Result<(), String> {
    let bytes = fs::read(path).unwrap();
    let mut example = Exact::read(&bytes);
    let text = |name: &str| {
        example
            .get(name)
            .and_then(Exact::as_text)
            .map(str::to_owned)
    };
    let kind = text("resourceType").ok_or("no resourceType")?;
    let request = match text("id") {
        Some(id) => caller.request("PUT", &format!("/{kind}/{id}")),
        None => caller.request("POST", &format!("/{kind}")),
    };
    let request = request.content("application/fhir+json", bytes);
    let written = connection.ask(&request).unwrap();
    if written.status != 201 && written.status != 200 {
        let issue = &written.json()["issue"][0];
        let why = issue["diagnostics"].as_str().unwrap_or_default();
        return Err(format!("{} {:?}: {why}", written.status, written.codes()));
    }
    let location = written.header("location").map_or_else(
        || format!("{}/{kind}/{}", caller.base, text("id").unwrap_or_default()),
        str::to_owned,
    );
    // Without this a Binary would come as what it holds.
    let read = caller
        .follow(&location)
        .header("Accept", "application/fhir+json");
    let read = connection.ask(&read).unwrap();
    assert_eq!(read.status, 200, "{location}: {read:?}");
    let mut stored = Exact::read(&read.body);
    if text("id").is_none() {
        stored.remove("id");
    }
    for document in [&mut example, &mut stored] {
        if let Some(mut meta) = document.remove("meta") {
            meta.remove("versionId");
            meta.remove("lastUpdated");
            if meta != Exact::Object(BTreeMap::new())
                && let Exact::Object(members) = document
            {
                members.insert("meta".to_owned(), meta);
            }
        }
    }
    let difference = example.difference(&stored);
    assert_eq!(
        difference,
        None,
        "{} was changed on its way",
        path.display()
    );
    Ok(())
}

/// Asks for every example by what another FHIRPath engine finds in it.
fn found_by_values(caller: &Caller, folder: &Path) {
    let Some(_) = outside::client("node/node_modules/fhirpath") else {
        return;
    };
    let here = outside::client("node").expect("its parent");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/values.mjs");
    let output = Command::new("node")
        .arg(script)
        .arg(folder)
        .current_dir(here)
        .output()
        .expect("node");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let values: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(values.len() > 5_000, "only {} values", values.len());
    let refused = listed(REFUSED);
    let wrong = Mutex::new(BTreeMap::new());
    each(caller, &values, |connection, value| {
        let (kind, id) = (word(value, "type"), word(value, "id"));
        if refused.contains_key(format!("{kind}-{id}.json").as_str()) {
            return;
        }
        if let Err(why) = found(caller, connection, value) {
            let param = word(value, "param");
            let shown = value["value"].as_str().unwrap_or("(missing)");
            wrong
                .lock()
                .unwrap()
                .insert(format!("{kind}/{id}?{param}={shown}"), why);
        }
    });
    compare("not found", NOT_FOUND, &wrong.into_inner().unwrap());
}

/// Whether a resource is found by a value and not where the value is missing, or the reverse.
fn found(caller: &Caller, connection: &mut Connection, value: &Value) -> Result<(), String> {
    let (kind, id, param) = (word(value, "type"), word(value, "id"), word(value, "param"));
    let has = value["missing"] != true;
    let mut ask = |criteria: String, wanted: bool| {
        let path = format!("/{kind}?_id={id}&{criteria}&_elements=id");
        let request = caller
            .request("GET", &path)
            .header("Prefer", "handling=strict");
        let answer = connection.ask(&request).unwrap();
        if answer.status != 200 {
            return Err(format!(
                "{criteria}: {} {:?}",
                answer.status,
                answer.codes()
            ));
        }
        let count = answer.json()["entry"].as_array().map_or(0, Vec::len);
        if count == usize::from(wanted) {
            Ok(())
        } else {
            Err(format!("{criteria}: {count}"))
        }
    };
    if let Some(text) = value["value"].as_str() {
        ask(format!("{param}={}", escaped(text)), true)?;
    }
    if word(value, "kind") != "composite" && word(value, "kind") != "special" {
        ask(format!("{param}:missing=true"), !has)?;
        ask(format!("{param}:missing=false"), has)?;
    }
    Ok(())
}
