//! Tenants that are made of backups: who comes along, as what, and what operators can make there.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::people::{Browser, PASSWORD, administrator, person, two_factors_at};
use super::world::{Answer, World, patient_with_id};

const ANOTHER: &str = "another horse, another battery";

fn clinic() -> World {
    let world = World::new();
    world.tenant("lakeside");
    let who = world.client("lakeside", "system/*.cruds");
    let body = patient_with_id("1", "One");
    world.fhir(&who, "PUT Patient/1", body).status(201);
    world
}

fn publish(world: &World, grants: &Value) {
    let body = json!({ "document": { "grants": grants }, "reason": "test" });
    let path = "POST /admin/v1/tenants/lakeside/policy";
    world.admin(path, &body).status(201);
}

fn administers() -> Value {
    json!({ "name": "administers", "actions": ["administer"], "types": ["*"],
        "who": { "roles": ["tenant-administrator"] } })
}

fn back_up(world: &World) {
    let body = json!({ "file": "l.backup", "reason": "every night" });
    let path = "POST /admin/v1/tenants/lakeside/backup";
    world.admin(path, &body).status(201);
}

fn restore(world: &World, name: &str, more: &Value) -> Answer {
    let mut body = json!({ "file": "l.backup" });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    let path = format!("POST /admin/v1/tenants/{name}/restore");
    world.admin(&path, &body)
}

fn at(browser: &Browser<'_>, line: &str, body: &Value) -> Answer {
    let text = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    browser.ask(line, &[super::world::JSON], &text)
}

#[test]
fn what_was_taken_away_since_stays_away() {
    let world = clinic();
    let admin = administrator(&world, "lakeside");
    let wide = json!({ "name": "nurses", "actions": ["read"], "types": ["*"],
        "who": { "roles": ["nurse"] } });
    publish(&world, &json!([administers(), wide]));
    let named = |login: &str| json!({ "login": login, "name": login, "roles": ["nurse"] });
    let (_, ann) = person(&admin, &named("ann"));
    let (_, bob) = person(&admin, &named("bob"));
    let (cyd, _) = person(&admin, &named("cyd"));
    person(&admin, &named("dan"));
    let (leaked, secret) = world.client_secret("lakeside", "system/Patient.rs");
    back_up(&world);
    let change = |id: &str, patch: &Value| {
        let line = format!("PATCH people/{id}");
        admin.api(&line, patch).status(200);
    };
    change(&ann, &json!({ "disabled": true }));
    change(&bob, &json!({ "roles": [] }));
    let path = "/t/lakeside/auth/account/password";
    let fields = [("old", PASSWORD), ("new", ANOTHER), ("again", ANOTHER)];
    cyd.send(&cyd.account(), path, &fields).status(303);
    publish(&world, &json!([administers()]));
    let config = json!({ "config": { "legal_hold": true } });
    world
        .admin("PATCH /admin/v1/tenants/lakeside", &config)
        .status(200);

    restore(&world, "again", &json!({}))
        .status(201)
        .at("/config/legal_hold", true);
    let signs_in = |login: &str, password: &str| {
        let browser = Browser::new(&world);
        browser.sign_in("again", login, password).code
    };
    assert_eq!(signs_in("ann", PASSWORD), 401);
    assert_eq!(signs_in("cyd", PASSWORD), 401);
    assert_eq!(signs_in("cyd", ANOTHER), 303);
    assert_eq!(signs_in("dan", PASSWORD), 303);
    let root = Browser::new(&world);
    root.sign_in("again", "root@clinic", PASSWORD).status(303);
    let people = at(&root, "GET /t/again/auth/people", &Value::Null).status(200);
    let people = people.json()["people"].clone();
    let of = |login: &str| {
        let all = people.as_array().unwrap();
        all.iter().find(|p| p["login"] == login).unwrap().clone()
    };
    assert_eq!(of("bob")["roles"], json!([]));
    assert_eq!(of("dan")["roles"], json!(["nurse"]));
    assert_eq!(of("ann")["state"], "disabled");
    let policy = "GET /admin/v1/tenants/again/policy";
    world.admin(policy, &Value::Null).at("/version", 2);
    let verify = "POST /admin/v1/tenants/again/verify";
    world.admin(verify, &Value::Null).at("/ok", true);

    // As they were, where that is asked for: but no program that was revoked since, and nobody who was disabled.
    let path = format!("DELETE /admin/v1/tenants/lakeside/clients/{leaked}");
    assert!(world.admin(&path, &Value::Null).code < 300);
    let then = restore(&world, "then", &json!({ "clients": "keep" })).status(201);
    then.at("/clients/kept", 1).at("/clients/revoked", 1);
    let pair = [leaked.as_str(), secret.as_str()].join(":");
    let basic = format!("Basic {}", STANDARD.encode(pair));
    let read = world.fhir(&basic, "GET /t/then/fhir/Patient/1", "");
    read.refused(401, "credentials-invalid");
    let cyd = Browser::new(&world);
    cyd.sign_in("then", "cyd", PASSWORD).status(303);
    let ann = Browser::new(&world);
    ann.sign_in("then", "ann", PASSWORD).status(401);
    let policy = "GET /admin/v1/tenants/then/policy";
    world.admin(policy, &Value::Null).at("/version", 1);
    // Those who administer the tenant are told of what came back.
    let alerts = admin.api("GET alerts", &Value::Null).status(200).json();
    let copies = alerts["items"].as_array().unwrap().iter();
    let copies: Vec<_> = copies.filter(|a| a["rule"] == "operator-copy").collect();
    let seen = |name: &str| {
        let mut seen = copies.iter().filter_map(|a| a["seen"].as_str());
        seen.find(|s| s.starts_with(name)).unwrap().to_owned()
    };
    assert_eq!(
        seen("then"),
        "then, people and policy as they were: no reason was given"
    );
    assert_eq!(seen("again"), "again: no reason was given");

    // Nobody knows of anybody where that tenant is gone.
    let config = json!({ "config": { "legal_hold": false } });
    world
        .admin("PATCH /admin/v1/tenants/lakeside", &config)
        .status(200);
    let path = "DELETE /admin/v1/tenants/lakeside?confirm=lakeside&grace=0";
    world.admin(path, &Value::Null).status(202);
    restore(&world, "late", &json!({ "clients": "keep" })).status(201);
    let ann = Browser::new(&world);
    ann.sign_in("late", "ann", PASSWORD).status(303);
}

#[test]
fn a_copy_is_told_of_and_is_no_way_to_charts() {
    let world = clinic();
    let admin = administrator(&world, "lakeside");
    publish(&world, &json!([administers()]));
    back_up(&world);
    for reason in ["", &"x".repeat(121)] {
        restore(&world, "copy", &json!({ "reason": reason })).refused(400, "request-invalid");
    }
    let made = restore(&world, "copy", &json!({ "reason": "a drill" }));
    made.status(201);
    // Those who administer the tenant are told, and its trail says why.
    let alerts = admin.api("GET alerts", &Value::Null).status(200).json();
    let told = &alerts["items"][0];
    assert_eq!(told["rule"], "operator-copy");
    assert_eq!(told["seen"], "copy: a drill");
    let path = "GET /admin/v1/tenants/lakeside/audit?limit=1000";
    let trail = world.admin(path, &Value::Null).status(200).json();
    assert!(trail.to_string().contains("restore a backup as copy"));

    // What the operator makes there opens nothing.
    let draft = json!({ "name": "Drill", "scopes": ["system/*.rs"], "reason": "a drill" });
    let path = "POST /admin/v1/tenants/copy/clients";
    let client = world.admin(path, &draft).status(201);
    let pair = [client.text("/client_id"), client.text("/client_secret")];
    let basic = {
        use base64::Engine as _;
        let pair = base64::engine::general_purpose::STANDARD.encode(pair.join(":"));
        format!("Basic {pair}")
    };
    let read = || world.fhir(&basic, "GET /t/copy/fhir/Patient/1", "");
    read().refused(401, "credentials-invalid");
    // Neither do they let anybody else in: those of the tenant do.
    let people = "/admin/v1/tenants/copy/people";
    let listed = world.admin(&format!("GET {people}"), &Value::Null).json();
    let root = listed["people"][0]["id"].as_str().unwrap().to_owned();
    let one = format!("DELETE {people}/{root}");
    world.admin(&one, &Value::Null).status(204);
    let draft = json!({ "login": "x", "name": "X", "roles": ["tenant-administrator"] });
    let make = format!("POST {people}");
    world.admin(&make, &draft).refused(409, "tenant-state");
    let again = format!("POST {people}/{root}/invitation");
    world.admin(&again, &json!({})).refused(409, "tenant-state");
    restore(&world, "empty", &json!({ "clients": "revoke" })).status(201);
    let make = "POST /admin/v1/tenants/empty/people";
    world.admin(make, &draft).refused(409, "tenant-state");
    // A copy of a copy is one as well, whoever of them is gone.
    let body = json!({ "file": "c.backup" });
    let path = "POST /admin/v1/tenants/copy/backup";
    world.admin(path, &body).status(201);
    let path = "POST /admin/v1/tenants/further/restore";
    world.admin(path, &body).status(201);
    let path = "DELETE /admin/v1/tenants/copy?confirm=copy&grace=0";
    world.admin(path, &Value::Null).status(202);
    let make = "POST /admin/v1/tenants/further/people";
    world.admin(make, &draft).refused(409, "tenant-state");

    // Somebody who came along keeps what they want.
    restore(&world, "other", &json!({})).status(201);
    let path = "POST /admin/v1/tenants/other/clients";
    let draft = json!({ "name": "Drill", "scopes": ["system/*.rs"], "days": 30 });
    let client = world.admin(path, &draft).status(201);
    let pair = [client.text("/client_id"), client.text("/client_secret")];
    let basic = {
        use base64::Engine as _;
        let pair = base64::engine::general_purpose::STANDARD.encode(pair.join(":"));
        format!("Basic {pair}")
    };
    let read = || world.fhir(&basic, "GET /t/other/fhir/Patient/1", "");
    read().refused(401, "credentials-invalid");
    let root = Browser::new(&world);
    root.sign_in("other", "root@clinic", PASSWORD).status(303);
    let one = client.text("/client_id");
    let line = format!("POST /t/other/auth/clients/{one}");
    let keep = json!({ "decision": "keep" });
    at(&root, &line, &keep).refused(403, "step-up-required");
    two_factors_at(&root, "other");
    at(&root, &line, &keep).status(200);
    read().status(200);
    let body = json!({ "file": "m.backup" });
    let path = "POST /admin/v1/tenants/lakeside/backup";
    world.admin(path, &body).status(201);

    // Where nobody is there who could, the operator begins anew.
    let path = "DELETE /admin/v1/tenants/lakeside?confirm=lakeside&grace=0";
    world.admin(path, &Value::Null).status(202);
    let path = "POST /admin/v1/tenants/lakeside/restore";
    world.admin(path, &body).status(201);
    let draft = json!({ "login": "x", "name": "X", "roles": ["tenant-administrator"] });
    let make = "POST /admin/v1/tenants/lakeside/people";
    world.admin(make, &draft).status(201);
}
