//! Query strings as typed queries: values.

use super::check;

#[test]
fn tokens() {
    for (query, want) in [
        ("code=718-7", "Observation.code: 718-7"),
        (
            "code=http://loinc.org|718-7",
            "Observation.code: http://loinc.org|718-7",
        ),
        (
            "code=http%3A%2F%2Floinc.org%7C718-7,|x,s|",
            "Observation.code: http://loinc.org|718-7, |x, s|*",
        ),
        (
            "code=a%5C,b,c%5C%7Cd,e%5C%5C,f%5C%5Cg",
            "Observation.code: a,b, c|d, e\\, f\\g",
        ),
        ("code=s|a|b", "Observation.code: s|a|b"),
        ("code:not=x,y", "Observation.code: not x, y"),
        (
            "code:text=H%C3%A9mo  Globin",
            "Observation.code: text hemo globin",
        ),
        ("code:missing=true", "Observation.code: missing true"),
        (
            "status=http://hl7.org/fhir/observation-status|final",
            "Observation.status: |final",
        ),
        (
            "status=http://hl7.org/fhir/observation-status|",
            "Observation.status: |*",
        ),
        (
            "status=http://else|final",
            "Observation.status: http://else|final",
        ),
        (
            "_tag=http://t|x&_security:not=R",
            "Observation._tag: http://t|x & Observation._security: not R",
        ),
    ] {
        check("Observation", query, want);
    }
    check(
        "Patient",
        "active=true&deceased:not=false",
        "Patient.active: true & Patient.deceased: not false",
    );
    let special = "active=http://terminology.hl7.org/CodeSystem/special-values|true";
    check("Patient", special, "Patient.active: |true");
    // A concept writes its systems itself, however it is bound.
    let concept = "clinical-status=http://terminology.hl7.org/CodeSystem/condition-clinical|active";
    let want = format!("Condition.{}", concept.replace('=', ": "));
    check("Condition", concept, &want);
}

#[test]
fn strings_and_uris() {
    check(
        "Patient",
        "name=M%C3%BCller,de+la",
        "Patient.name: 'muller**', 'dela**'",
    );
    check(
        "Patient",
        "family:exact=M%C3%BCller&given:contains=An",
        "Patient.family: 'Müller' & Patient.given: '*an*', 'an**'",
    );
    check(
        "ValueSet",
        "url=http://a,http://b|1",
        "ValueSet.url: <http://a>, <http://b|1>",
    );
    check(
        "ValueSet",
        "url:below=http://a/&url:above=http://a/b",
        "ValueSet.url: below <http://a/> & ValueSet.url: above <http://a/b>",
    );
    check(
        "Patient",
        "_profile=http://p&_source:missing=false",
        "Patient._profile: <http://p>, <http://p|*> & Patient._source: missing false",
    );
}

#[test]
fn dates_numbers_and_quantities() {
    check(
        "Patient",
        "birthdate=ge2013-03,lt2014",
        "Patient.birthdate: ge 2013-03-01..2013-04-01, lt 2014-01-01..2015-01-01",
    );
    check(
        "Patient",
        "birthdate=ap2020-01-01",
        "Patient.birthdate: ap 2019-12-31T02:24..2020-01-02T21:36",
    );
    check(
        "Patient",
        "_lastUpdated=gt2020-01-01T10:00:00+02:00",
        "Patient._lastUpdated: gt 2020-01-01T08:00..2020-01-01T08:00:01",
    );
    check(
        "Patient",
        "_lastUpdated=gt2020-01-01T10:00:00%2B02:00",
        "Patient._lastUpdated: gt 2020-01-01T08:00..2020-01-01T08:00:01",
    );
    check(
        "RiskAssessment",
        "probability=0.5&probability=gt0.5",
        "RiskAssessment.probability: eq 0.45..0.55 & RiskAssessment.probability: gt 0.5",
    );
    check(
        "RiskAssessment",
        "probability=ne1e2,ap100,le-3",
        "RiskAssessment.probability: ne 95..105, ap 90..110.00000000000001, le -3",
    );
    check(
        "Observation",
        "value-quantity=5.4|http://u|mg,5.40||kg,sa7",
        "Observation.value-quantity: eq 5.35..5.45 [http://u|mg], eq 5.395..5.405 [kg], sa 7",
    );
}

#[test]
fn references() {
    for (query, want) in [
        (
            "subject=Patient/7,Group/8/_history/2",
            "Observation.subject: Patient/7, Group/8@2",
        ),
        (
            "subject=7",
            "Observation.subject: (Group Device Patient Location)/7",
        ),
        ("patient=7", "Observation.patient: Patient/7"),
        (
            "subject:Patient=7,Patient/8",
            "Observation.subject: Patient/7, Patient/8",
        ),
        (
            "subject=https://here.example/t/a/fhir/Patient/7",
            "Observation.subject: Patient/7",
        ),
        (
            "subject=https://here.example/t/b/fhir/Patient/7",
            "Observation.subject: <https://here.example/t/b/fhir/Patient/7>",
        ),
        (
            "subject=http://e.org/Patient/7/_history/1,urn:uuid:1-2",
            "Observation.subject: <http://e.org/Patient/7>@1, <urn:uuid:1-2>",
        ),
        ("patient=Group/7", "never"),
        (
            "subject=Encounter/1,Patient/2",
            "Observation.subject: Patient/2",
        ),
        (
            "subject:identifier=urn:mrn|7",
            "Observation.subject: identifier urn:mrn|7",
        ),
        (
            "subject:missing=false",
            "Observation.subject: missing false",
        ),
    ] {
        check("Observation", query, want);
    }
    check(
        "QuestionnaireResponse",
        "questionnaire=http://q|2",
        "QuestionnaireResponse.questionnaire: <http://q>@2",
    );
    check(
        "QuestionnaireResponse",
        "questionnaire=3",
        "QuestionnaireResponse.questionnaire: Questionnaire/3",
    );
    check(
        "PlanDefinition",
        "definition=some/path",
        "PlanDefinition.definition: <some/path>",
    );
}

#[test]
fn composites() {
    check(
        "Observation",
        "code-value-quantity=http://l|1$gt5||mg,2$3",
        "Observation.code-value-quantity: http://l|1 $ gt 5 [mg], 2 $ eq 2.5..3.5",
    );
    check(
        "Observation",
        "code-value-string=a%5C$b$C",
        "Observation.code-value-string: a$b $ 'c*'",
    );
    check(
        "Group",
        "characteristic-value=g$x",
        "Group.characteristic-value: g $ x",
    );
    check(
        "DocumentReference",
        "relationship=replaces$DocumentReference/1",
        "DocumentReference.relationship: replaces $ DocumentReference/1",
    );
    check(
        "DocumentReference",
        "relationship=DocumentReference/1$replaces",
        "DocumentReference.relationship: replaces $ DocumentReference/1",
    );
    check(
        "MolecularSequence",
        "chromosome-variant-coordinate=8$lt5$gt6",
        "MolecularSequence.chromosome-variant-coordinate: 8 $ lt 5 $ gt 6",
    );
}

#[test]
fn filters() {
    for (query, want) in [
        (
            "name eq \"Ann, the | first\"",
            "Patient.name: 'ann the | first' folded",
        ),
        (
            "given sw \"p\" and not (active eq true or birthdate lt 2000)",
            "(Patient.given: 'p*' and not ((Patient.active: true or Patient.birthdate: lt 2000-01-01..2001-01-01)))",
        ),
        (
            "active eq true or gender eq male and name ew x",
            "(Patient.active: true or (Patient.gender: male and Patient.name: '*x'))",
        ),
        (
            "organization.name co \"clinic\"",
            "Patient.organization -> {Organization Organization.name: '*clinic*'}",
        ),
        (
            "organization[active eq true].name co x",
            "Patient.organization -> {Organization (Organization.active: true and Organization.name: '*x*')}",
        ),
        (
            "identifier ne urn:a|1",
            "Patient.identifier: unequal urn:a|1",
        ),
        ("name pr false", "Patient.name: missing true"),
        (
            "gender ni http://e.org/v",
            "Patient.gender: not in http://e.org/v bare",
        ),
        ("_id eq 7", "id 7"),
        (
            "birthdate po 2000-01",
            "Patient.birthdate: ap 2000-01-01..2000-02-01",
        ),
    ] {
        check("Patient", &format!("_filter={query}"), want);
    }
}

#[test]
fn what_is_no_value_of_an_element() {
    check(
        "Patient",
        "_text=big fever",
        "(Patient._text: <big> and Patient._text: <fever>)",
    );
    check("Patient", "_list=7", "List.item <- List id 7");
    check(
        "Location",
        "near=10.5|-20|2|km",
        "Location.near: near 10.5 -20 2000m",
    );
    check("Location", "near=0|0", "Location.near: near 0 0 50000m");
    check(
        "Patient",
        "identifier:of-type=urn:t|MR|1\\|2",
        "Patient.identifier: urn:t|MR 1|2",
    );
    check(
        "Encounter",
        "location:below=Location/1",
        "Encounter.location: below Location/1 by Location.partof",
    );
    check(
        "QuestionnaireResponse",
        "questionnaire:below=http://e.org/q|1.2",
        "QuestionnaireResponse.questionnaire: below <http://e.org/q>@1.2",
    );
    check(
        "Observation",
        "code:below=urn:s|x",
        "Observation.code: below urn:s|x",
    );
    check(
        "Observation",
        "code:not-in=http://e.org/v",
        "Observation.code: not in http://e.org/v",
    );
}

#[test]
fn r5_has_modifiers_of_its_own() {
    use crate::definitions::{FhirVersion, Model};
    use crate::search::query::{Clause, Match, Test};
    let model = Model::of(FhirVersion::R5);
    let limits = base::Limits::default();
    let options = crate::search::Options {
        limits: &limits,
        strict: true,
        own_bases: &[],
        now: base::Micros(0),
        custom: crate::search::Customs::NONE,
    };
    let read = |type_name: &str, query: &str| {
        let types = vec![model.type_id(type_name).unwrap()];
        let target = crate::search::Target::Types(types);
        let parsed = crate::search::parse(model, &target, query, &options);
        parsed.map(|p| match p.query.filter.into_iter().next() {
            Some(Clause::Param(clause)) => match clause.test {
                Test::Any(values) => values[0].clone(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        })
    };
    for (type_name, query, want) in [
        (
            "Condition",
            "code:text=Big%20Fever",
            Match::TokenTextPrefix("big fever".to_owned()),
        ),
        (
            "Condition",
            "code:text-advanced=Fever",
            Match::StringContains("fever".to_owned()),
        ),
        (
            "Condition",
            "patient:text=Zoë",
            Match::TokenTextPrefix("zoe".to_owned()),
        ),
        (
            "Condition",
            "patient:code-text=Zoë",
            Match::TokenTextPrefix("zoe".to_owned()),
        ),
        (
            "Patient",
            "family:text=\"van Dam\"",
            Match::StringContains("van dam".to_owned()),
        ),
        (
            "Condition",
            "code:code-text=R50",
            Match::TokenCode(crate::search::query::How::Begins, "r50".to_owned()),
        ),
        (
            "ValueSet",
            "url:contains=hl7",
            Match::UriContains("hl7".to_owned()),
        ),
    ] {
        assert_eq!(read(type_name, query).unwrap(), want, "{query}");
        // Not in R4.
        let refused = super::read(type_name, query, false);
        assert_eq!(refused.is_ok(), query.starts_with("code:text="), "{query}");
    }
}
