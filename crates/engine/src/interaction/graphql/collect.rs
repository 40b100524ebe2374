//! Which fields a document asks of an object: fragments resolved, conditions looked at, what is
//! asked for twice put together, and all of it counted.

use std::collections::HashMap;

use async_graphql_parser::types::{Directive, Field, Selection, SelectionSet};
use async_graphql_parser::{Pos, Positioned};
use async_graphql_value::{ConstValue, Name, Value as Written};
use base::Code;
use base::limits::fixed::GRAPHQL_SCHEMA_FIELDS_MAX;

use super::select::Pass;
use super::{Checked, Fault, Stop, wrong};

/// Selections that make one field of the answer.
pub(super) struct Group<'p> {
    pub(super) field: &'p Field,
    pub(super) at: Pos,
    pub(super) sets: Vec<&'p SelectionSet>,
}

/// The groups of an object while they are put together.
#[derive(Default)]
struct Groups<'p> {
    all: Vec<Group<'p>>,
    /// The places of the groups of a key.
    of_key: HashMap<&'p str, Vec<usize>>,
    /// How often a key was met in a selection set.
    met: HashMap<(&'p str, *const SelectionSet), usize>,
}

impl Group<'_> {
    pub(super) fn key(&self) -> &str {
        self.field.response_key().node.as_str()
    }

    pub(super) fn directive(&self, name: &str) -> Option<&Positioned<Directive>> {
        let mut all = self.field.directives.iter();
        all.find(|d| d.node.name.node.as_str() == name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.directive(name).is_some()
    }

    /// Whether it selects from what the field is.
    pub(super) fn selects(&self) -> bool {
        self.sets.iter().any(|set| !set.items.is_empty())
    }

    /// What tells it from other groups of the same document.
    pub(super) fn place(&self) -> Vec<usize> {
        let sets = self.sets.iter().map(|set| std::ptr::from_ref(*set).addr());
        sets.chain([self.at.line, self.at.column]).collect()
    }
}

/// What selections are counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    /// Of resources.
    Fields,
    /// Of the schema.
    Schema,
}

impl<'p> Pass<'p> {
    /// The fields that selection sets ask for, fragments resolved. Fields of the same key are one,
    /// except where both are written in the same set: then each stands for itself.
    pub(super) fn collect(
        &self,
        sets: &[&'p SelectionSet],
        is_it: &dyn Fn(&str) -> bool,
        depth: u64,
    ) -> Checked<Vec<Group<'p>>> {
        self.collect_counted(sets, is_it, (depth, Counted::Fields))
    }

    /// The same, counted as what it is.
    pub(super) fn collect_counted(
        &self,
        sets: &[&'p SelectionSet],
        is_it: &dyn Fn(&str) -> bool,
        depth: (u64, Counted),
    ) -> Checked<Vec<Group<'p>>> {
        let mut groups = Groups::default();
        for set in sets {
            self.collect_set(set, is_it, depth, &mut groups)?;
        }
        Ok(groups.all)
    }

    fn collect_set(
        &self,
        set: &'p SelectionSet,
        is_it: &dyn Fn(&str) -> bool,
        depth: (u64, Counted),
        groups: &mut Groups<'p>,
    ) -> Checked<()> {
        let deeper = (depth.0 + 1, depth.1);
        for selection in &set.items {
            self.step(depth, selection.pos)?;
            match &selection.node {
                Selection::Field(field) => {
                    if self.wanted(&field.node.directives)? {
                        groups.gather(set, field)?;
                    }
                }
                Selection::InlineFragment(inline) => {
                    let inline = &inline.node;
                    let fits = match &inline.type_condition {
                        None => true,
                        Some(on) => is_it(on.node.on.node.as_str()),
                    };
                    if self.wanted(&inline.directives)? && fits {
                        self.collect_set(&inline.selection_set.node, is_it, deeper, groups)?;
                    }
                }
                Selection::FragmentSpread(spread) => {
                    let (at, spread) = (spread.pos, &spread.node);
                    let name = spread.fragment_name.node.as_str();
                    let Some(fragment) = self.document.fragment(name) else {
                        return wrong(format!("there is no fragment {name}"), at);
                    };
                    let fits = is_it(fragment.type_condition.node.on.node.as_str());
                    if self.wanted(&spread.directives)? && fits {
                        self.collect_set(&fragment.selection_set.node, is_it, deeper, groups)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Counts a selection.
    fn step(&self, (depth, counted): (u64, Counted), at: Pos) -> Checked<()> {
        if depth > self.document.depth_max {
            return over("graphql_depth_max", self.document.depth_max, at);
        }
        let (count, name, max) = match counted {
            Counted::Fields => (&self.fields, "graphql_fields_max", self.document.fields_max),
            Counted::Schema => (
                &self.schema_fields,
                "graphql_schema_fields_max",
                GRAPHQL_SCHEMA_FIELDS_MAX,
            ),
        };
        count.set(count.get() + 1);
        match count.get() <= max {
            true => Ok(()),
            false => over(name, max, at),
        }
    }

    /// Counts the bytes of a value: one resource can be asked for the same one under many names.
    pub(super) fn weigh(&self, bytes: usize, at: Pos) -> Checked<()> {
        self.bytes.set(self.bytes.get() + bytes as u64);
        self.bounded(0, at)
    }

    /// Whether so many bytes more are still within bounds.
    pub(super) fn bounded(&self, more: usize, at: Pos) -> Checked<()> {
        match self.bytes.get() + more as u64 <= self.bytes_max {
            true => Ok(()),
            false => over("page_bytes_max", self.bytes_max, at),
        }
    }

    /// Whether `@skip` and `@include` let it in.
    fn wanted(&self, directives: &[Positioned<Directive>]) -> Checked<bool> {
        let mut wanted = true;
        for directive in directives {
            let name = directive.node.name.node.as_str();
            if !matches!(name, "skip" | "include") {
                continue;
            }
            let condition = directive.node.get_argument("if");
            let value = match condition {
                Some(value) => self.document.value(&value.node, value.pos)?,
                None => return wrong(format!("@{name} needs \"if\""), directive.pos),
            };
            match value {
                ConstValue::Boolean(value) => wanted &= value == (name == "include"),
                _ => return wrong("\"if\" is a boolean", directive.pos),
            }
        }
        Ok(wanted)
    }
}

pub(super) fn over<T>(name: &str, max: u64, at: Pos) -> Checked<T> {
    Err(Stop::Fault(Fault {
        code: Code::LimitQuery,
        text: format!("the limit {name} ({max}) was passed"),
        at: Some((at.line, at.column)),
    }))
}

impl<'p> Groups<'p> {
    /// Adds a field to the first group of its key that has none of the same selection set, which is
    /// the n-th for the n-th of the set.
    fn gather(&mut self, set: &'p SelectionSet, field: &'p Positioned<Field>) -> Checked<()> {
        let key = field.node.response_key().node.as_str();
        let met = self.met.entry((key, std::ptr::from_ref(set))).or_default();
        let of_key = self.of_key.entry(key).or_default();
        let same = of_key.get(*met).and_then(|at| self.all.get_mut(*at));
        *met += 1;
        match same {
            None => {
                of_key.push(self.all.len());
                self.all.push(Group {
                    field: &field.node,
                    at: field.pos,
                    sets: vec![&field.node.selection_set.node],
                });
            }
            Some(group) => {
                if !is_same(group.field, &field.node) {
                    return wrong(format!("two different fields are called {key}"), field.pos);
                }
                group.sets.push(&field.node.selection_set.node);
            }
        }
        Ok(())
    }
}

/// Whether two fields of a key ask for the same, in whatever order.
pub(super) fn is_same(one: &Field, other: &Field) -> bool {
    let same = |(name, value): &(Positioned<Name>, Positioned<Written>)| {
        let of_other = other.get_argument(&name.node);
        of_other.is_some_and(|o| o.node == value.node)
    };
    one.name.node == other.name.node
        && one.arguments.len() == other.arguments.len()
        && one.arguments.iter().all(same)
}

pub(super) fn known_directives(group: &Group<'_>) -> Checked<()> {
    const KNOWN: [&str; 6] = ["skip", "include", "flatten", "first", "singleton", "slice"];
    let mut all = group.field.directives.iter();
    match all.find(|d| !KNOWN.contains(&d.node.name.node.as_str())) {
        Some(other) => wrong(
            format!("there is no directive @{}", other.node.name.node),
            other.pos,
        ),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use async_graphql_parser::parse_query;
    use async_graphql_parser::types::{DocumentOperations, ExecutableDocument};

    use super::*;

    fn gathered(documents: &[ExecutableDocument]) -> Result<Vec<(String, usize)>, Stop> {
        let mut groups = Groups::default();
        for document in documents {
            let DocumentOperations::Single(operation) = &document.operations else {
                continue;
            };
            let set = &operation.node.selection_set.node;
            for item in &set.items {
                if let Selection::Field(field) = &item.node {
                    groups.gather(set, field)?;
                }
            }
        }
        let each = groups.all.iter();
        Ok(each.map(|g| (g.key().to_owned(), g.sets.len())).collect())
    }

    fn of(texts: &[&str]) -> Result<Vec<(String, usize)>, Stop> {
        let documents: Vec<_> = texts.iter().map(|t| parse_query(t).unwrap()).collect();
        gathered(&documents)
    }

    #[test]
    fn fields_of_a_key_are_one_but_for_those_of_one_set() {
        let found = of(&["{a{x} b a{y} a{z}}", "{a{u} c}", "{a{v} a{w}}"]).unwrap();
        let wanted = [("a", 3), ("b", 1), ("a", 2), ("a", 1), ("c", 1)];
        assert!(found.iter().map(|(k, n)| (k.as_str(), *n)).eq(wanted));
        assert!(of(&["{a(n: 1)}", "{a(n: 1)}"]).is_ok());
        for other in ["{a(n: 2)}", "{a}", "{a: b(n: 1)}", "{a(n: 1, m: 1)}"] {
            assert!(of(&["{a(n: 1)}", other]).is_err(), "{other}");
        }
    }

    /// Comparing each with those before it would take minutes here.
    #[test]
    fn very_many_fields_are_gathered() {
        let distinct: String = (0..100_000).map(|n| format!(" f{n}: a")).collect();
        let same = " a".repeat(100_000);
        let found = of(&[&format!("{{{distinct}}}"), &format!("{{{same}}}")]).unwrap();
        assert_eq!(found.len(), 200_000);
    }
}
