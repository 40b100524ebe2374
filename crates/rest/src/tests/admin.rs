//! The admin API.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::world::{JSON, World};

#[test]
fn a_tenant_comes_and_goes() {
    let world = World::new();
    let draft = json!({ "name": "lakeside", "display": "Lakeside Clinic", "fhir": "4.0.1",
                        "config": { "references": "enforced" } });
    let made = world.admin("POST /admin/v1/tenants", &draft).status(201);
    let made = made.header("location", "/admin/v1/tenants/lakeside");
    let made = made
        .at("/state", "active")
        .at("/config/references", "enforced");
    made.at("/base", "http://127.0.0.1:8080/t/lakeside/fhir")
        .at("/display", "Lakeside Clinic");
    world
        .admin("POST /admin/v1/tenants", &draft)
        .refused(409, "tenant-exists");

    let show = |state: &str| {
        let shown = world
            .admin("GET /admin/v1/tenants/lakeside", &Value::Null)
            .status(200);
        shown.at("/state", state)
    };
    let patch = json!({ "display": "New" });
    world
        .admin("PATCH /admin/v1/tenants/lakeside", &patch)
        .status(200)
        .at("/display", "New");
    show("active").at("/config/references", "enforced");

    let who = world.client("lakeside", "system/*.cruds");
    world
        .fhir(&who, "GET Patient/p", "")
        .refused(404, "not-found");
    world
        .admin("POST /admin/v1/tenants/lakeside/suspend", &Value::Null)
        .status(200);
    show("suspended");
    let refused = world
        .fhir(&who, "GET Patient/p", "")
        .refused(503, "tenant-suspended");
    assert!(refused.header_text("retry-after").is_some());
    world
        .fhir(&who, "GET metadata", "")
        .refused(503, "tenant-suspended");
    world
        .admin("POST /admin/v1/tenants/lakeside/resume", &Value::Null)
        .status(200);
    world
        .fhir(&who, "GET Patient/p", "")
        .refused(404, "not-found");

    let delete = |query: &str| {
        world.admin(
            &format!("DELETE /admin/v1/tenants/lakeside{query}"),
            &Value::Null,
        )
    };
    delete("").refused(400, "confirmation-missing");
    delete("?confirm=other").refused(400, "confirmation-missing");
    delete("?confirm=lakeside&grace=soon").refused(400, "request-invalid");
    let left = delete("?confirm=lakeside")
        .status(202)
        .at("/state", "leaving");
    assert!(left.json()["shred_at"].is_string());
    world
        .fhir(&who, "GET Patient/p", "")
        .refused(410, "tenant-leaving");
    world
        .admin("GET /admin/v1/tenants/lakeside/receipt", &Value::Null)
        .status(409);
    world
        .admin("POST /admin/v1/tenants/lakeside/resume", &Value::Null)
        .status(200);
    world
        .fhir(&who, "GET Patient/p", "")
        .refused(404, "not-found");
    delete("?confirm=lakeside&grace=0")
        .status(202)
        .at("/state", "gone");
    let receipt = world
        .admin("GET /admin/v1/tenants/lakeside/receipt", &Value::Null)
        .status(200);
    assert!(receipt.json().is_object());
    let code = world.fhir(&who, "GET Patient/p", "").code;
    assert!(matches!(code, 404 | 410), "{code}");
}

#[test]
fn tenants_are_listed_by_name() {
    let world = World::new();
    for name in ["gamma", "alpha", "beta"] {
        world.tenant(name);
    }
    let names = |answer: &Value| -> Vec<String> {
        let tenants = answer["tenants"].as_array().unwrap();
        tenants
            .iter()
            .map(|t| t["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = world
        .admin("GET /admin/v1/tenants", &Value::Null)
        .status(200)
        .json();
    assert_eq!(names(&all), ["alpha", "beta", "gamma"]);
    let first = world
        .admin("GET /admin/v1/tenants?limit=2", &Value::Null)
        .status(200)
        .json();
    assert_eq!((names(&first).len(), &first["next"]), (2, &json!("beta")));
    let rest = world
        .admin("GET /admin/v1/tenants?after=beta&limit=2", &Value::Null)
        .json();
    assert_eq!(
        (names(&rest), rest.get("next")),
        (vec!["gamma".to_owned()], None)
    );
}

#[test]
fn bad_requests_are_told_as_problems() {
    let world = World::new();
    world.tenant("lakeside");
    for (line, body, status, code) in [
        (
            "POST /admin/v1/tenants",
            json!({ "name": "x" }),
            400,
            "tenant-name",
        ),
        (
            "POST /admin/v1/tenants",
            json!({ "name": "admin" }),
            400,
            "tenant-name",
        ),
        (
            "POST /admin/v1/tenants",
            json!({ "name": "abc", "fhir": "3.0.2" }),
            400,
            "request-invalid",
        ),
        (
            "POST /admin/v1/tenants",
            json!({ "name": "abc", "shoe": 1 }),
            400,
            "request-invalid",
        ),
        (
            "POST /admin/v1/tenants",
            json!({ "name": "abc", "display": "" }),
            400,
            "request-invalid",
        ),
        ("POST /admin/v1/tenants", Value::Null, 400, "body-empty"),
        (
            "GET /admin/v1/tenants/unknown",
            Value::Null,
            404,
            "tenant-unknown",
        ),
        (
            "GET /admin/v1/tenants/Not-A-Name",
            Value::Null,
            404,
            "tenant-unknown",
        ),
        (
            "POST /admin/v1/tenants/unknown/suspend",
            Value::Null,
            404,
            "tenant-unknown",
        ),
        (
            "POST /admin/v1/tenants/unknown/clients",
            json!({ "name": "a", "scopes": ["system/*.rs"] }),
            404,
            "tenant-unknown",
        ),
        (
            "POST /admin/v1/tenants/lakeside/clients",
            json!({ "name": "a", "scopes": ["user/*.rs"] }),
            400,
            "scope-invalid",
        ),
        (
            "POST /admin/v1/tenants/lakeside/clients",
            json!({ "name": "a", "scopes": [] }),
            400,
            "scope-invalid",
        ),
        (
            "POST /admin/v1/tenants/lakeside/clients",
            json!({ "name": "a", "scopes": ["system/*.rs"], "jwks": {} }),
            400,
            "request-invalid",
        ),
        (
            "DELETE /admin/v1/tenants/lakeside/clients/none",
            Value::Null,
            404,
            "client-unknown",
        ),
        (
            "POST /admin/v1/tenants/lakeside/imports",
            json!({ "reason": "" }),
            400,
            "request-invalid",
        ),
        (
            "POST /admin/v1/tenants/lakeside/backup",
            json!({ "file": "../../etc/passwd" }),
            400,
            "request-invalid",
        ),
        (
            "POST /admin/v1/tenants/lakeside/backup",
            json!({ "file": ".hidden" }),
            400,
            "request-invalid",
        ),
        (
            "POST /admin/v1/tenants/copy/restore",
            json!({ "file": "none.backup" }),
            404,
            "backup-unknown",
        ),
        ("GET /admin/v1/nothing", Value::Null, 404, "route-unknown"),
        (
            "PUT /admin/v1/tenants",
            Value::Null,
            405,
            "method-not-allowed",
        ),
    ] {
        let refused = world.admin(line, &body).refused(status, code);
        refused.header("content-type", "application/problem+json");
    }
    let headers = [("authorization", world.operator.as_str()), JSON];
    world
        .ask("POST /admin/v1/tenants", &headers, "{")
        .refused(400, "json-syntax");
    // Members are named, not counted; and what is described is what is taken.
    let line = "PATCH /admin/v1/tenants/lakeside";
    for body in [
        r#"["other"]"#,
        r#"{"config": ["literal"]}"#,
        r#"{"disply": "x"}"#,
    ] {
        world
            .ask(line, &headers, body)
            .refused(400, "request-invalid");
    }
    world
        .ask(line, &headers, r#"{"display": null}"#)
        .status(200);
    // To the operator, a suspended tenant is a state and no failure that goes by itself.
    let suspend = "POST /admin/v1/tenants/lakeside/suspend";
    world.admin(suspend, &Value::Null).status(200);
    let people = "GET /admin/v1/tenants/lakeside/people";
    world
        .admin(people, &Value::Null)
        .refused(409, "tenant-state");
}

#[test]
fn changes_of_a_tenant_at_the_same_time_undo_nothing_of_each_other() {
    let world = World::new();
    world.tenant("lakeside");
    let line = "PATCH /admin/v1/tenants/lakeside";
    let headers = [("authorization", world.operator.as_str()), JSON];
    let shown = || {
        let shown = world.admin("GET /admin/v1/tenants/lakeside", &Value::Null);
        let shown = shown.status(200).json();
        (shown["display"].clone(), shown["config"].clone())
    };
    // Each of several operators has one thing in mind.
    for round in 0..12 {
        let references = ["enforced", "literal"][round % 2];
        let registration = ["anyone", "nobody"][round % 2];
        let origins = json!([format!("https://app-{round}.example")]);
        let days = 30 + round;
        let changes = [
            json!({ "config": { "references": references } }),
            json!({ "config": { "registration": registration } }),
            json!({ "config": { "cors_origins": origins } }),
            json!({ "config": { "audit_retention_days": days, "legal_hold": round % 2 == 0 } }),
            json!({ "display": format!("Lakeside {round}") }),
        ];
        let begun: Vec<_> = changes
            .iter()
            .map(|change| world.begin(line, &headers, change.to_string()))
            .collect();
        for begun in begun {
            assert_eq!(world.finish(begun), 200);
        }
        let wanted = json!({ "references": references, "registration": registration,
            "cors_origins": origins, "audit_retention_days": days, "legal_hold": round % 2 == 0 });
        assert_eq!(shown(), (json!(format!("Lakeside {round}")), wanted));
    }
    // Two who looked before either of them wrote.
    let (display, _) = shown();
    let write = |config: Value| world.admin(line, &json!({ "config": config })).status(200);
    write(json!({ "references": "literal" }));
    write(json!({ "cors_origins": [] }));
    let (same, config) = shown();
    assert_eq!(
        (&same, &config["references"], &config["registration"]),
        (&display, &json!("literal"), &json!("nobody"))
    );
    assert!(config.get("cors_origins").is_none(), "{config}");
    write(json!({}));
    assert_eq!(shown(), (display, config));
}

#[test]
fn clients_are_listed_without_secrets() {
    let world = World::new();
    world.tenant("lakeside");
    let (id, secret) = world.client_secret("lakeside", "system/Patient.rs system/Observation.r");
    let list = world
        .admin("GET /admin/v1/tenants/lakeside/clients", &Value::Null)
        .status(200);
    let list = list.at("/clients/0/client_id", id.as_str());
    let list = list.at(
        "/clients/0/scopes",
        json!(["system/Patient.rs", "system/Observation.r"]),
    );
    assert!(
        !String::from_utf8(list.body.to_vec())
            .unwrap()
            .contains(&secret)
    );
    let line = format!("DELETE /admin/v1/tenants/lakeside/clients/{id}");
    world.admin(&line, &Value::Null).status(204);
    let list = world.admin("GET /admin/v1/tenants/lakeside/clients", &Value::Null);
    list.at("/clients/0/revoked", true);
}

#[test]
fn an_import_is_a_timed_way_in() {
    let world = World::new();
    world.tenant("lakeside");
    let body = json!({ "reason": "first load" });
    let opened = world
        .admin("POST /admin/v1/tenants/lakeside/imports", &body)
        .status(201);
    assert!(opened.text("/import").ends_with(" first load"));
    let opened = opened.at("/expires_in", 900);
    let id = opened.text("/import_id");
    let token = format!("Bearer {}", opened.text("/access_token"));
    let patient =
        r#"{"resourceType":"Patient","id":"p","identifier":[{"system":"urn:s","value":"1"}]}"#;
    world.fhir(&token, "PUT Patient/p", patient).status(201);
    world.tenant("hillside");
    world
        .fhir(&token, "GET /t/hillside/fhir/Patient/p", "")
        .refused(401, "credentials-invalid");
    // Conditional writes find what they name; nothing is shown, nothing is deleted.
    let entry = json!({"resource": {"resourceType": "Patient"}, "request":
        {"method": "POST", "url": "Patient", "ifNoneExist": "identifier=urn:s|1"}});
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry]});
    world
        .fhir(&token, "POST ", bundle.to_string())
        .status(200)
        .at("/entry/0/response/status", "200 OK");
    let headers = [
        ("authorization", token.as_str()),
        ("content-type", "application/fhir+json"),
        ("if-none-exist", "identifier=urn:s|1"),
        ("prefer", "return=representation"),
    ];
    let found = world
        .ask("POST /t/lakeside/fhir/Patient", &headers, patient)
        .status(200);
    assert!(found.body.is_empty(), "its place, not its content");
    for line in [
        "GET Patient/p",
        "GET Patient/p/_history/1",
        "GET Patient/p/_history",
        "GET _history",
        "GET Patient?_id=p",
        "GET ?_type=Patient",
        "DELETE Patient/p",
        "DELETE Patient?identifier=urn:s|1",
    ] {
        world.fhir(&token, line, "").refused(403, "scope-missing");
    }

    world.clock.forward_secs(901);
    world
        .fhir(&token, "PUT Patient/p", patient)
        .refused(401, "token-expired");
    let renew = format!("POST /admin/v1/tenants/lakeside/imports/{id}/renew");
    let renewed = world.admin(&renew, &Value::Null).status(200);
    let token = format!("Bearer {}", renewed.text("/access_token"));
    // What comes again as it was makes no version; what differs does.
    world
        .fhir(&token, "PUT Patient/p", patient)
        .status(200)
        .header("etag", "W/\"1\"");
    let again = |text: &str| {
        let resource: Value = serde_json::from_str(text).unwrap();
        let entry = json!({"resource": resource, "request": {"method": "PUT", "url": "Patient/p"}});
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry]});
        world.fhir(&token, "POST ", bundle.to_string()).status(200)
    };
    again(patient)
        .at("/entry/0/response/status", "304 Not Modified")
        .at("/entry/0/response/etag", "W/\"1\"");
    let other = patient.replace("urn:s", "urn:t");
    again(&other)
        .at("/entry/0/response/status", "200 OK")
        .at("/entry/0/response/etag", "W/\"2\"");
    again(patient).at("/entry/0/response/etag", "W/\"3\"");
    // The way in ends, and its last token with it.
    world.clock.forward_secs(3600 - 901 - 60);
    let last = world.admin(&renew, &Value::Null).status(200);
    let last = last.at("/expires_in", 60);
    let token = format!("Bearer {}", last.text("/access_token"));
    world.fhir(&token, "PUT Patient/p", patient).status(200);
    world.clock.forward_secs(60);
    world
        .fhir(&token, "PUT Patient/p", patient)
        .refused(401, "token-expired");
    world
        .admin(&renew, &Value::Null)
        .refused(409, "import-ended");
}

#[test]
fn an_import_asks_nothing_of_charts() {
    let (world, all) = World::clinic();
    let patient = r#"{"resourceType":"Patient","id":"p","birthDate":"1970-01-01","name":[{"family":"One"}],
        "identifier":[{"system":"urn:s","value":"1"}]}"#;
    world.fhir(&all, "PUT Patient/p", patient).status(201);
    let consent = |status: &str| {
        json!({"resourceType": "Consent", "id": "c", "status": status,
            "scope": {"text": "s"}, "category": [{"text": "c"}], "policyRule": {"text": "r"},
            "patient": {"reference": "Patient/p"}})
        .to_string()
    };
    let said = json!({ "reason": "first load" });
    let opened = world.admin("POST /admin/v1/tenants/lakeside/imports", &said);
    let token = format!("Bearer {}", opened.status(201).text("/access_token"));
    let ask = |criteria: &str| {
        let headers = [
            ("authorization", token.as_str()),
            ("content-type", "application/fhir+json"),
            ("if-none-exist", criteria),
        ];
        let body = r#"{"resourceType":"Patient"}"#;
        let create = world.ask("POST /t/lakeside/fhir/Patient", &headers, body);
        let line = format!("PUT Patient?{criteria}");
        let update = world.fhir(&token, &line, patient.replace("One", "Two"));
        let entry = json!({"resource": {"resourceType": "Basic", "code": {"text": "x"},
            "subject": {"reference": format!("Patient?{criteria}")}},
            "request": {"method": "POST", "url": "Basic"}});
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry]});
        let reference = world.fhir(&token, "POST ", bundle.to_string());
        [create, update, reference]
    };
    for criteria in [
        "birthdate=1970-01-01",
        "birthdate=1971-01-01",
        "name=One",
        "_has:Observation:patient:code=urn:c|HIV",
        "identifier:missing=false",
        "identifier:not=urn:s|2",
        "identifier:text=x",
        "identifier=urn:s|",
        "identifier=urn:s|1,urn:s|2",
        "identifier=urn:s|1&birthdate=1970-01-01",
        "_id=p&identifier=urn:s|1",
        "_id=p&_lastUpdated=gt2020",
        "organization.identifier=urn:s|1",
        "_filter=birthdate+eq+1970-01-01",
    ] {
        for answer in ask(criteria) {
            answer.refused(403, "scope-missing");
        }
    }
    for criteria in ["identifier=urn:s|1", "identifier=urn%3As%7C1", "_id=p"] {
        for answer in ask(criteria) {
            answer.status(200);
        }
    }
    // Neither patches nor operations, also not in Bundles.
    let headers = [
        ("authorization", token.as_str()),
        ("content-type", "application/json-patch+json"),
    ];
    for value in ["1970-01-01", "1971-01-01"] {
        let patch = json!([{"op": "test", "path": "/birthDate", "value": value}]).to_string();
        for line in ["Patient/p", "Patient?identifier=urn:s|1"] {
            let line = format!("PATCH /t/lakeside/fhir/{line}");
            world
                .ask(&line, &headers, patch.clone())
                .refused(403, "scope-missing");
        }
        let entry = json!({"request": {"method": "PATCH", "url": "Patient/p"},
            "resource": {"resourceType": "Binary", "contentType": "application/json-patch+json",
                "data": STANDARD.encode(&patch)}});
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry]});
        world
            .fhir(&token, "POST ", bundle.to_string())
            .refused(403, "scope-missing");
    }
    let meta = r#"{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"code":"q"}]}}]}"#;
    world
        .fhir(&token, "POST Patient/p/$meta-add", meta)
        .refused(403, "scope-missing");
    // Consents come in and come again as they were; what is there is not changed, also not brought back.
    world
        .fhir(&token, "PUT Consent/c", consent("active"))
        .status(201);
    world
        .fhir(&token, "PUT Consent/c", consent("active"))
        .status(200)
        .header("etag", "W/\"1\"");
    for line in ["PUT Consent/c", "PUT Consent?_id=c"] {
        let changed = world.fhir(&token, line, consent("inactive"));
        changed.refused(403, "scope-missing");
    }
    world.fhir(&all, "DELETE Consent/c", "").status(204);
    world
        .fhir(&token, "PUT Consent/c", consent("active"))
        .refused(403, "scope-missing");
}

#[test]
fn an_import_is_listed_and_revoked_at_once() {
    let world = World::new();
    world.tenant("lakeside");
    let body = json!({ "reason": "first load" });
    let imports = "POST /admin/v1/tenants/lakeside/imports";
    let opened = world.admin(imports, &body).status(201);
    let id = opened.text("/import_id");
    let token = format!("Bearer {}", opened.text("/access_token"));
    let patient = r#"{"resourceType":"Patient","id":"p"}"#;
    world.fhir(&token, "PUT Patient/p", patient).status(201);
    let list = || world.admin("GET /admin/v1/tenants/lakeside/imports", &Value::Null);
    list()
        .at("/imports/0/import_id", id.as_str())
        .at("/imports/0/reason", "first load")
        .at("/imports/0/state", "open");
    let clients = world.admin("GET /admin/v1/tenants/lakeside/clients", &Value::Null);
    clients.at("/clients", json!([]));
    let revoke = |kind: &str| {
        let line = format!("DELETE /admin/v1/tenants/lakeside/{kind}/{id}");
        world.admin(&line, &Value::Null)
    };
    revoke("clients").refused(404, "client-unknown");
    revoke("imports").status(204);
    world
        .fhir(&token, "PUT Patient/p", patient)
        .refused(401, "credentials-invalid");
    list().at("/imports/0/state", "revoked");
    let renew = format!("POST /admin/v1/tenants/lakeside/imports/{id}/renew");
    world
        .admin(&renew, &Value::Null)
        .refused(409, "import-ended");
    let unknown = "POST /admin/v1/tenants/lakeside/imports/none/renew";
    world
        .admin(unknown, &Value::Null)
        .refused(404, "client-unknown");
    // No secret opens it.
    for secret in ["", "\0"] {
        let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
        world
            .fhir(&basic, "PUT Patient/p", patient)
            .refused(401, "credentials-invalid");
    }
}

#[test]
fn a_tenant_is_verified_backed_up_and_restored() {
    let (world, who) = World::clinic();
    world
        .fhir(
            &who,
            "PUT Patient/p",
            r#"{"resourceType":"Patient","id":"p"}"#,
        )
        .status(201);
    let report = world
        .admin("POST /admin/v1/tenants/lakeside/verify", &Value::Null)
        .status(200);
    report.at("/ok", true);
    let file = json!({ "file": "lakeside-1.backup" });
    world
        .admin("POST /admin/v1/tenants/lakeside/backup", &file)
        .status(201);
    world
        .admin("POST /admin/v1/tenants/lakeside/backup", &file)
        .refused(409, "backup-exists");
    let made = world
        .admin("POST /admin/v1/tenants/copy/restore", &file)
        .status(201);
    made.header("location", "/admin/v1/tenants/copy")
        .at("/name", "copy")
        .at("/clients", json!({ "kept": 1, "revoked": 0 }));
    let none = json!({ "file": "lakeside-1.backup", "clients": "revoke" });
    world
        .admin("POST /admin/v1/tenants/nobody/restore", &none)
        .status(201)
        .at("/clients", json!({ "kept": 0, "revoked": 1 }));
    let copy = world.client("copy", "system/*.rs");
    world
        .fhir(&copy, "GET /t/copy/fhir/Patient/p", "")
        .status(200);
    world
        .admin("POST /admin/v1/key/rotate", &Value::Null)
        .status(200)
        .at("/rewrapped", 3);
    world.fhir(&who, "GET Patient/p", "").status(200);
}

#[test]
fn keys_of_identity_tokens_are_followed_by_others() {
    let world = World::new();
    world.tenant("lakeside");
    let published = || -> Vec<String> {
        let set = world.ask("GET /t/lakeside/auth/jwks", &[], "").status(200);
        let keys = set.json()["keys"].as_array().unwrap().clone();
        let kid = |key: &Value| key["kid"].as_str().unwrap().to_owned();
        keys.iter().filter(|k| k["kty"] == "RSA").map(kid).collect()
    };
    let rotate = || world.admin("POST /admin/v1/tenants/lakeside/signing-keys", &Value::Null);
    let first = rotate().status(201).text("/kid");
    let second = rotate().status(201).text("/kid");
    assert_eq!(published(), [second.clone(), first]);
    world.clock.forward_secs(86_500);
    let third = rotate().status(201).text("/kid");
    assert_eq!(published(), [third, second], "retired for a day: gone");
    for _ in 0..3 {
        rotate().status(201);
    }
    rotate().refused(409, "tenant-state");
    world.tenant("hillside");
    world
        .ask("POST /admin/v1/tenants/hillside/signing-keys", &[], "")
        .status(401);
}

#[test]
fn only_the_operator_administers() {
    let (world, who) = World::clinic();
    let none = world
        .ask("GET /admin/v1/tenants", &[], "")
        .refused(401, "credentials-missing");
    assert!(
        none.header_text("www-authenticate")
            .unwrap()
            .starts_with("Bearer")
    );
    for credentials in [
        who.as_str(),
        "Bearer wrong",
        "Basic x",
        "nonsense",
        "Bearer",
    ] {
        let headers = [("authorization", credentials)];
        world
            .ask("GET /admin/v1/tenants", &headers, "")
            .refused(401, "credentials-invalid");
    }
    let operator = world.operator.clone();
    world
        .fhir(&operator, "GET Patient/p", "")
        .refused(401, "credentials-invalid");
    world
        .ask("GET /admin/v1/openapi.json", &[], "")
        .status(200)
        .at("/openapi", "3.1.0");
}
