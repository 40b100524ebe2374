//! Clauses become conditions on the rows of one type, as far as the permit reaches.
//!
//! Knows no statements.

use access::{Search, Spent};
use fhir::definitions::{ParamId, ParamKind, TypeId};
use fhir::search::query::{Clause, Match, ParamClause, Test as Asked, TokenMatch};
use fhir::search::rows::{contained, into_contained, plain};

use super::Facts;
use super::compare::{Test, tests};
use crate::Result;
use crate::sqlite::index::{IdKey, Table};

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

/// What must hold for a resource of a type so that it may be shown, or be looked at on the way to
/// another one; `None` if no resource of the type may. Every hop asks it.
pub(crate) fn shown(type_id: TypeId, spent: &Spent<Search>) -> Option<Cond> {
    spent.shows(type_id).then(|| Cond::All(Vec::new()))
}

/// The conditions of a query for the type at `at` of its list; none of them is [`Cond::All`].
pub(crate) fn conditions(
    filter: &[Clause],
    at: usize,
    spent: &Spent<Search>,
    facts: &mut dyn Facts,
) -> Result<Vec<Cond>> {
    let mut all = Vec::with_capacity(filter.len());
    for clause in filter {
        flatten(condition(clause, at, spent, facts)?, &mut all);
    }
    Ok(all)
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

fn condition(
    clause: &Clause,
    at: usize,
    spent: &Spent<Search>,
    facts: &mut dyn Facts,
) -> Result<Cond> {
    let keys = |ids: &[base::ResourceId]| ids.iter().map(IdKey::of_id).collect();
    Ok(match clause {
        Clause::Never => Cond::Never,
        Clause::And(clauses) => every(conditions(clauses, at, spent, facts)?),
        Clause::Or(clauses) => {
            let each = clauses
                .iter()
                .map(|clause| condition(clause, at, spent, facts));
            either(each.collect::<Result<_>>()?)
        }
        Clause::Not(part) => Cond::Not(Box::new(condition(part, at, spent, facts)?)),
        Clause::ByType(clauses) => match clauses.get(at) {
            Some(own) => condition(own, 0, spent, facts)?,
            None => Cond::Never,
        },
        Clause::Id(ids) => Cond::Id(keys(ids)),
        Clause::NotId(ids) => Cond::NotId(keys(ids)),
        Clause::Param(clause) => match clause.param.get(at) {
            Some(param) => parameter(*param, clause, facts)?,
            None => Cond::Never,
        },
        Clause::Chain { param, targets } => match param.get(at) {
            Some(param) => chain(*param, targets, spent, facts)?,
            None => Cond::Never,
        },
        Clause::Has {
            source,
            param,
            inner,
        } => has(*source, *param, inner, spent, facts)?,
        Clause::MemberOf {
            param,
            source,
            member,
            inner,
        } => {
            let (Some(param), Some(scope)) = (param.get(at), shown(*source, spent)) else {
                return Ok(Cond::Never);
            };
            match every(vec![scope, condition(inner, 0, spent, facts)?]) {
                Cond::Never => Cond::Never,
                inner => Cond::MemberOf {
                    param: i64::from(param.0),
                    source: *source,
                    member: i64::from(member.0),
                    inner: Box::new(inner),
                },
            }
        }
    })
}

/// A chain: through references to resources, through canonicals, and into what is contained.
fn chain(
    param: ParamId,
    targets: &[(TypeId, Box<Clause>)],
    spent: &Spent<Search>,
    facts: &mut dyn Facts,
) -> Result<Cond> {
    let (mut referred, mut named, mut inside) = (Vec::new(), Vec::new(), Vec::new());
    for (type_id, inner) in targets {
        // A hop over a type that may not be shown finds nothing.
        let Some(scope) = shown(*type_id, spent) else {
            continue;
        };
        // What is contained is shown with its container, which is looked at already.
        if let Some(id) = facts.contains(*type_id)? {
            let cond = condition(&within(inner, &[id]), 0, spent, facts)?;
            if cond != Cond::Never {
                inside.push((*type_id, cond));
            }
        }
        let cond = every(vec![scope, condition(inner, 0, spent, facts)?]);
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
    spent: &Spent<Search>,
    facts: &mut dyn Facts,
) -> Result<Cond> {
    let Some(scope) = shown(source, spent) else {
        return Ok(Cond::Never);
    };
    let inner = every(vec![scope, condition(inner, 0, spent, facts)?]);
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
        let values = of.iter().map(token).collect();
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

fn parameter(param: ParamId, clause: &ParamClause, facts: &mut dyn Facts) -> Result<Cond> {
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
        ParamKind::Reference => &[Table::Reference, Table::Token, Table::String],
        ParamKind::Composite => &[Table::Composite],
        ParamKind::Quantity => &[Table::Quantity],
        ParamKind::Uri => &[Table::Uri],
        ParamKind::Special => &Table::OF_PARAMS,
    }
}
