//! Addresses outside, as tests want them; and keys that are published there.
#![expect(clippy::disallowed_methods, reason = "a test draws keys")]

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use engine::{Errand, Outbound, OutboundError, Outside, Reply, Sending};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use parking_lot::Mutex;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
};
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::traits::PublicKeyParts;
use serde_json::{Value, json};

use super::world::World;

type Answering = Box<dyn FnMut(&Errand) -> Result<Reply, OutboundError> + Send>;

/// Everything outside: what answers under each address, and what was asked.
#[derive(Clone, Default)]
pub(super) struct Elsewhere(Arc<Mutex<Places>>);

#[derive(Default)]
struct Places {
    answers: HashMap<String, Answering>,
    asked: Vec<Errand>,
}

impl std::fmt::Debug for Elsewhere {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Elsewhere")
    }
}

impl Outbound for Elsewhere {
    fn send(&self, mut errand: Errand) -> Sending {
        errand.turn = engine::Turn::default();
        let mut places = self.0.lock();
        let done = match places.answers.get_mut(&errand.url) {
            Some(answer) => answer(&errand),
            None => Err(OutboundError::Name),
        };
        places.asked.push(errand);
        Box::pin(std::future::ready(done))
    }

    fn admits(&self, url: &str) -> Result<(), OutboundError> {
        match url.starts_with("https://") && !url.contains("inside") {
            true => Ok(()),
            false => Err(OutboundError::Url),
        }
    }
}

impl Elsewhere {
    /// A house that reaches it.
    pub(super) fn world() -> (World, Self) {
        Self::world_at(None)
    }

    /// The same, of a house that is reached at this address.
    pub(super) fn world_at(url: Option<&str>) -> (World, Self) {
        let elsewhere = Self::default();
        let outside = Outside::new(elsewhere.clone());
        let world = World::with(
            |_| {},
            |config| {
                config.outside = outside;
                config.public_url = url.map(str::to_owned);
            },
        );
        (world, elsewhere)
    }

    /// What answers under an address from now on.
    pub(super) fn answer(
        &self,
        url: &str,
        answer: impl FnMut(&Errand) -> Result<Reply, OutboundError> + Send + 'static,
    ) {
        let mut places = self.0.lock();
        places.answers.insert(url.to_owned(), Box::new(answer));
    }

    /// The same with one answer.
    pub(super) fn serve(&self, url: &str, body: &Value) {
        let reply = reply(body);
        self.answer(url, move |_| Ok(reply.clone()));
    }

    /// How often an address was asked.
    pub(super) fn count(&self, url: &str) -> usize {
        self.0.lock().asked.iter().filter(|e| e.url == url).count()
    }

    /// What an address was last asked.
    pub(super) fn last(&self, url: &str) -> Errand {
        let places = self.0.lock();
        let found = places.asked.iter().rev().find(|e| e.url == url);
        found
            .unwrap_or_else(|| panic!("{url} was not asked"))
            .clone()
    }
}

pub(super) fn reply(body: &Value) -> Reply {
    Reply {
        status: 200,
        cache_control: None,
        body: body.to_string().into(),
    }
}

/// A pair of keys of somebody outside.
pub(super) struct Pair {
    pub(super) kid: &'static str,
    algorithm: Algorithm,
    key: EncodingKey,
    pub(super) public: Value,
}

impl Pair {
    pub(super) fn es256(kid: &'static str) -> Self {
        Self::new(kid, Algorithm::ES256)
    }

    pub(super) fn es384(kid: &'static str) -> Self {
        Self::new(kid, Algorithm::ES384)
    }

    fn new(kid: &'static str, algorithm: Algorithm) -> Self {
        let (kind, curve, bytes) = match algorithm {
            Algorithm::ES256 => (&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256", 32),
            _ => (&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384", 48),
        };
        let rng = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(kind, &rng).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(kind, pkcs8.as_ref(), &rng).unwrap();
        let point = pair.public_key().as_ref();
        let part = |from: usize| URL_SAFE_NO_PAD.encode(&point[from..from + bytes]);
        Self {
            kid,
            algorithm,
            key: EncodingKey::from_ec_der(pkcs8.as_ref()),
            public: json!({ "kty": "EC", "crv": curve, "alg": format!("{algorithm:?}"),
                            "kid": kid, "use": "sig", "x": part(1), "y": part(1 + bytes) }),
        }
    }

    /// A token that it signs.
    pub(super) fn sign(&self, claims: &Value) -> String {
        self.sign_as(claims, |_| {})
    }

    /// The same with another header.
    pub(super) fn sign_as(&self, claims: &Value, change: impl FnOnce(&mut Header)) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.kid.to_owned());
        change(&mut header);
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }
}

/// Randomness in the words of the library that makes RSA keys.
struct Dice(SystemRandom);

impl rsa::rand_core::RngCore for Dice {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_be_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_be_bytes(bytes)
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        SecureRandom::fill(&self.0, out).unwrap();
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
        self.fill_bytes(out);
        Ok(())
    }
}

impl rsa::rand_core::CryptoRng for Dice {}

/// A pair of RSA keys of somebody outside, which signs in each way that RSA does.
pub(super) struct RsaPair {
    kid: &'static str,
    key: EncodingKey,
    pub(super) public: Value,
}

impl RsaPair {
    pub(super) fn new(kid: &'static str) -> Self {
        let pair = rsa::RsaPrivateKey::new(&mut Dice(SystemRandom::new()), 2_048).unwrap();
        let number = |n: &rsa::BigUint| URL_SAFE_NO_PAD.encode(n.to_bytes_be());
        Self {
            kid,
            key: EncodingKey::from_rsa_der(pair.to_pkcs1_der().unwrap().as_bytes()),
            public: json!({ "kty": "RSA", "kid": kid, "use": "sig",
                            "n": number(pair.n()), "e": number(pair.e()) }),
        }
    }

    /// A token that it signs.
    pub(super) fn sign(&self, claims: &Value, algorithm: Algorithm) -> String {
        let mut header = Header::new(algorithm);
        header.kid = Some(self.kid.to_owned());
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }
}

/// A JWK Set.
pub(super) fn set(pairs: &[&Pair]) -> Value {
    let keys: Vec<&Value> = pairs.iter().map(|p| &p.public).collect();
    json!({ "keys": keys })
}
