//! What all tenants of a house use together.

use std::sync::Arc;

use base::{Clock, Rng};

use super::cache::BodyCache;
use super::codec::Codec;
use crate::journal::Journal;
use crate::{StoreConfig, StoreMetrics};

/// What all tenants of a house use together.
pub(crate) struct Shared {
    pub(crate) config: StoreConfig,
    /// A random number of this run of the program, not 0: marks what only this run needs.
    pub(crate) run: i64,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) metrics: Arc<StoreMetrics>,
    pub(crate) codec: Codec,
    pub(crate) cache: BodyCache,
    pub(crate) journal: Journal,
}
