//! The operator's work: tenants are made, listed, changed, and stay what they are across restarts.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use testkit::Request;
use testkit::build::{patient, with_id};
use testkit::world::{Caller, link, word};

use crate::world::{own, shared};

#[test]
fn names_are_checked_and_taken_once() {
    let world = shared();
    let make = |name: &str| {
        let draft = json!({"name": name}).to_string();
        let request = Request::new("POST", "/admin/v1/tenants");
        world
            .server()
            .admin(request.content("application/json", draft))
    };
    for name in [
        "",
        "ab",
        "Upper",
        "1st",
        "a b",
        "ä-clinic",
        "admin",
        "fhir",
        "-x-",
        "../../etc",
    ] {
        let answer = make(name).expect(400);
        assert_eq!(answer.codes(), ["tenant-name"], "{name}");
    }
    let made = make("lakeside-dental").expect(201);
    assert_eq!(
        made.header("location"),
        Some("/admin/v1/tenants/lakeside-dental")
    );
    assert_eq!(
        make("lakeside-dental").expect(409).codes(),
        ["tenant-exists"]
    );
}

#[test]
fn the_list_is_complete_page_by_page() {
    let world = own("list", &[]);
    let mut made: Vec<String> = (0..7).map(|_| world.tenant().name().to_owned()).collect();
    made.sort();
    let mut listed = Vec::new();
    let mut after = String::new();
    loop {
        let target = format!("/admin/v1/tenants?limit=3{after}");
        let page = world
            .server()
            .admin(Request::new("GET", &target))
            .expect(200)
            .json();
        let names = page["tenants"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| word(t, "name").to_owned());
        listed.extend(names);
        let Some(next) = page["next"].as_str() else {
            break;
        };
        after = format!("&after={next}");
    }
    assert_eq!(listed, made);
}

#[test]
fn everything_survives_a_restart() {
    let world = own("restart", &[]);
    let (tenant, suspended) = (world.tenant(), world.tenant());
    let (caller, of_suspended) = (tenant.owner().detached(), suspended.owner().detached());
    for number in 0..5 {
        caller
            .put(&with_id(patient("Kept"), &format!("p{number}")))
            .expect(201);
    }
    caller.delete("/Patient/p4").expect(204);
    let page = caller.search("Patient?family=kept&_count=2&_sort=_id");
    let next = link(&page, "next").expect("a second page");
    suspended.admin("POST", "/suspend").expect(200);
    let change = json!({"display": "Another name"}).to_string();
    let target = format!("/admin/v1/tenants/{}", tenant.name());
    let change = Request::new("PATCH", &target).content("application/json", change);
    world.server().admin(change).expect(200);
    let name = tenant.name().to_owned();
    drop((tenant, suspended));

    let (setup, _folder) = std::sync::Arc::into_inner(world)
        .expect("nobody else")
        .stop();
    let server = setup.start();
    let at = |caller: &Caller| Caller {
        address: server.address().to_owned(),
        ..caller.clone()
    };
    let caller = at(&caller);
    // Tokens and cursors given before are good after.
    let mut found = caller.found("Patient?family=kept");
    found.sort();
    assert_eq!(found, ["p0", "p1", "p2", "p3"]);
    caller.get("/Patient/p4").expect(410);
    let second = caller.ask(&caller.follow(&next)).expect(200).json();
    let ids: BTreeSet<&str> = second["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| word(&e["resource"], "id"))
        .collect();
    assert_eq!(ids, BTreeSet::from(["p2", "p3"]));
    at(&of_suspended).get("/Patient").expect(503);
    let shown = server
        .admin(Request::new("GET", &format!("/admin/v1/tenants/{name}")))
        .expect(200);
    assert_eq!(shown.json()["display"], "Another name");
    testkit::world::verify(&server, &name);
    assert!(server.stop().1.success(), "it drains and ends well");
}

#[test]
fn the_key_is_rotated_under_a_running_server() {
    let world = own("rotate", &[]);
    let tenant = world.tenant();
    let caller = tenant.owner().detached();
    caller.put(&with_id(patient("Kept"), "p1")).expect(201);
    let key = || std::fs::read(world.server().data().join("insula.key")).unwrap();
    let before = key();
    let rotated = world
        .server()
        .admin(Request::new("POST", "/admin/v1/key/rotate"));
    assert!((200..300).contains(&rotated.status), "{rotated:?}");
    assert_ne!(before, key());
    caller.get("/Patient/p1").expect(200);
    drop(tenant);
    let (setup, _folder) = std::sync::Arc::into_inner(world)
        .expect("nobody else")
        .stop();
    let server = setup.start();
    Caller {
        address: server.address().to_owned(),
        ..caller
    }
    .get("/Patient/p1")
    .expect(200);
}

#[test]
fn a_backup_comes_back_as_another_tenant() {
    let world = own("backup", &[]);
    let tenant = world.tenant();
    let caller = tenant.owner();
    for number in 0..20 {
        caller
            .put(&with_id(patient("Backed"), &format!("p{number}")))
            .expect(201);
    }
    let server = world.server();
    let ask = |name: &str, what: &str, draft: Value| {
        let request = Request::new("POST", &format!("/admin/v1/tenants/{name}/{what}"));
        server.admin(request.content("application/json", draft.to_string()))
    };
    let made = ask(tenant.name(), "backup", json!({"file": "one.backup"}));
    assert!((200..300).contains(&made.status), "{made:?}");
    caller.delete("/Patient/p1").expect(204);
    let restored = ask("again", "restore", json!({"file": "one.backup"}));
    assert!((200..300).contains(&restored.status), "{restored:?}");
    let (id, secret) = testkit::world::create_client(server, "again", &["system/*.rs"]);
    let token = testkit::world::token(server, "again", &id, &secret);
    let other = Caller::of(server, "again", Some(format!("Bearer {token}")));
    assert_eq!(other.search("Patient?_summary=count")["total"], 20);
    assert_eq!(caller.search("Patient?_summary=count")["total"], 19);
    testkit::world::verify(server, "again");
    // Paths are not names of files.
    for path in ["../x", "/etc/passwd", "a/b", ""] {
        let answer = ask(tenant.name(), "backup", json!({"file": path}));
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
    }
}
