//! A data folder that an earlier version wrote: `folders/schema-2`, with one tenant, a client, one
//! that was revoked, a patient of two versions, and observations of whom one was deleted. Opened,
//! read, searched and written to through the public edge. `folders/index-9` has the tables of today and
//! an index of version 9, with two patients and a search parameter of the tenant's own.

use std::fs;
use std::path::Path;

use serde_json::json;
use testkit::process::Insula;
use testkit::world::{basic, verify};
use testkit::{Caller, Folder, Request};

const CLIENT: (&str, &str) = (
    "43d4a35553db7add",
    "1NgvmWqcbZEoxwmaQC6A-5HKEq1R1nrfwy1ew_eCXlo",
);
const REVOKED: &str = "eb08b893f35b6b46";

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn caller(server: &Insula) -> Caller {
    Caller::of(server, "lakeside", Some(basic(CLIENT.0, CLIENT.1)))
}

/// What the folder holds.
fn holds(server: &Insula) {
    let caller = caller(server);
    let now = caller.get("/Patient/1").expect(200).json();
    assert_eq!(now["name"][0]["family"], "Uno");
    let first = caller.get("/Patient/1/_history/1").expect(200).json();
    assert_eq!(first["name"][0]["family"], "One");
    let history = caller.get("/Patient/1/_history").expect(200).json();
    assert!(history["total"].as_u64().unwrap() >= 2);
    caller.get("/Observation/o5").expect(410);
    let mut found = caller.found("Observation?patient=1&code=718-7");
    found.sort();
    assert_eq!(found, ["o1", "o2", "o3", "o4"]);
    assert_eq!(
        caller.found("Observation?date=ge2026-03&value-quantity=gt7.3"),
        ["o4"]
    );
}

#[test]
fn a_folder_of_schema_2_is_served() {
    let folder = Folder::new("schema-2");
    let data = folder.join("data");
    let earlier = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/folders/schema-2");
    copy(Path::new(earlier), &data);
    let server = crate::world::setup(&data).start();
    holds(&server);
    let revoked = Request::new("GET", "/t/lakeside/fhir/Patient/1");
    let revoked = revoked.header("Authorization", &basic(REVOKED, "anything"));
    server.ask(&revoked).expect(401);
    verify(&server, "lakeside");
    let clients = server.admin(Request::new("GET", "/admin/v1/tenants/lakeside/clients"));
    let clients = clients.expect(200).json();
    let revoked: Vec<bool> = clients["clients"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["revoked"] == json!(true))
        .collect();
    assert_eq!(revoked.iter().filter(|r| **r).count(), 1, "{clients}");

    let patient = json!({"resourceType": "Patient", "id": "2", "name": [{"family": "Two"}]});
    caller(&server).put(&patient).expect(201);
    let (setup, ended) = server.stop();
    assert!(ended.success());
    let server = setup.start();
    holds(&server);
    caller(&server).get("/Patient/2").expect(200);
    verify(&server, "lakeside");
}

#[test]
fn a_folder_of_index_9_is_indexed_again() {
    let folder = Folder::new("index-9");
    let data = folder.join("data");
    let earlier = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/folders/index-9");
    copy(Path::new(earlier), &data);
    let server = crate::world::setup(&data).start();
    let client = basic(
        "45d93c19aae6d523",
        "rSN9jGdic1buXla1cF2r16ZMay6-X5BmdSLSSDTAI-w",
    );
    let caller = Caller::of(&server, "lakeside", Some(client));
    let found = |query: &str| {
        let mut found = caller.found(query);
        found.sort();
        found
    };
    for family in ["smithjones", "smith-jones", "Smith%20Jones"] {
        assert_eq!(found(&format!("Patient?family={family}")), ["1", "2"]);
    }
    assert_eq!(found("Patient?address=amweg"), ["1"]);
    testkit::poll::until("the tenant's own parameter serves", 60, || {
        let answer = caller.get("/Patient?y=thethird&_elements=id");
        (answer.json()["total"] == json!(1)).then_some(())
    });
    verify(&server, "lakeside");
}
