//! Text to nodes: one pass, no recursion, no copies.

use memchr::memchr;

use super::{Doc, Kind, Node};

/// Why a text is not JSON that we take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The text ended inside a value.
    #[error("the JSON text ends early")]
    Truncated,
    /// Not UTF-8.
    #[error("not UTF-8 at byte {0}")]
    Utf8(usize),
    /// Not JSON.
    #[error("{what} at byte {at}")]
    Syntax {
        /// Offset in bytes.
        at: usize,
        /// What was wrong.
        what: &'static str,
    },
    /// An object has a member twice.
    #[error("the member \"{name}\" occurs twice in one object, at byte {at}")]
    DuplicateKey {
        /// Offset in bytes of the second one.
        at: usize,
        /// The member.
        name: String,
    },
    /// Nested deeper than the limit.
    #[error("nested deeper than {max} levels at byte {at}")]
    TooDeep {
        /// Offset in bytes.
        at: usize,
        /// The limit `json_depth_max`.
        max: usize,
    },
    /// Larger than 4 GiB.
    #[error("the JSON text is larger than 4 GiB")]
    TooLarge,
}

struct Open {
    node: u32,
    object: bool,
}

struct Parser<'s> {
    bytes: &'s [u8],
    at: usize,
    nodes: Vec<Node>,
    open: Vec<Open>,
    depth_max: usize,
}

/// Parses one JSON text (RFC 8259) of at most `depth_max` nested containers. Members of an object
/// must be unique, as FHIR requires (`json.html`).
pub fn parse(bytes: &[u8], depth_max: usize) -> Result<Doc<'_>, ParseError> {
    if u32::try_from(bytes.len()).is_err() {
        return Err(ParseError::TooLarge);
    }
    let source = std::str::from_utf8(bytes).map_err(|e| ParseError::Utf8(e.valid_up_to()))?;
    let bytes = source.strip_prefix('\u{feff}').map_or(bytes, str::as_bytes);
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    let nodes = Vec::with_capacity(bytes.len() / 12 + 8);
    let mut p = Parser {
        bytes,
        at: 0,
        nodes,
        open: Vec::new(),
        depth_max,
    };
    p.document()?;
    Ok(Doc {
        source,
        nodes: p.nodes,
    })
}

impl Parser<'_> {
    fn document(&mut self) -> Result<(), ParseError> {
        self.space();
        self.value()?;
        while let Some(open) = self.open.last() {
            let object = open.object;
            self.space();
            match self.peek()? {
                b',' => {
                    self.at += 1;
                    self.space();
                    self.member_or_item(object)?;
                }
                b'}' if object => self.close()?,
                b']' if !object => self.close()?,
                _ => return Err(self.syntax("expected ',' or the closing bracket")),
            }
        }
        self.space();
        if self.at == self.bytes.len() {
            Ok(())
        } else {
            Err(self.syntax("text after the end of the JSON value"))
        }
    }

    /// Reads a value; a container is only opened, with its first member or item read.
    fn value(&mut self) -> Result<(), ParseError> {
        loop {
            match self.peek()? {
                b'"' => return self.string(),
                b'{' => {
                    self.open_container(Kind::Object)?;
                    self.space();
                    if self.peek()? == b'}' {
                        return self.close();
                    }
                    self.key()?;
                }
                b'[' => {
                    self.open_container(Kind::Array)?;
                    self.space();
                    if self.peek()? == b']' {
                        return self.close();
                    }
                }
                b't' => return self.word(b"true", Kind::Bool, true),
                b'f' => return self.word(b"false", Kind::Bool, false),
                b'n' => return self.word(b"null", Kind::Null, false),
                b'-' | b'0'..=b'9' => return self.number(),
                _ => return Err(self.syntax("expected a JSON value")),
            }
        }
    }

    fn member_or_item(&mut self, object: bool) -> Result<(), ParseError> {
        if object {
            self.key()?;
        }
        self.value()
    }

    fn key(&mut self) -> Result<(), ParseError> {
        if self.peek()? != b'"' {
            return Err(self.syntax("expected a member name"));
        }
        self.string()?;
        self.space();
        if self.peek()? != b':' {
            return Err(self.syntax("expected ':'"));
        }
        self.at += 1;
        self.space();
        Ok(())
    }

    fn open_container(&mut self, kind: Kind) -> Result<(), ParseError> {
        if self.open.len() >= self.depth_max {
            return Err(ParseError::TooDeep {
                at: self.at,
                max: self.depth_max,
            });
        }
        let node = self.push(kind, false, self.at, self.at);
        self.open.push(Open {
            node,
            object: kind == Kind::Object,
        });
        self.at += 1;
        Ok(())
    }

    fn close(&mut self) -> Result<(), ParseError> {
        self.at += 1;
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        if open.object {
            self.check_keys(open.node)?;
        }
        let (end, next) = (self.at, self.nodes.len());
        if let Some(n) = self.nodes.get_mut(open.node as usize) {
            n.end = end as u32;
            n.next = next as u32;
        }
        Ok(())
    }

    /// Refuses an object with two members of one name.
    fn check_keys(&self, object: u32) -> Result<(), ParseError> {
        let keys = self.keys(object);
        let duplicate = |at: usize| {
            let name = self.key_text(at).into_owned();
            ParseError::DuplicateKey { at, name }
        };
        if keys.len() <= 16 {
            for (i, &(start, end, escaped)) in keys.iter().enumerate() {
                let twice = keys.iter().take(i).any(|&(s, e, esc)| {
                    if escaped || esc {
                        return self.key_text(s) == self.key_text(start);
                    }
                    e - s == end - start && self.bytes.get(s..e) == self.bytes.get(start..end)
                });
                if twice {
                    return Err(duplicate(start));
                }
            }
            return Ok(());
        }
        let mut seen = std::collections::HashSet::with_capacity(keys.len());
        for &(start, ..) in &keys {
            if !seen.insert(self.key_text(start)) {
                return Err(duplicate(start));
            }
        }
        Ok(())
    }

    fn keys(&self, object: u32) -> smallvec::SmallVec<[(usize, usize, bool); 16]> {
        let mut keys = smallvec::SmallVec::new();
        let mut at = object as usize + 1;
        while let (Some(key), Some(value)) = (self.nodes.get(at), self.nodes.get(at + 1)) {
            keys.push((key.start as usize, key.end as usize, key.flag));
            at = value.next as usize;
        }
        keys
    }

    fn key_text(&self, start: usize) -> std::borrow::Cow<'_, str> {
        let rest = self.bytes.get(start..).unwrap_or(&[]);
        let mut end = 0;
        while let Some(&b) = rest.get(end) {
            match b {
                b'"' => break,
                b'\\' => end += 2,
                _ => end += 1,
            }
        }
        let raw = rest
            .get(..end)
            .and_then(|r| std::str::from_utf8(r).ok())
            .unwrap_or("");
        if raw.contains('\\') {
            unescape(raw).into()
        } else {
            raw.into()
        }
    }

    fn string(&mut self) -> Result<(), ParseError> {
        let start = self.at + 1;
        let mut at = start;
        let mut escaped = false;
        loop {
            let rest = self.bytes.get(at..).ok_or(ParseError::Truncated)?;
            let step = rest
                .iter()
                .position(|&b| b == b'"' || b == b'\\' || b < 0x20);
            at += step.ok_or(ParseError::Truncated)?;
            match self.bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    at = self.escape(at)?;
                }
                _ => {
                    return Err(ParseError::Syntax {
                        at,
                        what: "control character in a string",
                    });
                }
            }
        }
        self.push(Kind::String, escaped, start, at);
        self.at = at + 1;
        Ok(())
    }

    /// Checks the escape that starts at `at`; gives the place after it.
    fn escape(&self, at: usize) -> Result<usize, ParseError> {
        let bad = |what| ParseError::Syntax { at, what };
        match self.bytes.get(at + 1) {
            None => Err(ParseError::Truncated),
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
            Some(b'u') => {
                let unit = self.hex4(at + 2)?.ok_or_else(|| bad("bad \\u escape"))?;
                match unit {
                    0xd800..=0xdbff => {
                        let pair = self.bytes.get(at + 6..at + 8) == Some(b"\\u");
                        let low = if pair { self.hex4(at + 8)? } else { None };
                        match low {
                            Some(0xdc00..=0xdfff) => Ok(at + 12),
                            _ => Err(bad("lone surrogate in a \\u escape")),
                        }
                    }
                    0xdc00..=0xdfff => Err(bad("lone surrogate in a \\u escape")),
                    _ => Ok(at + 6),
                }
            }
            Some(_) => Err(bad("unknown escape in a string")),
        }
    }

    fn hex4(&self, at: usize) -> Result<Option<u32>, ParseError> {
        let digits = self.bytes.get(at..at + 4).ok_or(ParseError::Truncated)?;
        Ok(hex(digits))
    }

    fn number(&mut self) -> Result<(), ParseError> {
        let start = self.at;
        if self.bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        match self.bytes.get(self.at) {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            Some(_) => return Err(self.syntax("bad number")),
            None => return Err(ParseError::Truncated),
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.need_digits()?;
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.need_digits()?;
        }
        self.push(Kind::Number, false, start, self.at);
        Ok(())
    }

    fn need_digits(&mut self) -> Result<(), ParseError> {
        let before = self.at;
        self.digits();
        if self.at == before {
            Err(self.syntax("bad number"))
        } else {
            Ok(())
        }
    }

    fn digits(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &[u8], kind: Kind, flag: bool) -> Result<(), ParseError> {
        let end = self.at + word.len();
        if self.bytes.get(self.at..end) != Some(word) {
            return Err(self.syntax("expected a JSON value"));
        }
        self.push(kind, flag, self.at, end);
        self.at = end;
        Ok(())
    }

    fn push(&mut self, kind: Kind, flag: bool, start: usize, end: usize) -> u32 {
        let at = self.nodes.len() as u32;
        self.nodes.push(Node {
            kind,
            flag,
            start: start as u32,
            end: end as u32,
            next: at + 1,
        });
        at
    }

    fn peek(&self) -> Result<u8, ParseError> {
        self.bytes
            .get(self.at)
            .copied()
            .ok_or(ParseError::Truncated)
    }

    fn space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    const fn syntax(&self, what: &'static str) -> ParseError {
        ParseError::Syntax { at: self.at, what }
    }
}

fn hex(digits: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(digits).ok()?;
    let plain = text.bytes().all(|b| b.is_ascii_hexdigit());
    if plain {
        u32::from_str_radix(text, 16).ok()
    } else {
        None
    }
}

/// The content of a string that the parser accepted.
pub(super) fn unescape(raw: &str) -> String {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let Some(at) = memchr(b'\\', rest) {
        out.extend_from_slice(rest.get(..at).unwrap_or_default());
        rest = rest.get(at..).unwrap_or_default();
        // Escapes often follow one another: line ends and what indents.
        while let [b'\\', escape, tail @ ..] = rest {
            rest = tail;
            match escape {
                b'b' => out.push(8),
                b'f' => out.push(12),
                b'n' => out.push(b'\n'),
                b'r' => out.push(b'\r'),
                b't' => out.push(b'\t'),
                b'u' => {
                    let unit = |from: usize| tail.get(from..from + 4).and_then(hex);
                    let mut used = 4;
                    let mut c = unit(0).unwrap_or(0xfffd);
                    if (0xd800..0xdc00).contains(&c) {
                        let low = unit(6).unwrap_or(0xdc00);
                        c = 0x10000 + ((c - 0xd800) << 10) + (low.wrapping_sub(0xdc00) & 0x3ff);
                        used = 10;
                    }
                    let c = char::from_u32(c).unwrap_or('\u{fffd}');
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                    rest = tail.get(used..).unwrap_or_default();
                }
                other => out.push(*other),
            }
        }
        // Alone at the end, it escapes nothing; the parser takes no such string.
        rest = rest.strip_prefix(b"\\").unwrap_or(rest);
    }
    out.extend_from_slice(rest);
    String::from_utf8(out).unwrap_or_default()
}
