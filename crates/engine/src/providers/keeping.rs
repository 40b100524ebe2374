//! Which identity providers a tenant's own people keep. One that an operator set lets people in for a time and
//! no longer, unless somebody keeps it who administers the tenant and did not come in by what an operator set:
//! or else whoever runs the house would let themselves in, and keep the door open.

use access::Administering;
use base::{Code, Micros};
use store::{IdentityProvider, StoreError, Through};

use super::ending::shown;
use super::{Kept, ProviderView, find, issuer_of, read, view, written};
use crate::auth::Visitor;
use crate::failure::Failure;
use crate::house::Gate;

fn refused(code: Code, text: &str) -> StoreError {
    StoreError::Refused(code, text.to_owned())
}

impl Gate {
    /// Until when somebody may be let in who came through an account: without an end where the tenant keeps
    /// the provider.
    ///
    /// # Errors
    /// `provider-unknown`, `provider-ended`.
    pub(crate) async fn let_in_until(
        &self,
        through: &Through,
        now: Micros,
    ) -> Result<Option<Micros>, Failure> {
        let all = self.store().identity_providers().await?;
        let mut found = Err(Failure::of(Code::ProviderUnknown));
        for provider in all.iter() {
            let kept = read(provider)?;
            if !through.is_of(&provider.id, &issuer_of(&self.house, &kept.settings)) {
                continue;
            }
            if kept.lets_in(&self.house, now) {
                return Ok(kept.made.and_then(|made| made.until()));
            }
            found = Err(Failure::of(Code::ProviderEnded));
        }
        found
    }

    /// Whether the tenant keeps a provider, or somebody of it made it.
    pub(crate) async fn is_kept(&self, id: &str, now: Micros) -> Result<bool, Failure> {
        let all = self.store().identity_providers().await?;
        let Some(provider) = all.iter().find(|p| *p.id == *id) else {
            return Ok(false);
        };
        let kept = read(provider)?;
        let ends = kept
            .made
            .as_ref()
            .is_some_and(|made| made.until().is_some());
        Ok(!ends && kept.lets_in(&self.house, now))
    }

    fn provider_shown(&self, id: &str, mut kept: Kept, now: Micros) -> ProviderView {
        // Those whom it is about are shown where the house's leads to.
        if let (true, Some(known)) = (kept.settings.house, &self.house.0.config.house_provider) {
            kept.settings.issuer.clone_from(&known.issuer);
            kept.settings.client_id.clone_from(&known.client_id);
        }
        let origin = self.house_origin();
        view(&self.house, (&self.links, &origin), now, id, kept)
    }
}

impl Visitor {
    /// All identity providers of the tenant; those that an operator set say so.
    ///
    /// # Errors
    /// `scope-missing`
    pub async fn list_providers(&self) -> Result<Vec<ProviderView>, Failure> {
        let what = "list identity providers";
        let deed = self.deed(Administering::People, what).await?;
        self.store.end_identity_providers().await?;
        let all = self.store.list_identity_providers(deed).await?;
        let show = |provider: &IdentityProvider| {
            let kept = read(provider)?;
            Ok(self
                .gate
                .provider_shown(&provider.id, kept, self.request.at))
        };
        all.iter().map(show).collect()
    }

    /// Keeps an identity provider that an operator set: it is the tenant's own, and goes on. `seen` is when it
    /// was set, as it was shown: another one that was set since is not kept unseen, and without it none is.
    ///
    /// # Errors
    /// `scope-missing`; `step-up-required` without two factors shown of late; `clinic-only` for whoever came in
    /// through a provider that nobody of the tenant kept; `provider-unknown` for one that no operator set;
    /// `tenant-state` if it was set anew; `request-invalid` without `seen`.
    pub async fn keep_provider(
        &self,
        id: &str,
        seen: Option<&str>,
    ) -> Result<ProviderView, Failure> {
        let seen = seen.map(str::to_owned).ok_or_else(|| {
            let text = "at is made.at as it was shown: the provider that is kept";
            Failure::new(Code::RequestInvalid, text)
        })?;
        let what = format!("keep identity provider {}", shown(id));
        let deed = self.deed(Administering::People, what.as_str()).await?;
        self.must_step_up(&what).await?;
        self.must_be_of_the_tenant(&what).await?;
        let (by, house) = (self.person.record.actor(), self.gate.house.clone());
        let change = move |provider: &IdentityProvider| {
            let kept = read(provider).ok();
            let none = || {
                let text = "no identity provider that an operator set has this id";
                refused(Code::ProviderUnknown, text)
            };
            let mut kept = kept.ok_or_else(none)?;
            let issuer = issuer_of(&house, &kept.settings);
            let made = kept.made.as_mut().ok_or_else(none)?;
            let at = Micros(made.at_us).instant().to_string();
            if seen != at {
                let text = "the provider was set anew since: look at it again";
                return Err(refused(Code::TenantState, text));
            }
            (made.until_us, made.ended) = (None, false);
            made.kept_by = Some(by.as_str().into());
            made.issuer = issuer.into();
            written(&provider.id, &kept).map_err(|_| none())
        };
        self.store.keep_identity_provider(deed, id, change).await?;
        let all = self.store.identity_providers().await?;
        Ok(self
            .gate
            .provider_shown(id, find(&all, id)?, self.request.at))
    }

    /// Refuses whoever is here by what an operator set alone.
    pub(crate) async fn must_be_of_the_tenant(&self, what: &str) -> Result<(), Failure> {
        let own = match &self.session.through {
            Some(through) => {
                let until = self.gate.let_in_until(through, self.request.at).await;
                matches!(until, Ok(None))
            }
            None => true,
        };
        if own {
            return Ok(());
        }
        let (actor, code) = (self.person.record.actor(), Code::ClinicOnly);
        self.gate.house.0.metrics.denials.inc();
        let store = &self.store;
        store.not_let_in(self.request, &actor, what, code).await?;
        let text = "you came in through a provider that an operator set and nobody of the clinic kept: \
                    sign in with a password of your own";
        Err(Failure::new(code, text))
    }
}
