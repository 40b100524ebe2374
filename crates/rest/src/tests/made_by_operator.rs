//! API clients that an operator makes: free as long as the tenant has nobody, then with a reason, for a time,
//! and in sight of those who administer the tenant, who keep or end them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::oauth::FORM;
use super::people::{administrator, person, two_factors};
use super::world::{Answer, World, patient_with_id};

const DAY: i64 = 86_400;

/// Puts a policy into force by which these roles administer Lakeside.
fn governed_by(world: &World, roles: &[&str]) {
    let grant = json!({ "name": "administers", "actions": ["administer"], "types": ["*"],
        "who": { "roles": roles } });
    let policy = json!({ "document": { "grants": [grant] }, "reason": "test" });
    let path = "POST /admin/v1/tenants/lakeside/policy";
    world.admin(path, &policy).status(201);
}

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

    governed_by(&world, &["tenant-administrator"]);
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
    world.clock.forward_secs(3 * DAY);
    other.accept(&invited.text("/invitation"));
    let found = told(&other);
    assert_eq!(found.len(), 5, "{found:?}");
    assert_eq!(found[0].0, "accept invitation of an operator");
    assert!(found[1].0.starts_with("create administrator "));
    assert_eq!(found[2].0, format!("disable person {root}"));
}

/// The id of somebody of the clinic, by their name.
fn id_of(world: &World, name: &str) -> String {
    let path = "GET /admin/v1/tenants/lakeside/people";
    let list = world.admin(path, &Value::Null).status(200).json();
    let mut all = list["people"].as_array().unwrap().iter();
    let one = all.find(|p| p["name"] == name).unwrap();
    one["id"].as_str().unwrap().to_owned()
}

/// An operator disables somebody; the road to them.
fn disables(world: &World, id: &str) -> String {
    let path = format!("/admin/v1/tenants/lakeside/people/{id}");
    world
        .admin(&format!("DELETE {path}"), &Value::Null)
        .status(204);
    path
}

#[test]
fn who_is_invited_anew_was_there_before() {
    let world = lakeside();
    let root = administrator(&world, "lakeside");
    let id = id_of(&world, "Root");
    let more = json!({ "roles": ["tenant-administrator", "clinician"], "groups": ["night"],
        "fhir_user": "Practitioner/7" });
    root.api(&format!("PATCH people/{id}"), &more).status(200);
    // The only one of the clinic is invited anew: it had somebody all the same, who is told.
    let path = disables(&world, &id);
    let again = world
        .admin(&format!("POST {path}/invitation"), &Value::Null)
        .status(201);
    // Whoever comes by it administers, and treats nobody in the name of who was there.
    let now = again.json();
    assert_eq!(now["roles"], json!(["tenant-administrator"]));
    assert_eq!(
        (&now["groups"], &now["fhir_user"]),
        (&json!([]), &Value::Null)
    );
    let made = make(&world, &json!({})).status(201);
    assert!(made.text("/made/until").contains('T'), "{made:?}");
    world.clock.forward_secs(3 * DAY);
    let admin = super::people::Browser::new(&world);
    admin.accept(&again.text("/invitation"));
    governed_by(&world, &["tenant-administrator"]);
    let alerts = admin.api("GET alerts", &Value::Null).status(200).json();
    let mut alerts = alerts["items"].as_array().unwrap().iter();
    let id = json!([made.text("/client_id")]);
    assert!(alerts.any(|a| a["rule"] == "operator-client" && a["events"] == id));
}

#[test]
fn whom_an_operator_invites_in_place_of_the_clinics_own_waits_in_its_sight() {
    let world = lakeside();
    let root = administrator(&world, "lakeside");
    governed_by(&world, &["tenant-administrator", "office"]);
    let somebody = |login: &str, role: &str, user: &str| {
        let draft = json!({ "login": login, "name": login, "roles": [role], "fhir_user": user });
        person(&root, &draft).0
    };
    let nurse = somebody("n", "nurse", "Practitioner/1");
    let patient = somebody("p", "patient", "Patient/1");
    let office = somebody("o", "office", "");
    // Who is a patient there is not the operator's to know.
    let list = "GET /admin/v1/tenants/lakeside/people";
    let list = world.admin(list, &Value::Null).status(200).json();
    let logins = list["people"].as_array().unwrap().iter();
    let logins: Vec<&str> = logins.map(|p| p["login"].as_str().unwrap()).collect();
    assert_eq!(logins, ["n", "o", "root@clinic"]);
    let html = |answer: Answer| String::from_utf8_lossy(&answer.body).into_owned();
    let told_on_page = |who: &super::people::Browser<'_>| {
        let page = html(who.account().status(200));
        page.contains("An operator of the house invited mallory to administer this clinic")
    };
    assert!(!told_on_page(&nurse));
    disables(&world, &id_of(&world, "Root"));
    let people = "POST /admin/v1/tenants/lakeside/people";
    let draft = json!({ "login": "mallory", "name": "Mallory", "roles": ["tenant-administrator"] });
    let invited = world.admin(people, &draft).status(201);
    let (id, link) = (invited.text("/id"), invited.text("/invitation"));
    assert!(invited.text("/from") < invited.text("/until"));
    let mallory = super::people::Browser::new(&world);
    assert!(html(mallory.open(&link).status(403)).contains("invitation-waits"));
    // Everybody who works there is told, whoever they are; those who are no staff are not.
    assert!(told_on_page(&nurse) && !told_on_page(&patient));
    // Whoever sees the alerts refuses it, and nobody else does.
    let refuse = "/t/lakeside/auth/account/refuse-invitation";
    let page = office.account().status(200);
    let fields = [("id".to_owned(), id.clone())];
    office.post(refuse, &fields).status(403);
    let own = super::people::between(&nurse.account(), "name=\"_form\" value=\"", "\"");
    let fields = [("id".to_owned(), id.clone()), ("_form".to_owned(), own)];
    assert!(html(nurse.post(refuse, &fields).status(403)).contains("scope-missing"));
    office.send(&page, refuse, &[("id", &id)]).status(303);
    assert!(!told_on_page(&nurse));
    world.clock.forward_secs(3 * DAY);
    mallory.open(&link).status(410);
    // Where nobody does, it is good after its time, and that it was used is told too.
    let again = format!("{people}/{id}/invitation");
    let again = world.admin(&again, &Value::Null).status(201);
    let link = again.text("/invitation");
    world.clock.forward_secs(3 * DAY - 1);
    mallory.open(&link).status(403);
    world.clock.forward_secs(1);
    mallory.accept(&link);
    assert_eq!(told(&mallory)[0].0, "accept invitation of an operator");
    // What the clinic's own people invite to is good at once.
    let (other, _) = person(
        &mallory,
        &json!({ "login": "b", "name": "B", "roles": ["nurse"] }),
    );
    assert!(!told_on_page(&other));
}

#[test]
fn the_clinic_is_told_of_a_policy_that_an_operator_publishes() {
    let world = lakeside();
    let path = "POST /admin/v1/tenants/lakeside/policy";
    let grant = json!({ "name": "administers", "actions": ["administer"], "types": ["*"],
        "who": { "roles": ["tenant-administrator"] } });
    let policy = |reason: &str| json!({ "document": { "grants": [grant] }, "reason": reason });
    // Whoever sets a tenant up publishes its first policy.
    world.admin(path, &policy("first")).status(201);
    let admin = administrator(&world, "lakeside");
    let told = || {
        let alerts = admin.api("GET alerts", &Value::Null).status(200).json();
        let all = alerts["items"].as_array().unwrap().iter();
        let own = all.filter(|a| a["rule"] == "operator-policy");
        own.map(|a| (a["seen"].clone(), a["actor"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(told(), []);
    world.admin(path, &policy("ticket 8")).status(201);
    assert_eq!(
        told(),
        [(json!("policy version 2: ticket 8"), json!("operator"))]
    );
    // What is refused changes nothing, and tells of nothing.
    let mut late = policy("late");
    late["after"] = json!(1);
    world.admin(path, &late).refused(412, "version-conflict");
    assert_eq!(told().len(), 1);
}

#[test]
fn what_an_operator_made_decides_nothing_in_the_clinics_name() {
    let world = lakeside();
    let admin = administrator(&world, "lakeside");
    let grants = json!([
        { "name": "administers", "actions": ["administer"], "types": ["*"],
          "who": { "roles": ["tenant-administrator"] } },
        { "name": "patients", "actions": "rs", "types": ["Patient"], "who": { "roles": ["nurse"] } },
    ]);
    let path = "POST /admin/v1/tenants/lakeside/policy";
    let draft = json!({ "document": { "grants": grants }, "reason": "test" });
    world.admin(path, &draft).status(201);
    let made = make(&world, &json!({ "roles": ["tenant-administrator"] })).status(201);
    let who = basic(&made);
    let publish = |name: &str, document: &Value| {
        let parameters = json!({ "resourceType": "Parameters", "parameter": [
            { "name": "document", "valueString": document.to_string() },
            { "name": "reason", "valueString": "mine" } ] });
        world.fhir(&who, &format!("POST ${name}"), parameters.to_string())
    };
    // It looks at what is there.
    world.fhir(&who, "GET $policy", "").status(200);
    world.fhir(&who, "GET $alerts", "").status(200);
    // What the clinic is told by, and what anybody may do, is not its to change.
    let off = json!({ "rules": { "operator-client": { "off": "quiet" } } });
    publish("alert-rules-publish", &off).refused(403, "clinic-only");
    publish("policy-publish", &json!({ "grants": grants })).refused(403, "clinic-only");
    // Kept by the clinic, it is the clinic's.
    two_factors(&admin);
    let keep = format!("POST clients/{}", made.text("/client_id"));
    admin.api(&keep, &json!({ "decision": "keep" })).status(200);
    assert!(publish("alert-rules-publish", &off).code < 300);
    assert!(publish("policy-publish", &json!({ "grants": grants })).code < 300);
}

#[test]
fn the_clinic_is_told_what_an_operator_changes_about_its_trail() {
    let world = lakeside();
    let change = |config: &Value| {
        let body = json!({ "config": config });
        world
            .admin("PATCH /admin/v1/tenants/lakeside", &body)
            .status(200);
    };
    // Whoever sets a tenant up says how long it is kept.
    change(&json!({ "audit_retention_days": 2190, "legal_hold": true }));
    let admin = administrator(&world, "lakeside");
    governed_by(&world, &["tenant-administrator"]);
    change(&json!({ "audit_retention_days": 1, "registration": "anyone" }));
    change(&json!({ "legal_hold": false }));
    change(&json!({ "audit_shipping": { "syslog": "tls://evil.example:6514" } }));
    change(&json!({ "cors_origins": ["https://app.example"] }));
    let alerts = admin.api("GET alerts", &Value::Null).status(200).json();
    let all = alerts["items"].as_array().unwrap().iter();
    let own = all.filter(|a| a["rule"] == "operator-trail");
    let told: Vec<&str> = own.map(|a| a["seen"].as_str().unwrap()).collect();
    let shorter = "change tenant: audit_retention_days 2190 to 1, registration invited to anyone";
    let shipped = "set audit destination: tls://evil.example:6514";
    assert_eq!(told, [shipped, "lift legal hold", shorter]);
    let path = "GET /admin/v1/tenants/lakeside/audit?limit=1000";
    let trail = world.admin(path, &Value::Null).status(200);
    let trail = String::from_utf8_lossy(&trail.body).into_owned();
    for said in [shorter, shipped, "change tenant: cors_origins"] {
        assert!(trail.contains(said), "{said}");
    }
}

#[test]
fn the_clinic_is_told_of_a_way_in_for_bulk_loading() {
    let world = lakeside();
    let open = |reason: &str| {
        let path = "POST /admin/v1/tenants/lakeside/imports";
        let made = world.admin(path, &json!({ "reason": reason })).status(201);
        made.text("/import_id")
    };
    // Before anybody is there it is how a clinic begins.
    open("first load");
    let admin = administrator(&world, "lakeside");
    governed_by(&world, &["tenant-administrator"]);
    let id = open("ticket 12");
    let alerts = admin.api("GET alerts", &Value::Null).status(200).json();
    // One, and no other of the same thing: neither of its opening nor of the tokens that it is renewed by.
    let renew = format!("POST /admin/v1/tenants/lakeside/imports/{id}/renew");
    world.admin(&renew, &Value::Null).status(200);
    let own: Vec<_> = alerts["items"].as_array().unwrap().iter().collect();
    let of_it = own.iter().filter(|a| a.to_string().contains(&id));
    assert_eq!(of_it.count(), 1, "{own:#?}");
    let own: Vec<_> = own
        .into_iter()
        .filter(|a| a["rule"] == "operator-client")
        .collect();
    assert_eq!(own.len(), 1, "{own:#?}");
    let seen = own[0]["seen"].as_str().unwrap();
    assert!(seen.starts_with("bulk loading until ") && seen.ends_with(": ticket 12"));
    assert_eq!(
        (&own[0]["events"], &own[0]["actor"]),
        (&json!([id]), &json!("operator"))
    );
    let path = "GET /admin/v1/tenants/lakeside/audit?limit=1000";
    let trail = world.admin(path, &Value::Null).status(200);
    let said = format!("open import {id}: ticket 12");
    assert!(String::from_utf8_lossy(&trail.body).contains(&said));
}

#[test]
fn whom_an_operator_makes_administers_and_is_nobody_else() {
    let world = lakeside();
    let path = "/admin/v1/tenants/lakeside/people";
    let draft = |more: &Value| {
        let mut draft =
            json!({ "login": "root@clinic", "name": "Root", "roles": ["tenant-administrator"] });
        for (name, value) in more.as_object().unwrap() {
            draft[name] = value.clone();
        }
        draft
    };
    // Groups have grants, and so has who is a practitioner: both are for the clinic to give.
    for more in [
        json!({ "groups": ["night"] }),
        json!({ "fhir_user": "Practitioner/7" }),
        json!({ "fhir_user": "Patient/1", "groups": ["night"] }),
    ] {
        world
            .admin(&format!("POST {path}"), &draft(&more))
            .refused(403, "clinic-only");
    }
    for roles in [
        json!(["tenant-administrator", "clinician"]),
        json!(["tenant-administrator@Organization/1"]),
        json!(["clinician"]),
        json!([]),
    ] {
        world
            .admin(&format!("POST {path}"), &draft(&json!({ "roles": roles })))
            .refused(400, "request-invalid");
    }
    let found = world.admin(&format!("GET {path}"), &Value::Null).json();
    assert_eq!(found["people"], json!([]));
    // What says nothing of them is as if it were not there.
    let none = draft(&json!({ "groups": [], "fhir_user": "" }));
    world.admin(&format!("POST {path}"), &none).status(201);
    let found = world.admin(&format!("GET {path}"), &Value::Null).json();
    let one = &found["people"][0];
    assert_eq!(
        (&one["roles"], &one["groups"], &one["fhir_user"]),
        (&json!(["tenant-administrator"]), &json!([]), &Value::Null)
    );
}

#[test]
fn under_the_name_of_a_vendor_an_operator_makes_nothing_unseen() {
    let world = lakeside();
    let all = basic(&make(&world, &json!({})));
    let body = patient_with_id("1", "One");
    world.fhir(&all, "PUT Patient/1", body).status(201);
    let number = super::vendors::propose(&world, &json!({}));
    // As long as nobody is there, clients of a vendor have no end, as others.
    let vendors = json!({ "vendor": "acme", "scopes": ["system/*.rs"] });
    no_end(make(&world, &vendors));
    let admin = administrator(&world, "lakeside");
    governed_by(&world, &["tenant-administrator"]);
    let on = json!({ "hold": "enabled", "terms": number, "reason": "agreed" });
    admin.api("POST vendors/acme/switch", &on).status(200);
    // The clinic enabled what the vendor has, and not whatever is made under its name since.
    let told = || {
        let alerts = admin.api("GET alerts", &Value::Null).status(200).json();
        let all = alerts["items"].as_array().unwrap().iter();
        all.filter(|a| a["rule"] == "operator-client").count()
    };
    assert_eq!(told(), 0);
    let made = make(&world, &vendors).status(201);
    assert!(made.text("/made/until").contains('T'));
    assert_eq!(told(), 1);
    let who = basic(&made);
    reads(&world, &who).status(200);
    let report = "GET /admin/v1/tenants/lakeside/audit/report?patient=1";
    let report = world.admin(report, &Value::Null).status(200).json();
    assert!(
        report["operators"]
            .to_string()
            .contains(&made.text("/client_id")),
        "{report}"
    );
    world.clock.forward_secs(7 * DAY);
    reads(&world, &who).refused(401, "credentials-invalid");
    // Kept in time it goes on, as far as the vendor's grant does.
    let other = make(&world, &vendors).status(201);
    let admin = super::people::Browser::new(&world);
    admin
        .sign_in("lakeside", "root@clinic", super::people::PASSWORD)
        .status(303);
    two_factors(&admin);
    let keep = format!("POST clients/{}", other.text("/client_id"));
    no_end(admin.api(&keep, &json!({ "decision": "keep" })));
    world.clock.forward_secs(7 * DAY);
    reads(&world, &basic(&other)).status(200);
}
