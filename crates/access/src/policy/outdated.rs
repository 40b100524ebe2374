//! Grants as ready policies of earlier versions of this program say them. A document that is in force stays as it
//! is: whoever administers is told which of its grants open more than the ready policies do, and what these say
//! in their place.

use super::document::{Actions, By, Document, GrantText};
use super::presets::PRESETS;

impl Document {
    /// The names of grants that are what a ready policy once said and none says any more, in their order.
    pub fn outdated(&self) -> impl Iterator<Item = &str> {
        let found = self.grants.iter().filter(|grant| instead(grant).is_some());
        found.map(|grant| grant.name.as_str())
    }

    /// What whoever administers is told of them.
    pub fn told_outdated(&self) -> Option<String> {
        let names: Vec<String> = self.outdated().map(|name| format!("\"{name}\"")).collect();
        (!names.is_empty()).then(|| {
            let names = names.join(", ");
            format!("as ready policies of an earlier version, and not as today's: {names}")
        })
    }

    /// The document with what ready policies say now in place of such grants; none if it has none of them.
    pub fn renewed(&self) -> Option<Self> {
        let (mut renewed, mut added) = (self.clone(), Vec::new());
        for grant in &mut renewed.grants {
            let Some((ready, now)) = instead(grant) else {
                continue;
            };
            // What consents permit is asked where they count.
            if now.by == Some(By::Consent) && renewed.consents.is_none() {
                renewed.consents = ready.consents;
            }
            // Whose diaries are seen was said with the directory.
            let diaries = now.name.replace(DIRECTORY, "diaries");
            let own = ready.grants.iter().find(|of| of.name == diaries);
            added.extend(own.filter(|_| now.name != diaries).cloned());
            *grant = now;
        }
        let names: Vec<String> = renewed.grants.iter().map(|of| of.name.clone()).collect();
        added.retain(|grant| !names.contains(&grant.name));
        renewed.grants.extend(added);
        (renewed != *self).then_some(renewed)
    }
}

/// What a ready policy says in place of a grant that it once said, and that policy.
fn instead(grant: &GrantText) -> Option<(Document, GrantText)> {
    PRESETS.iter().find_map(|preset| {
        let ready = preset.document();
        let now = ready.grants.iter().find(|now| once(now).contains(grant))?;
        let now = now.clone();
        Some((ready, now))
    })
}

/// The last words of the names of grants of the directory.
const DIRECTORY: &str = "the directory";

/// What ready policies once said where they say this now: less hidden, everybody's diaries, and charts by searches
/// alone.
fn once(now: &GrantText) -> Vec<GrantText> {
    let mut all = vec![now.clone()];
    for (name, types, hide) in SHOWN {
        if now.name == *name {
            let owned = |of: &[&str]| of.iter().map(|one| (*one).to_owned()).collect();
            let mut once = now.clone();
            (once.types, once.hide) = (owned(types), owned(hide));
            all.push(once);
        }
    }
    if now.name.ends_with(DIRECTORY) {
        let mut once = now.clone();
        let behind = now.types.iter().position(|of| of == "Endpoint");
        let at = behind.map_or(now.types.len(), |at| at + 1);
        let diaries = ["Schedule", "Slot"].map(str::to_owned);
        once.types.splice(at..at, diaries);
        // Nobody changed it by a ready policy.
        once.actions = Actions::Letters("rs".to_owned());
        all.push(once);
    }
    let by_search = |once: &GrantText| {
        let mut once = once.clone();
        once.within = chart(once.by.take()?).map(str::to_owned);
        Some(once)
    };
    let searches: Vec<GrantText> = all.iter().filter_map(by_search).collect();
    all.extend(searches);
    all.retain(|once| once != now);
    all
}

/// Grants that once hid less: their types and what they hid then.
const SHOWN: &[(&str, &[&str], &[&str])] = &[
    ("tenant-administrator: the trail", &["AuditEvent"], &[]),
    (
        "biller: patients",
        &["Patient", "Encounter"],
        &["Patient.contact", "Encounter.diagnosis"],
    ),
    (
        "front-desk: appointments",
        &[
            "Appointment",
            "AppointmentResponse",
            "Schedule",
            "Encounter",
        ],
        &[],
    ),
];

/// The search that stood for a rule of charts.
const fn chart(by: By) -> Option<&'static str> {
    match by {
        By::Network => None,
        By::Facility => Some("Patient?organization=%user.facilities"),
        By::CareTeam => Some("Patient?_has:CareTeam:patient:participant=%user.practitioner"),
        By::Consent => Some(
            "Patient?_has:Consent:patient:_filter=status eq active and actor eq %user.facilities",
        ),
    }
}
