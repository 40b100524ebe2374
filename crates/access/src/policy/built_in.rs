//! What a policy says and does not write out, for one caller: refusals that it switches on, and charts that
//! grants leave to consents and care teams to open.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use fhir::definitions::TypeId;
use fhir::search::query::Clause;

use super::compile::{Surroundings, is_binary, lacks_context};
use super::consent::{Asking, Charts, Refusals, Refused, cared_for};
use super::document::{By, ConsentRules, Document, LabelRules};
use super::labels;
use super::rights::Way;
use super::subject::Subject;
use crate::action::ActionName;

/// What is opened of a type; none if nothing.
type Charted = Option<Arc<Clause>>;

/// Patients' consents, security labels, care teams.
#[derive(Default)]
pub(super) struct BuiltIn<'a> {
    caller: Option<(&'a Subject<'a>, &'a Surroundings<'a>)>,
    /// Charts of patients whom the caller cares for, once it was asked.
    cared_for: OnceCell<Option<Charts>>,
    /// What was opened, of a type for an action.
    opened: RefCell<HashMap<(By, TypeId, ActionName), Charted>>,
    consents: Option<Refusals<'a>>,
    labels: Option<LabelRules>,
    /// Whether consents leave open what was opened.
    emergency: bool,
    /// What labels withhold of a type, once it was looked at.
    labelled: RefCell<HashMap<TypeId, Result<Option<Clause>, ()>>>,
}

impl<'a> BuiltIn<'a> {
    pub(super) fn of(
        document: &Document,
        subject: &'a Subject<'a>,
        surroundings: &'a Surroundings<'a>,
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
            caller: Some((subject, surroundings)),
            cared_for: OnceCell::new(),
            opened: RefCell::default(),
            consents,
            labels: document.label_rules(),
            emergency,
            labelled: RefCell::default(),
        }
    }

    /// What is left of ways by which an action reaches a type, for somebody who administers or does not,
    /// and what is refused of all of them. Consents narrow each way but, in an emergency, those that were
    /// opened: what is seen only because it was opened is seen by that way, and told so.
    pub(super) fn withheld(
        &self,
        (type_id, consents): (TypeId, Option<&Refused>),
        mut ways: Vec<Way>,
        subject: &Subject<'_>,
        surroundings: &Surroundings<'_>,
    ) -> (Vec<Way>, Vec<Clause>) {
        let mut never = match self.by_labels(subject, type_id, surroundings) {
            Refused::Nothing => Vec::new(),
            Refused::Some(clauses) => clauses,
            Refused::Everything => return (Vec::new(), Vec::new()),
        };
        let lifts = |way: &Way| self.emergency && way.opened;
        match consents.unwrap_or(&Refused::Nothing) {
            Refused::Nothing => {}
            Refused::Some(clauses) if ways.iter().any(lifts) => {
                let left = Clause::Not(Box::new(Clause::Or(clauses.clone())));
                for way in ways.iter_mut().filter(|way| !lifts(way)) {
                    way.clause = Some(match way.clause.take() {
                        None => left.clone(),
                        Some(own) => Clause::And(vec![own, left.clone()]),
                    });
                }
            }
            Refused::Some(clauses) => never.extend(clauses.iter().cloned()),
            Refused::Everything => ways.retain(lifts),
        }
        (ways, never)
    }

    /// Resources of a type that something opens to the caller for an action; none where it opens none of them.
    pub(super) fn opened(&self, by: By, action: ActionName, type_id: TypeId) -> Charted {
        let mut opened = self.opened.borrow_mut();
        if let Some(found) = opened.get(&(by, type_id, action)) {
            return found.clone();
        }
        let found = self.opened_now(by, action, type_id);
        // Actions of which it is the same share it.
        let same = |clause: &Clause| {
            let of_type = opened
                .iter()
                .filter(|((b, t, _), _)| *b == by && *t == type_id);
            let mut known = of_type.filter_map(|(_, known)| known.as_ref());
            known.find(|known| ***known == *clause).cloned()
        };
        let found = found.map(|clause| same(&clause).unwrap_or_else(|| Arc::new(clause)));
        opened.insert((by, type_id, action), found.clone());
        found
    }

    fn opened_now(&self, by: By, action: ActionName, type_id: TypeId) -> Option<Clause> {
        let (subject, surroundings) = self.caller?;
        let model = surroundings.model;
        if is_binary(model, type_id) {
            // It is in no chart; which contexts those are is said last.
            return (!action.writes()).then(|| lacks_context(false));
        }
        match by {
            // These are said with the grant.
            By::Network | By::Facility => None,
            By::Consent => {
                let consents = self.consents.as_ref()?;
                consents.permitted(action, type_id, model)
            }
            By::CareTeam => {
                let charts = self
                    .cared_for
                    .get_or_init(|| cared_for(subject, surroundings));
                charts.as_ref()?.of_type(model, type_id, action.writes())
            }
        }
    }

    /// Whether consents count.
    pub(super) const fn counts_consents(&self) -> bool {
        self.consents.is_some()
    }

    /// Whether consents leave open what was opened.
    pub(super) const fn lifts(&self) -> bool {
        self.emergency
    }

    /// What consents refuse, where nothing was opened; the same for actions of which it is. None where
    /// they do not count.
    pub(super) fn by_consents(
        &self,
        action: ActionName,
        type_id: TypeId,
        administers: bool,
    ) -> Option<Arc<Refused>> {
        let consents = self.consents.as_ref()?;
        Some(consents.refused(action, type_id, administers))
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

/// What accesses of somebody are for: of each of their roles its own purposes, else those of everybody,
/// all together; unknown where nothing is said of one of them.
fn purposes(rules: &ConsentRules, subject: &Subject<'_>) -> Option<Vec<String>> {
    let of = |role: &str| rules.purposes.get(role).or_else(|| rules.purposes.get("*"));
    if subject.roles.is_empty() {
        return rules.purposes.get("*").cloned();
    }
    let mut all = Vec::new();
    for held in subject.roles {
        all.extend(of(&held.role)?.iter().cloned());
    }
    all.sort_unstable();
    all.dedup();
    Some(all)
}
