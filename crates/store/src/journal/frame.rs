//! The bytes of one record.
//!
//! ```text
//! "IJ1\0"  length of the sealed part u32 LE  tenant 16  number u64 LE  nonce 12  chain 32  sealed part
//! ```
//!
//! The sealed part is the record under AES-256-GCM with the first 44 bytes as associated data.
//! `chain` is SHA-256 over the tenant's previous chain and everything of this frame except `chain`:
//! it can be checked without the key.

use ring::aead::{Aad, LessSafeKey, Nonce};
use ring::digest;

pub(super) const HEADER: usize = 76;
/// No frame is shorter.
pub(super) const BYTES_MIN: u64 = (HEADER + TAG) as u64;
const MAGIC: &[u8; 4] = b"IJ1\0";
const UNSEALED: usize = 44;
const TAG: usize = 16;
/// Bytes of the longest record.
const RECORD_BYTES_MAX: usize = 64 << 10;
/// Bytes of the longest sealed part.
pub(super) const SEALED_BYTES_MAX: usize = RECORD_BYTES_MAX + TAG;

/// A place in a tenant's chain: the number of the last record and the chain's hash after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// Records so far.
    pub(crate) number: u64,
    /// The hash after the last one; zeros before the first.
    pub(crate) chain: [u8; 32],
}

impl Head {
    /// Bytes of a place as others keep it.
    pub(crate) const BYTES: usize = 40;

    /// `number (8) · chain (32)`
    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        let number = self.number.to_be_bytes();
        out.iter_mut()
            .zip(number.iter().chain(&self.chain))
            .for_each(|(o, b)| *o = *b);
        out
    }

    /// The place that bytes stand for.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (number, chain) = bytes.split_first_chunk::<8>()?;
        Some(Self {
            number: u64::from_be_bytes(*number),
            chain: chain.try_into().ok()?,
        })
    }
}

/// A frame found in a segment; its chain is not checked yet.
pub(super) struct Frame<'b> {
    pub(super) tenant: [u8; 16],
    pub(super) after: Head,
    unsealed: &'b [u8],
    nonce: [u8; 12],
    sealed: &'b [u8],
}

/// Writes the frame of a record that follows `before`; gives the head after it.
pub(super) fn write(
    out: &mut Vec<u8>,
    key: &LessSafeKey,
    tenant: [u8; 16],
    before: Head,
    nonce: u128,
    record: &[u8],
) -> Option<Head> {
    if record.len() > RECORD_BYTES_MAX {
        return None;
    }
    let [_, _, _, _, nonce @ ..] = nonce.to_be_bytes();
    let number = before.number + 1;
    out.clear();
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&((record.len() + TAG) as u32).to_le_bytes());
    out.extend_from_slice(&tenant);
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&[0; 32]);
    out.extend_from_slice(record);
    let (header, body) = out.split_at_mut_checked(HEADER)?;
    let (unsealed, chain_at) = header.split_at_mut_checked(UNSEALED)?;
    let nonce = Nonce::assume_unique_for_key(nonce);
    let tag = key
        .seal_in_place_separate_tag(nonce, Aad::from(&*unsealed), body)
        .ok()?;
    let chain = chain(before, unsealed, body, tag.as_ref());
    chain_at.copy_from_slice(&chain);
    out.extend_from_slice(tag.as_ref());
    Some(Head { number, chain })
}

fn chain(before: Head, unsealed: &[u8], body: &[u8], tag: &[u8]) -> [u8; 32] {
    let mut hash = digest::Context::new(&digest::SHA256);
    for part in [&before.chain, unsealed, body, tag] {
        hash.update(part);
    }
    let mut out = [0; 32];
    out.iter_mut()
        .zip(hash.finish().as_ref())
        .for_each(|(o, h)| *o = *h);
    out
}

/// The frame at the beginning of `bytes` and its length; `None` where there is no whole frame.
pub(super) fn read(bytes: &[u8]) -> Option<(Frame<'_>, usize)> {
    if bytes.get(..4)? != MAGIC {
        return None;
    }
    let sealed_len = u32::from_le_bytes(array(bytes, 4)?) as usize;
    if !(TAG..=SEALED_BYTES_MAX).contains(&sealed_len) {
        return None;
    }
    let sealed = bytes.get(HEADER..HEADER + sealed_len)?;
    let frame = Frame {
        tenant: array(bytes, 8)?,
        after: Head {
            number: u64::from_le_bytes(array(bytes, 24)?),
            chain: array(bytes, 44)?,
        },
        unsealed: bytes.get(..UNSEALED)?,
        nonce: array(bytes, 32)?,
        sealed,
    };
    Some((frame, HEADER + sealed_len))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

impl Frame<'_> {
    /// Whether it follows `before`, untouched.
    pub(super) fn follows(&self, before: Head) -> bool {
        Some(self.after.number) == before.number.checked_add(1)
            && chain(before, self.unsealed, self.sealed, &[]) == self.after.chain
    }

    /// The record, if it is another tenant's, whose key this is, under this one's name.
    pub(super) fn open_as<'v>(
        &self,
        key: &LessSafeKey,
        tenant: [u8; 16],
        into: &'v mut Vec<u8>,
    ) -> Option<&'v [u8]> {
        let mut unsealed = self.unsealed.to_vec();
        unsealed.get_mut(8..24)?.copy_from_slice(&tenant);
        into.clear();
        into.extend_from_slice(self.sealed);
        let nonce = Nonce::assume_unique_for_key(self.nonce);
        key.open_in_place(nonce, Aad::from(unsealed), into)
            .ok()
            .map(|r| &*r)
    }

    /// The record, if the key is its tenant's.
    pub(super) fn open<'v>(&self, key: &LessSafeKey, into: &'v mut Vec<u8>) -> Option<&'v [u8]> {
        into.clear();
        into.extend_from_slice(self.sealed);
        let nonce = Nonce::assume_unique_for_key(self.nonce);
        key.open_in_place(nonce, Aad::from(self.unsealed), into)
            .ok()
            .map(|r| &*r)
    }
}
