//! Compartments (`compartmentdefinition.html`): which resources belong to a patient, an encounter,
//! a practitioner, a related person or a device, as a condition of a search.

use base::{Code, ResourceId};
use fhir::definitions::{self, Model, ParamKind, TypeId};
use fhir::search::query::{Clause, Match, ParamClause, ReferenceMatch, Test};

use super::read::id_in_url;
use crate::failure::Failure;
use crate::session::Session;

/// A compartment of some resources.
#[derive(Clone, Debug)]
pub(super) struct Compartment {
    definition: &'static definitions::Compartment,
    ids: Vec<ResourceId>,
}

impl Compartment {
    /// The compartments of these resources together.
    pub(super) fn of(model: &'static Model, head: TypeId, ids: Vec<ResourceId>) -> Option<Self> {
        Some(Self {
            definition: model.compartment(head)?,
            ids,
        })
    }

    /// The condition that a resource is in it, for a search of these types.
    pub(super) fn clause(&self, types: &[TypeId]) -> Clause {
        Clause::ByType(types.iter().map(|t| self.of_type(*t)).collect())
    }

    fn of_type(&self, type_id: TypeId) -> Clause {
        let head = self.definition.type_id;
        let to = |id: &ResourceId| {
            Match::Reference(ReferenceMatch::Local {
                type_id: head,
                id: id.clone(),
                version: None,
            })
        };
        let refers = |param: &definitions::ParamId| {
            Clause::Param(ParamClause {
                param: vec![*param],
                kind: ParamKind::Reference,
                test: Test::Any(self.ids.iter().map(to).collect()),
            })
        };
        let params = self.definition.params(type_id).iter();
        let mut ways: Vec<Clause> = params.map(refers).collect();
        if type_id == head {
            ways.push(Clause::Id(self.ids.clone()));
        }
        Clause::Or(ways)
    }

    /// Whether resources of this type can be in it.
    pub(super) fn takes(&self, type_id: TypeId) -> bool {
        self.definition.type_id == type_id || !self.definition.params(type_id).is_empty()
    }
}

impl Session {
    /// The compartment of a resource and the one type of it that is searched; none for `*`.
    ///
    /// # Errors
    /// `not-found` if the type heads no compartment or the searched one is never in it,
    /// `resource-type-unknown`.
    pub(super) fn compartment(
        &self,
        head: &str,
        id: &str,
        searched: &str,
    ) -> Result<(Compartment, Option<TypeId>), Failure> {
        let head_id = self.type_id(head)?;
        let id = id_in_url(id)?;
        let unknown = |what: String| Failure::new(Code::NotFound, what);
        let compartment = Compartment::of(self.model(), head_id, vec![id])
            .ok_or_else(|| unknown(format!("there are no compartments of {head}")))?;
        if searched == "*" {
            return Ok((compartment, None));
        }
        let type_id = self.type_id(searched)?;
        if !compartment.takes(type_id) {
            return Err(unknown(format!(
                "{searched} is never in the compartment of a {head}"
            )));
        }
        Ok((compartment, Some(type_id)))
    }
}
