//! `$quarantine` and `$quarantine-decide`: what is kept apart because it is not as it was written, and
//! what somebody of the tenant decides about it.
//!
//! Who administers the tenant sees what there is. To see what a resource says, and to decide, takes the
//! ordinary rights to the resource too: a decision is an ordinary write of another version.

use access::{ActionName, Delete, Denied, Read as ReadAction, Target, Update};
use base::{Code, ResourceId};
use bytes::Bytes;
use fhir::definitions::TypeId;
use fhir::resource::BodyId;
use serde_json::{Value, json};
use store::{Damaged, Decision, Method, Settlement, Stored, Write};

use super::super::admit::Identity;
use super::super::read::id_in_url;
use super::Input;
use crate::answer::Answer;
use crate::failure::Failure;
use crate::form;
use crate::policies::parameters_of;
use crate::quarantine::QuarantineView;
use crate::session::Session;

/// Bytes of a remark.
const REMARK_BYTES_MAX: usize = 500;

fn conflict(text: &'static str) -> Failure {
    Failure::new(Code::QuarantineDecision, text)
}

impl Session {
    /// One of the operations on the quarantine.
    ///
    /// # Errors
    /// `scope-missing`, recorded, and those of each.
    pub(super) async fn keep_apart(
        &self,
        name: &str,
        input: &Input<'_>,
    ) -> Result<Answer, Failure> {
        // The right is looked at before what was sent.
        let _ = self.may_govern().await?;
        let query = self.simple_parameters(input)?;
        match name {
            "quarantine" => self.quarantine(&query).await,
            _ => self.decide_quarantine(&query).await,
        }
    }

    fn named(&self, query: &str) -> Result<Option<(TypeId, ResourceId)>, Failure> {
        let Some(text) = form::first(query, "resource").filter(|t| !t.is_empty()) else {
            return Ok(None);
        };
        let (type_name, id) = text
            .split_once('/')
            .ok_or(Failure::new(Code::RequestInvalid, "resource is Type/id"))?;
        Ok(Some((self.type_id(type_name)?, id_in_url(id)?)))
    }

    async fn quarantine(&self, query: &str) -> Result<Answer, Failure> {
        let permit = self.may_govern().await?;
        let Some((type_id, id)) = self.named(query)? else {
            let all = form::first(query, "all").as_deref() == Some("true");
            let found = self.store.quarantine(permit, all).await?;
            let items: Vec<QuarantineView> = found.into_iter().map(Into::into).collect();
            return parameters_of(&json!({ "items": items }));
        };
        let read = self.decide::<ReadAction>(Target::Instance(type_id, id.clone()));
        let damaged = self.store.damaged(permit, read.ok(), (type_id, id)).await?;
        let damaged = damaged.ok_or(Failure::of(Code::NotFound))?;
        Ok(Answer::Document(shown(damaged)?))
    }

    async fn decide_quarantine(&self, query: &str) -> Result<Answer, Failure> {
        let wrong = |text: &'static str| Failure::new(Code::RequestInvalid, text);
        // Who answers for it is somebody: the operator makes API clients.
        if self.principal().person().is_none() {
            return Err(self
                .refuse_for(ActionName::Administer, None, Code::PersonOnly)
                .await);
        }
        let (type_id, id) = self.named(query)?.ok_or(wrong("resource is Type/id"))?;
        let decision = form::first(query, "decision").unwrap_or_default();
        let decision = Decision::parse(&decision)
            .ok_or(wrong("decision is accept, revert, delete or note"))?;
        let remark = form::first(query, "remark").unwrap_or_default();
        let remark = remark.trim().to_owned();
        if remark.is_empty() || remark.len() > REMARK_BYTES_MAX {
            return Err(wrong("remark says why, in 1 to 500 bytes"));
        }
        let made = match decision {
            Decision::Note => {
                let permit = self.may_govern().await?;
                self.store
                    .note_quarantine(permit, (type_id, id.clone()), remark)
                    .await?;
                None
            }
            _ => {
                let seen = form::first(query, "digest").filter(|d| !d.is_empty());
                let settled = self.settle(decision, (type_id, &id), seen.as_deref(), remark);
                Some(settled.await?)
            }
        };
        parameters_of(&json!({
            "resource": format!("{}/{id}", self.model().type_name(type_id)),
            "decision": decision.as_str(),
            "version": made,
        }))
    }

    /// Makes the version that was decided for; its number.
    async fn settle(
        &self,
        decision: Decision,
        (type_id, id): (TypeId, &ResourceId),
        seen: Option<&str>,
        remark: String,
    ) -> Result<u64, Failure> {
        let target = || Target::Instance(type_id, id.clone());
        let read = self.permit::<ReadAction>(target()).await?;
        // Whoever does not see all of it cannot vouch for it.
        if self.is_guarded(type_id) {
            return Err(Failure::of(Code::ElementHidden));
        }
        let admin = self.may_govern().await?;
        let found = self
            .store
            .damaged(admin, Some(read), (type_id, id.clone()))
            .await?;
        let damaged = found.ok_or(conflict("nothing waits for a decision"))?;
        if !damaged.lines.iter().any(store::Quarantined::holds) {
            return Err(conflict("old versions are noted: what is current is good"));
        }
        // What is not shown to its caller is not for them to judge.
        if !damaged.reached {
            return Err(self.out_of_reach(type_id).await);
        }
        let version = damaged.current;
        let content = content(decision, damaged)?;
        must_be_seen(decision, content.as_deref(), seen)?;
        let write = match content {
            None => Write::Delete {
                permit: self.permit::<Delete>(target()).await?,
                type_id,
                id: id.clone(),
                condition: None,
            },
            Some(body) => {
                let permit = self.permit::<Update>(target()).await?;
                let identity = Identity {
                    type_id,
                    id: id.clone(),
                    body_id: BodyId::Required,
                };
                let valid = match decision {
                    Decision::Revert => self.readmit(&body, identity).await?,
                    _ => self.admit(&body, identity).await?,
                };
                Write::Put {
                    permit,
                    or_create: None,
                    resource: self.store.prepare(valid),
                    condition: None,
                    method: Method::Put,
                }
            }
        };
        let settlement = Settlement {
            decision,
            version,
            remark,
        };
        let admin = self.may_govern().await?;
        let written = self.store.settle(admin, write, settlement).await?;
        let made = written.into_iter().next().and_then(|w| w.stored);
        let made = made.ok_or(Failure::of(Code::Internal))?;
        Ok(made.get().version.0)
    }

    /// Refuses, recorded, to decide about what its caller's policy does not reach.
    async fn out_of_reach(&self, type_id: TypeId) -> Failure {
        let denied = Denied {
            actor: self.principal().actor(),
            action: ActionName::Update,
            type_id: Some(type_id),
            request: Box::new(self.request),
            lacks: None,
            read_only: false,
        };
        let text = "your policy reaches some resources of the type only, and not this one by what its \
                    last good version says: somebody who reaches it decides";
        self.refuse_saying(denied, text).await
    }
}

/// What is accepted is what was looked at: whoever decides names its digest, as it was shown.
fn must_be_seen(
    decision: Decision,
    content: Option<&[u8]>,
    seen: Option<&str>,
) -> Result<(), Failure> {
    match (content, seen) {
        (Some(content), Some(seen)) if !seen.eq_ignore_ascii_case(&digest_of(content)) => Err(
            conflict("the content is not the one whose digest is named: look at it again"),
        ),
        (Some(_), None) if decision == Decision::Accept => Err(Failure::new(
            Code::RequestInvalid,
            "digest is that of the changed content, as $quarantine shows it",
        )),
        _ => Ok(()),
    }
}

/// SHA-256, in hexadecimal digits.
fn digest_of(content: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, content);
    digest.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

/// What the new version says; nothing for a deletion.
fn content(decision: Decision, damaged: Damaged) -> Result<Option<Bytes>, Failure> {
    match decision {
        Decision::Accept => {
            let changed = damaged.changed.ok_or(conflict(
                "there is no changed content that could be accepted: revert it",
            ))?;
            Ok(Some(changed.into_inner().body))
        }
        Decision::Revert => {
            let good = damaged.last_good.ok_or(conflict(
                "no version carries its seal: accept what is there, or delete it",
            ))?;
            let good: Stored = good.into_inner();
            Ok((good.method != Method::Delete).then_some(good.body))
        }
        Decision::Delete if damaged.last_good.is_none() => Ok(None),
        Decision::Delete | Decision::Note => Err(conflict(
            "a version that carries its seal is there: revert to it",
        )),
    }
}

/// A Parameters resource with both contents byte for byte.
fn shown(damaged: Damaged) -> Result<Bytes, Failure> {
    let lines: Vec<QuarantineView> = damaged.lines.into_iter().map(Into::into).collect();
    let Answer::Document(out) = parameters_of(&json!({ "items": lines }))? else {
        return Err(Failure::of(Code::Internal));
    };
    let out: Value = serde_json::from_slice(&out).map_err(|_| Failure::of(Code::Internal))?;
    let parts = out.get("parameter").and_then(Value::as_array);
    let mut parts: Vec<String> = parts.into_iter().flatten().map(Value::to_string).collect();
    for (name, stored) in [
        ("changed", damaged.changed),
        ("lastGood", damaged.last_good),
    ] {
        let Some(stored) = stored else { continue };
        let stored = stored.into_inner();
        let digest = digest_of(&stored.body);
        parts.push(json!({ "name": format!("{name}Digest"), "valueString": digest }).to_string());
        parts.push(
            match (stored.method, serde_json::from_slice::<Value>(&stored.body)) {
                (Method::Delete, _) => {
                    json!({ "name": format!("{name}Deleted"), "valueBoolean": true }).to_string()
                }
                (_, Ok(Value::Object(_))) => {
                    let body = String::from_utf8_lossy(&stored.body);
                    format!("{{\"name\":\"{name}\",\"resource\":{body}}}")
                }
                // What lies there is no resource any more: it is shown as the text that it is.
                _ => {
                    let text = String::from_utf8_lossy(&stored.body);
                    json!({ "name": format!("{name}Text"), "valueString": text }).to_string()
                }
            },
        );
    }
    let parts = parts.join(",");
    Ok(Bytes::from(format!(
        "{{\"resourceType\":\"Parameters\",\"parameter\":[{parts}]}}"
    )))
}
