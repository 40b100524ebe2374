//! A tenant's own search parameters, and making its index rows again.

use std::sync::Arc;

use access::{Permit, Policy, Search, Update};
use base::{Code, ResourceId};
use fhir::definitions::TypeId;
use fhir::search::Customs;
use fhir::search::custom::Definition;
use rusqlite::OptionalExtension as _;

use super::TenantStore;
use crate::audit::{Outcome, Subject};
use crate::sqlite::cases::Case;
use crate::sqlite::fault::Doing;
use crate::sqlite::index::IdKey;
use crate::sqlite::params::{self, ParamState, build};
use crate::sqlite::readers::Class;
use crate::sqlite::{rows, sight};
use crate::{Result, StoreError};

/// How far the index of a tenant's own search parameter is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamStatus {
    /// What was defined.
    pub definition: Definition,
    /// How far it is.
    pub state: ParamState,
    /// Resources that are indexed: all, once it serves. Those that are written while it is built are
    /// not counted before.
    pub done: u64,
    /// Resources of the type.
    pub total: u64,
}

/// How far a tenant's index is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexStatus {
    /// Its own parameters.
    pub params: Vec<ParamStatus>,
    /// Index rows of all resources are made again: so many resources are done.
    pub again: Option<u64>,
}

fn count(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

impl TenantStore {
    /// The tenant's own search parameters, as they are now.
    pub async fn customs(&self) -> Result<Arc<Customs>> {
        self.serving()?;
        Ok(self.opened().await?.customs())
    }

    /// Whether there may be code systems, so that it has to be asked in which case counts.
    pub async fn may_hold_code_systems(&self) -> Result<bool> {
        self.serving()?;
        Ok(self.opened().await?.cases.any())
    }

    /// Whether case does not count in codes of a system, as far as it is remembered.
    pub async fn case_of(&self, system: &str) -> Result<Case> {
        Ok(self.opened().await?.cases.of(system))
    }

    /// Remembers what a search for its CodeSystem found, which was begun when `seen` was said.
    pub async fn know_case(&self, system: &str, seen: u64, caseless: bool) -> Result<()> {
        self.opened().await?.cases.know(system, seen, caseless);
        Ok(())
    }

    /// What rights are made of: the policy in force, and the tenant's own search parameters.
    pub async fn governing(&self) -> Result<(Arc<Policy>, Arc<Customs>)> {
        if let Some(tenant) = self.entry()?.if_open() {
            return Ok((tenant.policy(), tenant.customs()));
        }
        let tenant = self.opened().await?;
        Ok((tenant.policy(), tenant.customs()))
    }

    /// How far the index is.
    pub async fn index_status(&self, permit: Permit<Search>) -> Result<IndexStatus> {
        let spent = permit.spend(&self.tenant);
        let entry = self.serving()?;
        let found = self
            .handle
            .0
            .read(entry, Class::Scan, None, |tenant, db, _| {
                let mut status = IndexStatus {
                    again: build::again(db)?.map(count),
                    ..IndexStatus::default()
                };
                for line in params::lines(db)? {
                    let total = db
                        .prepare_cached(
                            "SELECT count(*) FROM ix_type WHERE type = ?1 AND until_seq = 0",
                        )
                        .and_then(|mut s| s.query_row([line.definition.type_id.0], |r| r.get(0)))
                        .doing("counting resources")?;
                    // What is committed serves a moment later, when searches know of it.
                    let (of, code) = (line.definition.type_id, &line.definition.code);
                    let serves = tenant.customs().serving(of, code).is_some();
                    let state = match line.state {
                        ParamState::Serving if !serves => ParamState::Building,
                        state => state,
                    };
                    let total = count(total);
                    // A build that is over did all there were; those that came since are indexed as well.
                    let done = match state {
                        ParamState::Serving => total,
                        _ => count(line.done).min(total),
                    };
                    status.params.push(ParamStatus {
                        definition: line.definition,
                        state,
                        done,
                        total,
                    });
                }
                Ok(status)
            })
            .await?;
        let outcome = Outcome::Given(u32::try_from(found.params.len()).unwrap_or(u32::MAX));
        let subject = Subject::Other(None, "index-status");
        self.note(
            spent.request(),
            spent.actor(),
            spent.action(),
            subject,
            outcome,
        )
        .await?;
        Ok(found)
    }

    /// Makes the index rows of a resource again, or, in the background, those of all resources.
    /// Rows that are as they should be stay untouched.
    ///
    /// # Errors
    /// `not-found`
    pub async fn reindex(
        &self,
        permit: Permit<Update>,
        only: Option<(TypeId, ResourceId)>,
    ) -> Result<()> {
        let spent = permit.spend(&self.tenant);
        let entry = self.serving()?;
        let subject = match &only {
            Some((type_id, id)) if spent.covers(*type_id, id) => Subject::Instance(*type_id, id),
            Some(_) => {
                let text = "the permit is for something else".to_owned();
                return Err(StoreError::Refused(Code::Internal, text));
            }
            None => Subject::Other(None, "reindex"),
        };
        self.note(
            spent.request(),
            spent.actor(),
            spent.action(),
            subject,
            Outcome::Given(0),
        )
        .await?;
        let rule = (only.as_ref()).and_then(|(type_id, _)| spent.rule(*type_id).cloned());
        self.handle
            .0
            .on_index(entry, move |tenant, state| {
                let Some((type_id, id)) = only else {
                    return build::begin_again(state);
                };
                let rid: Option<i64> = state
                    .db
                    .query_row(
                        "SELECT rid FROM resource WHERE type = ?1 AND id = ?2 AND deleted = 0",
                        (type_id.0, IdKey::of_id(&id)),
                        |r| r.get(0),
                    )
                    .optional()
                    .doing("looking a resource up")?;
                // What is out of reach is looked at like what is not there.
                let reached = match &rule {
                    Some(rule) => {
                        let place = (rid.unwrap_or(-1), rows::last_seq(&state.db)?);
                        state.pending.flush(&state.db).doing("writing index rows")?;
                        sight::meets_rule(tenant, &state.db, rule, place, type_id)?
                    }
                    None => true,
                };
                let Some(rid) = rid.filter(|_| reached) else {
                    let text = "no such resource".to_owned();
                    return Err(StoreError::Refused(Code::NotFound, text));
                };
                build::again_one(tenant, state, rid)?;
                state.pending.flush(&state.db).doing("writing index rows")
            })
            .await
    }
}
