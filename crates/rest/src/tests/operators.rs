//! What operators do, as others see it: under whose name it stands, what they are warned of, and how refusals
//! are told.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::people::{Browser, administrator, person};
use super::world::World;

const LAKESIDE: &str = "/admin/v1/tenants/lakeside";

fn actors(world: &World, about: &str) -> Vec<String> {
    let path = format!("GET {LAKESIDE}/audit?limit=1000");
    let trail = world.admin(&path, &Value::Null).status(200).json();
    let lines = trail["lines"].as_array().unwrap().iter();
    let some = lines.filter(|line| line["about"].as_str().is_some_and(|a| a.starts_with(about)));
    some.map(|line| line["actor"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn what_operators_do_stands_under_their_names() {
    let world = World::new();
    world.tenant("lakeside");
    let draft = json!({ "name": "Lab", "scopes": ["system/*.rs"] });
    let clients = format!("POST {LAKESIDE}/clients");
    world.admin(&clients, &draft).status(201);
    world
        .admin(&format!("POST {LAKESIDE}/verify"), &Value::Null)
        .status(200);
    assert_eq!(actors(&world, "verify"), ["operator"]);
    assert!(!actors(&world, "create").is_empty());
    assert!(
        actors(&world, "create")
            .iter()
            .all(|actor| actor == "operator")
    );

    let folder = world.dir.join("operators");
    std::fs::create_dir(&folder).unwrap();
    let token = "0123456789abcdef0123456789abcdef";
    let file = folder.join("ann.token");
    std::fs::write(&file, token).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let bearer = format!("Bearer {token}");
    let ann = [("authorization", bearer.as_str())];
    world
        .ask(&format!("POST {LAKESIDE}/signing-keys"), &ann, "")
        .status(201);
    assert_eq!(actors(&world, "add signing key"), ["operator:ann"]);
    // The clinic's own trail says so too, as an AuditEvent.
    let auditor = world.client("lakeside", "system/AuditEvent.rs");
    let path = "GET AuditEvent?agent-name=operator:ann";
    let found = world.fhir(&auditor, path, "").status(200);
    found.at("/entry/0/resource/agent/0/name", "operator:ann");
    std::fs::remove_file(file).unwrap();
    world
        .ask(&format!("GET {LAKESIDE}"), &ann, "")
        .refused(401, "credentials-invalid");
}

#[test]
fn roles_that_nothing_is_said_about_are_told() {
    let world = World::new();
    world.tenant("lakeside");
    let draft = |role: &str| json!({ "name": "x", "scopes": ["system/*.rs"], "roles": [role] });
    let clients = format!("POST {LAKESIDE}/clients");
    let grant =
        json!({ "name": "a", "who": { "roles": ["clinician"] }, "actions": "r", "types": ["*"] });
    let policy = json!({ "document": { "grants": [grant] }, "reason": "test" });
    world
        .admin(&format!("POST {LAKESIDE}/policy"), &policy)
        .status(201);
    let made = world.admin(&clients, &draft("nobody")).status(201);
    assert!(made.text("/warnings/0").contains("nobody"));
    let made = world.admin(&clients, &draft("clinician@Organization/1"));
    assert!(made.status(201).json()["warnings"].is_null());
    let admin = administrator(&world, "lakeside");
    let ada = json!({ "login": "ada", "name": "Ada", "roles": ["nobody"] });
    let invited = admin.api("POST people", &ada).status(201);
    assert!(invited.text("/warnings/0").contains("nobody"));
}

#[test]
fn a_name_under_a_domain_is_that_of_a_host() {
    let plain = World::new();
    let draft = json!({ "name": "lakeside-" });
    plain.admin("POST /admin/v1/tenants", &draft).status(201);
    let world = World::with(
        |_| {},
        |config| config.domain = Some("insula.example".into()),
    );
    world
        .admin("POST /admin/v1/tenants", &draft)
        .refused(400, "tenant-name");
}

#[test]
fn a_restored_tenant_is_made_when_it_is_restored() {
    let world = World::new();
    world.tenant("lakeside");
    let file = json!({ "file": "one.backup" });
    world
        .admin(&format!("POST {LAKESIDE}/backup"), &file)
        .status(201);
    world.clock.forward_secs(3_600);
    let made = |name: &str, draft: &Value| {
        let line = format!("POST /admin/v1/tenants/{name}/restore");
        world.admin(&line, draft).status(201)
    };
    let copy = made("copy", &file);
    let source = world.admin(&format!("GET {LAKESIDE}"), &Value::Null);
    assert!(copy.text("/created") > source.text("/created"));
    let named = json!({ "file": "one.backup", "display": "Lakeside, as it was" });
    made("other", &named).at("/display", "Lakeside, as it was");
    world
        .admin("GET /admin/v1/tenants/other", &Value::Null)
        .at("/display", "Lakeside, as it was");
}

/// Why somebody is refused is what they are told.
#[test]
fn refusals_say_what_is_missing() {
    let world = World::new();
    world.tenant("lakeside");
    let admin = administrator(&world, "lakeside");
    let draft = json!({ "login": "ada", "name": "Ada", "roles": ["clinician"] });
    let (ada, _) = person(&admin, &draft);
    let refused = ada
        .api("GET people", &Value::Null)
        .refused(403, "scope-missing");
    assert!(refused.text("/detail").contains("tenant-administrator"));
    let reader = world.client("lakeside", "system/Patient.rs");
    let refused = world
        .fhir(&reader, "GET Observation", "")
        .refused(403, "scope-missing");
    let text = refused.text("/issue/0/diagnostics");
    assert!(
        text.contains("its scopes") && text.contains("search"),
        "{text}"
    );
    let refused = world.fhir(&reader, "POST Patient/1/$break-glass?reason=x", "");
    let text = refused
        .refused(403, "scope-missing")
        .text("/issue/0/diagnostics");
    assert!(text.contains("emergency"), "{text}");
}

#[test]
fn a_sign_in_page_says_when_to_try_again() {
    let world = World::with(
        |limits| {
            limits.wrong_passwords_max = 1;
            limits.sign_in_delay_ms_max = 0;
        },
        |_| {},
    );
    world.tenant("lakeside");
    let admin = administrator(&world, "lakeside");
    person(&admin, &json!({ "login": "ada", "name": "Ada" }));
    let guesser = Browser::new(&world);
    guesser.sign_in("lakeside", "ada", "wrong").status(401);
    let held = guesser.sign_in("lakeside", "ada", "wrong").status(429);
    let seconds: u32 = held.header_text("retry-after").unwrap().parse().unwrap();
    assert!(seconds > 0);
}

/// Who says nothing says nothing in a wrong format.
#[test]
fn a_vendor_that_sends_nothing_is_asked_who_it_is() {
    let world = World::new();
    world.tenant("lakeside");
    for to in ["vendor", "token"] {
        let line = format!("POST /t/lakeside/auth/{to}");
        let code = world.ask(&line, &[], "").code;
        assert!(matches!(code, 400 | 401), "{to}: {code}");
        world
            .ask(&line, &[("content-type", "text/plain")], "x")
            .refused(415, "media-type");
    }
}
