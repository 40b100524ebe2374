//! `private_key_jwt`: a client proves who it is with a JWT that it signed itself (SMART App Launch
//! 2.2, "Client Authentication: Asymmetric"; RFC 7523).

use std::collections::HashMap;

use access::{ClientId, ClientRecord, TenantId};
use base::Micros;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use parking_lot::Mutex;
use ring::digest;
use serde::Deserialize;

/// `client_assertion_type`
pub(crate) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Longest life of an assertion in seconds, and the tolerance for clocks that differ.
const LIFE_MAX: i64 = 300;
const SKEW: i64 = 60;

/// Assertions remembered at once; more within five minutes are refused.
const REMEMBERED_MAX: usize = 100_000;

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
    jti: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// The client that an assertion claims to be of, before anything is checked.
pub(crate) fn claimed_client(assertion: &str) -> Option<ClientId> {
    #[derive(Deserialize)]
    struct Subject {
        sub: String,
    }
    let mut rules = rules(Algorithm::RS384);
    rules.insecure_disable_signature_validation();
    rules.algorithms = vec![Algorithm::RS384, Algorithm::ES384];
    let key = DecodingKey::from_secret(&[]);
    ClientId::new(&decode::<Subject>(assertion, &key, &rules).ok()?.claims.sub)
}

/// Whether the assertion was signed by the client for this token URL, is fresh, and was not seen
/// before.
pub(crate) fn check(
    assertion: &str,
    record: &ClientRecord,
    tenant: &TenantId,
    token_url: &str,
    replays: &Replays,
    now: Micros,
) -> bool {
    let claims = verified(assertion, record);
    let Some(claims) = claims else { return false };
    let id = record.id.as_str();
    let for_us = match &claims.aud {
        Audience::One(aud) => aud == token_url,
        Audience::Several(all) => all.iter().any(|aud| aud == token_url),
    };
    let seconds = now.as_secs();
    let fresh = claims.exp > seconds - SKEW
        && claims.exp <= seconds + LIFE_MAX + SKEW
        && claims.nbf.is_none_or(|n| n <= seconds + SKEW);
    claims.iss == id
        && claims.sub == id
        && for_us
        && fresh
        && !claims.jti.is_empty()
        && replays.first_use(tenant, id, &claims.jti, claims.exp + SKEW, now)
}

fn verified(assertion: &str, record: &ClientRecord) -> Option<Claims> {
    let header = decode_header(assertion).ok()?;
    if !matches!(header.alg, Algorithm::RS384 | Algorithm::ES384) {
        return None;
    }
    let keys: JwkSet = serde_json::from_str(record.jwks.as_deref()?).ok()?;
    let named = |k: &&jsonwebtoken::jwk::Jwk| match &header.kid {
        Some(kid) => k.common.key_id.as_ref() == Some(kid),
        None => true,
    };
    keys.keys.iter().filter(named).find_map(|jwk| {
        let key = DecodingKey::from_jwk(jwk).ok()?;
        Some(
            decode::<Claims>(assertion, &key, &rules(header.alg))
                .ok()?
                .claims,
        )
    })
}

fn rules(algorithm: Algorithm) -> Validation {
    let mut rules = Validation::new(algorithm);
    rules.validate_exp = false; // checked against the clock we were given
    rules.validate_aud = false; // an array or a string; checked by us
    rules.required_spec_claims.clear();
    rules
}

/// Whether a text is a JWK Set that assertions can be checked with.
pub(crate) fn is_usable_jwks(text: &str) -> bool {
    serde_json::from_str::<JwkSet>(text).is_ok_and(|set| {
        !set.keys.is_empty() && set.keys.iter().all(|k| DecodingKey::from_jwk(k).is_ok())
    })
}

/// Assertions that were used already, until they end by themselves.
#[derive(Debug, Default)]
pub(crate) struct Replays(Mutex<HashMap<[u8; 32], i64>>);

impl Replays {
    fn first_use(
        &self,
        tenant: &TenantId,
        client: &str,
        jti: &str,
        until: i64,
        now: Micros,
    ) -> bool {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(tenant.bytes());
        context.update(client.as_bytes());
        context.update(b"\0");
        context.update(jti.as_bytes());
        let mut key = [0; 32];
        key.iter_mut()
            .zip(context.finish().as_ref())
            .for_each(|(o, d)| *o = *d);
        let mut seen = self.0.lock();
        if seen.len() >= REMEMBERED_MAX {
            seen.retain(|_, until| *until > now.as_secs());
        }
        if seen.len() >= REMEMBERED_MAX || seen.get(&key).is_some_and(|u| *u > now.as_secs()) {
            return false;
        }
        seen.insert(key, until);
        true
    }
}
