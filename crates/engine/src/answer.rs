//! What an interaction did, before an edge gives it a status, headers and bytes.

use access::Released;
use base::{Code, Version};
use bytes::Bytes;
use fhir::outcome::Outcome;
use fhir::search::query::Shape;
use store::{Page, Stored};

use crate::failure::Failure;
use crate::form;

/// What an interaction did.
#[derive(Debug)]
pub enum Answer {
    /// read, vread: here it is.
    Found(Released<Stored>),
    /// read: the part of it that was asked for.
    Part(Released<Stored>, Shape),
    /// The same without its content: HEAD in an entry of a Bundle.
    Bare(Box<Answer>),
    /// read: the caller's copy is good.
    NotModified(Released<Stored>),
    /// create, update: this version was made.
    Written {
        /// Whether the resource is new.
        created: bool,
        /// The version.
        stored: Released<Stored>,
    },
    /// update by an import: this version has the same content, none was made.
    Unchanged(Released<Stored>),
    /// patch: this version was made for a caller who may not read it.
    Unseen(Released<Stored>),
    /// Conditional create: this resource matches, nothing was made.
    Existing {
        /// The resource.
        stored: Released<Stored>,
        /// Whether the caller may read it; if not, it learns the place only.
        shown: bool,
    },
    /// delete: it is not there (any more); the version that says so, if there ever was one.
    Deleted(Option<Version>),
    /// A page of a search.
    Search(SearchPage),
    /// A page of a history.
    History(HistoryPage),
    /// batch, transaction: the answers in the order of the entries.
    Responses {
        /// Whether all were made together.
        transaction: bool,
        /// One for each entry.
        entries: Vec<EntryAnswer>,
    },
    /// The answer to a GraphQL document: JSON of its own kind.
    Graphql {
        /// `{"data": …}` or `{"errors": …}`
        body: Bytes,
        /// Why there is no data.
        code: Option<Code>,
    },
    /// A document made by the platform itself.
    Document(Bytes),
}

impl Answer {
    /// The answer to a read, reduced as `_elements` and `_summary` of its query ask.
    #[must_use]
    pub fn in_shape(self, query: &str) -> Self {
        match (self, shape(query)) {
            (Self::Found(stored), Some(shape)) => Self::Part(stored, shape),
            (answer, _) => answer,
        }
    }
}

/// The shape that a read asks for; none for the whole resource.
pub(crate) fn shape(query: &str) -> Option<Shape> {
    if let Some(elements) = form::first(query, "_elements").filter(|e| !e.is_empty()) {
        return Some(Shape::Elements(
            elements.split(',').map(str::to_owned).collect(),
        ));
    }
    match &*form::first(query, "_summary")? {
        "true" => Some(Shape::Summary),
        "text" => Some(Shape::Text),
        "data" => Some(Shape::Data),
        _ => None,
    }
}

/// The answer to one entry of a batch or transaction.
pub type EntryAnswer = Result<Answer, Failure>;

/// A page of a search with what is needed to write it down.
#[derive(Debug)]
pub struct SearchPage {
    /// The resources.
    pub page: Page,
    /// What part of each matching resource is shown.
    pub shape: Shape,
    /// What there is to say about the search, for example what was ignored.
    pub issues: Outcome,
    /// `Patient?name=x`: path under the base and query as they were understood.
    pub this: String,
    /// The same of the next page.
    pub next: Option<String>,
}

/// A page of a history with what is needed to write it down.
#[derive(Debug)]
pub struct HistoryPage {
    /// The versions.
    pub page: Page,
    /// What there is to say about the history, for example what was ignored.
    pub issues: Outcome,
    /// `Patient/7/_history`: path under the base and query.
    pub this: String,
    /// The same of the next page.
    pub next: Option<String>,
}
