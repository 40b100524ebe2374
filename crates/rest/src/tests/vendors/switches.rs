//! Three switches, none of which moves another; and everything that ends with the next request.

use serde_json::{Value, json};

use super::super::oauth::{FORM, Program, approved, code_fields, request};
use super::super::people::{Browser, administrator, person};
use super::super::world::World;
use super::{
    STANDARD, VENDORS, basic, bearer, client, clinic, clinic_says, enabled, operator_says, propose,
    token, vendor_says,
};
use base64::Engine as _;
use engine::form::encode;

#[test]
fn only_the_clinic_enables() {
    let (world, _) = clinic();
    let number = propose(&world, &json!({}));
    let who = basic(&client(&world, "system/*.cruds"));
    let refused = || {
        world
            .fhir(&who, "GET Patient/p1", "")
            .refused(403, "vendor-disabled");
        token(&world, &who)
            .status(400)
            .at("/error", "unauthorized_client");
    };
    refused();
    // The operator lifts their own switch only, and takes no terms for the clinic.
    operator_says(&world, "enabled")
        .status(200)
        .at("/state", "disabled-by-clinic");
    let body = json!({ "hold": "enabled", "reason": "x", "terms": number });
    world
        .admin(&format!("POST {VENDORS}/acme/switch"), &body)
        .refused(403, "clinic-only");
    vendor_says(&world, &who, "enabled")
        .status(200)
        .at("/state", "disabled-by-clinic");
    refused();
    // The operator's token opens nothing of the clinic's.
    let operator = [
        ("authorization", world.operator.as_str()),
        super::super::world::JSON,
    ];
    let line = "POST /t/lakeside/auth/vendors/acme/switch";
    assert_eq!(world.ask(line, &operator, body.to_string()).code, 401);
    assert_eq!(
        world
            .fhir(&world.operator, "POST $vendor-switch", "{}")
            .code,
        401
    );
    // Nor do people who do not administer the clinic, nor a client without that right.
    let admin = administrator(&world, "lakeside");
    let (ada, _) = person(
        &admin,
        &json!({ "login": "ada", "name": "Ada", "roles": ["clinician"] }),
    );
    clinic_says(&ada, "enabled", Some(number)).refused(403, "scope-missing");
    ada.api("GET vendors", &Value::Null)
        .refused(403, "scope-missing");
    let all = world.client("lakeside", "system/*.cruds");
    let parameters = switching("enabled", Some(number));
    world
        .fhir(&all, "POST $vendor-switch", parameters.to_string())
        .refused(403, "scope-missing");
    refused();
    clinic_says(&admin, "enabled", Some(number + 1)).refused(412, "version-conflict");
    clinic_says(&admin, "enabled", Some(number))
        .status(200)
        .at("/state", "enabled");
    world.fhir(&who, "GET Patient/p1", "").status(200);
    world
        .fhir(&bearer(&world, &who), "GET Patient/p1", "")
        .status(200);

    let shown = world
        .admin(&format!("GET {VENDORS}/acme"), &Value::Null)
        .status(200)
        .json();
    let events = shown["events"].as_array().unwrap();
    let told: Vec<&str> = events.iter().map(|e| e["what"].as_str().unwrap()).collect();
    assert_eq!(
        told,
        [
            "operator proposes terms",
            "clinic switches to enabled on terms 1"
        ]
    );
    let last = events.last().unwrap();
    assert_eq!(
        (&last["was"], &last["state"]),
        (&json!("disabled-by-clinic"), &json!("enabled"))
    );
    assert!(
        last["actor"].as_str().unwrap().starts_with("person:"),
        "{last}"
    );
    assert_eq!(last["reason"], "test");
    let verified = world.admin("POST /admin/v1/tenants/lakeside/verify", &Value::Null);
    verified.status(200).at("/ok", true);
}

/// A switch that nobody may move so does nothing, not for a moment and not until the tenant is closed.
#[test]
fn a_switch_that_is_refused_was_not_pressed() {
    let (world, _) = clinic();
    let admin = enabled(&world, &json!({}));
    let who = basic(&client(&world, "system/*.cruds"));
    let writes = || {
        let patient = super::patient_with_id("p9", "Doe");
        world.fhir(&who, "PUT Patient/p9", patient).code
    };
    assert_eq!(writes(), 201);
    // Other terms wait: whoever lets go of less than all has to say which are meant.
    let number = propose(&world, &json!({}));
    clinic_says(&admin, "read-only", None).refused(412, "version-conflict");
    assert_eq!(writes(), 200);
    clinic_says(&admin, "read-only", Some(number + 7)).refused(412, "version-conflict");
    assert_eq!(writes(), 200);
    let body = json!({ "hold": "disabled", "reason": "x", "terms": number });
    world
        .admin(&format!("POST {VENDORS}/acme/switch"), &body)
        .refused(403, "clinic-only");
    assert_eq!(writes(), 200);
    clinic_says(&admin, "read-only", Some(number)).status(200);
    assert_eq!(writes(), 403);
    clinic_says(&admin, "enabled", None).status(200);
    assert_eq!(writes(), 200);
}

fn switching(hold: &str, number: Option<u64>) -> Value {
    let mut all = vec![
        json!({ "name": "vendor", "valueString": "acme" }),
        json!({ "name": "hold", "valueCode": hold }),
        json!({ "name": "reason", "valueString": "test" }),
    ];
    all.extend(number.map(|n| json!({ "name": "terms", "valueInteger": n })));
    json!({ "resourceType": "Parameters", "parameter": all })
}

#[test]
fn who_administers_by_policy_may_too_and_no_program_of_a_vendor() {
    let (world, _) = clinic();
    let grants = json!([{ "name": "rule", "who": { "roles": ["ruler"] },
        "actions": ["read", "search", "history", "create", "update", "delete", "administer"],
        "types": ["*"] }]);
    let draft = json!({ "document": { "grants": grants }, "reason": "test" });
    world
        .admin("POST /admin/v1/tenants/lakeside/policy", &draft)
        .status(201);
    let number = propose(&world, &json!({}));
    let made = |vendor: Option<&str>| {
        let mut draft = json!({ "name": "x", "scopes": ["system/*.cruds"], "roles": ["ruler"] });
        if let Some(vendor) = vendor {
            draft["vendor"] = json!(vendor);
        }
        let made = world
            .admin("POST /admin/v1/tenants/lakeside/clients", &draft)
            .status(201);
        basic(&(made.text("/client_id"), made.text("/client_secret")))
    };
    let (ruler, of_vendor) = (made(None), made(Some("acme")));
    let ask = |who: &str, hold: &str| {
        let body = switching(hold, Some(number)).to_string();
        world.fhir(who, "POST $vendor-switch", body)
    };
    ask(&of_vendor, "enabled").refused(403, "vendor-disabled");
    // A client is made by the operator: it switches off, and a person of the clinic on.
    ask(&ruler, "enabled").refused(403, "clinic-only");
    let admin = administrator(&world, "lakeside");
    clinic_says(&admin, "enabled", Some(number)).status(200);
    world.fhir(&of_vendor, "GET Patient/p1", "").status(200);
    ask(&of_vendor, "enabled").refused(403, "scope-missing");
    world
        .fhir(&of_vendor, "GET $policy", "")
        .refused(403, "scope-missing");
    let listed = world
        .fhir(&ruler, "GET $vendors", "")
        .status(200)
        .json()
        .to_string();
    assert!(
        listed.contains("\"acme\"") && listed.contains("enabled"),
        "{listed}"
    );
    ask(&ruler, "disabled").status(200);
    world
        .fhir(&of_vendor, "GET Patient/p1", "")
        .refused(403, "vendor-disabled");
}

#[test]
fn lifting_one_switch_lifts_no_other() {
    let (world, _) = clinic();
    let admin = enabled(&world, &json!({}));
    let who = basic(&client(&world, "system/*.cruds"));
    let token = bearer(&world, &who);
    let read = |code: u16| {
        assert_eq!(world.fhir(&token, "GET Patient/p1", "").code, code);
        assert_eq!(world.fhir(&who, "GET Patient/p1", "").code, code);
    };
    read(200);
    operator_says(&world, "disabled")
        .status(200)
        .at("/state", "disabled-by-operator");
    read(403);
    clinic_says(&admin, "disabled", None).status(200);
    vendor_says(&world, &who, "disabled").status(200);
    operator_says(&world, "enabled")
        .status(200)
        .at("/state", "disabled-by-vendor");
    read(403);
    // The vendor lifts its own while it is off.
    vendor_says(&world, &who, "enabled")
        .status(200)
        .at("/state", "disabled-by-clinic");
    read(403);
    clinic_says(&admin, "enabled", None)
        .status(200)
        .at("/state", "enabled");
    read(200);
    let (_, secret) = client(&world, "system/*.r");
    let wrong = format!("Basic {}", STANDARD.encode(format!("nobody:{secret}")));
    vendor_says(&world, &wrong, "disabled").status(401);
    let all = world.client("lakeside", "system/*.cruds");
    vendor_says(&world, &all, "disabled").status(401);
    read(200);
}

#[test]
fn everything_that_rests_on_a_grant_ends_with_the_next_request() {
    let (world, all) = clinic();
    let admin = enabled(&world, &json!({}));
    let grants = json!([{ "name": "own", "who": { "roles": ["clinician"] }, "actions": "cruds", "types": ["*"] }]);
    let draft = json!({ "document": { "grants": grants }, "reason": "test" });
    world
        .admin("POST /admin/v1/tenants/lakeside/policy", &draft)
        .status(201);
    let (browser, _) = person(
        &admin,
        &json!({ "login": "ada", "name": "Ada", "roles": ["clinician"] }),
    );
    let draft = json!({ "name": "App", "vendor": "acme", "redirect_uris": ["https://app.example/cb?a=1"],
        "launch_url": "https://app.example/launch",
        "scopes": ["openid", "launch", "launch/patient", "user/*.rs", "offline_access"] });
    let made = world
        .admin("POST /admin/v1/tenants/lakeside/clients", &draft)
        .status(201);
    let app = Program {
        id: made.text("/client_id"),
        secret: Some(made.text("/client_secret")),
    };
    let own = basic(&(app.id.clone(), app.secret.clone().unwrap()));
    let post = |to: &str, fields: &[(&str, &str)]| {
        let body: Vec<String> = fields
            .iter()
            .map(|(n, v)| format!("{n}={}", encode(v)))
            .collect();
        let headers = [("authorization", own.as_str()), FORM];
        world.ask(
            &format!("POST /t/lakeside/auth/{to}"),
            &headers,
            body.join("&"),
        )
    };
    let asked = [("scope", "user/*.rs offline_access")];
    let url = request(&app, &asked);
    let granted = post("token", &code_fields(&approved(&browser, &url))).status(200);
    let token = format!("Bearer {}", granted.text("/access_token"));
    let refresh = granted.text("/refresh_token");
    let search = world
        .fhir(&token, "GET Patient?_count=1&_sort=_id", "")
        .status(200);
    let next = search.link("next").unwrap();
    let code = approved(&browser, &url);
    let launch = json!({ "client_id": app.id, "patient": "p1" }).to_string();
    let launching = || {
        let headers = [("authorization", all.as_str()), super::super::world::JSON];
        world.ask("POST /t/lakeside/auth/launches", &headers, launch.clone())
    };
    let launched = launching().status(201).text("/launch");

    clinic_says(&admin, "disabled", None).status(200);
    world
        .fhir(&token, "GET Patient/p1", "")
        .refused(403, "vendor-disabled");
    world.follow(&token, &next).refused(403, "vendor-disabled");
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh.as_str()),
    ];
    post("token", &fields)
        .status(400)
        .at("/error", "unauthorized_client");
    post("token", &code_fields(&code))
        .status(400)
        .at("/error", "unauthorized_client");
    for (token, name) in [(&token[7..], "access"), (refresh.as_str(), "refresh")] {
        let told = world.ask(
            "POST /t/lakeside/auth/introspect",
            &[
                (
                    "authorization",
                    basic(&world.client_secret("lakeside", "system/*.rs")).as_str(),
                ),
                FORM,
            ],
            format!("token={}", encode(token)),
        );
        told.status(200).at("/active", false);
        assert!(!name.is_empty());
    }
    browser.open(&url).refused_page(403);
    browser
        .open(&request(
            &app,
            &[("launch", &launched), ("scope", "launch user/*.rs")],
        ))
        .refused_page(403);
    launching().refused(403, "vendor-disabled");
    // The person's own browser is no part of the vendor.
    browser.account().status(200);

    // Lifted, what was given before is good again.
    clinic_says(&admin, "enabled", None).status(200);
    world.fhir(&token, "GET Patient/p1", "").status(200);
    world.follow(&token, &next).status(200);
    let again = post("token", &fields).status(200);
    let fresh = format!("Bearer {}", again.text("/access_token"));
    world.fhir(&fresh, "GET Patient/p1", "").status(200);
    let trail = world.admin(
        "GET /admin/v1/tenants/lakeside/audit?limit=1000",
        &Value::Null,
    );
    let trail = trail.status(200).json().to_string();
    assert!(trail.contains("vendor-disabled") && trail.contains("as client of vendor acme"));
}

#[test]
fn the_page_of_the_administrator_switches() {
    let (world, _) = clinic();
    propose(&world, &json!({}));
    let who = basic(&client(&world, "system/*.rs"));
    let admin = administrator(&world, "lakeside");
    let page = admin.open("/t/lakeside/auth/vendors").status(200);
    let html = String::from_utf8_lossy(&page.body).into_owned();
    for told in [
        "Acme (acme)",
        "disabled-by-clinic",
        "DPA 17",
        "Enable on terms 1",
    ] {
        assert!(html.contains(told), "{told}\n{html}");
    }
    let path = "/t/lakeside/auth/vendors/acme/switch";
    let fields = [("hold", "enabled"), ("reason", "<signed>")];
    admin
        .send(
            &page,
            path,
            &[("_form", ""), ("hold", "enabled"), ("reason", "x")],
        )
        .status(403);
    admin.send(&page, path, &fields).status(303);
    world.fhir(&who, "GET Patient/p1", "").status(200);
    let page = admin.open("/t/lakeside/auth/vendors").status(200);
    let html = String::from_utf8_lossy(&page.body).into_owned();
    assert!(html.contains("&lt;signed&gt;") && !html.contains("<signed>"));
    admin
        .send(&page, path, &[("hold", "read-only"), ("reason", "x")])
        .status(303);
    world.fhir(&who, "GET Patient/p1", "").status(200);
    let stranger = Browser::new(&world);
    let away = stranger.open("/t/lakeside/auth/vendors").status(303);
    assert!(
        away.header_text("location")
            .unwrap()
            .ends_with("login?next=vendors")
    );
}

#[test]
fn a_restored_clinic_looks_at_its_vendors_again() {
    let (world, _) = clinic();
    enabled(&world, &json!({}));
    let who = basic(&client(&world, "system/*.rs"));
    let line = "POST /admin/v1/tenants/lakeside/backup";
    world.admin(line, &json!({ "file": "a" })).status(201);
    let line = "POST /admin/v1/tenants/copied/restore";
    world.admin(line, &json!({ "file": "a" })).status(201);
    let shown = world.admin("GET /admin/v1/tenants/copied/vendors/acme", &Value::Null);
    shown.status(200).at("/state", "disabled-by-clinic");
    world
        .fhir(&who, "GET /t/copied/fhir/Patient/p1", "")
        .refused(403, "vendor-disabled");
    world.fhir(&who, "GET Patient/p1", "").status(200);
}

impl super::Answer {
    /// A page that tells of a refusal.
    #[track_caller]
    fn refused_page(self, status: u16) -> Self {
        let answer = self.status(status);
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(text.contains("vendor-disabled"), "{text}");
        answer
    }
}

#[test]
fn limits_of_what_is_kept_hold_up_no_switching_off() {
    let world = World::with(|limits| limits.vendor_events_max = 3, |_| {});
    world.tenant("lakeside");
    let number = propose(&world, &json!({}));
    let admin = administrator(&world, "lakeside");
    clinic_says(&admin, "enabled", Some(number)).status(200);
    let who = basic(&client(&world, "system/*.rs"));
    vendor_says(&world, &who, "disabled").status(200);
    vendor_says(&world, &who, "enabled").status(400);
    operator_says(&world, "disabled").status(200);
    operator_says(&world, "enabled").refused(400, "limit-query");
    clinic_says(&admin, "disabled", None).status(200);
    clinic_says(&admin, "enabled", None).status(200);
}

/// Whoever has a vendor's secret switches it off from anywhere, and lets go of it only from where the terms
/// want its clients to be.
#[test]
fn a_vendor_lets_go_of_its_switch_from_its_networks_alone() {
    let (world, _) = clinic();
    let _admin = enabled(&world, &json!({ "networks": ["192.0.2.0/24"] }));
    let who = basic(&client(&world, "system/*.cruds"));
    let says = |from: &str, hold: &str| {
        let headers = [("authorization", who.as_str()), FORM];
        let body = format!("hold={hold}&reason=test");
        let from = from.parse().unwrap();
        world.ask_from(from, "POST /t/lakeside/auth/vendor", &headers, body)
    };
    says("198.51.100.7", "disabled").status(200);
    says("198.51.100.7", "enabled")
        .status(400)
        .at("/error", "unauthorized_client");
    says("198.51.100.7", "read-only").status(400);
    says("198.51.100.7", "disabled").status(200);
    says("192.0.2.7", "enabled")
        .status(200)
        .at("/state", "enabled");
}

#[test]
fn a_vendor_at_its_own_switch_is_not_told_who_acts_for_the_clinic_nor_comes_as_often_as_it_likes() {
    let (world, _) = clinic();
    let admin = enabled(&world, &json!({}));
    let who = basic(&client(&world, "system/*.cruds"));
    let body = json!({ "hold": "disabled", "reason": "they asked too much" });
    admin.api("POST vendors/acme/switch", &body).status(200);
    vendor_says(&world, &who, "disabled").status(200);
    let headers = [("authorization", who.as_str()), FORM];
    let shown = world.ask("POST /t/lakeside/auth/vendor", &headers, "");
    let shown = shown.status(200).at("/state", "disabled-by-vendor").json();
    let text = shown.to_string();
    assert!(
        !text.contains("they asked too much") && !text.contains("person:"),
        "{shown:#}"
    );
    assert!(text.contains("client:"), "its own doing is told: {shown:#}");
    let asked = (0..100).map(|_| world.ask("POST /t/lakeside/auth/vendor", &headers, ""));
    let codes: Vec<u16> = asked.map(|a| a.code).collect();
    assert!(codes.contains(&429), "{codes:?}");
    // The clinic is told everything.
    let told = admin
        .api("GET vendors/acme", &Value::Null)
        .status(200)
        .json();
    assert!(told.to_string().contains("they asked too much"));
}

#[test]
fn one_vendor_fills_nothing_of_another() {
    let world = World::with(|limits| limits.vendor_events_max = 6, |_| {});
    world.tenant("lakeside");
    let number = propose(&world, &json!({}));
    let admin = administrator(&world, "lakeside");
    clinic_says(&admin, "enabled", Some(number)).status(200);
    let other = json!({ "vendor": "zenith", "name": "Zenith" });
    propose(&world, &other);
    let who = basic(&client(&world, "system/*.cruds"));
    for _ in 0..6 {
        vendor_says(&world, &who, "disabled");
        vendor_says(&world, &who, "enabled");
    }
    vendor_says(&world, &who, "disabled").status(200);
    let full = vendor_says(&world, &who, "enabled");
    assert!(full.code >= 400, "{}", full.code);
    // The other's operator still has room.
    for hold in ["disabled", "enabled"] {
        let body = json!({ "hold": hold, "reason": "test" });
        world
            .admin(&format!("POST {VENDORS}/zenith/switch"), &body)
            .status(200);
    }
}

#[test]
fn who_is_not_let_in_takes_nothing_of_the_tenants_rate() {
    let world = World::with(|limits| limits.tenant_requests_per_second_max = 8, |_| {});
    world.tenant("lakeside");
    let _admin = enabled(&world, &json!({}));
    let who = basic(&client(&world, "system/*.cruds"));
    let own = world.client("lakeside", "system/*.cruds");
    world.clock.forward_secs(10);
    operator_says(&world, "disabled").status(200);
    world.clock.forward_secs(10);
    for _ in 0..30 {
        world
            .fhir(&who, "GET Patient/p1", "")
            .refused(403, "vendor-disabled");
    }
    world.fhir(&own, "GET Patient/p1", "").status(404);
}

#[test]
fn a_switch_waits_behind_nothing_that_is_written_and_its_hold_is_let_go() {
    let (world, all) = clinic();
    let _admin = enabled(&world, &json!({}));
    let who = basic(&client(&world, "system/*.cruds"));
    let token = bearer(&world, &who);
    let read = || world.fhir(&token, "GET Patient/p1", "").code;
    assert_eq!(read(), 200);
    // Somebody writes for long, and what else is to be written waits.
    let file = super::super::quarantine::past_insula(&world.dir);
    file.execute_batch("BEGIN IMMEDIATE").unwrap();
    let entries: Vec<Value> = (0..50)
        .map(|n| {
            json!({ "resource": super::observation(&format!("o{n}"), "p1"),
                "request": { "method": "PUT", "url": format!("Observation/o{n}") } })
        })
        .collect();
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries });
    let headers = [
        ("authorization", all.as_str()),
        ("content-type", "application/fhir+json"),
    ];
    let line = "POST /t/lakeside/fhir";
    let writing = world.begin(line, &headers, bundle.to_string());
    let says = |hold: &str| {
        let headers = [
            ("authorization", world.operator.as_str()),
            super::super::world::JSON,
        ];
        let body = json!({ "hold": hold, "reason": "test" });
        let line = format!("POST {VENDORS}/acme/switch");
        world.begin(&line, &headers, body.to_string())
    };
    let is_off = || assert!((0..10_000).any(|_| read() == 403), "it is off");
    let off = says("disabled");
    is_off();
    assert!(!off.is_finished() && !writing.is_finished());
    // Whoever moved it hangs up, and it stays off; it is moved again before anything was written.
    off.abort();
    assert_eq!(read(), 403);
    world.clock.forward_secs(1);
    let again = says("enabled");
    assert_eq!(read(), 403);
    assert!(!again.is_finished() && !writing.is_finished());
    file.execute_batch("ROLLBACK").unwrap();
    assert_eq!(world.finish(writing), 200);
    assert_eq!(world.finish(again), 200);
    // Both were written, in their order: the hold of the first, whose caller is gone, is let go as well.
    assert_eq!(read(), 200);
    let shown = world
        .admin(&format!("GET {VENDORS}/acme"), &Value::Null)
        .json();
    let told = shown["events"].as_array().unwrap();
    let told: Vec<&str> = told.iter().map(|e| e["what"].as_str().unwrap()).collect();
    let wanted = [
        "operator switches to disabled",
        "operator switches to enabled",
    ];
    assert_eq!(told[told.len() - 2..], wanted);

    // Who hangs up has moved the switch all the same.
    file.execute_batch("BEGIN IMMEDIATE").unwrap();
    let off = says("read-only");
    let write = || {
        let line = "PUT Patient/p2";
        world
            .fhir(&token, line, super::patient_with_id("p2", "Doe"))
            .code
    };
    let state = || {
        let shown = world.admin(&format!("GET {VENDORS}/acme"), &Value::Null);
        shown.text("/state")
    };
    assert!((0..10_000).any(|_| state() == "read-only"));
    assert!(!off.is_finished());
    off.abort();
    file.execute_batch("ROLLBACK").unwrap();
    assert_eq!(write(), 403);
    operator_says(&world, "enabled").status(200);
    assert_eq!(write(), 200);
}

#[test]
fn a_copy_as_it_was_has_no_vendor_that_was_switched_off_since() {
    let (world, _) = clinic();
    let admin = enabled(&world, &json!({}));
    let file = json!({ "file": "v.backup" });
    world
        .admin("POST /admin/v1/tenants/lakeside/backup", &file)
        .status(201);
    let copy = |name: &str, clients: &str| {
        let body = json!({ "file": "v.backup", "clients": clients });
        let path = format!("POST /admin/v1/tenants/{name}/restore");
        world.admin(&path, &body).status(201);
        let path = format!("GET /admin/v1/tenants/{name}/vendors/acme");
        world.admin(&path, &Value::Null).text("/state")
    };
    assert_eq!(copy("first", "keep"), "enabled");
    assert_eq!(copy("second", "as-now"), "disabled-by-clinic");
    clinic_says(&admin, "disabled", None).status(200);
    assert_eq!(copy("third", "keep"), "disabled-by-clinic");
}
