//! Running a plan over a document.

use std::borrow::Cow;
use std::cell::Cell;

use smallvec::SmallVec;

use super::EvalError;
use super::compile::{Child, Op, Plan, Step};
use super::item::{Item, Node};
use super::types::{Type, Types};
use crate::json::{self, Kind};
use crate::search::value::reference::Target;

mod equal;

/// A collection.
pub(super) type Items<'a> = SmallVec<[Item<'a>; 2]>;

type Sink<'s, 'a> = &'s mut dyn FnMut(Node<'a>) -> Result<(), EvalError>;

/// What stays the same during one evaluation.
pub(super) struct Run<'a> {
    types: &'a Types,
    /// `%resource`, and the type name at the head of a path.
    resource: Node<'a>,
    steps: &'a Cell<u64>,
}

impl Plan {
    /// Evaluates over `focus`, an element of `resource` (or `resource` itself), and appends the
    /// items to `out`. Takes at most the steps left in `steps` and counts it down.
    pub fn evaluate<'a>(
        &'a self,
        types: &'a Types,
        resource: Node<'a>,
        focus: Node<'a>,
        steps: &'a Cell<u64>,
        out: &mut Vec<Item<'a>>,
    ) -> Result<(), EvalError> {
        let run = Run {
            types,
            resource,
            steps,
        };
        let mut items = Items::new();
        run.eval(&self.op, &Item::Node(focus), &mut items)?;
        out.extend(items);
        Ok(())
    }

    /// Hands every item to `sink`, without the union's removal of duplicates at the outermost
    /// level: for callers that collect into a set anyway. Takes no memory for plain paths.
    pub fn visit<'a>(
        &'a self,
        types: &'a Types,
        resource: Node<'a>,
        focus: Node<'a>,
        steps: &'a Cell<u64>,
        sink: &mut dyn FnMut(Item<'a>),
    ) -> Result<(), EvalError> {
        let run = Run {
            types,
            resource,
            steps,
        };
        let single = std::slice::from_ref(&self.op);
        let branches = if let Op::Union(branches) = &self.op {
            branches
        } else {
            single
        };
        for op in branches {
            match op {
                Op::Path(of, path) if matches!(**of, Op::Resource | Op::Focus) => {
                    let start = if matches!(**of, Op::Focus) {
                        focus
                    } else {
                        resource
                    };
                    run.walk(start, path, &mut |node| {
                        sink(Item::Node(node));
                        Ok(())
                    })?;
                }
                op => {
                    let mut items = Items::new();
                    run.eval(op, &Item::Node(focus), &mut items)?;
                    items.into_iter().for_each(&mut *sink);
                }
            }
        }
        Ok(())
    }
}

impl<'a> Run<'a> {
    fn step(&self) -> Result<(), EvalError> {
        let left = self.steps.get().checked_sub(1).ok_or(EvalError::Steps)?;
        self.steps.set(left);
        Ok(())
    }

    fn eval(&self, op: &'a Op, focus: &Item<'a>, out: &mut Items<'a>) -> Result<(), EvalError> {
        self.step()?;
        match op {
            Op::Focus => out.push(focus.clone()),
            Op::Resource => out.push(Item::Node(self.resource)),
            Op::Nothing => {}
            Op::Literal(item) => out.push(item.clone()),
            Op::Path(of, path) => {
                for item in self.items(of, focus)? {
                    if let Item::Node(node) = item {
                        self.walk(node, path, &mut |node| {
                            out.push(Item::Node(node));
                            Ok(())
                        })?;
                    }
                }
            }
            Op::Union(branches) => {
                for branch in branches {
                    for item in self.items(branch, focus)? {
                        self.push_new(item, out)?;
                    }
                }
            }
            Op::Where(of, criteria) => {
                for item in self.items(of, focus)? {
                    if self.truth(criteria, &item)? == Some(true) {
                        out.push(item);
                    }
                }
            }
            Op::Select(of, projection) => {
                for item in self.items(of, focus)? {
                    self.eval(projection, &item, out)?;
                }
            }
            Op::OfType(of, ty) => {
                let items = self.items(of, focus)?;
                out.extend(items.into_iter().filter(|item| self.is(item, *ty)));
            }
            Op::Slice(of, skip, take) => {
                let items = self.items(of, focus)?;
                out.extend(items.into_iter().skip(*skip).take(*take));
            }
            Op::Last(of) => out.extend(self.items(of, focus)?.pop()),
            Op::Count(of) => {
                let count = self.items(of, focus)?.len();
                out.push(Item::Number(Cow::Owned(count.to_string())));
            }
            _ => out.extend(self.boolean(op, focus)?.map(Item::Bool)),
        }
        Ok(())
    }

    /// Operations whose answer is a boolean, or empty.
    fn boolean(&self, op: &'a Op, focus: &Item<'a>) -> Result<Option<bool>, EvalError> {
        Ok(match op {
            Op::Exists(of) => Some(!self.items(of, focus)?.is_empty()),
            Op::Not(of) => self.truth(of, focus)?.map(|b| !b),
            Op::All(of, criteria) => {
                for item in self.items(of, focus)? {
                    if self.truth(criteria, &item)? != Some(true) {
                        return Ok(Some(false));
                    }
                }
                Some(true)
            }
            Op::And(left, right) => match (self.truth(left, focus)?, self.truth(right, focus)?) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Op::Or(left, right) => match (self.truth(left, focus)?, self.truth(right, focus)?) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            Op::Xor(left, right) => self
                .truth(left, focus)?
                .zip(self.truth(right, focus)?)
                .map(|(l, r)| l != r),
            Op::Implies(left, right) => {
                match (self.truth(left, focus)?, self.truth(right, focus)?) {
                    (Some(false), _) | (_, Some(true)) => Some(true),
                    (Some(true), right) => right,
                    (None, _) => None,
                }
            }
            Op::Equal(left, right) => {
                let (left, right) = (self.items(left, focus)?, self.items(right, focus)?);
                equal::collections(&left, &right, self.steps)?
            }
            Op::Is(of, ty) => self.single(of, focus)?.map(|item| self.is(&item, *ty)),
            Op::ResolvesTo(of, ty) => {
                let item = self.single(of, focus)?;
                item.map(|item| self.target(&item).is_some_and(|t| self.types.is_a(t, *ty)))
            }
            _ => None,
        })
    }

    fn items(&self, op: &'a Op, focus: &Item<'a>) -> Result<Items<'a>, EvalError> {
        let mut items = Items::new();
        self.eval(op, focus, &mut items)?;
        Ok(items)
    }

    fn single(&self, op: &'a Op, focus: &Item<'a>) -> Result<Option<Item<'a>>, EvalError> {
        let mut items = self.items(op, focus)?;
        if items.len() > 1 {
            Err(EvalError::NotSingle)
        } else {
            Ok(items.pop())
        }
    }

    /// A collection as a condition: empty stays empty, a single item that is no boolean is true.
    fn truth(&self, op: &'a Op, focus: &Item<'a>) -> Result<Option<bool>, EvalError> {
        let item = self.single(op, focus)?;
        Ok(item.map(|item| match item {
            Item::Bool(b) => b,
            Item::Node(node) => node.value.and_then(json::Value::as_bool).unwrap_or(true),
            _ => true,
        }))
    }

    fn push_new(&self, item: Item<'a>, out: &mut Items<'a>) -> Result<(), EvalError> {
        for known in out.iter() {
            if equal::items(known, &item, self.steps)? == Some(true) {
                return Ok(());
            }
        }
        out.push(item);
        Ok(())
    }

    fn is(&self, item: &Item<'a>, ty: Type) -> bool {
        match item {
            Item::Node(node) => self.types.is_a(node.ty, ty),
            Item::Bool(_) => ty == Type::BOOLEAN,
            Item::String(_) => ty == Type::STRING,
            Item::Number(n) => {
                ty == if n.contains('.') {
                    Type::DECIMAL
                } else {
                    Type::INTEGER
                }
            }
            Item::Date(d) => {
                ty == if d.contains('T') {
                    Type::DATE_TIME
                } else {
                    Type::DATE
                }
            }
            Item::Time(_) => ty == Type::TIME,
        }
    }

    /// The type that a reference points to, if its text or its `type` says so.
    fn target(&self, item: &Item<'a>) -> Option<Type> {
        let node = item.node()?;
        let model = self.types.model();
        if node.value?.kind() != Kind::Object {
            return self
                .types
                .resource(Target::read(&node.as_str()?, model, &[]).type_id(model)?);
        }
        if let Some(text) = node.get("reference").and_then(json::Value::as_str) {
            let reference = Target::read(&text, model, &[]);
            if let Target::Contained(id) = reference {
                let contained = self.resource.get("contained")?;
                let found = contained.items().find(|r| {
                    r.get("id")
                        .and_then(json::Value::as_str)
                        .is_some_and(|i| i == id)
                })?;
                return self.types.of_resource(found);
            }
            if let Some(found) = reference.type_id(model) {
                return self.types.resource(found);
            }
        }
        let named = node.get("type").and_then(json::Value::as_str)?;
        self.types.by_name(named.rsplit('/').next()?)
    }

    /// Follows a path from a node and hands each end to the sink.
    fn walk(&self, node: Node<'a>, path: &'a [Step], sink: Sink<'_, 'a>) -> Result<(), EvalError> {
        self.step()?;
        let Some((step, rest)) = path.split_first() else {
            return sink(node);
        };
        match step {
            Step::Child(children) => {
                let Some(child) = children.iter().find(|c| c.on == node.ty) else {
                    return Ok(());
                };
                self.children(node, child, &mut |found| self.walk(found, rest, sink))
            }
            Step::Extension(url) => self.extensions(node, url, &mut |x| self.walk(x, rest, sink)),
            Step::OfType(ty) if self.types.is_a(node.ty, *ty) => self.walk(node, rest, sink),
            Step::OfType(_) => Ok(()),
            Step::Where(criteria) => {
                let holds = self.truth(criteria, &Item::Node(node))? == Some(true);
                if holds {
                    self.walk(node, rest, sink)
                } else {
                    Ok(())
                }
            }
        }
    }

    fn children(
        &self,
        node: Node<'a>,
        child: &'a Child,
        sink: Sink<'_, 'a>,
    ) -> Result<(), EvalError> {
        let Some(object) = node.value else {
            return Ok(());
        };
        for field in &child.fields {
            let (mut value, mut extra) = (None, None);
            for member in object.members() {
                if member.is(field.key) {
                    value = Some(member.value);
                } else if field.primitive && member.is(&field.extra_key) {
                    extra = Some(member.value);
                }
                if value.is_some() && (extra.is_some() || !field.primitive) {
                    break;
                }
            }
            if value.is_some() || extra.is_some() {
                self.each(value, extra, field.ty, sink)?;
            }
        }
        Ok(())
    }

    /// The items of a member, which may be one value or an array, beside its `_name` sibling.
    fn each(
        &self,
        value: Option<json::Value<'a>>,
        extra: Option<json::Value<'a>>,
        ty: Type,
        sink: Sink<'_, 'a>,
    ) -> Result<(), EvalError> {
        let is_array = |v: Option<json::Value<'a>>| v.is_some_and(|v| v.kind() == Kind::Array);
        if !is_array(value) && !is_array(extra) {
            return self.one(value, extra, ty, sink);
        }
        let mut values = value.into_iter().flat_map(json::Value::items);
        let mut extras = extra.into_iter().flat_map(json::Value::items);
        loop {
            let (value, extra) = (values.next(), extras.next());
            if value.is_none() && extra.is_none() {
                return Ok(());
            }
            self.one(value, extra, ty, sink)?;
        }
    }

    fn one(
        &self,
        value: Option<json::Value<'a>>,
        extra: Option<json::Value<'a>>,
        ty: Type,
        sink: Sink<'_, 'a>,
    ) -> Result<(), EvalError> {
        let present = |v: &json::Value<'a>| v.kind() != Kind::Null;
        let (value, extra) = (value.filter(present), extra.filter(present));
        let ty = match value {
            Some(v) if self.types.is_any_resource(ty) => self.types.of_resource(v).unwrap_or(ty),
            Some(_) => ty,
            None if extra.is_some() => ty,
            None => return Ok(()),
        };
        sink(Node { value, extra, ty })
    }

    fn extensions(&self, node: Node<'a>, url: &str, sink: Sink<'_, 'a>) -> Result<(), EvalError> {
        let holder = if node.ty.is_primitive() {
            node.extra
        } else {
            node.value
        };
        let Some(list) = holder.and_then(|h| h.get("extension")) else {
            return Ok(());
        };
        for extension in list.items() {
            if extension
                .get("url")
                .and_then(json::Value::as_str)
                .is_some_and(|u| u == url)
            {
                sink(Node::new(extension, self.types.extension()))?;
            }
        }
        Ok(())
    }
}
