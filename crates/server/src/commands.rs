//! What the binary can be told to do, one file per command.

pub mod check_config;
pub mod serve;
