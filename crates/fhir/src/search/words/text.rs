//! The texts of a resource as rows of words.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use base::limits::fixed::SEARCH_TEXT_BYTES_MAX;
use foldhash::fast::RandomState;
use memchr::{memchr_iter, memchr2, memchr3};

use super::super::value::fold;
use super::WORD_BYTES_MAX;
use crate::json::{Kind, Value};
use crate::search::value::cut;
use crate::xml::{named_character, reference};

/// Words of one narrative that are indexed, and pairs of them.
const NARRATIVE_WORDS_MAX: usize = 4_096;

/// Whether an element stands within a line, and so within words too: what is shown is `H2O`, and not
/// `H 2 O`. All others part what is before them and behind them, and so do pictures and quotations,
/// which are shown with marks.
fn is_within_line(element: &str) -> bool {
    matches!(
        element,
        "a" | "abbr"
            | "acronym"
            | "b"
            | "bdo"
            | "big"
            | "cite"
            | "code"
            | "del"
            | "dfn"
            | "em"
            | "font"
            | "i"
            | "ins"
            | "kbd"
            | "s"
            | "samp"
            | "small"
            | "span"
            | "strike"
            | "strong"
            | "sub"
            | "sup"
            | "tt"
            | "u"
            | "var"
    )
}

/// The text of a narrative's `div`, as it is shown: without tags and comments, character references
/// resolved, and without hyphens that only say where a word may be broken.
pub(super) fn narrative(div: &str) -> String {
    let mut out = String::with_capacity(div.len());
    let shown = match div.contains(SOFT_HYPHEN) {
        true => Cow::Owned(div.replace(SOFT_HYPHEN, "")),
        false => Cow::Borrowed(div),
    };
    let mut rest = &*shown;
    while let Some(at) = memchr2(b'<', b'&', rest.as_bytes()) {
        out.push_str(rest.get(..at).unwrap_or(""));
        let behind = rest.get(at + 1..).unwrap_or("");
        rest = match rest.as_bytes().get(at) {
            Some(b'<') => after_markup(behind, &mut out),
            _ => after_reference(behind, &mut out),
        };
    }
    out.push_str(rest);
    out
}

const SOFT_HYPHEN: char = '\u{ad}';

/// What follows the markup that a `<` began.
fn after_markup<'t>(markup: &'t str, out: &mut String) -> &'t str {
    if let Some(comment) = markup.strip_prefix("!--") {
        return comment.split_once("-->").map_or("", |(_, after)| after);
    }
    let tag = markup.strip_prefix('/').unwrap_or(markup);
    let name = tag.split(|c: char| !c.is_ascii_alphanumeric()).next();
    if !name.is_some_and(is_within_line) {
        out.push(' ');
    }
    // A `>` in the value of an attribute ends nothing.
    let mut rest = markup;
    while let Some(at) = memchr3(b'>', b'"', b'\'', rest.as_bytes()) {
        let (sign, after) = rest.split_at(at).1.split_at(1);
        rest = match sign {
            ">" => return after,
            quote => after.split_once(quote).map_or("", |(_, after)| after),
        };
    }
    ""
}

/// What follows the character reference that an `&` began.
fn after_reference<'t>(tail: &'t str, out: &mut String) -> &'t str {
    let Some((name, after)) = reference(tail) else {
        out.push('&');
        return tail;
    };
    match character(name) {
        Some(SOFT_HYPHEN) => {}
        known => out.push(known.unwrap_or(' ')),
    }
    after
}

fn character(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code);
    }
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        name => named_character(name),
    }
}

/// What the index keeps of the words of narratives: each once, and each pair of neighbours of one
/// narrative (for phrases). `texts` is what [`of_narrative`] gives, of one or of several.
pub(crate) fn indexed(texts: &str) -> Vec<&str> {
    let mut found = Vec::with_capacity(texts.len() / 2);
    let mut left = NARRATIVE_WORDS_MAX;
    for text in texts.split('\n').map(str::trim_ascii) {
        if text.is_empty() {
            continue;
        }
        let mut ends = memchr_iter(b' ', text.as_bytes()).chain([text.len()]);
        let mut word = 0..ends.next().unwrap_or(0);
        let mut piece = |at: Range<usize>| found.extend(text.get(at).map(headed));
        while left > 0 {
            left -= 1;
            piece(word.clone());
            let Some(end) = ends.next() else { break };
            // One space stands between two words, so that a pair of them is a piece of the text.
            piece(word.start..end);
            word = word.end + 1..end;
        }
    }
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(|(_, text)| text).collect()
}

/// A text behind its first bytes, which order most texts without looking further.
fn headed(text: &str) -> (u64, &str) {
    let mut head = [0; 8];
    for (to, from) in head.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    (u64::from_be_bytes(head), text)
}

/// The words of a narrative's `div`; empty if it has none.
pub(crate) fn of_narrative(div: &str) -> String {
    let mut out = Vec::new();
    push(&narrative(div), &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// The words of all texts of a resource but its narrative, each different text once and set apart
/// from the others.
pub(crate) fn of_resource(resource: Value<'_>) -> String {
    let mut collector = Collector {
        out: Vec::with_capacity(512),
        seen: HashSet::with_capacity_and_hasher(64, RandomState::default()),
    };
    for member in resource.members() {
        let name = member.name();
        if !APART.contains(&&*name) {
            collector.member(&name, member.value);
        }
    }
    String::from_utf8(collector.out).unwrap_or_default()
}

/// Members of a resource that are no part of its texts: what is made anew for each version, and
/// what has words of its own.
const APART: [&str; 5] = ["contained", "id", "meta", "resourceType", "text"];

struct Collector<'d> {
    out: Vec<u8>,
    seen: HashSet<Cow<'d, str>, RandomState>,
}

impl<'d> Collector<'d> {
    fn member(&mut self, name: &str, value: Value<'d>) {
        if !is_apart(name) {
            self.value(value, name == "div");
        }
    }

    fn value(&mut self, value: Value<'d>, is_div: bool) {
        match value.kind() {
            Kind::Object => {
                for member in value.members() {
                    self.member(&member.name(), member.value);
                }
            }
            Kind::Array => {
                for item in value.items() {
                    self.value(item, is_div);
                }
            }
            Kind::String => {
                if let Some(text) = value.as_str()
                    && !is_address(&text)
                    && self.seen.insert(text.clone())
                {
                    match is_div {
                        true => push(&narrative(&text), &mut self.out),
                        false => push(&text, &mut self.out),
                    }
                }
            }
            Kind::Number | Kind::Bool | Kind::Null => {}
        }
    }
}

/// Members that say how to read a resource and are none of what it tells.
fn is_apart(name: &str) -> bool {
    matches!(
        name,
        "resourceType" | "data" | "system" | "reference" | "url"
    )
}

/// Addresses for programs are no text.
fn is_address(text: &str) -> bool {
    match text.as_bytes() {
        [b'h', ..] => text.starts_with("http://") || text.starts_with("https://"),
        [b'u', ..] => text.starts_with("urn:"),
        _ => false,
    }
}

/// Adds the words of a text: ` one after the other \n`. A text without words adds nothing.
fn push(text: &str, out: &mut Vec<u8>) {
    let from = out.len();
    if text.is_ascii() {
        push_ascii(text.as_bytes(), out);
    } else {
        let folded = fold::words(text);
        for word in folded.split(|c: char| !c.is_alphanumeric()) {
            if word.is_empty() {
                continue;
            }
            if is_full(out) {
                break;
            }
            out.push(b' ');
            out.extend_from_slice(cut(word, WORD_BYTES_MAX).as_bytes());
        }
    }
    if out.len() > from {
        out.extend_from_slice(b" \n");
    }
}

/// Adds the words of an ASCII text, which are folded by making their letters small.
fn push_ascii(text: &[u8], out: &mut Vec<u8>) {
    out.reserve(text.len() + 3);
    // Of the word so far; 0 between words.
    let mut length = 0;
    for b in text {
        let Some(&small) = SMALL.get(usize::from(*b)).filter(|small| **small != 0) else {
            length = 0;
            continue;
        };
        if length == 0 {
            if is_full(out) {
                break;
            }
            out.push(b' ');
        }
        if length < WORD_BYTES_MAX {
            out.push(small);
        }
        length += 1;
    }
}

/// ASCII letters and digits, the letters small; 0 for what parts words.
static SMALL: [u8; 256] = {
    let mut small = [0; 256];
    let mut at = 0;
    while at < 128 {
        let b = at as u8;
        if b.is_ascii_alphanumeric() {
            small[at] = b.to_ascii_lowercase();
        }
        at += 1;
    }
    small
};

/// Whether another word may not fit.
const fn is_full(out: &[u8]) -> bool {
    out.len() + WORD_BYTES_MAX + 3 > SEARCH_TEXT_BYTES_MAX
}
