//! What an evaluation is given from outside: the time, variables, and capabilities that need more
//! than the document.

use std::cell::Cell;

use super::EvalError;
use super::item::{Item, Node};
use super::make::TermsCall;
use super::moment::Moment;
use super::types::Types;
use crate::json;

/// What a capability tells of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Yes or no.
    Is(bool),
    /// There is no answer: the question means nothing here.
    Nothing,
    /// Not known here.
    Unknown,
}

/// Capabilities that need more than the document. Each may be missing; none does any waiting.
pub trait Host<'a> {
    /// The resource that a reference leads to, if it is at hand. References inside the document
    /// (contained resources, entries of a Bundle) never come here.
    fn resolve(&self, reference: &str) -> Option<json::Value<'a>> {
        let _ = reference;
        None
    }

    /// Whether a code, Coding or CodeableConcept is in a value set.
    fn member_of(&self, item: &Item<'a>, value_set: &str) -> Told {
        let _ = (item, value_set);
        Told::Unknown
    }

    /// Whether the first code subsumes the second.
    fn subsumes(&self, left: &Item<'a>, right: &Item<'a>) -> Told {
        let _ = (left, right);
        Told::Unknown
    }

    /// Whether an element conforms to a profile other than the types of the model; `None`: not
    /// known here.
    fn conforms_to(&self, item: &Item<'a>, profile: &str) -> Option<bool> {
        let _ = (item, profile);
        None
    }

    /// Whether there are elements that an expression makes, and a terminology.
    fn makes(&self) -> bool {
        false
    }

    /// The element that this JSON text is, which an expression put together. `None`: it is not there
    /// yet, and the evaluation has to be done again when it is.
    ///
    /// # Errors
    /// [`EvalError::Made`] past what one expression may make.
    fn made(&self, text: &str) -> Result<Option<json::Value<'a>>, EvalError> {
        let _ = text;
        Ok(None)
    }

    /// What a terminology says: a resource as JSON text, or a code; nothing where the question means
    /// nothing. `None`: that cannot be told here.
    fn terms(&self, call: TermsCall, args: &[Item<'a>]) -> Option<Option<String>> {
        let _ = (call, args);
        None
    }

    /// What `trace()` shows.
    fn trace(&self, name: &str, items: &[Item<'a>]) {
        let _ = (name, items);
    }
}

/// No capability at all.
#[derive(Clone, Copy, Debug)]
pub struct NoHost;

impl Host<'_> for NoHost {}

/// What stays the same during one evaluation.
#[derive(Clone, Copy)]
pub struct Environment<'a> {
    /// The types of the document.
    pub types: &'a Types,
    /// `%resource`
    pub resource: Option<Node<'a>>,
    /// `%rootResource`, where it is another one.
    pub root: Option<Node<'a>>,
    /// `now()`, with the offset that `today()` and `timeOfDay()` are told in.
    pub now: Option<Moment>,
    /// Steps left; counted down.
    pub steps: &'a Cell<u64>,
    /// Variables handed in, by name without `%`.
    pub variables: &'a [(&'a str, Vec<Item<'a>>)],
    /// Capabilities.
    pub host: &'a dyn Host<'a>,
}

impl<'a> Environment<'a> {
    /// An environment of a resource, without clock and variables.
    pub fn of(
        types: &'a Types,
        resource: Node<'a>,
        steps: &'a Cell<u64>,
        host: &'a dyn Host<'a>,
    ) -> Self {
        Self {
            types,
            resource: Some(resource),
            root: None,
            now: None,
            steps,
            variables: &[],
            host,
        }
    }
}

impl std::fmt::Debug for Environment<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment")
            .field("resource", &self.resource)
            .field("now", &self.now)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}
