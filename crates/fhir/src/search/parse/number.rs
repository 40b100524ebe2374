//! `search.html#number`, `search.html#quantity`

use crate::outcome::Issue;

use super::super::query::{Match, Prefix, Range, Unit};
use super::super::value::{VALUE_BYTES_MAX, cut, number};
use super::named::Named;
use super::text::{prefix, split, unescape};

pub(super) fn number(named: &Named<'_>, text: &str) -> Result<Match, Issue> {
    let (prefix, range) = range(named, text)?;
    Ok(Match::Number(prefix, range))
}

/// `number`, `number|system|code`, `number||code`.
pub(super) fn quantity(named: &Named<'_>, text: &str) -> Result<Match, Issue> {
    let keep = |part: &str| cut(&unescape(part), VALUE_BYTES_MAX).to_owned();
    let parts = split(text, '|');
    let (value, unit) = match parts.as_slice() {
        [value] => (value, Unit::Any),
        [value, "", code] if !code.is_empty() => (value, Unit::Code(keep(code))),
        [value, system, code] if !code.is_empty() => (
            value,
            Unit::Coded {
                system: keep(system),
                code: keep(code),
            },
        ),
        _ => {
            return Err(named.bad_value("a quantity is number, number|system|code or number||code"));
        }
    };
    let (prefix, range) = range(named, value)?;
    Ok(Match::Quantity(prefix, range, unit))
}

/// Equality asks for everything that rounds to the number as written; `ap` for a tenth more and
/// less; the other comparisons are with the number itself (`search.html#number`).
fn range(named: &Named<'_>, text: &str) -> Result<(Prefix, Range<f64>), Issue> {
    let text = unescape(text);
    let (prefix, text) = prefix(&text);
    let bad = || {
        named
            .bad_value("not a number: an optional prefix (eq ne gt lt ge le sa eb ap), then digits")
    };
    let range = match prefix {
        Prefix::Eq | Prefix::Ne => number::implied(text).ok_or_else(bad)?,
        Prefix::Ap => number::about(text).ok_or_else(bad)?,
        _ => {
            let value = number::point(text).ok_or_else(bad)?;
            Range {
                low: value,
                high: value,
            }
        }
    };
    Ok((prefix, range))
}
