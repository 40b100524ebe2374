//! Bearer tokens: JWTs signed (Ed25519) with a key of one tenant, worthless in any other.

use std::sync::Arc;

use base::{Code, Kind, Micros, Secret};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fhir::definitions::Model;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde::{Deserialize, Serialize};

use crate::client::{ClientId, ClientRecord};
use crate::directory::TenantId;
use crate::person::{ApprovalRecord, PersonRecord};
use crate::principal::Principal;
use crate::scope::{ScopeContext, Scopes};

/// Why a token was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a token, not of this tenant, or altered.
    #[error("the token is not good here")]
    Invalid,
    /// It was good once.
    #[error("the token has expired")]
    Expired,
}

impl TokenError {
    /// What kind of failure it is.
    pub const fn kind(self) -> Kind {
        Kind::Unauthenticated
    }

    /// Its stable code.
    pub const fn code(self) -> Code {
        match self {
            Self::Invalid => Code::CredentialsInvalid,
            Self::Expired => Code::TokenExpired,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    /// The tenant's id; the issuer URL may change, this does not.
    tid: String,
    scope: String,
    iat: i64,
    exp: i64,
    jti: String,
    /// The client's epoch when the token was issued.
    epoch: u64,
    /// The program, where a person is the subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// The approval that a person's token is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approval: Option<String>,
    /// The certificate that it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
}

/// `cnf` (RFC 8705 section 3.1).
#[derive(Serialize, Deserialize)]
struct Confirmation {
    #[serde(rename = "x5t#S256")]
    sha256: String,
}

/// By whom, when, for how long and for whose connections a token is made.
#[derive(Clone, Copy)]
pub struct Issuing<'a> {
    /// `iss`
    pub issuer: &'a str,
    /// When.
    pub now: Micros,
    /// Its life in seconds, if nothing else ends before.
    pub lifetime_secs: i64,
    /// Its id.
    pub random: [u8; 16],
    /// SHA-256 of the certificate that it is bound to.
    pub certificate: Option<[u8; 32]>,
}

impl std::fmt::Debug for Issuing<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Issuing(…)")
    }
}

impl Issuing<'_> {
    fn confirmation(&self) -> Option<Confirmation> {
        self.certificate.map(|sha256| Confirmation {
            sha256: URL_SAFE_NO_PAD.encode(sha256),
        })
    }
}

/// A token's content after its signature, tenant and times were checked. Becomes a [`Principal`]
/// when the client's record is at hand.
#[derive(Clone, Debug)]
pub struct Verified {
    client: ClientId,
    epoch: u64,
    scope: String,
    expires: Micros,
    approval: Option<Box<str>>,
    id: [u8; 16],
    certificate: Option<[u8; 32]>,
}

impl Verified {
    /// The approval whose record must be looked up, for a token of a person.
    pub fn approval(&self) -> Option<&str> {
        self.approval.as_deref()
    }

    /// The token's own id, by which it can be taken back.
    pub const fn id(&self) -> &[u8; 16] {
        &self.id
    }

    /// SHA-256 of the certificate that it is bound to: over other connections it is none.
    pub const fn certificate(&self) -> Option<&[u8; 32]> {
        self.certificate.as_ref()
    }

    /// The client whose record must be looked up.
    pub const fn client(&self) -> &ClientId {
        &self.client
    }

    /// When the token ends.
    pub const fn expires(&self) -> Micros {
        self.expires
    }
}

/// The pair of keys with which one tenant signs its tokens.
pub struct TokenKey {
    tenant: TenantId,
    sign: EncodingKey,
    verify: DecodingKey,
    public: [u8; 32],
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenKey({:?})", self.tenant)
    }
}

impl TokenKey {
    /// Derives the pair from 32 secret bytes of the tenant.
    pub fn new(tenant: TenantId, seed: &Secret<[u8; 32]>) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).ok()?;
        let mut public = [0; 32];
        public
            .iter_mut()
            .zip(pair.public_key().as_ref())
            .for_each(|(o, b)| *o = *b);
        let sign = EncodingKey::from_ed_der(&pkcs8(seed.expose(), &public));
        let verify = DecodingKey::from_ed_der(&public);
        Some(Self {
            tenant,
            sign,
            verify,
            public,
        })
    }

    /// The public key, for a JWK Set.
    pub const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// A token for a client. `scopes` must already be narrowed to the client's. That of a way in for
    /// bulk loading ends with it at the latest.
    pub fn issue(
        &self,
        client: &ClientRecord,
        scopes: &Scopes,
        issuing: Issuing<'_>,
    ) -> Option<String> {
        let life = issuing.now.as_secs() + issuing.lifetime_secs;
        let claims = Claims {
            iss: issuing.issuer.to_owned(),
            sub: client.id.as_str().to_owned(),
            tid: self.tenant.hex(),
            scope: scopes.as_str().to_owned(),
            iat: issuing.now.as_secs(),
            exp: client
                .until()
                .map_or(life, |until| life.min(until.as_secs())),
            jti: base::ids::uuid_text(issuing.random),
            epoch: client.epoch,
            client_id: None,
            approval: None,
            cnf: issuing.confirmation(),
        };
        self.encode(&claims)
    }

    /// A token of an approval, for the program to act for the person. `scopes` are the approved ones,
    /// or a part of them.
    pub fn issue_for(
        &self,
        approval: &ApprovalRecord,
        scopes: &Scopes,
        issuing: Issuing<'_>,
    ) -> Option<String> {
        let life = issuing.now.as_secs() + issuing.lifetime_secs;
        self.encode(&Claims {
            iss: issuing.issuer.to_owned(),
            sub: approval.person.as_str().to_owned(),
            tid: self.tenant.hex(),
            scope: scopes.as_str().to_owned(),
            iat: issuing.now.as_secs(),
            exp: life.min(approval.until.as_secs()),
            jti: base::ids::uuid_text(issuing.random),
            epoch: approval.client_epoch,
            client_id: Some(approval.client.as_str().to_owned()),
            approval: Some(approval.id.to_string()),
            cnf: issuing.confirmation(),
        })
    }

    fn encode(&self, claims: &Claims) -> Option<String> {
        jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), claims, &self.sign).ok()
    }

    /// Checks signature, algorithm, tenant and times of a token.
    pub fn verify(&self, token: &str, now: Micros) -> Result<Verified, TokenError> {
        let mut rules = Validation::new(Algorithm::EdDSA);
        rules.validate_exp = false; // checked below against the clock we were given
        rules.validate_aud = false;
        rules.required_spec_claims.clear();
        let data = jsonwebtoken::decode::<Claims>(token, &self.verify, &rules)
            .map_err(|_| TokenError::Invalid)?;
        let claims = data.claims;
        if claims.tid != self.tenant.hex() || claims.iat > now.as_secs() + 60 {
            return Err(TokenError::Invalid);
        }
        if claims.exp <= now.as_secs() {
            return Err(TokenError::Expired);
        }
        // One that is bound to something that we do not know is good for nobody.
        let certificate = claims.cnf.map(|cnf| {
            let bytes = URL_SAFE_NO_PAD.decode(cnf.sha256).ok();
            let bytes = bytes.and_then(|b| <[u8; 32]>::try_from(b).ok());
            bytes.ok_or(TokenError::Invalid)
        });
        Ok(Verified {
            client: ClientId::new(claims.client_id.as_ref().unwrap_or(&claims.sub))
                .ok_or(TokenError::Invalid)?,
            epoch: claims.epoch,
            scope: claims.scope,
            expires: Micros(claims.exp.saturating_mul(1_000_000)),
            approval: claims.approval.map(Into::into),
            id: base::ids::uuid_bytes(&claims.jti).ok_or(TokenError::Invalid)?,
            certificate: certificate.transpose()?,
        })
    }

    /// The principal of a verified client token, if the client's record still has the epoch that
    /// the token was issued under and is not revoked.
    pub fn principal(
        &self,
        verified: &Verified,
        record: &ClientRecord,
        model: &Model,
    ) -> Result<Principal, TokenError> {
        let same = verified.client == record.id && verified.epoch == record.epoch;
        if !same || record.revoked || verified.approval.is_some() {
            return Err(TokenError::Invalid);
        }
        let asked = Scopes::parse(&verified.scope, model).map_err(|_| TokenError::Invalid)?;
        let own = record.scopes.only(&[ScopeContext::System]);
        Ok(record.principal(&self.tenant, Arc::new(own.narrowed_to(&asked))))
    }

    /// The principal of a verified token of a person, if approval, person and program are as they
    /// were when the token was issued. It has the scopes of the token, as far as they are approved.
    pub fn person(
        &self,
        verified: &Verified,
        approval: &ApprovalRecord,
        person: &PersonRecord,
        client: &ClientRecord,
        (model, now): (&Model, Micros),
    ) -> Result<Principal, TokenError> {
        let same = verified.approval.as_deref() == Some(&*approval.id)
            && verified.client == client.id
            && verified.epoch == client.epoch;
        if !same {
            return Err(TokenError::Invalid);
        }
        let approved = client.scopes.narrowed_to(&approval.scopes);
        let scopes = match verified.scope == approved.as_str() {
            true => approved,
            false => {
                let asked = Scopes::parse(&verified.scope, model);
                let asked = asked.map_err(|_| TokenError::Invalid)?;
                approved.narrowed_to(&asked)
            }
        };
        let scopes = Arc::new(scopes);
        let principal = approval.principal(&self.tenant, person, client, scopes, now);
        principal.ok_or(TokenError::Invalid)
    }
}

/// An Ed25519 private key in the DER of RFC 8410 (version 2, with the public key).
fn pkcs8(seed: &[u8; 32], public: &[u8; 32]) -> Vec<u8> {
    let mut der = vec![
        0x30, 0x51, 0x02, 0x01, 0x01, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70,
    ];
    der.extend_from_slice(&[0x04, 0x22, 0x04, 0x20]);
    der.extend_from_slice(seed);
    der.extend_from_slice(&[0x81, 0x21, 0x00]);
    der.extend_from_slice(public);
    der
}
