//! What is administered stands in the trail as it ended: done, or refused and why, and never as both.

use serde_json::{Value, json};

use crate::tests::people::{Browser, administrator, person, two_factors};
use crate::tests::vendors::propose;
use crate::tests::world::World;

const TENANT: &str = "/admin/v1/tenants/lakeside";

/// Lines of the trail about something, oldest first: how it ended, and the code.
#[track_caller]
fn lines(world: &World, about: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut after = 0;
    loop {
        let path = format!("GET {TENANT}/audit?limit=1000&after={after}");
        let page = world.admin(&path, &Value::Null).status(200).json();
        for line in page["lines"].as_array().unwrap() {
            let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            if text("about").starts_with(about) {
                found.push((text("outcome"), text("code")));
            }
        }
        match page["next"].as_u64() {
            Some(next) => after = next,
            None => return found,
        }
    }
}

fn done() -> (String, String) {
    ("given".to_owned(), String::new())
}

fn refused(code: &str) -> (String, String) {
    ("refused".to_owned(), code.to_owned())
}

fn clinic(world: &World) -> Browser<'_> {
    world.tenant("lakeside");
    let admin = administrator(world, "lakeside");
    two_factors(&admin);
    admin
}

#[test]
fn people_who_are_not_made_or_changed_were_not() {
    let world = World::new();
    let admin = clinic(&world);
    let draft = json!({ "login": "ada", "name": "Ada" });
    person(&admin, &draft);
    let made = lines(&world, "create person");
    assert_eq!(made, [done()]);
    admin.api("POST people", &draft).refused(409, "login-taken");
    assert_eq!(
        lines(&world, "create person"),
        [done(), refused("login-taken")]
    );
    let nobody = "01234567-89ab-4cde-8f01-23456789abcd";
    for (line, body, about) in [
        (
            format!("PATCH people/{nobody}"),
            json!({ "name": "X" }),
            "change person",
        ),
        (
            format!("POST people/{nobody}/invitation"),
            json!({}),
            "invite person",
        ),
    ] {
        admin.api(&line, &body).refused(404, "person-unknown");
        assert_eq!(lines(&world, about), [refused("person-unknown")], "{about}");
    }
    // An operator's, too.
    let line = format!("DELETE {TENANT}/people/{nobody}");
    world
        .admin(&line, &Value::Null)
        .refused(404, "person-unknown");
    assert_eq!(lines(&world, "disable person"), [refused("person-unknown")]);
    let line = format!("DELETE {TENANT}/identity-providers/none");
    world
        .admin(&line, &Value::Null)
        .refused(404, "provider-unknown");
    let about = "drop identity provider";
    assert_eq!(lines(&world, about), [refused("provider-unknown")]);
}

#[test]
fn policies_and_rules_that_are_not_put_into_force_were_not() {
    let world = World::new();
    let admin = clinic(&world);
    let grant = json!({ "name": "administers", "actions": ["administer"], "types": ["*"],
        "who": { "roles": ["tenant-administrator"] } });
    let mut policy = json!({ "document": { "grants": [grant] }, "reason": "test" });
    let path = format!("POST {TENANT}/policy");
    world.admin(&path, &policy).status(201);
    policy["after"] = json!(7);
    world.admin(&path, &policy).refused(412, "version-conflict");
    let about = "publish policy";
    assert_eq!(lines(&world, about), [done(), refused("version-conflict")]);
    let rules = json!({ "document": { "rules": {} }, "reason": "test", "after": 7 });
    admin
        .api("POST alert-rules", &rules)
        .refused(412, "version-conflict");
    let about = "publish alert rules";
    assert_eq!(lines(&world, about), [refused("version-conflict")]);
    // Alerts of what the operator did: said once, and not twice.
    let id = admin.api("GET alerts", &Value::Null).status(200).json()["items"][0]["number"].clone();
    let id = id.as_u64().expect("an alert");
    let said = json!({ "verdict": "explained", "remark": "we asked for it" });
    let line = format!("POST alerts/{id}");
    assert!(admin.api(&line, &said).code < 300);
    admin.api(&line, &said).refused(409, "alert-state");
    let about = format!("acknowledge alert {id}");
    assert_eq!(lines(&world, &about), [done(), refused("alert-state")]);
}

#[test]
fn clients_and_vendors_that_are_not_changed_were_not() {
    let world = World::new();
    let admin = clinic(&world);
    let draft = json!({ "name": "Import", "scopes": ["system/*.rs"] });
    let made = world
        .admin(&format!("POST {TENANT}/clients"), &draft)
        .status(201);
    let id = made.text("/client_id");
    let end = json!({ "decision": "end" });
    let line = format!("POST clients/{id}");
    assert!(admin.api(&line, &end).code < 300);
    let keep = json!({ "decision": "keep" });
    admin.api(&line, &keep).refused(404, "client-unknown");
    assert_eq!(lines(&world, &format!("revoke client {id}")), [done()]);
    let kept = lines(&world, "keep client");
    assert!(kept.iter().all(|line| line.0 == "refused"), "{kept:?}");

    propose(&world, &json!({}));
    let off = json!({ "hold": "disabled", "reason": "test" });
    let switch = |who: &str| world.admin(&format!("POST {TENANT}/vendors/{who}/switch"), &off);
    switch("acme").status(200);
    switch("nobody").refused(404, "vendor-unknown");
    let about = "switch vendor: nobody: operator switches to disabled";
    assert_eq!(lines(&world, about), [refused("vendor-unknown")]);
    assert_eq!(
        lines(&world, "switch vendor: acme: operator switches"),
        [done()]
    );
    let on = json!({ "hold": "enabled", "reason": "test", "terms": 9 });
    let answer = admin.api("POST vendors/acme/switch", &on);
    assert!(answer.code >= 400);
    let about = "switch vendor: acme: clinic switches to enabled";
    let found = lines(&world, about);
    assert!(found.len() == 1 && found[0].0 == "refused", "{found:?}");
    admin
        .api("DELETE links/none", &Value::Null)
        .refused(404, "link-unknown");
    let about = "remove program link none";
    assert_eq!(lines(&world, about), [refused("link-unknown")]);
    world
        .admin(&format!("GET {TENANT}/vendors/nobody"), &Value::Null)
        .refused(404, "vendor-unknown");
}

#[test]
fn who_signs_in_past_a_limit_was_not_let_in() {
    let world = World::with(|limits| limits.sessions_max = 1, |_| {});
    let admin = clinic(&world);
    let invited = admin
        .api("POST people", &json!({ "login": "ada", "name": "Ada" }))
        .status(201);
    let before = lines(&world, "sign in");
    let other = Browser::new(&world);
    let page = other.open(&invited.text("/invitation")).status(200);
    let path = invited.text("/invitation");
    let path = path.split("://").nth(1).unwrap();
    let path = &path[path.find('/').unwrap()..path.find('?').unwrap()];
    let fields = [
        ("password", crate::tests::people::PASSWORD),
        ("again", crate::tests::people::PASSWORD),
    ];
    let refused_to = other.send(&page, path, &fields);
    assert!(refused_to.code >= 400, "{}", refused_to.code);
    let after = lines(&world, "sign in");
    assert_eq!(after.len(), before.len() + 1, "{after:?}");
    assert_eq!(after.last().unwrap(), &refused("limit-busy"), "{after:?}");
}
