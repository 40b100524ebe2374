//! Work on a whole tenant: checking it, reading its audit trail, backing it up.

use std::path::Path;
use std::sync::Arc;

use access::{Administer, Export, Permit};
use base::Code;

use super::TenantStore;
use crate::audit::{Outcome, Subject};
use crate::face::{ProofOf, TrailProof};
use crate::sqlite::house::notary::SignedHead;
use crate::sqlite::house::{Entry, House};
use crate::sqlite::{OpenTenant, backup, trail, verify};
use crate::{AccessQuery, AccessReport, AuditPage, Result, StoreError, VerifyReport};

impl TenantStore {
    /// Checks rows, seals, index rows and the audit chains against each other, on one snapshot,
    /// while the tenant serves.
    pub async fn verify(&self, permit: Permit<Export>) -> Result<VerifyReport> {
        self.verify_against(permit, Vec::new()).await
    }

    /// The same, with signed heads of the trail that were kept elsewhere, each as it is written in a
    /// file of heads. Those in the data folder are looked at as well.
    ///
    /// # Errors
    /// `request-invalid` for a line that is no head.
    pub async fn verify_against(
        &self,
        permit: Permit<Export>,
        heads: Vec<String>,
    ) -> Result<VerifyReport> {
        let read = |line: &String| {
            let none = || StoreError::Refused(Code::RequestInvalid, "not a head of a trail".into());
            SignedHead::read(line).ok_or_else(none)
        };
        let heads: Vec<SignedHead> = heads.iter().map(read).collect::<Result<_>>()?;
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
                let mut all = house.heads_of(entry.tenant.bytes())?;
                all.extend(heads);
                let against = verify::Against {
                    house,
                    heads: all,
                    origin: house.origin(&entry)?,
                    administered: *entry.administered.lock(),
                    anchor: house.anchor_of(entry.tenant.bytes()),
                    operators: house.operators_broken_at()?,
                    changed: house.changed_of(entry.tenant.bytes()),
                };
                verify::run(&house.open_tenant(&entry)?, &against)
            })
            .await
    }

    /// The last signed head of the trail, as a line of JSON; made now if there is something that none
    /// is of.
    pub async fn head(&self, permit: Permit<Export>) -> Result<String> {
        let entry = self.of_the_trail(permit, "audit head").await?;
        self.handle
            .0
            .aside(move |house| house.head_now(&entry)?.to_line())
            .await
    }

    /// A proof about the trail, in the tree of its first `size` records, or of all.
    ///
    /// # Errors
    /// `request-invalid` where there is no such record or tree.
    pub async fn prove(
        &self,
        permit: Permit<Export>,
        what: ProofOf,
        size: Option<u64>,
    ) -> Result<TrailProof> {
        let entry = self.of_the_trail(permit, "audit proof").await?;
        self.handle
            .0
            .aside(move |house| house.prove(entry.tenant.bytes(), what, size))
            .await
    }

    async fn of_the_trail(&self, permit: Permit<Export>, word: &str) -> Result<Arc<Entry>> {
        let spent = permit.spend(&self.tenant);
        let entry = self.entry()?.clone();
        entry.must_stay()?;
        let subject = Subject::Other(None, word);
        let (request, action) = (spent.request(), spent.action());
        self.note(request, spent.actor(), action, subject, Outcome::Given(0))
            .await?;
        Ok(entry)
    }

    /// Lines of the audit trail of at most `limit` records after the record `after`: who was shown
    /// what, who was refused, what was changed. Reads the whole journal. For operators: without the words of
    /// reasons.
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
            .aside(move |house| {
                let mut page = trail::page(&house.open_tenant(&entry)?, after, limit)?;
                trail::leave_codes(&mut page);
                Ok(page)
            })
            .await
    }

    /// Who was shown or changed what about which patients, for somebody of the tenant, in whose name it is
    /// recorded.
    pub async fn report_of_accesses(
        &self,
        permit: Permit<Administer>,
        query: AccessQuery,
    ) -> Result<AccessReport> {
        let spent = permit.spend(&self.tenant);
        let entry = self.serving()?.clone();
        let what = format!("report of accesses: {}", query.told());
        self.administered(&spent, &what).await?;
        self.handle
            .0
            .read_trail(&entry, move |tenant| trail::report(tenant, &query))
            .await
    }

    /// Who was shown or changed what about which patients, for operators: without the words of reasons. Reads
    /// the whole journal where its index does not help.
    pub async fn accesses(
        &self,
        permit: Permit<Export>,
        query: AccessQuery,
    ) -> Result<AccessReport> {
        let spent = permit.spend(&self.tenant);
        let entry = self.entry()?.clone();
        entry.must_stay()?;
        let what = format!("access report: {}", query.told());
        let subject = Subject::Other(None, &what);
        let (request, action) = (spent.request(), spent.action());
        self.note(request, spent.actor(), action, subject, Outcome::Given(0))
            .await?;
        self.handle
            .0
            .aside(move |house| {
                let tenant = house.open_tenant(&entry)?;
                let mut report = trail::report(&tenant, &query)?;
                trail::leave_codes_in(&tenant, &mut report);
                Ok(report)
            })
            .await
    }

    /// Whether the tenant was made of a backup of one that is here and that people of its own administer.
    ///
    /// # Errors
    /// `tenant-damaged`, `storage-fault`.
    pub async fn is_of_others(&self) -> Result<bool> {
        let entry = self.entry()?.clone();
        self.handle
            .0
            .aside(move |house| house.is_of_others(&entry))
            .await
    }

    /// Whether the tenant was made of a backup, and has or had people of its own.
    ///
    /// # Errors
    /// `tenant-damaged`, `storage-fault`.
    pub async fn is_restored(&self) -> Result<bool> {
        let entry = self.entry()?.clone();
        self.handle
            .0
            .aside(move |house| house.is_restored(&entry))
            .await
    }

    /// Writes a backup of the tenant to a new file while the tenant serves, and verifies it; how many rows
    /// in it are not as they were written and are kept apart.
    ///
    /// # Errors
    /// `storage-full`, `storage-fault`; `backup-exists`.
    pub async fn backup(&self, permit: Permit<Export>, file: &Path) -> Result<u64> {
        let spent = permit.spend(&self.tenant);
        let entry = self.entry()?.clone();
        entry.must_stay()?;
        if file.exists() {
            let name = file.file_name().unwrap_or_default();
            let text = format!("there is a backup {} already", name.display());
            return Err(StoreError::Refused(Code::BackupExists, text));
        }
        let intent = Self::intends_by(&spent, "backup");
        let (house, told, file) = (self.handle.0.clone(), intent.clone(), file.to_owned());
        let doing = async move {
            let write = move |house: &Arc<House>| {
                let noted = |tenant: &OpenTenant| told.done(tenant);
                backup::write(house, &entry, (&told.by, &noted), &file)
            };
            house.aside(write).await
        };
        self.ends_as(&intent, doing).await
    }
}
