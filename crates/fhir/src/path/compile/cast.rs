//! `is`, `as` and `ofType`: the names of types.

use super::super::PathError;
use super::super::ast::{Expr, TypeName};
use super::super::plan::{Op, Step, Test};
use super::super::types::{System, Type};
use super::{Compiler, Kinds, Scope, Typed, ends_in_child, fail_type, one, step};

impl Compiler<'_> {
    pub(super) fn is(&self, of: &Expr, name: &TypeName, scope: &Scope) -> Result<Typed, PathError> {
        let Some(test) = self.test(name)? else {
            return Ok(fail_type(name));
        };
        if let Expr::Call(on, function, args) = of
            && &**function == "resolve"
            && args.is_empty()
        {
            let on = match on {
                Some(on) => self.expr(on, scope)?.op,
                None => Op::Focus,
            };
            return Ok(one(Op::ResolvesTo(Box::new(on), test), System::Boolean));
        }
        let of = self.expr(of, scope)?;
        Ok(one(Op::Is(Box::new(of.op), test), System::Boolean))
    }

    /// The type that a name stands for: of the model first, then of FHIRPath. `None`: no such type,
    /// which is told when it is evaluated.
    fn test(&self, name: &TypeName) -> Result<Option<Test>, PathError> {
        let fhir = || self.types.by_name(&name.name);
        let system = || System::parse(&name.name).filter(|s| *s != System::TypeInfo);
        if self.is_search() {
            // Wrong case (`DateTime`) and FHIRPath's own types are the model's primitives there.
            let lower = || {
                let mut chars = name.name.chars();
                let first = chars.next()?.to_lowercase();
                self.types.by_name(&first.chain(chars).collect::<String>())
            };
            return match fhir().or_else(lower) {
                Some(ty) => Ok(Some(Test::Fhir(ty, false))),
                None => Err(PathError::NoType(name.name.to_string())),
            };
        }
        Ok(match name.namespace.as_deref() {
            Some("FHIR") => fhir().map(|ty| Test::Fhir(ty, false)),
            Some("System") => Some(system().map_or(Test::Never, Test::System)),
            Some(_) => None,
            None => match (fhir(), system()) {
                (Some(ty), Some(system)) => Some(Test::Either(ty, system)),
                (Some(ty), None) => Some(Test::Fhir(ty, false)),
                (None, system) => system.map(Test::System),
            },
        })
    }

    /// `as` (of one item) and `ofType`.
    pub(super) fn cast(
        &self,
        of: Typed,
        name: &TypeName,
        single: bool,
    ) -> Result<Typed, PathError> {
        let Some(test) = self.test(name)? else {
            return Ok(fail_type(name));
        };
        if self.is_search() {
            return Ok(self.narrow(of, test));
        }
        let types = Kinds::of(&test.types());
        let defined = of.defined;
        let ordered = of.ordered;
        let op = match of.op {
            Op::Nothing => Op::Nothing,
            Op::Path(..) if !single => step(of.op, Step::OfType(test.exact())),
            op => Op::OfType(Box::new(op), test.exact(), single),
        };
        Ok(Typed {
            op,
            types,
            ordered,
            defined,
        })
    }

    /// Items of a type, for search. A choice of types that was just taken is narrowed to the keys
    /// that fit.
    fn narrow(&self, mut of: Typed, test: Test) -> Typed {
        let Test::Fhir(ty, _) = test else { return of };
        if let Op::Path(_, path) = &mut of.op
            && let Some(Step::Child(children)) = path.last_mut()
        {
            for child in children.iter_mut() {
                child
                    .fields
                    .retain(|f| self.types.is_a(f.ty, ty) || f.ty.is_any_resource());
            }
            children.retain(|c| !c.fields.is_empty());
        }
        let list = &of.types.list;
        let dynamic = of.types.any || list.iter().any(|t| t.is_any_resource());
        let kept: Vec<Type> = list
            .iter()
            .copied()
            .filter(|t| self.types.is_a(*t, ty))
            .collect();
        if kept.is_empty() && !dynamic && !list.is_empty() {
            return Typed::nothing();
        }
        let certain = !dynamic && ends_in_child(&of.op);
        let kept = if dynamic { vec![ty] } else { kept };
        let op = if certain {
            of.op
        } else if matches!(of.op, Op::Path(..)) {
            step(of.op, Step::OfType(test))
        } else {
            Op::OfType(Box::new(of.op), test, false)
        };
        Typed {
            op,
            types: Kinds::of(&kept),
            ordered: of.ordered,
            defined: of.defined,
        }
    }
}
