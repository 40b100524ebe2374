//! A hospital: emergencies, stays with daily rounds, operations, and what follows.

use serde_json::json;

use super::body::Illness;
use super::calendar::Date;
use super::chart::{Chart, Visit, VisitKind};
use super::conditions::{ADMISSIONS, Admission};
use super::labs;
use super::observe::Measured;
use super::write::{SNOMED, concept};

/// Fills the chart of a hospital's patient: one or two stays in the last three years.
pub(super) fn fill(chart: &mut Chart<'_>) {
    let person = chart.person;
    let last = chart.last_day();
    for (kind, since) in &person.chronic {
        let recorded = (*since).max(chart.house.today.plus(-1_100)).min(last);
        if *since <= recorded {
            chart.condition(&kind.disorder, *since, None, recorded, None);
        }
    }
    let earliest = person.birth.plus(120).max(chart.house.today.plus(-1_090));
    let mut day = last.plus(-chart.chance.between(0, 500));
    for _ in 0..chart.chance.between(1, 2) {
        if day <= earliest {
            break;
        }
        stay(chart, day, last);
        day = day.plus(-chart.chance.between(60, 420));
    }
    if chart.chance.happens(0.35) {
        chart.appointment(30, "Outpatient review");
    }
}

fn suitable(chart: &mut Chart<'_>, age: f64) -> Option<&'static Admission> {
    let fits: Vec<&Admission> = ADMISSIONS
        .iter()
        .filter(|a| (a.ages.0..a.ages.1).contains(&age))
        .collect();
    (!fits.is_empty()).then(|| *chart.chance.pick(&fits))
}

fn stay(chart: &mut Chart<'_>, day: Date, last: Date) {
    let person = chart.person;
    let Some(admission) = suitable(chart, day.age(person.birth)) else {
        return;
    };
    let nights = chart.chance.between(admission.days.0, admission.days.1);
    let left = day.plus(nights);
    // Somebody who came in a few days ago may still be here.
    let open = nights > 0 && left > last && person.death.is_none();
    let left = left.min(last);
    let began = day.plus(-chart.chance.between(0, 2)).max(person.birth);
    let over = left.plus(chart.chance.between(5, 40));
    let condition = chart.condition(&admission.disorder, began, Some(over), day, None);
    let arrival = day.at(chart.chance.between(60, 1_000));
    let emergency = VisitKind {
        class: "EMER",
        kind: ("50849002", "Emergency visit"),
        place: 0,
        reason: Some(condition.clone()),
        open: false,
    };
    let by = chart.own;
    let visit = chart.visit(arrival, 230, by, &emergency);
    let fever = if admission.fever { 1.0 } else { 0.0 };
    let lungs = if admission.disorder.icd10.starts_with('J') || admission.disorder.icd10 == "I50.9"
    {
        0.8
    } else {
        0.1
    };
    chart.measure(
        &visit,
        arrival.plus(8),
        Measured::Ill,
        Illness { fever, lungs },
    );
    bloods(chart, &visit, arrival.plus(20), fever);
    if let Some(imaging) = admission.imaging {
        chart.imaging(&visit, arrival.plus(55), imaging);
    }
    if nights == 0 || left == day {
        if let Some((code, words)) = admission.procedure {
            let times = (arrival.plus(90), arrival.plus(130));
            chart.procedure(
                &visit,
                &concept(SNOMED, code, words),
                times,
                Some(&condition),
                None,
            );
        }
        discharge(chart, &visit, admission, &condition, open);
        return;
    }
    let ward = 1 + usize::from(admission.procedure.is_some());
    let minutes = (left.since(day) * 1440).max(600);
    let inpatient = VisitKind {
        class: "IMP",
        kind: ("32485007", "Hospital stay"),
        place: ward,
        reason: Some(condition.clone()),
        open,
    };
    let visit = chart.visit(arrival.plus(240), minutes - 240, by + 1, &inpatient);
    rounds(
        chart,
        &visit,
        admission,
        &condition,
        (fever, lungs),
        left.since(day),
    );
    discharge(chart, &visit, admission, &condition, open);
}

/// One round a day: better from day to day.
fn rounds(
    chart: &mut Chart<'_>,
    visit: &Visit,
    admission: &Admission,
    condition: &str,
    (fever, lungs): (f64, f64),
    days: i64,
) {
    for day in 1..=days {
        let part = 1.0 - day as f64 / (days as f64 + 0.5);
        let at = visit
            .start
            .date()
            .plus(day)
            .at(7 * 60 + chart.chance.between(0, 50));
        if at.plus(30) >= visit.end || at.date() > chart.last_day() {
            break;
        }
        chart.measure(
            visit,
            at,
            Measured::Ill,
            Illness {
                fever: fever * part,
                lungs: lungs * part,
            },
        );
        if day % 3 == 1 {
            bloods(chart, visit, at.plus(15), fever * part);
        }
    }
    if let Some((code, words)) = admission.procedure {
        let start = visit.start.plus(60);
        let end = start.plus(chart.chance.between(35, 110)).min(visit.end);
        chart.procedure(
            visit,
            &concept(SNOMED, code, words),
            (start, end),
            Some(condition),
            None,
        );
    }
}

fn bloods(chart: &mut Chart<'_>, visit: &Visit, at: super::calendar::Moment, infection: f64) {
    let panel = labs::blood_count(&mut chart.chance, chart.person, infection);
    chart.panel(visit, at, &panel);
    let panel = labs::metabolic(&mut chart.chance, chart.person, at.date());
    chart.panel(visit, at, &panel);
    let lab = labs::inflammation(&mut chart.chance, infection);
    chart.lab(visit, at, &lab);
}

fn discharge(
    chart: &mut Chart<'_>,
    visit: &Visit,
    admission: &Admission,
    condition: &str,
    open: bool,
) {
    let recent = chart.house.today.since(visit.end.date()) < 60;
    for medication in admission.disorder.treatment {
        let status = match (
            open || recent && medication.course_days == 0,
            chart.person.death,
        ) {
            (true, None) => "active",
            (_, Some(_)) => "stopped",
            _ => "completed",
        };
        chart.order(visit, medication, condition, status);
    }
    let review = visit
        .end
        .date()
        .plus(chart.chance.between(20, 40))
        .working_day();
    if open || review > chart.last_day() || !chart.chance.happens(0.6) {
        return;
    }
    let kind = VisitKind {
        class: "AMB",
        kind: ("390906007", "Review after a stay"),
        place: 5,
        reason: Some(condition.to_owned()),
        open: false,
    };
    let start = review.at(10 * 60 + chart.chance.between(0, 20) * 15);
    let after = chart.visit(start, 30, chart.own, &kind);
    chart.measure(&after, start.plus(5), Measured::All, Illness::default());
    let advice =
        json!({"coding": [{"system": SNOMED, "code": "409063005"}], "text": "Advice on recovery"});
    chart.procedure(
        &after,
        &advice,
        (start.plus(10), start.plus(25)),
        Some(condition),
        None,
    );
}
