//! One entry of a batch or transaction, apart from the document it stood in: which interaction it
//! asks for, and what that needs.

use std::ops::Range;

use base::Code;
use bytes::Bytes;
use fhir::bundle::{Entry, Method};

use super::condition::{Unless, VersionMatch, WriteConditions};
use super::history::HistoryScope;
use super::instant;
use super::operation::{Input, On};
use super::patch;
use super::search::{Asked, SearchScope};
use crate::answer::Answer;
use crate::failure::Failure;
use crate::form;
use crate::session::Session;

/// Parameters that are not the search's or operation's.
const NOT_SEARCHED: [&str; 3] = ["_cursor", "_format", "_pretty"];

/// What an entry asks for. Types, ids and queries are as they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Intent {
    /// `GET metadata`, with its query.
    Capabilities(String),
    Read(String, String, String),
    /// Type, id and version, and the query.
    Vread([String; 3], String),
    HistoryOfInstance(String, String, String),
    HistoryOfType(String, String),
    HistoryOfSystem(String),
    /// `None`: of all types.
    Search(Option<String>, String),
    /// Head, id and type of a compartment.
    SearchCompartment([String; 3], String),
    /// Name and query of an operation, and the path that it is asked of.
    Operate(String, Vec<String>, String),
    Create(String),
    Update(String, String),
    UpdateWhere(String, String),
    Patch(String, String),
    PatchWhere(String, String),
    Delete(String, String),
    DeleteWhere(String, String),
}

/// One entry.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// Position in the Bundle.
    pub(super) index: usize,
    pub(super) intent: Intent,
    /// HEAD: no content is wanted.
    bare: bool,
    pub(super) full_url: Option<String>,
    pub(super) conditions: WriteConditions,
    pub(super) unless: Unless,
    pub(super) if_none_exist: Option<String>,
    /// Where the resource stands in the Bundle's bytes.
    pub(super) resource: Range<usize>,
    /// What a patch made, in place of the resource.
    pub(super) patched: Option<Bytes>,
}

impl Part {
    pub(super) fn read(entry: &Entry<'_>, base: &str) -> Result<Self, Failure> {
        let intent = intent(entry.method, &entry.url, base)?;
        if matches!(intent, Intent::Search(..) | Intent::SearchCompartment(..))
            && entry.resource.is_some()
        {
            let what = "the parameters of a search in a Bundle are those of its URL";
            return Err(Failure::new(Code::BundleEntry, what));
        }
        let is_read = matches!(entry.method, Method::Get | Method::Head);
        let none_match = entry.if_none_match.as_deref();
        let unless = Unless {
            version: none_match.map(VersionMatch::parse),
            modified_since: entry.if_modified_since.as_deref().and_then(instant::parse),
        };
        let conditions = match is_read {
            true => WriteConditions::default(),
            false => WriteConditions::parse(entry.if_match.as_deref(), none_match)?,
        };
        let span = entry.resource.map_or((0, 0), fhir::json::Value::span);
        Ok(Self {
            index: entry.index,
            intent,
            bare: entry.method == Method::Head,
            full_url: entry.full_url.as_deref().map(str::to_owned),
            conditions,
            unless,
            if_none_exist: entry.if_none_exist.as_deref().map(str::to_owned),
            resource: span.0..span.1,
            patched: None,
        })
    }

    /// The bytes of its resource.
    pub(super) fn body(&self, bundle: &Bytes) -> Bytes {
        if let Some(patched) = &self.patched {
            return patched.clone();
        }
        match bundle.get(self.resource.clone()) {
            Some(_) => bundle.slice(self.resource.clone()),
            None => Bytes::new(),
        }
    }
}

/// The interaction that method and URL ask for.
fn intent(method: Method, url: &str, base: &str) -> Result<Intent, Failure> {
    let refuse = |what: String| Err(Failure::new(Code::BundleEntry, what));
    let relative = url.strip_prefix(base).unwrap_or(url);
    let (path, query) = match relative.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (relative, None),
    };
    if path.contains("://") {
        return refuse("request.url is not under this base".into());
    }
    let steps: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
    let own = str::to_owned;
    let q = query.unwrap_or("").to_owned();
    Ok(match (method, steps.as_slice(), query) {
        (Method::Get | Method::Head | Method::Post, [on @ .., operation], _)
            if operation.starts_with('$') =>
        {
            let name = operation.trim_start_matches('$').to_owned();
            Intent::Operate(name, on.iter().map(|step| own(step)).collect(), q)
        }
        (Method::Get | Method::Head, ["metadata"], _) => Intent::Capabilities(q),
        (Method::Get | Method::Head, ["_history"], _) => Intent::HistoryOfSystem(q),
        (Method::Get | Method::Head, [], _) => Intent::Search(None, q),
        (Method::Get | Method::Head, [t], _) => Intent::Search(Some(own(t)), q),
        (Method::Get | Method::Head, [t, "_history"], _) => Intent::HistoryOfType(own(t), q),
        (Method::Get | Method::Head, [t, id], _) => Intent::Read(own(t), own(id), q),
        (Method::Get | Method::Head, [t, id, "_history"], _) => {
            Intent::HistoryOfInstance(own(t), own(id), q)
        }
        (Method::Get | Method::Head, [head, id, t], _) => {
            Intent::SearchCompartment([own(head), own(id), own(t)], q)
        }
        (Method::Get | Method::Head, [t, id, "_history", v], _) => {
            Intent::Vread([own(t), own(id), own(v)], q)
        }
        (Method::Post, ["_search"], _) => Intent::Search(None, q),
        (Method::Post, [t, "_search"], _) => Intent::Search(Some(own(t)), q),
        (Method::Post, [head, id, t, "_search"], _) => {
            Intent::SearchCompartment([own(head), own(id), own(t)], q)
        }
        (Method::Post, [t], None) => Intent::Create(own(t)),
        (Method::Put, [t, id], None) => Intent::Update(own(t), own(id)),
        (Method::Put, [t], Some(criteria)) => Intent::UpdateWhere(own(t), own(criteria)),
        (Method::Delete, [t, id], None) => Intent::Delete(own(t), own(id)),
        (Method::Delete, [t], Some(criteria)) => Intent::DeleteWhere(own(t), own(criteria)),
        (Method::Patch, [t, id], None) => Intent::Patch(own(t), own(id)),
        (Method::Patch, [t], Some(criteria)) => Intent::PatchWhere(own(t), own(criteria)),
        _ => return refuse(format!("{} is not possible on this URL", method.as_str())),
    })
}

impl Session {
    /// Does what an entry asks for, by itself.
    pub(super) async fn perform(
        &self,
        part: &Part,
        body: &Bytes,
        strict: bool,
    ) -> Result<Answer, Failure> {
        let answer = self.perform_whole(part, body, strict).await?;
        Ok(match part.bare {
            true => Answer::Bare(Box::new(answer)),
            false => answer,
        })
    }

    async fn perform_whole(
        &self,
        part: &Part,
        body: &Bytes,
        strict: bool,
    ) -> Result<Answer, Failure> {
        let asked = |query| Asked {
            query,
            cursor: None,
            strict,
        };
        let conditions = &part.conditions;
        match &part.intent {
            Intent::Capabilities(q) => self.capabilities(q).await,
            Intent::Read(t, id, q) => Ok(self.read(t, id, &part.unless).await?.in_shape(q)),
            Intent::Operate(name, on, q) => {
                self.operate_entry(name, (on, q), (body, conditions), strict)
                    .await
            }
            Intent::Vread([t, id, version], q) => {
                let read = self.vread(t, id, version, &part.unless).await?;
                Ok(read.in_shape(q))
            }
            Intent::HistoryOfInstance(t, id, q) => {
                self.history(HistoryScope::Instance(t, id), asked(q)).await
            }
            Intent::HistoryOfType(t, q) => self.history(HistoryScope::Type(t), asked(q)).await,
            Intent::HistoryOfSystem(q) => self.history(HistoryScope::System, asked(q)).await,
            Intent::Search(t, q) => {
                let scope = t.as_deref().map_or(SearchScope::System, SearchScope::Type);
                self.search_entry(scope, q, strict).await
            }
            Intent::SearchCompartment([head, id, t], q) => {
                let scope = SearchScope::Compartment(head, id, t);
                self.search_entry(scope, q, strict).await
            }
            Intent::Create(t) => self.create(t, body, part.if_none_exist.as_deref()).await,
            Intent::Update(t, id) => self.update(t, id, body, conditions).await,
            Intent::UpdateWhere(t, criteria) => {
                self.update_where(t, criteria, body, conditions).await
            }
            Intent::Patch(t, id) => {
                let patch = patch::of_entry(&self.checking(), body)?;
                self.patch(t, id, &patch, conditions).await
            }
            Intent::PatchWhere(t, criteria) => {
                let patch = patch::of_entry(&self.checking(), body)?;
                self.patch_where(t, criteria, &patch, conditions).await
            }
            Intent::Delete(t, id) => self.delete(t, id, conditions).await,
            Intent::DeleteWhere(t, criteria) => self.delete_where(t, criteria, conditions).await,
        }
    }

    async fn operate_entry(
        &self,
        name: &str,
        (on, text): (&[String], &str),
        (body, conditions): (&Bytes, &WriteConditions),
        strict: bool,
    ) -> Result<Answer, Failure> {
        let on: Vec<&str> = on.iter().map(String::as_str).collect();
        let on = match on.as_slice() {
            [] => On::System,
            [t] => On::Type(t),
            [t, id] => On::Instance(t, id),
            [t, id, "_history", version] => On::Version(t, id, version),
            _ => return Err(Failure::of(Code::RouteUnknown)),
        };
        let cursor = form::first(text, "_cursor");
        let input = Input {
            query: &form::without(text, &NOT_SEARCHED),
            cursor: cursor.as_deref(),
            strict,
            conditions,
            body,
        };
        self.operate(name, on, input).await
    }

    async fn search_entry(
        &self,
        scope: SearchScope<'_>,
        text: &str,
        strict: bool,
    ) -> Result<Answer, Failure> {
        let cursor = form::first(text, "_cursor");
        let query = form::without(text, &NOT_SEARCHED);
        let asked = Asked {
            query: &query,
            cursor: cursor.as_deref(),
            strict,
        };
        self.search(scope, asked).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_interactions() {
        let check = |method, url: &str, wanted: Option<Intent>| {
            let found = intent(method, url, "http://h/t/a/fhir").ok();
            assert_eq!(found, wanted, "{method:?} {url}");
        };
        let own = str::to_owned;
        let read = Some(Intent::Read(own("Patient"), own("7"), String::new()));
        for url in ["Patient/7", "/Patient/7", "http://h/t/a/fhir/Patient/7"] {
            check(Method::Get, url, read.clone());
        }
        check(
            Method::Get,
            "Patient/7/$everything?_count=2",
            Some(Intent::Operate(
                own("everything"),
                vec![own("Patient"), own("7")],
                own("_count=2"),
            )),
        );
        check(
            Method::Post,
            "$meta",
            Some(Intent::Operate(own("meta"), Vec::new(), String::new())),
        );
        check(
            Method::Head,
            "Patient/7/Observation?code=x",
            Some(Intent::SearchCompartment(
                [own("Patient"), own("7"), own("Observation")],
                own("code=x"),
            )),
        );
        check(Method::Get, "http://other/fhir/Patient/7", None);
        check(
            Method::Get,
            "Patient?a=b?c",
            Some(Intent::Search(Some(own("Patient")), own("a=b?c"))),
        );
        check(
            Method::Get,
            "?_type=Patient",
            Some(Intent::Search(None, own("_type=Patient"))),
        );
        check(
            Method::Get,
            "Patient/7/_history/2",
            Some(Intent::Vread(
                [own("Patient"), own("7"), own("2")],
                String::new(),
            )),
        );
        check(
            Method::Post,
            "Patient/_search?a=b",
            Some(Intent::Search(Some(own("Patient")), own("a=b"))),
        );
        check(
            Method::Get,
            "metadata?mode=full",
            Some(Intent::Capabilities(own("mode=full"))),
        );
        check(
            Method::Get,
            "_history",
            Some(Intent::HistoryOfSystem(String::new())),
        );
        check(
            Method::Post,
            "Patient",
            Some(Intent::Create(own("Patient"))),
        );
        check(Method::Post, "Patient/7", None);
        check(Method::Post, "Patient?a=b", None);
        check(Method::Put, "Patient", None);
        check(
            Method::Put,
            "Patient/7",
            Some(Intent::Update(own("Patient"), own("7"))),
        );
        check(
            Method::Put,
            "Patient?a=b",
            Some(Intent::UpdateWhere(own("Patient"), own("a=b"))),
        );
        check(Method::Delete, "Patient", None);
        check(
            Method::Delete,
            "Patient?a=b",
            Some(Intent::DeleteWhere(own("Patient"), own("a=b"))),
        );
        let patched = Intent::Patch(own("Patient"), own("7"));
        check(Method::Patch, "Patient/7", Some(patched));
        check(Method::Patch, "Patient", None);
    }
}
