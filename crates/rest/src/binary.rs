//! Binaries on their way out: their bytes as they are, or the part of them that is asked for, and
//! their JSON form; both in pieces when the data is kept apart, so that no large one is ever held
//! whole.

use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use engine::{Data, Failure, Hold, Raw, Released, Session, Stored};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_RANGE, LAST_MODIFIED, RANGE,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc;

use crate::answer::{REVALIDATE, etag, put};

/// An answer that holds by itself what it has in memory.
#[derive(Clone, Copy)]
pub(crate) struct HeldByItself;

/// Pieces of data that are in memory at once, counted as base64: read, waiting, leaving.
const PIECES_HELD: usize = 4;

/// The bytes of a Binary, or the range of them that the request asks for. Nothing in them is ever
/// run in this origin: no sniffing, a sandbox, and a download instead of a page.
pub(crate) fn raw(
    session: &Session,
    raw: Raw,
    asked: &HeaderMap,
) -> Result<Response<Body>, Failure> {
    let size = raw.size();
    let range = match ranged(asked, size) {
        Asked::All => None,
        Asked::Part(range) => Some(range),
        Asked::Nothing => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            put(
                response.headers_mut(),
                CONTENT_RANGE,
                format!("bytes */{size}"),
            );
            return Ok(response);
        }
    };
    let part = range.clone().unwrap_or(0..size);
    let version = raw.stored.get().version;
    let updated = raw.stored.get().updated;
    let mut response = match raw.stored.get().data {
        None => {
            let index = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
            Response::new(Body::from(
                raw.bytes.slice(index(part.start)..index(part.end)),
            ))
        }
        Some(data) => streamed(
            session,
            raw.stored,
            (data, Shown::Bytes(part.clone())),
            part.end - part.start,
        )?,
    };
    if range.is_some() {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    let headers = response.headers_mut();
    if range.is_some() {
        let last = part.end.saturating_sub(1);
        put(
            headers,
            CONTENT_RANGE,
            format!("bytes {}-{last}/{size}", part.start),
        );
    }
    let media = HeaderValue::try_from(raw.content_type);
    let media = media.unwrap_or(HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_TYPE, media);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(part.end - part.start));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CACHE_CONTROL, REVALIDATE);
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    let sandbox = HeaderValue::from_static("default-src 'none'; sandbox");
    headers.insert(CONTENT_SECURITY_POLICY, sandbox);
    put(headers, ETAG, etag(version));
    put(headers, LAST_MODIFIED, updated.http_date().to_string());
    Ok(response)
}

/// The JSON form of a Binary whose data is kept apart.
pub(crate) fn json(
    session: &Session,
    stored: Released<Stored>,
    data: Data,
) -> Result<Response<Body>, Failure> {
    let length = stored.get().body.len() as u64 + data.base64_len();
    let mut response = streamed(session, stored, (data, Shown::Json), length)?;
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    Ok(response)
}

/// A Binary whose data is kept apart, whole.
///
/// # Errors
/// `limit-share`, `limit-busy` where there is no room to hold it.
pub(crate) async fn whole(
    session: &Session,
    stored: &Released<Stored>,
    data: Data,
) -> Result<Bytes, Failure> {
    let body = &stored.get().body;
    let at = data.at().min(body.len());
    let length = body.len() as u64 + data.base64_len();
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let mut hold = session.hold_answer();
    hold.grow(length)?;
    let mut whole = Vec::with_capacity(length);
    whole.extend_from_slice(&body.slice(..at));
    for place in 0..data.pieces() {
        let piece = session.piece(stored, place).await?;
        whole.extend_from_slice(STANDARD.encode(piece).as_bytes());
    }
    whole.extend_from_slice(&body.slice(at..));
    Ok(hold.over(whole))
}

/// What part of a Binary is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    All,
    Part(Range<u64>),
    /// A part that there is not.
    Nothing,
}

/// `Range` with one range of bytes (RFC 9110 section 14.2); anything else asks for everything.
fn ranged(headers: &HeaderMap, size: u64) -> Asked {
    let text = headers.get(RANGE).and_then(|v| v.to_str().ok());
    let Some(text) = text.filter(|_| !headers.contains_key(IF_RANGE)) else {
        return Asked::All;
    };
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|r| r.split_once('-')) else {
        return Asked::All;
    };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Some(first), None) if last.trim().is_empty() => first..size,
        (None, Some(last)) if first.trim().is_empty() => size.saturating_sub(last)..size,
        _ => return Asked::All,
    };
    if range.start < range.end {
        Asked::Part(range)
    } else {
        Asked::Nothing
    }
}

/// What is shown of a Binary.
enum Shown {
    Bytes(Range<u64>),
    Json,
}

fn streamed(
    session: &Session,
    stored: Released<Stored>,
    (data, shown): (Data, Shown),
    length: u64,
) -> Result<Response<Body>, Failure> {
    let mut hold = session.hold_answer();
    hold.grow(PIECES_HELD * Data::PIECE_BYTES / 3 * 4)?;
    let (send, pieces) = mpsc::channel(1);
    let session = session.clone();
    tokio::spawn(async move {
        let done = match shown {
            Shown::Bytes(range) => send_bytes(&session, &stored, range, &send).await,
            Shown::Json => send_json(&session, &stored, data, &send).await,
        };
        if let Err(failure) = done {
            tracing::warn!(code = failure.code().as_str(), "a Binary broke off");
            // Whoever receives sees that it is not whole.
            let _ = send.send(Err(failure)).await;
        }
    });
    let mut response = Response::new(Body::new(Streamed {
        pieces,
        left: length,
        _hold: hold,
    }));
    response.extensions_mut().insert(HeldByItself);
    Ok(response)
}

type Send = mpsc::Sender<Result<Bytes, Failure>>;

async fn send_bytes(
    session: &Session,
    stored: &Released<Stored>,
    range: Range<u64>,
    send: &Send,
) -> Result<(), Failure> {
    let size = Data::PIECE_BYTES as u64;
    for place in range.start / size..range.end.div_ceil(size) {
        let piece = session.piece(stored, place).await?;
        let start = place * size;
        let index = |n: u64| usize::try_from(n.saturating_sub(start)).unwrap_or(usize::MAX);
        let part = index(range.start)..index(range.end).min(piece.len());
        if send.send(Ok(piece.slice(part))).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

async fn send_json(
    session: &Session,
    stored: &Released<Stored>,
    data: Data,
    send: &Send,
) -> Result<(), Failure> {
    let body = &stored.get().body;
    let at = data.at().min(body.len());
    if send.send(Ok(body.slice(..at))).await.is_err() {
        return Ok(());
    }
    for place in 0..data.pieces() {
        let piece = session.piece(stored, place).await?;
        let text = STANDARD.encode(piece);
        if send.send(Ok(text.into())).await.is_err() {
            return Ok(());
        }
    }
    let _ = send.send(Ok(body.slice(at..))).await;
    Ok(())
}

/// An answer that comes in pieces.
struct Streamed {
    pieces: mpsc::Receiver<Result<Bytes, Failure>>,
    left: u64,
    _hold: Hold,
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        self.pieces.poll_recv(context).map(|piece| {
            let piece = piece?;
            if let Ok(bytes) = &piece {
                self.left = self.left.saturating_sub(bytes.len() as u64);
            }
            Some(piece.map(Frame::data))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_bytes() {
        let check = |text: &str, wanted: Asked| {
            let mut headers = HeaderMap::new();
            headers.insert(RANGE, HeaderValue::from_str(text).unwrap());
            assert_eq!(ranged(&headers, 100), wanted, "{text}");
            headers.insert(IF_RANGE, HeaderValue::from_static("W/\"1\""));
            assert_eq!(ranged(&headers, 100), Asked::All);
        };
        check("bytes=0-9", Asked::Part(0..10));
        check("bytes=90-", Asked::Part(90..100));
        check("bytes=90-900", Asked::Part(90..100));
        check("bytes=-10", Asked::Part(90..100));
        check("bytes=-900", Asked::Part(0..100));
        check("bytes=100-", Asked::Nothing);
        check("bytes=-0", Asked::Nothing);
        for text in [
            "bytes=9-0",
            "bytes=0-1,5-6",
            "bytes=x-1",
            "bytes=-",
            "lines=1-2",
            "bytes",
        ] {
            check(text, Asked::All);
        }
        assert_eq!(ranged(&HeaderMap::new(), 100), Asked::All);
    }
}
