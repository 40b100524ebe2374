//! `X-Provenance`: stored with what it is about, or neither is.

use serde_json::{Value, json};

use super::world::{World, patient, patient_with_id};

fn provenance() -> Value {
    json!({ "resourceType": "Provenance", "recorded": "2026-01-02T03:04:05Z",
        "agent": [{ "who": { "display": "Dr Jürgen" } }] })
}

fn write(
    world: &World,
    who: &str,
    line: &str,
    header: &Value,
    body: String,
) -> super::world::Answer {
    let text = header.to_string();
    world.fhir_with(who, line, &[("x-provenance", &text)], body)
}

fn count(world: &World, who: &str, of: &str) -> usize {
    world
        .fhir(who, &format!("GET {of}"), "")
        .status(200)
        .entries()
        .len()
}

#[test]
fn what_is_written_has_its_provenance() {
    let (world, who) = World::clinic();
    let made = write(&world, &who, "POST Patient", &provenance(), patient("A")).status(201);
    let id = made.text("/id");
    let about = |id: &str| format!("Provenance?target=Patient/{id}");
    let found = world
        .fhir(&who, &format!("GET {}", about(&id)), "")
        .status(200);
    found
        .at(
            "/entry/0/resource/target/0/reference",
            format!("Patient/{id}"),
        )
        .at("/entry/0/resource/agent/0/who/display", "Dr Jürgen");
    write(
        &world,
        &who,
        "PUT Patient/b",
        &provenance(),
        patient_with_id("b", "B"),
    )
    .status(201);
    write(
        &world,
        &who,
        "PUT Patient/b",
        &provenance(),
        patient_with_id("b", "C"),
    )
    .status(200);
    assert_eq!(count(&world, &who, &about("b")), 2);
    let patch = json!([{ "op": "add", "path": "/active", "value": true }]).to_string();
    let text = provenance().to_string();
    let headers = [
        ("x-provenance", text.as_str()),
        ("content-type", "application/json-patch+json"),
    ];
    world
        .fhir_with(&who, "PATCH Patient/b", &headers, patch)
        .status(200);
    assert_eq!(count(&world, &who, &about("b")), 3);
    // Nothing was written: nothing has a provenance.
    let headers = [
        ("x-provenance", text.as_str()),
        ("if-none-exist", "family=C"),
    ];
    world
        .fhir_with(&who, "POST Patient", &headers, patient("C"))
        .status(200);
    write(&world, &who, "GET Patient/b", &provenance(), String::new()).status(200);
    assert_eq!(count(&world, &who, "Provenance"), 4);
}

#[test]
fn a_transaction_has_one_provenance() {
    let (world, who) = World::clinic();
    world
        .fhir(&who, "PUT Patient/old", patient_with_id("old", "O"))
        .status(201);
    let doctor = "urn:uuid:7a3f4f5e-0000-4000-8000-000000000001";
    let entry = |method: &str, url: &str, resource: Value| json!({ "resource": resource, "request": { "method": method, "url": url } });
    let mut made = entry(
        "POST",
        "Practitioner",
        json!({ "resourceType": "Practitioner" }),
    );
    made["fullUrl"] = doctor.into();
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        made,
        entry("PUT", "Patient/n", json!({ "resourceType": "Patient", "id": "n" })),
        { "request": { "method": "DELETE", "url": "Patient/old" } },
        { "request": { "method": "GET", "url": "Patient/n" } },
    ] });
    let mut header = provenance();
    header["agent"][0]["who"] = json!({ "reference": doctor });
    let done = write(&world, &who, "POST ", &header, bundle.to_string()).status(200);
    assert_eq!(done.json()["entry"].as_array().unwrap().len(), 4);
    let found = world
        .fhir(&who, "GET Provenance?target=Patient/n", "")
        .status(200);
    let stored = &found.json()["entry"][0]["resource"];
    let by = stored["agent"][0]["who"]["reference"].as_str().unwrap();
    assert!(by.starts_with("Practitioner/"), "{by}");
    let mut targets: Vec<&str> = stored["target"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["reference"].as_str().unwrap())
        .collect();
    targets.sort_unstable();
    assert_eq!(targets, ["Patient/n", by]);
}

#[test]
fn one_without_the_other_is_not_written() {
    let (world, who) = World::clinic();
    let mut without_agent = provenance();
    without_agent.as_object_mut().unwrap().remove("agent");
    let mut aimed = provenance();
    aimed["target"] = json!([{ "reference": "Patient/x" }]);
    let patient_only = world.client("lakeside", "system/Patient.cruds");
    let refused = |who: &str, header: &Value, status: u16, code: &str| {
        for line in ["POST Patient", "PUT Patient/p"] {
            let body = patient_with_id("p", "P");
            write(&world, who, line, header, body).refused(status, code);
        }
    };
    refused(&who, &without_agent, 422, "element-cardinality");
    refused(&who, &aimed, 400, "request-invalid");
    refused(
        &who,
        &json!({ "resourceType": "Patient" }),
        400,
        "request-invalid",
    );
    refused(&who, &json!("x"), 400, "resource-type-mismatch");
    refused(&patient_only, &provenance(), 403, "scope-missing");
    let batch = json!({ "resourceType": "Bundle", "type": "batch", "entry": [
        { "request": { "method": "GET", "url": "Patient" } }] });
    write(&world, &who, "POST ", &provenance(), batch.to_string()).refused(501, "not-supported");
    write(
        &world,
        &who,
        "DELETE Patient/p",
        &provenance(),
        String::new(),
    )
    .refused(501, "not-supported");
    let text = provenance().to_string();
    let twice = [
        ("x-provenance", text.as_str()),
        ("x-provenance", text.as_str()),
    ];
    let answer = world.fhir_with(&who, "POST Patient", &twice, patient("P"));
    answer.refused(400, "request-invalid");
    assert_eq!(count(&world, &who, "Patient"), 0);
    assert_eq!(count(&world, &who, "Provenance"), 0);
}

#[test]
fn where_references_must_lead_somewhere_it_does() {
    let world = World::new();
    let tenant = json!({ "name": "lakeside", "config": { "references": "enforced" } });
    world.admin("POST /admin/v1/tenants", &tenant).status(201);
    let who = world.client("lakeside", "system/*.cruds");
    let made = write(&world, &who, "POST Patient", &provenance(), patient("A")).status(201);
    let about = format!("Provenance?target=Patient/{}", made.text("/id"));
    assert_eq!(count(&world, &who, &about), 1);
    let mut nowhere = provenance();
    nowhere["agent"][0]["who"] = json!({ "reference": "Practitioner/none" });
    let refused = write(&world, &who, "POST Patient", &nowhere, patient("B"));
    refused.refused(422, "reference-missing");
    assert_eq!(count(&world, &who, "Patient"), 1);
}
