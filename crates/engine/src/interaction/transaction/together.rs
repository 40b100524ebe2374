//! The resources of a transaction as searches find them before they are stored: criteria and
//! conditional references are about them as well (`http.html#trules`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use base::limits::fixed::{TRANSACTION_QUESTIONS_MAX, TRANSACTION_STEPS_MAX};
use base::{Code, Micros, ResourceId};
use bytes::Bytes;
use fhir::bundle::rewrite_references;
use fhir::definitions::TypeId;
use fhir::json::Value;
use fhir::search::Customs;
use fhir::search::among::{Among, Fresh, Question};
use fhir::search::query::{Clause, Match, Test};

use super::Step;
use super::prepare::target;
use super::references::Links;
use crate::failure::Failure;
use crate::interaction::admit::Checking;
use crate::interaction::entry::Part;
use crate::session::Session;

/// How often stored resources are asked before the answer must be known.
const ROUNDS_MAX: usize = 8;

/// Criteria that the resources of a transaction may meet.
pub(super) struct Wanted<'w> {
    /// The entry that has them.
    pub(super) index: usize,
    pub(super) type_id: TypeId,
    pub(super) clauses: &'w [Clause],
    /// Only entries that are carried out before that one: creates first, then updates, each in their
    /// order.
    pub(super) earlier: bool,
    /// What is asked of stored resources that no entry writes; it is wanted as it is to be asked
    /// when the entries are done.
    pub(super) stored: Option<&'w [Clause]>,
}

/// What meets criteria.
#[derive(Default)]
pub(super) struct Met {
    /// The entries whose resources do.
    pub(super) entries: Vec<usize>,
    /// What is to be asked of stored resources in place of [`Wanted::stored`].
    pub(super) stored: Option<Vec<Clause>>,
}

/// The resources of entries, drafted once for each state of their links.
#[derive(Default)]
pub(super) struct Drafts(HashMap<usize, Drafted>);

struct Drafted {
    /// The links that the entry has, and what they were replaced by.
    links: Vec<(String, Option<String>)>,
    fresh: Arc<Fresh>,
}

impl Session {
    /// For each of the criteria, the entries whose resources meet them. `links`: what is known of
    /// the references among them.
    pub(super) async fn meeting(
        &self,
        (parts, body): (&Arc<Vec<Part>>, &Bytes),
        steps: &[Step],
        links: &Links,
        wanted: &[Wanted<'_>],
        drafts: &mut Drafts,
    ) -> Result<Vec<Met>, Failure> {
        let far = wanted.iter().any(|w| w.clauses.iter().any(goes_far));
        let asked_about = asked_about(wanted);
        let made: Vec<(usize, TypeId, ResourceId, bool)> = steps
            .iter()
            .enumerate()
            .filter_map(|(index, step)| {
                let identity = step.identity()?;
                Some((index, identity.type_id, identity.id.clone(), step.is_new()))
            })
            .collect();
        let gone: Vec<(TypeId, ResourceId)> = steps
            .iter()
            .filter_map(|step| match step {
                Step::Delete(type_id, id, _) => Some((*type_id, id.clone())),
                _ => None,
            })
            .collect();
        let mut types = made.iter().map(|m| m.1).chain(gone.iter().map(|g| g.0));
        if !types.any(|type_id| asked_about.contains(&type_id)) {
            return Ok(wanted.iter().map(|_| Met::default()).collect());
        }
        let needed = made
            .into_iter()
            .filter(|(_, type_id, ..)| far || asked_about.contains(type_id));
        let needed: Vec<_> = needed.collect();
        let places: Vec<Place> = needed
            .iter()
            .map(|(i, t, ..)| (*i, *t, turn(steps, *i)))
            .collect();
        let asked: Vec<Asked> = wanted
            .iter()
            .map(|w| Asked {
                index: w.index,
                type_id: w.type_id,
                clauses: w.clauses.to_vec(),
                before: w.earlier.then(|| turn(steps, w.index)),
                stored: w.stored.map(<[Clause]>::to_vec),
            })
            .collect();
        let fresh = self.fresh((parts, body), needed, links, drafts).await?;
        self.answered(body.len(), Arc::new((fresh, places, asked, gone)))
            .await
    }

    /// Looks until all is known that must be known of stored resources.
    async fn answered(&self, size: usize, all: Arc<All>) -> Result<Vec<Met>, Failure> {
        let model = self.model();
        let customs = self.store.customs().await?;
        let mut known: Vec<(Question, bool)> = Vec::new();
        for _ in 0..ROUNDS_MAX {
            let (of, answers) = (all.clone(), std::mem::take(&mut known));
            let customs = customs.clone();
            let round = move || {
                let among = Among::new((model, &customs), &of.0, &answers);
                let (found, questions) = round(&among, &of)?;
                let unsaid = among.unsaid();
                drop(among);
                Ok((found, questions, answers, unsaid))
            };
            let (found, questions, answers, unsaid) = self.compute(size, round).await?;
            known = answers;
            let Some(index) = found.1 else {
                return Ok(found.0);
            };
            if let Some(what) = unsaid {
                let text = format!(
                    "{what} is not resolved where the transaction itself changes what it leads over"
                );
                return Err(Failure::new(Code::ReferenceAmbiguous, text).at_entry(index));
            }
            if questions.is_empty() {
                return Err(undecided(index));
            }
            if known.len() + questions.len() > TRANSACTION_QUESTIONS_MAX {
                let (name, max) = (
                    "transaction_questions_max",
                    TRANSACTION_QUESTIONS_MAX as u64,
                );
                return Err(Failure::limit(Code::LimitQuery, name, max).at_entry(index));
            }
            for question in questions {
                let answer = self.meets(&question).await?;
                known.push((question, answer));
            }
        }
        Err(undecided(all.2.first().map_or(0, |asked| asked.index)))
    }

    /// The resources of entries, with their links as far as they are known. What was drafted before
    /// and has the same links is not drafted again.
    async fn fresh(
        &self,
        (parts, body): (&Arc<Vec<Part>>, &Bytes),
        needed: Vec<(usize, TypeId, ResourceId, bool)>,
        links: &Links,
        drafts: &mut Drafts,
    ) -> Result<Vec<Arc<Fresh>>, Failure> {
        let drafting = Drafting {
            checking: self.checking(),
            customs: self.store.customs().await?,
            now: self.request.at,
        };
        let (parts, bytes, links) = (parts.clone(), body.clone(), links.clone());
        let mut known = std::mem::take(drafts);
        let work = move || {
            let model = drafting.checking.model;
            let mut fresh = Vec::with_capacity(needed.len());
            for (index, type_id, id, new) in needed {
                let Some(part) = parts.get(index) else {
                    return Err(Failure::of(Code::Internal));
                };
                let to = |link: &str| target(model, &links, None, part, link);
                let good = known
                    .0
                    .get(&index)
                    .filter(|d| d.links.iter().all(|(link, was)| to(link) == *was));
                if let Some(drafted) = good {
                    fresh.push(drafted.fresh.clone());
                    continue;
                }
                let drafted = drafting
                    .one(&part.body(&bytes), (type_id, id, new), &to)
                    .map_err(|failure| failure.at_entry(part.index))?;
                fresh.push(drafted.fresh.clone());
                known.0.insert(index, drafted);
            }
            Ok((fresh, known))
        };
        let (fresh, known) = self.compute(body.len(), work).await?;
        *drafts = known;
        Ok(fresh)
    }
}

/// What drafting needs to know; can go to another thread.
struct Drafting {
    checking: Checking,
    customs: Arc<Customs>,
    now: Micros,
}

impl Drafting {
    /// A resource with its links replaced.
    fn one(
        &self,
        sent: &[u8],
        what: (TypeId, ResourceId, bool),
        to: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Drafted, Failure> {
        let model = self.checking.model;
        let base = [self.checking.base.as_str()];
        let draft = self.checking.draft(sent)?;
        let mut links: Vec<(String, Option<String>)> = Vec::new();
        let mut map = |link: &str| {
            let target = to(link);
            links.push((link.to_owned(), target.clone()));
            target
        };
        let text = rewrite_references(model, draft.value(), &mut map);
        let of = |value: Value<'_>| Fresh::of(model, &self.customs, what, value, &base, self.now);
        let fresh = if links.iter().all(|(_, target)| target.is_none()) {
            of(draft.value())
        } else {
            of(self.checking.draft(text.as_bytes())?.value())
        };
        links.sort_unstable();
        links.dedup();
        Ok(Drafted {
            links,
            fresh: Arc::new(fresh),
        })
    }
}

/// The types whose resources the criteria are about, directly or by what refers to what.
fn asked_about(wanted: &[Wanted<'_>]) -> HashSet<TypeId> {
    let mut types: HashSet<TypeId> = wanted.iter().map(|w| w.type_id).collect();
    for clause in wanted.iter().filter_map(|w| w.stored).flatten() {
        led_to(clause, &mut types);
    }
    types
}

/// The types that a clause is about besides the one that is searched.
fn led_to(clause: &Clause, types: &mut HashSet<TypeId>) {
    match clause {
        Clause::Chain { targets, .. } => {
            for (to, inner) in targets {
                types.insert(*to);
                led_to(inner, types);
            }
        }
        Clause::Has { source, inner, .. } => {
            types.insert(*source);
            led_to(inner, types);
        }
        Clause::And(parts) | Clause::Or(parts) | Clause::ByType(parts) => {
            parts.iter().for_each(|part| led_to(part, types));
        }
        Clause::Not(part) => led_to(part, types),
        Clause::MemberOf { source, inner, .. } => {
            types.insert(*source);
            led_to(inner, types);
        }
        Clause::Param(param) => {
            if let Test::Any(values) | Test::None(values) = &param.test {
                types.extend(values.iter().filter_map(|value| match value {
                    Match::Hierarchy { type_id, .. } => Some(*type_id),
                    _ => None,
                }));
            }
        }
        Clause::Id(_) | Clause::NotId(_) | Clause::Never => {}
    }
}

/// An entry that writes: its place in the Bundle, its type and its turn.
type Place = (usize, TypeId, (bool, usize));

/// What is written, where it stands, what asks, and what is taken away.
type All = (
    Vec<Arc<Fresh>>,
    Vec<Place>,
    Vec<Asked>,
    Vec<(TypeId, ResourceId)>,
);

/// [`Wanted`], of its own.
struct Asked {
    index: usize,
    type_id: TypeId,
    clauses: Vec<Clause>,
    /// Only of entries with a turn before this one.
    before: Option<(bool, usize)>,
    stored: Option<Vec<Clause>>,
}

/// What is found so far: for each that asks, what meets it; and the first of which that cannot be said
/// yet.
type Found = (Vec<Met>, Option<usize>);

/// One look at all of them; with what must be known of stored resources first.
fn round(
    among: &Among<'_>,
    (_, places, asked, gone): &All,
) -> Result<(Found, Vec<Question>), Failure> {
    let mut found = Vec::with_capacity(asked.len());
    let mut unknown = None;
    for one in asked {
        let mut met = Met::default();
        for at in among.candidates(&one.clauses) {
            let Some((index, type_id, turn)) = places.get(at) else {
                continue;
            };
            if *type_id != one.type_id || one.before.is_some_and(|before| *turn >= before) {
                continue;
            }
            match among.holds(at, &one.clauses) {
                Some(true) => met.entries.push(*index),
                Some(false) => {}
                None => unknown = unknown.or(Some(one.index)),
            }
        }
        if let Some(stored) = &one.stored {
            met.stored = among.beside(one.type_id, stored, gone);
            if met.stored.is_none() {
                unknown = unknown.or(Some(one.index));
            }
        }
        if among.is_spent() {
            let (name, max) = ("transaction_steps_max", TRANSACTION_STEPS_MAX);
            return Err(Failure::limit(Code::LimitQuery, name, max).at_entry(one.index));
        }
        found.push(met);
    }
    Ok(((found, unknown), among.questions()))
}

/// When an entry that writes is carried out.
fn turn(steps: &[Step], index: usize) -> (bool, usize) {
    let creates = matches!(steps.get(index), Some(Step::Create(_)));
    (!creates, index)
}

fn undecided(index: usize) -> Failure {
    let text = "whether what the transaction itself writes is meant cannot be said";
    Failure::new(Code::ReferenceAmbiguous, text).at_entry(index)
}

/// Whether a condition is also about other resources than the one that meets it.
pub(super) fn goes_far(clause: &Clause) -> bool {
    match clause {
        Clause::Chain { .. } | Clause::Has { .. } | Clause::MemberOf { .. } => true,
        Clause::And(parts) | Clause::Or(parts) | Clause::ByType(parts) => {
            parts.iter().any(goes_far)
        }
        Clause::Not(part) => goes_far(part),
        Clause::Param(param) => match &param.test {
            Test::Missing(_) => false,
            Test::Any(values) | Test::None(values) => {
                values.iter().any(|v| matches!(v, Match::Hierarchy { .. }))
            }
        },
        Clause::Id(_) | Clause::NotId(_) | Clause::Never => false,
    }
}
