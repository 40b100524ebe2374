//! Patients' consents (FHIR Consent) as refusals: which of them say no to a caller, about what.
//!
//! What policy gives is narrowed by what consents refuse; what they permit is asked only by grants that say so
//! (`permits.rs`). What of a consent cannot be evaluated refuses, and permits nothing. Parts about the caller are decided here; parts about resources become
//! clauses. Knows nothing of where consents are kept.

mod charts;
mod formula;
mod permits;
mod places;
mod read;
mod teams;

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::limits::fixed::{CONSENT_CLAUSES_IN_ALL_MAX, CONSENT_PATIENTS_MAX, CONSENT_RULES_MAX};
use base::{Micros, ResourceId};
use fhir::definitions::{Model, ParamKind, TypeId};
use fhir::search::query::{Clause, Match};

pub(super) use self::charts::Charts;
use self::formula::{Bound, Formula};
use self::permits::Permits;
use self::places::Places;
use self::teams::Teams;
use super::compile::{
    Surroundings, in_compartment, in_compartment_of, in_own_compartment, named, understood,
};
use super::subject::Subject;
use super::variables::Values;
use crate::action::ActionName;

/// One consent that may refuse something, or open it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Consent {
    patient: ResourceId,
    /// The server that the patient is said to be of, if one is named.
    base: Option<Box<str>>,
    rule: Rule,
    /// What it permits may open charts.
    opens: bool,
    /// When what it says changes.
    turns: Vec<i64>,
}

impl Consent {
    /// Whether some provision is about some actions only.
    fn names_actions(&self) -> bool {
        matches!(&self.rule, Rule::Tree { root, .. } if root.names_actions())
    }
}

/// What it says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    /// It cannot be evaluated.
    Unclear,
    Tree {
        /// Whether it refuses where its root does not apply; none if it then says nothing.
        base: Option<bool>,
        root: Node,
    },
}

/// A provision and its exceptions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Node {
    denies: bool,
    conditions: Vec<Condition>,
    exceptions: Vec<Node>,
}

impl Node {
    fn names_actions(&self) -> bool {
        let of_actions = |c: &Condition| matches!(c, Condition::Actions(_));
        self.conditions.iter().any(of_actions) || self.exceptions.iter().any(Self::names_actions)
    }
}

/// What a reference names. An absolute one means something of this tenant only under a URL of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Reference {
    base: Option<Box<str>>,
    of: Box<str>,
    id: ResourceId,
}

/// A condition of a provision; its alternatives.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Condition {
    Period(Option<i64>, Option<i64>),
    /// References to actors, and whether there are some that cannot be looked at.
    Actors(Vec<Reference>, bool),
    Actions(Vec<Box<str>>),
    Purposes(Vec<Box<str>>),
    /// Names of types, and whether other classes are named.
    Types(Vec<Box<str>>, bool),
    /// System and code.
    Labels(Vec<(Box<str>, Box<str>)>),
    Codes(Vec<(Box<str>, Box<str>)>),
    /// Instances, and whether others are named.
    Data(Vec<Reference>, bool),
    /// Dates of data, as criteria.
    DataPeriod(Box<str>),
    /// It is known to be about the caller.
    Caller,
    Unclear,
}

/// Consents of a tenant that may refuse or open something, by the id of the Consent, and who is in care
/// teams. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Consents {
    known: HashMap<ResourceId, Arc<Consent>>,
    /// Patients of those that could not be read, where they are known.
    broken: HashMap<ResourceId, Option<ResourceId>>,
    /// Those in force that name no patient who could be held to them.
    unheld: BTreeSet<ResourceId>,
    /// How many of them change at a time.
    turns: BTreeMap<i64, u32>,
    /// Facilities, and what each is part of.
    places: Places,
    teams: Teams,
    changes: u64,
}

/// Of which state of consents rights are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsentsState {
    changes: u64,
    teams: u64,
    until: Option<i64>,
}

/// A number that no state had before: what is read anew is never taken for what was known once.
fn generation() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}

impl Default for Consents {
    fn default() -> Self {
        Self {
            known: HashMap::new(),
            broken: HashMap::new(),
            unheld: BTreeSet::new(),
            turns: BTreeMap::new(),
            places: Places::default(),
            teams: Teams::default(),
            changes: generation(),
        }
    }
}

impl Consents {
    /// Those of a tenant without any.
    pub fn none() -> &'static Self {
        static NONE: std::sync::LazyLock<Consents> = std::sync::LazyLock::new(Consents::default);
        &NONE
    }

    /// Learns of a Consent as it is now; `None`: it is gone.
    pub fn learn(&mut self, model: &'static Model, id: &ResourceId, body: Option<&[u8]>) {
        self.changes = generation();
        self.broken.remove(id);
        self.forget(id);
        let read = body.map_or(Ok(None), |body| read::consent(model, body));
        if read.is_err() {
            self.unheld.insert(id.clone());
        }
        if let Ok(Some(consent)) = read {
            self.turns_at(&consent.turns);
            self.known.insert(id.clone(), Arc::new(consent));
        }
    }

    fn forget(&mut self, id: &ResourceId) {
        if let Some(before) = self.known.remove(id) {
            self.turns_no_more(&before.turns);
        }
        self.unheld.remove(id);
    }

    fn turns_at(&mut self, turns: &[i64]) {
        for turn in turns {
            *self.turns.entry(*turn).or_default() += 1;
        }
    }

    fn turns_no_more(&mut self, turns: &[i64]) {
        for turn in turns {
            if let Some(count) = self.turns.get_mut(turn) {
                *count -= 1;
                if *count == 0 {
                    self.turns.remove(turn);
                }
            }
        }
    }

    /// One is there that cannot be read: it refuses the chart of its patient, of every patient where that
    /// is not known.
    pub fn is_broken(&mut self, id: ResourceId, patient: Option<ResourceId>) {
        self.changes = generation();
        self.forget(&id);
        self.broken.insert(id, patient);
    }

    /// Whose a Consent is.
    pub fn patient_of(model: &'static Model, body: &[u8]) -> Option<ResourceId> {
        read::patient(model, body)
    }

    /// Consents that may mean to refuse something and refuse nothing, as no patient is named by them whom
    /// they could be about.
    pub fn unheld(&self) -> impl ExactSizeIterator<Item = &ResourceId> {
        self.unheld.iter()
    }

    /// Whether resources of a type say where facilities belong.
    pub fn is_place(type_name: &str) -> bool {
        matches!(type_name, "Organization" | "Location")
    }

    /// Learns of an Organization or a Location as it is now; `None`: it is gone, or cannot be read.
    pub fn learn_place(&mut self, type_name: &str, id: &ResourceId, body: Option<&[u8]>) {
        if self.places.learn(type_name, id, body) {
            self.changes = generation();
        }
    }

    /// Whether a facility (`Organization/1`) is there.
    pub fn has_place(&self, facility: &str) -> bool {
        self.places.is_there(facility)
    }

    /// Those of a tenant with the same facilities, where nobody consented to anything and there are no teams.
    #[must_use]
    pub fn of_nobody(&self) -> Self {
        Self {
            places: self.places.clone(),
            ..Self::default()
        }
    }

    /// The type of the resources that say who cares for whom.
    pub const TEAM: &str = "CareTeam";

    /// Learns of a CareTeam as it is now; `None`: it is gone, or cannot be read.
    pub fn learn_team(&mut self, id: &ResourceId, body: Option<&[u8]>) {
        let (before, after) = self.teams.learn(id, body, generation());
        self.turns_no_more(&before);
        self.turns_at(&after);
    }

    /// What rights that are made now are of, of one for whom a Practitioner stands if that is so: they are good
    /// until another state.
    pub fn state(&self, now: Micros, practitioner: Option<&ResourceId>) -> ConsentsState {
        let next = self.turns.range(now.0.saturating_add(1)..).next();
        ConsentsState {
            changes: self.changes,
            teams: practitioner.map_or(0, |own| self.teams.changed(own)),
            until: next.map(|(at, _)| *at),
        }
    }
}

/// Whether an actor is the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meant {
    Them,
    Other,
    Perhaps,
}

/// Who asks for what.
pub(super) struct Asking<'a> {
    pub(super) subject: &'a Subject<'a>,
    pub(super) surroundings: &'a Surroundings<'a>,
    /// What accesses of the caller are for; unknown without.
    pub(super) purposes: Option<Vec<String>>,
}

/// What consents refuse of a type.
#[derive(Clone, Debug)]
pub(super) enum Refused {
    Nothing,
    Some(Vec<Clause>),
    Everything,
}

/// Of which actions a refusal is the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Acts {
    Any,
    Of(ActionName),
    Changes,
}

/// Patients by id, as a search names them. Lists that are the same are there once.
#[derive(Default)]
struct Lists(HashMap<Vec<ResourceId>, Arc<[Match]>>);

/// Patients' consents, ready to be asked about one caller: those that may refuse them something, and what
/// they permit.
pub(super) struct Refusals<'a> {
    asking: Asking<'a>,
    consents: &'a Consents,
    /// What they permit, once it was asked for.
    permits: OnceCell<Permits>,
    some: Vec<&'a Consent>,
    /// Patients of those that could not be read; none: of any.
    broken: Vec<&'a Option<ResourceId>>,
    overflow: bool,
    /// Some of them say something of actions.
    by_action: bool,
    /// What was found, by type.
    known: RefCell<HashMap<(TypeId, Acts), Arc<Refused>>>,
    lists: RefCell<Lists>,
    /// Conditions and values that there is room for.
    left: Cell<usize>,
}

impl<'a> Refusals<'a> {
    pub(super) fn of(asking: Asking<'a>, consents: &'a Consents) -> Self {
        let own = asking.subject.fhir_user;
        let patient = asking.surroundings.model.type_id("Patient");
        let theirs =
            |c: &Consent| own.is_some_and(|(of, id)| Some(of) == patient && *id == c.patient);
        let mut some = Vec::new();
        let mut overflow = false;
        for consent in consents.known.values() {
            // Patients are not kept from their own record.
            if theirs(consent) || !asking.concerned(&consent.rule) {
                continue;
            }
            if some.len() >= CONSENT_PATIENTS_MAX {
                overflow = true;
                break;
            }
            some.push(&**consent);
        }
        some.sort_by(|a, b| a.patient.as_str().cmp(b.patient.as_str()));
        Self {
            asking,
            consents,
            permits: OnceCell::new(),
            by_action: some.iter().any(|consent| consent.names_actions()),
            some,
            broken: consents.broken.values().collect(),
            overflow,
            known: RefCell::default(),
            lists: RefCell::default(),
            left: Cell::new(CONSENT_CLAUSES_IN_ALL_MAX),
        }
    }

    /// What is refused of an action on a type. Consents themselves are read and made whatever they say;
    /// who is refused something may not change or remove what refuses it, unless they administer.
    pub(super) fn refused(
        &self,
        action: ActionName,
        type_id: TypeId,
        administers: bool,
    ) -> Arc<Refused> {
        let model = self.asking.surroundings.model;
        let name = model.type_name(type_id);
        let own = name == "Consent";
        let acts = match (own, self.by_action) {
            (true, _) if changes(action) && !administers => Acts::Changes,
            (true, _) => Acts::Any,
            (false, false) => Acts::Any,
            (false, true) if matches!(action, ActionName::Search | ActionName::History) => {
                Acts::Of(ActionName::Read)
            }
            (false, true) => Acts::Of(action),
        };
        if let Some(found) = self.known.borrow().get(&(type_id, acts)) {
            return found.clone();
        }
        let found = match name {
            "AuditEvent" => Refused::Nothing,
            _ if own && acts == Acts::Any => Refused::Nothing,
            _ => self.refused_of(action, type_id, own),
        };
        let found = Arc::new(found);
        let mut known = self.known.borrow_mut();
        known.insert((type_id, acts), found.clone());
        found
    }

    fn refused_of(&self, action: ActionName, type_id: TypeId, own: bool) -> Refused {
        let model = self.asking.surroundings.model;
        let Some(patient) = model.type_id("Patient") else {
            return Refused::Everything;
        };
        let concerned = in_own_compartment(model, patient, type_id, &[]).is_some();
        if !concerned {
            return Refused::Nothing;
        }
        if self.broken.iter().any(|patient| patient.is_none()) {
            return Refused::Everything;
        }
        if self.overflow || self.left.get() == 0 {
            return self.coarse(patient, type_id);
        }
        let mut whole: Vec<ResourceId> = self.broken.iter().copied().flatten().cloned().collect();
        let mut clauses = Vec::new();
        for consent in &self.some {
            let denied = match own {
                true => Formula::Always,
                false => self.asking.denied_for(&consent.rule, action, type_id),
            };
            match denied {
                Formula::Never => {}
                Formula::Always | Formula::Vast => whole.push(consent.patient.clone()),
                Formula::Where(clause, size) => {
                    let left = self.left.get().saturating_sub(size);
                    self.left.set(left);
                    if left == 0 || clauses.len() >= CONSENT_RULES_MAX {
                        return self.coarse(patient, type_id);
                    }
                    let inside = self.inside(patient, type_id, vec![consent.patient.clone()]);
                    clauses.extend(inside.map(|inside| Clause::And(vec![inside, clause])));
                }
            }
        }
        whole.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        whole.dedup();
        if !whole.is_empty() {
            clauses.extend(self.inside(patient, type_id, whole));
        }
        match clauses.is_empty() {
            true => Refused::Nothing,
            false => Refused::Some(clauses),
        }
    }

    /// The charts of these patients.
    fn inside(&self, patient: TypeId, type_id: TypeId, ids: Vec<ResourceId>) -> Option<Clause> {
        if type_id == patient {
            return Some(Clause::Id(ids.into()));
        }
        let mut lists = self.lists.borrow_mut();
        let these = lists.0.entry(ids);
        let these = these.or_insert_with_key(|ids| named(patient, ids));
        in_compartment_of(self.asking.surroundings.model, patient, type_id, these)
    }

    /// Too many to be named one by one: the charts of all who have a consent.
    fn coarse(&self, patient: TypeId, type_id: TypeId) -> Refused {
        let text = "_has:Consent:patient:status=active";
        let (values, around) = (Values::default(), self.asking.surroundings);
        let Ok(all) = understood(patient, text, &values, around, "consents") else {
            return Refused::Everything;
        };
        let mut clauses = Vec::new();
        clauses.extend(in_compartment(around.model, patient, type_id, &all.into()));
        let broken: Vec<ResourceId> = self.broken.iter().copied().flatten().cloned().collect();
        if !broken.is_empty() {
            clauses.extend(self.inside(patient, type_id, broken));
        }
        match clauses.is_empty() {
            true => Refused::Nothing,
            false => Refused::Some(clauses),
        }
    }
}

const fn changes(action: ActionName) -> bool {
    matches!(action, ActionName::Update | ActionName::Delete)
}

/// Whether what stands before a reference is this tenant, as nothing is.
fn is_own(surroundings: &Surroundings<'_>, base: Option<&str>) -> bool {
    let own = surroundings.own_bases.iter();
    let mut own = own.map(|base| base.trim_end_matches('/'));
    base.is_none_or(|base| own.any(|own| own == base))
}

/// The charts of patients in whose care teams the caller is now; none where no Practitioner stands for them.
pub(super) fn cared_for(subject: &Subject<'_>, surroundings: &Surroundings<'_>) -> Option<Charts> {
    let model = surroundings.model;
    let (of, own) = subject.fhir_user?;
    let patient = model.type_id("Patient")?;
    (model.type_name(of) == "Practitioner").then(|| {
        let own_base = |base: Option<&str>| is_own(surroundings, base);
        let teams = &surroundings.consents.teams;
        Charts::of(patient, &teams.patients(own, surroundings.now, &own_base))
    })
}

impl Asking<'_> {
    /// Whether a consent may refuse this caller anything: by what it says of callers alone.
    fn concerned(&self, rule: &Rule) -> bool {
        match rule {
            Rule::Unclear => true,
            Rule::Tree { base, root } => *base == Some(true) || self.may_deny(root),
        }
    }

    fn may_deny(&self, node: &Node) -> bool {
        let about = |c: &Condition| match c {
            Condition::Actors(..) | Condition::Purposes(_) | Condition::Period(..) => {
                !matches!(self.condition(c, None).at_most, Formula::Never)
            }
            _ => true,
        };
        node.conditions.iter().all(about)
            && (node.denies || node.exceptions.iter().any(|e| self.may_deny(e)))
    }

    /// What a consent refuses of an action on a type, with what that takes: nobody changes or deletes what they
    /// may not look at.
    fn denied_for(&self, rule: &Rule, action: ActionName, type_id: TypeId) -> Formula {
        let denied = self.denied(rule, action, type_id);
        match changes(action) && !matches!(denied, Formula::Always) {
            true => denied.or(self.denied(rule, ActionName::Read, type_id)),
            false => denied,
        }
    }

    /// What a consent refuses of an action on a type. The rule of which the root is an exception stands where
    /// the root does not apply: for others, and out of its period.
    fn denied(&self, rule: &Rule, action: ActionName, type_id: TypeId) -> Formula {
        match rule {
            Rule::Unclear => Formula::Always,
            Rule::Tree { base, root } => {
                let about = Some((action, type_id));
                let applies = self.applies(root, about);
                let inside = applies.at_most.and(self.denied_within(root, about));
                let outside = match base {
                    Some(true) => applies.surely.not(),
                    _ => Formula::Never,
                };
                inside.or(outside)
            }
        }
    }

    /// What a provision refuses where it applies: an exception that refuses wins over one that permits.
    /// Where none refuses, those that surely apply permit; so what is inside of each is written once.
    fn denied_within(&self, node: &Node, about: Option<(ActionName, TypeId)>) -> Formula {
        let mut denied = Formula::Never;
        let mut permitted = Formula::Never;
        for exception in &node.exceptions {
            let applies = self.applies(exception, about);
            let inside = match applies.at_most {
                Formula::Never => continue,
                _ => self.denied_within(exception, about),
            };
            if !matches!(inside, Formula::Always) {
                permitted = permitted.or(applies.surely);
            }
            denied = denied.or(applies.at_most.and(inside));
            if matches!(denied, Formula::Always | Formula::Vast) {
                return denied;
            }
        }
        match node.denies {
            true => denied.or(permitted.not()),
            false => denied,
        }
    }

    fn applies(&self, node: &Node, about: Option<(ActionName, TypeId)>) -> Bound {
        let mut all = Bound::sure(Formula::Always);
        for condition in &node.conditions {
            let one = match condition {
                Condition::Labels(labels) => self.labelled(labels, node.denies, about),
                condition => self.condition(condition, about),
            };
            all = Bound {
                surely: all.surely.and(one.surely),
                at_most: all.at_most.and(one.at_most),
            };
        }
        all
    }

    fn condition(&self, condition: &Condition, about: Option<(ActionName, TypeId)>) -> Bound {
        let now = self.surroundings.now.0;
        match condition {
            Condition::Period(from, until) => {
                let begun = from.is_none_or(|from| from <= now);
                Bound::sure(Formula::of(begun && until.is_none_or(|until| now < until)))
            }
            Condition::Actors(actors, others) => {
                let is = |meant: Meant| actors.iter().any(|actor| self.is(actor) == meant);
                let meant = is(Meant::Them);
                let others = *others || is(Meant::Perhaps);
                Bound::with_others(Formula::of(meant), others && !meant)
            }
            Condition::Purposes(purposes) => self.purposes(purposes),
            Condition::Actions(actions) => match about {
                Some((action, _)) => acts(actions, action),
                None => Bound::unclear(),
            },
            Condition::Types(types, others) => match about {
                Some((_, type_id)) => {
                    let name = self.surroundings.model.type_name(type_id);
                    let all = |t: &str| matches!(t, "Resource" | "DomainResource");
                    let named = types.iter().any(|t| **t == *name || all(t));
                    // What is no type here may be a class of this one.
                    let known = |t: &str| all(t) || self.surroundings.model.type_id(t).is_some();
                    let others = *others || types.iter().any(|t| !known(t));
                    Bound::with_others(Formula::of(named), others && !named)
                }
                None => Bound::unclear(),
            },
            Condition::Data(data, others) => match about {
                Some((_, type_id)) => {
                    let name = self.surroundings.model.type_name(type_id);
                    let of_type = data.iter().filter(|r| *r.of == *name && self.is_here(r));
                    let ids: Vec<ResourceId> = of_type.map(|r| r.id.clone()).collect();
                    let others = *others || !data.iter().all(|r| self.is_here(r));
                    let these = match ids.is_empty() {
                        true => Formula::Never,
                        false => Formula::of_clause(Clause::Id(ids.into())),
                    };
                    Bound::with_others(these, others)
                }
                None => Bound::unclear(),
            },
            Condition::Codes(codes) => match about {
                Some((_, type_id)) => self.coded(codes, type_id),
                None => Bound::unclear(),
            },
            Condition::DataPeriod(text) => match about {
                Some((_, type_id)) => self.asked(type_id, text),
                None => Bound::unclear(),
            },
            Condition::Caller => Bound::sure(Formula::Always),
            Condition::Labels(_) | Condition::Unclear => Bound::unclear(),
        }
    }

    /// Whether a reference leads to this tenant.
    fn is_here(&self, reference: &Reference) -> bool {
        self.is_own(reference.base.as_deref())
    }

    fn is_own(&self, base: Option<&str>) -> bool {
        is_own(self.surroundings, base)
    }

    /// Whether a reference means the caller: who stands for them, or a facility where they have a role.
    /// Whoever is not surely somebody else may be meant.
    fn is(&self, reference: &Reference) -> Meant {
        let subject = self.subject;
        let model = self.surroundings.model;
        if !self.is_here(reference) {
            return Meant::Perhaps;
        }
        let of = &*reference.of;
        let user = subject.fhir_user.map(|(t, id)| (model.type_name(t), id));
        if user == Some((of, &reference.id)) {
            return Meant::Them;
        }
        let user = user.map(|(of, _)| of);
        match of {
            "Organization" | "Location" => self.held_at(reference),
            "Practitioner" | "Patient" => match user {
                Some("Practitioner" | "Patient" | "RelatedPerson") => Meant::Other,
                Some(_) => Meant::Perhaps,
                // A program is none of them.
                None if subject.client.is_some() && subject.person.is_none() => Meant::Other,
                None => Meant::Perhaps,
            },
            _ => Meant::Perhaps,
        }
    }

    /// Whether a facility is one where the caller has a role.
    fn held_at(&self, reference: &Reference) -> Meant {
        let roles = self.subject.roles;
        let wanted = (&*reference.of, &reference.id);
        let at = |held: &crate::person::RoleAt| {
            let own = held.facility.as_ref();
            own.is_some_and(|(of, id)| (&**of, id) == wanted)
        };
        if roles.iter().any(at) {
            return Meant::Them;
        }
        let places = &self.surroundings.consents.places;
        let apart = |held: &crate::person::RoleAt| {
            let own = held.facility.as_ref();
            own.is_some_and(|(of, id)| places.are_apart((of, id), wanted))
        };
        match !roles.is_empty() && roles.iter().all(apart) {
            true => Meant::Other,
            false => Meant::Perhaps,
        }
    }

    fn purposes(&self, wanted: &[Box<str>]) -> Bound {
        /// Purposes that are none of each other (v3-PurposeOfUse).
        const APART: [&str; 7] = [
            "TREAT", "HPAYMT", "HOPERAT", "HRESCH", "HMARKT", "PATRQT", "PUBHLTH",
        ];
        let Some(own) = &self.purposes else {
            return Bound::unclear();
        };
        let meant = |o: &String| wanted.iter().any(|w| **w == **o);
        let apart = own.iter().all(|o| APART.contains(&o.as_str()))
            && wanted.iter().all(|w| APART.contains(&&**w));
        // Whoever comes for several is permitted what all of them are, and refused what any of them is.
        Bound {
            surely: Formula::of(!own.is_empty() && own.iter().all(meant)),
            at_most: Formula::of(own.iter().any(meant) || !apart),
        }
    }

    /// Resources that a search of their type finds.
    fn asked(&self, type_id: TypeId, text: &str) -> Bound {
        match understood(
            type_id,
            text,
            &Values::default(),
            self.surroundings,
            "consents",
        ) {
            Ok(clause) => Bound::sure(Formula::of_clause(clause)),
            Err(_) => Bound::unclear(),
        }
    }

    /// Resources of which some coded element that searches look at has one of the codes.
    fn coded(&self, codes: &[(Box<str>, Box<str>)], type_id: TypeId) -> Bound {
        let model = self.surroundings.model;
        let values = self.tokens_in_parts(codes);
        // Of most parameters they are the same: they are kept once.
        let mut shared = vec![None; values.len()];
        let mut any = Bound::sure(Formula::Never);
        for param in model.params(type_id) {
            let of_codes = param.kind == ParamKind::Token;
            let name = param.code;
            if !of_codes || name.starts_with('_') || name == "identifier" {
                continue;
            }
            // Of true and false no code is one.
            let takes = self.asked(type_id, &format!("{name}=x"));
            if matches!(takes.surely, Formula::Never) {
                continue;
            }
            for (value, shared) in values.iter().zip(&mut shared) {
                let found = self.asked(type_id, &format!("{name}={value}"));
                any = any.or(found.sharing(shared));
            }
        }
        any
    }

    /// Codes as values of token parameters, as many at once as one query may have.
    fn tokens_in_parts(&self, codes: &[(Box<str>, Box<str>)]) -> Vec<String> {
        let limits = self.surroundings.limits;
        let as_size = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
        let values_max = as_size(limits.query_values_max);
        let bytes_max = as_size(limits.query_bytes_max) / 2;
        let mut parts: Vec<(usize, String)> = Vec::new();
        for code in codes {
            let text = tokens(std::slice::from_ref(code));
            match parts.last_mut() {
                Some((count, part))
                    if *count < values_max && part.len() + text.len() < bytes_max =>
                {
                    *count += 1;
                    part.push(',');
                    part.push_str(&text);
                }
                _ => parts.push((1, text)),
            }
        }
        parts.into_iter().map(|(_, part)| part).collect()
    }

    /// What may be marked so high, or higher.
    fn marked(&self, mark: usize, type_id: TypeId) -> Formula {
        let marked = super::labels::from(mark);
        let found = |text: &str| self.asked(type_id, text);
        let unless = marked.unless.as_deref().map(found);
        let where_found = marked.found.as_deref().map(found);
        let rest = match marked.is_normal {
            true => unless.map_or(Formula::Always, |lower| lower.surely.not()),
            false => Formula::Never,
        };
        where_found
            .map_or(Formula::Never, |found| found.at_most)
            .or(rest)
    }

    /// Labels of confidentiality are a mark: what permits does so up to it, what refuses does so from it on.
    /// Other labels are themselves.
    fn labelled(
        &self,
        labels: &[(Box<str>, Box<str>)],
        denies: bool,
        about: Option<(ActionName, TypeId)>,
    ) -> Bound {
        let Some((_, type_id)) = about else {
            return Bound::unclear();
        };
        let mut any = Bound::sure(Formula::Never);
        for label in labels {
            let one = match super::labels::rank(&label.0, &label.1) {
                // What may be marked so is refused, and not permitted.
                Some(mark) if denies => Bound {
                    surely: Formula::Never,
                    at_most: self.marked(mark, type_id),
                },
                Some(mark) => Bound {
                    surely: self.marked(mark + 1, type_id).not(),
                    at_most: Formula::Always,
                },
                None => {
                    let text = format!("_security={}", tokens(std::slice::from_ref(label)));
                    self.asked(type_id, &text)
                }
            };
            any = any.or(one);
        }
        any
    }
}

/// Actions of consents (consentaction) and those here.
fn acts(wanted: &[Box<str>], action: ActionName) -> Bound {
    let own: &[&str] = match action {
        ActionName::Create => &["collect"],
        ActionName::Update => &["collect", "correct"],
        ActionName::Delete => &["correct"],
        _ => &["access", "use", "disclose"],
    };
    let known = |w: &str| matches!(w, "collect" | "access" | "use" | "disclose" | "correct");
    let meant = wanted.iter().any(|w| own.contains(&&**w));
    let others = wanted.iter().any(|w| !known(w));
    Bound::with_others(Formula::of(meant), others && !meant)
}

/// Codes as values of a token parameter.
fn tokens(codes: &[(Box<str>, Box<str>)]) -> String {
    let escaped = |text: &str| {
        let mut out = String::new();
        for byte in text.bytes() {
            if matches!(byte, b',' | b'|' | b'$' | b'\\') {
                out.push_str("%5C");
            }
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/' | b':') {
                out.push(char::from(byte));
            } else {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
        out
    };
    let one = |(system, code): &(Box<str>, Box<str>)| match system.is_empty() {
        true => escaped(code),
        false => format!("{}%7C{}", escaped(system), escaped(code)),
    };
    codes.iter().map(one).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests;
