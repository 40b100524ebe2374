//! Variables: those that FHIR fixes, those that the caller hands in, and `defineVariable()`.

use std::borrow::Cow;

use super::super::PathError;
use super::super::ast::{Expr, Literal};
use super::super::item::Item;
use super::super::plan::Op;
use super::super::types::System;
use super::{Compiler, Kinds, Scope, Typed, one};

/// A variable that `defineVariable()` fills.
#[derive(Clone, Debug)]
pub(super) struct Defined {
    /// Its name, unless that is computed.
    name: Option<Box<str>>,
    slot: usize,
    types: Kinds,
}

/// Names that no expression can define.
const FIXED: [&str; 9] = [
    "sct",
    "loinc",
    "ucum",
    "context",
    "resource",
    "rootResource",
    "terminologies",
    "factory",
    "server",
];

impl Compiler<'_> {
    /// Whether a caller or the expression itself gives a name of the standard's another meaning.
    pub(super) fn is_defined(&self, name: &str, scope: &Scope) -> bool {
        let known = |d: &Defined| d.name.as_deref() == Some(name);
        scope.defined.iter().any(known) || self.settings.variables.contains(&name)
    }

    pub(super) fn variable(&self, name: &str, scope: &Scope) -> Result<Typed, PathError> {
        let text = |text: String| {
            Ok(one(
                Op::Literal(Item::String(Cow::Owned(text))),
                System::String,
            ))
        };
        match name {
            "resource" => return Ok(self.whole()),
            "rootResource" => {
                return Ok(Typed::new(Op::Root, Kinds::of(self.resource.as_slice())));
            }
            "context" => return Ok(Typed::new(Op::Context, self.context.clone())),
            "sct" => return text("http://snomed.info/sct".to_owned()),
            "loinc" => return text("http://loinc.org".to_owned()),
            "ucum" => return text(crate::ucum::SYSTEM.to_owned()),
            _ => {}
        }
        if let Some(set) = name.strip_prefix("vs-") {
            return text(format!("http://hl7.org/fhir/ValueSet/{set}"));
        }
        if let Some(extension) = name.strip_prefix("ext-") {
            return text(format!(
                "http://hl7.org/fhir/StructureDefinition/{extension}"
            ));
        }
        let known = |d: &&Defined| d.name.as_deref() == Some(name);
        if let Some(defined) = scope.defined.iter().rev().find(known) {
            return Ok(Typed::new(Op::Slot(defined.slot), defined.types.clone()));
        }
        if self.settings.variables.contains(&name) {
            return Ok(Typed::new(Op::Variable(name.into()), Kinds::any()));
        }
        let computed: Box<[usize]> = scope
            .defined
            .iter()
            .filter(|d| d.name.is_none())
            .map(|d| d.slot)
            .collect();
        if !computed.is_empty() {
            return Ok(Typed::new(
                Op::NamedSlot(name.into(), computed),
                Kinds::any(),
            ));
        }
        Err(if matches!(name, "terminologies" | "factory" | "server") {
            PathError::Unsupported(format!("%{name} without one of its functions"))
        } else {
            PathError::NoVariable(format!("%{name}"))
        })
    }

    /// `defineVariable(name [, value])`: seen by what follows in the chain. The value is computed
    /// over the whole input.
    pub(super) fn define(
        &self,
        mut of: Typed,
        args: &[Expr],
        scope: &Scope,
    ) -> Result<Typed, PathError> {
        let (name_expr, value) = match args {
            [name] => (name, None),
            [name, value] => (name, Some(value)),
            _ => return Err(super::function::arity("defineVariable", args.len())),
        };
        let inner = Scope {
            focus: of.types.clone(),
            ..scope.of_argument(&of)
        };
        let name = match name_expr {
            Expr::Literal(Literal::String(name)) => Some(name.clone()),
            _ => None,
        };
        if let Some(name) = &name {
            let fixed = FIXED.contains(&&**name)
                || name.starts_with("vs-")
                || name.starts_with("ext-")
                || self.settings.variables.contains(&&**name);
            let known = inner.defined.iter().any(|d| d.name.as_ref() == Some(name));
            if fixed || known {
                return Err(PathError::Defined(name.to_string()));
            }
        }
        let name_op = self.expr(name_expr, &inner)?.op;
        let (value_op, types) = match value {
            Some(value) => {
                let value = self.expr(value, &inner)?;
                (Some(Box::new(value.op)), value.types)
            }
            None => (None, of.types.clone()),
        };
        let slot = self.slots.get();
        self.slots.set(slot + 1);
        of.defined.push(Defined { name, slot, types });
        Ok(of.then(|op| Op::Define(Box::new(op), slot, Box::new(name_op), value_op)))
    }
}
