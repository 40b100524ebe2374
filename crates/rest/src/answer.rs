//! An answer of the engine becomes a status, headers and bytes. Stored resources are copied as
//! they are, never parsed and printed again.

use axum::body::Body;
use base::{Code, Micros, Version};
use bytes::Bytes;
use engine::{Answer, Failure, Gate, Links, Session, Stored};
use fhir::definitions::Model;
use fhir::resource::shape::write_shaped;
use fhir::search::query::Shape;
use http::header::{
    CACHE_CONTROL, CONTENT_LOCATION, CONTENT_TYPE, ETAG, HeaderName, LAST_MODIFIED, LOCATION,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::headers::Return;
use crate::{binary, bundle, problem};

/// Where an answer is given: the tenant's addresses and its version of FHIR.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<'a> {
    pub(crate) links: &'a Links,
    pub(crate) model: &'static Model,
    pub(crate) gate: &'a Gate,
}

impl<'a> At<'a> {
    /// A URL for what is stored nowhere: `urn:uuid:…`.
    pub(crate) fn fresh_urn(&self) -> String {
        self.gate.fresh_urn()
    }

    pub(crate) fn of(session: &'a Session) -> Self {
        Self {
            links: session.links(),
            model: session.model(),
            gate: session.gate(),
        }
    }
}

/// How the caller wants to be answered.
#[derive(Debug)]
pub(crate) struct Wish {
    /// The content type.
    pub(crate) media: HeaderValue,
    /// `Prefer: return=`
    pub(crate) prefer: Option<Return>,
}

/// What is common to an HTTP answer and to the answer inside an entry of a Bundle.
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) version: Option<Version>,
    pub(crate) modified: Option<Micros>,
    /// Path under the base: `Patient/7/_history/1`.
    pub(crate) location: Option<String>,
}

/// Caches may keep what they ask about each time.
pub(crate) const REVALIDATE: HeaderValue = HeaderValue::from_static("private, no-cache");

/// Status, version, time and place of an answer.
pub(crate) fn head(answer: &Answer, model: &'static Model) -> Head {
    let of = |status, stored: &Stored| Head {
        status,
        version: Some(stored.version),
        modified: Some(stored.updated),
        location: None,
    };
    let placed = |status, stored: &Stored| {
        let name = model.type_name(stored.type_id);
        let location = format!("{name}/{}/_history/{}", stored.id, stored.version);
        Head {
            location: Some(location),
            ..of(status, stored)
        }
    };
    let plain = |status| Head {
        status,
        version: None,
        modified: None,
        location: None,
    };
    match answer {
        Answer::Found(stored) | Answer::Part(stored, _) => of(StatusCode::OK, stored.get()),
        Answer::Bare(whole) => self::head(whole, model),
        Answer::NotModified(stored) => of(StatusCode::NOT_MODIFIED, stored.get()),
        Answer::Written {
            created: true,
            stored,
        } => placed(StatusCode::CREATED, stored.get()),
        Answer::Written {
            created: false,
            stored,
        } => placed(StatusCode::OK, stored.get()),
        Answer::Existing { stored, .. } | Answer::Unchanged(stored) => {
            placed(StatusCode::OK, stored.get())
        }
        Answer::Unseen(stored) => placed(StatusCode::OK, stored.get()),
        Answer::Deleted(version) => Head {
            version: *version,
            ..plain(StatusCode::NO_CONTENT)
        },
        Answer::Graphql { code, .. } => plain(code.map_or(StatusCode::OK, problem::status)),
        Answer::Search(_) | Answer::History(_) | Answer::Responses { .. } | Answer::Document(_) => {
            plain(StatusCode::OK)
        }
    }
}

/// The entity tag of a version.
pub(crate) fn etag(version: Version) -> String {
    format!("W/\"{version}\"")
}

/// The HTTP answer.
pub(crate) fn respond(answer: Answer, at: At<'_>, wish: &Wish) -> Result<Response<Body>, Failure> {
    let mut head = head(&answer, at.model);
    let body = match answer {
        Answer::Found(stored) if stored.get().data.is_some() => {
            return Err(Failure::of(Code::Internal));
        }
        Answer::Found(stored) => Some(stored.into_inner().body),
        Answer::Part(stored, shape) => Some(shaped(stored.get(), &shape, at)?),
        Answer::NotModified(_) | Answer::Bare(_) => None,
        Answer::Existing { shown: false, .. } if wish.prefer != Some(Return::Outcome) => None,
        Answer::Written { stored, .. }
        | Answer::Existing { stored, .. }
        | Answer::Unchanged(stored) => match wish.prefer {
            Some(Return::Minimal) => None,
            Some(Return::Outcome) => Some(done(head.status)),
            // Data that is kept apart is not in the body: [`one`] sends it.
            Some(Return::Representation) | None => {
                let stored = stored.into_inner();
                stored.data.is_none().then_some(stored.body)
            }
        },
        Answer::Unseen(_) | Answer::Deleted(_) if wish.prefer == Some(Return::Outcome) => {
            head.status = StatusCode::OK;
            Some(done(head.status))
        }
        Answer::Unseen(_) | Answer::Deleted(_) => None,
        Answer::Search(page) => Some(bundle::searchset(&page, at)?),
        Answer::History(page) => Some(bundle::history(&page, at)),
        Answer::Responses {
            transaction,
            entries,
        } => {
            let apart = bundle::Apart::new();
            let answers = bundle::responses(transaction, entries, apart, at, wish.prefer);
            Some(answers?)
        }
        Answer::Document(bytes) | Answer::Graphql { body: bytes, .. } => Some(bytes),
    };
    Ok(write(&head, body, at.links, wish))
}

fn write(head: &Head, body: Option<Bytes>, links: &Links, wish: &Wish) -> Response<Body> {
    let has_body = body.is_some();
    let response = Response::new(body.map_or_else(Body::empty, Body::from));
    with_head(response, head, has_body, (links, wish))
}

/// The HTTP answer about one resource, whose data may be kept apart. Of what was just written, data
/// is not sent back beyond what could have come in the same form, unless it is asked for.
pub(crate) fn one(
    session: &Session,
    answer: Answer,
    wish: &Wish,
) -> Result<Response<Body>, Failure> {
    let at = At::of(session);
    let large = session.body_bytes_max();
    let wanted = match &answer {
        Answer::Found(stored) => Some(stored),
        Answer::Existing { shown: false, .. } => None,
        Answer::Written { stored, .. }
        | Answer::Existing { stored, .. }
        | Answer::Unchanged(stored) => match wish.prefer {
            Some(Return::Representation) => Some(stored),
            None => {
                let size = stored.get().data.map_or(0, |data| data.base64_len());
                (size <= large).then_some(stored)
            }
            Some(Return::Minimal | Return::Outcome) => None,
        },
        _ => None,
    };
    let apart = wanted.and_then(|stored| Some((stored.clone(), stored.get().data?)));
    match apart {
        None => respond(answer, at, wish),
        Some((stored, data)) => {
            let head = head(&answer, at.model);
            let response = binary::json(session, stored, data)?;
            Ok(with_head(response, &head, true, (at.links, wish)))
        }
    }
}

fn with_head(
    mut response: Response<Body>,
    head: &Head,
    has_body: bool,
    (links, wish): (&Links, &Wish),
) -> Response<Body> {
    *response.status_mut() = head.status;
    let headers = response.headers_mut();
    headers.reserve(10);
    if has_body {
        headers.insert(CONTENT_TYPE, wish.media.clone());
    }
    headers.insert(CACHE_CONTROL, REVALIDATE);
    if let Some(version) = head.version {
        put(headers, ETAG, etag(version));
    }
    if let Some(modified) = head.modified {
        put(headers, LAST_MODIFIED, modified.http_date().to_string());
    }
    if let Some(location) = &head.location {
        let url = format!("{}/{location}", links.fhir());
        if has_body && wish.prefer != Some(Return::Outcome) {
            put(headers, CONTENT_LOCATION, url.clone());
        }
        put(headers, LOCATION, url);
    }
    response
}

pub(crate) fn put(headers: &mut HeaderMap, name: HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

/// An OperationOutcome that says that it is done.
pub(crate) fn done(status: StatusCode) -> Bytes {
    let what = match status {
        StatusCode::CREATED => "created",
        _ => "done",
    };
    format!(
        "{{\"resourceType\":\"OperationOutcome\",\"issue\":[{{\"severity\":\"information\",\
         \"code\":\"informational\",\"diagnostics\":\"{what}\"}}]}}"
    )
    .into()
}

/// The part of a stored resource that a shape asks for.
pub(crate) fn shaped(stored: &Stored, shape: &Shape, at: At<'_>) -> Result<Bytes, Failure> {
    let mut body = Vec::new();
    write_shaped(at.model, &stored.body, shape, &mut body)
        .map_err(|_| Failure::of(Code::Internal))?;
    Ok(body.into())
}
