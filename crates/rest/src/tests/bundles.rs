//! batch and transaction.

mod conditional;

use serde_json::{Value, json};

use super::world::{World, patient_with_id};

fn bundle(kind: &str, entries: &Value) -> String {
    json!({ "resourceType": "Bundle", "type": kind, "entry": entries }).to_string()
}

fn statuses(answer: &Value) -> Vec<String> {
    let entries = answer["entry"].as_array().unwrap();
    entries
        .iter()
        .map(|e| e["response"]["status"].as_str().unwrap().to_owned())
        .collect()
}

fn request(method: &str, url: &str) -> Value {
    json!({ "method": method, "url": url })
}

fn observation(subject: &str) -> Value {
    json!({ "resourceType": "Observation", "status": "final", "code": { "text": "x" },
            "subject": { "reference": subject } })
}

const URN: &str = "urn:uuid:05efabf0-4be2-4561-91ce-51548425acb9";

#[test]
fn a_transaction_links_its_entries() {
    let (world, who) = World::clinic();
    let entries = json!([
        { "fullUrl": "urn:uuid:aaaaaaaa-4be2-4561-91ce-51548425acb9", "resource": observation(URN),
          "request": request("POST", "Observation") },
        { "fullUrl": URN, "request": request("POST", "Patient"),
          "resource": { "resourceType": "Patient", "identifier": [{ "system": "urn:ietf:rfc:3986", "value": URN }] } },
        { "request": request("PUT", "Patient/fixed"), "resource": { "resourceType": "Patient", "id": "fixed" } },
        { "request": request("GET", "Patient/fixed") },
    ]);
    let done = world
        .fhir(&who, "POST ", bundle("transaction", &entries))
        .status(200);
    let done = done.at("/type", "transaction-response");
    assert_eq!(
        statuses(&done.json()),
        ["201 Created", "201 Created", "201 Created", "200 OK"]
    );
    let place = |i: usize| {
        let url = done.text(&format!("/entry/{i}/response/location"));
        let path = url.split("/fhir/").nth(1).unwrap().to_owned();
        path.split("/_history").next().unwrap().to_owned()
    };
    let done_json = done.json();
    assert_eq!(done_json["entry"][3]["resource"]["id"], "fixed");
    assert_eq!(done_json["entry"][0]["response"]["etag"], "W/\"1\"");
    let observation = world
        .fhir(&who, &format!("GET {}", place(0)), "")
        .status(200);
    observation.at("/subject/reference", place(1).as_str());
    let patient = world
        .fhir(&who, &format!("GET {}", place(1)), "")
        .status(200);
    patient.at("/identifier/0/value", URN);
}

#[test]
fn a_transaction_is_all_or_nothing() {
    let (world, who) = World::clinic();
    let count = || world.fhir(&who, "GET Patient?_summary=count", "").json()["total"].clone();
    let good =
        json!({ "request": request("POST", "Patient"), "resource": { "resourceType": "Patient" } });
    for (bad, status, code) in [
        (
            json!({ "request": request("POST", "Patient"), "resource": { "resourceType": "Patient", "shoe": 1 } }),
            422,
            "element-unknown",
        ),
        (
            json!({ "request": { "method": "PUT", "url": "Patient/x", "ifMatch": "W/\"5\"" }, "resource": { "resourceType": "Patient", "id": "x" } }),
            412,
            "version-conflict",
        ),
        (
            json!({ "request": request("POST", "Nonsense"), "resource": { "resourceType": "Nonsense" } }),
            404,
            "resource-type-unknown",
        ),
        (
            json!({ "request": request("POST", "Observation"), "resource": observation("Patient?identifier=none") }),
            412,
            "reference-ambiguous",
        ),
        (
            json!({ "request": request("PATCH", "Patient/1"), "resource": { "resourceType": "Binary", "contentType": "a/b" } }),
            400,
            "patch-invalid",
        ),
        (
            json!({ "request": request("POST", "Patient/1"), "resource": { "resourceType": "Patient" } }),
            400,
            "bundle-entry",
        ),
        (
            json!({ "resource": { "resourceType": "Patient" } }),
            400,
            "bundle-entry",
        ),
    ] {
        let entries = json!([good, bad]);
        let refused = world.fhir(&who, "POST ", bundle("transaction", &entries));
        let refused = refused.refused(status, code);
        let place = refused.text("/issue/0/expression/0");
        assert!(place.starts_with("Bundle.entry[1]"), "{place}");
        assert_eq!(count(), 0, "{code}");
    }
    let same = json!([
        { "request": request("PUT", "Patient/x"), "resource": { "resourceType": "Patient", "id": "x" } },
        { "request": request("DELETE", "Patient/x") },
    ]);
    let refused = world.fhir(&who, "POST ", bundle("transaction", &same));
    refused.refused(400, "bundle-duplicate");
    let limited = world.client("lakeside", "system/Patient.c system/Patient.r");
    let entries = json!([good, { "request": request("POST", "Observation"), "resource": observation("Patient/1") }]);
    let refused = world.fhir(&limited, "POST ", bundle("transaction", &entries));
    refused.refused(403, "scope-missing");
    assert_eq!(count(), 0);
}

#[test]
fn conditional_references_and_creates_resolve() {
    let (world, who) = World::clinic();
    let practitioner = json!({ "resourceType": "Practitioner", "identifier": [{ "system": "http://npi", "value": "9" }] });
    let made = world
        .fhir(&who, "POST Practitioner", practitioner.to_string())
        .status(201)
        .text("/id");
    let patient = json!({ "resourceType": "Patient", "identifier": [{ "system": "http://mrn", "value": "1" }] });
    let mut observation = observation("Patient?identifier=http://mrn|1");
    observation["performer"] = json!([{ "reference": "Practitioner?identifier=http://npi|9" }]);
    let entries = json!([
        { "request": { "method": "POST", "url": "Patient", "ifNoneExist": "identifier=http://mrn|1" },
          "fullUrl": URN, "resource": patient },
        { "request": request("POST", "Observation"), "resource": observation },
    ]);
    let mut patients = Vec::new();
    for status in ["201 Created", "200 OK"] {
        let done = world
            .fhir(&who, "POST ", bundle("transaction", &entries))
            .status(200);
        assert_eq!(statuses(&done.json())[0], status);
        let url = done.text("/entry/1/response/location");
        let read = world.follow(&who, &url).status(200);
        let read = read.at("/performer/0/reference", format!("Practitioner/{made}"));
        patients.push(read.text("/subject/reference"));
    }
    assert_eq!(patients[0], patients[1]);
    let entries = json!([
        { "request": request("PUT", "Patient?identifier=http://mrn|1"), "resource": patient },
        { "request": request("DELETE", "Practitioner?identifier=http://npi|9") },
        { "request": request("DELETE", "Practitioner?identifier=http://npi|none") },
    ]);
    let done = world
        .fhir(&who, "POST ", bundle("transaction", &entries))
        .status(200);
    assert_eq!(
        statuses(&done.json()),
        ["200 OK", "204 No Content", "204 No Content"]
    );
}

#[test]
fn entries_of_a_batch_stand_alone() {
    let (world, who) = World::clinic();
    world
        .fhir(
            &who,
            "PUT Patient/p",
            r#"{"resourceType":"Patient","id":"p"}"#,
        )
        .status(201);
    let entries = json!([
        { "request": request("GET", "Patient/p") },
        { "request": request("GET", "Patient/none") },
        { "request": request("POST", "Patient"), "resource": { "resourceType": "Patient", "shoe": 1 } },
        { "request": request("POST", "Patient"), "resource": { "resourceType": "Patient" } },
        { "request": request("GET", "Patient?_id=p") },
        { "request": request("GET", "Patient/p/_history") },
        { "request": { "method": "GET", "url": "Patient/p", "ifNoneMatch": "W/\"1\"" } },
        { "request": request("DELETE", "Observation/none") },
        { "request": request("POST", "Patient/1"), "resource": { "resourceType": "Patient" } },
    ]);
    let done = world
        .fhir(&who, "POST ", bundle("batch", &entries))
        .status(200);
    let done = done.at("/type", "batch-response");
    let wanted = [
        "200 OK",
        "404 Not Found",
        "422 Unprocessable Entity",
        "201 Created",
        "200 OK",
        "200 OK",
        "304 Not Modified",
        "204 No Content",
        "400 Bad Request",
    ];
    assert_eq!(statuses(&done.json()), wanted);
    let json = done.json();
    assert_eq!(json["entry"][0]["resource"]["id"], "p");
    assert_eq!(json["entry"][4]["resource"]["type"], "searchset");
    assert_eq!(json["entry"][5]["resource"]["type"], "history");
    let outcome = &json["entry"][2]["response"]["outcome"]["issue"][0];
    assert_eq!(outcome["details"]["coding"][0]["code"], "element-unknown");
    assert_eq!(outcome["expression"][0], "Bundle.entry[2].resource.shoe");
    let prefer = [("prefer", "return=representation")];
    let entries = json!([{ "request": request("POST", "Patient"), "resource": { "resourceType": "Patient" } }]);
    let done = world
        .fhir_with(&who, "POST ", &prefer, bundle("batch", &entries))
        .status(200);
    assert_eq!(
        done.json()["entry"][0]["resource"]["resourceType"],
        "Patient"
    );
}

#[test]
fn what_is_wrong_with_the_request_of_an_entry_is_its_own_in_a_batch() {
    let (world, who) = World::clinic();
    let good =
        json!({ "request": request("POST", "Patient"), "resource": { "resourceType": "Patient" } });
    let wrong = [
        (
            json!({ "request": request("FETCH", "Patient/p") }),
            400,
            "bundle-entry",
        ),
        (
            json!({ "request": request("get", "Patient/p") }),
            400,
            "bundle-entry",
        ),
        (
            json!({ "request": request("", "Patient/p") }),
            400,
            "bundle-entry",
        ),
        (
            json!({ "request": { "url": "Patient/p" } }),
            400,
            "bundle-entry",
        ),
        (
            json!({ "request": { "method": "GET" } }),
            400,
            "bundle-entry",
        ),
        (json!({}), 400, "bundle-entry"),
        (
            json!({ "request": { "method": "GET", "url": "Patient", "verb": "x" } }),
            422,
            "element-unknown",
        ),
        (
            json!({ "request": { "method": "GET", "url": "Patient", "ifModifiedSince": "now" } }),
            422,
            "element-value",
        ),
    ];
    for (entry, status, code) in &wrong {
        let all = bundle("batch", &json!([good, entry, entry, good]));
        let done = world.fhir(&who, "POST ", all).status(200).json();
        let found = statuses(&done);
        assert_eq!((&*found[0], &*found[3]), ("201 Created", "201 Created"));
        assert!(found[1].starts_with(&status.to_string()), "{entry}: {done}");
        let issue = &done["entry"][1]["response"]["outcome"]["issue"][0];
        assert_eq!(issue["details"]["coding"][0]["code"], *code, "{entry}");
        let place = issue["expression"][0].as_str().unwrap();
        assert!(place.starts_with("Bundle.entry[1]"), "{entry}: {place}");
    }
    let made = || world.fhir(&who, "GET Patient?_summary=count", "").json()["total"].clone();
    let before = made();
    for (entry, ..) in &wrong {
        let all = bundle("transaction", &json!([good, entry]));
        let code = world.fhir(&who, "POST ", all).code;
        assert!(matches!(code, 400 | 422), "{entry}: {code}");
    }
    assert_eq!(made(), before);
    // What is wrong with the Bundle itself is no entry's.
    let whole = json!({ "resourceType": "Bundle", "type": "batch", "shoe": 1, "entry": [good] });
    world
        .fhir(&who, "POST ", whole.to_string())
        .refused(422, "element-unknown");
}

#[test]
fn urns_lead_to_entries_however_they_are_spelled_and_nowhere_else() {
    let (world, who) = World::clinic();
    let of = |kind: &str, full_url: &str, reference: &str| {
        let entries = json!([
            { "fullUrl": full_url, "request": request("POST", "Patient"),
              "resource": { "resourceType": "Patient" } },
            { "fullUrl": "urn:uuid:aaaaaaaa-4be2-4561-91ce-51548425acb9",
              "request": request("POST", "Observation"), "resource": observation(reference) },
        ]);
        world.fhir(&who, "POST ", bundle(kind, &entries))
    };
    let upper = URN.to_uppercase().replace("URN:UUID", "urn:uuid");
    let oid = "urn:oid:1.2.840.1";
    for (full_url, reference) in [
        (URN, upper.as_str()),
        (&upper, URN),
        (URN, &URN.replace("urn:uuid", "URN:UUID")),
        (oid, "URN:OID:1.2.840.1"),
    ] {
        let done = of("transaction", full_url, reference).status(200);
        let made = done.text("/entry/1/response/location");
        let path = made.split("/fhir/").nth(1).unwrap().to_owned();
        let patient = done.text("/entry/0/response/location");
        let patient = patient.split("/fhir/").nth(1).unwrap();
        let patient = patient.split("/_history").next().unwrap().to_owned();
        let path = path.split("/_history").next().unwrap();
        let made = world.fhir(&who, &format!("GET {path}"), "").status(200);
        made.at("/subject/reference", patient.as_str());
    }
    let other = "urn:uuid:bbbbbbbb-4be2-4561-91ce-51548425acb9";
    for (reference, kind) in [(other, "transaction"), ("urn:oid:1.2.840.2", "transaction")] {
        let refused = of(kind, URN, reference).refused(422, "reference-missing");
        refused.at("/issue/0/expression/0", "Bundle.entry[1]");
    }
    for reference in [URN, other] {
        let done = of("batch", URN, reference).status(200).json();
        let found = statuses(&done);
        assert_eq!(found, ["201 Created", "422 Unprocessable Entity"]);
    }
    // Alone it may, as any reference may that leads nowhere.
    let alone = observation(other).to_string();
    world.fhir(&who, "POST Observation", alone).status(201);
}

#[test]
fn other_bundles_are_refused() {
    let (world, who) = World::clinic();
    for (body, code) in [
        (bundle("collection", &json!([])), "bundle-type"),
        (r#"{"resourceType":"Patient"}"#.to_owned(), "bundle-type"),
        ("{".to_owned(), "json-syntax"),
        (String::new(), "body-empty"),
    ] {
        world.fhir(&who, "POST ", body).refused(400, code);
    }
    let empty = r#"{"resourceType":"Bundle","type":"transaction"}"#;
    let done = world.fhir(&who, "POST /t/lakeside/fhir", empty).status(200);
    done.at("/type", "transaction-response");
}

#[test]
fn too_many_entries_are_refused_by_name() {
    let world = World::with(|limits| limits.bundle_entries_max = 2, |_| {});
    world.tenant("lakeside");
    let who = world.client("lakeside", "system/*.cruds");
    let entry = json!({ "request": request("GET", "Patient/p") });
    let body = bundle("batch", &json!([entry, entry, entry]));
    let refused = world
        .fhir(&who, "POST ", body)
        .refused(413, "limit-exceeded");
    refused.at("/issue/0/details/coding/1/code", "bundle_entries_max");
}

#[test]
fn a_large_transaction_goes_through() {
    let (world, who) = World::clinic();
    let entries: Vec<Value> = (0..1500)
        .map(|i| {
            json!({ "fullUrl": format!("urn:uuid:{i}"), "request": request("POST", "Observation"),
                    "resource": observation(URN) })
        })
        .chain([
            json!({ "fullUrl": URN, "request": request("POST", "Patient"),
                        "resource": { "resourceType": "Patient" } }),
        ])
        .collect();
    let done = world
        .fhir(&who, "POST ", bundle("transaction", &json!(entries)))
        .status(200);
    assert_eq!(done.json()["entry"].as_array().unwrap().len(), 1501);
    let count = world
        .fhir(&who, "GET Observation?_summary=count", "")
        .status(200);
    count.at("/total", 1500);
}

#[test]
fn entries_refer_to_each_other_in_circles_and_versions_stay() {
    let (world, who) = World::clinic();
    for id in ["kept", "gone"] {
        let made = json!({ "resourceType": "Patient", "id": id }).to_string();
        world
            .fhir(&who, &format!("PUT Patient/{id}"), made)
            .status(201);
    }
    let (a, b) = (URN, "urn:uuid:bbbbbbbb-4be2-4561-91ce-51548425acb9");
    let linked = |other: &str| {
        json!({ "resourceType": "Patient",
            "link": [{ "other": { "reference": other }, "type": "seealso" }] })
    };
    let mut seen = observation("Patient/kept/_history/1");
    seen["performer"] = json!([{ "reference": a }]);
    let entries = json!([
        { "request": request("GET", "Patient/kept") },
        { "request": request("PUT", "Patient/kept"),
          "resource": { "resourceType": "Patient", "id": "kept", "active": true } },
        { "fullUrl": a, "request": request("POST", "Patient"), "resource": linked(b) },
        { "request": request("POST", "Observation"), "resource": seen },
        { "fullUrl": b, "request": request("POST", "Patient"), "resource": linked(a) },
        { "request": request("DELETE", "Patient/gone") },
    ]);
    let done = world
        .fhir(&who, "POST ", bundle("transaction", &entries))
        .status(200);
    assert_eq!(
        statuses(&done.json()),
        [
            "200 OK",
            "200 OK",
            "201 Created",
            "201 Created",
            "201 Created",
            "204 No Content"
        ]
    );
    // Reads see what the others wrote, whatever their place.
    let done = done.at("/entry/0/resource/active", true);
    let made = |i: usize| {
        let url = done.text(&format!("/entry/{i}/response/location"));
        let path = url.split("/fhir/").nth(1).unwrap();
        path.split("/_history").next().unwrap().to_owned()
    };
    let get = |path: &str| world.fhir(&who, &format!("GET {path}"), "").status(200);
    get(&made(2)).at("/link/0/other/reference", made(4).as_str());
    get(&made(4)).at("/link/0/other/reference", made(2).as_str());
    get(&made(3))
        .at("/subject/reference", "Patient/kept/_history/1")
        .at("/performer/0/reference", made(2).as_str());
    world.fhir(&who, "GET Patient/gone", "").status(410);
}

#[test]
fn references_lead_to_the_versions_that_are_made() {
    let (world, who) = World::clinic();
    for n in 0..2 {
        let old = json!({ "resourceType": "Patient", "id": "old", "active": n == 1 });
        world.fhir(&who, "PUT Patient/old", old.to_string());
    }
    world
        .fhir(&who, "PUT Patient/gone", patient_with_id("gone", "G"))
        .status(201);
    world.fhir(&who, "DELETE Patient/gone", "").status(204);
    let pinned = |reference: &str| {
        json!({ "reference": reference, "display": "x", "extension": [
            { "url": "http://hl7.org/fhir/StructureDefinition/resolve-as-version-specific", "valueBoolean": true }] })
    };
    let new = "urn:uuid:6f1c2a60-0000-4000-8000-000000000001";
    let entry = |method: &str, url: &str, resource: serde_json::Value| json!({ "resource": resource, "request": { "method": method, "url": url } });
    let provenance = |targets: Vec<serde_json::Value>| {
        json!({ "resourceType": "Provenance", "recorded": "2026-01-02T03:04:05Z",
            "agent": [{ "who": { "display": "x" } }], "target": targets })
    };
    let mut made = entry("POST", "Patient", json!({ "resourceType": "Patient" }));
    made["fullUrl"] = new.into();
    let targets = [new, "Patient/old", "Patient/gone", "Patient/fresh"]
        .map(pinned)
        .to_vec();
    let put = |id: &str| {
        let resource = json!({ "resourceType": "Patient", "id": id });
        entry("PUT", &format!("Patient/{id}"), resource)
    };
    let bundle = |targets| {
        json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
            entry("POST", "Provenance", provenance(targets)), made, put("old"), put("gone"), put("fresh")] })
    };
    let prefer = [("prefer", "return=representation")];
    let done = world
        .fhir_with(&who, "POST ", &prefer, bundle(targets).to_string())
        .status(200);
    let stored = done.json()["entry"][0]["resource"]["target"].clone();
    let id = done.text("/entry/1/resource/id");
    let wanted = [
        format!("{id}/_history/1"),
        "old/_history/3".into(),
        "gone/_history/3".into(),
        "fresh/_history/1".into(),
    ];
    let wanted = wanted.map(|of| json!({ "reference": format!("Patient/{of}"), "display": "x" }));
    assert_eq!(stored, json!(wanted));
    for (at, version) in [(2, "3"), (3, "3"), (4, "1")] {
        let pointer = format!("/entry/{at}/resource/meta/versionId");
        assert_eq!(done.text(&pointer), version);
    }
    let other = bundle(vec![pinned("Patient/other")]);
    world
        .fhir(&who, "POST ", other.to_string())
        .refused(400, "bundle-entry");
}

#[test]
fn outcomes_stand_in_the_entries_that_were_written() {
    let (world, who) = World::clinic();
    let bundle = json!({ "resourceType": "Bundle", "type": "batch", "entry": [
        { "request": { "method": "POST", "url": "Patient" }, "resource": { "resourceType": "Patient" } },
        { "request": { "method": "GET", "url": "Patient?_count=1" } }] });
    let prefer = [("prefer", "return=OperationOutcome")];
    let done = world
        .fhir_with(&who, "POST ", &prefer, bundle.to_string())
        .status(200);
    let done = done.at("/entry/0/response/outcome/resourceType", "OperationOutcome");
    assert!(done.json().pointer("/entry/0/resource").is_none());
    assert!(done.json().pointer("/entry/1/response/outcome").is_none());
}

#[test]
fn searches_and_operations_may_be_posted_within_a_bundle() {
    let (world, who) = World::clinic();
    world
        .fhir(&who, "PUT Patient/p", patient_with_id("p", "Dunmore"))
        .status(201);
    for kind in ["batch", "transaction"] {
        let bundle = json!({ "resourceType": "Bundle", "type": kind, "entry": [
            { "request": { "method": "POST", "url": "Patient/_search?family=dunmore" } },
            { "request": { "method": "POST", "url": "_search?_type=Patient" } },
            { "request": { "method": "POST", "url": "Patient/p/$everything" } },
        ] });
        let answer = world.fhir(&who, "POST ", bundle.to_string()).status(200);
        for at in 0..3 {
            let id = answer.text(&format!("/entry/{at}/resource/entry/0/resource/id"));
            assert_eq!(id, "p", "{kind} {at}");
        }
    }
    let bundle = json!({ "resourceType": "Bundle", "type": "batch", "entry": [
        { "request": { "method": "POST", "url": "Patient/_search" },
          "resource": { "resourceType": "Parameters" } },
        { "request": { "method": "POST", "url": "Patient" } },
    ] });
    let answer = world.fhir(&who, "POST ", bundle.to_string()).status(200);
    for at in 0..2 {
        let code = answer.text(&format!(
            "/entry/{at}/response/outcome/issue/0/details/coding/0/code"
        ));
        assert_eq!(code, "bundle-entry");
    }
}

#[test]
fn what_a_transaction_deletes_is_not_found_by_its_creates() {
    let (world, who) = World::clinic();
    let known = json!({ "resourceType": "Patient", "id": "old", "identifier": [{ "value": "1" }] });
    world
        .fhir(&who, "PUT Patient/old", known.to_string())
        .status(201);
    let fresh =
        json!({ "resourceType": "Patient", "active": true, "identifier": [{ "value": "1" }] });
    let entries = json!([
        { "resource": { "resourceType": "Observation", "status": "final", "code": { "text": "x" },
            "subject": { "reference": "Patient?identifier=|1" } },
          "request": { "method": "POST", "url": "Observation" } },
        { "resource": fresh, "request": { "method": "POST", "url": "Patient", "ifNoneExist": "identifier=1" } },
        { "request": { "method": "DELETE", "url": "Patient/old" } },
    ]);
    let answer = world.fhir(&who, "POST ", bundle("transaction", &entries));
    let answer = answer.status(200).json();
    assert_eq!(
        statuses(&answer),
        ["201 Created", "201 Created", "204 No Content"]
    );
    let made = answer["entry"][1]["response"]["location"].as_str().unwrap();
    let made = made
        .split("/fhir/")
        .last()
        .unwrap()
        .split("/_history")
        .next()
        .unwrap();
    let observations = world.fhir(&who, &format!("GET Observation?subject={made}"), "");
    assert_eq!(observations.status(200).entries().len(), 1);
    world.fhir(&who, "GET Patient/old", "").status(410);
}
