//! Searches, and what they find as a naive reader finds it.

use serde_json::Value;

use super::naive::{name, reference};
use super::trial::Trial;

/// A search: of which types it asks, at which parameters it looks, what fits of the first type, and what
/// comes with it.
pub(super) struct Query {
    pub(super) text: &'static str,
    pub(super) types: &'static [&'static str],
    pub(super) looks: &'static [(&'static str, &'static str)],
    pub(super) fits: fn(&Trial<'_>, &Value) -> bool,
    pub(super) includes: fn(&Trial<'_>, &Value) -> Vec<String>,
}

fn alone(_: &Trial<'_>, _: &Value) -> Vec<String> {
    Vec::new()
}

/// What an element refers to, where it is seen.
fn included(trial: &Trial<'_>, from: &Value, path: &str) -> Vec<String> {
    let to = reference(from, path).filter(|to| trial.sees(to));
    to.map(str::to_owned).into_iter().collect()
}

/// What of a type in sight refers to a resource by an element.
fn referring<'t>(
    trial: &'t Trial<'_>,
    of: &'static str,
    path: &'static str,
    to: &Value,
) -> impl Iterator<Item = &'t Value> {
    let to = name(to);
    trial.judge.known.values().filter(move |r| {
        r["resourceType"] == of && reference(r, path) == Some(&*to) && trial.sees(&name(r))
    })
}

/// What an element refers to, as a resource in sight.
fn through<'t>(trial: &'t Trial<'_>, from: &Value, path: &str) -> Option<&'t Value> {
    let to = reference(from, path).filter(|to| trial.sees(to))?;
    trial.judge.known.get(to)
}

pub(super) const QUERIES: &[Query] = &[
    Query {
        text: "Patient?_total=accurate",
        types: &["Patient"],
        looks: &[],
        fits: |_, _| true,
        includes: alone,
    },
    Query {
        text: "Observation?_total=accurate",
        types: &["Observation"],
        looks: &[],
        fits: |_, _| true,
        includes: alone,
    },
    Query {
        text: "Encounter?_total=accurate",
        types: &["Encounter"],
        looks: &[],
        fits: |_, _| true,
        includes: alone,
    },
    Query {
        text: "Practitioner?_total=accurate",
        types: &["Practitioner"],
        looks: &[],
        fits: |_, _| true,
        includes: alone,
    },
    Query {
        text: "Organization?_total=accurate&_sort=name",
        types: &["Organization"],
        looks: &[],
        fits: |_, _| true,
        includes: alone,
    },
    Query {
        text: "Patient?gender:not=male&_total=accurate",
        types: &["Patient"],
        looks: &[("Patient", "gender")],
        fits: |_, r| r["gender"] != "male",
        includes: alone,
    },
    Query {
        text: "Patient?_filter=gender%20eq%20female&_total=accurate",
        types: &["Patient"],
        looks: &[("Patient", "gender")],
        fits: |_, r| r["gender"] == "female",
        includes: alone,
    },
    Query {
        text: "Patient?_sort=-birthdate,name&_total=accurate",
        types: &["Patient"],
        looks: &[("Patient", "birthdate"), ("Patient", "name")],
        fits: |_, _| true,
        includes: alone,
    },
    Query {
        text: "Patient?phone:missing=true&_total=accurate",
        types: &["Patient"],
        looks: &[("Patient", "phone")],
        fits: |_, r| r["telecom"].is_null(),
        includes: alone,
    },
    Query {
        text: "Patient?family=al&_total=accurate&_include=Patient:organization",
        types: &["Patient", "Organization"],
        looks: &[("Patient", "family"), ("Patient", "organization")],
        fits: |_, r| r["name"][0]["family"] == "Al",
        includes: |t, r| included(t, r, "managingOrganization"),
    },
    Query {
        text: "Patient?_has:Observation:patient:code=x&_total=accurate",
        types: &["Patient", "Observation"],
        looks: &[("Observation", "patient")],
        fits: |t, r| {
            referring(t, "Observation", "subject", r).any(|o| o["code"]["coding"][0]["code"] == "x")
        },
        includes: alone,
    },
    Query {
        text: "Patient?organization.name=two&_total=accurate",
        types: &["Patient", "Organization"],
        looks: &[("Patient", "organization")],
        fits: |t, r| through(t, r, "managingOrganization").is_some_and(|o| o["name"] == "Two"),
        includes: alone,
    },
    Query {
        text: "Patient?general-practitioner:Practitioner.name=dr&_total=accurate",
        types: &["Patient", "Practitioner"],
        looks: &[
            ("Patient", "general-practitioner"),
            ("Practitioner", "name"),
        ],
        fits: |t, r| through(t, r, "generalPractitioner/0").is_some(),
        includes: alone,
    },
    Query {
        text: "Observation?patient.gender=female&_total=accurate",
        types: &["Observation", "Patient"],
        looks: &[("Observation", "patient"), ("Patient", "gender")],
        fits: |t, r| through(t, r, "subject").is_some_and(|p| p["gender"] == "female"),
        includes: alone,
    },
    Query {
        text: "Observation?code=x,y&_total=accurate&_include=Observation:subject",
        types: &["Observation"],
        looks: &[("Observation", "subject")],
        fits: |_, r| matches!(r["code"]["coding"][0]["code"].as_str(), Some("x" | "y")),
        includes: |t, r| included(t, r, "subject"),
    },
    Query {
        text: "Observation?date=ge2026-01-05&_total=accurate",
        types: &["Observation"],
        looks: &[("Observation", "date")],
        fits: |_, r| {
            r["effectiveDateTime"]
                .as_str()
                .is_some_and(|d| d >= "2026-01-05")
        },
        includes: alone,
    },
    Query {
        text: "Observation?performer:missing=false&_total=accurate&_include=Observation:performer",
        types: &["Observation"],
        looks: &[("Observation", "performer")],
        fits: |_, r| !r["performer"].is_null(),
        includes: |t, r| included(t, r, "performer/0"),
    },
    Query {
        text: "Observation?value-string=told&_total=accurate",
        types: &["Observation"],
        looks: &[("Observation", "value-string")],
        fits: |_, r| {
            let value = r["valueString"].as_str();
            value.is_some_and(|v| v.starts_with("told"))
        },
        includes: alone,
    },
    Query {
        text: "Encounter?participant:missing=true&_total=accurate",
        types: &["Encounter"],
        looks: &[("Encounter", "participant")],
        fits: |_, r| r["participant"].is_null(),
        includes: alone,
    },
    Query {
        text: "Encounter?subject:Patient.birthdate:missing=true&_total=accurate",
        types: &["Encounter", "Patient"],
        looks: &[("Patient", "birthdate")],
        fits: |t, r| through(t, r, "subject").is_some_and(|p| p["birthDate"].is_null()),
        includes: alone,
    },
    Query {
        text: "Patient?_id=p0,p1,p3&_revinclude=Encounter:subject&_total=accurate",
        types: &["Patient", "Encounter"],
        looks: &[],
        fits: |_, r| ["p0", "p1", "p3"].contains(&r["id"].as_str().unwrap()),
        includes: |t, r| referring(t, "Encounter", "subject", r).map(name).collect(),
    },
    Query {
        text: "Organization?_has:Patient:organization:gender:not=male&_total=accurate",
        types: &["Organization", "Patient"],
        looks: &[("Patient", "organization"), ("Patient", "gender")],
        fits: |t, r| {
            referring(t, "Patient", "managingOrganization", r).any(|p| p["gender"] != "male")
        },
        includes: alone,
    },
];
