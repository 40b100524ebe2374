//! What a [`Row`] is in the tables.

use fhir::definitions::ParamId;
use fhir::search::query::Range;
use fhir::search::rows::RowValue;

use super::{Composite, End, IdKey, Key, NO_TYPE, PRINTED, Real, exact_digest};

impl Key {
    /// Adds what a value is in the tables, which is none of a contained resource: one key, two for a quantity with a printed unit.
    ///
    /// `system` gives a system's number.
    pub(crate) fn push<E>(
        param: ParamId,
        value: &RowValue,
        emit: &mut impl FnMut(Self),
        mut system: impl FnMut(&str) -> Result<i64, E>,
    ) -> Result<(), E> {
        let param = i64::from(param.0);
        let key = match value {
            RowValue::Token { system: s, code }
            | RowValue::ReferenceIdentifier { system: s, code } => Self::Token {
                param,
                code: code.clone(),
                system: system(s)?,
            },
            RowValue::String { folded, exact } => Self::String {
                param,
                folded: folded.clone(),
                exact: exact_digest(exact),
            },
            RowValue::Date(r) => {
                let (low, high) = (r.low, r.high);
                Self::Date { param, low, high }
            }
            RowValue::Number(r) => {
                let (low, high) = (Real::of(r.low), Real::of(r.high));
                Self::Number { param, low, high }
            }
            RowValue::Quantity {
                value,
                system: s,
                code,
                unit,
            } => {
                let of = |unit: &str, system| Self::Quantity {
                    param,
                    unit: unit.into(),
                    system,
                    low: Real::of(value.low),
                    high: Real::of(value.high),
                };
                if !unit.is_empty() {
                    emit(of(unit, PRINTED));
                }
                of(code, system(s)?)
            }
            RowValue::Reference {
                type_id,
                id,
                version,
            } => Self::Reference {
                param,
                type_id: i64::from(type_id.0),
                id: IdKey::of_id(id),
                version: version.clone(),
            },
            RowValue::ReferenceUrl { url, version } => Self::Reference {
                param,
                type_id: NO_TYPE,
                id: IdKey::Text(url.clone()),
                version: version.clone(),
            },
            RowValue::Uri(uri) => {
                let uri = uri.clone();
                Self::Uri { param, uri }
            }
            RowValue::Text(text) => {
                let text = text.clone();
                Self::Text { param, text }
            }
            RowValue::Contained(..) => return Ok(()),
            RowValue::Composite(parts) => match composite(parts, &mut system)? {
                Some(parts) => {
                    let parts = Box::new(parts);
                    Self::Composite { param, parts }
                }
                None => return Ok(()),
            },
        };
        emit(key);
        Ok(())
    }
}

/// How a part of a composite takes part in the order of parts: parts compared for equality first,
/// then texts, then ranges. Rows and queries put their parts in this order, each kind keeping its
/// place among equals.
pub(crate) const fn part_rank(value: &RowValue) -> u8 {
    match value {
        RowValue::Token { .. }
        | RowValue::Reference { .. }
        | RowValue::ReferenceUrl { .. }
        | RowValue::ReferenceIdentifier { .. }
        | RowValue::Uri(_) => 0,
        RowValue::String { .. } => 1,
        RowValue::Quantity { .. } => 2,
        RowValue::Date(_)
        | RowValue::Number(_)
        | RowValue::Composite(_)
        | RowValue::Text(_)
        | RowValue::Contained(..) => 3,
    }
}

/// The columns of a composite; `None` for a combination of kinds that no parameter of FHIR has.
fn composite<E>(
    parts: &[RowValue],
    system: &mut impl FnMut(&str) -> Result<i64, E>,
) -> Result<Option<Composite>, E> {
    let none = || (IdKey::Text("".into()), 0);
    let no_range = (End::Int(0), End::Int(0));
    let mut parts: Vec<&RowValue> = parts.iter().collect();
    parts.sort_by_key(|p| part_rank(p));
    let (Some(first), Some(second), third) = (parts.first(), parts.get(1), parts.get(2)) else {
        return Ok(None);
    };
    let Some(first) = equal_part(first, system)? else {
        return Ok(None);
    };
    let range3 = match third {
        None => no_range,
        Some(RowValue::Number(r)) => reals(*r),
        Some(RowValue::Date(r)) => (End::Int(r.low), End::Int(r.high)),
        Some(_) => return Ok(None),
    };
    let mut out = Composite {
        first,
        range2: no_range,
        code2: none(),
        unit2: "".into(),
        range3,
    };
    match second {
        RowValue::String { folded, .. } => out.code2.0 = IdKey::Text(folded.clone()),
        RowValue::Date(r) => out.range2 = (End::Int(r.low), End::Int(r.high)),
        RowValue::Number(r) => out.range2 = reals(*r),
        RowValue::Quantity {
            value,
            system: s,
            code,
            unit,
        } => {
            out.range2 = reals(*value);
            out.code2 = (IdKey::Text(code.clone()), system(s)?);
            out.unit2 = unit.clone();
        }
        other => match equal_part(other, system)? {
            Some(code) => out.code2 = code,
            None => return Ok(None),
        },
    }
    Ok(Some(out))
}

fn reals(r: Range<f64>) -> (End, End) {
    (End::Real(Real::of(r.low)), End::Real(Real::of(r.high)))
}

fn equal_part<E>(
    part: &RowValue,
    system: &mut impl FnMut(&str) -> Result<i64, E>,
) -> Result<Option<(IdKey, i64)>, E> {
    Ok(Some(match part {
        RowValue::Token { system: s, code } | RowValue::ReferenceIdentifier { system: s, code } => {
            (IdKey::Text(code.clone()), system(s)?)
        }
        RowValue::Reference { type_id, id, .. } => (IdKey::of_id(id), i64::from(type_id.0)),
        RowValue::ReferenceUrl { url, .. } => (IdKey::Text(url.clone()), NO_TYPE),
        RowValue::Uri(uri) => (IdKey::Text(uri.clone()), 0),
        _ => return Ok(None),
    }))
}
