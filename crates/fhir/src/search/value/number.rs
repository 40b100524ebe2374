//! Decimal text to numbers and to the ranges that their precision implies (`search.html#number`).

use crate::search::query::Range;
use crate::ucum;

/// The parts of a decimal as written.
struct Decimal<'t> {
    negative: bool,
    whole: &'t str,
    fraction: &'t str,
    exponent: i64,
}

/// Digits that a number may have; more is not a number that anyone measured.
const DIGITS_MAX: usize = 64;

/// The number itself; `None` if the text is not a decimal, or has more than 64 digits.
pub(crate) fn point(text: &str) -> Option<f64> {
    parse(text)?;
    text.parse().ok().filter(|v: &f64| v.is_finite())
}

/// The range of all numbers that round to the text at its precision: `5.4` is [5.35, 5.45), `100`
/// is [99.5, 100.5). The bounds are computed on the decimal digits and rounded to binary once.
///
/// A single digit with a positive exponent counts as if a zero followed it, as the specification's
/// example wants: `1e2` is [95, 105). Other exponents keep the precision of their digits: `1.00e2`
/// is [99.5, 100.5).
pub(crate) fn implied(text: &str) -> Option<Range<f64>> {
    let decimal = parse(text)?;
    let negative = decimal.negative;
    let joined = format!("{}{}", decimal.whole, decimal.fraction);
    let mut digits = joined.trim_start_matches('0').to_owned();
    let mut exponent = decimal.exponent - i64::try_from(decimal.fraction.len()).ok()?;
    if exponent > 0 && digits.len() <= 1 {
        digits.push('0');
        exponent -= 1;
    }
    // Half a unit of the last digit is a 5 one place further.
    let exponent = exponent - 1;
    let above = signed(negative, &format!("{digits}5"), exponent)?;
    let below = match decrement(&digits) {
        Some(less) => signed(negative, &format!("{less}5"), exponent)?,
        None => signed(!negative, "5", exponent)?,
    };
    let (low, high) = if negative {
        (above, below)
    } else {
        (below, above)
    };
    Some(Range { low, high })
}

/// A range of one unit in another (UCUM codes); `None` if they measure different things or the
/// numbers are out of all proportion.
pub fn in_unit(range: Range<f64>, from: &str, to: &str) -> Option<Range<f64>> {
    if from == to {
        return Some(range);
    }
    let convert = |x: f64| {
        let number = ucum::convert(ucum::Number::parse(&format!("{x:e}"))?, from, to)?;
        let (digits, exponent) = number.to_integer_and_exponent();
        let value = format!("{digits}e{exponent}").parse::<f64>().ok()?;
        value.is_finite().then_some(value)
    };
    let (low, high) = (convert(range.low)?, convert(range.high)?);
    (low <= high).then_some(Range { low, high })
}

fn signed(negative: bool, digits: &str, exponent: i64) -> Option<f64> {
    let sign = if negative { "-" } else { "" };
    format!("{sign}{digits}e{exponent}")
        .parse()
        .ok()
        .filter(|v: &f64| v.is_finite())
}

fn parse(text: &str) -> Option<Decimal<'_>> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (rest.get(..at)?, rest.get(at + 1..)?.parse::<i16>().ok()?),
        None => (rest, 0),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (mantissa, ""),
    };
    let all_digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    let shaped = !whole.is_empty() && mantissa.len() <= DIGITS_MAX;
    let decimal = Decimal {
        negative,
        whole,
        fraction,
        exponent: i64::from(exponent),
    };
    (shaped && all_digits(whole) && all_digits(fraction)).then_some(decimal)
}

/// The digits of the number one less; `None` below zero.
fn decrement(digits: &str) -> Option<String> {
    let mut out = digits.as_bytes().to_vec();
    for digit in out.iter_mut().rev() {
        if *digit > b'0' {
            *digit -= 1;
            return String::from_utf8(out).ok();
        }
        *digit = b'9';
    }
    None
}
