//! create and conditional create (`http.html#create`, `http.html#ccreate`).

use std::collections::HashMap;

use access::{Create, Read, Released, Target};
use base::Code;
use bytes::Bytes;
use fhir::definitions::TypeId;
use fhir::resource::{BodyId, Valid};
use store::{Change, Expectation, Expected, ReferencePolicy, StoreError, Stored, Write, Written};

use super::admit::Identity;
use super::criteria::Criteria;
use super::provenance::{Named, leaves};
use crate::answer::Answer;
use crate::failure::Failure;
use crate::session::Session;

/// How often a conditional interaction is prepared before it gives up.
pub(super) const ATTEMPTS_MAX: usize = 8;

impl Session {
    /// Makes a resource with an id of the server's choice. With `if_none_exist` only if nothing
    /// matches these criteria.
    ///
    /// # Errors
    /// Those of validation; `multiple-matches`, `write-race`, `scope-missing`.
    pub async fn create(
        &self,
        type_name: &str,
        body: &Bytes,
        if_none_exist: Option<&str>,
    ) -> Result<Answer, Failure> {
        let type_id = self.type_id(type_name)?;
        let permit = self.permit::<Create>(Target::Types(vec![type_id])).await?;
        let criteria = match if_none_exist {
            Some(text) => Some(self.criteria(type_id, text).await?),
            None => None,
        };
        let id = self.house().fresh_id(self.request.at);
        let identity = Identity {
            type_id,
            id,
            body_id: BodyId::Ignored,
        };
        let valid = self.admit_whole(body, identity).await?;
        match criteria {
            Some(criteria) => self.create_unless(&criteria, &valid).await,
            None => {
                let resource = self.store.prepare(valid);
                self.commit_one(Write::Create { permit, resource }, None)
                    .await?
                    .try_into()
            }
        }
    }

    async fn create_unless(&self, criteria: &Criteria, valid: &Valid) -> Result<Answer, Failure> {
        for _ in 0..ATTEMPTS_MAX {
            if let Some(stored) = self.match_of(criteria).await? {
                return Ok(self.existing(stored));
            }
            let expectation = self.expectation(criteria, Expected::Nothing).await?;
            let permit = self
                .permit::<Create>(Target::Types(vec![valid.type_id()]))
                .await?;
            let resource = self.store.prepare(valid.clone());
            let write = Write::Create { permit, resource };
            match self.commit_one(write, Some(expectation)).await {
                Err(failure) if failure.code() == Code::WriteRace => {}
                done => return done?.try_into(),
            }
        }
        Err(Failure::of(Code::WriteRace))
    }

    /// What a conditional create found instead.
    pub(super) fn existing(&self, stored: Released<Stored>) -> Answer {
        let of = stored.get();
        let target = Target::Instance(of.type_id, of.id.clone());
        let shown = self.decide::<Read>(target).is_ok();
        Answer::Existing { stored, shown }
    }

    /// Commits one write; what is wrong with it is wrong with the request.
    pub(super) async fn commit_one(
        &self,
        write: Write,
        expectation: Option<Expectation>,
    ) -> Result<Written, Failure> {
        let about: Vec<Named> = leaves(&write).into_iter().collect();
        let mut writes = vec![write];
        writes.extend(self.provenance_of(&about, &HashMap::new()).await?);
        let change = Change {
            writes,
            expectations: expectation.into_iter().collect(),
            enforce_references: self.enforces_references(),
        };
        let written = self
            .store
            .commit(self.request, change)
            .await
            .map_err(whole)?;
        written
            .into_iter()
            .next()
            .ok_or(Failure::of(Code::Internal))
    }

    pub(super) fn enforces_references(&self) -> bool {
        let settings = self.house().0.store.settings(self.tenant());
        settings.references == ReferencePolicy::Enforced
    }

    pub(super) fn create_target(type_id: TypeId) -> Target {
        Target::Types(vec![type_id])
    }
}

/// The failure of a change with one write: there is no entry to name.
fn whole(error: StoreError) -> Failure {
    match error {
        StoreError::Entry { code, text, .. } => Failure::new(code, text),
        StoreError::ReferenceMissing { type_name, id, .. } => Failure::new(
            Code::ReferenceMissing,
            format!("{type_name}/{id} is referred to and does not exist here"),
        ),
        other => other.into(),
    }
}

impl TryFrom<Written> for Answer {
    type Error = Failure;

    fn try_from(written: Written) -> Result<Self, Failure> {
        let missing = || Failure::of(Code::Internal);
        Ok(match written.outcome {
            store::Outcome::Created | store::Outcome::Updated => Self::Written {
                created: written.outcome == store::Outcome::Created,
                stored: written.stored.ok_or_else(missing)?,
            },
            store::Outcome::Unchanged => Self::Unchanged(written.stored.ok_or_else(missing)?),
            store::Outcome::Deleted | store::Outcome::Nothing => {
                Self::Deleted(written.stored.map(|stored| stored.get().version))
            }
        })
    }
}
