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

impl Decimal<'_> {
    fn is_zero(&self) -> bool {
        let zeros = |digits: &str| digits.bytes().all(|b| b == b'0');
        zeros(self.whole) && zeros(self.fraction)
    }

    /// Its digits without zeros in front, and the exponent of the last of them.
    fn digits(&self) -> (String, i64) {
        let joined = format!("{}{}", self.whole, self.fraction);
        let behind = i64::try_from(self.fraction.len()).unwrap_or(i64::MAX);
        let exponent = self.exponent.saturating_sub(behind);
        (joined.trim_start_matches('0').to_owned(), exponent)
    }
}

/// The number itself as it is compared: as a double, of which decimals of 15 digits are told apart.
/// What is beyond doubles is the greatest of them, and what is nearer to zero than any the least,
/// but not zero. `None` if the text is not a decimal.
pub(crate) fn point(text: &str) -> Option<f64> {
    let decimal = parse(text)?;
    let value: f64 = text.parse().ok()?;
    Some(match (decimal.is_zero(), value == 0.0, decimal.negative) {
        (true, ..) => 0.0,
        (false, true, false) => f64::from_bits(1),
        (false, true, true) => -f64::from_bits(1),
        _ => value.clamp(f64::MIN, f64::MAX),
    })
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
    let (mut digits, mut exponent) = decimal.digits();
    if exponent > 0 && digits.len() <= 1 {
        digits.push('0');
        exponent -= 1;
    }
    // Half a unit of the last digit is a 5 one place further.
    let exponent = exponent.saturating_sub(1);
    let above = signed(negative, &format!("{digits}5"), exponent)?;
    let below = match decrement(&digits) {
        Some(less) => signed(negative, &format!("{less}5"), exponent)?,
        None => signed(!negative, "5", exponent)?,
    };
    Some(outward(negative, below, above))
}

/// The range of all numbers that are a tenth more or less than this one, both ends with it
/// (`search.html#prefix`: 10% of the stated value). Computed on the decimal digits, too.
pub(crate) fn about(text: &str) -> Option<Range<f64>> {
    let decimal = parse(text)?;
    let (digits, exponent) = decimal.digits();
    let exponent = exponent.saturating_sub(1);
    let far = signed(decimal.negative, &times(&digits, 11), exponent)?;
    let near = signed(decimal.negative, &times(&digits, 9), exponent)?;
    let range = outward(decimal.negative, near, far);
    Some(Range {
        low: range.low,
        high: range.high.next_up(),
    })
}

/// From the end that is nearer to zero, and the other one, of a range that has some number in it. What
/// is stored is never beyond doubles, so that it has its place in a range which is.
fn outward(negative: bool, near: f64, far: f64) -> Range<f64> {
    let (low, high) = if negative { (far, near) } else { (near, far) };
    let low = low.min(f64::MAX);
    let high = high.max(f64::MIN);
    let high = if low < high { high } else { low.next_up() };
    Range {
        low,
        high: high.max(f64::MIN.next_up()),
    }
}

/// A range of one unit in another (UCUM codes); `None` if they measure different things or the
/// numbers are out of all proportion.
pub fn in_unit(range: Range<f64>, from: &str, to: &str) -> Option<Range<f64>> {
    if from == to {
        return Some(range);
    }
    let convert = |x: f64| {
        if x.is_infinite() {
            return Some(x);
        }
        let number = ucum::convert(ucum::Number::parse(&format!("{x:e}"))?, from, to)?;
        let (digits, exponent) = number.to_integer_and_exponent();
        let value = format!("{digits}e{exponent}").parse::<f64>().ok()?;
        value.is_finite().then_some(value)
    };
    let (low, high) = (convert(range.low)?, convert(range.high)?);
    (low <= high).then_some(Range { low, high })
}

/// What a sample stands for: `zero + sample × factor`, computed on decimals.
pub(crate) fn on_scale(sample: &str, factor: &str, zero: &str) -> Option<f64> {
    let exact = || {
        let read = ucum::Number::parse;
        let of_zero = read(sample)?.checked_mul(read(factor)?)?;
        let (digits, exponent) = read(zero)?.checked_add(of_zero)?.to_integer_and_exponent();
        point(&format!("{digits}e{exponent}"))
    };
    exact().or_else(|| Some(point(zero)? + point(sample)? * point(factor)?))
}

/// A bound of a range; what is nearer to zero than doubles get is not zero.
fn signed(negative: bool, digits: &str, exponent: i64) -> Option<f64> {
    let sign = if negative { "-" } else { "" };
    let value: f64 = format!("{sign}{digits}e{exponent}").parse().ok()?;
    let lost = value == 0.0 && digits.bytes().any(|b| b != b'0');
    Some(if lost {
        f64::from_bits(1).copysign(value)
    } else {
        value
    })
}

/// The digits of a number that is so many times as much.
fn times(digits: &str, many: u32) -> String {
    let mut out = Vec::with_capacity(digits.len() + 2);
    let mut carried = 0;
    for digit in digits.bytes().rev() {
        carried += u32::from(digit - b'0') * many;
        out.push(char::from_digit(carried % 10, 10).unwrap_or('0'));
        carried /= 10;
    }
    while carried > 0 {
        out.push(char::from_digit(carried % 10, 10).unwrap_or('0'));
        carried /= 10;
    }
    out.push('0');
    out.iter().rev().collect()
}

fn parse(text: &str) -> Option<Decimal<'_>> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (rest.get(..at)?, power(rest.get(at + 1..)?)?),
        None => (rest, 0),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (mantissa, ""),
    };
    let all_digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    let decimal = Decimal {
        negative,
        whole,
        fraction,
        exponent,
    };
    (!whole.is_empty() && all_digits(whole) && all_digits(fraction)).then_some(decimal)
}

/// An exponent; one that is too large to count with is one that no number gets to either way.
fn power(text: &str) -> Option<i64> {
    const MOST: i64 = 1 << 40;
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let shaped = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let most = if text.starts_with('-') { -MOST } else { MOST };
    let read = text.parse::<i64>().unwrap_or(most).clamp(-MOST, MOST);
    shaped.then_some(read)
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
