//! A dental clinic: check-ups, cleaning, and work on single teeth and their surfaces.

use serde_json::{Value, json};

use super::body::Illness;
use super::calendar::Date;
use super::chart::{Chart, Visit, VisitKind};
use super::conditions::Disorder;
use super::medications;
use super::observe::Measured;
use super::write::{SNOMED, concept, hl7};

const CARIES: Disorder = Disorder {
    snomed: "80967001",
    icd10: "K02.9",
    text: "Tooth decay",
    treatment: &[],
};
const GINGIVITIS: Disorder = Disorder {
    snomed: "66383009",
    icd10: "K05.10",
    text: "Inflamed gums",
    treatment: &[&medications::CHLORHEXIDINE],
};
const IMPACTED: Disorder = Disorder {
    snomed: "196416002",
    icd10: "K01.1",
    text: "Impacted wisdom tooth",
    treatment: &[&medications::IBUPROFEN, &medications::AMOXICILLIN],
};

const EXAMINATION: (&str, &str) = ("122856003", "Examination of the mouth");
const BITEWING: (&str, &str) = ("241046008", "Bitewing X-ray");
const SCALING: (&str, &str) = ("1260009003", "Scaling above the gum line");
const DEEP_SCALING: (&str, &str) = ("1260010008", "Scaling below the gum line");
const FLUORIDE: (&str, &str) = ("68071007", "Fluoride treatment");
const EDUCATION: (&str, &str) = ("243085009", "Teaching of tooth care");
const FILLING: (&str, &str) = ("1259293006", "Composite filling");
const COVERING: (&str, &str) = ("1256042007", "Restoration over all cusps");
const EXTRACTION: (&str, &str) = ("173291009", "Simple removal of a tooth");
const WISDOM: (&str, &str) = ("65546002", "Removal of a wisdom tooth");

/// Fills the chart of a dental patient: check-ups of the last four years and what they led to.
pub(super) fn fill(chart: &mut Chart<'_>) {
    let last = chart.last_day();
    let first = chart
        .person
        .birth
        .plus(730)
        .max(chart.house.today.plus(-1_450));
    let mut day = first.plus(chart.chance.between(0, 260)).working_day();
    while day <= last {
        check_up(chart, day, last);
        day = day.plus(chart.chance.between(165, 400)).working_day();
    }
    if last >= first && chart.chance.happens(0.5) {
        chart.appointment(30, "Dental check-up");
    }
}

fn seat(chart: &mut Chart<'_>, day: Date, minutes: i64, by: usize, reason: Option<&str>) -> Visit {
    let start = day.at(9 * 60 + chart.chance.between(0, 11) * 30);
    let kind = VisitKind {
        class: "AMB",
        kind: if reason.is_some() {
            ("371883000", "Outpatient procedure")
        } else {
            ("185349003", "Check-up")
        },
        place: by,
        reason: reason.map(str::to_owned),
        open: false,
    };
    chart.visit(start, minutes, by, &kind)
}

fn done(
    chart: &mut Chart<'_>,
    visit: &Visit,
    what: (&str, &str),
    from: i64,
    reason: Option<&str>,
    site: Option<Value>,
) {
    let times = (visit.start.plus(from), visit.start.plus(from + 8));
    chart.procedure(visit, &concept(SNOMED, what.0, what.1), times, reason, site);
}

fn check_up(chart: &mut Chart<'_>, day: Date, last: Date) {
    let age = day.age(chart.person.birth);
    let visit = seat(chart, day, 45, chart.own, None);
    if age > 35.0 {
        chart.measure(
            &visit,
            visit.start.plus(3),
            Measured::Pressure,
            Illness::default(),
        );
    }
    done(chart, &visit, EXAMINATION, 5, None, None);
    if age > 6.0 && chart.chance.happens(0.45) {
        done(chart, &visit, BITEWING, 13, None, None);
    }
    if age > 5.0 {
        done(chart, &visit, SCALING, 21, None, None);
    }
    if age < 16.0 || chart.chance.happens(0.1) {
        done(chart, &visit, FLUORIDE, 30, None, None);
    }
    if chart.chance.happens(0.3) {
        done(chart, &visit, EDUCATION, 36, None, None);
    }
    if age > 15.0 && chart.chance.happens(0.12) {
        let heals = day.plus(chart.chance.between(14, 60));
        let gums = chart.condition(&GINGIVITIS, day, Some(heals), day, None);
        done(chart, &visit, DEEP_SCALING, 29, Some(&gums), None);
        for medication in GINGIVITIS.treatment {
            chart.order(&visit, medication, &gums, "completed");
        }
    }
    if chart.chance.happens(if age < 10.0 { 0.14 } else { 0.26 }) {
        repair(chart, day, last, age);
    }
    if (17.0..34.0).contains(&age) && chart.chance.happens(0.06) {
        wisdom(chart, day, last);
    }
}

/// Decay found at a check-up and treated some days later.
fn repair(chart: &mut Chart<'_>, found: Date, last: Date, age: f64) {
    let day = found.plus(chart.chance.between(5, 30)).working_day();
    let (tooth, back) = tooth(chart, age);
    let treated = day <= last;
    let condition = chart.condition(
        &CARIES,
        found,
        Some(day),
        found,
        Some(json!([tooth.clone()])),
    );
    if !treated {
        return;
    }
    let visit = seat(chart, day, 40, chart.own, Some(&condition));
    let turn = chart.chance.unit();
    if turn < 0.78 || age < 12.0 {
        let surface = surface(chart, back);
        done(
            chart,
            &visit,
            FILLING,
            10,
            Some(&condition),
            Some(json!([tooth, surface])),
        );
    } else if turn < 0.9 {
        done(
            chart,
            &visit,
            COVERING,
            10,
            Some(&condition),
            Some(json!([tooth])),
        );
    } else {
        done(
            chart,
            &visit,
            EXTRACTION,
            10,
            Some(&condition),
            Some(json!([tooth])),
        );
        chart.order(&visit, &medications::IBUPROFEN, &condition, "completed");
    }
}

fn wisdom(chart: &mut Chart<'_>, found: Date, last: Date) {
    let day = found.plus(chart.chance.between(10, 40)).working_day();
    let site = tooth_code(*chart.chance.pick(&[18, 28, 38, 48]));
    let condition = chart.condition(
        &IMPACTED,
        found,
        Some(day),
        found,
        Some(json!([site.clone()])),
    );
    if day > last {
        return;
    }
    let visit = seat(chart, day, 60, chart.own, Some(&condition));
    chart.measure(
        &visit,
        visit.start.plus(3),
        Measured::Pressure,
        Illness::default(),
    );
    done(
        chart,
        &visit,
        WISDOM,
        15,
        Some(&condition),
        Some(json!([site])),
    );
    for medication in IMPACTED.treatment {
        chart.order(&visit, medication, &condition, "completed");
    }
}

/// A tooth by FDI number (ISO 3950), and whether it is a back tooth. Milk teeth for children.
fn tooth(chart: &mut Chart<'_>, age: f64) -> (Value, bool) {
    let milk = age < 8.0;
    let quarter = chart.chance.between(1, 4) + if milk { 4 } else { 0 };
    let place = chart.chance.between(
        if chart.chance.clone().happens(0.7) {
            4
        } else {
            1
        },
        if milk { 5 } else { 7 },
    );
    (tooth_code(quarter * 10 + place), place >= 4)
}

fn tooth_code(number: i64) -> Value {
    let mut site = json!({"text": format!("Tooth {number}")});
    // HL7's example code system has the permanent teeth only.
    if number < 50 {
        site["coding"] = json!([{"system": hl7("ex-tooth"), "code": number.to_string()}]);
    }
    site
}

/// Surfaces by the FDI's letters.
fn surface(chart: &mut Chart<'_>, back: bool) -> Value {
    let code = if back {
        *chart.chance.pick(&["O", "MO", "DO", "MOD", "B"])
    } else {
        *chart.chance.pick(&["M", "D", "L", "V", "I"])
    };
    json!({"coding": [{"system": hl7("FDI-surface"), "code": code}], "text": format!("Surface {code}")})
}
