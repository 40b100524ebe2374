//! An event as a syslog message (RFC 5424), without the framing of its transport.

use std::fmt::Write;

use fhir::audit_event::{Entity, Outcome};
use store::ShippedEvent;

/// Facility 13 (log audit).
const FACILITY: u8 = 13;
/// A number for examples (RFC 5612), as the project has none of its own.
const ENTERPRISE: &str = "32473";

/// A message with this text.
fn message(of: &ShippedEvent, text: &str) -> Vec<u8> {
    let event = &of.event;
    // Severity 4 (warning) for what was not done, 6 (informational) for what was.
    let severity = match event.outcome {
        Outcome::Success => 6,
        Outcome::MinorFailure | Outcome::SeriousFailure => 4,
    };
    // Writing to a String does not fail.
    let mut out = String::new();
    let _ = write!(
        out,
        "<{}>1 {} - insula - AuditEvent [insula@{ENTERPRISE}",
        FACILITY * 8 + severity,
        event.recorded.instant(),
    );
    let uid = of.uid();
    let action = event.action.to_string();
    let code = event.codes.first().map_or("", |c| c.code.as_str());
    for (name, value) in [
        ("tenant", of.tenant.as_str()),
        ("id", &uid),
        ("action", &action),
        ("code", code),
    ] {
        let _ = write!(out, " {name}=\"");
        for c in value.chars() {
            if matches!(c, '"' | '\\' | ']') {
                out.push('\\');
            }
            out.push(c);
        }
        out.push('"');
    }
    out.push_str("] ");
    let mut bytes = out.into_bytes();
    // The mark that says that the text is UTF-8.
    bytes.extend_from_slice(b"\xef\xbb\xbf");
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// A message whose text is the event; one that is too long has fewer entities, and says how many
/// there are.
pub(super) fn within(
    of: &ShippedEvent,
    max: usize,
    text: impl Fn(&ShippedEvent) -> String,
) -> Vec<u8> {
    let whole = message(of, &text(of));
    if whole.len() <= max {
        return whole;
    }
    let mut short = of.clone();
    let all = short.event.entities.len();
    // The request is what other records are found by: it stays.
    let at = short.event.entities.iter();
    let request = at.clone().position(|e| matches!(e, Entity::Request(_)));
    if let Some(request) = request {
        short.event.entities.swap(0, request);
    }
    loop {
        let kept = short.event.entities.len() / 2;
        short.event.entities.truncate(kept);
        let mut cut = short.clone();
        let words = format!("{kept} of {all} entities; the rest is in the trail");
        cut.event.entities.push(Entity::Other(words));
        let bytes = message(&cut, &text(&cut));
        if bytes.len() <= max || kept == 0 {
            return bytes;
        }
    }
}

/// A signed head as a message.
pub(super) fn head(at: base::Micros, line: &str) -> Vec<u8> {
    // Severity 5: normal, and worth to be kept.
    let pri = FACILITY * 8 + 5;
    let head = format!("<{pri}>1 {} - insula - TrailHead - ", at.instant());
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(b"\xef\xbb\xbf");
    bytes.extend_from_slice(line.as_bytes());
    bytes
}
