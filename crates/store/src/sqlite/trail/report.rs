//! Who was shown what about whom: the trail with the patients that each access touched.
//!
//! Patients are read off the versions that were shown or made, as they were then, so a resource that
//! was moved or deleted since still counts for whom it was about.

use std::sync::Arc;

use base::Seq;

use super::patients::Patients;
use super::{Found, access, changes};
use crate::audit::{ChangeHead, Told};
use crate::face::{Access, AccessQuery, AccessReport};
use crate::sqlite::connection::in_snapshot;
use crate::sqlite::tenant::OpenTenant;
use crate::{AuditLine, Result};

/// The accesses that a query asks for, oldest first.
pub(crate) fn report(tenant: &Arc<OpenTenant>, query: &AccessQuery) -> Result<AccessReport> {
    let mut found: Vec<(u64, Found)> = Vec::new();
    let mut last = Seq(0);
    let journal = &tenant.shared.journal;
    let id = *tenant.id.bytes();
    journal.scan(id, &tenant.keys.journal, &mut |place, record| {
        if let Some(head) = ChangeHead::decode(record) {
            let from = std::mem::replace(&mut last, head.seq);
            found.push((place.number, Found::Changes(from, head.seq)));
        } else if let Some(told) = Told::read(record)
            && told.outcome == "given"
            && query.fits(told.request.at, &told.actor)
        {
            found.push((place.number, Found::Access(Box::new(told))));
        }
    })?;
    let reader = tenant.reader()?;
    let made = in_snapshot(&reader.db, || {
        let mut making = Making {
            query,
            patients: Patients::new(tenant, &reader.db),
            report: AccessReport::default(),
        };
        for (number, found) in found {
            match found {
                Found::Access(told) => {
                    // Every row counts for whom it is about.
                    making.add(access(tenant, &reader.db, number, *told, usize::MAX)?)?;
                }
                Found::Changes(from, to) => {
                    let mut lines = Vec::new();
                    let all = usize::MAX;
                    changes(tenant, &reader.db, number, (from, to), all, &mut lines)?;
                    for line in lines {
                        if query.fits(line.at, &line.actor) {
                            making.add(line)?;
                        }
                    }
                }
            }
            if making.report.more {
                break;
            }
        }
        Ok(making.report)
    });
    tenant.give_back(reader);
    made
}

struct Making<'a> {
    query: &'a AccessQuery,
    patients: Patients<'a>,
    report: AccessReport,
}

impl Making<'_> {
    fn add(&mut self, line: AuditLine) -> Result<()> {
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
            let wanted = self.query.patient.as_ref().is_none_or(|p| of.contains(p));
            if wanted {
                about.push(name.clone());
                patients.extend(of);
            }
        }
        patients.sort();
        patients.dedup();
        if self.query.patient.is_some() {
            patients.retain(|p| Some(p) == self.query.patient.as_ref());
        }
        if patients.is_empty() {
            return Ok(());
        }
        if self.report.accesses.len() >= AccessReport::LINES_MAX {
            self.report.more = true;
            return Ok(());
        }
        let action = if line.action == "change" {
            "change"
        } else {
            line.action
        };
        self.report.accesses.push(Access {
            number: line.number,
            at: line.at,
            request: line.request,
            actor: line.actor,
            action,
            what: about,
            patients,
        });
        Ok(())
    }
}
