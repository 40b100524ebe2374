//! Requests that read many times and are one access: one record of them, with everything that was shown.

use std::collections::HashSet;
use std::sync::Arc;

use access::{Action, ActionName, Actor, RequestMeta, Spent};
use base::limits::fixed::SEARCHED_PATIENTS_MAX;
use base::{ResourceId, Seq, Version};
use fhir::definitions::TypeId;
use parking_lot::Mutex;

use super::TenantStore;
use super::reading::marked;
use crate::Result;
use crate::audit::{Asked, Outcome, Record, Shown, Subject};

/// An operation, as its record names it.
#[derive(Clone, Debug)]
pub struct Operated {
    /// Its name, without `$`.
    pub name: &'static str,
    /// What it is asked of.
    pub type_id: Option<TypeId>,
    /// The resource, where it is asked of one.
    pub id: Option<ResourceId>,
    /// What was asked, as it came.
    pub asked: String,
}

/// What reads of one access found so far.
pub(super) struct Gathers {
    of: Operated,
    found: Mutex<Option<Gathered>>,
}

struct Gathered {
    request: RequestMeta,
    actor: Actor,
    /// The version of the resource that the operation is asked of, where that was given.
    version: Option<Version>,
    /// As of when the rows are.
    as_of: Option<Seq>,
    rows: Vec<i64>,
    known: HashSet<i64>,
    /// Patients whom it asked about by name.
    named: Vec<ResourceId>,
}

impl Gathers {
    /// Takes the rows that a read is about to show, and whom it asked about by name; whether it did. Those of
    /// another state are not of this record.
    pub(super) fn shows<A: Action>(
        &self,
        spent: &Spent<A>,
        shown: Shown<'_>,
        (named, opened): (&[ResourceId], bool),
    ) -> bool {
        let Shown::Resources(as_of, rows) = shown else {
            return false;
        };
        let mut found = self.found.lock();
        let found = found.get_or_insert_with(|| Gathered::of(spent));
        if !rows.is_empty() && *found.as_of.get_or_insert(as_of) != as_of {
            return false;
        }
        found.request = marked(found.request, opened);
        for id in named {
            if found.named.len() < SEARCHED_PATIENTS_MAX && !found.named.contains(id) {
                found.named.push(id.clone());
            }
        }
        for row in rows {
            if found.known.insert(*row) {
                found.rows.push(*row);
            }
        }
        true
    }

    /// Takes the read of the resource that the operation is asked of; whether it is that.
    pub(super) fn reads<A: Action>(
        &self,
        (request, spent): (RequestMeta, &Spent<A>),
        subject: Subject<'_>,
        version: Option<Version>,
        outcome: Outcome,
    ) -> bool {
        let Subject::Instance(type_id, id) = subject else {
            return false;
        };
        let is_it = spent.action() == ActionName::Read
            && self.of.type_id == Some(type_id)
            && self.of.id.as_ref() == Some(id);
        let given = matches!(outcome, Outcome::Given(_));
        if !is_it || matches!(outcome, Outcome::Refused(_)) {
            return false;
        }
        let mut found = self.found.lock();
        let found = found.get_or_insert_with(|| Gathered::of(spent));
        found.request = marked(found.request, request.break_glass);
        found.version = version.filter(|_| given).or(found.version);
        true
    }
}

impl Gathered {
    fn of<A: Action>(spent: &Spent<A>) -> Self {
        Self {
            request: spent.request(),
            actor: spent.actor().clone(),
            version: None,
            as_of: None,
            rows: Vec::new(),
            known: HashSet::new(),
            named: Vec::new(),
        }
    }
}

impl TenantStore {
    /// Does something whose reads are one access: what they show is in one record, which is written
    /// before anything of it is given back. What `work` reads of other states than the first, and what is
    /// refused in it, has records of its own.
    ///
    /// # Errors
    /// `audit-unavailable`: then nothing is given back.
    pub async fn as_one<T, F>(&self, of: Operated, work: impl FnOnce(Self) -> F) -> Result<T>
    where
        F: Future<Output = T>,
    {
        let gathers = Arc::new(Gathers {
            of,
            found: Mutex::new(None),
        });
        let mut one = self.clone();
        one.gathers = Some(gathers.clone());
        let done = work(one).await;
        let found = gathers.found.lock().take();
        if let Some(found) = found {
            self.note_gathered(&gathers.of, &found).await?;
        }
        Ok(done)
    }

    async fn note_gathered(&self, of: &Operated, found: &Gathered) -> Result<()> {
        let subject = match (of.type_id, &of.id) {
            (Some(type_id), Some(id)) => Subject::Instance(type_id, id),
            _ => Subject::Other(of.type_id, of.name),
        };
        let given = u32::from(found.version.is_some());
        let mut record = Record {
            request: found.request,
            actor: &found.actor,
            action: ActionName::Search,
            subject,
            asked: Asked {
                query: Some(&of.asked),
                version: found.version,
                patients: &found.named,
                ..Asked::default()
            },
            outcome: match given {
                0 => Outcome::Nothing,
                _ => Outcome::Given(given),
            },
        };
        let shown = found
            .as_of
            .map(|as_of| Shown::Resources(as_of, &found.rows));
        let Some(shown) = shown.filter(|shown| shown.count() > 0) else {
            return self.append(&record, None).await;
        };
        for piece in shown.pieces() {
            record.outcome = Outcome::Given(piece.count());
            self.append(&record, Some(piece)).await?;
        }
        Ok(())
    }
}
