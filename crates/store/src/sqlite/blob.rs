//! Data of Binaries that is too large to stand in its resource: kept in chunks beside it.
//!
//! A blob's number is never used twice. Its chunks are sealed one by one, with the blob's number
//! and their place in it; the version that refers to it seals its number and size. Until a version
//! refers to it a blob is *staged*, by the run of the program that makes it: what another run left
//! staged is what a crash left of an upload, and is swept away.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use rusqlite::{Connection, OptionalExtension, params};

use super::fault::{Doing, broken, damaged, internal};
use super::seal::{Digest, sha256};
use super::tenant::OpenTenant;
use crate::face::{Apart, DataIn};
use crate::{Data, Form, Result, Stored};

/// Bytes of every chunk but a blob's last. A multiple of three, so that the base64 of chunks put
/// together is the base64 of the whole.
pub(crate) const CHUNK_BYTES: usize = 192 << 10;
/// A chunk's number is the blob's times this, and its place.
const CHUNKS_MAX: i64 = 1 << 20;

const READING: &str = "reading a Binary's data";
const WRITING: &str = "writing a Binary's data";

/// Begins a blob, staged by this run.
pub(crate) fn begin(db: &Connection, run: i64) -> Result<i64> {
    db.prepare_cached("INSERT INTO blob (size, at, staged) VALUES (0, 0, ?1)")
        .and_then(|mut s| s.insert([run]))
        .doing(WRITING)
}

/// Writes chunks of a blob from a place on.
pub(crate) fn put(
    tenant: &OpenTenant,
    db: &Connection,
    blob: i64,
    first: u64,
    bytes: &[u8],
) -> Result<()> {
    let mut insert = db
        .prepare_cached("INSERT INTO chunk (cid, mac, bytes) VALUES (?1,?2,?3)")
        .doing(WRITING)?;
    for (place, chunk) in (first..).zip(bytes.chunks(CHUNK_BYTES)) {
        let mac = mac(tenant, blob, place, chunk);
        insert
            .execute(params![
                number(blob, place).doing(WRITING)?,
                mac.as_ref(),
                chunk
            ])
            .doing(WRITING)?;
    }
    Ok(())
}

/// A version refers to the blob: `at` is where its base64 belongs in the stored body.
pub(crate) fn adopt(db: &Connection, blob: i64, size: u64, at: usize) -> Result<()> {
    let done = db
        .prepare_cached("UPDATE blob SET size=?2, at=?3, staged=0 WHERE bid=?1 AND staged<>0")
        .and_then(|mut s| s.execute(params![blob, signed(size), signed(at as u64)]))
        .doing(WRITING)?;
    if done == 1 {
        Ok(())
    } else {
        Err(internal("an upload vanished before it was done"))
    }
}

/// Removes a blob that is still staged.
pub(crate) fn discard(db: &Connection, blob: i64) -> Result<()> {
    let gone = db
        .execute("DELETE FROM blob WHERE bid=?1 AND staged<>0", [blob])
        .doing(WRITING)?;
    if gone == 1 {
        db.execute(
            "DELETE FROM chunk WHERE cid>=?1 AND cid<?2",
            [
                number(blob, 0).doing(WRITING)?,
                number(blob + 1, 0).doing(WRITING)?,
            ],
        )
        .doing(WRITING)?;
    }
    Ok(())
}

/// Removes what other runs left staged.
pub(crate) fn sweep(db: &Connection, run: i64) -> Result<()> {
    let left: Vec<i64> = db
        .prepare("SELECT bid FROM blob WHERE staged<>0 AND staged<>?1")
        .and_then(|mut s| s.query_map([run], |r| r.get(0)).and_then(Iterator::collect))
        .doing(WRITING)?;
    if left.is_empty() {
        return Ok(());
    }
    db.execute_batch("BEGIN IMMEDIATE").doing(WRITING)?;
    let done = left.iter().try_for_each(|blob| discard(db, *blob));
    let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
    db.execute_batch(end).doing(WRITING)?;
    done
}

/// A blob that a version refers to; `head` is what stands before the stored body.
pub(crate) fn find(db: &Connection, blob: i64, head: usize) -> Result<Option<Data>> {
    let found = db
        .prepare_cached("SELECT size, at FROM blob WHERE bid=?1 AND staged=0")
        .and_then(|mut s| {
            s.query_row([blob], |r| Ok((r.get::<_, i64>(0)?, r.get::<_, i64>(1)?)))
                .optional()
        })
        .doing(READING)?;
    Ok(found.and_then(|(size, at)| {
        Some(Data {
            blob,
            size: u64::try_from(size).ok()?,
            at: head.checked_add(usize::try_from(at).ok()?)?,
        })
    }))
}

/// What a version's seal covers when its data is kept apart, instead of the digest of its body.
pub(crate) fn digest_with(body: &[u8; 32], blob: i64, size: u64, at: usize) -> [u8; 32] {
    let mut digest = Digest::default();
    digest.add(b"data");
    digest.add(body);
    digest.add(&blob.to_be_bytes());
    digest.add(&size.to_be_bytes());
    digest.add(&(at as u64).to_be_bytes());
    digest.value()
}

/// A chunk, checked.
pub(crate) fn chunk(
    tenant: &OpenTenant,
    db: &Connection,
    of: &Data,
    place: u64,
) -> Result<Vec<u8>> {
    let missing = || broken("a Binary's data is not whole");
    let wanted = of.piece_len(place).ok_or_else(missing)?;
    let found: Option<(Vec<u8>, Vec<u8>)> = db
        .prepare_cached("SELECT mac, bytes FROM chunk WHERE cid=?1")
        .and_then(|mut s| {
            s.query_row([number(of.blob, place)?], |r| Ok((r.get(0)?, r.get(1)?)))
                .optional()
        })
        .doing(READING)?;
    let (seal, bytes) = found.ok_or_else(missing)?;
    let is_ours = mac(tenant, of.blob, place, &bytes).as_ref() == seal;
    if bytes.len() != wanted || !is_ours {
        return Err(broken("a Binary's data does not carry its seal"));
    }
    Ok(bytes)
}

/// Whether data that comes in is what a version has.
pub(crate) fn is_same(
    tenant: &OpenTenant,
    db: &Connection,
    new: &Apart,
    old: &Data,
) -> Result<bool> {
    for place in 0..old.pieces() {
        let before = chunk(tenant, db, old, place)?;
        let same = match &new.data {
            DataIn::Here(bytes) => {
                let at = usize::try_from(place).unwrap_or(usize::MAX);
                bytes.chunks(CHUNK_BYTES).nth(at) == Some(before.as_slice())
            }
            DataIn::Staged(staged) => {
                let of = Data {
                    blob: staged.blob,
                    ..*old
                };
                chunk(tenant, db, &of, place)? == before
            }
        };
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A version in the form that is wanted.
pub(crate) fn in_form(
    tenant: &OpenTenant,
    db: &Connection,
    form: Form,
    stored: Stored,
) -> Result<Stored> {
    match form {
        Form::Whole => whole(tenant, db, stored),
        Form::Apart => Ok(stored),
    }
}

/// The same version with its data in its body.
pub(crate) fn whole(tenant: &OpenTenant, db: &Connection, stored: Stored) -> Result<Stored> {
    let Some(data) = stored.data else {
        return Ok(stored);
    };
    let size = usize::try_from(data.size).map_err(|_| damaged("a Binary is too large"))?;
    let (before, after) = stored
        .body
        .split_at_checked(data.at)
        .ok_or_else(|| damaged("a Binary's data has no place"))?;
    let mut body = String::with_capacity(stored.body.len() + size.div_ceil(3) * 4);
    let text = |bytes| std::str::from_utf8(bytes).map_err(|_| damaged("a Binary is not text"));
    body.push_str(text(before)?);
    for place in 0..data.pieces() {
        STANDARD.encode_string(chunk(tenant, db, &data, place)?, &mut body);
    }
    body.push_str(text(after)?);
    Ok(Stored {
        body: body.into(),
        data: None,
        ..stored
    })
}

/// Seals all chunks anew, for another tenant id and key; the old seals are checked.
pub(crate) fn reseal(
    old: &OpenTenant,
    db: &Connection,
    id: &[u8; 16],
    key: &hmac::Key,
) -> Result<()> {
    let mut read = db
        .prepare("SELECT cid, mac, bytes FROM chunk WHERE cid>?1 ORDER BY cid LIMIT 1")
        .doing(READING)?;
    let mut write = db
        .prepare("UPDATE chunk SET mac=?2 WHERE cid=?1")
        .doing(WRITING)?;
    let mut after = -1i64;
    loop {
        let found: Option<(i64, Vec<u8>, Vec<u8>)> = read
            .query_row([after], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
            .optional()
            .doing(READING)?;
        let Some((number, seal, bytes)) = found else {
            return Ok(());
        };
        let blob = number.div_euclid(CHUNKS_MAX);
        let place = number.rem_euclid(CHUNKS_MAX).unsigned_abs();
        after = number;
        // What does not carry its seal is not sealed anew.
        if mac(old, blob, place, &bytes).as_ref() != seal {
            continue;
        }
        let seal = sealed(key, id, (blob, place), &bytes);
        write
            .execute(params![number, seal.as_ref()])
            .doing(WRITING)?;
    }
}

fn mac(tenant: &OpenTenant, blob: i64, place: u64, bytes: &[u8]) -> hmac::Tag {
    sealed(&tenant.keys.seal, tenant.id.bytes(), (blob, place), bytes)
}

fn sealed(key: &hmac::Key, tenant: &[u8; 16], at: (i64, u64), bytes: &[u8]) -> hmac::Tag {
    let mut mac = hmac::Context::with_key(key);
    mac.update(b"chunk");
    mac.update(tenant);
    mac.update(&at.0.to_be_bytes());
    mac.update(&at.1.to_be_bytes());
    mac.update(&sha256(bytes));
    mac.sign()
}

fn number(blob: i64, place: u64) -> rusqlite::Result<i64> {
    let place = i64::try_from(place).ok().filter(|p| *p < CHUNKS_MAX);
    place
        .and_then(|place| blob.checked_mul(CHUNKS_MAX)?.checked_add(place))
        .ok_or(rusqlite::Error::IntegralValueOutOfRange(0, blob))
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
