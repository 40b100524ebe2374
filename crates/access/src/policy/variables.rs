//! Variables of criteria: `%user.facilities` and the like become values of a search.

use base::ResourceId;
use fhir::definitions::{Model, TypeId};

use super::subject::Subject;
use crate::person::RoleAt;

/// What variables stand for, for one grant and one caller.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    facilities: Vec<String>,
    user: Option<String>,
    practitioner: Option<String>,
    /// The Patient that stands for the caller, whatever the context of a launch is.
    own_patient: Option<String>,
    patient: Option<String>,
    patient_id: Option<String>,
    user_id: Option<String>,
    client_id: Option<String>,
}

/// Why a text with variables has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoValue {
    /// There is no such variable.
    Unknown(String),
    /// The caller has no such value, so nothing can match.
    Nothing,
}

const NAMES: [&str; 11] = [
    "patient.id",
    "user.practitioner.id",
    "user.practitioner",
    "user.patient.id",
    "user.patient",
    "user.facilities",
    "user.fhirUser.id",
    "user.fhirUser",
    "user.id",
    "client.id",
    "patient",
];

impl Values {
    /// For a caller who is given something for holding any of `roles` (for any reason where it is
    /// empty): facilities are those where such a role is held.
    pub(super) fn of(model: &Model, subject: &Subject<'_>, roles: &[String]) -> Self {
        let counts = |held: &&RoleAt| roles.is_empty() || roles.iter().any(|r| **r == *held.role);
        let named = |(type_id, id): (TypeId, &ResourceId)| {
            (model.type_name(type_id), id.as_str().to_owned())
        };
        let user = subject.fhir_user.map(named);
        let as_type = |wanted: &str| {
            let own = user.as_ref().filter(|(name, _)| *name == wanted);
            own.map(|(name, id)| format!("{name}/{id}"))
        };
        let mut facilities: Vec<String> = subject
            .roles
            .iter()
            .filter(counts)
            .filter_map(|held| held.facility.as_ref())
            .map(|(of, id)| format!("{of}/{}", id.as_str()))
            .collect();
        facilities.sort();
        facilities.dedup();
        let in_context = subject.patient.map(|id| format!("Patient/{}", id.as_str()));
        // Who is a patient is that one: a context only narrows.
        let own_patient = as_type("Patient");
        let patient = own_patient.clone().or(in_context);
        let bare = |reference: &String| reference.split_once('/').map(|(_, id)| id.to_owned());
        Self {
            facilities,
            patient_id: patient.as_ref().and_then(bare),
            practitioner: as_type("Practitioner"),
            own_patient,
            patient,
            user: user.as_ref().map(|(name, id)| format!("{name}/{id}")),
            user_id: subject.person.map(str::to_owned),
            client_id: subject.client.map(str::to_owned),
        }
    }

    /// Values with which a document is tried.
    pub(super) fn sample() -> Self {
        Self {
            facilities: vec!["Organization/1".to_owned()],
            user: Some("Practitioner/1".to_owned()),
            practitioner: Some("Practitioner/1".to_owned()),
            own_patient: Some("Patient/1".to_owned()),
            patient: Some("Patient/1".to_owned()),
            patient_id: Some("1".to_owned()),
            user_id: Some("1".to_owned()),
            client_id: Some("1".to_owned()),
        }
    }

    /// Facilities of the caller: `Organization/…` and `Location/…`.
    pub(super) fn facilities(&self) -> impl Iterator<Item = &str> {
        self.facilities.iter().map(String::as_str)
    }

    fn get(&self, name: &str) -> Vec<&str> {
        let single = match name {
            "user.facilities" => {
                return self.facilities.iter().map(String::as_str).collect();
            }
            "user.practitioner.id" => return Self::bare(&self.practitioner),
            "user.fhirUser.id" => return Self::bare(&self.user),
            "user.patient.id" => return Self::bare(&self.own_patient),
            "user.patient" => &self.own_patient,
            "user.practitioner" => &self.practitioner,
            "user.fhirUser" => &self.user,
            "patient" => &self.patient,
            "patient.id" => &self.patient_id,
            "user.id" => &self.user_id,
            _ => &self.client_id,
        };
        single.iter().map(String::as_str).collect()
    }

    /// The id of a reference alone.
    fn bare(reference: &Option<String>) -> Vec<&str> {
        let id = reference.as_deref().and_then(|r| r.split_once('/'));
        id.map(|(_, id)| id).into_iter().collect()
    }

    /// The text of a search with its variables replaced.
    pub(super) fn fill(&self, text: &str) -> Result<String, NoValue> {
        let mut out = String::with_capacity(text.len() + 32);
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            out.push_str(before);
            let known = NAMES.iter().find(|name| {
                let tail = after.strip_prefix(**name);
                tail.is_some_and(|t| {
                    !t.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '.')
                })
            });
            let Some(name) = known else {
                // What two hexadecimal digits follow is an encoded character.
                let hex = after.bytes().take(2).filter(u8::is_ascii_hexdigit).count();
                let word = after.bytes().take(3).filter(u8::is_ascii_lowercase).count() == 3;
                if hex < 2 || word {
                    let ends = |c: char| !(c.is_ascii_alphanumeric() || c == '.');
                    let name = after.split(ends).next().unwrap_or_default();
                    return Err(NoValue::Unknown(name.to_owned()));
                }
                out.push('%');
                rest = after;
                continue;
            };
            let values = self.get(name);
            if values.is_empty() {
                return Err(NoValue::Nothing);
            }
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                encode(value, &mut out);
            }
            rest = after.strip_prefix(name).unwrap_or_default();
        }
        out.push_str(rest);
        Ok(out)
    }
}

/// A value of a search: its separators escaped, then encoded for a query.
fn encode(value: &str, out: &mut String) {
    for byte in value.bytes() {
        if matches!(byte, b',' | b'|' | b'$' | b'\\') {
            out.push_str("%5C");
        }
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_become_values_or_nothing() {
        let mut values = Values::sample();
        values.facilities.push("Location/a".to_owned());
        values.client_id = None;
        values.user_id = Some("a,b".to_owned());
        let fill = |text: &str| values.fill(text);
        assert_eq!(
            fill("organization=%user.facilities&active=true").unwrap(),
            "organization=Organization/1,Location/a&active=true"
        );
        assert_eq!(
            fill("name=A%20B&x=%user.id").unwrap(),
            "name=A%20B&x=a%5C%2Cb"
        );
        assert_eq!(fill("x=%client.id"), Err(NoValue::Nothing));
        assert_eq!(
            fill("x=%user.shoes"),
            Err(NoValue::Unknown("user.shoes".to_owned()))
        );
        assert_eq!(
            fill("x=%facilities"),
            Err(NoValue::Unknown("facilities".to_owned()))
        );
        assert_eq!(
            fill("x=%patients"),
            Err(NoValue::Unknown("patients".to_owned()))
        );
    }
}
