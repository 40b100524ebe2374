//! Read-only: reads and searches pass, every kind of write is refused.

use serde_json::{Value, json};

use super::super::world::{World, patient, patient_with_id};
use super::{basic, bearer, client, clinic, clinic_says, enabled, observation};

fn parameters(name: &str) -> String {
    let meta = json!({ "tag": [{ "system": "urn:t", "code": "x" }] });
    json!({ "resourceType": "Parameters", "parameter": [{ "name": name, "valueMeta": meta }] })
        .to_string()
}

fn bundle(kind: &str, entries: &[Value]) -> String {
    json!({ "resourceType": "Bundle", "type": kind, "entry": entries }).to_string()
}

fn entry(method: &str, url: &str, resource: Value) -> Value {
    let mut entry = json!({ "request": { "method": method, "url": url } });
    if !resource.is_null() {
        entry["resource"] = resource;
    }
    entry
}

fn written(world: &World, who: &str) -> Vec<(&'static str, super::Answer)> {
    let patch = [("content-type", "application/json-patch+json")];
    let change = r#"[{"op": "add", "path": "/active", "value": false}]"#;
    let one: Value = serde_json::from_str(&patient("New")).unwrap();
    let same: Value = serde_json::from_str(&patient_with_id("p1", "Other")).unwrap();
    let ask = |line: &'static str, body: String| (line, world.fhir(who, line, body));
    vec![
        ask("POST Patient", patient("New")),
        ask("PUT Patient/p1", patient_with_id("p1", "Other")),
        ask("PUT Patient/p9", patient_with_id("p9", "Other")),
        (
            "PATCH",
            world.fhir_with(who, "PATCH Patient/p1", &patch, change),
        ),
        (
            "PATCH where",
            world.fhir_with(who, "PATCH Patient?_id=p1", &patch, change),
        ),
        ask("PUT Patient?_id=p1", patient("Other")),
        ask("DELETE Patient/p2", String::new()),
        ask("DELETE Patient?_id=p2", String::new()),
        (
            "create unless",
            world.fhir_with(
                who,
                "POST Patient",
                &[("if-none-exist", "family=Nobody")],
                patient("Nobody"),
            ),
        ),
        ask("POST Patient/p1/$meta-add", parameters("meta")),
        ask("POST Patient/p1/$meta-delete", parameters("meta")),
        ask(
            "POST $reindex",
            r#"{"resourceType": "Parameters"}"#.to_owned(),
        ),
        (
            "Binary",
            world.fhir_with(
                who,
                "POST Binary",
                &[("content-type", "application/pdf")],
                "%PDF-",
            ),
        ),
        ask(
            "POST /t/lakeside/fhir",
            bundle("transaction", &[entry("POST", "Patient", one)]),
        ),
        ask(
            "POST /t/lakeside/fhir/",
            bundle(
                "transaction",
                &[
                    entry("GET", "Patient/p1", Value::Null),
                    entry("PUT", "Patient/p1", same),
                ],
            ),
        ),
        ask("POST Observation", observation("x", "p1").to_string()),
    ]
}

#[test]
fn every_write_is_refused_and_every_read_passes() {
    let (world, all) = clinic();
    let admin = enabled(&world, &json!({}));
    let who = basic(&client(&world, "system/*.cruds"));
    let token = bearer(&world, &who);
    let before = world.fhir(&all, "GET _history?_count=0", "").json();
    clinic_says(&admin, "read-only", None)
        .status(200)
        .at("/state", "read-only");
    for who in [&who, &token] {
        for (line, answer) in written(&world, who) {
            let told = String::from_utf8_lossy(&answer.body).into_owned();
            assert_eq!(answer.code, 403, "{line}: {told}");
            assert!(told.contains("vendor-read-only"), "{line}: {told}");
        }
        let mixed = bundle(
            "batch",
            &[
                entry("GET", "Patient/p1", Value::Null),
                entry("GET", "Observation?code=seen", Value::Null),
                entry("DELETE", "Patient/p2", Value::Null),
                entry(
                    "PUT",
                    "Patient/p1",
                    json!({ "resourceType": "Patient", "id": "p1" }),
                ),
                entry("POST", "Patient", json!({ "resourceType": "Patient" })),
            ],
        );
        let answer = world
            .fhir(who, "POST /t/lakeside/fhir", mixed)
            .status(200)
            .json();
        let status =
            |i: usize| answer["entry"][i]["response"]["status"].as_str().unwrap()[..3].to_owned();
        assert_eq!(
            [0, 1, 2, 3, 4].map(status),
            ["200", "200", "403", "403", "403"],
            "{answer:#}"
        );
        for line in [
            "GET Patient/p1",
            "GET Patient",
            "GET Patient/p1/_history",
            "GET _history",
            "GET Patient/p1/$everything",
            "GET Patient/p1/_history/1",
            "GET $graphql?query=%7B__typename%7D",
            "GET Observation?patient.family=Doe",
            "GET Patient/p1/$meta",
        ] {
            world.fhir(who, line, "").status(200);
        }
    }
    // Nothing was written.
    let after = world.fhir(&all, "GET _history?_count=0", "").json();
    assert_eq!(before["total"], after["total"]);
    clinic_says(&admin, "enabled", None).status(200);
    world
        .fhir(&token, "POST Patient", patient("New"))
        .status(201);
}
