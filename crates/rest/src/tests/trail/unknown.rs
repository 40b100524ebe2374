//! Credentials that are good for nobody are told of, and fill no disk.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Trail, subtype};
use crate::tests::oauth::FORM;

const GRANT: &str = "grant_type=client_credentials";

/// The tenant's events of sign-ins that were refused, oldest first.
fn refused(t: &Trail) -> Vec<Value> {
    t.events("outcome=4&type=110114&_count=200&_sort=date")
}

/// The words of an event, without how often.
fn words(event: &Value) -> String {
    let entities = event["entity"].as_array().unwrap().iter();
    let mut names = entities.filter_map(|e| e["name"].as_str());
    names.next().unwrap_or_default().to_owned()
}

#[test]
fn what_names_nobody_is_in_the_trail_of_the_tenant_that_it_was_shown_to() {
    let t = Trail::of("4.0.1");
    t.world.tenant("hillside");
    let (id, secret) = t.world.client_secret("hillside", "system/*.cruds");
    let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let headers = [("authorization", basic.as_str()), FORM];
    let token = t.world.ask("POST /t/hillside/auth/token", &headers, GRANT);
    let foreign = format!("Bearer {}", token.status(200).text("/access_token"));
    let mut forged = foreign.clone();
    forged.truncate(forged.len() - 4);
    forged.push_str("AAAA");
    for who in [foreign.as_str(), &forged, &basic, "Bearer x", "Nonsense"] {
        t.world
            .fhir(who, "GET Patient/p1", "")
            .refused(401, "credentials-invalid");
    }
    let events = refused(&t);
    assert_eq!(events.len(), 5);
    for event in &events {
        assert_eq!(event["outcomeDesc"], "credentials-invalid");
        assert_eq!(subtype(event), "110122");
        assert!(event["agent"][0]["network"]["address"].is_string());
        assert_eq!(event["subtype"][1]["code"], "show-invalid-credentials");
        // Nothing of what was shown is kept.
        assert!(!event.to_string().contains(&id), "{event}");
    }
    // Where tokens are given, too.
    t.world.clock.forward_secs(1_000);
    let asked = t.world.ask("POST /t/lakeside/auth/token", &headers, GRANT);
    asked.status(401);
    let line = "POST /t/lakeside/auth/token";
    let named = format!("{GRANT}&client_id=nobody");
    t.world.ask(line, &[FORM], named).status(401);
    let events = refused(&t).split_off(5);
    assert_eq!(events.len(), 2);
    for event in &events {
        assert_eq!(words(event), "give token to unknown client");
    }
    // Somebody known is named, as before.
    let (own, _) = t.world.client_secret("lakeside", "system/Patient.r");
    let wrong = format!("Basic {}", STANDARD.encode(format!("{own}:x")));
    let headers = [("authorization", wrong.as_str()), FORM];
    t.world.ask(line, &headers, GRANT).status(401);
    let last = refused(&t).pop().unwrap();
    assert!(last["agent"][0].to_string().contains(&own), "{last}");
    // The neighbour's trail says nothing of it.
    let path = "GET /admin/v1/tenants/hillside/audit?limit=100";
    let told = t.world.admin(path, &Value::Null).status(200).json();
    assert!(!told.to_string().contains("credentials-invalid"), "{told}");
}

#[test]
fn very_many_are_told_of_in_few_records_which_say_how_many() {
    let t = Trail::of("4.0.1");
    let from: IpAddr = "192.0.2.9".parse().unwrap();
    for n in 0..55 {
        let guess = format!("Bearer guess{n}");
        let headers = [("authorization", guess.as_str())];
        let answer = t
            .world
            .ask_from(from, "GET /t/lakeside/fhir/Patient/p1", &headers, "");
        answer.refused(401, "credentials-invalid");
    }
    let told: Vec<String> = refused(&t).iter().map(words).collect();
    let one = "show invalid credentials".to_owned();
    let more = |n| format!("{one} {n} times");
    let mut wanted = vec![one.clone(); 5];
    wanted.extend([more(5), more(10), more(20)]);
    assert_eq!(told, wanted);
}
