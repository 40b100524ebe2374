//! history of a resource, a type, or all (`http.html#history`).

use std::sync::Arc;

use access::{History, Permit, Search, Target};
use base::limits::fixed::HISTORY_LISTED_MAX;
use base::{Code, ResourceId};
use fhir::definitions::TypeId;
use fhir::json::Value;
use fhir::outcome::{Issue, Outcome};
use fhir::reference::Literal;
use fhir::resource::Draft;
use fhir::search::{self, Query};
use store::{HistoryOf, HistoryRequest, Listed, PageRequest, Read};

use super::read::id_in_url;
use super::search::Asked;
use crate::answer::{Answer, HistoryPage};
use crate::cursor::Cursor;
use crate::failure::Failure;
use crate::form;
use crate::session::Session;

/// Of what a history is.
#[derive(Clone, Copy, Debug)]
pub enum HistoryScope<'a> {
    /// Of one resource: type and id.
    Instance(&'a str, &'a str),
    /// Of a type.
    Type(&'a str),
    /// Of all types that the caller may see.
    System,
}

impl Session {
    /// A page of a history, newest first unless `_sort` says otherwise. Takes `_since`, `_at`,
    /// `_list`, `_sort` and `_count`.
    ///
    /// # Errors
    /// `not-found` for a resource that never was; `cursor-invalid`, `cursor-expired`,
    /// `search-value`, `scope-missing`.
    pub async fn history(
        &self,
        scope: HistoryScope<'_>,
        asked: Asked<'_>,
    ) -> Result<Answer, Failure> {
        let (of, path, target) = self.history_of(scope)?;
        let permit = self.permit::<History>(target).await?;
        let binding = format!("history {path}");
        let mut place = self.place(&binding, asked).await?;
        let mut request = HistoryRequest {
            of,
            since: None,
            at: None,
            listed: None,
            ascending: false,
            count: 0,
            page: place.page,
        };
        // What was ignored is not in the query that a paging link carries.
        let strict = asked.strict || asked.cursor.is_some();
        let understood = self.history_parameters(&mut request, &place.query, strict)?;
        let this = understood.this.join("&");
        place.query = this.clone();
        let mut found_by = None;
        if let Some(list) = understood
            .list
            .as_ref()
            .filter(|list| list.starts_with('$'))
        {
            found_by = Some(self.computed(list, &request.of, &mut request.page).await?);
        } else if let Some(list) = &understood.list {
            let (listed, pinned) = self.listed(list).await?;
            request.listed = Some(listed);
            let own = understood.this.iter().filter(|p| !p.starts_with("_list="));
            let mut query: Vec<String> = own.cloned().collect();
            query.push(format!("_list={}", form::encode(&pinned)));
            place.query = query.join("&");
        }
        let instance = matches!(request.of, HistoryOf::Instance(..));
        let first = request.page.after.is_none();
        let narrowed = request.since.is_some() || understood.list.is_some();
        let whole = !narrowed && request.at.is_none();
        let page = self
            .store
            .history_of_found(permit, request, found_by)
            .await?;
        if instance && first && whole && page.entries.is_empty() && page.total == Some(0) {
            return Err(Failure::of(Code::NotFound));
        }
        let this = match asked.cursor {
            Some(cursor) => format!("{path}?_cursor={cursor}"),
            None if this.is_empty() => path.clone(),
            None => format!("{path}?{this}"),
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
                Some(format!(
                    "{path}?_cursor={}",
                    self.seal(&binding, &cursor).await?
                ))
            }
        };
        let issues = Outcome(understood.issues);
        Ok(Answer::History(HistoryPage {
            page,
            issues,
            this,
            next,
        }))
    }

    /// The search that finds the members of a list that is computed (`lifecycle.html#lists`), among what the
    /// history is of, and the right to it. All pages go by its members as the first one saw them.
    async fn computed(
        &self,
        list: &str,
        of: &HistoryOf,
        page: &mut PageRequest,
    ) -> Result<(Permit<Search>, Arc<Query>), Failure> {
        let types = match of {
            HistoryOf::Instance(type_id, _) | HistoryOf::Type(type_id) => vec![*type_id],
            HistoryOf::System => self.may_search(self.model().types()).await?,
        };
        let text = format!("_list={}", form::encode(list));
        let target = search::Target::Types(types);
        let mut query = self.understand(&target, &text, true).await?.query;
        let permit = self.permit_search(&query, Target::Types).await?;
        self.with_terms(&mut query, page).await?;
        Ok((permit, Arc::new(query)))
    }

    /// What a List refers to, and the List as it was then: further pages go by that. What is not there, or
    /// not in the caller's reach, names nothing.
    async fn listed(&self, list: &str) -> Result<(Vec<Listed>, String), Failure> {
        let model = self.model();
        let bad = |what: &str| Failure::new(Code::SearchValue, format!("_list: {what}"));
        let type_id = model
            .type_id("List")
            .ok_or_else(|| bad("this version of FHIR has no List"))?;
        let name = list.strip_prefix("List/").unwrap_or(list);
        let (id, version) = match name.split_once("/_history/") {
            Some((id, version)) => (id, Some(version)),
            None => (name, None),
        };
        let id = ResourceId::new(id).map_err(|_| bad("the id of a List resource is expected"))?;
        let read = match version {
            None => self.read_stored(type_id, &id).await?,
            Some(version) => self.read_version(type_id, id.as_str(), version).await?,
        };
        let Read::Found(stored) = read else {
            return Ok((Vec::new(), list.to_owned()));
        };
        let stored = stored.get();
        let depth = usize::try_from(self.limits().json_depth_max).unwrap_or(usize::MAX);
        let draft =
            Draft::read(model, &stored.body, depth).map_err(|_| Failure::of(Code::Internal))?;
        let base = self.links().fhir();
        let mut listed = Vec::new();
        let entries = draft
            .value()
            .get("entry")
            .into_iter()
            .flat_map(Value::items);
        for entry in entries {
            let item = entry.get("item").and_then(|item| item.get("reference"));
            let Some(text) = item.and_then(Value::as_str) else {
                continue;
            };
            let Literal::Local {
                type_id,
                id,
                version,
            } = Literal::parse(&text, model, &[&base])
            else {
                continue;
            };
            let version = match version.map(super::condition::version) {
                // A version that cannot be is none of the resource's.
                Some(None) => continue,
                version => version.flatten(),
            };
            listed.push(Listed {
                type_id,
                id,
                version,
            });
            if listed.len() > HISTORY_LISTED_MAX {
                let what =
                    format!("a history is narrowed to {HISTORY_LISTED_MAX} references at most");
                return Err(bad(&what));
            }
        }
        let pinned = format!("{}/_history/{}", stored.id, stored.version);
        Ok((listed, pinned))
    }

    fn history_of(&self, scope: HistoryScope<'_>) -> Result<(HistoryOf, String, Target), Failure> {
        Ok(match scope {
            HistoryScope::Instance(type_name, id) => {
                let (type_id, id): (TypeId, ResourceId) =
                    (self.type_id(type_name)?, id_in_url(id)?);
                let target = Target::Instance(type_id, id.clone());
                let path = format!("{type_name}/{id}/_history");
                (HistoryOf::Instance(type_id, id), path, target)
            }
            HistoryScope::Type(type_name) => {
                let type_id = self.type_id(type_name)?;
                let path = format!("{type_name}/_history");
                (HistoryOf::Type(type_id), path, Target::Types(vec![type_id]))
            }
            HistoryScope::System => (HistoryOf::System, "_history".into(), Target::Readable),
        })
    }

    /// Reads the parameters of a history; gives back those that count.
    fn history_parameters(
        &self,
        request: &mut HistoryRequest,
        query: &str,
        strict: bool,
    ) -> Result<Understood, Failure> {
        let limits = self.limits();
        let mut count = limits.page_entries_default;
        let (mut this, mut list, mut issues) = (Vec::new(), None, Vec::new());
        for (name, value) in form::pairs(query) {
            let bad = |what: &str| Failure::new(Code::SearchValue, format!("{name}: {what}"));
            let when = "a date or a time is expected, without a prefix";
            match &*name {
                "_count" => {
                    let asked: u64 = value.parse().map_err(|_| bad("a number is expected"))?;
                    count = asked.min(limits.page_entries_max);
                    this.push(format!("_count={count}"));
                }
                "_summary" if value == "count" => {
                    count = 0;
                    this.push("_summary=count".to_owned());
                }
                "_since" if request.since.is_none() => {
                    let since = super::instant::parse(&value).ok_or_else(|| bad(when))?;
                    request.since = Some(since);
                    this.push(format!("_since={}", form::encode(&value)));
                }
                "_at" if request.at.is_none() => {
                    let range = super::instant::range(&value).ok_or_else(|| bad(when))?;
                    request.at = Some(range);
                    this.push(format!("_at={}", form::encode(&value)));
                }
                "_sort" => {
                    request.ascending = match &*value {
                        "_lastUpdated" => true,
                        "-_lastUpdated" => false,
                        _ => {
                            return Err(bad(
                                "a history is sorted by _lastUpdated or -_lastUpdated",
                            ));
                        }
                    };
                    this.push(format!("_sort={value}"));
                }
                "_list" if list.is_none() => {
                    this.push(format!("_list={}", form::encode(&value)));
                    list = Some(value.into_owned());
                }
                "_since" | "_at" | "_list" => return Err(bad("may be given once")),
                _ => {
                    let what = format!("a history has no parameter {name}");
                    if strict {
                        return Err(Failure::new(Code::SearchParameterUnknown, what));
                    }
                    let what = format!("{what}; it was ignored");
                    issues.push(Issue::warning(Code::SearchParameterIgnored, what));
                }
            }
        }
        request.count = u32::try_from(count).unwrap_or(u32::MAX);
        Ok(Understood { this, list, issues })
    }
}

/// The parameters of a history, as they were understood.
struct Understood {
    /// Those that count.
    this: Vec<String>,
    /// `_list`
    list: Option<String>,
    /// What was ignored.
    issues: Vec<Issue>,
}
