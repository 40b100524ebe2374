//! `=` of collections, items and whole elements.

use std::cell::Cell;

use super::super::EvalError;
use super::super::item::{Item, Primitive};
use crate::json::{Kind, Value};
use crate::search::value::date;

type Answer = Result<Option<bool>, EvalError>;

/// Collections are equal when they have equal items in the same order; empty if one is empty.
pub(super) fn collections(left: &[Item<'_>], right: &[Item<'_>], steps: &Cell<u64>) -> Answer {
    if left.is_empty() || right.is_empty() {
        return Ok(None);
    }
    if left.len() != right.len() {
        return Ok(Some(false));
    }
    for (left, right) in left.iter().zip(right) {
        match items(left, right, steps)? {
            Some(true) => {}
            other => return Ok(other),
        }
    }
    Ok(Some(true))
}

/// Items are equal when they are the same kind of primitive with the same value, or elements with
/// the same content. Dates of different precision that may be the same are neither.
pub(super) fn items(left: &Item<'_>, right: &Item<'_>, steps: &Cell<u64>) -> Answer {
    if let (Item::Node(l), Item::Node(r)) = (left, right)
        && l.is_same(*r)
    {
        return Ok(Some(true));
    }
    match (left.primitive(), right.primitive()) {
        (Primitive::Bool(l), Primitive::Bool(r)) => Ok(Some(l == r)),
        (Primitive::String(l), Primitive::String(r)) => Ok(Some(l == r)),
        (Primitive::Number(l), Primitive::Number(r)) => {
            Ok(Some(normal_number(&l) == normal_number(&r)))
        }
        (Primitive::Date(l), Primitive::Date(r) | Primitive::String(r))
        | (Primitive::String(l), Primitive::Date(r)) => Ok(dates(&l, &r)),
        (Primitive::None, Primitive::None) => match (left, right) {
            (Item::Node(l), Item::Node(r)) => match (l.value, r.value) {
                (Some(l), Some(r)) => values(l, r, steps).map(Some),
                _ => Ok(Some(false)),
            },
            _ => Ok(Some(false)),
        },
        _ => Ok(Some(false)),
    }
}

fn dates(left: &str, right: &str) -> Option<bool> {
    let (Some(l), Some(r)) = (date::range(left), date::range(right)) else {
        return Some(left == right);
    };
    if l == r {
        return Some(true);
    }
    let overlap = l.low < r.high && r.low < l.high;
    if overlap { None } else { Some(false) }
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

/// Deep equality; the order of members does not matter.
fn values(left: Value<'_>, right: Value<'_>, steps: &Cell<u64>) -> Result<bool, EvalError> {
    let budget = steps.get().checked_sub(1).ok_or(EvalError::Steps)?;
    steps.set(budget);
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
                if !values(l, r, steps)? {
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
                if !values(member.value, other, steps)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
    }
}
