//! Wrong passwords and codes, counted for a person and an address together.
//!
//! Whoever guesses locks out their own address, for longer each time, and nobody else's: the person
//! themselves signs in as before, and so they do behind the same address in a browser in which they
//! signed in before. Guesses from many addresses slow down further guesses at the same person, by a
//! bounded time each.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use base::{Code, Limits, Micros};
use parking_lot::Mutex;

use super::attempts::{Door, network};
use crate::failure::Failure;

/// Pairs of person and address, and persons, remembered at once.
const REMEMBERED_MAX: usize = 100_000;
/// Seconds of the first wait, and of the longest.
const WAIT_FIRST: i64 = 30;
const WAIT_MAX: i64 = 900;
/// Seconds without a guess after which nothing is remembered.
const FORGOTTEN: i64 = 3_600;
/// Seconds for which it is remembered that somebody signed in from somewhere.
pub(super) const KNOWN_SECONDS: i64 = 30 * 86_400;
/// Guesses at one person before further ones are slowed down, and by how much for each.
const SLOW_AFTER: u64 = 10;
const SLOW_MS: u64 = 50;

type Whom = [u8; 32];

/// Guesses of late.
#[derive(Debug)]
pub(crate) struct Guesses {
    max: u64,
    codes_max: u64,
    delay_ms_max: u64,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    pairs: HashMap<(Door, Whom, Place), Guessed>,
    people: HashMap<(Door, Whom), Guessed>,
    codes: HashMap<(Door, Whom), Guessed>,
    /// When somebody last signed in from somewhere.
    good: HashMap<(Door, Whom, IpAddr), i64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Guessed {
    count: u64,
    last: i64,
}

impl Guessed {
    fn at(self, now: i64) -> u64 {
        if now - self.last < FORGOTTEN {
            self.count
        } else {
            0
        }
    }
}

/// Where somebody signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// A browser in which they signed in before.
    Browser([u8; 16]),
    /// Any other at an address.
    Address(IpAddr),
}

/// One who signs in: at which tenant's door, as whom, from where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guesser {
    pub(super) door: Door,
    pub(super) whom: Whom,
    pub(super) place: Place,
}

impl Guesser {
    fn pair(self) -> (Door, Whom, Place) {
        let place = match self.place {
            Place::Address(address) => Place::Address(network(address)),
            browser @ Place::Browser(_) => browser,
        };
        (self.door, self.whom, place)
    }
}

impl Guesses {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            max: limits.wrong_passwords_max.max(1),
            codes_max: limits.wrong_codes_max.max(1),
            delay_ms_max: limits.sign_in_delay_ms_max,
            known: Mutex::default(),
        }
    }

    /// How long this one is slowed down.
    ///
    /// # Errors
    /// `rate-limited` for an address that has to wait.
    pub(super) fn check(&self, by: Guesser, now: Micros) -> Result<Duration, Failure> {
        let now = now.as_secs();
        let mut known = self.known.lock();
        let known = &mut *known;
        let pair = known.pairs.get(&by.pair());
        if let Some(pair) = pair {
            let over = pair.at(now).saturating_sub(self.max - 1).min(16);
            let wait = match over {
                0 => 0,
                over => (WAIT_FIRST << (over - 1)).min(WAIT_MAX),
            };
            let left = pair.last + wait - now;
            if left > 0 {
                let left = u32::try_from(left).unwrap_or(60);
                return Err(Failure::of(Code::RateLimited).retry_after(left));
            }
        }
        let person = known.people.get(&(by.door, by.whom));
        let before = person.map_or(0, |p| p.at(now)).saturating_sub(SLOW_AFTER);
        // Counted before it is looked at, so that guesses at the same time count each other.
        count(&mut known.pairs, by.pair(), now);
        if matches!(by.place, Place::Browser(_)) {
            return Ok(Duration::ZERO);
        }
        count(&mut known.people, (by.door, by.whom), now);
        Ok(Duration::from_millis(
            (before * SLOW_MS).min(self.delay_ms_max),
        ))
    }

    /// Counts a one-time code that is shown for somebody.
    ///
    /// # Errors
    /// `rate-limited` after too many that were wrong, until there was none for an hour.
    pub(super) fn check_code(&self, of: (Door, Whom), now: Micros) -> Result<(), Failure> {
        let now = now.as_secs();
        let mut known = self.known.lock();
        if let Some(guessed) = known.codes.get(&of)
            && guessed.at(now) >= self.codes_max
        {
            let left = u32::try_from(guessed.last + FORGOTTEN - now).unwrap_or(60);
            return Err(Failure::of(Code::RateLimited).retry_after(left));
        }
        count(&mut known.codes, of, now);
        Ok(())
    }

    /// Forgets wrong codes of somebody who showed a right one.
    pub(super) fn right_code(&self, of: (Door, Whom)) {
        self.known.lock().codes.remove(&of);
    }

    /// Lets somebody try, perhaps a little later.
    ///
    /// # Errors
    /// `rate-limited` for an address that has to wait.
    pub(super) async fn wait(&self, by: Guesser, now: Micros) -> Result<(), Failure> {
        let delay = self.check(by, now)?;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        Ok(())
    }

    /// Whether this one signed in from there of late.
    pub(super) fn knows(&self, by: Guesser, now: Micros) -> bool {
        let Place::Address(from) = by.place else {
            return true;
        };
        let known = self.known.lock();
        let last = known.good.get(&(by.door, by.whom, network(from)));
        last.is_some_and(|last| now.as_secs() - last < KNOWN_SECONDS)
    }

    /// Forgets the guesses from there: it was the person after all.
    pub(super) fn right(&self, by: Guesser, now: Micros) {
        let now = now.as_secs();
        let mut known = self.known.lock();
        known.pairs.remove(&by.pair());
        let Place::Address(from) = by.place else {
            return;
        };
        let pair = (by.door, by.whom, network(from));
        if known.good.len() >= REMEMBERED_MAX && !known.good.contains_key(&pair) {
            // Those who were here the longest ago go.
            let mut times: Vec<i64> = known.good.values().copied().collect();
            let middle = times.len() / 2;
            let (_, middle, _) = times.select_nth_unstable(middle);
            let middle = *middle;
            known.good.retain(|_, last| *last > middle);
        }
        known.good.insert(pair, now);
        if let Some(person) = known.people.get_mut(&(by.door, by.whom)) {
            person.count = person.count.saturating_sub(1);
        }
    }
}

fn count<K: std::hash::Hash + Eq>(all: &mut HashMap<K, Guessed>, key: K, now: i64) {
    if all.len() >= REMEMBERED_MAX && !all.contains_key(&key) {
        all.retain(|_, g| g.at(now) > 0 && now - g.last < WAIT_MAX);
        if all.len() >= REMEMBERED_MAX {
            return;
        }
    }
    let guessed = all.entry(key).or_default();
    *guessed = Guessed {
        count: guessed.at(now) + 1,
        last: now,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_guesses_locks_out_nobody_else() {
        let guesses = Guesses::new(&Limits::default());
        let by = |whom: u8, from: &str| Guesser {
            door: [1; 16],
            whom: [whom; 32],
            place: Place::Address(from.parse().unwrap()),
        };
        let at = |secs| Micros(1_800_000_000_000_000).plus_secs(secs);
        for _ in 0..5 {
            guesses.check(by(1, "10.0.0.1"), at(0)).unwrap();
        }
        let refused = guesses.check(by(1, "10.0.0.1"), at(1)).unwrap_err();
        assert_eq!(refused.code(), Code::RateLimited);
        assert_eq!(refused.retry_seconds(), Some(29));
        for other in [by(1, "10.0.0.2"), by(2, "10.0.0.1")] {
            assert_eq!(guesses.check(other, at(1)).unwrap(), Duration::ZERO);
        }
        let browser = Guesser {
            place: Place::Browser([7; 16]),
            ..by(1, "10.0.0.1")
        };
        assert_eq!(guesses.check(browser, at(1)).unwrap(), Duration::ZERO);
        guesses.check(by(1, "10.0.0.1"), at(30)).unwrap();
        assert!(guesses.check(by(1, "10.0.0.1"), at(89)).is_err(), "longer");
        guesses.check(by(1, "10.0.0.1"), at(90)).unwrap();
        guesses.right(by(1, "10.0.0.1"), at(90));
        assert!(guesses.knows(by(1, "10.0.0.1"), at(91)));
        assert!(!guesses.knows(by(2, "10.0.0.1"), at(91)));
        assert!(!guesses.knows(by(1, "10.0.0.2"), at(91)));
        assert!(!guesses.knows(by(1, "10.0.0.1"), at(90 + KNOWN_SECONDS)));
        guesses.check(by(1, "10.0.0.1"), at(31)).unwrap();
        // Codes: so many for a person, from wherever, and none refused prolongs it.
        for n in 0..30 {
            guesses.check_code(([1; 16], [9; 32]), at(n)).unwrap();
        }
        assert!(guesses.check_code(([1; 16], [9; 32]), at(30)).is_err());
        assert!(guesses.check_code(([1; 16], [9; 32]), at(3_628)).is_err());
        guesses.check_code(([1; 16], [9; 32]), at(3_629)).unwrap();
        guesses.check_code(([2; 16], [9; 32]), at(0)).unwrap();
        // From many addresses: slower, for everyone, and never shut.
        for n in 0..100 {
            guesses.check(by(3, &format!("10.1.0.{n}")), at(0)).unwrap();
        }
        let slow = guesses.check(by(3, "10.0.0.9"), at(0)).unwrap();
        assert_eq!(slow, Duration::from_millis(2_000));
    }
}
