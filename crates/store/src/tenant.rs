//! One tenant's data.

mod alerts;
mod as_one;
mod audit;
mod break_glass;
mod clinic;
mod data;
mod deeds;
mod indexing;
mod passkeys;
mod people;
mod policies;
mod providers;
mod quarantine;
mod reading;
mod registrations;
mod to_change;
mod together;
mod trail;
mod vendors;
mod whole;

pub use as_one::Operated;
pub(crate) use data::Staged;
pub use data::Upload;
pub use deeds::Deed;
pub use indexing::{IndexStatus, ParamStatus};

pub use policies::Meets;
pub use reading::ToChange;
pub(crate) use reading::current_or_last_good;

use std::sync::Arc;

use access::{
    ActionName, Administer, ClientId, ClientRecord, NewClient, Permit, RequestMeta, SecretKey,
    Spent, TenantId, TokenKey,
};
use base::{Code, Secret};
use fhir::resource::Valid;
use fhir::resource::mask::Mask;
use tokio::sync::oneshot;

use self::as_one::Gathers;
use self::reading::marked;
use self::to_change::Looks;
use crate::audit::{Outcome, Subject};
use crate::face::{Apart, DataIn};
use crate::sqlite::house::Entry;
use crate::sqlite::house::administering::ANEW;
use crate::sqlite::house::change::By;
use crate::sqlite::mailboxes::Item;
use crate::sqlite::readers::Class;
use crate::sqlite::writer::{self, WriterState};
use crate::sqlite::{
    OpenTenant, administration, alerts as alert_rows, apply, break_glass as openings, clients,
    people as people_rows, policies as policy_rows, rows, sight, vendors as vendor_rows,
};
use crate::store::Handle;
use crate::{Change, Prepared, Result, Settlement, StoreError, Write, Written};

/// One tenant's data. Cheap to clone; the database behind it is opened on first use and closed
/// when it has been idle.
///
/// Every call spends a permit of this tenant and panics on one of another: carrying on would show
/// one tenant's rows to another.
///
/// Besides the errors that each call names, all fail with `tenant-suspended`, `tenant-leaving`
/// (by the tenant's state), `tenant-damaged`, `storage-fault`, `limit-busy` (a queue is full),
/// `audit-unavailable` (reads that cannot be recorded) and `stopping`.
#[derive(Clone)]
pub struct TenantStore {
    handle: Arc<Handle>,
    tenant: TenantId,
    entry: Option<Arc<Entry>>,
    /// Where reads go that are one access together.
    gathers: Option<Arc<Gathers>>,
    /// Where reads go of what is to be changed.
    looks: Option<Arc<Looks>>,
}

impl std::fmt::Debug for TenantStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TenantStore({:?})", self.tenant)
    }
}

impl TenantStore {
    pub(crate) fn new(handle: Arc<Handle>, tenant: TenantId) -> Self {
        let entry = handle.0.entry(&tenant);
        Self {
            handle,
            tenant,
            entry,
            gathers: None,
            looks: None,
        }
    }

    /// The tenant.
    pub fn id(&self) -> &TenantId {
        &self.tenant
    }

    /// The tenant, unless it is gone.
    fn entry(&self) -> Result<&Arc<Entry>> {
        let gone = || StoreError::Refused(Code::TenantUnknown, "no such tenant".to_owned());
        self.entry.as_ref().ok_or_else(gone)
    }

    /// The tenant, if it serves.
    fn serving(&self) -> Result<&Arc<Entry>> {
        let entry = self.entry()?;
        entry.must_serve()?;
        Ok(entry)
    }

    /// The open tenant; opened on a reader thread if needed.
    async fn opened(&self) -> Result<Arc<OpenTenant>> {
        let entry = self.entry()?;
        entry.must_stay()?;
        match entry.if_open() {
            Some(tenant) => Ok(tenant),
            None => {
                self.handle
                    .0
                    .read(entry, Class::Point, None, |t, _, _| Ok(t.clone()))
                    .await
            }
        }
    }

    /// Makes a checked resource ready for the writer: compresses and digests it. Takes processor
    /// time on the caller's thread and touches no disk.
    pub fn prepare(&self, valid: Valid) -> Prepared {
        let apart = data::take_apart(&valid);
        self.pack(valid, apart)
    }

    /// Makes a change, or nothing of it; answers when it is as durable as the configuration says.
    /// The answers are in the order of the writes.
    ///
    /// # Errors
    /// [`StoreError::Entry`] with `version-conflict`, `precondition-failed`,
    /// `duplicate-id`, `bundle-duplicate`, `scope-missing`, `reference-in-use`;
    /// [`StoreError::ReferenceMissing`]; [`StoreError::Raced`]; `storage-full`.
    pub async fn commit(&self, request: RequestMeta, change: Change) -> Result<Vec<Written>> {
        self.commit_settling(request, change, None).await
    }

    /// The same; `settles` is what the change decides about a resource in quarantine.
    async fn commit_settling(
        &self,
        request: RequestMeta,
        change: Change,
        settles: Option<Settlement>,
    ) -> Result<Vec<Written>> {
        let (mut work, bytes) = self.spend(request, change);
        work.settles = settles;
        work.request = marked(work.request, self.writes_opened(&work).await?);
        let entry = self.serving()?;
        if work.ops.is_empty() && work.expects.is_empty() {
            return Ok(Vec::new());
        }
        let hidden: Vec<Option<Mask>> = work.ops.iter().map(apply::Op::hidden).collect();
        let (answer, receive) = oneshot::channel();
        let member = Box::new(writer::Member {
            work,
            bytes,
            answer,
        });
        self.handle.0.mailboxes.put(entry, Item::Change(member))?;
        let done = receive.await.unwrap_or_else(|_| {
            let text = "the write ended without an answer".to_owned();
            Err(StoreError::Refused(Code::Internal, text))
        });
        if done.is_err()
            && let Some(looks) = &self.looks
        {
            looks.refusal_is_told();
        }
        let nothing = |done: &Vec<Written>| {
            let mut outcomes = done.iter().map(|w| w.outcome);
            outcomes.any(|outcome| outcome == crate::Outcome::Nothing)
        };
        if done.as_ref().map_or(true, nothing) {
            // It was recorded by the writer.
            let journal = &self.handle.0.shared.journal;
            journal.durable(journal.so_far()).await?;
        }
        let mut done = done?;
        for (written, mask) in done.iter_mut().zip(hidden) {
            if let Some(mask) = &mask
                && let Some(stored) = written.stored.take()
            {
                written.stored = Some(stored.try_map(|stored| sight::masked(stored, mask))?);
            }
        }
        Ok(done)
    }

    /// Whether only the opening of a patient leads to what a change writes. What it makes anew counts as
    /// such, where the opening lets it be made at all.
    async fn writes_opened(&self, work: &apply::Work) -> Result<bool> {
        let opening = |op: &apply::Op| {
            let (type_id, id) = op.target();
            let rule = op.opening()?;
            let id = (op.action() != ActionName::Create).then(|| id.clone());
            Some((rule, type_id, id))
        };
        let asked: Vec<_> = work.ops.iter().filter_map(opening).collect();
        if asked.is_empty() {
            return Ok(false);
        }
        self.handle
            .0
            .read(self.serving()?, Class::Point, None, move |tenant, db, _| {
                let as_of = rows::last_seq(db)?;
                for (rule, type_id, id) in &asked {
                    let rid = match id {
                        None => return Ok(true),
                        Some(id) => rows::rid_of(db, *type_id, id)?,
                    };
                    let Some(rid) = rid else { continue };
                    if sight::meets_rule(tenant, db, rule, (rid, as_of), *type_id)?
                        && sight::by_opening(tenant, db, Some(rule), (rid, as_of), *type_id)?
                    {
                        return Ok(true);
                    }
                }
                Ok(false)
            })
            .await
    }

    /// Spends all permits of a change; the work, and its rough size.
    fn spend(&self, request: RequestMeta, change: Change) -> (apply::Work, u64) {
        let tenant = &self.tenant;
        let mut bytes = 0u64;
        let mut ops = Vec::with_capacity(change.writes.len());
        let mut size = |p: &Prepared| {
            // A body, and some forty bytes for each index row.
            bytes += 256 + (p.packed.len() + p.body().len() + p.valid.rows().len() * 40) as u64;
            if let Some(Apart {
                data: DataIn::Here(data),
                ..
            }) = &p.apart
            {
                bytes += data.len() as u64;
            }
        };
        for write in change.writes {
            ops.push(match write {
                Write::Create { permit, resource } => {
                    size(&resource);
                    apply::Op::Create {
                        spent: permit.spend(tenant),
                        resource,
                    }
                }
                Write::Put {
                    permit,
                    or_create,
                    resource,
                    condition,
                    method,
                } => {
                    size(&resource);
                    let spent = permit.spend(tenant);
                    let or_create = or_create.map(|p| p.spend(tenant));
                    apply::Op::Put {
                        spent,
                        or_create,
                        resource,
                        condition,
                        method,
                    }
                }
                Write::Delete {
                    permit,
                    type_id,
                    id,
                    condition,
                } => apply::Op::Delete {
                    spent: permit.spend(tenant),
                    type_id,
                    id,
                    condition,
                },
            });
        }
        let expects: Vec<apply::Expect> = change
            .expectations
            .into_iter()
            .map(|e| apply::Expect {
                spent: e.permit.spend(tenant),
                query: e.query,
                expected: e.expected,
            })
            .collect();
        let actor = ops.first().map(|op| op.actor().clone());
        let enforce_references = change.enforce_references;
        (
            apply::Work {
                request,
                actor,
                ops,
                expects,
                enforce_references,
                settles: None,
            },
            bytes,
        )
    }

    /// An API client, or a way in for bulk loading, by id. From memory once the tenant is open.
    pub async fn client(&self, id: &ClientId) -> Result<Option<ClientRecord>> {
        Ok(self.opened().await?.clients().get(id))
    }

    /// All API clients and ways in for bulk loading, revoked and ended ones too, in order of id.
    pub async fn clients(&self, permit: Permit<Administer>) -> Result<Vec<ClientRecord>> {
        let spent = permit.spend(&self.tenant);
        let tenant = self.opened().await?;
        let all = tenant.clients().sorted();
        self.administered(&spent, "list clients").await?;
        Ok(all)
    }

    /// Makes an API client; only a keyed hash of its secret is kept.
    ///
    /// # Errors
    /// `duplicate-id`, `limit-query`.
    pub async fn create_client(
        &self,
        permit: Permit<Administer>,
        new: NewClient,
        secret: Option<&Secret<String>>,
    ) -> Result<ClientRecord> {
        let secret = secret.map(|secret| Secret::new(secret.expose().clone()));
        self.add_client(permit, new, secret, "create client").await
    }

    /// Opens a way in for bulk loading. It has no secret: its tokens are asked for by the operator.
    ///
    /// # Errors
    /// `limit-query`.
    pub async fn open_import(
        &self,
        permit: Permit<Administer>,
        new: NewClient,
    ) -> Result<ClientRecord> {
        self.add_client(permit, new, None, "open import").await
    }

    async fn add_client(
        &self,
        permit: Permit<Administer>,
        new: NewClient,
        secret: Option<Secret<String>>,
        action: &'static str,
    ) -> Result<ClientRecord> {
        let spent = permit.spend(&self.tenant);
        let entry = self.entry()?;
        entry.must_stay()?;
        let mut what = format!("{action} {}", new.id.as_str());
        if let Some(made) = &new.made {
            what.push_str(&format!(" with {}: {}", new.scopes.as_str(), made.reason));
        }
        if new.import.is_some() {
            what.push_str(&format!(": {}", new.name));
        }
        let intent = Self::intends_by(&spent, what);
        let (detail, who) = (new.id.as_str().to_owned(), spent.actor().clone());
        let now = spent.request().at;
        let add = move |tenant: &OpenTenant, state: &mut WriterState| {
            let hash = |secret: &Secret<String>| tenant.secret_key().hash(secret.expose());
            clients::tell_of_import(tenant, state, &new, &who)?;
            clients::create(tenant, state, new, secret.as_ref().map(hash), now)
        };
        let deed = (action, detail.as_str());
        let record = self.administers(entry, &intent, deed, add).await?;
        self.tell_of(&record);
        Ok(record)
    }

    /// Has the alert about a client that an operator made told.
    fn tell_of(&self, record: &ClientRecord) {
        let made = record.made.as_ref();
        if record.import.is_some() || made.is_some_and(|made| made.until.is_some()) {
            self.handle.0.still_untold(self.tenant.bytes());
        }
    }

    /// Revokes an API client or a way in for bulk loading; holds from the next request on.
    ///
    /// # Errors
    /// `client-unknown`.
    pub async fn revoke_client(&self, permit: Permit<Administer>, id: &ClientId) -> Result<()> {
        let spent = permit.spend(&self.tenant);
        let entry = self.entry()?;
        entry.must_stay()?;
        let intent = Self::intends_by(&spent, format!("revoke client {}", id.as_str()));
        let (id, detail) = (id.clone(), id.as_str());
        let revoke =
            move |tenant: &OpenTenant, state: &mut WriterState| clients::revoke(tenant, state, &id);
        let deed = ("revoke client", detail);
        let revoked = self.administers(entry, &intent, deed, revoke);
        revoked.await.map(drop)
    }

    /// Keeps an API client that an operator made as the tenant's own: it does not end by itself any more.
    ///
    /// # Errors
    /// `client-unknown`.
    pub async fn keep_client(
        &self,
        permit: Permit<Administer>,
        id: &ClientId,
    ) -> Result<ClientRecord> {
        let spent = permit.spend(&self.tenant);
        let entry = self.entry()?;
        entry.must_stay()?;
        let intent = Self::intends_by(&spent, format!("keep client {}", id.as_str()));
        let (who, now) = (spent.actor().clone(), spent.request().at);
        let (id, detail) = (id.clone(), id.as_str());
        let keep = move |tenant: &OpenTenant, state: &mut WriterState| {
            clients::keep(tenant, state, &id, (who.as_str(), now))
        };
        let deed = ("keep client", detail);
        self.administers(entry, &intent, deed, keep).await
    }

    /// Begins the tenant's administration anew, where it is not what was last administered: nobody may do
    /// anything until somebody administers it. All clients are revoked, all people disabled and without
    /// proofs and roles, all vendor grants off and their terms to be taken again, identity providers and
    /// program links gone, and a policy without grants is in force. Where only what was opened in
    /// emergencies is not what was vouched for, that ends, and nothing else. `who` decided so, and why.
    ///
    /// # Errors
    /// `request-invalid` where it is what was last administered.
    pub async fn begin_anew(
        &self,
        permit: Permit<Administer>,
        who: &str,
        reason: &str,
    ) -> Result<()> {
        let spent = permit.spend(&self.tenant);
        let entry = self.entry()?;
        entry.must_stay()?;
        let intent = Self::intends_by(&spent, ANEW);
        let now = spent.request().at;
        let detail = format!("{who}: {reason}");
        let why = format!("administration begun anew by {detail}");
        let actor = spent.actor().as_str().to_owned();
        let work = move |tenant: &OpenTenant, state: &mut WriterState| {
            let (db, by) = (&state.db, (actor.as_str(), why.as_str()));
            let doubted = tenant.clients().is_doubted() || !administration::holds(db)?;
            if !doubted && vendor_rows::events_hold(db)? {
                // What was opened in emergencies, or what people signed in and approved, is all that was altered:
                // it ends, and no more.
                let chain = tenant.chain();
                let signed_in = people_rows::unsealed(db, chain)? == 0;
                people_rows::drop_unsealed(db, chain)?;
                if !administration::openings_hold(db)? {
                    return openings::end(db, chain, None, ("operator", now)).map(drop);
                }
                if !signed_in {
                    return Ok(());
                }
                let text = "what is administered is what was last administered";
                return Err(StoreError::Refused(Code::RequestInvalid, text.to_owned()));
            }
            clients::revoke_all(db)?;
            people_rows::begin_anew(db)?;
            vendor_rows::begin_anew(db, &why)?;
            policy_rows::begin_anew(db, by, now)?;
            alert_rows::begin_anew(db, by, now)?;
            openings::end(db, tenant.chain(), None, (actor.as_str(), now)).map(drop)
        };
        let deed = (ANEW, detail.as_str());
        self.administers(entry, &intent, deed, work).await
    }

    /// Records that a token of a way in for bulk loading is given.
    ///
    /// # Errors
    /// `audit-unavailable`: then none may be given.
    pub async fn renewing_import(&self, permit: Permit<Administer>, id: &ClientId) -> Result<()> {
        let spent = permit.spend(&self.tenant);
        self.entry()?.must_serve()?;
        self.administered(&spent, &format!("give token to {}", id.as_str()))
            .await
    }

    async fn administered(&self, spent: &Spent<Administer>, what: &str) -> Result<()> {
        let subject = Subject::Other(None, what);
        let action = ActionName::Administer;
        self.note(
            spent.request(),
            spent.actor(),
            action,
            subject,
            Outcome::Given(0),
        )
        .await
    }

    /// The current epoch of a client that is not revoked, without touching a disk. `None` means:
    /// look it up.
    pub fn client_epoch(&self, id: &ClientId) -> Option<u64> {
        self.entry.as_ref()?.if_open()?.clients().epoch(id)
    }

    /// The key that signs this tenant's tokens.
    pub async fn token_key(&self) -> Result<Arc<TokenKey>> {
        Ok(self.opened().await?.token_key())
    }

    /// The key under which this tenant's client secrets are hashed.
    pub async fn secret_key(&self) -> Result<Arc<SecretKey>> {
        Ok(self.opened().await?.secret_key())
    }

    /// The key under which this tenant's paging positions are encrypted.
    pub async fn cursor_key(&self) -> Result<Arc<Secret<[u8; 32]>>> {
        Ok(self.opened().await?.keys.cursor.clone())
    }
}

/// Who did it, for the operators' audit.
pub(super) fn by(spent: &Spent<Administer>) -> By {
    (spent.actor().clone(), spent.request())
}
