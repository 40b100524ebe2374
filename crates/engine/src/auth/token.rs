//! The token endpoint: `client_credentials` (RFC 6749 section 4.4) for confidential clients with
//! `client_secret_basic`, and for SMART Backend Services with `private_key_jwt`.
//!
//! A secret in the request's body (`client_secret_post`) is refused: it would be one more place
//! where secrets travel.

use access::{ClientRecord, RequestMeta, Scopes};
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
    /// `unsupported_grant_type`
    Grant,
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
        match asked.grant_type.as_deref() {
            Some("client_credentials") => {}
            Some(_) => return Err(TokenFailure::Grant),
            None => return Err(TokenFailure::Request("grant_type is missing")),
        }
        if asked.secret_in_body {
            return Err(TokenFailure::Request(
                "send the client secret by HTTP Basic",
            ));
        }
        let store = self.house.0.store.tenant(&self.tenant);
        let Some(record) = self.prove(&store, asked, credentials, request).await? else {
            self.house.0.metrics.failed_logins.inc();
            self.house.0.attempts.failed(credentials.from, request.at)?;
            return Err(TokenFailure::Client);
        };
        let scopes = self.scopes(&record, asked.scope.as_deref())?;
        let life = self.house.0.config.access_token_seconds;
        let random = self.house.0.rng.bytes();
        let key = store.token_key().await.map_err(Failure::from)?;
        let token = key.issue(
            self.links.issuer(),
            &record,
            &scopes,
            request.at,
            life,
            random,
        );
        self.house.0.metrics.tokens_issued.inc();
        Ok(Granted {
            access_token: token.ok_or(Failure::of(Code::Internal))?,
            expires_seconds: life,
            scope: scopes.as_str().to_owned(),
        })
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
                let good = !record.revoked
                    && assertion::check(
                        assertion,
                        &record,
                        &self.tenant,
                        &self.links.token(),
                        &self.house.0.replays,
                        request.at,
                    );
                Ok(good.then_some(record))
            }
            _ => Ok(None),
        }
    }

    /// The part of what was asked for that the client has; all that it has when nothing was asked.
    fn scopes(&self, record: &ClientRecord, asked: Option<&str>) -> Result<Scopes, TokenFailure> {
        let Some(asked) = asked else {
            return Ok((*record.scopes).clone());
        };
        let granted: Vec<&str> = asked
            .split_ascii_whitespace()
            .filter(|word| {
                Scopes::parse(word, self.model()).is_ok_and(|one| record.scopes.covers(&one))
            })
            .collect();
        Scopes::parse(&granted.join(" "), self.model()).map_err(|_| TokenFailure::Scope)
    }
}
