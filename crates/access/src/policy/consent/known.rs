//! What is known of the consents of a tenant, and of the facilities and care teams that they are read with.
//! It follows each commit. Knows nothing of who asks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::{Micros, ResourceId};
use fhir::definitions::Model;

use super::places::Places;
use super::teams::Teams;
use super::{Consent, read};

/// Consents of a tenant that may refuse or open something, by the id of the Consent, and who is in care
/// teams. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Consents {
    pub(super) known: HashMap<ResourceId, Arc<Consent>>,
    /// Patients of those that could not be read, where they are known.
    pub(super) broken: HashMap<ResourceId, Option<ResourceId>>,
    /// Those in force that name no patient who could be held to them.
    unheld: BTreeSet<ResourceId>,
    /// How many of them change at a time.
    turns: BTreeMap<i64, u32>,
    /// Facilities, and what each is part of.
    pub(super) places: Places,
    pub(super) teams: Teams,
    changes: u64,
}

/// Of which state of consents rights are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsentsState {
    changes: u64,
    teams: u64,
    until: Option<i64>,
}

/// A number that no state had before: what is read anew is never taken for what was known once.
fn generation() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}

impl Default for Consents {
    fn default() -> Self {
        Self {
            known: HashMap::new(),
            broken: HashMap::new(),
            unheld: BTreeSet::new(),
            turns: BTreeMap::new(),
            places: Places::default(),
            teams: Teams::default(),
            changes: generation(),
        }
    }
}

impl Consents {
    /// Those of a tenant without any.
    pub fn none() -> &'static Self {
        static NONE: std::sync::LazyLock<Consents> = std::sync::LazyLock::new(Consents::default);
        &NONE
    }

    /// Learns of a Consent as it is now; `None`: it is gone.
    pub fn learn(&mut self, model: &'static Model, id: &ResourceId, body: Option<&[u8]>) {
        self.changes = generation();
        self.broken.remove(id);
        self.forget(id);
        let read = body.map_or(Ok(None), |body| read::consent(model, body));
        if read.is_err() {
            self.unheld.insert(id.clone());
        }
        if let Ok(Some(consent)) = read {
            self.turns_at(&consent.turns);
            self.known.insert(id.clone(), Arc::new(consent));
        }
    }

    fn forget(&mut self, id: &ResourceId) {
        if let Some(before) = self.known.remove(id) {
            self.turns_no_more(&before.turns);
        }
        self.unheld.remove(id);
    }

    fn turns_at(&mut self, turns: &[i64]) {
        for turn in turns {
            *self.turns.entry(*turn).or_default() += 1;
        }
    }

    fn turns_no_more(&mut self, turns: &[i64]) {
        for turn in turns {
            if let Some(count) = self.turns.get_mut(turn) {
                *count -= 1;
                if *count == 0 {
                    self.turns.remove(turn);
                }
            }
        }
    }

    /// One is there that cannot be read: it refuses the chart of its patient, of every patient where that
    /// is not known.
    pub fn is_broken(&mut self, id: ResourceId, patient: Option<ResourceId>) {
        self.changes = generation();
        self.forget(&id);
        self.broken.insert(id, patient);
    }

    /// Whose a Consent is.
    pub fn patient_of(model: &'static Model, body: &[u8]) -> Option<ResourceId> {
        read::patient(model, body)
    }

    /// Consents that may mean to refuse something and refuse nothing, as no patient is named by them whom
    /// they could be about.
    pub fn unheld(&self) -> impl ExactSizeIterator<Item = &ResourceId> {
        self.unheld.iter()
    }

    /// Whether resources of a type say where facilities belong.
    pub fn is_place(type_name: &str) -> bool {
        matches!(type_name, "Organization" | "Location")
    }

    /// Learns of an Organization or a Location as it is now; `None`: it is gone, or cannot be read.
    pub fn learn_place(&mut self, type_name: &str, id: &ResourceId, body: Option<&[u8]>) {
        if self.places.learn(type_name, id, body) {
            self.changes = generation();
        }
    }

    /// Whether a facility (`Organization/1`) is there.
    pub fn has_place(&self, facility: &str) -> bool {
        self.places.is_there(facility)
    }

    /// Those of a tenant with the same facilities, where nobody consented to anything and there are no teams.
    #[must_use]
    pub fn of_nobody(&self) -> Self {
        Self {
            places: self.places.clone(),
            ..Self::default()
        }
    }

    /// The type of the resources that say who cares for whom.
    pub const TEAM: &str = "CareTeam";

    /// Learns of a CareTeam as it is now; `None`: it is gone, or cannot be read.
    pub fn learn_team(&mut self, id: &ResourceId, body: Option<&[u8]>) {
        let (before, after) = self.teams.learn(id, body, generation());
        self.turns_no_more(&before);
        self.turns_at(&after);
    }

    /// What rights that are made now are of, of one for whom a Practitioner stands if that is so: they are good
    /// until another state.
    pub fn state(&self, now: Micros, practitioner: Option<&ResourceId>) -> ConsentsState {
        let next = self.turns.range(now.0.saturating_add(1)..).next();
        ConsentsState {
            changes: self.changes,
            teams: practitioner.map_or(0, |own| self.teams.changed(own)),
            until: next.map(|(at, _)| *at),
        }
    }
}
