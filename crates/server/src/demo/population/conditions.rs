//! What people have: lasting and passing disorders, with codes, risks by age and usual treatment.

use super::chance::Chance;
use super::medications::{self, Medication};

/// A disorder in the words of this file, with its SNOMED CT and ICD-10-CM codes.
#[derive(Debug)]
pub(super) struct Disorder {
    pub(super) snomed: &'static str,
    pub(super) icd10: &'static str,
    pub(super) text: &'static str,
    pub(super) treatment: &'static [&'static Medication],
}

/// A lasting disorder and the share of people who have it at 0–17, 18–39, 40–59, 60–79 and 80+.
#[derive(Debug)]
pub(super) struct Chronic {
    pub(super) disorder: Disorder,
    share: [f64; 5],
    /// How much each BMI point above 25 adds to the risk, as a factor.
    per_bmi: f64,
    pub(super) effect: Effect,
}

/// What a lasting disorder does to measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    None,
    Pressure,
    Glucose,
    Lipids,
    Kidney,
    Lungs,
    Thyroid,
    Rhythm,
}

impl Chronic {
    /// Whether a person of this age and build has it.
    pub(super) fn strikes(&self, chance: &mut Chance, age: f64, bmi: f64) -> bool {
        let [child, young, middle, old, oldest] = self.share;
        let share = match age {
            a if a < 18.0 => child,
            a if a < 40.0 => young,
            a if a < 60.0 => middle,
            a if a < 80.0 => old,
            _ => oldest,
        };
        let weight = 1.0 + (bmi - 25.0).clamp(0.0, 15.0) * self.per_bmi;
        chance.happens((share * weight).min(0.9))
    }
}

const fn disorder(
    snomed: &'static str,
    icd10: &'static str,
    text: &'static str,
    treatment: &'static [&'static Medication],
) -> Disorder {
    Disorder {
        snomed,
        icd10,
        text,
        treatment,
    }
}

const fn chronic(disorder: Disorder, share: [f64; 5], per_bmi: f64, effect: Effect) -> Chronic {
    Chronic {
        disorder,
        share,
        per_bmi,
        effect,
    }
}

use medications as m;

/// Lasting disorders.
pub(super) const CHRONIC: &[Chronic] = &[
    chronic(
        disorder(
            "38341003",
            "I10",
            "High blood pressure",
            &[&m::LISINOPRIL, &m::AMLODIPINE],
        ),
        [0.0, 0.05, 0.22, 0.5, 0.6],
        0.06,
        Effect::Pressure,
    ),
    chronic(
        disorder("44054006", "E11.9", "Type 2 diabetes", &[&m::METFORMIN]),
        [0.0, 0.015, 0.07, 0.15, 0.16],
        0.1,
        Effect::Glucose,
    ),
    chronic(
        disorder(
            "55822004",
            "E78.5",
            "High blood lipids",
            &[&m::ATORVASTATIN],
        ),
        [0.0, 0.04, 0.18, 0.38, 0.35],
        0.03,
        Effect::Lipids,
    ),
    chronic(
        disorder(
            "195967001",
            "J45.909",
            "Asthma",
            &[&m::SALBUTAMOL, &m::FLUTICASONE],
        ),
        [0.09, 0.08, 0.07, 0.06, 0.05],
        0.01,
        Effect::None,
    ),
    chronic(
        disorder(
            "13645005",
            "J44.9",
            "Chronic obstructive lung disease",
            &[&m::SALBUTAMOL],
        ),
        [0.0, 0.0, 0.03, 0.1, 0.12],
        0.0,
        Effect::Lungs,
    ),
    chronic(
        disorder("396275006", "M19.90", "Osteoarthritis", &[&m::PARACETAMOL]),
        [0.0, 0.01, 0.1, 0.28, 0.4],
        0.06,
        Effect::None,
    ),
    chronic(
        disorder("35489007", "F32.A", "Depression", &[&m::SERTRALINE]),
        [0.02, 0.09, 0.09, 0.07, 0.06],
        0.0,
        Effect::None,
    ),
    chronic(
        disorder(
            "40930008",
            "E03.9",
            "Underactive thyroid",
            &[&m::LEVOTHYROXINE],
        ),
        [0.002, 0.02, 0.05, 0.08, 0.1],
        0.0,
        Effect::Thyroid,
    ),
    chronic(
        disorder(
            "235595009",
            "K21.9",
            "Gastro-oesophageal reflux",
            &[&m::OMEPRAZOLE],
        ),
        [0.005, 0.05, 0.11, 0.15, 0.14],
        0.04,
        Effect::None,
    ),
    chronic(
        disorder(
            "433144002",
            "N18.30",
            "Chronic kidney disease, stage 3",
            &[],
        ),
        [0.0, 0.002, 0.02, 0.1, 0.25],
        0.0,
        Effect::Kidney,
    ),
    chronic(
        disorder(
            "49436004",
            "I48.91",
            "Atrial fibrillation",
            &[&m::APIXABAN, &m::METOPROLOL],
        ),
        [0.0, 0.001, 0.01, 0.07, 0.15],
        0.02,
        Effect::Rhythm,
    ),
    chronic(
        disorder(
            "53741008",
            "I25.10",
            "Coronary heart disease",
            &[&m::ASPIRIN, &m::ATORVASTATIN],
        ),
        [0.0, 0.001, 0.04, 0.14, 0.2],
        0.02,
        Effect::None,
    ),
    chronic(
        disorder("61582004", "J30.9", "Allergic rhinitis", &[&m::CETIRIZINE]),
        [0.1, 0.12, 0.1, 0.06, 0.04],
        0.0,
        Effect::None,
    ),
    chronic(
        disorder("37796009", "G43.909", "Migraine", &[&m::IBUPROFEN]),
        [0.03, 0.12, 0.1, 0.04, 0.02],
        0.0,
        Effect::None,
    ),
];

/// A passing disorder: who gets it, how long it lasts, whether there is fever.
#[derive(Debug)]
pub(super) struct Acute {
    pub(super) disorder: Disorder,
    /// Youngest and oldest age in years.
    pub(super) ages: (f64, f64),
    /// Shortest and longest course in days.
    pub(super) days: (i64, i64),
    pub(super) fever: bool,
}

const fn acute(disorder: Disorder, ages: (f64, f64), days: (i64, i64), fever: bool) -> Acute {
    Acute {
        disorder,
        ages,
        days,
        fever,
    }
}

/// What brings people to a family practice.
pub(super) const ACUTE: &[Acute] = &[
    acute(
        disorder("54150009", "J06.9", "Common cold", &[&m::PARACETAMOL]),
        (0.2, 110.0),
        (5, 12),
        true,
    ),
    acute(
        disorder(
            "65363002",
            "H66.90",
            "Middle ear infection",
            &[&m::AMOXICILLIN],
        ),
        (0.5, 12.0),
        (6, 14),
        true,
    ),
    acute(
        disorder(
            "43878008",
            "J02.0",
            "Streptococcal sore throat",
            &[&m::AMOXICILLIN],
        ),
        (3.0, 40.0),
        (6, 12),
        true,
    ),
    acute(
        disorder("10509002", "J20.9", "Acute bronchitis", &[&m::IBUPROFEN]),
        (4.0, 110.0),
        (8, 24),
        true,
    ),
    acute(
        disorder("25374005", "K52.9", "Stomach flu", &[]),
        (0.5, 110.0),
        (2, 6),
        true,
    ),
    acute(
        disorder(
            "38822007",
            "N30.90",
            "Bladder infection",
            &[&m::NITROFURANTOIN],
        ),
        (16.0, 110.0),
        (4, 10),
        false,
    ),
    acute(
        disorder("279039007", "M54.50", "Low back pain", &[&m::NAPROXEN]),
        (18.0, 110.0),
        (10, 40),
        false,
    ),
    acute(
        disorder("44465007", "S93.409A", "Sprained ankle", &[&m::IBUPROFEN]),
        (6.0, 75.0),
        (10, 30),
        false,
    ),
    acute(
        disorder(
            "24079001",
            "L20.9",
            "Atopic eczema flare",
            &[&m::HYDROCORTISONE],
        ),
        (0.3, 45.0),
        (10, 30),
        false,
    ),
    acute(
        disorder(
            "75498004",
            "J01.90",
            "Acute bacterial sinusitis",
            &[&m::AMOXICILLIN],
        ),
        (8.0, 110.0),
        (8, 20),
        true,
    ),
];

/// A reason to be admitted, with the stay and what is done.
#[derive(Debug)]
pub(super) struct Admission {
    pub(super) disorder: Disorder,
    pub(super) ages: (f64, f64),
    /// Shortest and longest stay in days; 0 goes home from the emergency department.
    pub(super) days: (i64, i64),
    pub(super) fever: bool,
    /// SNOMED CT code and words of the procedure, where there is one.
    pub(super) procedure: Option<(&'static str, &'static str)>,
    /// LOINC code, words and conclusion of a radiology report, where there is one.
    pub(super) imaging: Option<(&'static str, &'static str, &'static str)>,
}

const CHEST: (&str, &str) = ("36643-5", "Chest X-ray, two views");

/// What brings people to a hospital.
pub(super) const ADMISSIONS: &[Admission] = &[
    Admission {
        disorder: disorder(
            "233604007",
            "J18.9",
            "Pneumonia",
            &[&m::CEFTRIAXONE, &m::PARACETAMOL],
        ),
        ages: (0.5, 110.0),
        days: (2, 8),
        fever: true,
        procedure: None,
        imaging: Some((
            CHEST.0,
            CHEST.1,
            "Patchy opacity in the right lower zone, in keeping with pneumonia.",
        )),
    },
    Admission {
        disorder: disorder(
            "74400008",
            "K35.80",
            "Appendicitis",
            &[&m::CEFTRIAXONE, &m::PARACETAMOL],
        ),
        ages: (6.0, 70.0),
        days: (1, 4),
        fever: true,
        procedure: Some(("80146002", "Removal of the appendix")),
        imaging: None,
    },
    Admission {
        disorder: disorder(
            "84114007",
            "I50.9",
            "Heart failure",
            &[&m::FUROSEMIDE, &m::METOPROLOL],
        ),
        ages: (55.0, 110.0),
        days: (3, 10),
        fever: false,
        procedure: Some(("433236007", "Echocardiography through the chest wall")),
        imaging: Some((
            CHEST.0,
            CHEST.1,
            "Enlarged heart shadow with small effusions on both sides.",
        )),
    },
    Admission {
        disorder: disorder(
            "22298006",
            "I21.9",
            "Heart attack",
            &[&m::ASPIRIN, &m::CLOPIDOGREL, &m::ATORVASTATIN],
        ),
        ages: (42.0, 100.0),
        days: (3, 7),
        fever: false,
        procedure: Some((
            "415070008",
            "Widening of a coronary artery through the skin",
        )),
        imaging: None,
    },
    Admission {
        disorder: disorder(
            "230690007",
            "I63.9",
            "Stroke",
            &[&m::ASPIRIN, &m::ATORVASTATIN],
        ),
        ages: (50.0, 105.0),
        days: (4, 14),
        fever: false,
        procedure: None,
        imaging: Some((
            "24725-4",
            "CT of the head",
            "No bleeding. Early change in the left middle artery's territory.",
        )),
    },
    Admission {
        disorder: disorder("65966004", "S52.90XA", "Broken forearm", &[&m::IBUPROFEN]),
        ages: (4.0, 85.0),
        days: (0, 1),
        fever: false,
        procedure: Some(("274474001", "Setting and holding a bone")),
        imaging: Some((
            "18748-4",
            "X-ray of the forearm",
            "Fracture of the radius without displacement of the joint.",
        )),
    },
    Admission {
        disorder: disorder("62106007", "S06.0X0A", "Concussion", &[&m::PARACETAMOL]),
        ages: (3.0, 90.0),
        days: (0, 1),
        fever: false,
        procedure: None,
        imaging: Some(("24725-4", "CT of the head", "No fracture and no bleeding.")),
    },
    Admission {
        disorder: disorder(
            "25374005",
            "K52.9",
            "Gastroenteritis with loss of fluid",
            &[],
        ),
        ages: (0.3, 110.0),
        days: (0, 2),
        fever: true,
        procedure: None,
        imaging: None,
    },
    Admission {
        disorder: disorder(
            "239872002",
            "M16.9",
            "Osteoarthritis of the hip",
            &[&m::PARACETAMOL, &m::APIXABAN],
        ),
        ages: (52.0, 90.0),
        days: (3, 6),
        fever: false,
        procedure: Some(("52734007", "Total replacement of the hip")),
        imaging: None,
    },
    Admission {
        disorder: disorder(
            "195967001",
            "J45.901",
            "Asthma attack",
            &[&m::SALBUTAMOL, &m::PREDNISONE],
        ),
        ages: (3.0, 70.0),
        days: (0, 3),
        fever: false,
        procedure: None,
        imaging: None,
    },
];

/// What people react to: SNOMED CT code, words, category, usual reaction (code and words).
pub(super) type Allergen = (
    &'static str,
    &'static str,
    &'static str,
    (&'static str, &'static str),
);

const HIVES: (&str, &str) = ("126485001", "Hives");
const RASH: (&str, &str) = ("271807003", "Rash");
const WHEEZE: (&str, &str) = ("56018004", "Wheezing");
const SHOCK: (&str, &str) = ("39579001", "Anaphylaxis");

/// Allergies.
pub(super) const ALLERGENS: &[Allergen] = &[
    ("91936005", "Allergy to penicillin", "medication", RASH),
    ("91939003", "Allergy to sulphonamide", "medication", RASH),
    ("91935009", "Allergy to peanuts", "food", SHOCK),
    ("300913006", "Allergy to shellfish", "food", HIVES),
    ("91930004", "Allergy to eggs", "food", HIVES),
    ("417532002", "Allergy to fish", "food", HIVES),
    ("300916003", "Allergy to latex", "environment", RASH),
    ("424213003", "Allergy to bee venom", "environment", SHOCK),
    (
        "418689008",
        "Allergy to grass pollen",
        "environment",
        WHEEZE,
    ),
    (
        "232350006",
        "Allergy to house dust mites",
        "environment",
        WHEEZE,
    ),
];
