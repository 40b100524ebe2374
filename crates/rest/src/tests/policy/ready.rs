//! Ready policies as the staff of two facilities meets them: each role does its work and no more.

use serde_json::{Value, json};

use super::super::people::{administrator, person};
use super::super::world::World;
use super::glass::approved;
use super::{govern, staff};

const PRESETS: [&str; 4] = ["network-wide", "own-facility", "care-team", "by-consent"];

fn put(world: &World, all: &str, body: &Value) {
    let (of, id) = (&body["resourceType"], &body["id"]);
    let line = format!("PUT {}/{}", of.as_str().unwrap(), id.as_str().unwrap());
    let made = world.fhir(all, &line, body.to_string());
    assert!(matches!(made.code, 200 | 201), "{line} {:#}", made.json());
}

/// Two facilities, north and south: an Organization, a ward, its schedule with a slot, somebody who treats, and a
/// patient who was there.
fn clinic(fhir: &str) -> (World, String) {
    let (world, all) = World::clinic_of(fhir);
    let five = fhir == "5.0.0";
    for at in ["north", "south"] {
        let to = |of: &str| json!({ "reference": format!("{of}-{at}") });
        for body in [
            json!({ "resourceType": "Organization", "id": format!("o-{at}"), "name": at }),
            json!({ "resourceType": "Location", "id": format!("l-{at}"), "name": at,
                "managingOrganization": to("Organization/o") }),
            json!({ "resourceType": "Practitioner", "id": format!("dr-{at}"),
                "name": [{ "family": "Doctor" }], "telecom": [{ "value": "555" }] }),
            json!({ "resourceType": "Schedule", "id": format!("sc-{at}"),
                "actor": [to("Practitioner/dr"), to("Location/l")] }),
            slot(at, "free"),
            json!({ "resourceType": "Patient", "id": format!("p-{at}"), "deceasedBoolean": false,
                "managingOrganization": to("Organization/o") }),
            json!({ "resourceType": "Condition", "id": format!("c-{at}"), "subject": to("Patient/p"),
                "code": { "text": "ill" }, "clinicalStatus": { "coding": [{
                    "system": "http://terminology.hl7.org/CodeSystem/condition-clinical",
                    "code": "active" }] } }),
            encounter(at, five),
        ] {
            put(&world, &all, &body);
        }
    }
    (world, all)
}

fn slot(at: &str, status: &str) -> Value {
    json!({ "resourceType": "Slot", "id": format!("sl-{at}"), "status": status,
        "schedule": { "reference": format!("Schedule/sc-{at}") },
        "start": "2026-12-01T10:00:00Z", "end": "2026-12-01T10:30:00Z" })
}

/// One that says why somebody came, and what they have.
fn encounter(at: &str, five: bool) -> Value {
    let ill = json!({ "reference": format!("Condition/c-{at}") });
    let mut body = json!({ "resourceType": "Encounter", "id": format!("e-{at}"),
        "status": "in-progress", "subject": { "reference": format!("Patient/p-{at}") },
        "location": [{ "location": { "reference": format!("Location/l-{at}") } }] });
    if five {
        body["class"] = json!([{ "coding": [{ "code": "AMB" }] }]);
        body["reason"] = json!([{ "value": [{ "concept": { "text": "ill" } }] }]);
        body["diagnosis"] = json!([{ "condition": [{ "reference": ill }] }]);
    } else {
        body["class"] = json!({ "code": "AMB" });
        body["reasonCode"] = json!([{ "text": "ill" }]);
        body["diagnosis"] = json!([{ "condition": ill }]);
    }
    body
}

fn publish(world: &World, preset: &str) {
    govern(world, &json!({ "preset": preset, "reason": "test" }));
}

fn work_at_north(world: &World, role: &str) -> String {
    let role = format!("{role}@Organization/o-north");
    staff(world, &[&role], "system/*.cruds")
}

/// A resource that somebody makes, and who may by which ready policies: all, or in a network alone.
#[test]
fn what_all_go_by_is_written_by_who_administers_the_tenant_and_not_by_who_treats() {
    let (world, all) = clinic("4.0.1");
    let event = json!({ "resourceType": "AuditEvent", "id": "sent", "type": { "code": "rest" },
        "recorded": "2026-01-01T00:00:00Z", "agent": [{ "requestor": true }],
        "source": { "observer": { "display": "app" } },
        "entity": [{ "what": { "reference": "Patient/p-north" } }] });
    put(&world, &all, &event);
    let admin = staff(&world, &["tenant-administrator"], "system/*.cruds");
    let both = ["clinician@Organization/o-north", "tenant-administrator"];
    let both = staff(&world, &both, "system/*.cruds");
    let treating = ["clinician", "nurse"].map(|role| work_at_north(&world, role));
    for preset in PRESETS {
        publish(&world, preset);
        for (of, more) in [
            ("Organization", json!({ "name": "new" })),
            ("Location", json!({ "name": "new" })),
            ("Practitioner", json!({ "name": [{ "family": "new" }] })),
            ("HealthcareService", json!({ "name": "new" })),
            (
                "CodeSystem",
                json!({ "status": "draft", "content": "complete" }),
            ),
        ] {
            let mut body = more.clone();
            body["resourceType"] = json!(of);
            let line = format!("POST {of}");
            for who in [&admin, &both] {
                world.fhir(who, &line, body.to_string()).status(201);
            }
            for who in &treating {
                world
                    .fhir(who, &line, body.to_string())
                    .refused(403, "scope-missing");
            }
        }
        let own = json!({ "resourceType": "SearchParameter", "url": "urn:x", "name": "x",
            "status": "active", "description": "x", "code": "x", "base": ["Patient"],
            "type": "string", "expression": "Patient.name.family" });
        for who in &treating {
            world
                .fhir(who, "POST SearchParameter", own.to_string())
                .refused(403, "scope-missing");
            world
                .fhir(who, "DELETE Location/l-south", "")
                .refused(403, "scope-missing");
            // Nobody who treats edits what programs sent to the trail.
            let put = world.fhir(who, "PUT AuditEvent/sent", event.to_string());
            put.refused(403, "scope-missing");
            world
                .fhir(who, "DELETE AuditEvent/sent", "")
                .refused(403, "scope-missing");
        }
    }
}

#[test]
fn a_front_desk_registers_and_books_at_its_own_facility() {
    for fhir in ["4.0.1", "4.3.0", "5.0.0"] {
        let (world, _) = clinic(fhir);
        let five = fhir == "5.0.0";
        let desk = work_at_north(&world, "front-desk");
        let ward = staff(&world, &["front-desk@Location/l-north"], "system/*.cruds");
        let biller = work_at_north(&world, "biller");
        for preset in PRESETS {
            publish(&world, preset);
            for (who, status) in [(&desk, "busy"), (&ward, "free")] {
                let body = slot("north", status);
                world
                    .fhir(who, "PUT Slot/sl-north", body.to_string())
                    .status(200);
                let body = slot("south", status);
                world
                    .fhir(who, "PUT Slot/sl-south", body.to_string())
                    .refused(404, "not-found");
                for (at, code) in [("north", 201), ("south", 403)] {
                    let to = |of: &str| json!({ "reference": format!("{of}-{at}") });
                    let body = json!({ "resourceType": "Schedule", "actor": [to("Location/l")] });
                    world
                        .fhir(who, "POST Schedule", body.to_string())
                        .status(code);
                    let body =
                        json!({ "resourceType": "RelatedPerson", "patient": to("Patient/p") });
                    world
                        .fhir(who, "POST RelatedPerson", body.to_string())
                        .status(code);
                    let mut body = json!({ "resourceType": "Coverage", "status": "active",
                        "beneficiary": to("Patient/p") });
                    match five {
                        true => body["kind"] = json!("insurance"),
                        false => body["payor"] = json!([to("Patient/p")]),
                    }
                    world
                        .fhir(who, "POST Coverage", body.to_string())
                        .status(code);
                }
            }
            // Who died is told to who writes to them; what somebody has is not.
            let patient = world.fhir(&desk, "GET Patient/p-north", "").status(200);
            assert_eq!(patient.json()["deceasedBoolean"], false);
            let why = if five { "reason" } else { "reasonCode" };
            for (who, shown) in [(&desk, true), (&biller, false)] {
                let seen = world.fhir(who, "GET Encounter/e-north", "").status(200);
                assert!(seen.json()["diagnosis"].is_null(), "{preset}");
                assert_eq!(seen.json()[why].is_array(), shown, "{preset}");
            }
            world
                .fhir(&desk, "GET Condition/c-north", "")
                .refused(403, "scope-missing");
        }
    }
}

#[test]
fn patients_and_auditors_look_up_who_is_who() {
    let (world, _) = clinic("4.0.1");
    publish(&world, "own-facility");
    let admin = administrator(&world, "lakeside");
    let draft = json!({ "login": "pat", "name": "Pat", "roles": ["patient"],
        "fhir_user": "Patient/p-north" });
    let (pat, _) = person(&admin, &draft);
    let pat = approved(&pat);
    world.fhir(&pat, "GET Condition/c-north", "").status(200);
    world.fhir(&pat, "GET Condition/c-south", "").status(404);
    let doctor = world
        .fhir(&pat, "GET Practitioner/dr-south", "")
        .status(200);
    assert!(doctor.json()["name"].is_array() && doctor.json()["telecom"].is_null());
    world.fhir(&pat, "GET Location/l-north", "").status(200);
    world
        .fhir(&pat, "GET Slot", "")
        .refused(403, "scope-missing");
    let auditor = staff(&world, &["auditor"], "system/*.cruds");
    world
        .fhir(&auditor, "GET Practitioner/dr-north", "")
        .status(200);
    world
        .fhir(&auditor, "GET Patient/p-north", "")
        .refused(403, "scope-missing");
}

#[test]
fn an_element_of_another_version_is_hidden_beside_the_one_that_is_meant_here() {
    for (fhir, absent, there) in [
        (
            "4.0.1",
            vec!["Encounter.reason"],
            vec!["Encounter.reasonCode", "Encounter.reasonReference"],
        ),
        (
            "5.0.0",
            vec!["Encounter.reasonCode"],
            vec!["Encounter.reason"],
        ),
    ] {
        let (world, _) = World::clinic_of(fhir);
        let publish = |hide: &[&str]| {
            let grant = json!({ "name": "visits", "who": { "roles": ["biller"] }, "actions": "rs",
                "types": ["Encounter"], "hide": hide });
            let draft = json!({ "document": { "grants": [grant] }, "reason": "test" });
            world.admin("POST /admin/v1/tenants/lakeside/policy", &draft)
        };
        // Alone it would hide nothing, and somebody meant that it does.
        publish(&absent).refused(422, "policy-invalid");
        publish(&[absent, there].concat()).status(201);
    }
}

#[test]
fn a_vendor_is_held_by_what_a_patient_says_of_treating_and_of_running_the_house() {
    let (world, all) = clinic("4.0.1");
    publish(&world, "by-consent");
    let vendor = work_at_north(&world, "vendor-read-only");
    world.fhir(&vendor, "GET Patient/p-north", "").status(200);
    for (code, wanted) in [("HRESCH", 200), ("HOPERAT", 404), ("TREAT", 404)] {
        let purpose = json!([{ "system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": code }]);
        let consent = json!({ "resourceType": "Consent", "status": "active",
            "scope": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/consentscope",
                "code": "patient-privacy" }] },
            "category": [{ "text": "x" }], "patient": { "reference": "Patient/p-north" },
            "policyRule": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
                "code": "OPTIN" }] },
            "provision": { "type": "deny", "purpose": purpose } });
        let made = world.fhir(&all, "POST Consent", consent.to_string());
        let id = made.status(201).text("/id");
        assert_eq!(
            world.fhir(&vendor, "GET Patient/p-north", "").code,
            wanted,
            "{code}"
        );
        let admin = staff(
            &world,
            &["tenant-administrator", "front-desk@Organization/o-north"],
            "system/*.cruds",
        );
        let mut ended = consent.clone();
        ended["id"] = json!(id);
        ended["status"] = json!("inactive");
        let line = format!("PUT Consent/{id}");
        world.fhir(&admin, &line, ended.to_string()).status(200);
    }
}
