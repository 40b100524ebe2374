//! The functions that plans can hold.

use super::super::PathError;
use super::super::ast::{Expr, Literal};
use super::{Compiler, Op, Step, Type, Typed, slice, step, unsupported};

impl Compiler<'_> {
    pub(super) fn call(
        &self,
        on: Option<&Expr>,
        name: &str,
        args: &[Expr],
        focus: &[Type],
    ) -> Result<Typed, PathError> {
        if matches!(name, "is" | "as" | "ofType") {
            return self.type_call(on, name, args, focus);
        }
        let of = match on {
            Some(on) => self.expr(on, focus)?,
            None => Typed {
                op: Op::Focus,
                types: focus.to_vec(),
            },
        };
        let criteria = |arg: &Expr| self.expr(arg, &of.types).map(|t| Box::new(t.op));
        match (name, args) {
            ("where", [arg]) => {
                let criteria = criteria(arg)?;
                let op = match of.op {
                    Op::Nothing => Op::Nothing,
                    Op::Focus | Op::Resource | Op::Path(..) => step(of.op, Step::Where(criteria)),
                    op => Op::Where(Box::new(op), criteria),
                };
                Ok(Typed {
                    op,
                    types: of.types,
                })
            }
            ("select", [arg]) => {
                let projection = self.expr(arg, &of.types)?;
                let op = Op::Select(Box::new(of.op), Box::new(projection.op));
                Ok(Typed {
                    op,
                    types: projection.types,
                })
            }
            ("count", []) => Ok(Typed {
                op: Op::Count(Box::new(of.op)),
                types: vec![Type::INTEGER],
            }),
            ("first", []) => Ok(slice(of, 0, 1)),
            ("tail", []) => Ok(slice(of, 1, usize::MAX)),
            ("last", []) => Ok(Typed {
                op: Op::Last(Box::new(of.op)),
                types: of.types,
            }),
            ("skip", [arg]) => Ok(slice(of, count(arg)?, usize::MAX)),
            ("take", [arg]) => Ok(slice(of, 0, count(arg)?)),
            ("extension", [arg]) => Ok(self.extension(of, arg)?),
            _ => self.boolean_call(of, name, args),
        }
    }

    /// Functions that answer a boolean.
    fn boolean_call(&self, of: Typed, name: &str, args: &[Expr]) -> Result<Typed, PathError> {
        let criteria = |arg: &Expr| self.expr(arg, &of.types).map(|t| Box::new(t.op));
        let op = match (name, args) {
            ("exists", []) => Op::Exists(Box::new(of.op)),
            ("exists", [arg]) => {
                let criteria = criteria(arg)?;
                Op::Exists(Box::new(Op::Where(Box::new(of.op), criteria)))
            }
            ("all", [arg]) => {
                let criteria = criteria(arg)?;
                Op::All(Box::new(of.op), criteria)
            }
            ("empty", []) => Op::Not(Box::new(Op::Exists(Box::new(of.op)))),
            ("not", []) => Op::Not(Box::new(of.op)),
            ("hasExtension", [arg]) => Op::Exists(Box::new(self.extension(of, arg)?.op)),
            ("resolve", _) => {
                return Err(unsupported("resolve() other than in `resolve() is Type`"));
            }
            (_, args) => {
                return Err(unsupported(&format!(
                    "{name}() with {} arguments",
                    args.len()
                )));
            }
        };
        Ok(Typed::boolean(op))
    }

    fn type_call(
        &self,
        on: Option<&Expr>,
        name: &str,
        args: &[Expr],
        focus: &[Type],
    ) -> Result<Typed, PathError> {
        let [arg] = args else {
            return Err(unsupported(&format!("{name}() without one type")));
        };
        let named = arg
            .type_name()
            .ok_or_else(|| unsupported(&format!("{name}() of no type")))?;
        let ty = self.type_named(&named)?;
        let on = on.unwrap_or(&Expr::This);
        if name == "is" {
            return self.is(on, ty, focus);
        }
        Ok(self.of_type(self.expr(on, focus)?, ty))
    }

    fn extension(&self, of: Typed, url: &Expr) -> Result<Typed, PathError> {
        let Expr::Literal(Literal::String(url)) = url else {
            return Err(unsupported("extension() of anything but a literal"));
        };
        if matches!(of.op, Op::Nothing) {
            return Ok(of);
        }
        let op = step(of.op, Step::Extension(url.clone()));
        Ok(Typed {
            op,
            types: vec![self.types.extension()],
        })
    }
}

fn count(arg: &Expr) -> Result<usize, PathError> {
    match arg {
        Expr::Literal(Literal::Number(n)) => n
            .parse()
            .map_err(|_| unsupported("a count that is no integer")),
        _ => Err(unsupported("a count that is no literal")),
    }
}
