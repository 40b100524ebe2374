//! `$lastn` of Observation (`observation-operation-lastn.html`): the newest observations of each
//! kind that match a search.
//!
//! Two observations are of one kind if their codes share a coding, directly or through others, or,
//! without codings, if their texts are the same.

use std::collections::HashMap;
use std::sync::Arc;

use access::Released;
use base::Code;
use fhir::json::{self, Value};
use fhir::search::Target;
use fhir::search::query::Total;
use store::{Entry, Mode, Page, PageRequest, Stored};

use crate::answer::{Answer, SearchPage};
use crate::failure::Failure;
use crate::form;
use crate::interaction::search::{Asked, with_apart};
use crate::session::Session;

/// What an observation is known by: system and code, or a text.
type Key = (Option<String>, String);

/// The kinds that were met, each with its newest observations.
struct Kinds {
    max: usize,
    /// The kind behind a key, as an index into `of`.
    by_key: HashMap<Key, usize>,
    /// Observations with the place where each was met; emptied when a kind is merged into another.
    of: Vec<Vec<(usize, Released<Stored>)>>,
    met: usize,
}

impl Kinds {
    fn take(&mut self, stored: Released<Stored>) {
        let keys = keys(&stored.get().body);
        let mut known: Vec<usize> = keys
            .iter()
            .filter_map(|key| self.by_key.get(key).copied())
            .collect();
        known.sort_unstable();
        known.dedup();
        let kind = match known.split_first() {
            None => {
                self.of.push(Vec::new());
                self.of.len() - 1
            }
            Some((first, others)) => {
                for other in others {
                    self.merge(*other, *first);
                }
                *first
            }
        };
        for key in keys {
            self.by_key.insert(key, kind);
        }
        let met = self.met;
        self.met += 1;
        if let Some(own) = self.of.get_mut(kind)
            && own.len() < self.max
        {
            own.push((met, stored));
        }
    }

    fn merge(&mut self, from: usize, into: usize) {
        let moved = self.of.get_mut(from).map(std::mem::take);
        if let Some(own) = self.of.get_mut(into) {
            own.extend(moved.unwrap_or_default());
            own.sort_by_key(|(met, _)| *met);
            own.truncate(self.max);
        }
        for kind in self.by_key.values_mut().filter(|kind| **kind == from) {
            *kind = into;
        }
    }
}

fn keys(body: &[u8]) -> Vec<Key> {
    let Ok(doc) = json::parse(body, usize::MAX) else {
        return Vec::new();
    };
    let code = doc.root().get("code");
    let text = |value: Value<'_>, name| Some(value.get(name)?.as_str()?.into_owned());
    let codings = code.and_then(|c| c.get("coding")).into_iter();
    let codings: Vec<Key> = codings
        .flat_map(Value::items)
        .filter_map(|coding| {
            let system = text(coding, "system").unwrap_or_default();
            Some((Some(system), text(coding, "code")?))
        })
        .collect();
    if !codings.is_empty() {
        return codings;
    }
    let said = code.and_then(|code| text(code, "text"));
    vec![(None, said.unwrap_or_default().to_lowercase())]
}

/// What has to be asked for: whose observations, and of what kind. Every version of the operation's
/// definition says so.
fn must_be_asked(query: &str) -> Result<(), Failure> {
    let names: Vec<String> = form::pairs(query).map(|(name, _)| name.into()).collect();
    let asks = |wanted: &dyn Fn(&str) -> bool| {
        // Whatever modifier or chain follows the name, but for the one that names nobody.
        names.iter().any(|name| {
            let (own, rest) = name.split_at(name.find([':', '.']).unwrap_or(name.len()));
            wanted(own) && rest != ":missing"
        })
    };
    let subject = asks(&|name| matches!(name, "subject" | "patient"));
    let kind = asks(&|name| {
        matches!(name, "category" | "code" | "combo-code" | "component-code")
            || name.starts_with("code-value-")
            || name.starts_with("combo-code-value-")
            || name.starts_with("component-code-value-")
    });
    let lacks = match (subject, kind) {
        (true, true) => return Ok(()),
        (false, _) => "whose observations: name patient or subject",
        (true, false) => "of what kind: name category, code or another parameter with a code",
    };
    Err(Failure::new(
        Code::SearchValue,
        format!("$lastn has to be told {lacks}"),
    ))
}

impl Session {
    /// The newest `max` observations of each kind.
    ///
    /// # Errors
    /// Those of a search; `search-value`; `limit-query` if more than `operation_resources_max`
    /// observations match, or more than `page_entries_max` are to be answered.
    pub(super) async fn last_n(&self, asked: Asked<'_>) -> Result<Answer, Failure> {
        let max = self.most(asked.query)?;
        let type_id = self.type_id("Observation")?;
        let mut text = form::without(asked.query, &["max", "_sort", "_count", "_total"]);
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str("_sort=-date");
        let parsed = self
            .understand(&Target::Types(vec![type_id]), &text, asked.strict)
            .await?;
        let mut query = parsed.query;
        if !query.include.is_empty() {
            return Err(Failure::new(
                Code::NotSupported,
                "$lastn takes no _include and no _revinclude",
            ));
        }
        let _ = self
            .permit::<access::Search>(access::Target::Types(vec![type_id]))
            .await?;
        must_be_asked(asked.query)?;
        let limits = self.limits();
        let (page_max, all_max) = (limits.page_entries_max, limits.operation_resources_max);
        query.count = u32::try_from(page_max).unwrap_or(u32::MAX);
        query.total = Total::None;
        let shape = query.shape.clone();
        let mut request = PageRequest {
            deadline: self.deadline(),
            ..PageRequest::default()
        };
        self.with_terms(&mut query, &mut request).await?;
        let query = Arc::new(query);
        let mut kinds = Kinds {
            max,
            by_key: HashMap::new(),
            of: Vec::new(),
            met: 0,
        };
        let mut left_out = 0;
        let as_of = loop {
            let permit = self.permit_search(&query, access::Target::Types).await?;
            let page = self.store.search(permit, query.clone(), request.clone());
            let page = page.await?;
            left_out += page.left_out;
            for entry in page.entries {
                kinds.take(entry.resource);
            }
            if page.next.is_none() {
                break page.as_of;
            }
            if kinds.met as u64 >= all_max {
                let (code, name) = (Code::LimitQuery, "operation_resources_max");
                return Err(Failure::limit(code, name, all_max));
            }
            request.after = page.next;
            request.as_of = Some(page.as_of);
        };
        let mut of = kinds.of;
        of.sort_by_key(|kind| kind.first().map_or(usize::MAX, |(met, _)| *met));
        let entries: Vec<Entry> = of
            .into_iter()
            .flatten()
            .map(|(_, resource)| Entry {
                resource,
                mode: Mode::Match,
                score: None,
                made: false,
                within: None,
            })
            .collect();
        if entries.len() as u64 > page_max {
            return Err(Failure::limit(
                Code::LimitQuery,
                "page_entries_max",
                page_max,
            ));
        }
        Ok(Answer::Search(SearchPage {
            page: Page {
                total: Some(entries.len() as u64),
                entries,
                next: None,
                as_of,
                left_out,
            },
            shape,
            issues: with_apart(parsed.issues, left_out),
            this: format!("Observation/$lastn?{}", asked.query),
            next: None,
        }))
    }

    fn most(&self, query: &str) -> Result<usize, Failure> {
        let mut given = form::pairs(query).filter(|(name, _)| name == "max");
        let max = match (given.next(), given.next()) {
            (None, _) => Some(1),
            (Some((_, max)), None) => max.parse().ok().filter(|max| *max > 0),
            _ => None,
        };
        let bad = "max: one number above 0 is expected";
        max.ok_or(Failure::new(Code::SearchValue, bad))
    }
}
