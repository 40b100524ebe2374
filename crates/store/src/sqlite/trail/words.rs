//! What operators are told of a trail: the purpose of use of an access, and no words of those who named it, which
//! may name patients. Those words are for the tenant's own people.

use super::event::purpose_code;
use crate::face::{AccessReport, AuditPage};

/// Whether somebody of the tenant named a reason; operators know their own.
fn is_of_tenant(actor: &str) -> bool {
    ["person:", "client:"]
        .iter()
        .any(|of| actor.starts_with(of))
}

fn without(actor: &str, why: &mut Option<String>) {
    if is_of_tenant(actor) {
        *why = why.as_deref().and_then(purpose_code).map(str::to_owned);
    }
}

/// Leaves the codes of reasons in lines of a trail.
pub(crate) fn leave_codes(page: &mut AuditPage) {
    for line in &mut page.lines {
        without(&line.actor, &mut line.why);
    }
}

/// The same in a report of accesses; of openings there is their coded purpose.
pub(crate) fn leave_codes_in(report: &mut AccessReport) {
    for access in &mut report.accesses {
        without(&access.actor, &mut access.why);
    }
    for opening in &mut report.openings {
        opening.why.clear();
    }
}
