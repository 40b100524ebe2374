//! FHIRPath: text → expression → plan → values.
//!
//! [`parse`] reads the whole grammar. [`Plan::compile_as`] types an expression against a model,
//! once; what can be right for no document is refused there and not met while evaluating. A
//! [`Plan`] runs over borrowed JSON; nothing is copied, no structs of the model are built.
//!
//! Knows no search parameters, storage or tenants. What needs more than the document (references
//! to other resources, value sets, profiles, the time) comes through an [`Environment`] and its
//! [`Host`], which never wait.

pub mod ast;
mod compile;
mod eval;
mod function;
mod host;
mod item;
mod lex;
mod make;
mod moment;
pub mod operation;
mod parse;
mod plan;
mod quantity;
mod types;

use base::limits::fixed::{
    FHIRPATH_EXPRESSION_BYTES_MAX as EXPRESSION_BYTES_MAX, FHIRPATH_PARTS_MAX as NODES_MAX,
    FHIRPATH_TEXT_BYTES_MAX as TEXT_BYTES_MAX,
};

pub use host::{Environment, Host, NoHost, Told};
pub use item::{Item, Node};
pub use make::TermsCall;
pub use moment::{Moment, MomentKind, Precision};
pub use parse::parse;
pub use plan::{Plan, Touched};
pub use quantity::{Quantity, Unit};
pub use types::{System, Type, Types};

/// How expressions are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// As search parameters are written: branches for other types are dropped, FHIRPath's own types
    /// are the model's primitives, `as` takes any number of items, and `code` is a `string`.
    pub search: bool,
    /// Functions that need an order are refused where there is none (`children().first()`).
    pub ordered: bool,
    /// The names of choices in JSON are names of elements too (`Observation.valueQuantity`).
    pub polymorphic: bool,
}

/// Rules, and what the caller hands in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings<'s> {
    /// How expressions are read.
    pub rules: Rules,
    /// Names of the variables that the environment will have, without `%`.
    pub variables: &'s [&'s str],
}

impl Settings<'_> {
    /// The rules of search parameters.
    pub const SEARCH: Self = Self {
        rules: Rules {
            search: true,
            ordered: false,
            polymorphic: false,
        },
        variables: &[],
    };
}

/// Bytes of stack that one level of an expression takes at most, in builds without optimisation.
const LEVEL_BYTES: usize = 48 << 10;

/// Does work that nests so many levels deep on a stack that has room for it.
fn on_stack<T>(levels: usize, work: impl FnOnce() -> T) -> T {
    let room = levels.saturating_add(1).saturating_mul(LEVEL_BYTES);
    stacker::maybe_grow(room, room.max(1 << 20), work)
}

/// The names of all functions, alphabetical.
pub fn function_names() -> Vec<&'static str> {
    use function::Function;
    let mut names: Vec<_> = [Function::NAMES, Function::OWN_NAMES].concat();
    names.sort_unstable();
    names
}

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
    /// It starts with the name of another type.
    #[error("\"{name}\" is not the type of the context, which is {on}")]
    OtherType {
        /// The types of the context.
        on: String,
        /// The type that was written.
        name: String,
    },
    /// No such type.
    #[error("no type is called \"{0}\"")]
    NoType(String),
    /// No such function.
    #[error("no function is called \"{0}\"")]
    NoFunction(String),
    /// A function does not take so many arguments.
    #[error("{name}() does not take {got} arguments")]
    Arguments {
        /// The function.
        name: String,
        /// The arguments it was given.
        got: usize,
    },
    /// A function cannot be used on such items.
    #[error("{function}() cannot be used on {on}")]
    Input {
        /// The function.
        function: &'static str,
        /// The types it was used on.
        on: String,
    },
    /// An operator cannot be used on such items.
    #[error("{left} and {right} do not go together with {operator}")]
    Operands {
        /// The operator.
        operator: &'static str,
        /// The types on the left.
        left: String,
        /// The types on the right.
        right: String,
    },
    /// No such variable.
    #[error("no variable is called {0} here")]
    NoVariable(String),
    /// The variable exists already.
    #[error("the variable %{0} exists already")]
    Defined(String),
    /// A criterion is no boolean.
    #[error("a criterion must be a Boolean, not {0}")]
    NotBoolean(String),
    /// The order of the items means nothing.
    #[error("the items here have no order to choose by")]
    NoOrder,
    /// A literal stands for no value.
    #[error("\"{0}\" is no value")]
    Literal(String),
    /// A regular expression is none.
    #[error("\"{0}\" is not a regular expression that Insula takes")]
    Pattern(String),
    /// Insula does not compute this.
    #[error("not supported here: {0}")]
    Unsupported(String),
}

impl PathError {
    /// Whether the text is not FHIRPath at all, rather than wrong for the model.
    pub const fn is_syntax(&self) -> bool {
        matches!(self, Self::Syntax { .. })
    }
}

/// Why an evaluation stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// More steps than allowed.
    #[error("the evaluation took more steps than allowed")]
    Steps,
    /// A text or a pattern grew too large.
    #[error("a text that the expression put together is larger than allowed")]
    TextTooLong,
    /// More or larger elements than one expression may make.
    #[error("the expression makes more or larger elements than allowed")]
    Made,
    /// Several items where the language wants one.
    #[error("several items where one is expected")]
    NotSingle,
    /// Operands that do not go together.
    #[error("the operands of {0} do not go together")]
    Operands(&'static str),
    /// A function was given something that it cannot use.
    #[error("not what {0} needs")]
    Input(&'static str),
    /// A unit that cannot be added to a date or time.
    #[error("\"{0}\" cannot be added to a date or time")]
    Unit(Box<str>),
    /// No such type.
    #[error("no type is called \"{0}\"")]
    NoType(Box<str>),
    /// No such variable.
    #[error("no variable is called %{0} here")]
    NoVariable(Box<str>),
    /// A literal stands for no value.
    #[error("\"{0}\" is no value")]
    Literal(Box<str>),
    /// A regular expression is none.
    #[error("\"{0}\" is not a regular expression that Insula takes")]
    Pattern(Box<str>),
    /// A modifier extension that the expression does not know.
    #[error("an element has a modifier extension that is not expected")]
    Modifier,
    /// The value set, code system or profile is not known here.
    #[error("{0}() needs a definition that is not known here")]
    NotKnown(&'static str),
    /// No time was handed in.
    #[error("there is no clock here")]
    NoClock,
}

#[cfg(test)]
mod tests;
