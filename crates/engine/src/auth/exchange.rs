//! What becomes of an approval at the token endpoint: a code is exchanged once, refresh tokens rotate,
//! and whatever is shown a second time ends the approval and all its tokens (RFC 9700 section 4.14);
//! and what the tenant tells about a token (RFC 7662), and how one is given back (RFC 7009).
//!
//! A refresh token is the approval's id, a number, and a keyed hash of both: nothing of it is kept but
//! the number that is good.

use access::{ClientRecord, Issuing, RequestMeta, Scopes, TokenError};
use base::Code;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use serde_json::{Map, Value, json};
use store::Approval;

use super::Credentials;
use super::token::{Granted, TokenFailure, TokenRequest};
use crate::failure::Failure;
use crate::house::Gate;

/// Tokens of an approval: for the first time, or again, perhaps for a part of its scopes.
enum Giving {
    First,
    Again(Option<Box<Scopes>>),
}

/// The tokens of an approval as they come back: which, and the number of a refresh token.
struct Presented<'t> {
    approval: &'t str,
    number: u64,
}

impl Gate {
    /// The approval that a code is of, if the code was made here.
    async fn code_of<'t>(&self, code: &'t str) -> Result<Option<&'t str>, Failure> {
        let Some((id, mac)) = code.split_once('.') else {
            return Ok(None);
        };
        let key = self.store().people_key().await?;
        let mac = URL_SAFE_NO_PAD.decode(mac).unwrap_or_default();
        Ok(key.is_hash("code", id, &mac).then_some(id))
    }

    /// The approval and number of a refresh token, if it was made here.
    async fn refresh_of<'t>(&self, token: &'t str) -> Result<Option<Presented<'t>>, Failure> {
        let Some((named, mac)) = token.rsplit_once('.') else {
            return Ok(None);
        };
        let key = self.store().people_key().await?;
        let mac = URL_SAFE_NO_PAD.decode(mac).unwrap_or_default();
        if !key.is_hash("refresh", named, &mac) {
            return Ok(None);
        }
        let parts = named.split_once('.');
        Ok(parts.and_then(|(approval, number)| {
            Some(Presented {
                approval,
                number: number.parse().ok()?,
            })
        }))
    }

    /// Exchanges a code for tokens.
    pub(super) async fn exchange(
        &self,
        asked: &TokenRequest,
        (client, bound): (&ClientRecord, Option<[u8; 32]>),
        request: RequestMeta,
    ) -> Result<Granted, TokenFailure> {
        let code = asked.code.as_deref();
        let code = code.ok_or(TokenFailure::Request("code is missing"))?;
        let Some(id) = self.code_of(code).await? else {
            return Err(TokenFailure::Spent);
        };
        let verifier = asked.verifier.as_deref().unwrap_or_default();
        let challenge =
            URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()));
        let redirect = asked.redirect.clone();
        let by = client.id.clone();
        // Refresh tokens of who proves nothing are bound too (RFC 8705 section 4).
        let certificate = bound.filter(|_| client.is_public());
        let sound = (43..=128).contains(&verifier.len());
        let change = move |approval: &mut Approval| {
            let terms = approval.code.take();
            let good = sound
                && approval.record.client == by
                && approval.record.is_good(request.at)
                && terms.is_some_and(|terms| {
                    request.at.0 < terms.until_us
                        && redirect.as_deref() == Some(&*terms.redirect)
                        && terms.challenge == challenge
                });
            // A code that is shown again, by another client or without what belongs to it was
            // stolen: what was given for it ends.
            approval.record.ended |= !good;
            approval.certificate = certificate;
            let scopes = &approval.record.scopes;
            if scopes.has("offline_access") || scopes.has("online_access") {
                approval.refresh = Some(1);
            }
            Ok(ended(approval))
        };
        let giving = (Giving::First, bound);
        self.change_and_give(id, client, "exchange code", request, change, giving)
            .await
    }

    /// Gives new tokens for a refresh token, which is none afterwards.
    pub(super) async fn refresh(
        &self,
        asked: &TokenRequest,
        (client, bound): (&ClientRecord, Option<[u8; 32]>),
        request: RequestMeta,
    ) -> Result<Granted, TokenFailure> {
        let token = asked.refresh.as_deref();
        let token = token.ok_or(TokenFailure::Request("refresh_token is missing"))?;
        let Some(presented) = self.refresh_of(token).await? else {
            return Err(TokenFailure::Spent);
        };
        let store = self.store();
        let known = store.approval(presented.approval).await;
        let known = known.map_err(Failure::from)?.ok_or(TokenFailure::Spent)?;
        if known.record.client != client.id {
            return Err(TokenFailure::Spent);
        }
        let mut narrower = None;
        if let Some(scope) = &asked.scope {
            let asked = Scopes::parse(scope, self.model()).map_err(|_| TokenFailure::Scope)?;
            let approved = client.scopes.narrowed_to(&known.record.scopes);
            if !approved.gives(&asked) {
                return Err(TokenFailure::Scope);
            }
            narrower = Some(approved.narrowed_to(&asked));
        }
        let number = presented.number;
        let change = move |approval: &mut Approval| {
            let same = approval.certificate.is_none() || approval.certificate == bound;
            let good = same && approval.record.is_good(request.at);
            let good = good && approval.refresh == Some(number);
            approval.record.ended |= !good;
            approval.refresh = Some(number.saturating_add(1).max(approval.refresh.unwrap_or(0)));
            Ok(ended(approval))
        };
        self.change_and_give(
            presented.approval,
            client,
            "refresh token",
            request,
            change,
            (Giving::Again(narrower.map(Box::new)), bound),
        )
        .await
    }

    /// Changes an approval and, if it is good afterwards, gives tokens of it.
    async fn change_and_give(
        &self,
        id: &str,
        client: &ClientRecord,
        what: &str,
        request: RequestMeta,
        change: impl FnOnce(&mut Approval) -> Result<Option<Code>, store::StoreError> + Send + 'static,
        giving: (Giving, Option<[u8; 32]>),
    ) -> Result<Granted, TokenFailure> {
        let store = self.store();
        let deed = self.signing(request, Some(client.actor()), what)?;
        let changed = match store.change_approval(deed, id, change).await {
            Ok(changed) => changed,
            Err(e) if e.code() == Code::CredentialsInvalid => return Err(TokenFailure::Spent),
            Err(e) => return Err(Failure::from(e).into()),
        };
        if changed.record.ended {
            return Err(TokenFailure::Spent);
        }
        self.give(&changed, client, request, giving).await
    }

    async fn give(
        &self,
        approval: &Approval,
        client: &ClientRecord,
        request: RequestMeta,
        (giving, bound): (Giving, Option<[u8; 32]>),
    ) -> Result<Granted, TokenFailure> {
        let store = self.store();
        let record = &approval.record;
        let (first, narrower) = match giving {
            Giving::First => (true, None),
            Giving::Again(narrower) => (false, narrower.map(|n| *n)),
        };
        let scopes = narrower.as_ref().unwrap_or(&record.scopes);
        let key = store.token_key().await.map_err(Failure::from)?;
        let (config, now) = (&self.house.0.config, request.at);
        let life = config.access_token_seconds;
        let random = self.house.0.rng.bytes();
        let issuing = Issuing {
            issuer: &self.links.issuer(),
            now,
            lifetime_secs: life,
            random,
            certificate: bound,
        };
        let token = key.issue_for(record, scopes, issuing);
        let token = token.ok_or(Failure::of(Code::Internal))?;
        // Whoever was disabled, signed out or changed meanwhile gets nothing.
        let person = store.person(&record.person).await.map_err(Failure::from)?;
        let person = person.ok_or(TokenFailure::Spent)?;
        let verified = key.verify(&token, now).map_err(|_| TokenFailure::Spent)?;
        let principal = key
            .person(
                &verified,
                record,
                &person.record,
                client,
                (self.model(), now),
            )
            .map_err(|_: TokenError| TokenFailure::Spent)?;
        if !store.stands(&principal, None, now) {
            return Err(TokenFailure::Spent);
        }
        let mut more = Map::new();
        if let Some(context) = &approval.context
            && let Ok(Value::Object(context)) = serde_json::from_str(context)
        {
            more = context;
        }
        if let Some(patient) = &record.patient {
            more.insert("patient".into(), json!(patient.as_str()));
            more.insert("need_patient_banner".into(), json!(true));
        }
        if let Some(number) = approval.refresh {
            let named = format!("{}.{number}", record.id);
            let key = store.people_key().await.map_err(Failure::from)?;
            let mac = URL_SAFE_NO_PAD.encode(key.hash("refresh", &named));
            more.insert("refresh_token".into(), json!(format!("{named}.{mac}")));
        }
        if scopes.has("openid") {
            let token = self.id_token(approval, &person, now, first).await?;
            more.insert("id_token".into(), json!(token));
        }
        self.house.0.metrics.tokens_issued.inc();
        let left = record.until.as_secs() - now.as_secs();
        Ok(Granted {
            access_token: token,
            expires_seconds: life.min(left),
            scope: scopes.as_str().to_owned(),
            more,
        })
    }

    /// What a token is, for a confidential client of the tenant (RFC 7662).
    ///
    /// # Errors
    /// As those of [`Self::token`].
    pub async fn introspect(
        &self,
        asked: &TokenRequest,
        credentials: Credentials<'_>,
        request: RequestMeta,
    ) -> Result<Value, TokenFailure> {
        let store = self.store();
        let asker = self.proved(&store, asked, credentials, request).await?;
        if asker.is_public() {
            return Err(TokenFailure::Client);
        }
        let bounded = self.bounded_client(&store, &asker, credentials, request);
        bounded.await.map_err(TokenFailure::of_vendor)?;
        let token = asked.token.as_deref();
        let token = token.ok_or(TokenFailure::Request("token is missing"))?;
        let deed = self.signing(request, Some(asker.actor()), "introspect")?;
        store.signing(deed).await.map_err(Failure::from)?;
        let told = match self.refresh_of(token).await? {
            Some(presented) => self.about_refresh(&presented, request).await?,
            None => self.about_access(token, request).await?,
        };
        Ok(told.unwrap_or_else(|| json!({ "active": false })))
    }

    async fn about_refresh(
        &self,
        presented: &Presented<'_>,
        request: RequestMeta,
    ) -> Result<Option<Value>, Failure> {
        let store = self.store();
        let Some(approval) = store.approval(presented.approval).await? else {
            return Ok(None);
        };
        let record = &approval.record;
        let good = record.is_good(request.at) && approval.refresh == Some(presented.number);
        let person = store.person(&record.person).await?;
        let same = person.is_some_and(|p| p.record.epoch == record.person_epoch)
            && store.client_epoch(&record.client) == Some(record.client_epoch);
        let client = store.client(&record.client).await?;
        let vendor = client.as_ref().and_then(|c| c.vendor.as_ref());
        let runs = self.vendor_runs(vendor, request.at).await.is_ok();
        Ok((good && same && runs).then(|| {
            json!({
                "active": true, "scope": record.scopes.as_str(), "token_type": "refresh_token",
                "client_id": record.client.as_str(), "sub": record.person.as_str(),
                "exp": record.until.as_secs(), "iss": self.links.issuer(),
            })
        }))
    }

    async fn about_access(
        &self,
        token: &str,
        request: RequestMeta,
    ) -> Result<Option<Value>, Failure> {
        let verdict = match self.bearer(token, request).await {
            Ok(verdict) => verdict,
            Err(e) if e.kind() == base::Kind::Unauthenticated => return Ok(None),
            Err(e) => return Err(e),
        };
        let who = &verdict.principal;
        if self.vendor_runs(who.vendor(), request.at).await.is_err() {
            return Ok(None);
        }
        let Some((client, _)) = who.client() else {
            return Ok(None);
        };
        let subject = who.person().map_or(client.as_str(), |(id, _)| id.as_str());
        let scope = who.scopes().map_or("", Scopes::as_str);
        let mut about = json!({
            "active": true, "scope": scope, "client_id": client.as_str(),
            "sub": subject, "token_type": "bearer", "iss": self.links.issuer(),
        });
        let more = about.as_object_mut();
        if let Some(more) = more {
            if let Some(sha256) = &verdict.certificate {
                let sha256 = URL_SAFE_NO_PAD.encode(sha256);
                more.insert("cnf".into(), json!({ "x5t#S256": sha256 }));
            }
            if let Some(until) = verdict.until {
                more.insert("exp".into(), json!(until.as_secs()));
            }
            if let Some(patient) = who.patient() {
                more.insert("patient".into(), json!(patient.as_str()));
            }
            // The context of the launch, as it was told with the token (SMART App Launch 2.2).
            let approval = match who.approval() {
                Some(id) => self.store().approval(id).await?,
                None => None,
            };
            let context = approval.as_ref().and_then(|a| a.context.as_deref());
            let context = context.and_then(|c| serde_json::from_str::<Map<String, Value>>(c).ok());
            more.extend(context.unwrap_or_default());
            let user = who
                .fhir_user()
                .filter(|_| who.scopes().is_some_and(|s| s.has("fhirUser")));
            if let Some((of, id)) = user {
                let of = self.model().type_name(of);
                let url = format!("{}/{of}/{}", self.links.fhir(), id.as_str());
                more.insert("fhirUser".into(), json!(url));
            }
        }
        Ok(Some(about))
    }

    /// Takes a token back (RFC 7009): with that of a person its approval and all its other tokens end, one that a
    /// program has for itself ends alone. A token that is none, or another client's, changes nothing and
    /// is told nothing about.
    ///
    /// # Errors
    /// As those of [`Self::token`].
    pub async fn revoke(
        &self,
        asked: &TokenRequest,
        credentials: Credentials<'_>,
        request: RequestMeta,
    ) -> Result<(), TokenFailure> {
        let store = self.store();
        let asker = self.proved(&store, asked, credentials, request).await?;
        let token = asked.token.as_deref();
        let token = token.ok_or(TokenFailure::Request("token is missing"))?;
        let id = match self.refresh_of(token).await? {
            Some(presented) => Some(presented.approval.to_owned()),
            None => {
                let key = store.token_key().await.map_err(Failure::from)?;
                let Ok(verified) = key.verify(token, request.at) else {
                    return Ok(());
                };
                let of = verified.approval().map(str::to_owned);
                if of.is_none() && *verified.client() == asker.id {
                    let deed = self.signing(request, Some(asker.actor()), "revoke token")?;
                    let (id, until) = (*verified.id(), verified.expires());
                    let ended = store.end_token(deed, (id, &asker.id), until).await;
                    return ended.map_err(|e| Failure::from(e).into());
                }
                of
            }
        };
        let Some(id) = id else { return Ok(()) };
        let known = store.approval(&id).await.map_err(Failure::from)?;
        if known.is_none_or(|a| a.record.client != asker.id) {
            return Ok(());
        }
        let deed = self.signing(request, Some(asker.actor()), "revoke token")?;
        let end = |approval: &mut Approval| {
            approval.record.ended = true;
            Ok(None)
        };
        let ended = store.change_approval(deed, &id, end).await;
        ended.map(drop).map_err(|e| Failure::from(e).into())
    }
}

/// With which code tokens of an approval are refused that ended.
fn ended(approval: &Approval) -> Option<Code> {
    approval.record.ended.then_some(Code::CredentialsInvalid)
}
