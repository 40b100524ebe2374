//! Values that an expression computes: no elements of the resource, but texts, numbers, dates and
//! quantities of FHIRPath.

use crate::definitions::ParamKind;
use crate::path::{Item, Quantity, System, Unit};
use crate::ucum;

use super::super::query::Range;
use super::super::rows::RowValue;
use super::super::value::{date, number};
use super::{Emit, Reader, keep, string, token};

/// Whether a parameter of this type can hold values of this type of FHIRPath.
pub(super) const fn fits(kind: ParamKind, system: System) -> bool {
    use System::{Boolean, Date, DateTime, Decimal, Integer, Long, String};
    match kind {
        ParamKind::Token => matches!(
            system,
            Boolean | String | Integer | Long | Decimal | Date | DateTime | System::Time
        ),
        ParamKind::String => !matches!(system, System::TypeInfo),
        ParamKind::Date => matches!(system, Date | DateTime | String),
        ParamKind::Number => matches!(system, Integer | Long | Decimal),
        ParamKind::Quantity => matches!(system, System::Quantity),
        ParamKind::Reference | ParamKind::Uri => matches!(system, String),
        ParamKind::Composite | ParamKind::Special => false,
    }
}

impl Reader<'_> {
    /// The index values of what was computed, by the parameter's type.
    pub(super) fn computed(&self, kind: ParamKind, item: &Item<'_>, emit: Emit<'_>) {
        let text = || item.to_text(&self.plans.types);
        match (kind, item) {
            (_, Item::Node(_) | Item::TypeInfo(..)) => {}
            (ParamKind::Token, Item::Bool(b)) => token::of_bool(*b, emit),
            (ParamKind::Quantity, Item::Quantity(quantity)) => of_quantity(quantity, emit),
            (ParamKind::Token, Item::Quantity(_)) => {}
            (ParamKind::Token, _) => {
                if let Some(text) = text().filter(|t| !t.is_empty()) {
                    emit(RowValue::Token {
                        system: Box::default(),
                        code: keep(&text),
                    });
                }
            }
            (ParamKind::String, _) => {
                if let Some(text) = text() {
                    string::plain(&text, emit);
                }
            }
            (ParamKind::Uri, Item::String(uri)) if !uri.is_empty() => {
                emit(RowValue::Uri(keep(uri)));
            }
            (ParamKind::Date, Item::Moment(_) | Item::String(_)) => {
                let found = text().and_then(|text| date::range(text.trim_end_matches('T')));
                if let Some(range) = found {
                    emit(RowValue::Date(range));
                }
            }
            (ParamKind::Number, Item::Integer(_) | Item::Long(_) | Item::Decimal(_)) => {
                if let Some(at) = text().and_then(|text| number::point(&text)) {
                    emit(RowValue::Number(Range { low: at, high: at }));
                }
            }
            (ParamKind::Reference, Item::String(reference)) => self.pointed(reference, emit),
            _ => {}
        }
    }
}

fn of_quantity(quantity: &Quantity<'_>, emit: Emit<'_>) {
    let Some(at) = number::point(&quantity.value.to_string()) else {
        return;
    };
    let (system, code) = match &quantity.unit {
        Unit::Other(system, code) => (keep(system), keep(code)),
        unit => match unit.ucum_code() {
            Some(code) => (keep(ucum::SYSTEM), keep(code)),
            None => (Box::default(), keep(unit.text())),
        },
    };
    emit(RowValue::Quantity {
        value: Range { low: at, high: at },
        system,
        code,
        unit: Box::default(),
    });
}
