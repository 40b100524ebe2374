//! Opening a patient whom one's rights do not reach, in an emergency: who may, under which grant, for
//! how long, and who reviews it.
//!
//! A grant with `breakGlass` is no right by itself. What it gives holds for the chart of one patient at a
//! time, whom a person opened under it, and ends with that.

use base::{Limits, Micros, ResourceId};
use fhir::definitions::TypeId;

use super::rights::{Obligation, Rights, Rule};
use crate::action::{ActionName, Administer};
use crate::decide::Denied;
use crate::directory::TenantId;
use crate::permit::{Grant, Permit, RequestMeta};
use crate::person::Assurance;
use crate::principal::{Principal, Who};

/// A patient who is open for somebody, under a grant.
#[derive(Clone, Copy, Debug)]
pub struct Opened<'o> {
    /// The grant's name.
    pub grant: &'o str,
    /// The patient.
    pub patient: &'o ResourceId,
}

/// A grant under which somebody may open a patient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its name.
    pub grant: Box<str>,
    /// For how long.
    pub seconds: i64,
}

/// What a policy says about it, for one caller.
#[derive(Debug, Default)]
pub(crate) struct Glass {
    offers: Vec<Offer>,
    /// Every grant of that kind, with whether the caller is among those whom it names to review;
    /// `None` where it names nobody.
    grants: Vec<(Box<str>, Option<bool>)>,
    /// The caller's token leaves everything, or they have none: a program that was approved for less
    /// neither opens, reviews nor lists.
    whole: bool,
}

impl Glass {
    pub(super) fn of_token(mut self, whole: bool) -> Self {
        self.whole = whole;
        self
    }

    pub(super) fn know(&mut self, grant: &str, reviews: Option<bool>) {
        self.grants.push((grant.into(), reviews));
    }

    pub(super) fn offer(&mut self, grant: &str, minutes: Option<u32>, limits: &Limits) {
        let seconds = minutes.map_or(limits.break_glass_seconds, |m| u64::from(m) * 60);
        let seconds = seconds.min(limits.break_glass_seconds_max);
        self.offers.push(Offer {
            grant: grant.into(),
            seconds: i64::try_from(seconds).unwrap_or(i64::MAX),
        });
    }

    /// Whether the caller reviews what was opened under a grant: whom it names; who may administer,
    /// where it names nobody or is not there any more.
    pub(super) fn reviews(&self, grant: &str, administers: bool) -> bool {
        let known = self.grants.iter().find(|(name, _)| **name == *grant);
        let named = known.and_then(|(_, named)| *named);
        named.map_or(administers, |named| named && self.whole)
    }

    /// Whether some grant names the caller to review.
    fn reviews_any(&self) -> bool {
        self.whole && self.grants.iter().any(|(_, named)| *named == Some(true))
    }
}

fn refused(principal: &Principal, request: RequestMeta, lacks: Option<Obligation>) -> Denied {
    Denied {
        actor: principal.actor(),
        action: ActionName::Administer,
        type_id: None,
        request: Box::new(request),
        lacks,
        read_only: false,
    }
}

/// Decides whether a person may open a patient now; under which grant. `wanted`: the grant that they
/// name. Who they are they must have proved by two factors, not before `proved_since`.
///
/// # Errors
/// [`Denied`], to be recorded.
pub fn decide_opening(
    principal: &Principal,
    rights: &Rights,
    tenant: &TenantId,
    request: RequestMeta,
    wanted: Option<&str>,
    proved_since: Micros,
) -> Result<(Permit<Administer>, Offer), Denied> {
    let is_person = matches!(principal.0, Who::Person(_));
    if !is_person || !rights.glass().whole || !rights.are_of(principal, tenant) {
        return Err(refused(principal, request, None));
    }
    let mut offers = rights.glass().offers.iter();
    let offer = offers.find(|offer| wanted.is_none_or(|name| *offer.grant == *name));
    let Some(offer) = offer else {
        return Err(refused(principal, request, None));
    };
    let proved = principal
        .assurance()
        .is_some_and(|(assurance, at)| assurance >= Assurance::TwoFactors && at >= proved_since);
    if !proved {
        return Err(refused(principal, request, Some(Obligation::StepUp)));
    }
    let grant = Grant::of_tenant(tenant, principal.actor(), request);
    Ok((Permit::mint(grant), offer.clone()))
}

/// Decides whether somebody may review what was opened under a grant.
///
/// # Errors
/// [`Denied`], to be recorded.
pub fn decide_reviewing(
    principal: &Principal,
    rights: &Rights,
    tenant: &TenantId,
    request: RequestMeta,
    grant: &str,
) -> Result<Permit<Administer>, Denied> {
    if !rights.are_of(principal, tenant) || !rights.reviews(grant) {
        return Err(refused(principal, request, None));
    }
    let grant = Grant::of_tenant(tenant, principal.actor(), request);
    Ok(Permit::mint(grant))
}

/// Decides whether somebody may look at openings: people at their own, reviewers at those that they
/// review. Which they see is asked of each.
///
/// # Errors
/// [`Denied`], to be recorded.
pub fn decide_openings(
    principal: &Principal,
    rights: &Rights,
    tenant: &TenantId,
    request: RequestMeta,
) -> Result<Permit<Administer>, Denied> {
    let is_person = matches!(principal.0, Who::Person(_));
    let may =
        is_person && rights.glass().whole || rights.administers() || rights.glass().reviews_any();
    if !may || !rights.are_of(principal, tenant) {
        return Err(refused(principal, request, None));
    }
    let grant = Grant::of_tenant(tenant, principal.actor(), request);
    Ok(Permit::mint(grant))
}

/// Decides whether somebody may look at alerts and say something about them: who administers, and who may
/// look at the whole trail.
///
/// # Errors
/// [`Denied`], to be recorded.
pub fn decide_alerts(
    principal: &Principal,
    rights: &Rights,
    tenant: &TenantId,
    request: RequestMeta,
    audit_event: Option<TypeId>,
) -> Result<Permit<Administer>, Denied> {
    let is_whole = |of: TypeId| {
        let rule = rights.rule(ActionName::Search, of);
        // An alert says who, whom and from where: to whom some of an event is hidden, alerts are too.
        let is_whole = |r: &Rule| r.filter().is_none() && r.hidden().is_none();
        rights.allows(ActionName::Search, of) && rule.is_none_or(|r| is_whole(r))
    };
    let trail = rights.sees_trail() && audit_event.is_some_and(is_whole);
    if !rights.are_of(principal, tenant) || !rights.administers() && !trail {
        return Err(refused(principal, request, None));
    }
    let grant = Grant::of_tenant(tenant, principal.actor(), request);
    Ok(Permit::mint(grant))
}
