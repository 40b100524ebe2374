//! What a decision hands out: a [`Permit`], spent once, and what may leave because of it:
//! [`Released`].

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::net::IpAddr;
use std::sync::Arc;

use base::{Micros, RequestId, ResourceId};
use fhir::definitions::TypeId;

use crate::action::{Action, ActionName};
use crate::directory::TenantId;
use crate::person::RoleAt;
use crate::policy::{Evidence, RowRules, Rule};
use crate::principal::Reason;

/// A set of resource types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeSet([u64; Self::WORDS]);

impl TypeSet {
    const WORDS: usize = 8;
    /// No type.
    pub const EMPTY: Self = Self([0; Self::WORDS]);

    fn place(type_id: TypeId) -> (usize, u64) {
        (usize::from(type_id.0) / 64, 1 << (type_id.0 % 64))
    }

    /// Adds a type.
    pub fn add(&mut self, type_id: TypeId) {
        let (word, bit) = Self::place(type_id);
        if let Some(w) = self.0.get_mut(word) {
            *w |= bit;
        }
    }

    /// Adds all types of another set.
    pub fn add_all(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a |= b);
    }

    /// Removes what is not in another set.
    pub fn keep_only(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a &= b);
    }

    /// Whether the type is in the set.
    pub fn contains(&self, type_id: TypeId) -> bool {
        let (word, bit) = Self::place(type_id);
        self.0.get(word).is_some_and(|w| w & bit != 0)
    }

    /// Whether every type of another set is in this one.
    pub fn contains_all(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(a, b)| b & !a == 0)
    }
}

impl FromIterator<TypeId> for TypeSet {
    fn from_iter<I: IntoIterator<Item = TypeId>>(types: I) -> Self {
        let mut set = Self::EMPTY;
        types.into_iter().for_each(|t| set.add(t));
        set
    }
}

/// Which request something is done for, from where, and why.
#[derive(Clone, Copy, Debug)]
pub struct RequestMeta {
    /// The request's id.
    pub id: RequestId,
    /// When it came in.
    pub at: Micros,
    /// The address that it came from.
    pub from: Option<IpAddr>,
    /// The reason that was given with it.
    pub why: Why,
    /// Access was broken open: the caller has no right to this otherwise.
    pub break_glass: bool,
}

impl RequestMeta {
    /// A request of which nothing else is known.
    pub const fn new(id: RequestId, at: Micros) -> Self {
        Self {
            id,
            at,
            from: None,
            why: Why::NONE,
            break_glass: false,
        }
    }
}

/// Why access is asked for, in somebody's words; cut where it is long.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Why {
    length: u8,
    bytes: [u8; Self::BYTES_MAX],
}

impl Why {
    /// Bytes that are kept of it.
    pub const BYTES_MAX: usize = 120;
    /// Nothing was said.
    pub const NONE: Self = Self {
        length: 0,
        bytes: [0; Self::BYTES_MAX],
    };

    /// Keeps the beginning of a text.
    pub fn new(text: &str) -> Self {
        let text = text.trim();
        let mut length = text.len().min(Self::BYTES_MAX);
        while !text.is_char_boundary(length) {
            length -= 1;
        }
        let mut why = Self::NONE;
        let kept = text.as_bytes().iter().take(length);
        why.bytes.iter_mut().zip(kept).for_each(|(b, t)| *b = *t);
        why.length = u8::try_from(length).unwrap_or(0);
        why
    }

    /// The text; empty where nothing was said.
    pub fn as_str(&self) -> &str {
        let kept = self.bytes.get(..usize::from(self.length));
        kept.and_then(|b| std::str::from_utf8(b).ok()).unwrap_or("")
    }
}

impl fmt::Debug for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Why(…)")
    }
}

/// Who acts, as stored rows and audit lines name them: `client:…`, `import:…`, `person:…` (and
/// ` client:…` after it for the program that they use), `operator`, `operator:NAME`, `system:…`.
#[derive(Clone)]
pub struct Actor {
    text: Arc<str>,
    /// Facilities that their roles are at; not part of who they are.
    facilities: Option<Arc<str>>,
}

impl PartialEq for Actor {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Actor {}

impl Hash for Actor {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Actor {
    /// Facilities that are kept.
    const FACILITIES_MAX: usize = 8;

    pub(crate) fn new(text: &str) -> Self {
        Self {
            text: text.into(),
            facilities: None,
        }
    }

    /// One who holds these roles.
    pub(crate) fn holding(text: &str, roles: &[RoleAt]) -> Self {
        let mut found: Vec<String> = Vec::new();
        for (of, id) in roles.iter().filter_map(|r| r.facility.as_ref()) {
            let name = format!("{of}/{}", id.as_str());
            if !found.contains(&name) && found.len() < Self::FACILITIES_MAX {
                found.push(name);
            }
        }
        Self {
            facilities: (!found.is_empty()).then(|| found.join(" ").into()),
            ..Self::new(text)
        }
    }

    /// Facilities that their roles are at, as references, with a space between them.
    pub fn facilities(&self) -> Option<&str> {
        self.facilities.as_deref()
    }

    /// The platform itself, in lines about its own doing. Names somebody; is no right to anything.
    pub fn system(reason: Reason) -> Self {
        Self::new(&format!("system:{}", reason.as_str()))
    }

    /// The text in rows and audit lines.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What permits and their evidence have in common.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) tenant: TenantId,
    pub(crate) actor: Actor,
    pub(crate) request: RequestMeta,
    /// Types the action may touch.
    pub(crate) on: TypeSet,
    /// Types whose rows may be shown by this action (for `_include` and chains).
    pub(crate) visible: TypeSet,
    /// The one resource meant, for instance actions.
    pub(crate) instance: Option<(TypeId, ResourceId)>,
    /// Which rows of these types the action reaches.
    pub(crate) rules: Arc<RowRules>,
    /// Which rows, and which elements of them, may be shown when it is done.
    pub(crate) shown: Arc<RowRules>,
    /// Of a write: the rules for which it may be evidence.
    pub(crate) evidence: Option<Arc<Evidence>>,
    /// Of the one resource meant, its caller may read the type: all of it, or what `shown` says.
    pub(crate) reads: bool,
    /// The trail is among the AuditEvents that may be looked at.
    pub(crate) sees_trail: bool,
    /// The caller may administer the tenant.
    pub(crate) administers: bool,
    /// Whom consents refuse depends on where the caller's facilities belong.
    pub(crate) placed: bool,
}

impl Grant {
    /// One on the tenant itself and none of its data.
    pub(crate) fn of_tenant(tenant: &TenantId, actor: Actor, request: RequestMeta) -> Self {
        Self {
            tenant: tenant.clone(),
            actor,
            request,
            on: TypeSet::EMPTY,
            visible: TypeSet::EMPTY,
            instance: None,
            rules: RowRules::none(),
            shown: RowRules::none(),
            evidence: None,
            reads: false,
            sees_trail: false,
            administers: false,
            placed: false,
        }
    }
}

/// What an action can see: types, and which of their rows.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'p> {
    visible: &'p TypeSet,
    rules: &'p RowRules,
}

impl<'p> Sight<'p> {
    /// Whether rows of this type may be shown.
    pub fn shows(&self, type_id: TypeId) -> bool {
        self.visible.contains(type_id)
    }

    /// Which rows of it; all without a rule.
    pub fn rule(&self, type_id: TypeId) -> Option<&'p Arc<Rule>> {
        self.rules.get(type_id)
    }

    /// Whether there are rules at all.
    pub fn is_ruled(&self) -> bool {
        !self.rules.is_empty()
    }
}

/// The right to do `A` once, in one tenant. Made by [`crate::decide()`]; not `Clone`; the store takes
/// it by value.
#[must_use = "a permit that is not spent did nothing"]
pub struct Permit<A: Action> {
    grant: Grant,
    action: PhantomData<fn() -> A>,
}

impl<A: Action> Permit<A> {
    pub(crate) const fn mint(grant: Grant) -> Self {
        Self {
            grant,
            action: PhantomData,
        }
    }

    /// Spends the permit on a tenant.
    ///
    /// # Panics
    /// If the permit is for another tenant. This stays on in release builds: carrying on would
    /// show one tenant's rows to another.
    pub fn spend(self, tenant: &TenantId) -> Spent<A> {
        assert!(
            self.grant.tenant == *tenant,
            "a permit was brought to another tenant"
        );
        Spent {
            grant: self.grant,
            action: PhantomData,
        }
    }

    /// The tenant it is for.
    pub const fn tenant(&self) -> &TenantId {
        &self.grant.tenant
    }
}

impl<A: Action> fmt::Debug for Permit<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permit<{}>({:?})", A::NAME.as_str(), self.grant.tenant)
    }
}

/// Evidence that a permit was spent on this tenant. The store works under it, audits by it and
/// releases rows by it.
pub struct Spent<A: Action> {
    grant: Grant,
    action: PhantomData<fn() -> A>,
}

impl<A: Action> Spent<A> {
    /// The action's name.
    pub const fn action(&self) -> ActionName {
        A::NAME
    }

    /// Whether the caller may administer the tenant.
    pub const fn administers(&self) -> bool {
        self.grant.administers
    }

    /// Whether consents count, and whom they refuse depends on where the caller's facilities belong.
    pub const fn placed(&self) -> bool {
        self.grant.placed
    }

    /// Who acts.
    pub const fn actor(&self) -> &Actor {
        &self.grant.actor
    }

    /// For which request.
    pub const fn request(&self) -> RequestMeta {
        self.grant.request
    }

    /// The tenant.
    pub const fn tenant(&self) -> &TenantId {
        &self.grant.tenant
    }

    /// Whether the action may touch resources of this type. For an instance action, only that
    /// instance: see [`Spent::covers`].
    pub fn allows(&self, type_id: TypeId) -> bool {
        self.grant.on.contains(type_id)
    }

    /// Whether the action may touch this resource.
    pub fn covers(&self, type_id: TypeId, id: &ResourceId) -> bool {
        self.allows(type_id)
            && self
                .grant
                .instance
                .as_ref()
                .is_none_or(|(t, i)| *t == type_id && i == id)
    }

    /// Whether rows of this type may be shown (included resources, chain targets).
    pub fn shows(&self, type_id: TypeId) -> bool {
        self.grant.visible.contains(type_id)
    }

    /// Which rows of a type the action reaches; all without a rule.
    pub fn rule(&self, type_id: TypeId) -> Option<&Arc<Rule>> {
        self.grant.rules.get(type_id)
    }

    /// Which rows of a type, and which elements of them, may be shown when it is done.
    pub fn shown(&self, type_id: TypeId) -> Option<&Arc<Rule>> {
        self.grant.shown.get(type_id)
    }

    /// Of a write: the rules for which it may be evidence.
    pub const fn evidence(&self) -> Option<&Arc<Evidence>> {
        self.grant.evidence.as_ref()
    }

    /// Whether its caller may read the type of the one resource that it is about: all of it, or what
    /// [`Self::shown`] says.
    pub const fn reads(&self) -> bool {
        self.grant.reads
    }

    /// Whether the trail is among the AuditEvents that it shows.
    pub const fn sees_trail(&self) -> bool {
        self.grant.sees_trail
    }

    /// What it can see.
    pub fn sight(&self) -> Sight<'_> {
        Sight {
            visible: &self.grant.visible,
            rules: &self.grant.rules,
        }
    }

    /// Lets content leave.
    ///
    /// # Panics
    /// If rows of this type may not be shown under the permit; the store has to leave them out
    /// before.
    pub fn release<T>(&self, type_id: TypeId, content: T) -> Released<T> {
        assert!(
            self.shows(type_id),
            "a row of a type outside the permit was about to leave"
        );
        Released(content)
    }
}

impl<A: Action> fmt::Debug for Spent<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spent<{}>({:?})", A::NAME.as_str(), self.grant.tenant)
    }
}

/// Content that a permit lets out. Edges serialise nothing else.
#[derive(Clone, Debug)]
pub struct Released<T>(T);

impl<T> Released<T> {
    /// The content.
    pub const fn get(&self) -> &T {
        &self.0
    }

    /// The content with less of it.
    ///
    /// # Errors
    /// Those of what takes away.
    pub fn try_map<E>(self, less: impl FnOnce(T) -> Result<T, E>) -> Result<Self, E> {
        less(self.0).map(Self)
    }

    /// The content, by value.
    pub fn into_inner(self) -> T {
        self.0
    }
}
