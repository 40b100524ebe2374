//! The index tables of the embedded engine: what a resource's rows look like in them, and how they
//! are kept.
//!
//! Eleven tables, each `WITHOUT ROWID` and ordered so that an equality is answered in order of `rid`
//! (newest first is the table read backwards), and a covering index by `(rid, param)` for probes,
//! diffs and deletes:
//!
//! | table | key |
//! |---|---|
//! | `ix_type` | type, rid |
//! | `ix_token` | param, code, system, rid (identifiers of references too, under their parameter; identifiers with their type) |
//! | `ix_string` | param, folded, rid, exact (a digest of the text as written) |
//! | `ix_date` | param, low, high, rid |
//! | `ix_number` | param, low, high, rid (positions too: latitude and longitude) |
//! | `ix_quantity` | param, unit, system, rid, low, high |
//! | `ix_reference` | type, id, param, rid, version: what refers to one resource stands together |
//! | `ix_uri` | param, uri, rid (words of narratives too, under their type; boundaries of places) |
//! | `ix_composite` | param, codes and units of the parts, rid, ranges of the parts (see `fhir::search::rows::places`) |
//! | `ix_compartment` | patient, type, low, high, rid |
//! | `ix_text` | rid, param: the words of a resource's texts, in order |
//!
//! The rows of contained resources stand in the same tables, under parameter numbers of their own
//! ([`fhir::search::rows::contained`]) and under a `rid` that is [`row_of`] the container and the
//! place in it: a negative number, which no resource has.
//!
//! Every row says from which change (`from_seq`) to which (`until_seq`, 0 = still) it is true. An
//! update closes the rows that differ; [`sweep`] drops what was closed long enough ago. Ranges
//! longer than a day (a unit, for numbers) stand in a partial index of their own as well, so that
//! "ends after" needs no scan.
//!
//! Values that hardly ever repeat make a write touch a page of its own for each row. Quantities,
//! alone and in composites, are therefore ordered by unit and `rid`: newest first, compared while
//! reading. References are ordered by their target before the parameter, so that all that is said about
//! an encounter touches one page; queries of them name the target or the `rid`, or step through the
//! targets.
//!
//! Knows nothing of queries, bodies or transactions: the caller has one open.

use rusqlite::Connection;

mod batch;
mod keep;
mod key;
mod vocabulary;

pub(crate) use batch::{Mark, Pending};
pub(crate) use keep::{differs, horizon, sweep};
pub(crate) use key::{IdKey, NO_TYPE, PLACE_BITS, Real, Table, exact_digest, row_of};
pub(crate) use vocabulary::{Shape, Vocabulary};

#[cfg(test)]
mod tests;

/// Version of the index: of these tables and of what is put into them. A tenant whose index has
/// another version is indexed again when it is opened.
pub(crate) const INDEX_VERSION: u32 = 13;

/// What outlives the index rows. `system` gives each token system a number; 0 stands for "no
/// system". `ix_horizon` holds the one sequence number up to which closed rows are swept.
const COMMON: &str = "
CREATE TABLE system (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE ix_horizon (seq INTEGER NOT NULL) STRICT;
INSERT INTO ix_horizon (seq) VALUES (0);
";

/// The tables of rows, as they are in [`INDEX_VERSION`].
const TABLES: &str = "
CREATE TABLE ix_type (
  type INTEGER NOT NULL, rid INTEGER NOT NULL,
  from_seq INTEGER NOT NULL, until_seq INTEGER NOT NULL,
  PRIMARY KEY (type, rid, from_seq)) STRICT, WITHOUT ROWID;
CREATE INDEX ix_type_closed ON ix_type (until_seq) WHERE until_seq > 0;

CREATE TABLE ix_token (
  param INTEGER NOT NULL, code TEXT NOT NULL, system INTEGER NOT NULL, rid INTEGER NOT NULL,
  from_seq INTEGER NOT NULL, until_seq INTEGER NOT NULL,
  PRIMARY KEY (param, code, system, rid, from_seq)) STRICT, WITHOUT ROWID;
CREATE INDEX ix_token_rid ON ix_token (rid, param, until_seq);
CREATE INDEX ix_token_closed ON ix_token (until_seq) WHERE until_seq > 0;

CREATE TABLE ix_string (
  param INTEGER NOT NULL, folded TEXT NOT NULL, rid INTEGER NOT NULL, exact INTEGER NOT NULL,
  from_seq INTEGER NOT NULL, until_seq INTEGER NOT NULL,
  PRIMARY KEY (param, folded, rid, exact, from_seq)) STRICT, WITHOUT ROWID;
CREATE INDEX ix_string_rid ON ix_string (rid, param, until_seq);
CREATE INDEX ix_string_closed ON ix_string (until_seq) WHERE until_seq > 0;

CREATE TABLE ix_date (
  param INTEGER NOT NULL, low INTEGER NOT NULL, high INTEGER NOT NULL, rid INTEGER NOT NULL,
  from_seq INTEGER NOT NULL, until_seq INTEGER NOT NULL,
  PRIMARY KEY (param, low, high, rid, from_seq)) STRICT, WITHOUT ROWID;
CREATE INDEX ix_date_rid ON ix_date (rid, param, until_seq);
CREATE INDEX ix_date_long ON ix_date (param, high, until_seq) WHERE high - low > 86400000000;
CREATE INDEX ix_date_closed ON ix_date (until_seq) WHERE until_seq > 0;

CREATE TABLE ix_number (
  param INTEGER NOT NULL, low REAL NOT NULL, high REAL NOT NULL, rid INTEGER NOT NULL,
  from_seq INTEGER NOT NULL, until_seq INTEGER NOT NULL,
  PRIMARY KEY (param, low, high, rid, from_seq)) STRICT, WITHOUT ROWID;
CREATE INDEX ix_number_rid ON ix_number (rid, param, until_seq);
CREATE INDEX ix_number_long ON ix_number (param, high, until_seq) WHERE high - low > 1.0;
CREATE INDEX ix_number_closed ON ix_number (until_seq) WHERE until_seq > 0;

CREATE TABLE ix_quantity (
  param INTEGER NOT NULL, unit TEXT NOT NULL, system INTEGER NOT NULL,
  rid INTEGER NOT NULL, low REAL NOT NULL, high REAL NOT NULL,
  from_seq INTEGER NOT NULL, until_seq INTEGER NOT NULL,
  PRIMARY KEY (param, unit, system, rid, low, high, from_seq)) STRICT, WITHOUT ROWID;
CREATE INDEX ix_quantity_rid ON ix_quantity (rid, param, until_seq);
CREATE INDEX ix_quantity_closed ON ix_quantity (until_seq) WHERE until_seq > 0;

CREATE TABLE ix_reference (
  type INTEGER NOT NULL, id ANY NOT NULL, param INTEGER NOT NULL, rid INTEGER NOT NULL,
  version TEXT NOT NULL, from_seq INTEGER NOT NULL, until_seq INTEGER NOT NULL,
  PRIMARY KEY (type, id, param, rid, version, from_seq)) STRICT, WITHOUT ROWID;
CREATE INDEX ix_reference_rid ON ix_reference (rid, param, until_seq);
CREATE INDEX ix_reference_closed ON ix_reference (until_seq) WHERE until_seq > 0;

CREATE TABLE ix_uri (
  param INTEGER NOT NULL, uri TEXT NOT NULL, rid INTEGER NOT NULL,
  from_seq INTEGER NOT NULL, until_seq INTEGER NOT NULL,
  PRIMARY KEY (param, uri, rid, from_seq)) STRICT, WITHOUT ROWID;
CREATE INDEX ix_uri_rid ON ix_uri (rid, param, until_seq);
CREATE INDEX ix_uri_closed ON ix_uri (until_seq) WHERE until_seq > 0;

CREATE TABLE ix_composite (
  param INTEGER NOT NULL,
  code1 ANY NOT NULL, system1 INTEGER NOT NULL,
  code2 ANY NOT NULL, system2 INTEGER NOT NULL, unit2 TEXT NOT NULL,
  rid INTEGER NOT NULL,
  low2 ANY NOT NULL, high2 ANY NOT NULL, low3 ANY NOT NULL, high3 ANY NOT NULL,
  from_seq INTEGER NOT NULL, until_seq INTEGER NOT NULL,
  PRIMARY KEY (param, code1, system1, code2, system2, unit2, rid, low2, high2, low3, high3,
    from_seq)) STRICT, WITHOUT ROWID;
CREATE INDEX ix_composite_rid ON ix_composite (rid, param, until_seq);
CREATE INDEX ix_composite_closed ON ix_composite (until_seq) WHERE until_seq > 0;

CREATE TABLE ix_compartment (
  patient ANY NOT NULL, type INTEGER NOT NULL, low INTEGER NOT NULL, high INTEGER NOT NULL,
  rid INTEGER NOT NULL, from_seq INTEGER NOT NULL, until_seq INTEGER NOT NULL,
  PRIMARY KEY (patient, type, low, high, rid, from_seq)) STRICT, WITHOUT ROWID;
CREATE INDEX ix_compartment_closed ON ix_compartment (until_seq) WHERE until_seq > 0;

CREATE TABLE ix_text (
  param INTEGER NOT NULL, text TEXT NOT NULL, rid INTEGER NOT NULL,
  from_seq INTEGER NOT NULL, until_seq INTEGER NOT NULL,
  PRIMARY KEY (rid, param, from_seq)) STRICT, WITHOUT ROWID;
CREATE INDEX ix_text_closed ON ix_text (until_seq) WHERE until_seq > 0;
";

/// Makes everything, in a database without an index.
pub(crate) fn make(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(COMMON)?;
    conn.execute_batch(TABLES)
}

/// Takes all rows of one resource away, of whatever change: what they say is not to be trusted.
pub(crate) fn wipe(conn: &Connection, rid: i64) -> rusqlite::Result<()> {
    let last = (1 << PLACE_BITS) - 1;
    let inside = (key::row_of(rid, last), key::row_of(rid, 1));
    for table in Table::ALL {
        let sql = format!(
            "DELETE FROM {} WHERE rid = ?1 OR rid BETWEEN ?2 AND ?3",
            table.name()
        );
        conn.execute(&sql, (rid, inside.0, inside.1))?;
    }
    Ok(())
}

/// Takes all rows away and makes the tables as they are in this version. No page that was begun
/// before can be continued.
pub(crate) fn make_anew(conn: &Connection) -> rusqlite::Result<()> {
    for table in Table::ALL {
        conn.execute_batch(&format!("DROP TABLE IF EXISTS {}", table.name()))?;
    }
    conn.execute_batch(TABLES)?;
    conn.execute(
        "UPDATE ix_horizon SET seq = (SELECT coalesce(max(seq), 0) FROM change)",
        [],
    )
    .map(drop)
}
