//! All tenants of one data folder.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use access::{Directory, Export, HousePermit, Permit, Principal, TenantId};
use base::{Clock, Micros, Rng, TenantName};

use crate::face::{Account, HeadLine, ShipOf, ShipPlace, ShippedEvent};
use crate::sqlite::house::House;
use crate::sqlite::house::change::By;
use crate::{
    AuditShipping, NewTenant, RestoreClients, Restored, Result, ScrubStatus, SettingsPatch, State,
    StoreConfig, StoreMetrics, TenantInfo, TenantSettings, TenantStore,
};

/// All tenants of one data folder. Cheap to clone; closed when the last clone, and the last
/// [`TenantStore`] made from it, is dropped.
#[derive(Clone)]
pub struct Store {
    handle: Arc<Handle>,
}

/// Keeps the house open.
pub(crate) struct Handle(pub(crate) Arc<House>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store(…)")
    }
}

impl Store {
    /// Opens a data folder, making its key file, operator token and control database on first
    /// use. Starts reader and writer threads, the journal's flusher and the housekeeping thread.
    ///
    /// # Errors
    /// If the folder is in use by another process, is of another house, or cannot be read.
    pub fn open(config: StoreConfig, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Result<Self> {
        let house = House::open(config, clock, rng)?;
        Ok(Self {
            handle: Arc::new(Handle(house)),
        })
    }

    fn house(&self) -> &Arc<House> {
        &self.handle.0
    }

    /// The directory of tenants: the only source of [`TenantId`]s.
    pub fn directory(&self) -> &Directory {
        &self.house().directory
    }

    /// The way to one tenant's data.
    pub fn tenant(&self, tenant: &TenantId) -> TenantStore {
        TenantStore::new(self.handle.clone(), tenant.clone())
    }

    /// The operator whose token was presented: that of `DIR/operator.token`, or of a file
    /// `DIR/operators/NAME.token`.
    pub fn operator(&self, presented: &str) -> Option<Principal> {
        self.house().operators.authenticate(presented)
    }

    /// Makes a tenant.
    ///
    /// # Errors
    /// `tenant-exists`; `storage-full`, `storage-fault`: then there is no tenant.
    pub async fn create_tenant(&self, permit: HousePermit, new: NewTenant) -> Result<TenantInfo> {
        let by = permit.spend();
        self.house().aside(move |h| h.create_tenant(&by, new)).await
    }

    /// Tenants in order of name after `after`, at most `limit`. Tenants that are gone are left
    /// out.
    pub async fn list_tenants(
        &self,
        permit: HousePermit,
        after: Option<TenantName>,
        limit: usize,
    ) -> Result<Vec<TenantInfo>> {
        let _ = permit.spend();
        Ok(self.house().list_tenants(after.as_ref(), limit))
    }

    /// Does something with the tenant of a name, beside the threads that serve.
    async fn on<T: Send + 'static>(
        &self,
        permit: HousePermit,
        name: &TenantName,
        work: impl FnOnce(&Arc<House>, &By, &TenantName) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (by, name) = (permit.spend(), name.clone());
        self.house().aside(move |h| work(h, &by, &name)).await
    }

    /// One tenant; also one that is gone and has left a receipt.
    ///
    /// # Errors
    /// `tenant-unknown`.
    pub async fn tenant_info(&self, permit: HousePermit, name: &TenantName) -> Result<TenantInfo> {
        self.on(permit, name, |h, _, name| h.tenant_info(name))
            .await
    }

    /// Changes a tenant's display name or settings; what is `None` stays.
    ///
    /// # Errors
    /// `tenant-unknown`.
    pub async fn change_tenant(
        &self,
        permit: HousePermit,
        name: &TenantName,
        display: Option<String>,
        settings: Option<SettingsPatch>,
    ) -> Result<TenantInfo> {
        self.on(permit, name, |h, by, name| {
            h.change_tenant(by, name, display, settings)
        })
        .await
    }

    /// Suspends an active tenant; suspending a suspended one changes nothing.
    ///
    /// # Errors
    /// `tenant-unknown`; `tenant-state` for a leaving tenant.
    pub async fn suspend_tenant(
        &self,
        permit: HousePermit,
        name: &TenantName,
    ) -> Result<TenantInfo> {
        self.on(permit, name, |h, by, name| h.suspend_tenant(by, name))
            .await
    }

    /// Lets a suspended tenant serve again, or brings back a leaving one.
    ///
    /// # Errors
    /// `tenant-unknown`; `tenant-state` when its key is destroyed.
    pub async fn resume_tenant(
        &self,
        permit: HousePermit,
        name: &TenantName,
    ) -> Result<TenantInfo> {
        self.on(permit, name, |h, by, name| h.resume_tenant(by, name))
            .await
    }

    /// Deletes a tenant: it is leaving for `grace_seconds`, then its key is destroyed and its
    /// folder removed. With 0 that is done before this returns.
    ///
    /// # Errors
    /// `tenant-unknown`.
    pub async fn delete_tenant(
        &self,
        permit: HousePermit,
        name: &TenantName,
        grace_seconds: u64,
    ) -> Result<TenantInfo> {
        self.on(permit, name, move |h, by, name| {
            h.delete_tenant(by, name, grace_seconds)
        })
        .await
    }

    /// The signed receipt of a deletion, as JSON.
    ///
    /// # Errors
    /// `tenant-unknown`; `tenant-state` as long as the key exists.
    pub async fn receipt(&self, permit: HousePermit, name: &TenantName) -> Result<String> {
        self.on(permit, name, |h, _, name| h.receipt(name)).await
    }

    /// The Ed25519 public key with which receipts are verified.
    pub fn receipt_key(&self) -> [u8; 32] {
        self.house().receipt_key()
    }

    /// Makes a tenant of a backup file. Everything is checked before the tenant can be seen.
    ///
    /// # Errors
    /// `backup-invalid`, `tenant-exists`, `storage-full`, `storage-fault`.
    pub async fn restore(
        &self,
        permit: HousePermit,
        file: &Path,
        as_name: TenantName,
        clients: RestoreClients,
    ) -> Result<Restored> {
        let (by, file) = (permit.spend(), file.to_owned());
        self.house()
            .aside(move |h| h.restore(&by, &file, as_name, clients))
            .await
    }

    /// Makes a new key-encryption key and wraps every tenant's key with it. Returns how many keys
    /// were wrapped. An interrupted rotation is finished at the next start.
    pub async fn rotate_key(&self, permit: HousePermit) -> Result<usize> {
        let by = permit.spend();
        self.house().aside(move |h| h.rotate_key(&by)).await
    }

    /// A tenant's state, without touching a disk.
    pub fn state(&self, tenant: &TenantId) -> State {
        self.house()
            .entry(tenant)
            .map_or(State::Gone, |e| e.info.read().state)
    }

    /// A tenant's settings, without touching a disk.
    pub fn settings(&self, tenant: &TenantId) -> TenantSettings {
        self.house()
            .entry(tenant)
            .map(|e| e.info.read().settings.clone())
            .unwrap_or_default()
    }

    /// When a tenant was made, without touching a disk.
    pub fn created(&self, tenant: &TenantId) -> Micros {
        let entry = self.house().entry(tenant);
        entry.map_or(Micros(0), |e| e.info.read().created)
    }

    /// Tenants that serve.
    pub fn serving(&self) -> Vec<TenantId> {
        let all = self.house().entries();
        let serving = all.iter().filter(|entry| entry.must_serve().is_ok());
        serving.map(|entry| entry.tenant.clone()).collect()
    }

    /// Tenants that serve where a person has this account at an identity provider, and those of which nobody knows
    /// yet who has one there; both in order of name, and without opening any.
    pub fn tenants_of_account(&self, account: &Account) -> (Vec<TenantId>, Vec<TenantId>) {
        self.house().tenants_of_account(account)
    }

    /// Opens a tenant to find out who has which account there, and remembers it.
    pub async fn look_at_accounts(&self, tenant: &TenantId) -> Result<()> {
        let Some(entry) = self.house().entry(tenant) else {
            return Ok(());
        };
        self.house()
            .aside(move |h| h.look_at_accounts(&entry))
            .await
    }

    /// How far a tenant's background check is, without touching a disk; none if nobody looked yet.
    pub fn scrub(&self, tenant: &TenantId) -> Option<ScrubStatus> {
        self.house().scrub_known(tenant)
    }

    /// The same of all tenants of which it is known.
    pub fn scrubs(&self) -> Vec<(TenantName, ScrubStatus)> {
        self.house().scrubs_known()
    }

    /// Events of trails after a place, in the order of the journal, about `most` of them,
    /// and the place after them. `permits` gives the right to each tenant's.
    pub async fn to_ship(
        &self,
        of: ShipOf,
        from: ShipPlace,
        most: usize,
        permits: impl Fn(&TenantId) -> Option<Permit<Export>> + Send + 'static,
    ) -> Result<(Vec<ShippedEvent>, ShipPlace)> {
        self.house()
            .aside(move |h| h.to_ship(&of, &from, most, &permits))
            .await
    }

    /// Bytes of the journal after a place.
    pub async fn ship_lag(&self, place: ShipPlace) -> Result<u64> {
        self.house().aside(move |h| h.ship_lag(&place)).await
    }

    /// How far a shipper got. From now on nothing that it did not ship is removed by retention.
    ///
    /// # Errors
    /// If what is kept of it cannot be read.
    pub fn ship_place(&self, name: &str) -> Result<ShipPlace> {
        self.house().ship_place(name)
    }

    /// Keeps how far a shipper got.
    pub async fn keep_ship_place(&self, name: &str, place: ShipPlace) -> Result<()> {
        let name = name.to_owned();
        self.house()
            .aside(move |h| h.keep_ship_place(&name, &place))
            .await
    }

    /// Signed heads of trees that are larger than somebody knows them, at most so many, and how many
    /// there are.
    pub async fn heads_after(
        &self,
        known: BTreeMap<String, u64>,
        max: usize,
    ) -> Result<(Vec<HeadLine>, u64)> {
        self.house()
            .aside(move |h| h.heads_after(&known, max))
            .await
    }

    /// Of which heads somebody was told: the size of each tree.
    ///
    /// # Errors
    /// If what is kept of it cannot be read.
    pub fn head_place(&self, name: &str) -> Result<BTreeMap<String, u64>> {
        self.house().head_place(name)
    }

    /// Keeps of which heads somebody was told.
    pub async fn keep_head_place(
        &self,
        name: &'static str,
        place: BTreeMap<String, u64>,
    ) -> Result<()> {
        self.house()
            .aside(move |h| h.keep_head_place(name, &place))
            .await
    }

    /// Nobody ships under this name any more: retention does not wait for it.
    pub fn ship_no_more(&self, name: &str) {
        self.house().ship_no_more(name);
    }

    /// Tenants that have a destination of their own, and where it is.
    pub fn destinations(&self) -> Vec<(TenantId, AuditShipping)> {
        let all = self.house().entries();
        let own = |e: &Arc<crate::sqlite::house::Entry>| {
            let destination = e.info.read().settings.ships_to()?.clone();
            Some((e.tenant.clone(), destination))
        };
        all.iter().filter_map(own).collect()
    }

    /// Tenants with alerts that nobody may have been told of yet; each is named once.
    pub fn untold(&self) -> Vec<TenantId> {
        let entries = self.house().take_untold();
        entries.iter().map(|e| e.tenant.clone()).collect()
    }

    /// A tenant is to be named again.
    pub fn still_untold(&self, tenant: &TenantId) {
        self.house().still_untold(tenant.bytes());
    }

    /// What the store counts about itself.
    pub fn metrics(&self) -> &StoreMetrics {
        let shared = &self.house().shared;
        shared.metrics.journal_bytes.set(shared.journal.written());
        shared.metrics.journal_flushes.set(shared.journal.flushes());
        &shared.metrics
    }

    /// Stops taking work, finishes what was taken, flushes and closes. Blocks until done.
    pub fn close(&self) {
        self.house().close();
    }

    /// One round of housekeeping now, instead of with the next tick: closes what is idle, moves
    /// logs into databases, carries out deletions that are due. Blocks until done.
    pub fn tidy(&self) {
        self.house().tidy();
    }
}
