//! What search serves, for the CapabilityStatement and the documentation.

use crate::definitions::{FhirVersion, Model, Param, ParamKind, TypeId};

use super::extract::{ParamPlan, Plans};
use super::query::Prefix;

/// A search parameter that is served.
#[derive(Clone, Debug)]
pub struct Served {
    /// Its definition.
    pub param: &'static Param,
    /// Modifiers it takes, without colon; `type` stands for the name of a resource type.
    pub modifiers: Vec<&'static str>,
    /// Prefixes its values take.
    pub prefixes: &'static [Prefix],
}

/// Parameters of the result that every search takes.
pub const RESULT_PARAMETERS: &[&str] = &[
    "_contained",
    "_containedType",
    "_count",
    "_elements",
    "_include",
    "_revinclude",
    "_sort",
    "_summary",
    "_total",
];

/// The search parameters served for a type, sorted by code. `_has` is served for every type and
/// not listed: it has no definition of its own.
pub fn served(model: &'static Model, type_id: TypeId) -> Vec<Served> {
    let plans = Plans::of(model).of_type(type_id);
    let is_served = |p: &&'static Param| {
        matches!(p.code, "_id" | "_lastUpdated") || plans.is_some_and(|t| t.param(p.id).is_some())
    };
    let of = |param: &'static Param| {
        let plan = plans.and_then(|t| t.param(param.id));
        let fits = |modifier: &&&str| match **modifier {
            "of-type" => plan.is_some_and(ParamPlan::has_identifiers),
            "identifier" => plan.is_some_and(ParamPlan::may_identify),
            _ => true,
        };
        let all: &[&str] = match param.code {
            "_id" => &["missing", "not"],
            _ => modifiers(model.version(), param.kind),
        };
        Served {
            param,
            modifiers: all.iter().filter(fits).copied().collect(),
            prefixes: prefixes(param.kind),
        }
    };
    model
        .params(type_id)
        .iter()
        .filter(is_served)
        .map(of)
        .collect()
}

/// Modifiers of parameters of a type, in a version.
pub(super) fn modifiers(version: FhirVersion, kind: ParamKind) -> &'static [&'static str] {
    let r5 = is_r5(version);
    match kind {
        ParamKind::String if r5 => &["contains", "exact", "missing", "text"],
        ParamKind::String => &["contains", "exact", "missing"],
        ParamKind::Token if r5 => &[
            "above",
            "below",
            "code-text",
            "in",
            "missing",
            "not",
            "not-in",
            "of-type",
            "text",
            "text-advanced",
        ],
        ParamKind::Token => &[
            "above", "below", "in", "missing", "not", "not-in", "of-type", "text",
        ],
        ParamKind::Reference if r5 => &[
            "above",
            "below",
            "code-text",
            "identifier",
            "in",
            "missing",
            "not-in",
            "text",
            "text-advanced",
            "type",
        ],
        ParamKind::Reference => &["above", "below", "identifier", "missing", "type"],
        ParamKind::Uri if r5 => &["above", "below", "contains", "missing"],
        ParamKind::Uri => &["above", "below", "missing"],
        ParamKind::Number | ParamKind::Date | ParamKind::Quantity | ParamKind::Special => {
            &["missing"]
        }
        ParamKind::Composite => &[],
    }
}

/// Whether a version has the search of R5.
pub(super) fn is_r5(version: FhirVersion) -> bool {
    version.as_str().starts_with('5')
}

const fn prefixes(kind: ParamKind) -> &'static [Prefix] {
    match kind {
        ParamKind::Number | ParamKind::Date | ParamKind::Quantity => Prefix::ALL,
        _ => &[],
    }
}
