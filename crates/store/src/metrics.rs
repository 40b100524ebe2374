//! Counters of the store, cheap enough to keep always. Rendering them is the caller's.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that grows, or a level that moves.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// The value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn sub(&self, n: u64) {
        self.0.fetch_sub(n, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }
}

/// A distribution in buckets that double: bucket `i` counts values below `1 << i`, the last one
/// all others.
#[derive(Debug)]
pub struct Histogram {
    buckets: [AtomicU64; Self::BUCKETS],
    sum: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: [const { AtomicU64::new(0) }; Self::BUCKETS],
            sum: AtomicU64::new(0),
        }
    }
}

impl Histogram {
    /// Number of buckets.
    pub const BUCKETS: usize = 28;

    pub(crate) fn record(&self, value: u64) {
        let place = (u64::BITS - value.leading_zeros()) as usize;
        let place = place.min(Self::BUCKETS - 1);
        if let Some(bucket) = self.buckets.get(place) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Upper bound (exclusive; `None` for the last) and count of each bucket, not cumulated.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<u64>, u64)> + '_ {
        self.buckets.iter().enumerate().map(|(i, n)| {
            let bound = (i + 1 < Self::BUCKETS).then(|| 1u64 << i);
            (bound, n.load(Ordering::Relaxed))
        })
    }

    /// Sum of all values.
    pub fn sum(&self) -> u64 {
        self.sum.load(Ordering::Relaxed)
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|b| b.load(Ordering::Relaxed)).sum()
    }
}

/// What the store counts about itself. Nothing here is of one tenant.
#[derive(Debug, Default)]
pub struct StoreMetrics {
    /// Tenants that are open now.
    pub open_tenants: Count,
    /// Tenants opened since start.
    pub tenant_opens: Count,
    /// Tenants closed since start.
    pub tenant_closes: Count,
    /// Reads and searches that wait for a reader now.
    pub reader_queue: Count,
    /// Changes that wait for a writer now.
    pub writer_queue: Count,
    /// Requests refused because a queue was full.
    pub refused_busy: Count,
    /// Changes in one commit.
    pub group_members: Histogram,
    /// Microseconds from the start of a group to the end of its commit.
    pub commit_us: Histogram,
    /// Microseconds a read or search took on its reader thread.
    pub read_us: Histogram,
    /// Microseconds it took to open a tenant.
    pub open_us: Histogram,
    /// Bodies found in the body cache.
    pub cache_hits: Count,
    /// Bodies that had to be read.
    pub cache_misses: Count,
    /// Bytes in the body cache now.
    pub cache_bytes: Count,
    /// Bytes appended to the journal of reads since start.
    pub journal_bytes: Count,
    /// Events of trails that were looked at for searches and reports.
    pub trail_events: Count,
    /// Records appended to the journal since start.
    pub journal_records: Count,
    /// Flushes of the journal to the disk since start.
    pub journal_flushes: Count,
    /// Tenants whose database was found to end before a change that it had.
    pub older_databases: Count,
    /// Tenants whose trail is not looked at for alerts up to where that of others is.
    pub unwatched: Count,
    /// Trails whose last head could not be written outside the data folder.
    pub heads_unexported: Count,
    /// Log checkpoints since start.
    pub checkpoints: Count,
    /// Rows that background checks looked at since start.
    pub scrub_rows: Count,
    /// Rounds of background checks that were finished since start.
    pub scrubs: Count,
    /// Rows put into quarantine since start.
    pub quarantined: Count,
    /// Jobs that panicked since start.
    pub panics: Count,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fall_below_the_bound_of_their_bucket() {
        let h = Histogram::default();
        for v in [0, 1, 2, 3, 4, 1023, 1024, u64::MAX] {
            h.record(v);
        }
        let below = |n: u64| {
            h.buckets()
                .take_while(|(b, _)| b.is_some_and(|b| b <= n))
                .map(|(_, c)| c)
                .sum::<u64>()
        };
        assert_eq!((below(1), below(4), below(1024)), (1, 4, 6));
        assert_eq!(h.count(), 8);
    }
}
