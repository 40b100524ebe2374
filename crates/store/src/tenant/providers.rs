//! Identity providers of a tenant: set, changed, dropped, and ended where an operator set them and nobody of
//! the tenant kept them in time.

use std::sync::Arc;

use access::{ActionName, PersonId};
use base::{Code, Micros};

use super::TenantStore;
use super::deeds::Deed;
use crate::face::IdentityProvider;
use crate::sqlite::house::providers::made;
use crate::sqlite::{OpenTenant, people, writer};
use crate::{Result, StoreError};

const LOOK_AGAIN: &str = "identity providers were changed meanwhile: look again";

fn unknown() -> StoreError {
    let text = "no such identity provider".to_owned();
    StoreError::Refused(Code::ProviderUnknown, text)
}

impl TenantStore {
    /// Identity providers, in order of id.
    pub async fn identity_providers(&self) -> Result<Arc<Vec<IdentityProvider>>> {
        Ok(self.opened().await?.people().providers())
    }

    /// The same, for who administers them.
    ///
    /// # Errors
    /// None but the general ones.
    pub async fn list_identity_providers(&self, deed: Deed) -> Result<Arc<Vec<IdentityProvider>>> {
        self.deed(deed, ActionName::Administer).await?;
        self.identity_providers().await
    }

    /// Whether a person approved programs for something that did not end.
    pub async fn has_approvals(&self, person: &PersonId) -> Result<bool> {
        let tenant = self.opened().await?;
        Ok(!tenant.people().kept_approvals_of(person).is_empty())
    }

    /// Until when identity providers that operators set let people in, where that was said and nobody of the
    /// tenant kept one since.
    pub async fn operator_provider_term(&self) -> Result<Option<Micros>> {
        let entry = self.serving()?.clone();
        self.handle
            .0
            .aside(move |house| house.provider_term(&entry))
            .await
    }

    /// Makes an identity provider known, or changes what is known about it: what its author knew as `before`.
    ///
    /// # Errors
    /// `limit-query` if there are too many; `tenant-state` where something else is known by now.
    pub async fn put_identity_provider(
        &self,
        deed: Deed,
        provider: IdentityProvider,
        before: Option<IdentityProvider>,
    ) -> Result<()> {
        let intent = self.intends(deed, ActionName::Administer)?;
        let (entry, told) = (self.serving()?, intent.clone());
        let detail = provider.id.to_string();
        let put = move |tenant: &OpenTenant, state: &mut writer::WriterState| {
            let max = tenant.shared.config.limits.identity_providers_max;
            let known = tenant.people().providers();
            let others = known.iter().filter(|p| p.id != provider.id).count();
            if others as u64 >= max {
                return Err(StoreError::Limit {
                    code: Code::LimitQuery,
                    limit: "identity_providers_max",
                    max,
                });
            }
            // What somebody of the tenant kept or ended meanwhile stays as they decided.
            let now = known.iter().find(|p| p.id == provider.id);
            if now.map(|p| &p.record) != before.as_ref().map(|p| &p.record) {
                return Err(StoreError::Refused(
                    Code::TenantState,
                    LOOK_AGAIN.to_owned(),
                ));
            }
            if let Some(made) = made(&provider)?
                && let Some(until) = made.until()
            {
                // The time that operators have is over, or shorter, by now.
                let term = people::provider_term(&state.db)?;
                if !made.ended && term.is_some_and(|term| until > term) {
                    return Err(StoreError::Refused(
                        Code::TenantState,
                        LOOK_AGAIN.to_owned(),
                    ));
                }
                people::bound_provider_term(&state.db, until)?;
            }
            told.tell(tenant, state)?;
            people::put_provider(&state.db, &provider)
        };
        let deed = ("set identity provider", detail.as_str());
        self.administers(entry, &intent, deed, put).await
    }

    /// Forgets an identity provider; what it was. Where the tenant does, what operators set from then on waits for
    /// it.
    ///
    /// # Errors
    /// `provider-unknown`
    pub async fn drop_identity_provider(
        &self,
        deed: Deed,
        id: &str,
        by_tenant: bool,
    ) -> Result<IdentityProvider> {
        let intent = self.intends(deed, ActionName::Administer)?;
        let (entry, told) = (self.serving()?, intent.clone());
        let (of, at) = (id.to_owned(), intent.at());
        let work = move |tenant: &OpenTenant, state: &mut writer::WriterState| {
            let all = tenant.people().providers();
            let known = all.iter().find(|p| *p.id == *of).ok_or_else(unknown)?;
            let until = match by_tenant {
                true => Some(at),
                false => made(known)?.and_then(|made| made.until()),
            };
            if let Some(until) = until {
                people::bound_provider_term(&state.db, until)?;
            }
            people::drop_provider(&state.db, &of)?;
            told.tell(tenant, state)?;
            Ok(known.clone())
        };
        let deed = ("drop identity provider", id);
        self.administers(entry, &intent, deed, work).await
    }

    /// Has the tenant keep an identity provider: `change` is given what it is now, and nobody else changes it
    /// meanwhile.
    ///
    /// # Errors
    /// `provider-unknown`; those of `change`, and then nothing is changed.
    pub async fn keep_identity_provider(
        &self,
        deed: Deed,
        id: &str,
        change: impl FnOnce(&IdentityProvider) -> Result<IdentityProvider> + Send + 'static,
    ) -> Result<()> {
        let intent = self.intends(deed, ActionName::Administer)?;
        let entry = self.serving()?;
        let of = id.to_owned();
        let work = move |tenant: &OpenTenant, state: &mut writer::WriterState| {
            let all = tenant.people().providers();
            let known = all.iter().find(|p| *p.id == *of).ok_or_else(unknown)?;
            people::end_provider_term(&state.db)?;
            people::put_provider(&state.db, &change(known)?)
        };
        let deed = ("keep identity provider", id);
        self.administers(entry, &intent, deed, work).await
    }

    /// Writes down that providers ended which an operator set and nobody of the tenant kept in time, and takes
    /// off what people had by them; how many.
    ///
    /// # Errors
    /// None but the general ones.
    pub async fn end_identity_providers(&self) -> Result<usize> {
        let entry = self.serving()?.clone();
        self.handle
            .0
            .aside(move |house| house.end_providers(&entry))
            .await
    }
}
