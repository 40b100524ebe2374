//! patch and conditional patch (`http.html#patch`): a new version made of the current one.
//!
//! The version that a patch was applied to is the one that is replaced: the writer is told which,
//! and if it is no longer current the patch is applied again to what is.

use access::{ActionName, Read as ReadAction, Target, Update};
use base::{Code, ResourceId, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fhir::definitions::{Model, TypeId};
use fhir::json::{self, Value};
use fhir::outcome::Issue;
use fhir::patch;
use fhir::resource::BodyId;
use fhir::xml::{self, Layout};
use store::{Condition, Expected, Method, Read, Stored, ToChange, Write};

use super::admit::{Checking, Identity, is_blank};
use super::condition::WriteConditions;
use super::create::ATTEMPTS_MAX;
use super::guarded;
use super::read::id_in_url;
use crate::answer::Answer;
use crate::failure::Failure;
use crate::session::Session;

/// The language of a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchKind {
    /// JSON Patch (RFC 6902)
    Json,
    /// XML Patch (RFC 5261)
    Xml,
    /// FHIRPath Patch: a Parameters resource, as JSON
    Path,
}

impl PatchKind {
    /// The language of patches with this media type, in lower case and without parameters; none
    /// for any other type, of which those of resources carry FHIRPath Patch.
    pub fn of_media(essence: &str) -> Option<Self> {
        match essence {
            "application/json-patch+json" => Some(Self::Json),
            "application/xml-patch+xml" => Some(Self::Xml),
            _ => None,
        }
    }
}

/// A patch as it came.
#[derive(Clone, Debug)]
pub struct Patch {
    /// Its language.
    pub kind: PatchKind,
    /// Its text.
    pub bytes: Bytes,
}

impl Session {
    /// Patches a resource.
    ///
    /// # Errors
    /// `patch-invalid`, `patch-failed`, `not-found`, `deleted`, `version-conflict`,
    /// `scope-missing`, `write-race`, and those of validation for what the patch makes.
    pub async fn patch(
        &self,
        type_name: &str,
        id: &str,
        patch: &Patch,
        conditions: &WriteConditions,
    ) -> Result<Answer, Failure> {
        let type_id = self.type_id(type_name)?;
        let id = &id_in_url(id)?;
        let condition = conditions.to_store()?;
        for _ in 0..ATTEMPTS_MAX {
            let made = self.as_change(|one| async move {
                let write = one.patched_write(type_id, id, patch, condition).await?;
                one.commit_one(write, None).await
            });
            match made.await {
                Err(failure) if is_race(&failure, condition) => {}
                done => return self.seen(type_id, done?.try_into()?),
            }
        }
        Err(Failure::of(Code::WriteRace))
    }

    /// Patches the one resource that matches.
    ///
    /// # Errors
    /// As [`Session::patch`]; `not-found` if none matches, `multiple-matches`.
    pub async fn patch_where(
        &self,
        type_name: &str,
        criteria: &str,
        patch: &Patch,
        conditions: &WriteConditions,
    ) -> Result<Answer, Failure> {
        let (type_id, criteria) = self.criteria_of::<Update>(type_name, criteria).await?;
        let condition = conditions.to_store()?;
        for _ in 0..ATTEMPTS_MAX {
            let stored = self.match_of(&criteria).await?;
            let stored = stored.ok_or(Failure::of(Code::NotFound))?;
            let (id, criteria) = (&stored.get().id, &criteria);
            let made = self.as_change(|one| async move {
                let write = one.patched_write(type_id, id, patch, condition).await?;
                let expected = Expected::One(type_id, id.clone());
                let expectation = one.expectation(criteria, expected).await?;
                one.commit_one(write, Some(expectation)).await
            });
            match made.await {
                Err(failure) if is_race(&failure, condition) => {}
                done => return self.seen(type_id, done?.try_into()?),
            }
        }
        Err(Failure::of(Code::WriteRace))
    }

    /// The write that replaces the current version by the patched one.
    async fn patched_write(
        &self,
        type_id: TypeId,
        id: &ResourceId,
        patch: &Patch,
        condition: Option<Condition>,
    ) -> Result<Write, Failure> {
        let (text, version) = self.patched(type_id, id, patch, condition).await?;
        let identity = Identity {
            type_id,
            id: id.clone(),
            body_id: BodyId::Equal,
        };
        let valid = self.admit(&text, identity).await?;
        let target = Target::Instance(type_id, id.clone());
        Ok(Write::Put {
            permit: self.permit::<Update>(target).await?,
            or_create: None,
            resource: self.store.prepare(valid),
            condition: Some(Condition::Version(version)),
            method: Method::Patch,
        })
    }

    /// The text of the patched resource, not checked yet, and the version that was patched.
    pub(super) async fn patched(
        &self,
        type_id: TypeId,
        id: &ResourceId,
        patch: &Patch,
        condition: Option<Condition>,
    ) -> Result<(Bytes, Version), Failure> {
        self.must_not_import("a way in for bulk loading patches nothing")
            .await?;
        let target = Target::Instance(type_id, id.clone());
        let permit = self.permit::<Update>(target).await?;
        if is_blank(&patch.bytes) {
            return Err(Failure::of(Code::BodyEmpty));
        }
        let ToChange {
            read,
            mask,
            read_only,
        } = self.store.read_to_change(permit, type_id, id).await?;
        let stored = match read {
            Read::Found(stored) => stored.into_inner(),
            Read::Deleted(_) => return Err(Failure::of(Code::Deleted)),
            // What the caller may read is not theirs to change; of other resources they do not learn that
            // they are there.
            Read::Absent if read_only => {
                let (action, code) = (ActionName::Update, Code::ScopeMissing);
                return Err(self.refuse_for(action, Some(type_id), code).await);
            }
            Read::Absent => return Err(Failure::of(Code::NotFound)),
        };
        match condition {
            Some(one) if one.rules_out(stored.version, stored.updated) => {
                return Err(Failure::of(one.refusal()));
            }
            Some(Condition::Absent) => return Err(Failure::of(Code::PreconditionFailed)),
            _ => {}
        }
        let (checking, bounds) = (self.checking(), self.patch_bounds());
        let (patch, version) = (patch.clone(), stored.version);
        let size = stored.body.len() + patch.bytes.len();
        let text = self
            .compute(size, move || {
                let Some(mask) = mask else {
                    let text = apply(&checking, &stored, &patch, &bounds)?;
                    unmoved(&checking, &stored, &text)?;
                    return Ok(Bytes::from(text));
                };
                // It is made of what the caller sees: not even a test may look at the rest.
                let mut shown = stored.clone();
                let hidden = mask.hide(&stored.body).ok_or(Failure::of(Code::Internal))?;
                shown.body = Bytes::from(hidden);
                let text = apply(&checking, &shown, &patch, &bounds)?;
                unmoved(&checking, &shown, &text)?;
                guarded::kept(Some(&stored), &Bytes::from(text), &mask)
            })
            .await?;
        Ok((text, version))
    }

    fn patch_bounds(&self) -> patch::Bounds {
        let limits = self.limits();
        let size = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
        patch::Bounds {
            operations_max: size(limits.patch_operations_max),
            bytes_max: size(limits.body_bytes_max),
            depth_max: size(limits.json_depth_max),
            steps_max: limits.patch_steps_max,
            xml: self.xml_bounds(),
        }
    }

    /// The answer as the caller may see it: whoever may change a resource but not read it is told
    /// that it was done.
    pub(super) fn seen(&self, type_id: TypeId, answer: Answer) -> Result<Answer, Failure> {
        // Who changes more resources than they read is not shown what they changed.
        let reach = |action| {
            let rule = self.rights().rule(action, type_id);
            rule.and_then(|rule| rule.filter())
        };
        let same = reach(ActionName::Read).is_none()
            || reach(ActionName::Read) == reach(ActionName::Update);
        let reads = same
            && self
                .decide::<ReadAction>(Target::Types(vec![type_id]))
                .is_ok();
        Ok(match answer {
            Answer::Written { stored, .. } if !reads => Answer::Unseen(stored),
            other => other,
        })
    }
}

/// Whether a write failed because the version that was patched is not the current one any more,
/// or criteria match something else now.
fn is_race(failure: &Failure, condition: Option<Condition>) -> bool {
    match failure.code() {
        Code::WriteRace => true,
        Code::VersionConflict => !condition.is_some_and(|c| c.names_versions()),
        _ => false,
    }
}

/// The patch in an entry of a Bundle: a Parameters resource, or a Binary that holds it.
///
/// # Errors
/// `patch-invalid`
pub(super) fn of_entry(checking: &Checking, body: &Bytes) -> Result<Patch, Failure> {
    let draft = checking.draft(body)?;
    let text = |name| draft.value().get(name).and_then(Value::as_str);
    if text("resourceType").as_deref() != Some("Binary") {
        return Ok(Patch {
            kind: PatchKind::Path,
            bytes: body.clone(),
        });
    }
    let refused = |what: &'static str| Failure::new(Code::PatchInvalid, what);
    let media = text("contentType").unwrap_or_default().to_ascii_lowercase();
    let essence = media.split(';').next().unwrap_or("").trim();
    let kind = PatchKind::of_media(essence)
        .ok_or_else(|| refused("the Binary's contentType is that of no patch"))?;
    let data: Vec<u8> = text("data")
        .unwrap_or_default()
        .bytes()
        .filter(|b| !b.is_ascii_whitespace())
        .collect();
    let bytes = STANDARD.decode(data);
    let bytes = bytes.map_err(|_| refused("the Binary's data is not base64"))?;
    Ok(Patch {
        kind,
        bytes: bytes.into(),
    })
}

/// The text of the resource that the patch makes.
fn apply(
    checking: &Checking,
    stored: &Stored,
    patch: &Patch,
    bounds: &patch::Bounds,
) -> Result<String, Failure> {
    let broken = || Failure::of(Code::Internal);
    let model: &'static Model = checking.model;
    let doc = json::parse(&stored.body, usize::MAX).map_err(|_| broken())?;
    let issue = |issue: Issue| Failure::from(fhir::outcome::Outcome::from(issue));
    if patch.kind == PatchKind::Xml {
        let mut text = String::with_capacity(stored.body.len() * 2);
        write_as_xml(model, doc.root(), &mut text)?;
        let diff = std::str::from_utf8(&patch.bytes);
        let diff = diff.map_err(|_| Failure::new(Code::XmlSyntax, "the patch is not UTF-8"))?;
        let text = patch::xml::apply(&text, diff, bounds).map_err(issue)?;
        return Ok(xml::to_json(model, text.as_bytes(), &bounds.xml)?);
    }
    let given = json::parse(&patch.bytes, checking.depth_max);
    let given = given.map_err(|e| issue(Issue::from(&e)))?;
    let done = match patch.kind {
        PatchKind::Json => patch::json::apply(doc.root(), given.root(), bounds),
        _ => patch::path::apply(model, doc.root(), given.root(), bounds),
    };
    done.map_err(issue)
}

fn write_as_xml(
    model: &'static Model,
    resource: Value<'_>,
    out: &mut String,
) -> Result<(), Failure> {
    xml::write_xml(model, resource, Layout::Compact, out).map_err(|_| Failure::of(Code::Internal))
}

/// Refuses patches of what makes a resource this resource and this version.
fn unmoved(checking: &Checking, stored: &Stored, text: &str) -> Result<(), Failure> {
    let doc = json::parse(text.as_bytes(), usize::MAX).map_err(|_| Failure::of(Code::Internal))?;
    let refused = |what| Err(Failure::new(Code::PatchFailed, what));
    let of = |value: Value<'_>, name| {
        value
            .get(name)
            .and_then(Value::as_str)
            .map(std::borrow::Cow::into_owned)
    };
    if of(doc.root(), "resourceType").as_deref() != Some(checking.model.type_name(stored.type_id)) {
        return refused("a patch does not change the type of a resource");
    }
    if of(doc.root(), "id").as_deref() != Some(stored.id.as_str()) {
        return refused("a patch does not change the id of a resource");
    }
    let version = doc
        .root()
        .get("meta")
        .and_then(|meta| of(meta, "versionId"));
    match version.is_none_or(|v| v == stored.version.to_string()) {
        true => Ok(()),
        false => refused("a patch does not change the version of a resource"),
    }
}
