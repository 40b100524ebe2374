//! References under the policy `enforced`: literal references to this server must resolve, and what
//! is referred to may not go. Looked at when all writes of the change are made, so that they may
//! refer to each other.

use base::{Code, ResourceId};
use fhir::definitions::TypeId;
use fhir::validate::Pointed;
use rusqlite::{Connection, params};

use super::super::fault::Doing;
use super::super::index::IdKey;
use super::super::tenant::OpenTenant;
use super::super::writer::WriterState;
use super::{Op, find, refused};
use crate::{Result, StoreError};

/// Literal references must resolve, and what is referred to may not go.
pub(super) fn check(tenant: &OpenTenant, state: &mut WriterState, ops: &[Op]) -> Result<()> {
    let model = tenant.model;
    if ops.iter().any(|op| matches!(op, Op::Delete { .. })) {
        state.pending.flush(&state.db).doing("writing index rows")?;
    }
    for (entry, op) in ops.iter().enumerate() {
        match op {
            Op::Create { resource, .. } | Op::Put { resource, .. } => {
                if resource.valid.dangling().is_some() {
                    let text = "it refers to a URN, which nothing here has";
                    return Err(refused(entry, Code::ReferenceMissing, text));
                }
                for to in resource.valid.references() {
                    if !is_there(&state.db, to)? {
                        let type_name = model.type_name(to.type_id);
                        let id = to.id.clone();
                        return Err(StoreError::ReferenceMissing {
                            entry,
                            type_name,
                            id,
                        });
                    }
                }
            }
            Op::Delete { type_id, id, .. } => {
                if is_referred_to(&state.db, *type_id, id)? {
                    let text = "other resources refer to it";
                    return Err(refused(entry, Code::ReferenceInUse, text));
                }
            }
        }
    }
    Ok(())
}

/// Whether what a reference leads to is there: the resource, and the version where it names one.
fn is_there(db: &Connection, to: &Pointed) -> Result<bool> {
    let Some(current) = find(db, to.type_id, &to.id)?.filter(|c| !c.deleted) else {
        return Ok(false);
    };
    let Some(version) = to.version.as_deref() else {
        return Ok(true);
    };
    let plain = !version.starts_with('0') && version.bytes().all(|b| b.is_ascii_digit());
    let Some(version) = version.parse::<u64>().ok().filter(|_| plain) else {
        return Ok(false);
    };
    // Each version up to the current one is kept.
    Ok(version <= current.version)
}

fn is_referred_to(db: &Connection, type_id: TypeId, id: &ResourceId) -> Result<bool> {
    const DOING: &str = "looking for references";
    let mut look = db
        .prepare_cached(
            "SELECT 1 FROM ix_reference i JOIN resource r ON r.rid = i.rid
             WHERE i.type = ?1 AND i.id = ?2 AND i.until_seq = 0
               AND NOT (r.type = ?1 AND r.id = ?2) LIMIT 1",
        )
        .doing(DOING)?;
    look.exists(params![type_id.0, IdKey::of_id(id)])
        .doing(DOING)
}
