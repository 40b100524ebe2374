//! search of a type, of a compartment and of all types, page by page (`http.html#search`,
//! `http.html#vsearch`).
//!
//! Pages of one search show one state of the data: the next link is an encrypted cursor that
//! carries the search, the place where the page ended and the state that was shown.

use std::collections::HashMap;
use std::sync::Arc;

use access::{Search, Target};
use base::{Code, Micros};
use fhir::definitions::TypeId;
use fhir::outcome::{Issue, Outcome};
use fhir::search::{Query, Target as Everything, guarded};
use store::{PageRequest, Position};

use super::compartment::Compartment;
use crate::answer::{Answer, SearchPage};
use crate::cursor::{self, Binding, Cursor};
use crate::failure::Failure;
use crate::form;
use crate::session::Session;

/// A search or history as it was asked.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The query, still encoded, without `_cursor`, `_format` and `_pretty`.
    pub query: &'a str,
    /// `_cursor`
    pub cursor: Option<&'a str>,
    /// `Prefer: handling=strict`: unknown parameters are errors.
    pub strict: bool,
}

/// What is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchScope<'a> {
    /// All types that the caller may search.
    System,
    /// One type.
    Type(&'a str),
    /// A compartment: the type and id of the resource that heads it, and the type searched or `*`.
    Compartment(&'a str, &'a str, &'a str),
}

impl SearchScope<'_> {
    /// The path under the base.
    fn path(self) -> String {
        match self {
            Self::System => String::new(),
            Self::Type(name) => name.to_owned(),
            Self::Compartment(head, id, name) => [head, "/", id, "/", name].concat(),
        }
    }
}

/// The page that is wanted of a search that is understood.
pub(super) struct Place {
    pub(super) query: String,
    pub(super) page: PageRequest,
    pub(super) first: Micros,
}

/// What there is to say about a page, and that something on it is kept apart.
pub(super) fn with_apart(mut issues: Vec<Issue>, left_out: u32) -> Outcome {
    if left_out > 0 {
        let text = format!(
            "{left_out} resources that belong here are left out: what is stored of them is not as it \
             was written"
        );
        issues.push(Issue::warning(Code::ResourceQuarantined, text));
    }
    Outcome(issues)
}

impl Session {
    /// A page of a search.
    ///
    /// # Errors
    /// Those of the query's parameters; `cursor-invalid`, `cursor-expired`, `limit-time`,
    /// `scope-missing`; `not-found` for a compartment that does not exist.
    pub async fn search(
        &self,
        scope: SearchScope<'_>,
        asked: Asked<'_>,
    ) -> Result<Answer, Failure> {
        let path = scope.path();
        let of = ["search ", &path].concat();
        let (one, compartment) = match scope {
            SearchScope::System => (None, None),
            SearchScope::Type(name) => (Some(self.type_id(name)?), None),
            SearchScope::Compartment(head, id, name) => {
                let (compartment, one) = self.compartment(head, id, name)?;
                (one, Some(compartment))
            }
        };
        let mut place = self.place(&of, asked).await?;
        let target = match one {
            Some(type_id) => Everything::Types(vec![type_id]),
            None => self.searchable(compartment.as_ref(), &place.query).await?,
        };
        // What was ignored is not in the query that a paging link carries: nothing else may be.
        let strict = asked.strict || asked.cursor.is_some();
        let mut parsed = self.understand(&target, &place.query, strict).await?;
        if let Some(compartment) = compartment {
            let clause = compartment.clause(&parsed.query.types);
            parsed.query.filter.push(clause);
        }
        let mut query = parsed.query;
        self.narrow(&mut query).await?;
        let permit = self.permit_search(&query, Target::Types).await?;
        self.with_terms(&mut query, &mut place.page).await?;
        let query = Arc::new(query);
        let words = match place.query.as_str() {
            "" => path.clone(),
            query => [&path, "?", query].concat(),
        };
        place.page.asked = Some(words.into());
        let page = match self.is_of_trail(&query, scope) {
            true => {
                self.store
                    .search_trail(permit, query.clone(), place.page)
                    .await?
            }
            false => self.store.search(permit, query.clone(), place.page).await?,
        };
        let this = match asked.cursor {
            Some(cursor) => [&path, "?_cursor=", cursor].concat(),
            None if parsed.self_query.is_empty() => path.clone(),
            None => [&path, "?", &parsed.self_query].concat(),
        };
        let next = match &page.next {
            None => None,
            Some(position) => {
                let cursor = Cursor {
                    query: parsed.self_query,
                    position: position.clone(),
                    as_of: page.as_of,
                    first: place.first,
                };
                Some([&path, "?_cursor=", &self.seal(&of, &cursor).await?].concat())
            }
        };
        let shape = query.shape.clone();
        let left_out = page.left_out;
        let lacks_trail = self.is_of_trail(&query, scope) && !self.rights().sees_trail();
        // Programs that act for themselves count what they get; a person would take it for all there is.
        if lacks_trail && self.principal().person().is_some() {
            let text = "the tenant's audit trail is left out: the scopes of the program and the policy \
                        must both name AuditEvent";
            parsed
                .issues
                .push(Issue::warning(Code::ScopeMissing, text.to_owned()));
        }
        Ok(Answer::Search(SearchPage {
            page,
            shape,
            issues: with_apart(parsed.issues, left_out),
            this,
            next,
        }))
    }

    /// Leaves out of includes that name no type what the caller may not look at.
    async fn narrow(&self, query: &mut Query) -> Result<(), Failure> {
        if !query.include.iter().any(|include| include.open) {
            return Ok(());
        }
        let customs = match self.rights().hides() {
            true => Some(self.store.customs().await?),
            false => None,
        };
        let hidden = |t: TypeId| self.rights().seen(t).and_then(|rule| rule.hidden());
        let mut may: HashMap<TypeId, bool> = HashMap::new();
        for include in query.include.iter_mut().filter(|include| include.open) {
            let to = include.target.as_slice();
            include.params.retain(|(type_id, param)| {
                let behind = customs.as_ref().and_then(|customs| {
                    let followed = (*type_id, *param);
                    guarded::leads_behind(self.model(), customs, followed, to, hidden)
                });
                behind.is_none()
                    && *may.entry(*type_id).or_insert_with(|| {
                        hidden(*type_id).is_none()
                            && self.decide::<Search>(Target::Types(vec![*type_id])).is_ok()
                    })
            });
        }
        Ok(())
    }

    /// Whether a search is one of AuditEvents alone: then the tenant's own trail answers too.
    fn is_of_trail(&self, query: &Query, scope: SearchScope<'_>) -> bool {
        let names = |t: &TypeId| self.model().type_name(*t) == "AuditEvent";
        matches!(scope, SearchScope::Type(_)) && query.types.iter().all(names)
    }

    /// What a search of all types, or of a whole compartment, searches: what `_type` names, or what
    /// the caller may search.
    async fn searchable(
        &self,
        within: Option<&Compartment>,
        query: &str,
    ) -> Result<Everything, Failure> {
        if form::first(query, "_type").is_some() {
            return Ok(Everything::All);
        }
        let inside = |t: &TypeId| within.is_none_or(|compartment| compartment.takes(*t));
        let types = self.model().types().filter(inside);
        Ok(Everything::Types(self.may_search(types).await?))
    }

    /// Those of the types that the caller may search.
    ///
    /// # Errors
    /// `scope-missing` if there is none.
    pub(super) async fn may_search(
        &self,
        types: impl Iterator<Item = TypeId>,
    ) -> Result<Vec<TypeId>, Failure> {
        let (mut may, mut refused) = (Vec::new(), None);
        for type_id in types {
            match self.decide::<Search>(Target::Types(vec![type_id])) {
                Ok(_) => may.push(type_id),
                Err(denied) => refused = Some(denied),
            }
        }
        match refused {
            Some(denied) if may.is_empty() => Err(self.refuse(denied).await),
            _ => Ok(may),
        }
    }

    /// Which page is wanted: the first one, or the one that a cursor names.
    pub(super) async fn place(&self, of: &str, asked: Asked<'_>) -> Result<Place, Failure> {
        let deadline = self.deadline();
        let Some(text) = asked.cursor else {
            let page = PageRequest {
                deadline,
                ..PageRequest::default()
            };
            return Ok(Place {
                query: asked.query.to_owned(),
                page,
                first: self.request.at,
            });
        };
        if !asked.query.is_empty() {
            return Err(Failure::new(
                Code::CursorInvalid,
                "a paging link is followed as it is, without other parameters",
            ));
        }
        let key = self.store.cursor_key().await?;
        let actor = self.principal().actor();
        let binding = Binding {
            tenant: self.tenant(),
            actor: &actor,
            of,
        };
        let ttl = self.limits().cursor_ttl_seconds;
        let cursor = cursor::open(&key, &binding, text, self.request.at, ttl)?;
        let page = PageRequest {
            after: Some(Position(cursor.position.0)),
            as_of: Some(cursor.as_of),
            deadline,
            asked: None,
        };
        Ok(Place {
            query: cursor.query,
            page,
            first: cursor.first,
        })
    }

    pub(super) async fn seal(&self, of: &str, cursor: &Cursor) -> Result<String, Failure> {
        let key = self.store.cursor_key().await?;
        let actor = self.principal().actor();
        let binding = Binding {
            tenant: self.tenant(),
            actor: &actor,
            of,
        };
        cursor::seal(&key, &binding, cursor, &*self.house().0.rng)
    }

    pub(super) fn deadline(&self) -> Option<Micros> {
        let ms = i64::try_from(self.limits().search_ms_max).unwrap_or(i64::MAX);
        let now = self.house().clock().monotonic();
        Some(Micros(now.0.saturating_add(ms.saturating_mul(1000))))
    }
}
