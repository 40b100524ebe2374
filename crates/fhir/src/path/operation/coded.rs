//! The codes that an item stands for: a code, a Coding, or the codings of a CodeableConcept.

use super::super::item::{Item, Node};
use super::super::types::Types;
use crate::json::Value;
use crate::search::terms::Coded;

/// The codes of an item; none if it is nothing that has codes.
pub(super) fn of(types: &Types, item: &Item<'_>) -> Option<Vec<Coded>> {
    if let Some(object) = item.node().and_then(Node::object) {
        if let Some(codings) = object.get("coding") {
            return Some(codings.items().filter_map(coding).collect());
        }
        if object.get("code").is_some() {
            return Some(coding(object).into_iter().collect());
        }
    }
    let Some(Item::String(code)) = item.system(types) else {
        return None;
    };
    let is_code = item
        .node()
        .is_some_and(|node| types.name(node.ty) == "code");
    Some(vec![match is_code {
        true => Coded::Code(code.into_owned()),
        false => Coded::Text(code.into_owned()),
    }])
}

fn coding(value: Value<'_>) -> Option<Coded> {
    let text = |name| value.get(name).and_then(Value::as_str);
    let code = text("code")?.into_owned();
    Some(match text("system") {
        Some(system) => Coded::Coding(system.into_owned(), code),
        None => Coded::Code(code),
    })
}
