//! A person in their own browser, recognised by the cookie of a session, and what they do with their
//! own account.

use std::net::IpAddr;
use std::sync::Arc;

use access::{
    Administering, Assurance, PersonId, Principal, RequestMeta, TENANT_ADMINISTRATOR,
    decide_accounts,
};
use base::{Code, Micros};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use store::{Approval, BrowserSession, Deed, Person, StoreError, TenantStore, Totp};

use super::guesses::{Guesser, Place};
use super::passkeys::{PasskeyView, Proving};
use super::sign_in::half;
use super::{Credentials, password, totp};
use crate::failure::Failure;
use crate::house::Gate;
use crate::providers::ProviderOffer;
use crate::session::Session;

/// Seconds after which the use of a session is noted anew.
const NOTED_AFTER: i64 = 300;

/// A person in their own browser, for one request.
#[derive(Clone, Debug)]
pub struct Visitor {
    pub(crate) gate: Gate,
    pub(crate) store: TenantStore,
    pub(crate) principal: Arc<Principal>,
    pub(crate) person: Arc<Person>,
    pub(crate) session: Arc<BrowserSession>,
    pub(super) from: IpAddr,
    pub(crate) request: RequestMeta,
}

/// A session, as its person sees it.
#[derive(Debug)]
pub struct SessionView {
    /// Its id.
    pub id: String,
    /// When it began.
    pub began: Micros,
    /// When it was last used, to some minutes.
    pub used: Micros,
    /// What the browser called itself.
    pub agent: String,
    /// From where it was begun.
    pub address: String,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// An approval, as its person sees it.
#[derive(Debug)]
pub struct ApprovalView {
    /// Its id.
    pub id: String,
    /// The program's name.
    pub client: String,
    /// When it was given.
    pub began: Micros,
    /// What for.
    pub scopes: String,
}

/// An account, as its person sees it.
#[derive(Debug)]
pub struct AccountView {
    /// Their name.
    pub name: String,
    /// What they sign in with.
    pub login: String,
    /// Whether one-time codes are asked for.
    pub totp: bool,
    /// Recovery codes that are left.
    pub recovery_codes: usize,
    /// Whether they have a password.
    pub has_password: bool,
    /// Passkeys.
    pub passkeys: Vec<PasskeyView>,
    /// Whether passkeys can be used at the tenant's address.
    pub takes_passkeys: bool,
    /// Accounts at identity providers: issuer and subject.
    pub accounts: Vec<(String, String)>,
    /// Identity providers whose accounts can be linked.
    pub providers: Vec<ProviderOffer>,
    /// Sessions, the newest first.
    pub sessions: Vec<SessionView>,
    /// Approvals, the newest first.
    pub approvals: Vec<ApprovalView>,
    /// Whom operators invited to administer the tenant.
    pub invited_by_operators: Vec<InvitedByOperator>,
}

/// Somebody whom an operator invited to administer the tenant, and who may still come.
#[derive(Debug)]
pub struct InvitedByOperator {
    /// Their id.
    pub id: String,
    /// What they sign in with.
    pub login: String,
    /// From when on they may.
    pub from: Micros,
}

impl Gate {
    pub(crate) fn store(&self) -> TenantStore {
        self.house.0.store.tenant(&self.tenant)
    }

    /// The person whose session this cookie is of; none if it is of no good session of this tenant.
    ///
    /// # Errors
    /// `rate-limited`; those of the store.
    pub async fn visitor(
        &self,
        cookie: &str,
        from: IpAddr,
        request: RequestMeta,
    ) -> Result<Option<Visitor>, Failure> {
        let store = self.store();
        let key = store.people_key().await?;
        let found = store.session_of_cookie(&key.cookie_hash(cookie)).await?;
        let Some(session) = found else {
            return Ok(None);
        };
        let Some(person) = store.person(&session.record.person).await? else {
            return Ok(None);
        };
        let (now, model) = (request.at, self.model());
        let principal = key.recognise(cookie, &session.record, &person.record, model, now);
        let Some(principal) = principal else {
            return Ok(None);
        };
        let house = &self.house.0;
        house
            .rates
            .spend_own(&self.tenant, &principal, None, &house.metrics)?;
        house.rates.spend_tenant(&self.tenant, &house.metrics)?;
        if session.record.used.plus_secs(NOTED_AFTER) < now {
            store.session_used(&session.record.id, now).await?;
        }
        Ok(Some(Visitor {
            gate: self.clone(),
            store,
            principal: Arc::new(principal),
            person,
            session,
            from,
            request,
        }))
    }

    /// What a form that is given out to a browser carries, so that no other page can send it.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn form_token(&self, browser: &str, session: &str) -> Result<String, Failure> {
        let key = self.store().people_key().await?;
        let hash = key.hash("form", &format!("{browser}\0{session}"));
        Ok(URL_SAFE_NO_PAD.encode(hash))
    }

    /// Whether a form was given out to this browser, in this session.
    ///
    /// # Errors
    /// `form-foreign`
    pub async fn own_form(&self, browser: &str, session: &str, token: &str) -> Result<(), Failure> {
        let foreign = || Failure::of(Code::FormForeign);
        let hash = URL_SAFE_NO_PAD.decode(token).map_err(|_| foreign())?;
        let key = self.store().people_key().await?;
        let text = format!("{browser}\0{session}");
        let good = !browser.is_empty() && key.is_hash("form", &text, &hash);
        good.then_some(()).ok_or_else(foreign)
    }
}

impl Visitor {
    /// The tenant's gate.
    pub const fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The person's name.
    pub fn name(&self) -> &str {
        &self.person.record.name
    }

    /// Whether they have a password here.
    pub fn has_password(&self) -> bool {
        self.person.proofs.password.is_some()
    }

    /// Whether they administer the tenant's people.
    pub fn administers(&self) -> bool {
        self.person.record.has_role(TENANT_ADMINISTRATOR)
    }

    /// The same person as a caller of FHIR interactions, with what policy gives them.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn caller(&self) -> Result<Session, Failure> {
        let (store, principal) = (self.store.clone(), self.principal.clone());
        let credentials = Credentials {
            authorization: None,
            from: self.from,
            reason: None,
            certificate: None,
        };
        let at = self.request.at;
        // They are for this page; nobody asks for them again.
        let rights = self
            .gate
            .rights(&store, (&principal, None), None, credentials, at);
        let rights = rights.await?;
        Ok(Session::new(
            self.gate.clone(),
            store,
            principal,
            rights,
            self.request,
        ))
    }

    /// Whether they were recognised at least so surely, and not longer ago than so many seconds.
    pub fn is_recognised(&self, assurance: Assurance, seconds_max: Option<i64>) -> bool {
        let record = &self.session.record;
        let fresh = seconds_max
            .is_none_or(|secs| self.request.at <= record.authenticated.plus_secs(secs.max(0)));
        record.assurance >= assurance && fresh
    }

    pub(crate) async fn deed(
        &self,
        of: Administering,
        what: impl Into<String>,
    ) -> Result<Deed, Failure> {
        let tenant = &self.gate.tenant;
        match decide_accounts(&self.principal, tenant, self.request, of) {
            Ok(permit) => Ok(Deed {
                permit,
                actor: None,
                what: what.into(),
                alerts: false,
            }),
            Err(denied) => {
                self.gate.house.0.metrics.denials.inc();
                self.store.denied(&denied).await?;
                Err(Failure::from(&denied))
            }
        }
    }

    pub(super) async fn own(&self, what: &str) -> Result<Deed, Failure> {
        self.deed(Administering::OwnAccount, what).await
    }

    pub(super) fn id(&self) -> &PersonId {
        &self.person.record.id
    }

    /// The person's account.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn account(&self) -> Result<AccountView, Failure> {
        let deed = self.own("look at own account").await?;
        let (sessions, approvals) = self.store.signed_in(deed, self.id()).await?;
        let mut views = Vec::new();
        for approval in approvals.iter().filter(|a| a.code.is_none()) {
            let client = self.store.client(&approval.record.client).await?;
            views.push(ApprovalView {
                id: approval.record.id.to_string(),
                client: client.map_or_else(String::new, |c| c.name),
                began: approval.began,
                scopes: approval.record.scopes.as_str().to_owned(),
            });
        }
        let proofs = &self.person.proofs;
        Ok(AccountView {
            name: self.person.record.name.to_string(),
            login: self.person.record.login.to_string(),
            totp: proofs.totp.as_ref().is_some_and(|t| t.confirmed),
            recovery_codes: proofs.recovery.len(),
            has_password: proofs.password.is_some(),
            passkeys: self.passkeys(),
            takes_passkeys: self.gate.takes_passkeys(),
            accounts: proofs
                .accounts
                .iter()
                .map(|a| (a.issuer.clone(), a.subject.clone()))
                .collect(),
            providers: self.gate.providers().await?,
            sessions: sessions.iter().map(|s| self.session_view(s)).collect(),
            approvals: views,
            invited_by_operators: self.invited_by_operators().await?,
        })
    }

    /// What staff is told of; those who look at what is theirs are none.
    async fn invited_by_operators(&self) -> Result<Vec<InvitedByOperator>, Failure> {
        if self.person.record.is_patient(self.gate.model()) {
            return Ok(Vec::new());
        }
        let all = self.store.invited_by_operators(self.request.at).await?;
        let told = |person: &Arc<Person>| {
            let from = person.proofs.invitation.as_ref()?.from_us?;
            Some(InvitedByOperator {
                id: person.record.id.as_str().to_owned(),
                login: person.record.login.to_string(),
                from: Micros(from),
            })
        };
        Ok(all.iter().filter_map(told).collect())
    }

    fn session_view(&self, session: &BrowserSession) -> SessionView {
        SessionView {
            id: session.record.id.to_string(),
            began: session.began,
            used: session.record.used,
            agent: session.agent.to_string(),
            address: session.address.to_string(),
            current: session.record.id == self.session.record.id,
        }
    }

    /// Ends this session.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn sign_out(&self) -> Result<(), Failure> {
        let id = self.session.record.id.clone();
        let deed = self.own("sign out").await?;
        self.end(deed, move |s| s.record.id == id).await
    }

    /// Ends another session of the same person.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn end_session(&self, id: &str) -> Result<(), Failure> {
        let id: Box<str> = id.into();
        let deed = self.own("end session").await?;
        self.end(deed, move |s| s.record.id == id).await
    }

    /// Ends all other sessions of the same person.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn end_other_sessions(&self) -> Result<(), Failure> {
        let id = self.session.record.id.clone();
        let deed = self.own("end other sessions").await?;
        self.end(deed, move |s| s.record.id != id).await
    }

    async fn end(
        &self,
        deed: Deed,
        which: impl Fn(&BrowserSession) -> bool + Send + 'static,
    ) -> Result<(), Failure> {
        let end = |s: &mut BrowserSession| s.record.ended = true;
        let ended = self.store.change_sessions(deed, self.id(), which, end);
        Ok(ended.await.map(drop)?)
    }

    /// Takes back an approval: its tokens end.
    ///
    /// # Errors
    /// `not-found` if it is not the person's.
    pub async fn end_approval(&self, id: &str) -> Result<(), Failure> {
        let own = self.store.approval(id).await?;
        if own.is_none_or(|a| a.record.person != *self.id()) {
            return Err(Failure::of(Code::NotFound));
        }
        let deed = self.own("take back approval").await?;
        let end = |a: &mut Approval| {
            a.record.ended = true;
            Ok(None)
        };
        Ok(self.store.change_approval(deed, id, end).await.map(drop)?)
    }

    /// Sets another password. All other sessions end, and so does what programs were approved for, and
    /// a link that was given out to set one.
    ///
    /// # Errors
    /// `credentials-invalid` if the old one is wrong or a second factor is not shown, `password-refused`,
    /// `rate-limited`.
    pub async fn change_password(&self, shown: Proving<'_>, new: &str) -> Result<(), Failure> {
        self.must_fit(shown.password).await?;
        self.prove_second_factor(shown).await?;
        let house = &self.gate.house;
        password::admit(new, &self.person.record.login, house.limits())?;
        let hash = house.password_hash(&self.gate.tenant, new).await?;
        let deed = self.own("change password").await?;
        let proved = self.proved();
        let change = move |person: &mut Person| {
            proved(person)?;
            person.proofs.password = Some(hash);
            person.proofs.invitation = None;
            person.proofs.drop_begun();
            Ok(())
        };
        self.store.change_person(deed, self.id(), change).await?;
        let deed = self.own("take back approvals").await?;
        self.store.end_approvals(deed, self.id()).await?;
        self.end_other_sessions().await
    }

    pub(super) async fn must_fit(&self, old: &str) -> Result<(), Failure> {
        let house = &self.gate.house;
        // Whoever holds a stolen session guesses no faster than anyone else; what others guess wrong at the
        // same address is nothing to somebody who is here.
        let key = self.store.people_key().await?;
        let session = key.hash("guess in session", &self.session.record.id);
        let by = Guesser {
            door: *self.gate.tenant.bytes(),
            whom: key.hash("guess", &self.person.record.login),
            place: Place::Browser(half(&session)),
        };
        house.0.guesses.wait(by, self.request.at).await?;
        let hash = self.person.proofs.password.as_deref();
        if house.password_fits(&self.gate.tenant, old, hash).await? {
            house.0.guesses.right(by, self.request.at);
            return Ok(());
        }
        Err(self.not_proved("prove own password").await?)
    }

    /// Whether what a password was good against is still the person's: it was looked at before the change.
    pub(super) fn proved(&self) -> impl Fn(&Person) -> Result<(), StoreError> + Send + 'static {
        let against = self.person.proofs.password.clone();
        move |person| match person.proofs.password == against {
            true => Ok(()),
            false => Err(StoreError::Refused(
                Code::CredentialsInvalid,
                "the password was changed meanwhile".to_owned(),
            )),
        }
    }

    /// Counts and records that somebody in this session did not prove who they are.
    pub(super) async fn not_proved(&self, what: &str) -> Result<Failure, Failure> {
        let (door, code) = (self.gate.tenant.bytes(), Code::CredentialsInvalid);
        let attempts = &self.gate.house.0.sign_ins;
        attempts.failed(door, self.from, self.request.at);
        let actor = self.person.record.actor();
        self.store
            .not_let_in(self.request, &actor, what, code)
            .await?;
        Ok(Failure::of(code))
    }

    /// Begins with one-time codes: the secret, in base32, and the link that apps read.
    ///
    /// # Errors
    /// `credentials-invalid`, `rate-limited`, `step-up-required` if the person does not prove who they are;
    /// `tenant-state` if codes are asked for already.
    pub async fn begin_totp(&self, shown: Proving<'_>) -> Result<(String, String), Failure> {
        self.prove(shown).await?;
        let secret: [u8; 20] = self.gate.house.0.rng.bytes();
        let deed = self.own("begin one-time codes").await?;
        let kept = secret.to_vec();
        let proved = self.proved();
        let change = move |person: &mut Person| {
            proved(person)?;
            if person.proofs.totp.as_ref().is_some_and(|t| t.confirmed) {
                let text = "one-time codes are asked for already".to_owned();
                return Err(StoreError::Refused(Code::TenantState, text));
            }
            person.proofs.totp = Some(Totp {
                secret: kept,
                confirmed: false,
            });
            Ok(())
        };
        self.store.change_person(deed, self.id(), change).await?;
        Ok(self.told_of_totp(&secret))
    }

    /// The secret of one-time codes that were begun and not confirmed, and the link, as they were told.
    pub fn begun_totp(&self) -> Option<(String, String)> {
        let totp = self.person.proofs.totp.as_ref().filter(|t| !t.confirmed)?;
        Some(self.told_of_totp(&totp.secret))
    }

    fn told_of_totp(&self, secret: &[u8]) -> (String, String) {
        let secret = totp::base32(secret);
        let (tenant, login) = (self.gate.name(), &self.person.record.login);
        let label = crate::form::encode(&format!("{tenant}:{login}"));
        let link = format!("otpauth://totp/{label}?secret={secret}&issuer={tenant}");
        (secret, link)
    }

    /// Asks for one-time codes from now on, once the person has shown one; recovery codes, if they had
    /// none.
    ///
    /// # Errors
    /// `credentials-invalid`
    pub async fn confirm_totp(&self, code: &str) -> Result<Vec<String>, Failure> {
        let wrong = || Failure::of(Code::CredentialsInvalid);
        let totp = self.person.proofs.totp.as_ref().filter(|t| !t.confirmed);
        let secret = totp.map(|t| t.secret.clone()).ok_or_else(wrong)?;
        let house = &self.gate.house;
        let now = self.request.at;
        let Some(step) = totp::step_of(&secret, code, now) else {
            return Err(self.not_proved("ask for one-time codes").await?);
        };
        if !house
            .0
            .used_codes
            .first_use(&self.gate.tenant, self.id(), step)
        {
            return Err(wrong());
        }
        let (codes, hashes) = self.recovery_codes().await?;
        let deed = self.own("ask for one-time codes").await?;
        let proved = self.proved();
        let change = move |person: &mut Person| {
            proved(person)?;
            // What was begun with is still what is confirmed.
            let begun = person.proofs.totp.as_ref();
            if !begun.is_some_and(|t| !t.confirmed && t.secret == secret) {
                let text = "one-time codes were begun anew or confirmed meanwhile".to_owned();
                return Err(StoreError::Refused(Code::TenantState, text));
            }
            person.proofs.totp = Some(Totp {
                secret,
                confirmed: true,
            });
            if person.proofs.recovery.is_empty() {
                person.proofs.recovery = hashes;
            }
            Ok(())
        };
        self.store.change_person(deed, self.id(), change).await?;
        // Without a password nothing but a recent sign-in was shown, which is not made more of.
        if self.has_password() {
            self.two_factors_now().await?;
        }
        // They were begun with less.
        self.end_other_sessions().await?;
        Ok(codes)
    }

    /// New recovery codes and their hashes; none for a person who has some.
    pub(super) async fn recovery_codes(&self) -> Result<(Vec<String>, Vec<[u8; 32]>), Failure> {
        if !self.person.proofs.recovery.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let codes = totp::recovery_codes(&*self.gate.house.0.rng);
        let key = self.store.people_key().await?;
        let hash = |code: &String| key.hash("recovery", &totp::recovery(code));
        let hashes = codes.iter().map(hash).collect();
        Ok((codes, hashes))
    }

    /// Asks for one-time codes no more.
    ///
    /// # Errors
    /// `credentials-invalid`, `rate-limited`, `step-up-required` if the person does not prove who they are.
    pub async fn end_totp(&self, shown: Proving<'_>) -> Result<(), Failure> {
        self.prove(shown).await?;
        let proved = self.proved();
        let deed = self.own("end one-time codes").await?;
        let change = move |person: &mut Person| {
            proved(person)?;
            person.proofs.totp = None;
            if !person.proofs.has_second_factor() {
                person.proofs.recovery.clear();
            }
            Ok(())
        };
        self.store.change_person(deed, self.id(), change).await?;
        Ok(())
    }
}
