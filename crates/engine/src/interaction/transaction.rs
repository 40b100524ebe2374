//! transaction (`http.html#trules`): all entries together or none of them.
//!
//! Conditions and conditional references are resolved on what is stored, ids are given, links
//! between the entries are replaced, every resource is checked, and all writes go to the writer as
//! one change that also says what the resolutions relied on. If that no longer holds when the
//! change is made, everything is prepared again. Reads are done after the change.

mod prepare;
mod references;
mod together;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use access::{Create, Delete, Released, Target, Update};
use base::{Code, ResourceId};
use bytes::Bytes;
use fhir::bundle::names_versions;
use fhir::definitions::TypeId;
use fhir::resource::BodyId;
use store::{
    Change, Condition, Expectation, Expected, Prepared, StoreError, Stored, Write, Written,
};

use self::prepare::Checked;
use self::together::{Drafts, Wanted};
use super::admit::Identity;
use super::batch::Parts;
use super::create::ATTEMPTS_MAX;
use super::criteria::Criteria;
use super::delete::nothing_to_delete;
use super::entry::{Intent, Part};
use super::operation::changes;
use super::patch;
use super::provenance::{Named, leaves};
use super::update::{Make, UpdatePlan};
use crate::answer::{Answer, EntryAnswer};
use crate::failure::Failure;
use crate::session::Session;

/// What one entry of a transaction comes down to.
#[derive(Debug)]
enum Step {
    /// Nothing to write: the condition of a create matched this, or nothing matched a delete.
    Settled(Box<Answer>),
    /// A new resource.
    Create(Identity),
    /// Nothing to write: the condition of a create is met by what this other entry makes.
    Same(Criteria, usize),
    /// A version, under conditions.
    Put(Identity, UpdatePlan, Option<Condition>),
    /// An update by id.
    Update(Identity, Option<Condition>),
    /// What a patch made of a version, which must still be the current one.
    Patch(Identity, Condition, Bytes),
    /// A deletion.
    Delete(TypeId, ResourceId, Option<Condition>),
    /// A read, done after the change.
    Read,
}

impl Step {
    fn identity(&self) -> Option<&Identity> {
        match self {
            Self::Create(identity)
            | Self::Put(identity, ..)
            | Self::Update(identity, _)
            | Self::Patch(identity, ..) => Some(identity),
            Self::Settled(_) | Self::Same(..) | Self::Delete(..) | Self::Read => None,
        }
    }

    /// Whether it makes a resource that is not there yet.
    fn is_new(&self) -> bool {
        match self {
            Self::Create(_) => true,
            Self::Put(_, plan, _) => plan.make != Make::Version,
            _ => false,
        }
    }

    /// The resource that it writes.
    fn writes(&self) -> Option<(TypeId, &ResourceId)> {
        match self {
            Self::Delete(type_id, id, _) => Some((*type_id, id)),
            other => other.identity().map(|i| (i.type_id, &i.id)),
        }
    }
}

impl Session {
    pub(super) async fn transaction(
        &self,
        parts: Parts,
        body: &Bytes,
        strict: bool,
    ) -> Result<Answer, Failure> {
        let order = parts.order;
        let parts = parts
            .parts
            .into_iter()
            .collect::<Result<Vec<Part>, Failure>>()?;
        let parts = Arc::new(parts);
        let (parts, order) = (&parts, &order);
        for _ in 0..ATTEMPTS_MAX {
            let made =
                self.as_change(|one| async move { one.attempt(parts, order, body, strict).await });
            match made.await {
                Err(failure) if failure.code() == Code::WriteRace => {}
                Err(failure)
                    if failure.code() == Code::VersionConflict
                        && (patches(parts) || ties_itself(parts, body)) => {}
                done => return done,
            }
        }
        Err(Failure::of(Code::WriteRace))
    }

    async fn attempt(
        &self,
        parts: &Arc<Vec<Part>>,
        order: &[usize],
        body: &Bytes,
        strict: bool,
    ) -> Result<Answer, Failure> {
        let mut expectations = Vec::new();
        let (mut steps, criteria) = self.steps(parts, body, &mut expectations).await?;
        let patched = with_patched(parts, &steps);
        let parts = patched.as_ref().unwrap_or(parts);
        let mut drafts = Drafts::default();
        self.join((parts, body), &mut steps, criteria, &mut drafts)
            .await?;
        refuse_twice(&steps)?;
        let mut links = self.links_between(parts, &steps);
        let found = &mut (&mut links, &mut expectations, drafts);
        self.conditional_references((parts, body), &steps, found)
            .await?;
        let links = Arc::new(links);
        let versions = match names_versions(body) {
            true => Some(self.versions_made(&mut steps).await?),
            false => None,
        };

        let identities: Vec<Option<Identity>> =
            steps.iter().map(|step| step.identity().cloned()).collect();
        let work = Checked {
            checking: self.checking(),
            parts: parts.clone(),
            links: links.clone(),
            versions,
        };
        let (store, bytes) = (self.store.clone(), body.clone());
        let mut prepared = self
            .compute(body.len(), move || {
                work.prepare(&identities, &bytes, &store)
            })
            .await?;

        let mut writes = Vec::new();
        let mut writers = Vec::new();
        for index in order.iter().copied() {
            let (Some(step), Some(resource)) = (steps.get(index), prepared.get_mut(index)) else {
                continue;
            };
            let write = self.write(step, resource.take()).await;
            if let Some(write) = write.map_err(|failure| failure.at_entry(index))? {
                writes.push(write);
                writers.push(index);
            }
        }
        let made: Vec<Named> = writes.iter().filter_map(leaves).collect();
        writes.extend(self.provenance_of(&made, &links).await?);
        let change = Change {
            writes,
            expectations,
            enforce_references: self.enforces_references(),
        };
        let written = match change.writes.is_empty() {
            true => Vec::new(),
            false => {
                let committed = self.store.commit(self.request, change).await;
                committed.map_err(|error| name_entry(error, &writers))?
            }
        };
        self.answers(parts, steps, writers, written, body, strict)
            .await
    }

    /// What the entries come down to, on what is stored now, and the conditions of those that make
    /// something because nothing stored met them. Deletions come first: what they take away is nothing
    /// that others find.
    async fn steps(
        &self,
        parts: &[Part],
        body: &Bytes,
        expectations: &mut Vec<Expectation>,
    ) -> Result<(Vec<Step>, Unmet), Failure> {
        let mut steps: Vec<Option<Step>> = parts.iter().map(|_| None).collect();
        let mut so_far = SoFar::default();
        for deletes in [true, false] {
            for (slot, part) in steps.iter_mut().zip(parts) {
                let is_one = matches!(part.intent, Intent::Delete(..) | Intent::DeleteWhere(..));
                if is_one != deletes {
                    continue;
                }
                let step = self.step(part, body, &mut so_far, expectations).await;
                let step = step.map_err(|failure| failure.at_entry(part.index))?;
                if let Step::Delete(type_id, id, _) = &step {
                    so_far.gone.push((*type_id, id.clone()));
                }
                *slot = Some(step);
            }
        }
        Ok((steps.into_iter().flatten().collect(), so_far.unmet))
    }

    /// Conditions are about what the transaction makes as well: a create whose condition is met by
    /// what an earlier entry makes comes down to that, and an update to a second write of it.
    async fn join(
        &self,
        sent: (&Arc<Vec<Part>>, &Bytes),
        steps: &mut [Step],
        unmet: Unmet,
        drafts: &mut Drafts,
    ) -> Result<(), Failure> {
        if unmet.is_empty() {
            return Ok(());
        }
        let wanted: Vec<Wanted<'_>> = unmet
            .iter()
            .map(|(index, type_id, criteria)| Wanted {
                index: *index,
                type_id: *type_id,
                clauses: criteria.clauses(),
                earlier: true,
                stored: None,
            })
            .collect();
        let links = self.links_between(sent.0, steps);
        let found = self.meeting(sent, steps, &links, &wanted, drafts).await?;
        for ((index, _, criteria), met) in unmet.into_iter().zip(found) {
            let mut entries = met.entries;
            // What comes down to something else makes nothing.
            entries.retain(|at| steps.get(*at).is_some_and(|step| step.identity().is_some()));
            let Some(step) = steps.get_mut(index) else {
                continue;
            };
            *step = match (entries.as_slice(), &*step) {
                ([], _) => continue,
                ([only], Step::Create(_)) => Step::Same(criteria, *only),
                (_, Step::Create(_)) => {
                    return Err(Failure::of(Code::MultipleMatches).at_entry(index));
                }
                _ => return Err(Failure::of(Code::BundleDuplicate).at_entry(index)),
            };
        }
        Ok(())
    }

    /// What an entry comes down to, on what is stored now.
    async fn step(
        &self,
        part: &Part,
        body: &Bytes,
        so_far: &mut SoFar,
        expectations: &mut Vec<Expectation>,
    ) -> Result<Step, Failure> {
        match &part.intent {
            Intent::Create(type_name) => {
                self.create_step(type_name, part, so_far, expectations)
                    .await
            }
            Intent::Update(type_name, id) => {
                let type_id = self.type_id(type_name)?;
                let id = ResourceId::new(id).map_err(|_| Failure::of(Code::ResourceIdInvalid))?;
                let identity = Identity {
                    type_id,
                    id,
                    body_id: BodyId::Required,
                };
                let condition = part.conditions.to_store()?;
                self.update_step(identity, condition, part, body).await
            }
            Intent::UpdateWhere(type_name, criteria) => {
                let of = (type_name.as_str(), criteria.as_str());
                self.update_where_step(of, (part, body), so_far, expectations)
                    .await
            }
            Intent::Patch(type_name, id) => {
                let type_id = self.type_id(type_name)?;
                let id = ResourceId::new(id).map_err(|_| Failure::of(Code::NotFound))?;
                self.patch_step(type_id, id, part, body).await
            }
            Intent::PatchWhere(type_name, criteria) => {
                let (type_id, criteria) = self.criteria_of::<Update>(type_name, criteria).await?;
                let criteria = criteria.without(so_far.gone_of(type_id));
                let stored = self.match_of(&criteria).await?;
                let stored = stored.ok_or(Failure::of(Code::NotFound))?;
                expectations.push(self.expectation(&criteria, one(&stored)).await?);
                let id = stored.get().id.clone();
                self.patch_step(type_id, id, part, body).await
            }
            Intent::Delete(type_name, id) => {
                let type_id = self.type_id(type_name)?;
                let id = ResourceId::new(id).map_err(|_| Failure::of(Code::NotFound))?;
                Ok(Step::Delete(type_id, id, part.conditions.to_store()?))
            }
            Intent::DeleteWhere(type_name, criteria) => {
                let (type_id, criteria) = self.criteria_of::<Delete>(type_name, criteria).await?;
                let found = self.match_of(&criteria).await?;
                let expected = found.as_ref().map_or(Expected::Nothing, one);
                expectations.push(self.expectation(&criteria, expected).await?);
                let condition = part.conditions.to_store()?;
                Ok(match found {
                    None => Step::Settled(Box::new(nothing_to_delete(condition)?)),
                    Some(stored) => Step::Delete(type_id, stored.get().id.clone(), condition),
                })
            }
            Intent::Operate(name, ..) if changes(name) => {
                let what = format!("${name} is not possible in a transaction");
                Err(Failure::new(Code::BundleEntry, what))
            }
            _ => Ok(Step::Read),
        }
    }

    /// A create, perhaps only if nothing matches.
    async fn create_step(
        &self,
        type_name: &str,
        part: &Part,
        so_far: &mut SoFar,
        expectations: &mut Vec<Expectation>,
    ) -> Result<Step, Failure> {
        let type_id = self.type_id(type_name)?;
        if let Some(criteria) = &part.if_none_exist {
            let criteria = self.criteria(type_id, criteria).await?;
            let criteria = criteria.without(so_far.gone_of(type_id));
            let found = self.match_of(&criteria).await?;
            let expected = found.as_ref().map_or(Expected::Nothing, one);
            expectations.push(self.expectation(&criteria, expected).await?);
            if let Some(stored) = found {
                return Ok(Step::Settled(Box::new(self.existing(stored))));
            }
            so_far.unmet.push((part.index, type_id, criteria));
        }
        Ok(Step::Create(Identity {
            type_id,
            id: self.house().fresh_id(self.request.at),
            body_id: BodyId::Ignored,
        }))
    }

    /// An update of what matches.
    async fn update_where_step(
        &self,
        (type_name, criteria): (&str, &str),
        (part, body): (&Part, &Bytes),
        so_far: &mut SoFar,
        expectations: &mut Vec<Expectation>,
    ) -> Result<Step, Failure> {
        let (type_id, criteria) = self.criteria_of::<Update>(type_name, criteria).await?;
        let criteria = criteria.without(so_far.gone_of(type_id));
        let found = self.match_of(&criteria).await?;
        let found = found.map(|stored| stored.get().id.clone());
        let claimed = self.claimed_id(&part.body(body))?;
        let plan = self.plan_update(type_id, found, claimed.as_ref())?;
        expectations.push(self.expectation(&criteria, plan.expected.clone()).await?);
        if plan.make != Make::Version {
            so_far.unmet.push((part.index, type_id, criteria));
        }
        let identity = Identity {
            type_id,
            id: plan.id.clone(),
            body_id: BodyId::Equal,
        };
        let condition = part.conditions.to_store()?;
        if self.is_guarded(type_id) && plan.make == Make::Version {
            return self.update_step(identity, condition, part, body).await;
        }
        Ok(Step::Put(identity, plan, condition))
    }

    /// An update. What is hidden from the caller is kept of the version that is current now.
    async fn update_step(
        &self,
        identity: Identity,
        condition: Option<Condition>,
        part: &Part,
        body: &Bytes,
    ) -> Result<Step, Failure> {
        if !self.is_guarded(identity.type_id) {
            return Ok(Step::Update(identity, condition));
        }
        let sent = part.body(body);
        let kept = self.keep_hidden(identity.type_id, &identity.id, sent, condition);
        let kept = kept.await?;
        Ok(match kept.condition {
            Some(version @ Condition::Version(_)) => Step::Patch(identity, version, kept.body),
            condition => Step::Update(identity, condition),
        })
    }

    /// What a patch makes of the current version.
    async fn patch_step(
        &self,
        type_id: TypeId,
        id: ResourceId,
        part: &Part,
        body: &Bytes,
    ) -> Result<Step, Failure> {
        let patch = patch::of_entry(&self.checking(), &part.body(body))?;
        let condition = part.conditions.to_store()?;
        let (text, version) = self.patched(type_id, &id, &patch, condition).await?;
        let identity = Identity {
            type_id,
            id,
            body_id: BodyId::Equal,
        };
        Ok(Step::Patch(identity, Condition::Version(version), text))
    }

    /// The write of an entry, with the right to it.
    async fn write(
        &self,
        step: &Step,
        resource: Option<Prepared>,
    ) -> Result<Option<Write>, Failure> {
        let missing = || Failure::of(Code::Internal);
        Ok(Some(match step {
            Step::Settled(_) | Step::Same(..) | Step::Read => return Ok(None),
            Step::Create(identity) => {
                let target = Target::Types(vec![identity.type_id]);
                let permit = self.permit::<Create>(target).await?;
                Write::Create {
                    permit,
                    resource: resource.ok_or_else(missing)?,
                }
            }
            Step::Update(identity, condition) => {
                let target = Target::Instance(identity.type_id, identity.id.clone());
                let permit = self.permit::<Update>(target).await?;
                let create = Target::Types(vec![identity.type_id]);
                let or_create = self.decide::<Create>(create).ok();
                let (resource, condition) = (resource.ok_or_else(missing)?, *condition);
                let method = store::Method::Put;
                Write::Put {
                    permit,
                    or_create,
                    resource,
                    condition,
                    method,
                }
            }
            Step::Patch(identity, condition, _) => {
                let target = Target::Instance(identity.type_id, identity.id.clone());
                Write::Put {
                    permit: self.permit::<Update>(target).await?,
                    or_create: None,
                    resource: resource.ok_or_else(missing)?,
                    condition: Some(*condition),
                    method: store::Method::Patch,
                }
            }
            Step::Put(_, plan, condition) => {
                let resource = resource.ok_or_else(missing)?;
                self.conditional_write(plan, resource, *condition).await?
            }
            Step::Delete(type_id, id, condition) => {
                let permit = self
                    .permit::<Delete>(Target::Instance(*type_id, id.clone()))
                    .await?;
                Write::Delete {
                    permit,
                    type_id: *type_id,
                    id: id.clone(),
                    condition: *condition,
                }
            }
        }))
    }

    /// The answers in the order of the entries; reads are done now.
    async fn answers(
        &self,
        parts: &[Part],
        steps: Vec<Step>,
        writers: Vec<usize>,
        written: Vec<Written>,
        body: &Bytes,
        strict: bool,
    ) -> Result<Answer, Failure> {
        let mut made: HashMap<usize, Written> = writers.into_iter().zip(written).collect();
        let mut entries: Vec<EntryAnswer> = Vec::with_capacity(parts.len());
        for (part, step) in parts.iter().zip(steps) {
            entries.push(match (step, made.remove(&part.index)) {
                (Step::Patch(identity, ..), Some(written)) => {
                    let answer = written.try_into();
                    answer.and_then(|answer| self.seen(identity.type_id, answer))
                }
                (_, Some(written)) => written.try_into(),
                (Step::Settled(answer), None) => Ok(*answer),
                (Step::Same(criteria, _), None) => match self.match_of(&criteria).await? {
                    Some(stored) => Ok(self.existing(stored)),
                    // Somebody else was there meanwhile.
                    None => Err(Failure::of(Code::NotFound)),
                },
                (_, None) => {
                    let answer = self.perform(part, &part.body(body), strict).await;
                    answer.map_err(|failure| failure.at_entry(part.index))
                }
            });
        }
        Ok(Answer::Responses {
            transaction: true,
            entries,
        })
    }
}

/// Entries that make something because nothing stored met their conditions.
type Unmet = Vec<(usize, TypeId, Criteria)>;

/// What was learned of the entries that were looked at.
#[derive(Default)]
struct SoFar {
    /// What they delete.
    gone: Vec<(TypeId, ResourceId)>,
    unmet: Unmet,
}

impl SoFar {
    fn gone_of(&self, type_id: TypeId) -> Vec<ResourceId> {
        let of_type = self.gone.iter().filter(|(t, _)| *t == type_id);
        of_type.map(|(_, id)| id.clone()).collect()
    }
}

fn one(stored: &Released<Stored>) -> Expected {
    Expected::One(stored.get().type_id, stored.get().id.clone())
}

/// Whether some entry patches what it set no condition on, and so is patched again if it changed.
fn patches(parts: &[Part]) -> bool {
    parts.iter().any(|part| {
        let patch = matches!(part.intent, Intent::Patch(..) | Intent::PatchWhere(..));
        patch && part.conditions.if_match.is_none()
    })
}

/// Whether versions that it does not name itself are what it is tied to, so that it is tried again
/// if one changed.
fn ties_itself(parts: &[Part], body: &[u8]) -> bool {
    names_versions(body) && parts.iter().all(|part| part.conditions.if_match.is_none())
}

/// The entries with what patches made in place of the patches; none if there are none.
fn with_patched(parts: &[Part], steps: &[Step]) -> Option<Arc<Vec<Part>>> {
    steps.iter().any(|s| matches!(s, Step::Patch(..))).then(|| {
        let patched = parts.iter().zip(steps).map(|(part, step)| {
            let mut part = part.clone();
            if let Step::Patch(.., text) = step {
                part.patched = Some(text.clone());
            }
            part
        });
        Arc::new(patched.collect())
    })
}

/// No two entries write the same resource.
fn refuse_twice(steps: &[Step]) -> Result<(), Failure> {
    let mut seen = HashSet::with_capacity(steps.len());
    for (index, step) in steps.iter().enumerate() {
        if step.writes().is_some_and(|written| !seen.insert(written)) {
            return Err(Failure::of(Code::BundleDuplicate).at_entry(index));
        }
    }
    Ok(())
}

/// The failure of a change, with the entry of the Bundle in place of the write's number.
fn name_entry(error: StoreError, writers: &[usize]) -> Failure {
    let entry = match &error {
        StoreError::Entry { entry, .. } | StoreError::ReferenceMissing { entry, .. } => {
            writers.get(*entry).copied()
        }
        _ => None,
    };
    let failure = Failure::from(error);
    match entry {
        Some(entry) => failure.at_entry(entry),
        None => failure,
    }
}
