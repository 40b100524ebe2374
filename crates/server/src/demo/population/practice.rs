//! A family practice: check-ups, follow-ups, passing illness, vaccinations.

use super::body::Illness;
use super::calendar::{Date, YEAR};
use super::chart::{Chart, Visit, VisitKind};
use super::conditions::{ACUTE, Acute, Effect};
use super::labs;
use super::observe::Measured;
use super::vaccines::{INFLUENZA, SCHEDULE};

/// Why somebody comes.
#[derive(Clone, Copy, Debug)]
enum Reason {
    WellChild,
    CheckUp,
    FollowUp,
    Ill(&'static Acute),
}

/// Ages, in months, at which children are seen while well.
const WELL_CHILD_MONTHS: &[f64] = &[
    0.5, 2.0, 4.0, 6.0, 9.0, 12.0, 15.0, 18.0, 24.0, 30.0, 36.0, 48.0, 60.0, 72.0, 84.0, 96.0,
    108.0, 120.0, 132.0, 144.0, 156.0, 168.0, 180.0, 192.0, 204.0,
];

/// Fills the chart of a practice's patient: the last three years, or a small child's whole life.
pub(super) fn fill(chart: &mut Chart<'_>) {
    let person = chart.person;
    let last = chart.last_day();
    let first = person
        .birth
        .plus(4)
        .max(chart.house.today.plus(-(3.0 * YEAR) as i64));
    let visits = plan(chart, first, last);
    let mut conditions: Vec<Option<String>> = vec![None; person.chronic.len()];
    let mut before = first;
    for (i, &(day, reason)) in visits.iter().enumerate() {
        let again = visits
            .iter()
            .skip(i + 1)
            .any(|(_, r)| matches!(r, Reason::FollowUp | Reason::CheckUp));
        attend(chart, (before, day), reason, &mut conditions, !again);
        before = day;
    }
    if chart.chance.happens(0.45) {
        let (minutes, words) = if person.chronic.is_empty() {
            (20, "Check-up")
        } else {
            (20, "Follow-up")
        };
        chart.appointment(minutes, words);
    }
}

fn plan(chart: &mut Chart<'_>, first: Date, last: Date) -> Vec<(Date, Reason)> {
    let person = chart.person;
    let chance = &mut chart.chance;
    let mut visits: Vec<(Date, Reason)> = Vec::new();
    for months in WELL_CHILD_MONTHS {
        let day = person
            .birth
            .plus((months / 12.0 * YEAR) as i64 + chance.between(0, 12));
        visits.push((day, Reason::WellChild));
    }
    let mut day = first.plus(chance.between(0, 300));
    while day <= last {
        if day.age(person.birth) >= 18.0 && chance.happens(0.7) {
            visits.push((day, Reason::CheckUp));
        }
        day = day.plus(chance.between(330, 430));
    }
    if !person.chronic.is_empty() {
        let mut day = first.plus(chance.between(20, 180));
        while day <= last {
            if person.chronic.iter().any(|(_, since)| *since <= day) {
                visits.push((day, Reason::FollowUp));
            }
            day = day.plus(chance.between(150, 240));
        }
    }
    let mut day = first;
    while day <= last {
        let age = day.age(person.birth);
        let illness = chance.pick(ACUTE);
        let suits = (illness.ages.0..illness.ages.1).contains(&age);
        if suits && chance.happens(if age < 6.0 { 0.5 } else { 0.24 }) {
            visits.push((day.plus(chance.between(0, 150)), Reason::Ill(illness)));
        }
        day = day.plus(180);
    }
    for visit in &mut visits {
        visit.0 = visit.0.working_day();
    }
    visits.retain(|(day, _)| *day >= first && *day <= last);
    visits.sort_by_key(|(day, _)| *day);
    visits.dedup_by(|later, earlier| later.0.since(earlier.0) < 7);
    visits
}

fn attend(
    chart: &mut Chart<'_>,
    (before, day): (Date, Date),
    reason: Reason,
    conditions: &mut [Option<String>],
    newest: bool,
) {
    let person = chart.person;
    let start = day.at(9 * 60 + chart.chance.between(0, 27) * 15);
    let mut illness = None;
    if let Reason::Ill(acute) = reason {
        let began = day.plus(-chart.chance.between(1, 3)).max(person.birth);
        let ends = began.plus(
            chart
                .chance
                .between(acute.days.0, acute.days.1)
                .max(day.since(began)),
        );
        illness = Some((
            acute,
            chart.condition(&acute.disorder, began, Some(ends), day, None),
        ));
    }
    let kind = match reason {
        Reason::WellChild => ("410620009", "Well-child visit"),
        Reason::CheckUp => ("185349003", "Check-up"),
        Reason::FollowUp => ("390906007", "Follow-up visit"),
        Reason::Ill(_) => ("185345009", "Visit for a symptom"),
    };
    let by = if chart.chance.happens(0.75) {
        chart.own
    } else {
        chart.own + 1
    };
    let visit = VisitKind {
        class: "AMB",
        kind,
        place: by,
        reason: illness.as_ref().map(|(_, id)| id.clone()),
        open: false,
    };
    let visit = chart.visit(start, 25, by, &visit);
    for ((kind, since), id) in person.chronic.iter().zip(conditions.iter_mut()) {
        if id.is_none() && *since <= day {
            *id = Some(chart.condition(&kind.disorder, *since, None, day, None));
        }
    }
    match (&illness, reason) {
        (Some((acute, id)), _) => ill(chart, &visit, acute, id),
        (None, Reason::FollowUp) => follow_up(chart, &visit, conditions, newest),
        _ => check_up(chart, &visit, conditions, newest),
    }
    if illness.is_none() {
        vaccinate(chart, &visit, before);
    }
}

fn ill(chart: &mut Chart<'_>, visit: &Visit, acute: &Acute, condition: &str) {
    let fever = if acute.fever {
        chart.chance.within(0.1, 1.0)
    } else {
        0.0
    };
    chart.measure(
        visit,
        visit.start.plus(5),
        Measured::Ill,
        Illness { fever, lungs: 0.0 },
    );
    for medication in acute.disorder.treatment {
        chart.order(visit, medication, condition, "completed");
    }
    if acute.fever && chart.chance.happens(0.12) {
        let panel = labs::blood_count(&mut chart.chance, chart.person, fever * 0.4);
        chart.panel(visit, visit.start.plus(15), &panel);
    }
}

fn check_up(chart: &mut Chart<'_>, visit: &Visit, conditions: &[Option<String>], newest: bool) {
    let person = chart.person;
    chart.measure(
        visit,
        visit.start.plus(5),
        Measured::All,
        Illness::default(),
    );
    let day = visit.start.date();
    let age = day.age(person.birth);
    if age < 18.0 {
        return;
    }
    chart.smoking_status(visit);
    if age > 38.0 || !person.chronic.is_empty() {
        let at = visit.start.plus(15);
        let panel = labs::lipids(&mut chart.chance, person, day);
        chart.panel(visit, at, &panel);
        let panel = labs::metabolic(&mut chart.chance, person, day);
        chart.panel(visit, at, &panel);
        let panel = labs::blood_count(&mut chart.chance, person, 0.0);
        chart.panel(visit, at, &panel);
    }
    renew(chart, visit, conditions, newest);
}

fn follow_up(chart: &mut Chart<'_>, visit: &Visit, conditions: &[Option<String>], newest: bool) {
    let person = chart.person;
    let day = visit.start.date();
    chart.measure(
        visit,
        visit.start.plus(5),
        Measured::All,
        Illness::default(),
    );
    let at = visit.start.plus(15);
    if person.lives_with(Effect::Glucose, day) {
        let lab = labs::long_term_glucose(&mut chart.chance, person, day);
        chart.lab(visit, at, &lab);
    }
    if person.lives_with(Effect::Thyroid, day) {
        let lab = labs::thyroid(&mut chart.chance, person, day);
        chart.lab(visit, at, &lab);
    }
    if person.lives_with(Effect::Pressure, day) || person.lives_with(Effect::Kidney, day) {
        let panel = labs::metabolic(&mut chart.chance, person, day);
        chart.panel(visit, at, &panel);
    }
    renew(chart, visit, conditions, newest);
}

/// Writes the lasting medicines anew; the newest orders of the living are active.
fn renew(chart: &mut Chart<'_>, visit: &Visit, conditions: &[Option<String>], newest: bool) {
    let person = chart.person;
    let status = match (newest, person.death) {
        (true, None) => "active",
        (true, Some(_)) => "stopped",
        _ => "completed",
    };
    for ((kind, since), id) in person.chronic.iter().zip(conditions) {
        let Some(id) = id else { continue };
        let years = visit.start.date().age(*since);
        for (i, medication) in kind.disorder.treatment.iter().enumerate() {
            // A second medicine is added when the first has been taken for some time.
            if i == 0 || years > 1.5 * i as f64 {
                chart.order(visit, medication, id, status);
            }
        }
    }
}

fn vaccinate(chart: &mut Chart<'_>, visit: &Visit, before: Date) {
    let birth = chart.person.birth;
    let day = visit.start.date();
    let months = |day: Date| day.age(birth) * 12.0;
    let from = if months(before) < 1.0 {
        -1.0
    } else {
        months(before)
    };
    for vaccine in SCHEDULE {
        for (dose, due) in vaccine.due_months.iter().enumerate() {
            if *due > from && *due <= months(day) && chart.chance.happens(0.95) {
                chart.immunization(visit, vaccine, dose + 1);
            }
        }
    }
    let season = matches!(day.month(), 9..=12) && before.since(Date::new(day.year(), 9, 1)) < 0;
    if season && months(day) > 6.0 && chart.chance.happens(0.6) {
        chart.immunization(visit, &INFLUENZA, 1);
    }
}
