//! Resources to measure with: made up, the same in every run, about as large as real ones.

use crate::load::Dice;

/// LOINC codes, names, UCUM units and a plausible range of what is measured at most visits.
const MEASURED: [(&str, &str, &str, u32, u32); 20] = [
    ("8867-4", "Heart rate", "/min", 50, 110),
    ("9279-1", "Respiratory rate", "/min", 10, 24),
    ("8310-5", "Body temperature", "Cel", 36, 39),
    ("8302-2", "Body height", "cm", 150, 200),
    ("29463-7", "Body weight", "kg", 45, 130),
    ("39156-5", "Body mass index", "kg/m2", 17, 40),
    (
        "2708-6",
        "Oxygen saturation in Arterial blood",
        "%",
        90,
        100,
    ),
    ("718-7", "Hemoglobin [Mass/volume] in Blood", "g/dL", 9, 18),
    (
        "4548-4",
        "Hemoglobin A1c/Hemoglobin.total in Blood",
        "%",
        4,
        11,
    ),
    ("2339-0", "Glucose [Mass/volume] in Blood", "mg/dL", 65, 220),
    (
        "2160-0",
        "Creatinine [Mass/volume] in Serum or Plasma",
        "mg/dL",
        1,
        4,
    ),
    (
        "2823-3",
        "Potassium [Moles/volume] in Serum or Plasma",
        "mmol/L",
        3,
        6,
    ),
    (
        "2951-2",
        "Sodium [Moles/volume] in Serum or Plasma",
        "mmol/L",
        130,
        150,
    ),
    (
        "2093-3",
        "Cholesterol [Mass/volume] in Serum or Plasma",
        "mg/dL",
        120,
        280,
    ),
    (
        "2571-8",
        "Triglyceride [Mass/volume] in Serum or Plasma",
        "mg/dL",
        60,
        300,
    ),
    (
        "6690-2",
        "Leukocytes [#/volume] in Blood by Automated count",
        "10*3/uL",
        3,
        14,
    ),
    (
        "789-8",
        "Erythrocytes [#/volume] in Blood by Automated count",
        "10*6/uL",
        3,
        6,
    ),
    (
        "777-3",
        "Platelets [#/volume] in Blood by Automated count",
        "10*3/uL",
        120,
        450,
    ),
    (
        "6299-2",
        "Urea nitrogen [Mass/volume] in Blood",
        "mg/dL",
        6,
        30,
    ),
    (
        "1742-6",
        "Alanine aminotransferase [Enzymatic activity/volume] in Serum",
        "U/L",
        7,
        80,
    ),
];

const FAMILIES: [&str; 12] = [
    "Achterberg",
    "Bellweather",
    "Castellane",
    "Dunmore",
    "Eichholz",
    "Fairbanks",
    "Gundersen",
    "Hollister",
    "Ivarsson",
    "Janowski",
    "Kettleman",
    "Lindqvist",
];
const GIVEN: [&str; 12] = [
    "Ada", "Bruno", "Clara", "Dimitri", "Elena", "Farid", "Greta", "Hiro", "Ines", "Jonas",
    "Katya", "Luis",
];
const TOWNS: [&str; 6] = [
    "Ashford",
    "Brookdale",
    "Carrow",
    "Delmont",
    "Elmsted",
    "Fernhill",
];

/// How many of each there are before measuring starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Patients.
    pub(crate) patients: usize,
    /// Observations.
    pub(crate) observations: usize,
}

fn pick<'a>(from: &[&'a str], dice: &mut Dice) -> &'a str {
    from.get(dice.below(from.len())).copied().unwrap_or("")
}

fn date(dice: &mut Dice, first_year: usize, years: usize) -> String {
    let (year, month, day) = (
        first_year + dice.below(years),
        1 + dice.below(12),
        1 + dice.below(28),
    );
    format!("{year:04}-{month:02}-{day:02}")
}

/// The patient of this number, about 1.3 kB.
pub(crate) fn patient(number: usize) -> String {
    let mut d = Dice::new(number as u64);
    let (given, family, town) = (
        pick(&GIVEN, &mut d),
        pick(&FAMILIES, &mut d),
        pick(&TOWNS, &mut d),
    );
    let gender = pick(&["female", "male"], &mut d);
    let (birth, house, post) = (
        date(&mut d, 1930, 90),
        1 + d.below(400),
        10_000 + d.below(89_999),
    );
    format!(
        r#"{{"resourceType":"Patient","id":"p-{number}","text":{{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>{given} {family}, born {birth}</p></div>"}},"identifier":[{{"use":"usual","type":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR","display":"Medical record number"}}],"text":"Medical record number"}},"system":"https://bench.invalid/mrn","value":"{number:08}"}},{{"use":"official","type":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"SS","display":"Social Security number"}}]}},"system":"http://hl7.org/fhir/sid/us-ssn","value":"999-{:02}-{:04}"}}],"active":true,"name":[{{"use":"official","text":"{given} {family}","family":"{family}","given":["{given}","{}"]}}],"telecom":[{{"system":"phone","value":"+1 555 {:07}","use":"home"}},{{"system":"email","value":"p{number}@bench.invalid"}}],"gender":"{gender}","birthDate":"{birth}","address":[{{"use":"home","type":"physical","line":["{house} Orchard Lane"],"city":"{town}","state":"MA","postalCode":"{post}","country":"US"}}],"maritalStatus":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v3-MaritalStatus","code":"M","display":"Married"}}]}},"communication":[{{"language":{{"coding":[{{"system":"urn:ietf:bcp:47","code":"en-US","display":"English"}}]}},"preferred":true}}]}}"#,
        number % 100,
        number % 10_000,
        pick(&GIVEN, &mut d),
        d.below(9_999_999),
    )
}

/// The observation of this number, of one of the patients, about 1.4 kB. Without an id where
/// `id` is false.
pub(crate) fn observation(number: usize, patients: usize, id: bool) -> String {
    let mut d = Dice::new(number as u64 + 0x0b5e);
    let at = d.below(MEASURED.len());
    let (code, name, unit, low, high) = MEASURED.get(at).copied().unwrap_or(("", "", "", 0, 1));
    let value = low as usize + d.below((high - low) as usize);
    let (day, hour, minute) = (date(&mut d, 2015, 10), d.below(24), d.below(60));
    let patient = d.below(patients.max(1));
    let id = if id {
        format!(r#""id":"o-{number}","#)
    } else {
        String::new()
    };
    format!(
        r#"{{"resourceType":"Observation",{id}"text":{{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>{name}: {value}.{} {unit}</p></div>"}},"identifier":[{{"system":"https://bench.invalid/observation","value":"{number:08}"}}],"status":"final","category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"{}","display":"{}"}}]}}],"code":{{"coding":[{{"system":"http://loinc.org","code":"{code}","display":"{name}"}}],"text":"{name}"}},"subject":{{"reference":"Patient/p-{patient}"}},"effectiveDateTime":"{day}T{hour:02}:{minute:02}:00+00:00","issued":"{day}T{hour:02}:{minute:02}:30.000+00:00","performer":[{{"display":"Dr. {} {}"}}],"valueQuantity":{{"value":{value}.{},"unit":"{unit}","system":"http://unitsofmeasure.org","code":"{unit}"}},"interpretation":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation","code":"N","display":"Normal"}}],"text":"Normal"}}],"note":[{{"text":"Taken by the nurse at the beginning of the visit."}}],"referenceRange":[{{"low":{{"value":{low},"unit":"{unit}","system":"http://unitsofmeasure.org","code":"{unit}"}},"high":{{"value":{high},"unit":"{unit}","system":"http://unitsofmeasure.org","code":"{unit}"}}}}]}}"#,
        number % 10,
        if at < 7 { "vital-signs" } else { "laboratory" },
        if at < 7 { "Vital Signs" } else { "Laboratory" },
        pick(&GIVEN, &mut d),
        pick(&FAMILIES, &mut d),
        number % 10,
    )
}

/// The URL and text of each resource.
pub(crate) fn resources(size: Size) -> impl Iterator<Item = (String, String)> {
    let patients = (0..size.patients).map(|n| (format!("Patient/p-{n}"), patient(n)));
    let observations = (0..size.observations).map(move |n| {
        (
            format!("Observation/o-{n}"),
            observation(n, size.patients, true),
        )
    });
    patients.chain(observations)
}

/// Transaction Bundles that put everything in place, so that running twice changes nothing.
pub(crate) fn bundles(size: Size, entries: usize) -> Vec<String> {
    let all: Vec<(String, String)> = resources(size).collect();
    transactions(&all, entries)
}

/// The same of resources with their URLs.
pub(crate) fn transactions(all: &[(String, String)], entries: usize) -> Vec<String> {
    all.chunks(entries.max(1))
        .map(|chunk| {
            let entries: Vec<String> = chunk
                .iter()
                .map(|(url, resource)| {
                    format!(
                        r#"{{"resource":{resource},"request":{{"method":"PUT","url":"{url}"}}}}"#
                    )
                })
                .collect();
            format!(
                r#"{{"resourceType":"Bundle","type":"transaction","entry":[{}]}}"#,
                entries.join(",")
            )
        })
        .collect()
}

/// Paths of token searches that each have many matches.
pub(crate) fn token_searches() -> Vec<String> {
    MEASURED
        .iter()
        .map(|(code, ..)| format!("/Observation?code=http://loinc.org%7C{code}&_count=20"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_json_and_about_as_large_as_real_data() {
        for number in [0, 1, 77, 9_999] {
            for (text, low, high) in [
                (patient(number), 1_200, 2_000),
                (observation(number, 100, true), 1_200, 1_800),
            ] {
                let value: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert!(value["id"].is_string());
                assert!((low..high).contains(&text.len()), "{} bytes", text.len());
            }
        }
    }

    #[test]
    fn bundles_hold_everything_once() {
        let bundles = bundles(
            Size {
                patients: 5,
                observations: 12,
            },
            4,
        );
        let entries: usize = bundles
            .iter()
            .map(|b| {
                serde_json::from_str::<serde_json::Value>(b).unwrap()["entry"]
                    .as_array()
                    .unwrap()
                    .len()
            })
            .sum();
        assert_eq!((bundles.len(), entries), (5, 17));
    }
}
