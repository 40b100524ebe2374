//! What is the same for every URL: methods, hosts, limits, probes, and what is not there.

use serde_json::Value;

use super::world::{ROOT, World, patient, patient_with_id};
use crate::{Class, ROUTES};

#[test]
fn every_route_asks_who_it_is() {
    // One address asks for all of them.
    let world = World::with(|l| l.failed_logins_per_minute_max = 10_000, |_| {});
    world.tenant("lakeside");
    world.tenant("hillside");
    let stranger = world.client("hillside", "system/*.cruds");
    let nothing = world.client("lakeside", "system/Account.r");
    for route in ROUTES {
        // So many failed sign-ins of one minute would be held up.
        world.clock.forward_secs(3);
        let path = route
            .full_path()
            .replace("{vendor}", "v")
            .replace("{link}", "l")
            .replace("{tenant}", "lakeside")
            .replace(
                "{type}",
                if route.interaction == "lastn" {
                    "Observation"
                } else {
                    "Patient"
                },
            )
            .replace("{id}", "p")
            .replace("{inner}", "Patient")
            .replace("{version}", "1")
            .replace("{name}", "lakeside")
            .replace("{client_id}", "c")
            .replace("{import_id}", "i")
            .replace("{person}", "p")
            .replace("{action}", "sign-out");
        let line = format!("{} {path}", route.method);
        let ask = |who: Option<&str>| {
            let mut headers = vec![("content-type", "application/fhir+json")];
            headers.extend(who.map(|w| ("authorization", w)));
            let body = match route.method.as_str() {
                "PUT" => patient_with_id("p", "A"),
                "POST" if route.interaction == "transaction" => {
                    r#"{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Patient/p"}}]}"#.to_owned()
                }
                "POST" if path.contains('$') => String::new(),
                "POST" if !path.ends_with("_search") => patient("A"),
                _ => String::new(),
            };
            world.ask(&line, &headers, body).code
        };
        match route.class() {
            // A program proves by a token of its registration that it is its own.
            Class::Gate
                if matches!(
                    route.interaction,
                    "registered" | "register-anew" | "unregister"
                ) =>
            {
                assert_eq!((ask(None), ask(Some(&stranger))), (401, 401), "{line}");
            }
            Class::Open | Class::Gate => assert_ne!(ask(None), 401, "{line}"),
            Class::Visitor | Class::Operator => {
                assert_eq!((ask(None), ask(Some(&stranger))), (401, 401), "{line}");
            }
            Class::Caller(_) => {
                assert_eq!((ask(None), ask(Some(&stranger))), (401, 401), "{line}");
                let line_type = if path.contains("Patient")
                    || matches!(route.interaction, "transaction" | "lastn")
                {
                    assert_eq!(ask(Some(&nothing)), 403, "{line}");
                    continue;
                } else {
                    &line
                };
                // What is no Parameters is refused by form, whoever sends it.
                let wanted = match route.interaction {
                    "fhirpath" | "launch" => 400..=422,
                    _ => 200..=403,
                };
                let code = ask(Some(&nothing));
                assert!(code != 401 && wanted.contains(&code), "{line_type}: {code}");
            }
        }
    }
}

#[test]
fn methods_and_paths_that_are_not_there() {
    let (world, who) = World::clinic();
    let refused = world
        .fhir(&who, "POST Patient/p", "[]")
        .refused(405, "method-not-allowed");
    refused.header("allow", "GET, PUT, PATCH, DELETE, HEAD, OPTIONS");
    world.fhir(&who, "OPTIONS Patient/p", "").status(204);
    world
        .fhir(&who, "GET Patient/p/_history/1/x", "")
        .refused(404, "route-unknown");
    world
        .fhir(&who, "GET /nothing", "")
        .refused(404, "route-unknown");
    world
        .fhir(&who, "GET /t/lakeside", "")
        .refused(404, "route-unknown");
    world
        .fhir(&who, "GET /fhir/Patient", "")
        .refused(404, "route-unknown");
    world.fhir(&who, "GET Patient/$nonsense", "").status(501);
}

#[test]
fn head_tells_what_get_would() {
    let (world, who) = World::clinic();
    world
        .fhir(&who, "PUT Patient/p", patient_with_id("p", "A"))
        .status(201);
    let get = world.fhir(&who, "GET Patient/p", "").status(200);
    let head = world
        .fhir(&who, "HEAD Patient/p", "")
        .status(200)
        .header("etag", "W/\"1\"");
    assert!(head.body.is_empty());
    head.header("content-length", &get.body.len().to_string());
    world.fhir(&who, "HEAD Patient/none", "").status(404);
}

#[test]
fn a_tenant_can_be_a_host() {
    let world = World::with(
        |_| {},
        |config| {
            config.domain = Some("insula.example".into());
            config.behind_tls_proxy = true;
        },
    );
    world.tenant("lakeside");
    world.tenant("hillside");
    let who = world.client("lakeside", "system/*.cruds");
    let at = |host: &str, line: &str, body: &str| {
        world.fhir_with(&who, line, &[("host", host)], body.to_owned())
    };
    let host = "lakeside.insula.example";
    let made = at(host, "PUT /fhir/Patient/p", &patient_with_id("p", "A")).status(201);
    let made = made.header(
        "location",
        "https://lakeside.insula.example/fhir/Patient/p/_history/1",
    );
    assert!(made.header_text("strict-transport-security").is_some());
    at(host, "GET /fhir/Patient/p", "").status(200);
    at(host, "GET /t/lakeside/fhir/Patient/p", "").status(200);
    at(host, "GET /t/hillside/fhir/Patient/p", "").refused(421, "misdirected");
    at("hillside.insula.example", "GET /fhir/Patient/p", "").refused(401, "credentials-invalid");
    at("nowhere.insula.example", "GET /fhir/Patient/p", "").refused(404, "tenant-unknown");
    at("insula.example", "GET /fhir/Patient/p", "").refused(404, "tenant-unknown");
    at("insula.example", "GET /t/lakeside/fhir/Patient/p", "").status(200);
    // The host in the target counts, whatever is said beside it.
    let target = |named: &str, host: &str, path: &str| {
        let line = format!("GET https://{named}.insula.example{path}");
        let headers = [("authorization", who.as_str()), ("host", host)];
        world.ask(&line, &headers, "")
    };
    target("lakeside", "hillside.insula.example", "/fhir/Patient/p").status(200);
    target("hillside", host, "/fhir/Patient/p").refused(401, "credentials-invalid");
    let path = "/t/lakeside/fhir/Patient/p";
    target("hillside", host, path).refused(421, "misdirected");
}

#[test]
fn links_name_the_public_url_or_an_allowed_host() {
    let (world, who) = World::clinic();
    let self_link = |world: &World, who: &str, host: &str| {
        world
            .fhir_with(who, "GET Patient", &[("host", host)], "")
            .link("self")
            .unwrap()
    };
    assert!(self_link(&world, &who, "localhost:1").starts_with("http://localhost:1/t/"));
    assert!(self_link(&world, &who, "evil.example").starts_with("http://127.0.0.1:8080/t/"));
    let world = World::with(
        |_| {},
        |c| c.public_url = Some("https://fhir.example/x".into()),
    );
    world.tenant("lakeside");
    let who = world.client("lakeside", "system/*.rs");
    assert!(self_link(&world, &who, "evil.example").starts_with("https://fhir.example/x/t/"));
}

#[test]
fn bodies_are_bounded_by_name() {
    let world = World::with(|limits| limits.body_bytes_max = 100, |_| {});
    world.tenant("lakeside");
    let who = world.client("lakeside", "system/*.cruds");
    let long = patient(&"x".repeat(200));
    let refused = world
        .fhir(&who, "POST Patient", long)
        .refused(413, "limit-exceeded");
    refused.at("/issue/0/details/coding/1/code", "body_bytes_max");
    let world = World::with(|limits| limits.json_depth_max = 5, |_| {});
    world.tenant("lakeside");
    let who = world.client("lakeside", "system/*.cruds");
    let deep = "[".repeat(50);
    let refused = world
        .fhir(&who, "POST Patient", deep)
        .refused(413, "limit-exceeded");
    refused.at("/issue/0/details/coding/1/code", "json_depth_max");
}

#[test]
fn headers_are_bounded_by_name() {
    let world = World::with(|limits| limits.header_bytes_max = 500, |_| {});
    let long = "x".repeat(600);
    let refused = world.ask("GET /t/lakeside/fhir/metadata", &[("x-long", &long)], "");
    let refused = refused.refused(431, "limit-headers");
    refused.at("/issue/0/details/coding/1/code", "header_bytes_max");
}

#[test]
fn an_address_is_bounded_by_name() {
    let world = World::with(|limits| limits.url_bytes_max = 200, |_| {});
    world.tenant("lakeside");
    let ask = |length: usize| {
        let start = "/t/lakeside/fhir/metadata?_format=";
        let url = format!("GET {start}{}", "x".repeat(length - start.len()));
        world.ask(&url, &[], "")
    };
    let refused = ask(201).refused(414, "limit-url");
    refused.at("/issue/0/details/coding/1/code", "url_bytes_max");
    ask(200).status(406);
}

#[test]
fn probes_and_metrics() {
    let (world, who) = World::clinic();
    world.ask("GET /health/live", &[], "").status(200);
    world.ask("GET /health/ready", &[], "").status(200);
    world
        .ask("GET /metrics", &[], "")
        .refused(401, "credentials-missing");
    world
        .fhir(&who, "GET /metrics", "")
        .refused(401, "credentials-invalid");
    world.fhir(&who, "GET Patient?family=Zebra", "").status(200);
    let metrics = world.admin("GET /metrics", &Value::Null).status(200);
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    let line = "insula_requests_total{interaction=\"search-type\",class=\"2xx\"} 1";
    assert!(text.contains(line), "{text}");
    assert!(text.contains("insula_open_tenants 1"), "{text}");
    assert!(!text.contains("Zebra"));
}

#[test]
fn the_capability_statement_is_true() {
    let (world, _) = World::clinic();
    let said = world
        .ask("GET /t/lakeside/fhir/metadata", &[], "")
        .status(200);
    let said = said
        .at("/resourceType", "CapabilityStatement")
        .at("/fhirVersion", "4.0.1");
    let json = said.json();
    let resources = json["rest"][0]["resource"].as_array().unwrap();
    assert!(resources.len() > 140);
    let patient = resources.iter().find(|r| r["type"] == "Patient").unwrap();
    let codes = |v: &Value| -> Vec<String> {
        v.as_array()
            .unwrap()
            .iter()
            .map(|i| i["code"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(codes(&patient["interaction"]).len(), 9);
    assert_eq!(codes(&json["rest"][0]["interaction"]).len(), 4);
    let params = patient["searchParam"].as_array().unwrap();
    assert!(
        params
            .iter()
            .any(|p| p["name"] == "birthdate" && p["type"] == "date")
    );
    assert_eq!(patient["referencePolicy"], serde_json::json!(["literal"]));
}

#[test]
fn only_a_believed_proxy_changes_links() {
    let world = World::with(
        |_| {},
        |config| config.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()],
    );
    world.tenant("lakeside");
    let who = world.client("lakeside", "system/*.cruds");
    let plain = [
        ("authorization", who.as_str()),
        ("content-type", "application/fhir+json"),
    ];
    let told = [
        ("x-forwarded-for", "192.0.2.7"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "fhir.example"),
        ("x-forwarded-port", "8443"),
        ("x-forwarded-prefix", "/clinic"),
    ];
    let forwarded = [("forwarded", "for=192.0.2.7;proto=https;host=fhir.example")];
    let ask = |from: &str, more: &[(&str, &str)], line: &str, body: String| {
        let headers = [&plain[..], more].concat();
        world.ask_from(from.parse().unwrap(), line, &headers, body)
    };
    let put = "PUT /t/lakeside/fhir/Patient/p";
    let place = |from: &str, more: &[(&str, &str)]| {
        let answer = ask(from, more, put, patient_with_id("p", from));
        answer.header_text("location").unwrap().to_owned()
    };
    for (from, more, start) in [
        ("10.0.0.1", &told[..], "https://fhir.example:8443/clinic"),
        ("10.0.0.1", &forwarded[..], "https://fhir.example"),
        ("::ffff:10.0.0.1", &forwarded[..], "https://fhir.example"),
        ("10.0.0.1", &[], ROOT),
        // Hostile: nobody believes these.
        ("192.0.2.1", &told[..], ROOT),
        ("192.0.2.1", &forwarded[..], ROOT),
        ("127.0.0.1", &told[..], ROOT),
    ] {
        let place = place(from, more);
        let wanted = format!("{start}/t/lakeside/fhir/Patient/p/_history/");
        assert!(place.starts_with(&wanted), "{place} from {from}");
    }
    let links = |from: &str| {
        let found = ask(
            from,
            &told,
            "GET /t/lakeside/fhir/Patient?_count=1",
            String::new(),
        );
        (found.link("self").unwrap(), found.text("/entry/0/fullUrl"))
    };
    let start = "https://fhir.example:8443/clinic/t/lakeside/fhir";
    let wanted = (
        format!("{start}/Patient?_count=1"),
        format!("{start}/Patient/p"),
    );
    assert_eq!(links("10.0.0.1"), wanted);
    assert!(links("192.0.2.1").0.starts_with(ROOT));

    // A reference with the address that the client sees is one to this server.
    let encounter = serde_json::json!({ "resourceType": "Encounter", "status": "finished",
        "class": { "code": "AMB" }, "subject": { "reference": format!("{start}/Patient/p") } });
    let post = "POST /t/lakeside/fhir/Encounter";
    for (from, known) in [("10.0.0.1", 1), ("192.0.2.1", 1)] {
        ask(from, &told, post, encounter.to_string()).status(201);
        let found = world.fhir(&who, "GET Encounter?subject=Patient/p", "");
        assert_eq!(found.entries().len(), known, "{from}");
    }
}

#[test]
fn what_two_kinds_of_headers_say_differently_is_refused() {
    let ask = |proxy_headers, more: &[(&str, &str)]| {
        let world = World::with(
            |_| {},
            |config| {
                config.trusted_proxies = vec!["10.0.0.1".parse().unwrap()];
                config.proxy_headers = proxy_headers;
            },
        );
        world.tenant("lakeside");
        let line = "GET /t/lakeside/fhir/metadata";
        world
            .ask_from("10.0.0.1".parse().unwrap(), line, more, "")
            .code
    };
    let both = [
        ("forwarded", "for=10.9.8.7"),
        ("x-forwarded-for", "192.0.2.7"),
    ];
    assert_eq!(ask(engine::ProxyHeaders::Either, &both), 400);
    assert_eq!(ask(engine::ProxyHeaders::XForwarded, &both), 200);
    assert_eq!(ask(engine::ProxyHeaders::Either, &both[..1]), 200);
}

#[test]
fn only_a_believed_proxy_says_who_calls() {
    let world = World::with(
        |limits| limits.failed_logins_per_minute_max = 3,
        |config| config.trusted_proxies = vec!["10.0.0.1".parse().unwrap()],
    );
    world.tenant("lakeside");
    let ask = |from: &str, says: &str| {
        let headers = [("authorization", "Bearer x"), ("x-forwarded-for", says)];
        let line = "GET /t/lakeside/fhir/Patient";
        world
            .ask_from(from.parse().unwrap(), line, &headers, "")
            .code
    };
    let codes = |from: &str, says: fn(usize) -> String| -> Vec<u16> {
        (0..5).map(|i| ask(from, &says(i))).collect()
    };
    // An attacker that claims to be somebody else each time is still one.
    let wanted = [401, 401, 401, 429, 429];
    assert_eq!(
        codes("192.0.2.1", |i| format!("192.0.2.{}", i + 10)),
        wanted
    );
    assert_eq!(
        codes("10.0.0.1", |i| format!("192.0.2.{}, 192.0.2.99", i + 10)),
        wanted
    );
    assert_eq!(codes("10.0.0.1", |i| format!("198.51.100.{i}")), [401; 5]);
}

#[test]
fn pages_of_listed_origins_may_ask() {
    let origins = |c: &mut engine::HouseConfig| c.cors_origins = vec!["https://app.example".into()];
    let world = World::with(|_| {}, origins);
    world.tenant("lakeside");
    world.tenant("hillside");
    let own = serde_json::json!({ "config": { "cors_origins": ["http://localhost:3000"] } });
    world
        .admin("PATCH /admin/v1/tenants/hillside", &own)
        .status(200);
    let wrong = serde_json::json!({ "config": { "cors_origins": ["app.example/x"] } });
    world
        .admin("PATCH /admin/v1/tenants/hillside", &wrong)
        .refused(400, "request-invalid");
    let who = world.client("lakeside", "system/*.cruds");
    let allowed = |tenant: &str, origin: &str| {
        let line = format!("OPTIONS /t/{tenant}/fhir/Patient/p");
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "PATCH"),
        ];
        let answer = world.ask(&line, &headers, "").status(204);
        assert!(
            answer
                .header_text("access-control-allow-credentials")
                .is_none()
        );
        let methods = answer.header_text("access-control-allow-methods");
        if let Some(sent) = answer.header_text("access-control-allow-headers") {
            for header in [
                "access-reason",
                "if-match",
                "if-unmodified-since",
                "x-correlation-id",
                "x-request-id",
            ] {
                assert!(sent.split(", ").any(|h| h == header), "{header}");
            }
        }
        answer.header_text("access-control-allow-origin").map(|o| {
            assert!(methods.unwrap().contains("PATCH"));
            o.to_owned()
        })
    };
    let app = "https://app.example";
    assert_eq!(allowed("lakeside", app).as_deref(), Some(app));
    assert_eq!(allowed("hillside", app).as_deref(), Some(app));
    assert_eq!(allowed("lakeside", "https://evil.example"), None);
    assert_eq!(allowed("lakeside", "http://localhost:3000"), None);
    let local = allowed("hillside", "http://localhost:3000");
    assert_eq!(local.as_deref(), Some("http://localhost:3000"));
    let seen = world
        .fhir_with(&who, "GET Patient/none", &[("origin", app)], "")
        .status(404);
    let seen = seen.header("access-control-allow-origin", app);
    let shown = seen.header_text("access-control-expose-headers").unwrap();
    assert!(shown.contains("etag") && shown.contains("x-correlation-id"));
    let refused = world
        .ask("GET /t/lakeside/fhir/Patient", &[("origin", app)], "")
        .status(401);
    refused.header("access-control-allow-origin", app);
    let admin = world
        .ask("GET /health/live", &[("origin", app)], "")
        .status(200);
    assert!(admin.header_text("access-control-allow-origin").is_none());
    let said = world
        .ask("GET /t/lakeside/fhir/metadata", &[], "")
        .status(200);
    said.at("/rest/0/security/cors", true);
}

#[test]
fn paths_may_end_with_a_slash_and_requests_have_ids() {
    let (world, who) = World::clinic();
    world
        .fhir(
            &who,
            "PUT Patient/p",
            super::world::patient_with_id("p", "A"),
        )
        .status(201);
    for path in [
        "Patient/",
        "Patient/?_id=p",
        "Patient/p/",
        "Patient/p/_history/",
        "metadata/",
    ] {
        world.fhir(&who, &format!("GET {path}"), "").status(200);
    }
    for (given, told) in [
        (("x-request-id", "abc-1"), Some("abc-1")),
        (("x-correlation-id", "abc-2"), Some("abc-2")),
        (("x-request-id", "with space"), None),
    ] {
        let answer = world
            .fhir_with(&who, "GET Patient/p", &[given], "")
            .status(200);
        assert_eq!(answer.header_text("x-correlation-id"), told);
        assert_ne!(answer.header_text("x-request-id"), Some(given.1));
    }
}

/// RFC 9112, section 3.2.
#[test]
fn a_request_of_http_1_1_says_which_host_it_means() {
    let world = World::new();
    world.tenant("lakeside");
    let line = "GET /t/lakeside/fhir/metadata";
    world.ask(line, &[], "").status(200);
    world
        .ask(line, &[("host", "")], "")
        .refused(400, "request-invalid");
    let two = [("host", "a.example"), ("host", "b.example")];
    world.ask(line, &two, "").refused(400, "request-invalid");
}
