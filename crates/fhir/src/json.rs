//! JSON as FHIR needs it: borrowed, flat, with the text of every number and string kept.
//!
//! A [`Doc`] is the source plus a flat list of nodes in document order. Nothing is copied while
//! parsing; numbers stay text (decimals keep their digits), strings are unescaped when asked.
//! Knows nothing of FHIR.

use std::borrow::Cow;

mod parse;
mod write;

pub use parse::{ParseError, parse};
pub use write::{is_plain, push_json_string, write_compact, write_pretty};

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number; its text is what was written.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// One node: a value, or the key before a value (then `kind` is `String`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    kind: Kind,
    /// Strings: whether a backslash occurs. Booleans: the value.
    flag: bool,
    /// Byte range in the source: strings without their quotes, containers with their brackets.
    start: u32,
    end: u32,
    /// Index of the first node after this one's subtree.
    next: u32,
}

/// A parsed document.
#[derive(Clone, Debug)]
pub struct Doc<'s> {
    source: &'s str,
    nodes: Vec<Node>,
}

impl<'s> Doc<'s> {
    /// The outermost value.
    pub const fn root(&self) -> Value<'_> {
        Value { doc: self, at: 0 }
    }

    /// The text that was parsed.
    pub const fn source(&self) -> &'s str {
        self.source
    }

    /// The value whose node has this index (see [`Value::index`]).
    pub const fn at(&self, index: u32) -> Value<'_> {
        Value {
            doc: self,
            at: index,
        }
    }

    fn node(&self, at: u32) -> Node {
        const NOTHING: Node = Node {
            kind: Kind::Null,
            flag: false,
            start: 0,
            end: 0,
            next: u32::MAX,
        };
        self.nodes.get(at as usize).copied().unwrap_or(NOTHING)
    }
}

/// A value inside a [`Doc`]. Cheap to copy.
#[derive(Clone, Copy)]
pub struct Value<'d> {
    doc: &'d Doc<'d>,
    at: u32,
}

impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Value({:?} @{})", self.kind(), self.at)
    }
}

impl<'d> Value<'d> {
    /// What it is.
    pub fn kind(self) -> Kind {
        self.doc.node(self.at).kind
    }

    /// The document it is part of.
    pub const fn doc(self) -> &'d Doc<'d> {
        self.doc
    }

    /// Its place in the document; equal indices of one document are the same value.
    pub const fn index(self) -> u32 {
        self.at
    }

    /// The bytes of the source it was read from: `(start, end)`, quotes and brackets included.
    pub fn span(self) -> (usize, usize) {
        let n = self.doc.node(self.at);
        let quote = usize::from(n.kind == Kind::String);
        (n.start as usize - quote, n.end as usize + quote)
    }

    /// The source text of the value: a number as written, a string with quotes and escapes.
    pub fn raw(self) -> &'d str {
        let (start, end) = self.span();
        self.doc.source.get(start..end).unwrap_or("")
    }

    /// A string's content, unescaped; `None` for other kinds.
    pub fn as_str(self) -> Option<Cow<'d, str>> {
        let n = self.doc.node(self.at);
        (n.kind == Kind::String).then(|| text_of(self.doc.source, n))
    }

    /// A boolean's value.
    pub fn as_bool(self) -> Option<bool> {
        let n = self.doc.node(self.at);
        (n.kind == Kind::Bool).then_some(n.flag)
    }

    /// A number's text as written.
    pub fn as_number(self) -> Option<&'d str> {
        (self.kind() == Kind::Number).then(|| self.raw())
    }

    /// The member of an object; `None` for other kinds and absent members. Linear in members.
    pub fn get(self, key: &str) -> Option<Self> {
        self.find(key, false).0
    }

    /// The first member of this name, and with `beside` the first whose name is this one behind an
    /// underscore: the sibling of a primitive.
    pub(crate) fn find(self, name: &str, beside: bool) -> (Option<Self>, Option<Self>) {
        // Written out, because this is asked on the way to every element.
        let Doc { source, nodes } = self.doc;
        let (source, name) = (source.as_bytes(), name.as_bytes());
        let (mut value, mut sibling) = (None, None);
        let mut at = self.at as usize + 1;
        let end = match nodes.get(self.at as usize) {
            Some(object) if object.kind == Kind::Object => object.next as usize,
            _ => 0,
        };
        while at < end
            && let Some([key, held, ..]) = nodes.get(at..)
        {
            let length = (key.end - key.start) as usize;
            let escaped;
            let plain = length == name.len() || (beside && length == name.len() + 1);
            let text: &[u8] = if key.flag {
                escaped = text_of(self.doc.source, *key);
                escaped.as_bytes()
            } else if plain {
                source
                    .get(key.start as usize..key.end as usize)
                    .unwrap_or_default()
            } else {
                at = held.next as usize;
                continue;
            };
            let found = Self {
                doc: self.doc,
                at: at as u32 + 1,
            };
            if is_same(text, name) {
                value = value.or(Some(found));
            } else if beside && matches!(text, [b'_', rest @ ..] if rest == name) {
                sibling = sibling.or(Some(found));
            }
            if value.is_some() && (sibling.is_some() || !beside) {
                break;
            }
            at = held.next as usize;
        }
        (value, sibling)
    }

    /// The members of an object in document order; nothing for other kinds.
    pub fn members(self) -> Members<'d> {
        let n = self.doc.node(self.at);
        let end = if n.kind == Kind::Object { n.next } else { 0 };
        Members {
            doc: self.doc,
            at: self.at + 1,
            end,
        }
    }

    /// The items of an array in order; nothing for other kinds.
    pub fn items(self) -> Items<'d> {
        let n = self.doc.node(self.at);
        let end = if n.kind == Kind::Array { n.next } else { 0 };
        Items {
            doc: self.doc,
            at: self.at + 1,
            end,
        }
    }

    /// Whether it is an object or array without content.
    pub fn is_empty_container(self) -> bool {
        let n = self.doc.node(self.at);
        matches!(n.kind, Kind::Array | Kind::Object) && n.next == self.at + 1
    }
}

/// Whether two names are the same; most differ in how they begin.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.first() == b.first() && a == b
}

fn text_of(source: &str, n: Node) -> Cow<'_, str> {
    let raw = source.get(n.start as usize..n.end as usize).unwrap_or("");
    if n.flag {
        Cow::Owned(parse::unescape(raw))
    } else {
        Cow::Borrowed(raw)
    }
}

/// One member of an object.
#[derive(Clone, Copy, Debug)]
pub struct Member<'d> {
    key: Value<'d>,
    /// The member's value.
    pub value: Value<'d>,
}

impl<'d> Member<'d> {
    /// The member's name, unescaped.
    pub fn name(self) -> Cow<'d, str> {
        text_of(self.key.doc.source, self.key.doc.node(self.key.at))
    }

    /// Whether the name is this one.
    pub fn is(self, name: &str) -> bool {
        let n = self.key.doc.node(self.key.at);
        if n.flag {
            return self.name() == name;
        }
        // Bytes, because this is asked of every member on the way to every element.
        self.bytes(n)
            .is_some_and(|bytes| is_same(bytes, name.as_bytes()))
    }

    fn bytes(self, n: Node) -> Option<&'d [u8]> {
        let source = self.key.doc.source.as_bytes();
        source.get(n.start as usize..n.end as usize)
    }

    /// Whether the name is this one behind an underscore: the sibling of a primitive.
    pub fn is_beside(self, name: &str) -> bool {
        let n = self.key.doc.node(self.key.at);
        if n.flag {
            return self.name().strip_prefix('_') == Some(name);
        }
        match self.bytes(n) {
            Some([b'_', rest @ ..]) => rest == name.as_bytes(),
            _ => false,
        }
    }

    /// The place of the name in the source (without quotes).
    pub fn name_start(self) -> usize {
        self.key.doc.node(self.key.at).start as usize
    }
}

/// Iterator over an object's members.
#[derive(Clone, Debug)]
pub struct Members<'d> {
    doc: &'d Doc<'d>,
    at: u32,
    end: u32,
}

impl<'d> Iterator for Members<'d> {
    type Item = Member<'d>;

    fn next(&mut self) -> Option<Member<'d>> {
        if self.at >= self.end {
            return None;
        }
        let key = Value {
            doc: self.doc,
            at: self.at,
        };
        let value = Value {
            doc: self.doc,
            at: self.at + 1,
        };
        self.at = self.doc.node(self.at + 1).next;
        Some(Member { key, value })
    }
}

/// Iterator over an array's items.
#[derive(Clone, Debug)]
pub struct Items<'d> {
    doc: &'d Doc<'d>,
    at: u32,
    end: u32,
}

impl<'d> Iterator for Items<'d> {
    type Item = Value<'d>;

    fn next(&mut self) -> Option<Value<'d>> {
        if self.at >= self.end {
            return None;
        }
        let value = Value {
            doc: self.doc,
            at: self.at,
        };
        self.at = self.doc.node(self.at).next;
        Some(value)
    }
}

#[cfg(test)]
mod tests;
