//! Conditions of which any may hold, said as few: what each of many facilities' grants reach is one question
//! with many values.

use std::collections::HashSet;
use std::mem::discriminant;
use std::sync::Arc;

use super::{Clause, Match, ParamClause, Test};

/// Conditions that the next one is compared with.
const COMPARED_MAX: usize = 64;

impl Clause {
    /// Conditions that hold for what any of these hold for, and for nothing else: those that differ in their
    /// values alone are one with the values of both.
    pub fn fewer(any: Vec<Self>) -> Vec<Self> {
        let mut kept: Vec<Self> = Vec::new();
        for clause in any {
            let compared = kept.iter_mut().take(COMPARED_MAX);
            let joined = compared
                .filter_map(|one| Some((either(one, &clause)?, one)))
                .next();
            match joined {
                Some((both, one)) => *one = both,
                None => kept.push(clause),
            }
        }
        kept
    }
}

/// One condition that holds where either does; none where that is not simply said.
fn either(a: &Clause, b: &Clause) -> Option<Clause> {
    use Clause::{And, Chain, Has, Id, MemberOf, Or, Param};
    if a == b {
        return Some(a.clone());
    }
    Some(match (a, b) {
        (Param(a), Param(b)) if (&a.param, a.kind) == (&b.param, b.kind) => {
            let (Test::Any(of_a), Test::Any(of_b)) = (&a.test, &b.test) else {
                return None;
            };
            Param(ParamClause {
                param: a.param.clone(),
                kind: a.kind,
                test: Test::Any(values(of_a, of_b)?),
            })
        }
        (Id(a), Id(b)) => {
            let mut ids: Vec<_> = a.iter().chain(b.iter()).cloned().collect();
            let mut seen = HashSet::new();
            ids.retain(|id| seen.insert(id.clone()));
            Id(ids.into())
        }
        // Something is referred to for which one holds, or something for which the other does.
        (
            Chain {
                param: of_a,
                targets: a,
            },
            Chain {
                param: of_b,
                targets: b,
            },
        ) if of_a == of_b && a.len() == b.len() => {
            let targets = a.iter().zip(b).map(|((at, a), (bt, b))| {
                let same = (at == bt).then_some(*at)?;
                Some((same, Arc::new(either(a, b)?)))
            });
            Chain {
                param: of_a.clone(),
                targets: targets.collect::<Option<_>>()?,
            }
        }
        (
            Has {
                source: sa,
                param: pa,
                inner: a,
            },
            Has {
                source: sb,
                param: pb,
                inner: b,
            },
        ) if (sa, pa) == (sb, pb) => Has {
            source: *sa,
            param: *pa,
            inner: Arc::new(either(a, b)?),
        },
        (
            MemberOf {
                param: pa,
                source: sa,
                member: ma,
                inner: a,
            },
            MemberOf {
                param: pb,
                source: sb,
                member: mb,
                inner: b,
            },
        ) if (pa, sa, ma) == (pb, sb, mb) => MemberOf {
            param: pa.clone(),
            source: *sa,
            member: *ma,
            inner: Arc::new(either(a, b)?),
        },
        // What else must hold is the same.
        (And(a), And(b)) if a.len() == b.len() => {
            let mut differ = (0..a.len()).filter(|at| a.get(*at) != b.get(*at));
            let (at, None) = (differ.next()?, differ.next()) else {
                return None;
            };
            let mut all = a.clone();
            *all.get_mut(at)? = either(a.get(at)?, b.get(at)?)?;
            And(all)
        }
        (Or(a), Or(b)) if a.len() == b.len() => {
            let pairs = a.iter().zip(b).map(|(a, b)| either(a, b));
            Or(pairs.collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

/// Values for which it is seen to that none is there twice, times those that they are compared with.
const ALIKE_MAX: usize = 1 << 16;

/// The values of both, which are of one kind.
fn values(a: &[Match], b: &[Match]) -> Option<Arc<[Match]>> {
    let kind = discriminant(a.first()?);
    let mut all = a.iter().chain(b);
    if !all.all(|value| discriminant(value) == kind) {
        return None;
    }
    let many = a.len().saturating_mul(b.len()) > ALIKE_MAX;
    let new = b.iter().filter(|value| many || !a.contains(value));
    Some(a.iter().chain(new).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::{FhirVersion, Model};
    use crate::search::Customs;
    use crate::search::parse::{Options, Target, parse};

    #[test]
    fn what_differs_in_values_is_one_condition() {
        let model = Model::of(FhirVersion::R4);
        let type_id = model.type_id("Observation").unwrap();
        let options = Options {
            limits: &base::Limits::default(),
            strict: true,
            own_bases: &[],
            now: base::Micros(0),
            custom: Customs::NONE,
        };
        let target = Target::Types(vec![type_id]);
        let read = |query: &str| -> Clause {
            let parsed = parse(model, &target, query, &options).unwrap();
            Clause::And(parsed.query.filter)
        };
        let fewer = |queries: &[&str]| Clause::fewer(queries.iter().map(|q| read(q)).collect());
        for (queries, one) in [
            (&["code=a", "code=b,c", "code=a"][..], "code=a,b,c"),
            (
                &[
                    "subject:Patient.organization=Organization/1",
                    "subject:Patient.organization=Organization/2",
                ],
                "subject:Patient.organization=Organization/1,Organization/2",
            ),
            (&["_id=1", "_id=2"], "_id=1,2"),
            (
                &["status=final&code=a", "status=final&code=b"],
                "status=final&code=a,b",
            ),
        ] {
            assert_eq!(fewer(queries), [read(one)], "{queries:?}");
        }
        for apart in [
            ["code=a", "status=final"],
            ["code:not=a", "code:not=b"],
            ["code:missing=true", "code:missing=false"],
            ["status=final&code=a", "status=amended&code=b"],
            ["code=a", "code=a&status=final"],
            ["code=a", "code:text=a"],
        ] {
            assert_eq!(fewer(&apart), apart.map(read), "{apart:?}");
        }
    }
}
