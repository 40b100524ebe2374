//! What patients of an open tenant consented to, and who is in their care teams, in memory: read when first asked for, and kept up with
//! every commit after that.
//!
//! While they are read nobody waits for it but who asks: what is committed meanwhile is noted, and learned
//! when they are there. A change that was committed before the reading began is in what is read.

use std::sync::Arc;

use access::Consents;
use base::ResourceId;
use bytes::Bytes;
use fhir::definitions::TypeId;
use parking_lot::Mutex;

use super::fault::Doing;
use super::{OpenTenant, connection, rows};
use crate::{Method, Result, Stored};

/// Consents that are known once they were asked for.
#[derive(Debug, Default)]
pub(crate) struct KnownConsents {
    state: Mutex<State>,
    /// Held by who reads them.
    pub(crate) reading: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    known: Option<Arc<Consents>>,
    /// What was committed since a reading began, if one did.
    meanwhile: Option<Vec<Change>>,
    /// How often everything was forgotten: what was read before is not known after.
    forgotten: u64,
}

/// What was committed of one resource; without a body it is gone.
#[derive(Debug)]
struct Change {
    type_id: TypeId,
    id: ResourceId,
    body: Option<Bytes>,
}

impl Change {
    fn learned(&self, tenant: &OpenTenant, consents: &mut Consents) {
        let name = tenant.model.type_name(self.type_id);
        let body = self.body.as_deref();
        match name {
            Consents::TEAM => consents.learn_team(&self.id, body),
            _ if Consents::is_place(name) => consents.learn_place(name, &self.id, body),
            _ => consents.learn(tenant.model, &self.id, body),
        }
    }
}

impl KnownConsents {
    /// What is known; none before it was read.
    pub(crate) fn known(&self) -> Option<Arc<Consents>> {
        self.state.lock().known.clone()
    }

    /// Learns what was committed.
    pub(crate) fn learn(&self, tenant: &OpenTenant, stored: &Stored) {
        let name = tenant.model.type_name(stored.type_id);
        if !matches!(name, "Consent" | Consents::TEAM) && !Consents::is_place(name) {
            return;
        }
        let change = Change {
            type_id: stored.type_id,
            id: stored.id.clone(),
            body: (stored.method != Method::Delete).then(|| stored.body.clone()),
        };
        let mut state = self.state.lock();
        if let Some(known) = &mut state.known {
            change.learned(tenant, Arc::make_mut(known));
        }
        if let Some(meanwhile) = &mut state.meanwhile {
            meanwhile.push(change);
        }
    }

    /// Forgets everything: it is read again.
    pub(crate) fn forget(&self) {
        let mut state = self.state.lock();
        *state = State {
            forgotten: state.forgotten + 1,
            ..State::default()
        };
    }

    /// Reads them all, if they were not. They may be forgotten meanwhile.
    pub(crate) fn read(&self, tenant: &OpenTenant, db: &rusqlite::Connection) -> Result<()> {
        const DOING: &str = "reading consents";
        let forgotten = {
            let mut state = self.state.lock();
            if state.known.is_some() {
                return Ok(());
            }
            // Another reading may be going on still, of whose end nobody waits any more.
            state.meanwhile.get_or_insert_default();
            state.forgotten
        };
        let mut consents = Consents::default();
        let read = connection::in_snapshot(db, || {
            let mut read = db
                .prepare(
                    // What waits in quarantine may look deleted.
                    "SELECT id FROM resource WHERE type = ?1 AND (deleted = 0 OR rid IN
                     (SELECT rid FROM quarantine WHERE decision IS NULL))",
                )
                .doing(DOING)?;
            let named = ["Consent", "Organization", "Location", Consents::TEAM];
            for type_id in named.iter().filter_map(|name| tenant.model.type_id(name)) {
                let mut found = read.query([type_id.0]).doing(DOING)?;
                while let Some(row) = found.next().doing(DOING)? {
                    let id = row.get_ref(0).ok().and_then(rows::id_of);
                    let Some(id) = id else { continue };
                    learn_stored(tenant, db, &mut consents, type_id, id);
                }
            }
            Ok(())
        });
        let mut state = self.state.lock();
        if state.forgotten != forgotten {
            return read;
        }
        let meanwhile = state.meanwhile.take();
        read?;
        if let Some(meanwhile) = meanwhile {
            for change in &meanwhile {
                change.learned(tenant, &mut consents);
            }
            state.known = Some(Arc::new(consents));
        }
        Ok(())
    }
}

/// A Consent that cannot be read, or waits in quarantine, refuses, whatever it said; of a facility or a care team
/// of which that is so nothing is known.
fn learn_stored(
    tenant: &OpenTenant,
    db: &rusqlite::Connection,
    consents: &mut Consents,
    type_id: TypeId,
    id: ResourceId,
) {
    let name = tenant.model.type_name(type_id);
    let free = tenant.quarantine.must_be_readable_named(db, type_id, &id);
    let current = free.and_then(|()| rows::current(tenant, db, type_id, &id));
    match current {
        Ok(Some(opened)) if Consents::is_place(name) => {
            let there = opened.stored.method != Method::Delete;
            consents.learn_place(name, &id, there.then_some(&opened.stored.body));
        }
        Ok(Some(opened)) if name == Consents::TEAM => {
            let there = opened.stored.method != Method::Delete;
            consents.learn_team(&id, there.then_some(&opened.stored.body));
        }
        Err(_) if Consents::is_place(name) || name == Consents::TEAM => {}
        Ok(Some(opened)) if opened.stored.method != Method::Delete => {
            consents.learn(tenant.model, &id, Some(&opened.stored.body));
        }
        Ok(_) => {}
        Err(_) => {
            let patient = patient_of(tenant, db, type_id, &id);
            consents.is_broken(id, patient);
        }
    }
}

/// Whose Consent it was, by the last version that carries its seal.
fn patient_of(
    tenant: &OpenTenant,
    db: &rusqlite::Connection,
    type_id: TypeId,
    id: &ResourceId,
) -> Option<ResourceId> {
    let rid = rows::rid_of(db, type_id, id).ok().flatten()?;
    let good = rows::last_good(tenant, db, rid).ok().flatten()?;
    Consents::patient_of(tenant.model, &good.stored.body)
}
