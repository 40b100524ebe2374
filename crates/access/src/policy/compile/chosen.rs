//! Scopes with a query that the caller chose: asking for one is a search of theirs, since what it lets
//! through tells what they asked.

use std::sync::Arc;

use fhir::definitions::TypeId;
use fhir::search::guarded::looks_behind;
use fhir::search::query::{Clause, Query};

use super::Surroundings;
use crate::action::ActionName;
use crate::policy::rights::Rule;

/// What is seen of one type without the scope.
pub(super) struct Seen {
    /// The rules of all actions: what one of them hides is asked about by none.
    rules: Vec<Arc<Rule>>,
    /// Which resources are read or found; all without.
    rows: Option<Clause>,
}

impl Seen {
    /// By the rules of each action; nothing where neither reading nor searching has one.
    pub(super) fn of(rules: impl Iterator<Item = (ActionName, Arc<Rule>)>) -> Option<Self> {
        let rules: Vec<(ActionName, Arc<Rule>)> = rules.collect();
        let shows = |action: ActionName| matches!(action, ActionName::Read | ActionName::Search);
        let showing: Vec<&Arc<Rule>> = rules
            .iter()
            .filter_map(|(action, rule)| shows(*action).then_some(rule))
            .collect();
        if showing.is_empty() {
            return None;
        }
        let filters: Option<Vec<&Clause>> = showing.iter().map(|rule| rule.filter()).collect();
        let rows = filters.map(|filters| {
            let mut rows: Vec<Clause> = Vec::new();
            for filter in filters {
                if !rows.contains(filter) {
                    rows.push(filter.clone());
                }
            }
            Clause::Or(rows)
        });
        Some(Self {
            rows,
            rules: rules.into_iter().map(|(_, rule)| rule).collect(),
        })
    }

    /// Whether a query looks at nothing but what is shown of the resource itself: not at what is hidden, nor
    /// at other resources, whose rules it would go around.
    pub(super) fn lets(&self, query: &Query, surroundings: &Surroundings<'_>) -> bool {
        let model = surroundings.model;
        let elsewhere = |clause: &Clause| !clause.looks_at(model).is_empty();
        let behind = |rule: &Arc<Rule>| {
            let mask = |_: TypeId| rule.hidden();
            looks_behind(model, surroundings.customs, query, mask).is_some()
        };
        !query.filter.iter().any(elsewhere) && !self.rules.iter().any(behind)
    }

    /// What an action reaches that shows nothing itself: what is seen otherwise.
    pub(super) fn narrowing(&self, action: ActionName) -> Option<Clause> {
        let blind = matches!(action, ActionName::Update | ActionName::Delete);
        self.rows.clone().filter(|_| blind)
    }
}
