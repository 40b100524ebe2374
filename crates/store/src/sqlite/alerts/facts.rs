//! What an access is judged by: who a patient is, who somebody of the staff is, and what of the chart
//! explains that the one looked at the other.
//!
//! All of it is read from the resources as they are when the trail is looked at. Nothing of it leaves.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use access::{PersonId, PersonState};
use base::{Code, Micros, ResourceId, Version};
use fhir::definitions::TypeId;
use rusqlite::Connection;
use serde_json::Value;

use crate::face::{Explaining, Person};
use crate::sqlite::fault::Doing;
use crate::sqlite::index::IdKey;
use crate::sqlite::rows;
use crate::sqlite::tenant::OpenTenant;
use crate::{Method, Result};

const DOING: &str = "looking at what explains an access";
const DAY_US: i64 = 86_400_000_000;
/// Resources of a type and a patient that are looked at, the newest first.
const EACH_MAX: i64 = 100;
/// Types that explain an access.
const EXPLAINING: [&str; 5] = [
    "Appointment",
    "Encounter",
    "ServiceRequest",
    "CareTeam",
    "EpisodeOfCare",
];
/// Of these, those that say that somebody comes.
const VISITS: [&str; 3] = ["Appointment", "Encounter", "ServiceRequest"];
/// States of something that never was, or will not be.
const VOID: [&str; 5] = [
    "entered-in-error",
    "cancelled",
    "noshow",
    "revoked",
    "proposed",
];
/// Versions of a resource that are looked at for one that somebody else wrote in time, the newest first.
const VERSIONS_MAX: usize = 20;
const IMPORTANCE: &str = "http://hl7.org/fhir/StructureDefinition/patient-importance";

/// Who a human being is, as far as a resource says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Human {
    /// Surnames, in lower case.
    pub(crate) surnames: BTreeSet<String>,
    /// First given names with surnames and the day of birth.
    births: BTreeSet<String>,
    identifiers: BTreeSet<String>,
    /// References to everything that the resource names.
    pub(crate) references: BTreeSet<String>,
}

/// A patient.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patient {
    pub(crate) human: Human,
    /// Codes that mark them: `system|code`.
    pub(crate) labels: BTreeSet<String>,
    /// Facilities that they are a patient of.
    pub(crate) facilities: BTreeSet<String>,
}

/// Somebody of the staff.
#[derive(Clone, Debug)]
pub(crate) struct Staff {
    pub(crate) person: Arc<Person>,
    pub(crate) human: Human,
    /// What stands for them.
    names: BTreeSet<String>,
}

/// For whom something is evidence, and when they looked.
struct Viewer {
    /// `person:…`
    who: String,
    at: Micros,
}

impl Viewer {
    fn of(person: &PersonId, at: Micros) -> Self {
        Self {
            who: format!("person:{}", person.as_str()),
            at,
        }
    }
}

/// Looks things up in one snapshot, once.
pub(crate) struct Facts<'a> {
    tenant: &'a Arc<OpenTenant>,
    db: &'a Connection,
    patients: HashMap<ResourceId, Arc<Patient>>,
    staff: HashMap<PersonId, Option<Arc<Staff>>>,
    everybody: Option<Arc<Vec<Arc<Staff>>>>,
    explained: HashMap<(PersonId, ResourceId, i64), bool>,
}

impl Human {
    fn of(resource: &Value) -> Self {
        let mut human = Self::default();
        let birth = resource.get("birthDate").and_then(Value::as_str);
        for name in list(resource.get("name")) {
            let Some(family) = name.get("family").and_then(Value::as_str) else {
                continue;
            };
            let family = family.trim().to_lowercase();
            let given = list(name.get("given")).next().and_then(Value::as_str);
            if let (Some(given), Some(birth)) = (given, birth) {
                let given = given.trim().to_lowercase();
                human.births.insert(format!("{given} {family} {birth}"));
            }
            if !family.is_empty() {
                human.surnames.insert(family);
            }
        }
        for identifier in list(resource.get("identifier")) {
            let part = |name: &str| identifier.get(name).and_then(Value::as_str);
            if let (Some(system), Some(value)) = (part("system"), part("value")) {
                human.identifiers.insert(format!("{system}|{value}"));
            }
        }
        each_reference(resource, &mut |reference| {
            human.references.insert(reference.to_owned());
        });
        human
    }

    /// Whether two are of the same human being: by an identifier, or by name and day of birth.
    pub(crate) fn is(&self, other: &Self) -> bool {
        !self.identifiers.is_disjoint(&other.identifiers) || !self.births.is_disjoint(&other.births)
    }
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

/// Each literal reference of a resource, without base and version.
fn each_reference(value: &Value, take: &mut dyn FnMut(&str)) {
    match value {
        Value::Object(members) => {
            if let Some(reference) = members.get("reference").and_then(Value::as_str) {
                take(relative(reference));
            }
            members.values().for_each(|v| each_reference(v, take));
        }
        Value::Array(items) => items.iter().for_each(|v| each_reference(v, take)),
        _ => {}
    }
}

fn relative(reference: &str) -> &str {
    let end = reference.find("/_history/").unwrap_or(reference.len());
    let plain = reference.get(..end).unwrap_or(reference);
    let mut slashes = plain.rmatch_indices('/');
    match (slashes.next(), slashes.next()) {
        (Some(_), Some((at, _))) => plain.get(at + 1..).unwrap_or(plain),
        _ => plain,
    }
}

impl<'a> Facts<'a> {
    pub(crate) fn new(tenant: &'a Arc<OpenTenant>, db: &'a Connection) -> Self {
        Self {
            tenant,
            db,
            patients: HashMap::new(),
            staff: HashMap::new(),
            everybody: None,
            explained: HashMap::new(),
        }
    }

    fn rid(&self, name: &str) -> Result<Option<i64>> {
        let Some((type_name, id)) = name.split_once('/') else {
            return Ok(None);
        };
        let (Some(type_id), Ok(id)) = (self.tenant.model.type_id(type_name), ResourceId::new(id))
        else {
            return Ok(None);
        };
        rows::rid_of(self.db, type_id, &id)
    }

    fn read(&self, name: &str) -> Result<Option<Value>> {
        match self.rid(name)? {
            Some(rid) => self.body(rid),
            None => Ok(None),
        }
    }

    /// The same, as it is evidence for somebody.
    fn read_for(&self, name: &str, viewer: &Viewer) -> Result<Option<Value>> {
        match self.rid(name)? {
            Some(rid) => self.evidence(rid, viewer),
            None => Ok(None),
        }
    }

    /// What a row is as evidence for somebody: its newest version of that time that they did not write
    /// themselves. Nobody explains their own access, and nothing that came after it does.
    fn evidence(&self, rid: i64, viewer: &Viewer) -> Result<Option<Value>> {
        let mut found = rows::readable(self.tenant, self.db, rid)?;
        for _ in 0..VERSIONS_MAX {
            let Some(opened) = found else {
                return Ok(None);
            };
            let stored = opened.stored;
            let who = opened.actor.split(' ').next().unwrap_or_default();
            if who != viewer.who && stored.updated <= viewer.at {
                let is_there = stored.method != Method::Delete;
                let body = is_there.then(|| serde_json::from_slice(&stored.body).ok());
                return Ok(body.flatten());
            }
            let Some(before) = stored.version.0.checked_sub(1).filter(|n| *n > 0) else {
                return Ok(None);
            };
            let (of, id) = (stored.type_id, stored.id);
            found = match rows::version(self.tenant, self.db, of, &id, Version(before)) {
                Err(e) if e.code() == Code::ResourceQuarantined => None,
                other => other?,
            };
        }
        Ok(None)
    }

    /// What a row says now; nothing of one that is deleted, or does not carry its seal.
    fn body(&self, rid: i64) -> Result<Option<Value>> {
        let found = rows::readable(self.tenant, self.db, rid)?;
        let there = found.filter(|o| o.stored.method != Method::Delete);
        Ok(there.and_then(|o| serde_json::from_slice(&o.stored.body).ok()))
    }

    /// Rows that name a patient as the one whom it is about, the newest first.
    fn of_patient(&self, type_name: &str, patient: &ResourceId) -> Result<Vec<i64>> {
        let model = self.tenant.model;
        let types = (model.type_id(type_name), model.type_id("Patient"));
        let (Some(of), Some(TypeId(to))) = types else {
            return Ok(Vec::new());
        };
        let params = ["patient", "subject"].map(|code| model.param(of, code));
        let [patients, subjects] = params.map(|param| param.map_or(-1, |p| i64::from(p.id.0)));
        let mut read = self
            .db
            .prepare_cached(
                "SELECT DISTINCT rid FROM ix_reference
                 WHERE param IN (?1, ?2) AND type = ?3 AND id = ?4 AND until_seq = 0 AND rid > 0
                 ORDER BY rid DESC LIMIT ?5",
            )
            .doing(DOING)?;
        let key = IdKey::of_id(patient);
        read.query_map((patients, subjects, to, key, EACH_MAX), |r| r.get(0))
            .and_then(Iterator::collect)
            .doing(DOING)
    }

    fn bodies_of(&self, type_name: &str, patient: &ResourceId) -> Result<Vec<Value>> {
        let mut found = Vec::new();
        for rid in self.of_patient(type_name, patient)? {
            found.extend(self.body(rid)?);
        }
        Ok(found)
    }

    /// A patient; nobody who is not there any more.
    pub(crate) fn patient(&mut self, id: &ResourceId) -> Result<Arc<Patient>> {
        if let Some(known) = self.patients.get(id) {
            return Ok(known.clone());
        }
        let mut patient = Patient::default();
        if let Some(body) = self.read(&format!("Patient/{}", id.as_str()))? {
            patient.human = Human::of(&body);
            patient
                .labels
                .extend(list(body.pointer("/meta/security")).filter_map(label));
            for extension in list(body.get("extension")) {
                if extension.get("url").and_then(Value::as_str) == Some(IMPORTANCE) {
                    let codings = list(extension.pointer("/valueCodeableConcept/coding"));
                    patient.labels.extend(codings.filter_map(label));
                }
            }
            if let Some(of) = body.pointer("/managingOrganization/reference") {
                patient
                    .facilities
                    .extend(of.as_str().map(|r| relative(r).to_owned()));
            }
        }
        for flag in self.bodies_of("Flag", id)? {
            if flag.get("status").and_then(Value::as_str) == Some("active") {
                let codings = list(flag.pointer("/code/coding"));
                patient.labels.extend(codings.filter_map(label));
            }
        }
        for encounter in self.bodies_of("Encounter", id)? {
            if !is_void(&encounter) {
                let mut add = |r: &str| {
                    if r.starts_with("Organization/") || r.starts_with("Location/") {
                        patient.facilities.insert(r.to_owned());
                    }
                };
                each_reference(&encounter, &mut add);
            }
        }
        let patient = Arc::new(patient);
        self.patients.insert(id.clone(), patient.clone());
        Ok(patient)
    }

    /// Somebody of the staff; none for others, and for patients and those who act for them.
    pub(crate) fn staff(&mut self, id: &PersonId) -> Result<Option<Arc<Staff>>> {
        if let Some(known) = self.staff.get(id) {
            return Ok(known.clone());
        }
        let person = self.tenant.people().person(id);
        let staff = match person {
            Some(person) => self.staff_of(&person)?,
            None => None,
        };
        self.staff.insert(id.clone(), staff.clone());
        Ok(staff)
    }

    fn staff_of(&self, person: &Arc<Person>) -> Result<Option<Arc<Staff>>> {
        let mut staff = Staff {
            person: person.clone(),
            human: Human::default(),
            names: BTreeSet::new(),
        };
        let Some((of, id)) = &person.record.fhir_user else {
            // A name that somebody typed: the last word of it is taken for the surname.
            let last = person.record.name.split_whitespace().last();
            staff.human.surnames.extend(last.map(str::to_lowercase));
            return Ok(Some(Arc::new(staff)));
        };
        let of = self.tenant.model.type_name(*of);
        if matches!(of, "Patient" | "RelatedPerson") {
            return Ok(None);
        }
        let name = format!("{of}/{}", id.as_str());
        let mut body = self.read(&name)?;
        // Nobody says of themselves who they are besides.
        let viewer = Viewer::of(&person.record.id, Micros(i64::MAX));
        let said = self.read_for(&name, &viewer)?;
        staff.names.insert(name);
        if of == "PractitionerRole" {
            let practitioner = said
                .as_ref()
                .and_then(|b| b.pointer("/practitioner/reference"))
                .and_then(Value::as_str)
                .map(|r| relative(r).to_owned());
            if let Some(practitioner) = practitioner {
                body = self.read(&practitioner)?;
                staff.names.insert(practitioner);
            }
        }
        if let Some(body) = body {
            staff.human = Human::of(&body);
            if of == "Person"
                && let Some(said) = &said
            {
                let all = Human::of(said).references.into_iter();
                staff
                    .names
                    .extend(all.filter(|r| r.starts_with("Practitioner")));
            }
        }
        Ok(Some(Arc::new(staff)))
    }

    /// Everybody of the staff who may sign in.
    fn everybody(&mut self) -> Result<Arc<Vec<Arc<Staff>>>> {
        if let Some(known) = &self.everybody {
            return Ok(known.clone());
        }
        let mut all = Vec::new();
        for person in self.tenant.people().sorted() {
            if person.record.state != PersonState::Disabled {
                all.extend(self.staff(&person.record.id)?);
            }
        }
        let all = Arc::new(all);
        self.everybody = Some(all.clone());
        Ok(all)
    }

    /// Whether a patient is this one of the staff.
    pub(crate) fn is_self(staff: &Staff, id: &ResourceId, patient: &Patient) -> bool {
        let own = format!("Patient/{}", id.as_str());
        staff.human.references.contains(&own) || staff.human.is(&patient.human)
    }

    /// Whether a patient is somebody else of the staff.
    pub(crate) fn works_here(
        &mut self,
        but: &PersonId,
        id: &ResourceId,
        patient: &Patient,
    ) -> Result<bool> {
        let all = self.everybody()?;
        let mut others = all.iter().filter(|s| s.person.record.id != *but);
        Ok(others.any(|s| Self::is_self(s, id, patient)))
    }

    /// Whether something of the chart explains that somebody looked at a patient.
    pub(crate) fn explained(
        &mut self,
        staff: &Staff,
        patient: &ResourceId,
        at: Micros,
        by: &Explaining,
    ) -> Result<bool> {
        // What is not there yet at one access may be at the next.
        let second = at.0.div_euclid(1_000_000);
        let key = (staff.person.record.id.clone(), patient.clone(), second);
        if let Some(known) = self.explained.get(&key) {
            return Ok(*known);
        }
        let found = self.explains(staff, patient, at, by)?;
        self.explained.insert(key, found);
        Ok(found)
    }

    fn explains(
        &mut self,
        staff: &Staff,
        patient: &ResourceId,
        at: Micros,
        by: &Explaining,
    ) -> Result<bool> {
        let viewer = Viewer::of(&staff.person.record.id, at);
        // Their general practitioner is of the care team.
        let known = self.read_for(&format!("Patient/{}", patient.as_str()), &viewer)?;
        let known = known.map(|body| Human::of(&body)).unwrap_or_default();
        for name in &known.references {
            if self.names(name, &staff.names, &viewer)? {
                return Ok(true);
            }
        }
        let roles = &staff.person.record.roles;
        let sees_visits = |role: &str| by.visit_roles.iter().any(|r| r == role);
        let desk: Vec<_> = roles.iter().filter(|r| sees_visits(&r.role)).collect();
        let around = (i64::from(by.days_before), i64::from(by.days_ahead));
        for type_name in EXPLAINING {
            for rid in self.of_patient(type_name, patient)? {
                let evidence = self.evidence(rid, &viewer)?;
                let Some(resource) = evidence.filter(|r| !is_void(r)) else {
                    continue;
                };
                let mut named = BTreeSet::new();
                each_reference(&resource, &mut |r| {
                    named.insert(r.to_owned());
                });
                if is_around(&resource, at, around) {
                    for name in &named {
                        if self.names(name, &staff.names, &viewer)? {
                            return Ok(true);
                        }
                    }
                }
                let due = VISITS.contains(&type_name) && is_around(&resource, at, (1, 1));
                let mut here = desk.iter().map(|role| match &role.facility {
                    None => true,
                    Some((of, id)) => named.contains(&format!("{of}/{}", id.as_str())),
                });
                if due && here.any(|here| here) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Whether a reference leads to one of these, by a PractitionerRole too.
    fn names(&self, reference: &str, names: &BTreeSet<String>, viewer: &Viewer) -> Result<bool> {
        if names.contains(reference) {
            return Ok(true);
        }
        if !reference.starts_with("PractitionerRole/") {
            return Ok(false);
        }
        let role = self.read_for(reference, viewer)?;
        let practitioner = role
            .as_ref()
            .and_then(|b| b.pointer("/practitioner/reference"))
            .and_then(Value::as_str);
        Ok(practitioner.is_some_and(|r| names.contains(relative(r))))
    }
}

/// `system|code`
fn label(coding: &Value) -> Option<String> {
    let part = |name: &str| coding.get(name).and_then(Value::as_str);
    Some(format!(
        "{}|{}",
        part("system").unwrap_or(""),
        part("code")?
    ))
}

fn is_void(resource: &Value) -> bool {
    let status = resource.get("status").and_then(Value::as_str);
    status.is_some_and(|s| VOID.contains(&s))
}

/// Whether something is going on at a time, ended at most so many days before, or is to come in at most
/// so many. What says no time is going on.
fn is_around(resource: &Value, at: Micros, (before, ahead): (i64, i64)) -> bool {
    let first = |places: &[&str]| {
        let texts = places.iter().filter_map(|p| resource.pointer(p));
        texts.filter_map(Value::as_str).find_map(day_of)
    };
    let begin = first(&[
        "/start",
        "/period/start",
        "/actualPeriod/start",
        "/occurrenceDateTime",
        "/occurrencePeriod/start",
        "/authoredOn",
    ]);
    let ends = [
        "/end",
        "/period/end",
        "/actualPeriod/end",
        "/occurrencePeriod/end",
    ];
    // What is done with and says no end ended when it began.
    let status = resource.get("status").and_then(Value::as_str);
    let done = matches!(
        status,
        Some("finished" | "fulfilled" | "completed" | "inactive" | "discharged")
    );
    let single = ["/occurrenceDateTime", "/authoredOn"].iter();
    let is_single = single.clone().any(|p| resource.pointer(p).is_some());
    let end = first(&ends).or_else(|| begin.filter(|_| done || is_single));
    let today = at.0.div_euclid(DAY_US);
    begin.is_none_or(|b| b <= today + ahead) && end.is_none_or(|e| e + before >= today)
}

/// The day of a date or an instant, in days since 1970; the first one of a month or year.
fn day_of(text: &str) -> Option<i64> {
    let mut parts = text.get(..text.len().min(10))?.split('-');
    let mut number = |or: i64| match parts.next() {
        None => Some(or),
        Some(part) => part.parse::<i64>().ok(),
    };
    let (year, month, day) = (number(1970)?, number(1)?, number(1)?);
    if !(1..=9_999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (month, day) = (u8::try_from(month).ok()?, u8::try_from(day).ok()?);
    Some(Micros::from_civil(year, month, day, 0).0.div_euclid(DAY_US))
}

/// A digest of a patient's id, to count by.
pub(crate) fn digest(id: &ResourceId) -> u64 {
    let hash = crate::sqlite::sha256(id.as_str().as_bytes());
    hash.first_chunk()
        .map_or(0, |first| u64::from_be_bytes(*first))
}

/// Facilities that a record says somebody holds roles at.
pub(crate) fn facilities(text: Option<&str>) -> HashSet<&str> {
    text.into_iter()
        .flat_map(|f| f.split(' '))
        .filter(|f| !f.is_empty())
        .collect()
}

#[cfg(test)]
mod tests;
