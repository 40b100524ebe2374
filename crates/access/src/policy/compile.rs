//! A policy and a principal become [`Rights`].

mod charts;
mod chosen;
mod making;
mod ways;

use std::sync::Arc;

use base::limits::fixed::{POLICY_CLAUSES_MAX, RIGHTS_CLAUSES_MAX};
use base::{Limits, Micros};
use fhir::definitions::{Model, ParamKind, TypeId};
use fhir::resource::mask::Mask;
use fhir::search::query::{Clause, Match, ParamClause, Test};
use fhir::search::{self, Customs, Options, Query};

use super::break_glass::{Glass, Opened};
use super::built_in::BuiltIn;
use super::consent::Consents;
use super::document::{BreakGlass, By, Document, Effect, GrantText, PolicyError, Problem, Who};
use super::errand::{Bulk, Errand, Operation, is_operation, operation_of};
use super::presets::is_elsewhere;
use super::rights::{ACTIONS, Owed, Reach, Rights, Rule, Way};
use super::subject::{Bound, Subject};
use super::variables::{NoValue, Values};
use super::vendor::Narrowing;
use super::when::{Holds, RequestFacts, When};
use crate::action::ActionName;
use crate::directory::TenantId;
use crate::permit::Actor;
use crate::principal::Principal;
use crate::scope::{ResourceScope, ScopeContext, Scopes};
use crate::vendor::VendorGrant;

pub(super) use charts::{
    any, both, in_compartment, in_compartment_of, in_own_compartment, named, narrow_to, others,
    strays, strays_of,
};
use making::Making;
pub(super) use making::{Narrowed, lacks_context};
pub(super) use ways::Ways;

/// What criteria are understood in.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'s> {
    /// The tenant's version of FHIR.
    pub model: &'static Model,
    /// Limits of queries.
    pub limits: &'s Limits,
    /// The absolute URLs under which this server serves the tenant.
    pub own_bases: &'s [&'s str],
    /// The tenant's own search parameters.
    pub customs: &'s Customs,
    /// What patients consented to.
    pub consents: &'s Consents,
    /// The time.
    pub now: Micros,
}

/// A policy in force, or a draft.
#[derive(Debug)]
pub struct Policy {
    version: u64,
    document: Document,
    whens: Vec<Option<When>>,
}

/// Why a grant says nothing here.
#[derive(Clone, Debug)]
pub(super) enum Silent {
    /// The caller has no such value: nothing matches.
    Nothing,
    /// It cannot be understood.
    Wrong(&'static str, String),
}

impl Policy {
    /// A policy whose document has the right form.
    ///
    /// # Errors
    /// Conditions that cannot be read.
    pub fn new(
        version: u64,
        document: Document,
        model: &'static Model,
    ) -> Result<Self, PolicyError> {
        let mut whens = Vec::with_capacity(document.grants.len());
        let mut problems = Vec::new();
        for grant in &document.grants {
            match When::read(model, grant) {
                Ok(when) => whens.push(when),
                Err((member, problem)) => problems.push(Problem {
                    grant: Some(grant.name.clone()),
                    member,
                    problem,
                }),
            }
        }
        if !problems.is_empty() {
            return Err(PolicyError(problems));
        }
        Ok(Self {
            version,
            document,
            whens,
        })
    }

    /// No policy: people may do nothing, API clients what their scopes say.
    pub const fn none() -> Self {
        Self {
            version: 0,
            document: Document {
                title: String::new(),
                grants: Vec::new(),
                consents: None,
                labels: None,
            },
            whens: Vec::new(),
        }
    }

    /// Its version; 0 for no policy.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// What it says.
    pub const fn document(&self) -> &Document {
        &self.document
    }

    /// Tries every grant: types, criteria, elements.
    ///
    /// # Errors
    /// Everything that cannot be understood.
    pub fn check(&self, surroundings: &Surroundings<'_>) -> Result<(), PolicyError> {
        let values = Values::sample();
        let mut problems = Vec::new();
        let mut size = 0;
        for grant in &self.document.grants {
            let mut wrong = |member, problem| {
                problems.push(Problem {
                    grant: Some(grant.name.clone()),
                    member,
                    problem,
                });
            };
            let most = surroundings.limits.break_glass_seconds_max;
            let minutes = grant.break_glass.as_ref().and_then(|g| g.minutes);
            if minutes.is_some_and(|minutes| u64::from(minutes) * 60 > most) {
                let problem = format!("the limit break_glass_seconds_max ({most}) was passed");
                wrong("breakGlass", problem);
            }
            if let Some(unknown) = grant.actions.operations().find(|name| !is_operation(name)) {
                wrong("actions", format!("\"{unknown}\" is no operation"));
            }
            let (types, all) = match types_of(grant, surroundings.model) {
                Ok(types) => types,
                Err(unknown) => {
                    wrong("types", format!("\"{unknown}\" is no resource type"));
                    continue;
                }
            };
            let mut first = None;
            let mut any = false;
            let ways = Ways::of(grant, all, &values, surroundings);
            size += ways.shared();
            for type_id in &types {
                match ways.on(*type_id) {
                    Ok((_, of_type)) => {
                        any = true;
                        size += of_type;
                    }
                    Err(Silent::Nothing) => any = true,
                    Err(Silent::Wrong(member, problem)) => {
                        first.get_or_insert((member, problem));
                    }
                }
                if size > POLICY_CLAUSES_MAX {
                    let problem = format!(
                        "the document comes to more than {POLICY_CLAUSES_MAX} conditions and values"
                    );
                    wrong("criteria", problem);
                    return Err(PolicyError(problems));
                }
            }
            for (member, paths) in [("hide", &grant.hide), ("readOnly", &grant.read_only)] {
                for path in paths {
                    let has =
                        |of: &TypeId| Mask::new(surroundings.model, *of, [path.as_str()]).is_ok();
                    if !types.iter().any(has) && !is_elsewhere(path, paths) {
                        wrong(
                            member,
                            format!("\"{path}\" is no element that can be kept apart"),
                        );
                    }
                }
            }
            // Of every type, some may lack what a grant names.
            if let Some((member, problem)) = first.filter(|_| !all || !any) {
                wrong(member, problem);
            }
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(PolicyError(problems))
        }
    }

    /// Which grants hold for a request, of those that do not always: what rights depend on beside
    /// policy and principal.
    pub fn state(
        &self,
        model: &'static Model,
        facts: &RequestFacts<'_>,
        principal: &Principal,
    ) -> Vec<u8> {
        let nobody = Subject::holding(&[]);
        let subject = Subject::of(principal).unwrap_or(nobody);
        let state = |when: &When| match when.holds(model, facts, &subject) {
            Holds::Yes => 0,
            Holds::No => 1,
            Holds::Lacks(super::rights::Obligation::Reason) => 2,
            Holds::Lacks(super::rights::Obligation::StepUp) => 3,
            Holds::Unknown => 4,
        };
        self.whens.iter().flatten().map(state).collect()
    }

    /// What the policy gives to a principal for a request.
    pub fn rights(
        &self,
        principal: &Principal,
        facts: &RequestFacts<'_>,
        surroundings: &Surroundings<'_>,
    ) -> Rights {
        self.rights_under(principal, None, facts, surroundings, &[])
    }

    /// The same, for one whom the grant of a vendor may bound, as it stands, and who may have opened
    /// patients. Whoever is bound has nothing without the grant, and it bounds what was opened too.
    pub fn rights_under(
        &self,
        principal: &Principal,
        vendor: Option<&VendorGrant>,
        facts: &RequestFacts<'_>,
        surroundings: &Surroundings<'_>,
        opened: &[Opened<'_>],
    ) -> Rights {
        let nobody = Subject::holding(&[]);
        let subject = Subject::of(principal).unwrap_or(nobody).under(vendor);
        let owner = principal.tenant().cloned().map(|t| (t, principal.actor()));
        self.of_owner(owner.as_ref(), &subject, facts, surroundings, opened)
    }

    /// What the policy would give to somebody. It is a right to nothing.
    pub fn suppose(
        &self,
        subject: &Subject<'_>,
        facts: &RequestFacts<'_>,
        surroundings: &Surroundings<'_>,
    ) -> Rights {
        self.suppose_open(subject, facts, surroundings, &[])
    }

    /// The same, for one who has opened patients.
    pub fn suppose_open(
        &self,
        subject: &Subject<'_>,
        facts: &RequestFacts<'_>,
        surroundings: &Surroundings<'_>,
        opened: &[Opened<'_>],
    ) -> Rights {
        self.of_owner(None, subject, facts, surroundings, opened)
    }

    fn of_owner(
        &self,
        owner: Option<&(TenantId, Actor)>,
        subject: &Subject<'_>,
        facts: &RequestFacts<'_>,
        surroundings: &Surroundings<'_>,
        opened: &[Opened<'_>],
    ) -> Rights {
        // One for all errands.
        let mut left = RIGHTS_CLAUSES_MAX;
        let mut make = |errand| {
            let mut made =
                self.on_errand((errand, &mut left), subject, facts, surroundings, opened);
            made.owner = owner.cloned();
            made
        };
        let mut rights = make(Errand::Plain);
        let (operations, exports) = self.errands(subject);
        let bulk = match (exports, subject.governed) {
            (true, _) => Bulk::Own(make(Errand::Bulk).into()),
            (false, true) => Bulk::Nothing,
            (false, false) => Bulk::Same,
        };
        let operations = operations.into_iter();
        let operations = operations.map(|of| (of, make(Errand::Operation(of))));
        rights.settle_errands(operations.collect(), bulk);
        rights
    }

    /// The operations that grants name for somebody, and whether what may be read in bulk is something of its own.
    fn errands(&self, subject: &Subject<'_>) -> (Vec<&'static Operation>, bool) {
        let (mut operations, mut exports) = (Vec::new(), false);
        if subject.importing {
            return (operations, exports);
        }
        for grant in &self.document.grants {
            let gives = grant.effect == Effect::Allow;
            let named = grant.actions.operations().filter_map(operation_of);
            let named: Vec<_> = named
                .filter(|of| gives && !operations.contains(of))
                .collect();
            let exported = grant.actions.named().contains(&ActionName::Export);
            if gives && !subject.governed
                || named.is_empty() && !exported
                || concerns(grant, subject).is_none()
            {
                continue;
            }
            operations.extend(named);
            exports |= exported;
        }
        (operations, exports)
    }

    fn on_errand(
        &self,
        (errand, left): (Errand, &mut usize),
        subject: &Subject<'_>,
        facts: &RequestFacts<'_>,
        surroundings: &Surroundings<'_>,
        opened: &[Opened<'_>],
    ) -> Rights {
        let bounds = subject.bounds();
        let mut making = Making::new(errand, subject, surroundings, &bounds);
        making.left = *left;
        if !subject.importing {
            making.built_in = BuiltIn::of(&self.document, subject, surroundings);
        }
        if matches!(bounds, Bound::Shut) {
            return making.rights(self.version);
        }
        if !subject.governed {
            making.by_scopes();
        }
        for (grant, holds) in self.grants(surroundings.model, facts, subject) {
            let gives = grant.effect == Effect::Allow;
            if subject.importing || gives && !subject.governed {
                continue;
            }
            if let Some(glass) = &grant.break_glass {
                making.glass(grant, glass, holds, opened);
            } else if let Some(roles) = concerns(grant, subject) {
                making.grant(grant, &roles, holds, None);
            }
        }
        *left = making.left;
        making.rights(self.version)
    }

    /// Each grant with how it holds for a request.
    pub(super) fn grants(
        &self,
        model: &'static Model,
        facts: &RequestFacts<'_>,
        subject: &Subject<'_>,
    ) -> impl Iterator<Item = (&GrantText, Holds)> {
        let all = self.document.grants.iter().zip(&self.whens);
        all.map(move |(grant, when)| {
            let holds = when.as_ref();
            let holds = holds.map_or(Holds::Yes, |w| w.holds(model, facts, subject));
            (grant, holds)
        })
    }
}

impl Rights {
    /// What a principal may do where there is no policy: an API client what its scopes say.
    pub fn by_scopes(principal: &Principal, model: &'static Model, now: Micros) -> Self {
        let limits = Limits::default();
        let surroundings = Surroundings {
            model,
            limits: &limits,
            own_bases: &[],
            customs: Customs::NONE,
            consents: Consents::none(),
            now,
        };
        let facts = RequestFacts {
            at: now,
            from: None,
            reason: None,
            stepped_up: false,
        };
        Policy::none().rights(principal, &facts, &surroundings)
    }
}

/// Whether a grant is about somebody: the roles by which it is, without any when it is for another
/// reason.
pub(super) fn concerns(grant: &GrantText, subject: &Subject<'_>) -> Option<Vec<String>> {
    among(&grant.who, subject)
}

/// The same of those whom a list names.
pub(super) fn among(who: &Who, subject: &Subject<'_>) -> Option<Vec<String>> {
    let is = |ids: &[String], id: Option<&str>| id.is_some_and(|id| ids.iter().any(|w| w == id));
    let any = |ids: &[String], id: Option<&str>| id.is_some() && ids.iter().any(|w| w == "*");
    let named = who.anyone
        || any(&who.people, subject.person)
        || any(&who.clients, subject.client)
        || is(&who.people, subject.person)
        || is(&who.clients, subject.client)
        || subject.groups.iter().any(|g| is(&who.groups, Some(g)));
    if named {
        return Some(Vec::new());
    }
    let held = subject.roles;
    let roles: Vec<String> = who
        .roles
        .iter()
        .filter(|role| held.iter().any(|h| *h.role == **role))
        .cloned()
        .collect();
    (!roles.is_empty()).then_some(roles)
}

/// The types of a grant, and whether it is for every type.
pub(super) fn types_of(
    grant: &GrantText,
    model: &'static Model,
) -> Result<(Vec<TypeId>, bool), String> {
    if grant.types.iter().any(|t| t == "*") {
        return Ok((model.types().collect(), true));
    }
    let named = grant.types.iter().map(|name| {
        let known = model.type_id(name);
        known.ok_or_else(|| name.clone())
    });
    Ok((named.collect::<Result<_, _>>()?, false))
}

/// Whether a grant's types cover a type for an action. What is within a compartment covers no writing of
/// Binaries. Looking at AuditEvents, and with them at the tenant's own audit trail, is not given by a grant of
/// every type, nor is changing and deleting those that programs sent: the type must be named.
pub(super) fn covers(
    grant: &GrantText,
    action: ActionName,
    type_id: TypeId,
    model: &'static Model,
) -> bool {
    let looks = matches!(
        action,
        ActionName::Read | ActionName::Search | ActionName::History
    );
    let guarded = grant.effect == Effect::Allow
        && action != ActionName::Create
        && model.type_name(type_id) == "AuditEvent"
        && !grant.types.iter().any(|t| t == "AuditEvent");
    // A Binary is in no compartment; looking at it, its context says in which.
    let bound = grant.effect == Effect::Allow
        && !looks
        && (grant.within.is_some() || matches!(grant.by, Some(by) if by != By::Network))
        && is_binary(model, type_id);
    !guarded && !bound
}

/// Whether a type is Binary, of which resources are bound to others (`binary.html`).
pub(super) fn is_binary(model: &'static Model, type_id: TypeId) -> bool {
    model.type_name(type_id) == "Binary"
}

/// A search of one type as one clause.
pub(super) fn understood(
    type_id: TypeId,
    text: &str,
    values: &Values,
    surroundings: &Surroundings<'_>,
    member: &'static str,
) -> Result<Clause, Silent> {
    conditions(type_id, text, values, surroundings, member).map(|query| Clause::And(query.filter))
}

/// A search of one type that has conditions and nothing else.
fn conditions(
    type_id: TypeId,
    text: &str,
    values: &Values,
    surroundings: &Surroundings<'_>,
    member: &'static str,
) -> Result<Query, Silent> {
    let name = surroundings.model.type_name(type_id);
    let own = text.split_once('?').filter(|(of, _)| *of == name);
    let text = own.map_or(text, |(_, query)| query);
    let filled = values.fill(text).map_err(|e| match e {
        NoValue::Nothing => Silent::Nothing,
        NoValue::Unknown(name) => Silent::Wrong(member, format!("\"%{name}\" is no variable")),
    })?;
    let options = Options {
        limits: surroundings.limits,
        strict: true,
        own_bases: surroundings.own_bases,
        now: surroundings.now,
        custom: surroundings.customs,
    };
    let target = search::Target::Types(vec![type_id]);
    let parsed = search::parse(surroundings.model, &target, &filled, &options).map_err(|e| {
        let text =
            e.0.first()
                .map_or_else(String::new, |i| i.diagnostics.to_string());
        Silent::Wrong(member, text)
    })?;
    let query = parsed.query;
    if query.filter.is_empty() {
        return Err(Silent::Wrong(
            member,
            "no search parameter is named".to_owned(),
        ));
    }
    if !is_plain(&query) {
        let text = "only conditions are taken: no sorting, includes or _contained".to_owned();
        return Err(Silent::Wrong(member, text));
    }
    if query.filter.iter().any(asks_terms) {
        let text = "value sets and hierarchies of codes are not taken in policies".to_owned();
        return Err(Silent::Wrong(member, text));
    }
    Ok(query)
}

fn is_plain(query: &Query) -> bool {
    query.contained.is_none() && query.sort.is_empty() && query.include.is_empty()
}

/// Whether a clause needs value sets or code systems to be understood.
fn asks_terms(clause: &Clause) -> bool {
    let of_match = |m: &Match| matches!(m, Match::InValueSet { .. } | Match::Subsumed { .. });
    match clause {
        Clause::Param(param) => match &param.test {
            Test::Any(values) | Test::None(values) => values.iter().any(of_match),
            Test::Missing(_) => false,
        },
        Clause::And(parts) | Clause::Or(parts) | Clause::ByType(parts) => {
            parts.iter().any(asks_terms)
        }
        Clause::Not(part) => asks_terms(part),
        Clause::Has { inner, .. } | Clause::MemberOf { inner, .. } => asks_terms(inner),
        Clause::Chain { targets, .. } => targets.iter().any(|(_, inner)| asks_terms(inner)),
        _ => false,
    }
}

/// What a search finds, in whose compartments something is: `Patient?organization=%user.facilities`.
fn within_of(
    text: &str,
    values: &Values,
    surroundings: &Surroundings<'_>,
) -> Result<(TypeId, Arc<Clause>), Silent> {
    let wrong = |text: &str| Silent::Wrong("within", text.to_owned());
    let Some((head, query)) = text.split_once('?') else {
        return Err(wrong("a type and its criteria: Patient?organization=…"));
    };
    let head = surroundings.model.type_id(head);
    let head = head.ok_or_else(|| wrong("no such resource type"))?;
    let inner = understood(head, query, values, surroundings, "within")?;
    Ok((head, Arc::new(inner)))
}
