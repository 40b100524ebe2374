//! What the grant of a vendor leaves of a type: its scopes, and what belongs to its facilities.
//!
//! To a facility belong the charts of patients whom it manages or who were or are seen there, itself, and who
//! and what works there. What belongs to no facility, catalogues and the like, is read and not
//! changed; of a type that is neither, nothing is left.

use std::sync::Arc;

use fhir::definitions::TypeId;
use fhir::search::query::Clause;

use super::compile::{Narrowed, Surroundings, both, in_compartment, others, strays, understood};
use super::facilities::seen_at;
use super::variables::Values;
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

/// Of which facilities something is, by type: searches in which `%o` stands for Organizations and `%l` for
/// Locations. A search whose facilities are none is left out.
const OWN: &[(&str, &[&str])] = &[
    ("Organization", &["_id=%oid"]),
    ("Location", &["_id=%lid", "organization=%o"]),
    ("PractitionerRole", &["organization=%o", "location=%l"]),
    ("HealthcareService", &["organization=%o", "location=%l"]),
    (
        "Schedule",
        &[
            "actor:Location.organization=%o",
            "actor:PractitionerRole.organization=%o",
            "actor:HealthcareService.organization=%o",
            "actor=%l",
        ],
    ),
    (
        "Slot",
        &[
            "schedule.actor:Location.organization=%o",
            "schedule.actor:PractitionerRole.organization=%o",
            "schedule.actor:HealthcareService.organization=%o",
            "schedule.actor=%l",
        ],
    ),
];

/// Whose chart is a facility's: those whom it manages.
const MANAGED: &[&str] = &["organization=%o"];

/// What a grant leaves, ready to be asked.
#[derive(Debug)]
pub(super) struct Narrowing {
    scopes: Scopes,
    /// References to Organizations and to Locations; none where the grant is for all.
    facilities: Option<[Vec<String>; 2]>,
}

impl Narrowing {
    /// For a caller for whom scopes of these contexts count.
    pub(super) fn of(terms: &VendorTerms, contexts: &[ScopeContext]) -> Self {
        let of = |wanted: &str| {
            let named =
                |(of, id): &Facility| (**of == *wanted).then(|| format!("{of}/{}", id.as_str()));
            terms.facilities.iter().filter_map(named).collect()
        };
        Self {
            scopes: terms.scopes.only(contexts),
            facilities: (!terms.facilities.is_empty())
                .then(|| [of("Organization"), of("Location")]),
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
        let asked = |type_id: TypeId, searches: &[&str]| -> Vec<Clause> {
            let filled = searches.iter().filter_map(|text| filled(text, facilities));
            // A parameter that this version of FHIR does not have leads nowhere.
            let understood = |text: String| {
                understood(
                    type_id,
                    &text,
                    &Values::default(),
                    surroundings,
                    "facilities",
                )
                .ok()
            };
            filled.filter_map(understood).collect()
        };
        let own = OWN.iter().find(|(of, _)| *of == name);
        let mut ways = own.map_or_else(Vec::new, |(_, searches)| asked(type_id, searches));
        if let Some(patient) = model.type_id("Patient") {
            let mut charts = asked(patient, MANAGED);
            let [_, locations] = facilities;
            let locations: Vec<&str> = locations.iter().map(String::as_str).collect();
            charts.extend(seen_at(&locations, surroundings));
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

fn any(mut ways: Vec<Clause>) -> Clause {
    match (ways.len(), ways.pop()) {
        (1, Some(one)) => one,
        (_, last) => {
            ways.extend(last);
            Clause::Or(ways)
        }
    }
}

/// A search with its facilities; none where there are none of the kind that it asks for.
fn filled(text: &str, [organizations, locations]: &[Vec<String>; 2]) -> Option<String> {
    let (before, mark) = text.split_once('%')?;
    let of = match mark.starts_with('o') {
        true => organizations,
        false => locations,
    };
    if of.is_empty() {
        return None;
    }
    let bare = |reference: &String| {
        let id = reference.split_once('/').map_or("", |(_, id)| id);
        id.to_owned()
    };
    let values: Vec<String> = match mark.ends_with("id") {
        true => of.iter().map(bare).collect(),
        false => of.clone(),
    };
    Some(format!("{before}{}", values.join(",")))
}
