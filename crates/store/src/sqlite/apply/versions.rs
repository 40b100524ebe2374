//! Versions of resources as they are written, with their seals and index rows. What may be written was decided.

use std::borrow::Cow;

use base::{ResourceId, Version};
use bytes::Bytes;
use fhir::definitions::TypeId;
use fhir::resource::write_head;
use fhir::search::custom::Custom;
use fhir::search::rows::{Row, RowValue};
use rusqlite::params;

use super::super::fault::Doing;
use super::super::index::IdKey;
use super::super::reach::Touch;
use super::super::seal::{Sealed, method_number, sha256};
use super::super::{blob, extract, params as own_params, rows};
use super::{Current, Making, Op, number, repoint};
use crate::face::DataIn;
use crate::{Data, Method, Prepared, Result, StoreError, Stored};

impl Making<'_> {
    /// Whether a way in for bulk loading writes.
    pub(super) fn imports(&self) -> bool {
        self.actor.1.starts_with("import:")
    }

    /// The current version, where what an import brings is the same: it has been written before.
    pub(super) fn as_it_was(&self, op: &Op, current: Option<&Current>) -> Result<Option<Stored>> {
        let Some(resource) = op.resource().filter(|_| self.imports()) else {
            return Ok(None);
        };
        let Some(current) = current.filter(|c| !c.deleted && self.settles.is_none()) else {
            return Ok(None);
        };
        let (type_id, id) = op.target();
        let Some(opened) = rows::current(self.tenant, &self.state.db, type_id, id)? else {
            return Ok(None);
        };
        let stored = opened.stored;
        let mut same = Vec::with_capacity(stored.body.len());
        let name = resource.valid.type_name();
        write_head(
            &mut same,
            name,
            id,
            Version(current.version),
            stored.updated,
        );
        same.extend_from_slice(resource.body().as_bytes());
        let apart = match (&resource.apart, &stored.data) {
            (None, None) => true,
            (Some(apart), Some(data)) => {
                apart.size == data.size && blob::is_same(self.tenant, &self.state.db, apart, data)?
            }
            _ => false,
        };
        Ok((apart && same == stored.body).then_some(stored))
    }

    pub(super) fn store(
        &mut self,
        entry: usize,
        current: Option<&Current>,
        resource: &Prepared,
        method: Method,
    ) -> Result<Stored> {
        const DOING: &str = "writing a resource";
        let valid = &*resource.valid;
        let version = Version(current.map_or(1, |c| c.version + 1));
        let (type_id, id) = (valid.type_id(), valid.id());
        let (blob, digest) = self.data(resource)?;
        let packed = Packed {
            dict: resource.dict,
            size: resource.body().len(),
            body: &resource.packed,
            digest: &digest,
            blob,
        };
        let rid = match current {
            Some(c) => c.rid,
            None => {
                self.state.last_rid += 1;
                self.state.last_rid
            }
        };
        let vid = self.version_row(rid, type_id, id, version, method, &packed)?;
        let mut body = Vec::with_capacity(resource.body().len() + 192);
        write_head(&mut body, valid.type_name(), id, version, self.updated);
        let data = match (blob, &resource.apart) {
            (Some(blob), Some(apart)) => Some(Data {
                blob,
                size: apart.size,
                at: body.len() + apart.at,
            }),
            _ => None,
        };
        body.extend_from_slice(resource.body().as_bytes());
        let stored = Stored {
            type_id,
            id: id.clone(),
            version,
            updated: self.updated,
            method,
            body: Bytes::from(body),
            data,
        };
        let rows = self.rows(valid.rows(), &stored)?;
        let state = &mut *self.state;
        let (db, vocabulary) = (&state.db, &self.tenant.vocabulary);
        let (seq, updated, rows) = (self.seq, self.updated, rows.as_ref());
        match current {
            None => {
                db.prepare_cached(
                    "INSERT INTO resource (rid,type,id,version,deleted,vid)
                     VALUES (?1,?2,?3,?4,0,?5)",
                )
                .and_then(|mut s| s.execute(params![rid, type_id.0, IdKey::of_id(id), 1, vid]))
                .doing(DOING)?;
                state
                    .pending
                    .insert(db, vocabulary, type_id, rid, seq, updated, rows)
            }
            Some(c) => {
                repoint(db, rid, version, false, vid)?;
                if c.deleted || self.settles.is_some() {
                    state
                        .pending
                        .insert(db, vocabulary, type_id, rid, seq, updated, rows)
                } else {
                    state
                        .pending
                        .replace(db, vocabulary, type_id, rid, seq, updated, rows)
                }
            }
        }
        .doing(DOING)?;
        self.parameter_written(entry, rid, &stored)?;
        Ok(stored)
    }

    /// The rows of a resource, those of the tenant's own parameters too: only the writer knows for
    /// sure which there are.
    fn rows<'r>(&self, rows: &'r [Row], stored: &Stored) -> Result<Cow<'r, [Row]>> {
        let customs = &self.state.customs;
        let of_type = |c: &Custom| c.definition.type_id == stored.type_id;
        let inside = || {
            rows.iter()
                .any(|r| matches!(r.value, RowValue::Contained(..)))
        };
        if !customs.iter().any(of_type) && (customs.is_empty() || !inside()) {
            return Ok(Cow::Borrowed(rows));
        }
        let own = extract::custom_rows(self.tenant, stored, customs, |_| true)?;
        Ok(Cow::Owned([rows, &own].concat()))
    }

    /// A `SearchParameter` changes what is indexed.
    fn parameter_written(&mut self, entry: usize, rid: i64, stored: &Stored) -> Result<()> {
        if self.tenant.model.type_name(stored.type_id) != "SearchParameter" {
            return Ok(());
        }
        let there = Some(stored).filter(|s| s.method != Method::Delete);
        own_params::written(self.tenant, self.state, rid, there).map_err(|e| match e {
            StoreError::Refused(code, text) => StoreError::Entry { entry, code, text },
            other => other,
        })
    }

    /// Keeps data that goes apart; its blob, and the digest for the version's seal.
    fn data(&self, resource: &Prepared) -> Result<(Option<i64>, [u8; 32])> {
        let Some(apart) = &resource.apart else {
            return Ok((None, resource.digest));
        };
        let db = &self.state.db;
        let number = match &apart.data {
            DataIn::Staged(staged) => staged.blob,
            DataIn::Here(bytes) => {
                let number = blob::begin(db, self.tenant.shared.run)?;
                blob::put(self.tenant, db, number, 0, bytes)?;
                number
            }
        };
        blob::adopt(db, number, apart.size, apart.at)?;
        let digest = blob::digest_with(&resource.digest, number, apart.size, apart.at);
        Ok((Some(number), digest))
    }

    pub(super) fn bury(
        &mut self,
        entry: usize,
        live: &Current,
        type_id: TypeId,
        id: &ResourceId,
    ) -> Result<Stored> {
        let version = Version(live.version + 1);
        let nothing = Packed {
            dict: 0,
            size: 0,
            body: &[],
            digest: &sha256(&[]),
            blob: None,
        };
        let vid = self.version_row(live.rid, type_id, id, version, Method::Delete, &nothing)?;
        let state = &mut *self.state;
        repoint(&state.db, live.rid, version, true, vid)?;
        state
            .pending
            .close(
                &state.db,
                &self.tenant.vocabulary,
                type_id,
                live.rid,
                self.seq,
            )
            .doing("deleting a resource")?;
        let stored = Stored {
            type_id,
            id: id.clone(),
            version,
            updated: self.updated,
            method: Method::Delete,
            body: Bytes::new(),
            data: None,
        };
        self.parameter_written(entry, live.rid, &stored)?;
        Ok(stored)
    }

    fn version_row(
        &mut self,
        rid: i64,
        type_id: TypeId,
        id: &ResourceId,
        version: Version,
        method: Method,
        packed: &Packed<'_>,
    ) -> Result<i64> {
        let sealed = Sealed {
            tenant: self.tenant.id.bytes(),
            type_id,
            id,
            version,
            method,
            updated: self.updated,
            actor: self.actor.1,
            seq: self.seq,
            digest: packed.digest,
        };
        let seal = sealed.seal(&self.tenant.keys.seal);
        self.members += 1;
        self.state.touches.push(Touch {
            seq: self.seq.0,
            type_id,
            rid,
        });
        self.digest.add(&seal);
        self.state
            .db
            .prepare_cached(
                "INSERT INTO version
                 (rid,type,version,seq,method,updated_us,actor,dict,size,seal,body,blob)
                 VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)",
            )
            .and_then(|mut s| {
                s.insert(params![
                    rid,
                    type_id.0,
                    number(version.0),
                    number(self.seq.0),
                    method_number(method),
                    self.updated.0,
                    self.actor.0,
                    packed.dict,
                    number(packed.size as u64),
                    seal,
                    packed.body,
                    packed.blob
                ])
            })
            .doing("writing a version")
    }
}

struct Packed<'a> {
    dict: u32,
    size: usize,
    body: &'a [u8],
    digest: &'a [u8; 32],
    blob: Option<i64>,
}
