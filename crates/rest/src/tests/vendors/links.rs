//! Links to programs, and launches with a patient, an encounter and a facility.

use serde_json::{Value, json};

use super::super::oauth::{FORM, Program, approved, code_fields, request};
use super::super::people::{administrator, person};
use super::super::world::{JSON, ROOT};
use super::{basic, clinic, clinic_says, enabled};
use engine::form::encode;

#[test]
fn a_template_is_filled_with_what_is_open() {
    let (world, all) = clinic();
    let admin = enabled(&world, &json!({}));
    let keep = |draft: &Value| admin.api("POST links", draft);
    let draft = json!({ "link": "viewer", "name": "Viewer", "vendor": "acme",
        "template": "https://view.example/{tenant}/open?p={patient}&e={encounter}&f={facility}&s={iss}" });
    keep(&draft).status(201).at("/values/1", "patient");
    for (change, code) in [
        (
            json!({ "template": "http://view.example/{patient}" }),
            "request-invalid",
        ),
        (
            json!({ "template": "https://{patient}.example/" }),
            "request-invalid",
        ),
        (
            json!({ "template": "https://view.example/{password}" }),
            "request-invalid",
        ),
        (
            json!({ "template": "javascript:alert({patient})" }),
            "request-invalid",
        ),
        (
            json!({ "template": "https://view.example/?l={launch}" }),
            "request-invalid",
        ),
        (json!({ "vendor": "nobody" }), "vendor-unknown"),
        (json!({ "client_id": "nobody" }), "client-unknown"),
    ] {
        let mut draft = draft.clone();
        draft
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        let answer = keep(&draft);
        let status = if code == "request-invalid" { 400 } else { 404 };
        answer.refused(status, code);
    }
    let (ada, _) = person(&admin, &json!({ "login": "ada", "name": "Ada" }));
    ada.api("POST links", &draft).refused(403, "scope-missing");

    let visit = |id: &str, patient: &str| {
        json!({ "resourceType": "Encounter", "id": id, "status": "finished",
        "class": { "code": "AMB" }, "subject": { "reference": format!("Patient/{patient}") } })
    };
    for (id, patient) in [("e1", "p1"), ("e2", "p2")] {
        world
            .fhir(
                &all,
                &format!("PUT Encounter/{id}"),
                visit(id, patient).to_string(),
            )
            .status(201);
    }
    let house = json!({ "resourceType": "Organization", "id": "o1", "name": "House" });
    world
        .fhir(&all, "PUT Organization/o1", house.to_string())
        .status(201);
    let open = |who: &str, change: Value| {
        let mut draft = json!({ "link": "viewer", "patient": "p1", "encounter": "e1", "facility": "Organization/o1" });
        draft
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        let headers = [("authorization", who), JSON];
        world.ask(
            "POST /t/lakeside/auth/launches",
            &headers,
            draft.to_string(),
        )
    };
    let iss = "http%3A%2F%2F127.0.0.1%3A8080%2Ft%2Flakeside%2Ffhir";
    let wanted =
        format!("https://view.example/lakeside/open?p=p1&e=e1&f=Organization%2Fo1&s={iss}");
    let opened = open(&all, json!({})).status(201).at("/url", wanted);
    assert!(opened.json()["launch"].is_null());
    open(&all, json!({ "encounter": "e2" })).refused(400, "request-invalid");
    open(&all, json!({ "facility": "Patient/p1" })).refused(400, "request-invalid");
    open(&all, json!({ "facility": "Organization/none" })).status(404);
    open(&all, json!({ "link": "none" })).refused(404, "link-unknown");
    open(&all, json!({ "client_id": "x" })).refused(400, "request-invalid");
    let narrow = world.client("lakeside", "system/Encounter.r");
    open(&narrow, json!({})).refused(403, "scope-missing");

    let listed = || {
        let headers = [("authorization", narrow.as_str())];
        world
            .ask("GET /t/lakeside/auth/launches", &headers, "")
            .status(200)
            .json()
    };
    assert_eq!(listed()["links"][0]["link"], "viewer");
    // Where it leads is told to whoever keeps links; that there is one, to whoever reads some record.
    assert!(listed()["links"][0]["template"].is_null(), "{}", listed());
    let kept = admin.api("GET links", &Value::Null).status(200).json();
    assert!(kept["links"][0]["template"].is_string(), "{kept}");
    let writes = world.client("lakeside", "system/Observation.c");
    let headers = [("authorization", writes.as_str())];
    let told = world.ask("GET /t/lakeside/auth/launches", &headers, "");
    assert_eq!(told.status(200).json()["links"], json!([]));
    clinic_says(&admin, "disabled", None).status(200);
    open(&all, json!({})).refused(403, "vendor-disabled");
    assert_eq!(listed()["links"], json!([]));
    admin.api("DELETE links/viewer", &Value::Null).status(204);
    admin
        .api("DELETE links/viewer", &Value::Null)
        .refused(404, "link-unknown");
}

#[test]
fn a_launch_brings_patient_encounter_and_facility() {
    let (world, all) = clinic();
    let admin = administrator(&world, "lakeside");
    let grants = json!([{ "name": "own", "who": { "roles": ["clinician"] }, "actions": "cruds", "types": ["*"] }]);
    let draft = json!({ "document": { "grants": grants }, "reason": "test" });
    world
        .admin("POST /admin/v1/tenants/lakeside/policy", &draft)
        .status(201);
    let (browser, _) = person(
        &admin,
        &json!({ "login": "ada", "name": "Ada", "roles": ["clinician"] }),
    );
    let draft = json!({ "name": "App", "redirect_uris": ["https://app.example/cb?a=1"],
        "scopes": ["launch", "user/*.rs"] });
    let made = world
        .admin("POST /admin/v1/tenants/lakeside/clients", &draft)
        .status(201);
    let app = Program {
        id: made.text("/client_id"),
        secret: Some(made.text("/client_secret")),
    };
    let visit = json!({ "resourceType": "Encounter", "id": "e1", "status": "finished", "class": { "code": "AMB" },
        "subject": { "reference": "Patient/p1" } });
    world
        .fhir(&all, "PUT Encounter/e1", visit.to_string())
        .status(201);
    let place = json!({ "resourceType": "Location", "id": "l1", "name": "Ward" });
    world
        .fhir(&all, "PUT Location/l1", place.to_string())
        .status(201);
    let link = json!({ "link": "app", "name": "App", "client_id": app.id,
        "template": "https://app.example/launch?iss={iss}&launch={launch}" });
    admin.api("POST links", &link).status(201);
    let headers = [("authorization", all.as_str()), JSON];
    let draft =
        json!({ "link": "app", "patient": "p1", "encounter": "e1", "facility": "Location/l1" });
    let made = world
        .ask(
            "POST /t/lakeside/auth/launches",
            &headers,
            draft.to_string(),
        )
        .status(201);
    let launch = made.text("/launch");
    let url = made.text("/url");
    assert!(
        url.starts_with("https://app.example/launch?iss=http%3A%2F%2F"),
        "{url}"
    );
    assert!(url.ends_with(&format!("&launch={launch}")), "{url}");
    assert_eq!(made.text("/iss"), format!("{ROOT}/t/lakeside/fhir"));
    let asked = [("launch", launch.as_str()), ("scope", "launch user/*.rs")];
    let code = approved(&browser, &request(&app, &asked));
    let own = basic(&(app.id.clone(), app.secret.clone().unwrap()));
    let fields = code_fields(&code);
    let body: Vec<String> = fields
        .iter()
        .map(|(n, v)| format!("{n}={}", encode(v)))
        .collect();
    let headers = [("authorization", own.as_str()), FORM];
    let granted = world.ask("POST /t/lakeside/auth/token", &headers, body.join("&"));
    granted
        .status(200)
        .at("/patient", "p1")
        .at("/encounter", "e1")
        .at("/fhirContext/0/reference", "Location/l1")
        .at("/fhirContext/0/type", "Location");
}
