//! FHIR's interactions as the specification words them (`http.html`).

use serde_json::json;
use testkit::Caller;
use testkit::build::{
    bundle, entry, entry_named, observation, patient, patient_identified, with_id,
};
use testkit::world::{link, matches, word};

use crate::world::tenant;

fn caller() -> Caller {
    tenant().owner()
}

#[test]
fn create_read_update_delete() {
    let caller = caller();
    let made = caller
        .post("/Patient", &with_id(patient("One"), "ignored"))
        .expect(201);
    let body = made.json();
    let id = word(&body, "id");
    assert_ne!(id, "ignored", "a create gets a new id (http.html#create)");
    assert_eq!(body["meta"]["versionId"], "1");
    assert_eq!(made.header("etag"), Some("W/\"1\""));
    let location = made.header("location").expect("a Location");
    assert!(
        location.ends_with(&format!("/Patient/{id}/_history/1")),
        "{location}"
    );
    assert!(made.header("last-modified").is_some());

    let read = caller.get(&format!("/Patient/{id}")).expect(200);
    let kind = read.header("content-type").expect("a content type");
    assert!(kind.starts_with("application/fhir+json"), "{kind}");
    assert_eq!(
        (read.header("etag"), read.body.clone()),
        (Some("W/\"1\""), made.body.clone())
    );

    let updated = caller.put(&with_id(patient("Two"), id)).expect(200);
    assert_eq!(updated.header("etag"), Some("W/\"2\""));
    let old = caller.get(&format!("/Patient/{id}/_history/1")).expect(200);
    assert_eq!(old.body, made.body, "a version never changes");

    caller.delete(&format!("/Patient/{id}")).expect(204);
    let gone = caller.get(&format!("/Patient/{id}")).expect(410);
    assert_eq!(gone.codes(), ["deleted"]);
    caller.get(&format!("/Patient/{id}/_history/2")).expect(200);
    caller.get(&format!("/Patient/{id}/_history/3")).expect(410);
    caller.get(&format!("/Patient/{id}/_history/4")).expect(404);
    caller.delete(&format!("/Patient/{id}")).expect(204);
    caller.put(&with_id(patient("Back"), id)).expect(201);
    assert_eq!(
        caller.get(&format!("/Patient/{id}")).json()["meta"]["versionId"],
        "4"
    );
    caller.get("/Patient/never").expect(404);
}

#[test]
fn conditions_on_versions() {
    let caller = caller();
    caller.put(&with_id(patient("One"), "p1")).expect(201);
    let put = |header: &str, value: &str, family: &str| {
        let request = caller.request("PUT", "/Patient/p1").header(header, value);
        caller
            .ask(&request.fhir(&with_id(patient(family), "p1")))
            .status
    };
    assert_eq!(put("If-Match", "W/\"2\"", "No"), 412);
    assert_eq!(put("If-Match", "W/\"1\"", "Two"), 200);
    assert_eq!(put("If-Match", "W/\"1\"", "Lost"), 412);
    assert_eq!(put("If-None-Match", "*", "No"), 412);
    let get = |header: &str, value: &str| {
        caller.ask(&caller.request("GET", "/Patient/p1").header(header, value))
    };
    let same = get("If-None-Match", "W/\"2\"");
    assert_eq!((same.status, same.body.len()), (304, 0));
    assert_eq!(get("If-None-Match", "W/\"1\"").status, 200);
    let modified = caller
        .get("/Patient/p1")
        .header("last-modified")
        .unwrap()
        .to_owned();
    assert_eq!(get("If-Modified-Since", &modified).status, 304);
    assert_eq!(
        get("If-Modified-Since", "Sat, 01 Jan 2000 00:00:00 GMT").status,
        200
    );
    let delete = caller
        .request("DELETE", "/Patient/p1")
        .header("If-Match", "W/\"1\"");
    caller.ask(&delete).expect(412);
    assert_eq!(caller.get("/Patient/p1").json()["name"][0]["family"], "Two");
}

#[test]
fn conditional_interactions() {
    let caller = caller();
    let create = |identifier: &str| {
        caller.ask(
            &caller
                .request("POST", "/Patient")
                .header(
                    "If-None-Exist",
                    &format!("identifier=urn:insula:test|{identifier}"),
                )
                .fhir(&patient_identified("Once", identifier)),
        )
    };
    let first = create("1").expect(201).json();
    let again = create("1").expect(200);
    let location = again.header("location").unwrap_or_default().to_owned();
    assert!(location.contains(word(&first, "id")) || again.text().contains(word(&first, "id")));
    caller.create(&patient_identified("Other", "1"));
    create("1").expect(412);

    let update = |identifier: &str, family: &str| {
        let path = format!("/Patient?identifier=urn:insula:test|{identifier}");
        let resource = patient_identified(family, identifier);
        caller
            .ask(&caller.request("PUT", &path).fhir(&resource))
            .status
    };
    assert_eq!(update("2", "Made"), 201);
    assert_eq!(update("2", "Changed"), 200);
    assert_eq!(update("1", "Which"), 412);
    assert_eq!(caller.found("Patient?family=changed").len(), 1);

    caller
        .delete("/Patient?identifier=urn:insula:test|2")
        .expect(204);
    assert!(
        caller
            .found("Patient?identifier=urn:insula:test|2")
            .is_empty()
    );
    caller
        .delete("/Patient?identifier=urn:insula:test|2")
        .expect(204);
    caller
        .delete("/Patient?identifier=urn:insula:test|1")
        .expect(412);
    // A condition that says nothing would be every resource.
    for path in [
        "/Patient",
        "/Patient?",
        "/Patient?_count=1",
        "/Patient?nonsense=1",
    ] {
        let answer = caller.delete(path);
        assert!(matches!(answer.status, 400 | 412), "{path}: {answer:?}");
    }
    assert_eq!(caller.found("Patient").len(), 2);
}

#[test]
fn preferences_of_the_answer() {
    let caller = caller();
    let post = |prefer: &str| {
        let request = caller.request("POST", "/Patient").header("Prefer", prefer);
        caller.ask(&request.fhir(&patient("Preferred"))).expect(201)
    };
    assert!(post("return=minimal").body.is_empty());
    assert_eq!(
        post("return=representation").json()["resourceType"],
        "Patient"
    );
    assert_eq!(
        post("return=OperationOutcome").json()["resourceType"],
        "OperationOutcome"
    );
}

#[test]
fn histories() {
    let caller = caller();
    for family in ["A", "B", "C"] {
        caller.put(&with_id(patient(family), "p1"));
    }
    caller.put(&with_id(patient("Z"), "p2"));
    caller.delete("/Patient/p1").expect(204);
    caller
        .put(&json!({"resourceType": "Device", "id": "d1"}))
        .expect(201);
    let shown = |path: &str| -> Vec<String> {
        let page = caller.get(path).expect(200).json();
        assert_eq!(page["type"], "history");
        let entries = page["entry"].as_array().cloned().unwrap_or_default();
        entries
            .iter()
            .map(|e| {
                let request = &e["request"];
                let url = word(request, "url");
                let status = &word(&e["response"], "status")[..3];
                format!("{} {url} {status}", word(request, "method"))
            })
            .collect()
    };
    let of_p1 = [
        "DELETE Patient/p1 204",
        "PUT Patient/p1 200",
        "PUT Patient/p1 200",
        "PUT Patient/p1 201",
    ];
    assert_eq!(shown("/Patient/p1/_history"), of_p1);
    assert_eq!(shown("/Patient/_history").len(), 5);
    assert_eq!(shown("/_history").len(), 6);
    assert_eq!(shown("/_history")[0], "PUT Device/d1 201");
    assert_eq!(shown("/_history?_count=2").len(), 2);
    assert!(shown("/_history?_since=2999-01-01T00:00:00Z").is_empty());
    assert_eq!(
        shown("/Patient/_history?_since=2000-01-01T00:00:00Z").len(),
        5
    );
    caller.get("/Patient/never/_history").expect(404);
    // Pages of a history show what was there at the first.
    let mut page = caller.search("Patient/_history?_count=2");
    caller.put(&with_id(patient("New"), "p9")).expect(201);
    let mut seen = 0;
    loop {
        seen += page["entry"].as_array().map_or(0, Vec::len);
        let Some(next) = link(&page, "next") else {
            break;
        };
        page = caller.ask(&caller.follow(&next)).expect(200).json();
    }
    assert_eq!(seen, 5);
}

#[test]
fn a_transaction_is_whole_or_nothing() {
    let caller = caller();
    let (person, seen) = (
        "urn:uuid:0f0e0d0c-0b0a-4908-8706-050403020100",
        "urn:uuid:0f0e0d0c-0b0a-4908-8706-050403020101",
    );
    let mut report = json!({
        "resourceType": "DiagnosticReport", "status": "final", "code": {"text": "blood"},
        "subject": {"reference": person}, "result": [{"reference": seen}],
    });
    report["text"] = json!({
        "status": "generated",
        "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\"><a href=\"{seen}\">it</a></div>"),
    });
    let good = bundle(
        "transaction",
        [
            // References go forward as well as back, and may be conditional.
            entry("POST", "DiagnosticReport", Some(report)),
            entry_named(seen, observation(person, "718-7", 7.5)),
            entry_named(person, patient_identified("Whole", "w1")),
            entry(
                "PUT",
                "Device/d1",
                Some(json!({
                    "resourceType": "Device", "id": "d1",
                    "patient": {"reference": "Patient?identifier=urn:insula:test|here"},
                })),
            ),
            entry("DELETE", "Patient/old", None),
            entry("GET", "Patient?family=here", None),
        ],
    );
    caller
        .put(&with_id(patient_identified("Here", "here"), "here"))
        .expect(201);
    caller.put(&with_id(patient("Old"), "old")).expect(201);
    let answer = caller.post("", &good).expect(200).json();
    assert_eq!(answer["type"], "transaction-response");
    let entries = answer["entry"].as_array().unwrap();
    let statuses: Vec<&str> = entries
        .iter()
        .map(|e| &word(&e["response"], "status")[..3])
        .collect();
    assert_eq!(statuses, ["201", "201", "201", "201", "204", "200"]);
    let found = caller
        .search("DiagnosticReport?subject:Patient.identifier=w1&_include=DiagnosticReport:result");
    assert_eq!(found["entry"].as_array().unwrap().len(), 2, "{found}");
    let report = matches(&found).next().unwrap();
    assert!(!report.to_string().contains("urn:uuid"), "{report}");
    assert_eq!(
        caller.get("/Device/d1").json()["patient"]["reference"],
        "Patient/here"
    );
    caller.get("/Patient/old").expect(410);

    let before = caller.search("_history?_count=0")["total"].clone();
    for bad in [
        entry(
            "POST",
            "Patient",
            Some(json!({"resourceType": "Patient", "nombre": "x"})),
        ),
        entry("PUT", "Patient/a", Some(with_id(patient("x"), "b"))),
        entry(
            "POST",
            "Device",
            Some(json!({
                "resourceType": "Device", "patient": {"reference": "Patient?identifier=nobody"},
            })),
        ),
        entry("PATCH", "Nothing/1", None),
        entry("GET", "http://elsewhere.example/Patient", None),
        json!({"resource": patient("x")}),
    ] {
        let whole = bundle(
            "transaction",
            [entry("POST", "Patient", Some(patient("Half"))), bad.clone()],
        );
        let answer = caller.post("", &whole);
        assert!((400..500).contains(&answer.status), "{bad}: {answer:?}");
    }
    let twice = bundle(
        "transaction",
        [
            entry("PUT", "Patient/t", Some(with_id(patient("Half"), "t"))),
            entry("DELETE", "Patient/t", None),
        ],
    );
    caller.post("", &twice).expect(400);
    assert!(caller.found("Patient?family=half").is_empty());
    assert_eq!(caller.search("_history?_count=0")["total"], before);
}

#[test]
fn a_batch_is_each_for_itself() {
    let caller = caller();
    let answer = caller.post(
        "",
        &bundle(
            "batch",
            [
                entry("POST", "Patient", Some(patient("Batched"))),
                entry(
                    "POST",
                    "Patient",
                    Some(json!({"resourceType": "Patient", "nombre": "x"})),
                ),
                entry("GET", "Patient/never", None),
                entry("DELETE", "Patient/never", None),
            ],
        ),
    );
    let answer = answer.expect(200).json();
    let entries = answer["entry"].as_array().unwrap();
    let statuses: Vec<&str> = entries
        .iter()
        .map(|e| &word(&e["response"], "status")[..3])
        .collect();
    assert_eq!(statuses, ["201", "422", "404", "204"]);
    assert_eq!(
        entries[1]["response"]["outcome"]["resourceType"],
        "OperationOutcome"
    );
    assert_eq!(caller.found("Patient?family=batched").len(), 1);
}

#[test]
fn references_are_enforced_where_that_is_asked_for() {
    let world = crate::world::shared();
    let tenant = world.tenant_with(&json!({"references": "enforced"}));
    let caller = tenant.owner();
    caller
        .post("/Observation", &observation("Patient/p1", "718-7", 1.0))
        .expect(422);
    caller.put(&with_id(patient("Here"), "p1")).expect(201);
    let seen = caller.create(&observation("Patient/p1", "718-7", 1.0));
    let refused = caller.delete("/Patient/p1").expect(409);
    assert_eq!(refused.codes(), ["reference-in-use"]);
    caller.delete(&format!("/Observation/{seen}")).expect(204);
    caller.delete("/Patient/p1").expect(204);
    let statement = caller.search("metadata");
    let policy = statement["rest"][0]["resource"][0]["referencePolicy"].to_string();
    assert!(policy.contains("enforced"), "{policy}");
}

#[test]
fn binaries_are_their_bytes() {
    let caller = caller();
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let made = caller
        .ask(
            &caller
                .request("POST", "/Binary")
                .content("image/png", bytes.clone()),
        )
        .expect(201);
    let location = made.header("location").expect("a Location").to_owned();
    let get = |accept: &str| caller.ask(&caller.follow(&location).header("Accept", accept));
    let raw = get("image/png").expect(200);
    assert_eq!(raw.header("content-type"), Some("image/png"));
    assert_eq!(raw.body, bytes);
    let wrapped = get("application/fhir+json").expect(200).json();
    assert_eq!(wrapped["contentType"], "image/png");
    assert_eq!(word(&wrapped, "data").len(), 400_000);
    // What a tenant stores must not run in a browser of another's page.
    let script = caller.ask(
        &caller
            .request("POST", "/Binary")
            .content("text/html", "<script>"),
    );
    let location = script.expect(201).header("location").unwrap().to_owned();
    let served = caller.ask(&caller.follow(&location).header("Accept", "text/html"));
    assert_eq!(served.header("x-content-type-options"), Some("nosniff"));
}

#[test]
fn the_capability_statement_is_true() {
    let tenant = tenant();
    let caller = tenant.owner();
    let open = Caller {
        authorization: None,
        ..caller.clone()
    };
    let statement = open.get("/metadata").expect(200).json();
    assert_eq!(statement["fhirVersion"], "4.0.1");
    assert_eq!(statement["kind"], "instance");
    let rest = &statement["rest"][0];
    let resources = rest["resource"].as_array().unwrap();
    assert!(resources.len() > 140, "{} types", resources.len());
    let mut parameters = 0;
    for resource in resources {
        let kind = word(resource, "type");
        // Every parameter that is promised is understood.
        for parameter in resource["searchParam"].as_array().into_iter().flatten() {
            parameters += 1;
            // Every resource has an id, and no elements are behind the others.
            let always = ["_id", "_list", "_filter", "_text", "_content"];
            if parameters % 9 == 0 && !always.contains(&word(parameter, "name")) {
                let path = format!("/{kind}?{}:missing=true&_count=1", word(parameter, "name"));
                let special = parameter["type"] == "special" || parameter["type"] == "composite";
                let request = caller
                    .request("GET", &path)
                    .header("Prefer", "handling=strict");
                let answer = caller.ask(&request);
                assert!(special || answer.status == 200, "{path}: {answer:?}");
            }
        }
    }
    assert!(parameters > 1_300, "{parameters} search parameters");
}
