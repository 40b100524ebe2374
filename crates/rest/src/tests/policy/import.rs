//! Policies of other platforms, and decisions about people, at the edge.

use super::*;
use crate::tests::people::{administrator, person};

const IMPORT: &str = "/admin/v1/tenants/lakeside/policy/import";

#[test]
fn an_imported_draft_is_tried_published_and_holds() {
    let (world, all) = two_facilities();
    let aidbox = json!({ "resourceType": "AccessPolicy", "id": "desk", "engine": "matcho",
        "roleName": "desk",
        "matcho": { "request-method": "get", "uri": "#^/fhir/Patient(/.*)?$" } });
    let narrowed = json!({ "resourceType": "AccessPolicy", "id": "by-header", "engine": "matcho",
        "matcho": { "headers": { "x-app": "desk" } } });
    let asked = json!({ "from": "aidbox", "documents": [[aidbox, narrowed]] });
    let made = world.admin(&format!("POST {IMPORT}"), &asked).status(200);
    let made = made.json();
    assert_eq!(
        made["document"]["grants"].as_array().unwrap().len(),
        1,
        "{made:#}"
    );
    let refused = made["report"].as_array().unwrap().iter();
    let refused = refused
        .filter(|l| l["outcome"] == "refused")
        .collect::<Vec<_>>();
    assert_eq!(refused[0]["pointer"], "/matcho/headers/x-app");
    assert_eq!(refused[0]["document"], "by-header");
    // Nothing is in force by that.
    let who = staff(&world, &["desk"], "system/*.cruds");
    world
        .fhir(&who, "GET Patient/p-north", "")
        .refused(403, "scope-missing");
    govern(
        &world,
        &json!({ "document": made["document"], "reason": "moved house" }),
    );
    world.fhir(&who, "GET Patient/p-north", "").status(200);
    world
        .fhir(&who, "GET Observation/b-north", "")
        .refused(403, "scope-missing");
    world
        .fhir(&who, "DELETE Patient/p-north", "")
        .refused(403, "scope-missing");
    // Over FHIR by whom policy lets administer; nobody else.
    world
        .fhir(&all, "POST $policy-import", "")
        .refused(403, "scope-missing");
    govern(
        &world,
        &json!({ "preset": "own-facility", "reason": "back" }),
    );
    let admin = staff(&world, &["tenant-administrator"], "system/*.cruds");
    let medplum = json!({ "resourceType": "AccessPolicy", "name": "Readers",
        "resource": [{ "resourceType": "Patient", "criteria": "Patient?organization=%site", "readonly": true }] });
    let asked = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "from", "valueCode": "medplum" },
        { "name": "given-to", "valueString": "reader" },
        { "name": "names", "valueString": json!({ "%site": "%user.facilities" }).to_string() },
        { "name": "source", "valueString": medplum.to_string() } ] });
    let told = world
        .fhir(&admin, "POST $policy-import", asked.to_string())
        .status(200)
        .json();
    let document = told["parameter"].as_array().unwrap().iter();
    let document = document
        .filter(|p| p["name"] == "document")
        .collect::<Vec<_>>();
    let document: Value =
        serde_json::from_str(document[0]["valueString"].as_str().unwrap()).unwrap();
    assert_eq!(
        document["grants"][0]["criteria"],
        "organization=%user.facilities"
    );
    assert_eq!(document["grants"][0]["who"]["roles"], json!(["reader"]));
}

#[test]
fn a_decision_about_a_person_is_explained_and_their_past_is_tried_on_a_draft() {
    let (world, _) = two_facilities();
    let admin = administrator(&world, "lakeside");
    let draft =
        json!({ "login": "nora", "name": "Nora", "roles": ["clinician@Organization/o-north"] });
    let (nora, id) = person(&admin, &draft);
    let test = "POST /admin/v1/tenants/lakeside/policy/test";
    for name in [id.as_str(), "nora"] {
        let asked = json!({ "person": name, "action": "read", "type": "Patient" });
        let told = world.admin(test, &asked).status(200).json();
        assert_eq!(told["allowed"], true, "{told:#}");
        assert_eq!(told["signs_in"], true);
        let said = |grant: &str| {
            let mut steps = told["steps"].as_array().unwrap().iter();
            steps.find(|s| s["grant"] == grant).unwrap()["says"].clone()
        };
        assert_eq!(said("clinician: charts"), "gives-some");
        assert_eq!(said("lab: patients"), "not-about-them");
    }
    let nobody = json!({ "person": "noone", "action": "read", "type": "Patient" });
    world
        .admin(test, &nobody)
        .status(404)
        .at("/code", "person-unknown");
    let both = json!({ "person": "nora", "roles": ["lab"], "action": "read", "type": "Patient" });
    world.admin(test, &both).status(400);
    // What she did is tried on a draft.
    let bearer = super::glass::approved(&nora);
    world.fhir(&bearer, "GET Patient/p-north", "").status(200);
    let trial = json!({ "document": { "grants": [
        { "name": "desk", "who": { "roles": ["front-desk"] }, "actions": "rs", "types": ["Patient"] } ] } });
    let run = world
        .admin("POST /admin/v1/tenants/lakeside/policy/dry-run", &trial)
        .status(200)
        .json();
    let mut shifts = run["shifts"].as_array().unwrap().iter();
    assert!(
        shifts.any(|s| s["roles"] == "clinician@Organization/o-north"
            && s["action"] == "read"
            && s["type"] == "Patient"
            && s["now"] == "some"
            && s["then"] == "nothing"),
        "{run:#}"
    );
    // Whoever may not sign in does nothing.
    let path = format!("PATCH people/{id}");
    admin.api(&path, &json!({ "disabled": true })).status(200);
    let asked = json!({ "person": "nora", "action": "read", "type": "Patient" });
    let told = world.admin(test, &asked).status(200).json();
    assert_eq!(
        (&told["allowed"], &told["signs_in"]),
        (&json!(false), &json!(false)),
        "{told:#}"
    );
}
