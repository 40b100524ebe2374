//! Deciding about a resource in quarantine: one write, and the line that says what was decided, of one
//! transaction.
//!
//! Who reaches the resource is judged by what its newest version says that carries its seal, never by the
//! rows that lie there.

use base::{Code, Seq, Version};

use super::work::Op;
use super::{Current, Making, find, refused};
use crate::sqlite::fault::Doing;
use crate::sqlite::{OpenTenant, extract, index, quarantine, rows, writer::WriterState};
use crate::{Method, Result, Settlement, StoreError, Stored};

/// Who decides does not reach it, or nobody can say so.
pub(super) const OUT_OF_REACH: &str = "the caller's policy reaches some resources of the type only, and not \
     this one by what its last good version says";

impl Making<'_> {
    /// Makes the index say what the last good version of the resource says that is decided about: by that
    /// its caller reaches it, or does not.
    pub(super) fn begin_settling(&mut self, ops: &[Op], settlement: &Settlement) -> Result<()> {
        let Some(op) = ops.first() else { return Ok(()) };
        let (type_id, id) = op.target();
        let meanwhile = || {
            let text = "somebody else decided meanwhile".to_owned();
            Err(StoreError::Refused(Code::QuarantineDecision, text))
        };
        let Some(current) = find(&self.state.db, type_id, id)? else {
            return meanwhile();
        };
        let rid = current.rid;
        let waits: bool = (self.state.db)
            .query_row(
                "SELECT EXISTS (SELECT 1 FROM quarantine WHERE rid = ?1 AND decision IS NULL)",
                [rid],
                |r| r.get(0),
            )
            .doing("looking a resource up")?;
        if !waits || settlement.version.0 != current.version {
            return meanwhile();
        }
        let good = rows::last_good(self.tenant, &self.state.db, rid)?;
        if let Some(filter) = op.filter() {
            let as_of = Seq(self.state.seq);
            // What the index knows must not speak against it either, unless that is what is wrong.
            let misindexed = self.tenant.quarantine.is_misindexed(rid);
            let known = misindexed || self.meets(filter, type_id, (rid, &[]), as_of)?;
            if good.is_none() || !known {
                return Err(refused(0, Code::ScopeMissing, OUT_OF_REACH));
            }
        }
        suppose(
            self.tenant,
            self.state,
            rid,
            good.map(|g| g.stored).as_ref(),
        )
    }

    /// A resource in quarantine is written by the decision about it only; that follows the last
    /// version that there is, whatever the resource's own row says.
    pub(super) fn may_be_written(&self, current: &mut Current) -> Result<()> {
        if self.settles.is_none() {
            return self.tenant.quarantine.must_be_free(current.rid);
        }
        let db = &self.state.db;
        let last: Option<i64> = db
            .query_row(
                "SELECT max(version) FROM version WHERE rid = ?1",
                [current.rid],
                |r| r.get(0),
            )
            .doing("looking a resource up")?;
        let last = last.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
        current.version = current.version.max(last);
        current.deleted = false;
        index::wipe(db, current.rid).doing("making index rows again")
    }

    /// Writes down what this change decided.
    pub(super) fn settle(&mut self, ops: &[Op], settlement: &Settlement) -> Result<()> {
        let found = match ops.first().map(Op::target) {
            Some((type_id, id)) => find(&self.state.db, type_id, id)?,
            None => None,
        };
        let Some(current) = found else {
            return Ok(());
        };
        quarantine::decide(
            &self.state.db,
            current.rid,
            settlement.decision,
            (self.actor.1, &settlement.remark),
            Some(Version(current.version)),
            (self.updated, self.tenant.chain()),
        )
    }
}

/// Makes the index rows of a resource anew, of what a version of it says; none of a deletion.
fn suppose(
    tenant: &OpenTenant,
    state: &mut WriterState,
    rid: i64,
    stored: Option<&Stored>,
) -> Result<()> {
    const DOING: &str = "making index rows again";
    state.pending.flush(&state.db).doing(DOING)?;
    index::wipe(&state.db, rid).doing(DOING)?;
    let Some(stored) = stored.filter(|s| s.method != Method::Delete) else {
        return Ok(());
    };
    let rows = extract::rows(tenant, stored)?;
    let (db, vocabulary, seq) = (&state.db, &tenant.vocabulary, Seq(state.seq));
    let pending = &mut state.pending;
    pending
        .insert(
            db,
            vocabulary,
            stored.type_id,
            rid,
            seq,
            stored.updated,
            &rows,
        )
        .and_then(|()| pending.flush(db))
        .doing(DOING)
}

/// Looks at the tables as they would be if the index said of a resource what a version of it says; nothing
/// of it stays.
pub(crate) fn supposing<T>(
    tenant: &OpenTenant,
    state: &mut WriterState,
    (rid, stored): (i64, &Stored),
    look: impl FnOnce(&rusqlite::Connection) -> Result<T>,
) -> Result<T> {
    const DOING: &str = "looking at a resource in quarantine";
    let mark = state.pending.mark();
    state.db.execute_batch("SAVEPOINT supposed").doing(DOING)?;
    let looked = suppose(tenant, state, rid, Some(stored)).and_then(|()| look(&state.db));
    state.pending.undo(mark);
    state
        .db
        .execute_batch("ROLLBACK TO supposed; RELEASE supposed")
        .doing(DOING)?;
    looked
}
