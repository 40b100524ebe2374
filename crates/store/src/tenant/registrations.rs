//! Programs that wait for approval: kept with the permit of whoever lets them ask, made clients or
//! dropped with that of whoever decides. Looking one up takes no permit: it is no right.

use std::sync::Arc;

use access::{ActionName, Administer, ClientId, ClientRecord, NewClient, Permit};
use base::{Code, Micros};

use super::TenantStore;
use super::people::Deed;
use crate::face::Registration;
use crate::sqlite::readers::Class;
use crate::sqlite::writer::{self, WriterState};
use crate::sqlite::{OpenTenant, clients, registrations};
use crate::{Result, StoreError};

fn unknown() -> StoreError {
    StoreError::Refused(Code::ClientUnknown, "no such registration".to_owned())
}

fn room(past: registrations::Past) -> Result<()> {
    match past {
        None => Ok(()),
        Some((limit, max)) => Err(StoreError::Limit {
            code: Code::LimitBusy,
            limit,
            max,
        }),
    }
}

impl TenantStore {
    /// Keeps a program that asks to be registered. Those who were invited and those who were not do not
    /// take each other's room. Durable when this returns.
    ///
    /// # Errors
    /// `limit-busy`
    pub async fn register(&self, deed: Deed, new: Registration) -> Result<()> {
        let entry = self.serving()?;
        let asked = new.clone();
        // Whoever finds no room leaves nothing in the trail either, and takes no writer's time.
        let past = self
            .handle
            .0
            .read(entry, Class::Point, None, move |tenant, db, _| {
                registrations::past(db, &asked, &tenant.shared.config.limits)
            })
            .await?;
        room(past)?;
        let done = self.deed(deed, ActionName::Authenticate).await?;
        let now = done.at();
        let work = move |tenant: &Arc<OpenTenant>, slot: &mut _| {
            // As a value: a failure inside closes the writer.
            let past = writer::alone_durably(tenant, slot, |tenant, state| {
                registrations::sweep(&state.db, now)?;
                let limits = &tenant.shared.config.limits;
                let past = registrations::past(&state.db, &new, limits)?;
                if past.is_none() {
                    registrations::put(&state.db, tenant.chain(), &new)?;
                }
                Ok(past)
            })?;
            room(past)
        };
        self.handle.0.with_writer(self.serving()?, work).await
    }

    /// A program that waits for approval.
    pub async fn registration(&self, id: &ClientId, now: Micros) -> Result<Option<Registration>> {
        let id = id.clone();
        let entry = self.serving()?;
        self.handle
            .0
            .read(entry, Class::Point, None, move |tenant, db, _| {
                registrations::one(db, tenant.chain(), &id, now)
            })
            .await
    }

    /// All programs that wait for approval, the oldest first.
    pub async fn registrations(&self, permit: Permit<Administer>) -> Result<Vec<Registration>> {
        let spent = permit.spend(&self.tenant);
        let now = spent.request().at;
        self.administered(&spent, "list registrations").await?;
        let entry = self.serving()?;
        self.handle
            .0
            .read(entry, Class::Scan, None, move |tenant, db, _| {
                registrations::all(db, tenant.chain(), now)
            })
            .await
    }

    /// Makes a client of one that waits, with the secret that it was given then.
    ///
    /// # Errors
    /// `client-unknown` if it does not wait any more, `duplicate-id`, `limit-query`, `vendor-unknown`.
    pub async fn approve_registration(
        &self,
        permit: Permit<Administer>,
        new: NewClient,
    ) -> Result<ClientRecord> {
        let spent = permit.spend(&self.tenant);
        let entry = self.serving()?;
        let (detail, now) = (new.id.as_str().to_owned(), spent.request().at);
        self.administered(&spent, &format!("approve client {detail}"))
            .await?;
        let work = move |tenant: &OpenTenant, state: &mut WriterState| {
            let known =
                registrations::one(&state.db, tenant.chain(), &new.id, now)?.ok_or_else(unknown)?;
            registrations::drop_one(&state.db, &new.id)?;
            clients::create(tenant, state, new, known.secret_hash, now)
        };
        self.handle
            .0
            .administer(entry, super::by(&spent), "approve client", &detail, work)
            .await
    }

    /// Drops one that waits.
    ///
    /// # Errors
    /// `client-unknown` if it does not wait any more.
    pub async fn refuse_registration(
        &self,
        permit: Permit<Administer>,
        id: &ClientId,
    ) -> Result<()> {
        let spent = permit.spend(&self.tenant);
        let what = format!("refuse client {}", id.as_str());
        self.administered(&spent, &what).await?;
        let id = id.clone();
        let work = move |tenant: &Arc<OpenTenant>, slot: &mut _| {
            let gone = writer::alone_durably(tenant, slot, |_, state| {
                registrations::drop_one(&state.db, &id)
            })?;
            gone.then_some(()).ok_or_else(unknown)
        };
        self.handle.0.with_writer(self.serving()?, work).await
    }
}
