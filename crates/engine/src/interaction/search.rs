//! search of a type and of all types, page by page (`http.html#search`).
//!
//! Pages of one search show one state of the data: the next link is an encrypted cursor that
//! carries the search, the place where the page ended and the state that was shown.

use std::sync::Arc;

use access::{Search, Target};
use base::{Code, Micros};
use fhir::definitions::TypeId;
use fhir::outcome::Outcome;
use fhir::search::Target as Everything;
use store::{PageRequest, Position};

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

/// The page that is wanted of a search that is understood.
pub(super) struct Place {
    pub(super) query: String,
    pub(super) page: PageRequest,
    pub(super) first: Micros,
}

impl Session {
    /// A page of a search of one type, or of all types that the caller may search.
    ///
    /// # Errors
    /// Those of the query's parameters; `cursor-invalid`, `cursor-expired`, `limit-time`,
    /// `scope-missing`.
    pub async fn search(
        &self,
        type_name: Option<&str>,
        asked: Asked<'_>,
    ) -> Result<Answer, Failure> {
        let of = format!("search {}", type_name.unwrap_or(""));
        let type_id = type_name.map(|name| self.type_id(name)).transpose()?;
        let place = self.place(&of, asked).await?;
        let target = match type_id {
            Some(type_id) => Everything::Types(vec![type_id]),
            None => self.searchable(&place.query).await?,
        };
        let parsed = self.understand(&target, &place.query, asked.strict)?;
        let query = Arc::new(parsed.query);
        let permit = self.permit_search(&query).await?;
        let page = self.store.search(permit, query.clone(), place.page).await?;
        let path = type_name.unwrap_or("");
        let this = match asked.cursor {
            Some(cursor) => format!("{path}?_cursor={cursor}"),
            None if parsed.self_query.is_empty() => path.to_owned(),
            None => format!("{path}?{}", parsed.self_query),
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
                Some(format!("{path}?_cursor={}", self.seal(&of, &cursor).await?))
            }
        };
        let shape = query.shape.clone();
        Ok(Answer::Search(SearchPage {
            page,
            shape,
            issues: Outcome(parsed.issues),
            this,
            next,
        }))
    }

    /// What a search of all types searches: what `_type` names, or what the caller may search.
    async fn searchable(&self, query: &str) -> Result<Everything, Failure> {
        if form::first(query, "_type").is_some() {
            return Ok(Everything::All);
        }
        let allowed = |t: &TypeId| self.decide::<Search>(Target::Types(vec![*t])).is_ok();
        let types: Vec<TypeId> = self.model().types().filter(allowed).collect();
        if types.is_empty() {
            // The refusal is recorded.
            let _ = self.permit::<Search>(Target::Readable).await?;
        }
        Ok(Everything::Types(types))
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
