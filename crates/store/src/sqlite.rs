//! The embedded engine: one SQLCipher database per tenant.

pub(crate) mod index;
pub(crate) mod search;
