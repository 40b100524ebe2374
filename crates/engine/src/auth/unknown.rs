//! Credentials that are good for nobody, as a tenant's trail tells of them: the first few of an address
//! one by one, further ones as numbers that double, so that whoever sends very many fills no disk.

use std::collections::HashMap;
use std::net::IpAddr;

use base::Micros;
use base::limits::fixed::{UNKNOWN_ADDRESSES_HOUSE_MAX, UNKNOWN_ADDRESSES_MAX};
use parking_lot::Mutex;

use super::attempts::{Door, network};

/// Seconds of one window.
const WINDOW: i64 = 900;
/// Those of one address in a window that are told of one by one.
const ONE_BY_ONE: u64 = 5;

/// Credentials that were good for nobody, in the running window.
#[derive(Debug, Default)]
pub(crate) struct Unknown(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    number: i64,
    /// How many of an address at a door there were; of all that are too many to tell apart, without one.
    met: HashMap<(Door, Option<IpAddr>), Met>,
    /// Addresses of a door that are told apart, and of all doors.
    addresses: HashMap<Door, usize>,
    told_apart: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Met {
    count: u64,
    told: u64,
}

/// A record that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// For how many it stands.
    pub(crate) times: u64,
    /// Whether they are all of one address.
    pub(crate) of_one: bool,
}

impl Unknown {
    /// Counts one; the record that is due, if one is.
    pub(crate) fn met(&self, door: &Door, from: IpAddr, now: Micros) -> Option<Due> {
        let mut window = self.0.lock();
        let number = now.as_secs().div_euclid(WINDOW);
        if number != window.number {
            *window = Window {
                number,
                ..Window::default()
            };
        }
        let own = (*door, Some(network(from)));
        let mut key = own;
        if !window.met.contains_key(&own) {
            let of_door = window.addresses.get(door).copied().unwrap_or_default();
            let of_house = window.told_apart;
            if of_door < UNKNOWN_ADDRESSES_MAX && of_house < UNKNOWN_ADDRESSES_HOUSE_MAX {
                window.addresses.insert(*door, of_door + 1);
                window.told_apart += 1;
            } else {
                key.1 = None;
            }
        }
        let met = window.met.entry(key).or_default();
        met.count += 1;
        let parts = met.count / ONE_BY_ONE;
        let doubled = met.count.is_multiple_of(ONE_BY_ONE) && parts.is_power_of_two();
        if met.count > ONE_BY_ONE && !doubled {
            return None;
        }
        let times = met.count - std::mem::replace(&mut met.told, met.count);
        Some(Due {
            times,
            of_one: key.1.is_some(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_records_stand_for_many() {
        let unknown = Unknown::default();
        let from: IpAddr = "192.0.2.7".parse().unwrap();
        let many = |at: i64| -> Vec<u64> {
            let met = (0..100_000).filter_map(|_| unknown.met(&[1; 16], from, Micros(at)));
            met.map(|due| due.times).collect()
        };
        let told = many(0);
        assert_eq!(told[..8], [1, 1, 1, 1, 1, 5, 10, 20]);
        assert!(told.len() < 25, "{told:?}");
        assert!(told.iter().sum::<u64>() > 50_000);
        // Another window, another door: from the beginning.
        assert_eq!(many(WINDOW * 1_000_000)[..6], told[..6]);
        let due = unknown.met(&[2; 16], from, Micros(WINDOW * 1_000_000));
        assert_eq!(
            due,
            Some(Due {
                times: 1,
                of_one: true
            })
        );
    }

    #[test]
    fn a_house_remembers_so_many_addresses_however_many_doors_it_has() {
        let unknown = Unknown::default();
        let doors = u32::try_from(2 * UNKNOWN_ADDRESSES_HOUSE_MAX / UNKNOWN_ADDRESSES_MAX).unwrap();
        let of_one = u32::try_from(UNKNOWN_ADDRESSES_MAX).unwrap();
        let met = |door: u32, n: u32| {
            let mut id = [0; 16];
            id[..4].copy_from_slice(&door.to_be_bytes());
            let from = IpAddr::from((0x0a00_0000 + n).to_be_bytes());
            unknown.met(&id, from, Micros(0))
        };
        for n in 0..of_one {
            for door in 0..doors {
                met(door, n);
            }
        }
        let kept = unknown.0.lock().met.len();
        let most = UNKNOWN_ADDRESSES_HOUSE_MAX + doors as usize;
        assert!(kept <= most, "{kept}");
        // Whoever comes then is counted with others of the same tenant, and told of as often.
        let mut told = (0..10_000).filter_map(|n| met(doors + 1, n));
        assert!(
            told.by_ref()
                .take(5)
                .all(|due| !due.of_one && due.times == 1)
        );
        assert!(told.count() < 20);
        // Who was met before is told apart still.
        assert!((0..3).filter_map(|_| met(0, 0)).all(|due| due.of_one));
    }

    #[test]
    fn addresses_without_end_are_counted_together() {
        let unknown = Unknown::default();
        let mut told = 0;
        let many = u32::try_from(UNKNOWN_ADDRESSES_MAX).unwrap();
        for n in 0..3 * many {
            let from = IpAddr::from((0x0a00_0000 + n).to_be_bytes());
            let due = unknown.met(&[1; 16], from, Micros(0));
            assert!(n >= many || due.is_some_and(|due| due.of_one));
            assert!(n < many || due.is_none_or(|due| !due.of_one));
            told += usize::from(due.is_some());
        }
        assert!(told < UNKNOWN_ADDRESSES_MAX + 20, "{told}");
        // Who was met before is still told apart.
        let due = unknown.met(&[1; 16], "10.0.0.0".parse().unwrap(), Micros(0));
        assert!(due.is_some_and(|due| due.of_one));
    }
}
