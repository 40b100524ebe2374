//! What the grant of a vendor leaves of a type: its scopes, and what belongs to its facilities.
//!
//! To a facility belong the charts of patients whom it manages or who were or are seen there, itself, and who
//! and what works there. What belongs to no facility, catalogues and the like, is read and not
//! changed; of a type that is neither, nothing is left.

use std::sync::Arc;

use fhir::definitions::TypeId;

use super::compile::{Narrowed, Surroundings, any, both, in_compartment, others, strays};
use super::facilities::{Places, seen_at};
use crate::action::ActionName;
use crate::scope::{ScopeContext, Scopes};
use crate::vendor::{Facility, VendorTerms};

/// Types that belong to no facility and say nothing of patients.
const COMMON: &[&str] = &[
    "ActivityDefinition",
    "CapabilityStatement",
    "CodeSystem",
    "CompartmentDefinition",
    "ConceptMap",
    "Endpoint",
    "GraphDefinition",
    "ImplementationGuide",
    "Library",
    "Measure",
    "Medication",
    "MedicationKnowledge",
    "MessageDefinition",
    "NamingSystem",
    "ObservationDefinition",
    "OperationDefinition",
    "PlanDefinition",
    "Practitioner",
    "Questionnaire",
    "SearchParameter",
    "SpecimenDefinition",
    "StructureDefinition",
    "StructureMap",
    "Substance",
    "TerminologyCapabilities",
    "ValueSet",
];

/// What a grant leaves, ready to be asked.
#[derive(Debug)]
pub(super) struct Narrowing {
    scopes: Scopes,
    /// References; none where the grant is for all.
    facilities: Option<Vec<String>>,
}

impl Narrowing {
    /// For a caller for whom scopes of these contexts count.
    pub(super) fn of(terms: &VendorTerms, contexts: &[ScopeContext]) -> Self {
        let named = |(of, id): &Facility| format!("{of}/{}", id.as_str());
        Self {
            scopes: terms.scopes.only(contexts),
            facilities: (!terms.facilities.is_empty())
                .then(|| terms.facilities.iter().map(named).collect()),
        }
    }

    pub(super) const fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// What belongs to the facilities, of a type.
    pub(super) fn of_facilities(
        &self,
        action: ActionName,
        type_id: TypeId,
        surroundings: &Surroundings<'_>,
    ) -> Narrowed {
        let Some(facilities) = &self.facilities else {
            return Narrowed::Not;
        };
        let model = surroundings.model;
        let name = model.type_name(type_id);
        if COMMON.contains(&name) {
            // What every facility reads, one of them does not change.
            return match action.writes() {
                true => Narrowed::Nothing,
                false => Narrowed::Not,
            };
        }
        let all: Vec<&str> = facilities.iter().map(String::as_str).collect();
        let places = Places::of(model, &all);
        let mut ways = Vec::from_iter(places.own(model, type_id));
        if let Some(patient) = model.type_id("Patient") {
            let mut charts = Vec::from_iter(places.managed(model));
            let at = all.iter().copied().filter(|of| of.starts_with("Location/"));
            charts.extend(seen_at(&at.collect::<Vec<_>>(), surroundings));
            if !charts.is_empty() {
                let charts = Arc::new(any(charts));
                let mut way = in_compartment(model, patient, type_id, &charts);
                if action.writes() && way.is_some() {
                    way = both(way, strays(model, patient, type_id, &others(&charts)));
                }
                ways.extend(way);
            }
        }
        match ways.is_empty() {
            true => Narrowed::Nothing,
            false => Narrowed::To(any(ways)),
        }
    }
}
