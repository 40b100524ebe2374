//! Policies at the edge: what one facility's staff reaches of a clinic that has two.

mod agreement;
mod alerts;
mod cases;
mod chosen;
mod consents;
mod diaries;
mod errands;
mod evidence;
pub(super) mod glass;
mod import;
mod masks;
mod moving;
mod opened;
mod own;
mod ready;
mod report;
mod roads;
mod strays;
mod traced;
mod work;
mod writes;

use serde_json::{Value, json};

use super::world::World;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A clinic with two facilities, north and south, each with a patient and that patient's chart; an
/// all-powerful client, and the ready policy for staff of one facility.
fn two_facilities() -> (World, String) {
    let (world, all) = World::clinic();
    fill(&world, &all);
    (world, all)
}

fn fill(world: &World, all: &str) {
    for at in ["north", "south"] {
        let put = |name: &str, body: Value| {
            let line = format!("PUT {}/{name}-{at}", body["resourceType"].as_str().unwrap());
            let mut body = body;
            body["id"] = json!(format!("{name}-{at}"));
            world.fhir(all, &line, body.to_string()).status(201);
        };
        put("o", json!({ "resourceType": "Organization", "name": at }));
        put("p", patient(at));
        put(
            "dr",
            json!({ "resourceType": "Practitioner", "name": [{ "family": at }] }),
        );
        put(
            "e",
            json!({ "resourceType": "Encounter", "status": "finished",
            "class": { "code": "AMB" }, "subject": { "reference": format!("Patient/p-{at}") } }),
        );
        put("b", observation(at, "finding"));
        put(
            "c",
            json!({ "resourceType": "Condition",
            "subject": { "reference": format!("Patient/p-{at}") },
            "code": { "text": format!("ill in the {at}") } }),
        );
        put(
            "l",
            json!({ "resourceType": "List", "status": "current", "mode": "working",
            "subject": { "reference": format!("Patient/p-{at}") },
            "entry": [{ "item": { "reference": format!("Patient/p-{at}") } }] }),
        );
    }
    govern(
        world,
        &json!({ "preset": "own-facility", "reason": "test" }),
    );
}

fn patient(at: &str) -> Value {
    json!({ "resourceType": "Patient", "id": format!("p-{at}"), "active": true,
        "name": [{ "family": format!("Of{at}") }], "birthDate": "1970-01-01",
        "telecom": [{ "system": "phone", "value": format!("555-{at}") }],
        "managingOrganization": { "reference": format!("Organization/o-{at}") } })
}

fn observation(at: &str, code: &str) -> Value {
    json!({ "resourceType": "Observation", "status": "final",
        "code": { "coding": [{ "system": "urn:c", "code": code }], "text": format!("seen in the {at}") },
        "effectiveDateTime": "2026-01-01",
        "subject": { "reference": format!("Patient/p-{at}") },
        "encounter": { "reference": format!("Encounter/e-{at}") } })
}

fn govern(world: &World, draft: &Value) {
    world
        .admin("POST /admin/v1/tenants/lakeside/policy", draft)
        .status(201);
}

/// Puts these grants into force.
fn grants(world: &World, grants: &Value) {
    govern(
        world,
        &json!({ "document": { "grants": grants }, "reason": "test" }),
    );
}

/// The `Authorization` header of a client that policy governs under these roles.
fn staff(world: &World, roles: &[&str], scopes: &str) -> String {
    let scopes: Vec<&str> = scopes.split(' ').collect();
    let draft = json!({ "name": "staff", "scopes": scopes, "roles": roles });
    let made = world
        .admin("POST /admin/v1/tenants/lakeside/clients", &draft)
        .status(201);
    let (id, secret) = (made.text("/client_id"), made.text("/client_secret"));
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

fn northern(world: &World, role: &str) -> String {
    let role = format!("{role}@Organization/o-north");
    staff(world, &[&role], "system/*.cruds")
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}
