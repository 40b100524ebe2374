//! The one place where a right is given or refused.

use base::{Code, Kind, ResourceId};
use fhir::definitions::TypeId;

use crate::action::{Action, ActionName};
use crate::directory::TenantId;
use crate::permit::{Actor, Grant, Permit, RequestMeta, TypeSet};
use crate::policy::{Obligation, Rights};
use crate::principal::{Principal, Reason, Who};

/// What an action is aimed at.
#[derive(Clone, Debug)]
pub enum Target {
    /// One resource.
    Instance(TypeId, ResourceId),
    /// Resources of these types: those a search names in any place, or the type of a create.
    Types(Vec<TypeId>),
    /// What the criteria of a conditional write or reference search: only what matches counts, no
    /// page is shown.
    Criteria(Vec<TypeId>),
    /// Resources of all types that the caller may touch (`/_history`, `/?…` without `_type`).
    Readable,
    /// The tenant itself.
    Tenant,
}

/// A refusal, to be audited and answered.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{actor:?} may not {} here", action.as_str())]
pub struct Denied {
    /// Who asked.
    pub actor: Actor,
    /// What for.
    pub action: ActionName,
    /// The first type that was refused.
    pub type_id: Option<TypeId>,
    /// For which request.
    pub request: Box<RequestMeta>,
    /// What the caller would have to do first.
    pub lacks: Option<Obligation>,
    /// It is a write, and the vendor's grant lets read only.
    pub read_only: bool,
}

impl Denied {
    /// What kind of failure it is.
    pub const fn kind(&self) -> Kind {
        Kind::Forbidden
    }

    /// Its stable code.
    pub const fn code(&self) -> Code {
        match self.lacks {
            _ if self.read_only => Code::VendorReadOnly,
            None => Code::ScopeMissing,
            Some(Obligation::Reason) => Code::ReasonRequired,
            Some(Obligation::StepUp) => Code::StepUpRequired,
        }
    }
}

/// Decides whether a principal may do `A` on a target of a tenant, by the rights that the tenant's
/// policy gives to it. Pure. A principal of another tenant, and the operator, may do nothing with a
/// tenant's data; rights of somebody else are none.
pub fn decide<A: Action>(
    principal: &Principal,
    rights: &Rights,
    tenant: &TenantId,
    request: RequestMeta,
    target: Target,
) -> Result<Permit<A>, Denied> {
    let deny = |type_id| Denied {
        actor: principal.actor(),
        action: A::NAME,
        type_id,
        request: Box::new(request),
        lacks: rights.owed(A::NAME, type_id),
        read_only: rights.read_only && A::NAME.writes(),
    };
    let import = match &principal.0 {
        Who::Client { import_until, .. } => {
            if import_until.is_some_and(|until| request.at >= until) {
                return Err(deny(None));
            }
            import_until.is_some()
        }
        Who::Person(_) => false,
        Who::Operator(_) => return Err(deny(None)),
    };
    if !rights.are_of(principal, tenant) || rights.read_only && A::NAME.writes() {
        return Err(deny(None));
    }
    // A way in for bulk loading searches to find what its writes refer to, and shows nothing.
    let shows = matches!(A::NAME, ActionName::Search | ActionName::History);
    if import && shows && !matches!(target, Target::Criteria(_)) {
        return Err(deny(None));
    }
    let Some(found) = rights.of(A::NAME) else {
        return Err(deny(None));
    };
    let allowed = found.on;
    let mut instance = None;
    let on = match target {
        Target::Instance(type_id, id) => {
            if !allowed.contains(type_id) {
                return Err(deny(Some(type_id)));
            }
            instance = Some((type_id, id));
            std::iter::once(type_id).collect()
        }
        Target::Types(types) | Target::Criteria(types) => {
            if let Some(refused) = types.iter().find(|t| !allowed.contains(**t)) {
                return Err(deny(Some(*refused)));
            }
            types.into_iter().collect()
        }
        Target::Readable if *allowed != TypeSet::EMPTY => allowed.clone(),
        Target::Readable | Target::Tenant => return Err(deny(None)),
    };
    let reads = instance.as_ref().is_some_and(|(type_id, _)| {
        let read = rights.of(ActionName::Read);
        read.is_some_and(|read| read.on.contains(*type_id))
    });
    Ok(Permit::mint(Grant {
        tenant: tenant.clone(),
        actor: principal.actor(),
        request,
        reads,
        on,
        visible: found.visible.clone(),
        instance,
        rules: found.rules.clone(),
        shown: found.shown.clone(),
        evidence: A::NAME.writes().then(|| rights.evidence.clone()),
        sees_trail: rights.sees_trail(),
        administers: rights.administers(),
        placed: rights.placed,
    }))
}

/// Decides whether a principal may administer the tenant's policy: whom the policy in force says.
///
/// # Errors
/// [`Denied`], to be recorded.
pub fn decide_policy(
    principal: &Principal,
    rights: &Rights,
    tenant: &TenantId,
    request: RequestMeta,
) -> Result<Permit<crate::action::Administer>, Denied> {
    if !rights.are_of(principal, tenant) || !rights.administers() {
        return Err(Denied {
            actor: principal.actor(),
            action: ActionName::Administer,
            type_id: None,
            request: Box::new(request),
            lacks: rights.owed(ActionName::Administer, None),
            read_only: false,
        });
    }
    Ok(Permit::mint(Grant::of_tenant(
        tenant,
        principal.actor(),
        request,
    )))
}

/// A permit for work of the platform itself on a tenant: backup, migration, verification, and
/// operators' commands on the tenant (not on its patients' data: those actions are refused).
pub fn decide_system<A: Action>(
    reason: Reason,
    tenant: &TenantId,
    request: RequestMeta,
) -> Result<Permit<A>, Denied> {
    let actor = Actor::new(&format!("system:{}", reason.as_str()));
    platform(actor, reason, tenant, request)
}

/// The same for what an operator has the platform do: it is recorded as theirs. Whoever is none is refused.
///
/// # Errors
/// [`Denied`], also for an action on patients' data.
pub fn decide_operator<A: Action>(
    principal: &Principal,
    reason: Reason,
    tenant: &TenantId,
    request: RequestMeta,
) -> Result<Permit<A>, Denied> {
    match principal.is_operator() {
        true => platform(principal.actor(), reason, tenant, request),
        false => Err(Denied {
            actor: principal.actor(),
            action: A::NAME,
            type_id: None,
            request: Box::new(request),
            lacks: None,
            read_only: false,
        }),
    }
}

fn platform<A: Action>(
    actor: Actor,
    reason: Reason,
    tenant: &TenantId,
    request: RequestMeta,
) -> Result<Permit<A>, Denied> {
    let fits = matches!(
        (reason, A::NAME),
        (
            Reason::Backup | Reason::Verify | Reason::Shipping,
            ActionName::Export
        ) | (
            Reason::Restore
                | Reason::Telling
                | Reason::Migration
                | Reason::Sweep
                | Reason::Operation,
            ActionName::Administer
        ) | (Reason::Operation, ActionName::Erase)
            | (Reason::Authentication, ActionName::Administer)
    );
    if !fits {
        return Err(Denied {
            actor,
            action: A::NAME,
            type_id: None,
            request: Box::new(request),
            lacks: None,
            read_only: false,
        });
    }
    Ok(Permit::mint(Grant::of_tenant(tenant, actor, request)))
}

/// The operator's right to change the directory of tenants; spent once.
#[must_use = "a permit that is not spent did nothing"]
pub struct HousePermit {
    actor: Actor,
    request: RequestMeta,
}

impl HousePermit {
    /// Who acts and for which request, for the house's audit line.
    pub fn spend(self) -> (Actor, RequestMeta) {
        (self.actor, self.request)
    }
}

/// Decides whether a principal may administer the house: only the operator may.
pub fn decide_house(principal: &Principal, request: RequestMeta) -> Result<HousePermit, Denied> {
    let actor = principal.actor();
    if principal.is_operator() {
        return Ok(HousePermit { actor, request });
    }
    Err(Denied {
        actor,
        action: ActionName::Administer,
        type_id: None,
        request: Box::new(request),
        lacks: None,
        read_only: false,
    })
}
