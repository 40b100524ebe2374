//! Everything that can be searched by, through the edge: forms of parameters, modifiers, filters.

mod bindings;
mod contained;
mod edges;
mod forms;
mod links;
pub(super) mod own;
mod places;
mod shapes;
mod terms;
mod texts;
mod values;

use serde_json::{Value, json};

use super::world::World;

pub(super) use own::built;

pub(super) fn put(world: &World, who: &str, resource: &Value) {
    let name = format!(
        "PUT {}/{}",
        resource["resourceType"].as_str().unwrap(),
        resource["id"].as_str().unwrap()
    );
    let answer = world.fhir(who, &name, resource.to_string());
    assert!(matches!(answer.code, 200 | 201), "{}", answer.json());
}

/// Percent-encodes what a URL cannot hold as it is.
fn encoded(query: &str) -> String {
    let mut out = String::new();
    for b in query.bytes() {
        if b.is_ascii_alphanumeric() || b"-._~/?=&:,$*()".contains(&b) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

pub(super) fn found(world: &World, who: &str, query: &str) -> Vec<String> {
    let line = format!("GET {}", encoded(query));
    let mut entries = world.fhir(who, &line, "").status(200).entries();
    entries.sort_unstable();
    entries
}

#[track_caller]
pub(super) fn finds(world: &World, who: &str, query: &str, want: &[&str]) {
    assert_eq!(found(world, who, query), want, "{query}");
}

#[track_caller]
pub(super) fn refuses(world: &World, who: &str, query: &str, status: u16, code: &str) {
    let line = format!("GET {}", encoded(query));
    world.fhir(who, &line, "").refused(status, code);
}

pub(super) fn person(id: &str, more: &Value) -> Value {
    let mut patient = json!({"resourceType": "Patient", "id": id});
    let members = patient.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    patient
}
