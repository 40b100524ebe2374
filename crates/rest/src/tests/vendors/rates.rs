//! Rates: an allowance for each tenant, client, person, vendor and the operator.

use serde_json::json;

use super::super::people::administrator;
use super::super::world::World;
use super::{basic, bearer, client, enabled, furnish, token};

fn slow(limits: impl FnOnce(&mut base::Limits)) -> (World, String) {
    let world = World::with(limits, |_| {});
    world.tenant("lakeside");
    world.tenant("hillside");
    let all = world.client("lakeside", "system/*.cruds");
    (world, all)
}

#[test]
fn a_client_that_is_too_fast_is_told_when_to_come_back_and_nobody_else_feels_it() {
    let (world, first) = slow(|limits| limits.client_requests_per_second_max = 3);
    let second = world.client("lakeside", "system/*.cruds");
    let elsewhere = world.client("hillside", "system/*.cruds");
    let read = |who: &str| world.fhir(who, "GET Patient/p1", "");
    let mut refused = None;
    for _ in 0..30 {
        let answer = read(&first);
        if answer.code == 429 {
            refused = Some(answer);
            break;
        }
        answer.status(404);
    }
    let refused = refused.unwrap().refused(429, "rate-limited");
    let wait: i64 = refused.header_text("retry-after").unwrap().parse().unwrap();
    assert_eq!(wait, 1);
    let told = refused.json();
    assert_eq!(told["resourceType"], "OperationOutcome");
    assert!(
        told.to_string().contains("client_requests_per_second_max"),
        "{told}"
    );
    read(&second).status(404);
    world
        .fhir(&elsewhere, "GET /t/hillside/fhir/Patient/p1", "")
        .status(404);
    // Nobody spends for another: with wrong credentials nothing is used up.
    world.clock.forward_secs(wait);
    for _ in 0..20 {
        let id = first.trim_start_matches("Basic ");
        let wrong = format!("Basic {}x", &id[..id.len() - 1]);
        assert_ne!(world.fhir(&wrong, "GET Patient/p1", "").code, 200);
    }
    read(&first).status(404);
    let metrics = world.admin("GET /metrics", &json!(null));
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(
        metrics.contains("insula_rate_limited_total{limit=\"client_requests_per_second_max\"} 1"),
        "{metrics}"
    );
}

#[test]
fn the_entries_of_a_bundle_count() {
    let (world, _) = slow(|limits| limits.client_requests_per_second_max = 5);
    let who = world.client("lakeside", "system/*.cruds");
    let bundle = |kind: &str, entries: usize| {
        let entry = json!({ "request": { "method": "GET", "url": "Patient/p1" } });
        let bundle =
            json!({ "resourceType": "Bundle", "type": kind, "entry": vec![entry; entries] });
        world.fhir(&who, "POST ", bundle.to_string())
    };
    for kind in ["batch", "transaction"] {
        world.clock.forward_secs(2);
        bundle(kind, 4).status(200);
        bundle(kind, 4).refused(429, "rate-limited");
        // More than there ever is take all of it, and no more.
        world.clock.forward_secs(2);
        assert_ne!(bundle(kind, 50).code, 429, "{kind}");
        world
            .fhir(&who, "GET Patient/p1", "")
            .refused(429, "rate-limited");
        world.clock.forward_secs(1);
        world.fhir(&who, "GET Patient/p1", "").status(404);
    }
}

#[test]
fn what_one_tenant_uses_up_is_its_own() {
    let (world, first) = slow(|limits| limits.tenant_requests_per_second_max = 5);
    let second = world.client("lakeside", "system/*.cruds");
    let elsewhere = world.client("hillside", "system/*.cruds");
    let codes: Vec<u16> = (0..40)
        .map(|_| world.fhir(&first, "GET Patient/p1", "").code)
        .collect();
    assert!(codes.contains(&429), "{codes:?}");
    let refused = (0..10).map(|_| world.fhir(&second, "GET Patient/p1", ""));
    let refused = refused.into_iter().find(|a| a.code == 429).unwrap();
    assert!(
        refused
            .json()
            .to_string()
            .contains("tenant_requests_per_second_max")
    );
    world
        .fhir(&elsewhere, "GET /t/hillside/fhir/Patient/p1", "")
        .status(404);
}

#[test]
fn the_clients_of_a_vendor_share_its_rate() {
    let (world, all) = slow(|_| {});
    furnish(&world, &all);
    enabled(&world, &json!({ "rate": { "per_minute": 6, "burst": 3 } }));
    let (one, other) = (
        basic(&client(&world, "system/*.rs")),
        basic(&client(&world, "system/*.rs")),
    );
    let bearer = bearer(&world, &one);
    world.fhir(&bearer, "GET Patient/p1", "").status(200);
    world.fhir(&other, "GET Patient/p1", "").status(200);
    let refused = world
        .fhir(&one, "GET Patient/p1", "")
        .refused(429, "rate-limited");
    assert!(
        refused
            .json()
            .to_string()
            .contains("vendor_requests_per_minute")
    );
    let wait: i64 = refused.header_text("retry-after").unwrap().parse().unwrap();
    assert!((8..=10).contains(&wait), "{wait}");
    token(&world, &other).status(429);
    world.fhir(&all, "GET Patient/p1", "").status(200);
    world.clock.forward_secs(wait);
    world.fhir(&other, "GET Patient/p1", "").status(200);
    world.fhir(&other, "GET Patient/p1", "").status(429);
}

#[test]
fn people_and_the_operator_have_allowances_of_their_own() {
    let (world, _) = slow(|limits| limits.person_requests_per_second_max = 4);
    let admin = administrator(&world, "lakeside");
    world.clock.forward_secs(2);
    let answers: Vec<_> = (0..40)
        .map(|_| admin.api("GET people", &json!(null)))
        .collect();
    let refused = answers.into_iter().find(|a| a.code == 429).unwrap();
    let refused = refused
        .refused(429, "rate-limited")
        .at("/limit", "person_requests_per_second_max");
    assert_eq!(
        refused.header_text("content-type"),
        Some("application/problem+json")
    );
    assert!(refused.header_text("retry-after").is_some());
    world
        .admin("GET /admin/v1/tenants", &json!(null))
        .status(200);

    let (world, _) = slow(|limits| limits.operator_requests_per_second_max = 20);
    let answers: Vec<_> = (0..200)
        .map(|_| world.admin("GET /admin/v1/tenants", &json!(null)))
        .collect();
    let refused = answers.into_iter().find(|a| a.code == 429).unwrap();
    refused
        .at("/limit", "operator_requests_per_second_max")
        .at("/code", "rate-limited");
}
