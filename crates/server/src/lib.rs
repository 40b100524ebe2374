//! The one binary `insula`: configuration, boot, listeners, commands, telemetry. No domain logic.

pub mod admin_client;
pub mod commands;
pub mod config;
pub mod demo;
pub mod import;
pub mod listen;
pub mod outbound;
pub mod pages;
pub mod runtimes;
mod ship;
pub mod telemetry;
pub mod world;
