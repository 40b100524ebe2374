//! A tenant's audit trail as it is read back.

use base::{Micros, RequestId, ResourceId};
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
    /// Why, in the caller's words: a purpose of use, a reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Only the opening of a patient led to it.
    #[serde(skip_serializing_if = "is_not")]
    pub break_glass: bool,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands the field over like this"
)]
const fn is_not(yes: &bool) -> bool {
    !*yes
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

/// Which accesses a report is about.
#[derive(Clone, Debug, Default)]
pub struct AccessQuery {
    /// To this patient's data.
    pub patient: Option<ResourceId>,
    /// By this person, client or program: as the trail names them (`client:…`, `person:…`; of a person
    /// through a program, either), or by login or name.
    pub actor: Option<String>,
    /// From then on.
    pub from: Option<Micros>,
    /// Before then.
    pub to: Option<Micros>,
}

impl AccessQuery {
    /// What is asked, as the trail says it.
    pub(crate) fn told(&self) -> String {
        let mut told = match &self.patient {
            Some(id) => format!("Patient/{}", id.as_str()),
            None => "everybody".to_owned(),
        };
        let parts = [
            (" by ", self.actor.clone()),
            (" from ", self.from.map(|at| at.instant().to_string())),
            (" to ", self.to.map(|at| at.instant().to_string())),
        ];
        for (word, part) in parts {
            if let Some(part) = part {
                told += word;
                told += &part;
            }
        }
        told
    }

    /// `among`: whom the query names, as the trail does.
    pub(crate) fn fits(&self, at: Micros, actor: &str, among: &[String]) -> bool {
        self.from.is_none_or(|from| from <= at)
            && self.to.is_none_or(|to| at < to)
            && self.is_by(actor, among)
    }

    /// Whether it is about what somebody did, as the trail names them.
    pub(crate) fn is_by(&self, actor: &str, among: &[String]) -> bool {
        let named = || actor.split(' ').any(|name| among.iter().any(|a| a == name));
        self.actor.is_none() || named()
    }
}

/// An access that touched patients.
#[derive(Clone, Debug, Serialize)]
pub struct Access {
    /// The record's number in the tenant's chain.
    pub number: u64,
    /// When.
    #[serde(serialize_with = "instant")]
    pub at: Micros,
    /// For which request.
    #[serde(serialize_with = "text")]
    pub request: RequestId,
    /// Who, and through which program, as the trail names them.
    pub actor: String,
    /// The same by name, as people and programs are called now; of a person with their login.
    pub who: String,
    /// Why, in the caller's words: a purpose of use, a reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Only the opening of a patient led to it.
    pub break_glass: bool,
    /// What: the name of an action, or `change`.
    pub action: &'static str,
    /// Versions that were shown or made: `Type/id/_history/version`.
    pub what: Vec<String>,
    /// Whom they are about.
    #[serde(serialize_with = "ids")]
    pub patients: Vec<ResourceId>,
}

/// A patient whom accesses touched.
#[derive(Clone, Debug, Serialize)]
pub struct Touched {
    /// Their id.
    #[serde(serialize_with = "id")]
    pub patient: ResourceId,
    /// Accesses by which something was shown.
    pub reads: u64,
    /// Accesses by which something was made.
    pub writes: u64,
    /// The first.
    #[serde(serialize_with = "instant")]
    pub first: Micros,
    /// The last.
    #[serde(serialize_with = "instant")]
    pub last: Micros,
}

/// A patient whom somebody opened in an emergency, whether or not they looked at anything then.
#[derive(Clone, Debug, Serialize)]
pub struct OpeningLine {
    /// Its id.
    pub id: String,
    /// Whom.
    #[serde(serialize_with = "id")]
    pub patient: ResourceId,
    /// Who, and through which program, as the trail names them.
    pub actor: String,
    /// The same by name.
    pub who: String,
    /// The grant that let them.
    pub grant: String,
    /// The coded purpose of use.
    pub purpose: String,
    /// Why, in their words.
    pub why: String,
    /// When.
    #[serde(serialize_with = "instant")]
    pub from: Micros,
    /// When it was over, or will be.
    #[serde(serialize_with = "instant")]
    pub until: Micros,
    /// Who ended it early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<String>,
    /// `accepted` or `objected`, where it was reviewed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review: Option<&'static str>,
}

/// A way in that an operator made.
#[derive(Clone, Debug, Serialize)]
pub struct OperatorWay {
    /// `import:id`, `client:id` or `identity-provider:id`.
    pub what: String,
    /// Its name for people; of a provider the issuer.
    pub name: String,
    /// The operator.
    pub by: String,
    /// Why, in their words.
    pub why: String,
    /// When it was made.
    #[serde(serialize_with = "instant")]
    pub from: Micros,
    /// When it ends by itself, or did.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "maybe")]
    pub until: Option<Micros>,
    /// The person of the tenant who keeps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_by: Option<String>,
    /// Whether it was ended.
    #[serde(skip_serializing_if = "is_not")]
    pub revoked: bool,
}

/// Accesses, oldest first.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AccessReport {
    /// The accesses.
    pub accesses: Vec<Access>,
    /// Patients who were opened in an emergency, oldest first.
    pub openings: Vec<OpeningLine>,
    /// Ways in that operators made, oldest first.
    pub operators: Vec<OperatorWay>,
    /// The patients whom all of them touched, also those that are not listed.
    pub patients: Vec<Touched>,
    /// There are more than [`AccessReport::LINES_MAX`].
    pub more: bool,
}

impl AccessReport {
    /// Accesses that one report lists.
    pub const LINES_MAX: usize = 100_000;
}

/// What is to be proved about a tenant's trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofOf {
    /// That a record, by its number, is a leaf of the tree.
    Record(u64),
    /// That the tree of the first leaves, so many, is the beginning of the tree.
    Growth(u64),
}

/// A proof about a tenant's trail (RFC 6962, section 2.1); hashes and bytes in base64.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrailProof {
    /// The record's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<u64>,
    /// The place of its leaf, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// The leaf: the record's frame in the journal, byte for byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaf: Option<String>,
    /// Its hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaf_hash: Option<String>,
    /// The size of the earlier tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// Its root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_root: Option<String>,
    /// The size of the tree.
    pub size: u64,
    /// Its root.
    pub root: String,
    /// The hashes that prove it.
    pub path: Vec<String>,
}

fn id<S: Serializer>(id: &ResourceId, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(id.as_str())
}

fn ids<S: Serializer>(ids: &[ResourceId], s: S) -> Result<S::Ok, S::Error> {
    s.collect_seq(ids.iter().map(ResourceId::as_str))
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands the field over like this"
)]
fn instant<S: Serializer>(at: &Micros, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(&at.instant())
}

#[expect(clippy::ref_option, reason = "serde hands the field over like this")]
fn maybe<S: Serializer>(at: &Option<Micros>, s: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => instant(at, s),
        None => s.serialize_none(),
    }
}

fn text<S: Serializer>(id: &RequestId, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(id)
}
