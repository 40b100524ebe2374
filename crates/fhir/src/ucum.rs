//! Units of measure (`unitsofmeasure.org`): whether a code is one, which codes measure the same
//! kind of quantity, and what a quantity comes to in base units.
//!
//! The tables and the grammar are those of the crate `octofhir-ucum` (UCUM 2.2, case sensitive
//! codes). Numbers are decimals of 28 significant digits; what is compared is first rounded to
//! [`DIGITS_COMPARED`], so that 32 `[degF]` equals 0 `Cel` although 5/9 has no end. Knows no FHIR.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use base::limits::fixed::{UCUM_CACHE_ENTRIES_MAX, UCUM_CODE_BYTES_MAX};
use octofhir_ucum::{EvalResult, SpecialKind, evaluate, parse_expression};

pub use octofhir_ucum::Number;

#[cfg(test)]
mod tests;

/// The system of UCUM codes in `Quantity.system`.
pub const SYSTEM: &str = "http://unitsofmeasure.org";

/// Significant digits of values in base units.
pub const DIGITS_COMPARED: u32 = 22;

/// A unit that a code stands for.
#[derive(Debug)]
pub struct Unit {
    base: Box<str>,
    scale: Scale,
}

/// How a value in a unit becomes one in base units.
#[derive(Debug)]
enum Scale {
    /// `value × factor`
    Ratio(Number),
    /// `(value × scale + offset) × factor`: temperatures.
    Interval {
        scale: Number,
        offset: Number,
        factor: Number,
    },
    /// A logarithm or another function of the quantity (`B[V]`, `[pH]`): compared only with the
    /// same function, of which this is the prefix.
    Function(Number),
}

impl Unit {
    /// The unit in base units, written one way for all units of the same kind: `g.m-3`, `1`. Arbitrary
    /// units are base units of their own (`[iU].m-3`), as are logarithmic scales.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Whether values of the two can be compared.
    pub fn is_comparable(&self, other: &Self) -> bool {
        self.base == other.base
    }

    /// What a value in this unit comes to in base units; `None` where the number is out of range.
    pub fn to_base(&self, value: Number) -> Option<Number> {
        let exact = match &self.scale {
            Scale::Ratio(factor) | Scale::Function(factor) => value.checked_mul(*factor)?,
            Scale::Interval {
                scale,
                offset,
                factor,
            } => value
                .checked_mul(*scale)?
                .checked_add(*offset)?
                .checked_mul(*factor)?,
        };
        rounded(exact)
    }

    /// The value in this unit of a value in base units.
    pub fn of_base(&self, base: Number) -> Option<Number> {
        let exact = match &self.scale {
            Scale::Ratio(factor) | Scale::Function(factor) => base.checked_div(*factor)?,
            Scale::Interval {
                scale,
                offset,
                factor,
            } => base
                .checked_div(*factor)?
                .checked_sub(*offset)?
                .checked_div(*scale)?,
        };
        rounded(exact)
    }

    /// How many base units one unit is; `None` for scales with a zero of their own.
    pub fn factor(&self) -> Option<Number> {
        match &self.scale {
            Scale::Ratio(factor) => Some(*factor),
            Scale::Interval { .. } | Scale::Function(_) => None,
        }
    }

    fn read(code: &str) -> Option<Self> {
        let result = evaluate(&parse_expression(code).ok()?).ok()?;
        let scale = scale(&result)?;
        let mut base = String::new();
        let symbols = octofhir_ucum::Dimension::BASE_UNITS.iter().copied();
        let mut factors: Vec<(&str, i32)> = symbols
            .zip(result.dim.0)
            .map(|(symbol, exponent)| (symbol, i32::from(exponent)))
            .chain(result.arbitrary.iter().copied())
            .filter(|(_, exponent)| *exponent != 0)
            .collect();
        factors.sort_unstable();
        if let (Scale::Function(_), Some(special)) = (&scale, &result.special) {
            base.push_str(special.unit.code);
            factors.clear();
        }
        for (symbol, exponent) in factors {
            if !base.is_empty() {
                base.push('.');
            }
            base.push_str(symbol);
            if exponent != 1 {
                base.push_str(&exponent.to_string());
            }
        }
        if base.is_empty() {
            base.push('1');
        }
        Some(Self {
            base: base.into(),
            scale,
        })
    }
}

fn scale(of: &EvalResult) -> Option<Scale> {
    let Some(special) = of.special else {
        return Some(Scale::Ratio(of.factor));
    };
    let offset = match special.unit.special {
        SpecialKind::Celsius => "273.15",
        SpecialKind::Fahrenheit => "459.67",
        SpecialKind::Reaumur => "218.52",
        _ => return Some(Scale::Function(special.scale)),
    };
    Some(Scale::Interval {
        scale: special.scale,
        offset: Number::parse(offset)?,
        factor: of.factor,
    })
}

/// Rounded half away from zero to the digits that are compared.
fn rounded(number: Number) -> Option<Number> {
    let (digits, exponent) = number.to_integer_and_exponent();
    let count = digits.unsigned_abs().checked_ilog10().map_or(1, |n| n + 1);
    let Some(cut @ 1..) = count.checked_sub(DIGITS_COMPARED) else {
        return Some(number);
    };
    let unit = 10_i128.checked_pow(cut)?;
    let half = (unit / 2) * digits.signum();
    let kept = digits.checked_add(half)? / unit;
    let exponent = exponent.checked_add(i32::try_from(cut).ok()?)?;
    Number::parse(&format!("{kept}e{exponent}"))
}

type Known = HashMap<Box<str>, Option<Arc<Unit>>>;

/// The unit of a code; `None` if it is no UCUM code. Codes seen before are answered from memory,
/// which is kept apart from any content; when the table is full it starts anew.
pub fn unit(code: &str) -> Option<Arc<Unit>> {
    static KNOWN: OnceLock<RwLock<Known>> = OnceLock::new();
    if code.is_empty() || code.len() > UCUM_CODE_BYTES_MAX {
        return None;
    }
    let known = KNOWN.get_or_init(RwLock::default);
    let read = known.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(unit) = read.get(code) {
        return unit.clone();
    }
    drop(read);
    let unit = Unit::read(code).map(Arc::new);
    let mut write = known.write().unwrap_or_else(PoisonError::into_inner);
    if write.len() >= UCUM_CACHE_ENTRIES_MAX {
        write.clear();
    }
    write.insert(code.into(), unit.clone());
    unit
}

/// Whether a code is a unit of UCUM (case sensitive).
pub fn is_valid(code: &str) -> bool {
    unit(code).is_some()
}

/// A quantity in base units: its value, and the unit that names them ([`Unit::base`]). Quantities
/// that are equal have equal values and units: 1 `g` and 1000 `mg` are both 1 `g`.
///
/// `value` is a decimal as FHIR writes it. `None` if it is no number, the code no unit, or the
/// value out of range.
pub fn canonical(value: &str, code: &str) -> Option<(Number, Arc<Unit>)> {
    let unit = unit(code)?;
    let value = unit.to_base(Number::parse(value)?)?;
    Some((value, unit))
}

/// A value in another unit of the same kind; `None` if they measure different things.
pub fn convert(value: Number, from: &str, to: &str) -> Option<Number> {
    let (from, to) = (unit(from)?, unit(to)?);
    if from.is_comparable(&to) {
        to.of_base(from.to_base(value)?)
    } else {
        None
    }
}
