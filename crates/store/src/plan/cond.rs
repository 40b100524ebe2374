//! Clauses become conditions on the rows of one type, as far as the permit reaches.
//!
//! Where the permit reaches some rows of a type only, what it reaches them by is one more condition at
//! each place where rows of that type are looked at. Knows no statements.

use access::Sight;
use base::Code;
use fhir::definitions::{ParamId, ParamKind, TypeId};
use fhir::search::query::{Clause, Match, ParamClause, Test as Asked};

use super::Facts;
use super::compare::{Test, tests};
use crate::sqlite::index::{IdKey, Table};
use crate::{Result, StoreError};

/// A condition on a resource of a known type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cond {
    /// Nothing meets it.
    Never,
    /// Some row meets any of these tests.
    Any(Vec<Test>),
    /// No row meets any of these tests.
    None(Vec<Test>),
    /// Whether there is no row of the parameter in any of these tables.
    Missing(bool, i64, &'static [Table]),
    /// Its id is one of these.
    Id(Vec<IdKey>),
    /// Its id is none of these.
    NotId(Vec<IdKey>),
    /// It refers by `param` to a resource of one of these types for which the condition holds.
    Chain {
        /// The reference parameter.
        param: i64,
        /// Types that may be shown, each with its condition.
        targets: Vec<(TypeId, Cond)>,
    },
    /// It names by `param`, a canonical, a resource of one of these types for which the condition
    /// holds.
    Named {
        /// The reference parameter.
        param: i64,
        /// Types that may be shown.
        targets: Vec<Canonical>,
    },
    /// A resource of type `source` refers to it by `param`, and the condition holds for that one.
    Has {
        /// A type that may be shown.
        source: TypeId,
        /// The reference parameter.
        param: i64,
        /// The condition.
        inner: Box<Cond>,
    },
    /// All of these hold; without any, always.
    All(Vec<Cond>),
    /// One of these holds.
    Either(Vec<Cond>),
    /// This does not hold.
    Not(Box<Cond>),
}

/// A type that canonicals name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Canonical {
    /// The type.
    pub(crate) type_id: TypeId,
    /// The parameters of its URL and of its version.
    pub(crate) url: i64,
    pub(crate) version: i64,
    /// What must hold for the resource.
    pub(crate) cond: Cond,
}

/// On whose behalf rows are looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum For<'a> {
    /// A caller, who sees so much.
    Caller(Sight<'a>),
    /// The policy itself, which sees everything.
    Policy,
}

impl For<'_> {
    fn shows(self, type_id: TypeId) -> bool {
        match self {
            Self::Caller(sight) => sight.shows(type_id),
            Self::Policy => true,
        }
    }

    /// Which rows of a type are seen; none: all.
    fn reach(self, type_id: TypeId, facts: &mut dyn Facts) -> Result<Option<Cond>> {
        let Self::Caller(sight) = self else {
            return Ok(None);
        };
        match sight.rule(type_id).and_then(|rule| rule.filter()) {
            None => Ok(None),
            Some(clause) => condition(clause, 0, Self::Policy, facts).map(Some),
        }
    }
}

/// The conditions of a query for the type at `at` of its list, and which rows of that type are seen
/// at all; none of them is [`Cond::All`].
pub(crate) fn conditions(
    filter: &[Clause],
    (at, type_id): (usize, TypeId),
    whom: For<'_>,
    facts: &mut dyn Facts,
) -> Result<Vec<Cond>> {
    let mut all = each(filter, at, whom, facts)?;
    if let Some(reach) = whom.reach(type_id, facts)? {
        flatten(reach, &mut all);
    }
    Ok(all)
}

fn each(filter: &[Clause], at: usize, whom: For<'_>, facts: &mut dyn Facts) -> Result<Vec<Cond>> {
    let mut all = Vec::with_capacity(filter.len());
    for clause in filter {
        flatten(condition(clause, at, whom, facts)?, &mut all);
    }
    Ok(all)
}

/// A condition on rows of a type, of those that are seen.
fn seen(type_id: TypeId, clause: &Clause, whom: For<'_>, facts: &mut dyn Facts) -> Result<Cond> {
    let asked = condition(clause, 0, whom, facts)?;
    Ok(match whom.reach(type_id, facts)? {
        None => asked,
        Some(reach) => every(vec![asked, reach]),
    })
}

fn flatten(cond: Cond, out: &mut Vec<Cond>) {
    match cond {
        Cond::All(conds) => conds.into_iter().for_each(|cond| flatten(cond, out)),
        cond => out.push(cond),
    }
}

/// All of these, as simply as it can be said.
fn every(conds: Vec<Cond>) -> Cond {
    let mut all = Vec::with_capacity(conds.len());
    conds.into_iter().for_each(|cond| flatten(cond, &mut all));
    if all.contains(&Cond::Never) {
        return Cond::Never;
    }
    match all.len() {
        1 => all.pop().unwrap_or(Cond::Never),
        _ => Cond::All(all),
    }
}

/// One of these, as simply as it can be said.
fn either(mut conds: Vec<Cond>) -> Cond {
    conds.retain(|cond| *cond != Cond::Never);
    conds.dedup();
    match conds.len() {
        0 | 1 => conds.pop().unwrap_or(Cond::Never),
        _ => Cond::Either(conds),
    }
}

fn condition(clause: &Clause, at: usize, whom: For<'_>, facts: &mut dyn Facts) -> Result<Cond> {
    let keys = |ids: &[base::ResourceId]| ids.iter().map(IdKey::of_id).collect();
    Ok(match clause {
        Clause::Never => Cond::Never,
        Clause::And(clauses) => every(each(clauses, at, whom, facts)?),
        Clause::Or(clauses) => {
            let each = clauses
                .iter()
                .map(|clause| condition(clause, at, whom, facts));
            either(each.collect::<Result<_>>()?)
        }
        Clause::Not(part) => Cond::Not(Box::new(condition(part, at, whom, facts)?)),
        Clause::ByType(clauses) => match clauses.get(at) {
            Some(own) => condition(own, 0, whom, facts)?,
            None => Cond::Never,
        },
        Clause::Id(ids) => Cond::Id(keys(ids)),
        Clause::NotId(ids) => Cond::NotId(keys(ids)),
        Clause::Param(clause) => match clause.param.get(at) {
            Some(param) => parameter(*param, clause, whom, facts)?,
            None => Cond::Never,
        },
        Clause::Chain { param, targets } => {
            let Some(param) = param.get(at) else {
                return Ok(Cond::Never);
            };
            let mut shown = Vec::new();
            for (type_id, inner) in targets {
                // A hop over a type that may not be shown finds nothing.
                if !whom.shows(*type_id) {
                    continue;
                }
                let inner = seen(*type_id, inner, whom, facts)?;
                if inner != Cond::Never {
                    shown.push((*type_id, inner));
                }
            }
            if shown.is_empty() {
                return Ok(Cond::Never);
            }
            let mut named = Vec::new();
            for (type_id, cond) in &shown {
                if let Some((url, version)) = facts.canonical(*param, *type_id) {
                    named.push(Canonical {
                        type_id: *type_id,
                        url,
                        version,
                        cond: cond.clone(),
                    });
                }
            }
            let param = i64::from(param.0);
            let chain = Cond::Chain {
                param,
                targets: shown,
            };
            if named.is_empty() {
                return Ok(chain);
            }
            let named = Cond::Named {
                param,
                targets: named,
            };
            either(vec![chain, named])
        }
        Clause::Has { source, .. } if !whom.shows(*source) => Cond::Never,
        Clause::Has {
            source,
            param,
            inner,
        } => match seen(*source, inner, whom, facts)? {
            Cond::Never => Cond::Never,
            inner => Cond::Has {
                source: *source,
                param: i64::from(param.0),
                inner: Box::new(inner),
            },
        },
    })
}

fn parameter(
    param: ParamId,
    clause: &ParamClause,
    whom: For<'_>,
    facts: &mut dyn Facts,
) -> Result<Cond> {
    let (values, not) = match &clause.test {
        Asked::Missing(missing) => {
            return Ok(Cond::Missing(
                *missing,
                i64::from(param.0),
                tables(clause.kind),
            ));
        }
        Asked::Any(values) => (values, false),
        Asked::None(values) => (values, true),
    };
    let mut all = Vec::new();
    for value in values {
        // A hierarchy is followed over rows of its type, whoever may see them.
        if let Match::Hierarchy { type_id, .. } = value
            && let For::Caller(sight) = whom
            && sight.rule(*type_id).is_some()
        {
            return Err(StoreError::Refused(
                Code::ElementHidden,
                "a hierarchy of resources of which some are hidden cannot be searched by".into(),
            ));
        }
        all.extend(tests(param, value, facts)?);
    }
    Ok(match (not, all.is_empty()) {
        (true, _) => Cond::None(all),
        (false, true) => Cond::Never,
        (false, false) => Cond::Any(all),
    })
}

/// The tables that hold rows of parameters of a kind.
pub(crate) const fn tables(kind: ParamKind) -> &'static [Table] {
    match kind {
        ParamKind::Number => &[Table::Number],
        ParamKind::Date => &[Table::Date],
        ParamKind::String => &[Table::String],
        ParamKind::Token => &[Table::Token, Table::String],
        ParamKind::Reference => &[Table::Reference, Table::Token],
        ParamKind::Composite => &[Table::Composite],
        ParamKind::Quantity => &[Table::Quantity],
        ParamKind::Uri => &[Table::Uri],
        ParamKind::Special => &Table::OF_PARAMS,
    }
}
