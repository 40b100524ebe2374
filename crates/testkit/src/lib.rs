//! A seeded world for tests: a running server, its tenants, their clients, and the few tools to
//! talk to them and to judge their answers.
//!
//! Everything here speaks to Insula as strangers do, over HTTP and the command line, and is
//! written without Insula's own crates: a mistake there cannot hide here. It panics where a
//! program would report, because a world that cannot be built fails its test.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a world that cannot be built fails its test"
)]

pub mod build;
pub mod folder;
pub mod http;
pub mod json;
pub mod outside;
pub mod poll;
pub mod process;
pub mod seed;
pub mod world;

pub use folder::Folder;
pub use http::{Answer, Request};
pub use process::Insula;
pub use seed::Seed;
pub use world::{Caller, Tenant, World};
