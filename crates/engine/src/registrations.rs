//! Dynamic registration (RFC 7591) behind an approval: whoever asks gets an id, and a secret where it
//! has one, that are good for nothing until somebody of the clinic, or the operator, approves them.

mod asking;
mod deciding;
mod metadata;

use std::net::IpAddr;

use access::{ClientAbout, ClientRecord, RequestMeta};
use base::Code;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::SHA256;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::Registration;

use crate::failure::Failure;
use metadata::Metadata;

/// What initial access tokens are sealed for.
const INVITATION: &str = "initial access token";

/// Why a program was not registered, in the words of RFC 7591 section 3.2.2.
#[derive(Clone, Debug)]
pub enum RegistrationFailure {
    /// `invalid_redirect_uri`
    Redirect(String),
    /// `invalid_client_metadata`
    Metadata(String),
    /// The initial access token, or the registration access token, is not good or is missing.
    Token,
    /// Not the program's fault, or too many.
    Other(Failure),
}

impl From<Failure> for RegistrationFailure {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

impl From<store::StoreError> for RegistrationFailure {
    fn from(error: store::StoreError) -> Self {
        Self::Other(error.into())
    }
}

/// A program that asks to be registered.
#[derive(Clone, Copy)]
pub struct Registering<'a> {
    /// What it says about itself: JSON.
    pub metadata: &'a [u8],
    /// The initial access token that it shows.
    pub token: Option<&'a str>,
    /// From where.
    pub from: IpAddr,
    /// For which request.
    pub request: RequestMeta,
}

impl std::fmt::Debug for Registering<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Registering(…)")
    }
}

/// A program that waits for approval, as those see it who decide.
#[derive(Debug, Serialize)]
pub struct RegistrationView {
    /// Its id, once it is a client.
    pub client_id: String,
    /// What it calls itself.
    pub client_name: String,
    /// Since when it waits.
    pub asked: String,
    /// Until when it may wait.
    pub until: String,
    /// From where it asked.
    pub from: String,
    /// Whether it was invited: it showed an initial access token.
    pub invited: bool,
    /// What it asks for.
    pub scopes: Vec<String>,
    /// Where people are sent back to.
    pub redirect_uris: Vec<String>,
    /// How it proves who it is.
    pub token_endpoint_auth_method: String,
    /// Whom to ask.
    pub contacts: Vec<String>,
    /// All that it says about itself.
    pub metadata: Value,
    /// Whether it is a client already, and asks to be another.
    pub changes: bool,
    /// What it asks for by a digest: whoever decides says what they looked at.
    pub record: String,
    /// The vendor whose grant bounds the client that it is already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// The roles by which policy governs the client that it is already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<String>>,
    /// The authority that vouches for the certificate of the client that it is already: SHA-256.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
}

/// What is decided about a program that waits.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistrationDecision {
    /// `approve` or `refuse`.
    pub decision: String,
    /// What was looked at: [`RegistrationView::record`]. Without it, what the program asked for first.
    #[serde(default)]
    pub record: Option<String>,
    /// A part of what it asks for; all of it without.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    /// The roles by which policy governs it; somebody of the clinic names them where it acts without a
    /// person. A client keeps those that it has without them.
    #[serde(default)]
    pub roles: Option<Vec<String>>,
    /// The vendor whose grant bounds it. A client keeps the one that it has without.
    #[serde(default)]
    pub vendor: Option<String>,
    /// The authority that vouches for the name in its certificate, where there are several: SHA-256. A
    /// client keeps the one that it has without.
    #[serde(default)]
    pub authority: Option<String>,
    /// Why an operator decides so; nobody else says it.
    #[serde(default)]
    pub reason: Option<String>,
    /// For how many days, as of a client that an operator makes.
    #[serde(default)]
    pub days: Option<u32>,
}

/// An initial access token (RFC 7591 section 3).
#[derive(Serialize)]
pub struct InitialAccess {
    initial_access_token: String,
    until: String,
    registration_endpoint: String,
}

impl std::fmt::Debug for InitialAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InitialAccess(…)")
    }
}

/// A registration as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    from: String,
    metadata: Metadata,
    /// Whether it asked for something else before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    again: bool,
}

/// Refuses what a program cannot say about itself.
pub(crate) fn check_about(about: &ClientAbout) -> Result<(), Failure> {
    metadata::check_about(about).map_err(|failure| match failure {
        RegistrationFailure::Metadata(text) | RegistrationFailure::Redirect(text) => invalid(text),
        RegistrationFailure::Other(failure) => failure,
        RegistrationFailure::Token => Failure::of(Code::Internal),
    })
}

fn internal(_: impl std::fmt::Debug) -> Failure {
    Failure::of(Code::Internal)
}

fn invalid(text: impl Into<std::borrow::Cow<'static, str>>) -> Failure {
    Failure::new(Code::RequestInvalid, text)
}

fn unknown() -> Failure {
    Failure::of(Code::ClientUnknown)
}

fn seconds(limit: u64) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn kept(registration: &Registration) -> Result<Kept, Failure> {
    serde_json::from_str(&registration.record).map_err(internal)
}

/// What a program asks for, by a digest.
fn digest_of(registration: &Registration) -> String {
    let digest = ring::digest::digest(&SHA256, registration.record.as_bytes());
    URL_SAFE_NO_PAD.encode(digest)
}

fn view_of(
    registration: &Registration,
    client: Option<&ClientRecord>,
) -> Result<RegistrationView, Failure> {
    let Kept { from, metadata, .. } = kept(registration)?;
    let words = |text: Option<&String>| {
        let text = text.map_or("", String::as_str);
        text.split(' ')
            .filter(|w| !w.is_empty())
            .map(str::to_owned)
            .collect()
    };
    Ok(RegistrationView {
        client_id: registration.id.as_str().to_owned(),
        client_name: metadata.client_name.clone().unwrap_or_default(),
        asked: registration.made.instant().to_string(),
        until: registration.until.instant().to_string(),
        from,
        invited: registration.invited,
        scopes: words(metadata.scope.as_ref()),
        redirect_uris: metadata.redirect_uris.clone().unwrap_or_default(),
        token_endpoint_auth_method: metadata.method().to_owned(),
        contacts: metadata.about.contacts.clone(),
        metadata: serde_json::to_value(&metadata).map_err(internal)?,
        changes: client.is_some(),
        record: digest_of(registration),
        vendor: client.and_then(|c| Some(c.vendor.as_ref()?.as_str().to_owned())),
        roles: client
            .and_then(|c| Some(c.roles.as_ref()?.iter().map(ToString::to_string).collect())),
        authority: client.and_then(|c| Some(c.certificates.authority?.to_string())),
    })
}
