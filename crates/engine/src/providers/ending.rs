//! The end of an identity provider: whoever decides it, sessions that were begun through it end, what people
//! who have an account there approved programs for, and what they have by its claims.

use access::{Administering, Reason, TenantId};
use base::Micros;
use store::{BrowserSession, Deed, Person, TenantStore, Through};

use super::read;
use crate::auth::Visitor;
use crate::failure::Failure;
use crate::tenants::Operator;

type Doing<'a> = dyn Fn(String) -> Result<Deed, Failure> + Send + Sync + 'a;

/// What ends what a provider gave.
pub(super) struct Ending<'a> {
    store: &'a TenantStore,
    now: Micros,
    deed: Box<Doing<'a>>,
}

impl Ending<'_> {
    /// Ends all that was given by a provider of this id and issuer.
    pub(super) async fn all_of(&self, id: &str, issuer: &str) -> Result<(), Failure> {
        let through = |through: &Through| through.is_of(id, issuer);
        for person in self.store.people_through(through, self.now).await? {
            let (id, issuer) = (id.to_owned(), issuer.to_owned());
            let deed = (self.deed)(format!("end sessions {}", person.as_str()))?;
            let which = move |s: &BrowserSession| {
                let through = s.through.as_ref();
                through.is_some_and(|through| through.is_of(&id, &issuer))
            };
            let end = |s: &mut BrowserSession| s.record.ended = true;
            self.store
                .change_sessions(deed, &person, which, end)
                .await?;
        }
        let deed = (self.deed)("look for accounts and roles by claims".to_owned())?;
        for person in self.store.people(deed).await? {
            self.of(&person, issuer).await?;
        }
        Ok(())
    }

    async fn of(&self, person: &Person, issuer: &str) -> Result<(), Failure> {
        let (id, proofs) = (&person.record.id, &person.proofs);
        let known = proofs.accounts.iter().any(|a| a.issuer == issuer);
        if known && self.store.has_approvals(id).await? {
            let deed = (self.deed)(format!("end approvals {}", id.as_str()))?;
            self.store.end_approvals(deed, id).await?;
        }
        if proofs.claimed.iter().any(|c| c.issuer == issuer) {
            let deed = (self.deed)(format!("take off roles by claims {}", id.as_str()))?;
            let issuer = issuer.to_owned();
            let change = move |person: &mut Person| {
                person.take_claims_off(&issuer);
                Ok(())
            };
            self.store.change_person(deed, id, change).await?;
        }
        Ok(())
    }
}

/// As much of an id as is shown.
pub(super) fn shown(id: &str) -> String {
    id.chars().take(64).collect()
}

impl Operator {
    pub(super) fn ending<'a>(&'a self, tenant: &'a TenantId, store: &'a TenantStore) -> Ending<'a> {
        let deed = move |what| {
            Ok(Deed {
                permit: self.system(Reason::Operation, tenant)?,
                actor: None,
                what,
                alerts: false,
            })
        };
        Ending {
            store,
            now: self.request.at,
            deed: Box::new(deed),
        }
    }

    /// Forgets an identity provider of a tenant. What was given by it ends.
    ///
    /// # Errors
    /// `tenant-unknown`, `provider-unknown`.
    pub async fn drop_provider(&self, tenant: &str, id: &str) -> Result<(), Failure> {
        let (tenant, store) = self.tenant(tenant)?;
        let what = format!("drop identity provider {}", shown(id));
        let deed = self.provider_alert(&tenant, what)?;
        let dropped = store.drop_identity_provider(deed, id, false).await?;
        let issuer = read(&dropped)?.issuer(&self.house);
        self.ending(&tenant, &store).all_of(id, &issuer).await
    }
}

impl Visitor {
    /// Ends an identity provider, from the next request on.
    ///
    /// # Errors
    /// `scope-missing`, `provider-unknown`.
    pub async fn end_provider(&self, id: &str) -> Result<(), Failure> {
        let what = format!("end identity provider {}", shown(id));
        let deed = self.deed(Administering::People, what).await?;
        let (store, gate) = (&self.store, &self.gate);
        let dropped = store.drop_identity_provider(deed, id, true).await?;
        let issuer = read(&dropped)?.issuer(&gate.house);
        let actor = self.person.record.actor();
        let deed = move |what: String| gate.signing(self.request, Some(actor.clone()), what);
        let ending = Ending {
            store,
            now: self.request.at,
            deed: Box::new(deed),
        };
        ending.all_of(id, &issuer).await
    }
}
