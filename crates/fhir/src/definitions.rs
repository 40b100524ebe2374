//! What a version of FHIR defines: types, elements, search parameters, required codes,
//! compartments. One immutable [`Model`] per version, shared by all tenants.
//!
//! The tables are distilled from HL7's packages by `cargo xtask definitions` and committed; adding
//! a version is adding a table. Knows nothing of content, storage or tenants.

mod element;
mod form;
mod load;
mod model;
mod param;
mod version;

pub use element::{
    Content, Element, ElementType, Found, Primitive, Structure, StructureId, ValueSet, ValueSetId,
};
pub use model::Model;
pub use param::{Compartment, Component, Param};
pub use version::{FhirVersion, PerVersion};

impl Model {
    /// The model of a version; built on first use.
    pub fn of(version: FhirVersion) -> &'static Self {
        static MODELS: PerVersion<Model> = PerVersion::new();
        MODELS.get(version, || load::model(version).0)
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

impl ParamKind {
    /// The kind by its name in `SearchParameter.type`.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "number" => Self::Number,
            "date" => Self::Date,
            "string" => Self::String,
            "token" => Self::Token,
            "reference" => Self::Reference,
            "composite" => Self::Composite,
            "quantity" => Self::Quantity,
            "uri" => Self::Uri,
            "special" => Self::Special,
            _ => return None,
        })
    }

    /// Its name in `SearchParameter.type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Date => "date",
            Self::String => "string",
            Self::Token => "token",
            Self::Reference => "reference",
            Self::Composite => "composite",
            Self::Quantity => "quantity",
            Self::Uri => "uri",
            Self::Special => "special",
        }
    }
}

#[cfg(test)]
mod tests;
