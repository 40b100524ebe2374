//! Writes of callers from whom elements are hidden: what they do not see is kept as it is.
//!
//! The writer refuses whatever would change a hidden element; here the body that such a caller sends
//! is given those elements back, so that writing what was read is no loss.

use access::{ActionName, Target, Update};
use base::{Code, ResourceId};
use bytes::Bytes;
use fhir::definitions::TypeId;
use fhir::json;
use fhir::resource::mask::Mask;
use store::{Condition, Read, Stored, ToChange};

use crate::failure::Failure;
use crate::session::Session;

/// A body as it is to be stored.
pub(in crate::interaction) struct Kept {
    pub(in crate::interaction) body: Bytes,
    pub(super) condition: Option<Condition>,
    /// The condition is ours: when it fails, it is tried again with what is current then.
    pub(super) again: bool,
}

impl Session {
    /// Does something that reads what it changes, as one access.
    ///
    /// # Errors
    /// Those of `work`; `audit-unavailable`.
    pub(in crate::interaction) async fn as_change<T, F>(
        &self,
        work: impl FnOnce(Self) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let work = |store| work(self.with_store(store));
        self.store.as_change(work, Failure::code).await?
    }

    /// Whether elements of a type are hidden from the caller in some resource.
    pub(super) fn is_guarded(&self, type_id: TypeId) -> bool {
        [ActionName::Read, ActionName::Update].iter().any(|action| {
            let rule = self.rights().rule(*action, type_id);
            rule.is_some_and(|rule| rule.hidden().is_some())
        })
    }

    /// The body of an update with what the caller does not see.
    ///
    /// # Errors
    /// `element-hidden` if the body has or changes such an element, `version-conflict`.
    pub(in crate::interaction) async fn keep_hidden(
        &self,
        type_id: TypeId,
        id: &ResourceId,
        body: Bytes,
        condition: Option<Condition>,
    ) -> Result<Kept, Failure> {
        if !self.is_guarded(type_id) {
            return Ok(Kept {
                body,
                condition,
                again: false,
            });
        }
        let target = Target::Instance(type_id, id.clone());
        let permit = self.permit::<Update>(target).await?;
        let ToChange { read, mask, .. } = self.store.read_to_change(permit, type_id, id).await?;
        let stored = match read {
            Read::Found(stored) => Some(stored.into_inner()),
            Read::Deleted(_) | Read::Absent => None,
        };
        let Some(mask) = mask else {
            return Ok(Kept {
                body,
                condition,
                again: false,
            });
        };
        let version = stored.as_ref().map(|s| Condition::Version(s.version));
        if let (Some(condition), Some(stored)) = (condition, &stored)
            && condition.rules_out(stored.version, stored.updated)
        {
            return Err(Failure::of(condition.refusal()));
        }
        let sent = body.len();
        let kept = self.compute(sent, move || kept(stored.as_ref(), &body, &mask));
        Ok(Kept {
            body: kept.await?,
            again: condition
                .is_none_or(|c| c.is_weak() || matches!(c, Condition::Present | Condition::There)),
            condition: match condition {
                None | Some(Condition::Present | Condition::There | Condition::OneOf(_)) => {
                    version.or(condition)
                }
                Some(weak) if weak.is_weak() => version.or(condition),
                own => own,
            },
        })
    }
}

/// The body with the hidden elements of what is stored.
pub(super) fn kept(stored: Option<&Stored>, body: &Bytes, mask: &Mask) -> Result<Bytes, Failure> {
    let Ok(sent) = json::parse(body, usize::MAX) else {
        // Checking says what is wrong with it.
        return Ok(body.clone());
    };
    let damaged = |_| Failure::of(Code::Internal);
    let whole = stored.map(|s| json::parse(&s.body, usize::MAX));
    let whole = whole.transpose().map_err(damaged)?;
    let whole = whole.as_ref().map(json::Doc::root);
    match mask.keep(whole, sent.root()) {
        Ok(text) => Ok(Bytes::from(text)),
        Err(element) => Err(Failure::new(
            Code::ElementHidden,
            format!("\"{element}\" is hidden from you, in whole or in part, and cannot be changed"),
        )),
    }
}
