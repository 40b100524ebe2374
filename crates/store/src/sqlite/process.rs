//! What the process as a whole is asked of the operating system: as many open files as it may have,
//! because every open tenant holds a few, and memory given back when many tenants were closed.
#![expect(
    unsafe_code,
    reason = "these calls have no safe interface in the standard library"
)]

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

/// Gives memory that the engine freed back to the operating system. The C library keeps it
/// otherwise.
pub(crate) fn trim_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `malloc_trim` may be called at any time from any thread; it touches free memory only.
    unsafe {
        libc::malloc_trim(0);
    }
}
