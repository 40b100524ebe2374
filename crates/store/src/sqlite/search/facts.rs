//! What the planner asks of the data, answered by small statements on the connection.

use rusqlite::Connection;

use super::{failed, key, run};
use crate::Result;
use crate::plan::select::key_index;
use crate::plan::text::{Bind, Statement};
use crate::plan::{Bounds, Facts, View};
use crate::sqlite::index::{Table, Vocabulary};

/// One tenant's data as the planner sees it.
pub(super) struct Data<'c> {
    pub(super) conn: &'c Connection,
    pub(super) vocabulary: &'c Vocabulary,
    pub(super) view: View,
}

impl Data<'_> {
    /// Runs a statement that answers one number.
    pub(super) fn count(&self, statement: &Statement) -> Result<u64> {
        let mut count = 0;
        run(self.conn, statement, |row| {
            count = u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0);
            Ok(false)
        })?;
        Ok(count)
    }

    /// The types that there are, or were.
    pub(super) fn types(&self) -> Result<Vec<i64>> {
        let mut found = Vec::new();
        let mut last = i64::MIN;
        loop {
            let next: Option<i64> = self
                .conn
                .prepare_cached("SELECT min(type) FROM ix_type WHERE type > ?1")
                .and_then(|mut s| s.query_row([last], |r| r.get(0)))
                .map_err(|e| failed(&e))?;
            match next {
                Some(next) => found.push(next),
                None => return Ok(found),
            }
            last = next.unwrap_or(i64::MAX);
        }
    }
}

impl Facts for Data<'_> {
    fn system(&mut self, text: &str) -> Result<Option<i64>> {
        self.vocabulary
            .system(self.conn, text)
            .map_err(|e| failed(&e))
    }

    fn different(
        &mut self,
        table: Table,
        param: i64,
        fixed: &[(&'static str, Bind)],
        columns: &[&'static str],
        max: usize,
    ) -> Result<Option<Vec<Vec<Bind>>>> {
        let list = columns.join(", ");
        let mut found: Vec<Vec<Bind>> = Vec::new();
        loop {
            let mut binds = vec![Bind::Int(param)];
            let mut text = format!(
                "SELECT {list} FROM {} INDEXED BY {} WHERE param = ?1",
                table.name(),
                key_index(table)
            );
            for (column, value) in fixed {
                binds.push(value.clone());
                text.push_str(&format!(" AND {column} = ?{}", binds.len()));
            }
            if let Some(last) = found.last() {
                let places: Vec<String> = (1..=last.len())
                    .map(|i| format!("?{}", binds.len() + i))
                    .collect();
                text.push_str(&format!(" AND ({list}) > ({})", places.join(", ")));
                binds.extend(last.iter().cloned());
            }
            text.push_str(&format!(" ORDER BY {list} LIMIT 1"));
            let mut next = None;
            run(self.conn, &Statement { text, binds }, |row| {
                let values = (0..columns.len()).map(|at| key(row, at));
                next = values.collect::<rusqlite::Result<Option<Vec<Bind>>>>()?;
                Ok(false)
            })?;
            match next {
                None => return Ok(Some(found)),
                Some(_) if found.len() == max => return Ok(None),
                Some(row) => found.push(row),
            }
        }
    }

    fn measure(&mut self, statement: &Statement) -> Result<(u64, i64)> {
        let mut measured = (0, 0);
        run(self.conn, statement, |row| {
            measured = (
                u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0),
                row.get(1)?,
            );
            Ok(false)
        })?;
        Ok(measured)
    }

    fn as_of(&self) -> i64 {
        self.view.as_of
    }

    fn bounds(&self) -> Bounds {
        self.view.bounds
    }
}
