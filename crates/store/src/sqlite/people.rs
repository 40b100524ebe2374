//! People, their browser sessions, what they approved programs for, and the keys of identity tokens,
//! in the tenant's database and in the memory of an open tenant.
//!
//! People and keys are good as long as they are what was last administered, like API clients.
//! Sessions and approvals carry the epochs of the people and clients that they are of, so that
//! older ones that are put back stand for nobody who was changed since; each has a seal of its own.

mod sealed;

use std::collections::HashMap;
use std::sync::Arc;

use access::{
    ApprovalRecord, Assurance, ClientId, PersonId, PersonRecord, PersonState, Principal, RoleAt,
    Scopes, SessionRecord,
};
use base::{Micros, ResourceId};
use fhir::definitions::{Model, TypeId};
use parking_lot::RwLock;
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::administration::Chain;
use super::clients::Clients;
use super::fault::{Doing, damaged, internal};
use super::passkeys;
use crate::Result;
use crate::face::{
    Account, Approval, BrowserSession, CodeTerms, IdentityProvider, PasskeyUse, Person, Proofs,
    SigningKey, Through,
};
pub(crate) use sealed::{drop_unsealed, reseal, unsealed};
use sealed::{put_row, read_rows};

/// All of an open tenant, as they are committed.
#[derive(Debug, Default)]
pub(crate) struct People {
    people: RwLock<Registered>,
    sessions: RwLock<Sessions>,
    approvals: RwLock<HashMap<Box<str>, Arc<Approval>>>,
    /// Tokens that were taken back, until they would have ended.
    ended_tokens: RwLock<HashMap<TokenId, Ended>>,
    keys: RwLock<Arc<Vec<SigningKey>>>,
    providers: RwLock<Arc<Vec<IdentityProvider>>>,
}

/// The id of an access token (`jti`).
pub(crate) type TokenId = [u8; 16];

/// A token that was taken back.
#[derive(Debug)]
struct Ended {
    /// Whose it was; not kept up to version 8 of the schema.
    client: Option<ClientId>,
    /// When it would have ended.
    until: Micros,
}

#[derive(Debug, Default)]
struct Registered {
    by_id: HashMap<PersonId, Arc<Person>>,
    by_login: HashMap<Box<str>, PersonId>,
    by_account: HashMap<Account, PersonId>,
}

#[derive(Debug, Default)]
struct Sessions {
    by_id: HashMap<Box<str>, Arc<BrowserSession>>,
    by_cookie: HashMap<[u8; 32], Box<str>>,
}

impl People {
    /// Reads them. When what is administered is not `trusted`, all people are disabled and no key
    /// signs.
    pub(crate) fn load(
        db: &Connection,
        model: &Model,
        chain: Chain<'_>,
        (trusted, now): (bool, Micros),
    ) -> Result<Self> {
        let people = Self::default();
        people.learn(db, model, chain)?;
        if !trusted {
            let mut all = people.people.write();
            for person in all.by_id.values_mut() {
                let mut other = (**person).clone();
                other.record.state = PersonState::Disabled;
                other.record.epoch += 1;
                *person = Arc::new(other);
            }
            drop(all);
            *people.keys.write() = Arc::default();
            *people.providers.write() = Arc::default();
        }
        for session in read_sessions(db, chain, now)? {
            people.learn_session(session);
        }
        for approval in read_approvals(db, model, chain, now)? {
            people.learn_approval(approval);
        }
        *people.ended_tokens.write() = read_ended_tokens(db, now)?;
        Ok(people)
    }

    /// Learns which people and keys were committed.
    pub(crate) fn learn(&self, db: &Connection, model: &Model, chain: Chain<'_>) -> Result<()> {
        let mut all = Registered::default();
        let uses = passkeys::all(db, chain)?;
        for mut person in read_people(db, model)? {
            passkeys::tell(&uses, &mut person);
            let id = person.record.id.clone();
            all.by_login.insert(person.record.login.clone(), id.clone());
            for account in &person.proofs.accounts {
                all.by_account.insert(account.clone(), id.clone());
            }
            all.by_id.insert(id, Arc::new(person));
        }
        *self.people.write() = all;
        *self.keys.write() = Arc::new(read_keys(db)?);
        *self.providers.write() = Arc::new(read_providers(db)?);
        Ok(())
    }

    /// Lets nobody in, until they are read again.
    pub(crate) fn let_nobody_in(&self) {
        *self.people.write() = Registered::default();
        *self.keys.write() = Arc::default();
        *self.providers.write() = Arc::default();
    }

    /// Learns how a person's passkey was used.
    pub(crate) fn learn_passkey_use(&self, person: &PersonId, passkey: &str, used: PasskeyUse) {
        let mut all = self.people.write();
        let Some(known) = all.by_id.get_mut(person) else {
            return;
        };
        let mut other = (**known).clone();
        for kept in &mut other.proofs.passkeys {
            if kept.id == passkey {
                kept.used = Some(used);
            }
        }
        *known = Arc::new(other);
    }

    /// Learns of a session, new or changed; one that was ended is forgotten.
    pub(crate) fn learn_session(&self, session: BrowserSession) {
        let mut all = self.sessions.write();
        let id = session.record.id.clone();
        if session.record.ended {
            all.by_cookie.remove(&session.record.cookie);
            all.by_id.remove(&id);
            return;
        }
        let cookie = session.record.cookie;
        if let Some(before) = all.by_id.insert(id.clone(), Arc::new(session)) {
            all.by_cookie.remove(&before.record.cookie);
        }
        all.by_cookie.insert(cookie, id);
    }

    /// Learns of an approval, new or changed; one that was ended is forgotten.
    pub(crate) fn learn_approval(&self, approval: Approval) {
        let id = approval.record.id.clone();
        if approval.record.ended {
            self.approvals.write().remove(&id);
            return;
        }
        self.approvals.write().insert(id, Arc::new(approval));
    }

    /// Forgets sessions and approvals that ended by themselves.
    pub(crate) fn forget(&self, now: Micros) {
        let mut sessions = self.sessions.write();
        sessions.by_id.retain(|_, s| s.record.until > now);
        let Sessions { by_id, by_cookie } = &mut *sessions;
        by_cookie.retain(|_, id| by_id.contains_key(id));
        drop(sessions);
        self.approvals.write().retain(|_, a| a.record.until > now);
        self.ended_tokens
            .write()
            .retain(|_, ended| ended.until > now);
    }

    /// Learns that a token was taken back.
    pub(crate) fn learn_ended_token(&self, token: TokenId, client: ClientId, until: Micros) {
        let client = Some(client);
        let mut all = self.ended_tokens.write();
        all.insert(token, Ended { client, until });
    }

    /// How many tokens were taken back that would not have ended yet: of all clients, and of one.
    pub(crate) fn ended_token_counts(&self, client: &ClientId) -> (usize, usize) {
        let all = self.ended_tokens.read();
        let own = all.values().filter(|e| e.client.as_ref() == Some(client));
        (all.len(), own.count())
    }

    /// Whether a token was taken back.
    pub(crate) fn is_ended_token(&self, token: &TokenId) -> bool {
        self.ended_tokens.read().contains_key(token)
    }

    pub(crate) fn person(&self, id: &PersonId) -> Option<Arc<Person>> {
        self.people.read().by_id.get(id).cloned()
    }

    pub(crate) fn person_of_login(&self, login: &str) -> Option<Arc<Person>> {
        let all = self.people.read();
        all.by_id.get(all.by_login.get(login)?).cloned()
    }

    pub(crate) fn person_of_account(&self, account: &Account) -> Option<Arc<Person>> {
        let all = self.people.read();
        all.by_id.get(all.by_account.get(account)?).cloned()
    }

    /// The accounts at identity providers by which somebody is known.
    pub(crate) fn accounts(&self) -> Vec<Account> {
        self.people.read().by_account.keys().cloned().collect()
    }

    /// Identity providers, in order of id.
    pub(crate) fn providers(&self) -> Arc<Vec<IdentityProvider>> {
        self.providers.read().clone()
    }

    /// All people, in order of login.
    pub(crate) fn sorted(&self) -> Vec<Arc<Person>> {
        let mut all: Vec<_> = self.people.read().by_id.values().cloned().collect();
        all.sort_by(|a, b| a.record.login.cmp(&b.record.login));
        all
    }

    /// Whether somebody of the tenant's own is there, or was: one who only was invited is not.
    pub(crate) fn is_anybody_there(&self) -> bool {
        let all = self.people.read();
        let mut states = all.by_id.values().map(|p| p.record.state);
        states.any(|state| state != PersonState::Invited)
    }

    pub(crate) fn count(&self) -> usize {
        self.people.read().by_id.len()
    }

    pub(crate) fn session(&self, id: &str) -> Option<Arc<BrowserSession>> {
        self.sessions.read().by_id.get(id).cloned()
    }

    pub(crate) fn session_of_cookie(&self, hash: &[u8; 32]) -> Option<Arc<BrowserSession>> {
        let all = self.sessions.read();
        all.by_id.get(all.by_cookie.get(hash)?).cloned()
    }

    pub(crate) fn session_count(&self) -> usize {
        self.sessions.read().by_id.len()
    }

    /// A person's sessions that are good, the newest first.
    pub(crate) fn sessions_of(&self, person: &PersonId, now: Micros) -> Vec<Arc<BrowserSession>> {
        let mut some = self.kept_sessions_of(person);
        some.retain(|s| s.record.is_good(now));
        some
    }

    /// A person's sessions that did not end, unused ones among them, the newest first.
    pub(crate) fn kept_sessions_of(&self, person: &PersonId) -> Vec<Arc<BrowserSession>> {
        let all = self.sessions.read();
        let mut some: Vec<_> = all
            .by_id
            .values()
            .filter(|s| s.record.person == *person)
            .cloned()
            .collect();
        some.sort_by_key(|s| std::cmp::Reverse(s.began));
        some
    }

    /// Whose sessions that have not ended were begun through an account that `which` names; programs may
    /// be at work in one that its browser does not use any more.
    pub(crate) fn people_through(
        &self,
        which: impl Fn(&Through) -> bool,
        now: Micros,
    ) -> Vec<PersonId> {
        let all = self.sessions.read();
        let mut some: Vec<PersonId> = all
            .by_id
            .values()
            .filter(|s| !s.record.ended && now < s.record.until)
            .filter(|s| s.through.as_ref().is_some_and(&which))
            .map(|s| s.record.person.clone())
            .collect();
        some.sort();
        some.dedup();
        some
    }

    pub(crate) fn approval(&self, id: &str) -> Option<Arc<Approval>> {
        self.approvals.read().get(id).cloned()
    }

    pub(crate) fn approval_count(&self) -> usize {
        self.approvals.read().len()
    }

    /// A person's approvals that did not end, the newest first.
    pub(crate) fn kept_approvals_of(&self, person: &PersonId) -> Vec<Arc<Approval>> {
        let all = self.approvals.read();
        let of = |a: &&Arc<Approval>| a.record.person == *person;
        let mut some: Vec<_> = all.values().filter(of).cloned().collect();
        some.sort_by_key(|a| std::cmp::Reverse(a.began));
        some
    }

    /// A person's approvals that are good, the newest first.
    pub(crate) fn approvals_of(&self, person: &PersonId, now: Micros) -> Vec<Arc<Approval>> {
        let mut some = self.kept_approvals_of(person);
        some.retain(|a| a.record.is_good(now));
        some
    }

    /// Keys of identity tokens, the newest first.
    pub(crate) fn keys(&self) -> Arc<Vec<SigningKey>> {
        self.keys.read().clone()
    }

    /// Whether a principal is still what their credentials stood for: a token of this id, if they
    /// showed one.
    pub(crate) fn stands(
        &self,
        principal: &Principal,
        token: Option<&TokenId>,
        clients: &Clients,
        now: Micros,
    ) -> bool {
        if token.is_some_and(|token| self.is_ended_token(token)) {
            return false;
        }
        let client = principal
            .client()
            .is_none_or(|(id, epoch)| clients.epoch(id) == Some(epoch));
        let Some((person, epoch)) = principal.person() else {
            return client;
        };
        let person = self
            .people
            .read()
            .by_id
            .get(person)
            .is_some_and(|p| p.record.epoch == epoch && p.record.state == PersonState::Active);
        let approval = principal.approval();
        let approved = approval.is_none_or(|id| {
            let all = self.approvals.read();
            all.get(id).is_some_and(|a| a.record.is_good(now))
        });
        let in_session = principal.session().is_none_or(|id| {
            let all = self.sessions.read();
            // A program at work is not an idle browser.
            all.by_id.get(id).is_some_and(|s| match approval {
                Some(_) => !s.record.ended && now < s.record.until,
                None => s.record.is_good(now),
            })
        });
        client && person && approved && in_session
    }
}

/// A person, as they are kept.
#[derive(Serialize, Deserialize)]
pub(crate) struct KeptPerson {
    name: String,
    roles: Vec<String>,
    groups: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fhir_user: Option<String>,
    epoch: u64,
    state: String,
    made_us: i64,
    proofs: Proofs,
}

const STATES: [(&str, PersonState); 3] = [
    ("invited", PersonState::Invited),
    ("active", PersonState::Active),
    ("disabled", PersonState::Disabled),
];

fn reference(text: &str, model: &Model) -> Option<(TypeId, ResourceId)> {
    let (of, id) = text.split_once('/')?;
    Some((model.type_id(of)?, ResourceId::new(id).ok()?))
}

fn read_people(db: &Connection, model: &Model) -> Result<Vec<Person>> {
    const DOING: &str = "reading people";
    let wrong = || damaged("a stored person");
    let mut read = db
        .prepare("SELECT id, login, record FROM person")
        .doing(DOING)?;
    let mut rows = read.query([]).doing(DOING)?;
    let mut people = Vec::new();
    while let Some(row) = rows.next().doing(DOING)? {
        let id: String = row.get(0).doing(DOING)?;
        let login: String = row.get(1).doing(DOING)?;
        let text: String = row.get(2).doing(DOING)?;
        let kept: KeptPerson = serde_json::from_str(&text).map_err(|_| wrong())?;
        let roles = kept.roles.iter().map(|r| RoleAt::parse(r));
        let state = STATES.iter().find(|(word, _)| *word == kept.state);
        people.push(Person {
            record: PersonRecord {
                id: PersonId::new(&id).ok_or_else(wrong)?,
                login: login.into(),
                name: kept.name.into(),
                roles: roles.collect::<Option<Vec<_>>>().ok_or_else(wrong)?.into(),
                groups: kept.groups.into_iter().map(Into::into).collect(),
                fhir_user: kept.fhir_user.and_then(|text| reference(&text, model)),
                epoch: kept.epoch,
                state: state.map(|(_, state)| *state).ok_or_else(wrong)?,
            },
            proofs: kept.proofs,
            made: Micros(kept.made_us),
        });
    }
    Ok(people)
}

/// A person as they are kept.
pub(crate) fn kept(model: &Model, person: &Person) -> KeptPerson {
    let record = &person.record;
    let state = STATES.iter().find(|(_, state)| *state == record.state);
    let fhir_user = record.fhir_user.as_ref();
    KeptPerson {
        name: record.name.to_string(),
        roles: record.roles.iter().map(ToString::to_string).collect(),
        groups: record.groups.iter().map(ToString::to_string).collect(),
        fhir_user: fhir_user.map(|(of, id)| format!("{}/{}", model.type_name(*of), id.as_str())),
        epoch: record.epoch,
        state: state.map_or("disabled", |(word, _)| *word).to_owned(),
        made_us: person.made.0,
        proofs: person.proofs.clone(),
    }
}

/// Writes a person, new or changed.
pub(crate) fn put_person(db: &Connection, model: &Model, person: &Person) -> Result<()> {
    let record = &person.record;
    let kept = kept(model, person);
    db.execute(
        "INSERT INTO person (id, login, record) VALUES (?1,?2,?3)
         ON CONFLICT (id) DO UPDATE SET login = excluded.login, record = excluded.record",
        params![record.id.as_str(), record.login, json(&kept)?],
    )
    .doing("writing a person")?;
    passkeys::sweep(db, person)
}

/// Makes it so that nobody may sign in; the records stay.
pub(crate) fn disable_all(db: &Connection) -> Result<()> {
    restored(db, |_| Comes::Disabled)?;
    db.execute("DELETE FROM signing_key", [])
        .doing("dropping signing keys")
        .map(drop)
}

/// Disables everybody, takes off what they prove themselves with, what they may do and where they may sign in
/// instead of here: a role that was forged is none for whoever is invited anew, and each of them is given
/// what they may do by somebody.
pub(crate) fn begin_anew(db: &Connection) -> Result<()> {
    const DOING: &str = "disabling people";
    disable_all(db)?;
    db.execute("DELETE FROM identity_provider", [])
        .doing(DOING)?;
    let mut read = db.prepare("SELECT id, record FROM person").doing(DOING)?;
    let all: Vec<(String, String)> = read
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))
        .and_then(Iterator::collect)
        .doing(DOING)?;
    for (id, text) in all {
        let mut kept: KeptPerson =
            serde_json::from_str(&text).map_err(|_| damaged("a stored person"))?;
        kept.proofs = Proofs::default();
        kept.roles.clear();
        kept.groups.clear();
        kept.fhir_user = None;
        db.execute(
            "UPDATE person SET record = ?2 WHERE id = ?1",
            params![
                id,
                serde_json::to_string(&kept).map_err(|_| damaged("a stored person"))?
            ],
        )
        .doing(DOING)?;
    }
    Ok(())
}

/// How a person of a backup comes back.
pub(crate) enum Comes {
    /// As they were.
    Unchanged,
    /// As they are in the tenant that it is of.
    As(Box<KeptPerson>),
    /// Disabled.
    Disabled,
}

/// Has people come back, or disables them, and ends all sessions and approvals.
pub(crate) fn restored(db: &Connection, comes: impl Fn(&PersonId) -> Comes) -> Result<()> {
    const DOING: &str = "disabling people";
    let mut read = db.prepare("SELECT id, record FROM person").doing(DOING)?;
    let all: Vec<(String, String)> = read
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))
        .and_then(Iterator::collect)
        .doing(DOING)?;
    for (id, text) in all {
        let then: KeptPerson =
            serde_json::from_str(&text).map_err(|_| damaged("a stored person"))?;
        let epoch = then.epoch;
        let mut kept = match PersonId::new(&id).map_or(Comes::Disabled, |id| comes(&id)) {
            Comes::Unchanged => continue,
            Comes::As(now) => *now,
            Comes::Disabled => {
                let mut then = then;
                "disabled".clone_into(&mut then.state);
                then.proofs.invitation = None;
                then
            }
        };
        kept.epoch = kept.epoch.max(epoch) + 1;
        db.execute(
            "UPDATE person SET record = ?2 WHERE id = ?1",
            params![id, json(&kept)?],
        )
        .doing(DOING)?;
    }
    // Who is let in elsewhere, and as what, is configured anew.
    db.execute_batch("DELETE FROM session; DELETE FROM approval; DELETE FROM identity_provider;")
        .doing(DOING)
}

fn read_providers(db: &Connection) -> Result<Vec<IdentityProvider>> {
    const DOING: &str = "reading identity providers";
    let mut read = db
        .prepare("SELECT id, record FROM identity_provider ORDER BY id")
        .doing(DOING)?;
    read.query_map([], |r| {
        let (id, record): (String, String) = (r.get(0)?, r.get(1)?);
        Ok(IdentityProvider {
            id: id.into(),
            record: record.into(),
        })
    })
    .and_then(Iterator::collect)
    .doing(DOING)
}

/// Writes an identity provider, new or changed.
pub(crate) fn put_provider(db: &Connection, provider: &IdentityProvider) -> Result<()> {
    db.execute(
        "INSERT OR REPLACE INTO identity_provider (id, record) VALUES (?1,?2)",
        params![provider.id, provider.record],
    )
    .doing("writing an identity provider")
    .map(drop)
}

/// Drops an identity provider; whether there was one.
pub(crate) fn drop_provider(db: &Connection, id: &str) -> Result<bool> {
    db.execute("DELETE FROM identity_provider WHERE id = ?1", [id])
        .doing("dropping an identity provider")
        .map(|count| count > 0)
}

fn read_keys(db: &Connection) -> Result<Vec<SigningKey>> {
    const DOING: &str = "reading signing keys";
    let mut read = db
        .prepare(
            "SELECT kid, alg, pair, public, made_us, retired_us FROM signing_key
             ORDER BY made_us DESC, kid",
        )
        .doing(DOING)?;
    read.query_map([], |r| {
        Ok(SigningKey {
            kid: r.get(0)?,
            alg: r.get(1)?,
            pair: r.get(2)?,
            public: r.get(3)?,
            made: Micros(r.get(4)?),
            retired: r.get::<_, Option<i64>>(5)?.map(Micros),
        })
    })
    .and_then(Iterator::collect)
    .doing(DOING)
}

/// Adds a key; those of its algorithm from before sign nothing any more, and those that were retired
/// before `gone` go.
pub(crate) fn put_key(db: &Connection, key: &SigningKey, gone: Micros) -> Result<()> {
    const DOING: &str = "writing a signing key";
    db.execute(
        "UPDATE signing_key SET retired_us = ?2 WHERE alg = ?1 AND retired_us IS NULL",
        params![key.alg, key.made.0],
    )
    .doing(DOING)?;
    db.execute("DELETE FROM signing_key WHERE retired_us < ?1", [gone.0])
        .doing(DOING)?;
    db.execute(
        "INSERT INTO signing_key (kid, alg, pair, public, made_us) VALUES (?1,?2,?3,?4,?5)",
        params![key.kid, key.alg, key.pair, key.public, key.made.0],
    )
    .doing(DOING)
    .map(drop)
}

#[derive(Serialize, Deserialize)]
struct KeptSession {
    cookie: [u8; 32],
    person: String,
    person_epoch: u64,
    two_factors: bool,
    authenticated_us: i64,
    idle_secs: i64,
    used_us: i64,
    ended: bool,
    began_us: i64,
    agent: String,
    address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    through: Option<Through>,
}

const fn assurance(two_factors: bool) -> Assurance {
    match two_factors {
        true => Assurance::TwoFactors,
        false => Assurance::Password,
    }
}

fn read_sessions(db: &Connection, chain: Chain<'_>, now: Micros) -> Result<Vec<BrowserSession>> {
    let wrong = || damaged("a stored session");
    let one = |(id, until, text): (String, i64, String)| {
        let kept: KeptSession = serde_json::from_str(&text).map_err(|_| wrong())?;
        Ok(BrowserSession {
            record: SessionRecord {
                id: id.into(),
                cookie: kept.cookie,
                person: PersonId::new(&kept.person).ok_or_else(wrong)?,
                person_epoch: kept.person_epoch,
                assurance: assurance(kept.two_factors),
                authenticated: Micros(kept.authenticated_us),
                until: Micros(until),
                idle_secs: kept.idle_secs,
                used: Micros(kept.used_us),
                ended: kept.ended,
            },
            began: Micros(kept.began_us),
            agent: kept.agent.into(),
            address: kept.address.into(),
            through: kept.through,
        })
    };
    read_rows(db, chain, "session", now)?
        .into_iter()
        .map(one)
        .collect()
}

/// Writes a session, new or changed; one that was ended is dropped.
pub(crate) fn put_session(
    db: &Connection,
    chain: Chain<'_>,
    session: &BrowserSession,
) -> Result<()> {
    let record = &session.record;
    if record.ended {
        return drop_row(db, "DELETE FROM session WHERE id = ?1", &record.id);
    }
    let kept = KeptSession {
        cookie: record.cookie,
        person: record.person.as_str().to_owned(),
        person_epoch: record.person_epoch,
        two_factors: record.assurance == Assurance::TwoFactors,
        authenticated_us: record.authenticated.0,
        idle_secs: record.idle_secs,
        used_us: record.used.0,
        ended: record.ended,
        began_us: session.began.0,
        agent: session.agent.to_string(),
        address: session.address.to_string(),
        through: session.through.clone(),
    };
    let text = json(&kept)?;
    put_row(db, chain, "session", (&record.id, record.until.0, &text))
}

fn drop_row(db: &Connection, sql: &str, id: &str) -> Result<()> {
    db.prepare_cached(sql)
        .and_then(|mut s| s.execute([id]))
        .doing("ending a session or an approval")
        .map(drop)
}

#[derive(Serialize, Deserialize)]
struct KeptApproval {
    person: String,
    person_epoch: u64,
    client: String,
    client_epoch: u64,
    scopes: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    patient: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    two_factors: bool,
    authenticated_us: i64,
    ended: bool,
    began_us: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<CodeTerms>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<[u8; 32]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    context: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
}

fn read_approvals(
    db: &Connection,
    model: &Model,
    chain: Chain<'_>,
    now: Micros,
) -> Result<Vec<Approval>> {
    let wrong = || damaged("a stored approval");
    let one = |(id, until, text): (String, i64, String)| {
        let kept: KeptApproval = serde_json::from_str(&text).map_err(|_| wrong())?;
        let patient = kept.patient.map(|id| ResourceId::new(&id)).transpose();
        Ok(Approval {
            record: ApprovalRecord {
                id: id.into(),
                person: PersonId::new(&kept.person).ok_or_else(wrong)?,
                person_epoch: kept.person_epoch,
                client: ClientId::new(&kept.client).ok_or_else(wrong)?,
                client_epoch: kept.client_epoch,
                scopes: Arc::new(Scopes::parse(&kept.scopes, model).map_err(|_| wrong())?),
                patient: patient.map_err(|_| wrong())?,
                session: kept.session.map(Into::into),
                assurance: assurance(kept.two_factors),
                authenticated: Micros(kept.authenticated_us),
                until: Micros(until),
                ended: kept.ended,
            },
            began: Micros(kept.began_us),
            code: kept.code,
            refresh: kept.refresh,
            certificate: kept.certificate,
            context: kept.context.map(Into::into),
            nonce: kept.nonce.map(Into::into),
        })
    };
    read_rows(db, chain, "approval", now)?
        .into_iter()
        .map(one)
        .collect()
}

/// Writes an approval, new or changed; one that was ended is dropped.
pub(crate) fn put_approval(db: &Connection, chain: Chain<'_>, approval: &Approval) -> Result<()> {
    let record = &approval.record;
    if record.ended {
        return drop_row(db, "DELETE FROM approval WHERE id = ?1", &record.id);
    }
    let kept = KeptApproval {
        person: record.person.as_str().to_owned(),
        person_epoch: record.person_epoch,
        client: record.client.as_str().to_owned(),
        client_epoch: record.client_epoch,
        scopes: record.scopes.as_str().to_owned(),
        patient: record.patient.as_ref().map(|p| p.as_str().to_owned()),
        session: record.session.as_deref().map(str::to_owned),
        two_factors: record.assurance == Assurance::TwoFactors,
        authenticated_us: record.authenticated.0,
        ended: record.ended,
        began_us: approval.began.0,
        code: approval.code.clone(),
        refresh: approval.refresh,
        certificate: approval.certificate,
        context: approval.context.as_deref().map(str::to_owned),
        nonce: approval.nonce.as_deref().map(str::to_owned),
    };
    let text = json(&kept)?;
    put_row(db, chain, "approval", (&record.id, record.until.0, &text))
}

fn read_ended_tokens(db: &Connection, now: Micros) -> Result<HashMap<TokenId, Ended>> {
    const DOING: &str = "reading tokens that were taken back";
    let mut read = db
        .prepare("SELECT id, until_us, client FROM ended_token WHERE until_us > ?1")
        .doing(DOING)?;
    let one = |row: &rusqlite::Row<'_>| {
        let client: Option<String> = row.get(2)?;
        let ended = Ended {
            client: client.as_deref().and_then(ClientId::new),
            until: Micros(row.get(1)?),
        };
        Ok((row.get(0)?, ended))
    };
    read.query_map([now.0], one)
        .and_then(Iterator::collect)
        .doing(DOING)
}

/// Keeps that a token was taken back.
pub(crate) fn put_ended_token(
    db: &Connection,
    token: &TokenId,
    client: &ClientId,
    until: Micros,
) -> Result<()> {
    db.execute(
        "INSERT OR REPLACE INTO ended_token (id, until_us, client) VALUES (?1,?2,?3)",
        params![token, until.0, client.as_str()],
    )
    .doing("taking a token back")
    .map(drop)
}

/// Drops what ended by itself.
pub(crate) fn sweep(db: &Connection, now: Micros) -> Result<()> {
    const DOING: &str = "dropping what ended";
    db.execute("DELETE FROM session WHERE until_us <= ?1", [now.0])
        .doing(DOING)?;
    db.execute("DELETE FROM approval WHERE until_us <= ?1", [now.0])
        .doing(DOING)?;
    db.execute("DELETE FROM ended_token WHERE until_us <= ?1", [now.0])
        .doing(DOING)
        .map(drop)
}

fn json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|_| internal("writing a record"))
}
