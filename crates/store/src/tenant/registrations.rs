//! Programs that wait for approval: kept with the permit of whoever lets them ask, made clients or
//! dropped with that of whoever decides. Looking one up takes no permit: it is no right.

use std::sync::Arc;

use access::{ActionName, Administer, ClientId, ClientRecord, NewClient, Permit};
use base::{Code, Micros};

use super::TenantStore;
use super::deeds::Deed;
use crate::face::Registration;
use crate::sqlite::readers::Class;
use crate::sqlite::writer::{self, WriterState};
use crate::sqlite::{OpenTenant, clients, people, registrations};
use crate::{Result, StoreError};

fn unknown() -> StoreError {
    StoreError::Refused(Code::ClientUnknown, "no such registration".to_owned())
}

fn spent() -> StoreError {
    StoreError::Refused(
        Code::CredentialsInvalid,
        "the initial access token was used".to_owned(),
    )
}

/// What is approved, in some words: who gets what, under which roles and whose grant.
fn approved(new: &NewClient) -> String {
    let mut text = format!("{} with {}", new.id.as_str(), new.scopes.as_str());
    if let Some(roles) = &new.roles {
        let roles: Vec<String> = roles.iter().map(ToString::to_string).collect();
        text.push_str(&format!(" as {}", roles.join(" ")));
    }
    if let Some(vendor) = &new.vendor {
        text.push_str(&format!(" of vendor {}", vendor.as_str()));
    }
    if let Some(made) = &new.made {
        text.push_str(&format!(": {}", made.reason));
    }
    text
}

fn room(past: registrations::Past) -> Result<()> {
    past.map_or(Ok(()), Err)
}

impl TenantStore {
    /// Keeps a program that asks to be registered. Those who were invited and those who were not do not
    /// take each other's room. `by`: the token by which it was invited, and until when that is good; it is
    /// good once. Durable when this returns.
    ///
    /// # Errors
    /// `limit-busy`; `credentials-invalid` for a token that was used.
    pub async fn register(
        &self,
        deed: Deed,
        new: Registration,
        by: Option<([u8; 16], Micros)>,
    ) -> Result<()> {
        let entry = self.serving()?;
        if let Some((token, _)) = &by
            && self.is_ended_token(token).await?
        {
            return Err(spent());
        }
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
        let intent = self.intends(deed, ActionName::Authenticate)?;
        let (now, told) = (intent.at(), intent.clone());
        let work = move |tenant: &Arc<OpenTenant>, slot: &mut _| {
            let people = tenant.people();
            people.forget(now);
            if by.is_some_and(|(token, _)| people.is_ended_token(&token)) {
                return Err(spent());
            }
            let limits = &tenant.shared.config.limits;
            let (ended, _) = people.ended_token_counts(&new.id);
            if by.is_some() && ended as u64 >= limits.ended_tokens_max {
                return room(Some(StoreError::Limit {
                    code: Code::LimitBusy,
                    limit: "ended_tokens_max",
                    max: limits.ended_tokens_max,
                }));
            }
            writer::alone_durably(tenant, slot, |tenant, state| {
                registrations::sweep(&state.db, now)?;
                room(registrations::past(&state.db, &new, limits)?)?;
                if let Some((token, until)) = &by {
                    people::sweep(&state.db, now)?;
                    people::put_ended_token(&state.db, token, &new.id, *until)?;
                }
                registrations::put(&state.db, tenant.chain(), &new)?;
                told.done(tenant)
            })?;
            if let Some((token, until)) = by {
                people.learn_ended_token(token, new.id, until);
            }
            Ok(())
        };
        self.writes_as(&intent, work).await
    }

    /// Puts what a program asks for now in the place of what it asked for before, where that waits still.
    /// Durable when this returns.
    ///
    /// # Errors
    /// `client-unknown` if it does not wait any more.
    pub async fn register_anew(&self, deed: Deed, new: Registration) -> Result<()> {
        let intent = self.intends(deed, ActionName::Authenticate)?;
        let (now, told) = (intent.at(), intent.clone());
        let work = move |tenant: &Arc<OpenTenant>, slot: &mut _| {
            writer::alone_durably(tenant, slot, |tenant, state| {
                let chain = tenant.chain();
                registrations::one(&state.db, chain, &new.id, now)?.ok_or_else(unknown)?;
                registrations::put(&state.db, chain, &new)?;
                told.done(tenant)
            })
        };
        self.writes_as(&intent, work).await
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

    /// Makes a client of one that waits, with the secret that it was given then; one that is a client by now
    /// is what it asked to be instead. `record` is what was decided about: another that it asked for
    /// meanwhile was not.
    ///
    /// # Errors
    /// `client-unknown` if it does not wait any more, `version-conflict`, `limit-query`, `vendor-unknown`.
    pub async fn approve_registration(
        &self,
        permit: Permit<Administer>,
        new: NewClient,
        record: &str,
    ) -> Result<ClientRecord> {
        let spent = permit.spend(&self.tenant);
        let entry = self.serving()?;
        let (detail, now) = (approved(&new), spent.request().at);
        let intent = Self::intends_by(&spent, format!("approve client {detail}"));
        let record: Box<str> = record.into();
        let work = move |tenant: &OpenTenant, state: &mut WriterState| {
            let known = registrations::one(&state.db, tenant.chain(), &new.id, now)?;
            let known = known.ok_or_else(unknown)?;
            if known.record != record {
                let text = "it asks for something else by now: look again".to_owned();
                return Err(StoreError::Refused(Code::VersionConflict, text));
            }
            registrations::drop_one(&state.db, &new.id)?;
            match tenant.clients().get(&new.id).is_some() {
                true => clients::replace(tenant, state, new, known.secret_hash, now),
                false => clients::create(tenant, state, new, known.secret_hash, now),
            }
        };
        let deed = ("approve client", detail.as_str());
        let made = self.administers(entry, &intent, deed, work).await?;
        self.tell_of(&made);
        Ok(made)
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
        let intent = Self::intends_by(&spent, format!("refuse client {}", id.as_str()));
        let (id, told) = (id.clone(), intent.clone());
        let work = move |tenant: &Arc<OpenTenant>, slot: &mut _| {
            writer::alone_durably(tenant, slot, |tenant, state| {
                let gone = registrations::drop_one(&state.db, &id)?;
                gone.then_some(()).ok_or_else(unknown)?;
                told.done(tenant)
            })
        };
        self.writes_as(&intent, work).await
    }
}
