//! One patient's chart in the making: resources that refer to each other, with readable ids.

use serde_json::{Value, json};

use super::calendar::{Date, Moment};
use super::chance::Chance;
use super::clinic::{Clinic, Practitioner};
use super::conditions::Disorder;
use super::medications::Medication;
use super::person::{Household, Person, Role, Smoking};
use super::vaccines::Vaccine;
use super::write::{
    BUNDLE_END, BUNDLE_START, CVX, ICD10, RXNORM, SNOMED, concept, hl7, named_reference,
    push_entry, quantity, reference, term,
};

/// What every chart of a clinic has in common.
#[derive(Debug)]
pub(super) struct House {
    pub(super) clinic: &'static Clinic,
    pub(super) practitioners: Vec<Practitioner>,
    pub(super) today: Date,
}

/// A visit that resources hang on.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub(super) id: String,
    pub(super) start: Moment,
    pub(super) end: Moment,
    /// Index of the practitioner.
    pub(super) by: usize,
}

/// What an Encounter says about itself.
#[derive(Clone, Debug)]
pub(super) struct VisitKind {
    /// `AMB`, `EMER` or `IMP` of v3 ActCode.
    pub(super) class: &'static str,
    /// SNOMED CT code and words.
    pub(super) kind: (&'static str, &'static str),
    pub(super) place: usize,
    pub(super) reason: Option<String>,
    pub(super) open: bool,
}

/// One patient's chart.
#[derive(Debug)]
pub(super) struct Chart<'a> {
    pub(super) house: &'a House,
    pub(super) person: &'a Person,
    pub(super) chance: Chance,
    /// The patient's own practitioner, by index.
    pub(super) own: usize,
    id: String,
    number: usize,
    bundle: String,
    base: String,
    counts: [usize; 128],
}

impl<'a> Chart<'a> {
    /// Opens the chart of the clinic's patient with this number.
    pub(super) fn open(
        house: &'a House,
        household: &Household,
        person: &'a Person,
        number: usize,
        mut chance: Chance,
    ) -> Self {
        let own = chance.between(0, house.practitioners.len() as i64 - 1) as usize;
        let mut chart = Self {
            house,
            person,
            chance,
            own,
            id: format!("p{number}"),
            number,
            bundle: String::from(BUNDLE_START),
            base: house.clinic.base(),
            counts: [0; 128],
        };
        chart.patient(household);
        chart.allergies();
        chart
    }

    /// The chart as one transaction Bundle.
    pub(super) fn close(mut self) -> String {
        self.bundle.push_str(BUNDLE_END);
        self.bundle
    }

    /// The last day on which something can have been charted.
    pub(super) fn last_day(&self) -> Date {
        self.person
            .death
            .unwrap_or_else(|| self.house.today.plus(-1))
    }

    /// The patient as others refer to it.
    pub(super) fn subject(&self) -> Value {
        named_reference("Patient", &self.id, &self.person.display())
    }

    fn practitioner(&self, index: usize) -> Value {
        let who = &self.house.practitioners[index % self.house.practitioners.len()];
        named_reference("Practitioner", &who.id, &who.display)
    }

    /// Adds a resource under `{patient}-{letter}{count}` and gives that id.
    pub(super) fn add(&mut self, kind: &str, letter: u8, mut resource: Value) -> String {
        let count = &mut self.counts[usize::from(letter & 0x7f)];
        *count += 1;
        let id = format!("{}-{}{count}", self.id, char::from(letter));
        if let Some(members) = resource.as_object_mut() {
            members.insert("resourceType".into(), kind.into());
            members.insert("id".into(), id.clone().into());
        }
        push_entry(&mut self.bundle, &self.base, kind, &id, &resource);
        id
    }

    fn patient(&mut self, household: &Household) {
        let (person, clinic) = (self.person, self.house.clinic);
        let mut patient = json!({
            "resourceType": "Patient",
            "id": self.id,
            "identifier": [{
                "use": "usual",
                "type": term("v2-0203", "MR"),
                "system": format!("https://{}.example/mrn", clinic.name),
                "value": format!("{}{:06}", clinic.name[..1].to_uppercase(), 100_000 + self.number)
            }],
            "active": person.death.is_none(),
            "name": person.names(),
            "telecom": household.telecom(person),
            "gender": person.sex.code(),
            "birthDate": person.birth.to_string(),
            "address": household.address(clinic.town, clinic.postcode),
            "communication": [{
                "language": {"coding": [{"system": "urn:ietf:bcp:47", "code": household.tongue.language}]},
                "preferred": true
            }],
            "generalPractitioner": [self.practitioner(self.own)],
            "managingOrganization": named_reference("Organization", clinic.organization(), clinic.display)
        });
        if let Some(day) = person.death {
            patient["deceasedDateTime"] = json!(day.at(self.chance.between(0, 1439)).to_string());
        }
        match person.role {
            Role::Adult { partnered } => {
                patient["maritalStatus"] =
                    term("v3-MaritalStatus", if partnered { "M" } else { "S" });
            }
            Role::Child => {
                let parents = household
                    .people
                    .iter()
                    .filter(|p| p.role != Role::Child && p.death.is_none());
                let contacts: Vec<Value> = parents
                    .map(|p| json!({
                        "relationship": [term("v3-RoleCode", if p.sex.code() == "female" { "MTH" } else { "FTH" })],
                        "name": {"family": p.name.family.0, "given": [p.name.given.0]},
                        "gender": p.sex.code()
                    }))
                    .collect();
                if !contacts.is_empty() {
                    patient["contact"] = Value::from(contacts);
                }
            }
        }
        let id = self.id.clone();
        push_entry(&mut self.bundle, &self.base, "Patient", &id, &patient);
    }

    fn allergies(&mut self) {
        for &&(code, text, category, (reaction, words)) in &self.person.allergies {
            let severe = words == "Anaphylaxis";
            let resource = json!({
                "clinicalStatus": term("allergyintolerance-clinical", "active"),
                "verificationStatus": term("allergyintolerance-verification", "confirmed"),
                "type": "allergy",
                "category": [category],
                "criticality": if severe { "high" } else { "low" },
                "code": concept(SNOMED, code, text),
                "patient": self.subject(),
                "reaction": [{
                    "manifestation": [concept(SNOMED, reaction, words)],
                    "severity": if severe { "severe" } else { "mild" }
                }]
            });
            self.add("AllergyIntolerance", b'a', resource);
        }
    }

    /// An Encounter from `start` for some minutes.
    pub(super) fn visit(
        &mut self,
        start: Moment,
        minutes: i64,
        by: usize,
        kind: &VisitKind,
    ) -> Visit {
        let end = start.plus(minutes);
        let (place, place_name) = self.house.clinic.place(kind.place);
        let mut period = json!({"start": start.to_string()});
        if !kind.open {
            period["end"] = json!(end.to_string());
        }
        let mut encounter = json!({
            "status": if kind.open { "in-progress" } else { "finished" },
            "class": {"system": hl7("v3-ActCode"), "code": kind.class},
            "type": [concept(SNOMED, kind.kind.0, kind.kind.1)],
            "subject": self.subject(),
            "participant": [{
                "type": [term("v3-ParticipationType", if kind.class == "IMP" { "ATND" } else { "PPRF" })],
                "individual": self.practitioner(by)
            }],
            "period": period,
            "location": [{"location": named_reference("Location", place, place_name)}],
            "serviceProvider": reference("Organization", self.house.clinic.organization())
        });
        if let Some(reason) = &kind.reason {
            encounter["reasonReference"] = json!([reference("Condition", reason)]);
        }
        if kind.class == "IMP" && !kind.open {
            let died = self.person.death == Some(end.date());
            encounter["hospitalization"] = json!({"dischargeDisposition": term("discharge-disposition", if died { "exp" } else { "home" })});
        }
        let id = self.add("Encounter", b'e', encounter);
        Visit { id, start, end, by }
    }

    /// A Condition that began on a day, and ended on another when it passes.
    pub(super) fn condition(
        &mut self,
        disorder: &Disorder,
        onset: Date,
        abatement: Option<Date>,
        recorded: Date,
        site: Option<Value>,
    ) -> String {
        let over = abatement.is_some_and(|end| end <= self.last_day());
        let mut condition = json!({
            "clinicalStatus": term("condition-clinical", if over { "resolved" } else { "active" }),
            "verificationStatus": term("condition-ver-status", "confirmed"),
            "category": [term("condition-category", if abatement.is_some() { "encounter-diagnosis" } else { "problem-list-item" })],
            "code": {
                "coding": [
                    {"system": SNOMED, "code": disorder.snomed},
                    {"system": ICD10, "code": disorder.icd10}
                ],
                "text": disorder.text
            },
            "subject": self.subject(),
            "onsetDateTime": onset.to_string(),
            "recordedDate": recorded.to_string(),
            "recorder": self.practitioner(self.own)
        });
        if let (Some(end), true) = (abatement, over) {
            condition["abatementDateTime"] = json!(end.to_string());
        }
        if let Some(site) = site {
            condition["bodySite"] = site;
        }
        self.add("Condition", b'c', condition)
    }

    /// A MedicationRequest written at a visit. `until` ends a medicine that is taken on and on.
    pub(super) fn order(
        &mut self,
        visit: &Visit,
        medication: &Medication,
        reason: &str,
        status: &str,
    ) {
        let (amount, unit) = medication.dose;
        let mut order = json!({
            "status": status,
            "intent": "order",
            "medicationCodeableConcept": concept(RXNORM, medication.rxnorm, medication.text),
            "subject": self.subject(),
            "encounter": reference("Encounter", &visit.id),
            "authoredOn": visit.start.to_string(),
            "requester": self.practitioner(visit.by),
            "reasonReference": [reference("Condition", reason)],
            "dosageInstruction": [{
                "text": format!("{amount} {unit}, {} a day", match medication.daily {
                    1 => "once".to_owned(),
                    2 => "twice".to_owned(),
                    n => format!("{n} times"),
                }),
                "timing": {"repeat": {"frequency": medication.daily, "period": 1, "periodUnit": "d"}},
                "route": {"coding": [{"system": SNOMED, "code": medication.route}]},
                "doseAndRate": [{"doseQuantity": quantity(amount, 1, unit)}]
            }]
        });
        let days = if medication.course_days == 0 {
            90
        } else {
            medication.course_days
        };
        order["dispenseRequest"] = json!({
            "numberOfRepeatsAllowed": if medication.course_days == 0 { 3 } else { 0 },
            "expectedSupplyDuration": quantity(days as f64, 0, "d")
        });
        self.add("MedicationRequest", b'm', order);
    }

    /// A Procedure done at a visit.
    pub(super) fn procedure(
        &mut self,
        visit: &Visit,
        code: &Value,
        (start, end): (Moment, Moment),
        reason: Option<&str>,
        site: Option<Value>,
    ) {
        let mut procedure = json!({
            "status": "completed",
            "code": code,
            "subject": self.subject(),
            "encounter": reference("Encounter", &visit.id),
            "performedPeriod": {"start": start.to_string(), "end": end.to_string()},
            "performer": [{"actor": self.practitioner(visit.by)}]
        });
        if let Some(reason) = reason {
            procedure["reasonReference"] = json!([reference("Condition", reason)]);
        }
        if let Some(site) = site {
            procedure["bodySite"] = site;
        }
        self.add("Procedure", b'x', procedure);
    }

    /// An Immunization given at a visit.
    pub(super) fn immunization(&mut self, visit: &Visit, vaccine: &Vaccine, dose: usize) {
        let lot = format!("{}{:04}", vaccine.cvx, self.chance.between(0, 9999));
        let leg = visit.start.date().age(self.person.birth) < 2.0;
        let resource = json!({
            "status": "completed",
            "vaccineCode": concept(CVX, vaccine.cvx, vaccine.text),
            "patient": self.subject(),
            "encounter": reference("Encounter", &visit.id),
            "occurrenceDateTime": visit.start.plus(12).to_string(),
            "primarySource": true,
            "lotNumber": lot,
            "expirationDate": visit.start.date().plus(300).to_string(),
            "site": {"coding": [{"system": hl7("v3-ActSite"), "code": if leg { "LT" } else { "LA" }}]},
            "performer": [{"actor": self.practitioner(visit.by)}],
            "protocolApplied": [{"doseNumberPositiveInt": dose}]
        });
        self.add("Immunization", b'i', resource);
    }

    /// A booked Appointment in one of the practitioner's free slots.
    pub(super) fn appointment(&mut self, minutes: i64, words: &str) {
        if self.person.death.is_some() {
            return;
        }
        // Each patient has one slot of the practitioner's calendar, so no two overlap.
        const SLOTS_A_DAY: i64 = 14;
        let turn = (self.number * 7 / self.house.practitioners.len()) as i64;
        let spread = 12 * SLOTS_A_DAY;
        let own = self.number % self.house.practitioners.len();
        let day = self
            .house
            .today
            .plus_working_days(turn % spread / SLOTS_A_DAY + turn / spread * 12);
        let slot = turn % SLOTS_A_DAY;
        let start = day.at(9 * 60 + slot * 30);
        let status = if self.chance.happens(0.9) {
            "booked"
        } else {
            "pending"
        };
        let accepted = if status == "booked" {
            "accepted"
        } else {
            "needs-action"
        };
        let place = self.house.clinic.place(own);
        let appointment = json!({
            "status": status,
            "serviceType": [{"text": words}],
            "description": words,
            "start": format!("{start}"),
            "end": format!("{}", start.plus(minutes)),
            "minutesDuration": minutes,
            "created": self.house.today.plus(-self.chance.between(1, 40)).to_string(),
            "participant": [
                {"actor": self.subject(), "status": accepted},
                {"actor": self.practitioner(own), "status": "accepted"},
                {"actor": named_reference("Location", place.0, place.1), "status": "accepted"}
            ]
        });
        self.add("Appointment", b'b', appointment);
    }

    /// The code of how the person smokes.
    pub(super) const fn smoking(&self) -> (&'static str, &'static str) {
        match self.person.smoking {
            Smoking::Never => ("266919005", "Never smoked"),
            Smoking::Former => ("8517006", "Used to smoke"),
            Smoking::Daily => ("449868002", "Smokes every day"),
        }
    }
}
