//! One index row as it stands in its table: a [`Key`], made from a [`Row`] and ordered as the
//! tables are.

mod columns;
mod made;

use std::cmp::Ordering;

use base::ResourceId;
use base::ids::uuid_bytes;
use fhir::definitions::TypeId;
use rusqlite::types::{ToSql, ToSqlOutput, Value, ValueRef};

/// `type` of a reference that is a URL.
pub(crate) const NO_TYPE: i64 = -1;
/// `system` of a quantity row that stands for the printed unit.
pub(crate) const PRINTED: i64 = -1;
/// Bits of a contained resource's `rid` that are its place in the container.
pub(crate) const PLACE_BITS: u32 = 10;

const _: () = assert!(
    ((fhir::search::rows::CONTAINED_MAX + fhir::search::rows::ENCLOSED_MAX) as i64)
        < 1 << PLACE_BITS
);

/// The `rid` of index rows: the resource's own, or that of what it contains at this place (from 1).
pub(crate) const fn row_of(rid: i64, place: u16) -> i64 {
    if place == 0 {
        rid
    } else {
        -(rid << PLACE_BITS | place as i64)
    }
}

/// An id as tables hold it: the 16 bytes of a canonical UUID text, any other text as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum IdKey {
    /// Any other text. (SQLite orders texts before blobs; so does this type.)
    Text(Box<str>),
    /// A lower-case UUID.
    Uuid([u8; 16]),
}

impl IdKey {
    /// How a text is held.
    pub(crate) fn of(text: &str) -> Self {
        uuid_bytes(text).map_or_else(|| Self::Text(text.into()), Self::Uuid)
    }

    /// How an id is held.
    pub(crate) fn of_id(id: &ResourceId) -> Self {
        Self::of(id.as_str())
    }

    fn read(value: ValueRef<'_>) -> Option<Self> {
        match value {
            ValueRef::Text(t) => std::str::from_utf8(t).ok().map(|t| Self::Text(t.into())),
            ValueRef::Blob(b) => b.try_into().ok().map(Self::Uuid),
            _ => None,
        }
    }
}

impl From<IdKey> for Value {
    fn from(id: IdKey) -> Self {
        match id {
            IdKey::Text(t) => Self::Text(t.into()),
            IdKey::Uuid(b) => Self::Blob(b.to_vec()),
        }
    }
}

impl ToSql for IdKey {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Text(t) => ValueRef::Text(t.as_bytes()),
            Self::Uuid(b) => ValueRef::Blob(b),
        }))
    }
}

/// A number with a total order: `-0` is `0`, there is no NaN.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Real(f64);

impl Real {
    /// Takes a number; NaN becomes 0, `-0` becomes `0`.
    pub(crate) fn of(value: f64) -> Self {
        if value.is_nan() || value == 0.0 {
            Self(0.0)
        } else {
            Self(value)
        }
    }

    /// The number.
    pub(crate) const fn get(self) -> f64 {
        self.0
    }
}

impl PartialEq for Real {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Real {}
impl PartialOrd for Real {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Real {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// One end of a composite's range: a date's microseconds, a number, or 0 where there is no range. A part
/// of another kind that stands where ranges do has its text and its number there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    /// Microseconds, the number of a system or type, or 0.
    Int(i64),
    /// A number.
    Real(Real),
    /// A code, an id or a text.
    Id(IdKey),
}

impl ToSql for End {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Int(i) => (*i).into(),
            Self::Real(r) => r.get().into(),
            Self::Id(id) => return id.to_sql(),
        })
    }
}

/// The parts of a composite, in an order in which a part that is compared for equality is first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Composite {
    pub(crate) first: (IdKey, i64),
    pub(crate) code2: (IdKey, i64),
    pub(crate) unit2: Box<str>,
    pub(crate) range2: (End, End),
    pub(crate) range3: (End, End),
}

/// A row of an index table without `rid` and sequence numbers. The order is that of the tables and
/// of the keys in them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Type(i64),
    Token {
        param: i64,
        code: Box<str>,
        system: i64,
    },
    String {
        param: i64,
        folded: Box<str>,
        exact: i64,
    },
    Date {
        param: i64,
        low: i64,
        high: i64,
    },
    Number {
        param: i64,
        low: Real,
        high: Real,
    },
    Quantity {
        param: i64,
        unit: Box<str>,
        system: i64,
        low: Real,
        high: Real,
    },
    Reference {
        type_id: i64,
        id: IdKey,
        param: i64,
        version: Box<str>,
    },
    Uri {
        param: i64,
        uri: Box<str>,
    },
    Composite {
        param: i64,
        parts: Box<Composite>,
    },
    Compartment {
        patient: IdKey,
        type_id: i64,
        low: i64,
        high: i64,
    },
    Text {
        param: i64,
        text: Box<str>,
    },
}

/// A table of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Table {
    Type,
    Token,
    String,
    Date,
    Number,
    Quantity,
    Reference,
    Uri,
    Composite,
    Compartment,
    Text,
}

impl Table {
    /// Every table.
    pub(crate) const ALL: [Self; 11] = [
        Self::Type,
        Self::Token,
        Self::String,
        Self::Date,
        Self::Number,
        Self::Quantity,
        Self::Reference,
        Self::Uri,
        Self::Composite,
        Self::Compartment,
        Self::Text,
    ];

    /// The tables that hold values of parameters and can be read by `(rid, param)`.
    pub(crate) const OF_PARAMS: [Self; 9] = [
        Self::Token,
        Self::String,
        Self::Date,
        Self::Number,
        Self::Quantity,
        Self::Reference,
        Self::Uri,
        Self::Composite,
        Self::Text,
    ];

    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Type => "ix_type",
            Self::Token => "ix_token",
            Self::String => "ix_string",
            Self::Date => "ix_date",
            Self::Number => "ix_number",
            Self::Quantity => "ix_quantity",
            Self::Reference => "ix_reference",
            Self::Uri => "ix_uri",
            Self::Composite => "ix_composite",
            Self::Compartment => "ix_compartment",
            Self::Text => "ix_text",
        }
    }

    /// The index by which the rows of a resource are found.
    pub(crate) fn by_rid(self) -> String {
        match self {
            Self::Text => format!("sqlite_autoindex_{}_1", self.name()),
            _ => format!("{}_rid", self.name()),
        }
    }

    /// The columns that make a [`Key`], in the order in which it is bound and read.
    pub(crate) const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Type => &["type"],
            Self::Token => &["param", "code", "system"],
            Self::String => &["param", "folded", "exact"],
            Self::Date | Self::Number => &["param", "low", "high"],
            Self::Quantity => &["param", "unit", "system", "low", "high"],
            Self::Reference => &["param", "type", "id", "version"],
            Self::Uri => &["param", "uri"],
            Self::Composite => &[
                "param", "code1", "system1", "low2", "high2", "code2", "system2", "unit2", "low3",
                "high3",
            ],
            Self::Compartment => &["patient", "type", "low", "high"],
            Self::Text => &["param", "text"],
        }
    }
}

/// 48 bits that tell texts with the same folding apart (FNV-1a, folded). Stored: never change it.
pub(crate) fn exact_digest(text: &str) -> i64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let bits = (hash >> 48 ^ hash) & 0xffff_ffff_ffff;
    i64::try_from(bits).unwrap_or(0)
}

impl Key {
    /// The parameter that it belongs to.
    pub(crate) const fn param(&self) -> Option<i64> {
        match self {
            Self::Type(_) | Self::Compartment { .. } => None,
            Self::Token { param, .. }
            | Self::String { param, .. }
            | Self::Date { param, .. }
            | Self::Number { param, .. }
            | Self::Quantity { param, .. }
            | Self::Reference { param, .. }
            | Self::Uri { param, .. }
            | Self::Composite { param, .. }
            | Self::Text { param, .. } => Some(*param),
        }
    }

    /// The table it stands in.
    pub(crate) const fn table(&self) -> Table {
        match self {
            Self::Type(_) => Table::Type,
            Self::Token { .. } => Table::Token,
            Self::String { .. } => Table::String,
            Self::Date { .. } => Table::Date,
            Self::Number { .. } => Table::Number,
            Self::Quantity { .. } => Table::Quantity,
            Self::Reference { .. } => Table::Reference,
            Self::Uri { .. } => Table::Uri,
            Self::Composite { .. } => Table::Composite,
            Self::Compartment { .. } => Table::Compartment,
            Self::Text { .. } => Table::Text,
        }
    }
}

/// The number of a type in the tables.
pub(crate) fn type_number(type_id: TypeId) -> i64 {
    i64::from(type_id.0)
}
