//! How many connections there are, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use base::Network;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places for connections.
#[derive(Debug)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    all_max: u32,
    /// And whose connections are not counted: proxies alone can tell callers apart. None: all come
    /// from one.
    each: Option<(u64, Vec<Network>)>,
    by: Mutex<HashMap<IpAddr, u64>>,
}

/// A limit that a connection met.
pub(super) type Met = &'static str;

/// A connection's place; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    of: Option<IpAddr>,
    _one: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(all_max: u32, each: Option<(u64, Vec<Network>)>) -> Arc<Self> {
        Arc::new(Self {
            all: Arc::new(Semaphore::new(
                usize::try_from(all_max).unwrap_or(usize::MAX),
            )),
            all_max,
            each,
            by: Mutex::default(),
        })
    }

    /// A place for a connection from this address, or the limit that it met.
    pub(super) fn take(self: &Arc<Self>, from: IpAddr) -> Result<Place, Met> {
        let one = self.all.clone().try_acquire_owned();
        let one = one.map_err(|_| "connections_max")?;
        let counted = |(max, proxies): &(u64, Vec<Network>)| {
            let is_proxy = proxies.iter().any(|p| p.contains(from));
            (!is_proxy).then(|| (network(from), *max))
        };
        let of = self.each.as_ref().and_then(counted);
        if let Some((network, max)) = of {
            let mut by = self.by.lock();
            let count = by.entry(network).or_default();
            if *count >= max {
                if *count == 0 {
                    by.remove(&network);
                }
                return Err("connections_per_address_max");
            }
            *count += 1;
        }
        Ok(Place {
            places: self.clone(),
            of: of.map(|(network, _)| network),
            _one: one,
        })
    }

    /// Waits until all places are free.
    pub(super) async fn empty(&self) {
        let _ = self.all.acquire_many(self.all_max).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(network) = self.of else { return };
        let mut by = self.places.by.lock();
        if let Some(count) = by.get_mut(&network) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                by.remove(&network);
            }
        }
    }
}

/// What counts as one address: of IPv6 the network of 64 bits, which one caller has as a rule.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_own_number_and_all_have_theirs() {
        let places = Places::new(3, Some((2, vec!["10.1.0.0/16".parse().unwrap()])));
        let of = |text: &str| text.parse::<IpAddr>().unwrap();
        let first = places.take(of("10.0.0.1")).unwrap();
        let second = places.take(of("::ffff:10.0.0.1")).unwrap();
        let met = places.take(of("10.0.0.1")).unwrap_err();
        assert_eq!(met, "connections_per_address_max");
        for _ in 0..3 {
            places.take(of("10.1.2.3")).unwrap();
        }
        let third = places.take(of("2001:db8::1")).unwrap();
        assert_eq!(places.take(of("10.0.0.2")).unwrap_err(), "connections_max");
        drop(first);
        places.take(of("10.0.0.1")).unwrap();
        drop((second, third));
        assert!(places.by.lock().is_empty());
        let proxied = Places::new(3, None);
        let all: Vec<_> = (0..3).map(|_| proxied.take(of("10.0.0.1"))).collect();
        assert!(all.iter().all(Result::is_ok));
    }
}
