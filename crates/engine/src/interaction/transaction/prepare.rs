//! The resources of a transaction: their links replaced, checked, and made ready for the writer.
//! Processor time only.

use std::sync::Arc;

use base::Code;
use bytes::Bytes;
use fhir::bundle::{asks_for_versions, pin_references, resolved, rewrite_references};
use fhir::definitions::Model;
use fhir::reference::one_spelling;
use fhir::resource::Valid;
use store::Prepared;

use super::references::{Links, Versions};
use crate::failure::Failure;
use crate::interaction::admit::{Checking, Identity};
use crate::interaction::entry::Part;

/// What checking the resources of a transaction needs; can go to another thread.
pub(super) struct Checked {
    pub(super) checking: Checking,
    pub(super) parts: Arc<Vec<Part>>,
    pub(super) links: Arc<Links>,
    /// The versions that the transaction makes, where a reference asks for one.
    pub(super) versions: Option<Versions>,
}

/// What a link in an entry becomes. `versions`: where they are known already.
pub(super) fn target(
    model: &Model,
    links: &Links,
    versions: Option<&Versions>,
    part: &Part,
    link: &str,
) -> Option<String> {
    let link: &str = &one_spelling(link);
    if let Some(target) = links.get(link) {
        return Some(target.clone());
    }
    // A version that another server had becomes the one that the transaction makes of it; what has
    // kept its place here keeps its versions.
    if let Some((of, _)) = link.split_once("/_history/") {
        let made = target(model, links, None, part, of)?;
        let stays = of.strip_suffix(&made).is_some_and(str::is_empty);
        let version = versions?.get(&made).filter(|_| !stays)?;
        return Some(format!("{made}/_history/{version}"));
    }
    let (link, fragment) = link.split_once('#').map_or((link, ""), |(l, f)| (l, f));
    let found = links.get(link).or_else(|| {
        let absolute = resolved(model, part.full_url.as_deref()?, link)?;
        links.get(&absolute)
    })?;
    Some(if fragment.is_empty() {
        found.clone()
    } else {
        format!("{found}#{fragment}")
    })
}

/// References by URN lead to entries of the same Bundle and to nothing else
/// (`bundle.html#references`): the resource, if all of them did.
fn found(valid: Valid) -> Result<Valid, Failure> {
    if valid.dangling().is_none() {
        return Ok(valid);
    }
    let text = "it refers to a URN that no entry of the transaction has as its fullUrl";
    Err(Failure::new(Code::ReferenceMissing, text))
}

impl Checked {
    /// The resources, with their links replaced, checked and ready for the writer.
    pub(super) fn prepare(
        &self,
        identities: &[Option<Identity>],
        body: &Bytes,
        store: &store::TenantStore,
    ) -> Result<Vec<Option<Prepared>>, Failure> {
        let mut prepared = Vec::with_capacity(identities.len());
        for (part, identity) in self.parts.iter().zip(identities) {
            let Some(identity) = identity else {
                prepared.push(None);
                continue;
            };
            let one = self.one(part, identity, body, store);
            prepared.push(Some(one.map_err(|failure| failure.at_entry(part.index))?));
        }
        Ok(prepared)
    }

    fn one(
        &self,
        part: &Part,
        identity: &Identity,
        body: &Bytes,
        store: &store::TenantStore,
    ) -> Result<Prepared, Failure> {
        let bytes = part.body(body);
        let draft = self.checking.draft(&bytes)?;
        if self.links.is_empty() && self.versions.is_none() {
            return found(self.checking.admit_draft(&draft, identity)?).map(|v| store.prepare(v));
        }
        let model = self.checking.model;
        let mut map = |link: &str| target(model, &self.links, self.versions.as_ref(), part, link);
        let text = rewrite_references(model, draft.value(), &mut map);
        let text = self.pinned(text)?;
        found(self.checking.admit(text.as_bytes(), identity)?).map(|valid| store.prepare(valid))
    }

    /// The text with the versions that its references ask for.
    fn pinned(&self, text: String) -> Result<String, Failure> {
        let asks = asks_for_versions(text.as_bytes());
        let Some(versions) = self.versions.as_ref().filter(|_| asks) else {
            return Ok(text);
        };
        let draft = self.checking.draft(text.as_bytes())?;
        let mut lost = None;
        let base = format!("{}/", self.checking.base);
        let pinned = pin_references(self.checking.model, draft.value(), &mut |reference| {
            let local = reference.strip_prefix(&base).unwrap_or(reference);
            match versions.get(local) {
                Some(version) => Some(format!("{reference}/_history/{version}")),
                None => {
                    lost = Some(reference.to_owned());
                    None
                }
            }
        });
        match lost {
            None => Ok(pinned),
            Some(reference) => {
                let text = format!("no entry of the transaction makes a version of {reference}");
                Err(Failure::new(Code::BundleEntry, text))
            }
        }
    }
}
