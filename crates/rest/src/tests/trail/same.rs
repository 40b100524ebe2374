//! Writes that change nothing are accesses like any other.

use serde_json::{Value, json};

use super::{Trail, observation, subtype, whats};
use crate::tests::world::JSON;

/// The events of a resource, oldest first: interaction, action, outcome and what they name.
fn of(t: &Trail, name: &str) -> Vec<(String, String, String, Vec<String>)> {
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    t.events(&format!("entity={name}&_sort=date&_count=100"))
        .iter()
        .map(|e| {
            (
                subtype(e).to_owned(),
                text(&e["action"]),
                text(&e["outcome"]),
                whats(e).into_iter().map(str::to_owned).collect(),
            )
        })
        .collect()
}

#[test]
fn an_update_or_patch_that_changes_nothing_is_told_of_with_the_patient() {
    let t = Trail::of("4.0.1");
    let before = of(&t, "Observation/o-p1").len();
    t.world
        .fhir(&t.all, "PUT Observation/o-p1", observation("p1"))
        .status(200);
    let patch = json!([{ "op": "test", "path": "/status", "value": "final" }]);
    let headers = [("content-type", "application/json-patch+json")];
    t.world
        .fhir_with(
            &t.all,
            "PATCH Observation/o-p1",
            &headers,
            patch.to_string(),
        )
        .status(200);
    // One that fails has looked at the resource, too.
    let patch = json!([{ "op": "test", "path": "/status", "value": "amended" }]);
    let failed = t.world.fhir_with(
        &t.all,
        "PATCH Observation/o-p1",
        &headers,
        patch.to_string(),
    );
    assert!(failed.code >= 400);
    let meta = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "meta", "valueMeta": {} } ] });
    t.world
        .fhir_with(
            &t.all,
            "POST Observation/o-p1/$meta-add",
            &[JSON],
            meta.to_string(),
        )
        .status(200);
    let events = of(&t, "Observation/o-p1").split_off(before);
    let kinds: Vec<&str> = events.iter().map(|e| e.0.as_str()).collect();
    // Of one that fails there is what it looked at, and that it was refused.
    assert_eq!(kinds, ["update", "patch", "read", "update", "read"]);
    let outcomes: Vec<&str> = events.iter().map(|e| e.2.as_str()).collect();
    assert_eq!(outcomes, ["0", "0", "0", "4", "0"]);
    let patient = "Patient/p1".to_owned();
    assert!(events.iter().all(|e| e.3.contains(&patient)), "{events:?}");
}

#[test]
fn a_deletion_of_what_is_not_there_is_recorded_before_its_change_is_made() {
    let t = Trail::of("4.0.1");
    let alone = "DELETE Observation/none";
    t.world.fhir(&t.all, alone, "").status(204);
    let told = of(&t, "Observation/none");
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(told[0].0, "delete");
    assert_eq!(told[0].3, ["Observation/none"]);
    // In a transaction with something that is made.
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        { "request": { "method": "PUT", "url": "Patient/p9" },
          "resource": { "resourceType": "Patient", "id": "p9" } },
        { "request": { "method": "DELETE", "url": "Observation/nought" } } ]});
    t.world
        .fhir_with(&t.all, "POST ", &[JSON], bundle.to_string())
        .status(200);
    let path = "GET /admin/v1/tenants/lakeside/audit?limit=500";
    let page = t.world.admin(path, &Value::Null).status(200).json();
    let lines = page["lines"].as_array().unwrap();
    let number = |has: &str| {
        let line = lines.iter().find(|l| l.to_string().contains(has));
        line.unwrap()["number"].as_u64().unwrap()
    };
    assert!(
        number("Observation/nought") < number("Patient/p9"),
        "{page:#}"
    );
    // One that is refused as a whole tells of its refusal alone.
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        { "request": { "method": "DELETE", "url": "Observation/naught" } },
        { "request": { "method": "PUT", "url": "Patient/p9", "ifMatch": "W/\"77\"" },
          "resource": { "resourceType": "Patient", "id": "p9" } } ]});
    let refused = t
        .world
        .fhir_with(&t.all, "POST ", &[JSON], bundle.to_string());
    assert!(refused.code >= 400);
    let told = of(&t, "Observation/naught");
    assert!(
        told.iter().all(|(_, _, outcome, _)| outcome != "0"),
        "{told:#?}"
    );
    // What it says nothing was there of is there for nobody: it is none of its own version.
    t.world
        .fhir(&t.all, "DELETE Observation/o-p1", "")
        .status(204);
    t.world
        .fhir(&t.all, "DELETE Observation/o-p1", "")
        .status(204);
    let told = of(&t, "Observation/o-p1");
    assert_eq!(
        told.iter().filter(|e| e.0 == "delete").count(),
        2,
        "{told:#?}"
    );
}
