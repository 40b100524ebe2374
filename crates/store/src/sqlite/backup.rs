//! Backups of one tenant: made while it serves, verified when made, checked whole before they
//! become a tenant again.
//!
//! ```text
//! "INSBAK1\n" (8) · bytes of the header (4, big-endian) · header (JSON) · database · MAC (32)
//! ```
//!
//! The header holds the tenant's id, name, display name, version of FHIR and settings, when the
//! backup was made, the bytes of the database, and the tenant's key wrapped with the house's
//! key-encryption key, as in `keys/{id}`. The database is the tenant's SQLCipher file. The MAC is
//! HMAC-SHA256 under the tenant's backup key over the SHA-256 of all before it.
//!
//! A restored tenant is a tenant of its own: it has a new id and a new key, and every seal is made
//! anew under it once the old ones were checked, so destroying one key never opens or closes the
//! other. Secrets of API clients stay good: the key that hashes them is kept inside the database.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use access::{Directory, Record};
use base::{Code, Micros, Secret, TenantName};
use fhir::definitions::FhirVersion;
use ring::hmac;
use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::fault::{Doing, damaged, internal};
use super::folder::{self, hex};
use super::house::change::By;
use super::house::{Entry, House};
use super::keyring::{Owner, TenantKeys, WRAPPED_BYTES};
use super::rows::{self, COLUMNS};
use super::seal::{ChangeLine, Digest, Sealed};
use super::tenant::{OpenTenant, open_reader};
use super::{connection, migrate, schema, verify, writer};
use crate::audit::ChangeHead;
use crate::{Result, State, StoreError, TenantInfo, TenantSettings};

const MAGIC: &[u8; 8] = b"INSBAK1\n";
/// No header is longer.
const HEADER_BYTES_MAX: u32 = 1 << 20;

#[derive(Serialize, Deserialize)]
struct Header {
    id: String,
    name: String,
    display: String,
    fhir: String,
    settings: TenantSettings,
    made: String,
    created_us: i64,
    database_bytes: u64,
    wrapped_key: String,
}

fn invalid(why: &str) -> StoreError {
    StoreError::Refused(Code::BackupInvalid, why.to_owned())
}

/// Writes a backup.
pub(crate) fn write(house: &Arc<House>, entry: &Arc<Entry>, by: &By, file: &Path) -> Result<()> {
    const DOING: &str = "writing a backup";
    let tenant = house.open_tenant(entry)?;
    let id = tenant.id.bytes();
    let scratch = house
        .folder
        .tenant(id)
        .join(format!("backup-{}", hex(&house.shared.rng.bytes::<8>())));
    folder::make_dir(&scratch)?;
    let copy = scratch.join("data.db");
    let part = file.with_extension("part");
    let done = copy_database(&tenant, &copy).and_then(|()| {
        verified_copy(&tenant, &copy)?;
        let wrapped = house.keyring.read().wrap(
            Owner::Tenant(id),
            tenant.keys.database.expose(),
            &*house.shared.rng,
        )?;
        let info = entry.info.read().clone();
        let header = Header {
            id: hex(id),
            name: info.name.as_str().to_owned(),
            display: info.display,
            fhir: info.fhir.as_str().to_owned(),
            settings: info.settings,
            made: house.shared.clock.now().instant().to_string(),
            created_us: info.created.0,
            database_bytes: std::fs::metadata(&copy).doing(DOING)?.len(),
            wrapped_key: hex(&wrapped),
        };
        assemble(&header, &copy, &part, &tenant.keys.backup)?;
        // Read back from the disk as a restore would.
        check_file(&part, |_| Ok(&tenant.keys)).map(drop)?;
        house.note_copy(by, entry, &file.display().to_string())?;
        std::fs::rename(&part, file).doing(DOING)?;
        file.parent()
            .filter(|p| !p.as_os_str().is_empty())
            .map_or(Ok(()), folder::sync_dir)
    });
    let _ = std::fs::remove_dir_all(&scratch);
    if done.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    done
}

fn copy_database(tenant: &Arc<OpenTenant>, to: &Path) -> Result<()> {
    const DOING: &str = "copying a tenant's database";
    let source = tenant.reader()?;
    let mut target = connection::create(to, &tenant.keys.database)?;
    target
        .execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;")
        .doing(DOING)?;
    {
        // One step copies one snapshot, while the tenant is read and written.
        let copy = rusqlite::backup::Backup::new(&source.db, &mut target).doing(DOING)?;
        match copy.step(-1).doing(DOING)? {
            rusqlite::backup::StepResult::Done => {}
            _ => return Err(internal("a copy did not end")),
        }
    }
    tenant.give_back(source);
    target.close().map_err(|(_, e)| e).doing(DOING)?;
    File::open(to).and_then(|f| f.sync_all()).doing(DOING)
}

/// Checks every row of the copy as a restore would.
fn verified_copy(tenant: &Arc<OpenTenant>, copy: &Path) -> Result<()> {
    let keys = TenantKeys::derive(Secret::new(*tenant.keys.database.expose()));
    let copied = open_copy(&tenant.id, keys, copy, tenant)?;
    if !verify::database(&copied)?.ok {
        return Err(damaged(
            "the tenant's rows do not verify; a backup of them would not restore",
        ));
    }
    let count = |t: &Arc<OpenTenant>| {
        let reader = t.reader()?;
        let seq = rows::last_seq(&reader.db)?;
        t.give_back(reader);
        Ok::<_, StoreError>(seq)
    };
    if count(&copied)? > count(tenant)? {
        return Err(internal("a copy holds more than its source"));
    }
    Ok(())
}

fn open_copy(
    id: &access::TenantId,
    keys: TenantKeys,
    path: &Path,
    like: &OpenTenant,
) -> Result<Arc<OpenTenant>> {
    let reader = open_reader(path, &keys, &like.shared)?;
    schema::check(&reader.db, id)?;
    OpenTenant::assemble(id, keys, path, &like.shared, reader).map(Arc::new)
}

fn assemble(header: &Header, copy: &Path, part: &Path, key: &hmac::Key) -> Result<()> {
    const DOING: &str = "writing a backup";
    let header = serde_json::to_vec(header).map_err(|_| internal("a backup's header"))?;
    let length = u32::try_from(header.len()).map_err(|_| internal("a backup's header"))?;
    let target = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(part)
        .doing(DOING)?;
    let mut out = Hashing {
        to: BufWriter::new(target),
        digest: Digest::default(),
    };
    let written = (|| {
        out.write_all(MAGIC)?;
        out.write_all(&length.to_be_bytes())?;
        out.write_all(&header)?;
        io::copy(&mut File::open(copy)?, &mut out)?;
        let mac = hmac::sign(key, &out.digest.clone().value());
        out.to.write_all(mac.as_ref())?;
        out.to.flush()?;
        out.to.get_ref().sync_all()
    })();
    written.doing(DOING)
}

struct Hashing<T> {
    to: T,
    digest: Digest,
}

impl<T: Write> Write for Hashing<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.to.write(bytes)?;
        self.digest.add(bytes.get(..n).unwrap_or_default());
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl<T: Read> Read for Hashing<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.to.read(buffer)?;
        self.digest.add(buffer.get(..n).unwrap_or_default());
        Ok(n)
    }
}

/// Reads a backup's header and checks its MAC over the whole file.
fn check_file<'k>(
    file: &Path,
    keys: impl FnOnce(&Header) -> Result<&'k TenantKeys>,
) -> Result<(Header, u64)> {
    const DOING: &str = "reading a backup";
    let file = File::open(file).doing(DOING)?;
    let size = file.metadata().doing(DOING)?.len();
    let mut from = Hashing {
        to: BufReader::new(file),
        digest: Digest::default(),
    };
    let (header, start) = read_header(&mut from)?;
    let keys = keys(&header)?;
    if start + header.database_bytes + 32 != size {
        return Err(invalid(
            "the backup is cut short or has more than it should",
        ));
    }
    let mut left = (&mut from).take(header.database_bytes);
    io::copy(&mut left, &mut io::sink()).doing(DOING)?;
    let digest = from.digest.clone().value();
    let mut mac = [0; 32];
    from.to.read_exact(&mut mac).doing(DOING)?;
    hmac::verify(&keys.backup, &digest, &mac)
        .map_err(|_| invalid("the backup was altered or is damaged"))?;
    Ok((header, start))
}

fn read_header(from: &mut impl Read) -> Result<(Header, u64)> {
    let short = |_| invalid("not a backup");
    let mut head = [0; 12];
    from.read_exact(&mut head).map_err(short)?;
    let (magic, length) = head.split_at(8);
    let length = u32::from_be_bytes(length.try_into().unwrap_or_default());
    if magic != MAGIC || length > HEADER_BYTES_MAX {
        return Err(invalid("not a backup"));
    }
    let mut text = vec![0; length as usize];
    from.read_exact(&mut text).map_err(short)?;
    let header = serde_json::from_slice(&text).map_err(|_| invalid("not a backup"))?;
    Ok((header, 12 + u64::from(length)))
}

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
