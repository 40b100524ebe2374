//! Connections to one tenant's database: how they are opened, and the budget of what runs on them.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use base::{Clock, Code, Limits, Micros, Secret, Seq};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use zeroize::Zeroize;

use super::fault::{Doing, damaged, of_sql};
use super::folder::{self, hex};
use super::reach;
use super::rows;
use crate::{Result, StoreError, Synchronous};

/// Page size of every tenant's database. SQLCipher stores neither it nor the algorithm of the pages'
/// HMAC: SHA256, which processors compute twice as fast as SQLCipher's default.
pub(crate) const PAGE_BYTES: u32 = 4096;
/// Steps of the engine between two looks at the budget.
const STEPS_PER_LOOK: i32 = 1_000;
const STATEMENTS_KEPT: usize = 128;
/// The engine's way to files that no other process opens: what its connections share is in memory, and not in
/// a file beside the database for which a full disk has no room. The house holds the folder.
pub(crate) const ALONE: &std::ffi::CStr = c"unix-excl";

/// How long what runs on a connection may take. Looked at from inside the engine.
#[derive(Debug)]
pub(crate) struct Budget {
    deadline_us: AtomicI64,
    kilosteps: AtomicI64,
    /// Whether the steps were what ended it, and not the time.
    out_of_steps: AtomicBool,
}

impl Budget {
    const NO_DEADLINE: i64 = i64::MAX;

    fn new() -> Self {
        Self {
            deadline_us: Self::NO_DEADLINE.into(),
            kilosteps: i64::MAX.into(),
            out_of_steps: false.into(),
        }
    }

    /// Sets what may be spent from now on.
    pub(crate) fn set(&self, deadline: Option<Micros>, kilosteps: u64) {
        self.out_of_steps.store(false, Ordering::Relaxed);
        self.deadline_us.store(
            deadline.map_or(Self::NO_DEADLINE, |d| d.0),
            Ordering::Relaxed,
        );
        self.kilosteps.store(
            i64::try_from(kilosteps).unwrap_or(i64::MAX),
            Ordering::Relaxed,
        );
    }

    /// Takes all bounds away.
    pub(crate) fn lift(&self) {
        self.set(None, u64::MAX);
    }

    /// Names the limit that a search met which was ended for taking too long.
    pub(crate) fn name_limit<T>(&self, done: Result<T>, limits: &Limits) -> Result<T> {
        done.map_err(|error| match error {
            StoreError::Refused(code @ Code::LimitTime, _) => {
                let (limit, max) = if self.out_of_steps.load(Ordering::Relaxed) {
                    ("search_kilosteps_max", limits.search_kilosteps_max)
                } else {
                    ("search_ms_max", limits.search_ms_max)
                };
                StoreError::Limit { code, limit, max }
            }
            other => other,
        })
    }

    fn is_spent(&self, clock: &dyn Clock) -> bool {
        let left = self.kilosteps.load(Ordering::Relaxed);
        if left <= 0 {
            self.out_of_steps.store(true, Ordering::Relaxed);
            return true;
        }
        if left != i64::MAX {
            self.kilosteps.store(left - 1, Ordering::Relaxed);
        }
        let deadline = self.deadline_us.load(Ordering::Relaxed);
        let is_late = deadline != Self::NO_DEADLINE && clock.monotonic().0 > deadline;
        is_late || part_is_spent(left, deadline, clock)
    }
}

/// The most that a part of a read may take: thousands of steps, and microseconds.
const PART_KILOSTEPS: i64 = 20_000;
const PART_US: i64 = 500_000;
/// A part may take one of so many of what the read has left.
const PART_OF: i64 = 4;
/// Reads that have less are too small to have parts: what is not enough for all of one is tried elsewhere.
const PARTED_MIN: i64 = 64;

/// A part of a read for which not all of its budget is to go.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// The engine did not look yet.
    Begun,
    Going {
        kilosteps: i64,
        until_us: i64,
    },
    Spent,
}

thread_local! {
    static PART: Cell<Option<Part>> = const { Cell::new(None) };
}

/// Does a part of a read that the read can do without: a share of its budget at most. None if that was not
/// enough; what was taken counts against the read too.
///
/// # Errors
/// Those of the work; `limit-time` where the read's own budget went.
pub(crate) fn in_part<T>(work: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
    let _around = Around(PART.replace(Some(Part::Begun)));
    let done = work();
    match done {
        Err(e) if e.code() == Code::LimitTime && matches!(PART.get(), Some(Part::Spent)) => {
            Ok(None)
        }
        done => done.map(Some),
    }
}

/// What goes on when a part ends, however it does: no bound of it is left to the next read of the thread.
struct Around(Option<Part>);

impl Drop for Around {
    fn drop(&mut self) {
        PART.set(self.0);
    }
}

/// Whether the part that is being done took its share. `left` and `deadline` are of the whole read.
fn part_is_spent(left: i64, deadline: i64, clock: &dyn Clock) -> bool {
    let part = match PART.get() {
        None => return false,
        Some(Part::Begun) if left < PARTED_MIN => return false,
        Some(Part::Begun) => {
            let now = clock.monotonic().0;
            let us = (deadline.saturating_sub(now) / PART_OF).min(PART_US);
            Part::Going {
                kilosteps: (left / PART_OF).min(PART_KILOSTEPS),
                until_us: now.saturating_add(us),
            }
        }
        Some(Part::Going {
            kilosteps,
            until_us,
        }) if kilosteps > 0 && clock.monotonic().0 <= until_us => Part::Going {
            kilosteps: kilosteps - 1,
            until_us,
        },
        Some(Part::Going { .. } | Part::Spent) => Part::Spent,
    };
    PART.set(Some(part));
    matches!(part, Part::Spent)
}

/// A connection for reading, with its budget.
pub(crate) struct Reader {
    pub(crate) db: Connection,
    pub(crate) budget: Arc<Budget>,
    held: Option<Held>,
}

/// A snapshot that is kept from one read to the next.
#[derive(Debug)]
struct Held {
    /// Commits of the tenant's writer that were counted before it was taken.
    commits: u64,
    since: Micros,
    newest: Seq,
}

/// How long a snapshot is kept. Commits of the tenant's writer end it at once; this is for what
/// changes the file in another way.
const HELD_US: i64 = 10_000;

impl Reader {
    /// Makes sure that a snapshot is open that shows all `commits`; its newest change. Taking a
    /// snapshot costs several calls to the system and locks that all readers share, so one is kept
    /// while nothing is committed.
    pub(crate) fn hold(&mut self, commits: u64, now: Micros) -> Result<Seq> {
        if let Some(held) = &self.held {
            if held.commits == commits && now.0 - held.since.0 < HELD_US {
                return Ok(held.newest);
            }
            self.let_go()?;
        }
        // What the last read was given is spent.
        self.budget.lift();
        run(&self.db, "BEGIN").doing("beginning to read")?;
        match rows::last_seq(&self.db) {
            Ok(newest) => {
                self.held = Some(Held {
                    commits,
                    since: now,
                    newest,
                });
                Ok(newest)
            }
            Err(e) => {
                let _ = run(&self.db, "COMMIT");
                Err(e)
            }
        }
    }

    /// Ends the snapshot that is kept, if there is one. Takes the bounds of what was read in it away: an
    /// end is not to be broken off.
    pub(crate) fn let_go(&mut self) -> Result<()> {
        match self.held.take() {
            Some(_) => {
                self.budget.lift();
                run(&self.db, "COMMIT").doing("ending to read")
            }
            None => Ok(()),
        }
    }

    /// Whether it can be given to another: it is in no transaction, or in that of a snapshot that it
    /// keeps.
    pub(crate) fn is_fit(&self) -> bool {
        self.held.is_some() != self.db.is_autocommit()
    }
}

/// Runs a word that is kept prepared: for a small search, reading it again is a part that shows.
fn run(db: &Connection, word: &str) -> rusqlite::Result<()> {
    db.prepare_cached(word)
        .and_then(|mut s| s.execute([]))
        .map(drop)
}

/// Opens an existing database with its raw key. Nothing is read from it yet.
pub(crate) fn open(path: &Path, key: &Secret<[u8; 32]>) -> Result<Connection> {
    open_with(path, key, OpenFlags::SQLITE_OPEN_READ_WRITE)
}

/// Makes a database with its raw key.
pub(crate) fn create(path: &Path, key: &Secret<[u8; 32]>) -> Result<Connection> {
    folder::private(path)?;
    open_with(
        path,
        key,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
    )
}

fn open_with(path: &Path, key: &Secret<[u8; 32]>, flags: OpenFlags) -> Result<Connection> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags_and_vfs(path, flags, ALONE).doing("opening a tenant")?;
    key_pragma(&db, "key", key)?;
    db.execute_batch(&format!(
        "PRAGMA cipher_page_size = {PAGE_BYTES};
         PRAGMA cipher_hmac_algorithm = HMAC_SHA256; PRAGMA cipher_memory_security = OFF;
         PRAGMA cipher_log_level = NONE; PRAGMA temp_store = MEMORY;
         PRAGMA foreign_keys = OFF; PRAGMA busy_timeout = 5000;"
    ))
    .doing("opening a tenant")?;
    // Plans may not depend on bound values, else a cached statement is planned again whenever a
    // value changes.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .doing("opening a tenant")?;
    db.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(db)
}

/// `PRAGMA key` or `PRAGMA rekey` with a raw key; the text is wiped afterwards.
pub(crate) fn key_pragma(db: &Connection, pragma: &str, key: &Secret<[u8; 32]>) -> Result<()> {
    let mut digits = hex(key.expose());
    let mut text = format!("PRAGMA {pragma} = \"x'{digits}'\"");
    digits.zeroize();
    let done = db.execute_batch(&text);
    text.zeroize();
    done.map_err(|_| StoreError::Refused(Code::StorageFault, "keying a database".to_owned()))
}

/// A connection for reading.
pub(crate) fn reader(
    path: &Path,
    key: &Secret<[u8; 32]>,
    clock: Arc<dyn Clock>,
    cache_kib: u64,
) -> Result<Reader> {
    let mut db = open(path, key)?;
    db.execute_batch(&format!(
        "PRAGMA query_only = ON; PRAGMA cache_size = -{cache_kib};"
    ))
    .doing("opening a tenant")?;
    // The first statement that reads shows whether key and file fit.
    db.query_row("SELECT count(*) FROM sqlite_schema", [], |r| {
        r.get::<_, i64>(0)
    })
    .map_err(|e| match of_sql("opening a tenant", &e) {
        full if full.code() == Code::StorageFull => full,
        _ => damaged("the tenant's database cannot be read with its key"),
    })?;
    reach::register(&db).doing("opening a tenant")?;
    let budget = Arc::new(Budget::new());
    let seen = budget.clone();
    db.progress_handler(STEPS_PER_LOOK, Some(move || seen.is_spent(&*clock)))
        .doing("opening a tenant")?;
    Ok(Reader {
        db,
        budget,
        held: None,
    })
}

/// A connection for writing.
pub(crate) fn writer(
    path: &Path,
    key: &Secret<[u8; 32]>,
    synchronous: Synchronous,
    cache_kib: u64,
    log_bytes_max: u64,
) -> Result<Connection> {
    let db = open(path, key)?;
    let synchronous = match synchronous {
        Synchronous::Full => "FULL",
        Synchronous::Normal => "NORMAL",
    };
    db.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous};
         PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -{cache_kib};
         PRAGMA journal_size_limit = {log_bytes_max};"
    ))
    .doing("opening a tenant for writing")?;
    Ok(db)
}

/// Runs `work` so that all its statements see the same state of the database.
pub(crate) fn in_snapshot<T>(db: &Connection, work: impl FnOnce() -> Result<T>) -> Result<T> {
    run(db, "BEGIN").doing("beginning to read")?;
    let done = work();
    let ended = run(db, "COMMIT").doing("ending to read");
    let value = done?;
    ended.map(|()| value)
}
