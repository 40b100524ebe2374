//! Paging cursors: where a page ended, encrypted under the tenant's key and bound to the tenant,
//! the caller and the search. A cursor carries the search itself, so a next link needs nothing
//! else and shows nothing of it.

use access::{Actor, TenantId};
use base::{Code, Micros, Rng, Secret, Seq};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use store::Position;

use crate::failure::Failure;

/// What a next link carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The search or history as it was asked, without paging.
    pub(crate) query: String,
    /// Where the last page ended.
    pub(crate) position: Position,
    /// The point of the change sequence that all pages show.
    pub(crate) as_of: Seq,
    /// When the first page was answered: rows closed since then are kept for the cursors' life.
    pub(crate) first: Micros,
}

/// What a cursor is good for; not secret, but authenticated with it.
#[derive(Debug)]
pub(crate) struct Binding<'a> {
    /// The tenant.
    pub(crate) tenant: &'a TenantId,
    /// The caller.
    pub(crate) actor: &'a Actor,
    /// What is paged: `search Patient`, `history Patient/7`.
    pub(crate) of: &'a str,
}

const FORM: u8 = 1;

impl Binding<'_> {
    fn bytes(&self) -> Vec<u8> {
        let parts = [
            &self.tenant.bytes()[..],
            self.actor.as_str().as_bytes(),
            self.of.as_bytes(),
        ];
        let head = b"insula cursor v1\0";
        let size: usize = parts.iter().map(|part| part.len() + 8).sum();
        let mut out = Vec::with_capacity(head.len() + size);
        out.extend_from_slice(head);
        for part in parts {
            out.extend_from_slice(&(part.len() as u64).to_be_bytes());
            out.extend_from_slice(part);
        }
        out
    }
}

/// Encrypts a cursor to the text of a `_cursor` parameter.
pub(crate) fn seal(
    key: &Secret<[u8; 32]>,
    binding: &Binding<'_>,
    cursor: &Cursor,
    rng: &dyn Rng,
) -> Result<String, Failure> {
    let nonce: [u8; NONCE_LEN] = rng.bytes();
    let plain = 1 + 3 * 8 + cursor.query.len() + cursor.position.0.len();
    let mut bytes = Vec::with_capacity(NONCE_LEN + plain + CHACHA20_POLY1305.tag_len());
    bytes.extend_from_slice(&nonce);
    bytes.push(FORM);
    bytes.extend_from_slice(&cursor.first.0.to_be_bytes());
    bytes.extend_from_slice(&cursor.as_of.0.to_be_bytes());
    bytes.extend_from_slice(&(cursor.query.len() as u64).to_be_bytes());
    bytes.extend_from_slice(cursor.query.as_bytes());
    bytes.extend_from_slice(&cursor.position.0);
    let sealed = opener(key)?.seal_in_place_separate_tag(
        Nonce::assume_unique_for_key(nonce),
        Aad::from(binding.bytes()),
        bytes.get_mut(NONCE_LEN..).unwrap_or_default(),
    );
    let tag = sealed.map_err(|_| Failure::of(Code::Internal))?;
    bytes.extend_from_slice(tag.as_ref());
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Decrypts and checks the text of a `_cursor` parameter.
pub(crate) fn open(
    key: &Secret<[u8; 32]>,
    binding: &Binding<'_>,
    text: &str,
    now: Micros,
    ttl_seconds: u64,
) -> Result<Cursor, Failure> {
    let bad = || Failure::of(Code::CursorInvalid);
    let mut bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| bad())?;
    let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN).ok_or_else(bad)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| bad())?;
    let plain = opener(key)?
        .open_in_place(nonce, Aad::from(binding.bytes()), sealed)
        .map_err(|_| bad())?;
    let cursor = read(plain).ok_or_else(bad)?;
    let ttl = i64::try_from(ttl_seconds).unwrap_or(i64::MAX);
    if cursor.first.plus_secs(ttl) < now {
        return Err(Failure::of(Code::CursorExpired));
    }
    Ok(cursor)
}

fn opener(key: &Secret<[u8; 32]>) -> Result<LessSafeKey, Failure> {
    UnboundKey::new(&CHACHA20_POLY1305, key.expose())
        .map(LessSafeKey::new)
        .map_err(|_| Failure::of(Code::Internal))
}

fn read(plain: &[u8]) -> Option<Cursor> {
    let (form, rest) = plain.split_first()?;
    let (first, rest) = rest.split_first_chunk::<8>()?;
    let (as_of, rest) = rest.split_first_chunk::<8>()?;
    let (len, rest) = rest.split_first_chunk::<8>()?;
    let len = usize::try_from(u64::from_be_bytes(*len)).ok()?;
    let (query, position) = rest.split_at_checked(len)?;
    (*form == FORM).then_some(())?;
    Some(Cursor {
        query: String::from_utf8(query.to_vec()).ok()?,
        position: Position(position.to_vec()),
        as_of: Seq(u64::from_be_bytes(*as_of)),
        first: Micros(i64::from_be_bytes(*first)),
    })
}

#[cfg(test)]
mod tests;
