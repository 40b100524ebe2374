//! A draft of a policy is tried on what was asked lately.
//!
//! The criteria of a draft are questions about charts. Which requests for a resource it would decide
//! otherwise is told of those resources that the author of the draft reads; of all others it is told by
//! roles, actions and types what the two policies say of them, and how often that was asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use access::{
    ActionName, Administer, ClientRecord, Document, Errand, Permit, Policy, RequestFacts, Rights,
    RoleAt, Subject, Surroundings, VendorGrant,
};
use access::{ClientId, PersonId};
use base::{Code, ResourceId};
use fhir::definitions::TypeId;
use fhir::search::Customs;
use serde::{Deserialize, Serialize};
use store::Person;

use super::{Told, Work, action, known_preset};
use crate::failure::Failure;

/// A draft to be tried on what was asked lately.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyTrial {
    /// The document.
    pub document: Option<Document>,
    /// A ready policy.
    pub preset: Option<String>,
    /// Records of the trail that are tried, newest first; 1000 at most and by default.
    pub records: Option<usize>,
}

/// What a draft would have changed.
#[derive(Debug, Serialize)]
pub struct DryRun {
    /// Requests that were tried.
    tried: usize,
    /// Requests that were not: of callers who are not known any more, or of the platform itself.
    left_out: usize,
    /// Requests for resources that the author reads, which would be decided otherwise.
    changes: Vec<Change>,
    /// What roles reach otherwise, among what was asked.
    shifts: Vec<Shift>,
}

/// A request that would be decided otherwise.
#[derive(Debug, Serialize)]
struct Change {
    at: String,
    actor: String,
    action: &'static str,
    about: String,
    now: bool,
    then: bool,
    /// How many times it was asked.
    times: u64,
}

/// Requests of which the two policies say something else.
#[derive(Debug, Serialize)]
struct Shift {
    /// The roles of who asked; none of an API client that policy does not govern.
    roles: String,
    action: &'static str,
    #[serde(rename = "type")]
    type_name: String,
    now: Extent,
    then: Extent,
    /// How many different callers asked.
    callers: usize,
    /// How many times they did.
    times: u64,
}

/// What of a type an action reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Extent {
    Nothing,
    /// Some resources; by other conditions, where both are so.
    Some,
    /// Every one, without some elements.
    Masked,
    All,
}

impl Extent {
    fn of(rights: &Rights, (action, type_id): (ActionName, TypeId)) -> Self {
        match rights.rule(action, type_id) {
            _ if !rights.allows(action, type_id) => Self::Nothing,
            None => Self::All,
            Some(rule) if rule.filter().is_some() => Self::Some,
            Some(rule) if rule.hidden().is_some() => Self::Masked,
            Some(_) => Self::All,
        }
    }
}

/// Somebody whom the trail names.
enum Somebody {
    Client(Box<ClientRecord>, Option<Arc<VendorGrant>>),
    Person(Arc<Person>),
}

impl Somebody {
    fn subject(&self) -> Subject<'_> {
        match self {
            Self::Client(record, vendor) => Subject::client(record).under(vendor.as_deref()),
            Self::Person(person) => Subject::person(&person.record),
        }
    }

    fn roles(&self) -> String {
        let held: &[RoleAt] = match self {
            Self::Client(record, _) => record.roles.as_deref().unwrap_or_default(),
            Self::Person(person) => &person.record.roles,
        };
        let mut roles: Vec<String> = held.iter().map(RoleAt::to_string).collect();
        roles.sort();
        roles.join(" ")
    }
}

/// What somebody may do by the policy in force and by the draft.
struct Both {
    roles: String,
    /// Whatever patients consented to: that is of charts.
    told: [Rights; 2],
    /// As it is decided; only where there is somebody to tell of single resources.
    decided: Option<[Rights; 2]>,
}

/// A kind of request by those who hold the same roles.
type Kind = (String, &'static str, String, Extent, Extent);

/// Records that a trial looks at.
const RECORDS_MAX: usize = 1_000;

impl Work<'_> {
    /// `author`: what whoever tries it may do, unless it is the operator, who reads no charts.
    pub(super) async fn dry_run(
        &self,
        permits: (
            Permit<Administer>,
            impl Fn() -> Result<Permit<Administer>, Failure>,
        ),
        trial: PolicyTrial,
        author: Option<&Rights>,
    ) -> Result<DryRun, Failure> {
        let (in_force, customs) = self.in_force().await?;
        let document = match (trial.document, trial.preset) {
            (Some(document), None) => document,
            (None, Some(name)) => known_preset(&name)?,
            _ => {
                let text = "one of document and preset is given";
                return Err(Failure::new(Code::RequestInvalid, text));
            }
        };
        let draft = self.checked(&document, &customs).await?;
        let limit = trial.records.unwrap_or(RECORDS_MAX).min(RECORDS_MAX);
        let (reading, another) = permits;
        let page = self.store.newest_audit(reading, limit).await?;
        let mut run = DryRun {
            tried: 0,
            left_out: 0,
            changes: Vec::new(),
            shifts: Vec::new(),
        };
        let mut asked: BTreeMap<(String, &'static str, String), (String, u64)> = BTreeMap::new();
        for line in page.lines {
            let Some(about) = line.about.filter(|_| action(line.action).is_ok()) else {
                run.left_out += 1;
                continue;
            };
            let entry = asked.entry((line.actor, line.action, about));
            let known = entry.or_insert_with(|| (line.at.instant().to_string(), 0));
            known.1 += 1;
        }
        let mut shifts: BTreeMap<Kind, (BTreeSet<String>, u64)> = BTreeMap::new();
        // They are in order of who asked: rights are made once for each.
        let mut known: Option<(String, Option<Both>)> = None;
        for ((actor, name, about), (at, times)) in asked {
            let count = usize::try_from(times).unwrap_or(usize::MAX);
            if known.as_ref().is_none_or(|(of, _)| *of != actor) {
                let policies = (&*in_force, &draft, &*customs);
                let both = self.both(&actor, policies, author.is_some()).await?;
                known = Some((actor.clone(), both));
            }
            let (type_name, id) = about
                .split_once('/')
                .map_or((&*about, None), |(t, i)| (t, Some(i)));
            // What an operation of a type looked at is told of as the type and its name.
            let operation = id.filter(|_| name == ActionName::Search.as_str());
            let errand = operation.and_then(Errand::of_type_operation);
            let id = id.filter(|_| errand.is_none());
            let errand = errand.unwrap_or(Errand::Plain);
            let (Some((_, Some(both))), Some(type_id), Ok(action)) =
                (&known, self.model.type_id(type_name), action(name))
            else {
                run.left_out += count;
                continue;
            };
            run.tried += count;
            let asked = (action, type_id);
            let id = id.and_then(|id| ResourceId::new(id).ok());
            let told = match (author, &both.decided, id) {
                (Some(author), Some(decided), Some(id)) => {
                    self.told(author, decided, asked, id, &another).await?
                }
                _ => None,
            };
            if let Some((now, then)) = told {
                if now != then {
                    run.changes.push(Change {
                        at,
                        actor,
                        action: name,
                        about,
                        now,
                        then,
                        times,
                    });
                }
                continue;
            }
            let [before, after] = both.told.each_ref().map(|rights| rights.on(errand));
            let extent = |rights: Option<&Rights>| {
                rights.map_or(Extent::Nothing, |rights| Extent::of(rights, asked))
            };
            let (now, then) = (extent(before), extent(after));
            let filter = |rights: Option<&Rights>| {
                let rule = rights.and_then(|rights| rights.rule(action, type_id));
                rule.and_then(|rule| rule.filter()).cloned()
            };
            if now != then || filter(before) != filter(after) {
                let word = errand.word(action);
                let kind = (both.roles.clone(), word, type_name.to_owned(), now, then);
                let shift = shifts.entry(kind).or_default();
                shift.0.insert(actor);
                shift.1 += times;
            }
        }
        let shift = |((roles, action, type_name, now, then), (callers, times)): (Kind, _)| {
            let callers: BTreeSet<String> = callers;
            Shift {
                roles,
                action,
                type_name,
                now,
                then,
                callers: callers.len(),
                times,
            }
        };
        run.shifts = shifts.into_iter().map(shift).collect();
        Ok(run)
    }

    /// What both policies give to whom a line of the trail names.
    async fn both(
        &self,
        actor: &str,
        (in_force, draft, customs): (&Policy, &Policy, &Customs),
        decides: bool,
    ) -> Result<Option<Both>, Failure> {
        let Some(somebody) = self.actor(actor).await? else {
            return Ok(None);
        };
        let subject = somebody.subject();
        let mut told = Vec::with_capacity(4);
        for consents in [false, true].into_iter().take(1 + usize::from(decides)) {
            for policy in [in_force, draft] {
                told.push(self.supposed(policy, &subject, customs, consents).await?);
            }
        }
        let mut made = told.into_iter();
        let mut two = || Some([made.next()?, made.next()?]);
        let (told, decided) = (two(), two());
        Ok(told.map(|told| Both {
            roles: somebody.roles(),
            told,
            decided,
        }))
    }

    /// Whom a line of the trail names; of somebody who used a program, the person.
    async fn actor(&self, actor: &str) -> Result<Option<Somebody>, Failure> {
        let name = actor.split(' ').next().unwrap_or_default();
        if let Some(id) = name.strip_prefix("person:").and_then(PersonId::new) {
            return Ok(self.store.person(&id).await?.map(Somebody::Person));
        }
        let Some(id) = name.strip_prefix("client:").and_then(ClientId::new) else {
            return Ok(None);
        };
        let Some(record) = self.store.client(&id).await? else {
            return Ok(None);
        };
        let vendor = match &record.vendor {
            Some(id) => self.store.vendor(id).await?,
            None => None,
        };
        Ok(Some(Somebody::Client(Box::new(record), vendor)))
    }

    /// What a policy would give to somebody, by what patients consented to or whatever they did.
    async fn supposed(
        &self,
        policy: &Policy,
        subject: &Subject<'_>,
        customs: &Customs,
        by_consents: bool,
    ) -> Result<Rights, Failure> {
        let facts = RequestFacts {
            at: self.now,
            from: None,
            reason: None,
            stepped_up: false,
        };
        let base = [self.base.as_str()];
        let count = policy.document().asks_patients();
        let rights = self.store.with_consents(count, |consents| {
            let of_nobody = (count && !by_consents).then(|| consents.of_nobody());
            let surroundings = Surroundings {
                consents: of_nobody.as_ref().unwrap_or(consents),
                ..self.surroundings(&base, customs)
            };
            policy.suppose(subject, &facts, &surroundings)
        });
        Ok(rights.await?)
    }

    /// Whether rights allow what was asked of a resource, now and then: of one that is not there, as for its
    /// type. None where the author does not read it.
    async fn told(
        &self,
        author: &Rights,
        decided: &[Rights; 2],
        (action, type_id): (ActionName, TypeId),
        id: ResourceId,
        another: &impl Fn() -> Result<Permit<Administer>, Failure>,
    ) -> Result<Option<(bool, bool)>, Failure> {
        let rules = decided.each_ref().map(|r| r.rule(action, type_id));
        let filters = rules.map(|rule| rule.and_then(|rule| rule.filter()));
        let (criteria, keys) = (filters.into_iter().flatten(), decided.iter());
        let keys = keys.flat_map(Rights::keys);
        let told = Told::of(author, self.model, type_id, criteria, keys);
        let mut clauses = Vec::with_capacity(3);
        let own = match told {
            Told::Never => return Ok(None),
            Told::Always => None,
            Told::Where(own) => {
                clauses.push(own);
                Some(0)
            }
        };
        let allowed = decided.each_ref().map(|r| r.allows(action, type_id));
        let places = filters.map(|filter| {
            filter.map(|filter| {
                clauses.push(filter.clone());
                clauses.len() - 1
            })
        });
        let [now, then] = allowed;
        if clauses.is_empty() {
            return Ok(Some((now, then)));
        }
        let met = self.store.meets(another()?, (type_id, id), clauses).await?;
        let Some(met) = met else {
            return Ok(own.is_none().then_some((now, then)));
        };
        let holds = |place: Option<usize>| {
            place.is_none_or(|place| met.each.get(place).copied().unwrap_or(false))
        };
        let [before, after] = places;
        Ok(holds(own).then_some((now && holds(before), then && holds(after))))
    }
}
