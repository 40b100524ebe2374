//! Makes one change inside the writer's transaction.
//!
//! Version number, conditions, expectations and references are looked at here, on the state that
//! the transaction sees, so nothing can come between the look and the write. Knows nothing of
//! groups and commits.

mod current;
mod evidence;
mod references;
mod settling;
mod work;

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use access::{Actor, RequestMeta};
use base::{Code, Micros, ResourceId, Seq, Version};
use bytes::Bytes;
use fhir::definitions::TypeId;
use fhir::json;
use fhir::resource::mask::Mask;
use fhir::resource::write_head;
use fhir::search::Query;
use fhir::search::custom::Custom;
use fhir::search::query::{Clause, Total};
use fhir::search::rows::{Row, RowValue};
use rusqlite::params;

use self::current::{Current, find, holds, repoint};
use self::settling::OUT_OF_REACH;
pub(crate) use self::settling::supposing;
pub(crate) use self::work::{Expect, Op, Work};
use super::blob;
use super::fault::{Doing, internal};
use super::index::IdKey;
use super::reach::Touch;
use super::seal::{ChangeLine, Digest, Sealed, method_number, sha256};
use super::tenant::OpenTenant;
use super::trail::EventId;
use super::writer::WriterState;
use super::{extract, params as own_params, rows, search, sight};
use crate::audit::{self, Asked, Record, Subject, write_about};
use crate::face::DataIn;
use crate::journal::Head;
use crate::{
    Data, Expected, Method, Outcome, PageRequest, Prepared, Result, Settlement, StoreError, Stored,
    Written,
};

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
    making.must_be_in_reach(&work.ops, &reached)?;
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
    /// For each write, whether the resource is there for its caller. What policy keeps out of reach
    /// is looked at before anything of the change is made. What the caller may read is refused in
    /// words; of what they may not even read they learn nothing.
    fn reached(&mut self, ops: &[Op]) -> Result<Vec<bool>> {
        let mut reached = Vec::with_capacity(ops.len());
        for (entry, op) in ops.iter().enumerate() {
            let Some(filter) = op.filter().filter(|_| !matches!(op, Op::Create { .. })) else {
                reached.push(true);
                continue;
            };
            let (type_id, id) = op.target();
            let current = find(&self.state.db, type_id, id)?;
            let rid = current.as_ref().map_or(-1, |c| c.rid);
            let as_of = Seq(self.state.seq);
            let there = self.meets(filter, type_id, (rid, &[]), as_of)?;
            // Of one that is kept apart the index is not believed.
            let left_out = self.tenant.quarantine.is_left_out(rid);
            let live = current.is_some_and(|c| !c.deleted) && !left_out;
            // Asked of what is not there as well: it takes as long.
            let shown = !there && self.is_shown(op, rid, as_of)?;
            if shown && live {
                let text = "the caller may read the resource, but not change it like this";
                return Err(refused(entry, Code::ScopeMissing, text));
            }
            reached.push(there);
        }
        Ok(reached)
    }

    /// Whether the caller of a write may read the resource that it is about.
    fn is_shown(&mut self, op: &Op, rid: i64, as_of: Seq) -> Result<bool> {
        let (type_id, _) = op.target();
        let (reads, rule) = op.shown(type_id);
        match rule.and_then(|rule| rule.filter()) {
            Some(filter) if reads => self.meets(filter, type_id, (rid, &[]), as_of),
            _ => Ok(reads),
        }
    }

    /// What is hidden from a caller, or not theirs to change, is the same afterwards.
    fn must_keep_hidden(&mut self, ops: &[Op], reached: &[bool]) -> Result<()> {
        for ((entry, op), reached) in ops.iter().enumerate().zip(reached) {
            let Some(resource) = op.resource().filter(|_| op.guards()) else {
                continue;
            };
            let (type_id, id) = op.target();
            let current = match reached {
                true => rows::current(self.tenant, &self.state.db, type_id, id)?,
                false => None,
            };
            let live = |o: &rows::Opened| o.stored.method != Method::Delete;
            let before = current.filter(live);
            let apart = resource.apart.is_some()
                || before.as_ref().is_some_and(|o| o.stored.data.is_some());
            let (hidden, read_only) = self.guarded(op, before.as_ref().map(|o| o.rid))?;
            // Bytes that are kept apart are not in the bodies that are compared.
            let names_data = |mask: &Option<Mask>| mask.as_ref().is_some_and(|m| m.has("data"));
            if apart && (names_data(&hidden) || names_data(&read_only)) {
                let text =
                    "the data of the Binary is hidden from the caller, or not theirs to change";
                return Err(refused(entry, Code::ElementReadOnly, text));
            }
            let parsed = |text: &[u8]| {
                let whole =
                    json::parse(text, DEPTH_MAX).map_err(|_| internal("a body is no JSON"))?;
                let content = |mask: &Option<Mask>| {
                    mask.as_ref()
                        .map_or_else(String::new, |m| m.content(whole.root()))
                };
                let narrative = hidden.as_ref().and_then(|m| m.narrative(whole.root()));
                let narrative = narrative.map(str::to_owned);
                Ok((content(&hidden), content(&read_only), narrative))
            };
            let whole = self.whole(resource, id);
            let after: (String, String, Option<String>) = parsed(&whole)?;
            let before = match &before {
                Some(o) => parsed(&o.stored.body)?,
                None => Default::default(),
            };
            if before.0 != after.0 || before.2.is_some() && before.2 != after.2 {
                let text = "an element that is hidden from the caller would change";
                return Err(refused(entry, Code::ElementHidden, text));
            }
            if before.1 != after.1 {
                let text = "an element that the caller may not change would change";
                return Err(refused(entry, Code::ElementReadOnly, text));
            }
        }
        Ok(())
    }

    /// Whether a way in for bulk loading writes.
    fn imports(&self) -> bool {
        self.actor.1.starts_with("import:")
    }

    /// The current version, where what an import brings is the same: it has been written before.
    fn as_it_was(&self, op: &Op, current: Option<&Current>) -> Result<Option<Stored>> {
        let Some(resource) = op.resource().filter(|_| self.imports()) else {
            return Ok(None);
        };
        let Some(current) = current.filter(|c| !c.deleted && self.settles.is_none()) else {
            return Ok(None);
        };
        let (type_id, id) = op.target();
        let Some(opened) = rows::current(self.tenant, &self.state.db, type_id, id)? else {
            return Ok(None);
        };
        let stored = opened.stored;
        let mut same = Vec::with_capacity(stored.body.len());
        let name = resource.valid.type_name();
        write_head(
            &mut same,
            name,
            id,
            Version(current.version),
            stored.updated,
        );
        same.extend_from_slice(resource.body().as_bytes());
        let apart = match (&resource.apart, &stored.data) {
            (None, None) => true,
            (Some(apart), Some(data)) => {
                apart.size == data.size && blob::is_same(self.tenant, &self.state.db, apart, data)?
            }
            _ => false,
        };
        Ok((apart && same == stored.body).then_some(stored))
    }

    /// What is written, with a head.
    fn whole(&self, resource: &Prepared, id: &ResourceId) -> Vec<u8> {
        let mut whole = Vec::with_capacity(resource.body().len() + 192);
        let name = resource.valid.type_name();
        write_head(&mut whole, name, id, Version(1), self.updated);
        whole.extend_from_slice(resource.body().as_bytes());
        whole
    }

    /// Elements hidden from the caller of a write, and those that they may not change. Of a resource
    /// that is there, by the way that leads to it.
    fn guarded(&mut self, op: &Op, rid: Option<i64>) -> Result<(Option<Mask>, Option<Mask>)> {
        let (type_id, _) = op.target();
        let as_of = Seq(self.state.seq);
        let state = &mut *self.state;
        state.pending.flush(&state.db).doing("writing index rows")?;
        let (mut hidden, mut read_only) = (None, None);
        for rule in op.rules() {
            let way = match rid {
                Some(rid) => sight::led(self.tenant, &state.db, rule, (rid, as_of), type_id)?,
                None => None,
            };
            let (hides, fixed) = match way {
                Some(way) => (way.mask.as_deref(), way.read_only.as_deref()),
                None => (rule.hidden(), rule.read_only()),
            };
            hidden = both(hidden, hides);
            read_only = both(read_only, fixed);
        }
        Ok((hidden, read_only))
    }

    /// What a change makes of resources must be in reach of its caller too.
    ///
    /// What the change makes is no evidence for itself: nobody gets at a patient's chart by writing that
    /// they care for the patient. What was there and in reach before may stay so by itself: that it leads to
    /// nothing to which it did not lead before is looked at beside this.
    fn must_be_in_reach(&mut self, ops: &[Op], reached: &[bool]) -> Result<()> {
        if !ops.iter().any(|op| op.filter().is_some()) {
            return Ok(());
        }
        let (mut made, mut new) = (Vec::with_capacity(ops.len()), Vec::new());
        for (op, reached) in ops.iter().zip(reached) {
            // Of what a deletion did not reach nothing was made.
            if *reached || !matches!(op, Op::Delete { .. }) {
                let (type_id, id) = op.target();
                if let Some(current) = find(&self.state.db, type_id, id)? {
                    made.push(current.rid);
                    if current.version == 1 {
                        new.push(current.rid);
                    }
                }
            }
        }
        for (entry, op) in ops.iter().enumerate() {
            let Some(filter) = op.filter().filter(|_| !matches!(op, Op::Delete { .. })) else {
                continue;
            };
            let (type_id, id) = op.target();
            let rid = find(&self.state.db, type_id, id)?.map_or(-1, |c| c.rid);
            let stays = reached.get(entry) == Some(&true) && !new.contains(&rid);
            let place = (rid, made.as_slice());
            let reaches = self.meets(filter, type_id, place, self.seq)?
                || stays && self.meets(filter, type_id, (rid, &new), self.seq)?;
            if !reaches {
                let text = "the resource would be out of the caller's reach";
                return Err(refused(entry, Code::ScopeMissing, text));
            }
        }
        Ok(())
    }

    fn meets(
        &mut self,
        filter: &Clause,
        type_id: TypeId,
        (rid, apart): (i64, &[i64]),
        as_of: Seq,
    ) -> Result<bool> {
        let state = &mut *self.state;
        state.pending.flush(&state.db).doing("writing index rows")?;
        let place = (rid, apart);
        sight::meets_without(self.tenant, &state.db, filter, type_id, place, as_of)
    }

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

    fn store(
        &mut self,
        entry: usize,
        current: Option<&Current>,
        resource: &Prepared,
        method: Method,
    ) -> Result<Stored> {
        const DOING: &str = "writing a resource";
        let valid = &*resource.valid;
        let version = Version(current.map_or(1, |c| c.version + 1));
        let (type_id, id) = (valid.type_id(), valid.id());
        let (blob, digest) = self.data(resource)?;
        let packed = Packed {
            dict: resource.dict,
            size: resource.body().len(),
            body: &resource.packed,
            digest: &digest,
            blob,
        };
        let rid = match current {
            Some(c) => c.rid,
            None => {
                self.state.last_rid += 1;
                self.state.last_rid
            }
        };
        let vid = self.version_row(rid, type_id, id, version, method, &packed)?;
        let mut body = Vec::with_capacity(resource.body().len() + 192);
        write_head(&mut body, valid.type_name(), id, version, self.updated);
        let data = match (blob, &resource.apart) {
            (Some(blob), Some(apart)) => Some(Data {
                blob,
                size: apart.size,
                at: body.len() + apart.at,
            }),
            _ => None,
        };
        body.extend_from_slice(resource.body().as_bytes());
        let stored = Stored {
            type_id,
            id: id.clone(),
            version,
            updated: self.updated,
            method,
            body: Bytes::from(body),
            data,
        };
        let rows = self.rows(valid.rows(), &stored)?;
        let state = &mut *self.state;
        let (db, vocabulary) = (&state.db, &self.tenant.vocabulary);
        let (seq, updated, rows) = (self.seq, self.updated, rows.as_ref());
        match current {
            None => {
                db.prepare_cached(
                    "INSERT INTO resource (rid,type,id,version,deleted,vid)
                     VALUES (?1,?2,?3,?4,0,?5)",
                )
                .and_then(|mut s| s.execute(params![rid, type_id.0, IdKey::of_id(id), 1, vid]))
                .doing(DOING)?;
                state
                    .pending
                    .insert(db, vocabulary, type_id, rid, seq, updated, rows)
            }
            Some(c) => {
                repoint(db, rid, version, false, vid)?;
                if c.deleted || self.settles.is_some() {
                    state
                        .pending
                        .insert(db, vocabulary, type_id, rid, seq, updated, rows)
                } else {
                    state
                        .pending
                        .replace(db, vocabulary, type_id, rid, seq, updated, rows)
                }
            }
        }
        .doing(DOING)?;
        self.parameter_written(entry, rid, &stored)?;
        Ok(stored)
    }

    /// The rows of a resource, those of the tenant's own parameters too: only the writer knows for
    /// sure which there are.
    fn rows<'r>(&self, rows: &'r [Row], stored: &Stored) -> Result<Cow<'r, [Row]>> {
        let customs = &self.state.customs;
        let of_type = |c: &Custom| c.definition.type_id == stored.type_id;
        let inside = || {
            rows.iter()
                .any(|r| matches!(r.value, RowValue::Contained(..)))
        };
        if !customs.iter().any(of_type) && (customs.is_empty() || !inside()) {
            return Ok(Cow::Borrowed(rows));
        }
        let own = extract::custom_rows(self.tenant, stored, customs, |_| true)?;
        Ok(Cow::Owned([rows, &own].concat()))
    }

    /// A `SearchParameter` changes what is indexed.
    fn parameter_written(&mut self, entry: usize, rid: i64, stored: &Stored) -> Result<()> {
        if self.tenant.model.type_name(stored.type_id) != "SearchParameter" {
            return Ok(());
        }
        let there = Some(stored).filter(|s| s.method != Method::Delete);
        own_params::written(self.tenant, self.state, rid, there).map_err(|e| match e {
            StoreError::Refused(code, text) => StoreError::Entry { entry, code, text },
            other => other,
        })
    }

    /// Keeps data that goes apart; its blob, and the digest for the version's seal.
    fn data(&self, resource: &Prepared) -> Result<(Option<i64>, [u8; 32])> {
        let Some(apart) = &resource.apart else {
            return Ok((None, resource.digest));
        };
        let db = &self.state.db;
        let number = match &apart.data {
            DataIn::Staged(staged) => staged.blob,
            DataIn::Here(bytes) => {
                let number = blob::begin(db, self.tenant.shared.run)?;
                blob::put(self.tenant, db, number, 0, bytes)?;
                number
            }
        };
        blob::adopt(db, number, apart.size, apart.at)?;
        let digest = blob::digest_with(&resource.digest, number, apart.size, apart.at);
        Ok((Some(number), digest))
    }

    fn bury(
        &mut self,
        entry: usize,
        live: &Current,
        type_id: TypeId,
        id: &ResourceId,
    ) -> Result<Stored> {
        let version = Version(live.version + 1);
        let nothing = Packed {
            dict: 0,
            size: 0,
            body: &[],
            digest: &sha256(&[]),
            blob: None,
        };
        let vid = self.version_row(live.rid, type_id, id, version, Method::Delete, &nothing)?;
        let state = &mut *self.state;
        repoint(&state.db, live.rid, version, true, vid)?;
        state
            .pending
            .close(
                &state.db,
                &self.tenant.vocabulary,
                type_id,
                live.rid,
                self.seq,
            )
            .doing("deleting a resource")?;
        let stored = Stored {
            type_id,
            id: id.clone(),
            version,
            updated: self.updated,
            method: Method::Delete,
            body: Bytes::new(),
            data: None,
        };
        self.parameter_written(entry, live.rid, &stored)?;
        Ok(stored)
    }

    fn version_row(
        &mut self,
        rid: i64,
        type_id: TypeId,
        id: &ResourceId,
        version: Version,
        method: Method,
        packed: &Packed<'_>,
    ) -> Result<i64> {
        let sealed = Sealed {
            tenant: self.tenant.id.bytes(),
            type_id,
            id,
            version,
            method,
            updated: self.updated,
            actor: self.actor.1,
            seq: self.seq,
            digest: packed.digest,
        };
        let seal = sealed.seal(&self.tenant.keys.seal);
        self.members += 1;
        self.state.touches.push(Touch {
            seq: self.seq.0,
            type_id,
            rid,
        });
        self.digest.add(&seal);
        self.state
            .db
            .prepare_cached(
                "INSERT INTO version
                 (rid,type,version,seq,method,updated_us,actor,dict,size,seal,body,blob)
                 VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)",
            )
            .and_then(|mut s| {
                s.insert(params![
                    rid,
                    type_id.0,
                    number(version.0),
                    number(self.seq.0),
                    method_number(method),
                    self.updated.0,
                    self.actor.0,
                    packed.dict,
                    number(packed.size as u64),
                    seal,
                    packed.body,
                    packed.blob
                ])
            })
            .doing("writing a version")
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

/// The elements of both.
fn both(one: Option<Mask>, other: Option<&Mask>) -> Option<Mask> {
    match (one, other) {
        (Some(a), Some(b)) => Some(a.and(b)),
        (one, other) => one.or_else(|| other.cloned()),
    }
}

struct Packed<'a> {
    dict: u32,
    size: usize,
    body: &'a [u8],
    digest: &'a [u8; 32],
    blob: Option<i64>,
}

fn number(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
