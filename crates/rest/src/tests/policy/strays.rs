//! Whoever writes into a chart reaches the patient whose it is: taking part in it is not enough.

use serde_json::{Value, json};

use super::super::oauth::{FORM, Program, approved, code_fields, request};
use super::super::people::{administrator, person};
use super::{grants, northern, two_facilities};
use engine::form::encode;

fn of(whose: &str, with: &str) -> [(&'static str, Value); 4] {
    let whose = json!({ "reference": format!("Patient/{whose}") });
    let with = json!({ "reference": format!("Patient/{with}") });
    let active = "http://terminology.hl7.org/CodeSystem/condition-clinical";
    let code = json!({ "text": "x" });
    [
        (
            "Observation",
            json!({ "resourceType": "Observation", "status": "final", "code": code,
            "subject": whose, "performer": [with] }),
        ),
        (
            "Condition",
            json!({ "resourceType": "Condition", "code": code, "subject": whose, "asserter": with,
            "clinicalStatus": { "coding": [{ "system": active, "code": "active" }] } }),
        ),
        (
            "AllergyIntolerance",
            json!({ "resourceType": "AllergyIntolerance", "code": code, "patient": whose,
            "recorder": with }),
        ),
        (
            "DocumentReference",
            json!({ "resourceType": "DocumentReference", "status": "current", "subject": whose,
            "author": [with], "content": [{ "attachment": { "title": "x" } }] }),
        ),
    ]
}

#[test]
fn nothing_is_written_into_a_chart_by_naming_somebody_else_in_it() {
    let (world, all) = two_facilities();
    let who = northern(&world, "clinician");
    for (name, body) in of("p-south", "p-north") {
        let line = format!("POST {name}");
        let answer = world.fhir(&who, &line, body.to_string());
        answer.refused(403, "scope-missing");
        // Nor beside a deletion of what is out of reach, which does nothing.
        let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
            { "request": { "method": "DELETE", "url": "Patient/p-south" } },
            { "resource": body, "request": { "method": "POST", "url": name } } ] });
        let answer = world.fhir(&who, "POST ", bundle.to_string());
        answer.refused(403, "scope-missing");
    }
    // Nothing is moved there.
    let (_, mut body) = of("p-south", "p-north")[0].clone();
    body["id"] = json!("b-north");
    world
        .fhir(&who, "PUT Observation/b-north", body.to_string())
        .refused(403, "scope-missing");
    // Others may take part in one's own.
    for (name, body) in of("p-north", "p-south") {
        let made = world.fhir(&who, &format!("POST {name}"), body.to_string());
        made.status(201);
    }
    // What somebody takes part in is read, and neither changed nor deleted by them.
    body["id"] = json!("far");
    world
        .fhir(&all, "PUT Observation/far", body.to_string())
        .status(201);
    world.fhir(&who, "GET Observation/far", "").status(200);
    world
        .fhir(&who, "PUT Observation/far", body.to_string())
        .refused(403, "scope-missing");
    world
        .fhir(&who, "DELETE Observation/far", "")
        .refused(403, "scope-missing");
}

/// What is in the charts of all who take part in it.
#[test]
fn nobody_is_made_to_take_part_by_who_does_not_reach_them() {
    let (world, all) = two_facilities();
    let who = northern(&world, "clinician");
    let of = |patients: &[&str]| {
        let named = |p: &&str| json!({ "reference": format!("Patient/{p}") });
        let actors: Vec<Value> = patients.iter().map(named).collect();
        let taking = actors.iter();
        let taking: Vec<Value> = taking
            .map(|actor| json!({ "actor": actor, "status": "accepted" }))
            .collect();
        let members: Vec<Value> = actors.iter().map(|a| json!({ "entity": a })).collect();
        [
            json!({ "resourceType": "Appointment", "status": "booked", "participant": taking }),
            json!({ "resourceType": "Group", "type": "person", "actual": true, "member": members }),
        ]
    };
    let own = of(&["p-north"]);
    for (at, body) in of(&["p-north", "p-south"]).iter_mut().enumerate() {
        let name = body["resourceType"].as_str().unwrap().to_owned();
        let line = format!("POST {name}");
        world
            .fhir(&who, &line, body.to_string())
            .refused(403, "scope-missing");
        let made = world.fhir(&who, &line, own[at].to_string()).status(201);
        body["id"] = json!(made.text("/id"));
        let line = format!("PUT {name}/{}", made.text("/id"));
        world
            .fhir(&who, &line, body.to_string())
            .refused(403, "scope-missing");
        // What others made of both is read by both.
        body["id"] = json!("both");
        let line = format!("{name}/both");
        world
            .fhir(&all, &format!("PUT {line}"), body.to_string())
            .status(201);
        world.fhir(&who, &format!("GET {line}"), "").status(200);
        world
            .fhir(&who, &format!("DELETE {line}"), "")
            .refused(403, "scope-missing");
    }
}

#[test]
fn a_patients_app_writes_into_their_own_chart_only() {
    let (world, _) = two_facilities();
    let admin = administrator(&world, "lakeside");
    for (name, grant) in [
        (
            "by policy",
            json!({ "name": "own", "who": { "anyone": true }, "actions": "cruds", "types": ["*"],
            "within": "Patient?_id=%patient.id" }),
        ),
        (
            "by scope",
            json!({ "name": "all", "who": { "anyone": true }, "actions": "cruds", "types": ["*"] }),
        ),
    ] {
        grants(&world, &json!([grant]));
        let draft = json!({ "name": name, "public": true,
            "redirect_uris": ["https://app.example/cb?a=1"],
            "scopes": ["openid", "launch/patient", "patient/*.cruds"] });
        let made = world
            .admin("POST /admin/v1/tenants/lakeside/clients", &draft)
            .status(201);
        let app = Program {
            id: made.text("/client_id"),
            secret: None,
        };
        let draft = json!({ "login": name.replace(' ', "-"), "name": "Own", "fhir_user": "Patient/p-north" });
        let (patient, _) = person(&admin, &draft);
        let scope = [("scope", "launch/patient patient/*.cruds")];
        let code = approved(&patient, &request(&app, &scope));
        let fields: Vec<String> = code_fields(&code)
            .iter()
            .chain(&[("client_id", app.id.as_str())])
            .map(|(n, v)| format!("{n}={}", encode(v)))
            .collect();
        let given = world.ask("POST /t/lakeside/auth/token", &[FORM], fields.join("&"));
        let who = format!("Bearer {}", given.status(200).text("/access_token"));
        for (of_type, body) in of("p-south", "p-north") {
            world
                .fhir(&who, &format!("POST {of_type}"), body.to_string())
                .refused(403, "scope-missing");
        }
        for (of_type, body) in of("p-north", "p-north") {
            let made = world.fhir(&who, &format!("POST {of_type}"), body.to_string());
            made.status(201);
        }
    }
}
