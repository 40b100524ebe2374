//! One tenant that is open: its keys, its connections, and what is remembered of it.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};

use access::{PeopleKey, Policy, SecretKey, TenantId, TokenKey};
use base::{Code, Limits, Micros, Secret, Seq};
use fhir::definitions::Model;
use fhir::search::Customs;
use parking_lot::{Mutex, RwLock};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension};

use super::administration::Chain;
use super::break_glass::Openings;
use super::cases::KnownCases;
use super::clients::Clients;
use super::connection::{self, Reader};
use super::consents::KnownConsents;
use super::fault::{Doing, damaged, internal};
use super::index::Vocabulary;
use super::keyring::TenantKeys;
use super::people::People;
use super::quarantine::Quarantine;
use super::reach::Reaches;
use super::shared::Shared;
use super::trail::Spans;
use super::vendors::Vendors;
use super::writer::WriterState;
use super::{administration, migrate, params, policies, rows, schema};
use crate::audit::ChangeHead;
use crate::journal::{Head, Pen};
use crate::{Result, StoreError};

/// One tenant that is open.
pub(crate) struct OpenTenant {
    pub(crate) id: TenantId,
    pub(crate) model: &'static Model,
    pub(crate) keys: TenantKeys,
    pub(crate) shared: Arc<Shared>,
    pub(crate) vocabulary: Vocabulary,
    /// Its pen in the journal of reads.
    pub(crate) pen: Pen,
    path: PathBuf,
    readers: Mutex<Vec<Reader>>,
    /// Held by the one who writes.
    pub(crate) writer: Mutex<Option<WriterState>>,
    /// Pages in the write-ahead log that are not in the database yet, as the last commit saw it.
    pub(crate) log_pages: Arc<AtomicU64>,
    /// Commits of its writer; counted before any of them is answered.
    pub(crate) commits: Arc<AtomicU64>,
    /// When it was last used, by the monotonic clock.
    pub(crate) used_us: AtomicI64,
    /// Where the change sequence stood when, for sweeping the index.
    pub(crate) sweep_marks: Mutex<VecDeque<(Micros, Seq)>>,
    /// Reads that still go to reader threads before one is tried where it was asked for.
    brisk_after: AtomicU32,
    /// Up to which change the cache of current versions knows of every change.
    pub(crate) marked: AtomicU64,
    /// Up to which change the index is swept.
    pub(crate) swept: AtomicU64,
    /// Patients who are open.
    pub(crate) openings: Openings,
    /// What patients consented to.
    pub(crate) consents: KnownConsents,
    /// In which code systems case does not count.
    pub(crate) cases: KnownCases,
    /// Resources that are kept apart.
    pub(crate) quarantine: Quarantine,
    /// Which rows rules of policy reach, as far as it is remembered.
    pub(crate) reaches: Reaches,
    actors: RwLock<HashMap<i64, Arc<str>>>,
    clients: Clients,
    people: People,
    people_key: Arc<PeopleKey>,
    /// Its own search parameters, as they are committed.
    customs: RwLock<Arc<Customs>>,
    /// Its policy in force.
    policy: RwLock<Arc<Policy>>,
    /// Grants to vendors and program links, as they are committed.
    vendors: Vendors,
    /// From when to when its records in full segments of the journal are.
    pub(crate) trail_spans: Spans,
    /// Held by those who read in the index of its trail, and by the one who takes that away.
    pub(crate) trail_index: RwLock<()>,
    /// There may be an index to build.
    building: AtomicBool,
    token_key: Arc<TokenKey>,
    secret_key: Arc<SecretKey>,
}

/// Connections for reading kept per tenant.
const READERS_KEPT_MAX: usize = 8;
/// Reads in a row that must have been short before one is tried on its caller's thread.
const SHORT_READS: u32 = 16;
/// A read that took longer was not short.
const SHORT_US: i64 = 400;
/// Names of actors remembered per open tenant.
const ACTORS_MAX: usize = 4_096;

impl OpenTenant {
    /// Whose rows are sealed, and with what.
    pub(crate) fn chain(&self) -> Chain<'_> {
        Chain {
            tenant: self.id.bytes(),
            key: &self.keys.seal,
        }
    }

    /// Opens a tenant: checks that file, key and directory agree, and brings an old schema up to
    /// date. `administered` is where the house knows that something was last administered.
    pub(crate) fn open(
        id: &TenantId,
        keys: TenantKeys,
        path: &Path,
        shared: &Arc<Shared>,
        administered: Option<ChangeHead>,
    ) -> Result<Self> {
        if !path.exists() {
            return Err(damaged("the tenant's database is not there"));
        }
        let reader = open_reader(path, &keys, shared)?;
        let schema = schema::check(&reader.db, id)?;
        if schema < schema::VERSION || !migrate::index_is_current(&reader.db)? {
            drop(reader);
            let keys = migrate::run(id, keys, path, shared)?;
            let reader = open_reader(path, &keys, shared)?;
            return Self::checked(id, keys, path, shared, reader, administered);
        }
        Self::checked(id, keys, path, shared, reader, administered)
    }

    fn checked(
        id: &TenantId,
        keys: TenantKeys,
        path: &Path,
        shared: &Arc<Shared>,
        reader: Reader,
        administered: Option<ChangeHead>,
    ) -> Result<Self> {
        let whole = match administered {
            Some(place) => administration::passes(&reader.db, place)?,
            None => true,
        };
        let trusted = whole && administration::holds(&reader.db)?;
        if !trusted {
            tracing::error!(
                tenant = %id.name(),
                code = Code::AuditAltered.as_str(),
                "what is administered (policy, people, API clients) is not what was last administered; nobody is let in until somebody decides"
            );
        }
        let last = last_place_in_journal(&reader.db)?;
        if last.is_some_and(|place| place.number > shared.journal.head(id.bytes()).number) {
            tracing::error!(
                tenant = %id.name(),
                code = Code::AuditAltered.as_str(),
                "the journal ends before records that the tenant's changes know of"
            );
        }
        Self::put_together(id, keys, path, shared, reader, trusted)
    }

    /// A tenant that is worked on and not yet, or not any more, the house's own.
    pub(crate) fn assemble(
        id: &TenantId,
        keys: TenantKeys,
        path: &Path,
        shared: &Arc<Shared>,
        reader: Reader,
    ) -> Result<Self> {
        let trusted = administration::holds(&reader.db)?;
        Self::put_together(id, keys, path, shared, reader, trusted)
    }

    fn put_together(
        id: &TenantId,
        keys: TenantKeys,
        path: &Path,
        shared: &Arc<Shared>,
        reader: Reader,
        trusted: bool,
    ) -> Result<Self> {
        let vocabulary =
            Vocabulary::open(id.fhir(), &reader.db).doing("reading a tenant's systems")?;
        let kept: Option<[u8; 32]> = schema::meta(&reader.db, "client_secret")?;
        let secret = kept.map_or_else(|| Secret::new(*keys.client_secret.expose()), Secret::new);
        let token_key = TokenKey::new(id.clone(), &keys.token)
            .ok_or_else(|| internal("deriving a tenant's token key"))?;
        let model = Model::of(id.fhir());
        let clients = Clients::load(&reader.db, model, trusted)?;
        let people_key = Arc::new(PeopleKey::new(id.clone(), &keys.people));
        let chain = Chain {
            tenant: id.bytes(),
            key: &keys.seal,
        };
        let people = People::load(&reader.db, model, chain, (trusted, shared.clock.now()))?;
        let customs = params::load(&reader.db, model)?;
        let building = params::has_work(&reader.db)? || params::build::again(&reader.db)?.is_some();
        let marked = rows::last_seq(&reader.db)?.0;
        let policy = match trusted {
            true => policies::load(&reader.db, model)?,
            false => Policy::none(),
        };
        let vendors = Vendors::load(&reader.db, model, trusted)?;
        let cases = KnownCases::load(&reader.db, model)?;
        let quarantine = Quarantine::load(&reader.db, chain)?;
        // Where one may be as it was before it was ended, none opens anybody.
        let hold = trusted && administration::openings_hold(&reader.db)?;
        let openings = Openings::load(&reader.db, hold, chain, shared.clock.now())?;
        Ok(Self {
            id: id.clone(),
            model,
            pen: shared
                .journal
                .pen(*id.bytes(), &keys.journal, &*shared.rng)?,
            secret_key: Arc::new(SecretKey::new(&secret)),
            token_key: Arc::new(token_key),
            keys,
            shared: shared.clone(),
            vocabulary,
            path: path.to_owned(),
            readers: Mutex::new(vec![reader]),
            writer: Mutex::new(None),
            log_pages: Arc::new(AtomicU64::new(0)),
            commits: Arc::new(AtomicU64::new(0)),
            used_us: AtomicI64::new(shared.clock.monotonic().0),
            sweep_marks: Mutex::default(),
            brisk_after: AtomicU32::new(SHORT_READS),
            marked: AtomicU64::new(marked),
            swept: AtomicU64::new(0),
            openings,
            consents: KnownConsents::default(),
            cases,
            quarantine,
            reaches: Reaches::new(marked, shared.config.limits.reach_bytes_max),
            actors: RwLock::default(),
            clients,
            people,
            people_key,
            customs: RwLock::new(customs),
            policy: RwLock::new(Arc::new(policy)),
            vendors,
            trail_spans: Spans::default(),
            trail_index: RwLock::default(),
            building: AtomicBool::new(building),
        })
    }

    /// The database file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Notes that it is in use.
    pub(crate) fn touch(&self) {
        self.used_us
            .store(self.shared.clock.monotonic().0, Ordering::Relaxed);
    }

    /// Tells the journal, and the house, how far the chain of changes is. The changes are committed whatever
    /// happens here; a journal without room shows in the next read, which is refused.
    pub(crate) fn tell_head(&self, head: ChangeHead) {
        let _ = self.shared.journal.append(&self.pen, &head.encode());
        let mut changed = self.shared.changed.lock();
        let known = changed.entry(*self.id.bytes()).or_insert(head);
        if known.seq < head.seq {
            *known = head;
        }
    }

    /// A connection for reading that nobody else uses, with all bounds lifted.
    pub(crate) fn reader(&self) -> Result<Reader> {
        let kept = self.readers.lock().pop();
        let reader = match kept {
            Some(mut r) => {
                r.let_go()?;
                r
            }
            None => open_reader(&self.path, &self.keys, &self.shared)?,
        };
        reader.budget.lift();
        Ok(reader)
    }

    /// Ends the snapshots that connections keep which nobody uses now: they hold up the log.
    pub(crate) fn let_go_snapshots(&self) {
        self.readers.lock().retain_mut(|r| r.let_go().is_ok());
    }

    /// A connection for reading that is open already, if there is one. It may keep a snapshot.
    pub(crate) fn idle_reader(&self) -> Option<Reader> {
        self.readers.lock().pop()
    }

    /// Whether its reads have been short of late.
    pub(crate) fn is_brisk(&self) -> bool {
        self.brisk_after.load(Ordering::Relaxed) == 0
    }

    /// Notes how long a read took.
    pub(crate) fn was_read(&self, took_us: i64) {
        if took_us > SHORT_US {
            self.brisk_after.store(SHORT_READS, Ordering::Relaxed);
        } else {
            let less = |n: u32| Some(n.saturating_sub(1));
            let _ = self
                .brisk_after
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }

    /// Gives a connection back. One that is inside a transaction is dropped instead.
    pub(crate) fn give_back(&self, reader: Reader) {
        let mut kept = self.readers.lock();
        if kept.len() < READERS_KEPT_MAX && reader.is_fit() {
            kept.push(reader);
        }
    }

    /// Gives back the memory of connections that nobody uses now, and of what is remembered.
    pub(crate) fn shrink(&self) {
        self.reaches.forget();
        self.let_go_snapshots();
        for reader in self.readers.lock().iter() {
            let _ = reader.db.release_memory();
        }
        if let Some(mut writer) = self.writer.try_lock()
            && let Some(state) = &mut *writer
        {
            let _ = state.db.release_memory();
        }
    }

    /// Lets the connections close without moving the log into the database first; the next one who
    /// opens the tenant finds it in the log.
    pub(crate) fn close_quickly(&self) {
        let quickly = |db: &Connection| {
            let _ = db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        };
        self.readers.lock().iter().for_each(|r| quickly(&r.db));
        if let Some(state) = &*self.writer.lock() {
            quickly(&state.db);
        }
    }

    /// The name behind an actor's number.
    pub(crate) fn actor(&self, db: &Connection, number: i64) -> Result<Arc<str>> {
        if let Some(name) = self.actors.read().get(&number) {
            return Ok(name.clone());
        }
        let name: String = db
            .prepare_cached("SELECT text FROM actor WHERE id = ?1")
            .and_then(|mut s| s.query_row([number], |r| r.get(0)))
            .map_err(|_| damaged("a stored version names an unknown actor"))?;
        let name: Arc<str> = name.into();
        let mut actors = self.actors.write();
        if actors.len() >= ACTORS_MAX {
            actors.clear();
        }
        actors.insert(number, name.clone());
        Ok(name)
    }

    /// Names of actors are read from the database again.
    pub(crate) fn forget_actors(&self) {
        self.actors.write().clear();
    }

    /// Its own search parameters, as they are committed.
    pub(crate) fn customs(&self) -> Arc<Customs> {
        self.customs.read().clone()
    }

    /// Learns which policy was committed.
    pub(crate) fn learn_policy(&self, db: &Connection) -> Result<()> {
        let policy = policies::load(db, self.model)?;
        let mut known = self.policy.write();
        // The same stays the same: what was made of it stays good.
        if known.version() != policy.version() {
            *known = Arc::new(policy);
        }
        Ok(())
    }

    /// Learns what was administered, as it is committed. What cannot be read is not what it was before either:
    /// nobody stays let in by it, until it is read again with the next change or when the tenant is opened.
    pub(crate) fn learn_administered(&self, db: &Connection, openings_hold: bool, now: Micros) {
        let chain = self.chain();
        let failed = |what: &str, e: &StoreError| {
            tracing::error!(tenant = %self.id.name(), error = %e, "{what} cannot be read after a change; nobody is let in by them");
        };
        match self.clients.learn(db, self.model) {
            Ok(()) => self.clients.believe(),
            Err(e) => {
                failed("API clients", &e);
                self.clients.forget();
            }
        }
        if let Err(e) = self.learn_policy(db) {
            failed("the policy", &e);
            // Without rights there is nothing that another policy takes away.
            self.clients.forget();
            self.people.let_nobody_in();
            return;
        }
        if let Err(e) = self.vendors.learn(db, self.model) {
            failed("vendor grants", &e);
            self.clients.forget();
        }
        if let Err(e) = self.people.learn(db, self.model, chain) {
            failed("people", &e);
            self.people.let_nobody_in();
        }
        if let Err(e) = self.openings.learn_all(db, openings_hold, chain, now) {
            failed("openings", &e);
            self.openings.forget();
        }
    }

    /// Its policy in force.
    pub(crate) fn policy(&self) -> Arc<Policy> {
        self.policy.read().clone()
    }

    /// Takes in parameters that are committed.
    pub(crate) fn set_customs(&self, customs: &Arc<Customs>) {
        *self.customs.write() = customs.clone();
        self.reaches.forget();
    }

    /// There is an index to build.
    pub(crate) fn wants_building(&self) {
        self.building.store(true, Ordering::Release);
    }

    /// Whether there may be an index to build.
    pub(crate) fn is_building(&self) -> bool {
        self.building.load(Ordering::Acquire)
    }

    /// The same; forgets it.
    pub(crate) fn take_building(&self) -> bool {
        self.building.swap(false, Ordering::AcqRel)
    }

    /// API clients as they are committed.
    pub(crate) const fn clients(&self) -> &Clients {
        &self.clients
    }

    /// Grants to vendors and program links as they are committed.
    pub(crate) const fn vendors(&self) -> &Vendors {
        &self.vendors
    }

    /// People, their sessions and approvals as they are committed.
    pub(crate) const fn people(&self) -> &People {
        &self.people
    }

    pub(crate) fn people_key(&self) -> Arc<PeopleKey> {
        self.people_key.clone()
    }

    pub(crate) fn token_key(&self) -> Arc<TokenKey> {
        self.token_key.clone()
    }

    pub(crate) fn secret_key(&self) -> Arc<SecretKey> {
        self.secret_key.clone()
    }
}

pub(crate) fn open_reader(path: &Path, keys: &TenantKeys, shared: &Arc<Shared>) -> Result<Reader> {
    connection::reader(
        path,
        &keys.database,
        shared.clock.clone(),
        cache_kib(&shared.config.limits),
    )
}

/// Page cache of a connection that writes, in KiB. An import touches pages of every index.
pub(crate) const fn writer_cache_kib(limits: &Limits) -> u64 {
    limits.page_cache_bytes_max / 1024 / 2
}

/// Page cache of a connection that reads, in KiB. All caches together are bounded by the engine's
/// soft limit.
pub(crate) const fn cache_kib(limits: &Limits) -> u64 {
    limits.page_cache_bytes_max / 1024 / 8
}

/// How many of the last changes are looked at for what they say about the journal.
const CHANGES_LOOKED_AT: u32 = 64;

/// The last place in the journal that a recent change tells of.
fn last_place_in_journal(db: &Connection) -> Result<Option<Head>> {
    db.query_row(
        "SELECT journal FROM (SELECT journal, seq FROM change ORDER BY seq DESC LIMIT ?1)
         WHERE journal IS NOT NULL ORDER BY seq DESC LIMIT 1",
        [CHANGES_LOOKED_AT],
        |r| r.get::<_, Vec<u8>>(0),
    )
    .optional()
    .doing("reading where the journal stood")
    .map(|found| found.and_then(|bytes| Head::from_bytes(&bytes)))
}
