//! What a version of FHIR defines: types, elements, search parameters, required codes,
//! compartments. One immutable [`Model`] per version, shared by all tenants.
//!
//! The tables are distilled from HL7's packages by `cargo xtask definitions` and committed; adding
//! a version is adding a table. Knows nothing of content, storage or tenants.

use std::fmt;

/// A version of FHIR that a tenant can speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FhirVersion {
    /// 4.0.1
    R4,
}

impl FhirVersion {
    /// The version as it stands in `CapabilityStatement.fhirVersion`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::R4 => "4.0.1",
        }
    }

    /// The version that this text names.
    pub fn parse(text: &str) -> Option<Self> {
        (text == "4.0.1").then_some(Self::R4)
    }
}

impl fmt::Display for FhirVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A resource type. The number is stable for ever: it is stored in tenants' databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(pub u16);

/// A search parameter of one resource type (`Patient.name`, `Observation._tag`). The number is
/// stable for ever: it is stored in tenants' databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParamId(pub u32);

/// The type of a search parameter (`search.html#ptypes`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParamKind {
    /// number
    Number,
    /// date
    Date,
    /// string
    String,
    /// token
    Token,
    /// reference
    Reference,
    /// composite
    Composite,
    /// quantity
    Quantity,
    /// uri
    Uri,
    /// special
    Special,
}
