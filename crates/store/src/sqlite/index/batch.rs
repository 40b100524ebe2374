//! Index rows on their way into the tables: queued, sorted by key, written many at a time.
//!
//! Rows of one group of changes come from many resources; sorted by key they touch each page of a
//! table once. Knows nothing of commits: its owner marks, undoes and clears as the transaction
//! does.

use std::collections::{BTreeSet, HashMap};

use base::{Micros, Seq};
use fhir::definitions::TypeId;
use fhir::search::rows::{Row, RowValue};
use rusqlite::Connection;

use super::keep;
use super::key::{IdKey, Key, Table, row_of, type_number};
use super::vocabulary::Vocabulary;

/// Rows that one statement writes at most.
const ROWS_PER_STATEMENT: usize = 24;

/// Where a [`Pending`] stood when a savepoint was set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    rows: usize,
    flushed: usize,
    systems: usize,
}

/// A key, and the place of the contained resource that it is of (0: the resource itself).
pub(super) type Placed = (u16, Key);

#[derive(Debug)]
struct Queued {
    key: Key,
    rid: i64,
    seq: i64,
}

/// The index rows of one open transaction.
///
/// - Set a [`Pending::mark`] with each savepoint and [`Pending::undo`] to it when the savepoint is
///   rolled back.
/// - [`Pending::flush`] before COMMIT and before any search inside the transaction.
/// - After COMMIT: [`Pending::committed`]; after ROLLBACK: [`Pending::clear`].
#[derive(Debug, Default)]
pub(crate) struct Pending {
    rows: Vec<Queued>,
    /// Rows before this one are in the tables.
    flushed: usize,
    /// Resources with rows that are not.
    waiting: BTreeSet<i64>,
    /// Systems numbered in this transaction.
    systems: Vec<(Box<str>, i64)>,
    numbers: HashMap<Box<str>, i64>,
}

impl Pending {
    /// Where it stands now.
    pub(crate) const fn mark(&self) -> Mark {
        Mark {
            rows: self.rows.len(),
            flushed: self.flushed,
            systems: self.systems.len(),
        }
    }

    /// Forgets what was queued or written since the mark; rows queued before it and written since
    /// are queued again.
    pub(crate) fn undo(&mut self, to: Mark) {
        self.rows.truncate(to.rows);
        self.flushed = self.flushed.min(to.flushed);
        for (text, _) in self.systems.drain(to.systems.min(self.systems.len())..) {
            self.numbers.remove(&text);
        }
        let waiting = self.rows.iter().skip(self.flushed);
        // Every resource has rows of its own beside those of what it contains.
        self.waiting = waiting.map(|q| q.rid).filter(|rid| *rid >= 0).collect();
    }

    /// The transaction is undone.
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.flushed = 0;
        self.waiting.clear();
        self.systems.clear();
        self.numbers.clear();
    }

    /// The transaction is committed.
    pub(crate) fn committed(&mut self, vocabulary: &Vocabulary) {
        vocabulary.remember(self.systems.drain(..));
        self.clear();
    }

    /// Queues the rows of a new resource (or of one that comes back after its deletion). `rid` is
    /// its row, `seq` the change, `updated` its `meta.lastUpdated`.
    #[expect(
        clippy::too_many_arguments,
        reason = "each names one column of the rows made"
    )]
    pub(crate) fn insert(
        &mut self,
        conn: &Connection,
        vocabulary: &Vocabulary,
        type_id: TypeId,
        rid: i64,
        seq: Seq,
        updated: Micros,
        rows: &[Row],
    ) -> rusqlite::Result<()> {
        let keys = self.keys(conn, vocabulary, type_id, updated, rows)?;
        self.queue(keys, rid, seq);
        Ok(())
    }

    /// Closes the rows of a resource that do not hold any more, and queues the new ones.
    #[expect(
        clippy::too_many_arguments,
        reason = "each names one column of the rows made"
    )]
    pub(crate) fn replace(
        &mut self,
        conn: &Connection,
        vocabulary: &Vocabulary,
        type_id: TypeId,
        rid: i64,
        seq: Seq,
        updated: Micros,
        rows: &[Row],
    ) -> rusqlite::Result<()> {
        if self.waiting.contains(&rid) {
            self.flush(conn)?;
        }
        let old = keep::open_keys(conn, vocabulary, type_id, rid)?;
        let mut new = self.keys(conn, vocabulary, type_id, updated, rows)?;
        for (place, key) in old.iter().filter(|k| new.binary_search(k).is_err()) {
            keep::close_key(conn, key, row_of(rid, *place), seq)?;
        }
        new.retain(|k| old.binary_search(k).is_err());
        self.queue(new, rid, seq);
        Ok(())
    }

    /// Queues those of these rows that a resource does not have yet: a parameter's index is being
    /// built. `seq` is the change that made the resource what it is.
    pub(crate) fn complete(
        &mut self,
        conn: &Connection,
        vocabulary: &Vocabulary,
        rid: i64,
        seq: Seq,
        rows: &[Row],
    ) -> rusqlite::Result<()> {
        if self.waiting.contains(&rid) {
            self.flush(conn)?;
        }
        let old = keep::param_keys(conn, rid)?;
        let mut new = Vec::with_capacity(rows.len());
        let mut system = |text: &str| self.number(conn, vocabulary, text);
        for row in rows {
            push(row, &mut new, &mut system)?;
        }
        new.sort_unstable();
        new.dedup();
        new.retain(|k| old.binary_search(k).is_err());
        self.queue(new, rid, seq);
        Ok(())
    }

    /// Closes all rows of a resource: it is deleted by change `seq`.
    pub(crate) fn close(
        &mut self,
        conn: &Connection,
        vocabulary: &Vocabulary,
        type_id: TypeId,
        rid: i64,
        seq: Seq,
    ) -> rusqlite::Result<()> {
        if self.waiting.contains(&rid) {
            self.flush(conn)?;
        }
        for (place, key) in keep::open_keys(conn, vocabulary, type_id, rid)? {
            keep::close_key(conn, &key, row_of(rid, place), seq)?;
        }
        Ok(())
    }

    /// Writes what is queued.
    pub(crate) fn flush(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        // Not sorted in place: marks count rows in the order in which they were queued.
        let mut queued: Vec<&Queued> = self.rows.iter().skip(self.flushed).collect();
        queued.sort_unstable_by(|a, b| a.key.cmp(&b.key).then(a.rid.cmp(&b.rid)));
        for same in queued.chunk_by(|a, b| a.key.table() == b.key.table()) {
            let Some(first) = same.first() else { continue };
            write(conn, first.key.table(), same)?;
        }
        self.flushed = self.rows.len();
        self.waiting.clear();
        Ok(())
    }

    fn queue(&mut self, keys: Vec<Placed>, rid: i64, seq: Seq) {
        if keys.is_empty() {
            return;
        }
        let seq = number(seq);
        self.rows
            .extend(keys.into_iter().map(|(place, key)| Queued {
                key,
                rid: row_of(rid, place),
                seq,
            }));
        self.waiting.insert(rid);
    }

    /// All keys of a resource, sorted and unique: those of its rows and those the index makes.
    fn keys(
        &mut self,
        conn: &Connection,
        vocabulary: &Vocabulary,
        type_id: TypeId,
        updated: Micros,
        rows: &[Row],
    ) -> rusqlite::Result<Vec<Placed>> {
        let system = |text: &str| self.number(conn, vocabulary, text);
        keys(vocabulary, type_id, updated, rows, system)
    }

    fn number(
        &mut self,
        conn: &Connection,
        vocabulary: &Vocabulary,
        text: &str,
    ) -> rusqlite::Result<i64> {
        if let Some(id) = self.numbers.get(text) {
            return Ok(*id);
        }
        if let Some(id) = vocabulary.system(conn, text)? {
            return Ok(id);
        }
        let id = Vocabulary::intern(conn, text)?;
        self.systems.push((text.into(), id));
        self.numbers.insert(text.into(), id);
        Ok(id)
    }
}

/// A sequence number as tables hold it.
pub(crate) fn number(seq: Seq) -> i64 {
    i64::try_from(seq.0).unwrap_or(i64::MAX)
}

/// All keys of a resource, sorted and unique; `system` gives a system's number.
pub(super) fn keys<E>(
    vocabulary: &Vocabulary,
    type_id: TypeId,
    updated: Micros,
    rows: &[Row],
    mut system: impl FnMut(&str) -> Result<i64, E>,
) -> Result<Vec<Placed>, E> {
    let mut keys = Vec::with_capacity(rows.len() + 4);
    keys.push((0, Key::Type(type_number(type_id))));
    let shape = vocabulary.shape();
    if let Some(of_type) = shape.of_type(type_id) {
        if let Some(param) = of_type.updated {
            let (low, high) = (updated.0, updated.0.saturating_add(1_000));
            let param = i64::from(param.0);
            keys.push((0, Key::Date { param, low, high }));
        }
        if let (Some(date), Some(patient)) = (of_type.date, shape.patient()) {
            let dates = || rows.iter().filter(|r| r.param == date);
            for row in rows.iter().filter(|r| of_type.patients.contains(&r.param)) {
                let RowValue::Reference {
                    type_id: to, id, ..
                } = &row.value
                else {
                    continue;
                };
                if *to != patient {
                    continue;
                }
                for date in dates() {
                    let RowValue::Date(range) = &date.value else {
                        continue;
                    };
                    let key = Key::Compartment {
                        patient: IdKey::of_id(id),
                        type_id: type_number(type_id),
                        low: range.low,
                        high: range.high,
                    };
                    keys.push((0, key));
                }
            }
        }
    }
    for row in rows {
        push(row, &mut keys, &mut system)?;
    }
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}

/// Adds the keys of a row.
fn push<E>(
    row: &Row,
    keys: &mut Vec<Placed>,
    system: impl FnMut(&str) -> Result<i64, E>,
) -> Result<(), E> {
    let (place, value) = match &row.value {
        RowValue::Contained(place, value) => (*place, &**value),
        value => (0, value),
    };
    Key::push(row.param, value, &mut |key| keys.push((place, key)), system)
}

fn write(conn: &Connection, table: Table, rows: &[&Queued]) -> rusqlite::Result<()> {
    let mut rest = rows;
    while !rest.is_empty() {
        let at_once = [ROWS_PER_STATEMENT, 6, 1]
            .into_iter()
            .find(|n| *n <= rest.len());
        let (now, later) = rest.split_at(at_once.unwrap_or(1));
        let mut insert = conn.prepare_cached(&insert_text(table, now.len()))?;
        let mut at = 1;
        for row in now {
            at = row.key.bind(&mut insert, at)?;
            insert.raw_bind_parameter(at, row.rid)?;
            insert.raw_bind_parameter(at + 1, row.seq)?;
            at += 2;
        }
        insert.raw_execute()?;
        rest = later;
    }
    Ok(())
}

fn insert_text(table: Table, rows: usize) -> String {
    let columns = table.columns().join(", ");
    let one = format!("({}?, ?, 0)", "?, ".repeat(table.columns().len()));
    let values = vec![one; rows].join(", ");
    // A text that was made again within one change takes the place of the one that never held.
    let or = if table == Table::Text {
        " OR REPLACE"
    } else {
        ""
    };
    format!(
        "INSERT{or} INTO {} ({columns}, rid, from_seq, until_seq) VALUES {values}",
        table.name()
    )
}
