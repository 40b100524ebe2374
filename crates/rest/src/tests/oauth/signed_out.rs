//! What a program is told of its person (UserInfo), and how it has them signed out (RP-Initiated Logout).

use serde_json::json;

use super::{CALLBACK, Clinic, Program, approved, claims, request};
use crate::tests::people::{Browser, PASSWORD};
use crate::tests::world::{Answer, ROOT};

const BYE: &str = "https://app.example/bye?x=1";
const END: &str = "/t/lakeside/auth/end-session";

fn program(clinic: &Clinic) -> Program {
    let draft = json!({
        "name": "Growth chart", "public": true, "redirect_uris": [CALLBACK],
        "post_logout_redirect_uris": [BYE],
        "scopes": ["openid", "fhirUser", "profile", "launch/patient", "patient/*.rs", "offline_access"],
    });
    let line = "POST /admin/v1/tenants/lakeside/clients";
    let made = clinic.world.admin(line, &draft).status(201);
    Program {
        id: made
            .at("/post_logout_redirect_uris/0", BYE)
            .text("/client_id"),
        secret: None,
    }
}

fn userinfo(clinic: &Clinic, tenant: &str, token: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    let line = format!("GET /t/{tenant}/auth/userinfo");
    clinic.world.ask(&line, &[("authorization", &bearer)], "")
}

#[test]
fn a_program_is_told_whose_its_token_is() {
    let clinic = Clinic::new();
    let (browser, id) = clinic.patient("lakeside");
    let app = program(&clinic);
    let told = |scope: &str| {
        let code = approved(&browser, &request(&app, &[("scope", scope)]));
        clinic.exchange(&app, &code).status(200)
    };
    let granted = told("openid fhirUser profile launch/patient patient/*.rs offline_access");
    let token = granted.text("/access_token");
    let about = userinfo(&clinic, "lakeside", &token)
        .status(200)
        .header("cache-control", "no-store");
    let claimed = claims(&granted.text("/id_token"));
    for name in ["sub", "fhirUser", "profile", "name", "preferred_username"] {
        assert_eq!(about.json()[name], claimed[name], "{name}");
        assert!(!claimed[name].is_null(), "{name}");
    }
    assert_eq!(about.json()["sub"], id.as_str());
    let bearer = format!("Bearer {token}");
    clinic
        .world
        .ask(
            "POST /t/lakeside/auth/userinfo",
            &[("authorization", &bearer)],
            "",
        )
        .status(200)
        .at("/sub", id.as_str());
    // No more than was asked for.
    let few = userinfo(
        &clinic,
        "lakeside",
        &told("openid launch/patient patient/*.rs").text("/access_token"),
    );
    assert_eq!(few.status(200).json(), json!({ "sub": id }));
    // A token of another scope, of nobody, of no kind, of another tenant; and none.
    let without = told("launch/patient patient/*.rs").text("/access_token");
    let refused = userinfo(&clinic, "lakeside", &without).status(403);
    assert_eq!(refused.json()["error"], "insufficient_scope");
    let challenge = refused.header_text("www-authenticate").unwrap();
    assert!(challenge.contains("insufficient_scope"), "{challenge}");
    let own = clinic.world.client("lakeside", "system/*.rs");
    let line = "GET /t/lakeside/auth/userinfo";
    clinic
        .world
        .ask(line, &[("authorization", &own)], "")
        .status(403);
    userinfo(&clinic, "lakeside", "x").refused(401, "credentials-invalid");
    userinfo(&clinic, "hillside", &token).refused(401, "credentials-invalid");
    clinic
        .world
        .ask(line, &[], "")
        .refused(401, "credentials-missing");
    let published = |path: &str| clinic.world.ask(path, &[], "").status(200);
    for path in [
        "GET /t/lakeside/auth/.well-known/openid-configuration",
        "GET /t/lakeside/fhir/.well-known/smart-configuration",
    ] {
        published(path)
            .at(
                "/userinfo_endpoint",
                format!("{ROOT}/t/lakeside/auth/userinfo"),
            )
            .at("/end_session_endpoint", format!("{ROOT}{END}"));
    }
}

fn location(answer: &Answer) -> String {
    answer
        .header_text("location")
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn a_program_has_its_person_signed_out() {
    let clinic = Clinic::new();
    let (browser, _) = clinic.patient("lakeside");
    let app = program(&clinic);
    let code = approved(&browser, &request(&app, &[]));
    let hint = clinic.exchange(&app, &code).status(200).text("/id_token");
    let bye = engine::form::encode(BYE).to_string();
    let good = format!("{END}?id_token_hint={hint}&post_logout_redirect_uri={bye}&state=s+t");
    // Somewhere else, in a browser where nobody is signed in: there is nobody to ask.
    let other = Browser::new(&clinic.world);
    let back = other.open(&good).status(303);
    assert_eq!(location(&back), format!("{BYE}&state=s%20t"));
    browser.account().status(200);
    // Nobody is sent where no program of the clinic wants them.
    for wrong in [
        format!(
            "{END}?id_token_hint={hint}&post_logout_redirect_uri=https%3A%2F%2Fevil.example%2F"
        ),
        format!("{END}?post_logout_redirect_uri={bye}"),
        format!("{END}?client_id=other&post_logout_redirect_uri={bye}"),
        format!("{END}?id_token_hint={hint}&client_id=other"),
        format!("{END}?id_token_hint=x.y.z&post_logout_redirect_uri={bye}"),
        format!("{good}&state=again"),
    ] {
        browser.open(&wrong).status(400);
    }
    browser.account().status(200);
    // In their own browser, at once.
    let back = browser.open(&good).status(303);
    assert_eq!(location(&back), format!("{BYE}&state=s%20t"));
    browser.account().status(303);
}

#[test]
fn whoever_may_not_be_meant_is_asked() {
    let clinic = Clinic::new();
    let (browser, _) = clinic.patient("lakeside");
    let app = program(&clinic);
    let bye = engine::form::encode(BYE).to_string();
    let asks = format!("{END}?client_id={}&post_logout_redirect_uri={bye}", app.id);
    let page = browser.open(&asks).status(200);
    let html = String::from_utf8_lossy(&page.body).into_owned();
    assert!(
        html.contains("Growth chart") && html.contains("J. Doe"),
        "{html}"
    );
    let csp = page.header_text("content-security-policy").unwrap();
    assert!(
        csp.contains("form-action 'self' https://app.example;"),
        "{csp}"
    );
    let stays = browser
        .send(&page, END, &[("_decision", "stay")])
        .status(303);
    assert!(location(&stays).ends_with("/auth/account"));
    browser.account().status(200);
    // No other page has somebody signed out.
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = "_form=x&_decision=sign-out";
    browser.ask(&format!("POST {END}"), &form, body).status(403);
    browser.account().status(200);
    let gone = browser
        .send(&page, END, &[("_decision", "sign-out")])
        .status(303);
    assert_eq!(location(&gone), BYE);
    browser.account().status(303);
    // An identity token of another session does not go without a question either.
    let first = Browser::new(&clinic.world);
    first.sign_in("lakeside", "doe", PASSWORD).status(303);
    let scope = "openid launch/patient patient/*.rs";
    let code = approved(&first, &request(&app, &[("scope", scope)]));
    let hint = clinic.exchange(&app, &code).status(200).text("/id_token");
    let second = Browser::new(&clinic.world);
    second.sign_in("lakeside", "doe", PASSWORD).status(303);
    second
        .open(&format!("{END}?id_token_hint={hint}"))
        .status(200);
    second.account().status(200);
    // By POST it goes on as an address, with which the browser shows its session.
    let body = format!("id_token_hint={hint}");
    let on = first.ask(&format!("POST {END}"), &form, &body).status(303);
    let page = first.open(&location(&on)).status(200);
    assert!(String::from_utf8_lossy(&page.body).contains("You are signed out"));
    first.account().status(303);
}
