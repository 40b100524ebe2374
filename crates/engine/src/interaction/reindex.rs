//! `$reindex` and its status, and the tenant's own search parameters.

use std::fmt::Write as _;

use access::{Search, Target, Update};
use base::{Code, ResourceId};
use bytes::Bytes;
use fhir::json::push_json_string;
use store::IndexStatus;

use crate::answer::Answer;
use crate::failure::Failure;
use crate::session::Session;

/// The type whose right is asked for what concerns the whole index.
const DEFINED_BY: &str = "SearchParameter";

impl Session {
    /// Makes the index rows of one resource again, or of all resources in the background: answered
    /// at once, with the status.
    ///
    /// # Errors
    /// `scope-missing` without the right to update the resource, or SearchParameters; `not-found`.
    pub async fn reindex(&self, only: Option<(&str, &str)>) -> Result<Answer, Failure> {
        self.may_operate("reindex").await?;
        let only = match only {
            None => None,
            Some((name, id)) => {
                let id = ResourceId::new(id).map_err(|_| Failure::of(Code::NotFound))?;
                Some((self.type_id(name)?, id))
            }
        };
        let target = match &only {
            Some((type_id, id)) => Target::Instance(*type_id, id.clone()),
            None => Target::Types(vec![self.type_id(DEFINED_BY)?]),
        };
        let permit = self.permit::<Update>(target).await?;
        let one = only.is_some();
        self.store.reindex(permit, only).await?;
        if one {
            return Ok(Answer::Document(document(&IndexStatus::default(), self)));
        }
        self.reindex_status().await
    }

    /// How far the index is, as a Parameters resource: each parameter that the tenant defined, and
    /// whether rows are made again.
    ///
    /// # Errors
    /// `scope-missing` without the right to search SearchParameters.
    pub async fn reindex_status(&self) -> Result<Answer, Failure> {
        self.may_operate("reindex-status").await?;
        let target = Target::Types(vec![self.type_id(DEFINED_BY)?]);
        let permit = self.permit::<Search>(target).await?;
        let status = self.store.index_status(permit).await?;
        Ok(Answer::Document(document(&status, self)))
    }
}

fn document(status: &IndexStatus, session: &Session) -> Bytes {
    let running = status.again.is_some()
        || status
            .params
            .iter()
            .any(|p| p.state != store::ParamState::Serving);
    let mut out = String::from("{\"resourceType\":\"Parameters\",\"parameter\":[");
    let state = if running { "running" } else { "complete" };
    let _ = write!(out, "{{\"name\":\"status\",\"valueCode\":\"{state}\"}}");
    let all = session.model().types().collect();
    if let Some(done) = status.again
        && session.decide::<Search>(Target::Types(all)).is_ok()
        && session
            .model()
            .types()
            .all(|t| session.rights().seen(t).is_none())
    {
        let _ = write!(out, ",{{\"name\":\"reindexed\",\"valueDecimal\":{done}}}");
    }
    for param in &status.params {
        let definition = &param.definition;
        out.push_str(",{\"name\":\"searchParameter\",\"part\":[{\"name\":\"url\",\"valueUri\":");
        push_json_string(
            if definition.url.is_empty() {
                "urn:none"
            } else {
                &definition.url
            },
            &mut out,
        );
        out.push_str("},{\"name\":\"base\",\"valueCode\":");
        push_json_string(session.model().type_name(definition.type_id), &mut out);
        out.push_str("},{\"name\":\"code\",\"valueCode\":");
        push_json_string(&definition.code, &mut out);
        let _ = write!(
            out,
            "}},{{\"name\":\"status\",\"valueCode\":\"{}\"}}",
            param.state.as_str(),
        );
        // How many resources a type has is for those who may search it.
        let of = Target::Types(vec![definition.type_id]);
        let whole = session.rights().seen(definition.type_id).is_none();
        if whole && session.decide::<Search>(of).is_ok() {
            let _ = write!(
                out,
                ",{{\"name\":\"done\",\"valueDecimal\":{}}},{{\"name\":\"total\",\"valueDecimal\":{}}}",
                param.done, param.total
            );
        }
        out.push_str("]}");
    }
    out.push_str("]}");
    out.into()
}
