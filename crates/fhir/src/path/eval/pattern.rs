//! Regular expressions, as FHIRPath's authors write them, in time linear in the text.

use base::limits::fixed::FHIRPATH_PATTERN_BYTES_MAX;
use regex::{Regex, RegexBuilder};

use super::super::EvalError;

/// Compiles a pattern. A dot matches line ends as well (single line mode). `flags`: `i` ignores
/// case, `m` lets `^` and `$` match at line ends.
pub(in super::super) fn pattern(text: &str, full: bool, flags: &str) -> Result<Regex, EvalError> {
    let mut text = portable(text);
    if full {
        text = format!("^(?:{text})$");
    }
    RegexBuilder::new(&text)
        .dot_matches_new_line(true)
        .case_insensitive(flags.contains('i'))
        .multi_line(flags.contains('m'))
        .size_limit(FHIRPATH_PATTERN_BYTES_MAX)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => EvalError::TextTooLong,
            _ => EvalError::Pattern(text.into()),
        })
}

/// Inside classes, `[`, `&`, `~` and `-` twice mean themselves in other dialects.
fn portable(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut chars = pattern.chars().peekable();
    let mut in_class = false;
    let mut at_start = false;
    while let Some(c) = chars.next() {
        let first = std::mem::take(&mut at_start);
        match c {
            '\\' => {
                out.push(c);
                if let Some(next) = chars.next() {
                    // `\/` and the like: an escape that means nothing special.
                    out.push(next);
                }
            }
            '[' if !in_class => {
                in_class = true;
                at_start = true;
                out.push(c);
                if chars.peek() == Some(&'^') {
                    chars.next();
                    out.push('^');
                }
            }
            '[' if chars.peek() == Some(&':') => out.push(c),
            '[' | '&' | '~' if in_class => {
                out.push('\\');
                out.push(c);
            }
            ']' if in_class && first => {
                out.push('\\');
                out.push(c);
            }
            ']' => {
                // The end of `[:alpha:]` is not the end of the class.
                in_class = in_class && out.ends_with(':') && chars.clone().any(|c| c == ']');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// A replacement with `$1` as `${1}`, which text behind it does not become part of.
pub(super) fn replacement(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 4);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '$' {
            out.push(c);
            continue;
        }
        let mut digits = String::new();
        while let Some(digit) = chars.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        if !digits.is_empty() {
            out.push_str(&format!("${{{digits}}}"));
        } else if chars.peek() == Some(&'{') {
            out.push('$');
        } else {
            out.push_str("$$");
        }
    }
    out
}
