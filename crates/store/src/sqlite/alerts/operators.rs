//! What operators do that a tenant's own people are told of.

use base::Micros;
use rusqlite::Connection;

use super::{Raised, in_force, raise};
use crate::Result;
use crate::face::AlertRule;

/// Something that an operator did.
pub(crate) struct Did<'a> {
    pub(crate) rule: AlertRule,
    pub(crate) by: &'a str,
    pub(crate) at: Micros,
    /// What it was done to, or in words; together with the time it is told once.
    pub(crate) event: &'a str,
    pub(crate) seen: String,
    pub(crate) program: Option<String>,
}

/// Raises an alert of it, in the transaction that does it.
pub(crate) fn tell(db: &Connection, did: Did<'_>) -> Result<()> {
    let rules = in_force(db)?.rules;
    if rules.terms(did.rule).is_none() {
        return Ok(());
    }
    let raised = Raised {
        key: format!("{}|{}|{}", did.rule.as_str(), did.event, did.at.0),
        rule: did.rule,
        actor: did.by.to_owned(),
        program: did.program,
        patient: None,
        at: did.at,
        count: Some(1),
        seen: did.seen,
        event: did.event.to_owned(),
    };
    raise(db, &raised, &rules).map(drop)
}
