//! Binary with its own content type (`binary.html#rest`): bytes go in as they are and come out as
//! they are, in pieces if they are many; inside they are a Binary resource like any other.

use access::{Create, Permit, Released, Target, Update};
use base::{Code, ResourceId};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fhir::json::{Value, push_json_string};
use fhir::resource::{BodyId, Valid};
use store::{Condition, Form, Method, Read, Stored, Write};

use super::admit::Identity;
use super::condition::{Unless, WriteConditions};
use super::read::id_in_url;
use crate::answer::Answer;
use crate::failure::Failure;
use crate::session::Session;

/// What there is to say of bytes before they come.
#[derive(Clone, Copy, Debug)]
pub struct UploadAbout<'a> {
    /// The id in the URL; none for a create.
    pub id: Option<&'a str>,
    /// Their content type.
    pub content_type: &'a str,
    /// `X-Security-Context`: a reference that decides who may see them.
    pub security_context: Option<&'a str>,
}

/// Bytes on their way in, written as they come.
#[derive(Debug)]
pub struct Upload {
    session: Session,
    right: Right,
    condition: Option<Condition>,
    /// The Binary without its data, checked.
    about: Valid,
    /// The same as text, without the brace that closes it.
    text: String,
    data: store::Upload,
}

#[derive(Debug)]
enum Right {
    Create(Box<Permit<Create>>),
    Update(Box<(Permit<Update>, Option<Permit<Create>>)>),
}

/// The answer to a read of bytes.
#[derive(Debug)]
pub enum Download {
    /// Here they are.
    Bytes(Raw),
    /// The caller's copy is good.
    Same(Answer),
}

/// The bytes of a Binary.
#[derive(Debug)]
pub struct Raw {
    /// Their content type.
    pub content_type: String,
    /// The version that they are of. If it says that its data is kept apart, [`Session::piece`]
    /// gives the bytes.
    pub stored: Released<Stored>,
    /// The bytes, if they are not kept apart.
    pub bytes: Bytes,
}

impl Raw {
    /// How many bytes there are.
    pub fn size(&self) -> u64 {
        let here = self.bytes.len() as u64;
        self.stored.get().data.map_or(here, |data| data.size())
    }
}

impl Session {
    /// Begins to store bytes as a Binary.
    ///
    /// # Errors
    /// `element-value` for a content type that is none, `scope-missing`.
    pub async fn upload(
        &self,
        about: UploadAbout<'_>,
        conditions: &WriteConditions,
    ) -> Result<Upload, Failure> {
        let type_id = self.type_id("Binary")?;
        let condition = conditions.to_store()?;
        let (id, right) = match about.id {
            None => {
                let permit = self.permit::<Create>(Target::Types(vec![type_id])).await?;
                let id = self.house().fresh_id(self.request.at);
                (id, Right::Create(Box::new(permit)))
            }
            Some(id) => {
                let id = ResourceId::new(id).map_err(|_| Failure::of(Code::ResourceIdInvalid))?;
                let target = Target::Instance(type_id, id.clone());
                let permit = self.permit::<Update>(target).await?;
                let or_create = self.decide::<Create>(Self::create_target(type_id)).ok();
                (id, Right::Update(Box::new((permit, or_create))))
            }
        };
        let mut text = String::from("{\"resourceType\":\"Binary\",\"contentType\":");
        push_json_string(about.content_type, &mut text);
        if let Some(context) = about.security_context {
            text.push_str(",\"securityContext\":{\"reference\":");
            push_json_string(context, &mut text);
            text.push('}');
        }
        let identity = Identity {
            type_id,
            id,
            body_id: BodyId::Ignored,
        };
        let about = self
            .checking()
            .admit(format!("{text}}}").as_bytes(), &identity)?;
        let data = match &right {
            Right::Create(permit) => self.store.upload(&**permit),
            Right::Update(rights) => self.store.upload(&rights.0),
        };
        Ok(Upload {
            session: self.clone(),
            right,
            condition,
            about,
            text,
            data,
        })
    }

    /// The bytes of a Binary; the resource if it has none.
    ///
    /// # Errors
    /// `not-found`, `deleted`, `scope-missing`.
    pub async fn download(&self, id: &str, unless: &Unless) -> Result<Download, Failure> {
        let type_id = self.type_id("Binary")?;
        let read = self
            .read_stored_as(type_id, &id_in_url(id)?, Form::Apart)
            .await?;
        self.unpacked(read, unless).await
    }

    /// The bytes of a version of a Binary.
    ///
    /// # Errors
    /// As those of [`Self::download`].
    pub async fn download_version(
        &self,
        id: &str,
        version_id: &str,
        unless: &Unless,
    ) -> Result<Download, Failure> {
        let type_id = self.type_id("Binary")?;
        let read = self
            .read_version_as(type_id, (id, version_id), Form::Apart)
            .await?;
        self.unpacked(read, unless).await
    }

    /// A piece of the data of a Binary, where it is kept apart.
    ///
    /// # Errors
    /// `not-found` if there is no such piece.
    pub async fn piece(&self, of: &Released<Stored>, place: u64) -> Result<Bytes, Failure> {
        Ok(self.store.piece(of, place).await?)
    }

    async fn unpacked(&self, read: Read, unless: &Unless) -> Result<Download, Failure> {
        let stored = match read {
            Read::Found(stored) if unless.holds_for(stored.get()) => {
                return Ok(Download::Same(Answer::NotModified(stored)));
            }
            Read::Found(stored) => stored,
            Read::Deleted(_) => return Err(Failure::of(Code::Deleted)),
            Read::Absent => return Err(Failure::of(Code::NotFound)),
        };
        let raw = self
            .compute(stored.get().body.len(), move || unpack(stored))
            .await?;
        Ok(Download::Bytes(raw))
    }
}

impl Upload {
    /// Takes more bytes; waits while they are written.
    ///
    /// # Errors
    /// `storage-full`, `storage-fault`, `limit-busy`.
    pub async fn push(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        Ok(self.data.push(bytes).await?)
    }

    /// All bytes have come: commits the Binary.
    ///
    /// # Errors
    /// `body-empty`, and those of update.
    pub async fn finish(mut self) -> Result<Answer, Failure> {
        if self.data.size() == 0 {
            return Err(Failure::of(Code::BodyEmpty));
        }
        let store = &self.session.store;
        let resource = match self.data.small().await? {
            None => store.prepare_uploaded(self.about, &self.data)?,
            Some(bytes) => {
                let mut text = self.text;
                text.push_str(",\"data\":\"");
                STANDARD.encode_string(&bytes, &mut text);
                text.push_str("\"}");
                let identity = Identity {
                    type_id: self.about.type_id(),
                    id: self.about.id().clone(),
                    body_id: BodyId::Ignored,
                };
                let valid = self.session.checking().admit(text.as_bytes(), &identity)?;
                store.prepare(valid)
            }
        };
        let write = match self.right {
            Right::Create(permit) => Write::Create {
                permit: *permit,
                resource,
            },
            Right::Update(rights) => {
                let (permit, or_create) = *rights;
                Write::Put {
                    permit,
                    or_create,
                    resource,
                    condition: self.condition,
                    method: Method::Put,
                }
            }
        };
        self.session.commit_one(write, None).await?.try_into()
    }
}

fn unpack(stored: Released<Stored>) -> Result<Raw, Failure> {
    let broken = || Failure::of(Code::Internal);
    let doc = fhir::json::parse(&stored.get().body, usize::MAX).map_err(|_| broken())?;
    let text = |name| doc.root().get(name).and_then(Value::as_str);
    let content_type = text("contentType")
        .map(std::borrow::Cow::into_owned)
        .unwrap_or_default();
    let data = text("data").unwrap_or_default();
    let compact: Vec<u8> = data.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let bytes = STANDARD.decode(compact).map_err(|_| broken())?;
    drop(doc);
    Ok(Raw {
        content_type,
        stored,
        bytes: bytes.into(),
    })
}
