//! What changes how somebody signs in takes all that they sign in with.

use serde_json::{Value, json};

use super::elsewhere::{Pair, set};
use super::oauth::FORM;
use super::passkeys::{ACCOUNT, Device, ORIGIN, add, asked, proving};
use super::people::{Browser, PASSWORD, administrator, between, code, person};
use super::world::{Answer, World};

fn lakeside() -> World {
    let world = World::with(|_| {}, |config| config.public_url = Some(ORIGIN.to_owned()));
    world.tenant("lakeside");
    world
}

fn action(name: &str) -> String {
    format!("{ACCOUNT}/{name}")
}

/// Adds a passkey of somebody who has none; their recovery codes.
fn with_passkey(browser: &Browser<'_>) -> (Device, Answer) {
    let mut device = Device::new();
    let account = browser.open(ACCOUNT).status(200);
    let fields = [("password", PASSWORD)];
    let page = browser
        .send(&account, &action("begin-passkey"), &fields)
        .status(200);
    let answer = device.create(&asked(&page));
    let codes = add(browser, &page, &answer).status(200);
    (device, codes)
}

/// Sends what the page of an action asks for, with the password and a passkey.
fn with_both(browser: &Browser<'_>, device: &mut Device, what: &str, id: &str) -> Answer {
    let page = proving(browser, what, id);
    let answer = device.get(&asked(&page));
    let fields = [("password", PASSWORD), ("answer", &answer)];
    browser.send(&page, &action(what), &fields)
}

fn recovery(page: &Answer) -> String {
    let list = between(page, "<ul id=\"recovery\">", "</ul>");
    let (_, first) = list.split_once("<code>").unwrap();
    first.split('<').next().unwrap().to_owned()
}

#[test]
fn a_password_alone_adds_no_one_time_codes_beside_a_passkey() {
    let world = lakeside();
    let admin = administrator(&world, "lakeside");
    let (ada, _) = person(&admin, &json!({ "login": "ada", "name": "Ada" }));
    let (mut device, codes) = with_passkey(&ada);
    let kept = recovery(&codes);
    // The form of before asks where both are shown; what it sent is not enough.
    let page = proving(&ada, "begin-totp", "");
    let fields = [("password", PASSWORD)];
    ada.send(&page, &action("begin-totp"), &fields).status(401);
    let fields = [("password", PASSWORD), ("code", "000000")];
    ada.send(&page, &action("begin-totp"), &fields).status(401);
    let begun = with_both(&ada, &mut device, "begin-totp", "").status(200);
    let secret = between(&begun, "<code id=\"secret\">", "</code>");
    let shown = code(&world, &secret);
    // The recovery codes of the passkey stay, and none are shown.
    let fields = [("code", shown.as_str())];
    ada.send(&begun, &action("confirm-totp"), &fields)
        .status(303);
    let there = Browser::new(&world);
    let second = there.sign_in("lakeside", "ada", PASSWORD).status(200);
    let path = "/t/lakeside/auth/second-factor";
    there.send(&second, path, &[("code", &kept)]).status(303);
    // Nor are they taken off by a password alone, or by a code alone.
    world.clock.forward_secs(30);
    let shown = code(&world, &secret);
    let page = proving(&ada, "end-totp", "");
    for fields in [
        [("password", PASSWORD), ("code", "000000")],
        [("password", "not the password"), ("code", &shown)],
    ] {
        ada.send(&page, &action("end-totp"), &fields).status(401);
    }
    with_both(&ada, &mut device, "end-totp", "").status(303);
}

#[test]
fn whoever_has_a_second_factor_changes_the_password_with_it() {
    let world = lakeside();
    let admin = administrator(&world, "lakeside");
    let (ada, _) = person(&admin, &json!({ "login": "ada", "name": "Ada" }));
    let (mut device, _) = with_passkey(&ada);
    let new = "another horse, another battery";
    let page = proving(&ada, "password", "");
    let fields = [("old", PASSWORD), ("new", new), ("again", new)];
    ada.send(&page, &action("password"), &fields).status(401);
    let fields = [
        ("password", PASSWORD),
        ("code", "000000"),
        ("new", new),
        ("again", new),
    ];
    ada.send(&page, &action("password"), &fields).status(401);
    let answer = device.get(&asked(&page));
    let fields = [
        ("password", PASSWORD),
        ("answer", &answer),
        ("new", new),
        ("again", new),
    ];
    ada.send(&page, &action("password"), &fields).status(303);
    let there = Browser::new(&world);
    there.sign_in("lakeside", "ada", PASSWORD).status(401);
    there.sign_in("lakeside", "ada", new).status(200);
}

#[test]
fn codes_that_were_begun_under_another_password_are_not_asked_for() {
    let world = lakeside();
    let admin = administrator(&world, "lakeside");
    let (ada, _) = person(&admin, &json!({ "login": "ada", "name": "Ada" }));
    let account = ada.open(ACCOUNT).status(200);
    let fields = [("password", PASSWORD)];
    let begun = ada
        .send(&account, &action("begin-totp"), &fields)
        .status(200);
    let secret = between(&begun, "<code id=\"secret\">", "</code>");
    let new = "another horse, another battery";
    let fields = [("old", PASSWORD), ("new", new), ("again", new)];
    ada.send(&account, &action("password"), &fields).status(303);
    let shown = code(&world, &secret);
    let fields = [("code", shown.as_str())];
    ada.send(&begun, &action("confirm-totp"), &fields)
        .status(401);
}

/// What was used before the house began nobody remembers: nothing from then is taken.
#[test]
fn what_was_used_once_is_not_good_again_after_the_house_began_anew() {
    let mut world = lakeside();
    let pair = Pair::es384("k1");
    let draft = json!({ "name": "b", "scopes": ["system/*.rs"], "jwks": set(&[&pair]) });
    let line = "POST /admin/v1/tenants/lakeside/clients";
    let id = world.admin(line, &draft).status(201).text("/client_id");
    let now = |world: &World| world.house.clock().now().as_secs();
    let assertion = |jti: &str, exp: i64, iat: Option<i64>| {
        let mut claims = json!({
            "iss": id, "sub": id, "aud": format!("{ORIGIN}/t/lakeside/auth/token"),
            "exp": exp, "jti": jti,
        });
        if let Some(iat) = iat {
            claims["iat"] = json!(iat);
        }
        pair.sign(&claims)
    };
    let present = |world: &World, assertion: &str| {
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let body = format!(
            "grant_type=client_credentials&client_assertion_type={kind}&client_assertion={assertion}"
        );
        world.ask("POST /t/lakeside/auth/token", &[FORM], body).code
    };
    let (secret, device_state, used, undated);
    {
        let admin = administrator(&world, "lakeside");
        let (ada, _) = person(&admin, &json!({ "login": "ada", "name": "Ada" }));
        let (mut device, _) = with_passkey(&ada);
        let begun = with_both(&ada, &mut device, "begin-totp", "").status(200);
        secret = between(&begun, "<code id=\"secret\">", "</code>");
        let shown = code(&world, &secret);
        ada.send(&begun, &action("confirm-totp"), &[("code", &shown)])
            .status(303);
        let at = now(&world);
        used = assertion("one", at + 290, Some(at));
        undated = assertion("two", at + 290, None);
        assert_eq!(present(&world, &used), 200);
        assert_eq!(present(&world, &undated), 200);
        let page = ada.open("/t/lakeside/auth/passkey").status(200);
        let answer = device.get(&asked(&page));
        device_state = (page, answer);
    }
    world.clock.forward_secs(2);
    world.begin_again();
    assert_eq!(present(&world, &used), 401);
    assert_eq!(present(&world, &undated), 401);
    world.clock.forward_secs(2);
    let at = now(&world);
    assert_eq!(present(&world, &assertion("three", at + 60, Some(at))), 200);
    assert_eq!(present(&world, &assertion("four", at + 300, None)), 200);
    // The code that was shown, and the question that was asked.
    let ada = Browser::new(&world);
    let second = ada.sign_in("lakeside", "ada", PASSWORD).status(200);
    let path = "/t/lakeside/auth/second-factor";
    let shown = code(&world, &secret);
    ada.send(&second, path, &[("code", &shown)]).status(401);
    world.clock.forward_secs(60);
    let second = ada.sign_in("lakeside", "ada", PASSWORD).status(200);
    let shown = code(&world, &secret);
    ada.send(&second, path, &[("code", &shown)]).status(303);
    let (page, answer) = device_state;
    let passkey = "/t/lakeside/auth/passkey";
    let late = Browser::new(&world);
    late.send(&page, passkey, &[("answer", &answer)])
        .status(403);
    let trail = world.admin(
        "GET /admin/v1/tenants/lakeside/audit?limit=500",
        &Value::Null,
    );
    trail.status(200);
}
