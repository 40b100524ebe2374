//! Statement text and its bound values.

use std::collections::HashMap;

use super::Bounds;

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

/// A statement that is ready to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    /// The text; parameters are numbered `?1`, `?2` …, `?1` is the change it answers as of.
    pub(crate) text: String,
    /// The values.
    pub(crate) binds: Vec<Bind>,
}

/// The values bound by a statement while its text is put together. Equal values share a place.
#[derive(Debug)]
pub(crate) struct Binds {
    pub(super) bounds: Bounds,
    values: Vec<Bind>,
    places: HashMap<Bind, usize>,
    /// Common table expressions so far: name and text.
    tables: Vec<(String, String)>,
}

impl Binds {
    /// Starts with the change that the statement answers as of.
    pub(crate) fn as_of(seq: i64, bounds: Bounds) -> Self {
        Self {
            bounds,
            values: vec![Bind::Int(seq)],
            places: HashMap::new(),
            tables: Vec::new(),
        }
    }

    /// The place of a value.
    pub(crate) fn place(&mut self, value: &Bind) -> String {
        let next = self.values.len() + 1;
        let place = *self.places.entry(value.clone()).or_insert(next);
        if place == next {
            self.values.push(value.clone());
        }
        format!("?{place}")
    }

    /// Names a set of rows, to be made once before the rest runs.
    pub(crate) fn table(&mut self, columns: &str, text: String) -> String {
        let name = format!("c{}", self.tables.len() + 1);
        self.tables.push((format!("{name}({columns})"), text));
        name
    }

    /// The statement with this main part.
    pub(crate) fn finish(self, main: &str) -> Statement {
        let mut text = String::new();
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

/// Joins conditions by `AND` or `OR`, as a balanced tree: the engine bounds the depth of
/// expressions. `empty` stands for no condition at all.
pub(crate) fn joined(parts: &[String], by: &str, empty: &str) -> String {
    match parts {
        [] => empty.to_owned(),
        [one] => one.clone(),
        parts if parts.len() <= 8 => format!("({})", parts.join(&format!(" {by} "))),
        parts => {
            let (a, b) = parts.split_at(parts.len() / 2);
            format!("({} {by} {})", joined(a, by, empty), joined(b, by, empty))
        }
    }
}

/// The condition that an index row holds at the change the statement answers as of. Written so
/// that no index is chosen for it.
pub(crate) fn holds(alias: &str) -> String {
    format!("{alias}.from_seq <= ?1 AND NOT ({alias}.until_seq BETWEEN 1 AND ?1)")
}
