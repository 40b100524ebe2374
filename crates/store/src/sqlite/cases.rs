//! In which code systems of an open tenant case does not count, as far as somebody asked: searches name
//! many systems, and few of them are held.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;
use rusqlite::Connection;

use super::fault::Doing;
use crate::{Result, Stored};

/// Systems that are remembered.
const SYSTEMS_MAX: usize = 1_000;

/// What is known of code systems.
#[derive(Debug, Default)]
pub(crate) struct KnownCases {
    /// The tenant has, or had, a CodeSystem.
    any: AtomicBool,
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How often a CodeSystem was written.
    changes: u64,
    caseless: HashMap<String, bool>,
}

/// What is known of a system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// It does not count, or does.
    Known(bool),
    /// Somebody has to look; this says when.
    Unknown(u64),
}

impl KnownCases {
    /// Looks whether the tenant has any.
    pub(crate) fn load(db: &Connection, model: &fhir::definitions::Model) -> Result<Self> {
        const DOING: &str = "looking for code systems";
        let Some(type_id) = model.type_id("CodeSystem") else {
            return Ok(Self::default());
        };
        let any = db
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM resource WHERE type = ?1)")
            .and_then(|mut s| s.query_row([type_id.0], |r| r.get(0)))
            .doing(DOING)?;
        Ok(Self {
            any: AtomicBool::new(any),
            ..Self::default()
        })
    }

    /// What is known of a system.
    pub(crate) fn of(&self, system: &str) -> Case {
        if !self.any() {
            return Case::Known(false);
        }
        let state = self.state.read();
        match state.caseless.get(system) {
            Some(known) => Case::Known(*known),
            None => Case::Unknown(state.changes),
        }
    }

    /// Whether there may be code systems at all.
    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Takes in what somebody saw, unless a CodeSystem was written since.
    pub(crate) fn know(&self, system: &str, seen: u64, caseless: bool) {
        let mut state = self.state.write();
        if state.changes != seen {
            return;
        }
        if state.caseless.len() >= SYSTEMS_MAX {
            state.caseless.clear();
        }
        state.caseless.insert(system.to_owned(), caseless);
    }

    /// Learns what was committed.
    pub(crate) fn learn(&self, model: &fhir::definitions::Model, stored: &Stored) {
        if model.type_name(stored.type_id) == "CodeSystem" {
            self.forget();
        }
    }

    /// Everything has to be looked at again.
    pub(crate) fn forget(&self) {
        self.any.store(true, Ordering::Release);
        let mut state = self.state.write();
        state.changes += 1;
        state.caseless.clear();
    }
}
