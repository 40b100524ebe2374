//! What policy lets through of a change: what of it was in reach before and is afterwards, and what is hidden from
//! its caller or not theirs to change.

use base::{Code, ResourceId, Seq, Version};
use fhir::definitions::TypeId;
use fhir::json;
use fhir::resource::mask::Mask;
use fhir::resource::write_head;
use fhir::search::query::Clause;

use super::super::fault::{Doing, internal};
use super::super::{rows, sight};
use super::{DEPTH_MAX, Making, Op, find, refused};
use crate::{Method, Outcome, Prepared, Result, Written};

impl Making<'_> {
    /// For each write, whether the resource is there for its caller. What policy keeps out of reach
    /// is looked at before anything of the change is made. What the caller may read is refused in
    /// words; of what they may not even read they learn nothing.
    pub(super) fn reached(&mut self, ops: &[Op]) -> Result<Vec<bool>> {
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
    pub(super) fn must_keep_hidden(&mut self, ops: &[Op], reached: &[bool]) -> Result<()> {
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

    /// What is written, with a head.
    pub(super) fn whole(&self, resource: &Prepared, id: &ResourceId) -> Vec<u8> {
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
    pub(super) fn must_be_in_reach(
        &mut self,
        ops: &[Op],
        reached: &[bool],
        written: &[Written],
    ) -> Result<()> {
        if !ops.iter().any(|op| op.filter().is_some()) {
            return Ok(());
        }
        let (mut made, mut new) = (Vec::with_capacity(ops.len()), Vec::new());
        for ((op, reached), written) in ops.iter().zip(reached).zip(written) {
            // Of what a deletion did not reach nothing was made.
            if *reached || !matches!(op, Op::Delete { .. }) {
                let (type_id, id) = op.target();
                if let Some(current) = find(&self.state.db, type_id, id)? {
                    made.push(current.rid);
                    if written.outcome == Outcome::Created {
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

    pub(super) fn meets(
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
}

/// The elements of both.
pub(super) fn both(one: Option<Mask>, other: Option<&Mask>) -> Option<Mask> {
    match (one, other) {
        (Some(a), Some(b)) => Some(a.and(b)),
        (one, other) => one.or_else(|| other.cloned()),
    }
}
