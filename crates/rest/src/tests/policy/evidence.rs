//! What policy takes for evidence: nobody opens a chart to themselves by writing it.

use super::*;
use crate::tests::people::{administrator, person};

/// Two doctors of care teams, one of whom also works at the desk that keeps care teams.
fn teams() -> (World, String) {
    let (world, all) = two_facilities();
    let made = world.admin(
        "POST /admin/v1/tenants/lakeside/policy",
        &json!({ "reason": "test", "document": { "grants": [
            { "name": "charts", "who": { "roles": ["doctor"] }, "actions": "cruds", "types": ["*"],
              "within": "Patient?_has:CareTeam:patient:participant=%user.practitioner" },
            { "name": "desk", "who": { "roles": ["desk"] }, "actions": "cruds", "types": ["CareTeam"],
              "within": "Patient?organization=%user.facilities" },
            { "name": "desk patients", "who": { "roles": ["desk"] }, "actions": "rs", "types": ["Patient"],
              "criteria": "organization=%user.facilities", "hide": ["telecom"] },
            { "name": "head", "who": { "roles": ["head"] }, "actions": ["administer"], "types": ["*"] },
        ] } }),
    );
    let made = made.status(201).json();
    let warnings = made["warnings"].to_string();
    assert!(warnings.contains("CareTeam is evidence for"), "{warnings}");
    (world, all)
}

fn team(members: &[&str], patient: &str) -> String {
    let members: Vec<Value> = members
        .iter()
        .map(|id| json!({ "member": { "reference": format!("Practitioner/{id}") } }))
        .collect();
    json!({ "resourceType": "CareTeam", "id": "t", "status": "active",
        "subject": { "reference": format!("Patient/{patient}") }, "participant": members })
    .to_string()
}

#[test]
fn nobody_opens_a_chart_to_themselves_by_writing_that_they_care_for_the_patient() {
    let (world, all) = teams();
    let admin = administrator(&world, "lakeside");
    let token = |login: &str, roles: &[&str]| {
        let draft = json!({ "login": login, "name": login, "roles": roles,
            "fhir_user": "Practitioner/dr-north" });
        super::glass::approved(&person(&admin, &draft).0)
    };
    let both = token("both", &["doctor", "desk@Organization/o-north"]);
    world
        .fhir(&both, "GET Observation/b-north", "")
        .refused(404, "not-found");
    // Made with oneself in it, in one request or over two; by another way than a PUT.
    world
        .fhir(&both, "POST CareTeam", team(&["dr-north"], "p-north"))
        .refused(403, "own-evidence");
    let made = world
        .fhir(&both, "POST CareTeam", team(&["dr-south"], "p-north"))
        .status(201);
    let id = made.text("/id");
    let mut grown: Value =
        serde_json::from_str(&team(&["dr-south", "dr-north"], "p-north")).unwrap();
    grown["id"] = json!(id);
    world
        .fhir(&both, &format!("PUT CareTeam/{id}"), grown.to_string())
        .refused(403, "own-evidence");
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [{
        "resource": grown, "request": { "method": "PUT", "url": format!("CareTeam/{id}") } }] });
    world
        .fhir(&both, "POST ", bundle.to_string())
        .refused(403, "own-evidence");
    world
        .fhir(&both, "GET Observation/b-north", "")
        .refused(404, "not-found");
    // For others it may be written, and whoever is in it by another hand works with it.
    world
        .fhir(&all, &format!("PUT CareTeam/{id}"), grown.to_string())
        .status(200);
    world.fhir(&both, "GET Observation/b-north", "").status(200);
    grown["name"] = json!("named");
    world
        .fhir(&both, &format!("PUT CareTeam/{id}"), grown.to_string())
        .status(200);
    // Moved to another patient it would open that one.
    let mut moved = grown.clone();
    moved["subject"]["reference"] = json!("Patient/p-south");
    let refused = world.fhir(&both, &format!("PUT CareTeam/{id}"), moved.to_string());
    assert_eq!(refused.code, 403);
    world
        .fhir(&both, "GET Observation/b-south", "")
        .refused(404, "not-found");
    // Who administers may.
    let head = token("head", &["doctor", "desk@Organization/o-south", "head"]);
    world
        .fhir(&head, "POST CareTeam", team(&["dr-north"], "p-south"))
        .status(201);
}

#[test]
fn taking_evidence_away_that_refuses_opens_nothing_to_whoever_does_it() {
    let (world, all) = two_facilities();
    grants(
        &world,
        &json!([
            { "name": "all", "who": { "roles": ["doctor"] }, "actions": "cruds", "types": ["*"] },
            { "name": "not those", "effect": "deny", "who": { "roles": ["doctor"] }, "actions": "rs",
              "types": ["Patient", "Observation"], "within": "Patient?_has:Flag:patient:_tag=vip" },
        ]),
    );
    let flag = json!({ "resourceType": "Flag", "id": "f", "status": "active",
        "meta": { "tag": [{ "system": "urn:t", "code": "vip" }] }, "code": { "text": "VIP" },
        "subject": { "reference": "Patient/p-south" } });
    world.fhir(&all, "PUT Flag/f", flag.to_string()).status(201);
    let doctor = northern(&world, "doctor");
    world
        .fhir(&doctor, "GET Patient/p-south", "")
        .refused(404, "not-found");
    world
        .fhir(&doctor, "DELETE Flag/f", "")
        .refused(403, "own-evidence");
    let mut off = flag.clone();
    off["meta"]["tag"][0]["code"] = json!("none");
    world
        .fhir(&doctor, "PUT Flag/f", off.to_string())
        .refused(403, "own-evidence");
    world.fhir(&all, "DELETE Flag/f", "").status(204);
    world.fhir(&doctor, "GET Patient/p-south", "").status(200);
}
