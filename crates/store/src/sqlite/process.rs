//! What the process as a whole is asked of the operating system: as many open files as it may have,
//! because every open tenant holds a few, memory given back when many tenants were closed, and the
//! processor for those first who serve requests.
#![expect(
    unsafe_code,
    reason = "these calls have no safe interface in the standard library"
)]

#[cfg(target_os = "linux")]
mod room;

#[cfg(target_os = "linux")]
pub use room::{leave_room, serving};

/// Says that a request is served; nothing hangs on it here.
#[cfg(not(target_os = "linux"))]
pub const fn serving() {}

/// Nothing can be left to others here.
#[cfg(not(target_os = "linux"))]
pub const fn leave_room() {}

/// Raises the soft limit of open files to the hard one. Returns the limit that holds then.
pub(crate) fn raise_open_files() -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a valid, exclusively borrowed rlimit for the call to fill.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return 1024;
    }
    let before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is a valid rlimit that the call only reads.
    let raised = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } == 0;
    if raised { limit.rlim_max } else { before }
}

/// Bytes of database pages that are kept where the configuration leaves it open: an eighth of the
/// memory that the process may have, and never less than this.
const PAGES_BYTES_MIN: u64 = 256 << 20;

/// How many bytes of database pages are kept in memory.
pub(crate) fn page_cache_bytes(configured: u64) -> u64 {
    if configured > 0 {
        return configured;
    }
    (memory().unwrap_or(0) / 8).max(PAGES_BYTES_MIN)
}

/// The memory of the machine, or what the process's group may have of it.
fn memory() -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let of_machine = read("/proc/meminfo").and_then(|text| total_of(&text));
    let group = [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ];
    let of_group = group
        .iter()
        .filter_map(|path| read(path)?.trim().parse::<u64>().ok());
    of_machine.into_iter().chain(of_group).min()
}

/// `MemTotal` of `/proc/meminfo`, in bytes.
fn total_of(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1_024)
}

/// Gives memory that the engine freed back to the operating system. The C library keeps it
/// otherwise.
pub(crate) fn trim_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `malloc_trim` may be called at any time from any thread; it touches free memory only.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// How far the one thread that writes in bulk for a tenant stands back: it gets about a tenth of a processor
/// that others want whole.
#[cfg(target_os = "linux")]
const WRITING_NICE: libc::c_int = 10;

/// How far other work in bulk stands back. Whatever feeds the writer is not to take its turns from it.
#[cfg(target_os = "linux")]
const BULK_NICE: libc::c_int = 15;

/// How much of a processor a thread that serves asks for at once: the least that Linux grants. Who asks for
/// little is let in the sooner when it wakes.
#[cfg(target_os = "linux")]
const SERVING_NS: u64 = 100_000;

/// Lets the calling thread, and those that it starts from now on, stand back behind threads that
/// serve requests whenever there are not processors enough for both. For good: a thread cannot come
/// forward again. Nothing happens where the operating system has no such order of threads.
pub fn stand_back() {
    #[cfg(target_os = "linux")]
    stand_back_by(BULK_NICE);
}

/// The same for a thread that writes in bulk, which all other work in bulk waits for.
pub(crate) fn stand_back_to_write() {
    #[cfg(target_os = "linux")]
    stand_back_by(WRITING_NICE);
}

#[cfg(target_os = "linux")]
thread_local! {
    static IN_BULK: std::cell::OnceCell<room::InBulk> = const { std::cell::OnceCell::new() };
}

/// Whether the calling thread stands back.
#[cfg(target_os = "linux")]
fn is_in_bulk() -> bool {
    IN_BULK.with(|in_bulk| in_bulk.get().is_some())
}

#[cfg(target_os = "linux")]
fn stand_back_by(nice: libc::c_int) {
    if is_in_bulk() {
        return;
    }
    IN_BULK.with(|in_bulk| drop(in_bulk.set(room::InBulk::join())));
    // SAFETY: the call takes plain numbers only. On Linux it is about the calling thread alone.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, nice);
    }
    // Nor does it take a processor from one that serves when it wakes.
    set_turns(libc::SCHED_BATCH, nice, 0);
}

/// Lets the calling thread, and those that it starts from now on, be let in soon when it wakes, for short
/// turns: it serves. Nothing happens where the operating system knows no such wish (Linux before 6.12).
pub fn answer_soon() {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: the call takes plain numbers only.
        let nice = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
        set_turns(libc::SCHED_OTHER, nice, SERVING_NS);
    }
}

/// How the calling thread takes turns with others. Where that cannot be had, nothing changes.
#[cfg(target_os = "linux")]
fn set_turns(policy: libc::c_int, nice: libc::c_int, turn_ns: u64) {
    let wish = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: policy.unsigned_abs(),
        sched_flags: 0,
        sched_nice: nice,
        sched_priority: 0,
        sched_runtime: turn_ns,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: `wish` is a valid sched_attr of the size it says, read by the call and not kept; 0 is the
    // calling thread.
    unsafe {
        libc::syscall(libc::SYS_sched_setattr, 0, &raw const wish, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_and_bounded() {
        let text = "MemTotal:       24684268 kB\nMemFree: 1 kB\n";
        assert_eq!(total_of(text), Some(24_684_268 * 1_024));
        assert_eq!(total_of("MemFree: 1 kB"), None);
        assert_eq!(page_cache_bytes(77), 77);
        assert!(page_cache_bytes(0) >= PAGES_BYTES_MIN);
    }
}
