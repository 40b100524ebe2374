//! Whom versions are about, as they were then: a resource that was moved or deleted since still counts
//! for whom it was about.

use std::collections::HashMap;
use std::sync::Arc;

use base::{Code, Micros, ResourceId, Version};
use fhir::definitions::TypeId;
use rusqlite::{Connection, OptionalExtension};

use crate::sqlite::fault::Doing;
use crate::sqlite::index::IdKey;
use crate::sqlite::tenant::OpenTenant;
use crate::sqlite::{rows, sight};
use crate::{Method, Result};

/// Versions of which it is remembered.
const REMEMBERED_MAX: usize = 200_000;
/// Versions of one resource that are looked at for one question.
const VERSIONS_MAX: i64 = 200;

/// Patients by version, remembered for one reading of the trail.
pub(super) struct Patients<'a> {
    tenant: &'a Arc<OpenTenant>,
    db: &'a Connection,
    known: HashMap<Key, Vec<ResourceId>>,
}

type Key = (TypeId, ResourceId, Version);

impl<'a> Patients<'a> {
    pub(super) fn new(tenant: &'a Arc<OpenTenant>, db: &'a Connection) -> Self {
        Self {
            tenant,
            db,
            known: HashMap::new(),
        }
    }

    /// The version of `Type/id` that was current at a time.
    pub(super) fn version_then(&self, name: &str, at: Micros) -> Option<String> {
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

    /// Whether resources of a type are in charts of patients.
    pub(super) fn are_of_charts(&self, type_id: TypeId) -> bool {
        let model = self.tenant.model;
        model.type_id("Patient").is_some_and(|patient| {
            let chart = model.compartment(patient);
            type_id == patient || chart.is_some_and(|c| !c.params(type_id).is_empty())
        })
    }

    /// Whom versions of a resource were ever about; none where some version does not say it, or there are
    /// too many.
    pub(super) fn ever(
        &mut self,
        type_id: TypeId,
        id: &ResourceId,
    ) -> Result<Option<Vec<ResourceId>>> {
        if self.tenant.model.type_id("Patient") == Some(type_id) {
            return Ok(Some(vec![id.clone()]));
        }
        let last: i64 = self
            .db
            .prepare_cached(
                "SELECT coalesce(max(v.version), 0) FROM resource r JOIN version v ON v.rid = r.rid
                 WHERE r.type = ?1 AND r.id = ?2",
            )
            .and_then(|mut s| s.query_row((type_id.0, IdKey::of_id(id)), |r| r.get(0)))
            .doing(super::DOING)?;
        if !self.are_of_charts(type_id) || last > VERSIONS_MAX {
            return Ok(None);
        }
        let of = self.tenant.model.type_name(type_id);
        let mut all = Vec::new();
        for version in 1..=last {
            let name = format!("{of}/{}/_history/{version}", id.as_str());
            // What is in a chart says itself whose, whenever it is looked at.
            let found = self.of(&name, Micros(i64::MAX))?;
            if found.is_empty() {
                return Ok(None);
            }
            all.extend(found);
        }
        all.sort();
        all.dedup();
        Ok(Some(all))
    }

    /// Whom a version is about that somebody saw at a time.
    pub(super) fn of(&mut self, name: &str, at: Micros) -> Result<Vec<ResourceId>> {
        match self.key(name) {
            Some(key) => self.of_key(&key, None, at),
            None => Ok(Vec::new()),
        }
    }

    /// Whom a change touched that made a version: those whom the version is about, and those whom the one
    /// was about that it took the place of. By its row of `version`, where that is known, a version is found
    /// without the index of ids: versions of one change lie together.
    pub(super) fn of_change(
        &mut self,
        (name, row): (&str, Option<i64>),
        at: Micros,
    ) -> Result<Vec<ResourceId>> {
        let Some(mut key) = self.key(name) else {
            return Ok(Vec::new());
        };
        let mut patients = self.of_key(&key, row, at)?;
        if key.2.0 > 1 {
            key.2 = Version(key.2.0 - 1);
            for patient in self.of_key(&key, None, at)? {
                if !patients.contains(&patient) {
                    patients.push(patient);
                }
            }
        }
        Ok(patients)
    }

    fn of_key(&mut self, key: &Key, row: Option<i64>, at: Micros) -> Result<Vec<ResourceId>> {
        if let Some(known) = self.known.get(key) {
            return Ok(known.clone());
        }
        let (type_id, id, version) = key;
        let mut found = match row {
            Some(vid) => sealed(rows::at(self.tenant, self.db, vid))?,
            None => self.version(*type_id, id, *version)?,
        };
        if found
            .as_ref()
            .is_some_and(|o| o.stored.method == Method::Delete)
            && version.0 > 1
        {
            let before = Version(version.0 - 1);
            found = self.version(*type_id, id, before)?;
        }
        let Some(o) = found.filter(|o| o.stored.method != Method::Delete) else {
            self.remember(key, &[]);
            return Ok(Vec::new());
        };
        let mut patients = sight::patients(self.tenant, &o.stored)?;
        let contexts = sight::security_contexts(self.tenant, &o.stored)?;
        if contexts.is_empty() {
            self.remember(key, &patients);
            return Ok(patients);
        }
        // Whose a Binary is, what it refers to says, as that was then. A Binary is not followed further.
        for (of, id) in contexts.into_iter().filter(|(of, _)| of != type_id) {
            let name = format!("{}/{}", self.tenant.model.type_name(of), id.as_str());
            if let Some(name) = self.version_then(&name, at) {
                patients.extend(self.of(&name, at)?);
            } else if self.tenant.model.type_id("Patient") == Some(of) {
                patients.push(id);
            }
        }
        Ok(patients)
    }

    fn remember(&mut self, key: &Key, patients: &[ResourceId]) {
        if self.known.len() < REMEMBERED_MAX {
            self.known.insert(key.clone(), patients.to_vec());
        }
    }

    fn version(
        &self,
        type_id: TypeId,
        id: &ResourceId,
        version: Version,
    ) -> Result<Option<rows::Opened>> {
        sealed(rows::version(self.tenant, self.db, type_id, id, version))
    }

    fn key(&self, name: &str) -> Option<Key> {
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

/// A version that carries its seal: one that does not says of nobody that it is about them.
fn sealed(found: Result<Option<rows::Opened>>) -> Result<Option<rows::Opened>> {
    match found {
        Err(e) if e.code() == Code::ResourceQuarantined => Ok(None),
        other => other,
    }
}
