//! `search.html#date`

use crate::json::Value;

use super::super::query::Range;
use super::super::rows::RowValue;
use super::super::value::date;
use super::{Emit, Shape};

/// The time that a date, a period or a timing covers. A timing counts from its first to its last
/// outer limit; what it does in between is not looked at.
pub(super) fn of(shape: Shape, value: Value<'_>, emit: Emit<'_>) {
    let found = match shape {
        Shape::Primitive(_) => instant(value),
        Shape::Period => period(value),
        Shape::Timing => timing(value),
        _ => None,
    };
    if let Some(range) = found {
        emit(RowValue::Date(range));
    }
}

fn instant(value: Value<'_>) -> Option<Range<i64>> {
    date::range(&value.as_str()?)
}

/// An end covers all that its precision names; a missing one is open.
fn period(value: Value<'_>) -> Option<Range<i64>> {
    let (mut low, mut high) = (None, None);
    for member in value.members() {
        if member.is("start") {
            low = instant(member.value).map(|r| r.low);
        } else if member.is("end") {
            high = instant(member.value).map(|r| r.high);
        }
    }
    if low.is_none() && high.is_none() {
        return None;
    }
    let range = Range {
        low: low.unwrap_or(i64::MIN),
        high: high.unwrap_or(i64::MAX),
    };
    (range.low < range.high).then_some(range)
}

fn timing(value: Value<'_>) -> Option<Range<i64>> {
    let events = value
        .get("event")
        .into_iter()
        .flat_map(Value::items)
        .filter_map(instant);
    let bounds = value
        .get("repeat")
        .and_then(|r| r.get("boundsPeriod"))
        .and_then(period);
    events.chain(bounds).reduce(|a, b| Range {
        low: a.low.min(b.low),
        high: a.high.max(b.high),
    })
}
