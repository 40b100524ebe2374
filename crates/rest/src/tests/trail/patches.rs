//! Requests that read what they change are one event; where nothing is changed, what was read is one, and that
//! it was refused another.

use serde_json::{Value, json};

use super::{Trail, subtype, whats};
use crate::tests::world::Answer;

const PATCH: (&str, &str) = ("content-type", "application/json-patch+json");

fn patch(t: &Trail, headers: &[(&str, &str)], operations: &Value) -> Answer {
    let headers = [&[PATCH], headers].concat();
    let line = "PATCH Observation/o-p1";
    t.world
        .fhir_with(&t.all, line, &headers, operations.to_string())
}

fn noted(text: &str) -> Value {
    json!([{ "op": "add", "path": "/note", "value": [{ "text": text }] }])
}

/// What the trail says of the observation, the newest first: what was done, how it ended and what it was about.
fn said(t: &Trail) -> Vec<(String, String, Vec<String>)> {
    let found = t.events("entity=Observation/o-p1&_sort=-date");
    let all = found.iter().map(|event| {
        let whats = whats(event).into_iter().map(str::to_owned).collect();
        let outcome = event["outcome"].as_str().unwrap().to_owned();
        (subtype(event).to_owned(), outcome, whats)
    });
    all.collect()
}

#[test]
fn a_patch_is_one_event() {
    let t = Trail::of("4.0.1");
    let before = said(&t).len();
    patch(&t, &[], &noted("one")).status(200);
    let all = said(&t);
    assert_eq!(all.len(), before + 1, "{all:?}");
    assert_eq!((all[0].0.as_str(), all[0].1.as_str()), ("patch", "0"));
    let both = ["Observation/o-p1/_history/2", "Patient/p1"];
    assert!(
        both.iter().all(|w| all[0].2.iter().any(|of| of == w)),
        "{all:?}"
    );
    // In a transaction too.
    let parameters = json!({ "resourceType": "Parameters", "parameter": [{ "name": "operation", "part": [
        { "name": "type", "valueCode": "replace" }, { "name": "path", "valueString": "Observation.status" },
        { "name": "value", "valueCode": "amended" }] }] });
    let entry = |resource: &Value| {
        json!({ "resourceType": "Bundle", "type": "transaction", "entry": [{ "resource": resource,
            "request": { "method": "PATCH", "url": "Observation/o-p1" } }] })
        .to_string()
    };
    t.world
        .fhir(&t.all, "POST ", entry(&parameters))
        .status(200);
    let all = said(&t);
    assert_eq!(all.len(), before + 2, "{all:?}");
}

#[test]
fn what_a_failed_patch_read_is_told() {
    let t = Trail::of("4.0.1");
    let wrong = json!([{ "op": "test", "path": "/status", "value": "amended" }]);
    let version = [("if-match", "W/\"7\"")];
    for (headers, operations, code) in [
        (&[][..], &wrong, 422),
        (&version[..], &noted("one"), 412),
        (&[], &json!([{ "op": "remove", "path": "/status" }]), 422),
    ] {
        let before = said(&t).len();
        let refused = patch(&t, headers, operations);
        assert_eq!(refused.code, code, "{refused:?}");
        let all = said(&t);
        assert_eq!(all.len(), before + 2, "{all:?}");
        assert!(all.iter().all(|one| one.0 != "patch"), "{all:?}");
        // Both are of one moment: their order is nobody's.
        let mut two: Vec<_> = all[..2].iter().collect();
        two.sort();
        assert_eq!(
            (two[0].0.as_str(), two[0].1.as_str()),
            ("read", "0"),
            "{all:?}"
        );
        assert!(two[0].2.iter().any(|of| of == "Patient/p1"), "{all:?}");
        assert_eq!(
            (two[1].0.as_str(), two[1].1.as_str()),
            ("update", "4"),
            "{all:?}"
        );
    }
    // What is not there was not read.
    let line = "PATCH Observation/none";
    let headers = [PATCH];
    t.world
        .fhir_with(&t.all, line, &headers, noted("x").to_string())
        .status(404);
    let found = t.events("entity=Observation/none");
    assert_eq!(found.len(), 1);
    assert_eq!(
        (subtype(&found[0]), &found[0]["outcome"]),
        ("update", &json!("4"))
    );
}
