//! Bundles on the way out: searchset, history, and the answers to a batch or transaction. Stored
//! resources are copied into them byte for byte.

use std::collections::HashMap;
use std::io::Write;

use base::{Code, ResourceId};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use engine::{EntryAnswer, Failure, HistoryPage, Method, Mode, SearchPage, Session, Stored};
use fhir::json::{is_plain, push_json_string};
use fhir::outcome::{Issue, Outcome};
use fhir::resource::shape::write_shaped;
use fhir::search::query::Shape;

use crate::answer::{self, At, Head};
use crate::headers::Return;
use crate::room::Room;
use crate::{binary, problem};

/// A Bundle that is being written.
struct Writer {
    out: Room,
    entries: usize,
}

impl Writer {
    fn new(kind: &str, total: Option<u64>, capacity: usize) -> Self {
        let mut out = Room::of(capacity);
        out.extend_from_slice(b"{\"resourceType\":\"Bundle\",\"type\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.push(b'"');
        if let Some(total) = total {
            let _ = write!(out, ",\"total\":{total}");
        }
        Self { out, entries: 0 }
    }

    fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn string(&mut self, text: &str) {
        if is_plain(text) {
            self.raw("\"");
            self.raw(text);
            return self.raw("\"");
        }
        let mut quoted = String::with_capacity(text.len() + 2);
        push_json_string(text, &mut quoted);
        self.raw(&quoted);
    }

    fn links(&mut self, base: &str, this: &str, next: Option<&str>) {
        self.raw(",\"link\":[{\"relation\":\"self\",\"url\":");
        self.string(&url(base, this));
        self.raw("}");
        if let Some(next) = next {
            self.raw(",{\"relation\":\"next\",\"url\":");
            self.string(&url(base, next));
            self.raw("}");
        }
        self.raw("]");
    }

    /// Starts an entry; its members follow, the first without a comma.
    fn entry(&mut self) {
        self.raw(if self.entries == 0 {
            ",\"entry\":[{"
        } else {
            ",{"
        });
        self.entries += 1;
    }

    /// `base` as [`unclosed`] gives it.
    fn full_url(&mut self, base: &str, type_name: &str, stored: &Stored) {
        // Ids and type names need no escapes.
        for part in [
            "\"fullUrl\":",
            base,
            "/",
            type_name,
            "/",
            stored.id.as_str(),
            "\"",
        ] {
            self.raw(part);
        }
    }

    /// Of a resource that is answered without the one that contains it (`search.html#contained`).
    fn inner_url(&mut self, base: &str, type_name: &str, id: &ResourceId, stored: &Stored) {
        for part in [
            "\"fullUrl\":",
            base,
            "/",
            type_name,
            "/",
            id.as_str(),
            "#",
            stored.id.as_str(),
            "\"",
        ] {
            self.raw(part);
        }
    }

    fn finish(mut self) -> Bytes {
        self.raw(if self.entries == 0 { "}" } else { "]}" });
        self.out.into_bytes()
    }
}

/// A JSON string without the quote at its end.
fn unclosed(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    push_json_string(text, &mut quoted);
    quoted.pop();
    quoted
}

fn url(base: &str, path: &str) -> String {
    match path.strip_prefix('?') {
        Some(query) => [base, "?", query].concat(),
        None if path.is_empty() => base.to_owned(),
        None => [base, "/", path].concat(),
    }
}

/// The Bundle of a search (`search.html#return`).
pub(crate) fn searchset(found: &SearchPage, at: At<'_>) -> Result<Bytes, Failure> {
    let base = at.links.fhir();
    let size: usize = found
        .page
        .entries
        .iter()
        .map(|e| e.resource.get().body.len() + 200)
        .sum();
    let mut bundle = Writer::new("searchset", found.page.total, size + 1_000);
    bundle.links(&base, &found.this, found.next.as_deref());
    let start = unclosed(&base);
    for entry in &found.page.entries {
        let stored = entry.resource.get();
        bundle.entry();
        match &entry.within {
            None => bundle.full_url(&start, at.model.type_name(stored.type_id), stored),
            Some((type_id, id)) => {
                let container = at.model.type_name(*type_id);
                bundle.inner_url(&start, container, id, stored);
            }
        }
        bundle.raw(",\"resource\":");
        match (entry.mode, &found.shape) {
            (_, Shape::Whole) | (Mode::Include, Shape::Elements(_)) => {
                bundle.out.extend_from_slice(&stored.body);
            }
            (_, shape) => write_shaped(at.model, &stored.body, shape, &mut bundle.out)
                .map_err(|_| Failure::of(Code::Internal))?,
        }
        bundle.raw(match entry.mode {
            Mode::Match => ",\"search\":{\"mode\":\"match\"",
            Mode::Include => ",\"search\":{\"mode\":\"include\"",
        });
        if let Some(score) = entry.score {
            let _ = write!(bundle.out, ",\"score\":{score}");
        }
        bundle.raw("}}");
    }
    if !found.issues.0.is_empty() {
        bundle.entry();
        bundle.raw("\"fullUrl\":");
        bundle.string(&at.fresh_urn());
        bundle.raw(",\"resource\":");
        found.issues.write(&mut bundle.out);
        bundle.raw(",\"search\":{\"mode\":\"outcome\"}}");
    }
    Ok(bundle.finish())
}

/// The Bundle of a history (`http.html#history`).
pub(crate) fn history(found: &HistoryPage, at: At<'_>) -> Bytes {
    let base = at.links.fhir();
    let size: usize = found
        .page
        .entries
        .iter()
        .map(|e| e.resource.get().body.len() + 400)
        .sum();
    let mut bundle = Writer::new("history", found.page.total, size + 1_000);
    bundle.links(&base, &found.this, found.next.as_deref());
    let start = unclosed(&base);
    for entry in &found.page.entries {
        let stored = entry.resource.get();
        let name = at.model.type_name(stored.type_id);
        bundle.entry();
        bundle.full_url(&start, name, stored);
        if stored.method != Method::Delete {
            bundle.raw(",\"resource\":");
            bundle.out.extend_from_slice(&stored.body);
        }
        let method = stored.method.as_str();
        let (url, status) = match stored.method {
            Method::Post => (name.to_owned(), "201 Created"),
            Method::Delete => (format!("{name}/{}", stored.id), "204 No Content"),
            Method::Put if entry.made => (format!("{name}/{}", stored.id), "201 Created"),
            Method::Put | Method::Patch => (format!("{name}/{}", stored.id), "200 OK"),
        };
        let _ = write!(
            bundle.out,
            ",\"request\":{{\"method\":\"{method}\",\"url\":\"{url}\"}},\"response\":{{\
             \"status\":\"{status}\",\"etag\":\"W/\\\"{}\\\"\",\"lastModified\":\"{}\"}}}}",
            stored.version,
            stored.updated.instant(),
        );
    }
    if found.page.left_out > 0 {
        let text = format!(
            "{} versions that belong here are left out: what is stored of them is not as it was written",
            found.page.left_out
        );
        let outcome = Outcome::from(Issue::warning(Code::ResourceQuarantined, text));
        let status = problem::status(Code::ResourceQuarantined);
        told(&mut bundle, found, at, &outcome, &status.to_string());
    }
    if !found.issues.0.is_empty() {
        told(&mut bundle, found, at, &found.issues, "200 OK");
    }
    bundle.finish()
}

/// Says something about a history: an entry without a version, whose outcome tells it.
fn told(bundle: &mut Writer, found: &HistoryPage, at: At<'_>, outcome: &Outcome, status: &str) {
    let url = found.this.split('?').next().unwrap_or_default();
    bundle.entry();
    bundle.raw("\"fullUrl\":");
    bundle.string(&at.fresh_urn());
    bundle.raw(",\"request\":{\"method\":\"GET\",\"url\":");
    bundle.string(url);
    let _ = write!(
        bundle.out,
        "}},\"response\":{{\"status\":\"{status}\",\"outcome\":"
    );
    outcome.write(&mut bundle.out);
    bundle.raw("}}");
}

/// Bodies of Binaries whose data is kept apart, by the number of their entry.
pub(crate) type Apart = HashMap<usize, Bytes>;

/// The Binaries of a batch or transaction that are shown whole: all that an answer has room for
/// (`page_bytes_max`).
///
/// # Errors
/// `limit-share`, `limit-busy`.
pub(crate) async fn apart(session: &Session, entries: &[EntryAnswer]) -> Result<Apart, Failure> {
    use engine::Answer::{Existing, Written};
    let mut left = session.page_bytes_max();
    let mut apart = Apart::new();
    for (number, entry) in entries.iter().enumerate() {
        let (Ok(Written { stored, .. } | engine::Answer::Unchanged(stored))
        | Ok(Existing {
            stored,
            shown: true,
        })) = entry
        else {
            continue;
        };
        let Some(data) = stored.get().data else {
            continue;
        };
        if let Some(less) = left.checked_sub(data.base64_len()) {
            left = less;
            let whole = binary::whole(session, stored, data).await?;
            apart.insert(number, whole);
        }
    }
    Ok(apart)
}

/// The answers to the entries of a batch or transaction (`http.html#transaction-response`).
pub(crate) fn responses(
    transaction: bool,
    entries: Vec<EntryAnswer>,
    mut apart: Apart,
    at: At<'_>,
    prefer: Option<Return>,
) -> Result<Bytes, Failure> {
    let kind = if transaction {
        "transaction-response"
    } else {
        "batch-response"
    };
    let mut bundle = Writer::new(kind, None, entries.len() * 300 + 1_000);
    bundle.raw(",\"link\":[{\"relation\":\"self\",\"url\":");
    bundle.string(&at.links.fhir());
    bundle.raw("}]");
    for (number, answered) in entries.into_iter().enumerate() {
        bundle.entry();
        match answered {
            Ok(answer) => {
                let whole = apart.remove(&number);
                written(&mut bundle, answer, whole, (at, prefer))?;
            }
            Err(failure) => {
                let status = problem::status(failure.code());
                bundle.raw("\"response\":{\"status\":\"");
                bundle.raw(&status.to_string());
                bundle.raw("\",\"outcome\":");
                failure.outcome().write(&mut bundle.out);
                bundle.raw("}}");
            }
        }
    }
    Ok(bundle.finish())
}

fn written(
    bundle: &mut Writer,
    answer: engine::Answer,
    whole: Option<Bytes>,
    (at, prefer): (At<'_>, Option<Return>),
) -> Result<(), Failure> {
    use engine::Answer::{
        Bare, Deleted, Document, Existing, Found, Graphql, History, NotModified, Part, Responses,
        Search, Unchanged, Written,
    };
    let mut head = answer::head(&answer, at.model);
    if matches!(answer, Unchanged(_)) {
        // In an entry, whose program counts what was written.
        head.status = http::StatusCode::NOT_MODIFIED;
    }
    let base = at.links.fhir();
    let shown = !matches!(answer, Existing { shown: false, .. });
    let writes = matches!(
        answer,
        Written { .. } | Existing { .. } | Unchanged(_) | Deleted(_) | engine::Answer::Unseen(_)
    );
    let outcome = writes && prefer == Some(Return::Outcome);
    let resource = match answer {
        Found(stored) => Some(stored.into_inner().body),
        Part(stored, shape) => Some(answer::shaped(stored.get(), &shape, at)?),
        Written { stored, .. } | Existing { stored, .. } | Unchanged(stored) => {
            let stored = stored.into_inner();
            bundle.full_url(
                &unclosed(&base),
                at.model.type_name(stored.type_id),
                &stored,
            );
            bundle.raw(",");
            let wanted = shown && prefer == Some(Return::Representation);
            // Where there is no room for data that is kept apart, the resource is left out.
            let body = whole.or(stored.data.is_none().then_some(stored.body));
            body.filter(|_| wanted)
        }
        Search(page) => Some(searchset(&page, at)?),
        History(page) => Some(history(&page, at)),
        Document(bytes) => Some(bytes),
        Graphql { body, .. } => Some(as_binary(&body)),
        Responses { .. } => return Err(Failure::of(Code::Internal)),
        NotModified(_) | Deleted(_) | Bare(_) | engine::Answer::Unseen(_) => None,
    };
    if let Some(resource) = resource {
        bundle.raw("\"resource\":");
        bundle.out.extend_from_slice(&resource);
        bundle.raw(",");
    }
    let outcome = outcome.then(|| answer::done(head.status));
    response(bundle, &head, &base, outcome);
    bundle.raw("}");
    Ok(())
}

/// An answer of GraphQL, as the Binary that an entry of a Bundle can hold.
fn as_binary(body: &[u8]) -> Bytes {
    let data = STANDARD.encode(body);
    let text = format!(
        "{{\"resourceType\":\"Binary\",\"contentType\":\"application/json\",\"data\":\"{data}\"}}"
    );
    text.into()
}

/// `Bundle.entry.response`
fn response(bundle: &mut Writer, head: &Head, base: &str, outcome: Option<Bytes>) {
    bundle.raw("\"response\":{\"status\":\"");
    bundle.raw(&head.status.to_string());
    bundle.raw("\"");
    if let Some(location) = &head.location {
        bundle.raw(",\"location\":");
        bundle.string(&format!("{base}/{location}"));
    }
    if let Some(version) = head.version {
        bundle.raw(",\"etag\":");
        bundle.string(&answer::etag(version));
    }
    if let Some(modified) = head.modified {
        let _ = write!(bundle.out, ",\"lastModified\":\"{}\"", modified.instant());
    }
    if let Some(outcome) = outcome {
        bundle.raw(",\"outcome\":");
        bundle.out.extend_from_slice(&outcome);
    }
    bundle.raw("}");
}
