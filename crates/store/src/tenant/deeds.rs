//! What is administered, and what becomes of it in the trail: what is done has its record in the transaction that
//! does it, and what is not done has one with the code of the refusal. Only what is looked at, and tokens and
//! contexts that are given, are recorded before they leave.

use std::sync::Arc;

use access::{Action, ActionName, Actor, Administer, Permit, Spent};
use base::{Code, Micros};

use super::TenantStore;
use crate::audit::{Asked, Outcome, Record, Subject};
use crate::face::AlertRule;
use crate::sqlite::alerts::operators::{self, Did};
use crate::sqlite::house::Entry;
use crate::sqlite::house::change::By;
use crate::sqlite::{OpenTenant, writer};
use crate::{Result, StoreError};

/// What is done, by whom, under which right.
#[derive(Debug)]
pub struct Deed {
    /// The right.
    pub permit: Permit<Administer>,
    /// Who it is recorded as; whom the permit names, if none is given.
    pub actor: Option<Actor>,
    /// What, in some words.
    pub what: String,
    /// Whether the tenant's own people are told by an alert: an operator changes who may sign in.
    pub alerts: bool,
}

/// What is about to be done: its permit is spent, and nothing is recorded yet.
pub(super) struct Intent {
    pub(super) by: By,
    action: ActionName,
    what: String,
    /// Whether an alert tells of it.
    pub(super) alerts: bool,
}

impl Intent {
    /// When.
    pub(super) const fn at(&self) -> Micros {
        self.by.1.at
    }

    const fn record(&self, outcome: Outcome) -> Record<'_> {
        Record {
            request: self.by.1,
            actor: &self.by.0,
            action: self.action,
            subject: Subject::Other(None, self.what.as_str()),
            asked: Asked {
                query: None,
                version: None,
                times: None,
                patient: None,
                patients: &[],
            },
            outcome,
        }
    }

    fn append(&self, tenant: &OpenTenant, outcome: Outcome) -> Result<()> {
        let shared = &tenant.shared;
        // Whoever asked waits for everything that was appended by then.
        let _ticket = shared
            .journal
            .append(&tenant.pen, &self.record(outcome).encode(None))?;
        shared.metrics.journal_records.add(1);
        Ok(())
    }

    /// Records that it is done: the last thing in the transaction that does it, which is not made where this
    /// cannot be.
    pub(super) fn done(&self, tenant: &OpenTenant) -> Result<()> {
        self.append(tenant, Outcome::Given(0))
    }

    /// Records, in the transaction that does something else instead, that it is refused.
    pub(super) fn refused(&self, tenant: &OpenTenant, code: Code) -> Result<()> {
        self.append(tenant, Outcome::Refused(code))
    }

    /// Raises the alert that tells of it, if one does.
    pub(super) fn tell(&self, tenant: &OpenTenant, state: &writer::WriterState) -> Result<()> {
        // As long as nobody of the tenant ever signed in there is nobody to be told.
        if !self.alerts || !tenant.people().is_anybody_there() {
            return Ok(());
        }
        let did = Did {
            rule: AlertRule::OperatorSignIn,
            by: self.by.0.as_str(),
            at: self.at(),
            event: &self.what,
            seen: self.what.clone(),
            program: None,
        };
        operators::tell(&state.db, did)
    }
}

impl TenantStore {
    /// Spends the permit of what is about to be done.
    pub(super) fn intends(&self, deed: Deed, action: ActionName) -> Result<Arc<Intent>> {
        let spent = deed.permit.spend(&self.tenant);
        self.serving()?;
        let actor = deed.actor.unwrap_or_else(|| spent.actor().clone());
        Ok(Arc::new(Intent {
            by: (actor, spent.request()),
            action,
            what: deed.what,
            alerts: deed.alerts,
        }))
    }

    /// What is about to be done under a permit that was spent.
    pub(super) fn intends_by<A: Action>(spent: &Spent<A>, what: impl Into<String>) -> Arc<Intent> {
        Arc::new(Intent {
            by: (spent.actor().clone(), spent.request()),
            action: spent.action(),
            what: what.into(),
            alerts: false,
        })
    }

    /// Records something that changes nothing which is kept, before it is given.
    pub(super) async fn deed(&self, deed: Deed, action: ActionName) -> Result<Arc<Intent>> {
        let intent = self.intends(deed, action)?;
        self.append(&intent.record(Outcome::Given(0)), None).await?;
        Ok(intent)
    }

    /// Administers something: `work` does it, and its record is made with it.
    pub(super) async fn administers<T: Send + 'static>(
        &self,
        entry: &Arc<Entry>,
        intent: &Arc<Intent>,
        (action, detail): (&'static str, &str),
        work: impl FnOnce(&OpenTenant, &mut writer::WriterState) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let told = intent.clone();
        let with_record = move |tenant: &OpenTenant, state: &mut writer::WriterState| {
            let made = work(tenant, state)?;
            told.done(tenant)?;
            Ok(made)
        };
        let by = intent.by.clone();
        let house = &self.handle.0;
        let asked = house.ask_to_administer(entry, by, action, detail, with_record);
        let done = self.ends_as(intent, async move { asked?.done().await });
        let done = done.await?;
        self.tell_of_alert(intent.alerts);
        Ok(done)
    }

    /// Does something with the tenant's writer; `work` makes the record of it, by [`Intent::done`].
    pub(super) async fn writes_as<T: Send + 'static>(
        &self,
        intent: &Arc<Intent>,
        work: impl FnOnce(&Arc<OpenTenant>, &mut Option<writer::WriterState>) -> Result<T>
        + Send
        + 'static,
    ) -> Result<T> {
        let (house, entry) = (self.handle.0.clone(), self.serving()?.clone());
        let doing = async move { house.with_writer(&entry, work).await };
        self.ends_as(intent, doing).await
    }

    /// Waits for what is done and for its record; where it is not done, records why. Goes on also when whoever
    /// asked hangs up.
    pub(super) async fn ends_as<T: Send + 'static>(
        &self,
        intent: &Arc<Intent>,
        doing: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (store, intent) = (self.clone(), intent.clone());
        to_the_end(async move {
            let done = doing.await;
            match &done {
                Ok(_) => {
                    let journal = &store.handle.0.shared.journal;
                    journal.durable(journal.so_far()).await?;
                }
                Err(e) => {
                    let record = intent.record(Outcome::Refused(e.code()));
                    store.append(&record, None).await?;
                }
            }
            done
        })
        .await
    }

    /// Has an alert that was raised told.
    pub(super) fn tell_of_alert(&self, told: bool) {
        if told {
            self.handle.0.still_untold(self.tenant.bytes());
        }
    }
}

/// Goes on also when whoever asked hangs up: what was done is told in the trail.
pub(super) async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let ended = tokio::spawn(work).await;
    ended.unwrap_or_else(|_| Err(StoreError::Refused(Code::Internal, "a decision".to_owned())))
}
