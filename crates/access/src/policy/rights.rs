//! What a policy comes to for one caller.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use fhir::definitions::{Model, TypeId};
use fhir::resource::mask::Mask;
use fhir::search::query::Clause;

use super::break_glass::Glass;
use super::document::By;
use super::errand::{Bulk, Operation};
use crate::action::ActionName;
use crate::directory::TenantId;
use crate::permit::{Actor, TypeSet};
use crate::principal::Principal;

/// What the caller must do first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Obligation {
    /// Say why, in the header `Access-Reason`.
    Reason,
    /// Prove who they are by two factors.
    StepUp,
}

/// One way to resources of a type: a grant.
#[derive(Clone, Debug)]
pub struct Way {
    /// The grant's name.
    pub grant: Box<str>,
    /// Which resources; all without one.
    pub clause: Option<Clause>,
    /// Elements that it does not show.
    pub mask: Option<Arc<Mask>>,
    /// Elements that it does not let change.
    pub read_only: Option<Arc<Mask>>,
    /// It leads to a patient who was opened, and is no way otherwise.
    pub opened: bool,
}

impl Way {
    fn hidden(&self) -> usize {
        self.mask.as_ref().map_or(0, |m| m.len())
    }
}

/// What an action reaches of one type, where that is not everything.
#[derive(Debug)]
pub struct Rule {
    ways: Vec<Way>,
    filter: Option<Arc<Clause>>,
    /// What of it is about the type itself, and not about what its resources are bound to.
    own: Option<Arc<Clause>>,
    hidden: Option<Mask>,
    read_only: Option<Mask>,
    opens: bool,
    digest: OnceLock<[u8; 32]>,
}

impl Rule {
    /// Any of these ways, to what all of `narrow` hold for and none of `never`.
    pub(super) fn new(mut ways: Vec<Way>, narrow: Vec<Clause>, never: Vec<Clause>) -> Self {
        // Of two ways that show the same, the one that needed no opening.
        ways.sort_by_key(|way| (way.hidden(), way.opened));
        let mut all = narrow;
        if ways.iter().all(|w| w.clause.is_some()) {
            let any: Vec<Clause> = ways.iter().filter_map(|w| w.clause.clone()).collect();
            all.push(Clause::Or(Clause::fewer(any)));
        }
        all.extend(never.into_iter().map(|c| Clause::Not(Box::new(c))));
        let union = |masks: &mut dyn Iterator<Item = &Arc<Mask>>| {
            masks.fold(None, |all: Option<Mask>, mask| {
                Some(all.map_or_else(|| (**mask).clone(), |all| all.and(mask)))
            })
        };
        let filter = match all.len() {
            0 => None,
            1 => all.pop(),
            _ => Some(Clause::And(all)),
        };
        let filter = filter.map(Arc::new);
        Self {
            own: filter.clone(),
            filter,
            hidden: union(&mut ways.iter().filter_map(|w| w.mask.as_ref())),
            read_only: union(&mut ways.iter().filter_map(|w| w.read_only.as_ref())),
            opens: ways.iter().any(|w| w.opened),
            ways,
            digest: OnceLock::new(),
        }
    }

    /// The same, of resources for which this holds as well. It looks at nothing that the rules of other
    /// types do not look at.
    pub(super) fn bound(&self, by: Clause) -> Self {
        let filter = match &self.filter {
            None => by,
            Some(own) => Clause::And(vec![Clause::clone(own), by]),
        };
        Self {
            ways: self.ways.clone(),
            filter: Some(Arc::new(filter)),
            own: self.own.clone(),
            hidden: self.hidden.clone(),
            read_only: self.read_only.clone(),
            opens: self.opens,
            digest: OnceLock::new(),
        }
    }

    /// [`Self::filter`], to be held on to.
    pub(super) const fn shared_filter(&self) -> Option<&Arc<Clause>> {
        self.filter.as_ref()
    }

    /// A digest of what [`Self::filter`] says, by `make`, which is asked once: rules of different callers
    /// that say the same have the same.
    pub fn digest(&self, make: impl FnOnce(Option<&Clause>) -> [u8; 32]) -> &[u8; 32] {
        self.digest.get_or_init(|| make(self.filter()))
    }

    /// Which resources, all ways together; every one without it.
    pub fn filter(&self) -> Option<&Clause> {
        self.filter.as_deref()
    }

    /// The ways, what hides least first. A resource is shown by the first that leads to it.
    pub fn ways(&self) -> &[Way] {
        &self.ways
    }

    /// The clauses of its ways, and the whole, without what its resources are bound to.
    pub fn clauses(&self) -> impl Iterator<Item = &Clause> {
        let ways = self.ways.iter().filter_map(|way| way.clause.as_ref());
        ways.chain(self.own.as_deref())
    }

    /// Whether another looks at the same.
    fn looks_like(self: &Arc<Self>, other: &Arc<Self>) -> bool {
        Arc::ptr_eq(self, other) || self.clauses().eq(other.clauses())
    }

    /// Elements that some way hides.
    pub const fn hidden(&self) -> Option<&Mask> {
        self.hidden.as_ref()
    }

    /// Elements that some way does not let change.
    pub const fn read_only(&self) -> Option<&Mask> {
        self.read_only.as_ref()
    }

    /// Whether some way leads to a patient who was opened.
    pub const fn opens(&self) -> bool {
        self.opens
    }

    fn is_nothing(&self) -> bool {
        self.filter.is_none() && self.hidden.is_none() && self.read_only.is_none()
    }
}

/// Rules by type; a type without one is reached whole.
#[derive(Debug, Default)]
pub struct RowRules {
    by_type: HashMap<TypeId, Arc<Rule>>,
}

impl RowRules {
    /// No rule.
    pub fn none() -> Arc<Self> {
        static NONE: OnceLock<Arc<RowRules>> = OnceLock::new();
        NONE.get_or_init(Arc::default).clone()
    }

    /// Whether every type is reached whole.
    pub fn is_empty(&self) -> bool {
        self.by_type.is_empty()
    }

    /// The rule of a type.
    pub fn get(&self, type_id: TypeId) -> Option<&Arc<Rule>> {
        if self.by_type.is_empty() {
            return None;
        }
        self.by_type.get(&type_id)
    }
}

/// Rules by which somebody sees, changes and deletes, all together: what they write may be evidence for any.
#[derive(Debug, Default)]
pub struct Evidence {
    by_type: HashMap<TypeId, Vec<Arc<Rule>>>,
    /// Types whose rules look at resources of a type, once it was asked.
    looking: OnceLock<HashMap<TypeId, Vec<TypeId>>>,
}

impl Evidence {
    /// Of what these reach.
    fn of<'r>(reaches: impl Iterator<Item = &'r Reach>) -> Self {
        let mut by_type: HashMap<TypeId, Vec<Arc<Rule>>> = HashMap::new();
        for (type_id, rule) in reaches.flat_map(|reach| &reach.rules.by_type) {
            let known = by_type.entry(*type_id).or_default();
            if !known.iter().any(|known| known.looks_like(rule)) {
                known.push(rule.clone());
            }
        }
        Self {
            by_type,
            looking: OnceLock::new(),
        }
    }

    /// Types whose rules look at resources of another type, or at others of the same.
    pub fn looking_at(&self, model: &Model, of: TypeId) -> &[TypeId] {
        let looking = self.looking.get_or_init(|| {
            let mut looking: HashMap<TypeId, Vec<TypeId>> = HashMap::new();
            for (type_id, rules) in &self.by_type {
                let mut types: Vec<TypeId> = (rules.iter())
                    .flat_map(|rule| rule.clauses())
                    .flat_map(|clause| clause.looks_at(model))
                    .collect();
                types.sort_unstable();
                types.dedup();
                for of in types {
                    looking.entry(of).or_default().push(*type_id);
                }
            }
            looking
        });
        looking.get(&of).map_or(&[], Vec::as_slice)
    }

    /// The rules of a type.
    pub fn rules(&self, type_id: TypeId) -> &[Arc<Rule>] {
        self.by_type.get(&type_id).map_or(&[], Vec::as_slice)
    }
}

/// Types, and rules for some of them.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    pub(crate) types: TypeSet,
    pub(crate) rules: Arc<RowRules>,
}

impl Reach {
    pub(super) fn nothing() -> Self {
        Self {
            types: TypeSet::EMPTY,
            rules: RowRules::none(),
        }
    }

    pub(super) fn of(found: Vec<(TypeId, Arc<Rule>)>) -> Self {
        let mut reach = Self::nothing();
        let mut rules = RowRules::default();
        for (type_id, rule) in found {
            reach.types.add(type_id);
            if !rule.is_nothing() {
                rules.by_type.insert(type_id, rule);
            }
        }
        if !rules.by_type.is_empty() {
            reach.rules = Arc::new(rules);
        }
        reach
    }

    /// This, and of other types that.
    fn or(&self, other: &Self) -> Self {
        let mut types = self.types.clone();
        types.add_all(&other.types);
        if self.rules.by_type.is_empty() && other.rules.by_type.is_empty() {
            let rules = self.rules.clone();
            return Self { types, rules };
        }
        let mut rules = self.rules.by_type.clone();
        for (type_id, rule) in &other.rules.by_type {
            if !self.types.contains(*type_id) {
                rules.insert(*type_id, rule.clone());
            }
        }
        let rules = Arc::new(RowRules { by_type: rules });
        Self { types, rules }
    }
}

/// Actions on resources, each at the place of its number.
pub(super) const ACTIONS: [ActionName; 6] = [
    ActionName::Read,
    ActionName::Search,
    ActionName::History,
    ActionName::Create,
    ActionName::Update,
    ActionName::Delete,
];

/// A grant that would hold if its caller did something.
#[derive(Clone, Debug)]
pub(crate) struct Owed {
    pub(crate) actions: Vec<ActionName>,
    pub(crate) types: TypeSet,
    pub(crate) what: Obligation,
}

/// What one caller may do in one tenant.
#[derive(Debug)]
pub struct Rights {
    /// Whose they are; nobody's if they are supposed only.
    pub(crate) owner: Option<(TenantId, Actor)>,
    pub(super) version: u64,
    pub(super) reach: [Reach; 6],
    /// What searches show: what may be searched, and of other types what may be read.
    pub(super) seen: Reach,
    /// What its caller writes may be evidence for.
    pub(crate) evidence: Arc<Evidence>,
    pub(super) administers: bool,
    /// Consents count, and whom they refuse depends on where the caller's facilities belong.
    pub(crate) placed: bool,
    /// A vendor's grant lets read only.
    pub(crate) read_only: bool,
    /// The trail is among the AuditEvents that may be looked at.
    pub(super) sees_trail: bool,
    pub(super) refused_operations: Vec<Box<str>>,
    /// What they are while operations are done that grants name.
    pub(super) operations: Vec<(&'static Operation, Arc<Self>)>,
    /// What they are for reading in bulk.
    pub(super) bulk: Bulk,
    /// By what charts are opened to the caller.
    pub(super) keys: Vec<By>,
    pub(super) owed: Vec<Owed>,
    pub(super) glass: Glass,
}

/// What is found of an action.
pub(crate) struct Found<'r> {
    /// Types that the action reaches.
    pub(crate) on: &'r TypeSet,
    /// Types that it shows.
    pub(crate) visible: &'r TypeSet,
    /// What it reaches of them.
    pub(crate) rules: &'r Arc<RowRules>,
    /// What of the elements is shown afterwards.
    pub(crate) shown: &'r Arc<RowRules>,
}

impl Rights {
    pub(super) fn settle(&mut self) {
        let [read, search, ..] = &self.reach;
        self.seen = search.or(read);
    }

    /// Takes what they are on errands of their own. What may be read or changed on any of them may be opened by
    /// what is written on another.
    pub(super) fn settle_errands(
        &mut self,
        operations: Vec<(&'static Operation, Self)>,
        mut bulk: Bulk,
    ) {
        let own = match &bulk {
            Bulk::Own(own) => Some(&**own),
            Bulk::Same | Bulk::Nothing => None,
        };
        let all = operations.iter().map(|(_, own)| own).chain(own);
        let evidence = Evidence::of(all.chain([&*self]).flat_map(Self::shown));
        let evidence = Arc::new(evidence);
        self.evidence = evidence.clone();
        if let Bulk::Own(own) = &mut bulk
            && let Some(own) = Arc::get_mut(own)
        {
            own.evidence = evidence.clone();
        }
        self.bulk = bulk;
        let settled = operations.into_iter().map(|(of, mut own)| {
            own.evidence = evidence.clone();
            (of, Arc::new(own))
        });
        self.operations = settled.collect();
    }

    /// What shows, changes or takes away something that was there. What is made by somebody does not.
    fn shown(&self) -> impl Iterator<Item = &Reach> {
        let [read, search, history, _, update, delete] = &self.reach;
        [read, search, history, update, delete].into_iter()
    }

    /// Whether they are something else as time passes.
    pub fn passes(&self) -> bool {
        if self.errands().any(|own| own.passes()) {
            return true;
        }
        let mut known = HashSet::new();
        let rules = self
            .reach
            .iter()
            .flat_map(|reach| reach.rules.by_type.values());
        let mut filters = rules
            .filter(|rule| known.insert(Arc::as_ptr(rule)))
            .filter_map(|rule| rule.filter());
        filters.any(Clause::passes)
    }

    /// Bytes of memory that they take, about.
    pub fn bytes(&self) -> usize {
        const RULE_BYTES: usize = size_of::<Rule>() + 64;
        let mut known = HashSet::new();
        let mut all = size_of::<Self>();
        all += self.errands().map(|own| own.bytes()).sum::<usize>();
        for reach in &self.reach {
            for rule in reach.rules.by_type.values() {
                all += 48;
                if !known.insert(Arc::as_ptr(rule).addr()) {
                    continue;
                }
                all += RULE_BYTES;
                for way in &rule.ways {
                    let own = way.clause.as_ref();
                    all += size_of::<Way>() + own.map_or(0, |clause| clause.bytes(&mut known));
                }
                // The rule of another type may hold on to it as well.
                if let Some(filter) = rule.shared_filter()
                    && known.insert(Arc::as_ptr(filter).addr())
                {
                    all += filter.bytes(&mut known);
                }
            }
        }
        all
    }

    /// Whether they are this principal's, in this tenant.
    pub(crate) fn are_of(&self, principal: &Principal, tenant: &TenantId) -> bool {
        self.owner.as_ref().is_some_and(|(of, actor)| {
            of == tenant && principal.tenant() == Some(tenant) && *actor == principal.actor()
        })
    }

    /// The version of the policy that they are of.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Whether an action reaches something of a type.
    pub fn allows(&self, action: ActionName, type_id: TypeId) -> bool {
        let own = self.reach.get(usize::from(action.number()));
        own.is_some_and(|reach| reach.types.contains(type_id))
    }

    /// Whether some element is hidden in what searches show.
    pub fn hides(&self) -> bool {
        self.seen
            .rules
            .by_type
            .values()
            .any(|rule| rule.hidden.is_some())
    }

    /// What the policy says about opening patients, for this caller.
    pub(crate) const fn glass(&self) -> &Glass {
        &self.glass
    }

    /// Whether they may review what was opened under a grant.
    pub fn reviews(&self, grant: &str) -> bool {
        self.glass.reviews(grant, self.administers)
    }

    /// Whether the trail is among the AuditEvents that may be looked at.
    pub const fn sees_trail(&self) -> bool {
        self.sees_trail
    }

    /// Whether the tenant's policy may be administered.
    pub const fn administers(&self) -> bool {
        self.administers
    }

    /// Names of types whose resources open charts to the caller, without that conditions look at them.
    pub fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().filter_map(|by| by.key())
    }

    /// Whether an operation (without `$`) is refused by name.
    pub fn refuses(&self, operation: &str) -> bool {
        self.refused_operations
            .iter()
            .any(|o| o.strip_prefix('$') == Some(operation))
    }

    pub(crate) fn of(&self, action: ActionName) -> Option<Found<'_>> {
        let own = self.reach.get(usize::from(action.number()))?;
        let read = self.reach.first()?;
        Some(match action {
            ActionName::Search => Found {
                on: &own.types,
                visible: &self.seen.types,
                rules: &self.seen.rules,
                shown: &self.seen.rules,
            },
            ActionName::Read | ActionName::History => Found {
                on: &own.types,
                visible: &own.types,
                rules: &own.rules,
                shown: &own.rules,
            },
            _ => Found {
                on: &own.types,
                visible: &own.types,
                rules: &own.rules,
                shown: &read.rules,
            },
        })
    }

    /// The rule of an action on a type; none where it reaches all or nothing.
    pub fn rule(&self, action: ActionName, type_id: TypeId) -> Option<&Arc<Rule>> {
        let own = self.reach.get(usize::from(action.number()))?;
        own.rules.get(type_id)
    }

    /// The rule by which searches show a type.
    pub fn seen(&self, type_id: TypeId) -> Option<&Arc<Rule>> {
        self.seen.rules.get(type_id)
    }

    /// What the caller would have to do for an action on a type (any type without one).
    pub(crate) fn owed(&self, action: ActionName, type_id: Option<TypeId>) -> Option<Obligation> {
        let fits =
            |o: &&Owed| o.actions.contains(&action) && type_id.is_none_or(|t| o.types.contains(t));
        self.owed.iter().find(fits).map(|o| o.what)
    }
}
