//! Binary with its own content type (`binary.html#rest`): bytes go in as they are and come out as
//! they are; inside they are a Binary resource like any other.

use access::{Create, Target, Update};
use base::{Code, ResourceId};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fhir::json::{Value, push_json_string};
use fhir::resource::BodyId;
use store::{Method, Read, Stored, Write};

use super::admit::Identity;
use super::condition::WriteConditions;
use super::read::{Raw, id_in_url};
use crate::answer::Answer;
use crate::failure::Failure;
use crate::session::Session;

/// Bytes on their way in.
#[derive(Clone, Copy, Debug)]
pub struct Upload<'a> {
    /// The id in the URL; none for a create.
    pub id: Option<&'a str>,
    /// Their content type.
    pub content_type: &'a str,
    /// `X-Security-Context`: a reference that decides who may see them.
    pub security_context: Option<&'a str>,
    /// The bytes.
    pub bytes: &'a Bytes,
}

impl Session {
    /// Stores bytes as a Binary.
    ///
    /// # Errors
    /// `limit-exceeded`, `element-value` for a content type that is none, `scope-missing`, and
    /// those of update.
    pub async fn upload(
        &self,
        upload: Upload<'_>,
        conditions: &WriteConditions,
    ) -> Result<Answer, Failure> {
        let type_id = self.type_id("Binary")?;
        let condition = conditions.to_store()?;
        if upload.bytes.is_empty() {
            return Err(Failure::of(Code::BodyEmpty));
        }
        match upload.id {
            None => {
                let permit = self.permit::<Create>(Target::Types(vec![type_id])).await?;
                let id = self.house().fresh_id(self.request.at);
                let resource = self.pack(type_id, id, upload).await?;
                self.commit_one(Write::Create { permit, resource }, None)
                    .await?
                    .try_into()
            }
            Some(id) => {
                let id = ResourceId::new(id).map_err(|_| Failure::of(Code::ResourceIdInvalid))?;
                let permit = self
                    .permit::<Update>(Target::Instance(type_id, id.clone()))
                    .await?;
                let or_create = self.decide::<Create>(Self::create_target(type_id)).ok();
                let resource = self.pack(type_id, id, upload).await?;
                let method = Method::Put;
                let write = Write::Put {
                    permit,
                    or_create,
                    resource,
                    condition,
                    method,
                };
                self.commit_one(write, None).await?.try_into()
            }
        }
    }

    async fn pack(
        &self,
        type_id: fhir::definitions::TypeId,
        id: ResourceId,
        upload: Upload<'_>,
    ) -> Result<store::Prepared, Failure> {
        let (checking, store) = (self.checking(), self.store.clone());
        let (bytes, media) = (upload.bytes.clone(), upload.content_type.to_owned());
        let context = upload.security_context.map(str::to_owned);
        self.compute(upload.bytes.len(), move || {
            let mut text = String::with_capacity(bytes.len() / 3 * 4 + 256);
            text.push_str("{\"resourceType\":\"Binary\",\"contentType\":");
            push_json_string(&media, &mut text);
            if let Some(context) = context {
                text.push_str(",\"securityContext\":{\"reference\":");
                push_json_string(&context, &mut text);
                text.push('}');
            }
            text.push_str(",\"data\":\"");
            STANDARD.encode_string(&bytes, &mut text);
            text.push_str("\"}");
            let identity = Identity {
                type_id,
                id,
                body_id: BodyId::Ignored,
            };
            Ok(store.prepare(checking.admit(text.as_bytes(), &identity)?))
        })
        .await
    }

    /// The bytes of a Binary; the resource if it has none.
    ///
    /// # Errors
    /// `not-found`, `deleted`, `scope-missing`.
    pub async fn download(&self, id: &str) -> Result<Raw, Failure> {
        let type_id = self.type_id("Binary")?;
        let read = self.read_stored(type_id, &id_in_url(id)?).await?;
        self.unpacked(read).await
    }

    /// The bytes of a version of a Binary.
    ///
    /// # Errors
    /// As those of [`Self::download`].
    pub async fn download_version(&self, id: &str, version_id: &str) -> Result<Raw, Failure> {
        let type_id = self.type_id("Binary")?;
        let read = self.read_version(type_id, id, version_id).await?;
        self.unpacked(read).await
    }

    async fn unpacked(&self, read: Read) -> Result<Raw, Failure> {
        let stored = match read {
            Read::Found(stored) => stored.into_inner(),
            Read::Deleted(_) => return Err(Failure::of(Code::Deleted)),
            Read::Absent => return Err(Failure::of(Code::NotFound)),
        };
        self.compute(stored.body.len(), move || unpack(&stored))
            .await
    }
}

fn unpack(stored: &Stored) -> Result<Raw, Failure> {
    let broken = || Failure::of(Code::Internal);
    let doc = fhir::json::parse(&stored.body, usize::MAX).map_err(|_| broken())?;
    let text = |name| doc.root().get(name).and_then(Value::as_str);
    let content_type = text("contentType")
        .map(std::borrow::Cow::into_owned)
        .unwrap_or_default();
    let data = text("data").unwrap_or_default();
    let compact: Vec<u8> = data.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let bytes = STANDARD.decode(compact).map_err(|_| broken())?;
    Ok(Raw {
        content_type,
        bytes: bytes.into(),
        version: stored.version,
        updated: stored.updated,
    })
}
