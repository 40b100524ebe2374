//! What patients' consents permit one caller, for grants that give nothing else. What is not surely
//! permitted is not: consents that are out of their period, are about others, other purposes, actions or
//! types, or cannot be evaluated, open nothing.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use base::ResourceId;
use base::limits::fixed::{CHARTS_OPENED_MAX, CONSENT_CLAUSES_IN_ALL_MAX, CONSENT_RULES_MAX};
use fhir::definitions::{Model, TypeId};
use fhir::search::query::Clause;

use super::charts::Charts;
use super::formula::Formula;
use super::refused::changes;
use super::{Asking, Condition, Consents, Node, Refusals, Rule};
use crate::action::ActionName;

/// Consents that may permit one caller something.
pub(super) struct Permits {
    /// What is left of them once all that is about the caller is known, and whose they are: most say
    /// the same.
    groups: Vec<(Node, Vec<ResourceId>)>,
    /// Some of them say something of actions.
    by_action: bool,
    /// The charts of the patients of some groups.
    charts: RefCell<HashMap<Vec<usize>, Arc<Charts>>>,
    /// What was found, by type, of reading or of one action.
    known: RefCell<HashMap<(TypeId, Option<ActionName>), Found>>,
    /// Conditions and values that there is room for.
    left: Cell<usize>,
}

/// Charts, and which of what is in them; all without a condition.
type Found = Arc<[(Arc<Charts>, Option<Clause>)]>;

impl Permits {
    fn of(asking: &Asking<'_>, consents: &Consents) -> Self {
        let mut found: HashMap<Node, Vec<ResourceId>> = HashMap::new();
        let now = asking.surroundings.now.0;
        let opening = consents.known.values();
        for consent in opening.filter(|consent| consent.opens.is_some_and(|from| from <= now)) {
            let Rule::Tree { root, .. } = &consent.rule else {
                continue;
            };
            if !asking.is_own(consent.base.as_deref()) {
                continue;
            }
            let left = asking.left_of(root);
            if let Some(left) = left.filter(|left| permits_caller(left, false)) {
                let patients = found.entry(left).or_default();
                patients.push(consent.patient.clone());
            }
        }
        let mut groups: Vec<(Node, Vec<ResourceId>)> = found.into_iter().collect();
        for (_, patients) in &mut groups {
            patients.sort_unstable();
            patients.dedup();
        }
        // Those that open most, in an order that does not change.
        groups.sort_by(|(_, a), (_, b)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        groups.truncate(CONSENT_RULES_MAX);
        let mut all: Vec<&ResourceId> = groups.iter().flat_map(|(_, patients)| patients).collect();
        all.sort_unstable();
        all.dedup();
        if let Some(past) = all.get(CHARTS_OPENED_MAX).map(|id| (*id).clone()) {
            for (_, patients) in &mut groups {
                patients.retain(|id| *id < past);
            }
        }
        Self {
            by_action: groups.iter().any(|(left, _)| left.names_actions()),
            groups,
            charts: RefCell::default(),
            known: RefCell::default(),
            left: Cell::new(CONSENT_CLAUSES_IN_ALL_MAX),
        }
    }

    fn permitted(&self, asking: &Asking<'_>, action: ActionName, type_id: TypeId) -> Found {
        let acts = match action {
            _ if !self.by_action => None,
            ActionName::Search | ActionName::History => Some(ActionName::Read),
            action => Some(action),
        };
        if let Some(found) = self.known.borrow().get(&(type_id, acts)) {
            return found.clone();
        }
        let mut whole = Vec::new();
        let mut found = Vec::new();
        for (at, (left, _)) in self.groups.iter().enumerate() {
            match asking.permitted_for(left, action, type_id) {
                Formula::Never | Formula::Vast => {}
                Formula::Always => whole.push(at),
                Formula::Where(clause, size) => {
                    let room = self.left.get().checked_sub(size);
                    self.left.set(room.unwrap_or(0));
                    if room.is_some() {
                        found.push((vec![at], Some(clause)));
                    }
                }
            }
        }
        if !whole.is_empty() {
            found.push((whole, None));
        }
        let found = found.into_iter();
        let found: Found = found
            .filter_map(|(groups, clause)| Some((self.charts(asking, groups)?, clause)))
            .collect();
        let mut known = self.known.borrow_mut();
        known.insert((type_id, acts), found.clone());
        found
    }

    fn charts(&self, asking: &Asking<'_>, groups: Vec<usize>) -> Option<Arc<Charts>> {
        let patient = asking.surroundings.model.type_id("Patient")?;
        let mut charts = self.charts.borrow_mut();
        let charts = charts.entry(groups).or_insert_with_key(|groups| {
            let of = groups.iter().filter_map(|at| self.groups.get(*at));
            let mut ids: Vec<ResourceId> = of.flat_map(|(_, ids)| ids).cloned().collect();
            ids.sort_unstable();
            ids.dedup();
            Arc::new(Charts::of(patient, &ids))
        });
        Some(charts.clone())
    }
}

impl Refusals<'_> {
    /// Resources of a type on which consents permit an action to the caller; none if the type is in no chart.
    pub(in crate::policy) fn permitted(
        &self,
        action: ActionName,
        type_id: TypeId,
        model: &'static Model,
    ) -> Option<Clause> {
        let permits = self
            .permits
            .get_or_init(|| Permits::of(&self.asking, self.consents));
        let found = permits.permitted(&self.asking, action, type_id);
        let one = |(charts, clause): &(Arc<Charts>, Option<Clause>)| {
            let inside = charts.of_type(model, type_id, action.writes())?;
            Some(match clause {
                None => inside,
                Some(clause) => Clause::And(vec![inside, clause.clone()]),
            })
        };
        let ways: Vec<Clause> = found.iter().filter_map(one).collect();
        Some(Clause::Or(ways))
    }
}

impl Asking<'_> {
    /// A provision without what is about callers: none where it surely does not apply to this one now.
    fn left_of(&self, node: &Node) -> Option<Node> {
        let mut conditions = Vec::new();
        for condition in &node.conditions {
            let about_caller = matches!(
                condition,
                Condition::Actors(..) | Condition::Purposes(_) | Condition::Period(..)
            );
            if !about_caller {
                conditions.push(condition.clone());
                continue;
            }
            let bound = self.condition(condition, None);
            match (bound.surely, bound.at_most) {
                (_, Formula::Never) => return None,
                (Formula::Always, _) if matches!(condition, Condition::Actors(..)) => {
                    conditions.push(Condition::Caller);
                }
                (Formula::Always, _) => {}
                _ => conditions.push(Condition::Unclear),
            }
        }
        let exceptions = node.exceptions.iter().filter_map(|e| self.left_of(e));
        Some(Node {
            denies: node.denies,
            conditions,
            exceptions: exceptions.collect(),
        })
    }

    /// What a root surely permits, with what that takes: nobody changes or deletes what they may not look at.
    fn permitted_for(&self, root: &Node, action: ActionName, type_id: TypeId) -> Formula {
        let permitted = self.permitted(root, action, type_id);
        match changes(action) && root.names_actions() {
            true => permitted.and(self.permitted(root, ActionName::Read, type_id)),
            false => permitted,
        }
    }

    /// What a root surely permits.
    fn permitted(&self, root: &Node, action: ActionName, type_id: TypeId) -> Formula {
        let about = Some((action, type_id));
        let applies = self.applies(root, about).surely;
        applies.and(self.permitted_within(root, false, about))
    }

    /// What a provision surely permits where it applies: by itself or an exception, if it or one around it
    /// names the caller, and nothing in it may refuse it.
    fn permitted_within(
        &self,
        node: &Node,
        named: bool,
        about: Option<(ActionName, TypeId)>,
    ) -> Formula {
        let named = named || node.conditions.contains(&Condition::Caller);
        let mut permitted = Formula::of(named && !node.denies);
        for exception in &node.exceptions {
            let applies = self.applies(exception, about).surely;
            if !matches!(applies, Formula::Never) {
                let inside = self.permitted_within(exception, named, about);
                permitted = permitted.or(applies.and(inside));
            }
        }
        match permitted {
            Formula::Never => Formula::Never,
            permitted => permitted.and(self.denied_within(node, about).not()),
        }
    }
}

/// Whether some provision permits what is about the caller.
fn permits_caller(node: &Node, named: bool) -> bool {
    let named = named || node.conditions.contains(&Condition::Caller);
    named && !node.denies || node.exceptions.iter().any(|e| permits_caller(e, named))
}
