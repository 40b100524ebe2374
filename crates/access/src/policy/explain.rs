//! A decision, step by step: which grants look at it, and what each says.

use fhir::definitions::TypeId;
use fhir::search::query::Clause;
use serde::Serialize;

use super::break_glass::Opened;
use super::built_in::BuiltIn;
use super::compile::{
    Policy, Silent, Surroundings, Ways, both, concerns, covers, narrow_to, strays_of, types_of,
};
use super::consent::Refused;
use super::document::{Effect, GrantText};
use super::errand::Errand;
use super::rights::{Obligation, Rights};
use super::subject::Subject;
use super::variables::Values;
use super::when::{Holds, RequestFacts};
use crate::action::ActionName;

/// What a grant says about an action of somebody on a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is about others.
    NotAboutThem,
    /// It is about other actions.
    OtherAction,
    /// It is about other types.
    OtherType,
    /// Its circumstances are others.
    NotNow,
    /// It asks for a reason.
    LacksReason,
    /// It asks for two factors.
    LacksStepUp,
    /// It cannot be evaluated.
    CannotTell,
    /// A value that its criteria need is not there.
    NoValue,
    /// It gives nothing by itself: they may open a patient under it.
    BreakGlass,
    /// It is a grant of all of the type.
    Gives,
    /// It is a grant of some resources.
    GivesSome,
    /// It refuses all of the type.
    Refuses,
    /// It refuses some resources.
    RefusesSome,
}

/// One grant in a decision.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// The grant's name.
    pub grant: String,
    /// What it says.
    pub says: Verdict,
    /// What it refers to, where it was looked at whether a certain resource meets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub met: Option<bool>,
    /// Its criteria.
    #[serde(skip)]
    pub clause: Option<Clause>,
    /// Elements that it hides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hides: Vec<String>,
}

/// A decision.
#[derive(Clone, Debug, Serialize)]
pub struct Decision {
    /// Whether it is allowed, for some resources of the type at least.
    pub allowed: bool,
    /// Whether the scopes leave it.
    pub in_scope: bool,
    /// Grant by grant.
    pub steps: Vec<Step>,
}

impl Policy {
    /// Why somebody may do something with a type, or not.
    pub fn explain(
        &self,
        subject: &Subject<'_>,
        (errand, action, type_id): (Errand, ActionName, TypeId),
        facts: &RequestFacts<'_>,
        surroundings: &Surroundings<'_>,
        opened: &[Opened<'_>],
    ) -> Decision {
        let rights = self.suppose_open(subject, facts, surroundings, opened);
        let unscoped = Subject {
            scopes: None,
            ..subject.clone()
        };
        let without = self.suppose_open(&unscoped, facts, surroundings, opened);
        let built_in = BuiltIn::of(self.document(), subject, surroundings);
        // What is open, under grants that hold.
        let mut lifted = Vec::new();
        let steps = self
            .grants(surroundings.model, facts, subject)
            .map(|(grant, holds)| {
                let gives = grant.effect == Effect::Allow;
                let mut clause = None;
                let says = match concerns(grant, subject) {
                    _ if gives && !subject.governed => Verdict::NotAboutThem,
                    None => Verdict::NotAboutThem,
                    Some(_) if !gives && refuses(grant, errand) => said(gives, holds, Ok(None)).0,
                    Some(_) if !errand.actions(grant).contains(&action) => Verdict::OtherAction,
                    Some(roles) => match types_of(grant, surroundings.model) {
                        Ok((types, _)) if !types.contains(&type_id) => Verdict::OtherType,
                        Ok(_) if !covers(grant, action, type_id, surroundings.model) => {
                            Verdict::OtherType
                        }
                        Err(_) => Verdict::CannotTell,
                        Ok((_, all)) if grant.break_glass.is_some() => {
                            let own: Vec<&Opened<'_>> =
                                opened.iter().filter(|o| o.grant == grant.name).collect();
                            let values = Values::of(surroundings.model, subject, &roles);
                            let of = |o: &&Opened<'_>| {
                                let ways = Ways::of(grant, all, &values, surroundings);
                                let (mut way, _) = ways.on(type_id).ok()?;
                                if action.writes() {
                                    let model = surroundings.model;
                                    way = ways.to_write(type_id, &way);
                                    let stray = strays_of(model, type_id, o.patient);
                                    way.clause = both(way.clause, stray);
                                }
                                narrow_to(surroundings.model, type_id, o.patient, &mut way)
                                    .then_some(way.clause)?
                            };
                            let mut open: Vec<Clause> = own.iter().filter_map(of).collect();
                            clause = match open.len() {
                                0 | 1 => open.pop(),
                                _ => Some(Clause::Or(open)),
                            };
                            match &clause {
                                Some(clause) if holds == Holds::Yes => {
                                    lifted.push(clause.clone());
                                    Verdict::GivesSome
                                }
                                Some(_) => Verdict::NotNow,
                                None => Verdict::BreakGlass,
                            }
                        }
                        Ok((_, all)) => {
                            let values = Values::of(surroundings.model, subject, &roles);
                            let ways = Ways::of(grant, all, &values, surroundings);
                            let way = ways.on(type_id).map(|(way, _)| match action.writes() {
                                true if gives => ways.to_write(type_id, &way).clause,
                                _ => way.clause,
                            });
                            let way = way.and_then(|way| {
                                match grant.by.filter(|by| by.key().is_some()) {
                                    None => Ok(way),
                                    Some(by) => match built_in.opened(by, action, type_id) {
                                        Some(opened) => Ok(both(way, Some(Clause::clone(&opened)))),
                                        None => Err(Silent::Nothing),
                                    },
                                }
                            });
                            let (says, which) = said(gives, holds, way);
                            clause = which;
                            says
                        }
                    },
                };
                Step {
                    grant: grant.name.clone(),
                    says,
                    met: None,
                    clause,
                    hides: grant.hide.clone(),
                }
            });
        let mut steps: Vec<Step> = steps.collect();
        let by_consents = built_in.by_consents(action, type_id, rights.administers());
        let by_consents = match by_consents.as_deref() {
            Some(Refused::Some(clauses)) if built_in.lifts() && !lifted.is_empty() => {
                let closed = Clause::Not(Box::new(Clause::Or(lifted)));
                let both = Clause::And(vec![Clause::Or(clauses.clone()), closed]);
                Refused::Some(vec![both])
            }
            Some(refused) => refused.clone(),
            None => Refused::Nothing,
        };
        for (name, refused) in [
            ("consents", by_consents),
            ("labels", built_in.by_labels(subject, type_id, surroundings)),
        ] {
            let (says, clause) = match refused {
                Refused::Nothing => continue,
                Refused::Everything => (Verdict::Refuses, None),
                Refused::Some(clauses) => (Verdict::RefusesSome, Some(Clause::Or(clauses))),
            };
            steps.push(Step {
                grant: name.to_owned(),
                says,
                met: None,
                clause,
                hides: Vec::new(),
            });
        }
        let allows = |rights: &Rights| rights.does(errand, action, type_id);
        Decision {
            allowed: allows(&rights),
            in_scope: allows(&rights) || !allows(&without),
            steps,
        }
    }
}

/// Whether a grant names the operation that is asked about.
fn refuses(grant: &GrantText, errand: Errand) -> bool {
    let name = errand.operation();
    name.is_some_and(|name| grant.actions.operations().any(|named| named == name))
}

fn said(
    gives: bool,
    holds: Holds,
    way: Result<Option<Clause>, Silent>,
) -> (Verdict, Option<Clause>) {
    match (holds, way, gives) {
        (Holds::No, ..) => (Verdict::NotNow, None),
        (Holds::Lacks(Obligation::Reason), ..) => (Verdict::LacksReason, None),
        (Holds::Lacks(Obligation::StepUp), ..) => (Verdict::LacksStepUp, None),
        (Holds::Unknown, _, true) => (Verdict::CannotTell, None),
        (_, Err(Silent::Nothing), true) => (Verdict::NoValue, None),
        (_, Err(Silent::Wrong(..)), true) => (Verdict::CannotTell, None),
        // What cannot be evaluated refuses.
        (_, Err(_), false) => (Verdict::Refuses, None),
        (_, Ok(None), true) => (Verdict::Gives, None),
        (_, Ok(None), false) => (Verdict::Refuses, None),
        (_, Ok(Some(clause)), true) => (Verdict::GivesSome, Some(clause)),
        (_, Ok(Some(clause)), false) => (Verdict::RefusesSome, Some(clause)),
    }
}
