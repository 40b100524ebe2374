//! A resource as XML: elements in the order of the definitions, values as attributes.

use base::Code;
use smallvec::SmallVec;

use super::token::is_legal;
use super::{FHIR, narrative};
use crate::definitions::{Content, Element, ElementType, Model, Primitive, Structure};
use crate::json::{Kind, Value};
use crate::outcome::Issue;

/// How the text is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// No white space that means nothing.
    Compact,
    /// Each element on a line of its own.
    Pretty,
}

/// Appends a resource as an XML document without a declaration.
///
/// # Errors
/// `element-unknown`, `element-type` for what the definitions do not have; a resource that was
/// validated has none.
pub fn write_xml(
    model: &'static Model,
    resource: Value<'_>,
    layout: Layout,
    out: &mut String,
) -> Result<(), Issue> {
    let mut writer = Writer {
        model,
        layout,
        depth: 0,
        out,
    };
    writer.resource(resource, true)
}

struct Writer<'o> {
    model: &'static Model,
    layout: Layout,
    depth: usize,
    out: &'o mut String,
}

/// The members of an object that are one element.
struct Members<'v> {
    index: u16,
    element: &'static Element,
    of: &'static ElementType,
    value: Option<Value<'v>>,
    beside: Option<Value<'v>>,
}

fn unknown(name: &str, of: &str) -> Issue {
    Issue::error(
        Code::ElementUnknown,
        format!("{of} has no element \"{name}\""),
    )
}

impl Writer<'_> {
    fn resource(&mut self, resource: Value<'_>, root: bool) -> Result<(), Issue> {
        let name = resource.get("resourceType").and_then(Value::as_str);
        let type_id = name.as_deref().and_then(|n| self.model.type_id(n));
        let structure = type_id.and_then(|id| self.model.structure_of(id));
        let Some(structure) = structure.map(|id| self.model.structure(id)) else {
            let text = "\"resourceType\" names no resource type";
            return Err(Issue::error(Code::ResourceTypeMismatch, text));
        };
        self.line();
        self.open(structure.path);
        if root {
            push_attribute("xmlns", FHIR, self.out);
        }
        self.content(resource, structure, structure.path, true)
    }

    /// What follows the attributes of an element that is made of elements, and its end.
    fn content(
        &mut self,
        object: Value<'_>,
        structure: &'static Structure,
        tag: &str,
        resource: bool,
    ) -> Result<(), Issue> {
        let members = self.members(object, structure, resource)?;
        if members.is_empty() {
            self.out.push_str("/>");
            return Ok(());
        }
        self.out.push('>');
        self.depth += 1;
        for member in &members {
            self.element(member)?;
        }
        self.depth -= 1;
        self.line();
        self.close(tag);
        Ok(())
    }

    /// The elements of an object in the order of definition, without those that are attributes.
    fn members<'v>(
        &self,
        object: Value<'v>,
        structure: &'static Structure,
        resource: bool,
    ) -> Result<SmallVec<[Members<'v>; 8]>, Issue> {
        let mut all: SmallVec<[Members<'v>; 8]> = SmallVec::new();
        for member in object.members() {
            let name = member.name();
            let attribute = match resource {
                true => name == "resourceType",
                false => name == "id" || (name == "url" && structure.path == "Extension"),
            };
            if attribute {
                continue;
            }
            let plain = name.strip_prefix('_');
            let found = structure.member(plain.unwrap_or(&name));
            let Some(found) = found else {
                return Err(unknown(&name, structure.path));
            };
            let known = all.iter().position(|m| std::ptr::eq(m.of, found.of));
            let at = known.unwrap_or_else(|| {
                all.push(Members {
                    index: found.index,
                    element: found.element,
                    of: found.of,
                    value: None,
                    beside: None,
                });
                all.len() - 1
            });
            if let Some(entry) = all.get_mut(at) {
                match plain {
                    Some(_) => entry.beside = Some(member.value),
                    None => entry.value = Some(member.value),
                }
            }
        }
        all.sort_by_key(|m| m.index);
        Ok(all)
    }

    fn element(&mut self, member: &Members<'_>) -> Result<(), Issue> {
        if !member.element.repeats() {
            return self.item(member.of, member.value, member.beside);
        }
        let items = |value: Option<Value<'_>>| match value {
            Some(value) if value.kind() != Kind::Array => {
                let text = format!("\"{}\" is a JSON array", member.of.json);
                Err(Issue::error(Code::ElementType, text))
            }
            _ => Ok(()),
        };
        items(member.value)?;
        items(member.beside)?;
        let mut values = member.value.map(Value::items);
        let mut besides = member.beside.map(Value::items);
        loop {
            let value = values.as_mut().and_then(Iterator::next);
            let beside = besides.as_mut().and_then(Iterator::next);
            if value.is_none() && beside.is_none() {
                return Ok(());
            }
            self.item(member.of, value, beside)?;
        }
    }

    fn item(
        &mut self,
        of: &'static ElementType,
        value: Option<Value<'_>>,
        beside: Option<Value<'_>>,
    ) -> Result<(), Issue> {
        let value = value.filter(|v| v.kind() != Kind::Null);
        let beside = beside.filter(|v| v.kind() != Kind::Null);
        match (of.content, value) {
            (Content::Primitive(Primitive::Xhtml), Some(div)) => {
                self.line();
                narrative::write(&div.as_str().unwrap_or_default(), self.out);
                Ok(())
            }
            (Content::Primitive(_), value) => self.primitive(of, value, beside),
            (_, None) => Ok(()),
            (Content::Resource, Some(resource)) => {
                self.line();
                self.open(of.json);
                self.out.push('>');
                self.depth += 1;
                self.resource(resource, false)?;
                self.depth -= 1;
                self.line();
                self.close(of.json);
                Ok(())
            }
            (Content::Structure(id), Some(object)) => {
                let structure = self.model.structure(id);
                self.line();
                self.open(of.json);
                self.attributes(object, structure.path == "Extension");
                self.content(object, structure, of.json, false)
            }
        }
    }

    fn primitive(
        &mut self,
        of: &'static ElementType,
        value: Option<Value<'_>>,
        beside: Option<Value<'_>>,
    ) -> Result<(), Issue> {
        if value.is_none() && beside.is_none() {
            return Ok(());
        }
        self.line();
        self.open(of.json);
        if let Some(beside) = beside {
            self.attributes(beside, false);
        }
        if let Some(value) = value {
            match value.as_str() {
                Some(text) => push_attribute("value", &text, self.out),
                None => push_attribute("value", value.raw(), self.out),
            }
        }
        match (beside, self.model.structure_named("Element")) {
            (Some(beside), Some(element)) => {
                self.content(beside, self.model.structure(element), of.json, false)
            }
            _ => {
                self.out.push_str("/>");
                Ok(())
            }
        }
    }

    /// The members of an object that are attributes.
    fn attributes(&mut self, object: Value<'_>, extension: bool) {
        let names: &[&str] = if extension { &["id", "url"] } else { &["id"] };
        for name in names {
            if let Some(text) = object.get(name).and_then(Value::as_str) {
                push_attribute(name, &text, self.out);
            }
        }
    }

    fn open(&mut self, tag: &str) {
        self.out.push('<');
        self.out.push_str(tag);
    }

    fn close(&mut self, tag: &str) {
        self.out.push_str("</");
        self.out.push_str(tag);
        self.out.push('>');
    }

    fn line(&mut self) {
        if self.layout == Layout::Pretty && !self.out.is_empty() {
            self.out.push('\n');
            for _ in 0..self.depth {
                self.out.push_str("  ");
            }
        }
    }
}

/// Appends ` name="value"`.
pub(crate) fn push_attribute(name: &str, value: &str, out: &mut String) {
    out.push(' ');
    out.push_str(name);
    out.push_str("=\"");
    escape(value, true, out);
    out.push('"');
}

/// Appends text that is no markup.
pub(crate) fn push_text(text: &str, out: &mut String) {
    escape(text, false, out);
}

/// White space of attributes is written as references: it would come back as spaces. What XML has
/// no way to write becomes U+FFFD.
fn escape(text: &str, attribute: bool, out: &mut String) {
    let mut from = 0;
    for (at, c) in text.char_indices() {
        let written = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '"' if attribute => "&quot;",
            '\t' if attribute => "&#x9;",
            '\n' if attribute => "&#xA;",
            '\r' => "&#xD;",
            c if !is_legal(c) => "\u{fffd}",
            _ => continue,
        };
        out.push_str(text.get(from..at).unwrap_or(""));
        out.push_str(written);
        from = at + c.len_utf8();
    }
    out.push_str(text.get(from..).unwrap_or(""));
}
