//! `toInteger()` … and `convertsToInteger()` ….

use super::super::function::Function;
use super::super::item::{Item, decimal};
use super::super::moment::{Moment, MomentKind};
use super::super::quantity::{Quantity, Unit, calendar};
use super::super::types::Types;
use super::arithmetic::whole;
use super::equal::as_decimal;

/// An item as another type; nothing if it cannot be one. `unit`: what a quantity is converted to.
pub(super) fn convert<'a>(
    function: Function,
    item: &Item<'a>,
    unit: Option<&str>,
    types: &Types,
) -> Option<Item<'a>> {
    use Function as F;
    let item = item.system(types)?;
    match function {
        F::ToBoolean | F::ConvertsToBoolean => boolean(&item).map(Item::Bool),
        F::ToInteger | F::ConvertsToInteger => match &item {
            Item::Integer(n) => Some(Item::Integer(*n)),
            Item::Long(n) => i32::try_from(*n).ok().map(Item::Integer),
            Item::Bool(b) => Some(Item::Integer(i32::from(*b))),
            Item::String(s) => s.parse().ok().map(Item::Integer),
            _ => None,
        },
        F::ToLong | F::ConvertsToLong => match &item {
            Item::Integer(n) => Some(Item::Long(i64::from(*n))),
            Item::Long(n) => Some(Item::Long(*n)),
            Item::Bool(b) => Some(Item::Long(i64::from(*b))),
            Item::String(s) => s.parse().ok().map(Item::Long),
            _ => None,
        },
        F::ToDecimal | F::ConvertsToDecimal => match &item {
            Item::Bool(b) => Some(Item::Decimal(i32::from(*b).into())),
            Item::String(s) => plain_decimal(s).map(Item::Decimal),
            item => as_decimal(item).map(Item::Decimal),
        },
        F::ToString | F::ConvertsToString => item.to_text(types).map(Item::String),
        F::ToDate | F::ConvertsToDate => match &item {
            Item::Moment(m) => m.date().map(Item::Moment),
            // A text with a time is none of a date, unlike a dateTime.
            Item::String(s) if !s.contains('T') => {
                Moment::parse(s).and_then(Moment::date).map(Item::Moment)
            }
            _ => None,
        },
        F::ToDateTime | F::ConvertsToDateTime => match &item {
            Item::Moment(m) if m.kind != MomentKind::Time => {
                let mut moment = *m;
                moment.kind = MomentKind::DateTime;
                Some(Item::Moment(moment))
            }
            Item::String(s) => Moment::parse_date_time(s).map(Item::Moment),
            _ => None,
        },
        F::ToTime | F::ConvertsToTime => match &item {
            Item::Moment(m) if m.kind == MomentKind::Time => Some(item),
            Item::String(s) => {
                let text = s.strip_prefix('T').unwrap_or(s);
                Moment::parse_time(text).map(Item::Moment)
            }
            _ => None,
        },
        F::ToQuantity | F::ConvertsToQuantity => in_unit(quantity(&item)?, unit),
        _ => None,
    }
}

fn boolean(item: &Item<'_>) -> Option<bool> {
    match item {
        Item::Bool(b) => Some(*b),
        Item::String(s) => match s.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" | "1.0" => Some(true),
            "false" | "f" | "no" | "n" | "0" | "0.0" => Some(false),
            _ => None,
        },
        item => {
            let number = as_decimal(item)?;
            match whole(number)? {
                _ if !number.fract().is_zero() => None,
                Item::Integer(0) => Some(false),
                Item::Integer(1) => Some(true),
                _ => None,
            }
        }
    }
}

/// Digits with a sign and a fraction, without exponent.
fn plain_decimal(text: &str) -> Option<rust_decimal::Decimal> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    (all(whole) && all(fraction))
        .then(|| decimal(text))
        .flatten()
}

fn quantity<'a>(item: &Item<'a>) -> Option<Quantity<'a>> {
    let one = || Unit::Ucum("1".into());
    match item {
        Item::Quantity(q) => Some((**q).clone()),
        Item::Bool(b) => Some(Quantity {
            value: i32::from(*b).into(),
            unit: one(),
        }),
        Item::String(text) => {
            let text = text.trim();
            let end = text
                .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-')))
                .unwrap_or(text.len());
            let (number, unit) = text.split_at(end);
            let value = plain_decimal(number)?;
            let unit = unit.trim_start();
            let quoted = unit.strip_prefix('\'').and_then(|u| u.strip_suffix('\''));
            let unit = match quoted {
                Some(code) if !code.is_empty() => Unit::quoted(code.to_owned().into()),
                Some(_) => return None,
                None if unit.is_empty() => one(),
                None => Unit::Calendar(calendar(unit)?),
            };
            Some(Quantity { value, unit })
        }
        item => Some(Quantity {
            value: as_decimal(item)?,
            unit: one(),
        }),
    }
}

fn in_unit<'a>(quantity: Quantity<'a>, unit: Option<&str>) -> Option<Item<'a>> {
    let Some(unit) = unit else {
        return Some(Item::Quantity(Box::new(quantity)));
    };
    let unit = unit.trim_matches('\'');
    let unit: Unit<'a> = Unit::quoted(unit.to_owned().into());
    let value = quantity.value_in(&unit)?;
    Some(Item::Quantity(Box::new(Quantity { value, unit })))
}
