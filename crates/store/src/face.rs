//! The words that callers and engines exchange.

mod page;
mod tenant;
mod write;

pub use page::{Entry, HistoryOf, HistoryRequest, Labels, Mode, Page, PageRequest, Position};
pub use tenant::{
    AuditMode, NewTenant, ReferencePolicy, State, StoreConfig, Synchronous, TenantInfo,
    TenantSettings,
};
pub use write::{
    Change, Condition, Expectation, Expected, Method, Outcome, Prepared, Read, Stored, Write,
    Written,
};
