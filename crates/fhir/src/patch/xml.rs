//! XML Patch (RFC 5261): additions, replacements and removals at places that a small part of XPath
//! names.
//!
//! The prefix `f` means FHIR and `h` XHTML where the patch does not say otherwise, and so does no
//! prefix mean FHIR where it has no default namespace: resources have no other.

use super::{Bounds, malformed, misfit, too_large, too_many};
use crate::outcome::Issue;
use crate::xml::XmlError;

mod dom;
mod select;

use dom::{Data, Dom, ROOT};
use select::{Place, select};

/// Applies a patch to a document: all operations or none.
///
/// # Errors
/// `patch-invalid` for what is no patch; `patch-failed` for an operation that the document does not
/// take; `xml-syntax`, `limit-exceeded`.
pub fn apply(document: &str, patch: &str, bounds: &Bounds) -> Result<String, Issue> {
    let issue = |e: XmlError| Issue::from(&e);
    let mut target = Dom::parse(document, &bounds.xml).map_err(issue)?;
    let patch = Dom::parse(patch, &bounds.xml).map_err(issue)?;
    let root = patch
        .root()
        .ok_or_else(|| malformed("an XML Patch is an element"))?;
    let operations: Vec<usize> = patch
        .children(root)
        .iter()
        .copied()
        .filter(|n| patch.is_element(*n))
        .collect();
    if operations.is_empty() {
        return Err(malformed("the patch has no operation"));
    }
    if operations.len() > bounds.operations_max {
        return Err(too_many(bounds.operations_max));
    }
    let max = bounds.bytes_max.max(document.len());
    let mut size = document.len();
    for (number, at) in operations.into_iter().enumerate() {
        let numbered = |issue: Issue| {
            let diagnostics = format!("operation {number}: {}", issue.diagnostics);
            Issue {
                diagnostics,
                ..issue
            }
        };
        operation(&mut target, &patch, at).map_err(numbered)?;
        size = size.saturating_add(patch.size(at));
        if size > max {
            return Err(numbered(too_large(max)));
        }
    }
    Ok(target.write())
}

fn operation(target: &mut Dom, patch: &Dom, at: usize) -> Result<(), Issue> {
    let name = patch.local(at);
    if !matches!(name, "add" | "replace" | "remove") {
        return Err(malformed("an operation is one of add, replace, remove"));
    }
    let selector = patch
        .attribute(at, "sel")
        .ok_or_else(|| malformed("\"sel\" is missing"))?;
    let place = select(target, selector, &|prefix| patch.space_of(at, prefix))?;
    match name {
        "add" => add(target, patch, at, &place),
        "replace" => replace(target, patch, at, &place),
        _ => remove(target, patch.attribute(at, "ws"), &place),
    }
}

fn add(target: &mut Dom, patch: &Dom, at: usize, place: &Place) -> Result<(), Issue> {
    let Place::Node(node) = *place else {
        return Err(misfit(
            "only elements and what is beside nodes can be added to",
        ));
    };
    if let Some(kind) = patch.attribute(at, "type") {
        let value = patch.text(at);
        if !target.is_element(node) {
            return Err(misfit("attributes are added to elements"));
        }
        if let Some(prefix) = kind.strip_prefix("namespace::") {
            if !crate::xml::is_name(prefix) {
                return Err(malformed("\"type\" names no prefix"));
            }
            return target.declare(node, prefix, &value).map_err(misfit);
        }
        let name = kind
            .strip_prefix('@')
            .or_else(|| kind.strip_prefix("attribute::"));
        let name = name.ok_or_else(|| malformed("\"type\" is @name or namespace::prefix"))?;
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        if !crate::xml::is_name(local) {
            return Err(malformed("\"type\" names no attribute"));
        }
        let space = match prefix {
            "" => String::new(),
            _ => patch
                .space_of(at, prefix)
                .ok_or_else(|| malformed("a prefix is not declared"))?,
        };
        return match target.add_attribute(node, prefix, local, &space, value) {
            true => Ok(()),
            false => Err(misfit("the attribute is there already")),
        };
    }
    let children = patch.children(at).to_vec();
    let (parent, index) = match patch.attribute(at, "pos") {
        None if target.is_element(node) => (node, target.children(node).len()),
        Some("prepend") if target.is_element(node) => (node, 0),
        Some(pos @ ("before" | "after")) => {
            let (parent, index) = target.place_of(node);
            if parent == ROOT && children.iter().any(|c| patch.is_element(*c)) {
                return Err(misfit("a document has one root element"));
            }
            (parent, index + usize::from(pos == "after"))
        }
        _ => {
            return Err(misfit(
                "\"pos\" is one of prepend, before, after; the first for elements",
            ));
        }
    };
    target
        .insert(parent, index, patch, &children)
        .map_err(too_deep)
}

fn too_deep(text: &str) -> Issue {
    Issue::error(base::Code::LimitExceeded, text.to_owned()).limit("xml_depth_max")
}

fn replace(target: &mut Dom, patch: &Dom, at: usize, place: &Place) -> Result<(), Issue> {
    match place {
        Place::Attribute(node, index) => {
            target.set_attribute(*node, *index, patch.text(at));
            Ok(())
        }
        Place::Namespace(node, prefix) => {
            target.undeclare(*node, prefix);
            target
                .declare(*node, prefix, &patch.text(at))
                .map_err(misfit)
        }
        Place::Node(node) => {
            let all = patch.children(at);
            let same = |n: &usize| patch.data(*n).is_alike(target.data(*node));
            let new: Vec<usize> = match target.data(*node) {
                // A text may be replaced by nothing.
                Data::Text(_) => all.iter().copied().filter(same).collect(),
                _ => all
                    .iter()
                    .copied()
                    .filter(|n| !patch.is_blank(*n))
                    .collect(),
            };
            let fits = match target.data(*node) {
                Data::Text(_) => new.len() <= 1 && new.len() == all.len(),
                _ => new.len() == 1 && new.iter().all(same),
            };
            if !fits {
                return Err(misfit("a node is replaced by one node of its kind"));
            }
            let (parent, index) = target.place_of(*node);
            target.remove(*node);
            target.insert(parent, index, patch, &new).map_err(too_deep)
        }
    }
}

fn remove(target: &mut Dom, ws: Option<&str>, place: &Place) -> Result<(), Issue> {
    match place {
        Place::Attribute(node, index) => target.remove_attribute(*node, *index),
        Place::Namespace(node, prefix) => target.undeclare(*node, prefix),
        Place::Node(node) => {
            let (parent, index) = target.place_of(*node);
            if parent == ROOT && target.is_element(*node) {
                return Err(misfit("the root element cannot be removed"));
            }
            let mut blank = |at: Option<usize>| {
                let sibling = at.and_then(|i| target.children(parent).get(i).copied());
                match sibling.filter(|n| target.is_blank(*n)) {
                    Some(n) => {
                        target.remove(n);
                        Ok(())
                    }
                    None => Err(misfit("\"ws\" names white space that is not there")),
                }
            };
            if matches!(ws, Some("after" | "both")) {
                blank(index.checked_add(1))?;
            }
            if matches!(ws, Some("before" | "both")) {
                blank(index.checked_sub(1))?;
            }
            target.remove(*node);
        }
    }
    Ok(())
}
