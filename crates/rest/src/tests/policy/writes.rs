//! Writes: what was and what is made must both be in reach.

use serde_json::json;

use super::{grants, northern, observation, patient, staff, two_facilities};

#[test]
fn nothing_is_made_or_moved_out_of_reach() {
    let (world, all) = two_facilities();
    let who = northern(&world, "clinician");
    world
        .fhir(
            &who,
            "POST Observation",
            observation("north", "new").to_string(),
        )
        .status(201);
    world
        .fhir(
            &who,
            "POST Observation",
            observation("south", "new").to_string(),
        )
        .refused(403, "scope-missing");
    let own = world.fhir(&all, "GET Observation?code=new", "").status(200);
    assert_eq!(own.entries().len(), 1);
    // Moved to another patient, and a patient to another facility.
    let mut moved = observation("south", "finding");
    moved["id"] = json!("b-north");
    world
        .fhir(&who, "PUT Observation/b-north", moved.to_string())
        .refused(403, "scope-missing");
    let gone = patient("south").to_string().replace("p-south", "p-north");
    world
        .fhir(&who, "PUT Patient/p-north", gone)
        .refused(403, "scope-missing");
    let patch = json!([{ "op": "replace", "path": "/managingOrganization/reference",
        "value": "Organization/o-south" }]);
    let json_patch = [("content-type", "application/json-patch+json")];
    world
        .fhir_with(
            &who,
            "PATCH Patient/p-north",
            &json_patch,
            patch.to_string(),
        )
        .refused(403, "scope-missing");
    world
        .fhir(&all, "GET Patient/p-north", "")
        .at("/meta/versionId", "1");
    // Within reach it is changed.
    let mut same = patient("north");
    same["active"] = json!(false);
    world
        .fhir(&who, "PUT Patient/p-north", same.to_string())
        .status(200);
    let flip = json!([{ "op": "replace", "path": "/active", "value": true }]);
    world
        .fhir_with(&who, "PATCH Patient/p-north", &json_patch, flip.to_string())
        .status(200);
}

#[test]
fn writing_tells_nothing_of_what_is_out_of_reach() {
    let (world, all) = two_facilities();
    let who = northern(&world, "clinician");
    let told = |line: &str, id: &str, body: String, headers: &[(&str, &str)]| {
        let answer = world.fhir_with(
            &who,
            &line.replace("{}", id),
            headers,
            body.replace("{}", id),
        );
        (
            answer.code,
            String::from_utf8_lossy(&answer.body).replace(id, "{}"),
        )
    };
    let put = json!({ "resourceType": "Patient", "id": "{}",
        "managingOrganization": { "reference": "Organization/o-north" } })
    .to_string();
    let patch = json!([{ "op": "test", "path": "/birthDate", "value": "1970-01-01" }]).to_string();
    let json_patch = [("content-type", "application/json-patch+json")];
    for (line, body, headers) in [
        ("PUT Patient/{}", put.clone(), &[][..]),
        (
            "PUT Patient/{}",
            put.clone(),
            &[("if-match", "W/\"1\"")][..],
        ),
        ("PUT Patient/{}", put, &[("if-none-match", "*")][..]),
        ("PATCH Patient/{}", patch, &json_patch[..]),
        ("DELETE Patient/{}", String::new(), &[][..]),
        (
            "POST Patient/{}/$meta-add",
            json!({ "resourceType": "Parameters", "parameter": [
            { "name": "meta", "valueMeta": { "tag": [{ "code": "x" }] } }] })
            .to_string(),
            &[][..],
        ),
    ] {
        let there = told(line, "p-south", body.clone(), headers);
        assert_eq!(
            there,
            told(line, "p-absent", body, headers),
            "{line} {headers:?}"
        );
    }
    world
        .fhir(&all, "GET Patient/p-south", "")
        .at("/meta/versionId", "1");
    world.fhir(&all, "GET Patient/p-absent", "").status(404);
    // A conditional create as a probe: what is out of reach does not match.
    let probe = patient("north").to_string();
    let made = world.fhir_with(
        &who,
        "POST Patient",
        &[("if-none-exist", "name=ofsouth")],
        probe,
    );
    made.status(201);
    world
        .fhir(
            &who,
            "PUT Patient?name=ofsouth",
            json!({ "resourceType": "Patient",
            "managingOrganization": { "reference": "Organization/o-north" } })
            .to_string(),
        )
        .status(201);
    world
        .fhir(&who, "DELETE Patient?name=ofsouth", "")
        .status(204);
    world.fhir(&all, "GET Patient/p-south", "").status(200);
}

#[test]
fn nobody_opens_a_chart_by_writing_what_opens_it() {
    let (world, all) = two_facilities();
    let charts = json!([{ "name": "charts", "who": { "roles": ["clinician"] }, "actions": "cruds",
        "types": ["Patient", "CareTeam", "Observation"],
        "within": "Patient?_has:CareTeam:patient:participant=Practitioner/dr-north" }]);
    super::grants(&world, &charts);
    let who = northern(&world, "clinician");
    let team = |id: Option<&str>, patient: &str| {
        let mut team = json!({ "resourceType": "CareTeam", "status": "active",
            "subject": { "reference": format!("Patient/{patient}") },
            "participant": [{ "member": { "reference": "Practitioner/dr-north" } }] });
        if let Some(id) = id {
            team["id"] = json!(id);
        }
        team.to_string()
    };
    world
        .fhir(&all, "PUT CareTeam/t", team(Some("t"), "p-north"))
        .status(201);
    world.fhir(&who, "GET Patient/p-north", "").status(200);
    world.fhir(&who, "GET Patient/p-south", "").status(404);
    world
        .fhir(&who, "POST CareTeam", team(None, "p-south"))
        .refused(403, "scope-missing");
    world
        .fhir(&who, "PUT CareTeam/t", team(Some("t"), "p-south"))
        .refused(403, "own-evidence");
    let contained = json!({ "resourceType": "Observation", "status": "final", "code": { "text": "x" },
        "subject": { "reference": "Patient/p-south" },
        "contained": [serde_json::from_str::<serde_json::Value>(&team(Some("c"), "p-south")).unwrap()],
        "hasMember": [{ "reference": "#c" }] });
    let answer = world.fhir(&who, "POST Observation", contained.to_string());
    assert!((400..=422).contains(&answer.code), "{}", answer.code);
    let together = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        { "resource": serde_json::from_str::<serde_json::Value>(&team(None, "p-south")).unwrap(),
          "request": { "method": "POST", "url": "CareTeam" } },
        { "resource": observation("south", "x"),
          "request": { "method": "POST", "url": "Observation" } },
    ] });
    world
        .fhir(&who, "POST ", together.to_string())
        .refused(403, "scope-missing");
    world.fhir(&who, "GET Patient/p-south", "").status(404);
    // A second team for a patient whose chart is open is fine.
    world
        .fhir(&who, "POST CareTeam", team(None, "p-north"))
        .status(201);
}

#[test]
fn who_changes_more_than_they_read_is_not_shown_it() {
    let (world, _) = two_facilities();
    super::grants(
        &world,
        &json!([
            { "name": "change", "who": { "roles": ["clerk"] }, "actions": "u", "types": ["Patient"] },
            { "name": "read", "who": { "roles": ["clerk"] }, "actions": "r", "types": ["Patient"],
              "criteria": "organization=%user.facilities" },
        ]),
    );
    let who = northern(&world, "clerk");
    let flip = json!([{ "op": "replace", "path": "/active", "value": false }]);
    let headers = [
        ("content-type", "application/json-patch+json"),
        ("prefer", "return=representation"),
    ];
    // A patch tells what is there: it takes reading.
    for patch in [
        flip,
        json!([{ "op": "test", "path": "/birthDate", "value": "1971-01-01" }]),
    ] {
        world
            .fhir_with(&who, "PATCH Patient/p-south", &headers, patch.to_string())
            .refused(404, "not-found");
    }
    let patch = json!([{ "op": "test", "path": "/birthDate", "value": "1970-01-01" }]).to_string();
    world
        .fhir_with(&who, "PATCH Patient/p-north", &headers, patch)
        .status(200);
    // Who brings the whole of it learns nothing.
    let whole = super::patient("south").to_string();
    world.fhir(&who, "PUT Patient/p-south", whole).status(200);
    world
        .fhir(&who, "POST Patient/p-south/$reindex", "")
        .status(200);
    super::grants(
        &world,
        &json!([
            { "name": "change", "who": { "roles": ["clerk"] }, "actions": "ru", "types": ["Patient"],
              "criteria": "organization=%user.facilities" },
        ]),
    );
    world
        .fhir(&who, "POST Patient/p-south/$reindex", "")
        .status(404);
}

#[test]
fn a_transaction_with_a_part_out_of_reach_is_not_made() {
    let (world, all) = two_facilities();
    let who = northern(&world, "clinician");
    let bundle = |second: &str| {
        json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
            { "resource": observation("north", "together"),
              "request": { "method": "POST", "url": "Observation" } },
            { "resource": observation(second, "together"),
              "request": { "method": "POST", "url": "Observation" } },
        ] })
        .to_string()
    };
    world
        .fhir(&who, "POST ", bundle("south"))
        .refused(403, "scope-missing");
    let count = |wanted: u64| {
        let line = "GET Observation?code=together&_summary=count";
        world.fhir(&all, line, "").status(200).at("/total", wanted);
    };
    count(0);
    world.fhir(&who, "POST ", bundle("north")).status(200);
    count(2);
    // A patient and what is about them, made together.
    let together = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        { "fullUrl": "urn:uuid:7d2b1f8e-0c0e-4d0f-9d8e-000000000001", "resource": patient("north"),
          "request": { "method": "POST", "url": "Patient" } },
        { "resource": { "resourceType": "Condition",
            "subject": { "reference": "urn:uuid:7d2b1f8e-0c0e-4d0f-9d8e-000000000001" } },
          "request": { "method": "POST", "url": "Condition" } },
    ] });
    world.fhir(&who, "POST ", together.to_string()).status(200);
    let found = world.fhir(&who, "GET Condition", "").status(200).entries();
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn what_is_read_and_not_theirs_to_change_is_refused_in_words() {
    let (world, all) = two_facilities();
    grants(
        &world,
        &json!([
            { "name": "look", "who": { "roles": ["reader"] }, "actions": "rs", "types": ["Patient"] },
            { "name": "keep", "who": { "roles": ["reader"] }, "actions": "ud", "types": ["Patient"],
              "criteria": "name=ofnorth" },
        ]),
    );
    let who = staff(&world, &["reader"], "system/*.cruds");
    world.fhir(&who, "GET Patient/p-south", "").status(200);
    let south = patient("south").to_string();
    let flip = json!([{ "op": "replace", "path": "/active", "value": false }]).to_string();
    let json_patch = [("content-type", "application/json-patch+json")];
    world
        .fhir(&who, "DELETE Patient/p-south", "")
        .refused(403, "scope-missing");
    world
        .fhir(&who, "DELETE Patient?name=ofsouth", "")
        .refused(403, "scope-missing");
    world
        .fhir(&who, "PUT Patient/p-south", south.clone())
        .refused(403, "scope-missing");
    world
        .fhir_with(&who, "PATCH Patient/p-south", &json_patch, flip.clone())
        .refused(403, "scope-missing");
    let entry = json!({ "request": { "method": "DELETE", "url": "Patient/p-south" } });
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [entry] });
    world
        .fhir(&who, "POST ", bundle.to_string())
        .refused(403, "scope-missing");
    world
        .fhir(&all, "GET Patient/p-south", "")
        .at("/meta/versionId", "1");
    // Of what they may not even read they learn nothing; what is theirs they change.
    let blind = staff(&world, &["nobody"], "system/*.cruds");
    world
        .fhir(&blind, "GET Patient/p-south", "")
        .refused(403, "scope-missing");
    world.fhir(&who, "DELETE Patient/p-absent", "").status(204);
    world
        .fhir_with(&who, "PATCH Patient/p-north", &json_patch, flip)
        .status(200);
    world.fhir(&who, "DELETE Patient/p-north", "").status(204);
    world.fhir(&all, "GET Patient/p-north", "").status(410);
}
