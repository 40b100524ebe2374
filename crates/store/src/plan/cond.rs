//! Clauses become conditions on the rows of one type, as far as the permit reaches.
//!
//! Where the permit reaches some rows of a type only, what it reaches them by is one more condition at
//! each place where rows of that type are looked at. Knows no statements.

use std::sync::Arc;

use access::{Rule, Sight};
use base::Code;
use fhir::definitions::{ParamId, ParamKind, TypeId};
use fhir::search::query::{Clause, Match, ParamClause, Test as Asked, TokenMatch};
use fhir::search::rows::{contained, into_contained, plain};

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
    /// It refers by `param` to a resource of one of these types that it contains and for which the
    /// condition holds.
    Inside {
        /// The reference parameter.
        param: ParamId,
        /// Types that may be shown, each with its condition.
        targets: Vec<(TypeId, Cond)>,
    },
    /// A resource of type `source` names it by `param`, a canonical, and the condition holds for
    /// that one.
    NamedBy {
        /// A type that may be shown.
        source: TypeId,
        /// The reference parameter.
        param: i64,
        /// The types that it may name; their conditions say nothing.
        targets: Vec<Canonical>,
        /// The condition.
        inner: Box<Cond>,
    },
    /// It refers by `param` to what a resource of type `source` for which the condition holds
    /// refers to by `member`.
    MemberOf {
        /// The reference parameter.
        param: i64,
        /// A type that may be shown.
        source: TypeId,
        /// The reference parameter of that type.
        member: i64,
        /// The condition.
        inner: Box<Cond>,
    },
    /// All of these hold; without any, always.
    All(Vec<Cond>),
    /// One of these holds.
    Either(Vec<Cond>),
    /// This does not hold.
    Not(Box<Cond>),
    /// Memory of this number says that policy reaches it.
    Reached(i64),
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

    /// Whether every resource of a type is seen, with all of its elements. What is contained has no
    /// row that a rule could be asked of: it is found only where this holds for its type.
    pub(crate) fn sees_whole(self, type_id: TypeId) -> bool {
        let Self::Caller(sight) = self else {
            return true;
        };
        let whole = |rule: &Rule| rule.filter().is_none() && rule.hidden().is_none();
        sight.shows(type_id) && sight.rule(type_id).is_none_or(|rule| whole(rule))
    }

    /// What must hold for a resource of a type so that what it contains may be found; `None` where
    /// that is never so.
    pub(crate) fn holder(self, type_id: TypeId, facts: &mut dyn Facts) -> Result<Option<Cond>> {
        if !self.shows(type_id) || self.hides(type_id) {
            return Ok(None);
        }
        let reach = self.reach(type_id, facts)?;
        Ok(Some(reach.unwrap_or(Cond::All(Vec::new()))))
    }

    /// Whether elements of a type are hidden.
    fn hides(self, type_id: TypeId) -> bool {
        match self {
            Self::Caller(sight) => sight
                .rule(type_id)
                .is_some_and(|rule| rule.hidden().is_some()),
            Self::Policy => false,
        }
    }

    /// Which rows of a type are seen; none: all.
    fn reach(self, type_id: TypeId, facts: &mut dyn Facts) -> Result<Option<Cond>> {
        let Self::Caller(sight) = self else {
            return Ok(None);
        };
        let Some(rule) = sight.rule(type_id) else {
            return Ok(None);
        };
        let Some(clause) = rule.filter() else {
            return Ok(None);
        };
        match facts.remembered(type_id, rule)? {
            Some(number) => Ok(Some(Cond::Reached(number))),
            None => condition(clause, 0, Self::Policy, facts).map(Some),
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
    match whom.reach(type_id, facts)? {
        // Asked first: nothing costs less.
        Some(reach @ Cond::Reached(_)) => all.insert(0, reach),
        Some(reach) => flatten(reach, &mut all),
        None => {}
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
        Clause::Not(part) => {
            facts.turn();
            let part = condition(part, at, whom, facts)?;
            facts.turn();
            Cond::Not(Box::new(part))
        }
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
        Clause::Chain { param, targets } => match param.get(at) {
            Some(param) => chain(*param, targets, whom, facts)?,
            None => Cond::Never,
        },
        Clause::Has {
            source,
            param,
            inner,
        } => has(*source, *param, inner, whom, facts)?,
        Clause::MemberOf { source, .. } if !whom.shows(*source) => Cond::Never,
        Clause::MemberOf {
            param,
            source,
            member,
            inner,
        } => match (param.get(at), seen(*source, inner, whom, facts)?) {
            (None, _) | (_, Cond::Never) => Cond::Never,
            (Some(param), inner) => Cond::MemberOf {
                param: i64::from(param.0),
                source: *source,
                member: i64::from(member.0),
                inner: Box::new(inner),
            },
        },
    })
}

/// A chain: through references to resources, through canonicals, and into what is contained.
fn chain(
    param: ParamId,
    targets: &[(TypeId, Arc<Clause>)],
    whom: For<'_>,
    facts: &mut dyn Facts,
) -> Result<Cond> {
    let (mut referred, mut named, mut inside) = (Vec::new(), Vec::new(), Vec::new());
    // A policy asks of rows alone.
    let open = matches!(whom, For::Caller(_))
        && facts.owner(param).is_some_and(|owner| !whom.hides(owner));
    for (type_id, inner) in targets {
        // A hop over a type that may not be shown finds nothing.
        if !whom.shows(*type_id) {
            continue;
        }
        // The container itself is looked at already.
        if open
            && whom.sees_whole(*type_id)
            && let Some(id) = facts.contains(*type_id)?
        {
            let cond = condition(&within(inner, &[id]), 0, whom, facts)?;
            if cond != Cond::Never {
                inside.push((*type_id, cond));
            }
        }
        let cond = seen(*type_id, inner, whom, facts)?;
        if cond == Cond::Never {
            continue;
        }
        if let Some((url, version)) = facts.canonical(param, *type_id) {
            named.push(Canonical {
                type_id: *type_id,
                url,
                version,
                cond: cond.clone(),
            });
        }
        referred.push((*type_id, cond));
    }
    let number = i64::from(param.0);
    let mut ways = Vec::new();
    if !referred.is_empty() {
        ways.push(Cond::Chain {
            param: number,
            targets: referred,
        });
    }
    if !named.is_empty() {
        ways.push(Cond::Named {
            param: number,
            targets: named,
        });
    }
    if !inside.is_empty() {
        ways.push(Cond::Inside {
            param: into_contained(plain(param)),
            targets: inside,
        });
    }
    Ok(either(ways))
}

fn has(
    source: TypeId,
    param: ParamId,
    inner: &Clause,
    whom: For<'_>,
    facts: &mut dyn Facts,
) -> Result<Cond> {
    if !whom.shows(source) {
        return Ok(Cond::Never);
    }
    let inner = seen(source, inner, whom, facts)?;
    if inner == Cond::Never {
        return Ok(Cond::Never);
    }
    let canonical = |(type_id, url, version)| Canonical {
        type_id,
        url,
        version,
        cond: Cond::All(Vec::new()),
    };
    let targets: Vec<Canonical> = facts.canonicals(param).into_iter().map(canonical).collect();
    let param = i64::from(param.0);
    let has = Cond::Has {
        source,
        param,
        inner: Box::new(inner.clone()),
    };
    if targets.is_empty() {
        return Ok(has);
    }
    let inner = Box::new(inner);
    let named = Cond::NamedBy {
        source,
        param,
        targets,
        inner,
    };
    Ok(either(vec![has, named]))
}

/// The clause, asked of contained resources; `ids` are the parameters `_id` of the types searched.
/// Nothing refers to a contained resource from elsewhere.
pub(crate) fn within(clause: &Clause, ids: &[ParamId]) -> Clause {
    let inner = |params: &[ParamId]| params.iter().map(|p| contained(*p)).collect();
    let each = |parts: &[Clause]| parts.iter().map(|part| within(part, ids)).collect();
    let id = |of: &[base::ResourceId], not: bool| {
        let token = |id: &base::ResourceId| {
            Match::Token(TokenMatch {
                system: Some(String::new()),
                code: Some(id.as_str().to_owned()),
            })
        };
        let values: Arc<[Match]> = of.iter().map(token).collect();
        Clause::Param(ParamClause {
            param: inner(ids),
            kind: ParamKind::Token,
            test: if not {
                Asked::None(values)
            } else {
                Asked::Any(values)
            },
        })
    };
    match clause {
        Clause::Param(of) => Clause::Param(ParamClause {
            param: inner(&of.param),
            ..of.clone()
        }),
        Clause::Id(of) => id(of, false),
        Clause::NotId(of) => id(of, true),
        Clause::Chain { param, targets } => Clause::Chain {
            param: inner(param),
            targets: targets.clone(),
        },
        Clause::MemberOf {
            param,
            source,
            member,
            inner: of,
        } => Clause::MemberOf {
            param: inner(param),
            source: *source,
            member: *member,
            inner: of.clone(),
        },
        Clause::And(parts) => Clause::And(each(parts)),
        Clause::Or(parts) => Clause::Or(each(parts)),
        Clause::ByType(parts) => {
            let own = parts.iter().zip(ids);
            Clause::ByType(own.map(|(part, id)| within(part, &[*id])).collect())
        }
        Clause::Not(part) => Clause::Not(Box::new(within(part, ids))),
        Clause::Has { .. } | Clause::Never => Clause::Never,
    }
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
    if not {
        facts.turn();
    }
    for value in values.iter() {
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
    if not {
        facts.turn();
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
        ParamKind::Reference => &[Table::Reference, Table::Token, Table::String],
        ParamKind::Composite => &[Table::Composite],
        ParamKind::Quantity => &[Table::Quantity],
        ParamKind::Uri => &[Table::Uri],
        ParamKind::Special => &Table::OF_PARAMS,
    }
}
