//! What a policy lets happen that its author may not have meant.

use std::collections::BTreeMap;

use super::compile::{Policy, Surroundings, Ways, types_of};
use super::document::{Actions, By, Effect};
use super::errand::{Operation, operation_of};
use super::variables::Values;
use crate::action::ActionName;

impl Policy {
    /// Warnings for people, in a fixed order.
    pub fn lint(&self, surroundings: &Surroundings<'_>) -> Vec<String> {
        let mut warnings = self.evidence(surroundings);
        let document = self.document();
        let opens_by_consent =
            |text: &Option<String>| text.as_ref().is_some_and(|t| t.contains("_has:Consent:"));
        for grant in &document.grants {
            let by_consent = opens_by_consent(&grant.within) || opens_by_consent(&grant.criteria);
            if grant.effect == Effect::Allow && by_consent && !document.enforces_consents() {
                warnings.push(format!(
                    "\"{}\" goes by Consents, and what they refuse does not count: \"consents\": \"enforced\"",
                    grant.name
                ));
            }
        }
        warnings.extend(document.told_outdated());
        warnings
    }

    /// Types whose resources open others, and who may write them.
    fn evidence(&self, surroundings: &Surroundings<'_>) -> Vec<String> {
        let model = surroundings.model;
        let values = Values::sample();
        let mut evidence: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for grant in &self.document().grants {
            let Ok((types, all)) = types_of(grant, model) else {
                continue;
            };
            let mut looked = Vec::new();
            let ways = Ways::of(grant, all, &values, surroundings);
            for type_id in types {
                let Ok((way, _)) = ways.on(type_id) else {
                    continue;
                };
                let clause = way.clause.as_ref();
                looked.extend(clause.into_iter().flat_map(|c| c.looks_at(model)));
            }
            let opening = grant.by.map_or(&[] as &[_], By::evidence);
            looked.extend(opening.iter().filter_map(|name| model.type_id(name)));
            looked.sort_unstable();
            looked.dedup();
            let texts = [&grant.criteria, &grant.within];
            if texts
                .into_iter()
                .flatten()
                .any(|text| names_own(text, surroundings))
            {
                evidence
                    .entry("SearchParameter")
                    .or_default()
                    .push(&grant.name);
            }
            for type_id in looked {
                let name = model.type_name(type_id);
                // Charts hang on patients: that is what a compartment is.
                if name != "Patient" {
                    evidence.entry(name).or_default().push(&grant.name);
                }
            }
        }
        if self.document().enforces_consents() {
            for place in ["Organization", "Location"] {
                evidence.entry(place).or_default().push("consents");
            }
        }
        let mut warnings = Vec::new();
        for (name, opened) in evidence {
            let writes = |grant: &&super::document::GrantText| {
                let actions = grant.actions.named();
                grant.effect == Effect::Allow
                    && grant.break_glass.is_none()
                    && grant.types.iter().any(|t| t == "*" || t == name)
                    && (actions.contains(&ActionName::Create)
                        || actions.contains(&ActionName::Update)
                        || labels(&grant.actions))
            };
            let writers: Vec<&str> = self
                .document()
                .grants
                .iter()
                .filter(writes)
                .map(|g| g.name.as_str())
                .collect();
            if !writers.is_empty() {
                warnings.push(format!(
                    "{name} is evidence for \"{}\" and is written under \"{}\": whoever writes it opens what it \
                     is evidence for to others",
                    opened.join("\", \""),
                    writers.join("\", \"")
                ));
            }
        }
        warnings
    }
}

/// Whether operations are named that change what criteria may look at.
fn labels(actions: &Actions) -> bool {
    let mut all = actions.operations().filter_map(operation_of);
    all.any(Operation::writes)
}

/// Whether criteria name a search parameter of the tenant's own, perhaps.
fn names_own(text: &str, surroundings: &Surroundings<'_>) -> bool {
    let part = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    let own = surroundings
        .customs
        .iter()
        .map(|c| c.definition.code.as_str());
    let own: Vec<&str> = own.collect();
    text.split(part).any(|word| own.contains(&word))
}
