//! Requests for authorization: where a program may be, how it may ask, and what it may wish for.

use engine::form::{encode, first};
use serde_json::json;

use super::{Clinic, FORM, Program, request, told};
use crate::tests::people::{Browser, PASSWORD};
use crate::tests::world::{ROOT, World};

/// A program on the person's machine is sent back to whichever port it got there, and to nothing else that
/// was not registered.
#[test]
fn the_port_of_a_loopback_address_is_the_programs_own() {
    let world = World::new();
    world.tenant("lakeside");
    let draft = json!({
        "name": "Native", "public": true, "scopes": ["openid"],
        "redirect_uris": ["http://127.0.0.1/cb?x=1", "http://[::1]:8000/cb", "http://localhost:8000/cb"],
    });
    let line = "POST /admin/v1/tenants/lakeside/clients";
    let id = world.admin(line, &draft).status(201).text("/client_id");
    let program = Program { id, secret: None };
    let browser = Browser::new(&world);
    for (uri, code) in [
        ("http://127.0.0.1/cb?x=1", 303),
        ("http://127.0.0.1:49152/cb?x=1", 303),
        ("http://[::1]:49152/cb", 303),
        ("http://[::1]/cb", 303),
        ("http://localhost:8000/cb", 303),
        ("http://localhost:8001/cb", 400),
        ("http://127.0.0.1:49152/cb", 400),
        ("http://127.0.0.1:49152/cb?x=1&y", 400),
        ("http://127.0.0.1:99999/cb?x=1", 400),
        ("http://127.0.0.1:1@evil.example/cb?x=1", 400),
        ("http://127.0.0.1.evil.example/cb?x=1", 400),
        ("https://127.0.0.1:49152/cb?x=1", 400),
        ("http://[::1]:1/other", 400),
    ] {
        let change = [("redirect_uri", uri), ("scope", "openid"), ("state", "s")];
        assert_eq!(
            browser.open(&request(&program, &change)).code,
            code,
            "{uri}"
        );
    }
}

#[test]
fn a_request_comes_by_post_too() {
    let clinic = Clinic::new();
    let program = clinic.program("lakeside", true);
    let url = request(&program, &[]);
    let (path, query) = url.split_once('?').unwrap();
    let browser = Browser::new(&clinic.world);
    let on = browser
        .ask(&format!("POST {path}"), &[FORM], query)
        .status(303);
    let to = on.header_text("location").unwrap().to_owned();
    let (at, posted) = to.split_once('?').unwrap();
    assert_eq!(at, format!("{ROOT}{path}"));
    for pair in query.split('&') {
        let (name, _) = pair.split_once('=').unwrap();
        assert_eq!(first(posted, name), first(query, name), "{name}");
    }
    browser.open(&to).status(303);
}

#[test]
fn whoever_is_to_sign_in_at_once_does_so_once() {
    let clinic = Clinic::new();
    let program = clinic.program("lakeside", true);
    let (doe, _) = clinic.patient("lakeside");
    let asks = doe
        .open(&request(&program, &[("max_age", "0")]))
        .status(303);
    let to = asks.header_text("location").unwrap().to_owned();
    assert!(to.contains("again=1") && !to.contains("max_age"), "{to}");
    // None and something is no wish that can be met.
    let both = doe.open(&request(&program, &[("prompt", "none login")]));
    assert_eq!(told(&both, "error").as_deref(), Some("invalid_request"));
    let no_type = doe.open(&request(&program, &[("response_type", "")]));
    assert_eq!(told(&no_type, "error").as_deref(), Some("invalid_request"));
}

#[test]
fn what_is_wrong_with_a_request_is_told_to_whom_it_concerns() {
    let clinic = Clinic::new();
    let (browser, _) = clinic.patient("lakeside");
    let app = clinic.program("lakeside", true);
    // To the person, and nobody is sent anywhere.
    for (name, value) in [
        ("client_id", "nobody"),
        ("client_id", ""),
        ("redirect_uri", ""),
        ("redirect_uri", "https://app.example/cb"),
        ("redirect_uri", "https://app.example/cb?a=1&b=2"),
        ("redirect_uri", "https://app.example/cb?a=1#x"),
        ("redirect_uri", "https://APP.example/cb?a=1"),
        ("redirect_uri", "https://app.example/cb/../cb?a=1"),
        ("redirect_uri", "https://app.example.evil.example/cb?a=1"),
        ("redirect_uri", "https://app.example@evil.example/cb?a=1"),
        ("redirect_uri", "http://localhost:9001/"),
        ("redirect_uri", "//evil.example"),
    ] {
        let answer = browser.open(&request(&app, &[(name, value)]));
        assert!(
            matches!(answer.code, 400 | 404),
            "{name}={value}: {}",
            answer.code
        );
        assert!(answer.header_text("location").is_none(), "{name}={value}");
    }
    let twice = format!(
        "{}&redirect_uri=https%3A%2F%2Fevil.example",
        request(&app, &[])
    );
    browser.open(&twice).status(400);
    // To the program.
    for (name, value, error) in [
        ("response_type", "token", "unsupported_response_type"),
        ("response_type", "", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge_method", "", "invalid_request"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge", "short", "invalid_request"),
        ("scope", "system/*.cruds", "invalid_scope"),
        ("scope", "user/*.cruds", "invalid_scope"),
        ("scope", "", "invalid_scope"),
        ("aud", "https://evil.example/fhir", "invalid_request"),
        (
            "aud",
            "http://127.0.0.1:8080/t/hillside/fhir",
            "invalid_request",
        ),
        ("aud", "", "invalid_request"),
        ("launch", "rubbish", "invalid_request"),
        ("prompt", "none", "consent_required"),
        ("request", "eyJ", "request_not_supported"),
        (
            "acr_values",
            "urn:insula:acr:two-factors",
            "unmet_authentication_requirements",
        ),
    ] {
        let answer = browser.open(&request(&app, &[(name, value)]));
        assert_eq!(
            told(&answer, "error").as_deref(),
            Some(error),
            "{name}={value}"
        );
        assert_eq!(told(&answer, "state").as_deref(), Some("s & t"));
    }
    let nobody = Browser::new(&clinic.world);
    let answer = nobody.open(&request(&app, &[("prompt", "none")]));
    assert_eq!(told(&answer, "error").as_deref(), Some("login_required"));
    let page = browser.open(&request(&app, &[])).status(200);
    let path = "/t/lakeside/auth/authorize";
    let no = browser.send(&page, path, &[("_decision", "refuse")]);
    assert_eq!(told(&no, "error").as_deref(), Some("access_denied"));
    // A question that another browser was asked.
    nobody.open("/t/lakeside/auth/login");
    nobody
        .send(&page, path, &[("_decision", "approve")])
        .status(403);
    // Who must have signed in just now signs in again.
    clinic.world.clock.forward_secs(100);
    browser
        .open(&request(&app, &[("max_age", "60")]))
        .status(303);
    browser
        .open(&request(&app, &[("max_age", "600")]))
        .status(200);
    let again = browser
        .open(&request(&app, &[("prompt", "login")]))
        .status(303);
    assert!(
        again
            .header_text("location")
            .unwrap()
            .contains("/auth/login?next=")
    );
    // Nobody is sent out of the tenant after signing in.
    for next in [
        "https://evil.example",
        "//evil.example",
        "../../hillside/auth/account",
    ] {
        let browser = Browser::new(&clinic.world);
        let path = format!("/t/lakeside/auth/login?next={}", encode(next));
        let page = browser.open(&path).status(200);
        let fields = [("login", "doe"), ("password", PASSWORD)];
        let sent = browser
            .send(&page, "/t/lakeside/auth/login", &fields)
            .status(303);
        sent.header("location", &format!("{ROOT}/t/lakeside/auth/account"));
    }
}
