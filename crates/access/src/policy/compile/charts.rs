//! Whose chart resources are in, as conditions.

use std::sync::Arc;

use fhir::definitions::{Model, ParamId, ParamKind, TypeId};
use fhir::search::query::{Clause, Match, ParamClause, ReferenceMatch, Test};

use crate::policy::rights::Way;

/// The condition that a resource is in the compartment of one that meets a clause; none if the type
/// never is.
pub(in crate::policy) fn in_compartment(
    model: &'static Model,
    head: TypeId,
    type_id: TypeId,
    inner: &Arc<Clause>,
) -> Option<Clause> {
    if type_id == head {
        return Some(Clause::clone(inner));
    }
    let params = model.compartment(head)?.params(type_id);
    if params.is_empty() {
        return None;
    }
    if let Clause::And(parts) = &**inner
        && let [Clause::Id(ids)] = parts.as_slice()
    {
        return in_own_compartment(model, head, type_id, ids);
    }
    let refers = |param: &ParamId| Clause::Chain {
        param: vec![*param],
        targets: vec![(head, inner.clone())],
    };
    let mut ways: Vec<Clause> = params.iter().map(refers).collect();
    match ways.len() {
        1 => ways.pop(),
        _ => Some(Clause::Or(ways)),
    }
}

/// Parameters that say whose chart a resource is in, of those by which it is in compartments: by the others
/// somebody takes part in it. A type that has none of them is in the charts of all who take part (an Appointment).
const WHOSE: [&str; 3] = ["beneficiary", "patient", "subject"];

/// What is not met.
pub(in crate::policy) fn others(inner: &Arc<Clause>) -> Arc<Clause> {
    Arc::new(Clause::Not(Box::new(Clause::clone(inner))))
}

/// The condition that a resource is in nobody's chart of these others; none where no type of chart is meant.
pub(in crate::policy) fn strays(
    model: &'static Model,
    head: TypeId,
    type_id: TypeId,
    others: &Arc<Clause>,
) -> Option<Clause> {
    if type_id == head || model.type_name(head) != "Patient" {
        return None;
    }
    let says_whose = |param: &&ParamId| {
        let known = model.param_by_id(**param);
        known.is_some_and(|known| WHOSE.contains(&known.code))
    };
    let refers = |param: &ParamId| {
        Clause::Not(Box::new(Clause::Chain {
            param: vec![*param],
            targets: vec![(head, others.clone())],
        }))
    };
    let params = model.compartment(head)?.params(type_id);
    let is_said = params.iter().any(|param| says_whose(&param));
    let whose = params.iter().filter(|p| !is_said || says_whose(p));
    let mut all: Vec<Clause> = whose.map(refers).collect();
    match all.len() {
        0 | 1 => all.pop(),
        _ => Some(Clause::And(all)),
    }
}

/// The same of all but one patient's.
pub(in crate::policy) fn strays_of(
    model: &'static Model,
    type_id: TypeId,
    patient: &base::ResourceId,
) -> Option<Clause> {
    let own = Arc::new(Clause::Id(std::slice::from_ref(patient).into()));
    strays(model, model.type_id("Patient")?, type_id, &others(&own))
}

/// Both of two conditions, of which either may be none.
pub(in crate::policy) fn both(one: Option<Clause>, other: Option<Clause>) -> Option<Clause> {
    match (one, other) {
        (Some(one), Some(other)) => Some(Clause::And(vec![one, other])),
        (one, other) => one.or(other),
    }
}

/// Narrows a way to the chart of one patient; whether the type is ever in one.
pub(in crate::policy) fn narrow_to(
    model: &'static Model,
    type_id: TypeId,
    patient: &base::ResourceId,
    way: &mut Way,
) -> bool {
    let own = std::slice::from_ref(patient);
    let inside = model
        .type_id("Patient")
        .and_then(|head| in_own_compartment(model, head, type_id, own));
    let Some(inside) = inside else {
        return false;
    };
    way.opened = true;
    way.clause = Some(match way.clause.take() {
        None => inside,
        Some(own) => Clause::And(vec![inside, own]),
    });
    true
}

/// In the compartments of known resources: what refers to them, without looking at them.
pub(in crate::policy) fn in_own_compartment(
    model: &'static Model,
    head: TypeId,
    type_id: TypeId,
    ids: &[base::ResourceId],
) -> Option<Clause> {
    if type_id == head {
        return Some(Clause::Id(ids.into()));
    }
    in_compartment_of(model, head, type_id, &named(head, ids))
}

/// Resources as values of a search.
pub(in crate::policy) fn named(head: TypeId, ids: &[base::ResourceId]) -> Arc<[Match]> {
    let one = |id: &base::ResourceId| {
        Match::Reference(ReferenceMatch::Local {
            type_id: head,
            id: id.clone(),
            version: None,
        })
    };
    ids.iter().map(one).collect()
}

/// In the compartments of what these values name; none if the type never is.
pub(in crate::policy) fn in_compartment_of(
    model: &'static Model,
    head: TypeId,
    type_id: TypeId,
    named: &Arc<[Match]>,
) -> Option<Clause> {
    let params = model.compartment(head)?.params(type_id);
    let refers = |param: &ParamId| {
        Clause::Param(ParamClause {
            param: vec![*param],
            kind: ParamKind::Reference,
            test: Test::Any(named.clone()),
        })
    };
    (!params.is_empty()).then(|| Clause::Or(params.iter().map(refers).collect()))
}

/// One of these, of which there is one at least.
pub(in crate::policy) fn any(mut ways: Vec<Clause>) -> Clause {
    match (ways.len(), ways.pop()) {
        (1, Some(one)) => one,
        (_, last) => {
            ways.extend(last);
            Clause::Or(ways)
        }
    }
}
