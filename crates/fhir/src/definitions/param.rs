//! Search parameters and compartments.

use super::{ParamId, ParamKind, TypeId};

/// A search parameter of one resource type (`searchparameter.html`).
#[derive(Clone, Debug)]
pub struct Param {
    /// Its stable number.
    pub id: ParamId,
    /// The type it belongs to. Base parameters (`_id`, `_tag` …) exist once a type.
    pub type_id: TypeId,
    /// Its name in a query.
    pub code: &'static str,
    /// Its type.
    pub kind: ParamKind,
    /// FHIRPath over the resource, only the branches that speak of this type; base parameters
    /// start with `Resource`.
    pub expression: &'static str,
    /// Reference parameters: types it can point to (all of them where any is allowed).
    pub targets: Box<[TypeId]>,
    /// Composite parameters: the parts, in order.
    pub components: Box<[Component]>,
    /// The canonical URL of its definition.
    pub url: &'static str,
}

/// A part of a composite parameter.
#[derive(Clone, Debug)]
pub struct Component {
    /// Code of the parameter that the part behaves like.
    pub code: &'static str,
    /// That parameter's type.
    pub kind: ParamKind,
    /// FHIRPath relative to each item of the composite's own expression.
    pub expression: &'static str,
}

/// A compartment (`compartmentdefinition.html`): which references make a resource part of it.
#[derive(Clone, Debug)]
pub struct Compartment {
    /// The type that heads it: Patient, Encounter, Practitioner, Device, RelatedPerson.
    pub type_id: TypeId,
    /// Sorted by type.
    pub(super) members: Vec<(TypeId, Vec<ParamId>)>,
}

impl Compartment {
    /// The reference parameters by which a resource of this type belongs to the compartment; none
    /// if it never does. (The heading resource itself belongs to its compartment by its id.)
    pub fn params(&self, type_id: TypeId) -> &[ParamId] {
        let found = self.members.binary_search_by_key(&type_id, |m| m.0).ok();
        found
            .and_then(|i| self.members.get(i))
            .map_or(&[], |m| &m.1)
    }

    /// Types that can belong to it, with their parameters.
    pub fn members(&self) -> impl Iterator<Item = (TypeId, &[ParamId])> {
        self.members.iter().map(|(t, p)| (*t, p.as_slice()))
    }
}
