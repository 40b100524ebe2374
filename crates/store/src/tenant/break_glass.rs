//! Opening a patient in an emergency, ending it early, and saying afterwards what to think of it.
//!
//! Each is recorded in the journal before it is done, and durable before it is answered.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use access::{ActionName, Administer, Permit, PersonId, RequestMeta, Spent, Why};
use base::{Code, Micros, ResourceId};

use super::TenantStore;
use crate::audit::{Asked, Outcome, Record, Subject};
use crate::sqlite::house::change::By;
use crate::sqlite::index::IdKey;
use crate::sqlite::readers::Class;
use crate::sqlite::{OpenTenant, administration, break_glass, writer};
use crate::{Opening, OpeningCounts, Result, StoreError};

/// Openings that a list shows.
const LIST_MAX: usize = 1_000;

/// What is done with an opening, in words, and with whose.
type What = (String, Option<ResourceId>);

impl TenantStore {
    /// Whom a person has opened, without touching a disk.
    pub fn openings_of(&self, person: (&PersonId, u64), now: Micros) -> Vec<Arc<Opening>> {
        let open = self.entry.as_ref().and_then(|entry| entry.if_open());
        open.map_or_else(Vec::new, |tenant| tenant.openings.of(person, now))
    }

    /// Opens a patient.
    ///
    /// # Errors
    /// `not-found` if there is no such patient; `limit-query` if the person has too many open.
    pub async fn open_patient(&self, permit: Permit<Administer>, opening: Opening) -> Result<()> {
        let spent = permit.spend(&self.tenant);
        let patient = Some(opening.patient.clone());
        let what = (
            format!("break-glass Patient/{}", opening.patient.as_str()),
            patient,
        );
        let why = Why::new(&opening.reason);
        let (by, now) = (super::by(&spent), spent.request().at);
        let looked_up = opening.clone();
        let fits = self
            .handle
            .0
            .read(self.serving()?, Class::Point, None, move |tenant, db, _| {
                must_fit(tenant, &looked_up, now)?;
                must_be_there(tenant, db, &looked_up)
            });
        self.broken_open(&spent, &what, why, fits.await).await?;
        let work = move |tenant: &Arc<OpenTenant>, slot: &mut Option<writer::WriterState>| {
            must_fit(tenant, &opening, now)?;
            vouched(tenant, slot, &by, |tenant, state| {
                must_be_there(tenant, &state.db, &opening)?;
                break_glass::put(&state.db, &opening, tenant.chain())
            })?;
            tenant.openings.learn(opening, now);
            Ok(())
        };
        let done = self.handle.0.with_writer(self.serving()?, work).await;
        self.or_refused(&spent, &what, why, done).await
    }

    /// Changes an opening: `change` is given what it is now, and nobody else changes it meanwhile.
    ///
    /// # Errors
    /// `not-found`; those of `change`, and then nothing is changed.
    pub async fn change_opening(
        &self,
        permit: Permit<Administer>,
        (id, what): (&str, &str),
        change: impl Fn(&mut Opening) -> Result<()> + Send + 'static,
    ) -> Result<Opening> {
        let spent = permit.spend(&self.tenant);
        // To end one is everybody's; what to think of it is for the clinic to say.
        if !what.starts_with("end ") {
            self.must_speak_for_clinic(&spent, what).await?;
        }
        let (by, now) = (super::by(&spent), spent.request().at);
        let id = id.to_owned();
        let wanted = id.clone();
        let found = self
            .handle
            .0
            .read(self.serving()?, Class::Point, None, move |tenant, db, _| {
                break_glass::get(db, tenant.chain(), &wanted)?.ok_or_else(unknown)
            })
            .await;
        let (what, may) = match found {
            Ok(mut found) => {
                let patient = found.patient.clone();
                let what = [what, " ", &id, " Patient/", patient.as_str()].concat();
                ((what, Some(patient)), change(&mut found))
            }
            Err(e) => (([what, " ", &id].concat(), None), Err(e)),
        };
        self.broken_open(&spent, &what, Why::NONE, may).await?;
        let work = move |tenant: &Arc<OpenTenant>, slot: &mut Option<writer::WriterState>| {
            let opening = vouched(tenant, slot, &by, |tenant, state| {
                let found = break_glass::get(&state.db, tenant.chain(), &id)?;
                let mut opening = found.ok_or_else(unknown)?;
                change(&mut opening)?;
                break_glass::put(&state.db, &opening, tenant.chain())?;
                Ok(opening)
            })?;
            tenant.openings.learn(opening.clone(), now);
            Ok(opening)
        };
        let done = self.handle.0.with_writer(self.serving()?, work).await;
        self.or_refused(&spent, &what, Why::NONE, done).await
    }

    /// Records that what was about to be done was refused after all: somebody else was faster.
    async fn or_refused<T>(
        &self,
        spent: &Spent<Administer>,
        what: &What,
        why: Why,
        done: Result<T>,
    ) -> Result<T> {
        match done {
            Err(e) => self.broken_open(spent, what, why, Err(e)).await,
            done => done,
        }
    }

    /// Records what is about to be done with an opening and why, or that it is refused.
    async fn broken_open<T>(
        &self,
        spent: &Spent<Administer>,
        (words, patient): &What,
        why: Why,
        may: Result<T>,
    ) -> Result<T> {
        let request = RequestMeta {
            why,
            ..spent.request()
        };
        let outcome = match &may {
            Ok(_) => Outcome::Given(0),
            Err(e) => Outcome::Refused(e.code()),
        };
        let record = Record {
            request,
            actor: spent.actor(),
            action: ActionName::Administer,
            subject: Subject::Other(None, words),
            asked: Asked {
                patient: patient.as_ref(),
                ..Asked::default()
            },
            outcome,
        };
        self.append(&record, None).await?;
        may
    }

    /// An opening, by id. Looking it up is no right to show it.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn opening(&self, permit: Permit<Administer>, id: &str) -> Result<Opening> {
        let spent = permit.spend(&self.tenant);
        let known = base::ResourceId::new(id).is_ok();
        let named = if known { id } else { "of another name" };
        self.administered(&spent, &["look up break-glass ", named].concat())
            .await?;
        let id = id.to_owned();
        self.handle
            .0
            .read(self.serving()?, Class::Point, None, move |tenant, db, _| {
                break_glass::get(db, tenant.chain(), &id)?.ok_or_else(unknown)
            })
            .await
    }

    /// Records that a reviewer looks at what was done under an opening.
    pub async fn looked_at_opening(&self, permit: Permit<Administer>, id: &str) -> Result<()> {
        let spent = permit.spend(&self.tenant);
        self.administered(&spent, &["look at break-glass ", id].concat())
            .await
    }

    /// Openings, the newest first: all that wait for a review, and with `reviewed` the newest others.
    pub async fn openings(
        &self,
        permit: Permit<Administer>,
        reviewed: bool,
    ) -> Result<Vec<Opening>> {
        let spent = permit.spend(&self.tenant);
        self.administered(&spent, "list break-glass").await?;
        self.handle
            .0
            .read(self.serving()?, Class::Scan, None, move |tenant, db, _| {
                break_glass::shown(db, tenant.chain(), reviewed, LIST_MAX)
            })
            .await
    }

    /// How many openings wait.
    pub async fn opening_counts(&self, permit: Permit<Administer>) -> Result<OpeningCounts> {
        let now = permit.spend(&self.tenant).request().at;
        let entry = self.entry()?;
        entry.must_stay()?;
        self.handle
            .0
            .read(entry, Class::Scan, None, move |tenant, db, _| {
                let within = tenant.shared.config.limits.break_glass_review_seconds;
                break_glass::counts(db, tenant.chain(), now, within)
            })
            .await
    }
}

/// Changes openings, durably, together with what vouches for all of them from then on.
fn vouched<T>(
    tenant: &Arc<OpenTenant>,
    slot: &mut Option<writer::WriterState>,
    by: &By,
    change: impl FnOnce(&Arc<OpenTenant>, &mut writer::WriterState) -> Result<T>,
) -> Result<T> {
    let now = tenant.shared.clock.now();
    let (done, head) = writer::alone_durably(tenant, slot, |tenant, state| {
        let held = administration::openings_hold(&state.db)?;
        let done = change(tenant, state)?;
        let head = administration::record_openings(state, tenant.chain(), by, now, held)?;
        Ok((done, head))
    })?;
    if let Some(head) = head {
        // It made no version: what the cache knows of every change before, it knows of this one.
        tenant.marked.fetch_max(head.seq.0, Ordering::AcqRel);
        tenant.tell_head(head);
    }
    Ok(done)
}

/// A person opens so many patients at once.
fn must_fit(tenant: &OpenTenant, opening: &Opening, now: Micros) -> Result<()> {
    let max = tenant.shared.config.limits.openings_per_person_max;
    let person = (&opening.person, opening.person_epoch);
    match tenant.openings.of(person, now).len() as u64 >= max {
        true => Err(StoreError::Limit {
            code: Code::LimitQuery,
            limit: "openings_per_person_max",
            max,
        }),
        false => Ok(()),
    }
}

/// A patient who is not there is not opened.
fn must_be_there(tenant: &OpenTenant, db: &rusqlite::Connection, opening: &Opening) -> Result<()> {
    use crate::sqlite::fault::Doing as _;
    let type_id = tenant.model.type_id("Patient").map_or(u16::MAX, |t| t.0);
    let there: bool = db
        .query_row(
            "SELECT EXISTS (SELECT 1 FROM resource WHERE type = ?1 AND id = ?2 AND deleted = 0)",
            (type_id, IdKey::of_id(&opening.patient)),
            |r| r.get(0),
        )
        .doing("looking a patient up")?;
    match there {
        true => Ok(()),
        false => Err(unknown()),
    }
}

fn unknown() -> StoreError {
    StoreError::Refused(Code::NotFound, "no such resource".to_owned())
}
