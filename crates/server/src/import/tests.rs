//! Imports into a server that is a map: it takes Bundles over HTTP and keeps what is put.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use fhir::definitions::{FhirVersion, Model};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::*;
use crate::admin_client::Connect;

/// The server: resources by `Type/id`, and how often each was written.
#[derive(Default)]
struct House {
    resources: BTreeMap<String, (Value, usize)>,
    /// Whether references must resolve.
    enforced: bool,
    /// Requests after which it drops every connection.
    dies_after: Option<usize>,
}

#[derive(Clone)]
struct Server {
    url: String,
    house: Arc<Mutex<House>>,
    requests: Arc<AtomicUsize>,
}

impl Server {
    fn start(house: House) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Self {
            url,
            house: Arc::new(Mutex::new(house)),
            requests: Arc::default(),
        };
        let serving = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let server = serving.clone();
                std::thread::spawn(move || server.talk(stream.unwrap()));
            }
        });
        server
    }

    fn talk(&self, stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let mut writer = stream;
        loop {
            let (mut path, mut length) = (String::new(), 0);
            for i in 0.. {
                let mut line = String::new();
                reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
                let lower = line.trim_end().to_ascii_lowercase();
                if i == 0 {
                    path = line.split(' ').nth(1)?.to_owned();
                } else if lower.is_empty() {
                    break;
                } else if let Some(n) = lower.strip_prefix("content-length: ") {
                    length = n.parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).ok()?;
            let (status, answer) = if path.starts_with("/admin") {
                (
                    201,
                    json!({"import_id": "i1", "access_token": "t", "expires_in": 60, "base": "-"}),
                )
            } else {
                let number = self.requests.fetch_add(1, Ordering::SeqCst);
                let mut house = self.house.lock().unwrap();
                if house.dies_after.is_some_and(|n| number >= n) {
                    return None;
                }
                house.bundle(&serde_json::from_slice(&body).unwrap())
            };
            let answer = answer.to_string();
            write!(
                writer,
                "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{answer}",
                answer.len()
            )
            .ok()?;
        }
    }

    fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for key in self.house.lock().unwrap().resources.keys() {
            *counts
                .entry(key.split('/').next().unwrap().to_owned())
                .or_default() += 1;
        }
        counts
    }

    fn get(&self, key: &str) -> Value {
        let house = self.house.lock().unwrap();
        house
            .resources
            .get(key)
            .unwrap_or_else(|| panic!("no {key}"))
            .0
            .clone()
    }

    fn writes(&self, key: &str) -> usize {
        self.house.lock().unwrap().resources[key].1
    }
}

impl House {
    fn bundle(&mut self, bundle: &Value) -> (u16, Value) {
        let entries = bundle["entry"].as_array().unwrap();
        let results: Vec<Result<String, (&str, &str)>> = entries
            .iter()
            .map(|entry| self.check(entry, entries))
            .collect();
        let refused = results.iter().find_map(|result| result.as_ref().err());
        if let (Some((code, why)), true) = (refused, bundle["type"] == "transaction") {
            return (422, outcome(code, why));
        }
        let answers: Vec<Value> = entries
            .iter()
            .zip(&results)
            .enumerate()
            .map(|(at, (entry, result))| match result {
                Ok(key) => {
                    let slot = self.resources.entry(key.clone()).or_default();
                    *slot = (entry["resource"].clone(), slot.1 + 1);
                    json!({"response": {"status": "201 Created", "location": format!("http://h/{key}/_history/1")}})
                }
                Err((code, why)) => {
                    let why = why.replace("[0]", &format!("[{at}]"));
                    json!({"response": {"status": "422 No", "outcome": outcome(code, &why)}})
                }
            })
            .collect();
        (200, json!({"resourceType": "Bundle", "entry": answers}))
    }

    /// The key of an entry, or why it is refused.
    fn check(&self, entry: &Value, all: &[Value]) -> Result<String, (&'static str, &'static str)> {
        let resource = &entry["resource"];
        if resource.get("bad").is_some() {
            return Err((
                "element-unknown",
                "Bundle.entry[0].resource.bad: unknown element",
            ));
        }
        let url = entry["request"]["url"].as_str().unwrap();
        if let Some(criteria) = entry["request"]["ifNoneExist"].as_str() {
            let value = criteria.rsplit('|').next().unwrap();
            let same = |r: &Value| r["identifier"][0]["value"] == value;
            let known = self
                .resources
                .iter()
                .find(|(key, (r, _))| key.starts_with(url) && same(r));
            return Ok(known.map_or_else(|| format!("{url}/new-{value}"), |(key, _)| key.clone()));
        }
        assert_eq!(entry["request"]["method"], "PUT");
        assert_eq!(
            url,
            format!(
                "{}/{}",
                resource["resourceType"].as_str().unwrap(),
                resource["id"].as_str().unwrap()
            )
        );
        let target = resource["subject"]["reference"].as_str();
        let here = |t: &str| {
            self.resources.contains_key(t) || all.iter().any(|e| e["request"]["url"] == t)
        };
        match target {
            Some(target) if self.enforced && !here(target) => Err(("reference-missing", "no such")),
            _ => Ok(url.to_owned()),
        }
    }
}

fn outcome(code: &str, why: &str) -> Value {
    json!({"resourceType": "OperationOutcome", "issue": [
        {"severity": "error", "code": "invalid", "details": {"coding": [{"code": code}]}, "diagnostics": why}
    ]})
}

/// A folder of inputs that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("insula-import-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(path.join("in")).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> &Self {
        std::fs::write(self.0.join("in").join(name), text).unwrap();
        self
    }

    fn rejects(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.0.join("rejects")).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn import_with(server: &Server, folder: &Folder, entries_max: usize) -> anyhow::Result<Summary> {
    let token = folder.0.join("token");
    std::fs::write(&token, "secret")?;
    let connect = Connect {
        url: Some(server.url.clone()),
        token_file: Some(token),
        ..Connect::default()
    };
    let way =
        WayIn::open(connect.admin()?, "lakeside", "test")?.with_patience(std::time::Duration::ZERO);
    let journal = Journal::open(&folder.0.join("journal"), "{\"identity\":1}")?;
    let plan = Plan {
        parallel: 3,
        entries_max,
        bytes_max: 1 << 20,
        rejects: folder.0.join("rejects"),
        progress: ProgressBar::hidden(),
    };
    let passed = journal.clone();
    let input: &Path = &folder.0.join("in");
    let job = Load {
        way,
        model: Model::of(FhirVersion::R4),
        plan,
        journal: Some(journal),
    };
    load(job, &mut || {
        let files = Files::find(&[input.to_owned()])?.passing_over(passed.clone());
        Ok(Box::new(files))
    })
}

fn import(server: &Server, folder: &Folder) -> Summary {
    import_with(server, folder, 7).unwrap()
}

fn bundle(kind: &str, entries: &[Value]) -> String {
    json!({"resourceType": "Bundle", "type": kind, "entry": entries}).to_string()
}

fn posted(uuid: &str, resource: Value) -> Value {
    let mut resource = resource;
    resource["id"] = json!(uuid);
    let kind = resource["resourceType"].clone();
    json!({"fullUrl": format!("urn:uuid:{uuid}"), "resource": resource, "request": {"method": "POST", "url": kind}})
}

const A: &str = "018f428e-34f6-4707-8009-5ad742f901e7";
const B: &str = "118f428e-34f6-4707-8009-5ad742f901e7";

fn observation(subject: &str) -> Value {
    json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": {"reference": subject}})
}

#[test]
fn a_transaction_is_put_under_the_ids_of_its_urls() {
    let (server, folder) = (Server::start(House::default()), Folder::new("ids"));
    let patient = json!({"resourceType": "Patient", "identifier": [{"system": "urn:ietf:rfc:3986", "value": format!("urn:uuid:{A}")}]});
    folder.file(
        "a.json",
        &bundle(
            "transaction",
            &[
                posted(A, patient),
                posted(B, observation(&format!("urn:uuid:{A}"))),
            ],
        ),
    );
    let summary = import(&server, &folder);
    assert_eq!(
        (summary.total(), summary.rejected, summary.unresolved),
        (2, 0, 0)
    );
    let found = server.get(&format!("Observation/{B}"));
    assert_eq!(found["subject"]["reference"], format!("Patient/{A}"));
    let patient = server.get(&format!("Patient/{A}"));
    assert_eq!(
        patient["identifier"][0]["value"],
        format!("urn:uuid:{A}"),
        "identifiers are not links"
    );
    assert!(!folder.0.join("journal").exists());
}

#[test]
fn resources_without_ids_get_the_same_ones_each_time() {
    let (server, folder) = (Server::start(House::default()), Folder::new("derived"));
    let lines = format!(
        "{}\n\n{}\n",
        json!({"resourceType": "Patient"}),
        json!({"resourceType": "Patient"})
    );
    folder.file("a.ndjson", &lines);
    assert_eq!(import(&server, &folder).total(), 2);
    assert_eq!(import(&server, &folder).total(), 2);
    assert_eq!(server.counts(), [("Patient".to_owned(), 2)].into());
}

#[test]
fn compressed_files_collections_and_single_resources_are_read() {
    let (server, folder) = (Server::start(House::default()), Folder::new("forms"));
    let gz = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let patient = |id: &str| json!({"resourceType": "Patient", "id": id});
    let found = [
        json!({"fullUrl": "http://other/fhir/Patient/c", "resource": patient("c"), "search": {"mode": "match"}}),
        json!({"resource": {"resourceType": "OperationOutcome"}, "search": {"mode": "outcome"}}),
        json!({"resource": {"resourceType": "Observation", "id": "o", "subject": {"reference": "http://other/fhir/Patient/c"}}}),
    ];
    std::fs::create_dir(folder.0.join("in/deeper")).unwrap();
    std::fs::write(
        folder.0.join("in/deeper/a.json.gz"),
        gz(&bundle("collection", &[json!({"resource": patient("a")})])),
    )
    .unwrap();
    std::fs::write(
        folder.0.join("in/b.ndjson.gz"),
        gz(&format!("{}\n{}\n", patient("b1"), patient("b2"))),
    )
    .unwrap();
    folder
        .file("c.json", &bundle("searchset", &found))
        .file("d.json", &patient("d").to_string());
    folder.file("notes.txt", "not read").file(
        "e.json",
        &bundle(
            "document",
            &[json!({"resource": {"resourceType": "Composition"}})],
        ),
    );
    let summary = import(&server, &folder);
    assert_eq!(summary.rejected, 0, "{:?}", folder.rejects());
    let counts =
        [("Bundle", 1), ("Observation", 1), ("Patient", 5)].map(|(k, n)| (k.to_owned(), n));
    assert_eq!(server.counts(), counts.into());
    assert_eq!(
        server.get("Observation/o")["subject"]["reference"],
        "Patient/c"
    );
}

#[test]
fn references_across_files_are_found_whichever_comes_first() {
    let (server, folder) = (Server::start(House::default()), Folder::new("across"));
    // The small file comes first, and refers to what comes later.
    folder.file(
        "small.json",
        &bundle(
            "transaction",
            &[posted(B, observation(&format!("urn:uuid:{A}")))],
        ),
    );
    let visit = json!({"resourceType": "Encounter", "id": "v", "participant": [
        {"individual": {"reference": "Practitioner?identifier=http://hl7.org/fhir/sid/us-npi%7C99"}}]});
    folder.file("visit.ndjson", &visit.to_string());
    let name: Vec<Value> = (0..40)
        .map(|i| json!({"family": format!("N{i}")}))
        .collect();
    let doctor = json!({"resourceType": "Practitioner", "id": "dr", "name": name,
        "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "99"}]});
    let patient = posted(A, json!({"resourceType": "Patient", "name": name}));
    folder.file(
        "large.json",
        &bundle("transaction", &[patient, json!({"resource": doctor})]),
    );
    let summary = import(&server, &folder);
    assert_eq!(
        (summary.total(), summary.rejected, summary.unresolved),
        (4, 0, 0)
    );
    assert_eq!(
        server.get(&format!("Observation/{B}"))["subject"]["reference"],
        format!("Patient/{A}")
    );
    assert_eq!(
        server.get("Encounter/v")["participant"][0]["individual"]["reference"],
        "Practitioner/dr"
    );
}

#[test]
fn what_leads_nowhere_is_loaded_and_told() {
    let (server, folder) = (Server::start(House::default()), Folder::new("nowhere"));
    folder.file(
        "a.json",
        &bundle(
            "transaction",
            &[posted(B, observation(&format!("urn:uuid:{A}")))],
        ),
    );
    let summary = import(&server, &folder);
    assert_eq!((summary.total(), summary.unresolved), (1, 1));
    assert_eq!(
        server.get(&format!("Observation/{B}"))["subject"]["reference"],
        format!("urn:uuid:{A}")
    );
}

#[test]
fn enforced_references_wait_for_their_target() {
    let (server, folder) = (
        Server::start(House {
            enforced: true,
            ..House::default()
        }),
        Folder::new("enforced"),
    );
    let lines: Vec<String> = (0..20)
        .map(|i| {
            let mut o = observation(&format!("Patient/p{i}"));
            o["id"] = json!(format!("o{i}"));
            o.to_string()
        })
        .collect();
    folder.file("a.ndjson", &lines.join("\n"));
    let patients: Vec<String> = (0..19).map(|i| json!({"resourceType": "Patient", "id": format!("p{i}"), "name": [{"text": "x".repeat(200)}]}).to_string()).collect();
    folder.file("z.ndjson", &patients.join("\n"));
    let summary = import(&server, &folder);
    assert_eq!(
        (summary.total(), summary.rejected),
        (38, 1.max(summary.rejected))
    );
    assert_eq!(summary.rejected, 1);
    let rejects = folder.rejects();
    assert_eq!(rejects[0]["resource"], "Observation/o19");
    assert_eq!(rejects[0]["line"], 20);
}

#[test]
fn only_what_is_at_fault_is_refused() {
    let (server, folder) = (Server::start(House::default()), Folder::new("rejects"));
    let mut lines: Vec<String> = (0..30)
        .map(|i| json!({"resourceType": "Patient", "id": format!("p{i}")}).to_string())
        .collect();
    lines[11] = json!({"resourceType": "Patient", "id": "p11", "bad": 1}).to_string();
    lines[12] = "{not json".into();
    lines[13] = json!({"resourceType": "Patient", "id": "no/good"}).to_string();
    lines[14] = json!({"resourceType": "Nothing", "id": "x"}).to_string();
    folder.file("a.ndjson", &lines.join("\n"));
    folder.file("b.json", &bundle("history", &[])).file(
        "c.json",
        &bundle(
            "batch",
            &[
                json!({"request": {"method": "DELETE", "url": "Patient/p1"}}),
                json!({"resource": {"resourceType": "Patient", "id": "last"}}),
            ],
        ),
    );
    let summary = import(&server, &folder);
    assert_eq!((summary.total(), summary.rejected), (27, 6));
    assert_eq!(server.counts()["Patient"], 27);
    let mut rejects = folder.rejects();
    rejects.sort_by_key(|r| (r["source"].as_str().unwrap().len(), r["line"].as_u64()));
    let reasons: Vec<&str> = rejects
        .iter()
        .map(|r| r["reason"].as_str().unwrap())
        .collect();
    let codes: Vec<Option<&str>> = rejects.iter().map(|r| r["code"].as_str()).collect();
    assert!(codes.contains(&Some("element-unknown")), "{rejects:?}");
    assert!(
        reasons.contains(&"Patient.bad: unknown element"),
        "{reasons:?}"
    );
    for part in ["not JSON", "no/good", "Nothing", "history", "method DELETE"] {
        assert!(
            reasons.iter().any(|r| r.contains(part)),
            "{part}: {reasons:?}"
        );
    }
}

#[test]
fn what_comes_twice_is_written_once_and_the_last_content_wins() {
    let (server, folder) = (Server::start(House::default()), Folder::new("twice"));
    let org =
        |name: &str| json!({"resourceType": "Organization", "id": "o", "name": name}).to_string();
    folder
        .file("a.json", &org("same"))
        .file("b.json", &org("same"))
        .file("c.json", &org("same and last"));
    let summary = import(&server, &folder);
    assert_eq!((summary.written["Organization"], summary.repeated), (2, 1));
    assert_eq!(server.counts()["Organization"], 1);
    assert_eq!(server.writes("Organization/o"), 2);
    assert_eq!(server.get("Organization/o")["name"], "same and last");
}

#[test]
fn conditional_creates_are_asked_first_and_referred_to() {
    let (server, folder) = (Server::start(House::default()), Folder::new("conditional"));
    let doctor =
        json!({"resourceType": "Practitioner", "identifier": [{"system": "s", "value": "9"}]});
    let mut entry = posted(A, doctor);
    entry["request"]["ifNoneExist"] = json!("identifier=s|9");
    let about = posted(B, observation(&format!("urn:uuid:{A}")));
    folder.file("a.json", &bundle("transaction", &[about, entry]));
    for _ in 0..2 {
        let summary = import(&server, &folder);
        assert_eq!(
            (summary.total(), summary.rejected, summary.unresolved),
            (2, 0, 0)
        );
        assert_eq!(
            server.get(&format!("Observation/{B}"))["subject"]["reference"],
            "Practitioner/new-9"
        );
    }
    assert_eq!(server.counts()["Practitioner"], 1);
}

#[test]
fn an_interrupted_import_goes_on_where_it_was() {
    let (server, folder) = (
        Server::start(House {
            dies_after: Some(9),
            ..House::default()
        }),
        Folder::new("resume"),
    );
    for file in 0..5 {
        let lines: Vec<String> = (0..50).map(|i| {
            json!({"resourceType": "Patient", "id": format!("p{file}-{i}"), "bad": (i == 3).then_some(1)}).to_string().replace(",\"bad\":null", "").replace("\"bad\":null,", "")
        }).collect();
        folder.file(&format!("{file}.ndjson"), &lines.join("\n"));
    }
    let stopped = import_with(&server, &folder, 7);
    assert!(format!("{:#}", stopped.unwrap_err()).contains("goes on where it was"));
    let before = server.house.lock().unwrap().resources.len();
    assert!((1..245).contains(&before), "{before}");
    // The process died while it wrote its journal.
    let mut torn = std::fs::OpenOptions::new()
        .append(true)
        .open(folder.0.join("journal"))
        .unwrap();
    torn.write_all(b"{\"done\":[[\"ab").unwrap();
    server.house.lock().unwrap().dies_after = None;
    let summary = import(&server, &folder);
    assert_eq!((summary.total(), summary.rejected), (245, 5));
    assert!(summary.earlier > 0 && summary.earlier <= before as u64);
    assert_eq!(server.counts()["Patient"], 245);
    assert_eq!(folder.rejects().len(), 5);
    let again = server
        .house
        .lock()
        .unwrap()
        .resources
        .values()
        .filter(|(_, n)| *n > 1)
        .count();
    assert!(
        again <= 3 * 7,
        "only what was in flight is sent again: {again}"
    );
    assert!(!folder.0.join("journal").exists());
}

#[test]
fn a_journal_of_another_tenant_is_not_gone_on_with() {
    let folder = Folder::new("journal");
    let path = folder.0.join("journal");
    let line = journal::Line {
        end: Some(("00".repeat(32), 0)),
        ..journal::Line::default()
    };
    Journal::open(&path, "one").unwrap().write(&line).unwrap();
    assert!(Journal::open(&path, "one").unwrap().has_whole(&[0; 32]));
    assert!(!Journal::open(&path, "other").unwrap().has_whole(&[0; 32]));
    assert!(!Journal::open(&path, "one").unwrap().has_whole(&[0; 32]));
}
