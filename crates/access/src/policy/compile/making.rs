//! Rights on their way: what each grant, scope and opening adds to them or takes away.

use std::collections::{BTreeMap, HashMap};

use base::limits::fixed::RIGHTS_CLAUSES_MAX;

use fhir::search::rows::SECURITY_CONTEXT;

use super::chosen::Seen;
use super::*;
use crate::policy::consent::Refused;
use crate::policy::errand::Bulk;

/// What an action comes to on one type.
#[derive(Default)]
pub(super) struct Cell {
    ways: Vec<Arc<Way>>,
    never: Vec<Arc<Clause>>,
    refused: bool,
}

/// A rule that was made already; none where all was withheld.
type Known = (Parts, Option<Arc<Rule>>);

/// Rights on their way.
pub(super) struct Making<'a> {
    errand: Errand,
    subject: &'a Subject<'a>,
    surroundings: &'a Surroundings<'a>,
    cells: Vec<BTreeMap<TypeId, Cell>>,
    administers: bool,
    refuses_administering: bool,
    refused_operations: Vec<Box<str>>,
    owed: Vec<Owed>,
    glass: Glass,
    /// What the grant of a vendor leaves, and whether to reading only.
    vendor: Option<Narrowing>,
    read_only: bool,
    /// Conditions, values and elements that there is room for.
    pub(super) left: usize,
    /// What is seen of types on which scopes count whose queries the caller chose.
    seen: BTreeMap<TypeId, Option<Seen>>,
    pub(super) built_in: BuiltIn<'a>,
    /// By what charts are opened to the caller beside what searches find.
    keys: Vec<By>,
}

/// What a rule of a type is made of. Actions of which it is the same share the rule.
#[derive(PartialEq)]
struct Parts {
    ways: Vec<*const Way>,
    never: Vec<*const Clause>,
    narrow: Vec<Clause>,
    /// What consents refuse, by its place in memory.
    consents: Option<*const Refused>,
}

impl<'a> Making<'a> {
    pub(super) fn new(
        errand: Errand,
        subject: &'a Subject<'a>,
        surroundings: &'a Surroundings<'a>,
        bounds: &Bound<'_>,
    ) -> Self {
        let (vendor, read_only) = match bounds {
            Bound::Free | Bound::Shut => (None, false),
            Bound::To(terms, read_only) => {
                (Some(Narrowing::of(terms, subject.contexts)), *read_only)
            }
        };
        let cells = ACTIONS.iter().map(|_| BTreeMap::new());
        Self {
            errand,
            subject,
            surroundings,
            cells: cells.collect(),
            administers: false,
            refuses_administering: false,
            refused_operations: Vec::new(),
            owed: Vec::new(),
            glass: Glass::default(),
            vendor,
            read_only,
            left: RIGHTS_CLAUSES_MAX,
            seen: BTreeMap::new(),
            built_in: BuiltIn::default(),
            keys: Vec::new(),
        }
    }

    pub(super) fn cell(&mut self, action: ActionName, type_id: TypeId) -> Option<&mut Cell> {
        let cells = self.cells.get_mut(usize::from(action.number()))?;
        Some(cells.entry(type_id).or_default())
    }

    /// A client that no policy governs: its scopes are its grant, and they narrow it below.
    pub(super) fn by_scopes(&mut self) {
        let way = Arc::new(Way {
            grant: "scopes".into(),
            clause: None,
            mask: None,
            read_only: None,
            opened: false,
        });
        for action in ACTIONS {
            for type_id in self.surroundings.model.types() {
                if let Some(cell) = self.cell(action, type_id) {
                    cell.ways.push(way.clone());
                }
            }
        }
    }

    /// A grant under which patients are opened: what it offers, who reviews it, and the patients who
    /// are open now.
    pub(super) fn glass(
        &mut self,
        grant: &GrantText,
        glass: &BreakGlass,
        holds: Holds,
        opened: &[Opened<'_>],
    ) {
        let reviews = glass.reviewers.as_ref();
        let reviews = reviews.map(|who| among(who, self.subject).is_some());
        self.glass.know(&grant.name, reviews);
        let Some(roles) = concerns(grant, self.subject) else {
            return;
        };
        // Only people, who can be asked about it afterwards.
        if self.subject.person.is_none() {
            return;
        }
        if matches!(holds, Holds::Yes | Holds::Lacks(_)) {
            let limits = self.surroundings.limits;
            self.glass.offer(&grant.name, glass.minutes, limits);
        }
        for opened in opened.iter().filter(|o| o.grant == grant.name) {
            self.grant(grant, &roles, holds, Some(opened.patient));
        }
    }

    /// `opened`: the patient for whom alone it is.
    pub(super) fn grant(
        &mut self,
        grant: &GrantText,
        roles: &[String],
        holds: Holds,
        opened: Option<&base::ResourceId>,
    ) {
        let gives = grant.effect == Effect::Allow;
        // Also where it does not hold now, and would for whoever says why.
        self.keys.extend(grant.by);
        match (holds, gives) {
            (Holds::No, _) | (Holds::Unknown, true) => return,
            (Holds::Lacks(what), _) => return self.owe(grant, what),
            (Holds::Yes, _) | (Holds::Unknown, false) => {}
        }
        let actions = self.errand.actions(grant);
        if actions.contains(&ActionName::Administer) && opened.is_none() {
            self.administers |= gives;
            self.refuses_administering |= !gives;
        }
        if !gives {
            let refused = grant.actions.operations().map(Into::into);
            self.refused_operations.extend(refused);
        }
        let model = self.surroundings.model;
        let values = Values::of(model, self.subject, roles);
        // Types that are none: published documents have none; what is refused is refused for all.
        let (types, all) = match types_of(grant, model) {
            Ok(types) => types,
            Err(_) if gives => return,
            Err(_) => (model.types().collect(), true),
        };
        let ways = Ways::of(grant, all, &values, self.surroundings);
        self.left = self.left.saturating_sub(ways.shared());
        for type_id in types {
            let mut way = ways.on(type_id).and_then(|(way, size)| {
                let left = self.left.checked_sub(size);
                self.left = left.unwrap_or(0);
                left.map(|_| way).ok_or(Silent::Nothing)
            });
            if let (Ok(found), Some(patient)) = (&mut way, opened)
                && !narrow_to(model, type_id, patient, found)
            {
                way = Err(Silent::Nothing);
            }
            let writing = way.as_ref().ok().map(|way| {
                let mut way = ways.to_write(type_id, way);
                if let Some(patient) = opened {
                    way.clause = both(way.clause, strays_of(model, type_id, patient));
                }
                Arc::new(way)
            });
            let way = way.map(Arc::new);
            let mut by_opened: Vec<(*const Clause, bool, Arc<Way>)> = Vec::new();
            let never = way.as_ref().ok().and_then(|way| way.clause.clone());
            let never = never.map(Arc::new);
            for action in &actions {
                if !covers(grant, *action, type_id, model) {
                    continue;
                }
                let opened = match grant.by.filter(|by| by.key().is_some()) {
                    None => None,
                    Some(by) => match self.built_in.opened(by, *action, type_id) {
                        Some(clause) => Some(clause),
                        None => continue,
                    },
                };
                let Some(cell) = self.cell(*action, type_id) else {
                    continue;
                };
                match (&way, gives) {
                    (Ok(way), true) => {
                        let writes = action.writes();
                        let way = writing.as_ref().filter(|_| writes).unwrap_or(way);
                        let Some(opened) = opened else {
                            cell.ways.push(way.clone());
                            continue;
                        };
                        let of = Arc::as_ptr(&opened);
                        let known = by_opened.iter().find(|(o, w, _)| (*o, *w) == (of, writes));
                        let narrowed = match known {
                            Some((_, _, way)) => way.clone(),
                            None => {
                                let mut way = Way::clone(way);
                                way.clause = both(way.clause, Some(Clause::clone(&opened)));
                                let way = Arc::new(way);
                                by_opened.push((of, writes, way.clone()));
                                way
                            }
                        };
                        cell.ways.push(narrowed);
                    }
                    (Ok(_), false) => match &never {
                        Some(clause) => cell.never.push(clause.clone()),
                        None => cell.refused = true,
                    },
                    (Err(_), true) => {}
                    // What cannot be evaluated refuses.
                    (Err(_), false) => cell.refused = true,
                }
            }
        }
    }

    pub(super) fn owe(&mut self, grant: &GrantText, what: crate::policy::rights::Obligation) {
        if let Ok((types, _)) = types_of(grant, self.surroundings.model) {
            self.owed.push(Owed {
                actions: self.errand.actions(grant),
                types: types.into_iter().collect(),
                what,
            });
        }
    }

    pub(super) fn rights(mut self, version: u64) -> Rights {
        let mut reach = [const { Vec::new() }; ACTIONS.len()];
        let mut known: HashMap<TypeId, Vec<Known>> = HashMap::new();
        let administers = self.administers
            && !self.refuses_administering
            && self.unscoped()
            && self.subject.bound.is_none();
        self.seen = self.seen_where_chosen(administers);
        for ((action, cells), out) in ACTIONS.iter().zip(&self.cells).zip(&mut reach) {
            let mut found = Vec::new();
            for (type_id, cell) in cells {
                if cell.refused || cell.ways.is_empty() {
                    continue;
                }
                if !administers && action.writes() && self.is_key(*type_id) {
                    continue;
                }
                let Some(narrow) = self.narrowed(*action, *type_id) else {
                    continue;
                };
                let consents = self.built_in.by_consents(*action, *type_id, administers);
                let parts = Parts {
                    ways: cell.ways.iter().map(Arc::as_ptr).collect(),
                    never: cell.never.iter().map(Arc::as_ptr).collect(),
                    narrow,
                    consents: consents.as_ref().map(Arc::as_ptr),
                };
                let of_type = known.entry(*type_id).or_default();
                let rule = match of_type.iter().find(|(of, _)| *of == parts) {
                    Some((_, rule)) => rule.clone(),
                    None => {
                        let rule = self.rule(*type_id, cell, &parts.narrow, consents.as_deref());
                        of_type.push((parts, rule.clone()));
                        rule
                    }
                };
                found.extend(rule.map(|rule| (*type_id, rule)));
            }
            *out = found;
        }
        self.bind_contexts(&mut reach);
        let glass = std::mem::take(&mut self.glass).of_token(self.unscoped());
        let mut rights = Rights {
            owner: None,
            version,
            reach: reach.map(Reach::of),
            seen: Reach::nothing(),
            evidence: Arc::default(),
            administers,
            placed: self.built_in.counts_consents()
                && self
                    .subject
                    .roles
                    .iter()
                    .any(|held| held.facility.is_some()),
            read_only: self.read_only,
            sees_trail: self.names_trail() && self.subject.bound.is_none(),
            refused_operations: self.refused_operations,
            operations: Vec::new(),
            bulk: Bulk::Same,
            keys: self.keys,
            owed: self.owed,
            glass,
        };
        rights.settle();
        rights
    }

    /// Whether resources of a type open charts to the caller: then they write none, unless they administer.
    fn is_key(&self, type_id: TypeId) -> bool {
        let name = self.surroundings.model.type_name(type_id);
        self.keys.iter().any(|by| by.key() == Some(name))
    }

    /// A Binary that names a resource as its security context is reached by whoever reaches that resource
    /// (`binary.html`). Who reads everything there is needs no look.
    fn bind_contexts(&self, reach: &mut [Vec<(TypeId, Arc<Rule>)>; ACTIONS.len()]) {
        let model = self.surroundings.model;
        let (Some(binary), [read, search, ..]) = (model.type_id("Binary"), &*reach) else {
            return;
        };
        let whole = |of: TypeId| {
            read.iter()
                .any(|(t, rule)| *t == of && rule.filter().is_none())
        };
        if model.types().all(whole) {
            return;
        }
        let mut seen = search.clone();
        let more = read
            .iter()
            .filter(|(t, _)| !search.iter().any(|(s, _)| s == t));
        seen.extend(more.cloned());
        let (by_read, by_search) = (in_reach(binary, read), in_reach(binary, &seen));
        // By a patient's scopes those are reached whose context is, by such scopes too.
        let of_patient = |reach: &[(TypeId, Arc<Rule>)]| {
            let own = |(of, _): &&(TypeId, Arc<Rule>)| self.is_as_patient(ActionName::Read, *of);
            let own: Vec<_> = reach.iter().filter(own).cloned().collect();
            within(binary, &own)
        };
        let (own_read, own_search) = (of_patient(read), of_patient(&seen));
        for (action, found) in ACTIONS.iter().zip(reach) {
            let as_patient = self.is_as_patient(*action, binary);
            let by = match (action, as_patient) {
                // Nothing is there yet that could be bound.
                (ActionName::Create, false) => continue,
                (ActionName::Search, false) => &by_search,
                (ActionName::Search, true) => &own_search,
                (_, false) => &by_read,
                (_, true) => &own_read,
            };
            for (_, rule) in found.iter_mut().filter(|(t, _)| *t == binary) {
                *rule = Arc::new(rule.bound(by.clone()));
            }
        }
    }

    /// What an action reaches of a type by what was found; nothing where all of it is withheld.
    fn rule(
        &self,
        type_id: TypeId,
        cell: &Cell,
        narrow: &[Clause],
        consents: Option<&Refused>,
    ) -> Option<Arc<Rule>> {
        let ways = cell.ways.iter().map(|way| Way::clone(way)).collect();
        let (ways, withheld) =
            self.built_in
                .withheld((type_id, consents), ways, self.subject, self.surroundings);
        if ways.is_empty() {
            return None;
        }
        let mut never: Vec<Clause> = cell.never.iter().map(|c| Clause::clone(c)).collect();
        never.extend(withheld);
        Some(Arc::new(Rule::new(ways, narrow.to_vec(), never)))
    }

    /// Whether the caller's token names AuditEvent: a scope for every type does not stand for the trail.
    /// Somebody in their own browser has no token.
    pub(super) fn names_trail(&self) -> bool {
        let Some(scopes) = self.subject.scopes else {
            return true;
        };
        if self.subject.person.is_some() && self.subject.client.is_none() {
            return true;
        }
        let names = |s: &ResourceScope| {
            let rest = s.text.split_once('/').map_or("", |(_, rest)| rest);
            rest.split(['.', '?']).next() == Some("AuditEvent")
        };
        scopes.resources().iter().any(names)
    }

    /// Whether the caller's token leaves everything: only then may it administer.
    pub(super) fn unscoped(&self) -> bool {
        let Some(scopes) = self.subject.scopes else {
            return true;
        };
        let all = self.surroundings.model.types().collect();
        let whole = |action: &ActionName| scopes.types(*action).contains_all(&all);
        ACTIONS.iter().all(whole)
    }

    /// What the caller's token and the grant of a vendor leave of an action on a type, as clauses that
    /// all hold; none if they leave nothing.
    pub(super) fn narrowed(&self, action: ActionName, type_id: TypeId) -> Option<Vec<Clause>> {
        let own = match self.subject.scopes {
            Some(scopes) => self.left_by(scopes, action, type_id),
            None => Narrowed::Not,
        };
        let mut all = self.left_by_vendor(action, type_id)?;
        match own {
            Narrowed::Not => {}
            Narrowed::To(clause) => all.insert(0, clause),
            Narrowed::Nothing => return None,
        }
        Some(all)
    }

    /// What the grant of a vendor alone leaves of an action on a type; none if nothing.
    fn left_by_vendor(&self, action: ActionName, type_id: TypeId) -> Option<Vec<Clause>> {
        let mut all = Vec::new();
        if let Some(vendor) = &self.vendor {
            match self.left_by(vendor.scopes(), action, type_id) {
                Narrowed::Not => {}
                Narrowed::To(clause) => all.push(clause),
                Narrowed::Nothing => return None,
            }
            match vendor.of_facilities(action, type_id, self.surroundings) {
                Narrowed::Not => {}
                Narrowed::To(clause) => all.push(clause),
                Narrowed::Nothing => return None,
            }
        }
        Some(all)
    }

    /// What is seen of each type for which the token has a query that its caller chose.
    fn seen_where_chosen(&self, administers: bool) -> BTreeMap<TypeId, Option<Seen>> {
        let scopes = self.subject.scopes.into_iter().flat_map(Scopes::resources);
        let chosen: Vec<&ResourceScope> = scopes.filter(|s| s.chosen).collect();
        let types = self.surroundings.model.types();
        let types = types.filter(|t| chosen.iter().any(|s| s.types.contains(*t)));
        types
            .map(|type_id| {
                let of_action = |(action, cells): (&ActionName, &BTreeMap<TypeId, Cell>)| {
                    let cell = cells.get(&type_id)?;
                    if cell.refused || cell.ways.is_empty() {
                        return None;
                    }
                    let narrow = self.left_by_vendor(*action, type_id)?;
                    let consents = self.built_in.by_consents(*action, type_id, administers);
                    let rule = self.rule(type_id, cell, &narrow, consents.as_deref())?;
                    Some((*action, rule))
                };
                let rules = ACTIONS.iter().zip(&self.cells).filter_map(of_action);
                (type_id, Seen::of(rules))
            })
            .collect()
    }

    /// What scopes leave of an action on a type.
    pub(super) fn left_by(&self, scopes: &Scopes, action: ActionName, type_id: TypeId) -> Narrowed {
        if scopes.types(action).contains(type_id) {
            return Narrowed::Not;
        }
        let allowing = |s: &&ResourceScope| s.allows(action) && s.types.contains(type_id);
        let narrow = |s: &ResourceScope| s.query.is_some() || s.context == ScopeContext::Patient;
        // Of Binary a patient's scopes say something where there are no others.
        let others = is_binary(self.surroundings.model, type_id)
            && !only_of_patient(scopes, action, type_id);
        let mut ways = Vec::new();
        for scope in scopes.resources().iter().filter(allowing) {
            if others && scope.context == ScopeContext::Patient {
                continue;
            }
            if narrow(scope)
                && let Some(clause) = self.scope(scope, action, type_id)
            {
                ways.push(clause);
            }
        }
        match ways.len() {
            0 => Narrowed::Nothing,
            1 => ways.pop().map_or(Narrowed::Nothing, Narrowed::To),
            _ => Narrowed::To(Clause::Or(ways)),
        }
    }

    /// Whether it is by scopes of a patient alone that a type is reached.
    fn is_as_patient(&self, action: ActionName, type_id: TypeId) -> bool {
        let of_vendor = self.vendor.as_ref().map(Narrowing::scopes);
        let mut all = self.subject.scopes.into_iter().chain(of_vendor);
        all.any(|scopes| {
            !scopes.types(action).contains(type_id) && only_of_patient(scopes, action, type_id)
        })
    }

    /// One scope as a clause; none if it lets nothing through.
    fn scope(&self, scope: &ResourceScope, action: ActionName, type_id: TypeId) -> Option<Clause> {
        let model = self.surroundings.model;
        let mut all = Vec::new();
        if scope.context == ScopeContext::Patient {
            let patient = self.subject.patient?;
            let head = model.type_id("Patient")?;
            let own = std::slice::from_ref(patient);
            all.push(match is_binary(model, type_id) {
                // It is in no compartment; which contexts those are is said last.
                true => lacks_context(false),
                false => in_own_compartment(model, head, type_id, own)?,
            });
            all.extend(strays_of(model, type_id, patient).filter(|_| action.writes()));
        }
        if let Some(query) = &scope.query {
            let values = Values::default();
            let query = conditions(type_id, query, &values, self.surroundings, "scope").ok()?;
            if scope.chosen {
                let seen = self.seen.get(&type_id)?.as_ref()?;
                if !seen.lets(&query, self.surroundings) {
                    return None;
                }
                all.extend(seen.narrowing(action));
            }
            all.push(Clause::And(query.filter));
        }
        match all.len() {
            1 => all.pop(),
            _ => Some(Clause::And(all)),
        }
    }
}

/// Whether scopes allow something on a type, and all that do are of a patient.
fn only_of_patient(scopes: &Scopes, action: ActionName, type_id: TypeId) -> bool {
    let allowing = |s: &&ResourceScope| s.allows(action) && s.types.contains(type_id);
    let mut all = scopes.resources().iter().filter(allowing).peekable();
    all.peek().is_some() && all.all(|s| s.context == ScopeContext::Patient)
}

/// Whether there is no security context.
pub(in crate::policy) fn lacks_context(lacks: bool) -> Clause {
    Clause::Param(ParamClause {
        param: vec![SECURITY_CONTEXT],
        kind: ParamKind::Reference,
        test: Test::Missing(lacks),
    })
}

/// No security context, or one that is in reach.
fn in_reach(binary: TypeId, reach: &[(TypeId, Arc<Rule>)]) -> Clause {
    Clause::Or(vec![lacks_context(true), within(binary, reach)])
}

/// A security context that is in reach. One that is a Binary itself is not followed.
fn within(binary: TypeId, reach: &[(TypeId, Arc<Rule>)]) -> Clause {
    let everything = Arc::new(Clause::And(Vec::new()));
    let all = reach.iter().filter(|(of, _)| *of != binary);
    let targets = all.map(|(of, rule)| (*of, rule.shared_filter().unwrap_or(&everything).clone()));
    Clause::Chain {
        param: vec![SECURITY_CONTEXT],
        targets: targets.collect(),
    }
}

/// What is left of a type.
pub(in crate::policy) enum Narrowed {
    Not,
    To(Clause),
    Nothing,
}
