//! Keys: the key-encryption keys of the house, the wrapped keys of tenants, and what is derived
//! from them.
//!
//! `insula.key` is text: a line `insula keys 1`, then one line a key, newest first:
//!
//! ```text
//! key <16 hexadecimal digits: id> <64 hexadecimal digits>
//! restore-only <id> <key>        a retired key, used to read older backups only
//! ```
//!
//! A wrapped key is 73 bytes: `INSW`, 1, id of the key-encryption key (8), nonce (12), then the
//! key under AES-256-GCM (32 + 16). The associated data is `insula wrapped key 1`, a zero byte and
//! the 16 bytes of the tenant's id (for the house's own secret: `house`), so that a key file under
//! another tenant's name does not open.
//!
//! The tenant's key is the raw key of its SQLCipher database; every other key of the tenant is
//! derived from it by HKDF-SHA256 with salt `insula tenant 1`. The house's secret does not change
//! when the key-encryption key is rotated: it is wrapped anew, like the tenants' keys.

use std::path::Path;

use base::{Code, Rng, Secret};
use ring::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::{hkdf, hmac};
use zeroize::Zeroize;

use super::fault::{Doing, internal};
use super::folder::{self, hex, unhex};
use crate::{Result, StoreError};

const HEADER: &str = "insula keys 1";
const MAGIC: &[u8; 5] = b"INSW\x01";
/// Bytes of a wrapped key.
pub(crate) const WRAPPED_BYTES: usize = 73;

/// What a wrapped key belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Owner<'a> {
    House,
    Tenant(&'a [u8; 16]),
}

impl Owner<'_> {
    fn associated(self) -> Vec<u8> {
        let mut data = b"insula wrapped key 1\0".to_vec();
        match self {
            Self::House => data.extend_from_slice(b"house"),
            Self::Tenant(id) => data.extend_from_slice(id),
        }
        data
    }
}

struct Kek {
    id: [u8; 8],
    key: Secret<[u8; 32]>,
    restore_only: bool,
}

/// The key-encryption keys, newest first.
pub(crate) struct Keyring {
    keys: Vec<Kek>,
}

impl Keyring {
    /// Reads the key file, or makes one where nothing is wrapped by one yet.
    pub(crate) fn open(path: &Path, has_keys: bool, rng: &dyn Rng) -> Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(mut text) => {
                let ring = Self::parse(&text);
                text.zeroize();
                ring.ok_or_else(|| bad_key_file("insula.key is not a key file"))
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && has_keys => Err(bad_key_file(
                "insula.key is missing, and keys/ has keys that only it opens: put it back from where \
                 it was copied to. Nothing was written",
            )),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let ring = Self {
                    keys: vec![fresh(rng)],
                };
                ring.save(path)?;
                Ok(ring)
            }
            Err(e) => Err(e).doing("reading insula.key"),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        (lines.next()?.trim() == HEADER).then_some(())?;
        let mut keys = Vec::new();
        for line in lines
            .map(str::trim)
            .filter(|l| !l.is_empty() && !l.starts_with('#'))
        {
            let mut words = line.split_ascii_whitespace();
            let restore_only = match words.next()? {
                "key" => false,
                "restore-only" => true,
                _ => return None,
            };
            let id = unhex(words.next()?)?;
            let key = Secret::new(unhex(words.next()?)?);
            keys.push(Kek {
                id,
                key,
                restore_only,
            });
        }
        keys.iter()
            .any(|k| !k.restore_only)
            .then_some(Self { keys })
    }

    fn save(&self, path: &Path) -> Result<()> {
        let mut text = format!("{HEADER}\n");
        for k in &self.keys {
            let word = if k.restore_only {
                "restore-only"
            } else {
                "key"
            };
            let mut digits = hex(k.key.expose());
            text.push_str(&format!("{word} {} {digits}\n", hex(&k.id)));
            digits.zeroize();
        }
        let saved = folder::replace(path, text.as_bytes());
        text.zeroize();
        saved
    }

    /// Puts a new key in front and saves it. The old ones still open what they wrapped.
    pub(crate) fn add(&mut self, path: &Path, rng: &dyn Rng) -> Result<()> {
        self.keys.insert(0, fresh(rng));
        self.save(path).inspect_err(|_| {
            self.keys.remove(0);
        })
    }

    /// Drops all keys but the newest and those kept for restoring, and saves.
    pub(crate) fn drop_old(&mut self, path: &Path) -> Result<()> {
        let newest = self.newest()?.id;
        self.keys.retain(|k| k.id == newest || k.restore_only);
        self.save(path)
    }

    /// Whether a rotation was begun and not finished.
    pub(crate) fn is_rotating(&self) -> bool {
        self.keys.iter().filter(|k| !k.restore_only).count() > 1
    }

    fn newest(&self) -> Result<&Kek> {
        self.keys
            .iter()
            .find(|k| !k.restore_only)
            .ok_or_else(|| internal("no key-encryption key"))
    }

    /// Wraps a key with the newest key-encryption key.
    pub(crate) fn wrap(&self, owner: Owner<'_>, key: &[u8; 32], rng: &dyn Rng) -> Result<Vec<u8>> {
        let kek = self.newest()?;
        let nonce: [u8; 12] = rng.bytes();
        let mut sealed = *key;
        let tag = kek
            .cipher()?
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(owner.associated()),
                &mut sealed,
            )
            .map_err(|_| internal("wrapping a key failed"))?;
        let mut out = Vec::with_capacity(WRAPPED_BYTES);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&kek.id);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&sealed);
        out.extend_from_slice(tag.as_ref());
        Ok(out)
    }

    /// Whether a wrapped key is wrapped with the newest key-encryption key.
    pub(crate) fn is_current(&self, wrapped: &[u8]) -> bool {
        self.newest()
            .is_ok_and(|k| wrapped.get(5..13) == Some(&k.id))
    }

    /// Unwraps a key. `None` if it is not one, was altered, is another owner's, or was wrapped
    /// with a key that is not here.
    pub(crate) fn unwrap(&self, owner: Owner<'_>, wrapped: &[u8]) -> Option<Secret<[u8; 32]>> {
        let rest = wrapped.strip_prefix(MAGIC)?;
        let (id, rest) = rest.split_at_checked(8)?;
        let (nonce, sealed) = rest.split_at_checked(12)?;
        let kek = self.keys.iter().find(|k| k.id == id)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut buffer = sealed.to_vec();
        let cipher = kek.cipher().ok()?;
        let opened = cipher.open_in_place(nonce, Aad::from(owner.associated()), &mut buffer);
        let key = opened.ok().and_then(|k| <[u8; 32]>::try_from(&*k).ok());
        buffer.zeroize();
        key.map(Secret::new)
    }
}

impl Kek {
    fn cipher(&self) -> Result<LessSafeKey> {
        UnboundKey::new(&aead::AES_256_GCM, self.key.expose())
            .map(LessSafeKey::new)
            .map_err(|_| internal("not a key"))
    }
}

fn fresh(rng: &dyn Rng) -> Kek {
    Kek {
        id: rng.bytes(),
        key: Secret::new(rng.bytes()),
        restore_only: false,
    }
}

fn bad_key_file(what: &str) -> StoreError {
    StoreError::Refused(Code::StorageFault, what.to_owned())
}

/// Derives keys from a secret.
struct Derive(hkdf::Prk);

impl Derive {
    fn new(salt: &[u8], secret: &[u8]) -> Self {
        Self(hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret))
    }

    fn key(&self, label: &str) -> Secret<[u8; 32]> {
        let mut out = [0; 32];
        let info = [label.as_bytes()];
        // Cannot fail: 32 bytes is the length of one block.
        if let Ok(okm) = self.0.expand(&info, hkdf::HKDF_SHA256) {
            let _ = okm.fill(&mut out);
        }
        Secret::new(out)
    }

    fn mac(&self, label: &str) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.key(label).expose())
    }
}

/// Keys derived from the house's secret.
pub(crate) struct HouseKeys {
    /// Over directory records.
    pub(crate) directory: access::HouseKey,
    /// Over the rest of a tenant's line in the control database, and over the house's audit.
    pub(crate) control: hmac::Key,
    /// Seed of the Ed25519 pair that signs receipts.
    pub(crate) receipt: Secret<[u8; 32]>,
    /// Encrypts the house's own records in the journal.
    pub(crate) journal: Secret<[u8; 32]>,
    /// Over accounts at identity providers, as the house remembers them.
    pub(crate) accounts: hmac::Key,
    /// Seed of the pair that signs heads of the house's own trail.
    pub(crate) head: Secret<[u8; 32]>,
}

impl HouseKeys {
    pub(crate) fn derive(secret: &Secret<[u8; 32]>) -> Self {
        let d = Derive::new(b"insula house 1", secret.expose());
        Self {
            directory: access::HouseKey::new(d.key("directory")),
            control: d.mac("control"),
            receipt: d.key("receipt"),
            journal: d.key("journal"),
            accounts: d.mac("accounts"),
            head: d.key("head"),
        }
    }
}

/// One tenant's keys.
pub(crate) struct TenantKeys {
    /// The raw key of the database.
    pub(crate) database: Secret<[u8; 32]>,
    /// Over version rows and the chain of changes.
    pub(crate) seal: hmac::Key,
    /// Seed of the pair that signs tokens.
    pub(crate) token: Secret<[u8; 32]>,
    /// Hashes client secrets, unless the tenant was restored with an earlier one.
    pub(crate) client_secret: Secret<[u8; 32]>,
    /// For what people are recognised by.
    pub(crate) people: Secret<[u8; 32]>,
    /// Encrypts paging positions.
    pub(crate) cursor: std::sync::Arc<Secret<[u8; 32]>>,
    /// Over backups.
    pub(crate) backup: hmac::Key,
    /// Encrypts the tenant's records in the journal.
    pub(crate) journal: Secret<[u8; 32]>,
    /// Seed of the pair that signs heads of the trail.
    pub(crate) head: Secret<[u8; 32]>,
    /// The raw key of the index of the trail.
    pub(crate) trail: Secret<[u8; 32]>,
}

impl TenantKeys {
    pub(crate) fn derive(database: Secret<[u8; 32]>) -> Self {
        let d = Derive::new(b"insula tenant 1", database.expose());
        Self {
            seal: d.mac("seal"),
            token: d.key("token"),
            client_secret: d.key("client secret"),
            people: d.key("people"),
            cursor: std::sync::Arc::new(d.key("cursor")),
            backup: d.mac("backup"),
            journal: d.key("journal"),
            head: d.key("head"),
            trail: d.key("trail index"),
            database,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(std::sync::atomic::AtomicU8);
    impl Rng for Counting {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        }
    }

    #[test]
    fn a_wrapped_key_opens_for_its_owner_only() {
        let rng = Counting(1.into());
        let mut ring = Keyring {
            keys: vec![fresh(&rng)],
        };
        let wrapped = ring.wrap(Owner::Tenant(&[1; 16]), &[9; 32], &rng).unwrap();
        assert_eq!(wrapped.len(), WRAPPED_BYTES);
        let opened = ring.unwrap(Owner::Tenant(&[1; 16]), &wrapped).unwrap();
        assert_eq!(opened.expose(), &[9; 32]);
        assert!(ring.unwrap(Owner::Tenant(&[2; 16]), &wrapped).is_none());
        assert!(ring.unwrap(Owner::House, &wrapped).is_none());
        for place in 0..wrapped.len() {
            let mut altered = wrapped.clone();
            altered[place] ^= 1;
            assert!(
                ring.unwrap(Owner::Tenant(&[1; 16]), &altered).is_none(),
                "byte {place}"
            );
        }
        ring.keys.insert(0, fresh(&rng));
        assert!(ring.unwrap(Owner::Tenant(&[1; 16]), &wrapped).is_some());
        assert!(!ring.is_current(&wrapped));
        ring.keys.pop();
        assert!(ring.unwrap(Owner::Tenant(&[1; 16]), &wrapped).is_none());
    }

    #[test]
    fn derived_keys_differ_from_each_other_and_between_tenants() {
        let a = TenantKeys::derive(Secret::new([1; 32]));
        let b = TenantKeys::derive(Secret::new([2; 32]));
        let all = [&a, &b].map(|k| {
            [
                *k.database.expose(),
                *k.token.expose(),
                *k.client_secret.expose(),
                *k.cursor.expose(),
            ]
        });
        let set: std::collections::HashSet<_> = all.iter().flatten().collect();
        assert_eq!(set.len(), 8);
    }
}
