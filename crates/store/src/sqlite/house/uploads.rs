//! Data of Binaries on its way in: steps of an upload take turns with a tenant's other writes.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::super::blob;
use super::super::fault::internal;
use super::super::mailboxes::Item;
use super::super::tenant::OpenTenant;
use super::super::writer::{self, WriterState};
use super::{Entry, House};
use crate::Result;

impl House {
    /// Runs `work` with the tenant's writer, alone, in a transaction of its own; once it is
    /// committed, `known` makes it known, whether or not the caller still waits.
    pub(crate) async fn step<T: Send + 'static>(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        work: impl FnOnce(&Arc<OpenTenant>, &mut WriterState) -> Result<T> + Send + 'static,
        known: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T> {
        let (send, receive) = oneshot::channel();
        let (house, of) = (self.clone(), entry.clone());
        let task = Box::new(move || {
            let done = house.open_tenant(&of).and_then(|tenant| {
                let mut slot = tenant.writer.lock();
                let made = writer::alone(&tenant, &mut slot, work)?;
                drop(slot);
                known(&made);
                house.after_write(&tenant);
                Ok(made)
            });
            let _ = send.send(done);
        });
        self.mailboxes.put(entry, Item::Task(task))?;
        receive
            .await
            .unwrap_or_else(|_| Err(internal("the write ended without an answer")))
    }

    /// Removes the data of an upload that came to nothing. Blocks: for writer threads.
    pub(crate) fn discard(&self, entry: &Arc<Entry>, blob: i64) {
        let Ok(tenant) = self.open_tenant(entry) else {
            return;
        };
        let mut slot = tenant.writer.lock();
        let _ = writer::alone(&tenant, &mut slot, |_, state| {
            blob::discard(&state.db, blob)
        });
    }
}
