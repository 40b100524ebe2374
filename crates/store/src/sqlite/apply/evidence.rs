//! Nobody opens a chart to themselves by writing what policy takes for evidence: that somebody cares for a
//! patient, or was asked by them. It is looked at which patients the caller reaches before the change and
//! after it, of those whom the written resources name.
//!
//! The change that makes the evidence shows nothing yet (see [`super`]); this refuses it, so that the next
//! request does not stand on it either. Who administers the tenant may.

use std::sync::Arc;

use access::Rule;
use base::{Code, ResourceId, Seq};
use bytes::Bytes;
use fhir::definitions::TypeId;
use fhir::search::query::Clause;

use super::{Making, Op, find, refused};
use crate::sqlite::{rows, sight};
use crate::{Method, Result, Stored};

/// A patient whom a write names, and which ways of its caller led to them before it.
pub(super) struct Watched {
    entry: usize,
    patient: ResourceId,
    ways: Arc<Vec<Clause>>,
    led: Vec<bool>,
}

/// Clauses that look at resources of a type: ways to patients, and the whole.
fn clauses(making: &Making<'_>, rule: &Rule, of: TypeId) -> Vec<Clause> {
    let looks = |clause: &&Clause| clause.looks_at(making.tenant.model).contains(&of);
    let ways = rule.ways().iter().filter_map(|way| way.clause.as_ref());
    ways.chain(rule.filter()).filter(looks).cloned().collect()
}

impl Making<'_> {
    /// What writes of evidence may open, before anything is written.
    pub(super) fn watched(&mut self, ops: &[Op]) -> Result<Vec<Watched>> {
        let mut watched = Vec::new();
        let Some(patient) = self.tenant.model.type_id("Patient") else {
            return Ok(watched);
        };
        for (entry, op) in ops.iter().enumerate() {
            let Some(rule) = op.evidence(patient) else {
                continue;
            };
            let ways = Arc::new(clauses(self, &rule, op.target().0));
            if ways.is_empty() {
                continue;
            }
            for id in self.named(op)? {
                let led = self.led(&ways, (patient, &id), Seq(self.state.seq))?;
                watched.push(Watched {
                    entry,
                    patient: id,
                    ways: ways.clone(),
                    led,
                });
            }
        }
        Ok(watched)
    }

    /// Refuses a change that leads its caller to a patient to whom nothing like it led before.
    pub(super) fn must_not_open(&mut self, watched: &[Watched]) -> Result<()> {
        let Some(patient) = self.tenant.model.type_id("Patient") else {
            return Ok(());
        };
        for before in watched {
            let now = self.led(&before.ways, (patient, &before.patient), self.seq)?;
            let opens = now.iter().zip(&before.led).any(|(now, then)| *now && !then);
            if opens {
                let text = "it would open the chart of a patient to whoever writes it";
                return Err(refused(before.entry, Code::OwnEvidence, text));
            }
        }
        Ok(())
    }

    fn led(
        &mut self,
        clauses: &[Clause],
        (patient, id): (TypeId, &ResourceId),
        as_of: Seq,
    ) -> Result<Vec<bool>> {
        let Some(rid) = find(&self.state.db, patient, id)?.map(|c| c.rid) else {
            return Ok(vec![false; clauses.len()]);
        };
        let mut all = Vec::with_capacity(clauses.len());
        for clause in clauses {
            all.push(self.meets(clause, patient, (rid, &[]), as_of)?);
        }
        Ok(all)
    }

    /// The patients whom a write names: in what is there, and in what it makes of it.
    fn named(&mut self, op: &Op) -> Result<Vec<ResourceId>> {
        let (type_id, id) = op.target();
        let mut found = Vec::new();
        let current = rows::current(self.tenant, &self.state.db, type_id, id);
        // One in quarantine cannot be read: what was decided about it is what counts.
        if let Ok(Some(current)) = current
            && current.stored.method != Method::Delete
        {
            found.extend(sight::patients(self.tenant, &current.stored)?);
        }
        if let Some(resource) = op.resource() {
            let body = self.whole(resource, id);
            let stored = Stored {
                type_id,
                id: id.clone(),
                version: base::Version(1),
                updated: self.updated,
                method: Method::Put,
                body: Bytes::from(body),
                data: None,
            };
            found.extend(sight::patients(self.tenant, &stored)?);
        }
        found.sort();
        found.dedup();
        Ok(found)
    }
}
