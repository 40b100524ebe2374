//! `search.html#string`

use std::borrow::Cow;

use crate::json::{Kind, Value};

use super::super::rows::{RowValue, fold, joined};
use super::super::value::{VALUE_BYTES_MAX, cut};
use super::{Emit, Shape, keep};

/// Texts; each part of a name or an address is one.
pub(super) fn of(shape: Shape, value: Value<'_>, emit: Emit<'_>) {
    let parts: &[&str] = match shape {
        Shape::Primitive(_) => return text(value, emit),
        Shape::HumanName => &["family", "given", "prefix", "suffix", "text"],
        Shape::Address => &[
            "city",
            "country",
            "district",
            "line",
            "postalCode",
            "state",
            "text",
        ],
        Shape::CodeableConcept => &["text", "coding"],
        Shape::CodeableReference => {
            if let Some(concept) = value.get("concept") {
                of(Shape::CodeableConcept, concept, emit);
            }
            return;
        }
        Shape::Coding => &["display"],
        Shape::Identifier | Shape::ContactPoint => &["value"],
        _ => return,
    };
    for member in value.members().filter(|m| parts.iter().any(|p| m.is(p))) {
        if member.is("coding") {
            member
                .value
                .items()
                .for_each(|c| of(Shape::Coding, c, emit));
        } else if member.value.kind() == Kind::Array {
            member.value.items().for_each(|item| text(item, emit));
        } else {
            text(member.value, emit);
        }
    }
}

/// The later words of family names, each with what follows it.
pub(super) fn later_words(shape: Shape, value: Value<'_>, emit: Emit<'_>) {
    let name = match shape {
        Shape::HumanName => value.get("family").and_then(Value::as_str),
        Shape::Primitive(_) => value.as_str(),
        _ => None,
    };
    let Some(name) = name else { return };
    let name = cut(&name, VALUE_BYTES_MAX);
    for part in super::super::value::fold::later_words(name) {
        let folded = fold(part);
        if !folded.is_empty() {
            emit(RowValue::String {
                folded: joined(&keep(&folded)).into(),
                exact: part.into(),
            });
        }
    }
}

/// One text, folded and as written.
pub(super) fn text(value: Value<'_>, emit: Emit<'_>) {
    if let Some(text) = value.as_str() {
        plain(&text, emit);
    }
}

/// The same of a text that is no element.
pub(super) fn plain(text: &str, emit: Emit<'_>) {
    let exact = cut(text, VALUE_BYTES_MAX);
    let folded = fold(exact);
    if !folded.is_empty() {
        emit(RowValue::String {
            folded: kept(folded),
            exact: exact.into(),
        });
    }
}

/// A text as the index keeps it, which is not copied where it needs no cutting.
fn kept(text: Cow<'_, str>) -> Box<str> {
    match text {
        Cow::Owned(text) if text.len() <= VALUE_BYTES_MAX => text.into(),
        text => keep(&text),
    }
}
