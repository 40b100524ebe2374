//! An operator sets an identity provider at the moment at which the clinic keeps it, or ends it: whichever of
//! them comes first, the clinic keeps what it saw and nothing else, and nothing that somebody decided is lost.

use std::sync::Barrier;

use serde_json::{Value, json};

use super::{Acme, ISSUER, PROVIDERS};
use crate::tests::people::{Browser, administrator, two_factors};
use crate::tests::world::{Answer, World};

/// So often both are asked at the same moment.
const ROUNDS: usize = 24;

fn sets(world: &World, client: &str) -> Answer {
    let draft = json!({ "id": "acme", "name": "Acme Health", "issuer": ISSUER, "client_id": client,
        "just_in_time": false, "reason": "ticket 9" });
    world.admin(&format!("POST {PROVIDERS}"), &draft)
}

fn shown(admin: &Browser<'_>) -> Value {
    let found = admin.api("GET identity-providers", &Value::Null);
    found.status(200).json()["identity_providers"][0].clone()
}

fn decides(admin: &Browser<'_>, decision: &str, seen: &Value) -> Answer {
    let body = json!({ "decision": decision, "at": seen["made"]["at"] });
    admin.api("POST identity-providers/acme", &body)
}

fn is_kept(shown: &Value) -> bool {
    shown["made"]["kept_by"].is_string()
}

/// Asks for both at the same moment; what came of them.
fn at_once(
    world: &World,
    admin: &mut Browser<'_>,
    (decision, seen, client): (&str, &Value, &str),
) -> (Answer, Answer) {
    let both = &Barrier::new(2);
    std::thread::scope(|threads| {
        let decided = threads.spawn(move || {
            both.wait();
            decides(admin, decision, seen)
        });
        both.wait();
        let set = sets(world, client);
        (decided.join().unwrap(), set)
    })
}

fn clinic(acme: &Acme) -> Browser<'_> {
    let admin = administrator(&acme.world, "lakeside");
    two_factors(&admin);
    admin
}

#[test]
fn what_the_clinic_keeps_is_what_it_saw() {
    let acme = Acme::without();
    let mut admin = clinic(&acme);
    for round in 0..ROUNDS {
        let known = format!("known-{round}");
        sets(&acme.world, &known).status(201);
        let seen = shown(&admin);
        assert!(!is_kept(&seen), "{seen}");
        let other = format!("other-{round}");
        let (kept, set) = at_once(&acme.world, &mut admin, ("keep", &seen, &other));
        let now = shown(&admin);
        match (kept.code, set.code) {
            // The clinic kept it, and the operator is told to look again.
            (200, 409) => assert!(is_kept(&now) && now["client_id"] == *known, "{now}"),
            // It was kept and set anew after that, or was another by the time it was to be kept: either way
            // what is there now nobody keeps, and it ends.
            (200 | 409, 201) => {
                assert!(!is_kept(&now) && now["client_id"] == *other, "{now}");
                assert!(now["made"]["until"].is_string(), "{now}");
            }
            other => panic!("{other:?} {now}"),
        }
    }
}

#[test]
fn what_the_clinic_ends_does_not_come_back_by_itself() {
    let acme = Acme::without();
    let mut admin = clinic(&acme);
    for round in 0..ROUNDS {
        sets(&acme.world, &format!("known-{round}")).status(201);
        let seen = shown(&admin);
        let other = format!("other-{round}");
        let (ended, set) = at_once(&acme.world, &mut admin, ("end", &seen, &other));
        assert_eq!(ended.code, 204, "{ended:?}");
        let now = shown(&admin);
        match set.code {
            // It was set anew after the clinic ended it: it lets nobody in before somebody keeps it.
            201 if now.is_object() => {
                assert_eq!(now["client_id"], *other);
                assert_eq!(now["lets_in"], false, "{now}");
            }
            // The clinic ended the other one, or the operator looks again.
            201 | 409 => assert_eq!(now, Value::Null),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn nobody_keeps_what_they_did_not_look_at() {
    let acme = Acme::without();
    let admin = clinic(&acme);
    sets(&acme.world, "known").status(201);
    let seen = shown(&admin);
    sets(&acme.world, "other").status(201);
    decides(&admin, "keep", &seen).refused(409, "tenant-state");
    // Whoever does not say which one they saw keeps none.
    let line = "POST identity-providers/acme";
    for unseen in [
        json!({ "decision": "keep" }),
        json!({ "decision": "keep", "at": null }),
    ] {
        admin.api(line, &unseen).refused(400, "request-invalid");
    }
    assert!(!is_kept(&shown(&admin)));
    let seen = shown(&admin);
    decides(&admin, "keep", &seen).status(200);
    // What it is called is told to nobody anew, and changes nothing of who comes in: it stays the clinic's.
    let now = shown(&admin);
    assert!(is_kept(&now) && now["client_id"] == "other", "{now}");
    sets(&acme.world, "third").status(201);
    assert!(!is_kept(&shown(&admin)));
}
