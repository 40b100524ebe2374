//! Audit trails shipped to somebody outside, as they grow: at least once, in order, no faster than they
//! are taken. What waits, waits in the journal.
//!
//! Knows nothing of sockets and files: what carries is a [`Carrier`].

mod ocsf;
mod syslog;
mod target;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use access::{Reason, RequestMeta, TenantId, decide_system};
use base::{Micros, RequestId};
use serde::Serialize;
use store::{AuditShipping, ShipOf, ShipPlace, ShippedEvent, StoreError};
use tokio::sync::watch;

use crate::house::House;
use crate::metrics::Shipped;
pub use target::{SyslogTarget, TargetError};

/// What a [`Carrier`] answers with.
pub type Carrying<'c> = Pin<Box<dyn Future<Output = io::Result<()>> + Send + 'c>>;

/// Carries messages outside.
pub trait Carrier: Send + Sync + 'static {
    /// Hands messages over, in order. They may not have arrived yet.
    fn carry(&self, messages: Vec<Vec<u8>>) -> Carrying<'_>;
    /// Answers once the other side has taken all that was handed over since this was asked last; after
    /// an error nobody knows how much of it.
    fn settle(&self) -> Carrying<'_>;
}

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ShipForm {
    /// A syslog message (RFC 5424) whose text is the AuditEvent.
    Rfc5424,
    /// A syslog message whose text is an OCSF event.
    Ocsf,
    /// An OCSF event, one a line.
    Lines,
}

/// Somebody to whom trails are shipped.
#[derive(Clone)]
pub struct Shipper {
    /// Its name, for what is kept of it: of a file's name.
    pub name: String,
    /// Whose trails.
    pub of: ShipOf,
    /// Where to, for people.
    pub target: String,
    /// How events are written.
    pub form: ShipForm,
    /// What carries them.
    pub carrier: Arc<dyn Carrier>,
}

impl std::fmt::Debug for Shipper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shipper({})", self.target)
    }
}

/// How a shipper is doing.
#[derive(Clone, Debug, Serialize)]
pub struct ShipperView {
    /// Its name.
    pub name: String,
    /// The tenant, if it is one tenant's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Where to.
    pub target: String,
    /// How events are written.
    pub form: ShipForm,
    /// Bytes of the journal that it has not shipped yet, whoever's they are.
    pub lag_bytes: u64,
    /// Seconds since it last had everything.
    pub lag_seconds: i64,
    /// Events shipped since start; some more than once.
    pub shipped: u64,
    /// Attempts that failed since start.
    pub failures: u64,
    /// Why the last one failed, until one succeeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Up to which segment of the journal it is known to have arrived.
    pub segment: u64,
    /// Up to which place in it.
    pub offset: u64,
    #[serde(skip)]
    place: ShipPlace,
}

/// Events in one go.
const BATCH: usize = 200;
/// Events that are handed over before it is made sure that they have arrived.
const UNSETTLED_MAX: u64 = 5_000;
/// So long it is waited at most before it is made sure, in microseconds.
const UNSETTLED_US: i64 = 5_000_000;
/// Between two looks where nothing is new.
const LOOK: Duration = Duration::from_millis(500);
/// Until messages are taken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Longest time between two attempts.
const PAUSE_SECONDS_MAX: u64 = 30;
/// How far somebody got is kept at least so often, in microseconds, also where nothing was theirs.
const KEEP_US: i64 = 60_000_000;

/// A shipper at work.
struct Work {
    house: House,
    shipper: Shipper,
    /// Up to where it is known to have arrived.
    place: ShipPlace,
    /// Up to where it was handed over.
    sent: ShipPlace,
    /// Events between the two, and since when.
    unsettled: (u64, Micros),
    /// When the place was last kept, by the monotonic clock.
    kept_at: Micros,
    pause_seconds: u64,
}

impl House {
    /// How shippers are doing, by name.
    pub async fn shippers(&self) -> Vec<ShipperView> {
        let known = self.0.metrics.shippers.lock().clone();
        let mut all: Vec<ShipperView> = known.into_values().collect();
        for view in &mut all {
            // What was written since it was last looked.
            let lag = self.0.store.ship_lag(view.place.clone()).await;
            view.lag_bytes = lag.unwrap_or(view.lag_bytes);
        }
        all
    }

    /// Tenants whose trails go elsewhere than the house's, and where to.
    pub fn destinations(&self) -> Vec<(TenantId, AuditShipping)> {
        self.0.store.destinations()
    }

    /// Ships trails until it is told to stop.
    ///
    /// # Errors
    /// If what is kept of it cannot be read.
    pub async fn ship(
        self,
        shipper: Shipper,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<(), StoreError> {
        let place = self.0.store.ship_place(&shipper.name)?;
        let view = ShipperView {
            name: shipper.name.clone(),
            tenant: match &shipper.of {
                ShipOf::House => None,
                ShipOf::Tenant(tenant) => Some(tenant.name().to_string()),
            },
            target: shipper.target.clone(),
            form: shipper.form,
            lag_bytes: 0,
            lag_seconds: 0,
            shipped: 0,
            failures: 0,
            error: None,
            segment: place.segment,
            offset: place.offset,
            place: place.clone(),
        };
        let name = shipper.name.clone();
        self.0.metrics.shippers.lock().insert(name.clone(), view);
        // However it ends, also where it is broken off.
        let _known = Known {
            house: self.clone(),
            name,
        };
        let now = self.clock().monotonic();
        let mut work = Work {
            house: self.clone(),
            shipper,
            sent: place.clone(),
            place,
            unsettled: (0, now),
            kept_at: now,
            pause_seconds: 1,
        };
        while !*stopped.borrow() {
            let pause = work.round().await;
            if !pause.is_zero() {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    _ = stopped.changed() => break,
                }
            }
        }
        if work.place != work.sent
            && let Err(why) = work.settle().await
        {
            work.failed(&why).await;
        }
        Ok(())
    }
}

/// A shipper that the house knows of, for as long as it is at work.
struct Known {
    house: House,
    name: String,
}

impl Drop for Known {
    fn drop(&mut self) {
        let metrics = &self.house.0.metrics;
        metrics.shippers.lock().remove(&self.name);
        let label = Shipped {
            shipper: std::mem::take(&mut self.name),
        };
        metrics.ship_lag_bytes.remove(&label);
        metrics.ship_lag_seconds.remove(&label);
        metrics.ship_failures.remove(&label);
        self.house.0.store.ship_no_more(&label.shipper);
    }
}

impl Work {
    /// Ships what there is; how long to wait then.
    async fn round(&mut self) -> Duration {
        let id = RequestId(u128::from_be_bytes(self.house.0.rng.bytes()));
        let request = RequestMeta::new(id, self.house.clock().now());
        let permits =
            move |tenant: &TenantId| decide_system(Reason::Shipping, tenant, request).ok();
        let store = &self.house.0.store;
        let of = self.shipper.of.clone();
        let found = store.to_ship(of, self.sent.clone(), BATCH, permits).await;
        let (events, next) = match found {
            Ok(found) => found,
            Err(e) => return self.failed(&e.to_string()).await,
        };
        let now = self.house.clock().monotonic();
        if next == self.sent {
            return match self.settle().await {
                Ok(()) => LOOK,
                Err(why) => self.failed(&why).await,
            };
        }
        let count = events.len() as u64;
        if count > 0 {
            if let Err(why) = self.hand_over(events).await {
                return self.failed(&why).await;
            }
            if self.unsettled.0 == 0 {
                self.unsettled.1 = now;
            }
            self.unsettled.0 += count;
        }
        self.sent = next;
        let waited = now.0 - self.unsettled.1.0;
        let due = self.unsettled.0 >= UNSETTLED_MAX || waited >= UNSETTLED_US;
        if due
            && self.unsettled.0 > 0
            && let Err(why) = self.settle().await
        {
            return self.failed(&why).await;
        }
        if self.unsettled.0 == 0 && self.keep(false).await.is_err() {
            return self.failed("how far it got cannot be kept").await;
        }
        self.pause_seconds = 1;
        self.tell(count, None).await;
        Duration::ZERO
    }

    async fn hand_over(&self, events: Vec<ShippedEvent>) -> Result<(), String> {
        let max = usize::try_from(self.house.limits().syslog_bytes_max).unwrap_or(usize::MAX);
        let messages = events.into_iter().map(|e| self.message(e, max)).collect();
        let carried = self.shipper.carrier.carry(messages);
        match tokio::time::timeout(PATIENCE, carried).await {
            Ok(done) => done.map_err(|e| e.to_string()),
            Err(_) => Err("it takes nothing".to_owned()),
        }
    }

    /// Makes sure that what was handed over has arrived, and keeps that it has.
    async fn settle(&mut self) -> Result<(), String> {
        let all = self.unsettled.0 > 0;
        if all {
            let settled = self.shipper.carrier.settle();
            match tokio::time::timeout(PATIENCE, settled).await {
                Ok(Ok(())) => self.unsettled.0 = 0,
                Ok(Err(e)) => return Err(format!("what was sent may not have arrived: {e}")),
                Err(_) => return Err("what was sent may not have arrived".to_owned()),
            }
        }
        let kept = self.keep(all).await;
        kept.map_err(|e| format!("how far it got cannot be kept: {e}"))?;
        self.pause_seconds = 1;
        self.tell(0, None).await;
        Ok(())
    }

    /// Everything up to what was handed over has arrived.
    async fn keep(&mut self, now: bool) -> Result<(), StoreError> {
        let clock = self.house.clock();
        let place = self.sent.clone().level(clock.now());
        let at = clock.monotonic();
        if now || at.0 - self.kept_at.0 >= KEEP_US {
            let store = &self.house.0.store;
            store
                .keep_ship_place(&self.shipper.name, place.clone())
                .await?;
            self.kept_at = at;
        }
        self.place = place.clone();
        self.sent = place;
        Ok(())
    }

    /// What was handed over and is not known to have arrived is handed over again.
    async fn failed(&mut self, why: &str) -> Duration {
        tracing::warn!(
            target = self.shipper.target,
            "audit trails are not shipped: {why}"
        );
        self.sent = self.place.clone();
        self.unsettled.0 = 0;
        let seconds = self.pause_seconds;
        self.pause_seconds = (seconds * 2).min(PAUSE_SECONDS_MAX);
        let metrics = &self.house.0.metrics;
        let label = Shipped {
            shipper: self.shipper.name.clone(),
        };
        metrics.ship_failures.get_or_create(&label).inc();
        self.tell(0, Some(why)).await;
        Duration::from_secs(seconds)
    }

    /// Seconds since everything had arrived.
    fn behind(&self) -> i64 {
        let level = match self.place.level_at().0 {
            0 => self.house.0.started,
            us => Micros(us),
        };
        ((self.house.clock().now().0 - level.0) / 1_000_000).max(0)
    }

    /// Tells how it goes.
    async fn tell(&self, shipped: u64, error: Option<&str>) {
        let lag = self.house.0.store.ship_lag(self.place.clone()).await;
        let metrics = &self.house.0.metrics;
        let behind = self.behind();
        let mut all = metrics.shippers.lock();
        let Some(view) = all.get_mut(&self.shipper.name) else {
            return;
        };
        view.shipped += shipped;
        view.failures += u64::from(error.is_some());
        view.error = error.map(str::to_owned);
        view.lag_bytes = lag.unwrap_or(view.lag_bytes);
        view.lag_seconds = if view.lag_bytes == 0 { 0 } else { behind };
        (view.segment, view.offset) = (self.place.segment, self.place.offset);
        view.place = self.place.clone();
        let (bytes, seconds) = (view.lag_bytes, view.lag_seconds);
        drop(all);
        let label = Shipped {
            shipper: self.shipper.name.clone(),
        };
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        metrics.ship_lag_bytes.get_or_create(&label).set(bytes);
        metrics.ship_lag_seconds.get_or_create(&label).set(seconds);
    }

    fn message(&self, event: ShippedEvent, max: usize) -> Vec<u8> {
        // Whoever is behind a destination, it is the operator who set it: it is told who touched what, not
        // what they searched for nor why.
        let event = &narrow(event);
        match self.shipper.form {
            ShipForm::Lines => {
                let mut line = ocsf::event(event).to_string().into_bytes();
                line.push(b'\n');
                line
            }
            ShipForm::Ocsf => syslog::within(event, max, |e| ocsf::event(e).to_string()),
            ShipForm::Rfc5424 => syslog::within(event, max, |e| e.event.to_json(e.fhir)),
        }
    }
}

/// A signed head of a trail as a syslog message.
pub(crate) fn head_message(at: Micros, line: &str) -> Vec<u8> {
    syslog::head(at, line)
}

/// An event without what somebody wrote: searches, and the words of a reason.
fn narrow(mut of: ShippedEvent) -> ShippedEvent {
    let is_query = |e: &fhir::audit_event::Entity| matches!(e, fhir::audit_event::Entity::Query(_));
    of.event.entities.retain(|e| !is_query(e));
    for agent in &mut of.event.agents {
        agent.purposes.retain(|(code, _)| code.is_some());
        for (_, words) in &mut agent.purposes {
            words.clear();
        }
    }
    of
}

#[cfg(test)]
mod tests;
