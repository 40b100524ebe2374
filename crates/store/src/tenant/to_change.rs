//! Requests that read what they change: the change itself tells of both, and has one record. Where nothing was
//! changed, what was read for it has records of its own.

use access::{Action, ActionName, Actor, RequestMeta, Spent};
use base::{Code, ResourceId, Version};
use fhir::definitions::TypeId;
use parking_lot::Mutex;

use super::TenantStore;
use crate::Result;
use crate::audit::{Asked, Outcome, Record, Subject};

/// What was read for a change that is not made yet.
#[derive(Default)]
pub(super) struct Looks(Mutex<Found>);

#[derive(Default)]
struct Found {
    looks: Vec<Look>,
    /// The store has recorded why the change was not made.
    is_told: bool,
}

struct Look {
    request: RequestMeta,
    actor: Actor,
    type_id: TypeId,
    id: ResourceId,
    /// The version, where there is one that the caller reaches.
    version: Option<Version>,
    outcome: Outcome,
}

impl Looks {
    /// Takes a read of what is to be changed; whether it is one.
    pub(super) fn takes<A: Action>(
        &self,
        (request, spent): (RequestMeta, &Spent<A>),
        (type_id, id): (TypeId, &ResourceId),
        version: Option<Version>,
        outcome: Outcome,
    ) -> bool {
        if spent.action() != ActionName::Update {
            return false;
        }
        self.0.lock().looks.push(Look {
            request,
            actor: spent.actor().clone(),
            type_id,
            id: id.clone(),
            version,
            outcome,
        });
        true
    }

    /// The store has recorded why the change is not made.
    pub(super) fn refusal_is_told(&self) {
        self.0.lock().is_told = true;
    }
}

impl TenantStore {
    /// Does something that reads what it changes. Where `work` fails, what it read is recorded before the
    /// failure is told: as a read of what was there, and as a change that was refused with this code.
    ///
    /// # Errors
    /// `audit-unavailable`: then nothing is told of what was read.
    pub async fn as_change<T, E, F>(
        &self,
        work: impl FnOnce(Self) -> F,
        code: impl FnOnce(&E) -> Code,
    ) -> Result<std::result::Result<T, E>>
    where
        F: Future<Output = std::result::Result<T, E>>,
    {
        let looks = std::sync::Arc::new(Looks::default());
        let mut one = self.clone();
        one.looks = Some(looks.clone());
        let done = work(one).await;
        let found = std::mem::take(&mut *looks.0.lock());
        if let Err(failure) = &done
            && !found.looks.is_empty()
        {
            self.note_looks(&found, code(failure)).await?;
        }
        Ok(done)
    }

    async fn note_looks(&self, found: &Found, code: Code) -> Result<()> {
        let given = |look: &&Look| matches!(look.outcome, Outcome::Given(_));
        for look in found.looks.iter().filter(given) {
            let record = Record {
                request: look.request,
                actor: &look.actor,
                action: ActionName::Read,
                subject: Subject::Instance(look.type_id, &look.id),
                asked: Asked {
                    version: look.version,
                    ..Asked::default()
                },
                outcome: look.outcome,
            };
            self.append(&record, None).await?;
        }
        // One for the request: why nothing was changed. What policy refuses is recorded where it does.
        let is_told = found.is_told || code == Code::ScopeMissing;
        if let Some(look) = found.looks.last().filter(|_| !is_told) {
            let subject = Subject::Instance(look.type_id, &look.id);
            let (action, outcome) = (ActionName::Update, Outcome::Refused(code));
            self.note(look.request, &look.actor, action, subject, outcome)
                .await?;
        }
        Ok(())
    }
}
