//! People, their sessions and approvals: who may be let in, and what becomes of it.
//!
//! Looking up what credentials name takes no permit, as with API clients; everything else spends
//! one and leaves a record (`deeds`).

use std::sync::Arc;

use access::{ActionName, Actor, ClientId, PeopleKey, PersonId, Principal, Reason, RequestMeta};
use base::{Code, Micros};

use super::TenantStore;
use super::deeds::Deed;
use crate::audit::{Asked, Outcome, Record, Subject};
use crate::face::{Account, Approval, BrowserSession, Person, SigningKey, Through};
use crate::sqlite::{OpenTenant, break_glass, people, writer};
use crate::{Result, StoreError};

impl TenantStore {
    /// Records that somebody was not let in.
    ///
    /// # Errors
    /// `audit-unavailable`.
    pub async fn not_let_in(
        &self,
        request: RequestMeta,
        actor: &Actor,
        what: &str,
        code: Code,
    ) -> Result<()> {
        let subject = Subject::Other(None, what);
        let action = ActionName::Authenticate;
        self.note(request, actor, action, subject, Outcome::Refused(code))
            .await
    }

    /// Records that credentials were good for nobody; one record may stand for several times.
    ///
    /// # Errors
    /// `audit-unavailable`.
    pub async fn unknown_not_let_in(
        &self,
        request: RequestMeta,
        what: &str,
        times: u64,
    ) -> Result<()> {
        let words = match times {
            1 => what.to_owned(),
            times => format!("{what} {times} times"),
        };
        let record = Record {
            request,
            actor: &Actor::system(Reason::Authentication),
            action: ActionName::Authenticate,
            subject: Subject::Other(None, &words),
            asked: Asked {
                times: Some(times).filter(|times| *times > 1),
                ..Asked::default()
            },
            outcome: Outcome::Refused(Code::CredentialsInvalid),
        };
        self.append(&record, None).await
    }

    /// Records something about signing in that changes nothing that is kept: a token that was given.
    ///
    /// # Errors
    /// `audit-unavailable`: then it may not be given.
    pub async fn signing(&self, deed: Deed) -> Result<()> {
        self.deed(deed, ActionName::Authenticate).await.map(drop)
    }

    /// The key for what people are recognised by.
    pub async fn people_key(&self) -> Result<Arc<PeopleKey>> {
        Ok(self.opened().await?.people_key())
    }

    /// Whether somebody ever signed in whom the tenant knows.
    pub async fn was_anybody_known(&self) -> Result<bool> {
        Ok(self.opened().await?.people().was_anybody_known())
    }

    /// Whom operators invited to administer the tenant, in sight of its people, and who may still come.
    pub async fn invited_by_operators(&self, now: Micros) -> Result<Vec<Arc<Person>>> {
        Ok(self.opened().await?.people().invited_by_operators(now))
    }

    /// A person, by id.
    pub async fn person(&self, id: &PersonId) -> Result<Option<Arc<Person>>> {
        Ok(self.opened().await?.people().person(id))
    }

    /// A person, by what they sign in with.
    pub async fn person_of_login(&self, login: &str) -> Result<Option<Arc<Person>>> {
        Ok(self.opened().await?.people().person_of_login(login))
    }

    /// A person, by an account at an identity provider.
    pub async fn person_of_account(&self, account: &Account) -> Result<Option<Arc<Person>>> {
        Ok(self.opened().await?.people().person_of_account(account))
    }

    /// Whose sessions that have not ended were begun through an account that `which` names.
    pub async fn people_through(
        &self,
        which: impl Fn(&Through) -> bool,
        now: Micros,
    ) -> Result<Vec<PersonId>> {
        Ok(self.opened().await?.people().people_through(which, now))
    }

    /// A browser session, by the keyed hash of its cookie.
    pub async fn session_of_cookie(&self, hash: &[u8; 32]) -> Result<Option<Arc<BrowserSession>>> {
        Ok(self.opened().await?.people().session_of_cookie(hash))
    }

    /// An approval, by id.
    pub async fn approval(&self, id: &str) -> Result<Option<Arc<Approval>>> {
        Ok(self.opened().await?.people().approval(id))
    }

    /// Keys of identity tokens, the newest first.
    pub async fn signing_keys(&self) -> Result<Arc<Vec<SigningKey>>> {
        Ok(self.opened().await?.people().keys())
    }

    /// Whether a principal is still what their credentials stood for, without touching a disk.
    /// `false` may also mean: look it up.
    pub fn stands(&self, principal: &Principal, token: Option<&[u8; 16]>, now: Micros) -> bool {
        let open = self.entry.as_ref().and_then(|entry| entry.if_open());
        open.is_some_and(|tenant| {
            let (people, clients) = (tenant.people(), tenant.clients());
            people.stands(principal, token, clients, now)
        })
    }

    /// Whether an access token was taken back.
    pub async fn is_ended_token(&self, token: &[u8; 16]) -> Result<bool> {
        Ok(self.opened().await?.people().is_ended_token(token))
    }

    /// Takes an access token of a client back that would have been good until then. Durable when this
    /// returns.
    ///
    /// # Errors
    /// `limit-busy`, also for a client that takes and gives back tokens all the time: it stands in
    /// nobody else's way.
    pub async fn end_token(
        &self,
        deed: Deed,
        (token, client): ([u8; 16], &ClientId),
        until: Micros,
    ) -> Result<()> {
        let intent = self.intends(deed, ActionName::Authenticate)?;
        let (now, client, told) = (intent.at(), client.clone(), intent.clone());
        let work = move |tenant: &Arc<OpenTenant>, slot: &mut _| {
            let (people, limits) = (tenant.people(), &tenant.shared.config.limits);
            people.forget(now);
            if people.is_ended_token(&token) {
                return told.done(tenant);
            }
            let (all, own) = people.ended_token_counts(&client);
            for (count, limit, max) in [
                (
                    own,
                    "ended_tokens_per_client_max",
                    limits.ended_tokens_per_client_max,
                ),
                (all, "ended_tokens_max", limits.ended_tokens_max),
            ] {
                if count as u64 >= max {
                    return Err(too_many(limit, max));
                }
            }
            writer::alone_durably(tenant, slot, |tenant, state| {
                people::sweep(&state.db, now)?;
                people::put_ended_token(&state.db, &token, &client, until)?;
                told.done(tenant)
            })?;
            people.learn_ended_token(token, client, until);
            Ok(())
        };
        self.writes_as(&intent, work).await
    }

    /// All people, in order of login.
    pub async fn people(&self, deed: Deed) -> Result<Vec<Arc<Person>>> {
        self.deed(deed, ActionName::Administer).await?;
        Ok(self.opened().await?.people().sorted())
    }

    /// A person's sessions and approvals that are good, the newest first.
    pub async fn signed_in(
        &self,
        deed: Deed,
        person: &PersonId,
    ) -> Result<(Vec<Arc<BrowserSession>>, Vec<Arc<Approval>>)> {
        let now = self.deed(deed, ActionName::Administer).await?.at();
        let tenant = self.opened().await?;
        let people = tenant.people();
        Ok((
            people.sessions_of(person, now),
            people.approvals_of(person, now),
        ))
    }

    /// Makes a person known.
    ///
    /// # Errors
    /// `login-taken`, `limit-query`.
    pub async fn create_person(&self, deed: Deed, person: Person) -> Result<Arc<Person>> {
        let intent = self.intends(deed, ActionName::Administer)?;
        let id = person.record.id.clone();
        let detail = id.as_str().to_owned();
        let (entry, told) = (self.serving()?, intent.clone());
        let add = move |tenant: &OpenTenant, state: &mut writer::WriterState| {
            let limits = &tenant.shared.config.limits;
            if tenant.people().count() as u64 >= limits.people_max {
                return Err(StoreError::Limit {
                    code: Code::LimitQuery,
                    limit: "people_max",
                    max: limits.people_max,
                });
            }
            must_be_free(tenant, &person)?;
            told.tell(tenant, state)?;
            people::put_person(&state.db, tenant.model, &person)
        };
        let deed = ("create person", detail.as_str());
        self.administers(entry, &intent, deed, add).await?;
        self.known(&id).await
    }

    /// Changes a person: `change` is given what they are now.
    ///
    /// # Errors
    /// `person-unknown`, `login-taken`; those of `change`, and then nothing is changed.
    pub async fn change_person(
        &self,
        deed: Deed,
        id: &PersonId,
        change: impl FnOnce(&mut Person) -> Result<()> + Send + 'static,
    ) -> Result<Arc<Person>> {
        let intent = self.intends(deed, ActionName::Administer)?;
        let (entry, told) = (self.serving()?, intent.clone());
        let (of, detail) = (id.clone(), id.as_str());
        let work = move |tenant: &OpenTenant, state: &mut writer::WriterState| {
            let now = tenant.people().person(&of).ok_or_else(unknown)?;
            let mut person = (*now).clone();
            change(&mut person)?;
            must_be_free(tenant, &person)?;
            // Whoever has to prove anew who they are has nobody open meanwhile.
            let anew = person.proofs.password != now.proofs.password
                || person.record.epoch != now.record.epoch;
            if anew {
                let at = tenant.shared.clock.now();
                let by = ("system:another password", at);
                break_glass::end(&state.db, tenant.chain(), Some(&of), by)?;
            }
            told.tell(tenant, state)?;
            people::put_person(&state.db, tenant.model, &person)
        };
        let deed = ("change person", detail);
        self.administers(entry, &intent, deed, work).await?;
        self.known(id).await
    }

    async fn known(&self, id: &PersonId) -> Result<Arc<Person>> {
        self.person(id).await?.ok_or_else(unknown)
    }

    /// Adds a key of identity tokens; those of the same algorithm from before are retired, and those
    /// that were retired before `gone` go.
    ///
    /// # Errors
    /// None but the general ones.
    pub async fn add_signing_key(&self, deed: Deed, key: SigningKey, gone: Micros) -> Result<()> {
        let intent = self.intends(deed, ActionName::Administer)?;
        let entry = self.serving()?;
        let detail = key.kid.clone();
        let add = move |_: &OpenTenant, state: &mut writer::WriterState| {
            people::put_key(&state.db, &key, gone)
        };
        let deed = ("add signing key", detail.as_str());
        self.administers(entry, &intent, deed, add).await
    }

    /// Begins a session. Where the person has too many, the oldest ends. One of the same browser, known by
    /// the keyed hash of its cookie, goes on under the new cookie if it is of the same person, with
    /// what they approved in it; or else it ends.
    ///
    /// # Errors
    /// `limit-busy`.
    pub async fn begin_session(
        &self,
        deed: Deed,
        session: BrowserSession,
        instead: Option<[u8; 32]>,
    ) -> Result<()> {
        let intent = self.intends(deed, ActionName::Authenticate)?;
        let (now, told) = (intent.at(), intent.clone());
        let begin = move |tenant: &Arc<OpenTenant>, slot: &mut _| {
            let limits = &tenant.shared.config.limits;
            let people = tenant.people();
            people.forget(now);
            let keep = usize::try_from(limits.sessions_per_person_max).unwrap_or(usize::MAX);
            let old = people.kept_sessions_of(&session.record.person);
            let mut changed: Vec<BrowserSession> = old
                .iter()
                .skip(keep.saturating_sub(1))
                .map(|s| (**s).clone())
                .collect();
            let before = instead.and_then(|cookie| people.session_of_cookie(&cookie));
            let mut session = session;
            match before {
                Some(before) if before.record.goes_on_as(&session.record, now) => {
                    changed.retain(|s| s.record.id != before.record.id);
                    session.record.id = before.record.id.clone();
                    session.began = before.began;
                }
                Some(before) => changed.push((*before).clone()),
                None => {}
            }
            changed.iter_mut().for_each(|s| s.record.ended = true);
            // Where one goes on under another cookie it is counted once more, and that is near enough.
            let left = people.session_count().saturating_sub(changed.len());
            if left as u64 >= limits.sessions_max {
                return Err(too_many("sessions_max", limits.sessions_max));
            }
            changed.push(session);
            writer::alone(tenant, slot, |tenant, state| {
                people::sweep(&state.db, now)?;
                changed
                    .iter()
                    .try_for_each(|s| people::put_session(&state.db, tenant.chain(), s))?;
                told.done(tenant)
            })?;
            changed.into_iter().for_each(|s| people.learn_session(s));
            Ok(())
        };
        self.writes_as(&intent, begin).await
    }

    /// Changes the sessions of a person that `which` names, also those not used of late; how many. What was
    /// ended is durable when this returns.
    ///
    /// # Errors
    /// None but the general ones.
    pub async fn change_sessions(
        &self,
        deed: Deed,
        person: &PersonId,
        which: impl Fn(&BrowserSession) -> bool + Send + 'static,
        change: impl Fn(&mut BrowserSession) + Send + 'static,
    ) -> Result<usize> {
        let intent = self.intends(deed, ActionName::Authenticate)?;
        let (of, told) = (person.clone(), intent.clone());
        let work = move |tenant: &Arc<OpenTenant>, slot: &mut _| {
            let mut changed: Vec<BrowserSession> = tenant
                .people()
                .kept_sessions_of(&of)
                .iter()
                .filter(|s| which(s))
                .map(|s| (**s).clone())
                .collect();
            changed.iter_mut().for_each(&change);
            match changed.is_empty() {
                true => told.done(tenant)?,
                false => writer::alone_durably(tenant, slot, |tenant, state| {
                    changed
                        .iter()
                        .try_for_each(|s| people::put_session(&state.db, tenant.chain(), s))?;
                    told.done(tenant)
                })?,
            }
            let count = changed.len();
            for session in changed {
                tenant.people().learn_session(session);
            }
            Ok(count)
        };
        self.writes_as(&intent, work).await
    }

    /// Notes that a session is used.
    ///
    /// # Errors
    /// None but the general ones.
    pub async fn session_used(&self, id: &str, now: Micros) -> Result<()> {
        let id: Box<str> = id.into();
        let work = move |tenant: &Arc<OpenTenant>, slot: &mut _| {
            let Some(session) = tenant.people().session(&id) else {
                return Ok(());
            };
            let mut session = (*session).clone();
            session.record.used = session.record.used.max(now);
            writer::alone(tenant, slot, |tenant, state| {
                people::put_session(&state.db, tenant.chain(), &session)
            })?;
            tenant.people().learn_session(session);
            Ok(())
        };
        self.handle.0.with_writer(self.serving()?, work).await
    }

    /// Keeps an approval. Where the person has too many, the oldest ends. `once`: what it was given for, which is
    /// good once, until that time.
    ///
    /// # Errors
    /// `limit-busy`; `form-foreign` for what was used.
    pub async fn approve(
        &self,
        deed: Deed,
        approval: Approval,
        once: Option<([u8; 16], Micros)>,
    ) -> Result<()> {
        let intent = self.intends(deed, ActionName::Authenticate)?;
        let (now, told) = (intent.at(), intent.clone());
        let work = move |tenant: &Arc<OpenTenant>, slot: &mut _| {
            let limits = &tenant.shared.config.limits;
            let people = tenant.people();
            people.forget(now);
            let client = approval.record.client.clone();
            if let Some((token, _)) = &once {
                if people.is_ended_token(token) {
                    let text = "the launch was used already".to_owned();
                    return Err(StoreError::Refused(Code::FormForeign, text));
                }
                let (ended, _) = people.ended_token_counts(&client);
                if ended as u64 >= limits.ended_tokens_max {
                    return Err(too_many("ended_tokens_max", limits.ended_tokens_max));
                }
            }
            let keep = usize::try_from(limits.approvals_per_person_max).unwrap_or(usize::MAX);
            let mut changed: Vec<Approval> = people
                .kept_approvals_of(&approval.record.person)
                .iter()
                .skip(keep.saturating_sub(1))
                .map(|a| (**a).clone())
                .collect();
            changed.iter_mut().for_each(|a| a.record.ended = true);
            let left = people.approval_count().saturating_sub(changed.len());
            if left as u64 >= limits.approvals_max {
                return Err(too_many("approvals_max", limits.approvals_max));
            }
            changed.push(approval);
            writer::alone(tenant, slot, |tenant, state| {
                people::sweep(&state.db, now)?;
                if let Some((token, until)) = &once {
                    people::put_ended_token(&state.db, token, &client, *until)?;
                }
                changed
                    .iter()
                    .try_for_each(|a| people::put_approval(&state.db, tenant.chain(), a))?;
                told.done(tenant)
            })?;
            changed.into_iter().for_each(|a| people.learn_approval(a));
            if let Some((token, until)) = once {
                people.learn_ended_token(token, client, until);
            }
            Ok(())
        };
        self.writes_as(&intent, work).await
    }

    /// Ends all approvals of a person; how many. Durable when this returns.
    ///
    /// # Errors
    /// None but the general ones.
    pub async fn end_approvals(&self, deed: Deed, person: &PersonId) -> Result<usize> {
        let intent = self.intends(deed, ActionName::Authenticate)?;
        let (of, told) = (person.clone(), intent.clone());
        let work = move |tenant: &Arc<OpenTenant>, slot: &mut _| {
            let people = tenant.people();
            let kept = people.kept_approvals_of(&of);
            let mut ended: Vec<Approval> = kept.iter().map(|a| (**a).clone()).collect();
            ended.iter_mut().for_each(|a| a.record.ended = true);
            match ended.is_empty() {
                true => told.done(tenant)?,
                false => writer::alone_durably(tenant, slot, |tenant, state| {
                    ended
                        .iter()
                        .try_for_each(|a| people::put_approval(&state.db, tenant.chain(), a))?;
                    told.done(tenant)
                })?,
            }
            let count = ended.len();
            ended.into_iter().for_each(|a| people.learn_approval(a));
            Ok(count)
        };
        self.writes_as(&intent, work).await
    }

    /// Changes an approval: `change` is given what it is now, and nobody else changes it meanwhile; it says with
    /// which code the deed is refused all the same, if it is. Durable when this returns.
    ///
    /// # Errors
    /// Those of `change`, and then nothing is changed; `credentials-invalid` if there is none.
    pub async fn change_approval(
        &self,
        deed: Deed,
        id: &str,
        change: impl FnOnce(&mut Approval) -> Result<Option<Code>> + Send + 'static,
    ) -> Result<Approval> {
        let intent = self.intends(deed, ActionName::Authenticate)?;
        let (id, told): (Box<str>, _) = (id.into(), intent.clone());
        let work = move |tenant: &Arc<OpenTenant>, slot: &mut _| {
            let known = tenant.people().approval(&id).ok_or_else(|| {
                StoreError::Refused(Code::CredentialsInvalid, "no such approval".to_owned())
            })?;
            let mut approval = (*known).clone();
            let refused = change(&mut approval)?;
            writer::alone_durably(tenant, slot, |tenant, state| {
                people::put_approval(&state.db, tenant.chain(), &approval)?;
                match refused {
                    Some(code) => told.refused(tenant, code),
                    None => told.done(tenant),
                }
            })?;
            tenant.people().learn_approval(approval.clone());
            Ok(approval)
        };
        self.writes_as(&intent, work).await
    }
}

fn must_be_free(tenant: &OpenTenant, person: &Person) -> Result<()> {
    for account in &person.proofs.accounts {
        let known = tenant.people().person_of_account(account);
        if known.is_some_and(|known| known.record.id != person.record.id) {
            let text = "another person signs in through this account".to_owned();
            return Err(StoreError::Refused(Code::LoginTaken, text));
        }
    }
    let known = tenant.people().person_of_login(&person.record.login);
    if known.is_none_or(|known| known.record.id == person.record.id) {
        return Ok(());
    }
    let text = "another person signs in with this name".to_owned();
    Err(StoreError::Refused(Code::LoginTaken, text))
}

fn unknown() -> StoreError {
    StoreError::Refused(Code::PersonUnknown, "no such person".to_owned())
}

const fn too_many(limit: &'static str, max: u64) -> StoreError {
    StoreError::Limit {
        code: Code::LimitBusy,
        limit,
        max,
    }
}
