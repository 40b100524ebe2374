use base::{Micros, ResourceId};
use fhir::audit_event::{Agent, AuditEvent, Coding, Entity, Lifecycle, Name, Outcome};
use fhir::definitions::FhirVersion;
use serde_json::json;

use super::*;

fn event(entities: Vec<Entity>) -> ShippedEvent {
    let reason = Coding::new("urn:x", "TREAT", "treatment");
    ShippedEvent {
        tenant: base::TenantName::new("north").unwrap(),
        tenant_id: "0a1b".to_owned(),
        fhir: FhirVersion::R4,
        event: AuditEvent {
            id: ResourceId::new("trail-r-7").unwrap(),
            recorded: Micros(1_795_310_523_000_000),
            category: Coding::rest(),
            codes: vec![Coding::interaction("search-type")],
            action: 'E',
            outcome: Outcome::Success,
            outcome_text: None,
            site: "north".to_owned(),
            agents: vec![Agent {
                part: Coding::new("urn:x", "IRCP", "information recipient"),
                who: Name::Reference("Practitioner/dr".to_owned()),
                name: "Dr. \"No\"]".to_owned(),
                alt_id: Some("person:dr".to_owned()),
                requestor: true,
                roles: Vec::new(),
                address: Some("192.0.2.7".to_owned()),
                purposes: vec![
                    (Some(reason), "sore throat of Ms. Smith".to_owned()),
                    (None, "because".to_owned()),
                ],
            }],
            entities,
        },
    }
}

#[test]
fn a_long_event_is_sent_with_fewer_entities_and_keeps_its_request() {
    let mut entities: Vec<Entity> = (0..500)
        .map(|n| Entity::Data(format!("Observation/{n}/_history/1"), Lifecycle::Shown))
        .collect();
    entities.push(Entity::Request("0f".repeat(16)));
    let event = event(entities);
    for form in [
        (|e: &ShippedEvent| ocsf::event(e).to_string()) as fn(&ShippedEvent) -> String,
        |e: &ShippedEvent| e.event.to_json(e.fhir),
    ] {
        let message = syslog::within(&event, 4_000, form);
        assert!(message.len() <= 4_000, "{}", message.len());
        let text = String::from_utf8(message).unwrap();
        assert!(text.contains("of 501 entities"), "{text}");
        assert!(text.contains(&"0f".repeat(16)), "{text}");
    }
    let message = syslog::within(&event, usize::MAX, |e| e.event.to_json(e.fhir));
    let text = String::from_utf8(message).unwrap();
    let head = "<110>1 2026-11-22T01:22:03.000Z - insula - AuditEvent \
                [insula@32473 tenant=\"north\" id=\"0a1b.trail-r-7\" action=\"E\" code=\"search-type\"] \u{feff}{";
    assert!(text.starts_with(head), "{text:.300}");
    assert!(text.contains("Observation/499/_history/1"));
}

#[test]
fn the_house_is_told_neither_what_was_searched_for_nor_why() {
    let found = narrow(event(vec![
        Entity::Query("Patient?name=smith".to_owned()),
        Entity::Patient(ResourceId::new("p1").unwrap()),
    ]));
    for text in [
        ocsf::event(&found).to_string(),
        found.event.to_json(FhirVersion::R4),
    ] {
        assert!(!text.to_lowercase().contains("smith"), "{text}");
        assert!(!text.contains("because"), "{text}");
        assert!(
            text.contains("Patient/p1") && text.contains("TREAT"),
            "{text}"
        );
        // `Patient?name=smith` in base64.
        assert!(!text.contains("UGF0aWVudD9uYW1l"), "{text}");
    }
}

#[test]
fn an_event_of_the_framework_says_where_its_caller_asked_from() {
    let house = |name: &str| Agent {
        part: Coding::new("urn:x", "110152", "destination"),
        who: Name::Reference("Device/insula".to_owned()),
        name: "Insula".to_owned(),
        alt_id: None,
        requestor: false,
        roles: Vec::new(),
        address: Some(name.to_owned()),
        purposes: Vec::new(),
    };
    let source = |of: &ShippedEvent| ocsf::event(of)["src_endpoint"].clone();
    for name in ["insula.test", "127.0.0.1"] {
        let mut of = event(Vec::new());
        of.event.agents.push(house(name));
        assert_eq!(source(&of), json!({ "ip": "192.0.2.7" }));
        of.event.agents[0].address = Some("2001:db8::7".to_owned());
        assert_eq!(source(&of), json!({ "ip": "2001:db8::7" }));
        // Nobody asked for it from anywhere.
        of.event.agents[0].address = None;
        assert_eq!(source(&of), json!({ "name": "insula" }));
    }
}
