//! What the house counts, for Prometheus. Names interactions and statuses, never tenants' content.

use std::collections::BTreeMap;
use std::fmt;

use crate::rates::LIMITS;
use crate::shipping::ShipperView;
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use store::{Count, Histogram as Counted, ScrubStatus, Store};

/// Upper bounds of request durations, in seconds.
const SECONDS: [f64; 14] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    interaction: &'static str,
    class: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Limited {
    limit: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    interaction: &'static str,
}

/// To whom audit trails are shipped.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Shipped {
    pub(crate) shipper: String,
}

/// The house's counters.
pub struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<Answered, Counter>,
    seconds: Family<Of, Histogram, fn() -> Histogram>,
    rate_limited: Family<Limited, Counter>,
    /// Requests that are being answered.
    pub in_flight: Gauge,
    /// Credentials that were not good.
    pub failed_logins: Counter,
    /// Access tokens that were issued.
    pub tokens_issued: Counter,
    /// Decisions against a caller.
    pub denials: Counter,
    /// Bytes of request bodies that are held.
    pub(crate) body_bytes: Gauge,
    /// Bytes of answers that are held.
    pub(crate) answer_bytes: Gauge,
    /// How those to whom audit trails are shipped are doing.
    pub(crate) shippers: Mutex<BTreeMap<String, ShipperView>>,
    pub(crate) ship_lag_bytes: Family<Shipped, Gauge>,
    pub(crate) ship_lag_seconds: Family<Shipped, Gauge>,
    pub(crate) ship_failures: Family<Shipped, Counter>,
    heads_waiting: Family<Shipped, Gauge>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// The counters of one interaction, looked up once.
#[derive(Clone, Debug)]
pub struct InteractionMetrics {
    /// By hundreds of the status, from 1xx.
    classes: [Counter; 5],
    seconds: Histogram,
}

impl InteractionMetrics {
    /// Counts an answer.
    pub fn answered(&self, status: u16, micros: i64) {
        let class = usize::from(status / 100).saturating_sub(1);
        if let Some(counter) = self.classes.get(class) {
            counter.inc();
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "durations are far below 2^52 µs"
        )]
        self.seconds.observe(micros as f64 / 1e6);
    }
}

impl Metrics {
    pub(crate) fn new(store: &Store) -> Self {
        let metrics = Self::bare();
        let collector = Box::new(StoreCollector(store.clone()));
        metrics.registry.lock().register_collector(collector);
        metrics
    }

    /// Without those of a store.
    pub(crate) fn bare() -> Self {
        let mut registry = Registry::with_prefix("insula");
        let requests = Family::default();
        let seconds: Family<Of, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(SECONDS));
        let (in_flight, failed_logins, tokens_issued, denials) = Default::default();
        registry.register(
            "requests",
            "Requests by interaction and status class",
            requests.clone(),
        );
        registry.register("request_seconds", "Time to answer", seconds.clone());
        registry.register(
            "requests_in_flight",
            "Requests being answered",
            Gauge::clone(&in_flight),
        );
        registry.register(
            "failed_logins",
            "Bad credentials",
            Counter::clone(&failed_logins),
        );
        registry.register(
            "tokens_issued",
            "Access tokens issued",
            Counter::clone(&tokens_issued),
        );
        registry.register(
            "denials",
            "Decisions against a caller",
            Counter::clone(&denials),
        );
        let (body_bytes, answer_bytes) = Default::default();
        registry.register(
            "body_bytes_held",
            "Bytes of request bodies in memory",
            Gauge::clone(&body_bytes),
        );
        registry.register(
            "answer_bytes_held",
            "Bytes of answers in memory until clients have taken them",
            Gauge::clone(&answer_bytes),
        );
        let rate_limited: Family<Limited, Counter> = Family::default();
        for limit in LIMITS {
            drop(rate_limited.get_or_create(&Limited { limit }));
        }
        registry.register(
            "rate_limited",
            "Requests refused because an allowance was used up",
            rate_limited.clone(),
        );
        let ship_lag_bytes: Family<Shipped, Gauge> = Family::default();
        let ship_lag_seconds: Family<Shipped, Gauge> = Family::default();
        let ship_failures: Family<Shipped, Counter> = Family::default();
        registry.register(
            "audit_ship_lag_bytes",
            "Bytes of the audit journal that are not shipped yet",
            ship_lag_bytes.clone(),
        );
        registry.register(
            "audit_ship_lag_seconds",
            "Seconds since everything was shipped",
            ship_lag_seconds.clone(),
        );
        let heads_waiting: Family<Shipped, Gauge> = Family::default();
        registry.register(
            "audit_heads_waiting",
            "Signed heads of audit trails that somebody was not told of yet",
            heads_waiting.clone(),
        );
        registry.register(
            "audit_ship_failures",
            "Attempts to ship audit trails that failed",
            ship_failures.clone(),
        );
        let registry = Mutex::new(registry);
        Self {
            registry,
            requests,
            seconds,
            rate_limited,
            in_flight,
            failed_logins,
            tokens_issued,
            denials,
            body_bytes,
            answer_bytes,
            shippers: Mutex::default(),
            ship_lag_bytes,
            ship_lag_seconds,
            ship_failures,
            heads_waiting,
        }
    }

    /// Counts a request that was refused because an allowance was used up; `limit` is one of
    /// [`LIMITS`].
    pub(crate) fn rate_limited(&self, limit: &'static str) {
        self.rate_limited.get_or_create(&Limited { limit }).inc();
    }

    /// The counters of an interaction.
    pub fn interaction(&self, interaction: &'static str) -> InteractionMetrics {
        let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"].map(|class| {
            self.requests
                .get_or_create_owned(&Answered { interaction, class })
        });
        InteractionMetrics {
            classes,
            seconds: self.seconds.get_or_create_owned(&Of { interaction }),
        }
    }

    /// All counters in the OpenMetrics text format.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry.lock());
        text
    }
}

impl Metrics {
    /// Tells how many heads somebody was not told of yet.
    pub(crate) fn heads_waiting(&self, name: &str, waiting: i64) {
        let label = Shipped {
            shipper: name.to_owned(),
        };
        self.heads_waiting.get_or_create(&label).set(waiting);
    }
}

struct StoreCollector(Store);

/// Name and description of a level, and how it is read off what is known of a check.
type Level<'a> = (
    &'static str,
    &'static str,
    &'a dyn Fn(&ScrubStatus) -> Option<i64>,
);

impl StoreCollector {
    /// By tenant, what is known of the background checks.
    fn scrubs(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let known = self.0.scrubs();
        let seconds = |t: base::Micros| t.0.div_euclid(1_000_000);
        let running = |s: &ScrubStatus| s.begun.map(|_| i64::try_from(s.rows).unwrap_or(i64::MAX));
        let waiting = |s: &ScrubStatus| Some(i64::try_from(s.quarantined).unwrap_or(i64::MAX));
        let levels: [Level<'_>; 3] = [
            (
                "scrub_running_rows",
                "Rows that the background check under way has looked at",
                &running,
            ),
            (
                "scrub_finished_timestamp_seconds",
                "When the last background check was finished",
                &|s| s.finished.map(seconds),
            ),
            (
                "quarantine_waiting",
                "Rows in quarantine that wait for a decision",
                &waiting,
            ),
        ];
        for (name, help, level) in levels {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (tenant, status) in &known {
                if let Some(value) = level(status) {
                    let labels = [("tenant", tenant.to_string())];
                    metric.encode_family(&labels)?.encode_gauge(&value)?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for StoreCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreCollector")
    }
}

impl Collector for StoreCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let m = self.0.metrics();
        let levels: [(&str, &str, &Count); 7] = [
            ("open_tenants", "Tenants that are open", &m.open_tenants),
            (
                "reader_queue",
                "Reads and searches waiting for a reader",
                &m.reader_queue,
            ),
            (
                "writer_queue",
                "Changes waiting for a writer",
                &m.writer_queue,
            ),
            (
                "body_cache_bytes",
                "Bytes in the body cache",
                &m.cache_bytes,
            ),
            (
                "heads_unexported",
                "Audit trails whose last signed head is not outside the data folder",
                &m.heads_unexported,
            ),
            (
                "databases_older",
                "Tenants whose database was found to end before a change that it had",
                &m.older_databases,
            ),
            (
                "trails_unwatched",
                "Tenants whose audit trail is not looked at for alerts as far as those of others",
                &m.unwatched,
            ),
        ];
        for (name, help, count) in levels {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            metric.encode_gauge(&i64::try_from(count.get()).unwrap_or(i64::MAX))?;
        }
        let counts: [(&str, &str, &Count); 14] = [
            ("tenant_opens", "Tenants opened", &m.tenant_opens),
            ("tenant_closes", "Tenants closed", &m.tenant_closes),
            (
                "refused_busy",
                "Requests refused because a queue was full",
                &m.refused_busy,
            ),
            (
                "body_cache_hits",
                "Bodies found in the cache",
                &m.cache_hits,
            ),
            (
                "body_cache_misses",
                "Bodies read from storage",
                &m.cache_misses,
            ),
            (
                "journal_bytes",
                "Bytes appended to the audit journal",
                &m.journal_bytes,
            ),
            (
                "journal_records",
                "Records appended to the audit journal",
                &m.journal_records,
            ),
            (
                "journal_flushes",
                "Flushes of the audit journal",
                &m.journal_flushes,
            ),
            (
                "trail_events_looked_at",
                "Events of audit trails that were looked at for searches and reports",
                &m.trail_events,
            ),
            ("checkpoints", "Log checkpoints", &m.checkpoints),
            (
                "scrub_rows",
                "Rows that background checks looked at",
                &m.scrub_rows,
            ),
            ("scrubs", "Background checks that were finished", &m.scrubs),
            ("quarantined", "Rows put into quarantine", &m.quarantined),
            ("storage_panics", "Storage jobs that panicked", &m.panics),
        ];
        for (name, help, count) in counts {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            metric.encode_counter::<NoLabelSet, _, u64>(&count.get(), None)?;
        }
        self.scrubs(&mut encoder)?;
        let spreads: [(&str, &str, &Counted, f64); 4] = [
            (
                "group_commit_members",
                "Changes in one commit",
                &m.group_members,
                1.0,
            ),
            (
                "commit_seconds",
                "Time of one group commit",
                &m.commit_us,
                1e6,
            ),
            (
                "storage_read_seconds",
                "Time of a read on its reader",
                &m.read_us,
                1e6,
            ),
            (
                "tenant_open_seconds",
                "Time to open a tenant",
                &m.open_us,
                1e6,
            ),
        ];
        for (name, help, spread, unit) in spreads {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
            let (sum, count, buckets) = in_units(spread, unit);
            metric.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn in_units(spread: &Counted, unit: f64) -> (f64, u64, Vec<(f64, u64)>) {
    let buckets: Vec<(f64, u64)> = spread
        .buckets()
        .map(|(bound, count)| (bound.map_or(f64::MAX, |b| b as f64 / unit), count))
        .collect();
    let count = buckets.iter().map(|(_, n)| n).sum();
    (spread.sum() as f64 / unit, count, buckets)
}
