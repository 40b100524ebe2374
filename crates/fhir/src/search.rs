//! Search: a query string becomes a typed [`Query`]; a resource becomes index [`rows`].
//!
//! Both sides meet in the storage engine, which knows neither strings nor FHIRPath. Clause numbers
//! refer to FHIR R4 `search.html`.

pub mod among;
pub mod custom;
pub mod extract;
pub mod guarded;
pub mod holds;
pub mod parse;
pub mod query;
pub mod rows;
mod served;
pub mod terms;
mod understood;
pub(crate) mod value;
pub mod words;

pub use custom::Customs;
pub use extract::{extract, holds_canonicals};
pub use parse::{Options, Parsed, Target, parse};
pub use query::Query;
pub use served::{RESULT_PARAMETERS, Served, served};
pub use understood::understood;
