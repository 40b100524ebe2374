//! What an access is judged by: who a patient is, who somebody of the staff is, and what of the chart
//! explains that the one looked at the other.
//!
//! All of it is read from the resources as they were when somebody looked: versions that came later say
//! nothing, and what explains an access is taken from versions that the one who looked did not write. What
//! calls for attention counts where any version around the access says it. Nothing of it leaves.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use access::{PersonId, PersonState};
use base::{Code, Micros, ResourceId};
use fhir::definitions::TypeId;
use rusqlite::Connection;
use serde_json::Value;

use crate::face::{Explaining, Person};
use crate::sqlite::fault::Doing;
use crate::sqlite::index::IdKey;
use crate::sqlite::rows;
use crate::sqlite::tenant::OpenTenant;
use crate::{Method, Result};

mod everybody;

use everybody::Everybody;

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
const VERSIONS_MAX: i64 = 20;
/// Versions that are read to explain one access; past it nothing explains it.
const READ_MAX: usize = 1_000;
/// For so long after it an access stays without explanation, in microseconds.
const UNEXPLAINED_US: i64 = 60_000_000;
/// Accesses of which it is remembered whether something explains them.
const EXPLAINED_MAX: usize = 10_000;
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
pub(crate) struct Viewer {
    /// `person:…`
    who: String,
    at: Micros,
}

impl Viewer {
    pub(crate) fn of(person: &PersonId, at: Micros) -> Self {
        Self {
            who: format!("person:{}", person.as_str()),
            at,
        }
    }
}

/// A version of a row, as far as the list of versions says.
struct Made {
    version: i64,
    updated: i64,
    actor: String,
}

/// What a row was around an access.
#[derive(Default)]
struct Around {
    /// Its newest version of that time which the one who looked did not write.
    evidence: Option<Value>,
    /// That, and all versions that stood within the day before.
    all: Vec<Value>,
}

/// What is remembered of a tenant from one turn of the watch to the next.
#[derive(Default)]
pub(crate) struct Remembered {
    /// When it was asked last whether something explains that somebody looks at a patient, and whether it
    /// did.
    explained: HashMap<(PersonId, ResourceId), (Micros, bool)>,
    everybody: Option<Everybody>,
}

/// Looks things up in one snapshot.
pub(crate) struct Facts<'a> {
    tenant: &'a Arc<OpenTenant>,
    db: &'a Connection,
    remembered: &'a mut Remembered,
    /// Who explains nothing by what they write.
    not_by: Vec<String>,
    patients: HashMap<(PersonId, ResourceId, i64), Arc<Patient>>,
    staff: HashMap<PersonId, Option<Arc<Staff>>>,
    knows_everybody: bool,
    /// Versions that may still be read for one access.
    left: Cell<usize>,
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

    /// What another resource says of the same one besides.
    fn add(&mut self, other: Self) {
        self.surnames.extend(other.surnames);
        self.births.extend(other.births);
        self.identifiers.extend(other.identifiers);
        self.references.extend(other.references);
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
    pub(crate) fn new(
        tenant: &'a Arc<OpenTenant>,
        db: &'a Connection,
        remembered: &'a mut Remembered,
        explaining: &Explaining,
    ) -> Self {
        Self {
            tenant,
            db,
            remembered,
            not_by: explaining.not_by.clone(),
            patients: HashMap::new(),
            staff: HashMap::new(),
            knows_everybody: false,
            left: Cell::new(READ_MAX),
        }
    }

    /// The row of `Type/id`.
    fn rid(&self, name: &str) -> Result<Option<i64>> {
        let Some((of, id)) = name.split_once('/') else {
            return Ok(None);
        };
        let of = self.tenant.model.type_id(of);
        match (of, ResourceId::new(id)) {
            (Some(of), Ok(id)) => rows::rid_of(self.db, of, &id),
            _ => Ok(None),
        }
    }

    /// What `Type/id` is as evidence for somebody.
    fn read_for(&self, name: &str, viewer: &Viewer) -> Result<Option<Value>> {
        match self.rid(name)? {
            Some(rid) => self.evidence(rid, viewer),
            None => Ok(None),
        }
    }

    /// What `Type/id` was around an access.
    fn read_around(&self, name: &str, viewer: &Viewer) -> Result<Around> {
        match self.rid(name)? {
            Some(rid) => self.around(rid, viewer),
            None => Ok(Around::default()),
        }
    }

    /// Versions of a row that were there when somebody looked, the newest first.
    fn made(&self, rid: i64, viewer: &Viewer) -> Result<Vec<Made>> {
        let mut read = self
            .db
            .prepare_cached(
                "SELECT v.version, v.updated_us, a.text FROM version v JOIN actor a ON a.id = v.actor
                 WHERE v.rid = ?1 AND v.updated_us <= ?2 ORDER BY v.version DESC LIMIT ?3",
            )
            .doing(DOING)?;
        let made = |r: &rusqlite::Row<'_>| {
            Ok(Made {
                version: r.get(0)?,
                updated: r.get(1)?,
                actor: r.get(2)?,
            })
        };
        read.query_map((rid, viewer.at.0, VERSIONS_MAX), made)
            .and_then(Iterator::collect)
            .doing(DOING)
    }

    /// A version that carries its seal; nothing of a deletion.
    fn body(&self, rid: i64, version: i64) -> Result<Option<Value>> {
        let Some(left) = self.left.get().checked_sub(1) else {
            return Ok(None);
        };
        self.left.set(left);
        let found = match rows::older(self.tenant, self.db, rid, version) {
            Err(e) if e.code() == Code::ResourceQuarantined => None,
            other => other?,
        };
        let there = found.filter(|stored| stored.method != Method::Delete);
        Ok(there.and_then(|stored| serde_json::from_slice(&stored.body).ok()))
    }

    /// Whether what somebody wrote is evidence for a viewer.
    fn is_evidence(&self, made: &Made, viewer: &Viewer) -> bool {
        let mut parts = made.actor.split(' ');
        let own = parts.clone().next().unwrap_or_default() == viewer.who;
        !own && !parts.any(|part| self.not_by.iter().any(|not| not == part))
    }

    /// What a row is as evidence for somebody: its newest version of that time that they did not write
    /// themselves. Nobody explains their own access, and nothing that came after it does.
    fn evidence(&self, rid: i64, viewer: &Viewer) -> Result<Option<Value>> {
        let made = self.made(rid, viewer)?;
        match made.iter().find(|made| self.is_evidence(made, viewer)) {
            Some(made) => self.body(rid, made.version),
            None => Ok(None),
        }
    }

    /// What a row was around an access: nobody takes a mark off, looks, and puts it back.
    fn around(&self, rid: i64, viewer: &Viewer) -> Result<Around> {
        let mut around = Around::default();
        let mut until = i64::MAX;
        let mut is_found = false;
        for made in self.made(rid, viewer)? {
            let stood = until > viewer.at.0 - DAY_US;
            until = made.updated;
            let is_evidence = !is_found && self.is_evidence(&made, viewer);
            if !stood && !is_evidence {
                if is_found {
                    break;
                }
                continue;
            }
            let body = self.body(rid, made.version)?;
            if is_evidence {
                is_found = true;
                around.evidence.clone_from(&body);
            }
            around.all.extend(body);
        }
        Ok(around)
    }

    /// Rows that name a patient as the one whom it is about, the newest first; with those that did a while
    /// ago, if the index knows of them still.
    fn of_patient(&self, type_name: &str, patient: &ResourceId, gone: bool) -> Result<Vec<i64>> {
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
                 WHERE param IN (?1, ?2) AND type = ?3 AND id = ?4 AND (?6 OR until_seq = 0)
                   AND rid > 0
                 ORDER BY rid DESC LIMIT ?5",
            )
            .doing(DOING)?;
        let key = IdKey::of_id(patient);
        read.query_map((patients, subjects, to, key, EACH_MAX, gone), |r| r.get(0))
            .and_then(Iterator::collect)
            .doing(DOING)
    }

    /// A patient, as they were around an access: who they are, and what marks them.
    pub(crate) fn patient(
        &mut self,
        id: &ResourceId,
        person: &PersonId,
        at: Micros,
    ) -> Result<Arc<Patient>> {
        let key = (person.clone(), id.clone(), at.0.div_euclid(1_000_000));
        if let Some(known) = self.patients.get(&key) {
            return Ok(known.clone());
        }
        self.left.set(READ_MAX);
        let viewer = Viewer::of(person, at);
        let name = format!("Patient/{}", id.as_str());
        let mut patient = Patient::default();
        for body in &self.read_around(&name, &viewer)?.all {
            patient.human.add(Human::of(body));
            let labels = list(body.pointer("/meta/security")).filter_map(label);
            patient.labels.extend(labels);
            for extension in list(body.get("extension")) {
                if extension.get("url").and_then(Value::as_str) == Some(IMPORTANCE) {
                    let codings = list(extension.pointer("/valueCodeableConcept/coding"));
                    patient.labels.extend(codings.filter_map(label));
                }
            }
        }
        for rid in self.of_patient("Flag", id, true)? {
            for flag in &self.around(rid, &viewer)?.all {
                let is_active = flag.get("status").and_then(Value::as_str) == Some("active");
                if is_active && names_one(flag, &name) {
                    let codings = list(flag.pointer("/code/coding"));
                    patient.labels.extend(codings.filter_map(label));
                }
            }
        }
        let patient = Arc::new(patient);
        self.patients.insert(key, patient.clone());
        Ok(patient)
    }

    /// Facilities that a patient is one of, as others than the one who looked say.
    pub(crate) fn facilities_of(
        &self,
        id: &ResourceId,
        viewer: &Viewer,
    ) -> Result<BTreeSet<String>> {
        self.left.set(READ_MAX);
        let mut facilities = BTreeSet::new();
        let known = self.read_for(&format!("Patient/{}", id.as_str()), viewer)?;
        let of = known.as_ref();
        let of = of.and_then(|body| body.pointer("/managingOrganization/reference"));
        facilities.extend(of.and_then(Value::as_str).map(|r| relative(r).to_owned()));
        for rid in self.of_patient("Encounter", id, false)? {
            let Some(encounter) = self.evidence(rid, viewer)?.filter(|e| !is_void(e)) else {
                continue;
            };
            each_reference(&encounter, &mut |r| {
                if r.starts_with("Organization/") || r.starts_with("Location/") {
                    facilities.insert(r.to_owned());
                }
            });
        }
        Ok(facilities)
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
        self.left.set(READ_MAX);
        let name = format!("{of}/{}", id.as_str());
        // Nobody says of themselves who they are besides, nor takes off what is said of them.
        let viewer = Viewer::of(&person.record.id, self.tenant.shared.clock.now());
        let mut around = self.read_around(&name, &viewer)?;
        let said = around.evidence.take();
        staff.names.insert(name);
        if of == "PractitionerRole" {
            let practitioner = said
                .as_ref()
                .and_then(|b| b.pointer("/practitioner/reference"))
                .and_then(Value::as_str)
                .map(|r| relative(r).to_owned());
            if let Some(practitioner) = practitioner {
                around = self.read_around(&practitioner, &viewer)?;
                staff.names.insert(practitioner);
            }
        }
        for body in &around.all {
            staff.human.add(Human::of(body));
        }
        if of == "Person"
            && let Some(said) = &said
        {
            let all = Human::of(said).references.into_iter();
            staff
                .names
                .extend(all.filter(|r| r.starts_with("Practitioner")));
        }
        Ok(Some(Arc::new(staff)))
    }

    /// Whether a patient is this one of the staff.
    pub(crate) fn is_self(staff: &Staff, id: &ResourceId, patient: &Patient) -> bool {
        let own = format!("Patient/{}", id.as_str());
        staff.human.references.contains(&own) || staff.human.is(&patient.human)
    }

    /// Whether a patient is somebody else of the staff who may sign in.
    pub(crate) fn works_here(
        &mut self,
        but: &PersonId,
        id: &ResourceId,
        patient: &Patient,
    ) -> Result<bool> {
        if !self.knows_everybody {
            self.learn_everybody()?;
            self.knows_everybody = true;
        }
        let everybody = self.remembered.everybody.as_ref();
        Ok(everybody.is_some_and(|all| all.has_another(but, id, &patient.human)))
    }

    /// Learns who is of the staff, where that is not known or long ago.
    fn learn_everybody(&mut self) -> Result<()> {
        let now = self.tenant.shared.clock.monotonic();
        let people = self.tenant.people().sorted();
        let known = self.remembered.everybody.as_ref();
        if known.is_some_and(|known| known.is_fresh(now, &people)) {
            return Ok(());
        }
        let mut everybody = Everybody::begin(now, &people);
        for person in &people {
            if person.record.state != PersonState::Disabled
                && let Some(staff) = self.staff(&person.record.id)?
            {
                everybody.add(&staff);
            }
        }
        self.remembered.everybody = Some(everybody);
        Ok(())
    }

    /// Whether something of the chart explains that somebody looked at a patient. What explains it does so
    /// for the rest of the day.
    pub(crate) fn explained(
        &mut self,
        staff: &Staff,
        patient: &ResourceId,
        at: Micros,
        by: &Explaining,
    ) -> Result<bool> {
        let key = (staff.person.record.id.clone(), patient.clone());
        if let Some((asked, found)) = self.remembered.explained.get(&key) {
            let day = |at: Micros| at.0.div_euclid(DAY_US);
            // What is not there yet at one access may be a while after it.
            let holds = match found {
                true => day(*asked) == day(at),
                false => at.0 - asked.0 < UNEXPLAINED_US,
            };
            if holds && *asked <= at {
                return Ok(*found);
            }
        }
        self.left.set(READ_MAX);
        let found = self.explains(staff, patient, at, by)?;
        let known = &mut self.remembered.explained;
        if known.len() >= EXPLAINED_MAX {
            known.clear();
        }
        known.insert(key, (at, found));
        Ok(found)
    }

    fn explains(
        &self,
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
            for rid in self.of_patient(type_name, patient, false)? {
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

/// Whether a resource names another one.
fn names_one(resource: &Value, name: &str) -> bool {
    let mut found = false;
    each_reference(resource, &mut |r| found |= r == name);
    found
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
