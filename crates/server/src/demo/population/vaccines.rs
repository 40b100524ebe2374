//! The vaccines that are due at an age, by CVX code.

/// A vaccine and the ages, in months, at which its doses are due.
#[derive(Debug)]
pub(super) struct Vaccine {
    pub(super) cvx: &'static str,
    pub(super) text: &'static str,
    pub(super) due_months: &'static [f64],
}

const fn vaccine(cvx: &'static str, text: &'static str, due_months: &'static [f64]) -> Vaccine {
    Vaccine {
        cvx,
        text,
        due_months,
    }
}

/// The schedule, childhood first.
pub(super) const SCHEDULE: &[Vaccine] = &[
    vaccine("08", "Hepatitis B, child", &[0.3, 2.0, 6.0]),
    vaccine("119", "Rotavirus", &[2.0, 4.0]),
    vaccine(
        "20",
        "Diphtheria, tetanus and whooping cough, child",
        &[2.0, 4.0, 6.0, 15.0, 48.0],
    ),
    vaccine("49", "Haemophilus influenzae type b", &[2.0, 4.0, 12.0]),
    vaccine("133", "Pneumococcus, 13 types", &[2.0, 4.0, 6.0, 12.0]),
    vaccine("10", "Polio, inactivated", &[2.0, 4.0, 6.0, 48.0]),
    vaccine("03", "Measles, mumps and rubella", &[12.0, 48.0]),
    vaccine("21", "Chickenpox", &[12.0, 48.0]),
    vaccine("83", "Hepatitis A, child", &[12.0, 18.0]),
    vaccine(
        "115",
        "Tetanus, diphtheria and whooping cough, booster",
        &[132.0],
    ),
    vaccine("165", "Human papillomavirus, 9 types", &[132.0, 144.0]),
    vaccine("114", "Meningococcus A, C, W and Y", &[132.0, 192.0]),
    vaccine(
        "113",
        "Tetanus and diphtheria, adult",
        &[252.0, 372.0, 492.0, 612.0, 732.0, 852.0],
    ),
    vaccine("187", "Shingles", &[600.0, 612.0]),
    vaccine("33", "Pneumococcus, 23 types", &[780.0]),
];

/// The yearly one.
pub(super) const INFLUENZA: Vaccine = vaccine("150", "Influenza, seasonal", &[]);
