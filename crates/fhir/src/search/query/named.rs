//! Whom a search asks about by name: what it finds, and that it finds nothing, says something of them.

use base::ResourceId;

use super::{Clause, Match, Query, ReferenceMatch, Test};
use crate::definitions::TypeId;

impl Query {
    /// Resources of a type that it names, by their ids or as what others refer to, at every link of chains and
    /// `_has`; at most so many, each once. Those that it is to find nothing of are not named.
    pub fn named(&self, of: TypeId, max: usize) -> Vec<ResourceId> {
        let mut named = Named {
            of,
            max,
            ids: Vec::new(),
        };
        for clause in &self.filter {
            named.clause(clause, &self.types);
        }
        named.ids
    }
}

struct Named {
    of: TypeId,
    max: usize,
    ids: Vec<ResourceId>,
}

impl Named {
    fn clause(&mut self, clause: &Clause, types: &[TypeId]) {
        match clause {
            Clause::Param(param) => {
                if let Test::Any(values) = &param.test {
                    values.iter().for_each(|value| self.value(value));
                }
            }
            Clause::Id(ids) if types.contains(&self.of) => ids.iter().for_each(|id| self.add(id)),
            Clause::Chain { targets, .. } => {
                for (target, inner) in targets {
                    self.clause(inner, &[*target]);
                }
            }
            Clause::Has { source, inner, .. } | Clause::MemberOf { source, inner, .. } => {
                self.clause(inner, &[*source]);
            }
            Clause::And(parts) | Clause::Or(parts) => {
                parts.iter().for_each(|part| self.clause(part, types));
            }
            Clause::ByType(parts) => {
                for (type_id, part) in types.iter().zip(parts) {
                    self.clause(part, &[*type_id]);
                }
            }
            Clause::Id(_) | Clause::NotId(_) | Clause::Not(_) | Clause::Never => {}
        }
    }

    fn value(&mut self, value: &Match) {
        match value {
            Match::Reference(ReferenceMatch::Local { type_id, id, .. }) if *type_id == self.of => {
                self.add(id);
            }
            Match::Reference(ReferenceMatch::AnyType { id, types }) if types.contains(&self.of) => {
                self.add(id);
            }
            Match::Composite(parts) => parts.iter().for_each(|part| self.value(part)),
            _ => {}
        }
    }

    fn add(&mut self, id: &ResourceId) {
        if self.ids.len() < self.max && !self.ids.contains(id) {
            self.ids.push(id.clone());
        }
    }
}
