//! Where the text of a reference, a canonical or a reference in a query points to, as the index
//! distinguishes it.

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
    Url {
        /// Without the version.
        url: &'t str,
        /// From `url|2` or `…/_history/2`; empty if none is named.
        version: &'t str,
    },
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
                let split = text
                    .rsplit_once('|')
                    .or_else(|| text.rsplit_once("/_history/"));
                let (url, version) = split.unwrap_or((text, ""));
                Self::Url { url, version }
            }
        }
    }

    /// The type pointed to, where the text says it: for URLs by their shape (`…/Patient/7`).
    pub(crate) fn type_id(&self, model: &Model) -> Option<TypeId> {
        match self {
            Self::Contained(_) => None,
            Self::Local { type_id, .. } => Some(*type_id),
            Self::Url { url, .. } => {
                let mut parts = url.rsplit('/');
                ResourceId::new(parts.next()?).ok()?;
                model.type_id(parts.next()?)
            }
        }
    }
}
