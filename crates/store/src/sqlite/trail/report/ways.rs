//! What led to accesses that a report lists, beside what policy gives: patients whom people opened in an
//! emergency, and the ways in that operators made.

use base::Micros;
use rusqlite::Connection;

use super::names;
use crate::Result;
use crate::face::{AccessQuery, AccessReport, OpeningLine, OperatorWay};
use crate::sqlite::break_glass;
use crate::sqlite::house::providers;
use crate::sqlite::tenant::OpenTenant;

/// Whether something that was open from one time to another was so in the times that are asked for.
fn is_within(query: &AccessQuery, from: Micros, until: Option<Micros>) -> bool {
    query.to.is_none_or(|to| from < to)
        && query
            .from
            .zip(until)
            .is_none_or(|(since, until)| since <= until)
}

/// Openings, oldest first, also those by which nothing was looked at; whether there are no more.
pub(super) fn openings(
    tenant: &OpenTenant,
    db: &Connection,
    query: &AccessQuery,
    among: &[String],
) -> Result<(Vec<OpeningLine>, bool)> {
    let all = break_glass::between(db, tenant.chain(), (query.from, query.to))?;
    let wanted = all.into_iter().filter(|opening| {
        let patient = query.patient.as_ref();
        patient.is_none_or(|of| *of == opening.patient) && query.is_by(&opening.actor, among)
    });
    let mut lines: Vec<OpeningLine> = wanted
        .take(AccessReport::LINES_MAX + 1)
        .map(|opening| OpeningLine {
            id: opening.id.to_string(),
            from: opening.opened,
            until: opening.end(),
            who: names(tenant, &opening.actor),
            ended_by: opening.ended.map(|(_, by)| by),
            review: opening.review.map(|review| match review.objects {
                true => "objected",
                false => "accepted",
            }),
            actor: opening.actor,
            patient: opening.patient,
            grant: opening.grant,
            purpose: opening.purpose,
            why: opening.reason,
        })
        .collect();
    let whole = lines.len() <= AccessReport::LINES_MAX;
    lines.truncate(AccessReport::LINES_MAX);
    Ok((lines, whole))
}

/// Ways in that operators made, of which the tenant keeps a record: for bulk loading, clients that open records
/// by themselves, and identity providers; in the order of their beginning.
pub(super) fn of_operators(
    tenant: &OpenTenant,
    query: &AccessQuery,
    among: &[String],
) -> Result<Vec<OperatorWay>> {
    let mut ways = Vec::new();
    for client in tenant.clients().sorted() {
        let (name, id) = (client.name.clone(), client.id.as_str());
        if let Some(times) = client.import {
            ways.push(OperatorWay {
                what: format!("import:{id}"),
                by: "operator".to_owned(),
                why: name.clone(),
                name,
                from: times.opened,
                until: Some(times.until),
                kept_by: None,
                revoked: client.revoked,
            });
        } else if let Some(made) = client.made.as_ref().filter(|_| client.acts_alone()) {
            ways.push(OperatorWay {
                what: format!("client:{id}"),
                name,
                by: made.by.to_string(),
                why: made.reason.to_string(),
                from: made.at,
                until: made.until,
                kept_by: made.kept_by.as_deref().map(str::to_owned),
                revoked: client.revoked,
            });
        }
    }
    for provider in tenant.people().providers().iter() {
        if let Some(made) = providers::made(provider)? {
            ways.push(OperatorWay {
                what: format!("identity-provider:{}", provider.id),
                name: made.issuer.to_string(),
                by: made.by.to_string(),
                why: made.reason.to_string(),
                from: Micros(made.at_us),
                until: made.until(),
                kept_by: made.kept_by.as_deref().map(str::to_owned),
                revoked: false,
            });
        }
    }
    ways.retain(|way| {
        let by = query.is_by(&way.what, among) || query.is_by(&way.by, among);
        by && is_within(query, way.from, way.until)
    });
    ways.sort_by(|a, b| (a.from, &a.what).cmp(&(b.from, &b.what)));
    Ok(ways)
}
