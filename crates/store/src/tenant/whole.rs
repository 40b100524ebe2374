//! Work on a whole tenant: checking it, reading its audit trail, backing it up.

use std::path::Path;

use access::{Export, Permit};
use base::Code;

use super::TenantStore;
use crate::audit::{Outcome, Subject};
use crate::sqlite::{backup, trail, verify};
use crate::{AccessQuery, AccessReport, AuditPage, Result, StoreError, VerifyReport};

impl TenantStore {
    /// Checks rows, seals, index rows and the audit chains against each other, on one snapshot,
    /// while the tenant serves.
    pub async fn verify(&self, permit: Permit<Export>) -> Result<VerifyReport> {
        let spent = permit.spend(&self.tenant);
        let entry = self.entry()?.clone();
        entry.must_stay()?;
        let subject = Subject::Other(None, "verify");
        let (request, action) = (spent.request(), spent.action());
        self.note(request, spent.actor(), action, subject, Outcome::Given(0))
            .await?;
        self.handle
            .0
            .aside(move |house| {
                let against = verify::Against {
                    administered: *entry.administered.lock(),
                    anchor: house.anchor_of(entry.tenant.bytes()),
                    operators: house.operators_broken_at()?,
                };
                verify::run(&house.open_tenant(&entry)?, &against)
            })
            .await
    }

    /// Lines of the audit trail of at most `limit` records after the record `after`: who was shown
    /// what, who was refused, what was changed. Reads the whole journal.
    pub async fn audit(
        &self,
        permit: Permit<Export>,
        after: u64,
        limit: usize,
    ) -> Result<AuditPage> {
        let spent = permit.spend(&self.tenant);
        let entry = self.entry()?.clone();
        entry.must_stay()?;
        let subject = Subject::Other(None, "audit");
        let (request, action) = (spent.request(), spent.action());
        self.note(request, spent.actor(), action, subject, Outcome::Given(0))
            .await?;
        self.handle
            .0
            .aside(move |house| trail::page(&house.open_tenant(&entry)?, after, limit))
            .await
    }

    /// Who was shown or changed what about which patients. Reads the whole journal.
    pub async fn accesses(
        &self,
        permit: Permit<Export>,
        query: AccessQuery,
    ) -> Result<AccessReport> {
        let spent = permit.spend(&self.tenant);
        let entry = self.entry()?.clone();
        entry.must_stay()?;
        let subject = Subject::Other(None, "access report");
        let (request, action) = (spent.request(), spent.action());
        self.note(request, spent.actor(), action, subject, Outcome::Given(0))
            .await?;
        self.handle
            .0
            .aside(move |house| trail::report(&house.open_tenant(&entry)?, &query))
            .await
    }

    /// Writes a backup of the tenant to a new file while the tenant serves, and verifies it.
    ///
    /// # Errors
    /// `storage-full`, `storage-fault`; `backup-exists`.
    pub async fn backup(&self, permit: Permit<Export>, file: &Path) -> Result<()> {
        let spent = permit.spend(&self.tenant);
        let entry = self.entry()?.clone();
        entry.must_stay()?;
        if file.exists() {
            let text = Code::BackupExists.describe().to_owned();
            return Err(StoreError::Refused(Code::BackupExists, text));
        }
        let subject = Subject::Other(None, "backup");
        let (request, action) = (spent.request(), spent.action());
        self.note(request, spent.actor(), action, subject, Outcome::Given(0))
            .await?;
        let by = (spent.actor().clone(), request);
        let file = file.to_owned();
        self.handle
            .0
            .aside(move |house| backup::write(house, &entry, &by, &file))
            .await
    }
}
