//! The few FHIR datatypes that the population needs, as JSON values.

use serde_json::{Value, json};

pub(super) const SNOMED: &str = "http://snomed.info/sct";
pub(super) const LOINC: &str = "http://loinc.org";
pub(super) const ICD10: &str = "http://hl7.org/fhir/sid/icd-10-cm";
pub(super) const RXNORM: &str = "http://www.nlm.nih.gov/research/umls/rxnorm";
pub(super) const CVX: &str = "http://hl7.org/fhir/sid/cvx";
pub(super) const UCUM: &str = "http://unitsofmeasure.org";

/// A code system of HL7's terminology site, by the last part of its URL.
pub(super) fn hl7(name: &str) -> String {
    format!("http://terminology.hl7.org/CodeSystem/{name}")
}

/// A CodeableConcept with one coding and our own words as its text.
pub(super) fn concept(system: &str, code: &str, text: &str) -> Value {
    json!({"coding": [{"system": system, "code": code}], "text": text})
}

/// A CodeableConcept of an HL7 code system, without text.
pub(super) fn term(system: &str, code: &str) -> Value {
    json!({"coding": [{"system": hl7(system), "code": code}]})
}

/// A literal reference.
pub(super) fn reference(kind: &str, id: &str) -> Value {
    json!({"reference": format!("{kind}/{id}")})
}

/// A literal reference with a short text for people.
pub(super) fn named_reference(kind: &str, id: &str, display: &str) -> Value {
    json!({"reference": format!("{kind}/{id}"), "display": display})
}

/// A number with a fixed number of decimals at most; whole numbers when there are none.
pub(super) fn number(value: f64, decimals: u8) -> Value {
    if decimals == 0 {
        return json!(value.round() as i64);
    }
    let scale = 10f64.powi(i32::from(decimals));
    json!((value * scale).round() / scale)
}

/// A UCUM Quantity.
pub(super) fn quantity(value: f64, decimals: u8, unit: &str) -> Value {
    json!({"value": number(value, decimals), "unit": unit, "system": UCUM, "code": unit})
}

/// One entry of a transaction Bundle: the resource under the id that it carries.
pub(super) fn push_entry(bundle: &mut String, base: &str, kind: &str, id: &str, resource: &Value) {
    use std::fmt::Write;
    if !bundle.ends_with('[') {
        bundle.push(',');
    }
    let _ = write!(
        bundle,
        "{{\"fullUrl\":\"{base}/{kind}/{id}\",\"resource\":{resource},\
         \"request\":{{\"method\":\"PUT\",\"url\":\"{kind}/{id}\"}}}}"
    );
}

/// What a transaction Bundle begins and ends with.
pub(super) const BUNDLE_START: &str =
    "{\"resourceType\":\"Bundle\",\"type\":\"transaction\",\"entry\":[";
/// See [`BUNDLE_START`].
pub(super) const BUNDLE_END: &str = "]}";
