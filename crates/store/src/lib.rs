//! The only room with SQL. A [`Store`] holds all tenants; a [`TenantStore`] is the only way to one
//! tenant's data, and every call on it spends a permit.
//!
//! The face is asynchronous and neutral: nothing in it names the engine behind. Knows nothing of
//! HTTP and decides no policy.

mod audit;
mod error;
mod face;
mod journal;
mod merkle;
mod metrics;
mod plan;
mod report;
mod sqlite;
mod store;
mod tenant;

pub use error::StoreError;
pub use face::*;
pub use metrics::{Count, Histogram, StoreMetrics};
pub use report::{Finding, FindingKind, Tampering, VerifyReport};
pub use sqlite::cases::Case;
pub use sqlite::params::ParamState;
pub use sqlite::process::{answer_soon, leave_room, serving, stand_back};
pub use store::Store;
pub use tenant::{Deed, IndexStatus, Meets, Operated, ParamStatus, TenantStore, ToChange, Upload};

type Result<T> = std::result::Result<T, StoreError>;
