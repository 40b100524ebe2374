//! Who was shown what about whom: the trail with the patients that each access touched.
//!
//! Patients are read off the versions that were shown or made, as they were then, so a resource that
//! was moved or deleted since still counts for whom it was about.

use std::collections::HashMap;
use std::sync::Arc;

use base::{Micros, ResourceId, Seq, Version};
use fhir::definitions::TypeId;
use rusqlite::{Connection, OptionalExtension};

use super::{Found, access, changes};
use crate::audit::{ChangeHead, Told};
use crate::face::{Access, AccessQuery, AccessReport};
use crate::sqlite::connection::in_snapshot;
use crate::sqlite::index::IdKey;
use crate::sqlite::tenant::OpenTenant;
use crate::sqlite::{rows, sight};
use crate::{AuditLine, Method, Result};

/// Patients by version, remembered for one report.
const REMEMBERED_MAX: usize = 200_000;

/// Which accesses are looked at.
pub(super) struct Asked<'a> {
    /// When and by whom.
    pub(super) fits: &'a dyn Fn(Micros, &str) -> bool,
    /// To this patient's data.
    pub(super) patient: Option<&'a ResourceId>,
    /// Those too that touch no patient.
    pub(super) all: bool,
}

/// The accesses that a query asks for, oldest first.
pub(crate) fn report(tenant: &Arc<OpenTenant>, query: &AccessQuery) -> Result<AccessReport> {
    let mut report = AccessReport::default();
    let asked = Asked {
        fits: &|at, actor| query.fits(at, actor),
        patient: query.patient.as_ref(),
        all: false,
    };
    each(tenant, &asked, &mut |access| {
        if report.accesses.len() >= AccessReport::LINES_MAX {
            report.more = true;
            return false;
        }
        report.accesses.push(access);
        true
    })?;
    Ok(report)
}

/// Hands over one access after the other, oldest first, until `take` wants no more.
pub(super) fn each(
    tenant: &Arc<OpenTenant>,
    asked: &Asked<'_>,
    take: &mut dyn FnMut(Access) -> bool,
) -> Result<()> {
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
            && (asked.fits)(told.request.at, &told.actor)
        {
            found.push((place.number, Found::Access(told)));
        }
    })?;
    let reader = tenant.reader()?;
    let made = in_snapshot(&reader.db, || {
        let mut making = Making {
            tenant,
            db: &reader.db,
            asked,
            known: HashMap::new(),
            take,
            enough: false,
        };
        for (number, found) in found {
            match found {
                Found::Access(told) => making.add(access(tenant, &reader.db, number, told)?)?,
                Found::Changes(from, to) => {
                    let mut lines = Vec::new();
                    changes(tenant, &reader.db, number, (from, to), &mut lines)?;
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

struct Making<'a> {
    tenant: &'a Arc<OpenTenant>,
    db: &'a Connection,
    asked: &'a Asked<'a>,
    known: HashMap<(TypeId, ResourceId, Version), Vec<ResourceId>>,
    take: &'a mut dyn FnMut(Access) -> bool,
    enough: bool,
}

impl Making<'_> {
    fn add(&mut self, line: AuditLine) -> Result<()> {
        let mut what = line.shown.clone();
        if what.is_empty()
            && let Some(name) = line
                .about
                .as_deref()
                .and_then(|a| self.version_then(a, line.at))
        {
            what.push(name);
        }
        let mut patients = Vec::new();
        let mut about = Vec::new();
        for name in &what {
            let of = self.patients(name)?;
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

    /// The version of `Type/id` that was current at a time.
    fn version_then(&self, name: &str, at: Micros) -> Option<String> {
        let (type_name, id) = name.split_once('/')?;
        let type_id = self.tenant.model.type_id(type_name)?;
        let id = ResourceId::new(id).ok()?;
        let version: Option<i64> = self
            .db
            .prepare_cached(
                "SELECT max(v.version) FROM resource r JOIN version v ON v.rid = r.rid
                 WHERE r.type = ?1 AND r.id = ?2 AND v.updated_us <= ?3 AND v.method <> ?4",
            )
            .and_then(|mut s| {
                let delete = crate::sqlite::method_number(Method::Delete);
                let key = IdKey::of_id(&id);
                s.query_row((type_id.0, key, at.0, delete), |r| r.get(0))
                    .optional()
            })
            .ok()?
            .flatten();
        Some(format!("{name}/_history/{}", version?))
    }

    /// Whom a version is about.
    fn patients(&mut self, name: &str) -> Result<Vec<ResourceId>> {
        let Some(key) = self.key(name) else {
            return Ok(Vec::new());
        };
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        let (type_id, id, version) = &key;
        let mut found = self.version(*type_id, id, *version)?;
        if found
            .as_ref()
            .is_some_and(|o| o.stored.method == Method::Delete)
            && version.0 > 1
        {
            let before = Version(version.0 - 1);
            found = self.version(*type_id, id, before)?;
        }
        let patients = match found {
            Some(o) if o.stored.method != Method::Delete => {
                sight::patients(self.tenant, &o.stored)?
            }
            _ => Vec::new(),
        };
        if self.known.len() < REMEMBERED_MAX {
            self.known.insert(key, patients.clone());
        }
        Ok(patients)
    }

    /// A version that carries its seal: one that does not says of nobody that it is about them.
    fn version(
        &self,
        type_id: TypeId,
        id: &ResourceId,
        version: Version,
    ) -> Result<Option<rows::Opened>> {
        match rows::version(self.tenant, self.db, type_id, id, version) {
            Err(e) if e.code() == base::Code::ResourceQuarantined => Ok(None),
            other => other,
        }
    }

    fn key(&self, name: &str) -> Option<(TypeId, ResourceId, Version)> {
        let (resource, version) = name.split_once("/_history/")?;
        let (type_name, id) = resource.split_once('/')?;
        let type_id = self.tenant.model.type_id(type_name)?;
        Some((
            type_id,
            ResourceId::new(id).ok()?,
            Version(version.parse().ok()?),
        ))
    }
}
