//! An access or a change as an AuditEvent (`auditevent.html`), after the patterns of IHE's Basic Audit
//! Log Patterns (BALP): as the resource's JSON, in the form of each version of FHIR.
//!
//! Knows nothing of where events come from.

use std::fmt::Write;

use base::{Micros, ResourceId, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::definitions::FhirVersion;
use crate::json::push_json_string;
use crate::resource::write_head;

/// A code of a system, and how it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coding {
    /// The system.
    pub system: &'static str,
    /// The code.
    pub code: String,
    /// How it is shown; left out where it is empty.
    pub display: String,
}

impl Coding {
    /// A code of a system.
    pub fn new(system: &'static str, code: &str, display: &str) -> Self {
        Self {
            system,
            code: code.to_owned(),
            display: display.to_owned(),
        }
    }

    /// A code of DICOM's vocabulary for audit messages (DICOM PS3.15, A.5).
    pub fn dicom(code: &str, display: &str) -> Self {
        Self::new(
            "http://dicom.nema.org/resources/ontology/DCM",
            code,
            display,
        )
    }

    /// A RESTful interaction (`http.html`).
    pub fn interaction(code: &str) -> Self {
        Self::new("http://hl7.org/fhir/restful-interaction", code, code)
    }

    /// A RESTful operation, as a kind of event.
    pub fn rest() -> Self {
        let system = "http://terminology.hl7.org/CodeSystem/audit-event-type";
        Self::new(system, "rest", "RESTful Operation")
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was not done, and may be tried again.
    MinorFailure,
    /// It was refused.
    SeriousFailure,
}

impl Outcome {
    const fn code(self) -> (&'static str, &'static str) {
        match self {
            Self::Success => ("0", "Success"),
            Self::MinorFailure => ("4", "Minor failure"),
            Self::SeriousFailure => ("8", "Serious failure"),
        }
    }
}

/// What something is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// A resource: `Practitioner/7`.
    Reference(String),
    /// An identifier: its system and value.
    Identifier(&'static str, String),
}

/// Who took part.
#[derive(Clone, Debug)]
pub struct Agent {
    /// In which part.
    pub part: Coding,
    /// Who.
    pub who: Name,
    /// What they are called.
    pub name: String,
    /// What they are called in the trail.
    pub alt_id: Option<String>,
    /// Whether it was they who asked.
    pub requestor: bool,
    /// Their roles.
    pub roles: Vec<Coding>,
    /// The address that they asked from, or at which the house answers.
    pub address: Option<String>,
    /// Why: a code of v3's PurposeOfUse with its words, or words.
    pub purposes: Vec<(Option<Coding>, String)>,
}

/// What it was about.
#[derive(Clone, Debug)]
pub enum Entity {
    /// A resource, and what happened to it.
    Data(String, Lifecycle),
    /// A patient.
    Patient(ResourceId),
    /// The facility where the one who asked works.
    Facility(String),
    /// A search.
    Query(String),
    /// The request.
    Request(String),
    /// Something that is no resource, in words.
    Other(String),
}

/// What happened to a resource (DICOM's life cycle of objects).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifecycle {
    /// It was made.
    Made,
    /// Another version was made.
    Changed,
    /// It was shown.
    Shown,
    /// It was deleted.
    Deleted,
}

impl Lifecycle {
    const fn code(self) -> (&'static str, &'static str) {
        match self {
            Self::Made => ("1", "Origination / Creation"),
            Self::Changed => ("3", "Amendment"),
            Self::Shown => ("6", "Access / Use"),
            Self::Deleted => ("14", "Logical deletion"),
        }
    }
}

/// An event.
#[derive(Clone, Debug)]
pub struct AuditEvent {
    /// Its id.
    pub id: ResourceId,
    /// When it happened.
    pub recorded: Micros,
    /// What kind of event: `type`, `category` since R5.
    pub category: Coding,
    /// What exactly: `subtype`, `code` since R5 (all of them as codings of one concept).
    pub codes: Vec<Coding>,
    /// `C R U D E`
    pub action: char,
    /// How it ended.
    pub outcome: Outcome,
    /// More about that.
    pub outcome_text: Option<String>,
    /// Who took part.
    pub agents: Vec<Agent>,
    /// Where it was recorded: the tenant.
    pub site: String,
    /// What it was about.
    pub entities: Vec<Entity>,
}

const ENTITY_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
const RESOURCE_TYPE: &str = "http://hl7.org/fhir/resource-types";
const OBJECT_ROLE: &str = "http://terminology.hl7.org/CodeSystem/object-role";
const LIFECYCLE: &str = "http://terminology.hl7.org/CodeSystem/dicom-audit-lifecycle";
const OUTCOME: &str = "http://terminology.hl7.org/CodeSystem/audit-event-outcome";
const SOURCE_TYPE: &str = "http://terminology.hl7.org/CodeSystem/security-source-type";
const BALP_ENTITY: &str = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType";

/// JSON as it is written. A comma stands before every member and item but the first.
struct Json(String);

impl Json {
    fn comma(&mut self) {
        if !matches!(self.0.as_bytes().last(), Some(b'{' | b'[' | b':')) {
            self.0.push(',');
        }
    }

    fn key(&mut self, name: &str) -> &mut Self {
        self.comma();
        push_json_string(name, &mut self.0);
        self.0.push(':');
        self
    }

    fn text(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.key(name);
            push_json_string(value, &mut self.0);
        }
    }

    fn raw(&mut self, name: &str, value: &str) {
        self.key(name).0.push_str(value);
    }

    fn object(&mut self, fill: impl FnOnce(&mut Self)) {
        self.comma();
        self.0.push('{');
        fill(self);
        self.0.push('}');
    }

    fn member(&mut self, name: &str, fill: impl FnOnce(&mut Self)) {
        self.key(name).object(fill);
    }

    fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut fill: impl FnMut(&mut Self, T),
    ) {
        let mut items = items.into_iter().peekable();
        if items.peek().is_none() {
            return;
        }
        self.key(name).0.push('[');
        for item in items {
            self.object(|json| fill(json, item));
        }
        self.0.push(']');
    }

    fn coding(&mut self, coding: &Coding) {
        self.text("system", coding.system);
        self.text("code", &coding.code);
        self.text("display", &coding.display);
    }

    fn plain_coding(&mut self, name: &str, system: &'static str, code: &str, display: &str) {
        self.member(name, |json| {
            json.coding(&Coding::new(system, code, display));
        });
    }

    fn concept(&mut self, name: &str, coding: &Coding) {
        self.member(name, |json| json.list("coding", [coding], Self::coding));
    }

    fn reference(&mut self, name: &str, to: &Name, display: &str) {
        self.member(name, |json| {
            match to {
                Name::Reference(reference) => json.text("reference", reference),
                Name::Identifier(system, value) => json.member("identifier", |json| {
                    json.text("system", system);
                    json.text("value", value);
                }),
            }
            json.text("display", display);
        });
    }
}

impl AuditEvent {
    /// The patients whom it touched.
    pub fn patients(&self) -> impl Iterator<Item = &ResourceId> {
        self.entities.iter().filter_map(|entity| match entity {
            Entity::Patient(id) => Some(id),
            _ => None,
        })
    }

    /// The whole resource as JSON.
    pub fn to_json(&self, version: FhirVersion) -> String {
        let mut head = Vec::with_capacity(1_024 + self.entities.len() * 160);
        write_head(&mut head, "AuditEvent", &self.id, Version(1), self.recorded);
        let mut json = Json(String::from_utf8(head).unwrap_or_default());
        json.0.push('}');
        if version == FhirVersion::R5 {
            self.since_r5(&mut json);
        } else {
            self.before_r5(&mut json);
        }
        json.0.push('}');
        json.0
    }

    fn before_r5(&self, json: &mut Json) {
        json.member("type", |json| json.coding(&self.category));
        json.list("subtype", &self.codes, Json::coding);
        json.text("action", self.action.encode_utf8(&mut [0; 4]));
        json.text("recorded", &self.recorded.instant().to_string());
        json.text("outcome", self.outcome.code().0);
        json.text("outcomeDesc", self.outcome_text.as_deref().unwrap_or(""));
        json.list("agent", &self.agents, |json, agent| {
            agent.part_and_who(json);
            json.text("altId", agent.alt_id.as_deref().unwrap_or(""));
            json.text("name", &agent.name);
            json.raw("requestor", if agent.requestor { "true" } else { "false" });
            if let Some(address) = &agent.address {
                let is_ip = address.parse::<std::net::IpAddr>().is_ok();
                json.member("network", |json| {
                    json.text("address", address);
                    // An IP address, or the name of a machine.
                    json.text("type", if is_ip { "2" } else { "1" });
                });
            }
            agent.purposes(json, "purposeOfUse");
        });
        json.member("source", |json| {
            json.text("site", &self.site);
            self.observer(json);
            let kind = Coding::new(SOURCE_TYPE, "4", "Application Server");
            json.list("type", [&kind], Json::coding);
        });
        // BALP tells the query by its type from everything else: what was found is of the type of resource.
        let is_query = |e: &Entity| matches!(e, Entity::Query(_));
        let has_query = self.entities.iter().any(is_query);
        json.list("entity", &self.entities, |json, entity| match entity {
            Entity::Data(name, lifecycle) => {
                json.reference("what", &Name::Reference(name.clone()), "");
                match name.split_once('/') {
                    Some((of, _)) if has_query => json.plain_coding("type", RESOURCE_TYPE, of, of),
                    _ => json.plain_coding("type", ENTITY_TYPE, "2", "System Object"),
                }
                json.plain_coding("role", OBJECT_ROLE, "4", "Domain Resource");
                let (code, display) = lifecycle.code();
                json.plain_coding("lifecycle", LIFECYCLE, code, display);
            }
            Entity::Patient(id) => {
                let name = format!("Patient/{}", id.as_str());
                json.reference("what", &Name::Reference(name), "");
                json.plain_coding("type", ENTITY_TYPE, "1", "Person");
                json.plain_coding("role", OBJECT_ROLE, "1", "Patient");
            }
            Entity::Facility(name) => {
                json.reference("what", &Name::Reference(name.clone()), "");
                json.plain_coding("type", ENTITY_TYPE, "3", "Organization");
                json.plain_coding("role", OBJECT_ROLE, "2", "Location");
            }
            Entity::Query(query) => {
                json.plain_coding("type", ENTITY_TYPE, "2", "System Object");
                json.plain_coding("role", OBJECT_ROLE, "24", "Query");
                json.text("query", &STANDARD.encode(query));
            }
            Entity::Request(id) => {
                json.reference(
                    "what",
                    &Name::Identifier("urn:insula:request", id.clone()),
                    "",
                );
                json.plain_coding("type", BALP_ENTITY, "XrequestId", "");
            }
            Entity::Other(words) => {
                json.plain_coding("type", ENTITY_TYPE, "4", "Other");
                json.text("name", words);
            }
        });
    }

    fn since_r5(&self, json: &mut Json) {
        json.list("category", [&self.category], |json, category| {
            json.list("coding", [category], Json::coding);
        });
        json.member("code", |json| {
            json.list("coding", &self.codes, Json::coding);
        });
        json.text("action", self.action.encode_utf8(&mut [0; 4]));
        json.text("recorded", &self.recorded.instant().to_string());
        json.member("outcome", |json| {
            let (code, display) = self.outcome.code();
            json.plain_coding("code", OUTCOME, code, display);
            json.list("detail", &self.outcome_text, |json, text| {
                json.text("text", text);
            });
        });
        let mut patients = self.patients();
        if let (Some(only), None) = (patients.next(), patients.next()) {
            let name = format!("Patient/{}", only.as_str());
            json.reference("patient", &Name::Reference(name), "");
        }
        json.list("agent", &self.agents, |json, agent| {
            agent.part_and_who(json);
            json.raw("requestor", if agent.requestor { "true" } else { "false" });
            json.text("networkString", agent.address.as_deref().unwrap_or(""));
            agent.purposes(json, "authorization");
        });
        json.member("source", |json| {
            json.member("site", |json| json.text("display", &self.site));
            self.observer(json);
            let kind = Coding::new(SOURCE_TYPE, "4", "Application Server");
            json.list("type", [&kind], |json, kind| {
                json.list("coding", [kind], Json::coding);
            });
        });
        json.list("entity", &self.entities, |json, entity| match entity {
            Entity::Data(name, _) => {
                json.reference("what", &Name::Reference(name.clone()), "");
                json.concept("role", &Coding::new(OBJECT_ROLE, "4", "Domain Resource"));
            }
            Entity::Patient(id) => {
                let name = format!("Patient/{}", id.as_str());
                json.reference("what", &Name::Reference(name), "");
                json.concept("role", &Coding::new(OBJECT_ROLE, "1", "Patient"));
            }
            Entity::Facility(name) => {
                json.reference("what", &Name::Reference(name.clone()), "");
                json.concept("role", &Coding::new(OBJECT_ROLE, "2", "Location"));
            }
            Entity::Query(query) => {
                json.concept("role", &Coding::new(OBJECT_ROLE, "24", "Query"));
                json.text("query", &STANDARD.encode(query));
            }
            Entity::Request(id) => {
                json.reference(
                    "what",
                    &Name::Identifier("urn:insula:request", id.clone()),
                    "",
                );
                json.concept("role", &Coding::new(BALP_ENTITY, "XrequestId", ""));
            }
            Entity::Other(words) => json.list("detail", [words], |json, words| {
                json.member("type", |json| json.text("text", "what"));
                json.text("valueString", words);
            }),
        });
    }

    fn observer(&self, json: &mut Json) {
        let name = Name::Identifier("urn:insula:tenant", self.site.clone());
        json.reference("observer", &name, "Insula");
    }
}

impl Agent {
    fn part_and_who(&self, json: &mut Json) {
        json.concept("type", &self.part);
        json.list("role", &self.roles, |json, role| {
            json.list("coding", [role], Json::coding);
        });
        json.reference("who", &self.who, &self.name);
    }

    fn purposes(&self, json: &mut Json, name: &str) {
        json.list(name, &self.purposes, |json, (code, words)| {
            json.list("coding", code, Json::coding);
            json.text("text", words);
        });
    }
}

impl std::fmt::Display for Coding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.system)?;
        f.write_char('|')?;
        f.write_str(&self.code)
    }
}

#[cfg(test)]
mod tests;
