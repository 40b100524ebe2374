//! From the bytes of a request to a resource that can be stored: parsed, checked, its index rows
//! extracted. Processor time only; large bodies are done beside the workers that serve requests.

use base::{Code, ResourceId};
use bytes::Bytes;
use fhir::definitions::{Model, TypeId};
use fhir::outcome::Outcome;
use fhir::resource::{Admission, BodyId, Draft, Valid};
use fhir::validate::Context;
use fhir::xml;

use crate::failure::Failure;
use crate::session::Session;

/// Bodies up to this many bytes are checked on the worker that serves the request.
const INLINE_BYTES_MAX: usize = 64 << 10;
/// Nesting that no stored resource passes, whatever limit it came in under.
const STORED_DEPTH_MAX: usize = 1_024;

/// Which id a resource gets and what the id in its body means.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) type_id: TypeId,
    pub(super) id: ResourceId,
    pub(super) body_id: BodyId,
}

/// What checking needs to know of the tenant; can go to another thread.
#[derive(Clone, Debug)]
pub(super) struct Checking {
    pub(super) model: &'static Model,
    pub(super) depth_max: usize,
    pub(super) issues_max: usize,
    pub(super) base: String,
}

impl Checking {
    pub(super) fn draft<'b>(&self, body: &'b [u8]) -> Result<Draft<'b>, Failure> {
        Ok(Draft::read(self.model, body, self.depth_max)?)
    }

    pub(super) fn admit(&self, body: &[u8], identity: &Identity) -> Result<Valid, Failure> {
        let draft = self.draft(body)?;
        Ok(self.admit_draft(&draft, identity)?)
    }

    pub(super) fn admit_draft(
        &self,
        draft: &Draft<'_>,
        identity: &Identity,
    ) -> Result<Valid, Outcome> {
        let own = [self.base.as_str()];
        Valid::admit(self.model, draft.value(), &self.admission(identity, &own))
    }

    /// The same of a body that was stored already, and carries its seal.
    fn readmit(&self, body: &[u8], identity: &Identity) -> Result<Valid, Failure> {
        let draft = Draft::read(self.model, body, STORED_DEPTH_MAX)?;
        let own = [self.base.as_str()];
        let admission = self.admission(identity, &own);
        Ok(Valid::readmit(self.model, draft.value(), &admission)?)
    }

    fn admission<'a>(&self, identity: &'a Identity, own: &'a [&'a str]) -> Admission<'a> {
        Admission {
            type_id: identity.type_id,
            id: &identity.id,
            body_id: identity.body_id,
            check: Context {
                own_bases: own,
                issues_max: self.issues_max,
            },
        }
    }
}

impl Session {
    pub(super) fn checking(&self) -> Checking {
        let limits = self.limits();
        let size = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
        Checking {
            model: self.model(),
            depth_max: size(limits.json_depth_max),
            issues_max: size(limits.outcome_issues_max),
            base: self.links().fhir(),
        }
    }

    /// The resource in a request's body, checked.
    pub(super) async fn admit(&self, body: &Bytes, identity: Identity) -> Result<Valid, Failure> {
        if is_blank(body) {
            return Err(Failure::of(Code::BodyEmpty));
        }
        let (checking, bytes) = (self.checking(), body.clone());
        self.compute(body.len(), move || checking.admit(&bytes, &identity))
            .await
    }

    /// The same of a resource that is sent whole. In a batch its references by URN lead nowhere: they are
    /// to entries of the same Bundle (`bundle.html#references`), and entries of a batch stand alone.
    pub(super) async fn admit_whole(
        &self,
        body: &Bytes,
        identity: Identity,
    ) -> Result<Valid, Failure> {
        let valid = self.admit(body, identity).await?;
        if self.in_batch && valid.dangling().is_some() {
            let text = "it refers to a URN, and entries of a batch do not refer to each other";
            return Err(Failure::new(Code::ReferenceMissing, text));
        }
        Ok(valid)
    }

    /// A version that was stored already and carries its seal, to be stored again: it is as it was accepted,
    /// whatever rules and limits came since.
    pub(super) async fn readmit(&self, body: &Bytes, identity: Identity) -> Result<Valid, Failure> {
        let (checking, bytes) = (self.checking(), body.clone());
        self.compute(body.len(), move || checking.readmit(&bytes, &identity))
            .await
    }

    /// A resource that came as XML, as the JSON text that the interactions take.
    ///
    /// # Errors
    /// `xml-syntax`, `xml-namespace`, `xml-text`, `limit-exceeded`, and those of validation for
    /// what has no JSON form.
    pub async fn from_xml(&self, body: Bytes) -> Result<Vec<u8>, Failure> {
        if is_blank(&body) {
            return Ok(Vec::new());
        }
        let (model, bounds) = (self.model(), self.xml_bounds());
        self.compute(body.len(), move || {
            Ok(xml::to_json(model, &body, &bounds)?.into_bytes())
        })
        .await
    }

    /// How much XML is taken.
    pub(super) fn xml_bounds(&self) -> xml::Bounds {
        let limits = self.limits();
        let size = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
        xml::Bounds {
            depth_max: size(limits.xml_depth_max),
            attributes_max: size(limits.xml_attributes_max),
            issues_max: size(limits.outcome_issues_max),
        }
    }

    /// Does processor work for an edge, on this many bytes: small work here, larger work beside
    /// the workers that serve requests.
    ///
    /// # Errors
    /// Those of the work; `internal`.
    pub async fn aside<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.compute(bytes, work).await
    }

    /// Does processor work for a body of this many bytes: small work here, larger work beside the
    /// workers that serve requests, tenants in turns, not more of it at once than there are
    /// processors.
    pub(super) async fn compute<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        if bytes <= INLINE_BYTES_MAX {
            return work();
        }
        let place = self.house().0.benches.place(*self.tenant().bytes()).await;
        let work = move || {
            store::stand_back();
            // Kept until the work is done, also when its caller is gone.
            let _place = place;
            work()
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done,
            Err(_) => Err(Failure::of(Code::Internal)),
        }
    }
}

/// Whether a body says nothing.
pub(super) fn is_blank(body: &[u8]) -> bool {
    body.iter().all(u8::is_ascii_whitespace)
}
