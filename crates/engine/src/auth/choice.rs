//! Choosing among clinics: who signed in at the house's provider is told in which tenants they are a
//! person, and chooses. Only those are opened for it. Nothing is opened by it: the tenant that they choose recognises them itself, at the
//! same provider, and lets them in with what they have there.

use std::net::IpAddr;

use access::PersonState;
use base::{Code, Micros};
use store::Account;

use super::arrival::{Departure, Journey, random, request};
use super::provider::subject;
use super::{AuthorizeRequest, HOUSE, sealed};
use crate::failure::Failure;
use crate::house::House;
use crate::links::{Reached, origin};
use crate::providers::Provider;

/// A clinic that somebody may choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clinic {
    /// The tenant's name.
    pub name: String,
    /// Where they sign in there.
    pub url: String,
}

impl House {
    /// The address of the house, as a caller reached it.
    pub fn origin(&self, reached: Reached<'_>) -> String {
        origin(&self.0.config, reached)
    }

    fn chooser(&self, reached: Reached<'_>) -> Result<Provider, Failure> {
        let known = self.0.config.house_provider.as_ref();
        let known = known.ok_or(Failure::of(Code::ProviderUnknown))?;
        Ok(Provider::of_house(known, &self.origin(reached)))
    }

    /// Sends somebody who wants to choose to the house's provider.
    ///
    /// # Errors
    /// `provider-unknown` where the house has none; `provider-answer`, `outbound-refused`,
    /// `outbound-failed`.
    pub async fn leave_to_choose(
        &self,
        reached: Reached<'_>,
        now: Micros,
    ) -> Result<Departure, Failure> {
        let (provider, rng) = (self.chooser(reached)?, &*self.0.rng);
        let metadata = self.metadata(&HOUSE, &provider, now).await?;
        // No tenant has an empty name.
        let state = format!(".{}", random(rng));
        let journey = Journey::new(&provider, state, rng, now);
        let seconds = self.limits().provider_sign_in_seconds_max;
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        let until = now.plus_secs(seconds);
        Ok(Departure {
            url: request(&provider, &metadata.authorization_endpoint, &journey),
            cookie: sealed::seal_with(&self.0.choosing, &journey, until, rng)?,
            seconds,
        })
    }

    /// The clinics that somebody may choose among who comes back with the provider's answer, in order of
    /// name.
    ///
    /// # Errors
    /// `form-foreign` for an answer that this browser did not leave for; `provider-answer`,
    /// `rate-limited`.
    pub async fn clinics(
        &self,
        cookie: &str,
        answer: &str,
        from: IpAddr,
        reached: Reached<'_>,
        now: Micros,
    ) -> Result<Vec<Clinic>, Failure> {
        let provider = self.chooser(reached)?;
        let counted = &self.0.sign_ins;
        counted.check(&HOUSE, from, now)?;
        let journey: Option<Journey> = sealed::open_with(&self.0.choosing, cookie, now);
        // Nothing is read of what nobody here left for.
        let journey = journey.ok_or(Failure::of(Code::FormForeign))?;
        let answer = AuthorizeRequest::parse(answer)?;
        if answer.get("state") != Some(journey.state.as_str()) {
            return Err(Failure::of(Code::FormForeign));
        }
        let claims = self.claims(&HOUSE, &provider, &journey, &answer, now).await;
        let claims = claims.inspect_err(|_| counted.failed(&HOUSE, from, now))?;
        let account = Account {
            issuer: provider.settings.issuer.clone(),
            subject: subject(&claims)?,
        };
        // Whoever has an account there may look through all clinics, and so not as often as they like.
        let (rates, metrics) = (&self.0.rates, &self.0.metrics);
        rates.spend_choice(&account.subject, metrics)?;
        let _place = self.0.choices.place(HOUSE).await;
        self.clinics_of(&account, reached).await
    }

    async fn clinics_of(
        &self,
        account: &Account,
        reached: Reached<'_>,
    ) -> Result<Vec<Clinic>, Failure> {
        let store = &self.0.store;
        let max = self.limits().clinics_chosen_among_max;
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        let (known, unknown) = store.tenants_of_account(account);
        let mut looked = Vec::new();
        // Each is opened for it once; others come in time, or as soon as anybody opens them.
        for tenant in unknown.into_iter().take(max) {
            // One that cannot be opened stands in the way of nobody.
            if store.look_at_accounts(&tenant).await.is_ok() {
                looked.push(tenant);
            }
        }
        let (all, _) = match looked.is_empty() {
            true => (known, Vec::new()),
            false => store.tenants_of_account(account),
        };
        let mut found = Vec::new();
        for tenant in all.into_iter().take(max) {
            let name = tenant.name().as_str();
            match self.clinic_of(name, account, reached).await {
                Ok(clinic) => found.extend(clinic),
                // The others stand there all the same.
                Err(failure) => {
                    tracing::warn!(tenant = %tenant.name(), code = failure.code().as_str(), "a clinic cannot be offered to somebody who is known there");
                }
            }
        }
        Ok(found)
    }

    /// A tenant, if it uses the house's provider and the account is that of a person who may sign in.
    async fn clinic_of(
        &self,
        name: &str,
        account: &Account,
        reached: Reached<'_>,
    ) -> Result<Option<Clinic>, Failure> {
        let gate = self.gate(name, reached, false)?;
        let provider = match gate.house_provider().await {
            Ok(provider) => provider,
            Err(failure) if failure.code() == Code::ProviderUnknown => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let person = gate.store().person_of_account(account).await?;
        if person.is_none_or(|p| p.record.state != PersonState::Active) {
            return Ok(None);
        }
        let path = format!("/providers/{provider}?next=account");
        Ok(Some(Clinic {
            name: name.to_owned(),
            url: gate.links().auth(&path),
        }))
    }
}
