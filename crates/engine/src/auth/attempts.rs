//! Failed sign-ins, counted per address, tenant and minute: what goes wrong at one tenant's door
//! shuts no other's. Addresses of IPv6 count by their /64.

use std::collections::HashMap;
use std::net::IpAddr;

use base::{Code, Micros};
use parking_lot::Mutex;

use crate::failure::Failure;

/// Pairs of door and address remembered at once.
const PAIRS_MAX: usize = 100_000;

/// Where someone tries to sign in: a tenant's id, or all zeros for the house.
pub(crate) type Door = [u8; 16];

/// The door of the operator.
pub(crate) const HOUSE: Door = [0; 16];

/// Failed sign-ins of the running minute.
#[derive(Debug)]
pub(crate) struct Attempts {
    max: u64,
    minute: Mutex<Minute>,
}

#[derive(Debug, Default)]
struct Minute {
    number: i64,
    failed: HashMap<(Door, IpAddr), u64>,
}

impl Attempts {
    /// Allows this many failures a minute from one address.
    pub(crate) fn new(max: u64) -> Self {
        Self {
            max,
            minute: Mutex::default(),
        }
    }

    /// Refuses an address that failed too often.
    pub(crate) fn check(&self, door: &Door, from: IpAddr, now: Micros) -> Result<(), Failure> {
        let mut minute = self.minute.lock();
        minute.turn(now);
        if minute
            .failed
            .get(&(*door, network(from)))
            .copied()
            .unwrap_or(0)
            < self.max
        {
            return Ok(());
        }
        let left = 60 - now.as_secs().rem_euclid(60);
        Err(Failure::of(Code::RateLimited).retry_after(u32::try_from(left).unwrap_or(60)))
    }

    /// Counts a failure.
    pub(crate) fn failed(&self, door: &Door, from: IpAddr, now: Micros) {
        let mut minute = self.minute.lock();
        minute.turn(now);
        let pair = (*door, network(from));
        if minute.failed.len() < PAIRS_MAX || minute.failed.contains_key(&pair) {
            *minute.failed.entry(pair).or_default() += 1;
        }
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

pub(crate) fn network(address: IpAddr) -> IpAddr {
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
            attempts.check(&HOUSE, a, now).unwrap();
            attempts.failed(&HOUSE, a, now);
            attempts.failed(&HOUSE, b, now);
        }
        assert_eq!(
            attempts.check(&HOUSE, a, now).unwrap_err().code(),
            Code::RateLimited
        );
        assert!(attempts.check(&HOUSE, c, now).is_err(), "the same /64");
        assert!(
            attempts
                .check(&HOUSE, "10.0.0.2".parse().unwrap(), now)
                .is_ok()
        );
        assert!(attempts.check(&[1; 16], a, now).is_ok(), "another door");
        assert!(attempts.check(&HOUSE, a, later).is_ok());
    }
}
