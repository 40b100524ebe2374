//! Programs that change what is registered of them (RFC 7592), and what is decided about that.

use super::*;

#[test]
fn a_program_looks_after_its_own_registration() {
    let world = lakeside(|limits| limits.registrations_per_minute_max = 6);
    let made = register(&world, &service()).status(201);
    let other = register(&world, &service()).status(201);
    let uri = made.text("/registration_client_uri");
    let path = uri.strip_prefix(ROOT).unwrap();
    let ask = |method: &str, path: &str, of: &Answer| {
        let bearer = format!("Bearer {}", of.text("/registration_access_token"));
        let headers = [("authorization", bearer.as_str())];
        world.ask(&format!("{method} {path}"), &headers, "")
    };
    ask("GET", path, &made)
        .status(200)
        .at("/approved", false)
        .at("/client_name", "Lab")
        .at(
            "/registration_access_token",
            made.text("/registration_access_token"),
        );
    for (method, answer) in [("GET", &other), ("DELETE", &other)] {
        ask(method, path, answer)
            .status(401)
            .at("/error", "invalid_token");
    }
    world.ask(&format!("GET {path}"), &[], "").status(401);
    world.ask(&format!("DELETE {path}"), &[], "").status(401);
    let id = made.text("/client_id");
    let line = format!("POST /admin/v1/tenants/lakeside/registrations/{id}");
    world
        .admin(&line, &json!({ "decision": "approve" }))
        .status(201);
    token(&world, &made).status(200);
    ask("GET", path, &made)
        .status(200)
        .at("/approved", true)
        .at(
            "/registration_access_token",
            made.text("/registration_access_token"),
        )
        .at("/token_endpoint_auth_method", "client_secret_basic")
        .at("/grant_types", json!(["client_credentials"]))
        .at("/response_types", json!([]));
    ask("DELETE", path, &made).status(204);
    token(&world, &made).status(401);
    ask("GET", path, &made).status(401);
    // One that was not decided about yet.
    let uri = other.text("/registration_client_uri");
    let path = uri.strip_prefix(ROOT).unwrap();
    ask("GET", path, &other).status(200);
    ask("DELETE", path, &other).status(204);
    assert!(trail(&world).contains("by its own token from "));
    // Nobody vouches for who registers: they ask no more often than that. Wrong tokens are not counted.
    world.ask(&format!("GET {path}"), &[], "").status(401);
    ask("GET", path, &other).refused(429, "rate-limited");
    world.clock.forward_secs(60);
    ask("GET", path, &other).status(401);
    // Both documents say where.
    for path in [
        "fhir/.well-known/smart-configuration",
        "auth/.well-known/openid-configuration",
    ] {
        world.ask(&format!("GET /t/lakeside/{path}"), &[], "").at(
            "/registration_endpoint",
            format!("{ROOT}/t/lakeside/auth/register"),
        );
    }
}

/// Asks at the address of a registration as the program that it is of.
fn manage(world: &World, method: &str, of: &Answer, body: &Value) -> Answer {
    let uri = of.text("/registration_client_uri");
    let path = uri.strip_prefix(ROOT).unwrap();
    let bearer = format!("Bearer {}", of.text("/registration_access_token"));
    let headers = [JSON, ("authorization", bearer.as_str())];
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    world.ask(&format!("{method} {path}"), &headers, body)
}

fn with_id(of: &Answer, mut metadata: Value) -> Value {
    metadata["client_id"] = json!(of.text("/client_id"));
    metadata
}

/// What waits of a program, as those see it who decide.
fn waits(world: &World, of: &Answer) -> Value {
    let line = "GET /admin/v1/tenants/lakeside/registrations";
    let all = world.admin(line, &Value::Null).status(200).json();
    let id = of.text("/client_id");
    let mut all = all["registrations"].as_array().unwrap().iter();
    all.find(|one| one["client_id"] == id.as_str())
        .cloned()
        .unwrap_or_default()
}

/// The operator approves what they see.
fn approve(world: &World, of: &Answer) -> Answer {
    let mut decision = json!({ "decision": "approve" });
    if let Some(record) = waits(world, of)["record"].as_str() {
        decision["record"] = json!(record);
    }
    approve_with(world, of, &decision)
}

fn approve_with(world: &World, of: &Answer, decision: &Value) -> Answer {
    let id = of.text("/client_id");
    let line = format!("POST /admin/v1/tenants/lakeside/registrations/{id}");
    world.admin(&line, decision)
}

#[test]
fn nobody_approves_what_they_did_not_look_at() {
    let world = lakeside(|limits| limits.registrations_per_minute_max = 100);
    let admin = administrator(&world, "lakeside");
    two_factors(&admin);
    let made = register(&world, &program()).status(201);
    let id = made.text("/client_id");
    let path = "/t/lakeside/auth/registrations";
    let seen = waits(&world, &made)["record"].clone();
    let page = admin.open(path).status(200);
    let html = String::from_utf8_lossy(&page.body).into_owned();
    let seen = seen.as_str().unwrap();
    assert!(html.contains(&format!("name=\"record\" value=\"{seen}\"")));
    // It asks to send people elsewhere while the page is open.
    let mut evil = with_id(&made, program());
    evil["redirect_uris"] = json!(["https://evil.example/cb"]);
    manage(&world, "PUT", &made, &evil).status(200);
    let form = format!("{path}/{id}");
    let said = [
        ("decision", "approve"),
        ("scope", "openid"),
        ("scope", "patient/*.rs"),
        ("record", seen),
    ];
    let answer = admin.send(&page, &form, &said);
    assert_eq!(answer.code, 412);
    assert_eq!(admin.send(&page, &form, &said[..3]).code, 412, "no record");
    // By the API as well: what was looked at, or what it asked for first.
    let mut decision = json!({ "decision": "approve" });
    decide(&admin, &id, &decision).refused(412, "version-conflict");
    approve_with(&world, &made, &decision).refused(412, "version-conflict");
    decision["record"] = json!(seen);
    decide(&admin, &id, &decision).refused(412, "version-conflict");
    let clients = world.admin("GET /admin/v1/tenants/lakeside/clients", &Value::Null);
    assert!(!String::from_utf8_lossy(&clients.body).contains(&id));
    decision["record"] = waits(&world, &made)["record"].clone();
    decide(&admin, &id, &decision).status(201);
}

#[test]
fn a_change_takes_nothing_off_that_binds_a_client() {
    let world = lakeside(|limits| limits.registrations_per_minute_max = 100);
    let admin = administrator(&world, "lakeside");
    two_factors(&admin);
    let terms = json!({
        "vendor": "acme", "name": "Acme", "reason": "agreed",
        "contract": { "data": "Charts", "purposes": ["TREAT"], "from": "2026-01-01", "until": "2030-01-01",
            "contact": "privacy@acme.example", "document": "DPA 17" },
        "scopes": ["system/*.rs"],
    });
    let vendors = "POST /admin/v1/tenants/lakeside/vendors";
    world.admin(vendors, &terms).status(201);
    let made = register(&world, &service()).status(201);
    let id = made.text("/client_id");
    let first = json!({ "decision": "approve", "vendor": "acme", "roles": ["laboratory"] });
    decide(&admin, &id, &first)
        .status(201)
        .at("/vendor", "acme")
        .at("/roles", json!(["laboratory"]));
    let mut other = with_id(&made, service());
    other["client_name"] = json!("Laboratory");
    manage(&world, "PUT", &made, &other).status(200);
    let seen = waits(&world, &made);
    assert_eq!(seen["vendor"], "acme");
    assert_eq!(seen["roles"], json!(["laboratory"]));
    // On the page both stand where they are changed; cleared, nothing is taken off.
    let path = "/t/lakeside/auth/registrations";
    let page = admin.open(path).status(200);
    let html = String::from_utf8_lossy(&page.body).into_owned();
    assert!(html.contains("name=\"vendor\" value=\"acme\""), "{html}");
    assert!(html.contains("name=\"roles\" value=\"laboratory\""));
    let said = [
        ("decision", "approve"),
        ("scope", "system/Patient.r"),
        ("record", seen["record"].as_str().unwrap()),
        ("vendor", ""),
        ("roles", ""),
    ];
    admin
        .send(&page, &format!("{path}/{id}"), &said)
        .status(303);
    let kept = |scopes: Value| {
        let line = "GET /admin/v1/tenants/lakeside/clients";
        let all = world.admin(line, &Value::Null).status(200).json();
        let mut all = all["clients"].as_array().unwrap().iter();
        let client = all.find(|c| c["client_id"] == id.as_str()).unwrap();
        assert_eq!(client["vendor"], "acme");
        assert_eq!(client["roles"], json!(["laboratory"]));
        assert_eq!(client["scopes"], scopes);
    };
    kept(json!(["system/Patient.r"]));
    // The operator, who may let in what no policy governs, and says nothing of it.
    manage(&world, "PUT", &made, &other).status(200);
    approve(&world, &made).status(201);
    kept(json!(["system/Observation.rs", "system/Patient.r"]));
    // It is bound for good: whoever's switch is off is not got round under the name of another.
    let mut another = terms.clone();
    another["vendor"] = json!("other");
    world.admin(vendors, &another).status(201);
    let mut less = other.clone();
    less["scope"] = json!("system/Observation.rs");
    manage(&world, "PUT", &made, &less).status(200);
    let record = waits(&world, &made)["record"].clone();
    let moves = json!({ "decision": "approve", "vendor": "other", "record": record });
    approve_with(&world, &made, &moves).refused(400, "request-invalid");
    decide(&admin, &id, &moves).refused(400, "request-invalid");
    kept(json!(["system/Observation.rs", "system/Patient.r"]));
    // What goes beyond the vendor's grant is not approved, though the vendor is not named.
    other["scope"] = json!("system/*.cruds");
    manage(&world, "PUT", &made, &other).status(200);
    approve(&world, &made).refused(400, "scope-invalid");
    kept(json!(["system/Observation.rs", "system/Patient.r"]));
}

#[test]
fn a_program_that_waits_asks_for_something_else() {
    let world = lakeside(|limits| limits.registrations_per_minute_max = 100);
    let made = register(&world, &service()).status(201);
    let mut less = with_id(&made, service());
    less["scope"] = json!("system/Patient.r");
    less["client_secret"] = json!(made.text("/client_secret"));
    manage(&world, "PUT", &made, &less)
        .status(200)
        .at("/approved", false)
        .at("/scope", "system/Patient.r");
    // What only the house says is not repeated, and another's id or secret is none.
    let wrong = |name: &str, value: Value| {
        let mut changed = less.clone();
        changed[name] = value;
        manage(&world, "PUT", &made, &changed)
            .status(400)
            .at("/error", "invalid_client_metadata");
    };
    wrong("client_id", json!("another"));
    wrong("client_id", Value::Null);
    wrong("client_secret", json!("another"));
    wrong("registration_access_token", json!("x"));
    wrong("registration_client_uri", json!("x"));
    wrong("client_secret_expires_at", json!(0));
    wrong("client_id_issued_at", json!(0));
    wrong("grant_types", json!(["password"]));
    let other = register(&world, &service()).status(201);
    let bearer = format!("Bearer {}", other.text("/registration_access_token"));
    let uri = made.text("/registration_client_uri");
    let line = format!("PUT {}", uri.strip_prefix(ROOT).unwrap());
    let headers = [JSON, ("authorization", bearer.as_str())];
    world.ask(&line, &headers, less.to_string()).status(401);
    // Its secret is the one that it was given.
    approve(&world, &made).status(201);
    let given = token(&world, &made).status(200);
    given.at("/scope", "system/Patient.r");
    // Another way to prove who it is, while it waits: a secret comes and goes with it.
    let mut app = with_id(&other, program());
    manage(&world, "PUT", &other, &app)
        .status(200)
        .at("/token_endpoint_auth_method", "none");
    app["token_endpoint_auth_method"] = json!("client_secret_basic");
    let given = manage(&world, "PUT", &other, &app).status(200);
    assert_ne!(given.text("/client_secret"), other.text("/client_secret"));
}

#[test]
fn a_client_that_asks_for_more_stays_what_it_is_until_that_is_approved() {
    let world = lakeside(|limits| limits.registrations_per_minute_max = 100);
    let made = register(&world, &service()).status(201);
    approve(&world, &made).status(201);
    let before = token(&world, &made).status(200);
    let before = format!("Bearer {}", before.text("/access_token"));
    // The same once more changes nothing.
    let same = with_id(&made, service());
    let told = manage(&world, "PUT", &made, &same).status(200).json();
    assert!(told["change_waits"].is_null(), "{told}");
    let mut more = same.clone();
    more["scope"] = json!("system/*.cruds");
    manage(&world, "PUT", &made, &more)
        .status(200)
        .at("/approved", true)
        .at("/change_waits", true)
        .at("/scope", "system/Observation.rs system/Patient.r");
    let wider = |status: u16| {
        let write = world.fhir(&before, "PUT Patient/p1", patient_with_id("p1", "Doe"));
        assert_eq!(write.code, status);
    };
    wider(403);
    let line = "GET /admin/v1/tenants/lakeside/registrations";
    let all = world.admin(line, &Value::Null).status(200);
    all.at("/registrations/0/changes", true);
    // Refused, it stays; approved, it is another, and what it was given before ends.
    let id = made.text("/client_id");
    let decide = format!("POST /admin/v1/tenants/lakeside/registrations/{id}");
    let refuse = json!({ "decision": "refuse" });
    world.admin(&decide, &refuse).status(204);
    token(&world, &made).status(200);
    manage(&world, "PUT", &made, &more).status(200);
    approve(&world, &made).status(201);
    wider(401);
    let after = token(&world, &made).status(200);
    let after = format!("Bearer {}", after.text("/access_token"));
    world
        .fhir(&after, "PUT Patient/p1", patient_with_id("p1", "Doe"))
        .status(201);
    assert!(trail(&world).contains(&format!("approve client {id} with system/*.cruds")));
    // What waits goes with the client that it is of.
    more["scope"] = json!("system/Patient.rs");
    manage(&world, "PUT", &made, &more).status(200);
    manage(&world, "DELETE", &made, &Value::Null).status(204);
    token(&world, &made).status(401);
    approve(&world, &made).refused(404, "client-unknown");
    manage(&world, "PUT", &made, &more).status(401);
}

#[test]
fn keys_are_kept_of_those_who_prove_who_they_are_by_them() {
    let world = lakeside(|limits| limits.registrations_per_minute_max = 100);
    let pair = Pair::es384("k1");
    let mut with_secret = service();
    with_secret["jwks"] = set(&[&pair]);
    let made = register(&world, &with_secret).status(201);
    assert!(made.json()["jwks"].is_null());
    approve(&world, &made).status(201);
    let id = made.text("/client_id");
    let claims = json!({
        "iss": id, "sub": id, "aud": format!("{ROOT}/t/lakeside/auth/token"),
        "exp": 1_795_310_523 + 200, "jti": "one",
    });
    let ask = |assertion: &str| {
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let body = format!(
            "grant_type=client_credentials&client_assertion_type={kind}&client_assertion={assertion}"
        );
        world.ask("POST /t/lakeside/auth/token", &[FORM], body)
    };
    ask(&pair.sign(&claims))
        .status(401)
        .at("/error", "invalid_client");
    // By keys: they are told again, and what must be understood is not.
    let mut by_keys = service();
    by_keys["jwks"] = set(&[&pair]);
    by_keys["token_endpoint_auth_method"] = json!("private_key_jwt");
    let made = register(&world, &by_keys).status(201);
    approve(&world, &made).status(201);
    manage(&world, "GET", &made, &Value::Null)
        .status(200)
        .at("/token_endpoint_auth_method", "private_key_jwt")
        .at("/jwks", set(&[&pair]));
    let mut claims = claims.clone();
    (claims["iss"], claims["sub"]) = (
        json!(made.text("/client_id")),
        json!(made.text("/client_id")),
    );
    let good = pair.sign(&claims);
    let (_, rest) = good.split_once('.').unwrap();
    let header = json!({ "alg": "ES384", "kid": "k1", "crit": ["exp"], "exp": 1 }).to_string();
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(header);
    ask(&format!("{header}.{rest}")).status(401);
    ask(&good).status(200);
}
