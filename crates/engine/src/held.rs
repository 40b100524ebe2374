//! How many bytes of requests and answers are held in memory at once, over the house and for each
//! of those who ask. Whoever wants to keep bytes takes a [`Hold`] first, lets it grow with them,
//! and gives it back by dropping it. Knows nothing of what the bytes are.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use access::TenantId;
use base::Code;
use bytes::Bytes;
use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;

use crate::failure::Failure;

/// Who holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// A recognised caller of this tenant, or an answer to one.
    Tenant([u8; 16]),
    /// Somebody who was not recognised yet, by address; of IPv6 the network of 64 bits.
    Address([u8; 16]),
    /// The operator.
    Operator,
}

impl Holder {
    pub(crate) fn tenant(tenant: &TenantId) -> Self {
        Self::Tenant(*tenant.bytes())
    }

    /// Somebody at this address.
    pub fn address(address: IpAddr) -> Self {
        Self::Address(match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => (u128::from(v6) >> 64 << 64).to_be_bytes(),
        })
    }
}

/// A limit of the house and the share of one holder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) house: (&'static str, u64),
    pub(crate) share: (&'static str, u64),
}

#[derive(Debug, Default)]
struct Held {
    total: u64,
    by: HashMap<Holder, u64>,
}

/// Bytes of one sort that are held.
#[derive(Debug)]
pub(crate) struct Room {
    bounds: Bounds,
    held: Mutex<Held>,
    /// Bytes held by all, for the metrics.
    gauge: Gauge,
}

impl Room {
    pub(crate) fn new(bounds: Bounds, gauge: Gauge) -> Arc<Self> {
        Arc::new(Self {
            bounds,
            held: Mutex::default(),
            gauge,
        })
    }

    /// A hold on nothing yet.
    pub(crate) fn hold(self: &Arc<Self>, holder: Holder) -> Hold {
        Hold {
            room: self.clone(),
            holder,
            bytes: 0,
        }
    }

    fn take(&self, holder: Holder, bytes: u64) -> Result<(), Failure> {
        let Bounds { house, share } = self.bounds;
        let mut held = self.held.lock();
        let own = held.by.get(&holder).copied().unwrap_or(0) + bytes;
        if own > share.1 {
            return Err(Failure::limit(Code::LimitShare, share.0, share.1));
        }
        let total = held.total + bytes;
        // Nobody gets more than is left for the others, so that there is always something left.
        if total > house.1 || own > house.1 - total {
            return Err(Failure::limit(Code::LimitBusy, house.0, house.1));
        }
        held.total = total;
        held.by.insert(holder, own);
        self.gauge.set(i64::try_from(total).unwrap_or(i64::MAX));
        Ok(())
    }

    fn give_back(&self, holder: Holder, bytes: u64) {
        let mut held = self.held.lock();
        held.total = held.total.saturating_sub(bytes);
        self.gauge
            .set(i64::try_from(held.total).unwrap_or(i64::MAX));
        if let Some(own) = held.by.get_mut(&holder) {
            *own = own.saturating_sub(bytes);
            if *own == 0 {
                held.by.remove(&holder);
            }
        }
    }
}

/// The right to keep so many bytes in memory; given back when it is dropped.
#[derive(Debug)]
pub struct Hold {
    room: Arc<Room>,
    holder: Holder,
    bytes: u64,
}

impl Hold {
    /// Makes it good for so many bytes in all; never makes it smaller.
    ///
    /// # Errors
    /// `limit-share` if the holder has too much already, `limit-busy` if all together have.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Failure> {
        let more = (bytes as u64).saturating_sub(self.bytes);
        if more > 0 {
            self.room.take(self.holder, more)?;
            self.bytes += more;
        }
        Ok(())
    }

    /// The bytes, which keep the hold for as long as any part of them is referred to.
    pub fn over(self, bytes: Vec<u8>) -> Bytes {
        struct Kept(Vec<u8>, Hold);
        impl AsRef<[u8]> for Kept {
            fn as_ref(&self) -> &[u8] {
                debug_assert!(self.1.bytes >= self.0.len() as u64);
                &self.0
            }
        }
        if bytes.is_empty() {
            return Bytes::new();
        }
        Bytes::from_owner(Kept(bytes, self))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.room.give_back(self.holder, self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const A: Holder = Holder::Tenant([1; 16]);
    const B: Holder = Holder::Tenant([2; 16]);

    fn room(house: u64, share: u64) -> Arc<Room> {
        let bounds = Bounds {
            house: ("house", house),
            share: ("share", share),
        };
        Room::new(bounds, Gauge::default())
    }

    #[test]
    fn a_holder_meets_its_share_and_others_go_on() {
        let room = room(1_000, 300);
        let mut first = room.hold(A);
        first.grow(200).unwrap();
        first.grow(100).unwrap();
        let mut second = room.hold(A);
        let refused = second.grow(101).unwrap_err();
        assert_eq!(refused.code(), Code::LimitShare);
        assert_eq!(refused.limit_name(), Some("share"));
        second.grow(100).unwrap();
        room.hold(B).grow(300).unwrap();
        drop((first, second));
        assert_eq!(room.gauge.get(), 0);
        assert!(room.held.lock().by.is_empty());
    }

    #[test]
    fn however_many_take_something_is_left_for_the_next() {
        let room = room(1_000, 10_000);
        let mut holds = Vec::new();
        for i in 0..20 {
            let mut hold = room.hold(Holder::Tenant([i; 16]));
            let mut took = 0;
            while hold.grow(took + 1).is_ok() {
                took += 1;
            }
            assert!(took > 0 || i > 8, "holder {i} gets nothing");
            holds.push(hold);
        }
        let mut more = room.hold(A);
        assert_eq!(more.grow(900).unwrap_err().code(), Code::LimitBusy);
        holds.clear();
        assert_eq!(room.gauge.get(), 0);
    }

    #[test]
    fn bytes_keep_their_hold_as_long_as_a_part_of_them_lives() {
        let room = room(1_000, 500);
        let mut hold = room.hold(A);
        hold.grow(400).unwrap();
        let bytes = hold.over(vec![7; 400]);
        let part = bytes.slice(10..20);
        drop(bytes);
        assert_eq!(room.gauge.get(), 400);
        drop(part);
        assert_eq!(room.gauge.get(), 0);
    }

    #[test]
    fn addresses_of_one_network_share() {
        let v6 = |text: &str| Holder::address(text.parse::<Ipv6Addr>().unwrap().into());
        assert_eq!(v6("2001:db8::1"), v6("2001:db8::ffff:1"));
        assert_ne!(v6("2001:db8::1"), v6("2001:db8:0:1::1"));
        let v4 = |a, b| Holder::address(Ipv4Addr::new(10, 0, a, b).into());
        assert_ne!(v4(0, 1), v4(0, 2));
    }
}
