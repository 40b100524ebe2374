//! An event in the Open Cybersecurity Schema Framework, version 1.5: API Activity (6003) for what is
//! done with resources, Authentication (3002) for sign-ins and tokens, Entity Management (3004) for what
//! is administered.

use std::net::IpAddr;

use fhir::audit_event::{Agent, AuditEvent, Entity, Name, Outcome};
use serde_json::{Map, Value, json};
use store::ShippedEvent;

/// The version of the framework.
const VERSION: &str = "1.5.0";
/// An activity that the framework has no number for.
const OTHER: u64 = 99;
const USER_AUTHENTICATION: &str = "110114";
const SECURITY_ALERT: &str = "110113";

/// Class and category.
fn class_of(event: &AuditEvent) -> (u64, u64) {
    match event.category.code.as_str() {
        USER_AUTHENTICATION => (3002, 3),
        SECURITY_ALERT => (3004, 3),
        _ => (6003, 6),
    }
}

/// The activity in its class.
fn activity_of(event: &AuditEvent, class: u64) -> u64 {
    let code = event.codes.first().map_or("", |c| c.code.as_str());
    match (class, event.action) {
        (3002, _) if code == "110123" => 2,
        (3002, _) => 1,
        (_, 'C') => 1,
        (_, 'R') => 2,
        (_, 'U') => 3,
        (_, 'D') => 4,
        // A search reads.
        (6003, 'E') if code.starts_with("search") => 2,
        _ => OTHER,
    }
}

fn name_of(name: &Name) -> String {
    match name {
        Name::Reference(reference) => reference.clone(),
        Name::Identifier(_, value) => value.clone(),
    }
}

fn person(agent: &Agent) -> Value {
    json!({ "uid": name_of(&agent.who), "name": agent.name, "type_id": 1 })
}

/// Who acted, and where from.
fn actor_and_source(event: &AuditEvent) -> (Map<String, Value>, Map<String, Value>) {
    let (mut actor, mut source) = (Map::new(), Map::new());
    for agent in &event.agents {
        if agent.part.code == "IRCP" {
            actor.insert("user".to_owned(), person(agent));
        } else if agent.alt_id.is_some() {
            actor.insert("app_uid".to_owned(), json!(name_of(&agent.who)));
            actor.insert("app_name".to_owned(), json!(agent.name));
        }
        // The part of the house has the name at which it answers: nobody asked from there.
        let asked = agent.alt_id.is_some() && source.is_empty();
        if let Some(address) = agent.address.as_ref().filter(|_| asked) {
            let is_ip = address.parse::<IpAddr>().is_ok();
            let name = if is_ip { "ip" } else { "hostname" };
            source.insert(name.to_owned(), json!(address));
        }
    }
    if actor.is_empty() {
        actor.insert("app_name".to_owned(), json!("Insula"));
    }
    if source.is_empty() {
        source.insert("name".to_owned(), json!("insula"));
    }
    (actor, source)
}

/// What is not told of in words of the framework.
fn unmapped(event: &AuditEvent) -> Value {
    let purposes: Vec<Value> = event
        .agents
        .iter()
        .flat_map(|agent| &agent.purposes)
        .map(|(code, words)| {
            json!({ "code": code.as_ref().map_or("", |c| c.code.as_str()), "text": words })
        })
        .collect();
    let mut out = json!({ "fhir_action": event.action.to_string() });
    if let Some(object) = out.as_object_mut() {
        for entity in &event.entities {
            match entity {
                Entity::Query(query) => object.insert("query".to_owned(), json!(query)),
                Entity::Other(words) => object.insert("note".to_owned(), json!(words)),
                _ => None,
            };
        }
        if !purposes.is_empty() {
            object.insert("purposes".to_owned(), Value::Array(purposes));
        }
    }
    out
}

/// The event as JSON.
pub(super) fn event(of: &ShippedEvent) -> Value {
    let event = &of.event;
    let (class, category) = class_of(event);
    let activity = activity_of(event, class);
    let (status, status_id) = match event.outcome {
        Outcome::Success => ("Success", 1),
        Outcome::MinorFailure | Outcome::SeriousFailure => ("Failure", 2),
    };
    let severity = if status_id == 1 { 1 } else { 3 };
    let last = event.codes.last();
    let operation = last.map_or("unknown", |c| c.code.as_str());
    let (actor, source) = actor_and_source(event);
    let resources: Vec<Value> = event.entities.iter().filter_map(resource).collect();
    let request = event.entities.iter().find_map(|e| match e {
        Entity::Request(id) => Some(id.as_str()),
        _ => None,
    });
    let request = request.unwrap_or("unknown");
    let mut out = json!({
        "class_uid": class,
        "category_uid": category,
        "activity_id": activity,
        "type_uid": class * 100 + activity,
        "severity_id": severity,
        "time": event.recorded.0 / 1_000,
        "status": status,
        "status_id": status_id,
        "metadata": {
            "version": VERSION,
            "uid": of.uid(),
            "tenant_uid": of.tenant.as_str(),
            "correlation_uid": request,
            "log_name": "audit trail",
            "product": { "name": "Insula", "vendor_name": "Insula" },
        },
        "actor": actor,
        "src_endpoint": source,
        "unmapped": unmapped(event),
    });
    let service = json!({ "name": "insula", "uid": of.tenant.as_str() });
    let words = last.map_or("", |c| c.display.as_str());
    let more: [(&str, Value); 2] = match class {
        6003 => [
            (
                "api",
                json!({ "operation": operation, "service": service, "request": { "uid": request } }),
            ),
            ("resources", Value::Array(resources)),
        ],
        3002 => [("user", user(event)), ("service", service)],
        _ => [
            (
                "entity",
                json!({ "name": operation, "uid": operation, "type": "tenant setting" }),
            ),
            ("comment", json!(words)),
        ],
    };
    if let Some(object) = out.as_object_mut() {
        object.extend(more.map(|(name, value)| (name.to_owned(), value)));
        if activity == OTHER {
            object.insert("activity_name".to_owned(), json!(operation));
        }
        if let Some(text) = &event.outcome_text {
            object.insert("status_detail".to_owned(), json!(text));
        }
    }
    out
}

/// Who signed in.
fn user(event: &AuditEvent) -> Value {
    let person_or_program = event.agents.iter().find(|a| a.requestor);
    person_or_program.map_or_else(|| json!({ "name": "unknown" }), person)
}

fn resource(entity: &Entity) -> Option<Value> {
    match entity {
        Entity::Data(name, _) => {
            let kind = name.split_once('/').map_or("", |(kind, _)| kind);
            Some(json!({ "uid": name, "type": kind }))
        }
        Entity::Patient(id) => {
            let uid = format!("Patient/{}", id.as_str());
            Some(json!({ "uid": uid, "type": "Patient", "labels": ["touched"] }))
        }
        Entity::Facility(name) => Some(json!({ "uid": name, "type": "Facility" })),
        Entity::Query(_) | Entity::Request(_) | Entity::Other(_) => None,
    }
}
