//! Where events come from: the journal, the changes, and the AuditEvents that clients sent. Each gives
//! its events in the order of time, one by one, and says how far it got.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

use access::{Search, Spent};
use base::{Micros, Seq};
use fhir::definitions::ParamKind;
use fhir::search::Query;
use fhir::search::query::{SortBy, SortKey, Total};
use fhir::search::rows::RowValue;
use rusqlite::Connection;

use super::super::event::{ChangeRow, Events};
use super::super::index::{Between, Index, Narrow};
use super::super::place::{AtChange, AtRecord, AtStored, Place};
use super::{Question, Time, as_shown, stored};
use crate::audit::Told;
use crate::journal::{Frames, Place as JournalPlace};
use crate::sqlite::extract;
use crate::sqlite::fault::Doing;
use crate::sqlite::page::searched;
use crate::sqlite::tenant::OpenTenant;
use crate::{Entry, Mode, PageRequest, Position, Result};
use fhir::audit_event::AuditEvent;

/// Changes that are read at once.
const CHANGES_READ: usize = 64;

/// An event, with its time.
pub(super) struct Candidate {
    pub(super) at: Micros,
    pub(super) entry: Entry,
    /// The row of one that a client sent.
    pub(super) rid: Option<i64>,
}

/// What a source has next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Something.
    One,
    /// Nothing any more.
    End,
    /// The time is over.
    Later,
}

/// Gives events in the order of time.
pub(super) trait Source {
    /// The next one, once it was looked for.
    fn head(&self) -> Option<&Candidate>;
    /// Looks for the next one.
    fn fill(&mut self) -> Result<Next>;
    /// Takes the next one; `only_counted`: it stays for another page.
    fn take(&mut self, only_counted: bool) -> Option<Candidate>;
}

/// How far a source got. What is only counted is left for another page.
struct Done<P> {
    place: P,
    frozen: bool,
}

impl<P> Done<P> {
    const fn at(place: P) -> Self {
        Self {
            place,
            frozen: false,
        }
    }

    fn set(&mut self, place: P) {
        if !self.frozen {
            self.place = place;
        }
    }

    fn took(&mut self, place: P, only_counted: bool) {
        self.frozen |= only_counted;
        self.set(place);
    }
}

/// What all sources need.
pub(super) struct Surroundings<'a> {
    pub(super) tenant: &'a Arc<OpenTenant>,
    pub(super) db: &'a Connection,
    pub(super) spent: &'a Spent<Search>,
    pub(super) asked: &'a Question,
    pub(super) time: &'a Time<'a>,
    pub(super) as_of: Seq,
    pub(super) events: RefCell<Events<'a>>,
}

impl Surroundings<'_> {
    /// The event, if it is one that is asked for and its caller may see it.
    fn candidate(&self, event: &AuditEvent) -> Result<Option<Candidate>> {
        let stored = stored(self.tenant, self.asked.type_id, event);
        if !self.asked.fits(self.tenant, event, &stored)? {
            return Ok(None);
        }
        let shown = as_shown(self.tenant, self.asked.rule.as_ref(), stored)?;
        Ok(shown.map(|stored| Candidate {
            at: event.recorded,
            entry: Entry {
                resource: self.spent.release(stored.type_id, stored),
                mode: Mode::Match,
                score: None,
                made: false,
                within: None,
            },
            rid: None,
        }))
    }
}

/// The index of the trail, where it knows something of what is asked for.
pub(super) struct Narrowed<'i> {
    pub(super) index: &'i Index,
    pub(super) narrow: Narrow,
}

/// A record that may fit: what it tells, or where the index says that it is.
enum Record {
    Told(Box<Told>),
    At(JournalPlace),
}

/// Such a record, with its time and number.
type Queued = (Micros, u64, Record);

/// Records of the journal.
pub(super) struct Reads<'a> {
    around: &'a Surroundings<'a>,
    /// The index, as long as it is right.
    narrowed: Option<&'a Narrowed<'a>>,
    frames: Frames<'a>,
    last: u64,
    /// Segments still to be read, the next one last.
    segments: Vec<u64>,
    segment: u64,
    /// Records of the segment that may fit, in order.
    queue: VecDeque<Queued>,
    head: Option<(Candidate, AtRecord)>,
    done: Done<AtRecord>,
}

impl<'a> Reads<'a> {
    pub(super) fn begin(
        around: &'a Surroundings<'a>,
        narrowed: Option<&'a Narrowed<'a>>,
        place: &Place,
    ) -> Result<Self> {
        let journal = &around.tenant.shared.journal;
        let descending = around.asked.descending;
        let mut segments = journal.segments()?;
        let from = match place.record {
            AtRecord::Start => None,
            AtRecord::Segment(segment) | AtRecord::Past(segment, _) => Some(segment),
            AtRecord::End => {
                segments.clear();
                None
            }
        };
        if let Some(from) = from {
            segments.retain(|s| if descending { *s <= from } else { *s >= from });
        }
        if !descending {
            segments.reverse();
        }
        let mut reads = Self {
            around,
            narrowed,
            frames: Frames::new(journal),
            last: place.last,
            segments,
            segment: 0,
            queue: VecDeque::new(),
            head: None,
            done: Done::at(place.record),
        };
        if let AtRecord::Past(segment, past) = place.record {
            reads.segments.retain(|s| *s != segment);
            reads.load(segment)?;
            let is_after = |key: (Micros, u64)| if descending { key < past } else { key > past };
            reads
                .queue
                .retain(|(at, number, _)| is_after((*at, *number)));
        }
        Ok(reads)
    }

    pub(super) const fn done(&self) -> AtRecord {
        self.done.place
    }

    fn load(&mut self, segment: u64) -> Result<()> {
        let tenant = self.around.tenant;
        let asked = self.around.asked;
        self.segment = segment;
        let known = tenant.trail_spans.get(segment);
        if known.is_some_and(|span| !span.meets(asked.from, asked.to)) {
            return Ok(());
        }
        let mut found = match self.named(segment)? {
            Some((mut named, rest)) => {
                if let Some(from) = rest {
                    self.scan((segment, from), &mut named)?;
                }
                named
            }
            None => {
                let mut found = Vec::new();
                if tenant
                    .shared
                    .journal
                    .has_records(*tenant.id.bytes(), segment)?
                {
                    self.scan((segment, 0), &mut found)?;
                }
                found
            }
        };
        found.sort_by_key(|(at, number, _)| (*at, *number));
        if asked.descending {
            found.reverse();
        }
        self.queue = found.into();
        Ok(())
    }

    /// What the index names of a segment, and from where on the segment is not in the index; none where it
    /// knows nothing of the segment.
    fn named(&self, segment: u64) -> Result<Option<(Vec<Queued>, Option<u64>)>> {
        let Some(Narrowed { index, narrow }) = self.narrowed else {
            return Ok(None);
        };
        let (last, offset) = index.reach.place;
        if segment > last {
            return Ok(None);
        }
        let rest = (segment == last).then_some(offset);
        let Some((first, to)) = index.numbers_in(segment)? else {
            return Ok(Some((Vec::new(), rest)));
        };
        let asked = self.around.asked;
        let between = Between {
            numbers: (first, to.min(self.last)),
            times: (asked.from, asked.to),
        };
        let found = index.records(narrow, between)?.into_iter();
        let named = found.map(|found| (found.at, found.number, Record::At(found.place)));
        Ok(Some((named.collect(), rest)))
    }

    /// Looks through a segment from a place on.
    fn scan(&self, place: JournalPlace, found: &mut Vec<Queued>) -> Result<()> {
        let (tenant, asked, last) = (self.around.tenant, self.around.asked, self.last);
        let mut span = Span::EMPTY;
        let journal = &tenant.shared.journal;
        let (id, key) = (*tenant.id.bytes(), &tenant.keys.journal);
        let sealed = journal.records_from(id, key, place, &mut |head, record| {
            let Some(told) = Told::read(record) else {
                return;
            };
            let at = told.request.at.to_millis_precision();
            span.add(at);
            if head.number <= last && asked.may_be_at(at) {
                found.push((at, head.number, Record::Told(Box::new(told))));
            }
        })?;
        // A segment that is full does not change any more.
        if sealed && place.1 == 0 {
            tenant.trail_spans.put(place.0, span);
        }
        Ok(())
    }

    /// What a record of the queue tells; none if the index is wrong about it.
    fn told(&mut self, (at, number): (Micros, u64), record: Record) -> Result<Option<Box<Told>>> {
        let place = match record {
            Record::Told(told) => return Ok(Some(told)),
            Record::At(place) => place,
        };
        let tenant = self.around.tenant;
        let (id, key) = (*tenant.id.bytes(), &tenant.keys.journal);
        let found = self.frames.record(id, key, place)?;
        let told = found
            .filter(|(is, _)| *is == number)
            .and_then(|(_, record)| Told::read(&record));
        Ok(told
            .filter(|told| told.request.at.to_millis_precision() == at)
            .map(Box::new))
    }

    /// Goes on without the index, from a record of this segment on.
    fn distrust(&mut self, from: (Micros, u64)) -> Result<()> {
        let tenant = self.around.tenant;
        tracing::error!(tenant = %tenant.id.name(), "the index of a trail names records that are not there; it is not used");
        self.narrowed = None;
        self.load(self.segment)?;
        let descending = self.around.asked.descending;
        let is_left = |key: (Micros, u64)| if descending { key <= from } else { key >= from };
        self.queue.retain(|(at, number, _)| is_left((*at, *number)));
        Ok(())
    }
}

impl Source for Reads<'_> {
    fn head(&self) -> Option<&Candidate> {
        self.head.as_ref().map(|(head, _)| head)
    }

    fn fill(&mut self) -> Result<Next> {
        loop {
            if self.around.time.is_over() {
                return Ok(Next::Later);
            }
            let Some((at, number, record)) = self.queue.pop_front() else {
                let Some(segment) = self.segments.pop() else {
                    self.done.set(AtRecord::End);
                    return Ok(Next::End);
                };
                self.done.set(AtRecord::Segment(segment));
                self.load(segment)?;
                continue;
            };
            let Some(told) = self.told((at, number), record)? else {
                self.distrust((at, number))?;
                continue;
            };
            let past = AtRecord::Past(self.segment, (at, number));
            self.around.tenant.shared.metrics.trail_events.add(1);
            let event = self.around.events.borrow_mut().access(number, &told)?;
            if let Some(candidate) = self.around.candidate(&event)? {
                self.head = Some((candidate, past));
                return Ok(Next::One);
            }
            self.done.set(past);
        }
    }

    fn take(&mut self, only_counted: bool) -> Option<Candidate> {
        let (head, past) = self.head.take()?;
        self.done.took(past, only_counted);
        Some(head)
    }
}

/// Changes.
pub(super) struct Changes<'a> {
    around: &'a Surroundings<'a>,
    narrowed: Option<&'a Narrowed<'a>>,
    after: Option<Seq>,
    queue: VecDeque<ChangeRow>,
    head: Option<(Candidate, AtChange)>,
    ended: bool,
    done: Done<AtChange>,
}

impl<'a> Changes<'a> {
    pub(super) fn begin(
        around: &'a Surroundings<'a>,
        narrowed: Option<&'a Narrowed<'a>>,
        place: AtChange,
    ) -> Self {
        Self {
            around,
            narrowed,
            after: match place {
                AtChange::Past(seq) => Some(seq),
                AtChange::Start | AtChange::End => None,
            },
            queue: VecDeque::new(),
            head: None,
            ended: place == AtChange::End,
            done: Done::at(place),
        }
    }

    pub(super) const fn done(&self) -> AtChange {
        self.done.place
    }

    /// The next changes that may fit.
    fn some(&self) -> Result<Vec<ChangeRow>> {
        let (db, as_of) = (self.around.db, self.around.as_of);
        let descending = self.around.asked.descending;
        let Some(Narrowed { index, narrow }) = self.narrowed else {
            return ChangeRow::some(db, (self.after, as_of), descending, CHANGES_READ);
        };
        let reach = index.reach.seq;
        if descending {
            // Those that the index does not know come first.
            let mut some = ChangeRow::some(db, (self.after, as_of), true, CHANGES_READ)?;
            some.retain(|row| row.seq > reach);
            if !some.is_empty() {
                return Ok(some);
            }
        }
        let last = reach.0.min(as_of.0);
        let numbers = match (descending, self.after) {
            (true, Some(after)) => (0, last.min(after.0.saturating_sub(1))),
            (false, Some(after)) => (after.0.saturating_add(1), last),
            (_, None) => (0, last),
        };
        let between = Between {
            numbers,
            times: (self.around.asked.from, self.around.asked.to),
        };
        let named = index.changes(narrow, between, descending, CHANGES_READ)?;
        let mut some = Vec::with_capacity(named.len());
        for change in named {
            some.extend(ChangeRow::one(db, change.seq)?);
        }
        if some.is_empty() && !descending {
            let after = self.after.map_or(reach, |after| after.max(reach));
            return ChangeRow::some(db, (Some(after), as_of), false, CHANGES_READ);
        }
        Ok(some)
    }

    /// Passes over changes out of the time that is asked for: their times grow with their numbers.
    fn skip(&mut self) -> Result<()> {
        let asked = self.around.asked;
        let (bound, seek) = match asked.descending {
            true => (asked.to, asked.to < i64::MAX),
            false => (asked.from, asked.from > i64::MIN),
        };
        if !seek || self.after.is_some() {
            return Ok(());
        }
        let (mut low, mut high) = (0, i64::try_from(self.around.as_of.0).unwrap_or(i64::MAX));
        let mut look = self
            .around
            .db
            .prepare_cached("SELECT updated_us FROM change WHERE seq = ?1")
            .doing(super::super::DOING)?;
        // The first change that is later than the bound, or not before it.
        while low < high {
            let middle = low + (high - low) / 2;
            let at: i64 = look.query_row([middle], |r| r.get(0)).unwrap_or(i64::MIN);
            let before = if asked.descending {
                at <= bound
            } else {
                at < bound
            };
            if before {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let seq = u64::try_from(low).unwrap_or(0);
        self.after = Some(Seq(match asked.descending {
            true => seq + 1,
            false => seq.saturating_sub(1),
        }));
        Ok(())
    }
}

impl Source for Changes<'_> {
    fn head(&self) -> Option<&Candidate> {
        self.head.as_ref().map(|(head, _)| head)
    }

    fn fill(&mut self) -> Result<Next> {
        if self.ended {
            return Ok(Next::End);
        }
        let asked = self.around.asked;
        if self.done.place == AtChange::Start {
            self.skip()?;
        }
        loop {
            if self.around.time.is_over() {
                return Ok(Next::Later);
            }
            let Some(row) = self.queue.pop_front() else {
                let some = self.some()?;
                let Some(last) = some.last() else {
                    self.ended = true;
                    self.done.set(AtChange::End);
                    return Ok(Next::End);
                };
                self.after = Some(last.seq);
                self.queue = some.into();
                continue;
            };
            let past = AtChange::Past(row.seq);
            let at = row.at.to_millis_precision().0;
            let beyond = match asked.descending {
                true => at < asked.from,
                false => at > asked.to,
            };
            if beyond {
                self.queue.clear();
                self.ended = true;
                self.done.set(AtChange::End);
                return Ok(Next::End);
            }
            if asked.may_be_at(row.at) {
                self.around.tenant.shared.metrics.trail_events.add(1);
                let event = self.around.events.borrow_mut().change(&row)?;
                if let Some(candidate) = self.around.candidate(&event)? {
                    self.head = Some((candidate, past));
                    return Ok(Next::One);
                }
            }
            self.done.set(past);
        }
    }

    fn take(&mut self, only_counted: bool) -> Option<Candidate> {
        let (head, past) = self.head.take()?;
        self.done.took(past, only_counted);
        Some(head)
    }
}

/// AuditEvents that clients sent.
pub(super) struct Sent<'a> {
    around: &'a Surroundings<'a>,
    query: Query,
    next: AtStored,
    head: Option<(Candidate, AtStored)>,
    done: Done<AtStored>,
}

impl<'a> Sent<'a> {
    pub(super) fn begin(
        around: &'a Surroundings<'a>,
        query: &Query,
        place: AtStored,
    ) -> Result<Self> {
        let any: bool = around
            .db
            .query_row(
                "SELECT EXISTS (SELECT 1 FROM version WHERE type = ?1)",
                [around.asked.type_id.0],
                |r| r.get(0),
            )
            .doing(super::super::DOING)?;
        let place = if any { place } else { AtStored::End };
        let by = match (around.asked.by_update, query.sort.first()) {
            (true, Some(key)) => key.by.clone(),
            _ => SortBy::Param(vec![around.asked.date], ParamKind::Date),
        };
        let mut query = query.clone();
        query.sort = vec![SortKey {
            by,
            descending: around.asked.descending,
        }];
        (query.count, query.total) = (1, Total::None);
        Ok(Self {
            around,
            query,
            next: place.clone(),
            head: None,
            done: Done::at(place),
        })
    }

    pub(super) fn done(&self) -> AtStored {
        self.done.place.clone()
    }

    /// What it is sorted by.
    fn time_of(&self, entry: &Entry) -> Result<Micros> {
        let stored = entry.resource.get();
        if self.around.asked.by_update {
            return Ok(stored.updated);
        }
        let rows = extract::rows(self.around.tenant, stored)?;
        let date = rows.iter().find_map(|row| match &row.value {
            RowValue::Date(range) if row.param == self.around.asked.date => Some(range.low),
            _ => None,
        });
        Ok(Micros(date.unwrap_or(0)))
    }
}

impl Source for Sent<'_> {
    fn head(&self) -> Option<&Candidate> {
        self.head.as_ref().map(|(head, _)| head)
    }

    fn fill(&mut self) -> Result<Next> {
        loop {
            let after = match &self.next {
                AtStored::Start => None,
                AtStored::Past(bytes) => Some(Position(bytes.clone())),
                AtStored::End => {
                    self.done.set(AtStored::End);
                    return Ok(Next::End);
                }
            };
            if self.around.time.is_over() {
                return Ok(Next::Later);
            }
            let tenant = self.around.tenant;
            let page = PageRequest {
                after,
                as_of: Some(self.around.as_of),
                ..PageRequest::default()
            };
            let ticket = tenant.shared.cache.ticket();
            let (db, spent) = (self.around.db, self.around.spent);
            let (entries, rows, found) = searched(tenant, db, ticket, spent, &self.query, &page)?;
            let past = found.next.map_or(AtStored::End, |p| AtStored::Past(p.0));
            self.next = past.clone();
            let Some(entry) = entries.into_iter().next() else {
                self.done.set(past);
                continue;
            };
            let candidate = Candidate {
                at: self.time_of(&entry)?,
                entry,
                rid: rows.first().copied(),
            };
            self.head = Some((candidate, past));
            return Ok(Next::One);
        }
    }

    fn take(&mut self, only_counted: bool) -> Option<Candidate> {
        let (head, past) = self.head.take()?;
        self.done.took(past, only_counted);
        Some(head)
    }
}

/// From when to when a tenant's records of a segment are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    from: i64,
    to: i64,
}

impl Span {
    const EMPTY: Self = Self {
        from: i64::MAX,
        to: i64::MIN,
    };

    fn add(&mut self, at: Micros) {
        self.from = self.from.min(at.0);
        self.to = self.to.max(at.0);
    }

    const fn meets(self, from: i64, to: i64) -> bool {
        self.from <= to && from <= self.to
    }
}

/// Spans of segments that are full, once they were read.
#[derive(Debug, Default)]
pub(crate) struct Spans(parking_lot::Mutex<std::collections::HashMap<u64, Span>>);

/// Segments whose spans are remembered.
const SPANS_MAX: usize = 65_536;

impl Spans {
    fn get(&self, segment: u64) -> Option<Span> {
        self.0.lock().get(&segment).copied()
    }

    fn put(&self, segment: u64, span: Span) {
        let mut known = self.0.lock();
        if known.len() < SPANS_MAX {
            known.insert(segment, span);
        }
    }
}
