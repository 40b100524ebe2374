//! The ground floor: ids, time, randomness, limits, error kinds and codes, and wrappers for
//! values that must never be printed.
//!
//! Knows nothing of FHIR, tenants' data, I/O or async. Everything above may use it.

pub mod clock;
pub mod error;
pub mod ids;
pub mod limits;
pub mod network;
pub mod rng;
pub mod secret;

pub use clock::{Clock, Micros};
pub use error::{Code, Kind};
pub use ids::{RequestId, ResourceId, Seq, TenantName, Version};
pub use limits::Limits;
pub use network::{Network, NotANetwork, is_public};
pub use rng::Rng;
pub use secret::{Phi, Secret};
