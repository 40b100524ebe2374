//! Passkeys (Web Authentication): a key on a device of the person, which verifies them itself. One
//! stands for two factors, and signs in with or without a password before it.
//!
//! What was asked travels sealed through the browser that it was asked of, and is answered once. The
//! names of hosts that browsers bind keys to come from the tenant's address; keys of another tenant are
//! not in this one's records, whatever they are bound to. Challenges are drawn by the library itself.

use access::{Assurance, ClientId, PersonId, PersonState};
use base::{Code, Micros};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::{BrowserSession, KeptPasskey, PasskeyUse, Person, StoreError};
use webauthn_rs::prelude::{
    AuthenticationResult, DiscoverableAuthentication, DiscoverableKey, Passkey,
    PasskeyAuthentication, PasskeyRegistration, PublicKeyCredential, RegisterPublicKeyCredential,
    Url, Uuid, Webauthn, WebauthnBuilder, WebauthnError,
};

use super::sign_in::{From, NewSession};
use super::{Visitor, sealed};
use crate::clients::{is_unseen, printable};
use crate::failure::Failure;
use crate::house::Gate;

/// What a device is asked.
pub struct PasskeyQuestion {
    /// For the browser: options of `navigator.credentials`, as JSON.
    pub options: String,
    /// What comes back with the answer.
    pub state: String,
}

impl std::fmt::Debug for PasskeyQuestion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasskeyQuestion(…)")
    }
}

/// A passkey, as its person sees it.
#[derive(Debug)]
pub struct PasskeyView {
    /// Its id.
    pub id: String,
    /// What its person calls it.
    pub name: String,
    /// When it was added.
    pub made: Micros,
}

/// What somebody shows, in one form, before what they sign in with is changed.
#[derive(Clone, Copy)]
pub struct Proving<'a> {
    /// Their password.
    pub password: &'a str,
    /// A one-time code or a recovery code.
    pub code: &'a str,
    /// What a passkey of theirs answers, in place of a code: what was asked, and the answer.
    pub passkey: (&'a str, &'a str),
    /// The cookie of the browser that its forms are given out to.
    pub browser: &'a str,
}

impl std::fmt::Debug for Proving<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proving(…)")
    }
}

/// Characters of a passkey's name.
const NAME_CHARACTERS_MAX: usize = 100;

/// What a device is asked for, and in which browser: what was asked for one thing is no answer to
/// another, nor in another browser or session.
#[derive(Clone, Copy)]
struct Purpose<'a> {
    what: &'static str,
    browser: &'a str,
    session: &'a str,
}

impl<'a> Purpose<'a> {
    const TO_ADD: &'static str = "passkey to add";
    const TO_SIGN_IN: &'static str = "passkey to sign in";
    const TO_GO_ON: &'static str = "passkey to go on";
    const TO_PROVE: &'static str = "passkey to prove";

    const fn of(what: &'static str, from: &From<'a>) -> Self {
        Self {
            what,
            browser: from.browser,
            session: from.session,
        }
    }

    fn text(self) -> String {
        format!("{}\0{}\0{}", self.what, self.browser, self.session)
    }
}

/// What was asked of one person.
#[derive(Serialize, Deserialize)]
struct Of<T> {
    person: String,
    asked: T,
}

/// What was asked of one person who proved who they are.
#[derive(Serialize, Deserialize)]
struct Begun {
    person: String,
    /// What the password was good against: another password makes this worthless.
    proof: [u8; 32],
    asked: PasskeyRegistration,
}

fn failed(_: impl std::fmt::Debug) -> Failure {
    Failure::of(Code::Internal)
}

fn too_many(max: u64) -> StoreError {
    StoreError::Limit {
        code: Code::LimitQuery,
        limit: "passkeys_per_person_max",
        max,
    }
}

fn not_good() -> Failure {
    Failure::of(Code::CredentialsInvalid)
}

/// Whoever answers, as those are known whose answers are taken once.
fn answerer(text: &str) -> Result<ClientId, Failure> {
    ClientId::new(&format!("passkey.{text}")).ok_or(Failure::of(Code::Internal))
}

/// How often a key was used, as it is kept.
fn counter_of(kept: &KeptPasskey) -> u32 {
    if let Some(used) = kept.used {
        return used.counter;
    }
    let key: Option<serde_json::Value> = serde_json::from_str(&kept.key).ok();
    let counter = key.as_ref().and_then(|key| key.pointer("/cred/counter"));
    let counter = counter.and_then(serde_json::Value::as_u64);
    counter.and_then(|c| u32::try_from(c).ok()).unwrap_or(0)
}

/// A key as it was when it was used last.
fn key(kept: &KeptPasskey) -> Option<Passkey> {
    let mut key: serde_json::Value = serde_json::from_str(&kept.key).ok()?;
    if let Some(used) = kept.used {
        let known = key.pointer_mut("/cred")?.as_object_mut()?;
        known.insert("counter".to_owned(), used.counter.into());
        known.insert("backup_eligible".to_owned(), used.eligible.into());
        known.insert("backup_state".to_owned(), used.backed_up.into());
    }
    serde_json::from_value(key).ok()
}

fn keys(person: &Person) -> Vec<Passkey> {
    person.proofs.passkeys.iter().filter_map(key).collect()
}

impl Gate {
    /// The tenant as devices know it; none where browsers bind no keys to its address.
    fn webauthn(&self) -> Option<Webauthn> {
        let origin = Url::parse(self.links.origin()).ok()?;
        let host = origin.domain()?.to_owned();
        if origin.scheme() != "https" && host != "localhost" {
            return None;
        }
        let builder = WebauthnBuilder::new(&host, &origin).ok()?;
        builder.rp_name(self.name().as_str()).build().ok()
    }

    fn must_take_passkeys(&self) -> Result<Webauthn, Failure> {
        let text = "browsers take passkeys at names of hosts with https alone, not at addresses";
        self.webauthn()
            .ok_or_else(|| Failure::new(Code::NotSupported, text))
    }

    /// Whether passkeys can be used at the tenant's address.
    pub fn takes_passkeys(&self) -> bool {
        self.webauthn().is_some()
    }

    async fn question(
        &self,
        options: &impl Serialize,
        purpose: Purpose<'_>,
        state: &impl Serialize,
        now: Micros,
    ) -> Result<PasskeyQuestion, Failure> {
        let key = self.store().people_key().await?;
        let seconds = i64::try_from(self.house.limits().passkey_seconds_max).unwrap_or(i64::MAX);
        let (until, rng) = (now.plus_secs(seconds), &*self.house.0.rng);
        Ok(PasskeyQuestion {
            options: serde_json::to_string(options).map_err(failed)?,
            state: sealed::seal(&key, &purpose.text(), state, until, rng)?,
        })
    }

    /// What was asked in this browser.
    ///
    /// # Errors
    /// `form-foreign`
    async fn asked_of_device<T: DeserializeOwned>(
        &self,
        purpose: Purpose<'_>,
        state: &str,
        now: Micros,
    ) -> Result<T, Failure> {
        let stale = || Failure::of(Code::FormForeign);
        if purpose.browser.is_empty() {
            return Err(stale());
        }
        let key = self.store().people_key().await?;
        let opened = sealed::open_dated(&key, &purpose.text(), state, now);
        let (asked, until) = opened.ok_or_else(stale)?;
        // What was answered before the house began nobody remembers.
        let house = &self.house.0;
        let life = i64::try_from(self.house.limits().passkey_seconds_max).unwrap_or(i64::MAX);
        if until < house.started.plus_secs(life) {
            return Err(stale());
        }
        Ok(asked)
    }

    /// Takes an answer, once by one answerer.
    fn answered(&self, state: &str, by: &ClientId, now: Micros) -> Result<(), Failure> {
        let replays = &self.house.0.passkey_answers;
        let first = replays.first_use(&self.tenant, by, state, now);
        first.then_some(()).ok_or(Failure::of(Code::FormForeign))
    }

    /// Records that a key was used whose counter says that there are two of it.
    async fn note_copy(&self, person: &Person, from: From<'_>) -> Result<(), Failure> {
        let what = "sign in: the counter of the passkey went back, it may have been copied";
        let (actor, code) = (person.record.actor(), Code::CredentialsInvalid);
        let store = self.store();
        Ok(store.not_let_in(from.request, &actor, what, code).await?)
    }

    /// Asks whoever is there for a passkey.
    ///
    /// # Errors
    /// `not-supported` where the tenant's address takes none.
    pub async fn ask_passkey(&self, from: From<'_>) -> Result<PasskeyQuestion, Failure> {
        let webauthn = self.must_take_passkeys()?;
        let (options, state) = webauthn
            .start_discoverable_authentication()
            .map_err(failed)?;
        let purpose = Purpose::of(Purpose::TO_SIGN_IN, &from);
        self.question(&options, purpose, &state, from.request.at)
            .await
    }

    /// Signs in whoever showed a passkey.
    ///
    /// # Errors
    /// `credentials-invalid`, `rate-limited`; `form-foreign` for an answer to what was not asked.
    pub async fn sign_in_by_passkey(
        &self,
        state: &str,
        answer: &str,
        from: From<'_>,
    ) -> Result<NewSession, Failure> {
        let now = from.request.at;
        let webauthn = self.must_take_passkeys()?;
        let purpose = Purpose::of(Purpose::TO_SIGN_IN, &from);
        let asked: DiscoverableAuthentication = self.asked_of_device(purpose, state, now).await?;
        let shown: Option<PublicKeyCredential> = serde_json::from_str(answer).ok();
        let claimed = shown.as_ref().and_then(|shown| {
            let (user, _) = webauthn.identify_discoverable_authentication(shown).ok()?;
            PersonId::new(&user.to_string())
        });
        let person = match &claimed {
            Some(id) => self.store().person(id).await?,
            None => None,
        };
        // Who has no password here comes in through a provider, which may have turned them away meanwhile:
        // their passkey is a second factor only.
        let active =
            person.filter(|p| p.record.state == PersonState::Active && p.proofs.password.is_some());
        let (Some(person), Some(shown)) = (active, shown) else {
            return Err(self.guessed_wrong(from, None).await?);
        };
        let known: Vec<DiscoverableKey> = keys(&person).iter().map(Into::into).collect();
        match webauthn.finish_discoverable_authentication(&shown, asked, &known) {
            Ok(result) => {
                // Nobody takes room in what is remembered who showed nothing: other answers are guesses,
                // and counted as those.
                self.answered(state, &answerer(person.record.id.as_str())?, now)?;
                self.used(&person, &result, from).await?;
                self.begin_by_passkey(&person, None, from).await
            }
            Err(error) => Err(self.not_shown(&person, &error, from).await?),
        }
    }

    async fn not_shown(
        &self,
        person: &Person,
        error: &WebauthnError,
        from: From<'_>,
    ) -> Result<Failure, Failure> {
        if matches!(error, WebauthnError::CredentialPossibleCompromise) {
            self.note_copy(person, from).await?;
        }
        self.guessed_wrong(from, Some(person)).await
    }

    /// Asks somebody who showed one factor for a passkey, if they have one.
    ///
    /// # Errors
    /// `form-foreign` for a ticket that is not good any more.
    pub async fn ask_passkey_of(
        &self,
        ticket: &str,
        from: From<'_>,
    ) -> Result<Option<PasskeyQuestion>, Failure> {
        let now = from.request.at;
        let (person, _) = self.ticket(ticket, now).await?;
        let purpose = Purpose::of(Purpose::TO_GO_ON, &from);
        self.ask_person(&person, purpose, now).await
    }

    async fn ask_person(
        &self,
        person: &Person,
        purpose: Purpose<'_>,
        now: Micros,
    ) -> Result<Option<PasskeyQuestion>, Failure> {
        let (keys, webauthn) = (keys(person), self.webauthn());
        let Some(webauthn) = webauthn.filter(|_| !keys.is_empty()) else {
            return Ok(None);
        };
        let (options, asked) = webauthn
            .start_passkey_authentication(&keys)
            .map_err(failed)?;
        let state = Of {
            person: person.record.id.as_str().to_owned(),
            asked,
        };
        let question = self.question(&options, purpose, &state, now).await?;
        Ok(Some(question))
    }

    /// Signs in somebody who showed one factor and then a passkey.
    ///
    /// # Errors
    /// `credentials-invalid`, `rate-limited`; `form-foreign`.
    pub async fn second_factor_by_passkey(
        &self,
        ticket: &str,
        (state, answer): (&str, &str),
        from: From<'_>,
    ) -> Result<NewSession, Failure> {
        let (person, through) = self.ticket(ticket, from.request.at).await?;
        self.shows_passkey(&person, Purpose::TO_GO_ON, (state, answer), from)
            .await?;
        self.begin_by_passkey(&person, through, from).await
    }

    /// Takes what a passkey of this person answered to what they were asked.
    async fn shows_passkey(
        &self,
        person: &Person,
        what: &'static str,
        (state, answer): (&str, &str),
        from: From<'_>,
    ) -> Result<(), Failure> {
        let now = from.request.at;
        let webauthn = self.must_take_passkeys()?;
        let purpose = Purpose::of(what, &from);
        let by = answerer(person.record.id.as_str())?;
        let asked: Of<PasskeyAuthentication> = self.asked_of_device(purpose, state, now).await?;
        if asked.person != person.record.id.as_str() {
            return Err(Failure::of(Code::FormForeign));
        }
        let shown: Option<PublicKeyCredential> = serde_json::from_str(answer).ok();
        let Some(shown) = shown else {
            return Err(self.guessed_wrong(from, Some(person)).await?);
        };
        // A key that was removed meanwhile is none.
        let known = |r: &AuthenticationResult| {
            let mut all = keys(person).into_iter();
            all.any(|key| key.cred_id() == r.cred_id())
        };
        match webauthn.finish_passkey_authentication(&shown, &asked.asked) {
            Ok(result) if known(&result) => {
                self.answered(state, &by, now)?;
                self.used(person, &result, from).await
            }
            Ok(_) => Err(self.guessed_wrong(from, Some(person)).await?),
            Err(error) => Err(self.not_shown(person, &error, from).await?),
        }
    }

    fn must_have_room(&self, person: &Person) -> Result<(), Failure> {
        let max = self.house.limits().passkeys_per_person_max;
        match (person.proofs.passkeys.len() as u64) < max {
            true => Ok(()),
            false => Err(too_many(max).into()),
        }
    }

    /// Notes what a device says about its key: how often it was used. What was asked carries the key as
    /// it was then; the one that is kept decides, so that of two answers at once one is a copy's.
    async fn used(
        &self,
        person: &Person,
        result: &AuthenticationResult,
        from: From<'_>,
    ) -> Result<(), Failure> {
        if !result.needs_update() {
            return Ok(());
        }
        let id = URL_SAFE_NO_PAD.encode(result.cred_id());
        let actor = Some(person.record.actor());
        let deed = self.signing(from.request, actor, "use passkey")?;
        let used = PasskeyUse {
            counter: result.counter(),
            eligible: result.backup_eligible(),
            backed_up: result.backup_state(),
        };
        let judge = move |kept: &KeptPasskey| {
            let before = counter_of(kept);
            // Keys that are kept in several places at once do not count (section 6.1.1).
            let counts = used.counter > 0 || before > 0;
            match counts && used.counter <= before {
                true => Err(StoreError::Refused(
                    Code::CredentialsInvalid,
                    "the counter of the passkey went back".to_owned(),
                )),
                false => Ok(used),
            }
        };
        let store = self.store();
        let of = (&person.record.id, &*id);
        match store.passkey_used(deed, of, judge).await {
            Ok(_) => Ok(()),
            Err(e) if e.code() == Code::CredentialsInvalid => {
                let copied = WebauthnError::CredentialPossibleCompromise;
                Err(self.not_shown(person, &copied, from).await?)
            }
            Err(e) => Err(e.into()),
        }
    }
}

impl Visitor {
    /// The person's passkeys.
    pub(super) fn passkeys(&self) -> Vec<PasskeyView> {
        let all = self.person.proofs.passkeys.iter();
        all.map(|kept| PasskeyView {
            id: kept.id.clone(),
            name: kept.name.clone(),
            made: Micros(kept.made_us),
        })
        .collect()
    }

    /// Where this session is, for what is asked in it: by its id, which stays when its cookie changes.
    fn here<'a>(&'a self, browser: &'a str) -> From<'a> {
        From {
            address: self.from,
            agent: "",
            session: &self.session.record.id,
            browser,
            known: "",
            request: self.request,
        }
    }

    /// Asks for a passkey of theirs, so that they prove who they are; none if they have none.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn ask_own_passkey(&self, browser: &str) -> Result<Option<PasskeyQuestion>, Failure> {
        let from = self.here(browser);
        let purpose = Purpose::of(Purpose::TO_PROVE, &from);
        let (gate, now) = (&self.gate, self.request.at);
        gate.ask_person(&self.person, purpose, now).await
    }

    /// Whoever holds a stolen session, however fresh, adds and removes nothing by which people sign in:
    /// they show the password, or have just signed in where there is none, and the second factor if
    /// there is one.
    pub(super) async fn prove(&self, shown: Proving<'_>) -> Result<(), Failure> {
        self.must_prove(shown.password).await?;
        self.prove_second_factor(shown).await
    }

    /// The second factor, of somebody who has one.
    pub(super) async fn prove_second_factor(&self, shown: Proving<'_>) -> Result<(), Failure> {
        if !self.person.proofs.has_second_factor() {
            return Ok(());
        }
        // Codes are counted by the person whose they are, and passkeys are not guessed.
        let (gate, person) = (&self.gate, &self.person);
        if !shown.passkey.1.is_empty() {
            let from = self.here(shown.browser);
            return gate
                .shows_passkey(person, Purpose::TO_PROVE, shown.passkey, from)
                .await;
        }
        match gate
            .is_second_factor(person, shown.code, self.request)
            .await?
        {
            true => Ok(()),
            false => Err(self.not_proved("prove own second factor").await?),
        }
    }

    /// Begins to add a passkey, in the browser that has this cookie for its forms.
    ///
    /// # Errors
    /// `not-supported`, `limit-query` if there are too many; `credentials-invalid`, `rate-limited`,
    /// `step-up-required` if the person does not prove who they are.
    pub async fn begin_passkey(&self, shown: Proving<'_>) -> Result<PasskeyQuestion, Failure> {
        self.prove(shown).await?;
        let webauthn = self.gate.must_take_passkeys()?;
        let (record, known) = (&self.person.record, keys(&self.person));
        self.gate.must_have_room(&self.person)?;
        let user: Uuid = record.id.as_str().parse().map_err(failed)?;
        let known = known.iter().map(|key| key.cred_id().clone()).collect();
        let (login, name) = (&*record.login, &*record.name);
        let (options, asked) = webauthn
            .start_passkey_registration(user, login, name, Some(known))
            .map_err(failed)?;
        let mut options = serde_json::to_value(options).map_err(failed)?;
        // So that it can sign in without anyone having said who they are.
        if let Some(choice) = options.pointer_mut("/publicKey/authenticatorSelection")
            && let Some(choice) = choice.as_object_mut()
        {
            choice.insert("residentKey".to_owned(), "preferred".into());
        }
        let key = self.store.people_key().await?;
        let password = self.person.proofs.password.as_deref().unwrap_or_default();
        let state = Begun {
            person: record.id.as_str().to_owned(),
            proof: key.hash("password", password),
            asked,
        };
        let from = self.here(shown.browser);
        let (purpose, now) = (Purpose::of(Purpose::TO_ADD, &from), self.request.at);
        self.gate.question(&options, purpose, &state, now).await
    }

    /// Adds a passkey: it is asked for from now on. Recovery codes, if the person had none.
    ///
    /// # Errors
    /// `credentials-invalid`, `form-foreign`, `request-invalid`, `limit-query`.
    pub async fn add_passkey(
        &self,
        (state, answer): (&str, &str),
        name: &str,
        browser: &str,
    ) -> Result<Vec<String>, Failure> {
        let wanted = "the name of a passkey has 1 to 100 characters";
        printable(name, NAME_CHARACTERS_MAX, wanted)?;
        if name.contains(is_unseen) {
            return Err(Failure::new(Code::RequestInvalid, wanted));
        }
        let webauthn = self.gate.must_take_passkeys()?;
        let from = self.here(browser);
        let (purpose, now) = (Purpose::of(Purpose::TO_ADD, &from), self.request.at);
        let by = answerer(self.person.record.id.as_str())?;
        let asked: Begun = self.gate.asked_of_device(purpose, state, now).await?;
        self.gate.answered(state, &by, now)?;
        let people = self.store.people_key().await?;
        let password = self.person.proofs.password.as_deref();
        let same = people.is_hash("password", password.unwrap_or_default(), &asked.proof);
        if !same || asked.person != self.person.record.id.as_str() {
            return Err(Failure::of(Code::FormForeign));
        }
        let shown: RegisterPublicKeyCredential =
            serde_json::from_str(answer).map_err(|_| not_good())?;
        let key = webauthn
            .finish_passkey_registration(&shown, &asked.asked)
            .map_err(|_| not_good())?;
        let kept = KeptPasskey {
            // Not what the browser calls it: one key is kept once.
            id: URL_SAFE_NO_PAD.encode(key.cred_id()),
            name: name.to_owned(),
            made_us: now.0,
            key: serde_json::to_string(&key).map_err(failed)?,
            used: None,
        };
        let (codes, hashes) = self.recovery_codes().await?;
        let deed = self.own("add passkey").await?;
        let max = self.gate.house.limits().passkeys_per_person_max;
        let proved = self.proved();
        let change = move |person: &mut Person| {
            proved(person)?;
            if person.proofs.passkeys.iter().any(|p| p.id == kept.id) {
                let text = "this passkey was added already".to_owned();
                return Err(StoreError::Refused(Code::DuplicateId, text));
            }
            if person.proofs.passkeys.len() as u64 >= max {
                return Err(too_many(max));
            }
            person.proofs.passkeys.push(kept);
            person.proofs.drop_begun();
            if person.proofs.recovery.is_empty() {
                person.proofs.recovery = hashes;
            }
            Ok(())
        };
        let id = &self.person.record.id;
        self.store.change_person(deed, id, change).await?;
        // Without a password nothing but a recent sign-in was shown, which is not made more of.
        if password.is_some() {
            self.two_factors_now().await?;
        }
        // They were begun with less.
        self.end_other_sessions().await?;
        Ok(codes)
    }

    /// Removes a passkey. All other sessions end, and so does what programs were approved for.
    ///
    /// # Errors
    /// `not-found`; `credentials-invalid`, `rate-limited`, `step-up-required` if the person does not prove
    /// who they are.
    pub async fn remove_passkey(&self, id: &str, shown: Proving<'_>) -> Result<(), Failure> {
        self.prove(shown).await?;
        let proved = self.proved();
        let (deed, gone) = (self.own("remove passkey").await?, id.to_owned());
        let change = move |person: &mut Person| {
            proved(person)?;
            let before = person.proofs.passkeys.len();
            person.proofs.passkeys.retain(|p| p.id != gone);
            if person.proofs.passkeys.len() == before {
                let text = "there is no such passkey".to_owned();
                return Err(StoreError::Refused(Code::NotFound, text));
            }
            if !person.proofs.has_second_factor() {
                person.proofs.recovery.clear();
            }
            Ok(())
        };
        let id = &self.person.record.id;
        self.store.change_person(deed, id, change).await?;
        // Whoever holds the device may be signed in on it, and have let programs in.
        let deed = self.own("take back approvals").await?;
        self.store.end_approvals(deed, id).await?;
        self.end_other_sessions().await
    }

    /// Who showed a password, and a second factor if there was one, and now has a key of theirs answer, has
    /// shown two factors.
    pub(super) async fn two_factors_now(&self) -> Result<(), Failure> {
        let (current, now) = (self.session.record.id.clone(), self.request.at);
        let deed = self.own("two factors").await?;
        let which = move |s: &BrowserSession| s.record.id == current;
        let raise = move |s: &mut BrowserSession| {
            s.record.assurance = Assurance::TwoFactors;
            s.record.authenticated = now;
        };
        let id = &self.person.record.id;
        self.store.change_sessions(deed, id, which, raise).await?;
        Ok(())
    }
}
