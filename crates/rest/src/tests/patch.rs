//! patch: three languages, conditions, races, rights, Bundles.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::world::{World, patient_with_id};

const JSON_PATCH: (&str, &str) = ("content-type", "application/json-patch+json");
const XML_PATCH: (&str, &str) = ("content-type", "application/xml-patch+xml");

fn clinic() -> (World, String) {
    let (world, who) = World::clinic();
    world
        .fhir(&who, "PUT Patient/p", patient_with_id("p", "A"))
        .status(201);
    (world, who)
}

fn parameters(kind: &str, path: &str, more: &Value) -> Value {
    let mut part = vec![
        json!({ "name": "type", "valueCode": kind }),
        json!({ "name": "path", "valueString": path }),
    ];
    part.extend(more.as_array().unwrap().iter().cloned());
    json!({ "resourceType": "Parameters", "parameter": [{ "name": "operation", "part": part }] })
}

#[test]
fn three_languages_say_the_same() {
    let (world, who) = clinic();
    let add = r#"[{"op":"test","path":"/name/0/family","value":"A"},{"op":"add","path":"/active","value":true}]"#;
    world
        .fhir_with(&who, "PATCH Patient/p", &[JSON_PATCH], add)
        .status(200)
        .header("etag", "W/\"2\"")
        .at("/active", true)
        .at("/meta/versionId", "2");
    let diff = "<diff xmlns=\"http://hl7.org/fhir\"><replace sel=\"Patient/active/@value\">false</replace></diff>";
    world
        .fhir_with(&who, "PATCH Patient/p", &[XML_PATCH], diff)
        .status(200)
        .at("/active", false)
        .at("/meta/versionId", "3");
    let value = json!([{ "name": "value", "valueBoolean": true }]);
    let replace = parameters("replace", "Patient.active", &value);
    world
        .fhir(&who, "PATCH Patient/p", replace.to_string())
        .status(200)
        .at("/active", true)
        .at("/meta/versionId", "4");
    let xml = "<Parameters xmlns=\"http://hl7.org/fhir\"><parameter><name value=\"operation\"/><part><name value=\"type\"/><valueCode value=\"delete\"/></part><part><name value=\"path\"/><valueString value=\"Patient.active\"/></part></parameter></Parameters>";
    let of_xml = ("content-type", "application/fhir+xml");
    let to_json = ("accept", "application/fhir+json");
    let done = world
        .fhir_with(&who, "PATCH Patient/p", &[of_xml, to_json], xml)
        .status(200);
    assert!(done.json().get("active").is_none());
    let history = world.fhir(&who, "GET Patient/p/_history", "").status(200);
    history
        .at("/entry/0/request/method", "PATCH")
        .at("/total", 5);
}

#[test]
fn refusals_change_nothing() {
    let (world, who) = clinic();
    for (patch, status, code) in [
        (
            "[{\"op\":\"remove\",\"path\":\"/active\"}]",
            422,
            "patch-failed",
        ),
        (
            "[{\"op\":\"test\",\"path\":\"/name/0/family\",\"value\":\"B\"}]",
            422,
            "patch-failed",
        ),
        (
            "[{\"op\":\"replace\",\"path\":\"/id\",\"value\":\"q\"}]",
            422,
            "patch-failed",
        ),
        (
            "[{\"op\":\"remove\",\"path\":\"/id\"}]",
            422,
            "patch-failed",
        ),
        (
            "[{\"op\":\"replace\",\"path\":\"/resourceType\",\"value\":\"Group\"}]",
            422,
            "patch-failed",
        ),
        (
            "[{\"op\":\"replace\",\"path\":\"/meta/versionId\",\"value\":\"9\"}]",
            422,
            "patch-failed",
        ),
        (
            "[{\"op\":\"add\",\"path\":\"/gender\",\"value\":\"x\"}]",
            422,
            "element-code",
        ),
        (
            "[{\"op\":\"add\",\"path\":\"/nothing\",\"value\":1}]",
            422,
            "element-unknown",
        ),
        ("[{\"op\":\"add\"}]", 400, "patch-invalid"),
        ("{}", 400, "patch-invalid"),
        ("[", 400, "json-syntax"),
        (" ", 400, "body-empty"),
    ] {
        world
            .fhir_with(&who, "PATCH Patient/p", &[JSON_PATCH], patch)
            .refused(status, code);
    }
    world
        .fhir_with(&who, "PATCH Patient/p", &[XML_PATCH], "<diff>")
        .refused(400, "xml-syntax");
    world
        .fhir_with(&who, "PATCH Patient/p", &[XML_PATCH], "<diff/>")
        .refused(400, "patch-invalid");
    world
        .fhir(&who, "PATCH Patient/p", "[]")
        .refused(400, "patch-invalid");
    let merge = ("content-type", "application/merge-patch+json");
    world
        .fhir_with(&who, "PATCH Patient/p", &[merge], "{}")
        .refused(415, "media-type");
    world
        .fhir_with(&who, "PATCH Patient/none", &[JSON_PATCH], "[]")
        .refused(404, "not-found");
    world
        .fhir(&who, "GET Patient/p", "")
        .at("/meta/versionId", "1");
    world.fhir(&who, "DELETE Patient/p", "").status(204);
    world
        .fhir_with(&who, "PATCH Patient/p", &[JSON_PATCH], "[]")
        .refused(410, "deleted");
}

#[test]
fn an_xml_patch_has_operations_that_there_are() {
    let (world, who) = clinic();
    for diff in [
        "<diff><alter sel=\"Patient/active\"/></diff>",
        "<diff><alter sel=\"Patient/name\"/></diff>",
    ] {
        world
            .fhir_with(&who, "PATCH Patient/p", &[XML_PATCH], diff)
            .refused(400, "patch-invalid");
    }
}

#[test]
fn conditions_hold() {
    let (world, who) = clinic();
    let patch = "[{\"op\":\"add\",\"path\":\"/active\",\"value\":true}]";
    let ask = |tag: &str| {
        world.fhir_with(
            &who,
            "PATCH Patient/p",
            &[JSON_PATCH, ("if-match", tag)],
            patch,
        )
    };
    ask("W/\"2\"").refused(412, "version-conflict");
    ask("W/\"1\"").status(200);
    ask("W/\"1\"").refused(412, "version-conflict");
    let minimal = [JSON_PATCH, ("prefer", "return=minimal")];
    let done = world
        .fhir_with(&who, "PATCH Patient/p", &minimal, patch)
        .status(200);
    assert!(done.body.is_empty());
}

#[test]
fn the_one_that_matches_is_patched() {
    let (world, who) = clinic();
    let patch = "[{\"op\":\"add\",\"path\":\"/active\",\"value\":true}]";
    let ask = |line: &str| world.fhir_with(&who, line, &[JSON_PATCH], patch);
    ask("PATCH Patient?family=A")
        .status(200)
        .at("/active", true);
    ask("PATCH Patient?family=B").refused(404, "not-found");
    ask("PATCH Patient").refused(400, "search-value");
    world
        .fhir(&who, "PUT Patient/q", patient_with_id("q", "A"))
        .status(201);
    ask("PATCH Patient?family=A").refused(412, "multiple-matches");
}

#[test]
fn who_may_not_read_is_not_shown_what_was_patched() {
    let (world, who) = clinic();
    let patch = "[{\"op\":\"add\",\"path\":\"/active\",\"value\":true}]";
    let writer = world.client("lakeside", "system/Patient.u");
    let shown = [JSON_PATCH, ("prefer", "return=representation")];
    let done = world
        .fhir_with(&writer, "PATCH Patient/p", &shown, patch)
        .status(200);
    assert!(done.body.is_empty());
    world.fhir(&who, "GET Patient/p", "").at("/active", true);
    let reader = world.client("lakeside", "system/Patient.crds");
    world
        .fhir_with(&reader, "PATCH Patient/p", &[JSON_PATCH], patch)
        .refused(403, "scope-missing");
    let update = world.client("lakeside", "system/Patient.u system/Group.cruds");
    let by_criteria = "PATCH Patient?family=A";
    world
        .fhir_with(&update, by_criteria, &[JSON_PATCH], patch)
        .refused(403, "scope-missing");
}

#[test]
fn bundles_patch() {
    let (world, who) = clinic();
    let data = STANDARD.encode("[{\"op\":\"add\",\"path\":\"/managingOrganization\",\"value\":{\"reference\":\"urn:uuid:4b3b4b6e-8f0f-4a5e-9f5e-1f2f3f4f5f6f\"}}]");
    let binary = json!({ "resourceType": "Binary", "contentType": "application/json-patch+json", "data": data });
    let organization = json!({
        "fullUrl": "urn:uuid:4b3b4b6e-8f0f-4a5e-9f5e-1f2f3f4f5f6f",
        "resource": { "resourceType": "Organization", "name": "O" },
        "request": { "method": "POST", "url": "Organization" },
    });
    let patch = |resource: &Value, url: &str| json!({ "resource": resource, "request": { "method": "PATCH", "url": url } });
    let bundle = |kind: &str, entries: Vec<Value>| {
        json!({ "resourceType": "Bundle", "type": kind, "entry": entries }).to_string()
    };
    let entries = vec![patch(&binary, "Patient/p"), organization];
    let done = world
        .fhir(&who, "POST ", bundle("transaction", entries))
        .status(200);
    done.at("/entry/0/response/status", "200 OK")
        .at("/entry/0/response/etag", "W/\"2\"");
    let patient = world.fhir(&who, "GET Patient/p", "").status(200).json();
    let reference = patient["managingOrganization"]["reference"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(reference.starts_with("Organization/"), "{reference}");
    let value = json!([{ "name": "name", "valueString": "gender" }, { "name": "value", "valueCode": "male" }]);
    let by_path = parameters("add", "Patient", &value);
    let entries = vec![
        patch(&by_path, "Patient?family=A"),
        patch(&binary, "Patient/none"),
    ];
    let done = world
        .fhir(&who, "POST ", bundle("batch", entries))
        .status(200);
    done.at("/entry/0/response/status", "200 OK")
        .at("/entry/1/response/status", "404 Not Found");
    world
        .fhir(&who, "GET Patient/p", "")
        .at("/gender", "male")
        .at("/meta/versionId", "3");
    let entries = vec![
        patch(&binary, "Patient/p"),
        patch(&by_path, "Patient?family=A"),
    ];
    let twice = world.fhir(&who, "POST ", bundle("transaction", entries));
    assert!(matches!(twice.code, 400 | 422), "{}", twice.code);
    world
        .fhir(&who, "GET Patient/p", "")
        .at("/meta/versionId", "3");
}
