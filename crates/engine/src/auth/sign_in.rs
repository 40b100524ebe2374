//! A person signs in: by login and password, then by a second factor where they have one; or by the
//! link of an invitation. What comes of it is a browser session.

use std::net::IpAddr;
use std::sync::Arc;

use access::{
    Actor, Assurance, PeopleKey, PersonId, PersonState, Reason, RequestMeta, SessionRecord,
};
use base::{Code, Micros};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use store::{BrowserSession, Deed, Person, StoreError, Through};
use unicode_normalization::UnicodeNormalization;

use super::arrival::Recognised;
use super::guesses::{Guesser, KNOWN_SECONDS, Place};
use super::{password, sealed, totp};
use crate::failure::Failure;
use crate::house::Gate;

/// From where somebody signs in.
#[derive(Clone, Copy, Debug)]
pub struct From<'a> {
    /// The address.
    pub address: IpAddr,
    /// What the browser calls itself.
    pub agent: &'a str,
    /// The cookie of the session that it was in.
    pub session: &'a str,
    /// The cookie that its forms are given out to.
    pub browser: &'a str,
    /// The cookie that tells who signed in with it before.
    pub known: &'a str,
    /// For which request.
    pub request: RequestMeta,
}

/// A session that began.
pub struct NewSession {
    /// What the browser keeps.
    pub cookie: String,
    /// For how long.
    pub seconds: i64,
    /// What it keeps besides, longer: that this person signed in with it.
    pub known: String,
    /// For how long it keeps that.
    pub known_seconds: i64,
}

impl std::fmt::Debug for NewSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewSession(…)")
    }
}

/// What became of a login and a password.
#[derive(Debug)]
pub enum SignedIn {
    /// The person is signed in.
    Done(NewSession),
    /// The password is good; a second factor has to be shown with this ticket.
    SecondFactor(String),
}

#[derive(Serialize, Deserialize)]
struct Ticket {
    person: String,
    epoch: u64,
    /// What the password was good against: another password makes the ticket worthless.
    proof: [u8; 32],
    /// Through which account the first factor was shown, where it was not a password.
    #[serde(default)]
    through: Option<Through>,
}

/// How a session begins.
struct Begun {
    assurance: Assurance,
    /// When they proved who they are, if not just now.
    authenticated: Option<Micros>,
    through: Option<Through>,
    /// A word on how, with a space behind it.
    how: &'static str,
}

/// What a browser keeps of those who signed in with it. What others guess wrong at the same address does not hold
/// them up there; whoever takes it away guesses no faster by it.
#[derive(Serialize, Deserialize)]
struct KnownBrowser {
    id: [u8; 16],
    people: Vec<[u8; 16]>,
}

/// People that a browser keeps.
const KNOWN_PEOPLE_MAX: usize = 8;
/// What it is sealed for.
const KNOWN_BROWSER: &str = "known browser";

/// Seconds that somebody has for their second factor.
const TICKET_SECONDS: i64 = 300;
/// Characters of a login.
pub(super) const LOGIN_CHARACTERS_MAX: usize = 200;
/// Bytes that are kept of what a browser calls itself.
const AGENT_BYTES_MAX: usize = 200;

/// A login in the one form that is compared.
pub(crate) fn normal_login(login: &str) -> Option<String> {
    let login: String = login.trim().nfkc().flat_map(char::to_lowercase).collect();
    let good = !login.is_empty()
        && login.chars().count() <= LOGIN_CHARACTERS_MAX
        && !login.contains(|c: char| c.is_control() || c.is_whitespace());
    good.then_some(login)
}

fn known_browser(key: &PeopleKey, from: From<'_>) -> Option<KnownBrowser> {
    sealed::open(key, KNOWN_BROWSER, from.known, from.request.at)
}

pub(super) fn half(whom: &[u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.iter_mut().zip(whom).for_each(|(to, from)| *to = *from);
    half
}

impl Gate {
    /// What is done about somebody who signs in, under the platform's own right.
    pub(crate) fn signing(
        &self,
        request: RequestMeta,
        actor: Option<Actor>,
        what: impl Into<String>,
    ) -> Result<Deed, Failure> {
        let permit = access::decide_system(Reason::Authentication, &self.tenant, request);
        Ok(Deed {
            permit: permit.map_err(|denied| Failure::from(&denied))?,
            actor,
            what: what.into(),
            alerts: false,
        })
    }

    /// Signs a person in.
    ///
    /// # Errors
    /// `credentials-invalid`, `rate-limited`, `limit-busy`.
    pub async fn sign_in(
        &self,
        login: &str,
        password: &str,
        from: From<'_>,
    ) -> Result<SignedIn, Failure> {
        let store = self.store();
        let key = store.people_key().await?;
        let login = normal_login(login).unwrap_or_default();
        let by = self.guesser(&key, &login, from);
        self.may_guess(by, from).await?;
        let person = store.person_of_login(&login).await?;
        let active = person.filter(|p| p.record.state == PersonState::Active);
        let hash = active.as_ref().and_then(|p| p.proofs.password.as_deref());
        let fits = self.house.password_fits(&self.tenant, password, hash);
        let fits = fits.await?;
        let Some(person) = active.as_ref().filter(|_| fits) else {
            return Err(self.guessed_wrong(from, active.as_deref()).await?);
        };
        if person.proofs.has_second_factor() {
            return self.ask_second(person, None, from.request.at).await;
        }
        self.house.0.guesses.right(by, from.request.at);
        let session = self.begin(person, Assurance::Password, from).await?;
        Ok(SignedIn::Done(session))
    }

    /// Asks somebody who showed one factor for another.
    async fn ask_second(
        &self,
        person: &Person,
        through: Option<Through>,
        now: Micros,
    ) -> Result<SignedIn, Failure> {
        let key = self.store().people_key().await?;
        let password = person.proofs.password.as_deref();
        let ticket = Ticket {
            person: person.record.id.as_str().to_owned(),
            epoch: person.record.epoch,
            proof: key.hash("password", password.unwrap_or_default()),
            through,
        };
        let (until, rng) = (now.plus_secs(TICKET_SECONDS), &*self.house.0.rng);
        let sealed = sealed::seal(&key, "second factor", &ticket, until, rng)?;
        Ok(SignedIn::SecondFactor(sealed))
    }

    /// Signs somebody in who was recognised elsewhere; who has a second factor here shows it, where
    /// one was enough there.
    pub(super) async fn recognised(
        &self,
        person: &Person,
        by: Recognised,
        from: From<'_>,
    ) -> Result<SignedIn, Failure> {
        let asked = person.proofs.has_second_factor();
        if asked && by.assurance < Assurance::TwoFactors {
            let through = Some(by.through);
            return self.ask_second(person, through, from.request.at).await;
        }
        let begun = Begun {
            assurance: by.assurance,
            // Where the provider does not say when, nobody knows that it was of late.
            authenticated: Some(by.authenticated.unwrap_or(Micros(0))),
            through: Some(by.through),
            how: "",
        };
        self.begin_so(person, begun, from).await.map(SignedIn::Done)
    }

    /// Signs a person in whose password was good: by a one-time code or a recovery code.
    ///
    /// # Errors
    /// `credentials-invalid`, `rate-limited`; `form-foreign` for a ticket that is not good any more.
    pub async fn second_factor(
        &self,
        ticket: &str,
        code: &str,
        from: From<'_>,
    ) -> Result<NewSession, Failure> {
        let (person, through) = self.ticket(ticket, from.request.at).await?;
        let key = self.store().people_key().await?;
        let by = self.guesser(&key, &person.record.login, from);
        self.may_guess(by, from).await?;
        if !self.is_second_factor(&person, code, from.request).await? {
            return Err(self.guessed_wrong(from, Some(&person)).await?);
        }
        self.house.0.guesses.right(by, from.request.at);
        let begun = Begun {
            assurance: Assurance::TwoFactors,
            authenticated: None,
            through,
            how: "",
        };
        self.begin_so(&person, begun, from).await
    }

    /// Begins a session of somebody who showed a passkey.
    pub(super) async fn begin_by_passkey(
        &self,
        person: &Person,
        through: Option<Through>,
        from: From<'_>,
    ) -> Result<NewSession, Failure> {
        let begun = Begun {
            assurance: Assurance::TwoFactors,
            authenticated: None,
            through,
            how: "by passkey ",
        };
        self.begin_so(person, begun, from).await
    }

    /// The person of a ticket that is still good, and through which account they came.
    pub(super) async fn ticket(
        &self,
        ticket: &str,
        now: Micros,
    ) -> Result<(Arc<Person>, Option<Through>), Failure> {
        let store = self.store();
        let key = store.people_key().await?;
        let stale = || Failure::of(Code::FormForeign);
        let ticket: Ticket = sealed::open(&key, "second factor", ticket, now).ok_or_else(stale)?;
        let id = PersonId::new(&ticket.person).ok_or_else(stale)?;
        let person = store.person(&id).await?.ok_or_else(stale)?;
        let hash = person.proofs.password.as_deref().unwrap_or_default();
        let same = person.record.epoch == ticket.epoch
            && person.record.state == PersonState::Active
            && key.is_hash("password", hash, &ticket.proof)
            && (ticket.through.as_ref())
                .is_none_or(|through| person.proofs.accounts.contains(&through.account));
        match same {
            true => Ok((person, ticket.through)),
            false => Err(stale()),
        }
    }

    /// Whether a code is a one-time code, or a recovery code, of the person; it is none afterwards.
    ///
    /// # Errors
    /// `rate-limited` for a one-time code after too many wrong ones: whoever has a password guesses no
    /// further from elsewhere, and the person still has their recovery codes.
    pub(super) async fn is_second_factor(
        &self,
        person: &Person,
        code: &str,
        request: RequestMeta,
    ) -> Result<bool, Failure> {
        let id = &person.record.id;
        let (store, recovery) = (self.store(), totp::recovery(code));
        let key = store.people_key().await?;
        if recovery.len() == totp::DIGITS {
            let (guesses, door) = (&self.house.0.guesses, *self.tenant.bytes());
            let whom = key.hash("code guess", id.as_str());
            guesses.check_code((door, whom), request.at)?;
            let totp = person.proofs.totp.as_ref();
            let step = totp.and_then(|t| totp::step_of(&t.secret, code, request.at));
            // Which were used before the house began nobody remembers.
            let began = self.house.0.started;
            let step = step.filter(|step| person.made >= began || *step > totp::step_at(began));
            let used = &self.house.0.used_codes;
            let good = step.is_some_and(|step| used.first_use(&self.tenant, id, step));
            if good {
                guesses.right_code((door, whom));
            }
            return Ok(good);
        }
        let hash = key.hash("recovery", &recovery);
        if recovery.len() != 12 || !person.proofs.recovery.contains(&hash) {
            return Ok(false);
        }
        let deed = self.signing(request, Some(person.record.actor()), "use recovery code")?;
        let used = store
            .change_person(deed, id, move |person| {
                let before = person.proofs.recovery.len();
                person.proofs.recovery.retain(|kept| *kept != hash);
                if person.proofs.recovery.len() == before {
                    return Err(StoreError::Refused(
                        Code::CredentialsInvalid,
                        "the code was used".to_owned(),
                    ));
                }
                Ok(())
            })
            .await;
        match used {
            Ok(_) => Ok(true),
            Err(e) if e.code() == Code::CredentialsInvalid => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    fn guesser(&self, key: &PeopleKey, login: &str, from: From<'_>) -> Guesser {
        let whom = key.hash("guess", login);
        let browser = known_browser(key, from);
        let place = match browser.filter(|b| b.people.contains(&half(&whom))) {
            Some(browser) => Place::Browser(browser.id),
            None => Place::Address(from.address),
        };
        Guesser {
            door: *self.tenant.bytes(),
            whom,
            place,
        }
    }

    /// What the browser keeps of this person, beside others.
    fn kept(&self, key: &PeopleKey, login: &str, from: From<'_>) -> Result<String, Failure> {
        let rng = &*self.house.0.rng;
        let mut browser = known_browser(key, from).unwrap_or_else(|| KnownBrowser {
            id: rng.bytes(),
            people: Vec::new(),
        });
        let whom = half(&key.hash("guess", login));
        browser.people.retain(|known| *known != whom);
        browser.people.push(whom);
        let over = browser.people.len().saturating_sub(KNOWN_PEOPLE_MAX);
        browser.people.drain(..over);
        let until = from.request.at.plus_secs(KNOWN_SECONDS);
        sealed::seal(key, KNOWN_BROWSER, &browser, until, rng)
    }

    /// Lets somebody try, perhaps a little later.
    async fn may_guess(&self, by: Guesser, from: From<'_>) -> Result<(), Failure> {
        let now = from.request.at;
        let inner = &self.house.0;
        // Who signed in from there of late is held up by nobody else at the same address.
        if !inner.guesses.knows(by, now) {
            let door = self.tenant.bytes();
            inner.sign_ins.check(door, from.address, now)?;
        }
        inner.guesses.wait(by, now).await
    }

    pub(super) async fn guessed_wrong(
        &self,
        from: From<'_>,
        person: Option<&Person>,
    ) -> Result<Failure, Failure> {
        let inner = &self.house.0;
        inner.metrics.failed_logins.inc();
        inner
            .sign_ins
            .failed(self.tenant.bytes(), from.address, from.request.at);
        let actor = person.map_or_else(
            || Actor::system(Reason::Authentication),
            |p| p.record.actor(),
        );
        let what = format!("sign in from {}", from.address);
        let code = Code::CredentialsInvalid;
        self.store()
            .not_let_in(from.request, &actor, &what, code)
            .await?;
        Ok(Failure::of(code))
    }

    /// Begins a session of a person who was recognised.
    async fn begin(
        &self,
        person: &Person,
        assurance: Assurance,
        from: From<'_>,
    ) -> Result<NewSession, Failure> {
        let begun = Begun {
            assurance,
            authenticated: None,
            through: None,
            how: "",
        };
        self.begin_so(person, begun, from).await
    }

    async fn begin_so(
        &self,
        person: &Person,
        begun: Begun,
        from: From<'_>,
    ) -> Result<NewSession, Failure> {
        // Whoever has what signs in may not have all that is written about it written without end.
        let (rates, metrics) = (&self.house.0.rates, &self.house.0.metrics);
        rates.spend_sign_in(&self.tenant, &person.record.id, metrics)?;
        let changed;
        let claims = begun.through.is_none() && !person.proofs.claimed.is_empty();
        let person = match claims {
            true => {
                changed = self.without_claims(person, from.request).await?;
                &*changed
            }
            false => person,
        };
        let (limits, now) = (self.house.limits(), from.request.at);
        let store = self.store();
        // Whoever comes through what an operator set is here no longer than that lets people in.
        let bound = match &begun.through {
            Some(through) => self.let_in_until(through, now).await?,
            None => None,
        };
        let seconds = i64::try_from(limits.session_seconds_max).unwrap_or(i64::MAX);
        let until = now.plus_secs(seconds);
        let until = bound.map_or(until, |bound| until.min(bound));
        let seconds = seconds.min(until.as_secs() - now.as_secs());
        let idle = i64::try_from(limits.session_idle_seconds_max).unwrap_or(i64::MAX);
        let rng = &self.house.0.rng;
        let cookie = URL_SAFE_NO_PAD.encode(rng.bytes::<32>());
        let key = store.people_key().await?;
        let session = BrowserSession {
            record: SessionRecord {
                id: base::ids::uuid_text(rng.bytes()).into(),
                cookie: key.cookie_hash(&cookie),
                person: person.record.id.clone(),
                person_epoch: person.record.epoch,
                assurance: begun.assurance,
                authenticated: begun.authenticated.unwrap_or(now).min(now),
                until,
                idle_secs: idle,
                used: now,
                ended: false,
            },
            began: now,
            agent: shortened(from.agent).into(),
            address: from.address.to_string().into(),
            through: begun.through,
        };
        let waits = match bound {
            Some(_) => ", which an operator set and nobody of the tenant kept,",
            None => "",
        };
        let what = match &session.through {
            Some(through) => format!(
                "sign in {}through {}{waits} from {}",
                begun.how, through.account.issuer, from.address
            ),
            None => format!("sign in {}from {}", begun.how, from.address),
        };
        let deed = self.signing(from.request, Some(person.record.actor()), what)?;
        let known = (!from.session.is_empty()).then(|| key.cookie_hash(from.session));
        store.begin_session(deed, session, known).await?;
        Ok(NewSession {
            cookie,
            seconds,
            known: self.kept(&key, &person.record.login, from)?,
            known_seconds: KNOWN_SECONDS,
        })
    }

    /// The login that an invitation is for, if it is good.
    ///
    /// # Errors
    /// `invitation-ended`
    pub async fn invited(&self, token: &str, now: Micros) -> Result<String, Failure> {
        Ok(self.invitee(token, now).await?.record.login.to_string())
    }

    pub(super) async fn invitee(&self, token: &str, now: Micros) -> Result<Arc<Person>, Failure> {
        let ended = || Failure::of(Code::InvitationEnded);
        let store = self.store();
        let (id, secret) = token.split_once('.').ok_or_else(ended)?;
        let id = PersonId::new(id).ok_or_else(ended)?;
        let person = store.person(&id).await?.ok_or_else(ended)?;
        let key = store.people_key().await?;
        let good = person
            .proofs
            .invitation
            .as_ref()
            .is_some_and(|i| now.0 < i.until_us && key.is_hash("invitation", secret, &i.hash));
        if !good || person.record.state == PersonState::Disabled {
            return Err(ended());
        }
        let from = person.proofs.invitation.as_ref().and_then(|i| i.from_us);
        match from.map(Micros).filter(|from| now < *from) {
            Some(from) => Err(Failure::new(
                Code::InvitationWaits,
                format!(
                    "an operator invited you to administer this clinic, whose people are told of it: the link is \
                     good from {} on",
                    from.instant()
                ),
            )),
            None => Ok(person),
        }
    }

    /// The deed of somebody who accepts an invitation; of an operator's the tenant's own people are told.
    pub(super) fn accepting(
        &self,
        person: &Person,
        request: RequestMeta,
        what: &str,
    ) -> Result<store::Deed, Failure> {
        let invitation = person.proofs.invitation.as_ref();
        let by_operator = invitation.is_some_and(|i| i.from_us.is_some());
        let what = match by_operator {
            true => format!("{what} of an operator"),
            false => what.to_owned(),
        };
        Ok(store::Deed {
            alerts: by_operator,
            ..self.signing(request, Some(person.record.actor()), what)?
        })
    }

    /// Sets a person's password by the link of an invitation, and signs them in. Everything that was
    /// given to them before ends.
    ///
    /// # Errors
    /// `invitation-ended`, `password-refused`, `limit-busy`, `rate-limited`.
    pub async fn accept_invitation(
        &self,
        token: &str,
        password: &str,
        from: From<'_>,
    ) -> Result<NewSession, Failure> {
        let (door, now) = (self.tenant.bytes(), from.request.at);
        let attempts = &self.house.0.sign_ins;
        let person = match self.invitee(token, now).await {
            Ok(person) => person,
            Err(failure) if failure.code() == Code::InvitationWaits => return Err(failure),
            Err(failure) => {
                attempts.check(door, from.address, now)?;
                attempts.failed(door, from.address, now);
                return Err(failure);
            }
        };
        password::admit(password, &person.record.login, self.house.limits())?;
        let hash = self.house.password_hash(&self.tenant, password).await?;
        let wanted = person.proofs.invitation.clone();
        let deed = self.accepting(&person, from.request, "accept invitation")?;
        let person = self
            .store()
            .change_person(deed, &person.record.id, move |person| {
                if person.proofs.invitation != wanted {
                    let text = "the invitation was used".to_owned();
                    return Err(StoreError::Refused(Code::InvitationEnded, text));
                }
                // What says which roles are by claims goes below, and those roles with it.
                person.take_all_claims_off();
                person.proofs = store::Proofs {
                    password: Some(hash),
                    ..store::Proofs::default()
                };
                person.record.state = PersonState::Active;
                person.record.epoch += 1;
                Ok(())
            })
            .await?;
        self.begin(&person, Assurance::Password, from).await
    }
}

fn shortened(agent: &str) -> String {
    let printable = agent.chars().filter(|c| !c.is_control());
    let mut out = String::new();
    for c in printable {
        if out.len() + c.len_utf8() > AGENT_BYTES_MAX {
            break;
        }
        out.push(c);
    }
    out
}
