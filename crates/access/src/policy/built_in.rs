//! Refusals that a policy switches on and does not write out, for one caller.

use std::cell::RefCell;
use std::collections::HashMap;

use fhir::definitions::{Model, TypeId};
use fhir::search::query::Clause;

use super::compile::{Surroundings, in_own_compartment};
use super::consent::{Asking, Refusals, Refused};
use super::document::{ConsentRules, Document, LabelRules};
use super::labels;
use super::subject::Subject;
use crate::action::ActionName;

/// Refusals that a policy switches on and does not write out: patients' consents, security labels.
#[derive(Default)]
pub(super) struct BuiltIn<'a> {
    consents: Option<Refusals<'a>>,
    labels: Option<LabelRules>,
    /// Patients whom consents do not close.
    opened: Vec<base::ResourceId>,
    /// What labels withhold of a type, once it was looked at.
    labelled: RefCell<HashMap<TypeId, Result<Option<Clause>, ()>>>,
}

impl<'a> BuiltIn<'a> {
    pub(super) fn of(
        document: &Document,
        subject: &'a Subject<'a>,
        surroundings: &'a Surroundings<'a>,
        opened: Vec<base::ResourceId>,
    ) -> Self {
        let rules = document.consent_rules();
        let emergency = rules.as_ref().is_some_and(|r| r.emergency);
        let consents = rules.map(|rules| {
            let asking = Asking {
                subject,
                surroundings,
                purposes: purposes(&rules, subject),
            };
            Refusals::of(asking, surroundings.consents)
        });
        Self {
            consents,
            labels: document.label_rules(),
            opened: if emergency { opened } else { Vec::new() },
            labelled: RefCell::default(),
        }
    }

    /// What consents and labels refuse of an action on a type, to somebody who administers or does not; none
    /// if that is everything.
    pub(super) fn withheld(
        &self,
        (action, type_id, administers): (ActionName, TypeId, bool),
        subject: &Subject<'_>,
        surroundings: &Surroundings<'_>,
    ) -> Option<Vec<Clause>> {
        let mut all = Vec::new();
        for refused in [
            self.by_consents(action, type_id, administers, surroundings.model),
            self.by_labels(subject, type_id, surroundings),
        ] {
            match refused {
                Refused::Nothing => {}
                Refused::Some(clauses) => all.extend(clauses),
                Refused::Everything => return None,
            }
        }
        Some(all)
    }

    /// What consents refuse.
    pub(super) fn by_consents(
        &self,
        action: ActionName,
        type_id: TypeId,
        administers: bool,
        model: &'static Model,
    ) -> Refused {
        let Some(consents) = &self.consents else {
            return Refused::Nothing;
        };
        match consents.refused(action, type_id, administers) {
            Refused::Some(clauses) if !self.opened.is_empty() => {
                let patient = model.type_id("Patient");
                let open =
                    patient.and_then(|head| in_own_compartment(model, head, type_id, &self.opened));
                let Some(open) = open else {
                    return Refused::Some(clauses);
                };
                let closed = Clause::Not(Box::new(open));
                Refused::Some(vec![Clause::And(vec![Clause::Or(clauses), closed])])
            }
            refused => refused,
        }
    }

    /// What labels refuse.
    pub(super) fn by_labels(
        &self,
        subject: &Subject<'_>,
        type_id: TypeId,
        surroundings: &Surroundings<'_>,
    ) -> Refused {
        let Some(rules) = &self.labels else {
            return Refused::Nothing;
        };
        // The trail has labels of its own.
        if surroundings.model.type_name(type_id) == "AuditEvent" {
            return Refused::Nothing;
        }
        let mut labelled = self.labelled.borrow_mut();
        let found = labelled
            .entry(type_id)
            .or_insert_with(|| labels::refused(rules, subject, type_id, surroundings));
        match found.clone() {
            Ok(None) => Refused::Nothing,
            Ok(Some(clause)) => Refused::Some(vec![clause]),
            Err(()) => Refused::Everything,
        }
    }
}

/// What accesses of somebody are for: of each of their roles, else of everybody; unknown where nothing is
/// said.
fn purposes(rules: &ConsentRules, subject: &Subject<'_>) -> Option<Vec<String>> {
    let held = subject.roles.iter();
    let own = held.filter_map(|held| rules.purposes.get(&*held.role));
    let own: Vec<String> = own.flatten().cloned().collect();
    match own.is_empty() {
        false => Some(own),
        true => rules.purposes.get("*").cloned(),
    }
}
