//! The one integration binary: Insula judged from outside, by what it answers and what it leaves
//! on the disk, and the project judged by its own rules.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failed expectation fails the test"
)]

mod accessible;
mod admin_api;
mod clients;
mod commands;
mod durability;
mod examples;
mod hostile;
mod interactions;
mod isolation;
mod limits;
mod login;
mod memory;
mod migration;
mod on_disk;
mod search;
mod shipping;
mod sign_in;
mod stopping;
mod synthea;
mod tenants;
mod tidy;
mod trail;
mod versions;
mod world;
