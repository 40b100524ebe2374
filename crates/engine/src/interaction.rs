//! The interactions of FHIR's REST API (`http.html`), one file each.

mod admit;
mod batch;
mod binary;
mod capabilities;
mod compartment;
mod condition;
mod create;
mod criteria;
mod delete;
mod entry;
mod fhirpath;
mod graphql;
mod guarded;
mod history;
mod instant;
mod operation;
mod patch;
mod provenance;
mod read;
mod reindex;
mod search;
mod terms;
mod transaction;
mod update;
mod vread;

pub(crate) use instant::parse as moment;

pub use binary::{Download, Raw, Upload, UploadAbout};
pub use capabilities::FORMATS;
pub use condition::{Unless, VersionMatch, WriteConditions};
pub use history::HistoryScope;
pub use operation::{
    Input, OPERATIONS, On, OpenedAccess, OpeningCountsView, OpeningView, Operation, ReviewSaid,
    ReviewView,
};
pub use patch::{Patch, PatchKind};
pub use search::{Asked, SearchScope};
