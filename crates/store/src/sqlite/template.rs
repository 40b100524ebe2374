//! An empty database, made once in a process and copied for each new tenant.
//!
//! Making tables takes longer than writing a small file, so a new tenant's database starts as a
//! copy of the template and is re-encrypted with the tenant's own key before anyone can see it;
//! the template's key is random, lives in memory and protects nothing.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::sync::Arc;

use base::{Rng, Secret};
use fhir::definitions::FhirVersion;
use parking_lot::Mutex;

use super::fault::Doing;
use super::folder;
use super::{connection, schema};
use crate::Result;

struct Made {
    bytes: Vec<u8>,
    key: Secret<[u8; 32]>,
}

/// The templates, one per version of FHIR; made on first use.
#[derive(Default)]
pub(crate) struct Template(Mutex<HashMap<FhirVersion, Arc<Made>>>);

impl Template {
    /// Writes an empty database with this key to a path, durably but for the folder's entry.
    /// `scratch` is where the template may be made.
    pub(crate) fn instantiate(
        &self,
        version: FhirVersion,
        path: &Path,
        key: &Secret<[u8; 32]>,
        scratch: &Path,
        rng: &dyn Rng,
        claim: impl FnOnce(&rusqlite::Connection) -> Result<()>,
    ) -> Result<()> {
        const DOING: &str = "making a tenant's database";
        let template = {
            let mut made = self.0.lock();
            match made.entry(version) {
                Entry::Occupied(m) => m.get().clone(),
                Entry::Vacant(v) => v.insert(Arc::new(make(version, scratch, rng)?)).clone(),
            }
        };
        folder::private(path)?;
        std::fs::write(path, &template.bytes).doing(DOING)?;
        let db = connection::open(path, &template.key)?;
        // Nobody sees the file before it is whole, so nothing needs a journal yet.
        db.execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;")
            .doing(DOING)?;
        connection::key_pragma(&db, "rekey", key)?;
        claim(&db)?;
        db.execute_batch("PRAGMA journal_mode = WAL;")
            .doing(DOING)?;
        db.close().map_err(|(_, e)| e).doing(DOING)?;
        std::fs::File::open(path)
            .and_then(|f| f.sync_all())
            .doing(DOING)
    }
}

fn make(version: FhirVersion, scratch: &Path, rng: &dyn Rng) -> Result<Made> {
    const DOING: &str = "making the template of tenants";
    folder::make_dir(scratch)?;
    let path = scratch.join("template.db");
    let key = Secret::new(rng.bytes());
    let _ = std::fs::remove_file(&path);
    let db = connection::create(&path, &key)?;
    db.execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;")
        .doing(DOING)?;
    db.execute_batch("BEGIN").doing(DOING)?;
    schema::make(&db, version)?;
    db.execute_batch("COMMIT").doing(DOING)?;
    db.close().map_err(|(_, e)| e).doing(DOING)?;
    let bytes = std::fs::read(&path).doing(DOING)?;
    std::fs::remove_dir_all(scratch).doing(DOING)?;
    Ok(Made { bytes, key })
}
