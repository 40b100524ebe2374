//! Running a plan over a document.

use std::cell::{Cell, RefCell};
use std::slice::from_ref;

use smallvec::SmallVec;

use super::host::{Environment, NoHost};
use super::item::{Item, Node};
use super::plan::{Op, Plan};
use super::types::Types;
use super::{EvalError, TEXT_BYTES_MAX, on_stack};
use crate::json;

mod arithmetic;
mod boolean;
mod boundary;
mod call;
mod convert;
mod element;
mod equal;
mod lambda;
mod make;
mod math;
mod order;
mod pattern;
mod set;
mod text;
mod walk;

pub(super) use pattern::{Pattern, pattern};

/// A collection.
pub(super) type Items<'a> = SmallVec<[Item<'a>; 4]>;

type Evaluated<'a> = Result<Items<'a>, EvalError>;

/// Plans that nest less have room on any stack.
const DEEP: usize = 16;

/// What stays the same during one evaluation.
pub(super) struct Run<'f, 'a> {
    env: Environment<'a>,
    /// `%context`: what the whole expression started at.
    context: &'f [Item<'a>],
    /// The values of `defineVariable()`, each with its name.
    slots: RefCell<Vec<(String, Items<'a>)>>,
    rules: super::Rules,
}

/// What a part of an expression sees around it.
#[derive(Clone, Copy)]
pub(super) struct Frame<'f, 'a> {
    /// `$this`
    this: &'f [Item<'a>],
    /// `$index`
    index: Option<usize>,
    /// `$total`
    total: &'f [Item<'a>],
}

impl<'f, 'a> Frame<'f, 'a> {
    const fn of(self, this: &'f [Item<'a>], index: usize) -> Self {
        Self {
            this,
            index: Some(index),
            ..self
        }
    }
}

impl Plan {
    /// Evaluates over `focus`, an element of `resource` (or `resource` itself), and appends the
    /// items to `out`. Takes at most the steps left in `steps` and counts it down. No reference is
    /// resolved, and there is no clock.
    pub fn evaluate<'a>(
        &'a self,
        types: &'a Types,
        resource: Node<'a>,
        focus: Node<'a>,
        steps: &'a Cell<u64>,
        out: &mut Vec<Item<'a>>,
    ) -> Result<(), EvalError> {
        let env = Environment::of(types, resource, steps, &NoHost);
        out.extend(self.run(env, from_ref(&Item::Node(focus)))?);
        Ok(())
    }

    /// Evaluates over `focus` in an environment. Takes at most the steps left in it.
    pub fn run<'a>(
        &'a self,
        env: Environment<'a>,
        focus: &[Item<'a>],
    ) -> Result<SmallVec<[Item<'a>; 4]>, EvalError> {
        let run = Run::new(self, env, focus);
        let frame = Frame {
            this: focus,
            index: None,
            total: &[],
        };
        if self.deep > DEEP {
            return on_stack(self.deep, || run.items(&self.op, &frame));
        }
        run.items(&self.op, &frame)
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
        if self.deep > DEEP {
            let work = || self.visit_here(types, resource, focus, steps, sink);
            return on_stack(self.deep, work);
        }
        self.visit_here(types, resource, focus, steps, sink)
    }

    fn visit_here<'a>(
        &'a self,
        types: &'a Types,
        resource: Node<'a>,
        focus: Node<'a>,
        steps: &'a Cell<u64>,
        sink: &mut dyn FnMut(Item<'a>),
    ) -> Result<(), EvalError> {
        let env = Environment::of(types, resource, steps, &NoHost);
        let this = Item::Node(focus);
        let run = Run::new(self, env, from_ref(&this));
        let frame = Frame {
            this: from_ref(&this),
            index: None,
            total: &[],
        };
        let branches = if let Op::Union(branches) = &self.op {
            branches
        } else {
            from_ref(&self.op)
        };
        for op in branches {
            match op {
                Op::Path(of, path) if matches!(**of, Op::Resource | Op::Focus) => {
                    let start = if matches!(**of, Op::Focus) {
                        focus
                    } else {
                        resource
                    };
                    run.walk(start, path, &frame, &mut |node| {
                        sink(Item::Node(node));
                        Ok(())
                    })?;
                }
                op => run.items(op, &frame)?.into_iter().for_each(&mut *sink),
            }
        }
        Ok(())
    }
}

impl<'f, 'a> Run<'f, 'a> {
    fn new(plan: &Plan, env: Environment<'a>, focus: &'f [Item<'a>]) -> Self {
        let mut slots = Vec::new();
        slots.resize_with(plan.slots, Default::default);
        Self {
            env,
            context: focus,
            slots: RefCell::new(slots),
            rules: plan.rules,
        }
    }

    const fn types(&self) -> &'a Types {
        self.env.types
    }

    fn step(&self) -> Result<(), EvalError> {
        self.steps(1)
    }

    /// Counts work that grows with content.
    fn steps(&self, count: usize) -> Result<(), EvalError> {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let left = self.env.steps.get().checked_sub(count);
        // What was too much once leaves nothing for others that count down the same.
        self.env.steps.set(left.unwrap_or(0));
        left.map(drop).ok_or(EvalError::Steps)
    }

    /// A text that was put together, unless it is too long.
    fn text(&self, text: String) -> Result<Item<'a>, EvalError> {
        self.steps(text.len() / 256)?;
        if text.len() > TEXT_BYTES_MAX {
            return Err(EvalError::TextTooLong);
        }
        Ok(Item::text(text))
    }

    fn items(&self, op: &'a Op, frame: &Frame<'_, 'a>) -> Evaluated<'a> {
        let mut items = Items::new();
        self.eval(op, frame, &mut items)?;
        Ok(items)
    }

    fn eval(
        &self,
        op: &'a Op,
        frame: &Frame<'_, 'a>,
        out: &mut Items<'a>,
    ) -> Result<(), EvalError> {
        self.step()?;
        match op {
            Op::Focus => self.lend(frame.this, out)?,
            Op::Resource => out.extend(self.env.resource.map(Item::Node)),
            Op::Nothing => {}
            // Texts of a plan are lent, not copied.
            Op::Literal(Item::String(text)) => out.push(Item::text(&**text)),
            Op::Literal(item) => out.push(item.clone()),
            Op::Path(of, path) => self.path(of, path, frame, out)?,
            Op::Union(branches) => {
                let from = out.len();
                for branch in branches {
                    for item in self.items(branch, frame)? {
                        self.push_new(item, out, from)?;
                    }
                }
            }
            Op::Where(of, criteria) => {
                for (index, item) in self.items(of, frame)?.into_iter().enumerate() {
                    if self.truth(criteria, &frame.of(from_ref(&item), index))? == Some(true) {
                        out.push(item);
                    }
                }
            }
            Op::Select(of, projection) => {
                for (index, item) in self.items(of, frame)?.iter().enumerate() {
                    self.eval(projection, &frame.of(from_ref(item), index), out)?;
                }
            }
            Op::Slice(of, skip, take) => {
                let items = self.items(of, frame)?;
                out.extend(items.into_iter().skip(*skip).take(*take));
            }
            Op::Last(of) => out.extend(self.items(of, frame)?.pop()),
            Op::Count(of) => {
                let count = self.items(of, frame)?.len();
                out.push(Item::Integer(i32::try_from(count).unwrap_or(i32::MAX)));
            }
            op if op.is_boolean() => out.extend(self.boolean(op, frame)?.map(Item::Bool)),
            op => self.rare(op, frame, out)?,
        }
        Ok(())
    }

    fn path(
        &self,
        of: &'a Op,
        path: &'a [super::plan::Step],
        frame: &Frame<'_, 'a>,
        out: &mut Items<'a>,
    ) -> Result<(), EvalError> {
        let mut follow = |item: &Item<'a>| match item {
            Item::Node(node) => self.walk(*node, path, frame, &mut |node| {
                out.push(Item::Node(node));
                Ok(())
            }),
            item => {
                // Steps that are no members hold for computed items too.
                if self.passes(item, path, frame)? {
                    out.push(item.clone());
                }
                Ok(())
            }
        };
        match of {
            Op::Focus => frame.this.iter().try_for_each(follow),
            Op::Resource => match self.env.resource {
                Some(node) => follow(&Item::Node(node)),
                None => Ok(()),
            },
            of => self.items(of, frame)?.iter().try_for_each(follow),
        }
    }

    /// Operations that are not on the path of every search parameter.
    fn rare(
        &self,
        op: &'a Op,
        frame: &Frame<'_, 'a>,
        out: &mut Items<'a>,
    ) -> Result<(), EvalError> {
        match op {
            Op::Index => out.extend(
                frame
                    .index
                    .and_then(|i| i32::try_from(i).ok())
                    .map(Item::Integer),
            ),
            Op::Total => self.lend(frame.total, out)?,
            Op::Root => out.extend(self.env.root.or(self.env.resource).map(Item::Node)),
            Op::Context => self.lend(self.context, out)?,
            Op::Fail(error) => return Err(error.clone()),
            Op::Variable(name) => {
                let found = self.env.variables.iter().find(|(n, _)| *n == &**name);
                let (_, items) = found.ok_or_else(|| EvalError::NoVariable(name.clone()))?;
                self.lend(items, out)?;
            }
            Op::Slot(slot) => self.slot(*slot, out)?,
            Op::NamedSlot(name, slots) => {
                let known = |slot: &&usize| {
                    let all = self.slots.borrow();
                    all.get(**slot).is_some_and(|(n, _)| *n == **name)
                };
                let found = slots.iter().rev().find(known);
                let slot = found.ok_or_else(|| EvalError::NoVariable(name.clone()))?;
                self.slot(*slot, out)?;
            }
            Op::Member(of, name) => {
                for item in self.items(of, frame)? {
                    self.member(&item, name, out)?;
                }
            }
            Op::OfType(of, test, single) => {
                let items = self.items(of, frame)?;
                if *single && items.len() > 1 {
                    return Err(EvalError::NotSingle);
                }
                let is = |item: &Item<'a>| test.holds(item, self.types());
                out.extend(items.into_iter().filter(is));
            }
            Op::At(of, index) => {
                let items = self.items(of, frame)?;
                if let Some(index) = self.integer(index, frame)? {
                    let at = usize::try_from(index).ok().and_then(|i| items.get(i));
                    out.extend(at.cloned());
                }
            }
            Op::Negate(of) => out.extend(self.negate(of, frame)?),
            Op::Arithmetic(operator, left, right) => {
                let (left, right) = (self.single(left, frame)?, self.single(right, frame)?);
                if let (Some(left), Some(right)) = (left, right) {
                    out.extend(self.arithmetic(*operator, &left, &right)?);
                }
            }
            Op::Concatenate(left, right) => {
                let (left, right) = (self.single(left, frame)?, self.single(right, frame)?);
                let mut text = self.shown(left)?;
                text.push_str(&self.shown(right)?);
                out.push(self.text(text)?);
            }
            op => self.lambda(op, frame, out)?,
        }
        Ok(())
    }

    fn slot(&self, slot: usize, out: &mut Items<'a>) -> Result<(), EvalError> {
        let all = self.slots.borrow();
        match all.get(slot) {
            Some((_, items)) => self.lend(items, out),
            None => Ok(()),
        }
    }

    /// Copies items that are kept elsewhere, and counts them: a small expression can ask for many
    /// again and again.
    fn lend(&self, items: &[Item<'a>], out: &mut Items<'a>) -> Result<(), EvalError> {
        let texts = items.iter().map(|item| match item {
            Item::String(text) => text.len() / 256,
            _ => 0,
        });
        self.steps(items.len() + texts.sum::<usize>())?;
        out.extend(items.iter().cloned());
        Ok(())
    }

    fn shown(&self, item: Option<Item<'a>>) -> Result<String, EvalError> {
        let Some(item) = item else {
            return Ok(String::new());
        };
        let text = item.to_text(self.types());
        text.map(std::borrow::Cow::into_owned)
            .ok_or(EvalError::Operands("&"))
    }

    fn single(&self, op: &'a Op, frame: &Frame<'_, 'a>) -> Result<Option<Item<'a>>, EvalError> {
        let mut items = self.items(op, frame)?;
        if items.len() > 1 {
            Err(EvalError::NotSingle)
        } else {
            Ok(items.pop())
        }
    }

    /// A collection as a condition: empty stays empty, a single item that is no boolean is true.
    fn truth(&self, op: &'a Op, frame: &Frame<'_, 'a>) -> Result<Option<bool>, EvalError> {
        if op.is_boolean() {
            self.step()?;
            return self.boolean(op, frame);
        }
        let item = self.single(op, frame)?;
        Ok(item.and_then(|item| truth_of(&item)))
    }

    /// Appends an item that is not among those since `from`, and says so.
    fn push_new(
        &self,
        item: Item<'a>,
        out: &mut Items<'a>,
        from: usize,
    ) -> Result<bool, EvalError> {
        for known in out.iter().skip(from) {
            if self.equal(known, &item)? == Some(true) {
                return Ok(false);
            }
        }
        out.push(item);
        Ok(true)
    }
}

/// An item as a condition.
fn truth_of(item: &Item<'_>) -> Option<bool> {
    match item {
        Item::Bool(b) => Some(*b),
        Item::Node(node) => node.value.map(|value| value.as_bool().unwrap_or(true)),
        _ => Some(true),
    }
}

impl Op {
    /// Whether the answer is a boolean or empty, whatever the content.
    const fn is_boolean(&self) -> bool {
        matches!(
            self,
            Self::Exists(_)
                | Self::Not(_)
                | Self::All(..)
                | Self::And(..)
                | Self::Or(..)
                | Self::Xor(..)
                | Self::Implies(..)
                | Self::Equal(..)
                | Self::Equivalent(..)
                | Self::Compare(..)
                | Self::In(..)
                | Self::Is(..)
                | Self::ResolvesTo(..)
        )
    }
}

/// Whether a JSON value is there.
fn present(value: &json::Value<'_>) -> bool {
    value.kind() != json::Kind::Null
}
