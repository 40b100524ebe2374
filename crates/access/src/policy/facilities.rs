//! Whose charts are a facility's: of patients whom it manages, and who were or are seen there.

use std::sync::Arc;

use base::ResourceId;
use fhir::definitions::TypeId;
use fhir::search::query::Clause;

use super::compile::{Silent, Surroundings, understood};
use super::variables::Values;

/// Encounters that took place or are taking place, in the words of each version of FHIR. One that is planned,
/// was called off or is there in error is none.
const SEEN: &str = "status=arrived,triaged,in-progress,onleave,finished,on-hold,discharged,completed,discontinued&location=";

/// Patients who were or are seen at Locations; none where there are none of these.
pub(super) fn seen_at(locations: &[&str], surroundings: &Surroundings<'_>) -> Option<Clause> {
    if locations.is_empty() {
        return None;
    }
    let model = surroundings.model;
    let encounter = model.type_id("Encounter")?;
    let whose = model.param(encounter, "patient")?;
    let text = format!("{SEEN}{}", locations.join(","));
    let values = Values::default();
    let inner = understood(encounter, &text, &values, surroundings, "facilities").ok()?;
    Some(Clause::Has {
        source: encounter,
        param: whose.id,
        inner: Arc::new(inner),
    })
}

/// Patients whom the Organizations manage to which Locations belong.
fn managed_for(locations: &[&str], surroundings: &Surroundings<'_>) -> Option<Clause> {
    let model = surroundings.model;
    let types = ["Patient", "Organization", "Location"].map(|name| model.type_id(name));
    let [Some(patient), Some(organization), Some(location)] = types else {
        return None;
    };
    let ids = locations.iter().filter_map(|l| l.split_once('/'));
    let ids: Vec<ResourceId> = ids.filter_map(|(_, id)| ResourceId::new(id).ok()).collect();
    let of_location = Clause::Has {
        source: location,
        param: model.param(location, "organization")?.id,
        inner: Arc::new(Clause::Id(ids.into())),
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
