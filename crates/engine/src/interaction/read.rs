//! read (`http.html#read`).

use access::{Read as ReadAction, Target};
use base::{Code, ResourceId};
use fhir::definitions::TypeId;
use store::{Form, Read};

use super::condition::Unless;
use crate::answer::Answer;
use crate::failure::Failure;
use crate::session::Session;

/// An id in a URL that is none names nothing.
pub(super) fn id_in_url(id: &str) -> Result<ResourceId, Failure> {
    ResourceId::new(id).map_err(|_| {
        if id.starts_with('$') {
            return Failure::new(Code::NotSupported, "this operation is not supported");
        }
        Failure::of(Code::NotFound)
    })
}

impl Session {
    /// The current version of a resource.
    ///
    /// # Errors
    /// `not-found`, `deleted`, `resource-type-unknown`, `scope-missing`.
    pub async fn read(
        &self,
        type_name: &str,
        id: &str,
        unless: &Unless,
    ) -> Result<Answer, Failure> {
        self.read_as(type_name, id, unless, Form::Whole).await
    }

    /// As [`Self::read`], in a form.
    ///
    /// # Errors
    /// As those of [`Self::read`].
    pub async fn read_as(
        &self,
        type_name: &str,
        id: &str,
        unless: &Unless,
        form: Form,
    ) -> Result<Answer, Failure> {
        let type_id = self.type_id(type_name)?;
        let id = id_in_url(id)?;
        match self.read_stored_as(type_id, &id, form).await? {
            Read::Found(stored) if unless.holds_for(stored.get()) => {
                Ok(Answer::NotModified(stored))
            }
            Read::Found(stored) => Ok(Answer::Found(stored)),
            Read::Deleted(_) => Err(Failure::of(Code::Deleted)),
            Read::Absent => Err(Failure::of(Code::NotFound)),
        }
    }

    pub(super) async fn read_stored(
        &self,
        type_id: TypeId,
        id: &ResourceId,
    ) -> Result<Read, Failure> {
        self.read_stored_as(type_id, id, Form::Whole).await
    }

    pub(super) async fn read_stored_as(
        &self,
        type_id: TypeId,
        id: &ResourceId,
        form: Form,
    ) -> Result<Read, Failure> {
        let permit = self
            .permit::<ReadAction>(Target::Instance(type_id, id.clone()))
            .await?;
        if self.store.is_event(type_id, id) {
            return Ok(self.store.read_event(permit, type_id, id).await?);
        }
        Ok(self.store.read_as(permit, type_id, id, form).await?)
    }
}
