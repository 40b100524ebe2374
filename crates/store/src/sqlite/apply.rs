//! Makes one change inside the writer's transaction.
//!
//! Version number, conditions, expectations and references are looked at here, on the state that
//! the transaction sees, so nothing can come between the look and the write. Knows nothing of
//! groups and commits.

mod bounds;
mod current;
mod evidence;
mod references;
mod settling;
mod versions;
mod work;

use std::collections::HashSet;
use std::sync::Arc;

use access::{Actor, RequestMeta};
use base::{Code, Micros, Seq};
use fhir::search::Query;
use fhir::search::query::Total;
use rusqlite::params;

use self::bounds::both;
use self::current::{Current, find, holds, repoint};
use self::settling::OUT_OF_REACH;
pub(crate) use self::settling::supposing;
pub(crate) use self::work::{Expect, Op, Work};
use super::fault::{Doing, internal};
use super::seal::{ChangeLine, Digest};
use super::tenant::OpenTenant;
use super::trail::EventId;
use super::writer::WriterState;
use super::{rows, search};
use crate::audit::{self, Asked, Record, Subject, write_about};
use crate::journal::Head;
use crate::{Expected, Method, Outcome, PageRequest, Result, Settlement, StoreError, Written};

/// Nesting that no stored resource passes, whatever limit it came in under.
const DEPTH_MAX: usize = 1_024;

/// One change on its way into the tables.
struct Making<'a> {
    tenant: &'a OpenTenant,
    state: &'a mut WriterState,
    actor: (i64, &'a str),
    seq: Seq,
    updated: Micros,
    members: u64,
    digest: Digest,
    /// The resource that is written waits for a decision, and this is it.
    settles: Option<&'a Settlement>,
}

fn refused(entry: usize, code: Code, text: &str) -> StoreError {
    StoreError::Entry {
        entry,
        code,
        text: text.to_owned(),
    }
}

/// Makes a change. The answers are good once the transaction is committed.
pub(crate) fn apply(
    tenant: &Arc<OpenTenant>,
    state: &mut WriterState,
    work: &Work,
) -> Result<Vec<Written>> {
    check(work)?;
    must_not_be_of_the_trail(tenant, work)?;
    if !work.expects.is_empty() {
        expectations(tenant, state, &work.expects)?;
    }
    let Some(actor) = &work.actor else {
        return Ok(Vec::new());
    };
    let number = state.actor_number(actor.as_str())?;
    let now = tenant.shared.clock.now().to_millis_precision();
    let mut making = Making {
        tenant,
        actor: (number, actor.as_str()),
        seq: Seq(state.seq + 1),
        updated: now.max(state.updated),
        members: 0,
        digest: Digest::default(),
        settles: work.settles.as_ref(),
        state,
    };
    if let Some(settlement) = &work.settles {
        making.begin_settling(&work.ops, settlement)?;
    }
    let reached = making.reached(&work.ops)?;
    if work.settles.is_some() && !reached.iter().all(|reached| *reached) {
        return Err(refused(0, Code::ScopeMissing, OUT_OF_REACH));
    }
    making.must_keep_hidden(&work.ops, &reached)?;
    making.must_not_move(&work.ops, &reached)?;
    let watched = making.watched(&work.ops, &reached)?;
    let mut written = Vec::with_capacity(work.ops.len());
    for ((entry, op), reached) in work.ops.iter().enumerate().zip(&reached) {
        written.push(making.write(entry, op, *reached)?);
    }
    making.must_be_in_reach(&work.ops, &reached, &written)?;
    making.must_not_open(&work.ops, &watched)?;
    if work.enforce_references {
        references::check(tenant, making.state, &work.ops)?;
    }
    if let Some(settlement) = &work.settles {
        making.settle(&work.ops, settlement)?;
    }
    making.finish(work.request, actor)?;
    tell_of_nothing(tenant, work, actor, &written)?;
    Ok(written)
}

/// A deletion of what is not there, or not for its caller, is no change that would tell of it: it is
/// recorded before the change is made, which is refused where that cannot be.
fn tell_of_nothing(
    tenant: &OpenTenant,
    work: &Work,
    actor: &Actor,
    written: &[Written],
) -> Result<()> {
    for (op, written) in work.ops.iter().zip(written) {
        if written.outcome != Outcome::Nothing {
            continue;
        }
        let (type_id, id) = op.target();
        let record = Record {
            request: work.request,
            actor,
            action: op.action(),
            subject: Subject::Instance(type_id, id),
            asked: Asked::default(),
            outcome: audit::Outcome::Nothing,
        };
        let shared = &tenant.shared;
        // Whoever asked waits for everything that was appended by then.
        let _ticket = shared.journal.append(&tenant.pen, &record.encode(None))?;
        shared.metrics.journal_records.add(1);
    }
    Ok(())
}

/// Records that a change is not made: at which write its making ended, with which code, and whom that was about,
/// as it is and as it was to be. What comes after it was not looked at.
pub(crate) fn tell_of_refusal(tenant: &OpenTenant, work: &Work, why: &StoreError) -> Result<()> {
    let entry = match why {
        StoreError::Entry { entry, .. } | StoreError::ReferenceMissing { entry, .. } => *entry,
        _ => 0,
    };
    let (Some(actor), Some(op)) = (&work.actor, work.ops.get(entry)) else {
        return Ok(());
    };
    let (type_id, id) = op.target();
    let patients = op.patients(tenant.model);
    let record = Record {
        request: work.request,
        actor,
        action: op.action(),
        subject: Subject::Instance(type_id, id),
        asked: Asked {
            patients: &patients,
            ..Asked::default()
        },
        outcome: audit::Outcome::Refused(why.code()),
    };
    let shared = &tenant.shared;
    let _ticket = shared.journal.append(&tenant.pen, &record.encode(None))?;
    shared.metrics.journal_records.add(1);
    Ok(())
}

fn check(work: &Work) -> Result<()> {
    if work.settles.is_some() && work.ops.len() != 1 {
        return Err(internal("a decision is one write"));
    }
    let mut seen = HashSet::with_capacity(work.ops.len());
    for (entry, op) in work.ops.iter().enumerate() {
        if !op.is_permitted() || work.actor.as_ref() != Some(op.actor()) {
            return Err(refused(
                entry,
                Code::ScopeMissing,
                "the permit is for something else",
            ));
        }
        if !seen.insert(op.target()) {
            let text = "two writes of one change are about the same resource";
            return Err(refused(entry, Code::BundleDuplicate, text));
        }
    }
    Ok(())
}

/// Events of the trail have ids of their own form; nobody writes resources of such ids.
fn must_not_be_of_the_trail(tenant: &OpenTenant, work: &Work) -> Result<()> {
    for (entry, op) in work.ops.iter().enumerate() {
        let (type_id, id) = op.target();
        if EventId::is_of(tenant.model, type_id, id.as_str()) {
            let text = "ids that begin with trail- are those of the store's own audit trail";
            return Err(refused(entry, Code::TrailReadOnly, text));
        }
    }
    Ok(())
}

fn expectations(
    tenant: &Arc<OpenTenant>,
    state: &mut WriterState,
    expects: &[Expect],
) -> Result<()> {
    // Earlier members of the group count: their rows must be in the tables.
    state.pending.flush(&state.db).doing("writing index rows")?;
    for expect in expects {
        // Two matches are enough to know.
        let mut query = Query::clone(&expect.query);
        (query.count, query.total) = (2, Total::None);
        query.include.clear();
        let newest = rows::last_seq(&state.db)?;
        let found = search::page(
            tenant,
            &state.db,
            &expect.spent,
            &query,
            &PageRequest::default(),
            (newest, None),
        )?;
        let holds = match (&expect.expected, found.matches.as_slice()) {
            (Expected::Nothing, []) => true,
            (Expected::One(type_id, id), [(rid, _)]) => {
                rows::name_of(&state.db, *rid)? == Some((*type_id, id.clone()))
            }
            _ => false,
        };
        if !holds {
            return Err(StoreError::Raced);
        }
    }
    Ok(())
}

impl Making<'_> {
    fn write(&mut self, entry: usize, op: &Op, reached: bool) -> Result<Written> {
        let (type_id, id) = op.target();
        let mut current = find(&self.state.db, type_id, id)?;
        // Of what is out of reach nothing is told, also not that it waits for a decision.
        if let Some(current) = &mut current
            && (reached || self.settles.is_some())
        {
            self.may_be_written(current)?;
        }
        let live = current.as_ref().filter(|c| !c.deleted && reached);
        // Whoever reaches some resources of the type only learns nothing of others.
        let ruled = op.filter().is_some();
        match op {
            Op::Create { spent, resource } => {
                if current.is_some() {
                    return Err(refused(entry, Code::DuplicateId, "a resource has this id"));
                }
                let stored = self.store(entry, None, resource, Method::Post)?;
                let stored = Some(spent.release(type_id, stored));
                Ok(Written {
                    outcome: Outcome::Created,
                    stored,
                })
            }
            Op::Put {
                spent,
                or_create,
                resource,
                condition,
                method,
            } => {
                if live.is_none() && !op.may_choose_id() {
                    return Err(refused(entry, Code::NotFound, "no such resource"));
                }
                holds(&self.state.db, entry, *condition, live)?;
                if live.is_none() && or_create.is_none() {
                    let text = "the resource does not exist and may not be made";
                    return Err(refused(entry, Code::ScopeMissing, text));
                }
                let outcome = if live.is_some() {
                    Outcome::Updated
                } else {
                    Outcome::Created
                };
                if let Some(stored) = self.as_it_was(op, live)? {
                    return Ok(Written {
                        outcome: Outcome::Unchanged,
                        stored: Some(spent.release(type_id, stored)),
                    });
                }
                if current.is_some() && self.imports() && resource.valid.type_name() == "Consent" {
                    let text =
                        "a Consent that is there is not changed by a way in for bulk loading";
                    return Err(refused(entry, Code::ScopeMissing, text));
                }
                let stored = self.store(entry, current.as_ref(), resource, *method)?;
                Ok(Written {
                    outcome,
                    stored: Some(spent.release(type_id, stored)),
                })
            }
            Op::Delete {
                spent, condition, ..
            } => {
                if ruled && live.is_none() {
                    return Ok(Written {
                        outcome: Outcome::Nothing,
                        stored: None,
                    });
                }
                holds(&self.state.db, entry, *condition, live)?;
                let Some(live) = live else {
                    let last = rows::current(self.tenant, &self.state.db, type_id, id)?;
                    let stored = last.map(|o| spent.release(type_id, o.stored));
                    return Ok(Written {
                        outcome: Outcome::Nothing,
                        stored,
                    });
                };
                let stored = self.bury(entry, live, type_id, id)?;
                let stored = Some(spent.release(type_id, stored));
                Ok(Written {
                    outcome: Outcome::Deleted,
                    stored,
                })
            }
        }
    }

    /// Adds the change to the chain.
    fn finish(self, request: RequestMeta, actor: &Actor) -> Result<()> {
        if self.members == 0 {
            return Ok(());
        }
        let digest = self.digest.value();
        let mut about = Vec::new();
        write_about(&mut about, &request, actor, Asked::default());
        let line = ChangeLine {
            tenant: self.tenant.id.bytes(),
            seq: self.seq,
            updated: self.updated,
            request: request.id,
            actor: self.actor.1,
            members: self.members,
            digest: &digest,
            journal: self.state.note.take().map(Head::to_bytes),
            about: (!about.is_empty()).then_some(about.as_slice()),
        };
        let chain = line.chain(&self.tenant.keys.seal, &self.state.chain);
        self.state
            .db
            .prepare_cached(
                "INSERT INTO change
                   (seq,updated_us,request,actor,members,digest,chain,journal,about)
                 VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)",
            )
            .and_then(|mut s| {
                s.execute(params![
                    number(self.seq.0),
                    self.updated.0,
                    request.id.0.to_be_bytes(),
                    self.actor.0,
                    number(self.members),
                    digest,
                    chain,
                    line.journal,
                    line.about
                ])
            })
            .doing("writing a change")?;
        self.state.seq = self.seq.0;
        self.state.updated = self.updated;
        self.state.chain = chain;
        Ok(())
    }
}

fn number(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
