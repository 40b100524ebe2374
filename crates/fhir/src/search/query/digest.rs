//! What a query is told apart by: the bytes that a digest of it is taken over.

use std::hash::{Hash, Hasher};

use super::{Circle, Query, Range, Spot};

impl Query {
    /// Bytes that differ where queries differ, and are the same for the same query. Not a format:
    /// another version of the program may give others.
    pub fn bytes(&self) -> Vec<u8> {
        let mut gathered = Gathered(Vec::with_capacity(512));
        self.hash(&mut gathered);
        gathered.0
    }
}

/// What is hashed, as it is.
struct Gathered(Vec<u8>);

impl Hasher for Gathered {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

impl Hash for Range<i64> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.low, self.high).hash(state);
    }
}

impl Hash for Range<f64> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.low.to_bits(), self.high.to_bits()).hash(state);
    }
}

impl Hash for Spot {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.latitude.to_bits(), self.longitude.to_bits()).hash(state);
    }
}

impl Hash for Circle {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for number in [self.latitude, self.longitude, self.radius] {
            number.to_bits().hash(state);
        }
    }
}
