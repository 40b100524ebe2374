//! Keeping in the control database where the journal stood, and looking at a start whether it still
//! gets there.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use base::{Code, Micros, Seq};

use super::super::administration;
use super::super::connection::in_snapshot;
pub(super) use super::super::control::HOUSE;
use super::super::control::{Anchor, Deed, Of};
use super::super::tenant::OpenTenant;
use super::{Entry, House};
use crate::Result;
use crate::audit::{ChangeHead, OperatorsHead};
use crate::journal::Head;

/// How often places are kept: a cut within what was written since does not show by them.
const EVERY_SECONDS: i64 = 60;

type Places = Vec<([u8; 16], Head)>;
type Anchored = Vec<([u8; 16], Anchor)>;
type Kept = HashMap<[u8; 16], Anchor>;

/// What is kept, and what will be once it is on the disk.
#[derive(Default)]
pub(super) struct Anchors {
    kept: Kept,
    /// Of chains of changes.
    changes: Kept,
    /// Places, and the bytes of the journal up to them.
    next: Option<(Places, Places, u64)>,
    looked: Option<Micros>,
}

impl House {
    /// Compares the journal with the places that are kept of it.
    pub(super) fn compare_anchors(&self) -> Result<()> {
        let (mut found, mut bad) = self.control.lock().anchors(Of::Journal)?;
        let (mut changes, bad_too) = self.control.lock().anchors(Of::Changes)?;
        bad += bad_too;
        self.miss_places(&mut found, &mut changes)?;
        if bad > 0 {
            tracing::error!(
                code = Code::AuditAltered.as_str(),
                "{bad} places of the journal and of changes in control.db are not the house's"
            );
        }
        let mut anchors = self.anchors.lock();
        anchors.changes.extend(changes);
        self.count_older(&anchors);
        for (tenant, mut anchor) in found {
            let short = self.shared.journal.head(&tenant).number < anchor.place.number;
            if short && !anchor.held {
                anchor.held = true;
                let tenant_hex = super::folder::hex(&tenant);
                tracing::error!(
                    tenant = tenant_hex,
                    code = Code::AuditAltered.as_str(),
                    "the journal ends before records that it had when it was last looked at"
                );
                let mut control = self.control.lock();
                control.anchor(Of::Journal, &[(tenant, anchor)])?;
                control.note(&Deed {
                    by: &self.system(),
                    action: "journal cut",
                    tenant: Some(&tenant),
                    detail: &format!("before record {}", anchor.place.number),
                })?;
            }
            anchors.kept.insert(tenant, anchor);
        }
        Ok(())
    }

    /// Each tenant has places from its beginning. One that is not there was taken out, and is missed from now
    /// on.
    fn miss_places(&self, journal: &mut Anchored, changes: &mut Anchored) -> Result<()> {
        let mut control = self.control.lock();
        let (lines, _) = control.load()?;
        let vouched: Vec<[u8; 16]> = (lines.iter().filter(|line| line.has_places))
            .map(|line| line.record.id)
            .collect();
        let house = (!vouched.is_empty()).then_some(HOUSE);
        for (of, found, all) in [
            (Of::Journal, journal, vouched.iter().chain(&house)),
            (Of::Changes, changes, vouched.iter().chain(&None)),
        ] {
            let there: HashSet<[u8; 16]> = found.iter().map(|(tenant, _)| *tenant).collect();
            let lost: Anchored = all
                .filter(|tenant| !there.contains(*tenant))
                .map(|tenant| (*tenant, Anchor::LOST))
                .collect();
            if lost.is_empty() {
                continue;
            }
            control.anchor(of, &lost)?;
            for (tenant, _) in &lost {
                tracing::error!(
                    tenant = super::folder::hex(tenant),
                    code = Code::AuditAltered.as_str(),
                    "control.db lacks the place of {} that it had",
                    of.table()
                );
                control.note(&Deed {
                    by: &self.system(),
                    action: "place taken out",
                    tenant: (*tenant != HOUSE).then_some(tenant),
                    detail: of.table(),
                })?;
            }
            found.extend(lost);
        }
        control.begin_places(lines)
    }

    /// Keeps where the journal stands; what is not on the disk yet the next time.
    pub(super) fn anchor_journal(&self) -> Result<()> {
        let now = self.shared.clock.monotonic();
        let mut anchors = self.anchors.lock();
        if anchors
            .looked
            .is_some_and(|at| now < at.plus_secs(EVERY_SECONDS))
        {
            return Ok(());
        }
        anchors.looked = Some(now);
        let journal = &self.shared.journal;
        match anchors.next.take() {
            Some((places, changes, written)) if journal.flushed() >= written => {
                self.keep(Of::Journal, &mut anchors.kept, &places)?;
                self.keep(Of::Changes, &mut anchors.changes, &changes)?;
            }
            _ => {}
        }
        let places = journal.heads();
        anchors.next = Some((places, self.changed(), journal.written()));
        Ok(())
    }

    /// Keeps where the journal ends, after it was closed.
    pub(super) fn anchor_end(&self) -> Result<()> {
        let journal = &self.shared.journal;
        if journal.flushed() < journal.written() {
            return Ok(());
        }
        let mut anchors = self.anchors.lock();
        self.keep(Of::Journal, &mut anchors.kept, &journal.heads())?;
        self.keep(Of::Changes, &mut anchors.changes, &self.changed())
    }

    fn keep(&self, of: Of, kept: &mut Kept, places: &Places) -> Result<()> {
        let moved = |(tenant, place): &&([u8; 16], Head)| {
            let kept = kept.get(tenant);
            kept.is_none_or(|kept| !kept.held && kept.place.number < place.number)
        };
        let anchor = |place| Anchor { place, held: false };
        let moved: Vec<([u8; 16], Anchor)> = places
            .iter()
            .filter(moved)
            .map(|(tenant, place)| (*tenant, anchor(*place)))
            .collect();
        if moved.is_empty() {
            return Ok(());
        }
        self.control.lock().anchor(of, &moved)?;
        kept.extend(moved);
        Ok(())
    }

    /// How far chains of changes are that this run made longer.
    fn changed(&self) -> Places {
        let changed = self.shared.changed.lock();
        let place = |head: &ChangeHead| Head {
            number: head.seq.0,
            chain: head.chain,
        };
        changed
            .iter()
            .map(|(id, head)| (*id, place(head)))
            .collect()
    }

    /// Where the house knows that a tenant's chain of changes was.
    pub(crate) fn changed_of(&self, tenant: &[u8; 16]) -> Option<ChangeHead> {
        let made = self.shared.changed.lock().get(tenant).copied();
        let kept = self.anchors.lock().changes.get(tenant).copied();
        let of = |anchor: Anchor| ChangeHead {
            seq: Seq(anchor.place.number),
            chain: anchor.place.chain,
        };
        // A place that a database lacked stays what it is judged by.
        match kept {
            Some(kept) if kept.held => Some(of(kept)),
            kept => made.or(kept.filter(|kept| kept.place.number > 0).map(of)),
        }
    }

    /// Looks whether the database of a tenant that is opened goes as far as the house knows that it went:
    /// an older one that was put in its place says nothing of it by itself.
    pub(super) fn compare_changes(&self, entry: &Entry, tenant: &Arc<OpenTenant>) -> Result<()> {
        let id = *entry.tenant.bytes();
        let Some(known) = self.changed_of(&id).filter(|known| known.seq.0 > 0) else {
            return Ok(());
        };
        let reader = tenant.reader()?;
        let passes = in_snapshot(&reader.db, || administration::passes(&reader.db, known));
        tenant.give_back(reader);
        let passes = passes?;
        let mut anchors = self.anchors.lock();
        let was_held = anchors.changes.get(&id).is_some_and(|kept| kept.held);
        if !passes {
            tracing::error!(
                tenant = %entry.tenant.name(),
                seq = known.seq.0,
                code = Code::AuditAltered.as_str(),
                "the tenant's database lacks a change that it had: an older one was put in its place, or its end is gone"
            );
        }
        if passes != was_held {
            return Ok(());
        }
        let place = Head {
            number: known.seq.0,
            chain: known.chain,
        };
        let anchor = Anchor {
            place,
            held: !passes,
        };
        let mut control = self.control.lock();
        control.anchor(Of::Changes, &[(id, anchor)])?;
        anchors.changes.insert(id, anchor);
        self.count_older(&anchors);
        control.note(&Deed {
            by: &self.system(),
            action: match passes {
                true => "database whole again",
                false => "database older than its changes",
            },
            tenant: Some(&id),
            detail: &format!("change {}", known.seq.0),
        })
    }

    fn count_older(&self, anchors: &Anchors) {
        let held = anchors.changes.values().filter(|kept| kept.held).count();
        self.shared.metrics.older_databases.set(held as u64);
    }

    /// The place that is kept of a tenant's chain.
    pub(crate) fn anchor_of(&self, tenant: &[u8; 16]) -> Option<Anchor> {
        self.anchors.lock().kept.get(tenant).copied()
    }

    /// The first line of the operators' audit that is not as it was written.
    pub(crate) fn operators_broken_at(&self) -> Result<Option<i64>> {
        let mut known: Option<OperatorsHead> = None;
        let mut anew: Option<i64> = None;
        let key = &self.keys.journal;
        let scan = self.shared.journal.scan(HOUSE, key, &mut |_, record| {
            let Some(head) = OperatorsHead::decode(record) else {
                return;
            };
            // A line that was written twice was cut off in between.
            if known.is_some_and(|k| k.line >= head.line) {
                anew = anew.or(Some(head.line));
            }
            known = Some(head);
        })?;
        let broken = self.control.lock().audit_broken_at(known)?;
        let short = self
            .anchor_of(&HOUSE)
            .is_some_and(|a| a.is_lost() || scan.head.number < a.place.number);
        if broken.is_none() && (scan.broken_at.is_some() || short) {
            // The journal's side is broken: nothing vouches for the end any more.
            return Ok(Some(known.map_or(0, |k| k.line) + 1));
        }
        Ok(broken.or(anew))
    }

    /// From now on the journal learns of each line of the operators' audit.
    pub(super) fn tell_journal_of_operators(&self) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let pen = shared
            .journal
            .pen(HOUSE, &self.keys.journal, &*shared.rng)?;
        self.control.lock().tell(move |head| {
            // The line is committed whatever happens here.
            let _ = shared.journal.append(&pen, &head.encode());
        });
        Ok(())
    }
}
