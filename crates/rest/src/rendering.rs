//! The last form of an answer: from the JSON that handlers make to the format, the layout and the
//! content coding that the client asked for. Answers in plain JSON are left as they are.

use axum::body::Body;
use base::Code;
use bytes::Bytes;
use engine::{Failure, Session};
use fhir::definitions::{FhirVersion, Model};
use fhir::json::{self, Value, write_compact, write_pretty};
use fhir::xml::{Layout, write_xml};
use http::header::{
    ACCEPT, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, VARY,
};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt;

use crate::binary::HeldByItself;
use crate::coding::Coding;
use crate::negotiate::{self, Format};

/// Answers of fewer bytes are not compressed: it would save less than a packet.
const CODED_MIN: u64 = 1_024;

/// Answers up to this many bytes are rendered on the worker that serves the request.
const INLINE_BYTES_MAX: usize = 64 << 10;

/// Marks an answer that is to be laid out for people: `_pretty` came in a form, not in the URL.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pretty;

impl Pretty {
    /// Marks the answer if these parameters, of the URL or of a form, say so.
    pub(crate) fn mark(query: &str, response: &mut Response<Body>) {
        if engine::form::first(query, "_pretty").as_deref() == Some("true") {
            response.extensions_mut().insert(Self);
        }
    }
}

/// What a client asked for beside the resource.
#[derive(Clone, Debug)]
pub(crate) struct Rendering {
    pretty: bool,
    coding: Option<Coding>,
    /// The content type of answers, as far as the URL and the headers say; none for FHIR's JSON.
    media: Option<HeaderValue>,
}

/// What is to be done with the bytes of an answer.
#[derive(Clone, Copy)]
struct Work {
    model: &'static Model,
    format: Option<Format>,
    pretty: bool,
    coding: Option<Coding>,
}

/// Bytes of an answer after the work.
struct Done {
    bytes: Bytes,
    /// Whether they are a resource, and so in the format that was asked for.
    rendered: bool,
}

impl Rendering {
    pub(crate) fn of(parts: &Parts) -> Self {
        let query = parts.uri.query();
        let says = |name: &str| query.is_some_and(|q| q.contains(name));
        let pretty = says("_pretty")
            && query
                .and_then(|q| engine::form::first(q, "_pretty"))
                .as_deref()
                == Some("true");
        let accept = parts.headers.get(ACCEPT).map(HeaderValue::as_bytes);
        let usual = matches!(accept, None | Some(b"*/*" | b"application/fhir+json"));
        let media = match usual && !says("_format") {
            true => None,
            false => negotiate::answer_type(&parts.headers, query).ok(),
        };
        Self {
            pretty,
            coding: Coding::wanted(&parts.headers),
            media: media.filter(|m| *m != negotiate::FHIR_JSON),
        }
    }

    /// Whether anything but FHIR's JSON as it is was asked for.
    pub(crate) const fn asks(&self) -> bool {
        self.pretty || self.coding.is_some() || self.media.is_some()
    }

    /// The answer of a handler in this form. `by` does the work of large ones.
    ///
    /// # Errors
    /// `internal`
    pub(crate) async fn give(
        mut self,
        model: &'static Model,
        by: Option<&Session>,
        mut response: Response<Body>,
    ) -> Result<Response<Body>, Failure> {
        self.pretty |= response.extensions_mut().remove::<Pretty>().is_some();
        let headers = response.headers_mut();
        headers.append(VARY, HeaderValue::from_static("accept, accept-encoding"));
        let raw = headers.contains_key(CONTENT_DISPOSITION);
        let media = headers.get(CONTENT_TYPE);
        let format = media.and_then(Format::of).filter(|_| !raw);
        let shrinks = format.is_some() || media.is_some_and(is_text);
        let size = response.body().size_hint().lower();
        // What comes in pieces is not put together to make it smaller, nor is a part of something.
        let apart = response.extensions().get::<HeldByItself>().is_some();
        let codable = shrinks && !apart && response.status() != StatusCode::PARTIAL_CONTENT;
        let work = Work {
            model,
            format: format.filter(|f| self.pretty || *f != Format::Json),
            pretty: self.pretty,
            coding: self.coding.filter(|_| codable && size >= CODED_MIN),
        };
        if size == 0 || (work.format.is_none() && work.coding.is_none()) {
            return Ok(response);
        }
        if apart && let Some(session) = by {
            // It is put together for another format: from here on it is held like any answer.
            session
                .hold_answer()
                .grow(usize::try_from(size).unwrap_or(usize::MAX))?;
            response.extensions_mut().remove::<HeldByItself>();
        }
        let (mut parts, body) = response.into_parts();
        let collected = body.collect().await;
        let bytes = collected
            .map_err(|_| Failure::of(Code::Internal))?
            .to_bytes();
        let work_on = move |bytes: &Bytes| work.on(bytes);
        let done = match by {
            Some(session) => session.aside(bytes.len(), move || work_on(&bytes)).await?,
            None if bytes.len() <= INLINE_BYTES_MAX => work_on(&bytes)?,
            None => {
                let done = tokio::task::spawn_blocking(move || work_on(&bytes)).await;
                done.map_err(|_| Failure::of(Code::Internal))??
            }
        };
        parts.headers.remove(CONTENT_LENGTH);
        if !done.rendered {
            parts.headers.insert(CONTENT_TYPE, negotiate::FHIR_JSON);
        }
        if let Some(coding) = work.coding {
            let name = HeaderValue::from_static(coding.as_str());
            parts.headers.insert(CONTENT_ENCODING, name);
        }
        Ok(Response::from_parts(parts, Body::from(done.bytes)))
    }

    /// A failure in this form. What it says is the same in every version of FHIR.
    pub(crate) async fn refuse(self, mut response: Response<Body>) -> Response<Body> {
        let is_outcome = response.headers().get(CONTENT_TYPE) == Some(&negotiate::FHIR_JSON);
        if !is_outcome || (self.media.is_none() && !self.pretty) {
            return response;
        }
        if let Some(media) = &self.media {
            response.headers_mut().insert(CONTENT_TYPE, media.clone());
        }
        let plain = Self {
            coding: None,
            ..self
        };
        let given = plain.give(Model::of(FhirVersion::R4), None, response).await;
        given.unwrap_or_default()
    }
}

impl Work {
    fn on(self, bytes: &Bytes) -> Result<Done, Failure> {
        let text = self.format.map(|format| self.render(bytes, format));
        let (bytes, rendered) = match text {
            Some(Some(text)) => (Bytes::from(text), true),
            Some(None) => (bytes.clone(), false),
            None => (bytes.clone(), true),
        };
        let bytes = match self.coding {
            Some(coding) => coding.encode(&bytes)?.into(),
            None => bytes,
        };
        Ok(Done { bytes, rendered })
    }

    /// The text in the format; none for JSON that is no resource.
    fn render(self, bytes: &[u8], format: Format) -> Option<String> {
        let doc = json::parse(bytes, usize::MAX).ok()?;
        let value = doc.root();
        let mut out = String::with_capacity(bytes.len() + bytes.len() / 4);
        match format {
            Format::Json => write_pretty(value, &mut out),
            Format::Lines => lines(value, &mut out),
            Format::Xml => {
                let layout = match self.pretty {
                    true => Layout::Pretty,
                    false => Layout::Compact,
                };
                out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
                write_xml(self.model, value, layout, &mut out).ok()?;
            }
        }
        Some(out)
    }
}

/// A line for each resource of a searchset; anything else is one line.
fn lines(value: Value<'_>, out: &mut String) {
    let text = |name| value.get(name).and_then(Value::as_str);
    let found = text("resourceType").as_deref() == Some("Bundle")
        && text("type").as_deref() == Some("searchset");
    if !found {
        write_compact(value, out);
        return out.push('\n');
    }
    for entry in value.get("entry").into_iter().flat_map(Value::items) {
        if let Some(resource) = entry.get("resource") {
            write_compact(resource, out);
            out.push('\n');
        }
    }
}

/// Whether bytes of this type are text, which compression makes smaller.
fn is_text(media: &HeaderValue) -> bool {
    let media = media.to_str().unwrap_or("").to_ascii_lowercase();
    let essence = media.split(';').next().unwrap_or("").trim();
    essence.starts_with("text/")
        || ["json", "xml", "javascript"]
            .iter()
            .any(|end| essence.ends_with(end))
}
