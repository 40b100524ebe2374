//! One tenant's data.

use std::path::Path;
use std::sync::Arc;

use access::{
    Administer, ClientId, ClientRecord, Denied, Export, History, NewClient, Permit,
    Read as ReadAction, RequestMeta, Search, SecretKey, TenantId, TokenKey,
};
use base::{ResourceId, Secret, Version};
use fhir::definitions::TypeId;
use fhir::resource::Valid;
use fhir::search::Query;

use crate::store::not_yet;
use crate::{
    Change, HistoryRequest, Page, PageRequest, Prepared, Read, Result, VerifyReport, Written,
};

/// One tenant's data. Cheap to clone; the database behind it is opened on first use and closed
/// when it has been idle.
///
/// Every call spends a permit of this tenant and panics on one of another: carrying on would show
/// one tenant's rows to another.
///
/// Besides the errors that each call names, all fail with `tenant-suspended`, `tenant-leaving`
/// (by the tenant's state), `tenant-damaged`, `storage-fault`, `limit-busy` (a queue is full),
/// `audit-unavailable` (reads that cannot be recorded) and `stopping`.
#[derive(Clone, Debug)]
pub struct TenantStore {
    tenant: TenantId,
}

impl TenantStore {
    pub(crate) fn new(tenant: TenantId) -> Self {
        Self { tenant }
    }

    /// The tenant.
    pub fn id(&self) -> &TenantId {
        &self.tenant
    }

    /// Makes a checked resource ready for the writer: compresses and digests it. Takes processor
    /// time on the caller's thread and touches no disk.
    pub fn prepare(&self, valid: Valid) -> Prepared {
        Prepared {
            valid: Arc::new(valid),
            packed: Vec::new(),
            dict: 0,
            digest: [0; 32],
        }
    }

    /// The current version of a resource (`http.html#read`).
    pub async fn read(
        &self,
        permit: Permit<ReadAction>,
        _type_id: TypeId,
        _id: &ResourceId,
    ) -> Result<Read> {
        let _ = permit.spend(&self.tenant);
        not_yet()
    }

    /// A version of a resource (`http.html#vread`); [`Read::Deleted`] if that version is a
    /// deletion.
    pub async fn vread(
        &self,
        permit: Permit<ReadAction>,
        _type_id: TypeId,
        _id: &ResourceId,
        _version: Version,
    ) -> Result<Read> {
        let _ = permit.spend(&self.tenant);
        not_yet()
    }

    /// A page of a search (`search.html`).
    ///
    /// # Errors
    /// `cursor-invalid`, `cursor-expired`, `limit-time`, `limit-query`.
    pub async fn search(
        &self,
        permit: Permit<Search>,
        _query: Arc<Query>,
        _page: PageRequest,
    ) -> Result<Page> {
        let _ = permit.spend(&self.tenant);
        not_yet()
    }

    /// A page of a history, newest first (`http.html#history`). An instance that never was gives
    /// an empty page.
    ///
    /// # Errors
    /// `cursor-invalid`.
    pub async fn history(&self, permit: Permit<History>, _request: HistoryRequest) -> Result<Page> {
        let _ = permit.spend(&self.tenant);
        not_yet()
    }

    /// Makes a change, or nothing of it; answers when it is as durable as the configuration says.
    /// The answers are in the order of the writes.
    ///
    /// # Errors
    /// [`crate::StoreError::Entry`] with `version-conflict`, `precondition-failed`,
    /// `duplicate-id`, `bundle-duplicate`, `not-found`, `scope-missing`, `reference-in-use`;
    /// [`crate::StoreError::ReferenceMissing`]; [`crate::StoreError::Raced`]; `storage-full`.
    pub async fn commit(&self, _request: RequestMeta, change: Change) -> Result<Vec<Written>> {
        let _ = change;
        not_yet()
    }

    /// Records a refusal in the tenant's audit log.
    pub async fn denied(&self, _denied: &Denied) -> Result<()> {
        not_yet()
    }

    /// An API client by id. From memory after the first time.
    pub async fn client(&self, _id: &ClientId) -> Result<Option<ClientRecord>> {
        not_yet()
    }

    /// All API clients, revoked ones too, in order of id.
    pub async fn clients(&self, permit: Permit<Administer>) -> Result<Vec<ClientRecord>> {
        let _ = permit.spend(&self.tenant);
        not_yet()
    }

    /// Makes an API client; only a keyed hash of its secret is kept.
    ///
    /// # Errors
    /// `duplicate-id`.
    pub async fn create_client(
        &self,
        permit: Permit<Administer>,
        _new: NewClient,
        _secret: &Secret<String>,
    ) -> Result<ClientRecord> {
        let _ = permit.spend(&self.tenant);
        not_yet()
    }

    /// Revokes an API client; holds from the next request on.
    ///
    /// # Errors
    /// `client-unknown`.
    pub async fn revoke_client(&self, permit: Permit<Administer>, _id: &ClientId) -> Result<()> {
        let _ = permit.spend(&self.tenant);
        not_yet()
    }

    /// The current epoch of a client that is not revoked and was looked up before, without
    /// touching a disk. `None` means: look it up.
    pub fn client_epoch(&self, _id: &ClientId) -> Option<u64> {
        None
    }

    /// The key that signs this tenant's tokens.
    pub async fn token_key(&self) -> Result<Arc<TokenKey>> {
        not_yet()
    }

    /// The key under which this tenant's client secrets are hashed.
    pub async fn secret_key(&self) -> Result<Arc<SecretKey>> {
        not_yet()
    }

    /// The key under which this tenant's paging positions are encrypted.
    pub async fn cursor_key(&self) -> Result<Arc<Secret<[u8; 32]>>> {
        not_yet()
    }

    /// Checks rows, seals, index rows and the audit chains against each other, on one snapshot,
    /// while the tenant serves.
    pub async fn verify(&self, permit: Permit<Export>) -> Result<VerifyReport> {
        let _ = permit.spend(&self.tenant);
        not_yet()
    }

    /// Writes a backup of the tenant to a new file while the tenant serves, and verifies it.
    ///
    /// # Errors
    /// `storage-full`, `storage-fault`; `request-invalid` if the file exists.
    pub async fn backup(&self, permit: Permit<Export>, _file: &Path) -> Result<()> {
        let _ = permit.spend(&self.tenant);
        not_yet()
    }
}
