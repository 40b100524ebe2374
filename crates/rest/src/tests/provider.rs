//! Signing in through an identity provider: out and back, whom that makes somebody here, and what must
//! not work.

mod accounts;
mod house;
mod operators;
mod racing;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use engine::Reply;
use engine::form::{encode, first};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use parking_lot::Mutex;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::elsewhere::{Elsewhere, Pair, RsaPair, reply, set};
use super::passkeys::{self, Device};
use super::people::{Browser, PASSWORD, administrator, between, code, person};
use super::world::{Answer, ROOT, World};

const ISSUER: &str = "https://id.example";
const TOKEN: &str = "https://id.example/token";
const KEYS: &str = "https://id.example/jwks";
const METADATA: &str = "https://id.example/.well-known/openid-configuration";
const PROVIDERS: &str = "/admin/v1/tenants/lakeside/identity-providers";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
/// The world's clock at its beginning.
const BEGIN: i64 = 1_795_310_523;

/// A provider outside, and a clinic that uses it.
struct Acme {
    world: World,
    elsewhere: Elsewhere,
    pair: Arc<Pair>,
    /// What the token endpoint gives.
    gives: Arc<Mutex<Value>>,
}

impl Acme {
    fn new(change: &dyn Fn(&mut Value)) -> Self {
        Self::at(None, change)
    }

    /// At the clinic of a house that is reached at this address.
    fn at(url: Option<&str>, change: &dyn Fn(&mut Value)) -> Self {
        let acme = Self::without_at(url);
        let root = url.unwrap_or(ROOT);
        let mut draft = json!({
            "id": "acme", "name": "Acme Health", "issuer": ISSUER, "client_id": "clinic",
            "client_secret": "s3cret&",
        });
        change(&mut draft);
        let made = acme.world.admin(&format!("POST {PROVIDERS}"), &draft);
        made.status(201)
            .at(
                "/redirect_uri",
                format!("{root}/t/lakeside/auth/providers/acme/callback"),
            )
            .at("/has_secret", true);
        acme
    }

    fn without() -> Self {
        Self::without_at(None)
    }

    fn without_at(url: Option<&str>) -> Self {
        let (world, elsewhere) = Elsewhere::world_at(url);
        world.tenant("lakeside");
        let acme = Self {
            world,
            elsewhere,
            pair: Arc::new(Pair::es256("k1")),
            gives: Arc::default(),
        };
        acme.describe(&json!({}));
        acme.elsewhere.serve(KEYS, &set(&[&acme.pair]));
        let gives = acme.gives.clone();
        acme.elsewhere.answer(TOKEN, move |_| {
            let gives = gives.lock();
            match gives.is_null() {
                true => Ok(Reply {
                    status: 400,
                    body: br#"{"error":"invalid_grant"}"#.to_vec(),
                    ..Reply::default()
                }),
                false => Ok(reply(&gives)),
            }
        });
        acme
    }

    /// What the provider says about itself.
    fn describe(&self, more: &Value) {
        let mut about = json!({
            "issuer": ISSUER, "authorization_endpoint": "https://id.example/authorize?tenant=1",
            "token_endpoint": TOKEN, "jwks_uri": KEYS,
        });
        let members = about.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        self.elsewhere.serve(METADATA, &about);
    }

    fn claims(&self, nonce: &str) -> Value {
        json!({
            "iss": ISSUER, "sub": "u-7", "aud": "clinic", "iat": BEGIN, "exp": BEGIN + 300,
            "nonce": nonce, "sid": "sid-1", "preferred_username": "Ada@Acme", "name": "Ada L.",
            "email": "root@clinic", "groups": ["nurses", "other"],
        })
    }

    /// Goes out and comes back with what the provider says, some of it changed.
    fn through(&self, browser: &Browser<'_>, change: &dyn Fn(&mut Value)) -> Answer {
        let left = browser.open("/t/lakeside/auth/providers/acme?next=account");
        self.back(browser, &asked(&left), change)
    }

    fn back(&self, browser: &Browser<'_>, asked: &str, change: &dyn Fn(&mut Value)) -> Answer {
        let mut claims = self.claims(&first(asked, "nonce").unwrap());
        change(&mut claims);
        *self.gives.lock() = json!({ "id_token": self.pair.sign(&claims), "token_type": "bearer" });
        let state = first(asked, "state").unwrap();
        browser.open(&callback(&format!("code=c-1&state={}", encode(&state))))
    }

    fn linked(&self, subject: &str) -> (Browser<'_>, String) {
        let admin = administrator(&self.world, "lakeside");
        let draft = json!({ "login": "ada", "name": "Ada", "roles": ["clinician"] });
        let (_, id) = person(&admin, &draft);
        let accounts = json!({ "accounts": [{ "issuer": ISSUER, "subject": subject }] });
        admin
            .api(&format!("PATCH people/{id}"), &accounts)
            .status(200);
        (admin, id)
    }

    fn logout(&self, change: &dyn Fn(&mut Value)) -> Answer {
        let mut claims = json!({
            "iss": ISSUER, "aud": "clinic", "iat": BEGIN, "exp": BEGIN + 120, "jti": "j-1",
            "sub": "u-7", "sid": "sid-1",
            "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        });
        change(&mut claims);
        let token = self
            .pair
            .sign_as(&claims, |h| h.typ = Some("logout+jwt".into()));
        let body = format!("logout_token={token}");
        let line = "POST /t/lakeside/auth/providers/acme/logout";
        self.world.ask(line, &[FORM], body)
    }
}

fn callback(query: &str) -> String {
    format!("/t/lakeside/auth/providers/acme/callback?{query}")
}

/// What the provider is asked in the browser.
#[track_caller]
fn asked(left: &Answer) -> String {
    assert_eq!(left.code, 303, "{}", String::from_utf8_lossy(&left.body));
    let url = left.header_text("location").unwrap();
    let (page, query) = url.split_once('?').unwrap();
    assert_eq!(page, "https://id.example/authorize");
    query.to_owned()
}

/// What the provider is asked by the link of a page.
fn going_on(page: &Answer) -> String {
    let html = text(page);
    let mut links = html.split("href=\"");
    let href = links.find(|h| h.starts_with("https://id.example")).unwrap();
    let left = href.split('"').next().unwrap().replace("&amp;", "&");
    left.split_once('?').unwrap().1.to_owned()
}

/// They proved there anew who they are.
fn anew(claims: &mut Value) {
    claims["auth_time"] = json!(BEGIN);
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

#[track_caller]
fn is_in(answer: &Answer) {
    assert_eq!(answer.code, 303, "{}", text(answer));
    let to = answer.header_text("location").unwrap();
    assert_eq!(to, format!("{ROOT}/t/lakeside/auth/account"));
}

#[test]
fn somebody_who_is_linked_signs_in() {
    let acme = Acme::new(&|_| {});
    let (_admin, _) = acme.linked("u-7");
    let browser = Browser::new(&acme.world);
    let page = browser.open("/t/lakeside/auth/login").status(200);
    assert!(text(&page).contains("Sign in with Acme Health"));
    let left = browser.open("/t/lakeside/auth/providers/acme?next=account");
    let query = asked(&left);
    let told = |name: &str| first(&query, name).map(std::borrow::Cow::into_owned);
    assert_eq!(told("tenant").as_deref(), Some("1"));
    assert_eq!(told("response_type").as_deref(), Some("code"));
    assert_eq!(told("client_id").as_deref(), Some("clinic"));
    assert_eq!(told("scope").as_deref(), Some("openid profile email"));
    assert_eq!(told("code_challenge_method").as_deref(), Some("S256"));
    assert_eq!(told("prompt"), None);
    is_in(&acme.back(&browser, &query, &|_| {}));
    assert!(text(&browser.account().status(200)).contains("Ada"));

    let sent = acme.elsewhere.last(TOKEN);
    // RFC 6749 section 2.3.1: encoded as in forms, then base64.
    let basic = base64::engine::general_purpose::STANDARD.encode("clinic:s3cret%26");
    assert_eq!(sent.authorization, Some(format!("Basic {basic}")));
    let form = sent.form.unwrap();
    assert_eq!(first(&form, "code").as_deref(), Some("c-1"));
    let redirect = format!("{ROOT}/t/lakeside/auth/providers/acme/callback");
    assert_eq!(first(&form, "redirect_uri").as_deref(), Some(&*redirect));
    let verifier = first(&form, "code_verifier").unwrap();
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
    assert_eq!(told("code_challenge"), Some(challenge));

    // The secret is not shown, and stays where it is not given anew.
    let list = acme.world.admin(&format!("GET {PROVIDERS}"), &Value::Null);
    assert!(!text(&list.status(200)).contains("s3cret"));
    let draft = json!({ "id": "acme", "name": "Acme", "issuer": ISSUER, "client_id": "clinic" });
    let path = format!("POST {PROVIDERS}");
    acme.world.admin(&path, &draft).at("/has_secret", true);
    let other = json!({ "id": "acme", "name": "Acme", "issuer": ISSUER, "client_id": "other" });
    acme.world.admin(&path, &other).at("/has_secret", false);
}

#[test]
fn an_answer_is_taken_by_the_browser_that_left_for_it_and_once() {
    let acme = Acme::new(&|_| {});
    let (_admin, _) = acme.linked("u-7");
    let (browser, other) = (Browser::new(&acme.world), Browser::new(&acme.world));
    let left = asked(&browser.open("/t/lakeside/auth/providers/acme"));
    // Another browser, which left too or did not, comes with this one's answer.
    acme.back(&other, &left, &|_| {}).status(403);
    other.open("/t/lakeside/auth/providers/acme").status(303);
    acme.back(&other, &left, &|_| {}).status(403);
    is_in(&acme.back(&browser, &left, &|_| {}));
    acme.back(&browser, &left, &|_| {}).status(403);
    // Too late.
    let left = asked(&browser.open("/t/lakeside/auth/providers/acme"));
    acme.world.clock.forward_secs(601);
    acme.back(&browser, &left, &|_| {}).status(403);
}

#[test]
fn only_a_good_identity_token_signs_in() {
    let acme = Acme::new(&|_| {});
    let (_admin, _) = acme.linked("u-7");
    let browser = Browser::new(&acme.world);
    let set_to = |name: &'static str, value: Value| move |c: &mut Value| c[name] = value.clone();
    for (name, value) in [
        ("iss", json!("https://evil.example")),
        ("aud", json!("another")),
        ("aud", json!(["clinic", "another"])),
        ("azp", json!("another")),
        ("exp", json!(BEGIN - 100)),
        ("iat", json!(BEGIN - 1_000)),
        ("nonce", json!("another")),
        ("at_hash", json!("x")),
        ("sub", json!("")),
    ] {
        let refused = acme.through(&browser, &set_to(name, value.clone()));
        assert_eq!(refused.code, 401, "{name} {value}: {}", text(&refused));
        assert!(text(&refused).contains("provider-answer"), "{name}");
        browser.account().status(303);
    }
    // Of other keys, by a secret that everyone knows, by nobody.
    let forged = Pair::es256("k1");
    let known = jsonwebtoken::EncodingKey::from_secret(acme.pair.public.to_string().as_bytes());
    for forge in [
        &(|claims: &Value| forged.sign(claims)) as &dyn Fn(&Value) -> String,
        &|claims| {
            let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
            jsonwebtoken::encode(&header, claims, &known).unwrap()
        },
        &|claims| {
            let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
            format!("{header}.{}.", URL_SAFE_NO_PAD.encode(claims.to_string()))
        },
    ] {
        let left = asked(&browser.open("/t/lakeside/auth/providers/acme"));
        let claims = acme.claims(&first(&left, "nonce").unwrap());
        *acme.gives.lock() = json!({ "id_token": forge(&claims) });
        let state = first(&left, "state").unwrap();
        let refused = browser.open(&callback(&format!("code=c&state={state}")));
        assert_eq!(refused.code, 401, "{}", text(&refused));
    }
    // The provider does not take the code, or says so at once.
    let left = asked(&browser.open("/t/lakeside/auth/providers/acme"));
    *acme.gives.lock() = Value::Null;
    let state = first(&left, "state").unwrap();
    let refused = browser
        .open(&callback(&format!("code=c&state={state}")))
        .status(401);
    assert!(text(&refused).contains("invalid_grant"));
    let left = asked(&browser.open("/t/lakeside/auth/providers/acme"));
    let state = first(&left, "state").unwrap();
    let denied = format!("error=access_denied&state={state}");
    let refused = browser.open(&callback(&denied)).status(401);
    assert!(text(&refused).contains("access_denied"));
    browser.account().status(303);
    is_in(&acme.through(&browser, &|_| {}));
}

#[test]
fn an_answer_of_another_issuer_is_not_taken_to_this_one() {
    let acme = Acme::new(&|_| {});
    let (_admin, _) = acme.linked("u-7");
    acme.describe(&json!({ "authorization_response_iss_parameter_supported": true }));
    let browser = Browser::new(&acme.world);
    for (iss, wanted) in [
        ("", 401),
        ("&iss=https://evil.example", 401),
        ("&iss=https://id.example", 303),
    ] {
        let left = asked(&browser.open("/t/lakeside/auth/providers/acme"));
        let claims = acme.claims(&first(&left, "nonce").unwrap());
        *acme.gives.lock() = json!({ "id_token": acme.pair.sign(&claims) });
        let state = first(&left, "state").unwrap();
        browser
            .open(&callback(&format!("code=c&state={state}{iss}")))
            .status(wanted);
    }
    // A description that is another's.
    let other = Acme::new(&|_| {});
    other.describe(&json!({ "issuer": "https://id.example/" }));
    let browser = Browser::new(&other.world);
    browser.open("/t/lakeside/auth/providers/acme").status(401);
    let other = Acme::new(&|_| {});
    other.describe(&json!({ "authorization_endpoint": "javascript:alert(1)" }));
    let browser = Browser::new(&other.world);
    browser.open("/t/lakeside/auth/providers/acme").status(400);
}

#[test]
fn nobody_is_somebody_by_a_name_or_an_address() {
    let acme = Acme::new(&|_| {});
    // Root@Clinic has the e-mail address and the name that the provider tells.
    let admin = administrator(&acme.world, "lakeside");
    let browser = Browser::new(&acme.world);
    let claims = |c: &mut Value| {
        c["email"] = "root@clinic".into();
        c["email_verified"] = true.into();
        c["preferred_username"] = "root@clinic".into();
    };
    let refused = acme.through(&browser, &claims).status(403);
    assert!(text(&refused).contains("account-unlinked"));
    let draft = json!({ "login": "ada", "name": "Ada" });
    let (_, id) = person(&admin, &draft);
    // The same subject at another issuer is somebody else.
    let accounts = json!({ "accounts": [{ "issuer": "https://other.example", "subject": "u-7" }] });
    admin
        .api(&format!("PATCH people/{id}"), &accounts)
        .status(200);
    acme.through(&browser, &claims).status(403);
    let accounts = json!({ "accounts": [{ "issuer": ISSUER, "subject": "u-7" }] });
    admin
        .api(&format!("PATCH people/{id}"), &accounts)
        .status(200);
    is_in(&acme.through(&browser, &claims));
    assert!(text(&browser.account()).contains("Ada"));
    // One account is one person's.
    let (_, other) = person(&admin, &json!({ "login": "bob", "name": "Bob" }));
    admin
        .api(&format!("PATCH people/{other}"), &accounts)
        .refused(409, "login-taken");
    // Who may not sign in may not by another door.
    admin
        .api(&format!("PATCH people/{id}"), &json!({ "disabled": true }))
        .status(200);
    browser.account().status(303);
    acme.through(&browser, &claims).status(403);
}

fn mapped(draft: &mut Value) {
    draft["roles_claim"] = "groups".into();
    draft["roles"] = json!({ "nurses": ["nurse@Organization/7"], "docs": ["clinician"] });
}

fn roles(admin: &Browser<'_>, login: &str) -> Value {
    let people = admin.api("GET people", &Value::Null).status(200).json();
    let found = people["people"]
        .as_array()
        .unwrap()
        .iter()
        .find(|p| p["login"] == login);
    found.unwrap_or(&Value::Null)["roles"].clone()
}

#[test]
fn who_is_known_there_and_gets_a_role_is_made_known_here_if_that_is_wanted() {
    let acme = Acme::new(&mapped);
    let admin = administrator(&acme.world, "lakeside");
    let browser = Browser::new(&acme.world);
    acme.through(&browser, &|_| {}).status(403);
    let acme = Acme::new(&|draft| {
        mapped(draft);
        draft["just_in_time"] = true.into();
    });
    let admin_of = administrator(&acme.world, "lakeside");
    drop(admin);
    let browser = Browser::new(&acme.world);
    acme.through(&browser, &|c| c["groups"] = json!(["other"]))
        .status(403);
    is_in(&acme.through(&browser, &|_| {}));
    assert_eq!(
        roles(&admin_of, "ada@acme"),
        json!(["nurse@Organization/7"])
    );
    // Next time the roles are what the claims come to then, and sessions of before are over.
    let again = Browser::new(&acme.world);
    is_in(&acme.through(&again, &|c| c["groups"] = json!(["docs"])));
    assert_eq!(roles(&admin_of, "ada@acme"), json!(["clinician"]));
    browser.account().status(303);
    again.account().status(200);
    let third = Browser::new(&acme.world);
    is_in(&acme.through(&third, &|c| c["groups"] = json!([])));
    assert_eq!(roles(&admin_of, "ada@acme"), json!([]));
    // A name that is somebody's already makes nobody them.
    let taken = |c: &mut Value| {
        c["sub"] = "u-8".into();
        c["preferred_username"] = "root@clinic".into();
    };
    let other = Browser::new(&acme.world);
    is_in(&acme.through(&other, &taken));
    assert_eq!(
        roles(&admin_of, "u-8@acme"),
        json!(["nurse@Organization/7"])
    );
    assert_eq!(
        roles(&admin_of, "root@clinic"),
        json!(["tenant-administrator"])
    );
}

#[test]
fn what_somebody_has_by_claims_ends_with_them() {
    let acme = Acme::new(&mapped);
    // What the clinic gave by hand stays, also where a value comes to it.
    let (admin, id) = acme.linked("u-7");
    let (by_hand, with_claims) = (
        json!(["clinician"]),
        json!(["clinician", "nurse@Organization/7"]),
    );
    let come = || {
        let browser = Browser::new(&acme.world);
        is_in(&acme.through(&browser, &|_| {}));
        assert_eq!(roles(&admin, "ada"), with_claims);
        browser
    };
    let first = come();
    // Nobody says today that they still hold.
    let local = Browser::new(&acme.world);
    local.sign_in("lakeside", "ada", PASSWORD).status(303);
    assert_eq!(roles(&admin, "ada"), by_hand);
    first.account().status(303);
    local.account().status(200);
    come();
    // Another mapping.
    let mut draft = json!({
        "id": "acme", "name": "Acme Health", "issuer": ISSUER, "client_id": "clinic",
    });
    let path = format!("POST {PROVIDERS}");
    acme.world.admin(&path, &draft).status(201);
    assert_eq!(roles(&admin, "ada"), by_hand);
    mapped(&mut draft);
    acme.world.admin(&path, &draft).status(201);
    come();
    // Another account, by an administrator.
    let line = format!("PATCH people/{id}");
    admin.api(&line, &json!({ "accounts": [] })).status(200);
    assert_eq!(roles(&admin, "ada"), by_hand);
    let account = json!({ "issuer": ISSUER, "subject": "u-7" });
    admin
        .api(&line, &json!({ "accounts": [account] }))
        .status(200);
    // By the person.
    let ada = come();
    let fields = [("issuer", ISSUER), ("subject", "u-7")];
    let unlink = "/t/lakeside/auth/account/unlink";
    ada.send(&ada.account(), unlink, &fields).status(401);
    let fields = [fields[0], fields[1], ("password", PASSWORD)];
    ada.send(&ada.account(), unlink, &fields).status(303);
    assert_eq!(roles(&admin, "ada"), by_hand);
    admin
        .api(&line, &json!({ "accounts": [account] }))
        .status(200);
    come();
    // No provider any more.
    let path = format!("DELETE {PROVIDERS}/acme");
    acme.world.admin(&path, &Value::Null).status(204);
    assert_eq!(roles(&admin, "ada"), by_hand);
}

#[test]
fn an_invitation_is_accepted_with_an_account() {
    let acme = Acme::new(&|_| {});
    let admin = administrator(&acme.world, "lakeside");
    let draft = json!({ "login": "ada", "name": "Ada" });
    let invited = admin.api("POST people", &draft).status(201);
    let link = invited.text("/invitation");
    let browser = Browser::new(&acme.world);
    let page = browser.open(&link).status(200);
    let path = "/t/lakeside/auth/providers/acme";
    // Another page cannot have it accepted, and nobody's account is taken by the way.
    let token = link.split_once("token=").unwrap().1.to_owned();
    let foreign = [("token".to_owned(), token)];
    Browser::new(&acme.world).post(path, &foreign).status(403);
    let left = going_on(&browser.send(&page, path, &[]).status(200));
    assert_eq!(first(&left, "prompt").as_deref(), Some("login"));
    acme.back(&browser, &left, &|_| {}).status(401);
    let left = going_on(&browser.send(&page, path, &[]).status(200));
    is_in(&acme.back(&browser, &left, &anew));
    assert!(text(&browser.account()).contains("Ada"));
    Browser::new(&acme.world).open(&link).status(410);
    // The same account again, without the invitation.
    is_in(&acme.through(&Browser::new(&acme.world), &|_| {}));
}

#[test]
fn a_passkey_of_somebody_without_a_password_is_second_to_their_account() {
    let acme = Acme::at(Some(passkeys::ORIGIN), &|_| {});
    let admin = administrator(&acme.world, "lakeside");
    let draft = json!({ "login": "ada", "name": "Ada", "roles": ["tenant-administrator"] });
    let invited = admin.api("POST people", &draft).status(201);
    let ada = Browser::new(&acme.world);
    let page = ada.open(&invited.text("/invitation")).status(200);
    let path = "/t/lakeside/auth/providers/acme";
    let left = going_on(&ada.send(&page, path, &[]).status(200));
    acme.back(&ada, &left, &anew).status(303);
    let begin = "/t/lakeside/auth/account/begin-passkey";
    let mut device = Device::new();
    let account = ada.account().status(200);
    let page = ada.send(&account, begin, &[]).status(200);
    let answer = device.create(&passkeys::asked(&page));
    passkeys::add(&ada, &page, &answer).status(200);
    // The session is one of one factor, as it was.
    ada.api("POST registration-tokens", &json!({}))
        .refused(403, "step-up-required");
    // Alone it is nothing: the provider may have turned them away.
    passkeys::alone(&Browser::new(&acme.world), &mut device).status(401);
    let again = Browser::new(&acme.world);
    let asks = acme.through(&again, &anew).status(200);
    let answer = device.get(&passkeys::asked(&asks));
    let fields = [("answer", answer.as_str())];
    let second = "/t/lakeside/auth/second-factor";
    again.send(&asks, second, &fields).status(303);
    again.account().status(200);
    // Not by whoever has signed in a while ago.
    acme.world.clock.forward_secs(301);
    let page = passkeys::proving(&again, "begin-passkey", "");
    let answer = device.get(&passkeys::asked(&page));
    again.send(&page, begin, &[("answer", &answer)]).status(403);
    // With the account goes what was second to it.
    admin
        .api(
            &format!("PATCH people/{}", invited.text("/id")),
            &json!({ "accounts": [] }),
        )
        .status(200)
        .at("/passkeys", 0)
        .at("/second_factor", false);
}

#[test]
fn an_account_is_linked_and_taken_back_by_its_person() {
    let acme = Acme::new(&|_| {});
    let admin = administrator(&acme.world, "lakeside");
    let (ada, _) = person(&admin, &json!({ "login": "ada", "name": "Ada" }));
    let (bob, _) = person(&admin, &json!({ "login": "bob", "name": "Bob" }));
    let path = "/t/lakeside/auth/account/link";
    // Whoever holds a stolen session does not know the password.
    let wrong = [("id", "acme"), ("password", "not the password")];
    ada.send(&ada.account(), path, &wrong).status(401);
    let right = [("id", "acme"), ("password", PASSWORD)];
    let page = ada.send(&ada.account(), path, &right).status(200);
    let left = going_on(&page);
    assert_eq!(first(&left, "prompt").as_deref(), Some("login"));
    // Bob comes back with what Ada left for.
    acme.back(&bob, &left, &anew).status(403);
    is_in(&acme.back(&ada, &left, &anew));
    let account = ada.account();
    assert!(text(&account).contains("u-7"));
    is_in(&acme.through(&Browser::new(&acme.world), &|_| {}));

    let through = Browser::new(&acme.world);
    is_in(&acme.through(&through, &|_| {}));
    let unlink = "/t/lakeside/auth/account/unlink";
    let of = [("issuer", ISSUER), ("subject", "u-7")];
    for password in ["", "not the password"] {
        let fields = [of[0], of[1], ("password", password)];
        ada.send(&account, unlink, &fields).status(401);
    }
    through.account().status(200);
    // Another's is nobody's here.
    let fields = [of[0], ("subject", "u-8"), ("password", PASSWORD)];
    ada.send(&account, unlink, &fields).status(404);
    let fields = [of[0], of[1], ("password", PASSWORD)];
    ada.send(&account, unlink, &fields).status(303);
    through.account().status(303);
    acme.through(&through, &|_| {}).status(403);
    ada.account().status(200);
}

#[test]
fn who_is_signed_in_proves_anew_who_they_are() {
    let acme = Acme::new(&|_| {});
    let (_admin, _) = acme.linked("u-7");
    let browser = Browser::new(&acme.world);
    is_in(&acme.through(&browser, &|_| {}));
    let left = asked(&browser.open("/t/lakeside/auth/providers/acme"));
    assert_eq!(first(&left, "prompt").as_deref(), Some("login"));
    acme.back(&browser, &left, &|_| {}).status(401);
    let left = asked(&browser.open("/t/lakeside/auth/providers/acme"));
    acme.back(&browser, &left, &|c| c["auth_time"] = json!(BEGIN - 300))
        .status(401);
    let left = asked(&browser.open("/t/lakeside/auth/providers/acme"));
    is_in(&acme.back(&browser, &left, &|c| c["auth_time"] = json!(BEGIN)));
}

#[test]
fn what_the_token_does_not_say_is_asked_for() {
    let acme = Acme::new(&|draft| {
        mapped(draft);
        draft["just_in_time"] = true.into();
    });
    let admin = administrator(&acme.world, "lakeside");
    let userinfo = "https://id.example/me";
    acme.describe(&json!({ "userinfo_endpoint": userinfo }));
    let browser = Browser::new(&acme.world);
    let through = |told: Value| {
        acme.elsewhere.serve(userinfo, &told);
        let left = asked(&browser.open("/t/lakeside/auth/providers/acme"));
        let mut claims = acme.claims(&first(&left, "nonce").unwrap());
        claims.as_object_mut().unwrap().remove("groups");
        let token = acme.pair.sign(&claims);
        *acme.gives.lock() = json!({ "id_token": token, "access_token": "at" });
        let state = first(&left, "state").unwrap();
        browser.open(&callback(&format!("code=c&state={state}")))
    };
    through(json!({ "sub": "u-9", "groups": ["nurses"] })).status(401);
    is_in(&through(
        json!({ "sub": "u-7", "groups": ["nurses"], "name": "Eve" }),
    ));
    let asked = acme.elsewhere.last(userinfo);
    assert_eq!(asked.authorization.as_deref(), Some("Bearer at"));
    assert_eq!(roles(&admin, "ada@acme"), json!(["nurse@Organization/7"]));
    // What is signed stands.
    assert!(text(&browser.account()).contains("Ada L."));
}

#[test]
fn the_provider_ends_sessions_behind_the_browsers_back() {
    let acme = Acme::new(&|_| {});
    let (admin, _) = acme.linked("u-7");
    let (one, two) = (Browser::new(&acme.world), Browser::new(&acme.world));
    is_in(&acme.through(&one, &|_| {}));
    is_in(&acme.through(&two, &|c| c["sid"] = "sid-2".into()));
    for (name, value) in [
        ("iss", json!("https://evil.example")),
        ("aud", json!("another")),
        ("nonce", json!("n")),
        ("events", json!({})),
        ("iat", json!(BEGIN - 1_000)),
        ("jti", json!("")),
    ] {
        let refused = acme.logout(&|c| c[name] = value.clone()).status(400);
        refused.at("/error", "invalid_request");
    }
    one.account().status(200);
    // Somebody else's session, another session, then this one.
    acme.logout(&|c| {
        c["sub"] = "u-8".into();
        c["jti"] = "j-0".into();
    })
    .status(200);
    one.account().status(200);
    acme.logout(&|_| {})
        .status(200)
        .header("cache-control", "no-store");
    one.account().status(303);
    two.account().status(200);
    acme.logout(&|_| {}).status(400);
    // All of the person's.
    acme.logout(&|c| {
        c["jti"] = "j-2".into();
        c.as_object_mut().unwrap().remove("sid");
    })
    .status(200);
    two.account().status(303);
    admin.account().status(200);
}

#[test]
fn a_provider_that_is_forgotten_lets_nobody_in_any_more() {
    let acme = Acme::new(&|_| {});
    let (admin, _) = acme.linked("u-7");
    let browser = Browser::new(&acme.world);
    is_in(&acme.through(&browser, &|_| {}));
    let path = format!("DELETE {PROVIDERS}/acme");
    acme.world.admin(&path, &Value::Null).status(204);
    acme.world
        .admin(&path, &Value::Null)
        .refused(404, "provider-unknown");
    browser.account().status(303);
    admin.account().status(200);
    browser.open("/t/lakeside/auth/providers/acme").status(404);
    acme.logout(&|_| {}).refused(404, "provider-unknown");
    let page = browser.open("/t/lakeside/auth/login");
    assert!(!text(&page).contains("Acme"));
}

#[test]
fn two_factors_there_count_where_the_clinic_says_so() {
    let acme = Acme::new(&|draft| draft["two_factors"] = json!(["mfa"]));
    let (_admin, _) = acme.linked("u-7");
    let browser = Browser::new(&acme.world);
    is_in(&acme.through(&browser, &|c| c["amr"] = json!(["pwd", "mfa"])));
    let me = Browser::new(&acme.world);
    is_in(&acme.through(&me, &|_| {}));
    // Who has one-time codes here shows one, where one factor was enough there.
    let begun = me
        .send(
            &me.account(),
            "/t/lakeside/auth/account/begin-totp",
            &[("password", PASSWORD)],
        )
        .status(200);
    let secret = between(&begun, "<code id=\"secret\">", "</code>");
    let shown = code(&acme.world, &secret);
    me.send(
        &begun,
        "/t/lakeside/auth/account/confirm-totp",
        &[("code", &shown)],
    )
    .status(200);
    let other = Browser::new(&acme.world);
    let asked = acme.through(&other, &|_| {}).status(200);
    other.account().status(303);
    acme.world.clock.forward_secs(30);
    let shown = code(&acme.world, &secret);
    let path = "/t/lakeside/auth/second-factor";
    is_in(&other.send(&asked, path, &[("code", &shown)]));
    other.account().status(200);
    let strong = Browser::new(&acme.world);
    let amr = |c: &mut Value| {
        c["amr"] = json!(["mfa"]);
    };
    is_in(&acme.through(&strong, &amr));
}

#[test]
fn a_provider_signs_as_it_likes_with_its_own_keys() {
    let acme = Acme::new(&|_| {});
    let (_admin, _) = acme.linked("u-7");
    let rsa = RsaPair::new("r1");
    let es384 = Pair::es384("e1");
    let keys = json!({ "keys": [acme.pair.public, es384.public, rsa.public] });
    acme.elsewhere.serve(KEYS, &keys);
    let signed = |sign: &dyn Fn(&Value) -> String| {
        let browser = Browser::new(&acme.world);
        let left = asked(&browser.open("/t/lakeside/auth/providers/acme?next=account"));
        let claims = acme.claims(&first(&left, "nonce").unwrap());
        *acme.gives.lock() = json!({ "id_token": sign(&claims) });
        let state = first(&left, "state").unwrap();
        browser
            .open(&callback(&format!("code=c-1&state={}", encode(&state))))
            .code
    };
    assert_eq!(signed(&|c| acme.pair.sign(c)), 303, "ES256");
    assert_eq!(signed(&|c| es384.sign(c)), 303, "ES384");
    for algorithm in [
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
    ] {
        assert_eq!(signed(&|c| rsa.sign(c, algorithm)), 303, "{algorithm:?}");
    }
    // A public key is no secret, and one kind's signature is no other's.
    let modulus = rsa.public["n"].as_str().unwrap().to_owned();
    for secret in [modulus.clone(), rsa.public.to_string(), String::new()] {
        let confused = |c: &Value| {
            let mut header = Header::new(Algorithm::HS256);
            header.kid = Some("r1".into());
            jsonwebtoken::encode(&header, c, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
        };
        assert_eq!(signed(&confused), 401);
    }
    let relabelled = |c: &Value| {
        let token = rsa.sign(c, Algorithm::RS256);
        let (_, rest) = token.split_once('.').unwrap();
        let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"PS256","kid":"r1"}"#);
        format!("{head}.{rest}")
    };
    assert_eq!(signed(&relabelled), 401);
    let unsigned = |c: &Value| {
        let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":"r1"}"#);
        format!("{head}.{}.", URL_SAFE_NO_PAD.encode(c.to_string()))
    };
    assert_eq!(signed(&unsigned), 401);
}

#[test]
fn only_a_good_provider_is_set() {
    let acme = Acme::without();
    let path = format!("POST {PROVIDERS}");
    let draft = json!({ "id": "acme", "name": "Acme", "issuer": ISSUER, "client_id": "x" });
    for (name, value, code) in [
        ("id", json!("A b"), "request-invalid"),
        ("id", json!(7), "request-invalid"),
        ("name", json!(""), "request-invalid"),
        ("issuer", json!("http://id.example"), "outbound-refused"),
        ("issuer", json!("https://inside"), "outbound-refused"),
        ("issuer", json!("https://id.example?x"), "request-invalid"),
        ("scopes", json!(["profile"]), "request-invalid"),
        ("roles_claim", json!("groups"), "request-invalid"),
        ("roles", json!({ "a": ["b"] }), "request-invalid"),
        ("house", json!(true), "request-invalid"),
        ("unknown", json!(1), "request-invalid"),
    ] {
        let mut draft = draft.clone();
        draft[name] = value;
        acme.world.admin(&path, &draft).refused(400, code);
    }
    // The operator would make themselves an administrator by claims.
    for role in ["Not A Role", "tenant-administrator"] {
        let mut wrong = draft.clone();
        wrong["roles_claim"] = "groups".into();
        wrong["roles"] = json!({ "a": [role] });
        acme.world
            .admin(&path, &wrong)
            .refused(400, "request-invalid");
    }
    acme.world.admin(&path, &draft).status(201);
}

/// The resource that stands for a person, as their claims say: with policies that go by it.
#[test]
fn a_claim_says_which_resource_stands_for_a_person() {
    let acme = Acme::new(&|draft| {
        mapped(draft);
        draft["just_in_time"] = true.into();
        draft["fhir_user_claim"] = "practitioner".into();
    });
    let admin = administrator(&acme.world, "lakeside");
    let user_of = || {
        let people = admin.api("GET people", &Value::Null).status(200).json();
        let people = people["people"].as_array().unwrap().clone();
        let ada = people.into_iter().find(|p| p["login"] == "ada@acme");
        ada.map(|p| p["fhir_user"].clone()).unwrap_or_default()
    };
    let come = |claim: Value| {
        let browser = Browser::new(&acme.world);
        let answer = acme.through(&browser, &|c| c["practitioner"] = claim.clone());
        (browser, answer)
    };
    // What is no resource that can stand for a person makes nobody known.
    for wrong in [
        "Organization/1",
        "Practitioner",
        "Practitioner/../x",
        "dr-1",
    ] {
        assert_eq!(come(json!(wrong)).1.code, 401, "{wrong}");
    }
    assert_eq!(user_of(), Value::Null);
    let (first, answer) = come(json!("Practitioner/dr-1"));
    is_in(&answer);
    assert_eq!(user_of(), "Practitioner/dr-1");
    // Another one the next time ends what was begun as the first.
    let (second, answer) = come(json!("Practitioner/dr-2"));
    is_in(&answer);
    assert_eq!(user_of(), "Practitioner/dr-2");
    first.account().status(303);
    second.account().status(200);
    // Without the claim nobody stands for them any more.
    is_in(&come(Value::Null).1);
    assert_eq!(user_of(), Value::Null);
    second.account().status(303);
}
