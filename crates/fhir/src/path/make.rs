//! What `%factory` and `%terminologies` can be asked (`fhirpath.html#factory`,
//! `fhirpath.html#txapi`): names, arguments, and what comes out.

use super::types::{Type, Types};
use crate::definitions::Content;

/// A function of one of these variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Make {
    /// `%factory.code('final')`: a primitive and its extensions.
    Primitive(Type),
    /// `%factory.Coding(system, code, …)`: the elements in the order of the arguments.
    Complex(Type, &'static [&'static str]),
    /// `%factory.create(Money)`
    Create(Type),
    /// `%factory.withExtension(instance, url, value)`
    WithExtension,
    /// `%factory.withProperty(instance, name, value)`
    WithProperty,
    /// `%terminologies.…`
    Terms(TermsCall),
}

/// A function of `%terminologies`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TermsCall {
    /// `expand(valueSet, params)`
    Expand,
    /// `lookup(coded, params)`
    Lookup,
    /// `validateVS(valueSet, coded, params)`
    ValidateValueSet,
    /// `validateCS(codeSystem, coded, params)`
    ValidateCodeSystem,
    /// `subsumes(system, coded1, coded2, params)`
    Subsumes,
    /// `translate(conceptMap, coded, params)`
    Translate,
}

/// Types that have a function of their own, with the elements that its arguments are.
const COMPLEX: &[(&str, &[&str])] = &[
    ("Extension", &["url", "value"]),
    ("Identifier", &["system", "value", "use", "type"]),
    (
        "HumanName",
        &["family", "given", "prefix", "suffix", "text", "use"],
    ),
    ("ContactPoint", &["system", "value", "use"]),
    (
        "Address",
        &[
            "line",
            "city",
            "state",
            "postalCode",
            "country",
            "use",
            "type",
        ],
    ),
    ("Quantity", &["system", "code", "value", "unit"]),
    ("Coding", &["system", "code", "display", "version"]),
    ("CodeableConcept", &["coding", "text"]),
];

/// The functions of `%terminologies`, with their arguments, `params` apart.
const TERMS: &[(&str, TermsCall, usize)] = &[
    ("expand", TermsCall::Expand, 1),
    ("lookup", TermsCall::Lookup, 1),
    ("validateVS", TermsCall::ValidateValueSet, 2),
    ("validateCS", TermsCall::ValidateCodeSystem, 2),
    ("subsumes", TermsCall::Subsumes, 3),
    ("translate", TermsCall::Translate, 2),
];

impl Make {
    /// A function of `%factory` that takes values; `None` for an unknown one.
    pub(super) fn factory(
        types: &Types,
        name: &str,
    ) -> Option<(Self, std::ops::RangeInclusive<usize>)> {
        match name {
            "withExtension" => return Some((Self::WithExtension, 3..=3)),
            "withProperty" => return Some((Self::WithProperty, 3..=3)),
            _ => {}
        }
        if let Some((name, elements)) = COMPLEX.iter().find(|(of, _)| *of == name) {
            let ty = types.by_name(name)?;
            return Some((Self::Complex(ty, elements), 1..=elements.len()));
        }
        let ty = types.by_name(name)?;
        matches!(ty.content(), Content::Primitive(_)).then_some((Self::Primitive(ty), 1..=2))
    }

    /// A function of `%terminologies`.
    pub(super) fn terms(name: &str) -> Option<(Self, std::ops::RangeInclusive<usize>)> {
        let (_, call, least) = TERMS.iter().find(|(of, ..)| *of == name)?;
        Some((Self::Terms(*call), *least..=least + 1))
    }

    /// The type of what comes out; `None`: that of the first argument.
    pub(super) fn output(self, types: &Types) -> Option<Type> {
        match self {
            Self::Primitive(ty) | Self::Complex(ty, _) | Self::Create(ty) => Some(ty),
            Self::WithExtension | Self::WithProperty => None,
            Self::Terms(TermsCall::Expand) => types.by_name("ValueSet"),
            Self::Terms(TermsCall::Subsumes) => types.by_name("code"),
            Self::Terms(_) => types.by_name("Parameters"),
        }
    }
}
