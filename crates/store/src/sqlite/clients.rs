//! API clients, and ways in for bulk loading, in the tenant's database.
//!
//! Clients are good as long as they are what was last administered ([`super::administration`]).
//! Where they are not, none of them is good any more, and the next work on them makes that so in
//! the database too.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use access::{
    Actor, ByCertificate, CertificateTerms, ClientAbout, ClientId, ClientKeys, ClientRecord,
    ImportTimes, MadeByOperator, NewClient, Program, RoleAt, Scopes, VendorId,
};
use base::{Code, Limits, Micros};
use fhir::definitions::Model;
use parking_lot::RwLock;
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::alerts::operators::{self, Did};
use super::fault::{Doing, damaged, internal};
use super::schema;
use super::tenant::OpenTenant;
use super::writer::WriterState;
use crate::face::AlertRule;
use crate::{Result, StoreError};

/// Ways in for bulk loading that ended and are still listed.
const IMPORTS_KEPT: i64 = 100;

/// All clients of an open tenant, as they are committed.
#[derive(Debug)]
pub(crate) struct Clients {
    all: RwLock<HashMap<ClientId, ClientRecord>>,
    /// They were not what was last administered: none is good.
    doubted: AtomicBool,
}

impl Clients {
    /// Reads them. When they are not `trusted`, all are revoked.
    pub(crate) fn load(db: &Connection, model: &Model, trusted: bool) -> Result<Self> {
        let mut all = read(db, model)?;
        if !trusted {
            for record in all.values_mut() {
                (record.revoked, record.epoch) = (true, record.epoch + 1);
            }
        }
        Ok(Self {
            all: RwLock::new(all),
            doubted: AtomicBool::new(!trusted),
        })
    }

    /// One of them.
    pub(crate) fn get(&self, id: &ClientId) -> Option<ClientRecord> {
        self.all.read().get(id).cloned()
    }

    /// The epoch of one that was not revoked.
    pub(crate) fn epoch(&self, id: &ClientId) -> Option<u64> {
        let all = self.all.read();
        all.get(id).filter(|c| !c.revoked).map(|c| c.epoch)
    }

    /// All of them, in order of id.
    pub(crate) fn sorted(&self) -> Vec<ClientRecord> {
        let mut all: Vec<ClientRecord> = self.all.read().values().cloned().collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }

    /// Learns what was committed.
    pub(crate) fn learn(&self, db: &Connection, model: &Model) -> Result<()> {
        *self.all.write() = read(db, model)?;
        Ok(())
    }

    /// Lets none of them in, until they are read again.
    pub(crate) fn forget(&self) {
        self.all.write().clear();
    }

    /// Whether what is administered was not what was last administered when the tenant was opened.
    pub(crate) fn is_doubted(&self) -> bool {
        self.doubted.load(Ordering::Relaxed)
    }

    /// From now on what is committed is what was last administered.
    pub(crate) fn believe(&self) {
        self.doubted.store(false, Ordering::Relaxed);
    }
}

fn read(db: &Connection, model: &Model) -> Result<HashMap<ClientId, ClientRecord>> {
    const DOING: &str = "reading API clients";
    let mut read = db
        .prepare(
            "SELECT id, name, scopes, secret_hash, jwks, epoch, revoked, opened_us, until_us, roles,
               vendor, certificates, made
             FROM client",
        )
        .doing(DOING)?;
    let mut rows = read.query([]).doing(DOING)?;
    let mut clients = HashMap::new();
    let mut programs = programs(db)?;
    while let Some(row) = rows.next().doing(DOING)? {
        let id: String = row.get(0).doing(DOING)?;
        let id = ClientId::new(&id).ok_or_else(|| damaged("a stored client id"))?;
        let scopes: String = row.get(2).doing(DOING)?;
        let scopes = Scopes::parse(&scopes, model).map_err(|_| damaged("a stored scope"))?;
        let epoch: i64 = row.get(5).doing(DOING)?;
        let opened: Option<i64> = row.get(7).doing(DOING)?;
        let until: Option<i64> = row.get(8).doing(DOING)?;
        let kept = programs.remove(id.as_str()).unwrap_or_default();
        let record = ClientRecord {
            id: id.clone(),
            name: row.get(1).doing(DOING)?,
            scopes: Arc::new(scopes),
            secret_hash: row.get(3).doing(DOING)?,
            jwks: row
                .get::<_, Option<String>>(4)
                .doing(DOING)?
                .map(|text| ClientKeys::read(&text)),
            epoch: u64::try_from(epoch).unwrap_or(0),
            revoked: row.get(6).doing(DOING)?,
            import: opened.zip(until).map(|(opened, until)| ImportTimes {
                opened: Micros(opened),
                until: Micros(until),
            }),
            program: kept.program,
            roles: roles(row.get(9).doing(DOING)?)?,
            vendor: vendor(row.get(10).doing(DOING)?)?,
            certificates: certificates(row.get(11).doing(DOING)?)?,
            about: kept.about,
            made: row
                .get::<_, Option<String>>(12)
                .doing(DOING)?
                .map(|text| read_made(&text))
                .transpose()?,
        };
        clients.insert(id, record);
    }
    Ok(clients)
}

/// Roles as they are kept: separated by spaces.
fn roles(text: Option<String>) -> Result<Option<Arc<[RoleAt]>>> {
    let read = |text: String| {
        let each = text.split_ascii_whitespace().map(RoleAt::parse);
        each.collect::<Option<Arc<[RoleAt]>>>()
            .ok_or_else(|| damaged("a stored role"))
    };
    text.map(read).transpose()
}

/// A client whose vendor cannot be read is not one without a vendor.
fn vendor(text: Option<String>) -> Result<Option<VendorId>> {
    let read = |text: String| VendorId::new(&text).ok_or_else(|| damaged("a stored vendor"));
    text.map(read).transpose()
}

/// One whose terms cannot be read is not one without.
fn certificates(text: Option<String>) -> Result<CertificateTerms> {
    let read = |text: String| {
        serde_json::from_str(&text).map_err(|_| damaged("what certificates are to a client"))
    };
    text.map_or_else(|| Ok(CertificateTerms::default()), read)
}

fn kept_certificates(terms: &CertificateTerms) -> Result<Option<String>> {
    if *terms == CertificateTerms::default() {
        return Ok(None);
    }
    let text = serde_json::to_string(terms);
    text.map(Some)
        .map_err(|_| internal("writing an API client"))
}

/// That an operator made a client, as it is kept.
#[derive(Serialize, Deserialize)]
struct KeptMade {
    by: Box<str>,
    at_us: i64,
    reason: Box<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until_us: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kept_by: Option<Box<str>>,
}

/// One whose end cannot be read is not one without an end.
fn read_made(text: &str) -> Result<MadeByOperator> {
    let kept: KeptMade = serde_json::from_str(text).map_err(|_| damaged("who made a client"))?;
    Ok(MadeByOperator {
        by: kept.by,
        at: Micros(kept.at_us),
        reason: kept.reason,
        until: kept.until_us.map(Micros),
        kept_by: kept.kept_by,
    })
}

fn kept_made(made: &MadeByOperator) -> Result<String> {
    let kept = KeptMade {
        by: made.by.clone(),
        at_us: made.at.0,
        reason: made.reason.clone(),
        until_us: made.until.map(|until| until.0),
        kept_by: made.kept_by.clone(),
    };
    serde_json::to_string(&kept).map_err(|_| internal("writing an API client"))
}

/// Revokes all clients that are not revoked; how many.
pub(crate) fn revoke_all(db: &Connection) -> Result<usize> {
    db.execute(
        "UPDATE client SET epoch = epoch + 1, revoked = 1 WHERE revoked = 0",
        [],
    )
    .doing("revoking API clients")
}

/// Adds a client with the keyed hash of its secret, or a way in for bulk loading; those that ended long ago make room.
pub(crate) fn create(
    tenant: &OpenTenant,
    state: &WriterState,
    mut new: NewClient,
    secret_hash: Option<[u8; 32]>,
    now: Micros,
) -> Result<ClientRecord> {
    const DOING: &str = "writing an API client";
    if tenant.clients().get(&new.id).is_some() {
        let text = "an API client has this id".to_owned();
        return Err(StoreError::Refused(Code::DuplicateId, text));
    }
    if new.import.is_some() {
        state
            .db
            .execute(
                "DELETE FROM client WHERE id IN (
                   SELECT id FROM client WHERE until_us IS NOT NULL AND (revoked = 1 OR until_us <= ?1)
                   ORDER BY opened_us DESC, id LIMIT -1 OFFSET ?2)",
                params![now.0, IMPORTS_KEPT],
            )
            .doing(DOING)?;
    }
    must_know_vendor(tenant, &new)?;
    must_have_room(&state.db, &tenant.shared.config.limits)?;
    tell_of_operator(tenant, state, &mut new)?;
    let record = record(new, secret_hash, 1);
    put(&state.db, &record)?;
    Ok(record)
}

/// What says in a tenant's database that it was made of a backup: ids of the tenant that the backup is of, and
/// of those that this one was made of.
pub(crate) const RESTORED: &str = "restored";

/// Of a client that an operator makes: as long as nobody of the tenant ever signed in, or where the client does
/// nothing without the tenant's people, it has no end. Of another one an alert tells, also where a vendor's grant
/// bounds it: the clinic enabled what the vendor has, and not what is made in its name. In a tenant that was made of a backup it opens nothing before somebody keeps it.
fn tell_of_operator(tenant: &OpenTenant, state: &WriterState, new: &mut NewClient) -> Result<()> {
    let alone = new.acts_alone();
    let Some(made) = &mut new.made else {
        return Ok(());
    };
    if !alone || !tenant.people().is_anybody_there() {
        made.until = None;
        return Ok(());
    }
    if schema::meta::<Vec<u8>>(&state.db, RESTORED)?.is_some() {
        made.until = Some(made.at);
    }
    let (id, until) = (new.id.as_str(), made.until);
    let until = match until {
        Some(until) if until == made.at => " as soon as somebody keeps it".to_owned(),
        Some(until) => format!(" until {}", until.instant()),
        None => String::new(),
    };
    let did = Did {
        rule: AlertRule::OperatorClient,
        by: &made.by,
        at: made.at,
        event: id,
        seen: format!("{}{until}: {}", new.scopes.as_str(), made.reason),
        program: Some(format!("client:{id}")),
    };
    operators::tell(&state.db, did)
}

/// Of a way in for bulk loading an alert tells, once somebody of the tenant ever signed in.
pub(crate) fn tell_of_import(
    tenant: &OpenTenant,
    state: &WriterState,
    new: &NewClient,
    by: &Actor,
) -> Result<()> {
    let Some(times) = new.import.filter(|_| tenant.people().is_anybody_there()) else {
        return Ok(());
    };
    let (id, until) = (new.id.as_str(), times.until.instant());
    let did = Did {
        rule: AlertRule::OperatorClient,
        by: by.as_str(),
        at: times.opened,
        event: id,
        seen: format!("bulk loading until {until}: {}", new.name),
        program: Some(format!("client:{id}")),
    };
    operators::tell(&state.db, did)
}

/// Keeps a client that an operator made beyond its end, as one that the tenant's own people want.
///
/// # Errors
/// `client-unknown` for one that is no right any more, or that no operator made.
pub(crate) fn keep(
    tenant: &OpenTenant,
    state: &WriterState,
    id: &ClientId,
    (by, now): (&str, Micros),
) -> Result<ClientRecord> {
    let known = tenant.clients().get(id);
    let known = known.filter(|known| known.is_good(now) || known.waits());
    let known = known.filter(|known| known.made.is_some());
    let mut record = known.ok_or_else(|| {
        let text = "no client that an operator made has this id, or it ended".to_owned();
        StoreError::Refused(Code::ClientUnknown, text)
    })?;
    if let Some(made) = &mut record.made {
        (made.until, made.kept_by) = (None, Some(by.into()));
    }
    put(&state.db, &record)?;
    Ok(record)
}

/// Puts what was approved in the place of a client that is good: what was given to it before ends. What the
/// house says of it and not the program (its vendor, its roles, the authority of its name) stays where
/// nothing else is said: nobody asks to be bound by less.
///
/// # Errors
/// `client-unknown` if there is none.
pub(crate) fn replace(
    tenant: &OpenTenant,
    state: &WriterState,
    mut new: NewClient,
    secret_hash: Option<[u8; 32]>,
    now: Micros,
) -> Result<ClientRecord> {
    let known = tenant.clients().get(&new.id);
    let known = known.filter(|known| known.is_good(now) && known.import.is_none());
    let known = known.ok_or_else(|| {
        StoreError::Refused(Code::ClientUnknown, "no such client here".to_owned())
    })?;
    // Once and for good: whoever's switch is off is not got round under another name.
    new.vendor = known.vendor.or(new.vendor);
    new.roles = new.roles.or(known.roles);
    let named = matches!(&new.certificates.by, Some(by) if *by != ByCertificate::SelfSigned);
    if named {
        let before = known.certificates.authority;
        new.certificates.authority = new.certificates.authority.or(before);
    }
    must_know_vendor(tenant, &new)?;
    tell_of_operator(tenant, state, &mut new)?;
    let mut record = record(new, secret_hash, known.epoch + 1);
    if let (Some(program), Some(before)) = (&mut record.program, &known.program) {
        program.launch_url.clone_from(&before.launch_url);
    }
    put(&state.db, &record)?;
    Ok(record)
}

fn must_know_vendor(tenant: &OpenTenant, new: &NewClient) -> Result<()> {
    let unknown = |v| tenant.vendors().grant(v).is_none();
    match new.vendor.as_ref().is_some_and(unknown) {
        true => Err(StoreError::Refused(
            Code::VendorUnknown,
            "no such vendor here".to_owned(),
        )),
        false => Ok(()),
    }
}

fn record(new: NewClient, secret_hash: Option<[u8; 32]>, epoch: u64) -> ClientRecord {
    ClientRecord {
        id: new.id,
        name: new.name,
        scopes: Arc::new(new.scopes),
        secret_hash: secret_hash.unwrap_or([0; 32]),
        jwks: new.jwks,
        epoch,
        revoked: false,
        import: new.import,
        program: new.program,
        roles: new.roles,
        vendor: new.vendor,
        certificates: new.certificates,
        about: new.about,
        made: new.made,
    }
}

fn put(db: &Connection, record: &ClientRecord) -> Result<()> {
    const DOING: &str = "writing an API client";
    let epoch = i64::try_from(record.epoch).unwrap_or(i64::MAX);
    db.execute(
            "INSERT OR REPLACE INTO client
             (id, name, scopes, secret_hash, jwks, epoch, revoked, opened_us, until_us, roles, vendor,
              certificates, made)
             VALUES (?1,?2,?3,?4,?5,?11,0,?6,?7,?8,?9,?10,?12)",
            params![
                record.id.as_str(),
                record.name,
                record.scopes.as_str(),
                record.secret_hash,
                record.jwks.as_ref().map(ClientKeys::as_str),
                record.import.map(|i| i.opened.0),
                record.import.map(|i| i.until.0),
                kept_roles(record.roles.as_deref()),
                record.vendor.as_ref().map(VendorId::as_str),
                kept_certificates(&record.certificates)?,
                epoch,
                record.made.as_ref().map(kept_made).transpose()?,
            ],
        )
        .doing(DOING)?;
    db.execute(
        "DELETE FROM program WHERE client = ?1",
        [record.id.as_str()],
    )
    .doing(DOING)?;
    let program = record.program.as_ref();
    if program.is_some() || record.about != ClientAbout::default() {
        let texts = |all: &[Box<str>]| all.iter().map(ToString::to_string).collect();
        let kept = KeptProgram {
            redirects: program.map(|p| texts(&p.redirects)).unwrap_or_default(),
            public: program.is_some_and(|p| p.public),
            launch_url: program.and_then(|p| p.launch_url.as_deref().map(str::to_owned)),
            signed_out: program.map(|p| texts(&p.signed_out)).unwrap_or_default(),
            about: record.about.clone(),
        };
        let text = serde_json::to_string(&kept).map_err(|_| internal("writing a program"))?;
        db.execute(
            "INSERT OR REPLACE INTO program (client, record) VALUES (?1,?2)",
            params![record.id.as_str(), text],
        )
        .doing(DOING)?;
    }
    Ok(())
}

fn kept_roles(roles: Option<&[RoleAt]>) -> Option<String> {
    let texts: Vec<String> = roles?.iter().map(ToString::to_string).collect();
    Some(texts.join(" "))
}

/// How a client takes part in sign-ins of people, and what it says about itself, as they are kept. One that
/// has nowhere to send people back to takes no part.
#[derive(Serialize, Deserialize)]
struct KeptProgram {
    redirects: Vec<String>,
    public: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    launch_url: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    signed_out: Vec<String>,
    #[serde(flatten)]
    about: ClientAbout,
}

/// What is kept of a client beside its own line.
#[derive(Default)]
struct Beside {
    program: Option<Program>,
    about: ClientAbout,
}

fn programs(db: &Connection) -> Result<HashMap<String, Beside>> {
    const DOING: &str = "reading programs";
    let mut read = db
        .prepare("SELECT client, record FROM program")
        .doing(DOING)?;
    let mut rows = read.query([]).doing(DOING)?;
    let mut all = HashMap::new();
    while let Some(row) = rows.next().doing(DOING)? {
        let text: String = row.get(1).doing(DOING)?;
        let kept: KeptProgram =
            serde_json::from_str(&text).map_err(|_| damaged("a stored program"))?;
        let program = (!kept.redirects.is_empty()).then(|| Program {
            redirects: kept.redirects.into_iter().map(Into::into).collect(),
            public: kept.public,
            launch_url: kept.launch_url.map(Into::into),
            signed_out: kept.signed_out.into_iter().map(Into::into).collect(),
        });
        let about = kept.about;
        all.insert(row.get(0).doing(DOING)?, Beside { program, about });
    }
    Ok(all)
}

fn must_have_room(db: &Connection, limits: &Limits) -> Result<()> {
    let count: i64 = db
        .query_row("SELECT count(*) FROM client", [], |r| r.get(0))
        .doing("counting API clients")?;
    if u64::try_from(count).unwrap_or(0) < limits.clients_max {
        return Ok(());
    }
    Err(StoreError::Limit {
        code: Code::LimitQuery,
        limit: "clients_max",
        max: limits.clients_max,
    })
}

/// Revokes a client or a way in for bulk loading; its epoch grows, so that its tokens end too.
pub(crate) fn revoke(
    tenant: &OpenTenant,
    state: &WriterState,
    id: &ClientId,
) -> Result<ClientRecord> {
    let known = tenant.clients().get(id);
    let mut record = known
        .ok_or_else(|| StoreError::Refused(Code::ClientUnknown, "no such API client".to_owned()))?;
    if record.revoked {
        return Ok(record);
    }
    record.epoch += 1;
    record.revoked = true;
    state
        .db
        .execute(
            "UPDATE client SET epoch = ?2, revoked = 1 WHERE id = ?1",
            params![id.as_str(), i64::try_from(record.epoch).unwrap_or(i64::MAX)],
        )
        .doing("revoking an API client")?;
    Ok(record)
}
