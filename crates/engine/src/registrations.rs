//! Dynamic registration (RFC 7591) behind an approval: whoever asks gets an id, and a secret where it
//! has one, that are good for nothing until somebody of the clinic, or the operator, approves them.

mod metadata;

use std::net::IpAddr;

use access::{
    Administer, Administering, Assurance, AuthorityDigest, ByCertificate, ClientAbout, ClientId,
    ClientRecord, MadeByOperator, NewClient, Permit, Reason, RequestMeta, ScopeContext, Scopes,
};
use base::{Code, Micros, Secret};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fhir::definitions::Model;
use ring::digest::SHA256;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use store::{Registration, RegistrationBy, TenantStore};

use crate::auth::{Visitor, network, seal, unseal};
use crate::clients::{ClientView, fresh_id, held, view};
use crate::failure::Failure;
use crate::house::{Gate, House};
use crate::tenants::Operator;
use crate::vendors::binding;
use metadata::{Metadata, Takes};

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

/// Whether a decision is about what a program asks for now. One that says nothing of what was looked at is
/// about what the program asked for first.
fn is_decided(record: Option<&str>, waiting: &Registration, again: bool) -> Result<(), Failure> {
    let conflict = |text: &'static str| Err(Failure::new(Code::VersionConflict, text));
    match record {
        Some(record) if record == digest_of(waiting) => Ok(()),
        None if !again => Ok(()),
        Some(_) => conflict("it asks for something else by now: look again"),
        None => conflict("it asks for something else than at first: look, and say the record"),
    }
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

impl Gate {
    fn takes(&self) -> Takes {
        let config = self.house.config();
        Takes {
            certificates: config.client_certificates,
            authorities: config.client_authorities,
        }
    }

    /// Whether whoever asks may, and by which token they were invited, if they were.
    async fn is_invited(
        &self,
        asks: &Registering<'_>,
    ) -> Result<Option<([u8; 16], Micros)>, RegistrationFailure> {
        let key = self.store().people_key().await?;
        let of_token = |token: &str| -> Option<([u8; 16], Micros)> {
            let (id, until): ([u8; 16], i64) = unseal(&key, INVITATION, token, asks.request.at)?;
            Some((id, Micros(until)))
        };
        let by = self.house.0.store.settings(&self.tenant).registration;
        match (asks.token, by) {
            (_, RegistrationBy::Nobody) => {
                let text = "this tenant registers no programs that ask by themselves";
                Err(Failure::new(Code::NotSupported, text).into())
            }
            (Some(token), _) => {
                let known = of_token(token).ok_or(RegistrationFailure::Token)?;
                Ok(Some(known))
            }
            (None, RegistrationBy::Anyone) => Ok(None),
            (None, _) => Err(RegistrationFailure::Token),
        }
    }

    /// What a program says about itself, checked.
    fn metadata(&self, body: &[u8]) -> Result<Metadata, RegistrationFailure> {
        let mut metadata = Metadata::read(body, self.model(), self.takes())?;
        if let Some(url) = &metadata.jwks_uri {
            let refused =
                |e: Failure| RegistrationFailure::Metadata(format!("jwks_uri: {}", e.text()));
            self.house.admits(url).map_err(refused)?;
        }
        metadata.leave_out_keys();
        Ok(metadata)
    }

    fn fresh_secret(&self) -> Secret<String> {
        Secret::new(URL_SAFE_NO_PAD.encode(self.house.0.rng.bytes::<32>()))
    }

    /// Keeps a program that asks to be registered: what it is told (RFC 7591 section 3.2.1).
    ///
    /// # Errors
    /// See [`RegistrationFailure`]; `rate-limited`, `limit-busy`, `not-supported`.
    pub async fn register(&self, asks: Registering<'_>) -> Result<Value, RegistrationFailure> {
        let (house, now) = (&self.house.0, asks.request.at);
        let door = self.tenant.bytes();
        house.registrations.check(door, asks.from, now)?;
        house.registrations.failed(door, asks.from, now);
        let metadata = self.metadata(asks.metadata)?;
        let by = self.is_invited(&asks).await?;
        let (id, store) = (fresh_id(&*house.rng)?, self.store());
        let secret = metadata.has_secret().then(|| self.fresh_secret());
        let key = store.secret_key().await?;
        let until = now.plus_secs(seconds(house.config.limits.registration_seconds_max));
        let kept = Kept {
            from: asks.from.to_string(),
            metadata,
            again: false,
        };
        let new = Registration {
            id: id.clone(),
            made: now,
            until,
            network: network(asks.from).to_string(),
            invited: by.is_some(),
            secret_hash: secret.as_ref().map(|s| key.hash(s.expose())),
            record: serde_json::to_string(&kept).map_err(internal)?.into(),
        };
        let what = format!("register client {} from {}", id.as_str(), asks.from);
        let deed = self.signing(asks.request, None, what)?;
        store.register(deed, new, by).await.map_err(used)?;
        let mut told = self.told(&id, &kept.metadata, secret.as_ref()).await?;
        told.insert("client_id_issued_at".into(), json!(now.as_secs()));
        Ok(Value::Object(told))
    }

    /// What a program is told about itself, at any time (RFC 7591 section 3.2.1, RFC 7592 section 3): with a
    /// secret that it was given just now.
    async fn told(
        &self,
        id: &ClientId,
        of: &Metadata,
        secret: Option<&Secret<String>>,
    ) -> Result<Map<String, Value>, Failure> {
        let Ok(Value::Object(mut told)) = serde_json::to_value(of) else {
            return Err(Failure::of(Code::Internal));
        };
        let own = self.links.auth(&format!("/register/{}", id.as_str()));
        told.insert("client_id".into(), json!(id.as_str()));
        told.insert("registration_client_uri".into(), json!(own));
        let key = self.store().people_key().await?;
        let mac = URL_SAFE_NO_PAD.encode(key.hash(REGISTERED, id.as_str()));
        told.insert("registration_access_token".into(), json!(mac));
        if let Some(secret) = secret {
            told.insert("client_secret".into(), json!(secret.expose()));
            told.insert("client_secret_expires_at".into(), json!(0));
        }
        Ok(told)
    }

    /// Whether a registration access token is that of a program; and one request less of what its address
    /// may ask, as nobody vouches for who registers.
    async fn is_registered_as(
        &self,
        id: &ClientId,
        token: Option<&str>,
        request: RequestMeta,
    ) -> Result<(), RegistrationFailure> {
        let key = self.store().people_key().await?;
        let mac = URL_SAFE_NO_PAD.decode(token.unwrap_or_default());
        let good = mac.is_ok_and(|mac| key.is_hash(REGISTERED, id.as_str(), &mac));
        if !good {
            return Err(RegistrationFailure::Token);
        }
        if let Some(from) = request.from {
            let (asked, door) = (&self.house.0.registrations, self.tenant.bytes());
            asked.check(door, from, request.at)?;
            asked.failed(door, from, request.at);
        }
        Ok(())
    }

    /// What waits of a program, and the client that it is by now.
    async fn registered_as(&self, id: &ClientId, now: Micros) -> Result<Registered, Failure> {
        let store = self.store();
        let client = store.client(id).await?;
        Ok(Registered {
            waiting: store.registration(id, now).await?,
            client: client.filter(|c| c.is_good(now) && c.import.is_none()),
        })
    }

    /// What a program is told of both: what is in force, and whether something waits.
    async fn told_of(
        &self,
        id: &ClientId,
        of: &Registered,
        secret: Option<&Secret<String>>,
    ) -> Result<Value, RegistrationFailure> {
        let metadata = match (&of.client, &of.waiting) {
            (Some(client), _) => Metadata::of_client(client),
            (None, Some(waiting)) => kept(waiting)?.metadata,
            (None, None) => return Err(RegistrationFailure::Token),
        };
        let mut told = self.told(id, &metadata, secret).await?;
        told.insert("approved".into(), json!(of.client.is_some()));
        if of.client.is_some() && of.waiting.is_some() {
            told.insert("change_waits".into(), json!(true));
        }
        Ok(Value::Object(told))
    }

    /// What is registered of a program that asks for it itself (RFC 7592 section 2.1); `approved` says
    /// whether it is a client by now.
    ///
    /// # Errors
    /// [`RegistrationFailure::Token`], also of one that was refused or revoked.
    pub async fn registered(
        &self,
        id: &str,
        token: Option<&str>,
        request: RequestMeta,
    ) -> Result<Value, RegistrationFailure> {
        let id = ClientId::new(id).ok_or(RegistrationFailure::Token)?;
        self.is_registered_as(&id, token, request).await?;
        let found = self.registered_as(&id, request.at).await?;
        self.told_of(&id, &found, None).await
    }

    /// Has a program be registered as something else (RFC 7592 section 2.2). What waits, waits as that; what a
    /// client asks for waits for approval, and it stays what it is meanwhile.
    ///
    /// # Errors
    /// As those of [`Self::register`].
    pub async fn register_anew(
        &self,
        id: &str,
        asks: Registering<'_>,
    ) -> Result<Value, RegistrationFailure> {
        let id = ClientId::new(id).ok_or(RegistrationFailure::Token)?;
        self.is_registered_as(&id, asks.token, asks.request).await?;
        let (now, store) = (asks.request.at, self.store());
        let found = self.registered_as(&id, now).await?;
        let known = match (&found.waiting, &found.client) {
            (Some(waiting), _) => waiting.secret_hash,
            (None, Some(client)) => client.has_secret().then_some(client.secret_hash),
            (None, None) => return Err(RegistrationFailure::Token),
        };
        let key = store.secret_key().await?;
        let own = |secret: &str| known == Some(key.hash(secret));
        is_about(&id, asks.metadata, own)?;
        let metadata = self.metadata(asks.metadata)?;
        let unchanged = |c: &ClientRecord| metadata.says_no_more_than(&Metadata::of_client(c));
        if found.waiting.is_none() && found.client.as_ref().is_some_and(unchanged) {
            return self.told_of(&id, &found, None).await;
        }
        let secret = (metadata.has_secret() && known.is_none()).then(|| self.fresh_secret());
        let fresh = secret.as_ref().map(|s| key.hash(s.expose()));
        let until = seconds(self.house.limits().registration_seconds_max);
        let kept = Kept {
            from: asks.from.to_string(),
            metadata,
            again: true,
        };
        let before = found.waiting.as_ref();
        let new = Registration {
            id: id.clone(),
            made: before.map_or(now, |w| w.made),
            until: before.map_or_else(|| now.plus_secs(until), |w| w.until),
            network: before.map_or_else(|| network(asks.from).to_string(), |w| w.network.clone()),
            invited: before.is_some_and(|w| w.invited),
            secret_hash: fresh.or(known).filter(|_| kept.metadata.has_secret()),
            record: serde_json::to_string(&kept).map_err(internal)?.into(),
        };
        let what = format!("register client {} anew from {}", id.as_str(), asks.from);
        let deed = self.signing(asks.request, None, what)?;
        match before.is_some() {
            true => store.register_anew(deed, new).await?,
            false => store.register(deed, new, None).await?,
        }
        let found = self.registered_as(&id, now).await?;
        self.told_of(&id, &found, secret.as_ref()).await
    }

    /// Drops the registration of a program that asks for it itself, and revokes the client that it is by
    /// now (RFC 7592 section 2.3).
    ///
    /// # Errors
    /// [`RegistrationFailure::Token`]
    pub async fn unregister(
        &self,
        id: &str,
        token: Option<&str>,
        request: RequestMeta,
    ) -> Result<(), RegistrationFailure> {
        let id = ClientId::new(id).ok_or(RegistrationFailure::Token)?;
        self.is_registered_as(&id, token, request).await?;
        let store = self.store();
        let found = self.registered_as(&id, request.at).await?;
        if found.waiting.is_none() && found.client.is_none() {
            return Err(RegistrationFailure::Token);
        }
        let from = request.from.map_or_else(String::new, |a| a.to_string());
        let what = format!(
            "unregister client {} by its own token from {from}",
            id.as_str()
        );
        store.signing(self.signing(request, None, what)?).await?;
        let permit = || Ok::<_, Failure>(self.signing(request, None, "unregister client")?.permit);
        if found.waiting.is_some() {
            match store.refuse_registration(permit()?, &id).await {
                // It was approved or refused meanwhile.
                Err(e) if e.code() == Code::ClientUnknown => {}
                done => done?,
            }
        }
        // Also one that was approved just now.
        let client = self.registered_as(&id, request.at).await?.client;
        if client.is_some() {
            store.revoke_client(permit()?, &id).await?;
        }
        Ok(())
    }
}

/// What there is of a program.
struct Registered {
    waiting: Option<Registration>,
    client: Option<ClientRecord>,
}

/// A token that was used is none.
fn used(error: store::StoreError) -> RegistrationFailure {
    match error.code() {
        Code::CredentialsInvalid => RegistrationFailure::Token,
        _ => error.into(),
    }
}

/// Whether a request to change a registration is about it, and repeats nothing that only the house says
/// (RFC 7592 section 2.2).
fn is_about(
    id: &ClientId,
    body: &[u8],
    is_secret: impl Fn(&str) -> bool,
) -> Result<(), RegistrationFailure> {
    let wrong = |about: &str| Err(RegistrationFailure::Metadata(about.to_owned()));
    let Ok(Value::Object(members)) = serde_json::from_slice(body) else {
        return wrong("the request is a JSON object");
    };
    if members.get("client_id").and_then(Value::as_str) != Some(id.as_str()) {
        return wrong("client_id is that of the registration");
    }
    for name in [
        "registration_access_token",
        "registration_client_uri",
        "client_secret_expires_at",
        "client_id_issued_at",
    ] {
        if members.contains_key(name) {
            return wrong(&format!("{name} is not part of the request"));
        }
    }
    match members.get("client_secret").map(Value::as_str) {
        None => Ok(()),
        Some(Some(secret)) if is_secret(secret) => Ok(()),
        Some(_) => wrong("client_secret is the one that was given"),
    }
}

/// What registration access tokens are hashes for.
const REGISTERED: &str = "registration access";

/// Who decides about programs that wait: a permit for each thing that is done.
struct Desk<'a> {
    store: &'a TenantStore,
    /// That an operator decides.
    made: Option<MadeByOperator>,
    /// Whether programs that act without a person are let in ungoverned by policy.
    ungoverned: bool,
    model: &'static Model,
}

impl Desk<'_> {
    async fn list(&self, permit: Permit<Administer>) -> Result<Vec<RegistrationView>, Failure> {
        let all = self.store.registrations(permit).await?;
        let mut views = Vec::with_capacity(all.len());
        for one in &all {
            let client = self.store.client(&one.id).await?;
            views.push(view_of(one, client.as_ref())?);
        }
        Ok(views)
    }

    async fn decide(
        &self,
        permit: Permit<Administer>,
        id: &str,
        decision: RegistrationDecision,
        now: Micros,
    ) -> Result<Option<ClientView>, Failure> {
        let id = ClientId::new(id).ok_or_else(unknown)?;
        match decision.decision.as_str() {
            "approve" => {}
            "refuse" => {
                self.store.refuse_registration(permit, &id).await?;
                return Ok(None);
            }
            _ => return Err(invalid("decision is approve or refuse")),
        }
        let waiting = self
            .store
            .registration(&id, now)
            .await?
            .ok_or_else(unknown)?;
        let Kept {
            metadata, again, ..
        } = kept(&waiting)?;
        if self.made.is_none() && (decision.reason.is_some() || decision.days.is_some()) {
            return Err(invalid("reason and days are said by operators"));
        }
        is_decided(decision.record.as_deref(), &waiting, again)?;
        // What it is by now stays so where nothing else is said of it: `store` keeps it with the change.
        let client = self.store.client(&id).await?;
        let asked = metadata.scope.as_deref().unwrap_or_default();
        let scopes = |text: &str| {
            let read = Scopes::parse(text, self.model);
            read.map_err(|e| Failure::new(Code::ScopeInvalid, e.to_string()))
        };
        let asked = scopes(asked)?;
        let given = match &decision.scopes {
            None => asked,
            Some(some) => {
                let some = scopes(&some.join(" "))?;
                if !asked.covers(&some) {
                    let text = "the program did not ask for all of these scopes";
                    return Err(Failure::new(Code::ScopeInvalid, text));
                }
                some
            }
        };
        let system = |s: &access::ResourceScope| s.context == ScopeContext::System;
        let alone = metadata.grants("client_credentials") || given.resources().iter().any(system);
        let governed =
            decision.roles.is_some() || client.as_ref().is_some_and(|c| c.roles.is_some());
        if alone && !governed && !self.ungoverned {
            let text = "it acts without a person: name the roles by which policy governs it";
            return Err(invalid(text));
        }
        let roles = decision.roles.as_deref().map(held).transpose()?;
        let bound = client
            .as_ref()
            .and_then(|c| Some(c.vendor.as_ref()?.as_str()));
        let vendor = match decision.vendor.as_deref().or(bound) {
            Some(vendor) => Some(binding(self.store, vendor, &given).await?),
            None => None,
        };
        let mut certificates = metadata.certificates();
        if let Some(authority) = &decision.authority {
            let named = matches!(&certificates.by, Some(by) if *by != ByCertificate::SelfSigned);
            let read = AuthorityDigest::parse(authority).filter(|_| named);
            let text =
                "authority is the SHA-256 of a certificate that vouches for the program's name";
            certificates.authority = Some(read.ok_or_else(|| invalid(text))?);
        }
        let new = NewClient {
            name: metadata
                .client_name
                .clone()
                .unwrap_or_else(|| id.as_str().to_owned()),
            id,
            scopes: given,
            jwks: metadata.keys(),
            import: None,
            program: metadata.program(),
            roles,
            vendor,
            certificates,
            about: metadata.about.clone(),
            made: self.made.clone(),
        };
        let record = &waiting.record;
        let made = self.store.approve_registration(permit, new, record).await?;
        Ok(Some(view(&made)))
    }
}

/// A fresh initial access token, for one registration; it is kept nowhere and ends by itself.
async fn invitation(
    house: &House,
    store: &TenantStore,
    endpoint: String,
    now: Micros,
) -> Result<InitialAccess, Failure> {
    let key = store.people_key().await?;
    let until = now.plus_secs(seconds(house.limits().registration_seconds_max));
    let token: ([u8; 16], i64) = (house.0.rng.bytes(), until.0);
    Ok(InitialAccess {
        initial_access_token: seal(&key, INVITATION, &token, until, &*house.0.rng)?,
        until: until.instant().to_string(),
        registration_endpoint: endpoint,
    })
}

impl Visitor {
    fn registrations_desk(&self) -> Desk<'_> {
        Desk {
            store: &self.store,
            made: None,
            ungoverned: false,
            model: self.gate.model(),
        }
    }

    /// Whoever holds a session that was left open lets no program in.
    pub(crate) async fn must_step_up(&self, what: &str) -> Result<(), Failure> {
        let fresh = seconds(self.gate.house.limits().step_up_seconds_max);
        if self.is_recognised(Assurance::TwoFactors, Some(fresh)) {
            return Ok(());
        }
        let (actor, code) = (self.person.record.actor(), Code::StepUpRequired);
        self.gate.house.0.metrics.denials.inc();
        let store = &self.store;
        store.not_let_in(self.request, &actor, what, code).await?;
        Err(Failure::of(code))
    }

    /// Programs that wait for approval, the oldest first.
    ///
    /// # Errors
    /// `scope-missing`
    pub async fn list_registrations(&self) -> Result<Vec<RegistrationView>, Failure> {
        let deed = self
            .deed(Administering::People, "list registrations")
            .await?;
        self.registrations_desk().list(deed.permit).await
    }

    /// Decides about a program that waits: the client that it is now, if it is one. Policy governs one that
    /// acts without a person.
    ///
    /// # Errors
    /// `scope-missing`, `step-up-required` without two factors shown of late, `client-unknown`, `scope-invalid`, `vendor-unknown`, `request-invalid`.
    pub async fn decide_registration(
        &self,
        id: &str,
        decision: RegistrationDecision,
    ) -> Result<Option<ClientView>, Failure> {
        let deed = self
            .deed(Administering::People, "decide about client")
            .await?;
        self.must_step_up("decide about client").await?;
        let now = self.request.at;
        self.registrations_desk()
            .decide(deed.permit, id, decision, now)
            .await
    }

    /// A token with which programs ask as invited ones.
    ///
    /// # Errors
    /// `scope-missing`, `step-up-required` without two factors shown of late.
    pub async fn invite_program(&self) -> Result<InitialAccess, Failure> {
        let what = "give initial access token";
        let deed = self.deed(Administering::People, what).await?;
        self.must_step_up(what).await?;
        self.store.signing(deed).await?;
        let endpoint = self.gate.links.auth("/register");
        invitation(&self.gate.house, &self.store, endpoint, self.request.at).await
    }
}

impl Operator {
    /// Programs of a tenant that wait for approval, the oldest first.
    ///
    /// # Errors
    /// `tenant-unknown`
    pub async fn list_registrations(&self, tenant: &str) -> Result<Vec<RegistrationView>, Failure> {
        let (tenant, store) = self.tenant(tenant)?;
        let permit = self.system(Reason::Operation, &tenant)?;
        let desk = Desk {
            store: &store,
            made: None,
            ungoverned: true,
            model: Model::of(tenant.fhir()),
        };
        desk.list(permit).await
    }

    /// Decides about a program of a tenant that waits: the client that it is now, if it is one.
    ///
    /// # Errors
    /// `tenant-unknown`, `client-unknown`, `scope-invalid`, `vendor-unknown`, `request-invalid`.
    pub async fn decide_registration(
        &self,
        tenant: &str,
        id: &str,
        decision: RegistrationDecision,
    ) -> Result<Option<ClientView>, Failure> {
        let (tenant, store) = self.tenant(tenant)?;
        let made = self.maker(decision.reason.as_deref(), decision.days)?;
        let permit = self.system(Reason::Operation, &tenant)?;
        let desk = Desk {
            store: &store,
            made: Some(made),
            ungoverned: true,
            model: Model::of(tenant.fhir()),
        };
        desk.decide(permit, id, decision, self.request.at).await
    }
}
