//! Signing in through an identity provider: a person leaves for it and arrives with a code. Who they
//! are here is said by issuer and subject together, and by nothing else that the provider tells.
//!
//! What has to be remembered meanwhile travels sealed in a cookie of the browser that left, so that
//! no other browser can arrive with it.

use std::sync::Arc;

use access::{
    Actor, Assurance, PeopleKey, PersonId, PersonRecord, PersonState, Reason, RequestMeta, RoleAt,
};
use base::{Code, Micros, Rng};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use store::{Account, BrowserSession, Claimed, Person, Proofs, StoreError, Through};

use super::passkeys::Proving;
use super::provider::{Claims, Returned, authenticated, is_word, not_good, subject};
use super::sign_in::{From, SignedIn, normal_login};
use super::{Attempts, AuthorizeRequest, Door, Visitor, sealed};
use crate::failure::Failure;
use crate::form;
use crate::house::{Gate, House};
use crate::people::{ACCOUNTS_MAX, fhir_user};
use crate::providers::{Provider, claim};

/// What a person leaves for.
#[derive(Clone, Copy, Debug)]
pub enum Going<'a> {
    /// To sign in.
    SignIn {
        /// The page that they want to see then.
        next: &'a str,
        /// Whether they have to prove anew who they are.
        again: bool,
    },
    /// To accept an invitation, by its token.
    Invited(&'a str),
    /// To have the account there count as theirs here.
    Link {
        /// Who.
        by: &'a Visitor,
        /// What they show.
        shown: Proving<'a>,
    },
}

/// Somebody on their way to an identity provider.
pub struct Departure {
    /// Where to.
    pub url: String,
    /// What the browser keeps until it comes back.
    pub cookie: String,
    /// For how long.
    pub seconds: i64,
}

impl std::fmt::Debug for Departure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Departure(…)")
    }
}

/// What became of somebody who came back.
#[derive(Debug)]
pub enum Arrival {
    /// They are signed in, or show a second factor first; the page that they wanted to see.
    In(SignedIn, String),
    /// The account there counts as theirs here.
    Linked,
}

/// What is remembered meanwhile.
#[derive(Serialize, Deserialize)]
pub(super) struct Journey {
    pub(super) provider: String,
    pub(super) state: String,
    nonce: String,
    verifier: String,
    redirect: String,
    left_us: i64,
    next: String,
    #[serde(default)]
    again: bool,
    #[serde(default)]
    invitation: Option<String>,
    /// The session in which an account is linked.
    #[serde(default)]
    linking: Option<String>,
    /// What the password was good against then: another password makes this worthless.
    #[serde(default)]
    proof: Option<String>,
}

impl Journey {
    /// One to sign in at a provider; the answer's `state` begins with the tenant's name, and a dot, where
    /// it comes to the house.
    pub(super) fn new(provider: &Provider, state: String, rng: &dyn Rng, now: Micros) -> Self {
        Self {
            state,
            nonce: random(rng),
            verifier: random(rng),
            redirect: provider.redirect.clone(),
            left_us: now.0,
            next: String::new(),
            again: false,
            invitation: None,
            linking: None,
            proof: None,
            provider: provider.id.clone(),
        }
    }
}

pub(super) fn random(rng: &dyn Rng) -> String {
    URL_SAFE_NO_PAD.encode(rng.bytes::<32>())
}

/// What the journey is sealed for.
const SEALED_FOR: &str = "journey to identity provider";
/// What the state of who left from the tenant's own host is hashed for.
const OWN_HOST: &str = "state of own host";
/// Bytes of it: browsers keep cookies of 4096 bytes, their names included.
const JOURNEY_BYTES_MAX: usize = base::limits::fixed::JOURNEY_BYTES_MAX;
/// Tolerance for clocks that differ, in seconds.
const SKEW: i64 = 60;

impl Gate {
    /// Sends a person to an identity provider.
    ///
    /// # Errors
    /// `limit-query` where the page that they want to see has too long an address to be remembered
    /// meanwhile; `provider-unknown`, `provider-ended`, `provider-answer`, `outbound-refused`,
    /// `outbound-failed`.
    pub async fn depart(
        &self,
        provider: &str,
        going: Going<'_>,
        now: Micros,
    ) -> Result<Departure, Failure> {
        if let Going::Link { by, shown } = going {
            by.prove(shown).await?;
        }
        let provider = self.provider(provider, now).await?;
        let metadata = self.house.metadata(self.tenant.bytes(), &provider, now);
        let metadata = metadata.await?;
        let rng = &*self.house.0.rng;
        let state = match (provider.settings.house, self.links.own_port(&self.tenant)) {
            (false, _) => random(rng),
            (true, None) => format!("{}.{}", self.name(), random(rng)),
            // The answer comes to the house, which shows this browser the way back to the tenant's own host.
            (true, Some(port)) => {
                let port = port.map_or_else(String::new, |port| port.to_string());
                let state = format!("{}.{port}.{}", self.name(), random(rng));
                let mac = self.mac_of_state(&state).await?;
                format!("{state}.{mac}")
            }
        };
        let key = self.store().people_key().await?;
        let mut journey = Journey::new(&provider, state, rng, now);
        match going {
            Going::SignIn { next, again } => {
                next.clone_into(&mut journey.next);
                journey.again = again;
            }
            // Whoever sits there says who they are there: nobody's account is taken by the way.
            Going::Invited(token) => {
                journey.invitation = Some(token.to_owned());
                journey.again = true;
            }
            Going::Link { by, .. } => {
                journey.linking = Some(by.session.record.id.to_string());
                journey.proof = Some(by.proof(&key));
                journey.again = true;
            }
        }
        let seconds = self.house.limits().provider_sign_in_seconds_max;
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        let cookie = sealed::seal(&key, SEALED_FOR, &journey, now.plus_secs(seconds), rng)?;
        // Browsers drop a longer cookie without a word, and nobody would arrive.
        if cookie.len() > JOURNEY_BYTES_MAX {
            let (name, max) = ("journey_bytes_max", JOURNEY_BYTES_MAX as u64);
            return Err(Failure::limit(Code::LimitQuery, name, max));
        }
        Ok(Departure {
            url: request(&provider, &metadata.authorization_endpoint, &journey),
            cookie,
            seconds,
        })
    }

    async fn mac_of_state(&self, state: &str) -> Result<String, Failure> {
        let key = self.store().people_key().await?;
        Ok(URL_SAFE_NO_PAD.encode(key.hash(OWN_HOST, state)))
    }

    /// Whether somebody left from the tenant's own host with this state.
    pub(crate) async fn is_own_state(&self, state: &str, mac: &str) -> Result<bool, Failure> {
        let key = self.store().people_key().await?;
        let mac = URL_SAFE_NO_PAD.decode(mac).unwrap_or_default();
        Ok(key.is_hash(OWN_HOST, state, &mac))
    }

    /// Takes in a person who comes back from an identity provider with its answer.
    ///
    /// # Errors
    /// `form-foreign` for an answer that this browser did not leave for; `provider-answer`,
    /// `outbound-refused`, `outbound-failed`; `account-unlinked` for somebody whom nobody here is;
    /// `invitation-ended`, `login-taken`, `rate-limited`.
    pub async fn arrive(
        &self,
        provider: &str,
        cookie: &str,
        answer: &str,
        visitor: Option<&Visitor>,
        from: From<'_>,
    ) -> Result<Arrival, Failure> {
        let (door, now) = (self.tenant.bytes(), from.request.at);
        let provider = self.provider(provider, now).await?;
        let key = self.store().people_key().await?;
        let journey: Option<Journey> = sealed::open(&key, SEALED_FOR, cookie, now);
        // Nothing is read of what nobody here left for.
        let left = journey.filter(|j| j.provider == provider.id);
        let journey = left.ok_or(Failure::of(Code::FormForeign))?;
        let answer = AuthorizeRequest::parse(answer)?;
        if answer.get("state") != Some(journey.state.as_str()) {
            return Err(Failure::of(Code::FormForeign));
        }
        let counted = &self.house.0.arrivals;
        counted.check(door, from.address, now)?;
        let arrived = self.arrived(&provider, &journey, &answer, visitor, from);
        match arrived.await {
            Err(failure) => Err(self.turned_away(counted, &provider, failure, from).await?),
            done => done,
        }
    }

    async fn arrived(
        &self,
        provider: &Provider,
        journey: &Journey,
        answer: &AuthorizeRequest,
        visitor: Option<&Visitor>,
        from: From<'_>,
    ) -> Result<Arrival, Failure> {
        let (door, now) = (self.tenant.bytes(), from.request.at);
        let claims = self.house.claims(door, provider, journey, answer, now);
        let claims = claims.await?;
        let through = Through {
            account: Account {
                issuer: provider.settings.issuer.clone(),
                subject: subject(&claims)?,
            },
            sid: claims
                .get("sid")
                .and_then(|sid| sid.as_str())
                .map(str::to_owned),
            provider: Some(provider.id.clone()),
        };
        if let Some(session) = &journey.linking {
            let own = visitor.filter(|v| *v.session.record.id == **session);
            let own = own.ok_or(Failure::of(Code::FormForeign))?;
            let key = self.store().people_key().await?;
            if journey.proof.as_deref() != Some(&*own.proof(&key)) {
                return Err(Failure::of(Code::FormForeign));
            }
            own.link(through.account).await?;
            return Ok(Arrival::Linked);
        }
        let person = match &journey.invitation {
            Some(token) => self.accept_by(token, &through.account, from).await?,
            None => self.known_as(&through.account).await?,
        };
        if let Some(person) = &person {
            self.must_be_known_by(person, provider, &claims, now)
                .await?;
        }
        let person = match person {
            Some(person) => {
                self.with_roles(person, provider, &claims, from.request)
                    .await?
            }
            None => {
                self.made_known(provider, &through.account, &claims, from.request)
                    .await?
            }
        };
        let recognised = Recognised {
            assurance: match provider.settings.is_strong(&claims) {
                true => Assurance::TwoFactors,
                false => Assurance::Password,
            },
            authenticated: authenticated(&claims),
            through,
        };
        let signed_in = self.recognised(&person, recognised, from).await?;
        Ok(Arrival::In(signed_in, journey.next.clone()))
    }

    /// Counts and records that somebody was not let in.
    async fn turned_away(
        &self,
        counted: &Attempts,
        provider: &Provider,
        failure: Failure,
        from: From<'_>,
    ) -> Result<Failure, Failure> {
        let code = failure.code();
        if matches!(code, Code::ProviderAnswer | Code::AccountUnlinked) {
            self.house.0.metrics.failed_logins.inc();
            counted.failed(self.tenant.bytes(), from.address, from.request.at);
            let actor = Actor::system(Reason::Authentication);
            let what = format!("sign in through {} from {}", provider.id, from.address);
            let store = self.store();
            store.not_let_in(from.request, &actor, &what, code).await?;
        }
        Ok(failure)
    }

    async fn known_as(&self, account: &Account) -> Result<Option<Arc<Person>>, Failure> {
        let person = self.store().person_of_account(account).await?;
        match person {
            Some(person) if person.record.state == PersonState::Active => Ok(Some(person)),
            Some(_) => Err(Failure::of(Code::AccountUnlinked)),
            None => Ok(None),
        }
    }

    /// Refuses somebody whom nobody of the tenant made known, but a provider that the tenant did not keep, at
    /// another one: unless that would make them known too.
    async fn must_be_known_by(
        &self,
        person: &Person,
        provider: &Provider,
        claims: &Claims,
        now: Micros,
    ) -> Result<(), Failure> {
        let settings = &provider.settings;
        let known_by = person.proofs.known_by.as_ref();
        let Some(by) = known_by.filter(|by| **by != provider.id) else {
            return Ok(());
        };
        let makes_known = settings.just_in_time && !settings.roles_of(claims).is_empty();
        match makes_known || self.is_kept(by, now).await? {
            true => Ok(()),
            false => Err(Failure::of(Code::AccountUnlinked)),
        }
    }

    /// Accepts an invitation with an account in place of a password.
    async fn accept_by(
        &self,
        token: &str,
        account: &Account,
        from: From<'_>,
    ) -> Result<Option<Arc<Person>>, Failure> {
        let person = self.invitee(token, from.request.at).await?;
        let (wanted, account) = (person.proofs.invitation.clone(), account.clone());
        let deed = self.accepting(&person, from.request, "accept invitation by account")?;
        let change = move |person: &mut Person| {
            if person.proofs.invitation != wanted {
                let text = "the invitation was used".to_owned();
                return Err(StoreError::Refused(Code::InvitationEnded, text));
            }
            // What says which roles are by claims goes below, and those roles with it.
            person.take_all_claims_off();
            person.proofs = Proofs {
                accounts: vec![account],
                ..Proofs::default()
            };
            person.record.state = PersonState::Active;
            person.record.epoch += 1;
            Ok(())
        };
        let store = self.store();
        let person = store.change_person(deed, &person.record.id, change);
        Ok(Some(person.await?))
    }

    /// The person with what claims come to now, in place of what they came to before. What the tenant
    /// itself gave them stays.
    async fn with_roles(
        &self,
        person: Arc<Person>,
        provider: &Provider,
        claims: &Claims,
        request: RequestMeta,
    ) -> Result<Arc<Person>, Failure> {
        let user = self.fhir_user_of(provider, claims)?;
        let roles = provider.settings.roles_of(claims);
        let issuer = provider.settings.issuer.clone();
        let mut now = (*person).clone();
        claim_anew(&mut now, &issuer, &roles, user.clone());
        // Whom a provider that the tenant keeps brings, the tenant knows.
        let known_by = person.proofs.known_by.clone().filter(|_| !provider.kept);
        let same = known_by == person.proofs.known_by
            && now.record.roles == person.record.roles
            && now.record.fhir_user == person.record.fhir_user
            && now.proofs.claimed == person.proofs.claimed;
        if same {
            return Ok(person);
        }
        let actor = Some(person.record.actor());
        let deed = self.signing(request, actor, format!("roles by {}", provider.id))?;
        let change = move |person: &mut Person| {
            claim_anew(person, &issuer, &roles, user);
            person.proofs.known_by = known_by;
            person.record.epoch += 1;
            Ok(())
        };
        let store = self.store();
        Ok(store.change_person(deed, &person.record.id, change).await?)
    }

    /// A person who comes in another way than through a provider, without what they have by claims:
    /// nobody has said today that they still hold.
    pub(super) async fn without_claims(
        &self,
        person: &Person,
        request: RequestMeta,
    ) -> Result<Arc<Person>, Failure> {
        let actor = Some(person.record.actor());
        let deed = self.signing(request, actor, "take off roles by claims")?;
        let change = |person: &mut Person| {
            person.take_all_claims_off();
            Ok(())
        };
        let store = self.store();
        Ok(store.change_person(deed, &person.record.id, change).await?)
    }

    fn fhir_user_of(
        &self,
        provider: &Provider,
        claims: &Claims,
    ) -> Result<Option<(fhir::definitions::TypeId, base::ResourceId)>, Failure> {
        let path = provider.settings.fhir_user_claim.as_deref();
        let found = path.and_then(|path| claim(claims, path)?.as_str());
        match found {
            Some(text) => fhir_user(text, self.model())
                .map_err(|_| not_good("the claim names no resource that stands for a person")),
            None => Ok(None),
        }
    }

    /// Makes somebody known whom the provider knows, if the tenant wants that and they get a role.
    async fn made_known(
        &self,
        provider: &Provider,
        account: &Account,
        claims: &Claims,
        request: RequestMeta,
    ) -> Result<Arc<Person>, Failure> {
        let unlinked = || Failure::of(Code::AccountUnlinked);
        let roles = provider.settings.roles_of(claims);
        if !provider.settings.just_in_time || roles.is_empty() {
            return Err(unlinked());
        }
        let store = self.store();
        let told = |name: &str| claims.get(name).and_then(|v| v.as_str());
        let login = told("preferred_username").or_else(|| told("email"));
        let login = login.and_then(normal_login);
        let mut login = login
            .or_else(|| normal_login(&account.subject))
            .ok_or_else(unlinked)?;
        // A name says nothing about whose it is: somebody else's stays theirs.
        if store.person_of_login(&login).await?.is_some() {
            let other = format!("{}@{}", account.subject, provider.id);
            login = normal_login(&other).ok_or_else(unlinked)?;
        }
        let name = told("name").unwrap_or(&login);
        let name: String = name.chars().filter(|c| !c.is_control()).take(50).collect();
        let mut person = Person {
            record: PersonRecord {
                id: PersonId::of(self.house.0.rng.bytes()),
                name: if name.is_empty() { login.clone() } else { name }.into(),
                login: login.into(),
                roles: Arc::default(),
                groups: Arc::default(),
                fhir_user: None,
                epoch: 1,
                state: PersonState::Active,
            },
            proofs: Proofs {
                accounts: vec![account.clone()],
                known_by: (!provider.kept).then(|| provider.id.clone()),
                ..Proofs::default()
            },
            made: request.at,
        };
        let user = self.fhir_user_of(provider, claims)?;
        claim_anew(&mut person, &account.issuer, &roles, user);
        let actor = Some(person.record.actor());
        let deed = self.signing(request, actor, format!("made known by {}", provider.id))?;
        Ok(store.create_person(deed, person).await?)
    }

    /// Ends the sessions that an identity provider says are over (OpenID Connect Back-Channel Logout
    /// 1.0): those begun through its session, or all of the person's through it.
    ///
    /// # Errors
    /// `provider-unknown`; `provider-answer` for a token that is not good or was used;
    /// `outbound-refused`, `outbound-failed`.
    pub async fn logged_out(
        &self,
        provider: &str,
        token: &str,
        from: From<'_>,
    ) -> Result<(), Failure> {
        let (door, now) = (self.tenant.bytes(), from.request.at);
        let provider = self.any_provider(provider).await?;
        let counted = &self.house.0.logouts;
        counted.check(door, from.address, now)?;
        let of = access::ClientId::new(&format!("idp.{}", provider.id));
        let of = of.ok_or(Failure::of(Code::Internal))?;
        let replays = &self.house.0.replays;
        let told = self.house.logged_out(door, &provider, token, now).await;
        let told = told.and_then(
            |told| match replays.is_used(&self.tenant, &of, &told.jti, now) {
                true => Err(not_good("the logout token was used")),
                false => Ok(told),
            },
        );
        let told = match told {
            Ok(told) => told,
            Err(failure) => {
                return Err(self.turned_away(counted, &provider, failure, from).await?);
            }
        };
        let jti = told.jti.clone();
        let issuer = provider.settings.issuer.clone();
        let which = move |through: &Through| {
            let subject = told.subject.as_ref();
            through.account.issuer == issuer
                && subject.is_none_or(|s| *s == through.account.subject)
                && (told.sid.is_none() || told.sid == through.sid)
        };
        let store = self.store();
        for person in store.people_through(&which, now).await? {
            let known = store.person(&person).await?;
            let actor = known.map(|known| known.record.actor());
            let what = format!("sign out by {}", provider.id);
            let deed = self.signing(from.request, actor, what)?;
            let which = which.clone();
            let through = move |s: &BrowserSession| s.through.as_ref().is_some_and(&which);
            let end = |s: &mut BrowserSession| s.record.ended = true;
            store.change_sessions(deed, &person, through, end).await?;
        }
        // Only now: where something failed, the provider may send it again.
        replays.first_use(&self.tenant, &of, &jti, now);
        Ok(())
    }
}

/// How somebody was recognised elsewhere.
pub(super) struct Recognised {
    pub(super) assurance: Assurance,
    pub(super) authenticated: Option<Micros>,
    pub(super) through: Through,
}

impl House {
    /// What the provider says about whoever comes with this answer.
    pub(super) async fn claims(
        &self,
        door: &Door,
        provider: &Provider,
        journey: &Journey,
        answer: &AuthorizeRequest,
        now: Micros,
    ) -> Result<Claims, Failure> {
        let metadata = self.metadata(door, provider, now).await?;
        // RFC 9207: an answer of another provider is not taken to this one.
        match answer.get("iss") {
            Some(iss) if iss != provider.settings.issuer => {
                return Err(not_good("the answer is of another issuer"));
            }
            None if metadata.authorization_response_iss_parameter_supported => {
                return Err(not_good("the answer does not say of whom it is"));
            }
            _ => {}
        }
        if let Some(error) = answer.get("error") {
            let error = if is_word(error) { error } else { "an error" };
            return Err(not_good(format!("the provider signed nobody in: {error}")));
        }
        let code = answer.get("code");
        let returned = Returned {
            code: code.ok_or_else(|| not_good("the answer has no code"))?,
            redirect: &journey.redirect,
            verifier: &journey.verifier,
            nonce: &journey.nonce,
        };
        let identity = self.identity(door, provider, &metadata, returned, now);
        let claims = identity.await?;
        let left = Micros(journey.left_us).plus_secs(-SKEW);
        if journey.again && authenticated(&claims).is_none_or(|at| at < left) {
            return Err(not_good("the provider did not ask who it is anew"));
        }
        Ok(claims)
    }
}

/// The authorization request (OpenID Connect Core 3.1.2.1), with PKCE.
pub(super) fn request(provider: &Provider, endpoint: &str, journey: &Journey) -> String {
    let challenge = digest(&SHA256, journey.verifier.as_bytes());
    let challenge = URL_SAFE_NO_PAD.encode(challenge);
    let scopes = provider.settings.scopes.join(" ");
    let mut pairs = vec![
        ("response_type", "code"),
        ("client_id", &provider.settings.client_id),
        ("redirect_uri", &journey.redirect),
        ("scope", &scopes),
        ("state", &journey.state),
        ("nonce", &journey.nonce),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    if journey.again {
        pairs.extend([("prompt", "login"), ("max_age", "0")]);
    }
    let mut url = endpoint.to_owned();
    let mut mark = if url.contains('?') { '&' } else { '?' };
    for (name, value) in pairs {
        url.push(std::mem::replace(&mut mark, '&'));
        url.push_str(&format!("{name}={}", form::encode(value)));
    }
    url
}

/// Puts what claims come to in the place of what they came to before.
fn claim_anew(
    person: &mut Person,
    issuer: &str,
    roles: &[RoleAt],
    user: Option<(fhir::definitions::TypeId, base::ResourceId)>,
) {
    person.take_claims_off(issuer);
    let has = |role: &&RoleAt| person.record.roles.contains(role);
    let new: Vec<RoleAt> = roles.iter().filter(|r| !has(r)).cloned().collect();
    // A resource that the tenant wrote down stays.
    let user = user.filter(|_| person.record.fhir_user.is_none());
    if new.is_empty() && user.is_none() {
        return;
    }
    person.proofs.claimed.push(Claimed {
        issuer: issuer.to_owned(),
        roles: new.iter().map(ToString::to_string).collect(),
        fhir_user: user.is_some(),
    });
    person.record.roles = person.record.roles.iter().cloned().chain(new).collect();
    if user.is_some() {
        person.record.fhir_user = user;
    }
}

/// Seconds for which somebody without a password may link accounts after they signed in.
const PROVED_SECONDS: i64 = 300;

impl Visitor {
    /// Whoever holds a stolen session adds nothing by which people sign in: they show the password, or,
    /// where there is none, have just signed in.
    pub(super) async fn must_prove(&self, password: &str) -> Result<(), Failure> {
        if self.person.proofs.password.is_some() {
            return self.must_fit(password).await;
        }
        match self.is_recognised(Assurance::Password, Some(PROVED_SECONDS)) {
            true => Ok(()),
            false => Err(Failure::new(
                Code::StepUpRequired,
                "sign out and in again first: you signed in more than five minutes ago",
            )),
        }
    }

    /// What their password is, as it is remembered while they are away.
    fn proof(&self, key: &PeopleKey) -> String {
        let password = self.person.proofs.password.as_deref().unwrap_or_default();
        URL_SAFE_NO_PAD.encode(key.hash("password", password))
    }

    /// Has an account at an identity provider count as the person's own.
    async fn link(&self, account: Account) -> Result<(), Failure> {
        self.must_be_of_the_tenant("link account").await?;
        let deed = self.own("link account").await?;
        let proved = self.proved();
        let change = move |person: &mut Person| {
            proved(person)?;
            if !person.proofs.accounts.contains(&account) {
                person.proofs.accounts.push(account);
            }
            match person.proofs.accounts.len() <= ACCOUNTS_MAX {
                true => Ok(()),
                false => Err(StoreError::Refused(
                    Code::TenantState,
                    "there are too many accounts already".to_owned(),
                )),
            }
        };
        let id = &self.person.record.id;
        Ok(self.store.change_person(deed, id, change).await.map(drop)?)
    }

    /// Takes an account at an identity provider back; sessions that were begun through it end.
    ///
    /// # Errors
    /// `tenant-state` if they could not sign in any more; `not-found` if there is none; `credentials-invalid`,
    /// `rate-limited`, `step-up-required` if the person does not prove who they are.
    pub async fn unlink(
        &self,
        (issuer, subject): (&str, &str),
        shown: Proving<'_>,
    ) -> Result<(), Failure> {
        let account = Account {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
        };
        // What is somebody else's takes nobody's time.
        if !self.person.proofs.accounts.contains(&account) {
            return Err(Failure::of(Code::NotFound));
        }
        self.prove(shown).await?;
        let proved = self.proved();
        let (deed, gone) = (self.own("unlink account").await?, account.clone());
        let change = move |person: &mut Person| {
            proved(person)?;
            let before = person.proofs.accounts.len();
            person.proofs.accounts.retain(|a| *a != gone);
            if person.proofs.accounts.len() == before {
                let text = "there is no such account".to_owned();
                return Err(StoreError::Refused(Code::NotFound, text));
            }
            person.take_claims_off(&gone.issuer);
            if !person.proofs.suffice() {
                let text = "without it you could not sign in any more: set a password first";
                return Err(StoreError::Refused(Code::TenantState, text.to_owned()));
            }
            Ok(())
        };
        let id = &self.person.record.id;
        self.store.change_person(deed, id, change).await?;
        let deed = self.own("end sessions").await?;
        let through =
            move |s: &BrowserSession| s.through.as_ref().is_some_and(|t| t.account == account);
        let end = |s: &mut BrowserSession| s.record.ended = true;
        let ended = self.store.change_sessions(deed, id, through, end).await;
        Ok(ended.map(drop)?)
    }
}
