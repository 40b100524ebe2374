//! The embedded engine: one SQLCipher database per tenant.

pub(crate) mod administration;
pub(crate) mod apply;
pub(crate) mod backup;
mod cache;
pub(crate) mod clients;
mod codec;
mod connection;
mod control;
mod extract;
pub(crate) mod fault;
mod folder;
pub(crate) mod history;
pub(crate) mod house;
pub(crate) mod index;
mod keyring;
pub(crate) mod labels;
pub(crate) mod mailboxes;
mod migrate;
pub(crate) mod page;
pub(crate) mod params;
mod process;
pub(crate) mod readers;
pub(crate) mod rows;
mod schema;
mod seal;
pub(crate) mod search;
mod shared;
mod template;
mod tenant;
pub(crate) mod trail;
pub(crate) mod verify;
pub(crate) mod writer;

pub(crate) use connection::in_snapshot;
pub(crate) use rows::Opened;
pub(crate) use seal::sha256;
pub(crate) use tenant::OpenTenant;
