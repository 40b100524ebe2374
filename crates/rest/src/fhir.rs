//! FHIR's REST API: each handler takes one request apart for one interaction of the engine.

use std::borrow::Cow;

use axum::body::Body;
use base::Code;
use engine::form;
use engine::{
    Answer, Asked, Download, Failure, Form, Gate, HistoryScope, Patch, PatchKind, SearchScope,
    Session, UploadAbout, WriteConditions,
};
use http::header::{CONTENT_LOCATION, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};

use crate::answer::{self, At, Wish};
use crate::call::{BodyLimit, Call};
use crate::headers::{self, IF_NONE_EXIST, Prefer, Return, SECURITY_CONTEXT};
use crate::rendering::Pretty;
use crate::{binary, bundle, negotiate};

/// Parameters that are about the answer's form or its place, not about the search.
pub(crate) const NOT_SEARCHED: [&str; 3] = ["_cursor", "_format", "_pretty"];

type Answered = Result<Response<Body>, Failure>;

fn wish(call: &Call) -> Result<Wish, Failure> {
    let query = call.parts.uri.query();
    Ok(Wish {
        media: negotiate::answer_type(&call.parts.headers, query)?,
        prefer: Prefer::of(&call.parts.headers).answer,
    })
}

fn conditions(call: &Call) -> Result<WriteConditions, Failure> {
    headers::conditions(&call.parts.headers)
}

/// `GET …/metadata`
pub(crate) async fn capabilities(gate: Gate, call: Call) -> Answered {
    let wish = wish(&call)?;
    let document = Answer::Document(gate.capabilities(call.query()).await?);
    answer::respond(
        document,
        At {
            links: gate.links(),
            model: gate.model(),
            gate: &gate,
        },
        &wish,
    )
}

/// `GET …/{type}/{id}`
pub(crate) async fn read(session: Session, call: Call) -> Answered {
    let (type_name, id) = (call.value("type"), call.value("id"));
    let query = call.parts.uri.query();
    let unless = headers::unless(&call.parts.headers)?;
    if type_name == "Binary" && negotiate::wants_raw(&call.parts.headers, query) {
        let download = session.download(id, &unless).await?;
        return downloaded(&session, &call, download);
    }
    let wish = wish(&call)?;
    let form = form_for(query);
    let answer = session.read_as(type_name, id, &unless, form).await?;
    let answer = answer.in_shape(query.unwrap_or(""));
    answer::one(&session, answer, &wish)
}

/// A part is taken of the whole.
fn form_for(query: Option<&str>) -> Form {
    match query.unwrap_or("") {
        "" => Form::Apart,
        _ => Form::Whole,
    }
}

fn downloaded(session: &Session, call: &Call, download: Download) -> Answered {
    match download {
        Download::Bytes(raw) => binary::raw(session, raw, &call.parts.headers),
        Download::Same(same) => {
            let wish = Wish {
                media: negotiate::FHIR_JSON,
                prefer: None,
            };
            answer::respond(same, At::of(session), &wish)
        }
    }
}

/// `GET …/{type}/{id}/_history/{version}`
pub(crate) async fn vread(session: Session, call: Call) -> Answered {
    let (type_name, id, version) = (call.value("type"), call.value("id"), call.value("version"));
    let query = call.parts.uri.query();
    let unless = headers::unless(&call.parts.headers)?;
    if type_name == "Binary" && negotiate::wants_raw(&call.parts.headers, query) {
        let download = session.download_version(id, version, &unless).await?;
        return downloaded(&session, &call, download);
    }
    let wish = wish(&call)?;
    let named = (type_name, id, version);
    let answer = session.vread_as(named, &unless, form_for(query)).await?;
    let answer = answer.in_shape(query.unwrap_or(""));
    answer::one(&session, answer, &wish)
}

/// `POST …/{type}`
pub(crate) async fn create(session: Session, mut call: Call) -> Answered {
    let wish = wish(&call)?;
    session.may_create(call.value("type")).await?;
    if let Some(media) = other_media(&call)? {
        let answer = upload(&session, &mut call, &media, None).await?;
        return answer::one(&session, answer, &wish);
    }
    let body = call.resource(&session, BodyLimit::Resource).await?;
    let criteria = headers::text(&call.parts.headers, &IF_NONE_EXIST)?;
    let answer = session.create(call.value("type"), &body, criteria).await?;
    answer::one(&session, answer, &wish)
}

/// `POST …/$fhirpath`
pub(crate) async fn fhirpath(session: Session, mut call: Call) -> Answered {
    let wish = wish(&call)?;
    let body = call.resource(&session, BodyLimit::Resource).await?;
    let answer = session.fhirpath(&body).await?;
    answer::respond(answer, At::of(&session), &wish)
}

/// `PUT …/{type}/{id}`
pub(crate) async fn update(session: Session, mut call: Call) -> Answered {
    let wish = wish(&call)?;
    session.may_update(call.value("type")).await?;
    if let Some(media) = other_media(&call)? {
        let id = call.value("id").to_owned();
        let answer = upload(&session, &mut call, &media, Some(&id)).await?;
        return answer::one(&session, answer, &wish);
    }
    let body = call.resource(&session, BodyLimit::Resource).await?;
    let conditions = conditions(&call)?;
    let (type_name, id) = (call.value("type"), call.value("id"));
    let answer = session.update(type_name, id, &body, &conditions).await?;
    answer::one(&session, answer, &wish)
}

/// `PUT …/{type}?criteria`
pub(crate) async fn update_where(session: Session, mut call: Call) -> Answered {
    let wish = wish(&call)?;
    session.may_update(call.value("type")).await?;
    let body = call.resource(&session, BodyLimit::Resource).await?;
    let conditions = conditions(&call)?;
    let criteria = form::without(call.query(), &NOT_SEARCHED);
    let answer = session
        .update_where(call.value("type"), &criteria, &body, &conditions)
        .await?;
    answer::one(&session, answer, &wish)
}

/// `PATCH …/{type}/{id}`
pub(crate) async fn patch(session: Session, mut call: Call) -> Answered {
    let wish = wish(&call)?;
    session.may_update(call.value("type")).await?;
    let patch = patch_of(&session, &mut call).await?;
    let conditions = conditions(&call)?;
    let (type_name, id) = (call.value("type"), call.value("id"));
    let answer = session.patch(type_name, id, &patch, &conditions).await?;
    answer::respond(answer, At::of(&session), &wish)
}

/// `PATCH …/{type}?criteria`
pub(crate) async fn patch_where(session: Session, mut call: Call) -> Answered {
    let wish = wish(&call)?;
    session.may_update(call.value("type")).await?;
    let patch = patch_of(&session, &mut call).await?;
    let conditions = conditions(&call)?;
    let criteria = form::without(call.query(), &NOT_SEARCHED);
    let answer = session
        .patch_where(call.value("type"), &criteria, &patch, &conditions)
        .await?;
    answer::respond(answer, At::of(&session), &wish)
}

/// The patch in the body: of its own type, or a resource.
async fn patch_of(session: &Session, call: &mut Call) -> Result<Patch, Failure> {
    let limit = BodyLimit::Resource;
    let essence = negotiate::body_essence(&call.parts.headers);
    Ok(match PatchKind::of_media(&essence) {
        Some(kind) => Patch {
            kind,
            bytes: call.body(limit).await?,
        },
        None => Patch {
            kind: PatchKind::Path,
            bytes: call.resource(session, limit).await?,
        },
    })
}

/// `DELETE …/{type}/{id}`
pub(crate) async fn delete(session: Session, call: Call) -> Answered {
    let wish = wish(&call)?;
    let conditions = conditions(&call)?;
    let answer = session
        .delete(call.value("type"), call.value("id"), &conditions)
        .await?;
    answer::respond(answer, At::of(&session), &wish)
}

/// `DELETE …/{type}?criteria`
pub(crate) async fn delete_where(session: Session, call: Call) -> Answered {
    let wish = wish(&call)?;
    let criteria = form::without(call.query(), &NOT_SEARCHED);
    let conditions = conditions(&call)?;
    let answer = session
        .delete_where(call.value("type"), &criteria, &conditions)
        .await?;
    answer::respond(answer, At::of(&session), &wish)
}

/// `POST …/`: a batch or a transaction.
pub(crate) async fn batch_or_transaction(session: Session, mut call: Call) -> Answered {
    let wish = wish(&call)?;
    session.may_bundle().await?;
    let body = call.resource(&session, BodyLimit::Bundle).await?;
    let strict = Prefer::of(&call.parts.headers).strict;
    let answer = session.bundle(&body, strict).await?;
    let at = At::of(&session);
    match (answer, wish.prefer) {
        (
            Answer::Responses {
                transaction,
                entries,
            },
            Some(Return::Representation),
        ) => {
            let apart = bundle::apart(&session, &entries).await?;
            let answers = bundle::responses(transaction, entries, apart, at, wish.prefer)?;
            answer::respond(Answer::Document(answers), at, &wish)
        }
        (answer, _) => answer::respond(answer, at, &wish),
    }
}

/// `GET …/{type}?…`, `POST …/{type}/_search`
pub(crate) async fn search_type(session: Session, call: Call) -> Answered {
    let type_name = call.value("type").to_owned();
    search(&session, call, SearchScope::Type(&type_name)).await
}

/// `GET …/?…`, `POST …/_search`
pub(crate) async fn search_system(session: Session, call: Call) -> Answered {
    search(&session, call, SearchScope::System).await
}

/// `GET …/{type}/{id}/{inner}?…`, `POST …/{type}/{id}/{inner}/_search`
pub(crate) async fn search_compartment(session: Session, call: Call) -> Answered {
    let [head, id, inner] = ["type", "id", "inner"].map(|name| call.value(name).to_owned());
    if inner.starts_with('$') {
        let text = "this operation is not supported";
        return Err(Failure::new(Code::NotSupported, text));
    }
    search(&session, call, SearchScope::Compartment(&head, &id, &inner)).await
}

async fn search(session: &Session, mut call: Call, scope: SearchScope<'_>) -> Answered {
    let query = match call.parts.method {
        Method::POST => {
            session.may_search_in(scope).await?;
            form_and_query(&mut call).await?
        }
        _ => call.query().to_owned(),
    };
    let max = session.query_bytes_max();
    if query.len() as u64 > max {
        return Err(Failure::limit(Code::LimitQuery, "query_bytes_max", max));
    }
    let asked = Paged::of(&call.parts, &query)?;
    let mut answer = session.search(scope, asked.as_asked()).await?;
    if let Answer::Search(page) = &mut answer {
        carry_form(&query, page.next.as_mut());
    }
    let mut response = answer::respond(answer, At::of(session), &asked.wish)?;
    Pretty::mark(&query, &mut response);
    Ok(response)
}

/// Who follows a link gets the form that was asked for with the page before it.
fn carry_form(query: &str, next: Option<&mut String>) {
    let Some(next) = next else { return };
    for name in ["_format", "_pretty"] {
        if let Some(value) = form::first(query, name) {
            for part in ["&", name, "=", &form::encode(&value)] {
                next.push_str(part);
            }
        }
    }
}

/// The parameters of a `POST _search`: those of the body and those of the URL.
async fn form_and_query(call: &mut Call) -> Result<String, Failure> {
    let essence = negotiate::body_essence(&call.parts.headers);
    let body = call.body(BodyLimit::Form).await?;
    if essence != negotiate::FORM && !body.is_empty() {
        return Err(Failure::of(Code::MediaType));
    }
    let body = std::str::from_utf8(&body).map_err(|_| Failure::of(Code::RequestInvalid))?;
    Ok(match (body, call.query()) {
        (only, "") | ("", only) => only.to_owned(),
        (body, query) => format!("{query}&{body}"),
    })
}

/// `POST …/$reindex`: taken on; the status says how far it is.
pub(crate) async fn reindex(session: Session, call: Call) -> Answered {
    let wish = wish(&call)?;
    let answer = session.reindex(None).await?;
    let mut response = answer::respond(answer, At::of(&session), &wish)?;
    *response.status_mut() = StatusCode::ACCEPTED;
    let status = format!("{}/$reindex-status", session.links().fhir());
    if let Ok(status) = HeaderValue::from_str(&status) {
        response.headers_mut().insert(CONTENT_LOCATION, status);
    }
    Ok(response)
}

/// `GET …/$reindex-status`
pub(crate) async fn reindex_status(session: Session, call: Call) -> Answered {
    let wish = wish(&call)?;
    answer::respond(session.reindex_status().await?, At::of(&session), &wish)
}

/// `POST …/{type}/{id}/$reindex`: done when it is answered.
pub(crate) async fn reindex_instance(session: Session, call: Call) -> Answered {
    let wish = wish(&call)?;
    let only = Some((call.value("type"), call.value("id")));
    answer::respond(session.reindex(only).await?, At::of(&session), &wish)
}

/// `GET …/{type}/{id}/_history`
pub(crate) async fn history_instance(session: Session, call: Call) -> Answered {
    let scope = HistoryScope::Instance(call.value("type"), call.value("id"));
    history(&session, &call.parts, scope).await
}

/// `GET …/{type}/_history`
pub(crate) async fn history_type(session: Session, call: Call) -> Answered {
    let scope = HistoryScope::Type(call.value("type"));
    history(&session, &call.parts, scope).await
}

/// `GET …/_history`
pub(crate) async fn history_system(session: Session, call: Call) -> Answered {
    history(&session, &call.parts, HistoryScope::System).await
}

async fn history(session: &Session, parts: &Parts, scope: HistoryScope<'_>) -> Answered {
    let asked = Paged::of(parts, parts.uri.query().unwrap_or(""))?;
    let mut answer = session.history(scope, asked.as_asked()).await?;
    if let Answer::History(page) = &mut answer {
        carry_form(parts.uri.query().unwrap_or(""), page.next.as_mut());
    }
    answer::respond(answer, At::of(session), &asked.wish)
}

/// A search, a history or an operation that is answered page by page, as it was asked.
struct Paged {
    query: String,
    cursor: Option<String>,
    strict: bool,
    wish: Wish,
}

impl Paged {
    /// `query`: the parameters wherever they came from.
    fn of(parts: &Parts, query: &str) -> Result<Self, Failure> {
        Ok(Self {
            query: form::without(query, &NOT_SEARCHED),
            cursor: form::first(query, "_cursor").map(Cow::into_owned),
            strict: Prefer::of(&parts.headers).strict,
            wish: Wish {
                media: negotiate::answer_type(&parts.headers, Some(query))?,
                prefer: None,
            },
        })
    }

    fn as_asked(&self) -> Asked<'_> {
        Asked {
            query: &self.query,
            cursor: self.cursor.as_deref(),
            strict: self.strict,
        }
    }
}

/// The content type of a Binary that comes as itself.
fn other_media(call: &Call) -> Result<Option<String>, Failure> {
    if call.value("type") != "Binary" || negotiate::is_resource(&call.parts.headers) {
        return Ok(None);
    }
    Ok(headers::text(&call.parts.headers, &CONTENT_TYPE)?.map(str::to_owned))
}

async fn upload(
    session: &Session,
    call: &mut Call,
    content_type: &str,
    id: Option<&str>,
) -> Result<Answer, Failure> {
    let conditions = conditions(call)?;
    let mut whole = None;
    if call.is_coded()? {
        whole = Some(call.body(BodyLimit::Binary).await?);
    }
    let mut pieces = call.pieces()?;
    let security_context = headers::text(&call.parts.headers, &SECURITY_CONTEXT)?;
    let about = UploadAbout {
        id,
        content_type,
        security_context,
    };
    let mut upload = session.upload(about, &conditions).await?;
    if let Some(whole) = whole {
        upload.push(&whole).await?;
        return upload.finish().await;
    }
    while let Some(piece) = pieces.next().await? {
        upload.push(&piece).await?;
    }
    upload.finish().await
}
