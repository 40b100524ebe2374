//! Resources as they are stored, and changes.

use std::sync::Arc;

use access::{Create, Delete, Permit, Released, Search, Update};
use base::limits::fixed::IF_MATCH_VERSIONS_MAX;
use base::{Code, Micros, ResourceId, Version};
use bytes::Bytes;
use fhir::definitions::TypeId;
use fhir::resource::Valid;
use fhir::search::Query;

use super::data::{Apart, Data};

/// One version of a resource, ready for the wire.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its type.
    pub type_id: TypeId,
    /// Its id.
    pub id: ResourceId,
    /// The version.
    pub version: Version,
    /// When the version was made.
    pub updated: Micros,
    /// How the version was made.
    pub method: Method,
    /// The whole resource as JSON; empty for a deletion. With [`Self::data`], `data` is empty in it.
    pub body: Bytes,
    /// The data of a Binary, where it is kept apart.
    pub data: Option<Data>,
}

/// How a version came to be; also `Bundle.entry.request.method` of histories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// create
    Post,
    /// update
    Put,
    /// patch
    Patch,
    /// delete
    Delete,
}

impl Method {
    /// The HTTP verb.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// The answer to a read.
#[derive(Clone, Debug)]
pub enum Read {
    /// Here it is.
    Found(Released<Stored>),
    /// It was deleted; the version that says so.
    Deleted(Released<Stored>),
    /// There never was one.
    Absent,
}

/// A valid resource made ready off the writer: compressed, digested, its rows sorted. Made by
/// [`crate::TenantStore::prepare`].
#[derive(Debug)]
pub struct Prepared {
    pub(crate) valid: Arc<Valid>,
    pub(crate) packed: Vec<u8>,
    pub(crate) dict: u32,
    pub(crate) digest: [u8; 32],
    /// The stored body without its data, and the data, where that is kept apart.
    pub(crate) apart: Option<Apart>,
}

impl Prepared {
    /// The resource.
    pub fn valid(&self) -> &Valid {
        &self.valid
    }

    /// The body as it is stored.
    pub(crate) fn body(&self) -> &str {
        match &self.apart {
            Some(apart) => &apart.body,
            None => self.valid.body(),
        }
    }
}

/// A condition on the current version, checked when the write is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `If-Match: W/"n"`
    Version(Version),
    /// `If-Match: W/"n", W/"m"`
    OneOf(Versions),
    /// `If-None-Match: W/"n"`: the current version, if there is one, is none of these.
    NoneOf(Versions),
    /// `If-Unmodified-Since`, to the second: the current version, if there is one, is no younger.
    Unmodified(Micros),
    /// `If-None-Match: *`: there must be no current version.
    Absent,
    /// There must be a current version (a conditional update that found one).
    Present,
    /// `If-Match: *`: there must be a current version, whichever.
    There,
}

/// Several versions of which any will do (RFC 9110 section 13.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions([Option<Version>; IF_MATCH_VERSIONS_MAX]);

impl Versions {
    /// These; `None` for more than [`IF_MATCH_VERSIONS_MAX`].
    pub fn new(versions: &[Version]) -> Option<Self> {
        let mut all = [None; IF_MATCH_VERSIONS_MAX];
        if versions.len() > all.len() {
            return None;
        }
        for (slot, version) in all.iter_mut().zip(versions) {
            *slot = Some(*version);
        }
        Some(Self(all))
    }

    /// Whether a version is one of them.
    pub fn have(&self, version: Version) -> bool {
        self.0.contains(&Some(version))
    }
}

impl Condition {
    /// Whether it does not hold for a current version, made at this time.
    pub fn rules_out(&self, current: Version, updated: Micros) -> bool {
        match self {
            Self::Version(wanted) => *wanted != current,
            Self::OneOf(versions) => !versions.have(current),
            Self::NoneOf(versions) => versions.have(current),
            Self::Unmodified(since) => updated.as_secs() > since.as_secs(),
            Self::Absent | Self::Present | Self::There => false,
        }
    }

    /// How a write is refused whose condition rules the current version out.
    pub const fn refusal(&self) -> Code {
        match self {
            Self::Version(_) | Self::OneOf(_) => Code::VersionConflict,
            _ => Code::PreconditionFailed,
        }
    }

    /// Whether it holds where there is no current version, and says nothing else about that.
    pub const fn is_weak(&self) -> bool {
        matches!(self, Self::NoneOf(_) | Self::Unmodified(_))
    }

    /// Whether the caller named versions.
    pub const fn names_versions(&self) -> bool {
        matches!(self, Self::Version(_) | Self::OneOf(_))
    }
}

/// One resource's part in a change.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "most writes are of the large kinds"
)]
pub enum Write {
    /// A new resource; its id must not exist.
    Create {
        /// The right.
        permit: Permit<Create>,
        /// The resource.
        resource: Prepared,
    },
    /// A new version; makes the resource if it does not exist and a right to create is given.
    Put {
        /// The right.
        permit: Permit<Update>,
        /// The right to make it.
        or_create: Option<Permit<Create>>,
        /// The resource.
        resource: Prepared,
        /// A condition on the current version.
        condition: Option<Condition>,
        /// `Put` or `Patch`.
        method: Method,
    },
    /// A deletion; deleting what is not there is not an error.
    Delete {
        /// The right.
        permit: Permit<Delete>,
        /// The type.
        type_id: TypeId,
        /// The id.
        id: ResourceId,
        /// A condition on the current version.
        condition: Option<Condition>,
    },
}

impl Write {
    /// The resource it is about.
    pub(crate) fn target(&self) -> (TypeId, &ResourceId) {
        match self {
            Self::Create { resource, .. } | Self::Put { resource, .. } => {
                (resource.valid.type_id(), resource.valid.id())
            }
            Self::Delete { type_id, id, .. } => (*type_id, id),
        }
    }
}

/// What a conditional request found when it was prepared; checked again when it is made.
#[derive(Debug)]
pub struct Expectation {
    /// The right to search.
    pub permit: Permit<Search>,
    /// The criteria.
    pub query: Arc<Query>,
    /// What they matched.
    pub expected: Expected,
}

/// What criteria matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Nothing.
    Nothing,
    /// Exactly this resource.
    One(TypeId, ResourceId),
}

/// Writes that are made together or not at all.
#[derive(Debug, Default)]
pub struct Change {
    /// The writes; each resource at most once.
    pub writes: Vec<Write>,
    /// What must hold when they are made.
    pub expectations: Vec<Expectation>,
    /// Whether literal references must resolve (to what is stored or made by this change), and
    /// what is referred to may not be deleted.
    pub enforce_references: bool,
}

/// What a write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It made the resource.
    Created,
    /// It made another version.
    Updated,
    /// It deleted the resource.
    Deleted,
    /// There was nothing to delete.
    Nothing,
    /// An import brought what is there already; no version was made.
    Unchanged,
}

/// The answer to one write of a change.
#[derive(Clone, Debug)]
pub struct Written {
    /// What it did.
    pub outcome: Outcome,
    /// The version made (for [`Outcome::Nothing`] the last one, if there ever was one).
    pub stored: Option<Released<Stored>>,
}
