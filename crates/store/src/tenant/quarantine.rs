//! The background check, and deciding about what it kept apart.
//!
//! To see what is kept apart takes the right to administer; to see its content, and to decide by making
//! another version, takes the ordinary rights to the resource as well.

use std::sync::Arc;

use access::{Administer, Permit, Read as ReadAction};
use base::{Code, Micros, ResourceId, Version};
use fhir::definitions::TypeId;

use super::TenantStore;
use super::reading::{current_or_last_good, not_covered};
use crate::audit::{Asked, Outcome, Subject};
use crate::sqlite::fault::broken;
use crate::sqlite::readers::Class;
use crate::sqlite::{OpenTenant, blob, in_snapshot, quarantine, rows, sight, writer};
use crate::{
    Change, Damaged, Decision, Quarantined, Result, ScrubStatus, Settlement, StoreError, Stored,
    Write, Written,
};

/// Lines of the list that are shown.
const LIST_MAX: usize = 1_000;

impl TenantStore {
    /// Begins to check all rows, unless that is under way. `hurry`: not bound by
    /// `scrub_rows_per_second`.
    pub async fn begin_scrub(
        &self,
        permit: Permit<Administer>,
        hurry: bool,
    ) -> Result<ScrubStatus> {
        let spent = permit.spend(&self.tenant);
        let entry = self.entry()?.clone();
        entry.must_stay()?;
        self.administered(&spent, "begin scrub").await?;
        self.handle
            .0
            .aside(move |house| house.begin_scrub(&entry, hurry))
            .await
    }

    /// How far the check of all rows is.
    pub async fn scrub_status(&self, permit: Permit<Administer>) -> Result<ScrubStatus> {
        let _ = permit.spend(&self.tenant);
        let entry = self.entry()?.clone();
        entry.must_stay()?;
        self.handle
            .0
            .aside(move |house| house.scrub_status(&entry))
            .await
    }

    /// What is kept apart, the newest first; with `all` also what was decided about.
    pub async fn quarantine(
        &self,
        permit: Permit<Administer>,
        all: bool,
    ) -> Result<Vec<Quarantined>> {
        let spent = permit.spend(&self.tenant);
        let entry = self.entry()?;
        entry.must_stay()?;
        self.administered(&spent, "list quarantine").await?;
        self.handle
            .0
            .read(entry, Class::Scan, None, move |tenant, db, _| {
                quarantine::list(db, tenant.model, (!all, LIST_MAX), tenant.chain())
            })
            .await
    }

    /// A resource that waits for a decision; with a right to read it also what lies there and its
    /// last good version. Nothing if it does not wait.
    pub async fn damaged(
        &self,
        permit: Permit<Administer>,
        read: Option<Permit<ReadAction>>,
        (type_id, id): (TypeId, ResourceId),
    ) -> Result<Option<Damaged>> {
        let spent = permit.spend(&self.tenant);
        let read = read.map(|permit| permit.spend(&self.tenant));
        if read.as_ref().is_some_and(|read| !read.covers(type_id, &id)) {
            return Err(not_covered());
        }
        let entry = self.serving()?;
        self.administered(&spent, "show quarantine").await?;
        let rule = read.as_ref().and_then(|read| read.rule(type_id).cloned());
        let (wanted, content) = (id.clone(), read.is_some());
        let found = self
            .handle
            .0
            .read(entry, Class::Scan, None, move |tenant, db, _| {
                in_snapshot(db, || {
                    let lines =
                        quarantine::of(db, tenant.model, (type_id, &wanted), tenant.chain())?;
                    let Some((rid, _)) = lines.first() else {
                        return Ok(None);
                    };
                    let rid = *rid;
                    let current: i64 = rows::version_number(db, rid)?;
                    let current = Version(u64::try_from(current).unwrap_or(0));
                    let lines: Vec<Quarantined> = lines.into_iter().map(|(_, l)| l).collect();
                    if !content {
                        return Ok(Some((lines, current, None, None)));
                    }
                    let good = match &rule {
                        None => rows::last_good(tenant, db, rid)?,
                        Some(rule) => {
                            let apart = Err(broken("it is kept apart"));
                            current_or_last_good(tenant, db, rule, apart, rid)?
                        }
                    };
                    let seen = match (&rule, &good) {
                        (None, _) => sight::Seen::Whole,
                        (Some(rule), Some(good)) => {
                            let place = (rid, rows::last_seq(db)?);
                            sight::seen(tenant, db, rule, place, &good.stored)?
                        }
                        (Some(_), None) => sight::Seen::Not,
                    };
                    let damaged = lines.iter().any(Quarantined::unreadable);
                    let changed = match damaged {
                        true => rows::unsealed(tenant, db, rid, current)?,
                        false => None,
                    };
                    let changed = changed.and_then(|s| seen.clone().of(s).ok().flatten());
                    let good = match good {
                        Some(good) => seen.of(blob::whole(tenant, db, good.stored)?)?,
                        None => None,
                    };
                    Ok(Some((lines, current, changed, good)))
                })
            })
            .await?;
        let Some((lines, current, changed, good)) = found else {
            return Ok(None);
        };
        let Some(read) = read else {
            return Ok(Some(Damaged {
                lines,
                current,
                changed: None,
                last_good: None,
            }));
        };
        let given = u32::from(changed.is_some() || good.is_some());
        self.noted(
            &read,
            Subject::Instance(type_id, &id),
            Asked::default(),
            Outcome::Given(given),
        )
        .await?;
        let release = |stored: Stored| read.release(type_id, stored);
        Ok(Some(Damaged {
            lines,
            current,
            changed: changed.map(release),
            last_good: good.map(release),
        }))
    }

    /// Decides about a resource by writing it: an ordinary write, in the same transaction with the
    /// line that says what was decided.
    ///
    /// # Errors
    /// As [`Self::commit`]; `quarantine-decision` if it does not wait any more.
    pub async fn settle(
        &self,
        permit: Permit<Administer>,
        write: Write,
        settlement: Settlement,
    ) -> Result<Vec<Written>> {
        let spent = permit.spend(&self.tenant);
        self.serving()?;
        let what = [settlement.decision.as_str(), " quarantine"].concat();
        self.administered(&spent, &what).await?;
        let change = Change {
            writes: vec![write],
            ..Change::default()
        };
        let done = self
            .commit_settling(spent.request(), change, Some(settlement))
            .await;
        self.learn_quarantine().await?;
        done
    }

    /// Decides that what is wrong with old versions of a resource stays as it is.
    ///
    /// # Errors
    /// `quarantine-decision` where what is current is wrong.
    pub async fn note_quarantine(
        &self,
        permit: Permit<Administer>,
        (type_id, id): (TypeId, ResourceId),
        remark: String,
    ) -> Result<()> {
        let spent = permit.spend(&self.tenant);
        let entry = self.serving()?;
        self.administered(&spent, "note quarantine").await?;
        let (by, now): (String, Micros) = (spent.actor().as_str().to_owned(), spent.request().at);
        let work = move |tenant: &Arc<OpenTenant>, slot: &mut Option<writer::WriterState>| {
            writer::alone_durably(tenant, slot, |tenant, state| {
                let lines =
                    quarantine::of(&state.db, tenant.model, (type_id, &id), tenant.chain())?;
                let refuse = |text: &str| {
                    Err(StoreError::Refused(
                        Code::QuarantineDecision,
                        text.to_owned(),
                    ))
                };
                let Some((rid, _)) = lines.first() else {
                    return refuse("nothing waits for a decision");
                };
                if lines.iter().any(|(_, line)| line.holds()) {
                    return refuse("what is current is wrong: accept it or revert it");
                }
                let (by, remark) = (by.as_str(), remark.as_str());
                let at = (now, tenant.chain());
                quarantine::decide(&state.db, *rid, Decision::Note, (by, remark), None, at)
            })
        };
        self.handle.0.with_writer(entry, work).await?;
        self.learn_quarantine().await
    }

    async fn learn_quarantine(&self) -> Result<()> {
        self.handle
            .0
            .read(self.entry()?, Class::Point, None, |tenant, db, _| {
                tenant.quarantine.learn(db, tenant.chain())?;
                tenant.reaches.forget();
                Ok(())
            })
            .await
    }
}
