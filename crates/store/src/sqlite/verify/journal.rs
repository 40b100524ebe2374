//! A tenant's records in the journal: whole, in order, and as far as others know that they go.
//!
//! Changes say now and then where the journal stood, and the house keeps a place too. The journal
//! must go through every one of those places: one that ends before, or goes elsewhere, was cut.

use base::Seq;
use rusqlite::{Connection, Rows};

use super::super::connection::in_snapshot;
use super::super::fault::Doing;
use super::{Against, Check, DOING};
use crate::audit::ChangeHead;
use crate::journal::{self, Head};
use crate::merkle::{self, Frontier};
use crate::sqlite::house::notary::{Judged, SignedHead};
use crate::sqlite::{administration, rows};
use crate::{Finding, FindingKind, Result, Tampering};

impl Check<'_> {
    /// Checks the records; the last end of the chain of changes that they tell of.
    pub(super) fn journal(&mut self, against: &Against<'_>) -> Result<Option<ChangeHead>> {
        // Places first: each is of a record that the journal has by now.
        let reader = self.tenant.reader()?;
        let done = in_snapshot(&reader.db, || self.scan(&reader.db, against));
        self.tenant.give_back(reader);
        self.heads(against)?;
        done
    }

    /// Compares the tree of the records with the heads that were signed of it.
    fn heads(&mut self, against: &Against<'_>) -> Result<()> {
        let mut heads = Vec::new();
        for head in &against.heads {
            match head.judge(&against.origin) {
                Judged::Good => heads.push(head),
                Judged::Other => {}
                Judged::Forged => self.found(Finding {
                    record: Some(head.size),
                    ..Finding::of(FindingKind::Head)
                }),
            }
        }
        heads.sort_by_key(|head| head.size);
        let mut compared = Compared {
            heads: heads.into_iter().peekable(),
            good: 0,
            differs: None,
        };
        let mut tree: Option<Frontier> = None;
        let id = *self.tenant.id.bytes();
        against.house.leaves(&id, &mut |gone, frame| {
            let tree = tree.get_or_insert_with(|| gone.clone());
            compared.pass(tree);
            tree.push(merkle::leaf(frame));
            compared.meet(tree);
        })?;
        let size = tree.map_or(0, |tree| tree.size());
        let beyond = compared.heads.find(|head| head.size > size);
        // The house saw at a start that the end was gone: whoever cut it off needed no key, and what stands
        // there now was written since.
        let cut = against.anchor.filter(|a| a.held);
        let seen = cut.is_some_and(|a| a.place.number > compared.good);
        let other = match seen {
            true => Tampering::CutOff,
            false => Tampering::Rewritten,
        };
        let wrong = match (compared.differs, beyond) {
            (Some(at), _) => Some((compared.good + 1, at - compared.good, other)),
            (None, Some(head)) => Some((size + 1, head.size - size, Tampering::CutOff)),
            (None, None) => None,
        };
        // Records that were edited, or are gone, explain why the tree is another one: who signed them did
        // not rewrite them.
        let explained = |until: u64| {
            let told = self.report.findings.iter();
            told.filter(|f| f.kind == FindingKind::Journal && f.tampering.is_some())
                .any(|f| f.record.is_some_and(|record| record <= until))
        };
        if let Some((record, records, tampering)) = wrong {
            let lost = cut.is_some_and(|a| a.is_lost());
            let accuses =
                tampering != Tampering::Rewritten || !lost && !explained(record + records);
            self.found(Finding {
                record: Some(record),
                records: Some(records),
                tampering: accuses.then_some(tampering),
                ..Finding::of(FindingKind::Head)
            });
        }
        Ok(())
    }

    /// What was done to records on the disk; whether it was anything.
    fn tampering(&mut self, against: &Against<'_>, known: u64) -> Result<bool> {
        let keyed = (
            *self.tenant.id.bytes(),
            journal::key_of(&self.tenant.keys.journal)?,
        );
        let signed = against.heads.iter();
        let signed = signed.filter(|h| h.judge(&against.origin) == Judged::Good);
        let last = signed.map(|head| head.size).fold(known, u64::max);
        let journal = &self.tenant.shared.journal;
        let done = journal.examine(&keyed, last, &mut || against.house.journal_keys())?;
        for one in &done {
            self.found(Finding {
                record: Some(one.record),
                records: (one.records > 1).then_some(one.records),
                tampering: Some(one.what),
                ..Finding::of(FindingKind::Journal)
            });
        }
        Ok(!done.is_empty())
    }

    fn scan(&mut self, db: &Connection, against: &Against<'_>) -> Result<Option<ChangeHead>> {
        let mut read = db
            .prepare("SELECT seq, journal FROM change WHERE journal IS NOT NULL ORDER BY seq")
            .doing(DOING)?;
        let mut places = Places {
            rows: read.query([]).doing(DOING)?,
            next: None,
            missed: Vec::new(),
            failed: None,
        };
        places.advance();
        let mut changes: Option<ChangeHead> = None;
        let mut elsewhere = false;
        // What was made after this snapshot is judged with the last one, below.
        let newest = rows::last_seq(db)?;
        let mut other: Option<Seq> = None;
        let mut unread = None;
        let journal = &self.tenant.shared.journal;
        let last = journal.head(self.tenant.id.bytes());
        let key = &self.tenant.keys.journal;
        let scan = journal.scan(*self.tenant.id.bytes(), key, &mut |place, record| {
            let told = ChangeHead::decode(record);
            if let Some(head) = told.filter(|head| head.seq <= newest && other.is_none()) {
                match administration::passes(db, head) {
                    Ok(true) => {}
                    Ok(false) => other = Some(head.seq),
                    Err(e) => unread = Some(e),
                }
            }
            changes = told.or(changes);
            places.meet(place);
            elsewhere |= against
                .anchor
                .is_some_and(|a| a.place.number == place.number && a.place != place);
        })?;
        if let Some(failed) = places.failed.take() {
            return Err(failed).doing(DOING);
        }
        if let Some(e) = unread {
            return Err(e);
        }
        self.elsewhere = other;
        places.end(scan.start);
        let ends = scan.head.number;
        let anchor = against.anchor.map_or(0, |a| a.place.number);
        let short = ends < last.number || ends < anchor;
        self.report.events += scan.records;
        let known = anchor.max(last.number);
        let told = self.tampering(against, known)?;
        // Old segments are taken away by the house only.
        let taken = against.house.segments_taken()?;
        if taken {
            self.found(Finding {
                record: Some(1),
                records: Some(scan.start.number),
                tampering: Some(Tampering::Deleted),
                ..Finding::of(FindingKind::Journal)
            });
        } else if (scan.broken_at.is_some() || short || elsewhere) && !told {
            self.plain(FindingKind::Journal);
        }
        if against.anchor.is_some_and(|a| a.is_lost()) {
            // What the house knew was taken out.
            self.plain(FindingKind::Journal);
        }
        for seq in std::mem::take(&mut places.missed) {
            self.at_change(FindingKind::Journal, seq);
        }
        Ok(changes)
    }
}

/// Heads in order of size, met by the tree as it grows.
struct Compared<'h> {
    heads: std::iter::Peekable<std::vec::IntoIter<&'h SignedHead>>,
    /// The size of the last head that agrees.
    good: u64,
    /// The size of the first that does not.
    differs: Option<u64>,
}

impl Compared<'_> {
    /// Heads of trees that were smaller when the first leaf that is kept came cannot be compared.
    fn pass(&mut self, tree: &Frontier) {
        while self.heads.next_if(|head| head.size < tree.size()).is_some() {}
        self.meet(tree);
    }

    fn meet(&mut self, tree: &Frontier) {
        while let Some(head) = self.heads.next_if(|head| head.size == tree.size()) {
            if self.differs.is_some() {
                continue;
            }
            if head.root == tree.root() {
                self.good = head.size;
            } else {
                self.differs = Some(head.size);
            }
        }
    }
}

/// Places that changes tell of, in order, met by the records.
struct Places<'a> {
    rows: Rows<'a>,
    next: Option<(Seq, Head)>,
    /// Changes whose place the journal does not go through.
    missed: Vec<Seq>,
    failed: Option<rusqlite::Error>,
}

impl Places<'_> {
    fn advance(&mut self) {
        let read = |row: &rusqlite::Row<'_>| {
            let seq = u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0);
            let place = row.get_ref(1)?.as_blob().ok().and_then(Head::from_bytes);
            // What is no place is none that a journal goes through.
            Ok((Seq(seq), place.unwrap_or_default()))
        };
        let next = self.rows.next().and_then(|row| row.map(read).transpose());
        self.next = next.unwrap_or_else(|e| {
            self.failed = Some(e);
            None
        });
    }

    fn meet(&mut self, record: Head) {
        while let Some((seq, place)) = self.next {
            if place.number > record.number {
                return;
            }
            if place != record {
                self.missed.push(seq);
            }
            self.advance();
        }
    }

    /// No more records come; the first one kept was after `start`.
    fn end(&mut self, start: Head) {
        while let Some((seq, place)) = self.next {
            if place.number > start.number {
                self.missed.push(seq);
            }
            self.advance();
        }
    }
}
