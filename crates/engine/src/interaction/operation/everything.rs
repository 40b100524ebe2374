//! `$everything` of Patient, Encounter and Group (`patient-operation-everything.html`): the
//! compartment, page by page, and with each page what its resources refer to outside of it.
//!
//! Types that the caller may not search or read are left out; a type that `_type` names must be
//! allowed. What is referred to and could be of another patient is not followed.

use std::collections::HashSet;
use std::sync::Arc;

use access::{Read as ReadAction, Target};
use base::{Code, Micros, ResourceId, Seq};
use fhir::definitions::{ParamKind, TypeId};
use fhir::json::{self, Kind, Value};
use fhir::outcome::Outcome;
use fhir::reference::Literal;
use fhir::search::query::{Clause, ParamClause, Test};
use fhir::search::{self, Query};
use store::{Entry, Mode, Read};

use super::{On, path_and_query};
use crate::answer::{Answer, SearchPage};
use crate::cursor::Cursor;
use crate::failure::Failure;
use crate::form;
use crate::interaction::compartment::Compartment;
use crate::interaction::instant;
use crate::interaction::read::id_in_url;
use crate::interaction::search::{Asked, Place, with_apart};
use crate::session::Session;

/// The parameter that tells when care took place: the first of these that a type has.
const CARE_DATES: &[&str] = &[
    "date",
    "occurrence",
    "effective",
    "effective-time",
    "onset-date",
    "performed",
    "period",
    "authoredon",
    "authored",
    "authored-on",
    "created",
    "started",
    "start-date",
    "whenhandedover",
    "whenprepared",
    "issued",
    "sent",
    "received",
    "collected",
    "recorded-date",
];

/// The parameters of `$everything` that are not those of a search.
const OWN: [&str; 4] = ["_since", "_type", "start", "end"];

/// A `$everything` that is understood.
struct Wanted {
    compartment: Compartment,
    /// The types named by `_type`.
    named: Option<Vec<TypeId>>,
    /// Only what was changed at or after this time.
    since: Option<Micros>,
    /// The start and end of care, as they were written.
    care: Vec<String>,
    /// What is left of the parameters.
    rest: String,
}

impl Wanted {
    fn gives(&self, type_id: TypeId) -> bool {
        self.named
            .as_ref()
            .is_none_or(|named| named.contains(&type_id))
    }
}

impl Session {
    /// A page of everything about a resource, or about all patients.
    ///
    /// # Errors
    /// `not-found`, `deleted`, `search-value`, `cursor-invalid`, `cursor-expired`, `scope-missing`.
    pub(super) async fn everything(&self, on: On<'_>, asked: Asked<'_>) -> Result<Answer, Failure> {
        let path = on.path("everything");
        let place = self.place(&path, asked).await?;
        let words = path_and_query(&path, &place.query);
        self.as_one(("everything", on), words, |one| async move {
            one.page_of_everything((on, &path), asked, place).await
        })
        .await
    }

    async fn page_of_everything(
        &self,
        (on, path): (On<'_>, &str),
        asked: Asked<'_>,
        place: Place,
    ) -> Result<Answer, Failure> {
        let compartment = self.everything_of(on).await?;
        let wanted = self.wanted(compartment, &place.query)?;
        let (query, issues) = self.everything_query(&wanted, asked.strict).await?;
        let query = Arc::new(query);
        let permit = self.permit_search(&query, Target::Types).await?;
        let mut page = self.store.search(permit, query.clone(), place.page).await?;
        let (referred, apart) = self.referred(&page.entries, &wanted, page.as_of).await?;
        page.left_out += apart;
        page.entries
            .retain(|entry| wanted.gives(entry.resource.get().type_id));
        // Where more is searched than is shown, what was counted is not what matches.
        if !query.types.iter().all(|t| wanted.gives(*t)) {
            page.total = None;
        }
        page.entries.extend(referred);
        let this = match (asked.cursor, &*place.query) {
            (Some(cursor), _) => format!("{path}?_cursor={cursor}"),
            (None, query) => path_and_query(path, query),
        };
        let next = match &page.next {
            None => None,
            Some(position) => {
                let cursor = Cursor {
                    query: place.query,
                    position: position.clone(),
                    as_of: page.as_of,
                    first: place.first,
                };
                let sealed = self.seal(path, &cursor).await?;
                Some(format!("{path}?_cursor={sealed}"))
            }
        };
        let shape = query.shape.clone();
        Ok(Answer::Search(SearchPage {
            issues: with_apart(issues.0, page.left_out),
            page,
            shape,
            this,
            next,
        }))
    }

    /// The compartment meant. The resource itself must be there and readable.
    async fn everything_of(&self, on: On<'_>) -> Result<Compartment, Failure> {
        let model = self.model();
        let none = || Failure::of(Code::Internal);
        let patient = self.type_id("Patient")?;
        let On::Instance(name, id) = on else {
            return Compartment::of_all(model, patient).ok_or_else(none);
        };
        let (type_id, id) = (self.type_id(name)?, id_in_url(id)?);
        let stored = match self.read_stored(type_id, &id).await? {
            Read::Found(stored) => stored,
            Read::Deleted(_) => return Err(Failure::of(Code::Deleted)),
            Read::Absent => return Err(Failure::of(Code::NotFound)),
        };
        if name != "Group" {
            return Compartment::of(model, type_id, vec![id]).ok_or_else(none);
        }
        let mut members = Vec::new();
        let base = self.links().fhir();
        references(&stored.get().body, &mut |path, text| {
            if path == "member"
                && let Literal::Local { type_id, id, .. } = Literal::parse(text, model, &[&base])
                && type_id == patient
            {
                members.push(id);
            }
        })?;
        members.sort_unstable();
        members.dedup();
        let max = self.limits().operation_resources_max;
        if members.len() as u64 > max {
            let name = "operation_resources_max";
            return Err(Failure::limit(Code::LimitQuery, name, max));
        }
        let compartment = Compartment::of(model, patient, members).ok_or_else(none)?;
        Ok(compartment.and(type_id, id))
    }

    fn wanted(&self, compartment: Compartment, query: &str) -> Result<Wanted, Failure> {
        let bad =
            |name: &str, what: &str| Failure::new(Code::SearchValue, format!("{name}: {what}"));
        let mut wanted = Wanted {
            compartment,
            named: None,
            since: None,
            care: Vec::new(),
            rest: form::without(query, &OWN),
        };
        for (name, value) in form::pairs(query) {
            let when = || instant::range(&value).ok_or_else(|| bad(&name, "a date is expected"));
            match &*name {
                "_since" => wanted.since = Some(when()?.0),
                "start" => {
                    when()?;
                    wanted.care.push(format!("ge{value}"));
                }
                "end" => {
                    when()?;
                    wanted.care.push(format!("le{value}"));
                }
                "_type" => {
                    let named = wanted.named.get_or_insert_default();
                    for one in value.split(',').filter(|one| !one.is_empty()) {
                        let unknown = || bad("_type", "there is no such resource type");
                        named.push(self.model().type_id(one).ok_or_else(unknown)?);
                    }
                }
                _ => {}
            }
        }
        wanted.named = wanted.named.filter(|named| !named.is_empty());
        Ok(wanted)
    }

    /// The search of the compartment.
    async fn everything_query(
        &self,
        wanted: &Wanted,
        strict: bool,
    ) -> Result<(Query, Outcome), Failure> {
        let inside = |t: &TypeId| wanted.compartment.takes(*t);
        let types = match &wanted.named {
            // All of them can be searched, or the answer is a refusal.
            Some(named) if named.iter().all(inside) => named.clone(),
            named => {
                for type_id in named.iter().flatten() {
                    let _ = self
                        .permit::<ReadAction>(Target::Types(vec![*type_id]))
                        .await?;
                }
                self.may_search(self.model().types().filter(inside)).await?
            }
        };
        let mut text = wanted.rest.clone();
        if form::first(&text, "_count").is_none() {
            text.push_str(&format!("&_count={}", self.limits().page_entries_max));
        }
        if let Some(since) = wanted.since {
            text.push_str(&format!("&_lastUpdated=ge{}", since.instant()));
        }
        let target = search::Target::Types(types.clone());
        let parsed = self
            .understand(&target, text.trim_start_matches('&'), strict)
            .await?;
        let mut query = parsed.query;
        if query.filter.len() > usize::from(wanted.since.is_some())
            || query.contained.is_some()
            || !query.include.is_empty()
            || !query.sort.is_empty()
        {
            return Err(Failure::new(
                Code::SearchParameterUnknown,
                "$everything takes _since, _type, _count, start, end, _elements and _summary",
            ));
        }
        query.filter.push(wanted.compartment.clause(&types));
        if !wanted.care.is_empty() {
            let mut each = Vec::with_capacity(types.len());
            for type_id in &types {
                each.push(self.during(*type_id, &wanted.care).await?);
            }
            query.filter.push(Clause::ByType(each));
        }
        Ok((query, Outcome(parsed.issues)))
    }

    /// The condition that care took place at a time, or at no time that is known.
    async fn during(&self, type_id: TypeId, care: &[String]) -> Result<Clause, Failure> {
        let mut dates = CARE_DATES
            .iter()
            .filter_map(|code| self.model().param(type_id, code));
        let Some(date) = dates.find(|param| param.kind == ParamKind::Date) else {
            return Ok(Clause::And(Vec::new()));
        };
        let text: Vec<String> = care
            .iter()
            .map(|value| format!("{}={}", date.code, form::encode(value)))
            .collect();
        let target = search::Target::Types(vec![type_id]);
        let parsed = self.understand(&target, &text.join("&"), true).await?;
        let unknown = Clause::Param(ParamClause {
            param: vec![date.id],
            kind: ParamKind::Date,
            test: Test::Missing(true),
        });
        Ok(Clause::Or(vec![Clause::And(parsed.query.filter), unknown]))
    }

    /// What the entries of a page refer to outside of the compartment, as of the page's state.
    async fn referred(
        &self,
        entries: &[Entry],
        wanted: &Wanted,
        as_of: Seq,
    ) -> Result<(Vec<Entry>, u32), Failure> {
        let limits = self.limits();
        let of_patients = self.model().type_id("Patient");
        let of_patients = of_patients.and_then(|t| self.model().compartment(t));
        let personal =
            |t: TypeId| of_patients.is_some_and(|c| c.type_id == t || !c.params(t).is_empty());
        let mut seen: HashSet<(TypeId, ResourceId)> = HashSet::new();
        let mut found: Vec<Entry> = Vec::new();
        let (mut start, mut apart) = (0, 0);
        for round in 0..=limits.include_rounds_max {
            let from = if round == 0 { entries } else { &[] };
            let bodies = from.iter().chain(found.iter().skip(start));
            let mut next = Vec::new();
            for entry in bodies {
                self.local_references(&entry.resource.get().body, &mut |type_id, id| {
                    // From the second round on, what is personal may be somebody else's.
                    let outside = match round {
                        0 => !wanted.compartment.takes(type_id),
                        _ => !personal(type_id),
                    };
                    if outside && seen.insert((type_id, id.clone())) {
                        next.push((type_id, id));
                    }
                })?;
            }
            start = found.len();
            if next.is_empty() {
                break;
            }
            if (found.len() + next.len()) as u64 > limits.included_entries_max {
                let (name, max) = ("included_entries_max", limits.included_entries_max);
                return Err(Failure::limit(Code::LimitQuery, name, max));
            }
            let (more, left_out) = self.included(next, as_of).await?;
            found.extend(more);
            apart += left_out;
        }
        found.retain(|entry| {
            let stored = entry.resource.get();
            wanted.gives(stored.type_id) && wanted.since.is_none_or(|since| stored.updated >= since)
        });
        Ok((found, apart))
    }

    /// Those of the resources that are there and that the caller may read.
    async fn included(
        &self,
        names: Vec<(TypeId, ResourceId)>,
        as_of: Seq,
    ) -> Result<(Vec<Entry>, u32), Failure> {
        let mut readable = Vec::with_capacity(names.len());
        for (type_id, id) in names {
            if let Ok(permit) = self.decide::<ReadAction>(Target::Instance(type_id, id.clone())) {
                readable.push((permit, type_id, id));
            }
        }
        let (reads, _, left_out) = self.store.read_together(readable, Some(as_of)).await?;
        let include = |read| match read {
            Read::Found(resource) => Some(Entry {
                resource,
                mode: Mode::Include,
                score: None,
                made: false,
                within: None,
            }),
            Read::Deleted(_) | Read::Absent => None,
        };
        Ok((reads.into_iter().filter_map(include).collect(), left_out))
    }

    fn local_references(
        &self,
        body: &[u8],
        each: &mut dyn FnMut(TypeId, ResourceId),
    ) -> Result<(), Failure> {
        let base = self.links().fhir();
        references(body, &mut |_, text| {
            if let Literal::Local { type_id, id, .. } = Literal::parse(text, self.model(), &[&base])
            {
                each(type_id, id);
            }
        })
    }
}

/// Every `reference` in a resource, with the name of the element of the resource that it is in.
fn references(body: &[u8], each: &mut dyn FnMut(&str, &str)) -> Result<(), Failure> {
    // It was within its limits when it came in.
    let doc = json::parse(body, usize::MAX).map_err(|_| Failure::of(Code::Internal))?;
    for member in doc.root().members() {
        walk(member.value, &member.name(), each);
    }
    Ok(())
}

/// Nesting is bounded by `json_depth_max` since the resource came in.
fn walk(value: Value<'_>, top: &str, each: &mut dyn FnMut(&str, &str)) {
    match value.kind() {
        Kind::Array => value.items().for_each(|item| walk(item, top, each)),
        Kind::Object => {
            for member in value.members() {
                match member.value.as_str() {
                    Some(text) if member.is("reference") => each(top, &text),
                    _ => walk(member.value, top, each),
                }
            }
        }
        _ => {}
    }
}
