//! One request as handlers see it: its parts, the values in its path, and its body, bounded in
//! bytes and time. What is read of a body is held in the room that the house has for bodies, and
//! no more of it is read than there is room for.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use base::Code;
use bytes::Bytes;
use engine::{
    Credentials, Failure, Forwarded, Hold, Holder, House, Reached, RequestMeta, Session,
    ShownCertificate,
};
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST};
use http::request::Parts;
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::coding::Coding;
use crate::negotiate::{self, Format};

/// One request.
pub(crate) struct Call {
    pub(crate) house: House,
    pub(crate) request: RequestMeta,
    pub(crate) from: IpAddr,
    /// What a believed proxy says about it.
    pub(crate) forwarded: Option<Box<Forwarded>>,
    /// For whom its body is held.
    pub(crate) holder: Holder,
    pub(crate) parts: Parts,
    /// The interaction of its row in the route table.
    pub(crate) interaction: &'static str,
    /// Values of the path's `{…}`, in order.
    pub(crate) path: Vec<(Box<str>, Box<str>)>,
    pub(crate) body: Body,
}

/// The certificate that the client of a connection showed, and whose key it holds. The listener puts
/// it into a request's extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate(pub Arc<ShownCertificate>);

/// Which limit bounds a body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BodyLimit {
    Resource,
    Bundle,
    /// A Binary with its own content type that has to be decoded first.
    Binary,
    Form,
}

impl Call {
    /// A value of the path.
    pub(crate) fn value(&self, name: &str) -> &str {
        self.path
            .iter()
            .find(|(n, _)| &**n == name)
            .map_or("", |(_, v)| v)
    }

    /// The query string, still encoded.
    pub(crate) fn query(&self) -> &str {
        self.parts.uri.query().unwrap_or("")
    }

    /// How the client reached the house.
    pub(crate) fn reached(&self) -> Reached<'_> {
        Reached {
            host: host(&self.parts),
            forwarded: self.forwarded.as_deref(),
        }
    }

    /// Its `Authorization`; where there are several, what is nobody's: something before us may have looked
    /// at another of them.
    fn authorization(&self) -> Option<&[u8]> {
        let mut all = self.parts.headers.get_all(AUTHORIZATION).iter();
        let first = all.next()?.as_bytes();
        Some(if all.next().is_none() { first } else { b"" })
    }

    /// What the caller is recognised by.
    pub(crate) fn credentials(&self) -> Credentials<'_> {
        Credentials {
            reason: self
                .parts
                .headers
                .get("access-reason")
                .and_then(|v| v.to_str().ok()),
            authorization: self.authorization(),
            from: self.from,
            certificate: self
                .parts
                .extensions
                .get::<ClientCertificate>()
                .map(|shown| &*shown.0),
        }
    }

    /// The resource in the body as JSON, whichever format it came in.
    ///
    /// # Errors
    /// `media-type`; those of [`Self::body`] and of reading XML.
    pub(crate) async fn resource(
        &mut self,
        session: &Session,
        limit: BodyLimit,
    ) -> Result<Bytes, Failure> {
        let format = negotiate::body_format(&self.parts.headers)?;
        let body = self.body(limit).await?;
        if format != Format::Xml {
            return Ok(body);
        }
        let json = session.from_xml(body).await?;
        let mut hold = self.house.hold_body(self.holder);
        hold.grow(json.len())?;
        Ok(hold.over(json))
    }

    /// The body, without its content coding.
    ///
    /// # Errors
    /// `limit-exceeded`, `body-incomplete`, `limit-time`, `limit-share`, `limit-busy`,
    /// `content-coding`, `body-coding`.
    pub(crate) async fn body(&mut self, limit: BodyLimit) -> Result<Bytes, Failure> {
        let limits = self.house.limits();
        let (code, name, max) = match limit {
            BodyLimit::Resource => (Code::LimitExceeded, "body_bytes_max", limits.body_bytes_max),
            BodyLimit::Bundle => (
                Code::LimitExceeded,
                "bundle_bytes_max",
                limits.bundle_bytes_max,
            ),
            BodyLimit::Binary => (
                Code::LimitExceeded,
                "binary_bytes_max",
                limits.binary_bytes_max,
            ),
            BodyLimit::Form => (Code::LimitQuery, "query_bytes_max", limits.query_bytes_max),
        };
        let too_large = move || Failure::limit(code, name, max);
        let codings = Coding::of_body(&self.parts.headers)?;
        let declared = self
            .parts
            .headers
            .get(CONTENT_LENGTH)
            .and_then(|v| v.to_str().ok())
            .and_then(|d| d.parse::<u64>().ok());
        if declared.is_some_and(|d| d > max) {
            return Err(too_large());
        }
        let hold = self.house.hold_body(self.holder);
        let body = std::mem::take(&mut self.body);
        let time = Duration::from_millis(limits.request_ms_max);
        let time_over = || Failure::limit(Code::LimitTime, "request_ms_max", limits.request_ms_max);
        let (declared, max) = (declared.unwrap_or(max).min(max), max);
        let whole = match tokio::time::timeout(time, collect(body, hold, declared, max)).await {
            Ok(Ok(Some(whole))) => Ok(whole),
            Ok(Ok(None)) => Err(too_large()),
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(time_over()),
        }?;
        if codings.is_empty() {
            return Ok(whole);
        }
        let ratio = limits.decompression_ratio_max;
        let mut hold = self.house.hold_body(self.holder);
        let decode = move || {
            let grow = |room| hold.grow(room);
            let decoded = Coding::decode(&codings, &whole, max, ratio, too_large, grow)?;
            Ok(hold.over(decoded))
        };
        let decoded = tokio::task::spawn_blocking(decode).await;
        decoded.map_err(|_| Failure::of(Code::Internal))?
    }

    /// Whether the body has a content coding.
    ///
    /// # Errors
    /// `content-coding`
    pub(crate) fn is_coded(&self) -> Result<bool, Failure> {
        Ok(!Coding::of_body(&self.parts.headers)?.is_empty())
    }

    /// The body of a Binary, piece by piece.
    ///
    /// # Errors
    /// `limit-exceeded` if more is announced than may come.
    pub(crate) fn pieces(&mut self) -> Result<Pieces, Failure> {
        let limits = self.house.limits();
        let max = limits.binary_bytes_max;
        let declared = self.parts.headers.get(CONTENT_LENGTH);
        let declared = declared.and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
        if declared.is_some_and(|d| d > max) {
            return Err(too_large(max));
        }
        Ok(Pieces {
            hold: self.house.hold_body(self.holder),
            body: std::mem::take(&mut self.body),
            came: 0,
            max,
            step: 0,
            until: in_ms(limits.request_ms_max),
            step_ms: limits.request_ms_max,
        })
    }

    /// A JSON body of the admin API, as [`Self::json`], if there is one.
    pub(crate) async fn json_if_any<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Failure> {
        let body = self.body(BodyLimit::Resource).await?;
        if body.is_empty() {
            return Ok(None);
        }
        negotiate::json_body(&self.parts.headers)?;
        let wrong =
            |error: serde_json::Error| Failure::new(Code::RequestInvalid, error.to_string());
        let mut value: serde_json::Value = serde_json::from_slice(&body).map_err(wrong)?;
        crate::admin::held_against(self.interaction, &mut value)?;
        serde_json::from_value(value).map(Some).map_err(wrong)
    }

    /// A JSON body of the admin API, or of a tenant's API that is not FHIR's: an object, and what is described is
    /// held against its description.
    pub(crate) async fn json<T: DeserializeOwned>(&mut self) -> Result<T, Failure> {
        negotiate::json_body(&self.parts.headers)?;
        let body = self.body(BodyLimit::Resource).await?;
        if body.is_empty() {
            return Err(Failure::of(Code::BodyEmpty));
        }
        let wrong = |error: serde_json::Error| {
            if error.is_data() {
                Failure::new(Code::RequestInvalid, error.to_string())
            } else {
                Failure::new(Code::JsonSyntax, error.to_string())
            }
        };
        let mut value: serde_json::Value = serde_json::from_slice(&body).map_err(wrong)?;
        if !value.is_object() {
            let text = "the body is not an object";
            return Err(Failure::new(Code::RequestInvalid, text));
        }
        crate::admin::held_against(self.interaction, &mut value)?;
        serde_json::from_value(value).map_err(wrong)
    }
}

fn too_large(max: u64) -> Failure {
    Failure::limit(Code::LimitExceeded, "binary_bytes_max", max)
}

/// Bytes of a Binary that have `request_ms_max` to come.
const STEP: u64 = 768 << 10;
/// Bytes that an upload holds: what came last, and what is being written.
const UPLOAD: usize = 2 << 20;

/// A body that is taken piece by piece and never held whole.
pub(crate) struct Pieces {
    body: Body,
    hold: Hold,
    came: u64,
    max: u64,
    /// The step that is coming, counted from one, and when it has to be here.
    step: u64,
    until: Instant,
    step_ms: u64,
}

impl Pieces {
    /// The next piece; none at the end.
    ///
    /// # Errors
    /// `limit-exceeded`, `body-incomplete`, `limit-time`, `limit-share`, `limit-busy`.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            if self.came / STEP >= self.step {
                self.step = self.came / STEP + 1;
                self.until = in_ms(self.step_ms);
            }
            let frame = tokio::time::timeout_at(self.until, self.body.frame()).await;
            let Ok(frame) = frame else {
                let ms = self.step_ms;
                return Err(Failure::limit(Code::LimitTime, "request_ms_max", ms));
            };
            let Some(frame) = frame else {
                return Ok(None);
            };
            let frame = frame.map_err(|_| Failure::of(Code::BodyIncomplete))?;
            let Ok(piece) = frame.into_data() else {
                continue;
            };
            self.came += piece.len() as u64;
            if self.came > self.max {
                return Err(too_large(self.max));
            }
            let held = usize::try_from(self.came * 2).unwrap_or(UPLOAD).min(UPLOAD);
            self.hold.grow(held)?;
            return Ok(Some(piece));
        }
    }
}

/// When so many milliseconds will have passed.
#[expect(
    clippy::disallowed_methods,
    reason = "how long a client takes to send is what tokio's timers measure"
)]
fn in_ms(ms: u64) -> Instant {
    Instant::now() + Duration::from_millis(ms)
}

/// Bytes of memory that a body gets first.
const FIRST: usize = 16 << 10;

/// The bytes of a body; none if there are more than `max`. Memory, and the hold on it, grow with
/// what has come, not with what was announced.
async fn collect(
    mut body: Body,
    mut hold: Hold,
    declared: u64,
    max: u64,
) -> Result<Option<Bytes>, Failure> {
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let (declared, max) = (size(declared), size(max));
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Failure::of(Code::BodyIncomplete))?;
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        let needed = whole.len() + piece.len();
        if needed > max {
            return Ok(None);
        }
        if needed > whole.capacity() {
            let room = (whole.capacity() * 2).max(FIRST).min(declared).max(needed);
            hold.grow(room)?;
            whole.reserve_exact(room - whole.len());
        }
        whole.extend_from_slice(&piece);
    }
    Ok(Some(hold.over(whole)))
}

/// The host that a request asks for, with its port.
fn host(parts: &Parts) -> Option<&str> {
    let named = parts.headers.get(HOST).and_then(|h| h.to_str().ok());
    named.or_else(|| parts.uri.authority().map(http::uri::Authority::as_str))
}
