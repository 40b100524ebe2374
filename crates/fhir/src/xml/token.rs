//! Well-formed XML, token by token, with namespaces resolved (XML 1.0, Namespaces in XML 1.0).
//!
//! The tokeniser underneath finds the borders; what it leaves to its caller is checked here: one
//! root, legal names and characters, unique attributes, declared prefixes, no document type, no
//! entities but the five of XML. Knows nothing of FHIR.

use std::borrow::Cow;
use std::ops::Range;

use quick_xml::Reader;
use quick_xml::events::Event;
use quick_xml::events::attributes::Attributes;
use smallvec::SmallVec;

use super::{Bounds, XML};

/// Why a text is not XML that we take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// Not UTF-8.
    #[error("not UTF-8 at byte {0}")]
    Utf8(usize),
    /// Not well-formed.
    #[error("{what} at line {line}, column {column}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// Character in the line, from 1.
        column: usize,
        /// What was wrong.
        what: Cow<'static, str>,
    },
    /// Elements nested deeper than the limit.
    #[error("elements nested deeper than {max} levels at line {line}")]
    TooDeep {
        /// Line, from 1.
        line: usize,
        /// The limit `xml_depth_max`.
        max: usize,
    },
    /// More attributes or namespaces than the limit.
    #[error("more than {max} attributes or namespaces at line {line}")]
    TooManyAttributes {
        /// Line, from 1.
        line: usize,
        /// The limit `xml_attributes_max`.
        max: usize,
    },
}

/// The name of an element or attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name<'s> {
    pub(crate) prefix: &'s str,
    pub(crate) local: &'s str,
    /// The URI of its namespace; empty for none.
    pub(crate) space: Cow<'s, str>,
}

/// An attribute that is no namespace declaration.
#[derive(Clone, Debug)]
pub(crate) struct Attribute<'s> {
    pub(crate) name: Name<'s>,
    /// Its value, normalised and without references.
    pub(crate) value: Cow<'s, str>,
}

/// The beginning of an element.
#[derive(Clone, Debug)]
pub(crate) struct Start<'s> {
    pub(crate) name: Name<'s>,
    pub(crate) attributes: SmallVec<[Attribute<'s>; 1]>,
    /// Prefixes declared here (empty for the default) and their URIs.
    pub(crate) declares: SmallVec<[(&'s str, Cow<'s, str>); 1]>,
}

/// One token. Of an empty element come both a start and an end.
#[derive(Clone, Debug)]
pub(crate) enum Token<'s> {
    Start(Start<'s>),
    End,
    /// Text without references; adjacent pieces may come one by one.
    Text(Cow<'s, str>),
    /// A comment without its brackets; empty for the XML declaration.
    Comment(&'s str),
    /// A processing instruction without its brackets.
    Instruction(&'s str),
    /// The end of the document.
    Done,
}

/// The tokens of a document.
pub(crate) struct Tokens<'s> {
    source: &'s str,
    reader: Reader<&'s [u8]>,
    bounds: Bounds,
    /// Names of open elements as written.
    open: Vec<&'s str>,
    /// Declarations in force: the depth they belong to, prefix, URI.
    scope: Vec<(usize, &'s str, Cow<'s, str>)>,
    /// The end of an empty element is still to be told.
    ending: bool,
    rooted: bool,
    range: Range<usize>,
}

impl<'s> Tokens<'s> {
    pub(crate) fn new(bytes: &'s [u8], bounds: &Bounds) -> Result<Self, XmlError> {
        let source = std::str::from_utf8(bytes).map_err(|e| XmlError::Utf8(e.valid_up_to()))?;
        Self::of(source, bounds)
    }

    pub(crate) fn of(source: &'s str, bounds: &Bounds) -> Result<Self, XmlError> {
        let source = source.strip_prefix('\u{feff}').unwrap_or(source);
        let mut reader = Reader::from_str(source);
        let config = reader.config_mut();
        config.check_comments = true;
        config.trim_markup_names_in_closing_tags = true;
        let tokens = Self {
            source,
            reader,
            bounds: *bounds,
            open: Vec::new(),
            scope: Vec::new(),
            ending: false,
            rooted: false,
            range: 0..0,
        };
        match illegal_character(source) {
            Some(at) => Err(tokens.syntax(at, "a character that XML does not allow")),
            None => Ok(tokens),
        }
    }

    /// The bytes of the source that the last token came from.
    pub(crate) fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// The text that is read.
    pub(crate) const fn source(&self) -> &'s str {
        self.source
    }

    /// How many elements are open.
    pub(crate) const fn depth(&self) -> usize {
        self.open.len()
    }

    /// The line of the last token, from 1.
    pub(crate) fn line(&self) -> usize {
        self.place(self.range.start).0
    }

    pub(crate) fn next(&mut self) -> Result<Token<'s>, XmlError> {
        if self.ending {
            self.ending = false;
            self.close();
            return Ok(Token::End);
        }
        let from = position(&self.reader);
        let event = self.reader.read_event();
        self.range = from..position(&self.reader);
        let event = event.map_err(|e| self.refused(&e))?;
        match event {
            Event::Start(_) => self.start(false).map(Token::Start),
            Event::Empty(_) => self.start(true).map(Token::Start),
            Event::End(_) => {
                if self.open.is_empty() {
                    return Err(self.here("an end tag without a start"));
                }
                self.close();
                Ok(Token::End)
            }
            Event::Text(_) => self.text().map(Token::Text),
            Event::CData(_) => {
                self.inside()?;
                let text = self.inner(9, 3);
                Ok(Token::Text(lines(text)))
            }
            Event::Comment(_) => Ok(Token::Comment(self.inner(4, 3))),
            Event::PI(_) => Ok(Token::Instruction(self.inner(2, 2))),
            Event::Decl(declared) => {
                let encoding = declared.encoding().transpose();
                let encoding = encoding.map_err(|_| self.here("a malformed XML declaration"))?;
                let known = encoding.is_none_or(|e| {
                    ["utf-8", "utf8", "us-ascii"]
                        .iter()
                        .any(|k| e.eq_ignore_ascii_case(k))
                });
                if from > 0 {
                    return Err(self.here("an XML declaration is at the beginning only"));
                }
                if !known {
                    return Err(self.here("XML is taken in UTF-8 only"));
                }
                Ok(Token::Comment(""))
            }
            Event::DocType(_) => Err(self.here("a document type declaration is not allowed")),
            Event::GeneralRef(_) => {
                self.inside()?;
                let name = self.inner(1, 1);
                let text = referred(name).map_err(|what| self.here(what))?;
                Ok(Token::Text(text))
            }
            Event::Eof if !self.open.is_empty() => {
                Err(self.here("the document ends inside an element"))
            }
            Event::Eof if !self.rooted => Err(self.here("the document has no element")),
            Event::Eof => Ok(Token::Done),
        }
    }

    /// The source of the last token without so many bytes at its ends.
    fn inner(&self, before: usize, after: usize) -> &'s str {
        let end = self.range.end.saturating_sub(after);
        self.source
            .get(self.range.start + before..end)
            .unwrap_or("")
    }

    fn inside(&self) -> Result<(), XmlError> {
        match self.open.is_empty() {
            true => Err(self.here("text outside of the root element")),
            false => Ok(()),
        }
    }

    fn text(&self) -> Result<Cow<'s, str>, XmlError> {
        let raw = self.source.get(self.range.clone()).unwrap_or("");
        if self.open.is_empty() && !raw.trim_matches(is_space).is_empty() {
            return Err(self.here("text outside of the root element"));
        }
        if raw.contains("]]>") {
            return Err(self.here("\"]]>\" in a text"));
        }
        Ok(lines(raw))
    }

    fn close(&mut self) {
        let depth = self.open.len();
        while self.scope.last().is_some_and(|(d, ..)| *d >= depth) {
            self.scope.pop();
        }
        self.open.pop();
    }

    fn start(&mut self, empty: bool) -> Result<Start<'s>, XmlError> {
        if self.open.is_empty() && self.rooted {
            return Err(self.here("a second root element"));
        }
        self.rooted = true;
        if self.open.len() >= self.bounds.depth_max {
            let max = self.bounds.depth_max;
            return Err(XmlError::TooDeep {
                line: self.line(),
                max,
            });
        }
        let tag = self.inner(1, 1 + usize::from(empty));
        let end = tag.find(is_space).unwrap_or(tag.len());
        let written = tag.get(..end).unwrap_or("");
        self.open.push(written);
        self.ending = empty;
        let (given, declares) = self.attributes(tag, end)?;
        let depth = self.open.len();
        for (prefix, uri) in &declares {
            self.scope.push((depth, prefix, uri.clone()));
        }
        if self.scope.len() > self.bounds.attributes_max {
            return Err(self.too_many());
        }
        let name = self.name(written, true)?;
        let mut attributes: SmallVec<[Attribute<'s>; 1]> = SmallVec::new();
        for (written, value) in given {
            let name = self.name(written, false)?;
            let twice =
                |a: &Attribute<'_>| a.name.local == name.local && a.name.space == name.space;
            if attributes.iter().any(twice) {
                return Err(self.here("an attribute occurs twice"));
            }
            attributes.push(Attribute { name, value });
        }
        Ok(Start {
            name,
            attributes,
            declares,
        })
    }

    /// The attributes and the namespace declarations of a tag.
    fn attributes(&self, tag: &'s str, from: usize) -> Result<Given<'s>, XmlError> {
        let mut given = SmallVec::new();
        let mut declares: SmallVec<[(&'s str, Cow<'s, str>); 1]> = SmallVec::new();
        let mut found = Attributes::new(tag, from);
        found.with_checks(false);
        for attribute in found {
            let attribute = attribute.map_err(|_| self.here("a malformed attribute"))?;
            if given.len() + declares.len() >= self.bounds.attributes_max {
                return Err(self.too_many());
            }
            let written = attribute.key.0;
            let value = match attribute.value {
                Cow::Borrowed(raw) => value(raw),
                Cow::Owned(raw) => value(&raw).map(|v| Cow::Owned(v.into_owned())),
            };
            let value = value.map_err(|what| self.here(what))?;
            let prefix = match written {
                "xmlns" => Some(""),
                _ => written.strip_prefix("xmlns:"),
            };
            match prefix {
                Some(prefix) => {
                    self.declaration(prefix, &value)?;
                    if declares.iter().any(|(p, _)| *p == prefix) {
                        return Err(self.here("a namespace is declared twice"));
                    }
                    declares.push((prefix, value));
                }
                None => given.push((written, value)),
            }
        }
        Ok((given, declares))
    }

    fn declaration(&self, prefix: &str, uri: &str) -> Result<(), XmlError> {
        // It is written again wherever it is used: a long one would make little much.
        let bad = uri.len() > base::limits::fixed::XML_NAMESPACE_BYTES_MAX
            || prefix == "xmlns"
            || (prefix == "xml") != (uri == XML)
            || (!prefix.is_empty() && (uri.is_empty() || !is_name(prefix)));
        match bad {
            true => Err(self.here("a namespace declaration that is not allowed")),
            false => Ok(()),
        }
    }

    fn name(&self, written: &'s str, element: bool) -> Result<Name<'s>, XmlError> {
        let (prefix, local) = written.split_once(':').unwrap_or(("", written));
        let prefixed = written.contains(':');
        if !is_name(local) || (prefixed && !is_name(prefix)) {
            return Err(self.here("a name that XML does not allow"));
        }
        let space = match (prefix, element) {
            ("", false) => Cow::Borrowed(""),
            ("xml", _) => Cow::Borrowed(XML),
            _ => {
                let declared = self.scope.iter().rev().find(|(_, p, _)| *p == prefix);
                match declared {
                    Some((.., uri)) => uri.clone(),
                    None if prefix.is_empty() => Cow::Borrowed(""),
                    None => return Err(self.here("a prefix without a namespace")),
                }
            }
        };
        Ok(Name {
            prefix,
            local,
            space,
        })
    }

    fn too_many(&self) -> XmlError {
        let max = self.bounds.attributes_max;
        XmlError::TooManyAttributes {
            line: self.line(),
            max,
        }
    }

    fn here(&self, what: impl Into<Cow<'static, str>>) -> XmlError {
        self.syntax(self.range.start, what)
    }

    fn syntax(&self, at: usize, what: impl Into<Cow<'static, str>>) -> XmlError {
        let (line, column) = self.place(at);
        let what = what.into();
        XmlError::Syntax { line, column, what }
    }

    fn refused(&self, error: &quick_xml::Error) -> XmlError {
        use quick_xml::Error;
        use quick_xml::errors::IllFormedError::{
            DoubleHyphenInComment, MismatchedEndTag, UnclosedReference, UnmatchedEndTag,
        };
        let at = usize::try_from(self.reader.error_position()).unwrap_or(usize::MAX);
        let what = match error {
            Error::Syntax(_) => "markup without an end",
            Error::IllFormed(MismatchedEndTag { .. }) => "an end tag of another element",
            Error::IllFormed(UnmatchedEndTag(_)) => "an end tag without a start",
            Error::IllFormed(DoubleHyphenInComment) => "\"--\" in a comment",
            Error::IllFormed(UnclosedReference) => "an \"&\" that begins no reference",
            _ => "not well-formed XML",
        };
        self.syntax(at, what)
    }

    /// Line and column of a byte.
    fn place(&self, at: usize) -> (usize, usize) {
        let mut at = at.min(self.source.len());
        while !self.source.is_char_boundary(at) {
            at -= 1;
        }
        let before = self.source.get(..at).unwrap_or("");
        let line = 1 + memchr::memchr_iter(b'\n', before.as_bytes()).count();
        let column = 1 + before.rsplit('\n').next().unwrap_or("").chars().count();
        (line, column)
    }
}

type Given<'s> = (
    SmallVec<[(&'s str, Cow<'s, str>); 2]>,
    SmallVec<[(&'s str, Cow<'s, str>); 1]>,
);

fn position(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

/// White space of XML (section 2.3).
pub(crate) const fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// Ends of lines as one character (section 2.11).
fn lines(raw: &str) -> Cow<'_, str> {
    match raw.contains('\r') {
        true => Cow::Owned(raw.replace("\r\n", "\n").replace('\r', "\n")),
        false => Cow::Borrowed(raw),
    }
}

/// An attribute's value: references resolved, white space as spaces (section 3.3.3).
fn value(raw: &str) -> Result<Cow<'_, str>, &'static str> {
    if raw.contains('<') {
        return Err("a \"<\" in an attribute");
    }
    if !raw.contains(['&', '\t', '\n', '\r']) {
        return Ok(Cow::Borrowed(raw));
    }
    let raw = lines(raw);
    let mut out = String::with_capacity(raw.len());
    let mut rest = &*raw;
    while let Some(at) = rest.find(['&', '\t', '\n']) {
        let (before, tail) = rest.split_at(at);
        out.push_str(before);
        if let Some(tail) = tail.strip_prefix('&') {
            let (name, after) = tail
                .split_once(';')
                .ok_or("an \"&\" that begins no reference")?;
            out.push_str(&referred(name)?);
            rest = after;
        } else {
            out.push(' ');
            rest = tail.get(1..).unwrap_or("");
        }
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

/// What `&name;` stands for.
fn referred(name: &str) -> Result<Cow<'static, str>, &'static str> {
    const REFUSED: &str = "a reference to an entity that XML does not define";
    Ok(Cow::Borrowed(match name {
        "lt" => "<",
        "gt" => ">",
        "amp" => "&",
        "apos" => "'",
        "quot" => "\"",
        _ => {
            let number = name.strip_prefix('#').ok_or(REFUSED)?;
            let (digits, radix) = match number.strip_prefix('x') {
                Some(digits) => (digits, 16),
                None => (number, 10),
            };
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
            let code = u32::from_str_radix(digits, radix).ok().filter(|_| plain);
            let c = code.and_then(char::from_u32).filter(|c| is_legal(*c));
            let c = c.ok_or("a reference to a character that XML does not allow")?;
            return Ok(Cow::Owned(c.to_string()));
        }
    }))
}

/// Whether XML allows the character (section 2.2).
pub(crate) const fn is_legal(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

fn illegal_character(source: &str) -> Option<usize> {
    let control = |b: &u8| *b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r');
    let at = source.bytes().position(|b| control(&b));
    at.or_else(|| source.find(['\u{fffe}', '\u{ffff}']))
}

/// Whether this is a name without a colon (Namespaces in XML, section 3).
pub(crate) fn is_name(text: &str) -> bool {
    let starts = |c: char| {
        matches!(c, 'A'..='Z' | '_' | 'a'..='z' | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}'
            | '\u{f8}'..='\u{2ff}' | '\u{370}'..='\u{37d}' | '\u{37f}'..='\u{1fff}'
            | '\u{200c}'..='\u{200d}' | '\u{2070}'..='\u{218f}' | '\u{2c00}'..='\u{2fef}'
            | '\u{3001}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}'
            | '\u{10000}'..='\u{effff}')
    };
    let goes_on = |c: char| {
        starts(c)
            || matches!(c, '-' | '.' | '0'..='9' | '\u{b7}' | '\u{300}'..='\u{36f}'
                | '\u{203f}'..='\u{2040}')
    };
    let mut chars = text.chars();
    chars.next().is_some_and(starts) && chars.all(goes_on)
}
