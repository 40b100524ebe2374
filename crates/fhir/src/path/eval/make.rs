//! Elements that an expression makes: put together as JSON text, which the caller parses and keeps.

use std::fmt::Write as _;

use super::super::EvalError;
use super::super::item::{Item, Node};
use super::super::make::{Make, TermsCall};
use super::super::plan::Op;
use super::super::types::{Type, Types};
use super::{Frame, Items, Run};
use crate::definitions::{Content, Element, Primitive};
use crate::json::{push_json_string, write_compact};
use crate::validate::is_primitive;

const FACTORY: EvalError = EvalError::Input("%factory");

/// Members of a JSON object, put together.
#[derive(Default)]
struct Members(String);

impl Members {
    fn add(&mut self, name: &str, json: &str) {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        push_json_string(name, &mut self.0);
        self.0.push(':');
        self.0.push_str(json);
    }

    fn object(self) -> String {
        format!("{{{}}}", self.0)
    }
}

/// A value and what stands beside it.
type Json = (Option<String>, Option<String>);

impl<'a> Run<'_, 'a> {
    /// A function of `%factory` or `%terminologies`.
    pub(super) fn make(
        &self,
        make: Make,
        args: &'a [Op],
        frame: &Frame<'_, 'a>,
        out: &mut Items<'a>,
    ) -> Result<(), EvalError> {
        if !self.env.host.makes() {
            return Err(EvalError::NotKnown(match make {
                Make::Terms(_) => "%terminologies.…",
                _ => "%factory.…",
            }));
        }
        let mut given = Vec::with_capacity(args.len());
        for arg in args {
            given.push(self.items(arg, frame)?);
        }
        let first = given.first().cloned().unwrap_or_default();
        let (ty, (value, extra)) = match make {
            Make::Primitive(ty) => (ty, self.primitive(ty, &given)?),
            Make::Complex(ty, elements) => (ty, self.complex(ty, elements, &given)?),
            Make::Create(ty) => (ty, (Some(empty_of(ty, self.types())), None)),
            Make::WithExtension | Make::WithProperty => {
                let node = match first.as_slice() {
                    [] => return Ok(()),
                    [Item::Node(node)] => *node,
                    [_] => return Err(FACTORY),
                    _ => return Err(EvalError::NotSingle),
                };
                (node.ty, self.changed(make, node, &given)?)
            }
            Make::Terms(call) => return self.terms(call, &given, out),
        };
        let mut whole = Members::default();
        if let Some(value) = value {
            whole.add("value", &value);
        }
        if let Some(extra) = extra {
            whole.add("_value", &extra);
        }
        self.made(ty, &whole.object(), out)
    }

    /// The element that a text is, once it is there.
    fn made(&self, ty: Type, text: &str, out: &mut Items<'a>) -> Result<(), EvalError> {
        self.text(text.to_owned())?;
        if let Some(value) = self.env.host.made(text)? {
            out.push(Item::Node(Node {
                value: value.get("value"),
                extra: value.get("_value"),
                ty,
            }));
        }
        Ok(())
    }

    fn terms(
        &self,
        call: TermsCall,
        given: &[Items<'a>],
        out: &mut Items<'a>,
    ) -> Result<(), EvalError> {
        // An empty argument, or several, make the answer empty; params may be left out.
        let least = if call == TermsCall::Subsumes {
            3
        } else {
            given.len().min(2)
        };
        let wanted = given.get(..least).unwrap_or(given);
        if wanted.iter().any(|items| items.len() != 1) {
            return Ok(());
        }
        let args: Vec<Item<'a>> = wanted.iter().flatten().cloned().collect();
        let Some(text) = self.env.host.terms(call, &args) else {
            return Err(EvalError::NotKnown("%terminologies"));
        };
        let Some(text) = text else { return Ok(()) };
        if call == TermsCall::Subsumes {
            let code = self.types().by_name("code").unwrap_or(Type::BOOLEAN);
            let mut json = String::new();
            push_json_string(&text, &mut json);
            return self.made(code, &format!("{{\"value\":{json}}}"), out);
        }
        let ty = Make::Terms(call).output(self.types());
        self.made(
            ty.unwrap_or(Type::BOOLEAN),
            &format!("{{\"value\":{text}}}"),
            out,
        )
    }

    fn primitive(&self, ty: Type, given: &[Items<'a>]) -> Result<Json, EvalError> {
        let value = match given.first().map_or(&[][..], |items| items.as_slice()) {
            [] => None,
            [item] => Some(self.json_of(ty, item)?.0.ok_or(FACTORY)?),
            _ => return Err(EvalError::NotSingle),
        };
        let mut extensions = Vec::new();
        for item in given.get(1).into_iter().flatten() {
            extensions.push(
                self.json_of(self.types().extension(), item)?
                    .0
                    .ok_or(FACTORY)?,
            );
        }
        let extra = (!extensions.is_empty())
            .then(|| format!("{{\"extension\":[{}]}}", extensions.join(",")));
        Ok((value, extra))
    }

    fn complex(&self, ty: Type, elements: &[&str], given: &[Items<'a>]) -> Result<Json, EvalError> {
        let structure = self.types().structure(ty).ok_or(FACTORY)?;
        let mut members = Members::default();
        for (name, items) in elements.iter().zip(given) {
            let element = structure.element(name).ok_or(FACTORY)?;
            self.element(element, items, &mut members)?;
        }
        Ok((Some(members.object()), None))
    }

    /// Adds the members of an element with these values.
    fn element(
        &self,
        element: &Element,
        items: &[Item<'a>],
        members: &mut Members,
    ) -> Result<(), EvalError> {
        let Some(first) = items.first() else {
            return Ok(());
        };
        if items.len() > 1 && !element.repeats() {
            return Err(EvalError::NotSingle);
        }
        let types = self.types();
        let fits = |content: Content| {
            let wanted = Type::from(content);
            let ty = Type::from(first.ty().content());
            if types.is_a(ty, wanted) {
                return true;
            }
            // One of FHIRPath's own stands for any primitive that it can be written as.
            let own = first.node().is_none() || !element.choice;
            matches!(content, Content::Primitive(_)) && own && !element.choice
        };
        let exact = element
            .types
            .iter()
            .find(|of| Type::from(of.content) == first.ty());
        let by_name = || {
            let name = own_name(types, first);
            element.types.iter().find(|of| of.name == name)
        };
        let found = exact
            .or_else(by_name)
            .or_else(|| element.types.iter().find(|of| fits(of.content)));
        let of = found.ok_or(FACTORY)?;
        let ty = Type::from(of.content);
        let mut each = Vec::with_capacity(items.len());
        for item in items {
            each.push(self.json_of(ty, item)?);
        }
        let null = |part: &Option<String>| part.clone().unwrap_or_else(|| "null".to_owned());
        let side = |of: &dyn Fn(&Json) -> Option<String>| -> Option<String> {
            let parts: Vec<Option<String>> = each.iter().map(of).collect();
            parts
                .iter()
                .any(Option::is_some)
                .then(|| match element.repeats() {
                    true => format!("[{}]", parts.iter().map(null).collect::<Vec<_>>().join(",")),
                    false => parts.first().map(null).unwrap_or_default(),
                })
        };
        if let Some(value) = side(&|json| json.0.clone()) {
            members.add(of.json, &value);
        }
        if let Some(extra) = side(&|json| json.1.clone()) {
            members.add(&format!("_{}", of.json), &extra);
        }
        Ok(())
    }

    /// An instance with an extension more, or with another value of an element.
    fn changed(&self, make: Make, node: Node<'a>, given: &[Items<'a>]) -> Result<Json, EvalError> {
        let name = match given.get(1).map_or(&[][..], |items| items.as_slice()) {
            [item] => item.as_text().ok_or(FACTORY)?,
            _ => return Err(FACTORY),
        };
        let values = given.get(2).map_or(&[][..], |items| items.as_slice());
        let types = self.types();
        let structure = types.structure(node.ty).ok_or(FACTORY)?;
        let mut members = Members::default();
        let (element, kept) = match make {
            Make::WithProperty => (structure.element(&name).ok_or(FACTORY)?, false),
            _ => (structure.element("extension").ok_or(FACTORY)?, true),
        };
        let is_it = |member: &str| {
            let plain = member.strip_prefix('_').unwrap_or(member);
            element.types.iter().any(|of| of.json == plain)
        };
        let mut extensions = Vec::new();
        for member in node
            .object()
            .into_iter()
            .flat_map(crate::json::Value::members)
        {
            if !is_it(&member.name()) {
                members.add(&member.name(), &compact(member.value));
            } else if kept {
                extensions.extend(member.value.items().map(compact));
            }
        }
        if kept {
            let extension = types.extension();
            let text = Item::text(name);
            let new = [Items::from_iter([text]), values.iter().cloned().collect()];
            let new = self.complex(extension, &["url", "value"], &new)?;
            extensions.extend(new.0);
            members.add("extension", &format!("[{}]", extensions.join(",")));
        } else {
            self.element(element, values, &mut members)?;
        }
        Ok(if node.ty.is_primitive() {
            (node.value.map(compact), Some(members.object()))
        } else {
            (Some(members.object()), None)
        })
    }

    /// An item as an element of a type.
    fn json_of(&self, ty: Type, item: &Item<'a>) -> Result<Json, EvalError> {
        let types = self.types();
        let Some(primitive) = ty.as_primitive() else {
            return match item {
                Item::Node(node) if types.is_a(node.ty, ty) || ty.is_any_resource() => {
                    Ok((Some(node.value.map(compact).ok_or(FACTORY)?), None))
                }
                Item::Quantity(_) if types.is_quantity(ty) => Ok((Some(item.to_json(types)), None)),
                _ => Err(FACTORY),
            };
        };
        let extra = item.node().and_then(|node| node.extra).map(compact);
        if extra.is_some() && item.node().is_some_and(|node| node.value.is_none()) {
            return Ok((None, extra));
        }
        let system = item.system(types).ok_or(FACTORY)?;
        let text = system.to_text(types).ok_or(FACTORY)?;
        let is_text = matches!(system, Item::String(_) | Item::Moment(_));
        let written_as_text = !matches!(
            primitive,
            Primitive::Boolean
                | Primitive::Decimal
                | Primitive::Integer
                | Primitive::PositiveInt
                | Primitive::UnsignedInt
        );
        // A number may be written as a text (`'5.03'`), a text never as a number.
        if (written_as_text && !is_text && primitive != Primitive::Integer64)
            || !is_primitive(primitive, &text)
        {
            return Err(FACTORY);
        }
        let mut json = String::new();
        match written_as_text {
            true => push_json_string(&text, &mut json),
            false => json.push_str(&text),
        }
        Ok((Some(json), extra))
    }
}

/// The FHIR type that one of FHIRPath's own is.
fn own_name(types: &Types, item: &Item<'_>) -> &'static str {
    match item {
        Item::Long(_) => "integer64",
        Item::Quantity(_) => "Quantity",
        item => types.name(Type::from(item.ty().content())),
    }
}

fn compact(value: crate::json::Value<'_>) -> String {
    let mut out = String::new();
    write_compact(value, &mut out);
    out
}

/// A type without anything in it.
fn empty_of(ty: Type, types: &Types) -> String {
    let name = types.name(ty);
    let mut out = String::from("{");
    if types.model().type_id(name).is_some() {
        let _ = write!(out, "\"resourceType\":\"{name}\"");
    }
    out.push('}');
    out
}
