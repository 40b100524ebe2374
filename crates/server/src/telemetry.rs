//! Where log lines go and what they look like. Metrics are the engine's.
//!
//! Lines carry request ids, tenants' names and codes; no line carries content, query strings or
//! header values.

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// Starts logging to standard error. Call once.
pub fn start(log: &Log) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&log.filter).context("log.filter is not a filter")?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // It would tell of a failed write by a macro that panics when that fails as well: a full
        // disk behind the log must not end requests.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    let started = match log.format {
        LogFormat::Text => lines.with_ansi(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|e| anyhow::anyhow!("logging cannot be started: {e}"))
}
