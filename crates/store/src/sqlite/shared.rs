//! What all tenants of a house use together.

use std::collections::HashMap;
use std::sync::Arc;

use base::{Clock, Rng};
use parking_lot::Mutex;

use super::cache::BodyCache;
use super::codec::Codec;
use super::reserve::Reserve;
use crate::audit::ChangeHead;
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
    /// Room on the disk that is kept for reading.
    pub(crate) reserve: Reserve,
    /// How far each tenant's chain of changes is, as far as this run made it longer.
    pub(crate) changed: Mutex<HashMap<[u8; 16], ChangeHead>>,
}
