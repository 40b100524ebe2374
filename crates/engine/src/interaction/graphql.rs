//! `$graphql` (`graphql.html`): resources selected by a GraphQL document, of one resource or of the
//! whole.
//!
//! A document is evaluated over what was loaded so far; what it lacks is loaded in one go, as of the
//! same state, and the evaluation starts again. So evaluating needs no I/O, and resources that many
//! places refer to are read once. Any error is an error of the whole: no part of an answer leaves.

mod collect;
mod document;
mod fields;
mod filter;
mod find;
mod introspect;
mod load;
mod rules;
mod schema;
mod select;
mod variables;

use std::sync::Arc;

use base::Code;
use bytes::Bytes;
use fhir::json::push_json_string;

use self::document::Document;
use self::load::Loaded;
use self::select::Pass;
use super::operation::{Input, On};
use super::read::id_in_url;
use crate::answer::Answer;
use crate::failure::Failure;
use crate::session::Session;

/// Evaluations of one document: each one but the last found that something was missing.
const ROUNDS_MAX: usize = 64;

/// Why an evaluation stopped.
#[derive(Debug)]
enum Stop {
    /// The document, or what it asks of this data, is wrong.
    Fault(Fault),
    /// A resource may not be read.
    Denied,
}

/// What is wrong, and where.
#[derive(Debug)]
struct Fault {
    code: Code,
    text: String,
    /// Line and column of the document, from 1.
    at: Option<(usize, usize)>,
}

type Checked<T> = Result<T, Stop>;

/// A fault of the document.
fn wrong<T>(text: impl Into<String>, at: async_graphql_parser::Pos) -> Checked<T> {
    Err(Stop::Fault(Fault {
        code: Code::GraphqlInvalid,
        text: text.into(),
        at: Some((at.line, at.column)),
    }))
}

impl Session {
    /// Answers a GraphQL document.
    ///
    /// # Errors
    /// `not-found`, `deleted` for the resource asked of; `scope-missing`, `limit-query`,
    /// `limit-time`, and those of searches. What is wrong with the document itself is told in
    /// GraphQL's own form.
    pub(super) async fn graphql(&self, on: On<'_>, input: Input<'_>) -> Result<Answer, Failure> {
        let focus = match on {
            On::Instance(name, id) => Some((self.type_id(name)?, id_in_url(id)?)),
            _ => None,
        };
        if let Some((type_id, id)) = &focus {
            // The resource must be there before anything is said about the document.
            let read = self.read_stored(*type_id, id).await?;
            match read {
                store::Read::Found(_) => {}
                store::Read::Deleted(_) => return Err(Failure::of(Code::Deleted)),
                store::Read::Absent => return Err(Failure::of(Code::NotFound)),
            }
        } else {
            // Nobody without any right learns what is wrong with a document.
            let types = match on {
                On::Type(name) => vec![self.type_id(name)?],
                _ => self.model().types().collect(),
            };
            let _ = self.may_search(types.into_iter()).await?;
        }
        let limits = self.limits();
        let max = limits.query_bytes_max;
        if input.body.len() as u64 > max {
            return Err(Failure::limit(Code::LimitQuery, "query_bytes_max", max));
        }
        let document = match Document::read(input, limits) {
            Ok(document) => Arc::new(document),
            Err(fault) => return Ok(faulty(&fault)),
        };
        let root = focus.as_ref().map(|(id, _)| self.model().type_name(*id));
        match document.check(self.model(), root.unwrap_or("Query"), limits) {
            Ok(()) => {}
            Err(Stop::Fault(fault)) => return Ok(faulty(&fault)),
            Err(Stop::Denied) => return Err(Failure::of(Code::ScopeMissing)),
        }
        let mut loaded = Loaded::default();
        let own = self.store.customs().await?;
        // A document of some size is work before anything is loaded.
        let weight = 64 * (input.query.len() + input.body.len());
        let mut loaded_bytes = 0;
        for _ in 0..ROUNDS_MAX {
            let (session, document, focus) = (self.clone(), document.clone(), focus.clone());
            let own = own.clone();
            let pass = move || {
                let pass = Pass::new(&session, &own, &document, &loaded);
                let done = pass.run(focus.as_ref());
                let needs = pass.into_needs();
                Ok((done, needs, loaded))
            };
            let (done, needs, known) = self.compute(weight + loaded_bytes, pass).await?;
            loaded = known;
            match done {
                Err(Stop::Fault(fault)) => return Ok(faulty(&fault)),
                // The refusal was recorded when it was decided.
                Err(Stop::Denied) => return Err(Failure::of(Code::ScopeMissing)),
                Ok(fields) if needs.is_empty() => {
                    let mut out = String::from("{\"data\":");
                    fields.write(&mut out);
                    out.push('}');
                    return Ok(Answer::Graphql {
                        body: out.into(),
                        code: None,
                    });
                }
                Ok(_) => {
                    self.load(needs, &mut loaded).await?;
                    loaded_bytes = loaded.bytes();
                }
            }
        }
        Err(Failure::limit(
            Code::LimitQuery,
            "graphql_depth_max",
            limits.graphql_depth_max,
        ))
    }
}

/// The answer to a document that is wrong.
fn faulty(fault: &Fault) -> Answer {
    let mut out = String::from("{\"errors\":[{\"message\":");
    push_json_string(&fault.text, &mut out);
    if let Some((line, column)) = fault.at {
        out.push_str(&format!(
            ",\"locations\":[{{\"line\":{line},\"column\":{column}}}]"
        ));
    }
    out.push_str(",\"extensions\":{\"code\":");
    push_json_string(fault.code.as_str(), &mut out);
    out.push_str(",\"resource\":");
    let outcome = Failure::new(fault.code, fault.text.clone()).outcome();
    let mut resource = Vec::new();
    outcome.write(&mut resource);
    out.push_str(&String::from_utf8_lossy(&resource));
    out.push_str("}}]}");
    Answer::Graphql {
        body: Bytes::from(out),
        code: Some(fault.code),
    }
}
