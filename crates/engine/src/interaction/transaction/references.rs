//! What references inside a transaction mean: the full URLs of its entries, and conditional
//! references (`http.html#trules`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use access::{Target, Update};
use base::{Code, ResourceId, Version};
use bytes::Bytes;
use fhir::bundle::rewrite_references;
use fhir::definitions::TypeId;
use store::{Condition, Expectation, Expected, Read};

use super::{Step, one};
use crate::answer::Answer;
use crate::failure::Failure;
use crate::interaction::admit::Checking;
use crate::interaction::criteria::Criteria;
use crate::interaction::entry::Part;
use crate::session::Session;

/// References to be replaced, as they are written, and their targets.
pub(super) type Links = HashMap<String, String>;

/// The version that a transaction makes of each resource that it writes, by `Type/id`.
pub(super) type Versions = HashMap<String, Version>;

impl Session {
    /// The versions that steps make. Steps that make one of what is there are tied to what was there
    /// when it was looked at.
    pub(super) async fn versions_made(&self, steps: &mut [Step]) -> Result<Versions, Failure> {
        let mut versions = Versions::new();
        for (index, step) in steps.iter_mut().enumerate() {
            let made = self.version_made(step).await;
            if let Some((type_id, id, version)) = made.map_err(|failure| failure.at_entry(index))? {
                let name = self.model().type_name(type_id);
                versions.insert(format!("{name}/{id}"), version);
            }
        }
        Ok(versions)
    }

    async fn version_made(
        &self,
        step: &mut Step,
    ) -> Result<Option<(TypeId, ResourceId, Version)>, Failure> {
        let (identity, condition) = match step {
            Step::Settled(answer) => {
                let Answer::Existing { stored, .. } = &**answer else {
                    return Ok(None);
                };
                let stored = stored.get();
                return Ok(Some((stored.type_id, stored.id.clone(), stored.version)));
            }
            Step::Create(identity) => {
                return Ok(Some((identity.type_id, identity.id.clone(), Version(1))));
            }
            Step::Patch(identity, Condition::Version(patched), _) => {
                let made = Version(patched.0 + 1);
                return Ok(Some((identity.type_id, identity.id.clone(), made)));
            }
            Step::Put(identity, _, condition) | Step::Update(identity, condition) => {
                (identity, condition)
            }
            Step::Patch(..) | Step::Delete(..) | Step::Read => return Ok(None),
        };
        let (type_id, id) = (identity.type_id, identity.id.clone());
        let permit = self
            .permit::<Update>(Target::Instance(type_id, id.clone()))
            .await?;
        let made = match self.store.read_to_change(permit, type_id, &id).await?.0 {
            Read::Found(stored) => {
                let current = stored.get().version;
                if matches!(condition, None | Some(Condition::Present)) {
                    *condition = Some(Condition::Version(current));
                }
                Version(current.0 + 1)
            }
            Read::Deleted(stored) => {
                *condition = condition.or(Some(Condition::Absent));
                Version(stored.get().version.0 + 1)
            }
            Read::Absent => Version(1),
        };
        Ok(Some((type_id, id, made)))
    }

    /// Where the entries' full URLs lead to.
    pub(super) fn links_between(&self, parts: &[Part], steps: &[Step]) -> Links {
        let mut links = Links::new();
        for (part, step) in parts.iter().zip(steps) {
            let Some(full_url) = &part.full_url else {
                continue;
            };
            let target = match step {
                Step::Settled(answer) => match &**answer {
                    Answer::Existing { stored, .. } => {
                        Some((stored.get().type_id, stored.get().id.clone()))
                    }
                    _ => None,
                },
                other => other.identity().map(|i| (i.type_id, i.id.clone())),
            };
            if let Some((type_id, id)) = target {
                let name = self.model().type_name(type_id);
                links.insert(full_url.clone(), format!("{name}/{id}"));
            }
        }
        links
    }

    /// Resolves references of the form `Patient?identifier=…` (`http.html#trules`): each must
    /// match exactly one resource that is stored, or else one that this transaction writes.
    pub(super) async fn conditional_references(
        &self,
        parts: &Arc<Vec<Part>>,
        body: &Bytes,
        steps: &[Step],
        links: &mut Links,
        expectations: &mut Vec<Expectation>,
    ) -> Result<(), Failure> {
        let writes: Vec<bool> = steps.iter().map(|step| step.identity().is_some()).collect();
        let (checking, parts, bytes) = (self.checking(), parts.clone(), body.clone());
        let find = move || find_conditional(&checking, &parts, &writes, &bytes);
        let found = self.compute(body.len(), find).await?;
        for (index, reference) in found.references {
            let resolve = self.resolve(&reference, &found.identifiers, steps, expectations);
            let target = resolve.await.map_err(|failure| failure.at_entry(index))?;
            links.insert(reference, target);
        }
        Ok(())
    }

    async fn resolve(
        &self,
        reference: &str,
        identifiers: &HashMap<(String, String), Vec<usize>>,
        steps: &[Step],
        expectations: &mut Vec<Expectation>,
    ) -> Result<String, Failure> {
        let ambiguous = || Failure::of(Code::ReferenceAmbiguous);
        let (type_name, text) = reference.split_once('?').ok_or_else(ambiguous)?;
        let type_id = self.type_id(type_name)?;
        let criteria: Criteria = self.criteria(type_id, text).await?;
        let found = match self.match_of(&criteria).await {
            Err(failure) if failure.code() == Code::MultipleMatches => return Err(ambiguous()),
            found => found?,
        };
        let expected = found.as_ref().map_or(Expected::Nothing, one);
        expectations.push(self.expectation(&criteria, expected).await?);
        let goes = |id: &ResourceId| {
            let deletes =
                |step: &Step| matches!(step, Step::Delete(t, i, _) if *t == type_id && i == id);
            steps.iter().any(deletes)
        };
        if let Some(stored) = found.filter(|stored| !goes(&stored.get().id)) {
            return Ok(format!("{type_name}/{}", stored.get().id));
        }
        let identifier = crate::form::decode(text.strip_prefix("identifier=").unwrap_or(""));
        let key = (type_name.to_owned(), identifier.into_owned());
        let inside = identifiers.get(&key).map_or(&[][..], Vec::as_slice);
        let [only] = inside else {
            return Err(ambiguous());
        };
        let identity = steps.get(*only).and_then(Step::identity);
        let identity = identity.ok_or_else(ambiguous)?;
        Ok(format!("{type_name}/{}", identity.id))
    }
}

/// Conditional references of a transaction, and what they may mean inside it.
#[derive(Default)]
struct Conditional {
    /// Each once, with the first entry that has it.
    references: Vec<(usize, String)>,
    /// Entries by type and `system|value` of their identifiers.
    identifiers: HashMap<(String, String), Vec<usize>>,
}

fn find_conditional(
    checking: &Checking,
    parts: &[Part],
    writes: &[bool],
    body: &Bytes,
) -> Result<Conditional, Failure> {
    let mut found = Conditional::default();
    let mut seen = HashSet::new();
    for (part, _) in parts.iter().zip(writes).filter(|(_, writes)| **writes) {
        let bytes = part.body(body);
        if !bytes.contains(&b'?') {
            continue;
        }
        let draft = checking
            .draft(&bytes)
            .map_err(|failure| failure.at_entry(part.index))?;
        let mut note = |link: &str| {
            let criteria = link
                .split_once('?')
                .is_some_and(|(type_name, _)| checking.model.type_id(type_name).is_some());
            if criteria && seen.insert(link.to_owned()) {
                found.references.push((part.index, link.to_owned()));
            }
            None
        };
        let _ = rewrite_references(checking.model, draft.value(), &mut note);
    }
    if found.references.is_empty() {
        return Ok(found);
    }
    for (part, _) in parts.iter().zip(writes).filter(|(_, writes)| **writes) {
        let bytes = part.body(body);
        let draft = checking
            .draft(&bytes)
            .map_err(|failure| failure.at_entry(part.index))?;
        let name = checking.model.type_name(draft.type_id());
        let identifiers = draft.value().get("identifier");
        for identifier in identifiers.into_iter().flat_map(fhir::json::Value::items) {
            let text = |name| {
                let value = identifier.get(name).and_then(fhir::json::Value::as_str);
                value.unwrap_or_default()
            };
            let key = (
                name.to_owned(),
                format!("{}|{}", text("system"), text("value")),
            );
            let entries = found.identifiers.entry(key).or_default();
            if !entries.contains(&part.index) {
                entries.push(part.index);
            }
        }
    }
    Ok(found)
}
