//! One index row as it stands in its table: a [`Key`], made from a [`Row`] and ordered as the
//! tables are.

use std::cmp::Ordering;

use base::ResourceId;
use base::ids::uuid_bytes;
use fhir::definitions::TypeId;
use fhir::search::query::Range;
use fhir::search::rows::{Row, RowValue};
use rusqlite::Statement;
use rusqlite::types::{ToSql, ToSqlOutput, Value, ValueRef};

/// `type` of a reference that is a URL.
pub(crate) const NO_TYPE: i64 = -1;
/// `system` of a quantity row that stands for the printed unit.
pub(crate) const PRINTED: i64 = -1;

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

/// One end of a composite's range: a date's microseconds, a number, or 0 where there is no range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    /// Microseconds, or 0.
    Int(i64),
    /// A number.
    Real(Real),
}

impl ToSql for End {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Int(i) => (*i).into(),
            Self::Real(r) => r.get().into(),
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
        param: i64,
        type_id: i64,
        id: IdKey,
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
}

impl Table {
    /// Every table.
    pub(crate) const ALL: [Self; 10] = [
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
    ];

    /// The tables that hold values of parameters and can be read by `(rid, param)`.
    pub(crate) const OF_PARAMS: [Self; 8] = [
        Self::Token,
        Self::String,
        Self::Date,
        Self::Number,
        Self::Quantity,
        Self::Reference,
        Self::Uri,
        Self::Composite,
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
        }
    }

    /// Adds what a row is in the tables: one key, two for a quantity with a printed unit.
    ///
    /// `system` gives a system's number.
    pub(crate) fn push<E>(
        row: &Row,
        keys: &mut Vec<Self>,
        mut system: impl FnMut(&str) -> Result<i64, E>,
    ) -> Result<(), E> {
        let param = i64::from(row.param.0);
        let key = match &row.value {
            RowValue::Token { system: s, code }
            | RowValue::ReferenceIdentifier { system: s, code } => Self::Token {
                param,
                code: code.clone(),
                system: system(s)?,
            },
            RowValue::String { folded, exact } => Self::String {
                param,
                folded: folded.clone(),
                exact: exact_digest(exact),
            },
            RowValue::Date(r) => Self::Date {
                param,
                low: r.low,
                high: r.high,
            },
            RowValue::Number(r) => Self::Number {
                param,
                low: Real::of(r.low),
                high: Real::of(r.high),
            },
            RowValue::Quantity {
                value,
                system: s,
                code,
                unit,
            } => {
                let (low, high) = (Real::of(value.low), Real::of(value.high));
                if !unit.is_empty() {
                    let unit = unit.clone();
                    keys.push(Self::Quantity {
                        param,
                        unit,
                        system: PRINTED,
                        low,
                        high,
                    });
                }
                Self::Quantity {
                    param,
                    unit: code.clone(),
                    system: system(s)?,
                    low,
                    high,
                }
            }
            RowValue::Reference {
                type_id,
                id,
                version,
            } => Self::Reference {
                param,
                type_id: i64::from(type_id.0),
                id: IdKey::of_id(id),
                version: version.clone(),
            },
            RowValue::ReferenceUrl { url, version } => Self::Reference {
                param,
                type_id: NO_TYPE,
                id: IdKey::Text(url.clone()),
                version: version.clone(),
            },
            RowValue::Uri(uri) => Self::Uri {
                param,
                uri: uri.clone(),
            },
            RowValue::Composite(parts) => match composite(parts, &mut system)? {
                Some(parts) => Self::Composite {
                    param,
                    parts: Box::new(parts),
                },
                None => return Ok(()),
            },
        };
        keys.push(key);
        Ok(())
    }

    /// Binds the columns of [`Table::columns`] from parameter `at` on; returns the next one.
    pub(crate) fn bind(&self, s: &mut Statement<'_>, at: usize) -> rusqlite::Result<usize> {
        let values: &[&dyn ToSql] = match self {
            Self::Type(t) => &[t],
            Self::Token {
                param,
                code,
                system,
            } => &[param, code, system],
            Self::String {
                param,
                folded,
                exact,
            } => &[param, folded, exact],
            Self::Date { param, low, high } => &[param, low, high],
            Self::Number { param, low, high } => &[param, &low.0, &high.0],
            Self::Quantity {
                param,
                unit,
                system,
                low,
                high,
            } => &[param, unit, system, &low.0, &high.0],
            Self::Reference {
                param,
                type_id,
                id,
                version,
            } => &[param, type_id, id, version],
            Self::Uri { param, uri } => &[param, uri],
            Self::Composite { param, parts: p } => &[
                param,
                &p.first.0,
                &p.first.1,
                &p.range2.0,
                &p.range2.1,
                &p.code2.0,
                &p.code2.1,
                &p.unit2,
                &p.range3.0,
                &p.range3.1,
            ],
            Self::Compartment {
                patient,
                type_id,
                low,
                high,
            } => &[patient, type_id, low, high],
        };
        for (i, value) in values.iter().enumerate() {
            s.raw_bind_parameter(at + i, value)?;
        }
        Ok(at + values.len())
    }

    /// Reads the columns of [`Table::columns`]; `None` if they hold what this index never writes.
    pub(crate) fn read(table: Table, row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<Self>> {
        let end = |at: usize| -> rusqlite::Result<End> {
            Ok(match row.get_ref(at)? {
                ValueRef::Real(r) => End::Real(Real(r)),
                other => End::Int(other.as_i64().unwrap_or(0)),
            })
        };
        let real = |at: usize| row.get(at).map(Real);
        let param = || row.get(0);
        Ok(Some(match table {
            Table::Type => Self::Type(row.get(0)?),
            Table::Token => Self::Token {
                param: param()?,
                code: row.get(1)?,
                system: row.get(2)?,
            },
            Table::String => Self::String {
                param: param()?,
                folded: row.get(1)?,
                exact: row.get(2)?,
            },
            Table::Date => Self::Date {
                param: param()?,
                low: row.get(1)?,
                high: row.get(2)?,
            },
            Table::Number => Self::Number {
                param: param()?,
                low: real(1)?,
                high: real(2)?,
            },
            Table::Quantity => Self::Quantity {
                param: param()?,
                unit: row.get(1)?,
                system: row.get(2)?,
                low: real(3)?,
                high: real(4)?,
            },
            Table::Reference => {
                let Some(id) = IdKey::read(row.get_ref(2)?) else {
                    return Ok(None);
                };
                Self::Reference {
                    param: param()?,
                    type_id: row.get(1)?,
                    id,
                    version: row.get(3)?,
                }
            }
            Table::Uri => Self::Uri {
                param: param()?,
                uri: row.get(1)?,
            },
            Table::Composite => {
                let first = IdKey::read(row.get_ref(1)?);
                let code2 = IdKey::read(row.get_ref(5)?);
                let (Some(first), Some(code2)) = (first, code2) else {
                    return Ok(None);
                };
                let parts = Composite {
                    first: (first, row.get(2)?),
                    range2: (end(3)?, end(4)?),
                    code2: (code2, row.get(6)?),
                    unit2: row.get(7)?,
                    range3: (end(8)?, end(9)?),
                };
                Self::Composite {
                    param: param()?,
                    parts: Box::new(parts),
                }
            }
            Table::Compartment => {
                let Some(patient) = IdKey::read(row.get_ref(0)?) else {
                    return Ok(None);
                };
                let (low, high) = (row.get(2)?, row.get(3)?);
                Self::Compartment {
                    patient,
                    type_id: row.get(1)?,
                    low,
                    high,
                }
            }
        }))
    }
}

/// How a part of a composite takes part in the order of parts: parts compared for equality first,
/// then texts, then ranges. Rows and queries put their parts in this order, each kind keeping its
/// place among equals.
pub(crate) const fn part_rank(value: &RowValue) -> u8 {
    match value {
        RowValue::Token { .. }
        | RowValue::Reference { .. }
        | RowValue::ReferenceUrl { .. }
        | RowValue::ReferenceIdentifier { .. }
        | RowValue::Uri(_) => 0,
        RowValue::String { .. } => 1,
        RowValue::Quantity { .. } => 2,
        RowValue::Date(_) | RowValue::Number(_) | RowValue::Composite(_) => 3,
    }
}

/// The columns of a composite; `None` for a combination of kinds that no parameter of FHIR has.
fn composite<E>(
    parts: &[RowValue],
    system: &mut impl FnMut(&str) -> Result<i64, E>,
) -> Result<Option<Composite>, E> {
    let none = || (IdKey::Text("".into()), 0);
    let no_range = (End::Int(0), End::Int(0));
    let mut parts: Vec<&RowValue> = parts.iter().collect();
    parts.sort_by_key(|p| part_rank(p));
    let (Some(first), Some(second), third) = (parts.first(), parts.get(1), parts.get(2)) else {
        return Ok(None);
    };
    let Some(first) = equal_part(first, system)? else {
        return Ok(None);
    };
    let range3 = match third {
        None => no_range,
        Some(RowValue::Number(r)) => reals(*r),
        Some(RowValue::Date(r)) => (End::Int(r.low), End::Int(r.high)),
        Some(_) => return Ok(None),
    };
    let mut out = Composite {
        first,
        range2: no_range,
        code2: none(),
        unit2: "".into(),
        range3,
    };
    match second {
        RowValue::String { folded, .. } => out.code2.0 = IdKey::Text(folded.clone()),
        RowValue::Date(r) => out.range2 = (End::Int(r.low), End::Int(r.high)),
        RowValue::Number(r) => out.range2 = reals(*r),
        RowValue::Quantity {
            value,
            system: s,
            code,
            unit,
        } => {
            out.range2 = reals(*value);
            out.code2 = (IdKey::Text(code.clone()), system(s)?);
            out.unit2 = unit.clone();
        }
        other => match equal_part(other, system)? {
            Some(code) => out.code2 = code,
            None => return Ok(None),
        },
    }
    Ok(Some(out))
}

fn reals(r: Range<f64>) -> (End, End) {
    (End::Real(Real::of(r.low)), End::Real(Real::of(r.high)))
}

fn equal_part<E>(
    part: &RowValue,
    system: &mut impl FnMut(&str) -> Result<i64, E>,
) -> Result<Option<(IdKey, i64)>, E> {
    Ok(Some(match part {
        RowValue::Token { system: s, code } | RowValue::ReferenceIdentifier { system: s, code } => {
            (IdKey::Text(code.clone()), system(s)?)
        }
        RowValue::Reference { type_id, id, .. } => (IdKey::of_id(id), i64::from(type_id.0)),
        RowValue::ReferenceUrl { url, .. } => (IdKey::Text(url.clone()), NO_TYPE),
        RowValue::Uri(uri) => (IdKey::Text(uri.clone()), 0),
        _ => return Ok(None),
    }))
}

/// The number of a type in the tables.
pub(crate) fn type_number(type_id: TypeId) -> i64 {
    i64::from(type_id.0)
}
