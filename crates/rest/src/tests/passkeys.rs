//! Passkeys, by a device of our own: what it may be asked for, what it may answer, and what must not
//! work.
#![expect(clippy::disallowed_methods, reason = "a device draws its keys")]

use base::Limits;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

use super::oauth::{CALLBACK, FORM, Program, code_fields, request, told};
use super::people::{Browser, PASSWORD, administrator, attribute, person};
use super::world::{Answer, World};

pub(super) const ORIGIN: &str = "https://clinic.example";
const HOST: &str = "clinic.example";
pub(super) const ACCOUNT: &str = "/t/lakeside/auth/account";
const PASSKEY: &str = "/t/lakeside/auth/passkey";

fn lakeside(limits: impl FnOnce(&mut Limits)) -> World {
    let world = World::with(limits, |config| config.public_url = Some(ORIGIN.to_owned()));
    world.tenant("lakeside");
    world
}

/// A key on somebody's device.
pub(super) struct Device {
    pair: EcdsaKeyPair,
    id: Vec<u8>,
    person: Vec<u8>,
    counter: u32,
    /// Whether it counts at all.
    counts: bool,
    /// What it says of copies: that there may be some, and that there is one.
    backup: u8,
    verifies: bool,
    origin: &'static str,
}

pub(super) fn coded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

/// The head of an item of CBOR: its kind and its length.
fn head(kind: u8, length: usize) -> Vec<u8> {
    match u8::try_from(length).unwrap() {
        short @ 0..24 => vec![kind << 5 | short],
        long => vec![kind << 5 | 24, long],
    }
}

fn cbor_text(text: &str) -> Vec<u8> {
    [head(3, text.len()), text.as_bytes().to_vec()].concat()
}

fn cbor_bytes(bytes: &[u8]) -> Vec<u8> {
    [head(2, bytes.len()), bytes.to_vec()].concat()
}

impl Device {
    pub(super) fn new() -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let mut id = vec![0; 16];
        random.fill(&mut id).unwrap();
        Self {
            pair: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.as_ref(), &random)
                .unwrap(),
            id,
            person: Vec::new(),
            counter: 0,
            counts: true,
            backup: 0,
            verifies: true,
            origin: ORIGIN,
        }
    }

    /// `authData` without what is about a new key.
    fn about(&mut self, more: u8) -> Vec<u8> {
        self.counter += u32::from(self.counts);
        let flags = 1 | more | self.backup | if self.verifies { 4 } else { 0 };
        let mut out = sha256(HOST.as_bytes());
        out.push(flags);
        out.extend(self.counter.to_be_bytes());
        out
    }

    fn client_data(&self, kind: &str, challenge: &Value) -> Vec<u8> {
        json!({ "type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false })
            .to_string()
            .into_bytes()
    }

    fn told(&self, response: &Value) -> String {
        let id = coded(&self.id);
        json!({ "id": id, "rawId": id, "type": "public-key", "response": response, "extensions": {} })
            .to_string()
    }

    /// Makes its key known: `navigator.credentials.create`.
    pub(super) fn create(&mut self, options: &Value) -> String {
        let options = &options["publicKey"];
        assert_eq!(options["rp"]["id"], HOST);
        assert_eq!(options["attestation"], "none");
        let choice = &options["authenticatorSelection"];
        assert_eq!(choice["userVerification"], "required");
        self.person = URL_SAFE_NO_PAD
            .decode(options["user"]["id"].as_str().unwrap())
            .unwrap();
        let client = self.client_data("webauthn.create", &options["challenge"]);
        let point = self.pair.public_key().as_ref()[1..].to_vec();
        let (x, y) = point.split_at(32);
        // {1: 2 (EC2), 3: -7 (ES256), -1: 1 (P-256), -2: x, -3: y}
        let mut key = vec![0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21];
        key.extend(cbor_bytes(x));
        key.push(0x22);
        key.extend(cbor_bytes(y));
        let mut about = self.about(0x40);
        about.extend([0; 16]);
        about.extend(u16::try_from(self.id.len()).unwrap().to_be_bytes());
        about.extend(&self.id);
        about.extend(key);
        let object = [
            vec![0xa3],
            cbor_text("fmt"),
            cbor_text("none"),
            cbor_text("attStmt"),
            vec![0xa0],
            cbor_text("authData"),
            cbor_bytes(&about),
        ]
        .concat();
        self.told(&json!({ "attestationObject": coded(&object), "clientDataJSON": coded(&client) }))
    }

    /// Shows its key: `navigator.credentials.get`.
    pub(super) fn get(&mut self, options: &Value) -> String {
        let options = &options["publicKey"];
        assert_eq!(options["rpId"], HOST);
        assert_eq!(options["userVerification"], "required");
        let client = self.client_data("webauthn.get", &options["challenge"]);
        let about = self.about(0);
        let signed = [about.clone(), sha256(&client)].concat();
        let signature = self.pair.sign(&SystemRandom::new(), &signed).unwrap();
        self.told(&json!({
            "authenticatorData": coded(&about), "clientDataJSON": coded(&client),
            "signature": coded(signature.as_ref()), "userHandle": coded(&self.person),
        }))
    }
}

/// What a page asks a device.
pub(super) fn asked(page: &Answer) -> Value {
    let html = String::from_utf8_lossy(&page.body).into_owned();
    let options = attribute(&html, "data-passkey").unwrap_or_else(|| panic!("{html}"));
    serde_json::from_str(&options).unwrap()
}

const BEGIN: &str = "/t/lakeside/auth/account/begin-passkey";
const REMOVE: &str = "/t/lakeside/auth/account/remove-passkey";

/// Begins to add the first passkey.
fn begin(browser: &Browser<'_>) -> Answer {
    let account = browser.open(ACCOUNT).status(200);
    browser.send(&account, BEGIN, &[("password", PASSWORD)])
}

/// The page on which somebody who has a second factor shows who they are before this is done.
pub(super) fn proving(browser: &Browser<'_>, what: &str, id: &str) -> Answer {
    let account = browser.open(ACCOUNT).status(200);
    let fields = [("what", what), ("id", id)];
    browser
        .send(&account, &format!("{ACCOUNT}/prove"), &fields)
        .status(200)
}

/// Shows the password and a passkey, to add another.
fn begin_with(browser: &Browser<'_>, device: &mut Device) -> Answer {
    let page = proving(browser, "begin-passkey", "");
    let answer = device.get(&asked(&page));
    let fields = [("password", PASSWORD), ("answer", &answer)];
    browser.send(&page, BEGIN, &fields)
}

/// Shows the password and a passkey, to remove one.
fn remove_with(browser: &Browser<'_>, device: &mut Device, id: &str) -> Answer {
    let page = proving(browser, "remove-passkey", id);
    let answer = device.get(&asked(&page));
    let fields = [("password", PASSWORD), ("answer", &answer)];
    browser.send(&page, REMOVE, &fields)
}

pub(super) fn add(browser: &Browser<'_>, page: &Answer, answer: &str) -> Answer {
    let fields = [("answer", answer), ("name", "My laptop")];
    browser.send(page, &format!("{ACCOUNT}/add-passkey"), &fields)
}

fn added(browser: &Browser<'_>) -> Device {
    let mut device = Device::new();
    let page = begin(browser).status(200);
    let answer = device.create(&asked(&page));
    let code = add(browser, &page, &answer).code;
    assert!(matches!(code, 200 | 303), "{code}");
    device
}

/// Signs in with nothing but a passkey.
pub(super) fn alone(browser: &Browser<'_>, device: &mut Device) -> Answer {
    let page = browser.open(PASSKEY).status(200);
    let answer = device.get(&asked(&page));
    browser.send(&page, PASSKEY, &[("answer", &answer)])
}

fn trail(world: &World) -> String {
    let path = "GET /admin/v1/tenants/lakeside/audit?limit=500";
    let trail = world.admin(path, &Value::Null).status(200);
    String::from_utf8_lossy(&trail.body).into_owned()
}

#[test]
fn a_passkey_is_added_signs_in_alone_and_is_two_factors() {
    let world = lakeside(|_| {});
    let admin = administrator(&world, "lakeside");
    let (ada, id) = person(&admin, &json!({ "login": "ada", "name": "Ada" }));
    let elsewhere = Browser::new(&world);
    elsewhere.sign_in("lakeside", "ada", PASSWORD).status(303);
    let mut device = Device::new();
    let page = begin(&ada).status(200);
    let policy = page.header_text("content-security-policy").unwrap();
    assert!(policy.contains("script-src https://clinic.example/t/lakeside/auth/passkey.js"));
    assert!(policy.contains("default-src 'none'"));
    let answer = device.create(&asked(&page));
    let codes = add(&ada, &page, &answer).status(200);
    assert!(String::from_utf8_lossy(&codes.body).contains("recovery"));
    // The same question is not answered again, by another device either.
    add(&ada, &page, &answer).status(403);
    let other = Device::new().create(&asked(&page));
    add(&ada, &page, &other).status(403);
    let account = ada.open(ACCOUNT).status(200);
    assert!(String::from_utf8_lossy(&account.body).contains("My laptop"));
    // Whoever was signed in with less is not any more.
    elsewhere.open(ACCOUNT).status(303);
    // The password alone is not enough from now on.
    let fresh = Browser::new(&world);
    let second = fresh.sign_in("lakeside", "ada", PASSWORD).status(200);
    fresh.open(ACCOUNT).status(303);
    let answer = device.get(&asked(&second));
    let path = "/t/lakeside/auth/second-factor";
    let fields = [("answer", answer.as_str())];
    fresh.send(&second, path, &fields).status(303);
    fresh.open(ACCOUNT).status(200);
    // What was answered is not answered again.
    let again = Browser::new(&world);
    again.send(&second, path, &fields).status(403);
    // Alone.
    let alone_in = Browser::new(&world);
    alone(&alone_in, &mut device).status(303);
    alone_in.open(ACCOUNT).status(200);
    let trail = trail(&world);
    for what in ["add passkey", "sign in by passkey from"] {
        assert!(trail.contains(what), "{what}");
    }
    let all = admin.api("GET people", &Value::Null).status(200).json();
    let ada = &all["people"][0];
    assert_eq!(
        (&ada["passkeys"], &ada["second_factor"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(ada["id"], *id);
}

#[test]
fn what_a_device_must_not_answer() {
    let world = lakeside(|_| {});
    let admin = administrator(&world, "lakeside");
    let (ada, _) = person(&admin, &json!({ "login": "ada", "name": "Ada" }));
    // Not one that does not ask who is there, nor one of another page.
    for change in [
        (|d: &mut Device| d.verifies = false) as fn(&mut Device),
        |d| d.origin = "https://evil.example",
    ] {
        let mut device = Device::new();
        change(&mut device);
        let page = begin(&ada).status(200);
        let answer = device.create(&asked(&page));
        add(&ada, &page, &answer).status(401);
    }
    let mut device = added(&ada);
    let browser = || Browser::new(&world);
    for change in [
        (|d: &mut Device| d.verifies = false) as fn(&mut Device),
        |d| d.origin = "https://evil.example",
        |d| d.person = vec![7; 16],
        |d| d.id = vec![7; 16],
    ] {
        let (person, id) = (device.person.clone(), device.id.clone());
        change(&mut device);
        alone(&browser(), &mut device).status(401);
        (device.verifies, device.origin) = (true, ORIGIN);
        (device.person, device.id) = (person, id);
    }
    alone(&browser(), &mut device).status(303);
    // Another's key, in their name.
    let (bob, _) = person(&admin, &json!({ "login": "bob", "name": "Bob" }));
    let mut of_bob = added(&bob);
    let own = std::mem::replace(&mut of_bob.person, device.person.clone());
    alone(&browser(), &mut of_bob).status(401);
    of_bob.person = own;
    alone(&browser(), &mut of_bob).status(303);
    // The answer of one browser is none in another, however it came by the page.
    let (here, there) = (browser(), browser());
    let page = here.open(PASSKEY).status(200);
    let theirs = there.open(PASSKEY).status(200);
    let answer = device.get(&asked(&page));
    let state = |page: &Answer| {
        let html = String::from_utf8_lossy(&page.body).into_owned();
        let input = html.split("name=\"state\"").nth(1).unwrap();
        attribute(input, "value").unwrap()
    };
    let fields = [("answer", answer.as_str()), ("state", &state(&page))];
    there.send(&theirs, PASSKEY, &fields).status(403);
    // Nor to another question, nor rubbish, nor too late.
    let fields = [("answer", answer.as_str())];
    there.send(&theirs, PASSKEY, &fields).status(401);
    here.send(&page, PASSKEY, &fields).status(303);
    here.send(&page, PASSKEY, &fields).status(403);
    let page = browser().open(PASSKEY);
    drop(page);
    let here = browser();
    for rubbish in ["", "{}", "[]", "null", "\u{0}"] {
        let page = here.open(PASSKEY).status(200);
        here.send(&page, PASSKEY, &[("answer", rubbish)])
            .status(401);
    }
}

#[test]
fn a_question_is_answered_in_time() {
    let world = lakeside(|limits| limits.passkey_seconds_max = 30);
    let admin = administrator(&world, "lakeside");
    let (ada, _) = person(&admin, &json!({ "login": "ada", "name": "Ada" }));
    let mut device = added(&ada);
    let late = Browser::new(&world);
    let page = late.open(PASSKEY).status(200);
    world.clock.forward_secs(31);
    let answer = device.get(&asked(&page));
    late.send(&page, PASSKEY, &[("answer", &answer)])
        .status(403);
    alone(&late, &mut device).status(303);
}

#[test]
fn a_copied_passkey_is_refused_and_recorded() {
    let world = lakeside(|_| {});
    let admin = administrator(&world, "lakeside");
    let (ada, _) = person(&admin, &json!({ "login": "ada", "name": "Ada" }));
    let mut device = added(&ada);
    alone(&Browser::new(&world), &mut device).status(303);
    // The copy was made when it was added.
    device.counter -= 1;
    alone(&Browser::new(&world), &mut device).status(401);
    assert!(trail(&world).contains("the counter of the passkey went back"));
    alone(&Browser::new(&world), &mut device).status(303);
}

/// A key that is kept in several places does not count, and says of itself whether a copy is there.
#[test]
fn a_passkey_whose_copies_come_and_go_is_no_copy() {
    const MAY: u8 = 0x08;
    const IS: u8 = 0x10;
    let world = lakeside(|_| {});
    let admin = administrator(&world, "lakeside");
    let (ada, _) = person(&admin, &json!({ "login": "ada", "name": "Ada" }));
    let mut device = Device::new();
    (device.counts, device.backup) = (false, MAY);
    let page = begin(&ada).status(200);
    let answer = device.create(&asked(&page));
    add(&ada, &page, &answer).status(200);
    for backup in [MAY | IS, MAY | IS, MAY, MAY | IS] {
        device.backup = backup;
        alone(&Browser::new(&world), &mut device).status(303);
    }
    // As a second factor too, and where it is shown once more.
    device.backup = MAY;
    let id = coded(&device.id);
    remove_with(&ada, &mut device, &id).status(303);
    assert!(!trail(&world).contains("went back"));
}

/// What a key counts is written with each sign-in: it is nothing that is administered.
#[test]
fn signing_in_by_passkey_administers_nothing() {
    let world = lakeside(|limits| limits.tenant_idle_seconds = 60);
    let admin = administrator(&world, "lakeside");
    let (ada, _) = person(&admin, &json!({ "login": "ada", "name": "Ada" }));
    let mut device = added(&ada);
    for _ in 0..3 {
        alone(&Browser::new(&world), &mut device).status(303);
    }
    let path = "GET /admin/v1/tenants/lakeside/audit?limit=500";
    let lines = world.admin(path, &Value::Null).status(200).json();
    let lines = lines["lines"].as_array().unwrap().clone();
    let uses: Vec<&Value> = lines
        .iter()
        .filter(|line| line.to_string().contains("use passkey"))
        .collect();
    assert_eq!(uses.len(), 3);
    assert!(
        uses.iter().all(|line| line["action"] == "authenticate"),
        "{uses:?}"
    );
    // What was counted is known after the tenant was closed, and a copy is found by it.
    world.clock.forward_secs(61);
    world.house.tidy();
    device.counter -= 1;
    alone(&Browser::new(&world), &mut device).status(401);
    assert!(trail(&world).contains("the counter of the passkey went back"));
    alone(&Browser::new(&world), &mut device).status(303);
    let verified = world.admin("POST /admin/v1/tenants/lakeside/verify", &Value::Null);
    verified.status(200).at("/ok", true);
}

/// Whoever has what signs in does not have all that is written about it written without end.
#[test]
fn a_person_signs_in_only_so_often() {
    let world = lakeside(|_| {});
    let admin = administrator(&world, "lakeside");
    let (ada, _) = person(&admin, &json!({ "login": "ada", "name": "Ada" }));
    let mut device = added(&ada);
    let codes: Vec<u16> = (0..62)
        .map(|_| alone(&Browser::new(&world), &mut device).code)
        .collect();
    assert_eq!(codes[..55], [303; 55]);
    assert_eq!(codes[61], 429);
    world.clock.forward_secs(60);
    alone(&Browser::new(&world), &mut device).status(303);
}

#[test]
fn a_passkey_of_one_tenant_is_none_in_another() {
    let world = lakeside(|_| {});
    world.tenant("hillside");
    let admin = administrator(&world, "lakeside");
    let (ada, _) = person(&admin, &json!({ "login": "ada", "name": "Ada" }));
    let mut device = added(&ada);
    let path = "/t/hillside/auth/passkey";
    let there = Browser::new(&world);
    let page = there.open(path).status(200);
    let answer = device.get(&asked(&page));
    there.send(&page, path, &[("answer", &answer)]).status(401);
    // What one tenant asked is nothing that the other asked.
    let here = Browser::new(&world);
    let own = here.open(PASSKEY).status(200);
    let page = here.open(path).status(200);
    let html = String::from_utf8_lossy(&own.body).into_owned();
    let input = html.split("name=\"state\"").nth(1).unwrap();
    let state = attribute(input, "value").unwrap();
    let answer = device.get(&asked(&own));
    let fields = [("answer", answer.as_str()), ("state", state.as_str())];
    here.send(&page, path, &fields).status(403);
}

#[test]
fn passkeys_are_removed_by_their_person_and_by_administrators() {
    let world = lakeside(|limits| limits.passkeys_per_person_max = 2);
    let admin = administrator(&world, "lakeside");
    let (ada, id) = person(&admin, &json!({ "login": "ada", "name": "Ada" }));
    let (mut one, mut two) = (added(&ada), Device::new());
    let page = begin_with(&ada, &mut one).status(200);
    let answer = two.create(&asked(&page));
    add(&ada, &page, &answer).status(303);
    let full = begin_with(&ada, &mut one).status(400);
    assert!(String::from_utf8_lossy(&full.body).contains("passkeys_per_person_max"));
    remove_with(&ada, &mut two, "none").status(404);
    remove_with(&ada, &mut two, &coded(&one.id)).status(303);
    alone(&Browser::new(&world), &mut one).status(401);
    alone(&Browser::new(&world), &mut two).status(303);
    // An administrator takes them off; the password is what is left.
    let line = format!("PATCH people/{id}");
    admin
        .api(&line, &json!({ "second_factor": true }))
        .refused(400, "request-invalid");
    let off = json!({ "second_factor": false });
    ada.api(&line, &off).refused(403, "scope-missing");
    admin
        .api(&line, &off)
        .status(200)
        .at("/passkeys", 0)
        .at("/second_factor", false);
    ada.open(ACCOUNT).status(303);
    alone(&Browser::new(&world), &mut two).status(401);
    ada.sign_in("lakeside", "ada", PASSWORD).status(303);
    ada.open(ACCOUNT).status(200);
    assert!(trail(&world).contains("remove second factors of person"));
    // Who is disabled is not let in by any.
    let mut three = added(&ada);
    admin.api(&line, &json!({ "disabled": true })).status(200);
    alone(&Browser::new(&world), &mut three).status(401);
}

#[test]
fn whoever_stole_a_fresh_session_adds_and_removes_no_passkey() {
    let world = lakeside(|_| {});
    let admin = administrator(&world, "lakeside");
    let (ada, _) = person(&admin, &json!({ "login": "ada", "name": "Ada" }));
    world.clock.forward_secs(60);
    let account = ada.open(ACCOUNT).status(200);
    ada.send(&account, BEGIN, &[]).status(401);
    ada.send(&account, BEGIN, &[("password", "guessed, all of it")])
        .status(401);
    // What was begun under a password ends with it.
    let page = begin(&ada).status(200);
    let answer = Device::new().create(&asked(&page));
    let other = "another of that length";
    let change = [("old", PASSWORD), ("new", other), ("again", other)];
    let password = format!("{ACCOUNT}/password");
    ada.send(&account, &password, &change).status(303);
    add(&ada, &page, &answer).status(403);
    let back = [("old", other), ("new", PASSWORD), ("again", PASSWORD)];
    ada.send(&account, &password, &back).status(303);
    let mut device = Device::new();
    let page = begin(&ada).status(200);
    let answer = device.create(&asked(&page));
    let codes = add(&ada, &page, &answer).status(200);
    // Where there is a second factor, the password is not enough, in however fresh a session.
    for (what, path) in [("begin-passkey", BEGIN), ("remove-passkey", REMOVE)] {
        let page = proving(&ada, what, &coded(&device.id));
        ada.send(&page, path, &[]).status(401);
        ada.send(&page, path, &[("password", PASSWORD)]).status(401);
        let answer = device.get(&asked(&page));
        ada.send(&page, path, &[("answer", &answer)]).status(401);
        // Nor what was answered to another question.
        let sign_in = ada.open(PASSKEY).status(200);
        let answer = device.get(&asked(&sign_in));
        let fields = [("password", PASSWORD), ("answer", &answer)];
        ada.send(&page, path, &fields).status(401);
    }
    alone(&Browser::new(&world), &mut device).status(303);
    // A recovery code is one.
    let html = String::from_utf8_lossy(&codes.body).into_owned();
    let code = html.split("<li><code>").nth(1).unwrap();
    let code = code.split('<').next().unwrap();
    let page = proving(&ada, "remove-passkey", &coded(&device.id));
    let fields = [("password", PASSWORD), ("code", code)];
    ada.send(&page, REMOVE, &fields).status(303);
    alone(&Browser::new(&world), &mut device).status(401);
}

#[test]
fn of_two_answers_with_one_count_one_is_a_copys() {
    let world = lakeside(|_| {});
    let admin = administrator(&world, "lakeside");
    let (ada, _) = person(&admin, &json!({ "login": "ada", "name": "Ada" }));
    let mut device = added(&ada);
    let (one, two) = (Browser::new(&world), Browser::new(&world));
    let asks = |browser: &Browser<'_>| browser.sign_in("lakeside", "ada", PASSWORD).status(200);
    let (here, there) = (asks(&one), asks(&two));
    let own = device.get(&asked(&here));
    device.counter -= 1;
    let copy = device.get(&asked(&there));
    let path = "/t/lakeside/auth/second-factor";
    one.send(&here, path, &[("answer", &own)]).status(303);
    two.send(&there, path, &[("answer", &copy)]).status(401);
    assert!(trail(&world).contains("the counter of the passkey went back"));
}

#[test]
fn a_passkey_that_is_removed_takes_what_programs_got_with_it() {
    let world = lakeside(|_| {});
    let admin = administrator(&world, "lakeside");
    let (ada, _) = person(&admin, &json!({ "login": "ada", "name": "Ada" }));
    let mut device = added(&ada);
    let draft = json!({
        "name": "Growth chart", "public": true, "redirect_uris": [CALLBACK],
        "scopes": ["openid", "offline_access"],
    });
    let path = "POST /admin/v1/tenants/lakeside/clients";
    let id = world.admin(path, &draft).status(201).text("/client_id");
    let app = Program { id, secret: None };
    let aud = format!("{ORIGIN}/t/lakeside/fhir");
    let change = [("scope", "openid offline_access"), ("aud", aud.as_str())];
    let page = ada.open(&request(&app, &change)).status(200);
    let fields = [("_decision", "approve")];
    let back = ada.send(&page, "/t/lakeside/auth/authorize", &fields);
    let code = told(&back, "code").unwrap();
    let line = "POST /t/lakeside/auth/token";
    let ask = |fields: &[(&str, &str)]| {
        let pair = |(n, v): &(&str, &str)| format!("{n}={}", engine::form::encode(v));
        let body: Vec<String> = fields.iter().map(pair).collect();
        world.ask(line, &[FORM], body.join("&"))
    };
    let mut fields = code_fields(&code).to_vec();
    fields.push(("client_id", &app.id));
    let given = ask(&fields).status(200).text("/refresh_token");
    let again = |token: &str| {
        ask(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("client_id", &app.id),
        ])
    };
    let given = again(&given).status(200).text("/refresh_token");
    let id = coded(&device.id);
    remove_with(&ada, &mut device, &id).status(303);
    again(&given).status(400).at("/error", "invalid_grant");
}

#[test]
fn addresses_that_browsers_bind_no_keys_to_take_none() {
    let world = World::new();
    world.tenant("lakeside");
    let admin = administrator(&world, "lakeside");
    let browser = Browser::new(&world);
    browser.open(PASSKEY).status(501);
    let login = browser.open("/t/lakeside/auth/login").status(200);
    assert!(!String::from_utf8_lossy(&login.body).contains("passkey"));
    let account = admin.open(ACCOUNT).status(200);
    assert!(!String::from_utf8_lossy(&account.body).contains("asskey"));
}
