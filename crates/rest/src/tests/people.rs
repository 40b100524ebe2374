//! People in browsers: invitations, signing in and out, second factors, administering people.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;

use engine::form::encode;
use ring::hmac;
use serde_json::{Value, json};

use super::world::{Answer, JSON, ROOT, World};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
pub(super) const PASSWORD: &str = "correct horse battery staple";

/// A browser that keeps cookies as it is told, by path.
pub(super) struct Browser<'w> {
    pub(super) world: &'w World,
    pub(super) from: IpAddr,
    /// Where the house is, as its links say.
    root: String,
    cookies: RefCell<BTreeMap<String, (String, String)>>,
}

impl<'w> Browser<'w> {
    pub(super) fn new(world: &'w World) -> Self {
        Self {
            world,
            from: "10.9.8.7".parse().unwrap(),
            root: (world.house.config().public_url.clone()).unwrap_or_else(|| ROOT.to_owned()),
            cookies: RefCell::default(),
        }
    }

    pub(super) fn ask(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let path = line.split_once(' ').unwrap().1;
        let all: Vec<String> = self
            .cookies
            .borrow()
            .iter()
            .filter(|(_, (_, of))| path.starts_with(of.as_str()))
            .map(|(name, (value, _))| format!("{name}={value}"))
            .collect();
        let all = all.join("; ");
        let mut headers = headers.to_vec();
        if !all.is_empty() {
            headers.push(("cookie", &all));
        }
        let answer = self
            .world
            .ask_from(self.from, line, &headers, body.to_owned());
        for set in answer.headers.get_all("set-cookie") {
            let set = set.to_str().unwrap();
            assert!(set.contains("; HttpOnly; SameSite=Lax"), "{set}");
            let (pair, rest) = set.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            let path = rest.split("Path=").nth(1).unwrap();
            let path = path.split(';').next().unwrap();
            let mut cookies = self.cookies.borrow_mut();
            if rest.contains("Max-Age=0") {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), (value.to_owned(), path.to_owned()));
            }
        }
        answer
    }

    /// Opens a page, by URL or path.
    pub(super) fn open(&self, url: &str) -> Answer {
        let path = url.strip_prefix(&self.root).unwrap_or(url);
        self.ask(&format!("GET {path}"), &[("accept", "text/html")], "")
    }

    /// Sends the first form of a page that goes to this path, with more fields or others.
    pub(super) fn send(&self, page: &Answer, path: &str, fields: &[(&str, &str)]) -> Answer {
        let html = String::from_utf8_lossy(&page.body).into_owned();
        let form = html
            .split("<form ")
            .skip(1)
            .find(|form| form.contains(&format!("action=\"{}{path}\"", self.root)))
            .unwrap_or_else(|| panic!("no form to {path}: {html}"));
        let form = form.split("</form>").next().unwrap();
        let mut all: Vec<(String, String)> = form
            .split("<input ")
            .skip(1)
            .filter(|input| input.contains("type=\"hidden\""))
            .filter_map(|input| Some((attribute(input, "name")?, attribute(input, "value")?)))
            .filter(|(name, _)| !fields.iter().any(|(n, _)| n == name))
            .collect();
        all.extend(fields.iter().map(|(n, v)| ((*n).into(), (*v).into())));
        self.post(path, &all)
    }

    pub(super) fn post(&self, path: &str, fields: &[(String, String)]) -> Answer {
        let pair = |(n, v): &(String, String)| format!("{}={}", encode(n), encode(v));
        let body: Vec<String> = fields.iter().map(pair).collect();
        self.ask(&format!("POST {path}"), &[FORM], &body.join("&"))
    }

    /// Accepts an invitation; the browser is signed in.
    pub(super) fn accept(&self, invitation: &str) -> Answer {
        let page = self.open(invitation).status(200);
        let path = invitation.strip_prefix(&self.root).unwrap();
        let path = path.split('?').next().unwrap();
        let fields = [("password", PASSWORD), ("again", PASSWORD)];
        self.send(&page, path, &fields).status(303)
    }

    pub(super) fn sign_in(&self, tenant: &str, login: &str, password: &str) -> Answer {
        let path = format!("/t/{tenant}/auth/login");
        let page = self.open(&path).status(200);
        self.send(&page, &path, &[("login", login), ("password", password)])
    }

    pub(super) fn account(&self) -> Answer {
        self.open("/t/lakeside/auth/account")
    }

    pub(super) fn api(&self, line: &str, body: &Value) -> Answer {
        let (method, path) = line.split_once(' ').unwrap();
        let line = format!("{method} /t/lakeside/auth/{path}");
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        self.ask(&line, &[JSON], &body)
    }
}

/// The value of an attribute, without its escapes.
pub(super) fn attribute(tag: &str, name: &str) -> Option<String> {
    let value = tag.split(&format!("{name}=\"")).nth(1)?;
    let value = value.split('"').next()?;
    Some(
        value
            .replace("&quot;", "\"")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&"),
    )
}

/// A tenant's first administrator, signed in.
pub(super) fn administrator<'w>(world: &'w World, tenant: &str) -> Browser<'w> {
    let draft =
        json!({ "login": "Root@Clinic", "name": "Root", "roles": ["tenant-administrator"] });
    let path = format!("POST /admin/v1/tenants/{tenant}/people");
    let invited = world
        .admin(&path, &draft)
        .status(201)
        .at("/state", "invited");
    let browser = Browser::new(world);
    browser.accept(&invited.text("/invitation"));
    browser
}

/// A person whom the administrator made, signed in; and their id.
pub(super) fn person<'w>(by: &Browser<'w>, draft: &Value) -> (Browser<'w>, String) {
    let invited = by.api("POST people", draft).status(201);
    let browser = Browser::new(by.world);
    browser.accept(&invited.text("/invitation"));
    (browser, invited.text("/id"))
}

fn lakeside() -> World {
    let world = World::new();
    world.tenant("lakeside");
    world
}

#[test]
fn an_invitation_is_good_once_and_signs_in() {
    let world = lakeside();
    let admin = administrator(&world, "lakeside");
    let draft = json!({ "login": "ada", "name": "Ada", "roles": ["nurse@Organization/7"] });
    let invited = admin.api("POST people", &draft).status(201);
    let link = invited.text("/invitation");
    let ada = Browser::new(&world);
    ada.account().status(303); // to the sign-in
    let page = ada.open(&link).status(200);
    let path = "/t/lakeside/auth/invitation";
    for (password, again) in [("short", "short"), (PASSWORD, "another of that length")] {
        let fields = [("password", password), ("again", again)];
        ada.send(&page, path, &fields).status(422);
    }
    ada.accept(&link);
    let account = ada.account().status(200);
    assert!(String::from_utf8_lossy(&account.body).contains("Ada"));
    Browser::new(&world).open(&link).status(410);
    let page_csp = page
        .header_text("content-security-policy")
        .unwrap()
        .to_owned();
    assert!(page_csp.contains("default-src 'none'") && page_csp.contains("frame-ancestors 'none'"));

    // The operator makes the first administrator and nobody else.
    let path = "POST /admin/v1/tenants/lakeside/people";
    world.admin(path, &draft).refused(400, "request-invalid");
    let another = json!({ "login": "x", "name": "X", "roles": ["tenant-administrator"] });
    world.admin(path, &another).refused(409, "tenant-state");
    admin.api("POST people", &draft).refused(409, "login-taken");
    ada.api("POST people", &another)
        .refused(403, "scope-missing");
    ada.api("GET people", &Value::Null)
        .refused(403, "scope-missing");
    let all = admin.api("GET people", &Value::Null).status(200).json();
    assert_eq!(all["people"][0]["login"], "ada");
    assert_eq!(all["people"][0]["roles"][0], "nurse@Organization/7");
}

#[test]
fn signing_in_and_out() {
    let world = lakeside();
    let admin = administrator(&world, "lakeside");
    let (ada, id) = person(&admin, &json!({ "login": "ada", "name": "Ada" }));
    let other = Browser::new(&world);
    other
        .sign_in("lakeside", "ada", "wrong password")
        .status(401);
    other.sign_in("lakeside", "nobody", PASSWORD).status(401);
    other.account().status(303);
    other.sign_in("lakeside", " ADA ", PASSWORD).status(303);
    let account = other.account().status(200);
    // One session signs the other one out.
    let html = String::from_utf8_lossy(&account.body).into_owned();
    assert!(html.contains("Another browser"));
    let end = "/t/lakeside/auth/account/end-other-sessions";
    other.send(&account, end, &[]).status(303);
    ada.account().status(303);
    let account = other.account().status(200);
    other
        .send(&account, "/t/lakeside/auth/account/sign-out", &[])
        .status(303);
    other.account().status(303);
    // A form of one session is none in another.
    ada.sign_in("lakeside", "ada", PASSWORD).status(303);
    let form = ada.account();
    other.sign_in("lakeside", "ada", PASSWORD).status(303);
    let path = "/t/lakeside/auth/account/sign-out";
    other.send(&form, path, &[]).status(403);
    other
        .send(&other.account(), path, &[("_form", "")])
        .status(403);

    // Disabled, from the next request on.
    let patch = json!({ "disabled": true });
    let line = format!("PATCH people/{id}");
    admin
        .api(&line, &patch)
        .status(200)
        .at("/state", "disabled");
    ada.account().status(303);
    other.sign_in("lakeside", "ada", PASSWORD).status(401);
    admin.api(&line, &json!({ "disabled": false })).status(200);
    ada.account().status(303);
    ada.sign_in("lakeside", "ada", PASSWORD).status(303);
    let sign_out = format!("POST people/{id}/sign-out");
    admin.api(&sign_out, &json!({})).status(204);
    ada.account().status(303);

    let trail = world.admin(
        "GET /admin/v1/tenants/lakeside/audit?limit=500",
        &Value::Null,
    );
    let trail = trail.json().to_string();
    for told in [
        "sign in from 10.9.8.7",
        "sign out",
        "credentials-invalid",
        "person:",
    ] {
        assert!(trail.contains(told), "{told}");
    }
}

#[test]
fn signing_in_again_goes_on_under_another_cookie() {
    let world = lakeside();
    let admin = administrator(&world, "lakeside");
    let (ada, _) = person(&admin, &json!({ "login": "ada", "name": "Ada" }));
    let cookie = |of: &Browser<'_>| of.cookies.borrow()["insula-lakeside"].0.clone();
    let count = |of: &Browser<'_>| {
        let page = of.account().status(200);
        let html = String::from_utf8_lossy(&page.body).into_owned();
        html.matches("/account/end-session").count()
    };
    let sessions = count(&ada);
    let before = cookie(&ada);
    ada.sign_in("lakeside", "ada", PASSWORD).status(303);
    assert_ne!(before, cookie(&ada));
    assert_eq!(count(&ada), sessions, "no session is left behind");
    let old = format!("insula-lakeside={before}");
    let headers = [("cookie", old.as_str()), ("accept", "text/html")];
    let path = "GET /t/lakeside/auth/account";
    assert_eq!(world.ask(path, &headers, "").code, 303, "the old cookie");
    // Somebody else in the same browser: the first one's session ends.
    let ada_now = cookie(&ada);
    ada.sign_in("lakeside", "root@clinic", PASSWORD).status(303);
    let old = format!("insula-lakeside={ada_now}");
    let headers = [("cookie", old.as_str()), ("accept", "text/html")];
    assert_eq!(world.ask(path, &headers, "").code, 303);
    admin.account().status(200);
}

#[test]
fn unused_sessions_are_ended_too() {
    let world = World::with(|limits| limits.session_idle_seconds_max = 600, |_| {});
    world.tenant("lakeside");
    let admin = administrator(&world, "lakeside");
    let (ada, _) = person(&admin, &json!({ "login": "ada", "name": "Ada" }));
    world.clock.forward_secs(500);
    let other = Browser::new(&world);
    other.sign_in("lakeside", "ada", PASSWORD).status(303);
    world.clock.forward_secs(200);
    // The first is unused for too long; ended in that state, it does not come back with a clock that
    // is set right.
    ada.account().status(303);
    let end = "/t/lakeside/auth/account/password";
    let new = "another horse, another battery";
    let fields = [("old", PASSWORD), ("new", new), ("again", new)];
    other.send(&other.account(), end, &fields).status(303);
    world.clock.forward_secs(-300);
    ada.account().status(303);
    other.account().status(200);
}

#[test]
fn what_programs_fail_at_does_not_hold_people_up() {
    let world = World::with(|limits| limits.failed_logins_per_minute_max = 3, |_| {});
    world.tenant("lakeside");
    let admin = administrator(&world, "lakeside");
    for _ in 0..6 {
        let headers = [("authorization", "Basic YTpi")];
        let line = "GET /t/lakeside/fhir/Patient";
        world.ask_from(admin.from, line, &headers, String::new());
    }
    let again = Browser::new(&world);
    again
        .sign_in("lakeside", "root@clinic", PASSWORD)
        .status(303);
}

#[test]
fn a_session_ends_by_itself() {
    let world = lakeside();
    let admin = administrator(&world, "lakeside");
    for _ in 0..4 {
        world.clock.forward_secs(3_000);
        admin.account().status(200);
    }
    world.clock.forward_secs(3_700);
    admin.account().status(303);
    admin
        .sign_in("lakeside", "root@clinic", PASSWORD)
        .status(303);
    for _ in 0..14 {
        world.clock.forward_secs(3_000);
        admin.account().status(200);
    }
    world.clock.forward_secs(2_000);
    admin.account().status(303);
}

#[test]
fn who_guesses_locks_out_nobody_but_themselves() {
    let world = World::with(|limits| limits.sign_in_delay_ms_max = 0, |_| {});
    world.tenant("lakeside");
    let admin = administrator(&world, "lakeside");
    person(&admin, &json!({ "login": "ada", "name": "Ada" }));
    let mut guesser = Browser::new(&world);
    guesser.from = "192.0.2.1".parse().unwrap();
    for _ in 0..5 {
        guesser
            .sign_in("lakeside", "ada", "a wrong password")
            .status(401);
    }
    let held = guesser.sign_in("lakeside", "ada", PASSWORD).status(429);
    assert!(held.header_text("retry-after").is_some() || held.code == 429);
    Browser::new(&world)
        .sign_in("lakeside", "ada", PASSWORD)
        .status(303);
    world.clock.forward_secs(31);
    guesser.sign_in("lakeside", "ada", PASSWORD).status(303);
}

#[test]
fn who_guesses_at_the_same_address_locks_nobody_out_of_a_browser_of_theirs() {
    let world = World::with(|limits| limits.sign_in_delay_ms_max = 0, |_| {});
    world.tenant("lakeside");
    let admin = administrator(&world, "lakeside");
    for name in ["ada", "bob"] {
        person(&admin, &json!({ "login": name, "name": name }));
    }
    let (own, guesser) = (Browser::new(&world), Browser::new(&world));
    own.sign_in("lakeside", "ada", PASSWORD).status(303);
    own.sign_in("lakeside", "bob", PASSWORD).status(303);
    for name in ["ada", "bob"] {
        for _ in 0..5 {
            let wrong = guesser.sign_in("lakeside", name, "a wrong password");
            wrong.status(401);
        }
        guesser.sign_in("lakeside", name, PASSWORD).status(429);
    }
    // Several people of one browser, who are all known to it.
    for name in ["ada", "bob", "ada"] {
        own.sign_in("lakeside", name, PASSWORD).status(303);
    }
    // In it, too, nobody guesses for ever.
    for _ in 0..5 {
        own.sign_in("lakeside", "bob", "a wrong password")
            .status(401);
    }
    own.sign_in("lakeside", "bob", PASSWORD).status(429);
    own.sign_in("lakeside", "ada", PASSWORD).status(303);
    // Who is known as one is not known as another, and what is made up is nothing.
    world.clock.forward_secs(3_600);
    let eve = Browser::new(&world);
    eve.sign_in("lakeside", "bob", PASSWORD).status(303);
    for _ in 0..5 {
        eve.sign_in("lakeside", "ada", "a wrong password")
            .status(401);
    }
    eve.sign_in("lakeside", "ada", PASSWORD).status(429);
    Browser::new(&world)
        .sign_in("lakeside", "ada", PASSWORD)
        .status(429);
    own.sign_in("lakeside", "ada", PASSWORD).status(303);
}

#[test]
fn what_belongs_to_one_tenant_is_worthless_in_another() {
    let world = lakeside();
    world.tenant("hillside");
    let here = administrator(&world, "lakeside");
    let there = administrator(&world, "hillside");
    let account = there.open("/t/hillside/auth/account").status(200);
    drop(account);
    // The cookie of one, by hand, under the name of the other.
    let value = |browser: &Browser<'_>, name: &str| browser.cookies.borrow()[name].0.clone();
    let stolen = value(&there, "insula-hillside");
    for name in ["insula-lakeside", "insula-hillside"] {
        let cookie = format!("{name}={stolen}");
        let headers = [("cookie", cookie.as_str())];
        for line in [
            "GET /t/lakeside/auth/people",
            "GET /t/lakeside/auth/account",
        ] {
            assert_eq!(world.ask(line, &headers, "").code, 401, "{line}");
        }
        let search = world.ask("GET /t/lakeside/fhir/Patient", &headers, "");
        assert_eq!(search.code, 401);
    }
    // Nor does a good cookie open data by itself.
    let own = format!("insula-lakeside={}", value(&here, "insula-lakeside"));
    let headers = [("cookie", own.as_str())];
    assert_eq!(
        world.ask("GET /t/lakeside/fhir/Patient", &headers, "").code,
        401
    );
    assert_eq!(
        world.ask("GET /t/lakeside/auth/people", &headers, "").code,
        200
    );
    // An invitation of the other.
    let invited = there.ask(
        "POST /t/hillside/auth/people",
        &[JSON],
        r#"{"login": "eve", "name": "Eve"}"#,
    );
    let link = invited.status(201).text("/invitation");
    let link = link.replace("/t/hillside/", "/t/lakeside/");
    Browser::new(&world).open(&link).status(410);
    Browser::new(&world)
        .sign_in("lakeside", "eve", PASSWORD)
        .status(401);
}

#[test]
fn what_a_form_of_another_site_could_send_is_refused() {
    let world = lakeside();
    let admin = administrator(&world, "lakeside");
    // Other content types are what a form of another site could send.
    let body = r#"{"login": "x", "name": "X"}"#;
    for kind in ["text/plain", "application/x-www-form-urlencoded"] {
        let kind = [("content-type", kind)];
        let answer = admin.ask("POST /t/lakeside/auth/people", &kind, body);
        assert_eq!(answer.code, 415);
    }
    let switch = r#"{"hold": "enabled", "reason": "x"}"#;
    let draft = r#"{"vendor": "x"}"#;
    let link = r#"{"id": "x"}"#;
    for (path, body) in [
        ("people", body),
        ("vendors", draft),
        ("vendors/acme/switch", switch),
        ("links", link),
        ("registration-tokens", "{}"),
    ] {
        let line = format!("POST /t/lakeside/auth/{path}");
        for headers in [&[][..], &[("content-type", "text/plain")]] {
            assert_eq!(admin.ask(&line, headers, body).code, 415, "{path}");
        }
    }
    // A page of another host of the same site is another's too: its browser says so.
    let line = "POST /t/lakeside/auth/people";
    for (site, code) in [
        ("same-site", 403),
        ("cross-site", 403),
        ("same-origin", 201),
    ] {
        let headers = [JSON, ("sec-fetch-site", site)];
        assert_eq!(admin.ask(line, &headers, body).code, code, "{site}");
    }
    let headers = [("accept", "text/html"), ("sec-fetch-site", "cross-site")];
    let line = "GET /t/lakeside/auth/account";
    assert_eq!(admin.ask(line, &headers, "").code, 200);
    let page = admin.open("/t/lakeside/auth/login").status(200);
    assert!(page.header_text("x-frame-options").is_some());
    admin.open("/t/lakeside/auth/style.css").status(200);
}

#[test]
fn a_lost_administrator_is_invited_anew_by_the_operator() {
    let world = World::new();
    world.tenant("lakeside");
    let people = "POST /admin/v1/tenants/lakeside/people";
    let draft = json!({ "login": "ada", "name": "Ada", "roles": ["tenant-administrator"] });
    let made = world.admin(people, &draft).status(201);
    let id = made.text("/id");
    let line = format!("DELETE /admin/v1/tenants/lakeside/people/{id}");
    world.admin(&line, &Value::Null).status(204);
    let invite = format!("{people}/{id}/invitation");
    let again = world.admin(&invite, &Value::Null).status(201);
    let again = again.at("/state", "invited").text("/invitation");
    Browser::new(&world)
        .open(&made.text("/invitation"))
        .status(410);
    let ada = Browser::new(&world);
    ada.accept(&again);
    ada.sign_in("lakeside", "ada", PASSWORD);
    let nurse = ada.ask(
        "POST /t/lakeside/auth/people",
        &[JSON],
        r#"{"login": "eve", "name": "Eve", "roles": ["nurse"]}"#,
    );
    let nurse = nurse.status(201).text("/id");
    let invite = |id: &str| world.admin(&format!("{people}/{id}/invitation"), &Value::Null);
    invite(&nurse).refused(400, "request-invalid");
    // Who administers now is not taken the place of.
    invite(&id).refused(409, "tenant-state");
    let other = ada.ask(
        "POST /t/lakeside/auth/people",
        &[JSON],
        r#"{"login": "bob", "name": "Bob", "roles": ["tenant-administrator"]}"#,
    );
    invite(&other.status(201).text("/id")).refused(409, "tenant-state");
}

/// The one-time code of a secret in base32 now.
pub(super) fn code(world: &World, secret: &str) -> String {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let (mut bytes, mut buffer, mut bits) = (Vec::new(), 0u32, 0);
    for c in secret.chars() {
        buffer = buffer << 5 | u32::try_from(DIGITS.find(c).unwrap()).unwrap();
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((buffer >> bits & 0xff) as u8);
        }
    }
    let step = world.house.clock().now().as_secs() / 30;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &bytes);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let at = usize::from(tag[19] & 15);
    let word = u32::from_be_bytes(tag[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", word % 1_000_000)
}

/// Has a person show one-time codes from now on, and one now; the secret.
pub(super) fn two_factors(browser: &Browser<'_>) -> String {
    two_factors_at(browser, "lakeside")
}

pub(super) fn two_factors_at(browser: &Browser<'_>, tenant: &str) -> String {
    let base = format!("/t/{tenant}/auth/account");
    let fields = [("password", PASSWORD)];
    let begun = browser.send(&browser.open(&base), &format!("{base}/begin-totp"), &fields);
    let begun = begun.status(200);
    let secret = between(&begun, "<code id=\"secret\">", "</code>");
    let shown = code(browser.world, &secret);
    let confirm = format!("{base}/confirm-totp");
    let fields = [("code", shown.as_str())];
    browser.send(&begun, &confirm, &fields).status(200);
    secret
}

pub(super) fn between(page: &Answer, before: &str, after: &str) -> String {
    let html = String::from_utf8_lossy(&page.body).into_owned();
    let rest = html.split(before).nth(1).unwrap();
    rest.split(after).next().unwrap().to_owned()
}

#[test]
fn a_second_factor_is_asked_for_and_no_code_is_good_twice() {
    let world = lakeside();
    let admin = administrator(&world, "lakeside");
    let (ada, _) = person(&admin, &json!({ "login": "ada", "name": "Ada" }));
    let base = "/t/lakeside/auth/account";
    let begin = |password: &str| {
        let fields = [("password", password)];
        ada.send(&ada.account(), &format!("{base}/begin-totp"), &fields)
    };
    begin("whoever holds the session").status(401);
    let begun = begin(PASSWORD).status(200);
    let secret = between(&begun, "<code id=\"secret\">", "</code>");
    let confirm = format!("{base}/confirm-totp");
    // The page is shown again, with the same secret.
    let wrong = ada.send(&begun, &confirm, &[("code", "000000")]);
    let begun = wrong.status(401);
    assert_eq!(between(&begun, "<code id=\"secret\">", "</code>"), secret);
    assert!(between(&begun, "role=\"alert\">", "</p>").contains("next one"));
    let trail = world.admin(
        "GET /admin/v1/tenants/lakeside/audit?limit=500",
        &Value::Null,
    );
    let trail = trail.status(200).json();
    let refused =
        |line: &Value| line["about"] == "ask for one-time codes" && line["outcome"] == "refused";
    assert!(
        trail["lines"].as_array().unwrap().iter().any(refused),
        "{trail:#}"
    );
    let first = code(&world, &secret);
    let done = ada.send(&begun, &confirm, &[("code", &first)]).status(200);
    let recovery = between(&done, "<li><code>", "</code>");

    let path = "/t/lakeside/auth/second-factor";
    let again = Browser::new(&world);
    let step = again.sign_in("lakeside", "ada", PASSWORD).status(200);
    again.account().status(303);
    again.send(&step, path, &[("code", &first)]).status(401);
    world.clock.forward_secs(30);
    let next = code(&world, &secret);
    again.send(&step, path, &[("code", &next)]).status(303);
    again.account().status(200);

    let third = Browser::new(&world);
    let step = third.sign_in("lakeside", "ada", PASSWORD).status(200);
    third.send(&step, path, &[("code", &next)]).status(401);
    let shouted = recovery.to_uppercase().replace('-', " ");
    third.send(&step, path, &[("code", &shouted)]).status(303);
    let step = Browser::new(&world);
    let page = step.sign_in("lakeside", "ada", PASSWORD).status(200);
    step.send(&page, path, &[("code", &recovery)]).status(401);
    world.clock.forward_secs(301);
    let late = code(&world, &secret);
    step.send(&page, path, &[("code", &late)]).status(403);
}
