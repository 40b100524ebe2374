//! Who was shown what about whom: the trail with the patients that each access touched.
//!
//! Patients are read off the versions that were shown or made, as they were then, so a resource that
//! was moved or deleted since still counts for whom it was about.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{Micros, ResourceId, Seq};
use rusqlite::Connection;

use super::index::{Between, Index, Narrow, of_names};
use super::patients::Patients;
use super::{Found, access, changes};
use crate::audit::{ChangeHead, Told};
use crate::face::{Access, AccessQuery, AccessReport, Touched};
use crate::journal::Frames;
use crate::sqlite::connection::in_snapshot;
use crate::sqlite::tenant::OpenTenant;
use crate::{AuditLine, Result, StoreMetrics};

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
    let is_by = |actor: &str| query.is_by(actor);
    let asked = Asked {
        fits: &|at, actor| query.fits(at, actor),
        times: (query.from, query.to),
        is_by: query.actor.is_some().then_some(&is_by),
        patient: query.patient.as_ref(),
        all: false,
    };
    let mut touched: BTreeMap<ResourceId, Touched> = BTreeMap::new();
    each(tenant, &asked, &mut |access| {
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
    report.patients = touched.into_values().collect();
    Ok(report)
}

/// Hands over one access after the other, oldest first, until `take` wants no more.
pub(super) fn each(
    tenant: &Arc<OpenTenant>,
    asked: &Asked<'_>,
    take: &mut dyn FnMut(Access) -> bool,
) -> Result<()> {
    let reader = tenant.reader()?;
    let found = match records(tenant, &reader.db, asked) {
        Ok(found) => found,
        Err(e) => {
            tenant.give_back(reader);
            return Err(e);
        }
    };
    let made = in_snapshot(&reader.db, || {
        let mut making = Making {
            asked,
            patients: Patients::new(tenant, &reader.db),
            metrics: &tenant.shared.metrics,
            take,
            enough: false,
        };
        for (number, found) in found {
            match found {
                Found::Access(told) if told.outcome != "given" => {}
                Found::Access(told) => {
                    // Every row counts for whom it is about.
                    making.add(access(tenant, &reader.db, number, *told, usize::MAX)?)?;
                }
                Found::Changes(from, to) => {
                    let mut lines = Vec::new();
                    let all = usize::MAX;
                    changes(tenant, &reader.db, number, (from, to), all, &mut lines)?;
                    for line in lines {
                        if (asked.fits)(line.at, &line.actor) {
                            making.add(line)?;
                        }
                    }
                }
            }
            if making.enough {
                break;
            }
        }
        Ok(())
    });
    tenant.give_back(reader);
    made
}

/// Records that fit, and changes that may, oldest first.
pub(super) fn records(
    tenant: &Arc<OpenTenant>,
    db: &Connection,
    asked: &Asked<'_>,
) -> Result<Vec<(u64, Found)>> {
    // Nobody takes it away meanwhile.
    let _reading = tenant.trail_index.read();
    let narrows = asked.patient.is_some() || asked.is_by.is_some();
    let index = narrows.then(|| Index::to_read(tenant, db)).flatten();
    if let Some(index) = index
        && let Some(narrow) = of_names(&index, asked.patient, asked.is_by)?
        && let Some(found) = named(tenant, asked, &index, &narrow)?
    {
        return Ok(found);
    }
    let mut found = Vec::new();
    let journal = &tenant.shared.journal;
    let mut last = Seq(0);
    journal.scan(
        *tenant.id.bytes(),
        &tenant.keys.journal,
        &mut |head, record| {
            sort_out(asked, (head.number, record), &mut last, &mut found);
        },
    )?;
    Ok(found)
}

/// What a record says, if it is asked for.
fn sort_out(
    asked: &Asked<'_>,
    (number, record): (u64, &[u8]),
    last: &mut Seq,
    found: &mut Vec<(u64, Found)>,
) {
    if let Some(head) = ChangeHead::decode(record) {
        let from = std::mem::replace(last, head.seq);
        found.push((number, Found::Changes(from, head.seq)));
    } else if let Some(told) = Told::read(record)
        && (asked.fits)(told.request.at, &told.actor)
    {
        found.push((number, Found::Access(Box::new(told))));
    }
}

/// The same, of those that the index names and of those that it does not know yet; none if it names records
/// that are not there.
fn named(
    tenant: &Arc<OpenTenant>,
    asked: &Asked<'_>,
    index: &Index,
    narrow: &Narrow,
) -> Result<Option<Vec<(u64, Found)>>> {
    let journal = &tenant.shared.journal;
    let (id, key) = (*tenant.id.bytes(), &tenant.keys.journal);
    let (from, to) = asked.times;
    let between = Between {
        times: (
            from.map_or(i64::MIN, |at| at.to_millis_precision().0),
            to.map_or(i64::MAX, |at| at.0),
        ),
        ..Between::EVERYTHING
    };
    let mut frames = Frames::new(journal);
    let mut found = Vec::new();
    let mut places = index.records(narrow, between)?;
    places.sort_by_key(|found| found.number);
    for at in places {
        let record = frames.record(id, key, at.place)?;
        let Some((_, record)) = record.filter(|(number, _)| *number == at.number) else {
            tracing::error!(tenant = %tenant.id.name(), "the index of a trail names records that are not there; it is not used");
            return Ok(None);
        };
        sort_out(asked, (at.number, &record), &mut Seq(0), &mut found);
    }
    for change in index.changes(narrow, between, false, usize::MAX)? {
        let before = Seq(change.seq.0.saturating_sub(1));
        found.push((change.record, Found::Changes(before, change.seq)));
    }
    found.sort_by_key(|(number, _)| *number);
    let mut last = index.reach.seq;
    journal.records_after(id, key, index.reach.place, &mut |head, record| {
        sort_out(asked, (head.number, record), &mut last, &mut found);
    })?;
    Ok(Some(found))
}

struct Making<'a> {
    asked: &'a Asked<'a>,
    patients: Patients<'a>,
    metrics: &'a StoreMetrics,
    take: &'a mut dyn FnMut(Access) -> bool,
    enough: bool,
}

impl Making<'_> {
    fn add(&mut self, line: AuditLine) -> Result<()> {
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
        let mut patients = Vec::new();
        let mut about = Vec::new();
        for name in &what {
            let of = self.patients.of(name)?;
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
            actor: line.actor,
            action,
            what: about,
            patients,
        };
        self.enough |= !(self.take)(access);
        Ok(())
    }
}
