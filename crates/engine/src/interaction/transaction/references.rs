//! What references inside a transaction mean: the full URLs of its entries, and conditional
//! references (`http.html#trules`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use access::{Target, Update};
use base::{Code, ResourceId, Version};
use bytes::Bytes;
use fhir::bundle::rewrite_references;
use fhir::definitions::TypeId;
use fhir::reference::one_spelling;
use store::{Condition, Expectation, Expected, Read};

use super::together::{Drafts, Wanted, goes_far};
use super::{Step, one as expected_one};
use crate::answer::Answer;
use crate::failure::Failure;
use crate::interaction::admit::Checking;
use crate::interaction::criteria::Criteria;
use crate::interaction::entry::Part;
use crate::session::Session;

/// References to be replaced, in the one spelling of URNs, and their targets.
pub(super) type Links = HashMap<String, String>;

/// The version that a transaction makes of each resource that it writes, by `Type/id`.
pub(super) type Versions = HashMap<String, Version>;

/// What is known of a transaction's references so far: their targets, what those rely on, and the
/// resources that were drafted for that.
pub(super) type Resolving<'s> = (&'s mut Links, &'s mut Vec<Expectation>, Drafts);

impl Session {
    /// The versions that steps make. Steps that make one of what is there are tied to what was there
    /// when it was looked at.
    pub(super) async fn versions_made(&self, steps: &mut [Step]) -> Result<Versions, Failure> {
        let mut versions = Versions::new();
        for (index, step) in steps.iter_mut().enumerate() {
            let made = self.version_made(step).await;
            if let Some((type_id, id, version)) = made.map_err(|failure| failure.at_entry(index))? {
                let name = self.model().type_name(type_id);
                versions.insert(format!("{name}/{id}"), version);
            }
        }
        Ok(versions)
    }

    async fn version_made(
        &self,
        step: &mut Step,
    ) -> Result<Option<(TypeId, ResourceId, Version)>, Failure> {
        let (identity, condition) = match step {
            Step::Settled(answer) => {
                let Answer::Existing { stored, .. } = &**answer else {
                    return Ok(None);
                };
                let stored = stored.get();
                return Ok(Some((stored.type_id, stored.id.clone(), stored.version)));
            }
            Step::Create(identity) => {
                return Ok(Some((identity.type_id, identity.id.clone(), Version(1))));
            }
            Step::Patch(identity, Condition::Version(patched), _) => {
                let made = Version(patched.0 + 1);
                return Ok(Some((identity.type_id, identity.id.clone(), made)));
            }
            Step::Put(identity, _, condition) | Step::Update(identity, condition) => {
                (identity, condition)
            }
            Step::Patch(..) | Step::Same(..) | Step::Delete(..) | Step::Read => {
                return Ok(None);
            }
        };
        let (type_id, id) = (identity.type_id, identity.id.clone());
        let permit = self
            .permit::<Update>(Target::Instance(type_id, id.clone()))
            .await?;
        let now = self.store.read_to_change(permit, type_id, &id).await?;
        let made = match now.read {
            Read::Found(stored) => {
                let (current, updated) = (stored.get().version, stored.get().updated);
                if let Some(one) = condition.filter(|c| c.rules_out(current, updated)) {
                    return Err(Failure::of(one.refusal()));
                }
                if !matches!(condition, Some(Condition::Version(_) | Condition::Absent)) {
                    *condition = Some(Condition::Version(current));
                }
                Version(current.0 + 1)
            }
            Read::Deleted(stored) => {
                *condition = condition.or(Some(Condition::Absent));
                Version(stored.get().version.0 + 1)
            }
            Read::Absent => Version(1),
        };
        Ok(Some((type_id, id, made)))
    }

    /// Where the entries' full URLs lead to.
    pub(super) fn links_between(&self, parts: &[Part], steps: &[Step]) -> Links {
        let mut links = Links::new();
        for (part, step) in parts.iter().zip(steps) {
            let Some(full_url) = &part.full_url else {
                continue;
            };
            let target = match step {
                Step::Settled(answer) => match &**answer {
                    Answer::Existing { stored, .. } => {
                        Some((stored.get().type_id, stored.get().id.clone()))
                    }
                    _ => None,
                },
                Step::Same(_, entry) => {
                    let identity = steps.get(*entry).and_then(Step::identity);
                    identity.map(|i| (i.type_id, i.id.clone()))
                }
                other => other.identity().map(|i| (i.type_id, i.id.clone())),
            };
            if let Some((type_id, id)) = target {
                let name = self.model().type_name(type_id);
                let full_url = one_spelling(full_url).into_owned();
                links.insert(full_url, format!("{name}/{id}"));
            }
        }
        links
    }

    /// Resolves references of the form `Patient?identifier=…` (`http.html#trules`): each must
    /// match exactly one resource of those that are there when the transaction is done.
    pub(super) async fn conditional_references(
        &self,
        (parts, body): (&Arc<Vec<Part>>, &Bytes),
        steps: &[Step],
        known: &mut Resolving<'_>,
    ) -> Result<(), Failure> {
        let writes: Vec<bool> = steps.iter().map(|step| step.identity().is_some()).collect();
        let (checking, entries, bytes) = (self.checking(), parts.clone(), body.clone());
        let find = move || find_conditional(&checking, &entries, &writes, &bytes);
        let found = self.compute(body.len(), find).await?;
        let (mut near, mut far) = (Vec::new(), Vec::new());
        for (index, reference) in found {
            let one = self.understood(index, reference, steps).await;
            let one = one.map_err(|failure| failure.at_entry(index))?;
            match one.is_far {
                true => far.push(one),
                false => near.push(one),
            }
        }
        // What looks at references of others may look at those that are resolved before.
        for some in [near, far] {
            self.resolve((parts, body), steps, some, known).await?;
        }
        Ok(())
    }

    /// A conditional reference about what no entry writes: what entries make of it is looked at apart.
    async fn understood(
        &self,
        index: usize,
        text: String,
        steps: &[Step],
    ) -> Result<Reference, Failure> {
        let ambiguous = || Failure::of(Code::ReferenceAmbiguous);
        let (type_name, query) = text.split_once('?').ok_or_else(ambiguous)?;
        let type_id = self.type_id(type_name)?;
        let of_type = steps.iter().filter(|step| !step.is_new());
        let of_type = of_type
            .filter_map(Step::writes)
            .filter(|(t, _)| *t == type_id);
        let written = of_type.map(|(_, id)| id.clone()).collect();
        let all = self.criteria(type_id, query).await?;
        let of_terms = |step: &Step| match step.identity() {
            Some(identity) => self.is_terms(identity.type_id),
            None => matches!(step, Step::Delete(type_id, ..) if self.is_terms(*type_id)),
        };
        if all.by_terms() && steps.iter().any(of_terms) {
            let text = "a conditional reference by value sets or code systems is not resolved where \
                        the transaction itself changes some";
            return Err(Failure::new(Code::ReferenceAmbiguous, text));
        }
        Ok(Reference {
            index,
            type_id,
            is_far: all.clauses().iter().any(goes_far),
            criteria: all.clone(),
            stored: all.without(written),
            text,
        })
    }

    fn is_terms(&self, type_id: TypeId) -> bool {
        matches!(self.model().type_name(type_id), "ValueSet" | "CodeSystem")
    }

    async fn resolve(
        &self,
        sent: (&Arc<Vec<Part>>, &Bytes),
        steps: &[Step],
        mut references: Vec<Reference>,
        (links, expectations, drafts): &mut Resolving<'_>,
    ) -> Result<(), Failure> {
        if references.is_empty() {
            return Ok(());
        }
        let wanted: Vec<Wanted<'_>> = references
            .iter()
            .map(|one| Wanted {
                index: one.index,
                type_id: one.type_id,
                clauses: one.criteria.clauses(),
                earlier: false,
                stored: one.is_far.then(|| one.stored.clauses()),
            })
            .collect();
        let made = self.meeting(sent, steps, links, &wanted, drafts).await?;
        for (one, made) in references.iter_mut().zip(made) {
            if let Some(clauses) = made.stored {
                one.stored.ask(clauses);
            }
            let target = self.target(one, &made.entries, steps, expectations).await;
            let target = target.map_err(|failure| failure.at_entry(one.index))?;
            links.insert(one.text.clone(), target);
        }
        Ok(())
    }

    /// The one resource that a reference means.
    async fn target(
        &self,
        one: &Reference,
        made: &[usize],
        steps: &[Step],
        expectations: &mut Vec<Expectation>,
    ) -> Result<String, Failure> {
        let ambiguous = || Failure::of(Code::ReferenceAmbiguous);
        let found = match self.match_of(&one.stored).await {
            Err(failure) if failure.code() == Code::MultipleMatches => return Err(ambiguous()),
            found => found?,
        };
        let expected = found.as_ref().map_or(Expected::Nothing, expected_one);
        expectations.push(self.expectation(&one.stored, expected).await?);
        let id = match (found, made) {
            (Some(stored), []) => stored.get().id.clone(),
            (None, [entry]) => {
                let identity = steps.get(*entry).and_then(Step::identity);
                identity.ok_or_else(ambiguous)?.id.clone()
            }
            _ => return Err(ambiguous()),
        };
        Ok(format!("{}/{id}", self.model().type_name(one.type_id)))
    }
}

/// A conditional reference, understood.
struct Reference {
    /// The first entry that has it.
    index: usize,
    type_id: TypeId,
    /// It is also about other resources than those that it may mean.
    is_far: bool,
    criteria: Criteria,
    /// The same about what no entry writes.
    stored: Criteria,
    /// As it is written.
    text: String,
}

/// Conditional references of a transaction, each once, with the first entry that has it.
fn find_conditional(
    checking: &Checking,
    parts: &[Part],
    writes: &[bool],
    body: &Bytes,
) -> Result<Vec<(usize, String)>, Failure> {
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    for (part, _) in parts.iter().zip(writes).filter(|(_, writes)| **writes) {
        let bytes = part.body(body);
        if !bytes.contains(&b'?') {
            continue;
        }
        let draft = checking
            .draft(&bytes)
            .map_err(|failure| failure.at_entry(part.index))?;
        let mut note = |link: &str| {
            let criteria = link
                .split_once('?')
                .is_some_and(|(type_name, _)| checking.model.type_id(type_name).is_some());
            if criteria && seen.insert(link.to_owned()) {
                found.push((part.index, link.to_owned()));
            }
            None
        };
        let _ = rewrite_references(checking.model, draft.value(), &mut note);
    }
    Ok(found)
}
