//! What is kept in the index tables for one resource.

mod folded;
mod places;

use std::cmp::Ordering;

use crate::definitions::{ParamId, TypeId};

use super::query::Range;

pub use self::folded::{Folded, folded};
pub use self::places::{PartKind, Places, places};
pub use super::value::fold::{fold, joined};
pub use super::value::number::in_unit;
pub use super::value::place::{distance, encloses};

/// The parameter number under which identifiers with their type are kept, for `:of-type`.
pub const fn of_type(param: ParamId) -> ParamId {
    ParamId(param.0 | 1 << 24)
}

/// The parameter number under which texts are kept beside those of the parameter itself, for searches by
/// how they begin: without the spaces between their words, and family names from each later word of
/// them on, so that a part of one is found by itself.
pub const fn beginnings(param: ParamId) -> ParamId {
    ParamId(param.0 | BEGINNINGS)
}

const BEGINNINGS: u32 = 1 << 23;

/// The parameter number under which the words of a type's narratives are kept, for `_text`.
pub const fn narrative(type_id: TypeId) -> ParamId {
    ParamId(1 << 25 | type_id.0 as u32)
}

/// The parameter number under which the texts of a type's resources are kept, narratives aside, for
/// `_content`.
pub const fn content(type_id: TypeId) -> ParamId {
    ParamId(1 << 25 | 1 << 16 | type_id.0 as u32)
}

/// The parameter number under which the references of `Binary.securityContext` are kept: whoever may not
/// read what it refers to may not read the Binary (`binary.html`). No search asks for it by a name.
pub const SECURITY_CONTEXT: ParamId = ParamId(1 << 25 | 1 << 17);

/// The parameter number under which those references of `Encounter.location` are kept where the patient is only
/// expected: planned or reserved, and by no other entry there. No search asks for it by a name.
pub const EXPECTED_AT: ParamId = ParamId(1 << 25 | 1 << 17 | 1);

/// The parameter number under which a Group and a List keep those of their members that are members still:
/// no member that is inactive, no entry that is deleted (R5, `search.html#_in`).
pub const MEMBER: ParamId = ParamId(1 << 25 | 1 << 17 | 2);

/// Parameter numbers from here on are of a tenant's own search parameters.
pub const CUSTOM: u32 = 1 << 26;

/// Whether a number is that of a tenant's own search parameter, of what is contained too.
pub const fn is_custom(number: u32) -> bool {
    let number = number & !(CONTAINED | INTO_CONTAINED | BEGINNINGS);
    number >= CUSTOM && number < CONTAINED
}

const CONTAINED: u32 = 1 << 27;
const INTO_CONTAINED: u32 = 1 << 28;

/// The number under which a parameter's values of contained resources are kept. Of `_id` each
/// contained resource has exactly one, so that they are listed there.
pub const fn contained(param: ParamId) -> ParamId {
    ParamId(param.0 | CONTAINED)
}

/// The number under which a reference parameter's references to the resource's own contained
/// resources are kept, for chains: type and, as the id, the place among those.
pub const fn into_contained(param: ParamId) -> ParamId {
    ParamId(param.0 | INTO_CONTAINED)
}

/// The parameter behind a number of one of these kinds.
pub const fn plain(param: ParamId) -> ParamId {
    ParamId(param.0 & !(CONTAINED | INTO_CONTAINED | BEGINNINGS))
}

/// Contained resources of one resource that are searched; further ones are kept and not found.
pub const CONTAINED_MAX: u16 = 1_000;

/// Places above [`CONTAINED_MAX`] are of resources that are enclosed and that a reference parameter
/// yields (`Bundle.composition`): chains go into them, but they are not contained. At most so many.
pub const ENCLOSED_MAX: u16 = 20;

/// How `:of-type` is kept as a code: the code of the identifier's type and its value.
pub fn typed_identifier(code: &str, value: &str) -> String {
    format!("{code}|{value}")
}

/// One index row of a resource. Rows of one resource are unique.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The parameter it belongs to.
    pub param: ParamId,
    /// The value.
    pub value: RowValue,
}

/// The value of a [`Row`]; each variant belongs to one index table.
#[derive(Clone, Debug, PartialEq)]
pub enum RowValue {
    /// A code, identifier, boolean …; `system` is empty where there is none.
    Token {
        /// The system, or empty.
        system: Box<str>,
        /// The code, or empty.
        code: Box<str>,
    },
    /// Folded and original text: of string parameters, and the displays and texts of tokens
    /// (for `:text`).
    String {
        /// As [`fold`] gives it.
        folded: Box<str>,
        /// As written.
        exact: Box<str>,
    },
    /// Microseconds; half-open. Open periods end at `i64::MIN` / `i64::MAX`.
    Date(Range<i64>),
    /// The value as a point (`low == high`); several values (a Range) as what they cover, with
    /// infinite open ends. The precision of a number widens what a query asks for and not what is
    /// kept: so `gt5.4` does not find 5.4, and `5.40` does.
    Number(Range<f64>),
    /// A quantity.
    Quantity {
        /// A point, or what a Range, SampledData or comparator covers; see [`Self::Number`].
        value: Range<f64>,
        /// The unit's system, or empty.
        system: Box<str>,
        /// The unit's code, or empty.
        code: Box<str>,
        /// The printed unit where it differs from the code, or empty.
        unit: Box<str>,
    },
    /// A reference to a resource of this tenant.
    Reference {
        /// The target's type.
        type_id: TypeId,
        /// The target's id.
        id: base::ResourceId,
        /// A version, or empty.
        version: Box<str>,
    },
    /// A reference elsewhere, or a canonical.
    ReferenceUrl {
        /// The URL without version.
        url: Box<str>,
        /// The canonical's version, or empty.
        version: Box<str>,
    },
    /// The identifier of a reference (for `:identifier`).
    ReferenceIdentifier {
        /// The system, or empty.
        system: Box<str>,
        /// The value, or empty.
        code: Box<str>,
    },
    /// A uri.
    Uri(Box<str>),
    /// The components of one instance of a composite, in the parameter's order.
    Composite(Vec<RowValue>),
    /// Words of a text, in order: see [`super::words::Run`].
    Text(Box<str>),
    /// A value of the resource that is contained at this place, counted from 1, at most
    /// [`CONTAINED_MAX`]; never within another of its kind.
    Contained(u16, Box<RowValue>),
}

impl Row {
    /// A total order, in which rows are kept: by parameter, then by value.
    pub fn total_cmp(&self, other: &Self) -> Ordering {
        self.param
            .cmp(&other.param)
            .then_with(|| self.value.total_cmp(&other.value))
    }
}

impl RowValue {
    /// A total order: by variant, then by content; numbers as [`f64::total_cmp`] orders them.
    pub fn total_cmp(&self, other: &Self) -> Ordering {
        let numbers = |a: &Range<f64>, b: &Range<f64>| {
            a.low
                .total_cmp(&b.low)
                .then_with(|| a.high.total_cmp(&b.high))
        };
        match (self, other) {
            (Self::Token { system: a, code: b }, Self::Token { system: c, code: d })
            | (
                Self::ReferenceIdentifier { system: a, code: b },
                Self::ReferenceIdentifier { system: c, code: d },
            )
            | (
                Self::String {
                    folded: a,
                    exact: b,
                },
                Self::String {
                    folded: c,
                    exact: d,
                },
            )
            | (
                Self::ReferenceUrl { url: a, version: b },
                Self::ReferenceUrl { url: c, version: d },
            ) => (a, b).cmp(&(c, d)),
            (Self::Date(a), Self::Date(b)) => (a.low, a.high).cmp(&(b.low, b.high)),
            (Self::Number(a), Self::Number(b)) => numbers(a, b),
            (
                Self::Quantity {
                    value: a,
                    system: b,
                    code: c,
                    unit: d,
                },
                Self::Quantity {
                    value: e,
                    system: f,
                    code: g,
                    unit: h,
                },
            ) => numbers(a, e).then_with(|| (b, c, d).cmp(&(f, g, h))),
            (
                Self::Reference {
                    type_id: a,
                    id: b,
                    version: c,
                },
                Self::Reference {
                    type_id: d,
                    id: e,
                    version: f,
                },
            ) => (a, b, c).cmp(&(d, e, f)),
            (Self::Uri(a), Self::Uri(b)) => a.cmp(b),
            (Self::Composite(a), Self::Composite(b)) => {
                let pairs = a.iter().zip(b).map(|(a, b)| a.total_cmp(b));
                pairs
                    .fold(Ordering::Equal, Ordering::then)
                    .then(a.len().cmp(&b.len()))
            }
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Contained(a, b), Self::Contained(c, d)) => a.cmp(c).then_with(|| b.total_cmp(d)),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::Token { .. } => 0,
            Self::String { .. } => 1,
            Self::Date(_) => 2,
            Self::Number(_) => 3,
            Self::Quantity { .. } => 4,
            Self::Reference { .. } => 5,
            Self::ReferenceUrl { .. } => 6,
            Self::ReferenceIdentifier { .. } => 7,
            Self::Uri(_) => 8,
            Self::Composite(_) => 9,
            Self::Text(_) => 10,
            Self::Contained(..) => 11,
        }
    }
}
