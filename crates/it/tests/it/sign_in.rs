//! Programs of other makers that a person signs in to, as their users run them. The scripts lie in
//! `crates/it/clients`.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use testkit::Request;
use testkit::build::{patient_identified, with_id};
use testkit::http::Answer;
use testkit::outside;
use testkit::world::Tenant;

pub(crate) const PASSWORD: &str = "correct horse battery staple";
const FORM: &str = "application/x-www-form-urlencoded";

/// Asks the operator's API about a tenant.
pub(crate) fn admin(tenant: &Tenant, path: &str, body: &Value) -> Value {
    let target = format!("/admin/v1/tenants/{}{path}", tenant.name());
    let request = Request::new("POST", &target).content("application/json", body.to_string());
    tenant.world().server().admin(request).expect(201).json()
}

/// Opens an invitation and sets a password; the cookies that the browser keeps.
pub(crate) fn accept(tenant: &Tenant, invitation: &str) -> String {
    let server = tenant.world().server();
    let path = invitation.split_once("/t/").unwrap().1;
    let page = server
        .ask(&Request::new("GET", &format!("/t/{path}")))
        .expect(200);
    let cookie = |text: &str| text.split(';').next().unwrap().to_owned();
    let form_cookie = cookie(page.header("set-cookie").unwrap());
    let field = |name: &str| {
        let html = page.text();
        let rest = html.split(&format!("name=\"{name}\" value=\"")).nth(1);
        rest.unwrap().split('"').next().unwrap().to_owned()
    };
    let password = PASSWORD.replace(' ', "+");
    let body = format!(
        "_form={}&token={}&password={password}&again={password}",
        field("_form"),
        field("token")
    );
    let target = format!("/t/{}/auth/invitation", tenant.name());
    let send = Request::new("POST", &target)
        .header("Cookie", &form_cookie)
        .content(FORM, body);
    let done = server.ask(&send).expect(303);
    cookie(done.header("set-cookie").unwrap())
}

/// A tenant with a patient, `p1`, who signs in as `doe`.
fn tenant(config: &Value) -> Tenant {
    let tenant = crate::world::shared().tenant_with(config);
    let owner = tenant.owner();
    owner
        .put(&with_id(patient_identified("Doe", "1"), "p1"))
        .expect(201);
    let root = json!({ "login": "root", "name": "Root", "roles": ["tenant-administrator"] });
    let made = admin(&tenant, "/people", &root);
    let session = accept(&tenant, made["invitation"].as_str().unwrap());
    let doe = json!({ "login": "doe", "name": "J. Doe", "fhir_user": "Patient/p1" });
    let target = format!("/t/{}/auth/people", tenant.name());
    let request = Request::new("POST", &target)
        .header("Cookie", &session)
        .content("application/json", doe.to_string());
    let made = tenant.world().server().ask(&request).expect(201).json();
    accept(&tenant, made["invitation"].as_str().unwrap());
    tenant
}

/// A program with this redirect URI: its id and, unless it is public, its secret.
fn program(tenant: &Tenant, redirect: &str, public: bool) -> (String, String) {
    let draft = json!({
        "name": "A program", "public": public, "redirect_uris": [redirect],
        "scopes": ["openid", "fhirUser", "profile", "launch", "launch/patient", "patient/*.rs",
                   "offline_access"],
    });
    let made = admin(tenant, "/clients", &draft);
    let text = |member: &str| made[member].as_str().unwrap_or_default().to_owned();
    (text("client_id"), text("client_secret"))
}

/// Runs a script; what it prints.
pub(crate) fn run(script: &str, arguments: &[&str]) -> String {
    let folder = outside::client("node").expect("the folder of its parent");
    let output = Command::new("node")
        .arg(format!("{}/clients/{script}", env!("CARGO_MANIFEST_DIR")))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{script}: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// A text as the value of a field of a form.
pub(crate) fn encoded(text: &str) -> String {
    let one = |b: u8| match b {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(b).to_string(),
        _ => format!("%{b:02X}"),
    };
    text.bytes().map(one).collect()
}

/// A browser that keeps the newest cookie of each name, and sends forms as pages give them out.
pub(crate) struct Browser<'t> {
    tenant: &'t Tenant,
    cookies: Vec<(String, String)>,
}

impl<'t> Browser<'t> {
    pub(crate) fn new(tenant: &'t Tenant) -> Self {
        Self {
            tenant,
            cookies: Vec::new(),
        }
    }

    /// Lets the program of a page that asks so act.
    pub(crate) fn approve(&mut self, page: &str) -> Answer {
        let form = page
            .split("<form ")
            .find(|f| f.contains("_decision"))
            .unwrap();
        let form = form.split("</form>").next().unwrap();
        let value = |input: &str, name: &str| {
            let rest = input.split(&format!("{name}=\"")).nth(1)?;
            Some(rest.split('"').next()?.replace("&amp;", "&"))
        };
        let hidden = form
            .split("<input ")
            .filter(|i| i.contains("type=\"hidden\""));
        let fields: Vec<String> = hidden
            .filter_map(|i| Some((value(i, "name")?, value(i, "value")?)))
            .map(|(n, v)| format!("{n}={}", encoded(&v)))
            .collect();
        let body = format!("{}&_decision=approve", fields.join("&"));
        let target = format!("/t/{}/auth/authorize", self.tenant.name());
        self.ask(Request::new("POST", &target).content(FORM, body))
    }

    pub(crate) fn ask(&mut self, request: Request) -> Answer {
        let pairs: Vec<String> = self
            .cookies
            .iter()
            .map(|(n, v)| format!("{n}={v}"))
            .collect();
        let request = request.header("Cookie", &pairs.join("; "));
        let answer = self.tenant.world().server().ask(&request);
        let set = answer
            .headers
            .iter()
            .filter(|(name, _)| name == "set-cookie");
        for (_, value) in set {
            let (name, value) = value.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.retain(|(n, _)| n != name);
            self.cookies.push((name.to_owned(), value.to_owned()));
        }
        answer
    }

    pub(crate) fn page(&mut self, path: &str) -> String {
        let target = format!("/t/{}/auth/{path}", self.tenant.name());
        let page = self.ask(Request::new("GET", &target)).expect(200);
        page.text().to_owned()
    }

    pub(crate) fn send(&mut self, path: &str, page: &str, fields: &[(&str, &str)]) -> Answer {
        let given = |name: &str| {
            let rest = page.split(&format!("name=\"{name}\" value=\"")).nth(1)?;
            rest.split('"').next().map(str::to_owned)
        };
        let mut body = format!("_form={}", given("_form").unwrap());
        for name in ["ticket", "next"] {
            if let Some(value) = given(name) {
                let value = encoded(&value.replace("&amp;", "&"));
                body.push_str(&format!("&{name}={value}"));
            }
        }
        for (name, value) in fields {
            body.push_str(&format!("&{name}={}", value.replace(' ', "+")));
        }
        let target = format!("/t/{}/auth/{path}", self.tenant.name());
        self.ask(Request::new("POST", &target).content(FORM, body))
    }

    /// What comes of the login and the password.
    fn sign_in(&mut self) -> Answer {
        let page = self.page("login");
        self.send("login", &page, &[("login", "doe"), ("password", PASSWORD)])
    }
}

/// The code that another maker's program shows at a time.
fn oathtool(secret: &str, at: &str) -> Option<String> {
    let made = Command::new("oathtool")
        .args(["--totp", "--base32", "--now", at, secret])
        .output();
    let Ok(made) = made else {
        outside::skipped("no oathtool; `cargo xtask test` brings it");
        return None;
    };
    assert!(made.status.success(), "{made:?}");
    Some(String::from_utf8(made.stdout).unwrap().trim().to_owned())
}

#[test]
fn oathtool_shows_the_codes_that_are_asked_for() {
    let tenant = tenant(&json!({}));
    let browser = || Browser::new(&tenant);
    let mut doe = browser();
    doe.sign_in().expect(303);
    let account = doe.page("account");
    let begun = doe.send("account/begin-totp", &account, &[("password", PASSWORD)]);
    let page = begun.expect(200).text().to_owned();
    let secret = page.split("secret=").nth(1).unwrap();
    let secret = secret.split(['&', '"']).next().unwrap();
    let Some(code) = oathtool(secret, "now") else {
        return;
    };
    let done = doe.send("account/confirm-totp", &page, &[("code", &code)]);
    assert!(done.expect(200).text().contains("ecovery"));
    let mut doe = browser();
    let second = doe.sign_in().expect(200).text().to_owned();
    // Neither one that was shown, nor an old one, nor one of a time to come.
    let old = oathtool(secret, "5 minutes ago").unwrap();
    let early = oathtool(secret, "now + 5 minutes").unwrap();
    for wrong in [&code, &old, &early] {
        doe.send("second-factor", &second, &[("code", wrong)])
            .expect(401);
    }
    let next = oathtool(secret, "now + 30 seconds").unwrap();
    doe.send("second-factor", &second, &[("code", &next)])
        .expect(303);
    doe.page("account");
}

#[test]
fn openid_client_registers_itself() {
    let Some(_) = outside::client("node/node_modules/openid-client") else {
        return;
    };
    let tenant = tenant(&json!({ "registration": "anyone" }));
    let base = tenant.url();
    let issuer = format!("{}/auth", base.strip_suffix("/fhir").unwrap());
    let told = run("registration_judge.mjs", &[&issuer]);
    let told: Value = serde_json::from_str(&told).unwrap();
    let text = |member: &str| told[member].as_str().unwrap();
    let (id, secret) = (text("client_id"), text("client_secret"));
    let path = format!("/registrations/{id}");
    admin(&tenant, &path, &json!({ "decision": "approve" }));
    let own = ["registration_client_uri", "registration_access_token"].map(text);
    run(
        "registration_judge.mjs",
        &[&issuer, id, secret, own[0], own[1]],
    );
}

#[test]
fn openid_client() {
    let Some(_) = outside::client("node/node_modules/openid-client") else {
        return;
    };
    let tenant = tenant(&json!({}));
    let redirect = "http://localhost:9/cb";
    let (public, _) = program(&tenant, redirect, true);
    let (id, secret) = program(&tenant, redirect, false);
    let base = tenant.url();
    let issuer = format!("{}/auth", base.strip_suffix("/fhir").unwrap());
    let arguments = [&issuer, &base, "doe", PASSWORD, &public, &id, &secret];
    run("openid_client_judge.mjs", &arguments);
}

pub(crate) const CHROMIUM: &str = "/usr/bin/chromium";

/// Whether there is a browser.
pub(crate) fn has_chromium() -> bool {
    let there = outside::client("node/node_modules/puppeteer-core").is_some();
    if there && !Path::new(CHROMIUM).exists() {
        outside::skipped("no Chromium; `cargo xtask test` brings it");
        return false;
    }
    there
}

/// A port that is free: its listener is dropped at the end of the statement.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|free| free.local_addr())
        .unwrap()
        .port()
}

#[test]
fn oidc_provider_in_chromium() {
    let provider = outside::client("node/node_modules/oidc-provider");
    if provider.is_none() || !has_chromium() {
        return;
    }
    let world = crate::world::own("corporate", &[("outbound.plain_loopback", "true")]);
    let tenant = world.tenant();
    let port = free_port().to_string();
    let secret = "a secret that both know & keep";
    let draft = json!({
        "id": "acme", "name": "Acme Health", "issuer": format!("http://127.0.0.1:{port}"),
        "client_id": "clinic", "client_secret": secret, "scopes": ["openid", "profile", "groups"],
        "roles_claim": "groups", "roles": { "nurses": ["nurse"] }, "just_in_time": true,
    });
    admin(&tenant, "/identity-providers", &draft);
    let base = tenant.url();
    let root = base.strip_suffix("/fhir").unwrap();
    let arguments = [root, &port, secret, CHROMIUM];
    run("oidc_provider_judge.mjs", &arguments);
    let target = format!("/admin/v1/tenants/{}/people", tenant.name());
    let request = Request::new("GET", &target);
    let people = world.server().admin(request).expect(200).json();
    let made = &people["people"][0];
    assert_eq!(made["login"], "grace@acme");
    assert_eq!(made["roles"], json!(["nurse"]));
}

#[test]
fn passkeys_in_chromium() {
    if !has_chromium() {
        return;
    }
    let tenant = tenant(&json!({}));
    // Browsers bind passkeys to names of hosts, not to addresses.
    let base = tenant.url().replace("127.0.0.1", "localhost");
    let root = base.strip_suffix("/fhir").unwrap();
    let other = crate::world::shared().tenant();
    let other = other.url().replace("127.0.0.1", "localhost");
    let other = other.strip_suffix("/fhir").unwrap();
    let arguments = [root, other, "doe", PASSWORD, CHROMIUM];
    run("passkey_judge.cjs", &arguments);
}

#[test]
fn fhirclient_in_chromium() {
    if !has_chromium() {
        return;
    }
    let (chromium, port) = (CHROMIUM, free_port());
    let origin = format!("http://localhost:{port}");
    let tenant = tenant(&json!({ "cors_origins": [origin] }));
    let (id, _) = program(&tenant, &format!("{origin}/"), true);
    let target = format!("/t/{}/auth/launches", tenant.name());
    let draft = json!({ "client_id": id, "patient": "p1" }).to_string();
    let request = Request::new("POST", &target)
        .header("Authorization", &tenant.owner().authorization.unwrap())
        .content("application/json", draft);
    let made = tenant.world().server().ask(&request).expect(201).json();
    let launch = made["launch"].as_str().unwrap();
    let (base, port) = (tenant.url(), port.to_string());
    let arguments = [&base, "doe", PASSWORD, &id, &port, launch, chromium];
    run("fhirclient_judge.cjs", &arguments);
}
