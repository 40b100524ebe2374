//! Who may do what by a policy: a table of roles by types that people can read.

use std::collections::BTreeMap;

use access::{ActionName, Errand, Policy, RequestFacts, Rights, RoleAt, Subject, Surroundings};
use base::{Limits, Micros, ResourceId};
use fhir::definitions::Model;
use fhir::resource::mask::Mask;
use fhir::search::Customs;
use fhir::search::query::Clause;
use serde::Serialize;

/// Who may do what: roles by types.
#[derive(Debug, Serialize)]
pub struct Matrix {
    /// The roles that the policy names.
    pub roles: Vec<String>,
    /// By type, for each role, the letters of what it may do (`x`: export) and operations that are granted by
    /// name; in brackets what it may do to some resources of the type only, `*` where elements are hidden.
    pub types: BTreeMap<&'static str, Vec<String>>,
}

/// Who may do what by a policy, every role at one facility.
pub(crate) fn matrix(policy: &Policy, surroundings: &Surroundings<'_>) -> Matrix {
    let mut roles: Vec<String> = Vec::new();
    for grant in &policy.document().grants {
        for role in &grant.who.roles {
            if !roles.contains(role) {
                roles.push(role.clone());
            }
        }
    }
    let mut there = access::Consents::default();
    if let Ok(id) = ResourceId::new("1") {
        there.learn_place("Organization", &id, Some(b"{}"));
    }
    let surroundings = &Surroundings {
        consents: &there,
        ..*surroundings
    };
    let facts = RequestFacts {
        at: surroundings.now,
        from: None,
        reason: None,
        stepped_up: false,
    };
    let one = ResourceId::new("1").ok();
    let kinds = ["Practitioner", "Patient"].map(|n| surroundings.model.type_id(n));
    let [practitioner, patient] = kinds;
    let rights: Vec<_> = roles
        .iter()
        .map(|role| {
            let at: Vec<RoleAt> = RoleAt::parse(&format!("{role}@Organization/1"))
                .into_iter()
                .collect();
            let is = if role == "patient" {
                patient
            } else {
                practitioner
            };
            let subject = Subject {
                fhir_user: is.zip(one.as_ref()),
                ..Subject::holding(&at)
            };
            policy.suppose(&subject, &facts, surroundings)
        })
        .collect();
    let letters = [
        (Errand::Plain, ActionName::Create, 'c'),
        (Errand::Plain, ActionName::Read, 'r'),
        (Errand::Plain, ActionName::Update, 'u'),
        (Errand::Plain, ActionName::Delete, 'd'),
        (Errand::Plain, ActionName::Search, 's'),
        (Errand::Bulk, ActionName::Search, 'x'),
    ];
    let mut types = BTreeMap::new();
    for type_id in surroundings.model.types() {
        let row: Vec<String> = rights
            .iter()
            .map(|rights| {
                let (mut all, mut some, mut hidden) = (String::new(), String::new(), false);
                for (errand, action, letter) in letters {
                    let own = rights.on(errand);
                    let Some(rights) = own.filter(|own| own.allows(action, type_id)) else {
                        continue;
                    };
                    let rule = rights.rule(action, type_id);
                    hidden |= rule.is_some_and(|r| r.hidden().is_some());
                    match rule.and_then(|r| r.filter()) {
                        None => all.push(letter),
                        Some(_) => some.push(letter),
                    }
                }
                let some = if some.is_empty() {
                    some
                } else {
                    format!("({some})")
                };
                let star = if hidden { "*" } else { "" };
                let mut cell = format!("{all}{some}{star}");
                // Operations by which more is reached than without them.
                for (of, own) in rights.operations() {
                    let reached = |rights: &Rights| -> Vec<Option<(Option<Clause>, usize)>> {
                        let of_action = |action: &ActionName| {
                            let rule = rights.rule(*action, type_id);
                            let hidden = rule.and_then(|rule| rule.hidden());
                            let filter = rule.and_then(|rule| rule.filter()).cloned();
                            let reached = (filter, hidden.map_or(0, Mask::len));
                            rights.allows(*action, type_id).then_some(reached)
                        };
                        of.does().iter().map(of_action).collect()
                    };
                    let with = reached(own);
                    if with.iter().any(Option::is_none) || with == reached(rights) {
                        continue;
                    }
                    let which = with.into_iter().flatten().find_map(|(filter, _)| filter);
                    cell.push_str(if cell.is_empty() { "" } else { " " });
                    match which {
                        None => cell.push_str(of.name()),
                        Some(_) => cell.push_str(&format!("({})", of.name())),
                    }
                }
                cell
            })
            .collect();
        if row.iter().any(|cell| !cell.is_empty()) {
            types.insert(surroundings.model.type_name(type_id), row);
        }
    }
    Matrix { roles, types }
}

/// The table of a ready policy in a version of FHIR.
pub fn preset_matrix(name: &str, model: &'static Model) -> Option<Matrix> {
    let limits = Limits::default();
    let surroundings = Surroundings {
        model,
        limits: &limits,
        own_bases: &[],
        customs: Customs::NONE,
        consents: access::Consents::none(),
        now: Micros(0),
    };
    let policy = Policy::new(1, access::preset(name)?, model).ok()?;
    policy.check(&surroundings).ok()?;
    Some(matrix(&policy, &surroundings))
}

/// Names of the ready policies, and what each is for.
pub fn presets() -> impl Iterator<Item = (&'static str, &'static str)> {
    access::PRESETS.iter().map(|p| (p.name, p.about))
}

impl Matrix {
    /// The table as text: a line for each type, a column for each role.
    pub fn to_text(&self) -> String {
        let mut rows = vec![
            std::iter::once("".to_owned())
                .chain(self.roles.clone())
                .collect(),
        ];
        rows.extend(self.types.iter().map(|(name, cells)| {
            let first = std::iter::once((*name).to_owned());
            first.chain(cells.clone()).collect::<Vec<String>>()
        }));
        let columns = self.roles.len() + 1;
        let width = |at: usize| rows.iter().filter_map(|r| r.get(at)).map(String::len).max();
        let widths: Vec<usize> = (0..columns).map(|at| width(at).unwrap_or(0)).collect();
        let mut text = String::new();
        for row in &rows {
            let cells = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:width$}"));
            let cells: Vec<String> = cells.collect();
            text.push_str(cells.join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}
