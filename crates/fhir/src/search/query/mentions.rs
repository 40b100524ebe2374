//! Which parameters of which types a search looks at: asking is a way of reading.

use crate::definitions::{Model, ParamId, TypeId};

use super::{Clause, Query, SortBy};

impl Query {
    /// Every parameter that the answer depends on, with the type it is of: conditions, at every
    /// link of chains and `_has`, sort keys, and the references that includes follow. Conditions on
    /// ids count as the parameter `_id`. The searched types themselves are in [`Query::types`];
    /// what includes add to the answer is not told here.
    pub fn mentions(&self, model: &Model) -> impl Iterator<Item = (TypeId, ParamId)> {
        let mut found = Vec::new();
        for clause in &self.filter {
            of_clause(clause, &self.types, model, &mut found);
        }
        for key in &self.sort {
            match &key.by {
                SortBy::Id => of_ids(&self.types, model, &mut found),
                SortBy::LastUpdated(params) | SortBy::Param(params, _) => {
                    of_params(params, model, &mut found);
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

fn of_clause(clause: &Clause, types: &[TypeId], model: &Model, found: &mut Vec<(TypeId, ParamId)>) {
    match clause {
        Clause::Param(clause) => of_params(&clause.param, model, found),
        Clause::Id(_) | Clause::NotId(_) => of_ids(types, model, found),
        Clause::Chain { param, targets } => {
            of_params(param, model, found);
            for (target, inner) in targets {
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
        Clause::Never => {}
    }
}

fn of_params(params: &[ParamId], model: &Model, found: &mut Vec<(TypeId, ParamId)>) {
    found.extend(
        params
            .iter()
            .filter_map(|id| model.param_by_id(*id))
            .map(|p| (p.type_id, p.id)),
    );
}

fn of_ids(types: &[TypeId], model: &Model, found: &mut Vec<(TypeId, ParamId)>) {
    found.extend(
        types
            .iter()
            .filter_map(|t| model.param(*t, "_id"))
            .map(|p| (p.type_id, p.id)),
    );
}
