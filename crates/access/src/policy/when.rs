//! When a grant holds: networks, FHIRPath over the request, and what the caller must have done.

use std::borrow::Cow;
use std::cell::Cell;
use std::net::IpAddr;

use base::{Micros, Network};
use fhir::definitions::Model;
use fhir::path::{Environment, Item, Moment, NoHost, Plan, Rules, Settings, Types};

use super::document::GrantText;
use super::rights::Obligation;
use super::subject::Subject;

/// What is known of the request that asks.
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts<'r> {
    /// When it came.
    pub at: Micros,
    /// From where.
    pub from: Option<IpAddr>,
    /// Why, as the caller said.
    pub reason: Option<&'r str>,
    /// The caller proved who they are by two factors.
    pub stepped_up: bool,
}

/// The circumstances under which a grant holds.
#[derive(Debug)]
pub(super) struct When {
    networks: Vec<Network>,
    plan: Option<Plan>,
    reason: bool,
    step_up: bool,
}

/// Variables of the expression.
const VARIABLES: [&str; 7] = [
    "address",
    "reason",
    "steppedUp",
    "person",
    "client",
    "roles",
    "groups",
];
/// Steps that an expression may take.
const STEPS_MAX: u64 = 10_000;

/// Whether a grant holds for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    Yes,
    No,
    /// It would, if the caller did this.
    Lacks(Obligation),
    /// It cannot be said.
    Unknown,
}

impl When {
    /// What a grant says; none if it holds always.
    ///
    /// # Errors
    /// The member that cannot be read, and why.
    pub(super) fn read(
        model: &'static Model,
        grant: &GrantText,
    ) -> Result<Option<Self>, (&'static str, String)> {
        let network = |text: &String| text.parse::<Network>();
        let networks: Result<Vec<Network>, _> = grant.networks.iter().map(network).collect();
        let networks = networks.map_err(|e| ("networks", e.to_string()))?;
        let plan = match &grant.when {
            None => None,
            Some(text) => {
                let settings = Settings {
                    rules: Rules::default(),
                    variables: &VARIABLES,
                };
                let types = Types::of(model);
                let plan = Plan::compile_as(&types, &settings, None, None, text);
                Some(plan.map_err(|e| ("when", e.to_string()))?)
            }
        };
        let when = Self {
            networks,
            plan,
            reason: grant.require.reason,
            step_up: grant.require.step_up,
        };
        let always =
            when.networks.is_empty() && when.plan.is_none() && !when.reason && !when.step_up;
        Ok((!always).then_some(when))
    }

    pub(super) fn holds(
        &self,
        model: &'static Model,
        facts: &RequestFacts<'_>,
        subject: &Subject<'_>,
    ) -> Holds {
        if !self.networks.is_empty() {
            match facts.from {
                None => return Holds::Unknown,
                Some(from) if !self.networks.iter().any(|n| n.contains(from)) => return Holds::No,
                Some(_) => {}
            }
        }
        if let Some(plan) = &self.plan {
            match evaluate(model, plan, facts, subject) {
                Some(true) => {}
                Some(false) => return Holds::No,
                None => return Holds::Unknown,
            }
        }
        if self.reason && facts.reason.is_none_or(|r| r.trim().is_empty()) {
            return Holds::Lacks(Obligation::Reason);
        }
        if self.step_up && !facts.stepped_up {
            return Holds::Lacks(Obligation::StepUp);
        }
        Holds::Yes
    }
}

fn evaluate(
    model: &'static Model,
    plan: &Plan,
    facts: &RequestFacts<'_>,
    subject: &Subject<'_>,
) -> Option<bool> {
    let types = Types::of(model);
    let steps = Cell::new(STEPS_MAX);
    let address = facts.from.map(|a| a.to_canonical().to_string());
    let text = |value: Option<&str>| -> Vec<Item<'static>> {
        value
            .map(|v| Item::String(Cow::Owned(v.to_owned())))
            .into_iter()
            .collect()
    };
    let texts = |all: &mut dyn Iterator<Item = &str>| -> Vec<Item<'static>> {
        all.map(|v| Item::String(Cow::Owned(v.to_owned())))
            .collect()
    };
    let variables = [
        ("person", text(subject.person)),
        ("client", text(subject.client)),
        (
            "roles",
            texts(&mut subject.roles.iter().map(|held| &*held.role)),
        ),
        ("groups", texts(&mut subject.groups.iter().map(|g| &**g))),
        ("address", text(address.as_deref())),
        ("reason", text(facts.reason)),
        ("steppedUp", vec![Item::Bool(facts.stepped_up)]),
    ];
    let environment = Environment {
        types: &types,
        resource: None,
        root: None,
        now: Some(Moment::of_instant(facts.at)),
        steps: &steps,
        variables: &variables,
        host: &NoHost,
    };
    let found = plan.run(environment, &[]).ok()?;
    match found.as_slice() {
        [Item::Bool(holds)] => Some(*holds),
        _ => None,
    }
}
