//! Failed sign-ins, counted per address and minute. Addresses of IPv6 count by their /64.

use std::collections::HashMap;
use std::net::IpAddr;

use base::{Code, Micros};
use parking_lot::Mutex;

use crate::failure::Failure;

/// Addresses remembered at once.
const ADDRESSES_MAX: usize = 100_000;

/// Failed sign-ins of the running minute.
#[derive(Debug)]
pub(crate) struct Attempts {
    max: u64,
    minute: Mutex<Minute>,
}

#[derive(Debug, Default)]
struct Minute {
    number: i64,
    failed: HashMap<IpAddr, u64>,
}

impl Attempts {
    /// Allows this many failures a minute from one address.
    pub(crate) fn new(max: u64) -> Self {
        Self {
            max,
            minute: Mutex::default(),
        }
    }

    /// Counts a failure. An address that failed too often learns no more than that.
    ///
    /// Only failures are counted and only they are refused: good credentials are good from
    /// everywhere, or one client behind a shared address could shut its neighbours out. Secrets
    /// are 256 random bits, so a guess costs the guesser an answer and brings nothing.
    ///
    /// # Errors
    /// `rate-limited`
    pub(crate) fn failed(&self, from: IpAddr, now: Micros) -> Result<(), Failure> {
        let mut minute = self.minute.lock();
        minute.turn(now);
        let from = network(from);
        if minute.failed.len() >= ADDRESSES_MAX && !minute.failed.contains_key(&from) {
            return Ok(());
        }
        let failed = minute.failed.entry(from).or_default();
        if *failed < self.max {
            *failed += 1;
            return Ok(());
        }
        let left = 60 - now.as_secs().rem_euclid(60);
        Err(Failure::of(Code::RateLimited).retry_after(u32::try_from(left).unwrap_or(60)))
    }
}

impl Minute {
    fn turn(&mut self, now: Micros) {
        let number = now.as_secs().div_euclid(60);
        if number != self.number {
            self.number = number;
            self.failed.clear();
        }
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => v4.into(),
            None => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_fails_too_often_waits_for_the_next_minute() {
        let attempts = Attempts::new(2);
        let (now, later) = (Micros(60_000_000), Micros(120_000_000));
        let [a, b, c]: [IpAddr; 3] =
            ["10.0.0.1", "2001:db8::1", "2001:db8::2"].map(|t| t.parse().unwrap());
        for _ in 0..2 {
            attempts.failed(a, now).unwrap();
            attempts.failed(b, now).unwrap();
        }
        let refused = attempts.failed(a, now).unwrap_err();
        assert_eq!(refused.code(), Code::RateLimited);
        assert!(attempts.failed(c, now).is_err(), "the same /64");
        assert!(attempts.failed("10.0.0.2".parse().unwrap(), now).is_ok());
        assert!(attempts.failed(a, later).is_ok());
    }
}
