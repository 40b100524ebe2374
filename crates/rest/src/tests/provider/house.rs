//! The house's own provider: one address to come back to, and choosing among clinics.

use engine::form::first;
use serde_json::json;

use super::{Acme, ISSUER, KEYS, PROVIDERS, TOKEN, asked, is_in};
use crate::tests::elsewhere::{Elsewhere, reply, set};
use crate::tests::people::Browser;
use crate::tests::world::{ROOT, World};

#[test]
fn a_house_with_many_clinics_opens_those_alone_where_somebody_is_known() {
    let elsewhere = Elsewhere::default();
    let outside = engine::Outside::new(elsewhere.clone());
    let mut acme = Acme::without();
    acme.world = World::with(
        |limits| limits.clinics_chosen_among_max = 1,
        |config| {
            config.outside = outside;
            config.house_provider = Some(engine::HouseProvider {
                issuer: ISSUER.into(),
                client_id: "clinic".into(),
                client_secret: None,
            });
        },
    );
    let gives = acme.gives.clone();
    elsewhere.answer(TOKEN, move |_| Ok(reply(&gives.lock())));
    elsewhere.serve(KEYS, &set(&[&acme.pair]));
    acme.elsewhere = elsewhere;
    acme.describe(&json!({}));
    let ask = || {
        let browser = Browser::new(&acme.world);
        let left = asked(&browser.open("/auth/choose"));
        let claims = acme.claims(&first(&left, "nonce").unwrap());
        *acme.gives.lock() = json!({ "id_token": acme.pair.sign(&claims) });
        let state = first(&left, "state").unwrap();
        browser.open(&format!("/auth/callback?code=c&state={state}"))
    };
    acme.world.tenant("lakeside");
    let page = ask().status(200);
    assert!(String::from_utf8_lossy(&page.body).contains("No clinic here knows you"));
    // However many there are: each is looked at once, and none again.
    for name in ["hillside", "bayside"] {
        acme.world.tenant(name);
        ask().status(200);
    }
}

#[test]
fn the_houses_provider_sends_back_to_one_address() {
    let elsewhere = Elsewhere::default();
    let outside = engine::Outside::new(elsewhere.clone());
    let world = World::with(
        |_| {},
        |config| {
            config.outside = outside;
            config.house_provider = Some(engine::HouseProvider {
                issuer: ISSUER.into(),
                client_id: "clinic".into(),
                client_secret: None,
            });
        },
    );
    world.tenant("lakeside");
    world.tenant("hillside");
    let mut acme = Acme::without();
    let gives = acme.gives.clone();
    elsewhere.answer(TOKEN, move |_| Ok(reply(&gives.lock())));
    elsewhere.serve(KEYS, &set(&[&acme.pair]));
    acme.elsewhere = elsewhere;
    acme.world = world;
    acme.describe(&json!({}));
    let draft = json!({ "id": "house", "name": "The house", "house": true });
    let path = format!("POST {PROVIDERS}");
    let back = format!("{ROOT}/auth/callback");
    acme.world
        .admin(&path, &draft)
        .status(201)
        .at("/redirect_uri", back.as_str());
    let wrong = json!({ "id": "house", "name": "x", "house": true, "issuer": ISSUER });
    acme.world
        .admin(&path, &wrong)
        .refused(400, "request-invalid");

    let (_admin, _) = acme.linked("u-7");
    let browser = Browser::new(&acme.world);
    let left = asked(&browser.open("/t/lakeside/auth/providers/house"));
    assert_eq!(first(&left, "redirect_uri").as_deref(), Some(&*back));
    let claims = acme.claims(&first(&left, "nonce").unwrap());
    *acme.gives.lock() = json!({ "id_token": acme.pair.sign(&claims) });
    let state = first(&left, "state").unwrap();
    assert!(state.starts_with("lakeside."));
    let to = browser
        .open(&format!("/auth/callback?code=c&state={state}"))
        .status(303);
    let to = to.header_text("location").unwrap().to_owned();
    assert!(to.starts_with(&format!("{ROOT}/t/lakeside/auth/providers/house/callback?")));
    is_in(&browser.open(&to));
    assert!(
        acme.elsewhere
            .last(TOKEN)
            .form
            .unwrap()
            .contains("client_id=clinic")
    );
    choosing(&acme);
    // A tenant that does not use it, one that is not there, and no state at all.
    browser.open("/t/hillside/auth/providers/house").status(404);
    for (state, status) in [("hillside.x", 404), ("nowhere.x", 404), ("x", 403)] {
        browser
            .open(&format!("/auth/callback?code=c&state={state}"))
            .status(status);
    }
}

/// At a clinic's own host the browser shows its cookies there alone.
#[test]
fn the_houses_provider_sends_back_to_a_clinics_own_host() {
    let elsewhere = Elsewhere::default();
    let outside = engine::Outside::new(elsewhere.clone());
    let world = World::with(
        |_| {},
        |config| {
            config.outside = outside;
            config.domain = Some("insula.example".into());
            config.house_provider = Some(engine::HouseProvider {
                issuer: ISSUER.into(),
                client_id: "clinic".into(),
                client_secret: None,
            });
        },
    );
    world.tenant("lakeside");
    let mut acme = Acme::without();
    acme.elsewhere = elsewhere;
    acme.world = world;
    acme.describe(&json!({}));
    let draft = json!({ "id": "house", "name": "The house", "house": true });
    acme.world
        .admin(&format!("POST {PROVIDERS}"), &draft)
        .status(201);
    let mut moved = String::new();
    for (host, state) in [
        ("lakeside.insula.example", "lakeside.."),
        ("lakeside.insula.example:8443", "lakeside.8443."),
    ] {
        let headers = [("host", host), ("accept", "text/html")];
        let left = acme.world.ask("GET /auth/providers/house", &headers, "");
        let left = asked(&left);
        let told = first(&left, "state").unwrap();
        assert!(told.starts_with(state), "{told}");
        let back = first(&left, "redirect_uri").unwrap();
        assert_eq!(back, format!("{ROOT}/auth/callback"));
        let line = format!("GET /auth/callback?code=c&state={told}");
        let to = acme.world.ask(&line, &[], "").status(303);
        let to = to.header_text("location").unwrap().to_owned();
        let wanted = format!("http://{host}/auth/providers/house/callback?code=c&state=");
        assert!(to.starts_with(&wanted), "{to}");
        moved = told.replace(".8443.", ".8444.");
    }
    // A port, or a mark, that nobody here wrote.
    for state in [
        "lakeside.x.y",
        "lakeside.-1.y",
        "lakeside.65536.y",
        "lakeside.9999.y",
        "lakeside..y.AAAA",
        &moved,
    ] {
        let line = format!("GET /auth/callback?code=c&state={state}");
        acme.world.ask(&line, &[], "").status(403);
    }
}

/// Whoever signs in for the house is told where they are known, and chooses.
fn choosing(acme: &Acme) {
    let world = &acme.world;
    let house = json!({ "id": "group", "name": "The group", "house": true });
    // Known in two tenants that use the provider, in one that does not, and in one not any more.
    for (tenant, uses, patch) in [
        ("bayside", true, json!({})),
        ("northside", false, json!({})),
        ("southside", true, json!({ "disabled": true })),
        (
            "westside",
            true,
            json!({ "accounts": [{ "issuer": ISSUER, "subject": "u-8" }] }),
        ),
    ] {
        world.tenant(tenant);
        if uses {
            let line = format!("POST /admin/v1/tenants/{tenant}/identity-providers");
            world.admin(&line, &house).status(201);
        }
        let draft = json!({ "login": "root", "name": "R", "roles": ["tenant-administrator"] });
        let line = format!("POST /admin/v1/tenants/{tenant}/people");
        let made = world.admin(&line, &draft).status(201);
        let admin = Browser::new(world);
        admin.accept(&made.text("/invitation"));
        let json = ("content-type", "application/json");
        let line = format!("POST /t/{tenant}/auth/people");
        let draft = json!({ "login": "ada", "name": "Ada" }).to_string();
        let ada = admin.ask(&line, &[json], &draft).status(201).text("/id");
        let line = format!("PATCH /t/{tenant}/auth/people/{ada}");
        let account = json!({ "accounts": [{ "issuer": ISSUER, "subject": "u-7" }] });
        for change in [account, patch] {
            admin.ask(&line, &[json], &change.to_string()).status(200);
        }
    }
    let browser = Browser::new(world);
    let leave = || asked(&browser.open("/auth/choose"));
    let back = |left: &str, by: &Browser<'_>| {
        let claims = acme.claims(&first(left, "nonce").unwrap());
        *acme.gives.lock() = json!({ "id_token": acme.pair.sign(&claims) });
        let state = first(left, "state").unwrap();
        assert!(state.starts_with('.'));
        by.open(&format!("/auth/callback?code=c&state={state}"))
    };
    let left = leave();
    assert_eq!(
        first(&left, "redirect_uri"),
        Some(format!("{ROOT}/auth/callback").into())
    );
    let page = back(&left, &browser).status(200);
    let html = String::from_utf8_lossy(&page.body).into_owned();
    let links: Vec<&str> = html.split("href=\"").skip(1).collect();
    let links: Vec<&str> = links.iter().filter_map(|l| l.split('"').next()).collect();
    let [style, bayside, lakeside] = links[..] else {
        panic!("{html}");
    };
    assert_eq!(
        bayside,
        format!("{ROOT}/t/bayside/auth/providers/group?next=account")
    );
    assert_eq!(
        lakeside,
        format!("{ROOT}/t/lakeside/auth/providers/house?next=account")
    );
    browser.open(style).status(200);
    assert!(page.header_text("content-security-policy").is_some());
    // Nobody is signed in by it: each clinic asks the provider itself.
    browser.open("/t/bayside/auth/account").status(303);
    let there = asked(&browser.open(bayside));
    assert!(first(&there, "state").unwrap().starts_with("bayside."));
    // Not twice, and not in another browser.
    back(&left, &browser).status(403);
    let left = leave();
    back(&left, &Browser::new(world)).status(403);
    back(&left, &browser).status(200);
    // A clinic that begins to use the provider is found, though it was known that it did not.
    let line = "POST /admin/v1/tenants/northside/identity-providers";
    world.admin(line, &house).status(201);
    let page = back(&leave(), &browser).status(200);
    assert!(String::from_utf8_lossy(&page.body).contains("northside"));
    // Nobody looks through all clinics as often as they like.
    let codes: Vec<u16> = (0..6).map(|_| back(&leave(), &browser).code).collect();
    assert!(codes.contains(&200) && codes.ends_with(&[429]), "{codes:?}");
    world.clock.forward_secs(60);
}
