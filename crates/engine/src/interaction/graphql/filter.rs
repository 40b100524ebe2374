//! The arguments of fields and directives that look at values: equality, `fhirpath`, `_count`,
//! `_offset`, and the names that `@slice` makes.

use std::rc::Rc;

use async_graphql_parser::Pos;
use async_graphql_value::ConstValue;
use fhir::definitions::Content;
use fhir::json::Value;
use fhir::path::{Item, Node, Plan};

use super::collect::Group;
use super::select::{Pass, Resource};
use super::{Checked, wrong};

/// What `@slice` names things by.
pub(super) enum Slice {
    Index,
    Path(Rc<Plan>),
}

/// An expression, compiled for what it stands in.
#[derive(Debug)]
pub(super) struct Compiled {
    resource: Content,
    focus: Content,
    text: String,
    plan: Rc<Plan>,
}

/// Expressions that one document may have.
const PLANS_MAX: usize = 200;

impl<'p> Pass<'p> {
    /// Those of the values that the arguments of a field let through.
    pub(super) fn filtered<'r>(
        &self,
        resource: Resource<'_>,
        content: Content,
        mut values: Vec<Value<'r>>,
        group: &Group<'p>,
    ) -> Checked<Vec<Value<'r>>> {
        let (mut offset, mut count) = (0, usize::MAX);
        for (name, written) in &group.field.arguments {
            let value = self.document.value(&written.node, written.pos)?;
            match name.node.as_str() {
                "_offset" => offset = whole(&value, written.pos)?,
                "_count" => count = whole(&value, written.pos)?,
                "fhirpath" => {
                    let ConstValue::String(text) = &value else {
                        return wrong("fhirpath is a string", written.pos);
                    };
                    let plan = self.plan(resource, content, text, written.pos)?;
                    let mut kept = Vec::with_capacity(values.len());
                    for value in values {
                        if self.holds(&plan, resource, content, value, written.pos)? {
                            kept.push(value);
                        }
                    }
                    values = kept;
                }
                member => {
                    let known = match content {
                        Content::Structure(id) => self.model.structure(id).member(member),
                        _ => None,
                    };
                    if known.is_none() {
                        return wrong(format!("there is no argument {member} here"), name.pos);
                    }
                    let wanted = scalar(&value, written.pos)?;
                    values.retain(|v| v.get(member).is_some_and(|m| text_of(m) == wanted));
                }
            }
        }
        Ok(values.into_iter().skip(offset).take(count).collect())
    }

    pub(super) fn slice(
        &self,
        resource: Resource<'_>,
        content: Content,
        group: &Group<'p>,
    ) -> Checked<Option<Slice>> {
        let Some(directive) = group.directive("slice") else {
            return Ok(None);
        };
        if group.has("first") {
            return wrong("@slice and @first do not go together", directive.pos);
        }
        let path = match directive.node.get_argument("path") {
            Some(path) => self.document.value(&path.node, path.pos)?,
            None => return wrong("@slice needs \"path\"", directive.pos),
        };
        match path {
            ConstValue::String(text) if text == "$index" => Ok(Some(Slice::Index)),
            ConstValue::String(text) => {
                let plan = self.plan(resource, content, &text, directive.pos)?;
                Ok(Some(Slice::Path(plan)))
            }
            _ => wrong("\"path\" is a string", directive.pos),
        }
    }

    fn plan(
        &self,
        resource: Resource<'_>,
        content: Content,
        text: &str,
        at: Pos,
    ) -> Checked<Rc<Plan>> {
        let mut plans = self.plans.borrow_mut();
        let same = |known: &&Compiled| {
            known.resource == resource.content && known.focus == content && known.text == text
        };
        if let Some(known) = plans.iter().find(same) {
            return Ok(known.plan.clone());
        }
        if plans.len() >= PLANS_MAX {
            return wrong("fhirpath: the document has too many expressions", at);
        }
        let (of, focus) = (resource.content.into(), content.into());
        match Plan::compile_in(&self.types, of, focus, text) {
            Ok(plan) => {
                let plan = Rc::new(plan);
                plans.push(Compiled {
                    resource: resource.content,
                    focus: content,
                    text: text.to_owned(),
                    plan: plan.clone(),
                });
                Ok(plan)
            }
            Err(error) => wrong(format!("fhirpath: {error}"), at),
        }
    }

    fn items<'i>(
        &'i self,
        plan: &'i Plan,
        resource: Resource<'i>,
        content: Content,
        value: Value<'i>,
        at: Pos,
    ) -> Checked<Vec<Item<'i>>> {
        let mut items = Vec::new();
        let root = Node::new(resource.root, resource.content.into());
        let focus = Node::new(value, content.into());
        let done = plan.evaluate(&self.types, root, focus, &self.path_steps, &mut items);
        match done {
            Ok(()) => Ok(items),
            Err(error) => wrong(format!("fhirpath: {error}"), at),
        }
    }

    /// Whether an expression holds: its boolean, or that it finds anything.
    fn holds(
        &self,
        plan: &Plan,
        resource: Resource<'_>,
        content: Content,
        value: Value<'_>,
        at: Pos,
    ) -> Checked<bool> {
        let items = self.items(plan, resource, content, value, at)?;
        Ok(match items.as_slice() {
            [Item::Bool(value)] => *value,
            [Item::Node(node)] => node.value.and_then(Value::as_bool).unwrap_or(true),
            other => !other.is_empty(),
        })
    }

    /// Whether an expression holds for a stored resource.
    pub(super) fn resource_holds(&self, body: &'p [u8], text: &str, at: Pos) -> Checked<bool> {
        self.with_resource(body, |resource| {
            let plan = self.plan(resource, resource.content, text, at)?;
            self.holds(&plan, resource, resource.content, resource.root, at)
        })
    }

    pub(super) fn text_at(
        &self,
        plan: &Plan,
        resource: Resource<'_>,
        content: Content,
        value: Value<'_>,
        at: Pos,
    ) -> Checked<String> {
        let items = self.items(plan, resource, content, value, at)?;
        Ok(match items.as_slice() {
            [Item::Node(node)] => node.value.map(text_of).unwrap_or_default(),
            [Item::String(text)] => text.clone().into_owned(),
            [Item::Bool(value)] => value.to_string(),
            _ => String::new(),
        })
    }
}

pub(super) fn whole(value: &ConstValue, at: Pos) -> Checked<usize> {
    let number = match value {
        ConstValue::Number(number) => number.as_u64(),
        _ => None,
    };
    match number.and_then(|n| usize::try_from(n).ok()) {
        Some(number) => Ok(number),
        None => wrong("a whole number is expected", at),
    }
}

/// The text of a value that is no list and no object.
pub(super) fn scalar(value: &ConstValue, at: Pos) -> Checked<String> {
    Ok(match value {
        ConstValue::String(text) => text.clone(),
        ConstValue::Enum(name) => name.to_string(),
        ConstValue::Number(number) => number.to_string(),
        ConstValue::Boolean(value) => value.to_string(),
        _ => return wrong("a simple value is expected", at),
    })
}

fn text_of(value: Value<'_>) -> String {
    match value.as_str() {
        Some(text) => text.into_owned(),
        None => value.raw().to_owned(),
    }
}
