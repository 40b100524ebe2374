use super::*;
use crate::definitions::Model;
use crate::json;
use crate::resource::{Admission, BodyId, Draft, Valid};
use crate::validate::Context;

fn event() -> AuditEvent {
    let client = Agent {
        part: Coding::dicom("110153", "Source Role ID"),
        who: Name::Identifier("urn:insula:client", "c-1".into()),
        name: "Reading \"room\"".into(),
        alt_id: Some("client:c-1".into()),
        requestor: false,
        roles: Vec::new(),
        address: Some("2001:db8::7".into()),
        purposes: Vec::new(),
    };
    let treatment = Coding::new(
        "http://terminology.hl7.org/CodeSystem/v3-ActReason",
        "TREAT",
        "treatment",
    );
    let person = Agent {
        part: Coding::new(
            "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
            "IRCP",
            "information recipient",
        ),
        who: Name::Reference("Practitioner/7".into()),
        name: "Ada Smith".into(),
        alt_id: Some("person:7".into()),
        requestor: true,
        roles: vec![Coding::new("urn:insula:role", "clinician", "")],
        address: None,
        purposes: vec![
            (Some(treatment), "sore throat".into()),
            (None, "called in".into()),
        ],
    };
    AuditEvent {
        id: ResourceId::new("trail-r-7").unwrap(),
        recorded: Micros(1_800_000_000_000_000),
        category: Coding::rest(),
        codes: vec![Coding::interaction("search-type")],
        action: 'E',
        outcome: Outcome::SeriousFailure,
        outcome_text: Some("scope-missing".into()),
        agents: vec![client, person],
        site: "lakeside".into(),
        entities: vec![
            Entity::Data("Observation/o1/_history/2".into(), Lifecycle::Shown),
            Entity::Patient(ResourceId::new("p1").unwrap()),
            Entity::Facility("Organization/o".into()),
            Entity::Query("Observation?code=ü|\"x\"".into()),
            Entity::Request("7b".into()),
            Entity::Other("backup".into()),
        ],
    }
}

#[test]
fn events_are_valid_in_every_version() {
    for version in [FhirVersion::R4, FhirVersion::R4B, FhirVersion::R5] {
        let model = Model::of(version);
        let text = event().to_json(version);
        let draft = Draft::read(model, text.as_bytes(), 32).unwrap();
        let id = ResourceId::new("trail-r-7").unwrap();
        let admission = Admission {
            type_id: model.type_id("AuditEvent").unwrap(),
            id: &id,
            body_id: BodyId::Required,
            check: Context {
                own_bases: &[],
                issues_max: 10,
            },
        };
        let admitted = Valid::admit(model, draft.value(), &admission);
        assert!(
            admitted.is_ok(),
            "{version:?}: {:?}\n{text}",
            admitted.err()
        );
        let document = json::parse(text.as_bytes(), 32).unwrap();
        let agents = document.root().get("agent").unwrap();
        let askers = agents.items().filter(|a| {
            let requestor = a.get("requestor");
            requestor.and_then(json::Value::as_bool) == Some(true)
        });
        assert_eq!(askers.count(), 1);
        assert!(text.contains(&STANDARD.encode("Observation?code=ü|\"x\"")));
        let patient = document.root().get("patient");
        assert_eq!(patient.is_some(), version == FhirVersion::R5);
    }
}

#[test]
fn of_several_patients_none_is_the_patient() {
    let mut event = event();
    event
        .entities
        .push(Entity::Patient(ResourceId::new("p2").unwrap()));
    let text = event.to_json(FhirVersion::R5);
    let document = json::parse(text.as_bytes(), 32).unwrap();
    assert!(document.root().get("patient").is_none());
    assert_eq!(event.patients().count(), 2);
}
