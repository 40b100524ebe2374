//! Reduced resources: `_summary` and `_elements` (`search.html#summary`, `search.html#elements`).

use crate::definitions::{Content, Element, Model, Structure};
use crate::json::{self, Doc, Member, ParseError, Value, push_json_string, write_compact};
use crate::search::query::Shape;

const TAG_SYSTEM: &str = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue";
const TAG: &str = "{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ObservationValue\",\
                   \"code\":\"SUBSETTED\"}";

/// Elements that stay whatever was asked for: identity, and what changes the meaning of the rest.
const ALWAYS: [&str; 3] = ["id", "implicitRules", "modifierExtension"];

/// Appends the part of a resource that the shape asks for, tagged as SUBSETTED, to `out`.
/// Mandatory elements always stay, so that the result is a valid resource. `whole` is a stored
/// resource; a shape of [`Shape::Whole`] copies it.
pub fn write_shaped(
    model: &'static Model,
    whole: &[u8],
    shape: &Shape,
    out: &mut Vec<u8>,
) -> Result<(), ParseError> {
    if *shape == Shape::Whole {
        out.extend_from_slice(whole);
        return Ok(());
    }
    // It was within its limits when it came in.
    let doc: Doc<'_> = json::parse(whole, usize::MAX)?;
    let resource = doc.root();
    let name = resource.get("resourceType").and_then(Value::as_str);
    let structure = name.as_deref().and_then(|n| model.structure_named(n));
    let mut text = String::with_capacity(whole.len());
    match structure {
        Some(structure) => {
            write_resource(
                model,
                resource,
                model.structure(structure),
                shape,
                &mut text,
            );
        }
        None => write_compact(resource, &mut text),
    }
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

fn write_resource(
    model: &'static Model,
    resource: Value<'_>,
    structure: &Structure,
    shape: &Shape,
    out: &mut String,
) {
    out.push_str("{\"resourceType\":");
    push_json_string(structure.path, out);
    let mut has_meta = false;
    for member in resource.members() {
        let name = member.name();
        if name == "resourceType" {
            continue;
        }
        if name == "meta" {
            has_meta = true;
            out.push_str(",\"meta\":");
            write_meta(member.value, out);
            continue;
        }
        let Some(element) = structure.member(name.strip_prefix('_').unwrap_or(&name)) else {
            continue;
        };
        let element = element.element;
        let kept = ALWAYS.contains(&element.name) || element.min > 0;
        match shape {
            Shape::Whole => push_member(member, out),
            Shape::Summary if kept || element.summary => {
                summarise(model, member, structure, out);
            }
            Shape::Text if kept || element.name == "text" => push_member(member, out),
            Shape::Data if element.name != "text" => push_member(member, out),
            Shape::Elements(names) if kept || is_named(names, element, &name, structure) => {
                push_member(member, out);
            }
            _ => {}
        }
    }
    if !has_meta {
        out.push_str(",\"meta\":{\"tag\":[");
        out.push_str(TAG);
        out.push_str("]}");
    }
    out.push('}');
}

/// Whether a list has this element: `value`, `valueQuantity` or `Observation.value`.
fn is_named(names: &[String], element: &Element, json: &str, structure: &Structure) -> bool {
    names.iter().any(|asked| {
        let own = asked
            .split_once('.')
            .filter(|(of, _)| *of == structure.path);
        let asked = own.map_or(asked.as_str(), |(_, rest)| rest);
        let top = asked.split('.').next().unwrap_or(asked);
        top == element.name || top == json
    })
}

fn push_member(member: Member<'_>, out: &mut String) {
    push_name(member, out);
    write_compact(member.value, out);
}

fn push_name(member: Member<'_>, out: &mut String) {
    if !out.ends_with('{') {
        out.push(',');
    }
    push_json_string(&member.name(), out);
    out.push(':');
}

fn is_tag(coding: Value<'_>) -> bool {
    let is = |name, wanted| coding.get(name).and_then(Value::as_str).as_deref() == Some(wanted);
    is("system", TAG_SYSTEM) && is("code", "SUBSETTED")
}

/// Writes the meta without the tag.
pub(super) fn write_meta_untagged(meta: Value<'_>, out: &mut String) {
    out.push('{');
    for member in meta.members() {
        if !member.is("tag") {
            push_member(member, out);
            continue;
        }
        let mut kept = member.value.items().filter(|c| !is_tag(*c)).peekable();
        if kept.peek().is_none() {
            continue;
        }
        push_name(member, out);
        out.push('[');
        for (at, coding) in kept.enumerate() {
            if at > 0 {
                out.push(',');
            }
            write_compact(coding, out);
        }
        out.push(']');
    }
    out.push('}');
}

/// Writes the meta with the tag added, once.
pub(super) fn write_meta(meta: Value<'_>, out: &mut String) {
    out.push('{');
    let mut tagged = false;
    for member in meta.members() {
        if !member.is("tag") {
            push_member(member, out);
            continue;
        }
        tagged = true;
        push_name(member, out);
        out.push('[');
        for coding in member.value.items().filter(|c| !is_tag(*c)) {
            write_compact(coding, out);
            out.push(',');
        }
        out.push_str(TAG);
        out.push(']');
    }
    if !tagged {
        if !out.ends_with('{') {
            out.push(',');
        }
        out.push_str("\"tag\":[");
        out.push_str(TAG);
        out.push(']');
    }
    out.push('}');
}

/// Writes a member with only the summary elements of what is inside; nothing if that leaves
/// nothing.
fn summarise(model: &'static Model, member: Member<'_>, structure: &Structure, out: &mut String) {
    let before = out.len();
    push_name(member, out);
    let found = structure.member(&member.name());
    let inner = match found.map(|f| f.of.content) {
        Some(Content::Structure(id)) => model.structure(id),
        _ => return write_compact(member.value, out),
    };
    // Extensions have no summary elements: where one is kept, it is kept whole.
    if !inner.elements.iter().any(|e| e.summary) {
        return write_compact(member.value, out);
    }
    let kept = if found.is_some_and(|f| f.element.repeats()) {
        out.push('[');
        for item in member.value.items() {
            let from = out.len();
            if from > before && !out.ends_with('[') {
                out.push(',');
            }
            if !summarise_object(model, item, inner, out) {
                out.truncate(from);
            }
        }
        let any = !out.ends_with('[');
        out.push(']');
        any
    } else {
        summarise_object(model, member.value, inner, out)
    };
    if !kept {
        out.truncate(before);
        // A mandatory element of which no part is for summaries stays as it is.
        if found.is_some_and(|f| f.element.min > 0) {
            push_member(member, out);
        }
    }
}

fn summarise_object(
    model: &'static Model,
    object: Value<'_>,
    structure: &Structure,
    out: &mut String,
) -> bool {
    out.push('{');
    for member in object.members() {
        let name = member.name();
        let beside = name.strip_prefix('_');
        let Some(found) = structure.member(beside.unwrap_or(&name)) else {
            continue;
        };
        if !found.element.summary && found.element.min == 0 {
            continue;
        }
        if beside.is_some() {
            push_member(member, out);
        } else {
            summarise(model, member, structure, out);
        }
    }
    let any = !out.ends_with('{');
    out.push('}');
    any
}
