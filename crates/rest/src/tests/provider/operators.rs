//! Providers that an operator set: for a time, in sight of those who administer the clinic, who keep or end
//! them; and what comes by them ends with them.

use engine::form::first;
use serde_json::{Value, json};

use super::{Acme, BEGIN, ISSUER, KEYS, PROVIDERS, TOKEN, anew, asked, going_on, is_in, mapped};
use super::{roles, text};
use crate::tests::elsewhere::{Elsewhere, reply, set};
use crate::tests::oauth::{CALLBACK, FORM, Program, approved, code_fields, request};
use crate::tests::people::{Browser, PASSWORD, administrator, person, two_factors};
use crate::tests::world::{Answer, World, patient_with_id};

const DAY: i64 = 86_400;

fn draft(change: &dyn Fn(&mut Value)) -> Value {
    let mut draft = json!({
        "id": "acme", "name": "Acme Health", "issuer": ISSUER, "client_id": "clinic",
        "just_in_time": true, "reason": "ticket 9: their directory",
    });
    mapped(&mut draft);
    change(&mut draft);
    draft
}

fn sets(acme: &Acme, change: &dyn Fn(&mut Value)) -> Answer {
    let made = acme
        .world
        .admin(&format!("POST {PROVIDERS}"), &draft(change));
    made.status(201)
}

/// A clinic with a policy, a patient and an administrator of its own.
fn clinic(acme: &Acme) -> Browser<'_> {
    let who = acme.world.client("lakeside", "system/*.cruds");
    let body = patient_with_id("1", "One");
    acme.world.fhir(&who, "PUT Patient/1", body).status(201);
    let grant = |name: &str, action: &str, types: &str, role: &str| json!({ "name": name, "actions": [action], "types": [types], "who": { "roles": [role] } });
    let grants = json!([
        grant("administers", "administer", "*", "tenant-administrator"),
        grant("nurses", "read", "Patient", "nurse"),
        grant("clinicians", "read", "Patient", "clinician"),
    ]);
    let policy = json!({ "document": { "grants": grants }, "reason": "test" });
    let path = "POST /admin/v1/tenants/lakeside/policy";
    acme.world.admin(path, &policy).status(201);
    administrator(&acme.world, "lakeside")
}

fn program(acme: &Acme) -> Program {
    let draft = json!({
        "name": "Chart", "public": true, "redirect_uris": [CALLBACK],
        "scopes": ["openid", "user/*.rs", "offline_access"],
    });
    let path = "POST /admin/v1/tenants/lakeside/clients";
    let made = acme.world.admin(path, &draft).status(201);
    Program {
        id: made.text("/client_id"),
        secret: None,
    }
}

fn token(acme: &Acme, program: &Program, fields: &[(&str, &str)]) -> Answer {
    let pair = |(n, v): &(&str, &str)| format!("{n}={}", engine::form::encode(v));
    let mut body: Vec<String> = fields.iter().map(pair).collect();
    body.push(format!("client_id={}", program.id));
    let line = "POST /t/lakeside/auth/token";
    acme.world.ask(line, &[FORM], body.join("&"))
}

/// The tokens that a program gets for as long as somebody is away.
fn granted(acme: &Acme, browser: &Browser<'_>, program: &Program) -> Answer {
    let scope = [("scope", "openid user/*.rs offline_access")];
    let code = approved(browser, &request(program, &scope));
    token(acme, program, &code_fields(&code)).status(200)
}

fn refreshed(acme: &Acme, program: &Program, granted: &Answer) -> Answer {
    let refresh = granted.text("/refresh_token");
    let fields = [("grant_type", "refresh_token"), ("refresh_token", &refresh)];
    token(acme, program, &fields)
}

fn reads(acme: &Acme, granted: &Answer) -> u16 {
    let bearer = format!("Bearer {}", granted.text("/access_token"));
    acme.world.fhir(&bearer, "GET Patient/1", "").code
}

fn trail(acme: &Acme) -> String {
    let path = "GET /admin/v1/tenants/lakeside/audit?limit=1000";
    let found = acme.world.admin(path, &Value::Null).status(200);
    String::from_utf8_lossy(&found.body).into_owned()
}

/// What the clinic is told of those who may sign in, the newest first.
fn told(admin: &Browser<'_>) -> Vec<String> {
    let alerts = admin.api("GET alerts", &Value::Null).status(200).json();
    let all = alerts["items"].as_array().unwrap().iter();
    let own = all.filter(|a| a["rule"] == "operator-sign-in");
    own.map(|a| a["seen"].as_str().unwrap().to_owned())
        .collect()
}

/// The provider, as the clinic's own people are shown it.
fn shown(admin: &Browser<'_>) -> Value {
    let found = admin.api("GET identity-providers", &Value::Null);
    found.status(200).json()["identity_providers"][0].clone()
}

/// To keep the provider as it is shown.
fn to_keep(by: &Browser<'_>) -> Value {
    json!({ "decision": "keep", "at": shown(by)["made"]["at"] })
}

fn decide(by: &Browser<'_>, body: &Value) -> Answer {
    by.api("POST identity-providers/acme", body)
}

/// Somebody whom the provider knows, so many seconds later.
fn later(seconds: i64) -> impl Fn(&mut Value) {
    move |claims| {
        claims["iat"] = json!(BEGIN + seconds);
        claims["exp"] = json!(BEGIN + seconds + 300);
    }
}

fn again(acme: &Acme) -> Browser<'_> {
    let admin = Browser::new(&acme.world);
    admin
        .sign_in("lakeside", "root@clinic", PASSWORD)
        .status(303);
    admin
}

#[test]
fn what_an_operator_sets_lets_people_in_for_a_week_and_no_longer() {
    let acme = Acme::without();
    let admin = clinic(&acme);
    let made = sets(&acme, &|_| {});
    let until = made.text("/made/until");
    made.at("/made/by", "operator")
        .at("/made/reason", "ticket 9: their directory")
        .at("/lets_in", true);
    // The clinic is told at once, and sees who and why.
    let wanted = format!("set identity provider acme until {until}: ticket 9: their directory");
    assert_eq!(told(&admin), [wanted.as_str()]);
    assert!(trail(&acme).contains(&wanted));
    assert_eq!(shown(&admin)["made"]["until"], until.as_str());

    // Somebody whom only the provider knows reads a chart: in sight of the clinic.
    let program = program(&acme);
    let eve = Browser::new(&acme.world);
    is_in(&acme.through(&eve, &|_| {}));
    let first = granted(&acme, &eve, &program);
    assert_eq!(reads(&acme, &first), 200);
    let seen = trail(&acme);
    let waits =
        "sign in through https://id.example, which an operator set and nobody of the tenant kept,";
    assert!(seen.contains(waits) && seen.contains("made known by acme"));

    // Up to the last day and not beyond: the session, what programs were approved for, and its tokens.
    acme.world.clock.forward_secs(6 * DAY);
    let second = refreshed(&acme, &program, &first).status(200);
    assert_eq!(reads(&acme, &second), 200);
    acme.world.clock.forward_secs(DAY - 900);
    let eve = Browser::new(&acme.world);
    is_in(&acme.through(&eve, &later(7 * DAY - 900)));
    let third = granted(&acme, &eve, &program);
    assert!(third.json()["expires_in"].as_i64().unwrap() <= 900);
    assert_eq!(reads(&acme, &third), 200);
    acme.world.clock.forward_secs(900);
    assert_eq!(reads(&acme, &third), 401);
    for granted in [&second, &third] {
        assert_eq!(refreshed(&acme, &program, granted).code, 400);
    }
    eve.account().status(303);
    // Nobody had to come for it to be written down, and roles by its claims are taken off.
    acme.world.house.tidy();
    let ended = "identity provider acme ended: nobody of the tenant kept it";
    assert_eq!(trail(&acme).matches(ended).count(), 1);
    let admin = again(&acme);
    assert_eq!(roles(&admin, "ada@acme"), json!([]));
    let page = eve.open("/t/lakeside/auth/login");
    assert!(!text(&page).contains("Acme"));
    let refused = eve.open("/t/lakeside/auth/providers/acme").status(403);
    assert!(text(&refused).contains("provider-ended"));
    assert_eq!(trail(&acme).matches(ended).count(), 1);
    // As it is it stays: whoever runs the house does not let it go on by setting it again.
    sets(&acme, &|_| {}).at("/lets_in", false);
    assert_eq!(told(&admin).len(), 1);

    // Somebody of the clinic keeps it: by the page that their account leads to.
    two_factors(&admin);
    let account = admin.account().status(200);
    assert!(text(&account).contains("/auth/identity-providers\""));
    let page = admin.open("/t/lakeside/auth/identity-providers");
    let html = text(&page.status(200));
    assert!(html.contains("ticket 9: their directory") && html.contains("nurse@Organization/7"));
    let page = admin.open("/t/lakeside/auth/identity-providers");
    let form = "/t/lakeside/auth/identity-providers/acme";
    let foreign = [("decision", "keep"), ("_form", "x")];
    admin.send(&page, form, &foreign).status(403);
    admin.send(&page, form, &[("decision", "keep")]).status(303);
    let kept = shown(&admin);
    assert_eq!(
        (&kept["lets_in"], &kept["made"]["until"]),
        (&json!(true), &Value::Null)
    );
    acme.world.clock.forward_secs(30 * DAY);
    let eve = Browser::new(&acme.world);
    is_in(&acme.through(&eve, &later(37 * DAY)));
    assert_eq!(reads(&acme, &granted(&acme, &eve, &program)), 200);
    // It is the clinic's own now, and is not told of any more.
    assert_eq!(trail(&acme).matches(waits).count(), 2);
}

#[test]
fn nobody_keeps_the_door_that_they_came_in_by() {
    let acme = Acme::without();
    let strong = |d: &mut Value| d["two_factors"] = json!(["mfa"]);
    // A clinic begins: whoever sets it up sets a provider, too, and people come in at once.
    sets(&acme, &strong).at("/lets_in", true);
    let invite = json!({ "login": "root", "name": "Root", "roles": ["tenant-administrator"] });
    let path = "POST /admin/v1/tenants/lakeside/people";
    let invited = acme.world.admin(path, &invite).status(201);
    let root = Browser::new(&acme.world);
    let page = root.open(&invited.text("/invitation")).status(200);
    let page = root.send(&page, "/t/lakeside/auth/providers/acme", &[]);
    let left = going_on(&page.status(200));
    let claims = |c: &mut Value| {
        anew(c);
        c["amr"] = json!(["mfa"]);
        c["groups"] = json!([]);
    };
    is_in(&acme.back(&root, &left, &claims));
    // They administer, and have shown two factors, as the provider says.
    let keep = to_keep(&root);
    decide(&root, &keep).refused(403, "clinic-only");
    assert_eq!(shown(&root)["made"]["kept_by"], Value::Null);
    assert!(trail(&acme).contains("clinic-only"));
    // Somebody with a password of their own does.
    let other = json!({ "login": "second", "name": "S", "roles": ["tenant-administrator"] });
    let (second, _) = person(&root, &other);
    decide(&second, &keep).refused(403, "step-up-required");
    two_factors(&second);
    let (nurse, _) = person(
        &second,
        &json!({ "login": "n", "name": "N", "roles": ["nurse"] }),
    );
    decide(&nurse, &keep).refused(403, "scope-missing");
    nurse
        .api("GET identity-providers", &Value::Null)
        .refused(403, "scope-missing");
    let unseen = json!({ "decision": "keep", "at": "2020-01-01T00:00:00Z" });
    decide(&second, &unseen).refused(409, "tenant-state");
    for wrong in [json!({ "decision": "perhaps" }), json!({})] {
        decide(&second, &wrong).refused(400, "request-invalid");
    }
    second
        .api("POST identity-providers/other", &keep)
        .refused(404, "provider-unknown");
    let kept = decide(&second, &keep).status(200);
    assert!(kept.text("/made/kept_by").starts_with("person:"));
    // Through what the clinic keeps one comes in as anywhere.
    let root = Browser::new(&acme.world);
    is_in(&acme.through(&root, &claims));
    decide(&root, &keep).status(200);
}

#[test]
fn another_door_in_the_place_of_one_that_was_kept_waits() {
    let acme = Acme::without();
    let admin = clinic(&acme);
    sets(&acme, &|_| {});
    two_factors(&admin);
    let seen = shown(&admin)["made"]["at"].clone();
    let keep = json!({ "decision": "keep", "at": seen });
    decide(&admin, &keep).status(200);
    let program = program(&acme);
    let come = || {
        let eve = Browser::new(&acme.world);
        is_in(&acme.through(&eve, &|_| {}));
        let granted = granted(&acme, &eve, &program);
        assert_eq!(reads(&acme, &granted), 200);
        (eve, granted)
    };
    let (eve, tokens) = come();
    let count = told(&admin).len();
    // As it is: nothing happens. Another name: it is told of.
    sets(&acme, &|_| {}).at("/lets_in", true);
    assert_eq!(told(&admin).len(), count);
    let name = |d: &mut Value| d["name"] = "Acme".into();
    sets(&acme, &name).at("/name", "Acme");
    assert_eq!(told(&admin).len(), count + 1);
    assert_eq!(shown(&admin)["made"]["until"], Value::Null);
    eve.account().status(200);
    assert_eq!(reads(&acme, &tokens), 200);
    // Who comes in, or as what: all that was given ends, and it waits.
    for change in [
        &(|d: &mut Value| d["roles"]["other"] = json!(["clinician"])) as &dyn Fn(&mut Value),
        &|d| d["issuer"] = "https://other.example".into(),
        &|d| d["client_id"] = "another".into(),
        &|d| d["just_in_time"] = false.into(),
        &|d| d["two_factors"] = json!(["pwd"]),
        &|d| d["fhir_user_claim"] = "practitioner".into(),
    ] {
        let (eve, tokens) = come();
        let changed = sets(&acme, change);
        assert!(changed.text("/made/until").contains('T'), "{changed:?}");
        eve.account().status(303);
        assert_eq!(reads(&acme, &tokens), 401);
        // What the clinic saw is not what it would keep now.
        decide(&admin, &keep).refused(409, "tenant-state");
        let end = changed.text("/made/until");
        acme.world.clock.forward_secs(1);
        // Its time runs on, whatever is changed about it.
        sets(&acme, &|_| {}).at("/made/until", end.as_str());
        let at = shown(&admin)["made"]["at"].clone();
        decide(&admin, &json!({ "decision": "keep", "at": at })).status(200);
    }
    assert_eq!(roles(&admin, "ada@acme"), json!([]));
}

#[test]
fn the_clinic_ends_what_it_does_not_know() {
    let acme = Acme::without();
    let admin = clinic(&acme);
    sets(&acme, &|_| {});
    let program = program(&acme);
    let eve = Browser::new(&acme.world);
    is_in(&acme.through(&eve, &|_| {}));
    let tokens = granted(&acme, &eve, &program);
    assert_eq!(reads(&acme, &tokens), 200);
    // No two factors for closing a door.
    decide(&admin, &json!({ "decision": "end" })).status(204);
    eve.account().status(303);
    assert_eq!(reads(&acme, &tokens), 401);
    assert_eq!(refreshed(&acme, &program, &tokens).code, 400);
    eve.open("/t/lakeside/auth/providers/acme").status(404);
    assert_eq!(roles(&admin, "ada@acme"), json!([]));
    assert!(trail(&acme).contains("end identity provider acme"));
    decide(&admin, &json!({ "decision": "end" })).refused(404, "provider-unknown");
    admin.account().status(200);
}

#[test]
fn whom_it_made_known_it_does_not_leave_behind() {
    let acme = Acme::without();
    let admin = clinic(&acme);
    two_factors(&admin);
    // The clinic keeps one at which nobody comes in whom it does not know.
    let group = |d: &mut Value| {
        *d = json!({ "id": "group", "name": "Group", "issuer": ISSUER, "client_id": "clinic" });
    };
    sets(&acme, &group);
    let found = admin.api("GET identity-providers", &Value::Null).json();
    let all = found["identity_providers"].as_array().unwrap();
    let group = all.iter().find(|one| one["id"] == "group").unwrap();
    let keep = json!({ "decision": "keep", "at": group["made"]["at"] });
    admin
        .api("POST identity-providers/group", &keep)
        .status(200);
    let through_group = || {
        let browser = Browser::new(&acme.world);
        let left = asked(&browser.open("/t/lakeside/auth/providers/group?next=account"));
        let claims = acme.claims(&first(&left, "nonce").unwrap());
        *acme.gives.lock() = json!({ "id_token": acme.pair.sign(&claims) });
        let state = first(&left, "state").unwrap();
        let query = format!("code=c&state={}", engine::form::encode(&state));
        browser.open(&format!(
            "/t/lakeside/auth/providers/group/callback?{query}"
        ))
    };
    through_group().status(403);
    // An operator's of the same issuer makes somebody known; the clinic's own does not take them for that.
    sets(&acme, &|_| {});
    let eve = Browser::new(&acme.world);
    is_in(&acme.through(&eve, &anew));
    assert!(text(&through_group().status(403)).contains("account-unlinked"));
    // Nor do they make another account theirs.
    let link = "/t/lakeside/auth/account/link";
    let page = eve
        .send(&eve.account(), link, &[("id", "acme")])
        .status(200);
    let other = |c: &mut Value| {
        anew(c);
        c["sub"] = "u-9".into();
    };
    let refused = acme.back(&eve, &going_on(&page), &other).status(403);
    assert!(text(&refused).contains("clinic-only"));
    // Whom the clinic keeps with its provider it knows.
    decide(&admin, &to_keep(&admin)).status(200);
    is_in(&through_group());
}

#[test]
fn in_a_copy_it_waits_from_the_beginning() {
    let acme = Acme::without();
    clinic(&acme);
    let body = json!({ "file": "l.backup" });
    let path = "POST /admin/v1/tenants/lakeside/backup";
    acme.world.admin(path, &body).status(201);
    let path = "POST /admin/v1/tenants/copy/restore";
    acme.world.admin(path, &body).status(201);
    // Those who administer what it is a copy of come along; without any, operators let others in.
    let path = "GET /admin/v1/tenants/lakeside/people";
    let root = acme.world.admin(path, &Value::Null).text("/people/0/id");
    let path = format!("DELETE /admin/v1/tenants/lakeside/people/{root}");
    acme.world.admin(&path, &Value::Null).status(204);
    let path = "POST /admin/v1/tenants/copy/identity-providers";
    let made = acme.world.admin(path, &draft(&|_| {})).status(201);
    let made = made.at("/lets_in", false);
    assert_eq!(made.text("/made/until"), made.text("/made/at"));
    let browser = Browser::new(&acme.world);
    let refused = browser.open("/t/copy/auth/providers/acme").status(403);
    assert!(text(&refused).contains("provider-ended"));
}

#[test]
fn the_houses_provider_is_kept_for_what_it_was() {
    let elsewhere = Elsewhere::default();
    let outside = engine::Outside::new(elsewhere.clone());
    let of = |issuer: &str| engine::HouseProvider {
        issuer: issuer.into(),
        client_id: "clinic".into(),
        client_secret: None,
    };
    let mut acme = Acme::without();
    acme.world = World::with(
        |_| {},
        |config| {
            config.outside = outside;
            config.house_provider = Some(of(ISSUER));
        },
    );
    acme.world.tenant("lakeside");
    let gives = acme.gives.clone();
    elsewhere.answer(TOKEN, move |_| Ok(reply(&gives.lock())));
    elsewhere.serve(KEYS, &set(&[&acme.pair]));
    acme.elsewhere = elsewhere;
    acme.describe(&json!({}));
    let mut house = json!({ "id": "acme", "name": "The house", "house": true,
        "just_in_time": true });
    mapped(&mut house);
    {
        let admin = clinic(&acme);
        let set = format!("POST {PROVIDERS}");
        let made = acme.world.admin(&set, &house).status(201);
        // The house's own is one that an operator sets, as any other is.
        assert!(made.text("/made/until").contains('T'));
        assert_eq!(shown(&admin)["issuer"], ISSUER);
        two_factors(&admin);
        decide(&admin, &to_keep(&admin)).status(200);
        let eve = Browser::new(&acme.world);
        let left = asked(&eve.open("/t/lakeside/auth/providers/acme"));
        assert!(first(&left, "state").unwrap().starts_with("lakeside."));
    }
    // Another one in the configuration is not what the clinic kept.
    acme.world
        .begin_again_as(|config| config.house_provider = Some(of("https://other.example")));
    let eve = Browser::new(&acme.world);
    let refused = eve.open("/t/lakeside/auth/providers/acme").status(403);
    assert!(text(&refused).contains("provider-ended"));
    let admin = Browser::new(&acme.world);
    let page = admin.open("/t/lakeside/auth/login");
    assert!(!text(&page).contains("The house"));
    let made = acme.world.admin(&format!("POST {PROVIDERS}"), &house);
    assert!(made.status(201).text("/made/until").contains('T'));
}

#[test]
fn operators_have_one_week_until_the_clinic_keeps_one() {
    let acme = Acme::without();
    clinic(&acme);
    let drops = || {
        let path = format!("DELETE {PROVIDERS}/acme");
        acme.world.admin(&path, &Value::Null).status(204);
    };
    let until = sets(&acme, &|_| {}).text("/made/until");
    // Dropped and set again, under another name, or another one beside it: the same week.
    acme.world.clock.forward_secs(3 * DAY);
    let other = |d: &mut Value| d["id"] = "other".into();
    sets(&acme, &other).at("/made/until", until.as_str());
    drops();
    let elsewhere = |d: &mut Value| d["issuer"] = "https://other.example".into();
    sets(&acme, &elsewhere).at("/made/until", until.as_str());
    drops();
    acme.world.clock.forward_secs(5 * DAY);
    let waits = |change: &dyn Fn(&mut Value)| {
        let made = sets(&acme, change).at("/lets_in", false);
        assert_eq!(made.text("/made/until"), made.text("/made/at"));
    };
    waits(&|_| {});
    waits(&elsewhere);
    let page = Browser::new(&acme.world).open("/t/lakeside/auth/providers/acme");
    page.status(403);
    let admin = again(&acme);
    let waiting = "set identity provider acme as soon as somebody keeps it";
    assert!(told(&admin)[0].starts_with(waiting));
    // It never let anybody in: there is nothing to end.
    acme.world.house.tidy();
    assert!(!trail(&acme).contains("identity provider acme ended"));
    // The clinic keeps it, and trusts the operator with another one.
    two_factors(&admin);
    decide(&admin, &to_keep(&admin)).status(200);
    acme.world.clock.forward_secs(600);
    sets(&acme, &|_| {}).at("/lets_in", true);
    // What the clinic ends is not set again past it.
    decide(&admin, &json!({ "decision": "end" })).status(204);
    waits(&|_| {});
}

#[test]
fn whoever_came_by_what_an_operator_set_decides_nothing_for_the_clinic() {
    let acme = Acme::without();
    let admin = clinic(&acme);
    let grants = json!([{ "name": "administers", "actions": ["administer"], "types": ["*"],
        "who": { "roles": ["tenant-administrator", "nurse"] } }]);
    let policy = json!({ "document": { "grants": grants }, "reason": "test" });
    let path = "POST /admin/v1/tenants/lakeside/policy";
    acme.world.admin(path, &policy).status(201);
    let draft = json!({ "name": "Console", "public": true, "redirect_uris": [CALLBACK],
        "scopes": ["openid", "user/*.cruds"] });
    let path = "POST /admin/v1/tenants/lakeside/clients";
    let made = acme.world.admin(path, &draft).status(201);
    let console = Program {
        id: made.text("/client_id"),
        secret: None,
    };
    sets(&acme, &|_| {});
    let publishes = || {
        let eve = Browser::new(&acme.world);
        is_in(&acme.through(&eve, &|_| {}));
        let code = approved(
            &eve,
            &request(&console, &[("scope", "openid user/*.cruds")]),
        );
        let token = token(&acme, &console, &code_fields(&code)).status(200);
        let bearer = format!("Bearer {}", token.text("/access_token"));
        let parameters = json!({ "resourceType": "Parameters", "parameter": [
            { "name": "document", "valueString": json!({ "grants": grants }).to_string() },
            { "name": "reason", "valueString": "mine" } ] });
        let line = "POST $policy-publish";
        acme.world.fhir(&bearer, line, parameters.to_string())
    };
    publishes().refused(403, "clinic-only");
    // Nor do they say what to think of how they came.
    let eve = Browser::new(&acme.world);
    is_in(&acme.through(&eve, &|_| {}));
    eve.api("GET alerts", &Value::Null).status(200);
    let said = json!({ "verdict": "explained", "remark": "fine" });
    eve.api("POST alerts/1", &said).refused(403, "clinic-only");
    assert!(trail(&acme).contains("clinic-only"));
    two_factors(&admin);
    decide(&admin, &to_keep(&admin)).status(200);
    assert_eq!(publishes().code, 200);
}

#[test]
fn who_looks_at_the_providers_of_a_clinic_is_in_its_trail() {
    let acme = Acme::without();
    assert!(!trail(&acme).contains("list identity providers"));
    let listed = acme.world.admin(&format!("GET {PROVIDERS}"), &Value::Null);
    listed.status(200);
    assert!(trail(&acme).contains("list identity providers"));
}
