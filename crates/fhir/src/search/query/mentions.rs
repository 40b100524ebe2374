//! Which parameters of which types a search looks at: asking is a way of reading.

use crate::definitions::{Model, ParamId, TypeId};

use super::{Clause, Match, Query, SortBy, Test};

/// The parameter that stands for a look at the whole of a type.
const WHOLE: ParamId = ParamId(0);

impl Query {
    /// Every parameter that the answer depends on, with the type it is of: conditions, at every
    /// link of chains and `_has`, within `_filter`, sort keys, and the references that includes
    /// follow. Conditions on ids and on the whole content count as parameter 0; value sets that
    /// are looked into as parameter 0 of ValueSet and CodeSystem. The searched types themselves
    /// are in [`Query::types`]; what includes add to the answer is not told here.
    pub fn mentions(&self, model: &Model) -> impl Iterator<Item = (TypeId, ParamId)> {
        let mut found = Vec::new();
        for clause in &self.filter {
            of_clause(clause, &self.types, model, &mut found);
        }
        if self.contained.is_some() {
            found.extend(self.types.iter().map(|t| (*t, WHOLE)));
        }
        for key in &self.sort {
            match &key.by {
                SortBy::Id | SortBy::Score => found.extend(self.types.iter().map(|t| (*t, WHOLE))),
                SortBy::LastUpdated(params) | SortBy::Param(params, _) => {
                    of_params(params, &self.types, &mut found);
                }
            }
        }
        for include in &self.include {
            found.extend(&include.params);
        }
        found.sort_unstable();
        found.dedup();
        found.into_iter()
    }
}

impl Query {
    /// Every reference that is followed, either way: the type that it stands on, its parameter, and the
    /// types that it may lead to; none of those where it is whatever types the parameter has.
    pub(crate) fn hops(&self) -> Vec<Hop> {
        let mut found = Vec::new();
        for clause in &self.filter {
            hops_of(clause, &self.types, &mut found);
        }
        for include in &self.include {
            let to: Vec<TypeId> = include.target.into_iter().collect();
            let params = include.params.iter();
            found.extend(params.map(|(on, param)| (*on, *param, to.clone())));
        }
        found
    }
}

/// See [`Query::hops`].
pub(crate) type Hop = (TypeId, ParamId, Vec<TypeId>);

fn hops_of(clause: &Clause, types: &[TypeId], found: &mut Vec<Hop>) {
    match clause {
        Clause::Chain { param, targets } => {
            let to: Vec<TypeId> = targets.iter().map(|(to, _)| *to).collect();
            let from = types.iter().copied().zip(param.iter().copied());
            found.extend(from.map(|(on, param)| (on, param, to.clone())));
            for (target, inner) in targets {
                hops_of(inner, &[*target], found);
            }
        }
        Clause::Has {
            source,
            param,
            inner,
        } => {
            found.push((*source, *param, types.to_vec()));
            hops_of(inner, &[*source], found);
        }
        Clause::MemberOf { source, inner, .. } => hops_of(inner, &[*source], found),
        Clause::And(clauses) | Clause::Or(clauses) => {
            for clause in clauses {
                hops_of(clause, types, found);
            }
        }
        Clause::ByType(clauses) => {
            for (type_id, clause) in types.iter().zip(clauses) {
                hops_of(clause, &[*type_id], found);
            }
        }
        Clause::Not(part) => hops_of(part, types, found),
        Clause::Param(_) | Clause::Id(_) | Clause::NotId(_) | Clause::Never => {}
    }
}

impl Clause {
    /// Types other than that of the resource itself at whose resources it looks.
    pub fn looks_at(&self, model: &Model) -> Vec<TypeId> {
        let mut found = Vec::new();
        // A type that is none stands for the resource itself.
        let itself = TypeId(u16::MAX);
        of_clause(self, &[itself], model, &mut found);
        let mut types: Vec<TypeId> = found.into_iter().map(|(of, _)| of).collect();
        types.retain(|of| *of != itself);
        types.sort_unstable();
        types.dedup();
        types
    }
}

fn of_clause(clause: &Clause, types: &[TypeId], model: &Model, found: &mut Vec<(TypeId, ParamId)>) {
    match clause {
        Clause::Param(clause) => {
            of_params(&clause.param, types, found);
            if let Test::Any(values) | Test::None(values) = &clause.test {
                values.iter().for_each(|v| of_match(v, model, found));
            }
        }
        Clause::Id(_) | Clause::NotId(_) => found.extend(types.iter().map(|t| (*t, WHOLE))),
        Clause::Chain { param, targets } => {
            of_params(param, types, found);
            for (target, inner) in targets {
                found.push((*target, WHOLE));
                of_clause(inner, &[*target], model, found);
            }
        }
        Clause::Has {
            source,
            param,
            inner,
        } => {
            found.push((*source, *param));
            of_clause(inner, &[*source], model, found);
        }
        Clause::MemberOf {
            param,
            source,
            member,
            inner,
        } => {
            of_params(param, types, found);
            found.push((*source, *member));
            of_clause(inner, &[*source], model, found);
        }
        Clause::And(clauses) | Clause::Or(clauses) => {
            for clause in clauses {
                of_clause(clause, types, model, found);
            }
        }
        Clause::ByType(clauses) => {
            for (type_id, clause) in types.iter().zip(clauses) {
                of_clause(clause, &[*type_id], model, found);
            }
        }
        Clause::Not(part) => of_clause(part, types, model, found),
        Clause::Never => {}
    }
}

/// Values that are looked up in other resources.
fn of_match(value: &Match, model: &Model, found: &mut Vec<(TypeId, ParamId)>) {
    match value {
        Match::InValueSet { .. } | Match::Subsumed { .. } => {
            let named = ["ValueSet", "CodeSystem"].iter();
            found.extend(named.filter_map(|n| model.type_id(n)).map(|t| (t, WHOLE)));
        }
        Match::Hierarchy {
            type_id, part_of, ..
        } => found.push((*type_id, *part_of)),
        Match::Unequal(inner) => of_match(inner, model, found),
        _ => {}
    }
}

fn of_params(params: &[ParamId], types: &[TypeId], found: &mut Vec<(TypeId, ParamId)>) {
    found.extend(types.iter().copied().zip(params.iter().copied()));
}
