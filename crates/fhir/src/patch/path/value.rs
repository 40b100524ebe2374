//! Values of operations: `value[x]`, a resource, or parts that are the elements of a type without
//! a name.

use super::super::tree::Tree;
use super::super::{malformed, misfit};
use super::element;
use super::place::{Occurrences, put, shown, take};
use crate::definitions::{Content, Element, ElementType, Model};
use crate::json::Value;
use crate::outcome::Issue;

/// One occurrence of an element.
type Occurrence<'p> = (Option<Tree<'p>>, Option<Tree<'p>>);

/// What a part says as an occurrence of an element, and the member's name in JSON. `name` is how
/// the element was named: `value`, or `valueString` for one type of a choice.
pub(super) fn of_part<'p>(
    model: &'static Model,
    element: &'static Element,
    name: &str,
    part: Option<Value<'p>>,
) -> Result<(&'static str, Occurrence<'p>), Issue> {
    let part = part.ok_or_else(|| malformed("\"value\" is missing"))?;
    if let Some(resource) = part.get("resource") {
        let holds = |t: &&ElementType| t.content == Content::Resource;
        let of = element.types.iter().find(holds);
        let of = of.ok_or_else(|| misfit(format!("\"{}\" is no resource", shown(element))))?;
        return Ok((of.json, (Some(Tree::of(resource)), None)));
    }
    let parts = part.get("part");
    let parameter = model.structure_named("Parameters.parameter");
    let parameter = parameter.map(|id| model.structure(id));
    let (mut value, mut beside, mut type_name) = (None, None, "");
    for member in part.members() {
        let name = member.name();
        let plain = name.strip_prefix('_').unwrap_or(&name);
        if !plain.starts_with("value") {
            continue;
        }
        let found = parameter.and_then(|p| p.member(plain));
        type_name = found
            .ok_or_else(|| malformed("\"value\" is of no type"))?
            .of
            .name;
        match name.starts_with('_') {
            true => beside = Some(Tree::of(member.value)),
            false => value = Some(Tree::of(member.value)),
        }
    }
    match (value.is_some() || beside.is_some(), parts) {
        (true, _) => {
            let of = type_of(element, name, type_name)?;
            Ok((of.json, (value, beside)))
        }
        (false, Some(parts)) => {
            let of = anonymous(element, name)?;
            Ok((of.json, (Some(object(model, of, parts)?), None)))
        }
        (false, None) => Err(malformed("\"value\" has no content")),
    }
}

/// The type of an element that takes a value of this type.
fn type_of(
    element: &'static Element,
    name: &str,
    type_name: &str,
) -> Result<&'static ElementType, Issue> {
    let by_name = element
        .types
        .iter()
        .find(|t| t.json == name && element.choice);
    let by_type = element.types.iter().find(|t| t.name == type_name);
    let only = element.types.first().filter(|_| !element.choice);
    by_name
        .or(by_type)
        .or(only)
        .ok_or_else(|| misfit(format!("\"{}\" takes no {type_name}", shown(element))))
}

/// The type of an element whose elements are given one by one.
fn anonymous(element: &'static Element, name: &str) -> Result<&'static ElementType, Issue> {
    let named = element.types.iter().find(|t| t.json == name);
    let only = element.types.first().filter(|_| element.types.len() == 1);
    let of = named
        .or(only)
        .ok_or_else(|| misfit(format!("\"{}\" needs a value of a type", shown(element))))?;
    match of.content {
        Content::Structure(_) => Ok(of),
        _ => Err(misfit(format!("\"{}\" has no elements", shown(element)))),
    }
}

/// The object that parts make.
fn object<'p>(
    model: &'static Model,
    of: &'static ElementType,
    parts: Value<'p>,
) -> Result<Tree<'p>, Issue> {
    let Content::Structure(id) = of.content else {
        return Err(misfit("the element has no elements"));
    };
    let structure = model.structure(id);
    let mut made = Tree::object();
    for part in parts.items() {
        let name = part.get("name").and_then(Value::as_str);
        let name = name.ok_or_else(|| malformed("a part needs a name"))?;
        let element = element(structure, &name)?;
        let (json, value) = of_part(model, element, &name, Some(part))?;
        let mut all: Occurrences<'_> = take(&mut made, element, json);
        if !element.repeats() && !all.is_empty() {
            return Err(misfit(format!("\"{}\" is given twice", shown(element))));
        }
        all.push(value);
        put(&mut made, element, json, all);
    }
    Ok(made)
}
