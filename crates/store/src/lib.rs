//! The only room with SQL. A [`Store`] holds all tenants; a [`TenantStore`] is the only way to one
//! tenant's data, and every call on it spends a permit.
//!
//! The face is asynchronous and neutral: nothing in it names the engine behind. Knows nothing of
//! HTTP and decides no policy.

mod error;
mod face;

pub use error::StoreError;
pub use face::*;
