//! What the tenant's policy gives to a caller, remembered beside what was found about the caller's
//! credentials.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

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

/// Fewer of them in a row are not looked through for those that went.
const SWEPT_MIN: usize = 64;

/// Seconds after which rights are made anew that mean something else as time passes.
const PASSING_SECS: i64 = 10;

/// Rights that were made for one caller, with what they were made of.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<Vec<Made>>);

/// How much memory remembered rights take, tenant by tenant: past a limit those that were made first go.
#[derive(Debug)]
pub(crate) struct Remembered {
    bytes_max: usize,
    tenants: Mutex<HashMap<[u8; 16], Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    taken: Arc<AtomicUsize>,
    /// Whose they are, and which; what went otherwise is still here.
    made: VecDeque<(Weak<Known>, Weak<Rights>)>,
    /// When there are so many of them, those that went otherwise are taken out.
    sweep_at: usize,
}

/// Bytes that are taken as long as it is there.
#[derive(Debug)]
struct Taken {
    of: Arc<AtomicUsize>,
    bytes: usize,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Remembered {
    /// So many bytes for each tenant.
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self {
            bytes_max: usize::try_from(bytes_max).unwrap_or(usize::MAX),
            tenants: Mutex::default(),
        }
    }

    /// Makes room for rights that are remembered for somebody; none where they are too large for that.
    fn take(&self, tenant: [u8; 16], known: &Arc<Known>, rights: &Arc<Rights>) -> Option<Taken> {
        let bytes = rights.bytes();
        if bytes > self.bytes_max {
            return None;
        }
        let mut tenants = self.tenants.lock();
        let queue = tenants.entry(tenant).or_default();
        let mut gone = Vec::new();
        let gone_already = |(_, rights): &(Weak<Known>, Weak<Rights>)| rights.strong_count() == 0;
        while queue.made.front().is_some_and(gone_already) {
            queue.made.pop_front();
        }
        while queue.taken.load(Ordering::Relaxed) + bytes > self.bytes_max {
            let Some((of, rights)) = queue.made.pop_front() else {
                break;
            };
            if let (Some(of), Some(rights)) = (of.upgrade(), rights.upgrade()) {
                let mut of = of.0.lock();
                while let Some(at) = of.iter().position(|m| Arc::ptr_eq(&m.rights, &rights)) {
                    gone.push(of.swap_remove(at));
                }
            }
            // Their bytes are free with them.
            gone.clear();
        }
        if queue.made.len() >= queue.sweep_at {
            queue.made.retain(|made| !gone_already(made));
            queue.sweep_at = SWEPT_MIN.max(2 * queue.made.len());
        }
        queue.taken.fetch_add(bytes, Ordering::Relaxed);
        let (of, made) = (Arc::downgrade(known), Arc::downgrade(rights));
        queue.made.push_back((of, made));
        Some(Taken {
            of: queue.taken.clone(),
            bytes,
        })
    }
}

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
    _taken: Taken,
}

impl Gate {
    /// What a principal may do in this request, under the grant of its vendor if it has one; not remembered
    /// without a place for it.
    pub(super) async fn rights(
        &self,
        store: &TenantStore,
        (principal, vendor): (&Principal, Option<Arc<VendorGrant>>),
        known: Option<&Arc<Known>>,
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
        let count = policy.document().asks_patients();
        let practitioner = principal
            .fhir_user()
            .and_then(|(of, id)| (self.model().type_name(of) == "Practitioner").then_some(id));
        let state_of = |consents: &access::Consents| consents.state(at, practitioner);
        let consents = store.with_consents(count, state_of).await?;
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
        if let Some(known) = known
            && let Some(made) = known.0.lock().iter().find(same)
        {
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
            let make = || policy.rights_under(principal, vendor, &facts, &surroundings, &opened);
            (state_of(consents), Arc::new(aside(make)))
        });
        let (consents, rights) = made.await?;
        let Some(known) = known else {
            return Ok(rights);
        };
        let until = rights.passes().then(|| at.plus_secs(PASSING_SECS));
        // What is not of this state any more is never asked for again.
        known.0.lock().retain(|made| {
            Arc::ptr_eq(&made.policy, &policy)
                && Arc::ptr_eq(&made.customs, &customs)
                && made.consents == consents
                && made.until.is_none_or(|until| at < until)
        });
        let room = &self.house.0.remembered;
        if let Some(taken) = room.take(*self.tenant.bytes(), known, &rights) {
            let mut known = known.0.lock();
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
                _taken: taken,
            });
        }
        Ok(rights)
    }
}

/// Does work that may take its time, so that others of the same worker need not wait for it.
fn aside<T>(work: impl FnOnce() -> T) -> T {
    let runtime = tokio::runtime::Handle::try_current();
    let flavor = runtime.map(|runtime| runtime.runtime_flavor());
    match flavor {
        Ok(tokio::runtime::RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

#[cfg(test)]
mod tests {
    use access::OperatorToken;
    use fhir::definitions::{FhirVersion, Model};

    use super::*;

    fn made(rights: &Arc<Rights>, taken: Taken) -> Made {
        let now = access::Consents::none().state(Micros(0), None);
        Made {
            policy: Arc::new(Policy::none()),
            customs: Arc::default(),
            vendor: None,
            state: Vec::new(),
            consents: now,
            openings: Vec::new(),
            until: None,
            rights: rights.clone(),
            _taken: taken,
        }
    }

    #[test]
    fn what_was_made_first_goes_when_there_is_no_room() {
        let nobody = OperatorToken::new("t").authenticate("t").unwrap();
        let rights = || {
            Arc::new(Rights::by_scopes(
                &nobody,
                Model::of(FhirVersion::R4),
                Micros(0),
            ))
        };
        let bytes = rights().bytes();
        let room = Remembered::new(u64::try_from(bytes * 3).unwrap());
        let callers: Vec<Arc<Known>> = (0..10).map(|_| Arc::default()).collect();
        for known in &callers {
            let rights = rights();
            let taken = room.take([1; 16], known, &rights).unwrap();
            known.0.lock().push(made(&rights, taken));
        }
        let kept = callers.iter().filter(|k| !k.0.lock().is_empty()).count();
        assert_eq!(kept, 3);
        // Another tenant has room of its own, and what is forgotten otherwise is room again.
        assert!(room.take([2; 16], &callers[0], &rights()).is_some());
        callers.iter().for_each(|k| k.0.lock().clear());
        let tenants = room.tenants.lock();
        assert_eq!(tenants[&[1; 16]].taken.load(Ordering::Relaxed), 0);
        drop(tenants);
        assert!(
            Remembered::new(1)
                .take([1; 16], &callers[0], &rights())
                .is_none()
        );
    }
}
