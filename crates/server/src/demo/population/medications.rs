//! Medicines with RxNorm codes and the usual way to take them.

/// A medicine as it is ordered here.
#[derive(Debug)]
pub(super) struct Medication {
    pub(super) rxnorm: &'static str,
    pub(super) text: &'static str,
    /// One dose: amount and UCUM unit.
    pub(super) dose: (f64, &'static str),
    /// Doses a day.
    pub(super) daily: i64,
    /// SNOMED CT code of the route.
    pub(super) route: &'static str,
    /// Days that a course takes; 0 for medicines that are taken on and on.
    pub(super) course_days: i64,
}

const ORAL: &str = "26643006";
const INHALED: &str = "447694001";
const INTRAVENOUS: &str = "47625008";
const SKIN: &str = "6064005";
const MOUTH: &str = "372449004";

const fn oral(
    rxnorm: &'static str,
    text: &'static str,
    milligrams: f64,
    daily: i64,
    course_days: i64,
) -> Medication {
    Medication {
        rxnorm,
        text,
        dose: (milligrams, "mg"),
        daily,
        route: ORAL,
        course_days,
    }
}

pub(super) const LISINOPRIL: Medication = oral("314076", "Lisinopril 10 mg tablet", 10.0, 1, 0);
pub(super) const AMLODIPINE: Medication = oral("197361", "Amlodipine 5 mg tablet", 5.0, 1, 0);
pub(super) const METFORMIN: Medication = oral("861007", "Metformin 500 mg tablet", 500.0, 2, 0);
pub(super) const ATORVASTATIN: Medication = oral("617310", "Atorvastatin 20 mg tablet", 20.0, 1, 0);
pub(super) const SERTRALINE: Medication = oral("36437", "Sertraline 50 mg", 50.0, 1, 0);
pub(super) const OMEPRAZOLE: Medication = oral("7646", "Omeprazole 20 mg", 20.0, 1, 0);
pub(super) const APIXABAN: Medication = oral("1364430", "Apixaban 5 mg", 5.0, 2, 0);
pub(super) const METOPROLOL: Medication = oral("6918", "Metoprolol 50 mg", 50.0, 1, 0);
pub(super) const ASPIRIN: Medication = oral("243670", "Aspirin 81 mg tablet", 81.0, 1, 0);
pub(super) const CLOPIDOGREL: Medication = oral("309362", "Clopidogrel 75 mg tablet", 75.0, 1, 0);
pub(super) const FUROSEMIDE: Medication = oral("313988", "Furosemide 40 mg tablet", 40.0, 1, 0);
pub(super) const CETIRIZINE: Medication = oral("20610", "Cetirizine 10 mg", 10.0, 1, 0);
pub(super) const AMOXICILLIN: Medication = oral("723", "Amoxicillin", 500.0, 3, 7);
pub(super) const NITROFURANTOIN: Medication = oral("7454", "Nitrofurantoin 100 mg", 100.0, 2, 5);
pub(super) const IBUPROFEN: Medication = oral("310965", "Ibuprofen 200 mg tablet", 400.0, 3, 7);
pub(super) const NAPROXEN: Medication = oral("849574", "Naproxen 220 mg tablet", 220.0, 2, 10);
pub(super) const PARACETAMOL: Medication =
    oral("313782", "Acetaminophen 325 mg tablet", 650.0, 3, 5);
pub(super) const PREDNISONE: Medication = oral("8640", "Prednisone", 40.0, 1, 5);
pub(super) const LEVOTHYROXINE: Medication = Medication {
    rxnorm: "10582",
    text: "Levothyroxine 75 µg",
    dose: (75.0, "ug"),
    daily: 1,
    route: ORAL,
    course_days: 0,
};
pub(super) const SALBUTAMOL: Medication = Medication {
    rxnorm: "745679",
    text: "Albuterol inhaler, 90 µg a puff",
    dose: (180.0, "ug"),
    daily: 4,
    route: INHALED,
    course_days: 0,
};
pub(super) const FLUTICASONE: Medication = Medication {
    rxnorm: "895994",
    text: "Fluticasone inhaler, 44 µg a puff",
    dose: (88.0, "ug"),
    daily: 2,
    route: INHALED,
    course_days: 0,
};
pub(super) const CEFTRIAXONE: Medication = Medication {
    rxnorm: "2193",
    text: "Ceftriaxone, into the vein",
    dose: (1.0, "g"),
    daily: 1,
    route: INTRAVENOUS,
    course_days: 5,
};
pub(super) const HYDROCORTISONE: Medication = Medication {
    rxnorm: "5492",
    text: "Hydrocortisone cream",
    dose: (1.0, "g"),
    daily: 2,
    route: SKIN,
    course_days: 10,
};
pub(super) const CHLORHEXIDINE: Medication = Medication {
    rxnorm: "834127",
    text: "Chlorhexidine mouthwash",
    dose: (15.0, "mL"),
    daily: 2,
    route: MOUTH,
    course_days: 14,
};
