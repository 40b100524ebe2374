//! Vendors at the edge: what a grant leaves of what its clients have, and who switches it.

mod activity;
mod facilities;
mod links;
mod rates;
mod switches;
mod writes;

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::oauth::FORM;
use super::people::{Browser, administrator};
use super::world::{Answer, World, patient_with_id};

/// A clinic with a patient; an all-powerful client of no vendor.
fn clinic() -> (World, String) {
    let (world, all) = World::clinic();
    furnish(&world, &all);
    (world, all)
}

fn furnish(world: &World, all: &str) {
    for id in ["p1", "p2"] {
        let line = format!("PUT Patient/{id}");
        world
            .fhir(all, &line, patient_with_id(id, "Doe"))
            .status(201);
    }
    world
        .fhir(
            all,
            "PUT Observation/o1",
            observation("o1", "p1").to_string(),
        )
        .status(201);
}

fn observation(id: &str, patient: &str) -> Value {
    json!({ "resourceType": "Observation", "id": id, "status": "final",
        "code": { "coding": [{ "system": "urn:c", "code": "seen" }] },
        "subject": { "reference": format!("Patient/{patient}") } })
}

/// Terms with some members changed.
fn terms(change: &Value) -> Value {
    let mut terms = json!({
        "vendor": "acme", "name": "Acme", "reason": "agreed",
        "contract": { "data": "Charts", "purposes": ["TREAT"], "from": "2026-01-01", "until": "2030-01-01",
            "contact": "privacy@acme.example", "document": "DPA 17" },
        "scopes": ["system/*.cruds", "user/*.cruds", "patient/*.cruds"],
    });
    for (name, value) in change.as_object().unwrap() {
        match (terms.get_mut(name), value) {
            (Some(Value::Object(known)), Value::Object(more)) => known.extend(more.clone()),
            _ => terms[name] = value.clone(),
        }
    }
    terms
}

const VENDORS: &str = "/admin/v1/tenants/lakeside/vendors";

/// The operator puts terms forward; their number.
pub(super) fn propose(world: &World, change: &Value) -> u64 {
    let made = world.admin(&format!("POST {VENDORS}"), &terms(change));
    made.status(201).json()["proposal"]["number"]
        .as_u64()
        .unwrap()
}

/// The clinic's own switch.
fn clinic_says(admin: &Browser<'_>, hold: &str, number: Option<u64>) -> Answer {
    let mut body = json!({ "hold": hold, "reason": "test" });
    if let Some(number) = number {
        body["terms"] = json!(number);
    }
    admin.api("POST vendors/acme/switch", &body)
}

fn operator_says(world: &World, hold: &str) -> Answer {
    let body = json!({ "hold": hold, "reason": "test" });
    world.admin(&format!("POST {VENDORS}/acme/switch"), &body)
}

/// A vendor whose grant is enabled; the clinic's administrator.
fn enabled<'w>(world: &'w World, change: &Value) -> Browser<'w> {
    let number = propose(world, change);
    let admin = administrator(world, "lakeside");
    clinic_says(&admin, "enabled", Some(number))
        .status(200)
        .at("/state", "enabled");
    admin
}

/// A client of the vendor: id and secret.
fn client(world: &World, scopes: &str) -> (String, String) {
    let scopes: Vec<&str> = scopes.split(' ').collect();
    let draft = json!({ "name": "of acme", "scopes": scopes, "vendor": "acme" });
    let made = world.admin("POST /admin/v1/tenants/lakeside/clients", &draft);
    let made = made.status(201).at("/vendor", "acme");
    (made.text("/client_id"), made.text("/client_secret"))
}

fn basic((id, secret): &(String, String)) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

fn token(world: &World, basic: &str) -> Answer {
    let headers = [("authorization", basic), FORM];
    let body = "grant_type=client_credentials";
    world.ask("POST /t/lakeside/auth/token", &headers, body)
}

fn bearer(world: &World, basic: &str) -> String {
    let granted = token(world, basic).status(200);
    format!("Bearer {}", granted.text("/access_token"))
}

/// The vendor's own switch, by one of its clients.
fn vendor_says(world: &World, basic: &str, hold: &str) -> Answer {
    let headers = [("authorization", basic), FORM];
    let body = format!("hold={hold}&reason=test");
    world.ask("POST /t/lakeside/auth/vendor", &headers, body)
}

#[test]
fn what_is_no_grant_is_not_taken() {
    let (world, _) = clinic();
    for change in [
        json!({ "vendor": "Acme" }),
        json!({ "name": "" }),
        json!({ "reason": "" }),
        json!({ "contract": { "from": "2031-01-01" } }),
        json!({ "contract": { "from": "soon" } }),
        json!({ "contract": { "types": ["Nothing"] } }),
        json!({ "contract": { "document": "" } }),
        json!({ "facilities": ["Patient/p1"] }),
        json!({ "networks": ["10.0.0.0/33"] }),
        json!({ "certificates": ["abc"] }),
        json!({ "rate": { "per_minute": 0 } }),
        json!({ "unknown": 1 }),
    ] {
        let answer = world.admin(&format!("POST {VENDORS}"), &terms(&change));
        answer.refused(400, "request-invalid");
    }
    for scopes in [json!([]), json!(["openid"]), json!(["system/Nothing.rs"])] {
        let change = json!({ "scopes": scopes });
        let answer = world.admin(&format!("POST {VENDORS}"), &terms(&change));
        answer.refused(400, "scope-invalid");
    }
    let draft = json!({ "name": "x", "scopes": ["system/*.rs"], "vendor": "nobody" });
    world
        .admin("POST /admin/v1/tenants/lakeside/clients", &draft)
        .refused(404, "vendor-unknown");
}

#[test]
fn a_client_has_no_more_than_its_grant() {
    let (world, _) = clinic();
    let admin = enabled(
        &world,
        &json!({ "scopes": ["system/Observation.rs", "system/Patient.r"] }),
    );
    for scopes in [
        "system/*.rs",
        "system/Observation.cruds",
        "system/Patient.rs",
    ] {
        let scopes: Vec<&str> = scopes.split(' ').collect();
        let draft = json!({ "name": "x", "scopes": scopes, "vendor": "acme" });
        world
            .admin("POST /admin/v1/tenants/lakeside/clients", &draft)
            .refused(400, "scope-invalid");
    }
    let who = basic(&client(&world, "system/Observation.rs system/Patient.r"));
    let token = bearer(&world, &who);
    world.fhir(&token, "GET Patient/p1", "").status(200);
    // The clinic takes narrower terms: from the next request on, for the same token.
    let number = propose(&world, &json!({ "scopes": ["system/Observation.r"] }));
    world.fhir(&token, "GET Patient/p1", "").status(200);
    clinic_says(&admin, "enabled", None).refused(412, "version-conflict");
    clinic_says(&admin, "enabled", Some(number)).status(200);
    for who in [&token, &who] {
        world
            .fhir(who, "GET Patient/p1", "")
            .refused(403, "scope-missing");
        world
            .fhir(who, "GET Observation?code=seen", "")
            .refused(403, "scope-missing");
        world.fhir(who, "GET Observation/o1", "").status(200);
    }
    // What is narrowed by a query stays so.
    let narrow = json!({ "scopes": ["system/Patient.rs?_id=p2"] });
    let number = propose(&world, &narrow);
    clinic_says(&admin, "enabled", Some(number)).status(200);
    world.fhir(&who, "GET Patient/p1", "").status(404);
    world.fhir(&who, "GET Patient/p2", "").status(200);
}

#[test]
fn time_network_and_certificate_bound_a_client() {
    let (world, _) = clinic();
    let pin = "ab".repeat(32);
    let change = json!({ "networks": ["10.0.0.0/8"], "certificates": [] });
    propose(&world, &change);
    // Before anybody of the clinic is there, so that it has no end of its own.
    let who = basic(&client(&world, "system/*.rs"));
    let admin = enabled(&world, &change);
    let (inside, outside): (IpAddr, IpAddr) =
        ("10.1.1.1".parse().unwrap(), "192.0.2.1".parse().unwrap());
    let read = |from: IpAddr, certificate: Option<[u8; 32]>, who: &str| {
        let headers = [("authorization", who)];
        world.ask_with(
            from,
            certificate,
            "GET /t/lakeside/fhir/Patient/p1",
            &headers,
            "",
        )
    };
    read(inside, None, &who).status(200);
    read(outside, None, &who).refused(403, "vendor-network");
    let headers = [("authorization", who.as_str()), FORM];
    let grant = "grant_type=client_credentials";
    let line = "POST /t/lakeside/auth/token";
    world
        .ask_from(outside, line, &headers, grant)
        .status(400)
        .at("/error", "unauthorized_client");
    let granted = world.ask_from(inside, line, &headers, grant).status(200);
    let token = format!("Bearer {}", granted.text("/access_token"));
    read(outside, None, &token).refused(403, "vendor-network");

    let number = propose(&world, &json!({ "certificates": [pin] }));
    clinic_says(&admin, "enabled", Some(number)).status(200);
    for (shown, wanted) in [
        (None, 403),
        (Some([0xba; 32]), 403),
        (Some([0xab; 32]), 200),
    ] {
        assert_eq!(read(outside, shown, &who).code, wanted, "{shown:?}");
        assert_eq!(read(outside, shown, &token).code, wanted, "{shown:?}");
    }

    let until = json!({ "contract": { "until": "2026-12-01" } });
    let number = propose(&world, &until);
    clinic_says(&admin, "enabled", Some(number)).status(200);
    let token = bearer(&world, &who);
    read(inside, None, &token).status(200);
    world.clock.forward_secs(30 * 86_400);
    read(inside, None, &who).refused(403, "vendor-ended");
    super::vendors::token(&world, &who)
        .status(400)
        .at("/error", "unauthorized_client");
    let later = json!({ "contract": { "from": "2028-01-01" } });
    let number = propose(&world, &later);
    let admin = {
        let again = Browser::new(&world);
        again
            .sign_in("lakeside", "root@clinic", super::people::PASSWORD)
            .status(303);
        drop(admin);
        again
    };
    clinic_says(&admin, "enabled", Some(number)).status(200);
    read(inside, None, &who).refused(403, "vendor-ended");
}

#[test]
fn a_vendor_of_one_clinic_is_none_in_another() {
    let (world, _) = clinic();
    world.tenant("hillside");
    enabled(&world, &json!({}));
    let who = basic(&client(&world, "system/*.rs"));
    let token = bearer(&world, &who);
    for who in [&who, &token] {
        assert_eq!(
            world.fhir(who, "GET /t/hillside/fhir/Patient", "").code,
            401
        );
    }
    world
        .admin("GET /admin/v1/tenants/hillside/vendors/acme", &Value::Null)
        .refused(404, "vendor-unknown");
    let draft = json!({ "name": "x", "scopes": ["system/*.rs"], "vendor": "acme" });
    world
        .admin("POST /admin/v1/tenants/hillside/clients", &draft)
        .refused(404, "vendor-unknown");
    let headers = [("authorization", who.as_str()), FORM];
    world
        .ask(
            "POST /t/hillside/auth/vendor",
            &headers,
            "hold=disabled&reason=x",
        )
        .status(401);
}
