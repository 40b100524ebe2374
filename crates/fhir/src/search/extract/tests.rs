#![expect(
    clippy::disallowed_methods,
    reason = "the environment names the suites"
)]

use std::collections::BTreeSet;

use super::extract;
use crate::definitions::{FhirVersion, Model};
use crate::json;
use crate::search::query::Range;
use crate::search::rows::{Row, RowValue};

fn model() -> &'static Model {
    Model::of(FhirVersion::R4)
}

fn rows_of(resource: &str) -> Vec<Row> {
    let doc = json::parse(resource.as_bytes(), 64).unwrap();
    let name = doc.root().get("resourceType").unwrap().as_str().unwrap();
    let bases = [
        "https://here.example/t/a/fhir",
        "http://localhost:8080/t/a/fhir",
    ];
    let rows = extract(model(), model().type_id(&name).unwrap(), doc.root(), &bases);
    assert!(
        rows.is_sorted_by(|a, b| a.total_cmp(b).is_lt()),
        "sorted and unique: {rows:?}"
    );
    rows
}

fn range(range: &Range<f64>) -> String {
    if range.low == range.high {
        range.low.to_string()
    } else {
        format!("{}..{}", range.low, range.high)
    }
}

/// A value in one line.
fn print(value: &RowValue) -> String {
    let time = |us: i64| match us {
        i64::MIN => "-".to_owned(),
        i64::MAX => "+".to_owned(),
        _ => base::Micros(us)
            .instant()
            .to_string()
            .replace(":00.000Z", "")
            .replace("T00:00", ""),
    };
    match value {
        RowValue::Token { system, code } => format!("{system}|{code}"),
        RowValue::String { folded, exact } if **folded == exact.to_lowercase() => {
            format!("'{exact}'")
        }
        RowValue::String { folded, exact } => format!("'{exact}'='{folded}'"),
        RowValue::Date(r) => format!("{}..{}", time(r.low), time(r.high)),
        RowValue::Number(r) => range(r),
        RowValue::Quantity {
            value,
            system,
            code,
            unit,
        } => {
            format!("{} {system}|{code}|{unit}", range(value))
        }
        RowValue::Reference {
            type_id,
            id,
            version,
        } => {
            let version = if version.is_empty() {
                String::new()
            } else {
                format!("@{version}")
            };
            format!("{}/{id}{version}", model().type_name(*type_id))
        }
        RowValue::ReferenceUrl { url, version } => format!("<{url}|{version}>"),
        RowValue::ReferenceIdentifier { system, code } => format!("id:{system}|{code}"),
        RowValue::Uri(uri) => format!("<{uri}>"),
        RowValue::Text(words) => format!("text {words}"),
        RowValue::Contained(place, value) => format!("#{place} {}", print(value)),
        RowValue::Composite(parts) => {
            format!(
                "({})",
                parts.iter().map(print).collect::<Vec<_>>().join(" $ ")
            )
        }
    }
}

/// The rows of one parameter.
fn check(resource: &str, param: &str, want: &[&str]) {
    let doc = json::parse(resource.as_bytes(), 64).unwrap();
    let name = doc.root().get("resourceType").unwrap().as_str().unwrap();
    let id = model()
        .param(model().type_id(&name).unwrap(), param)
        .unwrap()
        .id;
    let rows = rows_of(resource);
    let got: Vec<String> = rows
        .iter()
        .filter(|r| r.param == id)
        .map(|r| print(&r.value))
        .collect();
    assert_eq!(got, want, "{param} of {resource}");
}

#[test]
fn tokens() {
    let patient = r#"{"resourceType":"Patient","active":true,"gender":"male",
      "meta":{"tag":[{"system":"http://t","code":"x","display":"The X"}],"security":[{"code":"R"}]},
      "identifier":[{"system":"urn:mrn","value":"7"},{"value":"8","type":{"text":"Passport"}},{"system":"urn:only"}],
      "telecom":[{"system":"phone","value":"555 1"},{"system":"email","value":"a@b.c"},{"use":"home"}],
      "address":[{"use":"home"}],
      "communication":[{"language":{"text":"Deutsch","coding":[
        {"system":"urn:ietf:bcp:47","code":"de","display":"DEUTSCH"},{"code":"de-AT","display":"Austrian"}]}}]}"#;
    check(patient, "active", &["|true"]);
    check(patient, "gender", &["|male"]);
    check(
        patient,
        "identifier",
        &["|8", "urn:mrn|7", "urn:only|", "'Passport'"],
    );
    check(patient, "telecom", &["|555 1", "|a@b.c"]);
    check(patient, "phone", &["|555 1"]);
    check(patient, "email", &["|a@b.c"]);
    check(patient, "address-use", &["|home"]);
    check(patient, "deceased", &["|false"]);
    check(
        patient,
        "language",
        &["|de-AT", "urn:ietf:bcp:47|de", "'Austrian'", "'DEUTSCH'"],
    );
    check(patient, "_tag", &["http://t|x", "'The X'"]);
    check(patient, "_security", &["|R"]);
    check(
        r#"{"resourceType":"Patient","deceasedDateTime":"2010"}"#,
        "deceased",
        &["|true"],
    );
    check(
        r#"{"resourceType":"Patient","deceasedBoolean":false}"#,
        "deceased",
        &["|false"],
    );
    let group = r#"{"resourceType":"Group","characteristic":[
      {"code":{"coding":[{"code":"g"}]},"valueBoolean":false},
      {"code":{"coding":[{"code":"h"}]},"valueCodeableConcept":{"coding":[{"code":"x"},{"code":"y"}]}}]}"#;
    check(group, "value", &["|false", "|x", "|y"]);
    check(
        group,
        "characteristic-value",
        &["(|g $ |false)", "(|h $ |x)", "(|h $ |y)"],
    );
}

#[test]
fn strings() {
    let patient = r#"{"resourceType":"Patient",
      "name":[{"family":"Müller","given":["Anna","Eva"],"prefix":["Dr."],"text":"Dr. Anna"},{"family":"MÜLLER"}],
      "address":[{"line":["Hauptstraße  1","c/o"],"city":"Wien","postalCode":"1010","country":"AT"}]}"#;
    check(
        patient,
        "family",
        &["'MÜLLER'='muller'", "'Müller'='muller'"],
    );
    check(patient, "given", &["'Anna'", "'Eva'"]);
    let name = [
        "'Anna'",
        "'Dr.'='dr'",
        "'Dr. Anna'='dr anna'",
        "'Eva'",
        "'MÜLLER'='muller'",
        "'Müller'='muller'",
    ];
    check(patient, "name", &name);
    check(
        patient,
        "address",
        &[
            "'1010'",
            "'AT'",
            "'c/o'='co'",
            "'Hauptstraße  1'='hauptstrasse 1'",
            "'Wien'",
        ],
    );
    check(patient, "address-city", &["'Wien'"]);
    let extended = r#"{"resourceType":"Patient","extension":[
      {"url":"http://hl7.org/fhir/StructureDefinition/patient-extensions-Patient-mothersMaidenName","valueString":"Gold"}]}"#;
    check(extended, "mothersMaidenName", &["'Gold'"]);
    let long = format!(
        r#"{{"resourceType":"Patient","name":[{{"family":"{}"}}]}}"#,
        "é".repeat(4_000)
    );
    let rows = rows_of(&long);
    let cut = rows.iter().find_map(|r| match &r.value {
        RowValue::String { folded, exact } => Some((folded.len(), exact.len())),
        _ => None,
    });
    assert_eq!(cut, Some((2_048, 4_096)));
}

#[test]
fn beginnings_are_kept_apart() {
    let patient = r#"{"resourceType":"Patient","name":[
      {"family":"Carreño Quinones","given":["Mary Ann"],"text":"Mary Ann"},{"family":"Smith-Jones"}]}"#;
    let patient_id = model().type_id("Patient").unwrap();
    let parts = |code: &str| -> Vec<String> {
        let param = model().param(patient_id, code).unwrap().id;
        let of = crate::search::rows::beginnings(param);
        let rows = rows_of(patient).into_iter().filter(|r| r.param == of);
        rows.map(|r| print(&r.value)).collect()
    };
    let joined = "'Carreño Quinones'='carrenoquinones'";
    assert_eq!(parts("family"), [joined, "'Jones'", "'Quinones'"]);
    let mary = "'Mary Ann'='maryann'";
    for code in ["name", "phonetic"] {
        assert_eq!(
            parts(code),
            [joined, "'Jones'", mary, "'Quinones'"],
            "{code}"
        );
    }
    assert_eq!(parts("given"), [mary]);
}

#[test]
fn dates() {
    let dated = |member: &str| format!(r#"{{"resourceType":"Observation",{member}}}"#);
    for (member, want) in [
        (
            r#""effectiveDateTime":"2013-01""#,
            vec!["2013-01-01..2013-02-01"],
        ),
        (
            r#""effectiveInstant":"2013-01-02T03:04:00+01:00""#,
            vec!["2013-01-02T02:04..2013-01-02T02:04:01.000Z"],
        ),
        (
            r#""effectivePeriod":{"start":"2013-01-02","end":"2013-01-03"}"#,
            vec!["2013-01-02..2013-01-04"],
        ),
        (
            r#""effectivePeriod":{"start":"2013-01-02"}"#,
            vec!["2013-01-02..+"],
        ),
        (
            r#""effectivePeriod":{"end":"2013-01-02"}"#,
            vec!["-..2013-01-03"],
        ),
        (r#""effectivePeriod":{"start":"2014","end":"2013"}"#, vec![]),
        (r#""effectivePeriod":{}"#, vec![]),
        (
            r#""effectiveTiming":{"event":["2013-03-04","2013-01-02"],"repeat":{"boundsPeriod":{"start":"2013-02","end":"2013-05"}}}"#,
            vec!["2013-01-02..2013-06-01"],
        ),
        (r#""effectiveTiming":{"repeat":{"frequency":1}}"#, vec![]),
        (
            r#""_effectiveDateTime":{"extension":[{"url":"u"}]}"#,
            vec![],
        ),
    ] {
        check(&dated(member), "date", &want);
    }
}

#[test]
fn numbers_and_quantities() {
    let risk = r#"{"resourceType":"RiskAssessment","prediction":[{"probabilityDecimal":0.20},
      {"probabilityRange":{"low":{"value":1},"high":{"value":2.5}}},{"probabilityRange":{"high":{"value":3}}}]}"#;
    check(risk, "probability", &["-inf..3", "0.2", "1..2.5"]);
    let observed = |value: &str| format!(r#"{{"resourceType":"Observation",{value}}}"#);
    for (value, want) in [
        (
            r#""valueQuantity":{"value":5.40,"unit":"mg/dl","system":"http://unitsofmeasure.org","code":"mg/dL"}"#,
            vec!["5.4 http://unitsofmeasure.org|mg/dL|mg/dl"],
        ),
        (
            r#""valueQuantity":{"value":-1e2,"unit":"K","code":"K"}"#,
            vec!["-100 |K|"],
        ),
        (
            r#""valueQuantity":{"value":5,"comparator":"<"}"#,
            vec!["-inf..5 ||"],
        ),
        (
            r#""valueQuantity":{"value":5,"comparator":">="}"#,
            vec!["5..inf ||"],
        ),
        (r#""valueQuantity":{"unit":"mg"}"#, vec![]),
        (
            r#""valueSampledData":{"origin":{"value":10,"code":"mV"},"period":1,"factor":2,"dimensions":1,
            "lowerLimit":-50,"data":"1 -3 E 4 L"}"#,
            vec!["-50..18 |mV|"],
        ),
    ] {
        check(&observed(value), "value-quantity", &want);
    }
    check(
        r#"{"resourceType":"Invoice","totalNet":{"value":9.5,"currency":"EUR"}}"#,
        "totalnet",
        &["9.5 urn:iso:std:iso:4217|EUR|"],
    );
    let condition = r#"{"resourceType":"Condition","onsetAge":{"value":52,"system":"http://unitsofmeasure.org","code":"a"}}"#;
    check(condition, "onset-age", &["52 http://unitsofmeasure.org|a|"]);
    let ranged = r#"{"resourceType":"Condition","onsetRange":{"low":{"value":1,"code":"a"},"high":{"value":2,"code":"a"}}}"#;
    check(ranged, "onset-age", &["1..2 |a|"]);
}

#[test]
fn references() {
    let observation =
        |reference: &str| format!(r#"{{"resourceType":"Observation","subject":{reference}}}"#);
    for (reference, subject, patient) in [
        (
            r#"{"reference":"Patient/7"}"#,
            vec!["Patient/7"],
            vec!["Patient/7"],
        ),
        (
            r#"{"reference":"Patient/7/_history/2"}"#,
            vec!["Patient/7@2"],
            vec!["Patient/7@2"],
        ),
        (r#"{"reference":"Group/7"}"#, vec!["Group/7"], vec![]),
        (
            r#"{"reference":"https://here.example/t/a/fhir/Patient/7"}"#,
            vec!["Patient/7"],
            vec!["Patient/7"],
        ),
        (
            r#"{"reference":"http://localhost:8080/t/a/fhir/Patient/7"}"#,
            vec!["Patient/7"],
            vec!["Patient/7"],
        ),
        (
            r#"{"reference":"https://here.example/t/b/fhir/Patient/7"}"#,
            vec!["<https://here.example/t/b/fhir/Patient/7|>"],
            vec!["<https://here.example/t/b/fhir/Patient/7|>"],
        ),
        (
            r#"{"reference":"http://e.org/Patient/7/_history/3"}"#,
            vec!["<http://e.org/Patient/7|3>"],
            vec!["<http://e.org/Patient/7|3>"],
        ),
        (
            r#"{"reference":"urn:uuid:0-1"}"#,
            vec!["<urn:uuid:0-1|>"],
            vec![],
        ),
        (
            r#"{"reference":"urn:uuid:0-1","type":"Patient"}"#,
            vec!["<urn:uuid:0-1|>"],
            vec!["<urn:uuid:0-1|>"],
        ),
        (r##"{"reference":"#p"}"##, vec!["<#|>"], vec![]),
        (
            r#"{"identifier":{"system":"urn:mrn","value":"7"},"type":"Patient"}"#,
            vec!["id:urn:mrn|7"],
            vec!["id:urn:mrn|7"],
        ),
        (r#"{"display":"someone"}"#, vec!["<#|>"], vec![]),
    ] {
        check(&observation(reference), "subject", &subject);
        check(&observation(reference), "patient", &patient);
    }
    let response = r#"{"resourceType":"QuestionnaireResponse","questionnaire":"http://q.org/Questionnaire/1|2.0",
      "item":[{"linkId":"1","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/questionnaireresponse-isSubject","valueBoolean":true}],
               "answer":[{"valueReference":{"reference":"Patient/1"}}]},
              {"linkId":"2","answer":[{"valueReference":{"reference":"Patient/2"}}]}]}"#;
    check(
        response,
        "questionnaire",
        &["<http://q.org/Questionnaire/1|2.0>"],
    );
    check(response, "item-subject", &["Patient/1"]);
    let bundle = r#"{"resourceType":"Bundle","type":"document","entry":[
      {"resource":{"resourceType":"Composition","id":"c"}},{"resource":{"resourceType":"Patient","id":"p"}}]}"#;
    check(bundle, "composition", &["Composition/c"]);
}

#[test]
fn uris_and_profiles() {
    let value_set = r#"{"resourceType":"ValueSet","meta":{"profile":["http://p|1"],"source":"http://s"},
      "url":"http://v/s"}"#;
    check(value_set, "url", &["<http://v/s>"]);
    check(value_set, "_profile", &["<http://p|1>"]);
    check(value_set, "_source", &["<http://s>"]);
}

#[test]
fn composites_combine_within_one_instance() {
    let pressure = r#"{"resourceType":"Observation","code":{"coding":[{"system":"l","code":"85354-9","display":"BP"}]},
      "component":[
        {"code":{"coding":[{"system":"l","code":"8480-6"},{"code":"sys"}]},"valueQuantity":{"value":107,"code":"mm[Hg]"}},
        {"code":{"coding":[{"system":"l","code":"8462-4"}]},"valueQuantity":{"value":60,"code":"mm[Hg]"}},
        {"code":{"coding":[{"system":"l","code":"x"}]},"valueString":"none"}]}"#;
    let want = [
        "(l|8462-4 $ 60 |mm[Hg]|)",
        "(l|8480-6 $ 107 |mm[Hg]|)",
        "(|sys $ 107 |mm[Hg]|)",
    ];
    let mut sorted = want;
    sorted.sort_unstable_by_key(|w| !w.starts_with("(|"));
    check(pressure, "component-code-value-quantity", &sorted);
    check(pressure, "combo-code-value-quantity", &sorted);
    check(pressure, "code-value-quantity", &[]);
    let replaces = r#"{"resourceType":"DocumentReference","relatesTo":[
      {"code":"replaces","target":{"reference":"DocumentReference/1"}}]}"#;
    check(
        replaces,
        "relationship",
        &["(|replaces $ DocumentReference/1)"],
    );
    let sequence = r#"{"resourceType":"MolecularSequence","coordinateSystem":0,
      "referenceSeq":{"windowStart":1,"windowEnd":2,"chromosome":{"coding":[{"code":"8"}]}},
      "variant":[{"start":5,"end":6},{"start":7,"end":8}]}"#;
    check(
        sequence,
        "chromosome-variant-coordinate",
        &["(|8 $ 5 $ 6)", "(|8 $ 7 $ 8)"],
    );
    check(sequence, "chromosome-window-coordinate", &["(|8 $ 1 $ 2)"]);
}

#[test]
fn combinations_are_bounded() {
    let codings: Vec<String> = (0..100).map(|i| format!(r#"{{"code":"{i}"}}"#)).collect();
    let concept = format!(r#"{{"coding":[{}]}}"#, codings.join(","));
    let observation = format!(
        r#"{{"resourceType":"Observation","code":{concept},"valueCodeableConcept":{concept}}}"#
    );
    let combined = |r: &&Row| matches!(r.value, RowValue::Composite(_));
    let param = model()
        .param(
            model().type_id("Observation").unwrap(),
            "code-value-concept",
        )
        .unwrap();
    let count = rows_of(&observation)
        .iter()
        .filter(combined)
        .filter(|r| r.param == param.id)
        .count();
    assert_eq!(count, super::composite::COMBINATIONS_MAX);
}

#[test]
fn whatever_the_content_nothing_panics() {
    for odd in [
        r#"{"resourceType":"Patient","name":"x","telecom":[1,null,{}],"deceasedBoolean":[true,false],"identifier":{}}"#,
        r#"{"resourceType":"Observation","code":[[]],"valueQuantity":{"value":"5"},"component":{"code":1}}"#,
        r#"{"resourceType":"Patient","birthDate":"yesterday","managingOrganization":{"reference":7},"link":[null]}"#,
        r#"{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Nothing"}}]}"#,
    ] {
        rows_of(odd);
    }
}

/// Parameters for which no R4 example has a value that can be indexed, out of 1,387: no example of
/// the type, no such element. Counted by hand against a naive
/// walk of the examples; one more is a parameter that was lost.
const NEVER_IN_EXAMPLES: usize = 323;

#[test]
fn every_parameter_finds_its_values_in_the_examples() {
    let Some(suites) = std::env::var_os("INSULA_SUITES") else {
        eprintln!("SKIPPED: set INSULA_SUITES to the folder of r4-examples");
        return;
    };
    let folder = std::path::Path::new(&suites).join("r4-examples/package");
    let mut hit = BTreeSet::new();
    let mut read = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap_or_default();
        let Ok(doc) = json::parse(&bytes, 64) else {
            continue;
        };
        let Some(name) = doc.root().get("resourceType").and_then(json::Value::as_str) else {
            continue;
        };
        let Some(type_id) = model().type_id(&name) else {
            continue;
        };
        let rows = extract(model(), type_id, doc.root(), &[]);
        assert!(rows.is_sorted_by(|a, b| a.total_cmp(b).is_lt()));
        hit.extend(rows.iter().map(|r| r.param));
        read += 1;
    }
    assert!(read > 5_000, "{read} examples");
    let missed: Vec<String> = model()
        .types()
        .flat_map(|t| model().params(t))
        .filter(|p| !p.code.starts_with('_') && !hit.contains(&p.id))
        .map(|p| format!("{}.{}", model().type_name(p.type_id), p.code))
        .collect();
    assert_eq!(missed.len(), NEVER_IN_EXAMPLES, "{missed:?}");
}

#[test]
fn a_codeable_reference_is_a_code_and_a_reference() {
    let model = Model::of(FhirVersion::R4B);
    let text = r#"{"resourceType":"ClinicalUseDefinition","type":"indication","indication":
      {"diseaseSymptomProcedure":{"concept":{"coding":[{"system":"http://c","code":"x"}]},
       "reference":{"reference":"ObservationDefinition/1"}}}}"#;
    let doc = json::parse(text.as_bytes(), 64).unwrap();
    let type_id = model.type_id("ClinicalUseDefinition").unwrap();
    let rows = extract(model, type_id, doc.root(), &[]);
    for (param, want) in [
        ("indication", "http://c|x"),
        ("indication-reference", "ObservationDefinition/1"),
    ] {
        let id = model.param(type_id, param).unwrap().id;
        let of_param = rows.iter().filter(|r| r.param == id);
        let found: Vec<_> = of_param.map(|r| print(&r.value)).collect();
        assert_eq!(found, [want], "{param}");
    }
}
