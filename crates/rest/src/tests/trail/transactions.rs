//! What the trail says of a change that is not made: the entry at which it ended, and whom that was about.

use serde_json::{Value, json};

use super::{Trail, observation, subtype, whats};
use crate::tests::world::Answer;

fn entry(method: &str, url: &str, resource: &Value) -> Value {
    json!({ "request": { "method": method, "url": url }, "resource": resource })
}

fn sends(t: &Trail, who: &str, entries: &[Value]) -> Answer {
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries });
    t.world.fhir(who, "POST ", bundle.to_string())
}

fn of(patient: &str) -> Value {
    serde_json::from_str(&observation(patient)).unwrap()
}

/// What was refused: what it was, its outcome, and what it was about; the newest first.
fn refused(t: &Trail) -> Vec<(String, String, Vec<String>)> {
    let found = t.events("outcome=4,8&_sort=-date");
    let all = found.iter().map(|event| {
        let whats = whats(event).into_iter().map(str::to_owned).collect();
        let outcome = event["outcome"].as_str().unwrap().to_owned();
        (subtype(event).to_owned(), outcome, whats)
    });
    all.collect()
}

#[test]
fn a_transaction_that_is_not_made_names_the_entry_at_which_it_ended() {
    let t = Trail::of("4.0.1");
    let mut late = entry("PUT", "Observation/o-p2", &of("p2"));
    late["request"]["ifMatch"] = json!("W/\"7\"");
    let first = entry("PUT", "Observation/o-new", &{
        let mut one = of("p1");
        one["id"] = json!("o-new");
        one
    });
    // Nothing behind it is looked at: there is nothing to tell of it.
    let mut later = entry("PUT", "Observation/o-p1", &of("p1"));
    later["request"]["ifMatch"] = json!("W/\"9\"");
    sends(&t, &t.all, &[first, late, later]).refused(412, "version-conflict");
    let found = refused(&t);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].0.as_str(), found[0].1.as_str()), ("update", "4"));
    assert_eq!(found[0].2, ["Observation/o-p2", "Patient/p2"]);
    assert!(t.events("entity=Observation/o-new").is_empty());
}

#[test]
fn what_was_to_be_made_names_its_patients() {
    let t = Trail::of("4.0.1");
    // It is not there: what was sent says whom it was about.
    let named = |id: &str, patient: &str| {
        let mut one = of(patient);
        one["id"] = json!(id);
        one
    };
    let mut missing = entry("PUT", "Observation/none", &named("none", "p2"));
    missing["request"]["ifMatch"] = json!("W/\"3\"");
    sends(
        &t,
        &t.all,
        &[entry("POST", "Observation", &of("p1")), missing],
    )
    .refused(412, "version-conflict");
    let found = refused(&t);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, "update");
    assert_eq!(found[0].2, ["Observation/none", "Patient/p2"]);
    // By itself as well; and what moves from one chart to another is about both.
    for (id, patient, whom) in [
        ("gone", "p1", &["Patient/p1"][..]),
        ("o-p1", "p2", &["Patient/p1", "Patient/p2"]),
    ] {
        let headers = [("if-match", "W/\"9\"")];
        let line = format!("PUT Observation/{id}");
        t.world
            .fhir_with(&t.all, &line, &headers, named(id, patient).to_string())
            .refused(412, "version-conflict");
        let name = format!("Observation/{id}");
        let found = refused(&t).into_iter().find(|one| one.2[0] == name);
        assert_eq!(found.unwrap().2[1..], *whom, "{id}");
    }
}

#[test]
fn a_transaction_without_the_right_names_what_was_asked_for() {
    let t = Trail::of("4.0.1");
    let narrow = t.world.client("lakeside", "system/Patient.cruds");
    let entries = [
        entry(
            "PUT",
            "Patient/p1",
            &json!({ "resourceType": "Patient", "id": "p1" }),
        ),
        entry("PUT", "Observation/o-p2", &of("p2")),
        entry("DELETE", "Observation/o-p1", &Value::Null),
    ];
    let mut entries = entries.to_vec();
    entries[2].as_object_mut().unwrap().remove("resource");
    sends(&t, &narrow, &entries).refused(403, "scope-missing");
    let found = refused(&t);
    // Deletions come first.
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].0.as_str(), found[0].1.as_str()), ("delete", "8"));
    assert_eq!(found[0].2, ["Observation/o-p1", "Patient/p1"]);
    t.world
        .fhir(&narrow, "GET Observation/o-p2", "")
        .refused(403, "scope-missing");
    let found = refused(&t);
    assert_eq!(found[0].2, ["Observation/o-p2", "Patient/p2"]);
}
