//! HTTP/1.1 as plainly as possible: bytes that were written by hand go out as they are.
//!
//! A client library would repair or refuse many of the requests that a hostile client sends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use std::{fmt, io};

use serde_json::Value;

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The verb.
    pub method: String,
    /// Path and query, sent as they are.
    pub target: String,
    /// Header lines beside `Host` and `Content-Length`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Vec<u8>>,
}

impl Request {
    /// A request without a body.
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: None,
        }
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a body of this type.
    #[must_use]
    pub fn content(self, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let mut request = self.header("Content-Type", media_type);
        request.body = Some(body.into());
        request
    }

    /// With a FHIR resource as the body.
    #[must_use]
    pub fn fhir(self, resource: &Value) -> Self {
        self.content("application/fhir+json", resource.to_string())
    }

    /// The request on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !self
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("host"))
        {
            out.push_str("Host: localhost\r\n");
        }
        for (name, value) in &self.headers {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = &self.body {
            out.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        out.push_str("\r\n");
        let mut out = out.into_bytes();
        out.extend_from_slice(self.body.as_deref().unwrap_or_default());
        out
    }
}

/// An answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Headers with names in lower case, in the order they came.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of this name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e} in {self:?}"))
    }

    /// Itself when the status is this one; the test fails otherwise.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// Codes of the OperationOutcome or problem in the body.
    #[track_caller]
    pub fn codes(&self) -> Vec<String> {
        let json = self.json();
        let of_issues = json["issue"].as_array().into_iter().flatten();
        let of_issues = of_issues.filter_map(|i| i["details"]["coding"][0]["code"].as_str());
        of_issues
            .chain(json["code"].as_str())
            .map(str::to_owned)
            .collect()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.status)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {value}")?;
        }
        let shown = self.body.get(..4000).unwrap_or(&self.body);
        write!(f, "\n{}", String::from_utf8_lossy(shown))
    }
}

/// A connection that is kept for several requests.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
    address: String,
    /// Whether the server said that it will close it.
    closing: bool,
}

/// How long an answer may take before the test has failed.
const PATIENCE: Duration = Duration::from_secs(90);

impl Connection {
    /// Connects to `host:port`.
    pub fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::with_capacity(64 << 10, stream),
            address: address.to_owned(),
            closing: false,
        })
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// What comes, as it is.
    pub fn raw(&mut self) -> &mut impl Read {
        &mut self.stream
    }

    /// Says that nothing more will be sent.
    pub fn finish(&mut self) -> io::Result<()> {
        self.stream.get_ref().shutdown(std::net::Shutdown::Write)
    }

    /// Reads one answer; `head_only` for the answer to HEAD.
    pub fn answer(&mut self, head_only: bool) -> io::Result<Answer> {
        loop {
            let status = self.status()?;
            let headers = self.fields()?;
            if status == 100 {
                continue;
            }
            let mut answer = Answer {
                status,
                headers,
                body: Vec::new(),
            };
            let empty = head_only || status == 204 || status == 304;
            if !empty {
                answer.body = self.body(&answer)?;
            }
            self.closing = answer.header("connection") == Some("close");
            return Ok(answer);
        }
    }

    /// Sends a request and reads its answer. Connects anew when the last answer was the last one
    /// on its connection.
    pub fn ask(&mut self, request: &Request) -> io::Result<Answer> {
        if self.closing {
            *self = Self::open(&self.address)?;
        }
        // A server may answer before it has read everything.
        let sent = self.send(&request.bytes());
        let answer = self.answer(request.method == "HEAD");
        match (sent, answer) {
            (Err(broken), Err(_)) => Err(broken),
            (_, answer) => answer,
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.truncate(line.trim_end().len());
        Ok(line)
    }

    fn status(&mut self) -> io::Result<u16> {
        let line = self.line()?;
        let code = line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3));
        code.and_then(|code| code.parse().ok())
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, line))
    }

    fn fields(&mut self) -> io::Result<Vec<(String, String)>> {
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(fields);
            }
            let (name, value) = line.split_once(':').expect("a header line");
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    fn body(&mut self, answer: &Answer) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if answer.header("transfer-encoding") == Some("chunked") {
            loop {
                let line = self.line()?;
                let length = usize::from_str_radix(&line, 16).expect("the length of a chunk");
                let start = body.len();
                body.resize(start + length, 0);
                self.stream.read_exact(&mut body[start..])?;
                self.line()?;
                if length == 0 {
                    return Ok(body);
                }
            }
        }
        match answer.header("content-length") {
            Some(length) => {
                body.resize(length.parse().expect("a length"), 0);
                self.stream.read_exact(&mut body)?;
            }
            None => {
                self.stream.read_to_end(&mut body)?;
            }
        }
        Ok(body)
    }
}

/// One request on a connection of its own.
#[track_caller]
pub fn ask(address: &str, request: &Request) -> Answer {
    let answer = Connection::open(address).and_then(|mut connection| connection.ask(request));
    answer.unwrap_or_else(|e| panic!("{} {}: {e}", request.method, request.target))
}

/// Text as one part of a query (RFC 3986: everything but unreserved characters in percents).
pub fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
