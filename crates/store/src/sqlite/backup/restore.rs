//! A backup becomes a tenant: checked, sealed anew under a key of its own, checked again, published.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use access::{Directory, Record};
use base::{Micros, Secret, TenantName};
use fhir::definitions::FhirVersion;
use rusqlite::params;

use super::super::fault::{Doing, internal};
use super::super::folder;
use super::super::house::House;
use super::super::house::change::By;
use super::super::keyring::{Owner, TenantKeys, WRAPPED_BYTES};
use super::super::rows::{self, COLUMNS};
use super::super::seal::{ChangeLine, Digest, Sealed};
use super::super::tenant::{OpenTenant, open_reader};
use super::super::{connection, migrate, schema, verify, writer};
use super::{Header, check_file, invalid, read_header};
use crate::audit::ChangeHead;
use crate::{Result, State, TenantInfo};

/// What a backup's header says, checked.
struct Source {
    id: [u8; 16],
    keys: TenantKeys,
    header: Header,
    start: u64,
    fhir: FhirVersion,
}

impl House {
    /// Makes a tenant of a backup.
    pub(crate) fn restore(
        self: &Arc<Self>,
        by: &By,
        file: &Path,
        as_name: TenantName,
    ) -> Result<TenantInfo> {
        let source = self.open_backup(file)?;
        let id: [u8; 16] = self.shared.rng.bytes();
        let key = Secret::new(self.shared.rng.bytes());
        let info = TenantInfo {
            name: as_name,
            display: source.header.display.clone(),
            fhir: source.fhir,
            settings: source.header.settings.clone(),
            state: State::Active,
            created: Micros(source.header.created_us),
            shred_at: None,
        };
        let info = self.publish(by, "restore tenant", &id, &key, info, |dir| {
            self.fill_from(&source, file, dir, &id, &key)
        })?;
        self.note_restored(&info.name)?;
        // The file is a copy of the new tenant too.
        self.note_copy(
            by,
            &*self.entry_named(&info.name)?,
            &file.display().to_string(),
        )?;
        Ok(info)
    }

    fn open_backup(&self, file: &Path) -> Result<Source> {
        let (header, start) = read_header(&mut BufReader::new(
            File::open(file).doing("reading a backup")?,
        ))?;
        let wrong = || invalid("the backup's header is damaged");
        let id = folder::unhex::<16>(&header.id).ok_or_else(wrong)?;
        let fhir = FhirVersion::parse(&header.fhir).ok_or_else(wrong)?;
        let wrapped = folder::unhex::<WRAPPED_BYTES>(&header.wrapped_key).ok_or_else(wrong)?;
        let keys = self
            .keyring
            .read()
            .unwrap(Owner::Tenant(&id), &wrapped)
            .map(TenantKeys::derive)
            .ok_or_else(|| {
                invalid("the backup's key does not open with insula.key; a retired key can be added there as restore-only")
            })?;
        check_file(file, |_| Ok(&keys))?;
        Ok(Source {
            id,
            keys,
            header,
            start,
            fhir,
        })
    }

    fn fill_from(
        self: &Arc<Self>,
        source: &Source,
        file: &Path,
        dir: &Path,
        id: &[u8; 16],
        key: &Secret<[u8; 32]>,
    ) -> Result<()> {
        const DOING: &str = "restoring a backup";
        let path = dir.join("data.db");
        {
            use std::io::Seek;
            let mut from = File::open(file).doing(DOING)?;
            from.seek(io::SeekFrom::Start(source.start)).doing(DOING)?;
            let mut to = File::create_new(&path).doing(DOING)?;
            io::copy(&mut from.take(source.header.database_bytes), &mut to).doing(DOING)?;
        }
        let old_id = self.passing_id(&source.id, &source.header.name, source.fhir)?;
        let new_id = self.passing_id(id, &source.header.name, source.fhir)?;
        let old_keys = || TenantKeys::derive(Secret::new(*source.keys.database.expose()));
        let mut keys = old_keys();
        {
            let reader = open_reader(&path, &keys, &self.shared)?;
            let version = schema::check(&reader.db, &old_id)?;
            let stale = version < schema::VERSION || !migrate::index_is_current(&reader.db)?;
            drop(reader);
            if stale {
                keys = migrate::run(&old_id, keys, &path, &self.shared)?;
            }
        }
        let reader = open_reader(&path, &keys, &self.shared)?;
        let old = OpenTenant::assemble(&old_id, keys, &path, &self.shared, reader).map(Arc::new)?;
        if !verify::database(&old)?.ok {
            return Err(invalid("rows of the backup do not verify"));
        }
        let new_keys = || TenantKeys::derive(Secret::new(*key.expose()));
        reseal(&old, id, &new_keys())?;
        drop(old);
        let db = connection::open(&path, &source.keys.database)?;
        db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;")
            .doing(DOING)?;
        connection::key_pragma(&db, "rekey", key)?;
        db.execute_batch("PRAGMA journal_mode = WAL;")
            .doing(DOING)?;
        db.close().map_err(|(_, e)| e).doing(DOING)?;
        File::open(&path).and_then(|f| f.sync_all()).doing(DOING)?;
        let reader = open_reader(&path, &new_keys(), &self.shared)?;
        let new =
            OpenTenant::assemble(&new_id, new_keys(), &path, &self.shared, reader).map(Arc::new)?;
        if !verify::database(&new)?.ok {
            return Err(internal("a restored tenant does not verify"));
        }
        Ok(())
    }

    /// A tenant id for work on a database that is no tenant yet, vouched for by this house like any
    /// other.
    fn passing_id(&self, id: &[u8; 16], name: &str, fhir: FhirVersion) -> Result<access::TenantId> {
        let name = TenantName::new(name).map_err(|_| invalid("the backup's header is damaged"))?;
        let directory = Directory::new(&self.keys.directory);
        let record = Record::seal(&self.keys.directory, name.clone(), *id, fhir, [0; 32]);
        directory
            .admit(&record)
            .map_err(|_| internal("a record of our own"))?;
        directory
            .resolve(&name)
            .ok_or_else(|| internal("a record of our own"))
    }

    /// Tells the journal where the restored tenant's chain ends.
    fn note_restored(self: &Arc<Self>, name: &TenantName) -> Result<()> {
        let entry = self.entry_named(name)?;
        let tenant = self.open_tenant(&entry)?;
        let mut slot = tenant.writer.lock();
        let state = writer::open_state(&tenant, &mut slot)?;
        let head = ChangeHead {
            seq: base::Seq(state.seq),
            chain: state.chain,
        };
        self.shared
            .journal
            .append(&tenant.pen, &head.encode())
            .map(drop)
    }
}

/// Makes every seal and the chain of changes anew, for another tenant id and key. The old ones were
/// checked before, and are again as each row is read.
fn reseal(old: &Arc<OpenTenant>, id: &[u8; 16], keys: &TenantKeys) -> Result<()> {
    const DOING: &str = "sealing a restored tenant";
    let mut slot = old.writer.lock();
    writer::alone(old, &mut slot, |old, state| {
        let db = &state.db;
        let mut seals = db
            .prepare("UPDATE version SET seal = ?2 WHERE vid = ?1")
            .doing(DOING)?;
        let sql = format!(
            "SELECT {COLUMNS}, v.vid FROM version v JOIN resource r ON r.rid = v.rid ORDER BY v.vid"
        );
        let mut read = db.prepare(&sql).doing(DOING)?;
        let mut rows = read.query([]).doing(DOING)?;
        let mut chain = Chain {
            db,
            id,
            keys,
            last: [0; 32],
            seq: 0,
            digest: Digest::default(),
        };
        while let Some(row) = rows.next().doing(DOING)? {
            let opened = rows::read(old, db, row)?;
            let vid: i64 = row.get(12).doing(DOING)?;
            let sealed = Sealed {
                tenant: id,
                type_id: opened.stored.type_id,
                id: &opened.stored.id,
                version: opened.stored.version,
                method: opened.stored.method,
                updated: opened.stored.updated,
                actor: &opened.actor,
                seq: opened.seq,
                digest: &opened.digest,
            };
            let seal = sealed.seal(&keys.seal);
            seals.execute(params![vid, seal]).doing(DOING)?;
            chain.add(opened.seq.0, &seal)?;
        }
        chain.close()?;
        schema::set_meta(db, "tenant", id)?;
        if schema::meta::<[u8; 32]>(db, "client_secret")?.is_none() {
            schema::set_meta(db, "client_secret", old.keys.client_secret.expose())?;
        }
        Ok(())
    })
}

/// Changes as their versions are sealed anew.
struct Chain<'a> {
    db: &'a rusqlite::Connection,
    id: &'a [u8; 16],
    keys: &'a TenantKeys,
    last: [u8; 32],
    seq: u64,
    digest: Digest,
}

impl Chain<'_> {
    fn add(&mut self, seq: u64, seal: &[u8; 32]) -> Result<()> {
        if seq != self.seq {
            self.close()?;
            self.seq = seq;
        }
        self.digest.add(seal);
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        const DOING: &str = "sealing a restored tenant";
        if self.seq == 0 {
            return Ok(());
        }
        let digest = std::mem::take(&mut self.digest).value();
        let seq = i64::try_from(self.seq).unwrap_or(i64::MAX);
        let (updated, request, actor, members) = self
            .db
            .prepare_cached(
                "SELECT c.updated_us, c.request, a.text, c.members
                 FROM change c JOIN actor a ON a.id = c.actor WHERE c.seq = ?1",
            )
            .and_then(|mut s| {
                s.query_row([seq], |r| {
                    let request: [u8; 16] = r.get(1)?;
                    let actor: String = r.get(2)?;
                    Ok((Micros(r.get(0)?), request, actor, r.get::<_, i64>(3)?))
                })
            })
            .doing(DOING)?;
        let line = ChangeLine {
            tenant: self.id,
            seq: base::Seq(self.seq),
            updated,
            request: base::RequestId(u128::from_be_bytes(request)),
            actor: &actor,
            members: u64::try_from(members).unwrap_or(0),
            digest: &digest,
        };
        let chain = line.chain(&self.keys.seal, &self.last);
        self.db
            .prepare_cached("UPDATE change SET digest = ?2, chain = ?3 WHERE seq = ?1")
            .and_then(|mut s| s.execute(params![seq, digest, chain]))
            .doing(DOING)?;
        self.last = chain;
        Ok(())
    }
}
