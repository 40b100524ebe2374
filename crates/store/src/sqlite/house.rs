//! The whole house: which tenants there are, which are open, and the threads that work for them.

mod accounts;
pub(crate) mod administering;
mod anchoring;
mod building;
pub(crate) mod change;
mod keeping;
pub(crate) mod notary;
mod noting;
pub(crate) mod providers;
mod retaining;
mod rotation;
mod scrubbing;
pub(crate) mod shipping;
mod shredding;
mod trail_index;
mod uploads;
mod watching;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use access::{Directory, Record, TenantId};
use base::{Clock, Code, Micros, Rng, Secret, Seq, TenantName};
use parking_lot::{Condvar, Mutex, RwLock};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::cache::{BodyCache, Ticket};
use super::codec::Codec;
use super::control::{Control, Digest, Line};
use super::fault::{Doing, damaged, internal};
use super::folder::{self, Folder};
use super::keyring::{HouseKeys, Keyring, Owner, TenantKeys};
use super::mailboxes::{Item, Mailboxes, Pace, Taken};
use super::operators::Operators;
use super::process;
use super::reach;
use super::readers::{Class, Readers, stopping};
use super::reserve::Reserve;
use super::seal::sha256;
use super::shared::Shared;
use super::template::Template;
use super::tenant::OpenTenant;
use super::writer;
use crate::audit::ChangeHead;
use crate::journal::Journal;
use crate::{Result, State, StoreConfig, StoreError, StoreMetrics, TenantInfo};
use accounts::Note;

/// A tenant of the house, open or not.
pub(crate) struct Entry {
    pub(crate) tenant: TenantId,
    pub(crate) info: RwLock<TenantInfo>,
    pub(crate) record: Mutex<Record>,
    /// Where in its chain of changes something was last administered.
    pub(crate) administered: Mutex<Option<ChangeHead>>,
    /// Digests of the accounts at identity providers by which people are known there, in order; none where
    /// nobody looked yet.
    accounts: Mutex<Option<Vec<Digest>>>,
    /// One reading of its trail at a time.
    pub(crate) reading_trail: tokio::sync::Semaphore,
    open: RwLock<Option<Arc<OpenTenant>>>,
    /// Held while it is opened or closed, so that both happen once.
    opening: Mutex<()>,
}

impl Entry {
    fn new(tenant: TenantId, line: Line) -> Arc<Self> {
        let Line {
            record,
            info,
            administered,
            has_places: _,
        } = line;
        Arc::new(Self {
            tenant,
            info: RwLock::new(info),
            record: Mutex::new(record),
            administered: Mutex::new(administered),
            accounts: Mutex::default(),
            reading_trail: tokio::sync::Semaphore::new(1),
            open: RwLock::new(None),
            opening: Mutex::new(()),
        })
    }

    /// The tenant, if it is open now.
    pub(crate) fn if_open(&self) -> Option<Arc<OpenTenant>> {
        self.open.read().clone()
    }

    /// Refuses tenants that do not serve.
    pub(crate) fn must_serve(&self) -> Result<()> {
        let (code, text) = match self.info.read().state {
            State::Active => return Ok(()),
            State::Suspended => (Code::TenantSuspended, "the tenant is suspended"),
            State::Leaving => (Code::TenantLeaving, "the tenant is being deleted"),
            State::Gone => (Code::TenantUnknown, "no such tenant"),
        };
        Err(StoreError::Refused(code, text.to_owned()))
    }

    /// Refuses tenants whose key is destroyed or about to be.
    pub(crate) fn must_stay(&self) -> Result<()> {
        match self.info.read().state {
            State::Active | State::Suspended => Ok(()),
            State::Leaving | State::Gone => self.must_serve(),
        }
    }
}

/// The whole house.
pub(crate) struct House {
    pub(crate) folder: Folder,
    pub(crate) shared: Arc<Shared>,
    pub(crate) directory: Directory,
    pub(crate) operators: Operators,
    pub(crate) keys: HouseKeys,
    pub(crate) keyring: RwLock<Keyring>,
    pub(crate) house_secret: Secret<[u8; 32]>,
    pub(crate) control: Mutex<Control>,
    pub(crate) template: Template,
    /// Held while the key-encryption key is rotated, and while a tenant is made.
    pub(crate) rotating: RwLock<()>,
    entries: RwLock<HashMap<[u8; 16], Arc<Entry>>>,
    /// Tenants that are open.
    opened: Mutex<Vec<Arc<Entry>>>,
    open_max: usize,
    readers: Readers,
    pub(crate) mailboxes: Mailboxes,
    threads: Mutex<Vec<JoinHandle<()>>>,
    tidy: Mutex<Tidy>,
    tidy_wake: Condvar,
    builder: Mutex<Tidy>,
    builder_wake: Condvar,
    scrubber: Mutex<Tidy>,
    scrubber_wake: Condvar,
    pub(crate) scrubs: Mutex<scrubbing::Scrubs>,
    /// Work on whole tenants that runs beside the rest: backups, checks, administration.
    aside: Arc<tokio::sync::Semaphore>,
    /// Readings of trails that run beside the rest.
    trails: Arc<tokio::sync::Semaphore>,
    /// How many of those jobs run.
    running: Mutex<usize>,
    ended: Condvar,
    anchors: Mutex<anchoring::Anchors>,
    notary: Mutex<notary::Notary>,
    shippers: Mutex<shipping::Shippers>,
    watch: Mutex<watching::Watch>,
    indexing: Mutex<trail_index::Indexing>,
    /// Tenants with alerts that nobody may have been told of.
    untold: Mutex<HashSet<[u8; 16]>>,
}

/// A job beside the rest, from its start to its end.
struct Running(Arc<House>);

impl Running {
    fn begin(house: &Arc<House>) -> Self {
        *house.running.lock() += 1;
        Self(house.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        *self.0.running.lock() -= 1;
        self.0.ended.notify_all();
    }
}

#[derive(Default)]
struct Tidy {
    stop: bool,
    hurry: bool,
}

type Body = Box<dyn FnOnce(&Arc<House>) + Send>;

/// Whole-tenant jobs that run at once.
const ASIDE_MAX: usize = 8;
/// Readings of trails that run at once.
const TRAILS_MAX: usize = 4;
/// Microseconds that a read on its caller's own thread may take.
const BRISK_US: i64 = 1_000;
/// Thousands of engine steps that it may take.
const BRISK_KILOSTEPS: u64 = 4;
/// How long a stop waits for jobs on whole tenants.
const ASIDE_PATIENCE: Duration = Duration::from_secs(5);
/// For so long, closing tenants is also tidied.
const CLOSING_US: i64 = 3_000_000;
/// Tenants open at once where nothing else is configured and files suffice: a few hundred KiB each.
const OPEN_DEFAULT: u64 = 1_000;
/// Files kept for everything but tenants.
const FILES_KEPT: u64 = 1_024;
/// Files an open tenant holds: two for each connection, with one that writes and two that read, and some to
/// spare for what is read at the same time.
const FILES_PER_TENANT: u64 = 10;

impl House {
    /// Opens a data folder and starts the threads.
    pub(crate) fn open(
        mut config: StoreConfig,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Result<Arc<Self>> {
        let files = process::raise_open_files();
        let pages = &mut config.limits.page_cache_bytes_max;
        *pages = process::page_cache_bytes(*pages);
        let folder = Folder::hold(&config.dir)?;
        let reserve = Reserve::begin(&config.dir);
        let keyring = Keyring::open(&folder.key_file(), folder.has_keys()?, &*rng)?;
        must_have_directory(&folder)?;
        let house_secret = house_secret(&folder, &keyring, &*rng)?;
        let keys = HouseKeys::derive(&house_secret);
        let operators = Operators::open(&folder, &*rng)?;
        folder.look_at_modes();
        folder::private(&folder.control())?;
        let control = Control::open(&folder.control(), &keys.control)?;
        control.bound_memory(config.limits.page_cache_bytes_max)?;
        let metrics: Arc<StoreMetrics> = Arc::default();
        let journal = Journal::open(
            &folder.journal(),
            config.limits.journal_segment_bytes,
            config.audit,
        )?;
        let limits = config.limits.clone();
        let (reader_threads, writer_threads) = threads(&config);
        let house = Arc::new(Self {
            directory: Directory::new(&keys.directory),
            operators,
            keys,
            keyring: RwLock::new(keyring),
            house_secret,
            control: Mutex::new(control),
            template: Template::default(),
            rotating: RwLock::default(),
            entries: RwLock::default(),
            opened: Mutex::default(),
            open_max: open_max(&limits, files),
            readers: Readers::new(
                reader_threads,
                limits.reader_queue_max,
                clock.clone(),
                metrics.clone(),
            ),
            mailboxes: Mailboxes::new(&limits, metrics.clone()),
            threads: Mutex::default(),
            tidy: Mutex::default(),
            tidy_wake: Condvar::new(),
            builder: Mutex::default(),
            builder_wake: Condvar::new(),
            scrubber: Mutex::default(),
            scrubber_wake: Condvar::new(),
            scrubs: Mutex::default(),
            aside: Arc::new(tokio::sync::Semaphore::new(ASIDE_MAX)),
            trails: Arc::new(tokio::sync::Semaphore::new(TRAILS_MAX)),
            running: Mutex::new(0),
            ended: Condvar::new(),
            anchors: Mutex::default(),
            notary: Mutex::default(),
            shippers: Mutex::default(),
            watch: Mutex::default(),
            indexing: Mutex::default(),
            untold: Mutex::default(),
            shared: Arc::new(Shared {
                cache: BodyCache::new(limits.body_cache_bytes_max, u64::from_be_bytes(rng.bytes())),
                codec: Codec::default(),
                run: i64::from_be_bytes(rng.bytes()) | 1,
                config,
                clock,
                rng,
                metrics,
                journal,
                reserve,
                changed: Mutex::default(),
            }),
            folder,
        });
        house.tell_journal_of_operators()?;
        house.load()?;
        house.compare_anchors()?;
        house.finish_shredding();
        house.resume_rotation()?;
        house.begin_watch()?;
        house.start(Readers::threads(reader_threads), writer_threads)?;
        Ok(house)
    }

    /// Admits the tenants of the control database.
    fn load(&self) -> Result<()> {
        let (lines, bad) = self.control.lock().load()?;
        if let Some(line) = self.control.lock().audit_broken_at(None)? {
            tracing::error!(
                line,
                code = Code::AuditAltered.as_str(),
                "the operators' audit in control.db was altered"
            );
        }
        let mut accounts = self.control.lock().accounts()?;
        for name in bad {
            tracing::error!(
                tenant = name,
                "a line of the control database is not the house's"
            );
        }
        let known: Vec<[u8; 16]> = lines.iter().map(|l| l.record.id).collect();
        self.settle_new(&known)?;
        for id in self.folder.tenants_with_keys()? {
            if !known.contains(&id) {
                tracing::error!(
                    folder = %self.folder.tenant(&id).display(),
                    code = Code::AuditAltered.as_str(),
                    "a tenant's key and folder have no line in control.db; it is not served"
                );
            }
        }
        for line in lines {
            let name = line.record.name.clone();
            let known = accounts.remove(&line.record.id);
            match self.admit(line) {
                Ok(entry) => *entry.accounts.lock() = known,
                Err(_) => tracing::error!(tenant = %name, "a directory record is not the house's"),
            }
        }
        Ok(())
    }

    /// The house itself, in lines about its own doing.
    fn system(&self) -> change::By {
        let id = base::RequestId(u128::from_be_bytes(self.shared.rng.bytes()));
        let request = access::RequestMeta::new(id, self.shared.clock.now());
        (access::Actor::system(access::Reason::Operation), request)
    }

    /// Makes a tenant known.
    pub(crate) fn admit(&self, line: Line) -> Result<Arc<Entry>> {
        self.directory
            .admit(&line.record)
            .map_err(|_| damaged("the directory record was not written by this house"))?;
        let tenant = self
            .directory
            .resolve(&line.record.name)
            .ok_or_else(|| internal("a tenant was admitted and is not there"))?;
        let id = line.record.id;
        let entry = Entry::new(tenant, line);
        self.entries.write().insert(id, entry.clone());
        Ok(entry)
    }

    /// Forgets a tenant whose key is destroyed.
    fn forget(&self, entry: &Arc<Entry>) {
        self.directory.forget(&entry.tenant);
        self.entries.write().remove(entry.tenant.bytes());
    }

    /// The tenant behind an id.
    pub(crate) fn entry(&self, tenant: &TenantId) -> Option<Arc<Entry>> {
        self.entries.read().get(tenant.bytes()).cloned()
    }

    /// The tenant behind a name.
    pub(crate) fn entry_named(&self, name: &TenantName) -> Result<Arc<Entry>> {
        self.directory
            .resolve(name)
            .and_then(|t| self.entry(&t))
            .ok_or_else(|| StoreError::Refused(Code::TenantUnknown, "no such tenant".to_owned()))
    }

    /// All tenants, in no order.
    pub(crate) fn entries(&self) -> Vec<Arc<Entry>> {
        self.entries.read().values().cloned().collect()
    }

    /// A tenant's keys, unwrapped; refused if its key file is not the one the directory vouches
    /// for.
    pub(crate) fn unwrap_keys(&self, entry: &Entry) -> Result<TenantKeys> {
        let record = entry.record.lock();
        let path = self.folder.wrapped_key(entry.tenant.bytes());
        let wrapped =
            std::fs::read(path).map_err(|_| damaged("the tenant's key file is not there"))?;
        if sha256(&wrapped) != record.wrapped_key_digest {
            return Err(damaged(
                "the tenant's key file is not the one the directory knows",
            ));
        }
        self.keyring
            .read()
            .unwrap(Owner::Tenant(entry.tenant.bytes()), &wrapped)
            .map(TenantKeys::derive)
            .ok_or_else(|| damaged("the tenant's key does not open"))
    }

    /// The open tenant, opened if needed. Blocks: not for asynchronous threads.
    pub(crate) fn open_tenant(&self, entry: &Arc<Entry>) -> Result<Arc<OpenTenant>> {
        if let Some(open) = entry.if_open() {
            open.touch();
            return Ok(open);
        }
        self.make_room();
        let open = self.open_anew(entry)?;
        self.note_accounts(entry, &open, Note::Changed);
        Ok(open)
    }

    fn open_anew(&self, entry: &Arc<Entry>) -> Result<Arc<OpenTenant>> {
        let _opening = entry.opening.lock();
        if let Some(open) = entry.if_open() {
            return Ok(open);
        }
        if entry.info.read().state == State::Gone {
            entry.must_serve()?;
        }
        let metrics = &self.shared.metrics;
        let started = self.shared.clock.monotonic();
        let path = self.folder.database(entry.tenant.bytes());
        let administered = *entry.administered.lock();
        let open = || {
            let keys = self.unwrap_keys(entry)?;
            if path.exists() {
                folder::private(&path)?;
            }
            OpenTenant::open(&entry.tenant, keys, &path, &self.shared, administered)
        };
        let open = match open() {
            Err(e) if e.code() == Code::StorageFull && self.shared.reserve.give_up() => open(),
            done => done,
        };
        let open = open.inspect_err(|error| {
            if error.code() == Code::TenantDamaged {
                tracing::error!(tenant = %entry.tenant.name(), %error, "a tenant cannot be opened");
            }
        })?;
        let open = Arc::new(open);
        self.compare_changes(entry, &open)?;
        *entry.open.write() = Some(open.clone());
        self.opened.lock().push(entry.clone());
        metrics.open_tenants.add(1);
        metrics.tenant_opens.add(1);
        let took = self.shared.clock.monotonic().0 - started.0;
        metrics.open_us.record(u64::try_from(took).unwrap_or(0));
        Ok(open)
    }

    /// Runs `work` on a reader thread with a connection of the tenant.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        class: Class,
        deadline: Option<Micros>,
        work: impl FnOnce(&Arc<OpenTenant>, &Connection, Ticket) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (send, receive) = oneshot::channel();
        let (house, of) = (self.clone(), entry.clone());
        self.readers.submit(*entry.tenant.bytes(), class, move || {
            // A caller that is gone needs no answer.
            if !send.is_closed() {
                let _ = send.send(house.read_now(&of, deadline, work));
            }
        })?;
        receive
            .await
            .unwrap_or_else(|_| Err(internal("the read ended without an answer")))
    }

    /// Tries a small read on the caller's own thread, where the tenant's reads have been short of
    /// late: changing threads twice costs more than such a read. It gets few steps and little time;
    /// `None` if that was not enough, or was not tried: then it is a matter for a reader thread.
    /// `work` runs inside a snapshot; it is given the newest change of that and the moment at which it
    /// must give up.
    pub(crate) fn read_briskly<T>(
        &self,
        tenant: &Arc<OpenTenant>,
        work: impl FnOnce(&Connection, (Ticket, reach::Ticket), Seq, Micros) -> Result<T>,
    ) -> Option<Result<T>> {
        if !tenant.is_brisk() {
            return None;
        }
        let mut reader = tenant.idle_reader()?;
        let started = self.shared.clock.monotonic();
        let until = Micros(started.0 + BRISK_US);
        let most = self.shared.config.limits.search_kilosteps_max;
        // The tickets before the commits: who changes an entry of the cache, or makes memory be
        // forgotten, has committed before.
        let tickets = (self.shared.cache.ticket(), tenant.reaches.ticket());
        let commits = tenant.commits.load(Ordering::Acquire);
        let done = reader.hold(commits, started).and_then(|newest| {
            reader.budget.set(Some(until), most.min(BRISK_KILOSTEPS));
            work(&reader.db, tickets, newest, until)
        });
        // A snapshot in which something failed is not kept.
        if done.is_ok() || reader.let_go().is_ok() {
            tenant.give_back(reader);
        }
        let took = self.shared.clock.monotonic().0 - started.0;
        tenant.was_read(took);
        if matches!(&done, Err(e) if e.code() == Code::LimitTime) {
            return None;
        }
        let metrics = &self.shared.metrics;
        metrics.read_us.record(u64::try_from(took).unwrap_or(0));
        tenant.touch();
        Some(done)
    }

    fn read_now<T>(
        &self,
        entry: &Arc<Entry>,
        deadline: Option<Micros>,
        work: impl FnOnce(&Arc<OpenTenant>, &Connection, Ticket) -> Result<T>,
    ) -> Result<T> {
        let tenant = self.open_tenant(entry)?;
        let reader = tenant.reader()?;
        let limits = &self.shared.config.limits;
        let latest = self.shared.clock.monotonic().0 + as_us(limits.search_ms_max);
        let deadline = deadline.map_or(latest, |d| d.0.min(latest));
        reader
            .budget
            .set(Some(Micros(deadline)), limits.search_kilosteps_max);
        let ticket = self.shared.cache.ticket();
        let started = self.shared.clock.monotonic();
        let done = reader
            .budget
            .name_limit(work(&tenant, &reader.db, ticket), limits);
        tenant.give_back(reader);
        tenant.was_read(self.shared.clock.monotonic().0 - started.0);
        done
    }

    /// Runs blocking work on a thread of its own.
    pub(crate) async fn aside<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Arc<Self>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.beside(self.aside.clone(), work).await
    }

    /// Reads a tenant's trail on a thread of its own: one at a time for each tenant, and away from the
    /// places of what operators do.
    pub(crate) async fn read_trail<T: Send + 'static>(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        work: impl FnOnce(&Arc<OpenTenant>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let _alone = entry
            .reading_trail
            .acquire()
            .await
            .map_err(|_| stopping())?;
        let of = entry.clone();
        self.beside(self.trails.clone(), move |house| {
            work(&house.open_tenant(&of)?)
        })
        .await
    }

    async fn beside<T: Send + 'static>(
        self: &Arc<Self>,
        places: Arc<tokio::sync::Semaphore>,
        work: impl FnOnce(&Arc<Self>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let place = places.acquire_owned().await.map_err(|_| stopping())?;
        let (send, receive) = oneshot::channel();
        let house = self.clone();
        // The thread holds its place, not the caller, who may go away.
        let running = Running::begin(self);
        let job = move || {
            process::stand_back();
            let _ = send.send(work(&house));
            drop((place, running));
        };
        std::thread::Builder::new()
            .name("aside".to_owned())
            .spawn(job)
            .doing("starting a thread")?;
        receive
            .await
            .unwrap_or_else(|_| Err(internal("the work ended without an answer")))
    }

    fn start(self: &Arc<Self>, readers: usize, writers: usize) -> Result<()> {
        let spawn = |name: String, body: Body| {
            let house = self.clone();
            std::thread::Builder::new()
                .name(name)
                .spawn(move || body(&house))
                .doing("starting a thread")
        };
        let mut threads = self.threads.lock();
        for i in 0..readers {
            threads.push(spawn(
                format!("read-{i}"),
                Box::new(move |h: &Arc<Self>| {
                    process::answer_soon();
                    h.readers.work(i);
                }),
            )?);
        }
        // Some more write what is much.
        for i in 0..writers + writers.div_ceil(2) {
            let pace = match i < writers {
                true => Pace::Prompt,
                false => Pace::Bulk,
            };
            let body = move |h: &Arc<Self>| {
                if pace == Pace::Bulk {
                    process::stand_back_to_write();
                }
                let write = |entry: &Arc<Entry>, taken| h.write_taken(entry, taken);
                h.mailboxes.work(pace, write);
            };
            threads.push(spawn(format!("write-{i}"), Box::new(body))?);
        }
        threads.push(spawn(
            "tidy".to_owned(),
            Box::new(|h: &Arc<Self>| {
                process::stand_back();
                h.tidy_until_stopped();
            }),
        )?);
        threads.push(spawn(
            "build".to_owned(),
            Box::new(|h: &Arc<Self>| {
                process::stand_back();
                h.build_until_stopped();
            }),
        )?);
        threads.push(spawn(
            "scrub".to_owned(),
            Box::new(|h: &Arc<Self>| {
                process::stand_back();
                h.scrub_until_stopped();
            }),
        )?);
        Ok(())
    }

    fn write_taken(&self, entry: &Arc<Entry>, taken: Taken) {
        match taken {
            Taken::Task(task) => task(),
            Taken::Group(members) => match self.to_write(entry) {
                Ok(tenant) => {
                    let mut slot = tenant.writer.lock();
                    writer::run(&tenant, &mut slot, members);
                    drop(slot);
                    self.after_write(&tenant);
                }
                Err(e) => {
                    for member in members {
                        let _ = member.answer.send(Err(e.clone()));
                    }
                }
            },
        }
    }

    /// The open tenant, if there is room to write.
    fn to_write(&self, entry: &Arc<Entry>) -> Result<Arc<OpenTenant>> {
        let now = self.shared.clock.monotonic();
        self.shared.reserve.must_stand(now)?;
        self.open_tenant(entry)
    }

    /// Stops taking work, finishes what was taken, closes everything.
    pub(crate) fn close(&self) {
        self.aside.close();
        self.trails.close();
        self.ended
            .wait_while_for(&mut self.running.lock(), |n| *n > 0, ASIDE_PATIENCE);
        self.readers.stop();
        self.mailboxes.stop();
        self.tidy.lock().stop = true;
        self.tidy_wake.notify_all();
        self.builder.lock().stop = true;
        self.builder_wake.notify_all();
        self.scrubber.lock().stop = true;
        self.scrubber_wake.notify_all();
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            // The last handle may be dropped on one of these threads.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
        let begun = self.shared.clock.monotonic();
        for entry in std::mem::take(&mut *self.opened.lock()) {
            let Some(tenant) = entry.open.write().take() else {
                continue;
            };
            // Moving many logs into their databases would take longer than a stop may.
            if self.shared.clock.monotonic().0 - begun.0 > CLOSING_US {
                tenant.close_quickly();
            }
        }
        self.shared.journal.close();
        if let Err(e) = self.notarise(notary::Due::All) {
            tracing::error!(error = %e, "heads of trails were not made");
        }
        if let Err(e) = self.anchor_end() {
            tracing::error!(error = %e, "where the journal ends was not kept");
        }
        self.folder.release();
    }
}

fn as_us(ms: u64) -> i64 {
    i64::try_from(ms)
        .unwrap_or(i64::MAX / 1000)
        .saturating_mul(1000)
}

fn threads(config: &StoreConfig) -> (usize, usize) {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let readers = if config.reader_threads == 0 {
        cores.max(2)
    } else {
        config.reader_threads
    };
    let writers = if config.writer_threads == 0 {
        4
    } else {
        config.writer_threads
    };
    (readers, writers)
}

fn open_max(limits: &base::Limits, files: u64) -> usize {
    let by_files = files.saturating_sub(FILES_KEPT) / FILES_PER_TENANT;
    let max = match limits.open_tenants_max {
        0 => by_files.min(OPEN_DEFAULT),
        n => n.min(by_files),
    };
    usize::try_from(max).unwrap_or(usize::MAX).max(1)
}

/// A data folder whose list of tenants is gone, and not they: none of them would be served, and none missed.
fn must_have_directory(folder: &Folder) -> Result<()> {
    let tenants = folder.tenants_with_keys()?;
    if tenants.is_empty() || folder.control().exists() {
        return Ok(());
    }
    let text = format!(
        "control.db is missing, and keys/ has the keys of {} tenants: put control.db back from a copy",
        tenants.len()
    );
    Err(StoreError::Refused(Code::StorageFault, text))
}

fn house_secret(folder: &Folder, keyring: &Keyring, rng: &dyn Rng) -> Result<Secret<[u8; 32]>> {
    let path = folder.house_secret();
    match std::fs::read(&path) {
        Ok(wrapped) => keyring.unwrap(Owner::House, &wrapped).ok_or_else(|| {
            let text = "insula.key does not open keys/house: it is another folder's";
            StoreError::Refused(Code::StorageFault, text.to_owned())
        }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let secret = Secret::new(rng.bytes());
            folder::replace(&path, &keyring.wrap(Owner::House, secret.expose(), rng)?)?;
            Ok(secret)
        }
        Err(e) => Err(e).doing("reading keys/house"),
    }
}
