//! Accounts elsewhere: what it takes to link one and to take it back, what goes with an invitation, and how
//! long an address may be that somebody comes back to.

use serde_json::{Value, json};

use super::{Acme, BEGIN, ISSUER, anew, going_on, is_in, mapped, roles, text};
use crate::tests::passkeys;
use crate::tests::people::{Browser, PASSWORD, administrator, code, person, two_factors};

#[test]
fn whoever_has_a_second_factor_shows_it_before_an_account_is_linked_or_taken_back() {
    let acme = Acme::new(&|_| {});
    let admin = administrator(&acme.world, "lakeside");
    let (ada, _) = person(&admin, &json!({ "login": "ada", "name": "Ada" }));
    let secret = two_factors(&ada);
    let link = "/t/lakeside/auth/account/link";
    let page = passkeys::proving(&ada, "link", "acme");
    for wrong in ["", "000000"] {
        let fields = [("password", PASSWORD), ("code", wrong)];
        ada.send(&page, link, &fields).status(401);
    }
    let leave = || {
        acme.world.clock.forward_secs(30);
        let shown = code(&acme.world, &secret);
        let fields = [("password", PASSWORD), ("code", shown.as_str())];
        let page = passkeys::proving(&ada, "link", "acme");
        going_on(&ada.send(&page, link, &fields).status(200))
    };
    let now = |c: &mut Value| {
        c["auth_time"] = json!(BEGIN + 3_600);
        c["iat"] = json!(BEGIN + 60);
        c["exp"] = json!(BEGIN + 3_600);
    };
    is_in(&acme.back(&ada, &leave(), &now));
    let fields = [
        ("issuer", ISSUER),
        ("subject", "u-7"),
        ("password", PASSWORD),
    ];
    let account = ada.account().status(200);
    // The form asks for no password: it leads to where both are asked for.
    assert!(!text(&account).contains("account/unlink"));
    let of = [("what", "unlink"), fields[0], fields[1]];
    let prove = "/t/lakeside/auth/account/prove";
    let page = ada.send(&account, prove, &of).status(200);
    let unlink = "/t/lakeside/auth/account/unlink";
    ada.send(&page, unlink, &fields[2..]).status(401);
    acme.world.clock.forward_secs(30);
    let shown = code(&acme.world, &secret);
    let both = [fields[2], ("code", shown.as_str())];
    ada.send(&page, unlink, &both).status(303);
    // Whoever left under a password that is none any more does not arrive.
    let left = leave();
    let new = "another horse, another battery";
    acme.world.clock.forward_secs(30);
    let shown = code(&acme.world, &secret);
    let page = passkeys::proving(&ada, "password", "");
    let fields = [
        ("password", PASSWORD),
        ("code", shown.as_str()),
        ("new", new),
        ("again", new),
    ];
    let password = "/t/lakeside/auth/account/password";
    ada.send(&page, password, &fields).status(303);
    acme.back(&ada, &left, &now).status(403);
}

#[test]
fn what_somebody_has_by_claims_does_not_outlive_an_invitation() {
    let acme = Acme::new(&mapped);
    let (admin, id) = acme.linked("u-7");
    let (by_hand, with_claims) = (
        json!(["clinician"]),
        json!(["clinician", "nurse@Organization/7"]),
    );
    let browser = Browser::new(&acme.world);
    is_in(&acme.through(&browser, &|_| {}));
    assert_eq!(roles(&admin, "ada"), with_claims);
    // By a password.
    let invite = || {
        let line = format!("POST people/{id}/invitation");
        let invited = admin.api(&line, &json!({})).status(201);
        invited.text("/invitation")
    };
    let ada = Browser::new(&acme.world);
    ada.accept(&invite());
    assert_eq!(roles(&admin, "ada"), by_hand);
    // By an account, under claims of today; and then without any.
    let page = ada.open(&invite()).status(200);
    let path = "/t/lakeside/auth/providers/acme";
    let left = going_on(&ada.send(&page, path, &[]).status(200));
    is_in(&acme.back(&ada, &left, &anew));
    assert_eq!(roles(&admin, "ada"), with_claims);
    let page = ada.open(&invite()).status(200);
    let left = going_on(&ada.send(&page, path, &[]).status(200));
    let none = |c: &mut Value| {
        anew(c);
        c["groups"] = json!([]);
    };
    is_in(&acme.back(&ada, &left, &none));
    assert_eq!(roles(&admin, "ada"), by_hand);
}

#[test]
fn a_page_with_too_long_an_address_is_not_gone_to_by_a_detour() {
    let acme = Acme::new(&|_| {});
    let browser = Browser::new(&acme.world);
    let leave = |length: usize| {
        let next = format!("authorize%3Fstate={}", "s".repeat(length));
        browser.open(&format!("/t/lakeside/auth/providers/acme?next={next}"))
    };
    let left = leave(1_800).status(303);
    let cookie = left.header_text("set-cookie").unwrap();
    let kept = cookie.split(';').next().unwrap();
    assert!(kept.len() <= 4_096, "{}", kept.len());
    let refused = leave(3_900).status(400);
    assert!(text(&refused).contains("journey_bytes_max"));
}
