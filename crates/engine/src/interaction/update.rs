//! update, update as create, and conditional update (`http.html#update`, `http.html#cond-update`).

use access::{Create, Permit, Target, Update};
use base::{Code, ResourceId};
use bytes::Bytes;
use fhir::definitions::TypeId;
use fhir::resource::{BodyId, Valid};
use store::{Condition, Expected, Method, Prepared, Write, Written};

use super::admit::{Identity, is_blank};
use super::condition::WriteConditions;
use super::create::ATTEMPTS_MAX;
use super::criteria::Criteria;
use crate::answer::Answer;
use crate::failure::Failure;
use crate::session::Session;

impl Session {
    /// Makes a new version of a resource; makes the resource if there is none and the caller may
    /// create.
    ///
    /// # Errors
    /// Those of validation; `resource-id-mismatch`, `version-conflict`, `precondition-failed`,
    /// `scope-missing`.
    pub async fn update(
        &self,
        type_name: &str,
        id: &str,
        body: &Bytes,
        conditions: &WriteConditions,
    ) -> Result<Answer, Failure> {
        let type_id = self.type_id(type_name)?;
        let id = ResourceId::new(id).map_err(|_| Failure::of(Code::ResourceIdInvalid))?;
        let condition = conditions.to_store()?;
        let permit = self
            .permit::<Update>(Target::Instance(type_id, id.clone()))
            .await?;
        let (id, mut permit) = (&id, Some(permit));
        for _ in 0..ATTEMPTS_MAX {
            let permit = permit.take();
            let made = self.guarded(type_id, |one| async move {
                one.put((type_id, id), body, condition, permit).await
            });
            match made.await {
                Err(Unmade { failure, again }) if again && is_conflict(&failure) => {}
                Err(Unmade { failure, .. }) => return Err(failure),
                Ok(written) => return written.try_into(),
            }
        }
        Err(Failure::of(Code::WriteRace))
    }

    /// Does something that writes a resource of this type, as one access also where it reads what it changes.
    async fn guarded<T, F>(
        &self,
        type_id: TypeId,
        work: impl FnOnce(Self) -> F,
    ) -> Result<T, Unmade>
    where
        F: Future<Output = Result<T, Unmade>>,
    {
        match self.is_guarded(type_id) {
            false => work(self.clone()).await,
            true => {
                let work = |store| work(self.with_store(store));
                let code = |unmade: &Unmade| unmade.failure.code();
                let made = self.store.as_change(work, code).await;
                made.map_err(Failure::from)?
            }
        }
    }

    async fn put(
        &self,
        (type_id, id): (TypeId, &ResourceId),
        body: &Bytes,
        condition: Option<Condition>,
        permit: Option<Permit<Update>>,
    ) -> Result<Written, Unmade> {
        let kept = self.keep_hidden(type_id, id, body.clone(), condition);
        let kept = kept.await?;
        let identity = Identity {
            type_id,
            id: id.clone(),
            body_id: BodyId::Required,
        };
        let valid = self.admit_whole(&kept.body, identity).await?;
        let resource = self.store.prepare(valid);
        let or_create = self.decide::<Create>(Self::create_target(type_id)).ok();
        let permit = match permit {
            Some(permit) => permit,
            None => {
                let target = Target::Instance(type_id, id.clone());
                self.permit::<Update>(target).await?
            }
        };
        let write = Write::Put {
            permit,
            or_create,
            resource,
            condition: kept.condition,
            method: Method::Put,
        };
        let again = kept.again;
        let made = self.commit_one(write, None).await;
        made.map_err(|failure| Unmade { failure, again })
    }

    /// Updates the one resource that matches; makes it if none does.
    ///
    /// # Errors
    /// As [`Session::update`]; `multiple-matches`, `duplicate-id`, `write-race`.
    pub async fn update_where(
        &self,
        type_name: &str,
        criteria: &str,
        body: &Bytes,
        conditions: &WriteConditions,
    ) -> Result<Answer, Failure> {
        let (type_id, criteria) = self.criteria_of::<Update>(type_name, criteria).await?;
        let condition = conditions.to_store()?;
        let claimed = self.claimed_id(body)?;
        let mut checked: Option<Valid> = None;
        for _ in 0..ATTEMPTS_MAX {
            let found = self.match_of(&criteria).await?;
            let found = found.map(|stored| stored.get().id.clone());
            let plan = self.plan_update(type_id, found, claimed.as_ref())?;
            let (of, criteria, checked) = (&plan, &criteria, &mut checked);
            let made = self.guarded(type_id, |one| async move {
                one.put_where((type_id, of, criteria), body, condition, checked)
                    .await
            });
            match made.await {
                Err(Unmade { failure, .. }) if failure.code() == Code::WriteRace => {}
                Err(Unmade { failure, again }) if again && is_conflict(&failure) => {}
                // The id that the body brings is another resource's, which does not match.
                Err(Unmade { failure, .. })
                    if plan.make == Make::WithThisId
                        && condition.is_none()
                        && failure.code() == Code::PreconditionFailed =>
                {
                    return Err(Failure::of(Code::DuplicateId));
                }
                Err(Unmade { failure, .. }) => return Err(failure),
                Ok(written) => return written.try_into(),
            }
        }
        Err(Failure::of(Code::WriteRace))
    }

    /// `checked`: what was checked for an earlier attempt, and is for the next one.
    async fn put_where(
        &self,
        (type_id, plan, criteria): (TypeId, &UpdatePlan, &Criteria),
        body: &Bytes,
        condition: Option<Condition>,
        checked: &mut Option<Valid>,
    ) -> Result<Written, Unmade> {
        let kept = self.keep_hidden(type_id, &plan.id, body.clone(), condition);
        let kept = kept.await?;
        let valid = match checked.take() {
            Some(valid) if *valid.id() == plan.id && !self.is_guarded(type_id) => valid,
            _ => {
                let identity = Identity {
                    type_id,
                    id: plan.id.clone(),
                    body_id: BodyId::Equal,
                };
                self.admit_whole(&kept.body, identity).await?
            }
        };
        let expectation = self.expectation(criteria, plan.expected.clone()).await?;
        let resource = self.store.prepare(valid.clone());
        *checked = Some(valid);
        let write = self.conditional_write(plan, resource, kept.condition);
        let write = write.await?;
        let again = kept.again;
        let made = self.commit_one(write, Some(expectation)).await;
        made.map_err(|failure| Unmade { failure, again })
    }

    /// The id that the resource in a body claims to have.
    pub(super) fn claimed_id(&self, body: &Bytes) -> Result<Option<ResourceId>, Failure> {
        if is_blank(body) {
            return Err(Failure::of(Code::BodyEmpty));
        }
        let checking = self.checking();
        let draft = checking.draft(body)?;
        let id = draft.value().get("id").and_then(fhir::json::Value::as_str);
        id.map(|id| ResourceId::new(&id))
            .transpose()
            .map_err(|_| Failure::of(Code::ResourceIdInvalid))
    }

    pub(super) fn plan_update(
        &self,
        type_id: TypeId,
        found: Option<ResourceId>,
        claimed: Option<&ResourceId>,
    ) -> Result<UpdatePlan, Failure> {
        match (found, claimed) {
            (Some(found), Some(claimed)) if found != *claimed => Err(Failure::new(
                Code::ResourceIdMismatch,
                "the resource that matches has another id than the body",
            )),
            (Some(id), _) => Ok(UpdatePlan {
                expected: Expected::One(type_id, id.clone()),
                id,
                make: Make::Version,
            }),
            (None, Some(claimed)) => Ok(UpdatePlan {
                expected: Expected::Nothing,
                id: claimed.clone(),
                make: Make::WithThisId,
            }),
            (None, None) => Ok(UpdatePlan {
                expected: Expected::Nothing,
                id: self.house().fresh_id(self.request.at),
                make: Make::Fresh,
            }),
        }
    }

    pub(super) async fn conditional_write(
        &self,
        plan: &UpdatePlan,
        resource: Prepared,
        condition: Option<Condition>,
    ) -> Result<Write, Failure> {
        let type_id = resource.valid().type_id();
        if plan.make == Make::Fresh {
            if condition.is_some_and(|c| c != Condition::Absent && !c.is_weak()) {
                return Err(Failure::of(Code::PreconditionFailed));
            }
            let permit = self.permit::<Create>(Self::create_target(type_id)).await?;
            return Ok(Write::Create { permit, resource });
        }
        let permit = self
            .permit::<Update>(Target::Instance(type_id, plan.id.clone()))
            .await?;
        // Of what is not there it says nothing.
        let condition = match plan.make {
            Make::WithThisId => condition.filter(|c| !c.is_weak()),
            _ => condition,
        };
        let (or_create, condition) = match plan.make {
            Make::WithThisId => {
                let permit = self.permit::<Create>(Self::create_target(type_id)).await?;
                (Some(permit), condition.or(Some(Condition::Absent)))
            }
            _ => (None, condition.or(Some(Condition::Present))),
        };
        Ok(Write::Put {
            permit,
            or_create,
            resource,
            condition,
            method: Method::Put,
        })
    }
}

/// Why nothing was written, and whether it is tried again with what is current then.
struct Unmade {
    failure: Failure,
    again: bool,
}

impl From<Failure> for Unmade {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            again: false,
        }
    }
}

fn is_conflict(failure: &Failure) -> bool {
    failure.code() == Code::VersionConflict
}

/// What a conditional update comes down to.
#[derive(Debug)]
pub(super) struct UpdatePlan {
    pub(super) id: ResourceId,
    pub(super) expected: Expected,
    pub(super) make: Make,
}

/// What a conditional update makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Make {
    /// A version of the resource that matched.
    Version,
    /// A resource with the id in the body.
    WithThisId,
    /// A resource with an id of the server's choice.
    Fresh,
}
