//! Conditional create, update and delete.

use serde_json::json;

use super::world::{World, patient_with_id};

fn patient(identifier: &str, id: Option<&str>) -> String {
    let mut patient = json!({
        "resourceType": "Patient",
        "identifier": [{ "system": "http://ids", "value": identifier }],
    });
    if let Some(id) = id {
        patient["id"] = id.into();
    }
    patient.to_string()
}

const EXIST: &str = "identifier=http://ids|1";

#[test]
fn create_only_if_none_exists() {
    let (world, who) = World::clinic();
    let create = |criteria: &str| {
        world.fhir_with(
            &who,
            "POST Patient",
            &[("if-none-exist", criteria)],
            patient("1", None),
        )
    };
    let made = create(EXIST).status(201).text("/id");
    let found = create(EXIST).status(200).at("/id", made.as_str());
    assert!(
        found
            .header_text("location")
            .unwrap()
            .contains(&format!("/Patient/{made}/_history/1"))
    );
    create("identifier=http%3A%2F%2Fids%7C1").status(200);
    world
        .fhir(&who, "POST Patient", patient("1", None))
        .status(201);
    create(EXIST).refused(412, "multiple-matches");
    create("nonsense=1").refused(400, "search-parameter-unknown");
    create("").refused(400, "search-value");
    create("_count=1").refused(400, "search-value");
    let no_search = world.client("lakeside", "system/Patient.c");
    let headers = [("if-none-exist", EXIST)];
    let refused = world.fhir_with(&no_search, "POST Patient", &headers, patient("1", None));
    refused.refused(403, "scope-missing");
}

#[test]
fn update_what_matches() {
    let (world, who) = World::clinic();
    let update =
        |id: Option<&str>| world.fhir(&who, &format!("PUT Patient?{EXIST}"), patient("1", id));
    let id = update(None).status(201).text("/id");
    update(None)
        .status(200)
        .at("/id", id.as_str())
        .at("/meta/versionId", "2");
    update(Some(&id)).status(200).at("/meta/versionId", "3");
    update(Some("other")).refused(400, "resource-id-mismatch");
    world
        .fhir(&who, "POST Patient", patient("1", None))
        .status(201);
    update(None).refused(412, "multiple-matches");
    let line = "PUT Patient?identifier=http://ids|2";
    world
        .fhir(&who, line, patient("2", Some("two")))
        .status(201)
        .at("/id", "two");
    world
        .fhir(&who, "PUT Patient?nonsense=1", patient("1", None))
        .status(400);
    world
        .fhir(&who, "PUT Patient", patient("1", None))
        .status(400);
}

#[test]
fn delete_the_one_that_matches() {
    let (world, who) = World::clinic();
    let delete = || world.fhir(&who, &format!("DELETE Patient?{EXIST}"), "");
    delete().status(204);
    let id = world
        .fhir(&who, "POST Patient", patient("1", None))
        .text("/id");
    delete().status(204);
    world
        .fhir(&who, &format!("GET Patient/{id}"), "")
        .refused(410, "deleted");
    for _ in 0..2 {
        world
            .fhir(&who, "POST Patient", patient("1", None))
            .status(201);
    }
    delete().refused(412, "multiple-matches");
    world
        .fhir(&who, "DELETE Patient", "")
        .refused(400, "search-value");
    let no_delete = world.client("lakeside", "system/Patient.rs");
    world
        .fhir(&no_delete, &format!("DELETE Patient?{EXIST}"), "")
        .refused(403, "scope-missing");
}

#[test]
fn an_id_of_another_resource_is_not_taken_over() {
    let (world, who) = World::clinic();
    let body = serde_json::json!({"resourceType": "Patient", "id": "p"}).to_string();
    world.fhir(&who, "PUT Patient/p", body.clone()).status(201);
    world
        .fhir(&who, "PUT Patient?identifier=none", body.clone())
        .refused(409, "duplicate-id");
    let absent = [("if-none-match", "*")];
    world
        .fhir_with(&who, "PUT Patient?identifier=none", &absent, body)
        .refused(412, "precondition-failed");
}

#[test]
fn any_version_is_a_condition_too() {
    let (world, who) = World::clinic();
    let any = [("if-match", "*")];
    let put = |id: &str| {
        world.fhir_with(
            &who,
            &format!("PUT Patient/{id}"),
            &any,
            patient("1", Some(id)),
        )
    };
    put("x").refused(412, "precondition-failed");
    world
        .fhir(&who, "PUT Patient/x", patient("1", Some("x")))
        .status(201);
    put("x").status(200);
    let patch = [
        ("if-match", "*"),
        ("content-type", "application/json-patch+json"),
    ];
    let add = r#"[{"op":"add","path":"/active","value":true}]"#;
    world
        .fhir_with(&who, "PATCH Patient/x", &patch, add)
        .status(200);
    world
        .fhir_with(&who, "DELETE Patient/y", &any, "")
        .refused(412, "precondition-failed");
    world
        .fhir_with(&who, "DELETE Patient/x", &any, "")
        .status(204);
    put("x").refused(412, "precondition-failed");
    // Nothing accepted in particular is anything.
    world
        .fhir_with(&who, "GET metadata", &[("accept", "")], "")
        .status(200);
}

#[test]
fn several_versions_are_a_condition_too() {
    let (world, who) = World::clinic();
    let body = |family: &str| patient_with_id("p", family);
    for family in ["One", "Two", "Three"] {
        world.fhir(&who, "PUT Patient/p", body(family));
    }
    let with = |line: &str, tags: &str, body: String| {
        world.fhir_with(&who, line, &[("if-match", tags)], body)
    };
    with("PUT Patient/p", "W/\"1\", W/\"2\"", body("No")).refused(412, "version-conflict");
    with("PUT Patient/p", "\"x\", W/\"9\"", body("No")).refused(412, "version-conflict");
    with("PUT Patient/p", "W/\"2\", \"x\", W/\"3\"", body("Four"))
        .status(200)
        .header("etag", "W/\"4\"");
    // Several headers are one list.
    let two = [("if-match", "W/\"1\""), ("if-match", "W/\"4\"")];
    world
        .fhir_with(&who, "PUT Patient/p", &two, body("Five"))
        .status(200);
    let patch = json!([{"op": "replace", "path": "/active", "value": true}]).to_string();
    let patched = |tags: &str| {
        let headers = [
            ("if-match", tags),
            ("content-type", "application/json-patch+json"),
        ];
        world.fhir_with(
            &who,
            "PATCH Patient/p",
            &headers,
            patch.replace("replace", "add"),
        )
    };
    patched("W/\"3\",W/\"4\"").refused(412, "version-conflict");
    patched("W/\"4\",W/\"5\"").status(200);
    let entry = |tags: &str| {
        json!({ "resourceType": "Bundle", "type": "transaction", "entry": [{
            "request": { "method": "PUT", "url": "Patient/p", "ifMatch": tags },
            "resource": serde_json::from_str::<serde_json::Value>(&body("Seven")).unwrap() }] })
        .to_string()
    };
    world
        .fhir(&who, "POST ", entry("W/\"1\",W/\"5\""))
        .refused(412, "version-conflict");
    world
        .fhir(&who, "POST ", entry("W/\"5\",W/\"6\""))
        .status(200);
    with("DELETE Patient/p", "W/\"5\",W/\"6\"", String::new()).refused(412, "version-conflict");
    let nine = "1,2,3,4,5,6,7,8,9";
    with("PUT Patient/p", nine, body("No")).refused(400, "request-invalid");
    // A deletion by criteria heeds them as well.
    let deleted =
        |id: &str, tags: &str| with(&format!("DELETE Patient?_id={id}"), tags, String::new());
    deleted("p", "W/\"1\"").refused(412, "version-conflict");
    deleted("nobody", "W/\"1\"").refused(412, "precondition-failed");
    deleted("p", "W/\"6\", W/\"7\"").status(204);
}
