//! Programs that ask to be registered: what they may say, that they are nobody before somebody approved
//! them, and who may.

mod about;
mod changing;

use std::net::{IpAddr, Ipv4Addr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::{Outside, RegistrationBy, TenantSettings};
use serde_json::{Value, json};

use super::elsewhere::{Elsewhere, Pair, set};
use super::oauth::{FORM, Program, approved, code_fields, request};
use super::people::{Browser, administrator, person, two_factors};
use super::world::{Answer, JSON, ROOT, World, patient_with_id};

const CALLBACK: &str = "https://app.example/cb?a=1";

fn lakeside(limits: impl FnOnce(&mut base::Limits)) -> World {
    let outside = Outside::new(Elsewhere::default());
    let world = World::with(limits, |config| config.outside = outside);
    world.tenant("lakeside");
    takes(&world, "anyone").status(200);
    world
}

/// Says who may ask.
fn takes(world: &World, who: &str) -> Answer {
    let patch = json!({ "config": { "registration": who } });
    world.admin("PATCH /admin/v1/tenants/lakeside", &patch)
}

fn register_with(world: &World, from: u8, headers: &[(&str, &str)], metadata: &Value) -> Answer {
    let from = IpAddr::V4(Ipv4Addr::new(10, 0, 0, from));
    let headers: Vec<_> = headers.iter().copied().chain([JSON]).collect();
    let line = "POST /t/lakeside/auth/register";
    world.ask_from(from, line, &headers, metadata.to_string())
}

fn register(world: &World, metadata: &Value) -> Answer {
    register_with(world, 1, &[], metadata)
}

fn program() -> Value {
    json!({
        "client_name": "Growth chart", "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "scope": "openid fhirUser launch/patient patient/*.rs offline_access",
        "contacts": ["dev@app.example"], "client_uri": "https://app.example/",
        "application_type": "web", "unheard_of": { "x": 1 },
    })
}

fn service() -> Value {
    json!({
        "client_name": "Lab", "grant_types": ["client_credentials"],
        "scope": "system/Observation.rs system/Patient.r",
    })
}

fn token(world: &World, made: &Answer) -> Answer {
    let pair = [made.text("/client_id"), made.text("/client_secret")];
    let basic = format!("Basic {}", STANDARD.encode(pair.join(":")));
    let headers = [FORM, ("authorization", basic.as_str())];
    let line = "POST /t/lakeside/auth/token";
    world.ask(line, &headers, "grant_type=client_credentials")
}

fn decide(by: &Browser<'_>, id: &str, decision: &Value) -> Answer {
    by.api(&format!("POST registrations/{id}"), decision)
}

fn trail(world: &World) -> String {
    let path = "GET /admin/v1/tenants/lakeside/audit?limit=1000";
    let trail = world.admin(path, &Value::Null).status(200);
    String::from_utf8_lossy(&trail.body).into_owned()
}

#[test]
fn a_service_is_nobody_before_it_is_approved() {
    let world = lakeside(|_| {});
    let admin = administrator(&world, "lakeside");
    let made = register(&world, &service()).status(201);
    let told = made.json();
    assert_eq!(told["client_secret_expires_at"], 0);
    assert_eq!(told["token_endpoint_auth_method"], "client_secret_basic");
    assert_eq!(told["scope"], "system/Observation.rs system/Patient.r");
    assert!(
        made.header_text("cache-control")
            .unwrap()
            .contains("no-store")
    );
    let id = made.text("/client_id");
    token(&world, &made)
        .status(401)
        .at("/error", "invalid_client");
    let basic = STANDARD.encode(format!("{id}:{}", made.text("/client_secret")));
    world
        .fhir(&format!("Basic {basic}"), "GET Patient", "")
        .refused(401, "credentials-invalid");
    let clients = world.admin("GET /admin/v1/tenants/lakeside/clients", &Value::Null);
    assert!(!String::from_utf8_lossy(&clients.body).contains(&id));
    // Nobody without the right decides, and no more is given than was asked for.
    let (nurse, _) = person(
        &admin,
        &json!({ "login": "ada", "name": "Ada", "roles": ["nurse"] }),
    );
    let approve = json!({ "decision": "approve" });
    decide(&nurse, &id, &approve).refused(403, "scope-missing");
    nurse
        .api("GET registrations", &Value::Null)
        .refused(403, "scope-missing");
    let wider = json!({ "decision": "approve", "scopes": ["system/*.cruds"] });
    // Whoever has the session has shown a password at some time, which is not enough.
    decide(&admin, &id, &wider).refused(403, "step-up-required");
    let refuse = json!({ "decision": "refuse" });
    decide(&admin, &id, &refuse).refused(403, "step-up-required");
    two_factors(&admin);
    decide(&admin, &id, &wider).refused(400, "scope-invalid");
    // Nobody governs what acts without a person but policy, by roles that are named.
    decide(&admin, &id, &approve).refused(400, "request-invalid");
    decide(&admin, &id, &json!({ "decision": "perhaps" })).refused(400, "request-invalid");
    token(&world, &made).status(401);
    // Approved for a part.
    let part = json!({
        "decision": "approve", "scopes": ["system/Patient.r"], "roles": ["laboratory"],
    });
    decide(&admin, &id, &part)
        .status(201)
        .at("/client_id", id.as_str())
        .at("/scopes", json!(["system/Patient.r"]));
    token(&world, &made)
        .status(200)
        .at("/scope", "system/Patient.r");
    // Which gives that role nothing so far.
    let granted = token(&world, &made).text("/access_token");
    world
        .fhir(&format!("Bearer {granted}"), "GET Patient/p1", "")
        .status(403);
    decide(&admin, &id, &approve).refused(404, "client-unknown");
    // Refused: as if it had never asked.
    let other = register(&world, &service()).status(201);
    let id = other.text("/client_id");
    decide(&admin, &id, &json!({ "decision": "refuse" })).status(204);
    decide(&admin, &id, &approve).refused(404, "client-unknown");
    token(&world, &other).status(401);
    // Two factors of long ago are none.
    world.clock.forward_secs(901);
    let other = register(&world, &service()).status(201);
    decide(&admin, &other.text("/client_id"), &part).refused(403, "step-up-required");
    admin
        .api("POST registration-tokens", &json!({}))
        .refused(403, "step-up-required");
    let trail = trail(&world);
    for what in ["register client", "approve client", "refuse client"] {
        assert!(trail.contains(what), "{what}");
    }
}

#[test]
fn a_program_is_approved_on_a_page_and_signs_people_in() {
    let world = lakeside(|_| {});
    let owner = world.client("lakeside", "system/*.cruds");
    world
        .fhir(&owner, "PUT Patient/p1", patient_with_id("p1", "Doe"))
        .status(201);
    let admin = administrator(&world, "lakeside");
    let doe = json!({ "login": "doe", "name": "J. Doe", "fhir_user": "Patient/p1" });
    let (doe, _) = person(&admin, &doe);
    let mut asked = program();
    asked["client_name"] = json!("<script>alert(1)</script>");
    let made = register(&world, &asked).status(201);
    assert!(made.json()["client_secret"].is_null());
    assert!(made.json()["unheard_of"].is_null());
    let app = Program {
        id: made.text("/client_id"),
        secret: None,
    };
    doe.open(&request(&app, &[])).status(404);
    let path = "/t/lakeside/auth/registrations";
    let page = admin.open(path).status(200);
    let html = String::from_utf8_lossy(&page.body).into_owned();
    assert!(html.contains("&lt;script&gt;") && !html.contains("<script"));
    assert!(html.contains("https://app.example/cb?a=1") && html.contains("dev@app.example"));
    assert!(html.contains("client_uri") && html.contains("https://app.example/</dd>"));
    let form = format!("{path}/{}", app.id);
    // Not by a form that was not given out here.
    let fields = [("decision", "approve"), ("_form", "x")];
    admin.send(&page, &form, &fields).status(403);
    doe.open(path).status(403);
    let all = [
        ("decision", "approve"),
        ("scope", "openid"),
        ("scope", "fhirUser"),
        ("scope", "launch/patient"),
        ("scope", "patient/*.rs"),
        ("scope", "offline_access"),
    ];
    admin.send(&page, &form, &all).status(403);
    two_factors(&admin);
    // What is not ticked is not given; nothing beyond signing in is ticked.
    admin.send(&page, &form, &all[..1]).status(400);
    for scope in ["openid", "fhirUser", "patient/*.rs", "offline_access"] {
        let input = html.split(&format!("value=\"{scope}\"")).nth(1).unwrap();
        let input = input.split('>').next().unwrap();
        let signs_in = matches!(scope, "openid" | "fhirUser");
        assert_eq!(input.contains("checked"), signs_in, "{scope}");
    }
    admin.send(&page, &form, &all).status(303);
    let page = admin.open(path).status(200);
    assert!(String::from_utf8_lossy(&page.body).contains("None waits."));
    let code = approved(&doe, &request(&app, &[]));
    let mut fields = code_fields(&code).to_vec();
    fields.push(("client_id", &app.id));
    let body: Vec<String> = fields
        .iter()
        .map(|(n, v)| format!("{n}={}", engine::form::encode(v)))
        .collect();
    let line = "POST /t/lakeside/auth/token";
    let given = world.ask(line, &[FORM], body.join("&")).status(200);
    assert!(given.json()["refresh_token"].is_string());
}

#[test]
fn keys_of_its_own_sign_in_a_service_once_it_is_approved() {
    let outside = Elsewhere::default();
    let way_out = Outside::new(outside.clone());
    let world = World::with(|_| {}, |config| config.outside = way_out);
    world.tenant("lakeside");
    takes(&world, "anyone").status(200);
    let key = Pair::es384("one");
    let url = "https://lab.example/jwks";
    outside.serve(url, &set(&[&key]));
    let mut asked = service();
    asked["token_endpoint_auth_method"] = json!("private_key_jwt");
    asked["jwks_uri"] = json!(url);
    let made = register(&world, &asked).status(201);
    assert!(made.json()["client_secret"].is_null());
    let id = made.text("/client_id");
    let assertion = |jti: &str| {
        let now = base::Clock::now(&*world.clock).as_secs();
        key.sign(&json!({
            "iss": id, "sub": id, "aud": format!("{ROOT}/t/lakeside/auth/token"),
            "exp": now + 200, "jti": jti,
        }))
    };
    let ask = |jti: &str| {
        let kind = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
        let body = format!(
            "grant_type=client_credentials&client_assertion_type={kind}&client_assertion={}",
            assertion(jti)
        );
        world.ask("POST /t/lakeside/auth/token", &[FORM], body)
    };
    ask("1").status(401);
    assert_eq!(outside.count(url), 0, "nobody is asked for who is nobody");
    let path = format!("POST /admin/v1/tenants/lakeside/registrations/{id}");
    let vendor = json!({ "decision": "approve", "vendor": "nobody" });
    world.admin(&path, &vendor).refused(404, "vendor-unknown");
    world
        .admin(&path, &json!({ "decision": "approve" }))
        .status(201);
    ask("2").status(200);
}

#[test]
fn what_a_program_says_about_itself_is_checked() {
    let world = lakeside(|limits| limits.registrations_per_minute_max = 1_000);
    let wrong = |error: &str, change: &dyn Fn(&mut Value)| {
        let mut asked = program();
        change(&mut asked);
        let answer = register(&world, &asked).status(400).at("/error", error);
        assert!(answer.json()["error_description"].is_string());
    };
    for bad in [
        json!("http://app.example/cb"),
        json!("https://app.example/cb#f"),
        json!("https://u@app.example/"),
        json!("javascript:alert(1)"),
        json!("/cb"),
        json!(""),
    ] {
        wrong("invalid_redirect_uri", &|m| {
            m["redirect_uris"] = json!([CALLBACK, bad]);
        });
    }
    wrong("invalid_redirect_uri", &|m| m["redirect_uris"] = json!([]));
    wrong("invalid_redirect_uri", &|m| {
        m["redirect_uris"] = Value::Null;
    });
    let many: Vec<String> = (0..21)
        .map(|n| format!("https://app.example/{n}"))
        .collect();
    wrong("invalid_redirect_uri", &|m| {
        m["redirect_uris"] = json!(many);
    });
    let secret = json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "x" });
    let keys = set(&[&Pair::es384("one")]);
    let mut private = keys["keys"][0].clone();
    private["d"] = json!("c2VjcmV0");
    for (name, value) in [
        ("redirect_uris", json!(CALLBACK)),
        ("client_name", json!("")),
        ("client_name", json!("x".repeat(201))),
        ("client_name", json!("a\nb")),
        ("client_name", json!("a\u{202e}b")),
        ("contacts", json!(["a\u{200b}b"])),
        ("client_name", json!(7)),
        ("client_uri", json!("javascript:alert(1)")),
        ("logo_uri", json!("http://app.example/logo")),
        ("contacts", json!(vec!["x"; 11])),
        ("grant_types", json!(["implicit"])),
        ("grant_types", json!(["password"])),
        ("grant_types", json!([])),
        ("grant_types", json!(["refresh_token"])),
        (
            "grant_types",
            json!(["authorization_code", "client_credentials"]),
        ),
        ("response_types", json!(["token"])),
        ("response_types", json!([])),
        ("token_endpoint_auth_method", json!("client_secret_post")),
        ("token_endpoint_auth_method", json!("private_key_jwt")),
        ("token_endpoint_auth_method", json!("tls_client_auth")),
        (
            "token_endpoint_auth_method",
            json!("self_signed_tls_client_auth"),
        ),
        ("tls_client_certificate_bound_access_tokens", json!(true)),
        ("tls_client_auth_san_dns", json!("app.example")),
        ("scope", json!("patient/*.rs everything")),
        ("scope", json!("system/*.cruds")),
        ("scope", json!("")),
        ("id_token_signed_response_alg", json!("none")),
        ("id_token_signed_response_alg", json!("HS256")),
        ("token_endpoint_auth_signing_alg", json!("none")),
        ("subject_type", json!("pairwise")),
        ("jwks", json!({ "keys": [secret] })),
        ("jwks", json!({ "keys": [private] })),
        ("jwks", json!({ "keys": [] })),
        ("jwks", json!("keys")),
        ("jwks_uri", json!("http://app.example/jwks")),
        ("jwks_uri", json!("https://inside.example/jwks")),
    ] {
        wrong("invalid_client_metadata", &|m| m[name] = value.clone());
    }
    wrong("invalid_client_metadata", &|m| {
        m["jwks"] = keys.clone();
        m["jwks_uri"] = json!("https://app.example/jwks");
    });
    for body in ["", "[]", "null", "7", "{", "\u{feff}{}"] {
        let line = "POST /t/lakeside/auth/register";
        world
            .ask(line, &[JSON], body)
            .status(400)
            .at("/error", "invalid_client_metadata");
    }
    world
        .ask("POST /t/lakeside/auth/register", &[FORM], "redirect_uris=x")
        .refused(415, "media-type");
    // Nothing of it waits.
    let all = world.admin("GET /admin/v1/tenants/lakeside/registrations", &Value::Null);
    all.status(200).at("/registrations", json!([]));
    // What the grants leave no use for is left out.
    let mut less = program();
    less["grant_types"] = json!(["authorization_code"]);
    less["scope"] = json!("openid offline_access patient/*.rs system/Patient.r");
    register(&world, &less)
        .status(201)
        .at("/scope", "openid patient/*.rs")
        .at("/response_types", json!(["code"]));
    let least = json!({ "redirect_uris": [CALLBACK] });
    register(&world, &least)
        .status(201)
        .at("/scope", "openid profile fhirUser")
        .at("/grant_types", json!(["authorization_code"]))
        .at("/token_endpoint_auth_method", "client_secret_basic");
}

#[test]
fn nobody_fills_the_list_for_those_who_were_invited() {
    let world = lakeside(|limits| {
        limits.registrations_max = 3;
        limits.registrations_per_minute_max = 5;
        limits.registration_seconds_max = 600;
    });
    let admin = administrator(&world, "lakeside");
    two_factors(&admin);
    for from in 1..=3 {
        register_with(&world, from, &[], &service()).status(201);
    }
    register_with(&world, 4, &[], &service()).refused(503, "limit-busy");
    // Which is not in the trail as if it had been done.
    assert_eq!(trail(&world).matches("register client").count(), 3);
    let invited = admin
        .api("POST registration-tokens", &json!({}))
        .status(201);
    let bearer = format!("Bearer {}", invited.text("/initial_access_token"));
    let shown = [("authorization", bearer.as_str())];
    let made = register_with(&world, 4, &shown, &service()).status(201);
    // Good once, whatever was made of it.
    register_with(&world, 6, &shown, &service())
        .status(401)
        .at("/error", "invalid_token");
    let all = world.admin("GET /admin/v1/tenants/lakeside/registrations", &Value::Null);
    let all = all.status(200).json();
    let waiting = all["registrations"].as_array().unwrap();
    let known = |r: &&Value| r["client_id"] == *made.text("/client_id");
    assert_eq!(waiting.iter().find(known).unwrap()["invited"], true);
    // What is shown must be good.
    for bad in ["Bearer x", "Bearer ", "Basic eDp5"] {
        register_with(&world, 5, &[("authorization", bad)], &service())
            .status(401)
            .at("/error", "invalid_token");
    }
    world.tenant("hillside");
    let line = "POST /t/hillside/auth/register";
    let headers = [JSON, ("authorization", bearer.as_str())];
    world.ask(line, &headers, service().to_string()).status(401);
    // Not too often from one address, whatever comes of it.
    for _ in 0..5 {
        register_with(&world, 9, &[], &json!([])).status(400);
    }
    register_with(&world, 9, &shown, &service()).refused(429, "rate-limited");
    // They do not wait for ever, and neither does the invitation.
    world.clock.forward_secs(601);
    register_with(&world, 6, &shown, &service()).status(401);
    register_with(&world, 6, &[], &service()).status(201);
    let all = world.admin("GET /admin/v1/tenants/lakeside/registrations", &Value::Null);
    assert_eq!(all.json()["registrations"].as_array().unwrap().len(), 1);
}

#[test]
fn no_network_takes_all_the_room() {
    let world = lakeside(|limits| limits.registrations_per_network_max = 2);
    for _ in 0..2 {
        register(&world, &service()).status(201);
    }
    let full = register(&world, &service()).refused(429, "rate-limited");
    let wait: u64 = full.header_text("retry-after").unwrap().parse().unwrap();
    let longest = base::Limits::default().registration_seconds_max;
    assert!(wait > longest - 60 && wait <= longest + 1, "{wait}");
    assert!(String::from_utf8_lossy(&full.body).contains("registrations_per_network_max"));
    register_with(&world, 2, &[], &service()).status(201);
    // Those who were invited are not held up by who shares their way out.
    let admin = administrator(&world, "lakeside");
    two_factors(&admin);
    let invited = admin.api("POST registration-tokens", &json!({}));
    let bearer = format!("Bearer {}", invited.text("/initial_access_token"));
    let shown = [("authorization", bearer.as_str())];
    register_with(&world, 1, &shown, &service()).status(201);
    // What found no room took nobody's time: the writer is the one that it was.
    let owner = world.client("lakeside", "system/*.cruds");
    world
        .fhir(&owner, "PUT Patient/p1", patient_with_id("p1", "Doe"))
        .status(201);
}

#[test]
fn a_clinic_says_who_may_ask() {
    let world = lakeside(|_| {});
    let admin = administrator(&world, "lakeside");
    two_factors(&admin);
    takes(&world, "everyone").status(400);
    takes(&world, "invited").status(200);
    register(&world, &service()).status(401).header(
        "www-authenticate",
        "Bearer realm=\"lakeside\", error=\"invalid_token\"",
    );
    let invited = admin
        .api("POST registration-tokens", &json!({}))
        .status(201);
    let bearer = format!("Bearer {}", invited.text("/initial_access_token"));
    let shown = [("authorization", bearer.as_str())];
    register_with(&world, 1, &shown, &service()).status(201);
    takes(&world, "nobody").status(200);
    register_with(&world, 1, &shown, &service()).refused(501, "not-supported");
    assert_eq!(
        TenantSettings::default().registration,
        RegistrationBy::Invited
    );
}

#[test]
fn who_has_not_shown_two_factors_of_late_is_recorded() {
    let world = lakeside(|_| {});
    let admin = administrator(&world, "lakeside");
    admin
        .api("POST registration-tokens", &json!({}))
        .refused(403, "step-up-required");
    assert!(trail(&world).contains("step-up-required"));
}
