//! Reads, searches and histories: rows found by the engine, released under the permit, recorded
//! before they leave.

use std::sync::Arc;

use access::{
    Action, ActionName, History, Permit, Read as ReadAction, RequestMeta, Rule, Search, Spent,
    Update,
};
use base::limits::fixed::SEARCHED_PATIENTS_MAX;
use base::{Code, ResourceId, Version};
use fhir::definitions::{Model, TypeId};
use fhir::resource::mask::Mask;
use fhir::search::Query;
use rusqlite::Connection;

use super::TenantStore;
use super::as_one::Gathers;
use super::to_change::Looks;
use crate::audit::{Asked, Outcome, Record, Shown, Subject};
use crate::sqlite::cache::Ticket;
use crate::sqlite::page::{searched, searched_at};
use crate::sqlite::readers::Class;
use crate::sqlite::{
    OpenTenant, Opened, blob, history, in_snapshot, reach, rows, search, sha256, sight,
};
use crate::{
    Entry, Form, HistoryOf, HistoryRequest, Method, Mode, Page, PageRequest, Read, Result,
    StoreError, Stored,
};

/// A permit that was brought for something else than what it was given for.
pub(super) fn not_covered() -> StoreError {
    StoreError::Refused(
        Code::Internal,
        "the permit is for something else".to_owned(),
    )
}

/// The current version of a resource as a rule shows it; nothing where it does not, or where it was
/// deleted. What is not there is looked for as long as what is.
fn seen_now(
    tenant: &OpenTenant,
    db: &Connection,
    (rule, type_id): (&Rule, TypeId),
    found: Option<Opened>,
    memory: Option<reach::Ticket>,
) -> Result<Option<Stored>> {
    let as_of = rows::last_seq(db)?;
    // Whether it is there or not: bringing memory up to date may take its time.
    let known = match memory.filter(|_| rule.hidden().is_none()) {
        Some(ticket) => search::remembered(tenant, db, rule, (type_id, as_of, ticket))?,
        None => None,
    };
    let Some(Opened { rid, stored, .. }) = found else {
        sight::asked_in_vain(tenant, db, rule, type_id, as_of)?;
        return Ok(None);
    };
    // What the index says of a row that is kept apart is not taken for true, remembered or not.
    let known = known.filter(|_| !tenant.quarantine.is_left_out(rid));
    // Only that it is seen is answered from memory: what is not is looked for as long as before.
    let live = stored.method != Method::Delete;
    if live && known.as_ref().and_then(|known| known.known(rid)) == Some(true) {
        return Ok(Some(stored));
    }
    let seen = sight::seen(tenant, db, rule, (rid, as_of), &stored)?;
    if let (Some(known), true, sight::Seen::Whole) = (known, live, &seen) {
        known.learn(rid, true);
        tenant.reaches.learned_one();
    }
    seen.of(stored)
}

/// Whether only the opening of a patient leads to what is shown. It is asked of nothing else.
fn by_opening(
    tenant: &OpenTenant,
    db: &Connection,
    rule: Option<&Rule>,
    (type_id, rid): (TypeId, Option<i64>),
) -> Result<bool> {
    match (rule.filter(|rule| rule.opens()), rid) {
        (Some(rule), Some(rid)) => {
            let place = (rid, rows::last_seq(db)?);
            sight::by_opening(tenant, db, Some(rule), place, type_id)
        }
        _ => Ok(false),
    }
}

/// The request in a record: marked, where only the opening of a patient gave access.
pub(super) fn marked(request: RequestMeta, opened: bool) -> RequestMeta {
    RequestMeta {
        break_glass: request.break_glass || opened,
        ..request
    }
}

/// The same, with every element.
fn reached_now(
    tenant: &OpenTenant,
    db: &Connection,
    rule: (&Rule, TypeId),
    found: Option<Opened>,
) -> Result<Option<Stored>> {
    let whole = found.as_ref().map(|o| o.stored.clone());
    Ok(seen_now(tenant, db, rule, found, None)?.and(whole))
}

/// What was found; nothing where it is kept apart from everybody and its caller would not see it:
/// they are not told that it is there.
fn or_absent(
    tenant: &OpenTenant,
    db: &Connection,
    rule: Option<&Rule>,
    (type_id, id): (TypeId, &ResourceId),
    found: Result<Option<Opened>>,
) -> Result<Option<Opened>> {
    let (apart, rule) = match (found, rule) {
        (Err(e), Some(rule)) if e.code() == Code::ResourceQuarantined => (e, rule),
        (other, _) => return other,
    };
    let Some(rid) = rows::rid_of(db, type_id, id)? else {
        return Ok(None);
    };
    let Some(good) = current_or_last_good(tenant, db, rule, Err(apart.clone()), rid)? else {
        return Ok(None);
    };
    let place = (rid, rows::last_seq(db)?);
    match sight::seen(tenant, db, rule, place, &good.stored)? {
        sight::Seen::Not => Ok(None),
        _ => Err(apart),
    }
}

/// An older version, for whoever sees the current one.
fn seen_then(
    tenant: &OpenTenant,
    db: &Connection,
    (rule, type_id): (&Rule, TypeId),
    now: Result<Option<Opened>>,
    then: Option<Opened>,
) -> Result<Option<Stored>> {
    let as_of = rows::last_seq(db)?;
    let Some(then) = then else {
        sight::asked_in_vain(tenant, db, rule, type_id, as_of)?;
        return Ok(None);
    };
    let Some(now) = current_or_last_good(tenant, db, rule, now, then.rid)? else {
        return Ok(None);
    };
    // What the index says of a row that is kept apart shows nobody its versions.
    if tenant.quarantine.is_left_out(now.rid)
        && sight::by_itself(tenant, rule, &now.stored)?.is_none()
    {
        return Ok(None);
    }
    let seen = sight::seen(tenant, db, rule, (now.rid, as_of), &now.stored)?;
    if matches!(seen, sight::Seen::Not) {
        return Ok(None);
    }
    let mut far = sight::FoundFar::new();
    if then.stored.version != now.stored.version
        && !sight::was_in_reach(tenant, db, rule, (&then.stored, as_of), &mut far)?
    {
        return Ok(None);
    }
    seen.of(then.stored)
}

/// The version by which it is judged who sees a resource: the current one. Where that does not carry
/// its seal, the newest that does; then what the index knows must not speak against it either.
pub(crate) fn current_or_last_good(
    tenant: &OpenTenant,
    db: &Connection,
    rule: &Rule,
    now: Result<Option<Opened>>,
    rid: i64,
) -> Result<Option<Opened>> {
    match now {
        Err(e) if e.code() == Code::ResourceQuarantined => {}
        other => return other,
    }
    let Some(good) = rows::last_good(tenant, db, rid)? else {
        return Ok(None);
    };
    let as_of = rows::last_seq(db)?;
    let type_id = good.stored.type_id;
    Ok(match rule.filter() {
        Some(filter) if !sight::meets(tenant, db, filter, type_id, rid, as_of)? => None,
        _ => Some(good),
    })
}

/// The current version of a resource as its caller sees it, and whether only the opening of a patient led
/// to it.
fn looked_up(
    tenant: &OpenTenant,
    db: &Connection,
    (type_id, id): (TypeId, &ResourceId),
    rule: Option<&Rule>,
    (form, ticket, memory): (Form, Ticket, reach::Ticket),
) -> Result<(Option<Stored>, bool)> {
    let kept = &tenant.quarantine;
    let found = kept.must_be_readable_named(db, type_id, id);
    let found = found.and_then(|()| rows::current(tenant, db, type_id, id));
    let found = or_absent(tenant, db, rule, (type_id, id), found)?;
    if let Some(Opened {
        rid, stored, seq, ..
    }) = &found
    {
        let shared = &tenant.shared;
        let (cache, metrics) = (&shared.cache, &shared.metrics);
        cache.put(&tenant.id, (Some(*rid), stored), *seq, ticket, metrics);
    }
    let rid = found.as_ref().map(|o| o.rid);
    let found = match rule {
        None => found.map(|o| o.stored),
        Some(rule) => seen_now(tenant, db, (rule, type_id), found, Some(memory))?,
    };
    let opened = by_opening(tenant, db, rule, (type_id, rid.filter(|_| found.is_some())))?;
    let found = found.map(|stored| blob::in_form(tenant, db, form, stored));
    Ok((found.transpose()?, opened))
}

/// A resource as whoever makes another version of it needs it.
#[derive(Debug)]
pub struct ToChange {
    /// All of it.
    pub read: Read,
    /// Elements of it that are hidden from them.
    pub mask: Option<Mask>,
    /// It is absent because they may read it only.
    pub read_only: bool,
}

/// A page of more resources than this is never read on the caller's own thread.
const BRISK_COUNT_MAX: u32 = 50;

impl TenantStore {
    /// The current version of a resource (`http.html#read`).
    pub async fn read(
        &self,
        permit: Permit<ReadAction>,
        type_id: TypeId,
        id: &ResourceId,
    ) -> Result<Read> {
        let spent = permit.spend(&self.tenant);
        self.current(spent, type_id, id, Form::Whole).await
    }

    /// As [`Self::read`], in a form.
    pub async fn read_as(
        &self,
        permit: Permit<ReadAction>,
        type_id: TypeId,
        id: &ResourceId,
        form: Form,
    ) -> Result<Read> {
        let spent = permit.spend(&self.tenant);
        self.current(spent, type_id, id, form).await
    }

    /// The current version of a resource for whoever makes another version of it out of it
    /// (`http.html#patch`): all of it. Of what they do not read they learn nothing by that.
    pub async fn read_to_change(
        &self,
        permit: Permit<Update>,
        type_id: TypeId,
        id: &ResourceId,
    ) -> Result<ToChange> {
        let spent = permit.spend(&self.tenant);
        let (own, shown) = (spent.rule(type_id).cloned(), spent.shown(type_id).cloned());
        let guards = |rule: &Option<Arc<Rule>>| rule.as_ref().is_some_and(|r| r.hidden().is_some());
        let reads = spent.reads();
        let filter = |rule: &Option<Arc<Rule>>| rule.as_ref().and_then(|r| r.filter()).cloned();
        let unread = filter(&shown).filter(|shown| reads && filter(&own).as_ref() != Some(shown));
        if own.is_none() && unread.is_none() && !guards(&shown) {
            let read = self.current(spent, type_id, id, Form::Whole).await?;
            return Ok(ToChange {
                read,
                mask: None,
                read_only: false,
            });
        }
        let entry = self.serving()?;
        if !spent.covers(type_id, id) {
            return Err(not_covered());
        }
        let wanted = id.clone();
        let (found, mask, opened, read_only) = self
            .handle
            .0
            .read(entry, Class::Point, None, move |tenant, db, _| {
                in_snapshot(db, || {
                    let kept = &tenant.quarantine;
                    let found = kept.must_be_readable_named(db, type_id, &wanted);
                    let found = found.and_then(|()| rows::current(tenant, db, type_id, &wanted));
                    let found = or_absent(tenant, db, own.as_deref(), (type_id, &wanted), found)?;
                    let rid = found.as_ref().map_or(-1, |o| o.rid);
                    let place = (rid, rows::last_seq(db)?);
                    let mut mask = None;
                    for rule in own.iter().chain(&shown).filter(|r| r.hidden().is_some()) {
                        let way = sight::led(tenant, db, rule, place, type_id)?;
                        let hides = way.map_or(rule.hidden(), |way| way.mask.as_deref());
                        mask = match (mask, hides) {
                            (Some(a), Some(b)) => Some(Mask::and(&a, b)),
                            (a, b) => a.or_else(|| b.cloned()),
                        };
                    }
                    let there = found.as_ref().map(|o| o.stored.method != Method::Delete);
                    let found = match (&own, found) {
                        (Some(rule), found) => reached_now(tenant, db, (rule, type_id), found)?,
                        (None, found) => found.map(|o| o.stored),
                    };
                    let unread = unread
                        .as_ref()
                        .map(|filter| sight::meets(tenant, db, filter, type_id, place.0, place.1));
                    let found = match unread.transpose()? {
                        Some(false) => None,
                        _ => found,
                    };
                    // Whether it is read and not theirs to change: asked of what is not there as well.
                    let read = found.is_none() && reads && {
                        let filter = shown.as_ref().and_then(|rule| rule.filter());
                        let met = filter.map(|filter| {
                            sight::meets(tenant, db, filter, type_id, place.0, place.1)
                        });
                        met.transpose()?.unwrap_or(true) && there == Some(true)
                    };
                    let opens = Some(rid).filter(|_| found.is_some());
                    let opened = by_opening(tenant, db, own.as_deref(), (type_id, opens))?;
                    let whole = found.map(|stored| blob::whole(tenant, db, stored));
                    Ok((whole.transpose()?, mask, opened, read))
                })
            })
            .await?;
        let read = self.answer(&spent, (type_id, id), found, opened).await?;
        Ok(ToChange {
            read,
            mask,
            read_only,
        })
    }

    async fn current<A: Action>(
        &self,
        spent: Spent<A>,
        type_id: TypeId,
        id: &ResourceId,
        form: Form,
    ) -> Result<Read> {
        let entry = self.serving()?;
        if !spent.covers(type_id, id) {
            return Err(not_covered());
        }
        let shared = &self.handle.0.shared;
        // Without the open tenant there is no pen to record the read with.
        let rule = spent.rule(type_id).cloned();
        // Which way leads to it is asked of the index.
        let opens = rule.as_ref().is_some_and(|rule| rule.opens());
        let fits = |stored: &Stored| form == Form::Apart || stored.data.is_none();
        let known = entry.if_open().filter(|_| !opens).and_then(|tenant| {
            tenant.touch();
            if let Some(rule) = rule.as_deref().filter(|rule| rule.hidden().is_none()) {
                let get = || {
                    let (hit, rid) = shared.cache.get_placed(&self.tenant, type_id, id)?;
                    let rid = rid.filter(|rid| !tenant.quarantine.is_left_out(*rid))?;
                    // A rule that asks what is not there holds of all that was deleted.
                    let live = hit.stored.method != Method::Delete;
                    live.then_some((hit.stored, rid))
                };
                let says = |stored: &Stored| {
                    let seen = sight::by_itself(&tenant, rule, stored);
                    matches!(seen, Ok(Some(sight::Seen::Whole)))
                };
                let reached = tenant.reaches.reached_now(rule, type_id, get, says);
                if let Some(hit) = reached.filter(fits) {
                    return Some(Ok(hit));
                }
            }
            let hit = shared.cache.get(&self.tenant, type_id, id)?.stored;
            let hit = fits(&hit).then_some(hit)?;
            match &rule {
                None => Some(Ok(hit)),
                // What is not seen goes the way of what is not there.
                Some(rule) => sight::by_itself(&tenant, rule, &hit)
                    .inspect(|seen| {
                        if matches!(seen, Some(sight::Seen::Whole)) {
                            search::begin_to_remember(&tenant, rule, type_id);
                        }
                    })
                    .and_then(|seen| seen.map_or(Ok(None), |seen| seen.of(hit)))
                    .transpose(),
            }
        });
        if let Some(hit) = known {
            shared.metrics.cache_hits.add(1);
            return self.answer(&spent, (type_id, id), Some(hit?), false).await;
        }
        shared.metrics.cache_misses.add(1);
        let wanted = id.clone();
        let (found, opened) = self
            .handle
            .0
            .read(entry, Class::Point, None, move |tenant, db, ticket| {
                let how = (form, ticket, tenant.reaches.ticket());
                let look = || looked_up(tenant, db, (type_id, &wanted), rule.as_deref(), how);
                // Where policy is asked, the resource and what policy says of it are of one snapshot.
                match &rule {
                    None => look(),
                    Some(_) => in_snapshot(db, look),
                }
            })
            .await?;
        self.answer(&spent, (type_id, id), found, opened).await
    }

    /// A version of a resource (`http.html#vread`); [`Read::Deleted`] if that version is a
    /// deletion.
    pub async fn vread(
        &self,
        permit: Permit<ReadAction>,
        type_id: TypeId,
        id: &ResourceId,
        version: Version,
    ) -> Result<Read> {
        self.vread_as(permit, type_id, id, version, Form::Whole)
            .await
    }

    /// As [`Self::vread`], in a form.
    pub async fn vread_as(
        &self,
        permit: Permit<ReadAction>,
        type_id: TypeId,
        id: &ResourceId,
        version: Version,
        form: Form,
    ) -> Result<Read> {
        let spent = permit.spend(&self.tenant);
        let entry = self.serving()?;
        if !spent.covers(type_id, id) {
            return Err(not_covered());
        }
        let wanted = id.clone();
        let rule = spent.rule(type_id).cloned();
        let (found, opened) = self
            .handle
            .0
            .read(entry, Class::Point, None, move |tenant, db, _| {
                let found = rows::version(tenant, db, type_id, &wanted, version);
                let found = or_absent(tenant, db, rule.as_deref(), (type_id, &wanted), found)?;
                let rid = found.as_ref().map(|o| o.rid);
                let found = match &rule {
                    None => found.map(|o| o.stored),
                    Some(rule) => {
                        let now = rows::current(tenant, db, type_id, &wanted);
                        seen_then(tenant, db, (rule, type_id), now, found)?
                    }
                };
                let shown = rid.filter(|_| found.is_some());
                let opened = by_opening(tenant, db, rule.as_deref(), (type_id, shown))?;
                let found = found.map(|stored| blob::in_form(tenant, db, form, stored));
                Ok((found.transpose()?, opened))
            })
            .await?;
        self.answer(&spent, (type_id, id), found, opened).await
    }

    /// `opened`: only the opening of a patient led to it.
    async fn answer<A: Action>(
        &self,
        spent: &Spent<A>,
        (type_id, id): (TypeId, &ResourceId),
        found: Option<Stored>,
        opened: bool,
    ) -> Result<Read> {
        let outcome = match &found {
            Some(stored) if stored.method != Method::Delete => Outcome::Given(1),
            _ => Outcome::Nothing,
        };
        let asked = Asked {
            version: found.as_ref().map(|stored| stored.version),
            ..Asked::default()
        };
        let request = marked(spent.request(), opened && found.is_some());
        let subject = Subject::Instance(type_id, id);
        let gathers = self.gathers.as_ref();
        let of_one =
            |one: &Arc<Gathers>| one.reads((request, spent), subject, asked.version, outcome);
        let of_change = |looks: &Arc<Looks>| {
            looks.takes((request, spent), (type_id, id), asked.version, outcome)
        };
        if !gathers.is_some_and(of_one) && !self.looks.as_ref().is_some_and(of_change) {
            self.noted_as(request, spent, subject, asked, outcome)
                .await?;
        }
        Ok(match found {
            None => Read::Absent,
            Some(s) if s.method == Method::Delete => Read::Deleted(spent.release(type_id, s)),
            Some(s) => Read::Found(spent.release(type_id, s)),
        })
    }

    pub(super) async fn noted<A: Action>(
        &self,
        spent: &Spent<A>,
        subject: Subject<'_>,
        asked: Asked<'_>,
        outcome: Outcome,
    ) -> Result<()> {
        self.noted_as(spent.request(), spent, subject, asked, outcome)
            .await
    }

    /// The same, of a request that is marked.
    pub(super) async fn noted_as<A: Action>(
        &self,
        request: RequestMeta,
        spent: &Spent<A>,
        subject: Subject<'_>,
        asked: Asked<'_>,
        outcome: Outcome,
    ) -> Result<()> {
        let record = Record {
            request,
            actor: spent.actor(),
            action: spent.action(),
            subject,
            asked,
            outcome,
        };
        self.append(&record, None).await
    }

    /// A page of a search (`search.html`).
    ///
    /// # Errors
    /// `cursor-invalid`, `cursor-expired`, `limit-time`, `limit-query`.
    pub async fn search(
        &self,
        permit: Permit<Search>,
        query: Arc<Query>,
        page: PageRequest,
    ) -> Result<Page> {
        let spent = permit.spend(&self.tenant);
        let entry = self.serving()?;
        if let Some(refused) = query.types.iter().find(|t| !spent.allows(**t)) {
            let _ = refused;
            return Err(not_covered());
        }
        let wanted = query.clone();
        let words = page.asked.clone();
        let here = entry
            .if_open()
            .filter(|_| query.count <= BRISK_COUNT_MAX && query.include.is_empty())
            .and_then(|tenant| {
                self.handle
                    .0
                    .read_briskly(&tenant, |db, tickets, newest, until| {
                        let place = (&tenant, db, tickets, newest);
                        searched_at(place, &spent, &query, &page, Some(until))
                    })
            });
        let (spent, (entries, rows, found)) = match here {
            Some(done) => (spent, done?),
            None => {
                self.handle
                    .0
                    .read(
                        entry,
                        Class::Scan,
                        page.deadline,
                        move |tenant, db, ticket| {
                            let done = searched(tenant, db, ticket, &spent, &query, &page)?;
                            Ok((spent, done))
                        },
                    )
                    .await?
            }
        };
        let digest = sha256(&wanted.bytes());
        let type_id = wanted
            .types
            .first()
            .copied()
            .filter(|_| wanted.types.len() == 1);
        let shown = Shown::Resources(found.as_of, &rows);
        // A total, and that there is nothing, says something of whom it asks about.
        let patient = Model::of(self.tenant.fhir()).type_id("Patient");
        let named = patient.map(|patient| wanted.named(patient, SEARCHED_PATIENTS_MAX));
        let asked = Asked {
            query: words.as_deref(),
            patients: named.as_deref().unwrap_or_default(),
            ..Asked::default()
        };
        let subject = Subject::Query(type_id, &digest);
        self.note_shown(&spent, subject, asked, shown, found.opened)
            .await?;
        Ok(Page {
            entries,
            total: found.total,
            next: found.next,
            as_of: found.as_of,
            left_out: found.left_out,
        })
    }

    /// A page of a history (`http.html#history`). An instance that never was gives
    /// an empty page.
    ///
    /// # Errors
    /// `cursor-invalid`.
    pub async fn history(&self, permit: Permit<History>, request: HistoryRequest) -> Result<Page> {
        self.history_of_found(permit, request, None).await
    }

    /// The same, of those resources alone that a search finds as of the change that all pages show.
    ///
    /// # Errors
    /// `cursor-invalid`, `cursor-expired`, `limit-time`, `limit-query`.
    pub async fn history_of_found(
        &self,
        permit: Permit<History>,
        request: HistoryRequest,
        found_by: Option<(Permit<Search>, Arc<Query>)>,
    ) -> Result<Page> {
        let spent = permit.spend(&self.tenant);
        let found_by = found_by.map(|(permit, query)| (permit.spend(&self.tenant), query));
        let entry = self.serving()?;
        let covered = match &request.of {
            HistoryOf::Instance(type_id, id) => spent.covers(*type_id, id),
            HistoryOf::Type(type_id) => spent.allows(*type_id) && spent.shows(*type_id),
            HistoryOf::System => true,
        };
        if !covered {
            return Err(not_covered());
        }
        let of = request.of.clone();
        let deadline = request.page.deadline;
        let (spent, found) = self
            .handle
            .0
            .read(entry, Class::Scan, deadline, move |tenant, db, _| {
                in_snapshot(db, || {
                    let found_by = found_by.as_ref().map(|(spent, query)| (spent, &**query));
                    let found = history::page(tenant, db, &spent, &request, found_by)?;
                    Ok((spent, found))
                })
            })
            .await?;
        let subject = match &of {
            HistoryOf::Instance(type_id, id) => Subject::Instance(*type_id, id),
            HistoryOf::Type(type_id) => Subject::Other(Some(*type_id), "history"),
            HistoryOf::System => Subject::Other(None, "history"),
        };
        debug_assert_eq!(spent.action(), ActionName::History);
        let shown = Shown::Versions(&found.rows);
        self.note_shown(&spent, subject, Asked::default(), shown, found.opened)
            .await?;
        let release = |(stored, made): (Stored, bool)| Entry {
            resource: spent.release(stored.type_id, stored),
            mode: Mode::Match,
            score: None,
            made,
            within: None,
        };
        let versions = found.stored.into_iter().zip(found.made);
        Ok(Page {
            entries: versions.map(release).collect(),
            total: found.total,
            next: found.next,
            as_of: found.as_of,
            left_out: found.left_out,
        })
    }
}
