//! Every named limit, met from outside: the right status, and the limit's name in the outcome.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;

use base::Limits;
use serde_json::{Value, json};
use testkit::build::{bundle, entry, observation, patient, patient_identified, with_id};
use testkit::http::{Answer, Connection, Request};
use testkit::world::{Caller, World, link, matches, token};
use testkit::{Tenant, poll};

use crate::world::own;

/// Limits that this file and `memory.rs` meet; the others with the reason why they are not met.
const MET: &[&str] = &[
    "address_body_bytes_at_once_max",
    "answer_bytes_at_once_max",
    "answer_stall_ms_max",
    "binary_bytes_max",
    "body_bytes_at_once_max",
    "body_bytes_max",
    "body_cache_bytes_max",
    "bundle_bytes_max",
    "bundle_entries_max",
    "chain_depth_max",
    "connection_idle_ms_max",
    "connections_max",
    "connections_per_address_max",
    "cursor_ttl_seconds",
    "failed_logins_per_minute_max",
    "fhirpath_references_max",
    "fhirpath_steps_max",
    "group_bytes_max",
    "group_members_max",
    "header_bytes_max",
    "include_rounds_max",
    "included_entries_max",
    "journal_segment_bytes",
    "json_depth_max",
    "log_bytes_max",
    "meta_values_max",
    "open_body_bytes_at_once_max",
    "open_tenants_max",
    "outcome_issues_max",
    "page_bytes_max",
    "page_cache_bytes_max",
    "page_entries_default",
    "page_entries_max",
    "patch_operations_max",
    "patch_steps_max",
    "query_bytes_max",
    "query_clauses_max",
    "query_parameters_max",
    "query_values_max",
    "reader_queue_max",
    "request_ms_max",
    "search_hierarchy_max",
    "search_kilosteps_max",
    "search_ms_max",
    "search_positions_max",
    "tenant_answer_bytes_at_once_max",
    "tenant_body_bytes_at_once_max",
    "tenant_idle_seconds",
    "token_cache_entries_max",
    "url_bytes_max",
    "value_set_codes_max",
    "writer_queue_max",
    "xml_attributes_max",
    "xml_depth_max",
];

/// Limits that are met in the tests of the crate that keeps them, where less is between.
const MET_BESIDE: &[&str] = &[
    "break_glass_review_seconds",
    "break_glass_seconds",
    "break_glass_seconds_max",
    "openings_per_person_max",
    "quarantine_entries_max",
    "reach_bytes_max",
    "rights_bytes_max",
    "scrub_interval_seconds",
    "scrub_rows_per_second",
    "approval_seconds_max",
    "approvals_max",
    "approvals_per_person_max",
    "assertions_per_client_max",
    "client_requests_per_second_max",
    "clients_max",
    "clinics_chosen_among_max",
    "code_seconds_max",
    "decompression_ratio_max",
    "ended_tokens_max",
    "graphql_depth_max",
    "graphql_fields_max",
    "graphql_resources_max",
    "invitation_seconds_max",
    "launch_seconds_max",
    "operation_resources_max",
    "operator_client_seconds",
    "operator_client_seconds_max",
    "operator_invitation_seconds_min",
    "operator_provider_seconds",
    "operator_requests_per_second_max",
    "person_requests_per_second_max",
    "tenant_outbound_at_once_max",
    "tenant_requests_per_second_max",
    "vendor_events_max",
    "ended_tokens_per_client_max",
    "passkey_seconds_max",
    "passkeys_per_person_max",
    "password_characters_min",
    "passwords_waiting_max",
    "people_max",
    "registration_seconds_max",
    "registrations_max",
    "registrations_per_minute_max",
    "registrations_per_network_max",
    "search_parameters_custom_max",
    "session_idle_seconds_max",
    "session_seconds_max",
    "sessions_max",
    "sessions_per_person_max",
    "step_up_seconds_max",
    "wrong_codes_max",
    "wrong_passwords_max",
];

/// Limits of which only what is within them is tested.
const WITHIN: &[&str] = &[
    "identity_providers_max",
    "keys_again_seconds_min",
    "keys_seconds_max",
    "outbound_at_once_max",
    "outbound_bytes_max",
    "outbound_ms_max",
    "password_memory_kib",
    "password_passes",
    "passwords_at_once_max",
    "program_links_max",
    "provider_sign_in_seconds_max",
    "rate_keys_max",
    "ship_backlog_bytes_max",
    "sign_in_delay_ms_max",
    "syslog_bytes_max",
    "tenants_told_at_once_max",
    "trail_index_lag_max",
    "trail_ms_max",
    "vendors_max",
    "watch_patients_max",
];

#[test]
fn every_limit_is_known_here() {
    let named: BTreeSet<&str> = Limits::TABLE.iter().map(|(name, _, _)| *name).collect();
    let met = MET.iter().chain(MET_BESIDE).chain(WITHIN);
    let met: BTreeSet<&str> = met.copied().collect();
    assert_eq!(named, met);
}

/// A refusal with this status that names this limit.
#[track_caller]
pub(crate) fn names(answer: &Answer, status: u16, limit: &str) {
    assert_eq!(answer.status, status, "{limit}: {answer:?}");
    assert_eq!(
        answer.json()["resourceType"],
        "OperationOutcome",
        "{limit}: {answer:?}"
    );
    assert!(
        answer.text().contains(limit),
        "{limit} is not named: {answer:?}"
    );
}

/// A server with small limits on what one request may be.
fn narrow() -> Arc<World> {
    own(
        "narrow",
        &[
            ("limits.body_bytes_max", "20000"),
            ("limits.bundle_bytes_max", "40000"),
            ("limits.binary_bytes_max", "30000"),
            ("limits.json_depth_max", "12"),
            ("limits.bundle_entries_max", "5"),
            ("limits.page_entries_default", "4"),
            ("limits.page_entries_max", "7"),
            ("limits.page_bytes_max", "30000"),
            ("limits.included_entries_max", "3"),
            ("limits.include_rounds_max", "1"),
            ("limits.chain_depth_max", "2"),
            ("limits.query_bytes_max", "600"),
            ("limits.query_parameters_max", "5"),
            ("limits.query_values_max", "5"),
            ("limits.body_cache_bytes_max", "0"),
            ("limits.group_members_max", "1"),
            ("limits.group_bytes_max", "1"),
            ("limits.token_cache_entries_max", "1"),
            ("limits.outcome_issues_max", "3"),
            ("limits.page_cache_bytes_max", "1"),
            ("limits.query_clauses_max", "8"),
            ("limits.fhirpath_steps_max", "50"),
            ("limits.patch_operations_max", "2"),
            ("limits.patch_steps_max", "20"),
            ("limits.search_hierarchy_max", "2"),
            ("limits.search_positions_max", "1"),
            ("limits.value_set_codes_max", "2"),
            ("limits.meta_values_max", "1"),
            ("limits.fhirpath_references_max", "1"),
        ],
    )
}

#[test]
fn a_request_may_be_so_large() {
    let world = narrow();
    let tenant = world.tenant();
    let caller = tenant.owner();
    sizes(&caller);
    shapes_of_queries(&caller);
    pages(&caller);
    expressions(&caller);
    what_is_looked_into(&caller);
    quiet_limits(&tenant, &caller);
    tenant.verify();
}

fn sizes(caller: &Caller) {
    let long = "x".repeat(21_000);
    names(
        &caller.post("/Patient", &patient(&long)),
        413,
        "body_bytes_max",
    );
    let own = with_id(patient(&long), "p1");
    names(&caller.put(&own), 413, "body_bytes_max");
    // Without a length told in advance it is no different.
    let mut chunked = caller
        .request("POST", "/Patient")
        .header("Content-Type", "application/fhir+json")
        .header("Transfer-Encoding", "chunked")
        .bytes();
    let body = patient(&long).to_string();
    chunked.extend(format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).into_bytes());
    let mut connection = caller.connect();
    connection.send(&chunked).unwrap();
    names(&connection.answer(false).unwrap(), 413, "body_bytes_max");

    let wide = bundle(
        "batch",
        vec![entry("POST", "Patient", Some(patient(&"x".repeat(41_000))))],
    );
    names(&caller.post("", &wide), 413, "bundle_bytes_max");
    let entries: Vec<Value> = (0..6).map(|_| entry("GET", "Patient", None)).collect();
    let many = caller.post("", &bundle("batch", entries));
    names(&many, 413, "bundle_entries_max");

    let binary = |size: usize| {
        let request = caller.request("POST", "/Binary");
        caller.ask(&request.content("application/octet-stream", vec![7; size]))
    };
    names(&binary(30_001), 413, "binary_bytes_max");
    binary(29_000).expect(201);

    let mut deep = json!({"url": "urn:x", "valueString": "x"});
    for _ in 0..12 {
        deep = json!({"url": "urn:x", "extension": [deep]});
    }
    let deep = json!({"resourceType": "Patient", "extension": [deep]});
    names(&caller.post("/Patient", &deep), 413, "json_depth_max");
    let wrong = (0..9).map(|number| (format!("nonsense{number}"), json!(1)));
    let mut wrong = Value::Object(wrong.collect());
    wrong["resourceType"] = json!("Patient");
    let answer = caller.post("/Patient", &wrong).expect(422);
    let issues = answer.json()["issue"].as_array().expect("issues").len();
    assert!((3..=4).contains(&issues), "outcome_issues_max: {answer:?}");
    assert!(
        caller.found("Patient").is_empty(),
        "something refused was kept"
    );
}

fn shapes_of_queries(caller: &Caller) {
    let ask = |query: &str| caller.get(&format!("/{query}"));
    let long = format!("Patient?family={}", "x".repeat(700));
    names(&ask(&long), 400, "query_bytes_max");
    let form = caller.request("POST", "/Patient/_search");
    let form = form.content(
        "application/x-www-form-urlencoded",
        format!("family={}", "x".repeat(700)),
    );
    names(&caller.ask(&form), 400, "query_bytes_max");
    names(
        &ask("Patient?family=a&family=b&given=c&given=d&name=e&name=f"),
        400,
        "query_parameters_max",
    );
    names(&ask("Patient?family=a,b,c,d,e,f"), 400, "query_values_max");
    let chain = "Observation?encounter.subject:Patient.organization.name=x";
    names(&ask(chain), 400, "chain_depth_max");
    let nested =
        "Patient?_has:Observation:subject:_has:Provenance:target:_has:AuditEvent:entity:date=2020";
    names(&ask(nested), 400, "chain_depth_max");
    ask("Observation?encounter.subject:Patient.family=x").expect(200);
    // One chain through a reference to many types is many conditions.
    names(
        &ask("Provenance?target.identifier=x"),
        400,
        "query_clauses_max",
    );
}

fn pages(caller: &Caller) {
    caller.put(&with_id(patient("Paged"), "root")).expect(201);
    for number in 0..9 {
        let seen = observation("Patient/root", "718-7", f64::from(number));
        caller
            .put(&with_id(seen, &format!("o{number}")))
            .expect(201);
    }
    let size = |query: &str| matches(&caller.search(query)).count();
    assert_eq!(size("Observation"), 4, "page_entries_default");
    assert_eq!(size("Observation?_count=100"), 7, "page_entries_max");
    assert_eq!(size("_history"), 4);
    assert_eq!(size("_history?_count=100"), 7);
    assert_eq!(caller.found("Observation?_count=100").len(), 9);

    let included = caller.get("/Patient?_revinclude=Observation:subject");
    names(&included, 400, "included_entries_max");

    // Two of these are more than a page holds: a search says so, a history ends its page.
    for number in 0..3 {
        let mut large = json!({"resourceType": "Substance", "id": format!("s{number}")});
        large["code"] = json!({"text": "Chalk"});
        large["description"] = json!("x".repeat(18_000));
        caller.put(&large).expect(201);
    }
    names(&caller.get("/Substance"), 400, "page_bytes_max");
    assert_eq!(size("Substance?_count=1"), 1);
    assert_eq!(size("Substance/_history"), 2, "page_bytes_max");

    // A row of organisations, each part of the next.
    let organisation = |number: u32| {
        let mut made = json!({"resourceType": "Organization", "id": format!("g{number}")});
        made["name"] = json!("Part");
        if number < 5 {
            made["partOf"] = json!({"reference": format!("Organization/g{}", number + 1)});
        }
        made
    };
    for number in 0..6 {
        caller.put(&organisation(number)).expect(201);
    }
    let chain = "/Organization?_id={}&_include=Organization:partof\
                 &_include:iterate=Organization:partof";
    names(
        &caller.get(&chain.replace("{}", "g1")),
        400,
        "include_rounds_max",
    );
    caller.get(&chain.replace("{}", "g3")).expect(200);
}

fn expressions(caller: &Caller) {
    let asked = |expression: &str| {
        let references = json!([{"reference": "Patient/a"}, {"reference": "Patient/b"}]);
        let subject = json!({"resourceType": "Group", "type": "person", "actual": true,
            "member": [{"entity": references[0]}, {"entity": references[1]}]});
        let parameters = json!({"resourceType": "Parameters", "parameter": [
            {"name": "expression", "valueString": expression},
            {"name": "resource", "resource": subject},
        ]});
        caller.post("/$fhirpath", &parameters)
    };
    asked("member.entity.reference").expect(200);
    names(
        &asked("repeat(descendants() | descendants().descendants())"),
        400,
        "fhirpath_steps_max",
    );
    names(
        &asked("member.entity.resolve()"),
        400,
        "fhirpath_references_max",
    );
    asked("member[0].entity.resolve()").expect(200);
}

/// Limits on what one search, patch or operation looks into.
fn what_is_looked_into(caller: &Caller) {
    let place = |id: &str, within: Option<&str>| {
        let mut place = json!({"resourceType": "Location", "id": id,
            "position": {"longitude": 12.5, "latitude": 41.9}});
        if let Some(within) = within {
            place["partOf"] = json!({"reference": format!("Location/{within}")});
        }
        caller.put(&place).expect(201);
    };
    place("house", None);
    let near = "/Location?near=41.9|12.5|100|km";
    caller.get(near).expect(200);
    place("floor", Some("house"));
    caller
        .put(&json!({"resourceType": "Location", "id": "far",
        "position": {"longitude": 12.75, "latitude": 41.75}}))
        .expect(201);
    names(&caller.get(near), 400, "search_positions_max");
    place("room", Some("floor"));
    caller
        .get("/Location?partof:below=Location/floor")
        .expect(200);
    place("bed", Some("room"));
    names(
        &caller.get("/Location?partof:below=Location/house"),
        400,
        "search_hierarchy_max",
    );
    let codes = |of: &[&str]| {
        let concepts: Vec<_> = of.iter().map(|c| json!({"code": c})).collect();
        let set = json!({"resourceType": "ValueSet", "id": "few", "url": "urn:insula:few",
            "status": "active",
            "compose": {"include": [{"system": "urn:insula:codes", "concept": concepts}]}});
        caller.put(&set);
        caller.get("/Observation?code:in=urn:insula:few")
    };
    codes(&["a", "b"]).expect(200);
    names(&codes(&["a", "b", "c"]), 400, "value_set_codes_max");
    let tagged = |tags: &[&str]| {
        let tags: Vec<_> = tags.iter().map(|t| json!({"code": t})).collect();
        caller.put(
            &json!({"resourceType": "Basic", "id": "tagged", "meta": {"tag": tags},
            "code": {"text": "x"}}),
        );
        caller.get("/Basic/$meta")
    };
    tagged(&["one"]).expect(200);
    names(&tagged(&["one", "two"]), 400, "meta_values_max");
    let patch = |operations: usize| {
        let one = json!({"op": "test", "path": "/code/text", "value": "x"});
        let patch = serde_json::Value::from(vec![one; operations]).to_string();
        let kind = "application/json-patch+json";
        caller.ask(
            &caller
                .request("PATCH", "/Basic/tagged")
                .content(kind, patch),
        )
    };
    patch(2).expect(200);
    names(&patch(3), 413, "patch_operations_max");
    let part = |name: &str, kind: &str, value: &str| json!({"name": name, kind: value});
    let by_path = json!({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
        part("type", "valueCode", "delete"),
        part("path", "valueString", "Basic.descendants().repeat(descendants()).where(false)"),
    ]}]});
    let kind = "application/fhir+json";
    let request = caller.request("PATCH", "/Basic/tagged");
    let answer = caller.ask(&request.content(kind, by_path.to_string()));
    names(&answer, 413, "patch_steps_max");
}

/// Limits that refuse nothing: they only make Insula do more with less.
fn quiet_limits(tenant: &Tenant, caller: &Caller) {
    // Values are indexed by their first 4,096 bytes: found by its beginning.
    caller
        .put(&with_id(patient("Abcdefghijklmnopqrstuvwxyz"), "long"))
        .expect(201);
    assert_eq!(caller.found("Patient?family=abcdefghij"), ["long"]);
    // body_cache_bytes_max = 0, token_cache_entries_max = 1: two callers in turn.
    let other = tenant.owner();
    for _ in 0..3 {
        caller.get("/Patient/long").expect(200);
        other.get("/Patient/long").expect(200);
    }
    // group_members_max = 1: many writers at once.
    thread::scope(|scope| {
        for writer in 0..8 {
            scope.spawn(move || {
                for number in 0..5 {
                    let id = format!("w{writer}-{number}");
                    caller.put(&with_id(patient("Writer"), &id)).expect(201);
                }
            });
        }
    });
    assert_eq!(
        caller.search("Patient?family=writer&_summary=count")["total"],
        40
    );
}

#[test]
fn a_search_may_take_so_long() {
    let world = own("steps", &[("limits.search_kilosteps_max", "1")]);
    let caller = world.tenant().owner();
    let entries = |from: u32| -> Vec<Value> {
        let each = from..from + 500;
        each.map(|n| {
            entry(
                "POST",
                "Observation",
                Some(observation("Patient/x", "718-7", f64::from(n))),
            )
        })
        .collect()
    };
    for round in 0..4 {
        caller
            .post("", &bundle("transaction", entries(round * 500)))
            .expect(200);
    }
    let heavy = "/Observation?code:not=x&value-quantity=gt1&_total=accurate&_sort=value-quantity";
    names(&caller.get(heavy), 503, "search_kilosteps_max");
    caller.get("/Observation?_id=x").expect(200);

    drop(world);
    let world = own("deadline", &[("limits.search_ms_max", "1")]);
    let caller = world.tenant().owner();
    for round in 0..6 {
        caller
            .post("", &bundle("transaction", entries(round * 500)))
            .expect(200);
    }
    names(&caller.get(heavy), 503, "search_ms_max");
}

#[test]
fn a_request_may_be_so_slow() {
    let world = own("slow", &[("limits.request_ms_max", "400")]);
    let caller = world.tenant().owner();
    let mut connection = caller.connect();
    let head = caller
        .request("POST", "/Patient")
        .header("Content-Type", "application/fhir+json")
        .header("Content-Length", "1000");
    connection.send(&head.bytes()).unwrap();
    connection.send(b"{\"resourceType\":").unwrap();
    names(&connection.answer(false).unwrap(), 503, "request_ms_max");
    caller.post("/Patient", &patient("Quick")).expect(201);
}

#[test]
fn connections_of_one_address_may_be_so_many() {
    let world = own("address", &[("limits.connections_per_address_max", "2")]);
    let caller = world.tenant().owner();
    let request = caller.request("GET", "/Patient");
    let mut held = Vec::new();
    poll::until("two connections", 10, || {
        let mut connection = caller.connect();
        if connection.ask(&request).ok()?.status == 200 {
            held.push(connection);
        }
        (held.len() == 2).then_some(())
    });
    let mut third = caller.connect();
    let refused = third.answer(false).unwrap();
    names(&refused, 503, "connections_per_address_max");
}

#[test]
fn headers_may_be_so_large() {
    let world = own(
        "headers",
        &[
            ("limits.header_bytes_max", "9000"),
            ("limits.url_bytes_max", "9000"),
        ],
    );
    let caller = world.tenant().owner();
    let request = caller
        .request("GET", "/Patient")
        .header("X-Long", &"x".repeat(10_000));
    names(&caller.ask(&request), 431, "header_bytes_max");
    let request = caller
        .request("GET", "/Patient")
        .header("X-Long", &"x".repeat(7_000));
    caller.ask(&request).expect(200);
    // On a connection that was used before, and on a new one, the same is too long.
    for used in [false, true] {
        for (length, status, limit) in [
            (8_000, 200, ""),
            (9_500, 414, "url_bytes_max"),
            (40_000, 414, "url_bytes_max"),
            (65_000, 414, "url_bytes_max"),
            (70_000, 414, "url_bytes_max"),
            (300_000, 431, "header_bytes_max"),
        ] {
            let mut connection = caller.connect();
            if used {
                let first = caller.request("GET", "/Patient");
                connection.ask(&first).unwrap().expect(200);
            }
            let long = caller.request("GET", &format!("/Patient?family={}", "x".repeat(length)));
            let answer = connection.ask(&long).unwrap();
            match status {
                200 => drop(answer.expect(200)),
                _ => names(&answer, status, limit),
            }
        }
        for (length, status) in [(8_000, 200), (9_500, 431), (90_000, 431), (400_000, 431)] {
            let mut connection = caller.connect();
            if used {
                let first = caller.request("GET", "/Patient");
                connection.ask(&first).unwrap().expect(200);
            }
            let long = caller
                .request("GET", "/Patient")
                .header("X", &"x".repeat(length));
            let answer = connection.ask(&long).unwrap();
            match status {
                200 => drop(answer.expect(200)),
                _ => names(&answer, status, "header_bytes_max"),
            }
        }
    }
}

#[test]
fn connections_may_be_so_many() {
    let world = own("connections", &[("limits.connections_max", "4")]);
    let caller = world.tenant().owner();
    let request = caller.request("GET", "/Patient");
    // Earlier connections may still be on their way out.
    let mut held = Vec::new();
    poll::until("four connections", 10, || {
        let mut connection = caller.connect();
        if connection.ask(&request).ok()?.status == 200 {
            held.push(connection);
        }
        (held.len() == 4).then_some(())
    });
    let mut fifth = caller.connect();
    names(&fifth.answer(false).unwrap(), 503, "connections_max");
    held.pop();
    poll::until("a free place", 10, || {
        (caller.connect().ask(&request).ok()?.status == 200).then_some(())
    });
}

/// A number from `/metrics`: the sum over all labels.
pub(crate) fn metric(world: &World, name: &str) -> f64 {
    let answer = world
        .server()
        .admin(Request::new("GET", "/metrics"))
        .expect(200);
    let lines = answer.text().lines().filter(|line| line.starts_with(name));
    lines
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}

#[test]
fn tenants_may_be_open_so_many_and_so_long() {
    let world = own(
        "open",
        &[
            ("limits.open_tenants_max", "2"),
            ("limits.tenant_idle_seconds", "1"),
        ],
    );
    let callers: Vec<Caller> = (0..6).map(|_| world.tenant().owner()).collect();
    for round in 0..3 {
        for caller in &callers {
            let answer = caller.put(&with_id(patient("Round"), "p1"));
            assert!(
                matches!(answer.status, 200 | 201),
                "round {round}: {answer:?}"
            );
            assert_eq!(caller.found("Patient?family=round"), ["p1"]);
            assert!(metric(&world, "insula_open_tenants") <= 2.0);
        }
    }
    poll::until("idle tenants are closed", 30, || {
        (metric(&world, "insula_open_tenants") == 0.0).then_some(())
    });
    callers[0].get("/Patient/p1").expect(200);
}

/// Asks from many threads at once; what came.
fn at_once(callers: usize, caller: &Caller, make: impl Fn(usize) -> Request + Sync) -> Vec<Answer> {
    let ask = |number| {
        let mut connection: Connection = caller.connect();
        (0..6)
            .map(|_| connection.ask(&make(number)).unwrap())
            .collect::<Vec<Answer>>()
    };
    thread::scope(|scope| {
        let ask = &ask;
        let asking: Vec<_> = (0..callers).map(|n| scope.spawn(move || ask(n))).collect();
        asking
            .into_iter()
            .flat_map(|asking| asking.join().unwrap())
            .collect()
    })
}

#[test]
fn queues_may_be_so_long() {
    let world = own(
        "queues",
        &[
            ("limits.reader_queue_max", "1"),
            ("limits.writer_queue_max", "1"),
            ("limits.body_cache_bytes_max", "0"),
        ],
    );
    let caller = world.tenant().owner();
    let writes = at_once(24, &caller, |number| {
        let id = format!("w{number}");
        caller
            .request("PUT", &format!("/Patient/{id}"))
            .fhir(&with_id(patient("Writer"), &id))
    });
    busy(&writes, "writer_queue_max");
    let reads = at_once(24, &caller, |_| {
        caller.request("GET", "/Patient?family:contains=rite")
    });
    busy(&reads, "reader_queue_max");
}

/// Some were served, some were turned away by name, nothing else happened.
#[track_caller]
fn busy(answers: &[Answer], limit: &str) {
    let (good, turned): (Vec<&Answer>, Vec<&Answer>) =
        answers.iter().partition(|answer| answer.status < 300);
    assert!(!good.is_empty(), "{limit}: nobody was served");
    assert!(!turned.is_empty(), "{limit}: nobody was turned away");
    for answer in turned {
        names(answer, 503, limit);
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
    }
}

#[test]
fn a_cursor_may_be_so_old() {
    let world = own("cursors", &[("limits.cursor_ttl_seconds", "1")]);
    let caller = world.tenant().owner();
    for number in 0..3 {
        caller.create(&patient_identified("Aged", &number.to_string()));
    }
    let page = caller.search("Patient?_count=1");
    let next = caller.follow(&link(&page, "next").expect("a second page"));
    let answer = poll::until("the cursor expires", 20, || {
        Some(caller.ask(&next)).filter(|answer| answer.status != 200)
    });
    assert_eq!(answer.status, 410, "{answer:?}");
    assert_eq!(answer.codes(), ["cursor-expired"]);
}

#[test]
fn sign_ins_may_fail_so_often() {
    let world = own("sign-ins", &[("limits.failed_logins_per_minute_max", "3")]);
    let tenant = world.tenant();
    let caller = tenant.owner();
    let wrong = caller
        .request("GET", "/Patient")
        .target_basic(&caller.id, "wrong");
    for _ in 0..3 {
        caller.ask(&wrong).expect(401);
    }
    let answer = caller.ask(&wrong).expect(429);
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    // Who is signed in already is not held up by who is not.
    caller.get("/Patient").expect(200);
}

/// A request signed otherwise.
trait Signed {
    fn target_basic(self, id: &str, secret: &str) -> Self;
}

impl Signed for Request {
    fn target_basic(mut self, id: &str, secret: &str) -> Self {
        self.headers.retain(|(name, _)| name != "Authorization");
        self.header("Authorization", &testkit::world::basic(id, secret))
    }
}

#[test]
fn tokens_live_as_long_as_configured() {
    let world = own("tokens", &[("auth.access_token_seconds", "1")]);
    let tenant = world.tenant();
    let caller = tenant.owner();
    let answer = poll::until("the token expires", 20, || {
        Some(caller.get("/Patient")).filter(|answer| answer.status != 200)
    });
    assert_eq!(
        (answer.status, answer.codes()),
        (401, vec!["token-expired".to_owned()])
    );
    let fresh = token(world.server(), tenant.name(), &caller.id, &caller.secret);
    let again = Caller {
        authorization: Some(format!("Bearer {fresh}")),
        ..caller
    };
    again.get("/Patient").expect(200);
}
