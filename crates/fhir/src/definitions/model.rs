//! The model of one version and the ways to ask it.

use std::collections::HashMap;

use super::element::{Structure, StructureId, ValueSet, ValueSetId};
use super::param::{Compartment, Param};
use super::{FhirVersion, ParamId, TypeId};

/// Everything one version of FHIR defines.
#[derive(Debug)]
pub struct Model {
    pub(super) version: FhirVersion,
    /// Concrete resource types, alphabetical.
    pub(super) types: Vec<ResourceType>,
    pub(super) type_names: HashMap<&'static str, TypeId>,
    /// Index into `types` by `TypeId`.
    pub(super) type_slots: Vec<Option<u16>>,
    pub(super) structures: Vec<Structure>,
    pub(super) structure_names: HashMap<&'static str, StructureId>,
    pub(super) value_sets: Vec<ValueSet>,
    /// Grouped by type, each group sorted by code.
    pub(super) params: Vec<Param>,
    /// Index into `params` by `ParamId`.
    pub(super) param_slots: Vec<Option<u32>>,
    pub(super) compartments: Vec<Compartment>,
}

#[derive(Debug)]
pub(super) struct ResourceType {
    pub(super) id: TypeId,
    pub(super) name: &'static str,
    pub(super) structure: StructureId,
    pub(super) params: std::ops::Range<usize>,
}

impl Model {
    /// The version it describes.
    pub const fn version(&self) -> FhirVersion {
        self.version
    }

    /// The concrete resource type of this name, if this version has it.
    pub fn type_id(&self, name: &str) -> Option<TypeId> {
        self.type_names.get(name).copied()
    }

    /// A type's name; empty for a number that this version does not use.
    pub fn type_name(&self, id: TypeId) -> &'static str {
        self.resource_type(id).map_or("", |t| t.name)
    }

    /// The concrete resource types of this version, alphabetical by name.
    pub fn types(&self) -> impl ExactSizeIterator<Item = TypeId> {
        self.types.iter().map(|t| t.id)
    }

    fn resource_type(&self, id: TypeId) -> Option<&ResourceType> {
        let slot = self.type_slots.get(usize::from(id.0)).copied().flatten()?;
        self.types.get(usize::from(slot))
    }

    /// The search parameters of a type, sorted by code, base parameters included.
    pub fn params(&self, id: TypeId) -> &[Param] {
        let range = self.resource_type(id).map(|t| t.params.clone());
        range.and_then(|r| self.params.get(r)).unwrap_or(&[])
    }

    /// A type's search parameter by code.
    pub fn param(&self, id: TypeId, code: &str) -> Option<&Param> {
        let params = self.params(id);
        let found = params.binary_search_by(|p| p.code.cmp(code)).ok()?;
        params.get(found)
    }

    /// A search parameter by number.
    pub fn param_by_id(&self, id: ParamId) -> Option<&Param> {
        let slot = self.param_slots.get(id.0 as usize).copied().flatten()?;
        self.params.get(slot as usize)
    }

    /// The compartment that a type heads.
    pub fn compartment(&self, of: TypeId) -> Option<&Compartment> {
        self.compartments.iter().find(|c| c.type_id == of)
    }

    /// All compartments.
    pub fn compartments(&self) -> &[Compartment] {
        &self.compartments
    }

    /// The structure of a path: `Patient`, `Patient.contact`, `HumanName`, `Resource`.
    pub fn structure_named(&self, path: &str) -> Option<StructureId> {
        self.structure_names.get(path).copied()
    }

    /// The structure of a resource type.
    pub fn structure_of(&self, id: TypeId) -> Option<StructureId> {
        self.resource_type(id).map(|t| t.structure)
    }

    /// A structure of this model.
    pub fn structure(&self, id: StructureId) -> &Structure {
        self.structures
            .get(usize::from(id.0))
            .unwrap_or(Structure::nothing())
    }

    /// All structures.
    pub fn structures(&self) -> &[Structure] {
        &self.structures
    }

    /// The required value sets of this model.
    pub fn value_sets(&self) -> &[ValueSet] {
        &self.value_sets
    }

    /// A required value set of this model.
    pub fn value_set(&self, id: ValueSetId) -> Option<&ValueSet> {
        self.value_sets.get(usize::from(id.0))
    }
}
