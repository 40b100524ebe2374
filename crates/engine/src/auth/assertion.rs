//! `private_key_jwt`: a client proves who it is with a JWT that it signed itself (SMART App Launch
//! 2.2, "Client Authentication: Asymmetric"; RFC 7523).

use std::collections::{HashMap, HashSet};

use access::{ClientId, ClientKeys, ClientRecord, TenantId};
use base::Micros;
use base::limits::fixed::{REPLAYERS_MAX, REPLAYERS_PER_TENANT_MAX};
use jsonwebtoken::{Algorithm, DecodingKey, Header};
use parking_lot::Mutex;
use ring::digest;
use serde::Deserialize;
use serde_json::Value;

use super::keys::{certificate_of, header_of, key_set, unverified, verified};
use crate::failure::Failure;
use crate::house::Gate;

/// `client_assertion_type`
pub(crate) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Longest life of an assertion in seconds, and the tolerance for clocks that differ.
const LIFE_MAX: i64 = 300;
const SKEW: i64 = 60;

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    iat: Option<i64>,
    jti: String,
}

/// `aud`: a text or several.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    pub(super) fn has(&self, wanted: &str) -> bool {
        match self {
            Self::One(aud) => aud == wanted,
            Self::Several(all) => all.iter().any(|aud| aud == wanted),
        }
    }

    /// Whether somebody else is meant too.
    pub(super) fn has_others(&self, wanted: &str) -> bool {
        match self {
            Self::One(aud) => aud != wanted,
            Self::Several(all) => all.iter().any(|aud| aud != wanted),
        }
    }
}

impl Claims {
    /// Whether they are the client's, for this token URL, and fresh.
    fn are_good(&self, client: &ClientId, token_url: &str, now: Micros) -> bool {
        let seconds = now.as_secs();
        let fresh = self.exp > seconds - SKEW
            && self.exp <= seconds + LIFE_MAX + SKEW
            && self.nbf.is_none_or(|n| n <= seconds + SKEW)
            && self.iat.is_none_or(|made| made <= seconds + SKEW);
        self.iss == client.as_str()
            && self.sub == client.as_str()
            && self.aud.has(token_url)
            && fresh
            && !self.jti.is_empty()
    }
}

/// The header of an assertion that is signed by one of the algorithms that SMART names.
fn header(assertion: &str) -> Option<Header> {
    let header = header_of(assertion)?;
    matches!(header.alg, Algorithm::RS384 | Algorithm::ES384).then_some(header)
}

/// The client that an assertion claims to be of, before anything is checked.
pub(crate) fn claimed_client(assertion: &str) -> Option<ClientId> {
    #[derive(Deserialize)]
    struct Subject {
        sub: String,
    }
    let header = header(assertion)?;
    ClientId::new(&unverified::<Subject>(assertion, header.alg)?.sub)
}

impl Gate {
    /// Whether an assertion was signed by the client for this tenant's token URL, is fresh, and was
    /// not seen before.
    ///
    /// # Errors
    /// `outbound-refused`, `outbound-failed` when the client's keys are not to be had.
    pub(super) async fn is_of_client(
        &self,
        assertion: &str,
        record: &ClientRecord,
        now: Micros,
    ) -> Result<bool, Failure> {
        let (client, token_url) = (&record.id, self.links.token());
        let Some(header) = header(assertion) else {
            return Ok(false);
        };
        // Nobody is asked for keys because of what cannot be good.
        let told = unverified::<Claims>(assertion, header.alg);
        if !told.is_some_and(|claims| claims.are_good(client, &token_url, now)) {
            return Ok(false);
        }
        let claims = match &record.jwks {
            None => None,
            Some(ClientKeys::Set(set)) => {
                let keys = key_set(set.as_bytes()).unwrap_or_default();
                verified::<Claims>(assertion, &header, &keys)
            }
            Some(ClientKeys::Url(url)) if header.jku.as_ref().is_some_and(|j| **j != **url) => None,
            Some(ClientKeys::Url(url)) => {
                let (house, door) = (&self.house, self.tenant.bytes());
                let found = house.signed_by(door, url, assertion, &header, now);
                found.await?
            }
        };
        let good = claims.filter(|claims| claims.are_good(client, &token_url, now));
        let good = good.filter(|claims| self.is_remembered(claims, now));
        let first = |claims: Claims| {
            let replays = &self.house.0.replays;
            replays.first_use(&self.tenant, client, &claims.jti, now)
        };
        Ok(good.is_some_and(first))
    }
}

impl Gate {
    /// Whether it would be known of an assertion that it was used: nobody remembers what was used before the
    /// house began. One that does not say when it was made was made no earlier than it could have been.
    fn is_remembered(&self, claims: &Claims, now: Micros) -> bool {
        let house = &self.house.0;
        let began = house.started.as_secs();
        let made = claims.iat.unwrap_or(claims.exp.saturating_sub(LIFE_MAX));
        let settled = now.as_secs() >= began.saturating_add(GENERATION);
        // Of a tenant that was made since then there are none from before.
        settled || made >= began || house.store.created(&self.tenant) >= house.started
    }
}

/// Whether a text is a JWK Set that assertions can be checked with: of public keys, and of nothing that is
/// a secret.
pub(crate) fn is_usable_jwks(text: &str) -> bool {
    use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet};
    let usable = |key: &Jwk| {
        let pair = matches!(
            key.algorithm,
            AlgorithmParameters::RSA(_) | AlgorithmParameters::EllipticCurve(_)
        );
        pair && DecodingKey::from_jwk(key).is_ok()
    };
    let read: Option<Value> = serde_json::from_str(text).ok();
    let keys = read.as_ref().and_then(|set| set.get("keys")?.as_array());
    let public = keys.is_some_and(|keys| keys.iter().all(|key| key.get("d").is_none()));
    let set = serde_json::from_str::<JwkSet>(text);
    public && set.is_ok_and(|set| !set.keys.is_empty() && set.keys.iter().all(usable))
}

/// Whether every key of a set comes with its certificate (RFC 7517 sections 4.7 and 4.9).
pub(crate) fn has_certificates(text: &str) -> bool {
    let set: Option<Value> = serde_json::from_str(text).ok();
    let keys = set.as_ref().and_then(|set| set.get("keys")?.as_array());
    keys.is_some_and(|keys| {
        let digest = |key: &Value| certificate_of(key).is_some();
        !keys.is_empty() && keys.iter().all(digest)
    })
}

/// Assertions that were used already, by client, until they end by themselves.
///
/// Each client's are in two generations: the young one becomes the old one when no assertion of the
/// old one can be good any more. Nothing is walked but, now and then, the list of clients.
#[derive(Debug)]
pub(crate) struct Replays {
    max: usize,
    /// Clients that there may be at once, and those of one tenant.
    room: (usize, usize),
    clients: Mutex<Clients>,
}

#[derive(Debug, Default)]
struct Clients {
    used: HashMap<(TenantId, ClientId), Used>,
    /// How many of them are of each tenant: no clinic takes the room of the others.
    of: HashMap<TenantId, usize>,
    /// How many clients there may be before those that have nothing any more are dropped.
    sweep_at: usize,
    /// When they were dropped last, in seconds: at most once a second where there is no room.
    swept: i64,
}

impl Clients {
    /// Whether there is room for one more of a tenant.
    fn have_room(&self, tenant: &TenantId, room: (usize, usize)) -> bool {
        let of = self.of.get(tenant).copied().unwrap_or(0);
        self.used.len() < room.0 && of < room.1
    }

    fn sweep(&mut self, now: i64) {
        self.used
            .retain(|_, used| now < used.since + 2 * GENERATION);
        self.of.clear();
        for (tenant, _) in self.used.keys() {
            *self.of.entry(tenant.clone()).or_default() += 1;
        }
        self.sweep_at = SWEEP_AT_MIN.max(2 * self.used.len());
        self.swept = now;
    }
}

/// What one client used.
#[derive(Debug, Default)]
struct Used {
    since: i64,
    young: HashSet<Digest>,
    old: HashSet<Digest>,
}

type Digest = [u8; 32];

fn of_jti(jti: &str) -> Digest {
    let mut key = [0; 32];
    let digest = digest::digest(&digest::SHA256, jti.as_bytes());
    key.iter_mut()
        .zip(digest.as_ref())
        .for_each(|(o, d)| *o = *d);
    key
}

/// No assertion is good for longer after its first use, in seconds.
const GENERATION: i64 = LIFE_MAX + 2 * SKEW;
const SWEEP_AT_MIN: usize = 1_024;

impl Replays {
    /// Takes so many of one client in one generation, and refuses more.
    pub(crate) fn new(max: u64) -> Self {
        Self {
            max: usize::try_from(max).unwrap_or(usize::MAX),
            room: (REPLAYERS_MAX, REPLAYERS_PER_TENANT_MAX),
            clients: Mutex::default(),
        }
    }

    /// Whether one was used already.
    pub(super) fn is_used(
        &self,
        tenant: &TenantId,
        client: &ClientId,
        jti: &str,
        now: Micros,
    ) -> bool {
        let key = of_jti(jti);
        let mut clients = self.clients.lock();
        let known = clients.used.get_mut(&(tenant.clone(), client.clone()));
        known.is_some_and(|used| {
            drop(used.turn(now.as_secs()));
            used.old.contains(&key) || used.young.contains(&key)
        })
    }

    pub(super) fn first_use(
        &self,
        tenant: &TenantId,
        client: &ClientId,
        jti: &str,
        now: Micros,
    ) -> bool {
        let key = of_jti(jti);
        let now = now.as_secs();
        let mut clients = self.clients.lock();
        let whose = (tenant.clone(), client.clone());
        let is_new = !clients.used.contains_key(&whose);
        if is_new {
            let full = !clients.have_room(tenant, self.room) && now > clients.swept;
            if full || clients.used.len() > clients.sweep_at {
                clients.sweep(now);
            }
            if !clients.have_room(tenant, self.room) {
                return false;
            }
            *clients.of.entry(tenant.clone()).or_default() += 1;
        }
        let used = clients.used.entry(whose).or_default();
        // Dropped when the lock is not held any more.
        let spent = used.turn(now);
        let room = used.young.len() < self.max;
        let first = room && !used.old.contains(&key) && used.young.insert(key);
        drop(clients);
        drop(spent);
        first
    }
}

impl Used {
    fn turn(&mut self, now: i64) -> HashSet<Digest> {
        if now < self.since + GENERATION {
            return HashSet::new();
        }
        self.since = now;
        std::mem::replace(&mut self.old, std::mem::take(&mut self.young))
    }
}

#[cfg(test)]
mod tests {
    use access::{Directory, HouseKey, Record};
    use base::{Secret, TenantName};
    use fhir::definitions::FhirVersion;

    use super::*;

    fn tenant(name: &str) -> TenantId {
        let house = HouseKey::new(Secret::new([1; 32]));
        let directory = Directory::new(&house);
        let name = TenantName::new(name).unwrap();
        let id = name.as_str().as_bytes().repeat(16);
        let id = id.first_chunk().unwrap();
        let record = Record::seal(&house, name.clone(), *id, FhirVersion::R4, [0; 32]);
        directory.admit(&record).unwrap();
        directory.resolve(&name).unwrap()
    }

    #[test]
    fn an_assertion_is_used_once_and_a_busy_client_stands_in_nobodys_way() {
        let replays = Replays::new(3);
        let (a, b) = (tenant("abbey"), tenant("bridge"));
        let [one, two] = ["one", "two"].map(|id| ClientId::new(id).unwrap());
        let at = |secs| Micros(1_800_000_000_000_000).plus_secs(secs);
        for jti in ["x", "y", "z"] {
            assert!(replays.first_use(&a, &one, jti, at(0)));
            assert!(!replays.first_use(&a, &one, jti, at(1)), "again");
        }
        assert!(!replays.first_use(&a, &one, "w", at(2)), "too many");
        assert!(replays.first_use(&a, &two, "x", at(2)), "another client");
        assert!(replays.first_use(&b, &one, "x", at(2)), "another tenant");
        // As long as one can be good, it is remembered.
        assert!(replays.first_use(&a, &one, "w", at(GENERATION)));
        assert!(!replays.first_use(&a, &one, "x", at(GENERATION)));
        assert!(!replays.first_use(&a, &one, "w", at(2 * GENERATION - 1)));
        assert!(replays.first_use(&a, &one, "x", at(2 * GENERATION)));
        assert!(!replays.first_use(&a, &one, "w", at(2 * GENERATION)));
    }

    #[test]
    fn who_found_no_room_finds_it_when_others_are_forgotten() {
        let replays = Replays {
            room: (20, 8),
            ..Replays::new(3)
        };
        let tenants = ["abbey", "bridge", "castle", "deep"].map(tenant);
        let at = |secs| Micros(1_800_000_000_000_000).plus_secs(secs);
        let first = |of: usize, n: usize, secs| {
            let client = ClientId::new(&format!("c{n}")).unwrap();
            replays.first_use(&tenants[of], &client, "x", at(secs))
        };
        // One clinic's do not take the room of the others, nor all of them more than there is.
        assert!((0..8).all(|n| first(0, n, 0)));
        assert!(!first(0, 8, 0), "no room for this clinic");
        assert!((0..8).all(|n| first(1, n, 0)));
        assert!((0..4).all(|n| first(2, n, 0)));
        assert!(!first(3, 0, 1), "no room for anybody new");
        assert!(!first(0, 0, 1), "who is known is still known");
        // Nobody is locked out for ever.
        assert!(first(3, 0, 2 * GENERATION));
        assert!((0..8).all(|n| first(0, n + 100, 2 * GENERATION)));
        assert!(!first(0, 108, 2 * GENERATION));
    }

    #[test]
    fn clients_that_are_quiet_are_forgotten() {
        let replays = Replays::new(1);
        let tenant = tenant("abbey");
        for i in 0..5_000 {
            let client = ClientId::new(&format!("c{i}")).unwrap();
            assert!(replays.first_use(&tenant, &client, "x", Micros(i * 1_000_000)));
        }
        assert!(replays.clients.lock().used.len() <= 2 * SWEEP_AT_MIN);
    }
}
