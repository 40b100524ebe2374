//! Bundles that are posted to be processed: batch and transaction (`http.html#transaction`).
//!
//! Reads the shell of a Bundle into typed entries; says in which order a transaction is done; puts
//! the new ids of a transaction's resources into references. Knows nothing of what exists, and
//! does not check the resources in the entries.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use base::Code;

use crate::definitions::Model;
use crate::json::{Kind, Value};
use crate::outcome::{Issue, Outcome};
use crate::reference::one_spelling;
use crate::validate::{Context, validate_shell};

mod links;

pub use links::{
    VERSION_SPECIFIC, asks_for_versions, names_versions, pin_references, resolved,
    rewrite_references,
};

/// How the entries belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BundleKind {
    /// Each entry for itself, in order.
    Batch,
    /// All or nothing.
    Transaction,
}

/// What is wrong with the entries of a batch is noted up to here; a Bundle with more is refused.
const SHELL_ISSUES_MAX: usize = 10_000;

/// The entry that an issue with the shell of a Bundle is about.
fn entry_of(issue: &Issue) -> Option<usize> {
    let place = issue.expression.as_deref()?;
    let (index, _) = place.strip_prefix("Bundle.entry[")?.split_once(']')?;
    index.parse().ok()
}

/// `Bundle.entry.request.method`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
}

impl Method {
    /// The method of this name; as in HTTP, letters count.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "PATCH" => Self::Patch,
            "DELETE" => Self::Delete,
            _ => return None,
        })
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Its turn in a transaction (`http.html#trules`): deletes, creates, updates, reads.
    pub const fn turn(self) -> u8 {
        match self {
            Self::Delete => 0,
            Self::Post => 1,
            Self::Put | Self::Patch => 2,
            Self::Get | Self::Head => 3,
        }
    }

    const fn has_resource(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch)
    }
}

/// A posted Bundle.
#[derive(Clone, Debug)]
pub struct Bundle<'d> {
    /// Batch or transaction.
    pub kind: BundleKind,
    /// Its entries in document order. Those of a transaction are all good; in a batch a malformed
    /// one fails alone.
    pub entries: Vec<Result<Entry<'d>, Outcome>>,
}

/// One entry of a posted Bundle.
#[derive(Clone, Debug)]
pub struct Entry<'d> {
    /// Position in the Bundle.
    pub index: usize,
    /// `fullUrl`
    pub full_url: Option<Cow<'d, str>>,
    /// `request.method`
    pub method: Method,
    /// `request.url`, relative to the base or absolute, as written.
    pub url: Cow<'d, str>,
    /// `request.ifMatch`
    pub if_match: Option<Cow<'d, str>>,
    /// `request.ifNoneMatch`
    pub if_none_match: Option<Cow<'d, str>>,
    /// `request.ifNoneExist`
    pub if_none_exist: Option<Cow<'d, str>>,
    /// `request.ifModifiedSince`
    pub if_modified_since: Option<Cow<'d, str>>,
    /// `resource`: there for POST, PUT and PATCH, absent otherwise.
    pub resource: Option<Value<'d>>,
}

impl<'d> Bundle<'d> {
    /// Reads a Bundle of type batch or transaction with at most `entries_max` entries (limit
    /// `bundle_entries_max`). The resources in it are not checked.
    pub fn read(
        model: &'static Model,
        bundle: Value<'d>,
        entries_max: usize,
        context: &Context<'_>,
    ) -> Result<Self, Outcome> {
        let text = |name| bundle.get(name).and_then(Value::as_str);
        if text("resourceType").as_deref() != Some("Bundle") {
            let what = "a Bundle of type batch or transaction is expected";
            return Err(Issue::error(Code::BundleType, what).into());
        }
        let kind = match text("type").as_deref() {
            Some("batch") => BundleKind::Batch,
            Some("transaction") => BundleKind::Transaction,
            _ => {
                let what = "the Bundle's type is neither batch nor transaction";
                return Err(Issue::error(Code::BundleType, what)
                    .at("Bundle.type")
                    .into());
            }
        };
        let items = || bundle.get("entry").into_iter().flat_map(Value::items);
        if items().count() > entries_max {
            let what = format!("more than {entries_max} entries");
            let issue = Issue::error(Code::LimitExceeded, what).at("Bundle.entry");
            return Err(issue.limit("bundle_entries_max").into());
        }
        let transaction = kind == BundleKind::Transaction;
        let shell = Context {
            issues_max: match transaction {
                true => context.issues_max,
                false => context.issues_max.max(SHELL_ISSUES_MAX),
            },
            ..*context
        };
        let mut issues = validate_shell(model, bundle, &shell).issues;
        // What is wrong with an entry of a batch is that entry's affair.
        let of_entry = |issue: &Issue| !transaction && entry_of(issue).is_some();
        if !issues.iter().all(of_entry) {
            issues.truncate(context.issues_max.max(1));
            return Err(Outcome(issues));
        }
        let mut wrong: HashMap<usize, Vec<Issue>> = HashMap::new();
        for issue in issues {
            if let Some(index) = entry_of(&issue) {
                let of = wrong.entry(index).or_default();
                if of.len() < context.issues_max.max(1) {
                    of.push(issue);
                }
            }
        }
        let entries: Vec<_> = items()
            .enumerate()
            .map(|(index, entry)| {
                let entry = Entry::read(index, entry)?;
                match wrong.remove(&index) {
                    Some(issues) => Err(Outcome(issues)),
                    None => Ok(entry),
                }
            })
            .collect();
        if transaction {
            refuse_malformed(&entries, context.issues_max)?;
        }
        Ok(Self { kind, entries })
    }

    /// Positions of the good entries in the order in which they are processed.
    pub fn order(&self) -> Vec<usize> {
        let mut order: Vec<(u8, usize)> = self
            .entries
            .iter()
            .flatten()
            .map(|e| {
                (
                    if self.kind == BundleKind::Batch {
                        0
                    } else {
                        e.method.turn()
                    },
                    e.index,
                )
            })
            .collect();
        order.sort_unstable();
        order.into_iter().map(|(_, index)| index).collect()
    }
}

impl<'d> Entry<'d> {
    fn read(index: usize, entry: Value<'d>) -> Result<Self, Outcome> {
        let refuse = |member: &str, what: String| {
            let place = format!("Bundle.entry[{index}]{member}");
            Err(Outcome::from(
                Issue::error(Code::BundleEntry, what).at(place),
            ))
        };
        let Some(request) = entry.get("request") else {
            return refuse("", "an entry needs \"request\"".into());
        };
        let text = |name| request.get(name).and_then(Value::as_str);
        let (method, url) = (text("method"), text("url"));
        let Some(method) = method.as_deref().and_then(Method::parse) else {
            let what = "an entry needs a method: GET, HEAD, POST, PUT, PATCH or DELETE";
            return refuse(".request.method", what.into());
        };
        let Some(url) = url else {
            return refuse(".request.url", "an entry needs a URL".into());
        };
        let resource = entry.get("resource");
        // Operations and searches may have all their parameters in the URL.
        let last = url
            .split('?')
            .next()
            .and_then(|path| path.rsplit('/').next());
        let asks = last.is_some_and(|name| name.starts_with('$') || name == "_search");
        let free = method == Method::Post && asks && resource.is_none();
        if method.has_resource() != resource.is_some() && !free {
            let needs = if method.has_resource() {
                "needs a"
            } else {
                "has no"
            };
            return refuse(".resource", format!("{} {needs} resource", method.as_str()));
        }
        if resource.is_some_and(|r| r.kind() != Kind::Object) {
            return refuse(".resource", "a resource is a JSON object".into());
        }
        Ok(Self {
            index,
            full_url: entry.get("fullUrl").and_then(Value::as_str),
            method,
            url,
            if_match: text("ifMatch"),
            if_none_match: text("ifNoneMatch"),
            if_none_exist: text("ifNoneExist"),
            if_modified_since: text("ifModifiedSince"),
            resource,
        })
    }
}

/// A transaction has good entries only, each `fullUrl` once.
fn refuse_malformed(
    entries: &[Result<Entry<'_>, Outcome>],
    issues_max: usize,
) -> Result<(), Outcome> {
    let mut issues: Vec<Issue> = Vec::new();
    let mut seen: HashSet<Cow<'_, str>> = HashSet::with_capacity(entries.len());
    for entry in entries {
        match entry {
            Err(outcome) => issues.extend_from_slice(&outcome.0),
            Ok(entry) => {
                let twice = entry
                    .full_url
                    .as_deref()
                    .is_some_and(|url| !seen.insert(one_spelling(url)));
                if twice {
                    let place = format!("Bundle.entry[{}].fullUrl", entry.index);
                    let what = "an earlier entry has the same fullUrl";
                    issues.push(Issue::error(Code::BundleDuplicate, what).at(place));
                }
            }
        }
    }
    issues.truncate(issues_max.max(1));
    if issues.is_empty() {
        Ok(())
    } else {
        Err(Outcome(issues))
    }
}

#[cfg(test)]
mod tests;
