//! Conditions on resources as they are put together: what is known of them for sure, and at most, and how
//! large they are. Knows nothing of consents.

use std::sync::Arc;

use base::limits::fixed::CONSENT_CLAUSES_MAX;
use fhir::search::query::{Clause, Match, ParamClause, Test};

/// What is known of a condition: for sure, and at most.
pub(super) struct Bound {
    pub(super) surely: Formula,
    pub(super) at_most: Formula,
}

/// A condition on resources.
#[derive(Clone, Debug)]
pub(super) enum Formula {
    Never,
    Always,
    /// With its size ([`Clause::size`]).
    Where(Clause, usize),
    /// It has more than [`CONSENT_CLAUSES_MAX`] parts: nothing is known of it.
    Vast,
}

impl Formula {
    pub(super) const fn of(holds: bool) -> Self {
        match holds {
            true => Self::Always,
            false => Self::Never,
        }
    }

    pub(super) fn of_clause(clause: Clause) -> Self {
        let size = clause.size();
        Self::bounded(clause, size)
    }

    fn bounded(clause: Clause, size: usize) -> Self {
        match size > CONSENT_CLAUSES_MAX {
            true => Self::Vast,
            false => Self::Where(clause, size),
        }
    }

    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never, _) | (_, Self::Never) => Self::Never,
            (Self::Always, other) | (other, Self::Always) => other,
            (Self::Where(a, of_a), Self::Where(b, of_b)) => {
                Self::bounded(Clause::And(vec![a, b]), of_a + of_b + 1)
            }
            (Self::Vast, _) | (_, Self::Vast) => Self::Vast,
        }
    }

    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Always, _) | (_, Self::Always) => Self::Always,
            (Self::Never, other) | (other, Self::Never) => other,
            (Self::Where(a, of_a), Self::Where(b, of_b)) => {
                Self::bounded(Clause::Or(vec![a, b]), of_a + of_b + 1)
            }
            (Self::Vast, _) | (_, Self::Vast) => Self::Vast,
        }
    }

    pub(super) fn not(self) -> Self {
        match self {
            Self::Never => Self::Always,
            Self::Always => Self::Never,
            Self::Where(clause, size) => Self::bounded(Clause::Not(Box::new(clause)), size + 1),
            Self::Vast => Self::Vast,
        }
    }
}

impl Bound {
    pub(super) fn sure(formula: Formula) -> Self {
        Self {
            surely: formula.clone(),
            at_most: formula,
        }
    }

    pub(super) fn unclear() -> Self {
        Self {
            surely: Formula::Never,
            at_most: Formula::Always,
        }
    }

    /// With values that are there already, where they are the same.
    pub(super) fn sharing(self, known: &mut Option<Arc<[Match]>>) -> Self {
        match (self.surely, self.at_most) {
            (Formula::Where(clause, _), Formula::Where(..)) => {
                let (clause, size) = shared(clause, known);
                Self::sure(Formula::bounded(clause, size))
            }
            (surely, at_most) => Self { surely, at_most },
        }
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self {
            surely: self.surely.or(other.surely),
            at_most: self.at_most.or(other.at_most),
        }
    }

    /// Any of these hold, and perhaps more.
    pub(super) fn with_others(formula: Formula, others: bool) -> Self {
        match others {
            true => Self {
                surely: formula,
                at_most: Formula::Always,
            },
            false => Self::sure(formula),
        }
    }
}

/// A comparison with values that are known already, and how much it adds to them.
fn shared(clause: Clause, known: &mut Option<Arc<[Match]>>) -> (Clause, usize) {
    let whole = clause.size();
    let mut parts = match clause {
        Clause::And(parts) => parts,
        other => vec![other],
    };
    if let [
        Clause::Param(ParamClause {
            test: Test::Any(values),
            ..
        }),
    ] = parts.as_mut_slice()
    {
        match known {
            Some(known) if **known == **values => {
                *values = known.clone();
                return (Clause::And(parts), 2);
            }
            Some(_) => {}
            None => *known = Some(values.clone()),
        }
    }
    (Clause::And(parts), whole)
}
