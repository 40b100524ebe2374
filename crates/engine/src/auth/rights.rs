//! What the tenant's policy gives to a caller, remembered beside what was found about the caller's
//! credentials.

use std::sync::Arc;

use access::{
    Assurance, ConsentsState, Opened, Policy, Principal, RequestFacts, Rights, Surroundings,
    VendorGrant,
};
use base::Micros;
use fhir::search::Customs;
use parking_lot::Mutex;
use store::{Opening, TenantStore};

use super::Credentials;
use crate::failure::Failure;
use crate::house::Gate;

/// Rights that are remembered for one caller: as many as there are different circumstances at once.
const KEPT_MAX: usize = 8;

/// Seconds after which rights are made anew that mean something else as time passes.
const PASSING_SECS: i64 = 10;

/// Rights that were made for one caller, with what they were made of.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<Vec<Made>>);

#[derive(Debug)]
struct Made {
    policy: Arc<Policy>,
    customs: Arc<Customs>,
    /// The grant of a vendor that bounds them.
    vendor: Option<Arc<VendorGrant>>,
    /// Which grants hold, of those that do not always.
    state: Vec<u8>,
    /// What patients consented to.
    consents: ConsentsState,
    /// Patients whom they have opened.
    openings: Vec<Arc<Opening>>,
    /// Until when they are what the policy says; for ever without.
    until: Option<Micros>,
    rights: Arc<Rights>,
}

impl Gate {
    /// What a principal may do in this request, under the grant of its vendor if it has one.
    pub(super) async fn rights(
        &self,
        store: &TenantStore,
        (principal, vendor): (&Principal, Option<Arc<VendorGrant>>),
        known: &Known,
        credentials: Credentials<'_>,
        at: Micros,
    ) -> Result<Arc<Rights>, Failure> {
        let (policy, customs) = store.governing().await?;
        let fresh = i64::try_from(self.house.limits().step_up_seconds_max).unwrap_or(i64::MAX);
        let facts = RequestFacts {
            at,
            from: Some(credentials.from),
            reason: credentials.reason,
            stepped_up: principal.assurance().is_some_and(|(assurance, proved)| {
                assurance >= Assurance::TwoFactors && at <= proved.plus_secs(fresh)
            }),
        };
        let state = policy.state(self.model(), &facts, principal);
        let person = principal.person();
        let openings = person.map_or_else(Vec::new, |person| store.openings_of(person, at));
        let count = policy.document().enforces_consents();
        let consents = store.with_consents(count, |c| c.state(at)).await?;
        let same = |made: &&Made| {
            Arc::ptr_eq(&made.policy, &policy)
                && Arc::ptr_eq(&made.customs, &customs)
                && match (&made.vendor, &vendor) {
                    (Some(made), Some(now)) => Arc::ptr_eq(made, now),
                    (None, None) => true,
                    _ => false,
                }
                && made.until.is_none_or(|until| at < until)
                && made.state == state
                && made.consents == consents
                && made.openings == openings
        };
        if let Some(made) = known.0.lock().iter().find(same) {
            return Ok(made.rights.clone());
        }
        let base = self.links().fhir();
        let opened: Vec<Opened<'_>> = openings
            .iter()
            .map(|opening| Opened {
                grant: &opening.grant,
                patient: &opening.patient,
            })
            .collect();
        let made = store.with_consents(count, |consents| {
            let surroundings = Surroundings {
                model: self.model(),
                limits: self.house.limits(),
                own_bases: &[base.as_str()],
                customs: &customs,
                consents,
                now: at,
            };
            let vendor = vendor.as_deref();
            let rights = policy.rights_under(principal, vendor, &facts, &surroundings, &opened);
            (consents.state(at), Arc::new(rights))
        });
        let (consents, rights) = made.await?;
        let scopes = principal.scopes();
        let passes = policy.passes() || scopes.is_some_and(|s| s.as_str().contains("=ap"));
        let until = passes.then(|| at.plus_secs(PASSING_SECS));
        let mut known = known.0.lock();
        known.retain(|made| {
            Arc::ptr_eq(&made.policy, &policy) && made.until.is_none_or(|until| at < until)
        });
        if known.len() >= KEPT_MAX {
            known.remove(0);
        }
        known.push(Made {
            policy,
            customs,
            vendor,
            state,
            consents,
            openings,
            until,
            rights: rights.clone(),
        });
        Ok(rights)
    }
}
