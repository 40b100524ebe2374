//! Values as text: separators, escapes and prefixes (`search.html#escaping`, `search.html#prefix`).

use std::borrow::Cow;

use super::super::query::Prefix;

/// The parts between separators that no backslash stands before; escapes are left in.
pub(super) fn split(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((part, after)) = split_once(rest, separator) {
        parts.push(part);
        rest = after;
    }
    parts.push(rest);
    parts
}

/// What stands before and after the first separator that no backslash stands before.
pub(super) fn split_once(text: &str, separator: char) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == separator {
            return Some((text.get(..at)?, text.get(at + c.len_utf8()..)?));
        }
    }
    None
}

/// Whether a backslash stands before something that it does not escape (`search.html#escaping`).
pub(super) fn has_bad_escape(text: &str) -> bool {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\\' && !matches!(chars.next(), Some(',' | '|' | '$' | '\\')) {
            return true;
        }
    }
    false
}

/// The text without its escapes `\,` `\|` `\$` `\\`. Another backslash is itself.
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some(&next) if c == '\\' && matches!(next, ',' | '|' | '$' | '\\') => {
                out.push(next);
                chars.next();
            }
            _ => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// The comparison at the start of a value, and the rest; `eq` where there is none.
pub(super) fn prefix(text: &str) -> (Prefix, &str) {
    let start = text.get(..2).unwrap_or("");
    let known = Prefix::ALL.iter().copied().find(|p| p.as_str() == start);
    known.map_or((Prefix::Eq, text), |p| (p, text.get(2..).unwrap_or("")))
}

/// The text as a value whose [`unescape`]d form it is.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, ',' | '|' | '$' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
