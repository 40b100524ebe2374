//! Keeping in the control database where the journal stood, and looking at a start whether it still
//! gets there.

use std::collections::HashMap;
use std::sync::Arc;

use base::{Code, Micros};

use super::super::control::{Anchor, Deed};
use super::House;
use crate::Result;
use crate::audit::OperatorsHead;
use crate::journal::Head;

/// How often places are kept: a cut within what was written since does not show by them.
const EVERY_SECONDS: i64 = 60;

/// Whose chain holds what operators did: no tenant has this id.
pub(super) const HOUSE: [u8; 16] = [0; 16];

type Places = Vec<([u8; 16], Head)>;

/// What is kept, and what will be once it is on the disk.
#[derive(Default)]
pub(super) struct Anchors {
    kept: HashMap<[u8; 16], Anchor>,
    /// Places, and the bytes of the journal up to them.
    next: Option<(Places, u64)>,
    looked: Option<Micros>,
}

impl House {
    /// Compares the journal with the places that are kept of it.
    pub(super) fn compare_anchors(&self) -> Result<()> {
        let (found, bad) = self.control.lock().anchors()?;
        if bad > 0 {
            tracing::error!(
                code = Code::AuditAltered.as_str(),
                "{bad} places of the journal in control.db are not the house's"
            );
        }
        let mut anchors = self.anchors.lock();
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
                control.anchor(&[(tenant, anchor)])?;
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
            Some((places, written)) if journal.flushed() >= written => {
                self.keep(&mut anchors, &places)?;
            }
            _ => {}
        }
        let places = journal.heads();
        anchors.next = Some((places, journal.written()));
        Ok(())
    }

    /// Keeps where the journal ends, after it was closed.
    pub(super) fn anchor_end(&self) -> Result<()> {
        let journal = &self.shared.journal;
        if journal.flushed() < journal.written() {
            return Ok(());
        }
        self.keep(&mut self.anchors.lock(), &journal.heads())
    }

    fn keep(&self, anchors: &mut Anchors, places: &Places) -> Result<()> {
        let moved = |(tenant, place): &&([u8; 16], Head)| {
            let kept = anchors.kept.get(tenant);
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
        self.control.lock().anchor(&moved)?;
        anchors.kept.extend(moved);
        Ok(())
    }

    /// The place that is kept of a tenant's chain.
    pub(crate) fn anchor_of(&self, tenant: &[u8; 16]) -> Option<Head> {
        self.anchors.lock().kept.get(tenant).map(|a| a.place)
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
            .is_some_and(|a| scan.head.number < a.number);
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
