//! People of one tenant: who they are, what they approved programs for, and the two ways in which
//! a person becomes a [`Principal`]: by the cookie of a session, or by a token of an approval.
//!
//! Knows nothing of passwords and pages; what is recorded here was checked before.

use std::fmt;
use std::sync::Arc;

use base::{Micros, ResourceId, Secret};
use fhir::definitions::{Model, TypeId};
use ring::hmac;

use crate::action::{ActionName, Administer};
use crate::client::{ClientId, ClientRecord};
use crate::decide::Denied;
use crate::directory::TenantId;
use crate::permit::{Actor, Grant, Permit, RequestMeta};
use crate::principal::{Principal, Who};
use crate::scope::{ScopeContext, Scopes};
use crate::vendor::VendorId;

/// The role of those who administer a tenant's people and programs.
pub const TENANT_ADMINISTRATOR: &str = "tenant-administrator";

/// A person's id: the lower-case text of a UUID.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PersonId(Arc<str>);

impl PersonId {
    /// Takes an id.
    pub fn new(text: &str) -> Option<Self> {
        base::ids::uuid_bytes(text).map(|_| Self(text.into()))
    }

    /// An id of these bytes.
    pub fn of(bytes: [u8; 16]) -> Self {
        Self(base::ids::uuid_text(bytes).into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A role, and the one facility where it is held; without one, wherever the tenant's policy gives it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RoleAt {
    /// The role's name.
    pub role: Box<str>,
    /// The facility: `Organization` or `Location`, and its id.
    pub facility: Option<(Box<str>, ResourceId)>,
}

impl RoleAt {
    /// Reads `role` or `role@Organization/id`. A role has 1 to 64 of `a-z 0-9 - _ .`.
    pub fn parse(text: &str) -> Option<Self> {
        let (role, facility) = match text.split_once('@') {
            Some((role, facility)) => (role, Some(facility)),
            None => (text, None),
        };
        let of_role =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
        ((1..=64).contains(&role.len()) && role.bytes().all(of_role)).then_some(())?;
        let facility = match facility {
            Some(facility) => {
                let (of, id) = facility.split_once('/')?;
                matches!(of, "Organization" | "Location").then_some(())?;
                Some((of.into(), ResourceId::new(id).ok()?))
            }
            None => None,
        };
        Some(Self {
            role: role.into(),
            facility,
        })
    }
}

impl fmt::Display for RoleAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.role)?;
        match &self.facility {
            Some((of, id)) => write!(f, "@{of}/{}", id.as_str()),
            None => Ok(()),
        }
    }
}

/// Whether a person may sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PersonState {
    /// Was invited and has no password yet.
    Invited,
    /// May sign in.
    Active,
    /// May not.
    Disabled,
}

/// A person as the tenant's database keeps them, without what they prove themselves with.
#[derive(Clone, Debug)]
pub struct PersonRecord {
    /// Their id.
    pub id: PersonId,
    /// What they type to sign in; one person's in the tenant.
    pub login: Box<str>,
    /// Their name for others.
    pub name: Box<str>,
    /// Their roles.
    pub roles: Arc<[RoleAt]>,
    /// Groups that they are in.
    pub groups: Arc<[Box<str>]>,
    /// The resource that stands for them: a Practitioner, PractitionerRole, Patient, RelatedPerson
    /// or Person.
    pub fhir_user: Option<(TypeId, ResourceId)>,
    /// Grows with every change that ends what was given to them before; sessions and approvals
    /// carry it.
    pub epoch: u64,
    /// Whether they may sign in.
    pub state: PersonState,
}

impl PersonRecord {
    /// Who they are in audit lines.
    pub fn actor(&self) -> Actor {
        Actor::holding(&format!("person:{}", self.id.as_str()), &self.roles)
    }

    /// Whether they are no staff: patients, and people who are close to one.
    pub fn is_patient(&self, model: &Model) -> bool {
        let of = self.fhir_user.as_ref().map(|(of, _)| model.type_name(*of));
        matches!(of, Some("Patient" | "RelatedPerson"))
    }

    /// Whether they hold a role for the whole tenant.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles
            .iter()
            .any(|held| &*held.role == role && held.facility.is_none())
    }
}

/// How surely a person was recognised (`acr`), weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assurance {
    /// By something that they know.
    Password,
    /// By something that they know and something that they have.
    TwoFactors,
}

impl Assurance {
    /// The value of `acr`.
    pub const fn acr(self) -> &'static str {
        match self {
            Self::Password => "urn:insula:acr:password",
            Self::TwoFactors => "urn:insula:acr:two-factors",
        }
    }
}

/// A person's session in a browser.
#[derive(Clone, Debug)]
pub struct SessionRecord {
    /// Its id, as lists show it.
    pub id: Box<str>,
    /// Keyed hash of its cookie.
    pub cookie: [u8; 32],
    /// Whose it is.
    pub person: PersonId,
    /// Their epoch when it began.
    pub person_epoch: u64,
    /// How surely they were recognised.
    pub assurance: Assurance,
    /// When they last proved who they are.
    pub authenticated: Micros,
    /// It is none from then on.
    pub until: Micros,
    /// It ends when it is not used for so long.
    pub idle_secs: i64,
    /// When it was last used, to some minutes.
    pub used: Micros,
    /// Whether it was ended.
    pub ended: bool,
}

impl SessionRecord {
    /// Whether it is one at this time.
    pub fn is_good(&self, now: Micros) -> bool {
        !self.ended && now < self.until && now < self.used.plus_secs(self.idle_secs)
    }

    /// Whether another session, begun in the same browser, is this one going on: the same person proved
    /// anew who they are, and nothing ended what was given to them before.
    pub fn goes_on_as(&self, other: &Self, now: Micros) -> bool {
        self.is_good(now) && self.person == other.person && self.person_epoch == other.person_epoch
    }
}

/// What a person approved a program for, once: scopes and context. Tokens are of an approval.
#[derive(Clone, Debug)]
pub struct ApprovalRecord {
    /// Its id, in the tokens.
    pub id: Box<str>,
    /// Who approved.
    pub person: PersonId,
    /// Their epoch then.
    pub person_epoch: u64,
    /// Whom.
    pub client: ClientId,
    /// The program's epoch then.
    pub client_epoch: u64,
    /// What for.
    pub scopes: Arc<Scopes>,
    /// The patient in context.
    pub patient: Option<ResourceId>,
    /// The session in which it was approved; with it the approval ends, unless access was granted
    /// while the person is away.
    pub session: Option<Box<str>>,
    /// How surely the person was recognised.
    pub assurance: Assurance,
    /// When the person proved who they are.
    pub authenticated: Micros,
    /// It is none from then on.
    pub until: Micros,
    /// Whether it was ended.
    pub ended: bool,
}

impl ApprovalRecord {
    /// Whether it is one at this time.
    pub fn is_good(&self, now: Micros) -> bool {
        !self.ended && now < self.until
    }

    /// The principal of the person acting through the program, if both are as they were.
    pub(crate) fn principal(
        &self,
        tenant: &TenantId,
        person: &PersonRecord,
        client: &ClientRecord,
        scopes: Arc<Scopes>,
        now: Micros,
    ) -> Option<Principal> {
        let same = self.person == person.id
            && self.person_epoch == person.epoch
            && self.client == client.id
            && self.client_epoch == client.epoch;
        let good = self.is_good(now) && client.is_good(now) && person.state == PersonState::Active;
        (same && good).then(|| {
            Principal(Who::Person(Box::new(Acting {
                tenant: tenant.clone(),
                person: person.clone(),
                client: Some((self.client.clone(), self.client_epoch)),
                vendor: client.vendor.clone(),
                scopes,
                patient: self.patient.clone(),
                approval: Some(self.id.clone()),
                session: self.session.clone(),
                assurance: self.assurance,
                authenticated: self.authenticated,
                actor: Actor::holding(
                    &format!(
                        "person:{} client:{}",
                        person.id.as_str(),
                        client.id.as_str()
                    ),
                    &person.roles,
                ),
            })))
        })
    }
}

/// A person of one tenant who acts, themselves or through a program.
#[derive(Clone, Debug)]
pub(crate) struct Acting {
    pub(crate) tenant: TenantId,
    pub(crate) person: PersonRecord,
    /// The program and its epoch; none for the person's own browser.
    pub(crate) client: Option<(ClientId, u64)>,
    /// The vendor whose program it is.
    pub(crate) vendor: Option<VendorId>,
    pub(crate) scopes: Arc<Scopes>,
    pub(crate) patient: Option<ResourceId>,
    pub(crate) approval: Option<Box<str>>,
    pub(crate) session: Option<Box<str>>,
    pub(crate) assurance: Assurance,
    pub(crate) authenticated: Micros,
    pub(crate) actor: Actor,
}

/// The tenant's key for what people are recognised by: cookies, codes, refresh tokens, links.
#[derive(Debug)]
pub struct PeopleKey {
    tenant: TenantId,
    key: hmac::Key,
}

impl PeopleKey {
    /// Takes the key of a tenant.
    pub fn new(tenant: TenantId, key: &Secret<[u8; 32]>) -> Self {
        Self {
            tenant,
            key: hmac::Key::new(hmac::HMAC_SHA256, key.expose()),
        }
    }

    /// The keyed hash of a text, for one use and for this tenant.
    pub fn hash(&self, purpose: &str, text: &str) -> [u8; 32] {
        let mut out = [0; 32];
        let tag = self.context(purpose, text).sign();
        out.iter_mut().zip(tag.as_ref()).for_each(|(o, t)| *o = *t);
        out
    }

    /// Whether a hash is that of the text. Takes the same time for any wrong one.
    pub fn is_hash(&self, purpose: &str, text: &str, hash: &[u8]) -> bool {
        let mut message = self.tenant.bytes().to_vec();
        message.extend_from_slice(&(purpose.len() as u64).to_be_bytes());
        message.extend_from_slice(purpose.as_bytes());
        message.extend_from_slice(text.as_bytes());
        hmac::verify(&self.key, &message, hash).is_ok()
    }

    fn context(&self, purpose: &str, text: &str) -> hmac::Context {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(self.tenant.bytes());
        context.update(&(purpose.len() as u64).to_be_bytes());
        context.update(purpose.as_bytes());
        context.update(text.as_bytes());
        context
    }

    /// What the cookie of a session hashes to.
    pub fn cookie_hash(&self, cookie: &str) -> [u8; 32] {
        self.hash("session", cookie)
    }

    /// The person whose session's cookie this is, if the session is good and they are as they were
    /// when it began. Acts for themselves: with every right that policy gives them.
    pub fn recognise(
        &self,
        cookie: &str,
        session: &SessionRecord,
        person: &PersonRecord,
        model: &Model,
        now: Micros,
    ) -> Option<Principal> {
        let same = self.is_hash("session", cookie, &session.cookie)
            && session.person == person.id
            && session.person_epoch == person.epoch;
        (same && session.is_good(now) && person.state == PersonState::Active).then(|| {
            Principal(Who::Person(Box::new(Acting {
                tenant: self.tenant.clone(),
                person: person.clone(),
                client: None,
                vendor: None,
                scopes: Arc::new(Scopes::all(ScopeContext::User, model)),
                patient: None,
                approval: None,
                session: Some(session.id.clone()),
                assurance: session.assurance,
                authenticated: session.authenticated,
                actor: person.actor(),
            })))
        })
    }
}

/// What a person may administer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Administering {
    /// What is their own: password, second factors, sessions, approvals.
    OwnAccount,
    /// The tenant's people and programs.
    People,
}

/// Decides whether a person, in their own browser, may administer accounts. Nobody else may: no
/// program in their name, no client.
///
/// # Errors
/// [`Denied`], to be recorded.
pub fn decide_accounts(
    principal: &Principal,
    tenant: &TenantId,
    request: RequestMeta,
    what: Administering,
) -> Result<Permit<Administer>, Denied> {
    let allowed = match &principal.0 {
        Who::Person(acting) if acting.tenant == *tenant && acting.client.is_none() => match what {
            Administering::OwnAccount => true,
            Administering::People => acting.person.has_role(TENANT_ADMINISTRATOR),
        },
        _ => false,
    };
    if !allowed {
        return Err(Denied {
            actor: principal.actor(),
            action: ActionName::Administer,
            type_id: None,
            request: Box::new(request),
            lacks: None,
            read_only: false,
        });
    }
    Ok(Permit::mint(Grant::of_tenant(
        tenant,
        principal.actor(),
        request,
    )))
}
