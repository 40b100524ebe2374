//! A resource on its way in: [`Draft`] (bytes that parse) becomes [`Valid`] (checked, compact, with
//! its index rows). Only `Valid` is ever stored, and only this module makes one.
//!
//! On its way out nothing is parsed: head and body are the resource, see [`write_whole`]; only a
//! reduced [`shape`] reads it again.

use base::ResourceId;

use crate::definitions::TypeId;
use crate::search::rows::Row;
use crate::validate::Pointed;

mod admit;
pub mod mask;
pub mod shape;

pub use admit::{Admission, BodyId, Draft, resource_type};

/// A checked resource, ready to be stored.
///
/// `body` is the resource as compact JSON *without* `resourceType`, `id`, `meta.versionId` and
/// `meta.lastUpdated`, in a form that a head can be put before: see [`write_head`].
#[derive(Clone, Debug)]
pub struct Valid {
    type_id: TypeId,
    type_name: &'static str,
    id: ResourceId,
    body: String,
    rows: Vec<Row>,
    references: Vec<Pointed>,
    dangling: Option<Box<str>>,
}

impl Valid {
    /// Its type.
    pub const fn type_id(&self) -> TypeId {
        self.type_id
    }

    /// Its type's name.
    pub const fn type_name(&self) -> &'static str {
        self.type_name
    }

    /// Its id.
    pub const fn id(&self) -> &ResourceId {
        &self.id
    }

    /// What follows the head.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// Its index rows, sorted and unique.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Every literal reference to a resource of this server, for `references = enforced`.
    pub fn references(&self) -> &[Pointed] {
        &self.references
    }

    /// A reference by URN (`urn:uuid:…`), which leads nowhere outside of the Bundle that it came in.
    pub fn dangling(&self) -> Option<&str> {
        self.dangling.as_deref()
    }
}

/// Appends what stands before a stored body, so that head and body together are the resource:
///
/// ```text
/// {"resourceType":"Patient","id":"7","meta":{"versionId":"3","lastUpdated":"2026-…Z"
///                      body: ,"profile":["…"]},"active":true}        (or: },"active":true} )
/// ```
pub fn write_head(
    out: &mut Vec<u8>,
    type_name: &str,
    id: &ResourceId,
    version: base::Version,
    updated: base::Micros,
) {
    use std::io::Write;
    let _ = write!(
        out,
        "{{\"resourceType\":\"{type_name}\",\"id\":\"{id}\",\"meta\":{{\"versionId\":\"{version}\",\
         \"lastUpdated\":\"{}\"",
        updated.instant()
    );
}

/// Appends the whole resource: its head, then its stored body.
pub fn write_whole(
    out: &mut Vec<u8>,
    type_name: &str,
    id: &ResourceId,
    version: base::Version,
    updated: base::Micros,
    body: &[u8],
) {
    out.reserve(160 + body.len());
    write_head(out, type_name, id, version, updated);
    out.extend_from_slice(body);
}

#[cfg(test)]
mod tests;
