//! A tenant's audit trail as it is read back.

use base::{Micros, RequestId};
use serde::{Serialize, Serializer};

/// One access, refusal or change.
#[derive(Clone, Debug, Serialize)]
pub struct AuditLine {
    /// The record's number in the tenant's chain. The changes of one commit share it.
    pub number: u64,
    /// When the request came in; of a change, when it was made.
    #[serde(serialize_with = "instant")]
    pub at: Micros,
    /// For which request.
    #[serde(serialize_with = "text")]
    pub request: RequestId,
    /// Who.
    pub actor: String,
    /// What: the name of an action, or `change`.
    pub action: &'static str,
    /// `given`, `nothing`, `refused` or `made`.
    pub outcome: &'static str,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The resource (`Type/id`), the type, or a word on the tenant itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// SHA-256 of the query, in hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Resources or versions that left, or were made.
    pub count: u64,
    /// Which: `Type/id/_history/version`, at most [`AuditLine::SHOWN_MAX`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shown: Vec<String>,
}

impl AuditLine {
    /// Resources that one line lists; further ones are counted only.
    pub const SHOWN_MAX: usize = 1_000;
}

/// A page of the trail, oldest first.
#[derive(Clone, Debug, Serialize)]
pub struct AuditPage {
    /// The lines.
    pub lines: Vec<AuditLine>,
    /// The number after which the next page begins; `None` at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands the field over like this"
)]
fn instant<S: Serializer>(at: &Micros, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(&at.instant())
}

fn text<S: Serializer>(id: &RequestId, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(id)
}
