//! Who reads when: dedicated threads fed by a queue that is fair between tenants.
//!
//! Tenants with waiting work take turns. A job that has run for a while no longer counts against
//! the number of jobs that run at once, so that others go on beside it; a tenant that has several
//! such jobs starts no further scan until one ends. Knows nothing of databases.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use base::{Clock, Code, Micros};
use parking_lot::{Condvar, Mutex};

use crate::{Result, StoreError, StoreMetrics};

/// How much a job may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// A few rows by key.
    Point,
    /// Anything up to the limits of a search.
    Scan,
}

type Job = Box<dyn FnOnce() + Send>;
type TenantKey = [u8; 16];

struct Waiting {
    class: Class,
    job: Job,
}

struct Running {
    tenant: TenantKey,
    class: Class,
    since: Micros,
}

#[derive(Default)]
struct Queue {
    lanes: HashMap<TenantKey, VecDeque<Waiting>>,
    /// Tenants with waiting jobs, whose turn is next in front.
    turns: VecDeque<TenantKey>,
    running: Vec<Option<Running>>,
    /// Whether a thread waits for running jobs to become long.
    watched: bool,
    /// Threads that were woken and have not taken the queue yet.
    called: usize,
    stop: bool,
}

impl Queue {
    /// Jobs that run and count against the number that run at once.
    fn short(&self, now: Micros) -> usize {
        let is_short = |r: &&Running| now.0 - r.since.0 <= LONG_US;
        self.running.iter().flatten().filter(is_short).count()
    }
}

/// The queue.
pub(crate) struct Readers {
    queue: Mutex<Queue>,
    wake: Condvar,
    clock: Arc<dyn Clock>,
    metrics: Arc<StoreMetrics>,
    /// Jobs that run at once, not counting long ones.
    at_once: usize,
    waiting_max: u64,
}

/// A job that runs longer is long.
const LONG_US: i64 = 20_000;
const LONG_WAIT: Duration = Duration::from_millis(20);

impl Readers {
    /// A queue for so many jobs at once; `waiting_max` is a tenant's `reader_queue_max`.
    pub(crate) fn new(
        at_once: usize,
        waiting_max: u64,
        clock: Arc<dyn Clock>,
        metrics: Arc<StoreMetrics>,
    ) -> Self {
        let at_once = at_once.max(1);
        let running = (0..Self::threads(at_once)).map(|_| None).collect();
        let queue = Mutex::new(Queue {
            running,
            ..Queue::default()
        });
        Self {
            queue,
            wake: Condvar::new(),
            clock,
            metrics,
            at_once,
            waiting_max,
        }
    }

    /// Threads needed: some are left when all that run at once are long.
    pub(crate) const fn threads(at_once: usize) -> usize {
        at_once * 2 + 2
    }

    /// Queues a job for a tenant.
    pub(crate) fn submit(
        &self,
        tenant: TenantKey,
        class: Class,
        job: impl FnOnce() + Send + 'static,
    ) -> Result<()> {
        let mut queue = self.queue.lock();
        if queue.stop {
            return Err(stopping());
        }
        let queue = &mut *queue;
        let lane = queue.lanes.entry(tenant).or_default();
        if lane.len() as u64 >= self.waiting_max {
            self.metrics.refused_busy.add(1);
            return Err(StoreError::Limit {
                code: Code::LimitBusy,
                limit: "reader_queue_max",
                max: self.waiting_max,
            });
        }
        if lane.is_empty() {
            queue.turns.push_back(tenant);
        }
        lane.push_back(Waiting {
            class,
            job: Box::new(job),
        });
        self.metrics.reader_queue.add(1);
        self.call(queue, self.clock.monotonic());
        Ok(())
    }

    /// Wakes a thread if there is something for it to do: to run what waits, or to watch for
    /// running jobs that become long. Waking more costs every reader its turn on the processor:
    /// a thread that is on its way counts, and one that ends a job takes the next without a call.
    fn call(&self, queue: &mut Queue, now: Micros) {
        let runs = || queue.short(now) + queue.called < self.at_once;
        let watches = !queue.watched && queue.called == 0;
        if !queue.turns.is_empty() && (watches || runs()) && self.wake.notify_one() {
            queue.called += 1;
        }
    }

    /// The loop of thread `place`; returns when told to stop and nothing waits.
    pub(crate) fn work(&self, place: usize) {
        let mut queue = self.queue.lock();
        loop {
            let now = self.clock.monotonic();
            if let Some((tenant, waiting)) = self.next(&mut queue, now) {
                let running = Running {
                    tenant,
                    class: waiting.class,
                    since: now,
                };
                if let Some(slot) = queue.running.get_mut(place) {
                    *slot = Some(running);
                }
                self.call(&mut queue, now);
                drop(queue);
                self.metrics.reader_queue.sub(1);
                if catch_unwind(AssertUnwindSafe(waiting.job)).is_err() {
                    self.metrics.panics.add(1);
                }
                let took = self.clock.monotonic().0 - now.0;
                self.metrics
                    .read_us
                    .record(u64::try_from(took).unwrap_or(0));
                queue = self.queue.lock();
                if let Some(slot) = queue.running.get_mut(place) {
                    *slot = None;
                }
                continue;
            }
            if queue.stop && queue.turns.is_empty() {
                return;
            }
            if queue.turns.is_empty() || (queue.watched && !queue.stop) {
                self.wake.wait(&mut queue);
                queue.called = queue.called.saturating_sub(1);
            } else {
                // Something waits for running jobs to end or to become long.
                queue.watched = true;
                if !self.wake.wait_for(&mut queue, LONG_WAIT).timed_out() {
                    queue.called = queue.called.saturating_sub(1);
                }
                queue.watched = false;
            }
        }
    }

    fn next(&self, queue: &mut Queue, now: Micros) -> Option<(TenantKey, Waiting)> {
        let is_long = |r: &Running| now.0 - r.since.0 > LONG_US;
        let running = || queue.running.iter().flatten();
        if queue.short(now) >= self.at_once {
            return None;
        }
        let scans_max = self.at_once.div_ceil(2);
        let may = |tenant: &TenantKey, class: Class| {
            class == Class::Point
                || running()
                    .filter(|r| r.tenant == *tenant && r.class == Class::Scan && is_long(r))
                    .count()
                    < scans_max
        };
        let (at, in_lane) = queue.turns.iter().enumerate().find_map(|(at, tenant)| {
            let lane = queue.lanes.get(tenant)?;
            Some((at, lane.iter().position(|w| may(tenant, w.class))?))
        })?;
        let tenant = queue.turns.remove(at)?;
        let lane = queue.lanes.get_mut(&tenant)?;
        let waiting = lane.remove(in_lane)?;
        if lane.is_empty() {
            queue.lanes.remove(&tenant);
        } else {
            queue.turns.push_back(tenant);
        }
        Some((tenant, waiting))
    }

    /// Takes no more jobs; what waits is still done.
    pub(crate) fn stop(&self) {
        self.queue.lock().stop = true;
        self.wake.notify_all();
    }
}

pub(crate) fn stopping() -> StoreError {
    StoreError::Refused(Code::Stopping, "the store is closing".to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::sync::mpsc;

    use super::*;

    struct Hand(AtomicI64);
    impl Clock for Hand {
        fn now(&self) -> Micros {
            self.monotonic()
        }
        fn monotonic(&self) -> Micros {
            Micros(self.0.load(Ordering::Relaxed))
        }
    }

    fn readers(at_once: usize) -> (Arc<Hand>, Readers) {
        let clock = Arc::new(Hand(0.into()));
        let readers = Readers::new(at_once, 3, clock.clone(), Arc::default());
        (clock, readers)
    }

    fn order(readers: &Readers, now: i64) -> Vec<u8> {
        let mut queue = readers.queue.lock();
        std::iter::from_fn(|| readers.next(&mut queue, Micros(now)).map(|(t, _)| t[0])).collect()
    }

    #[test]
    fn tenants_take_turns_and_a_lane_is_bounded() {
        let (_, readers) = readers(1);
        for tenant in [1, 1, 1, 2, 3, 3] {
            readers.submit([tenant; 16], Class::Scan, || ()).unwrap();
        }
        let full = readers.submit([1; 16], Class::Point, || ()).unwrap_err();
        assert_eq!(full.code(), Code::LimitBusy);
        assert_eq!(order(&readers, 0), [1, 2, 3, 1, 3, 1]);
    }

    #[test]
    fn long_scans_leave_room_for_others() {
        let (_, readers) = readers(2);
        {
            let mut queue = readers.queue.lock();
            for slot in queue.running.iter_mut().take(2) {
                let class = Class::Scan;
                *slot = Some(Running {
                    tenant: [1; 16],
                    class,
                    since: Micros(0),
                });
            }
        }
        readers.submit([1; 16], Class::Scan, || ()).unwrap();
        readers.submit([1; 16], Class::Point, || ()).unwrap();
        readers.submit([2; 16], Class::Scan, || ()).unwrap();
        assert!(
            order(&readers, LONG_US).is_empty(),
            "two jobs run and are not long yet"
        );
        assert_eq!(
            order(&readers, LONG_US + 1),
            [1, 2],
            "a point of the first, then the other"
        );
    }

    #[test]
    fn a_panic_stays_with_its_job_and_stop_finishes_what_waits() {
        let (_, readers) = readers(1);
        let (send, receive) = mpsc::channel();
        readers
            .submit([1; 16], Class::Point, || panic!("one tenant's trouble"))
            .unwrap();
        let other = send.clone();
        readers
            .submit([2; 16], Class::Point, move || other.send(2).unwrap())
            .unwrap();
        readers.stop();
        readers.work(0);
        assert_eq!(receive.try_recv(), Ok(2));
        assert_eq!(readers.metrics.panics.get(), 1);
        assert!(readers.submit([1; 16], Class::Point, || ()).is_err());
        drop(send);
    }
}
