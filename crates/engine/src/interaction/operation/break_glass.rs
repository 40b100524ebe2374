//! `Patient/{id}/$break-glass`, `$break-glass`, `$break-glass-end` and `$break-glass-review`: a person
//! opens one patient whom their rights do not reach, for a time, with a reason, and somebody else says
//! afterwards what to think of it.

use access::{
    Administer, Denied, Permit, PersonId, Reason, decide_opening, decide_openings,
    decide_reviewing, decide_system,
};
use base::{Code, Micros, ResourceId};
use serde::Serialize;
use serde_json::json;
use store::{AccessQuery, Opening, OpeningCounts, Review, StoreError};

use super::super::read::id_in_url;
use super::{Input, On};
use crate::answer::Answer;
use crate::failure::Failure;
use crate::form;
use crate::policies::parameters_of;
use crate::session::Session;
use crate::tenants::Operator;

/// The purpose of use: break the glass (`v3-ActReason`).
const PURPOSE: &str = "BTG";
/// Bytes of a reason or a remark.
const TEXT_BYTES_MAX: usize = 500;

/// An opening, as it is shown.
#[derive(Debug, Serialize)]
struct OpeningView {
    id: String,
    patient: String,
    person: String,
    grant: String,
    purpose: String,
    reason: String,
    opened: String,
    until: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
    #[serde(rename = "endedBy", skip_serializing_if = "Option::is_none")]
    ended_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    review: Option<ReviewView>,
}

#[derive(Debug, Serialize)]
struct ReviewView {
    verdict: &'static str,
    by: String,
    at: String,
    remark: String,
}

/// One access, as a reviewer sees it: which resources, never what they say.
#[derive(Debug, Serialize)]
struct AccessView {
    record: u64,
    at: String,
    action: &'static str,
    resources: Vec<String>,
}

/// How many openings wait, as operators see it.
#[derive(Debug, Serialize)]
pub struct OpeningCountsView {
    open: u64,
    due: u64,
    overdue: u64,
}

impl From<OpeningCounts> for OpeningCountsView {
    fn from(counts: OpeningCounts) -> Self {
        Self {
            open: counts.open,
            due: counts.due,
            overdue: counts.overdue,
        }
    }
}

fn view(opening: &Opening, now: Micros, review_seconds: u64) -> OpeningView {
    let instant = |t: Micros| t.instant().to_string();
    OpeningView {
        id: opening.id.to_string(),
        patient: format!("Patient/{}", opening.patient),
        person: opening.actor.clone(),
        grant: opening.grant.clone(),
        purpose: opening.purpose.clone(),
        reason: opening.reason.clone(),
        opened: instant(opening.opened),
        until: instant(opening.until),
        state: opening.state(now, review_seconds).as_str(),
        ended: opening.ended.as_ref().map(|(at, _)| instant(*at)),
        ended_by: opening.ended.as_ref().map(|(_, by)| by.clone()),
        review: opening.review.as_ref().map(|review| ReviewView {
            verdict: match review.objects {
                true => "object",
                false => "accept",
            },
            by: review.by.clone(),
            at: instant(review.at),
            remark: review.remark.clone(),
        }),
    }
}

fn invalid(text: &'static str) -> Failure {
    Failure::new(Code::RequestInvalid, text)
}

fn conflict(text: &'static str) -> StoreError {
    StoreError::Refused(Code::BreakGlassState, text.to_owned())
}

/// A text parameter, without blanks around it.
fn text(query: &str, name: &str) -> Option<String> {
    let text = form::first(query, name)?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

fn bounded(text: String) -> Result<String, Failure> {
    match text.len() > TEXT_BYTES_MAX {
        true => Err(invalid("a reason or remark has at most 500 bytes")),
        false => Ok(text),
    }
}

impl Session {
    /// One of the operations on break-glass.
    ///
    /// # Errors
    /// `scope-missing`, `step-up-required`, recorded; those of each.
    pub(super) async fn break_glass(
        &self,
        name: &str,
        on: On<'_>,
        input: &Input<'_>,
    ) -> Result<Answer, Failure> {
        let query = match self.simple_parameters(input) {
            Ok(query) => query,
            Err(wrong) => {
                // Whoever has no right to any of it is told so first.
                let may =
                    decide_openings(self.principal(), self.rights(), self.tenant(), self.request);
                drop(self.given(may).await?);
                return Err(wrong);
            }
        };
        match (name, on) {
            ("break-glass", On::Instance("Patient", id)) => self.open_patient(id, &query).await,
            ("break-glass", On::System) => self.openings(&query).await,
            ("break-glass-end", On::System) => self.end_opening(&query).await,
            ("break-glass-review", On::System) if text(&query, "verdict").is_some() => {
                self.review_opening(&query).await
            }
            ("break-glass-review", On::System) => self.look_at_opening(&query).await,
            _ => Err(super::unknown(name)),
        }
    }

    async fn given<T>(&self, decided: Result<T, Denied>) -> Result<T, Failure> {
        match decided {
            Ok(given) => Ok(given),
            Err(denied) => Err(self.refuse(denied).await),
        }
    }

    fn opening_view(&self, opening: &Opening) -> OpeningView {
        let within = self.limits().break_glass_review_seconds;
        view(opening, self.request.at, within)
    }

    fn is_own(&self, opening: &Opening) -> bool {
        let person: Option<(&PersonId, u64)> = self.principal().person();
        person.is_some_and(|(id, _)| *id == opening.person)
    }

    async fn open_patient(&self, id: &str, query: &str) -> Result<Answer, Failure> {
        let limits = self.limits();
        let fresh = i64::try_from(limits.step_up_seconds_max).unwrap_or(i64::MAX);
        let wanted = text(query, "grant");
        let (permit, offer) = self
            .given(decide_opening(
                self.principal(),
                self.rights(),
                self.tenant(),
                self.request,
                wanted.as_deref(),
                self.request.at.plus_secs(-fresh),
            ))
            .await?;
        let patient: ResourceId = id_in_url(id)?;
        let reason = text(query, "reason").ok_or(Failure::new(
            Code::ReasonRequired,
            "a patient is opened with a reason: the parameter reason says why",
        ))?;
        let reason = bounded(reason)?;
        let purpose = text(query, "purpose").unwrap_or_else(|| PURPOSE.to_owned());
        if purpose != PURPOSE {
            return Err(invalid("purpose is BTG"));
        }
        let seconds = match text(query, "minutes") {
            None => offer.seconds,
            Some(minutes) => {
                let minutes: i64 = minutes
                    .parse()
                    .map_err(|_| invalid("minutes is a number"))?;
                if minutes < 1 || minutes.saturating_mul(60) > offer.seconds {
                    return Err(invalid(
                        "minutes is at least 1 and at most what the grant says",
                    ));
                }
                minutes * 60
            }
        };
        let Some((person, person_epoch)) = self.principal().person() else {
            return Err(Failure::of(Code::Internal));
        };
        let at = self.request.at;
        let opening = Opening {
            id: self.house().fresh_id(at).as_str().into(),
            person: person.clone(),
            person_epoch,
            actor: self.principal().actor().as_str().to_owned(),
            grant: offer.grant.into(),
            patient,
            purpose,
            reason,
            opened: at,
            until: at.plus_secs(seconds),
            ended: None,
            review: None,
        };
        self.store.open_patient(permit, opening.clone()).await?;
        parameters_of(&self.opening_view(&opening))
    }

    async fn may_look_at_openings(&self) -> Result<Permit<Administer>, Failure> {
        let decided = decide_openings(self.principal(), self.rights(), self.tenant(), self.request);
        self.given(decided).await
    }

    async fn may_review(&self, opening: &Opening) -> Result<Permit<Administer>, Failure> {
        let decided = decide_reviewing(
            self.principal(),
            self.rights(),
            self.tenant(),
            self.request,
            &opening.grant,
        );
        self.given(decided).await
    }

    /// One's own openings, and those that one reviews.
    async fn openings(&self, query: &str) -> Result<Answer, Failure> {
        let permit = self.may_look_at_openings().await?;
        let wanted = text(query, "state");
        let all = self.store.openings(permit).await?;
        let mine = |o: &&Opening| self.is_own(o) || self.rights().reviews(&o.grant);
        let items: Vec<OpeningView> = all
            .iter()
            .filter(mine)
            .map(|opening| self.opening_view(opening))
            .filter(|view| match wanted.as_deref() {
                None => true,
                // What is overdue is due.
                Some("due") => matches!(view.state, "due" | "overdue"),
                Some(state) => view.state == state,
            })
            .collect();
        parameters_of(&json!({ "items": items }))
    }

    /// The opening that a request names, if the caller may know of it.
    async fn opening_named(&self, query: &str) -> Result<Opening, Failure> {
        let permit = self.may_look_at_openings().await?;
        let id = text(query, "id").ok_or(invalid("id names an opening"))?;
        let opening = self.store.opening(permit, &id).await?;
        match self.is_own(&opening) || self.rights().reviews(&opening.grant) {
            true => Ok(opening),
            false => Err(Failure::of(Code::NotFound)),
        }
    }

    async fn end_opening(&self, query: &str) -> Result<Answer, Failure> {
        let opening = self.opening_named(query).await?;
        let permit = match self.is_own(&opening) {
            true => self.may_look_at_openings().await?,
            false => self.may_review(&opening).await?,
        };
        let (by, now) = (
            self.principal().actor().as_str().to_owned(),
            self.request.at,
        );
        let end = move |opening: &mut Opening| {
            if !opening.is_open(now) {
                return Err(conflict("it is over"));
            }
            opening.ended = Some((now, by));
            Ok(())
        };
        let ended = self
            .store
            .change_opening(permit, (&opening.id, "end break-glass"), end)
            .await?;
        parameters_of(&self.opening_view(&ended))
    }

    async fn review_opening(&self, query: &str) -> Result<Answer, Failure> {
        let opening = self.opening_named(query).await?;
        let permit = self.may_review(&opening).await?;
        if self.is_own(&opening) {
            let code = Code::BreakGlassState;
            return Err(Failure::new(code, "somebody else reviews it"));
        }
        let objects = match text(query, "verdict").as_deref() {
            Some("accept") => false,
            Some("object") => true,
            _ => return Err(invalid("verdict is accept or object")),
        };
        let remark = bounded(text(query, "remark").unwrap_or_default())?;
        if objects && remark.is_empty() {
            return Err(invalid("who objects says why: remark"));
        }
        let (by, now) = (
            self.principal().actor().as_str().to_owned(),
            self.request.at,
        );
        let review = move |opening: &mut Opening| {
            if opening.is_open(now) {
                return Err(conflict("the patient is still open: end it first"));
            }
            if opening.review.is_some() {
                return Err(conflict("it was reviewed"));
            }
            opening.review = Some(Review {
                by,
                at: now,
                objects,
                remark,
            });
            Ok(())
        };
        let what = match objects {
            true => "object to break-glass",
            false => "accept break-glass",
        };
        let reviewed = self
            .store
            .change_opening(permit, (&opening.id, what), review)
            .await?;
        parameters_of(&self.opening_view(&reviewed))
    }

    /// An opening, and what its person was shown or changed of the patient while it was open.
    async fn look_at_opening(&self, query: &str) -> Result<Answer, Failure> {
        let opening = self.opening_named(query).await?;
        let reviewing = self.may_review(&opening).await?;
        self.store.looked_at_opening(reviewing, &opening.id).await?;
        let permit = decide_system(Reason::Verify, self.tenant(), self.request);
        let permit = permit.map_err(|denied| Failure::from(&denied))?;
        let asked = AccessQuery {
            patient: Some(opening.patient.clone()),
            actor: Some(format!("person:{}", opening.person.as_str())),
            from: Some(opening.opened),
            to: Some(opening.end()),
        };
        let report = self.store.accesses(permit, asked).await?;
        let access = |a: &store::Access| AccessView {
            record: a.number,
            at: a.at.instant().to_string(),
            action: a.action,
            resources: a.what.clone(),
        };
        let accesses: Vec<AccessView> = report.accesses.iter().map(access).collect();
        parameters_of(&json!({
            "opening": self.opening_view(&opening),
            "items": accesses,
        }))
    }
}

impl Operator {
    /// How many openings of a tenant wait for a review.
    ///
    /// # Errors
    /// `tenant-unknown`, `tenant-damaged`.
    pub async fn opening_counts(&self, name: &str) -> Result<OpeningCountsView, Failure> {
        let (tenant, data) = self.tenant(name)?;
        let permit = self.system(Reason::Operation, &tenant)?;
        Ok(data.opening_counts(permit).await?.into())
    }
}
