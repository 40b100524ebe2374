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
use crate::journal::Head;
use crate::{FindingKind, Result};

impl Check<'_> {
    /// Checks the records; the last end of the chain of changes that they tell of.
    pub(super) fn journal(&mut self, against: &Against) -> Result<Option<ChangeHead>> {
        // Places first: each is of a record that the journal has by now.
        let reader = self.tenant.reader()?;
        let done = in_snapshot(&reader.db, || self.scan(&reader.db, against));
        self.tenant.give_back(reader);
        done
    }

    fn scan(&mut self, db: &Connection, against: &Against) -> Result<Option<ChangeHead>> {
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
        let journal = &self.tenant.shared.journal;
        let last = journal.head(self.tenant.id.bytes());
        let key = &self.tenant.keys.journal;
        let scan = journal.scan(*self.tenant.id.bytes(), key, &mut |place, record| {
            changes = ChangeHead::decode(record).or(changes);
            places.meet(place);
            elsewhere |= against
                .anchor
                .is_some_and(|a| a.number == place.number && a != place);
        })?;
        if let Some(failed) = places.failed.take() {
            return Err(failed).doing(DOING);
        }
        places.end(scan.start);
        let ends = scan.head.number;
        let short = ends < last.number || against.anchor.is_some_and(|a| ends < a.number);
        self.report.events += scan.records;
        // Segments are never taken away by the house.
        if scan.broken_at.is_some() || scan.start.number > 0 || short || elsewhere {
            self.plain(FindingKind::Journal);
        }
        for seq in std::mem::take(&mut places.missed) {
            self.at_change(FindingKind::Journal, seq);
        }
        Ok(changes)
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
