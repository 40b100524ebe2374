//! `X-Provenance` (`provenance.html#header`): a Provenance that comes beside a write and is stored
//! with it, in the same change, its `target` what was written.

use std::collections::HashMap;

use access::{Create, Target};
use base::{Code, ResourceId};
use bytes::Bytes;
use fhir::bundle::rewrite_references;
use fhir::definitions::TypeId;
use fhir::json::push_json_string;
use fhir::reference::one_spelling;
use fhir::resource::BodyId;
use store::{Prepared, Write};

use super::admit::Identity;
use crate::failure::Failure;
use crate::session::Session;

/// Something that was written.
pub(super) type Named = (TypeId, ResourceId);

impl Session {
    /// The session of a request that brings a Provenance, as JSON, for what it writes.
    #[must_use]
    pub fn with_provenance(mut self, provenance: Bytes) -> Self {
        self.provenance = Some(provenance);
        self
    }

    /// Writes that are asked for beside those of a body may not be lost: refuses what cannot have a
    /// Provenance of its own.
    ///
    /// # Errors
    /// `not-supported`
    pub(super) fn without_provenance(&self, what: &str) -> Result<(), Failure> {
        match &self.provenance {
            None => Ok(()),
            Some(_) => {
                let text = format!("X-Provenance is not taken with {what}");
                Err(Failure::new(Code::NotSupported, text))
            }
        }
    }

    /// The write of the request's Provenance, about these resources; none if it brings none, or
    /// nothing is written. `links` replaces its references as it does those of a transaction.
    ///
    /// # Errors
    /// Those of validation; `scope-missing`, recorded.
    pub(super) async fn provenance_of(
        &self,
        written: &[Named],
        links: &HashMap<String, String>,
    ) -> Result<Option<Write>, Failure> {
        let Some(given) = self.provenance.as_ref().filter(|_| !written.is_empty()) else {
            return Ok(None);
        };
        let type_id = self.type_id("Provenance")?;
        let permit = self.permit::<Create>(Target::Types(vec![type_id])).await?;
        let text = self.aimed(given, written, links)?;
        let identity = Identity {
            type_id,
            id: self.house().fresh_id(self.request.at),
            body_id: BodyId::Ignored,
        };
        let valid = self.admit(&text.into(), identity).await?;
        let resource = self.store.prepare(valid);
        Ok(Some(Write::Create { permit, resource }))
    }

    /// The Provenance with its targets.
    fn aimed(
        &self,
        given: &[u8],
        written: &[Named],
        links: &HashMap<String, String>,
    ) -> Result<String, Failure> {
        let wrong = |what| Err(Failure::new(Code::RequestInvalid, what));
        let checking = self.checking();
        let draft = checking.draft(given)?;
        if self.model().type_name(draft.type_id()) != "Provenance" {
            return wrong("X-Provenance holds a Provenance");
        }
        if draft.value().get("target").is_some() {
            return wrong("the Provenance in X-Provenance has no target: it is what is written");
        }
        let text = rewrite_references(self.model(), draft.value(), &mut |link| {
            links.get(&*one_spelling(link)).cloned()
        });
        let Some(rest) = text.trim_start().strip_prefix('{') else {
            return Err(Failure::of(Code::Internal));
        };
        let mut aimed = String::with_capacity(text.len() + 60 * written.len());
        aimed.push_str("{\"target\":[");
        for (at, (type_id, id)) in written.iter().enumerate() {
            if at > 0 {
                aimed.push(',');
            }
            aimed.push_str("{\"reference\":");
            let name = self.model().type_name(*type_id);
            push_json_string(&format!("{name}/{id}"), &mut aimed);
            aimed.push('}');
        }
        aimed.push_str("],");
        aimed.push_str(rest);
        Ok(aimed)
    }
}

/// The resource that a write leaves; none for a deletion.
pub(super) fn leaves(write: &Write) -> Option<Named> {
    let named = |resource: &Prepared| (resource.valid().type_id(), resource.valid().id().clone());
    match write {
        Write::Create { resource, .. } | Write::Put { resource, .. } => Some(named(resource)),
        Write::Delete { .. } => None,
    }
}
