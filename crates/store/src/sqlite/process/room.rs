//! One processor of those that there are is left to requests while any are served: what wakes for a request
//! finds a processor that no work in bulk holds, however seldom the system's clock ticks. Work in bulk has all
//! of them again when nothing was asked for a while.
//!
//! Nothing happens where there is one processor, or where threads cannot be told where to run.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// How long nothing is asked before work in bulk has all processors again, at least; twice that at most.
const QUIET: Duration = Duration::from_secs(1);

/// Threads that work in bulk, by the numbers that the system gives them.
static BULK: Mutex<Vec<libc::pid_t>> = Mutex::new(Vec::new());
/// Room is left.
static LEFT: AtomicBool = AtomicBool::new(false);
/// A request was served since somebody looked.
static SERVED: AtomicBool = AtomicBool::new(false);

/// Says that a request is served: work in bulk leaves it room. Not for one that is itself served in bulk.
pub fn serving() {
    if super::is_in_bulk() {
        return;
    }
    if !LEFT.load(Ordering::Relaxed) {
        return leave();
    }
    if !SERVED.load(Ordering::Relaxed) {
        SERVED.store(true, Ordering::Relaxed);
    }
}

#[cold]
fn leave() {
    let bulk = BULK.lock();
    if LEFT.load(Ordering::Relaxed) || all_but_one().is_none() {
        return;
    }
    SERVED.store(true, Ordering::Relaxed);
    let watch = std::thread::Builder::new().name("room".to_owned());
    if watch.spawn(until_quiet).is_ok() {
        LEFT.store(true, Ordering::Relaxed);
        confine(&bulk, all_but_one());
    }
}

fn until_quiet() {
    loop {
        let mut bulk = BULK.lock();
        // Nobody wakes it: it waits for the time to pass.
        Condvar::new().wait_for(&mut bulk, QUIET);
        if !SERVED.swap(false, Ordering::Relaxed) {
            LEFT.store(false, Ordering::Relaxed);
            confine(&bulk, all());
            return;
        }
    }
}

/// A thread that works in bulk, until it ends.
pub(super) struct InBulk(libc::pid_t);

impl InBulk {
    /// The calling thread.
    pub(super) fn join() -> Self {
        // SAFETY: the call takes nothing and cannot fail.
        let thread = unsafe { libc::gettid() };
        let mut bulk = BULK.lock();
        bulk.push(thread);
        if LEFT.load(Ordering::Relaxed) {
            confine(&[thread], all_but_one());
        }
        Self(thread)
    }
}

impl Drop for InBulk {
    fn drop(&mut self) {
        BULK.lock().retain(|thread| *thread != self.0);
    }
}

/// Has the calling thread, and those that it starts from now on, leave room for good: for a program beside the
/// house, which does not see what is served.
pub fn leave_room() {
    confine(&[0], all_but_one());
}

fn confine(threads: &[libc::pid_t], to: Option<libc::cpu_set_t>) {
    let Some(to) = to else { return };
    for thread in threads {
        // SAFETY: `to` is a valid set of the size that is said, which the call only reads. A thread that is gone
        // is an error of the call.
        unsafe {
            libc::sched_setaffinity(*thread, size_of::<libc::cpu_set_t>(), &raw const to);
        }
    }
}

/// The processors that the process may use, as its first thread may.
fn all() -> Option<libc::cpu_set_t> {
    // SAFETY: a set of no processors is all zero.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the call takes nothing and cannot fail.
    let process = unsafe { libc::getpid() };
    // SAFETY: `set` is valid, of the size that is said, and exclusively borrowed for the call to fill.
    let asked =
        unsafe { libc::sched_getaffinity(process, size_of::<libc::cpu_set_t>(), &raw mut set) };
    (asked == 0).then_some(set)
}

/// The same but the first; `None` where that would leave none.
fn all_but_one() -> Option<libc::cpu_set_t> {
    let mut set = all()?;
    let last = usize::try_from(libc::CPU_SETSIZE).unwrap_or(0);
    // SAFETY: the number is one that the set has a bit for.
    let is_in = |set: &libc::cpu_set_t, cpu: usize| unsafe { libc::CPU_ISSET(cpu, set) };
    let first = (0..last).find(|cpu| is_in(&set, *cpu))?;
    // SAFETY: as above; `set` is exclusively borrowed.
    unsafe { libc::CPU_CLR(first, &mut set) };
    (0..last).any(|cpu| is_in(&set, cpu)).then_some(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn processors(thread: &str) -> String {
        let status = std::fs::read_to_string(format!("/proc/{thread}/status")).unwrap();
        let line = status
            .lines()
            .find_map(|l| l.strip_prefix("Cpus_allowed_list:"));
        line.unwrap().trim().to_owned()
    }

    #[test]
    fn work_in_bulk_leaves_one_processor_while_requests_are_served() {
        if all_but_one().is_none() {
            return;
        }
        let before = processors("thread-self");
        let work = std::thread::spawn(|| {
            super::super::stand_back();
            // It does not leave room to itself.
            serving();
            let own = processors("thread-self");
            let ask = || std::thread::spawn(serving).join().unwrap();
            ask();
            let served = processors("thread-self");
            while processors("thread-self") != own {
                std::thread::yield_now();
            }
            ask();
            (own, served, processors("thread-self"))
        });
        let (own, served, again) = work.join().unwrap();
        assert_eq!(own, before);
        assert_ne!(served, before);
        assert_eq!(again, served);
        assert_eq!(processors("thread-self"), before);
    }
}
