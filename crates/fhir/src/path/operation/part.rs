//! Values in and out of the parts of Parameters.

use base::Code;

use super::super::item::{Item, Node};
use super::super::types::{System, Type, Types};
use super::place::Places;
use super::{JSON_VALUE, RESOURCE_PATH};
use crate::definitions::{Content, Primitive};
use crate::json::{Value, push_json_string, write_compact};
use crate::outcome::Issue;
use crate::validate::is_primitive;

/// Before the first part within another.
const PART: &str = ",\"part\":[";

/// The value of a variable: its `value[x]` or its `resource`.
pub(super) fn value_of<'a>(types: &Types, part: Value<'a>) -> Vec<Item<'a>> {
    let Some(structure) = types.model().structure_named("Parameters.parameter") else {
        return Vec::new();
    };
    let structure = types.model().structure(structure);
    let mut found = Vec::new();
    for member in part.members() {
        let name = member.name();
        let Some(known) = structure.member(&name) else {
            continue;
        };
        let ty = match known.element.name {
            "resource" => types.of_resource(member.value),
            "value" => Some(Type::fhir(known.of.content)),
            _ => None,
        };
        let extra = part.get(&format!("_{name}"));
        found.extend(ty.map(|ty| {
            Item::Node(Node {
                value: Some(member.value),
                extra,
                ty,
            })
        }));
    }
    found
}

/// A type's name as parts have it: FHIRPath's own types by the name of FHIR's.
pub(super) fn name_of(types: &Types, ty: Type) -> &'static str {
    match ty.as_system() {
        Some(System::Boolean) => "boolean",
        Some(System::String) => "string",
        Some(System::Integer) => "integer",
        Some(System::Long) => "integer64",
        Some(System::Decimal) => "decimal",
        Some(System::Date) => "date",
        Some(System::DateTime) => "dateTime",
        Some(System::Time) => "time",
        Some(System::Quantity) => "Quantity",
        Some(System::TypeInfo) => "TypeInfo",
        None => types.name(ty),
    }
}

/// Writes results of one resource.
pub(super) struct Writer<'w, 'a> {
    pub(super) types: &'w Types,
    pub(super) places: Places<'w, 'a>,
    /// Bytes that all results may have.
    pub(super) bytes_max: usize,
}

impl<'a> Writer<'_, 'a> {
    /// One `result`, with a comma before it.
    ///
    /// # Errors
    /// `limit-query` where the results grow too large: a small expression can name much again and
    /// again.
    pub(super) fn result(
        &self,
        label: Option<&str>,
        items: &[Item<'a>],
        traces: &[(String, Vec<Item<'a>>)],
        out: &mut String,
    ) -> Result<(), Issue> {
        out.push_str(",{\"name\":\"result\"");
        if let Some(label) = label {
            out.push_str(",\"valueString\":");
            push_json_string(label, out);
        }
        let mut between = PART;
        for item in items {
            out.push_str(between);
            between = ",";
            self.item(item, out)?;
        }
        for (name, items) in traces {
            out.push_str(between);
            between = ",";
            self.trace(name, items, out)?;
        }
        if between != PART {
            out.push(']');
        }
        out.push('}');
        Ok(())
    }

    fn trace(&self, name: &str, items: &[Item<'a>], out: &mut String) -> Result<(), Issue> {
        out.push_str("{\"name\":\"trace\"");
        // An empty string is no FHIR string.
        if !name.is_empty() {
            out.push_str(",\"valueString\":");
            push_json_string(name, out);
        }
        let mut between = PART;
        for item in items {
            out.push_str(between);
            between = ",";
            self.item(item, out)?;
        }
        if between != PART {
            out.push(']');
        }
        out.push('}');
        Ok(())
    }

    fn item(&self, item: &Item<'a>, out: &mut String) -> Result<(), Issue> {
        let name = name_of(self.types, item.ty());
        out.push('{');
        let (member, value, extra) = self.value(item, name);
        let mut between = "\"extension\":[";
        let mut extension = |url: &str, value: &str, out: &mut String| {
            out.push_str(between);
            between = ",";
            push_extension(url, value, out);
        };
        let place = self.places.of(item);
        if let Some(path) = &place {
            extension(RESOURCE_PATH, path, out);
        }
        if member.is_none() {
            extension(JSON_VALUE, &value, out);
        }
        if place.is_some() || member.is_none() {
            out.push_str("],");
        }
        let empty = value == "\"\"" && name == "string";
        out.push_str("\"name\":");
        push_json_string(if empty { "empty-string" } else { name }, out);
        if let Some(member) = member.filter(|_| !empty) {
            if !value.is_empty() {
                out.push(',');
                push_json_string(&member, out);
                out.push(':');
                out.push_str(&value);
            }
            if let Some(extra) = extra {
                out.push(',');
                push_json_string(&format!("_{member}"), out);
                out.push(':');
                write_compact(extra, out);
            }
        }
        out.push('}');
        if out.len() > self.bytes_max {
            let text = "the results are larger than allowed";
            return Err(Issue::error(Code::LimitQuery, text).limit("page_bytes_max"));
        }
        Ok(())
    }

    /// The member that holds an item (`valueHumanName`; none if Parameters have none for it), its
    /// JSON, and what stands beside it.
    fn value(&self, item: &Item<'a>, name: &str) -> (Option<String>, String, Option<Value<'a>>) {
        let mut json = String::new();
        let mut extra = None;
        match item {
            Item::Node(node) => {
                if let Some(value) = node.value {
                    write_compact(value, &mut json);
                }
                extra = node.extra;
            }
            Item::Bool(_) | Item::Integer(_) | Item::Decimal(_) => {
                json.push_str(&item.to_text(self.types).unwrap_or_default());
            }
            Item::Quantity(_) | Item::TypeInfo(..) => json = item.to_json(self.types),
            item => push_json_string(&item.to_text(self.types).unwrap_or_default(), &mut json),
        }
        let is_resource = |node: Node<'a>| match node.ty.content() {
            Content::Resource => true,
            Content::Structure(_) => node.get("resourceType").is_some(),
            Content::Primitive(_) => false,
        };
        if item.node().is_some_and(is_resource) {
            return (Some("resource".to_owned()), json, None);
        }
        // What FHIRPath makes may be no value of FHIR: an hour without minutes, a time without zone.
        let fits = |text: &str| Primitive::parse(name).is_none_or(|of| is_primitive(of, text));
        let text = item.node().is_none().then(|| item.to_text(self.types));
        if !text
            .flatten()
            .is_none_or(|text| text.is_empty() || fits(&text))
        {
            return (None, json, extra);
        }
        let mut first = name.chars();
        let upper = first.next().map(|c| c.to_ascii_uppercase());
        let member = format!(
            "value{}{}",
            upper.map_or(String::new(), String::from),
            first.as_str()
        );
        let parameter = self.types.model().structure_named("Parameters.parameter");
        let known =
            parameter.is_some_and(|p| self.types.model().structure(p).member(&member).is_some());
        (known.then_some(member), json, extra)
    }
}

fn push_extension(url: &str, value: &str, out: &mut String) {
    out.push_str("{\"url\":");
    push_json_string(url, out);
    out.push_str(",\"valueString\":");
    push_json_string(value, out);
    out.push('}');
}
