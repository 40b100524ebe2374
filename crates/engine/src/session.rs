//! A recognised caller inside one tenant: the only way from an edge to data. Hides the tenant's
//! store and the principal, so that no handler can reach past a decision.

use std::sync::Arc;

use access::{Action, Denied, Permit, Principal, RequestMeta, Target, TenantId, decide};
use base::Limits;
use fhir::definitions::{Model, TypeId};
use store::TenantStore;

use crate::failure::Failure;
use crate::house::{Gate, House};
use crate::links::Links;

/// A recognised caller inside one tenant, for one request.
#[derive(Clone, Debug)]
pub struct Session {
    gate: Gate,
    pub(crate) store: TenantStore,
    principal: Arc<Principal>,
    pub(crate) request: RequestMeta,
}

impl Session {
    pub(crate) const fn new(
        gate: Gate,
        store: TenantStore,
        principal: Arc<Principal>,
        request: RequestMeta,
    ) -> Self {
        Self {
            gate,
            store,
            principal,
            request,
        }
    }

    /// The tenant's addresses.
    pub const fn links(&self) -> &Links {
        self.gate.links()
    }

    /// What this tenant's version of FHIR defines.
    pub fn model(&self) -> &'static Model {
        self.gate.model()
    }

    /// Most bytes of a query string or of the form body of a `_search`.
    pub fn query_bytes_max(&self) -> u64 {
        self.limits().query_bytes_max
    }

    pub(crate) const fn house(&self) -> &House {
        &self.gate.house
    }

    pub(crate) fn limits(&self) -> &Limits {
        self.gate.house.limits()
    }

    pub(crate) const fn tenant(&self) -> &TenantId {
        &self.gate.tenant
    }

    pub(crate) fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The right to do `A`, or its refusal, recorded.
    pub(crate) async fn permit<A: Action>(&self, target: Target) -> Result<Permit<A>, Failure> {
        match self.decide(target) {
            Ok(permit) => Ok(permit),
            Err(denied) => Err(self.refuse(denied).await),
        }
    }

    /// The decision alone, without a record of a refusal.
    pub(crate) fn decide<A: Action>(&self, target: Target) -> Result<Permit<A>, Denied> {
        decide(&self.principal, self.tenant(), self.request, target)
    }

    /// Records a refusal and makes its answer. A refusal that cannot be recorded is still one.
    pub(crate) async fn refuse(&self, denied: Denied) -> Failure {
        self.house().0.metrics.denials.inc();
        if let Err(error) = self.store.denied(&denied).await {
            return error.into();
        }
        Failure::from(&denied)
    }

    /// The type of this name.
    ///
    /// # Errors
    /// `resource-type-unknown`.
    pub(crate) fn type_id(&self, name: &str) -> Result<TypeId, Failure> {
        self.model().type_id(name).ok_or_else(|| type_unknown(name))
    }
}

pub(crate) fn type_unknown(name: &str) -> Failure {
    let code = base::Code::ResourceTypeUnknown;
    if name.starts_with('$') {
        return Failure::new(base::Code::NotSupported, "this operation is not supported");
    }
    Failure::of(code)
}
