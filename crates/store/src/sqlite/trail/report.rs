//! Who was shown what about whom: the trail with the patients that each access touched.
//!
//! Patients are read off the versions that were shown or made, as they were then, so a resource that
//! was moved or deleted since still counts for whom it was about. A change touches those too whom the
//! version was about that it took the place of. Beside them: what was opened, and by which ways in of operators.

mod ways;

use std::collections::BTreeMap;
use std::sync::Arc;

use access::{ActionName, ClientId, PersonId};
use base::{Code, Micros, ResourceId};
use rusqlite::Connection;

use super::patients::Patients;
use super::records::records;
use super::{Found, access, changes};
use crate::audit::Told;
use crate::face::{Access, AccessQuery, AccessReport, Touched};
use crate::sqlite::connection::in_snapshot;
use crate::sqlite::tenant::OpenTenant;
use crate::{AuditLine, Result, StoreError, StoreMetrics};

/// Patients that one report tells apart.
const PATIENTS_MAX: usize = base::limits::fixed::ACTIVITY_LINES_MAX;

/// Which accesses are looked at.
pub(super) struct Asked<'a> {
    /// When and by whom.
    pub(super) fits: &'a dyn Fn(Micros, &str) -> bool,
    /// Not before the first, and before the second.
    pub(super) times: (Option<Micros>, Option<Micros>),
    /// By those to whom this applies, as the trail names them; by anybody without it.
    pub(super) is_by: Option<&'a dyn Fn(&str) -> bool>,
    /// To this patient's data.
    pub(super) patient: Option<&'a ResourceId>,
    /// Those too that touch no patient.
    pub(super) all: bool,
}

/// The accesses that a query asks for, oldest first.
pub(crate) fn report(tenant: &Arc<OpenTenant>, query: &AccessQuery) -> Result<AccessReport> {
    let mut report = AccessReport::default();
    let (among, known) = whom(tenant, query.actor.as_deref());
    let is_by = |actor: &str| query.is_by(actor, &among);
    let asked = Asked {
        fits: &|at, actor| query.fits(at, actor, &among),
        times: (query.from, query.to),
        is_by: query.actor.is_some().then_some(&is_by),
        patient: query.patient.as_ref(),
        all: false,
    };
    let mut met = known;
    let mut touched: BTreeMap<ResourceId, Touched> = BTreeMap::new();
    let all = each(tenant, &asked, &mut |found| {
        let Met::Access(access) = found else {
            return true;
        };
        met = true;
        for patient in &access.patients {
            if touched.len() >= PATIENTS_MAX && !touched.contains_key(patient) {
                report.more = true;
                continue;
            }
            let line = touched.entry(patient.clone()).or_insert_with(|| Touched {
                patient: patient.clone(),
                reads: 0,
                writes: 0,
                first: access.at,
                last: access.at,
            });
            line.first = line.first.min(access.at);
            line.last = line.last.max(access.at);
            match access.action {
                "change" => line.writes += 1,
                _ => line.reads += 1,
            }
        }
        if report.accesses.len() >= AccessReport::LINES_MAX {
            report.more = true;
        } else {
            report.accesses.push(access);
        }
        true
    })?;
    report.more |= !all;
    if !met {
        let text = format!(
            "nobody is called {} here; give a login, a name, person:ID or client:ID",
            query.actor.as_deref().unwrap_or_default()
        );
        return Err(StoreError::Refused(Code::RequestInvalid, text));
    }
    report.patients = touched.into_values().collect();
    let reader = tenant.reader()?;
    let opened = ways::openings(tenant, &reader.db, query, &among);
    tenant.give_back(reader);
    let (openings, whole) = opened?;
    report.more |= !whole;
    report.openings = openings;
    report.operators = ways::of_operators(tenant, query, &among)?;
    Ok(report)
}

/// Whom words name, as the trail does, and whether there is such a one: a person by id, login or name, a
/// client by id or name, or the house itself.
fn whom(tenant: &OpenTenant, words: Option<&str>) -> (Vec<String>, bool) {
    let Some(words) = words else {
        return (Vec::new(), true);
    };
    let login = words.to_lowercase();
    let mut found = Vec::new();
    for person in tenant.people().sorted() {
        let (record, id) = (&person.record, person.record.id.as_str());
        let is = words == id || words.strip_prefix("person:") == Some(id);
        if is || *record.login == *login || *record.name == *words {
            found.push(format!("person:{id}"));
        }
    }
    for client in tenant.clients().sorted() {
        let id = client.id.as_str();
        let is = words == id || words.strip_prefix("client:") == Some(id);
        if is || *client.name == *words {
            found.push(format!("client:{id}"));
        }
    }
    // The house itself may be called as somebody of the clinic is: both are meant then.
    let house = words == "operator"
        || ["system:", "import:"]
            .iter()
            .any(|of| words.starts_with(of));
    let known = house || !found.is_empty();
    if house || !known {
        // Somebody who is not kept any more may still be in the trail.
        found.push(words.to_owned());
    }
    (found, known)
}

/// Who an actor of the trail is, by name.
fn names(tenant: &OpenTenant, actor: &str) -> String {
    let one = |part: &str| match part.split_once(':') {
        Some(("person", id)) => {
            let person = PersonId::new(id).and_then(|id| tenant.people().person(&id));
            person.map(|p| format!("{} ({})", p.record.name, p.record.login))
        }
        Some(("client", id)) => {
            let client = ClientId::new(id).and_then(|id| tenant.clients().get(&id));
            client.map(|c| c.name)
        }
        _ => None,
    };
    let parts = actor
        .split(' ')
        .map(|p| one(p).unwrap_or_else(|| p.to_owned()));
    parts.collect::<Vec<_>>().join(", ")
}

/// What is come upon.
pub(super) enum Met<'t> {
    /// A record, whatever came of what it tells of.
    Record(&'t Told),
    /// An access, with whom it is about.
    Access(Access),
}

/// Hands over one record and one access after the other, oldest first, until `take` wants no more; whether
/// there are no more than one report looks at.
pub(super) fn each(
    tenant: &Arc<OpenTenant>,
    asked: &Asked<'_>,
    take: &mut dyn FnMut(Met<'_>) -> bool,
) -> Result<bool> {
    let reader = tenant.reader()?;
    let db = &reader.db;
    let mut making = Making {
        tenant,
        asked,
        patients: Patients::new(tenant, db),
        metrics: &tenant.shared.metrics,
        take,
        enough: false,
    };
    let all = records(tenant, db, asked, &mut |some| {
        // One snapshot for a few: what is written meanwhile is not kept waiting for the end.
        in_snapshot(db, || making.add_all(db, some))?;
        Ok(!making.enough)
    });
    tenant.give_back(reader);
    all
}

struct Making<'a> {
    tenant: &'a Arc<OpenTenant>,
    asked: &'a Asked<'a>,
    patients: Patients<'a>,
    metrics: &'a StoreMetrics,
    take: &'a mut dyn FnMut(Met<'_>) -> bool,
    enough: bool,
}

impl Making<'_> {
    fn add_all(&mut self, db: &Connection, some: Vec<(u64, Found)>) -> Result<()> {
        let (tenant, asked) = (self.tenant, self.asked);
        for (number, found) in some {
            if let Found::Access(told) = &found {
                self.enough |= !(self.take)(Met::Record(told));
            }
            match found {
                Found::Access(told) if !told.tells() => {}
                // Every row counts for whom it is about.
                Found::Access(told) => {
                    let named = match told.action {
                        Some(ActionName::Search) => told.about.patients.clone(),
                        _ => Vec::new(),
                    };
                    self.add(access(tenant, db, number, *told, usize::MAX)?, named)?;
                }
                Found::Changes(from, to) => {
                    let mut lines = Vec::new();
                    let all = usize::MAX;
                    changes(tenant, db, number, (from, to), all, &mut lines)?;
                    lines.retain(|line| (asked.fits)(line.at, &line.actor));
                    let mut lines = lines.into_iter();
                    lines.try_for_each(|line| self.add(line, Vec::new()))?;
                }
            }
            if self.enough {
                break;
            }
        }
        Ok(())
    }

    /// `named`: whom it asked about by name.
    fn add(&mut self, line: AuditLine, named: Vec<ResourceId>) -> Result<()> {
        self.metrics.trail_events.add(1);
        let mut what = line.shown.clone();
        if what.is_empty()
            && let Some(name) = line
                .about
                .as_deref()
                .and_then(|a| self.patients.version_then(a, line.at))
        {
            what.push(name);
        }
        let is_there = |id: &ResourceId| {
            let name = format!("Patient/{}", id.as_str());
            self.patients.version_then(&name, line.at).is_some()
        };
        let mut patients: Vec<ResourceId> = named.into_iter().filter(is_there).collect();
        let mut about = Vec::new();
        for name in &what {
            let of = match line.action {
                "change" => self.patients.of_change((name, None), line.at)?,
                _ => self.patients.of(name, line.at)?,
            };
            let wanted = self.asked.patient.is_none_or(|p| of.contains(p));
            if wanted {
                about.push(name.clone());
                patients.extend(of);
            }
        }
        patients.sort();
        patients.dedup();
        if self.asked.patient.is_some() {
            patients.retain(|p| Some(p) == self.asked.patient);
        }
        if patients.is_empty() && !self.asked.all {
            return Ok(());
        }
        let action = if line.action == "change" {
            "change"
        } else {
            line.action
        };
        let access = Access {
            number: line.number,
            at: line.at,
            request: line.request,
            who: names(self.tenant, &line.actor),
            actor: line.actor,
            why: line.why,
            break_glass: line.break_glass,
            action,
            what: about,
            patients,
        };
        self.enough |= !(self.take)(Met::Access(access));
        Ok(())
    }
}
