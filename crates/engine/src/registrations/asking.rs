//! What programs ask for themselves: to be registered (RFC 7591), and to read, change and drop what is
//! registered of them (RFC 7592).

use access::{ClientId, ClientRecord, RequestMeta};
use base::{Code, Micros, Secret};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use store::{Registration, RegistrationBy};

use super::metadata::{Metadata, Takes};
use super::{INVITATION, Kept, Registering, RegistrationFailure, internal, kept, seconds};
use crate::auth::{network, unseal};
use crate::clients::fresh_id;
use crate::failure::Failure;
use crate::house::Gate;

/// What registration access tokens are hashes for.
const REGISTERED: &str = "registration access";

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
