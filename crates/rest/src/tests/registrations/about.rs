//! What a program says about itself: kept when it is approved, and shown to those who decide about it.

use serde_json::{Value, json};

use super::{decide, lakeside, program, register, service};
use crate::tests::oauth::{Program, request};
use crate::tests::people::{administrator, two_factors};

#[test]
fn what_a_program_says_about_itself_is_kept_and_shown() {
    let world = lakeside(|_| {});
    let admin = administrator(&world, "lakeside");
    two_factors(&admin);
    let mut said = program();
    let about = json!({
        "contacts": ["dev@app.example"], "client_uri": "https://app.example/",
        "logo_uri": "https://app.example/logo.png", "policy_uri": "https://app.example/policy",
        "tos_uri": "https://app.example/terms", "software_id": "chart", "software_version": "2.1",
    });
    let members = said.as_object_mut().unwrap();
    members.extend(about.as_object().unwrap().clone());
    members.insert(
        "post_logout_redirect_uris".into(),
        json!(["https://app.example/bye"]),
    );
    let made = register(&world, &said).status(201);
    let id = made.text("/client_id");
    let page = admin.open("/t/lakeside/auth/registrations").status(200);
    let html = String::from_utf8_lossy(&page.body).into_owned();
    for (name, value) in about.as_object().unwrap() {
        let text = value.as_str().or(value[0].as_str()).unwrap();
        assert!(html.contains(text), "{name}: {html}");
    }
    assert!(!html.contains("<img"), "its picture is a text");
    let approve = json!({ "decision": "approve" });
    decide(&admin, &id, &approve)
        .status(201)
        .at("/about", about.clone());
    let listed = world.admin("GET /admin/v1/tenants/lakeside/clients", &Value::Null);
    listed.at("/clients/0/about", about.clone()).at(
        "/clients/0/post_logout_redirect_uris/0",
        "https://app.example/bye",
    );
    // The program itself is told, and so is whoever decides whether it acts for them.
    let bearer = format!("Bearer {}", made.text("/registration_access_token"));
    let own = world.ask(
        &format!("GET /t/lakeside/auth/register/{id}"),
        &[("authorization", &bearer)],
        "",
    );
    for (name, value) in about.as_object().unwrap() {
        assert_eq!(own.json()[name], *value, "{name}");
    }
    let app = Program { id, secret: None };
    let question = admin
        .open(&request(&app, &[("scope", "openid")]))
        .status(200);
    let html = String::from_utf8_lossy(&question.body).into_owned();
    for text in [
        "https://app.example/policy",
        "https://app.example/terms",
        "dev@app.example",
    ] {
        assert!(html.contains(text), "{html}");
    }
    assert!(!html.contains("logo.png"));
    // A backend service says as much.
    let mut lab = service();
    lab["contacts"] = json!(["lab@app.example"]);
    lab["policy_uri"] = Value::Null;
    let id = register(&world, &lab).status(201).text("/client_id");
    let approve = json!({ "decision": "approve", "roles": ["lab"] });
    let made = decide(&admin, &id, &approve)
        .status(201)
        .at("/about/contacts/0", "lab@app.example");
    assert!(made.json()["redirect_uris"].is_null());
    for bad in [
        json!({ "post_logout_redirect_uris": ["http://app.example/bye"] }),
        json!({ "post_logout_redirect_uris": ["https://app.example/#x"] }),
        json!({ "client_uri": "javascript:alert(1)" }),
    ] {
        let mut said = program();
        said.as_object_mut()
            .unwrap()
            .extend(bad.as_object().unwrap().clone());
        register(&world, &said).status(400);
    }
}
