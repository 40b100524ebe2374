//! Compartments (`compartmentdefinition.html`): which resources belong to a patient, an encounter,
//! a practitioner, a related person or a device, as a condition of a search.

use base::{Code, ResourceId};
use fhir::definitions::{self, Model, ParamId, ParamKind, TypeId};
use fhir::search::query::{Clause, Match, ParamClause, ReferenceMatch, Test};

use super::read::id_in_url;
use crate::failure::Failure;
use crate::session::Session;

/// Whose compartment is meant.
#[derive(Clone, Debug)]
enum Whose {
    /// Any of these resources'.
    Of(Vec<ResourceId>),
    /// Any resource's that is there.
    Any,
}

/// A compartment of some resources.
#[derive(Clone, Debug)]
pub(super) struct Compartment {
    definition: &'static definitions::Compartment,
    whose: Whose,
    /// One more resource that counts as part of it.
    besides: Option<(TypeId, ResourceId)>,
}

impl Compartment {
    /// The compartments of these resources together.
    pub(super) fn of(model: &'static Model, head: TypeId, ids: Vec<ResourceId>) -> Option<Self> {
        Some(Self {
            definition: model.compartment(head)?,
            whose: Whose::Of(ids),
            besides: None,
        })
    }

    /// The compartments of all resources of a type that are there.
    pub(super) fn of_all(model: &'static Model, head: TypeId) -> Option<Self> {
        Some(Self {
            definition: model.compartment(head)?,
            whose: Whose::Any,
            besides: None,
        })
    }

    /// The same with one more resource.
    #[must_use]
    pub(super) fn and(mut self, type_id: TypeId, id: ResourceId) -> Self {
        self.besides = Some((type_id, id));
        self
    }

    /// The condition that a resource is in it, for a search of these types.
    pub(super) fn clause(&self, types: &[TypeId]) -> Clause {
        Clause::ByType(types.iter().map(|t| self.of_type(*t)).collect())
    }

    fn of_type(&self, type_id: TypeId) -> Clause {
        let head = self.definition.type_id;
        if type_id == head && matches!(self.whose, Whose::Any) {
            return Clause::And(Vec::new());
        }
        let params = self.definition.params(type_id).iter();
        let mut ways: Vec<Clause> = match &self.whose {
            Whose::Of(ids) if ids.is_empty() => Vec::new(),
            Whose::Of(ids) => params.map(|param| refers(*param, head, ids)).collect(),
            Whose::Any => params.map(|param| refers_to_some(*param, head)).collect(),
        };
        if let Whose::Of(ids) = &self.whose
            && type_id == head
            && !ids.is_empty()
        {
            ways.push(Clause::Id(ids.as_slice().into()));
        }
        if let Some((besides, id)) = &self.besides
            && *besides == type_id
        {
            ways.push(Clause::Id([id.clone()].into()));
        }
        Clause::Or(ways)
    }

    /// Whether resources of this type can be in it.
    pub(super) fn takes(&self, type_id: TypeId) -> bool {
        self.definition.type_id == type_id
            || !self.definition.params(type_id).is_empty()
            || self.besides.as_ref().is_some_and(|(t, _)| *t == type_id)
    }
}

/// The parameter refers to one of these.
fn refers(param: ParamId, type_id: TypeId, ids: &[ResourceId]) -> Clause {
    let to = |id: &ResourceId| {
        Match::Reference(ReferenceMatch::Local {
            type_id,
            id: id.clone(),
            version: None,
        })
    };
    Clause::Param(ParamClause {
        param: vec![param],
        kind: ParamKind::Reference,
        test: Test::Any(ids.iter().map(to).collect()),
    })
}

/// The parameter refers to a resource of the type that is there.
fn refers_to_some(param: ParamId, type_id: TypeId) -> Clause {
    Clause::Chain {
        param: vec![param],
        targets: vec![(type_id, std::sync::Arc::new(Clause::And(Vec::new())))],
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
