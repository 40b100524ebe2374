//! What there is to be counted in Synthea's files, read from their JSON alone: nothing here is the
//! server's, not even how a time is read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use testkit::world::word;

use super::token;

/// A parameter that finds codes: its type, name, and the member with the CodeableConcept.
const CODES: &[(&str, &str, &str)] = &[
    ("AllergyIntolerance", "code", "code"),
    ("CarePlan", "category", "category"),
    ("Condition", "code", "code"),
    ("DiagnosticReport", "code", "code"),
    ("Encounter", "type", "type"),
    ("Immunization", "vaccine-code", "vaccineCode"),
    ("MedicationRequest", "code", "medicationCodeableConcept"),
    ("Observation", "code", "code"),
    ("Procedure", "code", "code"),
];

/// A parameter that finds dates: its type, name, and the member with the date or Period.
const DATES: &[(&str, &str, &str)] = &[
    ("CarePlan", "date", "period"),
    ("Claim", "created", "created"),
    ("Condition", "onset-date", "onsetDateTime"),
    ("DiagnosticReport", "date", "effectiveDateTime"),
    ("Encounter", "date", "period"),
    ("Immunization", "date", "occurrenceDateTime"),
    ("MedicationRequest", "authoredon", "authoredOn"),
    ("Observation", "date", "effectiveDateTime"),
    ("Patient", "birthdate", "birthDate"),
    ("Procedure", "date", "performedPeriod"),
];

/// From the first day of the first year to the last before the second.
const RANGES: &[(i64, i64)] = &[
    (1900, 1950),
    (1950, 1980),
    (1980, 2000),
    (2000, 2010),
    (2010, 2014),
    (2014, 2018),
    (2018, 2021),
    (2021, 2100),
];

/// Codes of a parameter that are asked for: the most frequent, and the rarest.
const FREQUENT: usize = 20;
const RARE: usize = 5;

/// A query without `_summary`, and how many resources it must find.
type Asked = Vec<(String, u64)>;

/// Seconds since 1970 at which something begins, and at which it has ended; none if it goes on.
type Span = (i64, Option<i64>);

/// How often each system and code stands in an element of a type.
type Codes = BTreeMap<(&'static str, &'static str), BTreeMap<(String, String), u64>>;

/// What was counted.
#[derive(Default)]
pub(super) struct Facts {
    genders: BTreeMap<String, u64>,
    codes: Codes,
    dates: BTreeMap<(&'static str, &'static str), Vec<Span>>,
}

/// Reads the files; resources that several of them have count once.
pub(super) fn read(files: &[PathBuf]) -> Facts {
    let (mut facts, mut seen) = (Facts::default(), BTreeSet::new());
    for file in files {
        let bundle: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        for entry in bundle["entry"].as_array().unwrap() {
            let resource = &entry["resource"];
            let kind = word(resource, "resourceType").to_owned();
            if seen.insert((kind, word(resource, "id").to_owned())) {
                facts.count(resource);
            }
        }
    }
    facts
}

impl Facts {
    fn count(&mut self, resource: &Value) {
        let kind = word(resource, "resourceType");
        if kind == "Patient" {
            let gender = resource["gender"].as_str().unwrap().to_owned();
            *self.genders.entry(gender).or_default() += 1;
        }
        for (_, param, member) in CODES.iter().filter(|(of, ..)| *of == kind) {
            let concepts = match &resource[member] {
                Value::Array(all) => all.iter().collect(),
                one => vec![one],
            };
            let codings = concepts
                .into_iter()
                .flat_map(|c| c["coding"].as_array().into_iter().flatten());
            let codes: BTreeSet<(String, String)> = codings
                .filter(|c| c["system"].is_string() && c["code"].is_string())
                .map(|c| (word(c, "system").to_owned(), word(c, "code").to_owned()))
                .collect();
            let of = CODES.iter().find(|(of, p, _)| *of == kind && p == param);
            let of = of.map(|(of, p, _)| (*of, *p)).unwrap();
            for code in codes {
                *self.codes.entry(of).or_default().entry(code).or_default() += 1;
            }
        }
        for (of, param, member) in DATES.iter().filter(|(of, ..)| *of == kind) {
            if let Some(span) = span(&resource[member]) {
                self.dates.entry((of, param)).or_default().push(span);
            }
        }
    }

    pub(super) fn by_gender(&self) -> Asked {
        let all = self.genders.iter();
        all.map(|(g, n)| (format!("Patient?gender={g}"), *n))
            .collect()
    }

    pub(super) fn by_code(&self) -> Asked {
        let mut asked = Vec::new();
        for ((kind, param), codes) in &self.codes {
            let mut codes: Vec<_> = codes.iter().collect();
            codes.sort_by_key(|(code, n)| (std::cmp::Reverse(**n), (*code).clone()));
            let rare = codes.iter().rev().take(RARE);
            for ((system, code), n) in codes.iter().take(FREQUENT).chain(rare) {
                asked.push((format!("{kind}?{}", token(param, system, code)), **n));
            }
        }
        asked
    }

    pub(super) fn by_date(&self) -> Asked {
        let mut asked = Vec::new();
        for ((kind, param), spans) in &self.dates {
            for (from, to) in RANGES {
                let low = moment(&format!("{from:04}-01-01")).unwrap();
                let high = moment(&format!("{to:04}-01-01")).unwrap();
                // `ge`: it reaches beyond the day, or lies in it. `lt`: it begins before the day.
                let within = |(begins, ends): &&Span| {
                    let beyond = ends.is_none_or(|e| e > low + 86_400);
                    (beyond || *begins >= low) && *begins < high
                };
                let expected = spans.iter().filter(within).count() as u64;
                let query = format!("{kind}?{param}=ge{from:04}-01-01&{param}=lt{to:04}-01-01");
                asked.push((query, expected));
            }
        }
        asked
    }
}

/// The span of a date, a time or a Period.
fn span(value: &Value) -> Option<Span> {
    if let Some(text) = value.as_str() {
        let begins = moment(text)?;
        let lasts = if text.len() == 10 { 86_400 } else { 1 };
        return Some((begins, Some(begins + lasts)));
    }
    let begins = moment(value["start"].as_str()?)?;
    let ends = value["end"].as_str().and_then(moment).map(|end| end + 1);
    Some((begins, ends))
}

/// Seconds since 1970 of `YYYY-MM-DD`, or of `YYYY-MM-DDThh:mm:ss` with a zone; fractions fall away.
fn moment(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    // Days by the civil calendar, counted in years that begin in March.
    let year_of_march = if month > 2 { year } else { year - 1 };
    let month_of_march = (month + 9) % 12;
    let days = 365 * year_of_march + year_of_march.div_euclid(4) - year_of_march.div_euclid(100)
        + year_of_march.div_euclid(400)
        + (153 * month_of_march + 2) / 5
        + day
        - 1
        - 719_468;
    let midnight = days * 86_400;
    if text.len() == 10 {
        return Some(midnight);
    }
    let time = number(11..13)? * 3_600 + number(14..16)? * 60 + number(17..19)?;
    let zone = text
        .get(19..)?
        .trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let offset = match zone.split_at_checked(1)? {
        ("Z", "") => 0,
        (sign, rest) => {
            let hours: i64 = rest.get(0..2)?.parse().ok()?;
            let minutes: i64 = rest.get(3..5)?.parse().ok()?;
            let seconds = hours * 3_600 + minutes * 60;
            if sign == "-" { -seconds } else { seconds }
        }
    };
    Some(midnight + time - offset)
}
