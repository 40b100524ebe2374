//! vread (`http.html#vread`).

use access::{Read as ReadAction, Target};
use base::Code;
use fhir::definitions::TypeId;
use store::{Form, Read};

use super::condition::{Unless, version};
use super::read::id_in_url;
use crate::answer::Answer;
use crate::failure::Failure;
use crate::session::Session;

impl Session {
    /// A version of a resource.
    ///
    /// # Errors
    /// `not-found`, `deleted` if that version is a deletion, `resource-type-unknown`,
    /// `scope-missing`.
    pub async fn vread(
        &self,
        type_name: &str,
        id: &str,
        version_id: &str,
        unless: &Unless,
    ) -> Result<Answer, Failure> {
        self.vread_as((type_name, id, version_id), unless, Form::Whole)
            .await
    }

    /// As [`Self::vread`], in a form: type, id and version.
    ///
    /// # Errors
    /// As those of [`Self::vread`].
    pub async fn vread_as(
        &self,
        (type_name, id, version_id): (&str, &str, &str),
        unless: &Unless,
        form: Form,
    ) -> Result<Answer, Failure> {
        let type_id = self.type_id(type_name)?;
        match self
            .read_version_as(type_id, (id, version_id), form)
            .await?
        {
            Read::Found(stored) if unless.holds_for(stored.get()) => {
                Ok(Answer::NotModified(stored))
            }
            Read::Found(stored) => Ok(Answer::Found(stored)),
            Read::Deleted(_) => Err(Failure::of(Code::Deleted)),
            Read::Absent => Err(Failure::of(Code::NotFound)),
        }
    }

    pub(super) async fn read_version(
        &self,
        type_id: TypeId,
        id: &str,
        version_id: &str,
    ) -> Result<Read, Failure> {
        self.read_version_as(type_id, (id, version_id), Form::Whole)
            .await
    }

    pub(super) async fn read_version_as(
        &self,
        type_id: TypeId,
        (id, version_id): (&str, &str),
        form: Form,
    ) -> Result<Read, Failure> {
        let id = id_in_url(id)?;
        let permit = self
            .permit::<ReadAction>(Target::Instance(type_id, id.clone()))
            .await?;
        let version = version(version_id).ok_or(Failure::of(Code::NotFound))?;
        let read = self.store.vread_as(permit, type_id, &id, version, form);
        Ok(read.await?)
    }
}
