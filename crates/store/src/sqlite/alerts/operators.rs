//! What operators do to who may sign in to a tenant: its own people are told.

use access::Actor;
use base::Micros;
use rusqlite::Connection;

use super::{Raised, in_force, raise};
use crate::Result;
use crate::face::AlertRule;
use crate::sqlite::OpenTenant;

/// Raises an alert of it, in the transaction that does it. As long as nobody of the tenant ever signed in
/// there is nobody to be told.
pub(crate) fn tell(
    tenant: &OpenTenant,
    db: &Connection,
    (by, at): (&Actor, Micros),
    what: &str,
) -> Result<()> {
    let rule = AlertRule::OperatorSignIn;
    let rules = in_force(db)?.rules;
    if !tenant.people().is_anybody_there() || rules.terms(rule).is_none() {
        return Ok(());
    }
    let raised = Raised {
        key: format!("{}|{what}|{}", rule.as_str(), at.0),
        rule,
        actor: by.as_str().to_owned(),
        program: None,
        patient: None,
        at,
        count: Some(1),
        seen: what.to_owned(),
        event: what.to_owned(),
    };
    raise(db, &raised, &rules).map(drop)
}
