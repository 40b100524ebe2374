//! What patients of an open tenant consented to, in memory: read when first asked for, and kept up with
//! every commit after that.
//!
//! The lock is held while they are read and while a commit is learned, so nothing comes between: a change
//! that was committed before the reading began is in what is read, one that comes after is learned.

use access::Consents;
use base::ResourceId;
use parking_lot::RwLock;

use super::fault::Doing;
use super::{OpenTenant, connection, rows};
use crate::{Method, Result, Stored};

/// Consents that are known once they were asked for.
#[derive(Debug, Default)]
pub(crate) struct KnownConsents(RwLock<Option<Consents>>);

impl KnownConsents {
    /// What is known; none before it was read, and while it is read or learned: nobody waits here.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Consents) -> T) -> Option<T> {
        self.0.try_read()?.as_ref().map(look)
    }

    /// Learns what was committed.
    pub(crate) fn learn(&self, tenant: &OpenTenant, stored: &Stored) {
        let name = tenant.model.type_name(stored.type_id);
        let place = Consents::is_place(name);
        if name != "Consent" && !place {
            return;
        }
        let mut known = self.0.write();
        if let Some(known) = known.as_mut() {
            let body = (stored.method != Method::Delete).then_some(&*stored.body);
            match place {
                true => known.learn_place(name, &stored.id, body),
                false => known.learn(tenant.model, &stored.id, body),
            }
        }
    }

    /// Forgets everything: it is read again.
    pub(crate) fn forget(&self) {
        *self.0.write() = None;
    }

    /// Reads them all, if they were not.
    pub(crate) fn read(&self, tenant: &OpenTenant, db: &rusqlite::Connection) -> Result<()> {
        const DOING: &str = "reading consents";
        let mut known = self.0.write();
        if known.is_some() {
            return Ok(());
        }
        let mut consents = Consents::default();
        connection::in_snapshot(db, || {
            let mut read = db
                .prepare("SELECT id FROM resource WHERE type = ?1 AND deleted = 0")
                .doing(DOING)?;
            let named = ["Consent", "Organization", "Location"];
            for type_id in named.iter().filter_map(|name| tenant.model.type_id(name)) {
                let mut found = read.query([type_id.0]).doing(DOING)?;
                while let Some(row) = found.next().doing(DOING)? {
                    let id = row.get_ref(0).ok().and_then(rows::id_of);
                    let Some(id) = id else { continue };
                    learn_stored(tenant, db, &mut consents, type_id, id);
                }
            }
            Ok(())
        })?;
        *known = Some(consents);
        Ok(())
    }
}

/// A Consent that cannot be read refuses, whatever it said; of a facility that cannot be read nothing is
/// known.
fn learn_stored(
    tenant: &OpenTenant,
    db: &rusqlite::Connection,
    consents: &mut Consents,
    type_id: fhir::definitions::TypeId,
    id: ResourceId,
) {
    let name = tenant.model.type_name(type_id);
    match rows::current(tenant, db, type_id, &id) {
        Ok(Some(opened)) if Consents::is_place(name) => {
            consents.learn_place(name, &id, Some(&opened.stored.body));
        }
        Err(_) if Consents::is_place(name) => {}
        Ok(Some(opened)) if opened.stored.method != Method::Delete => {
            consents.learn(tenant.model, &id, Some(&opened.stored.body));
        }
        Ok(_) => {}
        Err(_) => consents.is_broken(id),
    }
}
