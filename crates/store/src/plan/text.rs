//! Statement text and its bound values.

use std::collections::HashMap;
use std::fmt::Write as _;

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};

use super::Bounds;
use crate::sqlite::quarantine::is_evidence;

/// Up to so many values are looked through for an equal one; more are looked up.
const LOOKED_THROUGH: usize = 16;

/// A bound value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Bind {
    /// An integer.
    Int(i64),
    /// A number, by its bits.
    Real(u64),
    /// A text.
    Text(Box<str>),
    /// The bytes of a UUID.
    Uuid([u8; 16]),
}

impl Bind {
    /// A number.
    pub(crate) fn real(value: f64) -> Self {
        Self::Real(crate::sqlite::index::Real::of(value).get().to_bits())
    }

    /// A text.
    pub(crate) fn text(value: &str) -> Self {
        Self::Text(value.into())
    }
}

impl ToSql for Bind {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Int(number) => ToSqlOutput::from(*number),
            Self::Real(bits) => ToSqlOutput::from(f64::from_bits(*bits)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::from(&**text)),
            Self::Uuid(bytes) => ToSqlOutput::Borrowed(ValueRef::from(bytes.as_slice())),
        })
    }
}

/// A statement that is ready to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    /// The text; parameters are numbered `?1`, `?2` …, `?1` is the change it answers as of.
    pub(crate) text: String,
    /// The values.
    pub(crate) binds: Vec<Bind>,
}

/// The values bound by a statement while its text is put together. Equal values share a place.
#[derive(Clone, Debug)]
pub(crate) struct Binds {
    pub(super) bounds: Bounds,
    values: Vec<Bind>,
    /// Places of values, once there are many.
    places: HashMap<Bind, usize>,
    /// Common table expressions so far: name and text.
    tables: Vec<(String, String)>,
    /// Rows that are no evidence for others, as a JSON array.
    apart: Option<Bind>,
    /// What is written now is what must not be.
    denied: bool,
}

impl Binds {
    /// These rows are no evidence for others: what a caller writes now says nothing about what they
    /// may reach.
    pub(crate) fn set_apart(&mut self, rids: Bind) {
        self.apart = Some(rids);
    }

    /// From here on it is written what must not be, or no longer so.
    pub(crate) fn turn(&mut self) {
        self.denied = !self.denied;
    }

    /// The condition that a row on the way is not kept apart. It counts against somebody all the same.
    pub(crate) fn is_evidence(&self, rid: &str) -> String {
        match self.bounds.quarantine && !self.denied {
            true => [" AND ", &is_evidence(rid)].concat(),
            false => String::new(),
        }
    }

    /// The condition that a row is none of those.
    pub(crate) fn not_apart(&mut self, rid: &str) -> String {
        match self.apart.clone() {
            None => String::new(),
            Some(rids) => {
                let place = self.place(&rids);
                // Nor is what those contain: such rows are below zero.
                format!(" AND {rid} > 0 AND {rid} NOT IN (SELECT value FROM json_each({place}))")
            }
        }
    }

    /// Starts with the change that the statement answers as of.
    pub(crate) fn as_of(seq: i64, bounds: Bounds) -> Self {
        Self {
            bounds,
            values: vec![Bind::Int(seq)],
            places: HashMap::new(),
            tables: Vec::new(),
            apart: None,
            denied: false,
        }
    }

    /// The place of a value.
    pub(crate) fn place(&mut self, value: &Bind) -> String {
        let next = self.values.len() + 1;
        let known = if next <= LOOKED_THROUGH {
            // The first one is the change, which is its own.
            let of_values = self.values.iter().skip(1).position(|v| v == value);
            of_values.map(|at| at + 2)
        } else {
            if self.places.is_empty() {
                let all = self.values.iter().cloned().enumerate().skip(1);
                self.places.extend(all.map(|(at, v)| (v, at + 1)));
            }
            self.places.get(value).copied()
        };
        if known.is_none() {
            self.values.push(value.clone());
            if !self.places.is_empty() {
                self.places.insert(value.clone(), next);
            }
        }
        numbered(known.unwrap_or(next))
    }

    /// Names a set of rows, to be made once before the rest runs.
    pub(crate) fn table(&mut self, columns: &str, text: String) -> String {
        let name = format!("c{}", self.tables.len() + 1);
        self.tables.push((format!("{name}({columns})"), text));
        name
    }

    /// The statement with this main part.
    pub(crate) fn finish(self, main: &str) -> Statement {
        let mut text = String::with_capacity(main.len());
        for (i, (name, body)) in self.tables.iter().enumerate() {
            text.push_str(if i == 0 { "WITH " } else { ", " });
            text.push_str(name);
            text.push_str(" AS MATERIALIZED (");
            text.push_str(body);
            text.push_str(") ");
        }
        text.push_str(main);
        Statement {
            text,
            binds: self.values,
        }
    }
}

/// `?` and a number.
fn numbered(place: usize) -> String {
    let mut text = String::with_capacity(8);
    text.push('?');
    let mut power = 1;
    while place / power >= 10 {
        power *= 10;
    }
    while power > 0 {
        text.push(char::from(b'0' + (place / power % 10) as u8));
        power /= 10;
    }
    text
}

/// Numbers as a JSON array.
pub(crate) fn json(numbers: impl Iterator<Item = i64>) -> Bind {
    let mut text = String::from("[");
    for (at, number) in numbers.enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let _ = write!(text, "{comma}{number}");
    }
    text.push(']');
    Bind::text(&text)
}

/// Joins conditions by `AND` or `OR`, as a balanced tree: the engine bounds the depth of
/// expressions. `empty` stands for no condition at all.
pub(crate) fn joined(parts: &[String], by: &str, empty: &str) -> String {
    match parts {
        [] => empty.to_owned(),
        [one] => one.clone(),
        parts if parts.len() <= 8 => {
            let mut all = String::with_capacity(parts.iter().map(|p| p.len() + 5).sum());
            for (at, part) in parts.iter().enumerate() {
                all.push_str(if at == 0 { "(" } else { " " });
                if at > 0 {
                    all.push_str(by);
                    all.push(' ');
                }
                all.push_str(part);
            }
            all.push(')');
            all
        }
        parts => {
            let (a, b) = parts.split_at(parts.len() / 2);
            format!("({} {by} {})", joined(a, by, empty), joined(b, by, empty))
        }
    }
}

/// The condition that an index row holds at the change the statement answers as of. Written so
/// that no index is chosen for it.
pub(crate) fn holds(alias: &str) -> String {
    [
        alias,
        ".from_seq <= ?1 AND NOT (",
        alias,
        ".until_seq BETWEEN 1 AND ?1)",
    ]
    .concat()
}
