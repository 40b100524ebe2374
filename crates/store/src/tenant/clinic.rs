//! Who speaks for the clinic: nobody whom an operator let in and whom nobody of the clinic kept.

use access::{Action, ActionName, ClientId, PersonId, Spent};
use base::Code;

use super::TenantStore;
use crate::audit::{Outcome, Subject};
use crate::face::Person;
use crate::sqlite::OpenTenant;
use crate::sqlite::house::providers::made;
use crate::{Result, StoreError};

/// Whether somebody, as the trail names them, does: no client that an operator made and nobody kept, as long as
/// the tenant has people, and no person who is here by what an operator set.
pub(super) fn speaks(tenant: &OpenTenant, actor: &str) -> Result<bool> {
    let who = actor.split(' ').next().unwrap_or_default();
    if let Some(id) = who.strip_prefix("client:").and_then(ClientId::new) {
        let client = tenant.clients().get(&id);
        let made = client.and_then(|client| client.made);
        let waits = made.is_some_and(|made| made.kept_by.is_none());
        return Ok(!waits || !tenant.people().is_anybody_there());
    }
    match who.strip_prefix("person:").and_then(PersonId::new) {
        Some(id) => match tenant.people().person(&id) {
            Some(person) => is_the_clinics(tenant, &person),
            None => Ok(false),
        },
        None => Ok(true),
    }
}

/// Whether nothing of what somebody is here rests on a provider that nobody of the clinic kept.
fn is_the_clinics(tenant: &OpenTenant, person: &Person) -> Result<bool> {
    if person.proofs.known_by.is_some() {
        return Ok(false);
    }
    for provider in tenant.people().providers().iter() {
        let waits = made(provider)?.filter(|made| made.until().is_some());
        let claimed = &person.proofs.claimed;
        if waits.is_some_and(|made| claimed.iter().any(|c| *c.issuer == *made.issuer)) {
            return Ok(false);
        }
    }
    Ok(true)
}

impl TenantStore {
    /// Refuses whoever does not speak for the clinic, recorded.
    pub(super) async fn must_speak_for_clinic<A: Action>(
        &self,
        spent: &Spent<A>,
        what: &str,
    ) -> Result<()> {
        if speaks(&*self.opened().await?, spent.actor().as_str())? {
            return Ok(());
        }
        let code = Code::ClinicOnly;
        let (request, actor) = (spent.request(), spent.actor());
        let (action, subject) = (ActionName::Administer, Subject::Other(None, what));
        self.note(request, actor, action, subject, Outcome::Refused(code))
            .await?;
        let text =
            "an operator let you in, and nobody of the clinic kept that: you decide nothing for it";
        Err(StoreError::Refused(code, text.to_owned()))
    }
}
