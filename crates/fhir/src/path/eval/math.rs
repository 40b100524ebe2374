//! Functions of numbers.

use rust_decimal::prelude::{FromPrimitive, ToPrimitive};
use rust_decimal::{Decimal, RoundingStrategy};

use super::super::EvalError;
use super::super::function::Function;
use super::super::item::Item;
use super::arithmetic::whole;
use super::equal::as_decimal;

/// A function of one number (or quantity) and perhaps another; nothing outside its domain.
pub(super) fn of<'a>(
    function: Function,
    item: &Item<'a>,
    arg: Option<&Item<'a>>,
) -> Result<Option<Item<'a>>, EvalError> {
    let mismatch = || EvalError::Input(function.as_str());
    if let Item::Quantity(q) = item {
        let mut q = q.clone();
        q.value = match function {
            Function::Abs => q.value.abs(),
            Function::Round => rounded(q.value, arg)?,
            Function::Ceiling => q.value.ceil(),
            Function::Floor => q.value.floor(),
            Function::Truncate => q.value.trunc(),
            _ => return Err(mismatch()),
        };
        return Ok(Some(Item::Quantity(q)));
    }
    let number = as_decimal(item).ok_or_else(mismatch)?;
    let arg_number = match arg {
        Some(arg) => Some(as_decimal(arg).ok_or_else(mismatch)?),
        None => None,
    };
    let float = |f: f64| Decimal::from_f64(f).map(Item::Decimal);
    let value = number.to_f64();
    Ok(match function {
        Function::Abs => match item {
            Item::Integer(n) => n.checked_abs().map(Item::Integer),
            Item::Long(n) => n.checked_abs().map(Item::Long),
            _ => Some(Item::Decimal(number.abs())),
        },
        Function::Ceiling => whole(number.ceil()),
        Function::Floor => whole(number.floor()),
        Function::Truncate => whole(number),
        Function::Round => Some(Item::Decimal(rounded(number, arg)?)),
        Function::Exp if number.is_zero() => Some(Item::Decimal(Decimal::ONE)),
        Function::Exp => value.map(f64::exp).and_then(float),
        Function::Ln => value.filter(|n| *n > 0.0).map(f64::ln).and_then(float),
        Function::Sqrt => root(number).map(Item::Decimal),
        Function::Log => {
            let base = arg_number.and_then(|b| b.to_f64()).filter(|b| *b > 0.0);
            let both = value.filter(|n| *n > 0.0).zip(base);
            both.and_then(|(n, base)| float(logarithm(n, base)))
        }
        Function::Power => arg_number.and_then(|e| power(item, number, e)),
        _ => return Err(mismatch()),
    })
}

/// Halves are rounded away from zero.
fn rounded(number: Decimal, digits: Option<&Item<'_>>) -> Result<Decimal, EvalError> {
    let digits = match digits {
        None => 0,
        Some(Item::Integer(n)) => u32::try_from(*n).map_err(|_| EvalError::Input("round"))?,
        Some(_) => return Err(EvalError::Input("round")),
    };
    Ok(number.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero))
}

/// By Newton's steps from the nearest floating number.
fn root(number: Decimal) -> Option<Decimal> {
    if number.is_zero() {
        return Some(number);
    }
    let start = number.to_f64().filter(|n| *n > 0.0)?.sqrt();
    let mut root = Decimal::from_f64(start)?;
    for _ in 0..2 {
        let next = root.checked_add(number.checked_div(root)?)?;
        root = next.checked_div(Decimal::TWO)?;
    }
    Some(root.normalize())
}

/// Exact for the bases that have an exact one.
fn logarithm(number: f64, base: f64) -> f64 {
    if (base - 2.0).abs() < f64::EPSILON {
        number.log2()
    } else if (base - 10.0).abs() < f64::EPSILON {
        number.log10()
    } else {
        number.ln() / base.ln()
    }
}

fn power<'a>(item: &Item<'a>, number: Decimal, exponent: Decimal) -> Option<Item<'a>> {
    if let Some(e) = exponent.to_u32().filter(|_| exponent.fract().is_zero()) {
        match item {
            Item::Integer(n) => {
                let result = i64::from(*n).checked_pow(e)?;
                return i32::try_from(result).ok().map(Item::Integer);
            }
            Item::Long(n) => return n.checked_pow(e).map(Item::Long),
            _ => {
                let mut result = Decimal::ONE;
                let (mut square, mut rest) = (number, e);
                while rest > 0 {
                    if rest & 1 == 1 {
                        result = result.checked_mul(square)?;
                    }
                    rest >>= 1;
                    if rest > 0 {
                        square = square.checked_mul(square)?;
                    }
                }
                return Some(Item::Decimal(result));
            }
        }
    }
    let result = number.to_f64()?.powf(exponent.to_f64()?);
    Decimal::from_f64(result).map(Item::Decimal)
}
