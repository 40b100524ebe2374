//! Keys bound to statements and read from rows.

use rusqlite::Statement;
use rusqlite::types::{ToSql, ValueRef};

use super::{Composite, End, IdKey, Key, Real, Table};

impl Key {
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
            Self::Text { param, text } => &[param, text],
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
            Table::Text => Self::Text {
                param: param()?,
                text: row.get(1)?,
            },
            Table::Composite => match Composite::read(row)? {
                None => return Ok(None),
                Some(parts) => Self::Composite {
                    param: param()?,
                    parts: Box::new(parts),
                },
            },
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

impl Composite {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<Self>> {
        let end = |at: usize| -> rusqlite::Result<End> {
            Ok(match row.get_ref(at)? {
                ValueRef::Real(r) => End::Real(Real(r)),
                text @ (ValueRef::Text(_) | ValueRef::Blob(_)) => {
                    IdKey::read(text).map_or(End::Int(0), End::Id)
                }
                other => End::Int(other.as_i64().unwrap_or(0)),
            })
        };
        let first = IdKey::read(row.get_ref(1)?);
        let code2 = IdKey::read(row.get_ref(5)?);
        let (Some(first), Some(code2)) = (first, code2) else {
            return Ok(None);
        };
        Ok(Some(Self {
            first: (first, row.get(2)?),
            range2: (end(3)?, end(4)?),
            code2: (code2, row.get(6)?),
            unit2: row.get(7)?,
            range3: (end(8)?, end(9)?),
        }))
    }
}
