//! Following a path through elements, without a collection between its steps.

use super::super::EvalError;
use super::super::item::{Item, Node};
use super::super::plan::{Child, Field, Step};
use super::super::types::Type;
use super::{Frame, Items, Run, from_ref, present};
use crate::json::{self, Kind};

type Sink<'s, 'a> = &'s mut dyn FnMut(Node<'a>) -> Result<(), EvalError>;

impl<'a> Run<'_, 'a> {
    /// Follows a path from a node and hands each end to the sink.
    pub(super) fn walk(
        &self,
        node: Node<'a>,
        path: &'a [Step],
        frame: &Frame<'_, 'a>,
        sink: Sink<'_, 'a>,
    ) -> Result<(), EvalError> {
        self.step()?;
        let Some((step, rest)) = path.split_first() else {
            return sink(node);
        };
        match step {
            Step::Child(children) => {
                let Some(child) = children.iter().find(|c| c.on == node.ty) else {
                    return Ok(());
                };
                self.children(node, child, &mut |found| {
                    self.walk(found, rest, frame, sink)
                })
            }
            Step::Named(name) => {
                self.named(node, name, &mut |found| self.walk(found, rest, frame, sink))
            }
            Step::Extension(url) => {
                self.extensions(node, url, &mut |x| self.walk(x, rest, frame, sink))
            }
            Step::OfType(_) | Step::Where(_) => {
                if self.holds(&Item::Node(node), step, frame)? {
                    self.walk(node, rest, frame, sink)
                } else {
                    Ok(())
                }
            }
        }
    }

    fn holds(
        &self,
        item: &Item<'a>,
        step: &'a Step,
        frame: &Frame<'_, 'a>,
    ) -> Result<bool, EvalError> {
        Ok(match step {
            Step::OfType(test) => test.holds(item, self.types()),
            Step::Where(criteria) => {
                let inner = Frame {
                    this: from_ref(item),
                    ..*frame
                };
                self.truth(criteria, &inner)? == Some(true)
            }
            Step::Child(_) | Step::Named(_) | Step::Extension(_) => false,
        })
    }

    /// Whether a computed item gets through a path.
    pub(super) fn passes(
        &self,
        item: &Item<'a>,
        path: &'a [Step],
        frame: &Frame<'_, 'a>,
    ) -> Result<bool, EvalError> {
        for step in path {
            if !self.holds(item, step, frame)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn children(
        &self,
        node: Node<'a>,
        child: &'a Child,
        sink: Sink<'_, 'a>,
    ) -> Result<(), EvalError> {
        let Some(object) = node.object() else {
            return Ok(());
        };
        child
            .fields
            .iter()
            .try_for_each(|field| self.field(object, *field, sink))
    }

    /// A member by its name alone.
    pub(super) fn named(
        &self,
        node: Node<'a>,
        name: &str,
        sink: Sink<'_, 'a>,
    ) -> Result<(), EvalError> {
        let Some(object) = node.object() else {
            return Ok(());
        };
        let mut result = Ok(());
        let polymorphic = self.polymorphic();
        self.types()
            .each_field(node.ty, name, polymorphic, &mut |field| {
                if result.is_ok() {
                    result = self.field(object, field, sink);
                }
            });
        result
    }

    fn field(
        &self,
        object: json::Value<'a>,
        field: Field,
        sink: Sink<'_, 'a>,
    ) -> Result<(), EvalError> {
        let (value, extra) = object.find(field.key, field.primitive);
        if value.is_none() && extra.is_none() {
            return Ok(());
        }
        self.each(value, extra, field.ty, sink)
    }

    /// The items of a member, which may be one value or an array, beside its `_name` sibling.
    fn each(
        &self,
        value: Option<json::Value<'a>>,
        extra: Option<json::Value<'a>>,
        ty: Type,
        sink: Sink<'_, 'a>,
    ) -> Result<(), EvalError> {
        let is_array = |v: Option<json::Value<'a>>| v.is_some_and(|v| v.kind() == Kind::Array);
        if !is_array(value) && !is_array(extra) {
            return self.one(value, extra, ty, sink);
        }
        let mut values = value.into_iter().flat_map(json::Value::items);
        let mut extras = extra.into_iter().flat_map(json::Value::items);
        loop {
            let (value, extra) = (values.next(), extras.next());
            if value.is_none() && extra.is_none() {
                return Ok(());
            }
            self.one(value, extra, ty, sink)?;
        }
    }

    fn one(
        &self,
        value: Option<json::Value<'a>>,
        extra: Option<json::Value<'a>>,
        ty: Type,
        sink: Sink<'_, 'a>,
    ) -> Result<(), EvalError> {
        let (value, extra) = (value.filter(present), extra.filter(present));
        let ty = match value {
            Some(v) if ty.is_any_resource() => self.types().of_resource(v).unwrap_or(ty),
            Some(_) => ty,
            None if extra.is_some() => ty,
            None => return Ok(()),
        };
        sink(Node { value, extra, ty })
    }

    pub(super) fn extensions(
        &self,
        node: Node<'a>,
        url: &str,
        sink: Sink<'_, 'a>,
    ) -> Result<(), EvalError> {
        let Some(list) = node.object().and_then(|h| h.get("extension")) else {
            return Ok(());
        };
        for extension in list.items() {
            if extension
                .get("url")
                .and_then(json::Value::as_str)
                .is_some_and(|u| u == url)
            {
                sink(Node::new(extension, self.types().extension()))?;
            }
        }
        Ok(())
    }

    /// All children of an element, in the order of the document.
    pub(super) fn all_children(&self, node: Node<'a>, sink: Sink<'_, 'a>) -> Result<(), EvalError> {
        let (Some(object), Some(structure)) = (node.object(), self.types().structure(node.ty))
        else {
            return Ok(());
        };
        for member in object.members() {
            self.step()?;
            let name = member.name();
            let (key, beside) = match name.strip_prefix('_') {
                Some(key) if object.get(key).is_some() => continue,
                Some(key) => (key, true),
                None => (&*name, false),
            };
            let Some(found) = structure.member(key) else {
                continue;
            };
            let ty = Type::fhir(found.of.content);
            let (value, extra) = if beside {
                (None, Some(member.value))
            } else if ty.is_primitive() {
                let sibling = object.members().find(|m| m.is_beside(key));
                (Some(member.value), sibling.map(|m| m.value))
            } else {
                (Some(member.value), None)
            };
            self.each(value, extra, ty, sink)?;
        }
        Ok(())
    }

    /// A member of an item of any kind.
    pub(super) fn member(
        &self,
        item: &Item<'a>,
        name: &str,
        out: &mut Items<'a>,
    ) -> Result<(), EvalError> {
        self.step()?;
        match item {
            Item::Node(node) => self.named(*node, name, &mut |node| {
                out.push(Item::Node(node));
                Ok(())
            }),
            Item::TypeInfo(namespace, of) => {
                match name {
                    "namespace" => out.push(Item::text(*namespace)),
                    "name" => out.push(Item::text(*of)),
                    _ => {}
                }
                Ok(())
            }
            Item::Quantity(quantity) => {
                match name {
                    "value" => out.push(Item::Decimal(quantity.value)),
                    "unit" | "code" => out.push(Item::text(quantity.unit.text().to_owned())),
                    "system" => out.push(Item::text(crate::ucum::SYSTEM)),
                    _ => {}
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
