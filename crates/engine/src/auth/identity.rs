//! Identity tokens (OpenID Connect Core, section 2) and the keys that sign them: RSA, as SMART App
//! Launch requires of `sso-openid-connect`. The keys are the tenant's own and are kept in its
//! database; a new one signs while those before it are still published.

use access::{ActionName, Administer, Permit, PersonRecord, Reason, Scopes};
use base::{Code, Micros};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::traits::PublicKeyParts;
use serde::Serialize;
use store::{Approval, Deed, Person, SigningKey};

use crate::failure::Failure;
use crate::house::Gate;
use crate::session::Session;

const BITS: usize = 2_048;
/// Seconds for which an identity token is good.
const LIFE: i64 = 600;
/// Seconds for which a retired key is still published.
const PUBLISHED: i64 = 86_400;
/// Keys that are published at once.
const PUBLISHED_MAX: usize = 5;

/// base::Rng in the words of the library that makes RSA keys.
struct Random<'r>(&'r dyn base::Rng);

impl rsa::rand_core::RngCore for Random<'_> {
    fn next_u32(&mut self) -> u32 {
        u32::from_be_bytes(self.0.bytes())
    }

    fn next_u64(&mut self) -> u64 {
        u64::from_be_bytes(self.0.bytes())
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        self.0.fill(out);
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
        self.0.fill(out);
        Ok(())
    }
}

impl rsa::rand_core::CryptoRng for Random<'_> {}

fn make(rng: &dyn base::Rng, now: Micros) -> Option<SigningKey> {
    let pair = rsa::RsaPrivateKey::new(&mut Random(rng), BITS).ok()?;
    let kid = format!("{:016x}", u64::from_be_bytes(rng.bytes()));
    let number = |n: &rsa::BigUint| URL_SAFE_NO_PAD.encode(n.to_bytes_be());
    let public = serde_json::json!({
        "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid,
        "n": number(pair.n()), "e": number(pair.e()),
    });
    Some(SigningKey {
        kid,
        alg: "RS256".to_owned(),
        pair: pair.to_pkcs1_der().ok()?.as_bytes().to_vec(),
        public: public.to_string(),
        made: now,
        retired: None,
    })
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: String,
    sub: &'a str,
    aud: &'a str,
    exp: i64,
    iat: i64,
    auth_time: i64,
    acr: &'static str,
    amr: &'static [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<&'a str>,
    #[serde(flatten)]
    about: About<'a>,
}

/// What scopes tell about a person (OpenID Connect Core, section 5.4; SMART App Launch 2.2).
#[derive(Serialize)]
struct About<'a> {
    #[serde(rename = "fhirUser", skip_serializing_if = "Option::is_none")]
    fhir_user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred_username: Option<&'a str>,
}

/// What is told of a person at the UserInfo endpoint.
#[derive(Serialize)]
struct UserInfo<'a> {
    sub: &'a str,
    #[serde(flatten)]
    about: About<'a>,
}

impl Gate {
    /// Public keys of the tenant's tokens: a JWK Set.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn jwks(&self) -> Result<serde_json::Value, Failure> {
        let ed25519 = self.public_key().await?;
        let mut keys = vec![serde_json::json!({
            "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "access",
            "x": ed25519,
        })];
        let signing = self.store().signing_keys().await?;
        keys.extend(
            signing
                .iter()
                .filter_map(|key| serde_json::from_str(&key.public).ok()),
        );
        Ok(serde_json::json!({ "keys": keys }))
    }

    /// Makes the tenant's first key of identity tokens, if it has none.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn must_sign(&self) -> Result<SigningKey, Failure> {
        let keys = self.store().signing_keys().await?;
        match keys.iter().find(|key| key.retired.is_none()) {
            Some(key) => Ok(key.clone()),
            None => {
                let request = self.house.request();
                let permit = access::decide_system(Reason::Operation, &self.tenant, request);
                let permit = permit.map_err(|denied| Failure::from(&denied))?;
                self.new_signing_key(permit).await
            }
        }
    }

    /// Makes another key of identity tokens: it signs from now on; those before it are published for
    /// a day.
    ///
    /// # Errors
    /// `tenant-state` where there were many of late; those of the store.
    pub(crate) async fn new_signing_key(
        &self,
        permit: Permit<Administer>,
    ) -> Result<SigningKey, Failure> {
        let rng = self.house.0.rng.clone();
        let request = self.house.request();
        let known = self.store().signing_keys().await?;
        let still = |key: &&SigningKey| {
            let retired = key.retired;
            retired.is_none_or(|at| at.plus_secs(PUBLISHED) > request.at)
        };
        if known.iter().filter(still).count() >= PUBLISHED_MAX {
            return Err(Failure::new(
                Code::TenantState,
                "five keys are published already; those that sign no more go a day after they were followed",
            ));
        }
        let place = self.house.0.benches.place(*self.tenant.bytes()).await;
        let made = tokio::task::spawn_blocking(move || {
            let _place = place;
            make(&*rng, request.at)
        });
        let failed = || Failure::of(Code::Internal);
        let key = made.await.ok().flatten().ok_or_else(failed)?;
        let deed = Deed {
            permit,
            actor: None,
            what: format!("add signing key {}", key.kid),
            alerts: false,
        };
        let gone = request.at.plus_secs(-PUBLISHED);
        self.store()
            .add_signing_key(deed, key.clone(), gone)
            .await?;
        Ok(key)
    }

    fn told_about<'a>(&self, who: &'a PersonRecord, scopes: &Scopes) -> About<'a> {
        let fhir_user = who.fhir_user.as_ref().map(|(of, id)| {
            let of = self.model().type_name(*of);
            format!("{}/{of}/{}", self.links.fhir(), id.as_str())
        });
        let profile = scopes.has("profile");
        About {
            profile: fhir_user.clone().filter(|_| profile),
            fhir_user: fhir_user.filter(|_| scopes.has("fhirUser")),
            name: profile.then_some(&*who.name),
            preferred_username: profile.then_some(&*who.login),
        }
    }

    /// The identity token of an approval.
    pub(super) async fn id_token(
        &self,
        approval: &Approval,
        person: &Person,
        now: Micros,
        nonce: bool,
    ) -> Result<String, Failure> {
        let key = self.must_sign().await?;
        let (record, who) = (&approval.record, &person.record);
        let claims = Claims {
            iss: self.links.issuer(),
            sub: who.id.as_str(),
            aud: record.client.as_str(),
            exp: now.as_secs() + LIFE,
            iat: now.as_secs(),
            auth_time: record.authenticated.as_secs(),
            acr: record.assurance.acr(),
            amr: match record.assurance {
                access::Assurance::Password => &["pwd"],
                // Which two is not kept: a passkey is two by itself.
                access::Assurance::TwoFactors => &["mfa"],
            },
            nonce: approval.nonce.as_deref().filter(|_| nonce),
            sid: record.session.as_deref(),
            about: self.told_about(who, &record.scopes),
        };
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(key.kid.clone());
        let pair = EncodingKey::from_rsa_der(&key.pair);
        let signed = jsonwebtoken::encode(&header, &claims, &pair);
        signed.map_err(|_| Failure::of(Code::Internal))
    }
}

impl Session {
    /// What the token's scopes tell about the person whose it is (OpenID Connect Core, section 5.3.2).
    ///
    /// # Errors
    /// `scope-missing` for a token without `openid`, and for what a program has for itself.
    pub async fn userinfo(&self) -> Result<serde_json::Value, Failure> {
        let principal = self.principal();
        let scopes = principal.scopes().filter(|scopes| scopes.has("openid"));
        let (Some((id, _)), Some(scopes)) = (principal.person(), scopes) else {
            let code = Code::ScopeMissing;
            let _ = self.refuse_for(ActionName::Authenticate, None, code).await;
            return Err(Failure::new(
                code,
                "the token is of nobody, or without the scope openid",
            ));
        };
        let gate = self.gate();
        let permit = access::decide_system(Reason::Authentication, &gate.tenant, self.request);
        let deed = Deed {
            permit: permit.map_err(|denied| Failure::from(&denied))?,
            actor: Some(principal.actor()),
            what: "userinfo".to_owned(),
            alerts: false,
        };
        self.store.signing(deed).await?;
        let person = self.store.person(id).await?;
        let person = person.ok_or(Failure::of(Code::CredentialsInvalid))?;
        let told = UserInfo {
            sub: id.as_str(),
            about: gate.told_about(&person.record, scopes),
        };
        serde_json::to_value(told).map_err(|_| Failure::of(Code::Internal))
    }
}
