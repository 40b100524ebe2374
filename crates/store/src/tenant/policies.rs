//! A tenant's policy: put into force, read, and what it reaches.

use std::sync::Arc;

use access::{ActionName, Administer, Consents, Document, Permit};
use base::{Code, ResourceId};
use fhir::definitions::TypeId;
use fhir::search::query::Clause;
use rusqlite::Connection;

use super::TenantStore;
use crate::audit::{Asked, Outcome, Record, Shown, Subject};
use crate::face::AlertRule;
use crate::sqlite::alerts::operators::{self, Did};
use crate::sqlite::fault::internal;
use crate::sqlite::readers::Class;
use crate::sqlite::writer::WriterState;
use crate::sqlite::{OpenTenant, in_snapshot, policies, rows, sight, trail};
use crate::{AuditPage, Method, PolicyVersion, Result, StoreError};

/// What a resource meets.
#[derive(Clone, Debug)]
pub struct Meets {
    /// Clause by clause.
    pub each: Vec<bool>,
    /// Whether it is kept apart: whoever reaches it is told that instead of what it says.
    pub apart: bool,
}

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

    /// Records that somebody looks at something that is administered: what the policy gives, who lets people in.
    pub async fn looked_at(&self, permit: Permit<Administer>, what: &str) -> Result<()> {
        let spent = permit.spend(&self.tenant);
        self.entry()?.must_stay()?;
        self.administered(&spent, what).await
    }

    /// Puts a policy into force, from the next request on; its version. `after`: the version that its
    /// author knew. `alerts`: an operator does, and the tenant's own people are told by an alert.
    ///
    /// # Errors
    /// `version-conflict` if another is in force; `clinic-only` for whom an operator let in and nobody kept.
    pub async fn publish_policy(
        &self,
        permit: Permit<Administer>,
        document: Document,
        (reason, alerts): (&str, bool),
        after: Option<u64>,
    ) -> Result<u64> {
        let spent = permit.spend(&self.tenant);
        let entry = self.entry()?;
        entry.must_stay()?;
        if !alerts {
            self.must_speak_for_clinic(&spent, "publish policy").await?;
        }
        let intent = Self::intends_by(&spent, "publish policy");
        let now = spent.request().at;
        let (actor, why) = (spent.actor().as_str().to_owned(), reason.to_owned());
        let add = move |tenant: &OpenTenant, state: &mut WriterState| {
            let version = policies::add(&state.db, &document, (&actor, &why), after, now)?;
            // As long as nobody of the tenant ever signed in there is nobody to be told.
            if alerts && tenant.people().is_anybody_there() {
                let did = Did {
                    rule: AlertRule::OperatorPolicy,
                    by: &actor,
                    at: now,
                    event: &format!("policy version {version}"),
                    seen: format!("policy version {version}: {why}"),
                    program: None,
                };
                operators::tell(&state.db, did)?;
            }
            Ok(version)
        };
        let deed = ("publish policy", reason);
        let version = self.administers(entry, &intent, deed, add).await?;
        self.tell_of_alert(alerts);
        Ok(version)
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

    /// Which of these clauses a resource meets now, as reads of it are judged; none if there is no such
    /// resource. One that is kept apart meets what its last good version does. Shows nothing of it.
    pub async fn meets(
        &self,
        permit: Permit<Administer>,
        (type_id, id): (TypeId, ResourceId),
        clauses: Vec<Clause>,
    ) -> Result<Option<Meets>> {
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
                    let kept = &tenant.quarantine;
                    let now = kept.must_be_readable_named(db, type_id, &of);
                    let now = now.and_then(|()| rows::current(tenant, db, type_id, &of));
                    let apart = now
                        .as_ref()
                        .is_err_and(|e| e.code() == Code::ResourceQuarantined);
                    let Some(rid) = rows::rid_of(db, type_id, &of)? else {
                        return Ok(None);
                    };
                    let good = match apart {
                        true => rows::last_good(tenant, db, rid)?,
                        false => now?,
                    };
                    let gone = good
                        .as_ref()
                        .is_none_or(|good| good.stored.method == Method::Delete);
                    if gone && !apart {
                        return Ok(None);
                    }
                    let as_of = rows::last_seq(db)?;
                    // Of what no good version tells nothing is met.
                    let good = good.filter(|_| !gone).map(|good| good.stored);
                    let met = clauses.iter().map(|clause| match &good {
                        Some(good) => {
                            let (place, good) = ((rid, as_of), (good, apart));
                            sight::meets_as_read(tenant, db, clause, place, good)
                        }
                        None => Ok(false),
                    });
                    let each = met.collect::<Result<Vec<bool>>>()?;
                    Ok(Some((Meets { each, apart }, as_of, rid)))
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
