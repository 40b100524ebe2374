//! Sets of codes: listed ones and whole systems.

use std::collections::{BTreeMap, BTreeSet};

/// Codes by system; `None` for a system: all of its codes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Codes(pub(super) BTreeMap<String, Option<BTreeSet<String>>>);

impl Codes {
    /// Adds a code.
    pub(super) fn add(&mut self, system: &str, code: &str) {
        match self.0.get_mut(system) {
            Some(None) => {}
            Some(Some(codes)) => {
                codes.insert(code.to_owned());
            }
            None => {
                let codes = BTreeSet::from([code.to_owned()]);
                self.0.insert(system.to_owned(), Some(codes));
            }
        }
    }

    /// All codes of a system.
    pub(super) fn all(system: &str) -> Self {
        Self(BTreeMap::from([(system.to_owned(), None)]))
    }

    /// Adds all of another.
    pub(super) fn join(&mut self, other: Self) {
        for (system, codes) in other.0 {
            match (self.0.get_mut(&system), codes) {
                (Some(mine), None) => *mine = None,
                (Some(None), Some(_)) => {}
                (Some(Some(mine)), Some(codes)) => mine.extend(codes),
                (None, codes) => {
                    self.0.insert(system, codes);
                }
            }
        }
    }

    /// What is in both.
    pub(super) fn meet(self, other: &Self) -> Self {
        let both = self.0.into_iter().filter_map(|(system, mine)| {
            let codes = match (mine, other.0.get(&system)?) {
                (None, theirs) => theirs.clone(),
                (mine, None) => mine,
                (Some(mine), Some(theirs)) => Some(mine.intersection(theirs).cloned().collect()),
            };
            Some((system, codes))
        });
        Self(both.collect())
    }

    /// How many they are; a whole system counts as one.
    pub(super) fn count(&self) -> u64 {
        self.0
            .values()
            .map(|c| c.as_ref().map_or(1, BTreeSet::len) as u64)
            .sum()
    }
}
