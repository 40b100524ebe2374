//! What a compiled expression consists of.

use std::collections::BTreeSet;

use super::EvalError;
use super::ast::Operator;
use super::eval::Pattern;
use super::function::Function;
use super::item::Item;
use super::make::Make;
use super::types::{System, Type, Types};
use crate::definitions::ValueSetId;

/// A compiled expression. Independent of any document; compile once, evaluate often.
#[derive(Debug)]
pub struct Plan {
    pub(super) op: Op,
    pub(super) types: Vec<Type>,
    /// Variables that `defineVariable()` fills.
    pub(super) slots: usize,
    /// How deeply evaluating it nests.
    pub(super) deep: usize,
    pub(super) rules: super::Rules,
}

/// One operation. Collections go in and out.
#[derive(Debug)]
pub(super) enum Op {
    /// `$this`, or the focus at the head.
    Focus,
    /// `$index`
    Index,
    /// `$total`
    Total,
    /// `%resource`, or the type's name at the head.
    Resource,
    /// `%rootResource`
    Root,
    /// `%context`
    Context,
    /// `{}`, or a path that starts with another type.
    Nothing,
    /// What can only be known to be wrong when it is evaluated.
    Fail(EvalError),
    Literal(Item<'static>),
    /// A variable that the caller hands in.
    Variable(Box<str>),
    /// A variable of `defineVariable()`.
    Slot(usize),
    /// One of several whose names are computed.
    NamedSlot(Box<str>, Box<[usize]>),
    Path(Box<Self>, Vec<Step>),
    /// A member of items of any kind.
    Member(Box<Self>, Box<str>),
    Union(Vec<Self>),
    Where(Box<Self>, Box<Self>),
    Select(Box<Self>, Box<Self>),
    /// Items of a type; `true`: of one item only (`as`).
    OfType(Box<Self>, Test, bool),
    /// Skip so many, take so many.
    Slice(Box<Self>, usize, usize),
    /// `[index]`
    At(Box<Self>, Box<Self>),
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
    Equivalent(Box<Self>, Box<Self>),
    Compare(Operator, Box<Self>, Box<Self>),
    Arithmetic(Operator, Box<Self>, Box<Self>),
    Concatenate(Box<Self>, Box<Self>),
    /// `left in right`
    In(Box<Self>, Box<Self>),
    Negate(Box<Self>),
    Is(Box<Self>, Test),
    /// `resolve() is Type`: by the text of the reference, or what it resolves to.
    ResolvesTo(Box<Self>, Test),
    Iif(Box<Self>, Box<Self>, Box<Self>, Box<Self>),
    /// `true`: duplicates are kept.
    Repeat(Box<Self>, Box<Self>, bool),
    Aggregate(Box<Self>, Box<Self>, Box<Self>),
    Trace(Box<Self>, Box<Self>, Option<Box<Self>>),
    /// Keys, each with whether it goes down.
    Sort(Box<Self>, Vec<(Self, bool)>),
    /// Fills a slot: name and value (the input where there is none).
    Define(Box<Self>, usize, Box<Self>, Option<Box<Self>>),
    Call(Function, Box<Self>, Vec<Self>),
    /// A function of `%factory` or `%terminologies`.
    Make(Make, Vec<Self>),
    /// `matches`, `matchesFull`, `replaceMatches` of a pattern that is a literal.
    Pattern(Function, Box<Self>, Box<Pattern>, Vec<Self>),
}

/// A type that is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Test {
    /// A type of the model; `true`: primitives must be exactly of it.
    Fhir(Type, bool),
    System(System),
    /// A name that both have: `Quantity`.
    Either(Type, System),
    /// A namespace without such a type.
    Never,
}

impl Test {
    pub(super) fn holds(self, item: &Item<'_>, types: &Types) -> bool {
        let ty = item.ty();
        match self {
            Self::Fhir(wanted, exact) => {
                if exact && ty.is_primitive() && wanted.is_primitive() {
                    ty == wanted
                } else {
                    types.is_a(ty, wanted)
                }
            }
            Self::System(wanted) => ty == Type::system(wanted),
            Self::Either(fhir, system) => types.is_a(ty, fhir) || ty == Type::system(system),
            Self::Never => false,
        }
    }

    /// The types of items that pass.
    pub(super) fn types(self) -> Vec<Type> {
        match self {
            Self::Fhir(ty, _) => vec![ty],
            Self::System(system) => vec![Type::system(system)],
            Self::Either(ty, system) => vec![ty, Type::system(system)],
            Self::Never => Vec::new(),
        }
    }

    /// For `as` and `ofType`: a primitive must be exactly of the type.
    pub(super) const fn exact(self) -> Self {
        match self {
            Self::Fhir(ty, _) => Self::Fhir(ty, true),
            other => other,
        }
    }
}

/// A step of a path: from one element to several, without a collection between.
#[derive(Debug)]
pub(super) enum Step {
    /// A member; one entry for each type that may be met.
    Child(Vec<Child>),
    /// A member of elements of types that are only known when they are met.
    Named(Box<str>),
    /// `extension(url)`
    Extension(Box<str>),
    OfType(Test),
    Where(Box<Op>),
}

/// A member of elements of one type.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) on: Type,
    pub(super) fields: Vec<Field>,
}

/// A member of a JSON object: one, or several for a choice of types.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) key: &'static str,
    pub(super) ty: Type,
    /// It has a `_key` beside it.
    pub(super) primitive: bool,
    /// The required value set of a `code`, where the model knows one. (Codings and concepts may
    /// be bound as well, but write their systems themselves.)
    pub(super) codes: Option<ValueSetId>,
}

/// The elements that a plan can look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Type or path, and the JSON name of the element: (`Patient`, `birthDate`),
    /// (`Observation.component`, `valueQuantity`).
    pub elements: BTreeSet<(&'static str, &'static str)>,
    /// Names that are looked for in elements of any type.
    pub anywhere: BTreeSet<Box<str>>,
    /// It may look at everything below some element: it compares whole elements, goes down all of
    /// their children, or leaves the document. (What it yields is told by [`Plan::types`].)
    pub everything: bool,
}

impl Plan {
    /// The types of the items it can yield; those that are not known are not listed.
    pub fn types(&self) -> &[Type] {
        &self.types
    }

    /// The members of a resource of this type of which one must be there, alone or as its `_` sibling, for
    /// anything to be found; `None` where that is not known.
    pub fn begins(&self, resource: Type) -> Option<Vec<&'static str>> {
        let branches = match &self.op {
            Op::Union(branches) => branches,
            op => std::slice::from_ref(op),
        };
        let mut keys = Vec::new();
        for op in branches {
            let Op::Path(of, steps) = op else { return None };
            let (Op::Resource | Op::Focus, Some(Step::Child(children))) = (&**of, steps.first())
            else {
                return None;
            };
            let on = children.iter().filter(|child| child.on == resource);
            keys.extend(on.flat_map(|child| child.fields.iter().map(|field| field.key)));
        }
        Some(keys)
    }

    /// The required value sets of the `code`s it ends in; `None` where an end is something else.
    pub fn codes(&self) -> Vec<Option<ValueSetId>> {
        let mut found = Vec::new();
        collect_codes(&self.op, &mut found);
        found
    }

    /// What it asks beyond the resource that it is about, if it does: other resources, terminology or
    /// the clock, by the name of the function.
    pub fn asks_outside(&self) -> Option<&'static str> {
        outside(&self.op)
    }

    /// The elements that an evaluation can look at: a bound from above, whatever the content.
    pub fn touches(&self, types: &Types) -> Touched {
        let mut touched = Touched::default();
        touch(&self.op, types, &mut touched);
        touched
    }
}

fn outside(op: &Op) -> Option<&'static str> {
    let mut found = match op {
        Op::Call(
            function @ (Function::Resolve
            | Function::MemberOf
            | Function::Subsumes
            | Function::SubsumedBy
            | Function::Weight
            | Function::ConformsTo
            | Function::Now
            | Function::Today
            | Function::TimeOfDay),
            ..,
        ) => Some(function.as_str()),
        Op::Make(..) => Some("%factory"),
        Op::Path(_, steps) => steps.iter().find_map(|step| match step {
            Step::Where(criteria) => outside(criteria),
            _ => None,
        }),
        _ => None,
    };
    op.parts(&mut |part| {
        if found.is_none() {
            found = outside(part);
        }
    });
    found
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

fn touch(op: &Op, types: &Types, touched: &mut Touched) {
    match op {
        Op::Path(_, steps) => {
            for step in steps {
                match step {
                    Step::Child(children) => {
                        for child in children {
                            let on = types.name(child.on);
                            touched
                                .elements
                                .extend(child.fields.iter().map(|f| (on, f.key)));
                        }
                    }
                    Step::Named(name) => {
                        touched.anywhere.insert(name.clone());
                    }
                    Step::Extension(_) => {
                        touched.anywhere.insert("extension".into());
                    }
                    Step::OfType(_) => {}
                    Step::Where(criteria) => touch(criteria, types, touched),
                }
            }
        }
        Op::Member(_, name) => {
            touched.anywhere.insert(name.clone());
        }
        Op::Make(..) => touched.everything = true,
        Op::Call(function, ..) if function.is_deep() => touched.everything = true,
        Op::Equal(left, right) | Op::Equivalent(left, right) | Op::In(left, right) => {
            touched.everything |= !left.is_flat() && !right.is_flat();
        }
        Op::Union(branches) => touched.everything |= !branches.iter().all(Op::is_flat),
        Op::Repeat(_, projection, false) => touched.everything |= !projection.is_flat(),
        _ => {}
    }
    op.parts(&mut |part| touch(part, types, touched));
}

impl Op {
    /// Whether all its items are surely primitives, so that comparing them looks at nothing else.
    fn is_flat(&self) -> bool {
        match self {
            Self::Literal(_)
            | Self::Nothing
            | Self::Index
            | Self::Count(_)
            | Self::Exists(_)
            | Self::Not(_)
            | Self::Negate(_)
            | Self::Arithmetic(..)
            | Self::Concatenate(..)
            | Self::Pattern(..) => true,
            Self::Slice(of, ..) | Self::Last(of) | Self::At(of, _) | Self::Where(of, _) => {
                of.is_flat()
            }
            Self::Union(branches) => branches.iter().all(Self::is_flat),
            Self::Call(function, ..) => {
                matches!(function.output(), super::function::Output::One(_))
            }
            Self::Path(_, steps) => {
                let of_elements = |s: &&Step| !matches!(s, Step::OfType(_) | Step::Where(_));
                match steps.iter().rev().find(of_elements) {
                    Some(Step::Child(children)) => {
                        children.iter().flat_map(|c| &c.fields).all(|f| f.primitive)
                    }
                    _ => false,
                }
            }
            _ => false,
        }
    }

    /// The operations that this one is made of, those in steps of paths apart.
    pub(super) fn parts<'p>(&'p self, take: &mut dyn FnMut(&'p Self)) {
        match self {
            Self::Focus
            | Self::Index
            | Self::Total
            | Self::Resource
            | Self::Root
            | Self::Context
            | Self::Nothing
            | Self::Fail(_)
            | Self::Literal(_)
            | Self::Variable(_)
            | Self::Slot(_)
            | Self::NamedSlot(..) => {}
            Self::Path(of, _)
            | Self::Member(of, _)
            | Self::OfType(of, ..)
            | Self::Slice(of, ..)
            | Self::Last(of)
            | Self::Count(of)
            | Self::Exists(of)
            | Self::Not(of)
            | Self::Negate(of)
            | Self::Is(of, _)
            | Self::ResolvesTo(of, _) => take(of),
            Self::Union(branches) => branches.iter().for_each(take),
            Self::Where(a, b)
            | Self::Select(a, b)
            | Self::At(a, b)
            | Self::All(a, b)
            | Self::And(a, b)
            | Self::Or(a, b)
            | Self::Xor(a, b)
            | Self::Implies(a, b)
            | Self::Equal(a, b)
            | Self::Equivalent(a, b)
            | Self::Compare(_, a, b)
            | Self::Arithmetic(_, a, b)
            | Self::Concatenate(a, b)
            | Self::In(a, b)
            | Self::Repeat(a, b, _) => {
                take(a);
                take(b);
            }
            Self::Aggregate(a, b, c) => [a, b, c].into_iter().for_each(|op| take(op)),
            Self::Iif(a, b, c, d) => [a, b, c, d].into_iter().for_each(|op| take(op)),
            Self::Trace(a, b, c) | Self::Define(a, _, b, c) => {
                take(a);
                take(b);
                if let Some(c) = c {
                    take(c);
                }
            }
            Self::Sort(of, keys) => {
                take(of);
                keys.iter().for_each(|(key, _)| take(key));
            }
            Self::Make(_, args) => args.iter().for_each(take),
            Self::Call(_, of, args) | Self::Pattern(_, of, _, args) => {
                take(of);
                args.iter().for_each(take);
            }
        }
    }
}
