//! Whether a query would be understood: for documentation that cannot promise what the parser
//! refuses.

use base::{Limits, Micros};

use crate::definitions::Model;

use super::custom::Customs;
use super::parse::{Options, Target, parse};

/// Whether a strict search of this type, or of all types if none is named, takes this query
/// string. A type that the version does not have is understood by no query.
pub fn understood(model: &'static Model, type_name: Option<&str>, query: &str) -> bool {
    let target = match type_name {
        None => Target::All,
        Some(name) => match model.type_id(name) {
            Some(id) => Target::Types(vec![id]),
            None => return false,
        },
    };
    let options = Options {
        limits: &Limits::default(),
        strict: true,
        own_bases: &[],
        now: Micros(0),
        custom: Customs::NONE,
    };
    parse(model, &target, query, &options).is_ok()
}
