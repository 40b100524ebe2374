//! What GraphQL wants of a document before it is answered (sections 5.3 to 5.8 of its specification),
//! whatever data there is: nothing is said twice, what is defined is used and what is used is
//! defined (fragments, variables, directives), variables stand where they may, fragments may apply,
//! fields of one name in the answer are the same field, and where they are of objects of different
//! types, of one shape. Which elements there are is found out where they are looked at.

use std::collections::{HashMap, HashSet};

use async_graphql_parser::types::{
    Directive, ExecutableDocument, Field, FragmentDefinition, OperationDefinition, Selection,
    SelectionSet, TypeCondition,
};
use async_graphql_parser::{Pos, Positioned};
use async_graphql_value::{Name, Value};
use base::Limits;
use fhir::definitions::Model;

use super::collect::{is_same, over};
use super::schema::{Of, Schema, Type, TypeKind};
use super::{Checked, variables, wrong};

/// A selection set, and the type that it selects from where that is known.
type Set<'d> = (&'d SelectionSet, Option<&'static Type>);

/// Fields that make one of the answer.
type Same<'d> = Vec<(Option<&'static Type>, &'d Positioned<Field>)>;

/// Checks all operations of a document; `root` is the type that they are asked of.
pub(super) fn check(
    document: &ExecutableDocument,
    (model, root): (&'static Model, &str),
    limits: &Limits,
) -> Checked<()> {
    let mut plain = Plain {
        document,
        spreads: HashMap::new(),
        uses: HashMap::new(),
        operations: Vec::new(),
        conditions: false,
    };
    plain.whole()?;
    plain.fragments()?;
    plain.variables()?;
    let mut operations = document.operations.iter();
    if operations.any(|(_, o)| !o.node.variable_definitions.is_empty()) {
        let schema = Schema::of(model);
        variables::check(document, schema, schema.type_named(root))?;
    }
    // Without conditions all that is selected from one object is of one type.
    let schema = plain.conditions.then(|| Schema::of(model));
    let mut merging = Merging {
        document,
        schema,
        seen: HashSet::new(),
        count: 0,
        limits,
    };
    for (_, operation) in document.operations.iter() {
        let of = schema.and_then(|s| s.type_named(root));
        let set = &operation.node.selection_set.node;
        merging.sets(&[(set, of)], 0)?;
    }
    // Of one object all are the same fields: only what may be of several has shapes that differ.
    if schema.is_some() {
        (merging.seen, merging.count) = (HashSet::new(), 0);
        for (_, operation) in document.operations.iter() {
            let of = schema.and_then(|s| s.type_named(root));
            merging.shapes(&[(&operation.node.selection_set.node, of)], 0)?;
        }
    }
    Ok(())
}

/// What is seen without types.
struct Plain<'d> {
    document: &'d ExecutableDocument,
    /// The fragments that a fragment, or (`""`) the operation that is looked at, spreads.
    spreads: HashMap<&'d str, Vec<&'d str>>,
    /// The variables that it uses, and where.
    uses: HashMap<&'d str, Vec<(&'d str, Pos)>>,
    operations: Vec<Own<'d>>,
    /// Whether some fragment is about a type.
    conditions: bool,
}

/// An operation, and what is written in it itself.
struct Own<'d> {
    operation: &'d OperationDefinition,
    spreads: Vec<&'d str>,
    uses: Vec<(&'d str, Pos)>,
}

impl<'d> Plain<'d> {
    fn whole(&mut self) -> Checked<()> {
        for (_, operation) in self.document.operations.iter() {
            let operation = &operation.node;
            let variables = operation.variable_definitions.iter();
            once(variables.map(|v| &v.node.name), "the variable $")?;
            self.directives("", &operation.directives, Place::Definition)?;
            self.set("", &operation.selection_set.node)?;
            let (spreads, uses) = (self.spreads.remove(""), self.uses.remove(""));
            self.operations.push(Own {
                operation,
                spreads: spreads.unwrap_or_default(),
                uses: uses.unwrap_or_default(),
            });
        }
        for (name, fragment) in &self.document.fragments {
            self.conditions = true;
            self.directives(name, &fragment.node.directives, Place::Definition)?;
            self.set(name, &fragment.node.selection_set.node)?;
        }
        Ok(())
    }

    fn arguments(
        &mut self,
        within: &'d str,
        all: &'d [(Positioned<Name>, Positioned<Value>)],
    ) -> Checked<()> {
        for (_, value) in all {
            used(&value.node, value.pos, self.uses.entry(within).or_default());
        }
        once(all.iter().map(|(name, _)| name), "the argument ")
    }

    /// They are known, may stand there, and are there once, with the one argument that they need.
    fn directives(
        &mut self,
        within: &'d str,
        all: &'d [Positioned<Directive>],
        place: Place,
    ) -> Checked<()> {
        once(all.iter().map(|d| &d.node.name), "the directive @")?;
        for directive in all {
            let (at, directive) = (directive.pos, &directive.node);
            self.arguments(within, &directive.arguments)?;
            let name = directive.name.node.as_str();
            let (anywhere, needs) = match name {
                "skip" | "include" => (true, Some("if")),
                "slice" => (false, Some("path")),
                "flatten" | "first" | "singleton" => (false, None),
                _ => return wrong(format!("there is no directive @{name}"), at),
            };
            if place == Place::Definition || place == Place::Fragment && !anywhere {
                return wrong(format!("@{name} is about fields"), at);
            }
            let other = |(given, _): &&(Positioned<Name>, Positioned<Value>)| {
                needs != Some(given.node.as_str())
            };
            if let Some((given, _)) = directive.arguments.iter().find(other) {
                let text = format!("@{name} has no argument {}", given.node);
                return wrong(text, given.pos);
            }
            match (needs, directive.arguments.first()) {
                (Some(needs), None) => {
                    return wrong(format!("@{name} needs \"{needs}\""), at);
                }
                (Some(needs), Some((_, value))) => {
                    let fits = match &value.node {
                        Value::Variable(_) => true,
                        Value::Boolean(_) => anywhere,
                        Value::String(_) => !anywhere,
                        _ => false,
                    };
                    let kind = if anywhere { "boolean" } else { "string" };
                    if !fits {
                        return wrong(format!("\"{needs}\" is a {kind}"), value.pos);
                    }
                }
                (None, _) => {}
            }
        }
        Ok(())
    }

    /// Each operation defines the variables that it and its fragments use, and no others.
    fn variables(&self) -> Checked<()> {
        for own in &self.operations {
            let defined = own.operation.variable_definitions.iter();
            let mut unused: HashMap<&str, Pos> = defined
                .map(|v| (v.node.name.node.as_str(), v.pos))
                .collect();
            let known: HashSet<&str> = unused.keys().copied().collect();
            let (mut seen, mut next) = (HashSet::new(), own.spreads.clone());
            let mut uses = own.uses.as_slice();
            loop {
                for (name, at) in uses {
                    unused.remove(name);
                    if !known.contains(name) {
                        return wrong(format!("the variable ${name} is not declared"), *at);
                    }
                }
                let Some(name) = next.pop() else { break };
                uses = &[];
                if seen.insert(name) {
                    uses = self.uses.get(name).map_or(&[], Vec::as_slice);
                    next.extend(self.spreads.get(name).into_iter().flatten());
                }
            }
            let first = unused
                .into_iter()
                .min_by_key(|(_, at)| (at.line, at.column));
            if let Some((name, at)) = first {
                return wrong(format!("nothing uses the variable ${name}"), at);
            }
        }
        Ok(())
    }

    /// What is written in `within`, a fragment or the operations.
    fn set(&mut self, within: &'d str, set: &'d SelectionSet) -> Checked<()> {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => {
                    let field = &field.node;
                    self.arguments(within, &field.arguments)?;
                    self.directives(within, &field.directives, Place::Field)?;
                    self.set(within, &field.selection_set.node)?;
                }
                Selection::InlineFragment(inline) => {
                    let inline = &inline.node;
                    self.conditions |= inline.type_condition.is_some();
                    self.directives(within, &inline.directives, Place::Fragment)?;
                    self.set(within, &inline.selection_set.node)?;
                }
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name;
                    self.directives(within, &spread.node.directives, Place::Fragment)?;
                    fragment(self.document, name)?;
                    self.spreads.entry(within).or_default().push(&name.node);
                }
            }
        }
        Ok(())
    }

    /// Every fragment is spread by an operation, and none by itself.
    fn fragments(&self) -> Checked<()> {
        let of = |name: &str| self.spreads.get(name).into_iter().flatten().copied();
        let mut used = HashSet::new();
        let mut next: Vec<&str> = self
            .operations
            .iter()
            .flat_map(|o| &o.spreads)
            .copied()
            .collect();
        while let Some(name) = next.pop() {
            if used.insert(name) {
                next.extend(of(name));
            }
        }
        // Those that nothing spreads any more are taken away until only circles are left.
        let mut spread_by: HashMap<&str, usize> = HashMap::new();
        for name in self.document.fragments.keys().flat_map(|f| of(f)) {
            *spread_by.entry(name).or_default() += 1;
        }
        let mut left: HashMap<&str, Pos> = HashMap::new();
        for (name, fragment) in &self.document.fragments {
            if !used.contains(name.as_str()) {
                return wrong(format!("nothing uses the fragment {name}"), fragment.pos);
            }
            left.insert(name, fragment.pos);
            if !spread_by.contains_key(name.as_str()) {
                next.push(name);
            }
        }
        while let Some(name) = next.pop() {
            left.remove(name);
            for inner in of(name) {
                if let Some(count) = spread_by.get_mut(inner) {
                    *count -= 1;
                    if *count == 0 {
                        next.push(inner);
                    }
                }
            }
        }
        match left.into_iter().next() {
            Some((name, at)) => wrong(format!("the fragment {name} leads to itself"), at),
            None => Ok(()),
        }
    }
}

fn fragment<'d>(
    document: &'d ExecutableDocument,
    name: &Positioned<Name>,
) -> Checked<&'d FragmentDefinition> {
    match document.fragments.get(&name.node) {
        Some(fragment) => Ok(&fragment.node),
        None => wrong(format!("there is no fragment {}", name.node), name.pos),
    }
}

/// Nothing is named twice.
fn once<'d>(names: impl Iterator<Item = &'d Positioned<Name>>, what: &str) -> Checked<()> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name.node.as_str()) {
            return wrong(format!("{what}{} is there twice", name.node), name.pos);
        }
    }
    Ok(())
}

/// Where a directive stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Field,
    /// A fragment is spread.
    Fragment,
    /// An operation, or a fragment, is defined.
    Definition,
}

/// The variables in a value.
fn used<'d>(value: &'d Value, at: Pos, all: &mut Vec<(&'d str, Pos)>) {
    match value {
        Value::Variable(name) => all.push((name.as_str(), at)),
        Value::List(items) => items.iter().for_each(|item| used(item, at, all)),
        Value::Object(fields) => fields.values().for_each(|field| used(field, at, all)),
        _ => {}
    }
}

/// Whether fields of one name are one field (section 5.3.2), and fragments may apply (5.5.2.3).
struct Merging<'d> {
    document: &'d ExecutableDocument,
    schema: Option<&'static Schema>,
    /// Selection sets that were looked at together.
    seen: HashSet<Vec<usize>>,
    count: u64,
    limits: &'d Limits,
}

impl<'d> Merging<'d> {
    /// Checks what is selected from one object, and what from what is found there.
    fn sets(&mut self, sets: &[Set<'d>], depth: u64) -> Checked<()> {
        for (key, same) in self.fields(sets)? {
            for inner in self.one(key, &same)? {
                self.is_in_depth(depth, &same)?;
                self.sets(&inner, depth + 1)?;
            }
        }
        Ok(())
    }

    /// Checks what has one place in the answer, of whatever objects (`SameResponseShape`).
    fn shapes(&mut self, sets: &[Set<'d>], depth: u64) -> Checked<()> {
        for (key, same) in self.fields(sets)? {
            let mut known: Option<(&Of, TypeKind)> = None;
            let mut inner = Vec::with_capacity(same.len());
            for (of, field) in &same {
                let found = self.found(*of, field);
                if !field.node.selection_set.node.items.is_empty() {
                    inner.push((&field.node.selection_set.node, found));
                }
                let name = field.node.name.node.as_str();
                let is = of.and_then(|of| of.fields.iter().find(|f| f.name == name));
                let (Some(is), Some(found)) = (is, found) else {
                    continue;
                };
                let (first, kind) = *known.get_or_insert((&is.of, found.kind));
                let leaves = !(kind.has_fields() && found.kind.has_fields());
                if first.around != is.of.around || leaves && first.name != is.of.name {
                    let text = format!("fields of different shapes are called {key}");
                    return wrong(text, field.pos);
                }
            }
            if !inner.is_empty() {
                self.is_in_depth(depth, &same)?;
                self.shapes(&inner, depth + 1)?;
            }
        }
        Ok(())
    }

    fn is_in_depth(&self, depth: u64, same: &Same<'d>) -> Checked<()> {
        let max = self.limits.graphql_depth_max;
        match same.first().filter(|_| depth >= max) {
            Some((_, field)) => over("graphql_depth_max", max, field.pos),
            None => Ok(()),
        }
    }

    /// What these sets select, by its name in the answer; nothing if they were looked at together.
    fn fields(&mut self, sets: &[Set<'d>]) -> Checked<HashMap<&'d str, Same<'d>>> {
        let mut place: Vec<usize> = sets
            .iter()
            .map(|(set, _)| std::ptr::from_ref(*set).addr())
            .collect();
        place.sort_unstable();
        place.dedup();
        let (mut fields, mut spread) = (HashMap::new(), HashSet::new());
        if self.seen.insert(place) {
            for (set, of) in sets {
                self.gather(set, *of, &mut fields, &mut spread)?;
            }
        }
        Ok(fields)
    }

    fn gather(
        &mut self,
        set: &'d SelectionSet,
        of: Option<&'static Type>,
        fields: &mut HashMap<&'d str, Same<'d>>,
        spread: &mut HashSet<&'d str>,
    ) -> Checked<()> {
        for selection in &set.items {
            self.count += 1;
            let max = self.limits.graphql_fields_max;
            if self.count > max {
                return over("graphql_fields_max", max, selection.pos);
            }
            match &selection.node {
                Selection::Field(field) => {
                    let key = field.node.response_key().node.as_str();
                    fields.entry(key).or_default().push((of, field));
                }
                Selection::InlineFragment(inline) => {
                    let of = match &inline.node.type_condition {
                        None => of,
                        Some(on) => self.narrowed(of, on)?,
                    };
                    self.gather(&inline.node.selection_set.node, of, fields, spread)?;
                }
                Selection::FragmentSpread(named) => {
                    let name = &named.node.fragment_name;
                    let fragment = fragment(self.document, name)?;
                    let of = self.narrowed(of, &fragment.type_condition)?;
                    if spread.insert(&name.node) {
                        self.gather(&fragment.selection_set.node, of, fields, spread)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The type within a fragment.
    fn narrowed(
        &self,
        of: Option<&'static Type>,
        on: &Positioned<TypeCondition>,
    ) -> Checked<Option<&'static Type>> {
        let name = on.node.on.node.as_str();
        let Some(schema) = self.schema else {
            return Ok(None);
        };
        let Some(to) = schema.type_named(name).filter(|t| t.kind.has_fields()) else {
            return wrong(format!("there is no type {name}"), on.pos);
        };
        match of {
            Some(of) if !meet(of, to) => {
                wrong(format!("what is a {} is never a {name}", of.name), on.pos)
            }
            _ => Ok(Some(to)),
        }
    }

    /// Fields of one name on what may be the same object are the same; what each object of them selects
    /// further.
    fn one(&self, key: &str, same: &Same<'d>) -> Checked<Vec<Vec<Set<'d>>>> {
        // Of objects of different types each has its own.
        let mut types: Vec<&'static Type> = Vec::new();
        let mut known: HashSet<&str> = HashSet::new();
        for (of, _) in same {
            let object = of.filter(|of| of.kind == TypeKind::Object);
            types.extend(object.filter(|of| known.insert(&of.name)));
        }
        let groups: Vec<Option<&'static Type>> = match types.is_empty() {
            true => vec![None],
            false => types.into_iter().map(Some).collect(),
        };
        let mut all = Vec::with_capacity(groups.len());
        for group in groups {
            let may_be = |of: &Option<&'static Type>| match (group, of) {
                (Some(group), Some(of)) => meet(group, of),
                _ => true,
            };
            let mut members = same.iter().filter(|(of, _)| may_be(of));
            let Some((first_of, first)) = members.next() else {
                continue;
            };
            let mut sets = vec![(&first.node.selection_set.node, self.found(*first_of, first))];
            for (of, field) in members {
                if !is_same(&first.node, &field.node) {
                    return wrong(format!("two different fields are called {key}"), field.pos);
                }
                sets.push((&field.node.selection_set.node, self.found(*of, field)));
            }
            sets.retain(|(set, _)| !set.items.is_empty());
            if !sets.is_empty() {
                all.push(sets);
            }
        }
        Ok(all)
    }

    /// The type of a field.
    fn found(&self, of: Option<&'static Type>, field: &Positioned<Field>) -> Option<&'static Type> {
        let name = match field.node.name.node.as_str() {
            "__schema" => "__Schema",
            "__type" => "__Type",
            name => {
                let field = of?.fields.iter().find(|f| f.name == name)?;
                &field.of.name
            }
        };
        self.schema?.type_named(name)
    }
}

/// Whether an object may be of both types.
fn meet(one: &Type, other: &Type) -> bool {
    let is = |a: &Type, b: &Type| a.possible.contains(&b.name);
    one.name == other.name
        || is(one, other)
        || is(other, one)
        || one
            .possible
            .iter()
            .any(|name| other.possible.contains(name))
}
