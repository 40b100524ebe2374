//! API clients that an operator makes: free as long as the tenant has nobody, then with a reason, for a time,
//! and in sight of those who administer the tenant, who keep or end them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::oauth::FORM;
use super::people::{administrator, person, two_factors};
use super::world::{Answer, World, patient_with_id};

const DAY: i64 = 86_400;

fn lakeside() -> World {
    let world = World::new();
    world.tenant("lakeside");
    world
}

fn make(world: &World, more: &Value) -> Answer {
    let mut draft = json!({ "name": "Import", "scopes": ["system/*.cruds"] });
    for (name, value) in more.as_object().unwrap() {
        draft[name] = value.clone();
    }
    world.admin("POST /admin/v1/tenants/lakeside/clients", &draft)
}

/// A client that does not end by itself.
#[track_caller]
fn no_end(answer: Answer) -> Answer {
    assert!(answer.code == 200 || answer.code == 201, "{}", answer.code);
    assert_eq!(answer.json().pointer("/made/until"), None);
    answer
}

fn basic(made: &Answer) -> String {
    let pair = [made.text("/client_id"), made.text("/client_secret")];
    format!("Basic {}", STANDARD.encode(pair.join(":")))
}

fn token(world: &World, made: &Answer) -> Answer {
    let basic = basic(made);
    let headers = [FORM, ("authorization", basic.as_str())];
    let line = "POST /t/lakeside/auth/token";
    world.ask(line, &headers, "grant_type=client_credentials")
}

fn reads(world: &World, who: &str) -> Answer {
    world.fhir(who, "GET Patient/1", "")
}

fn of<'v>(listed: &'v Value, id: &str) -> &'v Value {
    let all = listed["clients"].as_array().unwrap();
    all.iter().find(|c| c["client_id"] == id).unwrap()
}

#[test]
fn what_an_operator_makes_ends_unless_the_clinic_keeps_it() {
    let world = lakeside();
    // Nobody has the tenant yet: whoever sets it up makes what it takes.
    let first = no_end(make(&world, &json!({})));
    let first = first.at("/made/by", "operator");
    let all = basic(&first);
    let body = patient_with_id("1", "One");
    world.fhir(&all, "PUT Patient/1", body).status(201);
    // An invitation alone is nobody.
    let draft = json!({ "login": "x", "name": "X", "roles": ["tenant-administrator"] });
    let path = "/admin/v1/tenants/lakeside/people";
    let invited = world.admin(&format!("POST {path}"), &draft).status(201);
    no_end(make(&world, &json!({})));
    let of_invited = format!("DELETE {path}/{}", invited.text("/id"));
    world.admin(&of_invited, &Value::Null);
    let admin = administrator(&world, "lakeside");

    let grant = json!({ "name": "administers", "actions": ["administer"], "types": ["*"],
        "who": { "roles": ["tenant-administrator"] } });
    let policy = json!({ "document": { "grants": [grant] }, "reason": "test" });
    let path = "POST /admin/v1/tenants/lakeside/policy";
    world.admin(path, &policy).status(201);
    let said = json!({ "reason": "ticket 7: their import hangs" });
    let plain = make(&world, &json!({})).status(201);
    let reasoned = make(&world, &said).status(201);
    let short = make(&world, &json!({ "days": 1 })).status(201);
    for days in [0, 31] {
        make(&world, &json!({ "days": days })).refused(400, "request-invalid");
    }
    make(&world, &json!({ "reason": "" })).refused(400, "request-invalid");
    let listed = admin.api("GET clients", &Value::Null).status(200).json();
    let made = &of(&listed, &reasoned.text("/client_id"))["made"];
    assert_eq!(made["reason"], "ticket 7: their import hangs");
    assert_eq!(made["by"], "operator");
    let made = &of(&listed, &plain.text("/client_id"))["made"];
    assert_eq!(made["reason"], "no reason was given");
    // Those who administer the tenant are told.
    let alerts = admin.api("GET alerts", &Value::Null).status(200).json();
    let alerts = alerts["items"].as_array().unwrap();
    let told: Vec<&Value> = alerts
        .iter()
        .filter(|a| a["rule"] == "operator-client")
        .collect();
    assert_eq!(told.len(), 3);
    let seen = told[1]["seen"].as_str().unwrap();
    assert!(
        seen.contains("system/*.cruds") && seen.contains("ticket 7"),
        "{seen}"
    );
    assert_eq!(told[1]["events"], json!([reasoned.text("/client_id")]));
    let path = "GET /admin/v1/tenants/lakeside/audit?limit=1000";
    let trail = world.admin(path, &Value::Null).status(200);
    let trail = String::from_utf8_lossy(&trail.body).into_owned();
    assert!(trail.contains("with system/*.cruds: ticket 7: their import hangs"));

    // By its own secret, and by tokens, up to its end and not beyond it.
    let (by_plain, by_short) = (basic(&plain), basic(&short));
    reads(&world, &by_plain).status(200);
    reads(&world, &by_short).status(200);
    let bearer = format!(
        "Bearer {}",
        token(&world, &short).status(200).text("/access_token")
    );
    reads(&world, &bearer).status(200);
    world.clock.forward_secs(DAY - 60);
    let last = token(&world, &short).status(200);
    let bearer = format!("Bearer {}", last.text("/access_token"));
    reads(&world, &bearer).status(200);
    world.clock.forward_secs(60);
    reads(&world, &by_short).refused(401, "credentials-invalid");
    assert_eq!(reads(&world, &bearer).code, 401);
    token(&world, &short).status(401);
    reads(&world, &by_plain).status(200);

    // Somebody of the clinic keeps one, having shown two factors; anybody else does not.
    let admin = {
        let again = super::people::Browser::new(&world);
        again
            .sign_in("lakeside", "root@clinic", super::people::PASSWORD)
            .status(303);
        again
    };
    let keep = json!({ "decision": "keep" });
    let of_reasoned = format!("POST clients/{}", reasoned.text("/client_id"));
    admin
        .api(&of_reasoned, &keep)
        .refused(403, "step-up-required");
    two_factors(&admin);
    let (nurse, _) = person(
        &admin,
        &json!({ "login": "n", "name": "N", "roles": ["nurse"] }),
    );
    nurse
        .api("GET clients", &Value::Null)
        .refused(403, "scope-missing");
    nurse.api(&of_reasoned, &keep).refused(403, "scope-missing");
    let kept = no_end(admin.api(&of_reasoned, &keep));
    assert!(kept.text("/made/kept_by").starts_with("person:"));
    let of_short = format!("POST clients/{}", short.text("/client_id"));
    admin.api(&of_short, &keep).refused(404, "client-unknown");
    admin
        .api(&of_reasoned, &json!({ "decision": "perhaps" }))
        .refused(400, "request-invalid");
    world.clock.forward_secs(7 * DAY);
    reads(&world, &by_plain).refused(401, "credentials-invalid");
    reads(&world, &basic(&reasoned)).status(200);
    // What was there before the clinic had anybody goes on, in their sight.
    reads(&world, &all).status(200);
}

#[test]
fn the_clinic_ends_what_an_operator_made() {
    let world = lakeside();
    let made = make(&world, &json!({})).status(201);
    let who = basic(&made);
    world
        .fhir(&who, "PUT Patient/1", patient_with_id("1", "One"))
        .status(201);
    let admin = administrator(&world, "lakeside");
    let bearer = format!("Bearer {}", token(&world, &made).text("/access_token"));
    reads(&world, &bearer).status(200);
    let page = admin.open("/t/lakeside/auth/clients").status(200);
    let html = String::from_utf8_lossy(&page.body).into_owned();
    assert!(html.contains("Made by an operator") && html.contains("no reason was given"));
    let form = format!("/t/lakeside/auth/clients/{}", made.text("/client_id"));
    let fields = [("decision", "end"), ("_form", "x")];
    admin.send(&page, &form, &fields).status(403);
    admin.send(&page, &form, &[("decision", "end")]).status(303);
    for who in [&who, &bearer] {
        reads(&world, who).refused(401, "credentials-invalid");
    }
    let account = admin.account().status(200);
    assert!(String::from_utf8_lossy(&account.body).contains("/auth/clients\""));
}

#[test]
fn what_does_nothing_without_the_clinic_has_no_end() {
    let world = lakeside();
    let admin = administrator(&world, "lakeside");
    // People let it act for them.
    let program = json!({
        "scopes": ["openid", "user/*.rs"], "redirect_uris": ["https://app.example/cb"],
    });
    no_end(make(&world, &program)).at("/made/by", "operator");
    // It does something by itself, too.
    let both = json!({
        "scopes": ["user/*.rs", "system/Patient.r"], "redirect_uris": ["https://app.example/cb"],
    });
    assert!(
        make(&world, &both)
            .status(201)
            .text("/made/until")
            .contains('T')
    );
    // What an operator approves is what an operator makes.
    let invitation = admin_invites(&admin);
    let asks = json!({
        "client_name": "Lab", "grant_types": ["client_credentials"], "scope": "system/Patient.r",
    });
    let headers = [super::world::JSON, ("authorization", invitation.as_str())];
    let line = "POST /t/lakeside/auth/register";
    let asked = world.ask(line, &headers, asks.to_string()).status(201);
    let id = asked.text("/client_id");
    let path = format!("POST /admin/v1/tenants/lakeside/registrations/{id}");
    let approve = json!({ "decision": "approve", "reason": "asked by phone", "days": 2 });
    let made = world.admin(&path, &approve).status(201);
    let made = made.at("/made/reason", "asked by phone");
    assert!(made.text("/made/until").contains('T'));
    token(&world, &asked).status(200);
    world.clock.forward_secs(2 * DAY);
    token(&world, &asked).status(401);
}

fn admin_invites(admin: &super::people::Browser<'_>) -> String {
    two_factors(admin);
    let made = admin
        .api("POST registration-tokens", &json!({}))
        .status(201);

    format!("Bearer {}", made.text("/initial_access_token"))
}

/// What the clinic is told that operators did to who may sign in, the newest first.
fn told(admin: &super::people::Browser<'_>) -> Vec<(String, String)> {
    let alerts = admin.api("GET alerts", &Value::Null).status(200).json();
    let alerts = alerts["items"].as_array().unwrap().iter();
    let own = alerts.filter(|a| a["rule"] == "operator-sign-in");
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    own.map(|a| (text(&a["seen"]), text(&a["actor"]))).collect()
}

#[test]
fn the_clinic_is_told_when_an_operator_changes_who_may_sign_in() {
    let (world, _) = super::elsewhere::Elsewhere::world();
    world.tenant("lakeside");
    let base = "/admin/v1/tenants/lakeside";
    let provider = json!({ "id": "acme", "name": "Acme", "issuer": "https://id.example",
        "client_id": "x", "client_secret": "secret" });
    let set = format!("POST {base}/identity-providers");
    // Nobody is there yet to be told: whoever sets a tenant up does all this.
    let made = world.admin(&set, &provider);
    assert!(made.code < 300, "{made:?}");
    let admin = administrator(&world, "lakeside");
    let grant = json!({ "name": "administers", "actions": ["administer"], "types": ["*"],
        "who": { "roles": ["tenant-administrator"] } });
    let policy = json!({ "document": { "grants": [grant] }, "reason": "test" });
    world
        .admin(&format!("POST {base}/policy"), &policy)
        .status(201);
    assert_eq!(told(&admin), []);
    let said = |what: &str| (what.to_owned(), "operator".to_owned());
    // As it is already: nothing is changed, and nobody is told.
    world.admin(&set, &provider).status(201);
    assert_eq!(told(&admin), []);
    let mut other = provider.clone();
    other["name"] = "Acme Health".into();
    world.admin(&set, &other).status(201);
    let dropped = world.admin(
        &format!("DELETE {base}/identity-providers/acme"),
        &Value::Null,
    );
    assert!(dropped.code < 300, "{dropped:?}");
    let wanted = vec![
        said("drop identity provider acme"),
        said("set identity provider acme"),
    ];
    assert_eq!(told(&admin), wanted);
    // What is refused changes nothing and tells of nothing.
    world
        .admin(
            &format!("DELETE {base}/identity-providers/acme"),
            &Value::Null,
        )
        .status(404);
    let draft = json!({ "login": "x", "name": "X", "roles": ["tenant-administrator"] });
    world
        .admin(&format!("POST {base}/people"), &draft)
        .refused(409, "tenant-state");
    assert_eq!(told(&admin), wanted);
    // What the clinic's own people do, they know.
    let (_, nurse) = person(
        &admin,
        &json!({ "login": "n", "name": "N", "roles": ["nurse"] }),
    );
    admin
        .api(
            &format!("PATCH people/{nurse}"),
            &json!({ "disabled": true }),
        )
        .status(200);
    assert_eq!(told(&admin), wanted);
    // An administrator is replaced: the other one is told all of it.
    let list = world
        .admin(&format!("GET {base}/people"), &Value::Null)
        .json();
    let root = list["people"].as_array().unwrap().iter();
    let mut root = root.filter(|p| p["name"] == "Root");
    let root = root.next().unwrap()["id"].as_str().unwrap().to_owned();
    let disabled = world.admin(&format!("DELETE {base}/people/{root}"), &Value::Null);
    assert!(disabled.code < 300, "{disabled:?}");
    let invited = world
        .admin(&format!("POST {base}/people"), &draft)
        .status(201);
    let other = super::people::Browser::new(&world);
    other.accept(&invited.text("/invitation"));
    let found = told(&other);
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(found[0].0.starts_with("create administrator "));
    assert_eq!(found[1].0, format!("disable person {root}"));
}
