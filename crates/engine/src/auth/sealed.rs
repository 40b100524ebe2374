//! Small texts that leave the house and come back unread and unaltered: encrypted with a key of the
//! tenant, for one purpose.

use access::PeopleKey;
use base::{Code, Micros, Rng, Secret};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

#[derive(Serialize, Deserialize)]
struct Dated<T> {
    until: i64,
    what: T,
}

/// The key of a tenant for one purpose.
fn key_for(key: &PeopleKey, purpose: &str) -> Secret<[u8; 32]> {
    Secret::new(key.hash("seal", purpose))
}

fn cipher(key: &Secret<[u8; 32]>) -> Result<LessSafeKey, Failure> {
    UnboundKey::new(&CHACHA20_POLY1305, key.expose())
        .map(LessSafeKey::new)
        .map_err(|_| Failure::of(Code::Internal))
}

/// The sealed text, good until a time.
pub(crate) fn seal<T: Serialize>(
    key: &PeopleKey,
    purpose: &str,
    what: &T,
    until: Micros,
    rng: &dyn Rng,
) -> Result<String, Failure> {
    seal_with(&key_for(key, purpose), what, until, rng)
}

/// The same with a key that is for this alone.
pub(crate) fn seal_with<T: Serialize>(
    key: &Secret<[u8; 32]>,
    what: &T,
    until: Micros,
    rng: &dyn Rng,
) -> Result<String, Failure> {
    let failed = || Failure::of(Code::Internal);
    let until = until.0;
    let mut bytes = serde_json::to_vec(&Dated { until, what }).map_err(|_| failed())?;
    let nonce: [u8; NONCE_LEN] = rng.bytes();
    cipher(key)?
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::empty(),
            &mut bytes,
        )
        .map_err(|_| failed())?;
    let mut whole = nonce.to_vec();
    whole.append(&mut bytes);
    Ok(URL_SAFE_NO_PAD.encode(whole))
}

/// What was sealed for this purpose, if it is still good.
pub(crate) fn open<T: DeserializeOwned>(
    key: &PeopleKey,
    purpose: &str,
    text: &str,
    now: Micros,
) -> Option<T> {
    open_with(&key_for(key, purpose), text, now)
}

/// The same, and until when it is good.
pub(super) fn open_dated<T: DeserializeOwned>(
    key: &PeopleKey,
    purpose: &str,
    text: &str,
    now: Micros,
) -> Option<(T, Micros)> {
    dated(&key_for(key, purpose), text, now)
}

/// The same with a key that is for this alone.
pub(crate) fn open_with<T: DeserializeOwned>(
    key: &Secret<[u8; 32]>,
    text: &str,
    now: Micros,
) -> Option<T> {
    dated(key, text, now).map(|(what, _)| what)
}

fn dated<T: DeserializeOwned>(
    key: &Secret<[u8; 32]>,
    text: &str,
    now: Micros,
) -> Option<(T, Micros)> {
    let mut bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let plain = cipher(key).ok()?;
    let plain = plain.open_in_place(nonce, Aad::empty(), sealed).ok()?;
    let dated: Dated<T> = serde_json::from_slice(plain).ok()?;
    (now.0 < dated.until).then_some((dated.what, Micros(dated.until)))
}
