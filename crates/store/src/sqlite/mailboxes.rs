//! What waits to be written, tenant by tenant. One thread at a time works for a tenant and takes
//! all that waits for it, up to the limits of a group; it never waits for more to come. Where much
//! waits, it is a matter for threads that stand back behind all others.
//!
//! Knows nothing of databases.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use base::Code;
use parking_lot::{Condvar, Mutex};

use super::house::Entry;
use super::readers::stopping;
use super::writer::Member;
use crate::{Result, StoreError, StoreMetrics};

/// Something else that needs the writer for itself.
pub(crate) type Task = Box<dyn FnOnce() + Send>;

/// What can wait.
pub(crate) enum Item {
    Change(Box<Member>),
    Task(Task),
    /// One that does not wait behind what others write: before all that waits, but for its like.
    Urgent(Task),
}

/// What a thread takes at once.
pub(crate) enum Taken {
    Group(Vec<Member>),
    Task(Task),
}

struct Lane {
    entry: Arc<Entry>,
    items: VecDeque<Item>,
    /// A thread works for this tenant now.
    busy: bool,
}

/// Which threads work for a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Those that others wait for.
    Prompt,
    /// Those that stand back.
    Bulk,
}

/// More bytes than these are bulk.
const PROMPT_BYTES_MAX: u64 = 1 << 20;

#[derive(Default)]
struct Queue {
    lanes: HashMap<[u8; 16], Lane>,
    ready: VecDeque<[u8; 16]>,
    /// The same with much to do.
    ready_in_bulk: VecDeque<[u8; 16]>,
    stop: bool,
}

impl Lane {
    fn pace(&self) -> Pace {
        if matches!(self.items.front(), Some(Item::Urgent(_))) {
            return Pace::Prompt;
        }
        let mut bytes = 0u64;
        for item in &self.items {
            if let Item::Change(member) = item {
                bytes = bytes.saturating_add(member.bytes);
            }
            if bytes > PROMPT_BYTES_MAX {
                return Pace::Bulk;
            }
        }
        Pace::Prompt
    }
}

impl Queue {
    /// Nothing is done, and nothing is there for threads of either pace.
    fn is_idle(&self) -> bool {
        let nothing = self.ready.is_empty() && self.ready_in_bulk.is_empty();
        nothing && self.lanes.values().all(|lane| !lane.busy)
    }

    fn ready(&mut self, pace: Pace) -> &mut VecDeque<[u8; 16]> {
        match pace {
            Pace::Prompt => &mut self.ready,
            Pace::Bulk => &mut self.ready_in_bulk,
        }
    }
}

/// All mailboxes.
pub(crate) struct Mailboxes {
    queue: Mutex<Queue>,
    wake: Condvar,
    wake_in_bulk: Condvar,
    metrics: Arc<StoreMetrics>,
    waiting_max: u64,
    members_max: u64,
    bytes_max: u64,
}

impl Mailboxes {
    pub(crate) fn new(limits: &base::Limits, metrics: Arc<StoreMetrics>) -> Self {
        Self {
            queue: Mutex::default(),
            wake: Condvar::new(),
            wake_in_bulk: Condvar::new(),
            metrics,
            waiting_max: limits.writer_queue_max,
            members_max: limits.group_members_max.max(1),
            bytes_max: limits.group_bytes_max,
        }
    }

    /// Puts something into a tenant's mailbox.
    pub(crate) fn put(&self, entry: &Arc<Entry>, item: Item) -> Result<()> {
        let mut queue = self.queue.lock();
        if queue.stop {
            return Err(stopping());
        }
        let queue = &mut *queue;
        let key = *entry.tenant.bytes();
        let lane = queue.lanes.entry(key).or_insert_with(|| Lane {
            entry: entry.clone(),
            items: VecDeque::new(),
            busy: false,
        });
        let urgent = matches!(item, Item::Urgent(_));
        let before = lane.items.iter();
        let before = before.take_while(|i| matches!(i, Item::Urgent(_))).count();
        let waits = if urgent { before } else { lane.items.len() };
        if waits as u64 >= self.waiting_max {
            self.metrics.refused_busy.add(1);
            return Err(StoreError::Limit {
                code: Code::LimitBusy,
                limit: "writer_queue_max",
                max: self.waiting_max,
            });
        }
        match urgent {
            true => lane.items.insert(before, item),
            false => lane.items.push_back(item),
        }
        self.metrics.writer_queue.add(1);
        let alone = lane.items.len() == 1;
        if (alone || urgent) && !lane.busy {
            // Where bulk waits for a thread that stands back, a prompt one comes for this.
            let pace = if urgent { Pace::Prompt } else { lane.pace() };
            self.call(queue, key, pace);
        }
        Ok(())
    }

    /// Has a thread work for a tenant.
    fn call(&self, queue: &mut Queue, key: [u8; 16], pace: Pace) {
        queue.ready(pace).push_back(key);
        self.waking(pace).notify_one();
    }

    const fn waking(&self, pace: Pace) -> &Condvar {
        match pace {
            Pace::Prompt => &self.wake,
            Pace::Bulk => &self.wake_in_bulk,
        }
    }

    /// A thread's loop; returns when told to stop and nothing waits.
    pub(crate) fn work(&self, pace: Pace, run: impl Fn(&Arc<Entry>, Taken)) {
        loop {
            let mut queue = self.queue.lock();
            let key = loop {
                if let Some(key) = queue.ready(pace).pop_front() {
                    break key;
                }
                if queue.stop && queue.is_idle() {
                    return;
                }
                self.waking(pace).wait(&mut queue);
            };
            let Some(lane) = queue.lanes.get_mut(&key) else {
                continue;
            };
            // Called for twice, it may be worked for already.
            if lane.busy {
                continue;
            }
            let Some(taken) = self.take(lane, pace) else {
                continue;
            };
            lane.busy = true;
            let entry = lane.entry.clone();
            drop(queue);
            if catch_unwind(AssertUnwindSafe(|| run(&entry, taken))).is_err() {
                self.metrics.panics.add(1);
            }
            let mut queue = self.queue.lock();
            let queue = &mut *queue;
            if let Some(lane) = queue.lanes.get_mut(&key) {
                lane.busy = false;
                if lane.items.is_empty() {
                    queue.lanes.remove(&key);
                } else {
                    let pace = lane.pace();
                    self.call(queue, key, pace);
                }
            }
            if queue.stop {
                self.wake_all();
            }
        }
    }

    fn take(&self, lane: &mut Lane, pace: Pace) -> Option<Taken> {
        let mut group = Vec::new();
        let mut bytes = 0u64;
        let bytes_max = match pace {
            Pace::Prompt => self.bytes_max.min(PROMPT_BYTES_MAX),
            Pace::Bulk => self.bytes_max,
        };
        let taken = loop {
            match lane.items.pop_front() {
                Some(Item::Change(member)) => {
                    bytes = bytes.saturating_add(member.bytes);
                    if !group.is_empty() && bytes > bytes_max {
                        lane.items.push_front(Item::Change(member));
                        break Taken::Group(group);
                    }
                    group.push(*member);
                    if group.len() as u64 >= self.members_max {
                        break Taken::Group(group);
                    }
                }
                Some(Item::Task(task) | Item::Urgent(task)) if group.is_empty() => {
                    break Taken::Task(task);
                }
                Some(task) => {
                    lane.items.push_front(task);
                    break Taken::Group(group);
                }
                None if group.is_empty() => return None,
                None => break Taken::Group(group),
            }
        };
        let count = match &taken {
            Taken::Group(group) => group.len() as u64,
            Taken::Task(_) => 1,
        };
        self.metrics.writer_queue.sub(count);
        Some(taken)
    }

    /// Takes no more; what waits is still done.
    pub(crate) fn stop(&self) {
        self.queue.lock().stop = true;
        self.wake_all();
    }

    fn wake_all(&self) {
        self.wake.notify_all();
        self.wake_in_bulk.notify_all();
    }
}
