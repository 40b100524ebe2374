//! A search of the trail: records of the journal, changes and the AuditEvents that clients sent,
//! together in the order of time.
//!
//! Segments of the journal are read one by one from the end that is asked for, those out of the time that is
//! asked for are passed over once it is known what they hold. Where the index of the trail knows what is asked
//! for, only the records and changes that it names are read; what is newer than the index is read as a whole.
//! A page ends where its time is over. It then has fewer events than were asked for, or none, and says where it
//! goes on.

mod sources;

use std::cell::RefCell;
use std::sync::Arc;

use access::{Rule, Search, Spent};
use base::{Code, Micros, Version};
use bytes::Bytes;
use fhir::audit_event::AuditEvent;
use fhir::definitions::{ParamId, TypeId};
use fhir::json;
use fhir::search::Query;
use fhir::search::holds::Beholder;
use fhir::search::query::{Clause, Match, Prefix, ReferenceMatch, SortBy, SortKey, Test, Total};
use rusqlite::Connection;

use super::event::{ChangeRow, Events, audit_event};
use super::index::{Index, Narrow};
use super::place::{AtChange, AtRecord, EventId, Place};
use crate::audit::Told;
use crate::sqlite::connection::in_snapshot;
use crate::sqlite::fault::internal;
use crate::sqlite::tenant::OpenTenant;
use crate::sqlite::{rows, sight};
use crate::{Entry, Method, Page, PageRequest, Result, StoreError, Stored};
pub(crate) use sources::Spans;
use sources::{Candidate, Changes, Narrowed, Next, Reads, Sent, Source, Surroundings};

/// Nesting that no event has.
const DEPTH_MAX: usize = 64;

/// What is asked of the trail.
pub(crate) struct Wanted {
    pub(crate) query: Arc<Query>,
    pub(crate) page: PageRequest,
}

/// A page of the trail, with the rows of stored AuditEvents that are on it.
pub(crate) fn search(
    tenant: &Arc<OpenTenant>,
    spent: &Spent<Search>,
    wanted: &Wanted,
) -> Result<(Page, Vec<i64>)> {
    let asked = Question::understand(tenant, spent, &wanted.query)?;
    let reader = tenant.reader()?;
    let limits = &tenant.shared.config.limits;
    let latest = wanted.page.deadline;
    reader.budget.set(latest, limits.search_kilosteps_max);
    let done = answer(tenant, &reader.db, spent, wanted, &asked);
    let done = reader.budget.name_limit(done, limits);
    tenant.give_back(reader);
    done
}

/// One event, as a rule shows it.
pub(crate) fn one(
    tenant: &Arc<OpenTenant>,
    rule: Option<&Arc<Rule>>,
    id: &EventId,
) -> Result<Option<Stored>> {
    let type_id = audit_event(tenant)?;
    let reader = tenant.reader()?;
    let found = in_snapshot(&reader.db, || {
        let mut events = Events::new(tenant, &reader.db);
        match id {
            EventId::Change(seq) => {
                let row = ChangeRow::one(&reader.db, *seq)?;
                row.map(|row| events.change(&row)).transpose()
            }
            EventId::Access(number) => {
                let told = record(tenant, *number)?;
                told.map(|told| events.access(*number, &told)).transpose()
            }
        }
    });
    tenant.give_back(reader);
    let Some(event) = found? else {
        return Ok(None);
    };
    let stored = stored(tenant, type_id, &event);
    as_shown(tenant, rule, stored)
}

/// The access that a record tells of.
fn record(tenant: &OpenTenant, number: u64) -> Result<Option<Told>> {
    let journal = &tenant.shared.journal;
    let id = *tenant.id.bytes();
    let Some(segment) = journal.segment_of(id, number)? else {
        return Ok(None);
    };
    let mut found = None;
    journal.records_of(id, &tenant.keys.journal, segment, &mut |place, record| {
        if place.number == number {
            found = Told::read(record);
        }
    })?;
    Ok(found)
}

fn stored(tenant: &OpenTenant, type_id: TypeId, event: &AuditEvent) -> Stored {
    Stored {
        type_id,
        id: event.id.clone(),
        version: Version(1),
        updated: event.recorded,
        method: Method::Post,
        body: Bytes::from(event.to_json(tenant.id.fhir())),
        data: None,
    }
}

/// An event as a rule shows it. What cannot be said of it alone is said to be out of reach.
fn as_shown(
    tenant: &OpenTenant,
    rule: Option<&Arc<Rule>>,
    stored: Stored,
) -> Result<Option<Stored>> {
    let Some(rule) = rule else {
        return Ok(Some(stored));
    };
    match sight::by_itself(tenant, rule, &stored)? {
        Some(seen) => seen.of(stored),
        None => Ok(None),
    }
}

fn refuse(what: &str) -> StoreError {
    let text = format!("the audit trail is not searched by {what}");
    StoreError::Refused(Code::SearchModifier, text)
}

/// A query of AuditEvents, as far as the trail can answer it.
struct Question {
    type_id: TypeId,
    date: ParamId,
    clauses: Vec<Clause>,
    /// Whom it must have touched: any of each.
    patients: Vec<Vec<base::ResourceId>>,
    from: i64,
    to: i64,
    descending: bool,
    by_update: bool,
    count: usize,
    total: bool,
    rule: Option<Arc<Rule>>,
}

impl Question {
    fn understand(tenant: &OpenTenant, spent: &Spent<Search>, query: &Query) -> Result<Self> {
        let type_id = audit_event(tenant)?;
        let param = |code: &str| tenant.model.param(type_id, code).map(|p| p.id);
        let (Some(date), updated) = (param("date"), param("_lastUpdated")) else {
            return Err(refuse("date"));
        };
        if !query.include.is_empty() {
            return Err(refuse("_include or _revinclude"));
        }
        if query.contained.is_some() {
            return Err(refuse("_contained"));
        }
        let (descending, by_update) = match query.sort.as_slice() {
            [] => (true, false),
            [SortKey { by, descending }] => match by {
                SortBy::Param(params, _) if params.contains(&date) => (*descending, false),
                SortBy::LastUpdated(_) => (*descending, true),
                _ => return Err(refuse("_sort by anything but date and _lastUpdated")),
            },
            _ => return Err(refuse("_sort by several parameters")),
        };
        let mut question = Self {
            type_id,
            date,
            clauses: Vec::new(),
            patients: Vec::new(),
            from: i64::MIN,
            to: i64::MAX,
            descending,
            by_update,
            count: usize::try_from(query.count).unwrap_or(usize::MAX),
            total: query.count == 0 || query.total == Total::Accurate,
            rule: spent.rule(type_id).cloned(),
        };
        let patient = param("patient");
        let hidden = question.rule.as_ref().and_then(|rule| rule.hidden());
        let hides_entities = hidden.is_some_and(|mask| mask.has("entity"));
        for clause in &query.filter {
            question.bound(clause, &[Some(date), updated]);
            match patient.and_then(|p| patients_of(tenant, clause, p)) {
                // Whom it touched stands in its entities.
                Some(_) if hides_entities => {
                    let text = "policy hides the entities of the audit trail's events".to_owned();
                    return Err(StoreError::Refused(Code::ElementHidden, text));
                }
                Some(ids) => question.patients.push(ids),
                None => {
                    let clause = by_record(clause, updated, date);
                    must_be_answered(tenant, type_id, &clause)?;
                    question.clauses.push(clause);
                }
            }
        }
        Ok(question)
    }

    /// Narrows the time by a clause that does.
    fn bound(&mut self, clause: &Clause, dates: &[Option<ParamId>]) {
        let Clause::Param(param) = clause else { return };
        let of_date = param
            .param
            .first()
            .is_some_and(|p| dates.contains(&Some(*p)));
        let Test::Any(values) = &param.test else {
            return;
        };
        let (true, [Match::Date(prefix, range)]) = (of_date, &**values) else {
            return;
        };
        match prefix {
            Prefix::Eq | Prefix::Ap => {
                self.from = self.from.max(range.low);
                self.to = self.to.min(range.high);
            }
            Prefix::Gt | Prefix::Ge | Prefix::Sa => self.from = self.from.max(range.low),
            Prefix::Lt | Prefix::Le | Prefix::Eb => self.to = self.to.min(range.high),
            Prefix::Ne => {}
        }
    }

    /// Whether anything is asked but a time.
    const fn is_narrow(&self) -> bool {
        !self.patients.is_empty() || !self.clauses.is_empty()
    }

    /// Times are those of whole milliseconds.
    const fn may_be_at(&self, at: Micros) -> bool {
        let at = at.to_millis_precision().0;
        self.from <= at && at <= self.to
    }

    fn fits(&self, tenant: &OpenTenant, event: &AuditEvent, stored: &Stored) -> Result<bool> {
        let touched = |any: &Vec<base::ResourceId>| event.patients().any(|p| any.contains(p));
        if !self.patients.iter().all(touched) {
            return Ok(false);
        }
        if self.clauses.is_empty() {
            return Ok(true);
        }
        let document = json::parse(&stored.body, DEPTH_MAX)
            .map_err(|_| internal("an event cannot be read"))?;
        let eye = Beholder::new(tenant.model, self.type_id, document.root(), &[]);
        Ok(eye.is_some_and(|eye| self.clauses.iter().all(|c| eye.holds(c) == Some(true))))
    }
}

/// The patients of a plain `patient=…`.
fn patients_of(
    tenant: &OpenTenant,
    clause: &Clause,
    patient: ParamId,
) -> Option<Vec<base::ResourceId>> {
    let Clause::Param(param) = clause else {
        return None;
    };
    let Test::Any(values) = &param.test else {
        return None;
    };
    let own = tenant.model.type_id("Patient")?;
    if param.param.first() != Some(&patient) {
        return None;
    }
    let each = values.iter().map(|value| match value {
        Match::Reference(ReferenceMatch::Local {
            type_id,
            id,
            version: None,
        }) if *type_id == own => Some(id.clone()),
        Match::Reference(ReferenceMatch::AnyType { id, types }) if types.contains(&own) => {
            Some(id.clone())
        }
        _ => None,
    });
    each.collect()
}

/// An event is made when it is recorded, and stays as it is: the one time is the other.
fn by_record(clause: &Clause, updated: Option<ParamId>, date: ParamId) -> Clause {
    let each = |parts: &[Clause]| parts.iter().map(|c| by_record(c, updated, date)).collect();
    match clause {
        Clause::And(parts) => Clause::And(each(parts)),
        Clause::Or(parts) => Clause::Or(each(parts)),
        Clause::ByType(parts) => Clause::ByType(each(parts)),
        Clause::Not(part) => Clause::Not(Box::new(by_record(part, updated, date))),
        Clause::Param(param) if param.param.first().copied() == updated => {
            let mut param = param.clone();
            param.param = vec![date];
            Clause::Param(param)
        }
        other => other.clone(),
    }
}

/// Refuses what cannot be said of an event alone.
fn must_be_answered(tenant: &OpenTenant, type_id: TypeId, clause: &Clause) -> Result<()> {
    match clause {
        Clause::And(parts) | Clause::Or(parts) | Clause::ByType(parts) => parts
            .iter()
            .try_for_each(|part| must_be_answered(tenant, type_id, part)),
        Clause::Not(part) => must_be_answered(tenant, type_id, part),
        Clause::Never | Clause::Id(_) | Clause::NotId(_) => Ok(()),
        Clause::Chain { .. } => Err(refuse("a chain")),
        Clause::Has { .. } => Err(refuse("_has")),
        Clause::MemberOf { .. } => Err(refuse("_list")),
        Clause::Param(param) => {
            let empty = br#"{"resourceType":"AuditEvent"}"#;
            let document =
                json::parse(empty, DEPTH_MAX).map_err(|_| internal("an event cannot be read"))?;
            let eye = Beholder::new(tenant.model, type_id, document.root(), &[]);
            if eye.is_some_and(|eye| eye.holds(clause).is_some()) {
                return Ok(());
            }
            let known = param.param.first();
            let known = known.and_then(|p| tenant.model.param_by_id(*p));
            let name = known.map_or("a parameter of the tenant's own", |p| p.code);
            Err(refuse(&format!("{name} in this form")))
        }
    }
}

/// Until when a page is worked on.
struct Time<'t> {
    tenant: &'t OpenTenant,
    until: Micros,
}

impl Time<'_> {
    fn is_over(&self) -> bool {
        self.tenant.shared.clock.monotonic() > self.until
    }
}

fn answer(
    tenant: &Arc<OpenTenant>,
    db: &Connection,
    spent: &Spent<Search>,
    wanted: &Wanted,
    asked: &Question,
) -> Result<(Page, Vec<i64>)> {
    let shared = &tenant.shared;
    let mut place = match &wanted.page.after {
        Some(position) => Place::of_position(position)?,
        None => Place::start(shared.journal.head(tenant.id.bytes()).number),
    };
    if !spent.sees_trail() {
        (place.record, place.change) = (AtRecord::End, AtChange::End);
    }
    let as_of = match wanted.page.as_of {
        Some(seq) => seq,
        None => rows::last_seq(db)?,
    };
    let ms = i64::try_from(shared.config.limits.trail_ms_max).unwrap_or(i64::MAX / 1_000);
    let now = shared.clock.monotonic();
    let time = Time {
        tenant,
        until: Micros(now.0.saturating_add(ms.saturating_mul(1_000))),
    };
    // Nobody takes it away meanwhile.
    let _reading = tenant.trail_index.read();
    let index = match spent.sees_trail() && asked.is_narrow() {
        true => Index::to_read(tenant, db),
        false => None,
    };
    let narrowed = match &index {
        Some(index) => narrowed(tenant, db, asked, index)?,
        None => None,
    };
    let narrowed = narrowed.as_ref();
    let around = Surroundings {
        tenant,
        db,
        spent,
        asked,
        time: &time,
        as_of,
        events: RefCell::new(Events::new(tenant, db)),
    };
    let mut reads = Reads::begin(&around, narrowed, &place)?;
    let mut changes = Changes::begin(&around, narrowed, place.change);
    let mut sent = Sent::begin(&around, &wanted.query, place.stored.clone())?;
    let bytes_max = shared.config.limits.page_bytes_max;
    let merged = merge(asked, bytes_max, &mut [&mut reads, &mut changes, &mut sent])?;
    (place.record, place.change) = (reads.done(), changes.done());
    place.stored = sent.done();
    if asked.count == 0 && !merged.complete {
        return Err(StoreError::Limit {
            code: Code::LimitTime,
            limit: "trail_ms_max",
            max: shared.config.limits.trail_ms_max,
        });
    }
    let counted = asked.total && merged.complete && wanted.page.after.is_none();
    let page = Page {
        entries: merged.entries,
        total: counted.then_some(merged.seen),
        next: (asked.count > 0 && merged.more).then(|| place.to_position()),
        as_of,
        left_out: 0,
    };
    Ok((page, merged.rows))
}

/// The index with what it knows of the question, if it does.
fn narrowed<'i>(
    tenant: &Arc<OpenTenant>,
    db: &Connection,
    asked: &Question,
    index: &'i Index,
) -> Result<Option<Narrowed<'i>>> {
    let clauses = (asked.type_id, asked.clauses.as_slice());
    let mut events = Events::new(tenant, db);
    let narrow = Narrow::of_search(index, &mut events, clauses, &asked.patients)?;
    Ok(narrow.map(|narrow| Narrowed { index, narrow }))
}

/// What came of several sources.
#[derive(Default)]
struct Merged {
    entries: Vec<Entry>,
    /// Rows of those that clients sent.
    rows: Vec<i64>,
    seen: u64,
    more: bool,
    /// Every source was looked through to its end.
    complete: bool,
}

/// Takes from each source what comes first, until the page is full.
fn merge(asked: &Question, bytes_max: u64, sources: &mut [&mut dyn Source]) -> Result<Merged> {
    let mut merged = Merged::default();
    let mut bytes = 0u64;
    loop {
        for source in sources.iter_mut() {
            if source.head().is_none() && matches!(source.fill()?, Next::Later) {
                merged.more = true;
                return Ok(merged);
            }
        }
        let first = sources
            .iter_mut()
            .filter_map(|source| source.head().map(|head| head.at).map(|at| (at, source)))
            .reduce(|a, b| {
                let later = if asked.descending {
                    b.0 > a.0
                } else {
                    b.0 < a.0
                };
                if later { b } else { a }
            });
        let Some((_, source)) = first else {
            merged.complete = true;
            return Ok(merged);
        };
        let size = source
            .head()
            .map_or(0, |head| head.entry.resource.get().body.len() as u64);
        let heavy = bytes + size > bytes_max && !merged.entries.is_empty();
        let full = merged.more || heavy || merged.entries.len() >= asked.count;
        if full {
            merged.more = true;
            if !asked.total {
                return Ok(merged);
            }
        }
        merged.seen += 1;
        let Some(Candidate { entry, rid, .. }) = source.take(full) else {
            continue;
        };
        if !full {
            bytes += size;
            merged.entries.push(entry);
            merged.rows.extend(rid);
        }
    }
}
