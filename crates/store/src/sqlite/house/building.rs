//! The thread that builds indexes in the background: of search parameters that tenants defined, and
//! of whatever is made again.
//!
//! It makes a small step for each tenant that has something to build, each in a transaction of its
//! own, and then rests as long as the step took: readers and writers come first.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::super::fault::internal;
use super::super::mailboxes::Item;
use super::super::params::build;
use super::super::tenant::OpenTenant;
use super::super::writer::{self, WriterState};
use super::{Entry, House};
use crate::Result;

/// How often tenants are looked through for something to build, at least.
const ROUND: Duration = Duration::from_secs(1);
/// The rest after a step, at most and at least.
const REST_US_MAX: u64 = 200_000;
const REST_US_MIN: u64 = 500;

impl House {
    pub(super) fn build_until_stopped(self: &Arc<Self>) {
        let mut rest = ROUND;
        loop {
            {
                let mut builder = self.builder.lock();
                if !builder.stop && !builder.hurry {
                    self.builder_wake.wait_for(&mut builder, rest);
                }
                if builder.stop {
                    return;
                }
                builder.hurry = false;
            }
            rest = self.build().unwrap_or(ROUND);
        }
    }

    /// Runs `work` on a tenant's index, with its writer, in a transaction of its own.
    pub(crate) async fn on_index(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        work: impl FnOnce(&Arc<OpenTenant>, &mut WriterState) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let (send, receive) = oneshot::channel();
        let (house, of) = (self.clone(), entry.clone());
        let task = Box::new(move || {
            let done = house.open_tenant(&of).and_then(|tenant| {
                let mut slot = tenant.writer.lock();
                let done = writer::alone(&tenant, &mut slot, work);
                // Index rows changed without a change of the resources that they are of.
                tenant.reaches.forget();
                done?;
                tenant.wants_building();
                Ok(())
            });
            house.wake_builder();
            let _ = send.send(done);
        });
        self.mailboxes.put(entry, Item::Task(task))?;
        receive
            .await
            .unwrap_or_else(|_| Err(internal("the work ended without an answer")))
    }

    /// Tells the builder that there is something to build.
    pub(crate) fn wake_builder(&self) {
        self.builder.lock().hurry = true;
        self.builder_wake.notify_one();
    }

    /// One step for each tenant that has something to build; how long to rest after it, if there is
    /// more.
    fn build(self: &Arc<Self>) -> Option<Duration> {
        let opened: Vec<Arc<Entry>> = self.opened.lock().clone();
        let started = self.shared.clock.monotonic();
        let mut more = false;
        for entry in opened {
            let Some(tenant) = entry.if_open() else {
                continue;
            };
            if !tenant.take_building() {
                continue;
            }
            match build::step(&tenant) {
                Ok(false) => {}
                Ok(true) => {
                    tenant.touch();
                    tenant.wants_building();
                    more = true;
                }
                Err(e) => {
                    tracing::error!(tenant = %entry.tenant.name(), error = %e, "building an index failed");
                    // Tried again in the next round.
                    tenant.wants_building();
                }
            }
        }
        let took = u64::try_from(self.shared.clock.monotonic().0 - started.0).unwrap_or(0);
        more.then(|| Duration::from_micros(took.clamp(REST_US_MIN, REST_US_MAX)))
    }
}
