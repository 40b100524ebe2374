//! Credentials become a [`Session`], an operator, or an access token. Nothing else makes a
//! session.
//!
//! Bearer tokens and Basic credentials are checked once and remembered by digest; what is
//! remembered holds only as long as the client's record keeps its epoch, so revoking a client
//! acts on the next request.

mod arrival;
mod assertion;
mod attempts;
mod authorize;
mod choice;
mod documents;
mod end_session;
mod exchange;
mod guesses;
mod identity;
mod keys;
mod launch;
mod passkeys;
mod password;
mod provider;
mod rights;
mod sealed;
mod sign_in;
mod token;
mod totp;
mod unknown;
mod vendor;
mod verdict;
mod visitor;

use std::net::IpAddr;
use std::sync::Arc;

use access::{ClientId, Principal, RequestMeta, ShownCertificate, Why};
use base::{Code, Micros};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use store::TenantStore;
use zeroize::Zeroizing;

pub use arrival::{Arrival, Departure, Going};
pub(crate) use assertion::{Replays, has_certificates, is_usable_jwks};
pub(crate) use attempts::{Attempts, Door, HOUSE, network};
pub use authorize::{
    Asked as AuthorizationAsked, AuthorizeRequest, LaunchDraft, LaunchMade, Next, OauthError,
    Question,
};
pub use choice::Clinic;
pub(crate) use documents::Documents;
pub use end_session::EndSession;
pub(crate) use guesses::Guesses;
pub use passkeys::{PasskeyQuestion, PasskeyView, Proving};
pub(crate) use password::Passwords;
pub(crate) use rights::Remembered;
pub(crate) use sealed::{open as unseal, seal};
pub(crate) use sign_in::normal_login;
pub use sign_in::{From as SignInFrom, NewSession, SignedIn};
pub use token::{Granted, TokenFailure, TokenRequest};
pub(crate) use totp::UsedCodes;
pub(crate) use unknown::Unknown;
pub(crate) use verdict::Verdicts;
pub use visitor::{AccountView, ApprovalView, InvitedByOperator, SessionView, Visitor};

use crate::failure::Failure;
use crate::house::{Gate, House};
use crate::links::{Reached, origin};
use crate::session::Session;
use crate::tenants::Operator;
use verdict::{Named, Verdict};

/// What a request brought to be recognised by.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// The `Authorization` header.
    pub authorization: Option<&'a [u8]>,
    /// Where the request comes from.
    pub from: IpAddr,
    /// Why access is asked for: the header `Access-Reason`.
    pub reason: Option<&'a str>,
    /// The certificate that the client of the connection showed and holds the key of.
    pub certificate: Option<&'a ShownCertificate>,
}

impl std::fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(…)")
    }
}

impl Gate {
    /// Lets a caller in whose credentials are good for this tenant.
    ///
    /// # Errors
    /// `credentials-missing`, `credentials-invalid`, `token-expired`, `rate-limited`.
    pub async fn enter(
        self,
        credentials: Credentials<'_>,
        request: RequestMeta,
    ) -> Result<Session, Failure> {
        let header = credentials
            .authorization
            .ok_or(Failure::of(Code::CredentialsMissing))?;
        let digest = verdict::digest(&self.tenant, header);
        let store = self.house.0.store.tenant(&self.tenant);
        if let Some(known) = self.house.0.verdicts.get(&digest, request.at)
            && store.stands(&known.principal, known.token.as_ref(), request.at)
        {
            return self.session(store, known, credentials, request).await;
        }
        match self.recognise(header, request).await {
            Ok(verdict) => {
                self.house
                    .0
                    .verdicts
                    .put(digest, verdict.clone(), request.at);
                self.session(store, verdict, credentials, request).await
            }
            Err(failure) => {
                if failure.code() == Code::CredentialsInvalid {
                    self.failed(credentials, request)?;
                    self.note_unrecognised(&store, header, request).await?;
                }
                Err(failure)
            }
        }
    }

    async fn session(
        self,
        store: TenantStore,
        verdict: Verdict,
        credentials: Credentials<'_>,
        mut request: RequestMeta,
    ) -> Result<Session, Failure> {
        request.why = credentials.reason.map_or(Why::NONE, Why::new);
        self.must_be_bound(&store, &verdict, credentials, request)
            .await?;
        let Verdict {
            principal, rights, ..
        } = verdict;
        let vendor = self.bounded(&store, &principal, credentials, request);
        let vendor = vendor.await?;
        let who = (&*principal, vendor);
        let rights = self.rights(&store, who, Some(&rights), credentials, request.at);
        let rights = rights.await?;
        Ok(Session::new(self, store, principal, rights, request))
    }

    /// A token that is bound to a certificate is one over connections that were made with it, and over no
    /// others (RFC 8705 section 3). Where its client is recognised by a name, an authority vouches for the
    /// certificate with each request.
    async fn must_be_bound(
        &self,
        store: &TenantStore,
        verdict: &Verdict,
        credentials: Credentials<'_>,
        request: RequestMeta,
    ) -> Result<(), Failure> {
        let Some(certificate) = &verdict.certificate else {
            return Ok(());
        };
        let shown = credentials.certificate.filter(|c| c.sha256 == *certificate);
        let named = verdict.named.as_ref();
        let what = match named.is_none_or(|named| named.is_in(shown)) {
            true if shown.is_some() => return Ok(()),
            false if shown.is_some() => "use a token with a certificate that counts no more",
            _ => "use a token over a connection without its certificate",
        };
        self.failed(credentials, request)?;
        let (actor, code) = (verdict.principal.actor(), Code::TokenBound);
        store.not_let_in(request, &actor, what, code).await?;
        Err(Failure::of(code))
    }

    /// Counts credentials that were not good. Good ones are never held up by bad ones of others at
    /// the same address: what is guessed at are keys of 256 bits.
    fn failed(&self, credentials: Credentials<'_>, request: RequestMeta) -> Result<(), Failure> {
        let (attempts, door) = (&self.house.0.attempts, self.tenant.bytes());
        self.house.0.metrics.failed_logins.inc();
        attempts.check(door, credentials.from, request.at)?;
        attempts.failed(door, credentials.from, request.at);
        Ok(())
    }

    /// Records that a client that there is did not prove who it is, as where tokens are given, or that
    /// credentials are good for nobody.
    async fn note_unrecognised(
        &self,
        store: &TenantStore,
        header: &[u8],
        request: RequestMeta,
    ) -> Result<(), Failure> {
        let words = std::str::from_utf8(header).ok();
        let words = words.and_then(|text| text.split_once(' '));
        let basic = words.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"));
        let claimed = basic.and_then(|(_, value)| decode_basic(value.trim()));
        let record = match claimed {
            Some((id, _)) => store.client(&id).await?,
            None => None,
        };
        let Some(record) = record else {
            let what = "show invalid credentials";
            return self.note_unknown(store, what, request).await;
        };
        let (actor, code) = (record.actor(), Code::CredentialsInvalid);
        store
            .not_let_in(request, &actor, "show own secret", code)
            .await?;
        Ok(())
    }

    /// Counts credentials that are good for nobody, and records them where that is due.
    async fn note_unknown(
        &self,
        store: &TenantStore,
        what: &str,
        mut request: RequestMeta,
    ) -> Result<(), Failure> {
        // Without an address nothing asks from outside.
        let Some(from) = request.from else {
            return Ok(());
        };
        let door = self.tenant.bytes();
        let Some(due) = self.house.0.unknown.met(door, from, request.at) else {
            return Ok(());
        };
        request.from = request.from.filter(|_| due.of_one);
        store.unknown_not_let_in(request, what, due.times).await?;
        Ok(())
    }

    async fn recognise(&self, header: &[u8], request: RequestMeta) -> Result<Verdict, Failure> {
        let invalid = || Failure::of(Code::CredentialsInvalid);
        let text = std::str::from_utf8(header).map_err(|_| invalid())?;
        let (scheme, value) = text.split_once(' ').ok_or_else(invalid)?;
        if scheme.eq_ignore_ascii_case("bearer") {
            self.bearer(value.trim(), request).await
        } else if scheme.eq_ignore_ascii_case("basic") {
            let (principal, until) = self.basic(value.trim(), request).await?;
            Ok(Verdict {
                principal: Arc::new(principal),
                until,
                token: None,
                certificate: None,
                named: None,
                rights: Arc::default(),
            })
        } else {
            Err(invalid())
        }
    }

    async fn bearer(&self, token: &str, request: RequestMeta) -> Result<Verdict, Failure> {
        let invalid = || Failure::of(Code::CredentialsInvalid);
        let store = self.house.0.store.tenant(&self.tenant);
        let key = store.token_key().await?;
        let verified = key
            .verify(token, request.at)
            .map_err(|e| Failure::of(e.code()))?;
        let record = store.client(verified.client()).await?;
        let record = record.filter(|record| record.is_good(request.at));
        let record = record.ok_or_else(invalid)?;
        let principal = match verified.approval() {
            None => key.principal(&verified, &record, self.model()),
            Some(approval) => {
                let approval = store.approval(approval).await?.ok_or_else(invalid)?;
                let person = store.person(&approval.record.person).await?;
                let person = person.ok_or_else(invalid)?;
                let (approval, person) = (&approval.record, &person.record);
                key.person(
                    &verified,
                    approval,
                    person,
                    &record,
                    (self.model(), request.at),
                )
            }
        };
        let principal = principal.map_err(|e| Failure::of(e.code()))?;
        let ended = match verified.approval() {
            Some(_) => !store.stands(&principal, Some(verified.id()), request.at),
            None => store.is_ended_token(verified.id()).await?,
        };
        if ended {
            return Err(invalid());
        }
        Ok(Verdict {
            principal: Arc::new(principal),
            until: Some(
                record
                    .until()
                    .map_or(verified.expires(), |until| until.min(verified.expires())),
            ),
            token: Some(*verified.id()),
            certificate: verified.certificate().copied(),
            named: Named::of(&record.certificates),
            rights: Arc::default(),
        })
    }

    /// HTTP Basic (RFC 7617) with client id and secret.
    async fn basic(
        &self,
        encoded: &str,
        request: RequestMeta,
    ) -> Result<(Principal, Option<Micros>), Failure> {
        let invalid = || Failure::of(Code::CredentialsInvalid);
        let (id, secret) = decode_basic(encoded).ok_or_else(invalid)?;
        let store = self.house.0.store.tenant(&self.tenant);
        let record = store.client(&id).await?.ok_or_else(invalid)?;
        // What is bound is a token; a secret alone would go around it.
        if record.certificates.bound || !record.is_good(request.at) {
            return Err(invalid());
        }
        let key = store.secret_key().await?;
        let principal = record.authenticate(&self.tenant, &key, &secret);
        Ok((principal.ok_or_else(invalid)?, record.until()))
    }
}

fn decode_basic(encoded: &str) -> Option<(ClientId, Zeroizing<String>)> {
    let bytes = Zeroizing::new(STANDARD.decode(encoded).ok()?);
    let text = std::str::from_utf8(&bytes).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((ClientId::new(id)?, Zeroizing::new(secret.to_owned())))
}

impl House {
    /// An operator, by their token.
    ///
    /// # Errors
    /// `credentials-missing`, `credentials-invalid`, `rate-limited`.
    pub fn operator(
        &self,
        credentials: Credentials<'_>,
        request: RequestMeta,
        reached: Reached<'_>,
    ) -> Result<Operator, Failure> {
        let header = credentials
            .authorization
            .ok_or(Failure::of(Code::CredentialsMissing))?;
        let presented = std::str::from_utf8(header)
            .ok()
            .and_then(|h| h.split_once(' '));
        let presented = presented.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let store = &self.0.store;
        match presented.and_then(|(_, value)| store.operator(value.trim())) {
            Some(principal) => {
                self.0.rates.spend_operator(&self.0.metrics)?;
                let origin = origin(&self.0.config, reached);
                Ok(Operator::new(self.clone(), principal, request, origin))
            }
            None => {
                self.0
                    .attempts
                    .check(&HOUSE, credentials.from, request.at)?;
                self.0.attempts.failed(&HOUSE, credentials.from, request.at);
                self.0.metrics.failed_logins.inc();
                Err(Failure::of(Code::CredentialsInvalid))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials_decode_or_not() {
        let (id, secret) = decode_basic(&STANDARD.encode("c-1:a:b")).unwrap();
        assert_eq!((id.as_str(), secret.as_str()), ("c-1", "a:b"));
        for bad in [
            "",
            "%%%",
            &STANDARD.encode("nocolon"),
            &STANDARD.encode("ü:x"),
        ] {
            assert!(decode_basic(bad).is_none(), "{bad}");
        }
    }
}
