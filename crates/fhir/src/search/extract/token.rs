//! `search.html#token`

use crate::json::{Kind, Value};

use super::super::rows::{RowValue, typed_identifier};
use super::{Emit, Shape, keep, member_text, string};

pub(super) fn of_bool(value: bool, emit: Emit<'_>) {
    emit(RowValue::Token {
        system: Box::default(),
        code: if value { "true" } else { "false" }.into(),
    });
}

/// A token of which the case does not count.
pub(super) fn caseless(value: RowValue) -> RowValue {
    match value {
        RowValue::Token { system, code } => RowValue::Token {
            system,
            code: super::super::value::caseless(&code).into(),
        },
        other => other,
    }
}

/// Codes with their systems, and their texts as strings for `:text`. A `code` is kept without
/// system: the one that its binding implies is the query's business.
pub(super) fn of(shape: Shape, value: Value<'_>, emit: Emit<'_>) {
    match shape {
        Shape::Coding => coding(value, emit),
        Shape::CodeableConcept => {
            for member in value.members() {
                if member.is("coding") {
                    member.value.items().for_each(|c| coding(c, emit));
                } else if member.is("text") {
                    string::text(member.value, emit);
                }
            }
        }
        Shape::CodeableReference => {
            if let Some(concept) = value.get("concept") {
                of(Shape::CodeableConcept, concept, emit);
            }
        }
        Shape::Identifier => {
            let (mut system, mut code) = (Box::default(), Box::default());
            for member in value.members() {
                if member.is("system") {
                    system = member_text(member.value);
                } else if member.is("value") {
                    code = member_text(member.value);
                } else if member.is("type")
                    && let Some(text) = member.value.get("text")
                {
                    string::text(text, emit);
                }
            }
            token(system, code, emit);
        }
        Shape::ContactPoint => {
            let code = value.get("value").map(member_text).unwrap_or_default();
            // Addresses of mail mean the same in small letters, which queries ask for as well.
            if code.bytes().any(|b| b.is_ascii_uppercase()) {
                token(Box::default(), code.to_ascii_lowercase().into(), emit);
            }
            token(Box::default(), code, emit);
        }
        Shape::Primitive(_) => match value.kind() {
            Kind::String => token(Box::default(), member_text(value), emit),
            Kind::Bool | Kind::Number => token(Box::default(), keep(value.raw()), emit),
            _ => {}
        },
        _ => {}
    }
}

/// An identifier with each code of its type, for `:of-type`.
pub(super) fn of_type(identifier: Value<'_>, emit: Emit<'_>) {
    let Some(value) = identifier.get("value").and_then(Value::as_str) else {
        return;
    };
    let codings = identifier.get("type").and_then(|t| t.get("coding"));
    for coding in codings.into_iter().flat_map(Value::items) {
        let text = |name| coding.get(name).map(member_text).unwrap_or_default();
        let (system, code): (Box<str>, Box<str>) = (text("system"), text("code"));
        if !code.is_empty() {
            let code = keep(&typed_identifier(&code, &value));
            emit(RowValue::Token { system, code });
        }
    }
}

fn coding(value: Value<'_>, emit: Emit<'_>) {
    let (mut system, mut code) = (Box::default(), Box::default());
    for member in value.members() {
        if member.is("system") {
            system = member_text(member.value);
        } else if member.is("code") {
            code = member_text(member.value);
        } else if member.is("display") {
            string::text(member.value, emit);
        }
    }
    token(system, code, emit);
}

fn token(system: Box<str>, code: Box<str>, emit: Emit<'_>) {
    if !system.is_empty() || !code.is_empty() {
        emit(RowValue::Token { system, code });
    }
}
