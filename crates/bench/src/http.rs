//! A small HTTP/1.1 keep-alive client: whole requests out, whole answers in, one buffer each way.
//! Cheap, because it shares the processors with what it measures. It knows plain TCP, bodies with
//! `Content-Length` and chunked bodies; no TLS, no redirects.

use std::ops::Range;

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Where a server listens, and the path before every request.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    /// `host:port`.
    pub(crate) authority: String,
    /// Path without a slash at its end; may be empty.
    pub(crate) path: String,
    /// The whole `Authorization` header value.
    pub(crate) authorization: Option<String>,
}

impl Base {
    /// Reads `http://host[:port]/path`.
    pub(crate) fn parse(url: &str, authorization: Option<String>) -> anyhow::Result<Self> {
        let rest = url
            .strip_prefix("http://")
            .context("only http:// URLs can be measured")?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let authority = if host.contains(':') {
            host.to_owned()
        } else {
            format!("{host}:80")
        };
        let path = match path.trim_end_matches('/') {
            "" => String::new(),
            path => format!("/{path}"),
        };
        Ok(Self {
            authority,
            path,
            authorization,
        })
    }

    /// The bytes of a request. `path` starts after the base.
    pub(crate) fn request(&self, method: &str, path: &str, body: Option<&[u8]>) -> Vec<u8> {
        self.request_as(method, path, body, "application/fhir+json")
    }

    /// The bytes of a request with another content type.
    pub(crate) fn request_as(
        &self,
        method: &str,
        path: &str,
        body: Option<&[u8]>,
        content_type: &str,
    ) -> Vec<u8> {
        let mut head = format!(
            "{method} {}{path} HTTP/1.1\r\nHost: {}\r\n",
            self.path, self.authority
        );
        if let Some(authorization) = &self.authorization {
            head.push_str(&format!("Authorization: {authorization}\r\n"));
        }
        if let Some(body) = body {
            head.push_str(&format!(
                "Content-Type: {content_type}\r\nContent-Length: {}\r\n",
                body.len()
            ));
        }
        head.push_str("\r\n");
        let mut request = head.into_bytes();
        request.extend_from_slice(body.unwrap_or_default());
        request
    }
}

/// One connection. Answers are read into a buffer that the next exchange uses again.
#[derive(Debug)]
pub(crate) struct Connection {
    authority: String,
    stream: TcpStream,
    buffer: Vec<u8>,
    decoded: Vec<u8>,
}

/// An answer; its bytes stay in the connection until the next exchange.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    head: Range<usize>,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    Plain(Range<usize>),
    Chunked,
}

/// How the body of an answer is delimited.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    length: Option<usize>,
    chunked: bool,
    closes: bool,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(authority: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(authority)
            .await
            .with_context(|| format!("cannot connect to {authority}"))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            authority: authority.to_owned(),
            stream,
            buffer: Vec::with_capacity(64 << 10),
            decoded: Vec::new(),
        })
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<Answer> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let head_end = loop {
            if let Some(at) = memchr::memmem::find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            self.more().await?;
        };
        let head = parse_head(self.buffer.get(..head_end).unwrap_or_default())?;
        let body = if head.chunked {
            self.chunked(head_end).await?;
            Body::Chunked
        } else {
            let end = head_end + head.length.unwrap_or(0);
            while self.buffer.len() < end {
                self.more().await?;
            }
            Body::Plain(head_end..end)
        };
        if head.closes {
            self.stream = TcpStream::connect(&self.authority).await?;
            self.stream.set_nodelay(true)?;
        }
        Ok(Answer {
            status: head.status,
            head: 0..head_end,
            body,
        })
    }

    /// The body of the last answer.
    pub(crate) fn body(&self, answer: &Answer) -> &[u8] {
        match &answer.body {
            Body::Plain(range) => self.buffer.get(range.clone()).unwrap_or_default(),
            Body::Chunked => &self.decoded,
        }
    }

    /// Names and values of the headers of the last answer.
    pub(crate) fn headers(&self, answer: &Answer) -> Vec<(String, String)> {
        let head = self.buffer.get(answer.head.clone()).unwrap_or_default();
        String::from_utf8_lossy(head)
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
            .collect()
    }

    async fn more(&mut self) -> anyhow::Result<()> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            bail!(
                "{} closed the connection in the middle of an answer",
                self.authority
            );
        }
        Ok(())
    }

    async fn chunked(&mut self, start: usize) -> anyhow::Result<()> {
        let mut at = start;
        self.decoded.clear();
        loop {
            let rest = self.buffer.get(at..).unwrap_or_default();
            let Some(line_end) = memchr::memmem::find(rest, b"\r\n") else {
                self.more().await?;
                continue;
            };
            let line = String::from_utf8_lossy(rest.get(..line_end).unwrap_or_default());
            let digits = line.split(';').next().unwrap_or_default().trim().to_owned();
            let size = usize::from_str_radix(&digits, 16).context("a chunk without a size")?;
            let (from, to) = (at + line_end + 2, at + line_end + 2 + size);
            while self.buffer.len() < to + 2 {
                self.more().await?;
            }
            self.decoded
                .extend_from_slice(self.buffer.get(from..to).unwrap_or_default());
            at = to + 2;
            if size == 0 {
                return Ok(());
            }
        }
    }
}

fn parse_head(head: &[u8]) -> anyhow::Result<Head> {
    let status = head
        .get(9..12)
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| digits.parse().ok())
        .context("not an HTTP answer")?;
    let mut parsed = Head {
        status,
        length: None,
        chunked: false,
        closes: false,
    };
    for line in head.split(|b| *b == b'\n').skip(1) {
        let Some(colon) = line.iter().position(|b| *b == b':') else {
            continue;
        };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            parsed.length = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok());
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            parsed.chunked = value.eq_ignore_ascii_case(b"chunked");
        } else if name.eq_ignore_ascii_case(b"connection") {
            parsed.closes = value.eq_ignore_ascii_case(b"close");
        }
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn urls_split_into_authority_and_path() {
        let base = Base::parse("http://localhost:8080/t/lakeside/fhir/", None).unwrap();
        assert_eq!(
            (base.authority.as_str(), base.path.as_str()),
            ("localhost:8080", "/t/lakeside/fhir")
        );
        let bare = Base::parse("http://peer", None).unwrap();
        assert_eq!(
            (bare.authority.as_str(), bare.path.as_str()),
            ("peer:80", "")
        );
        assert!(Base::parse("https://peer", None).is_err());
    }

    #[test]
    fn heads_say_how_the_body_ends() {
        let head =
            parse_head(b"HTTP/1.1 201 Created\r\ncontent-length: 12\r\nConnection: close\r\n\r\n");
        assert_eq!(
            head.unwrap(),
            Head {
                status: 201,
                length: Some(12),
                chunked: false,
                closes: true
            }
        );
        assert!(parse_head(b"nonsense").is_err());
    }

    async fn answers(reply: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = vec![0; 4096];
            while stream.read(&mut seen).await.unwrap() > 0 {
                for piece in reply.chunks(7) {
                    stream.write_all(piece).await.unwrap();
                    stream.flush().await.unwrap();
                }
            }
        });
        address
    }

    #[tokio::test]
    async fn plain_and_chunked_answers_are_read_whole() {
        let plain: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: W/\"1\"\r\n\r\nhello";
        let chunked: &[u8] =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n";
        for reply in [plain, chunked] {
            let authority = answers(reply).await;
            let base = Base::parse(&format!("http://{authority}/fhir"), None).unwrap();
            let mut connection = Connection::open(&authority).await.unwrap();
            for _ in 0..3 {
                let answer = connection
                    .exchange(&base.request("GET", "/x", None))
                    .await
                    .unwrap();
                assert_eq!(answer.status, 200);
                assert_eq!(connection.body(&answer), b"hello");
            }
        }
    }
}
