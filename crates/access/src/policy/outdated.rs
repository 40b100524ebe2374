//! Grants as ready policies of earlier versions of this program say them. A document that is in force stays as it
//! is: whoever administers is told which of its grants open more than the ready policies do, and what these say
//! in their place.

use super::document::{By, Document, GrantText};
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
        let mut renewed = self.clone();
        for grant in &mut renewed.grants {
            let Some((ready, now)) = instead(grant) else {
                continue;
            };
            // What consents permit is asked where they count.
            if now.by == Some(By::Consent) && renewed.consents.is_none() {
                renewed.consents = ready.consents;
            }
            *grant = now;
        }
        (renewed != *self).then_some(renewed)
    }
}

/// What a ready policy says in place of a grant that it once said, and that policy.
fn instead(grant: &GrantText) -> Option<(Document, GrantText)> {
    PRESETS.iter().find_map(|preset| {
        let ready = preset.document();
        let now = ready
            .grants
            .iter()
            .find(|now| once(now).as_ref() == Some(grant))?;
        let now = now.clone();
        Some((ready, now))
    })
}

/// What ready policies once said where they say this now: charts by searches alone, and what was searched for in
/// the trail.
fn once(now: &GrantText) -> Option<GrantText> {
    let mut once = now.clone();
    if let Some(by) = once.by.take() {
        // Slots are in no chart, and diaries had no grant of their own.
        once.types.retain(|of| of != "Slot");
        if once.types == ["Schedule"] {
            return None;
        }
        once.within = chart(by).map(str::to_owned);
        return Some(once);
    }
    let hidden = std::mem::take(&mut once.hide);
    (hidden == ["AuditEvent.entity.query"]).then_some(once)
}

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
