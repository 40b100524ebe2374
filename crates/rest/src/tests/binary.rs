//! Binary with its own content type.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::world::World;

#[test]
fn bytes_go_in_and_come_out() {
    let (world, who) = World::clinic();
    let bytes: Vec<u8> = (0..=255u8).cycle().take(700_000).collect();
    let png = [("content-type", "image/png")];
    let made = world
        .fhir_with(&who, "POST Binary", &png, bytes.clone())
        .status(201);
    let id = made.text("/id");
    assert_eq!(made.json()["contentType"], "image/png");
    let raw = world
        .fhir(&who, &format!("GET Binary/{id}"), "")
        .status(200);
    assert_eq!(raw.body, bytes);
    let raw = raw
        .header("content-type", "image/png")
        .header("content-disposition", "attachment");
    let raw = raw
        .header("x-content-type-options", "nosniff")
        .header("content-length", "700000");
    raw.header("content-security-policy", "default-src 'none'; sandbox")
        .header("etag", "W/\"1\"");
    let any = [("accept", "image/*")];
    let raw = world
        .fhir_with(&who, &format!("GET Binary/{id}"), &any, "")
        .status(200);
    assert_eq!(raw.body, bytes);
    let json = [("accept", "application/fhir+json")];
    let resource = world
        .fhir_with(&who, &format!("GET Binary/{id}"), &json, "")
        .status(200);
    let resource = resource.at("/resourceType", "Binary");
    assert!(
        resource.json()["data"]
            .as_str()
            .unwrap()
            .starts_with("AAECAw")
    );
    let html = [("content-type", "text/html")];
    let put = world.fhir_with(&who, "PUT Binary/mine", &html, "<script>alert(1)</script>");
    put.status(201).at("/id", "mine");
    let raw = world.fhir(&who, "GET Binary/mine", "").status(200);
    raw.header("content-type", "text/html")
        .header("content-disposition", "attachment");
    let put = world
        .fhir_with(&who, "PUT Binary/mine", &html, "<p>")
        .status(200);
    put.header("etag", "W/\"2\"");
}

#[test]
fn a_binary_can_be_a_resource_too() {
    let (world, who) = World::clinic();
    let body = r#"{"resourceType":"Binary","id":"b","contentType":"text/plain","data":"aGk="}"#;
    world.fhir(&who, "PUT Binary/b", body).status(201);
    let raw = world.fhir(&who, "GET Binary/b", "").status(200);
    assert_eq!(&raw.header("content-type", "text/plain").body[..], b"hi");
}

#[test]
fn binaries_are_bounded_and_guarded() {
    let world = World::with(|limits| limits.binary_bytes_max = 10, |_| {});
    world.tenant("lakeside");
    let who = world.client("lakeside", "system/*.cruds");
    let png = [("content-type", "image/png")];
    let refused = world.fhir_with(&who, "POST Binary", &png, vec![0; 11]);
    let refused = refused.refused(413, "limit-exceeded");
    refused.at("/issue/0/details/coding/1/code", "binary_bytes_max");
    world
        .fhir_with(&who, "POST Binary", &png, vec![])
        .refused(400, "body-empty");
    let reader = world.client("lakeside", "system/Binary.r");
    world
        .fhir_with(&reader, "POST Binary", &png, vec![0; 9])
        .refused(403, "scope-missing");
    let other = world.client("lakeside", "system/Patient.r");
    world
        .fhir(&other, "GET Binary/x", "")
        .refused(403, "scope-missing");
    world
        .fhir(&who, "GET Binary/x", "")
        .refused(404, "not-found");
}

#[test]
fn a_large_binary_is_the_same_in_every_form() {
    let (world, who) = World::clinic();
    let bytes: Vec<u8> = (0..2_000_003u32).map(|n| (n * 31 / 7) as u8).collect();
    let data = STANDARD.encode(&bytes);
    let pdf = [("content-type", "application/pdf")];
    let made = world.fhir_with(&who, "PUT Binary/big", &pdf, bytes.clone());
    made.status(201).at("/data", data.clone());
    let minimal = [
        ("content-type", "application/pdf"),
        ("prefer", "return=minimal"),
    ];
    let again = world.fhir_with(&who, "PUT Binary/big", &minimal, bytes[..900_000].to_vec());
    assert!(again.status(200).header("etag", "W/\"2\"").body.is_empty());

    let json = [("accept", "application/fhir+json")];
    let length = |line: &str| {
        let read = world.fhir_with(&who, line, &json, "").status(200);
        assert_eq!(
            read.header_text("content-length").map(str::to_owned),
            Some(read.body.len().to_string())
        );
        read.text("/data")
    };
    assert_eq!(length("GET Binary/big"), STANDARD.encode(&bytes[..900_000]));
    assert_eq!(length("GET Binary/big/_history/1"), data);
    let old = world
        .fhir(&who, "GET Binary/big/_history/1", "")
        .status(200);
    assert_eq!(old.body, bytes);
    let same = [("if-none-match", "W/\"2\"")];
    let raw = world.fhir_with(&who, "GET Binary/big", &same, "");
    assert!(raw.status(304).body.is_empty());
    let summary = world.fhir_with(&who, "GET Binary/big?_elements=data", &json, "");
    assert_eq!(summary.text("/data").len(), 1_200_000);

    let found = world.fhir(&who, "GET Binary", "").status(200);
    assert_eq!(found.text("/entry/0/resource/data").len(), 1_200_000);
    let history = world.fhir(&who, "GET Binary/big/_history", "").status(200);
    assert_eq!(history.text("/entry/1/resource/data"), data);
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
        {"request": {"method": "PUT", "url": "Binary/b"},
         "resource": {"resourceType": "Binary", "id": "b", "contentType": "a/b", "data": data}},
        {"request": {"method": "GET", "url": "Binary/big"}},
    ]});
    let done = world.fhir(&who, "POST ", bundle.to_string()).status(200);
    assert_eq!(done.text("/entry/1/resource/data").len(), 1_200_000);
    let whole = [("prefer", "return=representation")];
    let done = world.fhir_with(&who, "POST ", &whole, bundle.to_string());
    let done = done.status(200).at("/entry/0/resource/data", data.clone());
    done.at("/entry/0/resource/meta/versionId", "2");
    let raw = world.fhir(&who, "GET Binary/b", "").status(200);
    assert_eq!(raw.body, bytes);
    world.fhir(&who, "DELETE Binary/big", "").status(204);
    world
        .fhir(&who, "GET Binary/big", "")
        .refused(410, "deleted");
}

#[test]
fn a_part_of_a_binary_can_be_asked_for() {
    let (world, who) = World::clinic();
    let bytes: Vec<u8> = (0..500_000u32).map(|n| (n * 31 / 7) as u8).collect();
    let png = [("content-type", "image/png")];
    world
        .fhir_with(&who, "PUT Binary/big", &png, bytes.clone())
        .status(201);
    world
        .fhir_with(&who, "PUT Binary/small", &png, bytes[..100].to_vec())
        .status(201);
    let part = |id: &str, range: &str| {
        world.fhir_with(&who, &format!("GET Binary/{id}"), &[("range", range)], "")
    };
    for (range, from, to) in [
        ("bytes=0-9", 0, 10),
        ("bytes=196607-196608", 196_607, 196_609),
        ("bytes=190000-450000", 190_000, 450_001),
        ("bytes=-5", 499_995, 500_000),
        ("bytes=499999-600000", 499_999, 500_000),
    ] {
        let answer = part("big", range).status(206);
        let said = format!("bytes {from}-{}/500000", to - 1);
        assert_eq!(
            answer.header("content-range", &said).body,
            bytes[from..to],
            "{range}"
        );
    }
    let answer = part("small", "bytes=90-").status(206);
    assert_eq!(
        answer.header("content-range", "bytes 90-99/100").body,
        bytes[90..100]
    );
    part("big", "bytes=500000-")
        .status(416)
        .header("content-range", "bytes */500000");
    assert_eq!(part("big", "lines=1-2").status(200).body, bytes);
}

#[test]
fn a_security_context_decides_who_sees_a_binary() {
    let (world, who) = World::clinic();
    for (id, gender) in [("f", "female"), ("m", "male")] {
        let patient = json!({ "resourceType": "Patient", "id": id, "gender": gender });
        world
            .fhir(&who, &format!("PUT Patient/{id}"), patient.to_string())
            .status(201);
    }
    let png = ("content-type", "image/png");
    let put = |id: &str, context: &str| {
        let headers = [png, ("x-security-context", context)];
        let headers = if context.is_empty() {
            &headers[..1]
        } else {
            &headers
        };
        let path = format!("PUT Binary/{id}");
        world.fhir_with(&who, &path, headers, "bytes").status(201);
    };
    put("free", "");
    put("of-f", "Patient/f");
    put("of-m", "Patient/m");
    put("gone", "Patient/nobody");
    put("elsewhere", "http://example.org/fhir/Patient/f");
    put("binary", "Binary/free");
    let named = json!({ "resourceType": "Binary", "id": "named", "contentType": "text/plain",
        "securityContext": { "identifier": { "value": "x" } } });
    let resource = [("content-type", "application/fhir+json")];
    world
        .fhir_with(&who, "PUT Binary/named", &resource, named.to_string())
        .status(201);
    let all = [
        "binary",
        "elsewhere",
        "free",
        "gone",
        "named",
        "of-f",
        "of-m",
    ];
    for (scopes, seen) in [
        ("system/*.cruds", &all[..]),
        ("system/Binary.rs", &["free"]),
        ("system/Binary.rs system/Observation.rs", &["free"]),
        (
            "system/Binary.rs system/Patient.rs",
            &["free", "of-f", "of-m"],
        ),
        (
            "system/Binary.rs system/Patient.rs?gender=female",
            &["free", "of-f"],
        ),
    ] {
        let reader = world.client("lakeside", scopes);
        let found = world
            .fhir(&reader, "GET Binary?_sort=_id", "")
            .status(200)
            .json();
        let found: Vec<_> = found["entry"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|e| e["resource"]["id"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(found, seen, "{scopes}");
        for id in all {
            let status = if seen.contains(&id) { 200 } else { 404 };
            let json = [("accept", "application/fhir+json")];
            for path in ["", "/_history/1", "/_history"] {
                let line = format!("GET Binary/{id}{path}");
                assert_eq!(
                    world.fhir(&reader, &line, "").code,
                    status,
                    "{scopes}: {line}"
                );
                let as_json = world.fhir_with(&reader, &line, &json, "");
                assert_eq!(as_json.code, status, "{scopes}: {line} as JSON");
            }
        }
        let history = world
            .fhir(&reader, "GET Binary/_history", "")
            .status(200)
            .json();
        assert_eq!(
            history["entry"].as_array().map_or(0, Vec::len),
            seen.len(),
            "{scopes}"
        );
    }
    // What is out of reach is not changed either, and nothing is bound to what is out of reach.
    let writer = world.client(
        "lakeside",
        "system/Binary.cruds system/Patient.rs?gender=female",
    );
    for (id, context, good) in [
        ("of-m", "", false),
        ("of-f", "Patient/f", true),
        ("free", "Patient/m", false),
    ] {
        let headers = [png, ("x-security-context", context)];
        let headers = if context.is_empty() {
            &headers[..1]
        } else {
            &headers
        };
        let put = world.fhir_with(&writer, &format!("PUT Binary/{id}"), headers, "other");
        assert_eq!(put.code == 200, good, "{id}: {put:?}");
    }
    let raw = world.fhir(&who, "GET Binary/of-m", "").status(200);
    assert_eq!(raw.body, "bytes".as_bytes());
}
