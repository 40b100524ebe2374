//! What a check of a whole tenant found.

use std::borrow::Cow;

use base::{ResourceId, Seq, Version};
use serde::Serialize;

pub use crate::journal::Tampering;

/// The result of [`crate::TenantStore::verify`].
#[derive(Clone, Debug, Default, Serialize)]
pub struct VerifyReport {
    /// Whether nothing was found.
    pub ok: bool,
    /// Version rows checked.
    pub rows: u64,
    /// Audit records checked: changes, and records of the journal.
    pub events: u64,
    /// What was found, at most [`VerifyReport::FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    /// Findings that were left out of the list.
    pub findings_more: u64,
}

impl VerifyReport {
    /// Findings kept in one report.
    pub const FINDINGS_MAX: usize = 1_000;
}

/// One thing that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What is wrong.
    pub kind: FindingKind,
    /// The resource's type, where one is concerned.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_name: Option<Cow<'static, str>>,
    /// The resource's id, where one is concerned.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "id_text")]
    pub id: Option<ResourceId>,
    /// The version, where one is concerned.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "version_number"
    )]
    pub version: Option<Version>,
    /// What was done to records of the trail, where that can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tampering: Option<Tampering>,
    /// The first record of the trail that is concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<u64>,
    /// How many records, from the first on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records: Option<u64>,
    /// The position in the change sequence, where one is concerned.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seq_number")]
    pub seq: Option<Seq>,
}

impl Finding {
    /// Something that is about nothing in particular.
    pub const fn of(kind: FindingKind) -> Self {
        Self {
            kind,
            type_name: None,
            id: None,
            version: None,
            tampering: None,
            record: None,
            records: None,
            seq: None,
        }
    }
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// A version row does not carry the seal it was written with.
    Seal,
    /// A stored body cannot be unpacked.
    Body,
    /// A version is missing from a resource's history.
    VersionMissing,
    /// The current state is not the last version.
    Current,
    /// Index rows are not those of the resource.
    Index,
    /// A change does not continue the chain, or not all its members are there.
    Change,
    /// The tenant's file ends before changes that the journal knows.
    Truncated,
    /// A record of the journal does not continue the tenant's chain, or the chain does not go where
    /// a change, or the house, knows that it went.
    Journal,
    /// A signed head of the trail is not of the records that are there, or nobody signed it.
    Head,
    /// API clients, or facts about the tenant, are not those that were last administered.
    Client,
    /// An opening or a line of the quarantine does not carry its seal, or an opening is not there any more,
    /// or is as it was before.
    List,
    /// A line of the operators' audit, whose number stands as `seq`, is not as it was written.
    Operators,
    /// A dictionary is not the one that bodies were packed with.
    Dictionary,
    /// The database engine itself reports damage.
    Database,
}

#[expect(clippy::ref_option, reason = "serde hands the field over like this")]
fn id_text<S: serde::Serializer>(id: &Option<ResourceId>, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(&id.as_ref().map_or("", ResourceId::as_str))
}

#[expect(clippy::ref_option, reason = "serde hands the field over like this")]
fn version_number<S: serde::Serializer>(v: &Option<Version>, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_u64(v.map_or(0, |v| v.0))
}

#[expect(clippy::ref_option, reason = "serde hands the field over like this")]
fn seq_number<S: serde::Serializer>(v: &Option<Seq>, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_u64(v.map_or(0, |v| v.0))
}
