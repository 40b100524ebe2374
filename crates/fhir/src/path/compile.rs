//! An expression and a model to a plan.
//!
//! Every step knows the types it can meet, so that members become keys of JSON objects here and
//! evaluating compares names only. A path that starts with the name of another type than the
//! context's can never yield anything and is dropped.

use std::borrow::Cow;

use super::ast::{Expr, Literal, Operator, TypeName};
use super::item::Item;
use super::types::{Type, Types};
use super::{PathError, parse};
use crate::definitions::ValueSetId;

mod function;

/// A compiled expression. Independent of any document; compile once, evaluate often.
#[derive(Debug)]
pub struct Plan {
    pub(super) op: Op,
    types: Vec<Type>,
}

/// One operation. Collections go in and out.
#[derive(Debug)]
pub(super) enum Op {
    /// `$this`, or the focus at the head.
    Focus,
    /// `%resource`, `%context`, or the type's name at the head.
    Resource,
    /// `{}`, or a path that starts with another type.
    Nothing,
    Literal(Item<'static>),
    Path(Box<Self>, Vec<Step>),
    Union(Vec<Self>),
    Where(Box<Self>, Box<Self>),
    Select(Box<Self>, Box<Self>),
    OfType(Box<Self>, Type),
    /// Skip so many, take so many.
    Slice(Box<Self>, usize, usize),
    Last(Box<Self>),
    Count(Box<Self>),
    Exists(Box<Self>),
    Not(Box<Self>),
    All(Box<Self>, Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Xor(Box<Self>, Box<Self>),
    Implies(Box<Self>, Box<Self>),
    Equal(Box<Self>, Box<Self>),
    Is(Box<Self>, Type),
    /// `resolve() is Type`, from the reference's text.
    ResolvesTo(Box<Self>, Type),
}

/// A step of a path: from one element to several, without a collection between.
#[derive(Debug)]
pub(super) enum Step {
    /// A member; one entry for each type that may be met.
    Child(Vec<Child>),
    /// `extension(url)`
    Extension(Box<str>),
    OfType(Type),
    Where(Box<Op>),
}

/// A member of elements of one type.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) on: Type,
    pub(super) fields: Vec<Field>,
}

/// A member of a JSON object: one, or several for a choice of types.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) key: &'static str,
    /// `_key`, which primitives have.
    pub(super) extra_key: Box<str>,
    pub(super) ty: Type,
    pub(super) primitive: bool,
    /// The required value set of a `code`, where the model knows one. (Codings and concepts may
    /// be bound as well, but write their systems themselves.)
    pub(super) codes: Option<ValueSetId>,
}

/// An operation and the types of what it yields; no types where that is not known or not FHIR's.
struct Typed {
    op: Op,
    types: Vec<Type>,
}

impl Typed {
    fn boolean(op: Op) -> Self {
        Self {
            op,
            types: vec![Type::BOOLEAN],
        }
    }
}

impl Plan {
    /// Compiles `text` for elements of type `context`. Names of types at the head mean the
    /// resource.
    pub fn compile(types: &Types, context: Type, text: &str) -> Result<Self, PathError> {
        Self::compile_in(types, context, context, text)
    }

    /// Compiles `text` for elements of type `focus` inside a `resource`: `%resource` and names of
    /// resource types mean the resource, everything else starts at the element.
    pub fn compile_in(
        types: &Types,
        resource: Type,
        focus: Type,
        text: &str,
    ) -> Result<Self, PathError> {
        let expr = parse(text)?;
        let compiler = Compiler { types, resource };
        let typed = compiler.expr(&expr, &[focus])?;
        Ok(Self {
            op: typed.op,
            types: typed.types,
        })
    }

    /// The types of the items it can yield.
    pub fn types(&self) -> &[Type] {
        &self.types
    }

    /// The required value sets of the `code`s it ends in; `None` where an end is something else.
    pub fn codes(&self) -> Vec<Option<ValueSetId>> {
        let mut found = Vec::new();
        collect_codes(&self.op, &mut found);
        found
    }
}

struct Compiler<'m> {
    types: &'m Types,
    resource: Type,
}

impl Compiler<'_> {
    fn expr(&self, expr: &Expr, focus: &[Type]) -> Result<Typed, PathError> {
        match expr {
            Expr::This => Ok(Typed {
                op: Op::Focus,
                types: focus.to_vec(),
            }),
            Expr::Index | Expr::Total => Err(unsupported("$index and $total")),
            Expr::Variable(name) => match &**name {
                "resource" | "context" | "rootResource" => Ok(self.whole()),
                _ => Err(unsupported(&format!("%{name}"))),
            },
            Expr::Literal(literal) => literal_item(literal),
            Expr::Name(name) => self.head(name, focus),
            Expr::Member(of, name) => self.member(self.expr(of, focus)?, name),
            Expr::Call(on, name, args) => self.call(on.as_deref(), name, args, focus),
            Expr::At(of, index) => {
                let Expr::Literal(Literal::Number(n)) = &**index else {
                    return Err(unsupported("an index that is no number"));
                };
                let index = n
                    .parse()
                    .map_err(|_| unsupported("an index that is no integer"))?;
                Ok(slice(self.expr(of, focus)?, index, 1))
            }
            Expr::Negate(_) => Err(unsupported("a sign")),
            Expr::Binary(operator, left, right) => self.binary(*operator, left, right, focus),
            Expr::Is(of, name) => self.is(of, self.type_named(name)?, focus),
            Expr::As(of, name) => {
                let ty = self.type_named(name)?;
                Ok(self.of_type(self.expr(of, focus)?, ty))
            }
        }
    }

    fn whole(&self) -> Typed {
        Typed {
            op: Op::Resource,
            types: vec![self.resource],
        }
    }

    /// A name at the head: the context's type, another type, or a member of the focus.
    fn head(&self, name: &str, focus: &[Type]) -> Result<Typed, PathError> {
        if name.starts_with(|c: char| c.is_ascii_uppercase())
            && let Some(ty) = self.types.by_name(name)
        {
            return Ok(if self.types.is_a(self.resource, ty) {
                self.whole()
            } else {
                Typed {
                    op: Op::Nothing,
                    types: Vec::new(),
                }
            });
        }
        self.member(
            Typed {
                op: Op::Focus,
                types: focus.to_vec(),
            },
            name,
        )
    }

    fn member(&self, of: Typed, name: &str) -> Result<Typed, PathError> {
        if matches!(of.op, Op::Nothing) {
            return Ok(of);
        }
        let mut children = Vec::new();
        let mut types = Vec::new();
        for on in of.types.iter().flat_map(|t| self.types.concrete(*t)) {
            let fields = self.types.fields(on, name);
            if fields.is_empty() {
                continue;
            }
            for field in &fields {
                if !types.contains(&field.ty) {
                    types.push(field.ty);
                }
            }
            children.push(Child { on, fields });
        }
        if children.is_empty() {
            let on = of
                .types
                .iter()
                .map(|t| self.types.name(*t))
                .collect::<Vec<_>>()
                .join(", ");
            return Err(PathError::NoElement {
                on,
                name: name.to_owned(),
            });
        }
        Ok(Typed {
            op: step(of.op, Step::Child(children)),
            types,
        })
    }

    /// Items of a type. A choice of types that was just taken is narrowed to the keys that fit.
    fn of_type(&self, mut of: Typed, ty: Type) -> Typed {
        if let Op::Path(_, path) = &mut of.op
            && let Some(Step::Child(children)) = path.last_mut()
        {
            for child in children.iter_mut() {
                child
                    .fields
                    .retain(|f| self.types.is_a(f.ty, ty) || self.types.is_any_resource(f.ty));
            }
            children.retain(|c| !c.fields.is_empty());
        }
        let types: Vec<Type> = of
            .types
            .iter()
            .copied()
            .filter(|t| self.types.is_a(*t, ty))
            .collect();
        let dynamic = of.types.iter().any(|t| self.types.is_any_resource(*t));
        if types.is_empty() && !dynamic && !of.types.is_empty() {
            return Typed {
                op: Op::Nothing,
                types,
            };
        }
        let certain = matches!(of.op, Op::Path(_, _)) && !dynamic && ends_in_child(&of.op);
        let types = if dynamic { vec![ty] } else { types };
        let op = if certain {
            of.op
        } else if matches!(of.op, Op::Path(_, _)) {
            step(of.op, Step::OfType(ty))
        } else {
            Op::OfType(Box::new(of.op), ty)
        };
        Typed { op, types }
    }

    fn is(&self, of: &Expr, ty: Type, focus: &[Type]) -> Result<Typed, PathError> {
        if let Expr::Call(on, name, args) = of
            && &**name == "resolve"
            && args.is_empty()
        {
            let on = match on {
                Some(on) => self.expr(on, focus)?,
                None => Typed {
                    op: Op::Focus,
                    types: focus.to_vec(),
                },
            };
            return Ok(Typed::boolean(Op::ResolvesTo(Box::new(on.op), ty)));
        }
        let of = self.expr(of, focus)?;
        Ok(Typed::boolean(Op::Is(Box::new(of.op), ty)))
    }

    fn binary(
        &self,
        operator: Operator,
        left: &Expr,
        right: &Expr,
        focus: &[Type],
    ) -> Result<Typed, PathError> {
        let left = self.expr(left, focus)?;
        let right = self.expr(right, focus)?;
        if operator == Operator::Union {
            return Ok(union(left, right));
        }
        let (left, right) = (Box::new(left.op), Box::new(right.op));
        Ok(Typed::boolean(match operator {
            Operator::And => Op::And(left, right),
            Operator::Or => Op::Or(left, right),
            Operator::Xor => Op::Xor(left, right),
            Operator::Implies => Op::Implies(left, right),
            Operator::Equal => Op::Equal(left, right),
            Operator::NotEqual => Op::Not(Box::new(Op::Equal(left, right))),
            _ => return Err(unsupported(&format!("the operator {}", operator.as_str()))),
        }))
    }

    fn type_named(&self, name: &TypeName) -> Result<Type, PathError> {
        let found = match name.namespace.as_deref() {
            None | Some("FHIR" | "System") => self.types.by_name(&name.name),
            Some(_) => None,
        };
        found.ok_or_else(|| PathError::NoType(name.name.to_string()))
    }
}

fn collect_codes(op: &Op, found: &mut Vec<Option<ValueSetId>>) {
    match op {
        Op::Union(branches) => branches.iter().for_each(|b| collect_codes(b, found)),
        Op::Path(_, path) => match path.last() {
            Some(Step::Child(children)) => {
                found.extend(children.iter().flat_map(|c| &c.fields).map(|f| f.codes));
            }
            _ => found.push(None),
        },
        _ => found.push(None),
    }
}

fn unsupported(what: &str) -> PathError {
    PathError::Unsupported(what.to_owned())
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
    Typed {
        op: Op::Slice(Box::new(of.op), skip, take),
        types: of.types,
    }
}

/// A union, flat; branches that yield nothing are left out.
fn union(left: Typed, right: Typed) -> Typed {
    let mut types = left.types;
    for ty in right.types {
        if !types.contains(&ty) {
            types.push(ty);
        }
    }
    let mut branches = match left.op {
        Op::Union(branches) => branches,
        Op::Nothing => {
            return Typed {
                op: right.op,
                types,
            };
        }
        op => vec![op],
    };
    match right.op {
        Op::Nothing => {}
        Op::Union(more) => branches.extend(more),
        op => branches.push(op),
    }
    Typed {
        op: Op::Union(branches),
        types,
    }
}

fn literal_item(literal: &Literal) -> Result<Typed, PathError> {
    let owned = |text: &str| Cow::Owned(text.to_owned());
    let (item, ty) = match literal {
        Literal::Empty => {
            return Ok(Typed {
                op: Op::Nothing,
                types: Vec::new(),
            });
        }
        Literal::Bool(b) => (Item::Bool(*b), Type::BOOLEAN),
        Literal::String(s) => (Item::String(owned(s)), Type::STRING),
        Literal::Number(n) if n.contains('.') => (Item::Number(owned(n)), Type::DECIMAL),
        Literal::Number(n) => (Item::Number(owned(n)), Type::INTEGER),
        Literal::Date(d) if d.contains('T') => (Item::Date(owned(d)), Type::DATE_TIME),
        Literal::Date(d) => (Item::Date(owned(d)), Type::DATE),
        Literal::Time(t) => (Item::Time(owned(t)), Type::TIME),
        Literal::Quantity(..) => return Err(unsupported("a quantity literal")),
    };
    Ok(Typed {
        op: Op::Literal(item),
        types: vec![ty],
    })
}
