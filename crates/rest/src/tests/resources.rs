//! read, vread, create, update, delete.

use serde_json::json;

use super::world::{World, patient, patient_with_id};

#[test]
fn a_resource_lives_and_dies() {
    let (world, who) = World::clinic();
    let made = world
        .fhir(&who, "POST Patient", patient("Alpha"))
        .status(201);
    let id = made.text("/id");
    let base = "http://127.0.0.1:8080/t/lakeside/fhir";
    let v1 = format!("{base}/Patient/{id}/_history/1");
    let made = made.header("etag", "W/\"1\"").header("location", &v1);
    let made = made
        .header("content-location", &v1)
        .header("x-content-type-options", "nosniff");
    let made = made
        .at("/meta/versionId", "1")
        .at("/name/0/family", "Alpha");
    assert!(made.header_text("last-modified").unwrap().ends_with(" GMT"));
    assert_eq!(made.header_text("x-request-id").unwrap().len(), 32);

    let read = world
        .fhir(&who, &format!("GET Patient/{id}"), "")
        .status(200);
    assert_eq!(read.body, made.body);
    read.header("etag", "W/\"1\"")
        .header("content-type", "application/fhir+json; charset=utf-8");

    let put = world.fhir(
        &who,
        &format!("PUT Patient/{id}"),
        patient_with_id(&id, "Beta"),
    );
    let put = put
        .status(200)
        .header("etag", "W/\"2\"")
        .at("/name/0/family", "Beta");
    assert!(
        put.header_text("content-location")
            .unwrap()
            .ends_with("/_history/2")
    );

    for (version, family) in [("1", "Alpha"), ("2", "Beta")] {
        let line = format!("GET Patient/{id}/_history/{version}");
        let read = world
            .fhir(&who, &line, "")
            .status(200)
            .at("/name/0/family", family);
        read.header("etag", &format!("W/\"{version}\""));
    }
    world
        .fhir(&who, &format!("GET Patient/{id}/_history/9"), "")
        .refused(404, "not-found");
    world
        .fhir(&who, &format!("GET Patient/{id}/_history/x"), "")
        .refused(404, "not-found");

    let gone = world
        .fhir(&who, &format!("DELETE Patient/{id}"), "")
        .status(204);
    assert!(gone.header("etag", "W/\"3\"").body.is_empty());
    world
        .fhir(&who, &format!("GET Patient/{id}"), "")
        .refused(410, "deleted");
    world
        .fhir(&who, &format!("GET Patient/{id}/_history/3"), "")
        .refused(410, "deleted");
    world
        .fhir(&who, &format!("GET Patient/{id}/_history/2"), "")
        .status(200);
    world
        .fhir(&who, &format!("DELETE Patient/{id}"), "")
        .status(204);
    world.fhir(&who, "DELETE Patient/never", "").status(204);

    let back = world.fhir(
        &who,
        &format!("PUT Patient/{id}"),
        patient_with_id(&id, "Gamma"),
    );
    back.status(201).at("/meta/versionId", "4");
}

#[test]
fn update_makes_what_was_not_there() {
    let (world, who) = World::clinic();
    let made = world
        .fhir(&who, "PUT Patient/mine", patient_with_id("mine", "A"))
        .status(201);
    assert!(
        made.header_text("location")
            .unwrap()
            .ends_with("/Patient/mine/_history/1")
    );
    let may_not_create = world.client("lakeside", "system/Patient.ru");
    let body = patient_with_id("other", "A");
    world
        .fhir(&may_not_create, "PUT Patient/other", body)
        .refused(403, "scope-missing");
    let body = patient_with_id("mine", "B");
    world
        .fhir(&may_not_create, "PUT Patient/mine", body)
        .status(200);
}

#[test]
fn what_cannot_be_stored_is_refused() {
    let (world, who) = World::clinic();
    for (line, body, status, code) in [
        ("POST Patient", "", 400, "body-empty"),
        ("POST Patient", " \n", 400, "body-empty"),
        ("POST Patient", "[]", 400, "resource-type-mismatch"),
        ("POST Patient", "{", 400, "json-syntax"),
        (
            "POST Patient",
            r#"{"resourceType":"Patient","resourceType":"Patient"}"#,
            400,
            "json-duplicate-key",
        ),
        (
            "POST Patient",
            r#"{"resourceType":"Observation"}"#,
            400,
            "resource-type-mismatch",
        ),
        (
            "POST Patient",
            r#"{"resourceType":"Patient","shoe":1}"#,
            422,
            "element-unknown",
        ),
        (
            "POST Patient",
            r#"{"resourceType":"Patient","active":"yes"}"#,
            422,
            "element-type",
        ),
        (
            "POST Patient",
            r#"{"resourceType":"Patient","gender":"x"}"#,
            422,
            "element-code",
        ),
        (
            "POST Observation",
            r#"{"resourceType":"Observation","status":"final"}"#,
            422,
            "element-cardinality",
        ),
        (
            "POST Nonsense",
            r#"{"resourceType":"Nonsense"}"#,
            404,
            "resource-type-unknown",
        ),
        (
            "PUT Patient/7",
            r#"{"resourceType":"Patient","id":"8"}"#,
            400,
            "resource-id-mismatch",
        ),
        (
            "PUT Patient/7",
            r#"{"resourceType":"Patient"}"#,
            400,
            "resource-id-mismatch",
        ),
        (
            "PUT Patient/a_b",
            r#"{"resourceType":"Patient","id":"a_b"}"#,
            400,
            "resource-id-invalid",
        ),
        ("GET Patient/a_b", "", 404, "not-found"),
        ("GET Patient/none", "", 404, "not-found"),
        ("GET Nonsense/1", "", 404, "resource-type-unknown"),
    ] {
        world.fhir(&who, line, body).refused(status, code);
    }
}

#[test]
fn conditions_on_versions_hold() {
    let (world, who) = World::clinic();
    world
        .fhir(&who, "PUT Patient/p", patient_with_id("p", "A"))
        .status(201);
    let ask = |line: &str, name: &str, value: &str, body: String| {
        world.fhir_with(&who, line, &[(name, value)], body)
    };
    let body = || patient_with_id("p", "B");
    ask("PUT Patient/p", "if-match", "W/\"2\"", body()).refused(412, "version-conflict");
    ask("PUT Patient/p", "if-match", "nonsense", body()).refused(412, "version-conflict");
    ask("PUT Patient/p", "if-none-match", "*", body()).refused(412, "precondition-failed");
    ask("PUT Patient/p", "if-match", "W/\"1\"", body())
        .status(200)
        .header("etag", "W/\"2\"");
    ask("DELETE Patient/p", "if-match", "W/\"1\"", String::new()).refused(412, "version-conflict");

    let read = |name: &str, value: &str| ask("GET Patient/p", name, value, String::new());
    let same = read("if-none-match", "W/\"2\"")
        .status(304)
        .header("etag", "W/\"2\"");
    assert!(same.body.is_empty());
    read("if-none-match", "W/\"1\", W/\"2\"").status(304);
    read("if-none-match", "W/\"1\"").status(200);
    let modified = read("accept", "*/*")
        .header_text("last-modified")
        .unwrap()
        .to_owned();
    read("if-modified-since", &modified).status(304);
    read("if-modified-since", "Sun, 22 Nov 2020 01:22:03 GMT").status(200);
    read("if-modified-since", "yesterday").status(200);
    ask("DELETE Patient/p", "if-match", "W/\"2\"", String::new()).status(204);
    ask(
        "PUT Patient/new",
        "if-none-match",
        "*",
        patient_with_id("new", "A"),
    )
    .status(201);
}

#[test]
fn callers_choose_what_a_write_answers() {
    let (world, who) = World::clinic();
    let write = |prefer: &str| {
        world
            .fhir_with(&who, "POST Patient", &[("prefer", prefer)], patient("A"))
            .status(201)
    };
    let minimal = write("return=minimal");
    assert!(minimal.body.is_empty());
    minimal
        .no_header("content-type")
        .no_header("content-location")
        .header("etag", "W/\"1\"");
    write("return=representation").at("/resourceType", "Patient");
    write("return=OperationOutcome").at("/resourceType", "OperationOutcome");
    // What is said first counts (RFC 7240 section 2).
    let first = write("return=minimal, handling=lenient, return=representation");
    assert!(first.body.is_empty());
    for (prefer, code) in [
        ("handling=strict,handling=lenient", 400),
        ("handling=lenient,handling=strict", 200),
        ("handling=other,handling=strict", 400),
    ] {
        let found = world.fhir_with(&who, "GET Patient?x=1", &[("prefer", prefer)], "");
        assert_eq!(found.code, code, "{prefer}");
    }
    let delete = [("prefer", "return=OperationOutcome")];
    let gone = world
        .fhir_with(&who, "DELETE Patient/x", &delete, "")
        .status(200);
    gone.at("/resourceType", "OperationOutcome");
}

#[test]
fn reads_can_ask_for_parts() {
    let (world, who) = World::clinic();
    let body = json!({
        "resourceType": "Patient", "id": "p", "active": true, "birthDate": "1970-01-01",
        "text": { "status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">A</div>" },
        "contact": [{ "name": { "family": "C" } }],
    });
    world
        .fhir(&who, "PUT Patient/p", body.to_string())
        .status(201);
    let keys_of = |line: String| {
        let read = world.fhir(&who, &line, "").status(200);
        let mut keys: Vec<String> = read.json().as_object().unwrap().keys().cloned().collect();
        keys.retain(|k| !matches!(k.as_str(), "resourceType" | "id" | "meta"));
        keys.sort();
        keys.join(" ")
    };
    let keys = |query: &str| {
        let now = keys_of(format!("GET Patient/p?{query}"));
        // A version is read as the resource is.
        let then = keys_of(format!("GET Patient/p/_history/1?{query}"));
        assert_eq!(now, then, "{query}");
        now
    };
    assert_eq!(keys(""), "active birthDate contact text");
    assert_eq!(keys("_elements=birthDate"), "birthDate");
    assert_eq!(keys("_summary=text"), "text");
    assert_eq!(keys("_summary=data"), "active birthDate contact");
    assert_eq!(keys("_summary=true"), "active birthDate");
    assert_eq!(keys("_summary=false"), "active birthDate contact text");
    for line in [
        "GET Patient/p?_elements=birthDate",
        "GET Patient/p/_history/1?_elements=birthDate",
    ] {
        let part = world.fhir(&who, line, "").status(200);
        part.at("/meta/tag/0/code", "SUBSETTED");
        let batch = json!({"resourceType": "Bundle", "type": "batch",
            "entry": [{"request": {"method": "GET", "url": &line[4..]}}]});
        let entry = world.fhir(&who, "POST ", batch.to_string()).status(200);
        entry.at("/entry/0/resource/meta/tag/0/code", "SUBSETTED");
    }
}

#[test]
fn decimals_and_texts_survive() {
    let (world, who) = World::clinic();
    let body = r#"{"resourceType":"Observation","id":"o","status":"final","code":{"text":"\u00e9\/x"},"effectiveDateTime":"2026","valueQuantity":{"value":1.500e+01}}"#;
    world.fhir(&who, "PUT Observation/o", body).status(201);
    let read = world.fhir(&who, "GET Observation/o", "").status(200);
    let text = String::from_utf8(read.body.to_vec()).unwrap();
    for kept in ["1.500e+01", r"\u00e9\/x", r#""effectiveDateTime":"2026""#] {
        assert!(text.contains(kept), "{text}");
    }
}

#[test]
fn only_known_formats_come_and_go() {
    let (world, who) = World::clinic();
    world
        .fhir(&who, "PUT Patient/p", patient_with_id("p", "A"))
        .status(201);
    let ask = |line: &str, header: (&str, &str), body: &str| {
        world.fhir_with(&who, line, &[header], body.to_owned())
    };
    let turtle = ("accept", "text/turtle");
    ask("GET Patient/p", turtle, "").refused(406, "not-acceptable");
    ask("GET Patient/p?_format=json", turtle, "").status(200);
    ask("GET Patient/p?_format=ttl", ("accept", "*/*"), "").refused(406, "not-acceptable");
    let json = "application/json; charset=utf-8";
    ask("GET Patient/p", ("accept", "application/json"), "").header("content-type", json);
    let body = patient("A");
    ask(
        "POST Patient",
        ("content-type", "application/fhir+turtle"),
        &body,
    )
    .refused(415, "media-type");
    ask("POST Patient", ("content-type", "text/plain"), &body).refused(415, "media-type");
    ask("POST Patient", ("content-type", "application/json"), &body).status(201);
}

#[test]
fn enforced_references_must_resolve() {
    let (world, who) = World::clinic();
    let config = json!({ "config": { "references": "enforced" } });
    world
        .admin("PATCH /admin/v1/tenants/lakeside", &config)
        .status(200);
    let observation = |id: &str| {
        json!({ "resourceType": "Observation", "id": id, "status": "final", "code": { "text": "x" },
                "subject": { "reference": "Patient/p" } })
        .to_string()
    };
    world
        .fhir(&who, "PUT Observation/o", observation("o"))
        .refused(422, "reference-missing");
    world
        .fhir(&who, "PUT Patient/p", patient_with_id("p", "A"))
        .status(201);
    world
        .fhir(&who, "PUT Observation/o", observation("o"))
        .status(201);
    world
        .fhir(&who, "DELETE Patient/p", "")
        .refused(409, "reference-in-use");
    world.fhir(&who, "DELETE Observation/o", "").status(204);
    world.fhir(&who, "DELETE Patient/p", "").status(204);
}
