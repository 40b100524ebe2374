//! Where in a resource an element stands: `Patient.name[0].given[1]`.

use super::super::item::{Item, Node};
use super::super::types::{Type, Types};
use crate::json::{Kind, Value};

/// The place of an item; nothing for what was computed or is of another document.
pub(super) fn of<'a>(types: &Types, root: Option<Node<'a>>, item: &Item<'a>) -> Option<String> {
    let root = root?;
    let node = item.node()?;
    let wanted = node.value.or(node.extra)?;
    let start = root.value?;
    if !std::ptr::eq(start.doc(), wanted.doc()) {
        return None;
    }
    let mut path = types.name(root.ty).to_owned();
    let (mut at, mut ty) = (start, root.ty);
    while at.index() != wanted.index() {
        // Children come in the order of their indices: the last that starts before it holds it.
        let before = |v: Value<'a>| v.index() <= wanted.index();
        let member = at.members().take_while(|m| before(m.value)).last()?;
        let name = member.name();
        let key = name.strip_prefix('_').unwrap_or(&name);
        let found = types.structure(ty)?.member(key)?;
        path.push('.');
        path.push_str(found.element.name);
        at = member.value;
        if at.kind() == Kind::Array {
            let (place, inner) = at.items().take_while(|v| before(*v)).enumerate().last()?;
            path.push_str(&format!("[{place}]"));
            at = inner;
        }
        ty = Type::fhir(found.of.content);
        if ty.is_any_resource() {
            ty = types.of_resource(at)?;
        }
    }
    Some(path)
}
