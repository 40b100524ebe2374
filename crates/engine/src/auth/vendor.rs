//! Whether the grant of a vendor lets one of its clients in: asked on every request, of the grant as it
//! stands, so that whoever switches it off is heard at once.

use std::sync::Arc;

use access::{Actor, ClientRecord, Hold, Principal, RequestMeta, VendorGrant, VendorId};
use base::{Code, Micros};
use store::TenantStore;

use super::Credentials;
use crate::failure::Failure;
use crate::house::Gate;

impl Gate {
    /// The grant that bounds a recognised caller, if it lets it in; and one request less of the caller's
    /// allowances.
    ///
    /// # Errors
    /// `rate-limited`; `vendor-disabled`, `vendor-ended`, `vendor-network`, `vendor-certificate`, recorded.
    pub(super) async fn bounded(
        &self,
        store: &TenantStore,
        principal: &Principal,
        credentials: Credentials<'_>,
        request: RequestMeta,
    ) -> Result<Option<Arc<VendorGrant>>, Failure> {
        let house = &self.house.0;
        let grant = match principal.vendor() {
            Some(id) => store.vendor(id).await?,
            None => None,
        };
        let terms = grant.as_ref().and_then(|g| g.terms.as_ref());
        let rate = terms.and_then(|t| t.rate);
        house
            .rates
            .spend_own(&self.tenant, principal, rate, &house.metrics)?;
        if let Some(id) = principal.vendor() {
            let actor = principal.actor();
            let bound = (id, grant.as_deref());
            self.admitted(store, bound, Some(&actor), credentials, request)
                .await?;
        }
        // Whoever is not let in takes nothing from the others of the tenant.
        house.rates.spend_tenant(&self.tenant, &house.metrics)?;
        Ok(grant)
    }

    /// Whether a client that proved who it is may be given tokens; and one request less of its allowances.
    ///
    /// # Errors
    /// As those of [`Self::bounded`].
    pub(super) async fn bounded_client(
        &self,
        store: &TenantStore,
        record: &ClientRecord,
        credentials: Credentials<'_>,
        request: RequestMeta,
    ) -> Result<(), Failure> {
        let house = &self.house.0;
        let grant = match &record.vendor {
            Some(id) => store.vendor(id).await?,
            None => None,
        };
        let terms = grant.as_ref().and_then(|g| g.terms.as_ref());
        // Anyone can say that they are a public client.
        if !record.is_public() {
            let rate = record.vendor.as_ref().zip(terms.and_then(|t| t.rate));
            house
                .rates
                .spend_client(&self.tenant, &record.id, rate, &house.metrics)?;
        }
        if let Some(id) = &record.vendor {
            let who = (!record.is_public()).then(|| record.actor());
            let bound = (id, grant.as_deref());
            self.admitted(store, bound, who.as_ref(), credentials, request)
                .await?;
        }
        if !record.is_public() {
            house.rates.spend_tenant(&self.tenant, &house.metrics)?;
        }
        Ok(())
    }

    /// `actor`: whom a refusal is recorded of; of somebody who only says who they are, none is.
    async fn admitted(
        &self,
        store: &TenantStore,
        (id, grant): (&VendorId, Option<&VendorGrant>),
        actor: Option<&Actor>,
        credentials: Credentials<'_>,
        request: RequestMeta,
    ) -> Result<(), Failure> {
        let from = credentials.from;
        let certificate = credentials.certificate.map(|shown| &shown.sha256);
        let code = match grant.map(|g| g.admits(request.at, from, certificate)) {
            Some(Ok(_)) => return Ok(()),
            Some(Err(refusal)) => refusal.code(),
            None => Code::VendorDisabled,
        };
        self.house.0.metrics.denials.inc();
        if let Some(actor) = actor {
            let what = format!("as client of vendor {}", id.as_str());
            store.not_let_in(request, actor, &what, code).await?;
        }
        Err(Failure::of(code))
    }

    /// Whether the grant of a client's vendor is switched on and its contract runs; one without a vendor
    /// needs none.
    ///
    /// # Errors
    /// `vendor-disabled`, `vendor-ended`.
    pub(crate) async fn vendor_runs(
        &self,
        vendor: Option<&VendorId>,
        now: Micros,
    ) -> Result<(), Failure> {
        let Some(id) = vendor else { return Ok(()) };
        let grant = self.store().vendor(id).await?;
        let terms = grant.as_ref().and_then(|g| g.terms.as_ref());
        match (&grant, terms) {
            (Some(grant), Some(_)) if grant.standing() == Hold::Disabled => {
                Err(Failure::of(Code::VendorDisabled))
            }
            (Some(_), Some(terms)) if !terms.contract.runs(now) => {
                Err(Failure::of(Code::VendorEnded))
            }
            (Some(_), Some(_)) => Ok(()),
            _ => Err(Failure::of(Code::VendorDisabled)),
        }
    }
}
