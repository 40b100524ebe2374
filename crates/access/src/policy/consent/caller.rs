//! Conditions of provisions about the caller: who they are, where they have a role, what they come for and
//! what they do.

use super::Reference;
use super::asking::{Asking, is_own};
use super::charts::Charts;
use super::formula::{Bound, Formula};
use crate::action::ActionName;
use crate::policy::compile::Surroundings;
use crate::policy::subject::Subject;

/// Whether an actor is the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meant {
    Them,
    Other,
    Perhaps,
}

/// The charts of patients in whose care teams the caller is now; none where no Practitioner stands for them.
pub(in crate::policy) fn cared_for(
    subject: &Subject<'_>,
    surroundings: &Surroundings<'_>,
) -> Option<Charts> {
    let model = surroundings.model;
    let (of, own) = subject.fhir_user?;
    let patient = model.type_id("Patient")?;
    (model.type_name(of) == "Practitioner").then(|| {
        let own_base = |base: Option<&str>| is_own(surroundings, base);
        let teams = &surroundings.consents.teams;
        Charts::of(patient, &teams.patients(own, surroundings.now, &own_base))
    })
}

impl Asking<'_> {
    /// Whether a reference means the caller: who stands for them, or a facility where they have a role.
    /// Whoever is not surely somebody else may be meant.
    pub(super) fn is(&self, reference: &Reference) -> Meant {
        let subject = self.subject;
        let model = self.surroundings.model;
        if !self.is_here(reference) {
            return Meant::Perhaps;
        }
        let of = &*reference.of;
        let user = subject.fhir_user.map(|(t, id)| (model.type_name(t), id));
        if user == Some((of, &reference.id)) {
            return Meant::Them;
        }
        let user = user.map(|(of, _)| of);
        match of {
            "Organization" | "Location" => self.held_at(reference),
            "Practitioner" | "Patient" => match user {
                Some("Practitioner" | "Patient" | "RelatedPerson") => Meant::Other,
                Some(_) => Meant::Perhaps,
                // A program is none of them.
                None if subject.client.is_some() && subject.person.is_none() => Meant::Other,
                None => Meant::Perhaps,
            },
            _ => Meant::Perhaps,
        }
    }

    /// Whether a facility is one where the caller has a role.
    fn held_at(&self, reference: &Reference) -> Meant {
        let roles = self.subject.roles;
        let wanted = (&*reference.of, &reference.id);
        let at = |held: &crate::person::RoleAt| {
            let own = held.facility.as_ref();
            own.is_some_and(|(of, id)| (&**of, id) == wanted)
        };
        if roles.iter().any(at) {
            return Meant::Them;
        }
        let places = &self.surroundings.consents.places;
        let apart = |held: &crate::person::RoleAt| {
            let own = held.facility.as_ref();
            own.is_some_and(|(of, id)| places.are_apart((of, id), wanted))
        };
        match !roles.is_empty() && roles.iter().all(apart) {
            true => Meant::Other,
            false => Meant::Perhaps,
        }
    }

    pub(super) fn purposes(&self, wanted: &[Box<str>]) -> Bound {
        /// Purposes that are none of each other (v3-PurposeOfUse).
        const APART: [&str; 7] = [
            "TREAT", "HPAYMT", "HOPERAT", "HRESCH", "HMARKT", "PATRQT", "PUBHLTH",
        ];
        let Some(own) = &self.purposes else {
            return Bound::unclear();
        };
        let meant = |o: &String| wanted.iter().any(|w| **w == **o);
        let apart = own.iter().all(|o| APART.contains(&o.as_str()))
            && wanted.iter().all(|w| APART.contains(&&**w));
        // Whoever comes for several is permitted what all of them are, and refused what any of them is.
        Bound {
            surely: Formula::of(!own.is_empty() && own.iter().all(meant)),
            at_most: Formula::of(own.iter().any(meant) || !apart),
        }
    }
}

/// Actions of consents (consentaction) and those here.
pub(super) fn acts(wanted: &[Box<str>], action: ActionName) -> Bound {
    let own: &[&str] = match action {
        ActionName::Create => &["collect"],
        ActionName::Update => &["collect", "correct"],
        ActionName::Delete => &["correct"],
        _ => &["access", "use", "disclose"],
    };
    let known = |w: &str| matches!(w, "collect" | "access" | "use" | "disclose" | "correct");
    let meant = wanted.iter().any(|w| own.contains(&&**w));
    let others = wanted.iter().any(|w| !known(w));
    Bound::with_others(Formula::of(meant), others && !meant)
}
