//! Growth, build and vital signs that hang together: one body, measured again and again.

use super::calendar::Date;
use super::chance::Chance;
use super::conditions::Effect;
use super::person::{Person, Sex, Smoking};

/// What stays the same about a body.
#[derive(Clone, Debug)]
pub(super) struct Build {
    /// Grown height in centimetres.
    adult_cm: f64,
    /// Grown body mass index at forty.
    pub(super) bmi: f64,
    /// BMI points gained a year as an adult.
    gain: f64,
    /// How far this person's blood pressure lies from the average, in mm[Hg].
    pressure: f64,
    /// Resting pulse away from the average, a minute.
    pulse: f64,
}

/// Share of grown height at an age in years.
const GROWTH: &[(f64, f64)] = &[
    (0.0, 0.29),
    (0.25, 0.35),
    (0.5, 0.39),
    (1.0, 0.435),
    (2.0, 0.5),
    (4.0, 0.6),
    (6.0, 0.675),
    (8.0, 0.745),
    (10.0, 0.805),
    (12.0, 0.87),
    (14.0, 0.945),
    (16.0, 0.985),
    (18.0, 1.0),
    (50.0, 1.0),
    (90.0, 0.965),
];

/// Middle BMI at an age in years; grown people have their own.
const CHILD_BMI: &[(f64, f64)] = &[
    (0.0, 13.4),
    (0.25, 16.0),
    (0.7, 17.2),
    (1.5, 16.7),
    (3.0, 15.9),
    (5.5, 15.4),
    (8.0, 16.0),
    (10.0, 16.8),
    (12.0, 18.0),
    (15.0, 20.0),
    (18.0, 21.8),
];

fn along(curve: &[(f64, f64)], at: f64) -> f64 {
    let mut before = curve.first().copied().unwrap_or((0.0, 0.0));
    for &(x, y) in curve {
        if at < x {
            let part = if x > before.0 {
                (at - before.0) / (x - before.0)
            } else {
                0.0
            };
            return before.1 + (y - before.1) * part.clamp(0.0, 1.0);
        }
        before = (x, y);
    }
    before.1
}

impl Build {
    pub(super) fn new(chance: &mut Chance, sex: Sex) -> Self {
        let (height, spread) = if sex == Sex::Female {
            (163.0, 6.2)
        } else {
            (176.5, 6.8)
        };
        Self {
            adult_cm: chance
                .normal(height, spread)
                .clamp(height - 18.0, height + 18.0),
            bmi: chance.normal(26.6, 4.2).clamp(18.0, 44.0),
            gain: chance.within(-0.02, 0.09),
            pressure: chance.normal(0.0, 7.0),
            pulse: chance.normal(0.0, 6.0),
        }
    }
}

/// The signs measured at one visit. Units are in the names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vitals {
    pub(super) height_cm: f64,
    pub(super) weight_kg: f64,
    pub(super) head_cm: f64,
    pub(super) systolic_mmhg: f64,
    pub(super) diastolic_mmhg: f64,
    pub(super) pulse_per_min: f64,
    pub(super) breaths_per_min: f64,
    pub(super) temperature_cel: f64,
    pub(super) saturation_percent: f64,
}

/// How ill somebody is when measured: 0 well, 1 very ill.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Illness {
    pub(super) fever: f64,
    pub(super) lungs: f64,
}

/// Measures a person on a day.
pub(super) fn vitals(chance: &mut Chance, person: &Person, day: Date, ill: Illness) -> Vitals {
    let age = day.age(person.birth).max(0.0);
    let build = &person.build;
    let height_cm = build.adult_cm * along(GROWTH, age) + chance.normal(0.0, 0.15);
    let bmi = if age < 18.0 {
        along(CHILD_BMI, age) * (build.bmi / 26.6).powf(0.35)
    } else {
        let grown = build.bmi + (age.min(70.0) - 40.0) * build.gain;
        let leaner_when_young = ((age - 18.0) / 12.0).clamp(0.0, 1.0);
        (21.8 * (build.bmi / 26.6).powf(0.35)) * (1.0 - leaner_when_young)
            + grown * leaner_when_young
    };
    let metres = height_cm / 100.0;
    let weight_kg = bmi.max(11.5) * metres * metres * chance.normal(1.0, 0.008);
    let (systolic_mmhg, diastolic_mmhg) = pressure(chance, person, day, age, bmi);
    let resting = along(
        &[
            (0.0, 140.0),
            (1.0, 122.0),
            (3.0, 104.0),
            (6.0, 92.0),
            (12.0, 80.0),
            (18.0, 72.0),
            (90.0, 71.0),
        ],
        age,
    );
    let breathing = along(
        &[
            (0.0, 40.0),
            (1.0, 30.0),
            (4.0, 24.0),
            (10.0, 19.0),
            (18.0, 15.0),
            (90.0, 17.0),
        ],
        age,
    );
    let smoker = f64::from(u8::from(person.smoking == Smoking::Daily));
    let weak_lungs = f64::from(u8::from(person.lives_with(Effect::Lungs, day)));
    let temperature_cel = chance.normal(36.7, 0.22) + ill.fever * chance.within(1.0, 2.6);
    Vitals {
        height_cm,
        weight_kg,
        head_cm: along(
            &[
                (0.0, 34.5),
                (0.25, 40.0),
                (0.5, 43.0),
                (1.0, 46.0),
                (2.0, 48.5),
                (3.0, 49.6),
            ],
            age,
        ) + chance.normal(0.0, 0.2),
        systolic_mmhg,
        diastolic_mmhg,
        pulse_per_min: (resting
            + build.pulse
            + smoker * 4.0
            + ill.fever * 14.0
            + chance.normal(0.0, 4.0))
        .clamp(45.0, 190.0),
        breaths_per_min: (breathing + ill.lungs * 8.0 + chance.normal(0.0, 1.2)).clamp(10.0, 60.0),
        temperature_cel: temperature_cel.clamp(35.6, 40.6),
        saturation_percent: (98.2 - weak_lungs * 4.5 - ill.lungs * 6.0 + chance.normal(0.0, 0.7))
            .clamp(82.0, 100.0),
    }
}

fn pressure(chance: &mut Chance, person: &Person, day: Date, age: f64, bmi: f64) -> (f64, f64) {
    let usual = if age < 18.0 {
        84.0 + age * 1.9
    } else {
        113.0 + (age - 18.0) * 0.2 + (bmi - 25.0) * 0.55
    };
    let onset = person
        .chronic
        .iter()
        .find(|(kind, _)| kind.effect == Effect::Pressure)
        .map(|(_, since)| *since);
    let raised = match onset {
        // Treatment brings it down over the first two years.
        Some(since) if since <= day => 24.0 - 15.0 * day.age(since).min(2.0) / 2.0,
        Some(_) => 12.0,
        None => 0.0,
    };
    let swing = if age < 18.0 { 0.5 } else { 1.0 };
    let systolic = usual + person.build.pressure * swing + raised + chance.normal(0.0, 5.0 * swing);
    let systolic = systolic.clamp(62.0, 208.0);
    let diastolic =
        22.0 + systolic * 0.44 + chance.normal(0.0, 3.5) - (age - 65.0).clamp(0.0, 25.0) * 0.25;
    (systolic, diastolic.clamp(38.0, systolic - 18.0))
}
