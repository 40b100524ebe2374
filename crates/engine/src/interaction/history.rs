//! history of a resource, a type, or all (`http.html#history`).

use access::{History, Target};
use base::{Code, ResourceId};
use fhir::definitions::TypeId;
use store::{HistoryOf, HistoryRequest};

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
    /// A page of a history, newest first unless `_sort` says otherwise. Takes `_since`, `_at`, `_sort`
    /// and `_count`.
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
        let place = self.place(&binding, asked).await?;
        let mut request = HistoryRequest {
            of,
            since: None,
            at: None,
            ascending: false,
            count: 0,
            page: place.page,
        };
        let this = self.history_parameters(&mut request, &place.query, asked.strict)?;
        let instance = matches!(request.of, HistoryOf::Instance(..));
        let first = request.page.after.is_none();
        let whole = request.since.is_none() && request.at.is_none();
        let page = self.store.history(permit, request).await?;
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
        Ok(Answer::History(HistoryPage { page, this, next }))
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
    ) -> Result<String, Failure> {
        let limits = self.limits();
        let mut count = limits.page_entries_default;
        let mut this = Vec::new();
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
                "_since" | "_at" => return Err(bad("may be given once")),
                // Answering everything instead would show more than was asked for.
                "_list" => {
                    let what = "a history by _list is not supported";
                    return Err(Failure::new(Code::NotSupported, what));
                }
                _ if strict => {
                    return Err(Failure::new(
                        Code::SearchParameterUnknown,
                        format!("a history has no parameter {name}"),
                    ));
                }
                _ => {}
            }
        }
        request.count = u32::try_from(count).unwrap_or(u32::MAX);
        Ok(this.join("&"))
    }
}
