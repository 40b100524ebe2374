//! People of a tenant, as those see them who administer them: the tenant's own administrators in
//! their browsers, and the operator, who only makes the first one.

use std::sync::Arc;

use access::{
    Administering, PersonId, PersonRecord, PersonState, Reason, RoleAt, TENANT_ADMINISTRATOR,
    TenantId,
};
use base::{Code, Micros, ResourceId};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fhir::definitions::{Model, TypeId};
use serde::{Deserialize, Serialize};
use store::{Account, BrowserSession, Deed, Invitation, Person, Proofs, StoreError, TenantStore};

use crate::auth::{Visitor, normal_login};
use crate::clients::printable;
use crate::failure::Failure;
use crate::house::House;
use crate::links::Links;
use crate::policies::unnamed_roles;
use crate::tenants::Operator;

/// A person to be made known, as the API takes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonDraft {
    /// What they sign in with.
    pub login: String,
    /// Their name for others.
    pub name: String,
    /// Their roles: `role`, or `role@Organization/id`.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Groups that they are in.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The resource that stands for them: `Practitioner/id`.
    #[serde(default)]
    pub fhir_user: Option<String>,
}

/// A change of a person, as the API takes it; what is absent stays.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonPatch {
    /// Their name for others.
    #[serde(default)]
    pub name: Option<String>,
    /// Their roles.
    #[serde(default)]
    pub roles: Option<Vec<String>>,
    /// Groups that they are in.
    #[serde(default)]
    pub groups: Option<Vec<String>>,
    /// The resource that stands for them; an empty text for none.
    #[serde(default)]
    pub fhir_user: Option<String>,
    /// Whether they may not sign in.
    #[serde(default)]
    pub disabled: Option<bool>,
    /// Their accounts at identity providers.
    #[serde(default)]
    pub accounts: Option<Vec<Account>>,
    /// `false` takes their second factors off: one-time codes, recovery codes and passkeys.
    #[serde(default)]
    pub second_factor: Option<bool>,
}

/// A person, as the API shows them.
#[derive(Debug, Serialize)]
pub struct PersonView {
    /// Their id.
    pub id: String,
    /// What they sign in with.
    pub login: String,
    /// Their name for others.
    pub name: String,
    roles: Vec<String>,
    groups: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fhir_user: Option<String>,
    /// `invited`, `active` or `disabled`.
    pub state: &'static str,
    second_factor: bool,
    passkeys: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    accounts: Vec<Account>,
}

/// A person with the link by which they set a password: the only time it is shown.
#[derive(Serialize)]
pub struct PersonInvited {
    /// The person.
    #[serde(flatten)]
    pub person: PersonView,
    /// The link.
    pub invitation: String,
    /// From when on it is good, where that is not now.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    until: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

impl std::fmt::Debug for PersonInvited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.person.fmt(f)
    }
}

const NAME_CHARACTERS_MAX: usize = 200;
const ROLES_MAX: usize = 200;
/// Accounts of one person at identity providers.
pub(crate) const ACCOUNTS_MAX: usize = 10;
const FHIR_USERS: [&str; 5] = [
    "Practitioner",
    "PractitionerRole",
    "Patient",
    "RelatedPerson",
    "Person",
];

fn invalid(text: impl Into<std::borrow::Cow<'static, str>>) -> Failure {
    Failure::new(Code::RequestInvalid, text)
}

fn roles(given: &[String]) -> Result<Arc<[RoleAt]>, Failure> {
    if given.len() > ROLES_MAX {
        return Err(invalid("a person has at most 200 roles"));
    }
    let parse = |text: &String| {
        let wanted = "a role is written role, or role@Organization/id, or role@Location/id";
        RoleAt::parse(text).ok_or_else(|| invalid(wanted))
    };
    let all: Result<Vec<RoleAt>, Failure> = given.iter().map(parse).collect();
    Ok(all?.into())
}

fn groups(given: Vec<String>) -> Result<Arc<[Box<str>]>, Failure> {
    if given.len() > ROLES_MAX {
        return Err(invalid("a person is in at most 200 groups"));
    }
    for group in &given {
        printable(
            group,
            NAME_CHARACTERS_MAX,
            "a group has 1 to 200 characters",
        )?;
    }
    Ok(given.into_iter().map(Into::into).collect())
}

fn accounts(given: Vec<Account>) -> Result<Vec<Account>, Failure> {
    if given.len() > ACCOUNTS_MAX {
        return Err(invalid("a person has at most 10 accounts"));
    }
    for account in &given {
        let wanted = "issuer and subject of an account have 1 to 2000 bytes";
        printable(&account.issuer, 2_000, wanted)?;
        printable(&account.subject, 2_000, wanted)?;
    }
    Ok(given)
}

pub(crate) fn fhir_user(
    text: &str,
    model: &Model,
) -> Result<Option<(TypeId, ResourceId)>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    let wanted =
        "fhir_user is Practitioner/id, or of a PractitionerRole, Patient, RelatedPerson or Person";
    let wrong = || invalid(wanted);
    let (of, id) = text.split_once('/').ok_or_else(wrong)?;
    if !FHIR_USERS.contains(&of) {
        return Err(wrong());
    }
    let id = ResourceId::new(id).map_err(|_| wrong())?;
    Ok(Some((model.type_id(of).ok_or_else(wrong)?, id)))
}

fn view(person: &Person, model: &Model) -> PersonView {
    let record = &person.record;
    let user = record.fhir_user.as_ref();
    PersonView {
        id: record.id.as_str().to_owned(),
        login: record.login.to_string(),
        name: record.name.to_string(),
        roles: record.roles.iter().map(ToString::to_string).collect(),
        groups: record.groups.iter().map(ToString::to_string).collect(),
        fhir_user: user.map(|(of, id)| format!("{}/{}", model.type_name(*of), id.as_str())),
        state: match record.state {
            PersonState::Invited => "invited",
            PersonState::Active => "active",
            PersonState::Disabled => "disabled",
        },
        second_factor: person.proofs.has_second_factor(),
        passkeys: person.proofs.passkeys.len(),
        accounts: person.proofs.accounts.clone(),
    }
}

/// Where people are administered, whoever does it.
struct Desk<'a> {
    house: &'a House,
    tenant: &'a TenantId,
    store: &'a TenantStore,
    links: &'a Links,
    now: Micros,
    /// From when on an invitation is good, where that is not now.
    from: Option<Micros>,
}

impl Desk<'_> {
    fn model(&self) -> &'static Model {
        Model::of(self.tenant.fhir())
    }

    /// A fresh invitation: what is kept, what is given, and until when.
    async fn invitation(&self, id: &PersonId) -> Result<(Invitation, String, Micros), Failure> {
        let secret = URL_SAFE_NO_PAD.encode(self.house.0.rng.bytes::<24>());
        let seconds = self.house.limits().invitation_seconds_max;
        let from = self.from.unwrap_or(self.now);
        let until = from.plus_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
        let hash = self.store.people_key().await?.hash("invitation", &secret);
        let invitation = Invitation {
            hash,
            until_us: until.0,
            from_us: self.from.map(|from| from.0),
        };
        let link = self
            .links
            .auth(&format!("/invitation?token={}.{secret}", id.as_str()));
        Ok((invitation, link, until))
    }

    async fn create(&self, deed: Deed, draft: PersonDraft) -> Result<PersonInvited, Failure> {
        let login = normal_login(&draft.login)
            .ok_or_else(|| invalid("login has 1 to 200 characters and no spaces"))?;
        printable(
            &draft.name,
            NAME_CHARACTERS_MAX,
            "name has 1 to 200 characters",
        )?;
        let id = PersonId::of(self.house.0.rng.bytes());
        let what = [&deed.what, " ", id.as_str()].concat();
        let deed = Deed { what, ..deed };
        let (invitation, link, until) = self.invitation(&id).await?;
        let person = Person {
            record: PersonRecord {
                id,
                login: login.into(),
                name: draft.name.into(),
                roles: roles(&draft.roles)?,
                groups: groups(draft.groups)?,
                fhir_user: fhir_user(&draft.fhir_user.unwrap_or_default(), self.model())?,
                epoch: 1,
                state: PersonState::Invited,
            },
            proofs: Proofs {
                invitation: Some(invitation),
                ..Proofs::default()
            },
            made: self.now,
        };
        let person = self.store.create_person(deed, person).await?;
        Ok(PersonInvited {
            warnings: unnamed_roles(self.store, &person.record.roles).await?,
            person: view(&person, self.model()),
            invitation: link,
            from: self.from.map(|from| from.instant().to_string()),
            until: until.instant().to_string(),
        })
    }

    /// Gives a person another link; what they proved themselves with stays good until it is used.
    async fn invite(&self, deed: Deed, id: &PersonId) -> Result<PersonInvited, Failure> {
        self.invite_so(deed, id, |_| Ok(())).await
    }

    /// The same, with a change of theirs beside it.
    async fn invite_so(
        &self,
        deed: Deed,
        id: &PersonId,
        beside: impl FnOnce(&mut Person) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<PersonInvited, Failure> {
        let (invitation, link, until) = self.invitation(id).await?;
        let change = move |person: &mut Person| {
            beside(person)?;
            person.proofs.invitation = Some(invitation);
            Ok(())
        };
        let person = self.store.change_person(deed, id, change).await?;
        Ok(PersonInvited {
            warnings: unnamed_roles(self.store, &person.record.roles).await?,
            person: view(&person, self.model()),
            invitation: link,
            from: self.from.map(|from| from.instant().to_string()),
            until: until.instant().to_string(),
        })
    }

    async fn change(
        &self,
        deed: Deed,
        id: &PersonId,
        patch: PersonPatch,
    ) -> Result<PersonView, Failure> {
        if let Some(name) = &patch.name {
            printable(name, NAME_CHARACTERS_MAX, "name has 1 to 200 characters")?;
        }
        let roles = patch.roles.as_deref().map(roles).transpose()?;
        let groups = patch.groups.map(groups).transpose()?;
        let model = self.model();
        let user = patch.fhir_user.map(|u| fhir_user(&u, model)).transpose()?;
        let (name, disabled) = (patch.name, patch.disabled);
        let accounts = patch.accounts.map(accounts).transpose()?;
        if patch.second_factor == Some(true) {
            return Err(invalid("second factors are set up by whoever has them"));
        }
        let alone = patch.second_factor.is_some();
        let change = move |person: &mut Person| {
            let record = &mut person.record;
            if let Some(name) = name {
                record.name = name.into();
            }
            // Whatever a session or an approval rests on: they end.
            let ends = roles.is_some() || groups.is_some() || user.is_some() || disabled.is_some();
            let ends = ends || accounts.is_some() || alone;
            if alone {
                person.proofs.totp = None;
                person.proofs.recovery.clear();
                person.proofs.passkeys.clear();
            }
            record.epoch += u64::from(ends);
            // Somebody of the tenant says who they are.
            if ends && disabled != Some(true) {
                person.proofs.known_by = None;
            }
            let record = &mut person.record;
            record.roles = roles.unwrap_or_else(|| record.roles.clone());
            record.groups = groups.unwrap_or_else(|| record.groups.clone());
            record.fhir_user = user.unwrap_or_else(|| record.fhir_user.clone());
            if let Some(accounts) = accounts {
                let known = |issuer: &str| accounts.iter().any(|a| a.issuer == issuer);
                let claimed = person.proofs.claimed.iter().map(|c| c.issuer.clone());
                let gone: Vec<String> = claimed.filter(|issuer| !known(issuer)).collect();
                for issuer in gone {
                    person.take_claims_off(&issuer);
                }
                person.proofs.accounts = accounts;
                let known = person.proofs.suffice();
                if !known {
                    // Nothing is left that these would be second to.
                    person.proofs.totp = None;
                    person.proofs.recovery.clear();
                    person.proofs.passkeys.clear();
                }
                if known && person.record.state == PersonState::Invited {
                    person.record.state = PersonState::Active;
                }
            }
            let record = &mut person.record;
            match disabled {
                Some(true) => {
                    record.state = PersonState::Disabled;
                    person.proofs.invitation = None;
                }
                Some(false) if record.state == PersonState::Disabled => {
                    record.state = match person.proofs.suffice() {
                        true => PersonState::Active,
                        false => PersonState::Invited,
                    };
                }
                _ => {}
            }
            Ok(())
        };
        let person = self.store.change_person(deed, id, change).await?;
        Ok(view(&person, model))
    }

    async fn list(&self, deed: Deed) -> Result<Vec<PersonView>, Failure> {
        let all = self.store.people(deed).await?;
        Ok(all.iter().map(|p| view(p, self.model())).collect())
    }
}

fn person_id(id: &str) -> Result<PersonId, Failure> {
    PersonId::new(id).ok_or(Failure::of(Code::PersonUnknown))
}

impl Visitor {
    fn desk(&self) -> Desk<'_> {
        Desk {
            house: &self.gate.house,
            tenant: &self.gate.tenant,
            store: &self.store,
            links: &self.gate.links,
            now: self.request.at,
            from: None,
        }
    }

    /// Makes a person known and invites them.
    ///
    /// # Errors
    /// `scope-missing`, `request-invalid`, `login-taken`, `limit-query`.
    pub async fn create_person(&self, draft: PersonDraft) -> Result<PersonInvited, Failure> {
        let deed = self.deed(Administering::People, "create person").await?;
        self.desk().create(deed, draft).await
    }

    /// All people of the tenant, in order of login.
    ///
    /// # Errors
    /// `scope-missing`
    pub async fn list_people(&self) -> Result<Vec<PersonView>, Failure> {
        let deed = self.deed(Administering::People, "list people").await?;
        self.desk().list(deed).await
    }

    /// Changes a person; where roles, groups or the right to sign in change, all that was given to
    /// them before ends.
    ///
    /// # Errors
    /// `scope-missing`, `request-invalid`, `person-unknown`.
    pub async fn change_person(&self, id: &str, patch: PersonPatch) -> Result<PersonView, Failure> {
        let id = person_id(id)?;
        let what = match patch.second_factor {
            Some(_) => format!("remove second factors of person {}", id.as_str()),
            None => format!("change person {}", id.as_str()),
        };
        let deed = self.deed(Administering::People, what).await?;
        self.desk().change(deed, &id, patch).await
    }

    /// Gives a person another link by which they set a password.
    ///
    /// # Errors
    /// `scope-missing`, `person-unknown`.
    pub async fn invite_person(&self, id: &str) -> Result<PersonInvited, Failure> {
        let id = person_id(id)?;
        let what = format!("invite person {}", id.as_str());
        let deed = self.deed(Administering::People, what).await?;
        self.desk().invite(deed, &id).await
    }

    /// Takes an operator's invitation back: whoever sees alerts may, also where nobody administers the tenant
    /// any more.
    ///
    /// # Errors
    /// `scope-missing`, recorded; `person-unknown` if nobody was invited so who may still come.
    pub async fn refuse_invitation(&self, id: &str) -> Result<(), Failure> {
        let id = person_id(id)?;
        let deed = Deed {
            permit: self.caller().await?.may_attend().await?,
            actor: None,
            what: format!("refuse invitation of an operator {}", id.as_str()),
            alerts: false,
        };
        let change = |person: &mut Person| {
            let invitation = person.proofs.invitation.as_ref();
            if invitation.is_none_or(|i| i.from_us.is_none()) {
                let text = "an operator invited nobody of this id, or they came".to_owned();
                return Err(StoreError::Refused(Code::PersonUnknown, text));
            }
            person.proofs.invitation = None;
            person.record.state = PersonState::Disabled;
            person.record.epoch += 1;
            Ok(())
        };
        Ok(self
            .store
            .change_person(deed, &id, change)
            .await
            .map(drop)?)
    }

    /// Ends all sessions of a person, and all that they approved programs for.
    ///
    /// # Errors
    /// `scope-missing`, `person-unknown`.
    pub async fn sign_person_out(&self, id: &str) -> Result<(), Failure> {
        let id = person_id(id)?;
        let what = format!("sign out person {}", id.as_str());
        let deed = self.deed(Administering::People, what).await?;
        let change = |person: &mut Person| {
            person.record.epoch += 1;
            Ok(())
        };
        self.store.change_person(deed, &id, change).await?;
        let deed = self
            .deed(
                Administering::People,
                format!("end sessions {}", id.as_str()),
            )
            .await?;
        let end = |s: &mut BrowserSession| s.record.ended = true;
        let ended = self.store.change_sessions(deed, &id, |_| true, end);
        ended.await?;
        let deed = self
            .deed(
                Administering::People,
                format!("end approvals {}", id.as_str()),
            )
            .await?;
        Ok(self.store.end_approvals(deed, &id).await.map(drop)?)
    }
}

/// Refuses to let people into a tenant that was made of a backup of another one, as long as that one is here
/// and has somebody who administers it: they come along with it, and let others in.
pub(crate) async fn must_not_be_of_others(store: &TenantStore) -> Result<(), Failure> {
    if !store.is_of_others().await? {
        return Ok(());
    }
    Err(Failure::new(
        Code::TenantState,
        "the tenant was made of a backup of one that has administrators: they come along with \"clients\": \
         \"as-now\", and let others in",
    ))
}

impl Operator {
    async fn desk_of(&self, tenant: &str) -> Result<(TenantId, TenantStore, Links), Failure> {
        let (tenant, store) = self.tenant(tenant)?;
        let links = self.links(&tenant);
        Ok((tenant, store, links))
    }

    fn desk<'a>(
        &'a self,
        tenant: &'a TenantId,
        store: &'a TenantStore,
        links: &'a Links,
    ) -> Desk<'a> {
        Desk {
            house: &self.house,
            tenant,
            store,
            links,
            now: self.request.at,
            from: None,
        }
    }

    /// The desk at which administrators are invited. In a tenant that has people of its own, who are told of it,
    /// the link is good after a time: whoever runs the house does not become the clinic before anybody sees it.
    async fn desk_of_invitations<'a>(
        &'a self,
        tenant: &'a TenantId,
        store: &'a TenantStore,
        links: &'a Links,
    ) -> Result<Desk<'a>, Failure> {
        let seconds = self.house.limits().operator_invitation_seconds_min;
        let waits = seconds > 0 && store.was_anybody_known().await?;
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        Ok(Desk {
            from: waits.then(|| self.request.at.plus_secs(seconds)),
            ..self.desk(tenant, store, links)
        })
    }

    fn people_deed(&self, tenant: &TenantId, what: impl Into<String>) -> Result<Deed, Failure> {
        Ok(Deed {
            permit: self.system(Reason::Operation, tenant)?,
            actor: None,
            what: what.into(),
            alerts: false,
        })
    }

    /// The same, of which the tenant's own people are told.
    fn people_alert(&self, tenant: &TenantId, what: impl Into<String>) -> Result<Deed, Failure> {
        Ok(Deed {
            alerts: true,
            ..self.people_deed(tenant, what)?
        })
    }

    /// Makes a tenant's administrator known and invites them: only as long as the tenant has none who
    /// could do it. They administer, and are nobody else.
    ///
    /// # Errors
    /// `tenant-unknown`, `tenant-state` if it has one, `request-invalid`, `login-taken`; `clinic-only` for groups
    /// and `fhir_user`.
    pub async fn create_person(
        &self,
        tenant: &str,
        draft: PersonDraft,
    ) -> Result<PersonInvited, Failure> {
        let (tenant, store, links) = self.desk_of(tenant).await?;
        if draft.roles.iter().any(|role| role != TENANT_ADMINISTRATOR) || draft.roles.is_empty() {
            return Err(invalid(
                "the operator makes tenant administrators only: roles is [\"tenant-administrator\"]",
            ));
        }
        // Policy gives charts to groups, and to whom a record stands for.
        if !draft.groups.is_empty() || draft.fhir_user.as_ref().is_some_and(|u| !u.is_empty()) {
            let text = "whom the operator makes administers and is nobody else: the clinic gives groups and fhir_user";
            return Err(Failure::new(Code::ClinicOnly, text));
        }
        let deed = self.people_deed(&tenant, "look for administrator")?;
        let active = store.people(deed).await?;
        if active.iter().any(|p| {
            p.record.state != PersonState::Disabled && p.record.has_role(TENANT_ADMINISTRATOR)
        }) {
            return Err(Failure::new(
                Code::TenantState,
                "the tenant has an administrator, or invited one; disable them to invite another",
            ));
        }
        must_not_be_of_others(&store).await?;
        let desk = self.desk_of_invitations(&tenant, &store, &links).await?;
        let deed = self.people_alert(&tenant, "create administrator")?;
        desk.create(deed, draft).await
    }

    /// Invites an administrator anew whose link was lost or who was disabled: only as long as nobody else
    /// administers the tenant. What they proved themselves with before is taken off, and what they may do besides.
    ///
    /// # Errors
    /// `tenant-unknown`, `person-unknown`, `tenant-state` if the tenant has another administrator;
    /// `request-invalid` for somebody who is none.
    pub async fn invite_person(&self, tenant: &str, id: &str) -> Result<PersonInvited, Failure> {
        let (tenant, store, links) = self.desk_of(tenant).await?;
        let id = person_id(id)?;
        let deed = self.people_deed(&tenant, "look for administrator")?;
        let all = store.people(deed).await?;
        let one = all.iter().find(|p| p.record.id == id);
        let one = one.ok_or(Failure::of(Code::PersonUnknown))?;
        if !one.record.has_role(TENANT_ADMINISTRATOR) {
            return Err(invalid(
                "the operator invites tenant administrators only; they invite everybody else",
            ));
        }
        if one.record.state == PersonState::Active {
            return Err(Failure::new(
                Code::TenantState,
                "they administer the tenant now: disable them first, and they are invited anew",
            ));
        }
        if all.iter().any(|p| {
            p.record.id != id
                && p.record.state == PersonState::Active
                && p.record.has_role(TENANT_ADMINISTRATOR)
        }) {
            return Err(Failure::new(
                Code::TenantState,
                "the tenant has another administrator, who can invite them",
            ));
        }
        must_not_be_of_others(&store).await?;
        let desk = self.desk_of_invitations(&tenant, &store, &links).await?;
        let deed = self.people_alert(&tenant, format!("invite person {}", id.as_str()))?;
        let begin_anew = |person: &mut Person| {
            // As they are now: somebody may have accepted their link since, and who has the role by claims of
            // a provider alone administers nothing without them.
            let refuse = |code, text: &str| Err(StoreError::Refused(code, text.to_owned()));
            if person.record.state == PersonState::Active {
                return refuse(Code::TenantState, "they administer the tenant by now");
            }
            person.take_all_claims_off();
            if !person.record.has_role(TENANT_ADMINISTRATOR) {
                let text = "they administer by what their identity provider says alone";
                return refuse(Code::RequestInvalid, text);
            }
            person.proofs = person.proofs.taken_off();
            // Whoever comes administers, and is nobody else: what they had besides is for the clinic to give.
            let record = &mut person.record;
            let administers =
                |held: &&RoleAt| *held.role == *TENANT_ADMINISTRATOR && held.facility.is_none();
            record.roles = record.roles.iter().filter(administers).cloned().collect();
            (record.groups, record.fhir_user) = (Arc::default(), None);
            person.record.state = PersonState::Invited;
            person.record.epoch += 1;
            Ok(())
        };
        desk.invite_so(deed, &id, begin_anew).await
    }

    /// Those who work in a tenant, in order of login: who is a patient there is told to nobody outside.
    ///
    /// # Errors
    /// `tenant-unknown`
    pub async fn list_people(&self, tenant: &str) -> Result<Vec<PersonView>, Failure> {
        let (tenant, store, _) = self.desk_of(tenant).await?;
        let deed = self.people_deed(&tenant, "list people")?;
        let (all, model) = (store.people(deed).await?, Model::of(tenant.fhir()));
        let staff = all.iter().filter(|p| !p.record.is_patient(model));
        Ok(staff.map(|p| view(p, model)).collect())
    }

    /// Disables a person, from their next request on.
    ///
    /// # Errors
    /// `tenant-unknown`, `person-unknown`.
    pub async fn disable_person(&self, tenant: &str, id: &str) -> Result<PersonView, Failure> {
        let (tenant, store, links) = self.desk_of(tenant).await?;
        let id = person_id(id)?;
        let desk = self.desk(&tenant, &store, &links);
        let deed = self.people_alert(&tenant, format!("disable person {}", id.as_str()))?;
        let patch = PersonPatch {
            name: None,
            roles: None,
            groups: None,
            fhir_user: None,
            disabled: Some(true),
            accounts: None,
            second_factor: None,
        };
        desk.change(deed, &id, patch).await
    }
}
