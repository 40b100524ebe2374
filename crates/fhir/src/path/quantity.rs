//! Quantities: a decimal with a unit of UCUM or of the calendar.
//!
//! A calendar year is no definite time, so that `1 year` and `1 'a'` do not compare; weeks, days and
//! what is shorter are the same in both. A quantity of FHIR counts as either.

use std::borrow::Cow;
use std::cmp::Ordering;

use rust_decimal::Decimal;

use super::moment::Span;
use crate::ucum::{self, Number};

/// A quantity.
#[derive(Clone, Debug)]
pub struct Quantity<'a> {
    /// The number.
    pub value: Decimal,
    /// Its unit.
    pub unit: Unit<'a>,
}

/// The unit of a quantity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unit<'a> {
    /// A word of the calendar, in the singular: `year`.
    Calendar(&'static str),
    /// A code of UCUM.
    Ucum(Cow<'a, str>),
    /// The code of an element, which may mean the calendar too.
    Element(Cow<'a, str>),
    /// Another system's unit: system and code. It is comparable only with itself.
    Other(Cow<'a, str>, Cow<'a, str>),
}

const CALENDAR: [(&str, &str, Span); 8] = [
    ("year", "a", Span::Year),
    ("month", "mo", Span::Month),
    ("week", "wk", Span::Week),
    ("day", "d", Span::Day),
    ("hour", "h", Span::Hour),
    ("minute", "min", Span::Minute),
    ("second", "s", Span::Second),
    ("millisecond", "ms", Span::Millisecond),
];

/// The calendar's word, from singular or plural.
pub(super) fn calendar(word: &str) -> Option<&'static str> {
    let singular = word.strip_suffix('s').unwrap_or(word);
    CALENDAR.iter().map(|c| c.0).find(|c| *c == singular)
}

impl<'a> Unit<'a> {
    /// The unit of a quoted text: a UCUM code, or a word of the calendar.
    pub(super) fn quoted(text: Cow<'a, str>) -> Self {
        calendar(&text).map_or(Self::Ucum(text), Self::Calendar)
    }

    /// The code as UCUM has it; nothing for units of other systems.
    pub fn ucum_code(&self) -> Option<&str> {
        self.code()
    }

    fn code(&self) -> Option<&str> {
        match self {
            Self::Calendar(word) => CALENDAR.iter().find(|c| c.0 == *word).map(|c| c.1),
            Self::Ucum(code) | Self::Element(code) => Some(code),
            Self::Other(..) => None,
        }
    }

    /// The span of time that may be added to a date; `None` for units that are none, and for the
    /// UCUM units `a` and `mo`, which are no whole number of days.
    pub(super) fn span(&self) -> Option<Span> {
        let (code, ucum) = match self {
            Self::Calendar(word) => {
                return CALENDAR.iter().find(|c| c.0 == *word).map(|c| c.2);
            }
            Self::Ucum(code) => (code, true),
            Self::Element(code) => (code, false),
            Self::Other(..) => return None,
        };
        CALENDAR
            .iter()
            .find(|c| c.1 == &**code && !(ucum && matches!(c.2, Span::Year | Span::Month)))
            .map(|c| c.2)
    }

    /// The unit as text.
    pub fn text(&self) -> &str {
        match self {
            Self::Calendar(word) => word,
            Self::Ucum(code) | Self::Element(code) | Self::Other(_, code) => code,
        }
    }

    /// Whether exactly one of the two is a calendar's year or month and the other UCUM's.
    fn is_mixed(&self, other: &Self) -> bool {
        let vague = |u: &Self| matches!(u, Self::Calendar("year" | "month"));
        let ucum = |u: &Self| matches!(u, Self::Ucum(_));
        (vague(self) && ucum(other)) || (ucum(self) && vague(other))
    }
}

fn number(value: Decimal) -> Number {
    Number::parse(&value.to_string()).unwrap_or(Number::ZERO)
}

/// A number as a decimal, where it fits.
pub(super) fn decimal(number: Number) -> Option<Decimal> {
    let (digits, exponent) = number.to_integer_and_exponent();
    if exponent <= 0 {
        Decimal::try_from_i128_with_scale(digits, exponent.unsigned_abs()).ok()
    } else {
        let scaled = digits.checked_mul(10_i128.checked_pow(exponent.unsigned_abs())?)?;
        Decimal::try_from_i128_with_scale(scaled, 0).ok()
    }
}

impl Quantity<'_> {
    /// Both values in base units, where the units measure the same thing.
    fn in_base(&self, other: &Self) -> Option<(Number, Number)> {
        if self.unit.is_mixed(&other.unit) {
            return None;
        }
        let left = ucum::unit(self.unit.code()?)?;
        let right = ucum::unit(other.unit.code()?)?;
        if !left.is_comparable(&right) {
            return None;
        }
        Some((
            left.to_base(number(self.value))?,
            right.to_base(number(other.value))?,
        ))
    }

    /// Whether the two can be compared.
    pub(super) fn is_comparable(&self, other: &Self) -> bool {
        self.unit == other.unit && matches!(self.unit, Unit::Other(..))
            || self.in_base(other).is_some()
    }

    /// Their order; `None` if the units measure different things.
    pub(super) fn order(&self, other: &Self) -> Option<Ordering> {
        if self.unit == other.unit {
            return Some(self.value.cmp(&other.value));
        }
        let (left, right) = self.in_base(other)?;
        Some(left.cmp(&right))
    }

    /// This quantity's value in the unit of another one.
    pub(super) fn value_in(&self, unit: &Unit<'_>) -> Option<Decimal> {
        if self.unit.is_mixed(unit) {
            return None;
        }
        self.equivalent_value_in(unit)
    }

    /// As [`Self::value_in`], but a calendar's year is UCUM's as well.
    pub(super) fn equivalent_value_in(&self, unit: &Unit<'_>) -> Option<Decimal> {
        if self.unit == *unit {
            return Some(self.value);
        }
        decimal(ucum::convert(
            number(self.value),
            self.unit.code()?,
            unit.code()?,
        )?)
    }

    /// Whether the unit of this one is not coarser than that of `other`, which it compares to.
    pub(super) fn is_finer(&self, other: &Self) -> bool {
        let factor = |q: &Self| q.unit.code().and_then(ucum::unit).and_then(|u| u.factor());
        match (factor(self), factor(other)) {
            (Some(left), Some(right)) => left <= right,
            _ => false,
        }
    }

    /// The unit of a product or quotient.
    pub(super) fn combined(&self, other: &Self, divide: bool) -> Option<Unit<'static>> {
        let (left, right) = (self.unit.code()?, other.unit.code()?);
        if divide && left == right {
            return Some(Unit::Ucum(Cow::Borrowed("1")));
        }
        let code = if let Some(code) = of_factors(left, right, divide) {
            code
        } else {
            let bracket = |code: &str| {
                if code.contains(['.', '/']) {
                    format!("({})", code.trim_start_matches('/'))
                } else {
                    code.to_owned()
                }
            };
            format!("{left}{}{}", if divide { '/' } else { '.' }, bracket(right))
        };
        // A leading `/` in a factor would be lost in brackets.
        if right.starts_with('/') {
            return None;
        }
        ucum::is_valid(&code).then_some(Unit::Ucum(Cow::Owned(code)))
    }

    /// As FHIRPath writes it: `1.5 'mg'`, `4 days`.
    pub(super) fn text(&self) -> String {
        match &self.unit {
            Unit::Calendar(word) => {
                let plural = if self.value == Decimal::ONE { "" } else { "s" };
                format!("{} {word}{plural}", self.value)
            }
            unit => format!("{} '{}'", self.value, unit.text()),
        }
    }
}

/// The unit of a product or quotient, each symbol of its factors once: `cm2/cm` is `cm`. None where a
/// factor is more than symbols with exponents.
fn of_factors(left: &str, right: &str, divide: bool) -> Option<String> {
    let mut all: Vec<(&str, i32)> = Vec::new();
    let sign = if divide { -1 } else { 1 };
    let right = factors(right)?.into_iter().map(|(s, e)| (s, e * sign));
    for (symbol, exponent) in factors(left)?.into_iter().chain(right) {
        match all.iter_mut().find(|(known, _)| *known == symbol) {
            Some((_, of)) => *of = of.checked_add(exponent)?,
            None => all.push((symbol, exponent)),
        }
    }
    let mut code = String::new();
    for (symbol, exponent) in all.iter().filter(|(_, e)| *e > 0) {
        let dot = if code.is_empty() { "" } else { "." };
        code.push_str(&format!("{dot}{symbol}"));
        if *exponent > 1 {
            code.push_str(&exponent.to_string());
        }
    }
    if code.is_empty() {
        code.push('1');
    }
    for (symbol, exponent) in all.iter().filter(|(_, e)| *e < 0) {
        code.push_str(&format!("/{symbol}"));
        if *exponent < -1 {
            code.push_str(&exponent.unsigned_abs().to_string());
        }
    }
    Some(code)
}

/// A unit as symbols with their exponents, in order; none for one with parentheses, annotations or
/// powers of ten.
fn factors(code: &str) -> Option<Vec<(&str, i32)>> {
    let mut found = Vec::new();
    let (mut rest, mut sign) = (code, 1);
    loop {
        let end = rest.find(['.', '/']).unwrap_or(rest.len());
        let (part, behind) = rest.split_at_checked(end)?;
        let base = part.trim_end_matches(|c: char| c.is_ascii_digit());
        let symbol = base.strip_suffix(['-', '+']).unwrap_or(base);
        let exponent: i32 = match part.get(symbol.len()..)? {
            "" => 1,
            exponent => exponent.parse().ok().filter(|e: &i32| e.abs() < 100)?,
        };
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '[' | ']' | '_' | '\'' | '%');
        if !symbol.is_empty() && symbol.chars().all(plain) {
            found.push((symbol, exponent * sign));
        } else if part != "1" {
            return None;
        }
        sign = if behind.starts_with('/') { -1 } else { 1 };
        match behind.get(1..) {
            Some(next) => rest = next,
            None => return Some(found),
        }
    }
}
