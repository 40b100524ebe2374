//! What is usual for somebody: how many patients in a day, at which hours, from which networks.
//!
//! Knows numbers only: patients are counted by digests.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use base::Micros;
use serde::{Deserialize, Serialize};

/// Days that are remembered.
const DAYS: i64 = 28;
/// Patients of a day that are told apart.
const PATIENTS_MAX: usize = 5_000;
/// Networks that are remembered of somebody.
const NETWORKS_MAX: usize = 200;
/// Days for which a network is remembered.
const NETWORK_DAYS: i64 = 90;
/// Failed sign-ins that are remembered.
const FAILURES_MAX: usize = 200;
/// Accesses after which the hours of earlier ones count half.
const HOURS_MAX: u32 = 10_000;

/// What is usual for somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Profile {
    /// Patients without explanation by day, of days that are over.
    days: BTreeMap<i64, u32>,
    /// The day that is counted, and who was looked at in it.
    today: i64,
    patients: BTreeSet<u64>,
    /// Days on which there was any access.
    active: BTreeSet<i64>,
    /// Accesses by hour of the day.
    hours: Vec<u32>,
    /// When somebody last came from a network, in days.
    networks: BTreeMap<String, i64>,
    /// When sign-ins failed.
    failures: Vec<i64>,
}

/// A time as it is where the tenant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Local {
    /// Days since 1970.
    pub(crate) day: i64,
    /// Minutes of the day.
    pub(crate) minute: u16,
}

impl Local {
    pub(crate) fn of(at: Micros, offset_minutes: i64) -> Self {
        const MINUTE_US: i64 = 60_000_000;
        let minutes = at.0.div_euclid(MINUTE_US) + offset_minutes;
        Self {
            day: minutes.div_euclid(1_440),
            minute: u16::try_from(minutes.rem_euclid(1_440)).unwrap_or(0),
        }
    }

    /// Whether it is a Saturday or a Sunday.
    pub(crate) const fn is_weekend(self) -> bool {
        // 1 January 1970 was a Thursday.
        matches!((self.day + 3).rem_euclid(7), 5 | 6)
    }

    pub(crate) const fn hour(self) -> usize {
        (self.minute / 60) as usize
    }
}

impl Profile {
    /// The day that is counted is this one from now on.
    fn turn(&mut self, day: i64) {
        if day <= self.today {
            return;
        }
        if !self.patients.is_empty() {
            let count = u32::try_from(self.patients.len()).unwrap_or(u32::MAX);
            self.days.insert(self.today, count);
        }
        self.patients.clear();
        self.today = day;
        self.days.retain(|d, _| *d >= day - DAYS);
        self.active.retain(|d| *d >= day - DAYS);
        self.networks.retain(|_, last| *last >= day - NETWORK_DAYS);
    }

    /// Counts a patient of a day; how many there were of it then.
    pub(crate) fn patient(&mut self, at: Local, digest: u64) -> u64 {
        self.turn(at.day);
        if self.patients.len() < PATIENTS_MAX {
            self.patients.insert(digest);
        }
        self.patients.len() as u64
    }

    /// How many patients are counted of the day.
    pub(crate) fn patients_today(&self) -> u64 {
        self.patients.len() as u64
    }

    /// Patients a day, on days of which any are known, and how many such days there are.
    pub(crate) fn usual_patients(&self) -> (f64, u64) {
        let days = self.days.len() as u64;
        let sum: f64 = self.days.values().map(|n| f64::from(*n)).sum();
        (if days == 0 { 0.0 } else { sum / days as f64 }, days)
    }

    /// Days before this one on which there was any access.
    pub(crate) fn known_days(&self, at: Local) -> u64 {
        self.active.iter().filter(|d| **d < at.day).count() as u64
    }

    /// Percent of accesses that fell into this hour so far.
    pub(crate) fn share(&self, at: Local) -> u64 {
        let all: u64 = self.hours.iter().map(|n| u64::from(*n)).sum();
        let here = u64::from(self.hours.get(at.hour()).copied().unwrap_or(0));
        (here * 100).checked_div(all).unwrap_or(0)
    }

    /// Counts an access.
    pub(crate) fn access(&mut self, at: Local) {
        self.turn(at.day);
        self.active.insert(at.day);
        self.hours.resize(24, 0);
        if let Some(hour) = self.hours.get_mut(at.hour()) {
            *hour += 1;
            if *hour > HOURS_MAX {
                self.hours.iter_mut().for_each(|n| *n /= 2);
            }
        }
    }

    /// Notes from where somebody came; whether they never had, and had come from somewhere.
    pub(crate) fn network(&mut self, at: Local, network: &str) -> bool {
        let fresh = !self.networks.contains_key(network);
        let any = !self.networks.is_empty();
        if fresh && self.networks.len() >= NETWORKS_MAX {
            let oldest = self.networks.iter().min_by_key(|(_, last)| **last);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                self.networks.remove(&oldest);
            }
        }
        self.networks.insert(network.to_owned(), at.day);
        fresh && any
    }

    /// Counts a sign-in that failed so many times; how many there were in these minutes.
    pub(crate) fn failures(&mut self, at: Micros, times: u64, minutes: u64) -> u64 {
        let minutes = i64::try_from(minutes).unwrap_or(1_440);
        let since = at.0 - minutes * 60_000_000;
        self.failures.retain(|t| *t > since);
        let times = usize::try_from(times).unwrap_or(FAILURES_MAX);
        let room = FAILURES_MAX.saturating_sub(self.failures.len());
        let more = std::iter::repeat_n(at.0, times.min(room));
        self.failures.extend(more);
        self.failures.len() as u64
    }
}

/// The network of an address: its first 24 bits, or 48 of those of IPv6.
pub(crate) fn network_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(a) => {
            let [a, b, c, _] = a.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(a) => {
            let [a, b, c, ..] = a.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: i64) -> Local {
        Local { day, minute: 600 }
    }

    #[test]
    fn days_that_are_over_are_what_is_usual() {
        let mut profile = Profile::default();
        for d in 1..=4 {
            for patient in 0..10 {
                profile.patient(day(d), patient);
                profile.patient(day(d), patient);
            }
        }
        assert_eq!(profile.patient(day(5), 1), 1);
        assert_eq!(profile.usual_patients(), (10.0, 4));
        // What is long ago is not usual any more.
        profile.patient(day(40), 1);
        assert_eq!(profile.usual_patients(), (0.0, 0));
        let text = serde_json::to_string(&profile).unwrap();
        assert_eq!(serde_json::from_str::<Profile>(&text).unwrap(), profile);
    }

    #[test]
    fn hours_networks_and_failures() {
        let mut profile = Profile::default();
        (1..=19).for_each(|d| profile.access(day(d)));
        let night = Local {
            day: 20,
            minute: 180,
        };
        assert_eq!((profile.share(night), profile.share(day(20))), (0, 100));
        assert_eq!(profile.known_days(night), 19);
        profile.access(night);
        assert_eq!(profile.share(night), 5);
        assert!(!profile.network(day(1), "10.0.0.0/24"));
        assert!(!profile.network(day(2), "10.0.0.0/24"));
        assert!(profile.network(day(2), "10.0.1.0/24"));
        let minute = |n: i64| Micros(n * 60_000_000);
        assert_eq!(profile.failures(minute(1), 1, 15), 1);
        assert_eq!(profile.failures(minute(10), 1, 15), 2);
        assert_eq!(profile.failures(minute(17), 1, 15), 2);
        assert_eq!(
            network_of("::ffff:10.1.2.3".parse().unwrap()),
            "10.1.2.0/24"
        );
        assert_eq!(
            network_of("2001:db8:7:8::1".parse().unwrap()),
            "2001:db8:7::/48"
        );
    }

    #[test]
    fn local_time() {
        // Saturday, 21 November 2026, 23:30 UTC.
        let at = Micros(1_795_303_800_000_000);
        assert!(Local::of(at, 0).is_weekend());
        assert_eq!(Local::of(at, 0).minute, 23 * 60 + 30);
        assert_eq!(Local::of(at, 60).minute, 30);
        assert_eq!(Local::of(at, 60).day, Local::of(at, 0).day + 1);
        assert!(!Local::of(at, 26 * 60).is_weekend());
    }
}
