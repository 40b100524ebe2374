//! `search.html#number`, `search.html#quantity`

use crate::json::Value;

use super::super::query::Range;
use super::super::rows::RowValue;
use super::super::value::number;
use super::{Emit, Shape, member_text};

/// The system of currency codes (`datatypes.html#Money`).
const CURRENCY: &str = "urn:iso:std:iso:4217";

/// Numbers: one value, or a range.
pub(super) fn numbers(shape: Shape, value: Value<'_>, emit: Emit<'_>) {
    let found = match shape {
        Shape::Primitive(_) => point(value).map(|v| Range { low: v, high: v }),
        Shape::Quantity => Quantity::read(value).range(),
        Shape::Range => Ends::read(value).map(|ends| ends.range),
        _ => None,
    };
    if let Some(range) = found {
        emit(RowValue::Number(range));
    }
}

/// Quantities: a value with its unit, or the range that the data covers.
pub(super) fn of(shape: Shape, value: Value<'_>, emit: Emit<'_>) {
    match shape {
        Shape::Quantity => {
            let quantity = Quantity::read(value);
            if let Some(range) = quantity.range() {
                emit(quantity.row(range));
            }
        }
        Shape::Range => {
            if let Some(ends) = Ends::read(value) {
                emit(ends.unit.row(ends.range));
            }
        }
        Shape::SampledData => sampled(value, emit),
        Shape::Money => {
            let amount = value.get("value").and_then(point);
            let code = value.get("currency").map(member_text).unwrap_or_default();
            if let Some(amount) = amount {
                let system = if code.is_empty() {
                    Box::default()
                } else {
                    CURRENCY.into()
                };
                let value = Range {
                    low: amount,
                    high: amount,
                };
                emit(RowValue::Quantity {
                    value,
                    system,
                    code,
                    unit: Box::default(),
                });
            }
        }
        _ => {}
    }
}

fn point(value: Value<'_>) -> Option<f64> {
    number::point(value.as_number()?)
}

#[derive(Default)]
struct Quantity {
    value: Option<f64>,
    comparator: Box<str>,
    system: Box<str>,
    code: Box<str>,
    unit: Box<str>,
}

impl Quantity {
    fn read(value: Value<'_>) -> Self {
        let mut quantity = Self::default();
        for member in value.members() {
            if member.is("value") {
                quantity.value = point(member.value);
            } else if member.is("comparator") {
                quantity.comparator = member_text(member.value);
            } else if member.is("system") {
                quantity.system = member_text(member.value);
            } else if member.is("code") {
                quantity.code = member_text(member.value);
            } else if member.is("unit") {
                quantity.unit = member_text(member.value);
            }
        }
        quantity
    }

    /// The values it may stand for: one, or all on one side of it.
    fn range(&self) -> Option<Range<f64>> {
        let value = self.value?;
        Some(match &*self.comparator {
            "<" | "<=" => Range {
                low: f64::NEG_INFINITY,
                high: value,
            },
            ">" | ">=" => Range {
                low: value,
                high: f64::INFINITY,
            },
            _ => Range {
                low: value,
                high: value,
            },
        })
    }

    fn row(self, value: Range<f64>) -> RowValue {
        let unit = if self.unit == self.code {
            Box::default()
        } else {
            self.unit
        };
        RowValue::Quantity {
            value,
            system: self.system,
            code: self.code,
            unit,
        }
    }
}

/// A `Range`: both ends, either of which may be open, and the unit of one.
struct Ends {
    range: Range<f64>,
    unit: Quantity,
}

impl Ends {
    fn read(value: Value<'_>) -> Option<Self> {
        let end = |name| {
            value
                .get(name)
                .map(Quantity::read)
                .filter(|q| q.value.is_some())
        };
        let (low, high) = (end("low"), end("high"));
        let at = |q: &Option<Quantity>, open| q.as_ref().and_then(|q| q.value).unwrap_or(open);
        let range = Range {
            low: at(&low, f64::NEG_INFINITY),
            high: at(&high, f64::INFINITY),
        };
        let unit = low.or(high)?;
        (range.low <= range.high).then_some(Self { range, unit })
    }
}

/// From the least to the greatest of the samples; `E`, `U` and `L` among them are errors and
/// values off the scale (`datatypes.html#SampledData`).
fn sampled(value: Value<'_>, emit: Emit<'_>) {
    let origin = value.get("origin");
    let zero = origin.and_then(|o| o.get("value")?.as_number());
    let (Some(origin), Some(zero)) = (origin, zero) else {
        return;
    };
    let factor = value.get("factor").and_then(Value::as_number);
    let factor = factor.unwrap_or("1");
    let data = value
        .get("data")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    // What samples come to grows, or falls, with them: the ends are of the least and the greatest.
    let samples = || data.split_ascii_whitespace();
    let known = || samples().filter_map(|s| Some((number::point(s)?, s)));
    let by_value = |a: &(f64, &str), b: &(f64, &str)| a.0.total_cmp(&b.0);
    let ends = [known().min_by(by_value), known().max_by(by_value)];
    for at in ends
        .into_iter()
        .flatten()
        .filter_map(|(_, s)| number::on_scale(s, factor, zero))
    {
        low = low.min(at);
        high = high.max(at);
    }
    let zero = number::point(zero).unwrap_or_default();
    for limit in ["lowerLimit", "upperLimit"]
        .iter()
        .filter_map(|n| value.get(n))
        .filter_map(point)
    {
        let code = if limit <= zero { "L" } else { "U" };
        if samples().any(|s| s == code) {
            low = low.min(limit);
            high = high.max(limit);
        }
    }
    if low <= high {
        emit(Quantity::read(origin).row(Range { low, high }));
    }
}
