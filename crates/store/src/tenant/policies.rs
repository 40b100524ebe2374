//! A tenant's policy: put into force, read, and what it reaches.

use std::sync::Arc;

use access::{ActionName, Administer, Consents, Document, Permit};
use base::{Code, ResourceId};
use fhir::definitions::TypeId;
use fhir::search::query::Clause;
use rusqlite::Connection;

use super::TenantStore;
use crate::audit::{Asked, Outcome, Record, Shown, Subject};
use crate::sqlite::fault::internal;
use crate::sqlite::readers::Class;
use crate::sqlite::writer::WriterState;
use crate::sqlite::{OpenTenant, in_snapshot, policies, rows, sight, trail};
use crate::{AuditPage, Method, PolicyVersion, Result, StoreError};

impl TenantStore {
    /// Every version of the policy that was ever in force, newest first.
    pub async fn policies(&self, permit: Permit<Administer>) -> Result<Vec<PolicyVersion>> {
        let spent = permit.spend(&self.tenant);
        let entry = self.entry()?;
        entry.must_stay()?;
        self.administered(&spent, "list policies").await?;
        self.handle
            .0
            .read(entry, Class::Scan, None, |_, db, _| policies::all(db))
            .await
    }

    /// Looks at what patients consented to, as it is committed; at nothing where that does not count.
    pub async fn with_consents<T>(
        &self,
        count: bool,
        look: impl FnOnce(&Consents) -> T,
    ) -> Result<T> {
        match count {
            false => Ok(look(Consents::none())),
            true => Ok(look(&*self.consents().await?)),
        }
    }

    /// What patients consented to, as it is committed.
    pub async fn consents(&self) -> Result<Arc<Consents>> {
        /// They may be forgotten again before they were looked at.
        const TRIES: usize = 8;
        for _ in 0..TRIES {
            let tenant = match self.entry()?.if_open() {
                Some(tenant) => tenant,
                None => self.opened().await?,
            };
            if let Some(known) = tenant.consents.known() {
                return Ok(known);
            }
            let _reading = tenant.consents.reading.lock().await;
            let entry = self.entry()?;
            let read =
                |tenant: &Arc<OpenTenant>, db: &Connection, _| tenant.consents.read(tenant, db);
            self.handle.0.read(entry, Class::Scan, None, read).await?;
        }
        Err(internal("consents are not known"))
    }

    /// Records that somebody looks at what the policy in force gives.
    pub async fn looked_at_policy(&self, permit: Permit<Administer>, what: &str) -> Result<()> {
        let spent = permit.spend(&self.tenant);
        self.entry()?.must_stay()?;
        self.administered(&spent, what).await
    }

    /// Puts a policy into force, from the next request on; its version. `after`: the version that its
    /// author knew.
    ///
    /// # Errors
    /// `version-conflict` if another is in force.
    pub async fn publish_policy(
        &self,
        permit: Permit<Administer>,
        document: Document,
        reason: &str,
        after: Option<u64>,
    ) -> Result<u64> {
        let spent = permit.spend(&self.tenant);
        let entry = self.entry()?;
        entry.must_stay()?;
        self.administered(&spent, "publish policy").await?;
        let (by, now) = (super::by(&spent), spent.request().at);
        let (actor, why) = (spent.actor().as_str().to_owned(), reason.to_owned());
        let add = move |_: &OpenTenant, state: &mut WriterState| {
            policies::add(&state.db, &document, (&actor, &why), after, now)
        };
        self.handle
            .0
            .administer(entry, by, "publish policy", reason, add)
            .await
    }

    /// Lines of the newest `limit` records of the audit trail: what a draft is tried against.
    pub async fn newest_audit(
        &self,
        permit: Permit<Administer>,
        limit: usize,
    ) -> Result<AuditPage> {
        let spent = permit.spend(&self.tenant);
        let entry = self.entry()?.clone();
        entry.must_stay()?;
        self.administered(&spent, "dry-run policy").await?;
        self.handle
            .0
            .aside(move |house| trail::newest(&house.open_tenant(&entry)?, limit))
            .await
    }

    /// Which of these clauses a resource meets now; none if there is no such resource. Shows nothing
    /// of it.
    pub async fn meets(
        &self,
        permit: Permit<Administer>,
        (type_id, id): (TypeId, ResourceId),
        clauses: Vec<Clause>,
    ) -> Result<Option<Vec<bool>>> {
        let spent = permit.spend(&self.tenant);
        let entry = self.serving()?;
        self.administered(&spent, "test policy").await?;
        if clauses.len() > usize::try_from(base::limits::fixed::POLICY_GRANTS_MAX).unwrap_or(0) {
            let text = "too many clauses".to_owned();
            return Err(StoreError::Refused(Code::RequestInvalid, text));
        }
        let of = id.clone();
        let found = self
            .handle
            .0
            .read(entry, Class::Scan, None, move |tenant, db, _| {
                in_snapshot(db, || {
                    let Some(now) = rows::current(tenant, db, type_id, &of)? else {
                        return Ok(None);
                    };
                    if now.stored.method == Method::Delete {
                        return Ok(None);
                    }
                    let as_of = rows::last_seq(db)?;
                    let met = clauses
                        .iter()
                        .map(|c| sight::meets(tenant, db, c, type_id, now.rid, as_of));
                    let met = met.collect::<Result<Vec<bool>>>()?;
                    Ok(Some((met, as_of, now.rid)))
                })
            });
        let found = found.await?;
        // Whoever asks learns something of the resource: it is an access like others.
        let mut record = Record {
            request: spent.request(),
            actor: spent.actor(),
            action: ActionName::Administer,
            subject: Subject::Instance(type_id, &id),
            asked: Asked::default(),
            outcome: Outcome::Nothing,
        };
        let Some((met, as_of, rid)) = found else {
            self.append(&record, None).await?;
            return Ok(None);
        };
        record.outcome = Outcome::Given(1);
        let rids = [rid];
        self.append(&record, Some(Shown::Resources(as_of, &rids)))
            .await?;
        Ok(Some(met))
    }
}
