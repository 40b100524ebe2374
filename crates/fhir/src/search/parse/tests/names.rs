//! Query strings as typed queries: names.

use crate::definitions::ParamKind;

use super::{check, model, params, read, refused, type_id};

#[test]
fn ids_and_types() {
    check("Patient", "_id=a,b", "id a, b");
    check("Patient", "_id:not=a", "not id a");
    check(
        "Patient Group",
        "_id=a&identifier=x",
        "id a & Patient.identifier+Group.identifier: x",
    );
    check(
        "",
        "_type=Patient,Group&identifier=x",
        "Patient.identifier+Group.identifier: x",
    );
    let parsed = read("", "_type=Patient,Group,Patient", true).unwrap();
    assert_eq!(parsed.query.types, [type_id("Patient"), type_id("Group")]);
    assert_eq!(
        read("", "_tag=x", true).unwrap().query.types.len(),
        model().types().len()
    );
    refused(
        "",
        "_type=Nobody",
        "search-value: _type: there is no resource type \"Nobody\"",
    );
    refused(
        "Patient",
        "_type=Patient",
        "search-parameter-unknown: Patient has no search parameter \"_type\"",
    );
}

#[test]
fn chains() {
    for (query, want) in [
        (
            "subject:Patient.name=x",
            "Observation.subject -> {Patient Patient.name: 'x**'}",
        ),
        (
            "patient.name:exact=x",
            "Observation.patient -> {Patient Patient.name: 'x'}",
        ),
        (
            "subject.name=x",
            "Observation.subject -> {Patient Patient.name: 'x**'; Location Location.name: 'x**'}",
        ),
        (
            "patient.organization.name=x",
            "Observation.patient -> {Patient Patient.organization -> {Organization Organization.name: 'x**'}}",
        ),
        ("patient._id=7", "Observation.patient -> {Patient id 7}"),
        (
            "subject:Patient._id:not=7",
            "Observation.subject -> {Patient not id 7}",
        ),
        (
            "patient._has:Group:member:_id=7",
            "Observation.patient -> {Patient Group.member <- Group id 7}",
        ),
        (
            "patient._lastUpdated=ge2020",
            "Observation.patient -> {Patient Patient._lastUpdated: ge 2020-01-01..2021-01-01}",
        ),
    ] {
        check("Observation", query, want);
    }
    for (query, want) in [
        (
            "_has:Observation:patient:code=x",
            "Observation.patient <- Observation Observation.code: x",
        ),
        (
            "_has:Observation:patient:code:missing=true",
            "Observation.patient <- Observation Observation.code: missing true",
        ),
        (
            "_has:Observation:patient:_has:AuditEvent:entity:agent-name=x",
            "Observation.patient <- Observation AuditEvent.entity <- AuditEvent AuditEvent.agent-name: 'x**'",
        ),
        (
            "_has:Observation:patient:performer:Practitioner.name=x",
            "Observation.patient <- Observation Observation.performer -> {Practitioner Practitioner.name: 'x**'}",
        ),
    ] {
        check("Patient", query, want);
    }
}

#[test]
fn a_query_tells_what_it_looks_at() {
    let query = "subject.name=x&_has:Provenance:target:agent.name=y&_sort=-date&_include=Observation:encounter&_id=7";
    let parsed = read("Observation", query, true).unwrap();
    let mut got: Vec<_> = parsed
        .query
        .mentions(model())
        .filter(|(_, id)| id.0 != 0)
        .map(|(_, id)| params(&[id]))
        .collect();
    got.sort();
    let mut want = [
        "Observation.subject",
        "Patient.name",
        "Location.name",
        "Provenance.target",
        "Provenance.agent",
        "Practitioner.name",
        "RelatedPerson.name",
        "Organization.name",
        "Patient.name",
        "Observation.date",
        "Observation.encounter",
    ];
    want.sort_unstable();
    let mut want = want.to_vec();
    want.dedup();
    assert_eq!(got, want);
}

#[test]
fn what_is_served_can_be_asked() {
    for type_id in model().types() {
        let name = model().type_name(type_id);
        let served = crate::search::served(model(), type_id);
        assert!(served.len() >= 6, "{name}");
        for s in served {
            for modifier in s.modifiers {
                let value = match modifier {
                    "missing" => "true",
                    "type" => continue,
                    "not" if s.param.code != "_id" => "true",
                    "above" | "below" if s.param.kind == ParamKind::Token => "urn:s|x",
                    "above" | "below" if s.param.kind == ParamKind::Reference => "http://e.org/x|1",
                    "of-type" => "urn:s|x|1",
                    _ => "x",
                };
                let query = format!("{}:{modifier}={value}", s.param.code);
                assert!(read(name, &query, true).is_ok(), "{name}?{query}");
            }
        }
    }
}

#[test]
fn every_place_that_is_looked_at_is_told() {
    let types = |target: &str, query: &str| -> Vec<&str> {
        let parsed = read(target, query, true).unwrap();
        let mut types: Vec<&str> = parsed
            .query
            .mentions(model())
            .map(|(t, _)| model().type_name(t))
            .collect();
        types.dedup();
        types.sort_unstable();
        types.dedup();
        types
    };
    assert_eq!(
        types(
            "Patient",
            "_filter=not (organization.name eq \"x\" or active eq true)"
        ),
        ["Organization", "Patient"]
    );
    assert_eq!(types("Patient", "_list=7"), ["List"]);
    assert_eq!(
        types("Observation", "code:in=http://e.org/v"),
        ["CodeSystem", "Observation", "ValueSet"]
    );
    assert_eq!(
        types("Encounter", "location:below=Location/1"),
        ["Encounter", "Location"]
    );
    assert_eq!(
        types(
            "Patient",
            "_has:Observation:patient:_has:AuditEvent:entity:agent=x"
        ),
        ["AuditEvent", "Observation",]
    );
}
