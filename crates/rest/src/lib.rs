//! FHIR's REST API, OAuth and the admin API over HTTP: bytes to intent, and answers to bytes.
//!
//! The only room with status codes. Knows nothing of storage; reaches data only through the
//! engine's [`engine::Session`].

// The description of the admin API is one value.
#![recursion_limit = "512"]

mod admin;
mod answer;
mod app;
mod auth;
mod binary;
mod bundle;
mod call;
mod caller;
mod coding;
mod cors;
mod fhir;
mod headers;
mod negotiate;
mod oauth;
mod operation;
mod outgoing;
mod policy;
mod probes;
mod problem;
mod proxy;
mod quarantine;
mod rendering;
mod room;
mod routes;
mod unread;
mod vendors;
mod version;

pub use admin::openapi_document;
pub use app::App;
pub use call::ClientCertificate;
pub use problem::{Style, status};
pub use routes::{Base, Class, ROUTES, Route};

#[cfg(test)]
mod tests;
