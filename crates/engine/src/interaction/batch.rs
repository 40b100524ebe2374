//! batch (`http.html#transaction`): each entry for itself; one that fails does not touch the
//! others. Entries are done side by side, so they must not depend on each other, as FHIR says.

use std::sync::Arc;

use base::Code;
use bytes::Bytes;
use fhir::bundle::{Bundle, BundleKind};
use fhir::validate::Context;
use tokio::task::JoinSet;

use super::admit::{Checking, is_blank};
use super::entry::Part;
use crate::answer::{Answer, EntryAnswer};
use crate::failure::Failure;
use crate::session::Session;

/// Entries of one batch that are done at the same time.
const SIDE_BY_SIDE: usize = 32;

/// A Bundle apart from its document.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) kind: BundleKind,
    /// In document order.
    pub(super) parts: Vec<Result<Part, Failure>>,
    /// Positions of the good ones in the order in which they are processed.
    pub(super) order: Vec<usize>,
}

impl Session {
    /// Processes a batch or a transaction.
    ///
    /// # Errors
    /// `bundle-type`, `bundle-entry`, `limit-exceeded`, and for a transaction those of its entries.
    pub async fn bundle(&self, body: &Bytes, strict: bool) -> Result<Answer, Failure> {
        if is_blank(body) {
            return Err(Failure::of(Code::BodyEmpty));
        }
        let entries_max = usize::try_from(self.limits().bundle_entries_max).unwrap_or(usize::MAX);
        let (checking, bytes) = (self.checking(), body.clone());
        let read = move || take_apart(&checking, &bytes, entries_max);
        let parts = self.compute(body.len(), read).await?;
        self.spend_entries(parts.parts.len()).await?;
        match parts.kind {
            BundleKind::Batch => {
                self.without_provenance("a batch")?;
                self.batch(parts, body, strict).await
            }
            BundleKind::Transaction => self.transaction(parts, body, strict).await,
        }
    }

    /// Each entry counts as a request; one of them came as the request itself.
    async fn spend_entries(&self, entries: usize) -> Result<(), Failure> {
        let more = u32::try_from(entries.saturating_sub(1)).unwrap_or(u32::MAX);
        if more == 0 {
            return Ok(());
        }
        let principal = self.principal();
        let grant = match principal.vendor() {
            Some(id) => self.store.vendor(id).await?,
            None => None,
        };
        let rate = grant.and_then(|g| g.terms.as_ref().and_then(|t| t.rate));
        let house = &self.house().0;
        house
            .rates
            .spend_entries(self.tenant(), principal, rate, more, &house.metrics)
    }

    async fn batch(&self, parts: Parts, body: &Bytes, strict: bool) -> Result<Answer, Failure> {
        let mut session = self.clone();
        session.in_batch = true;
        let session = Arc::new(session);
        let mut answers: Vec<EntryAnswer> = Vec::with_capacity(parts.parts.len());
        let mut running: JoinSet<(usize, EntryAnswer)> = JoinSet::new();
        for (index, part) in parts.parts.into_iter().enumerate() {
            answers.push(Err(Failure::of(Code::Internal)));
            match part {
                Err(failure) => put(&mut answers, index, Err(failure)),
                Ok(part) => {
                    let (session, bytes) = (session.clone(), part.body(body));
                    running.spawn(async move {
                        let answer = session.perform(&part, &bytes, strict).await;
                        (index, answer.map_err(|failure| failure.at_entry(index)))
                    });
                }
            }
            if running.len() >= SIDE_BY_SIDE {
                done(&mut answers, running.join_next().await);
            }
        }
        while let Some(joined) = running.join_next().await {
            done(&mut answers, Some(joined));
        }
        Ok(Answer::Responses {
            transaction: false,
            entries: answers,
        })
    }
}

type Joined = Option<Result<(usize, EntryAnswer), tokio::task::JoinError>>;

fn done(answers: &mut [EntryAnswer], joined: Joined) {
    // An entry whose task ended badly keeps its internal failure.
    if let Some(Ok((index, answer))) = joined {
        put(answers, index, answer);
    }
}

fn put(answers: &mut [EntryAnswer], index: usize, answer: EntryAnswer) {
    if let Some(slot) = answers.get_mut(index) {
        *slot = answer;
    }
}

/// Reads the shell of a Bundle.
fn take_apart(checking: &Checking, body: &[u8], entries_max: usize) -> Result<Parts, Failure> {
    let draft = checking.draft(body)?;
    let own = [checking.base.as_str()];
    let context = Context {
        own_bases: &own,
        issues_max: checking.issues_max,
    };
    let bundle = Bundle::read(checking.model, draft.value(), entries_max, &context)?;
    let order = bundle.order();
    let parts = bundle
        .entries
        .iter()
        .enumerate()
        .map(|(index, entry)| match entry {
            Ok(entry) => Part::read(entry, &checking.base).map_err(|f| f.at_entry(index)),
            Err(outcome) => Err(Failure::from(outcome.clone())),
        });
    Ok(Parts {
        kind: bundle.kind,
        parts: parts.collect(),
        order,
    })
}
