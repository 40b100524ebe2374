//! How many requests a caller may make: for each tenant, client, person, vendor and the operator an
//! allowance of its own, refilled all the time (the generic cell rate algorithm).
//!
//! Only callers whose credentials were found good spend from an allowance, the narrowest first: a client
//! that has used up its own takes nothing from its tenant's. Allowances are kept by a keyed hash of whose
//! they are; those that are whole again are forgotten, and come back whole.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use access::{ClientId, PersonId, Principal, TenantId, VendorId, VendorRate};
use base::{Clock, Code, Limits, Micros};
use governor::clock::Clock as Ticking;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use parking_lot::RwLock;

use crate::failure::Failure;
use crate::metrics::Metrics;

/// Parts of the table, each with its own lock.
const SHARDS: usize = 16;

/// Whose allowance it is.
#[derive(Clone, Copy, Debug, Hash)]
enum Whose<'a> {
    Tenant,
    Client(&'a ClientId),
    Person(&'a PersonId),
    Vendor(&'a VendorId),
    /// A vendor at its own switch.
    Switch(&'a VendorId),
    /// A person who signs in.
    SignIn(&'a PersonId),
    /// Somebody at the house's identity provider who chooses among clinics.
    Choice(&'a str),
    Operator,
}

/// How often a vendor may look at its own grant or move its own switch, whatever its rate.
const SWITCHES_PER_MINUTE: VendorRate = VendorRate {
    per_minute: 60,
    burst: 20,
};

/// How often one person begins sessions: each is written down.
const SIGN_INS_PER_MINUTE: VendorRate = VendorRate {
    per_minute: 60,
    burst: 60,
};

/// How often one account looks through all clinics for where it is known.
const CHOICES_PER_MINUTE: VendorRate = VendorRate {
    per_minute: 6,
    burst: 6,
};

impl Whose<'_> {
    /// The name of the limit.
    const fn limit(self) -> &'static str {
        match self {
            Self::Tenant => "tenant_requests_per_second_max",
            Self::Client(_) => "client_requests_per_second_max",
            Self::Person(_) => "person_requests_per_second_max",
            Self::Vendor(_) => "vendor_requests_per_minute",
            Self::Switch(_) => "vendor_switches_per_minute",
            Self::SignIn(_) => "person_sign_ins_per_minute",
            Self::Choice(_) => "clinic_choices_per_minute",
            Self::Operator => "operator_requests_per_second_max",
        }
    }
}

/// All names of limits of rates.
pub(crate) const LIMITS: [&str; 8] = [
    Whose::Tenant.limit(),
    "client_requests_per_second_max",
    "person_requests_per_second_max",
    "vendor_requests_per_minute",
    "vendor_switches_per_minute",
    "person_sign_ins_per_minute",
    "clinic_choices_per_minute",
    Whose::Operator.limit(),
];

/// The clock that the house was given.
#[derive(Clone)]
struct Ticks(Arc<dyn Clock>);

impl Ticking for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        let micros = u64::try_from(self.0.monotonic().0).unwrap_or(0);
        Nanos::from(micros.saturating_mul(1_000))
    }
}

/// How fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pace {
    /// Requests in so many microseconds.
    count: NonZeroU32,
    in_us: i64,
    burst: NonZeroU32,
}

impl Pace {
    /// As many a second, and as many at once; none for 0.
    fn per_second(limit: u64) -> Option<Self> {
        let count = NonZeroU32::new(u32::try_from(limit).unwrap_or(u32::MAX))?;
        Some(Self {
            count,
            in_us: 1_000_000,
            burst: count,
        })
    }

    fn of(rate: VendorRate) -> Option<Self> {
        Some(Self {
            count: NonZeroU32::new(rate.per_minute)?,
            in_us: 60_000_000,
            burst: NonZeroU32::new(rate.burst)?,
        })
    }

    fn quota(self) -> Quota {
        let quota = match self.in_us {
            1_000_000 => Quota::per_second(self.count),
            _ => Quota::per_minute(self.count),
        };
        quota.allow_burst(self.burst)
    }

    /// Microseconds after which an allowance that was used up is whole again.
    fn whole_after_us(self) -> i64 {
        self.in_us
            .saturating_mul(i64::from(self.burst.get()))
            .saturating_div(i64::from(self.count.get()))
            .saturating_add(1_000)
    }
}

struct Allowance {
    pace: Pace,
    left: RateLimiter<NotKeyed, InMemoryState, Ticks, NoOpMiddleware<Nanos>>,
    used: AtomicI64,
}

/// Allowances.
pub(crate) struct Rates {
    tenant: Option<Pace>,
    client: Option<Pace>,
    person: Option<Pace>,
    operator: Option<Pace>,
    shard_max: usize,
    ticks: Ticks,
    hashers: [RandomState; 2],
    shards: [RwLock<HashMap<u128, Arc<Allowance>>>; SHARDS],
}

impl std::fmt::Debug for Rates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rates")
    }
}

impl Rates {
    pub(crate) fn new(limits: &Limits, clock: Arc<dyn Clock>) -> Self {
        let max = usize::try_from(limits.rate_keys_max).unwrap_or(usize::MAX);
        Self {
            tenant: Pace::per_second(limits.tenant_requests_per_second_max),
            client: Pace::per_second(limits.client_requests_per_second_max),
            person: Pace::per_second(limits.person_requests_per_second_max),
            operator: Pace::per_second(limits.operator_requests_per_second_max),
            shard_max: (max / SHARDS).max(1),
            ticks: Ticks(clock),
            hashers: [RandomState::new(), RandomState::new()],
            shards: Default::default(),
        }
    }

    /// One request of a recognised caller, with the rate of the grant that bounds it: of what is theirs
    /// alone, and of their vendor's. What they share with others of the tenant comes once they are let in.
    ///
    /// # Errors
    /// `rate-limited`, with the name of the limit and the time after which it is worth trying again.
    pub(crate) fn spend_own(
        &self,
        tenant: &TenantId,
        principal: &Principal,
        rate: Option<VendorRate>,
        metrics: &Metrics,
    ) -> Result<(), Failure> {
        let door = tenant.bytes();
        // Whoever is past their own spends nothing of what they share with others.
        if let Some((person, _)) = principal.person() {
            self.take(door, Whose::Person(person), self.person, metrics)?;
        }
        match principal.client() {
            Some((client, _)) => self.client(door, client, principal.vendor().zip(rate), metrics),
            None => Ok(()),
        }
    }

    /// One request of somebody who is let in, of what all of the tenant share.
    ///
    /// # Errors
    /// As those of [`Self::spend_own`].
    pub(crate) fn spend_tenant(&self, tenant: &TenantId, metrics: &Metrics) -> Result<(), Failure> {
        self.take(tenant.bytes(), Whose::Tenant, self.tenant, metrics)
    }

    /// Entries of a Bundle of somebody who is let in, beside the request that brought it: of all that
    /// [`Self::spend_own`] and [`Self::spend_tenant`] take from. More than an allowance ever holds take all of it.
    ///
    /// # Errors
    /// As those of [`Self::spend_own`].
    pub(crate) fn spend_entries(
        &self,
        tenant: &TenantId,
        principal: &Principal,
        rate: Option<VendorRate>,
        more: u32,
        metrics: &Metrics,
    ) -> Result<(), Failure> {
        let door = tenant.bytes();
        if let Some((person, _)) = principal.person() {
            self.take_many(door, Whose::Person(person), self.person, more, metrics)?;
        }
        if let Some((client, _)) = principal.client() {
            self.take_many(door, Whose::Client(client), self.client, more, metrics)?;
        }
        if let Some((id, rate)) = principal.vendor().zip(rate) {
            let pace = Pace::of(rate);
            self.take_many(door, Whose::Vendor(id), pace, more, metrics)?;
        }
        self.take_many(door, Whose::Tenant, self.tenant, more, metrics)
    }

    /// One request of a client that proved who it is and has no token yet, of what is its own.
    ///
    /// # Errors
    /// As those of [`Self::spend_own`].
    pub(crate) fn spend_client(
        &self,
        tenant: &TenantId,
        client: &ClientId,
        vendor: Option<(&VendorId, VendorRate)>,
        metrics: &Metrics,
    ) -> Result<(), Failure> {
        self.client(tenant.bytes(), client, vendor, metrics)
    }

    /// One request of a vendor about its own grant, switched off or not.
    ///
    /// # Errors
    /// As those of [`Self::spend_own`].
    pub(crate) fn spend_switch(
        &self,
        tenant: &TenantId,
        vendor: &VendorId,
        metrics: &Metrics,
    ) -> Result<(), Failure> {
        let pace = Pace::of(SWITCHES_PER_MINUTE);
        self.take(tenant.bytes(), Whose::Switch(vendor), pace, metrics)
    }

    /// One session that a person begins.
    ///
    /// # Errors
    /// As those of [`Self::spend_own`].
    pub(crate) fn spend_sign_in(
        &self,
        tenant: &TenantId,
        person: &PersonId,
        metrics: &Metrics,
    ) -> Result<(), Failure> {
        let pace = Pace::of(SIGN_INS_PER_MINUTE);
        self.take(tenant.bytes(), Whose::SignIn(person), pace, metrics)
    }

    /// One look through all clinics of somebody with an account at the house's identity provider.
    ///
    /// # Errors
    /// As those of [`Self::spend_own`].
    pub(crate) fn spend_choice(&self, subject: &str, metrics: &Metrics) -> Result<(), Failure> {
        let pace = Pace::of(CHOICES_PER_MINUTE);
        self.take(&[0; 16], Whose::Choice(subject), pace, metrics)
    }

    /// One request of the operator.
    ///
    /// # Errors
    /// As those of [`Self::spend_own`].
    pub(crate) fn spend_operator(&self, metrics: &Metrics) -> Result<(), Failure> {
        self.take(&[0; 16], Whose::Operator, self.operator, metrics)
    }

    fn client(
        &self,
        door: &[u8; 16],
        client: &ClientId,
        vendor: Option<(&VendorId, VendorRate)>,
        metrics: &Metrics,
    ) -> Result<(), Failure> {
        self.take(door, Whose::Client(client), self.client, metrics)?;
        match vendor {
            Some((id, rate)) => self.take(door, Whose::Vendor(id), Pace::of(rate), metrics),
            None => Ok(()),
        }
    }

    fn take(
        &self,
        door: &[u8; 16],
        whose: Whose<'_>,
        pace: Option<Pace>,
        metrics: &Metrics,
    ) -> Result<(), Failure> {
        self.take_many(door, whose, pace, 0, metrics)
    }

    /// Takes one, or where it is asked for more so many beside the one that was taken.
    fn take_many(
        &self,
        door: &[u8; 16],
        whose: Whose<'_>,
        pace: Option<Pace>,
        more: u32,
        metrics: &Metrics,
    ) -> Result<(), Failure> {
        let Some(pace) = pace else {
            return Ok(());
        };
        let allowance = self.allowance(door, whose, pace);
        let taken = match NonZeroU32::new(more) {
            None => allowance.left.check(),
            Some(_) => {
                let most = more.min(pace.burst.get() - 1);
                let most = NonZeroU32::new(most).map(|most| allowance.left.check_n(most));
                // As many are never too many: there is room for one more.
                most.and_then(Result::ok).unwrap_or(Ok(()))
            }
        };
        let Err(not_yet) = taken else {
            return Ok(());
        };
        metrics.rate_limited(whose.limit());
        let wait = not_yet.wait_time_from(self.ticks.now()).as_millis();
        let seconds = u32::try_from(wait.div_ceil(1_000)).unwrap_or(u32::MAX);
        let limit = Failure::limit(Code::RateLimited, whose.limit(), pace.count.get().into());
        Err(limit.retry_after(seconds.max(1)))
    }

    fn allowance(&self, door: &[u8; 16], whose: Whose<'_>, pace: Pace) -> Arc<Allowance> {
        let [a, b] = self
            .hashers
            .each_ref()
            .map(|hasher| u128::from(hasher.hash_one((door, whose))));
        let key = a << 64 | b;
        let place = usize::try_from(a).unwrap_or(0) % SHARDS;
        let fresh = || {
            Arc::new(Allowance {
                pace,
                left: RateLimiter::direct_with_clock(pace.quota(), self.ticks.clone()),
                used: AtomicI64::new(0),
            })
        };
        let now = self.ticks.0.monotonic();
        let Some(shard) = self.shards.get(place) else {
            return fresh();
        };
        let known = shard.read().get(&key).cloned();
        let allowance = match known.filter(|known| known.pace == pace) {
            Some(known) => known,
            None => {
                let mut shard = shard.write();
                if shard.len() >= self.shard_max {
                    forget(&mut shard, now, self.shard_max);
                }
                // Another may have made it meanwhile.
                let kept = shard.entry(key).or_insert_with(fresh);
                if kept.pace != pace {
                    *kept = fresh();
                }
                kept.clone()
            }
        };
        allowance.used.store(now.0, Ordering::Relaxed);
        allowance
    }
}

/// Drops allowances that are whole again; if too many are left, the half that was used longest ago.
fn forget(shard: &mut HashMap<u128, Arc<Allowance>>, now: Micros, max: usize) {
    let used = |a: &Allowance| a.used.load(Ordering::Relaxed);
    shard.retain(|_, a| now.0.saturating_sub(used(a)) < a.pace.whole_after_us());
    if shard.len() < max {
        return;
    }
    let mut times: Vec<i64> = shard.values().map(|a| used(a)).collect();
    let middle = times.len() / 2;
    let (_, median, _) = times.select_nth_unstable(middle);
    let median = *median;
    shard.retain(|_, a| used(a) > median);
}

#[cfg(test)]
mod tests {
    use access::{Directory, HouseKey, Record};
    use base::{Secret, TenantName};
    use fhir::definitions::FhirVersion;

    use super::*;

    #[derive(Default)]
    struct Hand(AtomicI64);

    impl Clock for Hand {
        fn now(&self) -> Micros {
            self.monotonic()
        }

        fn monotonic(&self) -> Micros {
            Micros(self.0.load(Ordering::Relaxed))
        }
    }

    fn tenant(name: &str, byte: u8) -> TenantId {
        let key = HouseKey::new(Secret::new([1; 32]));
        let directory = Directory::new(&key);
        let name = TenantName::new(name).unwrap();
        let record = Record::seal(&key, name.clone(), [byte; 16], FhirVersion::R4, [0; 32]);
        directory.admit(&record).unwrap();
        directory.resolve(&name).unwrap()
    }

    fn client(id: &str) -> ClientId {
        ClientId::new(id).unwrap()
    }

    fn rates(limits: impl FnOnce(&mut Limits)) -> (Arc<Hand>, Rates) {
        let mut all = Limits::default();
        limits(&mut all);
        let hand = Arc::new(Hand::default());
        (hand.clone(), Rates::new(&all, hand))
    }

    #[test]
    fn an_allowance_is_used_up_and_comes_back() {
        let metrics = Metrics::bare();
        let (hand, rates) = rates(|l| l.client_requests_per_second_max = 2);
        let (here, there) = (tenant("here", 1), tenant("there", 2));
        let ask = |t: &TenantId, id: &str| rates.spend_client(t, &client(id), None, &metrics);
        ask(&here, "a").unwrap();
        ask(&here, "a").unwrap();
        let refused = ask(&here, "a").unwrap_err();
        assert_eq!(refused.code(), Code::RateLimited);
        assert_eq!(refused.limit_name(), Some("client_requests_per_second_max"));
        assert_eq!(refused.retry_seconds(), Some(1));
        ask(&here, "b").unwrap();
        ask(&there, "a").unwrap();
        hand.0.fetch_add(500_000, Ordering::Relaxed);
        ask(&here, "a").unwrap();
        assert!(ask(&here, "a").is_err());
        assert!(
            metrics
                .render()
                .contains("insula_rate_limited_total{limit=\"client_requests_per_second_max\"} 2")
        );
    }

    #[test]
    fn a_client_without_allowance_takes_nothing_from_its_tenant() {
        let metrics = Metrics::bare();
        let (_, rates) = rates(|l| {
            l.client_requests_per_second_max = 1;
            l.tenant_requests_per_second_max = 3;
        });
        let here = tenant("here", 1);
        let ask = |id: &str| {
            rates.spend_client(&here, &client(id), None, &metrics)?;
            rates.spend_tenant(&here, &metrics)
        };
        ask("a").unwrap();
        for _ in 0..10 {
            assert!(ask("a").is_err());
        }
        ask("b").unwrap();
        ask("c").unwrap();
        let last = ask("d").unwrap_err();
        assert_eq!(last.limit_name(), Some("tenant_requests_per_second_max"));
    }

    #[test]
    fn the_rate_of_a_grant_is_its_clients_together() {
        let metrics = Metrics::bare();
        let (hand, rates) = rates(|_| {});
        let here = tenant("here", 1);
        let vendor = VendorId::new("acme").unwrap();
        let rate = VendorRate {
            per_minute: 60,
            burst: 2,
        };
        let ask = |id: &str, rate| {
            rates.spend_client(&here, &client(id), Some((&vendor, rate)), &metrics)
        };
        ask("a", rate).unwrap();
        ask("b", rate).unwrap();
        assert!(ask("c", rate).is_err());
        hand.0.fetch_add(1_000_000, Ordering::Relaxed);
        ask("c", rate).unwrap();
        assert!(ask("a", rate).is_err());
        let other = VendorRate {
            per_minute: 60,
            burst: 3,
        };
        ask("a", other).unwrap();
    }

    #[test]
    fn allowances_that_are_whole_again_are_forgotten() {
        let metrics = Metrics::bare();
        let (hand, rates) = rates(|l| l.rate_keys_max = 160);
        let here = tenant("here", 1);
        let held = || rates.shards.iter().map(|s| s.read().len()).sum::<usize>();
        for i in 0..2_000 {
            hand.0.fetch_add(1, Ordering::Relaxed);
            rates
                .spend_client(&here, &client(&format!("c{i}")), None, &metrics)
                .unwrap();
            assert!(held() <= 160);
        }
        hand.0.fetch_add(2_000_000, Ordering::Relaxed);
        let mut most = 0;
        for i in 0..200 {
            rates
                .spend_client(&here, &client(&format!("d{i}")), None, &metrics)
                .unwrap();
            most = most.max(held());
        }
        assert!(most <= 160);
    }
}
