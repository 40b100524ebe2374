//! The tables of a tenant, except those of the index, and the steps from one version of the schema
//! to the next.
//!
//! | table | one row for | written |
//! |---|---|---|
//! | `meta` | a fact about the file: `tenant`, `schema`, `index`, `fhir` | at creation, by steps |
//! | `type` | a resource type: the name behind a number | at creation |
//! | `resource` | a resource that ever was; `rid` grows and stays | each write |
//! | `version` | a version; `vid` grows | appended, never changed |
//! | `change` | a commit request that was carried out; without versions: what is administered changed | appended, never changed |
//! | `actor` | a name that versions and changes refer to | appended |
//! | `blob` | data of a Binary that is kept apart from its resource | appended |
//! | `chunk` | a piece of a blob; its number is the blob's · 2^20 + its place | appended |
//! | `dictionary` | a dictionary that bodies are packed with | appended |
//! | `client` | an API client; with `until_us` a way in for bulk loading | by administration |
//! | `policy` | a policy that was put into force; the newest is | by administration |
//! | `program` | how a client takes part in sign-ins of people: its `record`, JSON | by administration |
//! | `person` | a person who may sign in: the `record`, JSON, with what they prove themselves with | by administration |
//! | `passkey_use` | a passkey that was used: how often, under a seal of its own | at sign-in |
//! | `signing_key` | a pair of keys that signs identity tokens | by administration |
//! | `identity_provider` | where people may sign in instead of here: its `record`, JSON | by administration |
//! | `session` | a session of a person's browser: its `record`, JSON | at sign-in, by use, at its end |
//! | `approval` | what a person approved a program for: its `record`, JSON | at approval, with each refresh, at its end |
//! | `vendor` | a grant to a vendor: its `record`, JSON | by administration |
//! | `vendor_event` | something that was done to such a grant: who, why, the state before and after | appended |
//! | `program_link` | a program that is opened from within a record: its `record`, JSON | by administration |
//! | `quarantine` | something about a resource that is not as it was written, and what was decided | by the background check, by decisions |
//! | `scrub` | how far the background check is | by it |
//! | `opening` | a patient whom somebody opened in an emergency: its `record`, JSON | at the opening, at its end, by the review |
//! | `registration` | a program that asked to be registered and waits for approval | when it asks, when it is decided about |
//! | `alert` | an access that somebody should look at: its `record`, JSON, and who was told | by the watch over the trail, when something is said about it |
//! | `watched` | what is usual for somebody, and how far the watch got | by it |
//! | `alert_rules` | rules by which alerts are raised; the newest are in force | by administration |
//! | `search_param` | a search parameter of the tenant's own | with the `SearchParameter` |
//!
//! An id that is a lower-case UUID is held as its 16 bytes, any other as text.

use access::TenantId;
use fhir::definitions::{FhirVersion, Model};
use rusqlite::{Connection, OptionalExtension, params};

use super::fault::{Doing, damaged};
use super::seal::sha256;
use super::{
    alerts, break_glass, codec, index, params as own_params, passkeys, policies, quarantine,
    registrations, vendors,
};
use crate::Result;

/// The version of the schema that this program writes.
pub(crate) const VERSION: i64 = 11;

const DDL: &str = "
CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE type (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
CREATE TABLE actor (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE resource (
  rid INTEGER PRIMARY KEY, type INTEGER NOT NULL, id ANY NOT NULL,
  version INTEGER NOT NULL, deleted INTEGER NOT NULL, vid INTEGER NOT NULL,
  UNIQUE (type, id)) STRICT;
CREATE TABLE version (
  vid INTEGER PRIMARY KEY, rid INTEGER NOT NULL, type INTEGER NOT NULL,
  version INTEGER NOT NULL, seq INTEGER NOT NULL, method INTEGER NOT NULL,
  updated_us INTEGER NOT NULL, actor INTEGER NOT NULL, dict INTEGER NOT NULL,
  size INTEGER NOT NULL, seal BLOB NOT NULL, body BLOB NOT NULL, blob INTEGER) STRICT;
CREATE UNIQUE INDEX version_rid ON version (rid, version);
CREATE INDEX version_type ON version (type);
CREATE TABLE change (
  seq INTEGER PRIMARY KEY, updated_us INTEGER NOT NULL, request BLOB NOT NULL,
  actor INTEGER NOT NULL, members INTEGER NOT NULL, digest BLOB NOT NULL,
  chain BLOB NOT NULL, journal BLOB, about BLOB) STRICT;
CREATE INDEX change_administered ON change (seq) WHERE members = 0;
CREATE TABLE dictionary (id INTEGER PRIMARY KEY, digest BLOB NOT NULL, bytes BLOB NOT NULL) STRICT;
CREATE TABLE client (
  id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL, scopes TEXT NOT NULL,
  secret_hash BLOB NOT NULL, jwks TEXT, epoch INTEGER NOT NULL, revoked INTEGER NOT NULL,
  opened_us INTEGER, until_us INTEGER, roles TEXT, vendor TEXT, certificates TEXT, made TEXT
) STRICT, WITHOUT ROWID;
";

/// Data of Binaries.
pub(crate) const BLOBS: &str = "
CREATE TABLE blob (
  bid INTEGER PRIMARY KEY AUTOINCREMENT, size INTEGER NOT NULL, at INTEGER NOT NULL,
  staged INTEGER NOT NULL) STRICT;
CREATE INDEX blob_staged ON blob (staged) WHERE staged <> 0;
CREATE TABLE chunk (cid INTEGER PRIMARY KEY, mac BLOB NOT NULL, bytes BLOB NOT NULL) STRICT;
";

/// People, and what they sign in and approve.
pub(crate) const PEOPLE: &str = "
CREATE TABLE program (client TEXT NOT NULL PRIMARY KEY, record TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE person (
  id TEXT NOT NULL PRIMARY KEY, login TEXT NOT NULL UNIQUE, record TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE signing_key (
  kid TEXT NOT NULL PRIMARY KEY, alg TEXT NOT NULL, pair BLOB NOT NULL, public TEXT NOT NULL,
  made_us INTEGER NOT NULL, retired_us INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE session (
  id TEXT NOT NULL PRIMARY KEY, until_us INTEGER NOT NULL, record TEXT NOT NULL, seal BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX session_until ON session (until_us);
CREATE TABLE approval (
  id TEXT NOT NULL PRIMARY KEY, until_us INTEGER NOT NULL, record TEXT NOT NULL, seal BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX approval_until ON approval (until_us);
";

/// Where people may sign in instead of here.
pub(crate) const PROVIDERS: &str = "
CREATE TABLE identity_provider (
  id TEXT NOT NULL PRIMARY KEY, record TEXT NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Access tokens of programs that were taken back before they ended.
pub(crate) const ENDED_TOKENS: &str = "
CREATE TABLE ended_token (
  id BLOB NOT NULL PRIMARY KEY, until_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Whose they were.
pub(crate) const ENDED_TOKENS_CLIENT: &str = "ALTER TABLE ended_token ADD COLUMN client TEXT";

/// Makes all tables in an empty database.
pub(crate) fn make(db: &Connection, version: FhirVersion) -> Result<()> {
    const DOING: &str = "making the tables of a tenant";
    db.execute_batch(DDL).doing(DOING)?;
    db.execute_batch(BLOBS).doing(DOING)?;
    db.execute_batch(policies::DDL).doing(DOING)?;
    db.execute_batch(PEOPLE).doing(DOING)?;
    db.execute_batch(vendors::DDL).doing(DOING)?;
    db.execute_batch(PROVIDERS).doing(DOING)?;
    db.execute_batch(quarantine::DDL).doing(DOING)?;
    db.execute_batch(break_glass::DDL).doing(DOING)?;
    db.execute_batch(alerts::DDL).doing(DOING)?;
    db.execute_batch(ENDED_TOKENS).doing(DOING)?;
    db.execute_batch(ENDED_TOKENS_CLIENT).doing(DOING)?;
    db.execute_batch(registrations::DDL).doing(DOING)?;
    db.execute_batch(registrations::SEALS).doing(DOING)?;
    db.execute_batch(passkeys::DDL).doing(DOING)?;
    index::make(db).doing(DOING)?;
    db.execute_batch(own_params::DDL).doing(DOING)?;
    set_meta(db, "schema", VERSION)?;
    set_meta(db, "index", index::INDEX_VERSION)?;
    name_types(db, version)?;
    let dict = codec::newest(version);
    let bytes = codec::shipped(dict).unwrap_or_default();
    db.execute(
        "INSERT INTO dictionary (id, digest, bytes) VALUES (?1,?2,?3)",
        params![dict, sha256(bytes), bytes],
    )
    .doing(DOING)
    .map(drop)
}

/// Writes the names of a version's types, so that the file explains itself.
pub(crate) fn name_types(db: &Connection, version: FhirVersion) -> Result<()> {
    const DOING: &str = "writing the names of types";
    let model = Model::of(version);
    let mut name = db
        .prepare("INSERT INTO type (id, name) VALUES (?1,?2)")
        .doing(DOING)?;
    for id in model.types() {
        name.execute(params![id.0, model.type_name(id)])
            .doing(DOING)?;
    }
    Ok(())
}

/// Sets a fact about the file.
pub(crate) fn set_meta(db: &Connection, key: &str, value: impl rusqlite::ToSql) -> Result<()> {
    db.prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1,?2)")
        .and_then(|mut s| s.execute(params![key, value]))
        .doing("writing about a tenant")
        .map(drop)
}

/// A fact about the file.
pub(crate) fn meta<T: rusqlite::types::FromSql>(db: &Connection, key: &str) -> Result<Option<T>> {
    db.query_row("SELECT value FROM meta WHERE key = ?1", [key], |r| r.get(0))
        .optional()
        .doing("reading about a tenant")
}

/// Writes whose database it is.
pub(crate) fn claim(db: &Connection, id: &[u8; 16], fhir: &str) -> Result<()> {
    set_meta(db, "tenant", id)?;
    set_meta(db, "fhir", fhir)
}

/// Checks that the database is this tenant's and its schema is known; the schema's version.
pub(crate) fn check(db: &Connection, tenant: &TenantId) -> Result<i64> {
    if meta::<[u8; 16]>(db, "tenant")?.as_ref() != Some(tenant.bytes()) {
        return Err(damaged("the database is another tenant's"));
    }
    match meta::<i64>(db, "schema")? {
        Some(v) if (1..=VERSION).contains(&v) => Ok(v),
        Some(_) => Err(damaged(
            "the database was written by a newer version of Insula",
        )),
        None => Err(damaged("the database has no schema")),
    }
}
