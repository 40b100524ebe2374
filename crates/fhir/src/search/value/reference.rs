//! Where the text of a reference, a canonical or a reference in a query points to, as the index
//! distinguishes it.

use std::borrow::Cow;

use base::ResourceId;

use crate::definitions::{Model, TypeId};
use crate::reference::Literal;

/// What a text points to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target<'t> {
    /// Something contained in the same resource; its id.
    Contained(&'t str),
    /// A resource of this server.
    Local {
        type_id: TypeId,
        id: ResourceId,
        /// Empty if none is named.
        version: &'t str,
    },
    /// Anything else: a URL of another server, a URN, a canonical.
    Url(Canonical<'t>),
}

/// A URL with what may follow it (`references.html#canonical`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Canonical<'t> {
    /// Without version and fragment.
    pub(crate) url: &'t str,
    /// From `url|2` or `…/_history/2`; empty if none is named.
    pub(crate) version: &'t str,
    /// From `url|2#part` or `url#part`; empty if none is named.
    pub(crate) fragment: &'t str,
}

impl<'t> Canonical<'t> {
    /// Reads `url|version#fragment`, of which only the URL must be there.
    pub(crate) fn read(text: &'t str) -> Self {
        let split = text
            .rsplit_once('|')
            .or_else(|| text.rsplit_once("/_history/"));
        let (url, version) = split.unwrap_or((text, ""));
        let parted = |text: &'t str| text.split_once('#').filter(|(_, part)| !part.is_empty());
        if let Some((version, fragment)) = parted(version) {
            return Self {
                url,
                version,
                fragment,
            };
        }
        let (url, fragment) = parted(url).unwrap_or((url, ""));
        Self {
            url,
            version,
            fragment,
        }
    }

    /// The URL with the fragment: how the part itself is named in any version.
    pub(crate) fn part(&self) -> Cow<'t, str> {
        match self.fragment {
            "" => self.url.into(),
            fragment => format!("{}#{fragment}", self.url).into(),
        }
    }
}

impl<'t> Target<'t> {
    /// Reads a text; one that is no `Type/id` is a URL, whatever it looks like.
    pub(crate) fn read(text: &'t str, model: &Model, own_bases: &[&str]) -> Self {
        match Literal::parse(text, model, own_bases) {
            Literal::Contained(id) => Self::Contained(id),
            Literal::Local {
                type_id,
                id,
                version,
            } => Self::Local {
                type_id,
                id,
                version: version.unwrap_or(""),
            },
            Literal::Conditional { .. } | Literal::Absolute(_) | Literal::Malformed => {
                Self::Url(Canonical::read(text))
            }
        }
    }

    /// The type pointed to, where the text says it: for URLs by their shape (`…/Patient/7`).
    pub(crate) fn type_id(&self, model: &Model) -> Option<TypeId> {
        match self {
            Self::Contained(_) => None,
            Self::Local { type_id, .. } => Some(*type_id),
            // A part of a resource is another one.
            Self::Url(canonical) if !canonical.fragment.is_empty() => None,
            Self::Url(canonical) => {
                let mut parts = canonical.url.rsplit('/');
                ResourceId::new(parts.next()?).ok()?;
                model.type_id(parts.next()?)
            }
        }
    }
}
