use base::{Micros, ResourceId, Version};

use super::shape::write_shaped;
use super::*;
use crate::definitions::{FhirVersion, Model};
use crate::outcome::Outcome;
use crate::search::query::Shape;
use crate::validate::Context;
use crate::validate::Pointed;

fn r4() -> &'static Model {
    Model::of(FhirVersion::R4)
}

fn admit(text: &str, url_type: &str, body_id: BodyId) -> Result<Valid, Outcome> {
    let draft = Draft::read(r4(), text.as_bytes(), 16)?;
    let id = ResourceId::new("7").unwrap();
    let admission = Admission {
        type_id: r4().type_id(url_type).unwrap(),
        id: &id,
        body_id,
        check: Context {
            own_bases: &["https://h/fhir"],
            issues_max: 10,
        },
    };
    Valid::admit(r4(), draft.value(), &admission)
}

/// What was accepted once is, whatever rules came since: an extension with a value and extensions is.
#[test]
fn what_was_accepted_once_is_stored_again() {
    let text = r#"{"resourceType":"Patient","id":"7","birthDate":"1980-02-03",
        "extension":[{"url":"http://x","valueString":"v","extension":[{"url":"y","valueCode":"c"}]}]}"#;
    admit(text, "Patient", BodyId::Required).unwrap_err();
    let draft = Draft::read(r4(), text.as_bytes(), 16).unwrap();
    let again = |of: &str, id: &str| {
        let admission = Admission {
            type_id: r4().type_id(of).unwrap(),
            id: &ResourceId::new(id).unwrap(),
            body_id: BodyId::Required,
            check: Context {
                own_bases: &[],
                issues_max: 10,
            },
        };
        Valid::readmit(r4(), draft.value(), &admission)
    };
    let kept = again("Patient", "7").unwrap();
    assert!(kept.body().contains(r#""valueString":"v""#));
    let good = admit(
        r#"{"resourceType":"Patient","id":"7","birthDate":"1980-02-03"}"#,
        "Patient",
        BodyId::Required,
    );
    assert_eq!(kept.rows().len(), good.unwrap().rows().len());
    // It stays what it is.
    again("Group", "7").unwrap_err();
    again("Patient", "8").unwrap_err();
}

fn whole(valid: &Valid) -> String {
    let mut out = Vec::new();
    let (version, updated) = (Version(3), Micros(1_000));
    write_whole(
        &mut out,
        valid.type_name(),
        valid.id(),
        version,
        updated,
        valid.body().as_bytes(),
    );
    String::from_utf8(out).unwrap()
}

const HEAD: &str = r#"{"resourceType":"Patient","id":"7","meta":{"versionId":"3","lastUpdated":"1970-01-01T00:00:00.001Z""#;

#[test]
fn head_and_body_are_the_resource() {
    let check = |text: &str, rest: &str| {
        let valid = admit(text, "Patient", BodyId::Ignored).unwrap();
        assert_eq!(whole(&valid), format!("{HEAD}{rest}"));
        assert!(crate::json::parse(whole(&valid).as_bytes(), 16).is_ok());
    };
    check(r#"{"resourceType":"Patient"}"#, "}}");
    check(
        r#"{ "id" : "9", "active" : true, "resourceType" : "Patient",
             "meta" : { "versionId" : "1", "lastUpdated" : "2020-01-01T00:00:00Z" } }"#,
        r#"},"active":true}"#,
    );
    check(
        r#"{"active":true,"meta":{"profile":["http://x"],"versionId":"1","tag":[{"code":"a"}],
            "_lastUpdated":{"id":"x"},"lastUpdated":"2020-01-01T00:00:00Z"},"resourceType":"Patient","birthDate":"1970"}"#,
        r#","profile":["http://x"],"tag":[{"code":"a"}]},"active":true,"birthDate":"1970"}"#,
    );
}

#[test]
fn values_keep_their_text() {
    let text = r#"{"resourceType":"Observation","status":"final","code":{"text":"\u00e9\/é"},"valueQuantity":{"value":1.500e+01}}"#;
    let valid = admit(text, "Observation", BodyId::Ignored).unwrap();
    assert!(whole(&valid).ends_with(r#""valueQuantity":{"value":1.500e+01}}"#));
    assert!(whole(&valid).contains(r#""text":"\u00e9\/é""#));
}

#[test]
fn type_and_id_fit_the_url() {
    let refused = |text: &str, of: &str, body_id: BodyId| {
        admit(text, of, body_id)
            .unwrap_err()
            .code()
            .unwrap()
            .as_str()
    };
    let (with, other) = (
        r#"{"resourceType":"Patient","id":"7"}"#,
        r#"{"resourceType":"Patient","id":"8"}"#,
    );
    let without = r#"{"resourceType":"Patient"}"#;
    for body_id in [BodyId::Ignored, BodyId::Equal, BodyId::Required] {
        assert!(admit(with, "Patient", body_id).is_ok());
        assert_eq!(refused(with, "Person", body_id), "resource-type-mismatch");
    }
    assert!(admit(other, "Patient", BodyId::Ignored).is_ok());
    assert_eq!(
        refused(other, "Patient", BodyId::Equal),
        "resource-id-mismatch"
    );
    assert!(admit(without, "Patient", BodyId::Equal).is_ok());
    assert_eq!(
        refused(without, "Patient", BodyId::Required),
        "resource-id-mismatch"
    );
    assert_eq!(
        refused(
            r#"{"resourceType":"Patient","id":7}"#,
            "Patient",
            BodyId::Equal
        ),
        "element-type"
    );
}

#[test]
fn what_does_not_parse_is_refused_with_its_limit() {
    let draft = |text: &str| {
        Draft::read(r4(), text.as_bytes(), 3)
            .map(|_| ())
            .unwrap_err()
    };
    let code = |text: &str| draft(text).code().unwrap().as_str();
    assert_eq!(code("{"), "json-syntax");
    assert_eq!(code(r#"{"a":1,"a":2}"#), "json-duplicate-key");
    assert_eq!(code("[]"), "resource-type-mismatch");
    assert_eq!(code("{}"), "resource-type-mismatch");
    assert_eq!(code(r#"{"resourceType":"X"}"#), "resource-type-mismatch");
    let deep = draft("[[[[1]]]]");
    assert_eq!(deep.0[0].limit, Some("json_depth_max"));
    assert_eq!(deep.kind(), Some(base::Kind::TooLarge));
}

#[test]
fn references_and_rows_come_along() {
    let text = r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},
        "subject":{"reference":"https://h/fhir/Patient/1"},"performer":[{"reference":"Patient/1"}]}"#;
    let valid = admit(text, "Observation", BodyId::Ignored).unwrap();
    let patient = Pointed {
        type_id: r4().type_id("Patient").unwrap(),
        id: ResourceId::new("1").unwrap(),
        version: None,
    };
    assert_eq!(valid.references(), [patient]);
    assert_eq!(valid.dangling(), None);
    let subject = r4().param(valid.type_id(), "subject").unwrap();
    assert!(valid.rows().iter().any(|row| row.param == subject.id));
}

const OBSERVATION: &str = concat!(
    r#"{"resourceType":"Observation","id":"7","meta":{"versionId":"3","tag":[{"code":"a"}]},"#,
    r#""text":{"status":"empty","div":"<div>x</div>"},"#,
    r#""extension":[{"url":"u","valueCode":"c"}],"modifierExtension":[{"url":"u","valueCode":"c"}],"#,
    r#""status":"final","_status":{"id":"s"},"code":{"id":"c","text":"x"},"#,
    r#""valueQuantity":{"value":1.0,"extension":[{"url":"u","valueCode":"c"}]},"#,
    r#""note":[{"text":"n"}],"#,
    r#""component":[{"id":"k","code":{"text":"y"},"dataAbsentReason":{"text":"z"}}]}"#,
);

const META: &str = concat!(
    r#"{"resourceType":"Observation","id":"7","meta":{"versionId":"3","tag":[{"code":"a"},"#,
    r#"{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}]}"#,
);

fn shaped(text: &str, shape: &Shape) -> String {
    let mut out = Vec::new();
    write_shaped(r4(), text.as_bytes(), shape, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn shapes_keep_what_they_promise() {
    let check = |shape: Shape, rest: &str| {
        let once = shaped(OBSERVATION, &shape);
        assert_eq!(once, format!("{META}{rest}"), "{shape:?}");
        assert_eq!(shaped(&once, &shape), once, "{shape:?} twice");
    };
    assert_eq!(shaped(OBSERVATION, &Shape::Whole), OBSERVATION);
    let modifier = r#","modifierExtension":[{"url":"u","valueCode":"c"}]"#;
    let status = r#","status":"final","_status":{"id":"s"}"#;
    let code = r#","code":{"id":"c","text":"x"}"#;
    let text = r#","text":{"status":"empty","div":"<div>x</div>"}"#;
    let value = r#","valueQuantity":{"value":1.0,"extension":[{"url":"u","valueCode":"c"}]}"#;
    let component = r#","component":[{"code":{"text":"y"}}]"#;
    check(
        Shape::Summary,
        &format!(
            r#"{modifier}{status},"code":{{"text":"x"}},"valueQuantity":{{"value":1.0}}{component}}}"#
        ),
    );
    check(Shape::Text, &format!("{text}{modifier}{status}{code}}}"));
    let after_text = OBSERVATION.split_once("</div>\"}").unwrap().1;
    check(Shape::Data, after_text);
    for name in ["value", "valueQuantity", "Observation.value"] {
        let names = vec![name.to_owned(), "Patient.note".to_owned()];
        check(
            Shape::Elements(names),
            &format!("{modifier}{status}{code}{value}}}"),
        );
    }
}

#[test]
fn a_resource_without_meta_gets_one() {
    let text = shaped(
        r#"{"resourceType":"Patient","id":"7","text":{}}"#,
        &Shape::Data,
    );
    assert!(
        text.contains(r#""id":"7","meta":{"tag":[{"system""#),
        "{text}"
    );
}
