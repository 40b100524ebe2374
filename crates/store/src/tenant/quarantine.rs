//! The background check, and deciding about what it kept apart.
//!
//! To see what is kept apart takes the right to administer; to see its content, and to decide by making
//! another version, takes the ordinary rights to the resource as well.

use std::sync::Arc;

use access::{ActionName, Administer, Permit, Read as ReadAction, Rule, Spent};
use base::{Code, Micros, ResourceId, Seq, Version};
use fhir::definitions::TypeId;

use super::TenantStore;
use super::deeds::to_the_end;
use super::reading::{current_or_last_good, not_covered};
use crate::audit::{Asked, Outcome, Subject};
use crate::sqlite::fault::broken;
use crate::sqlite::readers::Class;
use crate::sqlite::{OpenTenant, apply, blob, in_snapshot, quarantine, rows, sight, writer};
use crate::{
    Change, Damaged, Decision, Quarantined, Result, ScrubStatus, Settlement, StoreError, Stored,
    Write, Written,
};

/// Lines of the list that are shown.
const LIST_MAX: usize = 1_000;

/// What was found of a resource that waits.
struct Found {
    lines: Vec<Quarantined>,
    current: Version,
    changed: Option<Stored>,
    /// Its row, and its last good version.
    good: Option<(i64, Stored)>,
    /// How its caller sees it; none where the index is what is wrong.
    seen: Option<sight::Seen>,
}

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
                    let mut found = Found {
                        lines,
                        current,
                        changed: None,
                        good: None,
                        seen: Some(sight::Seen::Not),
                    };
                    if !content {
                        return Ok(Some(found));
                    }
                    let misindexed = tenant.quarantine.is_misindexed(rid);
                    let good = match &rule {
                        Some(rule) if !misindexed => {
                            let apart = Err(broken("it is kept apart"));
                            current_or_last_good(tenant, db, rule, apart, rid)?
                        }
                        _ => rows::last_good(tenant, db, rid)?,
                    };
                    found.seen = match (&rule, &good) {
                        (None, _) => Some(sight::Seen::Whole),
                        (Some(_), Some(_)) if misindexed => None,
                        (Some(rule), Some(good)) => {
                            let place = (rid, rows::last_seq(db)?);
                            Some(sight::seen(tenant, db, rule, place, &good.stored)?)
                        }
                        (Some(_), None) => Some(sight::Seen::Not),
                    };
                    if found.lines.iter().any(Quarantined::unreadable) {
                        found.changed = rows::unsealed(tenant, db, rid, current)?;
                    }
                    found.good = match good {
                        Some(good) => Some((rid, blob::whole(tenant, db, good.stored)?)),
                        None => None,
                    };
                    Ok(Some(found))
                })
            })
            .await?;
        let Some(found) = found else {
            return Ok(None);
        };
        let (lines, current) = (found.lines, found.current);
        let Some(read) = read else {
            return Ok(Some(Damaged {
                lines,
                current,
                changed: None,
                reached: false,
                last_good: None,
            }));
        };
        let seen = match (found.seen, &found.good, read.rule(type_id)) {
            (Some(seen), _, _) => seen,
            (None, Some(good), Some(rule)) => self.seen_as_it_says(rule, good).await?,
            (None, _, _) => sight::Seen::Not,
        };
        let changed = found
            .changed
            .and_then(|s| seen.clone().of(s).ok().flatten());
        let reached = !matches!(seen, sight::Seen::Not);
        let good = match found.good {
            Some((_, good)) => seen.of(good)?,
            None => None,
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
            reached,
            last_good: good.map(release),
        }))
    }

    /// How a rule shows a resource of which the index is wrong: by what its last good version says.
    async fn seen_as_it_says(
        &self,
        rule: &Arc<Rule>,
        (rid, good): &(i64, Stored),
    ) -> Result<sight::Seen> {
        let (rule, rid, good) = (rule.clone(), *rid, good.clone());
        let work = move |tenant: &Arc<OpenTenant>, slot: &mut Option<writer::WriterState>| {
            writer::alone(tenant, slot, |tenant, state| {
                let as_of = Seq(state.seq);
                apply::supposing(tenant, state, (rid, &good), |db| {
                    sight::as_indexed(tenant, db, &rule, (rid, as_of), good.type_id)
                })
            })
        };
        self.handle.0.with_writer(self.serving()?, work).await
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
        self.must_speak_for_clinic(&spent, "decide about quarantine")
            .await?;
        let (type_id, id) = write.target();
        let about = (type_id, id.clone());
        let decision = settlement.decision;
        let change = Change {
            writes: vec![write],
            ..Change::default()
        };
        let store = self.clone();
        to_the_end(async move {
            let done = store
                .commit_settling(spent.request(), change, Some(settlement))
                .await;
            store.decided(&spent, decision, about, done).await
        })
        .await
    }

    /// Records what was decided about which resource, or that it was not.
    async fn decided<T>(
        &self,
        spent: &Spent<Administer>,
        decision: Decision,
        (type_id, id): (TypeId, ResourceId),
        done: Result<T>,
    ) -> Result<T> {
        let outcome = match &done {
            Ok(_) => Outcome::Given(0),
            Err(e) => Outcome::Refused(e.code()),
        };
        let kind = self.opened().await?.model.type_name(type_id);
        let what = format!("{} quarantine {kind}/{id}", decision.as_str());
        let subject = Subject::Other(None, &what);
        let (request, actor) = (spent.request(), spent.actor());
        let noted = self
            .note(request, actor, ActionName::Administer, subject, outcome)
            .await;
        self.learn_quarantine().await?;
        noted?;
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
        let about = (type_id, id.clone());
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
        let (store, entry) = (self.clone(), entry.clone());
        to_the_end(async move {
            let done = store.handle.0.with_writer(&entry, work).await;
            store.decided(&spent, Decision::Note, about, done).await
        })
        .await
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
