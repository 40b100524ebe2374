//! Laboratory results that agree with each other, with age and with what somebody lives with.

use super::calendar::Date;
use super::chance::Chance;
use super::conditions::Effect;
use super::person::{Person, Sex};

/// One result and its usual range.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lab {
    pub(super) loinc: &'static str,
    pub(super) text: &'static str,
    pub(super) value: f64,
    pub(super) decimals: u8,
    /// UCUM unit.
    pub(super) unit: &'static str,
    pub(super) low: Option<f64>,
    pub(super) high: Option<f64>,
}

/// Results that are reported together.
#[derive(Clone, Debug)]
pub(super) struct Panel {
    pub(super) loinc: &'static str,
    pub(super) text: &'static str,
    pub(super) labs: Vec<Lab>,
}

impl Lab {
    /// `L`, `N` or `H` of the v3 code system ObservationInterpretation, for the value as written.
    pub(super) fn interpretation(&self) -> &'static str {
        let scale = 10f64.powi(i32::from(self.decimals));
        let written = (self.value * scale).round() / scale;
        match (self.low, self.high) {
            (Some(low), _) if written < low => "L",
            (_, Some(high)) if written > high => "H",
            _ => "N",
        }
    }
}

fn lab(
    loinc: &'static str,
    text: &'static str,
    (value, decimals, unit): (f64, u8, &'static str),
    (low, high): (f64, f64),
) -> Lab {
    let bound = |b: f64| b.is_finite().then_some(b);
    Lab {
        loinc,
        text,
        value: value.max(0.0),
        decimals,
        unit,
        low: bound(low),
        high: bound(high),
    }
}

const OPEN: f64 = f64::INFINITY;

/// Blood count. `infection` is 0 for none to 1 for severe.
pub(super) fn blood_count(chance: &mut Chance, person: &Person, infection: f64) -> Panel {
    let female = person.sex == Sex::Female;
    let (low, high) = if female { (12.0, 15.5) } else { (13.5, 17.5) };
    let hemoglobin = chance
        .normal(if female { 13.5 } else { 15.1 }, 0.9)
        .clamp(7.0, 19.0);
    let hematocrit = hemoglobin * 2.97 + chance.normal(0.0, 0.5);
    let leukocytes =
        chance.normal(6.8, 1.3).clamp(3.0, 11.5) + infection * chance.within(4.0, 10.0);
    let platelets = chance.normal(255.0, 48.0).clamp(110.0, 480.0);
    let percent = if female { (36.0, 46.0) } else { (40.0, 52.0) };
    Panel {
        loinc: "58410-2",
        text: "Blood count",
        labs: vec![
            lab("718-7", "Hemoglobin", (hemoglobin, 1, "g/dL"), (low, high)),
            lab("4544-3", "Hematocrit", (hematocrit, 1, "%"), percent),
            lab(
                "6690-2",
                "White blood cells",
                (leukocytes, 1, "10*3/uL"),
                (4.0, 11.0),
            ),
            lab(
                "777-3",
                "Platelets",
                (platelets, 0, "10*3/uL"),
                (150.0, 400.0),
            ),
        ],
    }
}

/// Kidney function, salts and glucose.
pub(super) fn metabolic(chance: &mut Chance, person: &Person, day: Date) -> Panel {
    let female = person.sex == Sex::Female;
    let age = day.age(person.birth);
    let usual = match age {
        a if a < 12.0 => 0.3 + a * 0.025,
        _ if female => 0.75,
        _ => 0.94,
    };
    let weak = person.lives_with(Effect::Kidney, day);
    let creatinine = (usual * chance.normal(1.0, 0.09) + if weak { 0.55 } else { 0.0 }).max(0.2);
    let sugar = person.lives_with(Effect::Glucose, day);
    let glucose = if sugar {
        chance.normal(148.0, 30.0)
    } else {
        chance.normal(91.0, 7.0)
    };
    let mut labs = vec![
        lab(
            "2345-7",
            "Glucose",
            (glucose.clamp(62.0, 390.0), 0, "mg/dL"),
            (70.0, 99.0),
        ),
        lab(
            "2160-0",
            "Creatinine",
            (creatinine, 2, "mg/dL"),
            if female { (0.5, 1.1) } else { (0.6, 1.3) },
        ),
        lab(
            "2951-2",
            "Sodium",
            (chance.normal(140.0, 1.9), 0, "mmol/L"),
            (135.0, 145.0),
        ),
        lab(
            "2823-3",
            "Potassium",
            (chance.normal(4.3, 0.3), 1, "mmol/L"),
            (3.5, 5.1),
        ),
        lab(
            "2075-0",
            "Chloride",
            (chance.normal(102.5, 2.0), 0, "mmol/L"),
            (98.0, 107.0),
        ),
        lab(
            "3094-0",
            "Urea nitrogen",
            (creatinine * chance.normal(15.5, 1.8), 0, "mg/dL"),
            (7.0, 25.0),
        ),
    ];
    if age >= 18.0 {
        let rate = filtration(creatinine, age, female);
        labs.push(lab(
            "33914-3",
            "Filtration rate",
            (rate, 0, "mL/min/{1.73_m2}"),
            (60.0, OPEN),
        ));
    }
    Panel {
        loinc: "51990-0",
        text: "Kidney function, salts and glucose",
        labs,
    }
}

/// The CKD-EPI 2021 equation.
fn filtration(creatinine: f64, age: f64, female: bool) -> f64 {
    let (k, a, factor) = if female {
        (0.7, -0.241, 1.012)
    } else {
        (0.9, -0.302, 1.0)
    };
    let ratio = creatinine / k;
    142.0 * ratio.min(1.0).powf(a) * ratio.max(1.0).powf(-1.2) * 0.9938f64.powf(age) * factor
}

/// Lipids; the low-density part follows from the others (Friedewald).
pub(super) fn lipids(chance: &mut Chance, person: &Person, day: Date) -> Panel {
    let high = person
        .chronic
        .iter()
        .find(|(kind, since)| kind.effect == Effect::Lipids && *since <= day);
    // A statin brings the low-density part down within the first year.
    let extra = high.map_or(0.0, |(_, since)| 62.0 - 50.0 * day.age(*since).min(1.0));
    let good = chance
        .normal(
            if person.sex == Sex::Female {
                58.0
            } else {
                48.0
            },
            7.0,
        )
        .clamp(28.0, 95.0);
    let fats = (chance.normal(108.0, 30.0) + (person.build.bmi - 25.0) * 4.0).clamp(42.0, 390.0);
    let bad = (chance.normal(112.0, 18.0) + extra).clamp(45.0, 240.0);
    Panel {
        loinc: "57698-3",
        text: "Blood lipids",
        labs: vec![
            lab(
                "2093-3",
                "Cholesterol",
                (
                    good.round() + bad.round() + (fats.round() / 5.0).round(),
                    0,
                    "mg/dL",
                ),
                (OPEN, 200.0),
            ),
            lab(
                "2085-9",
                "HDL cholesterol",
                (good, 0, "mg/dL"),
                (40.0, OPEN),
            ),
            lab(
                "13457-7",
                "LDL cholesterol",
                (bad, 0, "mg/dL"),
                (OPEN, 130.0),
            ),
            lab("2571-8", "Triglycerides", (fats, 0, "mg/dL"), (OPEN, 150.0)),
        ],
    }
}

/// Long-term glucose, better from year to year under treatment.
pub(super) fn long_term_glucose(chance: &mut Chance, person: &Person, day: Date) -> Lab {
    let since = person
        .chronic
        .iter()
        .find(|(kind, since)| kind.effect == Effect::Glucose && *since <= day);
    let value = match since {
        Some((_, since)) => 8.4 - 0.35 * day.age(*since).min(4.0) + chance.normal(0.0, 0.4),
        None => chance.normal(5.3, 0.2),
    };
    lab(
        "4548-4",
        "Hemoglobin A1c",
        (value.clamp(4.3, 13.0), 1, "%"),
        (4.0, 5.6),
    )
}

/// Thyroid-stimulating hormone.
pub(super) fn thyroid(chance: &mut Chance, person: &Person, day: Date) -> Lab {
    let since = person
        .chronic
        .iter()
        .find(|(kind, since)| kind.effect == Effect::Thyroid && *since <= day);
    let raised = since.map_or(0.0, |(_, since)| {
        6.0 * (1.0 - day.age(*since).min(1.0)) + 0.6
    });
    lab(
        "3016-3",
        "Thyroid-stimulating hormone",
        ((chance.normal(2.0, 0.5) + raised).max(0.3), 2, "m[IU]/L"),
        (0.4, 4.5),
    )
}

/// C-reactive protein. `infection` is 0 for none to 1 for severe.
pub(super) fn inflammation(chance: &mut Chance, infection: f64) -> Lab {
    let value = chance.within(0.4, 4.5) + infection * chance.within(60.0, 170.0);
    lab(
        "1988-5",
        "C-reactive protein",
        (value, 1, "mg/L"),
        (OPEN, 5.0),
    )
}
