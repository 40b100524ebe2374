//! The texts of a resource as rows of words.

use std::collections::HashSet;

use base::limits::fixed::SEARCH_TEXT_BYTES_MAX;

use super::super::value::fold;
use super::WORD_BYTES_MAX;
use crate::json::{Kind, Value};
use crate::search::value::cut;
use crate::xml::{named_character, reference};

/// Words of one narrative that are indexed, and pairs of them.
const NARRATIVE_WORDS_MAX: usize = 4_096;

/// Elements that stand within a line, and so within words too: what is shown is `H2O`, and not
/// `H 2 O`. All others part what is before them and behind them, and so do pictures and quotations,
/// which are shown with marks.
const WITHIN_LINES: [&str; 26] = [
    "a", "abbr", "acronym", "b", "bdo", "big", "cite", "code", "del", "dfn", "em", "font", "i",
    "ins", "kbd", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "tt", "u", "var",
];

/// The text of a narrative's `div`, as it is shown: without tags and comments, character references
/// resolved, and without hyphens that only say where a word may be broken.
pub(super) fn narrative(div: &str) -> String {
    let mut out = String::with_capacity(div.len());
    let mut rest = div;
    while let Some(at) = rest.find(['<', '&', SOFT_HYPHEN]) {
        out.push_str(rest.get(..at).unwrap_or(""));
        let behind = rest.get(at..).unwrap_or("");
        rest = if let Some(markup) = behind.strip_prefix('<') {
            after_markup(markup, &mut out)
        } else if let Some(name) = behind.strip_prefix('&') {
            after_reference(name, &mut out)
        } else {
            behind.trim_start_matches(SOFT_HYPHEN)
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
    if !name.is_some_and(|name| WITHIN_LINES.contains(&name)) {
        out.push(' ');
    }
    // A `>` in the value of an attribute ends nothing.
    let mut rest = markup;
    while let Some(at) = rest.find(['>', '"', '\'']) {
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

/// What the index keeps of a narrative's words: each once, and each pair of neighbours (for
/// phrases). `text` is what [`of_narrative`] gives.
pub(crate) fn indexed(text: &str) -> Vec<String> {
    let all: Vec<&str> = text.split_ascii_whitespace().collect();
    let pairs = all.windows(2).filter_map(|w| match w {
        [a, b] => Some(format!("{a} {b}")),
        _ => None,
    });
    let single = all.iter().take(NARRATIVE_WORDS_MAX);
    let mut found: Vec<String> = pairs
        .take(NARRATIVE_WORDS_MAX)
        .chain(single.map(|w| (*w).to_owned()))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The words of a narrative's `div`; empty if it has none.
pub(crate) fn of_narrative(div: &str) -> String {
    let mut out = String::new();
    push(&narrative(div), &mut out);
    out
}

/// The words of all texts of a resource but its narrative, each different text once and set apart
/// from the others.
pub(crate) fn of_resource(resource: Value<'_>) -> String {
    let mut collector = Collector {
        out: String::new(),
        seen: HashSet::new(),
    };
    for member in resource.members() {
        if !APART.iter().any(|name| member.is(name)) && !is_apart(&member.name()) {
            collector.member(member.value, member.is("div"));
        }
    }
    collector.out
}

/// Members of a resource that are no part of its texts: what is made anew for each version, and
/// what has words of its own.
const APART: [&str; 5] = ["contained", "id", "meta", "resourceType", "text"];

struct Collector {
    out: String,
    seen: HashSet<Box<str>>,
}

impl Collector {
    fn member(&mut self, value: Value<'_>, is_div: bool) {
        match value.kind() {
            Kind::Object => {
                for member in value.members().filter(|m| !is_apart(&m.name())) {
                    self.member(member.value, member.is("div"));
                }
            }
            Kind::Array => {
                for item in value.items() {
                    self.member(item, is_div);
                }
            }
            Kind::String => {
                if let Some(text) = value.as_str() {
                    self.text(&text, is_div);
                }
            }
            Kind::Number | Kind::Bool | Kind::Null => {}
        }
    }

    fn text(&mut self, text: &str, is_div: bool) {
        if is_address(text) || self.seen.contains(text) {
            return;
        }
        self.seen.insert(text.into());
        if is_div {
            push(&narrative(text), &mut self.out);
        } else {
            push(text, &mut self.out);
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
    ["http://", "https://", "urn:"]
        .iter()
        .any(|start| text.starts_with(start))
}

/// Adds the words of a text: ` one after the other \n`. A text without words adds nothing.
fn push(text: &str, out: &mut String) {
    let folded = fold::words(text);
    let from = out.len();
    for word in folded.split(|c: char| !c.is_alphanumeric()) {
        if word.is_empty() {
            continue;
        }
        if out.len() + WORD_BYTES_MAX + 3 > SEARCH_TEXT_BYTES_MAX {
            break;
        }
        out.push(' ');
        out.push_str(cut(word, WORD_BYTES_MAX));
    }
    if out.len() > from {
        out.push_str(" \n");
    }
}
