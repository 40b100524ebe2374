//! Whether one resource, as it stands in memory, meets a clause of a search.
//!
//! Reads the same index values as the store's tables ([`super::extract()`]) and compares them by the
//! same rules (`search.html#prefix`). What needs other resources (chains, `_has`, value sets,
//! hierarchies), or a tenant's own parameters, cannot be said here; the store asks its tables then.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use super::extract::{Extractor, ParamPlan};
use super::query::{
    Clause, How, Match, ParamClause, Prefix, Range, ReferenceMatch, Test, TokenMatch, Unit,
};
use super::rows::{CUSTOM, EXPECTED_AT, Row, RowValue, SECURITY_CONTEXT};
use crate::definitions::{Model, ParamId, TypeId};
use crate::json::Value;
use crate::ucum;

/// Says of another resource whether it meets a clause; `None` if that cannot be said.
pub type Far<'f> = dyn FnMut(TypeId, &base::ResourceId, &Clause) -> Option<bool> + 'f;

/// One resource and what was read of it so far.
pub struct Beholder<'a> {
    extractor: Extractor<'a>,
    resource: Value<'a>,
    rows: RefCell<HashMap<ParamId, Vec<Row>>>,
}

impl std::fmt::Debug for Beholder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Beholder(…)")
    }
}

impl<'a> Beholder<'a> {
    /// For a whole stored resource of this type; `None` if the version does not have the type.
    pub fn new(
        model: &'static Model,
        type_id: TypeId,
        resource: Value<'a>,
        own_bases: &'a [&'a str],
    ) -> Option<Self> {
        Some(Self {
            extractor: Extractor::new(model, type_id, resource, own_bases)?,
            resource,
            rows: RefCell::default(),
        })
    }

    /// Whether a clause of a search of this one type holds; `None` if that cannot be said from the
    /// resource alone.
    pub fn holds(&self, clause: &Clause) -> Option<bool> {
        self.holds_beside(clause, &mut |_, _, _| None)
    }

    /// The same, where `far` says of a resource that this one refers to whether it meets a clause.
    pub fn holds_beside(&self, clause: &Clause, far: &mut Far<'_>) -> Option<bool> {
        match clause {
            Clause::Never => Some(false),
            Clause::And(parts) => all(parts.iter().map(|p| self.holds_beside(p, far))),
            Clause::Or(parts) => any(parts.iter().map(|p| self.holds_beside(p, far))),
            Clause::Not(part) => self.holds_beside(part, far).map(|h| !h),
            Clause::ByType(parts) => self.holds_beside(parts.first()?, far),
            Clause::Id(ids) => self.has_id(ids),
            Clause::NotId(ids) => self.has_id(ids).map(|h| !h),
            Clause::Param(param) => self.parameter(param),
            Clause::Chain { param, targets } => self.chain(*param.first()?, targets, far),
            Clause::Has { .. } | Clause::MemberOf { .. } => None,
        }
    }

    fn chain(
        &self,
        param: ParamId,
        targets: &[(TypeId, Arc<Clause>)],
        far: &mut Far<'_>,
    ) -> Option<bool> {
        if param.0 >= CUSTOM {
            return None;
        }
        self.with(param, |rows| {
            any(rows.iter().map(|row| match &row.value {
                RowValue::Reference { type_id, id, .. } => any((targets.iter())
                    .filter(|(target, _)| target == type_id)
                    .map(|(target, inner)| far(*target, id, inner))),
                // It may be the canonical of something that is here.
                RowValue::ReferenceUrl { .. } => None,
                _ => Some(false),
            }))
        })
    }

    /// The resources of a type in whose compartments this one is, itself if it is of that type.
    pub fn compartments_of(
        &self,
        model: &'static Model,
        head: TypeId,
        own: TypeId,
    ) -> Vec<base::ResourceId> {
        if own == head {
            let id = self.resource.get("id").and_then(Value::as_str);
            return id
                .and_then(|id| base::ResourceId::new(&id).ok())
                .into_iter()
                .collect();
        }
        let Some(compartment) = model.compartment(head) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for param in compartment.params(own) {
            self.with(*param, |rows| {
                found.extend(rows.iter().filter_map(|row| match &row.value {
                    RowValue::Reference { type_id, id, .. } if *type_id == head => Some(id.clone()),
                    _ => None,
                }));
                None
            });
        }
        found.sort();
        found.dedup();
        found
    }

    /// What the `securityContext` of a Binary refers to here.
    pub fn security_contexts(&self) -> Vec<(TypeId, base::ResourceId)> {
        let mut found = Vec::new();
        self.with(SECURITY_CONTEXT, |rows| {
            found.extend(rows.iter().filter_map(|row| match &row.value {
                RowValue::Reference { type_id, id, .. } => Some((*type_id, id.clone())),
                _ => None,
            }));
            None
        });
        found
    }

    fn has_id(&self, ids: &[base::ResourceId]) -> Option<bool> {
        let id = self.resource.get("id").and_then(Value::as_str)?;
        // Long lists are in order for the most part; whether they are all is not known.
        let id: &str = &id;
        let first = ids.len() > 16
            && ids
                .binary_search_by(|wanted| wanted.as_str().cmp(id))
                .is_ok();
        Some(first || ids.iter().any(|wanted| wanted.as_str() == id))
    }

    fn parameter(&self, clause: &ParamClause) -> Option<bool> {
        let param = *clause.param.first()?;
        if param.0 >= CUSTOM {
            return None;
        }
        match &clause.test {
            Test::Missing(missing) => self.with(param, |rows| Some(rows.is_empty() == *missing)),
            Test::Any(values) => any(values.iter().map(|v| self.value(param, v))),
            Test::None(values) => any(values.iter().map(|v| self.value(param, v))).map(|h| !h),
        }
    }

    fn value(&self, param: ParamId, value: &Match) -> Option<bool> {
        match value {
            Match::StringBegins(part) => {
                let whole = Match::StringPrefix(part.clone());
                let begins = |rows: &[Row]| any(rows.iter().map(|row| meets(&row.value, &whole)));
                match self.with(param, begins) {
                    Some(false) => {
                        begins(&self.extractor.beginnings_of(self.extractor.plan(param)?))
                    }
                    found => found,
                }
            }
            // What is kept apart from the parameter's own values is in the tables only.
            Match::OfType(..)
            | Match::Unequal(_)
            | Match::InValueSet { .. }
            | Match::Subsumed { .. }
            | Match::Hierarchy { .. }
            | Match::CanonicalVersions { .. }
            | Match::Near(_)
            | Match::Encloses(_)
            | Match::Runs(_)
            | Match::UriBegins(_)
            | Match::Run(_)
            | Match::Composite(_) => None,
            value => self.with(param, |rows| {
                any(rows.iter().map(|row| meets(&row.value, value)))
            }),
        }
    }

    /// The rows of a parameter; `None` if the extraction does not compute it.
    fn with(&self, param: ParamId, look: impl FnOnce(&[Row]) -> Option<bool>) -> Option<bool> {
        if let Some(rows) = self.rows.borrow().get(&param) {
            return look(rows);
        }
        let rows = match param {
            SECURITY_CONTEXT => self.extractor.security_context(),
            EXPECTED_AT => self.extractor.expected_at(),
            param => {
                let plan: &ParamPlan = self.extractor.plan(param)?;
                self.extractor.rows_of(plan)
            }
        };
        let answer = look(&rows);
        self.rows.borrow_mut().insert(param, rows);
        answer
    }
}

pub(super) fn all(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut answer = Some(true);
    for part in parts {
        match part {
            Some(false) => return Some(false),
            None => answer = None,
            Some(true) => {}
        }
    }
    answer
}

pub(super) fn any(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    all(parts.map(|p| p.map(|h| !h))).map(|h| !h)
}

pub(super) fn meets(row: &RowValue, value: &Match) -> Option<bool> {
    Some(match (row, value) {
        (RowValue::Token { system, code }, Match::Token(wanted))
        | (RowValue::ReferenceIdentifier { system, code }, Match::ReferenceIdentifier(wanted)) => {
            token(system, code, wanted)
        }
        (
            RowValue::Token { system, code },
            Match::TokenCaseless {
                system: of,
                code: wanted,
            },
        ) => **system == **of && code.eq_ignore_ascii_case(wanted),
        (RowValue::Token { code, .. }, Match::TokenCode(how, part)) => {
            let code = code.to_ascii_lowercase();
            match how {
                How::Begins => code.starts_with(part.as_str()),
                How::Contains => code.contains(part.as_str()),
                How::Ends => code.ends_with(part.as_str()),
                How::Is => code == *part,
            }
        }
        (RowValue::String { folded, exact }, value) => text(folded, exact, value),
        (RowValue::Date(row), Match::Date(how, asked)) => {
            range(*row, *how, *asked, asked.low == asked.high)
        }
        (RowValue::Number(row), Match::Number(how, asked)) => {
            range(*row, *how, *asked, asked.low >= asked.high)
        }
        (
            RowValue::Quantity {
                value,
                system,
                code,
                unit,
            },
            Match::Quantity(how, asked, of),
        ) => {
            let fits = match of {
                Unit::Any => true,
                Unit::Code(wanted) => **code == **wanted || **unit == **wanted,
                Unit::Coded {
                    system: of_system,
                    code: wanted,
                } => {
                    let other = **code != **wanted;
                    if other && **system == *ucum::SYSTEM && *of_system == ucum::SYSTEM {
                        return None;
                    }
                    **system == **of_system && !other
                }
            };
            fits && range(*value, *how, *asked, asked.low >= asked.high)
        }
        (row, Match::Reference(wanted)) => reference(row, wanted),
        (RowValue::Uri(uri), value) => is_uri(uri, value),
        _ => false,
    })
}

fn token(system: &str, code: &str, wanted: &TokenMatch) -> bool {
    wanted.system.as_deref().is_none_or(|s| s == system)
        && wanted.code.as_deref().is_none_or(|c| c == code)
}

fn text(folded: &str, exact: &str, value: &Match) -> bool {
    match value {
        Match::StringPrefix(part) | Match::StringBegins(part) | Match::TokenTextPrefix(part) => {
            folded.starts_with(&**part)
        }
        Match::StringIs(whole) => folded == whole,
        Match::StringSuffix(part) => folded.ends_with(&**part),
        Match::StringContains(part) | Match::TokenText(part) => folded.contains(&**part),
        Match::StringExact(whole) => exact == whole,
        _ => false,
    }
}

fn is_uri(uri: &str, value: &Match) -> bool {
    match value {
        Match::Uri(wanted) => uri == wanted,
        Match::UriBelow(base) => {
            let rest = uri.strip_prefix(&**base);
            rest.is_some_and(|r| r.is_empty() || r.starts_with('/') || base.ends_with('/'))
        }
        Match::UriAbove(leaf) => {
            let rest = leaf.strip_prefix(uri);
            !uri.is_empty()
                && rest.is_some_and(|r| r.is_empty() || r.starts_with('/') || uri.ends_with('/'))
        }
        Match::UriContains(part) => uri.contains(&**part),
        _ => false,
    }
}

fn reference(row: &RowValue, wanted: &ReferenceMatch) -> bool {
    match (row, wanted) {
        (
            RowValue::Reference {
                type_id,
                id,
                version,
            },
            ReferenceMatch::Local {
                type_id: t,
                id: i,
                version: v,
            },
        ) => t == type_id && i == id && v.as_deref().is_none_or(|v| v == &**version),
        (RowValue::Reference { type_id, id, .. }, ReferenceMatch::AnyType { id: i, types }) => {
            i == id && types.contains(type_id)
        }
        (RowValue::ReferenceUrl { url, version }, ReferenceMatch::Url { url: u, version: v }) => {
            let of_version = |v: &str| {
                let rest = version.strip_prefix(v);
                rest.is_some_and(|r| r.is_empty() || r.starts_with(['.', '-']))
            };
            **url == **u && v.as_deref().is_none_or(of_version)
        }
        _ => false,
    }
}

/// A stored range against one that is asked for; `point`: what is asked for is one value.
fn range<T: PartialOrd + Copy>(row: Range<T>, how: Prefix, asked: Range<T>, point: bool) -> bool {
    let (low, high) = (row.low, row.high);
    match how {
        Prefix::Eq if point => low == asked.low && high == asked.high,
        Prefix::Eq => low >= asked.low && low < asked.high && high <= asked.high,
        Prefix::Ne => !range(row, Prefix::Eq, asked, point),
        Prefix::Gt if point => high > asked.high,
        Prefix::Gt => high > asked.high || low >= asked.high,
        Prefix::Lt => low < asked.low,
        Prefix::Ge => low >= asked.low || high > asked.high,
        Prefix::Le if point => low <= asked.low && (low < asked.low || high == asked.high),
        Prefix::Le => low < asked.high && (low < asked.low || high <= asked.high),
        Prefix::Sa if point => low > asked.high,
        Prefix::Sa => low >= asked.high,
        Prefix::Eb => low < asked.low && high <= asked.low,
        Prefix::Ap => {
            let begins = if point {
                low <= asked.high
            } else {
                low < asked.high
            };
            begins && (high > asked.low || low >= asked.low)
        }
    }
}
