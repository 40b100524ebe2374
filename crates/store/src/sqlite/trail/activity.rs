//! What some clients did: the trail counted by day, client, type and patient.

use std::sync::Arc;

use access::ActionName;
use base::Micros;
use rusqlite::Connection;

use super::event::purpose_of;
use super::report::{self, Met};
use crate::Result;
use crate::audit::{About, Told};
use crate::face::{Access, Activity, ActivityQuery, PatientActivity, Volume};
use crate::sqlite::fault::Doing;
use crate::sqlite::tenant::OpenTenant;

const DAY_US: i64 = 86_400_000_000;
const LINES_MAX: usize = base::limits::fixed::ACTIVITY_LINES_MAX;

/// What the clients of a query did.
pub(crate) fn activity(tenant: &Arc<OpenTenant>, query: &ActivityQuery) -> Result<Activity> {
    let mut activity = Activity::default();
    let is_by = |actor: &str| query.is_by(actor);
    let asked = report::Asked {
        fits: &|at, actor| query.fits(at, actor),
        times: (query.from, query.to),
        is_by: Some(&is_by),
        patient: None,
        all: true,
    };
    let reader = tenant.reader()?;
    let read = purposes_of_changes(&reader.db, query, &mut activity);
    tenant.give_back(reader);
    read?;
    let all = report::each(tenant, &asked, &mut |met| {
        match met {
            // Refusals and purposes: what records say by themselves.
            Met::Record(told) => refusal(told, &mut activity),
            Met::Access(access) => count(query, &access, &mut activity),
        }
        true
    })?;
    activity.more |= !all;
    Ok(activity)
}

fn refusal(told: &Told, activity: &mut Activity) {
    if told.outcome != "refused" {
        if told.action.is_some_and(|a| TOUCHING.contains(&a)) {
            let purpose = purpose_of(&told.about);
            *activity.purposes.entry(purpose).or_default() += 1;
        }
        return;
    }
    let day = told.request.at.0.div_euclid(DAY_US);
    let key = (day, told.code.clone().unwrap_or_default());
    if activity.refused.len() < LINES_MAX || activity.refused.contains_key(&key) {
        *activity.refused.entry(key).or_default() += 1;
    } else {
        activity.more = true;
    }
}

/// Actions that touch resources.
const TOUCHING: [ActionName; 4] = [
    ActionName::Read,
    ActionName::Search,
    ActionName::History,
    ActionName::Export,
];

fn purposes_of_changes(
    db: &Connection,
    query: &ActivityQuery,
    activity: &mut Activity,
) -> Result<()> {
    const DOING: &str = "reading why changes were made";
    let mut read = db
        .prepare(
            "SELECT c.updated_us, a.text, c.about FROM change c JOIN actor a ON a.id = c.actor
             WHERE c.members > 0 AND c.updated_us >= ?1 AND c.updated_us < ?2",
        )
        .doing(DOING)?;
    let (from, to) = (
        query.from.map_or(i64::MIN, |t| t.0),
        query.to.map_or(i64::MAX, |t| t.0),
    );
    let mut rows = read.query((from, to)).doing(DOING)?;
    while let Some(row) = rows.next().doing(DOING)? {
        let at = Micros(row.get(0).doing(DOING)?);
        let actor: String = row.get(1).doing(DOING)?;
        if query.fits(at, &actor) {
            let about: Option<Vec<u8>> = row.get(2).doing(DOING)?;
            let about = about
                .and_then(|bytes| About::read(&bytes))
                .unwrap_or_default();
            *activity.purposes.entry(purpose_of(&about)).or_default() += 1;
        }
    }
    Ok(())
}

fn count(query: &ActivityQuery, access: &Access, activity: &mut Activity) {
    let wrote = access.action == "change";
    // Other actions than these touch no resource.
    if !wrote && !matches!(access.action, "read" | "search" | "history" | "export") {
        return;
    }
    let day = access.at.0.div_euclid(DAY_US);
    let named = |name: &&str| query.actors.iter().any(|a| a == name);
    let client = access.actor.split(' ').find(named).unwrap_or_default();
    let client = client.strip_prefix("client:").unwrap_or(client);
    for name in &access.what {
        let of = name.split_once('/').map_or("", |(of, _)| of);
        let key = (day, client.to_owned(), of.to_owned());
        if activity.days.len() >= LINES_MAX && !activity.days.contains_key(&key) {
            activity.more = true;
            continue;
        }
        add(activity.days.entry(key).or_default(), wrote);
    }
    for patient in &access.patients {
        if activity.patients.len() >= LINES_MAX && !activity.patients.contains_key(patient) {
            activity.more = true;
            continue;
        }
        let entry = activity.patients.entry(patient.clone());
        let known = entry.or_insert(PatientActivity {
            volume: Volume::default(),
            first: access.at,
            last: access.at,
        });
        known.first = known.first.min(access.at);
        known.last = known.last.max(access.at);
        add(&mut known.volume, wrote);
    }
}

const fn add(volume: &mut Volume, wrote: bool) {
    match wrote {
        true => volume.writes += 1,
        false => volume.reads += 1,
    }
}
