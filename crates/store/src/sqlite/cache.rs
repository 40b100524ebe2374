//! Current versions of resources, ready for the wire, in memory. Bounded in bytes over all tenants.
//!
//! A reader takes a [`Ticket`] *before* it takes its snapshot of the database and hands what it
//! read in with it; a writer that changed a resource marks its key before it answers, which voids
//! all earlier tickets for that key. So a version that was current before a commit cannot enter
//! after it.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use access::TenantId;
use base::{ResourceId, Seq};
use fhir::definitions::TypeId;
use parking_lot::RwLock;

use crate::{StoreMetrics, Stored};

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    tenant: [u8; 16],
    type_id: TypeId,
    id: ResourceId,
}

struct Slot {
    hit: Hit,
    /// The row of `resource` that it is found by as well, if that is known.
    rid: Option<i64>,
    /// Set by every hit, cleared when the hand passes: the second chance.
    used: AtomicBool,
}

#[derive(Default)]
struct Shard {
    slots: HashMap<Key, Slot>,
    /// Keys in the order in which the hand meets them; may name slots that are gone.
    hand: VecDeque<Key>,
    bytes: usize,
}

/// The same versions by tenant and row, for searches. Changed only by who holds the lock of the
/// shard that owns the slot.
type Rows = HashMap<RowKey, Hit, BuildHasherDefault<Spread>>;

/// A row of a tenant. Neither part is for a caller to choose, so that a cheap hash will do.
#[derive(Clone, Copy, PartialEq, Eq)]
struct RowKey {
    tenant: u128,
    rid: i64,
}

impl RowKey {
    const fn new(tenant: &[u8; 16], rid: i64) -> Self {
        Self {
            tenant: u128::from_ne_bytes(*tenant),
            rid,
        }
    }
}

impl Hash for RowKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Ids of tenants are random: half of one is as good as the whole.
        state.write_u64(self.tenant as u64 ^ self.rid.cast_unsigned());
    }
}

/// Spreads one number over all bits.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        const ODD: u128 = 0x9e37_79b9_7f4a_7c15;
        let product = u128::from(self.0 ^ number) * ODD;
        self.0 = (product >> 64) as u64 ^ product as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A current version, and the change that made it.
#[derive(Clone)]
pub(crate) struct Hit {
    pub(crate) stored: Stored,
    pub(crate) seq: Seq,
}

/// The right to put in what was read since; see the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket(u64);

/// The cache.
pub(crate) struct BodyCache {
    shards: Vec<RwLock<Shard>>,
    rows: Vec<RwLock<Rows>>,
    /// Grows with every change of any resource.
    now: AtomicU64,
    /// When a key was last changed; many keys to one, which only costs an insert.
    changes: Vec<AtomicU64>,
    /// Makes places unpredictable to callers who choose ids.
    seed: u64,
    shard_bytes_max: usize,
}

const SHARDS: usize = 32;
const CHANGES: usize = 1 << 14;
/// What a slot costs besides its body.
const SLOT_BYTES: usize = 448;

impl BodyCache {
    /// A cache of at most so many bytes; `seed` is random.
    pub(crate) fn new(bytes_max: u64, seed: u64) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            rows: (0..SHARDS).map(|_| RwLock::default()).collect(),
            now: AtomicU64::new(0),
            changes: (0..CHANGES).map(|_| AtomicU64::new(0)).collect(),
            seed,
            shard_bytes_max: usize::try_from(bytes_max).unwrap_or(usize::MAX) / SHARDS,
        }
    }

    fn place(&self, key: &Key) -> (Option<&RwLock<Shard>>, Option<&AtomicU64>) {
        let mut hasher = DefaultHasher::new();
        self.seed.hash(&mut hasher);
        key.hash(&mut hasher);
        let hash = hasher.finish();
        let shard = (hash >> 32) as usize % SHARDS;
        (
            self.shards.get(shard),
            self.changes.get(hash as usize % CHANGES),
        )
    }

    /// To be taken before a snapshot of the database.
    pub(crate) fn ticket(&self) -> Ticket {
        Ticket(self.now.load(Ordering::Acquire))
    }

    /// The current version, if it is here.
    pub(crate) fn get(&self, tenant: &TenantId, type_id: TypeId, id: &ResourceId) -> Option<Hit> {
        Some(self.get_placed(tenant, type_id, id)?.0)
    }

    /// The same, with the row of `resource` that it is found by as well, if that is known.
    pub(crate) fn get_placed(
        &self,
        tenant: &TenantId,
        type_id: TypeId,
        id: &ResourceId,
    ) -> Option<(Hit, Option<i64>)> {
        let key = Key {
            tenant: *tenant.bytes(),
            type_id,
            id: id.clone(),
        };
        let shard = self.place(&key).0?.read();
        let slot = shard.slots.get(&key)?;
        if !slot.used.load(Ordering::Relaxed) {
            slot.used.store(true, Ordering::Relaxed);
        }
        Some((slot.hit.clone(), slot.rid))
    }

    /// The current version of the row `rid`, if it is here.
    pub(crate) fn of_row(&self, tenant: &TenantId, rid: i64) -> Option<Hit> {
        let rows = self.rows_of(rid)?.read();
        rows.get(&RowKey::new(tenant.bytes(), rid)).cloned()
    }

    fn rows_of(&self, rid: i64) -> Option<&RwLock<Rows>> {
        self.rows.get(rid.rem_euclid(SHARDS as i64) as usize)
    }

    fn forget_row(&self, tenant: &[u8; 16], rid: Option<i64>) {
        if let Some(rid) = rid
            && let Some(rows) = self.rows_of(rid)
        {
            rows.write().remove(&RowKey::new(tenant, rid));
        }
    }

    /// Puts a current version in, unless its resource was changed since the ticket was taken.
    /// `rid`: its row of `resource`, where that is known.
    pub(crate) fn put(
        &self,
        tenant: &TenantId,
        (rid, stored): (Option<i64>, &Stored),
        seq: Seq,
        ticket: Ticket,
        metrics: &StoreMetrics,
    ) {
        let key = Key {
            tenant: *tenant.bytes(),
            type_id: stored.type_id,
            id: stored.id.clone(),
        };
        let cost = stored.body.len() + SLOT_BYTES;
        let (Some(shard), Some(change)) = self.place(&key) else {
            return;
        };
        if cost > self.shard_bytes_max / 4 {
            return;
        }
        let mut shard = shard.write();
        if change.load(Ordering::Acquire) > ticket.0 {
            return;
        }
        let hit = Hit {
            stored: stored.clone(),
            seq,
        };
        if let Some(rid) = rid
            && let Some(rows) = self.rows_of(rid)
        {
            rows.write()
                .insert(RowKey::new(&key.tenant, rid), hit.clone());
        }
        let slot = Slot {
            hit,
            rid,
            used: AtomicBool::new(false),
        };
        let before = shard.bytes;
        match shard.slots.insert(key.clone(), slot) {
            Some(old) => {
                shard.bytes -= old.hit.stored.body.len() + SLOT_BYTES;
                if old.rid != rid {
                    self.forget_row(&key.tenant, old.rid);
                }
            }
            None => shard.hand.push_back(key),
        }
        shard.bytes += cost;
        shard.make_room(self.shard_bytes_max, |key, rid| {
            self.forget_row(&key.tenant, rid);
        });
        let after = shard.bytes;
        drop(shard);
        metrics.cache_bytes.add(after.saturating_sub(before) as u64);
        metrics.cache_bytes.sub(before.saturating_sub(after) as u64);
    }

    /// A commit changed a resource: voids tickets, and drops what is here. What it was found by,
    /// if it was here.
    pub(crate) fn changed(
        &self,
        tenant: &TenantId,
        type_id: TypeId,
        id: &ResourceId,
        metrics: &StoreMetrics,
    ) -> Option<Option<i64>> {
        let key = Key {
            tenant: *tenant.bytes(),
            type_id,
            id: id.clone(),
        };
        let (Some(shard), Some(change)) = self.place(&key) else {
            return None;
        };
        let mut shard = shard.write();
        let now = self.now.fetch_add(1, Ordering::AcqRel) + 1;
        change.fetch_max(now, Ordering::AcqRel);
        let old = shard.slots.remove(&key)?;
        self.forget_row(&key.tenant, old.rid);
        let cost = old.hit.stored.body.len() + SLOT_BYTES;
        shard.bytes -= cost;
        metrics.cache_bytes.sub(cost as u64);
        Some(old.rid)
    }

    /// Drops everything of a tenant and voids all tickets.
    pub(crate) fn forget(&self, tenant: &TenantId, metrics: &StoreMetrics) {
        let now = self.now.fetch_add(1, Ordering::AcqRel) + 1;
        for change in &self.changes {
            change.fetch_max(now, Ordering::AcqRel);
        }
        for shard in &self.shards {
            let mut shard = shard.write();
            let shard = &mut *shard;
            let mut freed = 0;
            shard.slots.retain(|k, s| {
                let keep = k.tenant != *tenant.bytes();
                if !keep {
                    self.forget_row(&k.tenant, s.rid);
                    freed += s.hit.stored.body.len() + SLOT_BYTES;
                }
                keep
            });
            shard.hand.retain(|k| k.tenant != *tenant.bytes());
            shard.bytes -= freed;
            metrics.cache_bytes.sub(freed as u64);
        }
    }
}

impl Shard {
    fn make_room(&mut self, bytes_max: usize, gone: impl Fn(&Key, Option<i64>)) {
        while self.bytes > bytes_max || self.hand.len() > 2 * self.slots.len() + 64 {
            let Some(key) = self.hand.pop_front() else {
                return;
            };
            let Some(slot) = self.slots.get(&key) else {
                continue;
            };
            if self.bytes <= bytes_max || slot.used.swap(false, Ordering::Relaxed) {
                self.hand.push_back(key);
                if self.bytes <= bytes_max {
                    return;
                }
                continue;
            }
            self.bytes -= slot.hit.stored.body.len() + SLOT_BYTES;
            gone(&key, slot.rid);
            self.slots.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use access::{Directory, HouseKey, Record};
    use base::{Micros, Secret, TenantName, Version};
    use bytes::Bytes;
    use fhir::definitions::FhirVersion;

    use super::*;
    use crate::Method;

    fn tenant(name: &str) -> TenantId {
        let house = HouseKey::new(Secret::new([1; 32]));
        let directory = Directory::new(&house);
        let name = TenantName::new(name).unwrap();
        let id = [name.as_str().len() as u8; 16];
        let record = Record::seal(&house, name.clone(), id, FhirVersion::R4, [0; 32]);
        directory.admit(&record).unwrap();
        directory.resolve(&name).unwrap()
    }

    fn stored(id: usize, version: u64, bytes: usize) -> Stored {
        Stored {
            type_id: TypeId(1),
            id: ResourceId::new(&format!("r{id}")).unwrap(),
            version: Version(version),
            updated: Micros(0),
            method: Method::Put,
            body: Bytes::from(vec![b'x'; bytes]),
            data: None,
        }
    }

    fn version(cache: &BodyCache, tenant: &TenantId, of: &Stored) -> Option<u64> {
        cache
            .get(tenant, of.type_id, &of.id)
            .map(|h| h.stored.version.0)
    }

    #[test]
    fn what_was_read_before_a_commit_does_not_enter_after_it() {
        let (cache, metrics) = (BodyCache::new(1 << 20, 1), StoreMetrics::default());
        let (a, b) = (tenant("abc"), tenant("abcd"));
        let old = stored(1, 1, 10);
        let ticket = cache.ticket();
        cache.changed(&a, old.type_id, &old.id, &metrics);
        cache.put(&a, (Some(7), &old), Seq(1), ticket, &metrics);
        assert_eq!(version(&cache, &a, &old), None);
        assert!(cache.of_row(&a, 7).is_none());
        let new = stored(1, 2, 10);
        cache.put(&a, (Some(7), &new), Seq(2), cache.ticket(), &metrics);
        assert_eq!(version(&cache, &a, &old), Some(2));
        let row = |tenant, rid| cache.of_row(tenant, rid).map(|h| h.stored.version.0);
        assert_eq!((row(&a, 7), row(&b, 7), row(&a, 8)), (Some(2), None, None));
        assert_eq!(version(&cache, &b, &old), None, "another tenant's");
        let changed = cache.changed(&a, old.type_id, &old.id, &metrics);
        assert_eq!(changed, Some(Some(7)));
        assert_eq!((version(&cache, &a, &old), row(&a, 7)), (None, None));
        assert_eq!(metrics.cache_bytes.get(), 0);
    }

    #[test]
    fn the_bound_holds_and_what_is_used_stays() {
        let bytes_max = 1 << 20;
        let (cache, metrics) = (BodyCache::new(bytes_max, 2), StoreMetrics::default());
        let (a, b) = (tenant("abc"), tenant("abcd"));
        let hot = stored(0, 1, 500);
        cache.put(&a, (Some(0), &hot), Seq(1), cache.ticket(), &metrics);
        for i in 1..20_000 {
            let of = if i % 2 == 0 { &a } else { &b };
            let new = stored(i, 1, 500);
            let row = (Some(i as i64), &new);
            cache.put(of, row, Seq(1), cache.ticket(), &metrics);
            assert!(metrics.cache_bytes.get() <= bytes_max);
            assert_eq!(version(&cache, &a, &hot), Some(1), "{i}");
        }
        assert!(metrics.cache_bytes.get() > bytes_max / 2);
        let ticket = cache.ticket();
        cache.forget(&a, &metrics);
        cache.put(&a, (Some(0), &hot), Seq(1), ticket, &metrics);
        assert_eq!(version(&cache, &a, &hot), None);
        assert_eq!(version(&cache, &b, &stored(19_999, 1, 0)), Some(1));
        let rows = |of: &BodyCache| of.rows.iter().map(|r| r.read().len()).sum::<usize>();
        let slots = |of: &BodyCache| {
            of.shards
                .iter()
                .map(|s| s.read().slots.len())
                .sum::<usize>()
        };
        assert_eq!(
            rows(&cache),
            slots(&cache),
            "what is dropped is dropped by both names"
        );
        cache.forget(&b, &metrics);
        assert_eq!((metrics.cache_bytes.get(), rows(&cache)), (0, 0));
    }
}
