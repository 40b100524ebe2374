//! API clients of one tenant and the check of their secrets. A way in for bulk loading is a client
//! without a secret that ends by itself.

use std::sync::Arc;

use base::{Micros, Secret};
use ring::hmac;
use serde::{Deserialize, Serialize};

use crate::certificate::CertificateTerms;
use crate::directory::TenantId;
use crate::permit::Actor;
use crate::person::RoleAt;
use crate::principal::{Principal, Who};
use crate::scope::{ResourceScope, ScopeContext, Scopes};
use crate::vendor::VendorId;

/// A client's id, as it is sent in Basic and in `client_id`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(Arc<str>);

impl ClientId {
    /// Takes an id; 1 to 64 of `A-Z a-z 0-9 - _ .`.
    pub fn new(text: &str) -> Option<Self> {
        let ok = (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        ok.then(|| Self(text.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The tenant's key under which client secrets are hashed. Secrets are 256 random bits, so a keyed
/// hash is enough; slow hashes are for people's passwords.
#[derive(Debug)]
pub struct SecretKey(hmac::Key);

impl SecretKey {
    /// Takes the key.
    pub fn new(key: &Secret<[u8; 32]>) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key.expose()))
    }

    /// The keyed hash of a secret.
    pub fn hash(&self, secret: &str) -> [u8; 32] {
        let mut out = [0; 32];
        let tag = hmac::sign(&self.0, secret.as_bytes());
        out.iter_mut().zip(tag.as_ref()).for_each(|(o, t)| *o = *t);
        out
    }
}

/// How a client takes part in sign-ins of people (SMART App Launch). One without it acts for itself
/// only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Where people are sent back to; compared character by character.
    pub redirects: Arc<[Box<str>]>,
    /// Whether it cannot keep a secret: an app in a browser or on a phone.
    pub public: bool,
    /// Where a launch from within a record begins.
    pub launch_url: Option<Box<str>>,
    /// Where people may be sent when they signed out (OpenID Connect RP-Initiated Logout 1.0); compared
    /// character by character.
    pub signed_out: Arc<[Box<str>]>,
}

/// What a program says about itself to people when it is registered (RFC 7591 section 2). Nobody but whoever
/// approved it vouches for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientAbout {
    /// Whom to ask.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<String>,
    /// A page about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    /// Its picture; never fetched, and shown to nobody but as this text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<String>,
    /// The terms of its use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tos_uri: Option<String>,
    /// How it uses what it learns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_uri: Option<String>,
    /// Which software it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_id: Option<String>,
    /// Which version of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_version: Option<String>,
}

/// The public keys that a client's assertions are checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientKeys {
    /// A JWK Set.
    Set(Box<str>),
    /// Where the client publishes its JWK Set.
    Url(Box<str>),
}

impl ClientKeys {
    /// Reads them as they are kept: a JWK Set is a JSON object, everything else a URL.
    pub fn read(text: &str) -> Self {
        match text.trim_start().starts_with('{') {
            true => Self::Set(text.into()),
            false => Self::Url(text.into()),
        }
    }

    /// The set or the URL, as they are kept.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Set(text) | Self::Url(text) => text,
        }
    }
}

/// A client as the tenant's database keeps it.
#[derive(Clone, Debug)]
pub struct ClientRecord {
    /// Its id.
    pub id: ClientId,
    /// A name for people.
    pub name: String,
    /// What it may do.
    pub scopes: Arc<Scopes>,
    /// Keyed hash of its secret.
    pub secret_hash: [u8; 32],
    /// Public keys, for `private_key_jwt`.
    pub jwks: Option<ClientKeys>,
    /// Grows with every change of the client; tokens carry it.
    pub epoch: u64,
    /// Whether it was revoked.
    pub revoked: bool,
    /// For how long it is a way in for bulk loading; `None` for a client of its own right.
    pub import: Option<ImportTimes>,
    /// How it takes part in sign-ins of people.
    pub program: Option<Program>,
    /// The roles by which the tenant's policy governs it; without, its scopes are all that it has.
    pub roles: Option<Arc<[RoleAt]>>,
    /// The vendor whose grant bounds it.
    pub vendor: Option<VendorId>,
    /// What certificates of connections are to it.
    pub certificates: CertificateTerms,
    /// What it says about itself.
    pub about: ClientAbout,
    /// That an operator made it; `None` for one that the tenant's own people let in.
    pub made: Option<MadeByOperator>,
}

/// That an operator made a client: who, when and why, and until when it is a right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeByOperator {
    /// The operator, as the trail names them.
    pub by: Box<str>,
    /// When.
    pub at: Micros,
    /// Why, in their words.
    pub reason: Box<str>,
    /// From then on it is no right any more; `None` where nobody had the tenant yet, where it acts for
    /// people or under a vendor's grant alone, and from when the tenant keeps it.
    pub until: Option<Micros>,
    /// The person of the tenant who keeps it.
    pub kept_by: Option<Box<str>>,
}

/// When a way in for bulk loading was opened and when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportTimes {
    /// When it was opened.
    pub opened: Micros,
    /// From then on it is no right any more, and no token of it is renewed.
    pub until: Micros,
}

/// What is needed to make a client.
#[derive(Clone, Debug)]
pub struct NewClient {
    /// Its id.
    pub id: ClientId,
    /// A name for people.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// Public keys, for `private_key_jwt`.
    pub jwks: Option<ClientKeys>,
    /// For how long it is a way in for bulk loading.
    pub import: Option<ImportTimes>,
    /// How it takes part in sign-ins of people.
    pub program: Option<Program>,
    /// The roles by which the tenant's policy governs it.
    pub roles: Option<Arc<[RoleAt]>>,
    /// The vendor whose grant bounds it.
    pub vendor: Option<VendorId>,
    /// What certificates of connections are to it.
    pub certificates: CertificateTerms,
    /// What it says about itself.
    pub about: ClientAbout,
    /// That an operator makes it.
    pub made: Option<MadeByOperator>,
}

impl NewClient {
    /// As [`ClientRecord::acts_alone`].
    pub fn acts_alone(&self) -> bool {
        acts_alone(&self.scopes)
    }
}

fn acts_alone(scopes: &Scopes) -> bool {
    let system = |s: &ResourceScope| s.context == ScopeContext::System;
    scopes.resources().iter().any(system)
}

impl ClientRecord {
    /// Whether it is a right at this time.
    pub fn is_good(&self, now: Micros) -> bool {
        !self.revoked && self.until().is_none_or(|until| now < until)
    }

    /// Whether it is no right before somebody of the tenant keeps it.
    pub fn waits(&self) -> bool {
        let made = self.made.as_ref().filter(|made| made.kept_by.is_none());
        !self.revoked && made.is_some_and(|made| made.until == Some(made.at))
    }

    /// When it ends by itself, if it does.
    pub fn until(&self) -> Option<Micros> {
        let import = self.import.map(|times| times.until);
        import.or(self.made.as_ref().and_then(|made| made.until))
    }

    /// Whether it opens records without a person of the tenant.
    pub fn acts_alone(&self) -> bool {
        acts_alone(&self.scopes)
    }

    /// Whether it cannot keep a secret.
    pub fn is_public(&self) -> bool {
        self.program.as_ref().is_some_and(|program| program.public)
    }

    /// Whether it proves who it is by a secret, where it does not by keys.
    pub fn has_secret(&self) -> bool {
        !self.is_public() && self.certificates.by.is_none()
    }

    /// Who it is in audit lines. A way in for bulk loading is named with its reason.
    pub fn actor(&self) -> Actor {
        let id = self.id.as_str();
        match self.import {
            None => {
                let roles = self.roles.as_deref().unwrap_or_default();
                Actor::holding(&format!("client:{id}"), roles)
            }
            Some(_) => Actor::new(&format!("import:{id} {}", self.name)),
        }
    }

    /// The principal, if the secret is the client's and the client is not revoked. A way in for bulk
    /// loading has no secret.
    pub fn authenticate(
        &self,
        tenant: &TenantId,
        key: &SecretKey,
        secret: &str,
    ) -> Option<Principal> {
        let good = hmac::verify(&key.0, secret.as_bytes(), &self.secret_hash).is_ok();
        let by_secret = self.import.is_none() && self.has_secret();
        (good && !self.revoked && by_secret).then(|| {
            let own = self.scopes.only(&[ScopeContext::System]);
            self.principal(tenant, Arc::new(own))
        })
    }

    pub(crate) fn principal(&self, tenant: &TenantId, scopes: Arc<Scopes>) -> Principal {
        Principal(Who::Client {
            tenant: tenant.clone(),
            id: self.id.clone(),
            scopes,
            epoch: self.epoch,
            import_until: self.import.map(|times| times.until),
            roles: self.roles.clone(),
            vendor: self.vendor.clone(),
            actor: self.actor(),
        })
    }
}
