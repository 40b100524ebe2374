//! What a tenant's calls leave in the journal.

use access::{Action, ActionName, Actor, Denied, RequestMeta, Spent};
use base::ResourceId;
use fhir::definitions::TypeId;

use super::TenantStore;
use super::reading::marked;
use crate::Result;
use crate::audit::{Asked, Outcome, Record, Shown, Subject};

impl TenantStore {
    /// Records a refusal in the tenant's audit log.
    pub async fn denied(&self, denied: &Denied) -> Result<()> {
        self.denied_of(denied, None).await
    }

    /// The same, of what was asked of one resource.
    pub async fn denied_of(
        &self,
        denied: &Denied,
        asked: Option<(TypeId, &ResourceId)>,
    ) -> Result<()> {
        let subject = match asked {
            Some((type_id, id)) => Subject::Instance(type_id, id),
            // Nobody but the platform exports anything else.
            None if denied.action == ActionName::Export && denied.type_id.is_some() => {
                Subject::Other(denied.type_id, "everything")
            }
            None => Subject::Other(denied.type_id, ""),
        };
        let outcome = Outcome::Refused(denied.code());
        self.note(
            *denied.request,
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
        let record = Record {
            request,
            actor,
            action,
            subject,
            asked: Asked::default(),
            outcome,
        };
        self.append(&record, None).await
    }

    /// Records which rows are about to leave; in several records where they are many. `opened`: only the
    /// opening of a patient led to some of them.
    pub(super) async fn note_shown<A: Action>(
        &self,
        spent: &Spent<A>,
        subject: Subject<'_>,
        asked: Asked<'_>,
        shown: Shown<'_>,
        opened: bool,
    ) -> Result<()> {
        let gathers = self.gathers.as_ref();
        if gathers.is_some_and(|one| one.shows(spent, shown, (asked.patients, opened))) {
            return Ok(());
        }
        let mut record = Record {
            request: marked(spent.request(), opened),
            actor: spent.actor(),
            action: spent.action(),
            subject,
            asked,
            outcome: Outcome::Nothing,
        };
        if shown.count() == 0 {
            return self.append(&record, None).await;
        }
        for piece in shown.pieces() {
            record.outcome = Outcome::Given(piece.count());
            self.append(&record, Some(piece)).await?;
        }
        Ok(())
    }

    pub(super) async fn append(&self, record: &Record<'_>, shown: Option<Shown<'_>>) -> Result<()> {
        let tenant = self.opened().await?;
        let shared = &self.handle.0.shared;
        let ticket = shared.journal.append(&tenant.pen, &record.encode(shown))?;
        shared.metrics.journal_records.add(1);
        shared.journal.durable(ticket).await
    }
}
