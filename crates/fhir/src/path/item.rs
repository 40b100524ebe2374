//! What an expression yields.

use std::borrow::Cow;

use super::types::Type;
use crate::json;

/// An element of the document that is evaluated.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    /// The JSON value; absent for a primitive that has only extensions.
    pub value: Option<json::Value<'a>>,
    /// The `_name` sibling of a primitive: its id and extensions.
    pub extra: Option<json::Value<'a>>,
    /// The FHIR type.
    pub ty: Type,
}

impl<'a> Node<'a> {
    /// A node without `_name` sibling.
    pub const fn new(value: json::Value<'a>, ty: Type) -> Self {
        Self {
            value: Some(value),
            extra: None,
            ty,
        }
    }

    /// A member of the JSON object, `None` where there is none.
    pub fn get(self, name: &str) -> Option<json::Value<'a>> {
        self.value?.get(name)
    }

    /// The text of a string.
    pub fn as_str(self) -> Option<Cow<'a, str>> {
        self.value?.as_str()
    }

    /// Whether both are the same place of the same document.
    pub(super) fn is_same(self, other: Self) -> bool {
        let at = |v: Option<json::Value<'a>>| v.map(|v| (std::ptr::from_ref(v.doc()), v.index()));
        at(self.value) == at(other.value) && at(self.extra) == at(other.extra)
    }
}

/// One item of a collection: an element of the document, or something computed.
#[derive(Clone, Debug)]
pub enum Item<'a> {
    /// An element.
    Node(Node<'a>),
    /// A boolean.
    Bool(bool),
    /// A string.
    String(Cow<'a, str>),
    /// An integer or decimal as text.
    Number(Cow<'a, str>),
    /// A date or dateTime as written.
    Date(Cow<'a, str>),
    /// A time as written.
    Time(Cow<'a, str>),
}

impl<'a> Item<'a> {
    /// The element, if it is one.
    pub const fn node(&self) -> Option<Node<'a>> {
        match self {
            Self::Node(node) => Some(*node),
            _ => None,
        }
    }

    /// What the item is as a primitive; complex elements are nothing.
    pub(super) fn primitive(&self) -> Primitive<'_> {
        match self {
            Self::Node(node) => {
                let Some(value) = node.value else {
                    return Primitive::None;
                };
                match value.kind() {
                    json::Kind::Bool => Primitive::Bool(value.as_bool().unwrap_or(false)),
                    json::Kind::Number => Primitive::Number(Cow::Borrowed(value.raw())),
                    json::Kind::String => {
                        let text = value.as_str().unwrap_or_default();
                        if node.ty.is_temporal() {
                            Primitive::Date(text)
                        } else {
                            Primitive::String(text)
                        }
                    }
                    _ => Primitive::None,
                }
            }
            Self::Bool(b) => Primitive::Bool(*b),
            Self::String(s) => Primitive::String(Cow::Borrowed(s)),
            Self::Number(n) => Primitive::Number(Cow::Borrowed(n)),
            Self::Date(d) => Primitive::Date(Cow::Borrowed(d)),
            Self::Time(t) => Primitive::String(Cow::Borrowed(t)),
        }
    }
}

/// A primitive for comparison.
pub(super) enum Primitive<'a> {
    None,
    Bool(bool),
    String(Cow<'a, str>),
    Number(Cow<'a, str>),
    Date(Cow<'a, str>),
}
