//! Types and their elements.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::Table;
use super::package::{Package, items, text};

const STRUCTURE: &str = "http://hl7.org/fhir/StructureDefinition/";

/// A type that content can have.
pub(crate) struct Type<'p> {
    pub(crate) kind: &'static str,
    pub(crate) base: &'p str,
    pub(crate) is_abstract: bool,
    pub(crate) definition: &'p Value,
}

/// Every type by name; profiles and logical models are not types.
pub(crate) type Types<'p> = BTreeMap<&'p str, Type<'p>>;

/// The types that the package defines.
pub(crate) fn types(package: &Package) -> Types<'_> {
    let mut found = Types::new();
    for definition in package.structures.values() {
        let kind = match text(definition, "kind") {
            Some("resource") => "resource",
            Some("complex-type") => "complex",
            Some("primitive-type") => "primitive",
            _ => continue,
        };
        let Some(name) = text(definition, "type") else {
            continue;
        };
        if text(definition, "derivation") == Some("constraint") {
            continue;
        }
        let base = text(definition, "baseDefinition").unwrap_or_default();
        let base = base.strip_prefix(STRUCTURE).unwrap_or("");
        let is_abstract = definition
            .get("abstract")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        found.insert(
            name,
            Type {
                kind,
                base,
                is_abstract,
                definition,
            },
        );
    }
    found
}

/// Whether content can be a resource of this type.
pub(crate) fn is_concrete(types: &Types<'_>, name: &str) -> bool {
    types
        .get(name)
        .is_some_and(|t| t.kind == "resource" && !t.is_abstract)
}

/// One row a type.
pub(crate) fn type_table(package: &Package, types: &Types<'_>) -> Table {
    let mut table = Table::new(package, "name, kind, base, abstract");
    for (name, t) in types {
        table.row(&[
            name,
            t.kind,
            t.base,
            if t.is_abstract { "abstract" } else { "" },
        ]);
    }
    table
}

/// A row `=path, base` opens a structure; one row an element follows, in the order of definition.
/// Elements that a structure inherits unchanged are left out.
pub(crate) fn element_table(package: &Package, types: &Types<'_>) -> Result<Table> {
    let columns =
        "=path, base | name, min, max, types or #content reference, summary, required value set";
    let mut table = Table::new(package, columns);
    for (name, t) in types {
        if t.kind == "primitive" {
            continue;
        }
        let all: Vec<&Value> = elements(t.definition).collect();
        let mut groups: Vec<(String, String)> = vec![((*name).to_owned(), t.base.to_owned())];
        for e in &all {
            let path = text(e, "path").unwrap_or_default();
            let children = format!("{path}.");
            let has_children = path.contains('.')
                && all
                    .iter()
                    .any(|o| text(o, "path").is_some_and(|p| p.starts_with(&children)));
            if has_children {
                let base = items(e, "type").next().and_then(|t| text(t, "code"));
                groups.push((
                    path.to_owned(),
                    base.context("a structure without a type")?.to_owned(),
                ));
            }
        }
        for (path, base) in groups {
            table.row(&[&format!("={path}"), &base]);
            for e in &all {
                let own = text(e, "path").unwrap_or_default();
                let child = own
                    .strip_prefix(&path)
                    .and_then(|rest| rest.strip_prefix('.'));
                if let Some(child) = child.filter(|c| !c.contains('.'))
                    && !is_inherited(types, e, own)
                {
                    element_row(&mut table, types, e, own, child);
                }
            }
        }
    }
    Ok(table)
}

fn elements(definition: &Value) -> impl Iterator<Item = &Value> {
    definition
        .get("snapshot")
        .into_iter()
        .flat_map(|s| items(s, "element"))
}

/// Whether the base has this element with the same rules.
fn is_inherited(types: &Types<'_>, element: &Value, path: &str) -> bool {
    let base = element
        .get("base")
        .and_then(|b| text(b, "path"))
        .unwrap_or(path);
    if base == path {
        return false;
    }
    let owner = base.split('.').next().unwrap_or_default();
    let original = types
        .get(owner)
        .and_then(|t| elements(t.definition).find(|e| text(e, "path") == Some(base)));
    // What ids are differs by package; `type_list` settles it.
    let is_id = path.ends_with(".id");
    original.is_some_and(|o| {
        ["min", "max", "isSummary"]
            .iter()
            .all(|k| o.get(k) == element.get(k))
            && (is_id || type_list(types, o, base) == type_list(types, element, path))
            && binding(o) == binding(element)
    })
}

fn element_row(table: &mut Table, types: &Types<'_>, e: &Value, path: &str, name: &str) {
    let min = e
        .get("min")
        .and_then(Value::as_u64)
        .unwrap_or(0)
        .to_string();
    let max = text(e, "max").unwrap_or("*");
    let summary = e.get("isSummary").and_then(Value::as_bool).unwrap_or(false);
    let summary = if summary { "s" } else { "" };
    let list = text(e, "contentReference").map_or_else(
        || type_list(types, e, path),
        |r| format!("#{}", r.rsplit('#').next().unwrap_or_default()),
    );
    table.row(&[name, &min, max, &list, summary, binding(e).unwrap_or("")]);
}

/// `Quantity,Reference(Patient|Group)`; no targets means any.
fn type_list(types: &Types<'_>, element: &Value, path: &str) -> String {
    // Packages differ in what they say of ids: `resource.html#id` says `id`, and
    // `element.html#id` says `string`.
    if let Some(owner) = path.strip_suffix(".id") {
        let resource = types.get(owner).is_some_and(|t| t.kind == "resource");
        return if resource { "id" } else { "string" }.to_owned();
    }
    let mut list = Vec::new();
    for t in items(element, "type") {
        let code = text(t, "code").unwrap_or_default();
        let fhir = items(t, "extension")
            .find(|x| text(x, "url").is_some_and(|u| u.ends_with("structuredefinition-fhir-type")))
            .and_then(|x| text(x, "valueUrl").or_else(|| text(x, "valueUri")));
        let code = fhir.unwrap_or(code);
        let targets: Vec<&str> = items(t, "targetProfile")
            .filter_map(Value::as_str)
            .map(|u| u.strip_prefix(STRUCTURE).unwrap_or(u))
            .collect();
        let any = targets.iter().any(|t| !is_concrete(types, t));
        if targets.is_empty() || any {
            list.push(code.to_owned());
        } else {
            list.push(format!("{code}({})", targets.join("|")));
        }
    }
    list.join(",")
}

/// The value set of a required binding, without its version.
pub(crate) fn binding(element: &Value) -> Option<&str> {
    let binding = element
        .get("binding")
        .filter(|b| text(b, "strength") == Some("required"))?;
    let url = text(binding, "valueSet").or_else(|| text(binding, "valueSetUri"))?;
    url.split('|').next()
}

/// Every required value set that some element is bound to.
pub(crate) fn bound_value_sets<'p>(types: &Types<'p>) -> std::collections::BTreeSet<&'p str> {
    types
        .values()
        .flat_map(|t| elements(t.definition).filter_map(binding))
        .collect()
}
