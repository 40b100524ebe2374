//! Everybody of the staff who may sign in, by what they are known by: for the question whether a patient is
//! one of them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use access::PersonId;
use base::{Micros, ResourceId};

use super::{Human, Staff};
use crate::face::Person;

/// For so long it is remembered, in microseconds.
const FRESH_US: i64 = 600_000_000;

/// Everybody of the staff.
#[derive(Default)]
pub(super) struct Everybody {
    made: Micros,
    /// Who there was, with the epochs of their records.
    of: Vec<(PersonId, u64)>,
    /// By identifier, by name and day of birth, and by the patients whom their resources name.
    known: HashMap<String, BTreeSet<PersonId>>,
}

impl Everybody {
    pub(super) fn begin(now: Micros, people: &[Arc<Person>]) -> Self {
        Self {
            made: now,
            of: people.iter().map(|p| of(p)).collect(),
            known: HashMap::new(),
        }
    }

    /// Whether it is of these people, and not long ago.
    pub(super) fn is_fresh(&self, now: Micros, people: &[Arc<Person>]) -> bool {
        let same = self.of.len() == people.len();
        now.0 - self.made.0 < FRESH_US
            && same
            && self.of.iter().zip(people).all(|(known, p)| *known == of(p))
    }

    pub(super) fn add(&mut self, staff: &Staff) {
        let patients = staff.human.references.iter();
        let patients = patients.filter(|r| r.starts_with("Patient/"));
        for key in keys(&staff.human).chain(patients.cloned()) {
            let known = self.known.entry(key).or_default();
            known.insert(staff.person.record.id.clone());
        }
    }

    /// Whether a patient is one of them, and not this one.
    pub(super) fn has_another(&self, but: &PersonId, id: &ResourceId, human: &Human) -> bool {
        let own = format!("Patient/{}", id.as_str());
        keys(human).chain([own]).any(|key| {
            let known = self.known.get(&key);
            known.is_some_and(|known| known.iter().any(|person| person != but))
        })
    }
}

fn of(person: &Person) -> (PersonId, u64) {
    (person.record.id.clone(), person.record.epoch)
}

/// What somebody is known by. No key of one kind is one of another.
fn keys(human: &Human) -> impl Iterator<Item = String> + '_ {
    let identifiers = human.identifiers.iter().map(|i| format!("i {i}"));
    identifiers.chain(human.births.iter().map(|b| format!("b {b}")))
}
