//! `+ - * / div mod` and the sign.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::super::EvalError;
use super::super::ast::Operator;
use super::super::item::Item;
use super::super::moment::Moment;
use super::super::plan::Op;
use super::super::quantity::Quantity;
use super::equal::{as_decimal, as_quantity};
use super::{Frame, Run};
use crate::definitions::FhirVersion;

impl<'a> Run<'_, 'a> {
    /// A sum, product …; nothing where it overflows or the divisor is zero.
    pub(super) fn arithmetic(
        &self,
        operator: Operator,
        left: &Item<'a>,
        right: &Item<'a>,
    ) -> Result<Option<Item<'a>>, EvalError> {
        let mismatch = || EvalError::Operands(operator.as_str());
        let system = (left.system(self.types()), right.system(self.types()));
        let (Some(left), Some(right)) = system else {
            let empty = |item: &Item<'a>| {
                item.node()
                    .is_some_and(|n| n.ty.is_primitive() && n.value.is_none())
            };
            return if empty(left) || empty(right) {
                Ok(None)
            } else {
                Err(mismatch())
            };
        };
        match (&left, &right, operator) {
            (Item::String(l), Item::String(r), Operator::Plus) => {
                self.text(format!("{l}{r}")).map(Some)
            }
            (Item::Moment(moment), Item::Quantity(q), Operator::Plus) => {
                self.moved(*moment, q, q.value)
            }
            (Item::Moment(moment), Item::Quantity(q), Operator::Minus) => {
                self.moved(*moment, q, -q.value)
            }
            (Item::Quantity(_), _, _) | (_, Item::Quantity(_), _) => {
                match (as_quantity(&left), as_quantity(&right)) {
                    (Some(l), Some(r)) => quantities(operator, &l, &r),
                    _ => Err(mismatch()),
                }
            }
            _ => numbers(operator, &left, &right).ok_or_else(mismatch),
        }
    }

    fn moved(
        &self,
        moment: Moment,
        quantity: &Quantity<'a>,
        amount: Decimal,
    ) -> Result<Option<Item<'a>>, EvalError> {
        let unit = || EvalError::Unit(quantity.unit.text().into());
        let span = quantity.unit.span().ok_or_else(unit)?;
        // Parts of seconds do not count in the tests of R4 and R4B, and count in those of R5.
        let fractions = self.types().model().version() >= FhirVersion::R5;
        Ok(moment.plus(amount, span, fractions).map(Item::Moment))
    }

    pub(super) fn negate(
        &self,
        of: &'a Op,
        frame: &Frame<'_, 'a>,
    ) -> Result<Option<Item<'a>>, EvalError> {
        let Some(item) = self.single(of, frame)? else {
            return Ok(None);
        };
        match item.system(self.types()) {
            Some(Item::Integer(n)) => Ok(n.checked_neg().map(Item::Integer)),
            Some(Item::Long(n)) => Ok(n.checked_neg().map(Item::Long)),
            Some(Item::Decimal(d)) => Ok(Some(Item::Decimal(-d))),
            Some(Item::Quantity(mut q)) => {
                q.value = -q.value;
                Ok(Some(Item::Quantity(q)))
            }
            _ => Err(EvalError::Operands("-")),
        }
    }
}

/// `None`: not numbers; `Some(None)`: no result.
fn numbers<'a>(operator: Operator, left: &Item<'a>, right: &Item<'a>) -> Option<Option<Item<'a>>> {
    if operator != Operator::Divide {
        match (left, right) {
            (Item::Integer(l), Item::Integer(r)) => {
                let found = integers(operator, i64::from(*l), i64::from(*r));
                return Some(found.and_then(|n| i32::try_from(n).ok()).map(Item::Integer));
            }
            (Item::Integer(_) | Item::Long(_), Item::Integer(_) | Item::Long(_)) => {
                let wide = |item: &Item<'_>| match item {
                    Item::Integer(n) => i64::from(*n),
                    Item::Long(n) => *n,
                    _ => 0,
                };
                return Some(integers(operator, wide(left), wide(right)).map(Item::Long));
            }
            _ => {}
        }
    }
    let (left, right) = (as_decimal(left)?, as_decimal(right)?);
    Some(match operator {
        Operator::Plus => left.checked_add(right).map(Item::Decimal),
        Operator::Minus => left.checked_sub(right).map(Item::Decimal),
        Operator::Times => left.checked_mul(right).map(Item::Decimal),
        Operator::Divide => left.checked_div(right).map(Item::Decimal),
        Operator::Mod => left.checked_rem(right).map(Item::Decimal),
        Operator::Div => left.checked_div(right).and_then(whole),
        _ => return None,
    })
}

/// The whole part as an integer that holds it.
pub(super) fn whole<'a>(number: Decimal) -> Option<Item<'a>> {
    let number = number.trunc();
    number
        .to_i32()
        .map(Item::Integer)
        .or_else(|| number.to_i64().map(Item::Long))
}

const fn integers(operator: Operator, left: i64, right: i64) -> Option<i64> {
    match operator {
        Operator::Plus => left.checked_add(right),
        Operator::Minus => left.checked_sub(right),
        Operator::Times => left.checked_mul(right),
        Operator::Div => left.checked_div(right),
        Operator::Mod => left.checked_rem(right),
        _ => None,
    }
}

fn quantities<'a>(
    operator: Operator,
    left: &Quantity<'a>,
    right: &Quantity<'a>,
) -> Result<Option<Item<'a>>, EvalError> {
    let item = |value: Option<Decimal>, unit| {
        value.map(|value| Item::Quantity(Box::new(Quantity { value, unit })))
    };
    Ok(match operator {
        // In the finer of the two units.
        Operator::Plus | Operator::Minus => {
            let unit = if left.is_finer(right) {
                &left.unit
            } else {
                &right.unit
            };
            let (Some(l), Some(r)) = (left.value_in(unit), right.value_in(unit)) else {
                return Ok(None);
            };
            let sum = if operator == Operator::Plus {
                l.checked_add(r)
            } else {
                l.checked_sub(r)
            };
            item(sum, unit.clone())
        }
        Operator::Times | Operator::Divide if right.unit.text() == "1" => {
            let value = if operator == Operator::Times {
                left.value.checked_mul(right.value)
            } else {
                left.value.checked_div(right.value)
            };
            item(value, left.unit.clone())
        }
        Operator::Times if left.unit.text() == "1" => {
            item(left.value.checked_mul(right.value), right.unit.clone())
        }
        Operator::Times => left
            .combined(right, false)
            .and_then(|unit| item(left.value.checked_mul(right.value), unit)),
        Operator::Divide => left
            .combined(right, true)
            .and_then(|unit| item(left.value.checked_div(right.value), unit)),
        _ => return Err(EvalError::Operands(operator.as_str())),
    })
}
