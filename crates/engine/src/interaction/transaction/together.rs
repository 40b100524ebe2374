//! The resources of a transaction as searches find them before they are stored: criteria and
//! conditional references are about them as well (`http.html#trules`).

use std::sync::Arc;

use base::limits::fixed::{TRANSACTION_QUESTIONS_MAX, TRANSACTION_STEPS_MAX};
use base::{Code, ResourceId};
use bytes::Bytes;
use fhir::bundle::rewrite_references;
use fhir::definitions::TypeId;
use fhir::search::among::{Among, Fresh, Question};
use fhir::search::query::Clause;

use super::Step;
use super::prepare::target;
use super::references::Links;
use crate::failure::Failure;
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
    ) -> Result<Vec<Vec<usize>>, Failure> {
        let of_type = |type_id: TypeId| wanted.iter().any(|w| w.type_id == type_id);
        let far = wanted.iter().any(|w| w.clauses.iter().any(goes_far));
        let made: Vec<(usize, TypeId, ResourceId, bool)> = steps
            .iter()
            .enumerate()
            .filter_map(|(index, step)| {
                let identity = step.identity()?;
                Some((index, identity.type_id, identity.id.clone(), step.is_new()))
            })
            .collect();
        if !made.iter().any(|(_, type_id, ..)| of_type(*type_id)) {
            return Ok(vec![Vec::new(); wanted.len()]);
        }
        let needed = made
            .into_iter()
            .filter(|(_, type_id, ..)| far || of_type(*type_id));
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
            })
            .collect();
        let fresh = self.fresh((parts, body), needed, links).await?;
        let (model, all) = (self.model(), Arc::new((fresh, places, asked)));
        let mut known: Vec<(Question, bool)> = Vec::new();
        for _ in 0..ROUNDS_MAX {
            let (of, answers) = (all.clone(), std::mem::take(&mut known));
            let round = move || {
                let (fresh, places, asked) = &*of;
                let (found, questions) = round(&Among::new(model, fresh, &answers), places, asked)?;
                Ok((found, questions, answers))
            };
            let (found, questions, answers) = self.compute(body.len(), round).await?;
            known = answers;
            let Some(index) = found.1 else {
                return Ok(found.0);
            };
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
        Err(undecided(wanted.first().map_or(0, |w| w.index)))
    }

    /// The resources of entries, with their links as far as they are known.
    async fn fresh(
        &self,
        (parts, body): (&Arc<Vec<Part>>, &Bytes),
        needed: Vec<(usize, TypeId, ResourceId, bool)>,
        links: &Links,
    ) -> Result<Vec<Fresh>, Failure> {
        let (checking, customs) = (self.checking(), self.store.customs().await?);
        let (parts, bytes, links) = (parts.clone(), body.clone(), links.clone());
        let now = self.request.at;
        self.compute(body.len(), move || {
            let model = checking.model;
            let mut fresh = Vec::with_capacity(needed.len());
            for (index, type_id, id, new) in needed {
                let Some(part) = parts.get(index) else {
                    return Err(Failure::of(Code::Internal));
                };
                let sent = part.body(&bytes);
                let at = |failure: Failure| failure.at_entry(part.index);
                let draft = checking.draft(&sent).map_err(at)?;
                let mut map = |link: &str| target(model, &links, part, link);
                let text = rewrite_references(model, draft.value(), &mut map);
                let draft = checking.draft(text.as_bytes()).map_err(at)?;
                let base = [checking.base.as_str()];
                let what = (type_id, id, new);
                fresh.push(Fresh::of(model, &customs, what, draft.value(), &base, now));
            }
            Ok(fresh)
        })
        .await
    }
}

/// An entry that writes: its place in the Bundle, its type and its turn.
type Place = (usize, TypeId, (bool, usize));

/// [`Wanted`], of its own.
struct Asked {
    index: usize,
    type_id: TypeId,
    clauses: Vec<Clause>,
    /// Only of entries with a turn before this one.
    before: Option<(bool, usize)>,
}

/// What is found so far: for each that asks, the entries that meet it; and the first of which that cannot
/// be said yet.
type Found = (Vec<Vec<usize>>, Option<usize>);

/// One look at all of them; with what must be known of stored resources first.
fn round(
    among: &Among<'_>,
    places: &[Place],
    asked: &[Asked],
) -> Result<(Found, Vec<Question>), Failure> {
    let mut found = Vec::with_capacity(asked.len());
    let mut unknown = None;
    for one in asked {
        let mut entries = Vec::new();
        for at in among.candidates(&one.clauses) {
            let Some((index, type_id, turn)) = places.get(at) else {
                continue;
            };
            if *type_id != one.type_id || one.before.is_some_and(|before| *turn >= before) {
                continue;
            }
            match among.holds(at, &one.clauses) {
                Some(true) => entries.push(*index),
                Some(false) => {}
                None => unknown = unknown.or(Some(one.index)),
            }
        }
        if among.is_spent() {
            let (name, max) = ("transaction_steps_max", TRANSACTION_STEPS_MAX);
            return Err(Failure::limit(Code::LimitQuery, name, max).at_entry(one.index));
        }
        found.push(entries);
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
    use fhir::search::query::{Match, Test};
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
