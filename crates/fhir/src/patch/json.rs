//! JSON Patch (RFC 6902) with JSON Pointer (RFC 6901).

use std::borrow::Cow;

use super::tree::Tree;
use super::{Bounds, malformed, misfit, too_large, too_many};
use crate::json::{Kind, Value};
use crate::outcome::Issue;

/// Applies a patch to a document: all operations or none.
///
/// Arrays and objects that removals leave empty are taken away in the end: FHIR has none
/// (`json.html`).
///
/// # Errors
/// `patch-invalid` for what is no patch; `patch-failed` for an operation that the document does not
/// take, or a test that fails; `limit-exceeded`.
pub fn apply(document: Value<'_>, patch: Value<'_>, bounds: &Bounds) -> Result<String, Issue> {
    if patch.kind() != Kind::Array {
        return Err(malformed("a JSON Patch is an array of operations"));
    }
    if patch.items().count() > bounds.operations_max {
        return Err(too_many(bounds.operations_max));
    }
    let mut whole = Whole {
        tree: Tree::of(document),
        size: 0,
        max: bounds.bytes_max.max(document.raw().len()),
        depth_max: bounds.depth_max,
    };
    whole.size = whole.tree.size();
    for (number, operation) in patch.items().enumerate() {
        let at = |issue: Issue| {
            let diagnostics = format!("operation {number}: {}", issue.diagnostics);
            Issue {
                diagnostics,
                ..issue
            }
        };
        whole.operation(operation).map_err(at)?;
    }
    whole.tree.prune();
    let mut out = String::with_capacity(whole.size);
    whole.tree.write(&mut out);
    Ok(out)
}

struct Whole<'s> {
    tree: Tree<'s>,
    /// Bytes it has at most.
    size: usize,
    max: usize,
    depth_max: usize,
}

impl<'s> Whole<'s> {
    fn operation(&mut self, operation: Value<'s>) -> Result<(), Issue> {
        let text = |name: &str| {
            let found = operation.get(name).and_then(Value::as_str);
            found.ok_or_else(|| malformed(format!("\"{name}\" is missing or no string")))
        };
        let value = || {
            operation
                .get("value")
                .ok_or_else(|| malformed("\"value\" is missing"))
        };
        let op = text("op")?;
        let path = pointer(&text("path")?)?;
        match &*op {
            "add" => self.add(&path, Tree::of(value()?)),
            "remove" => self.remove(&path).map(drop),
            "replace" => {
                let value = Tree::of(value()?);
                self.grow(&value)?;
                self.fits(&path, &value)?;
                *self.find(&path)? = value;
                Ok(())
            }
            "move" => {
                let from = pointer(&text("from")?)?;
                if path.len() > from.len() && path.starts_with(&from) {
                    return Err(misfit("a value cannot be moved into itself"));
                }
                if from == path {
                    return self.find(&from).map(drop);
                }
                let moved = self.remove(&from)?;
                self.size = self.size.saturating_sub(moved.size());
                self.add(&path, moved)
            }
            "copy" => {
                let from = pointer(&text("from")?)?;
                let size = self.find(&from)?.size();
                if self.size.saturating_add(size) > self.max {
                    return Err(too_large(self.max));
                }
                let copied = self.find(&from)?.clone();
                self.add(&path, copied)
            }
            "test" => {
                let wanted = Tree::of(value()?);
                match self.find(&path)?.equals(&wanted) {
                    true => Ok(()),
                    false => Err(misfit("the value is not what the test says")),
                }
            }
            _ => Err(malformed(
                "\"op\" is none of add, remove, replace, move, copy, test",
            )),
        }
    }

    fn grow(&mut self, by: &Tree<'_>) -> Result<(), Issue> {
        self.size = self.size.saturating_add(by.size());
        match self.size > self.max {
            true => Err(too_large(self.max)),
            false => Ok(()),
        }
    }

    fn find(&mut self, path: &[String]) -> Result<&mut Tree<'s>, Issue> {
        let mut at = &mut self.tree;
        for step in path {
            let next = match at {
                Tree::Array(items, _) => index(step).and_then(|i| items.get_mut(i)),
                object @ Tree::Object(..) => object.get_mut(step),
                Tree::Scalar(..) => None,
            };
            at = next.ok_or_else(|| misfit("there is nothing at the path"))?;
        }
        Ok(at)
    }

    /// Whether a value at that place is not nested too deep.
    fn fits(&self, path: &[String], value: &Tree<'s>) -> Result<(), Issue> {
        if path.len() + value.depth() <= self.depth_max {
            return Ok(());
        }
        let text = format!("nested deeper than {} levels", self.depth_max);
        Err(Issue::error(base::Code::LimitExceeded, text).limit("json_depth_max"))
    }

    fn add(&mut self, path: &[String], value: Tree<'s>) -> Result<(), Issue> {
        self.grow(&value)?;
        self.fits(path, &value)?;
        let Some((last, parents)) = path.split_last() else {
            self.tree = value;
            return Ok(());
        };
        match self.find(parents)? {
            Tree::Array(items, emptied) => {
                let at = if last == "-" {
                    Some(items.len())
                } else {
                    index(last)
                };
                let at = at.filter(|at| *at <= items.len());
                items.insert(
                    at.ok_or_else(|| misfit("the array has no such place"))?,
                    value,
                );
                *emptied = false;
                Ok(())
            }
            object @ Tree::Object(..) => {
                object.put(last, value);
                Ok(())
            }
            Tree::Scalar(..) => Err(misfit("there is no array or object at the path")),
        }
    }

    fn remove(&mut self, path: &[String]) -> Result<Tree<'s>, Issue> {
        let nothing = || misfit("there is nothing at the path");
        let Some((last, parents)) = path.split_last() else {
            return Err(misfit("the whole document cannot be removed"));
        };
        match self.find(parents)? {
            Tree::Array(items, emptied) => {
                let at = index(last)
                    .filter(|at| *at < items.len())
                    .ok_or_else(nothing)?;
                let removed = items.remove(at);
                *emptied |= items.is_empty();
                Ok(removed)
            }
            object => object.take(last).ok_or_else(nothing),
        }
    }
}

/// The place that a step names in an array: digits without zeros before them.
fn index(step: &str) -> Option<usize> {
    let plain = step == "0" || !step.starts_with('0');
    let digits = !step.is_empty() && step.bytes().all(|b| b.is_ascii_digit());
    (plain && digits).then(|| step.parse().ok()).flatten()
}

/// The steps of a JSON Pointer.
fn pointer(text: &str) -> Result<Vec<String>, Issue> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let steps = text
        .strip_prefix('/')
        .ok_or_else(|| malformed("a path begins with \"/\""))?;
    let step = |step: &str| {
        let mut rest = step;
        while let Some((_, after)) = rest.split_once('~') {
            if !after.starts_with(['0', '1']) {
                return Err(malformed(
                    "in a path, \"~\" is written \"~0\" and \"/\" \"~1\"",
                ));
            }
            rest = after;
        }
        let step: Cow<'_, str> = match step.contains('~') {
            true => Cow::Owned(step.replace("~1", "/").replace("~0", "~")),
            false => Cow::Borrowed(step),
        };
        Ok(step.into_owned())
    };
    steps.split('/').map(step).collect()
}
