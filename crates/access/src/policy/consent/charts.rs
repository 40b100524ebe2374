//! Charts of patients who are known by id, as conditions on resources of any type. Knows nothing of why.

use std::sync::Arc;

use base::ResourceId;
use fhir::definitions::{Model, TypeId};
use fhir::search::query::{Clause, Match};

use crate::policy::compile::{both, in_compartment, in_compartment_of, named, others, strays};

/// So many patients are named by each reference; of more it is asked whether the one it leads to is among
/// them.
const NAMED_MAX: usize = 200;

/// The charts of some patients. What is the same for all types is made once.
#[derive(Debug)]
pub(in crate::policy) struct Charts {
    patient: TypeId,
    these: Arc<Clause>,
    others: Arc<Clause>,
    named: Option<Arc<[Match]>>,
}

impl Charts {
    /// Of patients with these ids, in their order.
    pub(in crate::policy) fn of(patient: TypeId, ids: &[ResourceId]) -> Self {
        let these = Arc::new(Clause::Id(ids.into()));
        Self {
            patient,
            others: others(&these),
            these,
            named: (ids.len() <= NAMED_MAX).then(|| named(patient, ids)),
        }
    }

    /// Which resources of a type; who writes reaches the one whose it is. None if the type is in no chart.
    pub(in crate::policy) fn of_type(
        &self,
        model: &'static Model,
        type_id: TypeId,
        writes: bool,
    ) -> Option<Clause> {
        let inside = match &self.named {
            _ if type_id == self.patient => Some(Clause::clone(&self.these)),
            Some(named) => in_compartment_of(model, self.patient, type_id, named),
            None => in_compartment(model, self.patient, type_id, &self.these),
        }?;
        let stray = match writes {
            true => strays(model, self.patient, type_id, &self.others),
            false => None,
        };
        both(Some(inside), stray)
    }
}
