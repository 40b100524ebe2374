//! FHIRPath Patch (`fhirpatch.html`): operations in a Parameters resource, whose paths are FHIRPath.

use std::borrow::Cow;
use std::cell::Cell;

use super::tree::Tree;
use super::{Bounds, malformed, misfit, too_large, too_many};
use crate::definitions::{Element, Found, Model, Structure};
use crate::json::{self, Value};
use crate::outcome::Issue;
use crate::path::{EvalError, Node, Plan, Rules, Settings, Types};

mod place;
mod value;

use place::{Place, Step, Target, put, shown, take, walk};

/// How the paths of a patch are read.
const SETTINGS: Settings<'_> = Settings {
    rules: Rules {
        search: false,
        ordered: false,
        polymorphic: true,
    },
    variables: &[],
};

/// One operation of a patch.
struct Operation<'p> {
    kind: Kind,
    path: String,
    name: Option<String>,
    value: Option<Value<'p>>,
    index: Option<usize>,
    source: Option<usize>,
    destination: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Add,
    Insert,
    Delete,
    Replace,
    Move,
}

/// Applies a patch to a resource: all operations or none.
///
/// # Errors
/// `patch-invalid` for what is no patch; `patch-failed` for an operation that the resource does not
/// take; `limit-exceeded`.
pub fn apply(
    model: &'static Model,
    resource: Value<'_>,
    parameters: Value<'_>,
    bounds: &Bounds,
) -> Result<String, Issue> {
    let operations = operations(parameters, bounds)?;
    let mut text = resource.raw().to_owned();
    let steps = Cell::new(bounds.steps_max);
    let max = bounds.bytes_max.max(text.len());
    for (number, operation) in operations.iter().enumerate() {
        let at = |issue: Issue| {
            let diagnostics = format!("operation {number}: {}", issue.diagnostics);
            Issue {
                diagnostics,
                ..issue
            }
        };
        let patched = apply_one(model, &text, operation, &steps, bounds);
        if let Some(patched) = patched.map_err(at)? {
            text = patched;
        }
        if text.len() > max {
            return Err(at(too_large(max)));
        }
    }
    Ok(text)
}

/// The operations of a Parameters resource.
fn operations<'p>(parameters: Value<'p>, bounds: &Bounds) -> Result<Vec<Operation<'p>>, Issue> {
    let of_type = parameters.get("resourceType").and_then(Value::as_str);
    if of_type.as_deref() != Some("Parameters") {
        return Err(malformed("a FHIRPath Patch is a Parameters resource"));
    }
    let all = || {
        parameters
            .get("parameter")
            .into_iter()
            .flat_map(Value::items)
    };
    if all().count() > bounds.operations_max {
        return Err(too_many(bounds.operations_max));
    }
    all().enumerate().map(|(i, p)| operation(i, p)).collect()
}

fn operation(number: usize, parameter: Value<'_>) -> Result<Operation<'_>, Issue> {
    let wrong = |what: &str| malformed(format!("operation {number}: {what}"));
    let name = parameter.get("name").and_then(Value::as_str);
    if name.as_deref() != Some("operation") {
        return Err(wrong("a parameter is named \"operation\""));
    }
    let part = |name: &str| {
        let parts = || parameter.get("part").into_iter().flat_map(Value::items);
        let is = |p: &Value<'_>| p.get("name").and_then(Value::as_str).as_deref() == Some(name);
        parts().find(is)
    };
    let simple = |name: &str| {
        let mut members = part(name)?.members();
        members
            .find(|m| m.name().starts_with("value"))
            .map(|m| m.value)
    };
    let text = |name: &str| simple(name).and_then(Value::as_str).map(Cow::into_owned);
    let number = |name: &str| {
        let given = simple(name);
        let read = given
            .and_then(Value::as_number)
            .and_then(|n| n.parse::<usize>().ok());
        match (given, read) {
            (Some(_), None) => Err(wrong(&format!("\"{name}\" is a number from 0"))),
            _ => Ok(read),
        }
    };
    let kind = match text("type").as_deref() {
        Some("add") => Kind::Add,
        Some("insert") => Kind::Insert,
        Some("delete") => Kind::Delete,
        Some("replace") => Kind::Replace,
        Some("move") => Kind::Move,
        _ => {
            return Err(wrong(
                "\"type\" is one of add, insert, delete, replace, move",
            ));
        }
    };
    let operation = Operation {
        kind,
        path: text("path").ok_or_else(|| wrong("\"path\" is missing"))?,
        name: text("name"),
        value: part("value"),
        index: number("index")?,
        source: number("source")?,
        destination: number("destination")?,
    };
    let missing = match kind {
        Kind::Add if operation.name.is_none() => "name",
        Kind::Add | Kind::Insert | Kind::Replace if operation.value.is_none() => "value",
        Kind::Insert if operation.index.is_none() => "index",
        Kind::Move if operation.source.is_none() => "source",
        Kind::Move if operation.destination.is_none() => "destination",
        _ => return Ok(operation),
    };
    Err(wrong(&format!("\"{missing}\" is missing")))
}

/// The resource after one operation; none if it stays as it is.
fn apply_one(
    model: &'static Model,
    text: &str,
    operation: &Operation<'_>,
    steps: &Cell<u64>,
    bounds: &Bounds,
) -> Result<Option<String>, Issue> {
    let doc = json::parse(text.as_bytes(), usize::MAX);
    let doc = doc.map_err(|_| misfit("the resource cannot be read"))?;
    let root = doc.root();
    let targets = select(model, root, &operation.path, steps)?;
    let mut tree = Tree::of(root);
    match operation.kind {
        Kind::Delete => match targets.as_slice() {
            [] => return Ok(None),
            [Target::Element(place)] => delete(&mut tree, place)?,
            [Target::Resource(_)] => return Err(misfit("the resource itself cannot be deleted")),
            _ => return Err(misfit("the path matches more than one element")),
        },
        Kind::Replace => match single(&targets)? {
            Target::Element(place) => replace(model, &mut tree, place, operation)?,
            Target::Resource(_) => return Err(misfit("the resource itself cannot be replaced")),
        },
        Kind::Add => {
            let target = single(&targets)?.clone();
            add(model, &mut tree, &target, operation)?;
        }
        Kind::Insert => {
            let list = match targets.is_empty() {
                true => empty_list(model, root, operation, steps)?,
                false => list(&targets)?,
            };
            insert(model, &mut tree, &list, operation)?;
        }
        Kind::Move => relocate(&mut tree, &list(&targets)?, operation)?,
    }
    tree.prune();
    if tree.depth() > bounds.depth_max {
        let text = format!("nested deeper than {} levels", bounds.depth_max);
        return Err(Issue::error(base::Code::LimitExceeded, text).limit("json_depth_max"));
    }
    let mut out = String::with_capacity(text.len() + 64);
    tree.write(&mut out);
    Ok(Some(out))
}

/// The elements that an expression finds.
fn select(
    model: &'static Model,
    root: Value<'_>,
    path: &str,
    steps: &Cell<u64>,
) -> Result<Vec<Target>, Issue> {
    let types = Types::of(model);
    let name = root.get("resourceType").and_then(Value::as_str);
    let resource = name.and_then(|n| types.by_name(&n));
    let resource = resource.ok_or_else(|| misfit("the resource has no type"))?;
    let of = Some(resource);
    let plan = Plan::compile_as(&types, &SETTINGS, of, of, path)
        .map_err(|e| malformed(format!("\"path\" is not understood: {e}")))?;
    let node = Node::new(root, resource);
    let mut items = Vec::new();
    plan.evaluate(&types, node, node, steps, &mut items)
        .map_err(|e| match e {
            EvalError::Steps => {
                Issue::error(base::Code::LimitExceeded, "\"path\" takes too many steps")
                    .limit("patch_steps_max")
            }
            e => misfit(format!("\"path\" has no value: {e}")),
        })?;
    let mut targets = Vec::with_capacity(items.len());
    for item in &items {
        let node = item.node();
        let value = node.and_then(|n| n.value.or(n.extra));
        let target = value.and_then(|v| place::place(model, root, v));
        targets.push(target.ok_or_else(|| misfit("\"path\" yields no element of the resource"))?);
    }
    Ok(targets)
}

fn single(targets: &[Target]) -> Result<&Target, Issue> {
    match targets {
        [only] => Ok(only),
        [] => Err(misfit("the path matches no element")),
        _ => Err(misfit("the path matches more than one element")),
    }
}

/// The list that all of the elements are of.
fn list(targets: &[Target]) -> Result<Place, Issue> {
    let mut places = targets.iter().map(|target| match target {
        Target::Element(place) if place.index.is_some() => Ok(place),
        _ => Err(misfit("the path matches no list")),
    });
    let first = places
        .next()
        .unwrap_or_else(|| Err(misfit("the path matches no list")))?;
    for place in places {
        let place = place?;
        if place.parent != first.parent || place.found.of.json != first.found.of.json {
            return Err(misfit("the path matches elements of several lists"));
        }
    }
    Ok(first.clone())
}

/// The place of a list that has no items yet: the path up to its last name finds the parent.
fn empty_list(
    model: &'static Model,
    root: Value<'_>,
    operation: &Operation<'_>,
    steps: &Cell<u64>,
) -> Result<Place, Issue> {
    let nothing = || misfit("the path matches no list");
    let (parent, name) = operation.path.trim().rsplit_once('.').ok_or_else(nothing)?;
    let targets = select(model, root, parent, steps)?;
    let (way, structure) = inside(single(&targets)?)?;
    let found = structure
        .member(name)
        .filter(|f| f.element.repeats())
        .ok_or_else(nothing)?;
    Ok(Place {
        parent: way,
        found,
        index: Some(0),
        inside: None,
        beside: structure,
    })
}

/// The way to the object that an element is, and its structure; of a primitive, to what stands
/// beside its value.
fn inside(target: &Target) -> Result<(Vec<Step>, &'static Structure), Issue> {
    let place = match target {
        Target::Resource(structure) => return Ok((Vec::new(), structure)),
        Target::Element(place) => place,
    };
    let json = place.found.of.json;
    let mut way = place.parent.clone();
    let member = match place.inside {
        Some(_) => json.to_owned(),
        None => format!("_{json}"),
    };
    way.push(Step::Member(member));
    way.extend(place.index.map(Step::Item));
    Ok((way, place.inside.unwrap_or(place.beside)))
}

fn lost() -> Issue {
    misfit("the element is not where it was found")
}

fn add<'t>(
    model: &'static Model,
    tree: &mut Tree<'t>,
    target: &Target,
    operation: &Operation<'t>,
) -> Result<(), Issue> {
    let (way, structure) = inside(target)?;
    let name = operation.name.as_deref().unwrap_or("");
    let element = element(structure, name)?;
    let (json, value) = value::of_part(model, element, name, operation.value)?;
    let object = walk(tree, &way).ok_or_else(lost)?;
    let there =
        |json: &str| object.get(json).is_some() || object.get(&format!("_{json}")).is_some();
    if !element.repeats() && element.types.iter().any(|t| there(t.json)) {
        return Err(misfit(format!("\"{}\" is there already", shown(element))));
    }
    let mut all = take(object, element, json);
    all.push(value);
    put(object, element, json, all);
    Ok(())
}

/// The element of this name: `value` or `valueString` for a choice.
fn element(structure: &'static Structure, name: &str) -> Result<&'static Element, Issue> {
    let found = structure.element(name);
    let found = found.or_else(|| structure.member(name).map(|f| f.element));
    found.ok_or_else(|| {
        let name: String = name.chars().take(64).collect();
        misfit(format!("{} has no element \"{name}\"", structure.path))
    })
}

fn insert<'t>(
    model: &'static Model,
    tree: &mut Tree<'t>,
    list: &Place,
    operation: &Operation<'t>,
) -> Result<(), Issue> {
    let Found { element, of, .. } = list.found;
    let (_, value) = value::of_part(model, element, element.name, operation.value)?;
    let object = walk(tree, &list.parent).ok_or_else(lost)?;
    let mut all = take(object, element, of.json);
    let at = operation.index.unwrap_or(usize::MAX);
    if at > all.len() {
        return Err(misfit("\"index\" is beyond the end of the list"));
    }
    all.insert(at, value);
    put(object, element, of.json, all);
    Ok(())
}

fn delete(tree: &mut Tree<'_>, place: &Place) -> Result<(), Issue> {
    let Found { element, of, .. } = place.found;
    let object = walk(tree, &place.parent).ok_or_else(lost)?;
    let mut all = take(object, element, of.json);
    let at = place.index.unwrap_or(0);
    if at >= all.len() {
        return Err(lost());
    }
    all.remove(at);
    put(object, element, of.json, all);
    Ok(())
}

fn replace<'t>(
    model: &'static Model,
    tree: &mut Tree<'t>,
    place: &Place,
    operation: &Operation<'t>,
) -> Result<(), Issue> {
    let Found { element, of, .. } = place.found;
    let (json, value) = value::of_part(model, element, element.name, operation.value)?;
    let object = walk(tree, &place.parent).ok_or_else(lost)?;
    let mut all = take(object, element, of.json);
    let at = place.index.unwrap_or(0);
    *all.get_mut(at).ok_or_else(lost)? = value;
    put(object, element, json, all);
    Ok(())
}

fn relocate(tree: &mut Tree<'_>, list: &Place, operation: &Operation<'_>) -> Result<(), Issue> {
    let Found { element, of, .. } = list.found;
    let object = walk(tree, &list.parent).ok_or_else(lost)?;
    let mut all = take(object, element, of.json);
    let from = operation.source.unwrap_or(usize::MAX);
    let to = operation.destination.unwrap_or(usize::MAX);
    if from >= all.len() || to >= all.len() {
        return Err(misfit(
            "\"source\" and \"destination\" are places in the list",
        ));
    }
    let moved = all.remove(from);
    all.insert(to, moved);
    put(object, element, of.json, all);
    Ok(())
}
