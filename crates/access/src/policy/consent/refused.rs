//! What consents refuse one caller, by type, as clauses. Knows nothing of where consents are kept.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use base::ResourceId;
use base::limits::fixed::{CONSENT_CLAUSES_IN_ALL_MAX, CONSENT_PATIENTS_MAX, CONSENT_RULES_MAX};
use fhir::definitions::TypeId;
use fhir::search::query::{Clause, Match};

use super::asking::Asking;
use super::formula::Formula;
use super::permits::Permits;
use super::{Consent, Consents};
use crate::action::ActionName;
use crate::policy::compile::{
    in_compartment, in_compartment_of, in_own_compartment, named, understood,
};
use crate::policy::variables::Values;

/// What consents refuse of a type.
#[derive(Clone, Debug)]
pub(in crate::policy) enum Refused {
    Nothing,
    Some(Vec<Clause>),
    Everything,
}

/// Of which actions a refusal is the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Acts {
    Any,
    Of(ActionName),
    Changes,
}

/// Patients by id, as a search names them. Lists that are the same are there once.
#[derive(Default)]
struct Lists(HashMap<Vec<ResourceId>, Arc<[Match]>>);

/// Patients' consents, ready to be asked about one caller: those that may refuse them something, and what
/// they permit.
pub(in crate::policy) struct Refusals<'a> {
    pub(super) asking: Asking<'a>,
    pub(super) consents: &'a Consents,
    /// What they permit, once it was asked for.
    pub(super) permits: OnceCell<Permits>,
    some: Vec<&'a Consent>,
    /// Patients of those that could not be read; none: of any.
    broken: Vec<&'a Option<ResourceId>>,
    overflow: bool,
    /// Some of them say something of actions.
    by_action: bool,
    /// What was found, by type.
    known: RefCell<HashMap<(TypeId, Acts), Arc<Refused>>>,
    lists: RefCell<Lists>,
    /// Conditions and values that there is room for.
    left: Cell<usize>,
}

impl<'a> Refusals<'a> {
    pub(in crate::policy) fn of(asking: Asking<'a>, consents: &'a Consents) -> Self {
        let own = asking.subject.fhir_user;
        let patient = asking.surroundings.model.type_id("Patient");
        let theirs =
            |c: &Consent| own.is_some_and(|(of, id)| Some(of) == patient && *id == c.patient);
        let mut some = Vec::new();
        let mut overflow = false;
        for consent in consents.known.values() {
            // Patients are not kept from their own record.
            if theirs(consent) || !asking.concerned(&consent.rule) {
                continue;
            }
            if some.len() >= CONSENT_PATIENTS_MAX {
                overflow = true;
                break;
            }
            some.push(&**consent);
        }
        some.sort_by(|a, b| a.patient.as_str().cmp(b.patient.as_str()));
        Self {
            asking,
            consents,
            permits: OnceCell::new(),
            by_action: some.iter().any(|consent| consent.names_actions()),
            some,
            broken: consents.broken.values().collect(),
            overflow,
            known: RefCell::default(),
            lists: RefCell::default(),
            left: Cell::new(CONSENT_CLAUSES_IN_ALL_MAX),
        }
    }

    /// What is refused of an action on a type. Consents themselves are read and made whatever they say;
    /// who is refused something may not change or remove what refuses it, unless they administer.
    pub(in crate::policy) fn refused(
        &self,
        action: ActionName,
        type_id: TypeId,
        administers: bool,
    ) -> Arc<Refused> {
        let model = self.asking.surroundings.model;
        let name = model.type_name(type_id);
        let own = name == "Consent";
        let acts = match (own, self.by_action) {
            (true, _) if changes(action) && !administers => Acts::Changes,
            (true, _) => Acts::Any,
            (false, false) => Acts::Any,
            (false, true) if matches!(action, ActionName::Search | ActionName::History) => {
                Acts::Of(ActionName::Read)
            }
            (false, true) => Acts::Of(action),
        };
        if let Some(found) = self.known.borrow().get(&(type_id, acts)) {
            return found.clone();
        }
        let found = match name {
            "AuditEvent" => Refused::Nothing,
            _ if own && acts == Acts::Any => Refused::Nothing,
            _ => self.refused_of(action, type_id, own),
        };
        let found = Arc::new(found);
        let mut known = self.known.borrow_mut();
        known.insert((type_id, acts), found.clone());
        found
    }

    fn refused_of(&self, action: ActionName, type_id: TypeId, own: bool) -> Refused {
        let model = self.asking.surroundings.model;
        let Some(patient) = model.type_id("Patient") else {
            return Refused::Everything;
        };
        let concerned = in_own_compartment(model, patient, type_id, &[]).is_some();
        if !concerned {
            return Refused::Nothing;
        }
        if self.broken.iter().any(|patient| patient.is_none()) {
            return Refused::Everything;
        }
        if self.overflow || self.left.get() == 0 {
            return self.coarse(patient, type_id);
        }
        let mut whole: Vec<ResourceId> = self.broken.iter().copied().flatten().cloned().collect();
        let mut clauses = Vec::new();
        for consent in &self.some {
            let denied = match own {
                true => Formula::Always,
                false => self.asking.denied_for(&consent.rule, action, type_id),
            };
            match denied {
                Formula::Never => {}
                Formula::Always | Formula::Vast => whole.push(consent.patient.clone()),
                Formula::Where(clause, size) => {
                    let left = self.left.get().saturating_sub(size);
                    self.left.set(left);
                    if left == 0 || clauses.len() >= CONSENT_RULES_MAX {
                        return self.coarse(patient, type_id);
                    }
                    let inside = self.inside(patient, type_id, vec![consent.patient.clone()]);
                    clauses.extend(inside.map(|inside| Clause::And(vec![inside, clause])));
                }
            }
        }
        whole.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        whole.dedup();
        if !whole.is_empty() {
            clauses.extend(self.inside(patient, type_id, whole));
        }
        match clauses.is_empty() {
            true => Refused::Nothing,
            false => Refused::Some(clauses),
        }
    }

    /// The charts of these patients.
    fn inside(&self, patient: TypeId, type_id: TypeId, ids: Vec<ResourceId>) -> Option<Clause> {
        if type_id == patient {
            return Some(Clause::Id(ids.into()));
        }
        let mut lists = self.lists.borrow_mut();
        let these = lists.0.entry(ids);
        let these = these.or_insert_with_key(|ids| named(patient, ids));
        in_compartment_of(self.asking.surroundings.model, patient, type_id, these)
    }

    /// Too many to be named one by one: the charts of all who have a consent.
    fn coarse(&self, patient: TypeId, type_id: TypeId) -> Refused {
        let text = "_has:Consent:patient:status=active";
        let (values, around) = (Values::default(), self.asking.surroundings);
        let Ok(all) = understood(patient, text, &values, around, "consents") else {
            return Refused::Everything;
        };
        let mut clauses = Vec::new();
        clauses.extend(in_compartment(around.model, patient, type_id, &all.into()));
        let broken: Vec<ResourceId> = self.broken.iter().copied().flatten().cloned().collect();
        if !broken.is_empty() {
            clauses.extend(self.inside(patient, type_id, broken));
        }
        match clauses.is_empty() {
            true => Refused::Nothing,
            false => Refused::Some(clauses),
        }
    }
}

pub(super) const fn changes(action: ActionName) -> bool {
    matches!(action, ActionName::Update | ActionName::Delete)
}
