//! Builds the index of search parameters that a tenant defined, drops the rows of those that it
//! defines no more, and makes index rows of all resources again (`$reindex`): some resources at a
//! time, each time in a transaction of its own in which the progress is kept, so that it goes on
//! where it was after a crash. Between two of them others write.

use std::sync::Arc;

use base::Seq;
use fhir::search::custom::Custom;
use fhir::search::rows::{beginnings, contained, into_contained};
use rusqlite::params;

use super::super::fault::Doing;
use super::super::index::{PLACE_BITS, Table};
use super::super::tenant::OpenTenant;
use super::super::writer::{self, WriterState};
use super::super::{extract, rows, schema};
use super::{Line, ParamState, lines, load, own};
use crate::Result;

/// Resources indexed, or rows dropped, in one transaction.
const RESOURCES: i64 = 200;
const ROWS: i64 = 5_000;
/// The fact about the file that says up to which `rid` all rows are made again.
const AGAIN: &str = "reindex";
/// Steps are so many resources; kept beside [`AGAIN`].
const AGAIN_DONE: &str = "reindexed";

/// How far making all rows again is: resources done, or `None` if it does not run.
pub(crate) fn again(db: &rusqlite::Connection) -> Result<Option<i64>> {
    match schema::meta::<i64>(db, AGAIN)? {
        None => Ok(None),
        Some(_) => schema::meta(db, AGAIN_DONE),
    }
}

/// Begins to make all rows again; what runs already goes on.
pub(crate) fn begin_again(state: &WriterState) -> Result<()> {
    if schema::meta::<i64>(&state.db, AGAIN)?.is_none() {
        schema::set_meta(&state.db, AGAIN, 0)?;
        schema::set_meta(&state.db, AGAIN_DONE, 0)?;
    }
    Ok(())
}

/// Makes one step. Whether there is more to do.
pub(crate) fn step(tenant: &Arc<OpenTenant>) -> Result<bool> {
    let mut slot = tenant.writer.lock();
    let done = writer::alone(tenant, &mut slot, |tenant, state| {
        let more = one(tenant, state)?;
        state.pending.flush(&state.db).doing("writing index rows")?;
        state.customs = load(&state.db, tenant.model)?;
        Ok(more)
    });
    if let (Ok(_), Some(state)) = (&done, &mut *slot) {
        state.pending.committed(&tenant.vocabulary);
        tenant.set_customs(&state.customs);
    }
    done
}

fn one(tenant: &Arc<OpenTenant>, state: &mut WriterState) -> Result<bool> {
    let lines = lines(&state.db)?;
    if let Some(line) = lines.iter().find(|l| l.state == ParamState::Leaving) {
        drop_rows(state, line)?;
        return Ok(true);
    }
    if let Some(line) = lines.iter().find(|l| l.state == ParamState::Building) {
        build(tenant, state, line)?;
        return Ok(true);
    }
    all_again(tenant, state)
}

/// Indexes the next resources for a parameter. Those that are written meanwhile have their rows
/// already.
fn build(tenant: &Arc<OpenTenant>, state: &mut WriterState, line: &Line) -> Result<()> {
    const DOING: &str = "building the index of a search parameter";
    let customs = load(&state.db, tenant.model)?;
    let wanted = |c: &Custom| c.id == line.id;
    let mut rids = next(
        state,
        "SELECT rid FROM ix_type WHERE type = ?1 AND rid > ?2 AND until_seq = 0
         ORDER BY rid LIMIT ?3",
        params![line.definition.type_id.0, line.upto, RESOURCES],
    )?;
    rids.extend(containers(tenant, state, line)?);
    rids.sort_unstable();
    rids.dedup();
    rids.truncate(usize::try_from(RESOURCES).unwrap_or(usize::MAX));
    for rid in &rids {
        let Some(opened) = rows::readable(tenant, &state.db, *rid)? else {
            continue;
        };
        let rows = extract::custom_rows(tenant, &opened.stored, &customs, wanted)?;
        state
            .pending
            .complete(&state.db, &tenant.vocabulary, *rid, opened.seq, &rows)
            .doing(DOING)?;
    }
    let (upto, serves) = match rids.last() {
        Some(last) => (*last, ParamState::Building),
        None => (line.upto, ParamState::Serving),
    };
    state
        .db
        .execute(
            "UPDATE search_param SET upto = ?2, done = done + ?3, state = ?4 WHERE id = ?1",
            params![
                own(line.id),
                upto,
                i64::try_from(rids.len()).unwrap_or(0),
                serves.number()
            ],
        )
        .doing(DOING)
        .map(drop)
}

/// The next resources that contain some of the parameter's type.
fn containers(tenant: &OpenTenant, state: &WriterState, line: &Line) -> Result<Vec<i64>> {
    let Some(id) = tenant.model.param(line.definition.type_id, "_id") else {
        return Ok(Vec::new());
    };
    // Rows of what is contained stand below zero, those of later containers lower.
    let below = -((line.upto + 1) << PLACE_BITS);
    next(
        state,
        &format!(
            "SELECT (-rid) >> {PLACE_BITS} FROM ix_token INDEXED BY ix_token_rid
             WHERE rid <= ?1 AND param = ?2 AND until_seq = 0 ORDER BY rid DESC LIMIT ?3"
        ),
        params![below, contained(id.id).0, RESOURCES],
    )
}

fn next(state: &WriterState, sql: &str, params: impl rusqlite::Params) -> Result<Vec<i64>> {
    state
        .db
        .prepare_cached(sql)
        .and_then(|mut s| {
            let rids = s.query_map(params, |r| r.get(0))?;
            rids.collect()
        })
        .doing("looking for resources to index")
}

/// Drops some rows of a parameter that is defined no more, and at last the parameter.
fn drop_rows(state: &mut WriterState, line: &Line) -> Result<()> {
    const DOING: &str = "dropping the index of a search parameter";
    // Texts are of no one parameter's.
    let tables = Table::OF_PARAMS.into_iter();
    for table in tables.filter(|t| *t != Table::Text) {
        let name = table.name();
        let key = format!("{}, rid, from_seq", table.columns().join(", "));
        let own = line.id;
        let begin = beginnings(own);
        for param in [
            own,
            begin,
            contained(own),
            contained(begin),
            into_contained(own),
        ] {
            let dropped = state
                .db
                .prepare_cached(&format!(
                    "DELETE FROM {name} WHERE param = ?1 AND ({key}) IN
                     (SELECT {key} FROM {name} WHERE param = ?1 LIMIT ?2)"
                ))
                .and_then(|mut s| s.execute(params![param.0, ROWS]))
                .doing(DOING)?;
            if dropped > 0 {
                return Ok(());
            }
        }
    }
    state
        .db
        .execute("DELETE FROM search_param WHERE id = ?1", [own(line.id)])
        .doing(DOING)
        .map(drop)
}

/// Compares the rows of the next resources with what they should be, and corrects them.
fn all_again(tenant: &Arc<OpenTenant>, state: &mut WriterState) -> Result<bool> {
    const DOING: &str = "making index rows again";
    let Some(upto) = schema::meta::<i64>(&state.db, AGAIN)? else {
        return Ok(false);
    };
    let rids = next(
        state,
        "SELECT rid FROM resource WHERE rid > ?1 AND deleted = 0 ORDER BY rid LIMIT ?2",
        params![upto, RESOURCES],
    )?;
    for rid in &rids {
        again_one(tenant, state, *rid)?;
    }
    let Some(last) = rids.last() else {
        let gone = "DELETE FROM meta WHERE key IN (?1, ?2)";
        state.db.execute(gone, [AGAIN, AGAIN_DONE]).doing(DOING)?;
        return Ok(false);
    };
    let done: i64 = schema::meta(&state.db, AGAIN_DONE)?.unwrap_or(0);
    let more = i64::try_from(rids.len()).unwrap_or(0);
    schema::set_meta(&state.db, AGAIN, *last)?;
    schema::set_meta(&state.db, AGAIN_DONE, done + more)?;
    Ok(true)
}

/// Corrects the rows of one resource. What is right stays as it is; what is not is true from the
/// last change on.
pub(crate) fn again_one(tenant: &Arc<OpenTenant>, state: &mut WriterState, rid: i64) -> Result<()> {
    let Some(opened) = rows::readable(tenant, &state.db, rid)? else {
        return Ok(());
    };
    let stored = &opened.stored;
    if stored.method == crate::Method::Delete {
        return Ok(());
    }
    let rows = extract::rows(tenant, stored)?;
    let seq = Seq(state.seq);
    state
        .pending
        .replace(
            &state.db,
            &tenant.vocabulary,
            stored.type_id,
            rid,
            seq,
            stored.updated,
            &rows,
        )
        .doing("making index rows again")
}
