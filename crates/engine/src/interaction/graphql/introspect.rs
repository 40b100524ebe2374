//! Introspection (`__schema`, `__type`): what can be asked, read from the definitions. Nothing of
//! what is stored is in it. It is written as it is selected, and counted apart from resources:
//! a whole schema has far more fields than any chart.

use async_graphql_parser::types::SelectionSet;
use fhir::json::push_json_string;

use super::collect::{Counted, Group, known_directives};
use super::filter::scalar;
use super::schema::{Argument, Around, Directive, FieldOf, Of, Schema, Type};
use super::select::Pass;
use super::{Checked, wrong};

/// Something of the schema.
#[derive(Clone, Copy)]
enum Node<'s> {
    Schema,
    Type(&'s Type),
    /// A type with something around it.
    Of(&'s [Around], &'s str),
    Field(&'s FieldOf),
    Argument(&'s Argument),
    Value(&'static str),
    Directive(&'s Directive),
}

/// What a field of a node is.
enum Is<'s> {
    Null,
    Bool(bool),
    Text(&'s str),
    Texts(&'s [&'static str]),
    One(Node<'s>),
    Many(Vec<Node<'s>>),
}

impl<'s> Node<'s> {
    const fn type_name(self) -> &'static str {
        match self {
            Self::Schema => "__Schema",
            Self::Type(_) | Self::Of(..) => "__Type",
            Self::Field(_) => "__Field",
            Self::Argument(_) => "__InputValue",
            Self::Value(_) => "__EnumValue",
            Self::Directive(_) => "__Directive",
        }
    }

    /// A type where it is used.
    fn used(of: &'s Of) -> Is<'s> {
        Is::One(Self::Of(of.around, &of.name))
    }

    fn args(args: &'s [Argument]) -> Is<'s> {
        Is::Many(args.iter().map(Node::Argument).collect())
    }

    /// A field of this name; none if there is none.
    fn get(self, name: &str, whole: &Whole<'s>) -> Option<Is<'s>> {
        let named = |all: &'s [std::borrow::Cow<'static, str>]| {
            let found = all.iter().filter_map(|name| whole.schema.type_named(name));
            Is::Many(found.map(Node::Type).collect())
        };
        Some(match (self, name) {
            (node, "__typename") => Is::Text(node.type_name()),
            (Self::Of([], of), name) => {
                let of = whole.schema.type_named(of)?;
                return Self::Type(of).get(name, whole);
            }
            (Self::Of([Around::List, ..], _), "kind") => Is::Text("LIST"),
            (Self::Of([Around::NonNull, ..], _), "kind") => Is::Text("NON_NULL"),
            (Self::Of([_, inner @ ..], of), "ofType") => Is::One(Self::Of(inner, of)),
            (Self::Type(of), "kind") => Is::Text(of.kind.as_str()),
            (Self::Type(of), "name") => Is::Text(&of.name),
            (Self::Type(of), "fields") if of.kind.has_fields() => {
                Is::Many(of.fields.iter().map(Node::Field).collect())
            }
            (Self::Type(of), "interfaces") if of.kind.has_fields() => named(&of.interfaces),
            (Self::Type(of), "possibleTypes") if !of.possible.is_empty() => named(&of.possible),
            (Self::Type(of), "enumValues") if !of.values.is_empty() => {
                Is::Many(of.values.iter().map(|v| Node::Value(v)).collect())
            }
            (
                Self::Type(_) | Self::Of(..),
                "name" | "fields" | "interfaces" | "possibleTypes" | "enumValues" | "inputFields"
                | "ofType" | "isOneOf" | "specifiedByURL",
            ) => Is::Null,
            (Self::Schema, "types") => {
                Is::Many(whole.schema.types().iter().map(Node::Type).collect())
            }
            (Self::Schema, "queryType") => Is::One(Node::Of(&[], whole.root)),
            (Self::Schema, "mutationType" | "subscriptionType") => Is::Null,
            (Self::Schema, "directives") => Is::Many(
                whole
                    .schema
                    .directives
                    .iter()
                    .map(Node::Directive)
                    .collect(),
            ),
            (Self::Field(of), "name") => Is::Text(&of.name),
            (Self::Field(of), "args") => Self::args(&of.args),
            (Self::Field(of), "type") => Self::used(&of.of),
            (Self::Argument(of), "name") => Is::Text(&of.name),
            (Self::Argument(of), "type") => Self::used(&of.of),
            (Self::Argument(_), "defaultValue") => Is::Null,
            (Self::Value(name), "name") => Is::Text(name),
            (Self::Directive(of), "name") => Is::Text(of.name),
            (Self::Directive(of), "locations") => Is::Texts(of.locations),
            (Self::Directive(of), "args") => Self::args(&of.args),
            (Self::Directive(_), "isRepeatable") => Is::Bool(false),
            (Self::Field(_) | Self::Argument(_) | Self::Value(_), "isDeprecated") => {
                Is::Bool(false)
            }
            (Self::Field(_) | Self::Argument(_) | Self::Value(_), "deprecationReason")
            | (_, "description") => Is::Null,
            _ => return None,
        })
    }
}

/// What is told of: a version's schema, and what is asked first.
struct Whole<'s> {
    schema: &'s Schema,
    root: &'s str,
}

impl<'p> Pass<'p> {
    /// `__schema` or `__type`, as JSON; none for another field. `root` is the type that the
    /// document is asked of.
    pub(super) fn introspected(&self, root: &str, group: &Group<'p>) -> Checked<Option<String>> {
        let name = group.field.name.node.as_str();
        if !matches!(name, "__schema" | "__type") {
            return Ok(None);
        }
        known_directives(group)?;
        let key = group.place();
        if let Some(known) = self.loaded.schema.borrow().get(&key) {
            self.weigh(known.len(), group.at)?;
            return Ok(Some(known.clone()));
        }
        let whole = Whole {
            schema: self.schema(),
            root,
        };
        let mut asked = None;
        for (argument, written) in &group.field.arguments {
            match (name, self.document.value(&written.node, written.pos)?) {
                ("__type", value) if argument.node == "name" => {
                    asked = Some(scalar(&value, written.pos)?);
                }
                _ => {
                    return wrong(
                        format!("there is no argument {} here", argument.node),
                        written.pos,
                    );
                }
            }
        }
        let node = match (name, asked) {
            ("__schema", _) => Some(Node::Schema),
            (_, Some(name)) => whole.schema.type_named(&name).map(Node::Type),
            (_, None) => return wrong("__type needs \"name\"", group.at),
        };
        let mut out = String::new();
        match node {
            Some(node) => self.node(&whole, node, group, 1, &mut out)?,
            None => out.push_str("null"),
        }
        self.weigh(out.len(), group.at)?;
        self.loaded.schema.borrow_mut().insert(key, out.clone());
        Ok(Some(out))
    }

    fn node(
        &self,
        whole: &Whole<'_>,
        node: Node<'_>,
        of: &Group<'p>,
        depth: u64,
        out: &mut String,
    ) -> Checked<()> {
        out.push('{');
        for (at, group) in self.merged(node, &of.sets, depth)?.iter().enumerate() {
            known_directives(group)?;
            let name = group.field.name.node.as_str();
            let Some(is) = node.get(name, whole) else {
                return wrong(
                    format!("{} has no field {name}", node.type_name()),
                    group.at,
                );
            };
            if at > 0 {
                out.push(',');
            }
            push_json_string(group.key(), out);
            out.push(':');
            match (&is, group.selects()) {
                (Is::Bool(_) | Is::Text(_) | Is::Texts(_), true) => {
                    return wrong("this field has no fields", group.at);
                }
                (Is::One(_) | Is::Many(_), false) => {
                    return wrong("fields of this field must be selected", group.at);
                }
                _ => {}
            }
            match is {
                Is::Null => out.push_str("null"),
                Is::Bool(value) => out.push_str(if value { "true" } else { "false" }),
                Is::Text(text) => push_json_string(text, out),
                Is::Texts(all) => listed(all, out, |text, out| {
                    push_json_string(text, out);
                    Ok(())
                })?,
                Is::One(node) => self.node(whole, node, group, depth + 1, out)?,
                Is::Many(all) => {
                    listed(&all, out, |node, out| {
                        self.node(whole, *node, group, depth + 1, out)
                    })?;
                }
            }
            self.bounded(out.len(), group.at)?;
        }
        out.push('}');
        Ok(())
    }

    /// What is selected of a node, each name once.
    fn merged(
        &self,
        node: Node<'_>,
        sets: &[&'p SelectionSet],
        depth: u64,
    ) -> Checked<Vec<Group<'p>>> {
        let is_it = |name: &str| name == node.type_name();
        let all = self.collect_counted(sets, &is_it, (depth, Counted::Schema))?;
        let mut merged: Vec<Group<'p>> = Vec::with_capacity(all.len());
        for group in all {
            match merged.iter_mut().find(|known| known.key() == group.key()) {
                Some(known) if known.field.name.node == group.field.name.node => {
                    known.sets.extend(group.sets);
                }
                Some(_) => {
                    let text = format!("two different fields are called {}", group.key());
                    return wrong(text, group.at);
                }
                None => merged.push(group),
            }
        }
        Ok(merged)
    }
}

fn listed<T>(
    all: &[T],
    out: &mut String,
    mut each: impl FnMut(&T, &mut String) -> Checked<()>,
) -> Checked<()> {
    out.push('[');
    for (at, one) in all.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        each(one, out)?;
    }
    out.push(']');
    Ok(())
}
