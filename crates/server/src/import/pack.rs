//! Items to requests of a bounded size.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::split::Item;

/// What one request carries.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub(super) items: Vec<Item>,
    /// Digest and ordinal of what need not be written because it stands in an earlier chunk.
    pub(super) repeated: Vec<([u8; 32], u64)>,
    bytes: usize,
}

impl Chunk {
    /// A chunk of these items.
    pub(super) fn of(items: Vec<Item>) -> Self {
        Self {
            items,
            ..Self::default()
        }
    }
}

/// Fills chunks. No chunk has one resource twice: a transaction would be refused for it.
#[derive(Debug)]
pub(super) struct Packer {
    entries_max: usize,
    bytes_max: usize,
    chunk: Chunk,
    keys: HashSet<u64>,
}

/// A number for type and id.
pub(super) fn key(item: &Item) -> u64 {
    hash(&(item.type_name, &item.id))
}

/// A number for the content.
pub(super) fn content(item: &Item) -> u64 {
    hash(&item.body)
}

fn hash(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

impl Packer {
    pub(super) fn new(entries_max: usize, bytes_max: usize) -> Self {
        Self {
            entries_max: entries_max.max(1),
            bytes_max,
            chunk: Chunk::default(),
            keys: HashSet::new(),
        }
    }

    /// Adds an item; gives the chunk that was full before it.
    pub(super) fn push(&mut self, item: Item) -> Option<Chunk> {
        let bytes = item.body.len();
        let full = self.chunk.items.len() >= self.entries_max
            || (self.chunk.bytes > 0 && self.chunk.bytes + bytes > self.bytes_max)
            || self.keys.contains(&key(&item));
        let done = if full { self.flush() } else { None };
        self.keys.insert(key(&item));
        self.chunk.bytes += bytes;
        self.chunk.items.push(item);
        done
    }

    /// Notes that something needs no writing once the chunk is written.
    pub(super) fn repeated(&mut self, digest: [u8; 32], ordinal: u64) {
        self.chunk.repeated.push((digest, ordinal));
    }

    /// What is left.
    pub(super) fn flush(&mut self) -> Option<Chunk> {
        self.keys.clear();
        let chunk = std::mem::take(&mut self.chunk);
        (!chunk.items.is_empty() || !chunk.repeated.is_empty()).then_some(chunk)
    }
}
