//! Where in a resource an element stands: `Patient.name[0].given[1]`.

use std::cell::RefCell;
use std::collections::HashMap;

use super::super::item::{Item, Node};
use super::super::types::{Type, Types};
use crate::json::{Kind, Member, Value};

/// What stands directly within an object or array, in the order of the document: with its name in an
/// object.
type Children<'a> = Vec<(Option<Member<'a>>, Value<'a>)>;

/// Finds places in one resource. Remembers what stands within what, so that many places cost as much
/// as the resource has elements, and not each of them anew.
pub(super) struct Places<'p, 'a> {
    types: &'p Types,
    root: Option<Node<'a>>,
    within: RefCell<HashMap<u32, Children<'a>>>,
}

impl<'p, 'a> Places<'p, 'a> {
    pub(super) fn new(types: &'p Types, root: Option<Node<'a>>) -> Self {
        Self {
            types,
            root,
            within: RefCell::default(),
        }
    }

    /// The place of an item; nothing for what was computed or is of another document.
    pub(super) fn of(&self, item: &Item<'a>) -> Option<String> {
        let root = self.root?;
        let node = item.node()?;
        let wanted = node.value.or(node.extra)?;
        let start = root.value?;
        if !std::ptr::eq(start.doc(), wanted.doc()) {
            return None;
        }
        let mut path = self.types.name(root.ty).to_owned();
        let (mut at, mut ty) = (start, root.ty);
        while at.index() != wanted.index() {
            let (_, member, value) = self.toward(at, wanted)?;
            let name = member?.name();
            let key = name.strip_prefix('_').unwrap_or(&name);
            let found = self.types.structure(ty)?.member(key)?;
            path.push('.');
            path.push_str(found.element.name);
            at = value;
            if at.kind() == Kind::Array {
                let (place, _, inner) = self.toward(at, wanted)?;
                path.push_str(&format!("[{place}]"));
                at = inner;
            }
            ty = Type::fhir(found.of.content);
            if ty.is_any_resource() {
                ty = self.types.of_resource(at)?;
            }
        }
        Some(path)
    }

    /// What stands directly within a value and holds the wanted one, with its number.
    fn toward(
        &self,
        at: Value<'a>,
        wanted: Value<'a>,
    ) -> Option<(usize, Option<Member<'a>>, Value<'a>)> {
        let mut within = self.within.borrow_mut();
        let children = within.entry(at.index()).or_insert_with(|| match at.kind() {
            Kind::Array => at.items().map(|item| (None, item)).collect(),
            _ => at.members().map(|m| (Some(m), m.value)).collect(),
        });
        // They come in the order of their indices: the last that starts before it holds it.
        let behind = children.partition_point(|(_, value)| value.index() <= wanted.index());
        let place = behind.checked_sub(1)?;
        let (member, value) = *children.get(place)?;
        Some((place, member, value))
    }
}
