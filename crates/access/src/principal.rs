//! Who asks. A [`Principal`] comes only from checked credentials.

use base::{Micros, ResourceId};
use fhir::definitions::TypeId;
use ring::hmac;

use crate::client::ClientId;
use crate::directory::TenantId;
use crate::permit::Actor;
use crate::person::{Acting, Assurance, PersonId, RoleAt};
use crate::scope::{ScopeContext, Scopes};
use crate::vendor::VendorId;

/// Why the platform itself works on a tenant. Closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Making a backup.
    Backup,
    /// Reading a backup back.
    Restore,
    /// Checking rows, seals and the audit chain.
    Verify,
    /// Moving to another schema version.
    Migration,
    /// Dropping index rows that no cursor can need.
    Sweep,
    /// Carrying out an operator's command on the tenant itself.
    Operation,
    /// Looking up credentials.
    Authentication,
    /// Shipping audit trails to somebody outside.
    Shipping,
    /// Telling somebody outside that there are alerts.
    Telling,
}

impl Reason {
    /// The word in audit lines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Restore => "restore",
            Self::Verify => "verify",
            Self::Migration => "migration",
            Self::Sweep => "sweep",
            Self::Operation => "operation",
            Self::Authentication => "authentication",
            Self::Shipping => "shipping",
            Self::Telling => "telling",
        }
    }
}

/// Someone whose credentials were checked.
#[derive(Clone, Debug)]
pub struct Principal(pub(crate) Who);

#[derive(Clone, Debug)]
pub(crate) enum Who {
    /// An API client of one tenant, or a way in for bulk loading that the operator opened with a
    /// reason.
    Client {
        tenant: TenantId,
        id: ClientId,
        scopes: std::sync::Arc<Scopes>,
        epoch: u64,
        /// When a way in for bulk loading ends; `None` for a client of its own right.
        import_until: Option<Micros>,
        /// The roles by which policy governs it; without, its scopes are all that it has.
        roles: Option<std::sync::Arc<[RoleAt]>>,
        /// The vendor whose grant bounds it.
        vendor: Option<VendorId>,
        actor: Actor,
    },
    /// A person of one tenant, in their own browser or through a program that they approved.
    Person(Box<Acting>),
    /// An operator of the house; has no right to any tenant's data.
    Operator(Actor),
}

impl Principal {
    /// Who this is in rows and audit lines.
    pub fn actor(&self) -> Actor {
        match &self.0 {
            Who::Client { actor, .. } => actor.clone(),
            Who::Person(acting) => acting.actor.clone(),
            Who::Operator(actor) => actor.clone(),
        }
    }

    /// The tenant whose client or person this is; none for the operator.
    pub const fn tenant(&self) -> Option<&TenantId> {
        match &self.0 {
            Who::Client { tenant, .. } => Some(tenant),
            Who::Person(acting) => Some(&acting.tenant),
            Who::Operator(_) => None,
        }
    }

    /// The client and the epoch of its record when the credentials were checked; for a person the
    /// program that they use, if any. A client whose record has another epoch by now is not this
    /// principal any more.
    pub fn client(&self) -> Option<(&ClientId, u64)> {
        match &self.0 {
            Who::Client { id, epoch, .. } => Some((id, *epoch)),
            Who::Person(acting) => acting.client.as_ref().map(|(id, epoch)| (id, *epoch)),
            Who::Operator(_) => None,
        }
    }

    /// The scopes held in the tenant; for a person those that the program was approved for, all
    /// `user/` ones without a program.
    pub fn scopes(&self) -> Option<&Scopes> {
        match &self.0 {
            Who::Client { scopes, .. } => Some(scopes),
            Who::Person(acting) => Some(&acting.scopes),
            Who::Operator(_) => None,
        }
    }

    /// The vendor whose grant bounds the client, or the program that the person uses.
    pub fn vendor(&self) -> Option<&VendorId> {
        match &self.0 {
            Who::Client { vendor, .. } => vendor.as_ref(),
            Who::Person(acting) => acting.vendor.as_ref(),
            Who::Operator(_) => None,
        }
    }

    /// The contexts of scopes that count for it.
    pub(crate) fn contexts(&self) -> &'static [ScopeContext] {
        match &self.0 {
            Who::Client { .. } => &[ScopeContext::System],
            Who::Person(_) => &[ScopeContext::User, ScopeContext::Patient],
            Who::Operator(_) => &[],
        }
    }

    fn acting(&self) -> Option<&Acting> {
        match &self.0 {
            Who::Person(acting) => Some(acting),
            Who::Client { .. } | Who::Operator(_) => None,
        }
    }

    /// The person and the epoch of their record when the credentials were checked. One whose record
    /// has another epoch by now is not this principal any more.
    pub fn person(&self) -> Option<(&PersonId, u64)> {
        self.acting().map(|a| (&a.person.id, a.person.epoch))
    }

    /// The roles of a person, or of a client that policy governs.
    pub fn roles(&self) -> &[RoleAt] {
        match &self.0 {
            Who::Client { roles, .. } => roles.as_deref().unwrap_or_default(),
            Who::Person(acting) => &acting.person.roles,
            Who::Operator(_) => &[],
        }
    }

    /// The person's groups; none for others.
    pub fn groups(&self) -> &[Box<str>] {
        self.acting().map_or(&[], |a| &a.person.groups)
    }

    /// The resource that stands for the person.
    pub fn fhir_user(&self) -> Option<(TypeId, &ResourceId)> {
        let (of, id) = self.acting()?.person.fhir_user.as_ref()?;
        Some((*of, id))
    }

    /// The patient in the context of the launch.
    pub fn patient(&self) -> Option<&ResourceId> {
        self.acting()?.patient.as_ref()
    }

    /// The approval that the token is of.
    pub fn approval(&self) -> Option<&str> {
        self.acting()?.approval.as_deref()
    }

    /// The browser session that this came from.
    pub fn session(&self) -> Option<&str> {
        self.acting()?.session.as_deref()
    }

    /// How surely the person was recognised, and when they proved who they are.
    pub fn assurance(&self) -> Option<(Assurance, Micros)> {
        self.acting().map(|a| (a.assurance, a.authenticated))
    }

    /// Whether this is a way in for bulk loading, which an operator opened.
    pub const fn is_import(&self) -> bool {
        let Who::Client { import_until, .. } = &self.0 else {
            return false;
        };
        import_until.is_some()
    }

    /// Whether this is the operator.
    pub const fn is_operator(&self) -> bool {
        matches!(self.0, Who::Operator(_))
    }
}

/// What an operator's token proves itself against; the token itself is not kept.
#[derive(Debug)]
pub struct OperatorToken {
    tag: hmac::Tag,
    actor: Actor,
}

const OPERATOR: &[u8] = b"insula operator";

impl OperatorToken {
    /// Longest name of an operator, in bytes.
    pub const NAME_BYTES_MAX: usize = 32;

    /// Remembers the house's own token by a tag made with it.
    pub fn new(token: &str) -> Self {
        Self {
            tag: hmac::sign(&key(token), OPERATOR),
            actor: Actor::new("operator"),
        }
    }

    /// Remembers the token of an operator with a name; none for a name that is not one: 1 to 32 of
    /// `a-z 0-9 -`.
    pub fn named(name: &str, token: &str) -> Option<Self> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let good = (1..=Self::NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(plain);
        good.then(|| Self {
            actor: Actor::new(&format!("operator:{name}")),
            ..Self::new(token)
        })
    }

    /// The operator, if the presented token is the right one. Takes the same time for any wrong one.
    pub fn authenticate(&self, presented: &str) -> Option<Principal> {
        hmac::verify(&key(presented), OPERATOR, self.tag.as_ref())
            .is_ok()
            .then(|| Principal(Who::Operator(self.actor.clone())))
    }
}

fn key(token: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes())
}
