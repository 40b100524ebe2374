//! The one binary `insula`: configuration, boot, listeners, commands, telemetry. No domain logic.

pub mod demo;
