//! The world outside as parameters: the system's clock and its randomness. Everything below gets
//! them from here.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use base::{Clock, Micros, Rng};
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
#[derive(Debug)]
pub struct SystemRng(SystemRandom);

impl SystemRng {
    /// The source.
    pub fn system() -> Self {
        Self(SystemRandom::new())
    }
}

impl Rng for SystemRng {
    fn fill(&self, buffer: &mut [u8]) {
        // Without randomness there are no keys and no ids: going on would be worse than ending.
        if self.0.fill(buffer).is_err() {
            std::process::abort();
        }
    }
}
