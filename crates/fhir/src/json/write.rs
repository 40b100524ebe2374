//! Nodes to text: the same tokens without the white space between them.

use super::{Kind, Value};

/// Appends a value to `out` as compact JSON. Numbers and strings are copied as they were written.
pub fn write_compact(value: Value<'_>, out: &mut String) {
    match value.kind() {
        Kind::Object => {
            out.push('{');
            for (i, member) in value.members().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(member.key.raw());
                out.push(':');
                write_compact(member.value, out);
            }
            out.push('}');
        }
        Kind::Array => {
            out.push('[');
            for (i, item) in value.items().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_compact(item, out);
            }
            out.push(']');
        }
        _ => out.push_str(value.raw()),
    }
}

/// Appends a value to `out` with each member and item on a line of its own. Numbers and strings are
/// copied as they were written.
pub fn write_pretty(value: Value<'_>, out: &mut String) {
    pretty(value, 0, out);
}

fn pretty(value: Value<'_>, depth: usize, out: &mut String) {
    let line = |depth: usize, out: &mut String| {
        out.push('\n');
        (0..depth).for_each(|_| out.push_str("  "));
    };
    match value.kind() {
        Kind::Object | Kind::Array if value.is_empty_container() => write_compact(value, out),
        Kind::Object => {
            out.push('{');
            for (i, member) in value.members().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                line(depth + 1, out);
                out.push_str(member.key.raw());
                out.push_str(": ");
                pretty(member.value, depth + 1, out);
            }
            line(depth, out);
            out.push('}');
        }
        Kind::Array => {
            out.push('[');
            for (i, item) in value.items().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                line(depth + 1, out);
                pretty(item, depth + 1, out);
            }
            line(depth, out);
            out.push(']');
        }
        _ => out.push_str(value.raw()),
    }
}

/// Whether a text stands in a JSON string as it is.
pub fn is_plain(text: &str) -> bool {
    // No early end: so the compiler looks at many bytes at once.
    !text.bytes().fold(false, |any, b| any | is_special(b))
}

const fn is_special(b: u8) -> bool {
    b < 0x20 || b == b'"' || b == b'\\'
}

/// Appends a JSON string, quotes included, escaping what must be escaped.
pub fn push_json_string(text: &str, out: &mut String) {
    use std::fmt::Write;
    out.push('"');
    if is_plain(text) {
        out.push_str(text);
        out.push('"');
        return;
    }
    let mut from = 0;
    for (i, b) in text.bytes().enumerate() {
        if !is_special(b) {
            continue;
        }
        out.push_str(text.get(from..i).unwrap_or(""));
        from = i + 1;
        match b {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => {
                let _ = write!(out, "\\u{b:04x}");
            }
        }
    }
    out.push_str(text.get(from..).unwrap_or(""));
    out.push('"');
}
