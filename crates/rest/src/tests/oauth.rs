//! Programs that people sign in to: codes, refresh tokens, identity tokens, launches, and what must
//! not work.

mod binaries;
mod launches;
mod requests;
mod signed_out;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use engine::form::encode;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::people::{self, Browser, PASSWORD, administrator, between, person};
use super::world::{Answer, JSON, ROOT, World, patient_with_id};

pub(super) const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const VERIFIER: &str = "0123456789-0123456789-0123456789-0123456789";
pub(super) const CALLBACK: &str = "https://app.example/cb?a=1";
const ASKED: &str = "openid fhirUser profile launch/patient patient/*.rs offline_access";

/// A tenant with an administrator, a patient who signs in, and a public program.
struct Clinic {
    world: World,
}

pub(super) struct Program {
    pub(super) id: String,
    pub(super) secret: Option<String>,
}

impl Clinic {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(limits: impl FnOnce(&mut base::Limits)) -> Self {
        let world = World::with(limits, |_| {});
        world.tenant("lakeside");
        let owner = world.client("lakeside", "system/*.cruds");
        world
            .fhir(&owner, "PUT Patient/p1", patient_with_id("p1", "Doe"))
            .status(201);
        world.tenant("hillside");
        Self { world }
    }

    fn program(&self, tenant: &str, public: bool) -> Program {
        let draft = json!({
            "name": "Growth chart", "public": public,
            "redirect_uris": [CALLBACK, "http://localhost:9000/"],
            "launch_url": "https://app.example/launch",
            "scopes": ["openid", "fhirUser", "profile", "launch", "launch/patient",
                       "patient/*.rs", "user/*.rs", "offline_access", "online_access"],
        });
        let path = format!("POST /admin/v1/tenants/{tenant}/clients");
        let made = self.world.admin(&path, &draft).status(201);
        assert_eq!(made.json()["client_secret"].is_null(), public);
        Program {
            id: made.text("/client_id"),
            secret: (!public).then(|| made.text("/client_secret")),
        }
    }

    /// A patient of the tenant, in their browser; and their id.
    fn patient(&self, tenant: &str) -> (Browser<'_>, String) {
        let admin = administrator(&self.world, tenant);
        assert_eq!(tenant, "lakeside");
        let draft = json!({ "login": "doe", "name": "J. Doe", "fhir_user": "Patient/p1" });
        person(&admin, &draft)
    }

    fn token(&self, program: &Program, fields: &[(&str, &str)]) -> Answer {
        self.post("lakeside", "token", program, fields)
    }

    fn post(&self, tenant: &str, to: &str, by: &Program, fields: &[(&str, &str)]) -> Answer {
        let mut headers = vec![FORM];
        let mut fields = fields.to_vec();
        let basic = by
            .secret
            .as_ref()
            .map(|secret| format!("Basic {}", STANDARD.encode(format!("{}:{secret}", by.id))));
        match &basic {
            Some(basic) => headers.push(("authorization", basic)),
            None => fields.push(("client_id", &by.id)),
        }
        let body: Vec<String> = fields
            .iter()
            .map(|(n, v)| format!("{n}={}", encode(v)))
            .collect();
        let line = format!("POST /t/{tenant}/auth/{to}");
        self.world.ask(&line, &headers, body.join("&"))
    }

    fn exchange(&self, program: &Program, code: &str) -> Answer {
        self.token(program, &code_fields(code))
    }
}

pub(super) fn code_fields(code: &str) -> [(&str, &str); 4] {
    [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ]
}

fn challenge() -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()))
}

/// The parameters of a good request, some of them changed, or left out where the value is empty.
pub(super) fn request(program: &Program, change: &[(&str, &str)]) -> String {
    let (challenge, aud) = (challenge(), format!("{ROOT}/t/lakeside/fhir"));
    let good = [
        ("response_type", "code"),
        ("client_id", program.id.as_str()),
        ("redirect_uri", CALLBACK),
        ("scope", ASKED),
        ("state", "s & t"),
        ("nonce", "n-1"),
        ("aud", aud.as_str()),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    let changed = |name: &str| change.iter().find(|(n, _)| *n == name);
    let kept = good.iter().filter(|(name, _)| changed(name).is_none());
    let all: Vec<String> = kept
        .chain(change)
        .filter(|(_, value)| !value.is_empty())
        .map(|(n, v)| format!("{n}={}", encode(v)))
        .collect();
    format!("/t/lakeside/auth/authorize?{}", all.join("&"))
}

/// What a redirect tells the program.
pub(super) fn told(answer: &Answer, name: &str) -> Option<String> {
    assert_eq!(
        answer.code,
        303,
        "{}",
        String::from_utf8_lossy(&answer.body)
    );
    let url = answer.header_text("location").unwrap();
    assert!(url.starts_with("https://app.example/cb?a=1&"), "{url}");
    let query = url.split_once('?').unwrap().1;
    engine::form::first(query, name).map(std::borrow::Cow::into_owned)
}

/// Approves a request; the code.
pub(super) fn approved(browser: &Browser<'_>, url: &str) -> String {
    let page = browser.open(url).status(200);
    let fields = [("_decision", "approve")];
    let back = browser.send(&page, "/t/lakeside/auth/authorize", &fields);
    assert_eq!(told(&back, "state").as_deref(), Some("s & t"));
    let iss = format!("{ROOT}/t/lakeside/auth");
    assert_eq!(told(&back, "iss"), Some(iss));
    told(&back, "code").unwrap()
}

fn claims(token: &str) -> Value {
    let body = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).unwrap()).unwrap()
}

#[test]
fn a_person_approves_a_program_that_then_acts_for_them() {
    let clinic = Clinic::new();
    let (browser, id) = clinic.patient("lakeside");
    let app = clinic.program("lakeside", true);
    // Not signed in: first to the sign-in, then back to the question.
    let fresh = Browser::new(&clinic.world);
    let to = fresh.open(&request(&app, &[])).status(303);
    let login = fresh.open(to.header_text("location").unwrap()).status(200);
    let csp = login.header_text("content-security-policy").unwrap();
    assert!(
        csp.contains("form-action 'self' https://app.example;"),
        "{csp}"
    );
    let fields = [("login", "doe"), ("password", super::people::PASSWORD)];
    let back = fresh
        .send(&login, "/t/lakeside/auth/login", &fields)
        .status(303);
    let page = fresh
        .open(back.header_text("location").unwrap())
        .status(200);
    let html = String::from_utf8_lossy(&page.body).into_owned();
    assert!(html.contains("Growth chart") && html.contains("Keep access when you are away"));

    let code = approved(&browser, &request(&app, &[]));
    let granted = clinic.exchange(&app, &code).status(200);
    let granted = granted
        .at("/patient", "p1")
        .at("/scope", ASKED)
        .at("/token_type", "bearer")
        .header("cache-control", "no-store");

    // The identity token is signed with a key that is published.
    let jwks = clinic
        .world
        .ask("GET /t/lakeside/auth/jwks", &[], "")
        .json();
    let key = jwks["keys"].as_array().unwrap().iter();
    let key = key.clone().find(|k| k["alg"] == "RS256").unwrap();
    let (n, e) = (key["n"].as_str().unwrap(), key["e"].as_str().unwrap());
    let key = DecodingKey::from_rsa_components(n, e).unwrap();
    let mut rules = Validation::new(Algorithm::RS256);
    rules.validate_exp = false;
    rules.set_audience(&[&app.id]);
    rules.set_issuer(&[format!("{ROOT}/t/lakeside/auth")]);
    let token = granted.text("/id_token");
    let who = jsonwebtoken::decode::<Value>(&token, &key, &rules)
        .unwrap()
        .claims;
    assert_eq!(who["sub"], id);
    assert_eq!(who["nonce"], "n-1");
    assert_eq!(
        who["fhirUser"],
        format!("{ROOT}/t/lakeside/fhir/Patient/p1")
    );

    // It is recognised; what it may do is for policy to say.
    let bearer = format!("Bearer {}", granted.text("/access_token"));
    let read = clinic.world.fhir(&bearer, "GET Patient/p1", "");
    assert!(read.code == 403 || read.code == 200, "{}", read.code);
    // The person takes it back.
    let account = browser.account().status(200);
    let end = "/t/lakeside/auth/account/end-approval";
    browser.send(&account, end, &[]).status(303);
    clinic.world.fhir(&bearer, "GET Patient/p1", "").status(401);
    let refresh = granted.text("/refresh_token");
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &*refresh),
    ];
    clinic
        .token(&app, &fields)
        .status(400)
        .at("/error", "invalid_grant");
}

#[test]
fn a_code_is_good_once_for_its_program_with_its_verifier() {
    let clinic = Clinic::new();
    let (browser, _) = clinic.patient("lakeside");
    let app = clinic.program("lakeside", false);
    let other = clinic.program("lakeside", true);
    let fresh = || approved(&browser, &request(&app, &[]));
    let code = fresh();
    let granted = clinic.exchange(&app, &code).status(200);
    let bearer = format!("Bearer {}", granted.text("/access_token"));
    assert_ne!(clinic.world.fhir(&bearer, "GET Patient/p1", "").code, 401);
    clinic
        .exchange(&app, &code)
        .status(400)
        .at("/error", "invalid_grant");
    // What the code was exchanged for is worthless now.
    clinic.world.fhir(&bearer, "GET Patient/p1", "").status(401);

    let refused = |program: &Program, fields: &[(&str, &str)]| {
        let answer = clinic.token(program, fields).status(400);
        assert_eq!(answer.text("/error"), "invalid_grant");
    };
    refused(&other, &code_fields(&fresh()));
    for (name, value) in [
        ("redirect_uri", "https://app.example/cb"),
        ("redirect_uri", ""),
        (
            "code_verifier",
            "another-0123456789-0123456789-0123456789-01",
        ),
        ("code_verifier", ""),
    ] {
        let code = fresh();
        let mut fields = code_fields(&code);
        fields.iter_mut().find(|(n, _)| *n == name).unwrap().1 = value;
        refused(&app, &fields);
        refused(&app, &code_fields(&code));
    }
    let code = fresh();
    let altered = format!("{}x", &code[..code.len() - 1]);
    refused(&app, &code_fields(&altered));
    clinic.exchange(&app, &code).status(200);
    let late = fresh();
    clinic.world.clock.forward_secs(61);
    refused(&app, &code_fields(&late));
    // A confidential program proves itself.
    let bare = Program {
        id: app.id.clone(),
        secret: None,
    };
    clinic
        .exchange(&bare, &fresh())
        .status(401)
        .at("/error", "invalid_client");
    let own = [("grant_type", "client_credentials")];
    clinic
        .token(&other, &own)
        .status(400)
        .at("/error", "unauthorized_client");
    clinic
        .token(&app, &own)
        .status(400)
        .at("/error", "invalid_scope");
}

#[test]
fn refresh_tokens_rotate_and_one_that_comes_back_ends_all() {
    let clinic = Clinic::new();
    let (browser, _) = clinic.patient("lakeside");
    let app = clinic.program("lakeside", true);
    let code = approved(&browser, &request(&app, &[]));
    let first = clinic
        .exchange(&app, &code)
        .status(200)
        .text("/refresh_token");
    let refresh = |token: &str| {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
        clinic.token(&app, &fields)
    };
    let granted = refresh(&first).status(200);
    let second = granted.text("/refresh_token");
    assert_ne!(first, second);
    // Signing out ends no access that was granted while away.
    let out = "/t/lakeside/auth/account/sign-out";
    browser.send(&browser.account(), out, &[]).status(303);
    let granted = refresh(&second).status(200);
    let bearer = format!("Bearer {}", granted.text("/access_token"));
    let mut altered = granted.text("/refresh_token");
    altered.replace_range(..1, if altered.starts_with('0') { "1" } else { "0" });
    refresh(&altered).status(400);
    assert_ne!(clinic.world.fhir(&bearer, "GET Patient/p1", "").code, 401);
    refresh(&first).status(400).at("/error", "invalid_grant");
    clinic.world.fhir(&bearer, "GET Patient/p1", "").status(401);
    refresh(&granted.text("/refresh_token")).status(400);
    let wide = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &*first),
        ("scope", "user/*.cruds"),
    ];
    clinic.token(&app, &wide).status(400);
}

#[test]
fn a_refresh_for_less_gives_less() {
    let clinic = Clinic::new();
    let (browser, _) = clinic.patient("lakeside");
    let app = clinic.program("lakeside", true);
    let code = approved(&browser, &request(&app, &[]));
    let granted = clinic.exchange(&app, &code).status(200);
    let first = granted.text("/refresh_token");
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", first.as_str()),
        ("scope", "openid offline_access"),
    ];
    let less = clinic.token(&app, &fields).status(200);
    let less = less.at("/scope", "openid offline_access");
    let bearer = format!("Bearer {}", less.text("/access_token"));
    clinic.world.fhir(&bearer, "GET Patient/p1", "").status(403);
    // What was approved is still approved.
    let second = less.text("/refresh_token");
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", second.as_str()),
    ];
    let all = clinic.token(&app, &fields).status(200);
    assert_eq!(all.json()["scope"], granted.json()["scope"]);
}

#[test]
fn another_password_ends_what_was_approved() {
    let clinic = Clinic::new();
    let (browser, _) = clinic.patient("lakeside");
    let app = clinic.program("lakeside", true);
    let code = approved(&browser, &request(&app, &[]));
    let granted = clinic.exchange(&app, &code).status(200);
    let bearer = format!("Bearer {}", granted.text("/access_token"));
    assert_ne!(clinic.world.fhir(&bearer, "GET Patient/p1", "").code, 401);
    let new = "another horse, another battery";
    let fields = [("old", PASSWORD), ("new", new), ("again", new)];
    let path = "/t/lakeside/auth/account/password";
    browser.send(&browser.account(), path, &fields).status(303);
    clinic.world.fhir(&bearer, "GET Patient/p1", "").status(401);
    browser.account().status(200);
}

#[test]
fn a_programs_own_token_is_given_back_alone() {
    let clinic = Clinic::new();
    let (id, secret) = clinic.world.client_secret("lakeside", "system/*.rs");
    let program = Program {
        id,
        secret: Some(secret),
    };
    let fields = [("grant_type", "client_credentials")];
    let token = || {
        clinic
            .token(&program, &fields)
            .status(200)
            .text("/access_token")
    };
    let (one, two) = (token(), token());
    let read = |token: &str| {
        let bearer = format!("Bearer {token}");
        clinic.world.fhir(&bearer, "GET Patient/p1", "").code
    };
    assert_eq!((read(&one), read(&two)), (200, 200));
    // By somebody else: nothing happens.
    let other = clinic.program("lakeside", false);
    let given = clinic.post("lakeside", "revoke", &other, &[("token", &one)]);
    given.status(200);
    assert_eq!(read(&one), 200);
    let given = clinic.post("lakeside", "revoke", &program, &[("token", &one)]);
    given.status(200);
    assert_eq!((read(&one), read(&two)), (401, 200));
}

#[test]
fn access_that_is_not_offline_ends_with_the_session() {
    let clinic = Clinic::new();
    let (browser, _) = clinic.patient("lakeside");
    let app = clinic.program("lakeside", true);
    let url = request(
        &app,
        &[("scope", "online_access launch/patient patient/*.rs")],
    );
    let code = approved(&browser, &url);
    let granted = clinic.exchange(&app, &code).status(200);
    assert!(granted.json().get("id_token").is_none());
    let bearer = format!("Bearer {}", granted.text("/access_token"));
    assert_ne!(clinic.world.fhir(&bearer, "GET Patient/p1", "").code, 401);
    let out = "/t/lakeside/auth/account/sign-out";
    browser.send(&browser.account(), out, &[]).status(303);
    clinic.world.fhir(&bearer, "GET Patient/p1", "").status(401);
    let refresh = granted.text("/refresh_token");
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &*refresh),
    ];
    clinic.token(&app, &fields).status(400);
}

#[test]
fn a_launch_from_within_a_record_brings_its_patient() {
    let clinic = Clinic::new();
    let (browser, _) = clinic.patient("lakeside");
    let (app, other) = (
        clinic.program("lakeside", true),
        clinic.program("lakeside", true),
    );
    let ehr = clinic.world.client("lakeside", "system/Patient.r");
    let make = |patient: &str| {
        let draft = json!({ "client_id": app.id, "patient": patient, "intent": "reconcile" });
        let headers = [("authorization", ehr.as_str()), JSON];
        clinic.world.ask(
            "POST /t/lakeside/auth/launches",
            &headers,
            draft.to_string(),
        )
    };
    let made = make("p1").status(201);
    let launch = made.text("/launch");
    assert!(
        made.text("/url")
            .starts_with("https://app.example/launch?iss=")
    );
    make("nobody").status(404);
    let scope = "launch user/*.rs";
    let url =
        |program: &Program, launch: &str| request(program, &[("launch", launch), ("scope", scope)]);
    let code = approved(&browser, &url(&app, &launch));
    let granted = clinic.exchange(&app, &code).status(200);
    let access = granted.text("/access_token");
    granted
        .at("/patient", "p1")
        .at("/intent", "reconcile")
        .at("/need_patient_banner", true);
    // Whoever looks into the token is told the context too.
    let keeper = clinic.program("lakeside", false);
    let looked = clinic.post("lakeside", "introspect", &keeper, &[("token", &access)]);
    looked
        .status(200)
        .at("/active", true)
        .at("/patient", "p1")
        .at("/intent", "reconcile");
    for (program, launch) in [(&other, launch.as_str()), (&app, ""), (&app, "x")] {
        let answer = browser.open(&url(program, launch));
        assert_eq!(told(&answer, "error").as_deref(), Some("invalid_request"));
    }
    clinic.world.clock.forward_secs(301);
    let answer = browser.open(&url(&app, &launch));
    assert_eq!(told(&answer, "error").as_deref(), Some("invalid_request"));
}

#[test]
fn two_factors_shown_long_ago_are_shown_again() {
    let clinic = Clinic::with(|limits| limits.step_up_seconds_max = 600);
    let (browser, id) = clinic.patient("lakeside");
    let world = &clinic.world;
    let grant = json!({ "document": { "grants": [{
        "name": "own chart", "who": { "people": [id] }, "actions": "rs", "types": ["Patient"],
        "require": { "stepUp": true } }] }, "reason": "test" });
    let path = "POST /admin/v1/tenants/lakeside/policy";
    world.admin(path, &grant).status(201);
    let base = "/t/lakeside/auth/account";
    let begin = format!("{base}/begin-totp");
    let begun = browser.send(&browser.account(), &begin, &[("password", PASSWORD)]);
    let begun = begun.status(200);
    let secret = between(&begun, "<code id=\"secret\">", "</code>");
    let confirm = format!("{base}/confirm-totp");
    let shown = people::code(world, &secret);
    browser
        .send(&begun, &confirm, &[("code", &shown)])
        .status(200);
    let app = clinic.program("lakeside", true);
    let token = || {
        let code = approved(&browser, &request(&app, &[]));
        let granted = clinic.exchange(&app, &code).status(200);
        format!("Bearer {}", granted.text("/access_token"))
    };
    let bearer = token();
    world.fhir(&bearer, "GET Patient/p1", "").status(200);
    world.clock.forward_secs(601);
    let late = world.fhir(&bearer, "GET Patient/p1", "");
    late.refused(403, "step-up-required");
    // A new token of the same proof is no better; the program asks for a proof of now.
    world
        .fhir(&token(), "GET Patient/p1", "")
        .refused(403, "step-up-required");
    let asked = request(&app, &[("max_age", "600")]);
    assert!(
        browser
            .open(&asked)
            .status(303)
            .header_text("location")
            .unwrap()
            .contains("/login")
    );
}

#[test]
fn limits_of_approvals() {
    let clinic = Clinic::with(|limits| {
        limits.approvals_per_person_max = 2;
        limits.approvals_max = 2;
        limits.code_seconds_max = 30;
        limits.approval_seconds_max = 5_000;
        limits.ended_tokens_max = 1;
    });
    let (browser, _) = clinic.patient("lakeside");
    let app = clinic.program("lakeside", true);
    let approve = || approved(&browser, &request(&app, &[]));
    let code = approve();
    clinic.world.clock.forward_secs(31);
    clinic.exchange(&app, &code).status(400);
    // However often one person approves, what they approved first ends, and there is room.
    let all: Vec<String> = (0..5)
        .map(|_| {
            clinic.world.clock.forward_secs(1);
            let granted = clinic.exchange(&app, &approve()).status(200);
            granted.text("/refresh_token")
        })
        .collect();
    let refresh = |token: &str| {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
        clinic.token(&app, &fields)
    };
    refresh(&all[0]).status(400);
    let next = refresh(&all[4]).status(200).text("/refresh_token");
    let admin = Browser::new(&clinic.world);
    admin
        .sign_in("lakeside", "root@clinic", PASSWORD)
        .status(303);
    let asked = request(&app, &[("scope", "openid offline_access")]);
    let page = admin.open(&asked).status(200);
    let fields = [("_decision", "approve")];
    let full = admin.send(&page, "/t/lakeside/auth/authorize", &fields);
    let told = String::from_utf8_lossy(&full.body).into_owned();
    assert!(
        full.code == 503 && told.contains("approvals_max"),
        "{} {told}",
        full.code
    );
    clinic.world.clock.forward_secs(5_001);
    refresh(&next).status(400);

    let (id, secret) = clinic.world.client_secret("lakeside", "system/*.rs");
    let secret = Some(secret);
    let program = Program { id, secret };
    let fields = [("grant_type", "client_credentials")];
    for status in [200, 503] {
        let token = clinic
            .token(&program, &fields)
            .status(200)
            .text("/access_token");
        let given = clinic.post("lakeside", "revoke", &program, &[("token", &token)]);
        given.status(status);
    }
}

#[test]
fn tokens_are_looked_into_and_given_back() {
    let clinic = Clinic::new();
    let (browser, id) = clinic.patient("lakeside");
    let (app, server) = (
        clinic.program("lakeside", true),
        clinic.program("lakeside", false),
    );
    let code = approved(&browser, &request(&app, &[]));
    let granted = clinic.exchange(&app, &code).status(200);
    let (access, refresh) = (
        granted.text("/access_token"),
        granted.text("/refresh_token"),
    );
    let look = |token: &str| {
        let answer = clinic.post("lakeside", "introspect", &server, &[("token", token)]);
        answer.status(200).json()
    };
    let about = look(&access);
    assert_eq!(
        (&about["active"], &about["sub"]),
        (&json!(true), &json!(id))
    );
    assert_eq!(about["patient"], "p1");
    assert_eq!(about["client_id"], json!(app.id));
    assert_eq!(look(&refresh)["active"], true);
    assert_eq!(look("rubbish"), json!({ "active": false }));
    clinic
        .post("lakeside", "introspect", &app, &[("token", &access)])
        .status(401);
    // Given back by another program: nothing happens, and nothing is told.
    clinic
        .post("lakeside", "revoke", &server, &[("token", &refresh)])
        .status(200);
    assert_eq!(look(&access)["active"], true);
    clinic
        .post("lakeside", "revoke", &app, &[("token", &refresh)])
        .status(200);
    assert_eq!(look(&access)["active"], false);
    assert_eq!(look(&refresh)["active"], false);
}

#[test]
fn nothing_of_one_tenant_is_good_in_another() {
    let clinic = Clinic::new();
    let (browser, _) = clinic.patient("lakeside");
    let app = clinic.program("lakeside", true);
    let theirs = clinic.program("hillside", true);
    let server = clinic.program("hillside", false);
    let code = approved(&browser, &request(&app, &[]));
    let fields = code_fields(&code);
    for program in [&app, &theirs] {
        let answer = clinic.post("hillside", "token", program, &fields);
        assert!(matches!(answer.code, 400 | 401));
    }
    let granted = clinic.exchange(&app, &code).status(200);
    let (access, refresh) = (
        granted.text("/access_token"),
        granted.text("/refresh_token"),
    );
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &*refresh),
    ];
    clinic
        .post("hillside", "token", &theirs, &fields)
        .status(400);
    let about = clinic.post("hillside", "introspect", &server, &[("token", &access)]);
    assert_eq!(about.status(200).json(), json!({ "active": false }));
    let bearer = format!("Bearer {access}");
    clinic
        .world
        .fhir(&bearer, "GET /t/hillside/fhir/Patient", "")
        .status(401);
    // The refresh token was not ended by having been shown elsewhere.
    clinic.token(&app, &fields).status(200);
    let moved = request(&app, &[]).replace("/t/lakeside/", "/t/hillside/");
    browser.open(&moved).status(404);
}

#[test]
fn tokens_that_were_made_elsewhere_are_none() {
    let clinic = Clinic::new();
    let (browser, _) = clinic.patient("lakeside");
    let app = clinic.program("lakeside", true);
    let code = approved(&browser, &request(&app, &[]));
    let granted = clinic.exchange(&app, &code).status(200);
    let access = granted.text("/access_token");
    let identity = granted.text("/id_token");
    let (_, rest) = access.split_once('.').unwrap();
    let (body, signature) = rest.split_once('.').unwrap();
    let with = |header: Value| URL_SAFE_NO_PAD.encode(header.to_string());
    let jwks = clinic
        .world
        .ask("GET /t/lakeside/auth/jwks", &[], "")
        .json();
    let x = jwks["keys"][0]["x"].as_str().unwrap();
    let symmetric = EncodingKey::from_secret(&URL_SAFE_NO_PAD.decode(x).unwrap());
    let confused = jsonwebtoken::encode(&Header::default(), &claims(&access), &symmetric);
    for forged in [
        format!("{}.{body}.", with(json!({ "alg": "none" }))),
        format!("{}.{body}.{signature}", with(json!({ "alg": "none" }))),
        format!("{}.{body}.{signature}", with(json!({ "alg": "HS256" }))),
        format!("{}.{body}.{signature}", with(json!({ "alg": "RS256" }))),
        confused.unwrap(),
        identity,
    ] {
        let bearer = format!("Bearer {forged}");
        clinic.world.fhir(&bearer, "GET Patient/p1", "").status(401);
    }
    // Not one second before it was issued, nor after it ended.
    let bearer = format!("Bearer {access}");
    clinic.world.clock.forward_secs(-120);
    clinic.world.fhir(&bearer, "GET Patient", "").status(401);
    clinic.world.clock.forward_secs(3_800);
    clinic
        .world
        .fhir(&bearer, "GET Patient", "")
        .refused(401, "token-expired");
}

#[test]
fn whoever_is_switched_off_is_off_with_the_next_request() {
    let clinic = Clinic::new();
    let admin = administrator(&clinic.world, "lakeside");
    let draft = json!({ "login": "doe", "name": "J. Doe", "fhir_user": "Patient/p1" });
    let (browser, id) = person(&admin, &draft);
    let app = clinic.program("lakeside", true);
    let give = |app: &Program| {
        let code = approved(&browser, &request(app, &[]));
        let granted = clinic.exchange(app, &code).status(200);
        format!("Bearer {}", granted.text("/access_token"))
    };
    let works = |bearer: &str| clinic.world.fhir(bearer, "GET Patient/p1", "").code != 401;
    let bearer = give(&app);
    assert!(works(&bearer) && works(&bearer));
    let line = format!("DELETE /admin/v1/tenants/lakeside/clients/{}", app.id);
    clinic.world.admin(&line, &Value::Null).status(204);
    assert!(!works(&bearer), "the program");
    browser.open(&request(&app, &[])).status(404);

    let app = clinic.program("lakeside", true);
    let bearer = give(&app);
    assert!(works(&bearer));
    let line = format!("DELETE /admin/v1/tenants/lakeside/people/{id}");
    clinic.world.admin(&line, &Value::Null).status(204);
    assert!(!works(&bearer), "the person");
}

#[test]
fn the_issuer_describes_itself() {
    let clinic = Clinic::new();
    let issuer = format!("{ROOT}/t/lakeside/auth");
    let path = "/t/lakeside/auth/.well-known/openid-configuration";
    let about = clinic
        .world
        .ask(&format!("GET {path}"), &[], "")
        .status(200);
    let about = about
        .at("/issuer", issuer.as_str())
        .at("/code_challenge_methods_supported", json!(["S256"]))
        .at("/id_token_signing_alg_values_supported", json!(["RS256"]))
        .at(
            "/introspection_endpoint_auth_methods_supported",
            json!(["client_secret_basic", "private_key_jwt"]),
        );
    // The same where RFC 8414 looks for it.
    let well_known = "GET /.well-known/oauth-authorization-server/t/lakeside/auth";
    let found = clinic.world.ask(well_known, &[], "").status(200);
    assert_eq!(found.json(), about.json());
    let nobody = "GET /.well-known/oauth-authorization-server/t/nowhere/auth";
    clinic.world.ask(nobody, &[], "").status(404);
    let at = about.text("/authorization_endpoint");
    assert_eq!(at, format!("{issuer}/authorize"));
    let smart = "GET /t/lakeside/fhir/.well-known/smart-configuration";
    let smart = clinic.world.ask(smart, &[], "").status(200).json();
    for capability in [
        "launch-ehr",
        "launch-standalone",
        "client-public",
        "sso-openid-connect",
    ] {
        assert!(
            smart["capabilities"]
                .as_array()
                .unwrap()
                .contains(&json!(capability))
        );
    }
}
