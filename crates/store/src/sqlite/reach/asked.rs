//! What a running search asks of memory: a function of the engine's and a table of it, and the rows that it
//! did not know.
//!
//! A search runs on one thread from its first statement to its last; its views are kept there meanwhile.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::Arc;

use fhir::definitions::TypeId;
use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

use super::{Listing, View, listed};

/// Rows that were not known after which a search stops, so that they are asked about all at once.
const UNKNOWN_MAX: usize = 512;

struct Slot {
    view: View,
    unknown: Vec<i64>,
    /// The rows that it may reach, and whether it reaches all of them; none of either where they are many.
    rows: Option<Option<(Arc<[i64]>, bool)>>,
}

thread_local! {
    static SLOTS: RefCell<Vec<Slot>> = const { RefCell::new(Vec::new()) };
}

/// A search that may ask; ends with it.
#[derive(Debug)]
pub(crate) struct Asking(PhantomData<*const ()>);

impl Asking {
    /// Begins.
    pub(crate) fn begin() -> Self {
        SLOTS.with_borrow_mut(Vec::clear);
        Self(PhantomData)
    }

    /// The number by which statements ask about rows of a type, if there is one.
    pub(crate) fn number_of(&self, type_id: TypeId) -> Option<i64> {
        SLOTS.with_borrow(|slots| {
            let at = slots.iter().position(|s| s.view.type_id() == type_id)?;
            i64::try_from(at).ok()
        })
    }

    /// Gives a view a number.
    pub(crate) fn add(&self, view: View) -> i64 {
        SLOTS.with_borrow_mut(|slots| {
            slots.push(Slot {
                view,
                unknown: Vec::new(),
                rows: None,
            });
            i64::try_from(slots.len() - 1).unwrap_or(i64::MAX)
        })
    }

    /// The view of a number.
    pub(crate) fn view(&self, number: i64) -> Option<View> {
        let at = usize::try_from(number).ok()?;
        SLOTS.with_borrow(|slots| slots.get(at).map(|s| s.view.clone()))
    }

    /// Every row that the view of a number may reach, oldest first, and whether it reaches all of these; none
    /// where they are many. It stays the same list to the end of the search.
    pub(crate) fn listed(&self, number: i64) -> Option<(Arc<[i64]>, bool)> {
        let at = usize::try_from(number).ok()?;
        SLOTS.with_borrow_mut(|slots| {
            let slot = slots.get_mut(at)?;
            let view = &slot.view;
            let rows = slot.rows.get_or_insert_with(|| match view.listing() {
                Listing::Few { rows, exact } => Some((rows, exact)),
                Listing::Many | Listing::Later | Listing::Unknown => None,
            });
            rows.clone()
        })
    }

    /// The rows that were asked about and not known, with their views; empty where the answers that were
    /// found are right.
    pub(crate) fn unknown(&self) -> Vec<(View, Vec<i64>)> {
        SLOTS.with_borrow_mut(|slots| {
            let unknown = slots.iter_mut().filter(|s| !s.unknown.is_empty());
            unknown
                .map(|s| (s.view.clone(), std::mem::take(&mut s.unknown)))
                .collect()
        })
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        SLOTS.with_borrow_mut(Vec::clear);
    }
}

/// The rows that the table lists under a number.
pub(super) fn rows_of(number: i64) -> Option<Arc<[i64]>> {
    let at = usize::try_from(number).ok()?;
    SLOTS.with_borrow(|slots| {
        let (rows, _) = slots.get(at)?.rows.as_ref()?.as_ref()?;
        Some(rows.clone())
    })
}

/// There is too much that is not known.
#[derive(Debug, thiserror::Error)]
#[error("rows are asked about first")]
struct Unknown;

/// Makes `reached(number, rid)` and the table `listed` known on a connection. What the function says of a row
/// that is not known is of no use; see [`Asking::unknown`].
pub(crate) fn register(db: &Connection) -> rusqlite::Result<()> {
    listed::register(db)?;
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DIRECTONLY;
    db.create_scalar_function("reached", 2, flags, |asked| {
        let (number, rid): (i64, i64) = (asked.get(0)?, asked.get(1)?);
        SLOTS.with_borrow_mut(|slots| {
            let slot = usize::try_from(number)
                .ok()
                .and_then(|at| slots.get_mut(at));
            let slot = slot.ok_or(rusqlite::Error::InvalidFunctionParameterType(
                0,
                rusqlite::types::Type::Integer,
            ))?;
            if let Some(known) = slot.view.known(rid) {
                return Ok(known);
            }
            slot.unknown.push(rid);
            if slot.unknown.len() < UNKNOWN_MAX {
                return Ok(false);
            }
            Err(rusqlite::Error::UserFunctionError(Box::new(Unknown)))
        })
    })
}
