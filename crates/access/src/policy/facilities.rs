//! Whose charts are a facility's: of patients whom it manages, and who were or are seen there.

use std::sync::Arc;

use base::ResourceId;
use fhir::definitions::{ParamId, ParamKind, TypeId};
use fhir::search::query::{Clause, ParamClause, Test};
use fhir::search::rows::EXPECTED_AT;

use super::compile::{Silent, Surroundings, named, understood};
use super::variables::Values;

/// Encounters that took place or are taking place, in the words of each version of FHIR. One that is planned,
/// was called off or is there in error is none.
const SEEN: &str = "status=arrived,triaged,in-progress,onleave,finished,on-hold,discharged,completed,discontinued&location=";

/// Patients who were or are seen at Locations; none where there are none of these. At one for which they are only
/// planned, or that is only reserved for them, they are not.
pub(super) fn seen_at(locations: &[&str], surroundings: &Surroundings<'_>) -> Option<Clause> {
    if locations.is_empty() {
        return None;
    }
    let model = surroundings.model;
    let encounter = model.type_id("Encounter")?;
    let whose = model.param(encounter, "patient")?;
    let text = format!("{SEEN}{}", locations.join(","));
    let values = Values::default();
    let seen = understood(encounter, &text, &values, surroundings, "facilities").ok()?;
    let location = model.type_id("Location")?;
    let at = model.param(encounter, "location")?.id;
    let ids = ids_of(locations);
    let at_one = |id: &ResourceId| {
        let refers = |param: ParamId| {
            Clause::Param(ParamClause {
                param: vec![param],
                kind: ParamKind::Reference,
                test: Test::Any(named(location, std::slice::from_ref(id))),
            })
        };
        let expected = Clause::Not(Box::new(refers(EXPECTED_AT)));
        Clause::And(vec![refers(at), expected])
    };
    let inner = Clause::And(vec![seen, Clause::Or(ids.iter().map(at_one).collect())]);
    Some(Clause::Has {
        source: encounter,
        param: whose.id,
        inner: Arc::new(inner),
    })
}

/// The ids of references.
fn ids_of(references: &[&str]) -> Vec<ResourceId> {
    let ids = references.iter().filter_map(|r| r.split_once('/'));
    ids.filter_map(|(_, id)| ResourceId::new(id).ok()).collect()
}

/// Patients whom the Organizations manage to which Locations belong.
fn managed_for(locations: &[&str], surroundings: &Surroundings<'_>) -> Option<Clause> {
    let model = surroundings.model;
    let types = ["Patient", "Organization", "Location"].map(|name| model.type_id(name));
    let [Some(patient), Some(organization), Some(location)] = types else {
        return None;
    };
    let of_location = Clause::Has {
        source: location,
        param: model.param(location, "organization")?.id,
        inner: Arc::new(Clause::Id(ids_of(locations).into())),
    };
    Some(Clause::Chain {
        param: vec![model.param(patient, "organization")?.id],
        targets: vec![(organization, Arc::new(of_location))],
    })
}

/// Patients whose charts are those of somebody's facilities: whom their Organizations manage; whom those
/// manage to which their Locations belong, and who were or are seen there.
pub(super) fn patients_of(
    values: &Values,
    surroundings: &Surroundings<'_>,
) -> Result<(TypeId, Arc<Clause>), Silent> {
    let Some(patient) = surroundings.model.type_id("Patient") else {
        return Err(Silent::Nothing);
    };
    let (organizations, locations): (Vec<&str>, Vec<&str>) = values
        .facilities()
        .partition(|facility| facility.starts_with("Organization/"));
    let mut ways = Vec::new();
    if !organizations.is_empty() {
        let text = format!("organization={}", organizations.join(","));
        let (none, member) = (Values::default(), "by");
        ways.push(understood(patient, &text, &none, surroundings, member)?);
    }
    if !locations.is_empty() {
        ways.extend(managed_for(&locations, surroundings));
        ways.extend(seen_at(&locations, surroundings));
    }
    match (ways.len(), ways.pop()) {
        (1, Some(one)) => Ok((patient, Arc::new(one))),
        (_, Some(last)) => {
            ways.push(last);
            Ok((patient, Arc::new(Clause::Or(ways))))
        }
        (_, None) => Err(Silent::Nothing),
    }
}
