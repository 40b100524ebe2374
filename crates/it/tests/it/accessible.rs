//! The pages of a tenant for somebody without a pointer, without scripts, or who has them read out.

use serde_json::json;
use testkit::Request;
use testkit::build::{patient_identified, with_id};
use testkit::outside;

use crate::sign_in::{CHROMIUM, PASSWORD, accept, admin, free_port, has_chromium, run};

#[test]
fn the_main_path_needs_no_script_and_no_pointer() {
    if !has_chromium() || outside::client("node/node_modules/axe-core").is_none() {
        return;
    }
    let tenant = crate::world::shared().tenant_with(&json!({ "registration": "anyone" }));
    let owner = tenant.owner();
    owner
        .put(&with_id(patient_identified("Doe", "1"), "p1"))
        .expect(201);
    let clinic = json!({ "resourceType": "Organization", "id": "o1", "name": "Clinic" });
    owner.put(&clinic).expect(201);
    let preset = json!({ "preset": "network-wide", "reason": "test" });
    admin(&tenant, "/policy", &preset);
    let root = json!({ "login": "root", "name": "Root", "roles": ["tenant-administrator"] });
    let made = admin(&tenant, "/people", &root);
    let session = accept(&tenant, made["invitation"].as_str().unwrap());
    let roles = [
        "tenant-administrator",
        "clinician@Organization/o1",
        "auditor",
    ];
    let draft = json!({ "login": "jo@clinic", "name": "Jo", "roles": roles });
    let target = format!("/t/{}/auth/people", tenant.name());
    let request = Request::new("POST", &target)
        .header("Cookie", &session)
        .content("application/json", draft.to_string());
    let made = tenant.world().server().ask(&request).expect(201).json();
    let port = free_port();
    let program = json!({
        "name": "A program", "public": true, "redirect_uris": [format!("http://localhost:{port}/")],
        "scopes": ["openid", "launch/patient", "user/*.rs"],
        "about": { "client_uri": "https://program.example", "contacts": ["help@program.example"] },
    });
    let program = admin(&tenant, "/clients", &program);
    // Something to decide about.
    let waiting = json!({ "client_name": "Another", "redirect_uris": ["https://another.example/cb"],
        "token_endpoint_auth_method": "none", "scope": "openid user/Patient.rs" });
    let target = format!("/t/{}/auth/register", tenant.name());
    let request = Request::new("POST", &target).content("application/json", waiting.to_string());
    tenant.world().server().ask(&request).expect(201);
    let vendor = json!({ "vendor": "acme", "name": "Acme", "reason": "agreed",
        "scopes": ["system/Observation.rs"],
        "contract": { "data": "Findings", "purposes": ["TREAT"], "from": "2026-01-01",
            "until": "2099-01-01", "contact": "privacy@acme.example", "document": "DPA 17" } });
    admin(&tenant, "/vendors", &vendor);
    let base = tenant.url();
    let root = base.strip_suffix("/fhir").unwrap();
    // Where the browser finds the house, whatever name the operator asked it by.
    let invitation = made["invitation"].as_str().unwrap();
    let (_, token) = invitation.split_once("/auth/").unwrap();
    let told = json!({
        "root": root, "invitation": format!("{root}/auth/{token}"),
        "login": "jo@clinic", "password": PASSWORD, "program": program["client_id"], "port": port,
        "pages": [
            "vendors", "registrations", "clients", "identity-providers", "alerts", "alert-rules", "break-glass",
            "access-report", "end-session",
            // For printing.
            "access-report?patient=Patient/p1&format=html",
            "vendors/acme/activity?format=html",
        ],
    });
    run("accessible_judge.cjs", &[CHROMIUM, &told.to_string()]);
}
