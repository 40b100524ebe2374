//! The world outside as parameters: the system's clock and its randomness. Everything below gets
//! them from here.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use base::{Clock, Micros, Rng};
use parking_lot::Mutex;
use ring::rand::{SecureRandom, SystemRandom};

/// The system's clock.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Micros {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Micros {
        Micros(i64::try_from(self.start.elapsed().as_micros()).unwrap_or(i64::MAX))
    }
}

/// The operating system's randomness.
pub struct SystemRng {
    system: SystemRandom,
    /// Bytes that were fetched and not given yet, in the first so many places.
    ahead: Mutex<(usize, [u8; AHEAD_BYTES])>,
}

/// Small things (ids, nonces) are taken from this many bytes that are fetched at once: asking the
/// system for each would cost a call for each.
const AHEAD_BYTES: usize = 2_048;
/// What is longer than this, and so every key, is asked of the system by itself.
const SMALL_BYTES: usize = 16;

impl std::fmt::Debug for SystemRng {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SystemRng")
    }
}

impl SystemRng {
    /// The source.
    pub fn system() -> Self {
        Self {
            system: SystemRandom::new(),
            ahead: Mutex::new((0, [0; AHEAD_BYTES])),
        }
    }

    fn ask(&self, buffer: &mut [u8]) {
        // Without randomness there are no keys and no ids: going on would be worse than ending.
        if self.system.fill(buffer).is_err() {
            std::process::abort();
        }
    }
}

impl Rng for SystemRng {
    fn fill(&self, buffer: &mut [u8]) {
        if buffer.len() > SMALL_BYTES {
            return self.ask(buffer);
        }
        let mut ahead = self.ahead.lock();
        let (left, bytes) = &mut *ahead;
        if *left < buffer.len() {
            self.ask(bytes);
            *left = AHEAD_BYTES;
        }
        let from = *left - buffer.len();
        if let Some(given) = bytes.get_mut(from..*left) {
            buffer.copy_from_slice(given);
            given.fill(0);
        }
        *left = from;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn nothing_random_is_given_twice() {
        let rng = SystemRng::system();
        let mut seen = HashSet::new();
        for round in 0..2_000 {
            let mut bytes = vec![0; 8 + round % 40];
            rng.fill(&mut bytes);
            bytes.truncate(8);
            assert!(seen.insert(bytes), "{round}");
        }
        assert_eq!(format!("{rng:?}"), "SystemRng");
        let mut none = [];
        rng.fill(&mut none);
    }
}
