//! The token endpoint: `client_credentials` (RFC 6749 section 4.4) for confidential clients with
//! `client_secret_basic`, for SMART Backend Services with `private_key_jwt`, and with certificates
//! (RFC 8705); codes and refresh tokens of approvals, for public clients too.
//!
//! A secret in the request's body (`client_secret_post`) is refused: it would be one more place
//! where secrets travel.

use access::{ByCertificate, ClientId, ClientRecord, Issuing, RequestMeta, ScopeContext, Scopes};
use base::Code;
use store::TenantStore;

use super::{Credentials, assertion, decode_basic};
use crate::failure::Failure;
use crate::house::Gate;

/// The parameters of a token request that are looked at.
#[derive(Default)]
pub struct TokenRequest {
    /// `grant_type`
    pub grant_type: Option<String>,
    /// `scope`
    pub scope: Option<String>,
    /// `client_assertion_type`
    pub assertion_type: Option<String>,
    /// `client_assertion`
    pub assertion: Option<String>,
    /// Whether `client_secret` was in the body.
    pub secret_in_body: bool,
    /// `client_id`
    pub client_id: Option<String>,
    /// `code`
    pub code: Option<String>,
    /// `redirect_uri`
    pub redirect: Option<String>,
    /// `code_verifier`
    pub verifier: Option<String>,
    /// `refresh_token`
    pub refresh: Option<String>,
    /// `token`, of an introspection or a revocation.
    pub token: Option<String>,
}

impl std::fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenRequest(…)")
    }
}

/// A granted access token.
pub struct Granted {
    /// The token.
    pub access_token: String,
    /// Its life.
    pub expires_seconds: i64,
    /// What it allows.
    pub scope: String,
    /// Further members of the answer: refresh token, identity token, launch context.
    pub more: serde_json::Map<String, serde_json::Value>,
}

impl std::fmt::Debug for Granted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Granted(…)")
    }
}

/// Why no token was given, in the words of RFC 6749 section 5.2.
#[derive(Clone, Debug)]
pub enum TokenFailure {
    /// `invalid_request`
    Request(&'static str),
    /// `invalid_client`
    Client,
    /// `invalid_client`: its keys were not to be had, and why.
    Keys(String),
    /// `unsupported_grant_type`
    Grant,
    /// `invalid_grant`: a code or refresh token that is not good.
    Spent,
    /// `unauthorized_client`
    Unauthorized,
    /// `unauthorized_client`, by the grant of the client's vendor.
    Vendor(Code),
    /// `invalid_scope`
    Scope,
    /// Not the caller's fault, or too many failures.
    Other(Failure),
}

impl From<Failure> for TokenFailure {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

impl TokenFailure {
    /// A refusal by the grant of a vendor in the words of OAuth; others stay what they are.
    pub(super) fn of_vendor(failure: Failure) -> Self {
        match failure.kind() {
            base::Kind::Forbidden => Self::Vendor(failure.code()),
            _ => Self::Other(failure),
        }
    }
}

/// The certificate that the tokens of a client are bound to, if they are.
fn bound_to(
    record: &ClientRecord,
    credentials: Credentials<'_>,
) -> Result<Option<[u8; 32]>, TokenFailure> {
    match (record.certificates.bound, credentials.certificate) {
        (false, _) => Ok(None),
        (true, Some(shown)) => Ok(Some(shown.sha256)),
        (true, None) => Err(TokenFailure::Request(
            "tokens of this client are bound to its certificate: make the connection with one",
        )),
    }
}

/// A client whose keys are not to be had cannot prove who it is; it is told why.
fn keys_failed(failure: Failure) -> TokenFailure {
    match failure.code() {
        Code::OutboundRefused | Code::OutboundFailed => {
            TokenFailure::Keys(format!("the keys at jwks_uri: {}", failure.text()))
        }
        _ => TokenFailure::Other(failure),
    }
}

impl Gate {
    /// Gives an access token to a client that proves who it is.
    ///
    /// # Errors
    /// See [`TokenFailure`].
    pub async fn token(
        &self,
        asked: &TokenRequest,
        credentials: Credentials<'_>,
        request: RequestMeta,
    ) -> Result<Granted, TokenFailure> {
        let grant = match asked.grant_type.as_deref() {
            Some(known @ ("client_credentials" | "authorization_code" | "refresh_token")) => known,
            Some(_) => return Err(TokenFailure::Grant),
            None => return Err(TokenFailure::Request("grant_type is missing")),
        };
        let store = self.house.0.store.tenant(&self.tenant);
        let record = self.proved(&store, asked, credentials, request).await?;
        let bounded = self.bounded_client(&store, &record, credentials, request);
        bounded.await.map_err(TokenFailure::of_vendor)?;
        let bound = bound_to(&record, credentials)?;
        match grant {
            "authorization_code" => {
                return self.exchange(asked, (&record, bound), request).await;
            }
            "refresh_token" => return self.refresh(asked, (&record, bound), request).await,
            _ if record.is_public() => return Err(TokenFailure::Unauthorized),
            _ => {}
        }
        let scopes = self.scopes(&record, asked.scope.as_deref())?;
        // Recorded before it is given: there must be no token that no record tells of.
        let deed = self.signing(request, Some(record.actor()), "give token")?;
        store.signing(deed).await.map_err(Failure::from)?;
        let life = self.house.0.config.access_token_seconds;
        let random = self.house.0.rng.bytes();
        let key = store.token_key().await.map_err(Failure::from)?;
        let issuing = Issuing {
            issuer: &self.links.issuer(),
            now: request.at,
            lifetime_secs: life,
            random,
            certificate: bound,
        };
        let token = key.issue(&record, &scopes, issuing);
        self.house.0.metrics.tokens_issued.inc();
        Ok(Granted {
            access_token: token.ok_or(Failure::of(Code::Internal))?,
            expires_seconds: life,
            scope: scopes.as_str().to_owned(),
            more: serde_json::Map::new(),
        })
    }

    /// The client that proves who it is; a public one only says it.
    pub(crate) async fn proved(
        &self,
        store: &TenantStore,
        asked: &TokenRequest,
        credentials: Credentials<'_>,
        request: RequestMeta,
    ) -> Result<ClientRecord, TokenFailure> {
        if asked.secret_in_body {
            return Err(TokenFailure::Request(
                "send the client secret by HTTP Basic",
            ));
        }
        let proved = self.prove(store, asked, credentials, request).await?;
        let of_body = |record: &ClientRecord| {
            let id = asked.client_id.as_deref();
            id.is_none_or(|id| id == record.id.as_str())
        };
        match proved.filter(of_body) {
            Some(record) => Ok(record),
            None => {
                self.failed(credentials, request)?;
                self.note_unproved(store, asked, credentials, request)
                    .await?;
                Err(TokenFailure::Client)
            }
        }
    }

    /// Records that a client that there is did not prove who it is, or that there is none.
    async fn note_unproved(
        &self,
        store: &TenantStore,
        asked: &TokenRequest,
        credentials: Credentials<'_>,
        request: RequestMeta,
    ) -> Result<(), Failure> {
        let header = credentials
            .authorization
            .and_then(|h| std::str::from_utf8(h).ok());
        let basic = header
            .and_then(|h| h.split_once(' '))
            .and_then(|(_, value)| decode_basic(value.trim()));
        let claimed = basic
            .map(|(id, _)| id)
            .or_else(|| {
                asked
                    .assertion
                    .as_deref()
                    .and_then(assertion::claimed_client)
            })
            .or_else(|| asked.client_id.as_deref().and_then(ClientId::new));
        let record = match claimed {
            Some(id) => store.client(&id).await?,
            None => None,
        };
        let Some(record) = record else {
            let what = "give token to unknown client";
            return self.note_unknown(store, what, request).await;
        };
        let code = Code::CredentialsInvalid;
        store
            .not_let_in(request, &record.actor(), "give token", code)
            .await?;
        Ok(())
    }

    async fn prove(
        &self,
        store: &TenantStore,
        asked: &TokenRequest,
        credentials: Credentials<'_>,
        request: RequestMeta,
    ) -> Result<Option<ClientRecord>, TokenFailure> {
        let header = credentials
            .authorization
            .and_then(|h| std::str::from_utf8(h).ok());
        match (header.and_then(|h| h.split_once(' ')), &asked.assertion) {
            (Some(_), Some(_)) => Err(TokenFailure::Request("two ways to authenticate at once")),
            (Some((scheme, value)), None) if scheme.eq_ignore_ascii_case("basic") => {
                let Some((id, secret)) = decode_basic(value.trim()) else {
                    return Ok(None);
                };
                let Some(record) = store.client(&id).await.map_err(Failure::from)? else {
                    return Ok(None);
                };
                let key = store.secret_key().await.map_err(Failure::from)?;
                Ok(record
                    .authenticate(&self.tenant, &key, &secret)
                    .filter(|_| record.is_good(request.at))
                    .map(|_| record))
            }
            (None, Some(assertion)) => {
                if asked.assertion_type.as_deref() != Some(assertion::ASSERTION_TYPE) {
                    return Err(TokenFailure::Request(
                        "client_assertion_type is not jwt-bearer",
                    ));
                }
                let Some(id) = assertion::claimed_client(assertion) else {
                    return Ok(None);
                };
                let Some(record) = store.client(&id).await.map_err(Failure::from)? else {
                    return Ok(None);
                };
                if !record.is_good(request.at) || record.certificates.by.is_some() {
                    return Ok(None);
                }
                let good = self.is_of_client(assertion, &record, request.at).await;
                Ok(good.map_err(keys_failed)?.then_some(record))
            }
            (None, None) => {
                let Some(id) = asked.client_id.as_deref().and_then(ClientId::new) else {
                    return Ok(None);
                };
                let record = store.client(&id).await.map_err(Failure::from)?;
                let Some(record) = record.filter(|r| r.is_good(request.at)) else {
                    return Ok(None);
                };
                let good = match &record.certificates.by {
                    None => record.is_public(),
                    Some(by) => self.shows_own(&record, by, credentials, request).await?,
                };
                Ok(good.then_some(record))
            }
            _ => Ok(None),
        }
    }

    /// Whether the connection was made with the certificate of a client (RFC 8705 section 2).
    async fn shows_own(
        &self,
        record: &ClientRecord,
        by: &ByCertificate,
        credentials: Credentials<'_>,
        request: RequestMeta,
    ) -> Result<bool, TokenFailure> {
        let Some(shown) = credentials.certificate else {
            return Ok(false);
        };
        match (by, &record.jwks) {
            (ByCertificate::SelfSigned, Some(keys)) => {
                let (house, door) = (&self.house, self.tenant.bytes());
                let found = house.is_certificate_of(door, keys, shown, request.at);
                found.await.map_err(keys_failed)
            }
            (ByCertificate::SelfSigned, None) => Ok(false),
            (named, _) => {
                let authority = record.certificates.authority.as_ref();
                Ok(named.is_named_by(shown, authority))
            }
        }
    }

    /// The part of what was asked for that the client has for itself; all that it has when nothing
    /// was asked.
    fn scopes(&self, record: &ClientRecord, asked: Option<&str>) -> Result<Scopes, TokenFailure> {
        let own = record.scopes.only(&[ScopeContext::System]);
        let Some(asked) = asked else {
            let none = own.resources().is_empty();
            return (!none).then_some(own).ok_or(TokenFailure::Scope);
        };
        let granted: Vec<&str> = asked
            .split_ascii_whitespace()
            .filter(|word| Scopes::parse(word, self.model()).is_ok_and(|one| own.gives(&one)))
            .collect();
        Scopes::parse(&granted.join(" "), self.model()).map_err(|_| TokenFailure::Scope)
    }
}
