//! What a request of `$graphql` holds: the document, the operation meant, and values for its
//! variables.

use std::collections::HashMap;

use async_graphql_parser::types::{
    DocumentOperations, ExecutableDocument, FragmentDefinition, OperationDefinition, OperationType,
    SelectionSet,
};
use async_graphql_parser::{Pos, parse_query};
use async_graphql_value::{ConstValue, Name, Value};
use base::{Code, Limits};
use fhir::definitions::Model;

use super::super::admit::is_blank;
use super::super::operation::{Input, parameters};
use super::{Checked, Fault, rules, wrong};
use crate::form;

/// A document that can be evaluated.
pub(super) struct Document {
    parsed: ExecutableDocument,
    operation: OperationDefinition,
    variables: HashMap<Name, ConstValue>,
    pub(super) depth_max: u64,
    pub(super) fields_max: u64,
}

/// The parts of a request.
#[derive(Default)]
struct Asked {
    query: String,
    operation: Option<String>,
    variables: serde_json::Map<String, serde_json::Value>,
}

fn fault(text: impl Into<String>, at: Option<Pos>) -> Fault {
    Fault {
        code: Code::GraphqlInvalid,
        text: text.into(),
        at: at.map(|at| (at.line, at.column)),
    }
}

fn object(value: serde_json::Value) -> Result<serde_json::Map<String, serde_json::Value>, Fault> {
    match value {
        serde_json::Value::Object(map) => Ok(map),
        serde_json::Value::Null => Ok(serde_json::Map::new()),
        _ => Err(fault("variables are a JSON object", None)),
    }
}

impl Asked {
    /// From the URL or a form, and from a body: `{"query", "operationName", "variables"}`, or
    /// Parameters.
    fn read(input: Input<'_>, limits: &Limits) -> Result<Self, Fault> {
        let mut asked = Self::default();
        let mut named = |name: &str, value: String| -> Result<(), Fault> {
            match name {
                "query" => asked.query = value,
                "operationName" => asked.operation = Some(value),
                "variables" => {
                    let read = serde_json::from_str(&value);
                    let read = read.map_err(|_| fault("variables are not JSON", None))?;
                    asked.variables = object(read)?;
                }
                _ => {}
            }
            Ok(())
        };
        for (name, value) in form::pairs(input.query) {
            named(&name, value.into_owned())?;
        }
        if !is_blank(input.body) {
            let mut body: serde_json::Value = serde_json::from_slice(input.body)
                .map_err(|error| fault(format!("the body is not JSON: {error}"), None))?;
            if body.get("resourceType").is_some() {
                let depth_max = usize::try_from(limits.json_depth_max).unwrap_or(usize::MAX);
                let simple = parameters::simple(input.body, depth_max);
                for (name, value) in simple.map_err(|f| fault(f.text().to_owned(), None))? {
                    named(&name, value)?;
                }
            } else {
                for name in ["query", "operationName"] {
                    if let Some(serde_json::Value::String(text)) = body.get(name) {
                        named(name, text.clone())?;
                    }
                }
                if let Some(variables) = body.get_mut("variables") {
                    asked.variables = object(variables.take())?;
                }
            }
        }
        Ok(asked)
    }
}

impl Document {
    pub(super) fn read(input: Input<'_>, limits: &Limits) -> Result<Self, Fault> {
        let asked = Asked::read(input, limits)?;
        if asked.query.is_empty() {
            return Err(fault("a query is expected", None));
        }
        let parsed = parse_query(&asked.query).map_err(|error| {
            let at = error.positions().next();
            fault(format!("not a GraphQL document: {error}"), at)
        })?;
        let operation = match (&parsed.operations, &asked.operation) {
            (DocumentOperations::Single(only), None) => Some(only),
            (DocumentOperations::Single(_), Some(_)) => None,
            (DocumentOperations::Multiple(all), Some(name)) => all.get(name.as_str()),
            (DocumentOperations::Multiple(all), None) if all.len() == 1 => all.values().next(),
            (DocumentOperations::Multiple(_), None) => {
                return Err(fault("several operations: operationName is needed", None));
            }
        };
        let operation = operation
            .ok_or_else(|| fault("the document has no operation of this name", None))?
            .clone();
        if operation.node.ty != OperationType::Query {
            return Err(fault("only queries are answered", Some(operation.pos)));
        }
        let variables = variables(&operation.node, asked.variables)?;
        Ok(Self {
            operation: operation.node,
            parsed,
            variables,
            depth_max: limits.graphql_depth_max,
            fields_max: limits.graphql_fields_max,
        })
    }

    /// Whether it is as GraphQL wants it; `root` is the type that it is asked of.
    pub(super) fn check(&self, model: &'static Model, root: &str, limits: &Limits) -> Checked<()> {
        rules::check(&self.parsed, (model, root), limits)
    }

    /// What the operation selects.
    pub(super) fn selection(&self) -> &SelectionSet {
        &self.operation.selection_set.node
    }

    pub(super) fn fragment(&self, name: &str) -> Option<&FragmentDefinition> {
        self.parsed.fragments.get(name).map(|f| &f.node)
    }

    /// A value with its variables filled in.
    pub(super) fn value(&self, value: &Value, at: Pos) -> Checked<ConstValue> {
        let filled = value
            .clone()
            .into_const_with(|name| self.variables.get(&name).cloned().ok_or(name));
        match filled {
            Ok(value) => Ok(value),
            Err(name) => wrong(format!("the variable ${name} is not declared"), at),
        }
    }
}

fn variables(
    operation: &OperationDefinition,
    mut given: serde_json::Map<String, serde_json::Value>,
) -> Result<HashMap<Name, ConstValue>, Fault> {
    let mut variables = HashMap::new();
    for definition in &operation.variable_definitions {
        let (at, definition) = (definition.pos, &definition.node);
        let name = definition.name.node.clone();
        let value = match given.remove(name.as_str()) {
            Some(value) => Some(
                ConstValue::from_json(value)
                    .map_err(|_| fault(format!("${name} has a value that is none"), Some(at)))?,
            ),
            None => definition.default_value().cloned(),
        };
        let missing = value.as_ref().is_none_or(|v| *v == ConstValue::Null);
        if missing && !definition.var_type.node.nullable {
            return Err(fault(
                format!("the variable ${name} needs a value"),
                Some(at),
            ));
        }
        variables.insert(name, value.unwrap_or(ConstValue::Null));
    }
    Ok(variables)
}
