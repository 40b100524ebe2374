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

mod restore;

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use base::{Code, Secret};
use ring::hmac;
use serde::{Deserialize, Serialize};

use super::fault::{Doing, damaged, internal};
use super::folder::{self, hex};
use super::house::change::By;
use super::house::{Entry, House};
use super::keyring::{Owner, TenantKeys};
use super::rows;
use super::seal::Digest;
use super::tenant::{OpenTenant, open_reader};
use super::{connection, quarantine, schema, verify};
use crate::{Finding, FindingKind, Result, StoreError, TenantSettings};

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
    /// What in it is not as it was written, and is kept apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    quarantined: Vec<Apart>,
}

/// A row that is not as it was written, and waits in the quarantine, or was decided there and left as it
/// lies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Apart {
    #[serde(rename = "type")]
    type_name: String,
    id: String,
    version: u64,
    kind: String,
}

impl Apart {
    /// What a finding is about; none where it is about no row that can be kept apart.
    fn of(finding: &Finding) -> Option<Self> {
        let kept = matches!(
            finding.kind,
            FindingKind::Seal | FindingKind::Body | FindingKind::Current | FindingKind::Index
        );
        kept.then_some(())?;
        Some(Self {
            type_name: finding.type_name.as_deref()?.to_owned(),
            id: finding.id.as_ref()?.as_str().to_owned(),
            version: finding.version.map_or(0, |v| v.0),
            kind: quarantine::word(finding.kind).to_owned(),
        })
    }
}

/// What is not as it was written in a database, each of it in its quarantine; or what is not there yet.
enum Checked {
    Apart(Vec<Apart>),
    Unknown(Vec<Apart>),
}

/// Checks a database whole.
///
/// # Errors
/// `tenant-damaged` where something else is wrong than rows that can be kept apart.
fn checked(tenant: &Arc<OpenTenant>, why: &'static str) -> Result<Checked> {
    let report = verify::database(tenant)?;
    if report.findings_more > 0 {
        return Err(damaged(why));
    }
    let all: Option<Vec<Apart>> = report.findings.iter().map(Apart::of).collect();
    let mut all = all.ok_or_else(|| damaged(why))?;
    all.sort();
    all.dedup();
    if all.is_empty() {
        return Ok(Checked::Apart(all));
    }
    let reader = tenant.reader()?;
    let lines = quarantine::list(
        &reader.db,
        tenant.model,
        (false, usize::MAX),
        tenant.chain(),
    );
    tenant.give_back(reader);
    let lines = lines?;
    let covers = |apart: &&Apart| {
        !lines.iter().any(|line| {
            let place = line.version.0 == apart.version
                || matches!(line.kind, FindingKind::Current | FindingKind::Index);
            line.type_name == apart.type_name
                && line.id.as_str() == apart.id
                && quarantine::word(line.kind) == apart.kind
                && place
        })
    };
    let unknown: Vec<Apart> = all.iter().filter(covers).cloned().collect();
    Ok(match unknown.is_empty() {
        true => Checked::Apart(all),
        false => Checked::Unknown(unknown),
    })
}

fn invalid(why: &str) -> StoreError {
    StoreError::Refused(Code::BackupInvalid, why.to_owned())
}

/// Records that a backup was made.
type Noted<'a> = &'a dyn Fn(&OpenTenant) -> Result<()>;

/// Writes a backup; how many rows in it are not as they were written and are kept apart. It gets its name when it
/// is whole and `noted`.
pub(crate) fn write(
    house: &Arc<House>,
    entry: &Arc<Entry>,
    (by, noted): (&By, Noted<'_>),
    file: &Path,
) -> Result<u64> {
    const DOING: &str = "writing a backup";
    let tenant = house.open_tenant(entry)?;
    let id = tenant.id.bytes();
    let scratch = house
        .folder
        .tenant(id)
        .join(format!("backup-{}", hex(&house.shared.rng.bytes::<8>())));
    folder::make_dir(&scratch)?;
    let copy = scratch.join("data.db");
    // A name of its own: two backups made at the same time must never share a file.
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let random = hex(&house.shared.rng.bytes::<8>());
    let part = file.with_file_name(format!(".{name}.{random}.part"));
    // Where nothing can be written nothing is copied for it.
    folder::write_new(&part, b"").inspect_err(|_| {
        let _ = std::fs::remove_dir_all(&scratch);
    })?;
    let done = verified_copy(house, &tenant, &copy).and_then(|quarantined| {
        let count = quarantined.len() as u64;
        if count > 0 {
            tracing::error!(
                tenant = %tenant.id.name(), rows = count,
                "the backup holds rows that are not as they were written; they stay kept apart where it is restored"
            );
        }
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
            quarantined,
        };
        assemble(&header, &copy, &part, &tenant.keys.backup)?;
        // Read back from the disk as a restore would.
        check_file(&part, |_| Ok(&tenant.keys)).map(drop)?;
        let place = std::path::absolute(file).doing(DOING)?;
        house.note_copy(by, entry, &place.display().to_string())?;
        noted(&tenant)?;
        give_name(&part, file).doing(DOING)?;
        file.parent()
            .filter(|p| !p.as_os_str().is_empty())
            .map_or(Ok(()), folder::sync_dir)?;
        Ok(count)
    });
    let _ = std::fs::remove_dir_all(&scratch);
    if done.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    done
}

/// Gives a finished backup its name, unless another one took it meanwhile.
fn give_name(part: &Path, file: &Path) -> io::Result<()> {
    match std::fs::hard_link(part, file) {
        Ok(()) => std::fs::remove_file(part),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err(e),
        // A file system without hard links.
        Err(_) => std::fs::rename(part, file),
    }
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

/// Copies the database and checks every row of the copy as a restore would. What is found to be wrong and
/// was not known is put into quarantine, and then it is copied once more.
fn verified_copy(house: &Arc<House>, tenant: &Arc<OpenTenant>, copy: &Path) -> Result<Vec<Apart>> {
    const WHY: &str = "the tenant's rows do not verify; a backup of them would not restore";
    for last in [false, true] {
        copy_database(tenant, copy)?;
        let keys = TenantKeys::derive(Secret::new(*tenant.keys.database.expose()));
        let copied = open_copy(&tenant.id, keys, copy, tenant)?;
        let count = |t: &Arc<OpenTenant>| {
            let reader = t.reader()?;
            let seq = rows::last_seq(&reader.db)?;
            t.give_back(reader);
            Ok::<_, StoreError>(seq)
        };
        if count(&copied)? > count(tenant)? {
            return Err(internal("a copy holds more than its source"));
        }
        match checked(&copied, WHY)? {
            Checked::Apart(apart) => return Ok(apart),
            Checked::Unknown(_) if last => break,
            Checked::Unknown(unknown) => {
                let names = unknown
                    .iter()
                    .map(|a| (a.type_name.as_str(), a.id.as_str()));
                house.keep_apart_named(tenant, names)?;
                drop(copied);
                std::fs::remove_file(copy).doing("copying a tenant's database")?;
                for end in ["-wal", "-shm"] {
                    let _ = std::fs::remove_file(copy.with_file_name(format!("data.db{end}")));
                }
            }
        }
    }
    Err(damaged(WHY))
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
