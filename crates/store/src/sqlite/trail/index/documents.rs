//! What many events have in common, as events of which nothing else is said: what happened, from where, and
//! what for.

use base::Micros;
use fhir::audit_event::{Agent, AuditEvent, Coding, Name, Outcome};

use super::super::place::EventId;
use crate::Result;

fn bare(coding: &Coding) -> Coding {
    Coding::new(coding.system, &coding.code, "")
}

fn empty() -> Result<AuditEvent> {
    Ok(AuditEvent {
        id: EventId::Access(0).to_id()?,
        recorded: Micros(0),
        category: Coding::rest(),
        codes: Vec::new(),
        action: 'R',
        outcome: Outcome::Success,
        outcome_text: None,
        agents: Vec::new(),
        site: String::new(),
        entities: Vec::new(),
    })
}

/// What happened.
pub(super) fn kind_of(event: &AuditEvent) -> Result<AuditEvent> {
    Ok(AuditEvent {
        category: bare(&event.category),
        codes: event.codes.iter().map(bare).collect(),
        action: event.action,
        outcome: event.outcome,
        outcome_text: event.outcome_text.clone(),
        ..empty()?
    })
}

fn nobody() -> Agent {
    Agent {
        part: Coding::new("", "", ""),
        who: Name::Identifier("", String::new()),
        name: String::new(),
        alt_id: None,
        requestor: false,
        roles: Vec::new(),
        address: None,
        purposes: Vec::new(),
    }
}

/// From where: every address that it names.
pub(super) fn addresses_of(event: &AuditEvent) -> Result<AuditEvent> {
    let named = event.agents.iter().filter(|agent| agent.address.is_some());
    let of = |agent: &Agent| Agent {
        address: agent.address.clone(),
        ..nobody()
    };
    Ok(AuditEvent {
        agents: named.map(of).collect(),
        ..empty()?
    })
}

/// What for, by codes: of words it only says that there are some.
pub(super) fn purposes_of(event: &AuditEvent) -> Result<AuditEvent> {
    let mut purposes: Vec<(Option<Coding>, String)> = Vec::new();
    for (code, words) in event.agents.iter().flat_map(|agent| &agent.purposes) {
        let said = match (code, words.is_empty()) {
            (None, false) => "words".to_owned(),
            _ => String::new(),
        };
        let purpose = (code.as_ref().map(bare), said);
        if !purposes.contains(&purpose) {
            purposes.push(purpose);
        }
    }
    let agent = Agent {
        purposes,
        ..nobody()
    };
    Ok(AuditEvent {
        agents: vec![agent],
        ..empty()?
    })
}
