//! FHIR resources, made of as little as a test needs.

use serde_json::{Value, json};

/// A patient with a family name.
pub fn patient(family: &str) -> Value {
    json!({"resourceType": "Patient", "name": [{"family": family}]})
}

/// A patient with an identifier, in the system that all tests use.
pub fn patient_identified(family: &str, identifier: &str) -> Value {
    let mut patient = patient(family);
    patient["identifier"] = json!([{"system": IDENTIFIERS, "value": identifier}]);
    patient
}

/// The system of identifiers that tests use.
pub const IDENTIFIERS: &str = "urn:insula:test";

/// A final observation of a LOINC code with a quantity, on a subject.
pub fn observation(subject: &str, code: &str, value: f64) -> Value {
    json!({
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": subject},
        "valueQuantity": {
            "value": value, "unit": "mg/dL", "system": "http://unitsofmeasure.org", "code": "mg/dL"
        },
    })
}

/// The same resource with an id.
#[must_use]
pub fn with_id(mut resource: Value, id: &str) -> Value {
    resource["id"] = json!(id);
    resource
}

/// A Bundle of entries.
pub fn bundle(kind: &str, entries: impl IntoIterator<Item = Value>) -> Value {
    let entries: Vec<Value> = entries.into_iter().collect();
    json!({"resourceType": "Bundle", "type": kind, "entry": entries})
}

/// An entry that asks for something.
pub fn entry(method: &str, url: &str, resource: Option<Value>) -> Value {
    let mut entry = json!({"request": {"method": method, "url": url}});
    if let Some(resource) = resource {
        entry["resource"] = resource;
    }
    entry
}

/// An entry that creates something others of the Bundle refer to by its `urn:uuid`.
pub fn entry_named(full_url: &str, resource: Value) -> Value {
    let kind = resource["resourceType"]
        .as_str()
        .expect("a type")
        .to_owned();
    let mut entry = entry("POST", &kind, Some(resource));
    entry["fullUrl"] = json!(full_url);
    entry
}
