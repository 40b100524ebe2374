//! The rows that a rule may reach, as a table of the engine's: `listed(rid, number)`, newest first.
//!
//! Statements read the list where it is remembered. It is not written into them, and they may end before
//! it does.
#![expect(
    unsafe_code,
    reason = "the engine takes tables of others by its C interface; what it is given is laid out as it asks"
)]

use std::borrow::Cow;
use std::ffi::{CStr, c_int};
use std::sync::Arc;

use rusqlite::vtab::{
    Context, Filters, IndexConstraintOp, IndexInfo, Module, VTab, VTabConfig, VTabConnection,
    VTabCursor,
};
use rusqlite::{Connection, Result, ffi};

use super::asked::rows_of;

const NAME: &CStr = c"listed";
const TABLE: &CStr = c"CREATE TABLE x(rid INTEGER, number INTEGER HIDDEN)";
const RID: c_int = 0;
const NUMBER: c_int = 1;

/// What is compared besides the number: nothing, or that rows are older than one.
const ALL: c_int = 0;
const OLDER: c_int = 1;

/// Makes the table known on a connection.
pub(super) fn register(db: &Connection) -> Result<()> {
    const MODULE: Module<'_, Listed> = Module::eponymous_only_module();
    db.create_module(NAME, &MODULE, None)
}

#[repr(C)]
struct Listed {
    base: ffi::sqlite3_vtab,
}

// SAFETY: it is laid out as C would, and what the engine takes it for is its first field.
unsafe impl<'t> VTab<'t> for Listed {
    type Aux = ();
    type Cursor = At;

    fn connect(
        db: &mut VTabConnection,
        _: Option<&()>,
        _: &[u8],
        _: &[u8],
        _: &[u8],
        _: &[&[u8]],
    ) -> Result<(Cow<'static, CStr>, Self)> {
        db.config(VTabConfig::DirectOnly)?;
        let base = ffi::sqlite3_vtab::default();
        Ok((Cow::Borrowed(TABLE), Self { base }))
    }

    fn best_index(&self, info: &mut IndexInfo) -> Result<bool> {
        let (mut number, mut older) = (false, None);
        for (at, (constraint, mut usage)) in info.constraints_and_usages().enumerate() {
            match (constraint.column(), constraint.operator()) {
                (NUMBER, IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_EQ)
                    if constraint.is_usable() && !number =>
                {
                    number = true;
                    usage.set_argv_index(1);
                    usage.set_omit(true);
                }
                (RID, IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_LT)
                    if constraint.is_usable() && older.is_none() =>
                {
                    older = Some(at);
                }
                _ => {}
            }
        }
        // Without a number it is no list at all.
        if !number {
            return Ok(false);
        }
        if let Some(at) = older {
            let mut usage = info.constraint_usage(at);
            usage.set_argv_index(2);
            usage.set_omit(true);
        }
        info.set_idx_num(if older.is_some() { OLDER } else { ALL });
        let newest_first = {
            let mut by = info.order_bys();
            let first = by.next();
            first.is_some_and(|b| b.column() == RID && b.is_order_by_desc()) && by.next().is_none()
        };
        info.set_order_by_consumed(newest_first);
        info.set_estimated_cost(1.0);
        info.set_estimated_rows(100);
        Ok(true)
    }

    fn open(&'t mut self) -> Result<At> {
        Ok(At::default())
    }
}

/// A place in a list.
#[derive(Default)]
#[repr(C)]
struct At {
    base: ffi::sqlite3_vtab_cursor,
    rows: Option<Arc<[i64]>>,
    /// Rows that are still to come, this one among them.
    left: usize,
}

impl At {
    fn rid(&self) -> Option<i64> {
        let at = self.left.checked_sub(1)?;
        self.rows.as_ref()?.get(at).copied()
    }
}

// SAFETY: as above.
unsafe impl VTabCursor for At {
    fn filter(&mut self, compared: c_int, _: Option<&str>, args: &Filters<'_>) -> Result<()> {
        let rows = rows_of(args.get(0)?);
        self.left = match (&rows, compared) {
            (None, _) => 0,
            (Some(rows), OLDER) => {
                let than: i64 = args.get(1)?;
                rows.partition_point(|rid| *rid < than)
            }
            (Some(rows), _) => rows.len(),
        };
        self.rows = rows;
        Ok(())
    }

    fn next(&mut self) -> Result<()> {
        self.left = self.left.saturating_sub(1);
        Ok(())
    }

    fn eof(&self) -> bool {
        self.left == 0
    }

    fn column(&self, context: &mut Context, column: c_int) -> Result<()> {
        match column {
            RID => context.set_result(self.rid()),
            _ => Ok(()),
        }
    }

    fn rowid(&self) -> Result<i64> {
        Ok(self.rid().unwrap_or(0))
    }
}
