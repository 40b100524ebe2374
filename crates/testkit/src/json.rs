//! JSON compared as FHIR wants it: order of members is nothing, the digits of a number are.
//!
//! Written apart from Insula's own reader, which it judges; `serde_json` would lose the digits.

use std::collections::BTreeMap;

/// A JSON value whose numbers keep their text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exact {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number, as written.
    Number(String),
    /// A text, unescaped.
    Text(String),
    /// An array.
    List(Vec<Self>),
    /// An object.
    Object(BTreeMap<String, Self>),
}

impl Exact {
    /// Reads a document.
    #[track_caller]
    pub fn read(bytes: &[u8]) -> Self {
        let mut reader = Reader { rest: bytes };
        let value = reader.value();
        reader.space();
        assert!(reader.rest.is_empty(), "something after the document");
        value
    }

    /// A member of an object.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.get(name),
            _ => None,
        }
    }

    /// Removes a member of an object.
    pub fn remove(&mut self, name: &str) -> Option<Self> {
        match self {
            Self::Object(members) => members.remove(name),
            _ => None,
        }
    }

    /// The text of a text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Where two documents differ first, as a path and both sides.
    pub fn difference(&self, other: &Self) -> Option<String> {
        match (self, other) {
            (Self::Object(a), Self::Object(b)) => {
                for name in a.keys().chain(b.keys()) {
                    match (a.get(name), b.get(name)) {
                        (Some(x), Some(y)) => {
                            if let Some(found) = x.difference(y) {
                                return Some(format!(".{name}{found}"));
                            }
                        }
                        (x, y) => return Some(format!(".{name}: {x:?} / {y:?}")),
                    }
                }
                None
            }
            (Self::List(a), Self::List(b)) if a.len() == b.len() => a
                .iter()
                .zip(b)
                .enumerate()
                .find_map(|(at, (x, y))| x.difference(y).map(|found| format!("[{at}]{found}"))),
            (a, b) if a == b => None,
            (a, b) => Some(format!(": {a:?} / {b:?}")),
        }
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    fn peek(&mut self) -> u8 {
        self.space();
        *self.rest.first().expect("more JSON")
    }

    fn take(&mut self, wanted: u8) {
        let found = self.peek();
        assert_eq!(char::from(found), char::from(wanted));
        self.rest = &self.rest[1..];
    }

    fn value(&mut self) -> Exact {
        match self.peek() {
            b'{' => self.object(),
            b'[' => self.list(),
            b'"' => Exact::Text(self.text()),
            _ => self.word(),
        }
    }

    fn object(&mut self) -> Exact {
        let mut members = BTreeMap::new();
        self.take(b'{');
        while self.peek() != b'}' {
            let name = self.text();
            self.take(b':');
            let value = self.value();
            assert!(members.insert(name, value).is_none(), "a member twice");
            if self.peek() == b',' {
                self.take(b',');
            }
        }
        self.take(b'}');
        Exact::Object(members)
    }

    fn list(&mut self) -> Exact {
        let mut elements = Vec::new();
        self.take(b'[');
        while self.peek() != b']' {
            elements.push(self.value());
            if self.peek() == b',' {
                self.take(b',');
            }
        }
        self.take(b']');
        Exact::List(elements)
    }

    fn text(&mut self) -> String {
        assert_eq!(self.peek(), b'"');
        let mut end = 1;
        while self.rest[end] != b'"' {
            end += if self.rest[end] == b'\\' { 2 } else { 1 };
        }
        let text = serde_json::from_slice(&self.rest[..=end]).expect("a text");
        self.rest = &self.rest[end + 1..];
        text
    }

    fn word(&mut self) -> Exact {
        let end = self.rest.iter().position(|b| b",]} \n\r\t".contains(b));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        match word {
            b"null" => Exact::Null,
            b"true" => Exact::Bool(true),
            b"false" => Exact::Bool(false),
            number => Exact::Number(String::from_utf8(number.to_vec()).expect("a number")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Exact;

    #[test]
    fn digits_count_and_order_does_not() {
        let a = Exact::read(br#"{"a": 1.0, "b": ["x\n", null, true]}"#);
        let b = Exact::read(br#"{"b":["x\u000a",null,true],"a":1.0}"#);
        assert_eq!(a.difference(&b), None);
        let c = Exact::read(br#"{"b":["x\n",null,true],"a":1.00}"#);
        assert_eq!(
            a.difference(&c).unwrap(),
            ".a: Number(\"1.0\") / Number(\"1.00\")"
        );
    }
}
