//! Group commit: all changes that wait for a tenant are made in one transaction.
//!
//! Each change has a savepoint, so that one that fails does not undo its neighbours; nothing is
//! answered before COMMIT, refusals included; when COMMIT, the disk or the engine fails, every
//! member of the group fails. Knows nothing of queues and threads.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use base::{Code, Micros};
use fhir::search::Customs;
use rusqlite::{Connection, OptionalExtension};
use tokio::sync::oneshot;

use super::apply::{self, Work};
use super::blob;
use super::connection;
use super::fault::Doing;
use super::index::{Mark, Pending};
use super::params;
use super::reach::Touch;
use super::tenant::{OpenTenant, writer_cache_kib};
use crate::audit::ChangeHead;
use crate::journal::Head;
use crate::{Result, StoreError, Synchronous, Written};

/// A change with the place its answer goes to.
pub(crate) struct Member {
    pub(crate) work: Work,
    /// Rough size in the transaction.
    pub(crate) bytes: u64,
    pub(crate) answer: oneshot::Sender<Result<Vec<Written>>>,
}

/// The writer's connection and what it knows without asking.
pub(crate) struct WriterState {
    pub(crate) db: Connection,
    pub(crate) pending: Pending,
    pub(crate) seq: u64,
    pub(crate) chain: [u8; 32],
    pub(crate) updated: Micros,
    pub(crate) last_rid: i64,
    /// The tenant's place in the journal at an earlier group, and the bytes of the journal then.
    journal: Option<(Head, u64)>,
    /// What the next change says about the journal.
    pub(crate) note: Option<Head>,
    /// The tenant's own search parameters as this transaction sees them.
    pub(crate) customs: Arc<Customs>,
    /// They are not what is committed.
    pub(crate) customs_changed: bool,
    actors: HashMap<String, i64>,
    /// The rows that this transaction wrote, in the order of its changes.
    pub(crate) touches: Vec<Touch>,
}

/// Actors whose numbers the writer remembers.
const ACTORS_MAX: usize = 4_096;

impl WriterState {
    /// Opens the connection and reads where the tenant stands.
    pub(crate) fn open(tenant: &OpenTenant) -> Result<Self> {
        const DOING: &str = "opening a tenant for writing";
        let config = &tenant.shared.config;
        let mut db = connection::writer(
            tenant.path(),
            &tenant.keys.database,
            config.synchronous,
            writer_cache_kib(&config.limits),
            config.limits.log_bytes_max,
        )?;
        let log_pages = tenant.log_pages.clone();
        let commits = tenant.commits.clone();
        // Called after a commit and before whoever asked for it goes on.
        db.wal_hook(Some(move |_: &mut _, pages: std::ffi::c_int| {
            commits.fetch_add(1, Ordering::Release);
            log_pages.store(u64::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))
        .doing(DOING)?;
        blob::sweep(&db, tenant.shared.run)?;
        let last = db
            .query_row(
                "SELECT seq, chain, updated_us FROM change ORDER BY seq DESC LIMIT 1",
                [],
                |r| Ok((r.get::<_, i64>(0)?, r.get(1)?, Micros(r.get(2)?))),
            )
            .optional()
            .doing(DOING)?;
        let (seq, chain, updated) = last.unwrap_or((0, [0; 32], Micros(0)));
        let last_rid = db
            .query_row("SELECT coalesce(max(rid), 0) FROM resource", [], |r| {
                r.get(0)
            })
            .doing(DOING)?;
        Ok(Self {
            pending: Pending::default(),
            seq: u64::try_from(seq).unwrap_or(0),
            chain,
            updated,
            last_rid,
            journal: None,
            note: None,
            customs: params::load(&db, tenant.model)?,
            customs_changed: false,
            db,
            actors: HashMap::new(),
            touches: Vec::new(),
        })
    }

    /// The number of an actor, made if needed.
    pub(crate) fn actor_number(&mut self, name: &str) -> Result<i64> {
        if let Some(number) = self.actors.get(name) {
            return Ok(*number);
        }
        let number = self
            .db
            .prepare_cached(
                "INSERT INTO actor (text) VALUES (?1)
                 ON CONFLICT (text) DO UPDATE SET text = excluded.text RETURNING id",
            )
            .and_then(|mut s| s.query_row([name], |r| r.get(0)))
            .doing("writing an actor")?;
        if self.actors.len() >= ACTORS_MAX {
            self.actors.clear();
        }
        self.actors.insert(name.to_owned(), number);
        Ok(number)
    }
}

/// Whether a failure of one member is one of the storage and so of the whole group.
fn is_fatal(error: &StoreError) -> bool {
    matches!(
        error.code(),
        Code::StorageFull | Code::StorageFault | Code::Internal
    )
}

type Answers = Vec<(Member, Result<Vec<Written>>)>;

/// Makes a group of changes in one transaction and answers its members.
pub(crate) fn run(tenant: &Arc<OpenTenant>, slot: &mut Option<WriterState>, members: Vec<Member>) {
    let shared = &tenant.shared;
    let started = shared.clock.monotonic();
    let count = members.len() as u64;
    let mut answers: Answers = Vec::with_capacity(members.len());
    let done = match open_state(tenant, slot) {
        Ok(state) => group(tenant, state, members, &mut answers),
        Err(e) => {
            answers.extend(members.into_iter().map(|m| (m, Err(e.clone()))));
            Err(e)
        }
    };
    shared.metrics.group_members.record(count);
    let took = shared.clock.monotonic().0 - started.0;
    shared
        .metrics
        .commit_us
        .record(u64::try_from(took).unwrap_or(0));
    match done {
        Ok(before) => finish(tenant, slot.as_ref(), before, &answers),
        Err(e) => {
            // What the writer knew may not be so: it reads it anew. Nor what the cache holds, should
            // a commit that was reported as failed be found in the log after all.
            *slot = None;
            shared.cache.forget(&tenant.id, &shared.metrics);
            tenant.consents.forget();
            tenant.cases.forget();
            tenant.commits.fetch_add(1, Ordering::Release);
            tenant.reaches.failed();
            for (_, answer) in &mut answers {
                *answer = Err(e.clone());
            }
        }
    }
    for (member, mut answer) in answers {
        // What nobody waited for any more was not looked at.
        let raced = matches!(answer, Err(StoreError::Raced));
        let asked = !raced || !member.answer.is_closed();
        if let Err(why) = &answer
            && asked
            && let Err(e) = apply::tell_of_refusal(tenant, &member.work, why)
        {
            answer = Err(e);
        }
        let _ = member.answer.send(answer);
    }
}

/// The writer's state, opened if needed.
pub(crate) fn open_state<'s>(
    tenant: &OpenTenant,
    slot: &'s mut Option<WriterState>,
) -> Result<&'s mut WriterState> {
    match slot {
        Some(state) => Ok(state),
        none => Ok(none.insert(WriterState::open(tenant)?)),
    }
}

/// Fills `answers`; the sequence number before the group, or why the group failed.
fn group(
    tenant: &Arc<OpenTenant>,
    state: &mut WriterState,
    members: Vec<Member>,
    answers: &mut Answers,
) -> Result<u64> {
    let before = state.seq;
    state.touches.clear();
    state.note = place_in_journal(tenant, state);
    if tenant.log_pages.load(Ordering::Relaxed) == 0 {
        // All of the log is in the database: it begins anew, unless somebody still reads it.
        tenant.let_go_snapshots();
    }
    let begun = state
        .db
        .execute_batch("BEGIN IMMEDIATE")
        .doing("beginning to write");
    let mut failed = begun.err();
    for member in members {
        // One whose caller is gone was never answered: nothing of it need be made.
        if failed.is_some() || member.answer.is_closed() {
            answers.push((member, Err(StoreError::Raced)));
            continue;
        }
        let made = one(tenant, state, &member.work);
        failed = made.as_ref().err().filter(|e| is_fatal(e)).cloned();
        answers.push((member, made));
    }
    let committed = match failed {
        Some(e) => Err(e),
        None => state
            .pending
            .flush(&state.db)
            .doing("writing index rows")
            .and_then(|()| {
                // Before anybody can see them in the database.
                tenant.reaches.committing(&state.touches);
                state.db.execute_batch("COMMIT").doing("committing")
            }),
    };
    match committed {
        Ok(()) => {
            state.pending.committed(&tenant.vocabulary);
            if std::mem::take(&mut state.customs_changed) {
                tenant.set_customs(&state.customs);
                tenant.wants_building();
            }
            Ok(before)
        }
        Err(e) => {
            state.pending.clear();
            let _ = state.db.execute_batch("ROLLBACK");
            Err(e)
        }
    }
}

/// What the first change of a group says about the tenant's chain in the journal, so that a journal
/// that was cut short shows: a place at an earlier group that is on the disk by now. A power cut
/// takes only what was not.
fn place_in_journal(tenant: &OpenTenant, state: &mut WriterState) -> Option<Head> {
    let journal = &tenant.shared.journal;
    let earlier = match state.journal {
        Some((_, written)) if journal.flushed() < written => return None,
        earlier => earlier.map(|(place, _)| place),
    };
    // The place before the bytes: these bytes are at least up to that place.
    let place = journal.head(tenant.id.bytes());
    state.journal = Some((place, journal.written()));
    earlier.filter(|place| place.number > 0)
}

fn one(tenant: &Arc<OpenTenant>, state: &mut WriterState, work: &Work) -> Result<Vec<Written>> {
    let mark = state.pending.mark();
    let touched = state.touches.len();
    let known = (state.seq, state.chain, state.updated, state.last_rid);
    let note = state.note;
    statement(&state.db, "SAVEPOINT member")?;
    match apply::apply(tenant, state, work) {
        Ok(written) => {
            statement(&state.db, "RELEASE member")?;
            Ok(written)
        }
        Err(e) => {
            state.pending.undo(mark);
            state.touches.truncate(touched);
            (state.seq, state.chain, state.updated, state.last_rid) = known;
            state.note = note;
            state.actors.clear();
            statement(&state.db, "ROLLBACK TO member")?;
            statement(&state.db, "RELEASE member")?;
            if state.customs_changed {
                state.customs = params::load(&state.db, tenant.model)?;
            }
            Err(e)
        }
    }
}

fn statement(db: &Connection, sql: &str) -> Result<()> {
    db.prepare_cached(sql)
        .and_then(|mut s| s.execute([]))
        .doing("writing")
        .map(drop)
}

/// After COMMIT and before the answers: caches learn of it, the journal learns the chain's end.
fn finish(tenant: &Arc<OpenTenant>, state: Option<&WriterState>, before: u64, answers: &Answers) {
    let shared = &tenant.shared;
    let mut seq = before;
    for (_, answer) in answers {
        let Ok(written) = answer else { continue };
        let made = written.iter().filter(|w| {
            !matches!(
                w.outcome,
                crate::Outcome::Nothing | crate::Outcome::Unchanged
            )
        });
        let mut any = false;
        for stored in made
            .filter_map(|w| w.stored.as_ref())
            .map(access::Released::get)
        {
            if !any {
                seq += 1;
                any = true;
            }
            tenant.consents.learn(tenant, stored);
            tenant.cases.learn(tenant.model, stored);
            let was_there =
                shared
                    .cache
                    .changed(&tenant.id, stored.type_id, &stored.id, &shared.metrics);
            if let Some(rid) = was_there {
                let ticket = shared.cache.ticket();
                let seq = base::Seq(seq);
                shared
                    .cache
                    .put(&tenant.id, (rid, stored), seq, ticket, &shared.metrics);
            }
        }
    }
    tenant.reaches.committed();
    if let Some(state) = state
        && state.seq > before
    {
        tenant.marked.fetch_max(state.seq, Ordering::AcqRel);
        let head = ChangeHead {
            seq: base::Seq(state.seq),
            chain: state.chain,
        };
        tenant.tell_head(head);
    }
}

/// Runs something in a transaction of its own.
pub(crate) fn alone<T>(
    tenant: &Arc<OpenTenant>,
    slot: &mut Option<WriterState>,
    work: impl FnOnce(&Arc<OpenTenant>, &mut WriterState) -> Result<T>,
) -> Result<T> {
    let shared = &tenant.shared;
    shared.reserve.must_stand(shared.clock.monotonic())?;
    let state = open_state(tenant, slot)?;
    let mark = (state.pending.mark(), state.touches.len(), state.note);
    let known = (state.seq, state.chain, state.updated, state.last_rid);
    let made = state
        .db
        .execute_batch("BEGIN IMMEDIATE")
        .doing("beginning to write")
        .and_then(|()| work(tenant, state));
    let committed = match made {
        Ok(made) => (state.db.execute_batch("COMMIT").doing("committing"), made),
        Err(e) => {
            // Nothing was made. Whoever is refused takes nothing from those who write after them; past
            // anything else what the writer knew may not be so.
            let refused = !is_fatal(&e) && e.code() != Code::TenantDamaged;
            let undone = refused && !state.customs_changed && undo(state, mark, known).is_ok();
            if !undone {
                *slot = None;
            }
            return Err(e);
        }
    };
    match committed {
        (Ok(()), made) => Ok(made),
        (Err(e), _) => {
            // Nobody knows whether it was made.
            *slot = None;
            tenant.commits.fetch_add(1, Ordering::Release);
            tenant.reaches.failed();
            Err(e)
        }
    }
}

/// The writer as it was before a transaction that is not made.
fn undo(
    state: &mut WriterState,
    (pending, touched, note): (Mark, usize, Option<Head>),
    known: (u64, [u8; 32], Micros, i64),
) -> Result<()> {
    state
        .db
        .execute_batch("ROLLBACK")
        .doing("leaving a transaction")?;
    state.pending.undo(pending);
    state.touches.truncate(touched);
    (state.seq, state.chain, state.updated, state.last_rid) = known;
    state.note = note;
    state.actors.clear();
    Ok(())
}

/// Runs something in a transaction of its own that is on the disk when this returns, whatever the
/// configuration says.
pub(crate) fn alone_durably<T>(
    tenant: &Arc<OpenTenant>,
    slot: &mut Option<WriterState>,
    work: impl FnOnce(&Arc<OpenTenant>, &mut WriterState) -> Result<T>,
) -> Result<T> {
    const DOING: &str = "beginning to write";
    let state = open_state(tenant, slot)?;
    state
        .db
        .execute_batch("PRAGMA synchronous = FULL")
        .doing(DOING)?;
    let done = alone(tenant, slot, work);
    if let Some(state) = slot
        && tenant.shared.config.synchronous == Synchronous::Normal
        && state
            .db
            .execute_batch("PRAGMA synchronous = NORMAL")
            .is_err()
    {
        *slot = None;
    }
    done
}
