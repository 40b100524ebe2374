//! Why a call on the store failed.

use base::{Code, Kind, ResourceId};

/// A failure of a store call. Nothing was written when one is returned for a write.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// A failure with a stable code and a text that holds no content of patients.
    #[error("{1}")]
    Refused(Code, String),
    /// A named limit was met.
    #[error("the limit {limit} ({max}) was passed")]
    Limit {
        /// Which code fits.
        code: Code,
        /// Name in `base::Limits`.
        limit: &'static str,
        /// Its value.
        max: u64,
    },
    /// Somebody has as many as they may have until one of them ends.
    #[error("the limit {limit} ({max}) was passed")]
    Until {
        /// Name in `base::Limits`.
        limit: &'static str,
        /// Its value.
        max: u64,
        /// Seconds until one ends.
        seconds: u32,
    },
    /// Entry `entry` of a change was refused; the whole change was not made.
    #[error("entry {entry}: {text}")]
    Entry {
        /// Position in [`crate::Change::writes`].
        entry: usize,
        /// The stable code.
        code: Code,
        /// What was wrong; names types and ids only.
        text: String,
    },
    /// An [`crate::Expectation`] did not hold when the change was to be made: prepare it again.
    #[error("the data changed while the request was prepared")]
    Raced,
    /// A reference that must resolve does not.
    #[error("entry {entry} refers to {type_name}/{id}, which does not exist here")]
    ReferenceMissing {
        /// Position in [`crate::Change::writes`].
        entry: usize,
        /// The target's type.
        type_name: &'static str,
        /// The target's id.
        id: ResourceId,
    },
}

impl StoreError {
    /// What kind of failure it is.
    pub const fn kind(&self) -> Kind {
        self.code().kind()
    }

    /// Its stable code.
    pub const fn code(&self) -> Code {
        match self {
            Self::Refused(code, _) | Self::Limit { code, .. } | Self::Entry { code, .. } => *code,
            Self::Until { .. } => Code::RateLimited,
            Self::Raced => Code::WriteRace,
            Self::ReferenceMissing { .. } => Code::ReferenceMissing,
        }
    }
}

/// Whether the system had no room on the disk.
pub(crate) fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}
