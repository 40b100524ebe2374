//! delete and conditional delete (`http.html#delete`). A deletion is a version of its own; the
//! history stays.
//!
//! Criteria that match more than one resource are refused: deleting several by one request is not
//! offered.

use access::{Delete, Target};
use base::Code;
use store::{Condition, Expected, Write};

use super::condition::WriteConditions;
use super::create::ATTEMPTS_MAX;
use super::read::id_in_url;
use crate::answer::Answer;
use crate::failure::Failure;
use crate::session::Session;

impl Session {
    /// Deletes a resource; one that is not there is not an error.
    ///
    /// # Errors
    /// `version-conflict`, `reference-in-use`, `scope-missing`.
    pub async fn delete(
        &self,
        type_name: &str,
        id: &str,
        conditions: &WriteConditions,
    ) -> Result<Answer, Failure> {
        let type_id = self.type_id(type_name)?;
        let id = id_in_url(id)?;
        let condition = conditions.to_store()?;
        let permit = self
            .permit::<Delete>(Target::Instance(type_id, id.clone()))
            .await?;
        let write = Write::Delete {
            permit,
            type_id,
            id,
            condition,
        };
        self.commit_one(write, None).await?.try_into()
    }

    /// Deletes the one resource that matches, if one does.
    ///
    /// # Errors
    /// `multiple-matches`, `write-race`, and those of [`Session::delete`].
    pub async fn delete_where(
        &self,
        type_name: &str,
        criteria: &str,
        conditions: &WriteConditions,
    ) -> Result<Answer, Failure> {
        let (type_id, criteria) = self.criteria_of::<Delete>(type_name, criteria).await?;
        let condition = conditions.to_store()?;
        for _ in 0..ATTEMPTS_MAX {
            let Some(stored) = self.match_of(&criteria).await? else {
                return nothing_to_delete(condition);
            };
            let id = stored.get().id.clone();
            let expected = Expected::One(type_id, id.clone());
            let expectation = self.expectation(&criteria, expected).await?;
            let permit = self
                .permit::<Delete>(Target::Instance(type_id, id.clone()))
                .await?;
            let write = Write::Delete {
                permit,
                type_id,
                id,
                condition,
            };
            match self.commit_one(write, Some(expectation)).await {
                Err(failure) if failure.code() == Code::WriteRace => {}
                done => return done?.try_into(),
            }
        }
        Err(Failure::of(Code::WriteRace))
    }
}

/// The answer where criteria match nothing: there is no version that a caller's condition could be about.
pub(super) fn nothing_to_delete(condition: Option<Condition>) -> Result<Answer, Failure> {
    match condition {
        None | Some(Condition::Absent) => Ok(Answer::Deleted(None)),
        Some(weak) if weak.is_weak() => Ok(Answer::Deleted(None)),
        Some(_) => Err(Failure::of(Code::PreconditionFailed)),
    }
}
