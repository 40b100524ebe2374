//! What commands say on standard output.

use std::io::Write;

use serde_json::Value;

use crate::admin_client::Output;

/// Prints a value: as JSON, or in the words of `people`.
pub(super) fn print(
    output: Output,
    value: &Value,
    people: impl FnOnce(&Value) -> String,
) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if output.json {
        writeln!(out, "{value}")?;
    } else {
        let text = people(value);
        if !text.is_empty() {
            writeln!(out, "{}", text.trim_end())?;
        }
    }
    Ok(())
}

/// A member as text; empty when it is absent.
pub(super) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Rows as columns of the width that they need.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|h| h.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let head: Vec<String> = head.iter().map(|h| (*h).to_owned()).collect();
    let mut out = String::new();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            let gap = width.saturating_sub(cell.chars().count()) + 2;
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', gap));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}
