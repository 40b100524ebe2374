//! Whose charts are a facility's, and who is in a care team, asked of one resource at a time.

use serde_json::Value;

use super::consents::is_within;
use super::naive::{Asked, Known, Vendor, chart, name, reference};

fn list<'v>(of: &'v Value, name: &str) -> &'v [Value] {
    of[name].as_array().map_or(&[], Vec::as_slice)
}

/// Whether a patient was seen at a place, in an encounter that took place.
fn was_seen(known: &Known, patient: &str, at: &str) -> bool {
    let was = |encounter: &Value| {
        let there = list(encounter, "location").iter();
        let mut there = there.filter(|one| reference(one, "location") == Some(at));
        encounter["resourceType"] == "Encounter"
            && encounter["status"] == "finished"
            && reference(encounter, "subject") == Some(patient)
            && there.any(|one| !matches!(one["status"].as_str(), Some("planned" | "reserved")))
    };
    known.values().any(was)
}

/// Whether the chart of a patient is one of somebody's facilities; `to` is looked at as it is written.
pub(super) fn of_facilities(known: &Known, facilities: &[&str], patient: &str, to: &Value) -> bool {
    let patient_as_is = match name(to) == patient {
        true => Some(to),
        false => known.get(patient),
    };
    let Some(as_is) = patient_as_is else {
        return false;
    };
    let by = reference(as_is, "managingOrganization");
    facilities.iter().any(|at| {
        let of_place = known
            .get(*at)
            .and_then(|at| reference(at, "managingOrganization"));
        match at.starts_with("Location/") {
            false => by == Some(*at),
            true => by.is_some() && by == of_place || was_seen(known, patient, at),
        }
    })
}

/// Whether the caller is in a team of a patient now.
pub(super) fn cared_for(asked: &Asked<'_>, patient: &str, now: i64) -> bool {
    let own = asked.practitioner();
    let cares = |team: &Value| {
        let mut members = list(team, "participant").iter();
        team["status"] == "active"
            && reference(team, "subject") == Some(patient)
            && is_within(&team["period"], now)
            && members.any(|m| {
                own.is_some() && reference(m, "member") == own && is_within(&m["period"], now)
            })
    };
    asked.all("CareTeam").any(cares)
}

/// Whether anything of a type may belong to a vendor's facilities.
pub(super) fn may_belong(vendor: &Vendor, writes: bool, of: &str) -> bool {
    match of {
        "Practitioner" => !writes,
        "Organization" => vendor
            .facilities
            .iter()
            .any(|at| at.starts_with("Organization/")),
        _ => true,
    }
}

/// Whether a resource belongs to a vendor's facilities.
pub(super) fn belongs(known: &Known, vendor: &Vendor, to: &Value) -> bool {
    let facilities = vendor.facilities;
    let own = |of: Option<&str>| of.is_some_and(|of| facilities.contains(&of));
    if facilities.is_empty() || to["resourceType"] == "Practitioner" {
        return true;
    }
    if matches!(
        to["resourceType"].as_str(),
        Some("Organization" | "Location")
    ) {
        return own(Some(&name(to))) || own(reference(to, "managingOrganization"));
    }
    let Some(Some(patient)) = chart(to) else {
        return false;
    };
    let as_is = match name(to) == patient {
        true => Some(to),
        false => known.get(&patient),
    };
    as_is.is_some_and(|as_is| {
        let seen = facilities.iter().any(|at| was_seen(known, &patient, at));
        own(reference(as_is, "managingOrganization")) || seen
    })
}
