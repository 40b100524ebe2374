//! From the committed tables to a [`Model`]. Lines that make no sense are counted, not guessed;
//! a test holds the count at zero.

use std::collections::HashMap;

use super::element::{StructureId, System, ValueSet};
use super::form::Form;
use super::model::{Model, ResourceType};
use super::param::{Compartment, Component, Param};
use super::{FhirVersion, ParamId, ParamKind, TypeId};

mod elements;

const REGISTRY: &str = include_str!("../../definitions/registry.tsv");

struct Tables {
    types: &'static str,
    elements: &'static str,
    params: &'static str,
    codes: &'static str,
    compartments: &'static str,
}

macro_rules! tables {
    ($folder:literal) => {
        Tables {
            types: include_str!(concat!("../../definitions/", $folder, "/types.tsv")),
            elements: include_str!(concat!("../../definitions/", $folder, "/elements.tsv")),
            params: include_str!(concat!("../../definitions/", $folder, "/params.tsv")),
            codes: include_str!(concat!("../../definitions/", $folder, "/codes.tsv")),
            compartments: include_str!(concat!("../../definitions/", $folder, "/compartments.tsv")),
        }
    };
}

const R4: Tables = tables!("r4");
const R4B: Tables = tables!("r4b");
const R5: Tables = tables!("r5");

const fn tables_of(version: FhirVersion) -> &'static Tables {
    match version {
        FhirVersion::R4 => &R4,
        FhirVersion::R4B => &R4B,
        FhirVersion::R5 => &R5,
    }
}

/// Builds the model of a version; also the number of lines that were not understood.
pub(super) fn model(version: FhirVersion) -> (Model, usize) {
    let tables = tables_of(version);
    let mut loader = Loader::default();
    loader.registry();
    loader.types(tables.types);
    loader.value_sets(tables.codes);
    let structures = elements::structures(&mut loader, tables.elements);
    let structure_names: HashMap<_, _> = (0..)
        .zip(&structures)
        .map(|(i, s)| (s.path, StructureId(i)))
        .collect();
    let params = loader.params(tables.params);
    let types = loader.resource_types(&structure_names, &params);
    let compartments = loader.compartments(tables.compartments, &params);
    let model = Model {
        version,
        type_names: types.iter().map(|t| (t.name, t.id)).collect(),
        type_slots: slots(types.iter().map(|t| usize::from(t.id.0))),
        types,
        structures,
        structure_names,
        value_sets: loader.value_sets,
        param_slots: slots(params.iter().map(|p| p.id.0 as usize)),
        params,
        compartments,
    };
    (model, loader.defects)
}

/// The URLs of all value sets of required bindings of a version.
#[cfg(test)]
pub(super) fn bound_value_sets(version: FhirVersion) -> std::collections::BTreeSet<&'static str> {
    let rows = lines(tables_of(version).elements);
    rows.filter_map(|row| row.split('\t').nth(5)).collect()
}

/// A table from number to position.
fn slots<N: TryFrom<usize> + Clone>(numbers: impl Iterator<Item = usize>) -> Vec<Option<N>> {
    let mut table: Vec<Option<N>> = Vec::new();
    for (position, number) in numbers.enumerate() {
        if table.len() <= number {
            table.resize(number + 1, None);
        }
        if let Some(slot) = table.get_mut(number) {
            *slot = N::try_from(position).ok();
        }
    }
    table
}

fn lines(table: &'static str) -> impl Iterator<Item = &'static str> {
    table.lines().filter(|l| !l.starts_with('#'))
}

#[derive(Default)]
struct Loader {
    defects: usize,
    type_numbers: HashMap<&'static str, TypeId>,
    param_numbers: HashMap<(&'static str, &'static str), ParamId>,
    /// Concrete resource types of this version, alphabetical.
    concrete: Vec<(&'static str, TypeId)>,
    bases: HashMap<&'static str, &'static str>,
    value_sets: Vec<ValueSet>,
}

impl Loader {
    fn registry(&mut self) {
        for line in lines(REGISTRY) {
            let mut cells = line.split('\t');
            match (cells.next(), cells.next(), cells.next(), cells.next()) {
                (Some("type"), Some(number), Some(name), None) => {
                    let id = self.number(number.parse());
                    self.type_numbers.insert(name, TypeId(id));
                }
                (Some("param"), Some(number), Some(name), Some(code)) => {
                    let id = self.number(number.parse());
                    self.param_numbers.insert((name, code), ParamId(id));
                }
                _ => self.defects += 1,
            }
        }
    }

    fn number<N: Default, E>(&mut self, parsed: Result<N, E>) -> N {
        parsed.unwrap_or_else(|_| {
            self.defects += 1;
            N::default()
        })
    }

    fn types(&mut self, table: &'static str) {
        for line in lines(table) {
            let mut cells = line.split('\t');
            let (Some(name), Some(kind)) = (cells.next(), cells.next()) else {
                self.defects += 1;
                continue;
            };
            self.bases.insert(name, cells.next().unwrap_or(""));
            if kind == "resource" && cells.next() != Some("abstract") {
                match self.type_numbers.get(name) {
                    Some(&id) => self.concrete.push((name, id)),
                    None => self.defects += 1,
                }
            }
        }
        self.concrete.sort_unstable();
    }

    fn value_sets(&mut self, table: &'static str) {
        for line in lines(table) {
            let mut cells = line.split('\t');
            let (Some(url), Some(system), Some(codes)) = (cells.next(), cells.next(), cells.next())
            else {
                self.defects += 1;
                continue;
            };
            let mut of = System {
                url: system,
                codes: Vec::new(),
                form: None,
            };
            if codes == "*" {
                of.form = Form::of(system);
                self.defects += usize::from(of.form.is_none());
            } else {
                of.codes = codes.split(' ').collect();
                of.codes.sort_unstable();
            }
            match self.value_sets.last_mut().filter(|v| v.url == url) {
                Some(last) => last.systems.push(of),
                None => self.value_sets.push(ValueSet {
                    url,
                    systems: vec![of],
                }),
            }
        }
        self.value_sets.sort_unstable_by_key(|v| v.url);
    }

    fn type_list(&self, names: &str, separator: char) -> Option<Box<[TypeId]>> {
        let names = names.split(separator).filter(|n| !n.is_empty());
        names.map(|n| self.type_numbers.get(n).copied()).collect()
    }

    fn params(&mut self, table: &'static str) -> Vec<Param> {
        let mut by_owner: HashMap<&str, Vec<Vec<&'static str>>> = HashMap::new();
        for line in lines(table) {
            let cells: Vec<&str> = line.split('\t').collect();
            by_owner
                .entry(cells.first().copied().unwrap_or(""))
                .or_default()
                .push(cells);
        }
        let mut all = Vec::new();
        for (name, id) in self.concrete.clone() {
            let start = all.len();
            let mut owner = name;
            while !owner.is_empty() {
                for cells in by_owner.get(owner).into_iter().flatten() {
                    match self.param(name, id, cells) {
                        Some(param) => all.push(param),
                        None => self.defects += 1,
                    }
                }
                owner = self.bases.get(owner).copied().unwrap_or("");
            }
            if let Some(group) = all.get_mut(start..) {
                group.sort_unstable_by_key(|p: &Param| p.code);
            }
        }
        all
    }

    fn param(&self, name: &str, type_id: TypeId, cells: &[&'static str]) -> Option<Param> {
        let [_, code, kind, targets, url, expression, components @ ..] = cells else {
            return None;
        };
        let targets = match *targets {
            "*" => self.concrete.iter().map(|c| c.1).collect(),
            list => self.type_list(list, ' ')?,
        };
        let component = |text: &&'static str| {
            let mut parts = text.splitn(3, ' ');
            let (code, kind) = (parts.next()?, ParamKind::parse(parts.next()?)?);
            Some(Component {
                code,
                kind,
                expression: parts.next()?,
            })
        };
        let components = components.iter().map(component).collect::<Option<_>>()?;
        let id = *self.param_numbers.get(&(name, *code))?;
        let kind = ParamKind::parse(kind)?;
        Some(Param {
            id,
            type_id,
            code,
            kind,
            expression,
            targets,
            components,
            url,
        })
    }

    fn resource_types(
        &mut self,
        structures: &HashMap<&'static str, StructureId>,
        params: &[Param],
    ) -> Vec<ResourceType> {
        let mut types = Vec::with_capacity(self.concrete.len());
        let mut start = 0;
        for &(name, id) in &self.concrete {
            let Some(&structure) = structures.get(name) else {
                self.defects += 1;
                continue;
            };
            let count = params
                .iter()
                .skip(start)
                .take_while(|p| p.type_id == id)
                .count();
            types.push(ResourceType {
                id,
                name,
                structure,
                params: start..start + count,
            });
            start += count;
        }
        types
    }

    fn compartments(&mut self, table: &'static str, params: &[Param]) -> Vec<Compartment> {
        let numbers: HashMap<(TypeId, &str), ParamId> =
            params.iter().map(|p| ((p.type_id, p.code), p.id)).collect();
        let mut all: Vec<Compartment> = Vec::new();
        for line in lines(table) {
            let mut cells = line.split('\t');
            let mut of_type = || cells.next().and_then(|n| self.type_numbers.get(n)).copied();
            let (Some(head), Some(member)) = (of_type(), of_type()) else {
                self.defects += 1;
                continue;
            };
            let codes = cells.next().unwrap_or("").split(' ');
            let ids = codes
                .filter_map(|c| numbers.get(&(member, c)).copied())
                .collect();
            if all.last().is_none_or(|c| c.type_id != head) {
                all.push(Compartment {
                    type_id: head,
                    members: Vec::new(),
                });
            }
            if let Some(last) = all.last_mut() {
                last.members.push((member, ids));
            }
        }
        for compartment in &mut all {
            compartment.members.sort_unstable_by_key(|m| m.0);
        }
        all
    }
}
