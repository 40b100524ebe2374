//! People, their sessions and their approvals.

use std::fmt;

use access::{ApprovalRecord, ClientId, PersonRecord, RoleAt, SessionRecord};
use base::Micros;
use serde::{Deserialize, Serialize};

/// A person, with what they prove themselves with.
#[derive(Clone)]
pub struct Person {
    /// Who they are.
    pub record: PersonRecord,
    /// What they prove themselves with.
    pub proofs: Proofs,
    /// When they were made known.
    pub made: Micros,
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Person({})", self.record.id.as_str())
    }
}

/// What a person proves themselves with. Does not print.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Proofs {
    /// The password's argon2id hash, in PHC form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The secret of one-time codes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub totp: Option<Totp>,
    /// Keyed hashes of recovery codes that were not used yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recovery: Vec<[u8; 32]>,
    /// The link by which they set a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invitation: Option<Invitation>,
    /// Their accounts at identity providers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<Account>,
    /// What they have by claims of identity providers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub claimed: Vec<Claimed>,
    /// The identity provider that made them known, by its name in addresses: nobody of the tenant did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_by: Option<String>,
    /// Their passkeys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub passkeys: Vec<KeptPasskey>,
    /// They signed in before what they proved themselves with was taken off.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub was_here: bool,
}

/// What a person has by the claims of an identity provider, and loses with them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claimed {
    /// The provider (`iss`).
    pub issuer: String,
    /// Roles that they would not have otherwise.
    pub roles: Vec<String>,
    /// Whether the resource that stands for them is by a claim.
    #[serde(default)]
    pub fhir_user: bool,
}

impl Person {
    /// Takes off what they have by the claims of any issuer.
    pub fn take_all_claims_off(&mut self) {
        while let Some(claimed) = self.proofs.claimed.first() {
            let issuer = claimed.issuer.clone();
            self.take_claims_off(&issuer);
        }
    }

    /// Takes off what they have by the claims of an issuer; whether there was anything. What was given to
    /// them before ends.
    pub fn take_claims_off(&mut self, issuer: &str) -> bool {
        let (gone, stay): (Vec<Claimed>, Vec<Claimed>) = std::mem::take(&mut self.proofs.claimed)
            .into_iter()
            .partition(|claimed| claimed.issuer == issuer);
        self.proofs.claimed = stay;
        for claimed in &gone {
            let by_claim = |role: &RoleAt| claimed.roles.contains(&role.to_string());
            let roles = self.record.roles.iter().filter(|role| !by_claim(role));
            self.record.roles = roles.cloned().collect();
            if claimed.fhir_user {
                self.record.fhir_user = None;
            }
        }
        self.record.epoch += u64::from(!gone.is_empty());
        !gone.is_empty()
    }
}

impl Through {
    /// Whether it is through a provider: by its name in addresses, or by its issuer where the name is not said.
    pub fn is_of(&self, provider: &str, issuer: &str) -> bool {
        match &self.provider {
            Some(of) => of == provider,
            None => self.account.issuer == issuer,
        }
    }
}

impl Proofs {
    /// Whether they are asked for more than a password.
    pub fn has_second_factor(&self) -> bool {
        self.totp.as_ref().is_some_and(|t| t.confirmed) || !self.passkeys.is_empty()
    }

    /// Drops what was begun and not confirmed: it was begun on the ground of what they proved then.
    pub fn drop_begun(&mut self) {
        self.totp = self.totp.take().filter(|t| t.confirmed);
    }

    /// What is left of them for somebody who is invited anew: nothing but that they were here.
    #[must_use]
    pub fn taken_off(&self) -> Self {
        Self {
            was_here: self.was_here || self.suffice(),
            ..Self::default()
        }
    }

    /// Whether they can prove themselves without being invited.
    pub fn suffice(&self) -> bool {
        self.password.is_some() || !self.accounts.is_empty()
    }
}

impl fmt::Debug for Proofs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proofs(…)")
    }
}

/// A passkey (Web Authentication): a public key, and what has to be known to check with it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPasskey {
    /// The credential's id, as browsers write it.
    pub id: String,
    /// What its person calls it.
    pub name: String,
    /// When it was added, in microseconds of Unix time.
    pub made_us: i64,
    /// The key, as whoever checks with it wrote it down.
    pub key: String,
    /// What is known of its last use; nothing if it was not used since it was added.
    #[serde(skip)]
    pub used: Option<PasskeyUse>,
}

/// The last use of a passkey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasskeyUse {
    /// How often it was used by then, as the device counts; 0 where it does not.
    pub counter: u32,
    /// Whether copies of it may be kept elsewhere.
    pub eligible: bool,
    /// Whether one is.
    pub backed_up: bool,
}

/// One-time codes by time (RFC 6238).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totp {
    /// The shared secret.
    pub secret: Vec<u8>,
    /// Whether the person showed that they have it.
    pub confirmed: bool,
}

/// A link by which a person sets a password, once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// Keyed hash of what the link carries.
    pub hash: [u8; 32],
    /// Until when, in microseconds of Unix time.
    pub until_us: i64,
    /// From when on, where it is an operator's: those who are here can say something about it until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_us: Option<i64>,
}

/// An account at an identity provider. Nothing but both texts together says whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Account {
    /// The provider (`iss`).
    pub issuer: String,
    /// Whom it means by what (`sub`).
    pub subject: String,
}

/// Through which account a session was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Through {
    /// The account.
    #[serde(flatten)]
    pub account: Account,
    /// What the provider calls its own session (`sid`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// The provider, by its name in addresses; sessions of an earlier version do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
}

/// A program that asked to be registered and waits for somebody's approval. It is no client.
#[derive(Clone)]
pub struct Registration {
    /// The id that it was given.
    pub id: ClientId,
    /// When it asked.
    pub made: Micros,
    /// Until when it waits.
    pub until: Micros,
    /// From which network it asked.
    pub network: String,
    /// Whether it showed that it was invited.
    pub invited: bool,
    /// Keyed hash of the secret that it was given.
    pub secret_hash: Option<[u8; 32]>,
    /// What it says about itself, as whoever checked it wrote it down: JSON.
    pub record: Box<str>,
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registration({})", self.id.as_str())
    }
}

/// A session of a person's browser.
#[derive(Clone, Debug)]
pub struct BrowserSession {
    /// What it is.
    pub record: SessionRecord,
    /// When it began.
    pub began: Micros,
    /// What the browser called itself.
    pub agent: Box<str>,
    /// From where it was begun.
    pub address: Box<str>,
    /// Through which account of an identity provider.
    pub through: Option<Through>,
}

/// What a person approved a program for, with what its tokens need.
#[derive(Clone, Debug)]
pub struct Approval {
    /// What it is.
    pub record: ApprovalRecord,
    /// When it was given.
    pub began: Micros,
    /// Terms of the code, until it is exchanged.
    pub code: Option<CodeTerms>,
    /// The number of its refresh token that is good; without one it has none.
    pub refresh: Option<u64>,
    /// SHA-256 of the certificate that its refresh tokens are bound to.
    pub certificate: Option<[u8; 32]>,
    /// Further context of the launch, as the token answer tells it: a JSON object.
    pub context: Option<Box<str>>,
    /// `nonce` of the request, for identity tokens.
    pub nonce: Option<Box<str>>,
}

/// On which terms a code is exchanged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeTerms {
    /// Until when, in microseconds of Unix time.
    pub until_us: i64,
    /// The `redirect_uri` of the request.
    pub redirect: String,
    /// The `code_challenge` (S256).
    pub challenge: String,
}

/// A pair of keys that signs identity tokens. Does not print.
#[derive(Clone)]
pub struct SigningKey {
    /// Its name in JWK Sets.
    pub kid: String,
    /// `RS256`, …
    pub alg: String,
    /// The pair, in DER.
    pub pair: Vec<u8>,
    /// The public key as a JWK.
    pub public: String,
    /// When it was made.
    pub made: Micros,
    /// Since when it signs nothing any more.
    pub retired: Option<Micros>,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.kid)
    }
}
