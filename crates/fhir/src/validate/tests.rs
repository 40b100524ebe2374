use super::*;
use crate::definitions::FhirVersion;
use crate::json;

fn report(text: &str) -> Report {
    let doc = json::parse(text.as_bytes(), 64).unwrap();
    let context = Context {
        own_bases: &["https://h/t/x/fhir"],
        issues_max: 10,
    };
    validate(Model::of(FhirVersion::R4), doc.root(), &context)
}

fn check(text: &str, expected: &[(&str, &str)]) {
    let issues = report(text).issues;
    let found: Vec<(&str, &str)> = issues
        .iter()
        .map(|i| (i.code.as_str(), i.expression.as_deref().unwrap_or("")))
        .collect();
    assert_eq!(found, expected, "{text}\n{issues:#?}");
}

/// Checks a Patient with these members.
fn patient(members: &str, expected: &[(&str, &str)]) {
    check(
        &format!("{{\"resourceType\":\"Patient\",{members}}}"),
        expected,
    );
}

#[test]
fn good_resources_pass() {
    check(r#"{"resourceType":"Patient"}"#, &[]);
    patient(
        r#""id":"1","active":true,"name":[{"given":["A","B"],"family":"C"}]"#,
        &[],
    );
    check(
        r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},
            "valueQuantity":{"value":1.50e-3,"unit":"mg"}}"#,
        &[],
    );
}

#[test]
fn an_extension_has_a_value_or_extensions() {
    let within = |members: &str| format!(r#""extension":[{{"url":"http://e.org/x"{members}}}]"#);
    let inner = r#","extension":[{"url":"y","valueCode":"z"}]"#;
    let refused = [("element-cardinality", "Patient.extension[0]")];
    patient(&within(r#","valueString":"a""#), &[]);
    patient(&within(inner), &[]);
    // What stands in the place of a value that is absent is a value.
    let absent = r#","_valueString":{"extension":[{"url":"http://e.org/y","valueCode":"z"}]}"#;
    patient(&within(absent), &[]);
    patient(&within(""), &refused);
    patient(&within(r#","id":"x""#), &refused);
    patient(&within(&format!(r#"{inner},"valueString":"a""#)), &refused);
    let deep = r#","extension":[{"url":"y"}]"#;
    let at = "Patient.extension[0].extension[0]";
    patient(&within(deep), &[("element-cardinality", at)]);
    let beside = r#""_active":{"extension":[{"url":"http://e.org/x"}]}"#;
    let at = "Patient.active.extension[0]";
    patient(beside, &[("element-cardinality", at)]);
}

#[test]
fn what_is_no_resource() {
    check("[]", &[("element-type", "Resource")]);
    check("{}", &[("element-cardinality", "Resource")]);
    check(
        r#"{"resourceType":1}"#,
        &[("element-type", "Resource.resourceType")],
    );
    check(
        r#"{"resourceType":"Resource"}"#,
        &[("element-value", "Resource.resourceType")],
    );
}

#[test]
fn unknown_elements_are_named() {
    patient(
        r#""x":1,"name":[{"y":{}}]"#,
        &[
            ("element-unknown", "Patient.x"),
            ("element-unknown", "Patient.name[0].y"),
            ("element-empty", "Patient.name[0]"),
        ],
    );
    patient(
        r#""resourcetype":"x""#,
        &[("element-unknown", "Patient.resourcetype")],
    );
    patient(r#""_name":[{}]"#, &[("element-unknown", "Patient._name")]);
    patient(
        r#""deceased":true"#,
        &[("element-unknown", "Patient.deceased")],
    );
    patient(
        r#""name":[{"resourceType":"HumanName","text":"x"}]"#,
        &[("element-unknown", "Patient.name[0].resourceType")],
    );
}

#[test]
fn json_types_are_checked() {
    patient(
        r#""active":"true","birthDate":1970,"name":{"text":"x"},"gender":["male"]"#,
        &[
            ("element-type", "Patient.active"),
            ("element-type", "Patient.birthDate"),
            ("element-type", "Patient.name"),
            ("element-type", "Patient.gender"),
        ],
    );
    patient(
        r#""multipleBirthInteger":"2","name":["x"],"maritalStatus":"M","active":null"#,
        &[
            ("element-type", "Patient.multipleBirth"),
            ("element-type", "Patient.name[0]"),
            ("element-type", "Patient.maritalStatus"),
            ("element-type", "Patient.active"),
        ],
    );
}

#[test]
fn cardinalities_are_checked() {
    check(
        r#"{"resourceType":"Observation"}"#,
        &[
            ("element-cardinality", "Observation.status"),
            ("element-cardinality", "Observation.code"),
        ],
    );
    check(
        r#"{"resourceType":"Observation","_status":{"extension":[{"url":"x","valueCode":"y"}]},"code":{"text":"x"}}"#,
        &[],
    );
    patient(
        r#""link":[{"type":"seealso"}],"communication":[]"#,
        &[
            ("element-cardinality", "Patient.link[0].other"),
            ("element-empty", "Patient.communication"),
        ],
    );
}

#[test]
fn a_choice_has_one_type() {
    patient(
        r#""deceasedBoolean":true,"deceasedDateTime":"2020""#,
        &[("element-cardinality", "Patient.deceased")],
    );
    patient(
        r#""deceasedBoolean":true,"_deceasedDateTime":{"id":"x","extension":[{"url":"x","valueCode":"y"}]}"#,
        &[("element-cardinality", "Patient.deceased")],
    );
    patient(
        r#""deceasedDateTime":"2020","_deceasedDateTime":{"id":"x"}"#,
        &[],
    );
}

#[test]
fn primitives_have_formats_and_codes() {
    patient(
        r#""id":"a/b","birthDate":"2021-02-29","gender":"mail","language":"de ""#,
        &[
            ("element-value", "Patient.id"),
            ("element-value", "Patient.birthDate"),
            ("element-code", "Patient.gender"),
            ("element-value", "Patient.language"),
        ],
    );
    patient(
        r#""name":[{"family":""}],"text":{"status":"generated","div":"hello"}"#,
        &[
            ("element-empty", "Patient.name[0].family"),
            ("element-value", "Patient.text.div"),
        ],
    );
    let text = report(r#"{"resourceType":"Patient","birthDate":"secret"}"#).issues;
    assert!(!format!("{text:?}").contains("secret"));
}

#[test]
fn what_stands_beside_primitives() {
    let extension = r#"{"extension":[{"url":"x","valueCode":"y"}]}"#;
    patient(
        &format!(r#""name":[{{"given":["A",null],"_given":[null,{extension}]}}]"#),
        &[],
    );
    patient(
        &format!(r#""name":[{{"_given":[{extension}]}}],"_birthDate":{extension}"#),
        &[],
    );
    patient(r#""birthDate":"1970","_birthDate":{"id":"x"}"#, &[]);
    patient(
        r#""_birthDate":{"id":"x"}"#,
        &[("element-empty", "Patient.birthDate")],
    );
    patient(
        r#""_birthDate":{}"#,
        &[("element-empty", "Patient.birthDate")],
    );
    patient(
        r#""_birthDate":"x""#,
        &[("element-type", "Patient.birthDate")],
    );
    patient(
        r#""birthDate":"1970","_birthDate":{"value":"x"}"#,
        &[("element-unknown", "Patient.birthDate.value")],
    );
    patient(
        r#""name":[{"given":[null]}]"#,
        &[("element-empty", "Patient.name[0].given[0]")],
    );
    patient(
        r#""name":[{"given":["A","B"],"_given":[null]}]"#,
        &[("element-cardinality", "Patient.name[0].given")],
    );
    patient(
        r#""name":[{"_given":[null]}]"#,
        &[("element-empty", "Patient.name[0].given[0]")],
    );
}

#[test]
fn empty_things_are_refused() {
    patient(
        r#""name":[{}],"maritalStatus":{},"contact":[{"id":"x"}],"extension":[]"#,
        &[
            ("element-empty", "Patient.name[0]"),
            ("element-empty", "Patient.maritalStatus"),
            ("element-empty", "Patient.contact[0]"),
            ("element-empty", "Patient.extension"),
        ],
    );
}

#[test]
fn references_point_where_they_may() {
    let observe = |subject: &str, expected: &[(&str, &str)]| {
        let head = r#"{"resourceType":"Observation","status":"final","code":{"text":"x"}"#;
        check(
            &format!(r#"{head},"subject":{{"reference":"{subject}"}}}}"#),
            expected,
        );
    };
    let refused: &[_] = &[("reference-target", "Observation.subject.reference")];
    for good in [
        "Patient/1",
        "Patient/1/_history/1",
        "urn:uuid:x",
        "http://x/Patient/1",
        "http://x/fhir/Patient/1/_history/2",
        "http://x/other/1",
        "http://Practitioner/1",
    ] {
        observe(good, &[]);
    }
    for bad in [
        "Practitioner/1",
        "https://h/t/x/fhir/Practitioner/1",
        "Nobody/1",
        "x",
        "Practitioner?x=1",
        "Patient?identifier=1",
    ] {
        observe(bad, refused);
    }
}

#[test]
fn local_references_are_collected() {
    let found = report(
        r#"{"resourceType":"Patient","generalPractitioner":[{"reference":"Practitioner/1"},
            {"reference":"Practitioner/1"},{"reference":"https://h/t/x/fhir/Organization/2"},
            {"reference":"https://h/t/y/fhir/Organization/3"}],
            "contained":[{"resourceType":"Patient","id":"p","managingOrganization":{"reference":"Organization/4"}}]}"#,
    );
    assert_eq!(found.issues, []);
    let model = Model::of(FhirVersion::R4);
    let names: Vec<String> = found
        .references
        .iter()
        .map(|to| format!("{}/{}", model.type_name(to.type_id), to.id))
        .collect();
    assert_eq!(
        names,
        ["Practitioner/1", "Organization/2", "Organization/4"]
    );
    let bundle = report(
        r#"{"resourceType":"Bundle","type":"collection","entry":[{"resource":
            {"resourceType":"Patient","managingOrganization":{"reference":"Organization/4"}}}]}"#,
    );
    assert!(bundle.issues.is_empty() && bundle.references.is_empty());
}

#[test]
fn what_a_reference_names_is_one_thing() {
    let observe = |subject: &str, inside: &str, expected: &[(&str, &str)]| {
        let head = r#"{"resourceType":"Observation","status":"final","code":{"text":"x"}"#;
        check(
            &format!(r#"{head},"subject":{subject},"contained":[{inside}]}}"#),
            expected,
        );
    };
    let person = r#"{"resourceType":"Patient","id":"p"},{"resourceType":"Practitioner","id":"d"}"#;
    let at: &[_] = &[("reference-target", "Observation.subject.reference")];
    let of_type: &[_] = &[("reference-target", "Observation.subject.type")];
    observe(r##"{"reference":"#p"}"##, person, &[]);
    observe(r##"{"reference":"#d"}"##, person, at);
    observe(r##"{"reference":"#nope"}"##, person, at);
    observe(r##"{"reference":"#"}"##, person, at);
    observe(
        r#"{"reference":"http://x/fhir/Practitioner/1"}"#,
        person,
        at,
    );
    observe(
        r#"{"reference":"https://x/Practitioner/1/_history/2"}"#,
        person,
        at,
    );
    observe(r#"{"reference":"Patient/1","type":"Patient"}"#, person, &[]);
    observe(
        r#"{"reference":"Patient/1","type":"Device"}"#,
        person,
        of_type,
    );
    observe(r##"{"reference":"#p","type":"Device"}"##, person, of_type);
    observe(r#"{"type":"Device","display":"x"}"#, person, &[]);
    observe(r#"{"type":"Practitioner","display":"x"}"#, person, &[]);
    observe(
        r#"{"type":"Practitioner","identifier":{"value":"x"}}"#,
        person,
        of_type,
    );
    observe(
        r#"{"type":"http://hl7.org/fhir/StructureDefinition/Practitioner","identifier":{"value":"x"}}"#,
        person,
        of_type,
    );
    observe(
        r#"{"type":"http://example.org/Thing","display":"x"}"#,
        person,
        &[],
    );
    observe(
        r#"{"display":"x"}"#,
        r#"{"resourceType":"Patient"}"#,
        &[("element-cardinality", "Observation.contained[0].id")],
    );
    let twice = r#"{"resourceType":"Patient","id":"p"},{"resourceType":"Device","id":"p"}"#;
    observe(
        r#"{"display":"x"}"#,
        twice,
        &[
            ("element-value", "Observation.contained[0].id"),
            ("element-value", "Observation.contained[1].id"),
        ],
    );
    let meta = r#"{"resourceType":"Patient","id":"p","meta":{"versionId":"1","lastUpdated":"2020-01-01T00:00:00Z","security":[{"code":"R"}],"tag":[{"code":"x"}]}}"#;
    observe(
        r#"{"display":"x"}"#,
        meta,
        &[
            (
                "element-cardinality",
                "Observation.contained[0].meta.versionId",
            ),
            (
                "element-cardinality",
                "Observation.contained[0].meta.lastUpdated",
            ),
            (
                "element-cardinality",
                "Observation.contained[0].meta.security",
            ),
        ],
    );
    // A contained resource may point to the one around it, and to its siblings.
    observe(
        r##"{"reference":"#p"}"##,
        r##"{"resourceType":"Patient","id":"p","generalPractitioner":[{"reference":"#d"}]},{"resourceType":"Practitioner","id":"d"},{"resourceType":"Provenance","id":"v","target":[{"reference":"#"}],"recorded":"2020-01-01T00:00:00Z","agent":[{"who":{"reference":"#d"}}]}"##,
        &[],
    );
    // What an entry contains is its own.
    check(
        r##"{"resourceType":"Bundle","type":"collection","entry":[
            {"resource":{"resourceType":"Patient","managingOrganization":{"reference":"#o"},"contained":[{"resourceType":"Organization","id":"o"}]}},
            {"resource":{"resourceType":"Patient","managingOrganization":{"reference":"#o"}}}]}"##,
        &[(
            "reference-target",
            "Bundle.entry[1].resource.managingOrganization.reference",
        )],
    );
}

#[test]
fn inner_resources_are_checked() {
    patient(
        r#""contained":[{"resourceType":"Patient","id":"a","x":1},{"resourceType":"X"},{},1]"#,
        &[
            ("element-unknown", "Patient.contained[0].x"),
            ("element-value", "Patient.contained[1].resourceType"),
            ("element-cardinality", "Patient.contained[2]"),
            ("element-type", "Patient.contained[3]"),
        ],
    );
    patient(
        r#""contained":[{"resourceType":"Patient","id":"a","contained":[{"resourceType":"Patient","id":"b"}]}]"#,
        &[("element-unknown", "Patient.contained[0].contained")],
    );
    check(
        r#"{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Patient","active":1}}]}"#,
        &[("element-type", "Bundle.entry[0].resource.active")],
    );
}

#[test]
fn required_concepts() {
    let condition = |status: &str, expected: &[(&str, &str)]| {
        let head = r#"{"resourceType":"Condition","subject":{"reference":"Patient/1"}"#;
        check(&format!(r#"{head},"clinicalStatus":{status}}}"#), expected);
    };
    let system = r#""system":"http://terminology.hl7.org/CodeSystem/condition-clinical""#;
    condition(
        &format!(r#"{{"coding":[{{"code":"x"}},{{{system},"code":"active"}}]}}"#),
        &[],
    );
    let refused: &[_] = &[("element-code", "Condition.clinicalStatus")];
    condition(
        &format!(r#"{{"coding":[{{{system},"code":"actif"}}]}}"#),
        refused,
    );
    condition(r#"{"coding":[{"code":"active"}]}"#, refused);
    condition(r#"{"text":"active"}"#, refused);
}

#[test]
fn issues_are_bounded() {
    let many: Vec<String> = (0..30).map(|i| format!("\"x{i}\":1")).collect();
    let issues = report(&format!(
        "{{\"resourceType\":\"Patient\",{}}}",
        many.join(",")
    ))
    .issues;
    assert_eq!(issues.len(), 11);
    assert_eq!(issues[10].limit, Some("outcome_issues_max"));
    assert_eq!(issues[10].diagnostics, "20 further issues are not listed");
}

/// Checks a resource of FHIR R5.
fn check_r5(text: &str, expected: &[(&str, &str)]) {
    let doc = json::parse(text.as_bytes(), 64).unwrap();
    let context = Context {
        own_bases: &[],
        issues_max: 10,
    };
    let report = validate(Model::of(FhirVersion::R5), doc.root(), &context);
    let found: Vec<(&str, &str)> = report
        .issues
        .iter()
        .map(|i| (i.code.as_str(), i.expression.as_deref().unwrap_or("")))
        .collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn each_version_has_its_own_types_and_elements() {
    let transport = r#"{"resourceType":"Transport","status":"completed","intent":"order",
        "requestedLocation":{"reference":"Location/1"},"currentLocation":{"reference":"Location/2"}}"#;
    check_r5(transport, &[]);
    check(transport, &[("element-value", "Resource.resourceType")]);
    let media = r#"{"resourceType":"Media","status":"completed","content":{"title":"x"}}"#;
    check(media, &[]);
    check_r5(media, &[("element-value", "Resource.resourceType")]);
    let encounter = r#"{"resourceType":"Encounter","status":"finished","class":{"code":"AMB"}}"#;
    check(encounter, &[]);
    check_r5(
        encounter,
        &[
            ("element-code", "Encounter.status"),
            ("element-type", "Encounter.class"),
        ],
    );
}

#[test]
fn integers_of_64_bits_are_strings() {
    for (value, good) in [
        ("\"9007199254740993\"", true),
        ("\"-9223372036854775808\"", true),
        ("\"0\"", true),
        ("\"007\"", false),
        ("\"9223372036854775808\"", false),
        ("\"1.0\"", false),
        ("\"-\"", false),
        ("7", false),
    ] {
        let text = format!(
            "{{\"resourceType\":\"Observation\",\"status\":\"final\",\"code\":{{\"text\":\"x\"}},\
             \"extension\":[{{\"url\":\"http://u\",\"valueInteger64\":{value}}}]}}"
        );
        let doc = json::parse(text.as_bytes(), 64).unwrap();
        let context = Context {
            own_bases: &[],
            issues_max: 10,
        };
        let report = validate(Model::of(FhirVersion::R5), doc.root(), &context);
        assert_eq!(
            report.issues.is_empty(),
            good,
            "{value}: {:?}",
            report.issues
        );
    }
}

#[test]
fn the_reference_of_a_codeable_reference_has_the_targets_of_its_element() {
    let request = |medication: &str| {
        format!(
            "{{\"resourceType\":\"MedicationRequest\",\"status\":\"active\",\"intent\":\"order\",\
             \"subject\":{{\"reference\":\"Patient/1\"}},\"medication\":{medication}}}"
        )
    };
    check_r5(
        &request(r#"{"reference":{"reference":"Medication/1"}}"#),
        &[],
    );
    check_r5(&request(r#"{"concept":{"text":"aspirin"}}"#), &[]);
    check_r5(
        &request(r#"{"reference":{"reference":"Patient/1"}}"#),
        &[(
            "reference-target",
            "MedicationRequest.medication.reference.reference",
        )],
    );
}
