//! What a rule looks at besides the row that it is asked about.

use access::TypeSet;
use fhir::definitions::{ParamId, TypeId};
use fhir::search::query::{Clause, Match, ParamClause, ReferenceMatch, Test};

/// What it depends on.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// The type of the rows it is asked about.
    pub(crate) type_id: TypeId,
    others: TypeSet,
    any: bool,
    /// The references over which it looks at others, where it looks no further than one step.
    pub(crate) steps: Option<Vec<ParamId>>,
}

impl Shape {
    /// Of a filter on rows of a type. `canonical`: whether a parameter may name resources of a type by
    /// their URLs. None where it cannot be said what it depends on.
    pub(crate) fn of(
        filter: &Clause,
        type_id: TypeId,
        canonical: &dyn Fn(ParamId, TypeId) -> bool,
    ) -> Option<Self> {
        let mut shape = Self {
            type_id,
            others: TypeSet::EMPTY,
            any: false,
            steps: Some(Vec::new()),
        };
        shape.take(filter, true, canonical)?;
        Some(shape)
    }

    /// Whether it looks at rows of a type on its way.
    pub(super) fn looks_at(&self, type_id: TypeId) -> bool {
        self.any && self.others.contains(type_id)
    }

    /// Whether it looks at other rows at all.
    pub(crate) const fn looks_further(&self) -> bool {
        self.any
    }

    fn meet(&mut self, type_id: TypeId) {
        self.others.add(type_id);
        self.any = true;
    }

    fn take(
        &mut self,
        clause: &Clause,
        first: bool,
        canonical: &dyn Fn(ParamId, TypeId) -> bool,
    ) -> Option<()> {
        match clause {
            Clause::Never | Clause::Id(_) | Clause::NotId(_) => Some(()),
            Clause::And(parts) | Clause::Or(parts) | Clause::ByType(parts) => parts
                .iter()
                .try_for_each(|p| self.take(p, first, canonical)),
            Clause::Not(part) => self.take(part, first, canonical),
            Clause::Param(param) => self.compared(param),
            Clause::Chain { param, targets } => {
                for (type_id, inner) in targets {
                    self.meet(*type_id);
                    let named = param.iter().any(|p| canonical(*p, *type_id));
                    match &mut self.steps {
                        Some(steps) if first && !named => steps.extend(param),
                        _ => self.steps = None,
                    }
                    self.take(inner, false, canonical)?;
                }
                Some(())
            }
            Clause::Has { source, inner, .. } | Clause::MemberOf { source, inner, .. } => {
                self.meet(*source);
                self.steps = None;
                self.take(inner, false, canonical)
            }
        }
    }

    fn compared(&mut self, clause: &ParamClause) -> Option<()> {
        match &clause.test {
            Test::Missing(_) => Some(()),
            Test::Any(values) | Test::None(values) => {
                values.iter().try_for_each(|value| self.value(value))
            }
        }
    }

    fn value(&mut self, value: &Match) -> Option<()> {
        match value {
            Match::InValueSet { .. } | Match::Subsumed { .. } => None,
            Match::Hierarchy { type_id, .. } => {
                self.meet(*type_id);
                self.steps = None;
                Some(())
            }
            Match::Unequal(part) => self.value(part),
            Match::Composite(parts) => parts.iter().try_for_each(|part| self.value(part)),
            _ => Some(()),
        }
    }
}

/// Whether it pays to remember what a filter reaches: not where it is about a patient or two by
/// name, which an index answers at once, and whom few others share.
pub(crate) fn is_worth(filter: &Clause, patient: Option<TypeId>) -> bool {
    const FEW: usize = 2;
    match filter {
        Clause::Never | Clause::Id(_) => false,
        Clause::And(parts) | Clause::Or(parts) => parts.iter().any(|p| is_worth(p, patient)),
        Clause::Param(ParamClause {
            test: Test::Any(values),
            ..
        }) => {
            let named = |value: &Match| {
                matches!(value, Match::Reference(ReferenceMatch::Local { type_id, .. })
                    if Some(*type_id) == patient)
            };
            values.len() > FEW || !values.iter().all(named)
        }
        _ => true,
    }
}
