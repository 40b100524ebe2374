//! What the specification says, row by row, over everything there is.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use base::ids::uuid_bytes;
use fhir::definitions::{ParamId, TypeId};
use fhir::search::query::{
    Clause, Match, Prefix, Query, Range, ReferenceMatch, SortBy, Test, TokenMatch, Unit,
};
use fhir::search::rows::{Row, RowValue};

use super::world::{DATE_STEP, NUMBER_STEP, Resource, World};

pub(super) struct Answer {
    pub(super) matches: Vec<i64>,
    pub(super) included: Vec<i64>,
}

struct Eye<'w> {
    w: &'w World,
    all: &'w BTreeMap<i64, Resource>,
}

pub(super) fn search(w: &World, query: &Query, as_of: u64) -> Answer {
    let eye = Eye {
        w,
        all: w.now(as_of),
    };
    let mut found: Vec<i64> = eye
        .all
        .iter()
        .filter(|(_, r)| w.may_search(r.type_id))
        .filter(|(_, r)| {
            let at = query.types.iter().position(|t| *t == r.type_id);
            at.is_some_and(|at| query.filter.iter().all(|c| eye.holds(c, at, r)))
        })
        .map(|(rid, _)| *rid)
        .collect();
    found.sort_by(|a, b| eye.compare(query, *a, *b));
    let included = eye.included(query, &found);
    Answer {
        matches: found,
        included,
    }
}

/// A value in an order that is the tables': numbers, then texts, then UUIDs.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
enum Value {
    Int(i64),
    Real(f64),
    Text(String),
    /// A code and the number of its system.
    Token(String, i64),
    Uuid([u8; 16]),
}

fn id_value(text: &str) -> Value {
    uuid_bytes(text).map_or_else(|| Value::Text(text.to_owned()), Value::Uuid)
}

impl Eye<'_> {
    fn holds(&self, clause: &Clause, at: usize, r: &Resource) -> bool {
        match clause {
            Clause::Never => false,
            Clause::And(clauses) => clauses.iter().all(|c| self.holds(c, at, r)),
            Clause::Or(clauses) => clauses.iter().any(|c| self.holds(c, at, r)),
            Clause::ByType(clauses) => self.holds(&clauses[at], 0, r),
            Clause::Id(ids) => ids.contains(&r.id),
            Clause::NotId(ids) => !ids.contains(&r.id),
            Clause::Param(p) => {
                let rows = || r.rows.iter().filter(|row| row.param == p.param[at]);
                let any = |values: &[Match]| {
                    rows().any(|row| values.iter().any(|m| meets(&row.value, m)))
                };
                match &p.test {
                    Test::Missing(missing) => rows().next().is_none() == *missing,
                    Test::Any(values) => any(values),
                    Test::None(values) => !any(values),
                }
            }
            Clause::Chain { param, targets } => {
                self.targets(r, param[at], None).iter().any(|rid| {
                    let to = &self.all[rid];
                    targets.iter().any(|(t, inner)| {
                        *t == to.type_id && self.w.may_see(*t) && self.holds(inner, 0, to)
                    })
                })
            }
            Clause::Has {
                source,
                param,
                inner,
            } => self.all.values().any(|from| {
                from.type_id == *source
                    && self.w.may_see(*source)
                    && refers(from, *param, r)
                    && self.holds(inner, 0, from)
            }),
        }
    }

    fn targets(&self, r: &Resource, param: ParamId, only: Option<TypeId>) -> Vec<i64> {
        self.all
            .iter()
            .filter(|(_, to)| only.is_none_or(|t| t == to.type_id) && refers(r, param, to))
            .map(|(rid, _)| *rid)
            .collect()
    }

    fn compare(&self, query: &Query, a: i64, b: i64) -> Ordering {
        for key in &query.sort {
            let value = |rid| self.key(query, &key.by, key.descending, rid);
            let order = match (value(a), value(b)) {
                (None, None) => Ordering::Equal,
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some(a), Some(b)) if key.descending => b.partial_cmp(&a).unwrap(),
                (Some(a), Some(b)) => a.partial_cmp(&b).unwrap(),
            };
            if order != Ordering::Equal {
                return order;
            }
        }
        if query.sort.first().is_some_and(|k| !k.descending) {
            a.cmp(&b)
        } else {
            b.cmp(&a)
        }
    }

    fn key(&self, query: &Query, by: &SortBy, descending: bool, rid: i64) -> Option<Value> {
        let r = &self.all[&rid];
        let at = query.types.iter().position(|t| *t == r.type_id).unwrap();
        let (param, kind) = match by {
            SortBy::Id => return Some(id_value(r.id.as_str())),
            SortBy::LastUpdated(params) => (params[at], None),
            SortBy::Param(params, kind) => (params[at], Some(*kind)),
        };
        use fhir::definitions::ParamKind as K;
        let values = r
            .rows
            .iter()
            .filter(|row| row.param == param)
            .filter_map(|row| {
                Some(match (&row.value, kind) {
                    (RowValue::Token { code, system }, Some(K::Token)) => {
                        let number = self
                            .w
                            .vocabulary
                            .system(&self.w.conn, system)
                            .unwrap()
                            .unwrap();
                        Value::Token(code.to_string(), number)
                    }
                    (RowValue::String { folded, .. }, Some(K::String)) => {
                        Value::Text(folded.to_string())
                    }
                    (RowValue::Date(range), _) => Value::Int(range.low),
                    (RowValue::Number(range), _) => Value::Real(range.low),
                    (RowValue::Quantity { value, .. }, _) => Value::Real(value.low),
                    (RowValue::Reference { id, .. }, _) => id_value(id.as_str()),
                    (RowValue::ReferenceUrl { url, .. }, _) => Value::Text(url.to_string()),
                    (RowValue::Uri(uri), _) => Value::Text(uri.to_string()),
                    _ => return None,
                })
            });
        let mut values: Vec<Value> = values.collect();
        values.sort_by(|a, b| a.partial_cmp(b).unwrap());
        if descending {
            values.pop()
        } else {
            values.into_iter().next()
        }
    }

    fn included(&self, query: &Query, matches: &[i64]) -> Vec<i64> {
        let mut seen: BTreeSet<i64> = matches.iter().copied().collect();
        let mut start: Vec<i64> = matches.to_vec();
        let mut first = true;
        while !start.is_empty() {
            let mut next = Vec::new();
            for include in query.include.iter().filter(|i| first || i.iterate) {
                for (on, param) in &include.params {
                    for rid in &start {
                        let r = &self.all[rid];
                        let fits = |t: TypeId| include.target.is_none_or(|x| x == t);
                        let hits: Vec<i64> = if include.reverse {
                            self.all
                                .iter()
                                .filter(|(_, from)| {
                                    from.type_id == *on
                                        && fits(r.type_id)
                                        && refers(from, *param, r)
                                })
                                .map(|(rid, _)| *rid)
                                .collect()
                        } else if r.type_id == *on {
                            self.targets(r, *param, include.target)
                        } else {
                            Vec::new()
                        };
                        next.extend(
                            hits.into_iter()
                                .filter(|h| self.w.may_see(self.all[h].type_id))
                                .filter(|h| seen.insert(*h)),
                        );
                    }
                }
            }
            first = false;
            start = next;
        }
        for m in matches {
            seen.remove(m);
        }
        seen.into_iter().collect()
    }
}

fn refers(from: &Resource, param: ParamId, to: &Resource) -> bool {
    from.rows.iter().any(|row: &Row| {
        row.param == param
            && matches!(&row.value, RowValue::Reference { type_id, id, .. }
                if *type_id == to.type_id && *id == to.id)
    })
}

fn meets(value: &RowValue, m: &Match) -> bool {
    match (value, m) {
        (RowValue::Token { system, code }, Match::Token(t))
        | (RowValue::ReferenceIdentifier { system, code }, Match::ReferenceIdentifier(t)) => {
            token(system, code, t)
        }
        (RowValue::String { folded, .. }, Match::TokenText(x) | Match::StringContains(x)) => {
            folded.contains(x.as_str())
        }
        (RowValue::String { folded, .. }, Match::StringPrefix(x)) => folded.starts_with(x.as_str()),
        (RowValue::String { exact, .. }, Match::StringExact(x)) => **exact == **x,
        (RowValue::Date(v), Match::Date(how, s)) => date(*v, *how, *s),
        (RowValue::Number(v), Match::Number(how, s)) => number(*v, *how, *s),
        (
            RowValue::Quantity {
                value,
                system,
                code,
                unit,
            },
            Match::Quantity(how, s, u),
        ) => {
            let fits = match u {
                Unit::Any => true,
                Unit::Code(c) => **code == **c || (!unit.is_empty() && **unit == **c),
                Unit::Coded { system: s, code: c } => **system == **s && **code == **c,
            };
            fits && number(*value, *how, *s)
        }
        (
            RowValue::Reference {
                type_id,
                id,
                version,
            },
            Match::Reference(r),
        ) => match r {
            ReferenceMatch::Local {
                type_id: t,
                id: i,
                version: v,
            } => t == type_id && i == id && v.as_ref().is_none_or(|v| **v == **version),
            ReferenceMatch::AnyType { id: i, types } => i == id && types.contains(type_id),
            ReferenceMatch::Url { .. } => false,
        },
        (
            RowValue::ReferenceUrl { url, version },
            Match::Reference(ReferenceMatch::Url { url: u, version: v }),
        ) => **url == **u && v.as_ref().is_none_or(|v| **v == **version),
        (RowValue::Uri(uri), Match::Uri(u)) => **uri == **u,
        (RowValue::Uri(uri), Match::UriBelow(u)) => under(uri, u),
        (RowValue::Uri(uri), Match::UriAbove(u)) => under(u, uri),
        (RowValue::Composite(values), Match::Composite(parts)) => {
            values.len() == parts.len() && values.iter().zip(parts).all(|(v, m)| meets(v, m))
        }
        _ => false,
    }
}

fn under(uri: &str, base: &str) -> bool {
    uri.strip_prefix(base)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || base.ends_with('/'))
}

fn token(system: &str, code: &str, t: &TokenMatch) -> bool {
    t.system.as_ref().is_none_or(|s| s == system) && t.code.as_ref().is_none_or(|c| c == code)
}

/// Ranges as sets of points: whole steps and the middles between them.
fn points(low: i64, high: i64) -> BTreeSet<i64> {
    if low == high {
        BTreeSet::from([low * 2])
    } else {
        (low * 2..high * 2).collect()
    }
}

fn compare(value: &BTreeSet<i64>, how: Prefix, search: &BTreeSet<i64>) -> bool {
    let (first, last) = (search.first().unwrap(), search.last().unwrap());
    let above = value.iter().any(|p| p > last);
    let below = value.iter().any(|p| p < first);
    let contained = value.is_subset(search);
    match how {
        Prefix::Eq => contained,
        Prefix::Ne => !contained,
        Prefix::Gt => above,
        Prefix::Lt => below,
        Prefix::Ge => above || contained,
        Prefix::Le => below || contained,
        Prefix::Sa => value.iter().all(|p| p > last),
        Prefix::Eb => value.iter().all(|p| p < first),
        Prefix::Ap => !value.is_disjoint(search),
    }
}

fn date(value: Range<i64>, how: Prefix, search: Range<i64>) -> bool {
    let step = |x: i64| match x {
        i64::MIN => -40,
        i64::MAX => 80,
        x if x % DATE_STEP == 1_000 => x / DATE_STEP + 1,
        x => x / DATE_STEP,
    };
    // `_lastUpdated` is a thousandth of nothing: all that matters is where it begins.
    let instant = value.high == value.low.saturating_add(1_000);
    let v = if instant {
        BTreeSet::from([step(value.low) * 2])
    } else {
        points(step(value.low), step(value.high))
    };
    compare(&v, how, &points(step(search.low), step(search.high)))
}

fn number(value: Range<f64>, how: Prefix, search: Range<f64>) -> bool {
    let step = |x: f64| ((x + 1.5) / NUMBER_STEP).round() as i64;
    compare(
        &points(step(value.low), step(value.high)),
        how,
        &points(step(search.low), step(search.high)),
    )
}
