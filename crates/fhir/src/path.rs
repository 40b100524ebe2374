//! FHIRPath: text → expression → plan → values.
//!
//! [`parse`] reads the whole grammar. [`Plan::compile`] types an expression against a model, once;
//! what the engine cannot compute is refused there and not met while evaluating. A [`Plan`] runs
//! over borrowed JSON; nothing is copied, no structs of the model are built.
//!
//! Knows no search parameters, storage or tenants, and never resolves a reference over the
//! network: `resolve()` is only understood in `resolve() is Type`, which the text of the reference
//! answers.

pub mod ast;
mod compile;
mod eval;
mod item;
mod lex;
mod parse;
mod types;

pub use compile::Plan;
pub use item::{Item, Node};
pub use parse::parse;
pub use types::{Type, Types};

/// Parts that an expression may have.
const NODES_MAX: usize = 1_024;

/// Why an expression cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It is not FHIRPath.
    #[error("{what} at byte {at} of the expression")]
    Syntax {
        /// Offset in bytes.
        at: usize,
        /// What was wrong.
        what: &'static str,
    },
    /// It has too many parts or is nested too deeply.
    #[error("the expression has more than 1024 parts or is nested too deeply")]
    TooLarge,
    /// No such element.
    #[error("{on} has no element \"{name}\"")]
    NoElement {
        /// The types that were asked.
        on: String,
        /// The element.
        name: String,
    },
    /// No such type.
    #[error("no type is called \"{0}\"")]
    NoType(String),
    /// Insula does not compute this.
    #[error("not supported here: {0}")]
    Unsupported(String),
}

/// Why an evaluation stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// More steps than allowed.
    #[error("the evaluation took more steps than allowed")]
    Steps,
    /// Several items where the language wants one.
    #[error("several items where one is expected")]
    NotSingle,
}

#[cfg(test)]
mod tests;
