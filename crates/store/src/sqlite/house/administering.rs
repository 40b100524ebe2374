//! Administering a tenant's API clients and people: in one transaction with the change that vouches for them,
//! then known to who is let in, to the journal and to the house.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use base::Code;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::super::administration;
use super::super::control::Deed;
use super::super::fault::internal;
use super::super::mailboxes::Item;
use super::super::tenant::OpenTenant;
use super::super::writer::{self, WriterState};
use super::change::By;
use super::{Entry, House};
use crate::audit::ChangeHead;
use crate::{Result, State, StoreError};

/// The one deed that is done where what is administered is not what was last administered: somebody
/// decides, by name, that it begins anew.
pub(crate) const ANEW: &str = "begin administration anew";

/// What is vouched for is what somebody administered: a row that was altered in the file must not
/// become good because another one is administered.
fn must_be_as_administered(tenant: &OpenTenant, db: &Connection) -> Result<()> {
    if !tenant.clients().is_doubted() && administration::holds(db)? {
        return Ok(());
    }
    tracing::error!(
        tenant = %tenant.id.name(),
        code = Code::AuditAltered.as_str(),
        "what is administered is not what was last administered; nothing is administered until somebody decides"
    );
    let text = "what is administered about the tenant is not what was last administered; \
                `insula tenant begin-anew` decides about it";
    Err(StoreError::Refused(Code::AuditAltered, text.to_owned()))
}

/// What waits to be administered.
pub(crate) struct Asked<T>(oneshot::Receiver<Result<T>>);

impl<T> Asked<T> {
    /// What came of it.
    pub(crate) async fn done(self) -> Result<T> {
        let done = self.0.await;
        done.unwrap_or_else(|_| Err(internal("the work ended without an answer")))
    }
}

impl House {
    /// Runs `work` with the tenant's writer, whether or not the caller still waits. It is put among what waits
    /// before this returns; when what comes of it is known, what it did is on the disk and in force.
    pub(crate) fn ask_to_administer<T: Send + 'static>(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        by: By,
        action: &'static str,
        detail: &str,
        work: impl FnOnce(&OpenTenant, &mut WriterState) -> Result<T> + Send + 'static,
    ) -> Result<Asked<T>> {
        let (send, receive) = oneshot::channel();
        let (house, of, detail) = (self.clone(), entry.clone(), detail.to_owned());
        let task = Box::new(move || {
            let _ = send.send(house.administer_now(&of, &by, (action, &detail), work));
        });
        self.mailboxes.put(entry, Item::Urgent(task))?;
        Ok(Asked(receive))
    }

    /// The same, on the thread that asks.
    pub(super) fn administer_now<T>(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        by: &By,
        deed: (&'static str, &str),
        work: impl FnOnce(&OpenTenant, &mut WriterState) -> Result<T>,
    ) -> Result<T> {
        let tenant = self.open_tenant(entry)?;
        let now = self.shared.clock.now();
        let (record, head) = {
            let mut slot = tenant.writer.lock();
            let done = writer::alone_durably(&tenant, &mut slot, |tenant, state| {
                if deed.0 != ANEW {
                    must_be_as_administered(tenant, &state.db)?;
                }
                // Whoever begins anew ends them all.
                let held = deed.0 == ANEW || administration::openings_hold(&state.db)?;
                let record = work(tenant, state)?;
                let chain = administration::Chain {
                    tenant: tenant.id.bytes(),
                    key: &tenant.keys.seal,
                };
                let head = administration::record(state, chain, by, now, held)?;
                Ok((record, head, held))
            })?;
            if let Some(state) = &*slot {
                tenant.learn_administered(&state.db, done.2, now);
            }
            // It made no version: what the cache knows of every change before, it knows of this one.
            tenant.marked.fetch_max(done.1.seq.0, Ordering::AcqRel);
            (done.0, done.1)
        };
        tenant.tell_head(head);
        self.note_accounts(entry, &tenant, super::Note::Changed);
        if let Err(e) = self.note_administered(entry, by, deed, head) {
            tracing::error!(tenant = %entry.tenant.name(), error = %e, "the operators' audit lacks a line");
        }
        Ok(record)
    }

    /// Runs `work` with the tenant's writer to itself, whether or not the caller still waits.
    pub(crate) async fn with_writer<T: Send + 'static>(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        work: impl FnOnce(&Arc<OpenTenant>, &mut Option<WriterState>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (send, receive) = oneshot::channel();
        let (house, of) = (self.clone(), entry.clone());
        let task = Box::new(move || {
            let done = house.open_tenant(&of).and_then(|tenant| {
                let mut slot = tenant.writer.lock();
                work(&tenant, &mut slot)
            });
            let _ = send.send(done);
        });
        self.mailboxes.put(entry, Item::Task(task))?;
        receive
            .await
            .unwrap_or_else(|_| Err(internal("the work ended without an answer")))
    }

    fn note_administered(
        &self,
        entry: &Entry,
        by: &By,
        (action, detail): (&'static str, &str),
        head: ChangeHead,
    ) -> Result<()> {
        let mut control = self.control.lock();
        let info = entry.info.read().clone();
        let mut known = entry.administered.lock();
        if info.state == State::Gone {
            return Ok(());
        }
        // Of two at once the later one may be noted first: its place stays, and both have their line. Whoever
        // begins anew decides about the chain that is there, also where it is shorter than it was.
        let head = match *known {
            Some(later) if later.seq > head.seq && action != ANEW => later,
            _ => head,
        };
        let id = entry.tenant.bytes();
        let deed = Deed {
            by,
            action,
            tenant: Some(id),
            detail,
        };
        control.update(id, &info, None, Some(head), &deed)?;
        *known = Some(head);
        Ok(())
    }
}
