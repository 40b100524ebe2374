//! Calls: the functions that are operations of their own, and those of the table.

use super::super::ast::{Expr, Literal};
use super::super::eval::{Pattern, pattern};
use super::super::function::{Function, Input, Output};
use super::super::item::Item;
use super::super::make::Make;
use super::super::plan::{Op, Step};
use super::super::types::{System, Type};
use super::super::{EvalError, PathError};
use super::{Compiler, Kinds, Scope, Typed, one, slice, step, union};

pub(super) fn arity(name: &str, got: usize) -> PathError {
    PathError::Arguments {
        name: name.to_owned(),
        got,
    }
}

impl Compiler<'_> {
    pub(super) fn call(
        &self,
        on: Option<&Expr>,
        name: &str,
        args: &[Expr],
        scope: &Scope,
    ) -> Result<Typed, PathError> {
        if matches!(name, "is" | "as" | "ofType") {
            return self.type_call(on, name, args, scope);
        }
        if let Some(Expr::Variable(of)) = on
            && matches!(&**of, "factory" | "terminologies" | "server")
            && !self.is_defined(of, scope)
        {
            return self.variable_call(of, name, args, scope);
        }
        let of = match on {
            Some(on) => self.expr(on, scope)?,
            None => Typed::new(Op::Focus, scope.focus.clone()),
        };
        match (name, args) {
            ("where", [arg]) => self.filter(of, arg, scope),
            ("select", [arg]) => self.select(of, arg, scope),
            ("repeat" | "repeatAll", [arg]) => self.repeat(of, arg, scope, name == "repeatAll"),
            ("aggregate", [arg, rest @ ..]) if rest.len() < 2 => {
                self.aggregate(of, arg, rest.first(), scope)
            }
            ("trace", [name, rest @ ..]) if rest.len() < 2 => {
                self.trace(of, name, rest.first(), scope)
            }
            ("iif", [criterion, then, rest @ ..]) if rest.len() < 2 => {
                self.iif(of, criterion, then, rest.first(), scope)
            }
            ("sort", keys) => self.sort(of, keys, scope),
            ("defineVariable", args) => self.define(of, args, scope),
            ("union", [arg]) => {
                let right = self.expr(arg, &scope.of_argument(&of))?;
                Ok(union(of, right))
            }
            ("first", []) => self.slice(of, 0, 1),
            ("tail", []) => self.slice(of, 1, usize::MAX),
            ("last", []) => {
                self.needs_order(&of)?;
                Ok(of.then(|op| Op::Last(Box::new(op))))
            }
            ("skip", [Expr::Literal(Literal::Number(n))]) if n.parse::<usize>().is_ok() => {
                self.slice(of, n.parse().unwrap_or(0), usize::MAX)
            }
            ("take", [Expr::Literal(Literal::Number(n))]) if n.parse::<usize>().is_ok() => {
                self.slice(of, 0, n.parse().unwrap_or(0))
            }
            ("count", []) => Ok(same_chain(of, System::Integer, Op::Count)),
            ("empty", []) => Ok(same_chain(of, System::Boolean, |op| {
                Op::Not(Box::new(Op::Exists(op)))
            })),
            ("not", []) => Ok(same_chain(of, System::Boolean, Op::Not)),
            ("exists", []) => Ok(same_chain(of, System::Boolean, Op::Exists)),
            ("exists", [arg]) => {
                let of = self.filter(of, arg, scope)?;
                Ok(same_chain(of, System::Boolean, Op::Exists))
            }
            ("all", [arg]) => {
                let criteria = self.expr(arg, &scope.of_items(&of))?.op;
                Ok(same_chain(of, System::Boolean, |op| {
                    Op::All(op, Box::new(criteria))
                }))
            }
            _ => self.table(of, name, args, scope),
        }
    }

    /// A function of `%factory` or `%terminologies`.
    fn variable_call(
        &self,
        of: &str,
        name: &str,
        args: &[Expr],
        scope: &Scope,
    ) -> Result<Typed, PathError> {
        let unknown = || PathError::NoFunction(format!("%{of}.{name}"));
        let whole = format!("%{of}.{name}");
        let found = match (of, name) {
            ("server", _) => {
                let text = "%server: an expression reads no other resources than those that references lead to";
                return Err(PathError::Unsupported(text.to_owned()));
            }
            ("terminologies", "at") => {
                let text = "%terminologies.at(): no other server is ever asked";
                return Err(PathError::Unsupported(text.to_owned()));
            }
            ("factory", "create") => {
                let [arg] = args else {
                    return Err(arity(&whole, args.len()));
                };
                let named = arg.type_name().ok_or_else(unknown)?;
                let fhir = named.namespace.as_deref().is_none_or(|n| n == "FHIR");
                let ty = self.types.by_name(&named.name).filter(|_| fhir);
                let ty = ty.ok_or_else(|| PathError::NoType(named.name.to_string()))?;
                return Ok(Typed::new(
                    Op::Make(Make::Create(ty), Vec::new()),
                    Kinds::of(&[ty]),
                ));
            }
            ("factory", _) => Make::factory(self.types, name),
            _ => Make::terms(name),
        };
        let (make, takes) = found.ok_or_else(unknown)?;
        if !takes.contains(&args.len()) {
            return Err(arity(&whole, args.len()));
        }
        let mut ops = Vec::with_capacity(args.len());
        let mut first = None;
        for arg in args {
            let arg = self.expr(arg, scope)?;
            first.get_or_insert(arg.types);
            ops.push(arg.op);
        }
        let kinds = match make.output(self.types) {
            Some(ty) => Kinds::of(&[ty]),
            None => first.unwrap_or_default(),
        };
        Ok(Typed::new(Op::Make(make, ops), kinds))
    }

    fn slice(&self, of: Typed, skip: usize, take: usize) -> Result<Typed, PathError> {
        self.needs_order(&of)?;
        Ok(slice(of, skip, take))
    }

    fn filter(&self, of: Typed, arg: &Expr, scope: &Scope) -> Result<Typed, PathError> {
        let criteria = self.expr(arg, &scope.of_items(&of))?.op;
        let index = uses_index(&criteria);
        let criteria = Box::new(criteria);
        Ok(of.then(|op| match op {
            Op::Nothing => Op::Nothing,
            Op::Focus | Op::Resource | Op::Path(..) if !index => step(op, Step::Where(criteria)),
            op => Op::Where(Box::new(op), criteria),
        }))
    }

    fn select(&self, of: Typed, arg: &Expr, scope: &Scope) -> Result<Typed, PathError> {
        let projection = self.expr(arg, &scope.of_items(&of))?;
        Ok(Typed {
            op: Op::Select(Box::new(of.op), Box::new(projection.op)),
            types: projection.types,
            ordered: of.ordered && projection.ordered,
            defined: of.defined,
        })
    }

    fn repeat(&self, of: Typed, arg: &Expr, scope: &Scope, all: bool) -> Result<Typed, PathError> {
        // What comes out goes in again, so the types are those of a few rounds until none is new.
        let mut inner = scope.of_items(&of);
        let mut types = Kinds::default();
        let mut projection = Op::Nothing;
        for _ in 0..8 {
            let before = inner.focus.list.len();
            let round = self.expr(arg, &inner)?;
            types.add(&round.types);
            inner.focus.add(&round.types);
            projection = round.op;
            if inner.focus.list.len() == before {
                break;
            }
        }
        Ok(Typed {
            op: Op::Repeat(Box::new(of.op), Box::new(projection), all),
            types,
            ordered: false,
            defined: of.defined,
        })
    }

    fn aggregate(
        &self,
        of: Typed,
        arg: &Expr,
        start: Option<&Expr>,
        scope: &Scope,
    ) -> Result<Typed, PathError> {
        let start = match start {
            Some(start) => self.expr(start, &scope.of_argument(&of))?,
            None => Typed::nothing(),
        };
        let mut inner = scope.of_items(&of);
        inner.total = Some(Kinds::any());
        let round = self.expr(arg, &inner)?;
        let mut types = round.types;
        types.add(&start.types);
        Ok(Typed {
            types,
            ..of.then(|op| Op::Aggregate(Box::new(op), Box::new(round.op), Box::new(start.op)))
        })
    }

    fn trace(
        &self,
        of: Typed,
        name: &Expr,
        projection: Option<&Expr>,
        scope: &Scope,
    ) -> Result<Typed, PathError> {
        let name = self.expr(name, &scope.of_argument(&of))?.op;
        let projection = match projection {
            Some(projection) => {
                let projection = self.expr(projection, &scope.of_items(&of))?;
                Some(Box::new(projection.op))
            }
            None => None,
        };
        Ok(of.then(|op| Op::Trace(Box::new(op), Box::new(name), projection)))
    }

    fn iif(
        &self,
        of: Typed,
        criterion: &Expr,
        then: &Expr,
        otherwise: Option<&Expr>,
        scope: &Scope,
    ) -> Result<Typed, PathError> {
        // `$this` is the input, `$index` that of the item around the call.
        let inner = Scope {
            focus: of.types.clone(),
            index: scope.index,
            ..scope.of_items(&of)
        };
        let criterion = self.expr(criterion, &inner)?;
        let boolean = |t: Type| {
            t == Type::BOOLEAN || t == Type::system(System::Boolean) || t.is_any_resource()
        };
        if !self.is_search() && criterion.types.never(boolean) {
            return Err(PathError::NotBoolean(self.names(&criterion.types)));
        }
        let then = self.expr(then, &inner)?;
        let otherwise = match otherwise {
            Some(otherwise) => self.expr(otherwise, &inner)?,
            None => Typed::nothing(),
        };
        let mut types = then.types;
        types.add(&otherwise.types);
        let op = Op::Iif(
            Box::new(of.op),
            Box::new(criterion.op),
            Box::new(then.op),
            Box::new(otherwise.op),
        );
        Ok(Typed {
            op,
            types,
            ordered: then.ordered && otherwise.ordered,
            defined: of.defined,
        })
    }

    /// `sort(key, …)`; a key with a minus sign or `desc` goes down.
    fn sort(&self, of: Typed, keys: &[Expr], scope: &Scope) -> Result<Typed, PathError> {
        let inner = scope.of_items(&of);
        let mut compiled = Vec::with_capacity(keys.len().max(1));
        for key in keys {
            let (key, down) = match key {
                Expr::Negate(key) => (&**key, true),
                key => (key, false),
            };
            compiled.push((self.expr(key, &inner)?.op, down));
        }
        if compiled.is_empty() {
            compiled.push((Op::Focus, false));
        }
        Ok(Typed {
            op: Op::Sort(Box::new(of.op), compiled),
            ordered: true,
            types: of.types,
            defined: of.defined,
        })
    }

    fn type_call(
        &self,
        on: Option<&Expr>,
        name: &str,
        args: &[Expr],
        scope: &Scope,
    ) -> Result<Typed, PathError> {
        let [arg] = args else {
            return Err(arity(name, args.len()));
        };
        let Some(named) = arg.type_name() else {
            return Err(PathError::NoType(format!("{name}(…)")));
        };
        let on = on.unwrap_or(&Expr::This);
        if name == "is" {
            return self.is(on, &named, scope);
        }
        let of = self.expr(on, scope)?;
        self.cast(of, &named, name == "as")
    }

    /// Functions of the table.
    fn table(
        &self,
        of: Typed,
        name: &str,
        args: &[Expr],
        scope: &Scope,
    ) -> Result<Typed, PathError> {
        let Some(function) = Function::parse(name) else {
            return Err(if name == "slice" {
                PathError::Unsupported("slice(): it needs profiles".to_owned())
            } else if name == "elementDefinition" {
                let text = "elementDefinition(): the ElementDefinitions of FHIR are not held here";
                PathError::Unsupported(text.to_owned())
            } else if Function::OWN_NAMES.contains(&name) {
                arity(name, args.len())
            } else {
                PathError::NoFunction(name.to_owned())
            });
        };
        if !function.arguments().contains(&args.len()) {
            return Err(arity(name, args.len()));
        }
        if function.input() == Input::Text && of.types.never(|t| self.may_be_text(t)) {
            return Err(PathError::Input {
                function: function.as_str(),
                on: self.names(&of.types),
            });
        }
        if matches!(function, Function::Skip | Function::Take) {
            self.needs_order(&of)?;
        }
        let inner = scope.of_argument(&of);
        let mut ops = Vec::with_capacity(args.len());
        let mut arg_types = Kinds::default();
        for arg in args {
            let arg = self.expr(arg, &inner)?;
            arg_types.add(&arg.types);
            ops.push(arg.op);
        }
        if matches!(function, Function::Extension | Function::HasExtension)
            && let [Op::Literal(Item::String(url))] = ops.as_slice()
            && !of.types.any
        {
            return Ok(self.extension(of, url, function));
        }
        if let Some(regex) = fixed_pattern(function, &ops)? {
            return Ok(same_chain(of, System::Boolean, |op| {
                Op::Pattern(function, op, Box::new(regex), ops)
            })
            .with_types(self.output(function, &Kinds::default(), &arg_types)));
        }
        let types = self.output(function, &of.types, &arg_types);
        let ordered = !matches!(function, Function::Children | Function::Descendants) && of.ordered;
        Ok(Typed {
            op: Op::Call(function, Box::new(of.op), ops),
            types,
            ordered,
            defined: of.defined,
        })
    }

    fn may_be_text(&self, ty: Type) -> bool {
        match ty.as_system() {
            Some(system) => system == System::String,
            None => ty.is_primitive() && ty != Type::BOOLEAN,
        }
    }

    fn output(&self, function: Function, of: &Kinds, args: &Kinds) -> Kinds {
        match function {
            Function::Extension => return Kinds::of(&[self.types.extension()]),
            Function::Resolve => {
                return self
                    .types
                    .by_name("Resource")
                    .map_or(Kinds::any(), |t| Kinds::of(&[t]));
            }
            _ => {}
        }
        match function.output() {
            Output::Same => of.clone(),
            Output::Both => {
                let mut both = of.clone();
                both.add(args);
                both
            }
            Output::One(system) => Kinds::of(&[Type::system(system)]),
            Output::Number => Kinds::of(
                &[
                    System::Integer,
                    System::Long,
                    System::Decimal,
                    System::Quantity,
                ]
                .map(Type::system),
            ),
            Output::Any => Kinds::any(),
        }
    }

    fn extension(&self, of: Typed, url: &str, function: Function) -> Typed {
        if matches!(of.op, Op::Nothing) {
            return of;
        }
        let found = Typed {
            types: Kinds::of(&[self.types.extension()]),
            ..of.then(|op| step(op, Step::Extension(url.into())))
        };
        if function == Function::HasExtension {
            same_chain(found, System::Boolean, Op::Exists)
        } else {
            found
        }
    }
}

impl Typed {
    fn with_types(self, types: Kinds) -> Self {
        Self { types, ..self }
    }
}

/// A function of a chain that yields one value.
fn same_chain(of: Typed, system: System, make: impl FnOnce(Box<Op>) -> Op) -> Typed {
    let defined = of.defined;
    let mut typed = one(make(Box::new(of.op)), system);
    typed.defined = defined;
    typed
}

/// The pattern of a function that takes one, where it is a literal.
fn fixed_pattern(function: Function, args: &[Op]) -> Result<Option<Pattern>, PathError> {
    let full = match function {
        Function::Matches | Function::ReplaceMatches => false,
        Function::MatchesFull => true,
        _ => return Ok(None),
    };
    match args {
        [Op::Literal(Item::String(text))] | [Op::Literal(Item::String(text)), _]
            if function == Function::ReplaceMatches || args.len() == 1 =>
        {
            match pattern(text, full, "") {
                Ok(regex) => Ok(Some(regex)),
                Err(EvalError::Pattern(_)) => Err(PathError::Pattern(text.to_string())),
                Err(_) => Err(PathError::TooLarge),
            }
        }
        _ => Ok(None),
    }
}

/// Whether an operation asks for the index of the item it is evaluated for.
fn uses_index(op: &Op) -> bool {
    let mut found = matches!(op, Op::Index);
    if let Op::Path(_, steps) = op {
        found |= steps
            .iter()
            .any(|s| matches!(s, Step::Where(criteria) if uses_index(criteria)));
    }
    op.parts(&mut |part| found = found || uses_index(part));
    found
}
