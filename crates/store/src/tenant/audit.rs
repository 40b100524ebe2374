//! What a tenant's calls leave in the journal.

use access::{ActionName, Actor, Denied, RequestMeta};

use super::TenantStore;
use crate::Result;
use crate::audit::{Outcome, Record, Subject};

impl TenantStore {
    /// Records a refusal in the tenant's audit log.
    pub async fn denied(&self, denied: &Denied) -> Result<()> {
        let subject = Subject::Other(denied.type_id, "");
        let outcome = Outcome::Refused(denied.code());
        self.note(
            denied.request,
            &denied.actor,
            denied.action,
            subject,
            outcome,
        )
        .await
    }

    /// Writes a record, and waits for the disk in strict mode. What the record is about may leave
    /// only after this.
    pub(super) async fn note(
        &self,
        request: RequestMeta,
        actor: &Actor,
        action: ActionName,
        subject: Subject<'_>,
        outcome: Outcome,
    ) -> Result<()> {
        let tenant = self.opened().await?;
        let record = Record {
            request,
            actor,
            action,
            subject,
            outcome,
        }
        .encode();
        let journal = &self.handle.0.shared.journal;
        let ticket = journal.append(&tenant.pen, &record)?;
        self.handle.0.shared.metrics.journal_records.add(1);
        journal.durable(ticket).await
    }
}
