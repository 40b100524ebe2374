use super::*;
use crate::definitions::{FhirVersion, Model};
use crate::json as text;

const BOUNDS: Bounds = Bounds {
    operations_max: 20,
    bytes_max: 2_000,
    depth_max: 64,
    steps_max: 100_000,
    xml: crate::xml::Bounds {
        depth_max: 32,
        attributes_max: 8,
        issues_max: 20,
    },
};

fn by_json(document: &str, patch: &str) -> Result<String, Issue> {
    let document = text::parse(document.as_bytes(), 64).unwrap();
    let patch = text::parse(patch.as_bytes(), 64).unwrap();
    json::apply(document.root(), patch.root(), &BOUNDS)
}

fn by_path(resource: &str, operations: &str) -> Result<String, Issue> {
    let resource = text::parse(resource.as_bytes(), 64).unwrap();
    let patch = format!("{{\"resourceType\":\"Parameters\",\"parameter\":[{operations}]}}");
    let patch = text::parse(patch.as_bytes(), 64).unwrap();
    path::apply(
        Model::of(FhirVersion::R4),
        resource.root(),
        patch.root(),
        &BOUNDS,
    )
}

/// `{"name":"operation","part":[…]}`
fn operation(parts: &[(&str, &str)]) -> String {
    let parts: Vec<String> = parts
        .iter()
        .map(|(name, rest)| format!("{{\"name\":\"{name}\",{rest}}}"))
        .collect();
    format!("{{\"name\":\"operation\",\"part\":[{}]}}", parts.join(","))
}

#[test]
fn json_patch_keeps_digits_and_escapes() {
    assert_eq!(
        by_json(
            r#"{"a":1.50,"b":"\u00e9"}"#,
            r#"[{"op":"move","from":"/a","path":"/c"}]"#
        )
        .unwrap(),
        r#"{"b":"\u00e9","c":1.50}"#
    );
    assert_eq!(
        by_json(
            r#"{"a":1}"#,
            r#"[{"op":"replace","path":"","value":{"b":-0.10}}]"#
        )
        .unwrap(),
        r#"{"b":-0.10}"#
    );
}

#[test]
fn json_patch_refuses_with_a_reason() {
    let many = format!(
        "[{}]",
        [r#"{"op":"test","path":"/a","value":[1]}"#; 30].join(",")
    );
    for (patch, wanted) in [
        ("{}", Code::PatchInvalid),
        ("[1]", Code::PatchInvalid),
        (r#"[{"op":"add","path":"/x"}]"#, Code::PatchInvalid),
        (r#"[{"op":"foo","path":"/x"}]"#, Code::PatchInvalid),
        (r#"[{"op":"remove"}]"#, Code::PatchInvalid),
        (r#"[{"op":"remove","path":"a"}]"#, Code::PatchInvalid),
        (r#"[{"op":"remove","path":"/~2"}]"#, Code::PatchInvalid),
        (r#"[{"op":"move","path":"/x"}]"#, Code::PatchInvalid),
        (r#"[{"op":"remove","path":""}]"#, Code::PatchFailed),
        (r#"[{"op":"remove","path":"/x"}]"#, Code::PatchFailed),
        (
            r#"[{"op":"replace","path":"/x","value":1}]"#,
            Code::PatchFailed,
        ),
        (r#"[{"op":"remove","path":"/a/01"}]"#, Code::PatchFailed),
        (r#"[{"op":"remove","path":"/a/-"}]"#, Code::PatchFailed),
        (
            r#"[{"op":"add","path":"/a/2","value":1}]"#,
            Code::PatchFailed,
        ),
        (
            r#"[{"op":"add","path":"/a/0/b","value":1}]"#,
            Code::PatchFailed,
        ),
        (
            r#"[{"op":"move","from":"/a","path":"/a/0"}]"#,
            Code::PatchFailed,
        ),
        (
            r#"[{"op":"test","path":"/a/0","value":"1"}]"#,
            Code::PatchFailed,
        ),
        (many.as_str(), Code::LimitExceeded),
    ] {
        let refused = by_json(r#"{"a":[1]}"#, patch).unwrap_err();
        assert_eq!(refused.code, wanted, "{patch}: {refused:?}");
    }
}

#[test]
fn copies_do_not_grow_without_bound() {
    let copy = r#"{"op":"copy","from":"","path":"/a/-"}"#;
    let patch = format!("[{}]", [copy; 15].join(","));
    let refused = by_json(r#"{"a":[1]}"#, &patch).unwrap_err();
    assert_eq!(refused.limit, Some("body_bytes_max"));
}

#[test]
fn patches_do_not_nest_without_bound() {
    let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    let mut patch = format!(r#"[{{"op":"add","path":"/x","value":{}}}"#, deep(10));
    for round in 1..20 {
        let place = "/0".repeat(round * 9);
        patch += &format!(
            r#",{{"op":"replace","path":"/x{place}","value":{}}}"#,
            deep(10)
        );
    }
    let refused = by_json("{}", &(patch + "]")).unwrap_err();
    assert_eq!(refused.limit, Some("json_depth_max"));
}

#[test]
fn what_removals_leave_empty_goes_too() {
    for (document, patch, wanted) in [
        (
            r#"{"a":{"b":[1]},"c":1}"#,
            r#"[{"op":"remove","path":"/a/b/0"}]"#,
            r#"{"c":1}"#,
        ),
        (
            r#"{"a":[1]}"#,
            r#"[{"op":"remove","path":"/a/0"},{"op":"add","path":"/a/-","value":2}]"#,
            r#"{"a":[2]}"#,
        ),
        (
            r#"{"a":1}"#,
            r#"[{"op":"add","path":"/b","value":[]}]"#,
            r#"{"a":1,"b":[]}"#,
        ),
    ] {
        assert_eq!(by_json(document, patch).unwrap(), wanted);
    }
}

#[test]
fn fhirpath_patch_knows_values_and_what_stands_beside_them() {
    let of = |kind: &str| format!("\"valueCode\":\"{kind}\"");
    let path = |path: &str| format!("\"valueString\":\"{path}\"");
    let (add, delete, replace, relocate, insert) = (
        of("add"),
        of("delete"),
        of("replace"),
        of("move"),
        of("insert"),
    );
    let given =
        r#"{"resourceType":"Patient","name":[{"given":["a","b"],"_given":[null,{"id":"x"}]}]}"#;
    let check = |resource: &str, parts: &[(&str, &str)], wanted: &str| {
        let done = by_path(resource, &operation(parts)).unwrap();
        assert_eq!(done, wanted, "{parts:?}");
    };
    let at = path("Patient.name.given");
    check(
        given,
        &[
            ("type", &relocate),
            ("path", &at),
            ("source", "\"valueInteger\":1"),
            ("destination", "\"valueInteger\":0"),
        ],
        r#"{"resourceType":"Patient","name":[{"given":["b","a"],"_given":[{"id":"x"},null]}]}"#,
    );
    check(
        given,
        &[
            ("type", &insert),
            ("path", &at),
            ("index", "\"valueInteger\":2"),
            ("value", "\"_valueString\":{\"id\":\"y\"}"),
        ],
        r#"{"resourceType":"Patient","name":[{"given":["a","b",null],"_given":[null,{"id":"x"},{"id":"y"}]}]}"#,
    );
    let at = path("Patient.name.given[1]");
    check(
        given,
        &[("type", &delete), ("path", &at)],
        r#"{"resourceType":"Patient","name":[{"given":["a"]}]}"#,
    );
    check(
        given,
        &[
            ("type", &add),
            ("path", &at),
            ("name", "\"valueString\":\"extension\""),
            (
                "value",
                r#""part":[{"name":"url","valueUri":"u"},{"name":"value","valueCode":"c"}]"#,
            ),
        ],
        r#"{"resourceType":"Patient","name":[{"given":["a","b"],"_given":[null,{"id":"x","extension":[{"url":"u","valueCode":"c"}]}]}]}"#,
    );
    let observation = r#"{"resourceType":"Observation","valueInteger":1}"#;
    let at = path("Observation.value");
    check(
        observation,
        &[
            ("type", &replace),
            ("path", &at),
            ("value", "\"valueQuantity\":{\"value\":1.50}"),
        ],
        r#"{"resourceType":"Observation","valueQuantity":{"value":1.50}}"#,
    );
    let at = path("Patient.identifier");
    check(
        r#"{"resourceType":"Patient"}"#,
        &[
            ("type", &insert),
            ("path", &at),
            ("index", "\"valueInteger\":0"),
            ("value", "\"valueIdentifier\":{\"value\":\"1\"}"),
        ],
        r#"{"resourceType":"Patient","identifier":[{"value":"1"}]}"#,
    );
}

#[test]
fn fhirpath_patch_refuses_with_a_reason() {
    let of = |kind: &str| format!("\"valueCode\":\"{kind}\"");
    let path = |path: &str| format!("\"valueString\":\"{path}\"");
    let patient =
        r#"{"resourceType":"Patient","active":true,"name":[{"family":"a"},{"family":"b"}]}"#;
    let value = ("value", "\"valueBoolean\":false");
    let (all, name) = (path("Patient.name"), path("Patient.name.family"));
    for (parts, wanted) in [
        (vec![("type", of("foo"))], Code::PatchInvalid),
        (vec![("type", of("delete"))], Code::PatchInvalid),
        (
            vec![("type", of("delete")), ("path", path("Patient.("))],
            Code::PatchInvalid,
        ),
        (
            vec![("type", of("replace")), ("path", path("Patient.active"))],
            Code::PatchInvalid,
        ),
        (
            vec![("type", of("move")), ("path", all.clone())],
            Code::PatchInvalid,
        ),
        (
            vec![("type", of("delete")), ("path", all)],
            Code::PatchFailed,
        ),
        (
            vec![("type", of("delete")), ("path", path("Patient"))],
            Code::PatchFailed,
        ),
        (
            vec![
                ("type", of("replace")),
                ("path", path("Patient.gender")),
                (value.0, value.1.to_owned()),
            ],
            Code::PatchFailed,
        ),
        (
            vec![
                ("type", of("insert")),
                ("path", name),
                ("index", "\"valueInteger\":0".to_owned()),
                (value.0, value.1.to_owned()),
            ],
            Code::PatchFailed,
        ),
        (
            vec![
                ("type", of("add")),
                ("path", path("Patient")),
                ("name", path("active")),
                (value.0, value.1.to_owned()),
            ],
            Code::PatchFailed,
        ),
        (
            vec![
                ("type", of("add")),
                ("path", path("Patient")),
                ("name", path("nothing")),
                (value.0, value.1.to_owned()),
            ],
            Code::PatchFailed,
        ),
    ] {
        let parts: Vec<(&str, &str)> = parts.iter().map(|(n, r)| (*n, r.as_str())).collect();
        let refused = by_path(patient, &operation(&parts)).unwrap_err();
        assert_eq!(refused.code, wanted, "{parts:?}: {refused:?}");
    }
}

#[test]
fn deleting_what_is_not_there_changes_nothing() {
    let patient = r#"{"resourceType":"Patient","active":true}"#;
    let parts = [
        ("type", "\"valueCode\":\"delete\""),
        ("path", "\"valueString\":\"Patient.birthDate\""),
    ];
    assert_eq!(by_path(patient, &operation(&parts)).unwrap(), patient);
}

fn by_xml(document: &str, operations: &str) -> Result<String, Issue> {
    let patch = format!("<diff>{operations}</diff>");
    xml::apply(document, &patch, &BOUNDS)
}

#[test]
fn xml_patches_do_not_nest_without_bound() {
    let deep = format!("{}{}", "<a>".repeat(20), "</a>".repeat(20));
    let add = |levels: usize| format!("<add sel=\"Patient{}\">{deep}</add>", "/a".repeat(levels));
    let patient = "<Patient xmlns=\"http://hl7.org/fhir\"/>";
    let whole = |rounds: usize| -> String { (0..rounds).map(|r| add(r * 20)).collect() };
    assert!(by_xml(patient, &whole(2)).unwrap().len() > 100);
    let wide = Bounds {
        bytes_max: 100_000,
        ..BOUNDS
    };
    let patch = format!("<diff>{}</diff>", whole(12));
    let refused = xml::apply(patient, &patch, &wide).unwrap_err();
    assert_eq!(refused.limit, Some("xml_depth_max"));
}

#[test]
fn xml_patch_reaches_every_kind_of_node() {
    let patient = "<Patient xmlns=\"http://hl7.org/fhir\"><name><family value=\"a\"/></name><name><family value=\"b\"/></name></Patient>";
    for (operations, wanted) in [
        (
            "<replace sel=\"Patient/name[2]/family/@value\">c</replace>",
            "<family value=\"c\"/></name></Patient>",
        ),
        (
            "<remove sel=\"f:Patient/f:name[f:family/@value='a']\"/>",
            "fhir\"><name><family value=\"b\"",
        ),
        (
            "<add sel=\"/Patient\" pos=\"prepend\"><active value=\"true\"/></add>",
            "fhir\"><active value=\"true\"/><name>",
        ),
        (
            "<add sel=\"Patient/name[1]\" pos=\"after\"><f:gender xmlns:f=\"http://hl7.org/fhir\" value=\"male\"/></add>",
            "</name><f:gender xmlns:f=\"http://hl7.org/fhir\" value=\"male\"/><name>",
        ),
        (
            "<add sel=\"Patient/name[1]\" type=\"@id\">n</add>",
            "<name id=\"n\">",
        ),
        (
            "<replace sel=\"*/name[1]\"><name id=\"x\"/></replace>",
            "fhir\"><name id=\"x\"/><name>",
        ),
    ] {
        let done = by_xml(patient, operations).unwrap();
        assert!(done.contains(wanted), "{operations}: {done}");
    }
    for (operations, wanted) in [
        ("<remove sel=\"Patient/name\"/>", Code::PatchFailed),
        ("<remove sel=\"Patient/gender\"/>", Code::PatchFailed),
        ("<remove sel=\"Patient\"/>", Code::PatchFailed),
        ("<remove/>", Code::PatchInvalid),
        ("<foo sel=\"Patient\"/>", Code::PatchInvalid),
        ("<remove sel=\"Patient//name\"/>", Code::PatchInvalid),
        ("<remove sel=\"Patient/name[\"/>", Code::PatchInvalid),
        ("<remove sel=\"x:Patient\"/>", Code::PatchInvalid),
        (
            "<add sel=\"Patient\" type=\"@a b\">x</add>",
            Code::PatchInvalid,
        ),
        (
            "<replace sel=\"Patient/name[1]\">text</replace>",
            Code::PatchFailed,
        ),
        ("", Code::PatchInvalid),
    ] {
        let refused = by_xml(patient, operations).unwrap_err();
        assert_eq!(refused.code, wanted, "{operations}: {refused:?}");
    }
}
