//! The three clinics: what they are, who works there, and where.

use serde_json::{Value, json};

use super::calendar::Date;
use super::chance::Chance;
use super::names;
use super::person::Sex;
use super::write::hl7;
use super::write::{
    BUNDLE_END, BUNDLE_START, concept, named_reference, push_entry, reference, term,
};

/// What a clinic does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Teeth.
    Dental,
    /// Everybody, for years.
    FamilyPractice,
    /// Emergencies and stays.
    Hospital,
}

/// One of the sample clinics.
#[derive(Debug)]
pub struct Clinic {
    /// The tenant's name.
    pub name: &'static str,
    /// What people call it.
    pub display: &'static str,
    /// What it does.
    pub kind: Kind,
    /// Patients at size 1.
    pub patients: usize,
    pub(super) town: &'static str,
    pub(super) postcode: &'static str,
    /// Trades of the people who treat patients there: NUCC code, words, how many.
    staff: &'static [(&'static str, &'static str, i64)],
    /// Id, name and HL7 location type of each place in the house.
    places: &'static [(&'static str, &'static str, &'static str)],
}

/// The sample clinics, smallest first.
pub const CLINICS: [Clinic; 3] = [
    Clinic {
        name: "lakeside",
        display: "Lakeside Dental",
        kind: Kind::Dental,
        patients: 120,
        town: "Lakeside",
        postcode: "12909",
        staff: &[
            ("122300000X", "Dentist", 3),
            ("124Q00000X", "Dental hygienist", 2),
        ],
        places: &[
            ("room-1", "Treatment room 1", "OF"),
            ("room-2", "Treatment room 2", "OF"),
            ("room-3", "Hygiene room", "OF"),
        ],
    },
    Clinic {
        name: "hillcrest",
        display: "Hillcrest Family Practice",
        kind: Kind::FamilyPractice,
        patients: 150,
        town: "Hillcrest",
        postcode: "12977",
        staff: &[
            ("207Q00000X", "Family physician", 5),
            ("208000000X", "Paediatrician", 2),
            ("363LF0000X", "Nurse practitioner", 3),
        ],
        places: &[
            ("room-a", "Consulting room A", "OF"),
            ("room-b", "Consulting room B", "OF"),
            ("room-c", "Children's room", "PEDC"),
        ],
    },
    Clinic {
        name: "st-brigid",
        display: "St. Brigid's Hospital",
        kind: Kind::Hospital,
        patients: 230,
        town: "Port Brigid",
        postcode: "12998",
        staff: &[
            ("207P00000X", "Emergency physician", 6),
            ("207R00000X", "Internist", 8),
            ("208600000X", "Surgeon", 5),
            ("207RC0000X", "Cardiologist", 3),
            ("2085R0202X", "Radiologist", 2),
        ],
        places: &[
            ("emergency", "Emergency department", "ER"),
            ("ward-2", "Ward 2, general medicine", "HU"),
            ("ward-3", "Ward 3, surgery", "HU"),
            ("cardiology", "Heart unit", "CARD"),
            ("radiology", "Imaging", "RADDX"),
            ("outpatients", "Outpatient clinic", "OF"),
        ],
    },
];

/// Somebody who treats patients.
#[derive(Clone, Debug)]
pub(super) struct Practitioner {
    pub(super) id: String,
    pub(super) display: String,
    names: Value,
    sex: Sex,
    trade: (&'static str, &'static str),
}

impl Clinic {
    /// The base URL under which the clinic's own Bundles name their entries.
    pub(super) fn base(&self) -> String {
        format!("https://{}.example/fhir", self.name)
    }

    /// Id of the clinic's Organization.
    pub(super) const fn organization(&self) -> &'static str {
        self.name
    }

    /// A place in the house; wraps around.
    pub(super) fn place(&self, index: usize) -> (&'static str, &'static str) {
        let (id, name, _) = self.places[index % self.places.len()];
        (id, name)
    }

    /// Everybody who works there, always the same people for one seed.
    pub(super) fn practitioners(&self, seed: u64) -> Vec<Practitioner> {
        let mut chance = Chance::new(seed, self.name, u64::MAX);
        let mut all = Vec::new();
        for &(code, words, count) in self.staff {
            for _ in 0..count {
                let sex = if chance.happens(0.55) {
                    Sex::Female
                } else {
                    Sex::Male
                };
                let tongue = names::tongue(&mut chance);
                let family = tongue.family(&mut chance);
                let name = tongue.name(&mut chance, sex, family);
                let title = if code == "124Q00000X" || code == "363LF0000X" {
                    ""
                } else {
                    "Dr. "
                };
                all.push(Practitioner {
                    id: format!("staff-{}", all.len() + 1),
                    display: format!("{title}{} {}", name.given.0, name.family.0),
                    names: json!([{"use": "official", "family": name.family.0, "given": [name.given.0]}]),
                    sex,
                    trade: (code, words),
                });
            }
        }
        all
    }

    /// The Bundle of the house itself: Organization, Locations, Practitioners and their roles.
    pub(super) fn house(&self, seed: u64, today: Date) -> String {
        let base = self.base();
        let mut out = String::from(BUNDLE_START);
        let mut put = |kind: &str, id: &str, resource: Value| {
            push_entry(&mut out, &base, kind, id, &resource);
        };
        put(
            "Organization",
            self.organization(),
            self.organization_resource(),
        );
        for (i, &(id, name, kind)) in self.places.iter().enumerate() {
            put("Location", id, self.location(i, id, name, kind));
        }
        for (i, person) in self.practitioners(seed).iter().enumerate() {
            put("Practitioner", &person.id, practitioner(person, i));
            put(
                "PractitionerRole",
                &format!("{}-role", person.id),
                self.role(person, today, i),
            );
        }
        out.push_str(BUNDLE_END);
        out
    }

    fn organization_resource(&self) -> Value {
        json!({
            "resourceType": "Organization",
            "id": self.organization(),
            "identifier": [{"system": format!("https://{}.example/organization", self.name), "value": "1"}],
            "active": true,
            "type": [term("organization-type", "prov")],
            "name": self.display,
            "telecom": [
                {"system": "phone", "value": "+1-518-555-0100", "use": "work"},
                {"system": "url", "value": format!("https://{}.example", self.name)}
            ],
            "address": [{"line": ["1 Market Square"], "city": self.town, "state": "NY", "postalCode": self.postcode, "country": "US"}]
        })
    }

    fn location(&self, index: usize, id: &str, name: &str, kind: &str) -> Value {
        json!({
            "resourceType": "Location",
            "id": id,
            "identifier": [{"system": format!("https://{}.example/location", self.name), "value": format!("L{index}")}],
            "status": "active",
            "name": name,
            "mode": "instance",
            "type": [{"coding": [{"system": hl7("v3-RoleCode"), "code": kind}]}],
            "position": {"longitude": -73.4 - index as f64 * 0.0001, "latitude": 44.7},
            "managingOrganization": named_reference("Organization", self.organization(), self.display)
        })
    }

    fn role(&self, person: &Practitioner, today: Date, index: usize) -> Value {
        let (code, words) = person.trade;
        json!({
            "resourceType": "PractitionerRole",
            "id": format!("{}-role", person.id),
            "active": true,
            "period": {"start": today.plus(-900 - index as i64 * 97).to_string()},
            "practitioner": named_reference("Practitioner", &person.id, &person.display),
            "organization": named_reference("Organization", self.organization(), self.display),
            "code": [concept("http://nucc.org/provider-taxonomy", code, words)],
            "location": [reference("Location", self.place(index).0)],
            "availableTime": [{
                "daysOfWeek": ["mon", "tue", "wed", "thu", "fri"],
                "availableStartTime": "09:00:00",
                "availableEndTime": "16:00:00"
            }]
        })
    }
}

fn practitioner(person: &Practitioner, index: usize) -> Value {
    json!({
        "resourceType": "Practitioner",
        "id": person.id,
        "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": format!("99999{:05}", 10_000 + index * 37)}],
        "active": true,
        "name": person.names,
        "gender": person.sex.code(),
        "telecom": [{"system": "email", "value": format!("{}@example.org", person.id), "use": "work"}],
        "qualification": [{"code": {"text": person.trade.1}}]
    })
}
