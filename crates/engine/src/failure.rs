//! Why an interaction did not happen: a kind, a stable code and issues. Holds no content of
//! patients beyond what the caller sent.

use std::borrow::Cow;

use access::{ActionName, Denied};
use base::{Code, Kind};
use fhir::outcome::{Issue, Outcome};
use store::StoreError;

/// A refusal or a failure of an interaction.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: {}", self.code().as_str(), self.text())]
pub struct Failure(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    code: Code,
    text: Cow<'static, str>,
    /// Name of the limit that was passed.
    limit: Option<&'static str>,
    /// All findings, where content was checked.
    outcome: Option<Outcome>,
    /// Zero-based entry of the Bundle that caused it.
    entry: Option<usize>,
    /// Seconds after which trying again makes sense.
    retry_after: Option<u32>,
}

impl Failure {
    /// A failure with a text for people.
    pub fn new(code: Code, text: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            code,
            text: text.into(),
            limit: None,
            outcome: None,
            entry: None,
            retry_after: None,
        }))
    }

    /// A failure that says what its code says.
    pub fn of(code: Code) -> Self {
        Self::new(code, code.describe())
    }

    /// A named limit was passed.
    pub fn limit(code: Code, name: &'static str, max: u64) -> Self {
        let mut failure = Self::new(code, format!("the limit {name} ({max}) was passed"));
        failure.0.limit = Some(name);
        failure
    }

    /// The same failure, caused by an entry of a Bundle.
    #[must_use]
    pub fn at_entry(mut self, entry: usize) -> Self {
        self.0.entry = Some(entry);
        self
    }

    /// The same failure with a time after which trying again makes sense.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> Kind {
        self.0.code.kind()
    }

    /// Its stable code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// A sentence for people.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The name of the limit that was passed, if that was the reason.
    pub fn limit_name(&self) -> Option<&'static str> {
        self.0.limit
    }

    /// Seconds after which trying again makes sense.
    pub fn retry_seconds(&self) -> Option<u32> {
        self.0.retry_after.or(match self.kind() {
            Kind::Busy => Some(1),
            _ => None,
        })
    }

    /// The failure as an OperationOutcome.
    pub fn outcome(&self) -> Outcome {
        let mut outcome = self.0.outcome.clone().unwrap_or_else(|| {
            let mut issue = Issue::error(self.code(), self.text());
            issue.limit = self.0.limit;
            Outcome::from(issue)
        });
        if let Some(entry) = self.0.entry {
            for issue in &mut outcome.0 {
                let inner = issue.expression.as_deref().and_then(|e| e.split_once('.'));
                issue.expression = Some(match inner {
                    Some((_, inner)) => format!("Bundle.entry[{entry}].resource.{inner}"),
                    None => format!("Bundle.entry[{entry}]"),
                });
            }
        }
        outcome
    }
}

impl From<Outcome> for Failure {
    fn from(outcome: Outcome) -> Self {
        let worst = outcome.0.iter().max_by_key(|i| i.severity);
        let limit = worst.and_then(|i| i.limit);
        let mut failure = Self::of(outcome.code().unwrap_or(Code::RequestInvalid));
        failure.0.limit = limit;
        failure.0.outcome = Some(outcome);
        failure
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let entry = match &error {
            StoreError::Entry { entry, .. } | StoreError::ReferenceMissing { entry, .. } => {
                Some(*entry)
            }
            _ => None,
        };
        let text = match &error {
            StoreError::Entry { text, .. } => text.clone(),
            other => other.to_string(),
        };
        let mut failure = Self::new(error.code(), text);
        failure.0.entry = entry;
        match error {
            StoreError::Limit { limit, .. } => failure.0.limit = Some(limit),
            StoreError::Until { limit, seconds, .. } => {
                failure.0.limit = Some(limit);
                failure = failure.retry_after(seconds);
            }
            _ => {}
        }
        failure
    }
}

impl From<&Denied> for Failure {
    fn from(denied: &Denied) -> Self {
        let (code, action) = (denied.code(), denied.action.as_str());
        if code != Code::ScopeMissing {
            // It is not for want of a right.
            return Self::of(code);
        }
        let who = denied.actor.as_str();
        let text = match denied.action {
            ActionName::Administer => "you may not administer this: it takes the role \
                 tenant-administrator, or a policy that lets you administer"
                .to_owned(),
            _ if who.starts_with("person:") => {
                format!("neither your roles nor the scopes of the program cover {action} here")
            }
            _ => format!(
                "what the client may do (its scopes, and policy where it has roles) does not cover \
                 {action} here"
            ),
        };
        Self::new(code, text)
    }
}
