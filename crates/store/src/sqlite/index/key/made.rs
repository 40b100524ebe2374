//! What a [`Row`] is in the tables.

use fhir::definitions::ParamId;
use fhir::search::query::Range;
use fhir::search::rows::{PartKind, RowValue, folded, places};

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
                None => {
                    for parts in folded_composites(parts, &mut system)? {
                        let parts = Box::new(parts);
                        emit(Self::Composite { param, parts });
                    }
                    return Ok(());
                }
            },
        };
        emit(key);
        Ok(())
    }
}

/// How a value is compared within a composite; `None` for what cannot be a part.
const fn part_kind(value: &RowValue) -> Option<PartKind> {
    Some(match value {
        RowValue::Token { .. }
        | RowValue::Reference { .. }
        | RowValue::ReferenceUrl { .. }
        | RowValue::ReferenceIdentifier { .. }
        | RowValue::Uri(_) => PartKind::Equal,
        RowValue::String { .. } => PartKind::Text,
        RowValue::Quantity { .. } => PartKind::Quantity,
        RowValue::Date(_) | RowValue::Number(_) => PartKind::Range,
        RowValue::Composite(_) | RowValue::Text(_) | RowValue::Contained(..) => return None,
    })
}

/// The columns of a composite; `None` for a combination of kinds that is never defined.
fn composite<E>(
    parts: &[RowValue],
    system: &mut impl FnMut(&str) -> Result<i64, E>,
) -> Result<Option<Composite>, E> {
    let kinds: Option<Vec<PartKind>> = parts.iter().map(part_kind).collect();
    let Some(at) = kinds.and_then(|kinds| places(&kinds)) else {
        return Ok(None);
    };
    let part = |at: usize| parts.get(at);
    let mut out = Composite::nothing();
    if let Some(first) = at.first.and_then(part)
        && let Some(first) = equal_part(first, system)?
    {
        out.first = first;
    }
    let (Some(second), third) = (part(at.second), at.third.and_then(part)) else {
        return Ok(None);
    };
    out.with(Some(second), third, system)
}

/// The columns of a composite with more parts than places, once for each way to ask for it.
fn folded_composites<E>(
    parts: &[RowValue],
    system: &mut impl FnMut(&str) -> Result<i64, E>,
) -> Result<Vec<Composite>, E> {
    let kinds: Option<Vec<PartKind>> = parts.iter().map(part_kind).collect();
    let Some(at) = kinds.and_then(|kinds| folded(&kinds)) else {
        return Ok(Vec::new());
    };
    let part = |at: Option<usize>| at.and_then(|at| parts.get(at));
    let rest = Composite::nothing().with(part(at.second), part(at.third), system)?;
    let Some(rest) = rest else {
        return Ok(Vec::new());
    };
    // The unit of a second quantity, where there is one, stands there already.
    let (unit, beside) = match &rest.first {
        (IdKey::Text(unit), beside) => (unit.clone(), *beside),
        _ => return Ok(Vec::new()),
    };
    let of = |text: String| Composite {
        first: (IdKey::Text([&*text, &*unit].concat().into()), beside),
        ..rest.clone()
    };
    Ok(at.texts(parts).into_iter().map(of).collect())
}

impl Composite {
    fn nothing() -> Self {
        let none = || (IdKey::Text("".into()), 0);
        let no_range = || (End::Int(0), End::Int(0));
        Self {
            first: none(),
            range2: no_range(),
            code2: none(),
            unit2: "".into(),
            range3: no_range(),
        }
    }

    /// The same with these parts in the places behind the first one; `None` if they cannot stand there.
    fn with<E>(
        self,
        second: Option<&RowValue>,
        third: Option<&RowValue>,
        system: &mut impl FnMut(&str) -> Result<i64, E>,
    ) -> Result<Option<Self>, E> {
        let mut out = self;
        match second {
            Some(RowValue::String { folded, .. }) => out.code2.0 = IdKey::Text(folded.clone()),
            Some(RowValue::Date(r)) => out.range2 = (End::Int(r.low), End::Int(r.high)),
            Some(RowValue::Number(r)) => out.range2 = reals(*r),
            Some(RowValue::Quantity {
                value,
                system: s,
                code,
                unit,
            }) => {
                out.range2 = reals(*value);
                out.code2 = (IdKey::Text(code.clone()), system(s)?);
                out.unit2 = unit.clone();
            }
            Some(other) => match equal_part(other, system)? {
                Some(code) => out.code2 = code,
                None => return Ok(None),
            },
            None => {}
        }
        match third {
            None => {}
            Some(RowValue::String { folded, .. }) => {
                out.range3 = (End::Id(IdKey::Text(folded.clone())), End::Int(0));
            }
            Some(RowValue::Date(r)) => out.range3 = (End::Int(r.low), End::Int(r.high)),
            Some(RowValue::Number(r)) => out.range3 = reals(*r),
            Some(RowValue::Quantity {
                value,
                system: s,
                code,
                unit,
            }) => {
                // Beside another quantity there is no first part, or one that is folded.
                let code = if code.is_empty() { unit } else { code };
                out.first = (IdKey::Text(code.clone()), system(s)?);
                out.range3 = reals(*value);
            }
            Some(other) => match equal_part(other, system)? {
                Some((code, number)) => out.range3 = (End::Id(code), End::Int(number)),
                None => return Ok(None),
            },
        }
        Ok(Some(out))
    }
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
