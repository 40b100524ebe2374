use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use serde_json::Value;

use super::*;

const TODAY: Date = Date::new(2026, 11, 22);

fn recipe() -> Recipe {
    Recipe {
        size: 1.0,
        seed: 7,
        today: TODAY,
    }
}

/// Every resource of a clinic by `Type/id`.
fn resources(clinic: &'static Clinic) -> &'static BTreeMap<String, Value> {
    static MADE: [OnceLock<BTreeMap<String, Value>>; 3] = [const { OnceLock::new() }; 3];
    let at = CLINICS.iter().position(|c| c.name == clinic.name).unwrap();
    MADE[at].get_or_init(|| make(clinic))
}

fn make(clinic: &'static Clinic) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for bundle in clinic.population(recipe()) {
        let bundle: Value = serde_json::from_str(&bundle).unwrap();
        assert_eq!(bundle["type"], "transaction");
        for entry in bundle["entry"].as_array().unwrap() {
            let resource = entry["resource"].clone();
            let key = format!(
                "{}/{}",
                text(&resource["resourceType"]),
                text(&resource["id"])
            );
            assert_eq!(entry["request"]["url"], key.as_str());
            assert_eq!(entry["request"]["method"], "PUT");
            assert!(text(&entry["fullUrl"]).ends_with(&key));
            assert!(all.insert(key.clone(), resource).is_none(), "{key} twice");
        }
    }
    all
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// Days since the epoch of a FHIR date or the date of a dateTime.
fn day(value: &Value) -> i64 {
    let t = text(value);
    let part = |r: std::ops::Range<usize>| t[r].parse::<i64>().unwrap();
    Date::new(part(0..4), part(5..7) as u8, part(8..10) as u8).0
}

fn each_clinic(mut check: impl FnMut(&'static Clinic, &BTreeMap<String, Value>)) {
    for clinic in &CLINICS {
        check(clinic, resources(clinic));
    }
}

fn of_type<'a>(all: &'a BTreeMap<String, Value>, kind: &str) -> impl Iterator<Item = &'a Value> {
    let kind = format!("{kind}/");
    all.iter()
        .filter(move |(key, _)| key.starts_with(&kind))
        .map(|(_, resource)| resource)
}

fn walk(value: &Value, see: &mut dyn FnMut(&str, &Value)) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, member)| {
            see(name, member);
            walk(member, see);
        }),
        Value::Array(items) => items.iter().for_each(|item| walk(item, see)),
        _ => {}
    }
}

#[test]
fn the_same_recipe_gives_the_same_people() {
    for clinic in &CLINICS {
        let small = Recipe {
            size: 0.1,
            ..recipe()
        };
        let once: Vec<String> = clinic.population(small).collect();
        assert_eq!(once, clinic.population(small).collect::<Vec<_>>());
        let other = Recipe { seed: 8, ..small };
        assert_ne!(once, clinic.population(other).collect::<Vec<_>>());
        assert_eq!(once.len(), clinic.population(small).len());
    }
}

#[test]
fn the_house_has_the_size_and_the_kinds_that_it_promises() {
    let mut total = 0;
    let mut sizes = Vec::new();
    let mut kinds = BTreeSet::new();
    each_clinic(|clinic, all| {
        eprintln!("{}: {} resources", clinic.name, all.len());
        sizes.push(all.len());
        total += all.len();
        let mut counts = BTreeMap::new();
        for key in all.keys() {
            *counts
                .entry(key.split('/').next().unwrap().to_owned())
                .or_insert(0) += 1;
        }
        eprintln!("{counts:?}");
        kinds.extend(counts.into_keys());
        assert_eq!(of_type(all, "Patient").count(), clinic.patients);
    });
    assert!(sizes.is_sorted(), "{sizes:?}");
    assert!((20_000..=40_000).contains(&total), "{total}");
    let expected = "AllergyIntolerance Appointment Condition DiagnosticReport Encounter Immunization Location \
                    MedicationRequest Observation Organization Patient Practitioner PractitionerRole Procedure";
    assert_eq!(
        kinds
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(" "),
        expected
    );
}

#[test]
fn every_reference_resolves_inside_the_clinic() {
    each_clinic(|_, all| {
        for (key, resource) in all {
            walk(resource, &mut |name, value| {
                if name == "reference" {
                    assert!(all.contains_key(text(value)), "{key}: {value}");
                }
            });
        }
    });
}

#[test]
fn nothing_is_empty() {
    each_clinic(|_, all| {
        for (key, resource) in all {
            walk(resource, &mut |name, value| {
                let empty = match value {
                    Value::Null => true,
                    Value::String(s) => s.trim() != s || s.is_empty(),
                    Value::Array(items) => items.is_empty(),
                    Value::Object(members) => members.is_empty(),
                    _ => false,
                };
                assert!(!empty, "{key}: {name} {value}");
            });
        }
    });
}

#[test]
fn dates_are_in_order() {
    each_clinic(|_, all| {
        for (key, resource) in all {
            let patient = ["subject", "patient"]
                .iter()
                .find_map(|m| resource[*m]["reference"].as_str());
            let Some(patient) = patient.and_then(|p| all.get(p)) else {
                continue;
            };
            let birth = day(&patient["birthDate"]);
            let end = patient.get("deceasedDateTime").map_or(TODAY.0, day);
            walk(resource, &mut |name, value| {
                let is_date = value.as_str().is_some_and(|t| {
                    t.len() >= 10 && t.starts_with(['1', '2']) && t.as_bytes()[4] == b'-'
                });
                if !is_date || name == "expirationDate" {
                    return;
                }
                let day = day(value);
                assert!(day >= birth, "{key}.{name} {value} before birth");
                assert!(
                    day <= end,
                    "{key}.{name} {value} after the last day ({end})"
                );
            });
            if let (Some(start), Some(end)) = (
                resource["period"]["start"].as_str(),
                resource["period"]["end"].as_str(),
            ) {
                assert!(start < end, "{key}");
            }
            if let Some(over) = resource.get("abatementDateTime") {
                assert!(day(&resource["onsetDateTime"]) <= day(over), "{key}");
            }
            if let (Some(onset), Some(recorded)) =
                (resource.get("onsetDateTime"), resource.get("recordedDate"))
            {
                assert!(day(onset) <= day(recorded), "{key}");
            }
        }
    });
}

#[test]
fn what_is_done_at_a_visit_is_done_while_it_lasts() {
    each_clinic(|_, all| {
        for (key, resource) in all {
            let Some(visit) = resource["encounter"]["reference"]
                .as_str()
                .and_then(|v| all.get(v))
            else {
                continue;
            };
            let start = text(&visit["period"]["start"]);
            let end = visit["period"]["end"].as_str().unwrap_or("9999");
            let times = ["effectiveDateTime", "occurrenceDateTime", "authoredOn"];
            let performed = [
                &resource["performedPeriod"]["start"],
                &resource["performedPeriod"]["end"],
            ];
            for at in times
                .iter()
                .map(|t| &resource[*t])
                .chain(performed)
                .filter_map(Value::as_str)
            {
                assert!(
                    start <= at && at <= end,
                    "{key}: {at} outside {start} – {end}"
                );
            }
        }
    });
}

#[test]
fn vital_signs_are_those_of_living_people() {
    let ranges: BTreeMap<&str, (f64, f64)> = [
        ("8302-2", (44.0, 205.0)),
        ("29463-7", (2.2, 190.0)),
        ("39156-5", (11.5, 52.0)),
        ("9843-4", (32.0, 53.0)),
        ("8480-6", (60.0, 210.0)),
        ("8462-4", (35.0, 130.0)),
        ("8867-4", (40.0, 190.0)),
        ("9279-1", (8.0, 62.0)),
        ("8310-5", (35.0, 41.0)),
        ("2708-6", (80.0, 100.0)),
    ]
    .into();
    let mut seen = BTreeSet::new();
    each_clinic(|_, all| {
        for observation in of_type(all, "Observation") {
            let mut pair = Vec::new();
            let parts = observation["component"]
                .as_array()
                .map_or(&[][..], Vec::as_slice);
            for part in std::iter::once(observation).chain(parts) {
                let code = text(&part["code"]["coding"][0]["code"]);
                let Some((low, high)) = ranges.get(code) else {
                    continue;
                };
                seen.insert(code.to_owned());
                let value = part["valueQuantity"]["value"].as_f64().unwrap();
                assert!(
                    (*low..=*high).contains(&value),
                    "{}: {code} = {value}",
                    observation["id"]
                );
                pair.push(value);
            }
            if let [systolic, diastolic] = pair[..] {
                assert!(systolic > diastolic + 10.0, "{}", observation["id"]);
            }
        }
    });
    assert_eq!(seen.len(), ranges.len(), "{seen:?}");
}

/// Values of one code by patient, in order of time.
fn series(all: &BTreeMap<String, Value>, loinc: &str) -> BTreeMap<String, Vec<(String, f64)>> {
    let mut series: BTreeMap<String, Vec<(String, f64)>> = BTreeMap::new();
    for observation in of_type(all, "Observation") {
        if observation["code"]["coding"][0]["code"] == loinc {
            let patient = text(&observation["subject"]["reference"]).to_owned();
            let at = text(&observation["effectiveDateTime"]).to_owned();
            series
                .entry(patient)
                .or_default()
                .push((at, observation["valueQuantity"]["value"].as_f64().unwrap()));
        }
    }
    series
        .values_mut()
        .for_each(|values| values.sort_by(|a, b| a.0.cmp(&b.0)));
    series
}

#[test]
fn children_grow_and_grown_people_do_not() {
    let all = resources(&CLINICS[1]);
    let (mut children, mut grown) = (0, 0);
    for (patient, heights) in series(all, "8302-2") {
        let birth = day(&all[&patient]["birthDate"]);
        for pair in heights.windows(2) {
            let age = |i: usize| (day(&Value::from(pair[i].0.clone())) - birth) as f64 / 365.25;
            let grew = pair[1].1 - pair[0].1;
            if age(1) < 11.0 && age(1) - age(0) > 0.15 {
                assert!(grew > 0.0, "{patient} shrank: {pair:?}");
                children += 1;
            } else if age(0) > 19.0 {
                assert!(grew.abs() < 2.5, "{patient} changed height: {pair:?}");
                grown += 1;
            }
        }
    }
    assert!(children > 30 && grown > 100, "{children} {grown}");
}

#[test]
fn the_mass_index_is_that_of_height_and_weight() {
    let all = resources(&CLINICS[1]);
    let (heights, weights) = (series(all, "8302-2"), series(all, "29463-7"));
    let find = |of: &BTreeMap<String, Vec<(String, f64)>>, patient: &str, at: &str| {
        of[patient].iter().find(|(t, _)| t == at).unwrap().1
    };
    for (patient, values) in series(all, "39156-5") {
        for (at, value) in values {
            let metres = find(&heights, &patient, &at) / 100.0;
            let index = find(&weights, &patient, &at) / metres / metres;
            assert!(
                (index - value).abs() < 0.051,
                "{patient} {at}: {index} {value}"
            );
        }
    }
}

#[test]
fn disorders_show_in_the_results() {
    let all = resources(&CLINICS[1]);
    let with = |snomed: &str| -> BTreeSet<String> {
        of_type(all, "Condition")
            .filter(|c| c["code"]["coding"][0]["code"] == snomed)
            .map(|c| text(&c["subject"]["reference"]).to_owned())
            .collect()
    };
    let mean = |loinc: &str, who: &dyn Fn(&str) -> bool| {
        let values: Vec<f64> = series(all, loinc)
            .into_iter()
            .filter(|(patient, _)| who(patient))
            .flat_map(|(_, values)| values.into_iter().map(|(_, v)| v))
            .collect();
        assert!(values.len() > 20, "{loinc}: {}", values.len());
        values.iter().sum::<f64>() / values.len() as f64
    };
    let diabetic = with("44054006");
    let higher =
        mean("2345-7", &|p| diabetic.contains(p)) - mean("2345-7", &|p| !diabetic.contains(p));
    assert!(higher > 25.0, "{higher}");
    let kidney = with("433144002");
    let lower =
        mean("33914-3", &|p| !kidney.contains(p)) - mean("33914-3", &|p| kidney.contains(p));
    assert!(lower > 15.0, "{lower}");
}

#[test]
fn marked_results_lie_outside_their_range() {
    let mut marks: BTreeMap<String, usize> = BTreeMap::new();
    each_clinic(|_, all| {
        for result in of_type(all, "Observation").filter(|o| o.get("referenceRange").is_some()) {
            let value = result["valueQuantity"]["value"].as_f64().unwrap();
            let range = &result["referenceRange"][0];
            let expected = match (
                range["low"]["value"].as_f64(),
                range["high"]["value"].as_f64(),
            ) {
                (Some(low), _) if value < low => "L",
                (_, Some(high)) if value > high => "H",
                _ => "N",
            };
            assert_eq!(
                result["interpretation"][0]["coding"][0]["code"], expected,
                "{result}"
            );
            *marks.entry(expected.into()).or_default() += 1;
        }
    });
    assert!(
        marks["N"] > marks["H"] && marks["H"] > 0 && marks["L"] > 0,
        "{marks:?}"
    );
}

#[test]
fn vaccines_come_at_their_age() {
    let all = resources(&CLINICS[1]);
    let mut measles = 0;
    for dose in of_type(all, "Immunization") {
        let birth = day(&all[text(&dose["patient"]["reference"])]["birthDate"]);
        let months = (day(&dose["occurrenceDateTime"]) - birth) as f64 / 30.44;
        match text(&dose["vaccineCode"]["coding"][0]["code"]) {
            "03" => {
                assert!(months >= 11.9, "measles vaccine at {months} months");
                measles += 1;
            }
            "119" => assert!(months < 12.0, "rotavirus vaccine at {months} months"),
            "187" => assert!(months >= 599.0, "shingles vaccine at {months} months"),
            _ => {}
        }
    }
    assert!(measles > 5, "{measles}");
}

#[test]
fn appointments_lie_ahead_in_opening_hours_and_do_not_overlap() {
    each_clinic(|clinic, all| {
        let mut slots = BTreeSet::new();
        for appointment in of_type(all, "Appointment") {
            let ahead = day(&appointment["start"]) - TODAY.0;
            assert!(
                (1..=120).contains(&ahead),
                "{}: in {ahead} days",
                clinic.name
            );
            assert_eq!(
                Date(day(&appointment["start"])).working_day().0,
                day(&appointment["start"])
            );
            let hour: i64 = text(&appointment["start"])[11..13].parse().unwrap();
            assert!((9..16).contains(&hour), "{appointment}");
            let who = text(&appointment["participant"][1]["actor"]["reference"]).to_owned();
            assert!(
                slots.insert((who, text(&appointment["start"]).to_owned())),
                "{appointment}"
            );
            let patient = &all[text(&appointment["participant"][0]["actor"]["reference"])];
            assert!(patient.get("deceasedDateTime").is_none());
        }
        assert!(slots.len() > clinic.patients / 5, "{}", slots.len());
    });
}

#[test]
fn people_differ() {
    let mut all_names = String::new();
    let mut ages = Vec::new();
    let mut dead = 0;
    each_clinic(|_, all| {
        for patient in of_type(all, "Patient") {
            all_names.push_str(&patient["name"].to_string());
            ages.push((TODAY.0 - day(&patient["birthDate"])) / 365);
            dead += usize::from(patient.get("deceasedDateTime").is_some());
        }
    });
    for sign in ["é", "ñ", "Ł", "王", "Ш", "ف", "र", "Π", "Nguyễn", "O'Brien"] {
        assert!(all_names.contains(sign), "{sign}");
    }
    let share = |low: i64, high: i64| {
        ages.iter().filter(|a| (low..high).contains(*a)).count() * 100 / ages.len()
    };
    assert!(share(0, 18) > 10 && share(18, 65) > 35 && share(65, 110) > 12);
    assert!((0..105).contains(ages.iter().max().unwrap()) && *ages.iter().min().unwrap() >= 0);
    assert!((5..80).contains(&dead), "{dead}");
}

#[test]
fn the_dental_clinic_works_on_teeth() {
    let all = resources(&CLINICS[0]);
    let filled: Vec<&Value> = of_type(all, "Procedure")
        .filter(|p| p["code"]["coding"][0]["code"] == "1259293006")
        .collect();
    assert!(filled.len() > 20, "{}", filled.len());
    for filling in filled {
        assert!(text(&filling["bodySite"][0]["text"]).starts_with("Tooth "));
        assert!(text(&filling["bodySite"][1]["coding"][0]["code"]).len() <= 3);
        assert!(filling.get("reasonReference").is_some());
    }
}

#[test]
fn every_resource_is_valid_fhir() {
    let model = fhir::definitions::Model::of(fhir::definitions::FhirVersion::R4);
    let context = fhir::validate::Context {
        own_bases: &[],
        issues_max: 10,
    };
    each_clinic(|_, all| {
        for (key, resource) in all {
            let source = resource.to_string();
            let doc = fhir::json::parse(source.as_bytes(), 64).unwrap();
            let report = fhir::validate::validate(model, doc.root(), &context);
            assert!(
                report.issues.is_empty(),
                "{key}: {:?}\n{source}",
                report.issues
            );
        }
    });
}
