//! What operators are told of a trail: the purpose of use of an access, and no words of those who named it, which
//! may name patients. Those words are for the tenant's own people.

use access::PersonId;

use super::event::purpose_code;
use crate::face::{AccessReport, AuditPage};
use crate::sqlite::tenant::OpenTenant;

/// Whether somebody of the tenant named a reason; operators know their own.
fn is_of_tenant(actor: &str) -> bool {
    ["person:", "client:"]
        .iter()
        .any(|of| actor.starts_with(of))
}

/// Whether it is somebody who looks at what is theirs, or at what is somebody's who is close to them.
fn is_patient(tenant: &OpenTenant, actor: &str) -> bool {
    let who = actor
        .split(' ')
        .next()
        .and_then(|w| w.strip_prefix("person:"));
    let person = who
        .and_then(PersonId::new)
        .and_then(|id| tenant.people().person(&id));
    person.is_some_and(|person| person.record.is_patient(tenant.model))
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

/// The same in a report of accesses; of openings there is their coded purpose. Patients who looked at what is
/// theirs are not told by name.
pub(crate) fn leave_codes_in(tenant: &OpenTenant, report: &mut AccessReport) {
    for access in &mut report.accesses {
        without(&access.actor, &mut access.why);
        if is_patient(tenant, &access.actor) {
            access.who.clone_from(&access.actor);
        }
    }
    for opening in &mut report.openings {
        opening.why.clear();
    }
}
