//! Version rows on their way out: found, unpacked, their seal checked, made whole.
//!
//! A row whose seal is broken is never served: whoever meets one is told so, and it is remembered for
//! the quarantine. Knows nothing of permits; what it returns has not left yet.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use base::ids::uuid_text;
use base::{Code, Micros, ResourceId, Seq, Version};
use bytes::Bytes;
use fhir::definitions::TypeId;
use fhir::resource::write_head;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row};

use super::blob;
use super::cache::Ticket;
use super::fault::{Doing, broken};
use super::index::IdKey;
use super::seal::{Sealed, method_of, sha256};
use super::tenant::OpenTenant;
use crate::{Method, Result, Stored};

/// The columns of [`read`], of `resource r` and `version v`.
pub(crate) const COLUMNS: &str = "r.rid, r.type, r.id, v.version, v.seq, v.method, v.updated_us, \
     v.actor, v.dict, v.size, v.seal, v.body, v.blob";

/// A version with what was needed to check it.
pub(crate) struct Opened {
    pub(crate) rid: i64,
    pub(crate) seq: Seq,
    pub(crate) actor: Arc<str>,
    /// SHA-256 of the stored part of the body, and of what it says of data kept apart.
    pub(crate) digest: [u8; 32],
    pub(crate) stored: Stored,
}

/// What is wrong with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It does not carry the seal it was written with.
    Seal,
    /// Its body cannot be unpacked.
    Body,
}

/// Reads [`COLUMNS`]; a broken row is an error.
pub(crate) fn read(tenant: &OpenTenant, db: &Connection, row: &Row<'_>) -> Result<Opened> {
    open(tenant, db, row)?.map_err(|why| {
        if let Ok(rid) = row.get(0) {
            tenant.quarantine.suspect(rid);
        }
        broken(match why {
            Broken::Seal => "a stored version does not carry its seal",
            Broken::Body => "a stored body cannot be unpacked",
        })
    })
}

/// Reads [`COLUMNS`], unpacks the body and checks the seal.
pub(crate) fn open(
    tenant: &OpenTenant,
    db: &Connection,
    row: &Row<'_>,
) -> Result<std::result::Result<Opened, Broken>> {
    let Some(columns) = Columns::read(row) else {
        return Ok(Err(Broken::Seal));
    };
    let Columns {
        rid,
        type_id,
        id,
        version,
        seq,
        method,
        updated,
        actor,
        dict,
        size,
    } = columns;
    let actor = match tenant.actor(db, actor) {
        Ok(actor) => actor,
        Err(e) if e.code() == Code::TenantDamaged => return Ok(Err(Broken::Seal)),
        Err(e) => return Err(e),
    };
    const DOING: &str = "reading a version";
    let seal = row.get_ref(10).doing(DOING)?.as_blob().unwrap_or_default();
    let packed = row.get_ref(11).doing(DOING)?.as_blob().unwrap_or_default();
    let mut body = Vec::new();
    let mut head = 0;
    if method != Method::Delete {
        body.reserve_exact(size.min(1 << 20) + 192);
        write_head(
            &mut body,
            tenant.model.type_name(type_id),
            &id,
            version,
            updated,
        );
        head = body.len();
        if tenant
            .shared
            .codec
            .unpack(dict, packed, size, &mut body)
            .is_err()
        {
            return Ok(Err(Broken::Body));
        }
    }
    let mut digest = sha256(body.get(head..).unwrap_or_default());
    let data = match row.get::<_, Option<i64>>(12).doing(DOING)? {
        None => None,
        Some(number) => match blob::find(db, number, head)? {
            None => return Ok(Err(Broken::Body)),
            Some(data) => {
                digest = blob::digest_with(&digest, number, data.size, data.at - head);
                Some(data)
            }
        },
    };
    let sealed = Sealed {
        tenant: tenant.id.bytes(),
        type_id,
        id: &id,
        version,
        method,
        updated,
        actor: &actor,
        seq,
        digest: &digest,
    };
    if !sealed.holds(&tenant.keys.seal, seal) {
        return Ok(Err(Broken::Seal));
    }
    let stored = Stored {
        type_id,
        id,
        version,
        updated,
        method,
        body: Bytes::from(body),
        data,
    };
    Ok(Ok(Opened {
        rid,
        seq,
        actor,
        digest,
        stored,
    }))
}

/// The content of a version as it lies there, whatever its seal says; nothing where it cannot be
/// unpacked, or its data is kept apart. Only for whoever decides about it.
pub(crate) fn unsealed(
    tenant: &OpenTenant,
    db: &Connection,
    rid: i64,
    version: Version,
) -> Result<Option<Stored>> {
    const DOING: &str = "reading a version in quarantine";
    let sql = format!(
        "SELECT {COLUMNS} FROM version v JOIN resource r ON r.rid = v.rid
         WHERE v.rid = ?1 AND v.version = ?2"
    );
    let mut statement = db.prepare(&sql).doing(DOING)?;
    let mut rows = statement
        .query((rid, i64::try_from(version.0).unwrap_or(i64::MAX)))
        .doing(DOING)?;
    let Some(row) = rows.next().doing(DOING)? else {
        return Ok(None);
    };
    let Some(columns) = Columns::read(row) else {
        return Ok(None);
    };
    if columns.method == Method::Delete || row.get::<_, Option<i64>>(12).doing(DOING)?.is_some() {
        return Ok(None);
    }
    let packed = row.get_ref(11).doing(DOING)?.as_blob().unwrap_or_default();
    let mut body = Vec::new();
    let name = tenant.model.type_name(columns.type_id);
    let (id, updated) = (columns.id, columns.updated);
    write_head(&mut body, name, &id, columns.version, updated);
    let codec = &tenant.shared.codec;
    if codec
        .unpack(columns.dict, packed, columns.size, &mut body)
        .is_err()
    {
        return Ok(None);
    }
    Ok(Some(Stored {
        type_id: columns.type_id,
        id,
        version: columns.version,
        updated,
        method: columns.method,
        body: Bytes::from(body),
        data: None,
    }))
}

/// The newest version of a resource that carries its seal, which may be a deletion.
pub(crate) fn last_good(tenant: &OpenTenant, db: &Connection, rid: i64) -> Result<Option<Opened>> {
    const DOING: &str = "looking for a version that carries its seal";
    let sql = format!(
        "SELECT {COLUMNS} FROM version v JOIN resource r ON r.rid = v.rid
         WHERE v.rid = ?1 ORDER BY v.version DESC"
    );
    let mut statement = db.prepare_cached(&sql).doing(DOING)?;
    let mut rows = statement.query([rid]).doing(DOING)?;
    while let Some(row) = rows.next().doing(DOING)? {
        if let Ok(opened) = open(tenant, db, row)? {
            return Ok(Some(opened));
        }
    }
    Ok(None)
}

/// The columns that need no key.
struct Columns {
    rid: i64,
    type_id: TypeId,
    id: ResourceId,
    version: Version,
    seq: Seq,
    method: Method,
    updated: Micros,
    actor: i64,
    dict: u32,
    size: usize,
}

impl Columns {
    /// `None` if they hold what is never written.
    fn read(row: &Row<'_>) -> Option<Self> {
        let number = |i: usize| row.get::<_, i64>(i).ok();
        Some(Self {
            rid: number(0)?,
            type_id: TypeId(u16::try_from(number(1)?).ok()?),
            id: id_of(row.get_ref(2).ok()?)?,
            version: Version(u64::try_from(number(3)?).ok()?),
            seq: Seq(u64::try_from(number(4)?).ok()?),
            method: method_of(number(5)?)?,
            updated: Micros(number(6)?),
            actor: number(7)?,
            dict: u32::try_from(number(8)?).ok()?,
            size: usize::try_from(number(9)?).ok()?,
        })
    }
}

/// An id as tables hold it.
pub(crate) fn id_of(value: ValueRef<'_>) -> Option<ResourceId> {
    match value {
        ValueRef::Blob(b) => ResourceId::new(&uuid_text(b.try_into().ok()?)).ok(),
        ValueRef::Text(t) => ResourceId::new(std::str::from_utf8(t).ok()?).ok(),
        _ => None,
    }
}

/// Runs a statement of [`COLUMNS`] that gives at most one row.
fn one(
    tenant: &OpenTenant,
    db: &Connection,
    rest: &str,
    params: impl rusqlite::Params,
) -> Result<Option<Opened>> {
    const DOING: &str = "reading a version";
    let sql = format!("SELECT {COLUMNS} FROM {rest}");
    let mut statement = db.prepare_cached(&sql).doing(DOING)?;
    let mut rows = statement.query(params).doing(DOING)?;
    match rows.next().doing(DOING)? {
        Some(row) => read(tenant, db, row).map(Some),
        None => Ok(None),
    }
}

/// The current version of a resource, which may be a deletion.
pub(crate) fn current(
    tenant: &OpenTenant,
    db: &Connection,
    type_id: TypeId,
    id: &ResourceId,
) -> Result<Option<Opened>> {
    one(
        tenant,
        db,
        "resource r JOIN version v ON v.vid = r.vid WHERE r.type = ?1 AND r.id = ?2",
        (type_id.0, IdKey::of_id(id)),
    )
}

/// The current version of the resource `rid`.
pub(crate) fn current_of(tenant: &OpenTenant, db: &Connection, rid: i64) -> Result<Option<Opened>> {
    one(
        tenant,
        db,
        "resource r JOIN version v ON v.vid = r.vid WHERE r.rid = ?1",
        [rid],
    )
}

/// The same, of a row that carries its seal: for work on all rows, which one that does not must not
/// hold up.
pub(crate) fn readable(tenant: &OpenTenant, db: &Connection, rid: i64) -> Result<Option<Opened>> {
    match current_of(tenant, db, rid) {
        Err(e) if e.code() == Code::ResourceQuarantined => Ok(None),
        other => other,
    }
}

/// A version of a resource.
pub(crate) fn version(
    tenant: &OpenTenant,
    db: &Connection,
    type_id: TypeId,
    id: &ResourceId,
    version: Version,
) -> Result<Option<Opened>> {
    let Ok(version) = i64::try_from(version.0) else {
        return Ok(None);
    };
    one(
        tenant,
        db,
        "resource r JOIN version v ON v.rid = r.rid
         WHERE r.type = ?1 AND r.id = ?2 AND v.version = ?3",
        (type_id.0, IdKey::of_id(id), version),
    )
}

/// The version of a row of `version`.
pub(crate) fn at(tenant: &OpenTenant, db: &Connection, vid: i64) -> Result<Option<Opened>> {
    one(
        tenant,
        db,
        "version v JOIN resource r ON r.rid = v.rid WHERE v.vid = ?1",
        [vid],
    )
}

/// A version of the resource `rid`.
pub(crate) fn older(
    tenant: &OpenTenant,
    db: &Connection,
    rid: i64,
    version: i64,
) -> Result<Option<Stored>> {
    let found = one(
        tenant,
        db,
        "version v JOIN resource r ON r.rid = v.rid WHERE v.rid = ?1 AND v.version = ?2",
        (rid, version),
    )?;
    Ok(found.map(|opened| opened.stored))
}

/// What the row `rid` was as of a point of the change sequence; a deletion counts as a version.
/// Takes the body from the cache of current versions where it can.
pub(crate) fn as_of(
    tenant: &Arc<OpenTenant>,
    db: &Connection,
    rid: i64,
    seq: Seq,
    ticket: Ticket,
) -> Result<Option<Stored>> {
    const DOING: &str = "reading a version";
    tenant.quarantine.must_be_readable(rid)?;
    let shared = &tenant.shared;
    // Every change up to that point is known to the cache, so what it holds and is not younger is
    // what was current then.
    if tenant.marked.load(Ordering::Acquire) >= seq.0
        && let Some(hit) = shared.cache.of_row(&tenant.id, rid)
        && hit.seq <= seq
    {
        shared.metrics.cache_hits.add(1);
        return Ok(Some(hit.stored));
    }
    let current: Option<i64> = db
        .prepare_cached("SELECT version FROM resource WHERE rid = ?1")
        .and_then(|mut s| s.query_row([rid], |r| r.get(0)).optional())
        .doing(DOING)?;
    let Some(current) = current else {
        return Ok(None);
    };
    shared.metrics.cache_misses.add(1);
    let opened = one(
        tenant,
        db,
        "version v JOIN resource r ON r.rid = v.rid
         WHERE v.rid = ?1 AND v.seq <= ?2 ORDER BY v.version DESC LIMIT 1",
        (rid, i64::try_from(seq.0).unwrap_or(i64::MAX)),
    )?;
    let Some(opened) = opened else {
        return Ok(None);
    };
    if i64::try_from(opened.stored.version.0) == Ok(current) {
        shared.cache.put(
            &tenant.id,
            (Some(rid), &opened.stored),
            opened.seq,
            ticket,
            &shared.metrics,
        );
    }
    Ok(Some(opened.stored))
}

/// The row of a resource that ever was.
pub(crate) fn rid_of(db: &Connection, type_id: TypeId, id: &ResourceId) -> Result<Option<i64>> {
    db.prepare_cached("SELECT rid FROM resource WHERE type = ?1 AND id = ?2")
        .and_then(|mut s| {
            s.query_row((type_id.0, IdKey::of_id(id)), |r| r.get(0))
                .optional()
        })
        .doing("looking a resource up")
}

/// The number of the current version of the row `rid`, as the row itself says.
pub(crate) fn version_number(db: &Connection, rid: i64) -> Result<i64> {
    db.query_row("SELECT version FROM resource WHERE rid = ?1", [rid], |r| {
        r.get(0)
    })
    .optional()
    .doing("looking a resource up")
    .map(Option::unwrap_or_default)
}

/// Type and id of the row `rid`.
pub(crate) fn name_of(db: &Connection, rid: i64) -> Result<Option<(TypeId, ResourceId)>> {
    db.prepare_cached("SELECT type, id FROM resource WHERE rid = ?1")
        .and_then(|mut s| {
            s.query_row([rid], |r| Ok((TypeId(r.get(0)?), id_of(r.get_ref(1)?))))
                .optional()
        })
        .doing("looking a resource up")
        .map(|found| found.and_then(|(type_id, id)| Some((type_id, id?))))
}

/// The last change in this snapshot.
pub(crate) fn last_seq(db: &Connection) -> Result<Seq> {
    db.prepare_cached("SELECT coalesce(max(seq), 0) FROM change")
        .and_then(|mut s| s.query_row([], |r| r.get::<_, i64>(0)))
        .map(|n| Seq(u64::try_from(n).unwrap_or(0)))
        .doing("reading the change sequence")
}
