//! What references by `fullUrl` and by identifier lead to, over all inputs.

use std::collections::HashMap;

use fhir::definitions::{Model, TypeId};
use fhir::json::Value;

/// A literal reference: type and id.
pub(super) type Target = (TypeId, String);

/// Types that others refer to by identifier. Of other types no identifiers are kept, so that
/// memory does not grow with the number of observations.
const IDENTIFIED: &[&str] = &[
    "CareTeam",
    "Device",
    "Endpoint",
    "Group",
    "HealthcareService",
    "Location",
    "Medication",
    "Organization",
    "Patient",
    "Practitioner",
    "PractitionerRole",
    "RelatedPerson",
];

/// Targets by what refers to them.
#[derive(Debug)]
pub(super) struct Links {
    model: &'static Model,
    identified: Vec<TypeId>,
    /// Of entries whose id is the UUID of their `urn:uuid:` full URL, which is most of them.
    by_uuid: HashMap<[u8; 16], TypeId>,
    /// Of all other URNs.
    by_urn: HashMap<Box<str>, Target>,
    /// By type and `system|value`; `None` when two resources have it.
    by_identifier: HashMap<(TypeId, Box<str>), Option<String>>,
}

impl Links {
    pub(super) fn new(model: &'static Model) -> Self {
        let identified = IDENTIFIED
            .iter()
            .filter_map(|name| model.type_id(name))
            .collect();
        Self {
            model,
            identified,
            by_uuid: HashMap::new(),
            by_urn: HashMap::new(),
            by_identifier: HashMap::new(),
        }
    }

    /// Notes what a URN stands for. Other full URLs are only good inside their own Bundle.
    pub(super) fn note_url(&mut self, full_url: &str, target: &Target) {
        match uuid_of(full_url) {
            Some(uuid) if full_url.ends_with(&target.1) => {
                self.by_uuid.insert(uuid, target.0);
            }
            _ if full_url.starts_with("urn:") => {
                self.by_urn.insert(full_url.into(), target.clone());
            }
            _ => {}
        }
    }

    /// Notes the identifiers of a resource.
    pub(super) fn note_identifiers(&mut self, target: &Target, resource: Value<'_>) {
        if !self.identified.contains(&target.0) {
            return;
        }
        for identifier in resource
            .get("identifier")
            .into_iter()
            .flat_map(Value::items)
        {
            let part = |name| {
                identifier
                    .get(name)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
            };
            let key = (
                target.0,
                format!("{}|{}", part("system"), part("value")).into(),
            );
            let id = &target.1;
            self.by_identifier
                .entry(key)
                .and_modify(|known| {
                    if known.as_ref() != Some(id) {
                        *known = None;
                    }
                })
                .or_insert_with(|| Some(id.clone()));
        }
    }

    /// The literal reference for a URN or a conditional reference that was noted.
    pub(super) fn find(&self, reference: &str) -> Option<String> {
        if let Some(uuid) = uuid_of(reference)
            && let Some(type_id) = self.by_uuid.get(&uuid)
        {
            let id = reference.rsplit(':').next().unwrap_or_default();
            return Some(format!("{}/{id}", self.model.type_name(*type_id)));
        }
        if let Some((type_id, id)) = self.by_urn.get(reference) {
            return Some(format!("{}/{id}", self.model.type_name(*type_id)));
        }
        let (name, identifier) = by_identifier(reference)?;
        let key = (self.model.type_id(name)?, identifier.into());
        let id = self.by_identifier.get(&key)?.as_ref()?;
        Some(format!("{name}/{id}"))
    }
}

/// Whether a reference says nothing until it is found: `urn:uuid:…` or `Type?…`. Other URNs also
/// name code systems and the like.
pub(super) fn is_open(model: &Model, reference: &str) -> bool {
    reference.starts_with("urn:uuid:")
        || reference
            .split_once('?')
            .is_some_and(|(name, _)| model.type_id(name).is_some())
}

fn uuid_of(url: &str) -> Option<[u8; 16]> {
    base::ids::uuid_bytes(url.strip_prefix("urn:uuid:")?)
}

/// Type and `system|value` of `Type?identifier=system|value`, percent escapes undone.
fn by_identifier(reference: &str) -> Option<(&str, String)> {
    let (name, query) = reference.split_once('?')?;
    let value = query.strip_prefix("identifier=")?;
    if value.contains('&') {
        return None;
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(b) = rest.next() {
        let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
        bytes.push(match b {
            b'%' => {
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                u8::try_from(high * 16 + low).ok()?
            }
            b'+' => b' ',
            b => b,
        });
    }
    Some((name, String::from_utf8(bytes).ok()?))
}
