//! Whom a policy is asked about: what grants look at in a caller.

use base::ResourceId;
use fhir::definitions::TypeId;

use crate::client::ClientRecord;
use crate::person::{PersonRecord, RoleAt};
use crate::principal::{Principal, Who};
use crate::scope::{ScopeContext, Scopes};
use crate::vendor::{Hold, VendorGrant, VendorId, VendorTerms};

/// What grants look at. Rights made for one that is no [`Principal`] are rights to nothing; they say
/// what somebody like this would have.
#[derive(Clone, Debug, Default)]
pub struct Subject<'s> {
    /// Roles, and where they are held.
    pub roles: &'s [RoleAt],
    /// Groups.
    pub groups: &'s [Box<str>],
    /// The person's id.
    pub person: Option<&'s str>,
    /// The client's id, or the program's.
    pub client: Option<&'s str>,
    /// The resource that stands for the person.
    pub fhir_user: Option<(TypeId, &'s ResourceId)>,
    /// The patient in context.
    pub patient: Option<&'s ResourceId>,
    /// Scopes, which narrow; all of them without.
    pub scopes: Option<&'s Scopes>,
    /// Policy governs it: not an API client that has its scopes only.
    pub governed: bool,
    /// It is a way in for bulk loading.
    pub importing: bool,
    /// The vendor whose grant bounds it.
    pub bound: Option<&'s VendorId>,
    /// That grant as it stands. Whoever is bound and has none may do nothing.
    pub vendor: Option<&'s VendorGrant>,
    /// The contexts of the grant's scopes that count.
    pub contexts: &'static [ScopeContext],
}

/// How a vendor's grant bounds somebody.
pub(super) enum Bound<'s> {
    /// None does.
    Free,
    /// To these terms, and whether to reading only.
    To(&'s VendorTerms, bool),
    /// To nothing.
    Shut,
}

impl<'s> Subject<'s> {
    /// A principal; none for the operator.
    pub fn of(principal: &'s Principal) -> Option<Self> {
        let (governed, importing) = match &principal.0 {
            Who::Client {
                roles,
                import_until,
                ..
            } => (roles.is_some(), import_until.is_some()),
            Who::Person(_) => (true, false),
            Who::Operator(_) => return None,
        };
        Some(Self {
            roles: principal.roles(),
            groups: principal.groups(),
            person: principal.person().map(|(id, _)| id.as_str()),
            client: principal.client().map(|(id, _)| id.as_str()),
            fhir_user: principal.fhir_user(),
            patient: principal.patient(),
            scopes: principal.scopes(),
            governed,
            importing,
            bound: principal.vendor(),
            vendor: None,
            contexts: principal.contexts(),
        })
    }

    /// The same, with the grant of its vendor as it stands.
    #[must_use]
    pub const fn under(mut self, vendor: Option<&'s VendorGrant>) -> Self {
        self.vendor = vendor;
        self
    }

    pub(super) fn bounds(&self) -> Bound<'s> {
        let Some(bound) = self.bound else {
            return Bound::Free;
        };
        let own = self.vendor.filter(|v| v.id == *bound);
        match own.and_then(|v| Some((v.terms.as_deref()?, v.standing()))) {
            Some((terms, Hold::Enabled)) => Bound::To(terms, false),
            Some((terms, Hold::ReadOnly)) => Bound::To(terms, true),
            Some((_, Hold::Disabled)) | None => Bound::Shut,
        }
    }

    /// An API client.
    pub fn client(record: &'s ClientRecord) -> Self {
        Self {
            roles: record.roles.as_deref().unwrap_or_default(),
            client: Some(record.id.as_str()),
            scopes: Some(&record.scopes),
            governed: record.roles.is_some(),
            importing: record.import.is_some(),
            bound: record.vendor.as_ref(),
            contexts: &[ScopeContext::System],
            ..Self::default()
        }
    }

    /// A person, in their own browser.
    pub fn person(record: &'s PersonRecord) -> Self {
        Self {
            roles: &record.roles,
            groups: &record.groups,
            person: Some(record.id.as_str()),
            fhir_user: record.fhir_user.as_ref().map(|(of, id)| (*of, id)),
            governed: true,
            ..Self::default()
        }
    }

    /// Somebody with these roles.
    pub fn holding(roles: &'s [RoleAt]) -> Self {
        Self {
            roles,
            governed: true,
            ..Self::default()
        }
    }
}
