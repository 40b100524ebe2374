//! The tenant's audit trail as AuditEvents.

use std::sync::Arc;

use access::{Permit, Read as ReadAction, Search};
use base::ResourceId;
use fhir::definitions::TypeId;
use fhir::search::Query;

use super::TenantStore;
use super::reading::not_covered;
use crate::audit::{Asked, Outcome, Shown, Subject};
use crate::sqlite::sha256;
use crate::sqlite::trail::{self, EventId};
use crate::{Page, PageRequest, Read, Result};

impl TenantStore {
    /// Whether a resource's name is of the form that events of the trail have.
    pub fn is_event(&self, type_id: TypeId, id: &ResourceId) -> bool {
        let model = fhir::definitions::Model::of(self.tenant.fhir());
        EventId::is_of(model, type_id, id.as_str())
    }

    /// A page of a search of AuditEvents: those of the trail, and those that clients sent. A page
    /// may have fewer than were asked for, or none, and be followed by others: reading the trail is
    /// broken off after `trail_ms_max`.
    ///
    /// # Errors
    /// `search-modifier` for what cannot be asked of the trail; `cursor-invalid`, `cursor-expired`,
    /// `limit-time` for a count that takes too long.
    pub async fn search_trail(
        &self,
        permit: Permit<Search>,
        query: Arc<Query>,
        page: PageRequest,
    ) -> Result<Page> {
        let spent = permit.spend(&self.tenant);
        let entry = self.serving()?.clone();
        if query.types.iter().any(|t| !spent.allows(*t)) {
            return Err(not_covered());
        }
        let digest = sha256(&query.bytes());
        let type_id = query.types.first().copied();
        let words = page.asked.clone();
        let wanted = trail::Wanted { query, page };
        let (spent, (page, rows)) = self
            .handle
            .0
            .read_trail(&entry, move |tenant| {
                let done = trail::search(tenant, &spent, &wanted)?;
                Ok((spent, done))
            })
            .await?;
        let asked = Asked {
            query: words.as_deref(),
            ..Asked::default()
        };
        // Events of the trail are none of the rows.
        let given = u32::try_from(page.entries.len()).unwrap_or(u32::MAX);
        let subject = Subject::Query(type_id, &digest);
        if rows.is_empty() && given > 0 {
            self.noted(&spent, subject, asked, Outcome::Given(given))
                .await?;
        } else {
            let shown = Shown::Resources(page.as_of, &rows);
            self.note_shown(&spent, subject, asked, shown, false)
                .await?;
        }
        Ok(page)
    }

    /// An event of the trail.
    pub async fn read_event(
        &self,
        permit: Permit<ReadAction>,
        type_id: TypeId,
        id: &ResourceId,
    ) -> Result<Read> {
        let spent = permit.spend(&self.tenant);
        let entry = self.serving()?.clone();
        if !spent.covers(type_id, id) {
            return Err(not_covered());
        }
        let rule = spent.rule(type_id).cloned();
        let found = match EventId::parse(id.as_str()).filter(|_| spent.sees_trail()) {
            None => None,
            Some(event) => {
                self.handle
                    .0
                    .read_trail(&entry, move |tenant| {
                        trail::one(tenant, rule.as_ref(), &event)
                    })
                    .await?
            }
        };
        let outcome = found
            .as_ref()
            .map_or(Outcome::Nothing, |_| Outcome::Given(1));
        let subject = Subject::Instance(type_id, id);
        self.noted(&spent, subject, Asked::default(), outcome)
            .await?;
        Ok(found.map_or(Read::Absent, |stored| {
            Read::Found(spent.release(type_id, stored))
        }))
    }
}
