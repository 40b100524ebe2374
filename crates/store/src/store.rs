//! All tenants of one data folder.

use std::path::Path;
use std::sync::Arc;

use access::{Directory, HouseKey, HousePermit, OperatorToken, TenantId};
use base::{Clock, Code, Rng, Secret, TenantName};

use crate::{
    NewTenant, Result, State, StoreConfig, StoreError, StoreMetrics, TenantInfo, TenantSettings,
    TenantStore,
};

/// All tenants of one data folder. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    house: Arc<House>,
}

#[derive(Debug)]
struct House {
    directory: Directory,
    operator: OperatorToken,
    metrics: StoreMetrics,
}

pub(crate) fn not_yet<T>() -> Result<T> {
    Err(StoreError::Refused(
        Code::NotSupported,
        "the store is being built".to_owned(),
    ))
}

impl Store {
    /// Opens a data folder, making its key file, operator token and control database on first
    /// use. Starts reader and writer threads, the journal's flusher and the housekeeping thread.
    ///
    /// # Errors
    /// If the folder is in use by another process, is of another house, or cannot be read.
    pub fn open(_config: StoreConfig, _clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Result<Self> {
        let house = House {
            directory: Directory::new(&HouseKey::new(Secret::new(rng.bytes()))),
            operator: OperatorToken::new(""),
            metrics: StoreMetrics::default(),
        };
        let _ = Self {
            house: Arc::new(house),
        };
        not_yet()
    }

    /// The directory of tenants: the only source of [`TenantId`]s.
    pub fn directory(&self) -> &Directory {
        &self.house.directory
    }

    /// The way to one tenant's data.
    pub fn tenant(&self, tenant: &TenantId) -> TenantStore {
        TenantStore::new(tenant.clone())
    }

    /// The operator's token, by its digest; the token itself is in `DIR/operator.token`.
    pub fn operator_token(&self) -> &OperatorToken {
        &self.house.operator
    }

    /// Makes a tenant.
    ///
    /// # Errors
    /// `tenant-exists`; `storage-full`, `storage-fault`: then there is no tenant.
    pub async fn create_tenant(&self, permit: HousePermit, _new: NewTenant) -> Result<TenantInfo> {
        let _ = permit.spend();
        not_yet()
    }

    /// Tenants in order of name after `after`, at most `limit`. Tenants that are gone are left
    /// out.
    pub async fn list_tenants(
        &self,
        permit: HousePermit,
        _after: Option<TenantName>,
        _limit: usize,
    ) -> Result<Vec<TenantInfo>> {
        let _ = permit.spend();
        not_yet()
    }

    /// One tenant; also one that is gone and has left a receipt.
    ///
    /// # Errors
    /// `tenant-unknown`.
    pub async fn tenant_info(&self, permit: HousePermit, _name: &TenantName) -> Result<TenantInfo> {
        let _ = permit.spend();
        not_yet()
    }

    /// Changes a tenant's display name or settings; what is `None` stays.
    ///
    /// # Errors
    /// `tenant-unknown`.
    pub async fn change_tenant(
        &self,
        permit: HousePermit,
        _name: &TenantName,
        _display: Option<String>,
        _settings: Option<TenantSettings>,
    ) -> Result<TenantInfo> {
        let _ = permit.spend();
        not_yet()
    }

    /// Suspends an active tenant; suspending a suspended one changes nothing.
    ///
    /// # Errors
    /// `tenant-unknown`; `tenant-state` for a leaving tenant.
    pub async fn suspend_tenant(
        &self,
        permit: HousePermit,
        _name: &TenantName,
    ) -> Result<TenantInfo> {
        let _ = permit.spend();
        not_yet()
    }

    /// Lets a suspended tenant serve again, or brings back a leaving one.
    ///
    /// # Errors
    /// `tenant-unknown`; `tenant-state` when its key is destroyed.
    pub async fn resume_tenant(
        &self,
        permit: HousePermit,
        _name: &TenantName,
    ) -> Result<TenantInfo> {
        let _ = permit.spend();
        not_yet()
    }

    /// Deletes a tenant: it is leaving for `grace_seconds`, then its key is destroyed and its
    /// folder removed. With 0 that is done before this returns.
    ///
    /// # Errors
    /// `tenant-unknown`.
    pub async fn delete_tenant(
        &self,
        permit: HousePermit,
        _name: &TenantName,
        _grace_seconds: u64,
    ) -> Result<TenantInfo> {
        let _ = permit.spend();
        not_yet()
    }

    /// The signed receipt of a deletion, as JSON.
    ///
    /// # Errors
    /// `tenant-unknown`; `tenant-state` as long as the key exists.
    pub async fn receipt(&self, permit: HousePermit, _name: &TenantName) -> Result<String> {
        let _ = permit.spend();
        not_yet()
    }

    /// The Ed25519 public key with which receipts are verified.
    pub fn receipt_key(&self) -> [u8; 32] {
        [0; 32]
    }

    /// Makes a tenant of a backup file. Everything is checked before the tenant can be seen.
    ///
    /// # Errors
    /// `backup-invalid`, `tenant-exists`, `storage-full`, `storage-fault`.
    pub async fn restore(
        &self,
        permit: HousePermit,
        _file: &Path,
        _as_name: TenantName,
    ) -> Result<TenantInfo> {
        let _ = permit.spend();
        not_yet()
    }

    /// Makes a new key-encryption key and wraps every tenant's key with it. Returns how many keys
    /// were wrapped. An interrupted rotation is finished at the next start.
    pub async fn rotate_key(&self, permit: HousePermit) -> Result<usize> {
        let _ = permit.spend();
        not_yet()
    }

    /// A tenant's state, without touching a disk.
    pub fn state(&self, _tenant: &TenantId) -> State {
        State::Suspended
    }

    /// A tenant's settings, without touching a disk.
    pub fn settings(&self, _tenant: &TenantId) -> TenantSettings {
        TenantSettings::default()
    }

    /// What the store counts about itself.
    pub fn metrics(&self) -> &StoreMetrics {
        &self.house.metrics
    }

    /// Stops taking work, finishes what was taken, flushes and closes. Blocks until done.
    pub fn close(&self) {}
}
