//! What the HTTP layer refuses by itself (a head that is too long, or no HTTP at all) it answers with a
//! status and nothing else. Here such an answer gets the body that every other refusal has.
//!
//! Knows of HTTP/1 only: HTTP/2 tells its limit on headers when a connection begins, and what is past it
//! is answered there without a body.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use base::{Code, Limits};
use fhir::outcome::{Issue, Outcome};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::pace::Pace;

/// Bytes of a bare answer at most: a status, its length, whether the connection ends, and the date.
const BARE_BYTES_MAX: usize = 256;

/// A connection whose bare refusals are explained.
pub(super) struct Explained<S> {
    inner: S,
    limits: Arc<Limits>,
    pace: Arc<Pace>,
    /// What is written in the place of a bare answer, and how much of it was.
    instead: Option<(Vec<u8>, usize)>,
}

impl<S> Explained<S> {
    pub(super) const fn new(inner: S, limits: Arc<Limits>, pace: Arc<Pace>) -> Self {
        Self {
            inner,
            limits,
            pace,
            instead: None,
        }
    }
}

/// The answer with a body in the place of a bare one. Our own answers carry the id of their request.
fn explained(answer: &[u8], limits: &Limits) -> Option<Vec<u8>> {
    if answer.len() > BARE_BYTES_MAX || !answer.ends_with(b"\r\n\r\n") {
        return None;
    }
    let head = std::str::from_utf8(answer).ok()?;
    let status = head.strip_prefix("HTTP/1.1 ")?.split("\r\n").next()?;
    let empty = head.contains("\r\ncontent-length: 0\r\n");
    if !empty || head.contains("\r\nx-request-id:") {
        return None;
    }
    let past = |code, name: &'static str, max: u64| {
        let text = format!("the limit {name} ({max}) was passed");
        Issue::error(code, text).limit(name)
    };
    let issue = match status.get(..3)? {
        "400" => Issue::error(
            Code::RequestInvalid,
            "the request is not HTTP as it is written",
        ),
        "414" => past(Code::LimitUrl, "url_bytes_max", limits.url_bytes_max),
        "431" => past(
            Code::LimitHeaders,
            "header_bytes_max",
            limits.header_bytes_max,
        ),
        _ => return None,
    };
    let body = Outcome::from(issue).to_json();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/fhir+json; charset=utf-8\r\n\
         x-content-type-options: nosniff\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    Some([head.into_bytes(), body].concat())
}

impl<S: AsyncWrite + Unpin> Explained<S> {
    fn write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.instead.is_none() && bytes.starts_with(b"HTTP/1.1 4") && self.pace.is_quiet() {
            self.instead = explained(bytes, &self.limits).map(|text| (text, 0));
        }
        let Some((text, written)) = &mut self.instead else {
            let sent = Pin::new(&mut self.inner).poll_write(context, bytes);
            return self.pace.waits(sent);
        };
        while let Some(rest) = text.get(*written..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut self.inner).poll_write(context, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                more => *written += more,
            }
        }
        self.instead = None;
        Poll::Ready(Ok(bytes.len()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Explained<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Explained<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sent = Pin::new(&mut self.inner).poll_flush(context);
        self.pace.waits(sent)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut filled = buffers.iter().filter(|buffer| !buffer.is_empty());
        match (filled.next(), filled.next()) {
            (Some(only), None) => self.write(context, only),
            _ => {
                let sent = Pin::new(&mut self.inner).poll_write_vectored(context, buffers);
                self.pace.waits(sent)
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_refusals_are_explained_and_nothing_else_is() {
        let limits = Limits::default();
        let bare = |status: &str| {
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\
                 date: Sun, 22 Nov 2026 22:00:00 GMT\r\n\r\n"
            );
            explained(head.as_bytes(), &limits).map(|text| String::from_utf8(text).unwrap())
        };
        let long = bare("431 Request Header Fields Too Large").unwrap();
        assert!(long.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"));
        assert!(
            long.contains("\"header_bytes_max\"") && long.contains("limit-headers"),
            "{long}"
        );
        let (head, body) = long.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("content-length: {}\r\n", body.len())),
            "{head}"
        );
        assert!(bare("414 URI Too Long").unwrap().contains("url_bytes_max"));
        assert!(bare("400 Bad Request").unwrap().contains("request-invalid"));
        assert!(bare("404 Not Found").is_none());
        let own = "HTTP/1.1 400 Bad Request\r\nx-request-id: 1\r\ncontent-length: 0\r\n\r\n";
        assert!(explained(own.as_bytes(), &limits).is_none());
        let full = "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}";
        assert!(explained(full.as_bytes(), &limits).is_none());
    }
}
