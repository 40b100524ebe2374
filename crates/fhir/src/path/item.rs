//! What an expression yields.

use std::borrow::Cow;

use rust_decimal::Decimal;

use super::moment::{Moment, MomentKind};
use super::quantity::{Quantity, Unit};
use super::types::{System, Type, Types};
use crate::definitions::Primitive;
use crate::json::{self, Kind};
use crate::ucum;

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

    /// The object whose members are its children.
    pub(super) fn object(self) -> Option<json::Value<'a>> {
        if self.ty.is_primitive() {
            self.extra
        } else {
            self.value
        }
    }

    /// Whether both are the same place of the same document.
    pub(super) fn is_same(self, other: Self) -> bool {
        let at = |v: Option<json::Value<'a>>| v.map(|v| (std::ptr::from_ref(v.doc()), v.index()));
        at(self.value) == at(other.value) && at(self.extra) == at(other.extra)
    }

    /// The value of a primitive or a quantity as one of FHIRPath's own; `None` for other elements and
    /// primitives without value.
    pub(super) fn system(self, types: &Types) -> Option<Item<'a>> {
        let value = self.value?;
        let Some(primitive) = self.ty.as_primitive() else {
            return types
                .is_quantity(self.ty)
                .then(|| quantity(value))
                .flatten()
                .map(|q| Item::Quantity(Box::new(q)));
        };
        match value.kind() {
            Kind::Bool => Some(Item::Bool(value.as_bool()?)),
            Kind::Number => Some(number(value.raw(), primitive)),
            Kind::String => Some(text(value.as_str()?, primitive)),
            _ => None,
        }
    }
}

fn number(text: &str, primitive: Primitive) -> Item<'_> {
    if primitive != Primitive::Decimal
        && let Ok(n) = text.parse()
    {
        return Item::Integer(n);
    }
    match decimal(text) {
        Some(decimal) => Item::Decimal(decimal),
        None => Item::String(Cow::Borrowed(text)),
    }
}

/// Text by the primitive it stands in; what is not of its format stays text.
fn text(text: Cow<'_, str>, primitive: Primitive) -> Item<'_> {
    let moment = match primitive {
        Primitive::Date => Moment::parse(&text),
        Primitive::DateTime | Primitive::Instant => Moment::parse_date_time(&text),
        Primitive::Time => Moment::parse_time(&text),
        Primitive::Integer64 => match text.parse() {
            Ok(n) => return Item::Long(n),
            Err(_) => None,
        },
        _ => None,
    };
    moment.map_or(Item::String(text), Item::Moment)
}

/// A decimal as FHIR writes it, digits kept; `None` beyond 28 digits before the point.
pub(super) fn decimal(text: &str) -> Option<Decimal> {
    let text = text.strip_prefix('+').unwrap_or(text);
    if text.contains(['e', 'E']) {
        Decimal::from_scientific(text).ok()
    } else {
        text.parse().ok()
    }
}

/// The value and unit of a FHIR Quantity. One with a comparator is no certain value.
fn quantity(value: json::Value<'_>) -> Option<Quantity<'_>> {
    let number = decimal(value.get("value")?.as_number()?)?;
    if value.get("comparator").is_some() {
        return None;
    }
    let member = |name| value.get(name).and_then(json::Value::as_str);
    let unit = match (member("system"), member("code")) {
        (Some(system), Some(code)) if system != ucum::SYSTEM => Unit::Other(system, code),
        (_, Some(code)) => Unit::Element(code),
        (_, None) => member("unit").map_or(Unit::Ucum(Cow::Borrowed("1")), Unit::Element),
    };
    Some(Quantity {
        value: number,
        unit,
    })
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
    /// An integer of 32 bits.
    Integer(i32),
    /// An integer of 64 bits.
    Long(i64),
    /// A decimal, with the digits that were written.
    Decimal(Decimal),
    /// A date, dateTime or time.
    Moment(Moment),
    /// A quantity.
    Quantity(Box<Quantity<'a>>),
    /// What `type()` tells: namespace and name.
    TypeInfo(&'static str, &'static str),
}

impl<'a> Item<'a> {
    /// The element, if it is one.
    pub const fn node(&self) -> Option<Node<'a>> {
        match self {
            Self::Node(node) => Some(*node),
            _ => None,
        }
    }

    /// A string.
    pub(super) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::String(text.into())
    }

    /// The item as a value of FHIRPath's own types; `None` for elements that are none.
    pub(super) fn system(&self, types: &Types) -> Option<Self> {
        match self {
            Self::Node(node) => node.system(types),
            item => Some(item.clone()),
        }
    }

    /// The type of the item.
    pub fn ty(&self) -> Type {
        Type::system(match self {
            Self::Node(node) => return node.ty,
            Self::Bool(_) => System::Boolean,
            Self::String(_) => System::String,
            Self::Integer(_) => System::Integer,
            Self::Long(_) => System::Long,
            Self::Decimal(_) => System::Decimal,
            Self::Moment(m) => match m.kind {
                MomentKind::Date => System::Date,
                MomentKind::DateTime => System::DateTime,
                MomentKind::Time => System::Time,
            },
            Self::Quantity(_) => System::Quantity,
            Self::TypeInfo(..) => System::TypeInfo,
        })
    }

    /// The text of a string, or of an element that is written as one.
    pub(super) fn as_text(&self) -> Option<Cow<'a, str>> {
        match self {
            Self::String(s) => Some(s.clone()),
            Self::Node(node) if node.ty.is_primitive() => node.as_str(),
            _ => None,
        }
    }

    /// The item as FHIRPath's `toString()` has it; nothing for elements with children.
    pub fn to_text(&self, types: &Types) -> Option<Cow<'a, str>> {
        Some(match self {
            Self::Node(node) if node.ty.is_primitive() => {
                let value = node.value?;
                match value.as_str() {
                    Some(text) => text,
                    None => Cow::Borrowed(value.raw()),
                }
            }
            Self::Node(node) => return node.system(types)?.to_text(types),
            Self::Bool(b) => Cow::Borrowed(if *b { "true" } else { "false" }),
            Self::String(s) => s.clone(),
            Self::Integer(n) => Cow::Owned(n.to_string()),
            Self::Long(n) => Cow::Owned(n.to_string()),
            Self::Decimal(d) => Cow::Owned(d.to_string()),
            Self::Moment(m) => Cow::Owned(m.to_string()),
            Self::Quantity(q) => Cow::Owned(q.text()),
            Self::TypeInfo(namespace, name) => Cow::Owned(format!("{namespace}.{name}")),
        })
    }

    /// The item as JSON of the FHIR type that it is.
    pub(super) fn to_json(&self, types: &Types) -> String {
        let mut json = String::new();
        match self {
            Self::Node(node) => {
                if let Some(value) = node.value {
                    json::write_compact(value, &mut json);
                }
            }
            Self::Bool(_) | Self::Integer(_) | Self::Decimal(_) => {
                json.push_str(&self.to_text(types).unwrap_or_default());
            }
            Self::Quantity(q) => {
                json = format!("{{\"value\":{}", q.value);
                let code = match &q.unit {
                    Unit::Calendar(word) => q.unit.ucum_code().unwrap_or(word),
                    unit => unit.text(),
                };
                let system = match &q.unit {
                    Unit::Other(system, _) => system,
                    _ => ucum::SYSTEM,
                };
                for (name, value) in [("unit", q.unit.text()), ("system", system), ("code", code)] {
                    json.push(',');
                    json::push_json_string(name, &mut json);
                    json.push(':');
                    json::push_json_string(value, &mut json);
                }
                json.push('}');
            }
            Self::TypeInfo(namespace, name) => {
                json = format!("{{\"namespace\":\"{namespace}\",\"name\":\"{name}\"}}");
            }
            item => json::push_json_string(&item.to_text(types).unwrap_or_default(), &mut json),
        }
        json
    }
}
