//! Charts that are reached by what is one's own in them: it may be changed, and leads nowhere else.

use super::*;
use crate::tests::people::{administrator, person};

#[test]
fn what_alone_leads_to_a_chart_may_be_changed_by_whom_it_leads_there() {
    let (world, all) = two_facilities();
    grants(
        &world,
        &json!([{ "name": "own", "who": { "roles": ["doctor"] }, "actions": "cruds", "types": ["*"],
            "within": "Patient?_has:Encounter:patient:participant=%user.practitioner" }]),
    );
    let own = json!({ "resourceType": "Encounter", "id": "e-own", "status": "in-progress",
        "class": { "code": "AMB" }, "subject": { "reference": "Patient/p-south" },
        "participant": [{ "individual": { "reference": "Practitioner/dr-north" } }] });
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut own = own.clone();
        change(&mut own);
        own.to_string()
    };
    let made = world.fhir(&all, "PUT Encounter/e-own", own.to_string());
    made.status(201);
    let admin = administrator(&world, "lakeside");
    let draft = json!({ "login": "dora", "name": "D", "roles": ["doctor"],
        "fhir_user": "Practitioner/dr-north" });
    let dora = super::glass::approved(&person(&admin, &draft).0);
    let put = |body: String| world.fhir(&dora, "PUT Encounter/e-own", body);
    // One's own visit ends, in each way that there is.
    put(changed(&|e| e["status"] = json!("finished"))).status(200);
    let patch = r#"[{"op":"replace","path":"/status","value":"cancelled"}]"#;
    let headers = [("content-type", "application/json-patch+json")];
    world
        .fhir_with(&dora, "PATCH Encounter/e-own", &headers, patch)
        .status(200);
    let entry = |body: String| {
        let body: Value = serde_json::from_str(&body).unwrap();
        json!({ "resource": body, "request": { "method": "PUT", "url": "Encounter/e-own" } })
    };
    let bundle = |entries: &[Value]| {
        let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries });
        world.fhir(&dora, "POST ", bundle.to_string())
    };
    let noted = entry(changed(&|e| {
        e["length"] = json!({ "value": 7, "unit": "min" });
    }));
    bundle(std::slice::from_ref(&noted)).status(200);
    // To another's chart it does not lead: neither moved there, nor beside another one that is made.
    let moved = changed(&|e| e["subject"]["reference"] = json!("Patient/p-north"));
    put(moved.clone()).refused(403, "own-evidence");
    bundle(&[entry(moved)]).refused(403, "own-evidence");
    let another = changed(&|e| {
        e.as_object_mut().unwrap().remove("id");
        e["subject"]["reference"] = json!("Patient/p-north");
    });
    let made = world.fhir(&dora, "POST Encounter", another.clone());
    made.refused(403, "scope-missing");
    let another: Value = serde_json::from_str(&another).unwrap();
    let another =
        json!({ "resource": another, "request": { "method": "POST", "url": "Encounter" } });
    bundle(&[noted, another]).refused(403, "scope-missing");
    // Who takes themselves out of it would not reach what they write.
    put(changed(&|e| e["participant"] = json!([]))).status(422);
    let other = "Practitioner/dr-south";
    put(changed(&|e| {
        e["participant"][0]["individual"]["reference"] = json!(other);
    }))
    .refused(403, "scope-missing");
    world.fhir(&dora, "GET Patient/p-south", "").status(200);
    world.fhir(&dora, "GET Patient/p-north", "").status(404);
}
