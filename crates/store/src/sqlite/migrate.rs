//! Bringing a tenant's database to the schema and the index of this program.
//!
//! Steps are numbered by the version they start from, run one transaction each when the tenant is
//! opened, and are never changed once shipped. An index of another version is made anew from the
//! stored resources.

use std::path::Path;
use std::sync::Arc;

use access::{Actor, Reason, RequestMeta, TenantId};
use base::RequestId;
use rusqlite::Connection;

use super::fault::{Doing, damaged};
use super::keyring::TenantKeys;
use super::shared::Shared;
use super::tenant::{OpenTenant, open_reader};
use super::{
    administration, alerts, break_glass, extract, index, params, passkeys, people, policies,
    quarantine, registrations, rows, schema, vendors, writer,
};
use crate::Result;

type Step = fn(&Connection, &Moving<'_>) -> Result<()>;

/// What a step may need to know.
struct Moving<'a> {
    id: &'a TenantId,
    keys: &'a TenantKeys,
    shared: &'a Shared,
}

/// Step `i` leads from version `i + 1` to `i + 2`.
const STEPS: &[Step] = &[
    name_types_and_keep_compartments,
    chain_what_is_administered,
    keep_search_parameters,
    keep_data_apart,
    keep_policies,
    keep_people,
    keep_more,
    keep_what_came_with_9,
    keep_what_came_with_10,
    keep_what_came_with_11,
];

/// Resources indexed in one transaction.
const BATCH: i64 = 500;

/// Whether index rows are of this program's index version.
pub(crate) fn index_is_current(db: &Connection) -> Result<bool> {
    Ok(schema::meta::<i64>(db, "index")? == Some(i64::from(index::INDEX_VERSION)))
}

/// Brings a database up to date. The caller opens it anew afterwards.
pub(crate) fn run(
    id: &TenantId,
    keys: TenantKeys,
    path: &Path,
    shared: &Arc<Shared>,
) -> Result<TenantKeys> {
    let log_bytes_max = shared.config.limits.log_bytes_max;
    let full = crate::Synchronous::Full;
    let db = super::connection::writer(path, &keys.database, full, 4096, log_bytes_max)?;
    for version in schema::check(&db, id)?..schema::VERSION {
        let at = usize::try_from(version - 1).unwrap_or(usize::MAX);
        let step = STEPS
            .get(at)
            .ok_or_else(|| damaged("the database's schema is unknown"))?;
        db.execute_batch("BEGIN IMMEDIATE")
            .doing("changing a tenant's schema")?;
        let moving = Moving {
            id,
            keys: &keys,
            shared,
        };
        step(&db, &moving)?;
        schema::set_meta(&db, "schema", version + 1)?;
        db.execute_batch("COMMIT")
            .doing("changing a tenant's schema")?;
    }
    let stale = !index_is_current(&db)?;
    drop(db);
    if !stale {
        return Ok(keys);
    }
    let reader = open_reader(path, &keys, shared)?;
    let tenant = Arc::new(OpenTenant::assemble(id, keys, path, shared, reader)?);
    index_anew(&tenant)?;
    let tenant = Arc::into_inner(tenant).ok_or_else(|| damaged("a tenant is in use"))?;
    Ok(tenant.keys)
}

/// Makes all index rows from the stored resources. Can be interrupted and begun again.
fn index_anew(tenant: &Arc<OpenTenant>) -> Result<()> {
    const DOING: &str = "indexing a tenant anew";
    let mut slot = tenant.writer.lock();
    writer::alone(tenant, &mut slot, |_, state| {
        index::make_anew(&state.db).doing(DOING)
    })?;
    let mut after = 0i64;
    loop {
        let done = writer::alone(tenant, &mut slot, |tenant, state| {
            let mut next = state
                .db
                .prepare_cached(
                    "SELECT rid FROM resource WHERE rid > ?1 AND deleted = 0
                     ORDER BY rid LIMIT ?2",
                )
                .doing(DOING)?;
            let rids: Vec<i64> = next
                .query_map((after, BATCH), |r| r.get(0))
                .and_then(Iterator::collect)
                .doing(DOING)?;
            drop(next);
            for rid in &rids {
                let Some(opened) = rows::readable(tenant, &state.db, *rid)? else {
                    continue;
                };
                let values = extract::rows(tenant, &opened.stored)?;
                let stored = &opened.stored;
                state
                    .pending
                    .insert(
                        &state.db,
                        &tenant.vocabulary,
                        stored.type_id,
                        *rid,
                        opened.seq,
                        stored.updated,
                        &values,
                    )
                    .doing(DOING)?;
                if tenant.model.type_name(stored.type_id) == "SearchParameter" {
                    // One that cannot be served stays a resource like any other.
                    let _ = params::written(tenant, state, *rid, Some(stored));
                }
            }
            state.pending.flush(&state.db).doing(DOING)?;
            if rids.is_empty() {
                schema::set_meta(&state.db, "index", index::INDEX_VERSION)?;
            }
            Ok(rids.last().copied())
        });
        match &mut *slot {
            Some(state) if done.is_ok() => state.pending.committed(&tenant.vocabulary),
            _ => {}
        }
        match done? {
            Some(last) => after = last,
            None => return Ok(()),
        }
    }
}

/// Up to now there was no policy, and no client was governed by one.
fn keep_policies(db: &Connection, _: &Moving<'_>) -> Result<()> {
    const DOING: &str = "adding policies to a tenant's schema";
    db.execute_batch(policies::DDL).doing(DOING)?;
    db.execute_batch("ALTER TABLE client ADD COLUMN roles TEXT")
        .doing(DOING)
}

/// Up to version 6 only API clients were let in.
fn keep_people(db: &Connection, _: &Moving<'_>) -> Result<()> {
    db.execute_batch(schema::PEOPLE)
        .doing("changing a tenant's schema from version 6 to 7")
}

/// Version 7 did not keep which tokens were given back, had no quarantine, no grants to
/// vendors and no program links, and no composites among a tenant's own
/// search parameters.
fn keep_more(db: &Connection, _: &Moving<'_>) -> Result<()> {
    const DOING: &str = "changing a tenant's schema from version 7 to 8";
    db.execute_batch(schema::ENDED_TOKENS).doing(DOING)?;
    // Up to then people signed in here alone.
    db.execute_batch(schema::PROVIDERS).doing(DOING)?;
    db.execute_batch(quarantine::DDL).doing(DOING)?;
    db.execute_batch(break_glass::DDL).doing(DOING)?;
    db.execute_batch(vendors::DDL).doing(DOING)?;
    db.execute_batch("ALTER TABLE client ADD COLUMN vendor TEXT")
        .doing(DOING)?;
    // From where and why changes were made.
    db.execute_batch("ALTER TABLE change ADD COLUMN about BLOB")
        .doing(DOING)?;
    params::add_components(db)
}

/// Version 8 did not keep what certificates are to clients, which programs ask to be registered, whose the
/// tokens were that were given back; and nobody watched the trail.
fn keep_what_came_with_9(db: &Connection, moving: &Moving<'_>) -> Result<()> {
    const DOING: &str = "changing a tenant's schema from version 8 to 9";
    db.execute_batch("ALTER TABLE client ADD COLUMN certificates TEXT")
        .doing(DOING)?;
    db.execute_batch(schema::ENDED_TOKENS_CLIENT).doing(DOING)?;
    db.execute_batch(registrations::DDL).doing(DOING)?;
    db.execute_batch(alerts::DDL).doing(DOING)?;
    seal_lists(db, moving)
}

/// Version 9 kept how often passkeys were used with the people whose they are, and programs that wait for
/// approval without seals.
fn keep_what_came_with_10(db: &Connection, moving: &Moving<'_>) -> Result<()> {
    const DOING: &str = "changing a tenant's schema from version 9 to 10";
    let chain = administration::Chain {
        tenant: moving.id.bytes(),
        key: &moving.keys.seal,
    };
    db.execute_batch(passkeys::DDL).doing(DOING)?;
    db.execute_batch(registrations::SEALS).doing(DOING)?;
    registrations::reseal(db, None, chain)
}

/// Version 10 did not keep which clients an operator made, and kept what people signed in and approved without
/// seals. What is there is taken as it is.
fn keep_what_came_with_11(db: &Connection, moving: &Moving<'_>) -> Result<()> {
    const DOING: &str = "changing a tenant's schema from version 10 to 11";
    let chain = administration::Chain {
        tenant: moving.id.bytes(),
        key: &moving.keys.seal,
    };
    db.execute_batch("ALTER TABLE client ADD COLUMN made TEXT")
        .doing(DOING)?;
    for table in ["session", "approval"] {
        // Tables that this program made anew on the way here have it.
        if !has_column(db, table, "seal")? {
            db.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN seal BLOB"))
                .doing(DOING)?;
        }
    }
    people::reseal(db, chain)
}

fn has_column(db: &Connection, table: &str, column: &str) -> Result<bool> {
    db.query_row(
        "SELECT EXISTS (SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2)",
        [table, column],
        |r| r.get(0),
    )
    .doing("changing a tenant's schema")
}

/// Version 8 had openings and lines of the quarantine without seals of their own, and vouched for every
/// event of vendors whenever something was administered. What is there is taken as it is.
fn seal_lists(db: &Connection, moving: &Moving<'_>) -> Result<()> {
    const DOING: &str = "changing a tenant's schema from version 8 to 9";
    let chain = administration::Chain {
        tenant: moving.id.bytes(),
        key: &moving.keys.seal,
    };
    let held = administration::holds(db)?;
    for (table, column) in [
        ("opening", "seal"),
        ("quarantine", "seal"),
        ("vendor_event", "chain"),
    ] {
        // Tables that this program made anew on the way here have it.
        if !has_column(db, table, column)? {
            db.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN {column} BLOB"))
                .doing(DOING)?;
        }
    }
    db.execute_batch("CREATE INDEX IF NOT EXISTS vendor_event_vendor ON vendor_event (vendor)")
        .doing(DOING)?;
    break_glass::reseal(db, None, chain)?;
    quarantine::reseal(db, None, chain)?;
    let events = vendors::chain_events(db)?;
    // What vouched for the events vouches for the last of them now.
    if held && events > 0 {
        let now = moving.shared.clock.now();
        let id = RequestId(u128::from_be_bytes(moving.shared.rng.bytes()));
        let request = RequestMeta::new(id, now);
        let actor = Actor::system(Reason::Migration);
        administration::append(db, chain, request, &actor, now)?;
    }
    Ok(())
}

/// Version 4 kept the data of Binaries in their bodies alone.
fn keep_data_apart(db: &Connection, _: &Moving<'_>) -> Result<()> {
    const DOING: &str = "changing a tenant's schema from version 4 to 5";
    db.execute_batch("ALTER TABLE version ADD COLUMN blob INTEGER")
        .doing(DOING)?;
    db.execute_batch(schema::BLOBS).doing(DOING)
}

/// Version 1 had no names for its type numbers and no compartment index.
fn name_types_and_keep_compartments(db: &Connection, moving: &Moving<'_>) -> Result<()> {
    const DOING: &str = "changing a tenant's schema from version 1 to 2";
    db.execute_batch(
        "CREATE TABLE type (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
         CREATE TABLE IF NOT EXISTS ix_compartment (
           patient ANY NOT NULL, type INTEGER NOT NULL, low INTEGER NOT NULL,
           high INTEGER NOT NULL, rid INTEGER NOT NULL, from_seq INTEGER NOT NULL,
           until_seq INTEGER NOT NULL,
           PRIMARY KEY (patient, type, low, high, rid, from_seq)) STRICT, WITHOUT ROWID;
         CREATE INDEX IF NOT EXISTS ix_compartment_closed ON ix_compartment (until_seq)
           WHERE until_seq > 0;",
    )
    .doing(DOING)?;
    schema::name_types(db, moving.id.fhir())?;
    // Made anew below, from the stored resources.
    for table in index::Table::ALL {
        db.execute_batch(&format!("DELETE FROM {}", table.name()))
            .doing(DOING)?;
    }
    schema::set_meta(db, "index", 0)
}

/// Up to version 2 nothing vouched for API clients, and changes did not say where the journal stood.
/// The clients that are there are taken as they are.
fn chain_what_is_administered(db: &Connection, moving: &Moving<'_>) -> Result<()> {
    db.execute_batch(
        "ALTER TABLE change ADD COLUMN journal BLOB;
         CREATE INDEX change_administered ON change (seq) WHERE members = 0;
         ALTER TABLE client ADD COLUMN opened_us INTEGER;
         ALTER TABLE client ADD COLUMN until_us INTEGER;",
    )
    .doing("changing a tenant's schema from version 2 to 3")?;
    let now = moving.shared.clock.now();
    let id = RequestId(u128::from_be_bytes(moving.shared.rng.bytes()));
    let request = RequestMeta::new(id, now);
    let chain = administration::Chain {
        tenant: moving.id.bytes(),
        key: &moving.keys.seal,
    };
    let actor = Actor::system(Reason::Migration);
    administration::append(db, chain, request, &actor, now).map(drop)
}

/// Up to version 3 there was no table of a tenant's own search parameters. Those that it holds as
/// resources are taken in whenever its index is made anew.
fn keep_search_parameters(db: &Connection, _: &Moving<'_>) -> Result<()> {
    db.execute_batch(params::DDL)
        .doing("changing a tenant's schema from version 3 to 4")
}
