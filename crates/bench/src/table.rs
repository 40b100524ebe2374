//! The table that a run prints: one row for each thing measured.

use std::fmt::Write;

use serde::Serialize;

use crate::load::Sample;

/// What a figure is held against.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// The value must be at least this.
    AtLeast(f64),
    /// The value must be at most this.
    AtMost(f64),
    /// Nothing to meet.
    None,
}

impl Target {
    fn met_by(self, value: f64) -> Option<bool> {
        match self {
            Self::AtLeast(bound) => Some(value >= bound),
            Self::AtMost(bound) => Some(value <= bound),
            Self::None => None,
        }
    }

    fn text(self, unit: &str) -> String {
        match self {
            Self::AtLeast(bound) => format!("≥ {}", figure(bound, unit)),
            Self::AtMost(bound) => format!("≤ {}", figure(bound, unit)),
            Self::None => "–".to_owned(),
        }
    }
}

/// One row.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) name: String,
    /// The audit mode it was measured in.
    pub(crate) audit: String,
    /// Tenants that there were.
    pub(crate) tenants: u64,
    /// Requests under way at once.
    pub(crate) concurrency: u64,
    /// Requests (or resources) a second.
    pub(crate) per_second: Option<f64>,
    /// The same of the floor, in the same run.
    pub(crate) floor_per_second: Option<f64>,
    /// Microseconds of the server's processors for each.
    pub(crate) cpu_us: Option<f64>,
    /// Median latency in microseconds.
    pub(crate) p50_us: Option<u32>,
    /// Latency that one in a hundred passes, in microseconds.
    pub(crate) p99_us: Option<u32>,
    /// Resident memory of the server in bytes.
    pub(crate) resident_bytes: Option<u64>,
    /// Answers that were not what they should be.
    pub(crate) failures: u64,
    /// How the first of them began.
    pub(crate) failure: Option<String>,
    /// The figure that is held against the target.
    pub(crate) value: f64,
    /// Its unit: `%`, `ms`, `MB`, `/s`, `×`.
    pub(crate) unit: &'static str,
    /// What it has to be.
    pub(crate) target: Target,
    /// Whether it is.
    pub(crate) ok: Option<bool>,
    /// What a reader must know to understand the figure.
    pub(crate) note: String,
}

impl Row {
    /// A row with only a figure and its target.
    pub(crate) fn new(name: &str, value: f64, unit: &'static str, target: Target) -> Self {
        Self {
            name: name.to_owned(),
            audit: String::new(),
            tenants: 1,
            concurrency: 1,
            per_second: None,
            floor_per_second: None,
            cpu_us: None,
            p50_us: None,
            p99_us: None,
            resident_bytes: None,
            failures: 0,
            failure: None,
            value,
            unit,
            target,
            ok: target.met_by(value),
            note: String::new(),
        }
    }

    /// Fills in what a sample says.
    pub(crate) fn with(mut self, sample: &Sample) -> Self {
        self.per_second = Some(sample.per_second());
        self.cpu_us = (!sample.cpu.is_zero()).then(|| sample.cpu_us());
        self.p50_us = Some(sample.quantile_us(0.5));
        self.p99_us = Some(sample.quantile_us(0.99));
        self.resident_bytes = (sample.resident > 0).then_some(sample.resident);
        self.failures += sample.failures;
        self.failure = self.failure.or_else(|| sample.failure.clone());
        if sample.failures > 0 && self.ok.is_some() {
            self.ok = Some(false);
        }
        self
    }

    /// Says what to know about it.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

fn figure(value: f64, unit: &str) -> String {
    let digits = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    let number = format!("{value:.digits$}");
    let number = match number.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|b| b == b'0') => whole.to_owned(),
        _ => number,
    };
    if unit == "%" || unit == "×" || unit == "/s" {
        format!("{number}{unit}")
    } else {
        format!("{number} {unit}")
    }
}

fn time(us: u32) -> String {
    if us >= 1_000 {
        figure(f64::from(us) / 1_000.0, "ms")
    } else {
        format!("{us} µs")
    }
}

const HEADINGS: [&str; 13] = [
    "what",
    "audit",
    "tenants",
    "at once",
    "rate",
    "floor",
    "CPU µs each",
    "p50",
    "p99",
    "RSS",
    "figure",
    "target",
    "",
];

/// The rows as text in columns, notes below.
pub(crate) fn print(rows: &[Row]) -> String {
    let mut cells: Vec<Vec<String>> = vec![HEADINGS.iter().map(|h| (*h).to_owned()).collect()];
    cells.extend(rows.iter().map(columns));
    let widths: Vec<usize> = (0..HEADINGS.len())
        .map(|c| {
            cells
                .iter()
                .filter_map(|r| r.get(c))
                .map(|t| t.chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut out = String::new();
    for (at, row) in cells.iter().enumerate() {
        for (cell, width) in row.iter().zip(&widths) {
            let pad = " ".repeat(width - cell.chars().count());
            let _ = write!(out, "{cell}{pad}  ");
        }
        out = out.trim_end().to_owned();
        out.push('\n');
        if at == 0 {
            let _ = writeln!(
                out,
                "{}",
                widths
                    .iter()
                    .map(|w| "─".repeat(*w))
                    .collect::<Vec<_>>()
                    .join("──")
            );
        }
    }
    for row in rows.iter().filter(|r| !r.note.is_empty()) {
        let _ = writeln!(out, "  {}: {}", row.name, row.note);
    }
    for row in rows {
        if let Some(failure) = &row.failure {
            let _ = writeln!(out, "  {}: first failure: {failure}", row.name);
        }
    }
    out
}

fn columns(row: &Row) -> Vec<String> {
    let none = || "–".to_owned();
    let verdict = match (row.ok, row.failures) {
        (Some(true), _) => "ok".to_owned(),
        (Some(false), 0) => "miss".to_owned(),
        (_, 0) => String::new(),
        (_, failures) => format!("{failures} failed"),
    };
    vec![
        row.name.clone(),
        if row.audit.is_empty() {
            none()
        } else {
            row.audit.clone()
        },
        row.tenants.to_string(),
        row.concurrency.to_string(),
        row.per_second.map_or_else(none, |v| figure(v, "/s")),
        row.floor_per_second.map_or_else(none, |v| figure(v, "/s")),
        row.cpu_us.map_or_else(none, |v| format!("{v:.1}")),
        row.p50_us.map_or_else(none, time),
        row.p99_us.map_or_else(none, time),
        row.resident_bytes
            .map_or_else(none, |b| figure(b as f64 / 1e6, "MB")),
        figure(row.value, row.unit),
        row.target.text(row.unit),
        verdict,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_decide() {
        let hit = Row::new("read", 61.0, "%", Target::AtLeast(60.0));
        let miss = Row::new("start", 1.2, "s", Target::AtMost(1.0));
        let plain = Row::new("note", 5.0, "ms", Target::None);
        assert_eq!((hit.ok, miss.ok, plain.ok), (Some(true), Some(false), None));
    }

    #[test]
    fn failures_spoil_a_row() {
        let sample = Sample {
            answers: 1,
            failures: 1,
            ..Sample::default()
        };
        let row = Row::new("read", 99.0, "%", Target::AtLeast(60.0)).with(&sample);
        assert_eq!(row.ok, Some(false));
        assert!(print(&[row]).contains("1 failed"));
    }

    #[test]
    fn figures_have_three_digits_at_most() {
        for (value, unit, text) in [
            (61.23, "%", "61.2%"),
            (0.034, "s", "0.03 s"),
            (12_345.6, "/s", "12346/s"),
            (2.0, "×", "2×"),
        ] {
            assert_eq!(figure(value, unit), text);
        }
    }
}
