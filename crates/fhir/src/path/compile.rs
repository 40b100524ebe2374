//! An expression and a model to a plan.
//!
//! Every step knows the types it can meet, so that members become keys of JSON objects here and
//! evaluating compares names only. What can never be right for any document is refused here
//! (`FHIRPath 2.0 §11.1`, strict typing): unknown elements, functions, variables, operands that do
//! not go together. For search parameters a path that starts with the name of another type than
//! the context's can never yield anything and is dropped.

use std::borrow::Cow;
use std::cell::Cell;

use base::limits::fixed::FHIRPATH_COMPILED_MAX as WORK_MAX;
use base::limits::fixed::FHIRPATH_DEPTH_MAX as DEPTH_MAX;

use super::ast::{Expr, Literal, Operator, TypeName};
use super::item::{Item, decimal};
use super::moment::Moment;
use super::plan::{Child, Op, Plan, Step, Test};
use super::quantity::{Quantity, Unit, calendar};
use super::types::{System, Type, Types};
use super::{EvalError, PathError, Settings, on_stack, parse};

mod cast;
mod function;
mod operator;
mod variable;

use variable::Defined;

/// The types that items may have.
#[derive(Clone, Debug, Default)]
pub(super) struct Kinds {
    list: Vec<Type>,
    /// Besides those listed, any other.
    any: bool,
}

impl Kinds {
    fn of(list: &[Type]) -> Self {
        Self {
            list: list.to_vec(),
            any: false,
        }
    }

    const fn any() -> Self {
        Self {
            list: Vec::new(),
            any: true,
        }
    }

    fn add(&mut self, other: &Self) {
        self.any |= other.any;
        for ty in &other.list {
            if !self.list.contains(ty) {
                self.list.push(*ty);
            }
        }
    }

    /// Whether what is known rules out that an item passes. Nothing is ruled out of nothing.
    fn never(&self, may: impl Fn(Type) -> bool) -> bool {
        !self.any && !self.list.is_empty() && !self.list.iter().any(|t| may(*t))
    }
}

/// An operation and what is known of its items.
struct Typed {
    op: Op,
    types: Kinds,
    /// Whether the order of the items means something (`children()` has none).
    ordered: bool,
    /// Variables that the rest of the chain can see.
    defined: Vec<Defined>,
}

impl Typed {
    const fn new(op: Op, types: Kinds) -> Self {
        Self {
            op,
            types,
            ordered: true,
            defined: Vec::new(),
        }
    }

    /// Another operation on the same chain.
    fn then(self, make: impl FnOnce(Op) -> Op) -> Self {
        Self {
            op: make(self.op),
            ..self
        }
    }

    fn nothing() -> Self {
        Self::new(Op::Nothing, Kinds::default())
    }
}

/// What an expression sees around it.
#[derive(Clone)]
struct Scope {
    focus: Kinds,
    /// The head of the whole expression, not of a function's argument.
    outermost: bool,
    defined: Vec<Defined>,
    total: Option<Kinds>,
    index: bool,
}

impl Scope {
    /// The scope of an argument that is evaluated for each item.
    fn of_items(&self, of: &Typed) -> Self {
        Self {
            focus: of.types.clone(),
            outermost: false,
            index: true,
            total: self.total.clone(),
            defined: self.with(of),
        }
    }

    /// The scope of an argument that is evaluated once, on the focus around the call.
    fn of_argument(&self, of: &Typed) -> Self {
        Self {
            outermost: false,
            defined: self.with(of),
            ..self.clone()
        }
    }

    fn with(&self, of: &Typed) -> Vec<Defined> {
        self.defined.iter().chain(&of.defined).cloned().collect()
    }
}

impl Plan {
    /// Compiles `text` for elements of type `context`, by the rules of search parameters. Names of
    /// types at the head mean the resource.
    pub fn compile(types: &Types, context: Type, text: &str) -> Result<Self, PathError> {
        Self::compile_in(types, context, context, text)
    }

    /// Compiles `text` for elements of type `focus` inside a `resource`, by the rules of search
    /// parameters: `%resource` and names of resource types mean the resource, everything else
    /// starts at the element.
    pub fn compile_in(
        types: &Types,
        resource: Type,
        focus: Type,
        text: &str,
    ) -> Result<Self, PathError> {
        Self::compile_as(types, &Settings::SEARCH, Some(resource), Some(focus), text)
    }

    /// Compiles `text` for items of type `focus` inside a `resource`; without a focus there is
    /// nothing to start at.
    pub fn compile_as(
        types: &Types,
        settings: &Settings<'_>,
        resource: Option<Type>,
        focus: Option<Type>,
        text: &str,
    ) -> Result<Self, PathError> {
        let expr = parse(text)?;
        let compiler = Compiler {
            types,
            settings,
            resource,
            context: Kinds::of(focus.as_slice()),
            slots: Cell::new(0),
            depth: Cell::new(0),
            deepest: Cell::new(0),
            work: Cell::new(0),
        };
        let scope = Scope {
            focus: Kinds::of(focus.as_slice()),
            outermost: true,
            defined: Vec::new(),
            total: None,
            index: false,
        };
        let typed = compiler.expr(&expr, &scope)?;
        let mut list = typed.types.list;
        if settings.rules.search {
            // Search indexes what is computed as it does elements.
            for ty in &mut list {
                if ty.as_system().is_some() {
                    *ty = Type::fhir(ty.content());
                }
            }
        }
        Ok(Self {
            op: typed.op,
            types: list,
            slots: compiler.slots.get(),
            deep: compiler.deepest.get(),
            rules: settings.rules,
        })
    }
}

struct Compiler<'m> {
    types: &'m Types,
    settings: &'m Settings<'m>,
    resource: Option<Type>,
    /// The types of `%context`.
    context: Kinds,
    slots: Cell<usize>,
    depth: Cell<usize>,
    deepest: Cell<usize>,
    /// Expressions compiled so far: the argument of `repeat` is compiled more than once.
    work: Cell<usize>,
}

impl Compiler<'_> {
    const fn is_search(&self) -> bool {
        self.settings.rules.search
    }

    fn expr(&self, expr: &Expr, scope: &Scope) -> Result<Typed, PathError> {
        let depth = self.depth.get() + 1;
        let work = self.work.get() + 1;
        if depth > DEPTH_MAX || work > WORK_MAX {
            return Err(PathError::TooLarge);
        }
        self.depth.set(depth);
        self.deepest.set(self.deepest.get().max(depth));
        self.work.set(work);
        let typed = on_stack(1, || self.any_expr(expr, scope));
        self.depth.set(depth - 1);
        typed
    }

    fn any_expr(&self, expr: &Expr, scope: &Scope) -> Result<Typed, PathError> {
        match expr {
            Expr::This => Ok(Typed::new(Op::Focus, scope.focus.clone())),
            Expr::Index if scope.index => Ok(one(Op::Index, System::Integer)),
            Expr::Index => Err(PathError::NoVariable("$index".to_owned())),
            Expr::Total => match &scope.total {
                Some(types) => Ok(Typed::new(Op::Total, types.clone())),
                None => Err(PathError::NoVariable("$total".to_owned())),
            },
            Expr::Variable(name) => self.variable(name, scope),
            Expr::Literal(literal) => literal_item(literal),
            Expr::Name(name) => self.head(name, scope),
            Expr::Member(of, name) => self.member(self.expr(of, scope)?, name),
            Expr::Call(on, name, args) => self.call(on.as_deref(), name, args, scope),
            Expr::At(of, index) => self.at(of, index, scope),
            Expr::Negate(of) => {
                let of = self.expr(of, scope)?;
                Ok(Typed::new(Op::Negate(Box::new(of.op)), of.types))
            }
            Expr::Binary(Operator::Union, ..) => self.union_of(expr, scope),
            Expr::Binary(operator, left, right) => self.binary(*operator, left, right, scope),
            Expr::Is(of, name) => self.is(of, name, scope),
            Expr::As(of, name) => {
                let of = self.expr(of, scope)?;
                self.cast(of, name, true)
            }
        }
    }

    fn whole(&self) -> Typed {
        Typed::new(Op::Resource, Kinds::of(self.resource.as_slice()))
    }

    /// A name at the head: the context's type, another type, or a member of the focus.
    fn head(&self, name: &str, scope: &Scope) -> Result<Typed, PathError> {
        let focus = Typed::new(Op::Focus, scope.focus.clone());
        if name.starts_with(|c: char| c.is_ascii_uppercase())
            && let Some(ty) = self.types.by_name(name)
        {
            let is_a = |t: &Type| self.types.is_a(*t, ty);
            if scope.outermost && !scope.focus.any && scope.focus.list.iter().any(is_a) {
                return Ok(focus);
            }
            if self.resource.as_ref().is_some_and(is_a) {
                return Ok(self.whole());
            }
            if self.is_search() {
                return Ok(Typed::nothing());
            }
            if scope.focus.any || scope.focus.list.iter().any(|t| t.is_any_resource()) {
                let op = Op::OfType(Box::new(Op::Focus), Test::Fhir(ty, false), false);
                return Ok(Typed::new(op, Kinds::of(&[ty])));
            }
            let on = self.names(&scope.focus);
            return Err(PathError::OtherType {
                on,
                name: name.to_owned(),
            });
        }
        self.member(focus, name)
    }

    fn names(&self, kinds: &Kinds) -> String {
        let names: Vec<_> = kinds.list.iter().map(|t| self.types.name(*t)).collect();
        if names.is_empty() {
            "an empty collection".to_owned()
        } else {
            names.join(", ")
        }
    }

    fn member(&self, of: Typed, name: &str) -> Result<Typed, PathError> {
        if matches!(of.op, Op::Nothing) {
            return Ok(of);
        }
        if of.types.list.is_empty() && !of.types.any {
            // Nothing is known to come out of it: `{}` behind operators.
            return Ok(of);
        }
        let polymorphic = self.settings.rules.polymorphic;
        let open = of.types.any || of.types.list.iter().any(|t| t.is_any_resource());
        let mut children = Vec::new();
        let mut types = Kinds {
            any: of.types.any,
            ..Kinds::default()
        };
        let mut computed = false;
        for on in &of.types.list {
            if let Some(system) = on.as_system() {
                if let Some(ty) = system_member(system, name) {
                    computed = true;
                    types.add(&Kinds::of(&[ty]));
                }
                continue;
            }
            for on in self.concrete(*on) {
                let fields = self.types.fields(on, name, polymorphic);
                if fields.is_empty() {
                    continue;
                }
                for field in &fields {
                    types.add(&Kinds::of(&[field.ty]));
                }
                if !open {
                    children.push(Child { on, fields });
                }
            }
        }
        if types.list.is_empty() && !of.types.any {
            return Err(PathError::NoElement {
                on: self.names(&of.types),
                name: name.to_owned(),
            });
        }
        let defined = of.defined;
        let op = if computed || of.types.any {
            Op::Member(Box::new(of.op), name.into())
        } else if open {
            step(of.op, Step::Named(name.into()))
        } else {
            step(of.op, Step::Child(children))
        };
        Ok(Typed {
            op,
            types,
            ordered: of.ordered,
            defined,
        })
    }

    /// The concrete types that elements of this type may turn out to be.
    fn concrete(&self, ty: Type) -> Vec<Type> {
        if ty.is_any_resource() {
            let model = self.types.model();
            model
                .types()
                .filter_map(|t| self.types.resource(t))
                .collect()
        } else {
            vec![ty]
        }
    }

    fn at(&self, of: &Expr, index: &Expr, scope: &Scope) -> Result<Typed, PathError> {
        let of = self.expr(of, scope)?;
        self.needs_order(&of)?;
        if let Expr::Literal(Literal::Number(n)) = index
            && let Ok(index) = n.parse()
        {
            return Ok(slice(of, index, 1));
        }
        let index = self.expr(index, &scope.of_argument(&of))?.op;
        Ok(of.then(|op| Op::At(Box::new(op), Box::new(index))))
    }

    fn needs_order(&self, of: &Typed) -> Result<(), PathError> {
        if self.settings.rules.ordered && !of.ordered {
            Err(PathError::NoOrder)
        } else {
            Ok(())
        }
    }

    /// All branches of a union, which may be many: without recursion.
    fn union_of(&self, expr: &Expr, scope: &Scope) -> Result<Typed, PathError> {
        let mut branches = Vec::new();
        let mut at = expr;
        while let Expr::Binary(Operator::Union, left, right) = at {
            branches.push(&**right);
            at = left;
        }
        let mut whole = self.branch(at, scope)?;
        for branch in branches.into_iter().rev() {
            whole = union(whole, self.branch(branch, scope)?);
        }
        Ok(whole)
    }

    fn branch(&self, expr: &Expr, scope: &Scope) -> Result<Typed, PathError> {
        let mut typed = self.expr(expr, scope)?;
        typed.defined.clear();
        Ok(typed)
    }
}

/// Members of FHIRPath's own types.
fn system_member(on: System, name: &str) -> Option<Type> {
    match (on, name) {
        (System::TypeInfo, "namespace" | "name" | "baseType")
        | (System::Quantity, "unit" | "code" | "system") => Some(Type::system(System::String)),
        (System::Quantity, "value") => Some(Type::system(System::Decimal)),
        _ => None,
    }
}

fn one(op: Op, system: System) -> Typed {
    Typed::new(op, Kinds::of(&[Type::system(system)]))
}

fn fail_type(name: &TypeName) -> Typed {
    let error = EvalError::NoType(name.name.clone());
    Typed::new(Op::Fail(error), Kinds::any())
}

/// Appends a step to a path, or starts one.
fn step(op: Op, step: Step) -> Op {
    match op {
        Op::Path(of, mut path) => {
            path.push(step);
            Op::Path(of, path)
        }
        op => Op::Path(Box::new(op), vec![step]),
    }
}

fn ends_in_child(op: &Op) -> bool {
    matches!(op, Op::Path(_, path) if matches!(path.last(), Some(Step::Child(_))))
}

fn slice(of: Typed, skip: usize, take: usize) -> Typed {
    if matches!(of.op, Op::Nothing) {
        return of;
    }
    of.then(|op| Op::Slice(Box::new(op), skip, take))
}

/// A union, flat; branches that yield nothing are left out.
fn union(left: Typed, right: Typed) -> Typed {
    let mut types = left.types;
    types.add(&right.types);
    let ordered = false;
    let mut branches = match left.op {
        Op::Union(branches) => branches,
        Op::Nothing => Vec::new(),
        op => vec![op],
    };
    match right.op {
        Op::Nothing => {}
        Op::Union(more) => branches.extend(more),
        op => branches.push(op),
    }
    let op = match branches.len() {
        0 => Op::Nothing,
        // One branch is still a union: it has no duplicates.
        _ => Op::Union(branches),
    };
    Typed {
        ordered,
        ..Typed::new(op, types)
    }
}

fn literal_item(literal: &Literal) -> Result<Typed, PathError> {
    let bad = |what: &str| PathError::Literal(what.to_owned());
    let number = |n: &str| decimal(n).ok_or_else(|| bad(n));
    let item = match literal {
        Literal::Empty => return Ok(Typed::nothing()),
        Literal::Bool(b) => Item::Bool(*b),
        Literal::String(s) => Item::String(Cow::Owned(s.to_string())),
        Literal::Number(n) if n.contains('.') => Item::Decimal(number(n)?),
        Literal::Number(n) => match n.parse() {
            Ok(n) => Item::Integer(n),
            Err(_) => Item::Decimal(number(n)?),
        },
        Literal::Long(n) => Item::Long(n.parse().map_err(|_| bad(n))?),
        Literal::Date(d) => Item::Moment(Moment::parse(d).ok_or_else(|| bad(d))?),
        Literal::Time(t) => match Moment::parse_time(t) {
            Some(time) => Item::Moment(time),
            // A time with a zone is told when it is evaluated, as the published tests have it.
            None => {
                let error = EvalError::Literal(format!("@T{t}").into());
                return Ok(one(Op::Fail(error), System::Time));
            }
        },
        Literal::Quantity(n, unit, quoted) => {
            let unit = if *quoted {
                Unit::quoted(Cow::Owned(unit.to_string()))
            } else {
                Unit::Calendar(calendar(unit).ok_or_else(|| bad(unit))?)
            };
            Item::Quantity(Box::new(Quantity {
                value: number(n)?,
                unit,
            }))
        }
    };
    let ty = item.ty();
    Ok(Typed::new(Op::Literal(item), Kinds::of(&[ty])))
}
