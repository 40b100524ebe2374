//! `lowBoundary()`, `highBoundary()` and `precision()`.

use rust_decimal::{Decimal, RoundingStrategy};

use super::super::EvalError;
use super::super::item::Item;
use super::equal::as_decimal;

/// Decimals have at most this many digits behind the point.
const SCALE_MAX: u32 = 28;

/// The least or greatest value that an item may stand for, with so many digits.
pub(super) fn of<'a>(
    item: &Item<'a>,
    digits: Option<i64>,
    high: bool,
) -> Result<Option<Item<'a>>, EvalError> {
    Ok(match item {
        Item::Moment(moment) => moment.boundary(digits, high).map(Item::Moment),
        Item::Quantity(quantity) => number(quantity.value, digits, high).map(|value| {
            let mut quantity = quantity.clone();
            quantity.value = value;
            Item::Quantity(quantity)
        }),
        item => {
            let name = if high { "highBoundary" } else { "lowBoundary" };
            let value = as_decimal(item).ok_or(EvalError::Input(name))?;
            number(value, digits, high).map(Item::Decimal)
        }
    })
}

/// Half a unit of the last digit away. With fewer digits than that needs, the far end from zero is
/// rounded and the near end is cut.
fn number(value: Decimal, digits: Option<i64>, high: bool) -> Option<Decimal> {
    let digits = u32::try_from(digits.unwrap_or(8)).ok()?;
    if digits > SCALE_MAX {
        return None;
    }
    let half = Decimal::try_from_i128_with_scale(5, value.scale().checked_add(1)?).ok()?;
    let away = high == value.is_sign_positive();
    let mut bound = if high {
        value.checked_add(half)?
    } else {
        value.checked_sub(half)?
    };
    if bound.scale() > digits {
        let strategy = if away {
            RoundingStrategy::MidpointAwayFromZero
        } else {
            RoundingStrategy::ToZero
        };
        bound = bound.round_dp_with_strategy(digits, strategy);
    }
    bound.rescale(digits);
    (bound.scale() == digits).then_some(bound)
}

/// Digits behind the point, or the digits of a date or time.
pub(super) fn precision<'a>(item: &Item<'a>) -> Result<Item<'a>, EvalError> {
    let digits = match item {
        Item::Decimal(d) => i64::from(d.scale()),
        Item::Quantity(q) => i64::from(q.value.scale()),
        Item::Integer(_) | Item::Long(_) => 0,
        Item::Moment(moment) => moment.digits_known(),
        _ => return Err(EvalError::Input("precision")),
    };
    Ok(Item::Integer(i32::try_from(digits).unwrap_or(0)))
}
