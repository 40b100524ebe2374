//! The background check of tenants' rows, and what it kept apart, as operators see it: which rows,
//! never what they say. Deciding is the tenant's.

use access::Reason;
use serde::Serialize;
use store::{Quarantined, ScrubStatus};

use crate::failure::Failure;
use crate::tenants::Operator;

/// How far a background check is.
#[derive(Debug, Serialize)]
pub struct ScrubView {
    /// Whether a round is under way.
    running: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    begun: Option<String>,
    /// Rows that this round looked at.
    rows: u64,
    /// What it found.
    found: u64,
    /// When a round was last finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    finished: Option<String>,
    last_rows: u64,
    last_found: u64,
    /// Rows that wait for a decision.
    quarantined: u64,
}

impl From<ScrubStatus> for ScrubView {
    fn from(status: ScrubStatus) -> Self {
        Self {
            running: status.begun.is_some(),
            begun: status.begun.map(|t| t.instant().to_string()),
            rows: status.rows,
            found: status.found,
            finished: status.finished.map(|t| t.instant().to_string()),
            last_rows: status.last_rows,
            last_found: status.last_found,
            quarantined: status.quarantined,
        }
    }
}

/// Something that is kept apart.
#[derive(Debug, Serialize)]
pub struct QuarantineView {
    number: u64,
    /// `Type/id`
    resource: String,
    version: u64,
    /// What is wrong: `seal`, `body`, `current`, `index`, `version-missing`.
    kind: store::FindingKind,
    /// Whether it concerns what is current.
    current: bool,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remark: Option<String>,
    /// The version that the decision made.
    #[serde(skip_serializing_if = "Option::is_none")]
    made: Option<u64>,
}

impl From<Quarantined> for QuarantineView {
    fn from(line: Quarantined) -> Self {
        let decided = line.decided;
        let (decision, by, remark) = match &decided {
            None => (None, None, None),
            Some(d) => (
                Some(d.decision.clone()),
                Some(d.by.clone()),
                Some(d.remark.clone()),
            ),
        };
        Self {
            number: line.number,
            resource: format!("{}/{}", line.type_name, line.id),
            version: line.version.0,
            kind: line.kind,
            current: line.current,
            found: line.found.instant().to_string(),
            decided: decided.as_ref().map(|d| d.at.instant().to_string()),
            made: decided.and_then(|d| d.made).map(|v| v.0),
            decision,
            by,
            remark,
        }
    }
}

impl Operator {
    /// Begins to check all rows of a tenant in the background; `now`: not bound by the rate.
    ///
    /// # Errors
    /// `tenant-unknown`, `tenant-damaged`.
    pub async fn begin_scrub(&self, name: &str, now: bool) -> Result<ScrubView, Failure> {
        let (tenant, data) = self.tenant(name)?;
        let permit = self.system(Reason::Operation, &tenant)?;
        Ok(data.begin_scrub(permit, now).await?.into())
    }

    /// How far the background check of a tenant is.
    ///
    /// # Errors
    /// `tenant-unknown`, `tenant-damaged`.
    pub async fn scrub_status(&self, name: &str) -> Result<ScrubView, Failure> {
        let (tenant, data) = self.tenant(name)?;
        let permit = self.system(Reason::Operation, &tenant)?;
        Ok(data.scrub_status(permit).await?.into())
    }

    /// What is kept apart in a tenant: names and numbers, no content, and no words of those who decided.
    ///
    /// # Errors
    /// `tenant-unknown`, `tenant-damaged`.
    pub async fn quarantine(&self, name: &str, all: bool) -> Result<Vec<QuarantineView>, Failure> {
        let (tenant, data) = self.tenant(name)?;
        let permit = self.system(Reason::Operation, &tenant)?;
        let found = data.quarantine(permit, all).await?;
        let without_words = |line: Quarantined| QuarantineView {
            remark: None,
            ..line.into()
        };
        Ok(found.into_iter().map(without_words).collect())
    }
}
