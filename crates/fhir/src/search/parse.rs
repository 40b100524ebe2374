//! A query string to a typed [`Query`] (`search.html`).
//!
//! What the text means is settled here: names, modifiers, prefixes, escapes, chains. Whether the
//! caller may ask it, and how it is answered, is not known here.
//!
//! Messages name parameters and forms, never the values that were sent.

use std::cell::Cell;

use base::{Code, Limits, Micros};

use crate::definitions::{Model, TypeId};
use crate::outcome::{Issue, Outcome};

use super::custom::Customs;
use super::extract::Plans;
use super::query::{Query, Shape, Total};

mod clause;
mod composite;
mod date;
mod filter;
mod form;
mod named;
mod number;
mod place;
mod reference;
mod result;
mod special;
mod string;
mod text;
mod token;
mod uri;

/// What is searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Resources of these types: one for `/Patient?…`.
    Types(Vec<TypeId>),
    /// Resources of any type, or of those that `_type` names.
    All,
}

/// The circumstances of a search.
#[derive(Clone, Copy, Debug)]
pub struct Options<'o> {
    /// `query_bytes_max`, `query_parameters_max`, `query_values_max`, `query_clauses_max`,
    /// `chain_depth_max`, `page_entries_max` and `page_entries_default` are looked at.
    pub limits: &'o Limits,
    /// Unknown and empty parameters are errors (`Prefer: handling=strict`). Conditional
    /// interactions must be strict: what is ignored there changes what is written.
    pub strict: bool,
    /// The absolute URLs under which this server serves this tenant, without a final slash.
    pub own_bases: &'o [&'o str],
    /// The time, for `ap` on dates.
    pub now: Micros,
    /// The tenant's own search parameters.
    pub custom: &'o Customs,
}

/// What a query string says.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// The search.
    pub query: Query,
    /// Parameters that were ignored, as warnings.
    pub issues: Vec<Issue>,
    /// Parameters that are not the search's: `_format`, `_pretty`, `_cursor`, by name.
    pub control: Vec<(String, String)>,
    /// The parameters that were used, encoded, for the self link; [`Self::control`] is not in it.
    pub self_query: String,
}

/// Names that [`Parsed::control`] takes.
pub const CONTROL_PARAMETERS: &[&str] = &["_cursor", "_format", "_pretty"];

/// Reads the query string of a search, or the form body of a `_search`.
///
/// # Errors
/// Everything that is wrong, one issue a parameter: unknown parameters when strict, and known ones
/// with a modifier or value they do not take, always.
pub fn parse(
    model: &'static Model,
    target: &Target,
    query: &str,
    options: &Options<'_>,
) -> Result<Parsed, Outcome> {
    let limits = options.limits;
    if query.len() as u64 > limits.query_bytes_max {
        return Err(too_much("the query string is too long", "query_bytes_max").into());
    }
    let pairs = form::decode(query)?;
    if pairs.len() as u64 > limits.query_parameters_max {
        return Err(too_much("the query has too many parameters", "query_parameters_max").into());
    }
    let types = result::types(model, target, &pairs)?;
    let context = Context {
        model,
        plans: Plans::of(model),
        options,
        target,
        types: &types,
        clauses: Cell::new(0),
    };
    let mut reading = Reading::new(&types, limits);
    for (name, value) in pairs {
        context.parameter(name, &value, &mut reading);
    }
    reading.finish()
}

/// What stays the same while one query is read.
struct Context<'q> {
    model: &'static Model,
    plans: &'static Plans,
    options: &'q Options<'q>,
    target: &'q Target,
    types: &'q [TypeId],
    /// Conditions looked at so far: chains through many types multiply.
    clauses: Cell<u64>,
}

/// The query as far as it was read.
struct Reading {
    parsed: Parsed,
    errors: Vec<Issue>,
    /// Result parameters that may be given once and were.
    once: Vec<&'static str>,
    /// `_summary` asks for less than the whole resource.
    summary: bool,
    /// `_summary=count`
    count_only: bool,
    /// `_containedType=contained`
    alone: bool,
}

impl Reading {
    fn new(types: &[TypeId], limits: &Limits) -> Self {
        let count = limits.page_entries_default.min(limits.page_entries_max);
        let query = Query {
            types: types.to_vec(),
            filter: Vec::new(),
            relevance: Vec::new(),
            contained: None,
            sort: Vec::new(),
            count: u32::try_from(count).unwrap_or(u32::MAX),
            total: Total::None,
            include: Vec::new(),
            shape: Shape::Whole,
        };
        let (issues, control, self_query) = Default::default();
        let parsed = Parsed {
            query,
            issues,
            control,
            self_query,
        };
        Self {
            parsed,
            errors: Vec::new(),
            once: Vec::new(),
            summary: false,
            count_only: false,
            alone: false,
        }
    }

    fn finish(mut self) -> Result<Parsed, Outcome> {
        if self.summary && matches!(self.parsed.query.shape, Shape::Elements(_)) {
            let text = "_summary and _elements cannot be combined";
            self.errors.push(Issue::error(Code::SearchValue, text));
        }
        if self.count_only {
            self.parsed.query.count = 0;
            self.parsed.query.total = Total::Accurate;
        }
        if let Some(contained) = &mut self.parsed.query.contained {
            contained.alone = self.alone;
        }
        if self.errors.is_empty() {
            Ok(self.parsed)
        } else {
            Err(Outcome(self.errors))
        }
    }
}

impl Context<'_> {
    fn parameter(&self, name: String, value: &str, reading: &mut Reading) {
        if CONTROL_PARAMETERS.contains(&name.as_str()) {
            reading.parsed.control.push((name, value.to_owned()));
            return;
        }
        let read = if value.is_empty() {
            let text = format!("the parameter {} has no value", shown(&name));
            Err(Issue::error(Code::SearchParameterUnknown, text))
        } else {
            self.used(&name, value, reading)
        };
        match read {
            Ok(()) => form::encode(&name, value, &mut reading.parsed.self_query),
            Err(issue) if issue.code == Code::SearchParameterUnknown && !self.options.strict => {
                let text = format!("{}; it was ignored", issue.diagnostics);
                reading
                    .parsed
                    .issues
                    .push(Issue::warning(Code::SearchParameterIgnored, text));
            }
            Err(issue) => reading.errors.push(issue),
        }
    }

    fn used(&self, name: &str, value: &str, reading: &mut Reading) -> Result<(), Issue> {
        if self.result_parameter(name, value, reading)? {
            return Ok(());
        }
        self.relevant(name, value, reading)?;
        let clause = self.clause(self.types, name, value, 0)?;
        // The expressions of a filter have escapes of their own.
        if name != "_filter" && text::has_bad_escape(value) {
            let text = format!("{}: a \\ stands only before , | $ and \\", shown(name));
            return Err(Issue::error(Code::SearchValue, text));
        }
        reading.parsed.query.filter.push(clause);
        Ok(())
    }

    /// Counts a condition, whether it comes to one or not.
    fn count_clause(&self) -> Result<(), Issue> {
        let count = self.clauses.get() + 1;
        self.clauses.set(count);
        if count > self.options.limits.query_clauses_max {
            let text = "the query's chains go through too many types; name the types (a:Type.b)";
            return Err(too_much(text, "query_clauses_max"));
        }
        Ok(())
    }

    fn type_named(&self, name: &str) -> Result<TypeId, Issue> {
        self.model.type_id(name).ok_or_else(|| {
            let text = format!("there is no resource type {}", shown(name));
            Issue::error(Code::SearchValue, text)
        })
    }
}

fn too_much(text: &str, limit: &'static str) -> Issue {
    Issue::error(Code::LimitQuery, text).limit(limit)
}

/// A name from the query, as far as a message shows it.
fn shown(name: &str) -> String {
    let start: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
    format!("\"{start}\"")
}

#[cfg(test)]
mod tests;
