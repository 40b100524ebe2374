//! Every example of the specification, in each of its versions: written, read back as it was, and
//! found by its own values.
//!
//! What is refused stands in `examples/*-refused.txt` with the reason; what is not found by a value
//! stands in `examples/*-not-found.txt`. These lists may only get shorter.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, thread};

use serde_json::{Value, json};
use testkit::http::{Connection, escaped};
use testkit::json::Exact;
use testkit::outside;
use testkit::world::{Caller, word};

/// The published examples of one version, and what stands on its lists.
struct Published {
    version: &'static str,
    release: &'static str,
    examples: Option<PathBuf>,
    definitions: Option<PathBuf>,
    refused: &'static str,
    not_found: &'static str,
}

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
fn each<'t, T: Sync>(caller: &Caller, all: &'t [T], work: impl Fn(&mut Connection, &'t T) + Sync) {
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
fn every_r4_example_is_kept_and_found() {
    let examples = || Some(outside::suite("r4-examples")?.join("package"));
    Published {
        version: "4.0.1",
        release: "R4",
        examples: examples(),
        definitions: examples(),
        refused: include_str!("examples/r4-refused.txt"),
        not_found: include_str!("examples/r4-not-found.txt"),
    }
    .judge(5_000);
}

#[test]
fn every_r4b_example_is_kept_and_found() {
    Published {
        version: "4.3.0",
        release: "R4B",
        examples: outside::package("r4b-examples"),
        definitions: outside::package("r4b-core"),
        refused: include_str!("examples/r4b-refused.txt"),
        not_found: include_str!("examples/r4b-not-found.txt"),
    }
    .judge(2_800);
}

#[test]
fn every_r5_example_is_kept_and_found() {
    Published {
        version: "5.0.0",
        release: "R5",
        examples: outside::suite("r5-examples").map(|suite| suite.join("package")),
        definitions: outside::package("r5-core"),
        refused: include_str!("examples/r5-refused.txt"),
        not_found: include_str!("examples/r5-not-found.txt"),
    }
    .judge(2_800);
}

impl Published {
    fn judge(&self, least: usize) {
        let Some(folder) = &self.examples else { return };
        let limits = [("limits.body_bytes_max", "67108864")];
        let name = format!("examples-{}", self.release);
        let tenant = crate::world::own(&name, &limits).tenant_of(self.version, &json!({}));
        let caller = tenant.owner();
        let files = files(folder);
        assert!(files.len() >= least, "only {} examples", files.len());
        let refused = Mutex::new(BTreeMap::new());
        let stored = Mutex::new(Vec::new());
        each(&caller, &files, |connection, path| {
            let bytes = fs::read(path).unwrap();
            match kept(&caller, connection, path, &bytes) {
                Ok(location) => stored.lock().unwrap().push((path, location)),
                Err(why) => {
                    let name = path.file_name().unwrap().to_string_lossy().into_owned();
                    refused.lock().unwrap().insert(name, why);
                }
            }
        });
        let refused = refused.into_inner().unwrap();
        compare("refused", self.refused, &refused);
        let measure = format!("{}: written, and read back as it was", self.release);
        outside::record(
            "examples",
            &measure,
            files.len() - refused.len(),
            files.len(),
        );
        self.found_by_values(&caller, folder);
        let stored = stored.into_inner().unwrap();
        self.through_xml(&caller, &stored);
        tenant.verify();
    }

    /// Reads every example as XML, writes that XML in its place, and reads it as JSON again.
    fn through_xml(&self, caller: &Caller, stored: &[(&PathBuf, String)]) {
        let xml = "application/fhir+xml";
        let metadata = caller.request("GET", "/metadata").header("Accept", xml);
        if caller.ask(&metadata).status == 406 {
            outside::skipped("this insula speaks no XML");
            return;
        }
        let wrong = Mutex::new(Vec::new());
        each(caller, stored, |connection, (path, location)| {
            let read = caller.follow(location).header("Accept", xml);
            let read = connection.ask(&read).unwrap();
            let place = location
                .split_once("/_history/")
                .map_or(&**location, |(p, _)| p);
            let mut write = caller.follow(place).content(xml, read.body.clone());
            "PUT".clone_into(&mut write.method);
            let written = connection.ask(&write).unwrap();
            let why = if read.status != 200 || written.status != 200 {
                Some(format!(
                    "{} {} {:?}",
                    read.status,
                    written.status,
                    written.codes()
                ))
            } else {
                same_as(caller, connection, &fs::read(path).unwrap(), place)
            };
            if let Some(why) = why {
                wrong
                    .lock()
                    .unwrap()
                    .push(format!("{}: {why}", path.display()));
            }
        });
        let wrong = wrong.into_inner().unwrap();
        let measure = format!("{}: through XML and back", self.release);
        outside::record(
            "examples",
            &measure,
            stored.len() - wrong.len(),
            stored.len(),
        );
        assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
    }
}

/// Writes an example and reads it back: where it lies, or why it was refused.
fn kept(
    caller: &Caller,
    connection: &mut Connection,
    path: &Path,
    bytes: &[u8],
) -> Result<String, String> {
    let example = Exact::read(bytes);
    let text = |name: &str| example.get(name).and_then(Exact::as_text);
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
    let difference = same_as(caller, connection, bytes, &location);
    assert_eq!(
        difference,
        None,
        "{} was changed on its way",
        path.display()
    );
    Ok(location)
}

/// How what lies at a place differs from an example, but for what the server adds.
fn same_as(
    caller: &Caller,
    connection: &mut Connection,
    bytes: &[u8],
    location: &str,
) -> Option<String> {
    let mut example = Exact::read(bytes);
    // Without this a Binary would come as what it holds.
    let read = caller
        .follow(location)
        .header("Accept", "application/fhir+json");
    let read = connection.ask(&read).unwrap();
    assert_eq!(read.status, 200, "{location}: {read:?}");
    let mut stored = Exact::read(&read.body);
    if example.get("id").is_none() {
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
    example.difference(&stored).map(|d| format!("{d:?}"))
}

impl Published {
    /// Asks for every example by what another FHIRPath engine finds in it.
    fn found_by_values(&self, caller: &Caller, folder: &Path) {
        let Some(definitions) = &self.definitions else {
            return;
        };
        let Some(_) = outside::client("node/node_modules/fhirpath") else {
            return;
        };
        let here = outside::client("node").expect("its parent");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/values.mjs");
        let output = Command::new("node")
            .arg(script)
            .arg(folder)
            .arg(definitions)
            .arg(self.version)
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
        // What was refused cannot be found.
        let refused = listed(self.refused);
        let is_refused = |value: &Value| {
            let name = format!("{}-{}.json", word(value, "type"), word(value, "id"));
            refused.contains_key(name.as_str())
        };
        let values: Vec<Value> = values.into_iter().filter(|v| !is_refused(v)).collect();
        let wrong = Mutex::new(BTreeMap::new());
        each(caller, &values, |connection, value| {
            let (kind, id) = (word(value, "type"), word(value, "id"));
            if let Err(why) = found(caller, connection, value) {
                let param = word(value, "param");
                let shown = value["value"].as_str().unwrap_or("(missing)");
                wrong
                    .lock()
                    .unwrap()
                    .insert(format!("{kind}/{id}?{param}={shown}"), why);
            }
        });
        let wrong = wrong.into_inner().unwrap();
        let measure = format!("{}: found by independently extracted values", self.release);
        outside::record(
            "examples",
            &measure,
            values.len() - wrong.len(),
            values.len(),
        );
        compare("not found", self.not_found, &wrong);
    }
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
    // Whether a value is missing is asked of some of those that have one, and of all that have none.
    let sampled = !has || value["inside"] == true || id.len() % 4 == 0;
    if sampled && word(value, "kind") != "composite" && word(value, "kind") != "special" {
        ask(format!("{param}:missing=true"), !has)?;
        ask(format!("{param}:missing=false"), has)?;
    }
    Ok(())
}
