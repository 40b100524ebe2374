//! Variables of a document as GraphQL wants them (sections 5.8.2 and 5.8.5 of its specification): of
//! types that can be given, and used only where a value of their type may stand. Arguments that the
//! schema does not know, such as a tenant's own parameters, are looked at where they are used.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use async_graphql_parser::types::{
    BaseType, Directive, ExecutableDocument, Field, Selection, SelectionSet, Type as Written,
    VariableDefinition,
};
use async_graphql_parser::{Pos, Positioned};
use async_graphql_value::{ConstValue, Name, Value};

use super::schema::{Argument, Around, Of, Schema, Type, TypeKind};
use super::{Checked, wrong};

/// Checks the variables of all operations; `root` is the type that the document is asked of.
pub(super) fn check(
    document: &ExecutableDocument,
    schema: &'static Schema,
    root: Option<&'static Type>,
) -> Checked<()> {
    for (_, operation) in document.operations.iter() {
        let operation = &operation.node;
        let mut variables = HashMap::new();
        for definition in &operation.variable_definitions {
            is_input(schema, &definition.node.var_type)?;
            let name = definition.node.name.node.as_str();
            variables.insert(name, &definition.node);
        }
        if variables.is_empty() {
            continue;
        }
        let mut uses = Uses {
            document,
            schema,
            variables,
            seen: HashSet::new(),
        };
        uses.directives(&operation.directives)?;
        uses.set(&operation.selection_set.node, root)?;
    }
    Ok(())
}

/// The type of a variable is one whose values can be given.
fn is_input(schema: &Schema, written: &Positioned<Written>) -> Checked<()> {
    let mut base = &written.node.base;
    let name = loop {
        match base {
            BaseType::Named(name) => break name.as_str(),
            BaseType::List(inner) => base = &inner.base,
        }
    };
    match schema.type_named(name) {
        None => wrong(format!("there is no type {name}"), written.pos),
        Some(of) if !matches!(of.kind, TypeKind::Scalar | TypeKind::Enum) => {
            wrong(format!("a variable cannot be a {name}"), written.pos)
        }
        Some(_) => Ok(()),
    }
}

/// The argument of `__type`, which no type has as a field.
const fn of_introspection() -> Argument {
    Argument {
        name: Cow::Borrowed("name"),
        of: Of {
            around: &[Around::NonNull],
            name: Cow::Borrowed("String"),
        },
    }
}

/// Where the variables of one operation are used.
struct Uses<'d> {
    document: &'d ExecutableDocument,
    schema: &'static Schema,
    variables: HashMap<&'d str, &'d VariableDefinition>,
    /// Fragments that were looked at.
    seen: HashSet<&'d str>,
}

impl<'d> Uses<'d> {
    /// What is selected from something of a type, where that is known.
    fn set(&mut self, set: &'d SelectionSet, of: Option<&'static Type>) -> Checked<()> {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => self.field(&field.node, of)?,
                Selection::InlineFragment(inline) => {
                    let inline = &inline.node;
                    self.directives(&inline.directives)?;
                    let of = match &inline.type_condition {
                        Some(on) => self.schema.type_named(&on.node.on.node),
                        None => of,
                    };
                    self.set(&inline.selection_set.node, of)?;
                }
                Selection::FragmentSpread(spread) => {
                    self.directives(&spread.node.directives)?;
                    let name = spread.node.fragment_name.node.as_str();
                    let fragment = self.document.fragments.get(name);
                    if let Some(fragment) = fragment.filter(|_| self.seen.insert(name)) {
                        let fragment = &fragment.node;
                        let on = &fragment.type_condition.node.on.node;
                        let of = self.schema.type_named(on);
                        self.set(&fragment.selection_set.node, of)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn field(&mut self, field: &'d Field, of: Option<&'static Type>) -> Checked<()> {
        self.directives(&field.directives)?;
        let name = field.name.node.as_str();
        let known = of.and_then(|of| of.fields.iter().find(|f| f.name == name));
        match name {
            "__type" => self.arguments(&field.arguments, &[of_introspection()])?,
            _ => self.arguments(&field.arguments, known.map_or(&[], |f| &f.args))?,
        }
        let found = match name {
            "__schema" => Some("__Schema"),
            "__type" => Some("__Type"),
            _ => known.map(|f| &*f.of.name),
        };
        let of = found.and_then(|name| self.schema.type_named(name));
        self.set(&field.selection_set.node, of)
    }

    /// Their arguments are asked for, but variables that may be null may stand there, as they do in HL7's
    /// cases: whether there is a value is seen where it is used.
    fn directives(&self, all: &'d [Positioned<Directive>]) -> Checked<()> {
        for directive in all {
            let name = directive.node.name.node.as_str();
            let known = self.schema.directives.iter().find(|d| d.name == name);
            let known = known.map_or(&[][..], |d| &d.args);
            let known: Vec<Argument> = known.iter().map(Argument::or_null).collect();
            self.arguments(&directive.node.arguments, &known)?;
        }
        Ok(())
    }

    fn arguments(
        &self,
        all: &'d [(Positioned<Name>, Positioned<Value>)],
        known: &[Argument],
    ) -> Checked<()> {
        for (name, value) in all {
            if let Some(argument) = known.iter().find(|a| a.name == name.node.as_str()) {
                let Of { around, name } = &argument.of;
                self.value(&value.node, value.pos, (around, name))?;
            }
        }
        Ok(())
    }

    fn value(&self, value: &Value, at: Pos, of: (&[Around], &str)) -> Checked<()> {
        match value {
            Value::Variable(name) => {
                let Some(definition) = self.variables.get(name.as_str()) else {
                    return Ok(());
                };
                if may_stand(definition, of) {
                    return Ok(());
                }
                let (is, wanted) = (&definition.var_type.node, shown(of));
                wrong(format!("${name} is of {is}, and {wanted} is expected"), at)
            }
            Value::List(items) => {
                let (around, name) = of;
                let ([Around::List, inner @ ..] | [Around::NonNull, Around::List, inner @ ..]) =
                    around
                else {
                    return Ok(());
                };
                let each = |item| self.value(item, at, (inner, name));
                items.iter().try_for_each(each)
            }
            _ => Ok(()),
        }
    }
}

/// Whether the values of a variable may stand where such are expected.
fn may_stand(definition: &VariableDefinition, of: (&[Around], &str)) -> bool {
    let written = &definition.var_type.node;
    let given = definition.default_value();
    let has_default = given.is_some_and(|value| *value != ConstValue::Null);
    match of {
        // What is given where nothing else is makes up for it.
        ([Around::NonNull, inner @ ..], name) if written.nullable && has_default => {
            fits(written, (inner, name))
        }
        of => fits(written, of),
    }
}

/// Whether each value of a type is one of the other.
fn fits(written: &Written, of: (&[Around], &str)) -> bool {
    let of = match of {
        ([Around::NonNull, inner @ ..], name) if !written.nullable => (inner, name),
        ([Around::NonNull, ..], _) => return false,
        of => of,
    };
    match (&written.base, of) {
        (BaseType::List(item), ([Around::List, inner @ ..], name)) => fits(item, (inner, name)),
        (BaseType::Named(is), ([], name)) => is == name,
        _ => false,
    }
}

/// A type as documents write it.
fn shown((around, name): (&[Around], &str)) -> String {
    match around {
        [] => name.to_owned(),
        [Around::List, inner @ ..] => format!("[{}]", shown((inner, name))),
        [Around::NonNull, inner @ ..] => format!("{}!", shown((inner, name))),
    }
}
