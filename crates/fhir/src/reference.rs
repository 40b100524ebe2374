//! Literal references (`references.html#literal`): what the text of `Reference.reference` points
//! to. Knows the types of a version and this server's own base URLs, nothing of what exists.

use std::borrow::Cow;

use base::ResourceId;

use crate::definitions::{Model, TypeId};

/// How UUIDs as URNs begin.
const UUID: &str = "urn:uuid:";

/// What a literal reference points to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal<'t> {
    /// A resource of this server: `Patient/7`, `Patient/7/_history/2`, or the same after one of
    /// this server's own base URLs.
    Local {
        /// The target's type.
        type_id: TypeId,
        /// The target's id.
        id: ResourceId,
        /// The version named, if any.
        version: Option<&'t str>,
    },
    /// `#id`: a resource contained in the same one; `#` is the container.
    Contained(&'t str),
    /// `Patient?identifier=…`: a conditional reference, good inside a transaction only.
    Conditional {
        /// The type searched.
        type_id: TypeId,
        /// The query, without `?`.
        query: &'t str,
    },
    /// An absolute URL or URN that is not this server's.
    Absolute(&'t str),
    /// None of these.
    Malformed,
}

impl<'t> Literal<'t> {
    /// Reads a reference. `own_bases` are this tenant's base URLs, without a final slash.
    pub fn parse(text: &'t str, model: &Model, own_bases: &[&str]) -> Self {
        if let Some(id) = text.strip_prefix('#') {
            return Self::Contained(id);
        }
        if is_absolute(text) {
            let own = own_bases
                .iter()
                .find_map(|b| text.strip_prefix(b).and_then(|rest| rest.strip_prefix('/')));
            return match own.map(|rest| Self::relative(rest, model)) {
                Some(local @ Self::Local { .. }) => local,
                _ => Self::Absolute(text),
            };
        }
        Self::relative(text, model)
    }

    fn relative(text: &'t str, model: &Model) -> Self {
        if let Some((name, query)) = text.split_once('?') {
            return model
                .type_id(name)
                .map_or(Self::Malformed, |type_id| Self::Conditional {
                    type_id,
                    query,
                });
        }
        let mut parts = text.split('/');
        let type_id = parts.next().and_then(|name| model.type_id(name));
        let id = parts.next().and_then(|id| ResourceId::new(id).ok());
        let version = match (parts.next(), parts.next(), parts.next()) {
            (None, ..) => None,
            (Some("_history"), Some(version), None) if !version.is_empty() => Some(version),
            _ => return Self::Malformed,
        };
        match (type_id, id) {
            (Some(type_id), Some(id)) => Self::Local {
                type_id,
                id,
                version,
            },
            _ => Self::Malformed,
        }
    }
}

/// A URN in the one spelling that all its equivalents have: letters of its scheme and its namespace do not
/// count (RFC 8141, 3.1), and in UUIDs none do (RFC 9562, 4). FHIR writes them in small letters
/// (`datatypes.html#uuid`). Anything else is left as it is.
pub fn one_spelling(text: &str) -> Cow<'_, str> {
    let lower = |to: usize| {
        let (head, tail) = text.split_at_checked(to)?;
        Some(head.to_ascii_lowercase() + tail)
    };
    let begins = |with: &str| {
        let head = text.get(..with.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(with))
    };
    let written = if begins(UUID) {
        // Behind them may be a fragment.
        lower(text.find('#').unwrap_or(text.len()))
    } else if begins("urn:") {
        let namespace = text.match_indices(':').nth(1);
        lower(namespace.map_or(text.len(), |(at, _)| at))
    } else {
        None
    };
    written.map_or(Cow::Borrowed(text), Cow::Owned)
}

/// Whether a text has a URI scheme (RFC 3986 section 3.1).
pub fn is_absolute(text: &str) -> bool {
    let Some((scheme, _)) = text.split_once(':') else {
        return false;
    };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::FhirVersion;

    #[test]
    fn urns_have_one_spelling() {
        for (text, wanted) in [
            ("urn:uuid:0A-f", "urn:uuid:0a-f"),
            ("URN:UUID:0A#Part", "urn:uuid:0a#Part"),
            ("URN:OID:1.2", "urn:oid:1.2"),
            ("urn:Oid", "urn:oid"),
            ("urn:X-Own:Aa", "urn:x-own:Aa"),
            ("http://E.org/A", "http://E.org/A"),
            ("urné", "urné"),
        ] {
            assert_eq!(one_spelling(text), wanted);
        }
    }

    #[test]
    fn references_are_told_apart() {
        let model = Model::of(FhirVersion::R4);
        let own = ["https://host/t/x/fhir"];
        let patient = model.type_id("Patient").unwrap();
        let local = |version| Literal::Local {
            type_id: patient,
            id: ResourceId::new("7").unwrap(),
            version,
        };
        let check = |text, expected| assert_eq!(Literal::parse(text, model, &own), expected);
        check("Patient/7", local(None));
        check("Patient/7/_history/2", local(Some("2")));
        check("https://host/t/x/fhir/Patient/7", local(None));
        let elsewhere = "https://host/t/xy/fhir/Patient/7";
        check(elsewhere, Literal::Absolute(elsewhere));
        let below = "https://host/t/x/fhir2/Patient/7";
        check(below, Literal::Absolute(below));
        check("urn:uuid:1", Literal::Absolute("urn:uuid:1"));
        check("#p", Literal::Contained("p"));
        let query = "identifier=urn:x|1";
        check(
            "Patient?identifier=urn:x|1",
            Literal::Conditional {
                type_id: patient,
                query,
            },
        );
        for bad in [
            "",
            "Patient",
            "Patient/",
            "Patient/a b",
            "Nobody/7",
            "Patient/7/x",
            "/Patient/7",
        ] {
            check(bad, Literal::Malformed);
        }
    }
}
