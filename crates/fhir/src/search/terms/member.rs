//! Single codes against value sets and code systems: `memberOf()`, `subsumes()`.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{CodeSystem, Codes, Need, Terms, Unresolved};

/// Value sets and code systems that were understood: many codes are compared with the same ones.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// By name, and whether codes without a system are looked for.
    sets: RefCell<HashMap<(String, bool), Arc<Codes>>>,
    systems: RefCell<HashMap<String, Arc<CodeSystem>>>,
}

/// A code as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Coded {
    /// A system and its code.
    Coding(String, String),
    /// A code of an element that fixes the system.
    Code(String),
    /// A text that may be a code.
    Text(String),
}

impl Codes {
    fn has(&self, coded: &Coded) -> bool {
        let listed = |system: &str, code: &str| match self.0.get(system) {
            Some(Some(codes)) => codes.contains(code),
            Some(None) => true,
            None => false,
        };
        match coded {
            Coded::Coding(system, code) => listed(system, code),
            Coded::Code(code) | Coded::Text(code) => {
                self.0.keys().any(|system| listed(system, code))
            }
        }
    }
}

impl Terms {
    /// Whether any of these codes is in a value set (`fhirpath.html#functions`); `None` for a value
    /// set that nobody knows here, and for a text where the value set has several systems.
    ///
    /// # Errors
    /// What is needed first, or why it cannot be told.
    pub fn member(&self, set: &str, codes: &[Coded]) -> Result<Option<bool>, Unresolved> {
        let bare = codes.iter().any(|c| !matches!(c, Coded::Coding(..)));
        let Some(members) = self.members(set, bare)? else {
            return Ok(None);
        };
        let texts = codes.iter().any(|c| matches!(c, Coded::Text(_)));
        if texts && members.0.len() > 1 {
            return Ok(None);
        }
        Ok(Some(codes.iter().any(|code| members.has(code))))
    }

    pub(super) fn members(&self, set: &str, bare: bool) -> Result<Option<Arc<Codes>>, Unresolved> {
        let key = (set.to_owned(), bare);
        if let Some(known) = self.compared.sets.borrow().get(&key) {
            return Ok(Some(known.clone()));
        }
        let held = self.held(Need::ValueSet(set.to_owned()))?.is_some();
        if !held && self.specified(set).is_none() {
            return Ok(None);
        }
        let mut members = self.value_set(set, 0)?;
        if bare {
            // Without a system, a code must be one that is there.
            let whole = members.0.iter().filter(|(_, codes)| codes.is_none());
            let whole: Vec<String> = whole.map(|(system, _)| system.clone()).collect();
            for system in whole {
                let all = self.code_system(&system)?.all().into_iter().collect();
                members.0.insert(system, Some(all));
            }
        }
        let members = Arc::new(members);
        self.compared.sets.borrow_mut().insert(key, members.clone());
        Ok(Some(members))
    }

    /// Whether any of the codes on the left is, or is above, any of those on the right; `None` if no
    /// two of them are of one system.
    ///
    /// # Errors
    /// What is needed first, or why it cannot be told.
    pub fn subsumes(&self, left: &[Coded], right: &[Coded]) -> Result<Option<bool>, Unresolved> {
        let mut told = None;
        for above in left {
            for below in right {
                let (Coded::Coding(system, above), Coded::Coding(other, below)) = (above, below)
                else {
                    continue;
                };
                if system != other {
                    continue;
                }
                if above == below || self.is_above(system, above, below)? {
                    return Ok(Some(true));
                }
                told = Some(false);
            }
        }
        Ok(told)
    }

    fn is_above(&self, system: &str, above: &str, below: &str) -> Result<bool, Unresolved> {
        let known = self.compared.systems.borrow().get(system).cloned();
        let of = match known {
            Some(known) => known,
            None => {
                let read = Arc::new(self.code_system(system)?);
                let mut systems = self.compared.systems.borrow_mut();
                systems.insert(system.to_owned(), read.clone());
                read
            }
        };
        Ok(of.is_above(above, below))
    }
}

impl CodeSystem {
    /// Whether a concept is under another one, however deep.
    fn is_above(&self, above: &str, below: &str) -> bool {
        let mut seen: HashSet<&str> = HashSet::from([below]);
        let mut waiting = vec![below];
        while let Some(code) = waiting.pop() {
            for parent in self.parents.get(code).into_iter().flatten() {
                if parent == above {
                    return true;
                }
                if seen.insert(parent) {
                    waiting.push(parent);
                }
            }
        }
        false
    }
}
