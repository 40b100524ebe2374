//! Waiting for a condition, never for a time.

use std::thread;
use std::time::{Duration, Instant};

/// Asks until there is an answer, for at most `seconds`; then the test has failed.
#[track_caller]
pub fn until<T>(what: &str, seconds: u64, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "{what}: not within {seconds} s");
        thread::park_timeout(Duration::from_millis(2));
    }
}
