//! Places in a resource: from the elements that an expression finds in a document to the members
//! of the tree that is changed.

use std::borrow::Cow;

use super::super::tree::Tree;
use crate::definitions::{Content, Element, Found, Model, Structure};
use crate::json::Value;

/// A step from an object or array to what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Member(String),
    Item(usize),
}

/// Where an element stands.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The way from the resource to the object that the element is a member of.
    pub(super) parent: Vec<Step>,
    /// The element.
    pub(super) found: Found<'static>,
    /// Which of its occurrences; none if it does not repeat.
    pub(super) index: Option<usize>,
    /// What is in the element; none for a primitive.
    pub(super) inside: Option<&'static Structure>,
    /// What may stand beside a primitive's value.
    pub(super) beside: &'static Structure,
}

/// What an expression found.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Resource(&'static Structure),
    Element(Place),
}

/// The structure of a resource.
pub(super) fn structure_of(model: &'static Model, value: Value<'_>) -> Option<&'static Structure> {
    let name = value.get("resourceType")?.as_str()?;
    let id = model.structure_of(model.type_id(&name)?)?;
    Some(model.structure(id))
}

/// The place of a value of a document; `beside` if it is what stands beside a primitive.
pub(super) fn place(model: &'static Model, root: Value<'_>, wanted: Value<'_>) -> Option<Target> {
    let mut structure = structure_of(model, root)?;
    if root.index() == wanted.index() {
        return Some(Target::Resource(structure));
    }
    let mut steps: Vec<Step> = Vec::new();
    let mut at = root;
    loop {
        let holds = |v: Value<'_>| {
            let (start, end) = v.span();
            let (from, to) = wanted.span();
            start <= from && to <= end
        };
        let member = at.members().find(|m| holds(m.value))?;
        let name = member.name();
        let beside = name.strip_prefix('_');
        let found = structure.member(beside.unwrap_or(&name))?;
        let mut value = member.value;
        let mut index = None;
        if found.element.repeats() {
            let (i, item) = member.value.items().enumerate().find(|(_, i)| holds(*i))?;
            (index, value) = (Some(i), item);
        }
        let element = model.structure(model.structure_named("Element")?);
        let inside = match found.of.content {
            Content::Primitive(_) if beside.is_some() => Some(element),
            Content::Primitive(_) => None,
            Content::Structure(id) => Some(model.structure(id)),
            Content::Resource => structure_of(model, value),
        };
        if value.index() == wanted.index() {
            let inside = inside.filter(|_| beside.is_none());
            return Some(Target::Element(Place {
                parent: steps,
                found,
                index,
                inside,
                beside: element,
            }));
        }
        steps.push(Step::Member(name.into_owned()));
        steps.extend(index.map(Step::Item));
        structure = inside?;
        at = value;
    }
}

/// The occurrences of an element: each its value and what stands beside it.
pub(super) type Occurrences<'s> = Vec<(Option<Tree<'s>>, Option<Tree<'s>>)>;

/// Takes the occurrences of an element out of its object.
pub(super) fn take<'s>(object: &mut Tree<'s>, element: &Element, json: &str) -> Occurrences<'s> {
    let value = object.take(json);
    let beside = object.take(&format!("_{json}"));
    if !element.repeats() {
        return match (&value, &beside) {
            (None, None) => Vec::new(),
            _ => vec![(value, beside)],
        };
    }
    let items = |tree: Option<Tree<'s>>| match tree {
        Some(Tree::Array(items, _)) => items,
        _ => Vec::new(),
    };
    let (mut values, mut besides) = (items(value).into_iter(), items(beside).into_iter());
    let mut all = Occurrences::new();
    loop {
        let pair = (values.next(), besides.next());
        match pair {
            (None, None) => return all,
            (value, beside) => all.push((
                value.filter(|v| !v.is_null()),
                beside.filter(|b| !b.is_null()),
            )),
        }
    }
}

/// Puts the occurrences of an element into its object, where they were or at the end.
pub(super) fn put<'s>(
    object: &mut Tree<'s>,
    element: &Element,
    json: &str,
    mut all: Occurrences<'s>,
) {
    let (values, besides): (Vec<_>, Vec<_>) = if element.repeats() {
        all.into_iter().unzip()
    } else {
        all.pop().into_iter().unzip()
    };
    for (name, of) in [(json.to_owned(), values), (format!("_{json}"), besides)] {
        if of.iter().all(Option::is_none) {
            continue;
        }
        let mut of = of.into_iter().map(|v| v.unwrap_or(Tree::null()));
        let value = match element.repeats() {
            true => Tree::Array(of.collect(), false),
            false => of.next().unwrap_or(Tree::null()),
        };
        object.put(&name, value);
    }
}

/// The object at the end of the way; objects beside primitives are made where there are none.
pub(super) fn walk<'t, 's>(tree: &'t mut Tree<'s>, steps: &[Step]) -> Option<&'t mut Tree<'s>> {
    let mut at = tree;
    for step in steps {
        at = match (step, at) {
            (Step::Member(name), object @ Tree::Object(..)) => {
                if name.starts_with('_') && object.get(name).is_none() {
                    object.put(name, Tree::object());
                }
                object.get_mut(name)?
            }
            (Step::Item(i), Tree::Array(items, _)) => {
                while items.len() <= *i {
                    items.push(Tree::null());
                }
                let item = items.get_mut(*i)?;
                if item.is_null() {
                    *item = Tree::object();
                }
                item
            }
            _ => return None,
        };
    }
    Some(at)
}

/// A name for messages.
pub(super) fn shown(of: &Element) -> Cow<'static, str> {
    match of.choice {
        true => Cow::Owned(format!("{}[x]", of.name)),
        false => Cow::Borrowed(of.name),
    }
}
