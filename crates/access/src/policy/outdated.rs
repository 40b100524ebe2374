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

/// What ready policies once said where they say this now: charts by searches alone, everybody's diaries, a front
/// desk without slots, and what was searched for in the trail.
fn once(now: &GrantText) -> Vec<GrantText> {
    let mut all = Vec::new();
    let mut once = now.clone();
    let diaries = ["Schedule", "Slot"].map(str::to_owned);
    if now.types == diaries {
        return all;
    }
    if now.name.ends_with(DIRECTORY) {
        let behind = now.types.iter().position(|of| of == "Endpoint");
        let at = behind.map_or(now.types.len(), |at| at + 1);
        once.types.splice(at..at, diaries);
        all.push(once);
        return all;
    }
    once.types.retain(|of| of != "Slot");
    if once != *now {
        all.push(once.clone());
    }
    if let Some(by) = once.by.take() {
        once.within = chart(by).map(str::to_owned);
        all.push(once);
        return all;
    }
    let hidden = std::mem::take(&mut once.hide);
    if hidden == ["AuditEvent.entity.query"] {
        all.push(once);
    }
    all
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
