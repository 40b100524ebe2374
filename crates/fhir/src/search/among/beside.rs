//! What criteria ask of stored resources that a transaction leaves alone, where they are also about
//! others that it changes: a chain leads to what those will be, not to what they were.

use std::sync::Arc;

use base::ResourceId;

use super::super::holds_canonicals;
use super::super::query::{Clause, Match, ParamClause, ReferenceMatch, Test};
use super::{Among, Fresh, references};
use crate::definitions::{ParamId, ParamKind, TypeId};

/// Resources that are taken away.
pub type Gone<'g> = &'g [(TypeId, ResourceId)];

impl Among<'_> {
    /// The clauses of a search of this type for what is stored and not written, as it will be found
    /// when the others are written and these are gone; `None` while that depends on what
    /// [`Among::questions`] are, or would be too much work.
    pub fn beside(
        &self,
        type_id: TypeId,
        clauses: &[Clause],
        gone: Gone<'_>,
    ) -> Option<Vec<Clause>> {
        // All of them are looked at, so that all questions are asked at once.
        let each: Vec<Option<Clause>> = clauses
            .iter()
            .map(|clause| self.rewritten(type_id, clause, gone))
            .collect();
        each.into_iter().collect()
    }

    fn rewritten(&self, of: TypeId, clause: &Clause, gone: Gone<'_>) -> Option<Clause> {
        let each = |parts: &[Clause]| self.beside(of, parts, gone);
        Some(match clause {
            Clause::And(parts) => Clause::And(each(parts)?),
            Clause::Or(parts) => Clause::Or(each(parts)?),
            Clause::ByType(parts) => Clause::ByType(each(parts)?),
            Clause::Not(part) => Clause::Not(Box::new(self.rewritten(of, part, gone)?)),
            Clause::Param(param) => {
                if hierarchies(param).any(|of| self.changes(of, gone)) {
                    return self.cannot("`:below` and `:above` over a hierarchy");
                }
                clause.clone()
            }
            Clause::Chain { param, targets } => {
                let mut led = targets.iter().map(|(to, _)| *to);
                if self.by_canonical(of, param.first().copied())
                    && led.any(|to| self.writes(to) || self.changes(to, gone))
                {
                    return self.cannot("a chain along canonicals");
                }
                let each: Vec<_> = targets
                    .iter()
                    .map(|(to, inner)| Some((*to, Arc::new(self.target(*to, inner, gone)?))))
                    .collect();
                Clause::Chain {
                    param: param.clone(),
                    targets: each.into_iter().collect::<Option<_>>()?,
                }
            }
            Clause::Has {
                source,
                param,
                inner,
            } => {
                if self.by_canonical(*source, Some(*param)) && self.writes(*source) {
                    return self.cannot("`_has` along canonicals");
                }
                let (held, rest) = self.apart(*source, inner, gone);
                let (held, rest) = (held?, rest?);
                let others = Clause::Has {
                    source: *source,
                    param: *param,
                    inner: Arc::new(rest),
                };
                let referred = held.iter().flat_map(|one| references(&one.rows, *param));
                let mut ids: Vec<ResourceId> = referred
                    .filter(|(to, _)| *to == of)
                    .map(|(_, id)| id.clone())
                    .collect();
                ids.sort_unstable();
                ids.dedup();
                or_these(others, ids)
            }
            Clause::MemberOf {
                param,
                source,
                member,
                inner,
            } => {
                let (held, rest) = self.apart(*source, inner, gone);
                let (held, rest) = (held?, rest?);
                let others = Clause::MemberOf {
                    param: param.clone(),
                    source: *source,
                    member: *member,
                    inner: Arc::new(rest),
                };
                let listed = held.iter().flat_map(|one| references(&one.rows, *member));
                let listed: Vec<Match> = listed
                    .map(|(type_id, id)| {
                        Match::Reference(ReferenceMatch::Local {
                            type_id,
                            id: id.clone(),
                            version: None,
                        })
                    })
                    .collect();
                if listed.is_empty() {
                    return Some(others);
                }
                let refers = Clause::Param(ParamClause {
                    param: param.clone(),
                    kind: ParamKind::Reference,
                    test: Test::Any(listed.into()),
                });
                Clause::Or(vec![others, refers])
            }
            Clause::Id(_) | Clause::NotId(_) | Clause::Never => clause.clone(),
        })
    }

    fn cannot<T>(&self, what: &'static str) -> Option<T> {
        self.unsaid.set(Some(what));
        None
    }

    /// Whether a parameter of a type leads on by canonicals.
    fn by_canonical(&self, of: TypeId, param: Option<ParamId>) -> bool {
        param.is_some_and(|param| holds_canonicals(self.model, self.customs, of, param))
    }

    /// Whether one of a type is written.
    fn writes(&self, type_id: TypeId) -> bool {
        self.fresh.iter().any(|one| one.type_id == type_id)
    }

    /// Whether a stored one of a type becomes another or is taken away.
    fn changes(&self, type_id: TypeId, gone: Gone<'_>) -> bool {
        let mut stored = self.fresh.iter().filter(|one| !one.new);
        stored.any(|one| one.type_id == type_id) || gone.iter().any(|(of, _)| *of == type_id)
    }

    /// A clause about what a chain leads to.
    fn target(&self, to: TypeId, inner: &Clause, gone: Gone<'_>) -> Option<Clause> {
        let (held, rest) = self.apart(to, inner, gone);
        let (held, rest) = (held?, rest?);
        // Nothing stored refers to what gets its id now.
        let there = held.into_iter().filter(|one| !one.new);
        Some(or_these(rest, there.map(|one| one.id.clone()).collect()))
    }

    /// Those of a type that are written and meet a clause, and the clause for all others.
    fn apart(
        &self,
        type_id: TypeId,
        clause: &Clause,
        gone: Gone<'_>,
    ) -> (Option<Vec<&Fresh>>, Option<Clause>) {
        let own = || self.fresh.iter().filter(move |one| one.type_id == type_id);
        let each: Vec<(&Fresh, Option<bool>)> = own()
            .map(|one| (&**one, self.clause(&one.eye(), clause)))
            .collect();
        let held = each
            .iter()
            .map(|(one, holds)| holds.map(|holds| (*one, holds)))
            .collect::<Option<Vec<_>>>();
        let held = held.map(|all| {
            let met = all.into_iter().filter(|(_, holds)| *holds);
            met.map(|(one, _)| one).collect()
        });
        let mut changed: Vec<ResourceId> = own()
            .filter(|one| !one.new)
            .map(|one| one.id.clone())
            .collect();
        let gone_of = gone.iter().filter(|(t, _)| *t == type_id);
        changed.extend(gone_of.map(|(_, id)| id.clone()));
        let rest = self.rewritten(type_id, clause, gone).map(|rest| {
            if changed.is_empty() {
                rest
            } else {
                Clause::And(vec![Clause::NotId(changed), rest])
            }
        });
        (held, rest)
    }
}

/// The types whose hierarchies a condition is about.
fn hierarchies(param: &ParamClause) -> impl Iterator<Item = TypeId> {
    let values = match &param.test {
        Test::Missing(_) => &[],
        Test::Any(values) | Test::None(values) => &**values,
    };
    values.iter().filter_map(|value| match value {
        Match::Hierarchy { type_id, .. } => Some(*type_id),
        _ => None,
    })
}

fn or_these(clause: Clause, ids: Vec<ResourceId>) -> Clause {
    if ids.is_empty() {
        clause
    } else {
        Clause::Or(vec![clause, Clause::Id(ids.into())])
    }
}
