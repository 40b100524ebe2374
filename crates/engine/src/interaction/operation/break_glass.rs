//! `Patient/{id}/$break-glass`, `$break-glass`, `$break-glass-end` and `$break-glass-review`: a person
//! opens one patient whom their rights do not reach, for a time, with a reason, and somebody else says
//! afterwards what to think of it.

use access::{
    Administer, Denied, Permit, PersonId, Reason, decide_opening, decide_openings,
    decide_reviewing, decide_system,
};
use base::{Code, Micros, ResourceId};
use serde::{Deserialize, Serialize};
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
pub struct OpeningView {
    /// Its id.
    pub id: String,
    /// `Patient/…`
    pub patient: String,
    /// Who opened, as the trail names them.
    pub person: String,
    /// The grant's name.
    pub grant: String,
    /// The coded purpose of use.
    pub purpose: String,
    /// Why, in their words.
    pub reason: String,
    /// When, as an instant.
    pub opened: String,
    /// It ends by itself then.
    pub until: String,
    /// `open`, `due`, `overdue`, `accepted` or `objected`.
    pub state: &'static str,
    /// When it was ended early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// By whom.
    #[serde(rename = "endedBy", skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<String>,
    /// What somebody else said about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review: Option<ReviewView>,
}

/// What somebody else said about an opening, as it is shown.
#[derive(Debug, Serialize)]
pub struct ReviewView {
    /// `accept` or `object`.
    pub verdict: &'static str,
    /// Who.
    pub by: String,
    /// When, as an instant.
    pub at: String,
    /// Why.
    pub remark: String,
}

/// One access, as a reviewer sees it: which resources, never what they say.
#[derive(Debug, Serialize)]
pub struct OpenedAccess {
    /// The record's number in the trail.
    pub record: u64,
    /// When, as an instant.
    pub at: String,
    /// What was done.
    pub action: &'static str,
    /// `Type/id/_history/version`
    pub resources: Vec<String>,
}

/// What somebody says about an opening, as it is sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewSaid {
    /// `accept` or `object`.
    pub verdict: String,
    /// Why; who objects says so.
    #[serde(default)]
    pub remark: String,
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

const LOOKS_AT_NONE: &str = "policy lets you look at no openings of patients";

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
                drop(self.given(may, LOOKS_AT_NONE).await?);
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

    async fn given<T>(
        &self,
        decided: Result<T, Denied>,
        refusal: &'static str,
    ) -> Result<T, Failure> {
        match decided {
            Ok(given) => Ok(given),
            Err(denied) => Err(self.refuse_saying(denied, refusal).await),
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

    /// Whether the caller is somebody for whom the same resource stands: one who has two accounts.
    async fn is_same_as(&self, person: &PersonId) -> Result<bool, Failure> {
        let own = self.principal().fhir_user();
        let other = self.store.person(person).await?;
        let other = other.as_ref().and_then(|p| p.record.fhir_user.as_ref());
        Ok(own.is_some_and(|(of, id)| other.is_some_and(|other| (of, id) == (other.0, &other.1))))
    }

    async fn open_patient(&self, id: &str, query: &str) -> Result<Answer, Failure> {
        let limits = self.limits();
        let fresh = i64::try_from(limits.step_up_seconds_max).unwrap_or(i64::MAX);
        let wanted = text(query, "grant");
        let decided = decide_opening(
            self.principal(),
            self.rights(),
            self.tenant(),
            self.request,
            wanted.as_deref(),
            self.request.at.plus_secs(-fresh),
        );
        let refusal = "no grant of the policy lets you open a patient in an emergency";
        let (permit, offer) = self.given(decided, refusal).await?;
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
        self.given(decided, LOOKS_AT_NONE).await
    }

    async fn may_review(&self, opening: &Opening) -> Result<Permit<Administer>, Failure> {
        let decided = decide_reviewing(
            self.principal(),
            self.rights(),
            self.tenant(),
            self.request,
            &opening.grant,
        );
        let refusal = "policy does not let you review what is opened under this grant";
        self.given(decided, refusal).await
    }

    /// `$break-glass`
    async fn openings(&self, query: &str) -> Result<Answer, Failure> {
        let wanted = text(query, "state");
        let items = self.opening_views(wanted.as_deref()).await?;
        parameters_of(&json!({ "items": items }))
    }

    /// One's own openings, and those that one reviews; of one state, if it is said.
    ///
    /// # Errors
    /// `scope-missing`, recorded.
    pub async fn opening_views(&self, state: Option<&str>) -> Result<Vec<OpeningView>, Failure> {
        let permit = self.may_look_at_openings().await?;
        // What waits is shown however much was opened since.
        let reviewed = !matches!(state, Some("open" | "due" | "overdue"));
        let all = self.store.openings(permit, reviewed).await?;
        let mine = |o: &&Opening| self.is_own(o) || self.rights().reviews(&o.grant);
        let views = all.iter().filter(mine).map(|o| self.opening_view(o));
        Ok(views
            .filter(|view| match state {
                None => true,
                // What is overdue is due.
                Some("due") => matches!(view.state, "due" | "overdue"),
                Some(state) => view.state == state,
            })
            .collect())
    }

    /// The opening that a request names, if the caller may know of it.
    async fn opening_named(&self, query: &str) -> Result<Opening, Failure> {
        let id = text(query, "id");
        self.opening_of(id.as_deref().unwrap_or_default()).await
    }

    async fn opening_of(&self, id: &str) -> Result<Opening, Failure> {
        let permit = self.may_look_at_openings().await?;
        if id.is_empty() {
            return Err(invalid("id names an opening"));
        }
        let opening = self.store.opening(permit, id).await?;
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
            opening.ended = Some((now, by.clone()));
            Ok(())
        };
        let ended = self
            .store
            .change_opening(permit, (&opening.id, "end break-glass"), end)
            .await?;
        parameters_of(&self.opening_view(&ended))
    }

    /// `$break-glass-review`, by POST
    async fn review_opening(&self, query: &str) -> Result<Answer, Failure> {
        let said = ReviewSaid {
            verdict: text(query, "verdict").unwrap_or_default(),
            remark: text(query, "remark").unwrap_or_default(),
        };
        let id = text(query, "id").unwrap_or_default();
        parameters_of(&self.say_of_opening(&id, said).await?)
    }

    /// Says what to think of an opening that is over.
    ///
    /// # Errors
    /// `scope-missing`, recorded; `not-found`, `request-invalid`; `break-glass-state` where it is open or was
    /// reviewed, and for whoever opened, by another account of theirs too.
    pub async fn say_of_opening(&self, id: &str, said: ReviewSaid) -> Result<OpeningView, Failure> {
        let opening = self.opening_of(id).await?;
        let permit = self.may_review(&opening).await?;
        if self.is_own(&opening) || self.is_same_as(&opening.person).await? {
            let code = Code::BreakGlassState;
            return Err(Failure::new(code, "somebody else reviews it"));
        }
        let objects = match said.verdict.as_str() {
            "accept" => false,
            "object" => true,
            _ => return Err(invalid("verdict is accept or object")),
        };
        let remark = bounded(said.remark.trim().to_owned())?;
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
                by: by.clone(),
                at: now,
                objects,
                remark: remark.clone(),
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
        Ok(self.opening_view(&reviewed))
    }

    /// `$break-glass-review`, by GET
    async fn look_at_opening(&self, query: &str) -> Result<Answer, Failure> {
        let id = text(query, "id").unwrap_or_default();
        let (opening, accesses) = self.opening_to_review(&id).await?;
        parameters_of(&json!({ "opening": opening, "items": accesses }))
    }

    /// An opening, and what its person was shown or changed of the patient while it was open.
    ///
    /// # Errors
    /// `scope-missing`, recorded; `not-found`.
    pub async fn opening_to_review(
        &self,
        id: &str,
    ) -> Result<(OpeningView, Vec<OpenedAccess>), Failure> {
        let opening = self.opening_of(id).await?;
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
        let access = |a: &store::Access| OpenedAccess {
            record: a.number,
            at: a.at.instant().to_string(),
            action: a.action,
            resources: a.what.clone(),
        };
        let accesses = report.accesses.iter().map(access).collect();
        Ok((self.opening_view(&opening), accesses))
    }

    /// Whether the caller may look at openings; nothing is recorded.
    pub fn looks_at_openings(&self) -> bool {
        decide_openings(self.principal(), self.rights(), self.tenant(), self.request).is_ok()
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
