//! Data of Binaries that is kept apart from the resource, so that it can come and go in pieces.

use std::sync::Arc;

use crate::sqlite::blob::CHUNK_BYTES;
use crate::tenant::Staged;

/// The data of a Binary, kept apart from its resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data {
    pub(crate) blob: i64,
    /// Bytes.
    pub(crate) size: u64,
    /// Where its base64 belongs in [`crate::Stored::body`].
    pub(crate) at: usize,
}

impl Data {
    /// Bytes of every piece but the last; a multiple of three.
    pub const PIECE_BYTES: usize = CHUNK_BYTES;

    /// Bytes.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Where its base64 belongs in [`crate::Stored::body`].
    pub const fn at(&self) -> usize {
        self.at
    }

    /// How many pieces there are.
    pub const fn pieces(&self) -> u64 {
        self.size.div_ceil(CHUNK_BYTES as u64)
    }

    /// Bytes of a piece; none if there is no such piece.
    pub(crate) fn piece_len(&self, place: u64) -> Option<usize> {
        let before = place.checked_mul(CHUNK_BYTES as u64)?;
        let left = self.size.checked_sub(before).filter(|l| *l > 0)?;
        usize::try_from(left.min(CHUNK_BYTES as u64)).ok()
    }
}

/// How data that is kept apart is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// In the body.
    Whole,
    /// Apart, to be read by [`crate::TenantStore::piece`].
    Apart,
}

/// A body without its data, and the data.
#[derive(Debug)]
pub(crate) struct Apart {
    pub(crate) body: String,
    pub(crate) at: usize,
    pub(crate) size: u64,
    pub(crate) data: DataIn,
}

/// Data on its way in.
#[derive(Debug)]
pub(crate) enum DataIn {
    /// Written already, and referred to by nothing yet.
    Staged(Arc<Staged>),
    /// To be written with the resource.
    Here(Vec<u8>),
}
