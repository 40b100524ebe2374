//! `=` and `~` of collections, items and whole elements.

use std::cmp::Ordering;

use rust_decimal::{Decimal, RoundingStrategy};

use super::super::EvalError;
use super::super::item::{Item, decimal};
use super::super::quantity::{Quantity, Unit};
use super::Run;
use crate::json::{Kind, Value};

type Answer = Result<Option<bool>, EvalError>;

impl<'a> Run<'_, 'a> {
    /// Collections are equal when they have equal items in the same order; empty if one is empty.
    pub(super) fn equal_collections(&self, left: &[Item<'a>], right: &[Item<'a>]) -> Answer {
        if left.is_empty() || right.is_empty() {
            return Ok(None);
        }
        if left.len() != right.len() {
            return Ok(Some(false));
        }
        for (left, right) in left.iter().zip(right) {
            match self.equal(left, right)? {
                Some(true) => {}
                other => return Ok(other),
            }
        }
        Ok(Some(true))
    }

    /// Items are equal when they are the same kind of primitive with the same value, or elements
    /// with the same content. Dates of different precision that may be the same are neither.
    pub(super) fn equal(&self, left: &Item<'a>, right: &Item<'a>) -> Answer {
        self.step()?;
        match (left, right) {
            (Item::Node(l), Item::Node(r)) if l.is_same(*r) => return Ok(Some(true)),
            (Item::Node(l), Item::Node(r)) if !(l.ty.is_primitive() && r.ty.is_primitive()) => {
                return Ok(Some(match (l.value, r.value) {
                    (Some(l), Some(r)) => self.equal_values(l, r)?,
                    _ => false,
                }));
            }
            (Item::String(text), Item::Node(n)) | (Item::Node(n), Item::String(text))
                if n.ty.is_primitive() && n.value.is_some_and(|v| v.kind() == Kind::String) =>
            {
                return Ok(Some(n.as_str().is_some_and(|s| s == *text)));
            }
            _ => {}
        }
        match (left.system(self.types()), right.system(self.types())) {
            (Some(l), Some(r)) => Ok(equal_system(&l, &r)),
            (None, None) => match (left, right) {
                // Primitives that have extensions only.
                (Item::Node(l), Item::Node(r)) => Ok(Some(match (l.extra, r.extra) {
                    (Some(l), Some(r)) => self.equal_values(l, r)?,
                    _ => false,
                })),
                _ => Ok(Some(false)),
            },
            _ => Ok(Some(false)),
        }
    }

    /// Deep equality; the order of members does not matter.
    fn equal_values(&self, left: Value<'_>, right: Value<'_>) -> Result<bool, EvalError> {
        self.step()?;
        if left.kind() != right.kind() {
            return Ok(false);
        }
        match left.kind() {
            Kind::Null => Ok(true),
            Kind::Bool => Ok(left.as_bool() == right.as_bool()),
            Kind::String => Ok(left.as_str() == right.as_str()),
            Kind::Number => Ok(normal_number(left.raw()) == normal_number(right.raw())),
            Kind::Array => {
                if left.items().count() != right.items().count() {
                    return Ok(false);
                }
                for (l, r) in left.items().zip(right.items()) {
                    if !self.equal_values(l, r)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Kind::Object => {
                if left.members().count() != right.members().count() {
                    return Ok(false);
                }
                for member in left.members() {
                    let Some(other) = right.get(&member.name()) else {
                        return Ok(false);
                    };
                    if !self.equal_values(member.value, other)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
        }
    }

    /// Collections are equivalent when they have equivalent items in any order.
    pub(super) fn equivalent_collections(
        &self,
        left: &[Item<'a>],
        right: &[Item<'a>],
    ) -> Result<bool, EvalError> {
        if left.len() != right.len() {
            return Ok(false);
        }
        self.matched(left, right, |l, r| self.equivalent(l, r))
    }

    /// Whether each of the left has a partner of its own on the right.
    fn matched<T>(
        &self,
        left: &[T],
        right: &[T],
        is: impl Fn(&T, &T) -> Result<bool, EvalError>,
    ) -> Result<bool, EvalError> {
        let mut free: Vec<&T> = right.iter().collect();
        for l in left {
            let mut found = None;
            for (at, r) in free.iter().enumerate() {
                self.step()?;
                if is(l, r)? {
                    found = Some(at);
                    break;
                }
            }
            match found {
                Some(at) => {
                    free.swap_remove(at);
                }
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    fn equivalent(&self, left: &Item<'a>, right: &Item<'a>) -> Result<bool, EvalError> {
        self.step()?;
        if let (Item::Node(l), Item::Node(r)) = (left, right)
            && !(l.ty.is_primitive() && r.ty.is_primitive())
            && !(self.types().is_quantity(l.ty) && self.types().is_quantity(r.ty))
        {
            return match (l.value, r.value) {
                (Some(l), Some(r)) => self.equivalent_values(l, r),
                _ => Ok(false),
            };
        }
        let system = (left.system(self.types()), right.system(self.types()));
        Ok(match system {
            (Some(l), Some(r)) => equivalent_system(&l, &r),
            _ => false,
        })
    }

    fn equivalent_values(&self, left: Value<'_>, right: Value<'_>) -> Result<bool, EvalError> {
        self.step()?;
        if left.kind() != right.kind() {
            return Ok(false);
        }
        match left.kind() {
            Kind::String => Ok(normal_text(&left.as_str().unwrap_or_default())
                == normal_text(&right.as_str().unwrap_or_default())),
            Kind::Number => Ok(match (decimal(left.raw()), decimal(right.raw())) {
                (Some(l), Some(r)) => equivalent_decimals(l, r),
                _ => left.raw() == right.raw(),
            }),
            Kind::Array => {
                let left: Vec<_> = left.items().collect();
                let right: Vec<_> = right.items().collect();
                Ok(left.len() == right.len()
                    && self.matched(&left, &right, |l, r| self.equivalent_values(*l, *r))?)
            }
            Kind::Object => {
                if left.members().count() != right.members().count() {
                    return Ok(false);
                }
                for member in left.members() {
                    let Some(other) = right.get(&member.name()) else {
                        return Ok(false);
                    };
                    if !self.equivalent_values(member.value, other)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Kind::Null | Kind::Bool => Ok(left.as_bool() == right.as_bool()),
        }
    }
}

/// A number as a decimal.
pub(super) fn as_decimal(item: &Item<'_>) -> Option<Decimal> {
    match item {
        Item::Integer(n) => Some(Decimal::from(*n)),
        Item::Long(n) => Some(Decimal::from(*n)),
        Item::Decimal(d) => Some(*d),
        _ => None,
    }
}

/// A quantity, or a number as one without unit.
pub(super) fn as_quantity<'a>(item: &Item<'a>) -> Option<Quantity<'a>> {
    match item {
        Item::Quantity(q) => Some((**q).clone()),
        item => as_decimal(item).map(|value| Quantity {
            value,
            unit: Unit::Ucum("1".into()),
        }),
    }
}

fn equal_system(left: &Item<'_>, right: &Item<'_>) -> Option<bool> {
    if let (Some(l), Some(r)) = (as_decimal(left), as_decimal(right)) {
        return Some(l == r);
    }
    match (left, right) {
        (Item::Bool(l), Item::Bool(r)) => Some(l == r),
        (Item::String(l), Item::String(r)) => Some(l == r),
        (Item::Moment(l), Item::Moment(r)) => {
            let time = |m: &super::super::Moment| m.kind == super::super::MomentKind::Time;
            if time(l) == time(r) {
                l.order(r).map(Ordering::is_eq)
            } else {
                Some(false)
            }
        }
        (Item::TypeInfo(n, l), Item::TypeInfo(m, r)) => Some(n == m && l == r),
        (Item::Quantity(_), _) | (_, Item::Quantity(_)) => {
            match (as_quantity(left), as_quantity(right)) {
                (Some(l), Some(r)) => l.order(&r).map(Ordering::is_eq),
                _ => Some(false),
            }
        }
        _ => Some(false),
    }
}

fn equivalent_system(left: &Item<'_>, right: &Item<'_>) -> bool {
    if let (Some(l), Some(r)) = (as_decimal(left), as_decimal(right)) {
        return equivalent_decimals(l, r);
    }
    match (left, right) {
        (Item::String(l), Item::String(r)) => normal_text(l) == normal_text(r),
        (Item::Moment(l), Item::Moment(r)) => {
            l.is_same_kind_and_precision(r) && l.order(r) == Some(Ordering::Equal)
        }
        (Item::Quantity(_), _) | (_, Item::Quantity(_)) => {
            match (as_quantity(left), as_quantity(right)) {
                (Some(l), Some(r)) => equivalent_quantities(&l, &r),
                _ => false,
            }
        }
        _ => equal_system(left, right) == Some(true),
    }
}

/// In the coarser of the two units, by the coarser of the two numbers.
fn equivalent_quantities(left: &Quantity<'_>, right: &Quantity<'_>) -> bool {
    let (fine, coarse) = if left.is_finer(right) {
        (left, right)
    } else {
        (right, left)
    };
    fine.equivalent_value_in(&coarse.unit)
        .is_some_and(|value| equivalent_decimals(value, coarse.value))
}

/// Rounded to the digits of the one that has fewer, zeros at the end apart.
fn equivalent_decimals(left: Decimal, right: Decimal) -> bool {
    let scale = left.normalize().scale().min(right.normalize().scale());
    let round =
        |d: Decimal| d.round_dp_with_strategy(scale, RoundingStrategy::MidpointAwayFromZero);
    round(left) == round(right)
}

/// Without case, and with single blanks.
fn normal_text(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !normal.is_empty() {
            normal.push(' ');
        }
        normal.extend(word.chars().flat_map(char::to_lowercase));
    }
    normal
}

/// Sign, digits and power of ten such that equal numbers have equal ones: `1.50` is (false, "15", -1).
fn normal_number(text: &str) -> (bool, String, i64) {
    let (negative, rest) = text
        .strip_prefix('-')
        .map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let joined = format!("{whole}{fraction}");
    let digits = joined.trim_start_matches('0');
    let kept = digits.trim_end_matches('0');
    if kept.is_empty() {
        return (false, String::new(), 0);
    }
    let dropped = digits.len() - kept.len();
    let place = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let exponent = exponent.parse::<i64>().unwrap_or(i64::MAX);
    let exponent = exponent
        .saturating_sub(place(fraction.len()))
        .saturating_add(place(dropped));
    (negative, kept.to_owned(), exponent)
}
