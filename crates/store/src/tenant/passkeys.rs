//! Uses of passkeys: noted with each sign-in, without administering anything.

use std::sync::Arc;

use access::{ActionName, PersonId};
use base::Code;

use super::TenantStore;
use super::deeds::Deed;
use crate::face::{KeptPasskey, PasskeyUse};
use crate::sqlite::{OpenTenant, passkeys, writer};
use crate::{Result, StoreError};

impl TenantStore {
    /// Notes that a person's passkey was used: `judge` is given what is kept of it and says what is from now
    /// on, and nobody else notes anything meanwhile.
    ///
    /// # Errors
    /// `credentials-invalid` if they do not have it any more; those of `judge`, and then nothing is noted: that they
    /// were not let in is recorded by whoever asked.
    pub async fn passkey_used(
        &self,
        deed: Deed,
        (person, passkey): (&PersonId, &str),
        judge: impl FnOnce(&KeptPasskey) -> Result<PasskeyUse> + Send + 'static,
    ) -> Result<()> {
        let told = self.intends(deed, ActionName::Authenticate)?;
        let (person, id) = (person.clone(), passkey.to_owned());
        let work = move |tenant: &Arc<OpenTenant>, slot: &mut _| {
            let gone = || {
                let text = "no such passkey".to_owned();
                StoreError::Refused(Code::CredentialsInvalid, text)
            };
            let known = tenant.people().person(&person).ok_or_else(gone)?;
            let mut kept = known.proofs.passkeys.iter();
            let kept = kept.find(|kept| kept.id == id).ok_or_else(gone)?;
            let used = judge(kept)?;
            writer::alone(tenant, slot, |tenant, state| {
                passkeys::put(&state.db, tenant.chain(), (&person, kept), used)?;
                told.done(tenant)
            })?;
            tenant.people().learn_passkey_use(&person, &id, used);
            Ok(())
        };
        self.handle.0.with_writer(self.serving()?, work).await?;
        let journal = &self.handle.0.shared.journal;
        journal.durable(journal.so_far()).await
    }
}
