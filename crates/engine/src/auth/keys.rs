//! Which key of a JSON Web Key Set (RFC 7517) made a signature. Keys that are not understood stand
//! in nobody's way.

use access::{ClientKeys, ShownCertificate};
use base::Micros;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use ring::digest::{SHA256, digest};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Door;
use super::documents::Look;
use crate::failure::Failure;
use crate::house::House;

/// The keys of a set that signatures can be checked with; none if it is no set.
pub(super) fn key_set(bytes: &[u8]) -> Option<Vec<Jwk>> {
    let set: Value = serde_json::from_slice(bytes).ok()?;
    let keys = set.get("keys")?.as_array()?;
    let read = |key: &Value| serde_json::from_value::<Jwk>(key.clone()).ok();
    let signs = |key: &Jwk| {
        let used = key.common.public_key_use.as_ref();
        used.is_none_or(|used| *used == PublicKeyUse::Signature)
    };
    Some(keys.iter().filter_map(read).filter(signs).collect())
}

/// Whether something is a set of keys.
fn is_key_set(bytes: &[u8]) -> bool {
    key_set(bytes).is_some()
}

/// The header of a token; none of one that says that something about it must be understood (`crit`, RFC 7515
/// section 4.1.11), as nothing of that is understood here, or whose payload is not encoded as usual.
pub(super) fn header_of(token: &str) -> Option<Header> {
    let raw = URL_SAFE_NO_PAD.decode(token.split('.').next()?).ok()?;
    let raw: Value = serde_json::from_slice(&raw).ok()?;
    let plain = raw.get("crit").is_none() && raw.get("b64").is_none();
    decode_header(token).ok().filter(|_| plain)
}

/// What a token says, if one of the keys signed it: the one that its header names, where it names one.
///
/// Signature alone: times, issuer and audience are the caller's.
pub(super) fn verified<T: DeserializeOwned>(
    token: &str,
    header: &Header,
    keys: &[Jwk],
) -> Option<T> {
    let fits = |key: &&Jwk| {
        let named = header.kid.is_none() || key.common.key_id == header.kid;
        let made_for = key.common.key_algorithm.map(|a| a.to_string());
        named && made_for.is_none_or(|a| a == format!("{:?}", header.alg))
    };
    keys.iter().filter(fits).find_map(|key| {
        let key = DecodingKey::from_jwk(key).ok()?;
        Some(decode::<T>(token, &key, &rules(header.alg)).ok()?.claims)
    })
}

impl House {
    /// Whether a certificate is that of a key of a client, wherever the client's keys are. One that is not
    /// there is looked for once more.
    ///
    /// # Errors
    /// `outbound-refused`, `outbound-failed`.
    pub(super) async fn is_certificate_of(
        &self,
        door: &Door,
        keys: &ClientKeys,
        shown: &ShownCertificate,
        now: Micros,
    ) -> Result<bool, Failure> {
        let url = match keys {
            ClientKeys::Set(set) => return Ok(is_in(set.as_bytes(), &shown.sha256)),
            ClientKeys::Url(url) => url,
        };
        for look in [Look::Kept, Look::Anew] {
            let document = self.document(door, url, look, is_key_set, now).await?;
            let found = is_in(&document.bytes, &shown.sha256);
            if found || document.fresh {
                return Ok(found);
            }
        }
        Ok(false)
    }

    /// What a token says, if one of the keys that are published at an address signed it. A key that is
    /// not there is looked for once more: it may have been added since.
    ///
    /// # Errors
    /// `outbound-refused`, `outbound-failed`.
    pub(super) async fn signed_by<T: DeserializeOwned>(
        &self,
        door: &Door,
        url: &str,
        token: &str,
        header: &Header,
        now: Micros,
    ) -> Result<Option<T>, Failure> {
        for look in [Look::Kept, Look::Anew] {
            let document = self.document(door, url, look, is_key_set, now).await?;
            let keys = key_set(&document.bytes).unwrap_or_default();
            let found = verified::<T>(token, header, &keys);
            if found.is_some() || document.fresh {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

/// SHA-256 of the certificate that a key comes with: that of `x5c`, or `x5t#S256`.
pub(super) fn certificate_of(key: &Value) -> Option<[u8; 32]> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let whole = key.get("x5c").and_then(|chain| text(chain.get(0)?));
    let digest = match (whole, key.get("x5t#S256").and_then(text)) {
        (Some(whole), _) => digest(&SHA256, &STANDARD.decode(whole).ok()?)
            .as_ref()
            .to_vec(),
        (None, Some(thumbprint)) => URL_SAFE_NO_PAD.decode(thumbprint).ok()?,
        (None, None) => return None,
    };
    digest.try_into().ok()
}

/// Whether a certificate is that of a key of a set.
fn is_in(set: &[u8], sha256: &[u8; 32]) -> bool {
    let set: Option<Value> = serde_json::from_slice(set).ok();
    let keys = set.as_ref().and_then(|set| set.get("keys")?.as_array());
    let mut keys = keys.into_iter().flatten();
    keys.any(|key| certificate_of(key).as_ref() == Some(sha256))
}

/// What a token says, whoever signed it.
pub(super) fn unverified<T: DeserializeOwned>(token: &str, algorithm: Algorithm) -> Option<T> {
    let mut rules = rules(algorithm);
    rules.insecure_disable_signature_validation();
    let key = DecodingKey::from_secret(&[]);
    Some(decode::<T>(token, &key, &rules).ok()?.claims)
}

fn rules(algorithm: Algorithm) -> Validation {
    let mut rules = Validation::new(algorithm);
    rules.validate_exp = false; // checked against the clock we were given
    rules.validate_aud = false; // an array or a string; checked by us
    rules.required_spec_claims.clear();
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_not_understood_are_left_out() {
        let set = br#"{"keys":[
            {"kty":"RSA","n":"sXchDaQebHnPiGvyDOAT4saGEUetSyo9MKLOoWFsueri","e":"AQAB","kid":"a"},
            {"kty":"RSA","n":"sXch","e":"AQAB","kid":"b","use":"enc"},
            {"kty":"new","kid":"c"},
            {"kty":"RSA","n":"sXch","e":"AQAB","kid":"d","alg":"X9"}]}"#;
        let keys = key_set(set).unwrap();
        let ids: Vec<_> = keys.iter().map(|k| k.common.key_id.as_deref()).collect();
        assert_eq!(ids, [Some("a")]);
        assert!(key_set(b"{}").is_none() && key_set(b"keys").is_none());
        assert!(key_set(br#"{"keys":[]}"#).unwrap().is_empty());
    }
}
