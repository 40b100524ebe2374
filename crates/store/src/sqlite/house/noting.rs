//! What is done to a tenant as a whole, recorded in the tenant's own trail too: there those see it whom
//! it concerns.

use access::ActionName;

use super::change::By;
use super::{Entry, House};
use crate::Result;
use crate::audit::{Asked, Outcome, Record, Subject};

impl House {
    /// Records something that was done; that it was is on the disk whatever happens here.
    pub(crate) fn note_in_trail(&self, entry: &Entry, by: &By, what: &str) {
        if let Err(e) = self.try_note(entry, by, what) {
            tracing::error!(
                tenant = %entry.tenant.name(),
                error = %e,
                "what was done to a tenant is not in its trail: {what}"
            );
        }
    }

    fn try_note(&self, entry: &Entry, by: &By, what: &str) -> Result<()> {
        let (actor, request) = by;
        let record = Record {
            request: *request,
            actor,
            action: ActionName::Administer,
            subject: Subject::Other(None, what),
            asked: Asked::default(),
            outcome: Outcome::Given(0),
        };
        let record = record.encode(None);
        let journal = &self.shared.journal;
        // Nobody opens it meanwhile: there is one pen at a time.
        let _opening = entry.opening.lock();
        let ticket = match entry.if_open() {
            Some(tenant) => journal.append(&tenant.pen, &record)?,
            None => {
                let keys = self.unwrap_keys(entry)?;
                let id = *entry.tenant.bytes();
                let pen = journal.pen(id, &keys.journal, &*self.shared.rng)?;
                journal.append(&pen, &record)?
            }
        };
        let _ = ticket;
        self.shared.metrics.journal_records.add(1);
        Ok(())
    }
}
