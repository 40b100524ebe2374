//! What some clients did: the trail counted by day, client, type and patient.

use std::sync::Arc;

use super::report;
use crate::Result;
use crate::audit::Told;
use crate::face::{Access, Activity, ActivityQuery, PatientActivity, Volume};
use crate::sqlite::tenant::OpenTenant;

const DAY_US: i64 = 86_400_000_000;
const LINES_MAX: usize = base::limits::fixed::ACTIVITY_LINES_MAX;

/// What the clients of a query did.
pub(crate) fn activity(tenant: &Arc<OpenTenant>, query: &ActivityQuery) -> Result<Activity> {
    let mut activity = Activity::default();
    refusals(tenant, query, &mut activity)?;
    let asked = report::Asked {
        fits: &|at, actor| query.fits(at, actor),
        patient: None,
        all: true,
    };
    report::each(tenant, &asked, &mut |access| {
        count(query, &access, &mut activity);
        true
    })?;
    Ok(activity)
}

fn refusals(tenant: &OpenTenant, query: &ActivityQuery, activity: &mut Activity) -> Result<()> {
    let journal = &tenant.shared.journal;
    let id = *tenant.id.bytes();
    let counted = journal.scan(id, &tenant.keys.journal, &mut |_, record| {
        if let Some(told) = Told::read(record)
            && told.outcome == "refused"
            && query.fits(told.request.at, &told.actor)
        {
            let day = told.request.at.0.div_euclid(DAY_US);
            let key = (day, told.code.unwrap_or_default());
            if activity.refused.len() < LINES_MAX || activity.refused.contains_key(&key) {
                *activity.refused.entry(key).or_default() += 1;
            } else {
                activity.more = true;
            }
        }
    });
    counted.map(drop)
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
