//! What is kept in the index tables for one resource.

use crate::definitions::{ParamId, TypeId};

use super::query::Range;

pub use super::value::fold::fold;

/// One index row of a resource. Rows of one resource are unique.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The parameter it belongs to.
    pub param: ParamId,
    /// The value.
    pub value: RowValue,
}

/// The value of a [`Row`]; each variant belongs to one index table.
#[derive(Clone, Debug, PartialEq)]
pub enum RowValue {
    /// A code, identifier, boolean …; `system` is empty where there is none.
    Token {
        /// The system, or empty.
        system: Box<str>,
        /// The code, or empty.
        code: Box<str>,
    },
    /// Folded and original text: of string parameters, and the displays and texts of tokens
    /// (for `:text`).
    String {
        /// As [`fold`] gives it.
        folded: Box<str>,
        /// As written.
        exact: Box<str>,
    },
    /// Microseconds; half-open. Open periods end at `i64::MIN` / `i64::MAX`.
    Date(Range<i64>),
    /// The value with its implied precision.
    Number(Range<f64>),
    /// A quantity.
    Quantity {
        /// The value with its implied precision.
        value: Range<f64>,
        /// The unit's system, or empty.
        system: Box<str>,
        /// The unit's code, or empty.
        code: Box<str>,
        /// The printed unit where it differs from the code, or empty.
        unit: Box<str>,
    },
    /// A reference to a resource of this tenant.
    Reference {
        /// The target's type.
        type_id: TypeId,
        /// The target's id.
        id: base::ResourceId,
        /// A version, or empty.
        version: Box<str>,
    },
    /// A reference elsewhere, or a canonical.
    ReferenceUrl {
        /// The URL without version.
        url: Box<str>,
        /// The canonical's version, or empty.
        version: Box<str>,
    },
    /// The identifier of a reference (for `:identifier`).
    ReferenceIdentifier {
        /// The system, or empty.
        system: Box<str>,
        /// The value, or empty.
        code: Box<str>,
    },
    /// A uri.
    Uri(Box<str>),
    /// The components of one instance of a composite, in the parameter's order.
    Composite(Vec<RowValue>),
}
