//! Which stored resources a rule of policy reaches, and which of their elements it shows.
//!
//! What a resource says by itself is looked at in memory; what depends on others is asked of the index
//! tables. Knows nothing of permits: its callers release.

use std::collections::HashMap;
use std::sync::Arc;

use access::{Rule, Way};
use base::{ResourceId, Seq};
use bytes::Bytes;
use fhir::definitions::TypeId;
use fhir::json;
use fhir::resource::mask::Mask;
use fhir::search::holds::Beholder;
use fhir::search::query::Clause;
use rusqlite::Connection;

use super::fault::damaged;
use super::{OpenTenant, rows, search};
use crate::{Method, Result, Stored};

/// Nesting that no stored resource passes, whatever limit it came in under.
const DEPTH_MAX: usize = 1_024;

/// How a resource is seen.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    /// Not at all.
    Not,
    /// Whole.
    Whole,
    /// Without these elements.
    Without(Arc<Mask>),
}

impl Seen {
    /// The resource as it is seen; `None` if it is not.
    pub(crate) fn of(self, stored: Stored) -> Result<Option<Stored>> {
        match self {
            Self::Not => Ok(None),
            Self::Whole => Ok(Some(stored)),
            Self::Without(mask) => masked(stored, &mask).map(Some),
        }
    }
}

/// A resource without the elements of a mask.
pub(crate) fn masked(mut stored: Stored, mask: &Mask) -> Result<Stored> {
    if stored.method == Method::Delete {
        return Ok(stored);
    }
    let shown = mask.hide(&stored.body);
    let shown = shown.ok_or_else(|| damaged("a stored resource cannot be read"))?;
    // Data that is kept apart has its place in the bytes.
    if let Some(mut data) = stored.data.take() {
        let document = json::parse(&shown, DEPTH_MAX);
        let document = document.map_err(|_| damaged("a stored resource cannot be read"))?;
        if let Some(value) = document.root().get("data") {
            data.at = value.span().0 + 1;
            stored.data = Some(data);
        }
    }
    stored.body = Bytes::from(shown);
    Ok(stored)
}

/// How the current version of a resource is seen, as far as it says so itself.
pub(crate) fn by_itself(tenant: &OpenTenant, rule: &Rule, stored: &Stored) -> Result<Option<Seen>> {
    if stored.method == Method::Delete {
        // What is left of it does not say whether it was in reach, nor by which way.
        return Ok(Some(match (rule.filter(), rule.hidden()) {
            (Some(_), _) => Seen::Not,
            (None, None) => Seen::Whole,
            (None, Some(mask)) => Seen::Without(Arc::new(mask.clone())),
        }));
    }
    with_beholder(tenant, stored, |eye| {
        if let Some(filter) = rule.filter() {
            match eye.holds(filter) {
                Some(true) => {}
                Some(false) => return Some(Seen::Not),
                None => return None,
            }
        }
        way(rule, |clause| eye.holds(clause)).map(Seen::by)
    })
}

/// How the resource in row `rid` is seen; `stored` is its version as of the change, which is the one
/// that the index knows then.
pub(crate) fn seen(
    tenant: &OpenTenant,
    db: &Connection,
    rule: &Rule,
    (rid, as_of): (i64, Seq),
    stored: &Stored,
) -> Result<Seen> {
    if let Some(seen) = by_itself(tenant, rule, stored)? {
        if matches!(seen, Seen::Not) {
            asked_in_vain(tenant, db, rule, stored.type_id, as_of)?;
        }
        return Ok(seen);
    }
    // What the index says of it is not what it says itself.
    if tenant.quarantine.is_misindexed(rid) {
        asked_in_vain(tenant, db, rule, stored.type_id, as_of)?;
        return Ok(Seen::Not);
    }
    as_indexed(tenant, db, rule, (rid, as_of), stored.type_id)
}

/// How the resource in row `rid` is seen, by what the index says of it.
pub(crate) fn as_indexed(
    tenant: &OpenTenant,
    db: &Connection,
    rule: &Rule,
    (rid, as_of): (i64, Seq),
    type_id: TypeId,
) -> Result<Seen> {
    if !meets_rule(tenant, db, rule, (rid, as_of), type_id)? {
        return Ok(Seen::Not);
    }
    let way = led(tenant, db, rule, (rid, as_of), type_id)?;
    Ok(Seen::by(way))
}

/// Whether the resource in row `rid` meets a clause, as a read of it is judged: by what it says itself, and
/// where that does not settle it by the index, if that is right. `good` is its current version, or, of one
/// that is kept apart, the last that carries its seal: then the index must not speak against it either.
pub(crate) fn meets_as_read(
    tenant: &OpenTenant,
    db: &Connection,
    clause: &Clause,
    (rid, as_of): (i64, Seq),
    (good, apart): (&Stored, bool),
) -> Result<bool> {
    let indexed = || meets(tenant, db, clause, good.type_id, rid, as_of);
    if apart && !indexed()? {
        return Ok(false);
    }
    match with_beholder(tenant, good, |eye| eye.holds(clause))? {
        Some(holds) => Ok(holds),
        None => Ok(!tenant.quarantine.is_misindexed(rid) && indexed()?),
    }
}

/// Asks whether a rule reaches what is not there: that is looked for as long as what is there and not
/// seen.
pub(crate) fn asked_in_vain(
    tenant: &OpenTenant,
    db: &Connection,
    rule: &Rule,
    type_id: TypeId,
    as_of: Seq,
) -> Result<()> {
    if let Some(filter) = rule.filter() {
        meets(tenant, db, filter, type_id, -1, as_of)?;
    }
    Ok(())
}

/// The first way that leads to a resource that the rule is known to reach.
pub(crate) fn led<'r>(
    tenant: &OpenTenant,
    db: &Connection,
    rule: &'r Rule,
    (rid, as_of): (i64, Seq),
    type_id: TypeId,
) -> Result<Option<&'r Way>> {
    let mut failed = None;
    let found = way(rule, |clause| {
        match meets(tenant, db, clause, type_id, rid, as_of) {
            Ok(holds) => Some(holds),
            Err(e) => {
                failed = Some(e);
                None
            }
        }
    });
    match failed {
        Some(e) => Err(e),
        None => Ok(found.flatten()),
    }
}

/// Whether a rule reaches the resource in a row.
pub(crate) fn meets_rule(
    tenant: &OpenTenant,
    db: &Connection,
    rule: &Rule,
    (rid, as_of): (i64, Seq),
    type_id: TypeId,
) -> Result<bool> {
    match rule.filter() {
        None => Ok(true),
        Some(filter) => meets(tenant, db, filter, type_id, rid, as_of),
    }
}

/// Whether only the opening of a patient leads to a resource that the rule is known to reach.
pub(crate) fn by_opening(
    tenant: &OpenTenant,
    db: &Connection,
    rule: Option<&Rule>,
    place: (i64, Seq),
    type_id: TypeId,
) -> Result<bool> {
    match rule.filter(|rule| rule.opens()) {
        None => Ok(false),
        Some(rule) => Ok(led(tenant, db, rule, place, type_id)?.is_some_and(|way| way.opened)),
    }
}

impl Seen {
    /// As a way shows it. No way: what the rule reaches has changed meanwhile.
    fn by(way: Option<&Way>) -> Self {
        match way {
            None => Self::Not,
            Some(way) => way.mask.clone().map_or(Self::Whole, Self::Without),
        }
    }
}

/// What was found of resources that older versions refer to: whether they meet a clause, which is known by
/// its place.
pub(crate) type FoundFar = HashMap<(*const Clause, TypeId, ResourceId), Option<bool>>;

/// Whether an older version of a resource may be seen by whoever sees the current one: not if it says
/// itself that it was out of reach then, nor if what it refers to is out of reach now.
pub(crate) fn was_in_reach(
    tenant: &OpenTenant,
    db: &Connection,
    rule: &Rule,
    (stored, as_of): (&Stored, Seq),
    known: &mut FoundFar,
) -> Result<bool> {
    if stored.method == Method::Delete {
        return Ok(true);
    }
    // What refers to something that is kept apart is shown only where all the rest leads to it.
    let mut unsure = false;
    let mut failed = None;
    let mut far = |type_id: TypeId, id: &ResourceId, clause: &Clause| {
        let name = (std::ptr::from_ref(clause), type_id, id.clone());
        if let Some(known) = known.get(&name) {
            unsure |= known.is_none();
            return *known;
        }
        let met = match rows::rid_of(db, type_id, id) {
            Ok(None) => Ok(Some(false)),
            // What the index says of it is not believed.
            Ok(Some(rid)) if tenant.quarantine.is_left_out(rid) => Ok(None),
            Ok(Some(rid)) => meets_there(tenant, db, clause, (type_id, rid), as_of).map(Some),
            Err(e) => Err(e),
        };
        let met = met.unwrap_or_else(|e| {
            failed = Some(e);
            None
        });
        unsure |= met.is_none();
        known.insert(name, met);
        met
    };
    let reached = with_beholder(tenant, stored, |eye| {
        let filter = rule.filter()?;
        eye.holds_beside(filter, &mut far)
    })?;
    match failed {
        Some(e) => Err(e),
        None => Ok(reached.unwrap_or(!unsure)),
    }
}

/// Whether a resource that is not deleted meets a clause.
fn meets_there(
    tenant: &OpenTenant,
    db: &Connection,
    clause: &Clause,
    (type_id, rid): (TypeId, i64),
    as_of: Seq,
) -> Result<bool> {
    Ok(search::is_there(db, (type_id, rid), as_of)?
        && meets(tenant, db, clause, type_id, rid, as_of)?)
}

/// The first way that leads to a resource, if any does; `None` if that cannot be said.
fn way(rule: &Rule, mut holds: impl FnMut(&Clause) -> Option<bool>) -> Option<Option<&Way>> {
    for way in rule.ways() {
        let leads = match &way.clause {
            None => true,
            // With one way, whatever the rule reaches is reached by it.
            Some(_) if rule.ways().len() == 1 => true,
            Some(clause) => holds(clause)?,
        };
        if leads {
            return Some(Some(way));
        }
    }
    Some(None)
}

/// Whether the resource in a row meets a clause.
pub(crate) fn meets(
    tenant: &OpenTenant,
    db: &Connection,
    clause: &Clause,
    type_id: TypeId,
    rid: i64,
    as_of: Seq,
) -> Result<bool> {
    meets_without(tenant, db, clause, type_id, (rid, &[]), as_of)
}

/// The same, where some rows are no evidence for others.
pub(crate) fn meets_without(
    tenant: &OpenTenant,
    db: &Connection,
    clause: &Clause,
    type_id: TypeId,
    (rid, apart): (i64, &[i64]),
    as_of: Seq,
) -> Result<bool> {
    let found = search::meeting(tenant, db, clause, type_id, (&[rid], apart), as_of)?;
    Ok(found.contains(&rid))
}

/// The patients whom a resource is about.
pub(crate) fn patients(tenant: &OpenTenant, stored: &Stored) -> Result<Vec<ResourceId>> {
    let Some(patient) = tenant.model.type_id("Patient") else {
        return Ok(Vec::new());
    };
    let found = with_beholder(tenant, stored, |eye| {
        Some(eye.compartments_of(tenant.model, patient, stored.type_id))
    })?;
    Ok(found.unwrap_or_default())
}

/// What the `securityContext` of a Binary refers to; of others nothing.
pub(crate) fn security_contexts(
    tenant: &OpenTenant,
    stored: &Stored,
) -> Result<Vec<(TypeId, ResourceId)>> {
    if tenant.model.type_name(stored.type_id) != "Binary" {
        return Ok(Vec::new());
    }
    let found = with_beholder(tenant, stored, |eye| Some(eye.security_contexts()))?;
    Ok(found.unwrap_or_default())
}

fn with_beholder<T>(
    tenant: &OpenTenant,
    stored: &Stored,
    look: impl FnOnce(&Beholder<'_>) -> Option<T>,
) -> Result<Option<T>> {
    let document = json::parse(&stored.body, DEPTH_MAX)
        .map_err(|_| damaged("a stored resource cannot be read"))?;
    let bases = super::extract::own_bases(tenant, &stored.body, document.root());
    let bases: Vec<&str> = bases.iter().map(String::as_str).collect();
    let eye = Beholder::new(tenant.model, stored.type_id, document.root(), &bases);
    Ok(eye.and_then(|eye| look(&eye)))
}
