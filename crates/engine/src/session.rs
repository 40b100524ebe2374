//! A recognised caller inside one tenant: the only way from an edge to data. Hides the tenant's
//! store and the principal, so that no handler can reach past a decision.

use std::sync::Arc;

use access::{
    Action, ActionName, Create, Delete, Denied, Permit, Principal, Read, RequestMeta, Rights,
    Search, Target, TenantId, Update, decide,
};
use base::{Code, Limits, ResourceId};
use bytes::Bytes;
use fhir::definitions::{Model, TypeId};
use store::TenantStore;

use crate::answer::Answer;
use crate::failure::Failure;
use crate::held::{Hold, Holder};
use crate::house::{Gate, House};
use crate::interaction::SearchScope;
use crate::links::Links;

/// A recognised caller inside one tenant, for one request.
#[derive(Clone, Debug)]
pub struct Session {
    gate: Gate,
    pub(crate) store: TenantStore,
    principal: Arc<Principal>,
    pub(crate) rights: Arc<Rights>,
    pub(crate) request: RequestMeta,
    /// A Provenance that came beside what the request writes.
    pub(crate) provenance: Option<Bytes>,
    /// The request is an entry of a batch.
    pub(crate) in_batch: bool,
}

impl Session {
    pub(crate) fn new(
        gate: Gate,
        store: TenantStore,
        principal: Arc<Principal>,
        rights: Arc<Rights>,
        request: RequestMeta,
    ) -> Self {
        if !principal.is_import() {
            store::serving();
        }
        Self {
            gate,
            store,
            principal,
            rights,
            request,
            provenance: None,
            in_batch: false,
        }
    }

    /// The same, with another view of the tenant's store.
    pub(crate) fn with_store(&self, store: TenantStore) -> Self {
        Self {
            store,
            ..self.clone()
        }
    }

    /// The same caller on an errand of its own: what policy gives them for that alone.
    pub(crate) fn with_rights(&self, rights: Arc<Rights>) -> Self {
        Self {
            rights,
            ..self.clone()
        }
    }

    /// The refusal of reading in bulk, recorded.
    pub(crate) async fn refuse_bulk(&self, denied: Option<Denied>, of: TypeId) -> Failure {
        let denied = Denied {
            actor: self.principal.actor(),
            action: ActionName::Export,
            type_id: Some(of),
            request: Box::new(self.request),
            lacks: denied.and_then(|denied| denied.lacks),
            read_only: false,
        };
        let text = "what is of many patients at once is read by whom policy lets export";
        self.refuse_saying(denied, text).await
    }

    /// The tenant's gate.
    pub const fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The tenant's addresses.
    pub const fn links(&self) -> &Links {
        self.gate.links()
    }

    /// What this tenant's version of FHIR defines.
    pub fn model(&self) -> &'static Model {
        self.gate.model()
    }

    /// What the tenant can do, which anyone may know.
    pub(crate) async fn capabilities(&self, query: &str) -> Result<Answer, Failure> {
        let document = self.gate.capabilities(query).await?;
        Ok(Answer::Document(document))
    }

    /// Most bytes of a query string or of the form body of a `_search`.
    pub fn query_bytes_max(&self) -> u64 {
        self.limits().query_bytes_max
    }

    /// For whom bytes of this session's requests and answers are held.
    pub fn holder(&self) -> Holder {
        Holder::tenant(self.tenant())
    }

    /// A hold for a part of an answer.
    pub fn hold_answer(&self) -> Hold {
        self.house().hold_answer(self.holder())
    }

    /// Most bytes of a body that is one resource.
    pub fn body_bytes_max(&self) -> u64 {
        self.limits().body_bytes_max
    }

    /// Most bytes of the resources on one page.
    pub fn page_bytes_max(&self) -> u64 {
        self.limits().page_bytes_max
    }

    /// Whether the caller may create resources of this type; to be asked before a body is read.
    ///
    /// # Errors
    /// `resource-type-unknown`; `scope-missing`, recorded.
    pub async fn may_create(&self, type_name: &str) -> Result<(), Failure> {
        self.may::<Create>(type_name).await
    }

    /// Whether the caller may update resources of this type; to be asked before a body is read.
    ///
    /// # Errors
    /// As those of [`Self::may_create`].
    pub async fn may_update(&self, type_name: &str) -> Result<(), Failure> {
        self.may::<Update>(type_name).await
    }

    /// Whether the caller may search there; to be asked before a body is read.
    ///
    /// # Errors
    /// As those of [`Self::may_create`].
    pub async fn may_search_in(&self, scope: SearchScope<'_>) -> Result<(), Failure> {
        match scope {
            SearchScope::Type(name) => self.may::<Search>(name).await,
            SearchScope::Compartment(_, _, inner) if inner != "*" => {
                self.may::<Search>(inner).await
            }
            SearchScope::Compartment(..) | SearchScope::System => {
                self.permit::<Search>(Target::Readable).await.map(drop)
            }
        }
    }

    /// Whether the caller may do anything at all that an entry of a Bundle can ask for; to be
    /// asked before a body is read.
    ///
    /// # Errors
    /// `scope-missing`, recorded.
    pub async fn may_bundle(&self) -> Result<(), Failure> {
        let anything = self.decide::<Read>(Target::Readable).is_ok()
            || self.decide::<Search>(Target::Readable).is_ok()
            || self.decide::<Update>(Target::Readable).is_ok()
            || self.decide::<Delete>(Target::Readable).is_ok()
            || self.rights.has_errands();
        if anything {
            return Ok(());
        }
        self.permit::<Create>(Target::Readable).await.map(drop)
    }

    async fn may<A: Action>(&self, type_name: &str) -> Result<(), Failure> {
        let type_id = self.type_id(type_name)?;
        self.permit::<A>(Target::Types(vec![type_id]))
            .await
            .map(drop)
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

    /// What policy gives to the caller.
    pub(crate) fn rights(&self) -> &Rights {
        &self.rights
    }

    /// Whether policy lets the caller use an operation (without `$`).
    ///
    /// # Errors
    /// `operation-refused`, recorded.
    pub(crate) async fn may_operate(&self, operation: &str) -> Result<(), Failure> {
        self.must_not_import("a way in for bulk loading calls no operations")
            .await?;
        if !self.rights.refuses(operation) {
            return Ok(());
        }
        Err(self
            .refuse_for(ActionName::Read, None, Code::OperationRefused)
            .await)
    }

    /// Refuses a way in for bulk loading what would tell it of content.
    ///
    /// # Errors
    /// `scope-missing`, recorded.
    pub(crate) async fn must_not_import(&self, text: &'static str) -> Result<(), Failure> {
        if !self.principal.is_import() {
            return Ok(());
        }
        let code = Code::ScopeMissing;
        let _ = self.refuse_for(ActionName::Search, None, code).await;
        Err(Failure::new(code, text))
    }

    /// Records a refusal of something that the caller has a right to otherwise, and makes its answer.
    pub(crate) async fn refuse_for(
        &self,
        action: ActionName,
        type_id: Option<TypeId>,
        code: Code,
    ) -> Failure {
        let denied = Denied {
            actor: self.principal.actor(),
            action,
            type_id,
            request: Box::new(self.request),
            lacks: None,
            read_only: false,
        };
        let _ = self.refuse(denied).await;
        Failure::of(code)
    }

    /// The right to do `A`, or its refusal, recorded.
    pub(crate) async fn permit<A: Action>(&self, target: Target) -> Result<Permit<A>, Failure> {
        let asked = match &target {
            Target::Instance(type_id, id) => Some((*type_id, id.clone())),
            _ => None,
        };
        match self.decide(target) {
            Ok(permit) => Ok(permit),
            Err(denied) => Err(self.refuse_of(denied, asked).await),
        }
    }

    /// The decision alone, without a record of a refusal.
    pub(crate) fn decide<A: Action>(&self, target: Target) -> Result<Permit<A>, Denied> {
        decide(
            &self.principal,
            &self.rights,
            self.tenant(),
            self.request,
            target,
        )
    }

    /// Records a refusal and makes its answer. A refusal that cannot be recorded is still one.
    pub(crate) async fn refuse(&self, denied: Denied) -> Failure {
        self.refuse_of(denied, None).await
    }

    /// The same, of what was asked of one resource.
    async fn refuse_of(&self, denied: Denied, asked: Option<(TypeId, ResourceId)>) -> Failure {
        self.house().0.metrics.denials.inc();
        let asked = asked.as_ref().map(|(type_id, id)| (*type_id, id));
        if let Err(error) = self.store.denied_of(&denied, asked).await {
            return error.into();
        }
        Failure::from(&denied)
    }

    /// The same; where it is for want of a right, it says which one.
    pub(crate) async fn refuse_saying(&self, denied: Denied, text: &'static str) -> Failure {
        let failure = self.refuse(denied).await;
        match failure.code() {
            code @ base::Code::ScopeMissing => Failure::new(code, text),
            _ => failure,
        }
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
