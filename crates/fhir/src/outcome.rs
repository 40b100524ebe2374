//! What is wrong with content or a request, as FHIR says it: OperationOutcome.
//!
//! Issues carry codes, element paths and limits, never patients' content. Knows nothing of HTTP.

use std::fmt;

use base::{Code, Kind};

use crate::json::{ParseError, push_json_string};

/// The system of Insula's stable codes in `issue.details.coding`.
pub const CODE_SYSTEM: &str = "https://insula.dev/code";

/// The system of the names of limits in `issue.details.coding`.
pub const LIMIT_SYSTEM: &str = "https://insula.dev/limit";

/// `OperationOutcome.issue.severity`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Done, nothing to worry about.
    Information,
    /// Done, but look at it.
    Warning,
    /// Not done.
    Error,
    /// Not done, and checking stopped here.
    Fatal,
}

impl Severity {
    /// The code of FHIR's `issue-severity`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Information => "information",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }
}

/// One thing to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// How bad it is.
    pub severity: Severity,
    /// Which of Insula's codes.
    pub code: Code,
    /// One sentence for a person. Names elements, types and codes, not patients' content.
    pub diagnostics: String,
    /// Where, as a FHIRPath: `Patient.name[0].given[1]`.
    pub expression: Option<String>,
    /// The name of the limit that was passed.
    pub limit: Option<&'static str>,
}

impl Issue {
    /// An error.
    pub fn error(code: Code, diagnostics: impl Into<String>) -> Self {
        let diagnostics = diagnostics.into();
        Self {
            severity: Severity::Error,
            code,
            diagnostics,
            expression: None,
            limit: None,
        }
    }

    /// A warning.
    pub fn warning(code: Code, diagnostics: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, diagnostics)
        }
    }

    /// A remark.
    pub fn information(code: Code, diagnostics: impl Into<String>) -> Self {
        Self {
            severity: Severity::Information,
            ..Self::error(code, diagnostics)
        }
    }

    /// The same, with the place.
    #[must_use]
    pub fn at(self, expression: impl Into<String>) -> Self {
        Self {
            expression: Some(expression.into()),
            ..self
        }
    }

    /// The same, with the name of a limit.
    #[must_use]
    pub fn limit(self, name: &'static str) -> Self {
        Self {
            limit: Some(name),
            ..self
        }
    }
}

impl From<&ParseError> for Issue {
    fn from(error: &ParseError) -> Self {
        let code = match error {
            ParseError::DuplicateKey { .. } => Code::JsonDuplicateKey,
            ParseError::TooDeep { .. } => {
                return Self::error(Code::LimitExceeded, error.to_string()).limit("json_depth_max");
            }
            ParseError::TooLarge => {
                return Self::error(Code::LimitExceeded, error.to_string()).limit("body_bytes_max");
            }
            _ => Code::JsonSyntax,
        };
        Self::error(code, error.to_string())
    }
}

/// The issues of one request or resource, in the order found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome(pub Vec<Issue>);

impl From<Issue> for Outcome {
    fn from(issue: Issue) -> Self {
        Self(vec![issue])
    }
}

impl Outcome {
    /// Whether nothing in it forbids going on.
    pub fn is_success(&self) -> bool {
        self.0.iter().all(|i| i.severity < Severity::Error)
    }

    /// The code that stands for the whole: that of the first of its worst issues.
    pub fn code(&self) -> Option<Code> {
        let worst = self.0.iter().map(|i| i.severity).max()?;
        self.0.iter().find(|i| i.severity == worst).map(|i| i.code)
    }

    /// The kind of failure that stands for the whole.
    pub fn kind(&self) -> Option<Kind> {
        self.code().map(Code::kind)
    }

    /// Appends the OperationOutcome as compact JSON. One without issues says that all is well
    /// (the resource must have at least one issue).
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut text = String::with_capacity(128 + 192 * self.0.len());
        text.push_str("{\"resourceType\":\"OperationOutcome\",\"issue\":[");
        if self.0.is_empty() {
            text.push_str("{\"severity\":\"information\",\"code\":\"informational\"}");
        }
        for (i, issue) in self.0.iter().enumerate() {
            if i > 0 {
                text.push(',');
            }
            write_issue(issue, &mut text);
        }
        text.push_str("]}");
        out.extend_from_slice(text.as_bytes());
    }

    /// The OperationOutcome as compact JSON.
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }
}

fn write_issue(issue: &Issue, out: &mut String) {
    let coding = |system: &str, code: &str, out: &mut String| {
        out.push_str("{\"system\":\"");
        out.push_str(system);
        out.push_str("\",\"code\":\"");
        out.push_str(code);
        out.push_str("\"}");
    };
    out.push_str("{\"severity\":\"");
    out.push_str(issue.severity.as_str());
    out.push_str("\",\"code\":\"");
    out.push_str(issue.code.issue_type());
    out.push_str("\",\"details\":{\"coding\":[");
    coding(CODE_SYSTEM, issue.code.as_str(), out);
    if let Some(limit) = issue.limit {
        out.push(',');
        coding(LIMIT_SYSTEM, limit, out);
    }
    out.push_str("]}");
    if !issue.diagnostics.is_empty() {
        out.push_str(",\"diagnostics\":");
        push_json_string(&issue.diagnostics, out);
    }
    if let Some(expression) = &issue.expression {
        out.push_str(",\"expression\":[");
        push_json_string(expression, out);
        out.push(']');
    }
    out.push('}');
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, issue) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{}", issue.code.as_str())?;
            if let Some(expression) = &issue.expression {
                write!(f, " at {expression}")?;
            }
            write!(f, ": {}", issue.diagnostics)?;
        }
        Ok(())
    }
}

impl std::error::Error for Outcome {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_an_operation_outcome() {
        let unknown = Issue::error(Code::ElementUnknown, "there is no element \"x\"");
        let outcome = Outcome(vec![
            Issue::warning(Code::SearchParameterIgnored, ""),
            unknown.at("Patient.x").limit("json_depth_max"),
        ]);
        assert!(!outcome.is_success());
        assert_eq!(outcome.code(), Some(Code::ElementUnknown));
        assert_eq!(
            String::from_utf8(outcome.to_json()).unwrap(),
            concat!(
                r#"{"resourceType":"OperationOutcome","issue":["#,
                r#"{"severity":"warning","code":"informational","details":{"coding":["#,
                r#"{"system":"https://insula.dev/code","code":"search-parameter-ignored"}]}},"#,
                r#"{"severity":"error","code":"structure","details":{"coding":["#,
                r#"{"system":"https://insula.dev/code","code":"element-unknown"},"#,
                r#"{"system":"https://insula.dev/limit","code":"json_depth_max"}]},"#,
                r#""diagnostics":"there is no element \"x\"","expression":["Patient.x"]}]}"#,
            )
        );
        assert_eq!(
            outcome.to_string(),
            "search-parameter-ignored: ; element-unknown at Patient.x: there is no element \"x\""
        );
    }

    #[test]
    fn every_code_maps_to_an_issue_type_of_fhir() {
        let model = crate::definitions::Model::of(crate::definitions::FhirVersion::R4);
        let issue = model.structure_named("OperationOutcome.issue").unwrap();
        let code = model.structure(issue).member("code").unwrap().element;
        let known = model.value_set(code.required_codes.unwrap()).unwrap();
        for c in Code::ALL {
            assert!(known.has_code(c.issue_type()), "{}", c.as_str());
        }
    }
}
