//! FHIR's XML form (`xml.html`): into the JSON text that everything else works on, and out of it
//! again, without loss either way.
//!
//! What XML can say beyond FHIR is not taken: document type declarations and the entities they
//! define are refused, comments and processing instructions are dropped. Knows the definitions of
//! a version, because only they tell which elements repeat and what type a value has; checks no
//! more of a resource than it must, the JSON it makes is validated like any other.

use base::Code;

use crate::definitions::Model;
use crate::outcome::{Issue, Outcome};

mod entity;
mod narrative;
mod read;
mod token;
mod write;

pub(crate) use entity::named as named_character;
pub(crate) use narrative::{is_well_formed_narrative, reference};
pub use token::XmlError;
pub(crate) use token::{Attribute, Name, Start, Token, Tokens, is_name, is_space};
pub use write::{Layout, write_xml};
pub(crate) use write::{push_attribute, push_text};

/// The namespace of FHIR's elements.
pub const FHIR: &str = "http://hl7.org/fhir";

/// The namespace of narratives.
pub const XHTML: &str = "http://www.w3.org/1999/xhtml";

/// The namespace that the prefix `xml` always means.
pub(crate) const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// The namespace of schema locations; they are no content.
pub(crate) const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// How much XML is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Elements inside elements: limit `xml_depth_max`.
    pub depth_max: usize,
    /// Attributes of one element, and namespace declarations in force at one place: limit
    /// `xml_attributes_max`.
    pub attributes_max: usize,
    /// Most issues that are listed: limit `outcome_issues_max`.
    pub issues_max: usize,
}

/// The compact JSON text of one resource written in XML.
///
/// # Errors
/// `xml-syntax` where it is not well-formed, `limit-exceeded` where it is beyond the bounds, and
/// `element-unknown`, `element-cardinality`, `element-empty`, `resource-type-mismatch` with the
/// place of each thing that has no JSON form.
pub fn to_json(model: &'static Model, bytes: &[u8], bounds: &Bounds) -> Result<String, Outcome> {
    read::Reader::new(model, bounds).read(bytes)
}

impl From<&XmlError> for Issue {
    fn from(error: &XmlError) -> Self {
        match error {
            XmlError::TooDeep { .. } => {
                Self::error(Code::LimitExceeded, error.to_string()).limit("xml_depth_max")
            }
            XmlError::TooManyAttributes { .. } => {
                Self::error(Code::LimitExceeded, error.to_string()).limit("xml_attributes_max")
            }
            _ => Self::error(Code::XmlSyntax, error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
