//! A grant for one facility: no road leads to the other.

use serde_json::{Value, json};

use super::super::world::World;
use super::{basic, client, clinic, clinic_says, enabled, propose};

fn two(world: &World, all: &str) {
    for at in ["north", "south"] {
        let put = |body: Value| {
            let (of, id) = (
                body["resourceType"].as_str().unwrap(),
                body["id"].as_str().unwrap(),
            );
            let line = format!("PUT {of}/{id}");
            world.fhir(all, &line, body.to_string()).status(201);
        };
        let patient = json!({ "reference": format!("Patient/p-{at}") });
        let organization = json!({ "reference": format!("Organization/o-{at}") });
        put(json!({ "resourceType": "Organization", "id": format!("o-{at}"), "name": at }));
        put(
            json!({ "resourceType": "Location", "id": format!("l-{at}"), "name": at,
            "managingOrganization": organization }),
        );
        put(json!({ "resourceType": "Patient", "id": format!("p-{at}"),
            "name": [{ "family": format!("Of{at}") }], "managingOrganization": organization }));
        put(
            json!({ "resourceType": "Observation", "id": format!("b-{at}"), "status": "final",
            "code": { "coding": [{ "system": "urn:c", "code": "finding" }] }, "subject": patient }),
        );
        put(json!({ "resourceType": "Schedule", "id": format!("s-{at}"),
            "actor": [{ "reference": format!("Location/l-{at}") }] }));
        put(
            json!({ "resourceType": "Slot", "id": format!("t-{at}"), "status": "free",
            "start": "2026-01-01T00:00:00Z", "end": "2026-01-01T01:00:00Z",
            "schedule": { "reference": format!("Schedule/s-{at}") } }),
        );
        put(
            json!({ "resourceType": "Binary", "id": format!("y-{at}"), "contentType": "text/plain", "data": "YQ==" }),
        );
    }
    world
        .fhir(
            all,
            "PUT CodeSystem/c",
            json!({ "resourceType": "CodeSystem", "id": "c", "status": "active",
            "content": "complete", "url": "urn:c" })
            .to_string(),
        )
        .status(201);
}

fn found(world: &World, who: &str, line: &str) -> Vec<String> {
    let mut all = world
        .fhir(who, &format!("GET {line}"), "")
        .status(200)
        .entries();
    all.sort();
    all
}

#[test]
fn no_road_leads_to_the_other_facility() {
    let (world, all) = clinic();
    two(&world, &all);
    let crossed = json!({ "resourceType": "Observation", "id": "crossed", "status": "final",
        "code": { "text": "x" }, "subject": { "reference": "Patient/p-north" },
        "performer": [{ "reference": "Organization/o-south" }], "focus": [{ "reference": "Patient/p-south" }] });
    world
        .fhir(&all, "PUT Observation/crossed", crossed.to_string())
        .status(201);
    enabled(&world, &json!({ "facilities": ["Organization/o-north"] }));
    let who = basic(&client(&world, "system/*.cruds"));
    for (line, wanted) in [
        ("Patient", "Patient/p-north"),
        ("Patient?_id=p-north,p-south", "Patient/p-north"),
        (
            "Patient?_has:Observation:patient:code=finding",
            "Patient/p-north",
        ),
        ("Observation?code=finding", "Observation/b-north"),
        (
            "Observation?patient.family=ofnorth&code=finding",
            "Observation/b-north",
        ),
        ("Organization", "Organization/o-north"),
        ("Location", "Location/l-north"),
        ("Schedule", "Schedule/s-north"),
        ("Slot", "Slot/t-north"),
        ("Slot?schedule.actor:Location.name=north", "Slot/t-north"),
        ("CodeSystem", "CodeSystem/c"),
    ] {
        assert_eq!(found(&world, &who, line), [wanted], "{line}");
    }
    for line in [
        "Patient?_id=p-south",
        "Patient?family=ofsouth",
        "Patient?organization=Organization/o-south",
        "Observation?patient=p-south",
        "Observation?patient.family=ofsouth",
        "Patient?organization.name=south",
        "Observation?performer:Organization.name=south",
        "Organization?_has:Patient:organization:family=ofsouth",
        "Slot?schedule=Schedule/s-south",
    ] {
        assert_eq!(found(&world, &who, line), [""; 0], "{line}");
    }
    let included = "Observation?_id=crossed&_include=*&_include=Observation:performer&_include=Observation:focus";
    assert_eq!(
        found(&world, &who, included),
        ["Observation/crossed", "Patient/p-north"]
    );
    let back =
        "Organization?_revinclude=Patient:organization&_revinclude:iterate=Observation:subject";
    assert_eq!(
        found(&world, &who, back),
        [
            "Observation/b-north",
            "Observation/crossed",
            "Organization/o-north",
            "Patient/p-north"
        ]
    );
    for line in [
        "GET Patient/p-south",
        "GET Observation/b-south",
        "GET Organization/o-south",
        "GET Patient/p-south/_history",
        "GET Patient/p-south/_history/1",
        "GET Patient/p-south/$everything",
        "DELETE Patient/p-south",
    ] {
        let absent = line.replace("-south", "-absent");
        let (there, absent) = (world.fhir(&who, line, ""), world.fhir(&who, &absent, ""));
        assert_eq!(there.code, absent.code, "{line}");
        assert!(
            there.code == 404 || there.code == 204 || there.code == 200,
            "{line}: {}",
            there.code
        );
    }
    world.fhir(&all, "GET Patient/p-south", "").status(200);
    world
        .fhir(&who, "GET Binary/y-north", "")
        .refused(403, "scope-missing");
    let codes =
        r#"{"resourceType": "CodeSystem", "id": "c", "status": "retired", "content": "complete"}"#;
    world
        .fhir(&who, "PUT CodeSystem/c", codes)
        .refused(403, "scope-missing");
    let query = "{PatientList{id}p:Patient(id:\"p-south\"){id}}";
    let line = format!("GET $graphql?query={}", engine::form::encode(query));
    let answer = String::from_utf8_lossy(&world.fhir(&who, &line, "").body).into_owned();
    assert!(!answer.contains("p-south\""), "{answer}");
    world
        .fhir(&who, "GET Patient?_summary=count", "")
        .status(200)
        .at("/total", 1);
}

#[test]
fn nothing_is_written_outside_nor_moved_there() {
    let (world, all) = clinic();
    two(&world, &all);
    enabled(&world, &json!({ "facilities": ["Organization/o-north"] }));
    let who = basic(&client(&world, "system/*.cruds"));
    let seen = |of: &str| {
        json!({ "resourceType": "Observation", "status": "final", "code": { "text": "x" },
        "subject": { "reference": format!("Patient/{of}") } })
    };
    world
        .fhir(&who, "POST Observation", seen("p-north").to_string())
        .status(201);
    assert_eq!(
        world
            .fhir(&who, "POST Observation", seen("p-south").to_string())
            .code,
        403
    );
    let mut south = seen("p-south");
    south["id"] = json!("b-south");
    let update = world.fhir(&who, "PUT Observation/b-south", south.to_string());
    assert!(matches!(update.code, 403 | 404), "{}", update.code);
    let mut moved = seen("p-south");
    moved["id"] = json!("b-north");
    world
        .fhir(&who, "PUT Observation/b-north", moved.to_string())
        .status(403);
    let moved = json!({ "resourceType": "Patient", "id": "p-north",
        "managingOrganization": { "reference": "Organization/o-south" } });
    world
        .fhir(&who, "PUT Patient/p-north", moved.to_string())
        .status(403);
    world
        .fhir(&all, "GET Observation/b-north", "")
        .status(200)
        .at("/subject/reference", "Patient/p-north");
    world
        .fhir(&all, "GET Patient/p-north", "")
        .status(200)
        .at("/meta/versionId", "1");
}

#[test]
fn a_place_is_a_facility_too() {
    let (world, all) = clinic();
    two(&world, &all);
    let visit = json!({ "resourceType": "Encounter", "id": "e1", "status": "finished", "class": { "code": "AMB" },
        "subject": { "reference": "Patient/p-south" },
        "location": [{ "location": { "reference": "Location/l-north" } }] });
    world
        .fhir(&all, "PUT Encounter/e1", visit.to_string())
        .status(201);
    // Nobody was there who only was to come, or by mistake.
    for status in [
        "planned",
        "cancelled",
        "entered-in-error",
        "unknown",
        "in-progress",
    ] {
        let line = format!("PUT Patient/p-{status}");
        let body = json!({ "resourceType": "Patient", "id": format!("p-{status}") });
        world.fhir(&all, &line, body.to_string()).status(201);
        let mut visit = visit.clone();
        visit["id"] = json!(format!("e-{status}"));
        visit["status"] = json!(status);
        visit["subject"] = json!({ "reference": format!("Patient/p-{status}") });
        let line = format!("PUT Encounter/e-{status}");
        world.fhir(&all, &line, visit.to_string()).status(201);
    }
    let admin = enabled(&world, &json!({ "facilities": ["Location/l-north"] }));
    let who = basic(&client(&world, "system/*.rs"));
    let seen = ["Patient/p-in-progress", "Patient/p-south"];
    assert_eq!(found(&world, &who, "Patient"), seen);
    assert_eq!(found(&world, &who, "Observation"), ["Observation/b-south"]);
    assert_eq!(found(&world, &who, "Location"), ["Location/l-north"]);
    assert_eq!(found(&world, &who, "Schedule"), ["Schedule/s-north"]);
    world
        .fhir(&who, "GET Organization", "")
        .refused(403, "scope-missing");
    // Other terms, from the next request on.
    let number = propose(&world, &json!({ "facilities": [] }));
    clinic_says(&admin, "enabled", Some(number)).status(200);
    assert_eq!(found(&world, &who, "Organization").len(), 2);
}
