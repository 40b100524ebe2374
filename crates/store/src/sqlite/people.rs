//! People, their browser sessions, what they approved programs for, and the keys of identity tokens,
//! in the tenant's database and in the memory of an open tenant.
//!
//! People and keys are good as long as they are what was last administered, like API clients.
//! Sessions and approvals carry the epochs of the people and clients that they are of, so that
//! older ones that are put back stand for nobody who was changed since; each has a seal of its own.

mod records;
mod sealed;
mod sessions;

use std::collections::HashMap;
use std::sync::Arc;

use access::{ClientId, PersonId, PersonState, Principal};
use base::Micros;
use fhir::definitions::Model;
use parking_lot::RwLock;
use rusqlite::Connection;
use serde::Serialize;

use super::administration::Chain;
use super::clients::Clients;
use super::fault::internal;
use super::passkeys;
use crate::Result;
use crate::face::{
    Account, Approval, BrowserSession, IdentityProvider, PasskeyUse, Person, SigningKey, Through,
};
pub(crate) use records::{
    Comes, begin_anew, bound_provider_term, drop_provider, end_provider_term, kept, provider_term,
    put_key, put_person, put_provider, restored,
};
use records::{read_keys, read_people, read_providers};
pub(crate) use sealed::{drop_unsealed, reseal, unsealed};
pub(crate) use sessions::{put_approval, put_ended_token, put_session, sweep};
use sessions::{read_approvals, read_ended_tokens, read_sessions};

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
        let mut all = all.by_id.values();
        all.any(|p| p.record.state != PersonState::Invited || p.proofs.was_here)
    }

    /// Whether somebody ever signed in whom the tenant knows: not only by a provider that an operator set.
    pub(crate) fn was_anybody_known(&self) -> bool {
        let all = self.people.read();
        let mut proofs = all.by_id.values().map(|p| &p.proofs);
        proofs.any(|p| (p.was_here || p.suffice()) && p.known_by.is_none())
    }

    /// Whom operators invited in sight of the tenant's people, and who may still come.
    pub(crate) fn invited_by_operators(&self, now: Micros) -> Vec<Arc<Person>> {
        let invited = |person: &&Arc<Person>| {
            let invitation = person.proofs.invitation.as_ref();
            invitation.is_some_and(|i| i.from_us.is_some() && now.0 < i.until_us)
        };
        let all = self.people.read();
        all.by_id.values().filter(invited).cloned().collect()
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

fn json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|_| internal("writing a record"))
}
